"""References: resolved by the engine, owned by the ledger, pinned to full ids (laws 2 and 3).

"Not found" and "not yours" are one answer, byte for byte; a foreign object also leaves a record.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

from hostadmin.core.images import KEPT, is_hostadmins, looks_like_id, parse_reference
from hostadmin.core.names import FULL_ID, OBJECT_NAME
from hostadmin.core.values import Kind
from hostadmin.guard.exchange import Exchange
from hostadmin.guard.query import build_filters
from hostadmin.guard.refusal import RULE_OWNERSHIP, Refusal
from hostadmin.guard.upstream import LOOK_SECONDS

AMBIGUOUS: Final = re.compile(r"[Mm]ultiple IDs found|is ambiguous")
ABBREVIATION: Final = re.compile(r"(?:sha256:)?[0-9a-f]{1,64}")
PREDEFINED: Final = ("bridge", "host", "none")
UNTAGGED: Final = "<none>:<none>"
UNDIGESTED: Final = "<none>@<none>"


def no_container(ref: str, *, foreign: bool = False) -> Refusal:
    """Return the engine's own answer for a container that is not there."""
    return Refusal(404, f"No such container: {ref}", RULE_OWNERSHIP, recorded=foreign)


def no_network(ref: str, *, foreign: bool = False) -> Refusal:
    """Return the engine's own answer for a network that is not there."""
    return Refusal(404, f"network {ref} not found", RULE_OWNERSHIP, recorded=foreign)


def no_volume(ref: str, *, foreign: bool = False) -> Refusal:
    """Return the engine's own answer for a volume that is not there."""
    return Refusal(404, f"get {ref}: no such volume", RULE_OWNERSHIP, recorded=foreign)


def no_image(ref: str, *, foreign: bool = False) -> Refusal:
    """Return the engine's own answer for an image that is not there."""
    reference = parse_reference(ref)
    shown = ref if looks_like_id(ref) or reference is None or reference.tag or reference.digest else f"{ref}:latest"
    return Refusal(404, f"No such image: {shown}", RULE_OWNERSHIP, recorded=foreign)


async def _find(x: Exchange, *segments: str) -> Any:
    """Return what the engine finds, ``None`` for nothing, and for an abbreviation that stands for several things.

    Raises:
        Refusal: the engine's own error, for any other failure.

    """
    async with x.upstream.within(LOOK_SECONDS):
        response = await x.ask("GET", *segments)
        if response.status == 200:
            return await response.json()
        message = await response.message()
    if response.status == 404 or AMBIGUOUS.search(message):
        return None
    raise Refusal(response.status, x.clean(message), "engine", recorded=False)


def one_of(ids: Iterable[str], ref: str) -> str | None:
    """Return the one id that ``ref`` abbreviates among the caller's own.

    What others have must not decide it: their ids make an abbreviation ambiguous for the engine, and their names
    come before it.
    """
    if not ABBREVIATION.fullmatch(ref):
        return None
    found = [full for full in ids if full.removeprefix("sha256:").startswith(ref.removeprefix("sha256:"))]
    return found[0] if len(found) == 1 else None


async def container(x: Exchange, ref: str) -> tuple[str, dict[str, Any] | None]:
    """Return the full id of the caller's container, and its inspect if the engine was asked.

    Raises:
        Refusal: 404, there is none of that name, or it is not the caller's.

    """
    owners = x.guard.ledger.owners(Kind.CONTAINER)
    if FULL_ID.fullmatch(ref) and ref in owners:
        if owners[ref] == x.caller.owner:
            return ref, None
        raise no_container(ref, foreign=True)
    if not OBJECT_NAME.fullmatch(ref.removeprefix("/")):
        raise no_container(ref)
    found = await _find(x, "containers", ref.removeprefix("/"), "json")
    if found is not None and x.guard.ledger.owners(Kind.CONTAINER).get(found["Id"]) == x.caller.owner:
        return found["Id"], found
    full = one_of(x.guard.ledger.owned(Kind.CONTAINER, x.caller.owner), ref)
    if full is None:
        raise no_container(ref, foreign=found is not None)
    return full, None


async def inspect_container(x: Exchange, ref: str) -> dict[str, Any]:
    """Return the inspect of the caller's container.

    Raises:
        Refusal: 404, as ``container``.

    """
    full, found = await container(x, ref)
    if found is None:
        found = await x.look("containers", full, "json")
    if found is None:
        raise no_container(ref)
    return dict(found)


async def network(x: Exchange, ref: str, *, predefined: bool = True) -> dict[str, Any]:
    """Return the inspect of a network that is the caller's, or the engine's own if ``predefined``.

    Raises:
        Refusal: 404, there is none, it is not the caller's, or the name is ambiguous.

    """
    if not OBJECT_NAME.fullmatch(ref):
        raise no_network(ref)
    mine = x.guard.ledger.owned(Kind.NETWORK, x.caller.owner)
    found = await _find(x, "networks", ref)
    if found is not None and (found["Id"] in mine or (found["Name"] in PREDEFINED and predefined)):
        return dict(found)
    named = [n["Id"] for n in await x.look("networks", query=build_filters({"name": [f"^{re.escape(ref)}$"]})) if n["Id"] in mine]
    full = named[0] if len(named) == 1 else one_of(mine, ref)
    own = await x.look("networks", full) if full else None
    if own is None:
        raise no_network(ref, foreign=found is not None)
    return dict(own)


async def volume(x: Exchange, name: str) -> dict[str, Any]:
    """Return the inspect of the caller's volume.

    Raises:
        Refusal: 404, there is none, or it is not the caller's.

    """
    found = await x.look("volumes", name) if OBJECT_NAME.fullmatch(name) else None
    if found is None:
        raise no_volume(name)
    if x.guard.ledger.owners(Kind.VOLUME).get(found["Name"]) != x.caller.owner:
        raise no_volume(name, foreign=True)
    return dict(found)


def is_visible(x: Exchange, image: dict[str, Any]) -> bool:
    """Tell whether the caller may use an image: held by them, or under a name that they may use."""
    if image["Id"] in x.guard.ledger.held(x.caller.owner):
        return True
    return bool(visible_tags(x, image.get("RepoTags") or [], image["Id"]))


def may_name(x: Exchange, tag: str, image_id: str) -> bool:
    """Tell whether a normalised tag names this image for the caller: the host's, their own, or given to them by a registry."""
    if x.guard.ledger.tag_owner(tag) in (None, x.caller.owner):
        return not is_hostadmins(tag)
    return x.guard.ledger.names(x.caller.owner).get(tag) == image_id


def is_kept(tag: str) -> bool:
    """Tell whether a tag is there only to keep an image for those who hold it without a name."""
    return tag.startswith(KEPT)


def visible_tags(x: Exchange, tags: list[str], image_id: str) -> list[str]:
    """Return the tags of an image that the caller may see."""
    return [tag for tag in tags if (r := parse_reference(tag)) is not None and may_name(x, r.tagged, image_id)]


def cut_names(x: Exchange, item: dict[str, Any]) -> None:
    """Leave an image of a list only the names that the caller may see; up to 1.42 no name is spelled ``<none>``."""
    digests = visible_digests(x, item)
    tags = visible_tags(x, item.get("RepoTags") or [], item["Id"])
    if x.version < (1, 43) and not tags:
        tags, digests = [UNTAGGED], digests or [UNDIGESTED]
    item["RepoTags"], item["RepoDigests"] = tags, digests


def visible_digests(x: Exchange, found: dict[str, Any]) -> list[str]:
    """Return the digests of an image under which the caller may know it: of repositories that they see or pulled from."""
    repositories = {r.repository for t in visible_tags(x, found.get("RepoTags") or [], found["Id"]) if (r := parse_reference(t))}
    names = x.guard.ledger.names(x.caller.owner)
    return [
        digest
        for digest in found.get("RepoDigests") or []
        if (r := parse_reference(digest)) is not None and (r.repository in repositories or r.digested in names)
    ]


async def image(x: Exchange, ref: str) -> dict[str, Any]:
    """Return the inspect of an image that the caller may use.

    A tag that is somebody else's does not name the image for this caller, even if they may use its data.

    Raises:
        Refusal: 404, there is none, or it is not visible.

    """
    if not looks_like_id(ref) and parse_reference(ref) is None:
        raise no_image(ref)
    found = await _find(x, "images", ref, "json")
    if found is not None and is_visible(x, found) and _names_it(x, ref, found):
        return dict(found)
    visible = [i["Id"] for i in await x.look("images", "json", query=[("all", "1")]) if is_visible(x, i)] if looks_like_id(ref) else []
    full = one_of(visible, ref)
    own = await x.look("images", full, "json") if full else None
    if own is None:
        raise no_image(ref, foreign=found is not None)
    return dict(own)


def _names_it(x: Exchange, ref: str, found: dict[str, Any]) -> bool:
    """Tell whether ``ref`` is an id of the image, or a tag or digest under which the caller may know it."""
    reference = parse_reference(ref)
    if reference is None:
        return True
    if reference.digest:
        known = {r.digested for d in visible_digests(x, found) if (r := parse_reference(d)) is not None}
        return reference.digested in known
    tagged = [r.tagged for tag in found.get("RepoTags") or [] if (r := parse_reference(tag)) is not None]
    if reference.tagged in tagged:
        return may_name(x, reference.tagged, found["Id"])
    return looks_like_id(ref)
