"""Conflicts with things of others: the caller reads what to do, and nothing of whose they are (engine-api.md 6.6)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.integration.answers import ask
from tests.integration.people import Student, command_lines
from tests.integration.stage import Engine, Hostadmin, make_stage

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
API = "/v1.41"
NOT_YOURS = "by a container that is not yours; ask an administrator"


@dataclass(frozen=True)
class Room:
    """``ashu`` runs into things of dev's and of the host's."""

    engine: Engine
    hostadmin: Hostadmin
    ashu: Student
    dev: Student
    host: Student

    def ids(self) -> set[str]:
        """Return the ids of everything that is not ashu's, long and short."""
        eye = self.engine.eye
        full = {i for i, n in {**eye.containers(), **eye.networks()}.items() if not n.startswith("ashu")}
        return full | {i[:12] for i in full}


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    """Two students, and containers of the host's that use what is ashu's."""
    with make_stage() as (engine, hostadmin):
        for login in ("ashu", "dev"):
            assert hostadmin.run("user", "add", login, "--docker").returncode == 0
        made = Room(engine, hostadmin, Student("ashu"), Student("dev"), Student("root"))
        made.dev.ok("network", "create", "--subnet", "10.77.0.0/24", "devnet")
        made.dev.ok("run", "-d", "--name", "devc1", "--network", "devnet", "alpine", "sleep", "9999")
        made.ashu.ok("volume", "create", "ashudata")
        made.ashu.ok("network", "create", "ashunet")
        made.ashu.ok("build", "-t", "ashuimg:v1", "-", stdin="FROM alpine\nRUN echo ashu >/who\n")
        made.host.ok("run", "-d", "--name", "hostuser", "-v", "ashudata:/d", "--network", "ashunet", "ashuimg:v1", "sleep", "9999")
        made.ashu.ok("run", "-d", "--name", "ashuc1", "alpine", "sleep", "9999")
        yield made


def refused(room: Room, *argv: str) -> str:
    """Run a command of ashu's that must fail; return what it says, which names nothing of others."""
    before = (room.engine.eye.containers(), room.engine.eye.networks(), room.engine.eye.volumes(), room.engine.eye.tags())
    done = room.ashu.docker(*argv)
    assert done.returncode != 0, (argv, done.stdout)
    said = done.stdout + done.stderr
    words = set(re.findall(r"[0-9a-f]{12,64}", said))
    assert not words & room.ids(), said
    assert not [n for n in ("hostuser", "devnet") if n in said], said
    assert (room.engine.eye.containers(), room.engine.eye.networks(), room.engine.eye.volumes(), room.engine.eye.tags()) == before
    return said.strip()


def test_a_container_name_that_another_has(room: Room) -> None:
    assert refused(room, "create", "--name", "devc1", "alpine").endswith(
        'Conflict. The container name "/devc1" is already in use on this host. Choose another name.'
    )
    assert "on this host. Choose another name" in refused(room, "rename", "ashuc1", "devc1")
    own = room.ashu.docker("create", "--name", "ashuc1", "alpine").stderr
    full = next(i for i, n in room.engine.eye.containers().items() if n == "ashuc1")
    assert f'is already in use by container "{full}"' in own, "one's own is named"


def test_a_volume_that_somebody_elses_container_mounts(room: Room) -> None:
    assert refused(room, "volume", "rm", "ashudata").endswith(f"remove ashudata: volume is in use {NOT_YOURS}")
    room.ashu.ok("create", "--name", "ashumounts", "-v", "ashudata:/d", "alpine")
    said = room.ashu.docker("volume", "rm", "ashudata").stderr
    full = next(i for i, n in room.engine.eye.containers().items() if n == "ashumounts")
    assert said.strip().endswith(f"volume is in use - [{full}]"), "only one's own is named and counted"
    room.ashu.ok("rm", "ashumounts")


def test_an_image_that_somebody_elses_container_uses(room: Room) -> None:
    image = room.engine.eye.get("/images/ashuimg:v1/json")["Id"]
    for ref in ("ashuimg:v1", image, image[7:19]):
        assert refused(room, "rmi", ref).endswith(f"it is in use {NOT_YOURS}"), ref
    room.ashu.ok("tag", "ashuimg:v1", "ashuimg:v2")
    room.ashu.ok("rmi", "ashuimg:v2")
    assert "ashuimg:v1" in room.engine.eye.tags()


def test_a_network_that_somebody_elses_container_is_on(room: Room) -> None:
    said = refused(room, "network", "rm", "ashunet")
    assert "has active endpoints" in said


def test_a_subnet_that_another_has(room: Room) -> None:
    for subnet in ("10.77.0.0/24", "10.77.0.0/25", "10.77.0.0/16"):
        assert "choose another one" in refused(room, "network", "create", "--subnet", subnet, "ashumore").lower()
    room.ashu.ok("network", "create", "--subnet", "10.78.0.0/24", "ashumore")
    room.ashu.ok("network", "rm", "ashumore")


def test_a_network_name_that_another_has(room: Room) -> None:
    done = room.ashu.docker("network", "create", "devnet")
    assert "network with name devnet already exists" in done.stderr
    assert not set(re.findall(r"[0-9a-f]{12,64}", done.stderr)) & room.ids()


def test_a_port_that_another_has(room: Room) -> None:
    room.host.ok("run", "-d", "--name", "hostport", "-p", "8123:80", "alpine", "sleep", "9999")
    done = room.ashu.docker("run", "-d", "--name", "ashuport", "-p", "8123:80", "alpine", "sleep", "9999")
    assert done.returncode != 0
    if "already allocated" in done.stderr:
        assert "Choose another port" in done.stderr
        assert "endpoint ashuport: Bind" in done.stderr
    assert not set(re.findall(r"[0-9a-f]{12,64}", done.stderr)) & room.ids()
    room.ashu.docker("rm", "-f", "ashuport")
    room.host.ok("rm", "-f", "hostport")


def test_joining_what_does_not_run(room: Room) -> None:
    room.ashu.ok("create", "--name", "ashustopped", "alpine")
    made = room.ashu.ok("create", "--name", "ashujoins", "--network", "container:ashustopped", "alpine")
    full = next(i for i, n in room.engine.eye.containers().items() if n == "ashustopped")
    said = room.ashu.docker("start", made).stderr
    assert full in said or "container ashustopped is created" in said, "one's own is named"
    assert "No such container: devc1" in refused(room, "run", "--network", "container:devc1", "alpine")
    room.ashu.ok("rm", "ashujoins", "ashustopped")


def test_an_endpoint_that_is_there_already(room: Room) -> None:
    room.ashu.ok("network", "create", "ashutwice")
    room.ashu.ok("network", "connect", "ashutwice", "ashuc1")
    assert "already exists in network ashutwice" in room.ashu.docker("network", "connect", "ashutwice", "ashuc1").stderr
    assert refused(room, "network", "connect", "ashutwice", "devc1").endswith("No such container: devc1")
    room.ashu.ok("network", "disconnect", "ashutwice", "ashuc1")
    room.ashu.ok("network", "rm", "ashutwice")


@pytest.mark.parametrize("cli", command_lines())
def test_own_networks_are_the_ones_that_are_named_where_the_engine_has_two_of_a_name(room: Room, cli: str) -> None:
    """The host made a second network called ashunet past hostadmin: for ashu there is one."""
    status, made = room.engine.eye.call("POST", "/v1.41/networks/create", {"Name": "ashunet", "CheckDuplicate": False})
    if status != 201:
        pytest.skip("this engine has no two networks of a name")
    try:
        assert room.engine.eye.call("GET", f"{API}/networks/ashunet")[0] == 400, "ambiguous for the engine"
        own = next(i for i, n in room.engine.eye.networks().items() if n == "ashunet" and i != made["Id"])
        found = ask(Student("ashu", cli=cli), "GET", f"{API}/networks/ashunet")
        assert (found[0], found[2]["Id"]) == (200, own)
        assert ask(room.dev, "GET", f"{API}/networks/ashunet")[2] == {"message": "network ashunet not found"}
    finally:
        room.engine.eye.call("DELETE", f"/networks/{made['Id']}")
