"""One connection, to a caller or to the engine: reads, writes, back-pressure, half-close.

What comes in goes one of two ways. *Waiting*: blocks of bytes stay in order until a reader takes them, and the
transport is paused above ``HIGH``. *Flowing*: an outlet (``guard.flows``) takes every block at once, straight out of
the event loop, without a task or a copy in between.
"""

import asyncio
import fcntl
import select
import termios
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from hostadmin.guard.framing import HEAD_LIMIT
from hostadmin.guard.refusal import malformed

HIGH: Final = 512 * 1024
POLL_SECONDS: Final = 0.0005
HEAD_END: Final = b"\r\n\r\n"


class Gone(ConnectionError):
    """The other side of a channel has gone."""


class Outlet(Protocol):
    """Takes what a channel receives."""

    def take(self, block: bytes) -> None:
        """Take one block."""

    def take_eof(self) -> None:
        """Take the end: the peer sends no more."""


class Inlet(Protocol):
    """Fills a channel, and is told how that goes."""

    def pause(self) -> None:
        """Stop for now: the channel's peer does not read fast enough."""

    def resume(self) -> None:
        """Go on."""

    def lose(self) -> None:
        """Stop for good: the channel is lost."""


class Channel(asyncio.Protocol):
    """One end of a stream connection."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.transport: Any = None
        self.eof = False
        self.lost = False
        self.sent_bytes = 0
        self.received_bytes = 0
        self.outlet: Outlet | None = None
        self.inlet: Inlet | None = None
        self.on_eof: Callable[[], None] | None = None
        self.ended: asyncio.Future[None] | None = None
        self._blocks: deque[bytes] = deque()
        self._waiting = 0
        self._searched = 0
        self._reader: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._write_paused = False
        self._read_paused = False
        self._wrote_eof = False

    # -- asyncio.Protocol ------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:  # noqa: D102  # asyncio.Protocol
        self.transport = transport

    def data_received(self, data: bytes) -> None:  # noqa: D102
        self.received_bytes += len(data)
        if self.outlet is not None:
            self.outlet.take(data)
            return
        self._blocks.append(data)
        self._waiting += len(data)
        if self._waiting > HIGH:
            self.pause_reading()
        self._wake()

    def eof_received(self) -> bool:  # noqa: D102
        self._take_eof()
        return True  # keep the other direction open

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002, D102
        self.lost = True
        if not self.eof:
            self._take_eof()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        if self.inlet is not None:
            self.inlet.lose()
        if self.ended is not None and not self.ended.done():
            self.ended.set_result(None)

    def pause_writing(self) -> None:  # noqa: D102
        self._write_paused = True
        if self.inlet is not None:
            self.inlet.pause()

    def resume_writing(self) -> None:  # noqa: D102
        self._write_paused = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        if self.inlet is not None:
            self.inlet.resume()

    def _take_eof(self) -> None:
        self.eof = True
        if self.on_eof is not None:
            self.on_eof()
        if self.outlet is not None:
            self.outlet.take_eof()
        self._wake()

    # -- reading ---------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many bytes wait to be read."""
        return self._waiting

    async def read_head(self) -> bytes | None:
        """Return the next head with its empty line; ``None`` if the connection ended before it began.

        Raises:
            Refusal: 431 for a head above 32 KiB, 400 for one that is cut off.

        """
        while True:
            head = self._find_head()
            if head is not None:
                return head
            if self.eof:
                if self._waiting:
                    raise malformed("the request head is cut off", close=True)
                return None
            await self._wait()

    def _find_head(self) -> bytes | None:
        if not self._blocks:
            return None
        if len(self._blocks) > 1:
            block = b"".join(self._blocks)
            self._blocks.clear()
            self._blocks.append(block)
        block = self._blocks[0]
        end = block.find(HEAD_END, self._searched)
        if end < 0:
            self._searched = max(0, len(block) - 3)
        size = end + len(HEAD_END) if end >= 0 else len(block)
        if size > HEAD_LIMIT:
            raise malformed(f"the request head is larger than {HEAD_LIMIT} bytes", status=431, close=True)
        if end < 0:
            return None
        self._searched = 0
        self._blocks.clear()
        self._waiting = 0
        if size < len(block):
            self.unread(block[size:])
        self._resume_if_low()
        return block[:size] if size < len(block) else block

    async def read(self) -> bytes:
        """Return the next block; nothing at the end."""
        while not self._blocks:
            if self.eof:
                return b""
            await self._wait()
        return self.take_block()

    def take_block(self) -> bytes:
        """Return the first block that waits; nothing if none does."""
        if not self._blocks:
            return b""
        block = self._blocks.popleft()
        self._waiting -= len(block)
        self._resume_if_low()
        return block

    def unread(self, block: bytes) -> None:
        """Put back what was taken too much."""
        self._blocks.appendleft(block)
        self._waiting += len(block)

    def _resume_if_low(self) -> None:
        if self._read_paused and self._waiting < HIGH // 2:
            self.resume_reading()

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

    def write_parts(self, parts: list[bytes | memoryview], size: int) -> None:
        """Queue several pieces of ``size`` bytes together, without a copy."""
        if not self.lost and not self._wrote_eof:
            self.sent_bytes += size
            self.transport.writelines(parts)

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

    @property
    def wrote_eof(self) -> bool:
        """Whether our sending side has ended."""
        return self._wrote_eof

    def close(self) -> None:
        """End the connection after what was written has gone out."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        if self.transport is not None:
            self.transport.abort()

    def until_ended(self) -> "asyncio.Future[None]":
        """Return a future that is done when the connection is lost."""
        if self.ended is None:
            self.ended = self.loop.create_future()
            if self.lost:
                self.ended.set_result(None)
        return self.ended

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

    @property
    def write_paused(self) -> bool:
        """Whether the peer does not read fast enough."""
        return self._write_paused

    def pause_reading(self) -> None:
        """Let the peer wait."""
        if not self._read_paused and not self.lost and not self.transport.is_closing():
            self._read_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Let the peer go on."""
        if self._read_paused and not self.lost and not self.transport.is_closing():
            self._read_paused = False
            self.transport.resume_reading()
