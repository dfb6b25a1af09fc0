"""What the reconciler found: restart policies that it corrected, and crash loops."""

from typing import Any

from sqlalchemy import insert, select, update

from hostadmin.core.clock import timestamp
from hostadmin.store.database import Tx
from hostadmin.store.tables import restart_findings as table, users


def add(tx: Tx, *, container_id: str, name: str, owner_id: str | None, finding: str, found: str, applied: str, reason: str) -> None:
    """Record a finding: ``corrected``, ``kept`` or ``crash-looping``."""
    tx.execute(
        insert(table).values(
            container_id=container_id,
            name=name,
            owner_id=owner_id,
            finding=finding,
            found=found,
            applied=applied,
            reason=reason,
            at=timestamp(),
            released_at=None,
        )
    )


def list_open(tx: Tx) -> list[dict[str, Any]]:
    """Return the findings that nobody has released, newest first, with the owner's login."""
    query = select(table, users.c.login.label("owner")).outerjoin(users, table.c.owner_id == users.c.id)
    rows = tx.execute(query.where(table.c.released_at.is_(None)).order_by(table.c.id.desc()))
    return [dict(row._mapping) for row in rows]


def latest(tx: Tx, container_id: str) -> dict[str, Any] | None:
    """Return the newest finding about a container, released or not."""
    row = tx.execute(select(table).where(table.c.container_id == container_id).order_by(table.c.id.desc())).first()
    return dict(row._mapping) if row else None


def release(tx: Tx, container_id: str) -> int:
    """Release all open findings about a container; return how many there were."""
    query = update(table).where(table.c.container_id == container_id, table.c.released_at.is_(None))
    return tx.execute(query.values(released_at=timestamp())).rowcount
