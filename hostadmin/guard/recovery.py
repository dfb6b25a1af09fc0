"""After a kill: close the intents that an earlier guard left without an outcome (``audit.md`` 3.8).

The engine is asked what became of each; the verdict is ``done``, ``not-done`` or ``unknown``.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from hostadmin.audit.actions import Action
from hostadmin.core.errors import HostadminError
from hostadmin.core.labels import REQUEST_LABEL
from hostadmin.core.values import Attribution, Kind
from hostadmin.guard.channel import Gone
from hostadmin.guard.refusal import Refusal
from hostadmin.guard.target import VERSION_LOWEST, dotted
from hostadmin.guard.upstream import Upstream
from hostadmin.store import audit, objects
from hostadmin.store.database import Tx

if TYPE_CHECKING:
    from hostadmin.guard.server import Guard

LOG = logging.getLogger("hostadmin.guard")
RETRY_SECONDS: Final = 1.0
SETTLE_SECONDS: Final = 2.0
LISTS: Final = {
    Action.CONTAINER_CREATE: (Kind.CONTAINER, "/containers/json?all=1&", "Id"),
    Action.NETWORK_CREATE: (Kind.NETWORK, "/networks?", "Id"),
    Action.VOLUME_CREATE: (Kind.VOLUME, "/volumes?", "Name"),
}
PREFIX: Final = f"/v{dotted(VERSION_LOWEST)}"
Verdict = tuple[str, Callable[[Tx], object] | None]


async def recover(guard: "Guard") -> None:
    """Close every open intent of an earlier run; waits for the engine as long as it takes."""
    upstream = Upstream(guard.engine_socket)
    with guard.database.read() as tx:
        left = audit.open_intents(tx, "guard", not_boot=guard.journal.boot)
    for record in left:
        while True:
            try:
                status, also = await _verdict(upstream, record)
                future = guard.journal.submit_recovery(record, status, also=also)
                await asyncio.wrap_future(future)
                break
            except (Refusal, Gone, HostadminError):
                await asyncio.sleep(RETRY_SECONDS)
    if left:
        LOG.warning("guard: closed %d records that an earlier run left open", len(left))
    upstream.close()


async def _verdict(upstream: Upstream, record: dict[str, Any]) -> Verdict:
    """Ask the engine what became of one intent."""
    with contextlib.suppress(ValueError):
        action = Action(record["action"])
        if action in LISTS:
            return await _created(upstream, record, action)
        if action in (Action.CONTAINER_REMOVE, Action.NETWORK_REMOVE, Action.VOLUME_REMOVE):
            return await _removed(upstream, record)
    return "unknown", None


async def _labelled(upstream: Upstream, path: str, request: str) -> Any:
    """Return what carries a request's label."""
    filters = quote(json.dumps({"label": {f"{REQUEST_LABEL}={request}": True}}), safe="")
    value = await (await upstream.request("GET", f"{PREFIX}{path}filters={filters}")).json()
    found = value.get("Volumes") if isinstance(value, dict) else value
    return found or []


async def _created(upstream: Upstream, record: dict[str, Any], action: Action) -> Verdict:
    kind, path, member = LISTS[action]
    found = await _labelled(upstream, path, record["req"])
    if not found:
        await asyncio.sleep(SETTLE_SECONDS)  # the engine may still be at it
        found = await _labelled(upstream, path, record["req"])
    owner = record["actor_account"]
    if not found:
        name = record["object_name"]

        def withdraw(tx: Tx) -> None:
            if kind is Kind.VOLUME and name:
                objects.mark_gone(tx, kind, [name])

        return "not-done", withdraw
    ref, name = found[0][member], _name(found[0])

    def claim(tx: Tx) -> None:
        if owner:
            objects.put(tx, kind, ref, name=name, owner_id=owner, attribution=Attribution.GUARD)

    return "done", claim


def _name(item: dict[str, Any]) -> str:
    return str(item.get("Name") or (item.get("Names") or [""])[0].removeprefix("/"))


async def _removed(upstream: Upstream, record: dict[str, Any]) -> Verdict:
    kind, ref = Kind(record["object_kind"]), record["object_id"]
    path = {Kind.CONTAINER: f"/containers/{ref}/json", Kind.NETWORK: f"/networks/{ref}", Kind.VOLUME: f"/volumes/{ref}"}
    response = await upstream.request("GET", PREFIX + path[kind])
    await response.read()
    if response.status != 404:
        return "not-done", None
    return "done", lambda tx: objects.mark_gone(tx, kind, [ref])
