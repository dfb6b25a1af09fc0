"""Registries: signing in, searching, pulling and pushing; the engine speaks to those only that the profile lists."""

import json
from typing import Any

from hostadmin.audit.journal import Target
from hostadmin.core.images import Reference, familiar, parse_reference
from hostadmin.guard import headers
from hostadmin.guard.exchange import JSON_TYPE, Exchange
from hostadmin.guard.flows import LAST_CHUNK
from hostadmin.guard.query import build_filters
from hostadmin.guard.refusal import Refusal, malformed
from hostadmin.guard.rules import incoming, resolve, tags
from hostadmin.guard.rules.images import names_of, target
from hostadmin.guard.rules.incoming import Arrival, Rows
from hostadmin.guard.rules.progress import Progress
from hostadmin.policy.registries import HUB_ADDRESS, find_registry_violation, registry_of, registry_of_term
from hostadmin.store import images
from hostadmin.store.database import Tx

Fields = list[tuple[str, str]]


def check_registry(x: Exchange, registry: str) -> None:
    """Refuse a registry that the caller's profile does not list.

    Raises:
        Refusal: 403 with those that it lists.

    """
    assert x.caller.profile is not None  # noqa: S101  # administrators do not come here
    violation = find_registry_violation(registry, x.caller.profile.registries, x.caller.profile.name)
    if violation:
        raise Refusal(403, f"hostadmin refused to let the engine speak to {violation}", "admission")


def read_reference(x: Exchange, text: str) -> Reference:
    """Return a reference whose registry the caller may use."""
    reference = parse_reference(text)
    if reference is None:
        raise malformed(f"invalid reference format: {text[:128]}")
    check_registry(x, reference.domain)
    return reference


async def sign_in(x: Exchange) -> None:
    """Let the engine check credentials; they are forwarded and kept nowhere."""
    given = await x.read_json(headers.auth_config)
    registry = registry_of(given.get("serveraddress", ""))
    check_registry(x, registry)
    address = HUB_ADDRESS if registry == registry_of("") else registry
    about = Target("registry", None, registry, x.caller.owner)
    await x.change(about, "POST", "auth", body={**given, "serveraddress": address})


async def search(x: Exchange) -> None:
    """Search a registry."""
    await x.read_nothing()
    registry = registry_of_term(x.query.text("term"))
    if registry is None:
        raise malformed("invalid search term")
    check_registry(x, registry)
    fields = headers.forwarded(x.head, x.route.operation)
    await x.send_response(await x.ask("GET", "images", "search", query=_search_query(x), fields=fields))


def _search_query(x: Exchange) -> list[tuple[str, str]]:
    return [*x.query.pairs("term", "limit"), *build_filters(x.query.filters())]


async def inspect(x: Exchange) -> None:
    """Ask a registry what a reference is."""
    await x.read_nothing()
    read_reference(x, x.params[0])
    fields = headers.forwarded(x.head, x.route.operation)
    await x.send_response(await x.ask("GET", "distribution", x.params[0], "json", fields=fields))


async def push(x: Exchange) -> None:
    """Push an image under names that the caller may see, one after the other if the tag is left out (rule R9)."""
    await x.read_nothing()
    name, tag = x.params[0], x.query.text("tag")
    reference = read_reference(x, f"{name}:{tag}" if tag else name)
    if reference.digest:
        raise malformed("cannot push a digest reference")
    with x.guard.tags.being_used([reference.tagged] if reference.tag else [], x.caller.owner):
        wanted = await names_of(x, f"{familiar(reference.repository)}:{reference.tag}" if reference.tag else familiar(reference.repository))
        with x.guard.tags.being_used(wanted, x.caller.owner):
            for one in wanted:
                await names_of(x, familiar(one))
            await _push(x, wanted)


async def _push(x: Exchange, wanted: list[str]) -> None:
    shown = [familiar(one) for one in wanted]
    intent = await x.intend(x.entry(target(x, None, ", ".join(shown)), detail={"pushed": shown}))
    fields = headers.forwarded(x.head, x.route.operation)
    progress = Progress()
    status = "unknown"
    try:
        with x.ends_with_client():
            for number, one in enumerate(wanted):
                repository, _, tag = one.rpartition(":")
                query = [("tag", tag), *x.query.pairs("platform")]
                response = await x.ask("POST", "images", familiar(repository), "push", query=query, fields=fields)
                if response.status >= 400 and not number:
                    status = "error"
                    x.send_json(response.status, {"message": x.clean(await response.message())})
                    return
                if not number:
                    x.start_answer(200, JSON_TYPE, None)
                progress.listen(response)
                while data := await progress.read():
                    await _write(x, data)
        status = "error" if progress.failed else "ok"
    finally:
        await x.conclude(intent, status)
    if x.head.minor:
        x.client.write(LAST_CHUNK)


async def _write(x: Exchange, data: bytes) -> None:
    x.client.write(b"%x\r\n%b\r\n" % (len(data), data) if x.head.minor else data)
    await x.client.drain()


# -- pull ---------------------------------------------------------------------------------------


async def create(x: Exchange) -> None:
    """Pull from a registry, or import a tar from the request's body."""
    if x.query.text("fromSrc"):
        await incoming.import_(x)
        return
    await x.read_nothing()
    name, tag = x.query.text("fromImage").removesuffix(":"), x.query.text("tag")
    joined = f"{name}@{tag}" if tag.startswith("sha256:") else f"{name}:{tag}" if tag else name
    reference = read_reference(x, joined)
    if not reference.tag and not reference.digest:
        text = "pulling all tags of a repository at once is not possible here, since each must be judged: name the tags one by one"
        raise malformed(text, status=403)
    fields = headers.forwarded(x.head, x.route.operation)
    async with x.guard.lock(f"pull:{reference.tagged}"):  # who pulls the same at the same time gets what the first one got
        if await _is_given(x, reference, fields):
            there = await x.look("images", _asked(reference), "json") or {}
            _say_up_to_date(x, reference, there)
            return
        arrival, query = await _begin(x, reference)
        await arrival.carry(lambda: x.ask("POST", "images", "create", query=query, fields=fields))


async def fetch(x: Exchange, reference: Reference, auth: headers.AuthConfig) -> None:
    """Pull an image that a build is to stand on, by the same rules; nothing is answered.

    Raises:
        Refusal: it cannot be had, in the engine's words.

    """
    check_registry(x, reference.domain)
    fields = [(headers.AUTH, headers.encode(auth))] if auth else []
    async with x.guard.lock(f"pull:{reference.tagged}"):
        if not await _is_given(x, reference, fields):
            arrival, query = await _begin(x, reference)
            await arrival.carry_quietly(lambda: x.ask("POST", "images", "create", query=query, fields=fields))


async def _begin(x: Exchange, reference: Reference) -> tuple[Arrival, list[tuple[str, str]]]:
    """Claim what a pull will set, durably; return its arrival and the engine's query."""
    arrival = Arrival(x, "pull", Progress())
    wanted = [] if reference.digest else [await tags.check_tag(x, familiar(reference.tagged))]
    shown = familiar(reference.digested if reference.digest else reference.tagged)
    entry = x.entry(target(x, None, shown), detail={"tags": [familiar(t) for t in wanted]})
    arrival.rows = lambda: _given_rows(x, reference)
    await arrival.begin(x, entry, wanted)
    return arrival, [
        ("fromImage", reference.repository),
        ("tag", reference.digest or reference.tag or "latest"),
        *x.query.pairs("platform"),
    ]


async def _is_given(x: Exchange, reference: Reference, fields: Fields) -> bool:
    """Give a tag that is there already to the caller without moving it, if that is what they get by pulling it.

    A tag that the administrator provides is what everybody gets. One that somebody else has pulled is given to
    whoever the registry gives the same image; credentials are checked by asking the registry, each time.

    Raises:
        Refusal: 403, the registry has another image under somebody else's tag; or the registry's own answer.

    """
    if reference.digest:
        return False
    found = await x.look("images", familiar(reference.tagged), "json")
    owner = x.guard.ledger.tag_owner(reference.tagged)
    if found is None or owner == x.caller.owner:
        return False
    if owner is None:
        return True
    response = await x.ask("GET", "distribution", familiar(reference.tagged), "json", fields=fields)
    if response.status != 200:
        raise Refusal(response.status, x.clean(await response.message()), "engine", recorded=False)
    digest = str((await response.json())["Descriptor"]["digest"])
    if f"{reference.repository}@{digest}" not in _digests(found):
        text = (
            f"hostadmin refused to move {familiar(reference.tagged)!r}, which somebody else has pulled when it was another image; "
            f"pull what it is now by its digest: docker pull {familiar(reference.repository)}@{digest}"
        )
        raise Refusal(403, text, "ownership")
    rows = await _given_rows(x, reference)
    owned, image = x.caller.owner, found["Id"]

    def work(tx: Tx) -> None:
        rows(tx)
        images.put_name(tx, reference.tagged, image, owned)
        images.hold(tx, image, owned, "pull")

    intent = await x.intend(x.entry(target(x, image, familiar(reference.tagged)), detail={"given": digest}))
    await x.conclude(intent, "ok", also=work)
    return True


def _digests(found: dict[str, Any]) -> list[str]:
    return [r.digested for d in found.get("RepoDigests") or [] if (r := parse_reference(d)) is not None and r.digest]


def _asked(reference: Reference) -> str:
    return familiar(reference.digested if reference.digest else reference.tagged)


async def _given_rows(x: Exchange, reference: Reference) -> Rows:
    """Return the work that notes the digests under which a registry gave an image to the caller."""
    found = await x.look("images", _asked(reference), "json")
    owner = x.caller.owner

    def work(tx: Tx) -> None:
        if found is None:
            return
        for digest in _digests(found):
            if digest.startswith(f"{reference.repository}@") and reference.digest in ("", digest.rpartition("@")[2]):
                images.put_name(tx, digest, found["Id"], owner)
        if reference.digest:
            images.hold(tx, found["Id"], owner, "pull")

    return work


def _say_up_to_date(x: Exchange, reference: Reference, found: dict[str, Any]) -> None:
    digest = (resolve.visible_digests(x, found) or [found.get("Id", "")])[0].rpartition("@")[2]
    lines = [{"status": f"Digest: {digest}"}, {"status": f"Status: Image is up to date for {_asked(reference)}"}]
    data = b"".join(json.dumps(line).encode() + b"\r\n" for line in lines)
    x.send(200, data, JSON_TYPE)
