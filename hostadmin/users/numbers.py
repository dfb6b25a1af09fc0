"""The numbers of a new account: uid, place in the ledger, subordinate ids, host ports, subnet. Pure functions.

Everything is given once: the numbers of removed accounts stay theirs (``accounts.md`` 3), and one who returns gets
the same ones back.
"""

from collections.abc import Iterable, Iterator, Set as AbstractSet
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import count
from typing import Final

from hostadmin.core.errors import Failed, Invalid
from hostadmin.policy.ports import Block, free_blocks
from hostadmin.policy.profiles import Profile

MOST: Final = 2**31 - 1  # a uid beyond it is negative to some programs
PORT_MOST: Final = 65535
PREFIX_MOST: Final = 30  # a smaller subnet has no address for a container


@dataclass(frozen=True, slots=True)
class Ranges:
    """From where numbers are given: the keys of ``[users]``."""

    uid_min: int = 1000
    uid_max: int = 59999
    port_min: int = 20000
    port_max: int = 32767
    port_block: int = 20
    subnets: str = "10.200.0.0/13"
    subnet_prefix: int = 24
    subordinate_ids: bool = False
    subid_min: int = 1879048192
    subid_max: int = 2147352575
    subid_count: int = 65536

    def __post_init__(self) -> None:
        """Refuse what numbers cannot be given from, before a class waits for them.

        Raises:
            Invalid: with all that is wrong.

        """
        wrong = [
            *([] if 0 < self.uid_min <= self.uid_max <= MOST else ["uid_min and uid_max must be a range of uids"]),
            *([] if 0 < self.port_min <= self.port_max <= PORT_MOST else ["port_min and port_max must be a range of ports"]),
            *([] if self.port_block >= 0 else ["port_block must be 0 or more"]),
            *([] if 0 <= self.subid_min <= self.subid_max else ["subid_min and subid_max must be a range"]),
            *([] if self.subid_count >= 0 else ["subid_count must be 0 or more"]),
            *_wrong_subnets(self.subnets, self.subnet_prefix),
        ]
        if wrong:
            raise Invalid(f"Refused configuration [users]: {'; '.join(wrong)}.", key="configuration")


def _wrong_subnets(subnets: str, prefix: int) -> list[str]:
    if not subnets:
        return []
    try:
        whole = IPv4Network(subnets)
    except ValueError:
        return [f"subnets must be an IPv4 network such as 10.200.0.0/13, or empty; {subnets!r} is none"]
    if not whole.prefixlen <= prefix <= PREFIX_MOST:
        return [f"subnet_prefix must be between {whole.prefixlen}, which subnets has, and {PREFIX_MOST}"]
    return []


@dataclass(frozen=True, slots=True)
class Given:
    """The numbers of one account. ``subid_count`` 0, ``ports`` or ``subnet`` ``None``: none was left, or none is given."""

    uid: int
    gid: int
    position: int
    subid_first: int
    subid_count: int
    ports: Block | None
    subnet: str | None


class Allotment:
    """Gives numbers that nobody has or ever had, to one account after the other.

    Args:
        ranges: from where.
        numbers: every uid and gid of the host and of the ledger, tombstones included.
        positions: the places in the ledger that have been given.
        ports: the blocks of host ports that have been given.
        subnets: the subnets (CIDR) that have been given.
        subids: the subordinate ids that have been given, first and last.

    """

    def __init__(
        self,
        ranges: Ranges,
        *,
        numbers: Iterable[int],
        positions: Iterable[int] = (),
        ports: Iterable[Block] = (),
        subnets: Iterable[str] = (),
        subids: Iterable[Block] = (),
    ) -> None:
        self._ranges = ranges
        self._numbers = set(numbers)
        given = set(positions)
        self._positions = (n for n in count() if n not in given)
        self._ports = set(ports)
        self._port_supplies: dict[tuple[int, int, int], Iterator[Block]] = {}
        size = 2 ** (32 - ranges.subnet_prefix)
        whole = _ends(IPv4Network(ranges.subnets)) if ranges.subnets else (0, -1)
        self._subnets = free_blocks(*whole, size, [_ends(IPv4Network(subnet)) for subnet in subnets], aligned=True)
        last = min(ranges.subid_max, MOST) if ranges.subid_count else -1
        self._subids = free_blocks(ranges.subid_min, last, ranges.subid_count or 1, subids)

    def give(self, profile: Profile) -> Given:
        """Return the numbers of one more account with that profile.

        Raises:
            Failed: all uids have been given out.

        """
        ranges = self._ranges
        number = choose_number(self._numbers, ranges.uid_min, ranges.uid_max)
        self._numbers.add(number)
        return self.complete(number, number, profile)

    def complete(self, uid: int, gid: int, profile: Profile) -> Given:
        """Return the rest of the numbers of an account that has its uid and gid already."""
        subids, subnet = next(self._subids, None), next(self._subnets, None)
        return Given(
            uid=uid,
            gid=gid,
            position=next(self._positions),
            subid_first=subids[0] if subids else 0,
            subid_count=self._ranges.subid_count if subids else 0,
            ports=self._block(profile),
            subnet=str(IPv4Network((subnet[0], self._ranges.subnet_prefix))) if subnet else None,
        )

    def _block(self, profile: Profile) -> Block | None:
        """Return the next block of host ports: the profile's if it gives blocks, else one of everybody's."""
        ranges = self._ranges
        source = (*profile.ports, profile.port_block) if profile.port_block else (ranges.port_min, ranges.port_max, ranges.port_block)
        if not source[2]:
            return None
        supply = self._port_supplies.setdefault(source, free_blocks(*source, set(self._ports)))
        block = next((b for b in supply if not any(b[0] <= end and begin <= b[1] for begin, end in self._others())), None)
        if block is not None:
            self._ports.add(block)
        return block

    def _others(self) -> Iterable[Block]:
        """Return what has been given since a supply began, where there are several that may meet."""
        return self._ports if len(self._port_supplies) > 1 else ()


def may_return(uid: int, gid: int, used: AbstractSet[int]) -> bool:
    """Tell whether a removed account can have its numbers back: ``used`` has every uid and gid of the host and of living accounts."""
    return not {uid, gid} & used


def _ends(network: IPv4Network) -> Block:
    return int(network.network_address), int(network.broadcast_address)


def choose_number(used: set[int], lowest: int, highest: int) -> int:
    """Return the lowest number, for uid and gid alike, that nobody has or ever had.

    Args:
        used: every uid and gid of the host and of the ledger, tombstones included.
        lowest: the first number that may be given out.
        highest: the last one.

    Raises:
        Failed: there is none left.

    """
    for number in range(lowest, highest + 1):
        if number not in used:
            return number
    raise Failed(f"All uids from {lowest} to {highest} have been given out: widen [users] uid_min or uid_max.", key="uids-exhausted")
