"""Time: the one place that asks the clock. Everything else takes ``now`` as an argument."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.fromtimestamp(time.time(), UTC)


def timestamp(moment: datetime | None = None) -> str:
    """Return ``moment`` (default: now) as RFC 3339 in UTC with microseconds, sortable as text."""
    moment = moment or now()
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_timestamp(text: str) -> datetime:
    """Read an RFC 3339 time as the engine or ``timestamp`` writes it (nanoseconds are cut).

    Raises:
        ValueError: if ``text`` is not such a time.

    """
    head, _, zone = text.partition(".")
    if zone:
        digits = zone.rstrip("Zz+-:0123456789") or zone
        fraction = "".join(c for c in digits.split("+")[0].split("-")[0] if c.isdigit())[:6]
        rest = zone.lstrip("0123456789") or "Z"
        text = f"{head}.{fraction or '0'}{rest}"
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
