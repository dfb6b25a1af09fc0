"""Events: all of one's own, live and replayed, and nothing of anybody else's, whatever labels and names say."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.answers import ask
from tests.integration.classimages import root_filesystem
from tests.integration.people import Student, command_lines
from tests.integration.stage import ENGINE_SOCKET, Engine, Hostadmin, make_stage, until

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
API = "/v1.41"
Event = dict[str, Any]


@dataclass(frozen=True)
class Room:
    """``ashu`` watches; ``dev`` and the host are busy too."""

    engine: Engine
    hostadmin: Hostadmin
    ashu: Student
    dev: Student
    host: Student


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    """Two students."""
    with make_stage() as (engine, hostadmin):
        for login in ("ashu", "dev"):
            assert hostadmin.run("user", "add", login, "--docker").returncode == 0
        yield Room(engine, hostadmin, Student("ashu"), Student("dev"), Student("root"))


def replay(student: Student, since: float, filters: dict[str, list[str]] | None = None) -> list[Event]:
    """Return the events since then."""
    text = quote(json.dumps(filters or {}))
    status, _, value = ask(student, "GET", f"{API}/events?since={since:.6f}&until={time.time():.6f}&filters={text}")
    assert status == 200, value
    raw = value if isinstance(value, bytes) else json.dumps(value).encode() if value else b""
    return [json.loads(line) for line in _unchunked(raw).split(b"\n") if line.strip()]


def _unchunked(raw: bytes) -> bytes:
    out = b""
    while raw:
        size, mark, raw = raw.partition(b"\r\n")
        if not mark:
            return size
        count = int(size, 16)
        out, raw = out + raw[:count], raw[count + 2 :]
    return out


def everything(engine: Engine, since: float) -> list[Event]:
    """Return what the engine itself says happened since then."""
    _, raw = engine.eye.call("GET", f"{API}/events?since={since:.6f}&until={time.time():.6f}")
    text = raw if isinstance(raw, bytes) else json.dumps(raw).encode() if raw else b""
    return [json.loads(line) for line in text.split(b"\n") if line.strip()]


def work(student: Student) -> None:
    """Do a bit of everything with one's own things."""
    me = student.login
    student.ok("network", "create", f"{me}net")
    student.ok("volume", "create", f"{me}data")
    student.ok("run", "-d", "--name", f"{me}c1", "--network", f"{me}net", "-v", f"{me}data:/d", "-v", "/unnamed", "alpine", "sleep", "9999")
    student.ok("exec", f"{me}c1", "echo", f"{me}secretword")
    student.ok("rename", f"{me}c1", f"{me}c2")
    student.ok("network", "connect", "bridge", f"{me}c2")
    student.ok("build", "-t", f"{me}img:v1", "-", stdin=f"FROM alpine\nRUN echo {me} >/who\n")
    student.ok("tag", f"{me}img:v1", f"{me}img:v2")
    student.ok("rm", "-f", "-v", f"{me}c2")
    student.ok("volume", "rm", f"{me}data")
    student.ok("network", "rm", f"{me}net")
    student.ok("rmi", f"{me}img:v2", f"{me}img:v1")


def brief(events: list[Event]) -> list[tuple[str, str, str]]:
    """Return type, action and id of events."""
    return [(e["Type"], e["Action"], e["Actor"]["ID"]) for e in events]


def times(events: list[Event]) -> list[int]:
    """Return what tells two events of the same kind apart."""
    return [e["timeNano"] for e in events]


class Watch:
    """A ``docker events`` that runs while others are busy."""

    def __init__(self, room: Room, student: Student, *argv: str) -> None:
        """Start it, and wait until the engine has one listener more than those of guard and service."""
        self._listeners = lambda: room.engine.eye.get(f"{API}/info")["NEventsListener"]
        self._events: list[Event] = []
        self._process = student.start("events", "--format", "{{json .}}", *argv)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        until("the stream stands", lambda: self._listeners() >= 2)

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._events.extend(json.loads(line) for line in self._process.stdout if line.strip())

    def stop(self, last: Callable[[list[Event]], bool]) -> list[Event]:
        """Wait until what it prints has come to its last event, end it, and return what it printed."""
        until("the last event", lambda: last(list(self._events)))
        time.sleep(0.2)  # for what should not come
        self._process.terminate()
        self._reader.join()
        self._process.wait()
        until("the stream has gone", lambda: self._listeners() < 2)
        return self._events


def test_live_and_replayed_events_are_all_of_ones_own_and_none_of_others(room: Room) -> None:
    begun = time.time()
    watch = Watch(room, room.ashu)
    for student in (room.dev, room.ashu, room.host):
        work(student)
    all_ = until(
        "the last event of the host",
        lambda: [e for e in everything(room.engine, begun) if e["Action"] == "delete"] and everything(room.engine, begun),
    )
    live = watch.stop(lambda events: [e["Action"] for e in events[-1:]] == ["delete"])
    ids = {e["Actor"]["ID"] for e in all_ if e["Actor"]["Attributes"].get("name", "").startswith("ashu")} | {"ashudata"}
    containers = {e["Actor"]["ID"] for e in all_ if e["Type"] == "container" and e["Actor"]["ID"] in ids}
    ids |= {e["Actor"]["ID"] for e in all_ if e["Type"] == "volume" and e["Actor"]["Attributes"].get("container") in containers}
    # the anonymous volume; on the engine's network one's own container only; a build's steps are nobody's containers
    expected = [e for e in all_ if e["Actor"]["ID"] in ids or e["Actor"]["Attributes"].get("container") in containers]
    assert brief(live) == brief(expected)
    assert {e["Type"] for e in live} == {"container", "network", "volume", "image"}
    actions = {(e["Type"], e["Action"].partition(":")[0]) for e in live}
    assert actions >= {
        *(("container", a) for a in ("create", "start", "exec_create", "exec_start", "rename", "die", "destroy")),
        *(("network", a) for a in ("create", "connect", "disconnect", "destroy")),
        *(("volume", a) for a in ("create", "mount", "unmount", "destroy")),
        *(("image", a) for a in ("tag", "untag", "delete")),
    }
    seen = json.dumps(live)
    assert "ashusecretword" in seen
    assert "devsecretword" not in seen
    assert "rootsecretword" not in seen
    replayed = replay(room.ashu, begun)
    assert brief([e for e in replayed if e["Type"] != "image"]) == brief([e for e in expected if e["Type"] != "image"])
    assert set(brief(replayed)) <= set(brief(expected))


FILTERS: list[dict[str, list[str]]] = [
    {"type": ["container"]},
    {"type": ["network", "volume"]},
    {"event": ["start", "die"]},
    {"event": ["exec_create"]},
    {"container": ["ashuf"]},
    {"container": ["devf"]},
    {"container": ["nobody"]},
    {"image": ["alpine"]},
    {"volume": ["ashufdata"]},
    {"volume": ["devfdata"]},
    {"network": ["bridge"]},
    {"label": ["a=1"]},
    {"scope": ["local"]},
    {"scope": ["swarm"]},
    {"daemon": ["x"]},
]


def test_filters_are_the_engines(room: Room) -> None:
    begun = time.time()
    for student in (room.ashu, room.dev):
        me = student.login
        student.ok("volume", "create", f"{me}fdata")
        student.ok("run", "-d", "--name", f"{me}f", "--label", "a=1", "-v", f"{me}fdata:/d", "alpine", "sleep", "999")
        student.ok("exec", f"{me}f", "true")
        student.ok("rm", "-f", f"{me}f")
    mine = set(times(replay(room.ashu, begun)))
    assert mine
    for filters in FILTERS:
        text = quote(json.dumps(filters))
        _, raw = room.engine.eye.call("GET", f"{API}/events?since={begun:.6f}&until={time.time():.6f}&filters={text}")
        lines = raw if isinstance(raw, bytes) else json.dumps(raw).encode() if raw else b""
        engines = [t for t in times([json.loads(line) for line in lines.split(b"\n") if line.strip()]) if t in mine]
        assert times(replay(room.ashu, begun, filters)) == engines, filters
    assert replay(room.ashu, begun, {"container": ["devf"]}) == replay(room.ashu, begun, {"container": ["nobody"]}) == []
    status, _, value = ask(room.ashu, "GET", f"{API}/events?filters={quote(json.dumps({'colour': ['blue']}))}")
    assert (status, value) == (400, {"message": "Invalid filter 'colour'"})


def account(room: Room, login: str) -> str:
    """Return an account's own id."""
    return str(room.hostadmin.rows("select id from users where login=?", login)[0][0])


def test_a_label_out_of_an_image_gives_nobody_an_event(room: Room) -> None:
    """The host runs an image whose labels say that it is ashu's; ashu knows all of its words."""
    begun = time.time()
    argv = ["docker", "-H", f"unix://{ENGINE_SOCKET}", "import"]
    labels = [f"LABEL io.hostadmin.owner={account(room, 'ashu')} io.hostadmin.req=01a20000-0000-7000-8000-000000000000"]
    subprocess.run(
        [*argv, *(a for c in labels for a in ("-c", c)), "-", "trap:1"], input=root_filesystem({}), check=True, capture_output=True
    )
    engine = Student("root", socket=ENGINE_SOCKET)
    engine.ok("run", "-d", "--name", "hosttrap", "trap:1", "/bin/sleep", "999")
    engine.ok("exec", "hosttrap", "/bin/echo", "hostsecret")
    own = room.ashu.ok("run", "-d", "--name", "ashuown", "alpine", "sleep", "999")
    try:
        labels_there = room.engine.eye.container("hosttrap")["Config"]["Labels"]
        assert labels_there["io.hostadmin.owner"] == account(room, "ashu"), "the trap is set"
        found = replay(room.ashu, begun)
        assert {e["Actor"]["ID"] for e in found if e["Type"] == "container"} == {own}
        assert "hostsecret" not in json.dumps(found)
        assert [e for e in everything(room.engine, begun) if "hostsecret" in e["Action"]], "it did happen"
    finally:
        engine.ok("rm", "-f", "hosttrap")
        room.ashu.ok("rm", "-f", "ashuown")
        engine.ok("rmi", "trap:1")


def test_a_name_used_again_does_not_show_its_earlier_life(room: Room) -> None:
    """Volumes and tags are known by their names: what dev did under a name is not ashu's when ashu has it later."""
    begun = time.time()
    room.dev.ok("volume", "create", "again")
    room.dev.ok("run", "--rm", "-v", "again:/d", "alpine", "true")
    room.dev.ok("volume", "rm", "again")
    room.dev.ok("build", "-t", "again:1", "-", stdin="FROM alpine\nLABEL a=devsword\nRUN echo dev >/who\n")
    room.dev.ok("rmi", "again:1")
    room.ashu.ok("volume", "create", "again")
    room.ashu.ok("build", "-t", "again:1", "-", stdin="FROM alpine\nRUN echo ashu >/who\n")
    found = replay(room.ashu, begun)
    assert [(e["Type"], e["Action"]) for e in found if "again" in json.dumps(e)] == [("volume", "create"), ("image", "tag")]
    assert "devsword" not in json.dumps(found)
    assert [(e["Type"], e["Action"]) for e in replay(room.dev, begun) if e["Type"] == "volume"] == [
        ("volume", a)
        for a in ("create", "create", "mount", "unmount", "destroy")  # the engine says it once more at each use
    ]
    room.ashu.ok("volume", "rm", "again")
    room.ashu.ok("rmi", "again:1")


def test_a_foreign_container_on_ones_own_network_is_not_named(room: Room) -> None:
    begun = time.time()
    room.ashu.ok("network", "create", "ashuopen")
    room.ashu.ok("volume", "create", "ashuopendata")
    made = room.host.ok(
        "run", "-d", "--name", "hostguest", "--network", "ashuopen", "-v", "ashuopendata:/secretplace", "alpine", "sleep", "99"
    )
    try:
        found = replay(room.ashu, begun)
        actions = {(e["Type"], e["Action"]) for e in found}
        assert actions == {("network", "create"), ("volume", "create"), ("network", "connect"), ("volume", "mount")}
        assert made not in json.dumps(found)
        assert "secretplace" not in json.dumps(found)
    finally:
        room.host.ok("rm", "-f", "hostguest")
        room.ashu.ok("network", "rm", "ashuopen")
        room.ashu.ok("volume", "rm", "ashuopendata")


@pytest.mark.parametrize("cli", command_lines())
def test_the_create_of_each_object_is_seen_live_although_the_ledger_learns_of_it_later(room: Room, cli: str) -> None:
    ashu = Student("ashu", cli=cli)
    watch = Watch(room, ashu, "--filter", "event=create")
    ids: list[str] = []
    for n in range(4):
        ids += [ashu.ok("network", "create", f"ashurace{n}"), ashu.ok("volume", "create", f"ashurace{n}")]
        ids += [ashu.ok("create", "--name", f"ashurace{n}", "alpine")]
    assert [e["Actor"]["ID"] for e in watch.stop(lambda events: len(events) >= len(ids))] == ids
    for n in range(4):
        ashu.ok("rm", f"ashurace{n}")
        ashu.ok("network", "rm", f"ashurace{n}")
        ashu.ok("volume", "rm", f"ashurace{n}")
