"""Identity, streams, secrets and crowds as attacks: who is calling, what is granted, what is written down, who waits."""

import array
import json
import os
import pwd
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.attacks import tars
from tests.integration.attacks.room import API, CANARY, Room, make_room
from tests.integration.attacks.sender import Answer, Sender, request
from tests.integration.people import SYSTEM_PYTHON, process_of
from tests.integration.stage import GUARD_SOCKET, STATE, until

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
REMOVE = request("DELETE", f"{API}/containers/devc?force=1")
LIST = request("GET", f"{API}/containers/json?all=1")
SPEAK = """
import os, socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect(sys.argv[1])
s.sendall(sys.stdin.buffer.read())
while data := s.recv(65536):
    sys.stdout.buffer.write(data)
"""


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    with make_room() as made:
        assert made.hostadmin.run("user", "add", "eva").returncode == 0
        assert made.hostadmin.run("user", "add", "locked", "--docker").returncode == 0
        assert made.hostadmin.run("user", "lock", "locked").returncode == 0
        made.remember()
        yield made


def speak(login: str, raw: bytes, *before: str, door: str = GUARD_SOCKET) -> bytes:
    """Let a process of an account, started through ``before``, send bytes and return what came back."""
    call = process_of(login, [*before, SYSTEM_PYTHON, "-I", "-c", SPEAK, door])
    return subprocess.run(**call, input=raw, capture_output=True, check=False, timeout=60).stdout


# -- who is calling -----------------------------------------------------------------------------


@pytest.mark.parametrize("login", ["eva", "locked", "daemon"])
def test_who_has_no_access_gets_nothing(room: Room, login: str) -> None:
    for raw in (LIST, REMOVE, request("GET", "/_ping"), request("POST", f"{API}/containers/create", {"Image": "alpine"})):
        said = Answer.read(speak(login, raw))
        assert said.status == 403, (login, said)
    room.judge(login)
    assert Answer.read(speak("ashu", LIST)).status == 200


@pytest.mark.parametrize("before", [["unshare", "-Ur"], ["unshare", "-Urpf"], ["unshare", "-Urm"], ["unshare", "-Urn"]], ids=" ".join)
def test_root_of_a_namespace_of_ones_own_is_oneself(room: Room, before: list[str]) -> None:
    """Uid 0 in a user namespace is its maker: never an administrator, never somebody else."""
    said = Answer.read(speak("ashu", REMOVE, *before))
    room.judge((before, said))
    listed = Answer.read(speak("ashu", LIST, *before))
    assert listed.status in (200, 403), listed
    if listed.status == 200:
        assert [c["Names"] for c in listed.json] == [["/ashuc"]]


def test_a_descriptor_that_was_handed_over_stays_its_makers(room: Room) -> None:
    """Whoever sends: the identity is that of the connection. The twin is the maker's own request."""
    handed = {}
    for login, target in (("ashu", "devc"), ("ashu", "ashuc")):
        mine, its = socket.socketpair()
        sender = _maker(login, its)
        _, ancillary, _, _ = mine.recvmsg(1, socket.CMSG_LEN(4))
        numbers = array.array("i", ancillary[0][2][:4])
        with socket.socket(fileno=numbers[0]) as door:
            door.settimeout(20)
            door.sendall(request("GET", f"{API}/containers/{target}/json"))
            handed[target] = door.recv(65536)
        os.waitpid(sender, 0)
    assert b"404" in handed["devc"].split(b"\r\n")[0]  # this process is root, the connection is ashu's
    assert b"404" not in handed["ashuc"].split(b"\r\n")[0]
    room.judge("handed over")


def _maker(login: str, line: socket.socket) -> int:
    """Fork a process of ``login`` that connects to the guard, hands the connection over and ends."""
    pid = os.fork()
    if pid:
        line.close()
        return pid
    account = pwd.getpwnam(login)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    door = socket.socket(socket.AF_UNIX)
    door.connect(GUARD_SOCKET)
    door.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
    door.recv(65536)
    line.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [door.fileno()]))])
    os._exit(0)


def test_a_claim_in_the_request_makes_nobody_else(room: Room) -> None:
    """No header, no path and no name says who is calling."""
    for field in (
        "X-Forwarded-User: dev",
        "Authorization: Basic ZGV2OmRldg==",
        "X-Remote-User: root",
        "X-Hostadmin-Owner: $O",
        "Cookie: user=root",
    ):
        said = room.attacker.ask("GET", f"{API}/containers/json?all=1", fields=(field.replace("$O", room.accounts["dev"]),))
        assert [c["Names"] for c in said.json] == [["/ashuc"]], field
    room.judge("claims")


def test_the_doors_of_the_host_are_shut(room: Room) -> None:
    """The engine's and containerd's sockets, the data root and hostadmin's state are root's alone; the guard's is everybody's."""
    script = """
import os, socket, sys
for path in sys.argv[1].split(","):
    try:
        s = socket.socket(socket.AF_UNIX); s.connect(path); print("open", path)
    except OSError: pass
for path in sys.argv[2].split(","):
    try:
        print("read", path, os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(10))
    except OSError: pass
"""
    volume = room.engine.eye.get("/volumes/ashudata")["Mountpoint"]
    sockets = "/run/engine.sock,/run/docker/containerd/containerd.sock,/run/docker/metrics.sock"
    files = f"{volume},{Path(volume).parents[2]},/mnt/docker/data/overlay2,{STATE}/db/hostadmin.db,{STATE}/audit,/etc/planted-canary,/etc/shadow"
    for login in ("ashu", "eva", "daemon"):
        call = process_of(login, [SYSTEM_PYTHON, "-I", "-c", script, sockets, files])
        said = subprocess.run(**call, capture_output=True, text=True, check=False, timeout=30).stdout
        assert not said, (login, said)
    assert Answer.read(speak("ashu", request("GET", "/_ping"))).status == 200


# -- what is granted ----------------------------------------------------------------------------

UPGRADE = "Connection: Upgrade\r\nUpgrade: {}\r\n"
STREAMS = {
    "attach": f"POST {API}/containers/devc/attach?stream=1&stdin=1&stdout=1&logs=1 HTTP/1.1\r\nHost: d\r\n{UPGRADE.format('tcp')}Content-Length: 0\r\n\r\n",
    "attach-without-upgrade": f"POST {API}/containers/devc/attach?stream=1&stdin=1&stdout=1&logs=1 HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n",
    "attach-with-a-list": f"POST {API}/containers/devc/attach?stream=1 HTTP/1.1\r\nHost: d\r\n{UPGRADE.format('h2c, tcp')}Content-Length: 0\r\n\r\n",
    "attach-ws": f"GET {API}/containers/devc/attach/ws?stream=1&stdin=1&stdout=1&logs=1 HTTP/1.1\r\nHost: d\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{UPGRADE.format('websocket')}\r\n",
    "attach-the-host's": f"POST {API}/containers/hostc/attach?stream=1&stdin=1 HTTP/1.1\r\nHost: d\r\n{UPGRADE.format('tcp')}Content-Length: 0\r\n\r\n",
    "exec": f"POST {API}/exec/$E/start HTTP/1.1\r\nHost: d\r\n{UPGRADE.format('tcp')}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}",
    "exec-detached": f'POST {API}/exec/$E/start HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{{"Detach":true}}',
    "exec-resize": f"POST {API}/exec/$E/resize?h=1&w=1 HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n",
    "exec-by-prefix": f"POST {API}/exec/$e/start HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\n\r\n{{}}",
    "session": f"POST /session HTTP/1.1\r\nHost: d\r\n{UPGRADE.format('h2c')}X-Docker-Expose-Session-Uuid: x\r\n\r\n",
    "grpc": f"POST /grpc HTTP/1.1\r\nHost: d\r\n{UPGRADE.format('h2c')}\r\n",
    "logs": f"GET {API}/containers/devc/logs?stdout=1&follow=1 HTTP/1.1\r\nHost: d\r\n{UPGRADE.format('tcp')}\r\n",
    "ping": f"GET /_ping HTTP/1.1\r\nHost: d\r\n{UPGRADE.format('tcp')}\r\n",
}


@pytest.mark.parametrize("name", STREAMS)
def test_no_stream_without_a_grant(room: Room, name: str) -> None:
    """What follows the refused request is judged like any other, wherever it stands."""
    head = STREAMS[name].replace("$e", room.theirs.E[:12]).replace("$E", room.theirs.E).encode()
    for pieces in ((head + REMOVE,), (head, REMOVE), (head + b"id >/planted\n",)):
        said = room.attacker.send(*pieces)
        assert b"101 " not in said.split(b"\r\n")[0], said
    room.judge(name)


def test_the_granted_stream_of_ones_own(room: Room) -> None:
    exec_id = room.attacker.ask("POST", f"{API}/containers/ashuc/exec", {"Cmd": ["cat"], "AttachStdin": True, "AttachStdout": True}).json[
        "Id"
    ]
    body = b'{"Detach":false,"Tty":false}'
    head = f"POST {API}/exec/{exec_id}/start HTTP/1.1\r\nHost: d\r\n{UPGRADE.format('tcp')}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    said = room.attacker.send(head.encode() + body, REMOVE)
    assert said.startswith(b"HTTP/1.1 101"), said
    assert REMOVE in said, "what looks like a request is the stream's own bytes"
    assert "devc" in room.names()
    gone = lambda: exec_id not in (room.engine.eye.container("ashuc")["ExecIDs"] or [])  # noqa: E731
    until("the engine has forgotten it", gone)
    room.judge("granted")


TOPS = [
    "-eouid=PID -oargs",
    "-eoeuid=PID -oargs e",
    "-eo ppid=PID,args",
    "-eouid=PID",
    "-o pid=X -oargs",
    "-C sleep",
    "$(id)",
    "-ef;id",
    "-e\nf",
    "--help >/planted",
]


@pytest.mark.parametrize("text", TOPS)
def test_top_cannot_be_turned_on_others_processes(room: Room, text: str) -> None:
    """``ps`` runs as root over the whole host; a column named PID that is none selects others' processes."""
    victim = subprocess.Popen([f"{CANARY}-process", "1000"], executable="/bin/sleep", user=pwd.getpwnam("dev").pw_uid)
    try:
        room.attacker.ask("GET", f"{API}/containers/ashuc/top?ps_args={quote(text)}")
        if "=" in text:
            assert room.attacker.ask("GET", f"{API}/containers/ashuc/top?ps_args={quote(text)}").status in (400, 403), text
        room.judge(text)
    finally:
        victim.kill()
        victim.wait()


def test_the_twins_of_top(room: Room) -> None:
    for text in ("", "-ef", "aux", "-eo pid,ppid,args", "-o pid,user,comm"):
        said = room.attacker.ask("GET", f"{API}/containers/ashuc/top" + (f"?ps_args={quote(text)}" if text else ""))
        assert said.status == 200, (text, said)
        assert len(said.json["Processes"]) == 2, said.json  # the shell and its sleep


COPIES = [
    "/data/../../../etc/planted-canary",
    "/escape",
    "/escape/planted-canary",
    "/proc/1/root/etc/planted-canary",
    "/proc/self/root/etc/planted-canary",
    "../etc/planted-canary",
]


@pytest.mark.parametrize("path", COPIES)
def test_copies_do_not_lead_out_of_the_container(room: Room, path: str) -> None:
    assert room.attacker.ask("PUT", f"{API}/containers/ashuc/archive?path=/data", tars.linked("out", "/etc", {})).status == 200
    full = room.spare(running=False, HostConfig={"Binds": ["ashudata:/escape2"]})
    room.attacker.ask("PUT", f"{API}/containers/{full}/archive?path=/", tars.linked("escape", "/etc", {}))
    for method in ("GET", "HEAD"):
        room.attacker.ask(method, f"{API}/containers/{full}/archive?path={quote(path)}", half_close=False)
    for folder in ("/escape", "/escape2/out", "/", "/../.."):
        room.attacker.ask("PUT", f"{API}/containers/{full}/archive?path={quote(folder)}", tars.tar({"planted": b"x", "../planted": b"x"}))
    room.judge_foreign(path)
    assert room.attacker.ask("GET", f"{API}/containers/ashuc/archive?path=/data/file", half_close=False).status == 200


# -- what is written down -----------------------------------------------------------------------

SECRET = "s3cr3t-planted-word"


def test_no_secret_is_written_down(room: Room) -> None:
    """Environment, build arguments, credentials and passwords are in no database, log or audit file, and in no error text."""
    import base64

    auth = base64.urlsafe_b64encode(json.dumps({"username": "u", "password": SECRET}).encode()).decode()
    config = base64.urlsafe_b64encode(json.dumps({"example.org": {"username": "u", "password": SECRET}}).encode()).decode()
    ask = room.attacker.ask
    context = tars.context(f"FROM alpine\nARG B\nENV A={SECRET}\nRUN true\n")
    calls: list[Answer] = [
        ask("POST", f"{API}/containers/create?name=ashunew", {"Image": "alpine", "Env": [f"A={SECRET}"]}),
        ask(
            "POST",
            f"{API}/containers/create?name=ashunew2",
            {"Image": "alpine", "Env": [f"A={SECRET}"], "HostConfig": {"Privileged": True}},
        ),
        ask("POST", f"{API}/containers/create", {"Image": "nothere", "Env": [f"A={SECRET}"]}),
        ask("POST", f"{API}/containers/create", b'{"Image":"alpine","Env":["A=' + SECRET.encode() + b'"],}'),
        ask("POST", f"{API}/containers/ashuc/exec", {"Cmd": ["true"], "Env": [f"A={SECRET}"], "Privileged": True}),
        ask("POST", f"{API}/auth", {"username": "u", "password": SECRET, "serveraddress": "example.org"}),
        ask("POST", f"{API}/images/create?fromImage=example.org/x&tag=y", None, (f"X-Registry-Auth: {auth}",), half_close=False),
        ask("POST", f"{API}/images/create?fromImage=example.org/x&tag=y", None, (f"X-Registry-Auth: {SECRET}",), half_close=False),
        ask("POST", f"{API}/images/ashuimg/push?tag=v1", None, (f"X-Registry-Auth: {auth}",), half_close=False),
        ask(
            "POST",
            f"{API}/build?buildargs={quote(json.dumps({'B': SECRET}))}",
            context,
            ("Content-Type: application/x-tar", f"X-Registry-Config: {config}"),
            half_close=False,
        ),
        ask(
            "POST",
            f"{API}/build?version=2&buildargs={quote(json.dumps({'B': SECRET}))}",
            context,
            ("Content-Type: application/x-tar",),
            half_close=False,
        ),
        ask("POST", f"{API}/commit?container=ashuc&changes={quote(f'ENV A={SECRET}')}&repo=ashunew"),
    ]
    assert calls[0].status == 201
    errors = [c for c in calls if c.status >= 400 and SECRET.encode() in c.body]
    assert not errors, errors
    until("everything is concluded", lambda: not room.hostadmin.rows("select * from audit_open"))
    files = [p for p in STATE.rglob("*") if p.is_file()]
    assert any("hostadmin.db" in p.name for p in files)
    found = [str(p) for p in files if SECRET.encode() in p.read_bytes()]
    assert not found
    seen = {
        p.name: (Path("/proc") / p.name / "cmdline").read_bytes()
        for p in Path("/proc").iterdir()
        if p.name.isdigit() and (p / "cmdline").exists()
    }
    assert not [pid for pid, line in seen.items() if SECRET.encode() in line]
    assert f"A={SECRET}" in room.engine.eye.container("ashunew")["Config"]["Env"], "the twin: the container has it"
    room.judge_foreign("secrets")


# -- who waits ----------------------------------------------------------------------------------

SLOW: dict[str, tuple[bytes, ...]] = {
    "half a head": (b"GET /_ping HTTP/1.1\r\nHost: d\r\nX: ",),
    "half a body": (b"POST /v1.41/containers/create HTTP/1.1\r\nHost: d\r\nContent-Length: 1000\r\n\r\n{",),
    "half a chunk": (b"POST /v1.41/containers/create HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n{",),
    "half a context": (
        b"POST /v1.41/build HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\nContent-Length: 100000\r\n\r\n" + bytes(100),
    ),
    "half an image": (
        b"POST /v1.41/images/load HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\nContent-Length: 100000\r\n\r\n" + bytes(100),
    ),
    "an answer that is not read": (b"GET /v1.41/events HTTP/1.1\r\nHost: d\r\n\r\n",),
}


@pytest.mark.parametrize("name", SLOW)
def test_slow_senders_hold_up_nobody_else(room: Room, name: str) -> None:
    """Forty connections that hang do not keep the next student, nor an administrator, from an answer."""
    account = pwd.getpwnam("ashu")
    pid = os.fork()
    if not pid:
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
        held = []
        for _ in range(40):
            door = socket.socket(socket.AF_UNIX)
            door.connect(GUARD_SOCKET)
            door.sendall(SLOW[name][0])
            held.append(door)
        while True:
            signal.pause()
    try:
        for _ in range(5):
            assert room.victim.ask("GET", f"{API}/containers/json").status == 200
            assert room.hostadmin.guard.get("/containers/json")
        load = room.victim.ask(
            "POST", f"{API}/images/load?quiet=1", tars.image(["devnew:v1"]), ("Content-Type: application/x-tar",), half_close=False
        )
        assert load.status == 200, load
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    room.judge_foreign(name)


HEAVY: dict[str, tuple[str, str, Any]] = {
    "gzip bomb as a context": ("POST", "/build", tars.bomb(256)),
    "gzip bomb as an image": ("POST", "/images/load", tars.bomb(256)),
    "gzip bomb as a copy": ("PUT", "/containers/ashuc/archive?path=/nowhere", tars.bomb(256)),
    "regex in a filter": ("GET", "/containers/json?filters=" + quote(json.dumps({"name": ["(a*)*" * 200 + "$"]})), None),
    "regex beyond bounds": ("GET", "/volumes?filters=" + quote(json.dumps({"name": ["(((a{1,100}){1,100}){1,100})"]})), None),
    "many filters": ("GET", "/containers/json?filters=" + quote(json.dumps({"name": [f"x{i}" for i in range(3000)]})), None),
    "a document of a megabyte": ("POST", "/containers/create", b'{"Image":"' + b"a" * 1_000_000 + b'"}'),
    "a forest of brackets": ("POST", "/containers/create", b"[" * 1_000_000),
    "a million keys": ("POST", "/containers/create", b"{" + b",".join(b'"%d":1' % i for i in range(90_000)) + b"}"),
    "a long number": ("POST", "/containers/create", b'{"Memory":' + b"9" * 900_000 + b"}"),
    "chunks of one byte": ("POST", "/containers/create", None),
}


@pytest.mark.parametrize("name", HEAVY)
def test_heavy_requests_hold_up_nobody_else(room: Room, name: str) -> None:
    """While the guard works on it, the next student is answered; afterwards nothing is left."""
    import threading

    method, target, body = HEAVY[name]
    raw = request(method, API + target, body, ("Content-Type: application/x-tar",) if "bomb" in name else ())
    if name == "chunks of one byte":
        raw = (
            b"POST /v1.41/containers/create HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"1\r\n \r\n" * 200_000
            + b"0\r\n\r\n"
        )
    answers: list[bytes] = []
    attack = threading.Thread(target=lambda: answers.append(room.attacker.send(raw, half_close="bomb" not in name, seconds=60)))
    attack.start()
    for _ in range(10):
        assert room.victim.ask("GET", f"{API}/containers/json", seconds=5).status == 200, name
    attack.join()
    assert not answers[0].startswith(b"HTTP/1.1 5"), answers[0][:300]
    room.judge_foreign(name)


def test_a_sender_of_ones_own_still_works(room: Room) -> None:
    """The twin of the crowds: the attacker's own ordinary work goes on as well."""
    sender = Sender("ashu")
    try:
        assert sender.ask("GET", f"{API}/containers/json").status == 200
    finally:
        sender.close()
