"""Resets without an engine: their states, what an item that is coming back means to resync, whose a snapshot's tag is."""

from datetime import UTC, datetime, timedelta

import pytest

from hostadmin.audit.journal import Journal
from hostadmin.core.clock import timestamp
from hostadmin.core.errors import Conflict, NotFound
from hostadmin.core.images import is_hostadmins, normalise
from hostadmin.core.values import Attribution, Kind, system_actor
from hostadmin.objects.removals import is_safe
from hostadmin.objects.resets import Resets
from hostadmin.objects.resync import Found, put_found
from hostadmin.store import objects, plans, resets, users
from hostadmin.store.resets import Item, ItemState, ResetState

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
ACTOR = system_actor("system")


class NoEngine:
    """Has nothing."""

    def disk_usage(self):
        return {}

    def list_containers(self, _filters=None):
        return []


@pytest.fixture
def service(database, tmp_path):
    return Resets(database, Journal(database, "service"), NoEngine(), directory=tmp_path / "resets", hours=24, clock=lambda: NOW)


@pytest.fixture
def user(database):
    return database.write(lambda tx: users.add(tx, login="ashu", uid=1001, gid=1001, home="/home/ashu", profile="student"))


def test_a_reset_of_nothing_has_its_states(service, user):
    plan = service.plan([user], ACTOR)
    assert (plan["state"], plan["items"], plan["counts"], plan["hours"]) == ("planned", [], {}, 24)
    assert service.list() == []
    with pytest.raises(Conflict, match="planned"):
        service.undo(ACTOR, plan["id"])
    done = service.apply(ACTOR, plan["id"])
    assert (done["state"], done["until"]) == ("done", timestamp(NOW + timedelta(hours=24)))
    assert [r["id"] for r in service.list()] == [plan["id"]]
    with pytest.raises(Conflict, match="done already"):
        service.apply(ACTOR, plan["id"])
    assert service.undo(ACTOR, plan["id"])["state"] == "undone"
    with pytest.raises(Conflict, match="undone"):
        service.undo(ACTOR, plan["id"])
    with pytest.raises(NotFound):
        service.apply(ACTOR, "nosuch")


def test_the_grace_time_is_the_plans_and_is_over_to_the_second(service, user, database):
    plan = service.plan([user], ACTOR)
    service.hours = 1
    service.apply(ACTOR, plan["id"])
    service.purge(NOW + timedelta(hours=24) - timedelta(seconds=1))
    assert service.show(plan["id"])["state"] == "done"
    service.purge(NOW + timedelta(hours=24))
    assert service.show(plan["id"])["state"] == "purged"
    with database.read() as tx:
        assert resets.over(tx, timestamp(NOW + timedelta(days=99))) == [], "nothing is due any more"


def test_one_at_a_time(service, user):
    plan = service.plan([user], ACTOR)
    with service._alone():
        with pytest.raises(Conflict, match="under way"):
            service.apply(ACTOR, plan["id"])
        assert service.purge(NOW) == 0


def an_item(tx, user, **values):
    plan = plans.store(tx, "cohort.reset", [])
    resets.add(tx, plan.id, 24)
    resets.change(tx, plan.id, state=ResetState.UNDOING, begun_at=timestamp(NOW))
    item = Item(plan.id, Kind.CONTAINER, "a" * 64, "web", user.id, Attribution.GUARD, ItemState.RESTORING, {}, {}, "req-1")
    resets.add_item(tx, item)
    resets.change_item(tx, item, **values)


@pytest.mark.parametrize(
    ("name", "req", "state", "recorded"),
    [
        ("web", "req-1", ItemState.RESTORING, False),
        ("web", "req-2", ItemState.RESTORING, True),
        ("other", "req-1", ItemState.RESTORING, True),
        ("web", "req-1", ItemState.RESTORED, True),
    ],
)
def test_what_is_just_coming_back_is_nobodys_to_record(database, user, name, req, state, recorded):
    database.write(lambda tx: an_item(tx, user, state=state))
    found = Found("b" * 64, name, {}, labels={"io.hostadmin.owner": user.id, "io.hostadmin.req": req})
    database.write(lambda tx: put_found(tx, Kind.CONTAINER, found, timestamp()))
    with database.read() as tx:
        assert (objects.find(tx, Kind.CONTAINER, "b" * 64) is not None) == recorded


def test_tags_of_snapshots_are_hostadmins_alone():
    assert is_hostadmins(normalise("hostadmin-reset/0190:abc"))
    assert is_hostadmins(normalise("docker.io/hostadmin-kept/x:kept"))
    assert not is_hostadmins(normalise("hostadmin-reset:abc"))
    assert not is_hostadmins(normalise("quay.io/hostadmin-reset/x"))


@pytest.mark.parametrize(
    ("state", "minutes", "found", "safe"),
    [
        (ItemState.BEGUN, 0, {}, False),
        (ItemState.SAVED, 1, {}, True),
        (ItemState.SAVED, 11, {}, False),
        (ItemState.SAVED, 1, {"State": {"Running": False}}, True),
        (ItemState.SAVED, 1, {"State": {"Running": True, "Paused": True}}, True),
        (ItemState.SAVED, 1, {"State": {"Running": True, "Paused": False}}, False),
    ],
)
def test_what_was_saved_just_now_is_not_saved_again_half_gone(state, minutes, found, safe):
    saved = {"at": timestamp(NOW - timedelta(minutes=minutes))}
    item = Item("plan", Kind.VOLUME, "v", "v", "o", Attribution.GUARD, state, {}, saved)
    assert is_safe(item, found, NOW) == safe
