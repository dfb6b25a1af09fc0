"""Images: shared data, owned tags; what may be seen, run, saved, loaded, tagged and removed."""

import json
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Target
from hostadmin.core.images import familiar, looks_like_id, parse_reference
from hostadmin.core.labels import OWNER_LABEL, REQUEST_LABEL, RESERVED_PREFIX
from hostadmin.guard import bodies
from hostadmin.guard.exchange import Exchange, error_message, passed_fields
from hostadmin.guard.query import Filters, build_filters, check_keys
from hostadmin.guard.refusal import Refusal, malformed
from hostadmin.guard.rules import containers, resolve, tags
from hostadmin.guard.rules.imagetar import ImageTar
from hostadmin.guard.rules.spool import TarRefused
from hostadmin.policy import admission
from hostadmin.store import images
from hostadmin.store.database import Tx

LIST_KEYS: Final = frozenset(["dangling", "label", "before", "since", "reference", "until", "label!"])
CHANGES: Final = frozenset(["CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"])
NO_LABELS: Final = f'LABEL {OWNER_LABEL}="" {REQUEST_LABEL}=""'
UNTAGGED: Final = "<none>:<none>"
TAR: Final = (("Content-Type", "application/x-tar"),)


def target(x: Exchange, image: str | None, name: str | None) -> Target:
    """Return the audit's target of an image."""
    return Target("image", image, name, x.caller.owner)


async def list_visible(x: Exchange) -> None:
    """List the images that the caller may use, under the tags that they may see."""
    await x.read_nothing()
    filters: Filters = x.query.filters()
    if x.query.text("filter"):
        filters.setdefault("reference", []).append(x.query.text("filter"))
    check_keys(filters, LIST_KEYS)
    for key in ("before", "since"):
        if key in filters:
            filters[key] = [(await resolve.image(x, ref))["Id"] for ref in filters[key]]
    response = await x.ask("GET", "images", "json", query=x.query.pairs("all", "shared-size", "digests") + build_filters(filters))
    if response.status != 200:
        await x.send_response(response)
        return
    shown = [_cut(x, i) for i in await response.json() if resolve.is_visible(x, i)]
    if "reference" in filters:
        shown = [i for i in shown if i["RepoTags"] not in ([], [UNTAGGED])]
    x.send_json(200, shown)


def _cut(x: Exchange, image: dict[str, Any]) -> dict[str, Any]:
    """Return an image with only the tags that the caller may see."""
    image["RepoTags"] = resolve.visible_tags(x, image.get("RepoTags") or [])
    image["RepoDigests"] = image.get("RepoDigests") or []
    if not image["RepoTags"] and x.version < (1, 43) and "Containers" in image:
        image["RepoTags"] = [UNTAGGED]
    if "Containers" in image:
        image["Containers"] = -1
    return image


async def read(x: Exchange) -> None:
    """Inspect a visible image, or tell its history."""
    await x.read_nothing()
    found = await resolve.image(x, x.params[0])
    if x.route.operation == "ImageInspect":
        x.send_json(200, _cut(x, found))
        return
    steps = await x.look("images", found["Id"], "history")
    for step in steps or []:
        step["Tags"] = resolve.visible_tags(x, step.get("Tags") or []) or None
    x.send_json(200, steps)


async def _names_to_save(x: Exchange, ref: str) -> list[str]:
    """Expand a reference for saving: a repository without a tag means all its tags (rule R9)."""
    reference = parse_reference(ref)
    if reference is None or reference.tag or reference.digest or looks_like_id(ref):
        found = await resolve.image(x, ref)
        if looks_like_id(ref) and (reference is None or reference.tagged not in _tagged(found)):
            return [found["Id"]]
        return [familiar(reference.tagged)] if reference and not reference.digest else [found["Id"]]
    owners = x.guard.ledger.tag_owners()
    mine = [t for t, o in owners.items() if t.rpartition(":")[0] == reference.repository and o in (None, x.caller.owner)]
    if not mine:
        raise resolve.no_image(ref)
    for tag in mine:
        await resolve.image(x, familiar(tag))
    return [familiar(tag) for tag in sorted(mine)]


def _tagged(found: dict[str, Any]) -> list[str]:
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
    names: list[str] = []
    for ref in refs:
        names += await _names_to_save(x, ref)
    if not names:
        raise malformed("no image named")
    response = await x.ask("GET", "images", "get", query=[("names", n) for n in dict.fromkeys(names)])
    await x.relay(response)


async def tag(x: Exchange) -> None:
    """Give a visible image a tag of the caller's own."""
    await x.read_nothing()
    found = await resolve.image(x, x.params[0])
    wanted = x.query.text("repo") + (f":{x.query.text('tag')}" if x.query.text("tag") else "")
    reference = parse_reference(wanted)
    name = reference.tagged if reference else wanted
    async with x.guard.lock(f"tag:{name}"):
        name = await tags.check_tag(x, wanted)
        owner, image = x.caller.owner, found["Id"]
        intent = await x.intend(
            x.entry(target(x, image, familiar(name)), detail={"tags": [familiar(name)]}), also=tags.claim([name], owner)
        )
        query = [("repo", name.rpartition(":")[0]), ("tag", name.rpartition(":")[2])]
        response = await x.ask("POST", "images", image, "tag", query=query)
        data = await response.read()
        work = await tags.settle(x, [name], "tag")
        await x.conclude(intent, "ok" if response.status == 201 else "error", also=work)
    if response.status != 201:
        x.send_json(response.status, {"message": x.clean(error_message(data))})
        return
    x.send(201, data)


async def remove(x: Exchange) -> None:
    """Take away the caller's own references; data goes only when nobody else holds it."""
    await x.read_nothing()
    ref = x.params[0]
    found = await resolve.image(x, ref)
    image, owner = found["Id"], x.caller.owner
    owners = x.guard.ledger.tag_owners()
    own = [t for t in _tagged(found) if owners.get(t, "?") == owner]
    others = [t for t in _tagged(found) if t not in own]
    reference = parse_reference(ref)
    if reference is not None and not reference.digest and reference.tagged in _tagged(found):
        chosen = [reference.tagged]
        if chosen[0] not in own:
            raise Refusal(403, f"hostadmin refused to remove {familiar(chosen[0])!r}: it is the host's, shared by everybody", "ownership")
    else:
        chosen = own
        if len({t.rpartition(":")[0] for t in own}) > 1 and not x.query.flag("force"):
            short = image.removeprefix("sha256:")[:12]
            raise Refusal(
                409,
                f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories",
                "engine",
                recorded=False,
            )
    shared = bool(others or x.guard.ledger.holders(image) - {owner})
    if not chosen and shared:
        await _release(x, image, ref)
        return
    await _remove(x, image, chosen, last=not shared and len(chosen) == len(own))


async def _release(x: Exchange, image: str, ref: str) -> None:
    """Give up one's hold on an image that others hold too: for the caller it is gone."""
    if image not in x.guard.ledger.held(x.caller.owner):
        raise Refusal(403, f"hostadmin refused to remove {ref!r}: it is the host's, shared by everybody", "ownership")
    owner = x.caller.owner
    intent = await x.intend(x.entry(target(x, image, ref)))
    await x.conclude(intent, "ok", also=lambda tx: images.release(tx, image, owner))
    x.send_json(200, [{"Untagged": ref}])


async def _remove(x: Exchange, image: str, chosen: list[str], *, last: bool) -> None:
    """Delete tags one by one, or the image itself where it has none."""
    owner = x.caller.owner
    answer: list[dict[str, str]] = []
    intent = await x.intend(x.entry(target(x, image, ", ".join(familiar(t) for t in chosen) or None)))
    failed = None
    for name in [familiar(t) for t in chosen] or [image]:
        query = x.query.pairs("noprune")
        response = await x.ask("DELETE", "images", name, query=query)
        data = await response.read()
        if response.status != 200:
            failed = (response.status, error_message(data))
            break
        answer += json.loads(data) or []
    gone = await x.look("images", image, "json") is None
    still = {} if gone else dict.fromkeys(_tagged(await x.look("images", image, "json") or {}), True)

    def work(tx: Tx) -> None:
        images.drop_tags(tx, [t for t in chosen if t not in still])
        if gone:
            images.forget(tx, image)
        elif failed is None and last:
            images.release(tx, image, owner)

    await x.conclude(intent, "ok" if failed is None else "error", also=work)
    if failed is not None:
        x.send_json(failed[0], {"message": x.clean(failed[1])})
        return
    x.send_json(200, answer)


# -- images that come in ------------------------------------------------------------------------


async def create(x: Exchange) -> None:
    """Pull from a registry, or import a tar from the request's body (never from an address)."""
    if x.query.text("fromSrc"):
        await _import(x)
        return
    await x.read_nothing()
    name = x.query.text("fromImage")
    reference = parse_reference(name + (f":{x.query.text('tag')}" if x.query.text("tag") else ""))
    if reference is None or reference.digest or x.query.text("tag").startswith("sha256:") or not (reference.tag or x.query.text("tag")):
        raise malformed("pull needs a name with one tag: digests and all tags at once are not supported yet", status=403)
    async with x.guard.lock(f"tag:{reference.tagged}"):
        there = await x.look("images", familiar(reference.tagged), "json")
        if there is not None and x.guard.ledger.tag_owner(reference.tagged) is None:
            _already_there(x, reference.tagged, there)
            return
        wanted = await tags.check_tag(x, reference.tagged)
        query = [("fromImage", reference.repository), ("tag", reference.tag), *x.query.pairs("platform")]
        fields = [("X-Registry-Auth", a)] if (a := x.head.get("x-registry-auth")) and a.isascii() else []
        await _bring_in(x, "pull", [wanted], "POST", ("images", "create"), query=query, fields=fields)


def _already_there(x: Exchange, name: str, found: dict[str, Any]) -> None:
    """A tag that the administrator provides is what everybody gets; nobody moves it by pulling."""
    digest = (found.get("RepoDigests") or [found["Id"]])[0].rpartition("@")[2]
    lines = [{"status": f"Digest: {digest}"}, {"status": f"Status: Image is up to date for {familiar(name)}"}]
    data = b"".join(json.dumps(line).encode() + b"\r\n" for line in lines)
    x.send(200, data, (("Content-Type", "application/json"),))


async def _import(x: Exchange) -> None:
    if x.query.text("fromSrc") != "-":
        raise malformed("import from an address is refused: the engine would fetch it; use a file", status=403)
    check_changes(x.query.texts("changes"))
    wanted = []
    if x.query.text("repo"):
        name = x.query.text("repo") + (f":{x.query.text('tag')}" if x.query.text("tag") else "")
        wanted = [await tags.check_tag(x, name)]
    query = [("fromSrc", "-"), *_tag_query(wanted), *x.query.pairs("message", "changes", "platform")]
    await _bring_in(x, "import", wanted, "POST", ("images", "create"), query=query, stream=True, action=Action.IMAGE_IMPORT)


def _tag_query(wanted: list[str]) -> list[tuple[str, str]]:
    if not wanted:
        return []
    repository, _, tag_ = wanted[0].rpartition(":")
    return [("repo", repository), ("tag", tag_)]


def check_changes(changes: list[str]) -> None:
    """Each change is one line with one instruction from a list, without reserved labels (3.7)."""
    for line in changes:
        word = line.split(None, 1)[0].upper() if line.split() else ""
        if word not in CHANGES or "\n" in line or "\r" in line or "\\" in line:
            raise malformed(f"change {line[:64]!r} is not allowed: one line each of {', '.join(sorted(CHANGES))}", status=403)
        if RESERVED_PREFIX in line.casefold():
            raise malformed(f"labels under {RESERVED_PREFIX!r} are hostadmin's own", status=403)


async def _bring_in(
    x: Exchange,
    how: str,
    wanted: list[str],
    method: str,
    segments: tuple[str, ...],
    *,
    query: list[tuple[str, str]],
    fields: Any = (),
    stream: bool = False,
    action: Action | None = None,
) -> None:
    """Let an image in under claimed tags; its outcome is durable before the answer's last byte."""
    entry = x.entry(
        target(x, None, ", ".join(familiar(t) for t in wanted) or None), action=action, detail={"tags": [familiar(t) for t in wanted]}
    )
    intent = await x.intend(entry, also=tags.claim(wanted, x.caller.owner))
    seen = ImageIds()
    status = "unknown"

    async def conclude() -> None:
        nonlocal status
        status = "done"
        work = await tags.settle(x, wanted, how, await seen.known(x))
        await x.conclude(intent, "error" if seen.failed else "ok", also=work, detail={"images": seen.ids[:20]})

    try:
        body = x.read_stream() if stream else None
        response = await x.ask(method, *segments, query=query, stream=body, fields=fields)
        response.body = seen.listen(response.body)
        if response.status >= 400:
            seen.failed = True
            message = x.clean(await response.message())
            await conclude()
            x.send_json(response.status, {"message": message})
            return
        await x.relay(response, before_end=conclude)
    except BaseException:
        if status == "unknown":
            await x.conclude(intent, "unknown", also=await _after_cut(x, wanted, how))
        raise


async def _after_cut(x: Exchange, wanted: list[str], how: str) -> Any:
    """After a stream that was cut off, the tags are settled on a connection of its own."""
    x.upstream.close()
    try:
        return await tags.settle(x, wanted, how)
    except Exception:  # the engine is away: the resync will settle them
        return None


class ImageIds:
    """Listens to a progress stream for the ids of images that it made."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.failed = False
        self._rest = b""
        self._body: Any = None

    def listen(self, body: Any) -> "ImageIds":
        """Read through this object from now on."""
        self._body = body
        return self

    @property
    def done(self) -> bool:
        """Whether the body has ended."""
        return bool(self._body.done)

    async def read(self) -> bytes:
        """Return some bytes of the body, looked at."""
        data: bytes = await self._body.read()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._look(line)
        if not data:
            self._look(self._rest)
        return data

    async def read_all(self, limit: int) -> bytes:
        """Return the whole body."""
        data: bytes = await self._body.read_all(limit)
        return data

    def _look(self, line: bytes) -> None:
        try:
            value = json.loads(line)
        except ValueError:
            return
        if not isinstance(value, dict):
            return
        self.failed |= "error" in value
        aux = value.get("aux")
        text = f"{value.get('stream', '')} {value.get('status', '')} {aux.get('ID', '') if isinstance(aux, dict) else ''}"
        self.ids += [word for word in text.split() if word.startswith("sha256:") and len(word) == 71]
        words = text.split()
        if words[:2] == ["Successfully", "built"]:
            self.ids.append(words[2])

    async def known(self, x: Exchange) -> list[str]:
        """Return the full ids of those images that the engine has."""
        found = []
        for ref in dict.fromkeys(self.ids):
            image = await x.look("images", ref, "json")
            if image is not None:
                found.append(image["Id"])
        return found


async def _says_so_already(x: Exchange, name: str, image: str) -> bool:
    """Tell whether a visible tag names exactly this image already: loading it again moves nothing."""
    found = await x.look("images", name, "json") if image and parse_reference(name) else None
    return found is not None and found["Id"] == image and resolve.is_visible(x, found) and bool(resolve.visible_tags(x, [name]))


async def load(x: Exchange) -> None:
    """Load a saved tar: its tags are read and judged while it is spooled, before the engine sees a byte."""
    with ImageTar() as spool:
        try:
            async for data in x.read_stream():
                spool.write(data)
            named, ids = spool.finish()
        except TarRefused as refused:
            raise malformed(f"hostadmin refused this image file: {refused}", close=not x.body.done) from None
        wanted = [await tags.check_tag(x, name) for name, image in named.items() if not await _says_so_already(x, name, image)]
        mine = [i for i in ids if await x.look("images", i, "json") is None or i in x.guard.ledger.held(x.caller.owner)]
        known_before = set(ids) - set(mine)
        entry = x.entry(
            target(x, None, ", ".join(familiar(t) for t in wanted) or None),
            detail={"images": ids[:20], "tags": [familiar(t) for t in wanted]},
        )
        async with x.guard.lock("load"):
            intent = await x.intend(entry, also=tags.claim(wanted, x.caller.owner))
            concluded = False

            async def conclude() -> None:
                nonlocal concluded
                concluded = True
                there = [i for i in {*mine, *known_before} if await x.look("images", i, "json") is not None]
                await x.conclude(intent, "ok", also=await tags.settle(x, wanted, "load", there))

            try:
                response = await x.ask("POST", "images", "load", query=x.query.pairs("quiet"), stream=spool.chunks(), fields=TAR)
                await x.relay(response, before_end=conclude)
                if not concluded:
                    await conclude()
            except BaseException:
                if not concluded:
                    await x.conclude(intent, "unknown", also=await _after_cut(x, wanted, "load"))
                raise


async def commit(x: Exchange) -> None:
    """Make an image of an own container, under a tag of the caller's own, without hostadmin's labels."""
    body = await x.read_json(bodies.COMMIT, optional=True)
    violations = admission.find_reserved_labels(body.get("Labels"))
    if violations:
        raise containers.refusal_of(x, "commit this container", violations)
    changes = [line for change in x.query.texts("changes") for line in change.split("\n") if line.strip()]
    check_changes(changes)
    full, _ = await resolve.container(x, x.query.text("container"))
    wanted = []
    if x.query.text("repo"):
        name = x.query.text("repo") + (f":{x.query.text('tag')}" if x.query.text("tag") else "")
        wanted = [await tags.check_tag(x, name)]
    query = [("container", full), *_tag_query(wanted), *x.query.pairs("comment", "author", "pause")]
    query += [("changes", line) for line in [*changes, NO_LABELS]]
    intent = await x.intend(
        x.entry(containers.target(x, full, x.query.text("container")), detail={"tags": [familiar(t) for t in wanted]}),
        also=tags.claim(wanted, x.caller.owner),
    )
    response = await x.ask("POST", "commit", query=query, body=body)
    data = await response.read()
    ok = response.status == 201
    made = [json.loads(data)["Id"]] if ok else []
    await x.conclude(intent, "ok" if ok else "error", also=await tags.settle(x, wanted, "commit", made))
    if not ok:
        x.send_json(response.status, {"message": x.clean(error_message(data))})
        return
    x.send(201, data, passed_fields(response))
