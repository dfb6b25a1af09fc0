"""Home directories: whose is it, make it private, remove it; by descriptor, never through a symlink."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from hostadmin.core.errors import Conflict, Failed
from hostadmin.host import programs

PRIVATE: Final = 0o700
BLOCK: Final = 512  # stat(2): st_blocks
MOUNTS: Final = Path("/proc/self/mountinfo")
REMOVE_SECONDS: Final = 3600


def exists(home: str) -> bool:
    """Tell whether anything is at that path, a dangling symlink included."""
    return os.path.lexists(home)


def check(home: str, uid: int) -> None:
    """Refuse a home path where there is anything but a directory of exactly this uid.

    Raises:
        Conflict: with what is there and whose it is.

    """
    try:
        found = os.lstat(home)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode):
        what = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "not a directory"
        raise Conflict(f"{home} exists already and is {what}: move it away first.", key="home-exists")
    if found.st_uid != uid:
        raise Conflict(f"{home} exists already and belongs to uid {found.st_uid}: move it away first.", key="home-exists")


def is_private(home: str, uid: int, gid: int) -> bool:
    """Tell whether a home is a directory of this uid and gid that nobody else may enter."""
    try:
        found = os.lstat(home)
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (uid, gid, PRIVATE)


def make_private(home: str, uid: int) -> None:
    """Give a home of this uid the mode 0700: one that was there before may have another."""
    with suppress(OSError):
        fd = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(fd).st_uid == uid:
                os.fchmod(fd, PRIVATE)
        finally:
            os.close(fd)


def size(home: str) -> int:
    """Return the bytes that a home takes on the disk: what the file system gives it, other file systems left out."""
    total, device, left = 0, -1, [home] if home else []
    while left:
        with suppress(OSError), os.scandir(left.pop()) as entries:
            for entry in entries:
                found = entry.stat(follow_symlinks=False)
                device = found.st_dev if device < 0 else device
                if found.st_dev == device:
                    total += found.st_blocks * BLOCK
                    left += [entry.path] if entry.is_dir(follow_symlinks=False) else []
    return total


def find_problem(home: str, uid: int) -> str | None:
    """Return what is wrong with the home of an account: it is missing, no directory, or somebody else's."""
    try:
        found = os.lstat(home)
    except OSError:
        return f"the home {home} is missing"
    if not stat.S_ISDIR(found.st_mode):
        return f"the home {home} is no directory"
    return None if found.st_uid == uid else f"the home {home} belongs to uid {found.st_uid}"


def owners(root: str) -> set[int]:
    """Return the uids that own anything directly below the root of the homes."""
    found = set()
    with suppress(FileNotFoundError), os.scandir(root) as entries:
        for entry in entries:
            with suppress(OSError):
                found.add(entry.stat(follow_symlinks=False).st_uid)
    return found


def check_no_mounts(home: str) -> None:
    """Refuse to remove a home below which something is mounted: that would be deleted with it.

    Raises:
        Conflict: with the first mount point.

    """
    home = os.path.realpath(home)  # the kernel names mount points by their real path
    prefix = f"{home}/"
    for line in MOUNTS.read_text("utf-8", errors="surrogateescape").splitlines():
        point = _unescaped(line.split()[4])
        if point.startswith(prefix) or point == home:
            raise Conflict(f"Something is mounted on {point}: unmount it first, or keep the home.", key="home-mounted")


def _unescaped(path: str) -> str:
    """Return a path of mountinfo as it is: blanks, tabs, newlines and backslashes are octal there (proc(5))."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)


def remove(home: str, uid: int) -> bool:
    """Remove a home of exactly this uid, or an empty one of root that a killed useradd has left.

    Returns:
        Whether there is none any more; ``False``: it belongs to somebody else and was left as it is.

    Raises:
        Failed: not all of it could be removed; run it again.

    """
    with _parent(home) as (parent, name):
        try:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return True
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (uid, 0):
            return False
        if found.st_uid != uid:
            with suppress(OSError):
                os.rmdir(name, dir_fd=parent)
            return not os.path.lexists(home)
    try:  # fts(3): however deep, by descriptors, no symlink followed, no mount entered; rmtree gives up at some depth
        programs.run(["rm", "--recursive", "--force", "--one-file-system", "--", os.path.normpath(home)], timeout=REMOVE_SECONDS)
    except programs.ProgramFailed as error:
        advice = "`lsattr -R` shows files that `chattr +i` has made immutable; then run it again"
        raise Failed(f"{home} could not be removed: {error.stderr or error.message} ({advice}).", key="home-remove") from error
    return True


@contextmanager
def _parent(home: str) -> Iterator[tuple[int, str]]:
    parent, name = os.path.split(os.path.normpath(home))
    fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd, name
    finally:
        os.close(fd)
