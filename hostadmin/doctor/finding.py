"""What the doctor says: one finding of one thing."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Final

OK: Final = "ok"
WARN: Final = "warn"
FAIL: Final = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: ``level`` is ok, warn or fail."""

    level: str
    subject: str
    text: str

    def as_dict(self) -> dict[str, Any]:
        """Return the finding for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to do: a sentence, and, where a file settles it, the file and the literal lines that it must have."""

    advice: str = ""
    file: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a class needs of one thing, and what the host has of it.

    Args:
        level: ok; warn: enough for the class, not for what its profile lets everybody take; fail: not enough for the class.
        subject: the thing.
        need: what a class day takes.
        most: what the profile lets everybody take together; infinite: it sets no limit; ``None``: it says nothing of it.
        have: what is left; infinite: there is no limit; ``None``: it cannot be told.
        unit: of these three; ``bytes`` is to be shown in larger ones.
        remedy: what to do; empty where nothing is to be done.

    """

    level: str
    subject: str
    need: float | None = None
    most: float | None = None
    have: float | None = None
    unit: str = ""
    remedy: Remedy = field(default_factory=Remedy)

    def as_dict(self) -> dict[str, Any]:
        """Return the forecast for JSON, in which nothing is infinite: ``null`` stands for no limit too."""
        values = asdict(self)
        remedy: dict[str, Any] = values.pop("remedy")
        return {name: _finite(value) for name, value in values.items()} | remedy


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and math.isinf(value) else value
