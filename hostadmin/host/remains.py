"""What a uid leaves on a host besides its account and home: spools, jobs, files in shared places, System V IPC.

userdel leaves all of it (``accounts.md`` 4.3), and whoever comes back under that login would inherit it.
"""

import ctypes
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from hostadmin.host import programs
from hostadmin.host.programs import ProgramFailed

BY_LOGIN: Final = ("/var/spool/cron/crontabs", "/var/mail", "/var/lib/systemd/linger")  # a file per login
BY_UID: Final = ("/var/spool/cron/atjobs", "/var/spool/cron/atspool")  # files that belong to it, of at(1)
SHARED: Final = ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/lock")  # noqa: S108  # where everybody may put files
RUNTIME: Final = "/run/user"  # a folder per uid; where systemd-logind mounts it, it goes with the last session
IPC: Final = Path("/proc/sysvipc")
IPC_REMOVE: Final = 0  # linux/ipc.h: IPC_RMID
FIND_SECONDS: Final = 600
LIBC: Final = ctypes.CDLL(None, use_errno=True)
CONTROL: Final[dict[str, Callable[[int], int]]] = {  # table in /proc/sysvipc → ipcrm of one: shmctl(2), msgctl(2), semctl(2)
    "shm": lambda number: LIBC.shmctl(number, IPC_REMOVE, None),
    "msg": lambda number: LIBC.msgctl(number, IPC_REMOVE, None),
    "sem": lambda number: LIBC.semctl(number, 0, IPC_REMOVE),
}


def remove_spools(login: str, uid: int, *, by_login: Sequence[str] = BY_LOGIN, by_uid: Sequence[str] = BY_UID) -> None:
    """Remove the crontab, the mailbox, the lingering sessions and the at jobs of an account."""
    for spool in by_login:
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            os.unlink(os.path.join(spool, login))
    for spool in by_uid:
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(spool) as entries:
            for entry in entries:
                if entry.stat(follow_symlinks=False).st_uid == uid and not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)


def remove_files(uid: int, subordinate: range = range(0), *, places: Sequence[str] = SHARED, runtime: str = RUNTIME) -> str:
    """Remove the files of a uid, and of its subordinate ones, from the places where everybody may put some, and its runtime folder.

    find(1) works by descriptors, follows no symlink and leaves no file system; a directory with somebody else's
    files in it stays.

    Returns:
        What could not be removed, as find says it; empty for nothing.

    """
    own = os.path.join(runtime, str(uid))
    there = [place for place in places if os.path.isdir(place)]
    there += [own] if os.path.isdir(own) and not os.path.islink(own) and not os.path.ismount(own) else []
    if not there:  # find would take the working directory
        return ""
    whose = ["-uid", str(uid)]
    if subordinate:
        first, stop = subordinate.start, subordinate.stop
        whose = ["(", *whose, "-o", "-uid", str(first), "-o", "-uid", f"+{first}", "-uid", f"-{stop}", ")"]
    try:
        programs.run(["find", "-P", *there, "-xdev", *whose, "-delete"], timeout=FIND_SECONDS)
    except ProgramFailed as error:  # somebody else's file came or went meanwhile, or lies in a directory of this uid
        return error.stderr or error.message
    return ""


def remove_ipc(uid: int) -> int:
    """Remove the shared memory, message queues and semaphores that a uid owns or has made; return how many."""
    count = 0
    for table, remove in CONTROL.items():
        for number, owners in _ipc(table):
            if uid in owners and remove(number) == 0:
                count += 1
    return count


def _ipc(table: str) -> list[tuple[int, set[int]]]:
    """Return id, and owner's and creator's uid, of everything in a table of ``/proc/sysvipc`` (proc(5))."""
    try:
        head, *lines = (IPC / table).read_text("ascii").splitlines()
    except (FileNotFoundError, ValueError):  # a kernel without System V IPC
        return []
    columns = head.split()
    rows = [dict(zip(columns, line.split(), strict=False)) for line in lines]
    return [(int(row[columns[1]]), {int(row["uid"]), int(row["cuid"])}) for row in rows]  # key, id, ...
