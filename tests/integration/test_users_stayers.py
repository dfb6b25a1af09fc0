"""Whoever wants to stay: whatever a person starts, it is over with the lock."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from hostadmin.host import sessions
from tests.integration.accounts import ADMIN, PASSWORD, Bench, ignoring_term
from tests.integration.people import SYSTEM_PYTHON
from tests.integration.dated import CLOCK, dated, yard
from tests.integration.stage import until

__all__ = ["dated", "yard"]  # fixtures
pytestmark = [pytest.mark.host, pytest.mark.usefixtures("pristine_accounts")]

# -- whoever wants to stay -------------------------------------------------------------------------

FORKS = """
import os, signal, time
for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(n, signal.SIG_IGN)
while True:
    try:
        if os.fork() == 0:
            os.setsid()
            if os.fork(): os._exit(0)
    except OSError:
        time.sleep(0.001)
"""
STAYERS = {
    "forks in a loop, each in a session of its own": [SYSTEM_PYTHON, "-c", f"import resource; resource.setrlimit(resource.RLIMIT_NPROC, (200, 200))\n{FORKS}"],
    "nohup": ["nohup", "sleep", "600"],
    "setsid": ["setsid", "--fork", "sleep", "600"],
    "ignores TERM": ["sh", "-c", "trap '' TERM HUP INT; while :; do sleep 0.1; done"],
    "stopped": ["sh", "-c", "kill -STOP $$; sleep 600"],
    "in a user namespace": ["unshare", "--user", "--map-root-user", "--pid", "--fork", "sleep", "600"],
}  # fmt: skip


@pytest.mark.parametrize("how", STAYERS)
def test_nobody_survives_a_lock(dated: Bench, how: str) -> None:
    """Whatever a person starts, it is over with the lock, and with it the way back in."""
    uid = dated.users.add(ADMIN, "ashu", password=PASSWORD).uid
    process = subprocess.Popen(STAYERS[how], user=uid, group=uid, cwd="/tmp", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.7)  # time to fork, to stop, to hide
    if not sessions.running(uid) and "namespace" in how:
        pytest.skip("this kernel gives no user namespaces to people without root")
    assert sessions.running(uid)
    begun = time.monotonic()
    dated.users.lock(ADMIN, "ashu")
    assert time.monotonic() - begun < 60
    assert sessions.running(uid) == []
    process.wait(60)
    assert dated.accounts.is_locked("ashu")
    time.sleep(0.3)
    assert sessions.running(uid) == []


def test_what_lives_in_a_container_goes_on(dated: Bench) -> None:
    """Everything of a uid is stopped at one stroke; a process of that uid in a container (another pid namespace) goes on afterwards."""
    uid = dated.users.add(ADMIN, "ashu").uid
    busy = [SYSTEM_PYTHON, "-c", "import time\nwhile True: time.sleep(0.01)"]
    contained = subprocess.Popen(["unshare", "--pid", "--fork", "setpriv", f"--reuid={uid}", "--", *busy])
    deaf = ignoring_term(uid)
    [inside] = until(
        "the process in the container", lambda: [pid for pid in pids_of(uid) if Path(f"/proc/{pid}/comm").read_text().startswith("python")]
    )
    assert inside not in sessions.running(uid)
    dated.users.lock(ADMIN, "ashu")
    assert deaf.wait(30) == -signal.SIGKILL
    # What goes on gets time of a processor; its state alone tells little (a shell that starts a program is "D" for a moment).
    before = Path(f"/proc/{inside}/schedstat").read_text()
    until("time on a processor for what lives in the container", lambda: Path(f"/proc/{inside}/schedstat").read_text() != before)
    contained.kill()
    os.kill(inside, signal.SIGKILL)
    contained.wait()


def pids_of(uid: int) -> list[int]:
    """Return the processes of a uid, wherever they live."""
    return [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and p.stat().st_uid == uid]


def test_a_login_under_way_does_not_outlive_the_lock(dated: Bench) -> None:
    """sshd has asked PAM already when the lock comes: the session that starts afterwards is ended; nobody else's is."""
    uid = dated.users.add(ADMIN, "ashu").uid
    other = dated.users.add(ADMIN, "rohit").uid
    dated.users.lock(ADMIN, "ashu")
    late, innocent = subprocess.Popen(["sleep", "60"], user=uid), subprocess.Popen(["sleep", "60"], user=other)
    assert dated.users.end_stragglers(CLOCK) == {"ended": ["ashu"]}
    assert late.wait(60) != 0
    assert innocent.poll() is None
    subprocess.run(["usermod", "--uid", "5555", "ashu"], check=True, capture_output=True)
    subprocess.run(["useradd", "--uid", str(uid), "heir"], check=True)
    heirs = subprocess.Popen(["sleep", "60"], user=uid)
    assert dated.users.end_stragglers(CLOCK) == {}
    assert heirs.poll() is None, "the number is somebody else's on this host now"
    for process in (innocent, heirs):
        process.kill()
        process.wait()
