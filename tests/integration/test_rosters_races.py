"""Applies beside each other, beside other writers of the account files, and beside a class at work: nothing of either is lost."""

import random
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.accounts import is_clean
from tests.integration.classes import (
    Trainer,
    as_csv,
    host_state,
    judge_same,
    lines_of,
    make_key,
    memberships,
    students,
    trainer,
    unordered,
    write,
)
from tests.integration.people import Student

__all__ = ["trainer"]  # fixtures
pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]


@pytest.fixture
def before(trainer: Trainer) -> Iterator[dict[str, Any]]:
    """The host as it is; every test leaves it so, and no intent open."""
    state = unordered(host_state())
    yield state
    for cohort in trainer.ask("cohort", "list"):
        trainer.ok("cohort", "end", cohort["name"], "--yes", "--no-archive")
    judge_same(state, unordered(host_state()))
    assert is_clean()
    assert trainer.hostadmin.rows("select * from audit_open") == []


@contextmanager
def beside(*works: Callable[[], object]) -> Iterator[list[str]]:
    """Repeat works in threads of their own until the end, each at least three times; give what went wrong."""
    over, problems, counts = threading.Event(), list[str](), [0] * len(works)

    def repeat(number: int) -> None:
        while not over.is_set() or counts[number] < 3:
            counts[number] += 1
            try:
                works[number]()
            except (AssertionError, subprocess.SubprocessError) as error:
                problems.append(f"{error} {getattr(error, 'stderr', '')}")

    threads = [threading.Thread(target=repeat, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    try:
        yield problems
    finally:
        over.set()
        for thread in threads:
            thread.join()


def judge_numbers() -> None:
    """No uid, and no gid, is there twice."""
    for file in ("passwd", "group"):
        numbers = [line.split(":")[2] for line in Path("/etc", file).read_text().splitlines()]
        assert len(set(numbers)) == len(numbers), file


def judge_class(trainer: Trainer, rows: list[dict[str, str]]) -> None:
    """Everybody of a roster is there once, in every file, with access, home and keys, as the ledger says."""
    for row in rows:
        login = row["login"]
        assert [len(lines_of(login)[name]) for name in ("passwd", "shadow", "group", "gshadow")] == [1] * 4, login
        assert memberships(login) == {"group": {"docker"}, "gshadow": {"docker"}}
        uid = int(lines_of(login)["passwd"][0].split(":")[2])
        assert (Path("/home", login).stat().st_uid, trainer.ledger(login)["uid"]) == (uid, uid)
        if "ssh key" in row:
            assert Path("/home", login, ".ssh/authorized_keys").read_text() == f"{row['ssh key']}\n"
    made = [r[3] for r in trainer.changes() if r[1:3] == ("outcome", "user.add") and r[4] == "ok"]
    assert all(made.count(row["login"]) == 1 for row in rows)
    judge_numbers()
    assert is_clean()


def test_one_roster_applied_twice_at_once(trainer: Trainer, before: dict[str, Any]) -> None:
    """Both commands succeed; everybody is made once; the passwords on the cards are those in force."""
    rows = [row | {"ssh key": make_key("twin")} for row in students(12, prefix="twin")]
    file = write("twins.csv", as_csv(rows))
    both = [trainer.start("roster", "apply", str(file), "--yes") for _ in range(2)]
    told = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    judge_class(trainer, rows)
    assert set(trainer.cards("twins")) == {row["login"] for row in rows}


def test_two_rosters_with_one_login_in_common(trainer: Trainer, before: dict[str, Any]) -> None:
    """One gets it and is complete; the other is refused with the reason, and nothing of it is there."""
    common = students(1, prefix="both")
    classes = {name: [*students(6, prefix=name), *common] for name in ("left", "right")}
    files = {name: write(f"{name}.csv", as_csv(rows)) for name, rows in classes.items()}
    running = {name: trainer.start("roster", "apply", str(file), "--yes") for name, file in files.items()}
    told = {name: process.communicate(timeout=120)[1] for name, process in running.items()}
    codes = {name: process.returncode for name, process in running.items()}
    assert sorted(codes.values()) == [0, 1], told
    winner, loser = sorted(codes, key=lambda name: codes[name])
    judge_class(trainer, classes[winner])
    assert f"login both001: it belongs to the cohort '{winner}'" in told[loser]
    assert not any(lines_of(row["login"])["passwd"] for row in classes[loser][:-1])
    assert [c["name"] for c in trainer.ask("cohort", "list")] == [winner]


def test_beside_other_writers_of_the_account_files(trainer: Trainer, before: dict[str, Any]) -> None:
    """An administrator makes, changes and removes accounts by hand all the time: nothing of either is lost, no number collides."""
    rows = [row | {"ssh key": make_key("beside")} for row in students(60, prefix="aside")]
    file = write("asides.csv", as_csv(rows))
    kept: set[str] = set()
    subprocess.run(["useradd", "-M", "steady"], check=True)
    chance = random.Random(4)

    def typed(*argv: str, stdin: str = "") -> None:
        subprocess.run(argv, input=stdin, text=True, check=True, capture_output=True, timeout=60)

    def make_and_keep() -> None:
        login = f"foreign{len(kept)}"
        typed("useradd", "-m", login)
        typed("usermod", "-aG", "pythonists", login)
        typed("chpasswd", "-e", stdin=f"{login}:$6$abcdefgh${'b' * 86}\n")
        kept.add(login)

    def make_and_remove() -> None:
        typed("useradd", "-M", "passing")
        typed("usermod", "-aG", "linuxers,docker", "passing")
        typed("userdel", "passing")

    def move() -> None:
        typed("usermod", chance.choice(["-aG", "-rG"]), "linuxers", "steady")
        typed("passwd", chance.choice(["-l", "-d"]), "steady")

    try:
        with beside(make_and_keep, make_and_remove, move) as problems:
            done = trainer.run("roster", "apply", str(file), "--yes")
        assert problems == []
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        typed("usermod", "-aG", "linuxers", "steady")
        judge_class(trainer, rows)
        assert len(kept) >= 3
        for login in kept:
            assert memberships(login) == {"group": {"pythonists"}, "gshadow": {"pythonists"}}
            assert lines_of(login)["shadow"][0].split(":")[1] == f"$6$abcdefgh${'b' * 86}"
            assert Path("/home", login).stat().st_uid == int(lines_of(login)["passwd"][0].split(":")[2])
        assert memberships("steady")["gshadow"] == {"linuxers"}
        assert lines_of("passing") == {name: [] for name in lines_of("passing")}
        with beside(make_and_keep, make_and_remove, move) as problems:
            ended = trainer.run("cohort", "end", "asides", "--yes", "--no-archive")
        assert problems == []
        assert (ended.returncode, ended.stderr) == (0, "")
        assert not any(lines_of(row["login"])["passwd"] for row in rows)
        assert all(memberships(login)["gshadow"] == {"pythonists"} for login in kept)
        judge_numbers()
        assert is_clean()
    finally:
        for login in (*kept, "steady", "passing"):
            subprocess.run(["userdel", "-r", login], check=False, capture_output=True)


def test_while_a_class_works(trainer: Trainer, before: dict[str, Any]) -> None:
    """A second class comes and goes, and the first one changes, while two students use docker: none of their commands fails."""
    rows = students(2, prefix="busy")
    trainer.apply(write("busy.csv", as_csv(rows)))

    def work(login: str) -> Callable[[], None]:
        def once() -> None:
            student = Student(login)
            student.ok("run", "--rm", "--name", f"{login}c1", "alpine", "true")
            assert "login" not in student.ok("ps", "--all")

        return once

    with beside(work("busy001"), work("busy002")) as problems:
        trainer.apply(write("second.csv", as_csv(students(20, prefix="next"))))
        trainer.apply(write("busy.csv", as_csv([row | {"name": "Another Name", "mail": "m@example.org"} for row in rows])))
        trainer.ok("cohort", "end", "second", "--yes")
    assert problems == []
    assert lines_of("busy001")["passwd"][0].split(":")[4] == "Another Name"
