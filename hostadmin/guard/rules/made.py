"""What a request that was only observed has made: it is the caller's, like anything else they make."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from hostadmin.audit.journal import Target
from hostadmin.core.images import familiar, parse_reference
from hostadmin.core.values import Attribution, Kind
from hostadmin.guard.exchange import Exchange
from hostadmin.guard.routes import Rule
from hostadmin.guard.rules import containers, creation
from hostadmin.store import images, objects
from hostadmin.store.database import Tx

Rows = Callable[[Tx], None]
Settled = tuple[Target | None, Rows | None]
NOTHING: Final[Settled] = (None, None)
HOW: Final = {Rule.BUILD: "build", Rule.IMAGE_CREATE: "pull", Rule.IMAGE_COMMIT: "commit", Rule.IMAGE_TAG: "tag"}


@dataclass(frozen=True, slots=True)
class Making:
    """What a request will make.

    ``tags``: those that it sets, normalised. ``claim``: ledger rows for the intent's transaction. ``settle``: finds out, from
    the whole of a successful answer, what the record names, and the ledger rows for the outcome's transaction.
    """

    tags: list[str] = field(default_factory=list)
    claim: Rows | None = None
    settle: Callable[[bytes], Awaitable[Settled]] | None = None


async def foresee(x: Exchange) -> Making:
    """Return what a request will make; nothing, for most rows."""
    if x.route.rule is Rule.CONTAINER_CREATE:
        return Making(settle=lambda data: _container(x, data))
    if x.route.rule in (Rule.NETWORK_CREATE, Rule.VOLUME_CREATE):
        return Making(settle=lambda data: _named(x, data))
    if x.route.rule not in HOW:
        return Making()
    tags = [r.tagged for name in _names(x) if (r := parse_reference(name)) is not None and not r.digest]
    known = x.guard.ledger.tag_owners()
    free = [tag for tag in tags if tag not in known and await x.look("images", familiar(tag), "json") is None]
    owner = x.caller.owner

    def claim(tx: Tx) -> None:
        for tag in free:
            images.put_tag(tx, tag, "", owner)

    return Making(tags, claim, lambda data: _tagged(x, data, tags, free))


def _answer(data: bytes) -> dict[str, Any]:
    value = json.loads(data) if data.strip() else {}
    return value if isinstance(value, dict) else {}


async def _container(x: Exchange, data: bytes) -> Settled:
    found = await x.look("containers", str(_answer(data).get("Id", "")), "json")
    if found is None:
        return NOTHING
    return containers.target(x, found["Id"], found["Name"].removeprefix("/")), creation.created_rows(x, found)


async def _named(x: Exchange, data: bytes) -> Settled:
    kind = Kind.NETWORK if x.route.rule is Rule.NETWORK_CREATE else Kind.VOLUME
    ref = _answer(data).get("Id" if kind is Kind.NETWORK else "Name")
    found = await x.look(f"{kind}s", str(ref)) if ref else None
    if found is None:
        return NOTHING
    name, owner = found["Name"], x.caller.owner
    return Target(kind, ref, name, owner), lambda tx: objects.put(
        tx, kind, str(ref), name=name, owner_id=owner, attribution=Attribution.GUARD
    )


def _names(x: Exchange) -> list[str]:
    """Return the tags that a request sets, as it writes them."""
    query = x.query
    if x.route.rule is Rule.BUILD:
        return [str(name) for name in query.texts("t")]
    name, tag = query.text("fromImage") or query.text("repo"), query.text("tag")
    return [f"{name}:{tag}" if tag else name] if name else []


async def _tagged(x: Exchange, data: bytes, tags: list[str], claimed: list[str]) -> Settled:
    """Tags keep the owner that they have; those that were free are the caller's, and the caller holds the images."""
    found: dict[str, str] = {}
    for tag in tags:
        image = await x.look("images", familiar(tag), "json")
        if image is not None:
            found[tag] = image["Id"]
    held = set(found.values()) | ({str(_answer(data)["Id"])} if x.route.rule is Rule.IMAGE_COMMIT else set())
    owner, how = x.caller.owner, HOW[x.route.rule]

    def rows(tx: Tx) -> None:
        for tag, image in found.items():
            images.put_tag(tx, tag, image, owner)
        images.drop_tags(tx, [tag for tag in claimed if tag not in found])
        for image in held:
            images.hold(tx, image, owner, how)

    return Target("image", None, ", ".join(familiar(t) for t in found) or None, owner), rows
