"""Making accounts, one or a whole class: journalled, made, read back, recorded; what fails is taken back.

Each account is one action: its intent is durable before the first tool runs for it, its outcome and its rows are one
transaction. After a kill the recovery takes back every account without an outcome (``recovery.py``).
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Intent, Target, settled
from hostadmin.core.errors import Failed, HostadminError
from hostadmin.core.values import Actor, UserState
from hostadmin.host import homes, keyfiles
from hostadmin.host.accountfiles import Snapshot
from hostadmin.host.accounts import LOCKED, TOOLS_AT_ONCE, NewAccount
from hostadmin.host.programs import ProgramFailed
from hostadmin.store import numbers, quotas, users
from hostadmin.store.database import Tx
from hostadmin.users.context import RULE, Context
from hostadmin.users.numbers import Given
from hostadmin.users.steps import fingerprint, undo_add

RECORD_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.001
TAKEN: Final = (4, 9)  # useradd(8): uid or name in use; nothing was written, and what has them is somebody else's
Rows = Callable[[Tx, str], object]


@dataclass(frozen=True, slots=True)
class Wish:
    """One account to be made; everything in it has been checked.

    ``returning``: the removed account that comes back, with its own numbers; ``stale``: a living row of that login
    whose account on the host has gone. ``force``: the first login asks for a new password. ``closed``: locked until
    its first day.
    """

    login: str
    name: str
    profile: str
    given: Given
    home: str
    docker: bool
    expires: date | None = None
    starts: date | None = None
    mail: str = ""
    groups: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    hashed: str | None = field(default=None, repr=False)
    roster_hash: bool = False
    force: bool = False
    closed: bool = False
    cohort_id: str | None = None
    returning: users.User | None = None
    stale: users.User | None = None


@dataclass(frozen=True, slots=True)
class Orders:
    """What else is to be recorded: rows with the intent and with the outcome of each, ``(tx, login)``, and the plan's id."""

    begin: Rows | None = None
    end: Rows | None = None
    plan: str | None = None


@dataclass(slots=True)
class Work:
    """One wish under way. ``error``: why it cannot be; ``begun``: whether there may be something to take back."""

    wish: Wish
    account: NewAccount
    detail: dict[str, Any]
    recording: "Future[Intent] | None" = None
    intent: Intent | None = None
    recorded: "Future[None] | None" = None
    error: HostadminError | None = None
    begun: bool = True


class Making:
    """Makes accounts.

    Args:
        context: ledger, host, journal.

    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._accounts = context.accounts
        self._places = context.places

    def make(self, actor: Actor, wishes: Sequence[Wish], orders: Orders = Orders()) -> Mapping[str, HostadminError]:
        """Make accounts, in the order of the wishes; return login → error of those that could not be made, of which nothing is left."""
        works = [self._prepare(wish, orders.plan) for wish in wishes]
        self._intend(actor, works, orders.begin)
        if any(work.wish.docker for work in works):
            self._attempt(works, lambda _work: self._accounts.ensure_group(self._places.group))
        self._create_in_order(works)
        self._set_passwords(works)
        self._force_changes(works)
        for work in works:
            self._try(self._write_keys, work)
        self._verify(works)
        self._conclude(works, orders.end)
        return {work.wish.login: work.error for work in works if work.error is not None}

    def _create_in_order(self, works: Sequence[Work]) -> None:
        """Run useradd for one after the other: the next starts once the one before has written its line, and waits for its lock.

        Half of what useradd does comes before its lock and after its first file; so those halves go side by side.
        """
        stop, begun = threading.Event(), []
        with ThreadPoolExecutor(TOOLS_AT_ONCE, "accounts") as lanes:
            for work in works:
                before = self._accounts.mark()
                begun.append(lanes.submit(self._try, partial(self._create, stop), work))
                while not begun[-1].done() and self._accounts.mark() == before:
                    time.sleep(POLL_SECONDS)
        for running in begun:
            running.result()  # what is no error of one account ends the whole

    def _prepare(self, wish: Wish, plan: str | None) -> Work:
        given = wish.given
        groups = tuple(sorted({*wish.groups, *([self._places.group] if wish.docker else [])}))
        subids = (given.subid_first, given.subid_count) if self._places.ranges.subordinate_ids and given.subid_count else None
        account = NewAccount(
            wish.login, given.uid, given.gid, wish.name, wish.home, self._places.shell, wish.expires, groups=groups, subids=subids
        )
        steps = ["account", *(["password"] if wish.hashed else []), *(["forced change"] if wish.force else [])]
        steps += [*(["keys"] if wish.keys else []), *(["access"] if wish.docker else []), *(["lock"] if wish.closed else [])]
        detail = {
            "uid": given.uid,
            "gid": given.gid,
            "profile": wish.profile,
            "home": wish.home,
            "home_existed": homes.exists(wish.home),
            "expires": wish.expires.isoformat() if wish.expires else None,
            "steps": steps,
            **({"plan": plan} if plan else {}),
        }
        return Work(wish, account, detail)

    def _intend(self, actor: Actor, works: Sequence[Work], begin: Rows | None) -> None:
        """Make all intents durable, one transaction for as many as wait; without one nothing is done for that account."""
        for work in works:
            returning = work.wish.returning.id if work.wish.returning else None
            entry = Entry(actor, Action.USER_ADD, Target("user", returning, work.wish.login, returning), RULE, work.detail)
            also = partial(_call, begin, work.wish.login) if begin is not None else None
            self._try(partial(self._submit_intent, entry, also), work)
        for work in works:
            self._try(_await_intent, work)

    def _submit_intent(self, entry: Entry, also: Callable[[Tx], object] | None, work: Work) -> None:
        work.recording = self._context.journal.submit_intent(entry, also=also)

    def _try(self, act: Callable[[Work], None], work: Work) -> None:
        """Do something for one account unless it has failed already."""
        if work.error is not None:
            return
        try:
            act(work)
        except HostadminError as error:
            work.error = error
        except Exception as error:  # whatever it was, the intent gets its outcome
            work.error = Failed(f"The host could not do it: {error}.", key="host")

    def _attempt(self, works: Sequence[Work], act: Callable[[Work], None]) -> None:
        """Do one thing for all of them: it fails for all, or for none."""
        going = [work for work in works if work.error is None]
        if going:
            self._try(act, going[0])
            for work in going[1:]:
                work.error = going[0].error

    def _create(self, stop: threading.Event, work: Work) -> None:
        """Run useradd; what it has not begun is not taken back: by then the login may be somebody else's."""
        if stop.is_set():
            raise Failed("Not begun: the account files could not be locked.", key=LOCKED)
        try:
            self._accounts.create(work.account)
        except HostadminError as error:
            work.begun = not (isinstance(error, ProgramFailed) and error.code in TAKEN) and error.key != LOCKED
            if error.key == LOCKED:
                stop.set()
            raise

    def _set_passwords(self, works: Sequence[Work]) -> None:
        """Set all passwords by one call, which sets all or none."""
        wanted = [work for work in works if work.error is None and work.wish.hashed]
        if wanted:
            hashes = {work.wish.login: work.wish.hashed or "" for work in wanted}
            self._attempt(wanted, lambda _work: self._accounts.set_hashes(hashes))

    def _force_changes(self, works: Sequence[Work]) -> None:
        """Ask for new passwords, after the passwords: one that is set later would cancel it (``accounts.md`` 9.2)."""
        wanted = [work for work in works if work.error is None and work.wish.force]
        if wanted:
            logins = [work.wish.login for work in wanted]
            self._attempt(wanted, lambda _work: self._accounts.force_changes(logins))

    def _write_keys(self, work: Work) -> None:
        if work.wish.keys:
            keyfiles.write(work.wish.home, work.wish.given.uid, work.wish.given.gid, add=work.wish.keys)

    def _verify(self, works: Sequence[Work]) -> None:
        """Read everything back, all files once; then lock those whose first day is still to come."""
        found: list[Snapshot] = []
        self._attempt(works, lambda _work: found.append(self._accounts.read()))
        for work in works:
            self._try(lambda work: self._check(work, found[0]), work)

    def _check(self, work: Work, files: Snapshot) -> None:
        if wrong := self._accounts.verify(work.account, files):
            raise Failed(
                f"The account {work.wish.login} is not as it should be after useradd: {'; '.join(wrong)}.", key="account-verification"
            )
        if work.wish.closed:
            self._accounts.lock(work.wish.login)

    def _conclude(self, works: Sequence[Work], end: Rows | None) -> None:
        """Record everything; take back what failed, and what could not be recorded: the next start closes its intent."""
        made = [work for work in works if work.error is None]
        for work in works:
            if work.error is not None:
                self._take_back(work)
        for work in made:
            self._try(partial(self._submit_outcome, end), work)
        for work in made:
            self._try(_await_outcome, work)
            if work.error is not None:
                self._undo(work)

    def _submit_outcome(self, end: Rows | None, work: Work) -> None:
        also = partial(self._rows, work.wish, end)
        work.recorded = self._context.journal.submit_outcome(_intent(work), "ok", also=also, detail=work.detail)

    def _take_back(self, work: Work) -> None:
        if work.intent is None:
            return
        left = self._undo(work) if work.begun else ""
        error = work.error
        message = error.message if error else ""
        told = {**work.detail, "message": message, "undone": not left, "left": left}
        with suppress(HostadminError, TimeoutError):
            self._context.journal.outcome(_intent(work), "error", detail=told)
        if left:
            work.error = Failed(f"{message} Undoing it failed too: {left} Look at `hostadmin doctor`.", key="half-done")

    def _undo(self, work: Work) -> str:
        """Take an account back; return what is left of it."""
        try:
            undo_add(self._accounts, work.wish.login, work.detail)
        except (HostadminError, OSError) as problem:
            return str(problem)
        return ""

    def _rows(self, wish: Wish, end: Rows | None, tx: Tx) -> None:
        """Write the rows of an account that was made."""
        if wish.stale is not None:
            users.change(tx, wish.stale.id, state=UserState.REMOVED)
        values: dict[str, Any] = {
            "name": wish.name,
            "profile": wish.profile,
            "expires": wish.expires,
            "starts": wish.starts,
            "home": wish.home,
            "mail": wish.mail,
            "docker": wish.docker,
            "groups": wish.groups,
            "keys": wish.keys,
            "cohort_id": wish.cohort_id,
            "managed": True,
            "state": UserState.LOCKED if wish.closed else UserState.ACTIVE,
            "password_print": fingerprint(wish.hashed) if wish.hashed and wish.roster_hash else None,
        }
        if wish.returning is None:
            user = users.add(tx, login=wish.login, uid=wish.given.uid, gid=wish.given.gid, **values)
            put_numbers(tx, user.id, wish.given)
        else:
            user = users.change(tx, wish.returning.id, removed_at=None, **values)
            if numbers.find(tx, user.id) is None:  # from before there was a ledger of them
                put_numbers(tx, user.id, wish.given)
        if end is not None:
            end(tx, wish.login)


def put_numbers(tx: Tx, user_id: str, given: Given) -> None:
    """Write the numbers of an account."""
    numbers.put(tx, numbers.Numbers(user_id, given.position, given.subid_first, given.subid_count, given.subnet))
    if given.ports is not None:
        quotas.put_port_block(tx, user_id, given.ports)


def _intent(work: Work) -> Intent:
    assert work.intent is not None  # noqa: S101  # only what has one is made
    return work.intent


def _await_intent(work: Work) -> None:
    assert work.recording is not None  # noqa: S101  # submitted before
    work.intent = settled(work.recording, RECORD_SECONDS)


def _await_outcome(work: Work) -> None:
    assert work.recorded is not None  # noqa: S101  # submitted before
    settled(work.recorded, RECORD_SECONDS)


def _call(rows: Rows, login: str, tx: Tx) -> None:
    rows(tx, login)
