"""Resets that a kill has cut off: the next start finishes what was begun, as if nothing had happened."""

from pathlib import Path

import pytest

from tests.integration import resetting
from tests.integration.people import Student
from tests.integration.resetstage import FAR, holdings, judge_ledger, stage, students, whole
from tests.integration.resetworld import SECRET, cut_off_at_every_step, differences, troubles, volume_content, work
from tests.integration.stage import Engine, Hostadmin, until

__all__ = ["stage", "students"]  # fixtures
pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]


def make_things(ashu: Student) -> None:
    """Give a student a running container in a network of their own, with a volume."""
    ashu.ok("network", "create", "ashunet1")
    ashu.ok("run", "-itd", "--name", "ashuone", "--network", "ashunet1", "-v", "ashudata:/data", "-e", f"TOKEN={SECRET}", "alpine")
    ashu.ok("exec", "ashuone", "sh", "-c", "echo deep >/data/a; echo inside >/inside")


def test_killed_at_every_step_the_next_start_comes_to_the_same(
    stage: tuple[Engine, Hostadmin], students: tuple[Student, ...], tmp_path: Path
) -> None:
    engine, hostadmin = stage
    ashu, _, rohit = students
    make_things(ashu)
    rohit.ok("run", "-itd", "--name", "rohitc1", "-v", "rohitdata:/d", "alpine")
    others, held, before = whole(engine, rohit), holdings(ashu), engine.eye.container("ashuone")
    plan = work(hostadmin, "plan", "ashu")

    deaths = cut_off_at_every_step(hostadmin, "apply", plan["id"], tmp_path / "apply")
    assert deaths > 25, deaths
    done = work(hostadmin, "show", plan["id"])
    assert (done["state"], done["counts"]) == ("done", {"done": 3}), troubles(done)
    assert holdings(ashu) == {"containers": [], "networks": [], "volumes": [], "images": held["images"]}
    judge_ledger(engine, hostadmin)

    deaths = cut_off_at_every_step(hostadmin, "undo", plan["id"], tmp_path / "undo")
    assert deaths > 25, deaths
    undone = work(hostadmin, "show", plan["id"])
    assert (undone["state"], undone["counts"]) == ("undone", {"restored": 3}), troubles(undone)
    assert holdings(ashu) == held
    assert differences(before, engine.eye.container("ashuone")) == {}
    assert ashu.ok("exec", "ashuone", "sh", "-c", "cat /data/a /inside; echo $TOKEN") == f"deep\ninside\n{SECRET}"
    assert whole(engine, rohit) == others
    assert hostadmin.rows("select * from facts where key like 'reset.cut-off.%'") == []
    judge_ledger(engine, hostadmin)


def test_the_service_goes_on_by_itself_once_the_engine_answers(
    stage: tuple[Engine, Hostadmin], students: tuple[Student, ...], tmp_path: Path
) -> None:
    engine, hostadmin = stage
    ashu = students[0]
    work(hostadmin, "purge", FAR)
    make_things(ashu)
    content = volume_content(engine, "ashudata")
    plan = work(hostadmin, "plan", "ashu")
    (tmp_path / "seen").write_text("before submit_intent reset.run cohort.reset\nafter submit_intent reset.run cohort.reset\n")
    assert resetting.work(hostadmin.config, "apply", plan["id"], tmp_path / "seen") is None, "killed at its first item"

    def state() -> str:
        return str(hostadmin.rows("select state from resets where plan_id = ?", plan["id"])[0][0])

    engine.stop()
    try:
        hostadmin.kill("service")
        until("the cut-off run is closed", lambda: not hostadmin.rows("select * from audit_open"))
        until("the service answers", lambda: hostadmin.run("job", "run", "cut-off").returncode == 0)
        assert state() == "running"
        work(hostadmin, "purge", FAR)
        assert state() == "running", "what is still to be finished is not forgotten"
    finally:
        engine.start()
    hostadmin.kill("service")
    until("it is finished", lambda: state() == "done")
    assert holdings(ashu)["containers"] == holdings(ashu)["volumes"] == holdings(ashu)["networks"] == []
    (cut, again) = hostadmin.rows(
        "select seq, detail from audit_records where action = 'reset.run' and stage = 'intent' order by seq desc limit 2"
    )[::-1]
    assert f'"continues":{cut[0]}' in again[1].replace(" ", "")
    assert work(hostadmin, "undo", plan["id"])["state"] == "undone"
    assert volume_content(engine, "ashudata") == content
    judge_ledger(engine, hostadmin)


def test_what_was_wanted_later_counts(stage: tuple[Engine, Hostadmin], students: tuple[Student, ...], tmp_path: Path) -> None:
    """Who undoes a reset that was cut off, before it could go on, has undone it."""
    engine, hostadmin = stage
    ashu = students[0]
    make_things(ashu)
    held = holdings(ashu)
    plan = work(hostadmin, "plan", "ashu")
    seen = tmp_path / "seen"
    with hostadmin.standing_still():
        for _ in range(12):
            assert resetting.work(hostadmin.config, "apply", plan["id"], seen) is None
        seen.unlink()
        for _ in range(2):
            assert resetting.work(hostadmin.config, "undo", plan["id"], seen) is None, "killed before and after the start has recorded it"
        assert hostadmin.rows("select 1 from facts where key = ?", f"reset.cut-off.{plan['id']}")
        assert work(hostadmin, "undo", plan["id"])["state"] == "undone"
    assert holdings(ashu) == held
    hostadmin.kill("service")
    until("the service answers", lambda: hostadmin.run("job", "run", "cut-off").returncode == 0)
    assert holdings(ashu) == held
    judge_ledger(engine, hostadmin)
