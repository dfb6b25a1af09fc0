"""The files that a login shell reads: a notice per person, and the script that prints it."""

import os
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

FOLDER_MODE: Final = 0o755
NOTICE_MODE: Final = 0o400
SCRIPT_MODE: Final = 0o644


def write(folder: str, due: Mapping[str, tuple[int, str]]) -> None:
    """Bring a folder of notices, root's, to exactly those that are due.

    Args:
        folder: made if it is missing.
        due: login → uid and one line of text; the file is that person's, 0400.

    """
    os.makedirs(folder, FOLDER_MODE, exist_ok=True)
    if stat.S_IMODE(os.stat(folder).st_mode) != FOLDER_MODE:
        os.chmod(folder, FOLDER_MODE)
    for name in set(os.listdir(folder)) - set(due):
        with suppress(FileNotFoundError, IsADirectoryError):
            os.unlink(os.path.join(folder, name))
    for login, (uid, text) in due.items():
        path = os.path.join(folder, login)
        if not _is(path, f"{text}\n", uid, NOTICE_MODE):
            _replace(path, f"{text}\n", uid, NOTICE_MODE)


def ensure_script(path: str, text: str) -> bool:
    """Write a script, root's and for everybody to read, if it is missing or another one; return whether it was.

    Raises:
        OSError: its folder is missing, or cannot be written.

    """
    if _is(path, text, 0, SCRIPT_MODE):
        return False
    _replace(path, text, 0, SCRIPT_MODE)
    return True


def _is(path: str, text: str, uid: int, mode: int) -> bool:
    """Tell whether a plain file has that content, owner and mode."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        same = stat.S_ISREG(found.st_mode) and (found.st_uid, stat.S_IMODE(found.st_mode)) == (uid, mode)
        return same and file.read() == text.encode()


def _replace(path: str, text: str, uid: int, mode: int) -> None:
    temporary = os.path.join(os.path.dirname(path), f".{secrets.token_hex(8)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(text.encode())
            os.fchown(fd, uid, -1)
            os.fchmod(fd, mode)
        os.rename(temporary, path)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary)
        raise
