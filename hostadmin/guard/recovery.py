"""After a kill: close the intents that an earlier guard left without an outcome (``audit.md`` 3.8).

The engine is asked what became of each; the verdict is ``done``, ``not-done`` or ``unknown``.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from hostadmin.audit.actions import Action
from hostadmin.core.errors import HostadminError
from hostadmin.core.images import normalise
from hostadmin.core.labels import REQUEST_LABEL
from hostadmin.core.values import Attribution, Kind
from hostadmin.guard.channel import Gone
from hostadmin.guard.refusal import Refusal
from hostadmin.guard.target import VERSION_LOWEST, dotted
from hostadmin.guard.upstream import Upstream
from hostadmin.store import audit, images, objects
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
REMOVALS: Final = (Action.CONTAINER_REMOVE, Action.NETWORK_REMOVE, Action.VOLUME_REMOVE)
RUNNING: Final = {Action.CONTAINER_START: True, Action.CONTAINER_STOP: False, Action.CONTAINER_KILL: False}
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
    try:
        action = Action(record["action"])
    except ValueError:
        return "unknown", None
    if action is Action.CONTAINER_CREATE:
        return await _created_container(upstream, record)
    if action in LISTS:
        return await _created(upstream, record, action)
    if action in REMOVALS:
        return await _removed(upstream, record)
    if action in RUNNING:
        found = await _look(upstream, f"/containers/{record['object_id']}/json")
        running = bool(found) and found["State"]["Running"]
        return "done" if running is RUNNING[action] else "unknown", None
    if record["detail"].get("tags"):
        return await _tagged(upstream, record)
    return "unknown", None


async def _look(upstream: Upstream, path: str) -> Any:
    """Return the JSON of a GET, ``None`` if there is nothing."""
    response = await upstream.request("GET", PREFIX + path)
    value = await response.json()
    return value if response.status == 200 else None


async def _tagged(upstream: Upstream, record: dict[str, Any]) -> Verdict:
    """Settle tags that were claimed: who claimed one that is there now holds its image."""
    found = {}
    for tag in record["detail"]["tags"]:
        image = await _look(upstream, f"/images/{quote(tag, safe='/:@')}/json")
        if image is not None:
            found[normalise(tag)] = image["Id"]
    claimed = [normalise(tag) for tag in record["detail"]["tags"]]
    owner = record["actor_account"]

    def settle(tx: Tx) -> None:
        for tag, image in found.items():
            images.put_tag(tx, tag, image, owner)
            images.hold(tx, image, owner, "recovered")
        images.drop_tags(tx, [tag for tag in claimed if tag not in found])

    return "unknown" if found else "not-done", settle if owner else None


async def _created_container(upstream: Upstream, record: dict[str, Any]) -> Verdict:
    """As ``_created``; volumes that were claimed with the container and never made are nobody's again."""
    status, also = await _created(upstream, record, Action.CONTAINER_CREATE)
    missing = [v for v in record["detail"].get("volumes", []) if await _look(upstream, f"/volumes/{v}") is None]

    def settle(tx: Tx) -> None:
        if also is not None:
            also(tx)
        objects.mark_gone(tx, Kind.VOLUME, missing)

    return status, settle


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
    if await _look(upstream, path[kind]) is not None:
        return "not-done", None
    return "done", lambda tx: objects.mark_gone(tx, kind, [ref])
