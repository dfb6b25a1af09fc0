"""Changing accounts as a plan says: an attribute is one act, journalled, read back, the same in both directions."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from types import EllipsisType
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

    def expire(self, actor: Actor, login: str, last: date | None = None) -> Any:
        """End access; ``last``: the last day, which is over."""

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
            "expires": self._set_expires,
            "docker": lambda actor, login, value: (self._accounts.grant if value else self._accounts.revoke)(actor, login),
            "mail": lambda actor, login, value: self._set_row(actor, login, mail=value or ""),
            "cohort": lambda actor, login, value: self._set_row(actor, login, cohort_id=value),
            "starts": self._set_starts,
            "comment": self._set_comment,
            "groups": self._follow_groups,
            "keys": self._follow_keys,
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

    def set_hash(
        self,
        actor: Actor,
        login: str,
        hashed: str,
        *,
        given: "str | EllipsisType | None" = ...,
        force: bool = False,
        changed_day: int | None = None,
    ) -> None:
        """Set a password by its hash.

        Args:
            actor: who asks.
            login: whose.
            hashed: the hash.
            given: the print of the hash that a roster has given last, which is not given again; as it is if nothing is said.
            force: whether the next login must change it.
            changed_day: of shadow, where the password is one that was there before; ``None``: today.

        Raises:
            Failed: the host could not do it.

        """
        with self._context.of(login):
            user = self._managed(login)
            detail = {"fingerprint": fingerprint(hashed), **({"forced": True} if force else {})}
            entry = Entry(actor, Action.USER_PASSWD, target_of(user), RULE, detail)
            values = {} if given is ... else {"password_print": given}
            locked = user.state is not UserState.ACTIVE

            def act() -> None:
                self._context.accounts.set_hash(login, hashed, locked=locked)
                if changed_day is not None:
                    self._context.accounts.restore_change_day(login, changed_day)
                if force:
                    self._context.accounts.force_changes([login])  # last: a password that is set cancels it

            self._context.do(entry, act, lambda tx: users.change(tx, user.id, **values))

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

    def _set_expires(self, actor: Actor, login: str, value: Any) -> None:
        """Set the last day; one that is over, which only taking back brings, ends access."""
        day = _day(value)
        if day is not None and day < self._context.today():
            self._accounts.expire(actor, login, day)
        else:
            self._accounts.set(actor, login, expires=day)

    def _set_comment(self, actor: Actor, login: str, value: Any) -> None:
        user = self._managed(login)
        entry = Entry(actor, Action.USER_SET, target_of(user), RULE, {"comment": value})
        self._context.do(entry, lambda: self._context.accounts.set_comment(login, value))

    def _follow_groups(self, actor: Actor, login: str, value: Any) -> None:
        """Join and leave further groups as a roster says; those that hostadmin did not give are never left."""
        user = self._managed(login)
        self.set_groups(actor, login, value, join=value, leave=set(user.groups) - set(value))

    def set_groups(self, actor: Actor, login: str, kept: Collection[str], *, join: Collection[str], leave: Collection[str]) -> None:
        """Join and leave groups; ``kept``: those that are hostadmin's business from then on.

        Raises:
            HostadminError: it could not be done; what was begun has been undone.

        """
        with self._context.of(login):
            user, wanted = self._managed(login), tuple(sorted(kept))
            listed = self._context.accounts.read().listed_everywhere(login)
            to, away = sorted(set(join) - listed), sorted(set(leave) & listed)
            if not to and not away and user.groups == wanted:
                return
            missing = [name for name in to if self._context.accounts.group(name) is None]
            if missing:
                raise Conflict(f"There is no group {missing[0]!r} on this host any more; make it with `groupadd`.", key="group-missing")
            detail = {"groups": list(wanted), "joined": to, "left": away}  # the recovery takes that back
            self._context.do(
                Entry(actor, Action.USER_SET, target_of(user), RULE, detail),
                lambda: self._move(login, to, away),
                lambda tx: users.change(tx, user.id, groups=wanted),
                undo=lambda: self._move(login, away, to),
            )

    def _move(self, login: str, to: Sequence[str], away: Sequence[str]) -> None:
        for group in to:
            self._context.accounts.add_to_group(login, group)
        for group in away:
            self._context.accounts.remove_from_group(login, group)

    def _follow_keys(self, actor: Actor, login: str, value: Any) -> None:
        """Write and take away keys as a roster says; those that the person has added stay."""
        user = self._managed(login)
        ours = {keyfiles.key_of(line) for line in value}
        self.set_keys(actor, login, value, add=value, remove=[line for line in user.keys if keyfiles.key_of(line) not in ours])

    def set_keys(self, actor: Actor, login: str, kept: Collection[str], *, add: Collection[str], remove: Collection[str]) -> None:
        """Write and take away keys; ``kept``: those that are hostadmin's business from then on.

        Raises:
            HostadminError: it could not be done; what was begun has been undone.

        """
        with self._context.of(login):
            user = self._managed(login)
            present = {keyfiles.key_of(line) for line in keyfiles.read(user.home, user.uid)}
            new = [line for line in add if keyfiles.key_of(line) not in present]
            gone = [line for line in remove if keyfiles.key_of(line) in present]
            detail = {"keys": prints_of(kept), "added": prints_of(new), "taken": prints_of(gone)}
            self._context.do(
                Entry(actor, Action.USER_SET, target_of(user), RULE, detail),
                lambda: keyfiles.write(user.home, user.uid, user.gid, add=new, remove=gone),
                lambda tx: users.change(tx, user.id, keys=tuple(kept)),
                undo=lambda: keyfiles.write(user.home, user.uid, user.gid, add=gone, remove=new),
            )


def _day(value: Any) -> date | None:
    return date.fromisoformat(value) if value else None
