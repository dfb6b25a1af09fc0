"""Stored plans: with their steps, and without."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hostadmin.store import plans
from hostadmin.store.database import Database
from hostadmin.store.migrate import upgrade
from hostadmin.store.plans import Step


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'ledger.db'}")
    upgrade(database)
    yield database
    database.close()


def test_heads_are_plans_without_their_steps(database: Database) -> None:
    """Newest first, of that kind only, each with how many steps there are of each action and status."""
    older = database.write(lambda tx: plans.store(tx, "roster", [Step("create", "a", {}), Step("create", "b", {})], {"cohort": "x"}))
    newer = database.write(lambda tx: plans.store(tx, "roster", [], {"cohort": "y"}))
    database.write(lambda tx: plans.store(tx, "cleanup.images", [Step("remove", "a", {})]))
    database.write(lambda tx: plans.set_step(tx, older.id, "a", "done", action="create"))
    with database.read() as tx:
        found = plans.heads(tx, "roster")
        assert [(h.id, h.detail, dict(h.counts)) for h in found] == [
            (newer.id, {"cohort": "y"}, {}),
            (older.id, {"cohort": "x"}, {("create", "done"): 1, ("create", "planned"): 1}),
        ]
        assert plans.heads(tx, "roster", limit=1) == found[:1]
        whole = plans.get(tx, older.id)
        assert whole is not None
        assert whole.head == found[1]


@pytest.mark.parametrize(
    ("status", "begun"), [("planned", False), ("undone", False), ("begun", True), ("failed", True), ("undoing", True), ("done", True)]
)
def test_what_has_begun(database: Database, status: str, begun: bool) -> None:
    """A step that failed may have got half-way: there may be something to take back."""
    plan = database.write(lambda tx: plans.store(tx, "roster", [Step("change", "a", {})]))
    database.write(lambda tx: plans.set_step(tx, plan.id, "a", status))
    with database.read() as tx:
        assert plans.heads(tx, "roster")[0].begun is begun


def test_heads_of_one_class_however_many_others_there_are(database: Database) -> None:
    mine = database.write(lambda tx: plans.store(tx, "roster", [], {"cohort": "mine"}))
    for _ in range(101):
        database.write(lambda tx: plans.store(tx, "roster", [], {"cohort": "other"}))
    with database.read() as tx:
        assert [h.id for h in plans.heads(tx, "roster", cohort="mine")] == [mine.id]
        assert len(plans.heads(tx, "roster")) == 100
        assert len(plans.heads(tx, "roster", limit=None)) == 102


def test_only_what_was_never_begun_is_dropped(database: Database) -> None:
    """Whatever is left of a plan that did anything stays, also what was taken back; so do others of another kind, and newer ones."""
    made = {}
    for status in ("planned", "begun", "done", "failed", "skipped", "undoing", "undone"):
        steps = [Step("change", "a", {}), Step("change", "b", {})]
        made[status] = database.write(lambda tx, s=steps: plans.store(tx, "roster", s)).id
        database.write(lambda tx, i=made[status], s=status: plans.set_step(tx, i, "b", s))
    made["empty"] = database.write(lambda tx: plans.store(tx, "roster", [])).id
    made["applied"] = database.write(lambda tx: plans.store(tx, "roster", [])).id
    database.write(lambda tx: plans.set_applied(tx, made["applied"]))
    made["another kind"] = database.write(lambda tx: plans.store(tx, "cohort.end", [])).id
    assert database.write(lambda tx: plans.drop_unused(tx, "roster", "2020-01-01T00:00:00Z")) == []
    dropped = database.write(lambda tx: plans.drop_unused(tx, "roster", "2999-01-01T00:00:00Z"))
    assert set(dropped) == {made["planned"], made["empty"]}
    with database.read() as tx:
        assert {name for name, plan_id in made.items() if plans.get(tx, plan_id) is None} == {"planned", "empty"}
