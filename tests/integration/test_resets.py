"""Resets on the real engine: everything goes at once, its names are free, all of it comes back; killed at each step."""

import json
from pathlib import Path
from typing import Any

import pytest

from hostadmin.core.images import RESETS, familiar
from tests.integration.people import Student
from tests.integration.resetworld import (
    COMPOSE,
    SECRET,
    SUBNET,
    compose,
    differences,
    make_things,
    mark_volume,
    planted,
    troubles,
    volume_content,
    work,
    work_killed,
)
from tests.integration.stage import STATE, Engine, Hostadmin, until
from tests.integration.resetstage import FAR, NAMES, holdings, images, judge_ledger, snapshots, stage, students, whole

__all__ = ["stage", "students"]  # fixtures
pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]


def test_all_goes_its_names_are_free_and_all_comes_back(stage: tuple[Engine, Hostadmin], students: tuple[Student, ...]) -> None:
    engine, hostadmin = stage
    ashu, dev, rohit = students
    first_images = images(engine)
    make_things(ashu)
    mark_volume(engine, "ashudata")
    dev.ok("run", "-itd", "--name", "devc1", "-v", "devdata:/d", "alpine")
    rohit.ok("network", "create", "rohitnet")
    rohit.ok("run", "-itd", "--name", "rohitc1", "--network", "rohitnet", "-v", "rohitdata:/d", "-e", "A=b", "alpine")
    before = {name: engine.eye.container(name) for name in NAMES}
    held = {s.login: holdings(s) for s in students}
    others = whole(engine, rohit)
    anonymous = next(m["Name"] for m in before["ashudb"]["Mounts"])
    fleeting = next(m["Name"] for m in before["ashurm"]["Mounts"] if m["Destination"] == "/anon")
    content = {v: volume_content(engine, v) for v in ("ashudata", anonymous, fleeting)}
    attached = ashu.start("attach", "ashuweb")
    executing = ashu.start("exec", "ashuweb", "sleep", "1000")

    plan = work(hostadmin, "plan", "ashu,dev")
    assert plan["accounts"] == {
        "ashu": {"containers": 7, "networks": 2, "volumes": 3},
        "dev": {"containers": 1, "networks": 0, "volumes": 1},
    }
    assert [i["name"] for i in plan["items"] if i["owner"] == "ashu" and i["kind"] == "container"] == NAMES
    assert all(i["status"] == "planned" and i["recoverable"] for i in plan["items"])
    assert next(i["size"] for i in plan["items"] if i["name"] == "ashudata") >= 6, "measured by the engine"
    assert {s.login: holdings(s) for s in students} == held, "a plan changes nothing"
    ashu.ok("run", "-itd", "--name", "ashulate", "alpine")

    done = work(hostadmin, "apply", plan["id"])
    assert done["counts"] == {"done": 14}, troubles(done)
    assert attached.wait(60) is not None
    assert executing.wait(60) is not None
    nothing: dict[str, list[str]] = {"containers": [], "networks": [], "volumes": []}
    images_before = held["ashu"]["images"]
    assert holdings(ashu) == {**nothing, "containers": ["ashulate"], "images": images_before}, "the plan is exactly what was shown"
    assert holdings(dev) == {**nothing, "images": held["dev"]["images"]}
    assert not {i for i in before if i in engine.eye.containers().values()}
    assert engine.eye.volumes() == {"rohitdata"}
    assert set(engine.eye.networks().values()) == {"rohitnet"}
    assert whole(engine, rohit) == others
    judge_ledger(engine, hostadmin)
    assert planted(hostadmin) == []

    tags = snapshots(engine)
    assert len(tags) == 8
    snapshot = engine.eye.get(f"/images/{tags[0]}/json")["Id"]
    for student in (ashu, dev, rohit):
        for ref in (tags[0], snapshot, snapshot[7:19]):
            for verb in (["inspect"], ["history"], ["rmi"], ["save", "-o", "/dev/null"], ["run", "--rm", "--pull=never"]):
                refused = student.docker(*verb, ref)
                assert refused.returncode != 0, (student.login, verb, ref)
        assert student.docker("tag", "alpine", f"{familiar(RESETS)}x:y").returncode != 0
    engine.eye.call("POST", "/images/prune")
    assert len(snapshots(engine)) == 8, "an administrator's prune leaves them"
    files = sorted((STATE / "db" / "resets").rglob("*"))
    assert [f.stat().st_mode & 0o777 for f in (STATE / "db" / "resets", *files)] == [0o700, 0o700, *[0o600] * 4]
    assert sum(f.stat().st_blocks * 512 for f in files) < 10 << 20, "holes take no room"

    ashu.ok("run", "-itd", "--name", "ashuweb", "-v", "ashudata:/data", "alpine")
    assert "inside" not in ashu.ok("exec", "ashuweb", "ls", "/", "/data")
    ashu.ok("network", "create", "ashunet1")
    undone = work(hostadmin, "undo", plan["id"])
    told = {i["name"]: i["message"] for i in undone["items"] if i["status"] != "restored"}
    assert set(told) == {"ashuweb", "ashudata", "ashunet1", "ashurm", "ashuended", "ashucreated"}, undone
    assert "name is taken" in told["ashuweb"]
    assert "name is taken" in told["ashudata"]
    assert "ashudata" in told["ashurm"]
    assert "ashunet1" in told["ashuended"]
    assert undone["state"] == "undoing"
    ashu.ok("rm", "-f", "ashuweb", "ashulate")
    ashu.ok("volume", "rm", "ashudata")
    ashu.ok("network", "rm", "ashunet1")

    undone = work(hostadmin, "undo", plan["id"])
    assert undone["counts"] == {"restored": 14}, troubles(undone)
    assert undone["state"] == "undone"
    assert {s.login: holdings(s) for s in students} == held
    after = {name: engine.eye.container(name) for name in NAMES}
    wrong = {name: found for name in NAMES if (found := differences(before[name], after[name]))}
    assert wrong == {}, json.dumps(wrong, indent=1)
    assert {v: volume_content(engine, v) for v in content} == content
    judge_same(engine, ashu, before, after)
    assert whole(engine, rohit) == others
    judge_ledger(engine, hostadmin)
    assert planted(hostadmin) == []
    assert hostadmin.rows("select distinct attribution from objects where gone_at is null and kind = 'container'") == [("guard",)]
    assert hostadmin.rows("select count(*) from objects where owner_id is null and kind in ('container', 'volume')") == [(0,)]
    for verb in ("apply", "undo"):
        assert "key" in work(hostadmin, verb, plan["id"])

    assert work(hostadmin, "purge", "now") == 0, "its time is not over"
    assert work(hostadmin, "purge", FAR) == 6, "files and networks; snapshots stay as long as containers stand on them"
    assert work(hostadmin, "purge", FAR) == 0
    ashu.ok("restart", "-t", "0", "ashuweb", "ashudb")
    for student in (ashu, dev):
        student.ok("rm", "-f", *student.ok("ps", "-aq").split())
    assert work(hostadmin, "purge", FAR) == 8
    assert snapshots(engine) == []
    assert images(engine) == first_images
    assert not (STATE / "db" / "resets" / plan["id"]).exists()
    assert hostadmin.rows("select distinct state, kept, saved from reset_items") == [("purged", "{}", "{}")]


def judge_same(engine: Engine, ashu: Student, before: dict[str, Any], after: dict[str, Any]) -> None:
    """What people notice is as it was."""
    for name, found in after.items():
        assert found["State"]["Running"] == before[name]["State"]["Running"], name
        assert found["State"]["Paused"] == before[name]["State"]["Paused"], name
        assert set(found["NetworkSettings"]["Networks"]) == set(before[name]["NetworkSettings"]["Networks"]), name
    web = after["ashuweb"]["NetworkSettings"]["Networks"]
    assert web["ashunet2"]["IPAddress"] == f"{SUBNET}.9"
    assert after["ashudb"]["NetworkSettings"]["Networks"]["ashunet2"]["IPAddress"] == f"{SUBNET}.20"
    assert web["ashunet1"]["IPAddress"] == before["ashuweb"]["NetworkSettings"]["Networks"]["ashunet1"]["IPAddress"]
    assert "front" in web["ashunet1"]["Aliases"]
    assert "back" in web["ashunet2"]["Aliases"]
    assert after["ashujoin"]["HostConfig"]["NetworkMode"] == f"container:{after['ashudb']['Id']}"
    assert ashu.ok("exec", "ashuweb", "sh", "-c", "echo $TOKEN; hostname; pwd; cat /inside /data/a /begun") == (
        f"{SECRET}\nwebhost\n/tmp\ninside\ndeep\nbegun"
    )
    assert ashu.ok("exec", "ashudb", "cat", "/anon/file") == "anonymous"
    assert ashu.ok("exec", "ashurm", "cat", "/anon/file", "/layer", "/data/a") == "fleeting\nlayer\ndeep"
    assert "1 packets received" in ashu.ok("exec", "ashudb", "ping", "-c", "1", "back")
    assert "was here" in ashu.ok("cp", "ashuended:/file", "-")
    assert ashu.docker("cp", "ashuended:/etc/group", "-").returncode != 0, "what was deleted stays deleted"


def test_killed_at_every_step_it_is_finished_by_running_it_again(
    stage: tuple[Engine, Hostadmin], students: tuple[Student, ...], tmp_path: Path
) -> None:
    engine, hostadmin = stage
    ashu, _, rohit = students
    first_images = images(engine)
    ashu.ok("network", "create", "ashunet1")
    ashu.ok("network", "create", "ashunet2")
    ashu.ok("run", "-itd", "--name", "ashuone", "--network", "ashunet1", "-v", "ashudata:/data", "-e", f"TOKEN={SECRET}", "alpine")
    ashu.ok("network", "connect", "--alias", "two", "ashunet2", "ashuone")
    ashu.ok("exec", "ashuone", "sh", "-c", "echo deep >/data/a; echo inside >/inside")
    ashu.ok("run", "-itd", "--rm", "--name", "ashutwo", "-v", "/anon", "alpine")
    ashu.ok("exec", "ashutwo", "sh", "-c", "echo fleeting >/anon/a")
    rohit.ok("run", "-itd", "--name", "rohitc1", "-v", "rohitdata:/d", "alpine")
    others, held = whole(engine, rohit), holdings(ashu)
    before = {name: engine.eye.container(name) for name in ("ashuone", "ashutwo")}
    plan = work(hostadmin, "plan", "ashu")

    deaths = work_killed(hostadmin, "apply", plan["id"], tmp_path / "apply")
    assert deaths > 40, deaths
    done = work(hostadmin, "show", plan["id"])
    assert done["counts"] == {"done": 6}, troubles(done)
    assert holdings(ashu) == {"containers": [], "networks": [], "volumes": [], "images": held["images"]}
    assert images(engine) - first_images == {engine.eye.get(f"/images/{t}/json")["Id"] for t in snapshots(engine)}, (
        "no image without its tag"
    )
    kept = hostadmin.rows("select json_extract(saved, '$.tag') from reset_items where plan_id = ? and kind = 'container'", plan["id"])
    assert {tag for (tag,) in kept} <= {t.rpartition(":")[2] for t in snapshots(engine)}
    assert len(snapshots(engine)) <= 3, "a commit may have outlived its sender"
    judge_ledger(engine, hostadmin)

    deaths = work_killed(hostadmin, "undo", plan["id"], tmp_path / "undo")
    assert deaths > 40, deaths
    undone = work(hostadmin, "show", plan["id"])
    assert undone["counts"] == {"restored": 6}, troubles(undone)
    assert holdings(ashu) == held
    for name, old in before.items():
        assert differences(old, engine.eye.container(name)) == {}
    assert ashu.ok("exec", "ashuone", "sh", "-c", "cat /data/a /inside; echo $TOKEN") == f"deep\ninside\n{SECRET}"
    assert ashu.ok("exec", "ashutwo", "cat", "/anon/a") == "fleeting"
    assert whole(engine, rohit) == others
    judge_ledger(engine, hostadmin)
    assert planted(hostadmin) == []

    again = work(hostadmin, "plan", "ashu")
    assert work(hostadmin, "apply", again["id"])["counts"] == {"done": 6}
    assert work_killed(hostadmin, "purge", FAR, tmp_path / "purge") > 5
    assert work(hostadmin, "purge", FAR) == 0
    assert snapshots(engine) == []
    assert images(engine) == first_images
    assert list((STATE / "db" / "resets").iterdir()) == []
    assert whole(engine, rohit) == others
    assert "key" in work(hostadmin, "undo", again["id"]), "nothing of it is left"


def test_compose_goes_on_after_it_has_come_back(stage: tuple[Engine, Hostadmin], students: tuple[Student, ...]) -> None:
    engine, hostadmin = stage
    dev = students[1]
    folder = Path("/home/dev/devshop")
    folder.mkdir()
    (folder / "docker-compose.yml").write_text(COMPOSE)
    compose(dev, folder, "up", "-d")
    listed = holdings(dev)
    assert len(listed["containers"]) == 2
    plan = work(hostadmin, "plan", "dev")
    assert work(hostadmin, "apply", plan["id"])["counts"] == {"done": 5}
    assert compose(dev, folder, "ps", "-q") == ""
    assert work(hostadmin, "undo", plan["id"])["counts"] == {"restored": 5}
    assert holdings(dev) == listed
    assert len(compose(dev, folder, "ps", "-q").split()) == 2
    assert "1 packets received" in compose(dev, folder, "exec", "-T", "db", "ping", "-c", "1", "front")
    compose(dev, folder, "down", "-v")
    assert holdings(dev) == {"containers": [], "networks": [], "volumes": [], "images": listed["images"]}
    assert engine.eye.volumes() == set()


def test_what_has_changed_since_the_plan_is_told_and_left(stage: tuple[Engine, Hostadmin], students: tuple[Student, ...]) -> None:
    engine, hostadmin = stage
    ashu, dev, _ = students
    for name in ("ashurenamed", "ashugone", "ashugiven"):
        ashu.ok("run", "-itd", "--name", name, "alpine")
    for name in ("ashuanew", "ashuused", "ashuoption"):
        ashu.ok("volume", "create", name)
    ashu.ok("network", "create", "ashunet")
    engine.eye.call("POST", "/volumes/create", {"Name": "ashutmp", "DriverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}})
    until("it is known", lambda: hostadmin.run("owner", "set", "volume", "ashutmp", "ashu").returncode == 0)
    plan = work(hostadmin, "plan", "ashu")
    assert {i["name"]: i["note"] for i in plan["items"] if not i["recoverable"]} == {
        "ashutmp": "it is a mount of something else (driver options)"
    }
    ashu.ok("rename", "ashurenamed", "ashuother")
    ashu.ok("rm", "-f", "ashugone")
    assert hostadmin.run("owner", "set", "container", "ashugiven", "dev").returncode == 0
    until(
        "a second has passed", lambda: engine.eye.get("/volumes/ashuanew")["CreatedAt"] != engine.eye.get("/info")["SystemTime"][:19] + "Z"
    )
    ashu.ok("volume", "rm", "ashuanew")
    ashu.ok("volume", "create", "ashuanew")
    ashu.ok("run", "-itd", "--name", "ashunew", "-v", "ashuused:/u", "--network", "ashunet", "alpine")
    done = work(hostadmin, "apply", plan["id"])
    told = {i["name"]: (i["status"], i["message"]) for i in done["items"]}
    assert told["ashurenamed"] == ("skipped", "it is called 'ashuother' now")
    assert told["ashugone"] == ("skipped", "it is gone already")
    assert told["ashugiven"] == ("skipped", "it belongs to somebody else now")
    assert told["ashuanew"] == ("skipped", "it was made anew after the plan")
    assert told["ashutmp"][0] == "skipped"
    assert told["ashuused"] == ("failed", "container 'ashunew' uses it, which is not part of this")
    assert told["ashunet"][0] == "failed"
    assert "active endpoints" in told["ashunet"][1]
    assert told["ashuoption"] == ("done", "")
    assert {"ashuother", "ashugiven", "ashunew"} <= set(engine.eye.containers().values())
    assert engine.eye.volumes() == {"ashuanew", "ashuused", "ashutmp"}
    ashu.ok("rm", "-f", "ashunew")
    assert work(hostadmin, "apply", plan["id"])["counts"] == {"done": 3, "skipped": 5}, "what failed is tried again"
    again = work(hostadmin, "plan", "ashu")
    work(hostadmin, "force", again["id"])
    assert engine.eye.volumes() == set()
    dev.ok("rm", "-f", "ashugiven")


def test_nothing_of_somebody_else_comes_into_a_container_that_comes_back(
    stage: tuple[Engine, Hostadmin], students: tuple[Student, ...]
) -> None:
    engine, hostadmin = stage
    ashu, dev, _ = students
    ashu.ok("network", "create", "--subnet", "172.19.78.0/24", "ashunet")
    ashu.ok("run", "-itd", "--name", "ashuc", "-v", "shared:/d", "alpine")
    ashu.ok("run", "-itd", "--name", "ashun", "--network", "ashunet", "alpine")
    port = (
        ashu.ok("run", "-itd", "--name", "ashup", "-p", "80", "alpine")
        and ashu.ok("port", "ashup", "80").splitlines()[0].rpartition(":")[2]
    )
    plan = work(hostadmin, "plan", "ashu")
    assert work(hostadmin, "apply", plan["id"])["counts"] == {"done": 5}
    dev.ok("run", "--rm", "-v", "shared:/d", "alpine", "sh", "-c", "echo devs own >/d/file")
    dev.ok("network", "create", "--subnet", "172.19.78.0/24", "devnet")
    engine.eye.call(
        "POST",
        "/containers/create?name=rootp",
        {
            "Image": "alpine",
            "Cmd": ["sleep", "1000"],
            "ExposedPorts": {"80/tcp": {}},
            "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": port}]}},
        },
    )
    engine.eye.call("POST", "/containers/rootp/start")
    undone = work(hostadmin, "undo", plan["id"])
    told = {i["name"]: i["message"] for i in undone["items"] if i["status"] != "restored"}
    assert set(told) == {"ashuc", "ashun", "ashup", "shared", "ashunet"}
    assert "its volume 'shared' is not back" in told["ashuc"]
    assert "overlaps" in told["ashunet"]
    assert "its network 'ashunet' is not back" in told["ashun"]
    assert "port is already allocated" in told["ashup"]
    assert holdings(ashu)["containers"] == []
    assert not any(n.startswith("ashu") for n in engine.eye.containers().values()), "what was made in half is taken away"
    judge_owners = hostadmin.rows(
        "select u.login from objects o join users u on u.id = o.owner_id where o.name = 'shared' and o.gone_at is null"
    )
    assert judge_owners == [("dev",)]
    dev.ok("volume", "rm", "shared")
    dev.ok("network", "rm", "devnet")
    engine.eye.call("DELETE", "/containers/rootp?force=1")
    assert work(hostadmin, "undo", plan["id"])["counts"] == {"restored": 5}
    assert ashu.ok("exec", "ashuc", "ls", "/d") == ""


def test_without_a_grace_time_it_is_gone_for_good(stage: tuple[Engine, Hostadmin], students: tuple[Student, ...]) -> None:
    engine, hostadmin = stage
    ashu = students[0]
    first_images = images(engine)
    ashu.ok("run", "-itd", "--name", "ashuc", "-v", "ashudata:/d", "alpine")
    text = hostadmin.config.read_text()
    hostadmin.config.write_text(f"{text}[users]\nreset_hours = 0\n")
    try:
        plan = work(hostadmin, "plan", "ashu")
        assert [(i["name"], i["recoverable"]) for i in plan["items"]] == [("ashuc", False), ("ashudata", False)]
        done = work(hostadmin, "apply", plan["id"])
        assert (done["counts"], done["state"]) == ({"done": 2}, "purged")
        assert "key" in work(hostadmin, "undo", plan["id"])
    finally:
        hostadmin.config.write_text(text)
    assert images(engine) == first_images
    assert hostadmin.rows("select count(*) from reset_items where plan_id = ?", plan["id"]) == [(0,)]
    assert engine.eye.volumes() == set()
