"""Small facts that must survive a restart: a key and a JSON value."""

from typing import Any

from sqlalchemy import delete, insert, select

from hostadmin.store.database import Tx
from hostadmin.store.tables import facts


def get(tx: Tx, key: str, default: Any = None) -> Any:
    """Return the value of ``key`` or ``default``."""
    row = tx.execute(select(facts.c.value).where(facts.c.key == key)).first()
    return row[0] if row else default


def put(tx: Tx, key: str, value: Any) -> None:
    """Set ``key`` to ``value`` (any JSON); ``None`` removes it."""
    tx.execute(delete(facts).where(facts.c.key == key))
    if value is not None:
        tx.execute(insert(facts).values(key=key, value=value))


def all_under(tx: Tx, prefix: str) -> dict[str, Any]:
    """Return the rest of the key → value of every fact whose key begins with ``prefix``."""
    query = select(facts.c.key, facts.c.value).where(facts.c.key.startswith(prefix, autoescape=True))
    return {row.key.removeprefix(prefix): row.value for row in tx.execute(query)}
