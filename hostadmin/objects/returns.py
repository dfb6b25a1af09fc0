"""Bringing back the items of a reset, and forgetting them when their time is over."""

import contextlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Intent, Journal, Target
from hostadmin.core.clock import timestamp
from hostadmin.core.errors import Conflict, HostadminError
from hostadmin.core.ids import new_id
from hostadmin.core.values import Actor, Kind, UserState, system_actor
from hostadmin.engine.client import Engine
from hostadmin.objects.keepers import Keeper
from hostadmin.objects.kept import in_order, own_labels
from hostadmin.objects.removals import RULE
from hostadmin.store import objects, resets, users
from hostadmin.store.database import Database, Tx
from hostadmin.store.resets import Item, ItemState, ResetState

CREATE: Final = {
    Kind.CONTAINER: Action.CONTAINER_CREATE,
    Kind.NETWORK: Action.NETWORK_CREATE,
    Kind.VOLUME: Action.VOLUME_CREATE,
}
AT_ONCE: Final = 4  # accounts; the things of one come back one after the other
UNSAFE: Final = "it was gone before its data was safe"


class Returns:
    """Brings back, and forgets."""

    def __init__(self, database: Database, journal: Journal, engine: Engine, keepers: Mapping[Kind, Keeper]) -> None:
        self.database = database
        self.journal = journal
        self.engine = engine
        self.keepers = keepers

    # -- bringing back ----------------------------------------------------------------------

    def bring_back(self, actor: Actor, plan_id: str) -> int:
        """Bring back every item of a reset that is not back; return how many could not come now."""
        with self.database.read() as tx:
            items = resets.items(tx, plan_id)
        accounts: dict[str, list[Item]] = {}
        for item in items:
            accounts.setdefault(item.owner_id, []).append(item)
        with ThreadPoolExecutor(AT_ONCE, "undo") as pool:
            for work in [pool.submit(self._bring_back_all, actor, mine) for mine in accounts.values()]:
                work.result()
        with self.database.read() as tx:
            return sum(i.state not in (ItemState.RESTORED, ItemState.PURGED) for i in resets.items(tx, plan_id))

    def _bring_back_all(self, actor: Actor, items: Sequence[Item]) -> None:
        """Bring back what one account had: volumes, networks, then containers, each after those that it joins."""
        containers = {i.ref: i for i in items if i.kind is Kind.CONTAINER}
        ordered = [i for kind in (Kind.VOLUME, Kind.NETWORK) for i in items if i.kind is kind]
        ordered += [containers[ref] for ref in in_order([(i.ref, i.kept) for i in containers.values() if i.kept])]
        for item in ordered:
            if item.state not in (ItemState.RESTORED, ItemState.PURGED):
                self._bring_back(actor, item)

    def _require_owner(self, item: Item) -> None:
        """Refuse to bring anything back for an account without access: of one that is gone, nobody would take it away again.

        Raises:
            Conflict: it is.

        """
        with self.database.read() as tx:
            owner = users.find(tx, item.owner_id)
        if owner is None or owner.state is not UserState.ACTIVE:
            raise Conflict(f"its account is {owner.state if owner else 'unknown'}: nothing of it may run", key="owner-closed")

    def _bring_back(self, actor: Actor, item: Item) -> None:
        try:
            self._require_owner(item)
            if item.state in (ItemState.BEGUN, ItemState.SAVED) and self._is_still_there(item):
                self.keepers[item.kind].revive(item)
                self._settle(item, state=ItemState.RESTORED, restored_ref=item.ref, message="")
            elif item.state is ItemState.BEGUN:
                self._settle(item, state=ItemState.PURGED, message=UNSAFE)
            else:
                self._make_anew(actor, item)
        except HostadminError as error:
            self._settle(item, message=error.message)

    def _settle(self, item: Item, **values: Any) -> None:
        self.database.write(lambda tx: resets.change_item(tx, item, **values))

    def _is_still_there(self, item: Item) -> bool:
        found = self.keepers[item.kind].look(item.ref)
        return found is not None and self.keepers[item.kind].mark(found) == item.kept["mark"]

    def _make_anew(self, actor: Actor, item: Item) -> None:
        """Make one item anew, recorded; what could only be made in part is taken away again.

        Raises:
            HostadminError: it is not back; with the reason.

        """
        keeper = self.keepers[item.kind]
        made = keeper.find_made(item)
        req = item.req or new_id()
        item = Item(**{**{name: getattr(item, name) for name in Item.__slots__}, "req": req})
        target = Target(item.kind, item.ref if item.kind is Kind.VOLUME else None, item.name, item.owner_id)
        entry = Entry(actor, CREATE[item.kind], target, RULE, {"plan": item.plan_id, "was": item.ref}, req=req)
        intent = self.journal.intent(entry, also=lambda tx: self._claim(tx, item))
        claimed = timestamp()
        try:
            ref = keeper.restore(item, own_labels(item.owner_id, req), self._renewed(item.plan_id), made)
            self._require_owner(item)  # a lock or a removal may have begun meanwhile, and not have seen it
        except HostadminError as error:
            self._give_up(item, intent, error, claimed)
            raise
        except BaseException:
            with contextlib.suppress(HostadminError):
                self.journal.outcome(intent, "unknown")
            raise
        about = Target(item.kind, ref, item.name, item.owner_id)
        self.journal.outcome(intent, "ok", target=about, also=lambda tx: self._own(tx, item, ref))

    def _claim(self, tx: Tx, item: Item) -> None:
        """Say that an item is coming back. A volume's name is its owner's from now on: the guard gives it to nobody else."""
        if item.kind is Kind.VOLUME:
            known = objects.find(tx, Kind.VOLUME, item.name)
            if known is not None and (item.state is not ItemState.RESTORING or known.owner_id != item.owner_id):
                raise Conflict("the name is taken by a newer volume", key="name-taken")
            self._put(tx, item, item.name)
        resets.change_item(tx, item, state=ItemState.RESTORING, req=item.req)

    def _own(self, tx: Tx, item: Item, ref: str) -> None:
        self._put(tx, item, ref)
        resets.change_item(tx, item, state=ItemState.RESTORED, restored_ref=ref, message="")

    @staticmethod
    def _put(tx: Tx, item: Item, ref: str) -> None:
        detail = item.kept["detail"]
        objects.put(tx, item.kind, ref, name=item.name, owner_id=item.owner_id, attribution=item.attribution, detail=detail)

    def _give_up(self, item: Item, intent: Intent, error: HostadminError, claimed: str) -> None:
        """Take away what was made in part; if even that fails it stays ``restoring``, and the next attempt goes on from there."""
        state, removed = ItemState.REMOVED, False
        try:
            made = self.keepers[item.kind].find_made(item)
            if made is not None:
                self.keepers[item.kind].remove(made)
            removed = True
        except Conflict:  # it is something else that has the name
            removed = True
        except HostadminError:
            state = ItemState.RESTORING

        def rows(tx: Tx) -> None:
            resets.change_item(tx, item, state=state, message=error.message)
            if item.kind is Kind.VOLUME and removed:
                objects.mark_gone(tx, Kind.VOLUME, [item.name], seen_by=claimed)

        self.journal.outcome(intent, "error", detail={"plan": item.plan_id, "message": error.message}, also=rows)

    def _renewed(self, plan_id: str) -> dict[str, str]:
        """Return id before the reset → id now; empty for what is not back."""
        with self.database.read() as tx:
            return {i.ref: i.restored_ref or "" for i in resets.items(tx, plan_id)}

    # -- forgetting -------------------------------------------------------------------------

    def forget(self, plan_id: str) -> int:
        """Let the data of a reset go for good, but for snapshots that containers stand on; return how many items that were."""
        with self.database.read() as tx:
            items = [i for i in resets.items(tx, plan_id) if i.state is not ItemState.PURGED]
        try:
            used = {c["ImageID"] for c in self.engine.list_containers()} if any(i.kind is Kind.CONTAINER for i in items) else set()
        except HostadminError:
            return 0  # the next time
        over = [i for i in items if i.saved.get("image", "") not in used]
        if not over and items:
            return 0
        entry = Entry(system_actor("scheduler"), Action.RESET_PURGE, Target("plan", plan_id), RULE, {"items": len(over)})
        intent = self.journal.intent(entry)
        problems = [problem for item in over if (problem := self._forget(item))]
        whole = len(over) == len(items) and not problems

        def rows(tx: Tx) -> None:
            if whole:
                resets.change(tx, plan_id, state=ResetState.PURGED)

        self.journal.outcome(intent, "error" if problems else "ok", also=rows, detail={"items": len(over), "problems": problems[:10]})
        return len(over) - len(problems)

    def _forget(self, item: Item) -> str:
        """Let one item's data go; return why that could not be."""
        try:
            self.keepers[item.kind].tidy(item.plan_id, item.ref, {})
        except HostadminError as error:
            return f"{item.kind} {item.name}: {error.message}"
        self._settle(item, state=ItemState.PURGED, kept={}, saved={})
        return ""
