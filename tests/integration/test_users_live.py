"""States as people see them: everything running, real students with open execs and followed logs, containers by profile."""

import sqlite3
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hostadmin.core.clock import now, parse_timestamp
from tests.integration.people import Student
from tests.integration.stage import STATE, Engine, Hostadmin, make_stage, until

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
SHIPPED = Path(__file__).parents[2] / "config" / "profiles.toml"
YESTERDAY = (now() - timedelta(days=1)).date().isoformat()
TOMORROW = (now() + timedelta(days=1)).date().isoformat()


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[Engine, Hostadmin]]:
    """A profile that stops containers of whoever has no access, and two settings to see memberships put back."""
    with make_stage() as (engine, hostadmin):
        shipped = SHIPPED.read_text()
        strict = shipped.partition("[trainer]")[0].replace("[student]", "[strict]").replace('"keep"', '"stop"')
        profiles = STATE / "profiles.toml"
        profiles.write_text(shipped + strict)
        text = hostadmin.config.read_text().replace(str(SHIPPED), str(profiles))
        hostadmin.config.write_text(f'{text}[users]\ndrift = "restore"\narchives = "{STATE}/homes"\n')
        hostadmin.stop()
        hostadmin.start()
        yield engine, hostadmin


@pytest.fixture
def student(stage: tuple[Engine, Hostadmin], request: pytest.FixtureRequest) -> Iterator[Student]:
    """A student with two running containers and a stopped one; the profile is the test's parameter."""
    _, hostadmin = stage
    profile = getattr(request, "param", "student")
    assert hostadmin.run("user", "add", "ashu", "--docker", "--profile", profile).returncode == 0
    ashu = Student("ashu")
    for name in ("one", "two", "three"):
        ashu.ok("run", "-d", "--name", name, "--stop-timeout", "1", "alpine", "sh", "-c", "while :; do echo line; sleep 0.1; done")
    ashu.ok("stop", "three")
    yield ashu
    done = hostadmin.run("user", "remove", "ashu", "--yes", "--no-archive")
    assert done.returncode == 0, done.stderr


def running(engine: Engine) -> set[str]:
    """Return the names of running containers."""
    return {c["Names"][0].lstrip("/") for c in engine.eye.get("/containers/json")}


def set_in_ledger(hostadmin: Hostadmin, login: str, **values: Any) -> None:
    """Change the ledger beside the service: days cannot be waited for."""
    with sqlite3.connect(hostadmin.database, timeout=10) as database:
        for column, value in values.items():
            database.execute(f"UPDATE users SET {column} = ? WHERE login = ? AND state != 'removed'", (value, login))


ENDINGS = {
    "lock": (["user", "lock", "ashu"], "locked"),
    "expire": (["user", "expire", "ashu"], "expired"),
    "leave": (["user", "leave", "ashu"], "leaving"),
}


@pytest.mark.parametrize("student", ["student", "strict"], indirect=True)
@pytest.mark.parametrize("ending", ENDINGS)
def test_streams_end_at_once_and_containers_by_profile(stage: tuple[Engine, Hostadmin], student: Student, ending: str) -> None:
    """An exec, a followed log and an attach end at once; unlocking starts exactly those containers again that ran."""
    engine, hostadmin = stage
    keeps = hostadmin.ask("user", "show", "ashu")["profile"] == "student"
    streams = [student.start(*argv) for argv in (("logs", "-f", "one"), ("exec", "-i", "two", "cat"), ("attach", "two"))]
    followed = student.follow("/v1.41/events")
    time.sleep(0.7)
    assert all(stream.poll() is None for stream in streams)
    argv, word = ENDINGS[ending]
    begun = time.monotonic()
    end = subprocess.Popen([hostadmin.command, "--config", str(hostadmin.config), *argv], stdout=subprocess.DEVNULL)
    for stream in (*streams, followed):
        stream.wait(60)
    spent = time.monotonic() - begun
    assert end.wait(30) == 0
    assert spent < 10, f"{spent:.1f} s, the start of the command included"
    refused = student.docker("ps")
    assert refused.returncode == 1
    assert word in refused.stderr
    assert hostadmin.ask("user", "show", "ashu")["state"] == word
    until("containers go on or are stopped", lambda: running(engine) == ({"one", "two"} if keeps else set()))
    assert hostadmin.run("user", "unlock", "ashu").returncode == 0
    until("exactly those run again", lambda: running(engine) == {"one", "two"})
    assert set(student.ok("ps", "--format", "{{.Names}}").split()) == {"one", "two"}


@pytest.mark.parametrize("student", ["strict"], indirect=True)
def test_the_last_day_is_over(stage: tuple[Engine, Hostadmin], student: Student) -> None:
    """The guard refuses from that moment; the service ends the rest within a minute, also after it was killed meanwhile."""
    engine, hostadmin = stage
    logs = student.start("logs", "-f", "one")
    sleeper = subprocess.Popen(["setsid", "sleep", "600"], user="ashu")
    with hostadmin.standing_still():  # it is the guard's doing
        set_in_ledger(hostadmin, "ashu", expires=YESTERDAY)
        assert logs.wait(60) != 0
    assert f"expired after {YESTERDAY}" in student.docker("ps").stderr
    hostadmin.kill("service")
    hostadmin.wait()
    begun = time.monotonic()
    until(
        "the service has ended it", lambda: hostadmin.ask("user", "show", "ashu")["state"] == "expired" and sleeper.poll() is not None, 60
    )
    until("containers too", lambda: running(engine) == set())
    assert time.monotonic() - begun < 60
    newest = max((r for r in hostadmin.ask("audit", "list", "--action", "user.expire")), key=lambda r: r["seq"])
    assert (newest["stage"] in ("outcome", "recovered"), newest["actor"]["type"]) == (True, "scheduler")
    assert hostadmin.run("user", "set", "ashu", "--expires", "2099-01-01").returncode == 0
    until("they run again", lambda: running(engine) == {"one", "two"})
    assert hostadmin.run("user", "set", "ashu", "--expires", "never").returncode == 0


def test_the_first_day(stage: tuple[Engine, Hostadmin], student: Student) -> None:
    """Refused with the day; opened by the job on that day, not before."""
    _, hostadmin = stage
    assert hostadmin.run("user", "lock", "ashu").returncode == 0
    set_in_ledger(hostadmin, "ashu", starts=TOMORROW)
    assert f"opens on {TOMORROW}, its first day" in student.docker("ps").stderr
    assert f"locked until {TOMORROW} (first day)" in hostadmin.run("user", "show", "ashu").stdout
    assert hostadmin.run("job", "run", "expiry").returncode == 0
    assert "opens on" in student.docker("ps").stderr
    set_in_ledger(hostadmin, "ashu", starts=YESTERDAY)
    assert hostadmin.run("job", "run", "expiry").returncode == 0
    assert "one" in student.ok("ps")


def test_the_end_is_announced(stage: tuple[Engine, Hostadmin], student: Student) -> None:
    """At login, and in `hostadmin me`."""
    _, hostadmin = stage
    assert hostadmin.run("user", "set", "ashu", "--expires", TOMORROW).returncode == 0
    assert hostadmin.run("job", "run", "expiry").returncode == 0
    said = f"Your access to docker-host ends on {TOMORROW} (tomorrow): save what you need; then containers, volumes and home go."
    assert hostadmin.ask("me", "whoami")["notice"] is None, "root's access does not end"
    shell = ["su", "-", "ashu", "-c", "exec bash -il -c true"]
    assert said in subprocess.run(shell, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL).stdout
    ask = "import http.client as h, socket, json; c = h.HTTPConnection('x'); c.sock = socket.socket(socket.AF_UNIX); "
    ask += "c.sock.connect('/run/hostadmin/api.sock'); c.request('GET', '/api/v1/me'); print(json.load(c.getresponse())['notice'])"
    me = subprocess.run(["/usr/bin/python3", "-c", ask], user="ashu", capture_output=True, text=True, check=True, cwd="/")
    assert me.stdout.strip() == said
    assert student.login


def test_a_removal_prints_where_the_home_is(stage: tuple[Engine, Hostadmin]) -> None:
    """Path and checksum, as sha256sum has it; containers, networks and volumes are gone; the archive's row is the account's."""
    engine, hostadmin = stage
    assert hostadmin.run("user", "add", "rohit", "--docker").returncode == 0
    rohit = Student("rohit")
    rohit.ok("network", "create", "rohitnet")
    rohit.ok("run", "-d", "--name", "rohitc", "--network", "rohitnet", "-v", "rohitvol:/d", "alpine", "sleep", "600")
    subprocess.run(["sh", "-c", "echo work >~/work; echo x >/tmp/rohit"], user="rohit", env={"HOME": "/home/rohit"}, check=True)
    done = hostadmin.run("user", "remove", "rohit", "--yes")
    assert done.returncode == 0, done.stderr
    path = next(word for word in done.stdout.split() if word.endswith(".tar.gz"))
    digest = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]
    assert digest in done.stdout
    assert "rohit" not in Path("/etc/passwd").read_text()
    assert not Path("/tmp/rohit").exists()
    assert not {"rohitc"} & set(engine.eye.containers().values())
    assert "rohitvol" not in engine.eye.volumes()
    assert hostadmin.rows("SELECT path, sha256 FROM home_archives") == [(path, digest)]


def seconds_to(hostadmin: Hostadmin, job: str) -> float:
    """Return how long it is until a job runs by the clock."""
    planned = next(j["next_run"] for j in hostadmin.ask("job", "list") if j["name"] == job)
    return (parse_timestamp(planned) - now()).total_seconds()


def test_a_membership_changed_by_hand_is_put_back_within_a_minute(stage: tuple[Engine, Hostadmin], student: Student) -> None:
    """`doctor` and `user show` tell it until then."""
    _, hostadmin = stage
    until("the next look is some seconds away", lambda: seconds_to(hostadmin, "drift") > 13)
    subprocess.run(["usermod", "-rG", "docker", "ashu"], check=True)
    assert "not in group" in student.docker("ps").stderr
    assert "taken out of group 'docker' by hand" in hostadmin.run("user", "show", "ashu").stdout
    assert "differ from the host: ashu" in hostadmin.run("doctor").stdout
    begun = time.monotonic()
    until("it is back", lambda: student.docker("ps").returncode == 0)
    assert time.monotonic() - begun < 60
    records = hostadmin.ask("audit", "list", "--action", "access.restore")
    assert [(r["object_name"], r["stage"]) for r in sorted(records, key=lambda r: r["seq"])] == [("ashu", "intent"), ("ashu", "outcome")]
    assert "differ from the host" not in hostadmin.run("doctor").stdout
