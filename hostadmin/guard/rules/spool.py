"""A tar on its way to the engine: spooled, read once, and written anew.

The engine unpacks what *we* understood, not what the caller sent: two tar readers never have to agree. No
entry may stand twice or lie below a link, so that a path means the same file from the first entry to the last.
"""

import io
import posixpath
import tarfile
import tempfile
from collections.abc import AsyncIterator
from typing import IO, Final, Self

CHUNK: Final = 256 * 1024
ENTRIES_LIMIT: Final = 200_000


class TarRefused(ValueError):
    """The tar cannot be judged, or holds what is not allowed (``status`` 400 or 403)."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Spool:
    """One tar, from the caller's bytes to those for the engine.

    Args:
        wanted: names of the files whose contents are to be read.
        limit: the largest size of such a file, in bytes.

    """

    def __init__(self, wanted: frozenset[str], limit: int) -> None:
        self._wanted = wanted
        self._limit = limit
        self._given: IO[bytes] = tempfile.TemporaryFile(prefix="hostadmin-")  # noqa: SIM115  # closed by __exit__
        self._made: IO[bytes] = tempfile.TemporaryFile(prefix="hostadmin-")  # noqa: SIM115  # closed by __exit__
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._given.close()
        self._made.close()

    def write(self, data: bytes) -> None:
        """Append bytes of the caller's tar (plain, or compressed with gzip, bzip2 or xz)."""
        self._given.write(data)
        self.size += len(data)

    def rebuild(self) -> dict[str, bytes]:
        """Write the tar anew and return the contents of the wanted files that are in it.

        Raises:
            TarRefused: not a tar, too many entries, an entry twice or below a link, a wanted file that is none.

        """
        self._given.seek(0)
        found: dict[str, bytes] = {}
        names: set[str] = set()
        links: set[str] = set()
        try:
            with (
                tarfile.open(fileobj=self._given, mode="r|*") as source,
                tarfile.open(fileobj=self._made, mode="w|", format=tarfile.PAX_FORMAT) as sink,
            ):
                for member in source:
                    name = clean(member.name)
                    if name in names and not member.isdir():
                        raise TarRefused(f"{name!r} is in it twice")
                    names.add(name)
                    if len(names) > ENTRIES_LIMIT:
                        raise TarRefused("it has too many entries")
                    if member.issym() or member.islnk():
                        links.add(name)
                    content = source.extractfile(member) if member.isreg() else None
                    member.name = name
                    if name in self._wanted:
                        found[name] = self._take(name, member, content)
                        content = io.BytesIO(found[name])
                    sink.addfile(member, content)
        except (tarfile.TarError, EOFError, OSError, UnicodeError, ValueError) as error:
            if isinstance(error, TarRefused):
                raise
            raise TarRefused("it is not a tar") from error
        below = next((n for n in names if any(parent in links for parent in parents(n))), None)
        if below is not None:
            raise TarRefused(f"{below!r} lies below a link")
        return found

    def _take(self, name: str, member: tarfile.TarInfo, content: IO[bytes] | None) -> bytes:
        if content is None or member.size > self._limit:
            raise TarRefused(f"{name!r} must be a plain file of at most {self._limit} bytes")
        return content.read()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes for the engine."""
        self._made.seek(0)
        while data := self._made.read(CHUNK):
            yield data


def clean(name: str) -> str:
    """Return an entry's path as it will be unpacked: relative, without dots.

    Raises:
        TarRefused: it leads out of the tar.

    """
    path = posixpath.normpath("/" + name).lstrip("/")
    if ".." in name.split("/") and posixpath.normpath(name).startswith(".."):
        raise TarRefused(f"{name[:64]!r} leads out of it")
    return path or "."


def parents(name: str) -> list[str]:
    """Return every folder above a path."""
    parts = name.split("/")[:-1]
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]
