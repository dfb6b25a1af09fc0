"""The attacker's end: one process of one uid, many raw connections, answers read as strictly as the guard reads."""

import asyncio
import json
import os
import pwd
import re
import traceback
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, Final

from hostadmin.guard.framing import ResponseHead, parse_response_head
from tests.fuzz.chunks import Chunks
from tests.fuzz.generator import Generator, Refs

HEAD_SECONDS: Final = 15.0
LIMIT: Final = 4 << 20
BREATH: Final = 0.1  # how long a stream that has begun may be silent before it is left
UNSURE: Final = re.compile(
    rb"(?i)expect|transfer-encoding.*identity|content-length.*content-length|transfer-encoding *:.*content-length|content-length.*transfer-encoding",
    re.DOTALL,
)
LONG: Final = re.compile(rb"(?i)/(wait|events|logs|stats|attach|attach/ws)\b|/exec/[^ ]*/start")


@dataclass
class Outcome:
    """What came of a run of requests."""

    statuses: Counter[int] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    leaks: list[tuple[int, str]] = field(default_factory=list)
    broken: list[tuple[int, str]] = field(default_factory=list)
    unanswered: int = 0


class Wire:
    """One connection at a time, opened again when the last one has ended."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.seen = b""

    async def exchange(self, data: bytes, *, last: bool) -> ResponseHead | None:
        """Send bytes and return the answer's head; ``last``: end the sending side and read all that comes.

        Raises:
            ValueError: the answer is not well formed.

        """
        self.seen = b""
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(self.path, limit=1 << 17)
        reader, writer = self._streams
        keep = False
        try:
            writer.write(data)
            if last:
                writer.write_eof()
            head = await self._head(reader, data)
            if head is not None:
                keep = await self._body(reader, head, long=bool(LONG.search(data[:400]))) and head.keep_alive and not last
                if last:
                    await self._rest(reader)
            return head
        finally:
            if not keep:
                self.close()

    async def _head(self, reader: asyncio.StreamReader, data: bytes) -> ResponseHead | None:
        method = "HEAD" if data.startswith(b"HEAD ") else "GET"
        while True:
            try:
                raw = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_SECONDS)
            except (asyncio.IncompleteReadError, ConnectionError, TimeoutError, BrokenPipeError):
                return None
            self.seen += raw
            head = parse_response_head(raw, method=method)
            if head.status != 100:
                return head

    async def _body(self, reader: asyncio.StreamReader, head: ResponseHead, *, long: bool) -> bool:
        """Read the answer's body into ``seen``; return whether the connection may be used again."""
        wait = BREATH if long or head.status == 101 else HEAD_SECONDS
        decoder, body = Chunks(), b""
        left = head.length
        if head.status == 101:
            left = None
        while (left is None or left > 0) and not (head.chunked and decoder.done) and len(self.seen) < LIMIT:
            try:
                data = await asyncio.wait_for(reader.read(65536), wait)
            except (TimeoutError, ConnectionError):
                return False
            if not data:
                return False
            if head.chunked:
                data = decoder.decode(data)
            body += data
            self.seen += data
            left = left - len(data) if left is not None else None
        if head.status >= 400 and body:
            _check_error(head, body if head.length is None else body[: head.length])  # a second answer may follow
        return left is not None or head.chunked

    async def _rest(self, reader: asyncio.StreamReader) -> None:
        with suppress(TimeoutError, ConnectionError):
            while data := await asyncio.wait_for(reader.read(65536), BREATH):
                self.seen += data

    def close(self) -> None:
        """End the connection without ceremony."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


def _check_error(head: ResponseHead, body: bytes) -> None:
    value = json.loads(body)
    if not isinstance(value, dict) or set(value) != {"message"} or not isinstance(value["message"], str):
        raise ValueError(f"status {head.status} without a message: {body[:200]!r}")
    if "the guard failed" in value["message"]:
        raise ValueError(f"the guard failed: {body[:200]!r}")


class Attacker:
    """The attacker's process; ``run`` lets it send a range of the generator's requests.

    Args:
        login: whose process it is.
        socket: the guard's.
        seed: the generator's.
        workers: connections at a time.

    """

    def __init__(self, login: str, socket: str, seed: str, workers: int) -> None:
        self._pipe, theirs = Pipe()
        account = pwd.getpwnam(login)
        generator = Generator(seed)  # reads files that may be root's only
        self.pid = os.fork()
        if self.pid == 0:
            self._pipe.close()
            os.setgroups(os.getgrouplist(login, account.pw_gid))
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
            try:
                _serve(theirs, generator, socket, workers)
            except EOFError:
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        theirs.close()

    def run(self, indices: list[int], refs: Refs, canaries: list[bytes], *, workers: int | None = None) -> Outcome:
        """Send these requests and return what came of them."""
        self._pipe.send((indices, refs, canaries, workers))
        found = self._pipe.recv()
        assert isinstance(found, Outcome), found
        return found

    def end(self) -> None:
        """End the process."""
        self._pipe.close()
        os.waitpid(self.pid, 0)


def _serve(pipe: Connection, generator: Generator, socket: str, workers: int) -> None:
    while True:
        indices, refs, canaries, chosen = pipe.recv()
        pipe.send(asyncio.run(_attack(generator, socket, indices, refs, canaries, chosen or workers)))


async def _attack(generator: Generator, socket: str, indices: list[int], refs: Refs, canaries: list[bytes], workers: int) -> Outcome:
    outcome = Outcome()
    queue = iter(indices)

    async def work() -> None:
        wire = Wire(socket)
        for index in queue:
            await _one(wire, generator, index, refs, canaries, outcome)
        wire.close()

    await asyncio.gather(*(work() for _ in range(workers)))
    return outcome


async def _one(wire: Wire, generator: Generator, index: int, refs: Refs, canaries: list[bytes], outcome: Outcome) -> None:
    draft, data = generator.request(index, refs)
    head: Any = None
    try:
        head = await wire.exchange(data, last=bool(draft.raw) or bool(UNSURE.search(data[:4000])))
    except (ConnectionError, OSError):
        wire.close()
    except (ValueError, asyncio.LimitOverrunError) as error:
        wire.close()
        outcome.broken.append((index, f"{type(error).__name__}: {error}"[:400]))
    if head is None:
        outcome.unanswered += 1
    else:
        outcome.statuses[head.status] += 1
        if head.status < 400:
            outcome.passed[draft.operation] += 1
            _remember(draft.path, head.status, wire.seen, refs)
    outcome.leaks += [(index, text.decode()) for text in canaries if text in wire.seen]


def _remember(path: str, status: int, seen: bytes, refs: Refs) -> None:
    """Let later requests of the run refer to what this one has made."""
    if status != 201 or not path.endswith(("/create", "/exec")):
        return
    kind = "EXEC" if path.endswith("/exec") else "VOL" if "/volumes/" in path else "NETID" if "/networks/" in path else "BOXID"
    with suppress(ValueError, KeyError, TypeError):
        made = json.loads(seen.rpartition(b"\r\n\r\n")[2])
        refs["own"][kind].append(made["Name" if kind == "VOL" else "Id"])
