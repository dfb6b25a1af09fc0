"""No password and no hash of a class is anywhere but in shadow, in memory until the cards are fetched, and on the cards."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from tests.integration.accounts import su
from tests.integration.classes import ROSTERS, Trainer, as_csv, make_hash, students, trainer, write
from tests.integration.stage import STATE

__all__ = ["trainer"]  # fixtures
pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
COUNT: Final = 24
VAULT: Final = Path("/run/hostadmin/secrets")
PLACES: Final = (STATE, Path("/tmp"), Path("/var/tmp"), Path("/run"), Path("/var/log"), Path("/var/lib/hostadmin"), Path("/dev/shm"))


class Peeper:
    """Reads argument lists and environments of all processes, as fast as it can."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self.programs: set[bytes] = set()
        self.looks = 0

    def look(self) -> None:
        """Read everything that can be read now."""
        self.looks += 1
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with suppress(OSError):
                    argv = Path("/proc", entry, "cmdline").read_bytes()
                    self.seen.add(argv)
                    self.programs.add(argv.split(b"\0")[0].rpartition(b"/")[2])
                    self.seen.add(Path("/proc", entry, "environ").read_bytes())

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Look all the time."""
        over = threading.Event()

        def again() -> None:
            while not over.is_set():
                self.look()

        thread = threading.Thread(target=again)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def lying() -> dict[Path, bytes]:
    """Return what all files say in which something could have been left, the database's log included."""
    found = {}
    for place in PLACES:
        for folder, folders, names in os.walk(place):
            folders[:] = [f for f in folders if not os.path.ismount(os.path.join(folder, f)) or place in (STATE, Path("/run"))]
            for name in names:
                path = Path(folder, name)
                if path.is_file() and not path.is_symlink() and path.stat().st_size < 64 << 20:
                    with suppress(OSError):
                        found[path] = path.read_bytes()
    return found


def holding(secrets: dict[str, bytes], content: bytes) -> list[str]:
    """Return whose secrets are in a text."""
    return [login for login, secret in secrets.items() if secret in content]


def in_files(secrets: dict[str, bytes]) -> dict[str, list[str]]:
    """Return file → whose secrets are in it."""
    return {str(path): who for path, content in lying().items() if (who := holding(secrets, content))}


def test_no_secret_of_a_class_is_anywhere(trainer: Trainer) -> None:
    """During an apply, a change, its undo, new cards and the end: not in argv, environment, log, database, audit, plans, errors, files."""
    planted = {f"hush{n:03}": make_hash(f"Planted#{n}") for n in range(1, COUNT, 3)}
    later = {login: make_hash(f"Later#{login}") for login in planted}
    rows = students(COUNT, prefix="hush")
    first = [row | {"password hash": planted.get(row["login"], "")} for row in rows]
    second = [row | {"password hash": later.get(row["login"], ""), "mail": "new@example.org"} for row in rows]
    told: list[str] = []
    peeper = Peeper()
    with peeper.at_work():
        told.append(trainer.ok("roster", "plan", str(write("hush.csv", as_csv(first)))))
        told.append(trainer.ok("roster", "apply", "hush.csv", "--yes", "--json"))
        waiting = lying()
        passwords = trainer.cards("hush")
        told.append(trainer.ok("roster", "apply", str(write("hush.csv", as_csv(second))), "--yes"))
        told.append(trainer.ok("roster", "apply", "hush.csv", "--undo", "--yes"))
        renewed = trainer.cards("hush", "--renew")
        told += [trainer.ok("roster", "show", plan["id"], "--json") for plan in trainer.ask("roster", "list")]
        told.append(trainer.ok("cohort", "show", "hush", "--json"))
        told.append(trainer.ok("user", "show", "hush001", "--json"))
        told.append(trainer.ok("audit", "list", "--json"))
        bad = as_csv([row | {"expires": "2026-13-45"} for row in second])
        told.append(trainer.refused("roster", "apply", str(write("wrong.csv", bad)), "--yes"))
    assert set(passwords) == set(renewed) == {row["login"] for row in rows} - set(planted)
    assert peeper.looks > 20
    assert {b"useradd", b"chpasswd"} <= peeper.programs, "it was quick enough to see the tools"

    clear = {login: password.encode() for login, password in passwords.items()}
    fresh = {f"{login} again": password.encode() for login, password in renewed.items()}
    given = {login: hashed.encode() for login, hashed in planted.items()} | {f"{k} later": h.encode() for k, h in later.items()}
    secrets = clear | fresh | given
    assert not [argv for argv in peeper.seen if holding(secrets, argv)]
    assert not holding(secrets, "\n".join(told).encode())

    assert holding(clear, b"".join(waiting[p] for p in waiting if VAULT in p.parents)), "before they were fetched they wait in memory"
    elsewhere = {str(p): who for p, c in waiting.items() if VAULT not in p.parents and (who := holding(secrets, c))}
    assert elsewhere == {}
    for file in ROSTERS.iterdir():
        file.unlink()
    assert in_files(secrets) == {}, "nor afterwards, not even in memory"
    assert all(path.stat().st_mode & 0o077 == 0 for path in (VAULT, *VAULT.iterdir()))

    shadow = Path("/etc/shadow").read_bytes()
    assert holding(given, shadow) == list(planted), "the undo has brought the first ones back"
    assert {p.name for p in Path("/etc").iterdir() if p.is_file() and holding(given, p.read_bytes())} <= {"shadow", "shadow-"}
    assert su("hush001", "Planted#1")
    trainer.ok("cohort", "end", "hush", "--yes")
    assert in_files(secrets) == {}
    assert not holding(secrets, Path("/etc/shadow").read_bytes())
    with closing(sqlite3.connect(f"file:{trainer.hostadmin.database}?mode=ro", uri=True, timeout=10)) as database:
        dumped = "\n".join(database.iterdump())
    assert "hush001" in dumped
    assert not holding(secrets, dumped.encode())
