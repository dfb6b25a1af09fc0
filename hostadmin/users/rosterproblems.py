"""What is wrong with a roster, collected until the file has been read to its end. Pure; never a secret in it."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final, NoReturn

from hostadmin.core.errors import Invalid
from hostadmin.core.sshkeys import holds_private_key

SHOWN: Final = 64
"""Characters of a value that are repeated."""

HIDDEN: Final = "(not shown)"
FIRST: Final = 3
"""Problems that the message itself tells; all of them are in its fields."""

LISTED: Final = 30_000
"""More than every cell of the largest roster can be wrong only in a file that is none."""

_SECRET: Final = re.compile(
    r"\$[0-9A-Za-z]{1,8}\$"  # a crypt hash
    r"|(?=[A-Za-z0-9+/=.]*[a-z])(?=[A-Za-z0-9+/=.]*[A-Z])(?=[A-Za-z0-9+/=.]*[0-9])[A-Za-z0-9+/=.]{40}"  # base64 of something
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    ``row``: the user's number, from 1, without header, comments and blank lines; ``line``: where it begins in the file, from 1;
    ``column``: the canonical name of the column, or what stands in the header; ``value``: at most 64 characters, printable.
    Each is None where the problem is none of that.
    """

    row: int | None
    line: int | None
    column: str | None
    value: str | None
    reason: str

    def text(self) -> str:
        """Return it as one line for people: ``line 3 (row 2), login 'a/b': reason``."""
        where = [f"line {self.line}" if self.line else "", f"(row {self.row})" if self.row else ""]
        what = [self.column or "", "" if self.value is None else self.value if self.value == HIDDEN else f"'{self.value}'"]
        place = ", ".join(p for p in (" ".join(filter(None, where)), " ".join(filter(None, what))) if p)
        return f"{place}: {self.reason}" if place else self.reason


class RosterRefused(Invalid):
    """A roster that is not taken: ``fields["problems"]`` has every problem of it, as dicts of ``Problem``'s members."""

    key = "roster"

    def __init__(self, filename: str, problems: Sequence[Problem]) -> None:
        told = "; ".join(p.text() for p in problems[:FIRST])
        more = f"; and {len(problems) - FIRST} more" if len(problems) > FIRST else ""
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        super().__init__(f"Refused roster {printable(filename)}: {count}. {told}{more}.", problems=[asdict(p) for p in problems])


class Problems:
    """The problems of one roster.

    Args:
        filename: of the roster.
        hide: repeat no value at all (there is a private key somewhere in the file).

    """

    def __init__(self, filename: str, *, hide: bool = False) -> None:
        self._filename = filename
        self._hide = hide
        self._found: list[Problem] = []
        self._unlisted = 0

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._found)

    def add(
        self, reason: str, *, row: int | None = None, line: int | None = None, column: str | None = None, value: str | None = None
    ) -> None:
        """Note a problem; what looks like a hash or a private key is taken out of it."""
        if len(self._found) >= LISTED:
            self._unlisted += 1
            return
        self._found.append(Problem(row, line, self._shown(column), self._shown(value), printable(reason.rstrip("."), limit=None)))

    def refusal(self) -> RosterRefused:
        """Return all problems as one refusal, in the order of the file."""
        found = sorted(self._found, key=lambda p: (p.line or 0, p.row or 0))
        if self._unlisted:
            found.append(Problem(None, None, None, None, f"there are {self._unlisted} more problems, which are not listed"))
        return RosterRefused(self._filename, found)

    def refuse_at_once(self, reason: str) -> NoReturn:
        """Refuse the whole file for one reason, whatever else is wrong with it."""
        raise RosterRefused(self._filename, [Problem(None, None, None, None, reason)])

    def _shown(self, text: str | None) -> str | None:
        if text is None or text == HIDDEN:
            return text
        return HIDDEN if (self._hide and text not in COLUMN_NAMES) or looks_secret(text) else printable(text)


COLUMN_NAMES: Final = frozenset({
    "login", "name", "mail", "profile", "groups", "ssh keys", "starts", "expires", "docker", "password hash", "cohort", "password",
    "cohort name", "cohort profile", "cohort starts", "cohort ends",
})  # fmt: skip
"""Names of ours, which are never a secret."""


def looks_secret(text: str) -> bool:
    """Tell whether what is shown of a text may be a password hash or a piece of a private key, or all of it holds one.

    Only its beginning is searched, beyond what is ever shown: the search's time grows with the square of the length.
    """
    return _SECRET.search(text[: 4 * SHOWN]) is not None or holds_private_key(text)


def printable(text: str, *, limit: int | None = SHOWN) -> str:
    """Return a text with all that cannot be printed as escapes, cut to ``limit`` characters."""
    head = text if limit is None else text[:limit]
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in head)
    return shown if limit is None or (len(shown) <= limit and len(text) <= limit) else f"{shown[: limit - 1]}…"
