"""A trainer at the API of a disposable host with two classes, and students who are up to something."""

import http.client
import json
import socket
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from tests.integration.people import process_of
from tests.integration.stage import Engine, Hostadmin, make_stage

API: Final = "/run/hostadmin/api.sock"
LOOP: Final = "while :; do echo line; sleep 0.1; done"
KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f planted"


class World:
    """An engine, hostadmin, and a trainer at its API."""

    def __init__(self, engine: Engine, hostadmin: Hostadmin) -> None:
        self.engine = engine
        self.eye = engine.eye
        self.hostadmin = hostadmin

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Call the API as root; bytes go as they are."""
        connection = http.client.HTTPConnection("x", timeout=100)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(API)
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method, f"/api/v1/{path}", data, {"Content-Type": kind} if data is not None else {})
        answer = connection.getresponse()
        raw = answer.read()
        connection.close()
        return answer.status, json.loads(raw) if raw else None

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API, which must do it."""
        status, found = self.call(method, path, body)
        assert status < 300, (method, path, status, found)
        return found

    def plan(self, cohort: str, *logins: str, **cells: str) -> Any:
        """Plan a roster of logins that all have the same cells."""
        rows = [",".join(["login", *cells]), *(",".join([login, *cells.values()]) for login in logins)]
        return self.ok("POST", f"rosters?filename={cohort}.csv", ("\n".join(rows) + "\n").encode())

    def apply(self, cohort: str, *logins: str, **cells: str) -> Any:
        """Apply a roster of logins."""
        return self.ok("POST", f"rosters/{self.plan(cohort, *logins, **cells)['id']}/apply")

    def rows(self, query: str, *values: Any) -> list[Any]:
        """Ask the database."""
        return self.hostadmin.rows(query, *values)

    def state(self, login: str) -> str:
        """Return the state of a living account; empty: there is none."""
        found = self.rows("SELECT state FROM users WHERE login = ? AND removed_at IS NULL", login)
        return str(found[0][0]) if found else ""

    def newest(self, login: str) -> str:
        """Return the state of the newest account of that login, gone or not."""
        return str(self.rows("SELECT state FROM users WHERE login = ? ORDER BY created_at DESC", login)[0][0])

    def labelled(self, login: str) -> set[str]:
        """Return what the engine has that bears the label of any account of that login, by name."""
        ids = {row[0] for row in self.rows("SELECT id FROM users WHERE login = ?", login)}
        found = {c["Names"][0] for c in self.eye.get("/containers/json?all=1") if c["Labels"].get("io.hostadmin.owner") in ids}
        found |= {n["Name"] for n in self.eye.get("/networks") if (n["Labels"] or {}).get("io.hostadmin.owner") in ids}
        return found | {
            v["Name"] for v in self.eye.get("/volumes")["Volumes"] or [] if (v["Labels"] or {}).get("io.hostadmin.owner") in ids
        }


@contextmanager
def make_world() -> Iterator[World]:
    """Put everything up: ``ashu`` and ``dev`` are in the class ``aa``, ``eve`` and ``kim`` in ``bb``."""
    with make_stage() as (engine, hostadmin):
        found = World(engine, hostadmin)
        found.apply("aa", "ashu", "dev")
        found.apply("bb", "eve", "kim")
        yield found


@contextmanager
def make_leaver(world: World, test: str) -> Iterator[str]:
    """Make a student in a class of their own, with a login by the name of a test; removed afterwards if they are still there."""
    login = f"leaver{zlib.crc32(test.encode()) % 10**6}"
    world.apply(login, login)
    yield login
    if world.state(login):
        world.ok("DELETE", f"users/{login}?archive=false")


def typed(login: str, script: str) -> subprocess.CompletedProcess[str]:
    """Let a student type something into a shell."""
    return subprocess.run(**process_of(login, ["bash", "-c", script]), capture_output=True, text=True, check=False, timeout=60)


def left_running(login: str, *argv: str) -> "subprocess.Popen[bytes]":
    """Let a student start something in a session of its own."""
    null = subprocess.DEVNULL
    return subprocess.Popen(**process_of(login, list(argv)), start_new_session=True, stdin=null, stdout=null, stderr=null)
