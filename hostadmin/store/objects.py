"""The ledger of Engine objects: what there is, whose it is, and why we say so."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, func, insert, select, update

from hostadmin.core.clock import timestamp
from hostadmin.core.values import Attribution, Kind
from hostadmin.store.database import Tx
from hostadmin.store.tables import objects, users


@dataclass(frozen=True, slots=True)
class Object:
    """One row of the ledger. ``ref`` is the full engine id (volumes: the name)."""

    kind: Kind
    ref: str
    name: str
    owner_id: str | None
    owner: str | None  # the owner's login
    attribution: Attribution
    detail: dict[str, Any]
    first_seen: str
    last_seen: str
    gone_at: str | None


_COLUMNS = (
    objects.c.kind,
    objects.c.ref,
    objects.c.name,
    objects.c.owner_id,
    users.c.login.label("owner"),
    objects.c.attribution,
    objects.c.detail,
    objects.c.first_seen,
    objects.c.last_seen,
    objects.c.gone_at,
)
_SELECT = select(*_COLUMNS).select_from(objects.outerjoin(users, objects.c.owner_id == users.c.id))
_PRESENT = (objects.c.kind == bindparam("of_kind"), objects.c.gone_at.is_(None))
# Asked by the guard again and again: built once, filled by parameters.
_FIND: Final = _SELECT.where(*_PRESENT, objects.c.ref == bindparam("of_ref"))
_OWNERS: Final = select(objects.c.ref, objects.c.owner_id).where(*_PRESENT, objects.c.owner_id.is_not(None))
_OWNER: Final = select(objects.c.owner_id).where(*_PRESENT, objects.c.ref == bindparam("of_ref"))
_OWNED: Final = select(objects.c.ref).where(*_PRESENT, objects.c.owner_id == bindparam("of_owner"))
_INSERT: Final = insert(objects)


def _object(row: Any) -> Object:
    values = dict(row._mapping)
    values["kind"] = Kind(values["kind"])
    values["attribution"] = Attribution(values["attribution"])
    return Object(**values)


def find(tx: Tx, kind: Kind, ref: str) -> Object | None:
    """Return the present object with that full id (volumes: name)."""
    row = tx.execute(_FIND, {"of_kind": kind, "of_ref": ref}).first()
    return _object(row) if row else None


def owner_of(tx: Tx, kind: Kind, ref: str) -> str | None:
    """Return the account id of the owner of a present object, ``None`` if it has none."""
    owner: str | None = tx.execute(_OWNER, {"of_kind": kind, "of_ref": ref}).scalar()
    return owner


def owned(tx: Tx, kind: Kind, owner_id: str) -> frozenset[str]:
    """Return the full ids (volumes: names) of an account's present objects of a kind."""
    return frozenset(tx.execute(_OWNED, {"of_kind": kind, "of_owner": owner_id}).scalars())


def owners(tx: Tx, kind: Kind) -> dict[str, str]:
    """Return full id (volumes: name) → account id of all present objects of a kind that have an owner."""
    return {row.ref: row.owner_id for row in tx.execute(_OWNERS, {"of_kind": kind})}


def lives(tx: Tx, kind: Kind, ref: str) -> list[tuple[str, str | None]]:
    """Return (since when, owner's account id) of every object that ever had that id, or a volume's name; the last one last."""
    query = select(objects.c.first_seen, objects.c.owner_id).where(objects.c.kind == kind, objects.c.ref == ref)
    return [(row.first_seen, row.owner_id) for row in tx.execute(query.order_by(objects.c.id))]


def match(tx: Tx, kind: Kind, text: str) -> list[Object]:
    """Return present objects whose id is ``text``, whose name is ``text``, or whose id begins with it."""
    query = _SELECT.where(objects.c.kind == kind, objects.c.gone_at.is_(None))
    exact = [_object(r) for r in tx.execute(query.where((objects.c.ref == text) | (objects.c.name == text)))]
    if exact:
        return exact
    prefix = text if kind is not Kind.IMAGE or text.startswith("sha256:") else f"sha256:{text}"
    return [_object(r) for r in tx.execute(query.where(objects.c.ref.startswith(prefix, autoescape=True)))]


def list_objects(tx: Tx, kind: Kind, *, owner_id: str | None = None) -> list[Object]:
    """Return present objects of a kind by name, of one owner if given."""
    query = _SELECT.where(objects.c.kind == kind, objects.c.gone_at.is_(None)).order_by(objects.c.name, objects.c.ref)
    if owner_id is not None:
        query = query.where(objects.c.owner_id == owner_id)
    return [_object(row) for row in tx.execute(query)]


def count(tx: Tx, kind: Kind, owner_id: str) -> int:
    """Return how many present objects of a kind an account owns."""
    query = select(func.count()).where(objects.c.kind == kind, objects.c.owner_id == owner_id, objects.c.gone_at.is_(None))
    return int(tx.execute(query).scalar_one())


def put(
    tx: Tx,
    kind: Kind,
    ref: str,
    *,
    name: str,
    owner_id: str | None,
    attribution: Attribution,
    detail: dict[str, Any] | None = None,
) -> None:
    """Record that an object is there (idempotent).

    A known object keeps its owner unless ``owner_id`` is given and it had none: what the guard has
    written is never overwritten by what an event or a listing suggests.
    """
    stamp = timestamp()
    known = find(tx, kind, ref)
    if known is None:
        row = {"kind": kind, "ref": ref, "name": name, "owner_id": owner_id, "attribution": attribution, "detail": detail or {}}
        tx.execute(_INSERT, {**row, "first_seen": stamp, "last_seen": stamp, "gone_at": None})
        return
    values: dict[str, Any] = {"name": name or known.name, "last_seen": stamp}
    if detail is not None:
        values["detail"] = {**known.detail, **detail}
    if known.owner_id is None and owner_id is not None:
        values |= {"owner_id": owner_id, "attribution": attribution}
    tx.execute(update(objects).where(*_present(kind, ref)).values(**values))


def set_owner(tx: Tx, kind: Kind, ref: str, owner_id: str | None, attribution: Attribution) -> None:
    """Give a present object to an account, or to nobody."""
    tx.execute(update(objects).where(*_present(kind, ref)).values(owner_id=owner_id, attribution=attribution))


def rename(tx: Tx, kind: Kind, ref: str, name: str) -> None:
    """Record an object's new name."""
    tx.execute(update(objects).where(*_present(kind, ref)).values(name=name, last_seen=timestamp()))


def mark_gone(tx: Tx, kind: Kind, refs: Iterable[str], *, seen_by: str | None = None) -> None:
    """Record that objects are no longer there; their rows and owners stay.

    ``seen_by``: only what was there at that time already (a volume's name may be another volume's by now).
    """
    older = () if seen_by is None else (objects.c.first_seen <= seen_by,)
    for ref in refs:
        tx.execute(update(objects).where(*_present(kind, ref), *older).values(gone_at=timestamp()))


def ended_since(tx: Tx, kind: Kind, ref: str, moment: str) -> bool:
    """Tell whether an object's end was recorded at or after ``moment``, so that an older answer means nothing."""
    query = select(func.count()).where(objects.c.kind == kind, objects.c.ref == ref, objects.c.gone_at >= moment)
    return bool(tx.execute(query).scalar_one())


def _present(kind: Kind, ref: str) -> tuple[Any, ...]:
    return objects.c.kind == kind, objects.c.ref == ref, objects.c.gone_at.is_(None)
