"""Names, dates, numbers, passwords, and drift: pure functions."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from passlib.hash import sha512_crypt

from hostadmin.core.crypt import is_hash
from hostadmin.core.errors import Failed, Invalid
from hostadmin.core.values import Kind, UserState
from hostadmin.host.accountfiles import HostAccount, Shadow
from hostadmin.host.accounts import expiry_day
from hostadmin.store.users import User
from hostadmin.users.credentials import hash_password, matches
from hostadmin.users.names import LAST_DAY, check_expires, check_name
from hostadmin.users.numbers import choose_number
from hostadmin.users.steps import fingerprint
from hostadmin.users.view import Known, drift, view_of

TODAY = date(2026, 11, 24)


@pytest.mark.parametrize("name", ["", "Ashu K", "Kovács, Anna", "Ümit", "日本", "a" * 200])
def test_names_of_people(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["a:b", "a\nb", "a\0b", "a\x1b[31m", "a" * 201, "\ud800", "\u202eabc"])
def test_names_that_would_break_a_line(name: str) -> None:
    with pytest.raises(Invalid):
        check_name(name)


def test_last_days() -> None:
    assert check_expires(None, TODAY) is None
    for day in (TODAY, LAST_DAY):
        assert check_expires(day, TODAY) == day
    for day in (TODAY - timedelta(days=1), LAST_DAY + timedelta(days=1)):
        with pytest.raises(Invalid):
            check_expires(day, TODAY)


def test_the_lowest_number_that_nobody_ever_had() -> None:
    assert choose_number(set(), 1000, 1002) == 1000
    assert choose_number({1000, 1002}, 1000, 1002) == 1001
    with pytest.raises(Failed, match="widen"):
        choose_number({1000, 1001, 1002}, 1000, 1002)


def test_hashes_are_what_the_host_takes() -> None:
    hashed = hash_password("correct horse: ümläut")
    assert is_hash(hashed)
    assert hashed.startswith("$6$rounds=100000$")
    assert sha512_crypt.verify("correct horse: ümläut", hashed)
    assert hashed != hash_password("correct horse: ümläut"), "a salt of its own"
    assert matches("correct horse: ümläut", hashed)
    assert matches("correct horse: ümläut", f"!{hashed}")
    assert not matches("Correct horse: ümläut", hashed)
    assert fingerprint(hashed) == fingerprint(f"!{hashed}") != fingerprint(hash_password("correct horse"))


@pytest.mark.parametrize("hashed", ["", "!", "*", "x", "$y$j9T$abc$def", "plaintext"])
def test_other_hashes_never_match(hashed: str) -> None:
    assert not matches("plaintext", hashed)


@pytest.mark.parametrize(
    "password", ["", "seven77", "a" * 513, "tab\tinside", "nul\0nul00", "line\nbreak", "\ud800surrogate", "del\x7finside"]
)
def test_passwords_that_are_refused_are_not_repeated(password: str) -> None:
    with pytest.raises(Invalid) as caught:
        hash_password(password)
    assert not password or password not in str(caught.value)


USER = User(
    id="u",
    login="ashu",
    uid=1000,
    gid=1000,
    name="Ashu",
    profile="student",
    state=UserState.ACTIVE,
    managed=True,
    expires=None,
    home="/home/ashu",
    created_at="",
    updated_at="",
    removed_at=None,
)
ACCOUNT = HostAccount("ashu", 1000, 1000, "Ashu", "/home/ashu", "/bin/bash")
LOCKED = replace(USER, state=UserState.LOCKED)
ENDING = replace(USER, expires=date(2026, 12, 1))


@pytest.mark.parametrize(
    ("user", "account", "shadow", "found"),
    [
        (USER, ACCOUNT, Shadow("$6$x", None), ""),
        (USER, ACCOUNT, Shadow("!", None), ""),
        (ENDING, ACCOUNT, Shadow("$6$x", expiry_day(ENDING.expires)), ""),
        (LOCKED, ACCOUNT, Shadow("!$6$x", 1), ""),
        (USER, None, None, "gone from the host"),
        (USER, replace(ACCOUNT, uid=1001), Shadow("$6$x", None), "uid 1001"),
        (USER, replace(ACCOUNT, gid=1001), Shadow("$6$x", None), "gid 1001"),
        (USER, replace(ACCOUNT, home="/"), Shadow("$6$x", None), "home is /"),
        (USER, ACCOUNT, None, "no line in shadow"),
        (USER, ACCOUNT, Shadow("!$6$x", None), "locked by hand"),
        (USER, ACCOUNT, Shadow("$6$x", 1), "expired by hand"),
        (USER, ACCOUNT, Shadow("$6$x", (TODAY - date(1970, 1, 1)).days), "expired by hand"),
        (USER, ACCOUNT, Shadow("$6$x", (TODAY - date(1970, 1, 1)).days + 1), "not the ledger's"),
        (ENDING, ACCOUNT, Shadow("$6$x", None), "not the ledger's"),
        (USER, ACCOUNT, Shadow("", None), "without a password"),
        (LOCKED, ACCOUNT, Shadow("$6$x", 1), "unlocked by hand"),
        (LOCKED, ACCOUNT, Shadow("!$6$x", None), "unlocked by hand"),
        (replace(ENDING, state=UserState.EXPIRED), ACCOUNT, Shadow("!$6$x", 1), ""),
        (replace(ENDING, state=UserState.EXPIRED), ACCOUNT, Shadow("$6$x", expiry_day(ENDING.expires)), "`hostadmin user expire`"),
        (replace(USER, state=UserState.LEAVING), ACCOUNT, Shadow("!$6$x", 1), ""),
        (replace(USER, state=UserState.LEAVING), ACCOUNT, Shadow("$6$x", 1), "`hostadmin user remove`"),
        (replace(USER, managed=False), replace(ACCOUNT, home="/x"), Shadow("!$6$x", 1), ""),
        (replace(USER, managed=False), replace(ACCOUNT, uid=1), None, "uid 1"),
    ],
)
def test_drift(user: User, account: HostAccount | None, shadow: Shadow | None, found: str) -> None:
    told = drift(user, account, shadow, today=TODAY)
    assert (found in " ".join(told)) if found else told == []


def test_a_view_is_for_json() -> None:
    user = replace(USER, expires=TODAY - timedelta(days=1))
    view = view_of(user, Known(ACCOUNT, Shadow("$6$x", None), docker=True, counts={Kind.CONTAINER: 2}), today=TODAY).as_dict()
    assert (view["state"], view["expires"], view["containers"], view["images"], view["docker"]) == ("expired", "2026-11-23", 2, 0, True)
    assert all(isinstance(view[key], list) for key in ("drift", "groups", "archives"))
