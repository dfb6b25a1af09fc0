"""The ledger of numbers: what an account was given once and nobody else ever gets, removed accounts included."""

from dataclasses import dataclass

from sqlalchemy import insert, select

from hostadmin.core.values import UserState
from hostadmin.store.database import Tx
from hostadmin.store.tables import numbers, users


@dataclass(frozen=True, slots=True)
class Numbers:
    """One account's: its place in the ledger, its subordinate ids, and its subnet (CIDR; ``None``: none was left)."""

    user_id: str
    position: int
    subid_first: int
    subid_count: int
    subnet: str | None


def find(tx: Tx, user_id: str) -> Numbers | None:
    """Return the numbers of an account."""
    row = tx.execute(select(numbers).where(numbers.c.user_id == user_id)).first()
    return Numbers(**row._mapping) if row else None


def of_all(tx: Tx) -> dict[str, Numbers]:
    """Return account id → numbers, of removed accounts too."""
    return {row.user_id: Numbers(**row._mapping) for row in tx.execute(select(numbers))}


def living_subnets(tx: Tx) -> dict[str, str]:
    """Return account id → subnet of every living account that has one."""
    query = select(numbers.c.user_id, numbers.c.subnet).join(users, users.c.id == numbers.c.user_id)
    return {row.user_id: row.subnet for row in tx.execute(query.where(users.c.state != UserState.REMOVED, numbers.c.subnet.is_not(None)))}


def put(tx: Tx, entry: Numbers) -> None:
    """Give an account its numbers, once and for all."""
    values = {"position": entry.position, "subid_first": entry.subid_first, "subid_count": entry.subid_count, "subnet": entry.subnet}
    tx.execute(insert(numbers).values(user_id=entry.user_id, **values))
