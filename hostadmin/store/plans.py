"""Stored plans and their steps: what is carried out is exactly what was shown."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update

from hostadmin.core.clock import timestamp
from hostadmin.core.ids import new_id
from hostadmin.store.database import Tx
from hostadmin.store.tables import plan_steps, plans


@dataclass(frozen=True, slots=True)
class Step:
    """One step: ``action`` on ``ref``, the facts it relies on, and how far it has got."""

    action: str
    ref: str
    facts: dict[str, Any]
    status: str = "planned"
    message: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A stored plan."""

    id: str
    kind: str
    created_at: str
    applied_at: str | None
    steps: tuple[Step, ...]


def store(tx: Tx, kind: str, steps: list[Step]) -> Plan:
    """Store a plan and return it with its id."""
    plan = Plan(new_id(), kind, timestamp(), None, tuple(steps))
    tx.execute(insert(plans).values(id=plan.id, kind=kind, created_at=plan.created_at, applied_at=None))
    for position, step in enumerate(steps):
        tx.execute(
            insert(plan_steps).values(
                plan_id=plan.id, position=position, action=step.action, ref=step.ref, facts=step.facts, status=step.status, message=""
            )
        )
    return plan


def get(tx: Tx, plan_id: str) -> Plan | None:
    """Return a stored plan with its steps in order."""
    row = tx.execute(select(plans).where(plans.c.id == plan_id)).first()
    if row is None:
        return None
    steps = tx.execute(select(plan_steps).where(plan_steps.c.plan_id == plan_id).order_by(plan_steps.c.position))
    return Plan(row.id, row.kind, row.created_at, row.applied_at, tuple(Step(s.action, s.ref, s.facts, s.status, s.message) for s in steps))


def set_step(tx: Tx, plan_id: str, ref: str, status: str, message: str = "") -> None:
    """Record how far a step has got: begun, done, skipped, failed."""
    query = update(plan_steps).where(plan_steps.c.plan_id == plan_id, plan_steps.c.ref == ref)
    tx.execute(query.values(status=status, message=message))


def set_applied(tx: Tx, plan_id: str) -> None:
    """Record that a plan has been carried out to its end."""
    tx.execute(update(plans).where(plans.c.id == plan_id).values(applied_at=timestamp()))
