"""Quotas on the real engine: each is reached, refused with used and limit, freed, and works again."""

import os
import re
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
