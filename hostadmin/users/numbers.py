"""The numbers of a new account: uid, place in the ledger, subordinate ids, host ports, subnet. Pure functions.

Everything is given once: the numbers of removed accounts stay theirs (``accounts.md`` 3), and one who returns gets
the same ones back.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import count
from typing import Final

from hostadmin.core.errors import Failed
from hostadmin.policy.ports import Block, first_free_block
from hostadmin.policy.profiles import Profile

MOST: Final = 2**31 - 1  # a uid beyond it is negative to some programs


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
        blocks: the blocks of host ports that have been given.

    """

    def __init__(self, ranges: Ranges, *, numbers: Iterable[int], positions: Iterable[int], blocks: Iterable[Block]) -> None:
        self._ranges = ranges
        self._numbers = set(numbers)
        self._positions = set(positions)
        self._blocks = set(blocks)

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
        position = next(n for n in count() if n not in self._positions)
        self._positions.add(position)
        subid_first, subid_count = _subids(self._ranges, position)
        return Given(uid, gid, position, subid_first, subid_count, self._block(profile), subnet_of(self._ranges, position))

    def _block(self, profile: Profile) -> Block | None:
        """Return the first free block: of the profile's ports if it gives blocks, else of everybody's."""
        if profile.port_block:
            low, high, size = *profile.ports, profile.port_block
        else:
            low, high, size = self._ranges.port_min, self._ranges.port_max, self._ranges.port_block
        block = first_free_block(low, high, size, self._blocks) if size else None
        if block is not None:
            self._blocks.add(block)
        return block


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


def subnet_of(ranges: Ranges, position: int) -> str | None:
    """Return the subnet of a place in the ledger (CIDR), ``None`` if there are not so many."""
    if not ranges.subnets:
        return None
    whole = IPv4Network(ranges.subnets)
    if position >= 2 ** (ranges.subnet_prefix - whole.prefixlen):
        return None
    first = int(whole.network_address) + position * 2 ** (32 - ranges.subnet_prefix)
    return str(IPv4Network((first, ranges.subnet_prefix)))


def _subids(ranges: Ranges, position: int) -> tuple[int, int]:
    """Return first and count of the subordinate ids of a place in the ledger; ``(0, 0)`` if there are not so many."""
    first = ranges.subid_min + position * ranges.subid_count
    last = first + ranges.subid_count - 1
    return (first, ranges.subid_count) if last <= min(ranges.subid_max, MOST) else (0, 0)
