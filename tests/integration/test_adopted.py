"""Containers with access to the host that an administrator gave to somebody: nobody gets in, or out, through them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.people import Student
from tests.integration.stage import Engine, Hostadmin, make_stage, until

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
REACHING = {
    "bind": {"Binds": ["/etc:/host"]},
    "pid": {"PidMode": "host"},
    "net": {"NetworkMode": "host"},
    "device": {"Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "rwm"}]},
    "capability": {"CapAdd": ["SYS_PTRACE"]},
    "confinement": {"SecurityOpt": ["seccomp=unconfined"]},
}


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[Engine, Hostadmin, Student]]:
    """Containers that root made past the guard, given to ashu."""
    with make_stage() as (engine, hostadmin):
        assert hostadmin.run("user", "add", "ashu", "--docker").returncode == 0
        for name, host in REACHING.items():
            body = {"Image": "alpine", "Cmd": ["sleep", "1000"], "HostConfig": host}
            assert engine.eye.call("POST", f"/containers/create?name=given{name}", body)[0] == 201
            assert engine.eye.call("POST", f"/containers/given{name}/start")[0] == 204
            until(
                "it is in the ledger", lambda name=name: hostadmin.run("owner", "set", "container", f"given{name}", "ashu").returncode == 0
            )
        assert engine.eye.call("POST", "/containers/create?name=givenplain", {"Image": "alpine", "Cmd": ["sleep", "1000"]})[0] == 201
        until("it is in the ledger", lambda: hostadmin.run("owner", "set", "container", "givenplain", "ashu").returncode == 0)
        yield engine, hostadmin, Student("ashu")


@pytest.mark.parametrize("name", REACHING)
def test_nobody_gets_in_or_out(stage: tuple[Engine, Hostadmin, Student], name: str, tmp_path: Path) -> None:
    engine, _, ashu = stage
    ref = f"given{name}"
    before = engine.eye.container(ref)
    names = set(engine.eye.containers().values())
    for argv in (
        ["exec", ref, "cat", "/host/shadow"],
        ["restart", "-t", "0", ref],
        ["attach", "--sig-proxy=false", ref],
        ["cp", f"{ref}:/etc/passwd", "-"],
        ["cp", f"{ref}:/host/shadow", "-"],
        ["run", "--name", "ashux", "--volumes-from", ref, "alpine", "cat", "/host/shadow"],
        ["run", "--name", "ashux", "--network", f"container:{ref}", "alpine", "true"],
        ["run", "--name", "ashux", "--pid", f"container:{ref}", "alpine", "true"],
    ):
        done = ashu.docker(*argv)
        assert done.returncode != 0, argv
        said = "hostadmin refused" in done.stderr or (argv[0] == "attach" and "received 403" in done.stderr)  # the old CLI drops the text
        assert said, (argv, done.stderr)
        assert "root:" not in done.stdout, argv
    assert set(engine.eye.containers().values()) == names
    assert engine.eye.container(ref)["State"]["StartedAt"] == before["State"]["StartedAt"]
    assert not engine.eye.container(ref)["ExecIDs"]


def test_an_ordinary_one_is_theirs_like_any_other(stage: tuple[Engine, Hostadmin, Student]) -> None:
    _, _, ashu = stage
    ashu.ok("start", "givenplain")
    assert "root" in ashu.ok("exec", "givenplain", "cat", "/etc/passwd")
    assert "root" in ashu.ok("cp", "givenplain:/etc/passwd", "-")
    ashu.ok("run", "--rm", "--network", "container:givenplain", "alpine", "true")
    ashu.ok("rm", "-f", "givenplain")
    ashu.ok("stop", "-t", "0", "givenbind")
    ashu.ok("rm", "givenbind")
