"""From a roster and the accounts as they are to steps; what stands in the way of them. Pure."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from hostadmin.core.values import CohortState, UserState
from hostadmin.host.accountfiles import HostAccount, Shadow
from hostadmin.store.cohorts import Cohort
from hostadmin.store.users import User
from hostadmin.users.actual import Actual, differences
from hostadmin.users.planning import Ground, plan_roster
from hostadmin.users.roster import CohortWish, Roster, Row
from hostadmin.users.steps import fingerprint

TODAY = date(2026, 11, 26)
HASH = f"$6$abcdefgh${'a' * 86}"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFzaHU ashu"
COHORT = Cohort("c1", "linux-1", "student", None, date(2026, 12, 1), CohortState.ACTIVE, False, "", None)
COLUMNS = frozenset({"login", "name", "mail", "profile", "groups", "ssh keys", "starts", "expires", "docker", "password hash"})


def row(login: str = "ashu", **more: Any) -> Row:
    values: dict[str, Any] = {
        "row": 1,
        "line": 2,
        "login": login,
        "suggested": False,
        "name": "Ashu K",
        "mail": "",
        "profile": None,
        "groups": (),
        "keys": (),
        "starts": None,
        "expires": date(2026, 12, 1),
        "docker": True,
        "hashed": None,
    }
    return Row(**{**values, **more})


def roster(*rows: Row, columns: frozenset[str] = COLUMNS, **cohort: Any) -> Roster:
    wish = {"name": "linux-1", "profile": None, "starts": None, "ends": date(2026, 12, 1)}
    return Roster(CohortWish(**{**wish, **cohort}), rows, columns)


def user(login: str = "ashu", **more: Any) -> User:
    values: dict[str, Any] = {
        "id": f"id-{login}",
        "login": login,
        "uid": 1000,
        "gid": 1000,
        "name": "Ashu K",
        "profile": "student",
        "state": UserState.ACTIVE,
        "managed": True,
        "expires": date(2026, 12, 1),
        "home": f"/home/{login}",
        "created_at": "",
        "updated_at": "",
        "removed_at": None,
        "cohort_id": "c1",
        "docker": True,
    }
    return User(**{**values, **more})


def absent(login: str = "ashu", **more: Any) -> Actual:
    return replace(Actual(login, None, None, frozenset(), "absent", frozenset(), (), None), **more)


def present(login: str = "ashu", **more: Any) -> Actual:
    account = HostAccount(login, 1000, 1000, "Ashu K", f"/home/{login}", "/bin/bash")
    found = Actual(
        login, account, Shadow(HASH, 20789, 20700), frozenset({"docker"}), "directory of uid 1000, mode 0700", frozenset(), (), user(login)
    )
    return replace(found, **more)


def ground(*actual: Actual, **more: Any) -> Ground:
    values: dict[str, Any] = {
        "actual": {a.login: a for a in actual},
        "cohort": COHORT,
        "cohorts": {"c1": "linux-1", "c2": "other"},
        "members": [],
        "returning": {},
        "default_profile": "student",
        "group": "docker",
        "uid_min": 1000,
        "today": TODAY,
        "shell": "/bin/bash",
    }
    return Ground(**{**values, **more})


def steps_of(wanted: Roster, base: Ground) -> list[tuple[str, str, list[str]]]:
    draft = plan_roster(wanted, base)
    assert draft.problems == []
    return [(s.action, s.ref, [c["attribute"] for c in s.facts["changes"]]) for s in draft.steps]


def reasons(wanted: Roster, base: Ground) -> list[str]:
    draft = plan_roster(wanted, base)
    return [p.reason for p in draft.problems]


def test_a_new_class() -> None:
    """The cohort first, then everybody; the hash of a row is nowhere in the steps, only that there is one."""
    draft = plan_roster(roster(row(keys=(KEY,), hashed=HASH), row("dev", row=2)), ground(absent(), absent("dev"), cohort=None))
    assert [(s.action, s.ref) for s in draft.steps] == [("cohort", "linux-1"), ("create", "ashu"), ("create", "dev")]
    assert draft.steps[1].facts["wish"]["hash"] is True
    assert HASH not in repr(draft.steps)
    assert [c["new"] for c in draft.steps[2].facts["changes"] if c["attribute"] == "password"] == [
        "a new one, to be changed at the first login"
    ]


def test_nothing_to_do() -> None:
    assert steps_of(roster(row()), ground(present())) == []


@pytest.mark.parametrize(
    ("wish", "actual", "attributes"),
    [
        ({"name": "Ashu Kumar"}, {}, ["name"]),
        ({"mail": "a@b.example"}, {}, ["mail"]),
        ({"profile": "trainer"}, {}, ["profile"]),
        ({"expires": date(2026, 12, 24)}, {}, ["expires"]),
        ({"starts": date(2026, 12, 1)}, {}, ["starts"]),
        ({"starts": TODAY}, {"user": user(state=UserState.LOCKED, starts=date(2026, 12, 1))}, ["starts"]),
        ({"docker": False}, {}, ["docker"]),
        ({}, {"groups": frozenset()}, ["docker"]),
        ({"groups": ("team",)}, {}, ["groups"]),
        ({}, {"user": user(groups=("team",)), "groups": frozenset({"docker", "team"})}, ["groups"]),
        ({"groups": ("team",)}, {"user": user(groups=("team",))}, ["groups"]),  # left by hand: joined again
        ({"keys": (KEY,)}, {}, ["keys"]),
        ({"keys": (KEY,)}, {"user": user(keys=(KEY,))}, ["keys"]),  # taken away by hand: written again
        ({}, {"user": user(keys=(KEY,)), "keys": frozenset({" ".join(KEY.split()[:2])})}, ["keys"]),
        ({"hashed": HASH}, {}, ["password"]),
        ({}, {"user": user(cohort_id=None)}, ["cohort"]),
        ({}, {"account": HostAccount("ashu", 1000, 1000, "by hand", "/home/ashu", "/bin/bash")}, ["comment"]),
    ],
)
def test_each_attribute(wish: dict[str, Any], actual: dict[str, Any], attributes: list[str]) -> None:
    assert steps_of(roster(row(**wish)), ground(present(**actual))) == [("change", "ashu", attributes)]


@pytest.mark.parametrize(
    ("wish", "actual"),
    [
        ({"name": ""}, {}),
        ({"starts": TODAY}, {}),  # it has come: nothing waits for it
        ({"starts": date(2026, 12, 1)}, {"user": user(state=UserState.LOCKED)}),  # an administrator's lock is not a roster's to open
        ({"hashed": HASH}, {"user": user(password_print=fingerprint(HASH))}),  # the person has chosen another one since
        ({"keys": (KEY,)}, {"user": user(keys=(KEY,)), "keys": frozenset({" ".join(KEY.split()[:2]), "ssh-rsa OWN"})}),
        ({}, {"groups": frozenset({"docker", "sudo"})}),  # given by hand: not ours to take
    ],
)
def test_what_stays_as_it_is(wish: dict[str, Any], actual: dict[str, Any]) -> None:
    assert steps_of(roster(row(**wish)), ground(present(**actual))) == []


def test_columns_that_are_not_there_say_nothing() -> None:
    """A roster without the columns for groups and keys takes nothing away."""
    has = present(
        user=user(groups=("team",), keys=(KEY,)), groups=frozenset({"docker", "team"}), keys=frozenset({" ".join(KEY.split()[:2])})
    )
    assert steps_of(roster(row(), columns=frozenset({"login"})), ground(has)) == []


def test_who_is_not_on_it_leaves_once() -> None:
    members = [user(), user("dev"), user("gone", state=UserState.LEAVING)]
    base = ground(present(), present("dev", owns={"containers": 2}), present("gone"), members=members)
    assert steps_of(roster(row()), base) == [("leave", "dev", ["state"])]
    assert "2 containers" in plan_roster(roster(row()), base).steps[0].facts["notes"][0]


def test_who_left_and_is_on_it_again_comes_back() -> None:
    assert steps_of(roster(row()), ground(present(user=user(state=UserState.LEAVING)))) == [("unlock", "ashu", ["state"])]


@pytest.mark.parametrize(
    ("actual", "reason"),
    [
        (absent(user=user()), "has gone from the host"),
        (present(user=user(uid=1001)), "somebody else holds the login"),
        (present(user=None), "--adopt takes it over"),
        (present(user=user(managed=False)), "--adopt takes it over"),
        (present(user=user(cohort_id="c2")), "belongs to the cohort 'other'"),
        (absent(named_group=True), "a group has that name"),
        (absent(groups=frozenset({"sudo"})), "gpasswd --delete ashu sudo"),
        (absent(subordinate=((100000, 65536), (100000, 65536))), "gives ranges to that name although nobody has it (100000:65536)"),
        (absent(home="directory of uid 7, mode 0755"), "there is something already"),
        (absent(home="symbolic link"), "there is something already"),
    ],
)
def test_what_stands_in_the_way(actual: Actual, reason: str) -> None:
    found = reasons(roster(row()), ground(actual))
    assert len(found) == 1
    assert reason in found[0]


def test_all_reasons_at_once() -> None:
    assert len(reasons(roster(row(), row("dev", row=2)), ground(absent(named_group=True), present("dev", user=None)))) == 2


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"account": HostAccount("ashu", 33, 33, "", "/var/www", "/bin/sh")}, "account of the system"),
        ({"home": "symbolic link"}, "is not a directory of its own"),
        ({"shadow": None}, "pwconv"),
    ],
)
def test_what_is_never_adopted(more: dict[str, Any], reason: str) -> None:
    assert reason in reasons(roster(row()), ground(present(user=None, **more), adopt=True))[0]


def test_adoption_when_asked() -> None:
    found = steps_of(roster(row()), ground(present(user=None, groups=frozenset()), adopt=True))
    assert [(a, r) for a, r, _ in found] == [("adopt", "ashu")]
    assert {"managed", "cohort", "docker", "expires"} <= set(found[0][2])


def test_whoever_returns_may_find_the_own_home() -> None:
    tombstone = {"ashu": user(state=UserState.REMOVED, removed_at="2026")}
    draft = plan_roster(roster(row()), ground(absent(home="directory of uid 1000, mode 0700"), returning=tombstone))
    assert [s.action for s in draft.steps] == ["create"]
    assert "uid 1000" in draft.steps[0].facts["notes"][0]


def test_whose_numbers_are_somebody_elses_by_now_is_told_so() -> None:
    returning = {"ashu": user(state=UserState.REMOVED, removed_at="2026-11-01")}
    draft = plan_roster(roster(row()), ground(absent(), returning=returning, numbers=frozenset({1000})))
    assert draft.steps[0].facts["notes"] == ["was here before, but uid or gid 1000 is somebody else's by now: gets new numbers"]
    old_home = absent(home="directory of uid 1000, gid 1000, mode 0700")
    assert "there is something already" in reasons(roster(row()), ground(old_home, returning=returning, numbers=frozenset({1000})))[0]


def test_the_cohort_changes() -> None:
    found = plan_roster(roster(row(), ends=date(2026, 12, 24), profile="trainer"), ground(present(user=user(profile="trainer"))))
    assert found.steps[0].facts["changes"] == [
        {"attribute": "profile", "old": "student", "new": "trainer"},
        {"attribute": "ends", "old": "2026-12-01", "new": "2026-12-24"},
    ]


def test_differences_are_told() -> None:
    before = present().facts()
    now = present(shadow=Shadow(f"!{HASH}", 1, 20700), groups=frozenset()).facts()
    assert differences("ashu", before, now) == [
        "ashu: locked was False, is True",
        "ashu: expiry day was 20789, is 1",
        "ashu: groups was docker, is none",
    ]
    assert differences("ashu", before, present(processes=3, owns={"containers": 1}).facts()) == []
    assert HASH not in repr(before)


def test_a_plan_relies_on_gshadow_and_ageing_too() -> None:
    actual = present(shadow=Shadow(HASH, 20789, 20700, ("min 0", "max 30")), shadow_groups=frozenset({"docker"}), cohort="linux-1")
    facts = actual.facts()
    assert (facts["ageing"], facts["groups in gshadow"], facts["cohort"]) == (["min 0", "max 30"], ["docker"], "linux-1")
    assert differences("ashu", facts, replace(actual, shadow_groups=frozenset()).facts()) == ["ashu: groups in gshadow was docker, is none"]
