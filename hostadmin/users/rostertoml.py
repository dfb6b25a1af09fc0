"""A roster in TOML 1.0: ``[cohort]`` and ``[[users]]``. Text in, a table of text cells out. Pure."""

import re
import tomllib
from datetime import date, datetime
from typing import Any, Final

from hostadmin.users.rosterfile import ALIASES, KNOWN, ROWS, Record, Table, canonical, check_columns
from hostadmin.users.rosterproblems import SHOWN, Problems, looks_secret, printable

COHORT: Final = ("name", "profile", "starts", "ends")
LINE: Final = 64 * 1024
DOTS: Final = 100
"""Characters and dots of one line: the parser's time grows with the square of a dotted key's length."""

NOTED: Final = "\0"
"""Stands for a value whose problem is noted (``rosterfile.is_damaged``), so that it is not missed as well."""

NO_NUL: Final = "a NUL character (\\u0000) has no place in it"

_DATES: Final = frozenset({"starts", "expires", "ends"})
_LISTS: Final = {"groups": " ", "ssh keys": "\n"}
_USERS: Final = re.compile(r"[ \t]*\[\[[ \t]*users[ \t]*\]\]")
_TABLE: Final = re.compile(r"[ \t]*\[\[")


def read_toml(text: str, problems: Problems) -> Table:
    """Return the table of a TOML text; what is wrong with its form is noted."""
    document = _load(text, problems)
    if document is None:
        return Table({}, [])
    for key in sorted(document.keys() - {"cohort", "users"}):
        problems.add("unknown key; known ones: [cohort] and [[users]]", column=key)
    cohort = _cohort(document.get("cohort", {}), problems)
    return Table(cohort, _users(document.get("users", []), text, problems))


def _load(text: str, problems: Problems) -> dict[str, Any] | None:
    lines = re.split(r"\r\n|\r|\n", text)
    tables = sum(1 for line in lines if _TABLE.match(line))
    if tables > ROWS:
        problems.refuse_at_once(f"it has {tables} tables; at most {ROWS} users are taken: split it")
    for number, line in enumerate(lines, 1):
        if len(line) > LINE or line.count(".") > DOTS:
            problems.add(f"a line with more than {LINE} characters or {DOTS} dots is in no roster", line=number)
            return None
    try:
        return tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError as error:
        problems.add(f"this is not TOML: {_told(str(error))}", line=_line_of(str(error)))
    except (ValueError, RecursionError):  # a number of thousands of digits, arrays in arrays in arrays
        problems.add("this is not TOML that a roster could need: a number is too long, or values are nested too deeply")
    return None


def _told(error: str) -> str:
    """Return the parser's message, which may quote a key, without anything that looks like a secret."""
    cut = printable(error, limit=3 * SHOWN)
    return "a key is given twice, or a value is wrong" if looks_secret(cut) else cut


def _line_of(error: str) -> int | None:
    found = re.search(r"at line (\d+)", error)
    return int(found[1]) if found else None


def _cohort(found: object, problems: Problems) -> dict[str, str]:
    if not isinstance(found, dict):
        problems.add("'cohort' must be a table: [cohort]", column="cohort")
        return {}
    cells: dict[str, str] = {}
    for key, value in found.items():
        if key not in COHORT:
            problems.add(f"unknown key in [cohort]; known ones: {', '.join(COHORT)}", column=key)
        elif (text := _as_text(key, value)) is None:
            problems.add(f"it is {_kind(value)}, not a text{' or a date' if key in _DATES else ''}", column=f"cohort {key}")
        elif "\0" in text:
            problems.add(NO_NUL, column=f"cohort {key}")
        elif text:
            cells[key] = text
    return cells


def _users(found: object, text: str, problems: Problems) -> list[Record]:
    if not isinstance(found, list) or not all(isinstance(user, dict) for user in found):
        problems.add("'users' must be tables: [[users]]", column="users")
        return []
    if len(found) > ROWS:
        problems.refuse_at_once(f"it has {len(found)} users; at most {ROWS} are taken: split it")
    lines = [number for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1) if _USERS.match(line)]
    known = lines if len(lines) == len(found) else [None] * len(found)  # inline tables, or the word inside of a text
    _forbid_passwords(found, problems)
    return [_user(row, line, user, problems) for row, (line, user) in enumerate(zip(known, found, strict=True), 1)]


def _forbid_passwords(users: list[dict[str, Any]], problems: Problems) -> None:
    if any(canonical(key) == "password" for user in users for key in user):
        check_columns(["login", "password"], problems, line=None)


def _user(row: int, line: int | None, user: dict[str, Any], problems: Problems) -> Record:
    cells: dict[str, str] = {}
    for key, value in user.items():
        column = canonical(key)
        if column == "password":
            continue
        if column not in ALIASES:
            problems.add(f"unknown key; known ones: {KNOWN}", row=row, line=line, column=key)
        elif column in cells:
            problems.add("there are two keys of that meaning", row=row, line=line, column=column)
        elif (text := _as_text(column, value)) is None:
            problems.add(f"it is {_kind(value)}; wanted: {_wanted(column)}", row=row, line=line, column=column)
            cells[column] = NOTED
        elif "\0" in text:
            problems.add(NO_NUL, row=row, line=line, column=column)
            cells[column] = NOTED
        elif text:
            cells[column] = text.strip(" ")
    return Record(row, line, {c: cell for c, cell in cells.items() if cell})


def _as_text(column: str, value: object) -> str | None:
    """Return a value as the text that a CSV cell would have; None: no such value can be meant."""
    if isinstance(value, str):
        return value
    if column in _DATES and isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if column == "docker" and isinstance(value, bool):
        return "yes" if value else "no"
    if column in _LISTS and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return _LISTS[column].join(value)
    return None


def _wanted(column: str) -> str:
    if column in _DATES:
        return "a date or a text"
    if column in _LISTS:
        return "a text or an array of texts"
    return "true, false or a text" if column == "docker" else "a text"


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, datetime):
        return "a date with a time"
    names = {int: "a number", float: "a number", dict: "a table", list: "an array", date: "a date"}
    return names.get(type(value), "something else")
