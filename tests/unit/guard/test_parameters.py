"""Every documented parameter and header of an allowed operation is in its row, from the version that brought it."""

from pathlib import Path

import pytest

from hostadmin.guard.filters import FILTERS
from hostadmin.guard.headers import FORWARDED
from hostadmin.guard.query import NEVER, OLDEST, Parameters
from hostadmin.guard.refusal import Refusal
from hostadmin.guard.routes import REFUSING, ROUTES, Route, Rule
from hostadmin.guard.target import VERSION_HIGHEST

DOCUMENTED = [
    tuple(line.split("\t"))
    for line in (Path(__file__).parent / "engine_parameters.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
ROWS = {(r.method, r.template): r for r in ROUTES}
DECIDING = {r.operation: r for r in ROUTES if r.rule not in REFUSING and r.rule is not Rule.EMPTY_LIST}
NOT_FORWARDED = {("ImageBuild", "Content-type"): "hostadmin writes the build context anew and says what it is"}
UNDOCUMENTED = {
    ("ContainerList", "trunc_cmd"): "docker-py sends it, the engine ignores it",
    ("ContainerList", "since"): "read by engines up to 20.10; resolved like the filter",
    ("ContainerList", "before"): "read by engines up to 20.10; resolved like the filter",
    ("ContainerLogs", "details"): "read by the engine; the CLI sends it",
    ("ImageList", "only_ids"): "docker-py sends it, the engine ignores it",
    ("SystemEvents", "stream"): "aiodocker sends it, the engine ignores it",
    ("ImageTag", "force"): "old clients send it, the engine ignores it",
    ("ImageBuild", "cgroupparent"): "the CLI sends it; taken only empty",
    ("ImageBuild", "cpusetmems"): "the CLI sends it",
    ("ImageBuild", "ulimits"): "the CLI sends it",
    ("ImageBuild", "isolation"): "the CLI sends it; taken only empty",
    ("ImageBuild", "securityopt"): "the CLI sends it; taken only empty",
    ("ImageBuild", "session"): "BuildKit; taken only empty",
    ("ImageBuild", "buildid"): "the CLI sends it; dropped",
    ("NetworkListSlash", "filters"): "the same as NetworkList",
}
KINDS_OF_TYPE = {"boolean": {"b", "bool"}, "integer": {"i", "l", "u", "t"}}


def kind(route: Route, name: str) -> str:
    return route.query[name].partition("@")[0].partition("*")[0]


def test_the_list_is_whole():
    assert len(DOCUMENTED) == 186
    assert {(m, p) for m, p, *_ in DOCUMENTED} <= set(ROWS)


@pytest.mark.parametrize(("method", "path", "where", "name", "type_", "since"), [line[:6] for line in DOCUMENTED])
def test_a_documented_parameter_is_decided(method, path, where, name, type_, since):
    row = ROWS[method, path]
    if row.operation not in DECIDING:
        return
    if where == "header":
        assert name in FORWARDED.get(row.operation, ()) or (row.operation, name) in NOT_FORWARDED
        return
    assert name in row.query, f"{row.operation} does not decide {name!r}"
    found = row.parameters[name]
    if found.refused:
        return
    assert max(found.since, row.since) == int(since), f"{row.operation} takes {name!r} from the wrong version"
    assert (type_ == "array") == (found.many_from < NEVER) or (row.operation, name) in REPEATED
    if found.read is not None and type_ in KINDS_OF_TYPE:
        assert kind(row, name) in KINDS_OF_TYPE[type_]


REPEATED = {  # documented as text, read by the engine as a list (moby daemon/server/router: r.Form[...])
    ("ImageBuild", "t"),
    ("ImageBuild", "extrahosts"),
    ("ImageCommit", "changes"),
}


def test_nothing_else_is_taken_than_what_is_documented_or_named_here():
    documented = {(ROWS[m, p].operation, n) for m, p, where, n, *_ in DOCUMENTED if where == "query"}
    ours = {(r.operation, name) for r in DECIDING.values() for name in r.query}
    assert ours - documented == set(UNDOCUMENTED)


def test_every_row_with_filters_knows_its_keys():
    assert {r.operation for r in ROUTES if r.query.get("filters") == "f"} <= set(FILTERS)


PROBES = {
    "part": "image",
    "b": "1",
    "i": "1",
    "l": "1",
    "u": "1",
    "t": "1",
    "j": '{"os":"linux","architecture":"arm64"}',
    "p": "linux/arm64",
    "f": "{}",
}
NEWER = [
    (route, name, found.since)
    for route in DECIDING.values()
    for name, found in route.parameters.items()
    if found.since > max(OLDEST, route.since)
]


@pytest.mark.parametrize(("route", "name", "since"), NEWER, ids=lambda v: getattr(v, "operation", v))
def test_a_parameter_does_not_reach_an_engine_in_a_version_that_does_not_know_it(route, name, since):
    value = PROBES.get(kind(route, name), "1")
    now = Parameters([(name, value)], route.parameters, (1, since))
    assert name in now.values
    try:
        before = Parameters([(name, value)], route.parameters, (1, since - 1))
    except Refusal as refused:
        assert (refused.status, repr(name) in refused.message, f"1.{since}" in refused.message) == (400, True, True)
    else:
        assert route.parameters[name].ignored_before
        assert before.values == {}


@pytest.mark.parametrize("route", DECIDING.values(), ids=lambda r: r.operation)
def test_an_unknown_parameter_is_refused_by_its_name_on_every_row(route):
    for name in ("checkpoint-dir", "fromSrc2", "Filters", "filters[]", " all", "all\0"):
        with pytest.raises(Refusal) as refused:
            Parameters([(name, "1")], route.parameters, VERSION_HIGHEST)
        assert (refused.value.status, repr(name) in refused.value.message) == (400, True)


@pytest.mark.parametrize("route", DECIDING.values(), ids=lambda r: r.operation)
def test_a_parameter_given_twice_is_refused_unless_the_row_says_so(route):
    for name, found in route.parameters.items():
        if found.read is None:
            continue
        pairs = [(name, PROBES.get(kind(route, name), ""))] * 2
        if found.many_from < NEVER:
            assert len(Parameters(pairs, route.parameters, VERSION_HIGHEST).values[name]) == 2
        else:
            with pytest.raises(Refusal, match="given twice"):
                Parameters(pairs, route.parameters, VERSION_HIGHEST)


def test_several_platforms_need_the_version_that_takes_several():
    save = DECIDING["ImageGetAll"].parameters
    pairs = [("platform", '{"os":"linux","architecture":"amd64"}'), ("platform", '{"os":"linux","architecture":"arm64"}')]
    assert len(Parameters(pairs, save, (1, 52)).texts("platform")) == 2
    with pytest.raises(Refusal, match="given twice"):
        Parameters(pairs, save, (1, 51))


def test_a_parameter_that_is_never_taken_says_why():
    with pytest.raises(Refusal) as refused:
        Parameters([("platforms", '{"os":"linux","architecture":"amd64"}')], DECIDING["ImageDelete"].parameters)
    assert refused.value.status == 403
    assert "'platforms' is not allowed here: " in refused.value.message
    assert Parameters([("platforms", "")], DECIDING["ImageDelete"].parameters).values == {}
