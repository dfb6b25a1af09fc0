"""``~/.ssh/authorized_keys`` of an account: read and written by descriptor, never through a symlink of the person's.

Lines that the person has put there stay as they are.
"""

import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from hostadmin.core.errors import Failed
from hostadmin.core.sshkeys import SHAPES

FOLDER: Final = ".ssh"
NAME: Final = "authorized_keys"
LIMIT: Final = 1 << 20
OTHERS_WRITE: Final = 0o022  # sshd(8), StrictModes
OPTIONS: Final = re.compile(r'(?:[^\s"]|"(?:\\.|[^"\\])*")+\s+')  # sshd(8): no spaces but within double quotes
DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def read(home: str, uid: int) -> Sequence[str]:
    """Return the lines of a person's authorized_keys; none if there is no such file, or it is not theirs to read."""
    try:
        with _folder(home, uid) as folder:
            return _lines(folder, uid)
    except OSError:
        return []


def write(home: str, uid: int, gid: int, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
    """See that lines are in a person's authorized_keys, and others are not.

    Args:
        home: the home, a directory of that uid.
        uid: the person's.
        gid: the group of what is made.
        add: lines that must be there.
        remove: lines that must not.

    Raises:
        Failed: home, ``.ssh`` or the file is not a plain one of that person.

    """
    try:
        with _folder(home, uid, make_for=gid) as folder:
            before = _lines(folder, uid)
            gone = {key_of(line) for line in remove}
            kept = [line for line in before if key_of(line) not in gone]
            present = {key_of(line) for line in kept}
            after = [*kept, *(line for line in add if key_of(line) not in present)]
            if after and after != before:
                _replace(folder, after, uid, gid)
            elif not after and before:
                os.unlink(NAME, dir_fd=folder)
        if not after:
            with suppress(OSError):  # there is more in it
                os.rmdir(os.path.join(home, FOLDER))
    except OSError as error:
        raise Failed(f"The keys in {home}/{FOLDER}/{NAME} could not be written: {error.strerror}.", key="keys") from error


def key_of(line: str) -> str:
    """Return what makes two lines the same key: its type and blob, without options and comment; of any other line all of it."""
    text = line.strip()
    words = text.split(None, 2)
    if words and words[0] not in SHAPES and (options := OPTIONS.match(text)):
        words = text[options.end() :].split(None, 2)
    return " ".join(words[:2]) if len(words) > 1 and words[0] in SHAPES and not text.startswith("#") else line


@contextmanager
def _folder(home: str, uid: int, *, make_for: int | None = None) -> Iterator[int]:
    """Open ``.ssh`` of a home; make it (0700) for a group if it is missing and ``make_for`` says so."""
    top = os.open(home, DIRECTORY)
    try:
        _check_owner(top, uid)
        if make_for is not None:
            with suppress(FileExistsError):
                os.mkdir(FOLDER, 0o700, dir_fd=top)
                os.chown(FOLDER, uid, make_for, dir_fd=top, follow_symlinks=False)
        fd = os.open(FOLDER, DIRECTORY, dir_fd=top)
    finally:
        os.close(top)
    try:
        _check_owner(fd, uid)
        yield fd
    finally:
        os.close(fd)


def _check_owner(fd: int, uid: int) -> None:
    if os.fstat(fd).st_uid != uid:
        raise PermissionError(0, "it belongs to somebody else")


def _lines(folder: int, uid: int) -> list[str]:
    try:
        fd = os.open(NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return []
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != uid or found.st_size > LIMIT:
            raise PermissionError(0, "it is not a plain file of that person, or too large")
        text = file.read(LIMIT).decode("utf-8", "surrogateescape")
        return text.removesuffix("\n").split("\n") if text else []  # splitlines() would end a line at a form feed, too


def _replace(folder: int, lines: Sequence[str], uid: int, gid: int) -> None:
    temporary, mode = f".{NAME}.{secrets.token_hex(8)}", 0o600
    with suppress(FileNotFoundError):
        mode = stat.S_IMODE(os.stat(NAME, dir_fd=folder, follow_symlinks=False).st_mode) & ~OTHERS_WRITE
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
            file.flush()
            os.fchown(fd, uid, gid)
            os.fchmod(fd, mode)
            os.fsync(fd)
        os.rename(temporary, NAME, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
