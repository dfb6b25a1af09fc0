"""The containers of whoever has no access: stopped by profile, and running again as they did."""

import contextlib

import pytest

from hostadmin.core.errors import Unavailable
from hostadmin.core.values import Actor
from hostadmin.users import halting
from tests.integration.accounts import ADMIN, PASSWORD, Bench, su
from tests.integration.dated import CLOCK, Yard, dated, yard

__all__ = ["dated", "yard"]  # fixtures
pytestmark = [pytest.mark.host, pytest.mark.usefixtures("pristine_accounts")]


def test_containers_stop_and_start_again_by_profile(dated: Bench, yard: Yard) -> None:
    """Exactly those that ran; kept where the profile says so; what is gone meanwhile stays gone."""
    for login, profile in (("strict", "strict"), ("free", "student")):
        dated.users.add(ADMIN, login, profile=profile)
    ids = {login: row.id for login in ("strict", "free") if (row := dated.row(login))}
    yard.running = {ids["strict"]: ["c1", "c2", "c3"], ids["free"]: ["f1"]}
    for login in ids:
        dated.users.lock(ADMIN, login)
    assert sorted(yard.calls) == [("stop", "c1"), ("stop", "c2"), ("stop", "c3")]
    yard.calls.clear()
    yard.running[ids["strict"]] = ["late"]  # it was being created when the lock came
    dated.users.enforce_dates(CLOCK)
    assert yard.calls == [("stop", "late")]
    yard.calls.clear()
    yard.gone = {"c2"}
    yard.broken = {"c3"}
    dated.users.unlock(ADMIN, "strict")
    assert sorted(yard.calls) == [("start", "c1"), ("start", "c2"), ("start", "c3"), ("start", "late")]
    yard.calls.clear()
    dated.users.enforce_dates(CLOCK)
    dated.users.unlock(ADMIN, "strict")
    assert yard.calls == [], "once"


def test_what_was_paused_is_paused_again(dated: Bench, yard: Yard) -> None:
    dated.users.add(ADMIN, "ashu", profile="strict")
    row = dated.row("ashu")
    assert row is not None
    yard.running, yard.frozen = {row.id: ["c1", "c2"]}, {"c2"}
    dated.users.lock(ADMIN, "ashu")
    yard.frozen = set()
    yard.calls.clear()
    dated.users.unlock(ADMIN, "ashu")
    assert sorted(yard.calls) == [("pause", "c2"), ("start", "c1"), ("start", "c2")]
    assert yard.calls.index(("start", "c2")) < yard.calls.index(("pause", "c2"))


@pytest.mark.parametrize("end", [KeyboardInterrupt(), Unavailable("The engine has gone.")])
def test_a_start_that_is_cut_off_goes_on(dated: Bench, yard: Yard, monkeypatch: pytest.MonkeyPatch, end: BaseException) -> None:
    """By a kill of the service, or of the engine: every container that the lock has stopped runs in the end."""
    monkeypatch.setattr(halting, "AT_ONCE", 1)
    dated.users.add(ADMIN, "ashu", profile="strict")
    row = dated.row("ashu")
    assert row is not None
    yard.running = {row.id: ["c1", "c2", "c3"]}
    dated.users.lock(ADMIN, "ashu")
    yard.calls.clear()
    start = yard.start

    def cut_off(actor: Actor, ref: str) -> None:
        if ref != "c1":
            raise end
        start(actor, ref)

    monkeypatch.setattr(yard, "start", cut_off)
    with contextlib.suppress(KeyboardInterrupt):
        dated.users.unlock(ADMIN, "ashu")
    monkeypatch.setattr(yard, "start", start)
    dated.users.enforce_dates(CLOCK)
    assert yard.calls == [("start", "c1"), ("start", "c2"), ("start", "c3")]
    dated.users.enforce_dates(CLOCK)
    assert len(yard.calls) == 3


def test_an_engine_that_is_away(dated: Bench, yard: Yard) -> None:
    """Nobody waits for it: the account is locked, and open, all the same; its containers follow."""
    dated.users.add(ADMIN, "ashu", profile="strict", password=PASSWORD)
    row = dated.row("ashu")
    assert row is not None
    yard.running = {row.id: ["c1"]}
    yard.away = True
    assert dated.users.lock(ADMIN, "ashu").state == "locked"
    assert "away" in dated.records()[-1]["detail"]["containers_left"][0]
    yard.away = False
    dated.users.enforce_dates(CLOCK)
    assert yard.calls == [("stop", "c1")]
    yard.away = True
    assert dated.users.unlock(ADMIN, "ashu").state == "active"
    assert su("ashu", PASSWORD)
    yard.away = False
    dated.users.enforce_dates(CLOCK)
    assert yard.calls == [("stop", "c1"), ("start", "c1")]


def test_a_container_that_cannot_be_stopped_is_left_alone_for_a_while(dated: Bench, yard: Yard) -> None:
    """It does not fill the audit."""
    dated.users.add(ADMIN, "ashu", profile="strict")
    row = dated.row("ashu")
    assert row is not None
    yard.running, yard.broken = {row.id: ["c1"]}, {"c1"}
    dated.users.lock(ADMIN, "ashu")
    for _ in range(3):
        dated.users.enforce_dates(CLOCK)
    assert yard.calls == [("stop", "c1")]
