"""What the cells of a roster may hold: one check a column. Text in, value out, or ``Wrong`` with the reason. Pure.

A reason never repeats a hash or a key; where a single character is wrong, it says which one and where, by byte and code point.
"""

import calendar
import re
import unicodedata
from collections.abc import Callable, Set as AbstractSet
from datetime import date
from typing import Final

from hostadmin.core.crypt import check_hash
from hostadmin.core.errors import Invalid
from hostadmin.core.names import check_login
from hostadmin.core.sshkeys import KEY_BEGINS, check_key, holds_private_key
from hostadmin.users.names import check_name

MAIL_LIMIT: Final = 254  # RFC 5321 4.5.3.1.3, the angle brackets taken off
LOGIN_BYTES: Final = 31
COHORT_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
GROUP_BYTES: Final = 32  # GROUP_NAME_MAX_LENGTH of shadow
KEYS: Final = 20
GROUPS: Final = 32
"""Of one user."""

WORDS: Final = {"yes": True, "true": True, "1": True, "y": True, "no": False, "false": False, "0": False, "n": False}
KEY_BREAK: Final = re.compile(rf"\n|\||[;,][ \t]*(?={KEY_BEGINS})")
"""Between two SSH keys: a new line or ``|``, which are in no key; ``;`` and ``,`` where a key begins: else they are a comment's."""

_LOGIN_FIRST: Final = frozenset("abcdefghijklmnopqrstuvwxyz")
_LOGIN_REST: Final = _LOGIN_FIRST | frozenset("0123456789_-")
_COHORT_FIRST: Final = _LOGIN_FIRST | frozenset("0123456789")
_COHORT_REST: Final = _COHORT_FIRST | frozenset("_.-")
_GROUP_FIRST: Final = _LOGIN_FIRST | {"_"}
_ISO: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_ISO_SHORT: Final = re.compile(r"[0-9]{1,4}-[0-9]{1,2}-[0-9]{1,2}")
_COMPACT: Final = re.compile(r"[0-9]{8}")


class Wrong(Exception):
    """A cell that is not taken, and why."""


def character(text: str, at: int) -> str:
    """Return how the character at an index is told: its byte from 1 in UTF-8, its number, and its name or itself."""
    char = text[at]
    byte = len(text[:at].encode("utf-8", "surrogatepass")) + 1
    if not char.isascii():
        return f"byte {byte} is U+{ord(char):04X} {unicodedata.name(char, 'without a name')}"
    return f"byte {byte} is 0x{ord(char):02x} {repr(char) if char.isprintable() else '(a control character)'}"


def check_printable(text: str, *, but: str = "") -> None:
    """Refuse control characters, line breaks, direction overrides and all else that cannot be seen, except those of ``but``."""
    for at, char in enumerate(text):
        if not char.isprintable() and char not in but:
            raise Wrong(f"{character(text, at)}: only characters that can be seen, on one line")


def _by_letters(text: str, first: AbstractSet[str], rest: AbstractSet[str], allowed: str, begins: str) -> None:
    for at, char in enumerate(text):
        if char not in rest:
            raise Wrong(f"{character(text, at)}: only {allowed}")
        if at == 0 and char not in first:
            raise Wrong(f"{character(text, at)}: it must begin with {begins}")


def login(text: str) -> str:
    """Return a login that ``core.names`` takes."""
    _by_letters(text, _LOGIN_FIRST, _LOGIN_REST, "a-z, 0-9, '_' and '-'", "a-z")
    if len(text) > LOGIN_BYTES:
        raise Wrong(f"it has {len(text)} bytes: at most {LOGIN_BYTES}")
    return _as_wrong(check_login, text)


def name(text: str) -> str:
    """Return a person's name that can stand in passwd."""
    check_printable(text)
    return _as_wrong(check_name, text)


def mail(text: str) -> str:
    """Return a mail address that has the form of one; whether it is reachable nobody can tell from here."""
    check_printable(text)
    if len(text) > MAIL_LIMIT:
        raise Wrong(f"it has {len(text)} characters: at most {MAIL_LIMIT}")
    local, _, domain = text.partition("@")
    if text.count("@") != 1 or not local or not domain or any(c.isspace() for c in text):
        raise Wrong("it is no mail address: one '@' with something on both sides, and no spaces")
    return text


def profile(text: str, known: AbstractSet[str]) -> str:
    """Return a profile that there is."""
    check_printable(text)
    if text not in known:
        raise Wrong(f"there is no such profile; known ones: {', '.join(sorted(known)) or 'none'}")
    return text


def groups(text: str, is_group: Callable[[str], str | None]) -> tuple[str, ...]:
    """Return groups, each once, in the order given; between them spaces, commas or semicolons.

    Args:
        text: the cell.
        is_group: tells why a group may not be given, or None.

    """
    check_printable(text)
    found = dict.fromkeys(g for g in re.split(r"[ ,;]+", text) if g)
    if len(found) > GROUPS:
        raise Wrong(f"there are {len(found)} groups: at most {GROUPS}")
    wrong = [f"group {number}: {why}" for number, group in enumerate(found, 1) if (why := _why_no_group(group, is_group))]
    if wrong:
        raise Wrong("; ".join(wrong))
    return tuple(found)


def _why_no_group(group: str, is_group: Callable[[str], str | None]) -> str | None:
    try:
        _by_letters(group, _GROUP_FIRST, _LOGIN_REST, "a-z, 0-9, '_' and '-'", "a-z or '_'")
    except Wrong as wrong:
        return str(wrong)
    return is_group(group) if len(group) <= GROUP_BYTES else f"it has {len(group)} bytes: at most {GROUP_BYTES}"


def keys(text: str) -> tuple[str, ...]:
    """Return public keys as lines for authorized_keys, each once; between them what ``KEY_BREAK`` says."""
    if holds_private_key(text):  # not line by line: all of it is secret
        _as_wrong(check_key, text)
    parts = [part for part in KEY_BREAK.split(text) if part.strip(" \t")]
    if len(parts) > KEYS:
        raise Wrong(f"there are {len(parts)} keys: at most {KEYS}")
    lines: dict[str, str] = {}
    wrong = []
    for number, part in enumerate(parts, 1):
        try:
            key = check_key(part.strip(" \t"))
        except Invalid as error:
            wrong.append(f"key {number}: {_reason(error)}")
        else:
            lines.setdefault(key.blob, key.line)
    if wrong:
        raise Wrong("; ".join(wrong))
    return tuple(lines.values())


def day(text: str) -> date:
    """Return a date that is written as ISO 8601 writes it, ``YYYY-MM-DD``, and that there is.

    Strict, because ``useradd`` takes 2026-13-45 for a day of 2027 (``accounts.md`` 2.4).
    """
    found = _ISO.fullmatch(text)
    if not found:
        raise Wrong(f"{_why_no_date(text)}; wanted: YYYY-MM-DD, as in 2026-02-05")
    year, month, number = map(int, found.groups())
    if year < 1:
        raise Wrong("there is no year 0")
    if not 1 <= month <= 12:
        raise Wrong(f"there is no month {found[2]}")
    last = calendar.monthrange(year, month)[1]
    if not 1 <= number <= last:
        raise Wrong(f"there is no day {found[3]} in {calendar.month_name[month]} {year}: it has {last}")
    return date(year, month, number)


def _why_no_date(text: str) -> str:
    if _COMPACT.fullmatch(text):
        return "its hyphens are missing"
    if _ISO_SHORT.fullmatch(text):
        return "a year has four digits, a month and a day have two"
    return "it is no date"


def docker(text: str) -> bool:
    """Return whether the user gets docker."""
    answer = WORDS.get(text.casefold())
    if answer is None:
        raise Wrong(f"it is none of {', '.join(WORDS)}; empty means yes")
    return answer


def password_hash(text: str) -> str:
    """Return a crypt hash."""
    return _as_wrong(check_hash, text)


def cohort_name(text: str) -> str:
    """Return the name of a cohort."""
    _by_letters(text, _COHORT_FIRST, _COHORT_REST, "a-z, 0-9, '_', '.' and '-'", "a-z or 0-9")
    if not COHORT_NAME.fullmatch(text):
        raise Wrong(f"it has {len(text)} bytes: 1 to 63")
    return text


def _as_wrong(check: Callable[[str], object], text: str) -> str:
    try:
        check(text)
    except Invalid as error:
        raise Wrong(_reason(error)) from None
    return text


def _reason(error: Invalid) -> str:
    """Return an error's rule without what was refused."""
    return error.message.partition(": ")[2] or error.message
