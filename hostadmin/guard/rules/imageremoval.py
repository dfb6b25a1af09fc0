"""Images that go: one's own references are taken away, data only when nobody else holds it (``engine-api.md`` 7.5)."""

import json
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.core.images import KEPT, familiar, is_hostadmins, parse_reference
from hostadmin.core.values import Kind
from hostadmin.guard.exchange import Exchange, error_message
from hostadmin.guard.query import build_filters
from hostadmin.guard.refusal import Refusal
from hostadmin.guard.rules import resolve
from hostadmin.guard.rules.images import tags_of, target
from hostadmin.store import images
from hostadmin.store.database import Tx

PARENTS_LIMIT: Final = 200


async def remove(x: Exchange) -> None:
    """Take away the caller's own references; data goes only when nobody else holds it."""
    await x.read_nothing()
    ref = x.params[0]
    found = await resolve.image(x, ref)
    with x.guard.tags.being_used(tags_of(found), x.caller.owner):
        found = await resolve.image(x, ref)  # again, now that nobody else can set its tags
        await _remove_reference(x, ref, found)


async def _remove_reference(x: Exchange, ref: str, found: dict[str, Any]) -> None:
    image, owner = found["Id"], x.caller.owner
    own, others = owned_tags(x, found)
    reference = parse_reference(ref)
    name = reference.digested if reference and reference.digest else reference.tagged if reference else ""
    if name in x.guard.ledger.names(owner) and name not in own:
        await _forget_name(x, image, name, ref)
        return
    if reference is not None and not reference.digest and reference.tagged in tags_of(found):
        chosen = [reference.tagged]
        if chosen[0] not in own:
            raise Refusal(403, f"hostadmin refused to remove {familiar(chosen[0])!r}: it is the host's, shared by everybody", "ownership")
    else:
        chosen = own
        if len({t.rpartition(":")[0] for t in own}) > 1 and not x.query.flag("force"):
            short = image.removeprefix("sha256:")[:12]
            text = f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
            raise Refusal(409, text, "engine", recorded=False)
    shared = bool(others or x.guard.ledger.holders(image) - {owner})
    if not chosen and shared:
        await _release(x, image, ref)
        return
    await _remove(x, found, chosen, last=len(chosen) == len(own), shared=shared, others=bool(others))


async def _forget_name(x: Exchange, image: str, name: str, ref: str) -> None:
    """Give up a name that a registry gave to the caller; with their last name they give up the image."""
    owner = x.caller.owner
    left = [n for n, i in x.guard.ledger.names(owner).items() if i == image and n != name]
    own = [t for t, o in x.guard.ledger.tag_owners().items() if o == owner]
    found = await x.look("images", image, "json") or {}
    last = not left and not any(t in own for t in tags_of(found))
    if last and not (x.guard.ledger.holders(image) - {owner} or tags_of(found)):
        await _remove(x, found, [], last=True, shared=False, others=False)
        return

    def work(tx: Tx) -> None:
        images.drop_name(tx, name, owner)
        if last:
            images.release(tx, image, owner)

    intent = await x.intend(x.entry(target(x, image, ref)))
    await x.conclude(intent, "ok", also=work)
    x.send_json(200, [{"Untagged": ref}])


async def _release(x: Exchange, image: str, ref: str) -> None:
    """Give up one's hold on an image that others hold too: for the caller it is gone."""
    if image not in x.guard.ledger.held(x.caller.owner):
        raise Refusal(403, f"hostadmin refused to remove {ref!r}: it is the host's, shared by everybody", "ownership")
    owner = x.caller.owner
    intent = await x.intend(x.entry(target(x, image, ref)))
    await x.conclude(intent, "ok", also=lambda tx: images.release(tx, image, owner))
    x.send_json(200, [{"Untagged": ref}])


async def _remove(x: Exchange, found: dict[str, Any], chosen: list[str], *, last: bool, shared: bool, others: bool) -> None:
    """Take away tags, or the image itself where it has none, and answer as the engine does."""
    answer, failed = await _take_away(x, found, chosen, last=last, shared=shared, others=others)
    if failed is not None:
        x.send_json(failed[0], {"message": x.clean(failed[1])})
        return
    x.send_json(200, answer)


async def _take_away(
    x: Exchange,
    found: dict[str, Any],
    chosen: list[str],
    *,
    last: bool,
    shared: bool,
    others: bool,
    detail: dict[str, str] | None = None,
) -> tuple[list[dict[str, str]], tuple[int, str] | None]:
    """Delete tags one by one, or the image itself where it has none; then the untagged steps below it.

    Returns:
        What the engine says has gone, and the failure at which it stopped, if any.

    """
    image, owner = found["Id"], x.caller.owner
    force = [("force", "1")] if x.query.flag("force") and await _used_by_own_only(x, image) else []
    about = target(x, image, ", ".join(familiar(t) for t in chosen) or None)
    intent = await x.intend(x.entry(about, action=Action.IMAGE_REMOVE, detail=detail))
    if shared and last and not others:
        await _keep(x, image)
    kept = [t for t in tags_of(found) if resolve.is_kept(t) and last and not shared]
    answer, failed = await _delete_all(x, [familiar(t) for t in (chosen and [*chosen, *kept])] or [image], force)
    now = await x.look("images", image, "json")
    gone = [image] if now is None else []
    if now is None and last and not x.query.flag("noprune"):
        gone += await _delete_parents(x, found.get("Parent", ""))
        answer += [{"Deleted": parent} for parent in gone[1:]]
    still = set(tags_of(now)) if now else set()
    free = [t for t in chosen if t not in still and not x.guard.tags.setters(t)]

    def work(tx: Tx) -> None:
        images.drop_tags(tx, free)
        for one in gone:
            images.forget(tx, one)
        if not gone and failed is None and last:
            images.release(tx, image, owner)

    await x.conclude(intent, "ok" if failed is None else "error", also=work)
    return [entry for entry in answer if not _names_kept(entry)], failed


async def give_up(x: Exchange, image: str, parent: str) -> list[dict[str, str]]:
    """Take away all that the caller has of an image that a prune has chosen; what cannot go stays.

    Args:
        x: the exchange.
        image: its id.
        parent: the prune's own request, for the record.

    Returns:
        What has gone, as the engine says it.

    """
    owner = x.caller.owner
    found = await x.look("images", image, "json")
    with x.guard.tags.being_used(tags_of(found or {}), owner):
        found = await x.look("images", image, "json")
        if found is None:
            return []
        own, others = owned_tags(x, found)
        shared = bool(others or x.guard.ledger.holders(image) - {owner})
        if own or not shared:
            answer, _ = await _take_away(x, found, own, last=True, shared=shared, others=bool(others), detail={"parent": parent})
            return answer
        intent = await x.intend(x.entry(target(x, image, None), action=Action.IMAGE_REMOVE, detail={"parent": parent}))
        await x.conclude(intent, "ok", also=lambda tx: images.release(tx, image, owner), detail={"parent": parent})
        return [{"Untagged": image}]


def owned_tags(x: Exchange, found: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return the tags of an image that are the caller's, and those that are not; the guard's own are neither."""
    owners = x.guard.ledger.tag_owners()
    named = [t for t in tags_of(found) if not is_hostadmins(t)]
    own = [t for t in named if owners.get(t, "?") == x.caller.owner]
    return own, [t for t in named if t not in own]


async def _delete_all(x: Exchange, names: list[str], force: list[tuple[str, str]]) -> tuple[list[dict[str, str]], tuple[int, str] | None]:
    """Delete names in turn; return the engine's answers, and the failure at which it stopped."""
    answer: list[dict[str, str]] = []
    for name in names:
        query = [("noprune", "1"), *force]
        response = await x.ask("DELETE", "images", name, query=query)
        data = await response.read()
        if response.status != 200:
            return answer, (response.status, error_message(data))
        answer += json.loads(data) or []
    return answer, None


async def _delete_parents(x: Exchange, parent: str) -> list[str]:
    """Delete the untagged steps below a deleted image that only the caller holds; return their ids.

    The engine would do it by itself, and would take what somebody else holds.
    """
    gone: list[str] = []
    while parent and len(gone) < PARENTS_LIMIT:
        found = await x.look("images", parent, "json")
        if found is None or tags_of(found) or x.guard.ledger.holders(parent) != {x.caller.owner}:
            break
        _, failed = await _delete_all(x, [parent], [])
        if failed is not None:  # it has other children, or a container
            break
        gone.append(parent)
        parent = found.get("Parent", "")
    return gone


async def _keep(x: Exchange, image: str) -> None:
    """Give an image a name of the guard's own, so that it outlives its last tag for those who still hold it."""
    query = [("repo", f"{KEPT}{image.removeprefix('sha256:')[:40]}"), ("tag", "kept")]
    await (await x.ask("POST", "images", image, "tag", query=query)).read()


def _names_kept(entry: dict[str, str]) -> bool:
    reference = parse_reference(entry.get("Untagged", ""))
    return reference is not None and resolve.is_kept(reference.tagged)


async def _used_by_own_only(x: Exchange, image: str) -> bool:
    """Tell whether all containers on an image are the caller's: only then the engine may be forced."""
    query = [("all", "1"), *build_filters({"ancestor": [image]})]
    own = x.guard.ledger.owned(Kind.CONTAINER, x.caller.owner)
    return all(item["Id"] in own for item in await x.look("containers", "json", query=query) or [])
