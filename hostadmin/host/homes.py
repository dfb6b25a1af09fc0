"""Home directories: whose is it, make it private, remove it; by descriptor, never through a symlink."""

import ctypes
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hostadmin.core.errors import Conflict, Failed
from hostadmin.host import programs

PRIVATE: Final = 0o700
BLOCK: Final = 512  # stat(2): st_blocks
MOUNTS: Final = Path("/proc/self/mountinfo")
REMOVE_SECONDS: Final = 3600
MNT_DETACH: Final = 2  # umount2(2)
UMOUNT_NOFOLLOW: Final = 8


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
    try:
        device = os.lstat(home).st_dev
    except OSError:
        return 0
    total, left = 0, [home]
    while left:
        with suppress(OSError), os.scandir(left.pop()) as entries:
            for entry in entries:
                with suppress(OSError):  # gone meanwhile, or the FUSE mount of somebody, which even root may not look at
                    found, is_folder = entry.stat(follow_symlinks=False), entry.is_dir(follow_symlinks=False)
                    if is_folder and found.st_dev != device:  # of files, an overlay tells the device below
                        continue
                    total += found.st_blocks * BLOCK
                    left += [entry.path] if is_folder else []
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


def check_no_mounts(home: str, *, but_of: int | None = None) -> None:
    """Refuse to remove a home below which something is mounted: that would be deleted with it.

    Args:
        home: its path.
        but_of: a uid whose own FUSE mounts do not count: ``detach_own`` takes them away.

    Raises:
        Conflict: with the first mount point.

    """
    for mount in _mounts_below(home):
        if but_of is None or mount.fuse_uid != but_of:
            raise Conflict(f"Something is mounted on {mount.point}: unmount it first, or keep the home.", key="home-mounted")


def detach_own(home: str, uid: int) -> None:
    """Take away what somebody without a process has left mounted in their home with FUSE (sshfs and the like).

    By descriptor, so that no link that somebody puts in the way is followed. Where the service has a mount namespace of its own,
    the host's own mount goes when its folder is removed (rmdir(2); Linux 4.0 and later). What cannot be taken away stays,
    and ``check_no_mounts`` tells of it.
    """
    home = os.path.realpath(home)
    for mount in reversed(_mounts_below(home)):  # what was mounted last lies on top
        if mount.fuse_uid == uid and mount.point != home:
            with suppress(OSError), _folder_of(home, mount.point) as (parent, name):
                _detach(f"/proc/self/fd/{parent}/{name}")


@contextmanager
def _folder_of(home: str, path: str) -> Iterator[tuple[int, str]]:
    """Open the folder in which a path below a home is, no link on the way; yield it and the path's last part."""
    *folders, name = os.path.relpath(path, home).split("/")
    fd = os.open(home, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for folder in folders:
            inner = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            os.close(fd)
            fd = inner
        yield fd, name
    finally:
        os.close(fd)


def _detach(path: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(os.fsencode(path), MNT_DETACH | UMOUNT_NOFOLLOW):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@dataclass(frozen=True, slots=True)
class _Mount:
    """A mount point; ``fuse_uid``: who mounted it with FUSE."""

    point: str
    fuse_uid: int | None


def _mounts_below(home: str) -> list[_Mount]:
    """Return what is mounted on a home or below it, in the order in which it was mounted (proc(5), mountinfo)."""
    home = os.path.realpath(home)  # the kernel names mount points by their real path
    found = []
    for line in MOUNTS.read_text("utf-8", errors="surrogateescape").splitlines():
        front, _, back = line.partition(" - ")
        point = _unescaped(front.split()[4])
        if point == home or point.startswith(f"{home}/"):
            kind, *_, options = back.split(" ")
            fuse = kind.split(".")[0] in ("fuse", "fuseblk")
            uids = [int(o.removeprefix("user_id=")) for o in options.split(",") if o.startswith("user_id=")] if fuse else []
            found.append(_Mount(point, uids[0] if uids else None))
    return found


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
