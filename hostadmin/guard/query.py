"""Query parameters of a row: unknown names, repetitions and wrong types are refused (T7, 1.5).

What a row takes is written ``KIND``, ``KIND*`` (may be repeated), ``KIND*52`` (may be repeated from 1.52),
each with ``@48`` (known from 1.48; refused before) or ``@48~`` (dropped before, as the engine does and
clients rely on). ``-`` is accepted and dropped; ``!REASON`` takes only an empty value.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hostadmin.guard.filters import FILTERS
from hostadmin.guard.kinds import KINDS, lines
from hostadmin.guard.refusal import malformed
from hostadmin.guard.strictjson import dump_json, parse_json
from hostadmin.guard.target import VERSION_HIGHEST, VERSION_LOWEST, Query, Version, dotted

_SPEC: Final = re.compile(r"(?P<kind>-|[a-z]+)(?:(?P<many>\*)(?P<many_from>[0-9]{2})?)?(?:@(?P<since>[0-9]{2})(?P<ignored>~)?)?")
VALUE_LIMIT: Final = 65536
OLDEST: Final = VERSION_LOWEST[1]
NEVER: Final = VERSION_HIGHEST[1] + 1

Filters = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a row takes under one name: its kind, from which minor versions, and whether it may be repeated."""

    read: Callable[[str, Version], Any] | None
    since: int = OLDEST
    ignored_before: bool = False
    many_from: int = NEVER
    refused: str = ""


def read_parameter(spec: str, keys: Mapping[str, "Parameter"] | None = None) -> Parameter:
    """Read the notation of a parameter.

    Args:
        spec: as described above.
        keys: for kind ``f``, what the endpoint's filters may hold.

    """
    if spec.startswith("!"):
        return Parameter(None, refused=spec[1:])
    found = _SPEC.fullmatch(spec)
    assert found is not None, spec  # noqa: S101  # a mistake in the table
    since = int(found["since"] or OLDEST)
    many_from = int(found["many_from"] or since) if found["many"] else NEVER
    return Parameter(_reader(found["kind"], keys), since, bool(found["ignored"]), many_from)


def _reader(kind: str, keys: Mapping[str, Parameter] | None) -> Callable[[str, Version], Any] | None:
    if kind == "-":
        return None
    if kind == "f":
        assert keys is not None  # noqa: S101  # a mistake in the table
        return lambda text, version: check_filters(parse_filters(text), keys, version)
    read = KINDS[kind]
    return lambda text, _version: read(text)


def read_parameters(operation: str, query: Mapping[str, str]) -> dict[str, Parameter]:
    """Read all that a row takes."""
    keys = {key: read_parameter(spec) for key, spec in FILTERS.get(operation, {}).items()}
    return {name: read_parameter(spec, keys) for name, spec in query.items()}


ANYTHING: Final = Parameter(lambda text, _version: lines(text), many_from=OLDEST)


class Parameters:
    """The checked parameters of one request.

    Args:
        pairs: name and value as decoded, in the request's order.
        known: what the row takes; ``None`` takes any text under any name (an administrator; a row that refuses anyway).
        version: the request's version.

    Raises:
        Refusal: 400 with the name of what is wrong, 403 for one that is never taken.

    """

    def __init__(self, pairs: Query, known: Mapping[str, Parameter] | None, version: Version = VERSION_HIGHEST) -> None:
        self.values: dict[str, list[Any]] = {}
        for name, text in pairs:
            parameter = ANYTHING if known is None else known.get(name)
            if parameter is None:
                raise malformed(f"unknown query parameter {name[:64]!r}")
            if _is_taken(name, text, parameter, version):
                self._add(name, text, parameter, version)

    def _add(self, name: str, text: str, parameter: Parameter, version: Version) -> None:
        assert parameter.read is not None  # noqa: S101  # those are not taken
        if name in self.values and version[1] < parameter.many_from:
            raise malformed(f"query parameter {name!r} given twice")
        if len(text) > VALUE_LIMIT:
            raise malformed(f"query parameter {name!r} is too long")
        try:
            value = parameter.read(text, version)
        except ValueError as error:
            raise malformed(f"query parameter {name!r} {error}") from None
        self.values.setdefault(name, []).append(value)

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


def _is_taken(name: str, text: str, parameter: Parameter, version: Version) -> bool:
    """Tell whether a parameter counts in this version, or is dropped."""
    if parameter.refused and text:
        raise malformed(f"query parameter {name!r} is not allowed here: {parameter.refused}", status=403)
    if parameter.read is None:
        return False
    if version[1] >= parameter.since:
        return True
    if not parameter.ignored_before:
        raise malformed(f"query parameter {name!r} needs API version 1.{parameter.since}; this request is in {dotted(version)}")
    return False


def parse_filters(text: str) -> Filters:
    """Read ``filters`` in the map form or the older list form, one for all keys (moby ``filters.FromJSON``).

    A key without values stays: for some keys nothing fits it, for others everything. A value that is ``false`` is
    refused: some keys take it for the value, others for none.
    """
    if not text:
        return {}
    value = parse_json(text, "filters")
    if value is None:  # an empty Go map
        return {}
    if not isinstance(value, dict):
        raise malformed("filters must be an object")
    found: Filters = {}
    for key, given in value.items():
        if isinstance(given, dict) and not all(v is True for v in given.values()):
            raise malformed(f"filter {key[:64]!r} must be a map of text to true; leave out what is not meant")
        if not isinstance(given, dict | list) or not all(isinstance(v, str) for v in given):
            raise malformed(f"filter {key[:64]!r} must be a list of text")
        found[key] = list(given)
    if len({type(given) for given in value.values()}) > 1:
        raise malformed("filters must be all maps or all lists")
    return found


def check_filters(filters: Filters, keys: Mapping[str, Parameter], version: Version) -> Filters:
    """Refuse keys that the endpoint does not know in this version, and values of another kind; write values canonically."""
    checked: Filters = {}
    for key, values in filters.items():
        known = keys.get(key)
        if known is None or known.read is None or version[1] < known.since:
            raise malformed(f"Invalid filter '{key[:64]}'")
        try:
            checked[key] = [str(known.read(value, version)) for value in values]
        except ValueError as error:
            raise malformed(f"filter {key!r} {error}") from None
    return checked


def build_filters(filters: Filters) -> Query:
    """Write filters for the engine in the map form."""
    used = {key: dict.fromkeys(values, True) for key, values in filters.items()}
    return [("filters", dump_json(used).decode("ascii"))] if used else []
