"""A stand-in for the engine: answers canned, remembers every byte of what it was asked; and a guard in front of it.

For what a real engine of these tests cannot be (another version) and for what must never reach one.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hostadmin.core.values import Actor, Attribution, Kind
from hostadmin.guard.callers import Caller
from hostadmin.guard.connection import Connection
from hostadmin.guard.limits import Limits
from hostadmin.guard.server import Guard
from hostadmin.policy.profiles import load
from hostadmin.store import images, objects, users
from hostadmin.store.database import Database
from hostadmin.store.migrate import upgrade

OWN = "a" * 64
EXEC = "b" * 64
NETWORK = "c" * 64
IMAGE = "sha256:" + "d" * 64
PROFILES = load(Path(__file__).parents[3] / "config" / "profiles.toml", "student")


@dataclass
class Request:
    """One request as the stand-in read it."""

    method: str
    target: str
    head: bytes
    body: bytes = b""

    @property
    def path(self) -> str:
        """The target without version and query."""
        return "/" + self.target.partition("?")[0].split("/", 2)[2] if self.target.startswith("/v1.") else self.target.partition("?")[0]


@dataclass
class StandIn:
    """The engine: ``answers`` maps (method, path) to (status, value); ``raw`` to bytes, whole answers."""

    newest: str = "1.41"
    oldest: str = "1.12"
    answers: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    raw: dict[tuple[str, str], Callable[[Request], bytes]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Know one container, its exec, a network, a volume and an image."""
        container = {
            "Id": OWN,
            "Name": "/own",
            "Image": IMAGE,
            "Mounts": [],
            "HostConfig": {"NetworkMode": "default"},
            "Config": {"Image": "img", "Labels": {}},
            "State": {"Status": "running", "Running": True},
            "NetworkSettings": {"Networks": {}},
        }
        image = {"Id": IMAGE, "RepoTags": ["img:latest"], "Config": {}}
        self.answers = {
            ("GET", "/version"): (200, {"ApiVersion": self.newest, "MinAPIVersion": self.oldest}),
            **{("GET", f"/containers/{ref}/json"): (200, container) for ref in (OWN, "own")},
            ("GET", f"/exec/{EXEC}/json"): (200, {"ID": EXEC, "ContainerID": OWN}),
            **{("GET", f"/networks/{ref}"): (200, {"Id": NETWORK, "Name": "net", "Containers": {}}) for ref in (NETWORK, "net")},
            ("GET", "/volumes/vol"): (200, {"Name": "vol"}),
            ("GET", "/volumes/new"): (404, {"message": "get new: no such volume"}),
            **{("GET", f"/images/{ref}/json"): (200, image) for ref in (IMAGE, "img", "img:latest")},
            ("GET", f"/images/{IMAGE}/history"): (200, []),
            ("GET", "/containers/json"): (200, []),
            ("GET", "/images/json"): (200, [image]),
            ("GET", "/networks"): (200, []),
            ("GET", "/volumes"): (200, {"Volumes": []}),
            **self.answers,
        }

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests until the connection ends."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
                request = Request(method, target, head)
                self.requests.append(request)
                request.body = await self._body(reader, head.lower())
                writer.write(self._answer(request))
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            writer.close()

    @staticmethod
    async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
        if b"transfer-encoding: chunked" in head:
            data = b""
            while size := int(await reader.readline(), 16):
                data += await reader.readexactly(size)
                await reader.readline()
            await reader.readline()
            return data
        length = head.partition(b"content-length: ")[2].split(b"\r\n")[0]
        return await reader.readexactly(int(length or 0))

    def _answer(self, request: Request) -> bytes:
        raw = self.raw.get((request.method, request.path))
        if raw is not None:
            return raw(request)
        status, value = self.answers.get((request.method, request.path), (200, {}))
        body = b"" if request.method == "HEAD" else json.dumps(value).encode()
        head = f"HTTP/1.1 {status} X\r\nApi-Version: {self.newest}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body


class Client:
    """A caller: writes bytes, reads answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def call(self, method: str, target: str, body: bytes = b"", *fields: str) -> tuple[int, Any]:
        """Send one request and return status and message or JSON of its answer."""
        lines = [f"{method} {target} HTTP/1.1", "Host: x", *fields]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        return await self.answer(method)

    async def answer(self, method: str = "GET") -> tuple[int, Any]:
        """Read one answer."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 20)
        status = int(head.split(b" ")[1])
        data = b""
        if method != "HEAD" and status not in (101, 204, 304):
            data = await StandIn._body(self.reader, head.lower())
        return status, json.loads(data) if data[:1] in (b"{", b"[") else data

    async def ended(self) -> bool:
        """Tell whether the guard has closed the connection."""
        return await asyncio.wait_for(self.reader.read(1), 20) == b""


@asynccontextmanager
async def guarded(database: Database, engine: StandIn, *, admin: bool = False) -> AsyncIterator[Callable[[], Any]]:
    """Put a guard in front of a stand-in; yields a function that makes a new connection of a student's (or of root's)."""
    base = Path(database.path).parent
    student = database.write(
        lambda tx: users.find_login(tx, "student") or users.observe(tx, login="student", uid=12345, gid=12345, profile="student")
    )

    def own(tx: Any) -> None:
        for kind, ref, name in ((Kind.CONTAINER, OWN, "own"), (Kind.NETWORK, NETWORK, "net"), (Kind.VOLUME, "vol", "vol")):
            objects.put(tx, kind, ref, name=name, owner_id=student.id, attribution=Attribution.GUARD)
        images.put_tag(tx, "docker.io/library/img:latest", IMAGE, student.id)

    database.write(own)
    socket = str(base / "engine.sock")
    guard = Guard(database, PROFILES, engine_socket=socket, group="docker", limits=Limits(), cgroup_parent="")
    user = None if admin else student
    caller = Caller(Actor(type="unix", via="docker-socket", uid=os.getuid()), user, None if admin else PROFILES.get("student"))

    async def admit(*_: Any) -> Caller:
        return caller

    guard.callers.admit = admit  # type: ignore[method-assign]
    guard.callers.still_admitted = lambda _: True  # type: ignore[method-assign]
    loop = asyncio.get_running_loop()
    real = await asyncio.start_unix_server(engine.serve, socket)
    front = await loop.create_unix_server(lambda: Connection(guard), path := str(base / "guard.sock"))

    async def connect() -> Client:
        return Client(*await asyncio.open_unix_connection(path))

    try:
        yield connect
    finally:
        for connection in list(guard.connections):
            connection.abort()
        front.close()
        real.close()
        await asyncio.sleep(0)


def shared_database(folder: Path) -> Iterator[Database]:
    """Make one database for the tests of a module: what these tests look at is not in it."""
    database = Database(f"sqlite:///{folder}/h.db")
    upgrade(database)
    yield database
    database.close()
