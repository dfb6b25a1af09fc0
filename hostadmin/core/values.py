"""Small values that several rooms hand to each other."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """The kinds of Engine objects that have an owner, in the Engine API's words."""

    CONTAINER = "container"
    NETWORK = "network"
    VOLUME = "volume"
    IMAGE = "image"


class Attribution(StrEnum):
    """Why we say that an object belongs to its owner."""

    GUARD = "guard"  # created through the guard
    ADMIN = "admin"  # `hostadmin owner set`
    SIDE_EFFECT = "side-effect"  # came into being with another object of the owner
    ENGINE = "engine"  # the engine's own: predefined networks
    UNKNOWN = "unknown"  # was there before, or made past the guard


class UserState(StrEnum):
    """States of an account in the ledger; only an active one has access."""

    ACTIVE = "active"
    LOCKED = "locked"
    EXPIRED = "expired"  # its last day is over and the service has ended its access
    LEAVING = "leaving"  # no access any more; what it owns waits for removal, or is being removed
    REMOVED = "removed"


class CohortState(StrEnum):
    """States of a cohort in the ledger."""

    ACTIVE = "active"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: what the kernel says of the peer, and the account it stands for.

    ``type``: ``unix`` (a peer on a socket), ``scheduler``, ``reconciler``, ``engine`` or ``system``.
    ``account`` is the ledger's own account id, ``None`` for root and for hostadmin itself.
    ``loginuid`` is information, not evidence (``audit.md`` 3.4).
    """

    type: str
    via: str
    account: str | None = None
    login: str | None = None
    uid: int | None = None
    gid: int | None = None
    loginuid: int | None = None
    pid: int | None = None
    exe: str | None = None
    comm: str | None = None
    container: str | None = None
    admin: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the members that are set."""
        return {k: v for k, v in asdict(self).items() if v is not None}


def system_actor(kind: str) -> Actor:
    """Return the actor for hostadmin's own acts; ``kind`` is scheduler, reconciler, engine, system."""
    return Actor(type=kind, via=kind, login="hostadmin", admin=True)
