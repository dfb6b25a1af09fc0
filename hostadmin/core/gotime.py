"""Points in time as Go programs read them on a command line (moby ``timestamp.Parse``).

A Go duration before now, an RFC 3339 time with or without its zone and its smaller parts, or Unix seconds.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+")
_PART: Final = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_UNIX: Final = re.compile(r"(\+?[0-9]{1,12})(?:\.([0-9]{0,20}))?")
_ZONED: Final = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})(?:T(?P<hour>[0-9]{2})(?::(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})"
    r"(?:\.(?P<fraction>[0-9]{1,9}))?)?)?)?(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?"
)


def parse_time(text: str, now: datetime, zone: tzinfo | None = None) -> datetime:
    """Return the moment that ``text`` means, aware, in UTC.

    Args:
        text: a duration before ``now``, an RFC 3339 time (whole or cut after any part), or Unix seconds.
        now: the reference of a duration.
        zone: the zone of a time that names none (the engine's); ``None``: this process's.

    Raises:
        ValueError: ``text`` is no such time; its message is for the caller.

    """
    if not text.strip():
        raise ValueError("failed to parse value as time or duration: value is empty")
    try:
        return _parse(text, now, zone)
    except OverflowError:
        raise ValueError(f"failed to parse value as time or duration: {text[:64]!r} is out of range") from None


def _parse(text: str, now: datetime, zone: tzinfo | None) -> datetime:
    if _DURATION.fullmatch(text):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
        return (now - timedelta(seconds=-seconds if text.startswith("-") else seconds)).astimezone(UTC)
    found = _ZONED.fullmatch(text)
    if found is not None:
        return _date(found, zone)
    unix = _UNIX.fullmatch(text)
    if unix is None:
        raise ValueError(f"failed to parse value as time or duration: {text[:64]!r}")
    fraction = int(((unix[2] or "") + "000000")[:6])
    return datetime.fromtimestamp(int(unix[1]), UTC) + timedelta(microseconds=fraction)


def _date(found: "re.Match[str]", zone: tzinfo | None) -> datetime:
    clock = f"{found['hour'] or '00'}:{found['minute'] or '00'}:{found['second'] or '00'}.{(found['fraction'] or '0')[:6]}"
    offset = {"Z": "+00:00", None: ""}.get(found["zone"], found["zone"])
    moment = datetime.fromisoformat(f"{found['day']}T{clock}{offset}")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone) if zone is not None else moment.astimezone()
    return moment.astimezone(UTC)
