"""The states of an account: active, locked, expired, leaving; what ends access and what gives it back.

Without access means the same whatever the reason: the ledger's state closes the guard, shadow has a locked hash and an
expiry long over, no process is left, and containers go on or stop as the profile says. The lock of the hash alone would
leave SSH keys; the expiry alone leaves them too for a day more: OpenSSH 9.2 with ``UsePAM yes`` asks PAM, which refuses on the
day of the expiry, but with ``UsePAM no`` it looks itself, refuses only after that day, and refuses a hash with ``!`` in
front for keys too. With both, no key came in under either (seen with sshd of Debian 12); so the person's
``authorized_keys`` stays as it is. cron of Debian 12 asks PAM too ("Authentication failure") and runs nothing of a closed account.
"""

import logging
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry
from hostadmin.core.values import Actor, UserState
from hostadmin.host import sessions
from hostadmin.store import facts, users
from hostadmin.store.database import Tx
from hostadmin.store.users import User
from hostadmin.users.context import RULE, Context, target_of
from hostadmin.users.halting import Halting
from hostadmin.users.steps import apply_ledger, is_same, shut

LOG: Final = logging.getLogger("hostadmin.users")
EXPIRES_FACT: Final = "expires."  # + account id → the last day that it had before `user expire`, empty for none
LEAVING_FACT: Final = "leaving."  # + account id → the archive of its home, complete, while the rest of it goes
BEFORE_FACT: Final = "before."  # + account id → the state that it had before it was leaving
STEPS: Final = ("guard", "account", "processes", "containers")
RECORD_SECONDS: Final = 30.0
STRENGTH: Final = (UserState.ACTIVE, UserState.EXPIRED, UserState.LOCKED, UserState.LEAVING)


def stronger(one: UserState, other: UserState) -> UserState:
    """Return which of two reasons to have no access holds when there are both: it is what must be undone."""
    return max(one, other, key=STRENGTH.index)


def is_over(user: User, today: date) -> bool:
    """Tell whether the last day of an account is over."""
    return user.expires is not None and today > user.expires


def is_waiting(user: User) -> bool:
    """Tell whether an account is locked for nothing else but that its first day is still to come.

    An administrator's lock takes the first day away, so that no day opens it.
    """
    return user.state is UserState.LOCKED and user.starts is not None


def is_due_to_open(user: User, today: date) -> bool:
    """Tell whether the first day of a waiting account has come."""
    return is_waiting(user) and user.starts is not None and user.starts <= today and not is_over(user, today)


def is_due_to_end(user: User, today: date) -> bool:
    """Tell whether an account's last day is over, and its access is not ended yet."""
    return is_over(user, today) and (user.state is UserState.ACTIVE or is_waiting(user))


def is_open_too_early(user: User, today: date) -> bool:
    """Tell whether an account has access although its first day is still to come: the clock was ahead when it was opened."""
    return user.state is UserState.ACTIVE and user.starts is not None and user.starts > today


def is_ended_too_early(user: User, today: date) -> bool:
    """Tell whether an account is expired although its last day is not over: the clock was ahead, or `user expire` ended it."""
    return user.state is UserState.EXPIRED and user.expires is not None and not is_over(user, today)


@dataclass(frozen=True, slots=True)
class Closing:
    """What ends access: the state, the action it is recorded as, further columns of the ledger, and facts to be kept."""

    state: UserState
    action: Action
    columns: dict[str, Any]
    facts: dict[str, Any]


class States:
    """Ends the access of accounts, and gives it back.

    Args:
        context: ledger, host, journal.
        halting: stops and starts their containers.

    """

    def __init__(self, context: Context, halting: Halting) -> None:
        self._context = context
        self._accounts = context.accounts
        self._halting = halting

    # -- one account, by an administrator ----------------------------------------------------

    def lock(self, actor: Actor, login: str) -> None:
        """Lock an account, until it is unlocked; one that waits for its first day waits for that no longer.

        Raises:
            NotFound: there is none of that name.
            Failed: the guard refuses already, but the host's account could not be closed; run it again.

        """
        with self._context.of(login):
            user = self._context.get(login)
            columns = {"starts": None} if user.starts is not None else {}
            kept: dict[str, Any] = {}
            if user.state is UserState.LEAVING and self._before(user) is not UserState.LOCKED:
                kept = {f"{BEFORE_FACT}{user.id}": str(UserState.LOCKED)}
            self._close(actor, user, Closing(stronger(user.state, UserState.LOCKED), Action.USER_LOCK, columns, kept))

    def expire(self, actor: Actor, login: str, last_day: date | None = None) -> None:
        """End an account's access now: yesterday was its last day; one that is over already keeps its last day.

        Args:
            actor: who asks.
            login: whose.
            last_day: its last day, which is over, where it is not to be yesterday.

        Raises:
            NotFound, Failed: as ``lock``.
            Conflict: the host's account is gone or another one.

        """
        with self._context.of(login):
            user = self._context.get(login)
            if user.managed:
                self._context.require_same(user)
            yesterday = self._context.today() - timedelta(days=1)
            last = last_day or min(user.expires or yesterday, yesterday)
            state = UserState.EXPIRED if is_waiting(user) else stronger(user.state, UserState.EXPIRED)
            columns: dict[str, Any] = {"expires": last} if last != user.expires else {}
            kept = {f"{EXPIRES_FACT}{user.id}": user.expires.isoformat() if user.expires else ""} if columns and last_day is None else {}
            if is_waiting(user):
                columns["starts"] = None
            self._close(actor, user, Closing(state, Action.USER_EXPIRE, columns, kept))

    def leave(self, actor: Actor, login: str) -> None:
        """End an account's access for good, without removing anything yet; ``unlock`` takes it back until something is removed.

        Raises:
            NotFound, Failed: as ``lock``.

        """
        with self._context.of(login):
            user = self._context.get(login)
            self._close(actor, user, Closing(UserState.LEAVING, Action.USER_LEAVE, {}, kept_before(user)))

    def wait(self, actor: Actor, login: str, starts: date) -> None:
        """Close an account until a first day that is still to come.

        Raises:
            NotFound, Failed: as ``lock``.

        """
        with self._context.of(login):
            self._close(actor, self._context.get(login), Closing(UserState.LOCKED, Action.USER_LOCK, {"starts": starts}, {}))

    def _close(self, actor: Actor, user: User, closing: Closing) -> None:
        """Close an account; one that is closed like that already, on the host too, is left alone."""
        on_host = user.managed and is_same(self._accounts, user)
        whose = self._context.whose(user)
        as_asked = user.state is closing.state and not closing.columns and not closing.facts
        if as_asked and not (on_host and (not self._accounts.is_locked(user.login) or sessions.running(*whose))):
            return
        told = detail_of(closing)

        def act() -> None:
            if on_host:
                shut(self._accounts, user, whose)
            if left := self._halting.halt(actor, [user]):
                told["containers_left"] = list(left)  # `enforce_dates` comes back to them

        entry = Entry(actor, closing.action, target_of(user), RULE, detail_of(closing))
        # The ledger first: the guard refuses from here on, whatever the tools do.
        self._context.do(entry, act, claim=lambda tx: claim(tx, user, closing), told=told)

    def unlock(self, actor: Actor, login: str) -> None:
        """Give access back as it was: password, expiry, guard, and the containers that were stopped.

        An expired account gets back the last day that it had before `user expire`; if that is over too, today is the last one.
        A locked or leaving one whose last day is over is expired then; a leaving one that was locked before is locked again.

        Raises:
            NotFound: there is none of that name.
            Conflict: the host's account is gone or another one.
            Failed: the host could not do it; the account stays closed.

        """
        with self._context.of(login):
            user = self._context.get(login)
            if user.managed:
                self._context.require_same(user)
            today = self._context.today()
            over = is_over(user, today)
            if user.state is UserState.LEAVING and self._before(user) is UserState.LOCKED:
                self._turn_to(actor, user, UserState.LOCKED)
                return
            if over and user.state not in (UserState.EXPIRED, UserState.ACTIVE):
                self._turn_to(actor, user, UserState.EXPIRED)
                return
            expires = self._last_day(user, today) if over else user.expires
            if user.state is UserState.ACTIVE and not over and (not user.managed or self._accounts.is_unlocked(login, expires)):
                self._halting.resume(actor, user.id)
                return
            columns: dict[str, Any] = {"expires": expires} if expires != user.expires else {}
            if is_waiting(user):
                columns["starts"] = None
            self.open(actor, user, Action.USER_UNLOCK, columns)

    def open(self, actor: Actor, user: User, action: Action, columns: dict[str, Any]) -> None:
        """Open an account whose login the caller holds; ``columns`` of the ledger change with it."""
        expires = columns.get("expires", user.expires)

        def act() -> None:
            if user.managed:
                self._accounts.unlock(user.login, expires)
                if "name" in columns:
                    self._accounts.set_comment(user.login, columns["name"])

        def undo() -> None:
            if user.state is not UserState.ACTIVE:
                apply_ledger(self._accounts, user)

        def rows(tx: Tx) -> None:
            users.change(tx, user.id, state=UserState.ACTIVE, **columns)
            forget(tx, user.id)

        detail = {"steps": ["account", "guard", "containers"], **_texts(columns)}
        self._context.do(Entry(actor, action, target_of(user), RULE, detail), act, rows, undo=undo)
        self._halting.resume(actor, user.id)

    def _turn_to(self, actor: Actor, user: User, state: UserState) -> None:
        """Take one reason to have no access back where there is another one: the host's account is closed either way."""

        def rows(tx: Tx) -> None:
            users.change(tx, user.id, state=state)
            for prefix in (LEAVING_FACT, BEFORE_FACT):
                facts.put(tx, f"{prefix}{user.id}", None)

        entry = Entry(actor, Action.USER_UNLOCK, target_of(user), RULE, {"steps": [], "state": str(state)})
        self._context.do(entry, lambda: None, rows)

    def _before(self, user: User) -> UserState:
        """Return the state that a leaving account had before."""
        with self._context.database.read() as tx:
            return UserState(facts.get(tx, f"{BEFORE_FACT}{user.id}", UserState.ACTIVE))

    def was_expired(self, user: User) -> bool:
        """Tell whether an administrator has ended the access of an account with `user expire`."""
        with self._context.database.read() as tx:
            return facts.get(tx, f"{EXPIRES_FACT}{user.id}") is not None

    def _last_day(self, user: User, today: date) -> date | None:
        """Return the last day for an expired account that is opened again."""
        with self._context.database.read() as tx:
            before = facts.get(tx, f"{EXPIRES_FACT}{user.id}")
        if before == "":
            return None
        return max(today, date.fromisoformat(before)) if before else today


def claim(tx: Tx, user: User, closing: Closing) -> None:
    """Write the state and what else a closing says."""
    users.change(tx, user.id, state=closing.state, **closing.columns)
    for key, value in closing.facts.items():
        facts.put(tx, key, value)


def kept_before(user: User) -> dict[str, Any]:
    """Return the fact that says which state an account has that is going to be leaving; none if it is leaving already."""
    return {} if user.state is UserState.LEAVING else {f"{BEFORE_FACT}{user.id}": str(user.state)}


def claim_leaving(tx: Tx, user: User) -> None:
    """Write that an account is leaving, and what it was before."""
    users.change(tx, user.id, state=UserState.LEAVING)
    for key, value in kept_before(user).items():
        facts.put(tx, key, value)


def forget(tx: Tx, user_id: str) -> None:
    """Drop what was kept of an account until it was opened again, or gone."""
    for prefix in (EXPIRES_FACT, LEAVING_FACT, BEFORE_FACT):
        facts.put(tx, f"{prefix}{user_id}", None)


def detail_of(closing: Closing) -> dict[str, Any]:
    """Return what the audit says of a closing."""
    return {"steps": list(STEPS), "state": str(closing.state), **_texts(closing.columns)}


def _texts(columns: dict[str, Any]) -> dict[str, Any]:
    return {key: None if value is None else str(value) for key, value in columns.items()}
