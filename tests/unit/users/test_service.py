"""What the service refuses before anything runs, and what it shows; what it does: tests/integration/test_users.py."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from hostadmin.audit.journal import Journal
from hostadmin.core.errors import Conflict, Failed, Forbidden, NotFound, Refused
from hostadmin.core.values import Actor, UserState
from hostadmin.host.accounts import Accounts
from hostadmin.policy import profiles
from hostadmin.store import audit, users
from hostadmin.store.database import Database
from hostadmin.store.migrate import data_dir, upgrade
from hostadmin.users.numbers import Ranges
from hostadmin.users.service import Places, Users

ADMIN = Actor(type="unix", via="test", login="root", uid=0, admin=True)
RANGES = Ranges(uid_min=4000, uid_max=4999)
PASSWD = "root:x:0:0::/root:/bin/bash\nbyhand:x:4001:4001:By Hand,room 1:/home/byhand:/bin/bash\n"
GROUP = "root:x:0:\nbyhand:x:4001:\ndocker:x:990:byhand,ghost\nteam:x:4002:\nsudo:x:27:heir\n"


class Bench:
    """The service on account files of its own; no tool may run."""

    def __init__(self, place: Path) -> None:
        etc = place / "etc"
        etc.mkdir()
        (place / "home").mkdir()
        for name, text in {"passwd": PASSWD, "shadow": "byhand:!:1::::::\n", "group": GROUP, "shells": "/bin/bash\n"}.items():
            (etc / name).write_text(text)
        self.etc = etc
        self.database = Database(f"sqlite:///{place / 'ledger.db'}")
        upgrade(self.database)
        self.places = Places(str(place / "home"), "/bin/bash", "docker", RANGES)
        self.users = self.service(self.places)

    def service(self, places: Places) -> Users:
        known = profiles.load(data_dir("config") / "profiles.toml", "student")
        return Users(self.database, Journal(self.database, "service"), known, places, lambda _a, _u: [], Accounts(self.etc, self.run))

    def run(self, argv: list[str], *, stdin: str = "") -> None:
        raise AssertionError(f"a tool was started: {argv} {stdin}")

    def records(self) -> list[dict[str, Any]]:
        with self.database.read() as tx:
            return audit.list_records(tx)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.database.close()


@pytest.mark.parametrize(
    "login", ["-x", "root", "a:b", "a" * 33, "a/b", "123", ".", "a$(id)", "", "A", "team", "byhand", "heir", "ghost", "docker"]
)
def test_logins_that_are_refused(bench: Bench, login: str) -> None:
    with pytest.raises(Refused):
        bench.users.add(ADMIN, login)
    assert bench.records() == []


@pytest.mark.parametrize("more", [{"name": "a:b"}, {"expires": date(2001, 1, 1)}, {"profile": "nosuch"}, {"password": "short"}])
def test_wishes_that_are_refused(bench: Bench, more: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        bench.users.add(ADMIN, "ashu", **more)
    assert bench.records() == []


def test_a_path_that_is_there(bench: Bench) -> None:
    Path(bench.places.home_root, "ashu").symlink_to("/nowhere")
    with pytest.raises(Conflict, match="symbolic link"):
        bench.users.add(ADMIN, "ashu")


def test_a_shell_that_is_not_there(bench: Bench) -> None:
    places = Places(bench.places.home_root, "/bin/nosuch", "docker", RANGES)
    with pytest.raises(Failed, match="shell"):
        bench.service(places).add(ADMIN, "ashu")


def test_who_has_access(bench: Bench) -> None:
    found = bench.users.access_list()
    assert [(a["login"], a["managed"]) for a in found] == [("byhand", False), ("ghost", False)]
    assert [(v.login, v.managed, v.docker, v.name) for v in bench.users.list()] == [("byhand", False, True, "By Hand")]
    assert bench.users.show("byhand").uid == 4001
    with pytest.raises(NotFound):
        bench.users.show("nosuch")


def test_access_that_nobody_gets_or_loses(bench: Bench) -> None:
    for login, error in (("root", Forbidden), ("nosuch", NotFound), ("-x", NotFound)):
        with pytest.raises(error):
            bench.users.grant(ADMIN, login)
    with pytest.raises(Conflict, match="gpasswd"):
        bench.users.revoke(ADMIN, "ghost")
    with pytest.raises(NotFound):
        bench.users.revoke(ADMIN, "nosuch")


def test_an_observed_member(bench: Bench) -> None:
    first = bench.users.observe_member("byhand", 4001, 4001)
    assert (first.managed, first.profile) == (False, "student")
    assert bench.users.observe_member("byhand", 4001, 4001) == first
    second = bench.users.observe_member("byhand", 4005, 4005)
    with bench.database.read() as tx:
        old = users.find(tx, first.id)
    assert old is not None
    assert old.state is UserState.REMOVED
    assert second.id != first.id
    with pytest.raises(Forbidden):
        bench.users.remove(ADMIN, "byhand")


def test_an_unmanaged_member_is_locked_in_the_ledger_only(bench: Bench) -> None:
    bench.users.observe_member("byhand", 4001, 4001)
    assert bench.users.lock(ADMIN, "byhand").state == "locked"
    assert bench.users.unlock(ADMIN, "byhand").state == "active"
    assert bench.users.set(ADMIN, "byhand", profile="trainer").profile == "trainer"


def test_what_is_not_recorded_is_not_done(bench: Bench) -> None:
    bench.users.observe_member("byhand", 4001, 4001)

    def full(*_args: Any, **_more: Any) -> Any:
        raise Failed("The disk is full.")

    bench.users._context.journal.submit_intent = full  # type: ignore[method-assign]
    for act in (lambda: bench.users.add(ADMIN, "ashu"), lambda: bench.users.lock(ADMIN, "byhand")):
        with pytest.raises(Failed, match="disk is full"):
            act()
    assert bench.users.show("byhand").state == "active"


def test_nothing_to_recover(bench: Bench) -> None:
    assert bench.users.recover() == 0
