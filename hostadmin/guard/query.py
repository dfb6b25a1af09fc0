"""Query parameters of a row: unknown names, repetitions and wrong types are refused (T7, 1.5)."""

import re
from collections.abc import Mapping
from typing import Any, Final

from hostadmin.guard.refusal import malformed
from hostadmin.guard.strictjson import dump_json, parse_json
from hostadmin.guard.target import Query

FALSE: Final = ("", "0", "no", "false", "none")
_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")
_TIME: Final = re.compile(
    r"[0-9]{1,12}(\.[0-9]{1,9})?|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,18}(Z|[+-][0-9]{2}:[0-9]{2})?|([0-9]+(\.[0-9]+)?(h|m|s|ms|us|ns))+|"
)
VALUE_LIMIT: Final = 65536

Filters = dict[str, list[str]]


class Parameters:
    """The checked parameters of one request."""

    def __init__(self, pairs: Query, types: Mapping[str, str]) -> None:
        self.values: dict[str, list[Any]] = {}
        for name, text in pairs:
            kind = types.get(name)
            if kind is None:
                raise malformed(f"unknown query parameter {name[:64]!r}")
            if kind == "-":
                continue
            if name in self.values and not kind.endswith("*"):
                raise malformed(f"query parameter {name!r} given twice")
            self.values.setdefault(name, []).append(_convert(name, text, kind[0]))

    def text(self, name: str) -> str:
        """Return the value of a text parameter, empty if absent."""
        return str(self.values.get(name, [""])[0])

    def texts(self, name: str) -> list[str]:
        """Return all values of a repeatable parameter."""
        return self.values.get(name, [])

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean parameter."""
        return bool(self.values.get(name, [default])[0])

    def number(self, name: str) -> int:
        """Return an integer parameter, 0 if absent."""
        return int(self.values.get(name, [0])[0] or 0)

    def filters(self) -> Filters:
        """Return the ``filters`` parameter as key → values, empty if absent."""
        found: Filters = self.values.get("filters", [{}])[0]
        return found

    def pairs(self, *names: str) -> Query:
        """Return canonical pairs for the engine, of these parameters only, in this order."""
        pairs = []
        for name in names:
            for value in self.values.get(name, []):
                if isinstance(value, bool):
                    pairs.append((name, "1" if value else "0"))
                elif value != "":
                    pairs.append((name, str(value)))
        return pairs


def _convert(name: str, text: str, kind: str) -> Any:
    if len(text) > VALUE_LIMIT:
        raise malformed(f"query parameter {name!r} is too long")
    if kind == "b":
        return text.strip().lower() not in FALSE
    if kind == "i":
        if text and not _INTEGER.fullmatch(text):
            raise malformed(f"query parameter {name!r} must be a whole number")
        return int(text) if text else ""
    if kind == "t" and not _TIME.fullmatch(text):
        raise malformed(f"query parameter {name!r} must be a time")
    if kind == "f":
        return parse_filters(text)
    if any(c < " " and c != "\t" and name != "changes" for c in text):
        raise malformed(f"query parameter {name!r} holds control characters")
    return text


def parse_filters(text: str) -> Filters:
    """Read ``filters`` in the map form or the older list form."""
    if not text:
        return {}
    value = parse_json(text, "filters")
    if not isinstance(value, dict):
        raise malformed("filters must be an object")
    found: Filters = {}
    for key, given in value.items():
        values = list(given) if isinstance(given, dict) else [given] if isinstance(given, str) else given
        if not isinstance(values, list) or not all(type(v) in (str, bool, int) for v in values):
            raise malformed(f"filter {key[:64]!r} must be a list of text")
        found[key] = [str(v).lower() if isinstance(v, bool) else str(v) for v in values]
    return found


def build_filters(filters: Filters) -> Query:
    """Write filters for the engine in the map form."""
    used = {key: dict.fromkeys(values, True) for key, values in filters.items() if values}
    return [("filters", dump_json(used).decode("ascii"))] if used else []


def check_keys(filters: Filters, allowed: frozenset[str]) -> None:
    """Refuse filter keys that the endpoint does not know, in the engine's words."""
    for key in filters:
        if key not in allowed:
            raise malformed(f"Invalid filter '{key[:64]}'")
