"""The one door to other programs."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from hostadmin.host import programs
from hostadmin.host.programs import ProgramFailed

SECRET = "planted-secret"


def test_output_and_input() -> None:
    assert programs.run(["cat"], stdin=SECRET).stdout == SECRET


def test_the_input_is_empty_unless_given() -> None:
    assert programs.run(["cat"]).stdout == ""


def test_the_environment_is_rebuilt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED", SECRET)
    names = {line.split("=")[0] for line in programs.run(["env"]).stdout.splitlines()}
    assert names <= {"PATH", "LC_ALL", "HOME", "PWD", "SHLVL", "_", programs.OWNER}


def test_an_argument_is_never_a_shell_word() -> None:
    assert programs.run(["echo", "$(id)", "a;b"]).stdout == "$(id) a;b\n"


def test_failure_has_code_and_stderr_but_no_input() -> None:
    with pytest.raises(ProgramFailed) as caught:
        programs.run(["sh", "-c", "echo why >&2; exit 7"], stdin=SECRET)
    assert (caught.value.code, caught.value.stderr) == (7, "why")
    assert SECRET not in str(caught.value)


def test_stderr_is_cut_and_need_not_be_text() -> None:
    with pytest.raises(ProgramFailed) as caught:
        programs.run(["sh", "-c", "printf '\\377'; head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1"])
    assert len(caught.value.stderr) == programs.STDERR_LIMIT


def test_a_missing_program_is_told() -> None:
    with pytest.raises(ProgramFailed, match="is missing"):
        programs.run(["no-such-program"])


def test_too_slow() -> None:
    with pytest.raises(ProgramFailed, match="did not end") as caught:
        programs.run(["sleep", "30"], stdin=SECRET, timeout=0.1)
    assert SECRET not in str(caught.value)


def starter(program: str) -> subprocess.Popen[bytes]:
    """Start a process that runs a program, as a run of the service does."""
    code = f"from hostadmin.host import programs; programs.run(['sh', '-c', {program!r}])"
    return subprocess.Popen([sys.executable, "-c", code])


def sleeper_of(pid: int) -> int:
    """Return the child of a process, once it has become ``sleep``."""
    for _ in range(3000):
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
                if name == "sleep" and int(rest.split()[1]) == pid:
                    return int(stat.parent.name)
        time.sleep(0.02)
    raise AssertionError("no child")


def test_a_program_of_a_living_run_is_no_orphan() -> None:
    process = starter("exec sleep 60")
    child = sleeper_of(process.pid)
    assert child not in programs.orphans()
    process.kill()
    process.wait()
    os.kill(child, signal.SIGKILL)


def test_what_a_dead_run_has_left_is_killed() -> None:
    process = starter("exec sleep 60")
    child = sleeper_of(process.pid)
    process.kill()
    process.wait()
    assert child in programs.orphans()
    assert programs.await_orphans() >= 1
    assert child not in programs.orphans()
    assert programs.await_orphans() == 0


def test_what_writes_the_account_files_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "PATIENT", ("sleep",))
    process = starter("exec sleep 2")
    sleeper_of(process.pid)
    process.kill()
    process.wait()
    started = time.monotonic()
    assert programs.await_orphans() == 1
    assert 0.2 < time.monotonic() - started < 30


def test_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "PATIENT", ("sleep",))
    process = starter("exec sleep 60")
    sleeper_of(process.pid)
    process.kill()
    process.wait()
    started = time.monotonic()
    assert programs.await_orphans(0.2) == 1
    assert 0.2 <= time.monotonic() - started < 30
