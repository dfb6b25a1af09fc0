"""Resets and their items: what was taken away, where its data is kept, what has come back."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from hostadmin.core.values import Attribution, Kind
from hostadmin.store.database import Tx
from hostadmin.store.tables import reset_items, resets


class ResetState(StrEnum):
    """How far a reset has got."""

    PLANNED = "planned"
    RUNNING = "running"  # begun; running it again finishes it
    DONE = "done"
    UNDOING = "undoing"  # not everything is back; undoing again tries the rest
    UNDONE = "undone"
    PURGED = "purged"  # nothing can be brought back any more


class ItemState(StrEnum):
    """How far one item of a reset has got."""

    BEGUN = "begun"  # still there; its data is not safe yet
    SAVED = "saved"  # its data is safe; it may still be there
    REMOVED = "removed"
    RESTORING = "restoring"  # it may be there again in part
    RESTORED = "restored"
    PURGED = "purged"  # its data is gone


@dataclass(frozen=True, slots=True)
class Reset:
    """One reset: the plan it carries out, for how many hours it can be undone, and until when (RFC 3339)."""

    plan_id: str
    hours: int
    state: ResetState
    begun_at: str | None
    until: str | None


@dataclass(frozen=True, slots=True)
class Item:
    """One thing of a reset. ``kept``: its configuration; ``saved``: where its data is."""

    plan_id: str
    kind: Kind
    ref: str
    name: str
    owner_id: str
    attribution: Attribution
    state: ItemState
    kept: dict[str, Any]
    saved: dict[str, Any]
    req: str | None = None
    restored_ref: str | None = None
    message: str = ""


def add(tx: Tx, plan_id: str, hours: int) -> None:
    """Record a planned reset."""
    tx.execute(insert(resets).values(plan_id=plan_id, hours=hours, state=ResetState.PLANNED))


def find(tx: Tx, plan_id: str) -> Reset | None:
    """Return the reset of a plan."""
    row = tx.execute(select(resets).where(resets.c.plan_id == plan_id)).first()
    return _reset(row) if row else None


def begun(tx: Tx) -> list[Reset]:
    """Return all resets that have been begun, newest first."""
    query = select(resets).where(resets.c.begun_at.is_not(None)).order_by(resets.c.begun_at.desc())
    return [_reset(row) for row in tx.execute(query)]


def over(tx: Tx, moment: str) -> list[Reset]:
    """Return the resets whose grace time is over at ``moment`` and that still keep something."""
    return [r for r in begun(tx) if r.state is not ResetState.PURGED and r.until is not None and r.until <= moment]


def change(tx: Tx, plan_id: str, **values: Any) -> None:
    """Set columns of a reset."""
    tx.execute(update(resets).where(resets.c.plan_id == plan_id).values(**values))


def add_item(tx: Tx, item: Item) -> None:
    """Record an item."""
    tx.execute(insert(reset_items).values({name: getattr(item, name) for name in Item.__slots__}))


def find_item(tx: Tx, plan_id: str, kind: Kind, ref: str) -> Item | None:
    """Return one item."""
    row = tx.execute(select(reset_items).where(*_is(plan_id, kind, ref))).first()
    return _item(row) if row else None


def items(tx: Tx, plan_id: str) -> list[Item]:
    """Return the items of a reset."""
    query = select(reset_items).where(reset_items.c.plan_id == plan_id).order_by(reset_items.c.name, reset_items.c.ref)
    return [_item(row) for row in tx.execute(query)]


def change_item(tx: Tx, item: Item, **values: Any) -> None:
    """Set columns of an item."""
    tx.execute(update(reset_items).where(*_is(item.plan_id, item.kind, item.ref)).values(**values))


def is_coming_back(tx: Tx, kind: Kind, name: str, req: str) -> bool:
    """Tell whether a request is just bringing back an object of that name: it is nobody's until that is done."""
    c = reset_items.c
    query = select(func.count()).where(c.state == ItemState.RESTORING, c.kind == kind, c.name == name, c.req == req)
    return bool(tx.execute(query).scalar_one())


def _is(plan_id: str, kind: Kind, ref: str) -> tuple[Any, ...]:
    return reset_items.c.plan_id == plan_id, reset_items.c.kind == kind, reset_items.c.ref == ref


def _reset(row: Row[Any]) -> Reset:
    values = dict(row._mapping)
    return Reset(**{**values, "state": ResetState(values["state"])})


def _item(row: Row[Any]) -> Item:
    values = dict(row._mapping)
    typed = {"kind": Kind(values["kind"]), "attribution": Attribution(values["attribution"]), "state": ItemState(values["state"])}
    return Item(**{**values, **typed})
