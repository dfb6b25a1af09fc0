"""Images that are there: what may be seen, inspected, saved and tagged. An image is shared, a tag is owned."""

from typing import Any

from hostadmin.audit.journal import Target
from hostadmin.core.images import Reference, familiar, looks_like_id, parse_reference
from hostadmin.core.values import Kind
from hostadmin.guard.exchange import Exchange, error_message
from hostadmin.guard.query import Filters, build_filters
from hostadmin.guard.refusal import malformed
from hostadmin.guard.rules import resolve, tags
from hostadmin.guard.rules.imageparts import hide_others


def target(x: Exchange, image: str | None, name: str | None) -> Target:
    """Return the audit's target of an image."""
    return Target("image", image, name, x.caller.owner)


async def list_visible(x: Exchange) -> None:
    """List the images that the caller may use, under the tags that they may see."""
    await x.read_nothing()
    filters: Filters = x.query.filters()
    for key in ("before", "since"):
        if key in filters:
            filters[key] = [(await resolve.image(x, ref))["Id"] for ref in filters[key]]
    query = x.query.pairs("all", "shared-size", "digests", "manifests", "identity") + build_filters(filters)
    response = await x.ask("GET", "images", "json", query=query)
    if response.status != 200:
        await x.send_response(response)
        return
    shown = [_cut(x, i) for i in await response.json() if resolve.is_visible(x, i)]
    if "reference" in filters:
        shown = [i for i in shown if {*i["RepoTags"], *i["RepoDigests"]} - {resolve.UNTAGGED, resolve.UNDIGESTED}]
    x.send_json(200, shown)


def _cut(x: Exchange, image: dict[str, Any]) -> dict[str, Any]:
    """Return an image with only the names that the caller may see."""
    if "Containers" in image:
        resolve.cut_names(x, image)
        image["Containers"] = -1
    else:
        image["RepoDigests"] = resolve.visible_digests(x, image)
        image["RepoTags"] = resolve.visible_tags(x, image.get("RepoTags") or [], image["Id"])
    hide_others(image, x.guard.ledger.owned(Kind.CONTAINER, x.caller.owner))
    return image


async def read(x: Exchange) -> None:
    """Inspect a visible image, tell its history or its attestations."""
    await x.read_nothing()
    found = await resolve.image(x, x.params[0])
    part = x.route.template.rsplit("/", 1)[1]
    query = x.query.pairs(*x.route.query)
    value: Any = await x.look("images", found["Id"], part, query=query) if query or part != "json" else found
    if value is None or (part == "json" and value["Id"] != found["Id"]):
        raise resolve.no_image(x.params[0])
    if part == "json":
        _cut(x, value)
    elif part == "history":
        for step in value:
            step["Tags"] = resolve.visible_tags(x, step.get("Tags") or [], step.get("Id", "")) or None
    x.send_json(200, value)


async def names_of(x: Exchange, ref: str) -> list[str]:
    """Expand a reference as the engine would: a repository without a tag means all its tags (rule R9).

    Returns:
        Normalised tags that the caller may see, all of visible images; or one full image id.

    """
    reference = parse_reference(ref)
    if reference is None or reference.tag or reference.digest or looks_like_id(ref):
        found = await resolve.image(x, ref)
        if reference is None or reference.digest or (looks_like_id(ref) and reference.tagged not in tags_of(found)):
            return [found["Id"]]
        return [reference.tagged]
    mine = await _tags_in(x, reference)
    if not mine:
        raise resolve.no_image(ref)
    return mine


async def _tags_in(x: Exchange, reference: Reference) -> list[str]:
    """Return the tags of a repository that the caller may see."""
    found = set()
    listed = await x.look("images", "json", query=build_filters({"reference": [familiar(reference.repository)]}))
    for image in listed or []:
        for tag in resolve.visible_tags(x, image.get("RepoTags") or [], image["Id"]):
            parsed = parse_reference(tag)
            if parsed is not None and parsed.repository == reference.repository:
                found.add(parsed.tagged)
    return sorted(found)


def tags_of(found: dict[str, Any]) -> list[str]:
    """Return all normalised tags of an image, whoever may see them."""
    return [r.tagged for t in found.get("RepoTags") or [] if (r := parse_reference(t)) is not None]


async def save(x: Exchange) -> None:
    """Save one visible image."""
    await x.read_nothing()
    await _save(x, [x.params[0]])


async def save_many(x: Exchange) -> None:
    """Save several visible images."""
    await x.read_nothing()
    await _save(x, x.query.texts("names"))


async def _save(x: Exchange, refs: list[str]) -> None:
    if not refs:
        raise malformed("no image named")
    guesses = [name for ref in refs for name in await names_of(x, ref)]
    with x.guard.tags.being_used(guesses, x.caller.owner):
        names: list[str] = []
        for name in guesses:  # again, now that nobody else can set them
            names += await names_of(x, familiar(name))
        query = [("names", familiar(n)) for n in dict.fromkeys(names)]
        response = await x.ask("GET", "images", "get", query=query + x.query.pairs("platform"))
    await x.relay(response)


async def tag(x: Exchange) -> None:
    """Give a visible image a tag of the caller's own."""
    await x.read_nothing()
    found = await resolve.image(x, x.params[0])
    wanted = x.query.text("repo") + (f":{x.query.text('tag')}" if x.query.text("tag") else "")
    name = await tags.check_tag(x, wanted)
    image = found["Id"]
    with x.guard.tags.being_set([name]):
        intent = await x.intend(x.entry(target(x, image, familiar(name)), detail={"tags": [familiar(name)]}), also=tags.claim(x, [name]))
        query = [("repo", name.rpartition(":")[0]), ("tag", name.rpartition(":")[2])]
        response = await x.ask("POST", "images", image, "tag", query=query)
        data = await response.read()
        work = await tags.settle(x, [name], "tag")
        await x.conclude(intent, "ok" if response.status == 201 else "error", also=work)
    if response.status != 201:
        x.send_json(response.status, {"message": x.clean(error_message(data))})
        return
    x.send(201, data)
