"""How much of the guard one person may take."""

import asyncio

import pytest

from hostadmin.guard.limits import Crowd, Limits, Turns
from hostadmin.guard.refusal import Refusal


def test_one_persons_crowd_does_not_keep_the_others_out():
    crowd = Crowd(Limits(connections_per_user=2, connections=100))
    crowd.enter("ashu")
    crowd.enter("ashu")
    with pytest.raises(Refusal, match="2 connections") as refused:
        crowd.enter("ashu")
    assert refused.value.status == 429
    crowd.enter("dev")
    crowd.leave("ashu")
    crowd.enter("ashu")


def test_all_together_have_a_limit_and_who_was_turned_away_was_not_counted():
    crowd = Crowd(Limits(connections_per_user=5, connections=2))
    crowd.enter("a")
    crowd.enter("b")
    for _ in range(3):
        with pytest.raises(Refusal) as refused:
            crowd.enter("c")
        assert refused.value.status == 503
    crowd.leave("a")
    crowd.enter("c")


def test_limits_fit_into_the_descriptors_that_there_are():
    assert Limits().within(1 << 20).connections == Limits().connections
    assert Limits().within(1024).connections == 384
    assert Limits().within(1).connections == 1


def test_turns_are_given_in_order_and_per_person():
    async def check():
        turns = Turns(2)
        await turns.take("ashu")
        await turns.take("ashu")
        order = []

        async def wait(name):
            await turns.take("ashu")
            order.append(name)

        waiting = [asyncio.create_task(wait(n)) for n in ("first", "second", "third")]
        await asyncio.wait_for(turns.take("dev"), 1)
        await asyncio.sleep(0)
        assert order == []
        turns.give_back("ashu")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert order == ["first"]
        waiting[1].cancel()
        await asyncio.sleep(0)
        turns.give_back("ashu")
        await asyncio.gather(*waiting, return_exceptions=True)
        assert order == ["first", "third"], "who gave up is passed over"
        for _ in range(2):
            turns.give_back("ashu")
        turns.give_back("dev")
        assert not turns._under_way
        assert not turns._waiting

    asyncio.run(check())


def test_a_turn_that_was_handed_over_to_somebody_who_gave_up_is_free_again():
    async def check():
        turns = Turns(1)
        await turns.take("a")
        late = asyncio.create_task(turns.take("a"))
        await asyncio.sleep(0)
        turns.give_back("a")
        late.cancel()
        await asyncio.gather(late, return_exceptions=True)
        await asyncio.wait_for(turns.take("a"), 1)

    asyncio.run(check())
