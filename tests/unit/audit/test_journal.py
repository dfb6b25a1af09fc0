"""The journal: an intent before, one outcome after, an event for a refusal; what is left open is closed once."""

import threading
from concurrent.futures import Future

import pytest

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Journal, Target, settled
from hostadmin.core.errors import Unavailable
from hostadmin.core.values import Actor
from hostadmin.store import audit, facts

ACTOR = Actor("unix", "docker-socket", account="acc", login="ashu", uid=2000, pid=1, loginuid=2000)


def records(database):
    with database.read() as tx:
        return audit.list_records(tx)


def entry(**more):
    return Entry(ACTOR, Action.CONTAINER_START, Target("container", "a" * 64, "c1", "acc"), "rule", **more)


def test_intent_and_outcome_belong_together_with_the_rows_they_explain(database):
    journal = Journal(database, "guard")
    intent = journal.intent(entry(), also=lambda tx: facts.put(tx, "claimed", 1))
    with database.read() as tx:
        assert facts.get(tx, "claimed") == 1
    journal.outcome(intent, "ok", also=lambda tx: facts.put(tx, "done", 1))
    first, second = records(database)
    assert (first["stage"], second["stage"], second["of_seq"], second["status"]) == ("intent", "outcome", first["seq"], "ok")
    assert first["req"] == second["req"]
    assert first["actor"]["loginuid"] == 2000
    with database.read() as tx:
        assert facts.get(tx, "done") == 1


def test_an_outcome_is_written_once(database):
    journal = Journal(database, "guard")
    intent = journal.intent(entry())
    journal.outcome(intent, "ok")
    journal.outcome(intent, "error", also=lambda tx: facts.put(tx, "twice", 1))
    assert len(records(database)) == 2
    with database.read() as tx:
        assert facts.get(tx, "twice") is None


def test_an_outcome_whose_rows_fail_is_not_written(database):
    journal = Journal(database, "guard")
    intent = journal.intent(entry())
    with pytest.raises(ZeroDivisionError):
        journal.outcome(intent, "ok", also=lambda tx: 1 / 0)
    assert len(records(database)) == 1
    journal.outcome(intent, "error")
    assert [r["stage"] for r in records(database)] == ["intent", "outcome"]


def test_what_an_earlier_run_left_open_is_closed_once(database):
    dead = Journal(database, "service")
    dead.boot = "1:1"
    dead.intent(entry())
    alive = Journal(database, "service")
    alive.intent(entry())
    assert alive.close_left_open() == 1
    assert alive.close_left_open() == 0
    found = records(database)
    assert [(r["stage"], r["status"]) for r in found] == [("intent", None), ("intent", None), ("recovered", "unknown")]
    assert found[2]["of_seq"] == found[0]["seq"]


def test_records_are_found_by_what_people_ask(database):
    journal = Journal(database, "guard")
    journal.event(entry())
    journal.event(Entry(Actor("unix", "x", login="dev"), Action.IMAGE_TAG), decision="deny")
    with database.read() as tx:
        assert [r["actor_login"] for r in audit.list_records(tx, actor="dev")] == ["dev"]
        assert len(audit.list_records(tx, action="container")) == 1
        assert len(audit.list_records(tx, action="contain")) == 0
        assert len(audit.list_records(tx, object_="c1")) == 1
        assert len(audit.list_records(tx, decision="allow")) == 0
        assert [r["seq"] for r in audit.list_records(tx, limit=1)] == [2]
        assert [r["seq"] for r in audit.list_records(tx, after_seq=1)] == [2]


def test_a_record_that_comes_too_late_never_comes(database):
    """Whoever has given up on an intent does nothing; so it must not appear afterwards either."""
    journal = Journal(database, "service")
    busy, go = threading.Event(), threading.Event()
    database.submit(lambda _tx: (busy.set(), go.wait(10)))
    assert busy.wait(10)
    waiting = journal.submit_intent(entry())
    with pytest.raises(Unavailable):
        settled(waiting, 0.01)
    go.set()
    database.write(lambda _tx: None)
    assert records(database) == []


def test_a_record_that_is_just_being_written_is_waited_for():
    future = Future()
    future.set_running_or_notify_cancel()
    threading.Timer(0.1, future.set_result, [7]).start()
    assert settled(future, 0.01) == 7
