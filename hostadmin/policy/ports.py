"""Published ports: which ones a person may have, and which one they get where they name none.

A profile has a range; with ``port_block`` everybody gets a block of it for themselves, allotted once. Nobody else
may publish a port of somebody's block.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

from hostadmin.policy.profiles import Profile

EPHEMERAL: Final = (32768, 60999)  # what the kernel, and so the engine, gives out by itself (ip_local_port_range)
EXPOSED_MOST: Final = 1000
Block = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Room:
    """Where somebody's ports may lie: ``own``, and nowhere in ``others`` (blocks of other people).

    ``reserved``: a block of ``own`` that is theirs alone; a port that nobody names is taken from there first.
    """

    own: Block
    others: tuple[Block, ...] = ()
    reserved: Block | None = None

    def has(self, port: int) -> bool:
        """Tell whether a port lies in it."""
        return self.own[0] <= port <= self.own[1] and not any(low <= port <= high for low, high in self.others)

    @property
    def chooses(self) -> bool:
        """Whether a port that nobody names must be chosen here: the engine would take one from anywhere."""
        return bool(self.others or self.reserved) or self.own[0] > EPHEMERAL[0] or self.own[1] < EPHEMERAL[1]

    def candidates(self) -> Iterator[int]:
        """Yield every port of the room, those first that nobody else may take."""
        first, last = self.reserved or (1, 0)
        yield from range(first, last + 1)
        yield from (port for port in range(self.own[0], self.own[1] + 1) if not first <= port <= last)


def allot_block(profile: Profile, taken: Iterable[Block]) -> Block | None:
    """Return the first free block of a profile's range, ``None`` if there is none left."""
    return first_free_block(*profile.ports, profile.port_block, taken)


def first_free_block(low: int, high: int, size: int, taken: Iterable[Block]) -> Block | None:
    """Return the first of ``free_blocks``, ``None`` if there is none."""
    return next(free_blocks(low, high, size, taken), None)


def free_blocks(low: int, high: int, size: int, taken: Iterable[Block], *, aligned: bool = False) -> Iterator[Block]:
    """Yield one block of ``size`` numbers after the other, from ``low`` to ``high``, that meet none of ``taken``.

    ``aligned``: a block begins at a multiple of its size from ``low``, as subnets do.
    """
    first = low
    for begin, end in sorted(taken):
        while first + size <= min(begin, high + 1):
            yield first, first + size - 1
            first += size
        if first <= end:
            first = low + -(-(end + 1 - low) // size) * size if aligned else end + 1
    while first + size - 1 <= high:
        yield first, first + size - 1
        first += size


def fits(block: Block, profile: Profile) -> bool:
    """Tell whether a block that was allotted once is what the profile says now."""
    return block[1] - block[0] + 1 == profile.port_block and profile.ports[0] <= block[0] and block[1] <= profile.ports[1]


def expose(body: dict[str, Any], image: dict[str, Any]) -> None:
    """Turn ``PublishAllPorts`` into explicit bindings of the body's and the image's exposed ports."""
    host = body["HostConfig"]
    if not host.pop("PublishAllPorts", False):
        return
    bindings = host.setdefault("PortBindings", {})
    for exposed in {**body.get("ExposedPorts", {}), **((image.get("Config") or {}).get("ExposedPorts") or {})}:
        numbers, _, protocol = exposed.partition("/")
        first, _, last = numbers.partition("-")
        for port in range(int(first), int(last or first) + 1):
            if len(bindings) <= EXPOSED_MOST:
                bindings.setdefault(f"{port}/{protocol or 'tcp'}", None)


def bindings_of(host: dict[str, Any]) -> list[dict[str, str]]:
    """Return every binding of a HostConfig; a port without any has one with nothing said."""
    return [binding for given in (host.get("PortBindings") or {}).values() for binding in given or [{}]]


def ports_of(host: dict[str, Any]) -> list[int]:
    """Return the host ports that a HostConfig names; of a range all."""
    found: list[int] = []
    for binding in bindings_of(host):
        first, _, last = (binding.get("HostPort") or "").partition("-")
        if first.isdecimal() and int(first):
            found += range(int(first), int(last or first) + 1)
    return found


def admit_ports(host: dict[str, Any], profile: Profile, room: Room) -> list[str]:
    """Return what the published ports of a HostConfig violate."""
    found = []
    for binding in bindings_of(host):
        found += _address(binding.get("HostIp") or "")
        first, _, last = (binding.get("HostPort") or "").partition("-")
        if not first or int(first) == int(last or first) == 0:
            continue
        ends = (int(first), int(last or first))
        if ends[0] > ends[1] or ends[1] > 65535:  # TCP
            found.append(f"host port {binding['HostPort']!r}: no port or range of ports")
        elif not all(room.has(port) for port in range(ends[0], ends[1] + 1)):
            found.append(_not_yours(binding["HostPort"], profile, room))
    return found


def _address(text: str) -> list[str]:
    try:
        ip_address(text or "0.0.0.0")  # noqa: S104  # what an empty one means
    except ValueError:
        return [f"host address {text!r}: no IP address"]
    return []


def _not_yours(port: str, profile: Profile, room: Room) -> str:
    if room.own != profile.ports:
        return f"host port {port}: your ports are {room.own[0]}-{room.own[1]} (profile {profile.name!r})"
    reserved = ", without those that are reserved for others" if room.others else ""
    return f"host port {port}: profile {profile.name!r} allows {room.own[0]}-{room.own[1]}{reserved}"


def choose_ports(host: dict[str, Any], room: Room, used: Sequence[int]) -> bool:
    """Give a free port of the room to every binding that names none, unless the engine may choose.

    Args:
        host: the HostConfig; changed.
        room: where the ports may lie.
        used: ports that are not free.

    Returns:
        Whether there were enough.

    """
    if not room.chooses:
        return True
    taken = {*used, *ports_of(host)}
    free = (port for port in room.candidates() if port not in taken and room.has(port))
    for key, given in (host.get("PortBindings") or {}).items():
        chosen = []
        for binding in given or [{}]:
            if (binding.get("HostPort") or "0").strip("0-") == "":
                port = next(free, None)
                if port is None:
                    return False
                chosen.append({**binding, "HostPort": str(port)})
            else:
                chosen.append(binding)
        host["PortBindings"][key] = chosen
    return True
