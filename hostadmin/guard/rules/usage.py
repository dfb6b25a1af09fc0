"""``system df`` from the caller's own objects: nothing in it counts what others have.

The build cache is everybody's and shown to nobody: empty.
"""

from collections.abc import Callable
from typing import Any, Final

from hostadmin.core.values import Kind
from hostadmin.guard.exchange import Exchange
from hostadmin.guard.layers import Stack, read_stack, shared_sizes, total_size
from hostadmin.guard.query import build_filters
from hostadmin.guard.refusal import malformed
from hostadmin.guard.rules import containers, resolve
from hostadmin.guard.upstream import LOOK_SECONDS

Item = dict[str, Any]
TYPES: Final = ("container", "image", "volume", "build-cache")
TYPED_SINCE: Final = (1, 42)
USAGE_SINCE: Final = (1, 52)
ACTIVE: Final = ("running", "paused", "restarting")


async def disk_usage(x: Exchange) -> None:
    """Tell how much disk the caller's objects take, in the shape of the request's version."""
    await x.read_nothing()
    wanted = chosen_types(x)
    async with x.guard.lock(f"df:{x.caller.owner}"):
        found: dict[str, list[Item]] = {}
        items = await own_containers(x, size=True)
        if "container" in wanted:
            found["Containers"] = items
        layers = 0
        if "image" in wanted:
            found["Images"], layers = await _images(x, items)
        if "volume" in wanted:
            found["Volumes"] = await _volumes(x)
    if "build-cache" in wanted:
        found["BuildCache"] = []
    x.send_json(200, shape(x, found, layers))


def chosen_types(x: Exchange) -> set[str]:
    """Return the types of objects that a request asks for; up to 1.41 it cannot choose."""
    asked = x.query.texts("type")
    if x.version < TYPED_SINCE or not asked:
        return set(TYPES)
    for name in asked:
        if name not in TYPES:
            raise malformed(f"unknown object type: {name[:64]}")
    return set(asked)


async def own_containers(x: Exchange, *, size: bool = False) -> list[Item]:
    """Return the caller's containers as the engine lists them."""
    mine = x.guard.ledger.owned(Kind.CONTAINER, x.caller.owner)
    if not mine:
        return []
    query = [("all", "1"), *([("size", "1")] if size else []), *build_filters({"id": sorted(mine)})]
    seconds = None if size else LOOK_SECONDS  # measuring takes as long as it takes
    return [containers.show_item(c) for c in await x.look("containers", "json", query=query, seconds=seconds) if c["Id"] in mine]


async def visible_images(x: Exchange) -> list[Item]:
    """Return the images that the caller may use as the engine lists them, with the tags that they may see."""
    return [i for i in await x.look("images", "json") if resolve.is_visible(x, i)]


async def read_stacks(x: Exchange, images: list[Item]) -> list[Stack]:
    """Return the layers of listed images."""
    stacks = []
    for image in images:
        found = await x.look("images", image["Id"], "json")
        history = await x.look("images", image["Id"], "history")
        if found is not None:
            stacks.append(read_stack(found, history or []))
    return stacks


async def _images(x: Exchange, own: list[Item]) -> tuple[list[Item], int]:
    images = await visible_images(x)
    stacks = await read_stacks(x, images)
    shared = shared_sizes(stacks)
    for image in images:
        resolve.cut_names(x, image)
        image["SharedSize"] = shared.get(image["Id"], 0)
        image["Containers"] = sum(1 for c in own if c.get("ImageID") == image["Id"])
    return images, total_size(stacks)


async def _volumes(x: Exchange) -> list[Item]:
    """Return the caller's plain local volumes; the engine's df leaves out those that are mounts of something else."""
    mine = x.guard.ledger.owned(Kind.VOLUME, x.caller.owner)
    listed = (await x.look("volumes"))["Volumes"] or []
    own = [v for v in listed if v["Name"] in mine and v["Driver"] == "local" and not v.get("Options")]
    sizes = await x.guard.volume_sizes.of(x, [v["Name"] for v in own])
    return [{**v, "UsageData": sizes[v["Name"]]} for v in own]


def shape(x: Exchange, found: dict[str, list[Item]], layers: int) -> Item:
    """Return the answer as the version has it: the lists, and from 1.52 (also) sums per type."""
    verbose = x.query.flag("verbose")
    answer: Item = {}
    if x.version < USAGE_SINCE or not verbose:
        answer = {"LayersSize": layers, **found} if "Images" in found else dict(found)
        if x.version < TYPED_SINCE:
            answer["BuilderSize"] = 0
    if x.version >= USAGE_SINCE:
        answer |= {SUMS[kind]: _sum(kind, items, layers, verbose=verbose) for kind, items in found.items()}
    return answer


SUMS: Final = {"Containers": "ContainerUsage", "Images": "ImageUsage", "Volumes": "VolumeUsage", "BuildCache": "BuildCacheUsage"}


def _sum(kind: str, items: list[Item], layers: int, *, verbose: bool) -> Item:
    """Return the sums of one type (``daemon/disk_usage.go``); zero members are left out, as the engine does."""
    active, total, reclaimable = 0, 0, 0
    for item in items:
        size, busy = _MEASURES[kind](item)
        active += busy
        total += size
        reclaimable += 0 if busy else size
    if kind == "Images":
        total = layers
    sums = {
        "ActiveCount": active,
        "Items": items if verbose else [],
        "Reclaimable": reclaimable,
        "TotalCount": len(items),
        "TotalSize": total,
    }
    return {name: value for name, value in sums.items() if value}


def _measure_container(item: Item) -> tuple[int, bool]:
    return int(item.get("SizeRw") or 0), item.get("State") in ACTIVE


def _measure_image(item: Item) -> tuple[int, bool]:
    return int(item["Size"]) - int(item["SharedSize"]), item["Containers"] > 0


def _measure_volume(item: Item) -> tuple[int, bool]:
    usage = item["UsageData"]
    return max(int(usage["Size"]), 0), usage["RefCount"] != 0 or usage["Size"] < 0


def _measure_nothing(_: Item) -> tuple[int, bool]:
    return 0, False


_MEASURES: Final[dict[str, Callable[[Item], tuple[int, bool]]]] = {
    "Containers": _measure_container,
    "Images": _measure_image,
    "Volumes": _measure_volume,
    "BuildCache": _measure_nothing,
}
