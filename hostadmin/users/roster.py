"""A class from a file: bytes in, checked rows out, or every problem of the whole file at once. Pure: no host, no database.

Forms: ``rosterfile`` (CSV, TSV) and ``rostertoml``. What a cell may hold: ``rostercells``. What is wrong: ``rosterproblems``.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date
from pathlib import PurePath
from typing import Any, Final

from hostadmin.core.errors import Invalid
from hostadmin.core.sshkeys import PRIVATE
from hostadmin.users import rostercells as cells
from hostadmin.users.names import check_expires
from hostadmin.users.rostercells import Wrong
from hostadmin.users.rosterfile import BYTES, CHARACTERS, Record, Table, check_size, decode, form_of, is_damaged, read_delimited
from hostadmin.users.rosterproblems import HIDDEN, Problem, Problems, RosterRefused
from hostadmin.users.rostertoml import read_toml
from hostadmin.users.suggest import login_stem, number_login
from hostadmin.users.transliteration import to_ascii

__all__ = ["CohortWish", "Member", "Problem", "Roster", "RosterRefused", "Row", "parse"]

_PRIVATE_BYTES: Final = tuple(mark.encode() for mark in PRIVATE.pattern.split("|"))
_NEVER_SHOWN: Final = frozenset({"password hash", "ssh keys"})


@dataclass(frozen=True, slots=True)
class CohortWish:
    """What a roster says of its cohort; None: it says nothing. ``ends`` is the last day of access."""

    name: str
    profile: str | None
    starts: date | None
    ends: date | None


@dataclass(frozen=True, slots=True)
class Row:
    """One checked user; what the row left out is the cohort's. ``row`` from 1; ``line`` of the file, None if it cannot be told.

    ``suggested``: the login was made from the name. ``keys``: lines for authorized_keys. ``expires``: the last day of access.
    """

    row: int
    line: int | None
    login: str
    suggested: bool
    name: str
    mail: str
    profile: str | None
    groups: tuple[str, ...]
    keys: tuple[str, ...]
    starts: date | None
    expires: date | None
    docker: bool
    hashed: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who is in the cohort already: a row without a login finds the one that it had."""

    login: str
    name: str
    mail: str


@dataclass(frozen=True, slots=True)
class Roster:
    """A checked roster: at least one row, no login twice. ``columns``: which there are, by their canonical names."""

    cohort: CohortWish
    rows: tuple[Row, ...]
    columns: frozenset[str] = frozenset()


def parse(
    data: bytes,
    filename: str,
    *,
    cohort: str | None = None,
    profile: str | None = None,
    starts: date | None = None,
    ends: date | None = None,
    today: date,
    taken_logins: AbstractSet[str],
    known_profiles: AbstractSet[str],
    is_group: Callable[[str], str | None],
    members: Callable[[str], Sequence[Member]] = lambda _cohort: (),
) -> Roster:
    """Return a roster, checked.

    Args:
        data: the file.
        filename: its name: the ending tells the form, the stem names the cohort if nothing else does.
        cohort: the cohort's name; a ``cohort`` column must agree, TOML's own name gives way.
        profile: the cohort's profile instead of the file's.
        starts: the cohort's first day instead of the file's.
        ends: the cohort's last day instead of the file's.
        today: the day on which this is read.
        taken_logins: what a suggested login must not be; logins in the file may be among them.
        known_profiles: names of the profiles.
        is_group: tells why a group may not be given, or None; asked once a group.
        members: tells who is in a cohort of that name already.

    Raises:
        RosterRefused: with every problem.

    """
    problems = Problems(filename, hide=len(data) <= BYTES and any(mark in data for mark in _PRIVATE_BYTES))
    check_size(data, problems)
    table = _read(data, filename, problems)
    checks: _Checks = {
        "profile": functools.partial(cells.profile, known=known_profiles),
        "groups": functools.partial(cells.groups, is_group=functools.cache(is_group)),
    }
    given = {"name": cohort, "profile": profile, "starts": starts, "ends": ends}
    wish = _cohort(table, filename, given, problems, COHORT_CHECKS | checks, today)
    names = _Names(taken_logins, members(wish.name) if wish.name else ())
    rows = _rows(table.records, wish, problems, ROW_CHECKS | checks, today, names)
    if not table.records and not problems:
        problems.add("there is not a single user in it")
    if problems:
        raise problems.refusal()
    return Roster(wish, tuple(rows), frozenset(column for record in table.records for column in record.cells) | table.columns)


_Checks = dict[str, Callable[[str], Any]]

ROW_CHECKS: Final[_Checks] = {
    "login": cells.login,
    "name": cells.name,
    "mail": cells.mail,
    "ssh keys": cells.keys,
    "starts": cells.day,
    "expires": cells.day,
    "docker": cells.docker,
    "password hash": cells.password_hash,
}
"""What a column must pass; ``profile`` and ``groups`` come with what there is."""

COHORT_CHECKS: Final[_Checks] = {"name": cells.cohort_name, "starts": cells.day, "ends": cells.day}


def _read(data: bytes, filename: str, problems: Problems) -> Table:
    text = decode(data, problems)
    if text is None:
        return Table({}, [])
    form = form_of(filename, text)
    if form != "toml":
        return read_delimited(text, form, problems)
    return Table({}, []) if problems else read_toml(text, problems)


def _values(found: Mapping[str, str], checks: _Checks, problems: Problems, *, of: str = "", **where: int | None) -> dict[str, Any]:
    """Return the checked values; None for a cell that has a problem."""
    values: dict[str, Any] = {}
    for column, text in found.items():
        if column in checks:
            values[column] = None
            if is_damaged(text):
                continue  # its bytes are among the problems already
            try:
                if len(text) > CHARACTERS:
                    raise Wrong(f"it has {len(text)} characters: at most {CHARACTERS}")
                values[column] = checks[column](text)
            except Wrong as wrong:
                problems.add(str(wrong), column=f"{of}{column}", value=HIDDEN if column in _NEVER_SHOWN else text, **where)
    return values


def _cohort(table: Table, filename: str, given: dict[str, Any], problems: Problems, checks: _Checks, today: date) -> CohortWish:
    """Return the cohort: what is given goes before what TOML says; a name may also come from a column or the file's name."""
    told = _values(table.cohort, checks, problems, of="cohort ")
    words = {k: v for k, v in given.items() if v is not None}
    asked = _values({k: v for k, v in words.items() if isinstance(v, str)}, checks, problems, of="cohort ")
    told |= asked | {k: v for k, v in words.items() if not isinstance(v, str)}
    name = _cohort_column(table.records, given["name"], problems) or told.get("name")
    if name is None and "name" not in told:
        name = _name_from_file(filename, problems)
    ends = _checked_end(told.get("starts"), told.get("ends"), today, problems, column="cohort ends")
    return CohortWish(name or "", told.get("profile"), told.get("starts"), ends)


def _cohort_column(records: list[Record], given: str | None, problems: Problems) -> str | None:
    """Return the one value of the column ``cohort``; None if there is none, or a wrong one."""
    first = next((r for r in records if "cohort" in r.cells), None)
    if first is None:
        return None
    name = first.cells["cohort"]
    for record in records:
        other = record.cells.get("cohort", "")
        if other != name:
            reason = f"all rows must have the same cohort; row {first.row} has another one"
            problems.add(reason, row=record.row, line=record.line, column="cohort", value=other)
    if given is not None and given != name:
        problems.add("the file's cohort is not the one that was asked for", row=first.row, line=first.line, column="cohort", value=name)
    found: str | None = _values({"name": name}, COHORT_CHECKS, problems, of="cohort ", row=first.row, line=first.line)["name"]
    return found


def _name_from_file(filename: str, problems: Problems) -> str | None:
    stem = PurePath(filename).stem
    name = stem if cells.COHORT_NAME.fullmatch(stem) else to_ascii(stem, "-")[:63].strip("-")
    if not name:
        problems.add("no name for the cohort can be made from the file's name; give one (--cohort)", column="cohort name", value=stem)
    return name or None


def _checked_end(
    starts: date | None, ends: date | None, today: date, problems: Problems, *, column: str, **where: int | None
) -> date | None:
    """Return a last day that is not over, not beyond shadow, and not before the first one; else note it."""
    if ends is None:
        return None
    try:
        check_expires(ends, today)
    except Invalid as error:
        problems.add(error.message.partition(": ")[2], column=column, value=ends.isoformat(), **where)
        return None
    if starts is not None and ends < starts:
        problems.add(f"it is before the first day, {starts}", column=column, value=ends.isoformat(), **where)
        return None
    return ends


def _rows(records: list[Record], wish: CohortWish, problems: Problems, checks: _Checks, today: date, names: "_Names") -> list[Row]:
    checked = [(record, _values(record.cells, checks, problems, row=record.row, line=record.line)) for record in records]
    _note_same_logins(checked, problems)
    names.take(v["login"] for _, v in checked if v.get("login"))
    rows = []
    for record, values in checked:
        _check_days(record, values, wish, today, problems)
        login = values["login"] if "login" in values else names.suggest(record, values, problems)
        rows.append(_row(record, login or "", values, wish))
    return rows


def _note_same_logins(checked: list[tuple[Record, dict[str, Any]]], problems: Problems) -> None:
    first: dict[str, Record] = {}
    for record, values in checked:
        login = values.get("login")
        if login is not None and (other := first.setdefault(login, record)) is not record:
            where = f"row {other.row}" if other.line is None else f"row {other.row} (line {other.line})"
            problems.add(f"{where} and row {record.row} have the same login", row=record.row, line=record.line, column="login", value=login)


class _Names:
    """Hands out logins within one roster: to members of the cohort the one that they have, to others one that nobody has."""

    def __init__(self, taken: AbstractSet[str], members: Sequence[Member]) -> None:
        self._taken = set(taken)
        self._numbers: dict[str, int] = {}
        self._members = list(members)

    def take(self, logins: Iterable[str]) -> None:
        """Note the logins that the roster itself gives."""
        given = set(logins)
        self._taken |= given
        self._members = [member for member in self._members if member.login not in given]

    def _known(self, name: str, mail: str) -> str | None:
        """Return the login of a member of that name, of several the one with that mail; each is found once."""
        same = [member for member in self._members if member.name == name and (not mail or not member.mail or member.mail == mail)]
        same.sort(key=lambda member: member.mail != mail)
        if not same:
            return None
        self._members.remove(same[0])
        return same[0].login

    def suggest(self, record: Record, values: dict[str, Any], problems: Problems) -> str | None:
        if "name" not in record.cells:
            problems.add("there is neither a login nor a name", row=record.row, line=record.line, column="login")
            return None
        name = values["name"]
        if name is None:
            return None  # noted already
        known = self._known(name, values.get("mail") or "")
        if known is not None:
            return known
        stem = login_stem(name)
        if not stem:
            reason = "no login can be made of this name with a to z; give one in the column 'login'"
            problems.add(reason, row=record.row, line=record.line, column="name", value=name)
            return None
        login = number_login(stem, self._taken, first=self._numbers.get(stem, 1))
        self._taken.add(login)
        self._numbers[stem] = self._numbers.get(stem, 1) + 1
        return login


def _check_days(record: Record, values: dict[str, Any], wish: CohortWish, today: date, problems: Problems) -> None:
    """Look at the days that the row itself gives; the cohort's own have been looked at."""
    starts, expires = values.get("starts"), values.get("expires")
    if expires is not None:
        first = starts if "starts" in values else wish.starts
        _checked_end(first, expires, today, problems, column="expires", row=record.row, line=record.line)
    elif "expires" not in values and starts is not None and wish.ends is not None and wish.ends < starts:
        reason = f"it is after the cohort's last day, {wish.ends}"
        problems.add(reason, row=record.row, line=record.line, column="starts", value=starts.isoformat())


def _row(record: Record, login: str, values: dict[str, Any], wish: CohortWish) -> Row:
    return Row(
        row=record.row,
        line=record.line,
        login=login,
        suggested="login" not in values,
        name=values.get("name") or "",
        mail=values.get("mail") or "",
        profile=values.get("profile") or wish.profile,
        groups=values.get("groups") or (),
        keys=values.get("ssh keys") or (),
        starts=values.get("starts") or wish.starts,
        expires=values.get("expires") or wish.ends,
        docker=values.get("docker") is not False,
        hashed=values.get("password hash"),
    )
