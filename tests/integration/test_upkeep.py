"""Upkeep on the real engine: restart policies corrected, cleanup by plan, the engine's socket closed, accounts locked."""

import os
import stat
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hostadmin.app import build
from hostadmin.core.clock import now
from hostadmin.core.errors import Conflict
from hostadmin.core.values import system_actor
from hostadmin.settings import load
from hostadmin.upkeep.cleanup import Cleanup
from tests.integration.people import Student
from tests.integration.stage import STATE, Engine, Hostadmin, make_stage, until
from tests.integration.terminal import Terminal

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
ACTOR = system_actor("scheduler")


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[Engine, Hostadmin]]:
    """Two students; a profile under which nothing restarts for ever."""
    with make_stage() as (engine, hostadmin):
        shipped = (Path(__file__).parents[2] / "config" / "profiles.toml").read_text()
        strict = shipped.partition("[trainer]")[0].replace("[student]", "[strict]").replace(', "unless-stopped", "always"]', "]")
        strict = strict.replace("restart_max_retries = 0", "restart_max_retries = 3")
        profiles = STATE / "profiles.toml"
        profiles.write_text(shipped + strict)
        text = hostadmin.config.read_text().replace(str(Path(__file__).parents[2] / "config" / "profiles.toml"), str(profiles))
        hostadmin.config.write_text(text)
        hostadmin.stop()
        hostadmin.start()
        for login, profile in (("ashu", "strict"), ("dev", "student")):
            assert hostadmin.run("user", "add", login, "--docker", "--profile", profile).returncode == 0
        yield engine, hostadmin


def policy(engine: Engine, name: str) -> str:
    found = engine.eye.container(name)["HostConfig"]["RestartPolicy"]
    return f"{found['Name']}:{found['MaximumRetryCount']}"


def test_a_profile_decides_at_create_and_update(stage: tuple[Engine, Hostadmin]) -> None:
    engine, _ = stage
    ashu = Student("ashu")
    done = ashu.docker("run", "-d", "--name", "ashur", "--restart", "always", "alpine", "sleep", "100")
    assert done.returncode == 125
    assert "restart policy 'always'" in done.stderr
    assert "no, on-failure" in done.stderr
    assert "ashur" not in engine.eye.containers().values()
    ashu.ok("run", "-d", "--name", "ashur", "--restart", "on-failure:3", "alpine", "sleep", "1000")
    assert "at most on-failure:3" in ashu.docker("update", "--restart", "on-failure:9", "ashur").stderr
    assert policy(engine, "ashur") == "on-failure:3"
    ashu.ok("update", "--restart", "no", "ashur")
    assert policy(engine, "ashur") == "no:0"
    ashu.ok("rm", "-f", "ashur")


def test_a_policy_set_past_the_guard_is_corrected_recorded_and_listed(stage: tuple[Engine, Hostadmin]) -> None:
    engine, hostadmin = stage
    Student("ashu").ok("run", "-d", "--name", "ashup", "alpine", "sleep", "1000")
    Student("dev").ok("run", "-d", "--name", "devp", "alpine", "sleep", "1000")
    for name in ("ashup", "devp"):
        status, _ = engine.eye.call("POST", f"/containers/{name}/update", {"RestartPolicy": {"Name": "always"}})
        assert status == 200
    until("it is corrected", lambda: policy(engine, "ashup") == "no:0")
    assert policy(engine, "devp") == "always:0", "dev's profile allows it"
    listed = hostadmin.ask("restart", "list")
    assert [(f["name"], f["owner"], f["finding"], f["found"], f["applied"]) for f in listed] == [
        ("ashup", "ashu", "corrected", "always", "no")
    ]
    assert hostadmin.rows("select status from audit_records where action = 'restart.correct' and stage = 'outcome'") == [("ok",)]
    assert engine.eye.container("ashup")["State"]["Running"], "correcting does not stop it"
    assert hostadmin.run("restart", "release", "ashup").returncode == 0
    assert hostadmin.ask("restart", "list") == []
    engine.eye.call("POST", "/containers/ashup/update", {"RestartPolicy": {"Name": "always"}})
    time.sleep(5)  # two rounds of the reconciler
    assert policy(engine, "ashup") == "always:0", "a released policy is left alone"
    for student in (Student("ashu"), Student("dev")):
        student.ok("rm", "-f", f"{student.login}p")


def test_cleanup_does_exactly_its_plan(stage: tuple[Engine, Hostadmin]) -> None:
    engine, hostadmin = stage
    dev = Student("dev")
    for name in ("devold", "devagain", "devleft"):
        dev.ok("run", "--name", name, "alpine", "sh", "-c", "head -c 100000 /dev/zero >/data")
    dev.ok("run", "-d", "--name", "devrun", "alpine", "sleep", "1000")
    engine.eye.call("POST", "/containers/create?name=rootold", {"Image": "alpine", "Cmd": ["true"]})
    assert hostadmin.ask("cleanup", "plan")["items"] == [], "nothing has been stopped for long enough"
    app = build(load(str(hostadmin.config), {}))
    later = Cleanup(app.database, app.journal, app.engine, app.profiles, clock=lambda: now() + timedelta(hours=30))
    plan = later.plan()
    assert {i["container"] for i in plan["items"]} == {"devold", "devagain", "devleft"}
    assert all(i["owner"] == "dev" and "30 h" in i["why"] and i["size"] >= 100000 for i in plan["items"])
    dev.ok("start", "devagain")
    until("it has ended again", lambda: not engine.eye.container("devagain")["State"]["Running"])
    dev.ok("run", "--name", "devnew", "alpine", "true")
    dev.ok("rm", "devleft")
    done = later.run(ACTOR, plan_id=plan["id"])
    assert {i["container"]: i["status"] for i in done["items"]} == {"devold": "done", "devagain": "skipped", "devleft": "skipped"}
    assert "started since" in next(i["message"] for i in done["items"] if i["container"] == "devagain")
    names = set(engine.eye.containers().values())
    assert {"devagain", "devnew", "devrun", "rootold"} <= names
    assert "devold" not in names
    with pytest.raises(Conflict):
        later.run(ACTOR, plan_id=plan["id"])
    assert hostadmin.run("cleanup", "run", "--yes").returncode == 0
    assert {"devagain", "devnew", "devrun", "rootold"} <= set(engine.eye.containers().values())
    assert hostadmin.run("job", "run", "cleanup").returncode == 0
    assert hostadmin.ask("job", "history", "cleanup")[0]["status"] == "ok"
    app.database.close()
    for name in ("devagain", "devnew", "devrun"):
        dev.ok("rm", "-f", name)
    engine.eye.call("DELETE", "/containers/rootold")


def test_the_engines_own_socket_is_root_only_even_when_made_anew(stage: tuple[Engine, Hostadmin]) -> None:
    engine, hostadmin = stage
    mode = lambda: stat.S_IMODE(os.stat(engine.path).st_mode)  # noqa: E731
    assert mode() == 0o600
    os.chmod(engine.path, 0o666)
    until("it is closed again", lambda: mode() == 0o600, 10)
    assert Student("ashu", socket=engine.path).docker("ps").returncode == 1
    assert hostadmin.run("doctor").returncode == 0
    hostadmin.stop()
    assert mode() == 0o666, "put back as it was found on an orderly stop"
    os.chmod(engine.path, 0o660)
    hostadmin.start()
    assert mode() == 0o600


def test_locked_and_expired_accounts_are_refused_at_once(stage: tuple[Engine, Hostadmin]) -> None:
    _, hostadmin = stage
    ashu = Student("ashu")
    ashu.ok("run", "-itd", "--name", "ashulock", "alpine")
    follower = ashu.start("logs", "-f", "ashulock")
    assert hostadmin.run("user", "lock", "ashu").returncode == 0
    assert follower.wait(10) != 0, "an open stream ends, and lock ends processes"
    refused = ashu.docker("ps")
    assert refused.returncode == 1
    assert "locked" in refused.stderr
    line = next(x for x in Path("/etc/shadow").read_text().splitlines() if x.startswith("ashu:")).split(":")
    assert line[1].startswith("!")
    assert line[7] == "1"
    assert hostadmin.run("user", "lock", "ashu").returncode == 0, "locking twice is locking once"
    assert hostadmin.run("user", "unlock", "ashu").returncode == 0
    assert "ashulock" in ashu.ok("ps")
    line = next(x for x in Path("/etc/shadow").read_text().splitlines() if x.startswith("ashu:")).split(":")
    assert line[7] == ""
    assert hostadmin.run("user", "expire", "ashu", "2020-01-01").returncode == 1, "a last day in the past is refused"
    assert hostadmin.run("user", "expire", "ashu", "2026-13-45").returncode == 1
    assert hostadmin.run("user", "expire", "ashu", "2099-12-31").returncode == 0
    assert "ashulock" in ashu.ok("ps")
    assert hostadmin.run("user", "expire", "ashu").returncode == 0
    assert "expired" in ashu.docker("ps").stderr, "without a date: now"
    assert hostadmin.run("user", "expire", "ashu", "never").returncode == 0
    ashu.ok("rm", "-f", "ashulock")


def test_no_password_is_seen_anywhere(stage: tuple[Engine, Hostadmin]) -> None:
    _, hostadmin = stage
    secret = "Planted-5ecret-98"
    trace = STATE / "trace"
    service = hostadmin.part("service")
    watcher = subprocess.Popen(["strace", "-f", "-qq", "-e", "trace=execve", "-s", "4096", "-o", str(trace), "-p", str(service)])
    threads = Path(f"/proc/{service}/task")
    until("every thread is watched", lambda: all("TracerPid:\t0\n" not in (task / "status").read_text() for task in threads.iterdir()))
    try:
        assert hostadmin.run("user", "add", "secretive", "--password-stdin", stdin=f"{secret}\n").returncode == 0
        short = hostadmin.run("user", "passwd", "secretive", stdin="tiny-5e\n")
        assert short.returncode == 1
        assert "tiny-5e" not in short.stderr + short.stdout
        shell = Terminal("dev")
        shell.say("su - secretive -c 'echo in as $(id -un)'", "assword: ")
        shell.press(f"{secret}\n")
        assert "in as secretive" in shell.finish().output
        shell.close()
    finally:
        watcher.terminate()
        watcher.wait()
    text = trace.read_text()
    assert "chpasswd" in text
    assert "useradd" in text
    assert secret not in text
    for file in (*STATE.rglob("*.db*"), hostadmin.log):
        assert secret.encode() not in file.read_bytes(), file
    assert hostadmin.run("user", "remove", "secretive", "--yes").returncode == 0
    assert not Path("/home/secretive").exists()


def test_a_user_who_is_removed_takes_everything_along(stage: tuple[Engine, Hostadmin]) -> None:
    engine, hostadmin = stage
    assert hostadmin.run("user", "add", "rohit", "--docker").returncode == 0
    rohit = Student("rohit")
    uid = hostadmin.ask("user", "show", "rohit")["uid"]
    rohit.ok("network", "create", "rohitnet")
    rohit.ok("run", "-itd", "--name", "rohitc1", "--network", "rohitnet", "-v", "rohitdata:/d", "-v", "/anonymous", "alpine")
    rohit.ok("tag", "alpine", "rohit/own:1")
    before = (set(engine.eye.containers().values()) - {"rohitc1"}, engine.eye.tags() - {"rohit/own:1"})
    assert hostadmin.run("user", "remove", "rohit", "--yes").returncode == 0
    assert (set(engine.eye.containers().values()), engine.eye.tags()) == before
    assert "rohitnet" not in engine.eye.networks().values()
    assert "rohitdata" not in engine.eye.volumes()
    assert "rohit" not in Path("/etc/passwd").read_text() + Path("/etc/group").read_text()
    assert hostadmin.run("user", "add", "rohit").returncode == 0
    assert hostadmin.ask("user", "show", "rohit")["uid"] == uid, "a returning account gets its own numbers back"
    assert hostadmin.run("user", "remove", "rohit", "--yes").returncode == 0
