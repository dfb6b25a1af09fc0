"""Types of parameters and of filter values: text in, one canonical value out (``engine-api.md`` 1.5, 2.11).

A kind is a function ``text -> value`` that raises ``ValueError`` with what the value must be. Empty text is
"not set", except where a kind gives it a meaning.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hostadmin.core.clock import now
from hostadmin.core.gotime import parse_time
from hostadmin.guard.refusal import malformed
from hostadmin.guard.strictjson import dump_json, parse_json

Kind = Callable[[str], Any]
INT32: Final = 2**31
INT64: Final = 2**63
FALSE: Final = ("", "0", "no", "false", "none")
SPACES: Final = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
"""What Go takes for space (``unicode.IsSpace``); Python adds the separators 0x1c to 0x1f."""
GO_BOOLEANS: Final = ("1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False")
_INTEGER: Final = re.compile(r"-?[0-9]{1,19}")
_UNIX: Final = re.compile(r"(0|[1-9][0-9]{0,11})(?:\.([0-9]{1,9}))?")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NAME: Final = r"[a-zA-Z0-9][a-zA-Z0-9_.-]*"
_PLATFORM_MEMBERS: Final = ("architecture", "os", "os.version", "os.features", "variant")


def boolean(text: str) -> bool:
    """Everything but a few words is true (moby ``httputils.BoolValue``)."""
    return text.strip(SPACES).lower() not in FALSE


def integer(low: int, high: int) -> Kind:
    """A decimal number from ``low`` to ``high``."""

    def read(text: str) -> int | str:
        if not text:
            return ""
        if not _INTEGER.fullmatch(text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return read


def unix_time(text: str) -> str:
    """Unix seconds with an optional fraction, written with nanoseconds (moby ``timestamp.ParseUnixTimestamp``).

    The engine takes no other form here: clients work out relative times and dates themselves. A bare ``0``
    stays: the engine reads it as "no limit".
    """
    if text in ("", "0"):
        return text
    found = _UNIX.fullmatch(text)
    if found is None:
        raise ValueError("must be Unix seconds, with a fraction of at most 9 digits")
    return f"{found[1]}.{(found[2] or '').ljust(9, '0')}"


def moment(text: str) -> str:
    """A time as Go programs read it, written as Unix seconds: durations and dates without a zone mean the host's clock.

    Raises:
        Refusal: in the engine's words.

    """
    try:
        since_epoch = parse_time(text, now()) - datetime.fromtimestamp(0, UTC)
    except ValueError as error:
        raise malformed(str(error)) from None
    seconds = max(since_epoch, timedelta(0))
    return f"{seconds.days * 86400 + seconds.seconds}.{seconds.microseconds:06d}000"


def plain(text: str) -> str:
    """Text on one line."""
    if _CONTROL.search(text):
        raise ValueError("holds control characters")
    return text


def lines(text: str) -> str:
    """Text that may have several lines (Dockerfile instructions)."""
    plain(text.replace("\n", ""))
    return text


def grammar(pattern: str, expected: str) -> Kind:
    """Text that matches ``pattern`` as a whole, or none."""
    compiled = re.compile(pattern)

    def read(text: str) -> str:
        if text and not compiled.fullmatch(text):
            raise ValueError(expected)
        return text

    return read


def words(*allowed: str) -> Kind:
    """One of a few words, or none."""

    def read(text: str) -> str:
        if text and text not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return text

    return read


def json_platform(text: str) -> str:
    """An OCI platform as JSON, written anew (moby ``httputils.DecodePlatform``)."""
    if not text:
        return ""
    value = parse_json(text, "platform")
    if not isinstance(value, dict) or any(name not in _PLATFORM_MEMBERS for name in value):
        raise ValueError(f"must be a JSON object with {', '.join(_PLATFORM_MEMBERS)} only")
    texts = [given for name, given in value.items() if name != "os.features"]
    features = value.get("os.features") or []
    if not isinstance(features, list) or not all(isinstance(t, str) and len(t) <= 128 for t in (*texts, *features)):
        raise ValueError("must be a JSON object of short texts")
    if not value.get("os") or not value.get("architecture"):
        raise ValueError("must name os and architecture")
    return dump_json({name: value[name] for name in _PLATFORM_MEMBERS if value.get(name)}).decode("ascii")


KINDS: Final[Mapping[str, Kind]] = {
    "b": boolean,
    "bool": words(*GO_BOOLEANS),
    "i": integer(-INT32, INT32 - 1),
    "l": integer(-INT64, INT64 - 1),
    "u": integer(0, 2 * INT32 - 1),
    "t": unix_time,
    "s": plain,
    "lines": lines,
    "p": grammar(r"[A-Za-z0-9_.-]{1,64}(?:/[A-Za-z0-9_.-]{1,64}){0,2}", "must be os[/arch[/variant]]"),
    "j": json_platform,
    "ref": grammar(rf"/?{_NAME}", "must be a name or an id"),
    "image": grammar(r"[^\x00-\x20\x7f\\%]{1,512}", "must name an image"),
    "path": grammar(r"[^\x00-\x1f\x7f]{1,4096}", "must be a path without control characters"),
    "signal": grammar(r"[A-Za-z0-9+-]{1,16}", "must be a signal's name or number"),
    "tail": grammar(r"all|-?[0-9]{1,9}", "must be a number or all"),
    "keys": grammar(r"[A-Za-z0-9@^\[\],_\\ -]{1,64}", "must be keys like ctrl-p,ctrl-q"),
    "ps": grammar(r"[A-Za-z0-9 ,_-]{1,64}", "may hold letters, digits, '-' and ',' only"),  # with "=" a column can pose as PID
    "condition": words("not-running", "next-exit", "removed"),
    "scope": words("local", "global", "swarm"),
    "part": words("container", "image", "volume", "build-cache"),
    "moment": moment,
}
