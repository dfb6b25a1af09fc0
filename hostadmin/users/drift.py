"""Memberships that somebody has changed by hand: noticed, recorded once, and adopted or put back as ``[users] drift`` says.

What hostadmin keeps of an account: whether the group with access has it (``docker``), and its further ``groups``. Other
groups are none of its business. It does so in every state: no state but *active* gives access, whatever the group says,
and a membership changed meanwhile must not come as a surprise when the account is opened again.
"""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry
from hostadmin.core.errors import HostadminError
from hostadmin.core.values import Actor
from hostadmin.host.accounts import Accounts
from hostadmin.store import audit, facts, users
from hostadmin.store.database import Tx
from hostadmin.store.users import User
from hostadmin.users.context import Context, target_of

LOG: Final = logging.getLogger("hostadmin.users")
REPORTED_FACT: Final = "memberships.reported"  # account id → what was recorded of it and is not settled yet
ADOPT: Final = "adopt"
RESTORE: Final = "restore"
PAUSE_SECONDS: Final = 300.0  # before what has failed is tried again
IN_BOTH: Final = (True, True)
IN_NONE: Final = (False, False)


@dataclass(frozen=True, slots=True)
class Members:
    """Who is listed where: group → logins, in ``group`` and in ``gshadow`` (``None``: the host has no gshadow)."""

    group: Mapping[str, frozenset[str]]
    gshadow: Mapping[str, frozenset[str]] | None

    def listed(self, login: str, name: str) -> tuple[bool, bool]:
        """Tell whether a group lists a login, in ``group`` and in ``gshadow``; a file without the group goes with the other one."""
        one = login in self.group.get(name, ())
        return one, one if self.gshadow is None or name not in self.gshadow else login in self.gshadow[name]


@dataclass(frozen=True, slots=True)
class Difference:
    """One membership that is not as kept: ``wanted`` by the ledger, ``listed`` in group and in gshadow."""

    group: str
    wanted: bool
    listed: tuple[bool, bool]

    @property
    def sentence(self) -> str:
        """What people are told."""
        where = {(True, False): "in group, but not in gshadow", (False, True): "in gshadow, but not in group"}.get(self.listed)
        if where:
            return f"the membership of {self.group!r} is half there: {where}"
        what = "put into" if self.listed[0] else "taken out of"
        return f"{what} group {self.group!r} by hand"


def find_differences(user: User, members: Members, docker_group: str, *, primary: bool = False) -> Sequence[Difference]:
    """Return which memberships of a managed account are not as kept. ``primary``: whether the group with access is its primary one."""
    if not user.managed:
        return []
    wanted = dict.fromkeys(user.groups, True)
    if user.docker is not None:
        wanted[docker_group] = user.docker
    found = [Difference(group, want, members.listed(user.login, group)) for group, want in sorted(wanted.items())]
    return [d for d in found if d.listed != (IN_BOTH if d.wanted else IN_NONE) and not (primary and d.wanted and d.group == docker_group)]


def read_members(accounts: Accounts) -> Members:
    """Return who is listed where now."""
    group = {name: frozenset(entry.members) for name, entry in accounts.groups().items()}
    shadowed = accounts.shadow_members()
    return Members(group, None if shadowed is None else {name: frozenset(logins) for name, logins in shadowed.items()})


class Drift:
    """Compares the memberships of the host with the ledger, and settles what differs.

    Args:
        context: ledger, host, journal.

    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._accounts = context.accounts
        self._group = context.places.group
        self._settled: tuple[Any, ...] | None = None
        self._retry_at = 0.0

    def settle(self, actor: Actor) -> dict[str, Any]:
        """Compare all managed accounts, and do with what differs as the policy says.

        As long as neither the files nor the accounts of the ledger have changed, this costs two stat(2) and one query.

        Returns:
            The sentences by login of what was ``adopted``, ``restored``, ``reported``; empty lists are left out.

        """
        stamp = self._stamp()
        if stamp == self._settled and (not self._retry_at or time.monotonic() < self._retry_at):
            return {}
        with self._context.database.read() as tx:
            known = [u for u in users.all_users(tx) if u.managed]
        self._take_unknown(known)
        members = read_members(self._accounts)
        differing = [u.login for u in known if find_differences(u, members, self._group, primary=self._is_primary(u))]
        outcome: dict[str, list[str]] = {}
        failed = False
        for login in differing:
            try:
                for word, sentences in self._settle_one(actor, login).items():
                    outcome.setdefault(word, []).extend(f"{login}: {sentence}" for sentence in sentences)
            except HostadminError as error:
                LOG.warning("users: the memberships of %s could not be settled: %s", login, error.message)
                failed = True
        self._forget_settled(known, set(differing))
        self._retry_at = time.monotonic() + PAUSE_SECONDS if failed else 0.0
        # What was changed meanwhile, by ourselves too, is looked at once more.
        self._settled = stamp if failed or self._stamp() == stamp else None
        return outcome

    def _stamp(self) -> tuple[int, ...]:
        with self._context.database.read() as tx:
            found = [users.version(tx)]
        for name in ("group", "gshadow"):
            with suppress(FileNotFoundError):
                stat = os.stat(self._accounts.etc / name)
                found += [stat.st_mtime_ns, stat.st_ino, stat.st_size]
        return tuple(found)

    def _is_primary(self, user: User) -> bool:
        account, group = self._accounts.find_local(user.login) if user.docker else None, self._accounts.group(self._group)
        return account is not None and group is not None and account.gid == group.gid

    def _take_unknown(self, known: Sequence[User]) -> None:
        """Take what the group says now for accounts from before the ledger kept it, once."""
        listed = self._accounts.members(self._group) if any(u.docker is None for u in known) else set()
        for user in known:
            if user.docker is None:
                with self._context.of(user.login):
                    self._context.database.write(_Taking(user.id, docker=user.login in listed))

    def _settle_one(self, actor: Actor, login: str) -> dict[str, list[str]]:
        """Settle one account; whatever else is being done with it is waited for, or has its own record."""
        with self._context.of(login):
            user = self._context.find(login)
            if user is None or self._is_busy(login):
                return {}
            account = self._accounts.find_local(login)
            if account is None or account.uid != user.uid:  # another drift, and a larger one
                return {}
            found = find_differences(user, read_members(self._accounts), self._group, primary=self._is_primary(user))
            sentences = [one.sentence for one in found]
            if not found:
                return {}
            if self._context.places.keeping.drift == ADOPT:
                self._adopt(actor, user, found)
                return {"adopted": sentences}
            if self._context.places.keeping.drift == RESTORE:
                self._restore(actor, user, found)
                return {"restored": sentences}
            return {"reported": sentences} if self._report(actor, user, found) else {}

    def _is_busy(self, login: str) -> bool:
        """Tell whether an action on that account is under way: its outcome says what the memberships are to be."""
        with self._context.database.read() as tx:
            return any(r["object_name"] == login for r in audit.open_intents(tx, self._context.journal.proc, not_boot=""))

    def _adopt(self, actor: Actor, user: User, found: Sequence[Difference]) -> None:
        """Let the ledger follow ``group``; ``gshadow`` follows too."""

        def act() -> None:
            for one in found:
                if one.listed[0] != one.listed[1]:
                    self._put(user.login, one.group, wanted=one.listed[0])

        def rows(tx: Tx) -> None:
            values: dict[str, Any] = {}
            for one in found:
                if one.group == self._group:
                    values["docker"] = one.listed[0]
            gone = {one.group for one in found if one.group != self._group and not one.listed[0]}
            if gone:
                values["groups"] = tuple(group for group in user.groups if group not in gone)
            if values:
                users.change(tx, user.id, **values)

        self._context.do(Entry(actor, Action.ACCESS_ADOPT, target_of(user), "drift", _detail(found)), act, rows)

    def _restore(self, actor: Actor, user: User, found: Sequence[Difference]) -> None:
        """Put memberships back as the ledger has them."""

        def act() -> None:
            for one in found:
                self._put(user.login, one.group, wanted=one.wanted)

        self._context.do(Entry(actor, Action.ACCESS_RESTORE, target_of(user), "drift", _detail(found)), act)

    def _put(self, login: str, group: str, *, wanted: bool) -> None:
        if wanted:
            self._accounts.add_to_group(login, group)
        else:
            self._accounts.remove_from_group(login, group)

    def _report(self, actor: Actor, user: User, found: Sequence[Difference]) -> bool:
        """Record what was noticed, once; return whether it is new."""
        said = [f"{one.group}: {one.wanted} {one.listed}" for one in found]
        with self._context.database.read() as tx:
            reported = facts.get(tx, REPORTED_FACT, {})
        if reported.get(user.id) == said:
            return False
        self._context.journal.event(Entry(actor, Action.ACCESS_DRIFT, target_of(user), "drift", _detail(found)), decision="allow")
        self._context.database.write(lambda tx: facts.put(tx, REPORTED_FACT, {**reported, user.id: said}))
        return True

    def _forget_settled(self, known: Sequence[User], differing: set[str]) -> None:
        """Forget what was reported and is as kept again: if it comes back, it is another change."""
        with self._context.database.read() as tx:
            reported = facts.get(tx, REPORTED_FACT, {})
        left = {u.id for u in known if u.login in differing}
        if set(reported) - left:
            kept = {user_id: said for user_id, said in reported.items() if user_id in left}
            self._context.database.write(lambda tx: facts.put(tx, REPORTED_FACT, kept or None))


@dataclass(frozen=True, slots=True)
class _Taking:
    """Writes what the group says of an account that nothing was known of."""

    user_id: str
    docker: bool

    def __call__(self, tx: Tx) -> None:
        user = users.find(tx, self.user_id)
        if user is not None and user.docker is None and user.managed:
            users.change(tx, self.user_id, docker=self.docker)


def _detail(found: Sequence[Difference]) -> dict[str, Any]:
    return {"changes": [{"group": d.group, "ledger": d.wanted, "group_file": d.listed[0], "gshadow": d.listed[1]} for d in found]}
