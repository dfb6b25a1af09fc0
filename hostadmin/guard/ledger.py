"""The guard's view of the ledger: who owns what, who is who; read through, never stale.

Answers are kept only while the database has not changed (``Database.version``), so a change by either
process is seen by the next request.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from hostadmin.core.values import Attribution, Kind
from hostadmin.store import images, objects, users
from hostadmin.store.database import Database, Tx

T = TypeVar("T")


class Ledger:
    """Reads of the ledger for the guard, and the transactions that record what the guard creates."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._version: Any = None
        self._known: dict[Any, Any] = {}

    def _cached(self, key: Any, load: Callable[[Tx], T]) -> T:
        version = self.database.version()
        if version != self._version:
            self._version = version
            self._known.clear()
        if key not in self._known:
            with self.database.read() as tx:
                self._known[key] = load(tx)
        found: T = self._known[key]
        return found

    def user_by_login(self, login: str) -> users.User | None:
        """Return the living account with that login."""
        return self._cached(("login", login), lambda tx: users.find_login(tx, login))

    def user(self, user_id: str) -> users.User | None:
        """Return an account by its id."""
        return self._cached(("user", user_id), lambda tx: users.find(tx, user_id))

    def owners(self, kind: Kind) -> dict[str, str]:
        """Return full id (volumes: name) → owner's account id, of all owned present objects of a kind."""
        return self._cached(("owners", kind), lambda tx: objects.owners(tx, kind))

    def owned(self, kind: Kind, owner: str) -> frozenset[str]:
        """Return the full ids (volumes: names) of an account's present objects of a kind."""
        return self._cached(
            ("owned", kind, owner),
            lambda _: frozenset(ref for ref, who in self.owners(kind).items() if who == owner),
        )

    def last_owner(self, kind: Kind, ref: str) -> str | None:
        """Return the owner of an object that may be gone already."""
        return self._cached(("last", kind, ref), lambda tx: objects.last_owner(tx, kind, ref))

    def tag_owners(self) -> dict[str, str | None]:
        """Return tag → owner's account id (``None``: the host's)."""
        return self._cached(("tags",), images.tag_owners)

    def tag_owner(self, tag: str) -> str | None:
        """Return a normalised tag's owner, ``None`` for the host's.

        What the ledger does not know is the host's: the guard claims a tag before the engine sets it.
        """
        return self.tag_owners().get(tag)

    def held(self, owner: str) -> set[str]:
        """Return the ids of the images that an account holds."""
        return self._cached(("held", owner), lambda tx: images.held_by(tx, owner))

    def holders(self, image_id: str) -> set[str]:
        """Return the account ids that hold an image."""
        return self._cached(("holders", image_id), lambda tx: images.holders(tx, image_id))


def recorded(kind: Kind, ref: str, name: str, owner: str, attribution: Attribution = Attribution.GUARD) -> Callable[[Tx], None]:
    """Return the work that records a new object with its owner."""
    return lambda tx: objects.put(tx, kind, ref, name=name, owner_id=owner, attribution=attribution)
