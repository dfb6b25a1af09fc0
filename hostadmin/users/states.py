"""The states of an account: active, locked, expired, leaving; what ends access and what gives it back.

Without access means the same whatever the reason: the ledger's state closes the guard, shadow has a locked hash and an
expiry long over, no process is left, and containers go on or stop as the profile says. The lock of the hash alone would
leave SSH keys; the expiry alone leaves them too for a day more: OpenSSH 9.2 with ``UsePAM yes`` asks PAM, which refuses on the
day of the expiry, but with ``UsePAM no`` it looks itself, refuses only after that day, and refuses a hash with ``!`` in
front for keys too. With both, no key came in under either (seen with sshd of Debian 12); so the person's
``authorized_keys`` stays as it is. cron of Debian 12 asks PAM too ("Authentication failure") and runs nothing of a closed account.
"""

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Intent
from hostadmin.core.errors import HostadminError
from hostadmin.core.values import Actor, UserState
from hostadmin.host import sessions
from hostadmin.host.programs import ProgramFailed
from hostadmin.store import facts, users
from hostadmin.store.database import Tx
from hostadmin.store.users import User
from hostadmin.users.context import RULE, Context, target_of
from hostadmin.users.halting import PAUSE_SECONDS, Halting
from hostadmin.users.steps import apply_ledger, is_same, shut

LOG: Final = logging.getLogger("hostadmin.users")
EXPIRES_FACT: Final = "expires."  # + account id → the last day that it had before `user expire`, empty for none
LEAVING_FACT: Final = "leaving."  # + account id → the archive of its home, complete, while the rest of it goes
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
        self._paused: dict[str, float] = {}

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
            self._close(actor, user, Closing(stronger(user.state, UserState.LOCKED), Action.USER_LOCK, columns, {}))

    def expire(self, actor: Actor, login: str) -> None:
        """End an account's access now: yesterday was its last day; one that is over already keeps its last day.

        Raises:
            NotFound, Failed: as ``lock``.
            Conflict: the host's account is gone or another one.

        """
        with self._context.of(login):
            user = self._context.get(login)
            if user.managed:
                self._context.require_same(user)
            yesterday = self._context.today() - timedelta(days=1)
            last = min(user.expires or yesterday, yesterday)
            state = UserState.EXPIRED if is_waiting(user) else stronger(user.state, UserState.EXPIRED)
            columns: dict[str, Any] = {"expires": last} if last != user.expires else {}
            kept = {f"{EXPIRES_FACT}{user.id}": user.expires.isoformat() if user.expires else ""} if columns else {}
            if is_waiting(user):
                columns["starts"] = None
            self._close(actor, user, Closing(state, Action.USER_EXPIRE, columns, kept))

    def leave(self, actor: Actor, login: str) -> None:
        """End an account's access for good, without removing anything yet; ``unlock`` takes it back until something is removed.

        Raises:
            NotFound, Failed: as ``lock``.

        """
        with self._context.of(login):
            self._close(actor, self._context.get(login), Closing(UserState.LEAVING, Action.USER_LEAVE, {}, {}))

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
        as_asked = user.state is closing.state and not closing.columns
        if as_asked and not (on_host and (not self._accounts.is_locked(user.login) or sessions.running(*whose))):
            return
        told = _detail(closing)

        def act() -> None:
            if on_host:
                shut(self._accounts, user, whose)
            if left := self._halting.halt(actor, [user]):
                told["containers_left"] = list(left)  # `enforce_dates` comes back to them

        entry = Entry(actor, closing.action, target_of(user), RULE, _detail(closing))
        # The ledger first: the guard refuses from here on, whatever the tools do.
        self._context.do(entry, act, claim=lambda tx: _claim(tx, user, closing), told=told)

    def unlock(self, actor: Actor, login: str) -> None:
        """Give access back as it was: password, expiry, guard, and the containers that were stopped.

        An expired account gets back the last day that it had before `user expire`; if that is over too, today is the last one.
        A locked or leaving one whose last day is over is expired then.

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
            if over and user.state not in (UserState.EXPIRED, UserState.ACTIVE):
                self._to_expired(actor, user)
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

    def _to_expired(self, actor: Actor, user: User) -> None:
        """Take a lock or a leave back from an account whose last day is over: the host's account is closed either way."""

        def rows(tx: Tx) -> None:
            users.change(tx, user.id, state=UserState.EXPIRED)
            facts.put(tx, f"{LEAVING_FACT}{user.id}", None)

        entry = Entry(actor, Action.USER_UNLOCK, target_of(user), RULE, {"steps": [], "state": str(UserState.EXPIRED)})
        self._context.do(entry, lambda: None, rows)

    def _last_day(self, user: User, today: date) -> date | None:
        """Return the last day for an expired account that is opened again."""
        with self._context.database.read() as tx:
            before = facts.get(tx, f"{EXPIRES_FACT}{user.id}")
        if before == "":
            return None
        return max(today, date.fromisoformat(before)) if before else today

    # -- many, by their dates ------------------------------------------------------------------

    def enforce_dates(self, actor: Actor) -> dict[str, Any]:
        """Open whose first day has come, end whose last day is over, see to their containers.

        Hundreds at once are one pass: their intents together, so that the guard refuses all of them at once, then the
        tools one by one, then one look at all processes.

        Returns:
            The logins ``opened``, ``expired`` and ``failed``; what is empty is left out.

        """
        today, everybody = self._context.today(), self._everybody()
        opened: list[str] = []
        failed: list[str] = []
        for user in everybody:
            if is_due_to_open(user, today) and self._is_its_turn(user.login):
                (opened if self._open_waiting(actor, user.login) else failed).append(user.login)
        due = [u.login for u in everybody if is_due_to_end(u, today) or (u.state is UserState.EXPIRED and u.login in self._paused)]
        expired = [login for login in due if self._is_its_turn(login)]
        failed += self._end(actor, expired) if expired else []
        now_is = self._everybody() if opened or expired else everybody
        self._end_stragglers(now_is)
        self._halting.settle(actor, now_is)
        found = {"opened": opened, "expired": [login for login in expired if login not in failed], "failed": failed}
        return {key: logins for key, logins in found.items() if logins}

    def _end_stragglers(self, everybody: Sequence[User]) -> None:
        """End what runs all the same under accounts without access: a login that was under way when they were closed."""
        closed = [user for user in everybody if user.managed and user.state is not UserState.ACTIVE]
        if not closed or not sessions.running(frozenset(user.uid for user in closed)):
            return
        for user in closed:
            with self._context.of(user.login):
                again = self._context.find(user.login)
                if again is None or again.state is UserState.ACTIVE or not is_same(self._accounts, again):
                    continue
                if pids := sessions.running(*self._context.whose(again)):
                    LOG.warning("users: %s is %s, but has %d processes: ended", again.login, again.state, len(pids))
                    sessions.end(*self._context.whose(again))

    def _everybody(self) -> Sequence[User]:
        with self._context.database.read() as tx:
            return users.all_users(tx)

    def _is_its_turn(self, login: str) -> bool:
        """Tell whether it is not too early to try again what has failed."""
        return self._paused.get(login, 0.0) < time.monotonic()

    def _open_waiting(self, actor: Actor, login: str) -> bool:
        with self._context.of(login):
            user = self._context.find(login)
            if user is None or not is_due_to_open(user, self._context.today()):
                return True
            try:
                if user.managed:
                    self._context.require_same(user)
                self.open(actor, user, Action.USER_UNLOCK, {})
            except HostadminError as error:
                self._pause(login, error.message)
                return False
            return True

    def _pause(self, login: str, why: str) -> None:
        LOG.warning("users: %s: %s", login, why)
        self._paused[login] = time.monotonic() + PAUSE_SECONDS

    def _end(self, actor: Actor, logins: Collection[str]) -> Sequence[str]:
        """End the access of many accounts; return the logins of those that are not closed on the host yet."""
        with self._context.of_all(logins):
            today = self._context.today()
            with self._context.database.read() as tx:
                found = [user for login in logins if (user := users.find_login(tx, login)) is not None]
            due = [u for u in found if is_due_to_end(u, today) or u.state is UserState.EXPIRED]
            try:
                intents = self._intend(actor, due)
            except (HostadminError, TimeoutError):  # some may be recorded and closed to the guard: the next run goes on
                self._paused |= dict.fromkeys(logins, 0.0)
                raise
            problems = self._shut(due)
            for user in due:
                status = "error" if user.login in problems else "ok"
                told = {"steps": list(STEPS), **({"message": problems[user.login]} if user.login in problems else {})}
                self._context.journal.submit_outcome(intents[user.id], status, detail=told).result(RECORD_SECONDS)
                self._paused.pop(user.login, None)
        for login, problem in problems.items():
            self._pause(login, problem)
        return list(problems)

    def _intend(self, actor: Actor, due: Sequence[User]) -> dict[str, Intent]:
        """Make all intents durable with the states that close the guard."""
        waiting = []
        for user in due:
            closing = Closing(UserState.EXPIRED, Action.USER_EXPIRE, {"starts": None} if is_waiting(user) else {}, {})
            entry = Entry(actor, closing.action, target_of(user), "last-day", _detail(closing))
            also = _Claim(user, closing)
            waiting.append((user.id, self._context.journal.submit_intent(entry, also=also)))
        return {user_id: future.result(RECORD_SECONDS) for user_id, future in waiting}

    def _shut(self, due: Sequence[User]) -> dict[str, str]:
        """Close accounts on the host; return login → why one is not closed."""
        problems: dict[str, str] = {}
        on_host = [user for user in due if user.managed and is_same(self._accounts, user)]
        for user in on_host:
            try:
                self._accounts.lock(user.login)
            except HostadminError as error:
                problems[user.login] = error.message
                if (
                    isinstance(error, ProgramFailed) and "cannot lock" in error.stderr
                ):  # somebody holds the account files: nobody waits for it three hundred times
                    problems |= {u.login: error.message for u in on_host[on_host.index(user) :]}
                    break
        whose = {user.login: self._context.whose(user) for user in on_host}
        singles = frozenset(one for found in whose.values() for one in found if isinstance(one, int))
        ranges = [one for found in whose.values() for one in found if isinstance(one, range)]
        if sessions.end(singles, *ranges):
            problems |= {login: "processes could not be ended" for login, found in whose.items() if sessions.running(*found)}
        return problems


@dataclass(frozen=True, slots=True)
class _Claim:
    """Writes what an intent claims."""

    user: User
    closing: Closing

    def __call__(self, tx: Tx) -> None:
        _claim(tx, self.user, self.closing)


def _claim(tx: Tx, user: User, closing: Closing) -> None:
    users.change(tx, user.id, state=closing.state, **closing.columns)
    for key, value in closing.facts.items():
        facts.put(tx, key, value)


def forget(tx: Tx, user_id: str) -> None:
    """Drop what was kept of an account until it was opened again, or gone."""
    for prefix in (EXPIRES_FACT, LEAVING_FACT):
        facts.put(tx, f"{prefix}{user_id}", None)


def _detail(closing: Closing) -> dict[str, Any]:
    return {"steps": list(STEPS), "state": str(closing.state), **_texts(closing.columns)}


def _texts(columns: dict[str, Any]) -> dict[str, Any]:
    return {key: None if value is None else str(value) for key, value in columns.items()}
