"""What was parsed and written anew is parsed as the same again: targets, queries, filters, JSON documents of the schemas."""

import json
from typing import Any

from hypothesis import given, strategies as st

from hostadmin.guard import bodies
from hostadmin.guard.kinds import KINDS
from hostadmin.guard.query import Parameters, build_filters, parse_filters, read_parameters
from hostadmin.guard.refusal import Refusal
from hostadmin.guard.routes import ROUTES, match
from hostadmin.guard.schema import Schema
from hostadmin.guard.strictjson import dump_json, parse_json
from hostadmin.guard.target import build_path, build_query, parse_target

VERSION = (1, 41)
SPELLINGS = [
    "0",
    "1",
    "true",
    "No",
    " none ",
    "-1",
    "007",
    "1700000000.5",
    "0.0",
    "all",
    "linux/arm64",
    "ctrl-p",
    "SIGTERM",
    "a b+c%",
    "local",
    "T",
    "",
]
TEXT = st.sampled_from(SPELLINGS) | st.text("ab%&=+ ;/:@ä\U0001f600", max_size=8)
NAME = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,20}", fullmatch=True)
SCHEMAS = {
    bodies.CONTAINER_CREATE: {**bodies.CREATE, "HostConfig": bodies.HOST_CONFIG, "NetworkingConfig": bodies.NETWORKING},
    bodies.CONTAINER_UPDATE: bodies.UPDATE,
    bodies.EXEC_CREATE: bodies.EXEC,
    bodies.NETWORK_CREATE: bodies.NETWORK,
    bodies.NETWORK_CONNECT: bodies.CONNECT,
    bodies.VOLUME_CREATE: bodies.VOLUME,
}
LEAVES = st.none() | st.booleans() | st.integers(-2, 1100) | st.sampled_from(["", "a", "/a", "80/tcp", "bridge", "volume", "10.0.0.1", "ä"])
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Name", "Target", "Type", "Test", "Config", "80/tcp", "/a", "HostPort", "max-size", "Soft"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@given(
    st.sampled_from([r for r in ROUTES if "{" in r.template and "{any}" not in r.template]),
    st.lists(st.from_regex(r"[a-z0-9]{2,20}", fullmatch=True), min_size=2, max_size=2),
)
def test_paths(route, names):
    if route.template.startswith("/exec/"):
        names = ["0f" * 32, "f0" * 32]
    segments = [names.pop() if word.startswith("{") else word for word in route.template[1:].split("/")]
    first = match(route.method, parse_target(build_path(VERSION, segments))[0])
    given_, version, pairs = parse_target(build_path(VERSION, segments))
    assert (version, pairs, match(route.method, given_)) == (VERSION, [], first)
    assert list(first[1]) == [s for s, word in zip(segments, route.template[1:].split("/"), strict=True) if word.startswith("{")]


@given(st.sampled_from(sorted(KINDS)), st.lists(TEXT, min_size=1, max_size=3))
def test_queries(kind, texts):
    known = read_parameters("Test", {"x": f"{kind}*"})
    try:
        written = Parameters([("x", text) for text in texts], known, VERSION).pairs("x")
    except Refusal:
        return
    _, _, again = parse_target("/a" + build_query(written))
    assert again == written
    if kind != "moment":  # a duration is read against the clock
        assert Parameters(again, known, VERSION).pairs("x") == written


@given(st.dictionaries(NAME, st.lists(TEXT.filter(lambda t: "\0" not in t), max_size=3, unique=True), max_size=4), st.booleans())
def test_filters(filters, as_map):
    sent = {k: dict.fromkeys(v, True) for k, v in filters.items()} if as_map else filters
    read = parse_filters(json.dumps(sent))
    assert read == filters
    _, _, pairs = parse_target("/a" + build_query(build_filters(read)))
    assert (parse_filters(pairs[0][1]) if pairs else {}) == read


@given(st.data())
def test_documents(data):
    schema = data.draw(st.sampled_from(list(SCHEMAS)))
    document = _document(data, SCHEMAS[schema])
    checked = _checked(schema, document)
    if checked is not None:
        assert _checked(schema, parse_json(dump_json(checked))) == checked


def _document(data: Any, members: Any) -> dict[str, Any]:
    names = data.draw(st.lists(st.sampled_from(sorted(members)), max_size=4, unique=True))
    return {n: _document(data, members[n]) if isinstance(members[n], dict) else data.draw(VALUES) for n in names}


def _checked(schema: Schema, value: Any) -> Any:
    try:
        return schema(value, version=VERSION)
    except Refusal:
        return None
