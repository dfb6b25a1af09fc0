"""Steps of different logins side by side; nothing more is begun once somebody else holds the account files, or the service ends."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from hostadmin.core.errors import HostadminError, Unavailable
from hostadmin.host.accounts import LOCKED
from hostadmin.store.plans import Step

STOPPING: Final = "stopping"
HALTS: Final = frozenset({LOCKED, STOPPING})  # errors that hold for every step that is still to come
Act = Callable[[Step], HostadminError | None]


def stopped() -> Unavailable:
    """Return why a step is not begun while the service ends."""
    return Unavailable("Not begun: hostadmin is being stopped.", key=STOPPING)


def carry_out(act: Act, steps: Sequence[Step], lanes: int, stopping: threading.Event) -> Sequence[HostadminError | None]:
    """Carry out steps, some at a time; return what went wrong with each.

    A tool waits long for the account files. Whoever finds them locked for longer than that speaks for all: those whose
    turn is still to come get the same error without having been begun.

    Args:
        act: carries out one; returns why it could not be done.
        steps: each of another login.
        lanes: how many at a time.
        stopping: set while they are carried out: no more are begun.

    """
    halted: list[HostadminError] = []

    def unless_halted(step: Step) -> HostadminError | None:
        if stopping.is_set():
            return stopped()
        if halted:
            return halted[0]
        error = act(step)
        if error is not None and error.key == LOCKED:
            halted.append(error)
        return error

    with ThreadPoolExecutor(lanes, "steps") as pool:
        return list(pool.map(unless_halted, steps))
