"""Taking away one item of a reset: looked at again, recorded, brought into safety, removed; as often as need be."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Journal, Target
from hostadmin.core.clock import now, parse_timestamp, timestamp
from hostadmin.core.errors import HostadminError
from hostadmin.core.values import Actor, Kind
from hostadmin.objects.keepers import Data, Keeper
from hostadmin.store import objects, plans, resets
from hostadmin.store.database import Database, Tx
from hostadmin.store.plans import Step
from hostadmin.store.resets import Item, ItemState, Reset

RULE: Final = "reset"
REMOVE: Final = {
    Kind.CONTAINER: Action.CONTAINER_REMOVE,
    Kind.NETWORK: Action.NETWORK_REMOVE,
    Kind.VOLUME: Action.VOLUME_REMOVE,
}
OUTCOME: Final = {"done": "ok", "failed": "error"}
GOING: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a reset: who wants it, which, and whether what could not come back goes too."""

    actor: Actor
    reset: Reset
    force: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of an item just before it is touched. ``found``: as the engine shows it, ``None`` if it is gone."""

    found: Data | None
    item: Item | None
    known: objects.Object | None


class Removals:
    """Carries out the steps of a plan."""

    def __init__(self, database: Database, journal: Journal, keepers: Mapping[Kind, Keeper]) -> None:
        self.database = database
        self.journal = journal
        self.keepers = keepers

    def take(self, run: Run, step: Step) -> None:
        """Take one item away, if it still is what the plan shows; the step's status says what came of it."""
        try:
            seen = self._look(run.reset.plan_id, step)
            obstacle, status = self._obstacle(run, step, seen), "skipped"
            item = self._item(run, step, seen) if not obstacle else None
        except HostadminError as error:
            obstacle, status = error.message, "failed"
        if obstacle:
            self.database.write(lambda tx: plans.set_step(tx, run.reset.plan_id, step.ref, status, obstacle))
        else:
            self._remove(run, step, item, seen.found)

    def _look(self, plan_id: str, step: Step) -> Seen:
        kind, ref = Kind(step.facts["kind"]), step.facts["ref"]
        found = self.keepers[kind].look(ref)
        with self.database.read() as tx:
            item, known = resets.find_item(tx, plan_id, kind, ref), objects.find(tx, kind, ref)
        safe = item is not None and item.state is not ItemState.BEGUN
        if safe and found is not None and self.keepers[kind].mark(found) != step.facts["mark"] and kind is Kind.VOLUME:
            found = None  # ours has gone, and its name is another volume's by now
        return Seen(found, item, known)

    def _obstacle(self, run: Run, step: Step, seen: Seen) -> str:
        """Return why an item is left alone, empty if it is not."""
        facts = step.facts
        if seen.found is None:
            ours = seen.item.state is not ItemState.BEGUN if seen.item else step.status == "begun"
            return "" if ours else "it is gone already"
        mark = self.keepers[Kind(facts["kind"])].mark(seen.found)
        if mark != facts["mark"]:
            return "it was made anew after the plan" if facts["kind"] == Kind.VOLUME else f"it is called {mark!r} now"
        if seen.known is None or seen.known.owner_id != facts["owner_id"]:
            return "it belongs to somebody else now"
        if facts["note"] and run.reset.hours and not run.force:
            return f"it could not come back: {facts['note']}; it goes only if that is wanted (force)"
        return ""

    def _item(self, run: Run, step: Step, seen: Seen) -> Item | None:
        """Return the item as it is recorded, now or by an earlier run; ``None`` for what is not kept."""
        facts = step.facts
        if seen.item is not None or seen.found is None or seen.known is None or not run.reset.hours or facts["note"]:
            return seen.item
        kind = Kind(facts["kind"])
        kept = {**self.keepers[kind].keep(seen.found), "mark": facts["mark"], "detail": seen.known.detail}
        plan_id, owner = run.reset.plan_id, facts["owner_id"]
        return Item(plan_id, kind, facts["ref"], facts["name"], owner, seen.known.attribution, ItemState.BEGUN, kept, {})

    def _remove(self, run: Run, step: Step, item: Item | None, found: Data | None) -> None:
        plan_id, kind, ref = run.reset.plan_id, Kind(step.facts["kind"]), step.facts["ref"]

        def begin(tx: Tx) -> None:
            plans.set_step(tx, plan_id, step.ref, "begun")
            if item is not None and resets.find_item(tx, plan_id, kind, ref) is None:
                resets.add_item(tx, item)

        target = Target(kind, ref, step.facts["name"], step.facts["owner_id"])
        entry = Entry(run.actor, REMOVE[kind], target, RULE, {"plan": plan_id, "kept": item is not None})
        intent = self.journal.intent(entry, also=begin)
        status, message = "done", ""
        try:
            if found is not None:
                self._save_and_remove(plan_id, kind, item, found)
        except HostadminError as error:
            status, message = "failed", error.message
        except BaseException:
            with contextlib.suppress(HostadminError):
                self.journal.outcome(intent, "unknown")
            raise

        def end(tx: Tx) -> None:
            plans.set_step(tx, plan_id, step.ref, status, message)
            if status == "done":
                objects.mark_gone(tx, kind, [ref], seen_by=step.facts["seen"])  # a volume of that name may be a newer one's
                if item is not None:
                    resets.change_item(tx, item, state=ItemState.REMOVED)

        detail = {"plan": plan_id} | ({"message": message} if message else {})
        self.journal.outcome(intent, OUTCOME[status], also=end, detail=detail)

    def _save_and_remove(self, plan_id: str, kind: Kind, item: Item | None, found: Data) -> None:
        keeper = self.keepers[kind]
        if item is not None:
            saved = item.saved
            if not is_safe(item, found, now()):
                saved = {**keeper.save(plan_id, found), "at": timestamp()}
                self.database.write(lambda tx: resets.change_item(tx, item, state=ItemState.SAVED, saved=saved))
            keeper.tidy(plan_id, item.ref, saved)
        keeper.remove(found)


def is_safe(item: Item, found: Data, moment: datetime) -> bool:
    """Tell whether what an earlier run has saved of an item is what is to be kept (pure).

    Shortly after it the item may just be going, by that run's own request: to save it again would save what is left of
    it. Later somebody may have gone on with it.
    """
    state = found.get("State") or {}
    goes_on = state.get("Running") and not state.get("Paused")
    return item.state is ItemState.SAVED and not goes_on and moment - parse_timestamp(item.saved["at"]) < GOING
