"""The processes of an account on the host, and their end. Those in containers are the engine's business."""

import os
import resource
import select
import signal
import time
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from typing import Final

from hostadmin.host import programs
from hostadmin.host.programs import ProgramFailed

PATIENCE_SECONDS: Final = 2.0
AS_NOBODYS_GROUP: Final = ("setpriv", "--regid=65534", "--clear-groups")  # so that nobody of that uid may trace it
POLL_SECONDS: Final = 0.05
PROC: Final = "/proc"
Whose = int | Container[int]


def running(*whose: Whose) -> list[int]:
    """Return the processes with one of these uids, real, effective or saved, that do not live in a container.

    A process in another pid namespace is in a container, unless it is in a user namespace of its own too:
    that is what ``unshare`` gives a person without root, and it is no place to hide.

    Args:
        whose: uids, and ranges of them: an account's subordinate ones.

    """
    own_pid, own_user = (os.readlink(f"{PROC}/self/ns/{kind}") for kind in ("pid", "user"))
    found = []
    for name in os.listdir(PROC):
        if not name.isdigit():
            continue
        with suppress(OSError):
            if not _is_one_of(_uids(name), whose):
                continue
            if os.readlink(f"{PROC}/{name}/ns/pid") == own_pid or os.readlink(f"{PROC}/{name}/ns/user") != own_user:
                found.append(int(name))
    return found


def counts() -> Mapping[int, int]:
    """Return uid → how many processes run under it, anywhere."""
    found: Counter[int] = Counter()
    for name in os.listdir(PROC):
        if name.isdigit():
            with suppress(OSError):
                found.update(_uids(name))
    return found


def all_uids() -> set[int]:
    """Return the uids under which anything runs."""
    return set(counts())


def end(*whose: Whose, patience_seconds: float = PATIENCE_SECONDS) -> int:
    """End all processes of these uids: TERM, then KILL until none is left; return how many stayed.

    Args:
        whose: uids, and ranges of them; of many accounts at once if need be, since looking costs the same.
        patience_seconds: how long they may take after TERM, and again after KILL.

    """
    if not _tell(whose, signal.SIGTERM, patience_seconds):
        return 0
    uids = [uid for uid in whose if isinstance(uid, int) and running(uid)]
    _freeze(uids)
    left = _tell(whose, signal.SIGKILL, patience_seconds)
    _thaw(uids)
    return left


def _tell(whose: tuple[Whose, ...], number: signal.Signals, patience_seconds: float) -> int:
    """Send a signal to all processes of these uids until there are none, or patience ends; return how many there are."""
    deadline = time.monotonic() + patience_seconds
    told: set[int] = set()
    while left := running(*whose):
        for pid in left:
            if number is signal.SIGKILL or pid not in told:  # who forks faster than we look is killed again
                _signal(pid, whose, number)
                told.add(pid)
        if time.monotonic() > deadline:
            return len(running(*whose))
        time.sleep(POLL_SECONDS if number is signal.SIGTERM else 0)
    return 0


def _freeze(uids: Sequence[int]) -> None:
    """Stop all processes of uids at one stroke, so that none can outrun us by forking: kill(2) with -1, as that uid.

    It cannot be told to spare those in containers: ``_thaw`` lets them go on.
    """
    for uid in uids:
        if uid > 0:
            with suppress(ProgramFailed):
                programs.run([*AS_NOBODYS_GROUP, f"--reuid={uid}", "--", "sh", "-c", "kill -STOP -1"])


def _thaw(uids: Sequence[int]) -> None:
    """Let the processes of uids go on that live in containers."""
    here = set(running(*uids)) if uids else set()
    for name in os.listdir(PROC) if uids else ():
        with suppress(OSError):
            if name.isdigit() and int(name) not in here and _uids(name) & set(uids):
                _signal(int(name), tuple(uids), signal.SIGCONT)


def _signal(pid: int, whose: tuple[Whose, ...], number: signal.Signals) -> None:
    """Signal a process through a pidfd, once it is certain that the number is still that process.

    One that is to be killed may not fork any more from here on, nor may its children: setrlimit(2), RLIMIT_NPROC.
    """
    with suppress(OSError):
        fd = os.pidfd_open(pid)
        try:
            if not _is_one_of(_uids(str(pid)), whose) or select.select([fd], [], [], 0)[0]:
                return
            if number is signal.SIGKILL:
                with suppress(OSError, ValueError):
                    resource.prlimit(pid, resource.RLIMIT_NPROC, (0, 0))
            signal.pidfd_send_signal(fd, number)
        finally:
            os.close(fd)


def _is_one_of(uids: set[int], whose: tuple[Whose, ...]) -> bool:
    return any(uid == one if isinstance(one, int) else uid in one for uid in uids for one in whose)


def _uids(name: str) -> set[int]:
    """Return real, effective and saved uid of a process, any of which it can act with; none of one that is dead already (a zombie)."""
    with open(f"{PROC}/{name}/status", "rb") as file:
        text = file.read()
    state, _, rest = text.partition(b"\nState:\t")[2].partition(b"\n")
    if not state or state[:1] in b"ZX":
        return set()
    return {int(n) for n in rest.partition(b"Uid:\t")[2].split(None, 3)[:3]}
