"""What a student must not reach: each attack with its legitimate twin, judged at the engine and the host."""

import io
import json
import re
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.integration.people import Student
from tests.integration.stage import Engine, Hostadmin, make_stage, until
from tests.integration.terminal import Terminal

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
MISSING = "nobodysthing"
API = "/v1.41"
PREPARED: set[str] = set()  # execs that a test made itself; the engine forgets them in its own time


@dataclass(frozen=True)
class Room:
    """Two students side by side: ``ashu`` attacks, ``dev`` has what is to be kept."""

    engine: Engine
    hostadmin: Hostadmin
    ashu: Student
    dev: Student


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    """Two students, each with a running container, a network, a volume and an image."""
    with make_stage() as (engine, hostadmin):
        for login in ("ashu", "dev"):
            assert hostadmin.run("user", "add", login, "--docker").returncode == 0
        made = Room(engine, hostadmin, Student("ashu"), Student("dev"))
        for student in (made.ashu, made.dev):
            me = student.login
            student.ok("volume", "create", f"{me}data")
            student.ok("network", "create", f"{me}net")
            student.ok("run", "-itd", "--name", f"{me}c1", "--ipc", "shareable", "-v", f"{me}data:/data", "alpine")
            student.ok("build", "-t", f"{me}img:v1", "-", stdin=f"FROM alpine\nRUN echo {me} >/who\n")
        yield made


def state(engine: Engine) -> dict[str, object]:
    """Return all that an attack might change, as the engine has it."""
    eye = engine.eye
    containers = {}
    for ref in eye.containers():
        found = eye.container(ref)
        containers[ref] = {
            "name": found["Name"],
            "status": found["State"]["Status"],
            "started": found["State"]["StartedAt"],
            "execs": set(found["ExecIDs"] or []) - PREPARED,
            "policy": found["HostConfig"]["RestartPolicy"],
            "labels": found["Config"]["Labels"],
            "networks": sorted(found["NetworkSettings"]["Networks"]),
            "changes": eye.get(f"/containers/{ref}/changes"),
        }
    return {"containers": containers, "networks": eye.networks(), "volumes": eye.volumes(), "tags": eye.tags()}


CREATE_ATTACKS = [
    # name, what is asked for, the twin that works
    ("privileged", ["--privileged"], []),
    ("bind", ["-v", "/etc:/e"], ["-v", "ashudata:/e"]),
    ("bind read-only", ["-v", "/etc:/e:ro"], ["-v", "ashudata:/e:ro"]),
    ("bind of the socket", ["-v", "/run/engine.sock:/s"], ["-v", "/only/inside"]),
    ("mount bind", ["--mount", "type=bind,src=/etc,dst=/e"], ["--mount", "type=volume,src=ashudata,dst=/e"]),
    (
        "local driver with a device",
        ["--mount", "type=volume,dst=/e,volume-driver=local,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=/etc"],
        ["--mount", "type=tmpfs,dst=/e"],
    ),
    ("host network", ["--network", "host"], ["--network", "none"]),
    ("host pids", ["--pid", "host"], ["--init"]),
    ("host ipc", ["--ipc", "host"], ["--ipc", "private"]),
    ("host uts", ["--uts", "host"], ["--hostname", "mine"]),
    ("host users", ["--userns", "host"], ["--user", "nobody"]),
    ("host cgroups", ["--cgroupns", "host"], ["--cgroupns", "private"]),
    ("network of another's container", ["--network", "container:devc1"], ["--network", "container:ashuc1"]),
    ("pids of another's container", ["--pid", "container:devc1"], ["--pid", "container:ashuc1"]),
    ("ipc of another's container", ["--ipc", "container:devc1"], ["--ipc", "container:ashuc1"]),
    ("volumes of another's container", ["--volumes-from", "devc1"], ["--volumes-from", "ashuc1"]),
    ("another's volume", ["-v", "devdata:/d"], ["-v", "ashudata:/d"]),
    ("another's volume as mount", ["--mount", "src=devdata,dst=/d"], ["--mount", "src=ashudata,dst=/d"]),
    ("another's network", ["--network", "devnet"], ["--network", "ashunet"]),
    ("link to another's container", ["--link", "devc1:x"], ["--network-alias", "x", "--network", "ashunet"]),
    ("cgroup parent", ["--cgroup-parent", "/outside"], ["--memory", "64m"]),
    ("device", ["--device", "/dev/kmsg"], ["--tmpfs", "/scratch"]),
    ("device rule", ["--device-cgroup-rule", "c 1:11 rwm"], ["--shm-size", "32m"]),
    ("seccomp off", ["--security-opt", "seccomp=unconfined"], ["--security-opt", "no-new-privileges"]),
    ("apparmor off", ["--security-opt", "apparmor=unconfined"], ["--read-only"]),
    ("bare /proc", ["--security-opt", "systempaths=unconfined"], ["--workdir", "/tmp"]),
    ("capability", ["--cap-add", "SYS_ADMIN"], ["--cap-add", "NET_BIND_SERVICE"]),
    ("all capabilities", ["--cap-add", "ALL"], ["--cap-drop", "ALL"]),
    ("reserved label", ["--label", "io.hostadmin.owner=dev"], ["--label", "io.example.owner=dev"]),
    ("reserved label, other case", ["--label", "IO.hostadmin.owner=dev"], ["--label", "owner=dev"]),
    ("out of memory last", ["--oom-score-adj", "-900"], ["--env", "A=b"]),
    ("runtime", ["--runtime", "io.containerd.runtime.v1.linux"], ["--stop-timeout", "1"]),
    ("sysctl of the host", ["--sysctl", "kernel.shm_rmid_forced=1"], ["--sysctl", "net.ipv4.ip_unprivileged_port_start=0"]),
    ("log driver", ["--log-driver", "syslog"], ["--log-driver", "json-file", "--log-opt", "max-size=1m"]),
    ("port below the range", ["-p", "80:80"], ["-p", "8099:80"]),
    ("another's image", ["IMAGE", "devimg:v1"], ["IMAGE", "ashuimg:v1"]),
    ("ulimit beyond the list", ["--ulimit", "rtprio=99"], ["--ulimit", "nofile=1024"]),
]


@pytest.mark.parametrize(("name", "attack", "twin"), CREATE_ATTACKS, ids=[a[0] for a in CREATE_ATTACKS])
def test_create_attack_is_refused_and_leaves_nothing(room: Room, name: str, attack: list[str], twin: list[str]) -> None:
    before = state(room.engine)
    refused = room.ashu.docker(*_run(attack), timeout=30)
    assert refused.returncode == 125, (name, refused.stdout, refused.stderr)
    assert refused.stderr.strip(), name
    assert state(room.engine) == before, name
    made = room.ashu.docker(*_run(twin))
    assert made.returncode == 0, (name, made.stderr)
    found = room.engine.eye.container(made.stdout.strip())
    assert found["HostConfig"]["Privileged"] is False
    room.ashu.ok("rm", "-f", "-v", made.stdout.strip())
    assert state(room.engine) == before, name


def _run(options: list[str]) -> list[str]:
    if options[:1] == ["IMAGE"]:
        return ["run", "-d", options[1], "sleep", "100"]
    return ["run", "-d", *options, "alpine", "sleep", "100"]


FOREIGN = [
    # method, target with X for the reference, body, which reference of dev's
    ("GET", "/containers/X/json", None, "container"),
    ("GET", "/containers/X/logs?stdout=1", None, "container"),
    ("GET", "/containers/X/top", None, "container"),
    ("GET", "/containers/X/stats?stream=0", None, "container"),
    ("GET", "/containers/X/changes", None, "container"),
    ("GET", "/containers/X/export", None, "container"),
    ("GET", "/containers/X/archive?path=/etc", None, "container"),
    ("HEAD", "/containers/X/archive?path=/etc", None, "container"),
    ("PUT", "/containers/X/archive?path=/tmp", b"\0" * 1024, "container"),
    ("POST", "/containers/X/start", None, "container"),
    ("POST", "/containers/X/stop?t=0", None, "container"),
    ("POST", "/containers/X/restart?t=0", None, "container"),
    ("POST", "/containers/X/kill", None, "container"),
    ("POST", "/containers/X/pause", None, "container"),
    ("POST", "/containers/X/unpause", None, "container"),
    ("POST", "/containers/X/rename?name=ashuown", None, "container"),
    ("POST", "/containers/X/resize?h=10&w=10", None, "container"),
    ("POST", "/containers/X/update", {"RestartPolicy": {"Name": "always"}}, "container"),
    ("POST", "/containers/X/wait", None, "container"),
    ("POST", "/containers/X/attach?stream=1&stdin=1&stdout=1", None, "container"),
    ("POST", "/containers/X/exec", {"Cmd": ["id"], "AttachStdout": True}, "container"),
    ("POST", "/commit?container=X&repo=ashustolen", None, "container"),
    ("DELETE", "/containers/X?force=1", None, "container"),
    ("POST", "/exec/X/start", {"Detach": False, "Tty": False}, "exec"),
    ("GET", "/exec/X/json", None, "exec"),
    ("GET", "/networks/X", None, "network"),
    ("POST", "/networks/X/connect", {"Container": "ashuc1"}, "network"),
    ("POST", "/networks/X/disconnect", {"Container": "devc1", "Force": True}, "network"),
    ("POST", "/networks/ashunet/connect", {"Container": "X"}, "container"),
    ("POST", "/networks/bridge/disconnect", {"Container": "X", "Force": True}, "container"),
    ("DELETE", "/networks/X", None, "network"),
    ("GET", "/volumes/X", None, "volume"),
    ("DELETE", "/volumes/X?force=0", None, "volume"),
    ("GET", "/images/X/json", None, "image"),
    ("GET", "/images/X/history", None, "image"),
    ("GET", "/images/X/get", None, "image"),
    ("GET", "/images/get?names=X", None, "image"),
    ("POST", "/images/X/tag?repo=ashustolen", None, "image"),
    ("DELETE", "/images/X?force=1", None, "image"),
]


@pytest.mark.parametrize(("method", "target", "body", "kind"), FOREIGN, ids=[f"{f[0]} {f[1]} of {f[3]}" for f in FOREIGN])
def test_foreign_is_the_same_as_missing(room: Room, method: str, target: str, body: object, kind: str) -> None:
    """By name and by id: the same bytes, save the reference that the caller wrote; nothing changes."""
    pairs = references(room, kind)
    before = state(room.engine)
    for theirs, nobodys in pairs:
        answers = []
        for ref in (theirs, nobodys):
            filled = {k: ref if v == "X" else v for k, v in body.items()} if isinstance(body, dict) else body
            raw = room.ashu.raw(method, API + target.replace("X", ref), filled)
            assert raw.startswith(b"HTTP/1.1 4"), (ref, raw[:300])
            answers.append(_without(raw, ref))
        assert answers[0] == answers[1], (theirs, answers)
    after = state(room.engine)
    assert after == before


def references(room: Room, kind: str) -> list[tuple[str, str]]:
    """Return pairs of something of dev's and something that nobody has, in the same spelling."""
    if kind == "container":
        full = next(i for i, n in room.engine.eye.containers().items() if n == "devc1")
        return [("devc1", MISSING), (full, "f" * 64), (full[:12], "f" * 12)]
    if kind == "network":
        full = next(i for i, n in room.engine.eye.networks().items() if n == "devnet")
        return [("devnet", MISSING), (full, "f" * 64)]
    if kind == "exec":
        status, made = room.engine.eye.call("POST", "/containers/devc1/exec", {"Cmd": ["id"]})
        assert status == 201
        PREPARED.add(made["Id"])
        return [(made["Id"], "f" * 64)]
    if kind == "image":
        full = room.engine.eye.get("/images/devimg:v1/json")["Id"]
        return [("devimg:v1", f"{MISSING}:v1"), (full, f"sha256:{'f' * 64}")]
    return [("devdata", MISSING)]


def _without(raw: bytes, ref: str) -> bytes:
    """Drop what may differ: the date, the reference itself, and the length that follows from it."""
    text = re.sub(rb"\r\n(?i:date|content-length): [^\r]*", b"", raw)
    return text.replace(ref.encode(), b"REF")


def test_lists_show_only_what_is_theirs(room: Room) -> None:
    assert room.ashu.ok("ps", "-a", "--format", "{{.Names}}").split() == ["ashuc1"]
    assert set(room.ashu.ok("network", "ls", "--format", "{{.Name}}").split()) == {"bridge", "host", "none", "ashunet"}
    assert room.ashu.ok("volume", "ls", "-q").split() == ["ashudata"]
    images = set(room.ashu.ok("images", "--format", "{{.Repository}}").split())
    assert {"alpine", "ashuimg"} <= images
    assert "devimg" not in images
    assert "dev" not in room.ashu.docker("system", "df", "-v").stdout
    assert "devc1" not in room.ashu.ok("network", "inspect", "bridge")
    filtered = room.ashu.ok("ps", "-aq", "--filter", "name=devc1")
    assert filtered == ""
    root = set(room.hostadmin.guard.containers().values())
    assert {"ashuc1", "devc1"} <= root, "the administrator sees everybody's"


def test_prune_takes_nothing_of_others(room: Room) -> None:
    """Whether a prune is refused or carried out: what is somebody else's stays."""
    for student in (room.ashu, room.dev):
        student.ok("run", "--name", f"{student.login}old", "alpine", "true")
        student.ok("network", "create", f"{student.login}idle")
        student.ok("volume", "create", f"{student.login}idle")
    for what in ("container", "network", "volume", "image", "system"):
        done = room.ashu.docker(what, "prune", "-f")
        assert done.returncode == 0 or "hostadmin refused" in done.stderr, done.stderr
    assert {"devold", "devc1"} <= set(room.engine.eye.containers().values())
    assert {"devidle", "devnet"} <= set(room.engine.eye.networks().values())
    assert {"devidle", "devdata"} <= room.engine.eye.volumes()
    assert "devimg:v1" in room.engine.eye.tags()
    for student in (room.ashu, room.dev):
        student.docker("rm", f"{student.login}old")
        student.docker("network", "rm", f"{student.login}idle")
        student.docker("volume", "rm", f"{student.login}idle")
    room.ashu.docker("network", "create", "ashunet")  # a prune may take it: nothing runs on it


def test_exec_and_commit_and_build_attacks(room: Room) -> None:
    """What can be asked for besides create."""
    before = state(room.engine)
    for argv in (
        ["exec", "--privileged", "ashuc1", "id"],
        ["commit", "--change", "LABEL io.hostadmin.owner=dev", "ashuc1", "ashux:v1"],
        ["network", "create", "--label", "io.hostadmin.owner=dev", "ashux"],
        ["network", "create", "-d", "macvlan", "-o", "parent=lo", "ashux"],
        ["network", "create", "-d", "host", "ashux"],
        ["volume", "create", "--label", "io.hostadmin.owner=dev", "ashux"],
        ["volume", "create", "-o", "type=none", "-o", "o=bind", "-o", "device=/etc", "ashux"],
        ["tag", "alpine", "mysql:latest"],
        ["tag", "alpine", "devimg:v1"],
        ["rmi", "alpine"],
        ["rmi", "-f", "alpine"],
        ["plugin", "install", "--grant-all-permissions", "x/y"],
        ["swarm", "init"],
        ["network", "connect", "host", "ashuc1"],
        ["network", "rm", "bridge"],
        ["update", "--restart", "nonsense", "ashuc1"],
    ):
        done = room.ashu.docker(*argv)
        assert done.returncode != 0, argv
        assert done.stderr.strip(), argv
    for text, options in (
        ("FROM devimg:v1\nRUN cat /who\n", []),
        ("FROM alpine\nRUN true\n", ["--network", "host"]),
        ("FROM alpine\nRUN true\n", ["--cgroup-parent", "/outside"]),
        ("FROM alpine\nRUN true\n", ["--label", "io.hostadmin.owner=dev"]),
        ("FROM alpine\nRUN true\n", ["-t", "mysql:latest"]),
        ("FROM alpine\nRUN true\n", ["-t", "devimg:v1"]),
    ):
        done = room.ashu.docker("build", *options, "-", stdin=text)
        assert done.returncode != 0, (text, options, done.stdout)
    assert state(room.engine) == before


def test_a_label_in_a_dockerfile_makes_nobody_else_the_owner(room: Room) -> None:
    """Refused, or built without it: no image and no container carries a reserved label of the caller's."""
    room.ashu.docker("build", "-t", "ashulabel:v1", "-", stdin="FROM alpine\nLABEL io.hostadmin.owner=dev mine=yes\n")
    room.ashu.docker("run", "-d", "--name", "ashulabel", "ashulabel:v1", "sleep", "100")
    images = {str(i["RepoTags"]): i["Labels"] or {} for i in room.engine.eye.get("/images/json?all=1")}
    containers = {n: room.engine.eye.container(c)["Config"]["Labels"] or {} for c, n in room.engine.eye.containers().items()}
    assert not {n for n, labels in (images | containers).items() if labels.get("io.hostadmin.owner") == "dev"}
    assert "ashulabel" not in room.dev.ok("ps", "-a", "--format", "{{.Names}}")
    room.ashu.docker("rm", "-f", "ashulabel")
    room.ashu.docker("rmi", "ashulabel:v1")


def tar_of(*members: tuple[str, bytes]) -> bytes:
    """Return a tar: ``(name, type)`` each; a file holds its own name."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.devmajor, info.devminor = kind, 0o666, 1, 5
            info.size = len(name) if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(name.encode()) if info.size else None)
    return out.getvalue()


def test_nobody_makes_or_brings_device_nodes(room: Room) -> None:
    """A shell on the host could open them through ``/proc/PID/root``, past the container's device rules."""
    assert "MKNOD" in room.engine.eye.container("ashuc1")["HostConfig"]["CapDrop"]
    made = room.ashu.docker("exec", "ashuc1", "mknod", "/tmp/d", "c", "1", "5")
    assert made.returncode != 0
    assert "permitted" in made.stderr
    assert room.ashu.ok("exec", "ashuc1", "sh", "-c", "mkfifo /tmp/f; dd if=/dev/zero bs=1 count=3 2>/dev/null | wc -c") == "3"
    node, plain, under_dev = ("d", tarfile.CHRTYPE), ("plain", tarfile.REGTYPE), ("dev/zero", tarfile.CHRTYPE)
    for members, status in (((plain, node), b"403"), ((plain, under_dev), b"200")):
        tar = tar_of(*members)
        answer = room.ashu.raw("PUT", f"{API}/containers/ashuc1/archive?path=/tmp", tar)
        assert answer.split()[1] == status, answer
        answer = room.ashu.raw("POST", f"{API}/images/create?fromSrc=-&repo=ashu/nodes", tar)
        assert (b"device node" in answer) is (status == b"403"), answer
    listed = room.ashu.ok("exec", "ashuc1", "find", "/tmp", "-type", "c", "-o", "-type", "b")
    assert listed == ""
    assert room.ashu.ok("exec", "ashuc1", "cat", "/tmp/plain") == "plain"
    made = room.ashu.ok("create", "ashu/nodes", "/plain")
    exported = tarfile.open(fileobj=io.BytesIO(room.engine.eye.get(f"/containers/{made}/export")))
    assert [m.name for m in exported if m.isdev()] == []
    room.ashu.ok("rm", made)
    room.ashu.ok("rmi", "ashu/nodes")


def test_load_cannot_move_anothers_tag(room: Room) -> None:
    """``docker load`` of a tar that names the host's or somebody else's tag changes neither."""
    tags = {t: room.engine.eye.get(f"/images/{t}/json")["Id"] for t in ("alpine:latest", "devimg:v1")}
    room.engine.eye.call("POST", "/images/ashuimg:v1/tag?repo=evil&tag=v1")
    for victim in tags:
        repo = victim.partition(":")[0]
        script = (
            "set -e; cd ~; docker save -o a.tar ashuimg:v1; rm -rf a; mkdir a; tar -xf a.tar -C a; "
            f'sed -i \'s/ashuimg:v1/{victim}/; s/"ashuimg"/"{repo}"/\' a/manifest.json; tar -C a -cf b.tar .; docker load -i b.tar'
        )
        shell = Terminal("ashu")
        shell.type(script.replace("set -e; ", "").replace("; ", " && "))
        shell.close()
    room.engine.eye.call("DELETE", "/images/evil:v1")
    for tag, image in tags.items():
        assert room.engine.eye.get(f"/images/{tag}/json")["Id"] == image, tag


_INSIDE = """
import os, socket, sys
pid, path, request = sys.argv[1:]
for line in open(f"/proc/{pid}/cgroup"):
    number, names, place = line.rstrip().split(":", 2)
    mounts = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup") if number == "0" else (f"/sys/fs/cgroup/{names.removeprefix('name=')}",)
    for mount in mounts:
        if os.path.exists(f"{mount}{place}/cgroup.procs"):
            open(f"{mount}{place}/cgroup.procs", "w").write(str(os.getpid()))
            break
s = socket.socket(socket.AF_UNIX); s.connect(path)
s.sendall(f"{request} HTTP/1.1\\r\\nHost: d\\r\\nConnection: close\\r\\n\\r\\n".encode())
while data := s.recv(65536):
    sys.stdout.buffer.write(data)
"""


def test_root_in_a_container_is_its_owner_and_nothing_more(room: Room) -> None:
    """Uid 0 in a container's cgroup acts as that container's owner; in a bare pid namespace as nobody."""

    def ask(request: str) -> str:
        pid = str(room.engine.eye.container("ashuc1")["State"]["Pid"])
        argv = ["/usr/bin/python3", "-c", _INSIDE, pid, room.ashu.socket, request]
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30).stdout

    listed = ask("GET /v1.41/containers/json?all=1")
    assert listed.startswith("HTTP/1.1 200"), listed
    assert "ashuc1" in listed
    assert "devc1" not in listed
    assert ask("DELETE /v1.41/containers/devc1?force=1").startswith("HTTP/1.1 404")
    assert "devc1" in room.engine.eye.containers().values()
    assert ask("POST /v1.41/swarm/init").startswith("HTTP/1.1 503")
    actors = room.hostadmin.rows("select actor_login, actor from audit_records where action = 'container.remove' order by seq desc limit 1")
    assert actors[0][0] == "ashu"
    assert json.loads(actors[0][1])["container"] == room.engine.eye.container("ashuc1")["Id"]
    bare = ["unshare", "--pid", "--fork", "/usr/bin/python3", "-c", _INSIDE, "self", room.ashu.socket, "GET /v1.41/containers/json"]
    refused = subprocess.run(bare, capture_output=True, text=True, check=True, timeout=30).stdout
    assert refused.startswith("HTTP/1.1 403"), refused
    assert "cannot be told" in refused


def test_revoked_at_once_in_open_shells_and_streams(room: Room) -> None:
    """A revocation refuses the next call and ends what is attached within a second; the containers run on."""
    shell, other = Terminal("ashu"), Terminal("dev")
    shell.say("docker exec -it ashuc1 sh", r"/ # $")
    other.say("docker exec -it devc1 sh", r"/ # $")
    streams = {
        "logs": room.ashu.start("logs", "-f", "ashuc1"),
        "events": room.ashu.start("events"),
        "attach": room.ashu.start("attach", "--no-stdin", "ashuc1"),
        "stats": room.ashu.follow(f"{API}/containers/ashuc1/stats"),  # the CLI itself goes on showing dashes
        "wait": room.ashu.start("wait", "ashuc1"),
    }
    started = room.engine.eye.container("ashuc1")["State"]["StartedAt"]
    until("all streams are open", lambda: _open_streams(room) >= len(streams))
    assert all(p.poll() is None for p in streams.values())
    done = room.hostadmin.run("access", "revoke", "ashu")
    begin = time.monotonic()
    assert done.returncode == 0, done.stderr
    refused = room.ashu.docker("ps")
    assert refused.returncode == 1
    assert "access grant ashu" in refused.stderr
    for name, process in streams.items():
        process.wait(max(0.1, begin + 10 - time.monotonic()))
        assert time.monotonic() - begin < 10, name
    answer = shell.finish(patience=10)
    assert time.monotonic() - begin < 10, answer
    again = shell.type("docker ps")
    assert again.code == 1
    assert "access grant ashu" in again.output
    assert "uid=0" in other.say("id", r"/ # $"), "another student's stream goes on"
    assert room.engine.eye.container("ashuc1")["State"]["StartedAt"] == started
    assert room.hostadmin.run("access", "grant", "ashu").returncode == 0
    assert shell.type("docker ps -q").code == 0
    shell.close()
    other.close()


def _open_streams(room: Room) -> int:
    """Return how many docker processes of ashu's have their connection to the guard established."""
    count = 0
    for line in open("/proc/net/unix").read().splitlines():
        count += line.endswith("/run/docker.sock")
    return count - 1
