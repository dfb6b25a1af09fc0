"""The real engine goes away, comes back, is killed under load and hangs: nobody waits for nothing, and the ledger stays right."""

import http.client
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.answers import ask
from tests.integration.ledger import judge_agreement
from tests.integration.people import _SPEAK, SYSTEM_PYTHON, Student, process_of
from tests.integration.stage import GUARD_SOCKET, Engine, Eye, Hostadmin, _UnixConnection, make_stage, until
from tests.integration.test_faults import at_work, clear

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
CLASS = ("ashu", "dev", "roni")
ME = Student("dev")


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[Engine, Hostadmin]]:
    """An engine, hostadmin, and three students with access."""
    with make_stage() as (engine, hostadmin):
        for login in CLASS:
            assert hostadmin.run("user", "add", login, "--docker").returncode == 0
        yield engine, hostadmin


@contextmanager
def stopped(engine: Engine) -> Iterator[None]:
    """Let the engine hang: it accepts connections, and says nothing."""
    assert engine._process is not None
    os.kill(engine._process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(engine._process.pid, signal.SIGCONT)


def kill(engine: Engine) -> None:
    assert engine._process is not None
    engine._process.kill()
    engine._process.wait(30)
    Path("/run/docker/containerd/containerd.pid").unlink(missing_ok=True)  # a zombie here, where nobody reaps: it looks alive


def test_a_kept_connection_survives_a_restart(stage: tuple[Engine, Hostadmin]) -> None:
    """The same connection of a caller: 503 at once while the engine is down, and served when it is back."""
    engine, hostadmin = stage
    connection = _UnixConnection(GUARD_SOCKET)

    def status(method: str = "GET", target: str = "/v1.41/containers/json") -> int:
        connection.request(method, target)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    assert status() == 200
    engine.stop()
    begun = time.monotonic()
    assert status() == 503
    assert status("POST", "/v1.41/networks/create") in (400, 503)
    code, _, value = ask(ME, "POST", "/v1.41/volumes/create", {"Name": "devnever"})
    assert code == 503
    assert value["message"].startswith("hostadmin: the Docker Engine does not answer now")
    assert time.monotonic() - begun < 25
    engine.start()
    assert status() == 200
    connection.close()
    until("no intent is open", lambda: not hostadmin.rows("select * from audit_open"))
    assert "devnever" not in engine.eye.volumes()
    assert ME.ok("volume", "ls", "-q") == ""


def test_the_guard_starts_before_the_engine(stage: tuple[Engine, Hostadmin]) -> None:
    """It answers 503 until there is one, and serves then without being started again."""
    engine, hostadmin = stage
    hostadmin.stop()
    engine.stop()
    with hostadmin.log.open("ab") as log:
        argv = [hostadmin.command, "--config", str(hostadmin.config), "serve"]
        hostadmin.process = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)

    def ping() -> int:
        try:
            return Eye(GUARD_SOCKET).call("GET", "/_ping")[0]
        except (OSError, http.client.HTTPException):
            return 0

    until("the guard says that there is no engine", lambda: ping() == 503)
    guard = hostadmin.part("guard")
    engine.start()
    hostadmin.wait()
    assert ME.ok("ps", "-q") == ""
    assert hostadmin.part("guard") == guard


def test_killed_under_load(stage: tuple[Engine, Hostadmin]) -> None:
    """kill -9 of the engine while three students work: what it made is theirs, and every record has its verdict."""
    engine, hostadmin = stage
    with at_work([Student(login) for login in CLASS]) as rounds:
        for _ in range(2):
            before = len(hostadmin.rows("select seq from audit_records"))
            until("there is work", lambda n=before: len(hostadmin.rows("select seq from audit_records")) > n + 20)
            kill(engine)
            engine.start()
    hostadmin.wait()
    assert len(rounds) == len(CLASS)
    judge_agreement(engine, hostadmin)
    clear(engine, hostadmin)


def test_an_engine_that_hangs(stage: tuple[Engine, Hostadmin]) -> None:
    """Whoever does not need it is served; a ping ends in time; what waits is carried out when it goes on."""
    engine, hostadmin = stage
    ME.ok("run", "-d", "--name", "devwait", "alpine", "sleep", "1000")
    found: dict[str, tuple[int, bytes, object]] = {}

    def request(name: str, method: str, target: str, body: object = None) -> threading.Thread:
        thread = threading.Thread(target=lambda: found.update({name: ask(ME, method, target, body)}))
        thread.start()
        return thread

    with stopped(engine):
        waiting = [
            request("list", "GET", "/v1.41/containers/json"),
            request("create", "POST", "/v1.41/volumes/create", {"Name": "devlater"}),
            *(request(f"ping{n}", "GET", "/_ping") for n in range(3)),
        ]
        assert ask(ME, "GET", "/v1.41/plugins")[0] == 200, "what needs no engine is answered"
        assert ask(ME, "POST", "/v1.41/swarm/init", {})[0] == 503
        until("the pings have ended", lambda: {f"ping{n}" for n in range(3)} <= set(found), 25)
        assert {found[f"ping{n}"][0] for n in range(3)} == {504}
        assert "list" not in found, "what is asked of the engine waits for the engine"
    for thread in waiting:
        thread.join(60)
    assert found["list"][0] == 200
    assert found["create"][0] == 201
    assert ME.ok("volume", "ls", "-q") == "devlater"
    ME.ok("rm", "-f", "devwait")
    ME.ok("volume", "rm", "devlater")
    judge_agreement(engine, hostadmin)


def test_who_gives_up_while_it_hangs(stage: tuple[Engine, Hostadmin]) -> None:
    """A caller who goes away in the middle of a change: the record ends with a verdict, asked of the engine when it is back."""
    engine, hostadmin = stage
    full = ME.ok("run", "-d", "--name", "devkilled", "alpine", "sleep", "1000")
    with stopped(engine):
        call = process_of("dev", [SYSTEM_PYTHON, "-I", "-c", _SPEAK, GUARD_SOCKET])
        killing = subprocess.Popen(**call, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert killing.stdin is not None
        killing.stdin.write(f"POST /v1.41/containers/{full}/kill HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        killing.stdin.close()
        until("the intent is recorded", lambda: hostadmin.rows("select * from audit_open"))
        killing.kill()
        killing.wait(60)
        lost = "select status from audit_records where action = 'container.kill' and stage = 'outcome' and object_id = ?"
        until("its outcome is unknown", lambda: hostadmin.rows(lost, full) == [("unknown",)])
        assert hostadmin.rows("select * from audit_open"), "and still to be found out"
    verdict = "select status from audit_records where action = 'container.kill' and stage = 'recovered' and object_id = ?"
    until("there is a verdict", lambda: hostadmin.rows(verdict, full))
    judge_agreement(engine, hostadmin)
    ME.docker("rm", "-f", "devkilled")
