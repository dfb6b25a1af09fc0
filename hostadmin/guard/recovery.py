"""Close the intents that have no verdict: an earlier guard was killed, or caller or engine were lost on the way.

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
from hostadmin.guard.upstream import LOOK_SECONDS, Upstream
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


class Unclear(Exception):  # an answer that settles nothing
    """The engine's answer tells nothing of what became of a change."""


async def recover(guard: "Guard") -> None:
    """Close every open intent of an earlier run; waits for the engine as long as it takes."""
    upstream = Upstream(guard.engine_socket)
    with guard.database.read() as tx:
        left = audit.open_intents(tx, "guard", not_boot=guard.journal.boot)
    for record in left:
        await _settle(guard, upstream, record)
    if left:
        LOG.warning("guard: closed %d records that an earlier run left open", len(left))
    upstream.close()


async def settle_unknown(guard: "Guard") -> None:
    """Close the intents of this run that lost their caller or their engine on the way, as soon as the engine can tell."""
    upstream = Upstream(guard.engine_socket)
    while True:
        seq = await guard.unknown.get()
        with guard.database.read() as tx:
            record = audit.get(tx, seq)
        if record is not None:
            await _settle(guard, upstream, record)


async def _settle(guard: "Guard", upstream: Upstream, record: dict[str, Any]) -> None:
    """Find out what became of one intent and write it down; waits for the engine as long as it takes."""
    while True:
        try:
            async with upstream.within(LOOK_SECONDS):
                status, also = await _verdict(upstream, record)
            await asyncio.wrap_future(guard.journal.submit_recovery(record, status, also=also))
        except (Refusal, Gone, HostadminError):
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return


async def _verdict(upstream: Upstream, record: dict[str, Any]) -> Verdict:
    """Ask the engine what became of one intent."""
    try:
        action = Action(record["action"])
        if action is Action.CONTAINER_CREATE:
            return await _created_container(upstream, record)
        if action in LISTS:
            return await _created(upstream, record, action)
        if action in REMOVALS:
            return await _removed(upstream, record)
        if action in RUNNING:
            return await _running(upstream, record, action)
        if record["detail"].get("tags"):
            return await _tagged(upstream, record)
    except (ValueError, Unclear):
        pass
    return "unknown", None


async def _running(upstream: Upstream, record: dict[str, Any], action: Action) -> Verdict:
    found = await _look(upstream, f"/containers/{_ref(record)}/json")
    running = found is not None and found["State"]["Running"]
    return "done" if found is not None and running is RUNNING[action] else "unknown", None


def _ref(record: dict[str, Any]) -> str:
    """Return the id of what a record is about, or the name where a request was recorded as it came."""
    return quote(record["object_id"] or record["object_name"] or "", safe="")


async def _look(upstream: Upstream, path: str) -> Any:
    """Return the JSON of a GET, ``None`` if there is nothing.

    Raises:
        Unclear: the engine's answer is an error of another kind.

    """
    response = await upstream.request("GET", PREFIX + path)
    value = await response.json()
    if response.status not in (200, 404):
        raise Unclear(response.status)
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
    """As ``_created``; the volumes that came with the container are its owner's, those that were never made are nobody's."""
    status, also = await _created(upstream, record, Action.CONTAINER_CREATE)
    claimed = record["detail"].get("volumes", [])
    there = {volume for volume in claimed if await _look(upstream, f"/volumes/{quote(volume, safe='')}") is not None}
    if status == "done":
        there |= await _mounted(upstream, record)
    owner = record["actor_account"]

    def settle(tx: Tx) -> None:
        if also is not None:
            also(tx)
        objects.mark_gone(tx, Kind.VOLUME, [volume for volume in claimed if volume not in there])
        for volume in there if owner else ():
            objects.put(tx, Kind.VOLUME, volume, name=volume, owner_id=owner, attribution=Attribution.SIDE_EFFECT)

    return status, settle


async def _mounted(upstream: Upstream, record: dict[str, Any]) -> set[str]:
    """Return the volumes of the container that a request has made."""
    _, path, member = LISTS[Action.CONTAINER_CREATE]
    found = await _labelled(upstream, path, record["req"])
    made = await _look(upstream, f"/containers/{found[0][member]}/json") if found else None
    return {m["Name"] for m in (made or {}).get("Mounts") or [] if m.get("Type") == "volume" and m.get("Name")}


async def _labelled(upstream: Upstream, path: str, request: str) -> Any:
    """Return what carries a request's label."""
    filters = quote(json.dumps({"label": {f"{REQUEST_LABEL}={request}": True}}), safe="")
    value = await _look(upstream, f"{path}filters={filters}")
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
    kind, ref = Kind(record["object_kind"]), _ref(record)
    path = {Kind.CONTAINER: f"/containers/{ref}/json", Kind.NETWORK: f"/networks/{ref}", Kind.VOLUME: f"/volumes/{ref}"}
    if await _look(upstream, path[kind]) is not None:
        return "not-done" if record["object_id"] else "unknown", None
    return "done", lambda tx: objects.mark_gone(tx, kind, [record["object_id"] or ""])
