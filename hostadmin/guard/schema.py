"""Closed schemas for JSON bodies: what is not listed is refused with its path.

A type is a function ``(value, path) -> value`` that returns the checked value or raises ``Refusal``.
``null`` means "not set" and is dropped from objects, except for members made with ``keep_null``.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from hostadmin.guard.refusal import malformed

Type = Callable[[Any, str], Any]
NEUTRAL: Final[tuple[Any, ...]] = ("", 0, False, [], {}, None, {"Name": ""}, {"Network": ""})


def text(limit: int = 4096, pattern: str | None = None) -> Type:
    """Text of at most ``limit`` characters, matching ``pattern`` as a whole if given."""
    compiled = re.compile(pattern) if pattern else None

    def check(value: Any, path: str) -> Any:
        if not isinstance(value, str) or len(value) > limit:
            raise malformed(f"{path} must be text of at most {limit} characters")
        if compiled and not compiled.fullmatch(value):
            raise malformed(f"{path} has an unacceptable value")
        return value

    return check


def choice(*allowed: str) -> Type:
    """One of a few words; another one is refused with those that there are."""

    def check(value: Any, path: str) -> Any:
        if value not in allowed or not isinstance(value, str):
            shown = ", ".join(word for word in allowed if word)
            raise malformed(f"{path} {str(value)[:64]!r} is not allowed here: use {shown}", status=403)
        return value

    return check


def integer(low: int = -(2**63), high: int = 2**63 - 1) -> Type:
    """An integer from ``low`` to ``high``; a boolean is none."""

    def check(value: Any, path: str) -> Any:
        if type(value) is not int or not low <= value <= high:
            raise malformed(f"{path} must be a whole number from {low} to {high}")
        return value

    return check


def boolean(value: Any, path: str) -> Any:
    """``true`` or ``false``."""
    if type(value) is not bool:
        raise malformed(f"{path} must be true or false")
    return value


def items(of: Type, limit: int = 1000) -> Type:
    """A list of one type."""

    def check(value: Any, path: str) -> Any:
        if not isinstance(value, list) or len(value) > limit:
            raise malformed(f"{path} must be a list of at most {limit} items")
        return [of(item, f"{path}[{i}]") for i, item in enumerate(value)]

    return check


def words(value: Any, path: str) -> Any:
    """A list of text, or one text on its own (``Cmd``, ``Entrypoint``: rule J7)."""
    return [value] if isinstance(value, str) else items(text(131072))(value, path)


def mapping(of: Type, key: str = r"[^\0]{1,1024}", limit: int = 1000) -> Type:
    """An open map: its keys are data that match ``key``."""
    compiled = re.compile(key, re.DOTALL)

    def check(value: Any, path: str) -> Any:
        if not isinstance(value, dict) or len(value) > limit:
            raise malformed(f"{path} must be an object of at most {limit} members")
        for name in value:
            if not compiled.fullmatch(name):
                raise malformed(f"{path} has an unacceptable key {name[:64]!r}")
        return {name: of(item, f"{path}.{name[:64]}") for name, item in value.items()}

    return check


def nullable(of: Type) -> Type:
    """The type, or ``null`` (kept as such: a port without bindings)."""
    return lambda value, path: None if value is None else of(value, path)


def empty(value: Any, path: str) -> Any:
    """An empty object, as in ``Volumes`` and ``ExposedPorts``."""
    if value not in ({}, None):
        raise malformed(f"{path} must be an empty object")
    return {}


class _Dropped:
    """Marks a member that is accepted and not forwarded."""


DROPPED: Final = _Dropped()


def dropped(_value: Any, _path: str) -> Any:
    """Anything; not forwarded (the engine ignores it too)."""
    return DROPPED


def neutral(reason: str) -> Type:
    """Only the value that clients send for "not set"; anything else is refused with ``reason``."""

    def check(value: Any, path: str) -> Any:
        if not any(value == n and type(value) is type(n) for n in NEUTRAL):
            raise malformed(f"{path} is not allowed here: {reason}", status=403)
        return DROPPED

    return check


def refused(reason: str) -> Type:
    """No value but ``null`` (which never arrives here): ``[]`` is not "not set" (rule J6)."""

    def check(_value: Any, path: str) -> Any:
        raise malformed(f"{path} is not allowed here: {reason}", status=403)

    return check


def record(members: Mapping[str, Type], *, keep_null: frozenset[str] = frozenset()) -> Type:
    """An object with exactly these members, in this order; unknown ones are refused by name."""

    def check(value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            raise malformed(f"{path or 'body'} must be an object")
        unknown = [name for name in value if name not in members]
        if unknown:
            prefix = f"{path}." if path else ""
            raise malformed("unknown field: " + ", ".join(prefix + name[:64] for name in sorted(unknown)))
        checked: dict[str, Any] = {}
        for name, of in members.items():
            given = value.get(name)
            if given is None:
                if name in keep_null and name in value:
                    checked[name] = None
                continue
            result = of(given, f"{path}.{name}" if path else name)
            if result is not DROPPED:
                checked[name] = result
        return checked

    return check
