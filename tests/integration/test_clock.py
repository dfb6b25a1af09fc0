"""A host whose clock is set wrong and put right: access follows the date, both ways."""

import pytest

from tests.integration.accounts import ADMIN, PASSWORD, Bench, snapshot, su
from tests.integration.dated import CLOCK, DAY, Yard, dated, states, wait_for_opening, yard

__all__ = ["dated", "yard"]  # fixtures
pytestmark = [pytest.mark.host, pytest.mark.timeout(120), pytest.mark.usefixtures("pristine_accounts")]


@pytest.mark.parametrize("ahead", [20, 365])
def test_a_clock_that_was_ahead_and_is_put_right(dated: Bench, yard: Yard, ahead: int) -> None:
    """Nobody is left without access, or with it too early; containers run as before; whoever an administrator ended stays so."""
    today = dated.users._context.today()
    for login in ("ends", "waits", "endless", "ended", "locked"):
        dated.users.add(ADMIN, login, password=PASSWORD)
    for login in ("ends", "waits", "ended", "locked"):
        dated.users.set(ADMIN, login, expires=today + (30 if login == "waits" else 5) * DAY)
    dated.users.set(ADMIN, "ends", profile="strict")
    wait_for_opening(dated, "waits", today + 10 * DAY)
    dated.users.expire(ADMIN, "ended")
    dated.users.lock(ADMIN, "locked")
    row = dated.row("ends")
    assert row is not None
    yard.running[row.id] = ["c1"]
    there, before = states(dated), snapshot()

    dated.days = ahead
    told = dated.users.enforce_dates(CLOCK)
    assert "ends" in told["expired"]
    assert states(dated) == there | {"ends": "expired", "waits": "active" if ahead < 30 else "expired"}
    assert not su("ends", PASSWORD)
    assert yard.calls == [("stop", "c1")]
    dated.days = 0
    assert dated.users.enforce_dates(CLOCK) == {"returned": ["ends", "waits"]}
    assert states(dated) == there
    assert snapshot() == before
    assert yard.calls == [("stop", "c1"), ("start", "c1")]
    assert (su("ends", PASSWORD), su("waits", PASSWORD), su("ended", PASSWORD)) == (True, False, False)
    assert dated.users.enforce_dates(CLOCK) == {}
    dated.days = 10
    assert dated.users.enforce_dates(CLOCK) == {"opened": ["waits"], "expired": ["ends"]}


def test_one_that_an_administrator_ended_stays_so_on_any_day(dated: Bench) -> None:
    today = dated.users._context.today()
    dated.users.add(ADMIN, "ashu", expires=today + 9 * DAY)
    dated.users.expire(ADMIN, "ashu")
    dated.days = -30
    assert dated.users.enforce_dates(CLOCK) == {}
    assert states(dated) == {"ashu": "expired"}
