"""What a reset does with one thing of any kind: the protocol, and what its implementations share.

Every step can be done again after it was cut off anywhere: a snapshot lies beside an earlier one until it is recorded
(the thing itself may be going at this moment, by a request that outlived its sender), what is gone is gone, and what an
earlier attempt has made is known by the request label that it bears.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from hostadmin.core.errors import NotFound
from hostadmin.core.labels import REQUEST_LABEL
from hostadmin.store.resets import Item

Data = dict[str, Any]
Ids = Mapping[str, str]


class Keeper(Protocol):
    """What a reset does with one kind of object."""

    def look(self, ref: str) -> Data | None:
        """Return an object's inspect, ``None`` if it is not there."""

    def mark(self, found: Data) -> str:
        """Return what tells that it still is the object that was planned for."""

    def keep(self, found: Data) -> Data:
        """Return what the database keeps of it."""

    def save(self, plan_id: str, found: Data) -> Data:
        """Bring its data into safety, beside what an earlier attempt has saved, and return where it is.

        Raises:
            HostadminError: it could not be; the object is as it was.

        """

    def tidy(self, plan_id: str, ref: str, saved: Data) -> None:
        """Let all that was ever saved of an object go, but for what ``saved`` names.

        Raises:
            Conflict: a container still stands on it.

        """

    def remove(self, found: Data) -> None:
        """Take it away; nothing if it has gone."""

    def revive(self, item: Item) -> None:
        """Let an object that was not taken away be as it was."""

    def find_made(self, item: Item) -> Data | None:
        """Return what an earlier attempt has made of the item.

        Raises:
            Conflict: its name is taken by something else.

        """

    def restore(self, item: Item, labels: Mapping[str, str], ids: Ids, made: Data | None) -> str:
        """Make it anew, or finish what an earlier attempt has made; return its id.

        Raises:
            HostadminError: with the reason.

        """


def is_made_for(item: Item, labels: Mapping[str, str] | None) -> bool:
    """Tell whether these are the labels of what an attempt to bring an item back has made."""
    return item.req is not None and (labels or {}).get(REQUEST_LABEL) == item.req


def there(look: Callable[[str], Data], ref: str) -> Data | None:
    """Return what the engine shows of something, ``None`` if it is not there."""
    try:
        return look(ref)
    except NotFound:
        return None
