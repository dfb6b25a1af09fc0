"""Steps of different logins side by side; once somebody else holds the account files, nothing more is begun."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from hostadmin.core.errors import HostadminError
from hostadmin.host.accounts import LOCKED
from hostadmin.store.plans import Step

Act = Callable[[Step], HostadminError | None]


def carry_out(act: Act, steps: Sequence[Step], lanes: int) -> Sequence[HostadminError | None]:
    """Carry out steps, some at a time; return what went wrong with each.

    A tool waits long for the account files. Whoever finds them locked for longer than that speaks for all: those whose
    turn is still to come get the same error without having been begun.

    Args:
        act: carries out one; returns why it could not be done.
        steps: each of another login.
        lanes: how many at a time.

    """
    locked: list[HostadminError] = []

    def unless_locked(step: Step) -> HostadminError | None:
        if locked:
            return locked[0]
        error = act(step)
        if error is not None and error.key == LOCKED:
            locked.append(error)
        return error

    with ThreadPoolExecutor(lanes, "steps") as pool:
        return list(pool.map(unless_locked, steps))
