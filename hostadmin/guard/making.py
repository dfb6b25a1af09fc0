"""Creates under way: an event may tell of what they make before the ledger has it.

Nothing that comes with an event says for sure whose an object is: its labels may come out of an image. So whoever reads
an event of an unknown object waits until the caller's own create has been recorded, and then asks the ledger.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry

CREATING: Final = frozenset(
    {Action.CONTAINER_CREATE, Action.NETWORK_CREATE, Action.VOLUME_CREATE, Action.IMAGE_IMPORT, Action.IMAGE_LOAD, Action.CONTAINER_COMMIT}
)
PATIENCE_SECONDS: Final = 2.0


class Making:
    """The creates whose intent is recorded and whose outcome is not yet."""

    def __init__(self) -> None:
        self._under_way: dict[str, tuple[Entry, asyncio.Event]] = {}

    def begin(self, entry: Entry) -> None:
        """Remember a create; other actions are none of its business."""
        if entry.action in CREATING:
            self._under_way[entry.req] = (entry, asyncio.Event())

    def end(self, entry: Entry) -> None:
        """Forget it: what it made is recorded, or nothing was made."""
        known = self._under_way.pop(entry.req, None)
        if known is not None:
            known[1].set()

    async def settle(self, concerns: Callable[[Entry], bool]) -> bool:
        """Wait until the creates that ``concerns`` picks have ended; return whether there were any.

        Waits two seconds at most: whoever reads events must not be held up by an engine that hangs.
        """
        ends = [end for entry, end in self._under_way.values() if concerns(entry)]
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                for end in ends:
                    await end.wait()
        except TimeoutError:
            pass
        return bool(ends)
