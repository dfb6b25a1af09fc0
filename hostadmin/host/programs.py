"""The one door to other programs: argument lists, an empty standard input, a rebuilt environment.

Secrets go through standard input only; neither input nor environment appears in an error. A program
runs in a session of its own, so that Ctrl-C on the daemon does not cut a ``useradd`` in half.
"""

import shutil
import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from hostadmin.core.errors import Failed

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
STDERR_LIMIT: Final = 500
UMASK: Final = 0o022


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
            env={"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root"},
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
