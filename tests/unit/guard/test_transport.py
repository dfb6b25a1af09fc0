"""What reaches the engine, byte for byte, seen from a stand-in: rules T9 to T13 of the transport, and bodies (1.2 rule 6)."""

import asyncio
import json

import pytest

from hostadmin.guard.routes import REFUSING, ROUTES, Rule
from tests.unit.guard.standin import EXEC, OWN, StandIn, guarded, shared_database

JSON_BODY = {
    "ContainerCreate",
    "ContainerUpdate",
    "ContainerExec",
    "ExecStart",
    "ImageCommit",
    "NetworkCreate",
    "NetworkConnect",
    "NetworkDisconnect",
    "VolumeCreate",
    "SystemAuth",
}
OPAQUE_BODY = {"PutContainerArchive", "ImageCreate", "ImageLoad", "ImageBuild"}
STREAMS = {"ContainerAttach", "ContainerAttachWebsocket", "SystemEvents"}
PATHS = {"containers": "own", "exec": EXEC, "images": "img", "networks": "net", "volumes": "vol", "distribution": "img", "plugins": "img"}
REQUIRED = {"ImageTag": "?repo=new&tag=1", "ContainerRename": "?name=new", "ImageGetAll": "?names=img", "ImageSearch": "?term=x"}
DECIDING = [r for r in ROUTES if r.rule not in REFUSING and r.rule is not Rule.EMPTY_LIST]
BODILESS = [r for r in DECIDING if r.operation not in JSON_BODY | OPAQUE_BODY | STREAMS]
PLAIN = "Content-Type: text/plain"
FORM = "Content-Type: application/x-www-form-urlencoded"
EVIL = b"signal=EVIL&name=evil&force=1&all=1&h=1&w=1&filters=%7B%22evil%22%3A%5B%5D%7D"
HEADERS = (
    "X-Meta-Evil: evil",
    "Accept-Encoding: gzip",
    "Traceparent: 00-evil",
    "X-Forwarded-For: evil",
    "Authorization: Basic evil",
    "Cookie: evil=1",
    "User-Agent: evil",
    "Accept: evil/evil",
    "Range: bytes=0-1",
    "Connection: keep-alive, Upgrade",
    "Upgrade: h2c",
    "HTTP2-Settings: evil",
    "X-Docker-Expose-Session-Uuid: evil",
)
WRITTEN = {"host", "user-agent", "content-type", "content-length", "transfer-encoding", "x-registry-auth"}


def talk(database, conversation, *, admin=False, engine=None):
    """Carry out a conversation with a guard; return the stand-in behind it."""
    stand_in = engine or StandIn()

    async def main():
        async with guarded(database, stand_in, admin=admin) as connect:
            await conversation(connect)

    asyncio.run(main())
    return stand_in


def path_of(route):
    """Return a path of a row with names that are the caller's."""
    name = PATHS.get(route.template.split("/")[1], "x")
    return route.template.replace("{id}", name).replace("{name}", name) + REQUIRED.get(route.operation, "")


def names_of(request):
    return {line.partition(b":")[0].decode().lower() for line in request.head.split(b"\r\n")[1:] if line}


def test_every_operation_is_in_one_class():
    operations = {r.operation for r in ROUTES}
    assert operations >= JSON_BODY | OPAQUE_BODY | STREAMS
    assert {r.operation for r in BODILESS if r.method in ("PUT", "POST")} <= {
        *("ContainerStart", "ContainerStop", "ContainerRestart", "ContainerKill", "ContainerPause", "ContainerUnpause", "ContainerRename"),
        *("ContainerResize", "ContainerWait", "ExecResize", "ImageTag", "ImagePush"),
        *("ContainerPrune", "ImagePrune", "NetworkPrune", "VolumePrune", "BuildPrune"),
    }


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    yield from shared_database(tmp_path_factory.mktemp("guard"))


@pytest.fixture(scope="module")
def seen(database):
    """Ask for every operation without a body, with a body and with headers that mean nothing; return what the engine got."""
    found = {}

    async def conversation(connect):
        for route in sorted(BODILESS, key=lambda r: (r.operation.endswith("Prune"), r.method == "DELETE")):  # what is gone comes last
            before = len(stand_in.requests)
            client = await connect()
            status, value = await client.call(route.method, f"/v1.41{path_of(route)}", EVIL, PLAIN, *HEADERS)
            client.writer.close()
            found[route.operation] = (status, value, stand_in.requests[before:])

    stand_in = StandIn(newest="1.55")
    talk(database, conversation, engine=stand_in)
    return found


@pytest.mark.parametrize("route", BODILESS, ids=lambda r: r.operation)
def test_an_operation_without_a_body_forwards_none(seen, route):
    status, value, requests = seen[route.operation]
    assert status in (200, 201, 204, 304, 400, 403), (status, value)
    for request in requests:
        assert request.body == b"" or request.head.startswith(b"POST") is False, request
        assert b"evil" not in (request.head + request.body).lower(), request
        assert b"form" not in request.head


@pytest.mark.parametrize("route", BODILESS, ids=lambda r: r.operation)
def test_headers_without_a_meaning_are_dropped(seen, route):
    for request in seen[route.operation][2]:
        assert names_of(request) <= WRITTEN
        assert b"\r\nHost: docker\r\n" in request.head
        assert b"\r\nUser-Agent: hostadmin\r\n" in request.head


@pytest.mark.parametrize("operation", sorted(JSON_BODY & {r.operation for r in DECIDING}))
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"Image=img&Privileged=1", FORM),
        (b'{"Evil":1}', "Content-Type: application/x-www-form-urlencoded"),
        (b'{"Evil":1}', "X-None: 1"),
        (b'{"Evil":1}', "Content-Type: text/plain; charset=utf-16"),
        (b'{"Image":"img","Image":"evil"}', "Content-Type: application/json"),
        (b"[1]", "Content-Type: application/json"),
        (b"{} {}", "Content-Type: application/json"),
    ],
    ids=["form", "form type", "no type", "other charset", "twice", "list", "two"],
)
def test_a_json_body_is_judged_whatever_its_headers_say(database, operation, body, kind):
    route = next(r for r in DECIDING if r.operation == operation)
    answers = []

    async def conversation(connect):
        answers.append(await (await connect()).call(route.method, f"/v1.41{path_of(route)}", body, kind))

    engine = talk(database, conversation)
    assert answers[0][0] == 400, answers
    assert not [r for r in engine.requests if r.method != "GET"]
    if b"Evil" in body:
        assert "Evil" in answers[0][1]["message"]


def test_a_body_that_is_too_large_is_refused_not_skipped(database):
    answers = []

    async def conversation(connect):
        client = await connect()
        body = b'{"Image":"img"' + b" " * (1 << 20) + b"}"
        answers.append(await client.call("POST", "/v1.41/containers/create", body, "Content-Type: application/json"))
        assert await client.ended()

    engine = talk(database, conversation)
    assert answers[0][0] == 413
    assert not [r for r in engine.requests if r.method == "POST"]


def test_a_declared_length_of_none_is_an_empty_body(database):
    """CVE-2024-41110: what follows a body of length 0 is the next request, judged like the first."""
    answers = []

    async def conversation(connect):
        client = await connect()
        client.writer.write(b'POST /v1.41/containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n{"Image":"img"}\r\n\r\n')
        answers.append(await client.answer())
        answers.append(await client.answer())
        assert await client.ended()

    engine = talk(database, conversation)
    assert [a[0] for a in answers] == [400, 400]
    assert not [r for r in engine.requests if r.method == "POST"]


def test_requests_that_are_sent_together_are_judged_one_by_one(database):
    answers = []

    async def conversation(connect):
        client = await connect()
        first = b"GET /v1.41/volumes HTTP/1.1\r\nHost: x\r\n\r\n"
        second = b"POST /v1.41/swarm/init HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
        third = b"GET /v1.41/containers/" + b"e" * 64 + b"/json HTTP/1.1\r\nHost: x\r\n\r\n"
        client.writer.write(first + second + third)
        answers.extend([await client.answer(), await client.answer()])

    engine = talk(database, conversation)
    assert [a[0] for a in answers] == [200, 503]
    assert {r.path for r in engine.requests} <= {"/version", "/volumes"}


def test_a_refused_request_without_a_body_leaves_the_connection_usable(database):
    """As on the engine; whoever sends a body to be refused before it is read begins a new connection."""

    async def conversation(connect):
        client = await connect()
        for method, target, status in (
            ("GET", "/v1.41/volumes?unknown=1", 400),
            ("HEAD", "/v1.41/nothing", 404),
            ("GET", "/v1.99/volumes", 400),
            ("GET", "/v1.41/images/A/json", 400),
            ("GET", "/v1.41/volumes", 200),
        ):
            assert (await client.call(method, target))[0] == status
        client = await connect()
        assert (await client.call("POST", "/v1.41/nothing", b"GET /v1.41/volumes HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 404
        assert await client.ended()

    assert [r.path for r in talk(database, conversation).requests] == ["/version", "/volumes"]


def test_expect_is_answered_and_not_forwarded(database):
    async def conversation(connect):
        client = await connect()
        body = b'{"Name":"new"}'
        head = f"POST /v1.41/volumes/create HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
        client.writer.write(head.encode())
        assert await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 20) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.writer.write(body)
        assert (await client.answer())[0] in (200, 201, 500)

    engine = talk(database, conversation)
    assert all("expect" not in names_of(r) for r in engine.requests)


@pytest.mark.parametrize("admin", [False, True])
@pytest.mark.parametrize("path", ["/containers/json", f"/containers/{OWN}/json", "/volumes"])
def test_asking_for_an_upgrade_means_nothing_on_other_operations(database, admin, path):
    async def conversation(connect):
        for token in ("h2c", "tcp", "websocket"):
            client = await connect()
            status, _ = await client.call(
                "GET", f"/v1.41{path}", b"", "Connection: Upgrade", f"Upgrade: {token}", "HTTP2-Settings: AAMAAABk"
            )
            assert status == 200

    engine = talk(database, conversation, admin=admin)
    assert len(engine.requests) > 1
    for request in engine.requests:
        assert names_of(request) <= WRITTEN


def test_an_administrators_request_is_built_anew_too(database):
    async def conversation(connect):
        client = await connect()
        body = json.dumps({"Image": "img"}).encode()
        target = "/v1.41/containers/create?name=any&new-parameter=%2fx&flag"
        await client.call("POST", target, body, "Content-Type: Application/JSON; charset=x", *HEADERS)

    engine = talk(database, conversation, admin=True)
    made = engine.requests[-1]
    assert made.target == "/v1.41/containers/create?name=any&new-parameter=%2Fx&flag="
    assert made.body == b'{"Image": "img"}'
    assert names_of(made) <= WRITTEN
    assert b"Content-Type: application/json\r\n" in made.head


def test_an_h2c_session_of_an_administrator_is_granted_as_such(database):
    engine = StandIn()
    engine.raw["POST", "/session"] = lambda _: b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nSETTINGS"

    async def conversation(connect):
        client = await connect()
        client.writer.write(b"POST /session HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
        head = await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 20)
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"\r\nUpgrade: h2c\r\n" in head
        assert await asyncio.wait_for(client.reader.readexactly(8), 20) == b"SETTINGS"

    talk(database, conversation, engine=engine, admin=True)
