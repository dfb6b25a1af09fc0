"""Tags: owned references. A tag is free, or the caller's own; never the host's, never somebody else's.

A tag is claimed in the same transaction as the intent, before the engine sets it, so that nobody else
(and no resync) can take it for the host's; the claim is taken back if the engine did not set it.
"""

from collections.abc import Callable

from hostadmin.core.images import familiar, is_hostadmins, looks_like_id, parse_reference
from hostadmin.guard.exchange import Exchange
from hostadmin.guard.refusal import Refusal, malformed
from hostadmin.store import images
from hostadmin.store.database import Tx


async def check_tag(x: Exchange, text: str) -> str:
    """Return a tag, normalised, that the caller may set.

    Raises:
        Refusal: not a tag, could be read as an id, or not the caller's.

    """
    reference = parse_reference(text)
    if reference is None or reference.digest:
        raise malformed(f"invalid reference format: {text[:128]}")
    if looks_like_id(reference.path.rsplit("/", 1)[-1]) and reference.path.startswith("library/") and len(reference.path) > 19:
        raise malformed(f"{text[:128]}: a repository cannot be named like an image id")
    tag = reference.tagged
    if is_hostadmins(tag):
        raise malformed(f"{text[:128]}: such names are hostadmin's own", status=403)
    owners = x.guard.ledger.tag_owners()
    taken = tag in owners and owners[tag] != x.caller.owner
    if not taken and tag not in owners and await x.look("images", familiar(tag), "json") is not None:
        taken = True  # there, and not in the ledger yet: the host's
    if taken:
        raise is_taken(tag, x.caller.actor.login or "")
    if x.guard.tags.is_used_by_others(tag, x.caller.owner):
        text = f"hostadmin refused tag {familiar(tag)!r} for now: a build or a save of somebody else is using it; try again in a moment"
        raise Refusal(409, text, "ownership")
    return tag


def is_taken(tag: str, login: str) -> Refusal:
    """Return the refusal of a tag that is not the caller's."""
    other = f"{login}/{familiar(tag).rsplit('/', 1)[-1]}"
    text = f"hostadmin refused tag {familiar(tag)!r}: it belongs to somebody else; choose another name, for example {other}"
    return Refusal(403, text, "ownership")


def claim(x: Exchange, tags: list[str]) -> Callable[[Tx], None]:
    """Return the work that claims tags for the caller before they are set; it refuses a tag that was taken meanwhile."""
    owner, login = x.caller.owner, x.caller.actor.login or ""

    def work(tx: Tx) -> None:
        known, owners = images.known_tags(tx), images.tag_owners(tx)
        for tag in tags:
            if owners.get(tag, owner) != owner:
                raise is_taken(tag, login)
            images.put_tag(tx, tag, known.get(tag, ""), owner)

    return work


async def settle(x: Exchange, tags: list[str], how: str, extra: list[str] | None = None, *, drop: bool = True) -> Callable[[Tx], None]:
    """Ask the engine what the claimed tags name now; return the work that records it.

    Args:
        x: the exchange.
        tags: normalised tags that were claimed.
        how: build, load, pull, import, commit or tag.
        extra: further image ids that the caller now holds.
        drop: give up the claims that the engine has not set; not where it may still do so.

    """
    named = {}
    for tag in tags:
        found = await x.look("images", familiar(tag), "json")
        if found is not None:
            named[tag] = found["Id"]
    owner = x.caller.owner
    free = [tag for tag in tags if drop and tag not in named and x.guard.tags.setters(tag) <= 1]

    def work(tx: Tx) -> None:
        for tag, image in named.items():
            images.put_tag(tx, tag, image, owner)
        images.drop_tags(tx, free)
        for image in {*named.values(), *(extra or [])}:
            images.hold(tx, image, owner, how)

    return work
