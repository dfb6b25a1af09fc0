"""The stage of resets: three students with everything that a reset must bring back, and what judges it."""

from collections.abc import Iterator
from typing import Any

import pytest

from hostadmin.core.images import RESETS, familiar
from tests.integration.ledger import await_agreement
from tests.integration.people import Student
from tests.integration.stage import Engine, Hostadmin, make_stage, until

FAR = "2099-01-01T00:00:00Z"
NAMES = ["ashucreated", "ashudb", "ashuended", "ashujoin", "ashupaused", "ashurm", "ashuweb"]


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[Engine, Hostadmin]]:
    """Three students; ``rohit`` is nobody's business."""
    with make_stage() as (engine, hostadmin):
        for login in ("ashu", "dev", "rohit"):
            assert hostadmin.run("user", "add", login, "--docker").returncode == 0
        yield engine, hostadmin


@pytest.fixture
def students(stage: tuple[Engine, Hostadmin]) -> Iterator[tuple[Student, Student, Student]]:
    """Three students with nothing before and after."""
    everybody = Student("ashu"), Student("dev"), Student("rohit")
    yield everybody
    for student in everybody:
        for kind, listing in (("container", ["-aq"]), ("volume", ["-q"]), ("network", ["-q", "--filter", "type=custom"])):
            refs = student.ok(kind, "ls", *listing).split()
            if refs:
                student.docker(kind, "rm", *(["-f"] if kind == "container" else []), *refs)


def holdings(student: Student) -> dict[str, list[str]]:
    """Return the names that a student sees."""
    return {
        "containers": sorted(student.ok("ps", "-a", "--format", "{{.Names}}").split()),
        "networks": sorted(student.ok("network", "ls", "--filter", "type=custom", "--format", "{{.Name}}").split()),
        "volumes": sorted(student.ok("volume", "ls", "-q").split()),
        "images": sorted(student.ok("images", "-a", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").split()),
    }


def whole(engine: Engine, student: Student) -> dict[str, Any]:
    """Return everything about what a student has, as the engine says it."""
    return {ref: engine.eye.container(ref) for ref in student.ok("ps", "-aq", "--no-trunc").split()}


def snapshots(engine: Engine) -> list[str]:
    """Return the tags of the snapshots in the engine."""
    return [t for t in engine.eye.tags() if t.startswith(familiar(RESETS))]


def images(engine: Engine) -> set[str]:
    """Return the ids of all images, intermediate ones too."""
    return {i["Id"] for i in engine.eye.get("/images/json?all=1")}


def judge_ledger(engine: Engine, hostadmin: Hostadmin) -> None:
    """Ledger and engine agree, everything has an owner, every record its outcome."""
    await_agreement(engine, hostadmin)
    until("no intent is open", lambda: not hostadmin.rows("select * from audit_open"))
    orphans = "select kind, name from objects where owner_id is null and gone_at is null and kind != 'image' and attribution != 'engine'"
    assert hostadmin.rows(orphans) == []
