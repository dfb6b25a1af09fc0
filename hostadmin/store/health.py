"""Is the database sound? Looked at from outside, also while nothing runs."""

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final


def path_of(url: str) -> str:
    """Return the file behind a database URL."""
    return url.removeprefix("sqlite:///")


def version() -> str:
    """Return the version of the database library."""
    return f"SQLite {sqlite3.sqlite_version}"


def find_damage(url: str) -> str | None:
    """Return what is wrong with the database, ``None`` if it is sound.

    Raises:
        PermissionError: it cannot be looked at.

    """
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path_of(url)}?mode=ro", uri=True, timeout=5)) as raw:
            result = str(raw.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError as error:
        if "unable to open" in str(error):
            raise PermissionError(str(error)) from error
        return str(error)
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if result == "ok" else result


@dataclass(frozen=True, slots=True)
class Given:
    """What has been given out once and for all, removed accounts included.

    Uids and gids; blocks of host ports, first and last; and how many places in the ledger of numbers.
    """

    uids: frozenset[int] = frozenset()
    port_blocks: tuple[tuple[int, int], ...] = ()
    places: int = 0


GIVEN: Final = (
    "SELECT uid FROM users UNION SELECT gid FROM users",
    "SELECT first, last FROM port_blocks",
    "SELECT count(*) FROM numbers",
)


def given(url: str) -> Given | None:
    """Return what has been given out; nothing where there is no database yet, ``None`` if it cannot be looked at."""
    if not Path(path_of(url)).exists():
        return Given()
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path_of(url)}?mode=ro", uri=True, timeout=5)) as raw:
            uids, blocks, places = (raw.execute(query).fetchall() for query in GIVEN)
    except sqlite3.DatabaseError:
        return None
    return Given(frozenset(uid for (uid,) in uids), tuple(blocks), places[0][0])
