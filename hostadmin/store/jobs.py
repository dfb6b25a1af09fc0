"""Runs of scheduled jobs: one row each, written before and after."""

from typing import Any

from sqlalchemy import insert, select, update

from hostadmin.core.clock import timestamp
from hostadmin.core.ids import new_id
from hostadmin.store.database import Tx
from hostadmin.store.tables import job_runs as table


def begin(tx: Tx, job: str, trigger: str) -> str:
    """Record that a run begins; return its id. ``trigger``: schedule or manual."""
    run = new_id()
    tx.execute(insert(table).values(id=run, job=job, trigger=trigger, started_at=timestamp(), ended_at=None, status="running", detail={}))
    return run


def end(tx: Tx, run: str, status: str, detail: dict[str, Any]) -> None:
    """Record how a run ended: ok, error, skipped, interrupted."""
    tx.execute(update(table).where(table.c.id == run).values(ended_at=timestamp(), status=status, detail=detail))


def interrupt_running(tx: Tx) -> int:
    """Mark runs that an earlier process left running; return how many."""
    query = update(table).where(table.c.status == "running")
    return tx.execute(query.values(status="interrupted", ended_at=timestamp())).rowcount


def history(tx: Tx, job: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
    """Return runs, newest first."""
    query = select(table).order_by(table.c.id.desc()).limit(limit)
    if job is not None:
        query = query.where(table.c.job == job)
    return [dict(row._mapping) for row in tx.execute(query)]


def last_ok(tx: Tx, job: str) -> str | None:
    """Return when a job's last good run began."""
    query = select(table.c.started_at).where(table.c.job == job, table.c.status == "ok").order_by(table.c.id.desc())
    found: str | None = tx.execute(query.limit(1)).scalar()
    return found
