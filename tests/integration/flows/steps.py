"""The words of a recorded flow: what is typed, as data."""

from dataclasses import dataclass
from typing import Final

from tests.integration.theday import CTRL_C, DETACH, Line

ANY: Final = -2  # which code, the client decides
FAILS: Final = -3  # with which code, the engine decides
SHELL: Final = r"/ # $"


@dataclass(frozen=True, slots=True)
class Step:
    """One line for the shell and its exit ``code`` on the bare engine.

    ``talk``: typed at a terminal, once ``opens`` is shown; keys to ``press`` are pressed, and the next line follows. ``numbers``: figures are measurements, that differ by
    nature. ``any_order``: lines come as the programs get on. ``until``: typed again until this is in the output,
    before the answer counts (what the step shows comes about by itself).
    """

    typed: str
    code: int = 0
    talk: tuple[Line, ...] = ()
    opens: str = SHELL
    numbers: bool = False
    any_order: bool = False
    until: str = ""


@dataclass(frozen=True, slots=True)
class Flow:
    """Work that somebody does in one go, in an empty directory."""

    name: str
    steps: tuple[Step, ...]
    core: bool = False  # what is also played with the old client, and on the newer engines


def typed(*lines: str) -> tuple[Step, ...]:
    """Return steps that must succeed."""
    return tuple(Step(line) for line in lines)


__all__ = ["ANY", "CTRL_C", "DETACH", "FAILS", "SHELL", "Flow", "Line", "Step", "typed"]
