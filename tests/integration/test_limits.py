"""One person's crowd, and what never ends its head, is not felt by the next one or by the administrator."""

import json
import os
import pwd
import resource
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from tests.integration.people import SYSTEM_PYTHON, Student, process_of
from tests.integration.stage import GUARD_SOCKET, Engine, Hostadmin, make_stage, until

pytestmark = [pytest.mark.host, pytest.mark.timeout(120)]
PER_USER = 1024  # config/hostadmin.toml
CROWD = """
import json, resource, socket, sys, time
path, count, head = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode().decode("unicode_escape").encode()
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
open_, answers, broken = [], {}, 0
for _ in range(count):
    s = socket.socket(socket.AF_UNIX)
    try:
        s.connect(path)
        if head: s.sendall(head)
    except OSError:
        broken += 1
    open_.append(s)
print("open", flush=True)
for s in open_:
    s.setblocking(False)
silent, last = open_, time.monotonic()
while silent and time.monotonic() < last + 3:
    still = []
    for s in silent:
        try:
            first = s.recv(65536).split(b"\\r\\n", 1)[0].decode() or "closed"
        except BlockingIOError:
            still.append(s)
            continue
        except OSError:
            first = "broken"
        answers[first] = answers.get(first, 0) + 1
        last = time.monotonic()
    silent = still
    time.sleep(0.1)
if silent: answers["waits"] = len(silent)
print(json.dumps(answers), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[Engine, Hostadmin]]:
    """Two students with a container each."""
    with make_stage() as (engine, hostadmin):
        for login in ("ashu", "dev"):
            assert hostadmin.run("user", "add", login, "--docker").returncode == 0
            Student(login).ok("run", "-d", "--name", f"{login}c1", "alpine", "sleep", "1000")
        yield engine, hostadmin


def crowd(login: str, count: int, head: str = "") -> subprocess.Popen[bytes]:
    """Let a student open so many connections at once and keep them; wait until they stand."""
    call = process_of(login, [SYSTEM_PYTHON, "-I", "-c", CROWD, GUARD_SOCKET, str(count), head])
    process = subprocess.Popen(**call, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"open\n"
    return process


def answers(process: subprocess.Popen[bytes]) -> dict[str, int]:
    """Return how the crowd was answered: first line to count."""
    assert process.stdout is not None
    found: dict[str, int] = json.loads(process.stdout.readline())
    return found


def end(process: subprocess.Popen[bytes]) -> None:
    """Let a crowd go."""
    process.communicate(b"", timeout=30)


def descriptors(hostadmin: Hostadmin) -> int:
    """Return how many files the guard has open."""
    return len(os.listdir(f"/proc/{hostadmin.part('guard')}/fd"))


def test_ten_thousand_connections_of_one_are_not_felt_by_the_next(stage: tuple[Engine, Hostadmin]) -> None:
    """What is above the number is told so; the other student and root work on; afterwards everything is as before."""
    _, hostadmin = stage
    dev = Student("dev")
    before = descriptors(hostadmin)
    many = min(10_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 100)
    process = crowd("ashu", many)
    try:
        found = answers(process)
        assert found["waits"] == PER_USER, found
        assert found["HTTP/1.1 429 Refused"] == many - PER_USER, found
        assert dev.ok("ps", "--format", "{{.Names}}") == "devc1"
        assert "ashuc1" in hostadmin.guard.containers().values(), "root is not counted"
        said = f"you have {PER_USER} connections open"  # once what was turned away has ended
        until("ashu reads why", lambda: said in Student("ashu").docker("ps").stderr)
    finally:
        end(process)
    until("ashu may come again", lambda: Student("ashu").docker("ps").returncode == 0)
    until("nothing has leaked", lambda: descriptors(hostadmin) <= before + 8)


def test_a_crowd_of_requests_takes_turns(stage: tuple[Engine, Hostadmin]) -> None:
    """A thousand requests at once are all served, and somebody else's come in between."""
    process = crowd("ashu", 800, r"GET /v1.41/containers/json?all=1 HTTP/1.1\r\nHost: d\r\n\r\n")
    try:
        assert Student("dev").ok("ps", "--format", "{{.Names}}") == "devc1"
        found = answers(process)
        assert found.get("HTTP/1.1 200 OK", 0) + found.get("waits", 0) == 800, found
    finally:
        end(process)


@pytest.mark.parametrize("path", ["logs?follow=1&stdout=1", "stats?stream=1", "attach?stream=1&stdout=1"])
def test_open_streams_do_not_use_up_the_turns(stage: tuple[Engine, Hostadmin], path: str) -> None:
    """A hundred streams of one person leave that person's other requests their turns."""
    method = "POST" if path.startswith("attach") else "GET"
    process = crowd("ashu", 100, rf"{method} /v1.41/containers/ashuc1/{path} HTTP/1.1\r\nHost: d\r\n\r\n")
    try:
        assert Student("ashu").ok("ps", "--format", "{{.Names}}") == "ashuc1"
    finally:
        end(process)


def as_ashu(work: Callable[[], int]) -> int:
    """Do something in a child with ashu's uid; return its exit code."""
    account = pwd.getpwnam("ashu")
    pid = os.fork()
    if pid == 0:
        code = 99
        with suppress(Exception):
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
            code = work()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_head_that_does_not_end_is_ended(stage: tuple[Engine, Hostadmin]) -> None:
    """Ten seconds from its first byte, however busily it dribbles; an idle connection may wait longer."""
    assert as_ashu(_dribble) == 0


def test_who_is_refused_while_still_sending_can_read_why(stage: tuple[Engine, Hostadmin]) -> None:
    """The answer is there before the body: what is sent after it breaks no pipe."""
    assert as_ashu(_send_on) == 0


def _send_on() -> int:
    """Send a body after its refusal; return 0 if that went through, the refusal could be read, and the end came."""
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(GUARD_SOCKET)
    sock.sendall(b"POST /v1.41/swarm/init HTTP/1.1\r\nHost: d\r\nContent-Length: 400000\r\n\r\n")
    time.sleep(0.3)
    for _ in range(4):
        sock.sendall(b"x" * 100_000)
    answer = b"".join(iter(lambda: sock.recv(65536), b""))
    return 0 if answer.startswith(b"HTTP/1.1 503") and b"swarm manager" in answer else 1


def _dribble() -> int:
    """Send a head byte by byte; return 0 if it was cut after about ten seconds and an idle one was not."""
    slow, idle = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    for sock in (slow, idle):
        sock.connect(GUARD_SOCKET)
    begun = time.monotonic()
    slow.sendall(b"GET /_ping HTTP/1.1\r\n")
    with suppress(OSError):
        while time.monotonic() < begun + 20:
            slow.sendall(b"X")
            time.sleep(0.1)
    passed = time.monotonic() - begun
    idle.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
    return 0 if 9 < passed < 19 and idle.recv(100).startswith(b"HTTP/1.1 200") else 1
