"""Tags: owned references. A tag is free, or the caller's own; never the host's, never somebody else's.

A tag is claimed in the same transaction as the intent, before the engine sets it, so that nobody else
(and no resync) can take it for the host's; the claim is taken back if the engine did not set it.
"""

from collections.abc import Callable

from hostadmin.core.images import familiar, looks_like_id, parse_reference
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
    owners = x.guard.ledger.tag_owners()
    taken = tag in owners and owners[tag] != x.caller.owner
    if not taken and tag not in owners and await x.look("images", familiar(tag), "json") is not None:
        taken = True  # there, and not in the ledger yet: the host's
    if taken:
        raise Refusal(
            403,
            f"hostadmin refused tag {familiar(tag)!r}: it belongs to somebody else; choose another name, for example {x.caller.actor.login}/{familiar(tag).rsplit('/', 1)[-1]}",
            "ownership",
        )
    return tag


def claim(tags: list[str], owner: str) -> Callable[[Tx], None]:
    """Return the work that claims tags for an owner before they are set."""

    def work(tx: Tx) -> None:
        known = images.known_tags(tx)
        for tag in tags:
            images.put_tag(tx, tag, known.get(tag, ""), owner)

    return work


async def settle(x: Exchange, tags: list[str], how: str, extra: list[str] | None = None) -> Callable[[Tx], None]:
    """Ask the engine what the claimed tags name now; return the work that records it.

    Args:
        x: the exchange.
        tags: normalised tags that were claimed.
        how: build, load, pull, import, commit or tag.
        extra: further image ids that the caller now holds.

    """
    named = {}
    for tag in tags:
        found = await x.look("images", familiar(tag), "json")
        if found is not None:
            named[tag] = found["Id"]
    owner = x.caller.owner

    def work(tx: Tx) -> None:
        for tag, image in named.items():
            images.put_tag(tx, tag, image, owner)
        images.drop_tags(tx, [t for t in tags if t not in named])
        for image in {*named.values(), *(extra or [])}:
            images.hold(tx, image, owner, how)

    return work
