"""Making an account: `hostadmin user add`. What is there already as asked is left alone."""

import threading
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Target
from hostadmin.core.clock import now
from hostadmin.core.errors import Conflict, Failed
from hostadmin.core.values import Actor, UserState
from hostadmin.host import homes, sessions
from hostadmin.store import users
from hostadmin.store.database import Tx
from hostadmin.users.context import RULE, Context
from hostadmin.users.credentials import hash_password, matches
from hostadmin.users.names import check_expires, choose_number
from hostadmin.users.steps import is_same, undo_add


@dataclass(frozen=True, slots=True)
class Wanted:
    """A validated ``user add``."""

    login: str
    name: str
    profile: str | None
    expires: date | None
    password: str | None = field(repr=False)
    docker: bool = field(kw_only=True)


class Adding:
    """Makes accounts.

    Args:
        context: ledger, host, journal.

    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._accounts = context.accounts
        self._places = context.places
        self._numbers_lock = threading.Lock()  # numbers are chosen and used by one at a time

    def ensure(self, actor: Actor, wanted: Wanted) -> None:
        """Make an account, or see that the one that is there is as wanted; membership is not looked at then.

        Raises:
            Invalid, Conflict: with the rule; nothing was done.
            Failed: the host could not do it; what was begun has been undone, or the message says what is left.

        """
        known = self._context.find(wanted.login)
        if known is not None and (known.managed or is_same(self._accounts, known)):
            self._check_known(known, wanted)
            return
        check_expires(wanted.expires, now().date())
        with self._numbers_lock:
            self._add_new(actor, wanted, stale=known)

    def _check_known(self, known: users.User, wanted: Wanted) -> None:
        """A second ``user add``: nothing to do; what differs is refused, not changed."""
        login = known.login
        if not known.managed:
            raise Conflict(
                f"{login} exists on this host and is not managed by hostadmin: it has or had access through group "
                f"{self._places.group!r}; use `hostadmin access` and `hostadmin user set`, or another login name.",
                key="user-unmanaged",
            )
        self._context.require_same(known)
        shadow = self._accounts.shadow(login)
        differs = [
            *(["name"] if wanted.name and wanted.name != known.name else []),
            *(["profile"] if wanted.profile is not None and wanted.profile != known.profile else []),
            *(["last day"] if wanted.expires is not None and wanted.expires != known.expires else []),
        ]
        if wanted.password is not None and not (shadow and matches(wanted.password, shadow.hashed)):
            differs.append("password")
        if differs:
            raise Conflict(
                f"{login} is there already with another {', '.join(differs)}: nothing was changed. Change it with "
                f"`hostadmin user {'passwd' if differs == ['password'] else 'set'} {login}`.",
                key="user-differs",
            )

    def _add_new(self, actor: Actor, wanted: Wanted, *, stale: users.User | None) -> None:
        """Make an account that is not there. ``stale``: a row of that login whose account on the host has gone."""
        login = wanted.login
        self._check_free(login)
        uid, gid, returning = self._numbers(login)
        home = str(Path(self._places.home_root) / login)
        homes.check(home, uid)
        hashed = hash_password(wanted.password) if wanted.password is not None else None
        profile = self._context.profiles.get(wanted.profile).name
        detail = {
            "uid": uid,
            "gid": gid,
            "profile": profile,
            "home": home,
            "home_existed": homes.exists(home),
            "expires": wanted.expires.isoformat() if wanted.expires else None,
            "steps": ["group", "account", *(["password"] if hashed else []), *(["access"] if wanted.docker else [])],
        }

        def act() -> None:
            self._accounts.create(login, uid=uid, gid=gid, name=wanted.name, home=home, shell=self._places.shell, expires=wanted.expires)
            if hashed:
                self._accounts.set_hash(login, hashed)
            if wanted.docker:
                self._accounts.add_to_group(login, self._places.group)

        def rows(tx: Tx) -> None:
            if stale is not None:
                users.change(tx, stale.id, state=UserState.REMOVED)
            if returning is None:
                users.add(tx, login=login, uid=uid, gid=gid, home=home, profile=profile, name=wanted.name, expires=wanted.expires)
                return
            values = {"name": wanted.name, "profile": profile, "expires": wanted.expires, "home": home, "managed": True}
            users.change(tx, returning.id, state=UserState.ACTIVE, removed_at=None, **values)

        target = Target("user", returning.id if returning else None, login, returning.id if returning else None)
        self._context.do(
            Entry(actor, Action.USER_ADD, target, RULE, detail), act, rows, undo=lambda: undo_add(self._accounts, login, detail)
        )

    def _check_free(self, login: str) -> None:
        """Refuse a login that anything on the host knows already."""
        if self._accounts.find(login) is not None:
            raise Conflict(f"The login name {login!r} is taken by an account that hostadmin does not manage.", key="login-taken")
        if self._accounts.group(login) is not None:
            raise Conflict(f"The login name {login!r} is taken by a group of that name.", key="login-taken")
        listed = sorted(self._accounts.listed_in(login))
        if listed:
            raise Conflict(
                f"Nobody is called {login!r}, but group {listed[0]!r} has that name as a member: a new account would inherit it. "
                f"Take it out with `gpasswd --delete {login} {listed[0]}`.",
                key="login-listed",
            )
        if not self._accounts.has_shell(self._places.shell):
            raise Failed(f"The login shell {self._places.shell} is not in /etc/shells: correct [users] shell.", key="shell")

    def _numbers(self, login: str) -> tuple[int, int, users.User | None]:
        """Choose uid and gid: the old ones of a returning account if they are free, else numbers that nobody ever had."""
        on_host = self._accounts.used_numbers()
        with self._context.database.read() as tx:
            returning = users.find_tombstone(tx, login)
            living = {n for u in users.all_users(tx) for n in (u.uid, u.gid)}
            ever = users.used_uids(tx)
        if returning is not None and returning.managed and not {returning.uid, returning.gid} & (on_host | living):
            return returning.uid, returning.gid, returning
        used = on_host | ever | homes.owners(self._places.home_root) | sessions.all_uids()
        number = choose_number(used, self._places.uid_min, self._places.uid_max)
        return number, number, None
