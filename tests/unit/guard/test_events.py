"""What an event stream is written as, and how long an event waits for the ledger."""

import asyncio

import pytest

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry
from hostadmin.core.values import system_actor
from hostadmin.guard.making import Making
from hostadmin.guard.rules.events import choose_media

OLD, NEW = (1, 41), (1, 52)


@pytest.mark.parametrize(
    ("accept", "version", "engine", "media"),
    [
        ("", OLD, OLD, "application/json"),
        ("application/x-ndjson", OLD, OLD, "application/json"),
        ("", OLD, NEW, "application/json"),
        ("", NEW, NEW, "application/jsonl"),
        ("*/*", NEW, NEW, "application/jsonl"),
        ("application/json", NEW, NEW, "application/jsonl"),
        ("application/x-ndjson", NEW, NEW, "application/x-ndjson"),
        ("application/json-seq", OLD, NEW, "application/json-seq"),
        ("application/json-seq;q=0.5, application/x-ndjson;q=0.9", NEW, NEW, "application/x-ndjson"),
        ("application/json-seq;q=0", NEW, NEW, "application/jsonl"),
        ("application/json-seq;q=junk", NEW, NEW, "application/jsonl"),
        ("application/json-seq, application/jsonl", NEW, NEW, "application/jsonl"),
    ],
)
def test_the_media_type_is_negotiated_as_the_engine_does(accept, version, engine, media):
    assert choose_media(accept, version, engine) == media


def entry(action):
    return Entry(system_actor("engine"), action)


def test_an_event_waits_for_the_create_that_it_may_tell_of_and_for_no_other():
    async def run():
        making = Making()
        mine, other = entry(Action.CONTAINER_CREATE), entry(Action.CONTAINER_CREATE)
        making.begin(mine)
        making.begin(other)
        making.begin(entry(Action.CONTAINER_START))
        assert not await making.settle(lambda e: e.req == "nobody's")
        waiting = asyncio.ensure_future(making.settle(lambda e: e is mine))
        await asyncio.sleep(0)
        assert not waiting.done()
        making.end(mine)
        assert await waiting
        assert not await making.settle(lambda e: e.action is Action.CONTAINER_START)
        making.end(other)
        making.end(other)

    asyncio.run(run())


def test_a_create_that_hangs_does_not_hold_events_up_for_ever(monkeypatch):
    monkeypatch.setattr("hostadmin.guard.making.PATIENCE_SECONDS", 0.01)

    async def run():
        making = Making()
        making.begin(entry(Action.NETWORK_CREATE))
        assert await making.settle(lambda _: True)

    asyncio.run(run())
