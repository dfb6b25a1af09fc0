"""Targets, queries and JSON: one reading, or none."""

import json

import pytest
from hypothesis import given, strategies as st

from hostadmin.guard.query import Parameters, build_filters, parse_filters, read_parameters
from hostadmin.guard.refusal import Refusal
from hostadmin.guard.strictjson import dump_json, parse_json
from hostadmin.guard.target import build_path, build_query, check_version, parse_query, parse_target


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/v1.41/containers/json?all=1", (["containers", "json"], (1, 41), [("all", "1")])),
        ("/_ping", (["_ping"], None, [])),
        ("/v1.51/images/a%2fb/json", (["images", "a%2fb", "json"], (1, 51), [])),
        ("/v1.99/networks/", (["networks", ""], (1, 99), [])),
        ("/v%31.41/info", (["v%31.41", "info"], None, [])),
        ("/events?filters=%7B%7D&since=", (["events"], None, [("filters", "{}"), ("since", "")])),
    ],
)
def test_targets(target, expected):
    assert parse_target(target) == expected


@pytest.mark.parametrize(
    "target",
    ["containers", "//containers/json", "/./containers", "/x/../containers", "/a//b", "/a#b", "/a\\b", "http://x/containers/json", "*", "/", "/v1.41", "/v1.41/", "//",
     "/v1.041/containers/json", "/v01.41/info", "/v1.41.0/info", "/v1/info", "/v1./info", "/v/../info", "/networks//", "/a/./", "/a?b=%zz", "/a?b=%ff", "/a?b=1;c=2", "/a?b=%00"],
)  # fmt: skip
def test_other_targets_are_refused(target):
    with pytest.raises(Refusal):
        parse_target(target)


def test_version_edges_are_told_in_the_engines_words():
    window = {"lowest": (1, 44), "highest": (1, 51)}
    check_version((1, 44), **window)
    check_version((1, 51), **window)
    with pytest.raises(Refusal) as old:
        check_version((1, 43), **window)
    assert old.value.message == (
        "client version 1.43 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version"
    )
    with pytest.raises(Refusal) as new:
        check_version((2, 0), **window)
    assert new.value.message == "client version 2.0 is too new. Maximum supported API version is 1.51"


@given(st.lists(st.tuples(st.text("ab%&=+ ;\u00e4", min_size=1), st.text("ab%&=+ ;\u00e4")), max_size=5))
def test_a_query_that_we_write_is_read_back_the_same(pairs):
    assert parse_query(build_query(pairs)[1:]) == pairs


def test_paths_are_written_canonically():
    assert build_path((1, 41), ["images", "a/b:c", "json"]) == "/v1.41/images/a/b:c/json"
    assert build_path((1, 41), ["containers", "a b?", "json"]) == "/v1.41/containers/a%20b%3F/json"


def test_parameters():
    known = read_parameters("Test", {"all": "b", "limit": "i", "t": "s*", "drop": "-"})
    found = Parameters([("all", "True"), ("limit", "-1"), ("t", "a"), ("t", "b"), ("drop", "x")], known)
    assert (found.flag("all"), found.number("limit"), found.texts("t")) == (True, -1, ["a", "b"])
    assert found.pairs("all", "limit", "t") == [("all", "1"), ("limit", "-1"), ("t", "a"), ("t", "b")]
    for pairs in ([("x", "1")], [("all", "1"), ("all", "1")], [("limit", "1e3")], [("limit", "0x1")]):
        with pytest.raises(Refusal):
            Parameters(pairs, known)


@pytest.mark.parametrize("target", ["/v1.41", "/v1.41?distribution/ownimg:1/json"])
def test_a_version_alone_is_no_page(target):
    with pytest.raises(Refusal) as refused:
        parse_target(target)
    assert refused.value.status == 404


def test_filters_in_both_forms_are_one():
    assert parse_filters('{"label":{"a=b":true,"c":true}}') == parse_filters('{"label": ["a=b", "c"]}') == {"label": ["a=b", "c"]}
    assert json.loads(build_filters({"label": ["a"]})[0][1]) == {"label": {"a": True}}
    with pytest.raises(Refusal):
        parse_filters('{"label":{"a":true},"label":{"b":true}}')


@pytest.mark.parametrize(
    "text",
    ['{"a":1,"a":2}', '{"a":{"b":1,"b":2}}', '{"a":1.0}', '{"a":1e3}', '{"a":NaN}', '{"a":Infinity}', '{"a":99999999999999999999}', '{"a":1} x',
     "", "{", '"\\ud800"', '{"a":"\\u0000"}', "[" * 40 + "]" * 40, "\ufeff{}"],
)  # fmt: skip
def test_json_with_two_readings_is_refused(text):
    with pytest.raises(Refusal):
        parse_json(text.encode("utf-8", "surrogatepass"))


def test_json_that_is_not_utf8_is_refused():
    for data in (b'{"a":"\xff"}', '{"a":1}'.encode("utf-16")):
        with pytest.raises(Refusal):
            parse_json(data)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc"), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_json_that_we_write_is_read_back_the_same(value):
    assert parse_json(dump_json(value)) == value
