"""Write records: an *intent* before a change, its *outcome* after it, one *event* for a refusal.

Law of this file (law 5 of the design): a change is carried out only after ``intent`` has returned;
``intent`` returns only after the record is durable; when it raises, nothing may be done.
The ledger rows that an outcome explains are written in the outcome's own transaction (``also``).
"""

import os
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from hostadmin.audit.actions import Action
from hostadmin.core.clock import timestamp
from hostadmin.core.errors import Unavailable
from hostadmin.core.ids import new_id
from hostadmin.core.values import Actor
from hostadmin.store import audit as rows
from hostadmin.store.database import Database, Tx

T = TypeVar("T")
RECORD_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Target:
    """What an action is about. ``id`` is a full engine id or an account id, ``owner`` an account id."""

    kind: str | None = None
    id: str | None = None
    name: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One action about to be recorded. ``detail`` must be redacted before it comes here.

    ``decision`` of an intent: ``allow``, or ``would-refuse`` in observe mode.
    """

    actor: Actor
    action: Action
    target: Target = field(default_factory=Target)
    rule: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    req: str = field(default_factory=new_id)
    decision: str = "allow"


@dataclass(frozen=True, slots=True)
class Intent:
    """A durable intent: what its outcome must refer to."""

    seq: int
    entry: Entry


def settled(future: "Future[T]", seconds: float) -> T:
    """Return what a queued record came to; one that is not written in time is taken out of the queue, and is never written.

    Raises:
        Unavailable: the database did not answer in time; nothing was recorded.

    """
    try:
        return future.result(seconds)
    except TimeoutError as error:
        if future.cancel():
            raise Unavailable("The database did not answer in time: nothing was done. Try again shortly.", key="store-busy") from error
        return future.result()  # it is being written at this moment: only its end tells


def process_start(pid: int | str = "self") -> str:
    """Return ``pid:starttime`` of a process, which tells two runs with the same pid apart."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return f"{os.getpid() if pid == 'self' else pid}:{fields[19]}"


class Journal:
    """Writes the audit of one process (``proc``: guard or service)."""

    def __init__(self, database: Database, proc: str) -> None:
        self.database = database
        self.proc = proc
        self.boot = process_start()

    def submit_intent(self, entry: Entry, *, also: Callable[[Tx], object] | None = None) -> "Future[Intent]":
        """Queue an intent and the ledger rows that it claims; the future is done when it is durable."""

        def work(tx: Tx) -> Intent:
            if also is not None:
                also(tx)
            seq = rows.append(tx, self._values(entry, stage="intent", decision=entry.decision))
            rows.open_intent(tx, seq, entry.req, self.proc, self.boot)
            return Intent(seq, entry)

        return self.database.submit(work)

    def submit_outcome(
        self,
        intent: Intent,
        status: str,
        *,
        target: Target | None = None,
        detail: dict[str, Any] | None = None,
        also: Callable[[Tx], object] | None = None,
        stage: str = "outcome",
        keep_open: bool = False,
    ) -> "Future[None]":
        """Queue an intent's outcome together with the ledger rows that it explains (``also``).

        With ``keep_open`` the intent stays open: its verdict is still to be found out (``submit_recovery``).
        """

        def work(tx: Tx) -> None:
            if not (rows.is_open(tx, intent.seq) if keep_open else rows.close_intent(tx, intent.seq)):
                return  # recovered already: the first verdict stays
            if also is not None:
                also(tx)
            values = self._values(intent.entry, stage=stage, decision=intent.entry.decision, target=target, detail=detail)
            rows.append(tx, {**values, "of_seq": intent.seq, "status": status})

        return self.database.submit(work)

    def submit_recovery(self, record: dict[str, Any], status: str, *, also: Callable[[Tx], object] | None = None) -> "Future[None]":
        """Queue the verdict on an intent that an earlier run left open: done, not-done or unknown."""

        def work(tx: Tx) -> None:
            if not rows.close_intent(tx, record["seq"]):
                return
            if also is not None:
                also(tx)
            kept = {k: v for k, v in record.items() if k != "seq"}
            more = {"stage": "recovered", "of_seq": record["seq"], "status": status, "ts": timestamp()}
            rows.append(tx, {**kept, **more})

        return self.database.submit(work)

    def close_left_open(self) -> int:
        """Close as ``unknown`` what an earlier run of this process left open; return how many.

        For actions that nobody can ask reality about any more; whoever can does so before this.
        """
        with self.database.read() as tx:
            left = rows.open_intents(tx, self.proc, not_boot=self.boot)
        for record in left:
            self.submit_recovery(record, "unknown").result(10)
        return len(left)

    def submit_event(self, entry: Entry, *, decision: str = "deny", status: str | None = None) -> "Future[int]":
        """Queue a single record: a refusal, or something that was noticed."""
        return self.database.submit(lambda tx: rows.append(tx, {**self._values(entry, stage="event", decision=decision), "status": status}))

    def intent(self, entry: Entry, *, also: Callable[[Tx], object] | None = None) -> Intent:
        """Record an intent and wait until it is durable.

        Raises:
            Unavailable, StorageFull: it could not be recorded; nothing may be done.

        """
        return settled(self.submit_intent(entry, also=also), RECORD_SECONDS)

    def outcome(self, intent: Intent, status: str, **more: Any) -> None:
        """Record an outcome (see ``submit_outcome``) and wait until it is durable."""
        settled(self.submit_outcome(intent, status, **more), RECORD_SECONDS)

    def event(self, entry: Entry, *, decision: str = "deny", status: str | None = None) -> int:
        """Record an event, wait until it is durable, return its ``seq``."""
        return settled(self.submit_event(entry, decision=decision, status=status), RECORD_SECONDS)

    def _values(
        self,
        entry: Entry,
        *,
        stage: str,
        decision: str,
        target: Target | None = None,
        detail: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        target = target or entry.target
        return {
            "req": entry.req,
            "of_seq": None,
            "stage": stage,
            "ts": timestamp(),
            "proc": self.proc,
            "actor": entry.actor.as_dict(),
            "actor_login": entry.actor.login,
            "actor_account": entry.actor.account,
            "action": entry.action,
            "object_kind": target.kind,
            "object_id": target.id,
            "object_name": target.name,
            "object_owner": target.owner,
            "decision": decision,
            "rule": entry.rule,
            "status": None,
            "detail": detail if detail is not None else entry.detail,
        }
