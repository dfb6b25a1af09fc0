"""Bodies and streams on their way from one channel to another.

``Body`` knows where a body ends, whatever its framing. ``Flow`` passes one body on, re-framed, until its end;
``splice`` joins two channels for good (``engine-api.md`` 1.7 S5, S6): each direction ends on its own.
"""

import asyncio
from typing import Final, Protocol

from hostadmin.guard.channel import Channel, Gone
from hostadmin.guard.framing import ChunkDecoder, Pieces
from hostadmin.guard.refusal import malformed

LAST_CHUNK: Final = b"0\r\n\r\n"
CRLF: Final = b"\r\n"


class Readable(Protocol):
    """A body that can be read: a plain ``Body``, or something that looks at one on its way."""

    @property
    def done(self) -> bool:
        """Whether it has been read to its end."""

    async def read(self) -> bytes:
        """Return some bytes; nothing at the end."""

    async def read_all(self, limit: int) -> bytes:
        """Return the whole body, of at most ``limit`` bytes."""


class RequestBody(Readable, Protocol):
    """A request's body, and how much of it has been read."""

    count: int


class Body:
    """A body on its way in; read to its end exactly once.

    Args:
        channel: where it comes from.
        length: its length in bytes; ``None`` if it is chunked or ends with the connection.
        chunked: whether it is chunked.
        until_eof: whether it ends with the connection.

    """

    __slots__ = ("_decoder", "_left", "_until_eof", "channel", "count", "done")

    def __init__(self, channel: Channel, length: int | None, *, chunked: bool, until_eof: bool = False) -> None:
        self.channel = channel
        self._left = length or 0
        self._decoder = ChunkDecoder() if chunked else None
        self._until_eof = until_eof
        self.done = not chunked and not until_eof and not self._left
        self.count = 0

    def take(self, block: bytes) -> tuple[Pieces, bytes]:
        """Return the body's pieces in a block that has come, and what lies behind its end.

        Raises:
            ValueError: the framing is malformed.

        """
        pieces: Pieces
        rest = b""
        if self._decoder is not None:
            pieces, rest = self._decoder.decode(block)
            self.done = self._decoder.done
            self.count += sum(map(len, pieces))
            return pieces, rest
        if self._until_eof:
            pieces = [block]
        elif len(block) <= self._left:
            pieces = [block]
            self._left -= len(block)
            self.done = not self._left
        else:
            pieces, rest = [block[: self._left]], block[self._left :]
            self._left = 0
            self.done = True
        self.count += len(pieces[0])
        return pieces, rest

    def take_eof(self) -> None:
        """Take the connection's end.

        Raises:
            Gone: it comes in the middle of the body.

        """
        if not self._until_eof:
            raise Gone("ended in the middle of a body")
        self.done = True

    async def read(self) -> bytes:
        """Return some bytes; nothing at the end.

        Raises:
            Gone: the connection ended in the middle of the body.
            ValueError: the framing is malformed.

        """
        while not self.done:
            block = await self.channel.read()
            if not block:
                self.take_eof()
                return b""
            pieces, rest = self.take(block)
            if rest:
                self.channel.unread(rest)
            if pieces:
                return bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)
        return b""

    async def read_all(self, limit: int) -> bytes:
        """Return the whole body.

        Raises:
            Refusal: 413 if it is larger than ``limit`` bytes.
            Gone, ValueError: as ``read``.

        """
        parts = []
        while not self.done:
            parts.append(await self.read())
            if self.count > limit:
                raise malformed(f"the body is larger than {limit} bytes", status=413, close=True)
        return parts[0] if len(parts) == 1 else b"".join(parts)


class Flow:
    """One body that flows from its channel into another one, re-framed, with back-pressure.

    Args:
        body: where it comes from.
        sink: where it goes.
        chunked: whether it goes out in chunks (the last one is the caller's to write), or as it is.

    """

    __slots__ = ("_body", "_chunked", "_end", "_sink")

    def __init__(self, body: Body, sink: Channel, *, chunked: bool) -> None:
        self._body = body
        self._sink = sink
        self._chunked = chunked
        self._end: asyncio.Future[None] = sink.loop.create_future()

    async def run(self) -> None:
        """Pass everything on; return at the body's end.

        Raises:
            Gone: one of the two has gone before, or the framing was malformed.

        """
        source = self._body.channel
        source.outlet, self._sink.inlet = self, self
        try:
            while not self._body.done and (block := source.take_block()):
                self.take(block)
            if self._sink.lost:
                self.lose()
            elif source.eof and not self._body.done:
                self.take_eof()
            elif self._sink.write_paused:
                self.pause()
            if not self._body.done or self._end.done():
                await self._end
        finally:
            source.outlet = self._sink.inlet = None
            source.resume_reading()

    def take(self, block: bytes) -> None:
        """Pass one block on."""
        try:
            pieces, rest = self._body.take(block)
        except ValueError as error:
            self._fail(str(error))
            return
        if pieces:
            self._write(pieces)
        if self._body.done:
            self._body.channel.outlet = None
            if rest:
                self._body.channel.unread(rest)
            if not self._end.done():
                self._end.set_result(None)

    def _write(self, pieces: Pieces) -> None:
        size = sum(map(len, pieces))
        if self._chunked:
            head = b"%x\r\n" % size
            self._sink.write_parts([head, *pieces, CRLF], size + len(head) + len(CRLF))
        else:
            self._sink.write_parts(pieces, size)

    def take_eof(self) -> None:
        """Take the end of the source's connection."""
        try:
            self._body.take_eof()
        except Gone as error:
            self._fail(str(error))
            return
        if not self._end.done():
            self._end.set_result(None)

    def pause(self) -> None:
        """Let the source wait."""
        self._body.channel.pause_reading()

    def resume(self) -> None:
        """Let the source go on."""
        self._body.channel.resume_reading()

    def lose(self) -> None:
        """Give up: the sink has gone."""
        self._fail("the peer has gone")

    def _fail(self, reason: str) -> None:
        if not self._end.done():
            self._end.set_exception(Gone(reason))


class _Direction:
    """One direction of a splice."""

    __slots__ = ("_sink", "_source")

    def __init__(self, source: Channel, sink: Channel) -> None:
        self._source = source
        self._sink = sink

    def take(self, block: bytes) -> None:
        self._sink.write(block)

    def take_eof(self) -> None:
        if self._source.lost:
            self._sink.close()
            return
        self._sink.write_eof()
        for channel in (self._source, self._sink):
            if channel.eof and channel.wrote_eof:
                channel.close()

    def pause(self) -> None:
        self._source.pause_reading()

    def resume(self) -> None:
        self._source.resume_reading()

    def lose(self) -> None:
        self._source.close()


def splice(one: Channel, other: Channel) -> None:
    """Join two channels for good: what waits goes first, ends are passed on."""
    for source, sink in ((one, other), (other, one)):
        direction = _Direction(source, sink)
        while block := source.take_block():
            sink.write(block)
        source.resume_reading()
        source.outlet, sink.inlet = direction, direction
        if sink.write_paused:
            direction.pause()
    for channel in (one, other):
        assert channel.outlet is not None  # noqa: S101  # set above
        if channel.eof:
            channel.outlet.take_eof()
