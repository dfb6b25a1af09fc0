"""``serve``, ``guard`` and ``service`` as processes: started, doubled, killed, ended; and the engine's own socket meanwhile."""

import os
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.integration.stage import ENGINE_SOCKET, GUARD_SOCKET, Engine, Eye, Hostadmin, sweep, until

pytestmark = [pytest.mark.host, pytest.mark.timeout(120)]
API_SOCKET = "/run/hostadmin/api.sock"


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """An engine that runs all the time."""
    sweep()
    made = Engine()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def hostadmin(engine: Engine) -> Iterator[Hostadmin]:
    """Hostadmin, not started; the engine's socket is as the engine makes it."""
    sweep()
    os.chmod(ENGINE_SOCKET, 0o660)
    made = Hostadmin()
    yield made
    for path in (GUARD_SOCKET, API_SOCKET):
        Path(path).unlink(missing_ok=True)


def said(hostadmin: Hostadmin) -> str:
    """Return what ``serve`` has printed."""
    return hostadmin.log.read_text() if hostadmin.log.exists() else ""


@contextmanager
def serving(hostadmin: Hostadmin) -> Iterator[Hostadmin]:
    """Have ``serve`` run; end it in order."""
    hostadmin.start()
    try:
        yield hostadmin
    finally:
        hostadmin.stop()


def mode() -> int:
    """Return the mode of the engine's own socket."""
    return stat.S_IMODE(os.stat(ENGINE_SOCKET).st_mode)


def kill_everything(hostadmin: Hostadmin) -> None:
    """Take the power away, from all at once: none may start another again, or end in order because another has gone."""
    assert hostadmin.process is not None
    parts = [hostadmin.part(name) for name in ("guard", "service")]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in (hostadmin.process.pid, *parts):
            os.kill(pid, number)
    hostadmin.process.wait()
    until("all have gone", lambda: not any(runs(p) for p in parts))


def runs(pid: int) -> bool:
    """Tell whether a process runs (a dead one that nobody has waited for does not)."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def test_it_says_what_is_where_and_when_it_is_ready(hostadmin: Hostadmin) -> None:
    """A few lines, then ``ready`` once both sockets answer; in order at the end."""
    with serving(hostadmin):
        until("ready", lambda: "\nready\n" in said(hostadmin))
        for text in (GUARD_SOCKET, API_SOCKET, f"{ENGINE_SOCKET}   (answers)", str(hostadmin.database), "hostadmin user add"):
            assert text in said(hostadmin), text
    assert said(hostadmin).endswith("hostadmin has stopped\n")
    assert not Path(GUARD_SOCKET).exists()
    assert not Path(API_SOCKET).exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_within_seconds(hostadmin: Hostadmin, number: int) -> None:
    """SIGTERM and Ctrl-C end both processes in order, also while a call and a follower are open."""
    hostadmin.start()
    assert hostadmin.process is not None
    parts = [hostadmin.part(name) for name in ("guard", "service")]
    argv = [hostadmin.command, "--config", str(hostadmin.config), "audit", "tail"]
    follower = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    begun = time.monotonic()
    hostadmin.process.send_signal(number)
    assert hostadmin.process.wait(60) == 0
    assert time.monotonic() - begun < 60
    assert not any(runs(pid) for pid in parts)
    assert not [path for path in (GUARD_SOCKET, API_SOCKET) if os.path.lexists(path)], "ended in order, not killed"
    assert follower.wait(60) == 1
    assert hostadmin.rows("select count(*) from audit_open") == [(0,)]
    hostadmin.process = None


def test_a_second_one_says_so_and_touches_nothing(hostadmin: Hostadmin) -> None:
    """``serve``, ``guard`` and ``service`` beside a running one end with 75."""
    with serving(hostadmin):
        before = [os.stat(path).st_ino for path in (GUARD_SOCKET, API_SOCKET)]
        for role in ("serve", "guard", "service"):
            done = hostadmin.run(role)
            assert done.returncode == 75, (role, done.stdout, done.stderr)
            assert "runs already" in done.stderr
        assert [os.stat(path).st_ino for path in (GUARD_SOCKET, API_SOCKET)] == before
        assert hostadmin.guard.up()


@pytest.mark.parametrize("part", ["guard", "service"])
def test_a_killed_one_is_started_again_and_the_other_never_notices(hostadmin: Hostadmin, part: str) -> None:
    """At once, again and again, if it has lived for more than a second in between."""
    other = {"guard": "service", "service": "guard"}[part]
    with serving(hostadmin):
        kept = hostadmin.part(other)
        for _ in range(3):
            old = hostadmin.kill(part)
            until(f"a new {part}", lambda old=old: hostadmin.part(part) not in (0, old), 3)
            time.sleep(1.2)  # else it would count as one that cannot live
        hostadmin.wait()
        assert hostadmin.part(other) == kept


def test_one_that_cannot_live_is_tried_for_ever_with_pauses(hostadmin: Hostadmin) -> None:
    """A profile file that is broken while all runs: the other part stays, and repairing the file is enough."""
    file = Path("/mnt/hostadmin/profiles.toml")
    good = Path(hostadmin.config.read_text().split('profiles = "')[1].split('"')[0]).read_text()
    file.write_text(good)
    hostadmin.config.write_text(hostadmin.config.read_text().replace('profiles = "', f'profiles = "{file}" # "'))
    with serving(hostadmin):
        guard = hostadmin.part("guard")
        file.write_text("broken")
        hostadmin.kill("service")
        until("it was tried several times", lambda: said(hostadmin).count("service ended") >= 4)
        tries = said(hostadmin).count("service ended")
        time.sleep(2)
        assert said(hostadmin).count("service ended") - tries <= 3, "no hot loop"
        assert hostadmin.part("guard") == guard
        assert hostadmin.guard.up()
        file.write_text(good)
        until("the service is back", lambda: hostadmin.run("user", "list").returncode == 0)


def test_the_children_end_with_the_supervisor(hostadmin: Hostadmin) -> None:
    """kill -9 of ``serve``: neither part stays behind, and the next ``serve`` starts."""
    hostadmin.start()
    assert hostadmin.process is not None
    parts = [hostadmin.part(name) for name in ("guard", "service")]
    hostadmin.process.kill()
    hostadmin.process.wait()
    until("both parts have ended", lambda: not any(runs(pid) for pid in parts))
    assert mode() == 0o600, "nobody is let in by a crash"
    with serving(hostadmin):
        pass
    assert mode() == 0o660


def test_ready_is_not_said_of_sockets_that_a_killed_one_left(hostadmin: Hostadmin) -> None:
    """The files are there, nobody answers: ``ready`` waits."""
    hostadmin.start()
    kill_everything(hostadmin)
    assert Path(GUARD_SOCKET).is_socket()
    assert Path(API_SOCKET).is_socket()
    hostadmin.log.unlink()
    with hostadmin.log.open("ab") as log:
        argv = [hostadmin.command, "--config", str(hostadmin.config), "serve"]
        hostadmin.process = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)
    until("ready", lambda: "\nready\n" in said(hostadmin))
    assert Eye(API_SOCKET).call("GET", "/healthz")[0] == 200
    assert hostadmin.guard.up()
    hostadmin.stop()


def test_the_engines_socket_is_put_back_after_kills_too(hostadmin: Hostadmin) -> None:
    """Owner and mode of before the first start come back at the first orderly stop, whatever was killed meanwhile."""
    group = os.stat(ENGINE_SOCKET).st_gid
    for _ in range(2):
        hostadmin.start()
        assert (mode(), os.stat(ENGINE_SOCKET).st_gid) == (0o600, 0)
        kill_everything(hostadmin)
        assert mode() == 0o600
    with serving(hostadmin):
        hostadmin.kill("service")
        hostadmin.wait()
        assert mode() == 0o600
    assert (mode(), os.stat(ENGINE_SOCKET).st_gid) == (0o660, group)
    actions = [
        row[0] for row in hostadmin.rows("select action from audit_records where action like 'engine.socket.%' and stage = 'intent'")
    ]
    assert len(actions) == 2, actions


def test_close_socket_off_leaves_it_and_puts_back_what_was_closed(hostadmin: Hostadmin) -> None:
    """Turned off after a crash: the next start opens what the last one had closed."""
    hostadmin.start()
    kill_everything(hostadmin)
    assert mode() == 0o600
    hostadmin.config.write_text(hostadmin.config.read_text().replace("close_socket = true", "close_socket = false"))
    with serving(hostadmin):
        assert mode() == 0o660


def test_no_two_sockets_are_the_same(hostadmin: Hostadmin) -> None:
    """A guard on the engine's own path would remove it: refused before anything is touched, whatever the spelling."""
    Path("/run/link.sock").symlink_to(ENGINE_SOCKET)
    for role, key, path in (("serve", "GUARD", ENGINE_SOCKET), ("guard", "GUARD", "/run/link.sock"), ("service", "API", ENGINE_SOCKET)):
        argv = [hostadmin.command, "--config", str(hostadmin.config), role]
        environ = os.environ | {f"HOSTADMIN_{key}__SOCKET": path}
        done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == 2, (role, path, done.stdout, done.stderr)
        assert "same socket" in done.stderr
    assert Eye(ENGINE_SOCKET).up()
    assert mode() == 0o660
    Path("/run/link.sock").unlink()
