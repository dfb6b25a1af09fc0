"""Bodies of requests that can be read a second time, for observe mode."""

import tempfile
from typing import IO, Final, Self, cast

from hostadmin.guard.flows import Readable
from hostadmin.guard.refusal import malformed

IN_MEMORY: Final = 1 << 20
PIECE: Final = 256 * 1024


class KeptBody:
    """Keeps what is read of a body; after ``rewind`` it is read again from its beginning, and then on to its end.

    Args:
        body: the body as it comes from the caller.

    """

    def __init__(self, body: Readable) -> None:
        self._body = body
        spool = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY, prefix="hostadmin-")  # noqa: SIM115  # closed by __exit__
        self._file = cast("IO[bytes]", spool)
        self._again = False
        self._left = 0
        self.count = 0
        self.broken = False  # it was cut off, or malformed: nobody can read it again

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def done(self) -> bool:
        """Whether it has been read to its end."""
        return self._body.done and (self._left == 0 or not self._again)

    def rewind(self) -> None:
        """Read it again from its beginning; what comes new is no longer kept."""
        self._again, self._left = True, self.count
        self._file.seek(0)

    async def read(self) -> bytes:
        """Return some bytes; nothing at the end."""
        if self._again and self._left:
            data = self._file.read(PIECE)
            self._left -= len(data)
            return data
        try:
            data = await self._body.read()
        except BaseException:
            self.broken = True
            raise
        if not self._again:
            self._file.write(data)
            self.count += len(data)
        return data

    async def read_all(self, limit: int) -> bytes:
        """Return the whole body, of at most ``limit`` bytes.

        Raises:
            Refusal: 413, it is larger.

        """
        return await _read_all(self, limit)


class WholeBody:
    """A body that is there as a whole."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.count = 0

    @property
    def done(self) -> bool:
        """Whether it has been read."""
        return not self._data

    async def read(self) -> bytes:
        """Return it, then nothing."""
        data, self._data = self._data, b""
        self.count = len(data)
        return data

    async def read_all(self, limit: int) -> bytes:
        """Return the whole body, as ``KeptBody``."""
        return await _read_all(self, limit)


async def _read_all(body: Readable, limit: int) -> bytes:
    parts: list[bytes] = []
    while not body.done:
        parts.append(await body.read())
        if sum(map(len, parts)) > limit:
            raise malformed(f"the body is larger than {limit} bytes", status=413, close=True)
    return b"".join(parts)
