"""``docker … prune`` and ``docker system df`` as a student: all of one's own, nothing of anybody else's."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.answers import ask, get
from tests.integration.people import Student, command_lines
from tests.integration.stage import Engine, Hostadmin, make_stage

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
API = "/v1.41"
NONE = ["<none>:<none>"]


@dataclass(frozen=True)
class Room:
    """``ashu`` prunes; ``dev`` and the host have the same things side by side."""

    engine: Engine
    hostadmin: Hostadmin
    ashu: Student
    dev: Student


def litter(student: Student, *, images: bool = True) -> None:
    """Leave everything that a prune takes, and next to it what it does not."""
    me = student.login
    student.ok("run", "--name", f"{me}done", "alpine", "dd", "if=/dev/zero", "of=/x", "bs=1k", "count=100")
    student.ok("run", "-d", "--name", f"{me}runs", "-v", f"{me}used:/data", "--network", f"{me}net", "alpine", "sleep", "1000")
    student.ok("volume", "create", f"{me}spare")
    student.ok("network", "create", f"{me}free")
    for step in ("first", "second") if images else ():  # the first one loses its tag
        student.ok(
            "build", "-t", f"{me}img:v1", "-", stdin=f"FROM alpine\nRUN dd if=/dev/zero of=/x bs=1k count=100; echo {me}{step} >/y\n"
        )


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    """Two students and things of the host's own."""
    with make_stage() as (engine, hostadmin):
        for login in ("ashu", "dev"):
            assert hostadmin.run("user", "add", login, "--docker").returncode == 0
        made = Room(engine, hostadmin, Student("ashu"), Student("dev"))
        host = Student("root")
        host.ok("create", "--name", "hostdone", "alpine")
        host.ok("volume", "create", "hostspare")
        host.ok("network", "create", "hostfree")
        for student in (made.ashu, made.dev):
            student.ok("network", "create", f"{student.login}net")
        litter(made.dev)
        yield made


def others(engine: Engine) -> dict[str, Any]:
    """Return all that is not ashu's."""
    eye = engine.eye
    mine = ("ashu",)
    images = {i["Id"]: i["RepoTags"] for i in eye.get("/images/json?all=1") if not str(i["RepoTags"]).startswith("['ashu")}
    return {
        "containers": {r: (n, eye.container(r)["State"]["Status"]) for r, n in eye.containers().items() if not n.startswith(mine)},
        "networks": {r: n for r, n in eye.networks().items() if not n.startswith(mine)},
        "volumes": {v for v in eye.volumes() if not v.startswith(mine)},
        "tags": {t for t in eye.tags() if not t.startswith(mine)},
        "untagged of dev": {i for i in images if i in DEVS},
    }


DEVS: set[str] = set()


@pytest.fixture(autouse=True)
def kept(room: Room) -> Iterator[None]:
    """Whatever a test prunes: everything of dev's and of the host's is there afterwards."""
    DEVS.update(i["Id"] for i in get(room.dev, f"{API}/images/json?all=1"))
    before = others(room.engine)
    assert before["untagged of dev"] - {i["Id"] for i in room.engine.eye.get("/images/json") if (i["RepoTags"] or NONE) != NONE}
    yield
    assert others(room.engine) == before


def names(engine: Engine) -> dict[str, set[str]]:
    """Return what is ashu's, by name."""
    eye = engine.eye
    found = {"containers": eye.containers().values(), "networks": eye.networks().values(), "volumes": eye.volumes(), "tags": eye.tags()}
    return {kind: {n for n in of if n.startswith("ashu")} for kind, of in found.items()}


def sweep(room: Room) -> None:
    """Take away all of ashu's."""
    for ref, name in room.engine.eye.containers().items():
        if name.startswith("ashu"):
            room.ashu.ok("rm", "-f", "-v", ref)
    for volume in names(room.engine)["volumes"]:
        room.ashu.ok("volume", "rm", volume)
    room.ashu.docker("image", "prune", "-a", "-f")
    room.ashu.docker("network", "rm", "ashufree")


@pytest.fixture
def littered(room: Room) -> Iterator[Student]:
    """Ashu with litter."""
    litter(room.ashu)
    yield room.ashu
    sweep(room)


@pytest.fixture
def light(room: Room) -> Iterator[Student]:
    """Ashu with litter, without images."""
    litter(room.ashu, images=False)
    yield room.ashu
    sweep(room)


def prunes_named_volumes(student: Student) -> bool:
    """Tell whether ``volume prune`` means named volumes too: what the CLI and the engine agree on is older than 1.42."""
    return student.ok("version", "--format", "{{.Client.APIVersion}}") == "1.41"


def prune(student: Student, what: str, version: str = "1.41", **filters: Any) -> tuple[int, Any]:
    """Make one prune by the API."""
    text = quote(json.dumps({k.replace("_not", "!"): v for k, v in filters.items()}))
    status, _, value = ask(student, "POST", f"/v{version}/{what}/prune?filters={text}")
    return status, value


@pytest.mark.parametrize("cli", command_lines())
def test_system_prune_takes_all_of_ones_own_that_is_not_in_use(room: Room, littered: Student, cli: str) -> None:
    ashu = Student("ashu", cli=cli)
    before = room.engine.eye.get(f"{API}/system/df")["LayersSize"]
    said = ashu.ok("system", "prune", "-a", "-f", "--volumes")
    named = set() if prunes_named_volumes(ashu) else {"ashuspare"}
    assert names(room.engine) == {"containers": {"ashuruns"}, "networks": {"ashunet"}, "volumes": {"ashuused", *named}, "tags": set()}
    assert "ashufree" in said
    assert "untagged: ashuimg:v1" in said
    assert "Total reclaimed space: 0B" not in said
    assert before - room.engine.eye.get(f"{API}/system/df")["LayersSize"] >= 200 * 1024
    assert ashu.ok("system", "prune", "-a", "-f", "--volumes") == "Total reclaimed space: 0B"


@pytest.mark.parametrize("cli", command_lines())
def test_each_prune_takes_its_own_kind(room: Room, littered: Student, cli: str) -> None:
    ashu = Student("ashu", cli=cli)
    everything = names(room.engine)
    assert "102.4kB" in ashu.ok("container", "prune", "-f")
    assert names(room.engine) == everything | {"containers": {"ashuruns"}}
    assert "ashufree" in ashu.ok("network", "prune", "-f")
    assert names(room.engine)["networks"] == {"ashunet"}
    assert "ashuspare" in ashu.ok("volume", "prune", "-f", *([] if prunes_named_volumes(ashu) else ["-a"]))
    assert names(room.engine)["volumes"] == {"ashuused"}
    assert "deleted: sha256:" in ashu.ok("image", "prune", "-f")
    assert names(room.engine)["tags"] == {"ashuimg:v1"}
    assert "untagged: ashuimg:v1" in ashu.ok("image", "prune", "-a", "-f")
    assert ashu.ok("builder", "prune", "-f").endswith("0B")  # the cache is everybody's: there is nothing of one's own in it


def test_the_answers_have_the_engines_shape_and_each_removal_is_recorded(room: Room, light: Student) -> None:
    assert prune(light, "containers", until=["24h"]) == (200, {"ContainersDeleted": None, "SpaceReclaimed": 0})
    assert prune(light, "networks", until=["24h"]) == (200, {"NetworksDeleted": None})
    assert prune(light, "volumes", label=["nobody"]) == (200, {"VolumesDeleted": [], "SpaceReclaimed": 0})
    assert prune(light, "images", until=["24h"]) == (200, {"ImagesDeleted": None, "SpaceReclaimed": 0})
    assert prune(light, "build") == (200, {"CachesDeleted": None, "SpaceReclaimed": 0})
    assert prune(light, "containers", name=["x"]) == (400, {"message": "Invalid filter 'name'"})
    done = [r for r, n in room.engine.eye.containers().items() if n == "ashudone"]
    assert prune(light, "containers") == (200, {"ContainersDeleted": done, "SpaceReclaimed": 102400})
    rows = room.hostadmin.rows(
        "select req, action, stage, status, object_name, detail from audit_records where actor_login='ashu' order by seq desc limit 4"
    )
    ended, removed, removing, begun = rows
    assert (begun[1:4], ended[1:4]) == (("container.prune", "intent", None), ("container.prune", "outcome", "ok"))
    assert (removing[1:5], removed[1:5]) == (
        ("container.remove", "intent", None, "ashudone"),
        ("container.remove", "outcome", "ok", "ashudone"),
    )
    assert json.loads(removing[5])["parent"] == begun[0]


def test_labels_and_until_choose(room: Room, light: Student) -> None:
    for name, labels in (("ashua", ["a=1"]), ("ashub", ["b"]), ("ashuab", ["a=1", "b"])):
        light.ok("volume", "create", *(x for label in labels for x in ("--label", label)), name)
    prune(light, "volumes", label=["a=1", "b"])
    assert names(room.engine)["volumes"] == {"ashuspare", "ashuused", "ashua", "ashub"}
    prune(light, "volumes", label_not=["b"])
    assert names(room.engine)["volumes"] == {"ashuused", "ashub"}
    prune(light, "containers", until=["1h"])
    assert "ashudone" in names(room.engine)["containers"]
    prune(light, "containers", until=["0s"])
    assert "ashudone" not in names(room.engine)["containers"]


def test_an_unnamed_volume_is_one_although_the_guard_names_it(room: Room, light: Student) -> None:
    """From 1.42 a prune of volumes takes only those that got their name from the engine."""
    if int(room.engine.eye.get("/version")["ApiVersion"].split(".")[1]) < 42:
        pytest.skip("this engine ends at 1.41: it prunes named volumes too")
    unnamed = light.ok("volume", "create")
    assert prune(light, "volumes", "1.42") == (200, {"VolumesDeleted": [unnamed], "SpaceReclaimed": 0})
    assert names(room.engine)["volumes"] == {"ashuspare", "ashuused"}
    assert prune(light, "volumes", "1.42", all=["true"]) == (200, {"VolumesDeleted": ["ashuspare"], "SpaceReclaimed": 0})


def test_a_network_that_a_stopped_container_needs_is_kept_and_the_container_starts_again(room: Room, light: Student) -> None:
    light.ok("create", "--name", "ashulater", "--network", "ashufree", "alpine", "sleep", "100")
    assert light.ok("network", "prune", "-f") == ""
    light.ok("start", "ashulater")
    light.ok("rm", "-f", "ashulater")
    assert "ashufree" in light.ok("network", "prune", "-f")


def test_what_somebody_elses_container_uses_stays(room: Room, littered: Student) -> None:
    """The host's own container mounts a volume of ashu's and runs an image of ashu's: neither goes."""
    host = Student("root")
    host.ok("create", "--name", "hostuses", "-v", "ashuspare:/d", "ashuimg:v1", "true")
    try:
        littered.ok("system", "prune", "-a", "-f", "--volumes")
        assert "ashuspare" in names(room.engine)["volumes"]
        assert names(room.engine)["tags"] == {"ashuimg:v1"}
    finally:
        host.ok("rm", "hostuses")


def test_an_image_that_another_holds_too_is_only_given_up(room: Room, littered: Student) -> None:
    saved = littered.ok("inspect", "-f", "{{.Id}}", "ashuimg:v1")
    room.engine.eye.call("POST", f"/images/{saved}/tag?repo=shared&tag=1")
    littered.ok("image", "prune", "-a", "-f")
    assert "ashuimg:v1" not in room.engine.eye.tags()
    assert "shared:1" in room.engine.eye.tags()
    room.engine.eye.call("DELETE", "/images/shared:1")


def test_df_is_the_engines_where_everything_is_ones_own(room: Room, littered: Student) -> None:
    """Whatever others add, one's own numbers are those that the engine has for these objects."""
    mine, all_ = get(littered, f"{API}/system/df"), room.engine.eye.get(f"{API}/system/df")
    assert set(mine) - {"BuilderSize"} == set(all_) - {"BuilderSize"}  # of 20.10 only
    for kind, key in (("Containers", "Id"), ("Volumes", "Name"), ("Images", "Id")):
        theirs = {item[key]: item for item in all_[kind]}
        for item in mine[kind]:
            skip = ("Containers", "HostConfig", "RepoTags", "RepoDigests", "Status")
            assert {k: v for k, v in item.items() if k not in skip} == {k: v for k, v in theirs[item[key]].items() if k not in skip}
    for cli in command_lines():
        said = Student("ashu", cli=cli).ok("system", "df", "-v")
        assert not [name for name in ("devimg", "devdone", "devruns", "devspare", "host") if name in said]
        assert all(name in said for name in ("ashuimg", "ashudone", "ashuruns", "ashuused", "ashuspare", "Build cache usage: 0B"))
        table = Student("ashu", cli=cli).ok("system", "df", "--format", "{{.Type}}:{{.TotalCount}}:{{.Active}}")
        assert table.splitlines()[1:] == ["Containers:2:1", "Local Volumes:2:1", "Build Cache:0:0"]
    hidden = [i for i in all_["Images"] if i["Id"] not in {i["Id"] for i in mine["Images"]}]
    assert len(hidden) == 2, "dev's two"
    assert mine["LayersSize"] == all_["LayersSize"] - sum(i["Size"] - i["SharedSize"] for i in hidden)
    assert {v["Name"] for v in mine["Volumes"]} == {"ashuused", "ashuspare"}


def test_several_df_at_once_are_all_answered(room: Room) -> None:
    """The engine answers a second df at once with an error; through the guard both wait for one answer."""
    both = [student.start("system", "df") for student in (room.ashu, room.dev, room.ashu, room.dev)]
    for process in both:
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert b"Local Volumes" in output
