"""Quotas on the real engine: each is reached, refused with used and limit, freed, and works again."""

import json
import os
import pwd
import re
import signal
import subprocess
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.people import Student
from tests.integration.stage import ROOT, Engine, Hostadmin, make_stage, until

pytestmark = pytest.mark.host
SMALL = {
    "containers": 4, "running": 2, "networks": 2, "volumes": 3, "published_ports": 3, "port_block": 4, "ports": [20000, 20011],
    "memory_total_bytes": 64 << 20, "cpus_total": 0.5, "pids_total": 60, "image_bytes": 0, "upload_bytes": 4 << 20, "log_bytes": 1_000_000,
}  # fmt: skip
API = "/v1.41"


@dataclass
class Room:
    engine: Engine
    hostadmin: Hostadmin
    ashu: Student
    dev: Student
    file: Path

    def clear(self) -> None:
        for student in (self.ashu, self.dev):
            if own := student.ok("ps", "-aq").split():
                student.ok("rm", "-f", "-v", *own)


def write_profiles(file: Path, numbers: dict[str, object]) -> None:
    text = (ROOT / "config" / "profiles.toml").read_text()
    student, _, trainer = text.partition("[trainer]")
    for name, value in numbers.items():
        student, count = re.subn(rf"(?m)^{name} = [^#\n]*", f"{name} = {value} ", student)
        assert count == 1, name
    tomllib.loads(student)
    file.write_text(student + "[trainer]" + trainer)


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    file = Path("/mnt/profiles.toml")
    write_profiles(file, SMALL)
    os.environ["HOSTADMIN_POLICY__PROFILES"] = str(file)
    with make_stage() as (engine, hostadmin):
        for login in ("ashu", "dev"):
            done = hostadmin.run("user", "add", login, "--docker")
            assert done.returncode == 0, done.stderr
        yield Room(engine, hostadmin, Student("ashu"), Student("dev"), file)
    del os.environ["HOSTADMIN_POLICY__PROFILES"]


@pytest.fixture(autouse=True)
def clean(room: Room) -> Iterator[None]:
    yield
    room.clear()


def refused(student: Student, *argv: str) -> str:
    done = student.docker(*argv)
    assert done.returncode != 0, (argv, done.stdout)
    return done.stderr


def test_containers_are_counted_refused_freed(room: Room) -> None:
    for number in range(4):
        room.ashu.ok("create", "--name", f"ashuq{number}", "alpine")
    text = refused(room.ashu, "create", "--name", "ashuq4", "alpine")
    assert "containers: 4 of 4 used; remove one with `docker rm`; for example ashuq0, ashuq1, ashuq2" in text
    assert "student" in text
    assert "ashuq4" not in room.engine.eye.containers().values()
    room.dev.ok("create", "--name", "devq0", "alpine")
    room.ashu.ok("rm", "ashuq0")
    room.ashu.ok("create", "--name", "ashuq4", "alpine")


def test_two_at_once_never_share_the_last_place(room: Room) -> None:
    with ThreadPoolExecutor(10) as many:
        codes = list(many.map(lambda n: room.ashu.docker("create", "--name", f"ashur{n}", "alpine").returncode, range(10)))
    assert codes.count(0) == 4, codes
    assert sum(name.startswith("ashur") for name in room.engine.eye.containers().values()) == 4


def test_running_containers(room: Room) -> None:
    for number in range(2):
        room.ashu.ok("run", "-d", "--name", f"ashuq{number}", "alpine", "sleep", "1000")
    text = refused(room.ashu, "run", "-d", "--name", "ashuq2", "alpine", "sleep", "1000")
    assert "running: 2 of 2 used; stop one with `docker stop`; for example ashuq0, ashuq1" in text
    with ThreadPoolExecutor(2) as both:
        room.ashu.ok("stop", "-t", "0", "ashuq0")
        codes = list(both.map(lambda name: room.ashu.docker("start", name).returncode, ("ashuq0", "ashuq2")))
    assert sorted(codes) == [0, 1]
    assert len(room.engine.eye.get("/containers/json")) == 2
    room.ashu.ok("restart", "-t", "0", "ashuq1")


def test_what_has_ended_unnoticed_takes_no_place(room: Room) -> None:
    """While the service is away nobody hears of containers that remove themselves: they are not counted all the same."""
    room.ashu.ok("create", "--name", "ashuq0", "alpine")
    os.kill(room.hostadmin.part("service"), signal.SIGSTOP)
    try:
        for number in range(6):
            room.ashu.ok("run", "--rm", "--name", f"ashuq1{number}", "alpine", "true")
        for number in range(1, 4):
            room.ashu.ok("create", "--name", f"ashuq{number}", "alpine")
        assert "containers: 4 of 4 used" in refused(room.ashu, "create", "--name", "ashuq4", "alpine")
    finally:
        os.kill(room.hostadmin.part("service"), signal.SIGCONT)


def test_networks_and_volumes(room: Room) -> None:
    for number in range(2):
        room.ashu.ok("network", "create", f"ashun{number}")
    assert "networks: 2 of 2 used; remove one with `docker network rm`; for example ashun0, ashun1" in refused(
        room.ashu, "network", "create", "ashun2"
    )
    room.ashu.ok("network", "rm", "ashun0")
    room.ashu.ok("network", "create", "ashun2")
    room.ashu.ok("network", "rm", "ashun1", "ashun2")
    for number in range(2):
        room.ashu.ok("volume", "create", f"ashuv{number}")
    text = refused(room.ashu, "create", "-v", "/a", "-v", "ashuv2:/b", "alpine")
    assert "volumes: 2 of 3 used, 2 more asked for" in text
    room.ashu.ok("create", "--name", "ashuq0", "-v", "/a", "-v", "ashuv1:/b", "alpine")
    assert "volumes: 3 of 3 used" in refused(room.ashu, "volume", "create", "ashuv3")
    assert len(room.engine.eye.volumes()) == 3
    room.ashu.ok("rm", "-v", "ashuq0")
    until("the unnamed volume is free again", lambda: room.ashu.docker("volume", "create", "ashuv3").returncode == 0)
    room.ashu.ok("volume", "rm", "ashuv0", "ashuv1", "ashuv3")


def test_ports_come_from_ones_own_block(room: Room) -> None:
    room.ashu.ok("create", "--name", "ashuq0", "-p", "80", "alpine")
    room.dev.ok("create", "--name", "devq0", "-p", "80", "-p", "81", "alpine")

    def ports(name: str) -> list[int]:
        found = room.engine.eye.container(name)["HostConfig"]["PortBindings"]
        return sorted(int(b["HostPort"]) for bindings in found.values() for b in bindings)

    ashus, devs = ports("ashuq0"), ports("devq0")
    assert {p // 4 for p in ashus} != {p // 4 for p in devs}
    assert len(devs) == 2
    free = next(p for p in range(20000 + (ashus[0] - 20000) // 4 * 4, 20012) if p not in ashus)
    room.ashu.ok("create", "--name", "ashuq1", "-p", f"{free}:80", "alpine")
    text = refused(room.ashu, "create", "-p", f"{devs[0]}:80", "alpine")
    assert "your ports are" in text
    assert "your ports are" in refused(room.ashu, "create", "-p", "8080:80", "alpine")
    text = refused(room.ashu, "create", "-p", "80", "-p", "81", "alpine")
    assert "published_ports: 2 of 3 used, 2 more asked for" in text
    room.ashu.ok("create", "--name", "ashuq2", "-P", "--expose", "90", "alpine")
    assert len(set(ports("ashuq0") + ports("ashuq1") + ports("ashuq2"))) == 3
    assert room.hostadmin.rows("select count(*) from port_blocks")[0][0] == 2


def test_the_kernel_keeps_the_sum(room: Room) -> None:
    """A fork bomb and a memory hog of one person stay in their group; another person's container works on."""
    room.dev.ok("run", "-d", "--name", "devq0", "alpine", "sleep", "1000")
    for name in ("ashuq0", "ashuq1"):
        room.ashu.ok("run", "-d", "--name", name, "--shm-size", "500m", "alpine", "sleep", "1000")
    group = group_of(room, "ashuq0")
    assert group == group_of(room, "ashuq1") != group_of(room, "devq0")
    assert number(group, "pids", "pids.max") == 60
    assert number(group, "memory", "memory.limit_in_bytes", "memory.max") == 64 << 20
    room.ashu.ok("exec", "-d", "ashuq1", "dd", "if=/dev/zero", "of=/dev/shm/f", "bs=1M", "count=200")
    until("the hog was stopped", lambda: number(group, "memory", "memory.failcnt", "memory.current") > 0)
    assert number(group, "memory", "memory.max_usage_in_bytes", "memory.current") <= 64 << 20
    room.ashu.ok("rm", "-f", "ashuq1")
    room.ashu.ok("exec", "-d", "ashuq0", "sh", "-c", "while :; do sleep 60 & done")
    until("the bomb is at its limit", lambda: number(group, "pids", "pids.current") >= 58)
    assert number(group, "pids", "pids.current") <= 60
    assert room.dev.ok("exec", "devq0", "echo", "works on") == "works on"
    room.ashu.ok("rm", "-f", "ashuq0")
    assert room.ashu.ok("run", "--rm", "alpine", "echo", "again") == "again"


def test_a_build_lies_in_the_group_and_keeps_to_the_profile(room: Room) -> None:
    """What a build step sees of its control group is its owner's; resources beyond the profile are refused."""
    shown = room.ashu.ok(
        "build", "--no-cache", "-t", "ashubuilt:v1", "-", stdin="FROM alpine\nRUN cat /proc/self/cgroup\nRUN sleep 3 || true\n"
    )
    room.ashu.ok("rmi", "ashubuilt:v1")
    assert "Successfully built" in shown
    process = room.ashu.start("build", "--no-cache", "-")
    assert process.stdin is not None
    process.stdin.write(b"FROM alpine\nRUN sleep 30\n")
    process.stdin.close()
    uid = pwd.getpwnam("ashu").pw_uid
    building = until("the step runs", lambda: [c for c in room.engine.eye.get("/containers/json") if "sleep 30" in c["Command"]], 40)
    assert room.engine.eye.container(building[0]["Id"])["HostConfig"]["CgroupParent"].endswith(f"/hostadmin/u{uid}")
    room.engine.eye.call("POST", f"/containers/{building[0]['Id']}/kill")
    process.wait(30)
    done = room.ashu.docker("build", "--memory", "1g", "-", stdin="FROM alpine\nRUN true\n")
    assert done.returncode != 0
    assert "Memory 1073741824: profile 'student' allows at most 67108864 bytes" in done.stderr


def test_uploads_are_counted_also_when_they_are_packed(room: Room) -> None:

    def refusals() -> int:
        return int(room.hostadmin.rows("select count(*) from audit_records where rule = 'quota' and detail like '%upload_bytes%'")[0][0])

    room.ashu.ok("create", "--name", "ashuq0", "alpine")
    Path("/mnt/big").mkdir(exist_ok=True)
    (Path("/mnt/big") / "zeros").write_bytes(bytes(6 << 20))
    (Path("/mnt/big") / "Dockerfile").write_text("FROM alpine\nCOPY zeros /z\n")
    refused(room.ashu, "cp", "/mnt/big/zeros", "ashuq0:/z")  # its own text may be that of a pipe that broke
    assert refusals() == 1
    packed = subprocess.run(["tar", "-C", "/mnt/big", "-cz", "."], capture_output=True, check=True).stdout
    assert len(packed) < 1 << 20
    answer = room.ashu.raw("POST", f"{API}/build?t=ashuz", packed)
    assert not answer or b"upload_bytes" in answer, answer[:300]
    assert refusals() == 2
    assert "ashuz:latest" not in room.engine.eye.tags()
    (Path("/mnt/big") / "zeros").write_bytes(bytes(2 << 20))
    room.ashu.ok("cp", "/mnt/big/zeros", "ashuq0:/z")
    room.ashu.ok("cp", "/mnt/big/zeros", "ashuq0:/y")


def test_images_are_measured_and_a_changed_profile_holds(room: Room) -> None:
    """Own layers count, the host's do not; numbers follow the file without a restart, in the kernel too."""
    dockerfile = "FROM alpine\nRUN dd if=/dev/zero of=/z bs=1M count=3\n"
    room.ashu.ok("build", "-t", "ashubig:v1", "-", stdin=dockerfile)
    room.ashu.ok("tag", "alpine", "ashualpine:v1")
    used = {q["name"]: q for q in room.hostadmin.ask("policy", "show", "ashu")["use"]["quotas"]}
    assert 3 << 20 <= used["image_bytes"]["used"] < 4 << 20
    guard, service = room.hostadmin.part("guard"), room.hostadmin.part("service")
    group = f"{os.environ['DHOST_CGROUP']}/hostadmin/u{pwd.getpwnam('ashu').pw_uid}"
    write_profiles(room.file, SMALL | {"image_bytes": 2_000_000, "pids_total": 77})
    until("the kernel knows", lambda: number(group, "pids", "pids.max") == 77)
    container = room.ashu.ok("create", "alpine")
    text = until("the guard knows", lambda: room.ashu.docker("commit", container, "ashuc:v1").stderr, 5)
    assert re.search(r"image_bytes: 31\d{5} of 2000000 bytes used; remove one with `docker rmi`; for example [0-9a-f]{12}", text)
    room.file.write_text("[student]\n")
    until("the service says so", lambda: "stay in force" in room.hostadmin.log.read_text())
    room.ashu.ok("rmi", "ashubig:v1")
    room.clear()
    room.ashu.ok("commit", room.ashu.ok("create", "alpine"), "ashuc:v1")
    room.ashu.ok("rmi", "ashuc:v1", "ashualpine:v1")
    write_profiles(room.file, SMALL)
    until("the kernel knows again", lambda: number(group, "pids", "pids.max") == 60)
    assert (guard, service) == (room.hostadmin.part("guard"), room.hostadmin.part("service")), "nothing was restarted"


def test_everybody_sees_use_against_limits(room: Room) -> None:
    room.ashu.ok("create", "--name", "ashuq0", "-p", "80", "alpine")
    answer = Student("ashu", socket="/run/hostadmin/api.sock").raw("GET", "/api/v1/me/quota")
    view = json.loads(answer.split(b"\r\n\r\n", 1)[1])
    rows = {row["name"]: (row["used"], row["limit"]) for row in view["quotas"]}
    assert rows["containers"] == (1, 4)
    assert rows["published_ports"] == (1, 3)
    assert 20000 <= view["ports"][0] == view["ports"][1] - 3
    assert room.hostadmin.run("me", "quota").returncode == 0
    admin = room.hostadmin.run("policy", "show", "ashu").stdout
    assert re.search(r"containers +1 +4", admin)


def test_a_stored_port_is_judged_again_at_each_start(room: Room) -> None:
    """What was created under other rules, or given to somebody, starts only if it would be admitted now (R8)."""
    room.ashu.ok("create", "--name", "ashuq0", "-p", "80", "alpine", "sleep", "1000")
    room.ashu.ok("start", "ashuq0")
    body = {"Image": "alpine", "Cmd": ["sleep", "1000"], "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "8088"}]}}}
    status, _ = room.engine.eye.call("POST", "/containers/create?name=ashugift", body)
    assert status == 201
    until("it can be given", lambda: room.hostadmin.run("owner", "set", "container", "ashugift", "ashu").returncode == 0)
    assert "host port 8088" in refused(room.ashu, "start", "ashugift")
    assert not room.engine.eye.container("ashugift")["State"]["Running"]


def test_an_image_cannot_ask_for_what_a_request_cannot(room: Room) -> None:
    """The image's part of a container is judged as well: a health check every millisecond is none that is started."""
    for name, pause, code in (("ashufast", "1ms", 125), ("ashuslow", "5s", 0)):
        text = f"FROM alpine\nHEALTHCHECK --interval={pause} CMD true\n"
        room.ashu.ok("build", "-t", f"{name}:v1", "-", stdin=text)
        done = room.ashu.docker("run", "--rm", "--name", name, f"{name}:v1", "true")
        assert done.returncode == code, done.stderr
        assert name not in room.engine.eye.containers().values()
        room.ashu.ok("rmi", f"{name}:v1")


def test_logs_are_bounded(room: Room) -> None:
    room.ashu.ok("create", "--name", "ashuq0", "alpine")
    room.ashu.ok("create", "--name", "ashuq1", "--log-opt", "max-size=100k", "--log-opt", "max-file=3", "alpine")
    logs = [room.engine.eye.container(n)["HostConfig"]["LogConfig"] for n in ("ashuq0", "ashuq1")]
    assert logs[0] == {"Type": "json-file", "Config": {"max-size": "500000", "max-file": "2"}}
    assert logs[1] == {"Type": "json-file", "Config": {"max-size": "100000", "max-file": "3"}}
    assert "at most 1000000 bytes" in refused(room.ashu, "create", "--log-opt", "max-size=10m", "alpine")
    text = refused(room.ashu, "create", "--privileged", "--pid", "host", "-v", "/etc:/e", "--log-driver", "syslog", "alpine")
    assert all(part in text for part in ("Privileged", "PidMode", "host path", "log driver")), text


def group_of(room: Room, name: str) -> str:
    """Return the control group that a container's own lies in, as the kernel says."""
    found = room.engine.eye.container(name)
    lines = Path(f"/proc/{found['State']['Pid']}/cgroup").read_text().splitlines()
    paths = {line.split(":", 2)[2] for line in lines if "memory" in line or line.startswith("0::/")} - {"/"}
    path = next(p for p in paths if found["Id"] in p)
    return path.rsplit("/", 1)[0]


def number(group: str, controller: str, *names: str) -> int:
    for name in names:
        for tree in (Path("/sys/fs/cgroup") / controller, Path("/sys/fs/cgroup")):
            file = tree / group.strip("/") / name
            if file.exists():
                return int(file.read_text())
    raise AssertionError((group, controller, names))
