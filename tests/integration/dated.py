"""A bench on whose clock days pass, and what stands for the containers of its people."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hostadmin.core.errors import Failed, NotFound, Unavailable
from hostadmin.core.values import Actor, system_actor
from hostadmin.store import users
from hostadmin.users.context import Keeping
from tests.integration.accounts import ADMIN, Bench

CLOCK = system_actor("scheduler")
DAY = timedelta(days=1)


class Yard:
    """Stands for the objects service: containers that run, and what was asked of them."""

    def __init__(self) -> None:
        self.running: dict[str, list[str]] = {}
        self.calls: list[tuple[str, str]] = []
        self.away = False
        self.frozen: set[str] = set()
        self.broken: set[str] = set()
        self.gone: set[str] = set()

    def running_of(self, user_ids: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Return what runs."""
        if self.away:
            raise Unavailable("The engine is away.")
        return {owner: list(refs) for owner, refs in self.running.items() if owner in user_ids and refs}

    def paused(self, refs: Collection[str]) -> Collection[str]:
        """Return what is paused."""
        return self.frozen & set(refs)

    def pause(self, _actor: Actor, ref: str) -> None:
        """Pause one."""
        self.calls.append(("pause", ref))

    def _owner(self, ref: str) -> str:
        return next((owner for owner, refs in self.running.items() if ref in refs), "")

    def stop(self, _actor: Actor, ref: str) -> None:
        """Stop one."""
        self.calls.append(("stop", ref))
        if ref in self.broken:
            raise Failed("it is stuck")
        self.running[self._owner(ref)].remove(ref)

    def start(self, _actor: Actor, ref: str) -> None:
        """Start one."""
        self.calls.append(("start", ref))
        if ref in self.gone:
            raise NotFound("it is gone")
        if ref in self.broken:
            raise Failed("its port is taken")


@pytest.fixture
def yard() -> Yard:
    """The containers."""
    return Yard()


@pytest.fixture
def dated(tmp_path: Path, yard: Yard, pristine_accounts: None) -> Iterator[Bench]:
    """The service, with notices and a profile that stops containers."""
    bench = Bench(tmp_path, Keeping(notices=str(tmp_path / "notices"), notice_days=3), yard)
    stopping = tmp_path / "profiles.toml"
    text = bench.profiles.read_text()
    stopping.write_text(
        text + text[text.index("[student]") : text.index("[trainer]")].replace("[student]", "[strict]").replace('"keep"', '"stop"')
    )
    bench.profiles = stopping
    bench.database.close()
    bench.open()
    yield bench
    bench.database.close()


def states(bench: Bench) -> dict[str, str]:
    """Return login → state in the ledger."""
    with bench.database.read() as tx:
        return {u.login: str(u.state) for u in users.all_users(tx)}


def wait_for_opening(bench: Bench, login: str, first: Any) -> None:
    """Make what a roster makes of somebody whose first day is still to come: closed in ledger and host."""
    bench.users.lock(ADMIN, login)
    row = bench.row(login)
    assert row is not None
    bench.database.write(lambda tx: users.change(tx, row.id, starts=first))
