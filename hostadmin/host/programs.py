"""The one door to other programs: argument lists, an empty standard input, a rebuilt environment.

Secrets go through standard input only; neither input nor environment appears in an error. A program
runs in a session of its own, so that Ctrl-C on the daemon does not cut a ``useradd`` in half; so it also goes on when the daemon is
killed, and the next start must wait for it (``await_orphans``) before it judges what came of it.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hostadmin.core.errors import Failed

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
STDERR_LIMIT: Final = 500
UMASK: Final = 0o022
OWNER: Final = "HOSTADMIN_STARTED_BY"  # in the environment of every program: process and start of who runs it
PROC: Final = Path("/proc")
ORPHAN_SECONDS: Final = 20.0  # the account tools wait 15 s for each other (``accounts.md`` 7)
PATIENT: Final = ("useradd", "usermod", "userdel", "groupadd", "groupdel", "chpasswd", "chage", "xargs")  # left to end by themselves
POLL_SECONDS: Final = 0.02


class ProgramFailed(Failed):
    """A program ended with another code than 0 (``code``), or not in time."""

    key = "program-failed"

    def __init__(self, message: str, *, code: int, stderr: str) -> None:
        super().__init__(message, code=code)
        self.code = code
        self.stderr = stderr


@dataclass(frozen=True, slots=True)
class Completed:
    """What a program printed."""

    stdout: str
    stderr: str


def run(argv: Sequence[str], *, stdin: str = "", timeout: float = 60, codes: Collection[int] = (0,)) -> Completed:
    """Run a program to its end.

    Args:
        argv: program and arguments; never a secret.
        stdin: what it reads; may be a secret.
        timeout: seconds.
        codes: with which it may end.

    Raises:
        ProgramFailed: it is missing, ended with another code, or took too long.

    """
    program = shutil.which(argv[0], path=PATH)
    if program is None:
        raise ProgramFailed(f"The program {argv[0]} is missing on this host; install it.", code=127, stderr="")
    try:
        done = subprocess.run(  # a list, from our own tables
            [program, *argv[1:]],
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
            env={"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", OWNER: f"{os.getpid()}:{_start_of(os.getpid())}"},
            start_new_session=True,
            umask=UMASK,
        )
    except subprocess.TimeoutExpired as error:
        raise ProgramFailed(f"{argv[0]} did not end within {timeout:g} s.", code=124, stderr="") from error
    except OSError as error:
        raise ProgramFailed(f"{argv[0]} could not be started: {error.strerror}.", code=126, stderr="") from error
    if done.returncode not in codes:
        tail = done.stderr.strip()[-STDERR_LIMIT:]
        raise ProgramFailed(f"{argv[0]} failed with code {done.returncode}: {tail}", code=done.returncode, stderr=tail)
    return Completed(done.stdout, done.stderr)


def await_orphans(seconds: float = ORPHAN_SECONDS) -> int:
    """See that no program goes on that a run of ours has started which is dead now; return how many there were.

    Those that write the account files are waited for; others, and what does not end in time, are killed.
    """
    found = orphans()
    deadline = time.monotonic() + seconds
    left = found
    while left:
        for pid in left:
            if _name_of(pid) not in PATIENT or time.monotonic() > deadline:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(POLL_SECONDS)
        left = orphans()
    return len(found)


def orphans() -> list[int]:
    """Return the processes of programs whose starter, a run of ours, does not live any more.

    Those in other pid namespaces are another host's, whose numbers mean nothing here.
    """
    found, here = [], os.readlink(PROC / "self/ns/pid")
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if os.readlink(entry / "ns/pid") != here:
                    continue
                words = (entry / "environ").read_bytes().split(b"\0")
                owner = next((w.decode() for w in words if w.startswith(f"{OWNER}=".encode())), "")
                pid, _, start = owner.partition("=")[2].partition(":")
                if owner and _start_of(pid) != start:
                    found.append(int(entry.name))
    return found


def _start_of(pid: int | str) -> str:
    """Return when a process was started, in ticks, which tells it from a later one with its number; empty: there is none."""
    with suppress(OSError):
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[19]
    return ""


def _name_of(pid: int) -> str:
    with suppress(OSError):
        return (PROC / str(pid) / "comm").read_text().strip()
    return ""
