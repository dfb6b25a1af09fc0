"""The guard's own code from a head's first byte to the request it writes, with a scripted engine behind it.

Parsing, the table, schemas, admission and the rules are the real ones, on a real ledger; what is left out is sockets,
identity and the waiting for the disk. A request is judged in a fraction of a millisecond, and what the guard *would*
have sent to the engine is at hand.
"""

import json
import re
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import parse_qs, unquote

from hostadmin.core.errors import HostadminError
from hostadmin.core.values import Actor, Attribution, Kind
from hostadmin.guard.callers import Caller
from hostadmin.guard.channel import Gone
from hostadmin.guard.exchange import Exchange
from hostadmin.guard.framing import ResponseHead, parse_request_head
from hostadmin.guard.limits import Limits
from hostadmin.guard.query import Parameters
from hostadmin.guard.refusal import Refusal
from hostadmin.guard.routes import REFUSING, match
from hostadmin.guard.rules import apply
from hostadmin.guard.server import Guard
from hostadmin.guard.target import parse_target
from hostadmin.guard.upstream import Response
from hostadmin.policy import profiles
from hostadmin.store import images, objects, users
from hostadmin.store.database import Database
from hostadmin.store.migrate import data_dir, upgrade
from tests.fuzz.chunks import Chunks
from tests.fuzz.generator import Refs

SECRET: Final = "S3cr3tOfV1ct0r"
PARENT: Final = "/fuzz/u4001"
WHOSE: Final = ("own", "victim", "host")
JSON_LIMIT: Final = 1 << 20


@dataclass
class Forwarded:
    """One request that the engine would have got."""

    method: str
    target: str
    body: bytes
    fields: tuple[tuple[str, str], ...] = ()

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body) if self.body.strip() else None


@dataclass
class Verdict:
    """What became of some bytes: requests for the engine, answers for the caller, and whether the guard failed."""

    forwarded: list[Forwarded] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    answer: bytes = b""
    failure: str = ""

    @property
    def changes(self) -> list[Forwarded]:
        """What would have changed something."""
        return [f for f in self.forwarded if f.method not in ("GET", "HEAD")]


class _Body:
    """A body that has come as a whole, or too short."""

    def __init__(self, data: bytes, *, whole: bool, error: str = "") -> None:
        self._data, self._whole, self._error = data, whole, error
        self.done, self.count = whole and not data, 0

    async def read(self) -> bytes:
        """Return what there is; then the end."""
        if self.done:
            return b""
        if self._error:
            raise ValueError(self._error)
        if not self._data and not self._whole:
            raise Gone("ended in the middle of a body")
        data, self._data = self._data, b""
        self.count += len(data)
        self.done = self._whole
        return data

    async def read_all(self, limit: int) -> bytes:
        """Return the whole body."""
        if len(self._data) > limit:
            raise ValueError("too large")
        parts = b""
        while data := await self.read():
            parts += data
        return parts


class _Client:
    """The caller's end: keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.eof = self.lost = False
        self.on_eof: Any = None

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.written += data

    async def drain(self) -> None:
        """Nothing waits."""

    async def until_ended(self) -> None:
        """It has ended."""

    def abort(self) -> None:
        """Nothing to end."""


class Scripted:
    """An engine that knows a few objects, answers plausibly, and writes down what it is asked."""

    def __init__(self, refs: Refs) -> None:
        self.refs = refs
        self.asked: list[Forwarded] = []
        self.created: dict[str, Any] = {}

    async def request(
        self,
        method: str,
        target: str,
        *,
        body: bytes | None = None,
        raw: bytes = b"",
        stream: AsyncIterator[bytes] | None = None,
        fields: Any = (),
    ) -> Response:
        """Write the request down and answer it."""
        data = body or raw
        if stream is not None:
            data = await _whole(stream)
        asked = Forwarded(method, target, data, tuple(fields))
        self.asked.append(asked)
        status, value = self._answer(asked)
        answer = b"" if value is None else json.dumps(value).encode()
        head = ResponseHead(status, (("content-type", "application/json"),), len(answer), chunked=False, keep_alive=True)
        return Response(head, _Body(answer, whole=True))

    def beside(self) -> "Scripted":
        """Serve as the other connection, too."""
        return self

    def within(self, seconds: float | None) -> nullcontext[None]:
        """Be in time always."""
        return nullcontext()

    def close(self) -> None:
        """Nothing to close."""

    def _answer(self, asked: Forwarded) -> tuple[int, Any]:
        path, _, query = asked.target.partition("?")
        words = [unquote(w) for w in re.sub(r"^/v1\.\d+", "", path)[1:].split("/")]
        if asked.method in ("GET", "HEAD"):
            return self._look(words)
        if words[-1] == "create" and words[0] != "images":
            return self._create(words[0], asked, query)
        if words[-1] == "exec" or words[0] == "commit":
            return 201, {"Id": "e" * 64 if words[0] == "containers" else "sha256:" + "5" * 64}
        if words[-1] in ("attach", "start") and words[0] in ("containers", "exec"):
            return (409, {"message": "not now"}) if words[-1] == "attach" or words[0] == "exec" else (204, None)
        if words[-1] == "tag":
            return 201, None
        return (200, []) if words[0] == "images" else (200, {"ID": "x", "StatusCode": 0}) if words[0] != "volumes" else (204, None)

    def _create(self, kind: str, asked: Forwarded, query: str) -> tuple[int, Any]:
        body = json.loads(asked.body)
        if kind == "volumes":
            return 201, {
                "Name": body.get("Name") or "7" * 64,
                "Driver": "local",
                "Options": None,
                "Mountpoint": "/x",
                "Labels": body.get("Labels"),
                "Scope": "local",
            }
        if kind == "containers":
            name = parse_qs(query).get("name", ["made"])[0]
            found = self.find("IMG", body.get("Image", ""))
            self.created = self._box("c" * 64, name, "own") | {
                "Config": body,
                "HostConfig": body.get("HostConfig", {}),
                "Image": found[1] if found else "",
            }
        return 201, {"Id": "c" * 64, "Warnings": []}

    def find(self, kind: str, ref: str) -> tuple[str, str, str] | None:
        """Return name, id and whose it is of an object that there is."""
        bare = ref.removeprefix("/").removeprefix("sha256:")
        for whose in WHOSE:
            for name, full in zip(self.refs[whose][kind], self.refs[whose].get(f"{kind}ID") or self.refs[whose][kind], strict=True):
                if bare in (name, name.removesuffix(":latest"), f"{name}:latest") or (
                    len(bare) > 0 and full.removeprefix("sha256:").startswith(bare)
                ):
                    return name, full, whose
        return None

    def _look(self, words: list[str]) -> tuple[int, Any]:
        kind = {"containers": "BOX", "networks": "NET", "volumes": "VOL", "images": "IMG", "exec": "EXEC"}.get(words[0])
        if kind is None:
            return 200, {"ApiVersion": "1.51", "MinAPIVersion": "1.24", "Components": []}
        if words in (["containers", "json"], ["images", "json"]) or len(words) == 1:
            return 200, self._list(kind)
        if words[:2] == ["containers", "c" * 64]:
            return (200, self.created) if self.created else (404, {"message": "gone"})
        found = self.find(kind, "/".join(words[1:-1]) if words[0] in ("containers", "images", "exec") else words[1])
        if found is None:
            return 404, {"message": f"no such thing: {words[1]}"}
        if words[-1] in ("history", "changes", "top", "stats"):
            return 200, []
        return 200, self._item(kind, *found)

    def _list(self, kind: str) -> Any:
        items = [
            self._item(kind, name, full, whose)
            for whose in WHOSE
            for name, full in zip(self.refs[whose][kind], self.refs[whose].get(f"{kind}ID") or self.refs[whose][kind], strict=True)
        ]
        if kind == "BOX":
            for item in items:
                item.update(
                    {
                        "Names": [item["Name"]],
                        "State": "running",
                        "ImageID": item["Image"],
                        "Created": 1,
                        "HostConfig": {"NetworkMode": "default"},
                        "Labels": {"note": item["Config"]["Env"]},
                    }
                )
        return {"Volumes": items, "Warnings": None} if kind == "VOL" else items

    def _item(self, kind: str, name: str, full: str, whose: str) -> dict[str, Any]:
        labels = {"note": SECRET} if whose == "victim" or kind == "VOL" and whose == "host" else {}
        if kind == "BOX":
            return self._box(full, name, whose)
        if kind == "NET":
            others = {self.refs["victim"]["BOXID"][0]: {"Name": self.refs["victim"]["BOX"][0]}}
            return {
                "Id": full,
                "Name": name,
                "Driver": "bridge",
                "Scope": "local",
                "Labels": labels,
                "Containers": others,
                "Options": {},
                "IPAM": {"Config": []},
            }
        if kind == "VOL":
            return {"Name": name, "Driver": "local", "Options": None, "Labels": labels, "Mountpoint": "/x", "Scope": "local"}
        if kind == "EXEC":
            return {
                "ID": full,
                "ContainerID": self.refs[whose]["BOXID"][0],
                "Running": False,
                "ProcessConfig": {"arguments": [SECRET] if whose != "own" else []},
            }
        tags = [
            n if ":" in n else f"{n}:latest" for n, i in zip(self.refs[whose]["IMG"], self.refs[whose]["IMGID"], strict=True) if i == full
        ]
        return {
            "Id": full,
            "RepoTags": tags,
            "RepoDigests": [],
            "Config": {"Env": [SECRET] if whose == "victim" else [], "Labels": None},
            "Containers": 0,
            "Size": 1,
            "Labels": None,
            "Created": 1,
        }

    def _box(self, full: str, name: str, whose: str) -> dict[str, Any]:
        return {
            "Id": full, "Name": f"/{name}", "Image": self.refs["own"]["IMGID"][0], "State": {"Running": True, "Pid": 1, "Status": "running"}, "Mounts": [],
            "Config": {"Image": "alpine", "Env": [SECRET] if whose != "own" else [], "Labels": {}}, "NetworkSettings": {"Networks": {}}, "ExecIDs": [],
            "HostConfig": {"NetworkMode": "default", "RestartPolicy": {"Name": "no"}, "Binds": ["/etc:/e"] if whose == "host" else None},
        }  # fmt: skip


async def _whole(stream: AsyncIterator[bytes]) -> bytes:
    """Return an upload; one that is refused on its way is a cut for the engine."""
    try:
        return b"".join([bytes(part) async for part in stream])
    except Exception as error:
        raise Gone("the engine closed the connection") from error


def _id(letter: str) -> str:
    return (letter * 8 + "0123456789abcdef") * 2 + letter * 16


REFS: Final[Refs] = {
    "own": {"BOX": ["ownbox", "ownstill"], "BOXID": [_id("a"), _id("b")], "NET": ["ownnet"], "NETID": [_id("1")], "VOL": ["ownvol"], "IMG": ["ownimg:1", "alpine"], "IMGID": ["sha256:" + _id("2"), "sha256:" + _id("3")], "EXEC": [_id("4")]},
    "victim": {"BOX": ["v7k3q-box"], "BOXID": [_id("d")], "NET": ["v7k3q-net"], "NETID": [_id("5")], "VOL": ["v7k3q-vol"], "IMG": ["v7k3q-img:1"], "IMGID": ["sha256:" + _id("6")], "EXEC": [_id("7")]},
    "host": {"BOX": ["hostbox"], "BOXID": [_id("e")], "NET": ["bridge", "host", "none"], "NETID": [_id("8"), _id("9"), _id("0")], "VOL": ["hostvol"], "IMG": ["mysql:latest"], "IMGID": ["sha256:" + _id("f")], "EXEC": []},
}  # fmt: skip


class Pipeline:
    """The guard without its sockets, for one caller. Build it and use it inside one event loop."""

    def __init__(self, place: Path) -> None:
        self.database = Database(f"sqlite:///{place}/fuzz.db")
        upgrade(self.database)
        known = profiles.load(data_dir("config") / "profiles.toml", "student")
        self.guard = Guard(self.database, known, engine_socket="/nowhere", group="docker", limits=Limits(), cgroup_parent="/fuzz")
        self.guard.learn_versions({"ApiVersion": "1.51", "MinAPIVersion": "1.24"})
        self.guard.journal = _Journal()  # type: ignore[assignment]
        self.guard.callers = SimpleNamespace(still_admitted=lambda _: True)  # type: ignore[assignment]
        self.guard.parents = SimpleNamespace(ensure=_always(PARENT))  # type: ignore[assignment]
        beat = SimpleNamespace(status=200, fields=(), data=b"OK")
        self.guard.pulse = SimpleNamespace(feel=_always(beat))  # type: ignore[assignment]
        own = self.database.write(lambda tx: users.observe(tx, login="mallory", uid=4001, gid=4001, profile="student"))
        other = self.database.write(lambda tx: users.observe(tx, login="victor", uid=4002, gid=4002, profile="student"))
        self.database.write(lambda tx: _fill(tx, {"own": own.id, "victim": other.id}))
        self.owner = own.id
        self.caller = Caller(Actor(type="unix", via="fuzz", account=own.id, login="mallory", uid=4001), own, known.get("student"))

    def close(self) -> None:
        """Close the ledger."""
        self.database.close()

    async def judge(self, data: bytes, refs: Refs = REFS) -> Verdict:
        """Return what becomes of the bytes of a connection that ends after them."""
        verdict = Verdict()
        for _ in range(4):
            raw, end, data = data.partition(b"\r\n\r\n")
            if not end:
                break
            more, data = await self._one(raw + end, data, Scripted(refs), verdict)
            if not more:
                break
        return verdict

    async def _one(self, raw: bytes, data: bytes, engine: Scripted, verdict: Verdict) -> tuple[bool, bytes]:
        client = _Client()
        exchange = None
        try:
            head = parse_request_head(raw)
            segments, version, pairs = parse_target(head.target)
            route, params = match(head.method, segments)
            version = await self.guard.settle_version(version, engine)  # type: ignore[arg-type]
            route.check_version(version)
            query = Parameters(pairs, None if route.rule in REFUSING else route.parameters, version)
            exchange = Exchange(self.guard, client, engine, head, route, params, version, query, self.caller)  # type: ignore[arg-type]
            exchange.body, data = _cut(data, head.length)  # type: ignore[assignment]
            await apply(exchange)
        except Refusal as refusal:
            verdict.refusals.append(refusal)
        except (Gone, HostadminError):
            pass
        except Exception as error:  # what the guard answers with 500
            verdict.failure = f"{type(error).__name__}: {error}"
        verdict.forwarded += engine.asked
        verdict.answer += client.written
        if exchange is None:
            return False, data
        closing = verdict.refusals[-1].close if verdict.refusals else False
        return exchange.keep and exchange.body.done and not closing, data


class _Journal:
    """Takes records and says at once that they are durable."""

    def submit_intent(self, entry: Any, **_: Any) -> "Future[Any]":
        """Say that the intent is durable."""
        return _done(SimpleNamespace(entry=entry, seq=1))

    def submit_outcome(self, *_: Any, **__: Any) -> "Future[Any]":
        """Say that the outcome is durable."""
        return _done(None)

    submit_event = submit_outcome


def _done(value: Any) -> "Future[Any]":
    future: Future[Any] = Future()
    future.set_result(value)
    return future


def _always(value: Any) -> Any:
    async def answer(*_: Any) -> Any:
        return value

    return answer


def _fill(tx: Any, owners: dict[str, str]) -> None:
    for whose, owner in owners.items():
        for kind, key, names in ((Kind.CONTAINER, "BOXID", "BOX"), (Kind.NETWORK, "NETID", "NET"), (Kind.VOLUME, "VOL", "VOL")):
            for ref, name in zip(REFS[whose][key], REFS[whose][names], strict=True):
                objects.put(tx, kind, ref, name=name, owner_id=owner, attribution=Attribution.GUARD)
        tag, image = REFS[whose]["IMG"][0], REFS[whose]["IMGID"][0]
        images.put_tag(tx, f"docker.io/library/{tag}", image, owner)
        images.hold(tx, image, owner, "tag")


def _cut(data: bytes, length: int | None) -> tuple[_Body, bytes]:
    """Take a body off what the client sends after its head."""
    if length is not None:
        return _Body(data[:length], whole=len(data) >= length), data[length:]
    chunks = Chunks()
    try:
        body = chunks.decode(data)
    except ValueError as error:
        return _Body(b"", whole=False, error=str(error)), b""
    return _Body(body, whole=chunks.done), chunks.rest if chunks.done else b""
