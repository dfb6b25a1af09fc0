"""An engine that lies, dribbles, hangs and breaks off: nobody gets another request's answer, or half of one that looks whole."""

import asyncio
import json

import pytest

from hostadmin.guard import pulse
from hostadmin.guard.upstream import Upstream
from tests.unit.guard.standin import OWN, StandIn, guarded, shared_database

OPENED = {"Id": OWN, "Name": "/own", "Mounts": [], "HostConfig": {"NetworkMode": "default"}, "NetworkSettings": {}}
BODY = json.dumps(OPENED).encode()
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nline\r\n5\r\ntwice\r\n0\r\n\r\n"
INSPECT = ("GET", f"/containers/{OWN}/json")
LOGS = ("GET", f"/containers/{OWN}/logs")
VOLUME = (200, {"Name": "vol", "Labels": None})
READ = {"inspect": (INSPECT, WHOLE, f"/v1.41{INSPECT[1]}"), "logs": (LOGS, CHUNKED, f"/v1.41{LOGS[1]}?stdout=1")}


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    yield from shared_database(tmp_path_factory.mktemp("guard"))


class Rogue(StandIn):
    """Answers one request as scripted: so many bytes, one by one if asked to, then the end of the connection or silence."""

    def __init__(self, row, answer, *, dribble=False, then="end"):
        super().__init__()
        self.row, self.answer, self.dribble, self.then = row, answer, dribble, then
        self.asked = 0
        self.answered = asyncio.Event()

    async def serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
                path = "/" + target.partition("?")[0].split("/", 2)[2] if target.startswith("/v1.") else target
                if (method, path) != self.row or self.answer is None:
                    await self.reply(writer, method, path)
                    continue
                self.asked += 1
                for piece in [self.answer[i : i + 1] for i in range(len(self.answer))] if self.dribble else [self.answer]:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if self.then == "hang":
                    await self.answered.wait()
                if self.then != "stay":
                    writer.close()
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def reply(self, writer, method, path):
        status, value = self.answers.get((method, path), (200, {"asked": path}))
        body = json.dumps(value).encode()
        writer.write(f"HTTP/1.1 {status} X\r\nApi-Version: {self.newest}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()


async def call(client, target, method="GET"):
    """Return status and value, or ``cut`` where the answer ends before its end."""
    try:
        return await client.call(method, target)
    except (asyncio.IncompleteReadError, ValueError):
        return "cut", None


def run(database, engine, work):
    async def go():
        async with guarded(database, engine()) as connect:
            return await work(connect)

    return asyncio.run(go())


@pytest.mark.parametrize("name", READ)
def test_cut_at_every_byte(database, name):
    """Whatever has come, the caller sees a 503 or a cut; the next request is served as ever."""
    row, answer, target = READ[name]
    engine = None

    def make():
        nonlocal engine
        engine = Rogue(row, b"")
        return engine

    async def work(connect):
        for size in range(len(answer)):
            engine.answer = answer[:size]
            client = await connect()
            status, _ = await call(client, target)
            assert status in (502, 503, "cut"), (size, status)
            if status != "cut":
                engine.answer = None
                assert (await client.call("GET", f"/v1.41/networks/{'c' * 64}"))[1]["Name"] == "net"

    run(database, make, work)


@pytest.mark.parametrize("name", READ)
def test_dribbled(database, name):
    row, answer, target = READ[name]

    async def work(connect):
        return await call(await connect(), target)

    status, value = run(database, lambda: Rogue(row, answer, dribble=True, then="stay"), work)
    assert (status, value) == ((200, OPENED) if name == "inspect" else (200, b"linetwice"))


GARBAGE = {
    "no HTTP": b"garbage\r\n\r\n",
    "another HTTP": b"HTTP/2 200\r\n\r\n",
    "status of two digits": b"HTTP/1.1 99 X\r\n\r\n",
    "status below all": b"HTTP/1.1 001 X\r\n\r\n",
    "folded header": WHOLE.replace(b"Content-Type", b" Content-Type"),
    "two lengths": WHOLE.replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\n", 1),
    "length and chunks": WHOLE.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n", 1),
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "length in words": b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n0123456789",
    "unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "malformed chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "no JSON": b"HTTP/1.1 404 X\r\nContent-Length: 2\r\n\r\n{{".replace(b"404", b"200"),
    "another protocol": b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nhello",
    "endless head": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000,
    "interim answers only": b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
}


@pytest.mark.parametrize("answer", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage(database, answer):
    """A 502 or 503 in the Engine's form, and the connection to the engine is not used again."""
    target = "/v1.41/networks/own"

    async def work(connect):
        client = await connect()
        first = await call(client, target)
        second = await call(client, "/v1.41/volumes/vol")
        return first, second

    (status, value), second = run(database, lambda: Rogue(("GET", "/networks/own"), answer, then="stay"), work)
    assert status in (502, 503), (status, value)
    assert value["message"].startswith("hostadmin: ")
    assert second == VOLUME


@pytest.mark.parametrize("name", READ)
def test_two_answers_to_one_request(database, name):
    """The second answer is nobody's."""
    row, answer, target = READ[name]
    other = b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"Name": "no"}'

    async def work(connect):
        client = await connect()
        first = await call(client, target)
        return first, await call(client, "/v1.41/volumes/vol")

    first, second = run(database, lambda: Rogue(row, answer + other, then="stay"), work)
    assert first[0] == 200
    assert second == VOLUME


def test_a_read_is_tried_again_after_an_idle_end_and_a_change_is_not(database):
    engine = None

    def make():
        nonlocal engine
        engine = Rogue(("GET", "/volumes/vol"), b"")
        return engine

    async def work(connect):
        client = await connect()
        await client.call("GET", f"/v1.41/networks/{'c' * 64}")
        read = await call(client, "/v1.41/volumes/vol")  # asked on the idle connection, and once more
        asked = engine.asked
        engine.row, engine.asked = ("POST", f"/containers/{OWN}/stop"), 0
        await client.call("GET", f"/v1.41/networks/{'c' * 64}")
        change = await call(client, f"/v1.41/containers/{OWN}/stop", "POST")
        return read[0], asked, change[0], engine.asked

    assert run(database, make, work) == (503, 2, 503, 1)


def test_an_engine_that_hangs(database, monkeypatch):
    """A look-up of our own ends in time with a 504; nobody else waits for it."""
    within = Upstream.within
    monkeypatch.setattr(Upstream, "within", lambda self, _: within(self, 0.2))

    async def work(connect):
        one, other = await connect(), await connect()
        hanging = asyncio.create_task(call(one, "/v1.41/networks/own"))
        served = await call(other, "/v1.41/volumes/vol")
        assert not hanging.done()
        status, value = await hanging
        return served, status, value["message"], await call(one, "/v1.41/volumes/vol")

    served, status, message, after = run(database, lambda: Rogue(("GET", "/networks/own"), b"", then="hang"), work)
    assert served == after == VOLUME
    assert status == 504
    assert "has not answered in time" in message


def test_one_question_for_all_who_ping(database, monkeypatch):
    monkeypatch.setattr(pulse, "PULSE_SECONDS", 0.2)
    engine = None

    def make():
        nonlocal engine
        engine = Rogue(("GET", "/_ping"), b"", then="hang")
        return engine

    async def work(connect):
        clients = [await connect() for _ in range(5)]
        found = await asyncio.gather(*(call(client, "/_ping") for client in clients))
        return {status for status, _ in found}, engine.asked

    assert run(database, make, work) == ({504}, 1)


def test_another_version_behind_the_same_socket(database):
    """The first answer of a new connection tells the version; who speaks the old one goes on."""
    engine = None

    def make():
        nonlocal engine
        engine = Rogue(INSPECT, b"")
        return engine

    async def work(connect):
        assert (await (await connect()).call("GET", "/v1.44/volumes/vol"))[0] == 400
        client = await connect()
        engine.newest = "1.44"
        engine.answers[("GET", "/version")] = (200, {"ApiVersion": "1.44", "MinAPIVersion": "1.24"})
        await call(client, f"/v1.41{INSPECT[1]}")  # the connection to the engine ends here
        fresh = await connect()
        old = await fresh.call("GET", "/v1.41/volumes/vol")
        return old, await fresh.call("GET", "/v1.44/volumes/vol")

    assert run(database, make, work) == (VOLUME, VOLUME)
