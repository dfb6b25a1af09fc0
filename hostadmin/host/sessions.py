"""The processes of an account on the host, and their end. Those in containers are the engine's business."""

import os
import select
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

PATIENCE_SECONDS: Final = 2.0
POLL_SECONDS: Final = 0.05
PROC: Final = Path("/proc")


def running(uid: int) -> list[int]:
    """Return the processes with this uid, real or effective, that do not live in a container.

    A process in another pid namespace is in a container, unless it is in a user namespace of its own too:
    that is what ``unshare`` gives a person without root, and it is no place to hide.
    """
    own_pid, own_user = os.readlink(PROC / "self/ns/pid"), os.readlink(PROC / "self/ns/user")
    found = []
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            if uid not in _uids(entry):
                continue
            if os.readlink(entry / "ns/pid") == own_pid or os.readlink(entry / "ns/user") != own_user:
                found.append(int(entry.name))
    return found


def all_uids() -> set[int]:
    """Return the uids under which anything runs."""
    found: set[int] = set()
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                found |= _uids(entry)
    return found


def end(uid: int, *, patience_seconds: float = PATIENCE_SECONDS) -> int:
    """End all processes of a uid: TERM, then KILL until none is left; return how many stayed.

    Args:
        uid: whose.
        patience_seconds: how long they may take after TERM, and again after KILL.

    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + patience_seconds
        told: set[int] = set()
        while left := running(uid):
            for pid in left:
                if number is signal.SIGKILL or pid not in told:  # who forks faster than we look is killed again
                    _signal(pid, uid, number)
                    told.add(pid)
            if time.monotonic() > deadline:
                break
            time.sleep(POLL_SECONDS)
        else:
            return 0
    return len(running(uid))


def _signal(pid: int, uid: int, number: signal.Signals) -> None:
    """Signal a process through a pidfd, once it is certain that the number is still that process."""
    with suppress(OSError):
        fd = os.pidfd_open(pid)
        try:
            if uid in _uids(PROC / str(pid)) and not select.select([fd], [], [], 0)[0]:
                signal.pidfd_send_signal(fd, number)
        finally:
            os.close(fd)


def _uids(entry: Path) -> set[int]:
    """Return real and effective uid of a process; none of one that is dead already (a zombie)."""
    fields = dict(line.split(":\t", 1) for line in (entry / "status").read_text().splitlines() if ":\t" in line)
    if fields.get("State", "Z").startswith(("Z", "X")):
        return set()
    return {int(n) for n in fields["Uid"].split()[:2]}
