"""Accounts in the ledger. A row's ``id`` is the owner that everything else refers to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import Row, insert, select, update

from hostadmin.core.clock import timestamp
from hostadmin.core.ids import new_id
from hostadmin.core.values import UserState
from hostadmin.store.database import Tx
from hostadmin.store.tables import table_versions, users

DATES: Final = ("expires", "starts")
LISTS: Final = ("groups", "keys")


@dataclass(frozen=True, slots=True)
class User:
    """One account.

    ``starts`` and ``expires`` are the first and the last day of access; ``managed`` is false for members of the group
    that hostadmin did not make, ``adopted`` true for those whom it manages although they were there before.
    ``docker``: whether the group with access is to have it, ``None`` for whatever the group says; ``groups`` and
    ``keys``: further groups and lines of authorized_keys that hostadmin keeps.
    """

    id: str
    login: str
    uid: int
    gid: int
    name: str
    profile: str
    state: UserState
    managed: bool
    expires: date | None
    home: str
    created_at: str
    updated_at: str
    removed_at: str | None
    mail: str = ""
    starts: date | None = None
    cohort_id: str | None = None
    docker: bool | None = None
    groups: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    password_print: str | None = None
    adopted: bool = False


def _user(row: Row[Any]) -> User:
    values = dict(row._mapping)
    values["state"] = UserState(values["state"])
    values |= {name: date.fromisoformat(values[name]) if values[name] else None for name in DATES}
    values |= {name: tuple(values[name]) for name in LISTS}
    return User(**values)


def _stored(values: dict[str, Any]) -> dict[str, Any]:
    """Return columns as the table holds them."""
    stored = {k: v.isoformat() if isinstance(v, date) else v for k, v in values.items()}
    return {k: list(v) if k in LISTS else v for k, v in stored.items()}


def find(tx: Tx, user_id: str) -> User | None:
    """Return the account with that id, removed ones too."""
    row = tx.execute(select(users).where(users.c.id == user_id)).first()
    return _user(row) if row else None


def find_login(tx: Tx, login: str) -> User | None:
    """Return the living account with that login name."""
    row = tx.execute(select(users).where(users.c.login == login, users.c.state != UserState.REMOVED)).first()
    return _user(row) if row else None


def find_uid(tx: Tx, uid: int) -> User | None:
    """Return the living account with that uid."""
    row = tx.execute(select(users).where(users.c.uid == uid, users.c.state != UserState.REMOVED)).first()
    return _user(row) if row else None


def all_users(tx: Tx, *, removed: bool = False) -> list[User]:
    """Return all accounts by login name; tombstones only when ``removed``."""
    query = select(users).order_by(users.c.login)
    if not removed:
        query = query.where(users.c.state != UserState.REMOVED)
    return [_user(row) for row in tx.execute(query)]


def of_cohort(tx: Tx, cohort_id: str, *, removed: bool = False) -> Sequence[User]:
    """Return the accounts of a cohort by login name; tombstones only when ``removed``."""
    query = select(users).where(users.c.cohort_id == cohort_id).order_by(users.c.login)
    if not removed:
        query = query.where(users.c.state != UserState.REMOVED)
    return [_user(row) for row in tx.execute(query)]


def version(tx: Tx) -> int:
    """Return a number that grows with every change of any account."""
    query = select(table_versions.c.version).where(table_versions.c.part == "users")
    return int(tx.execute(query).scalar() or 0)


def add(
    tx: Tx,
    *,
    login: str,
    uid: int,
    gid: int,
    home: str,
    profile: str,
    name: str = "",
    managed: bool = True,
    expires: date | None = None,
    **more: Any,
) -> User:
    """Insert an active account, ``more`` being further columns, and return it."""
    stamp = timestamp()
    values: dict[str, Any] = {
        "id": new_id(),
        "login": login,
        "uid": uid,
        "gid": gid,
        "name": name,
        "profile": profile,
        "state": UserState.ACTIVE,
        "managed": managed,
        "expires": expires,
        "home": home,
        "created_at": stamp,
        "updated_at": stamp,
        "removed_at": None,
        **more,
    }
    tx.execute(insert(users).values(**_stored(values)))
    return User(**values)


def observe(tx: Tx, *, login: str, uid: int, gid: int, profile: str) -> User:
    """Return the account of a group member whom hostadmin does not manage, making it if need be.

    A login that has come back with another uid, or a uid with another login, is a *new* account: the
    old row becomes a tombstone and keeps what it owned.
    """
    known = find_login(tx, login)
    if known is not None and known.uid == uid:
        return known
    for stale in (known, find_uid(tx, uid)):
        if stale is not None:
            change(tx, stale.id, state=UserState.REMOVED)
    return add(tx, login=login, uid=uid, gid=gid, home="", profile=profile, managed=False)


def change(tx: Tx, user_id: str, **values: Any) -> User:
    """Set columns of one account (dates as dates) and return it as it is then."""
    if values.get("state") == UserState.REMOVED:
        values["removed_at"] = timestamp()
    tx.execute(update(users).where(users.c.id == user_id).values(updated_at=timestamp(), **_stored(values)))
    user = find(tx, user_id)
    assert user is not None  # noqa: S101  # the id came from this table
    return user
