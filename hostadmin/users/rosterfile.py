"""The forms of a roster: bytes in, a table of text cells out. CSV, TSV (RFC 4180, strict) and TOML 1.0. Pure.

What a cell may hold is not decided here (``rostercells``); which columns there are is (``COLUMNS``).
"""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final

from hostadmin.users.rosterproblems import Problems, printable

BYTES: Final = 1024 * 1024
ROWS: Final = 2000
CHARACTERS: Final = 10_000
"""Of one field."""

WIDTH: Final = 64
"""Columns, those without a name too."""

BAD_LINES: Final = 100
"""Lines with wrong bytes that are listed one by one."""

ALIASES: Final = {
    "login": ("login", "user", "username", "user name", "login name"),
    "name": ("name", "full name", "fullname", "real name", "realname"),
    "mail": ("mail", "email", "e mail", "mail address", "email address", "e mail address"),
    "profile": ("profile",),
    "groups": ("groups", "group", "group(s)"),
    "ssh keys": (
        *("ssh keys", "ssh key", "ssh key(s)", "sshkey", "sshkeys", "key", "keys"),
        *("public key", "public keys", "ssh public key", "ssh public keys", "authorized keys"),
    ),
    "starts": ("starts", "start", "from", "first day", "start date"),
    "expires": ("expires", "expiry", "end", "ends", "until", "last day", "end date", "expiry date"),
    "docker": ("docker",),
    "password hash": ("password hash", "hash"),
    "cohort": ("cohort",),
    "password": ("password", "passwd", "pass", "pw"),
}
"""Canonical names of the columns, and what may stand in a header: in any case, ``_`` and ``-`` for spaces."""

COLUMNS: Final = {alias: column for column, aliases in ALIASES.items() for alias in aliases}
KNOWN: Final = ", ".join(column for column in ALIASES if column != "password")
NO_PASSWORDS: Final = (
    "passwords do not belong into a file. Take the column out: hostadmin makes a password for each user; "
    "to keep one that exists, give its hash in a column 'password hash'"
)

_BREAK: Final = re.compile(r"\r\n|\r|\n")
_BYTE_BREAK: Final = re.compile(rb"\r\n|\r|\n")
_QUOTED: Final = re.compile(r'"[^"]*"')
_TOML_START: Final = re.compile(r"\s*(?:\[|[A-Za-z0-9_-]+\s*=)")
_SEPARATOR_LINE: Final = re.compile(r"sep=([,;|\t])", re.IGNORECASE)
_WIDE: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


@dataclass(frozen=True, slots=True)
class Record:
    """One user's cells by canonical column, empty ones left out; ``row`` from 1, ``line`` where it begins (None: not known)."""

    row: int
    line: int | None
    cells: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Table:
    """What a file holds: the cohort's own words (TOML only), the records, and the columns of the header, by canonical name."""

    cohort: dict[str, str]
    records: list[Record]
    columns: frozenset[str] = frozenset()


def check_size(data: bytes, problems: Problems) -> None:
    """Refuse at once what is too large to be looked at, or empty.

    Raises:
        RosterRefused: with the numbers.

    """
    if not data:
        problems.refuse_at_once("the file is empty")
    if len(data) > BYTES:
        problems.refuse_at_once(f"it has {len(data)} bytes; at most {BYTES} (1 MiB) and {ROWS} rows are taken: split it")


def decode(data: bytes, problems: Problems) -> str | None:
    """Return a file's text; wrong bytes are noted and stand in it as lone surrogates. None: it is not even near UTF-8."""
    if data.startswith(_WIDE) or data[:200].count(0) * 3 > len(data[:200]):
        problems.add("the file is UTF-16 or UTF-32; save it as UTF-8 ('CSV UTF-8' in spreadsheets)", line=1)
        return None
    body = data.removeprefix(codecs.BOM_UTF8)
    _note_bytes(body, problems)
    return body.decode("utf-8", "surrogateescape")


def _note_bytes(body: bytes, problems: Problems) -> None:
    if b"\0" not in body and _is_utf8(body):
        return
    bad = 0
    for number, line in enumerate(_BYTE_BREAK.split(body), 1):
        for at, byte, reason in _wrong_byte(line):
            bad += 1
            if bad <= BAD_LINES:
                problems.add(reason, line=number, column=f"byte {at}", value=f"0x{byte:02x}")
    if bad > BAD_LINES:
        problems.add(f"there are {bad - BAD_LINES} more lines with wrong bytes")


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _wrong_byte(line: bytes) -> Iterator[tuple[int, int, str]]:
    """Yield the first byte of a line that cannot be: its place from 1, its value, why."""
    try:
        line.decode("utf-8")
        at = line.find(b"\0")
        reason = "a NUL byte has no place in a text file"
    except UnicodeDecodeError as error:
        at = error.start
        reason = "this byte is not UTF-8; save the file as UTF-8 ('CSV UTF-8' in spreadsheets)"
    if at >= 0:
        yield at + 1, line[at], reason


def is_damaged(text: str) -> bool:
    """Tell whether a text holds a byte that ``decode`` has noted already."""
    return "\0" in text or any("\udc80" <= c <= "\udcff" for c in text)


def form_of(filename: str, text: str) -> str:
    """Return ``toml``, or the delimiter of a delimited file: by the ending, else by the first line that says something."""
    ending = PurePath(filename).suffix.lower()
    if ending == ".toml":
        return "toml"
    if ending == ".tsv":
        return "\t"
    first = next((s for s in _BREAK.split(text) if s.strip() and not s.lstrip().startswith("#")), "")
    if ending != ".csv" and _TOML_START.match(first):
        return "toml"
    if separator := _SEPARATOR_LINE.fullmatch(first.strip('"')):
        return separator[1]
    counts = Counter(_QUOTED.sub("", first))
    return max((",", ";", "\t"), key=lambda d: counts[d])


def read_delimited(text: str, delimiter: str, problems: Problems) -> Table:
    """Return the table of a CSV or TSV text; what is wrong with its form is noted."""
    reader = iter(_Reader(text, delimiter))
    line, header = next(reader, (None, []))
    if isinstance(header, str):
        problems.add(header, line=line)
        return Table({}, [])
    columns = _header(line, header, problems)
    if columns is None:
        return Table({}, [])
    records = []
    for row, (start, cells) in enumerate(reader, 1):
        if row > ROWS:
            problems.refuse_at_once(f"it has more than {ROWS} rows; split it")
        if isinstance(cells, str):
            problems.add(cells, row=row, line=start)
        elif len(cells) != len(columns):
            problems.add(f"wrong number of fields: {len(cells)} here, {len(columns)} in the header", row=row, line=start)
        else:
            records.append(Record(row, start, _named(columns, cells, row, start, problems)))
    return Table({}, records, frozenset(column for column in columns if column in ALIASES))


def _named(columns: list[str | None], cells: list[str], row: int, line: int | None, problems: Problems) -> dict[str, str]:
    for number, (column, cell) in enumerate(zip(columns, cells, strict=True), 1):
        if column is None and cell:
            problems.add(f"there is a value in column {number}, which has no name in the header", row=row, line=line)
    return {c: cell for c, cell in zip(columns, cells, strict=True) if c in ALIASES and cell}


def _header(line: int | None, cells: list[str], problems: Problems) -> list[str | None] | None:
    """Return the columns, None for one without a name; None if no row can be read by them."""
    if len(cells) > WIDTH:
        problems.refuse_at_once(f"it has {len(cells)} columns; at most {WIDTH} are taken")
    columns = [canonical(cell) if cell else None for cell in cells]
    if not any(c in ALIASES for c in columns):  # nothing of it is repeated: it may be a user's own line
        problems.add(f"there is no header; the first line must name the columns: {KNOWN}", line=line)
        return None
    check_columns(columns, problems, line=line)
    return columns if {"login", "name"} & set(columns) else None


def check_columns(columns: list[str | None], problems: Problems, *, line: int | None) -> None:
    """Note columns that are unknown, doubled, missing or forbidden; ``columns`` as ``canonical`` gives them."""
    for column, count in Counter(c for c in columns if c).items():
        if column == "password":
            problems.add(NO_PASSWORDS, line=line, column=column)
        elif column not in ALIASES:
            problems.add(f"unknown column; known ones: {KNOWN}", line=line, column=column)
        elif count > 1:
            problems.add(f"there are {count} columns of that meaning", line=line, column=column)
    if not {"login", "name"} & set(columns):
        problems.add("there is neither a column 'login' nor a column 'name'", line=line)


def canonical(header: str) -> str:
    """Return the canonical column for what a header says, or what it says if there is none."""
    plain = " ".join(re.sub(r"[_-]", " ", header.casefold()).split())
    return COLUMNS.get(plain, header)


class _Reader:
    """The records of a delimited text, each with the line on which it begins; comments and blank lines between them left out.

    A record whose quotes are wrong is a text: what is wrong with it.
    """

    def __init__(self, text: str, delimiter: str) -> None:
        self._lines = _BREAK.split(text)
        self._next = 0
        self._fresh = True
        self._start = 0
        self._csv = csv.reader(self._feed(), delimiter=delimiter, strict=True, skipinitialspace=True)

    def __iter__(self) -> Iterator[tuple[int | None, list[str] | str]]:
        while True:
            self._fresh = True
            try:
                cells = [cell.strip(" ") for cell in next(self._csv)]
            except StopIteration:
                return
            except csv.Error as error:
                yield self._start, _quoting(str(error))
                continue
            if any(cells):
                yield self._start, cells

    def _feed(self) -> Iterator[str]:
        """Hand out line by line; the CSV reader asks for a further one while it is inside of quotes."""
        while self._next < len(self._lines):
            line = self._lines[self._next]
            self._next += 1
            if self._fresh and (not line.strip() or line.lstrip(" ").startswith("#") or self._is_separator_line(line)):
                continue
            if self._fresh:
                self._start, self._fresh = self._next, False
            yield f"{line}\n"

    def _is_separator_line(self, line: str) -> bool:
        """Tell whether it is a spreadsheet's own first line (``sep=;``)."""
        return self._next == 1 and _SEPARATOR_LINE.fullmatch(line.strip('"')) is not None


def _quoting(error: str) -> str:
    if "unexpected end" in error:
        return "a quote is opened here and never closed"
    if "field larger" in error:
        return f"a field has more than {CHARACTERS} characters"
    return (
        f"its quotes are wrong ({printable(error)}): a field that holds the delimiter or a quote stands in quotes, with its quotes doubled"
    )
