"""`make run` as a newcomer types it: beside an engine, and from nothing."""

import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.integration.accounts import PASSWORD
from tests.integration.stage import ROOT, Engine, Eye, until

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("pristine_accounts")]
USUAL: Final = "/run/docker.sock"
SCRIPT: Final = Path("/etc/profile.d/hostadmin.sh")
HOSTADMIN: Final = str(ROOT / ".venv/bin/hostadmin")


class Run:
    """What `make run` starts, in the foreground of a terminal, as far as it matters."""

    def __init__(self) -> None:
        self.log = Path("/mnt/run.log")
        options = f"--data-root /mnt/docker/data --exec-root /run/docker --bip 172.17.0.1/16 --cgroup-parent {os.environ['DHOST_CGROUP']}"
        environ = os.environ | {
            "HOSTADMIN_GUARD__CGROUP_PARENT": f"{os.environ['DHOST_CGROUP']}/hostadmin",
            "HOSTADMIN_DOCKERD_OPTIONS": options,
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(["tools/run"], stdout=log, stderr=log, env=environ, cwd=ROOT, start_new_session=True)
        until("it says what to type next", lambda: "Ctrl-C ends" in self.log.read_text())

    def end(self) -> None:
        """Type Ctrl-C."""
        os.killpg(self.process.pid, signal.SIGINT)
        assert self.process.wait(60) == 0, self.log.read_text()


@pytest.fixture
def runs() -> Iterator[list[Run]]:
    """What is still running is ended."""
    found: list[Run] = []
    yield found
    for run in found:
        if run.process.poll() is None:
            run.end()


def typed(script: str) -> subprocess.CompletedProcess[str]:
    """Let alice type something into a login shell."""
    return subprocess.run(["su", "-", "alice", "-c", script], capture_output=True, text=True, check=False, timeout=60)


def remove_alice() -> None:
    """Take her account away again."""
    subprocess.run([HOSTADMIN, "user", "remove", "alice", "--yes", "--no-archive"], check=True, capture_output=True, timeout=60)


def judge_works() -> None:
    """What is said to be typed next works, and the guard is what a person reaches without knowing of it."""
    for argv, stdin in ((["user", "add", "alice", "--docker"], ""), (["user", "passwd", "alice", "--password-stdin"], f"{PASSWORD}\n")):
        done = subprocess.run([HOSTADMIN, *argv], input=stdin, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, (argv, done.stderr)
    assert subprocess.run([HOSTADMIN, "doctor"], check=False, capture_output=True, timeout=60).returncode == 0
    listed = typed("docker ps --format '{{.Names}}'")
    assert (listed.returncode, listed.stdout, listed.stderr) == (0, "", "")
    refused = typed("docker run --privileged alpine true")
    assert "hostadmin refused" in refused.stderr, refused.stderr


def test_beside_an_engine(runs: list[Run]) -> None:
    """Login shells are told where the guard is; the engine's own socket is root's meanwhile, and everybody's as before afterwards."""
    engine = Engine(USUAL)
    engine.start()
    try:
        os.chmod(USUAL, 0o666)
        runs.append(Run())
        assert stat.S_IMODE(os.stat(USUAL).st_mode) == 0o600
        judge_works()
        assert typed("echo $DOCKER_HOST").stdout == "unix:///run/hostadmin/docker.sock\n"
        assert typed(f"DOCKER_HOST=unix://{USUAL} docker ps").returncode == 1
        remove_alice()
        runs[0].end()
        assert stat.S_IMODE(os.stat(USUAL).st_mode) == 0o666
        assert not SCRIPT.exists()
        assert Eye(USUAL).up(), "the engine was there before, and stays"
    finally:
        engine.stop()


def test_from_nothing(runs: list[Run]) -> None:
    """The guard takes the usual place, so that nobody need be told; what was started ends with it. It can be run again."""
    for _ in range(2):
        run = Run()
        runs.append(run)
        judge_works()
        assert typed("echo ${DOCKER_HOST-none}").stdout == "none\n"
        remove_alice()
        run.end()
        assert not SCRIPT.exists()
        assert not os.path.lexists(USUAL)
        assert "dockerd" not in [p.read_text().strip() for p in Path("/proc").glob("[0-9]*/comm")]
