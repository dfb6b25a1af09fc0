"""Quotas at the door: what the caller holds now, and whether they may have more.

Counted from the ledger, which the guard writes before it answers. What is being made at this moment is counted as
well (``Pending``), from the count to the record, so that two requests never share the last place.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final

from hostadmin.core.clock import now, timestamp
from hostadmin.core.errors import HostadminError
from hostadmin.core.values import Kind
from hostadmin.guard.exchange import Exchange
from hostadmin.guard.query import build_filters
from hostadmin.guard.refusal import Refusal
from hostadmin.guard.routes import Rule
from hostadmin.policy import ports
from hostadmin.policy.profiles import Profile
from hostadmin.policy.quotas import find_exceeded, holds
from hostadmin.store import objects, quotas as store
from hostadmin.store.database import Tx

RULE: Final = "quota"
CLAIM: Final = timedelta(seconds=60)
BRINGS_IMAGES: Final = frozenset({Rule.IMAGE_CREATE, Rule.IMAGE_LOAD, Rule.IMAGE_COMMIT, Rule.BUILD})
ACTIVE: Final = ("running", "paused", "restarting")
COUNTED: Final = {"containers": Kind.CONTAINER, "networks": Kind.NETWORK, "volumes": Kind.VOLUME}


def profile_of(x: Exchange) -> Profile:
    """Return the profile of a caller who is no administrator."""
    assert x.caller.profile is not None  # noqa: S101  # administrators do not come here
    return x.caller.profile


def _used(x: Exchange, name: str) -> int:
    """Return how much of something the caller has, without what is being made."""
    if name in COUNTED:
        return len(x.guard.ledger.owned(COUNTED[name], x.caller.owner))
    return sum(int(found.detail.get("published", 0)) for found in x.guard.ledger.details(Kind.CONTAINER, x.caller.owner))


def _examples(x: Exchange, name: str) -> list[str]:
    """Return own things that could go first: the oldest, of containers those that do not run."""
    found = sorted(x.guard.ledger.details(COUNTED.get(name, Kind.CONTAINER), x.caller.owner), key=lambda o: o.first_seen)
    if name in ("containers", "published_ports"):
        found.sort(key=lambda o: o.detail.get("state") == "running")
    if name == "published_ports":
        found = [o for o in found if o.detail.get("published")]
    return [o.name or o.ref[:12] for o in found]


def find_all_exceeded(x: Exchange, more: Mapping[str, int]) -> list[str]:
    """Return a violation for everything that the caller would have too much of."""
    pending: Counter[tuple[str, str]] = x.guard.pending
    owner, profile = x.caller.owner, profile_of(x)
    return [
        text
        for name, count in more.items()
        if count and getattr(profile, name)
        if (text := find_exceeded(name, _used(x, name) + pending[owner, name], count, profile, partial(_examples, x, name)))
    ]


@contextlib.contextmanager
def reserved(x: Exchange, more: Mapping[str, int]) -> Iterator[None]:
    """Hold places for what is about to be made, until it is recorded or has failed.

    Raises:
        Refusal: 403, there are not enough.

    """
    exceeded = find_all_exceeded(x, more)
    if exceeded:
        raise refuse(x, exceeded)
    places = Counter({(x.caller.owner, name): count for name, count in more.items()})
    x.guard.pending.update(places)
    try:
        yield
    finally:
        x.guard.pending.subtract(places)


async def forget_gone(x: Exchange, more: Mapping[str, int]) -> None:
    """Before anything is refused: take out of the ledger what has ended and was not noticed yet (``--rm``, ``-v``).

    Volumes are claimed before they are made: only those claimed a while ago are looked for.
    """
    if not find_all_exceeded(x, more):
        return
    listed = await x.look("containers", "json", query=[("all", "1")]) or []
    gone = x.guard.ledger.owned(Kind.CONTAINER, x.caller.owner) - {c["Id"] for c in listed}
    known = {v["Name"] for v in (await x.look("volumes") or {}).get("Volumes") or []}
    lost = x.guard.ledger.owned(Kind.VOLUME, x.caller.owner) - known
    settled = timestamp(now() - CLAIM)

    def work(tx: Tx) -> None:
        objects.mark_gone(tx, Kind.CONTAINER, gone)
        objects.mark_gone(tx, Kind.VOLUME, lost, seen_by=settled)

    if gone or lost:
        with contextlib.suppress(HostadminError):
            await asyncio.wrap_future(x.guard.database.submit(work))


def refuse(x: Exchange, exceeded: list[str]) -> Refusal:
    """Return the refusal of what is too much."""
    return Refusal(403, f"hostadmin: quota of profile {profile_of(x).name!r} reached: {'; '.join(exceeded)}", RULE)


@contextlib.asynccontextmanager
async def place_to_run(x: Exchange, full: str) -> AsyncIterator[None]:
    """Hold a place among the caller's running containers while one is started.

    The engine is asked only by those who have more containers than may run.

    Raises:
        Refusal: 403, there is none.

    """
    limit, mine = profile_of(x).running, x.guard.ledger.owned(Kind.CONTAINER, x.caller.owner)
    if not limit or len(mine) <= limit:
        yield
        return
    async with x.guard.lock(f"running:{x.caller.owner}"):
        listed = await x.look("containers", "json", query=[("all", "1"), *build_filters({"status": list(ACTIVE)})])
        running = [c for c in listed or [] if c["Id"] in mine and c["Id"] != full]
        running.reverse()  # the engine lists the newest first
        names = [(c.get("Names") or ["/?"])[0].removeprefix("/") for c in running]
        exceeded = find_exceeded("running", len(running), 1, profile_of(x), lambda: names)
        if exceeded:
            raise refuse(x, [exceeded])
        yield


def put_holdings(tx: Tx, inspected: dict[str, Any]) -> None:
    """Record what a container holds, from its inspect."""
    found = objects.find(tx, Kind.CONTAINER, inspected["Id"])
    if found is not None:
        objects.put(tx, Kind.CONTAINER, found.ref, name="", owner_id=None, attribution=found.attribution, detail=holds(inspected))


# -- host ports -----------------------------------------------------------------------------------


async def room_of(x: Exchange) -> ports.Room:
    """Return where the caller's host ports may lie; a block is allotted now if the profile gives one.

    Raises:
        Refusal: 403, the profile's range has no block left.

    """
    profile, owner = profile_of(x), x.caller.owner
    blocks = x.guard.ledger.port_blocks()
    own = blocks.get(owner)
    if profile.port_block and (own is None or not ports.fits(own, profile)):
        own = await _allot(x, profile)
        if own is None:
            raise Refusal(
                403, f"hostadmin: no block of {profile.port_block} host ports is left in {profile.ports}; ask an administrator", RULE
            )
    others = tuple(sorted(block for user, block in blocks.items() if user != owner))
    if profile.port_block and own:
        return ports.Room(own, others)
    return ports.Room(profile.ports, others, own if own and profile.ports[0] <= own[0] and own[1] <= profile.ports[1] else None)


async def _allot(x: Exchange, profile: Profile) -> ports.Block | None:
    owner = x.caller.owner

    def work(tx: Tx) -> ports.Block | None:
        blocks = store.port_blocks_of_all(tx, removed=True)
        known = blocks.pop(owner, None)
        block = known if known and ports.fits(known, profile) else ports.allot_block(profile, blocks.values())
        store.put_port_block(tx, owner, block)
        return block

    try:
        return await asyncio.wrap_future(x.guard.database.submit(work))
    except HostadminError as error:
        raise Refusal(error.status, f"hostadmin: {error.message}", "audit", recorded=False) from error


def used_ports(x: Exchange, room: ports.Room) -> list[int]:
    """Return the ports of a room that somebody's container names already."""
    return x.guard.ledger.named_ports(x.caller.owner if room.own != profile_of(x).ports else None)


# -- images ---------------------------------------------------------------------------------------


async def check_images(x: Exchange) -> None:
    """Refuse to bring in one more image while the caller's images are as large as they may be.

    One image may go beyond the limit: how large it becomes is known only when it is there.

    Raises:
        Refusal: 403, with the largest of them.

    """
    profile = profile_of(x)
    if not profile.image_bytes:
        return
    sizes = await _image_sizes(x)
    used = sum(sizes.values())
    largest = [i.removeprefix("sha256:")[:12] for i in sorted(sizes, key=lambda i: -sizes[i])]
    exceeded = find_exceeded("image_bytes", used, 1, profile, lambda: largest)
    if exceeded:
        raise refuse(x, [exceeded])


async def _image_sizes(x: Exchange) -> dict[str, int]:
    """Return image id → own bytes of what the caller holds; asks the engine for what is not known yet."""
    known = x.guard.ledger.image_bytes(x.caller.owner)
    missing = {image: await _measure(x, image) for image, own in known.items() if own is None}
    if missing:
        with contextlib.suppress(HostadminError):
            x.guard.database.submit(lambda tx: store.put_image_sizes(tx, missing))
    return {image: own if own is not None else missing[image] for image, own in known.items()}


async def _measure(x: Exchange, image: str) -> int:
    """Return what an image adds to the one that it was built on (its ``Parent``), in bytes."""
    found = await x.look("images", image, "json") or {}
    parent = await x.look("images", found["Parent"], "json") if found.get("Parent") else None
    return max(int(found.get("Size", 0)) - int((parent or {}).get("Size", 0)), 0)


# -- the kernel -----------------------------------------------------------------------------------


async def cgroup_parent(x: Exchange) -> str:
    """Return the control group that the caller's processes belong into, with its limits set; empty if there is none.

    Raises:
        Refusal: 503, the kernel does not take the limits.

    """
    return await x.guard.parents.ensure(x)
