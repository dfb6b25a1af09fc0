"""Archives of the homes of removed accounts."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import insert, select, update

from hostadmin.core.clock import timestamp
from hostadmin.core.ids import new_id
from hostadmin.store.database import Tx
from hostadmin.store.tables import home_archives


@dataclass(frozen=True, slots=True)
class Archive:
    """One archived home: a compressed tar, its SHA-256 in hex, its size in bytes, and until when it is kept."""

    id: str
    user_id: str
    path: str
    sha256: str
    bytes: int
    created_at: str
    keep_until: str
    deleted_at: str | None


def add(tx: Tx, *, user_id: str, path: str, sha256: str, size: int, keep_until: str) -> None:
    """Record an archive."""
    values = {"user_id": user_id, "path": path, "sha256": sha256, "bytes": size, "created_at": timestamp(), "keep_until": keep_until}
    tx.execute(insert(home_archives).values(id=new_id(), **values))


def of_user(tx: Tx, user_id: str) -> Sequence[Archive]:
    """Return the archives of an account that are still kept, oldest first."""
    query = select(home_archives).where(home_archives.c.user_id == user_id, home_archives.c.deleted_at.is_(None))
    return [Archive(**row._mapping) for row in tx.execute(query.order_by(home_archives.c.created_at))]


def of_all(tx: Tx) -> Sequence[Archive]:
    """Return all archives that are still kept, oldest first."""
    query = select(home_archives).where(home_archives.c.deleted_at.is_(None)).order_by(home_archives.c.created_at)
    return [Archive(**row._mapping) for row in tx.execute(query)]


def due(tx: Tx, moment: str) -> Sequence[Archive]:
    """Return the archives whose time is over at ``moment`` (a timestamp) and that are still kept."""
    query = select(home_archives).where(home_archives.c.keep_until <= moment, home_archives.c.deleted_at.is_(None))
    return [Archive(**row._mapping) for row in tx.execute(query)]


def mark_deleted(tx: Tx, archive_id: str) -> None:
    """Record that an archive's file is gone."""
    tx.execute(update(home_archives).where(home_archives.c.id == archive_id).values(deleted_at=timestamp()))
