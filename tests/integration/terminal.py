"""A person at a terminal: a real bash on a real pseudo-terminal, as a real uid, driven by typing.

The shell reports each command's exit code in an invisible mark before its prompt, so that what is on
the screen stays what a person would see.
"""

import codecs
import fcntl
import os
import pty
import pwd
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

PATIENCE: Final = 60.0
_MARK: Final = re.compile(r"\x1b\]9;(\d+)\x07\[[^\n]*?\][$#] $")
_ANY_MARK: Final = re.compile(r"\x1b\]9;\d+\x07\[[^\n]*?\][$#] ")
_UNSEEN: Final = re.compile(r"\x1b\][^\x07]*\x07|\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]")
_PROMPT: Final = r"""PS1='[\u@\h \W]\$ ' PS2='> '; PROMPT_COMMAND='printf "\033]9;%s\007" $?'"""


class Unexpected(AssertionError):
    """What came back is not what the log says."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one typed command showed, and its exit code."""

    output: str
    code: int


def without_prompt(text: str) -> str:
    """Return terminal output without the shell's own prompts."""
    return _ANY_MARK.sub("", text)


def visible(text: str) -> str:
    """Return what a person sees of terminal output: no control sequences, plain line ends."""
    return _UNSEEN.sub("", text).replace("\r", "")


class Terminal:
    """A shell of ``login`` on a pseudo-terminal of ``columns`` x ``rows``.

    Args:
        login: whose shell; the account's home is its directory.
        path: the ``PATH`` of the shell (it decides which docker CLI is used).
        environ: further environment.
        echo: called with every piece of raw output, for the demo.

    """

    def __init__(
        self,
        login: str,
        *,
        path: str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        environ: dict[str, str] | None = None,
        columns: int = 220,
        rows: int = 50,
        echo: Callable[[str], None] | None = None,
    ) -> None:
        self.login = login
        self.echo = echo
        self._seen = self._unshown = ""
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._master, slave = pty.openpty()
        self.resize(columns, rows)
        account = pwd.getpwnam(login)
        base = {"HOME": account.pw_dir, "USER": login, "LOGNAME": login, "PATH": path, "TERM": "xterm", "LANG": "C.UTF-8"}
        # a gate that runs in the background of a shell ignores Ctrl-C; at a terminal nobody does
        ordinary = ["/usr/bin/env", "--default-signal=INT,QUIT"]
        self._process = subprocess.Popen(
            [*ordinary, "/usr/bin/setsid", "--ctty", "/bin/bash", "--noediting", "--norc", "-i"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=os.getgrouplist(login, account.pw_gid),
            cwd=account.pw_dir,
            env=base | (environ or {}),
        )
        os.close(slave)
        self._await(re.compile(r"[$#] $"), PATIENCE)
        self._write(f"{_PROMPT}\n")
        self._await(_MARK, PATIENCE)

    @property
    def pid(self) -> int:
        """The shell's process id."""
        return self._process.pid

    def resize(self, columns: int, rows: int) -> None:
        """Make the terminal this large, as dragging a window's corner does."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str, *, patience: float = PATIENCE) -> Answer:
        """Type a command (also one of several lines), wait for the prompt, return what it showed."""
        *above, last = text.split("\n")
        for line in above:
            self.say(line, r"^> $", patience=patience)
        self._write(f"{last}\n")
        return self.finish(last, patience=patience)

    def finish(self, typed: str = "", *, patience: float = PATIENCE) -> Answer:
        """Wait for the shell's own prompt."""
        seen = self._await(_MARK, patience, typed)
        found = _MARK.search(seen)
        assert found is not None
        return Answer(_without_echo(visible(seen[: found.start()]), typed), int(found[1]))

    def say(self, text: str, until: str, *, patience: float = PATIENCE) -> str:
        """Type a line into a program that runs in the shell; return what was shown up to ``until``."""
        self._write(f"{text}\n")
        return self.watch(until, patience=patience, typed=text)

    def press(self, keys: str) -> None:
        """Press keys, for example ``\\x03`` for Ctrl-C."""
        self._write(keys)

    def watch(self, until: str, *, patience: float = PATIENCE, typed: str = "") -> str:
        """Return what is shown up to and including the pattern ``until`` (on what is visible)."""
        return _without_echo(visible(self._await(re.compile(until, re.MULTILINE), patience, typed, plain=True)), typed)

    def close(self) -> None:
        """Close the window: the shell and what runs in it are hung up."""
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGHUP)
        os.close(self._master)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(60)

    def _write(self, text: str) -> None:
        data = text.encode()
        while data:
            data = data[os.write(self._master, data) :]

    def _await(self, pattern: re.Pattern[str], patience: float, typed: str = "", *, plain: bool = False) -> str:
        """Read until ``pattern`` is on the screen, after what was typed; return what was read since the last call."""
        end = time.monotonic() + patience
        while not self._shows(pattern, typed, plain=plain):
            left = end - time.monotonic()
            if left <= 0 or not self._read(left):
                what = f"{self.login} waited {patience:.0f} s for {pattern.pattern!r}"
                raise Unexpected(f"{what} after typing {typed!r}; on the screen:\n{visible(self._seen)[-3000:]}")
        self._show("", all_of_it=True)
        cut = self._seen.rfind("\x1b]9;") if plain else -1  # the shell's next prompt is not this answer's
        cut = cut if cut >= 0 else len(self._seen)
        seen, self._seen = self._seen[:cut], self._seen[cut:]
        return seen

    def _shows(self, pattern: re.Pattern[str], typed: str, *, plain: bool) -> bool:
        seen = visible(self._seen) if plain else self._seen
        if plain and typed:  # a program may draw its prompt again before it has read the line
            _, found, seen = seen.partition(f"{typed}\n")
            return bool(found) and pattern.search(seen) is not None
        return pattern.search(seen) is not None

    def _read(self, patience: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], min(patience, 1.0))
        if not ready:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:  # EIO: nobody has the terminal open any more
            return False
        text = self._decode(data)
        self._seen += text
        self._show(text)
        return bool(data)

    def _show(self, text: str, *, all_of_it: bool = False) -> None:
        """Hand on what is whole: up to the last line's end, or all of it."""
        self._unshown += text
        cut = len(self._unshown) if all_of_it else self._unshown.rfind("\n") + 1
        if self.echo is not None and cut:
            self.echo(self._unshown[:cut])
        self._unshown = self._unshown[cut:]


def _without_echo(output: str, typed: str) -> str:
    """Drop the lines that only repeat what was typed."""
    for line in typed.splitlines():
        head, found, tail = output.partition(f"{line}\n")
        if found and head.strip() in ("", ">"):
            output = tail
    return output
