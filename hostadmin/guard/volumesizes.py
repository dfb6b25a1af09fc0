"""Sizes of volumes: only the engine's own ``system df`` knows them, and it walks the disk for everybody's.

So it is asked once for all who want to know within a few seconds, and everybody gets only their own out of it.
"""

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from hostadmin.guard.refusal import Refusal
from hostadmin.guard.target import build_path, build_query

if TYPE_CHECKING:
    from hostadmin.guard.exchange import Exchange

KEEP_SECONDS: Final = 3.0
BY_TYPE: Final = (1, 42)
OLD_SHAPE: Final = (1, 51)
UNKNOWN: Final = {"Size": -1, "RefCount": -1}


class VolumeSizes:
    """The engine's last answer, and a lock so that only one question is under way."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._known: dict[str, dict[str, Any]] = {}
        self._until = 0.0

    async def of(self, x: "Exchange", names: list[str]) -> dict[str, dict[str, Any]]:
        """Return name → ``UsageData`` (``Size`` in bytes, ``RefCount``) of these volumes, -1 where the engine has none.

        Raises:
            Refusal: the engine's own error.

        """
        if not names:
            return {}
        async with self._lock:
            if time.monotonic() > self._until or not all(name in self._known for name in names):
                begun = time.monotonic()
                self._known = await _ask(x)
                self._until = begun + KEEP_SECONDS
        return {name: self._known.get(name, UNKNOWN) for name in names}


async def _ask(x: "Exchange") -> dict[str, dict[str, Any]]:
    version = min(x.guard.offered_version, OLD_SHAPE)
    query = build_query([("type", "volume")] if version >= BY_TYPE else [])
    response = await x.upstream.request("GET", build_path(version, ("system", "df")) + query)
    if response.status != 200:
        raise Refusal(response.status, await response.message(), "engine", recorded=False)
    found = await response.json()
    return {v["Name"]: v.get("UsageData") or UNKNOWN for v in found.get("Volumes") or []}
