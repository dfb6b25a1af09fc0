"""JSON from callers: one value, no duplicate keys, no floats, bounded (``engine-api.md`` 1.4 J1 to J5).

What comes out holds only ``None``, ``bool``, ``int`` within int64, ``str``, ``list`` and ``dict``.
"""

import json
from typing import Any, Final, NoReturn

from hostadmin.guard.refusal import malformed

DEPTH_LIMIT: Final = 16
KEYS_LIMIT: Final = 10_000
INT64: Final = 2**63

Json = Any


def parse_json(data: bytes | str, where: str = "body") -> Json:
    """Read exactly one JSON value.

    Raises:
        Refusal: 400 with what is wrong and ``where``.

    """
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        if text.startswith("\ufeff"):
            raise ValueError("a byte order mark")
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=_no_float,
            parse_constant=_no_float,
            parse_int=_integer,
        )
    except (ValueError, RecursionError) as error:
        reason = str(error).split(":")[0] if not isinstance(error, RecursionError) else "nested too deeply"
        raise malformed(f"{where} is not acceptable JSON: {reason}") from None
    _check(value, where)
    return value


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _no_float(text: str) -> NoReturn:
    raise ValueError(f"the number {text[:32]} is not an integer")


def _integer(text: str) -> int:
    if len(text) > 20 or not -INT64 <= int(text) < INT64:  # digits of int64
        raise ValueError("a number is too large")
    return int(text)


def _check(value: Json, where: str) -> None:
    """Bound depth and size and refuse NUL and lone surrogates, without recursion."""
    level, count = [value], 0
    for _ in range(DEPTH_LIMIT):
        below: list[Json] = []
        for item in level:
            if isinstance(item, str):
                _check_text(item, where)
            elif isinstance(item, dict):
                below.extend(item.keys())
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        count += len(below)
        if not below:
            return
        if count > KEYS_LIMIT * 2:
            raise malformed(f"{where} has too many members")
        level = below
    raise malformed(f"{where} is nested too deeply")


def _check_text(text: str, where: str) -> None:
    if "\0" in text or (not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text)):
        raise malformed(f"{where} holds text with NUL or a lone surrogate")


def dump_json(value: Json) -> bytes:
    """Write a value for the engine: compact, ASCII only."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode("ascii")
