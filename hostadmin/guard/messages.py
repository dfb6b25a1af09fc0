"""Texts of the engine without what they reveal of others (``engine-api.md`` 6.6).

One table: a pattern of the engine's, and what the caller reads instead. A text that names only what is the caller's own
passes as it is. What no row knows loses every identifier that is not the caller's.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hostadmin.core.values import Kind
from hostadmin.guard.ledger import Ledger

HIDDEN: Final = "(hidden)"
_ID: Final = re.compile(r"(?:sha256:)?\b[0-9a-f]{12,64}\b")
_CALLED: Final = re.compile(
    r"([Cc]annot (?:kill|stop) container: |Cannot restart container |cannot remove container \"?|in container )[0-9a-f]{64}\b"
)
_ENDPOINT_ID: Final = re.compile(r"(on endpoint \S+) \([0-9a-f]{64}\)")


@dataclass(frozen=True, slots=True)
class Own:
    """What is the caller's: full ids of containers, networks and held images, and names of containers."""

    ids: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()

    def has(self, text: str) -> bool:
        """Tell whether an identifier, whole or cut short, is of something of the caller's."""
        text = text.removeprefix("sha256:")
        return any(known.removeprefix("sha256:").startswith(text) for known in self.ids)


Rewrite = Callable[["re.Match[str]", Own], str | None]
"""Returns the new text, or ``None`` where the engine's own may stand."""


def _name_taken(found: "re.Match[str]", own: Own) -> str | None:
    return None if own.has(found["id"]) else f"{found[1]} on this host. Choose another name."


def _volume_in_use(found: "re.Match[str]", own: Own) -> str | None:
    users = found["ids"].split(", ")
    mine = [u for u in users if own.has(u)]
    if mine == users:
        return None
    if mine:
        return f"{found[1]} - [{', '.join(mine)}]"
    return f"{found[1]} by a container that is not yours; ask an administrator"


def _image_in_use(found: "re.Match[str]", own: Own) -> str | None:
    if own.has(found["id"]):
        return None
    return f"{found['what']} - it is in use by a container that is not yours; ask an administrator"


def _network_busy(found: "re.Match[str]", own: Own) -> str | None:
    endpoints = re.findall(r'name:"([^"]*)" id:"[0-9a-f]*"', found["endpoints"] or "")
    mine = [e for e in endpoints if e in own.names]
    if endpoints == mine:
        return found[0] if mine else None
    whose = ", ".join(f'"{e}"' for e in mine) or "of containers that are not yours; ask an administrator"
    return f"{found[1]} has active endpoints {f'({whose})' if mine else whose}"


def _subnet_taken(_: "re.Match[str]", __: Own) -> str:
    return "Pool overlaps with other one on this address space: the subnet is taken on this host. Choose another one, or none"


def _networks_overlap(found: "re.Match[str]", own: Own) -> str | None:
    if own.has(found["id"]):
        return None
    return f"cannot create this network: {found['why']} of this host. Choose another subnet, or none"


def _port_taken(found: "re.Match[str]", _: Own) -> str:
    return f"{found[0]}: another container or program on this host has it. Choose another port"


def _ambiguous_id(found: "re.Match[str]", _: Own) -> str:
    return f"No such container: {found['ref']}"


def _ambiguous_network(found: "re.Match[str]", _: Own) -> str:
    return f"network {found['ref']} not found"


_TABLE: Final[tuple[tuple["re.Pattern[str]", Rewrite], ...]] = tuple(
    (re.compile(pattern, re.DOTALL), rewrite)
    for pattern, rewrite in (
        (r'(.*Conflict\. The (?:container )?name "[^"]*" is already in use) by container "?(?P<id>[0-9a-f]{12,64})"?\..*', _name_taken),
        (r"(.*volume is in use) - \[(?P<ids>[^\]]*)\].*", _volume_in_use),
        (
            r'(?P<what>conflict: unable to remove repository reference "[^"]*") \(must force\) - container (?P<id>[0-9a-f]+) is using.*',
            _image_in_use,
        ),
        (
            r"(?P<what>conflict: unable to delete \S+) \([^)]*\) - image is being used by (?:running|stopped) container (?P<id>[0-9a-f]+).*",
            _image_in_use,
        ),
        (r"(.*network \S+(?: id [0-9a-f]{64})?) has active endpoints(?: \((?P<endpoints>.*)\))?", _network_busy),
        (r".*(?:Pool overlaps with other one|Address pool overlaps with existing pool) on this address space.*", _subnet_taken),
        (
            r".*cannot create network \S+ \(\S*\): conflicts with network (?P<id>[0-9a-f]{64}) \(\S*\): (?P<why>.*)",
            _networks_overlap,
        ),
        (r".*(?:port is already allocated|bind: address already in use)", _port_taken),
        (r".*[Mm]ultiple IDs found with provided prefix: (?P<ref>\S*).*", _ambiguous_id),
        (r".*network (?P<ref>\S+) is ambiguous.*", _ambiguous_network),
        (r"\d+ matches found based on (?:name|ID prefix): network (?P<ref>\S+) is ambiguous", _ambiguous_network),
    )
)


def rewrite(message: str, own: Own) -> str:
    """Return a text of the engine without names, ids and counts of what is not the caller's."""
    message = _ENDPOINT_ID.sub(r"\1", message)
    for pattern, change in _TABLE:
        found = pattern.fullmatch(message)
        if found is not None:
            changed = change(found, own)
            if changed is not None:
                return changed
            break
    return _ID.sub(lambda found: found[0] if own.has(found[0]) else HIDDEN, message)


def clean_message(message: str, ledger: Ledger, owner: str) -> str:
    """Return the engine's ``message`` for an account.

    Args:
        message: the engine's own text.
        ledger: who owns what.
        owner: the caller's account id; own ids stay.

    """
    ids = ledger.owned(Kind.CONTAINER, owner) | ledger.owned(Kind.NETWORK, owner) | ledger.held(owner)
    return rewrite(message, Own(frozenset(ids), ledger.object_names(Kind.CONTAINER, owner)))


def as_called(message: str, called: str) -> str:
    """Return ``message`` with the caller's own word for the container where the engine repeats what it was asked for.

    The engine was asked by the full id that the guard had pinned.
    """
    return _CALLED.sub(lambda found: f"{found[1]}{called}", message, count=1)
