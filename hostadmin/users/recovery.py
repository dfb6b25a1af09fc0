"""After a kill: what became of each account action that an earlier run left open.

Each is finished or undone by the same steps that it is made of, so that running it again does no harm:
a half-made account is taken back, a begun lock, revocation or removal is finished.
"""

import logging
import os
from collections.abc import Callable
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.core.errors import HostadminError
from hostadmin.core.values import UserState
from hostadmin.host import keyfiles, programs
from hostadmin.store import archives, audit, users
from hostadmin.store.database import Tx
from hostadmin.users.access import want
from hostadmin.users.context import Context
from hostadmin.users.removing import Removing
from hostadmin.users.steps import apply_ledger, fingerprint, is_same, shut, undo_add

LOG: Final = logging.getLogger("hostadmin.users")
Verdict = tuple[str, Callable[[Tx], object] | None]
DONE: Final = "done"
NOT_DONE: Final = "not-done"
UNKNOWN: Final = "unknown"
LEAVING: Final = (UserState.LEAVING, UserState.LOCKED)  # locked: a removal that was begun by an earlier version


class Recovery:
    """Closes the open intents of account actions.

    Args:
        context: ledger, host, journal.
        removing: finishes a removal.

    """

    def __init__(self, context: Context, removing: Removing) -> None:
        self._context = context
        self._removing = removing
        self.database = context.database
        self.journal = context.journal
        self.accounts = context.accounts
        self.group = context.places.group
        self._table: Final[dict[Action, Callable[[dict[str, Any]], Verdict]]] = {
            Action.USER_ADD: self._add,
            Action.USER_SET: self._set,
            Action.USER_LOCK: self._close,
            Action.USER_EXPIRE: self._close,
            Action.USER_LEAVE: self._close,
            Action.USER_UNLOCK: self._unlock,
            Action.USER_REMOVE: self._remove,
            Action.USER_RELEASE: self._release,
            Action.ARCHIVE_REMOVE: self._archive_remove,
            Action.USER_PASSWD: self._passwd,
            Action.ACCESS_GRANT: self._grant,
            Action.ACCESS_REVOKE: self._revoke,
            Action.ACCESS_RESTORE: self._restore,
        }

    def run(self) -> int:
        """Finish or undo everything that is open; return how many actions there were."""
        if waited := programs.await_orphans():
            LOG.warning("users: %d programs of an earlier run were still at work; they have ended", waited)
        with self.database.read() as tx:
            left = [r for r in audit.open_intents(tx, self.journal.proc, not_boot=self.journal.boot) if r["action"] in self._table]
        for record in left:
            status, also = self._verdict(record)
            LOG.warning("users: %s of %s, left open by an earlier run: %s", record["action"], record["object_name"], status)
            self.journal.submit_recovery(record, status, also=also).result(10)
        return len(left)

    def _verdict(self, record: dict[str, Any]) -> Verdict:
        try:
            return self._table[Action(record["action"])](record)
        except (HostadminError, OSError) as error:
            LOG.error("users: %s of %s could not be recovered: %s", record["action"], record["object_name"], error)  # noqa: TRY400  # told in full
            return UNKNOWN, None

    def _user(self, record: dict[str, Any]) -> users.User | None:
        """Return the living account that a record is about."""
        with self.database.read() as tx:
            user = users.find(tx, record["object_id"]) if record["object_id"] else users.find_login(tx, record["object_name"])
        return user if user is not None and user.state is not UserState.REMOVED else None

    def _add(self, record: dict[str, Any]) -> Verdict:
        detail, login = record["detail"], record["object_name"]
        with self.database.read() as tx:
            known = users.find_login(tx, login) or users.find_uid(tx, detail["uid"])
        if known is None or not known.managed:
            undo_add(self.accounts, login, detail)
        return NOT_DONE, None

    def _set(self, record: dict[str, Any]) -> Verdict:
        user = self._user(record)
        if user is not None and is_same(self.accounts, user):
            apply_ledger(self.accounts, user)
            self._take_back(user, record["detail"])
        return NOT_DONE, None

    def _take_back(self, user: users.User, detail: dict[str, Any]) -> None:
        """Take back memberships and keys that were being changed: nobody would know of them afterwards."""
        for group in detail.get("joined", ()):
            self.accounts.remove_from_group(user.login, group)
        for group in detail.get("left", ()):
            self.accounts.add_to_group(user.login, group)
        added, taken = detail.get("added", ()), detail.get("taken", ())
        if added or taken:
            surplus = [line for line in keyfiles.read(user.home, user.uid) if fingerprint(keyfiles.key_of(line)) in added]
            missing = [line for line in user.keys if fingerprint(keyfiles.key_of(line)) in taken]
            keyfiles.write(user.home, user.uid, user.gid, add=missing, remove=surplus)

    def _close(self, record: dict[str, Any]) -> Verdict:
        """Finish a lock, an expiry, a leave; containers are seen to by ``Dates.enforce_dates`` once the engine answers."""
        user = self._user(record)
        if user is None or user.state is UserState.ACTIVE:
            return NOT_DONE, None
        if user.managed and is_same(self.accounts, user):
            shut(self.accounts, user, self._context.whose(user))
        return DONE, None

    def _unlock(self, record: dict[str, Any]) -> Verdict:
        user = self._user(record)
        if user is not None and user.state is not UserState.ACTIVE and user.managed and is_same(self.accounts, user):
            self.accounts.lock(user.login)
        return NOT_DONE, None

    def _remove(self, record: dict[str, Any]) -> Verdict:
        user = self._user(record)
        if user is None:
            return DONE, None
        if user.state not in LEAVING:  # unlocked, or removed and made again, since: what is there now stays
            return UNKNOWN, None
        if is_same(self.accounts, user):  # still whole: closed, and its objects may need the engine
            shut(self.accounts, user, self._context.whose(user))
            return NOT_DONE, None
        stored = self._removing.finish(user, dict(record["detail"]))
        return DONE, lambda tx: self._removing.rows(tx, user, stored)

    def _release(self, record: dict[str, Any]) -> Verdict:
        """Leave it leaving: its objects need the engine; the guard refuses, and running it again goes on."""
        user = self._user(record)
        return (DONE if user is None or not user.managed else NOT_DONE), None

    def _archive_remove(self, record: dict[str, Any]) -> Verdict:
        if os.path.lexists(record["object_name"]):
            return NOT_DONE, None  # the job does it
        return DONE, lambda tx: archives.mark_deleted(tx, record["object_id"])

    def _passwd(self, record: dict[str, Any]) -> Verdict:
        shadow = self.accounts.shadow(record["object_name"])
        if shadow is None:
            return UNKNOWN, None
        if fingerprint(shadow.hashed) != record["detail"].get("fingerprint"):
            return NOT_DONE, None
        if record["detail"].get("forced"):  # killed between password and forced change, or right after
            self.accounts.force_changes([record["object_name"]])
        return DONE, None

    def _grant(self, record: dict[str, Any]) -> Verdict:
        login, detail = record["object_name"], record["detail"]
        account = self.accounts.find(login)
        if account is None or account.uid != detail["uid"] or self.group not in self.accounts.listed_in(login):
            return NOT_DONE, None
        self.accounts.add_to_group(login, self.group)  # a killed usermod writes group and leaves gshadow
        observed = {"uid": account.uid, "gid": account.gid, "profile": detail["profile"]}
        return DONE, lambda tx: want(tx, users.observe(tx, login=login, **observed), docker=True)

    def _revoke(self, record: dict[str, Any]) -> Verdict:
        login = record["object_name"]
        if self._given_since(record):
            return UNKNOWN, None
        if self.accounts.find_local(login) is not None:
            self.accounts.remove_from_group(login, self.group)
        if self.group in self.accounts.listed_in(login):
            return NOT_DONE, None
        user = self._user(record)
        return DONE, (lambda tx: want(tx, user, docker=False)) if user is not None else None

    def _restore(self, record: dict[str, Any]) -> Verdict:
        """Leave it to the next comparison of the memberships: it finds what there is now."""
        del record
        return NOT_DONE, None

    def _given_since(self, record: dict[str, Any]) -> bool:
        """Tell whether access was given again, on record, after an action whose outcome could not be written."""
        with self.database.read() as tx:
            later = audit.list_records(tx, object_=record["object_name"], after_seq=record["seq"], limit=1000)
        given = [r for r in later if r["object_name"] == record["object_name"] and r["stage"] == "outcome" and r["status"] == "ok"]
        return any(r["action"] == Action.ACCESS_GRANT or "access" in r["detail"].get("steps", ()) for r in given)
