"""Observe mode on the real engine: what enforcement refuses works, is the caller's, and is told with its reasons.

Every attempt is made three times: enforced (it is refused, and the engine shows nothing of it), observed (it works), and
enforced again after a restart.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.answers import ask
from tests.integration.people import OLD_CLI, Student, process_of
from tests.integration.stage import GUARD_SOCKET, Engine, Hostadmin, make_stage, until

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
OTHER, ME = Student("ashu"), Student("dev")
WARNING = "this host is NOT protected"


def restart(hostadmin: Hostadmin, mode: str) -> str:
    """Start hostadmin anew in a mode; return what it has said since."""
    hostadmin.stop()
    before = len(hostadmin.log.read_text())
    lines = [line for line in hostadmin.config.read_text().splitlines() if not line.startswith("mode = ")]
    lines.insert(lines.index("[guard]") + 1, f'mode = "{mode}"')
    hostadmin.config.write_text("\n".join(lines) + "\n")
    hostadmin.start()
    return hostadmin.log.read_text()[before:]


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[Engine, Hostadmin]]:
    """An engine, hostadmin in its default mode, a student with a container and a tag, and one who wants more."""
    with make_stage() as (engine, hostadmin):
        for login in ("ashu", "dev"):
            assert hostadmin.run("user", "add", login, "--docker").returncode == 0
        OTHER.ok("run", "-d", "--name", "ashuweb", "alpine", "sh", "-c", "echo secret of ashu; sleep 1000")
        OTHER.ok("create", "--name", "ashuold", "alpine", "sleep", "1000")
        OTHER.ok("network", "create", "ashunet")
        OTHER.ok("tag", "alpine", "ashutag:1")
        Path("/mnt/theirs.tar").write_bytes(engine.eye.get("/images/ashutag:1/get"))
        yield engine, hostadmin


@pytest.fixture(scope="module")
def observing(stage: tuple[Engine, Hostadmin]) -> tuple[Engine, Hostadmin, str]:
    """Everything is refused while it is enforced; then hostadmin is started anew in observe mode."""
    engine, hostadmin = stage
    before = state(engine)
    for name, attempt in ATTEMPTS.items():
        assert not attempt(), f"{name} is refused while it is enforced"
    assert state(engine) == before
    assert not would_refuse(hostadmin)
    return engine, hostadmin, restart(hostadmin, "observe")


def state(engine: Engine) -> Any:
    return engine.eye.containers(), engine.eye.networks(), engine.eye.volumes(), engine.eye.tags()


def would_refuse(hostadmin: Hostadmin) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = hostadmin.ask("audit", "list", "--decision", "would-refuse", "--limit", "1000")
    return found


def works(*argv: str, stdin: str = "") -> bool:
    return ME.docker(*argv, stdin=stdin).returncode == 0


def build_with_buildkit() -> bool:
    folder = Path("/home/dev/kit")
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text("FROM alpine\nCOPY Dockerfile /kit\n")
    os.chmod("/home/dev", 0o755)
    environ = {"DOCKER_HOST": f"unix://{GUARD_SOCKET}", "DOCKER_BUILDKIT": "1"}
    call = process_of("dev", [OLD_CLI, "build", "-t", "devkit:1", str(folder)], environ=environ)
    return subprocess.run(**call, capture_output=True, check=False, timeout=120).returncode == 0


def load_under_the_name_of_another() -> bool:
    """A saved image whose tag is somebody else's; it is judged while it streams."""
    done = subprocess.run(
        **process_of("dev", [OLD_CLI, "load"], environ={"DOCKER_HOST": f"unix://{GUARD_SOCKET}"}),
        input=Path("/mnt/theirs.tar").read_bytes(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    return done.returncode == 0


def unknown_member() -> bool:
    status, _, _ = ask(ME, "POST", "/v1.41/networks/create", {"Name": "devwonder", "Wonder": 1, "Driver": "bridge"})
    return status == 201


ATTEMPTS: dict[str, Callable[[], bool]] = {
    "privileged": lambda: works("create", "--privileged", "--name", "devpriv", "-v", "devdata:/d", "alpine", "true"),
    "several reasons": lambda: works("run", "-d", "--net", "host", "--pid", "host", "--name", "devmany", "alpine", "sleep", "1000"),
    "bind": lambda: works("run", "--rm", "-v", "/etc/passwd:/p:ro", "alpine", "grep", "-q", "^ashu:", "/p"),
    "another's logs": lambda: "secret" in ME.docker("logs", "ashuweb").stdout,
    "another's exec": lambda: ME.docker("exec", "ashuweb", "echo", "inside").stdout == "inside\n",
    "another's inspect": lambda: works("network", "inspect", "ashunet"),
    "removing another's": lambda: works("rm", "ashuold"),
    "BuildKit": build_with_buildkit,
    "loading another's tag": load_under_the_name_of_another,
    "unknown member": unknown_member,
    "unknown parameter": lambda: ask(ME, "GET", "/v1.41/containers/json?wonder=1")[0] == 200,
    "a refused operation": lambda: (
        ask(ME, "GET", "/v1.41/containers/ashuweb/checkpoints")[2] != ask(ME, "GET", "/v1.41/nope")[2]
        and ask(ME, "GET", "/v1.41/containers/ashuweb/checkpoints")[0] != 403
    ),
}
REASONS = {
    "privileged": "rivileged",
    "several reasons": "etwork",
    "bind": "/etc/passwd",
    "another's logs": "No such container: ashuweb",
    "removing another's": "No such container: ashuold",
    "loading another's tag": "ashutag:1",
    "unknown member": "Wonder",
    "unknown parameter": "wonder",
    "BuildKit": "BuildKit",
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_it_works_and_is_told(observing: tuple[Engine, Hostadmin, str], name: str) -> None:
    """What was refused a moment ago works, and is in the list of what would have been refused, with its reasons."""
    _, hostadmin, _ = observing
    last = max((r["seq"] for r in would_refuse(hostadmin)), default=0)
    assert ATTEMPTS[name]()
    new = [r for r in would_refuse(hostadmin) if r["seq"] > last]
    assert new, "it is recorded"
    assert all(r["actor_login"] == "dev" and r["rule"] for r in new)
    told = " ".join(str(r["detail"].get("message")) for r in new)
    assert REASONS.get(name, "") in told, told
    if name == "several reasons":
        assert "host" in told
        assert told.count(";") >= 1, told


def test_what_was_made_is_the_callers(observing: tuple[Engine, Hostadmin, str]) -> None:
    """Containers, volumes, networks and images that only observe mode let through belong to whoever made them."""
    engine, hostadmin, _ = observing
    assert engine.eye.container("devpriv")["HostConfig"]["Privileged"] is True
    mine = {(kind, name) for kind in ("container", "network", "volume") for name in names(hostadmin, kind)}
    assert {("container", "devpriv"), ("container", "devmany"), ("network", "devwonder"), ("volume", "devdata")} <= mine
    owners = hostadmin.rows("select t.tag, u.login from image_tags t join users u on u.id = t.owner_id")
    assert ("docker.io/library/devkit:1", "dev") in owners
    assert ("docker.io/library/ashutag:1", "ashu") in owners, "a tag keeps its owner"
    labels = engine.eye.container("devpriv")["Config"]["Labels"]
    assert labels["io.hostadmin.req"]


def names(hostadmin: Hostadmin, kind: str) -> set[str]:
    return {item["name"] for item in hostadmin.ask(kind, "list", "--owner", "dev")}


def test_nobody_loses_sight(observing: tuple[Engine, Hostadmin, str]) -> None:
    """Lists, info and df are the engine's own; no record is made of them."""
    engine, hostadmin, _ = observing
    last = len(would_refuse(hostadmin))
    assert "ashuweb" in ME.ok("ps", "-a", "--format", "{{.Names}}").split()
    assert "ashunet" in ME.ok("network", "ls", "--format", "{{.Name}}").split()
    assert ME.ok("info", "--format", "{{.Containers}} {{.DockerRootDir}}") == f"{len(engine.eye.containers())} /mnt/docker/data"
    assert "ashuweb" in ME.ok("system", "df", "-v")
    assert len(would_refuse(hostadmin)) == last


def test_what_is_allowed_is_as_ever(observing: tuple[Engine, Hostadmin, str]) -> None:
    """An ordinary run is admitted with its limits, owned, and no would-refuse."""
    engine, hostadmin, _ = observing
    last = len(would_refuse(hostadmin))
    ME.ok("run", "-d", "--name", "devplain", "alpine", "sleep", "1000")
    assert len(would_refuse(hostadmin)) == last
    assert engine.eye.container("devplain")["HostConfig"]["PidsLimit"]
    assert "devplain" in names(hostadmin, "container")
    status, _, value = ask(ME, "GET", "/v1.41/containers/nothing/json")
    assert (status, value) == (404, {"message": "No such container: nothing"})
    assert len(would_refuse(hostadmin)) == last, "what is not there would not have been refused"
    ME.ok("rm", "-f", "devplain")


def test_our_labels_are_nobody_elses(observing: tuple[Engine, Hostadmin, str]) -> None:
    """A forged label of ours is dropped in observe mode too: it would make an object somebody else's."""
    engine, _, _ = observing
    ME.ok("volume", "create", "--label", "io.hostadmin.owner=somebody", "--label", "mine=1", "devforged")
    labels = engine.eye.get("/volumes/devforged")["Labels"]
    assert labels["io.hostadmin.owner"] != "somebody"
    assert labels["mine"] == "1"


def test_who_has_no_access_stays_out(observing: tuple[Engine, Hostadmin, str]) -> None:
    """The engine's own socket would not have let them in either; and what is no HTTP is none here."""
    _, hostadmin, _ = observing
    assert hostadmin.run("user", "add", "roni").returncode == 0
    assert ask(Student("roni"), "GET", "/v1.41/containers/json")[0] == 403
    assert ME.send(b"GET /v1.41/info HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n").split()[1] == b"400"
    assert ask(ME, "POST", "/v1.41/networks/create", b'{"Name":"a","Name":"devtwice"}')[0] == 400


def test_it_is_announced(observing: tuple[Engine, Hostadmin, str]) -> None:
    """The start says it, in what people see, in both logs and in the audit; so does doctor."""
    _, hostadmin, said = observing
    assert said.count(WARNING) >= 3, said
    doctor = hostadmin.run("doctor")
    assert "observe" in doctor.stdout
    starts = hostadmin.ask("audit", "list", "--action", "guard.start")
    assert [r["detail"]["mode"] for r in starts][-1] == "observe"
    assert starts[0]["detail"]["mode"] == "enforce"


def test_enforced_again(observing: tuple[Engine, Hostadmin, str]) -> None:
    """After the next start everything is refused as before."""
    engine, hostadmin, _ = observing
    ME.docker("rm", "-f", "devpriv", "devmany")
    ME.docker("network", "rm", "devwonder")
    said = restart(hostadmin, "enforce")
    assert WARNING not in said
    until("the ledger has seen it", lambda: "devpriv" not in names(hostadmin, "container"))
    before, last = state(engine), len(would_refuse(hostadmin))
    for name, attempt in ATTEMPTS.items():
        assert not attempt(), name
    assert state(engine) == before
    assert len(would_refuse(hostadmin)) == last
    assert "observe" not in hostadmin.run("doctor").stdout
