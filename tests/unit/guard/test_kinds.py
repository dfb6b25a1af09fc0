"""Types of parameters and filter values: one canonical value, or a refusal with the name (1.5, 2.11)."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from hostadmin.guard.filters import FILTERS
from hostadmin.guard.kinds import KINDS
from hostadmin.guard.query import Parameters, read_parameters
from hostadmin.guard.refusal import Refusal


def read(spec: str, *values: str, version=(1, 55)):
    return Parameters([("x", v) for v in values], read_parameters("Test", {"x": spec}), version).pairs("x")


@pytest.mark.parametrize("text", ["1", "true", "True", "T", "yes", "on", "2", " 1 ", "anything", "\x1cfalse", "0\x1f", "\u200bno"])
def test_true(text):
    assert read("b", text) == [("x", "1")]


@pytest.mark.parametrize("text", ["", "0", "no", "No", "false", "False", "none", "None", " false ", "\xa0no\u3000", "\v0\x85"])
def test_false(text):
    assert read("b", text) == [("x", "0")]


@pytest.mark.parametrize(
    ("spec", "text", "written"),
    [
        ("i", "-1", "-1"),
        ("i", "007", "7"),
        ("i", "2147483647", "2147483647"),
        ("l", "-9223372036854775808", "-9223372036854775808"),
        ("l", "9223372036854775807", "9223372036854775807"),
        ("u", "4294967295", "4294967295"),
        ("t", "0", "0"),
        ("t", "1700000000", "1700000000.000000000"),
        ("t", "1700000000.5", "1700000000.500000000"),
        ("t", "1700000000.123456789", "1700000000.123456789"),
        ("t", "0.0", "0.000000000"),
        ("p", "linux/arm64/v8", "linux/arm64/v8"),
        ("j", ' {"architecture":"arm64", "os":"linux", "variant":""}', '{"architecture":"arm64","os":"linux"}'),
        ("j", '{"os":"windows","os.version":"10","architecture":"amd64"}', '{"architecture":"amd64","os":"windows","os.version":"10"}'),
        ("signal", "SIGRTMIN+3", "SIGRTMIN+3"),
        ("tail", "all", "all"),
        ("tail", "-1", "-1"),
        ("ps", "-eo pid,comm", "-eo pid,comm"),
        ("keys", "ctrl-p,ctrl-q", "ctrl-p,ctrl-q"),
        ("lines", "ENV A=1\nENV B=2", "ENV A=1\nENV B=2"),
    ],
)
def test_values_are_written_canonically(spec, text, written):
    assert read(spec, text) == [("x", written)]


@pytest.mark.parametrize(
    "spec", ["i", "l", "u", "t", "s", "p", "j", "ref", "signal", "tail", "condition", "scope", "path", "image", "part"]
)
def test_empty_is_not_set(spec):
    assert read(spec, "") == []


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        *(("i", t) for t in ("+1", "1.0", "1e3", "0x10", " 1", "1 ", "--1", "1_0", "٣", "2147483648", "-2147483649", "9" * 40)),
        *(("l", t) for t in ("9223372036854775808", "-9223372036854775809")),
        *(("u", t) for t in ("-1", "4294967296")),
        *(("t", t) for t in ("10m", "2024-01-01", "2024-01-01T00:00:00Z", "-1", "1e9", "1.", ".5", "1.1234567890", "01", "1,5", "now")),
        *(("p", t) for t in ("linux/arm64/v8/x", "/linux", "linux//v8", "linux amd64", '{"os":"linux"}')),
        *(("j", t) for t in ("linux/amd64", "[]", "1", '{"os":"linux"}', '{"os":"linux","architecture":"a","x":1}', '{"os":1,"architecture":"a"}')),
        *(("j", t) for t in ('{"OS":"linux","architecture":"a"}', '{"os":"linux","os":"windows","architecture":"a"}')),
        *(("s", t) for t in ("a\nb", "a\x1bb", "a\x7f")),
        *(("ref", t) for t in ("a b", "../x", "a/b", "a%2fb", "-a", "a\\b")),
        *(("signal", t) for t in ("SIG KILL", "9;1", "A" * 17)),
        *(("tail", t) for t in ("ALL", "1k", "+5")),
        *(("ps", t) for t in ("-o pid;id", "$(id)", "`id`", "a" * 65, "--\n")),
        *(("condition", t) for t in ("Removed", "running")),
        ("path", "/a\nb"),
        ("lines", "ENV A=\x00"),
    ],
)  # fmt: skip
def test_other_values_are_refused_with_the_name(spec, text):
    with pytest.raises(Refusal) as refused:
        read(spec, text)
    assert refused.value.status == 400
    assert "'x'" in refused.value.message or "platform" in refused.value.message


@given(st.sampled_from(sorted(set(KINDS) - {"b", "j"})), st.text(max_size=12))
def test_what_is_written_is_read_back_the_same(spec, text):
    try:
        written = read(spec, text)
    except Refusal:
        return
    assert read(spec, *(value for _, value in written)) == written


def filters(operation: str, value: object, version=(1, 55)):
    return Parameters([("filters", json.dumps(value))], read_parameters(operation, {"filters": "f"}), version).filters()


def test_both_forms_of_filters_are_one():
    expected = {"exited": ["7"], "status": ["running"], "network": []}
    assert filters("ContainerList", {"exited": ["7"], "status": ["running"], "network": []}) == expected
    assert filters("ContainerList", {"exited": {"7": True}, "status": {"running": True}, "network": {}}) == expected
    assert filters("ContainerList", None) == {}


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1700000000", "1700000000.000000000"),
        ("1700000000.5", "1700000000.500000000"),
        ("2023-11-14T22:13:20Z", "1700000000.000000000"),
        ("2023-11-14T23:13:20+01:00", "1700000000.000000000"),
        ("1h", "1699996400.000000000"),
        ("1m30.5s", "1699999909.500000000"),
        ("999999h", "0.000000000"),
    ],
)
def test_times_in_filters_are_written_as_unix_seconds(monkeypatch, text, written):
    monkeypatch.setattr("hostadmin.guard.kinds.now", lambda: datetime.fromtimestamp(1_700_000_000, UTC))
    for operation in ("ImageList", "ContainerPrune", "NetworkPrune", "ImagePrune"):
        assert filters(operation, {"until": [text]}) == {"until": [written]}
        assert filters(operation, {"until": [written]}) == {"until": [written]}


@pytest.mark.parametrize("text", ["", "yesterday", "-", "2023-13-01", "1h 1m", "1e9h", "9" * 40])
def test_what_is_no_time_is_refused_in_the_engines_words(text):
    with pytest.raises(Refusal, match="failed to parse value as time or duration|month must be"):
        filters("ImageList", {"until": [text]})


@pytest.mark.parametrize(
    ("operation", "value"),
    [
        ("ContainerList", {"name": {"a": 1}}),
        ("ContainerList", {"name": {"a": {"b": True}}}),
        ("ContainerList", {"name": {"a": False}}),
        ("ContainerList", {"name": {"a": True, "b": False}}),
        ("ContainerList", {"name": 1}),
        ("ContainerList", {"name": "a"}),
        ("ContainerList", {"name": None}),
        ("ContainerList", {"name": [1]}),
        ("ContainerList", {"name": [True]}),
        ("ContainerList", {"label": ["a\nb"]}),
    ],
)
def test_filter_values_of_another_kind_are_refused_with_the_key(operation, value):
    with pytest.raises(Refusal) as refused:
        filters(operation, value)
    assert refused.value.status == 400
    assert repr(next(iter(value))) in refused.value.message


def test_filters_in_both_forms_at_once_are_refused():
    with pytest.raises(Refusal, match="all maps or all lists"):
        filters("ContainerList", {"name": ["a"], "status": {"running": True}})


@pytest.mark.parametrize("operation", FILTERS)
def test_unknown_filter_keys_are_refused_in_the_engines_words(operation):
    for key in ("owner", "LABEL", "label ", ""):
        with pytest.raises(Refusal, match=f"Invalid filter '{key}'"):
            filters(operation, {key: ["x"]})


def test_a_filter_key_newer_than_the_version_is_unknown():
    assert filters("VolumePrune", {"all": ["1"]}, (1, 42)) == {"all": ["1"]}
    with pytest.raises(Refusal, match="Invalid filter 'all'"):
        filters("VolumePrune", {"all": ["1"]}, (1, 41))
