"""Changing accounts as a plan says: an attribute is one act, journalled, read back, the same in both directions."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final, Protocol

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry
from hostadmin.core.errors import Conflict
from hostadmin.core.values import Actor, UserState
from hostadmin.host import keyfiles
from hostadmin.store import users
from hostadmin.users.context import RULE, Context, target_of
from hostadmin.users.steps import fingerprint, prints_of


class Accounts(Protocol):
    """What single accounts can do already (``service.Users``)."""

    def set(self, actor: Actor, login: str, *, name: str | None = None, profile: str | None = None, expires: Any = ...) -> Any:
        """Set name, profile, last day."""

    def grant(self, actor: Actor, login: str) -> Any:
        """Give access."""

    def revoke(self, actor: Actor, login: str) -> Any:
        """Take access away."""

    def wait(self, actor: Actor, login: str, starts: date) -> Any:
        """Close an account until its first day."""

    def unlock(self, actor: Actor, login: str) -> Any:
        """Open an account."""


class Changing:
    """Changes what is there.

    Args:
        context: ledger, host, journal.
        accounts: the service of single accounts.

    """

    def __init__(self, context: Context, accounts: Accounts) -> None:
        self._context = context
        self._accounts = accounts
        self._table: Final[Mapping[str, Callable[[Actor, str, Any], None]]] = {
            "name": lambda actor, login, value: self._accounts.set(actor, login, name=value or ""),
            "profile": lambda actor, login, value: self._accounts.set(actor, login, profile=value),
            "expires": lambda actor, login, value: self._accounts.set(actor, login, expires=_day(value)),
            "docker": lambda actor, login, value: (self._accounts.grant if value else self._accounts.revoke)(actor, login),
            "mail": lambda actor, login, value: self._set_row(actor, login, mail=value or ""),
            "cohort": lambda actor, login, value: self._set_row(actor, login, cohort_id=value),
            "starts": self._set_starts,
            "comment": self._set_comment,
            "groups": self._set_groups,
            "keys": self._set_keys,
        }

    def change(self, actor: Actor, login: str, attribute: str, value: Any) -> None:
        """Bring one attribute of an account to a value; one that has it already is left alone.

        Args:
            actor: who asks.
            login: whose.
            attribute: a name of the table above, as a plan has it.
            value: plain JSON; of ``cohort`` the id, of ``keys`` the lines.

        Raises:
            HostadminError: it could not be done; what was begun has been undone.

        """
        with self._context.of(login):
            self._table[attribute](actor, login, value)

    def set_hash(self, actor: Actor, login: str, hashed: str, *, roster: bool, changed_day: int | None = None) -> None:
        """Set a password by its hash; ``roster``: the hash is the one that a roster gives.

        ``changed_day``: of shadow, where the password is one that was there before; ``None``: today.

        Raises:
            Failed: the host could not do it.

        """
        with self._context.of(login):
            user = self._managed(login)
            entry = Entry(actor, Action.USER_PASSWD, target_of(user), RULE, {"fingerprint": fingerprint(hashed)})
            given = fingerprint(hashed) if roster else None
            locked = user.state is not UserState.ACTIVE

            def act() -> None:
                self._context.accounts.set_hash(login, hashed, locked=locked)
                if changed_day is not None:
                    self._context.accounts.restore_change_day(login, changed_day)

            self._context.do(entry, act, lambda tx: users.change(tx, user.id, password_print=given))

    def _managed(self, login: str) -> users.User:
        user = self._context.get_managed(login)
        self._context.require_same(user)
        return user

    def _set_row(self, actor: Actor, login: str, **values: Any) -> None:
        """Set what is in the ledger only."""
        user = self._managed(login)
        if all(getattr(user, name) == value for name, value in values.items()):
            return
        detail = {name: None if value is None else str(value) for name, value in values.items()}
        entry = Entry(actor, Action.USER_SET, target_of(user), RULE, detail)
        self._context.do(entry, lambda: None, lambda tx: users.change(tx, user.id, **values))

    def _set_starts(self, actor: Actor, login: str, value: Any) -> None:
        """Set the first day: one that is still to come closes an account until then, one that has come opens it by the clock."""
        day, user = _day(value), self._managed(login)
        if day is not None and day > self._context.today() and user.state is UserState.ACTIVE:
            self._accounts.wait(actor, login, day)
        elif day is None and user.state is UserState.LOCKED and user.starts is not None:
            self._accounts.unlock(actor, login)
        else:
            self._set_row(actor, login, starts=day)

    def _set_comment(self, actor: Actor, login: str, value: Any) -> None:
        user = self._managed(login)
        entry = Entry(actor, Action.USER_SET, target_of(user), RULE, {"comment": value})
        self._context.do(entry, lambda: self._context.accounts.set_comment(login, value))

    def _set_groups(self, actor: Actor, login: str, value: Any) -> None:
        """Join and leave further groups; those that hostadmin did not give are never left."""
        user, wanted = self._managed(login), tuple(sorted(value))
        listed = self._context.accounts.read().listed_everywhere(login)
        join, leave = sorted(set(wanted) - listed), sorted((set(user.groups) - set(wanted)) & listed)
        if not join and not leave and user.groups == wanted:
            return
        missing = [name for name in wanted if self._context.accounts.group(name) is None]
        if missing:
            raise Conflict(f"There is no group {missing[0]!r} on this host any more; make it with `groupadd`.", key="group-missing")

        def move(to: Sequence[str], away: Sequence[str]) -> None:
            for group in to:
                self._context.accounts.add_to_group(login, group)
            for group in away:
                self._context.accounts.remove_from_group(login, group)

        detail = {"groups": list(wanted), "joined": join, "left": leave}
        entry = Entry(actor, Action.USER_SET, target_of(user), RULE, detail)
        self._context.do(
            entry, lambda: move(join, leave), lambda tx: users.change(tx, user.id, groups=wanted), undo=lambda: move(leave, join)
        )

    def _set_keys(self, actor: Actor, login: str, value: Any) -> None:
        """Write and take away keys that a roster gives; those that the person has added stay."""
        user, wanted = self._managed(login), tuple(value)
        ours = {keyfiles.key_of(line) for line in wanted}
        present = {keyfiles.key_of(line) for line in keyfiles.read(user.home, user.uid)}
        surplus = [line for line in user.keys if keyfiles.key_of(line) in present - ours]
        added = [line for line in wanted if keyfiles.key_of(line) not in present]
        detail = {"keys": prints_of(wanted), "added": prints_of(added), "taken": prints_of(surplus)}
        self._context.do(
            Entry(actor, Action.USER_SET, target_of(user), RULE, detail),
            lambda: keyfiles.write(user.home, user.uid, user.gid, add=added, remove=surplus),
            lambda tx: users.change(tx, user.id, keys=wanted),
            undo=lambda: keyfiles.write(user.home, user.uid, user.gid, add=surplus, remove=added),
        )


def _day(value: Any) -> date | None:
    return date.fromisoformat(value) if value else None
