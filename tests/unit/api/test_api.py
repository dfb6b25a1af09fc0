"""Every endpoint asks who calls; refusals are problems; nothing of a password comes back."""

from types import SimpleNamespace

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from hostadmin.api.application import create_app
from hostadmin.api.auth import admin, myself
from hostadmin.host.peers import Peer, Place

ANYBODY = {"health.live", "health.ready"}
SELF = {"me.whoami", "me.objects"}


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
    known = routes()
    assert len(known) > 40
    for route in known:
        kinds = {"admin": depends_on(route, admin), "self": depends_on(route, myself)}
        wanted = "none" if route.operation_id in ANYBODY else "self" if route.operation_id in SELF else "admin"
        assert kinds == {"admin": wanted == "admin", "self": wanted == "self"}, route.operation_id


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
@pytest.mark.parametrize("route", [r for r in routes() if r.operation_id not in ANYBODY | SELF], ids=lambda r: r.operation_id)
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


@pytest.mark.parametrize("value", [20000, 1.5, "20001", "2026-13-45", "2026-02-30", "tomorrow", "2026-11-24T00:00:00", True])
def test_only_iso_dates_are_dates(value):
    client = TestClient(AsPeer(create_app(Refusing()), Peer(5, 0, 0, Place.HOST)))
    assert client.post("/api/v1/users", json={"login": "x", "expires": value}).status_code == 422


def test_a_wrong_body_never_comes_back():
    client = TestClient(AsPeer(create_app(Refusing()), Peer(5, 0, 0, Place.HOST)))
    answer = client.post("/api/v1/users", json={"login": 7, "password": "Oracle098#", "extra": "Oracle098#"})
    assert answer.status_code == 422
    assert "Oracle098#" not in answer.text
    assert {e["pointer"] for e in answer.json()["errors"]} == {"body/login", "body/extra"}
