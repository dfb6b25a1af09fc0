"""The shipped unit under a real systemd: what its sandbox and the service manager change about people and what is kept."""

import os
import pwd
import re
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from passlib.hash import sha512_crypt

from tests.integration.accounts import PASSWORD, commands_of, is_clean, mentions, shadow_line
from tests.integration.classimages import make_images
from tests.integration.stage import ROOT, Eye, until

pytestmark = pytest.mark.host
UNIT: Final = "hostadmin.service"
GUARD: Final = "/run/hostadmin/docker.sock"
ENGINE: Final = "/run/docker.sock"
HOSTADMIN: Final = "/opt/hostadmin/venv/bin/hostadmin"


class Booted:
    """A host that systemd has started, with the engine's own unit and ours."""

    def __init__(self) -> None:
        argv = [str(ROOT / "tests/disposable/booted"), "sh", "-c", "echo $SYSTEMD; cat"]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        init = self._process.stdout.readline().strip()
        assert init, Path("/mnt/systemd.log").read_text()
        self.within = ["nsenter", "-t", init, "--pid", "--mount", "--root", "--cgroup", "--"]

    def end(self) -> None:
        """Let all of it go."""
        self._process.communicate()

    def run(self, *argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command as root in it."""
        return subprocess.run([*self.within, *argv], input=stdin, capture_output=True, text=True, check=False, timeout=60, cwd="/")

    def ok(self, *argv: str, stdin: str = "") -> str:
        """Run a command that must succeed; return what it printed."""
        done = self.run(*argv, stdin=stdin)
        assert done.returncode == 0, (argv, done.stdout, done.stderr)
        return done.stdout

    def hostadmin(self, *argv: str, stdin: str = "") -> str:
        """Run our command as the documents say it is installed."""
        return self.ok(HOSTADMIN, *argv, stdin=stdin)

    def ready(self) -> None:
        """Wait until the unit's service and guard answer."""
        until("the unit is ready", lambda: self.run(HOSTADMIN, "user", "list").returncode == 0 and self.run(*ping()).returncode == 0)

    def person(self, login: str) -> None:
        """Make somebody with a password of their own."""
        self.hostadmin("user", "add", login, "--docker", "--password-stdin", stdin=f"{PASSWORD}\n")

    def typed(self, login: str, script: str) -> str:
        """Let somebody type into a login shell, in a session as PAM makes it."""
        return self.ok("su", "-", login, "-c", script)

    def sees(self, path: str) -> bool:
        """Tell whether something is there, mounts of its own included."""
        return self.run("test", "-e", path).returncode == 0


def ping() -> tuple[str, ...]:
    """Return a command that asks the engine through the guard."""
    return ("docker", "-H", f"unix://{GUARD}", "version", "--format", "{{.Server.Version}}")


@pytest.fixture(scope="module")
def host() -> Iterator[Booted]:
    """One host for all: it takes some seconds to start."""
    booted = Booted()
    try:
        booted.ready()
        make_images(ENGINE)
        yield booted
    finally:
        booted.end()


def mode(path: str) -> int:
    """Return the permissions of a file."""
    return stat.S_IMODE(os.stat(path).st_mode)


def test_the_unit_is_as_systemd_wants_it(host: Booted) -> None:
    """Nothing in it that systemd does not know; started by the service manager, ready, and the engine's socket is closed meanwhile."""
    checked = host.run("systemd-analyze", "verify", "--man=no", f"/etc/systemd/system/{UNIT}")
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    assert host.ok("systemctl", "is-active", UNIT) == "active\n"
    assert mode(ENGINE) == 0o600
    host.ok("systemctl", "stop", UNIT)
    assert mode(ENGINE) == 0o660
    host.ok("systemctl", "start", UNIT)
    host.ready()
    assert mode(ENGINE) == 0o600
    assert [line for line in host.hostadmin("doctor").splitlines() if not line.startswith(("ok ", "warn "))] == []


def test_make_run_beside_the_unit_is_refused_and_changes_nothing(host: Booted) -> None:
    """The service's socket and login script stay as they are."""
    script = Path("/etc/profile.d/hostadmin.sh").read_text()
    refused = host.run("sh", "-c", f"cd {ROOT} && tools/run")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "systemctl stop hostadmin" in refused.stderr
    assert host.run(*ping()).returncode == 0
    assert Path("/etc/profile.d/hostadmin.sh").read_text() == script


@pytest.mark.parametrize("how", [("restart",), ("stop", "start"), ("kill --signal=KILL",)], ids=lambda how: " and ".join(how))
def test_cards_wait_while_the_service_is_started_anew(host: Booted, how: tuple[str, ...]) -> None:
    """New passwords wait in memory for their cards until the host is started anew, not only the service."""
    roster = Path("/tmp/cards.csv")
    roster.write_text("login,name\nwaiting,Waits For It\n")
    host.hostadmin("roster", "apply", str(roster), "--yes")
    before = host.ok("systemctl", "show", "-p", "InvocationID", "--value", UNIT)
    for word in how:
        host.ok("systemctl", *word.split(), UNIT)
    until("another run", lambda: host.ok("systemctl", "show", "-p", "InvocationID", "--value", UNIT) not in ("\n", before))
    host.ready()
    cards = host.hostadmin("cohort", "cards", "cards")
    [password] = re.findall(r">((?:[a-z]{4}-){4}[0-9]{2})<", cards)
    assert sha512_crypt.verify(password, shadow_line("waiting")[1])
    assert "handed out" in host.run(HOSTADMIN, "cohort", "cards", "cards").stderr
    host.hostadmin("cohort", "end", "cards", "--yes", "--no-archive")


def test_a_lock_ends_the_sessions_of_the_service_manager_too(host: Booted) -> None:
    """A login session, the manager of the user and what it starts again and again: over with the lock, and not started again."""
    host.person("ashu")
    uid = pwd.getpwnam("ashu").pw_uid
    host.ok("loginctl", "enable-linger", "ashu")
    until("the user's manager", lambda: host.run("systemctl", "is-active", f"user@{uid}.service").stdout == "active\n")
    again = "systemd-run --user --quiet --unit again --property Restart=always --property RestartSec=100ms sleep 1000"
    host.typed("ashu", f"export XDG_RUNTIME_DIR=/run/user/{uid}; {again}; nohup setsid sleep 1001 >/dev/null 2>&1 &")
    until("all of it runs", lambda: {"sleep 1000", "sleep 1001"} <= {c.removeprefix("/usr/bin/") for c in commands_of(uid)})
    host.hostadmin("user", "lock", "ashu")
    assert commands_of(uid) == []
    assert host.run("su", "ashu", "-c", "true").returncode != 0
    time.sleep(2)
    assert commands_of(uid) == [], "nothing starts it again"
    host.hostadmin("user", "unlock", "ashu")
    assert host.typed("ashu", "id -un") == "ashu\n"
    host.hostadmin("user", "remove", "ashu", "--yes", "--no-archive")


def test_logins_that_are_under_way_do_not_outlive_the_lock(host: Booted) -> None:
    """PAM has said yes to some already when the account is closed: their sessions are over some seconds later at the latest."""
    host.person("rohit")
    uid = pwd.getpwnam("rohit").pw_uid
    loop = "while :; do su - rohit -c 'sleep 1000' & sleep 0.05; done"
    logins = subprocess.Popen([*host.within, "sh", "-c", loop], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until("some are in", lambda: len(commands_of(uid)) > 5)
        host.hostadmin("user", "lock", "rohit")
        until("all are out", lambda: commands_of(uid) == [], 15)
        time.sleep(1)
        assert commands_of(uid) == [], "nobody comes in any more"
    finally:
        logins.kill()
        logins.wait()
    host.hostadmin("user", "remove", "rohit", "--yes", "--no-archive")


def test_nothing_is_left_of_who_is_removed(host: Booted) -> None:
    """The places where everybody may write are the host's own ones for the service as well; what the service manager keeps goes too."""
    host.person("dev")
    uid = pwd.getpwnam("dev").pw_uid
    host.ok("loginctl", "enable-linger", "dev")
    host.typed("dev", "for place in /tmp /var/tmp /dev/shm; do mkdir $place/of-dev; echo mine >$place/of-dev/file; done; echo mine > work")
    host.typed("dev", "setsid sleep 1000 >/dev/null 2>&1 &")
    host.typed("dev", "docker run -d --name devc1 -v devdata:/d alpine sleep 1000")
    assert host.sees(f"/run/user/{uid}")
    told = host.hostadmin("user", "remove", "dev", "--yes")
    archive = re.search(r"its home: (\S+)", told)
    assert archive is not None
    assert "./dev/work" in host.ok("tar", "-tzf", archive[1])
    left = [str(p) for place in ("/tmp", "/var/tmp", "/dev/shm", "/home") for p in Path(place).glob("*") if p.lstat().st_uid == uid]
    assert left == []
    assert not host.sees("/var/lib/systemd/linger/dev")
    until("its folder has gone", lambda: not host.sees(f"/run/user/{uid}"))
    assert commands_of(uid) == []
    assert Eye(ENGINE).containers() == {}
    assert Eye(ENGINE).volumes() == set()
    assert mentions("dev") == []
    assert is_clean()
