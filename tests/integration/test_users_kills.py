"""Single users on a real host: a failing tool, kill -9 at every step, held locks; the next start finishes or undoes."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hostadmin.core.errors import Failed, HostadminError
from hostadmin.host import programs
from hostadmin.users.service import Users
from tests.integration.accounts import ADMIN, FILES, PASSWORD, ROOT, Bench, su, mentions, is_clean, snapshot

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("pristine_accounts")]


@pytest.mark.parametrize("tool", ["useradd", "chpasswd"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_failure_half_way_is_undone(bench: Bench, tool: str, when: str) -> None:
    """Whatever fails, nothing of the account is left, and the record says so."""
    before = snapshot()

    def fail(argv: list[str]) -> None:
        if argv[0] == tool:
            setattr(bench.tools, when, lambda _argv: None)
            raise programs.ProgramFailed(f"{tool} failed with code 1: planted", code=1, stderr="planted")

    subprocess.run(["groupadd", "--system", "docker"], check=False, capture_output=True)
    before = snapshot()
    setattr(bench.tools, when, fail)
    with pytest.raises(HostadminError, match="planted"):
        bench.users.add(ADMIN, "ashu", docker=True, password=PASSWORD)
    assert snapshot() == before
    assert bench.row("ashu") is None
    outcome = bench.records("outcome")[-1]
    assert (outcome["status"], outcome["detail"]["undone"]) == ("error", True)
    assert bench.open_records() == []
    assert bench.users.add(ADMIN, "ashu", docker=True, password=PASSWORD).docker


def test_what_cannot_be_recorded_does_not_stay(bench: Bench) -> None:
    """The outcome cannot be written: the account is taken back at once."""
    before = snapshot()

    def refuse(*_args: Any, **_more: Any) -> None:
        raise Failed("The disk is full.")

    bench.journal.submit_outcome = refuse  # type: ignore[method-assign]
    with pytest.raises(Failed, match="disk is full"):
        bench.users.add(ADMIN, "ashu", password=PASSWORD)
    assert snapshot() == before


def test_a_foreign_lock_is_waited_for(bench: Bench) -> None:
    """Somebody holds passwd.lock for a moment: the tool is tried again."""
    lock = Path("/etc/passwd.lock")
    lock.write_text(str(os.getpid()))
    threading.Timer(0.7, lock.unlink).start()
    bench.users.add(ADMIN, "ashu")
    assert sum(c[0] == "useradd" for c in bench.tools.calls) > 1


SCRIPT = """
import os, signal, sys
from pathlib import Path
from tests.integration.accounts import ADMIN, PASSWORD, Bench
place, action, number, when = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
bench = Bench(place)
left = [number]
def maybe(_argv):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
setattr(bench.tools, when, maybe)
from datetime import date
{
    "add": lambda: bench.users.add(ADMIN, "ashu", docker=True, password=PASSWORD),
    "set": lambda: bench.users.set(ADMIN, "ashu", name="Other", expires=date(2099, 1, 1)),
    "lock": lambda: bench.users.lock(ADMIN, "ashu"),
    "unlock": lambda: bench.users.unlock(ADMIN, "ashu"),
    "passwd": lambda: bench.users.passwd(ADMIN, "ashu", "another password"),
    "grant": lambda: bench.users.grant(ADMIN, "ashu"),
    "revoke": lambda: bench.users.revoke(ADMIN, "ashu"),
    "remove": lambda: bench.users.remove(ADMIN, "ashu"),
}[action]()
bench.database.close()
"""

PREPARE: dict[str, Callable[[Users], object]] = {
    "add": lambda _u: None,
    "set": lambda u: u.add(ADMIN, "ashu", password=PASSWORD),
    "lock": lambda u: u.add(ADMIN, "ashu", password=PASSWORD),
    "unlock": lambda u: (u.add(ADMIN, "ashu", password=PASSWORD), u.lock(ADMIN, "ashu")),
    "passwd": lambda u: u.add(ADMIN, "ashu", password=PASSWORD),
    "grant": lambda u: u.add(ADMIN, "ashu", password=PASSWORD),
    "revoke": lambda u: u.add(ADMIN, "ashu", docker=True, password=PASSWORD),
    "remove": lambda u: u.add(ADMIN, "ashu", docker=True, password=PASSWORD),
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("action", list(PREPARE))
def test_kill_between_the_steps(tmp_path: Path, action: str, when: str) -> None:
    """kill -9 of the service before and after every tool of every action; the next start finishes or undoes it."""
    pristine = snapshot()
    for number in range(10):
        place = tmp_path / str(number)
        place.mkdir()
        bench = Bench(place)
        PREPARE[action](bench.users)
        bench.database.close()
        before = snapshot()
        done = subprocess.run([sys.executable, "-c", SCRIPT, str(place), action, str(number), when], check=False, cwd=ROOT, timeout=60)
        bench.open()
        judge_recovery(bench, action, killed=done.returncode == -signal.SIGKILL, before=before)
        restore(pristine)
        bench.database.close()
        if done.returncode == 0:
            assert number, "at least one kill"
            return
        assert done.returncode == -signal.SIGKILL, done
    raise AssertionError("more tools than expected")


def restore(state: tuple[list[bytes], list[str]]) -> None:
    """Put files and homes back between two rounds."""
    for file, content in zip([f for f in FILES if f.exists()], state[0], strict=True):
        file.write_bytes(content)
    for left in set(os.listdir("/home")) - set(state[1]):
        subprocess.run(["rm", "-rf", f"/home/{left}"], check=True)


def judge_recovery(bench: Bench, action: str, *, killed: bool, before: tuple[list[bytes], list[str]]) -> None:
    """Whatever was cut off: recovered once, closed, consistent, and the action can be done again."""
    assert bench.users.recover() == int(killed)
    assert bench.users.recover() == 0
    assert bench.open_records() == []
    assert is_clean()
    if killed:
        verdict = bench.records("recovered")[-1]
        assert verdict["status"] in ("done", "not-done"), verdict
        if action == "add":
            assert verdict["status"] == "not-done"
            assert without_docker(snapshot()) == without_docker(before)
        elif verdict["status"] == "not-done" and action not in ("passwd", "unlock", "remove"):
            assert not bench.users.show("ashu").drift
    if action == "add":
        assert bench.users.add(ADMIN, "ashu", docker=True, password=PASSWORD).docker
    elif action == "remove":
        if bench.row("ashu") is not None:
            assert bench.users.show("ashu").state == "leaving"
            bench.users.remove(ADMIN, "ashu")
        assert mentions("ashu") == []
        assert not os.path.lexists("/home/ashu")
    else:
        assert not bench.users.show("ashu").drift
        if action == "lock":
            assert bench.users.show("ashu").state == "locked"


def without_docker(state: tuple[list[bytes], list[str]]) -> tuple[list[list[bytes]], list[str]]:
    """Return a snapshot without the lines of group docker: an empty group may stay behind."""
    return [[line for line in content.splitlines() if not line.startswith(b"docker:")] for content in state[0]], state[1]


@pytest.mark.parametrize("number", range(1, 7))
@pytest.mark.parametrize("tool", ["useradd", "userdel", "usermod"])
def test_a_tool_killed_in_the_middle(bench: Bench, tool: str, number: int) -> None:
    """The state after a kill at each rename (``accounts.md`` 6): put together from before and after, file by file."""
    existing = [f for f in FILES if f.exists()]
    if tool != "useradd":
        bench.users.add(ADMIN, "ashu", docker=tool == "userdel", password=PASSWORD)
    before, calls = snapshot(), 0

    def cut(argv: list[str]) -> None:
        nonlocal calls
        if argv[0] != tool or calls:
            return
        calls += 1
        for file, old in list(zip(existing, before[0], strict=True))[number:]:
            file.write_bytes(old)
        if tool == "useradd" and number < len(existing):
            subprocess.run(["rm", "-rf", "/home/ashu"], check=True)
        raise KeyboardInterrupt  # nothing below may catch this: the process is gone

    bench.tools.after = cut
    act: dict[str, Callable[[], object]] = {
        "useradd": lambda: bench.users.add(ADMIN, "ashu", docker=True, password=PASSWORD),
        "userdel": lambda: bench.users.remove(ADMIN, "ashu"),
        "usermod": lambda: bench.users.grant(ADMIN, "ashu"),
    }
    with pytest.raises(KeyboardInterrupt):
        act[tool]()
    bench.tools.after = lambda _argv: None
    bench.journal.boot = "the next start"
    assert bench.users.recover() == 1
    verdict = bench.records("recovered")[-1]["status"]
    assert verdict in ("done", "not-done")
    assert is_clean()
    if tool == "useradd":
        assert without_docker(snapshot()) == without_docker(before)
        bench.users.add(ADMIN, "ashu", docker=True)
    elif tool == "userdel":
        if bench.row("ashu") is not None:
            bench.users.remove(ADMIN, "ashu")
        assert mentions("ashu") == []
        assert not os.path.lexists("/home/ashu")
    else:
        assert bench.users.show("ashu").docker == (verdict == "done")
        assert bench.users.grant(ADMIN, "ashu").docker


def test_a_home_that_was_there_survives_the_recovery(bench: Bench) -> None:
    """The kept home of a returning user is not taken away with the half-made account."""
    bench.users.add(ADMIN, "ashu")
    Path("/home/ashu/mine").write_text("work")
    bench.users.remove(ADMIN, "ashu", keep_home=True)

    def cut(argv: list[str]) -> None:
        if argv[0] == "useradd":
            raise KeyboardInterrupt

    bench.tools.after = cut
    with pytest.raises(KeyboardInterrupt):
        bench.users.add(ADMIN, "ashu")
    bench.tools.after = lambda _argv: None
    bench.journal.boot = "the next start"
    assert bench.users.recover() == 1
    assert bench.accounts.find("ashu") is None
    assert Path("/home/ashu/mine").read_text() == "work"


def lose_the_outcome(bench: Bench, act: Callable[[], object]) -> None:
    """Do something whose outcome cannot be written (the disk is full): its intent stays open."""
    working = bench.journal.outcome

    def refuse(*_args: Any, **_more: Any) -> None:
        raise Failed("The disk is full.")

    bench.journal.outcome = refuse  # type: ignore[method-assign]
    with pytest.raises(Failed, match="disk is full"):
        act()
    bench.journal.outcome = working  # type: ignore[method-assign]


def test_the_recovery_leaves_what_was_settled_since(bench: Bench) -> None:
    """A removal and a revocation without an outcome must not hit who came back, or got access again, before the next start."""
    bench.users.add(ADMIN, "ashu", docker=True, password=PASSWORD)
    row = bench.row("ashu")
    lose_the_outcome(bench, lambda: bench.users.revoke(ADMIN, "ashu"))
    assert bench.users.grant(ADMIN, "ashu").docker
    lose_the_outcome(bench, lambda: bench.users.remove(ADMIN, "ashu"))
    assert bench.users.show("ashu").state == "leaving"
    bench.users.remove(ADMIN, "ashu")
    bench.users.add(ADMIN, "ashu", docker=True, password=PASSWORD)
    back = bench.row("ashu")
    assert row is not None
    assert back is not None
    assert back.id == row.id
    bench.journal.boot = "the next start"
    assert bench.users.recover() == 2
    assert [r["status"] for r in bench.records("recovered")] == ["unknown", "unknown"]
    view = bench.users.show("ashu")
    assert (view.state, view.docker, list(view.drift)) == ("active", True, [])
    assert su("ashu", PASSWORD)


def test_a_revocation_without_an_outcome_is_finished(bench: Bench) -> None:
    """Nobody gave access again: the next start takes it away, even if somebody put it back by hand."""
    bench.users.add(ADMIN, "ashu", docker=True)
    lose_the_outcome(bench, lambda: bench.users.revoke(ADMIN, "ashu"))
    subprocess.run(["usermod", "-aG", "docker", "ashu"], check=True)
    bench.journal.boot = "the next start"
    assert bench.users.recover() == 1
    assert bench.records("recovered")[-1]["status"] == "done"
    assert not bench.users.show("ashu").docker


def test_ctrl_c_does_not_reach_a_tool() -> None:
    """A tool runs in a session of its own."""
    assert programs.run(["sh", "-c", "ps -o sid= -p $$"]).stdout.strip() != str(os.getsid(0))


def test_the_lock_of_the_tools_is_not_ours(bench: Bench) -> None:
    """While somebody holds .pwd.lock for a while (vipw), the tool waits by itself."""
    with open("/etc/.pwd.lock", "w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        threading.Timer(1.0, lambda: fcntl.lockf(file, fcntl.LOCK_UN)).start()
        started = time.monotonic()
        bench.users.add(ADMIN, "ashu")
        assert time.monotonic() - started > 0.5
