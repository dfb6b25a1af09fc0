"""Streams that have been granted: wait for their end and record it."""

import asyncio

from hostadmin.audit.journal import Intent
from hostadmin.guard.channel import Channel
from hostadmin.guard.exchange import Exchange


async def finish_stream(x: Exchange, intent: Intent | None, channel: Channel | None) -> None:
    """Wait until a granted stream has ended, then record its outcome with the byte counts."""
    if channel is not None:
        await asyncio.wait([channel.until_ended(), x.client.until_ended()])
    if intent is not None:
        counts = {"bytes_in": channel.sent_bytes, "bytes_out": channel.received_bytes} if channel else {}
        await x.conclude(intent, "ok" if channel is not None else "error", detail=counts)
