"""The guard's view of the ledger: who owns what, who is who; read through, never stale.

Answers are kept only while their part of the database has not changed (``Database.versions``), so a change by
either process is seen by the next request.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from hostadmin.core.values import Attribution, Kind
from hostadmin.store import images, numbers, objects, quotas, users
from hostadmin.store.database import Database, Tx

T = TypeVar("T")


class Owners:
    """Full id (volumes: name) to the owner's account id, of the present objects of a kind that have one."""

    __slots__ = ("_kind", "_ledger")

    def __init__(self, ledger: "Ledger", kind: Kind) -> None:
        self._ledger = ledger
        self._kind = kind

    def get(self, ref: str, default: str | None = None) -> str | None:
        """Return the owner of one object, ``default`` if it has none or is not there."""
        owner = self._ledger.owner(self._kind, ref)
        return default if owner is None else owner

    def __contains__(self, ref: str) -> bool:
        return self.get(ref) is not None

    def __getitem__(self, ref: str) -> str:
        owner = self.get(ref)
        if owner is None:
            raise KeyError(ref)
        return owner


class Ledger:
    """Reads of the ledger for the guard, and the transactions that record what the guard creates."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._versions: dict[str, int] = {}
        self._known: dict[str, dict[Any, Any]] = {"users": {}, "objects": {}, "images": {}}

    def _cached(self, part: str, key: Any, load: Callable[[Tx], T]) -> T:
        version = self.database.versions()[part]
        known = self._known[part]
        if version != self._versions.get(part):
            self._versions[part] = version
            known.clear()
        if key not in known:
            known[key] = self.database.look(load)
        found: T = known[key]
        return found

    def user_by_login(self, login: str) -> users.User | None:
        """Return the living account with that login."""
        return self._cached("users", ("login", login), lambda tx: users.find_login(tx, login))

    def user(self, user_id: str) -> users.User | None:
        """Return an account by its id."""
        return self._cached("users", ("user", user_id), lambda tx: users.find(tx, user_id))

    def owner(self, kind: Kind, ref: str) -> str | None:
        """Return the account id of the owner of a present object by its full id (volumes: name)."""
        return self._cached("objects", ("owner", kind, ref), lambda tx: objects.owner_of(tx, kind, ref))

    def owners(self, kind: Kind) -> "Owners":
        """Return the owners of all present objects of a kind, looked up one at a time."""
        return Owners(self, kind)

    def living_users(self) -> list[users.User]:
        """Return all accounts that have not been removed."""
        return self._cached("users", ("living",), users.all_users)

    def owned(self, kind: Kind, owner: str) -> frozenset[str]:
        """Return the full ids (volumes: names) of an account's present objects of a kind."""
        return self._cached("objects", ("owned", kind, owner), lambda tx: objects.owned(tx, kind, owner))

    def details(self, kind: Kind, owner: str) -> list[objects.Object]:
        """Return an account's present objects of a kind with what the ledger keeps of them."""
        return self._cached("objects", ("details", kind, owner), lambda tx: objects.list_objects(tx, kind, owner_id=owner))

    def named_ports(self, owner: str | None) -> list[int]:
        """Return the host ports that an account's containers name; ``None``: everybody's."""
        return self._cached("objects", ("ports", owner), lambda tx: quotas.named_ports(tx, owner))

    def port_blocks(self) -> dict[str, tuple[int, int]]:
        """Return account id → its block of host ports, of those who have one."""
        return self._cached("users", ("port blocks",), quotas.port_blocks_of_all)

    def subnets(self) -> dict[str, str]:
        """Return account id → its block of addresses (CIDR), of those who have one."""
        return self._cached("users", ("subnets",), numbers.living_subnets)

    def image_bytes(self, owner: str) -> dict[str, int | None]:
        """Return image id → own bytes of what an account holds (``None``: not known yet)."""
        return self._cached("images", ("image bytes", owner), lambda tx: quotas.image_bytes(tx, owner))

    def object_names(self, kind: Kind, owner: str) -> frozenset[str]:
        """Return the names of an account's present objects of a kind."""
        return self._cached("objects", ("names", kind, owner), lambda _: frozenset(o.name for o in self.details(kind, owner)))

    def lives(self, kind: Kind, ref: str) -> list[tuple[str, str | None]]:
        """Return (since when, owner's account id) of every object that had an id, or a volume's name; the last one last."""
        return self._cached("objects", ("lives", kind, ref), lambda tx: objects.lives(tx, kind, ref))

    def tag_owners(self) -> dict[str, str | None]:
        """Return tag → owner's account id (``None``: the host's)."""
        return self._cached("images", ("tags",), images.tag_owners)

    def tag_owner(self, tag: str) -> str | None:
        """Return a normalised tag's owner, ``None`` for the host's.

        What the ledger does not know is the host's: the guard claims a tag before the engine sets it.
        """
        return self.tag_owners().get(tag)

    def names(self, owner: str) -> dict[str, str]:
        """Return name → image id of what registries gave to an account under names that it does not own."""
        return self._cached("images", ("names", owner), lambda tx: images.names_of(tx, owner))

    def newest_held(self, owner: str, limit: int) -> list[str]:
        """Return the ids of the images that an account got last, newest first."""
        return self._cached("images", ("newest", owner, limit), lambda tx: images.newest_held(tx, owner, limit))

    def tag_since(self, tag: str) -> str:
        """Return when a normalised tag was claimed or set for the last time."""
        return self._cached("images", ("since", tag), lambda tx: images.tag_since(tx, tag))

    def held(self, owner: str) -> set[str]:
        """Return the ids of the images that an account holds."""
        return self._cached("images", ("held", owner), lambda tx: images.held_by(tx, owner))

    def held_alone(self, owner: str) -> set[str]:
        """Return the ids of the images that an account holds and nobody else does."""
        return self._cached("images", ("alone", owner), lambda tx: images.held_alone(tx, owner))

    def holders(self, image_id: str) -> set[str]:
        """Return the account ids that hold an image."""
        return self._cached("images", ("holders", image_id), lambda tx: images.holders(tx, image_id))


def recorded(kind: Kind, ref: str, name: str, owner: str, attribution: Attribution = Attribution.GUARD) -> Callable[[Tx], None]:
    """Return the work that records a new object with its owner."""
    return lambda tx: objects.put(tx, kind, ref, name=name, owner_id=owner, attribution=attribution)
