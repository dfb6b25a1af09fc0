"""The API and the command line on a real host: who may what, the host-side view, doctor."""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.people import SYSTEM_PYTHON, Student, process_of
from tests.integration.stage import ROOT, Engine, Eye, Hostadmin, make_stage, until

pytestmark = [pytest.mark.host, pytest.mark.timeout(120)]
API_SOCKET = "/run/hostadmin/api.sock"
CLIENT = Path("/mnt/client")
Stage = tuple[Engine, Hostadmin]
POLITE = "trap 'exit 0' TERM; while :; do sleep 0.2; done"  # ends when it is told to
NAMESPACES = {"mnt", "uts", "ipc", "pid", "net", "user", "cgroup"}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """An engine, hostadmin, two students with a container each, and a client that they can read."""
    with make_stage() as (engine, hostadmin):
        for login in ("ashu", "dev"):
            assert hostadmin.run("user", "add", login, "--docker").returncode == 0
            Student(login).ok("run", "-itd", "--name", f"{login}c1", "alpine", "sh", "-c", POLITE)
        click = importlib.util.find_spec("click")
        assert click is not None
        shutil.copytree(ROOT / "hostadmin", CLIENT / "hostadmin", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree((click.submodule_search_locations or [""])[0], CLIENT / "click")
        for entry in (CLIENT, *CLIENT.rglob("*")):
            entry.chmod(0o755 if entry.is_dir() else 0o644)
        yield engine, hostadmin


def run_as(login: str, *argv: str, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run the command line as a student, who can read neither the checkout nor the configuration."""
    environ = {"PYTHONPATH": str(CLIENT), "PYTHONDONTWRITEBYTECODE": "1"}
    call = process_of(login, [*before, SYSTEM_PYTHON, "-m", "hostadmin", *argv], environ=environ)
    return subprocess.run(**call, capture_output=True, text=True, check=False, timeout=60)


def test_a_student_sees_and_does_only_their_own(stage: Stage) -> None:
    """``me`` answers; everything else is refused with what to do instead."""
    me = run_as("ashu", "me", "whoami", "--json")
    assert me.returncode == 0, me.stderr
    found = json.loads(me.stdout)
    assert (found["login"], found["admin"], found["docker"]) == ("ashu", False, True)
    mine = json.loads(run_as("ashu", "me", "containers", "--json").stdout)
    assert [c["name"] for c in mine] == ["ashuc1"]
    assert "devc1" not in run_as("ashu", "me", "containers").stdout
    for argv in (["user", "list"], ["container", "show", "ashuc1"], ["container", "remove", "devc1", "--yes"], ["access", "grant", "ashu"]):
        done = run_as("ashu", *argv)
        assert done.returncode == 1
        assert "not-admin" in done.stderr


@pytest.mark.parametrize("before", [("unshare", "--user", "--map-root-user"), ("unshare", "--user", "--map-root-user", "--pid", "--fork")])
def test_root_in_a_namespace_of_ones_own_is_not_root(stage: Stage, before: tuple[str, ...]) -> None:
    """A student can call themselves root; the kernel tells us better."""
    probe = subprocess.run(**process_of("ashu", [*before, "id", "-u"]), capture_output=True, text=True, check=False)
    if probe.stdout.strip() != "0":
        pytest.skip(f"this kernel lets nobody make user namespaces: {probe.stderr.strip()}")
    done = run_as("ashu", "user", "add", "mallory", before=before)
    assert done.returncode == 1
    assert "not-admin" in done.stderr


def test_root_in_a_container_is_nobody(stage: Stage) -> None:
    """Root of the host's user namespace, but in a container's cgroup and pid namespace: neither admin nor anybody."""
    engine, _ = stage
    pid = engine.eye.container("devc1")["State"]["Pid"]
    ask = "import sys; sys.path.insert(0, sys.argv[1]); from tests.integration.stage import Eye; "
    ask += f"print(Eye({API_SOCKET!r}).call('GET', sys.argv[2])[1]['type'])"
    for target, key in (("/api/v1/users", "not-admin"), ("/api/v1/me", "unknown-caller")):
        for how in (["--pid"], ["--pid", "--cgroup"]):
            argv = ["nsenter", "--target", str(pid), *how, SYSTEM_PYTHON, "-c", ask, str(ROOT), target]
            done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
            assert done.stdout.strip() == f"urn:hostadmin:{key}", (how, target, done.stdout, done.stderr)


def test_who_did_it_is_recorded(stage: Stage) -> None:
    """An act over the API is recorded with the caller as the kernel knows it, before and after."""
    _, hostadmin = stage
    assert hostadmin.run("user", "lock", "dev").returncode == 0
    assert hostadmin.run("user", "unlock", "dev").returncode == 0
    records = [r for r in hostadmin.ask("audit", "list", "--action", "user.lock") if r["object_name"] == "dev"]
    assert [r["stage"] for r in records] == ["intent", "outcome"]
    actor = records[0]["actor"]
    assert (actor["type"], actor["via"], actor["uid"], actor["login"]) == ("unix", "api-unix", 0, "root")
    assert actor["pid"]
    assert "python" in actor["exe"]


def test_the_host_side_view(stage: Stage) -> None:
    """What the trainer looked up by hand with inspect, ps, nsenter and ifconfig, beside what they say."""
    engine, hostadmin = stage
    Student("ashu").ok("network", "create", "ashubr1")
    Student("ashu").ok("network", "connect", "ashubr1", "ashuc1")
    raw = engine.eye.container("ashuc1")
    view = hostadmin.ask("container", "show", "ashuc1")
    pid = raw["State"]["Pid"]
    assert (view["pid"], view["owner"], view["attribution"], view["restart_policy"]) == (pid, "ashu", "guard", "no")
    assert set(view["namespaces"]) >= NAMESPACES
    for name, namespace in view["namespaces"].items():
        assert str(namespace["id"]) in os.readlink(f"/proc/{pid}/ns/{name}"), name
        shared = os.readlink(f"/proc/{pid}/ns/{name}") == os.readlink(f"/proc/1/ns/{name}")
        assert namespace["shared_with_host"] is shared, name
    inside = subprocess.run(["nsenter", "-t", str(pid), "-n", "ip", "-j", "addr"], capture_output=True, text=True, check=True).stdout
    wanted = {i["ifname"]: i["address"] for i in json.loads(inside)}
    assert {i["name"]: i["mac"] for i in view["interfaces"] if i["name"] != "lo"} == {k: v for k, v in wanted.items() if k != "lo"}
    text = hostadmin.run("container", "show", "ashuc1").stdout
    for address in (raw["NetworkSettings"]["Networks"][n]["IPAddress"] for n in ("bridge", "ashubr1")):
        assert address in text
    shown = hostadmin.ask("network", "show", "ashubr1")
    config = engine.eye.get("/networks/ashubr1")["IPAM"]["Config"][0]
    assert (shown["subnet"], shown["gateway"]) == (config["Subnet"], config["Gateway"])
    assert [(m["container"], m["owner"]) for m in shown["members"]] == [("ashuc1", "ashu")]
    assert shown["members"][0]["address"] in hostadmin.run("network", "show", "ashubr1").stdout


def test_an_administrators_acts_on_objects(stage: Stage) -> None:
    """Stop, start, restart, restart policy, owner and remove, as the engine sees them afterwards."""
    engine, hostadmin = stage
    state = lambda: engine.eye.container("devc1")["State"]["Running"]  # noqa: E731
    for verb, running in (("stop", False), ("start", True), ("restart", True)):
        assert hostadmin.run("container", verb, "devc1").returncode == 0
        assert state() is running
    assert hostadmin.run("container", "restart-policy", "devc1", "on-failure:3").returncode == 0
    assert engine.eye.container("devc1")["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert hostadmin.run("container", "restart-policy", "devc1", "sometimes").returncode == 1
    engine.eye.call("POST", "/volumes/create", {"Name": "loose"})
    until("it is seen", lambda: "loose" in hostadmin.run("volume", "list").stdout)
    assert hostadmin.run("owner", "set", "volume", "loose", "dev").returncode == 0
    assert Student("dev").ok("volume", "ls", "-q") == "loose"
    assert hostadmin.run("volume", "remove", "loose", "--yes").returncode == 0
    assert "loose" not in engine.eye.volumes()


def test_doctor_on_a_sound_host(stage: Stage) -> None:
    """No failure for root; nothing that reads as a failure for a student who may not look."""
    engine, hostadmin = stage
    findings = {f["subject"]: f for f in hostadmin.ask("doctor")}
    assert {s: f for s, f in findings.items() if f["level"] == "fail"} == {}
    assert set(findings) >= {"engine", "engine socket", "address pools", "guard", "service", "processes", "group", "users", "database"}
    assert "bridge networks" in findings["address pools"]["text"]
    subprocess.run(["usermod", "-s", "/bin/false", "dev"], check=True)
    subprocess.run(["passwd", "-q", "-d", "dev"], check=False)
    subprocess.run(["usermod", "-c", "by hand", "-d", "/home/elsewhere", "dev"], check=True)
    changed = {f["subject"]: f for f in hostadmin.ask("doctor")}["users"]
    assert changed["level"] == "warn"
    assert "dev" in changed["text"]
    subprocess.run(["usermod", "-d", "/home/dev", "dev"], check=True)


def test_doctor_says_what_is_down(stage: Stage) -> None:
    """With everything stopped: exit 1, a line for each, what to do; it makes nothing."""
    _, hostadmin = stage
    hostadmin.stop()
    done = hostadmin.run("doctor")
    assert done.returncode == 1
    for text in ("fail  guard", "fail  service", "fail  processes", "hostadmin serve"):
        assert text in done.stdout, done.stdout
    assert not Path(API_SOCKET).exists()
    refused = hostadmin.run("user", "list")
    assert refused.returncode == 1
    assert "hostadmin serve" in refused.stderr
    hostadmin.start()


def test_a_crowd_of_one_student_does_not_keep_the_administrator_out(stage: Stage) -> None:
    """A student who opens hundreds of silent connections harms nobody but themselves."""
    _, hostadmin = stage
    crowd = "import socket, sys, time\nopen_ = []\nfor _ in range(600):\n  s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
    crowd += "  open_.append(s)\nprint('there', flush=True)\ntime.sleep(60)"
    student = subprocess.Popen(**process_of("ashu", [SYSTEM_PYTHON, "-c", crowd, API_SOCKET]), stdout=subprocess.PIPE, text=True)
    try:
        assert student.stdout is not None
        assert student.stdout.readline().strip() == "there"
        assert hostadmin.run("user", "list").returncode == 0
        assert run_as("dev", "me", "whoami").returncode == 0
    finally:
        student.kill()
        student.wait()


@pytest.mark.parametrize("target", ["/api/v1/audit/99999999999999999999", "/api/v1/audit?since=soon", "/api/v1/nothing", "/api/v1/users/x"])
def test_every_refusal_is_a_problem(stage: Stage, target: str) -> None:
    """RFC 9457: a stable type, the status, and a sentence."""
    status, found = Eye(API_SOCKET).call("GET", target)
    assert status in (404, 422)
    assert found["status"] == status
    assert found["type"].startswith("urn:hostadmin:")
    assert found["detail"].endswith(".")


def test_an_answer_is_never_kept(stage: Stage) -> None:
    """Nothing on the way may store an answer or guess at its type."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(API_SOCKET)
        sock.sendall(b"GET /api/v1/users HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head = b"".join(iter(lambda: sock.recv(65536), b"")).split(b"\r\n\r\n")[0].lower()
    assert b"cache-control: no-store" in head
    assert b"x-content-type-options: nosniff" in head
    assert b"server:" not in head
