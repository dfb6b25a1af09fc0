"""The content of a volume into a tar and back, with owners, modes, holes, extended attributes and ACLs (GNU tar).

A tar is root's alone, complete under its name, and never unpacked into a place that a container can reach:
a process in there could put a link in the way of what root writes.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hostadmin.core.errors import Failed, StorageFull
from hostadmin.host import programs

SECONDS: Final = 3600
FULL_BYTES: Final = 64 << 10
KEEP: Final = ("--numeric-owner", "--xattrs", "--xattrs-include=*", "--acls")
PACK: Final = ("tar", "--create", "--sparse", "--one-file-system", *KEEP)
UNPACK: Final = ("tar", "--extract", "--same-owner", "--preserve-permissions", "--delay-directory-restore", *KEEP)
Run = Callable[..., programs.Completed]


@dataclass(frozen=True, slots=True)
class Packed:
    """A tar on disk: where, its SHA-256 in hex, its bytes."""

    file: str
    sha256: str
    bytes: int


def pack(folder: str, file: Path, *, run: Run = programs.run) -> Packed:
    """Write what lies in a folder into a tar; it is on the disk when this returns.

    The tar's folder and the one above it are made for root only, if need be.

    Raises:
        Failed: it could not be read or written in full; no tar is left.

    """
    part = file.with_name(f"{file.name}.part")
    try:
        file.parent.parent.mkdir(exist_ok=True, mode=0o700)  # `parents=True` would give it any mode
        file.parent.mkdir(exist_ok=True, mode=0o700)
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        _run_on_disk([*PACK, f"--file={part}", f"--directory={folder}", "."], file.parent, run)
        with part.open("rb") as written:
            os.fsync(written.fileno())
            found = Packed(str(file), hashlib.file_digest(written, "sha256").hexdigest(), os.fstat(written.fileno()).st_size)
        part.rename(file)
        _sync(file.parent)
    except OSError as error:
        raise Failed(f"The content of {folder} could not be kept: {error.strerror}.", key="volume-data") from error
    finally:
        part.unlink(missing_ok=True)
    return found


def unpack(packed: Packed, folder: str, *, run: Run = programs.run) -> None:
    """Put the content of a tar in the place of a volume's folder, in one step.

    It is unpacked beside ``folder``, where no container sees it. An earlier attempt is swept away.

    Raises:
        Failed: the tar is not what was written, or could not be unpacked; ``folder`` is as it was.

    """
    place = Path(folder)
    fresh, old = place.with_name(f"{place.name}.hostadmin-new"), place.with_name(f"{place.name}.hostadmin-old")
    try:
        with open(packed.file, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != packed.sha256:
                raise Failed(f"The file {packed.file} is damaged: its checksum is not what was written.", key="volume-data")
        for left in (fresh, old):
            shutil.rmtree(left, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        _run_on_disk([*UNPACK, f"--file={packed.file}", f"--directory={fresh}"], fresh, run)
        if place.exists():
            place.rename(old)
        fresh.rename(place)
        _sync(place.parent)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise Failed(f"The content of {folder} could not be brought back: {error.strerror}.", key="volume-data") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def forget(folder: Path, prefix: str, *, keep: str = "") -> None:
    """Remove the files of a folder whose names begin so, but for the path ``keep``; and the folder once it is empty.

    Raises:
        Failed: one cannot be removed.

    """
    try:
        for file in folder.glob(f"{prefix}*"):
            if str(file) != keep:
                file.unlink(missing_ok=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    except OSError as error:
        raise Failed(f"What lies in {folder} cannot be removed: {error.strerror}.", key="volume-data") from error


def _run_on_disk(argv: list[str], where: Path, run: Run) -> None:
    """Run tar, and say it in plain words if it failed because the disk is full."""
    try:
        run(argv, timeout=SECONDS)
    except programs.ProgramFailed as error:
        if shutil.disk_usage(where).free < FULL_BYTES:
            text = f"The disk that holds {where} is full; free some space and try again."
            raise StorageFull(text) from error
        raise


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
