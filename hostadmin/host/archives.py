"""Homes in archives: a compressed tar with its checksum beside it, for root only, complete or not there at all."""

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Final

from hostadmin.core.errors import Conflict, Failed
from hostadmin.host import programs
from hostadmin.host.programs import ProgramFailed

PRIVATE_FOLDER: Final = 0o700
PRIVATE_FILE: Final = 0o600
SPARE_BYTES: Final = 16 << 20  # of disk that an archive leaves free
TOOL_SECONDS: Final = 3600
CHANGED_CODE: Final = 1  # tar(1): files differed while they were read; the archive is complete
TAR: Final = ("tar", "--create", "--gzip", "--sparse", "--numeric-owner", "--xattrs", "--acls", "--one-file-system")
Run = Callable[..., programs.Completed]


@dataclass(frozen=True, slots=True)
class Stored:
    """An archive on disk: where, its SHA-256 in hex, its bytes, and what tar had to say."""

    path: str
    sha256: str
    bytes: int
    note: str = ""


class Archives:
    """The folder with the archives of homes.

    Args:
        folder: made for root only, if need be.
        run: starts a program (``programs.run``).

    """

    def __init__(self, folder: str, run: Run = programs.run) -> None:
        self.folder = folder
        self._run = run

    def require_space(self, home: str) -> None:
        """Check that a home fits, uncompressed, beside the archives.

        Raises:
            Conflict: with what is missing, and what to do.

        """
        self._make_folder()
        try:
            told = self._run(["du", "--summarize", "--one-file-system", "--block-size=1", "--", home], timeout=TOOL_SECONDS).stdout
        except ProgramFailed as error:
            raise Failed(f"The size of {home} cannot be told: {error.message}", key="archive-size") from error
        needed, free = int(told.split()[0]) + SPARE_BYTES, shutil.disk_usage(self.folder).free
        if needed > free:
            raise Conflict(
                f"The archive of {home} may need {needed:,} bytes, {self.folder} has {free:,}: {needed - free:,} bytes are missing. "
                "Free some space, or let the home go for good with `--no-archive`.",
                key="archive-space",
                missing_bytes=needed - free,
            )

    def store(self, home: str, login: str, uid: int, moment: datetime) -> Stored:
        """Write the archive of a home of exactly this uid; it is on the disk when this returns.

        Raises:
            Conflict: the home is not what it was when tar began: nothing is kept.
            Failed: tar could not do it; nothing is kept.

        """
        before = _identity(home, uid)
        self._make_folder()
        final = self._free_name(login, uid, moment.astimezone(UTC))
        part = f"{final}.part"
        try:
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE_FILE))
            note = self._tar(part, home)
            if _identity(home, uid) != before:
                raise Conflict(f"{home} was moved away or replaced while it was archived; nothing of it was removed.", key="home-moved")
            return self._finish(part, final, note)
        except OSError as error:
            raise Failed(f"{home} could not be archived: {error.strerror} ({error.filename or part}).", key="archive") from error
        finally:
            for left in (part, f"{part}.sha256"):
                with suppress(FileNotFoundError):
                    os.unlink(left)

    def is_there(self, stored: Stored) -> bool:
        """Tell whether an archive lies there with its size."""
        try:
            return os.stat(stored.path).st_size == stored.bytes
        except FileNotFoundError:
            return False

    def remove(self, path: str) -> None:
        """Remove an archive and its checksum."""
        for name in (path, f"{path}.sha256"):
            with suppress(FileNotFoundError):
                os.unlink(name)

    def tidy(self, login: str, uid: int, keep: Collection[str]) -> None:
        """Remove what a killed run has left of one account: half-written archives, and those that nobody knows (not in ``keep``)."""
        ours = re.compile(rf"{re.escape(login)}-{uid}-\d{{8}}T\d{{6}}Z\.tar\.gz(\.part)?(\.sha256)?")
        with suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                if ours.fullmatch(entry.name) and entry.path.removesuffix(".sha256") not in keep:
                    os.unlink(entry.path)

    def _free_name(self, login: str, uid: int, moment: datetime) -> str:
        """Return a path that nothing has: one person's archives of one second must not take each other's place."""
        for later in count():
            path = os.path.join(self.folder, f"{login}-{uid}-{moment + timedelta(seconds=later):%Y%m%dT%H%M%SZ}.tar.gz")
            if not os.path.lexists(path):
                return path
        raise AssertionError  # count() does not end

    def _make_folder(self) -> None:
        os.makedirs(self.folder, PRIVATE_FOLDER, exist_ok=True)
        if stat.S_IMODE(os.stat(self.folder).st_mode) != PRIVATE_FOLDER:
            os.chmod(self.folder, PRIVATE_FOLDER)

    def _tar(self, part: str, home: str) -> str:
        """Let tar write; return what it says of files that changed meanwhile, which nobody's processes do any more."""
        parent, name = os.path.split(os.path.normpath(home))
        try:
            self._run([*TAR, f"--file={part}", f"--directory={parent}", "--", f"./{name}"], timeout=TOOL_SECONDS)
        except ProgramFailed as error:
            if error.code != CHANGED_CODE:
                raise
            return error.stderr
        return ""

    def _finish(self, part: str, final: str, note: str) -> Stored:
        """Make a written archive durable, with its checksum as ``sha256sum --check`` takes it; only then it gets its name."""
        with open(part, "rb") as file:
            os.fsync(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = os.fstat(file.fileno()).st_size
        fd = os.open(f"{part}.sha256", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE_FILE)
        with os.fdopen(fd, "w", encoding="ascii") as file_:
            file_.write(f"{digest}  {os.path.basename(final)}\n")
            file_.flush()
            os.fsync(file_.fileno())
        os.rename(f"{part}.sha256", f"{final}.sha256")
        os.rename(part, final)
        _sync_folder(self.folder)
        return Stored(final, digest, size, note)


def _identity(home: str, uid: int) -> tuple[int, int]:
    """Return what tells a directory from another one that has come to its place.

    Raises:
        Conflict: it is no directory of this uid.

    """
    try:
        found = os.lstat(home)
    except FileNotFoundError:
        raise Conflict(f"{home} is gone.", key="home-moved") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid:
        raise Conflict(f"{home} is not a directory of uid {uid} any more; nothing of it was removed.", key="home-moved")
    return found.st_dev, found.st_ino


def _sync_folder(folder: str) -> None:
    fd = os.open(Path(folder), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
