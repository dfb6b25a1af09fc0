"""The plan of a reset: what a set of accounts has, as the engine shows it now."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hostadmin.core.errors import HostadminError
from hostadmin.core.values import Kind
from hostadmin.engine.client import Engine
from hostadmin.objects.keepers import Keeper
from hostadmin.objects.kept import why_not_recoverable
from hostadmin.store import objects
from hostadmin.store.database import Database
from hostadmin.store.plans import Step
from hostadmin.store.users import User

Sizes = dict[tuple[Kind, str], int]
ORDER: Final = (Kind.CONTAINER, Kind.VOLUME, Kind.NETWORK)


def plan_steps(database: Database, engine: Engine, keepers: Mapping[Kind, Keeper], users: Sequence[User]) -> list[Step]:
    """Return one step per object of the accounts that is there, with the facts that it relies on.

    ``facts``: kind, ref, name, mark (what tells that it still is the same), seen (since when the ledger has it), owner and owner_id, about (image, driver),
    size in bytes (``None``: not known), note (why it could not come back).

    Raises:
        Unavailable: the engine does not answer.

    """
    owned = _owned(database, users)
    sizes = read_sizes(engine) if owned else {}
    steps = []
    for thing in owned:
        found = keepers[thing.kind].look(thing.ref)
        if found is None:
            continue
        facts = {
            "kind": str(thing.kind),
            "ref": thing.ref,
            "name": _name(thing.kind, found),
            "mark": keepers[thing.kind].mark(found),
            "seen": thing.first_seen,
            "owner": thing.owner,
            "owner_id": thing.owner_id,
            "about": found["Config"]["Image"] if thing.kind is Kind.CONTAINER else found.get("Driver", ""),
            "size": sizes.get((thing.kind, thing.ref)),
            "note": why_not_recoverable(found) if thing.kind is Kind.VOLUME else "",
        }
        steps.append(Step(f"{thing.kind}.remove", f"{thing.kind}:{thing.ref}", facts))
    return steps


def _owned(database: Database, users: Sequence[User]) -> list[objects.Object]:
    with database.read() as tx:
        return [o for kind in ORDER for user in users for o in objects.list_objects(tx, kind, owner_id=user.id)]


def _name(kind: Kind, found: dict[str, Any]) -> str:
    return str(found["Name"]).removeprefix("/") if kind is Kind.CONTAINER else str(found["Name"])


def read_sizes(engine: Engine) -> Sizes:
    """Return the bytes that containers have written and volumes hold, as far as the engine tells."""
    try:
        usage = engine.disk_usage()
    except HostadminError:
        return {}
    sizes: Sizes = {(Kind.CONTAINER, c["Id"]): int(c.get("SizeRw") or 0) for c in usage.get("Containers") or []}
    for volume in usage.get("Volumes") or []:
        size = int((volume.get("UsageData") or {}).get("Size", -1))
        if size >= 0:
            sizes[Kind.VOLUME, volume["Name"]] = size
    return sizes
