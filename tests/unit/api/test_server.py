"""The API's socket: bound by us, open to all, nobody else's; crowds and silence end."""

import asyncio
import json
import os
import socket
import stat
import time
from contextlib import asynccontextmanager, suppress

import pytest
import uvicorn

from hostadmin.api import server
from hostadmin.api.application import Stopped
from hostadmin.core.errors import Conflict
from hostadmin.host.peers import Peer, Place
from hostadmin.host.sockets import answers


async def hello(scope, receive, send):
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    if scope["path"] == "/slow":
        await asyncio.sleep(0.7)
    peer = scope["state"]["peer"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2"), (b"x-uid", str(peer.uid).encode())]})
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def serving(path):
    config = uvicorn.Config(hello, http=server.PeerProtocol, ws="none", lifespan="off", log_config=None, timeout_keep_alive=30)
    made = server.Server(config)
    task = asyncio.create_task(made.serve(sockets=[server.listen(path)]))
    while not made.started:  # noqa: ASYNC110  # uvicorn has no event for it
        await asyncio.sleep(0.01)
    yield
    made.should_exit = True
    await task


async def ask(path, data=b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(data)
    return reader, writer


async def first(reader):
    try:
        return await reader.read(12)
    except ConnectionResetError:
        return b""


def test_a_socket_that_a_killed_one_left_is_replaced_and_open_to_all(tmp_path):
    path = str(tmp_path / "deep" / "api.sock")
    server.listen(path).close()  # closed, but its file stays
    assert os.path.exists(path)
    assert not answers(path)
    made = server.listen(path)
    assert answers(path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o666
    made.close()


def test_a_socket_that_somebody_answers_on_is_left_alone(tmp_path):
    path = str(tmp_path / "api.sock")
    other = server.listen(path)
    inode = os.stat(path).st_ino
    with pytest.raises(Conflict):
        server.listen(path)
    assert os.stat(path).st_ino == inode
    other.close()


def test_what_answers(tmp_path):
    path = str(tmp_path / "s")
    assert not answers(path)
    open(path, "w").close()
    assert not answers(path)
    assert not answers(f"{path}/below")
    os.unlink(path)
    full = socket.socket(socket.AF_UNIX)
    full.bind(path)
    full.listen(0)
    waiting = []
    for _ in range(3):  # until its queue is full: somebody is there all the same
        waiting.append(socket.socket(socket.AF_UNIX))
        waiting[-1].settimeout(0)
        try:
            waiting[-1].connect(path)
        except BlockingIOError:
            break
    assert answers(path)
    for sock in (*waiting, full):
        sock.close()


def test_the_peer_is_the_kernels_word(tmp_path):
    async def check():
        async with serving(path):
            reader, writer = await ask(path, b"GET / HTTP/1.1\r\nHost: x\r\nX-Uid: 0\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert f"x-uid: {os.getuid()}".encode() in head
            writer.close()

    path = str(tmp_path / "api.sock")
    asyncio.run(check())


def test_one_persons_crowd_does_not_refuse_the_others(tmp_path, monkeypatch):
    async def check():
        async with serving(path):
            crowd = [await ask(path) for _ in range(5)]
            answered = [await first(reader) for reader, _ in crowd]
            assert answered == [b"HTTP/1.1 200"] * 3 + [b""] * 2
            uids.append(0)  # the administrator comes
            reader, writer = await ask(path)
            assert await reader.read(12) == b"HTTP/1.1 200"
            uids.append(2000)
            for _, each in (*crowd, (reader, writer)):
                each.close()
            await asyncio.sleep(0.1)
            reader, writer = await ask(path)  # the crowd has gone: one may come again
            assert await reader.read(12) == b"HTTP/1.1 200"
            writer.close()

    path, uids = str(tmp_path / "api.sock"), [2000]
    monkeypatch.setattr(server, "CONNECTIONS_PER_UID", 3)
    monkeypatch.setattr(server, "identify", lambda _: Peer(5, uids[-1], 0, Place.HOST))
    asyncio.run(check())


HALVES = {
    "nothing": b"",
    "half a head": b"GET / HTTP/1.1\r\nHost:",
    "half a body": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
    "half a second head": b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP",
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_the_silent_are_ended(tmp_path, monkeypatch, half):
    async def check():
        async with serving(path):
            begun = time.monotonic()
            reader, writer = await ask(path, half)
            with suppress(ConnectionResetError):
                await asyncio.wait_for(reader.read(), 5)
            assert time.monotonic() - begun < 15
            writer.close()

    path = str(tmp_path / "api.sock")
    monkeypatch.setattr(server, "SILENCE_SECONDS", 0.2)
    asyncio.run(check())


def test_a_long_answer_is_waited_for(tmp_path, monkeypatch):
    async def check():
        async with serving(path):
            reader, writer = await ask(path, b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await asyncio.wait_for(reader.read(12), 5) == b"HTTP/1.1 200"
            writer.close()

    path = str(tmp_path / "api.sock")
    monkeypatch.setattr(server, "SILENCE_SECONDS", 0.1)
    asyncio.run(check())


@pytest.mark.parametrize("begun", [False, True])
def test_who_still_waits_when_the_service_ends_is_told(begun):
    """uvicorn cancels what takes too long; an answer that has begun is cut off, for it cannot be taken back."""
    sent = []

    async def work(_scope, _receive, send):
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(60)

    async def send(message):
        sent.append(message)

    async def check():
        task = asyncio.create_task(Stopped(work)({"type": "http"}, None, send))
        await asyncio.sleep(0.05)
        task.cancel()
        await task

    if begun:
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(check())
        assert len(sent) == 1
    else:
        asyncio.run(check())
        assert sent[0]["status"] == 503
        told = json.loads(sent[1]["body"])
        assert (told["type"], "at its next start" in told["detail"]) == ("urn:hostadmin:stopping", True)
