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
