"""One prune at a time per person and kind, as the engine has it; another person's is no obstacle."""

import asyncio
from types import SimpleNamespace

import pytest

from hostadmin.guard.refusal import Refusal
from hostadmin.guard.rules.prunes import alone


def test_a_second_prune_of_the_same_person_is_a_conflict_and_anothers_is_not():
    locks: dict[str, asyncio.Lock] = {}

    def exchange(owner):
        return SimpleNamespace(
            guard=SimpleNamespace(lock=lambda name: locks.setdefault(name, asyncio.Lock())), caller=SimpleNamespace(owner=owner)
        )

    async def run():
        async with alone(exchange("ashu"), "containers"):
            with pytest.raises(Refusal, match="a prune operation is already running") as refused:
                async with alone(exchange("ashu"), "containers"):
                    pass
            assert (refused.value.status, refused.value.recorded) == (409, False)
            async with alone(exchange("dev"), "containers"), alone(exchange("ashu"), "volumes"):
                pass
        async with alone(exchange("ashu"), "containers"):
            pass

    asyncio.run(run())
