"""Is the database sound? Looked at from outside, also while nothing runs."""

import contextlib
import sqlite3


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
