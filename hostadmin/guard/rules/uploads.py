"""Uploads: tars from callers, without their compression, counted, judged before their end is released.

Every byte of an upload passes ``read``: the one place for limits. Compression is taken off here, so that the
engine gets plain tars only (CVE-2026-41567: an engine that decompresses runs programs for it); work on
compressed bytes is done in threads, in pieces, so that it holds up nobody.
"""

import asyncio
import bz2
import copy
import lzma
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from hostadmin.guard.channel import Gone
from hostadmin.guard.exchange import Exchange
from hostadmin.guard.refusal import Refusal
from hostadmin.guard.rules.tarstream import TarRefused, TarStream, refused
from hostadmin.guard.upstream import Response

TAR: Final = (("Content-Type", "application/x-tar"),)
PIECE: Final = 512 * 1024
MAGIC_BYTES: Final = 8
ZSTD: Final = b"\x28\xb5\x2f\xfd"


class _Gzip:
    """``zlib`` with the interface of ``bz2`` and ``lzma``."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    def decompress(self, data: bytes, limit: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, limit)


KINDS: Final[dict[bytes, Callable[[], Any]]] = {
    b"\x1f\x8b": _Gzip,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
}


async def read(x: Exchange) -> AsyncIterator[bytes]:
    """Yield a caller's tar without its compression, counted together with all else that they upload now.

    Raises:
        TarRefused: compressed in another way, twice, or cut off.
        Refusal: 413, it is more than the profile's ``upload_bytes``.

    """
    profile, owner, uploading, sent = x.caller.profile, x.caller.owner, x.guard.uploading, 0
    try:
        async for data in _plain(x):
            sent += len(data)
            uploading[owner] += len(data)
            if profile is not None and 0 < profile.upload_bytes < uploading[owner]:
                text = f"profile {profile.name!r} allows {profile.upload_bytes} bytes at the same time (unpacked); send less, or one after the other"
                raise Refusal(413, f"hostadmin: upload_bytes: too much is sent: {text}", "quota")
            yield data
    finally:
        uploading[owner] -= sent


async def _plain(x: Exchange) -> AsyncIterator[bytes]:
    """Take off gzip, bzip2, xz; several streams after one another."""
    source = x.read_stream()
    first = b""
    async for data in source:
        first += data
        if len(first) >= MAGIC_BYTES:
            break
    make = next((kind for magic, kind in KINDS.items() if first.startswith(magic)), None)
    if make is None:
        _check_plain(first)
        yield first
        async for data in source:
            yield data
        return
    begun = False
    async for data in _inflate(first, source, make):
        if not begun:
            begun = True
            _check_plain(data, inside=True)
        yield data


def _check_plain(first: bytes, *, inside: bool = False) -> None:
    """The engine must not find a compression of its own in what it gets (moby ``compression.Detect``)."""
    skippable = first[1:4] == b"\x2a\x4d\x18" and 0x50 <= first[0] <= 0x5F
    if first.startswith(ZSTD) or skippable:
        raise TarRefused("it is compressed with zstd: use gzip, xz or no compression")
    if inside and first.startswith(tuple(KINDS)):
        raise TarRefused("it is compressed twice")


async def _inflate(first: bytes, source: AsyncIterator[bytes], make: Callable[[], Any]) -> AsyncIterator[bytes]:
    machine = make()
    data = first
    while True:
        try:
            piece = await asyncio.to_thread(machine.decompress, data, PIECE)
        except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
            raise TarRefused("its compression is damaged") from error
        data = b""
        if piece:
            yield piece
        if machine.eof:
            data = machine.unused_data
            while not data.strip(b"\0") and (more := await anext(source, b"")):
                data = more
            if not data.strip(b"\0"):
                return
            machine = make()
        elif machine.needs_input:
            data = await anext(source, b"")
            if not data:
                raise TarRefused("its compression is cut off")


@contextmanager
def beside(x: Exchange) -> Iterator[Exchange]:
    """Give the same exchange with an engine connection of its own, for questions while the first one is busy."""
    other = copy.copy(x)
    other.upstream = x.upstream.beside()
    try:
        yield other
    finally:
        other.upstream.close()


class Upload:
    """One upload on its way to the engine, and what stopped it.

    Args:
        x: the exchange.
        what: what is uploaded, for the refusal (``this image file``).
        tar: the tar to be rewritten and judged; ``None``: the bytes are the engine's own business.
        judge: decides, once all of the tar is known; the engine gets the end only after it has returned.

    """

    def __init__(
        self, x: Exchange, what: str, tar: TarStream | None = None, judge: Callable[[Exchange], Awaitable[None]] | None = None
    ) -> None:
        self._x = x
        self._what = what
        self._tar = tar
        self._judge = judge
        self._error: Refusal | None = None
        self.released = tar is None  # whether the engine has got all that it needs to act

    async def ask(self, *segments: str, method: str = "POST", query: Any = None, fields: Any = TAR) -> Response:
        """Send it as the body of one request and return the engine's answer.

        Raises:
            Refusal: it was refused on its way; the engine has seen a cut.
            Gone: caller or engine have gone.

        """
        try:
            return await self._x.ask(method, *segments, query=query, stream=self._chunks(), fields=fields)
        except Gone:
            if self._error is not None:
                raise self._error from None
            raise

    async def _chunks(self) -> AsyncIterator[bytes]:
        try:
            if self._tar is None:
                async for data in read(self._x):
                    yield data
                return
            async for data in read(self._x):
                out = self._tar.feed(data)
                if out:
                    yield out
            self._tar.finish()
            if self._judge is not None:
                with beside(self._x) as other:
                    await self._judge(other)
            self.released = True
            yield self._tar.release()
        except TarRefused as error:
            self._error = refused(self._what, error)
            raise
        except Refusal as error:
            self._error = error
            raise
