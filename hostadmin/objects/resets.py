"""Resets: everything that a set of accounts has is taken away at once, and can come back for a while.

Containers, networks and volumes are planned first; exactly the plan is carried out, each item journalled before it is
touched and safe before it goes (``containersnapshots.py``, ``snapshots.py``). Running a plan that was cut off finishes it; the next
start does so by itself. Undoing brings back volumes, networks, containers, each as far as its name, subnet and ports are free; what is
not stays recoverable.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import RECORD_SECONDS, Entry, Intent, Journal, Target
from hostadmin.core.clock import now, timestamp
from hostadmin.core.errors import Conflict, HostadminError, NotFound
from hostadmin.core.values import Actor, Kind
from hostadmin.engine.client import Engine
from hostadmin.objects.removals import RULE, Removals, Run
from hostadmin.objects.resetplans import plan_steps
from hostadmin.objects.resetviews import summary, view
from hostadmin.objects.returns import Returns
from hostadmin.objects.snapshots import make_keepers
from hostadmin.store import audit, facts, plans, resets
from hostadmin.store.database import Database, Tx
from hostadmin.store.plans import Plan
from hostadmin.store.resets import Reset, ResetState
from hostadmin.store.users import User

LOG: Final = logging.getLogger("hostadmin.objects")
KIND: Final = "cohort.reset"
CUT_OFF_FACT: Final = "reset.cut-off."  # + plan id → the action that a kill has cut off, its record's number, and force
AT_ONCE: Final = {Kind.CONTAINER: 8, Kind.VOLUME: 2, Kind.NETWORK: 4}
"""In this order: what is mounted or connected goes first. How many of each at the same time."""
BUSY: Final = "reset-busy"
OPEN_STEPS: Final = ("planned", "begun", "failed")
RUNNABLE: Final = (ResetState.PLANNED, ResetState.RUNNING)
UNDOABLE: Final = (ResetState.RUNNING, ResetState.DONE, ResetState.UNDOING)


class Resets:
    """Plans, carries out, undoes and finally forgets resets.

    Args:
        database: the ledger.
        journal: the service's.
        engine: ours.
        directory: where the contents of volumes are kept; root's alone.
        hours: how long a reset made from now on can be undone; 0: not at all.
        clock: returns the time.

    """

    def __init__(
        self,
        database: Database,
        journal: Journal,
        engine: Engine,
        *,
        directory: Path,
        hours: int,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self.database = database
        self.journal = journal
        self.engine = engine
        self.hours = hours
        self.clock = clock
        self.keepers = make_keepers(engine, database, directory)
        self.removals = Removals(database, journal, self.keepers)
        self.returns = Returns(database, journal, engine, self.keepers)
        self._lock = threading.Lock()

    # -- looking ----------------------------------------------------------------------------

    def plan(self, users: Sequence[User], actor: Actor, *, cohort_id: str | None = None) -> dict[str, Any]:
        """Store and return a plan: what the accounts have, how much it is, and what could not come back.

        Args:
            users: the accounts.
            actor: who asks.
            cohort_id: the cohort whose users they are, if they are one's.

        Raises:
            Unavailable: the engine does not answer.

        """
        del actor  # a plan changes nothing: nothing is recorded of it
        steps = plan_steps(self.database, self.engine, self.keepers, users)

        def work(tx: Tx) -> Plan:
            plan = plans.store(tx, KIND, steps, {"cohort_id": cohort_id})
            resets.add(tx, plan.id, self.hours)
            return plan

        return self.show(self.database.write(work).id)

    def show(self, plan_id: str) -> dict[str, Any]:
        """Return a reset as it stands now.

        Raises:
            NotFound: there is none with that id.

        """
        with self.database.read() as tx:
            plan, reset = self._get(tx, plan_id)
            return view(plan, reset, resets.items(tx, plan_id))

    def cohort_of(self, plan_id: str) -> str | None:
        """Return the id of the cohort that a plan was made for.

        Raises:
            NotFound: there is none with that id.

        """
        with self.database.read() as tx:
            found: str | None = self._get(tx, plan_id)[0].detail.get("cohort_id")
        return found

    def list(self) -> Sequence[dict[str, Any]]:
        """Return all resets that have been begun, newest first."""
        with self.database.read() as tx:
            return [summary(self._get(tx, r.plan_id)[0], r, resets.items(tx, r.plan_id)) for r in resets.begun(tx)]

    @staticmethod
    def _get(tx: Tx, plan_id: str) -> tuple[Plan, Reset]:
        plan, reset = plans.get(tx, plan_id), resets.find(tx, plan_id)
        if plan is None or reset is None:
            raise NotFound(f"There is no reset {plan_id!r}; see `hostadmin cohort reset`.", key="plan-not-found")
        return plan, reset

    # -- taking away ------------------------------------------------------------------------

    def apply(self, actor: Actor, plan_id: str, *, force: bool = False) -> "dict[str, Any]":
        """Carry out a stored plan: exactly its items, each looked at again first. ``force``: what cannot come back goes too.

        Cut off anywhere, it is finished by the next call; what failed is tried again.

        Raises:
            NotFound: there is no such plan.
            Conflict: it has been carried out or undone, or another reset is under way.

        """
        with self._alone():
            with self.database.read() as tx:
                plan, reset = self._get(tx, plan_id)
            if reset.state not in RUNNABLE:
                raise Conflict(f"The reset {plan_id} is {reset.state} already; make a new plan.", key="plan-applied")
            detail = {"steps": len(plan.steps), "force": force, **self._continues(plan_id)}
            entry = Entry(actor, Action.RESET_RUN, Target("plan", plan_id, KIND), RULE, detail)
            with self._recorded(entry, lambda tx: self._extend(tx, reset, ResetState.RUNNING)) as intent:
                self._take_all(Run(actor, reset, force), plan)
                counts = self.show(plan_id)["counts"]
                self.journal.outcome(intent, "ok", also=lambda tx: self._finish(tx, reset), detail=counts)
        return self.show(plan_id)

    def _take_all(self, run: Run, plan: Plan) -> None:
        for kind, at_once in AT_ONCE.items():
            steps = [s for s in plan.steps if s.facts["kind"] == kind and s.status in OPEN_STEPS]
            with ThreadPoolExecutor(at_once, "reset") as pool:
                for work in [pool.submit(self.removals.take, run, step) for step in steps]:
                    work.result()

    def _extend(self, tx: Tx, reset: Reset, state: ResetState) -> None:
        moment = self.clock()
        until = timestamp(moment + timedelta(hours=reset.hours)) if reset.hours else None
        resets.change(tx, reset.plan_id, state=state, until=until, begun_at=reset.begun_at or timestamp(moment))

    def _finish(self, tx: Tx, reset: Reset) -> None:
        plan, reset = self._get(tx, reset.plan_id)
        if any(s.status in OPEN_STEPS for s in plan.steps):
            return
        self._extend(tx, reset, ResetState.DONE if reset.hours else ResetState.PURGED)
        plans.set_applied(tx, reset.plan_id)

    # -- bringing back, and forgetting ------------------------------------------------------

    def undo(self, actor: Actor, plan_id: str) -> "dict[str, Any]":
        """Bring back what a reset has taken away; what cannot come now is told and can be tried again.

        Raises:
            NotFound: there is no such reset.
            Conflict: nothing of it can come back, or another reset is under way.

        """
        with self._alone():
            with self.database.read() as tx:
                _, reset = self._get(tx, plan_id)
            if reset.state not in UNDOABLE or not reset.hours:
                raise Conflict(f"The reset {plan_id} is {reset.state}: there is nothing that could come back.", key="reset-over")
            entry = Entry(actor, Action.RESET_UNDO, Target("plan", plan_id, KIND), RULE, self._continues(plan_id))
            with self._recorded(entry, lambda tx: resets.change(tx, plan_id, state=ResetState.UNDOING)) as intent:
                left = self.returns.bring_back(actor, plan_id)
                state = ResetState.UNDOING if left else ResetState.UNDONE
                self.journal.outcome(
                    intent, "ok", also=lambda tx: resets.change(tx, plan_id, state=state), detail={"plan": plan_id, "left": left}
                )
        return self.show(plan_id)

    def purge(self, moment: datetime) -> int:
        """Let go for good what nobody has brought back in time; return how many items that were, 0 for nothing to do."""
        if not self._lock.acquire(blocking=False):
            return 0  # the next time
        try:
            with self.database.read() as tx:
                cut = facts.all_under(tx, CUT_OFF_FACT)
                due = [reset for reset in resets.over(tx, timestamp(moment)) if reset.plan_id not in cut]
            return sum(self.returns.forget(reset.plan_id) for reset in due)
        finally:
            self._lock.release()

    def end_grace(self, tx: Tx, cohort_id: str) -> None:
        """Let the grace time of all resets of a cohort be over: those whose things it keeps are gone."""
        for reset in resets.begun(tx):
            plan = plans.get(tx, reset.plan_id)
            if plan is not None and plan.detail.get("cohort_id") == cohort_id:
                resets.change(tx, reset.plan_id, until=timestamp(self.clock()))

    # -- after a kill -----------------------------------------------------------------------

    def recover(self) -> int:
        """Close what an earlier run of the service was cut off in, and remember to finish it; return how many that were.

        It was asked for and begun, so it is finished, not taken back: ``settle``, once the engine answers.
        """
        with self.database.read() as tx:
            left = audit.open_intents(tx, self.journal.proc, not_boot=self.journal.boot)
        cut = [record for record in left if record["action"] in (Action.RESET_RUN, Action.RESET_UNDO)]
        for record in cut:
            LOG.warning("resets: %s of %s was cut off; it goes on as soon as the engine answers", record["action"], record["object_id"])
            self.journal.submit_recovery(record, "not-done", also=partial(_remember, record=record)).result(RECORD_SECONDS)
        return len(cut)

    def settle(self, actor: Actor) -> Sequence[str]:
        """Finish the resets, and the undoing of resets, that a kill has cut off; return their plans.

        While the engine does not answer, or another reset is under way, that is left to the next time.
        """
        with self.database.read() as tx:
            cut = sorted(facts.all_under(tx, CUT_OFF_FACT).items(), key=lambda pair: int(pair[1]["seq"]))
        if not cut or not self.engine.ping():
            return []
        return [plan_id for plan_id, what in cut if self._finish_cut(actor, plan_id, what)]

    def _finish_cut(self, actor: Actor, plan_id: str, what: dict[str, Any]) -> bool:
        try:
            if what["action"] == Action.RESET_UNDO:
                self.undo(actor, plan_id)
            else:
                self.apply(actor, plan_id, force=what["force"])
        except (Conflict, NotFound) as error:
            if error.key != BUSY:
                LOG.warning("resets: what was cut off is left as it is: %s", error.message)
                self.database.write(lambda tx: facts.put(tx, f"{CUT_OFF_FACT}{plan_id}", None))
            return False
        return True

    def _continues(self, plan_id: str) -> dict[str, Any]:
        """Return what a run says of the record of an earlier one that was cut off."""
        with self.database.read() as tx:
            cut = facts.get(tx, f"{CUT_OFF_FACT}{plan_id}")
        return {"continues": cut["seq"]} if cut else {}

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._lock.acquire(blocking=False):
            raise Conflict("Another reset is under way now; try again when it is done.", key=BUSY)
        try:
            yield
        finally:
            self._lock.release()

    @contextlib.contextmanager
    def _recorded(self, entry: Entry, also: Callable[[Tx], object]) -> Iterator[Intent]:
        """Record a whole run; one that ends by an error has the outcome ``error`` and can be run again.

        From its intent on it stands for an earlier one that was cut off.
        """

        def begin(tx: Tx) -> None:
            also(tx)
            facts.put(tx, f"{CUT_OFF_FACT}{entry.target.id}", None)

        intent = self.journal.intent(entry, also=begin)
        try:
            yield intent
        except Exception as error:  # whatever it was, the intent gets its outcome
            with contextlib.suppress(HostadminError, TimeoutError):
                self.journal.outcome(intent, "error", detail={"message": getattr(error, "message", type(error).__name__)})
            raise


def _remember(tx: Tx, record: dict[str, Any]) -> None:
    """Write that a run was cut off."""
    what = {"action": record["action"], "seq": record["seq"], "force": bool(record["detail"].get("force"))}
    facts.put(tx, f"{CUT_OFF_FACT}{record['object_id']}", what)
