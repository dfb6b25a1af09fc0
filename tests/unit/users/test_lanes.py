"""Steps side by side."""

import threading

from hostadmin.core.errors import Failed, HostadminError
from hostadmin.host.accounts import LOCKED
from hostadmin.store.plans import Step
from hostadmin.users.lanes import carry_out

STEPS = [Step("change", f"u{n}", {}) for n in range(6)]


def test_the_errors_come_in_the_order_of_the_steps() -> None:
    errors = {"u1": Failed("one"), "u4": Failed("four")}
    assert carry_out(lambda step: errors.get(step.ref), STEPS, 3, threading.Event()) == [errors.get(step.ref) for step in STEPS]


def test_as_many_at_a_time_as_there_are_lanes() -> None:
    both = threading.Barrier(2, timeout=10)

    def meet(_step: Step) -> None:
        both.wait()

    assert carry_out(meet, STEPS, 2, threading.Event()) == [None] * 6


def test_nothing_is_begun_once_the_account_files_are_locked() -> None:
    begun = []

    def act(step: Step) -> HostadminError | None:
        begun.append(step.ref)
        return Failed("held", key=LOCKED) if step.ref == "u2" else None

    found = carry_out(act, STEPS, 1, threading.Event())
    assert begun == ["u0", "u1", "u2"]
    assert [error.message if error else None for error in found] == [None, None, "held", "held", "held", "held"]


def test_nothing_more_is_begun_while_the_service_ends() -> None:
    begun, stopping = [], threading.Event()

    def act(step: Step) -> None:
        begun.append(step.ref)
        if step.ref == "u2":
            stopping.set()

    found = carry_out(act, STEPS, 1, stopping)
    assert begun == ["u0", "u1", "u2"]
    assert [error.key if error else None for error in found] == [None, None, None, "stopping", "stopping", "stopping"]
