"""A login that a student can guess from the own name: first letter of the given name, then the surname. Pure."""

import itertools
from collections.abc import Set as AbstractSet
from typing import Final

from hostadmin.core.errors import Invalid
from hostadmin.core.names import check_login
from hostadmin.users.transliteration import to_ascii

LONGEST: Final = 31
"""Of ``core.names.LOGIN``."""

NOT_NAMES: Final = frozenset(
    {"dr", "prof", "professor", "mr", "mrs", "ms", "miss", "mx", "herr", "frau", "dipl", "ing", "phd", "jr", "sr", "ii", "iii"}
)
"""Titles and additions that no login is made of."""


def login_stem(name: str) -> str:
    """Return what a person's login begins with before it is numbered; empty if nothing can be made of the name.

    ``Ashu Kumar`` and ``Kumar, Ashu`` give ``akumar``; a single name stays whole; of several given names the first counts, of
    several surnames the last.

    Args:
        name: as the person writes it, in any script.

    """
    surnames, _, given = name.partition(",")
    ordered = _without_titles(_words(given)) + _without_titles(_words(surnames)) or _words(surnames)
    if not ordered:
        return ""
    first = ordered[0][0] if len(ordered) > 1 else ""
    return f"{first}{ordered[-1]}"[:LONGEST]


def number_login(stem: str, taken: AbstractSet[str], *, first: int = 1) -> str:
    """Return the first free and allowed login among ``stem``, ``stem2``, ``stem3`` and so on.

    Args:
        stem: of ``login_stem``, not empty.
        taken: logins that it must not be.
        first: the number to begin with, if the ones below are known to be taken.

    """
    for number in itertools.count(first):
        suffix = str(number) if number > 1 else ""
        login = stem[: LONGEST - len(suffix)] + suffix
        if login not in taken and _allowed(login):
            return login
    raise AssertionError("numbers do not end")  # pragma: no cover


def _words(text: str) -> list[str]:
    """Return the words of a name in a to z and 0 to 9 that begin with a letter."""
    return [w for w in (to_ascii(part).lstrip("0123456789") for part in text.split()) if w]


def _without_titles(words: list[str]) -> list[str]:
    return [w for w in words if w not in NOT_NAMES]


def _allowed(login: str) -> bool:
    try:
        check_login(login)
    except Invalid:
        return False
    return True
