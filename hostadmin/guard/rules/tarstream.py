"""A tar on its way to the engine: read while it streams, written anew, its telling files held back to the end.

The engine unpacks what *we* understood, not what the caller sent: two tar readers never have to agree. Contents
go through untouched; every header is read strictly and written by us. No entry may stand twice or lie below a
link, so that a path means the same file from the first entry to the last. The files that decide what the engine
will do (a manifest, a Dockerfile) and the end of the archive are sent last, after they have been judged: a tar
that is cut off before is an error to every engine (moby ``daemon/internal/image/tarexport``, ``remotecontext``).
"""

import hashlib
import posixpath
import re
import tarfile
from typing import Final

from hostadmin.guard.refusal import Refusal, malformed

BLOCK: Final = tarfile.BLOCKSIZE
ENTRIES_LIMIT: Final = 200_000
EXTENSION_LIMIT: Final = 1 << 20
ZERO_BLOCK: Final = bytes(BLOCK)
END: Final = bytes(2 * BLOCK)
FILES: Final = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE})
DEVICES: Final = frozenset({tarfile.CHRTYPE, tarfile.BLKTYPE})  # a shell on the host opens them through /proc/PID/root
OTHERS: Final = frozenset({tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE})
EXTENSIONS: Final = frozenset({tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK})
XATTR: Final = "SCHILY.xattr."
COMPRESSED: Final = (b"BZh", b"\x1f\x8b", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")


class TarRefused(ValueError):
    """The tar cannot be judged, or holds what is not allowed (``status`` 400 or 403)."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def refused(what: str, error: TarRefused) -> Refusal:
    """Return the answer to a tar that was refused; the rest of its upload is not waited for."""
    return malformed(f"hostadmin refused {what}: {error}", status=error.status, close=True)


class TarStream:
    """Rewrites one plain tar piece by piece.

    Args:
        wanted: names of the files whose contents decide; they are held back.
        limit: the largest size of such a file, in bytes.
        hashed: names of files that are not held back, but whose SHA-256 matters (up to ``limit`` bytes).

    """

    def __init__(self, wanted: frozenset[str], limit: int, hashed: "re.Pattern[str] | None" = None) -> None:
        self.found: dict[str, bytes] = {}
        self.hashes: dict[str, str] = {}
        self._hashed = hashed
        self._wanted = wanted
        self._limit = limit
        self._rest = bytearray()
        self._left = 0  # bytes of the current content and its padding still to come
        self._taking: bytearray | None = None  # a content that is kept: a wanted file, or an extension
        self._entry: tarfile.TarInfo | None = None
        self._pending: dict[str, str] = {}  # what extension headers say of the next entry
        self._names: set[str] = set()
        self._links: set[str] = set()
        self._held: list[bytes] = []
        self._ended = False

    def feed(self, data: bytes) -> bytes:
        """Take some bytes of the caller's tar; return those that may go to the engine now.

        Raises:
            TarRefused: not a tar, too many entries, an entry twice, a wanted file that is none.

        """
        if self._left >= len(data) and not self._rest and self._taking is None and not self._ended:
            self._left -= len(data)
            return data
        self._rest += data
        out: list[bytes] = []
        while not self._ended and (self._left or len(self._rest) >= BLOCK):
            if self._left:
                if not self._take(out):
                    break
            else:
                self._header(bytes(self._rest[:BLOCK]), out)
                del self._rest[:BLOCK]
        if self._ended:
            self._rest.clear()  # what follows the end is nobody's
        return b"".join(out)

    def finish(self) -> None:
        """Check, after the last byte, that the tar is whole and that no path leads through a link.

        Raises:
            TarRefused: it is not.

        """
        if self._left or self._rest or self._pending or (not self._ended and not self._names):
            raise TarRefused("it is not a tar, or it is cut off")
        for name in self._names:
            if not self._links.isdisjoint(parents(name)):
                raise TarRefused(f"{name[:64]!r} lies below a link")

    def release(self) -> bytes:
        """Return the last bytes: what was held back, and the end of the archive."""
        return b"".join(self._held) + END

    def _take(self, out: list[bytes]) -> bool:
        """Move on inside a content; return whether it may go on with what is there."""
        count = min(self._left, len(self._rest))
        if not count:
            return False
        piece = bytes(self._rest[:count])
        del self._rest[:count]
        self._left -= count
        if self._taking is None:
            out.append(piece)
            return True
        self._taking += piece
        if not self._left:
            self._taken(out)
        return True

    def _taken(self, out: list[bytes]) -> None:
        entry, content = self._entry, bytes(self._taking or b"")
        self._taking = self._entry = None
        assert entry is not None  # noqa: S101  # set together
        if entry.type in EXTENSIONS:
            self._extend(entry, content[: entry.size])
            return
        data = content[: entry.size]
        whole = _write(entry) + data + bytes(-entry.size % BLOCK)
        if entry.name in self._wanted:
            self.found[entry.name] = data
            self._held.append(whole)
        else:
            self.hashes[entry.name] = hashlib.sha256(data).hexdigest()
            out.append(whole)

    def _header(self, block: bytes, out: list[bytes]) -> None:
        if block == ZERO_BLOCK:
            self._ended = True
            return
        try:
            entry = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.TarError as error:
            raise TarRefused("it is not a tar, or it is damaged") from error
        if entry.type in EXTENSIONS:
            self._expect(entry, EXTENSION_LIMIT, out)
            return
        if entry.type not in FILES | OTHERS | DEVICES or entry.size < 0:
            raise TarRefused(f"{entry.name[:64]!r} is of a kind that is not taken here (sparse files: use --format=pax without --sparse)")
        entry = self._known(entry)
        if entry.type in DEVICES:
            if not clean(entry.name).startswith("dev/"):  # those are left out: every container has a /dev made anew
                raise TarRefused(f"{entry.name[:64]!r} is a device node: nobody brings those onto the host", 403)
            return
        self._register(entry)
        if entry.type in OTHERS:
            entry.size = 0
            target = clean(entry.linkname) if entry.islnk() else ""
            (self._held if target in self._wanted else out).append(_write(entry))
            return
        entry.type = tarfile.REGTYPE
        if entry.name in self._wanted or (self._hashed and entry.size <= self._limit and self._hashed.fullmatch(entry.name)):
            self._expect(entry, self._limit, out)
        else:
            out.append(_write(entry))
            self._left = entry.size + -entry.size % BLOCK

    def _expect(self, entry: tarfile.TarInfo, limit: int, out: list[bytes]) -> None:
        """Keep the content of an entry."""
        if entry.size > limit:
            raise TarRefused(f"{entry.name[:64]!r} must be a plain file of at most {limit} bytes")
        self._entry, self._taking = entry, bytearray()
        self._left = entry.size + -entry.size % BLOCK
        if not self._left:
            self._taken(out)

    def _register(self, entry: tarfile.TarInfo) -> None:
        first = not self._names
        name = clean(entry.name)
        if name in self._names and not entry.isdir():
            raise TarRefused(f"{name[:64]!r} is in it twice")
        if name in self._wanted and entry.type not in FILES:
            raise TarRefused(f"{name[:64]!r} must be a plain file, not a link")
        self._names.add(name)
        if len(self._names) > ENTRIES_LIMIT:
            raise TarRefused(f"it has more than {ENTRIES_LIMIT} entries")
        if entry.issym() or entry.islnk():
            self._links.add(name)
        looks_compressed = first and name.encode("utf-8", "surrogateescape").startswith(COMPRESSED)
        entry.name = f"./{name}" if looks_compressed else name  # else the engine would try to decompress

    def _extend(self, entry: tarfile.TarInfo, content: bytes) -> None:
        """Note what an extension header says of the next entry."""
        if entry.type == tarfile.GNUTYPE_LONGNAME:
            self._pending["path"] = _text(content.rstrip(b"\0"))
        elif entry.type == tarfile.GNUTYPE_LONGLINK:
            self._pending["linkpath"] = _text(content.rstrip(b"\0"))
        elif entry.type == tarfile.XHDTYPE:
            self._pending.update(read_records(content))
        elif set(read_records(content)) - {"comment"}:
            raise TarRefused("it has global headers")

    def _known(self, entry: tarfile.TarInfo) -> tarfile.TarInfo:
        """Apply the extension headers before an entry; keep of them what an engine may need."""
        said, self._pending = self._pending, {}
        if any(key.startswith("GNU.sparse") for key in said):
            raise TarRefused("it has sparse files: make it without --sparse")
        for key, member in (("path", "name"), ("linkpath", "linkname"), ("uname", "uname"), ("gname", "gname")):
            if key in said:
                setattr(entry, member, said[key])
        for key in ("size", "uid", "gid"):
            if key in said:
                if not said[key].isdecimal() or len(said[key]) > 18:
                    raise TarRefused("it has a malformed extension header")
                setattr(entry, key, int(said[key]))
        entry.pax_headers = {key: value for key, value in said.items() if key.startswith(XATTR) or key == "mtime"}
        if "\0" in entry.name or "\0" in entry.linkname:
            raise TarRefused("it has a malformed name")
        return entry


def read_records(content: bytes) -> dict[str, str]:
    r"""Read the records of a PAX header (POSIX ``pax``: ``LENGTH KEY=VALUE\\n``).

    Raises:
        TarRefused: they are malformed.

    """
    found = {}
    position = 0
    while position < len(content):
        length, space, _ = content[position : position + 20].partition(b" ")
        end = position + int(length) if length.isdigit() else 0
        record = content[position + len(length) + 1 : end]
        key, equals, value = record[:-1].partition(b"=")
        if not space or not equals or not record.endswith(b"\n") or end > len(content):
            raise TarRefused("it has a malformed extension header")
        found[_text(key)] = _text(value)
        position = end
    return found


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _write(entry: tarfile.TarInfo) -> bytes:
    """Return the header of an entry, with its extension header if it needs one."""
    try:
        return entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    except (ValueError, UnicodeError, OverflowError) as error:
        raise TarRefused(f"{entry.name[:64]!r} has a header that cannot be written") from error


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
