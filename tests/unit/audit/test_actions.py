"""The list of actions is exact: nothing is written that is not in it (the type says so), and each is used."""

from pathlib import Path

from hostadmin.audit.actions import Action

SOURCES = Path(__file__).parents[3] / "hostadmin"


def test_every_action_is_used():
    text = "".join(p.read_text() for p in SOURCES.rglob("*.py") if p.name != "actions.py")
    unused = [a.name for a in Action if f"Action.{a.name}" not in text]
    assert not unused, f"remove them from audit/actions.py: {unused}"
