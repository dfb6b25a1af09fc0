"""Rows that refuse: with the reason of the row, or as an engine outside swarm mode does."""

from typing import Final

from hostadmin.guard.exchange import Exchange
from hostadmin.guard.refusal import Refusal

NO_SWARM: Final = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.'
)


async def refused(x: Exchange) -> None:
    """Refuse with the row's reason."""
    raise Refusal(403, f"hostadmin refused {x.route.operation}: {x.route.reason}", "operation")


async def no_swarm(x: Exchange) -> None:
    """Answer as an engine outside swarm mode: clients cope with that."""
    raise Refusal(503, NO_SWARM, "operation", recorded=x.route.action is not None)


async def empty_list(x: Exchange) -> None:
    """Answer an empty list."""
    await x.read_nothing()
    x.send_json(200, [])


async def no_such_plugin(x: Exchange) -> None:
    """Answer that there is no such plugin."""
    raise Refusal(404, f'plugin "{x.params[0]}" not found', "ownership", recorded=False)
