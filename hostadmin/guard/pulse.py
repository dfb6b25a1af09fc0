"""The engine's pulse: one answer to ``_ping`` serves everybody who asks at about the same time.

A ping is the same for all callers, and every command of a client begins with one. The answer is kept for
``FRESH_SECONDS`` and only while the connection it came over stands: an engine that has ended is noticed at once.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hostadmin.guard.exchange import passed_fields
from hostadmin.guard.upstream import Upstream

FRESH_SECONDS: Final = 0.25
PULSE_SECONDS: Final = 10
NOT_KEPT: Final = ("Cache-Control", "no-cache, no-store, must-revalidate")
CLASSIC: Final = (("Builder-Version", "1"), ("Swarm", "inactive"))


@dataclass(frozen=True, slots=True)
class Beat:
    """One answer of the engine: status, headers that are passed on, body."""

    status: int
    fields: tuple[tuple[str, str], ...]
    data: bytes


class Pulse:
    """Asks the engine whether it is there.

    Args:
        engine_socket: the engine.
        learn_version: told the engine's newest API version, as it says it.
        says_classic: builds are classic and there is no swarm, whatever the engine has.

    """

    def __init__(self, engine_socket: str, learn_version: Callable[[str | None], None], *, says_classic: bool = True) -> None:
        self._upstream = Upstream(engine_socket)
        self._learn_version = learn_version
        self._says_classic = says_classic
        self._asking: asyncio.Future[Beat] | None = None
        self._beat: Beat | None = None
        self._until = 0.0

    async def feel(self) -> Beat:
        """Return the engine's answer of just now.

        Raises:
            Refusal: 503, the engine cannot be reached; 504, it has not answered in ``PULSE_SECONDS``.
            Gone: it ended meanwhile.

        """
        beat = self._fresh()
        if beat is not None:
            return beat
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._ask())
        return await asyncio.shield(self._asking)  # one question for all who wait; whoever goes away leaves it to the others

    def _fresh(self) -> Beat | None:
        channel = self._upstream.channel
        stands = channel is not None and not channel.eof and asyncio.get_running_loop().time() < self._until
        return self._beat if stands else None

    async def _ask(self) -> Beat:
        self._beat = None
        async with self._upstream.within(PULSE_SECONDS):
            response = await self._upstream.request("GET", "/_ping")
            data = await response.read()
        self._learn_version(response.head.get("api-version"))
        own = CLASSIC if self._says_classic else [(n, v) for n, _ in CLASSIC if (v := response.head.get(n.lower())) is not None]
        beat = self._beat = Beat(response.status, (*own, NOT_KEPT, *passed_fields(response)), data)
        self._until = asyncio.get_running_loop().time() + FRESH_SECONDS
        return beat
