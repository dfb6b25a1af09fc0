"""Cohorts in the ledger: the users of one roster."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import Row, insert, select, update

from hostadmin.core.clock import timestamp
from hostadmin.core.ids import new_id
from hostadmin.core.values import CohortState
from hostadmin.store.database import Tx
from hostadmin.store.tables import cohorts

DATES: Final = ("starts", "ends")


@dataclass(frozen=True, slots=True)
class Cohort:
    """One cohort. ``starts`` and ``ends``: first and last day; ``removes``: its users go once the last day is over."""

    id: str
    name: str
    profile: str
    starts: date | None
    ends: date | None
    state: CohortState
    removes: bool
    created_at: str
    ended_at: str | None


def _cohort(row: Row[Any]) -> Cohort:
    values = dict(row._mapping)
    values["state"] = CohortState(values["state"])
    values |= {name: date.fromisoformat(values[name]) if values[name] else None for name in DATES}
    return Cohort(**values)


def find(tx: Tx, cohort_id: str) -> Cohort | None:
    """Return the cohort with that id, an ended one too."""
    row = tx.execute(select(cohorts).where(cohorts.c.id == cohort_id)).first()
    return _cohort(row) if row else None


def find_name(tx: Tx, name: str, *, ended: bool = False) -> Cohort | None:
    """Return the living cohort of that name; with ``ended``, else the newest one that has ended."""
    query = select(cohorts).where(cohorts.c.name == name).order_by(cohorts.c.ended_at.is_not(None), cohorts.c.ended_at.desc())
    if not ended:
        query = query.where(cohorts.c.state != CohortState.ENDED)
    row = tx.execute(query).first()
    return _cohort(row) if row else None


def all_cohorts(tx: Tx, *, ended: bool = False) -> Sequence[Cohort]:
    """Return all cohorts by name; those that have ended only when ``ended``."""
    query = select(cohorts).order_by(cohorts.c.name, cohorts.c.created_at)
    if not ended:
        query = query.where(cohorts.c.state != CohortState.ENDED)
    return [_cohort(row) for row in tx.execute(query)]


def add(tx: Tx, *, name: str, profile: str, starts: date | None, ends: date | None) -> Cohort:
    """Insert an active cohort and return it."""
    cohort = Cohort(new_id(), name, profile, starts, ends, CohortState.ACTIVE, False, timestamp(), None)
    values = {"id": cohort.id, "name": name, "profile": profile, "state": cohort.state, "removes": False, "created_at": cohort.created_at}
    dates = {"starts": starts.isoformat() if starts else None, "ends": ends.isoformat() if ends else None}
    tx.execute(insert(cohorts).values(**values, **dates))
    return cohort


def change(tx: Tx, cohort_id: str, **values: Any) -> None:
    """Set columns of one cohort (dates as dates)."""
    if values.get("state") == CohortState.ENDED:
        values["ended_at"] = timestamp()
    stored = {k: v.isoformat() if isinstance(v, date) else v for k, v in values.items()}
    tx.execute(update(cohorts).where(cohorts.c.id == cohort_id).values(**stored))
