"""Prunes of the caller's own things; the engine's own prune, which takes everybody's, is never called.

Each one: list what is the caller's, select (``policy/prune.py``), look at each once more, remove it by id and
without force, record it. What the engine will not remove (used by anybody) stays, as in the engine's own prune.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Target
from hostadmin.core.clock import now
from hostadmin.core.values import Kind
from hostadmin.guard.exchange import Exchange
from hostadmin.guard.layers import total_size
from hostadmin.guard.query import build_filters
from hostadmin.guard.refusal import Refusal, malformed
from hostadmin.guard.rules import imageremoval, resolve, usage
from hostadmin.policy.prune import (
    Selection,
    networks_needed,
    read_selection,
    select_containers,
    select_images,
    select_networks,
    select_volumes,
)
from hostadmin.store import objects
from hostadmin.store.database import Tx

Item = dict[str, Any]
RUNNING: Final = "a prune operation is already running"


def _selection(x: Exchange, kind: str) -> Selection:
    try:
        return read_selection(kind, x.query.filters(), x.version, now())
    except ValueError as error:
        raise malformed(str(error)) from None


@contextlib.asynccontextmanager
async def alone(x: Exchange, group: str) -> AsyncIterator[None]:
    """One prune at a time, as in the engine, but per person (containers and networks share a flag there)."""
    lock = x.guard.lock(f"prune:{x.caller.owner}:{group}")
    if lock.locked():
        raise Refusal(409, RUNNING, "prune", recorded=False)
    async with lock:
        yield


async def _carry_out(
    x: Exchange, kind: Kind, chosen: list[Item], remove: Callable[[Exchange, Item, str], Awaitable[list[Any]]]
) -> list[Any]:
    """Remove what was chosen, one by one, under one record of the whole prune; return what went."""
    intent = await x.intend(x.entry(Target(kind, owner=x.caller.owner), detail={"chosen": len(chosen)}))
    gone: list[Any] = []
    status = "unknown"
    try:
        for item in chosen:
            gone += await remove(x, item, intent.entry.req)
        status = "ok"
    finally:
        await x.conclude(intent, status, detail={"removed": len(gone)})
    return gone


async def _delete(x: Exchange, action: Action, about: Target, parent: str, *segments: str) -> bool:
    """Remove one object without force, recorded; return whether it is gone."""
    intent = await x.intend(x.entry(about, action=action, detail={"parent": parent}))
    status, code = "unknown", 0

    def done(tx: Tx) -> None:
        objects.mark_gone(tx, Kind(str(about.kind)), [str(about.id)])

    try:
        response = await x.ask("DELETE", *segments)
        await response.read()
        code = response.status
        status = "ok" if code < 400 else "error"
    finally:
        await x.conclude(intent, status, also=done if status == "ok" else None, detail={"http": code, "parent": parent})
    return status == "ok"


# -- containers, networks, volumes --------------------------------------------------------------


async def containers(x: Exchange) -> None:
    """Remove the caller's containers that do not run."""
    await x.read_nothing()
    selection = _selection(x, "container")
    async with alone(x, "containers"):
        stopped = [c["Id"] for c in await usage.own_containers(x) if c.get("State") not in usage.ACTIVE]
        found = [c for c in [await _inspect_container(x, ref) for ref in stopped] if c is not None]
        gone = await _carry_out(x, Kind.CONTAINER, select_containers(found, selection), _remove_container)
    reclaimed = sum(max(int(c.get("SizeRw") or 0), 0) for c in gone)
    x.send_json(200, {"ContainersDeleted": [c["Id"] for c in gone] or None, "SpaceReclaimed": reclaimed})


async def _inspect_container(x: Exchange, ref: str) -> Any:
    return await x.look("containers", ref, "json", query=[("size", "1")])


async def _remove_container(x: Exchange, item: Item, parent: str) -> list[Item]:
    again = await x.look("containers", item["Id"], "json")
    if again is None or again["State"]["Running"]:
        return []
    about = Target("container", item["Id"], item["Name"].removeprefix("/"), x.caller.owner)
    return [item] if await _delete(x, Action.CONTAINER_REMOVE, about, parent, "containers", item["Id"]) else []


async def networks(x: Exchange) -> None:
    """Remove the caller's networks that nothing is on and no container names, stopped ones included."""
    await x.read_nothing()
    selection = _selection(x, "network")
    async with alone(x, "containers"):
        mine = sorted(x.guard.ledger.owned(Kind.NETWORK, x.caller.owner))
        found = [n for n in [await x.look("networks", ref) for ref in mine] if n is not None]
        chosen = select_networks(found, selection, await _networks_needed(x))
        gone = await _carry_out(x, Kind.NETWORK, chosen, _remove_network)
    x.send_json(200, {"NetworksDeleted": [n["Name"] for n in gone] or None})


async def _networks_needed(x: Exchange) -> frozenset[str]:
    return networks_needed(await x.look("containers", "json", query=[("all", "1")]))


async def _remove_network(x: Exchange, item: Item, parent: str) -> list[Item]:
    again = await x.look("networks", item["Id"])
    if again is None or again.get("Containers"):
        return []
    about = Target("network", item["Id"], item["Name"], x.caller.owner)
    return [item] if await _delete(x, Action.NETWORK_REMOVE, about, parent, "networks", item["Id"]) else []


async def volumes(x: Exchange) -> None:
    """Remove the caller's volumes that no container mounts, anybody's; from 1.42 only unnamed ones, unless ``all``."""
    await x.read_nothing()
    selection = _selection(x, "volume")
    async with alone(x, "volumes"):
        mine = x.guard.ledger.owned(Kind.VOLUME, x.caller.owner)
        listed = (await x.look("volumes", query=build_filters({"dangling": ["true"]})))["Volumes"] or []
        chosen = select_volumes([v for v in listed if v["Name"] in mine], selection)
        sizes = await x.guard.volume_sizes.of(x, [v["Name"] for v in chosen])
        gone = await _carry_out(x, Kind.VOLUME, chosen, _remove_volume)
    reclaimed = sum(max(int(sizes[v["Name"]]["Size"]), 0) for v in gone)
    x.send_json(200, {"VolumesDeleted": [v["Name"] for v in gone], "SpaceReclaimed": reclaimed})


async def _remove_volume(x: Exchange, item: Item, parent: str) -> list[Item]:
    name = item["Name"]
    async with x.guard.lock(f"volume:{name}"):
        again = await x.look("volumes", name)
        if x.guard.ledger.owners(Kind.VOLUME).get(name) != x.caller.owner or not _same_volume(item, again):
            return []
        about = Target("volume", name, name, x.caller.owner)
        return [item] if await _delete(x, Action.VOLUME_REMOVE, about, parent, "volumes", name) else []


def _same_volume(listed: Item, again: Item | None) -> bool:
    """Tell whether a name still is the volume that was selected: it may have been removed and made anew meanwhile."""
    members = ("CreatedAt", "Driver", "Labels", "Options")
    return again is not None and all((again.get(m) or None) == (listed.get(m) or None) for m in members)


# -- images -------------------------------------------------------------------------------------


async def prune_images(x: Exchange) -> None:
    """Give up the caller's images without a tag, or (``dangling=false``) all of theirs that no container uses.

    Only the caller's own references go; data goes when nobody else holds it.
    """
    await x.read_nothing()
    selection = _selection(x, "image")
    async with alone(x, "images"):
        visible = await usage.visible_images(x)
        inspected = [await x.look("images", i["Id"], "json") for i in visible]
        found = [seen for image in inspected if image is not None and (seen := _seen(x, image)) is not None]
        used = frozenset(c["ImageID"] for c in await x.look("containers", "json", query=[("all", "1")]))
        before = await usage.read_stacks(x, visible)
        gone = await _carry_out(x, Kind.IMAGE, select_images(found, selection, used), _remove_image)
    deleted = {d["Deleted"] for d in gone if "Deleted" in d}
    reclaimed = total_size(before) - total_size([s for s in before if s.image not in deleted])
    x.send_json(200, {"ImagesDeleted": gone or None, "SpaceReclaimed": reclaimed})


def _seen(x: Exchange, image: Item) -> Item | None:
    """Return an image with the tags that the caller sees, if anything of it is theirs."""
    own, _ = imageremoval.owned_tags(x, image)
    if not own and image["Id"] not in x.guard.ledger.held(x.caller.owner):
        return None
    return {**image, "RepoTags": resolve.visible_tags(x, image.get("RepoTags") or [], image["Id"])}


async def _remove_image(x: Exchange, item: Item, parent: str) -> list[dict[str, str]]:
    return await imageremoval.give_up(x, item["Id"], parent)


async def nothing(x: Exchange) -> None:
    """Answer a prune of the build cache, which is everybody's: nothing was taken. Hostadmin's own jobs clean it.

    An answer, not a refusal: ``docker system prune`` asks for this last, and would fail as a whole.
    """
    await x.read_nothing()
    x.send_json(200, {"CachesDeleted": None, "SpaceReclaimed": 0})
