"""HTTP and JSON as attacks: what two readers could take apart differently must not reach the engine."""

from collections.abc import Iterator

import pytest

from tests.integration.attacks import documents, wire
from tests.integration.attacks.room import API, Room, make_room
from tests.integration.attacks.sender import request

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
RAW = {**{f"framing: {k}": v for k, v in wire.FRAMING.items()}, **{f"target: {k}": v for k, v in wire.TARGETS.items()}}
GOOD = b"%b%b}" % (documents.START, b'"HostConfig":{"Binds":["ashudata:/data"]}')


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    with make_room() as made:
        yield made


@pytest.mark.parametrize("name", RAW)
def test_a_request_that_can_be_read_in_two_ways(room: Room, name: str) -> None:
    raw = room.theirs.fill(RAW[name])
    said = room.attacker.send(raw)
    room.judge((name, said))


@pytest.mark.parametrize("name", documents.CREATES)
def test_a_document_that_can_be_read_in_two_ways(room: Room, name: str) -> None:
    said = room.attacker.send(request("POST", f"{API}/containers/create?name=ashunew", documents.CREATES[name]))
    room.judge((name, said))


@pytest.mark.parametrize("name", documents.OTHERS)
def test_another_document_that_can_be_read_in_two_ways(room: Room, name: str) -> None:
    method, target, body = documents.OTHERS[name]
    said = room.attacker.send(request(method, API + room.theirs.fill(target), room.theirs.fill(body)))
    room.judge((name, said))


TWINS = {
    "length": request("POST", f"{API}/containers/create?name=ashunew", GOOD),
    "no content type": request("POST", f"{API}/containers/create?name=ashunew", GOOD).replace(b"Content-Type: application/json\r\n", b""),
    "chunked": b"POST /v1.41/containers/create?name=ashunew HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"5\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (GOOD[:5], len(GOOD) - 5, GOOD[5:]),
    "expected": b"POST /v1.41/containers/create?name=ashunew HTTP/1.1\r\nHost:\r\nExpect: 100-continue\r\n"
    + b"Content-Length: %d\r\n\r\n%b" % (len(GOOD), GOOD),
    "pipelined": b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n" + request("POST", f"{API}/containers/create?name=ashunew", GOOD),
    "behind a body": b"GET /_ping HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\n\r\nabc"
    + request("POST", "/containers/create?name=ashunew", GOOD),
    "escapes": request("POST", f"{API}/containers/create?name=ashu%6eew", GOOD.replace(b"ashudata", b"\\u0061shudata")),
}


@pytest.mark.parametrize("name", TWINS)
def test_the_honest_twin_is_understood(room: Room, name: str) -> None:
    """Every honest framing of the same request makes the container, with the volume and nothing else; then it is removed."""
    said = room.attacker.send(TWINS[name])
    made = room.engine.eye.container("ashunew")
    assert made["HostConfig"]["Privileged"] is False, said
    assert [m["Name"] for m in made["Mounts"]] == ["ashudata"]
    removal = wire.REMOVE.replace(b"$C", b"ashunew")
    said = room.attacker.send(b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n" + removal)
    assert "ashunew" not in room.names(), said
    room.judge(name)


OPERATIONS = {
    "exec": ("POST", "/containers/ashuc/exec", {"Cmd": ["id"]}, 201),
    "update": ("POST", "/containers/ashuc/update", {"CpuShares": 0}, 200),
    "connect": ("POST", "/networks/bridge/connect", {"Container": "ashuc"}, 200),
    "disconnect": ("POST", "/networks/bridge/disconnect", {"Container": "ashuc", "Force": True}, 200),
    "network": ("POST", "/networks/create", {"Name": "ashunew", "Driver": "bridge", "Options": {}}, 201),
    "volume": ("POST", "/volumes/create", {"Name": "ashunew", "DriverOpts": {}}, 201),
    "commit": ("POST", "/commit?container=ashuc&repo=ashunew", {"Labels": {"a": "b"}}, 201),
}


def test_the_honest_twins_of_other_operations(room: Room) -> None:
    for name, (method, target, body, status) in OPERATIONS.items():
        assert room.attacker.ask(method, API + target, body).status == status, name
    eye = room.engine.eye
    assert "ashunew" in eye.networks().values()
    assert "ashunew" in eye.volumes()
    assert "ashunew:latest" in eye.tags()
    room.judge_foreign("twins")
