"""The surface on the real engine: the version window, routes outside the documentation, attaching by WebSocket."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.answers import ask
from tests.integration.people import SYSTEM_PYTHON, Student, process_of
from tests.integration.stage import Engine, Hostadmin, make_stage, until
from tests.integration.websocket import attach

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
CLIENT = (Path(__file__).parent / "websocket.py").read_text()
KEY = base64.b64encode(b"0123456789abcdef").decode()
SHAKE = f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"


@dataclass(frozen=True)
class Room:
    """``ashu`` has a container that echoes; ``dev`` has one too."""

    engine: Engine
    hostadmin: Hostadmin
    ashu: Student
    dev: Student
    newest: str


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    """Two students with one container each that answers what it is told."""
    with make_stage() as (engine, hostadmin):
        people = []
        for login in ("ashu", "dev"):
            assert hostadmin.run("user", "add", login, "--docker").returncode == 0
            people.append(Student(login))
            people[-1].ok(
                "run", "-d", "-i", "--name", f"{login}cat", "alpine", "sh", "-c", "while read x; do echo $x from $(hostname); done"
            )
        version = engine.eye.get("/version")["ApiVersion"]
        yield Room(engine, hostadmin, *people, min(version, "1.55", key=lambda v: int(v[2:])))


def websocket(student: Student, target: str, *lines: str) -> list[str]:
    """Attach by WebSocket as a student; lines are ``send|wait for``."""
    program = process_of(student.login, [SYSTEM_PYTHON, "-I", "-c", CLIENT, student.socket, target])
    return attach(program, list(lines)).splitlines()


# -- the version window --------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/v9.9/info", "/v1.99/containers/json", "/v1.99/_ping"])
def test_a_version_above_the_engines_gets_the_engines_own_answer(room, target):
    status, _, value = ask(room.ashu, "GET", target)
    assert status == 400
    assert value["message"].endswith(f" is too new. Maximum supported API version is {room.newest}")
    if room.engine.eye.get("/version")["ApiVersion"] == room.newest:
        assert (status, value) == room.engine.eye.call("GET", target)


def test_a_version_below_the_guards_window_is_told_the_lowest(room):
    status, _, value = ask(room.ashu, "GET", "/v1.40/containers/json")
    expected = "client version 1.40 is too old. Minimum supported API version is 1.41, please upgrade your client to a newer version"
    assert (status, value["message"]) == (400, expected)
    assert ask(room.ashu, "GET", "/v1.41/containers/json")[0] == 200


def test_clients_are_told_the_window(room):
    _, head, _ = ask(room.ashu, "GET", "/_ping")
    assert f"Api-Version: {room.newest}".encode() in head
    _, _, value = ask(room.ashu, "GET", "/version")
    assert (value["ApiVersion"], value["MinAPIVersion"]) == (room.newest, "1.41")


# -- routes --------------------------------------------------------------------------------------


def test_networks_with_a_slash_is_the_list_of_networks(room):
    plain, slash = (sorted(ask(room.ashu, "GET", f"/v1.41/networks{end}")[2], key=lambda n: n["Id"]) for end in ("", "/"))
    assert plain == slash
    assert {n["Name"] for n in slash} >= {"bridge", "none"}


@pytest.mark.parametrize("prefix", ["", "/v1.41"])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("OPTIONS", "/containers/json", 403),
        ("POST", "/build/cancel?id=x", 403),
        ("POST", "/grpc", 403),
        ("POST", "/session", 403),
        ("GET", "/containers/ashucat/checkpoints", 403),
        ("POST", "/containers/ashucat/checkpoints", 403),
        ("DELETE", "/containers/ashucat/checkpoints/c", 403),
        ("GET", "/debug/vars", 403),
        ("GET", "/debug/pprof/", 403),
        ("GET", "/debug/pprof/heap", 403),
        ("GET", "/debug/pprof", 404),
        ("GET", "/containers/json/", 404),
        ("GET", "//containers/json", 404),
        ("GET", "/containers//ashucat/json", 404),
        ("GET", "/containers/./json", 404),
        ("POST", "/containers/ashucat/copy", 404),
        ("PATCH", "/containers/json", 405),
    ],
)
def test_routes_outside_the_documentation_are_decided(room, prefix, method, path, status):
    assert ask(room.ashu, method, prefix + path)[0] == status


# -- WebSocket -----------------------------------------------------------------------------------


def test_attaching_by_websocket_reads_and_writes(room):
    for target in ("/v1.41/containers/ashucat/attach/ws?stream=1", "/containers/ashucat/attach/ws?stream=1&stdin=1&stdout=1"):
        said = websocket(room.ashu, target, "hello|hello from ", "again|again from ")
        assert said[0] == "open"
        assert "hello from" in said[1]
        assert "again from" in said[2]
    assert "hello from" in room.ashu.ok("logs", "ashucat")


ATTACHED = "select stage, status, detail from audit_records where action = 'container.attach' and actor_login = ? order by seq desc limit 2"


def test_attaching_by_websocket_is_recorded_like_attach(room):
    websocket(room.dev, "/v1.41/containers/devcat/attach/ws?stream=1", "recorded|recorded")
    rows = until("both records are there", lambda: r if (r := room.hostadmin.rows(ATTACHED, "dev"))[0][0] == "outcome" else [])
    assert [row[:2] for row in rows] == [("outcome", "ok"), ("intent", None)]
    assert json.loads(rows[1][2])["by"] == "websocket"
    assert json.loads(rows[0][2])["bytes_in"] > 0


def test_anothers_container_is_not_there_for_a_websocket(room):
    missing = websocket(room.ashu, "/v1.41/containers/absent/attach/ws?stream=1", "x|x")
    foreign = websocket(room.ashu, "/v1.41/containers/devcat/attach/ws?stream=1", "attack|attack")
    assert foreign == [line.replace("absent", "devcat") for line in missing]
    assert "404" in foreign[0]
    assert "attack" not in room.dev.ok("logs", "devcat")
    assert websocket(room.dev, "/v1.41/containers/devcat/attach/ws?stream=1", "mine|mine from")[0] == "open"


BROKEN = {
    "no upgrade": f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n",
    "another protocol": SHAKE.replace("websocket", "tcp", 1),
    "no key": SHAKE.replace(f"Sec-WebSocket-Key: {KEY}\r\n", ""),
    "a short key": SHAKE.replace(KEY, KEY[4:]),
    "a key of other bits": SHAKE.replace("Zg==", "Zh=="),
    "two keys": f"{SHAKE}Sec-WebSocket-Key: {KEY}\r\n",
    "version 8": SHAKE.replace("13", "8"),
    "no version": SHAKE.replace("Sec-WebSocket-Version: 13\r\n", ""),
}


@pytest.mark.parametrize("fields", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_handshake_never_reaches_the_engine_and_opens_nothing(room, fields):
    """The engine would wait for ever; and what comes after it is a request like any other."""
    request = f"GET /v1.41/containers/ashucat/attach/ws?stream=1 HTTP/1.1\r\nHost: d\r\nConnection: upgrade\r\n{fields}\r\n"
    smuggled = "GET /v1.41/containers/devcat/json HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n"
    answer = room.ashu.send((request + smuggled).encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b" 101 " not in answer
    assert b"No such container: devcat" in answer or answer.count(b"HTTP/1.1") == 1


def test_bytes_that_come_before_the_grant_wait_for_it(room):
    """A frame sent together with the handshake reaches the container after the grant, and nothing else."""
    mask = os.urandom(4)
    body = bytes(b ^ mask[i % 4] for i, b in enumerate(b"early\n"))
    frame = bytes([0x82, 0x80 | 6]) + mask + body
    request = f"GET /v1.41/containers/ashucat/attach/ws?stream=1 HTTP/1.1\r\nHost: d\r\nConnection: upgrade\r\n{SHAKE}\r\n"
    answer = room.ashu.send(request.encode() + frame + bytes([0x88, 0x80]) + mask)
    assert answer.startswith(b"HTTP/1.1 101 ")
    until("the container has read it", lambda: "early from" in room.ashu.ok("logs", "ashucat"))


def test_a_revocation_ends_a_websocket(room):
    assert room.hostadmin.run("user", "add", "gone", "--docker").returncode == 0
    gone = Student("gone")
    gone.ok("run", "-d", "-i", "--name", "gonecat", "alpine", "cat")
    program = process_of("gone", [SYSTEM_PYTHON, "-I", "-c", CLIENT, gone.socket, "/v1.41/containers/gonecat/attach/ws?stream=1"])
    with subprocess.Popen(**program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "open\n"
        process.stdin.write("one|one\n")
        process.stdin.flush()
        assert process.stdout.readline() == "one\n"
        assert room.hostadmin.run("access", "revoke", "gone").returncode == 0
        process.stdin.write("|never said\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ended\n"


@pytest.mark.parametrize("target", ["/build?version=2&session=x&remote=client-session", "/session", "/grpc"])
def test_buildkit_says_what_to_set(room: Room, target: str) -> None:
    assert b"DOCKER_BUILDKIT=0" in room.ashu.raw("POST", f"/v1.41{target}")
