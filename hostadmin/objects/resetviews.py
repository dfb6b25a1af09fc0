"""What people and JSON see of a reset: whose what goes, how much, what comes back, and until when."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hostadmin.core.values import Kind
from hostadmin.store.plans import Plan, Step
from hostadmin.store.resets import Item, ItemState, Reset

KINDS: Final = (Kind.CONTAINER, Kind.NETWORK, Kind.VOLUME)
AFTERWARDS: Final = (ItemState.RESTORING, ItemState.RESTORED, ItemState.PURGED)


def view(plan: Plan, reset: Reset, items: Sequence[Item]) -> dict[str, Any]:
    """Return a reset: its items by owner, kind and name, counts per account, and sums.

    ``size`` is in bytes, of what is known. An item's ``status`` is its step's (planned, begun, done, skipped, failed)
    until it is about to come back, then its own (restoring, restored, purged; removed, with the reason why it is not back).
    """
    known = {(item.kind, item.ref): item for item in items}
    shown = [_item(step, reset, known.get((Kind(step.facts["kind"]), step.facts["ref"]))) for step in plan.steps]
    shown.sort(key=lambda i: (i["owner"], i["kind"], i["name"]))
    return {
        "id": plan.id,
        "created_at": plan.created_at,
        "applied_at": plan.applied_at,
        "state": str(reset.state),
        "hours": reset.hours,
        "until": reset.until,
        "accounts": _accounts(plan.steps),
        "items": shown,
        "size": sum(i["size"] or 0 for i in shown),
        "counts": dict(Counter(i["status"] for i in shown)),
    }


def _item(step: Step, reset: Reset, item: Item | None) -> dict[str, Any]:
    facts = step.facts
    status, message = step.status, step.message
    if item is not None and (item.state in AFTERWARDS or item.message):
        status, message = str(item.state), item.message
    note = "the setting reset_hours is 0: nothing is kept" if not reset.hours else facts["note"]
    return {
        "kind": facts["kind"],
        "name": facts["name"],
        "id": facts["ref"],
        "owner": facts["owner"],
        "about": facts["about"],
        "size": facts["size"],
        "recoverable": not note,
        "note": note,
        "status": status,
        "message": message,
    }


def _accounts(steps: Sequence[Step]) -> dict[str, dict[str, int]]:
    """Return login → how many of each kind."""
    counts: dict[str, dict[str, int]] = {}
    for step in steps:
        mine = counts.setdefault(step.facts["owner"], {f"{kind}s": 0 for kind in KINDS})
        mine[f"{step.facts['kind']}s"] += 1
    return dict(sorted(counts.items()))


def summary(plan: Plan, reset: Reset, items: Sequence[Item]) -> dict[str, Any]:
    """Return one reset in a list of them."""
    shown: Mapping[str, Any] = view(plan, reset, items)
    return {
        "id": plan.id,
        "cohort_id": plan.detail.get("cohort_id"),
        "begun_at": reset.begun_at,
        "until": reset.until,
        "state": str(reset.state),
        "accounts": list(shown["accounts"]),
        "counts": shown["counts"],
        "recoverable": sum(i.state in (ItemState.SAVED, ItemState.REMOVED, ItemState.RESTORING) for i in items),
    }
