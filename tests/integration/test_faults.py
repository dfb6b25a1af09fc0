"""What survives: kill -9 of either process at any point, an engine that is down, bad input."""

import os
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.ledger import await_agreement, engine_state, judge_agreement
from tests.integration.people import Student
from tests.integration.stage import Engine, Hostadmin, make_stage, until
from tests.integration.terminal import Terminal

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
CLASS = ("ashu", "dev", "roni")


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[Engine, Hostadmin]]:
    """An engine, hostadmin, and three students with access."""
    with make_stage() as (engine, hostadmin):
        for login in CLASS:
            assert hostadmin.run("user", "add", login, "--docker").returncode == 0
        yield engine, hostadmin


def small_day(student: Student, stop: Callable[[], bool]) -> int:
    """Work until told to stop, whatever fails on the way; return how many rounds were begun."""
    me, rounds = student.login, 0
    while not stop():
        rounds += 1
        for argv in (
            ["run", "-itd", "--name", f"{me}a{rounds}", "alpine"],
            ["network", "create", f"{me}n{rounds}"],
            ["volume", "create", f"{me}v{rounds}"],
            ["network", "connect", f"{me}n{rounds}", f"{me}a{rounds}"],
            ["exec", f"{me}a{rounds}", "true"],
            ["update", "--restart", "always", f"{me}a{rounds}"],
            ["tag", "alpine", f"{me}:r{rounds}"],
            ["rm", "-f", f"{me}a{rounds - 1}"],
            ["network", "rm", f"{me}n{rounds - 2}"],
            ["volume", "rm", f"{me}v{rounds - 1}"],
            ["rmi", f"{me}:r{rounds - 1}"],
        ):
            student.docker(*argv, timeout=60)
    return rounds


@contextmanager
def at_work(students: list[Student]) -> Iterator[list[int]]:
    """Have students work in the background; their rounds are in the list at the end."""
    stopping = threading.Event()
    rounds: list[int] = []
    threads = [threading.Thread(target=lambda s=s: rounds.append(small_day(s, stopping.is_set))) for s in students]
    for thread in threads:
        thread.start()
    try:
        yield rounds
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("part", ["guard", "service"])
def test_kill_at_any_point_of_the_replay(stage: tuple[Engine, Hostadmin], part: str) -> None:
    """kill -9 at random points while three students work; nothing is lost, orphaned or left unexplained."""
    engine, hostadmin = stage
    chance = random.Random(20220404)
    with at_work([Student(login) for login in CLASS]) as rounds:
        for _ in range(6):
            time.sleep(chance.uniform(0.3, 1.5))  # the point is arbitrary on purpose
            old = hostadmin.kill(part)
            until(f"a new {part} runs", lambda old=old: hostadmin.part(part) not in (0, old))
            until("it answers", hostadmin.guard.up)
    hostadmin.wait()
    assert len(rounds) == len(CLASS)
    judge_agreement(engine, hostadmin)
    clear(engine, hostadmin)


def clear(engine: Engine, hostadmin: Hostadmin) -> None:
    """Every student clears up through the guard: what they made is still theirs."""
    for student in (Student(login) for login in CLASS):
        for listing, removal in (
            (["ps", "-aq"], ["rm", "-f"]),
            (["network", "ls", "-q", "--filter", "type=custom"], ["network", "rm"]),
            (["volume", "ls", "-q"], ["volume", "rm"]),
        ):
            found = student.ok(*listing).split()
            if found:
                student.ok(*removal, *found)
    until("nothing is left", lambda: not any(engine_state(engine).values()))
    judge_agreement(engine, hostadmin)


def test_attached_sessions_survive_the_service(stage: tuple[Engine, Hostadmin]) -> None:
    """A crash of the service ends nobody's ``docker exec``."""
    _, hostadmin = stage
    student = Student("ashu")
    student.ok("run", "-itd", "--name", "ashukeep", "alpine")
    shell = Terminal("ashu")
    try:
        shell.say("docker exec -it ashukeep sh", r"/ # $")
        guard, old = hostadmin.part("guard"), hostadmin.kill("service")
        assert "still-42" in shell.say("echo still-$((40+2))", r"/ # $")
        assert student.docker("ps").returncode == 0, "the guard serves without the service"
        until("a new service runs", lambda: hostadmin.part("service") not in (0, old))
        hostadmin.wait()
        assert hostadmin.part("guard") == guard
        assert "again-42" in shell.say("echo again-$((40+2))", r"/ # $")
        shell.press("exit\n")
        assert shell.finish().code == 0
    finally:
        shell.close()
        student.docker("rm", "-f", "ashukeep")


def test_engine_that_is_down(stage: tuple[Engine, Hostadmin]) -> None:
    """503 in the Engine's own form; the service keeps running and catches up with what it missed."""
    engine, hostadmin = stage
    student = Student("dev")
    student.ok("run", "-d", "--restart", "always", "--name", "devkeep", "alpine", "sleep", "1000")
    service = hostadmin.part("service")
    engine.stop()
    answer = student.raw("GET", "/v1.41/containers/json")
    assert answer.startswith(b"HTTP/1.1 503"), answer
    assert b'{"message"' in answer
    done = student.docker("ps")
    assert done.returncode == 1
    assert "engine" in done.stderr.lower(), done.stderr
    assert hostadmin.run("user", "list").returncode == 0, "the service runs without an engine"
    assert hostadmin.run("user", "add", "lateone", "--docker").returncode == 0, "and makes accounts"
    engine.start()
    until("the guard serves again", lambda: student.docker("ps").returncode == 0)
    status, made = engine.eye.call("POST", "/containers/create?name=past", {"Image": "alpine", "Cmd": ["true"]})
    assert status == 201
    known = "select attribution from objects where ref = ? and gone_at is null"
    assert until("the watcher has caught up", lambda: hostadmin.rows(known, made["Id"]), 30) == [("unknown",)]
    assert hostadmin.part("service") == service
    assert "past" not in student.ok("ps", "-a", "--format", "{{.Names}}")
    engine.eye.call("DELETE", f"/containers/{made['Id']}")
    student.ok("rm", "-f", "devkeep")


def test_objects_made_past_the_guard_while_all_was_down(stage: tuple[Engine, Hostadmin]) -> None:
    """What root makes or removes meanwhile is in the ledger after the next start."""
    engine, hostadmin = stage
    student = Student("roni")
    student.ok("run", "-itd", "--name", "ronigone", "alpine")
    student.ok("run", "-itd", "--name", "ronikeep", "alpine")
    hostadmin.stop()
    engine.eye.call("DELETE", "/containers/ronigone?force=1")
    _, made = engine.eye.call("POST", "/volumes/create", {"Name": "pastvolume"})
    hostadmin.start()
    await_agreement(engine, hostadmin)
    assert student.ok("ps", "-a", "--format", "{{.Names}}") == "ronikeep"
    assert "pastvolume" not in student.ok("volume", "ls", "-q")
    assert hostadmin.run("owner", "set", "volume", "pastvolume", "roni").returncode == 0
    assert student.ok("volume", "ls", "-q") == made["Name"]
    student.ok("volume", "rm", "pastvolume")
    student.ok("rm", "-f", "ronikeep")


BAD_LOGINS = ["-x", "root", "a:b", "a" * 33, "daemon", "Ashu", "1ashu", "a b", "a/b", "../etc", "a\nb", "", "ashu$", "ümit", "docker"]


@pytest.mark.parametrize("login", BAD_LOGINS, ids=[repr(b) for b in BAD_LOGINS])
def test_bad_login_names(stage: tuple[Engine, Hostadmin], login: str) -> None:
    """A name that the system must not have is refused before anything runs."""
    _, hostadmin = stage
    files = [Path(f"/etc/{name}") for name in ("passwd", "shadow", "group", "gshadow")]
    before = [f.read_bytes() for f in files]
    done = hostadmin.run("user", "add", "--", login)
    assert done.returncode in (1, 2), (done.stdout, done.stderr)
    assert (done.stderr or done.stdout).strip()
    assert "Traceback" not in done.stderr
    assert [f.read_bytes() for f in files] == before


def test_user_add_twice_is_once(stage: tuple[Engine, Hostadmin]) -> None:
    """The second, identical add changes nothing and is no failure."""
    _, hostadmin = stage
    assert hostadmin.run("user", "add", "twice", "--name", "Two Times", "--docker").returncode == 0
    before = [Path(f"/etc/{name}").read_bytes() for name in ("passwd", "shadow", "group")]
    home = Path("/home/twice").stat()
    assert hostadmin.run("user", "add", "twice", "--name", "Two Times", "--docker").returncode == 0
    assert [Path(f"/etc/{name}").read_bytes() for name in ("passwd", "shadow", "group")] == before
    assert Path("/home/twice").stat().st_mtime_ns == home.st_mtime_ns
    assert hostadmin.run("user", "remove", "twice", "--yes").returncode == 0


def test_uids_are_never_given_out_twice(stage: tuple[Engine, Hostadmin]) -> None:
    """An existing uid, also of an account that hostadmin did not make, and a removed user's, are not reused."""
    _, hostadmin = stage
    taken = max(int(line.split(":")[2]) for line in Path("/etc/passwd").read_text().splitlines() if "nobody" not in line) + 1
    subprocess.run(["useradd", "-u", str(taken), "byhand"], check=True)
    uids = []
    for login in ("firstone", "secondone"):
        assert hostadmin.run("user", "add", login).returncode == 0
        uids.append(hostadmin.ask("user", "show", login)["uid"])
        assert hostadmin.run("user", "remove", login, "--yes").returncode == 0
    assert len({*uids, taken}) == 3, (uids, taken)
    subprocess.run(["userdel", "-r", "byhand"], check=False, capture_output=True)


def test_an_account_made_by_hand_is_not_taken_over(stage: tuple[Engine, Hostadmin]) -> None:
    """``user add`` of a login that exists without hostadmin is refused, and the account stays as it is."""
    _, hostadmin = stage
    subprocess.run(["useradd", "-m", "handmade"], check=True)
    before = Path("/etc/passwd").read_bytes()
    done = hostadmin.run("user", "add", "handmade")
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert Path("/etc/passwd").read_bytes() == before
    subprocess.run(["userdel", "-r", "handmade"], check=False, capture_output=True)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('[guard]\nsockte = "/x"\n', "sockte"),
        ('[gaurd]\nsocket = "/x"\n', "gaurd"),
        ("[upkeep]\nresync_seconds = 'often'\n", "resync_seconds"),
        ("[guard\n", "configuration"),
    ],
)
def test_unknown_configuration_is_refused(stage: tuple[Engine, Hostadmin], tmp_path: Path, text: str, word: str) -> None:
    """Unknown keys and sections, wrong types and broken files end ``serve`` with a sentence, not a traceback."""
    _, hostadmin = stage
    file = tmp_path / "bad.toml"
    file.write_text(text)
    for command in ("serve", "guard", "service"):
        argv = [hostadmin.command, "--config", str(file), command]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode in (1, 2), (command, done.stdout, done.stderr)
        assert word in done.stderr, done.stderr
        assert "Traceback" not in done.stderr


def test_unknown_key_in_the_environment(stage: tuple[Engine, Hostadmin]) -> None:
    """``HOSTADMIN_SECTION__KEY`` is checked like the file."""
    _, hostadmin = stage
    argv = [hostadmin.command, "--config", str(hostadmin.config), "service"]
    environ = os.environ | {"HOSTADMIN_GUARD__SOCKTE": "/x"}
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode in (1, 2)
    assert "sockte" in done.stderr
