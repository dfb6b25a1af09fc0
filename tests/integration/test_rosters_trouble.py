"""A class on a host in trouble: held account files, full and read-only disks; told, nothing half done, finished afterwards."""

import os
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.accounts import is_clean, mentions
from tests.integration.classes import (
    ARCHIVES,
    Trainer,
    as_csv,
    before,
    classroom,
    host_state,
    judge_same,
    lines_of,
    make_key,
    students,
    write,
)
from tests.integration.stage import STATE, until

__all__ = ["before"]  # fixtures
pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def trainer() -> Iterator[Trainer]:
    """A trainer at a host with hostadmin."""
    place = STATE / "db"
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m,mode=700", "ledger", str(place)], check=True)  # can be filled
    try:
        with classroom() as found:
            yield found
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


# -- held locks ----------------------------------------------------------------------------------------------


@contextmanager
def holder(lock: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Let a living process hold a lock of the account files."""
    process = subprocess.Popen(["sleep", "997"])
    Path(lock).write_text(str(process.pid))
    try:
        yield process
    finally:
        Path(lock).unlink(missing_ok=True)
        process.kill()
        process.wait()


@pytest.mark.parametrize("lock", ["/etc/passwd.lock", "/etc/group.lock", "/etc/shadow.lock"])
def test_a_lock_that_is_freed_is_waited_for(trainer: Trainer, before: dict[str, Any], lock: str) -> None:
    """Somebody edits for three seconds: the apply goes on after that."""
    file = write("locked.csv", as_csv(students(3, prefix="lock")))
    with holder(lock):
        timer = threading.Timer(3, Path(lock).unlink)
        timer.start()
        started = time.monotonic()
        done = trainer.apply(file)
        assert time.monotonic() - started > 2.5
        timer.join()
    assert {s["status"] for s in done["steps"]} == {"done"}


def test_a_lock_that_stays_is_told_with_its_holder(trainer: Trainer, before: dict[str, Any]) -> None:
    """Who holds it is said, after one wait for all; nothing is left; freed, the same command does it."""
    trainer.apply(write("held.csv", as_csv(students(6, prefix="held"))))
    applied = host_state()
    renamed = [row | {"name": "Renamed"} for row in students(6, prefix="held")]
    file = write("held.csv", as_csv([*renamed, *students(6, prefix="more")]))
    with holder("/etc/passwd.lock") as process:
        started = time.monotonic()
        told = trainer.refused("roster", "apply", str(file), "--yes")
        assert time.monotonic() - started < 40, "it is waited for once, not once for every account"
        assert f"process {process.pid} (sleep) holds by /etc/passwd.lock" in told, told
        assert "6 steps failed, 6 steps not begun, the others are done" in told
    judge_same(applied)
    assert trainer.apply(file)["counts"] == {"create": 6, "change": 6}


# -- full disks --------------------------------------------------------------------------------------------------


@contextmanager
def small(place: str, megabytes: int) -> Iterator[Path]:
    """Put a small file system with the same content over a folder; give the file that can fill it up."""
    twin = Path("/mnt/twin")
    twin.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "small", str(twin)], check=True)
    subprocess.run(["cp", "-a", f"{place}/.", str(twin)], check=True)
    subprocess.run(["mount", "--bind", str(twin), place], check=True)
    try:
        yield Path(place, "ballast")
    finally:
        subprocess.run(["umount", "--lazy", place, str(twin)], check=True)


def fill(ballast: Path) -> None:
    """Write until there is no room."""
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 65536, 4096):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


def judge_done(trainer: Trainer, rows: list[dict[str, str]], cohort: str) -> None:
    """The class is there as after a run that nothing has cut off."""
    assert is_clean()
    for row in rows:
        assert all(len(found) == (0 if name.startswith("sub") else 1) for name, found in lines_of(row["login"]).items())
        assert Path("/home", row["login"], ".ssh/authorized_keys").read_text() == f"{row['ssh key']}\n"
        assert not [user["drift"] for user in trainer.ask("user", "list") if user["drift"]]
    assert len(trainer.cards(cohort)) == len(rows)
    assert trainer.ask("roster", "apply", f"{cohort}.csv", "--yes")["steps"] == []
    assert trainer.hostadmin.rows("select * from audit_open") == []


@pytest.mark.parametrize("place", ["/home", "/etc"])
def test_a_full_disk_while_accounts_are_made(trainer: Trainer, before: dict[str, Any], place: str) -> None:
    """No home or no account file can be written: told, nothing half made; with room again the same command does it all."""
    rows = [row | {"ssh key": make_key("full")} for row in students(4, prefix="full")]
    file = write("full.csv", as_csv(rows))
    with small(place, 16) as ballast:
        fill(ballast)
        told = trainer.refused("roster", "apply", str(file), "--yes")
        assert "steps failed" in told
        assert "o space left" in told or "useradd failed" in told, told
        for row in rows:
            assert mentions(row["login"]) == []
            assert not Path("/home", row["login"]).exists()
        ballast.unlink()
        assert is_clean()
        trainer.apply(file)
        judge_done(trainer, rows, "full")
        trainer.ok("cohort", "end", "full", "--yes", "--no-archive")
        judge_same(before)


def test_a_full_disk_under_the_ledger(trainer: Trainer, before: dict[str, Any]) -> None:
    """What cannot be recorded is not done; with room again the same command does it all."""
    rows = [row | {"ssh key": make_key("full")} for row in students(20, prefix="full")]
    file = write("full.csv", as_csv(rows))
    ballast = STATE / "db" / "ballast"
    with sqlite3.connect(trainer.hostadmin.database) as opened:  # or the room that its log has would be used up first
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    fill(ballast)
    try:
        told = trainer.refused("roster", "apply", str(file), "--yes")
        assert "full" in told or "record" in told or "space" in told, told
        judge_same(before)
    finally:
        ballast.unlink()
    trainer.apply(file)
    judge_done(trainer, rows, "full")


def test_a_full_disk_under_the_archives(trainer: Trainer, before: dict[str, Any]) -> None:
    """A home that cannot be archived is not removed; with room again the same command ends the class."""
    rows = [row | {"ssh key": make_key("full")} for row in students(3, prefix="full")]
    trainer.apply(write("full.csv", as_csv(rows)))
    Path("/home/full002/work").write_bytes(os.urandom(1 << 20))
    ARCHIVES.mkdir(exist_ok=True, parents=True)
    with small(str(ARCHIVES), 20) as ballast:
        fill(ballast)
        told = trainer.refused("cohort", "end", "full", "--yes")
        assert "bytes are missing" in told, told
        assert Path("/home/full002/work").stat().st_size == 1 << 20
        assert [len(lines_of("full002")[f]) for f in ("passwd", "shadow", "group", "gshadow")] == [1] * 4
        ballast.unlink()
        trainer.ok("cohort", "end", "full", "--yes")
        assert len(trainer.ask("cohort", "show", "full")["archives"]) == 3
        judge_same(before)


def test_a_read_only_home(trainer: Trainer, before: dict[str, Any]) -> None:
    """Told, nothing half made; writable again, the same command does it all."""
    rows = [row | {"ssh key": make_key("read-only")} for row in students(2, prefix="read")]
    file = write("read.csv", as_csv(rows))
    subprocess.run(["mount", "--bind", "/home", "/home"], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", "/home"], check=True)
        told = trainer.refused("roster", "apply", str(file), "--yes")
        assert "steps failed" in told
        judge_same(before)
    finally:
        subprocess.run(["umount", "/home"], check=True)
    trainer.apply(file)
    judge_done(trainer, rows, "read")


# -- the service is stopped -----------------------------------------------------------------------------------


def managed(prefix: str) -> int:
    """Return how many accounts with logins that begin so are on the host."""
    return sum(line.startswith(prefix) for line in Path("/etc/passwd").read_text().splitlines())


def test_a_stop_in_the_middle_is_told_and_gone_on_with(trainer: Trainer, before: dict[str, Any]) -> None:
    """SIGTERM while a class is made, taken back, made, ended: what has begun is brought to its end, the rest waits for the next run."""
    rows = students(130, prefix="mid")
    file = write("middle.csv", as_csv(rows))
    apply, undo, end = (
        ("roster", "apply", str(file), "--yes"),
        ("roster", "apply", str(file), "--undo", "--yes"),
        ("cohort", "end", "middle", "--yes"),
    )
    for argv, is_under_way in (
        (apply, lambda: managed("mid") > 0),
        (undo, lambda: managed("mid") < 125),
        (apply, lambda: managed("mid") > 0),
        (end, lambda: managed("mid") < 125),
    ):
        log = len(trainer.hostadmin.log.read_text())
        process = trainer.start(*argv)
        until("some of it is done", is_under_way)
        trainer.hostadmin.stop()
        _, told = process.communicate(timeout=60)
        assert process.returncode == 1, (argv, told)
        assert "Not begun: hostadmin is being stopped." in told
        assert 0 < managed("mid") < 130, argv
        assert "Traceback" not in trainer.hostadmin.log.read_text()[log:]
        assert trainer.hostadmin.rows("select * from audit_open") == []
        trainer.hostadmin.start()
        trainer.ok(*argv)
        assert managed("mid") == (130 if argv is apply else 0)
        assert is_clean()
    judge_same(before)
