"""First and last days, enforced: who waits is opened, whose time is over is closed, hundreds at once."""

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Intent
from hostadmin.core.errors import HostadminError
from hostadmin.core.values import Actor, UserState
from hostadmin.host import sessions
from hostadmin.host.programs import ProgramFailed
from hostadmin.store import users
from hostadmin.store.database import Tx
from hostadmin.store.users import User
from hostadmin.users.context import Context, target_of
from hostadmin.users.halting import PAUSE_SECONDS, Halting
from hostadmin.users.states import (
    STEPS,
    Closing,
    States,
    claim,
    detail_of,
    is_due_to_end,
    is_due_to_open,
    is_ended_too_early,
    is_open_too_early,
)
from hostadmin.users.steps import is_same

LOG: Final = logging.getLogger("hostadmin.users")
RECORD_SECONDS: Final = 30.0


class Dates:
    """Opens and ends accounts by their dates.

    Args:
        context: ledger, host, journal.
        states: opens one.
        halting: sees to their containers.

    """

    def __init__(self, context: Context, states: States, halting: Halting) -> None:
        self._context = context
        self._accounts = context.accounts
        self._states = states
        self._halting = halting
        self._paused: dict[str, float] = {}

    def enforce_dates(self, actor: Actor) -> dict[str, Any]:
        """Open whose first day has come, end whose last day is over, see to their containers.

        Where the clock was set back, what it has done too early is taken back: access follows the date.

        Hundreds at once are one pass: their intents together, so that the guard refuses all of them at once, then the
        tools one by one, then one look at all processes.

        Returns:
            The logins ``opened``, ``expired``, ``returned`` (to what they were before the clock was ahead) and ``failed``; what is
            empty is left out.

        """
        today, everybody = self._context.today(), self._everybody()
        opened: list[str] = []
        failed: list[str] = []
        for user in everybody:
            if is_due_to_open(user, today) and self._is_its_turn(user.login):
                (opened if self._open_waiting(actor, user.login) else failed).append(user.login)
        returned, more = self._follow_back(actor, everybody, today)
        failed += more
        due = [u.login for u in everybody if is_due_to_end(u, today) or (u.state is UserState.EXPIRED and u.login in self._paused)]
        expired = [login for login in due if self._is_its_turn(login)]
        failed += self._end(actor, expired) if expired else []
        now_is = self._everybody() if opened or expired or returned else everybody
        self._halting.settle(actor, now_is)
        ended = [login for login in expired if login not in failed]
        found = {"opened": opened, "expired": ended, "returned": returned, "failed": failed}
        return {key: logins for key, logins in found.items() if logins}

    def end_stragglers(self) -> dict[str, Any]:
        """End what runs all the same under accounts without access: a login that was under way when they were closed.

        PAM had said yes already, and the session begins a moment after all processes were ended.

        Returns:
            The logins ``ended``; empty if there were none.

        """
        closed = [user for user in self._everybody() if user.managed and user.state is not UserState.ACTIVE]
        if not closed or not sessions.running(frozenset(user.uid for user in closed)):
            return {}
        ended = []
        for user in closed:
            with self._context.of(user.login):
                again = self._context.find(user.login)
                if again is None or again.state is UserState.ACTIVE or not is_same(self._accounts, again):
                    continue
                if pids := sessions.running(*self._context.whose(again)):
                    LOG.warning("users: %s is %s, but has %d processes: ended", again.login, again.state, len(pids))
                    sessions.end(*self._context.whose(again))
                    ended.append(again.login)
        return {"ended": ended} if ended else {}

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
                self._states.open(actor, user, Action.USER_UNLOCK, {})
            except HostadminError as error:
                self._pause(login, error.message)
                return False
            return True

    def _follow_back(self, actor: Actor, everybody: Sequence[User], today: date) -> tuple[list[str], list[str]]:
        """Take back what a clock that was ahead has opened and ended; return whose that was, and whose could not be.

        Whoever an administrator has expired stays so whatever the day.
        """
        early = [u.login for u in everybody if is_open_too_early(u, today) or is_ended_too_early(u, today)]
        returned: list[str] = []
        failed: list[str] = []
        for login in early:
            if self._is_its_turn(login):
                try:
                    returned += [login] if self._return(actor, login) else []
                except HostadminError as error:
                    self._pause(login, error.message)
                    failed.append(login)
        return returned, failed

    def _return(self, actor: Actor, login: str) -> bool:
        """Bring one account back to what its dates say; tell whether there was anything to do."""
        with self._context.of(login):
            user, today = self._context.find(login), self._context.today()
            if user is None or not (is_open_too_early(user, today) or is_ended_too_early(user, today)) or self._states.was_expired(user):
                return False
            if user.managed:
                self._context.require_same(user)
            if user.starts is not None and user.starts > today:
                self._states.wait(actor, login, user.starts)
            else:
                self._states.open(actor, user, Action.USER_UNLOCK, {})
            LOG.warning("users: %s is as it was before the clock was set back to %s", login, today)
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
            closing = Closing(UserState.EXPIRED, Action.USER_EXPIRE, {}, {})
            entry = Entry(actor, closing.action, target_of(user), "last-day", detail_of(closing))
            also = _Claim(user, closing)
            waiting.append((user.id, self._context.journal.submit_intent(entry, also=also)))
        return {user_id: future.result(RECORD_SECONDS) for user_id, future in waiting}

    def _shut(self, due: Sequence[User]) -> dict[str, str]:
        """Close accounts on the host; return login → why one is not closed."""
        on_host = [user for user in due if user.managed and is_same(self._accounts, user)]
        whose = {user.login: self._context.whose(user) for user in on_host}
        singles = frozenset(one for found in whose.values() for one in found if isinstance(one, int))
        ranges = [one for found in whose.values() for one in found if isinstance(one, range)]
        sessions.end(singles, *ranges)  # the order: see `shut`
        problems = self._lock(on_host)
        if sessions.end(singles, *ranges):
            problems |= {login: "processes could not be ended" for login, found in whose.items() if sessions.running(*found)}
        return self._lock([user for user in on_host if user.login not in problems]) | problems

    def _lock(self, on_host: Sequence[User]) -> dict[str, str]:
        """Lock accounts; return login → why one is not locked."""
        problems: dict[str, str] = {}
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
        return problems


@dataclass(frozen=True, slots=True)
class _Claim:
    """Writes what an intent claims."""

    user: User
    closing: Closing

    def __call__(self, tx: Tx) -> None:
        claim(tx, self.user, self.closing)
