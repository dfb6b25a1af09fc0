"""Address pools of the engine: how many networks still fit, and which pools would be enough. Pure.

A network that names no subnet takes the next slice of a pool that nothing overlaps (moby libnetwork/ipam): another
network, or a subnet that the host reaches otherwise.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, collapse_addresses
from typing import Any, Final

from hostadmin.core.errors import Failed

PRIVATE: Final = tuple(IPv4Network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))  # RFC 1918
SIZES: Final = (24, 25, 26, 27, 28)  # 253 containers on a network, down to 13
BASES: Final = (8, 16, 20)  # prefixes: the largest pool, the smallest where there is room for it, the smallest at all


@dataclass(frozen=True, slots=True)
class Pool:
    """One of ``default-address-pools``: ``base`` is cut into networks of ``size`` bits."""

    base: IPv4Network
    size: int

    @property
    def slices(self) -> int:
        """How many networks it is cut into."""
        return int(2 ** max(self.size - self.base.prefixlen, 0))


DEFAULT: Final = (  # moby libnetwork/ipamutils: what an engine has that was given none
    *(Pool(IPv4Network(f"172.{n}.0.0/16"), 16) for n in range(17, 32)),
    Pool(IPv4Network("192.168.0.0/16"), 20),
)


def pools_of(info: dict[str, Any]) -> tuple[Pool, ...]:
    """Return the IPv4 pools that an engine says it has (``GET /info``), its own where it was given none."""
    told = [p for p in info.get("DefaultAddressPools") or () if ":" not in p["Base"]]
    return tuple(Pool(IPv4Network(p["Base"], strict=False), p["Size"]) for p in told) or DEFAULT


def room(pools: Iterable[Pool], taken: Sequence[IPv4Network]) -> int:
    """Return how many networks still fit into pools, ``taken`` being what they must not overlap."""
    return sum(pool.slices - len(_touched(pool, taken)) for pool in pools)


def _touched(pool: Pool, taken: Iterable[IPv4Network]) -> set[int]:
    """Return the numbers of the slices that something overlaps."""
    found: set[int] = set()
    width = 2 ** (32 - max(pool.size, pool.base.prefixlen))
    start, end = int(pool.base.network_address), int(pool.base.broadcast_address)
    for network in taken:
        low, high = max(int(network.network_address), start), min(int(network.broadcast_address), end)
        if low <= high:
            found.update(range((low - start) // width, (high - start) // width + 1))
    return found


def choose(count: int, taken: Sequence[IPv4Network]) -> tuple[Pool, ...]:
    """Return as few pools as possible for ``count`` networks (1 or more), out of private addresses that nothing of ``taken`` overlaps.

    High addresses first: low ones are those that other sites, which the routes do not tell of, use most. Networks get smaller
    where there are not enough addresses.

    Raises:
        Failed: there are too few addresses.

    """
    free = _free(taken)
    largest, small, smallest = BASES
    for size in SIZES:
        enough = size - math.ceil(math.log2(count))
        for prefix in range(min(max(enough, largest), small), smallest + 1):
            bases = _blocks(free, prefix)
            wanted = math.ceil(count / 2 ** (size - prefix))
            if wanted <= len(bases):
                return tuple(Pool(base, size) for base in bases[:wanted])
    raise Failed(f"There are not enough private addresses left for {count} networks.", key="address-pools")


def _free(taken: Sequence[IPv4Network]) -> list[IPv4Network]:
    """Return what is left of the private addresses."""
    left = list(PRIVATE)
    for network in collapse_addresses(taken):
        left = [part for whole in left for part in _without(whole, network)]
    return left


def _without(whole: IPv4Network, network: IPv4Network) -> Iterable[IPv4Network]:
    if not whole.overlaps(network):
        return (whole,)
    return () if whole.subnet_of(network) else whole.address_exclude(network)


def _blocks(free: Iterable[IPv4Network], prefix: int) -> list[IPv4Network]:
    """Return the blocks of ``prefix`` bits: 10/8 before 172.16/12 before 192.168/16, the highest address first in each."""
    found = [block for part in free if part.prefixlen <= prefix for block in part.subnets(new_prefix=prefix)]
    return sorted(found, key=lambda block: (next(i for i, p in enumerate(PRIVATE) if block.subnet_of(p)), -int(block.network_address)))
