"""The table is complete: every operation of the Engine API, and the undocumented routes, is decided once."""

from collections import Counter
from pathlib import Path

import pytest

from hostadmin.guard.refusal import Refusal
from hostadmin.guard.routes import ROUTES, Rule, match
from hostadmin.guard.rules import HANDLERS

OPERATIONS = [
    tuple(line.split("\t"))
    for line in (Path(__file__).parent / "engine_operations.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
UNDOCUMENTED = {
    ("POST", "/build/cancel"),
    ("POST", "/grpc"),
    ("GET", "/containers/{id}/checkpoints"),
    ("POST", "/containers/{id}/checkpoints"),
    ("DELETE", "/containers/{id}/checkpoints/{checkpoint}"),
    ("GET", "/debug/vars"),
    ("GET", "/debug/pprof"),
    ("GET", "/debug/pprof/cmdline"),
    ("GET", "/debug/pprof/profile"),
    ("GET", "/debug/pprof/symbol"),
    ("GET", "/debug/pprof/trace"),
    ("GET", "/debug/pprof/{name}"),
}


def test_every_operation_of_the_engine_is_one_row():
    ours = {(r.method, r.template, r.operation) for r in ROUTES}
    missing = set(OPERATIONS) - ours
    assert not missing, f"undecided operations of the Engine API, add a row for each: {sorted(missing)}"
    assert len(OPERATIONS) == 108


def test_only_known_undocumented_routes_stand_beside_them_and_they_refuse():
    known = {(m, p) for m, p, _ in OPERATIONS}
    rest = [r for r in ROUTES if (r.method, r.template) not in known]
    assert {(r.method, r.template) for r in rest} == UNDOCUMENTED
    assert {r.rule for r in rest} == {Rule.REFUSED}


def test_no_row_stands_twice():
    assert max(Counter((r.method, r.template) for r in ROUTES).values()) == 1
    assert max(Counter(r.operation for r in ROUTES).values()) == 1


def test_every_rule_word_has_a_function_and_is_used():
    assert set(HANDLERS) == set(Rule) == {r.rule for r in ROUTES}


def test_rows_that_refuse_say_why():
    assert all(r.reason for r in ROUTES if r.rule is Rule.REFUSED)


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: r.operation)
def test_a_row_matches_its_own_path(route):
    path = route.template.replace("{id}", "abc").replace("{name}", "abc").replace("{checkpoint}", "c1")
    found, params = match(route.method, path[1:].split("/"))
    assert found is route
    assert len(params) == route.template.count("{")


@pytest.mark.parametrize(
    ("method", "path", "operation", "params"),
    [
        ("GET", "images/registry.local:5000/a/b:1/json", "ImageInspect", ("registry.local:5000/a/b:1",)),
        ("GET", "images/a/get/json", "ImageInspect", ("a/get",)),
        ("GET", "images/get", "ImageGetAll", ()),
        ("DELETE", "images/a/b", "ImageDelete", ("a/b",)),
        ("GET", "containers/json", "ContainerList", ()),
        ("GET", "containers/%61/json", "ContainerInspect", ("a",)),
    ],
)
def test_names_with_slashes_are_for_images_only(method, path, operation, params):
    route, found = match(method, path.split("/"))
    assert (route.operation, found) == (operation, params)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "containers/a/b/json"),
        ("POST", "containers/json"),
        ("PATCH", "containers/json"),
        ("GET", "containers"),
        ("GET", "%63ontainers/json"),
        ("OPTIONS", "containers/json"),
        ("GET", "networks/a/b"),
    ],
)
def test_what_matches_no_row_is_refused(method, path):
    with pytest.raises(Refusal) as refused:
        match(method, path.split("/"))
    assert refused.value.status == 404
