"""Texts of the engine without what they reveal of others (``engine-api.md`` 6.6)."""

import re
from typing import Final

from hostadmin.core.values import Kind
from hostadmin.guard.ledger import Ledger

_ID: Final = re.compile(r"(?:sha256:)?\b[0-9a-f]{12,64}\b")
_NAME_TAKEN: Final = re.compile(r'(Conflict\. The container name "[^"]*" is already in use) by container "?([0-9a-f]{64})"?\..*', re.DOTALL)
HIDDEN: Final = "another user's object"


def clean_message(message: str, ledger: Ledger, owner: str) -> str:
    """Return ``message`` with ids of foreign containers and networks replaced.

    Args:
        message: the engine's own text.
        ledger: who owns what.
        owner: the caller's account id; own ids stay.

    """
    own = ledger.owned(Kind.CONTAINER, owner) | ledger.owned(Kind.NETWORK, owner) | ledger.held(owner)

    def hide(found: "re.Match[str]") -> str:
        text = found[0].removeprefix("sha256:")
        return found[0] if any(o.removeprefix("sha256:").startswith(text) for o in own) else HIDDEN

    taken = _NAME_TAKEN.match(message)
    if taken and taken[2] not in own:
        return f"{taken[1]} on this host. Choose another name."
    return _ID.sub(hide, message)
