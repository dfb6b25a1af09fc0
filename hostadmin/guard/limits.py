"""How much of the guard one person may take: connections, and requests under way; pure counting, no sockets.

The administrator (root on the host itself) is not counted: whoever has to end a crowd must get in.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from hostadmin.guard.refusal import Refusal

RULE: Final = "limits"
DESCRIPTORS_PER_CONNECTION: Final = 2  # the caller's and the engine's
DESCRIPTORS_OF_OUR_OWN: Final = 256


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers: connections per person and of all, and requests of one person under way at the same time.

    A request whose answer has begun to stream (logs, events, attach, exec, build) is no longer under way.
    """

    connections_per_user: int = 1024
    connections: int = 16384
    requests_per_user: int = 64

    def within(self, descriptors: int) -> "Limits":
        """Return the limits that a process with so many file descriptors can keep."""
        most = max((descriptors - DESCRIPTORS_OF_OUR_OWN) // DESCRIPTORS_PER_CONNECTION, 1)
        return Limits(self.connections_per_user, min(self.connections, most), self.requests_per_user)


class Crowd:
    """Counts connections."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._per_key: Counter[Hashable] = Counter()
        self._all = 0

    def enter(self, key: Hashable) -> None:
        """Count one more connection of ``key``.

        Raises:
            Refusal: 429, the person has too many; 503, all together have. It is not counted then.

        """
        if self._per_key[key] >= self._limits.connections_per_user:
            most = self._limits.connections_per_user
            raise Refusal(429, f"hostadmin: you have {most} connections open, the most that one person may have: end some of them", RULE)
        if self._all >= self._limits.connections:
            raise Refusal(503, "hostadmin: too many connections are open on this host: try again shortly", RULE)
        self._per_key[key] += 1
        self._all += 1

    def leave(self, key: Hashable) -> None:
        """Count one less."""
        self._all -= 1
        self._per_key[key] -= 1
        if not self._per_key[key]:
            del self._per_key[key]


class Turns:
    """Lets each person have so many requests under way; what comes above waits for its turn, in order."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._under_way: Counter[Hashable] = Counter()
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    async def take(self, key: Hashable) -> None:
        """Wait for a turn and take it."""
        if self._under_way[key] < self._limit:
            self._under_way[key] += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(key)  # it was handed over, and nobody is there to use it
            raise

    def give_back(self, key: Hashable) -> None:
        """Hand the turn to whoever waits longest, or keep it free."""
        queue = self._waiting.get(key)
        while queue:
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._waiting.pop(key, None)
        self._under_way[key] -= 1
        if not self._under_way[key]:
            del self._under_way[key]
