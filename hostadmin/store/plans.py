"""Stored plans and their steps: what is carried out is exactly what was shown."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, insert, select, update

from hostadmin.core.clock import timestamp
from hostadmin.core.ids import new_id
from hostadmin.store.database import Tx
from hostadmin.store.tables import plan_steps, plans

BEGUN: Final = ("begun", "done", "failed", "undoing")
# Written twice for every step: built once, filled by parameters.
_SET_STEPS: Final = (
    update(plan_steps)
    .where(plan_steps.c.plan_id == bindparam("of_plan"), plan_steps.c.ref == bindparam("of_ref"))
    .values(status=bindparam("new_status"), message=bindparam("new_message"))
)
_SET_STEP: Final = _SET_STEPS.where(plan_steps.c.action == bindparam("of_action"))


@dataclass(frozen=True, slots=True)
class Step:
    """One step: ``action`` on ``ref``, the facts it relies on, and how far it has got."""

    action: str
    ref: str
    facts: dict[str, Any]
    status: str = "planned"
    message: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """A stored plan without its steps. ``counts``: action and status → how many of them."""

    id: str
    kind: str
    created_at: str
    applied_at: str | None
    detail: dict[str, Any]
    counts: Mapping[tuple[str, str], int]

    @property
    def begun(self) -> bool:
        """Whether anything of it has been carried out, or may have been: what failed may have got half-way."""
        return any(status in BEGUN for _, status in self.counts)


@dataclass(frozen=True, slots=True)
class Plan:
    """A stored plan."""

    id: str
    kind: str
    created_at: str
    applied_at: str | None
    steps: tuple[Step, ...]
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def head(self) -> Head:
        """The plan without its steps."""
        counts = Counter((step.action, step.status) for step in self.steps)
        return Head(self.id, self.kind, self.created_at, self.applied_at, self.detail, counts)


def store(tx: Tx, kind: str, steps: Sequence[Step], detail: dict[str, Any] | None = None) -> Plan:
    """Store a plan, with what is true of all of it, and return it with its id."""
    plan = Plan(new_id(), kind, timestamp(), None, tuple(steps), detail or {})
    tx.execute(insert(plans).values(id=plan.id, kind=kind, created_at=plan.created_at, applied_at=None, detail=plan.detail))
    rows = [
        {"plan_id": plan.id, "position": n, "action": s.action, "ref": s.ref, "facts": s.facts, "status": s.status, "message": ""}
        for n, s in enumerate(steps)
    ]
    if rows:
        tx.execute(insert(plan_steps), rows)
    return plan


def get(tx: Tx, plan_id: str) -> Plan | None:
    """Return a stored plan with its steps in order."""
    row = tx.execute(select(plans).where(plans.c.id == plan_id)).first()
    if row is None:
        return None
    steps = tx.execute(select(plan_steps).where(plan_steps.c.plan_id == plan_id).order_by(plan_steps.c.position))
    found = tuple(Step(s.action, s.ref, s.facts, s.status, s.message) for s in steps)
    return Plan(row.id, row.kind, row.created_at, row.applied_at, found, row.detail)


def heads(tx: Tx, kind: str, *, cohort: str | None = None, limit: int | None = 100) -> Sequence[Head]:
    """Return plans of a kind without their steps, newest first.

    Args:
        tx: a transaction.
        kind: of which kind.
        cohort: only those whose detail names it; ``None``: whatever it names.
        limit: how many at most; ``None``: all.

    """
    query = select(plans).where(plans.c.kind == kind).order_by(plans.c.id.desc()).limit(limit)
    if cohort is not None:
        query = query.where(plans.c.detail["cohort"].as_string() == cohort)
    rows = tx.execute(query).all()
    counted = (plan_steps.c.plan_id, plan_steps.c.action, plan_steps.c.status)
    steps = select(*counted, func.count().label("steps")).where(plan_steps.c.plan_id.in_([row.id for row in rows])).group_by(*counted)
    counts: dict[str, dict[tuple[str, str], int]] = {}
    for row in tx.execute(steps):
        counts.setdefault(row.plan_id, {})[row.action, row.status] = row.steps
    return [Head(row.id, row.kind, row.created_at, row.applied_at, row.detail, counts.get(row.id, {})) for row in rows]


def drop_unused(tx: Tx, kind: str, before: str) -> Sequence[str]:
    """Delete the plans of a kind that were made before that time and of which nothing was ever begun; return their ids."""
    touched = select(plan_steps.c.plan_id).where(plan_steps.c.plan_id == plans.c.id, plan_steps.c.status != "planned").exists()
    old = select(plans.c.id).where(plans.c.kind == kind, plans.c.created_at < before, plans.c.applied_at.is_(None), ~touched)
    found = tx.execute(old).scalars().all()
    tx.execute(delete(plan_steps).where(plan_steps.c.plan_id.in_(found)))
    tx.execute(delete(plans).where(plans.c.id.in_(found)))
    return found


def set_step(tx: Tx, plan_id: str, ref: str, status: str, message: str = "", *, action: str | None = None) -> None:
    """Record how far a step has got: begun, done, skipped, failed, undoing, undone. ``action``: which, where a ref has several."""
    of = {"of_plan": plan_id, "of_ref": ref, "new_status": status, "new_message": message}
    if action is None:
        tx.execute(_SET_STEPS, of)
    else:
        tx.execute(_SET_STEP, {**of, "of_action": action})


def set_applied(tx: Tx, plan_id: str) -> None:
    """Record that a plan has been carried out to its end."""
    tx.execute(update(plans).where(plans.c.id == plan_id).values(applied_at=timestamp()))


def set_undone(tx: Tx, plan_id: str) -> None:
    """Record that all that a plan has done was taken back."""
    plan = get(tx, plan_id)
    detail = {**(plan.detail if plan else {}), "undone_at": timestamp()}
    tx.execute(update(plans).where(plans.c.id == plan_id).values(detail=detail))
