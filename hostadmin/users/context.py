"""What every account action needs: the ledger, the host, one action per login at a time, and law 5."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from hostadmin.audit.journal import Entry, Intent, Journal, Target
from hostadmin.core.clock import now
from hostadmin.core.errors import Conflict, Failed, Forbidden, HostadminError, NotFound
from hostadmin.host.accounts import Accounts
from hostadmin.policy.profiles import Profiles
from hostadmin.store import numbers, users
from hostadmin.store.database import Database, Tx
from hostadmin.users.numbers import Ranges
from hostadmin.users.steps import is_same

RULE: Final = "admin"
LOCKS: Final = 64
Rows = Callable[[Tx], object]


@dataclass(frozen=True, slots=True)
class Keeping:
    """The keys of ``[users]`` about memberships, archives and notices; an empty path: there is none of it."""

    drift: str = "adopt"
    archives: str = ""
    archive_days: int = 30
    notice_days: int = 7
    notices: str = ""
    login_script: str = ""


@dataclass(frozen=True, slots=True)
class Places:
    """Where homes are made, the login shell, the group with access, the numbers given out, and what is kept of accounts.

    ``guard``: the guard's socket, where it is not the one that docker looks for by itself.
    """

    home_root: str
    shell: str
    group: str
    ranges: Ranges = field(default_factory=Ranges)
    keeping: Keeping = field(default_factory=Keeping)
    guard: str = ""


class Context:
    """Shared by the parts of the users service.

    Args:
        database: the ledger.
        journal: the audit of this process.
        profiles: the profiles in force.
        places: homes, shell, uids, group.
        accounts: the host's accounts.
        clock: returns the time, aware, in UTC.

    """

    def __init__(
        self,
        database: Database,
        journal: Journal,
        profiles: Profiles,
        places: Places,
        accounts: Accounts,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self.database = database
        self.journal = journal
        self.profiles = profiles
        self.places = places
        self.accounts = accounts
        self.clock = clock
        self.stopping = threading.Event()  # set when the service is told to end: what has many steps begins no more of them
        self.classes = threading.Lock()  # whole classes are changed by one at a time; taken before every other lock
        self.numbers = threading.RLock()  # numbers are chosen and used by one at a time
        self._locks = [threading.RLock() for _ in range(LOCKS)]

    @contextmanager
    def of(self, login: str) -> Iterator[None]:
        """One action on an account at a time; those on others need not wait for it."""
        with self._locks[hash(login) % LOCKS]:
            yield

    @contextmanager
    def of_all(self, logins: Iterable[str]) -> Iterator[None]:
        """One action on many accounts; the order in which they are taken is the same for everybody."""
        with ExitStack() as stack:
            for index in sorted({hash(login) % LOCKS for login in logins}):
                stack.enter_context(self._locks[index])
            yield

    def today(self) -> date:
        """Return the day that it is, in UTC."""
        return self.clock().date()

    def whose(self, user: users.User) -> tuple[int | range, ...]:
        """Return the uids under which an account's processes may run: its own, and its subordinate ones."""
        if not self.places.ranges.subordinate_ids:
            return (user.uid,)
        with self.database.read() as tx:
            found = numbers.find(tx, user.id)
        return (user.uid, range(found.subid_first, found.subid_first + found.subid_count)) if found else (user.uid,)

    def find(self, login: str) -> users.User | None:
        """Return the living account of that login in the ledger."""
        with self.database.read() as tx:
            return users.find_login(tx, login)

    def get(self, login: str) -> users.User:
        """Return the living account of that login in the ledger.

        Raises:
            NotFound: there is none.

        """
        user = self.find(login)
        if user is None:
            raise not_found(login)
        return user

    def get_managed(self, login: str) -> users.User:
        """Return an account that hostadmin manages.

        Raises:
            NotFound, Forbidden: there is none, or it is not ours to change.

        """
        user = self.get(login)
        if not user.managed:
            raise Forbidden(f"{login} is not managed by hostadmin: its account is not touched.", key="user-unmanaged")
        return user

    def require_same(self, user: users.User) -> None:
        """Refuse to touch an account of the host that is not the ledger's any more.

        Raises:
            Conflict: it is gone or has another uid.

        """
        if not is_same(self.accounts, user):
            raise Conflict(
                f"The host's account {user.login} is gone or has another uid than the ledger's {user.uid}: look at "
                f"`hostadmin user show {user.login}`; `hostadmin user remove {user.login}` takes it out of the ledger.",
                key="user-drift",
            )

    def do(
        self,
        entry: Entry,
        act: Callable[[], None],
        rows: Rows | None = None,
        *,
        claim: Rows | None = None,
        undo: Callable[[], None] | None = None,
        told: dict[str, Any] | None = None,
    ) -> None:
        """Record, act, record.

        Args:
            entry: what is recorded before.
            act: does it on the host.
            rows: the ledger's rows that the outcome explains.
            claim: the ledger's rows that are written with the intent.
            undo: takes back what ``act`` has begun, or what could not be recorded.
            told: the detail of the outcome, read after ``act``; default: the entry's.

        Raises:
            HostadminError: it could not be done or recorded.

        """
        intent = self.journal.intent(entry, also=claim)
        detail = entry.detail if told is None else told
        try:
            act()
        except Exception as error:  # whatever it was, the intent gets its outcome
            raise self._failed(intent, error, detail, undo) from error
        try:
            self.journal.outcome(intent, "ok", also=rows, detail=detail)
        except HostadminError:  # rolled back: what is not recorded must not stay; the next start closes the intent
            if undo is not None:
                undo()
            raise

    def _failed(self, intent: Intent, error: Exception, detail: dict[str, Any], undo: Callable[[], None] | None) -> HostadminError:
        """Undo, record, and return the error to raise."""
        known = error if isinstance(error, HostadminError) else Failed(f"The host could not do it: {error}.", key="host")
        left = ""
        try:
            if undo is not None:
                undo()
        except (HostadminError, OSError) as problem:
            left = str(problem)
        told = {**detail, "message": known.message, "undone": undo is not None and not left, "left": left}
        with suppress(HostadminError, TimeoutError):
            self.journal.outcome(intent, "error", detail=told)
        if not left:
            return known
        return Failed(f"{known.message} Undoing it failed too: {left} Look at `hostadmin doctor`.", key="half-done")


def target_of(user: users.User) -> Target:
    """Return what the audit calls an account."""
    return Target("user", user.id, user.login, user.id)


def not_found(login: str) -> NotFound:
    """Return the error for a login that nobody knows."""
    return NotFound(f"There is no account {login[:64]!r} in the ledger; see `hostadmin user list`.", key="user-not-found")
