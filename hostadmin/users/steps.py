"""The steps that account actions are made of, shared by the service and by the recovery after a kill."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from hostadmin.core.errors import Failed
from hostadmin.core.values import UserState
from hostadmin.host import homes, sessions
from hostadmin.host.accounts import Accounts
from hostadmin.host.keyfiles import key_of
from hostadmin.store.users import User


def is_same(accounts: Accounts, user: User) -> bool:
    """Tell whether the host's account of that login is still the one that the ledger means."""
    account = accounts.find(user.login)
    return account is not None and account.uid == user.uid


def fingerprint(hashed: str) -> str:
    """Return what tells two password hashes apart in the audit; nobody gets from it to hash or password (96 bits of salt)."""
    return hashlib.sha256(hashed.lstrip("!").encode()).hexdigest()[:16]


def prints_of(keys: Iterable[str]) -> Sequence[str]:
    """Return what tells keys apart in the audit, sorted."""
    return sorted(fingerprint(key_of(line)) for line in keys)


def undo_add(accounts: Accounts, login: str, detail: dict[str, Any]) -> None:
    """Take back a half-made account, and its home unless that was there before.

    Args:
        accounts: the host.
        login: whose.
        detail: what the intent says: ``uid``, ``gid``, ``home``, ``home_existed``.

    Raises:
        HostadminError: something of it is left.

    """
    sessions.end(detail["uid"])
    accounts.discard(login, uid=detail["uid"], gid=detail["gid"])
    if not detail["home_existed"] and not homes.remove(detail["home"], detail["uid"]):
        raise Failed(f"{detail['home']} belongs to somebody else now; it was left as it is.", key="home-foreign")


def apply_ledger(accounts: Accounts, user: User) -> None:
    """Bring comment and expiry of an account to what the ledger says; one without access is closed."""
    if not user.managed:
        return
    accounts.set_comment(user.login, user.name)
    if user.state is UserState.ACTIVE:
        accounts.set_expiry(user.login, user.expires)
    else:
        accounts.lock(user.login)


def shut(accounts: Accounts, user: User, whose: Sequence[int | range]) -> None:
    """Close an account on the host: no password, no other way of logging in, no process.

    Processes first, which takes no new one: a fork bomb leaves none to the tools, a passwd(1) that its user has stopped holds the
    account files. Then what has logged in meanwhile; and a password that was being set while the account was locked.

    Raises:
        Failed: processes stayed.

    """
    sessions.end(*whose)
    accounts.lock(user.login)
    stayed = sessions.end(*whose)
    accounts.lock(user.login)
    if stayed:
        raise Failed(f"{user.login} is locked, but {stayed} processes could not be ended; run it again.", key="processes-stay")


def take_away(accounts: Accounts, user: User, whose: Sequence[int | range], *, keep_home: bool) -> dict[str, Any]:
    """Remove an account's entries and its home; return what was left and why, for the audit.

    An account that has come under that login with another uid is not touched.

    Raises:
        Failed: something is left that should not be; running it again goes on from there.

    """
    found: dict[str, Any] = {}
    account = accounts.find(user.login)
    if account is not None and account.uid != user.uid:
        found["account_left"] = f"it has uid {account.uid} now"
    else:
        if stayed := sessions.end(*whose):
            raise Failed(f"{stayed} processes of {user.login} could not be ended; run it again.", key="processes-stay")
        accounts.discard(user.login, uid=user.uid, gid=user.gid)
    if keep_home or not user.home:
        found["home_left"] = "as asked"
    elif not homes.remove(user.home, user.uid):
        found["home_left"] = "it belongs to somebody else"
    return found
