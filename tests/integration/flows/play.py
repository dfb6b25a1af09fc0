"""Plays a flow at one door of the engine and compares what two doors showed."""

import difflib
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.integration.flows.design import by_design
from tests.integration.flows.normal import normalise
from tests.integration.flows.steps import ANY, FAILS, Flow, Step
from tests.integration.people import process_of
from tests.integration.terminal import Terminal, Unexpected

PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What one step came to."""

    step: Step
    code: int
    out: str
    err: str


class Door:
    """One way to the engine for one person: a socket, and the programs that are used there.

    Args:
        login: who works.
        socket: where the programs connect to.
        name: the folder below the home in which the work is done.
        programs: a folder that comes first in ``PATH``.
        config: ``DOCKER_CONFIG``, where the CLI's plug-ins are.

    """

    def __init__(self, login: str, socket: str, name: str, programs: Path, config: Path) -> None:
        self.login = login
        self.home = Path("/home") / login / name
        self.path = f"{programs}:/usr/bin:/bin:/usr/sbin:/sbin"
        self.environ = {"DOCKER_HOST": f"unix://{socket}", "DOCKER_CONFIG": str(config), "HOME": str(self.home), "TERM": "xterm"}
        self.environ |= {
            "DOCKER_BUILDKIT": "0",
            "COMPOSE_DOCKER_CLI_BUILD": "0",
            "COMPOSE_PROGRESS": "plain",
            "COMPOSE_ANSI": "never",
            "PYTHONUNBUFFERED": "1",
        }

    def play(self, flow: Flow) -> list[Seen]:
        """Do the whole flow in a fresh directory; return what was seen, step by step."""
        shutil.rmtree(self.home, ignore_errors=True)
        for place in (self.home, self.home / "work"):
            place.mkdir()
            shutil.chown(place, self.login, self.login)
        return [self.do(step) for step in flow.steps]

    def do(self, step: Step) -> Seen:
        """Do one step, again and again until it shows what it waits for."""
        end = time.monotonic() + PATIENCE
        while True:
            seen = self._talk(step) if step.talk else self._type(step)
            if not step.until or step.until in seen.out or time.monotonic() > end:
                return seen
            time.sleep(0.1)

    def _type(self, step: Step) -> Seen:
        call = process_of(self.login, ["bash", "-c", f"cd ~/work; {step.typed}"], environ=self.environ | {"PATH": self.path})
        try:
            done = subprocess.run(**call, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=PATIENCE)
        except subprocess.TimeoutExpired as late:
            return Seen(step, -1, f"nothing within {PATIENCE:.0f} s; so far {late.stdout!r}", repr(late.stderr))
        return Seen(step, done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))

    def _talk(self, step: Step) -> Seen:
        terminal = Terminal(self.login, path=self.path, environ=self.environ, columns=100, rows=30)
        shown = ""
        try:
            shown = terminal.say(step.typed, step.opens, patience=PATIENCE)
            for line in step.talk:
                if line.press:
                    terminal.press(line.press)
                else:
                    shown += terminal.say(line.typed, line.until, patience=PATIENCE)
            answer = terminal.finish(patience=PATIENCE)
            shown += answer.output
            for line in step.talk:  # the terminal's echo comes before or after the program's own
                shown = shown.replace(f"{line.typed}\n", "") if line.typed else shown
            return Seen(step, answer.code, shown, "")
        except Unexpected as error:
            return Seen(step, -1, f"{shown}\n{error}", "")
        finally:
            terminal.close()


def differences(bare: Iterable[Seen], guarded: Iterable[Seen]) -> list[str]:
    """Return everything in which the two runs differ beyond what differs by nature or by design, step by step."""
    found = []
    for one, other in zip(bare, guarded, strict=True):
        if not _as_expected(one):
            found.append(
                f"on the bare engine {one.step.typed!r} ended with {one.code}, not {one.step.code}: {one.out[-1500:]}{one.err[-1500:]}"
            )
        for what, left, right in (
            ("exit code", str(one.code), str(other.code)),
            ("stdout", one.out, other.out),
            ("stderr", one.err, other.err),
        ):
            lines = [_lines(one.step, text) for text in (left, right)]
            if lines[0] != lines[1]:
                shown = "\n    ".join(list(difflib.unified_diff(*lines, "bare", "guarded", lineterm="", n=1))[:60])
                found.append(f"{what} of {one.step.typed!r}:\n    {shown}")
    return found


def _lines(step: Step, text: str) -> list[str]:
    return normalise(by_design(step.typed, text), numbers=step.numbers, any_order=step.any_order).split("\n")


def _as_expected(seen: Seen) -> bool:
    if seen.step.code == FAILS:
        return seen.code > 0
    return seen.code == seen.step.code or (seen.step.code == ANY and seen.code >= 0)
