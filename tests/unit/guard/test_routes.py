"""The table is complete: every operation of the Engine API, and the undocumented routes, is decided once."""

from collections import Counter
from pathlib import Path

import pytest

from hostadmin.guard.refusal import Refusal
from hostadmin.guard.routes import ROUTES, Rule, match
from hostadmin.guard.rules import HANDLERS
from hostadmin.guard.target import decode

OPERATIONS = [
    tuple(line.split("\t"))
    for line in (Path(__file__).parent / "engine_operations.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
UNDOCUMENTED = {  # as moby's daemon/server/router registers them
    ("OPTIONS", "/{any}"),
    ("GET", "/networks/"),
    ("POST", "/build/cancel"),
    ("POST", "/grpc"),
    ("GET", "/containers/{id}/checkpoints"),
    ("POST", "/containers/{id}/checkpoints"),
    ("DELETE", "/containers/{id}/checkpoints/{checkpoint}"),
    ("GET", "/debug/vars"),
    ("GET", "/debug/pprof/"),
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


def test_only_known_undocumented_routes_stand_beside_them():
    known = {(m, p) for m, p, _ in OPERATIONS}
    rest = [r for r in ROUTES if (r.method, r.template) not in known]
    assert {(r.method, r.template) for r in rest} == UNDOCUMENTED
    assert {r.operation for r in rest if r.rule is not Rule.REFUSED} == {"NetworkListSlash"}


def test_no_row_stands_twice():
    assert max(Counter((r.method, r.template) for r in ROUTES).values()) == 1
    assert max(Counter(r.operation for r in ROUTES).values()) == 1


def test_every_rule_word_has_a_function_and_is_used():
    assert set(HANDLERS) == set(Rule) == {r.rule for r in ROUTES}


def test_rows_that_refuse_say_why():
    assert all(r.reason for r in ROUTES if r.rule is Rule.REFUSED)


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: r.operation)
def test_a_row_matches_its_own_path(route):
    name = "a" * 64 if route.template.startswith("/exec/") else "abc"
    path = route.template.replace("{id}", name).replace("{name}", name).replace("{checkpoint}", "c1").replace("{any}", name)
    found, params = match(route.method, path[1:].split("/"))
    assert found is route
    assert len(params) == route.template.count("{")


@pytest.mark.parametrize(
    ("method", "path", "operation", "params"),
    [
        ("GET", "images/registry.local:5000/a/b:1/json", "ImageInspect", ("registry.local:5000/a/b:1",)),
        ("GET", "images/a/get/json", "ImageInspect", ("a/get",)),
        ("GET", "images/a%2Fb%40sha256%3A" + "0" * 64 + "/json", "ImageInspect", ("a/b@sha256:" + "0" * 64,)),
        ("GET", "images/sha256:abcdef/json", "ImageInspect", ("sha256:abcdef",)),
        ("GET", "containers/%2Fweb/json", "ContainerInspect", ("/web",)),
        ("GET", "networks/", "NetworkListSlash", ()),
        ("OPTIONS", "containers/json", "Options", ("containers/json",)),
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
        ("GET", "networks/a/b"),
        ("GET", "containers/json/"),
        ("GET", "volumes/"),
        ("POST", "networks/"),
        ("POST", "containers/abc/copy"),
        ("GET", "v1.41/info"),
        ("GET", "containers/json%00"),
        ("GET", "containers/json%2f"),
        ("POST", "images/create%3ffromSrc=x"),
    ],
)
def test_what_matches_no_row_is_refused(method, path):
    with pytest.raises(Refusal) as refused:
        match(method, path.split("/"))
    assert refused.value.status == 404


ANSWERS = {
    "containers/{}/json": (404, "No such container: {}"),
    "exec/{}/json": (404, "No such exec instance: {}"),
    "networks/{}": (404, "network {} not found"),
    "volumes/{}": (404, "get {}: no such volume"),
    "images/{}/json": (400, "invalid reference format"),
    "distribution/{}/json": (400, "invalid reference format"),
    "plugins/{}/json": (400, "invalid reference format"),
    "services/{}": (404, "page not found"),
}


@pytest.mark.parametrize("template", ANSWERS)
@pytest.mark.parametrize(
    "name",
    ["%2e%2e", "..%2f..%2finfo", "a%20b", "a%5cb", "a%0ab", "a%2525", "%c3%a4", "a%3fall=1", "a%23", "-a", "%2f%2fa", "a%7f", "%ef%bc%8f"],
)
def test_a_name_that_cannot_be_one_is_answered_before_anything_is_asked(template, name):
    status, text = ANSWERS[template]
    with pytest.raises(Refusal) as refused:
        match("GET", template.format(name).split("/"))
    assert (refused.value.status, refused.value.message) == (status, text.format(decode(name)))


@pytest.mark.parametrize("name", ["%2", "%zz", "%ff", "%00", "%c0%ae"])
def test_malformed_escapes_are_refused(name):
    with pytest.raises(Refusal) as refused:
        match("GET", f"containers/{name}/json".split("/"))
    assert refused.value.status == 400


def test_an_operation_is_refused_before_the_version_that_brought_it():
    route, _ = match("GET", ["images", "abc", "attestations"])
    route.check_version((1, 55))
    with pytest.raises(Refusal, match="requires minimum API version 1.55"):
        route.check_version((1, 54))
    assert {r.operation for r in ROUTES if r.since > 41} == {"ImageAttestations", "VolumeUpdate"}
