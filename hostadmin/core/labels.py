"""Labels that only hostadmin sets: hints that let a lost ledger be rebuilt, never the truth (law 3)."""

from typing import Final

RESERVED_PREFIX: Final = "io.hostadmin."
OWNER_LABEL: Final = "io.hostadmin.owner"
"""The owner's account id."""
REQUEST_LABEL: Final = "io.hostadmin.req"
"""The request, as in the audit, that made the object."""


def without_reserved(labels: dict[str, str] | None) -> dict[str, str]:
    """Return labels as their owner set them: compose compares a network's and a volume's with its own file."""
    return {name: value for name, value in (labels or {}).items() if not name.startswith(RESERVED_PREFIX)}
