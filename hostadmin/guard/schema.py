"""Closed schemas for JSON bodies: what is not listed is refused with its path, everything at once.

A type is a function ``(value, at) -> value`` that returns the checked value, or notes at its place what is wrong
with it. ``null`` means "not set" and is dropped from objects, except for members made with ``keep_null``.
A member that is newer than the version of the request is not judged but told (``since``).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hostadmin.guard.refusal import malformed

NEUTRAL: Final[tuple[Any, ...]] = ("", 0, False, [], {}, None, {"Name": ""}, {"Network": ""})
Version = tuple[int, int]


@dataclass(slots=True)
class Findings:
    """What is wrong with a document: unknown members, malformed values, values that nobody is allowed."""

    unknown: list[str] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def message(self) -> str:
        """Return all of it as one text; empty if nothing is wrong."""
        unknown = ["unknown field: " + ", ".join(sorted(self.unknown))] if self.unknown else []
        return "; ".join([*unknown, *self.malformed, *self.refused])


@dataclass(frozen=True, slots=True)
class At:
    """A place in a document, the version of its request, and the findings of the whole document."""

    path: str
    version: Version | None
    findings: Findings

    def below(self, name: str) -> "At":
        """Return the place of a member."""
        return At(f"{self.path}.{name}" if self.path else name, self.version, self.findings)

    def item(self, index: int) -> "At":
        """Return the place of an item."""
        return At(f"{self.path}[{index}]", self.version, self.findings)

    def wrong(self, what: str) -> Any:
        """Note that the value is not of its type."""
        self.findings.malformed.append(f"{self.path or 'body'} {what}")
        return DROPPED

    def refuse(self, why: str) -> Any:
        """Note that the value is not allowed to anybody."""
        self.findings.refused.append(f"{self.path} {why}")
        return DROPPED


Type = Callable[[Any, At], Any]


class _Dropped:
    """Marks a member that is not forwarded."""


DROPPED: Final = _Dropped()


class Schema:
    """The type of a whole document."""

    def __init__(self, of: Type) -> None:
        self._of = of

    def __call__(self, value: Any, path: str = "", *, version: Version | None = None, refusals: list[str] | None = None) -> Any:
        """Return the checked document.

        Args:
            value: what was parsed.
            path: where it stands, for messages.
            version: the request's API version; ``None``: all members are known.
            refusals: takes what is not allowed, to be told together with more of its kind; ``None``: it raises.

        Raises:
            Refusal: 400 with everything that is malformed, else 403 with everything that is not allowed.

        """
        findings = Findings()
        checked = self._of(value, At(path, version, findings))
        if findings.unknown or findings.malformed:
            raise malformed(findings.message())
        if refusals is None and findings.refused:
            raise malformed(findings.message(), status=403)
        if refusals is not None:
            refusals += findings.refused
        return checked


def text(limit: int = 4096, pattern: str | None = None) -> Type:
    """Text of at most ``limit`` characters, matching ``pattern`` as a whole if given."""
    compiled = re.compile(pattern) if pattern else None

    def check(value: Any, at: At) -> Any:
        if not isinstance(value, str) or len(value) > limit:
            return at.wrong(f"must be text of at most {limit} characters")
        if compiled and not compiled.fullmatch(value):
            return at.wrong("has an unacceptable value")
        return value

    return check


def choice(*allowed: str) -> Type:
    """One of a few words; another one is refused with those that there are."""

    def check(value: Any, at: At) -> Any:
        if not isinstance(value, str):
            return at.wrong("must be text")
        if value not in allowed:
            return at.refuse(f"{value[:64]!r} is not allowed here: use {', '.join(word for word in allowed if word)}")
        return value

    return check


def integer(low: int = -(2**63), high: int = 2**63 - 1) -> Type:
    """An integer from ``low`` to ``high``; a boolean is none."""

    def check(value: Any, at: At) -> Any:
        if type(value) is not int or not low <= value <= high:
            return at.wrong(f"must be a whole number from {low} to {high}")
        return value

    return check


def boolean(value: Any, at: At) -> Any:
    """``true`` or ``false``."""
    return value if type(value) is bool else at.wrong("must be true or false")


def items(of: Type, limit: int = 1000, *, size: int | None = None) -> Type:
    """A list of one type; with ``size`` of exactly so many items, or none."""

    def check(value: Any, at: At) -> Any:
        if not isinstance(value, list) or len(value) > limit:
            return at.wrong(f"must be a list of at most {limit} items")
        if size is not None and len(value) not in (0, size):
            return at.wrong(f"must be a list of {size} items")
        found = [of(item, at.item(i)) for i, item in enumerate(value)]
        return [item for item in found if item is not DROPPED]

    return check


def words(value: Any, at: At) -> Any:
    """A list of text, or one text on its own (``Cmd``, ``Entrypoint``: rule J7)."""
    return [value] if isinstance(value, str) else items(text(131072))(value, at)


def mapping(of: Type, key: str = r"[^\0]{1,1024}", limit: int = 1000) -> Type:
    """An open map: its keys are data that match ``key``."""
    compiled = re.compile(key, re.DOTALL)

    def check(value: Any, at: At) -> Any:
        if not isinstance(value, dict) or len(value) > limit:
            return at.wrong(f"must be an object of at most {limit} members")
        for name in value:
            if not compiled.fullmatch(name):
                at.wrong(f"has an unacceptable key {name[:64]!r}")
        found = {name: of(item, at.below(name[:64])) for name, item in value.items()}
        return {name: item for name, item in found.items() if item is not DROPPED}

    return check


def nullable(of: Type) -> Type:
    """The type, or ``null`` (kept as such: a port without bindings)."""
    return lambda value, at: None if value is None else of(value, at)


def empty(value: Any, at: At) -> Any:
    """An empty object, as in ``Volumes`` and ``ExposedPorts``."""
    return {} if value in ({}, None) and type(value) is not bool else at.wrong("must be an empty object")


def dropped(_value: Any, _at: At) -> Any:
    """Anything; not forwarded (the engine ignores it too)."""
    return DROPPED


def is_neutral(value: Any) -> bool:
    """Tell whether clients send this value for "not set"."""
    return any(value == n and type(value) is type(n) for n in NEUTRAL)


def neutral(reason: str) -> Type:
    """Only the value that clients send for "not set"; anything else is refused with ``reason``."""

    def check(value: Any, at: At) -> Any:
        return DROPPED if is_neutral(value) else at.refuse(f"is not allowed here: {reason}")

    return check


def refused(reason: str) -> Type:
    """No value but ``null`` (which never arrives here): ``[]`` is not "not set" (rule J6)."""
    return lambda _value, at: at.refuse(f"is not allowed here: {reason}")


def since(version: Version, of: Type, *, ignored: bool = False) -> Type:
    """A member that the API has from ``version`` on.

    In an older request the engine ignores it. A value for "not set" is dropped there, and so is every value of
    a member that changes nothing but looks (``ignored``); any other value is told: it would not take effect.
    """

    def check(value: Any, at: At) -> Any:
        if at.version is None or at.version >= version:
            return of(value, at)
        if ignored or is_neutral(value):
            return DROPPED
        return at.wrong(f"needs API {version[0]}.{version[1]}, and this request speaks {at.version[0]}.{at.version[1]}")

    return check


def record(members: Mapping[str, Type], *, keep_null: frozenset[str] = frozenset()) -> Type:
    """An object with exactly these members, in this order; unknown ones are told by name."""

    def check(value: Any, at: At) -> Any:
        if not isinstance(value, dict):
            return at.wrong("must be an object")
        at.findings.unknown.extend(at.below(name[:64]).path for name in value if name not in members)
        checked: dict[str, Any] = {}
        for name, of in members.items():
            given = value.get(name)
            if given is None:
                if name in keep_null and name in value:
                    checked[name] = None
                continue
            result = of(given, at.below(name))
            if result is not DROPPED:
                checked[name] = result
        return checked

    return check
