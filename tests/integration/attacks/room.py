"""The room of the attacks: ``ashu`` attacks, ``dev`` and the host have what must be kept; everything is planted with canaries.

Whatever is dev's has the canary in its environment, labels, command, output, files, image; some of it is *named* after the
canary, so that any list that shows it shows the canary too. No attack ever sends the canary itself.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.attacks import oracle
from tests.integration.attacks.sender import Answer, Sender
from tests.integration.people import Student
from tests.integration.stage import Engine, Hostadmin, make_stage, until

API = "/v1.41"
CANARY = oracle.CANARY.decode()
HOST_FILE = Path("/etc/planted-canary")


@dataclass(frozen=True)
class Call:
    """One well-formed request. ``$C $N $V $I $E`` stand for a container, network, volume, image and exec."""

    method: str
    target: str
    body: Any = None
    fields: tuple[str, ...] = ()
    version: str = API


@dataclass(frozen=True)
class Things:
    """What a reference placeholder stands for."""

    C: str
    N: str
    V: str
    I: str  # noqa: E741  # the placeholder $I
    E: str

    def fill(self, value: Any) -> Any:
        """Return a value with all placeholders in its texts replaced."""
        if isinstance(value, str):
            for key in "CNVIE":
                value = value.replace(f"${key}", getattr(self, key))
            return value
        if isinstance(value, bytes):
            return self.fill(value.decode("latin-1")).encode("latin-1")
        if isinstance(value, dict):
            return {self.fill(k): self.fill(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.fill(v) for v in value]
        return value


@dataclass
class Room:
    """Everything that a test of an attack needs."""

    engine: Engine
    hostadmin: Hostadmin
    ashu: Student
    dev: Student
    attacker: Sender
    victim: Sender
    accounts: dict[str, str]
    own: Things
    theirs: Things
    exempt: set[str] = field(default_factory=set)
    before: dict[str, Any] = field(default_factory=dict)

    def send(self, call: Call | bytes, things: Things) -> Answer:
        """Let the attacker send a request or raw bytes with the placeholders filled in."""
        if isinstance(call, bytes):
            return Answer.read(self.attacker.send(things.fill(call)))
        target = things.fill(call.target)
        fields = tuple(things.fill(f) for f in call.fields)
        return self.attacker.ask(call.method, call.version + target, things.fill(call.body), fields)

    def judge(self, what: object) -> None:
        """Check that the engine and the host are as they were, and that the attacker has learnt nothing."""
        after = oracle.take_picture(self.engine.eye)
        found = oracle.find_violations(self.engine.eye, after, self.exempt) + oracle.compare(self.before, after)
        if found:
            self.tidy()
        assert not found, (what, found)
        self.judge_words(what)

    def judge_words(self, what: object) -> None:
        """Check that no canary is in what the attacker has received."""
        leaks = [raw for raw in self.attacker.received if oracle.CANARY in raw]
        self.attacker.received.clear()
        assert not leaks, (what, [_around(raw) for raw in leaks])

    def judge_foreign(self, what: object) -> None:
        """Check that nothing of dev's or the host's has changed, whatever the attacker has of their own."""
        after = oracle.take_picture(self.engine.eye)
        found = oracle.find_violations(self.engine.eye, after, self.exempt) + oracle.compare(self.before, after, only=self.foreign())
        self.tidy()
        assert not found, (what, found)
        self.judge_words(what)

    def foreign(self) -> set[str]:
        """Return all ids, names and tags of the first picture that are not the attacker's."""
        mine = {self.own.C, self.own.N, self.own.V, self.own.I}
        found = set()
        for kind in ("containers", "networks", "volumes", "images", "tags"):
            for key, value in self.before[kind].items():
                name = value.get("Name", key).removeprefix("/") if isinstance(value, dict) else key
                if name not in mine and not name.startswith("ashu"):
                    found.add(key)
        return found

    def tidy(self) -> None:
        """Take away everything that was not there in the first picture, past the guard."""
        eye, before = self.engine.eye, self.before
        for ref in eye.containers():
            if ref not in before["containers"]:
                eye.call("DELETE", f"/containers/{ref}?force=1&v=1")
        for ref in eye.networks():
            if ref not in before["networks"]:
                eye.call("DELETE", f"/networks/{ref}")
        for name in eye.volumes() - set(before["volumes"]):
            eye.call("DELETE", f"/volumes/{name}")
        for tag in eye.tags() - set(before["tags"]):
            eye.call("DELETE", f"/images/{tag}?force=1")
        for image in eye.get("/images/json?all=1"):
            if image["Id"] not in before["images"]:
                eye.call("DELETE", f"/images/{image['Id']}?force=1")

    def spare(self, *, running: bool = True, name: str = "ashux", **body: Any) -> str:
        """Make a container of the attacker's that a twin may use up; return its id."""
        made = self.attacker.ask("POST", f"{API}/containers/create?name={name}", {"Image": "alpine", "Cmd": ["sleep", "1000"], **body})
        assert made.status == 201, made
        if running:
            assert self.attacker.ask("POST", f"{API}/containers/{name}/start").status == 204
        return str(made.json["Id"])

    def names(self) -> set[str]:
        """Return the names of all containers there are."""
        return set(self.engine.eye.containers().values())

    def remember(self) -> None:
        """Take the picture that everything is compared with from now on."""
        self.before = oracle.take_picture(self.engine.eye)


@contextmanager
def make_room() -> Iterator[Room]:
    """Put up a stage with attacker, victim and the host's own things."""
    HOST_FILE.write_text(f"{CANARY}-host-file\n")
    HOST_FILE.chmod(0o600)
    with make_stage() as (engine, hostadmin):
        for login in ("ashu", "dev"):
            assert hostadmin.run("user", "add", login, "--docker").returncode == 0
        senders = {login: Sender(login) for login in ("ashu", "dev")}
        own = _furnish(engine, Student("ashu"), senders["ashu"], "")
        theirs = _furnish(engine, Student("dev"), senders["dev"], f"{CANARY}-")
        accounts = dict(hostadmin.rows("select login, id from users"))
        room = Room(engine, hostadmin, Student("ashu"), Student("dev"), senders["ashu"], senders["dev"], accounts, own, theirs)
        room.exempt = _host_things(engine)
        until("the ledger knows what is the host's", lambda: _known(hostadmin, room.exempt))
        room.remember()
        room.attacker.received.clear()
        try:
            yield room
        finally:
            for sender in senders.values():
                sender.close()


def _furnish(engine: Engine, student: Student, sender: Sender, canary: str) -> Things:
    """Give a student one of everything; with ``canary`` in all that it holds."""
    me = student.login
    for name in (f"{me}data", *([f"{canary}vol"] if canary else [])):
        _made(sender.ask("POST", f"{API}/volumes/create", {"Name": name, "Labels": {"note": f"{canary}label"}}))
    for name in (f"{me}net", *([f"{canary}net"] if canary else [])):
        _made(sender.ask("POST", f"{API}/networks/create", {"Name": name, "Labels": {"note": f"{canary}label"}}))
    dockerfile = f"FROM alpine\nENV SECRET={canary}env\nRUN echo {canary}layer-{me} >/who\nLABEL note={canary}label\n"
    student.ok("build", "-t", f"{me}img:v1", "-t", f"{me}img:latest", "-", stdin=dockerfile)
    if canary:
        student.ok("tag", f"{me}img:v1", f"{canary}img:v1")
    script = f"echo {canary}log; echo {canary}file >/data/file; while :; do sleep 1000; done # {canary}command"
    body = {
        "Image": f"{me}img:v1",
        "Cmd": ["sh", "-c", script],
        "Env": [f"TOKEN={canary}env"],
        "Labels": {"note": f"{canary}label"},
        "Volumes": {"/anon": {}},
        "HostConfig": {"Binds": [f"{me}data:/data"], "IpcMode": "shareable", "NetworkMode": f"{me}net"},
        "NetworkingConfig": {"EndpointsConfig": {f"{me}net": {"Aliases": [f"{canary}alias"]}}},
    }
    _made(sender.ask("POST", f"{API}/containers/create?name={me}c", body))
    assert sender.ask("POST", f"{API}/containers/{me}c/start").status == 204
    if canary:
        _made(sender.ask("POST", f"{API}/containers/create?name={canary}name", {"Image": "alpine", "Cmd": ["true"]}))
    made = _made(sender.ask("POST", f"{API}/containers/{me}c/exec", {"Cmd": ["echo", f"{canary}exec"], "AttachStdout": True}))
    until("it has written its file", lambda: Path(engine.eye.get(f"/volumes/{me}data")["Mountpoint"], "file").exists())
    return Things(f"{me}c", f"{me}net", f"{me}data", f"{me}img:v1", made["Id"])


def _made(answer: Answer) -> Any:
    assert answer.status == 201, answer
    return answer.json


def _host_things(engine: Engine) -> set[str]:
    """Make what is the host's own, past the guard; return ids and names."""
    eye = engine.eye
    eye.call("POST", "/volumes/create", {"Name": "hostdata"})
    network = eye.call("POST", "/networks/create", {"Name": "hostnet"})[1]["Id"]
    host = {"Binds": ["hostdata:/data"], "NetworkMode": "hostnet"}
    body = {"Image": "alpine", "Cmd": ["sleep", "100000"], "Env": [f"ROOT={CANARY}"], "HostConfig": host}
    container = eye.call("POST", "/containers/create?name=hostc", body)[1]["Id"]
    assert eye.call("POST", "/containers/hostc/start")[0] == 204
    return {container, network, "hostdata"}


def _known(hostadmin: Hostadmin, refs: set[str]) -> bool:
    known = {ref for (ref,) in hostadmin.rows("select ref from objects where gone_at is null")}
    return refs <= known


def _around(raw: bytes) -> bytes:
    place = raw.find(oracle.CANARY)
    return raw[:120] + b" ... " + raw[max(0, place - 200) : place + 60]


Proof = Callable[[Room, Answer], object]


def works(_room: Room, answer: Answer) -> object:
    """The twin was answered with success."""
    return 200 <= answer.status < 300 or answer.status == 101


def run_attack(room: Room, name: str, attack: Call | bytes, twin: Call | bytes, proof: Proof) -> None:
    """Attack, judge, then let the owner do the same to their own and look whether it was done."""
    said = room.send(attack, room.theirs)
    room.judge((name, said))
    done = room.send(twin, room.own)
    proven = proof(room, done)
    room.tidy()
    assert proven, (name, "the legitimate twin does not work", done)
    room.judge_words(name)
