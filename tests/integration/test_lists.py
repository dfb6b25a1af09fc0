"""Lists with the caller's own filters: what the engine would answer if there were only the caller's things.

The engine itself is asked while everything on it is ashu's. Then others come, with names and ids chosen to disturb, and
ashu must read the same answers again.
"""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.answers import ask, get, get_many
from tests.integration.people import Student, command_lines
from tests.integration.stage import Engine, make_stage

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
API = "/v1.41"
Filters = dict[str, list[str]]


@dataclass(frozen=True)
class Room:
    """``ashu`` asked first, alone; ``alone`` is what the engine said then."""

    engine: Engine
    ashu: Student
    dev: Student
    alone: dict[str, tuple[int, Any]]


def populate(ashu: Student) -> None:
    """Make things that differ in all that a filter can ask for."""
    ashu.ok("network", "create", "--label", "a=1", "ashunet")
    ashu.ok("network", "create", "--label", "b", "ashuidle")
    for name, labels in (("ashudata", ["--label", "a=1"]), ("ashuspare", ["--label", "a=1", "--label", "b"])):
        ashu.ok("volume", "create", *labels, name)
    ashu.ok("build", "-t", "ashuimg:v1", "-", stdin="FROM alpine\nRUN echo ashu >/who\n")
    ashu.ok("run", "-d", "--name", "ashuc1", "--label", "a=1", "-v", "ashudata:/data", "--network", "ashunet", "alpine", "sleep", "9999")
    ashu.ok("run", "-d", "--name", "ashuc2", "--label", "a=1", "--label", "b", "--expose", "81", "ashuimg:v1", "sleep", "9999")
    ashu.docker("run", "--name", "ashudone", "--label", "b", "alpine", "sh", "-c", "exit 3")
    ashu.ok("create", "--name", "ashunew", "-v", "/data", "--network", "none", "alpine")
    ashu.ok("pause", "ashuc2")


def container_filters(engine: Engine) -> list[Filters]:
    """Return single filters of every key, with values that match, that do not, and that are wrong."""
    ids = {n: i for i, n in engine.eye.containers().items()}
    networks = {n: i for i, n in engine.eye.networks().items()}
    image = engine.eye.get("/images/ashuimg:v1/json")["Id"]
    singles = {
        "id": [ids["ashuc1"], ids["ashuc2"][:12], ids["ashudone"][:1], ids["ashunew"][:2], "", "f" * 64, "^" + ids["ashuc1"][:12]],
        "name": ["ashu", "^/ashuc", "c[12]$", "ashuc1", "/ashuc1", "nobody", "(", ""],
        "label": ["a", "a=1", "a=2", "b", "c", ""],
        "status": ["running", "paused", "exited", "created", "bogus"],
        "exited": ["0", "3", "x"],
        "before": ["ashuc2", ids["ashudone"], ids["ashudone"][:12], "nobody"],
        "since": ["ashuc1", "/ashuc2", ids["ashuc1"], "nobody"],
        "ancestor": ["alpine", "alpine:latest", "ashuimg:v1", image, image[7:19], "nobody", "UPPER"],
        "network": ["ashunet", networks["ashunet"], networks["ashunet"][:6], "bridge", "none", "nobody"],
        "volume": ["ashudata", "/data", "ashuspare", "nobody"],
        "expose": ["81", "82", "81/udp", "x"],
        "publish": ["81", "1:2"],
        "health": ["none", "healthy", "bogus"],
        "is-task": ["false", "true", "x"],
        "colour": ["blue"],
    }
    return [{key: [value]} for key, values in singles.items() for value in values]


def combine(singles: list[Filters]) -> list[Filters]:
    """Return single filters, every third pair of different keys, and pairs of values of one key."""
    pairs = [{**a, **b} for n, (a, b) in enumerate(itertools.combinations(singles, 2)) if n % 3 == 0 and set(a) != set(b)]
    doubled = [{"name": ["c1", "done"]}, {"label": ["a", "b"]}, {"label": ["a=1", "c"]}, {"status": ["paused", "exited"]}]
    return [{}, *singles, *pairs, *doubled]


def targets(engine: Engine) -> list[str]:
    """Return all questions."""
    networks = [{"name": [v]} for v in ("ashu", "^ashunet$", "net", "bridge", "nobody")]
    networks += [{"label": [v]} for v in ("a", "a=1", "b", "c")]
    networks += [{"driver": ["bridge"]}, {"driver": ["null"]}, {"scope": ["local"]}, {"type": ["custom"]}, {"type": ["builtin"]}]
    networks += [{"dangling": [v]} for v in ("true", "false", "1", "0", "x")] + [{"type": ["x"]}, {"colour": ["blue"]}]
    networks += [{"id": [i[:3]]} for i in engine.eye.networks()]
    volumes = [{"name": [v]} for v in ("ashu", "^ashudata$", "data", "nobody")] + [{"label": [v]} for v in ("a", "a=1", "b", "c")]
    volumes += [{"dangling": [v]} for v in ("true", "false", "x")] + [{"driver": ["local"]}, {"driver": ["x"]}, {"colour": ["blue"]}]
    found = [f"{API}/networks?{_query(f)}" for f in combine(networks)] + [f"{API}/volumes?{_query(f)}" for f in combine(volumes)]
    for filters in combine(container_filters(engine)):
        found.append(f"{API}/containers/json?all=1&{_query(filters)}")
    for more in ("", "limit=1", "limit=2", "limit=-1", "limit=2&all=1", "size=1&all=1", "limit=9"):
        for filters in ({}, {"label": ["a"]}, {"name": ["ashuc"]}, {"status": ["exited"]}, {"before": ["ashudone"]}):
            found.append(f"{API}/containers/json?{more}&{_query(filters)}")
    return found


def _query(filters: Filters) -> str:
    return f"filters={quote(json.dumps({k: dict.fromkeys(v, True) for k, v in filters.items()}))}"


def comparable(answer: tuple[int, Any]) -> tuple[int, Any]:
    """Refusals are equal whatever their words (20.10 says 500 where newer engines say 404); drop what the clock changes and our pin of a network; put what has no order in order."""
    status, value = answer
    if status != 200:
        return 400, "error"
    items = value.get("Volumes") or [] if isinstance(value, dict) else value
    kept = [{k: v for k, v in item.items() if k not in ("Status", "HostConfig")} | {"Labels": _plain(item)} for item in items]
    return status, kept if items and "State" in items[0] else sorted(kept, key=str)


def _plain(item: dict[str, Any]) -> dict[str, str]:
    """Return an item's labels without hostadmin's own, which people need not see."""
    return {k: v for k, v in (item.get("Labels") or {}).items() if not k.startswith("io.hostadmin.")}


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    """Ashu alone, the engine's answers, and then the others."""
    with make_stage() as (engine, hostadmin):
        for login in ("ashu", "dev"):
            assert hostadmin.run("user", "add", login, "--docker").returncode == 0
        ashu, dev = Student("ashu"), Student("dev")
        populate(ashu)
        alone = {target: engine.eye.call("GET", target) for target in targets(engine)}
        disturb(engine, dev)
        yield Room(engine, ashu, dev, alone)


def disturb(engine: Engine, dev: Student) -> None:
    """Let others come: names like ashu's, and names and ids that stand in the way of abbreviations."""
    dev.ok("network", "create", "--label", "a=1", "devashunet")
    dev.ok("volume", "create", "--label", "a=1", "ashuother")
    dev.ok("run", "-d", "--name", "devashuc1", "--label", "a=1", "-v", "ashuother:/data", "alpine", "sleep", "9999")
    mine = {n: i for i, n in engine.eye.containers().items()}
    for name in (mine["ashuc2"][:4], mine["ashunew"][:2]):
        assert engine.eye.call("POST", f"/containers/create?name={name}", {"Image": "alpine"})[0] == 201
    for _ in range(40):  # two ids in three begin with the same sign as some other by now
        assert engine.eye.call("POST", "/containers/create", {"Image": "alpine", "Labels": {"a": "1"}})[0] == 201


def test_every_list_is_the_engines_of_ones_own_things_alone(room: Room) -> None:
    asked = list(room.alone)
    assert len(asked) > 500
    answers = dict(zip(asked, get_many(room.ashu, asked), strict=True))
    wrong = {t: (room.alone[t], answers[t]) for t in asked if comparable(answers[t]) != comparable(room.alone[t])}
    assert not wrong, f"{len(wrong)} of {len(asked)}: {list(wrong.items())[:3]}"
    assert sum(1 for status, value in room.alone.values() if status == 200 and value) > 100, "not only empty answers were compared"


def test_an_abbreviation_means_ones_own_whatever_others_have(room: Room) -> None:
    """On an engine of one's own the first sign of an id is enough, if no other of one's own begins with it."""
    mine = {n: i for i, n in room.engine.eye.containers().items() if n.startswith("ashu")}
    theirs = [i for i in room.engine.eye.containers() if i not in mine.values()]
    for name, full in mine.items():
        short = next(full[:n] for n in range(1, 65) if not [i for i in mine.values() if i != full and i.startswith(full[:n])])
        found = get(room.ashu, f"{API}/containers/{short}/json")
        assert found["Id"] == full, (name, short)
    signs = {i[0] for i in mine.values()}
    assert [s for s in signs if room.engine.eye.call("GET", f"/containers/{s}/json")[0] >= 400], "ambiguous for the engine"
    both = [i for i in theirs if not any(m.startswith(i[:1]) for m in mine.values())]
    for ref in {i[:1] for i in both} | {i[:12] for i in both[:2]}:
        assert ask(room.ashu, "GET", f"{API}/containers/{ref}/json")[2] == {"message": f"No such container: {ref}"}


def test_networks_and_images_by_their_abbreviations(room: Room) -> None:
    full = next(i for i, n in room.engine.eye.networks().items() if n == "ashunet")
    other = next(i for i, n in room.engine.eye.networks().items() if n == "devashunet")
    assert get(room.ashu, f"{API}/networks/{full[:8]}")["Name"] == "ashunet"
    assert ask(room.ashu, "GET", f"{API}/networks/{other[:8]}")[2] == {"message": f"network {other[:8]} not found"}
    image = room.engine.eye.get("/images/ashuimg:v1/json")["Id"]
    assert get(room.ashu, f"{API}/images/{image[7:15]}/json")["Id"] == image


def test_inspect_network_names_ones_own_endpoints_only(room: Room) -> None:
    seen = get(room.ashu, f"{API}/networks/bridge?verbose=1")
    assert {c["Name"] for c in seen["Containers"].values()} == {"ashuc2"}
    assert {c["Name"] for c in get(room.dev, f"{API}/networks/bridge")["Containers"].values()} == {"devashuc1"}
    assert {c["Name"] for c in room.engine.eye.get("/networks/bridge")["Containers"].values()} == {"ashuc2", "devashuc1"}
    assert {n["Name"] for n in get(room.ashu, f"{API}/networks")} == {"bridge", "host", "none", "ashunet", "ashuidle"}


@pytest.mark.parametrize("cli", command_lines())
def test_info_counts_ones_own_and_prints(room: Room, cli: str) -> None:
    ashu = Student("ashu", cli=cli)
    said = ashu.docker("info")
    assert said.returncode == 0
    assert [w in said.stdout for w in ("Containers: 4", "Running: 1", "Paused: 1", "Stopped: 2", "Swarm: inactive")] == [True] * 5
    assert not said.stderr.strip() or "WARNING" in said.stderr
    found = get(ashu, f"{API}/info")
    hidden = {"NFd", "NGoroutines", "NEventsListener", "RegistryConfig", "HttpProxy", "HttpsProxy", "ClusterStore"}
    assert not hidden & set(found)
    assert found["DockerRootDir"] == ""
    theirs = {k: v for k, v in room.engine.eye.get(f"{API}/info").items() if k in found}
    differ = {k for k in theirs if theirs[k] != found[k]}
    told = {"Containers", "ContainersRunning", "ContainersStopped", "DockerRootDir", "SystemTime", "Runtimes", "Plugins", "Swarm", "Images"}
    assert differ <= told


@pytest.mark.parametrize("cli", command_lines())
def test_docker_inspect_asks_for_each_kind_in_turn(room: Room, cli: str) -> None:
    ashu = Student("ashu", cli=cli)
    for name in ("ashuc1", "ashuimg:v1", "ashunet", "ashudata"):
        assert json.loads(ashu.ok("inspect", name))[0], name
    said = {name: ashu.docker("inspect", name) for name in ("devashuc1", "devashunet", "ashuother", "nobodysthing")}
    for name, done in said.items():
        assert done.returncode == 1
        assert done.stdout.strip() == "[]"
        assert done.stderr.strip() in (f"Error: No such object: {name}", f"error: no such object: {name}"), done.stderr
