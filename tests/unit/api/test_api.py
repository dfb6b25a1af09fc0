"""Every endpoint asks who calls; refusals are problems; nothing of a password comes back."""

from types import SimpleNamespace

import pytest
from fastapi import Depends
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from hostadmin.api.application import BODY_MAX, create_app
from hostadmin.api.auth import permitted
from hostadmin.api.permissions import PERMISSIONS, Permission
from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Journal, Target
from hostadmin.core.values import system_actor
from hostadmin.host.peers import Peer, Place

ADMIN_ONLY = {operation for operation, permission in PERMISSIONS.items() if permission is Permission.ADMIN}


class Refusing:
    """Services that must not be reached."""

    def __getattr__(self, name):
        raise AssertionError(f"a service was reached: {name}")


class AsPeer:
    """Puts a peer into each request's state, as the socket does."""

    def __init__(self, app, peer):
        self.app, self.peer = app, peer

    async def __call__(self, scope, receive, send):
        scope.setdefault("state", {})["peer"] = self.peer
        await self.app(scope, receive, send)


def routes():
    found = []

    def walk(items):
        for route in items:
            if isinstance(route, APIRoute):
                found.append(route)
            for inner in (getattr(route, "original_router", None), getattr(route, "router", None)):
                if inner is not None and hasattr(inner, "routes"):
                    walk(inner.routes)

    walk(create_app(SimpleNamespace()).routes)
    return found


def depends_on(route, function):
    return any(d.call is function for d in route.dependant.dependencies)


def test_every_endpoint_has_a_permission():
    """The table against the routes themselves: none is missing, none is too much, all but health ask it."""
    known = routes()
    assert len(known) > 40
    assert sorted(route.operation_id for route in known) == sorted(PERMISSIONS)
    for route in known:
        assert depends_on(route, permitted) is (PERMISSIONS[route.operation_id] is not Permission.ANYBODY), route.operation_id


def test_what_is_not_for_the_administrator_only():
    """Whoever adds to this opens something to every student: said twice on purpose."""
    assert set(PERMISSIONS) - ADMIN_ONLY == {"health.live", "health.ready", "me.whoami", "me.quota", "me.objects"}


def test_an_endpoint_that_is_not_in_the_table_is_for_nobody():
    api = create_app(Refusing())
    api.add_api_route("/new", lambda actor: None, dependencies=[Depends(permitted)], operation_id="new.one")
    answer = TestClient(AsPeer(api, Peer(5, 0, 0, Place.HOST))).get("/new?actor=x")
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:hostadmin:not-admin")


@pytest.mark.parametrize("path", ["/api/v1/me", "/api/v1/me/quota", "/api/v1/me/containers"])
@pytest.mark.parametrize(
    "peer", [Peer(5, 0, 0, Place.CONTAINER, container="a" * 64), Peer(5, 1, 1, Place.NAMESPACE), Peer(5, 4242424, 1, Place.HOST)]
)
def test_who_cannot_be_told_has_nothing_of_their_own(peer, path):
    answer = TestClient(AsPeer(create_app(Refusing()), peer)).get(path)
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:hostadmin:unknown-caller")


@pytest.mark.parametrize(
    "peer",
    [
        Peer(5, 2000, 2000, Place.HOST),
        Peer(5, 0, 0, Place.CONTAINER, container="a" * 64),
        Peer(5, 0, 0, Place.NAMESPACE),
        Peer(0, 0, 0, Place.UNKNOWN),
    ],
    ids=["a student", "root in a container", "root in a namespace", "nobody can tell"],
)
@pytest.mark.parametrize("route", [r for r in routes() if r.operation_id in ADMIN_ONLY], ids=lambda r: r.operation_id)
def test_only_root_of_the_host_is_admin(peer, route):
    client = TestClient(AsPeer(create_app(Refusing()), peer))
    path = route.path if route.path.startswith("/api") else "/api/v1" + route.path
    path = (
        path.replace("{seq}", "1")
        .replace("{login}", "x")
        .replace("{ref:path}", "x")
        .replace("{ref}", "x")
        .replace("{job}", "x")
        .replace("{name}", "x")
    )
    bodies = {"user.add": {"login": "x"}, "user.set": {}, "user.passwd": {"password": "secret-one"}, "cleanup.run": {}}
    body = bodies.get(route.operation_id, {"login": None} if route.operation_id.endswith(".owner") else {"policy": "no"})
    method = next(iter(route.methods))
    answer = client.request(method, path, json=body if method in ("POST", "PUT", "PATCH") else None)
    assert answer.status_code == 403, answer.text
    assert answer.json()["type"] == "urn:hostadmin:not-admin"
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("value", [20000, 1.5, "20001", "1798675200", "2026-13-45", "2026-02-30", "tomorrow", "2026-11-24T00:00:00", True])
def test_only_iso_dates_are_dates(value):
    client = TestClient(AsPeer(create_app(Refusing()), Peer(5, 0, 0, Place.HOST)))
    assert client.post("/api/v1/users", json={"login": "x", "expires": value}).status_code == 422


@pytest.mark.parametrize("path", ["/api/v1/users", "/api/v1/rosters?filename=x.csv&ends=2026-13-45"])
def test_a_wrong_day_is_told_as_in_a_roster(path):
    answer = as_root().post(path, json={"login": "x", "expires": "2026-13-45"})
    assert "there is no month 13" in answer.json()["detail"]


def test_an_empty_roster_reaches_whoever_says_what_is_wrong_with_it():
    planned = []
    rosters = SimpleNamespace(plan=lambda data, filename, **_more: planned.append((data, filename)) or {})
    assert as_root(SimpleNamespace(rosters=rosters)).post("/api/v1/rosters?filename=x.csv").status_code == 201
    assert planned == [(b"", "x.csv")]


def test_a_wrong_body_never_comes_back():
    client = TestClient(AsPeer(create_app(Refusing()), Peer(5, 0, 0, Place.HOST)))
    answer = client.post("/api/v1/users", json={"login": 7, "password": "Oracle098#", "extra": "Oracle098#"})
    assert answer.status_code == 422
    assert "Oracle098#" not in answer.text
    assert {e["pointer"] for e in answer.json()["errors"]} == {"body/login", "body/extra"}


def as_root(app=None):
    return TestClient(AsPeer(create_app(app or Refusing()), Peer(5, 0, 0, Place.HOST)), raise_server_exceptions=False)


def test_a_failure_of_ours_is_a_problem_without_its_cause():
    answer = as_root().get("/api/v1/users")  # Refusing raises
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:hostadmin:failed")
    assert "reached" not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_large_body_is_refused_before_anything_is_read_of_it():
    answer = as_root().post("/api/v1/users", content=b"x" * (BODY_MAX + 1), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:hostadmin:body-too-large")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/api/v1/nothing", 404, "not-found"),
        ("GET", "/api/v1/users/", 404, "not-found"),
        ("DELETE", "/api/v1/users", 405, "method-not-allowed"),
        ("GET", "/docs", 404, "not-found"),
        ("GET", "/redoc", 404, "not-found"),
    ],
)
def test_what_is_not_there_is_a_problem(method, path, status, kind):
    answer = as_root().request(method, path)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:hostadmin:{kind}")


@pytest.mark.parametrize(
    "path",
    ["/0", "/99999999999999999999", "/x", "?before=99999999999999999999", "?after=-1", "?limit=x", "?since=yesterday", "?since=99999"],
)
def test_numbers_and_times_of_the_audit_are_checked(path):
    answer = as_root().get(f"/api/v1/audit{path}")
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:hostadmin:validation")


@pytest.fixture
def recorded(database):
    journal = Journal(database, "service")
    for name in ("a", "b", "c"):
        journal.event(Entry(system_actor("system"), Action.USER_ADD, Target("user", None, name)))
    return as_root(SimpleNamespace(database=database))


def test_the_audit_is_paged_by_its_numbers(recorded):
    pages, before = [], ""
    while True:
        answer = recorded.get(f"/api/v1/audit?limit=1{before}").json()
        if not answer["items"]:
            break
        pages.append(answer["items"][0]["object_name"])
        before = f"&before={answer['next']}"
    assert pages == ["c", "b", "a"]
    assert answer["next"] is None
    assert [r["object_name"] for r in recorded.get("/api/v1/audit?after=1").json()["items"]] == ["b", "c"]


@pytest.mark.parametrize(("since", "count"), [("2020-01-01", 3), ("2999-01-01T00:00", 0), ("2020-01-01T00:00:00%2B01:00", 3)])
def test_since_takes_dates_times_and_zones(recorded, since, count):
    assert len(recorded.get(f"/api/v1/audit?since={since}").json()["items"]) == count


def test_the_description_is_served_and_names_every_operation_once():
    described = as_root().get("/api/v1/openapi.json").json()
    names = [operation["operationId"] for path in described["paths"].values() for operation in path.values()]
    assert sorted(names) == sorted(PERMISSIONS)
