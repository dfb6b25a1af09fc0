"""Rows of the audit, and the intents that still have no outcome."""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, insert, select

from hostadmin.store.database import Tx
from hostadmin.store.tables import audit_open, audit_records

# Written twice for every change: built once, filled by parameters.
_APPEND: Final = insert(audit_records)
_OPEN: Final = insert(audit_open)
_CLOSE: Final = delete(audit_open).where(audit_open.c.seq == bindparam("of"))


def append(tx: Tx, values: dict[str, Any]) -> int:
    """Append one record and return its ``seq``. This is the seam for the hash chain: one writer, one call."""
    seq = tx.execute(_APPEND, values).inserted_primary_key
    assert seq is not None  # noqa: S101  # an INTEGER PRIMARY KEY always has one
    return int(seq[0])


def open_intent(tx: Tx, seq: int, req: str, proc: str, boot: str) -> None:
    """Remember that an intent waits for its outcome."""
    tx.execute(_OPEN, {"seq": seq, "req": req, "proc": proc, "boot": boot})


def close_intent(tx: Tx, seq: int) -> bool:
    """Forget an open intent; return whether it was open."""
    return tx.execute(_CLOSE, {"of": seq}).rowcount > 0


def is_open(tx: Tx, seq: int) -> bool:
    """Tell whether an intent waits for its outcome."""
    return tx.execute(select(audit_open.c.seq).where(audit_open.c.seq == seq)).first() is not None


def is_unsettled(tx: Tx, req: str, account: str, ref: str) -> bool:
    """Tell whether a request of an account has an intent, and no outcome that names another object than ``ref``."""
    c = audit_records.c
    rows = tx.execute(select(c.stage, c.object_id).where(c.req == req, c.actor_account == account)).all()
    return any(r.stage == "intent" for r in rows) and all(r.object_id in (None, ref) for r in rows if r.stage != "intent")


def open_intents(tx: Tx, proc: str, *, not_boot: str) -> list[dict[str, Any]]:
    """Return the records of a process kind's open intents that another run of it has left."""
    query = (
        select(audit_records)
        .join(audit_open, audit_open.c.seq == audit_records.c.seq)
        .where(audit_open.c.proc == proc, audit_open.c.boot != not_boot)
        .order_by(audit_records.c.seq)
    )
    return [dict(row._mapping) for row in tx.execute(query)]


def last_seen(tx: Tx, accounts: Collection[str]) -> dict[str, str]:
    """Return account id → when it last did anything that was recorded."""
    c = audit_records.c
    query = select(c.actor_account, func.max(c.ts).label("ts")).where(c.actor_account.in_(list(accounts))).group_by(c.actor_account)
    return {row.actor_account: row.ts for row in tx.execute(query)}


def get(tx: Tx, seq: int) -> dict[str, Any] | None:
    """Return one record."""
    row = tx.execute(select(audit_records).where(audit_records.c.seq == seq)).first()
    return dict(row._mapping) if row else None


def list_records(
    tx: Tx,
    *,
    actor: str | None = None,
    action: str | None = None,
    object_: str | None = None,
    since: str | None = None,
    decision: str | None = None,
    after_seq: int | None = None,
    before_seq: int | None = None,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Return records by ``seq``: the newest ``limit`` below ``before_seq``, or the next after ``after_seq``."""
    c = audit_records.c
    query = select(audit_records)
    if actor is not None:
        query = query.where(c.actor_login == actor)
    if action is not None:
        query = query.where((c.action == action) | c.action.startswith(f"{action}.", autoescape=True))
    if object_ is not None:
        query = query.where((c.object_id.startswith(object_, autoescape=True)) | (c.object_name == object_))
    if since is not None:
        query = query.where(c.ts >= since)
    if decision is not None:
        query = query.where(c.decision == decision)
    if after_seq is not None:
        rows = tx.execute(query.where(c.seq > after_seq).order_by(c.seq).limit(limit))
        return [dict(row._mapping) for row in rows]
    if before_seq is not None:
        query = query.where(c.seq < before_seq)
    rows = tx.execute(query.order_by(c.seq.desc()).limit(limit))
    return [dict(row._mapping) for row in reversed(list(rows))]
