"""One connection, to a caller or to the engine: buffered reads, back-pressure, half-close, splice.

A channel is in one of two states. *Buffered*: bytes wait in ``buffer`` until somebody reads them, and
the transport is paused above ``HIGH``. *Spliced*: bytes go straight to the other channel; each
direction ends on its own (``engine-api.md`` 1.7 S5, S6); there is no way back.
"""

import asyncio
import fcntl
import select
import termios
from typing import Any, Final

from hostadmin.guard.framing import HEAD_LIMIT, ChunkDecoder
from hostadmin.guard.refusal import malformed

HIGH: Final = 512 * 1024
READ_MAX: Final = 256 * 1024
POLL_SECONDS: Final = 0.0005


class Gone(ConnectionError):
    """The other side of a channel has gone."""


class Channel(asyncio.Protocol):
    """One end of a stream connection."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.buffer = bytearray()
        self.transport: Any = None
        self.eof = False
        self.lost = False
        self.sent_bytes = 0
        self.received_bytes = 0
        self.partner: Channel | None = None
        self._reader: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._write_paused = False
        self._read_paused = False
        self._wrote_eof = False
        self.ended: asyncio.Future[None] = self.loop.create_future()

    # -- asyncio.Protocol ------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:  # noqa: D102  # asyncio.Protocol
        self.transport = transport

    def data_received(self, data: bytes) -> None:  # noqa: D102
        self.received_bytes += len(data)
        if self.partner is not None:
            self.partner.write(data)
            return
        self.buffer += data
        if len(self.buffer) > HIGH:
            self._pause_reading()
        self._wake()

    def eof_received(self) -> bool:  # noqa: D102
        self.eof = True
        if self.partner is not None:
            self.partner.write_eof()
            self._end_if_both_ended()
        self._wake()
        return True  # keep the other direction open

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002, D102
        self.lost = self.eof = True
        self._wake()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        if self.partner is not None:
            self.partner.close()
        if not self.ended.done():
            self.ended.set_result(None)

    def pause_writing(self) -> None:  # noqa: D102
        self._write_paused = True
        if self.partner is not None:
            self.partner._pause_reading()

    def resume_writing(self) -> None:  # noqa: D102
        self._write_paused = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        if self.partner is not None:
            self.partner._resume_reading()

    # -- reading ---------------------------------------------------------------------------

    async def read_head(self) -> bytes | None:
        """Return the next head with its empty line; ``None`` if the connection ended before it began.

        Raises:
            Refusal: 431 for a head above 32 KiB, 400 for one that is cut off.

        """
        searched = 0
        while True:
            end = self.buffer.find(b"\r\n\r\n", searched)
            if end >= 0 and end + 4 <= HEAD_LIMIT:
                head = bytes(self.buffer[: end + 4])
                self._consume(end + 4)
                return head
            if end >= 0 or len(self.buffer) > HEAD_LIMIT:
                raise malformed(f"the request head is larger than {HEAD_LIMIT} bytes", status=431, close=True)
            searched = max(0, len(self.buffer) - 3)
            if self.eof:
                if self.buffer:
                    raise malformed("the request head is cut off", close=True)
                return None
            await self._wait()

    async def read(self, limit: int = READ_MAX) -> bytes:
        """Return some bytes, at most ``limit``; nothing at the end."""
        while not self.buffer:
            if self.eof:
                return b""
            await self._wait()
        data = bytes(self.buffer[:limit])
        self._consume(len(data))
        return data

    async def read_chunked(self, decoder: ChunkDecoder) -> bytes:
        """Return some decoded bytes of a chunked body; nothing at its end.

        Raises:
            Gone: the connection ended in the middle.
            ValueError: the framing is malformed.

        """
        while True:
            data = decoder.decode(self.buffer)
            self._consume(0)
            if data or decoder.done:
                return data
            if self.eof:
                raise Gone("ended in the middle of a body")
            await self._wait()

    async def wait_closed_by_peer(self) -> None:
        """Wait until the peer has ended its sending side or is gone."""
        while not self.eof:
            await self._wait()

    def _consume(self, count: int) -> None:
        del self.buffer[:count]
        if self._read_paused and len(self.buffer) < HIGH // 2:
            self._resume_reading()

    async def _wait(self) -> None:
        self._reader = self.loop.create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    # -- writing ---------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Queue bytes for the peer; silently nothing once it has gone."""
        if not self.lost and not self._wrote_eof:
            self.sent_bytes += len(data)
            self.transport.write(data)

    async def drain(self) -> None:
        """Wait until the peer has taken what was written.

        Raises:
            Gone: it never will.

        """
        if self.lost:
            raise Gone("the peer has gone")
        if self._write_paused:
            self._drained = self.loop.create_future()
            await self._drained
            self._drained = None
            if self.lost:
                raise Gone("the peer has gone")

    def write_eof(self) -> None:
        """End our sending side only."""
        if not self.lost and not self._wrote_eof:
            self._wrote_eof = True
            if not self.transport.is_closing():
                self.transport.write_eof()
            self._end_if_both_ended()

    def close(self) -> None:
        """End the connection after what was written has gone out."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        if self.transport is not None:
            self.transport.abort()

    def hung_up(self) -> bool:
        """Tell a peer that has closed both directions from one that only ended its sending side."""
        if self.lost:
            return True
        sock = self.transport.get_extra_info("socket")
        poll = select.poll()
        poll.register(sock.fileno(), 0)
        return any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))

    async def wait_until_read(self, seconds: float) -> None:
        """Wait until the other end has read all that was written, at most so long.

        A client that reads a stream past its HTTP library (docker-py) loses what it reads together with the
        head; the kernel counts what lies unread in a Unix socket (unix(7), SIOCOUTQ).
        """
        end = self.loop.time() + seconds
        unread = bytearray(4)
        while not self.lost and not self.transport.is_closing() and self.loop.time() < end:
            await asyncio.sleep(POLL_SECONDS)
            if self.transport.get_write_buffer_size() == 0:
                fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, unread)
                if not any(unread):
                    return

    # -- splice ----------------------------------------------------------------------------

    def splice(self, other: "Channel") -> None:
        """Join two channels for good: what waits in the buffers goes first, ends are passed on."""
        self.partner, other.partner = other, self
        for source, sink in ((self, other), (other, self)):
            source._resume_reading()
            if source.buffer:
                sink.write(bytes(source.buffer))
                source.buffer.clear()
            if source.eof:
                sink.write_eof()
            if sink._write_paused:
                source._pause_reading()
            if source.lost:
                sink.close()

    def _end_if_both_ended(self) -> None:
        """Close once both directions of a splice have ended."""
        if self.partner is not None and self.eof and self._wrote_eof:
            self.close()

    def _pause_reading(self) -> None:
        if not self._read_paused and not self.lost and not self.transport.is_closing():
            self._read_paused = True
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._read_paused and not self.lost and not self.transport.is_closing():
            self._read_paused = False
            self.transport.resume_reading()


class Body:
    """A body on its way in, whatever its framing; read to its end exactly once."""

    def __init__(self, channel: Channel, length: int | None, *, chunked: bool, until_eof: bool = False) -> None:
        self._channel = channel
        self._left = length or 0
        self._decoder = ChunkDecoder() if chunked else None
        self._until_eof = until_eof
        self.done = not chunked and not until_eof and not self._left
        self.count = 0

    async def read(self) -> bytes:
        """Return some bytes; nothing at the end.

        Raises:
            Gone: the connection ended in the middle of the body.
            ValueError: the framing is malformed.

        """
        if self.done:
            return b""
        if self._decoder is not None:
            data = await self._channel.read_chunked(self._decoder)
            self.done = self._decoder.done
        elif self._until_eof:
            data = await self._channel.read()
            self.done = not data
        else:
            data = await self._channel.read(min(self._left, READ_MAX))
            if not data:
                raise Gone("ended in the middle of a body")
            self._left -= len(data)
            self.done = not self._left
        self.count += len(data)
        return data

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
        return b"".join(parts)
