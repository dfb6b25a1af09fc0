"""Who holds the lock that all writers of the account files take, and what is done about one that is held on purpose.

``passwd``, ``chfn`` and ``chsh`` run as root with the real uid of whoever has started them, and kill(2) lets that person
stop them: stopped at the right moment, one of them keeps everybody else from the account files for as long as they like.
"""

import logging
import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

LOG: Final = logging.getLogger("hostadmin.host")
LOCK: Final = ".pwd.lock"  # lckpwdf(3)
PROC: Final = Path("/proc")
PATIENCE_SECONDS: Final = 1.0  # the lock is held for some milliseconds
POLL_SECONDS: Final = 0.01


def holders(etc: Path) -> Iterator[int]:
    """Yield the processes that hold the lock on the account files below ``etc`` (proc(5), ``/proc/locks``)."""
    lock = etc / LOCK
    with suppress(OSError, ValueError):
        inode = f":{lock.stat().st_ino}"
        for line in (PROC / "locks").read_text("ascii").splitlines():
            words = line.split()
            if words[1:4] == ["POSIX", "ADVISORY", "WRITE"] and words[5].endswith(inode) and _has_open(words[4], lock):
                yield int(words[4])


def free(etc: Path, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """See that no program that a person has started keeps the lock: it is told to go on, and killed if it still holds it then.

    Nothing is lost by that: these programs write a new file beside the old one and rename it.
    """
    deadline = time.monotonic() + patience_seconds
    while kept := [pid for pid in holders(etc) if _is_of_a_person(pid)]:
        late = time.monotonic() > deadline
        for pid in kept:
            _signal(pid, signal.SIGKILL if late else signal.SIGCONT)
        if late:
            return
        time.sleep(POLL_SECONDS)


def _signal(pid: int, number: signal.Signals) -> None:
    """Signal a process through a pidfd, once it is certain that the number is still a person's process."""
    with suppress(OSError):
        fd = os.pidfd_open(pid)
        try:
            if _is_of_a_person(pid) and not select.select([fd], [], [], 0)[0]:
                signal.pidfd_send_signal(fd, number)
                if number is signal.SIGKILL:
                    LOG.warning("accounts: process %d, started by a person, would not let go of the account files: killed", pid)
        finally:
            os.close(fd)


def _has_open(pid: str, path: Path) -> bool:
    """Tell whether a process has a file open: inodes of other file systems may have the same number."""
    with suppress(OSError):
        for fd in os.listdir(PROC / pid / "fd"):
            with suppress(OSError):
                if os.readlink(PROC / pid / "fd" / fd) == str(path):
                    return True
    return False


def _is_of_a_person(pid: int) -> bool:
    """Tell whether a process has another real uid than root's; what an administrator has begun is waited for."""
    with suppress(OSError):
        status = (PROC / str(pid) / "status").read_bytes()
        return status.partition(b"\nUid:\t")[2].split(None, 1)[0] != b"0"
    return False
