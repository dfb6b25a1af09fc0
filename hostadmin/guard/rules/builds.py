"""Builds with the classic builder: parameters judged, tags claimed, base images checked."""

from typing import Any, Final

from hostadmin.core.images import familiar, parse_reference
from hostadmin.guard.exchange import Exchange
from hostadmin.guard.refusal import Refusal, malformed
from hostadmin.guard.routes import BUILDKIT
from hostadmin.guard.rules import containers, images, resolve, tags
from hostadmin.guard.rules.context import BuildContext, named_in
from hostadmin.guard.rules.spool import TarRefused
from hostadmin.guard.schema import mapping, nullable, text
from hostadmin.guard.strictjson import dump_json, parse_json
from hostadmin.policy import admission
from hostadmin.store import images as rows
from hostadmin.store.database import Tx

NEUTRAL_ONLY: Final = ("remote", "squash", "isolation", "securityopt", "outputs", "session", "cgroupparent")
PASSED: Final = (
    "dockerfile",
    "target",
    "q",
    "nocache",
    "platform",
    "memory",
    "memswap",
    "cpushares",
    "cpuperiod",
    "cpuquota",
    "cpusetcpus",
    "cpusetmems",
    "shmsize",
    "extrahosts",
)
TEXTS: Final = mapping(nullable(text(65536)))


async def build(x: Exchange) -> None:
    """Build an image; the result and its tags are the caller's."""
    _check(x)
    wanted = [await tags.check_tag(x, name) for name in dict.fromkeys(x.query.texts("t"))]
    query = await _query(x, wanted)
    with BuildContext(x.query.text("dockerfile") or "Dockerfile") as context:
        try:
            async for data in x.read_stream():
                context.write(data)
            bases = context.finish(_json_map(x, "buildargs"))
        except TarRefused as refused:
            raise malformed(f"hostadmin refused this build: {refused}", close=not x.body.done, status=refused.status) from None
        for base in bases:
            await _check_base(x, base)
        await _run(x, wanted, query, context)


async def _run(x: Exchange, wanted: list[str], query: list[tuple[str, str]], context: BuildContext) -> None:
    seen = images.ImageIds()
    owner = x.caller.owner
    detail = {"args": sorted(_json_map(x, "buildargs")), "bytes": context.size, "tags": [familiar(t) for t in wanted]}
    intent = await x.intend(x.entry(images.target(x, None, ", ".join(wanted) or None), detail=detail), also=tags.claim(wanted, owner))
    concluded = False

    async def conclude(status: str | None = None) -> None:
        nonlocal concluded
        concluded = True
        made = await _with_parents(x, await seen.known(x))
        work = await tags.settle(x, wanted, "build", made)
        await x.conclude(intent, status or ("error" if seen.failed else "ok"), also=work, detail={"images": seen.ids[-5:]})

    try:
        response = await x.ask("POST", "build", query=query, stream=context.chunks(), fields=images.TAR)
        response.body = seen.listen(response.body)
        await x.relay(response, before_end=conclude)
        if not concluded:
            await conclude("error")
    except BaseException:
        if not concluded:
            x.upstream.close()
            await x.conclude(intent, "unknown", also=_forget(wanted))
        raise


def _forget(wanted: list[str]) -> Any:
    """A build that was cut off has set no tag: the classic builder tags at the end."""

    def work(tx: Tx) -> None:
        rows.drop_tags(tx, [t for t in wanted if rows.known_tags(tx).get(t) == ""])

    return work


async def _with_parents(x: Exchange, made: list[str]) -> list[str]:
    """Return the images of a build with the untagged steps below them."""
    found = list(made)
    for image in made:
        for step in await x.look("images", image, "history") or []:
            step_id = step.get("Id", "")
            if step_id.startswith("sha256:") and not step.get("Tags") and step_id not in found:
                found.append(step_id)
    return found


def _check(x: Exchange) -> None:
    """Refuse what only BuildKit, the network or the host's cgroups could serve."""
    if x.query.text("version") == "2" or x.query.text("session"):
        raise Refusal(403, f"hostadmin refused this build: {BUILDKIT}", "operation")
    for name in NEUTRAL_ONLY:
        value = x.query.values.get(name, [""])[0]
        if value not in ("", False, "default", "[]", "null"):
            raise Refusal(403, f"hostadmin refused this build: parameter {name!r} is not allowed", "admission")
    if x.query.text("version") not in ("", "1"):
        raise malformed("unknown builder version")
    name = x.query.text("dockerfile")
    if name.startswith("/") or ".." in name.split("/"):
        raise malformed("dockerfile must be a path inside the context")


def _json_map(x: Exchange, name: str) -> dict[str, str | None]:
    given = x.query.text(name)
    if not given or given == "null":
        return {}
    found: dict[str, str | None] = TEXTS(parse_json(given, name), name)
    return found


async def _query(x: Exchange, wanted: list[str]) -> list[tuple[str, str]]:
    """Return the parameters for the engine: checked ones, and those that hostadmin sets."""
    labels = _json_map(x, "labels")
    violations = admission.find_reserved_labels({k: v or "" for k, v in labels.items()})
    if violations:
        raise containers.refusal_of(x, "build this image", violations)
    query = [("t", name) for name in wanted]
    query += x.query.pairs(*PASSED)
    query += [("rm", "1"), ("forcerm", "1"), ("version", "1")]
    if x.query.text("pull").lower() not in ("", "0", "false", "no", "none"):
        query.append(("pull", "1"))
    for name, value in (("buildargs", _json_map(x, "buildargs")), ("labels", labels)):
        if value:
            query.append((name, dump_json(value).decode("ascii")))
    cache = x.query.text("cachefrom")
    if cache and cache not in ("null", "[]"):
        refs = parse_json(cache, "cachefrom")
        if not isinstance(refs, list) or not all(isinstance(r, str) for r in refs):
            raise malformed("cachefrom must be a list of images")
        ids = [(await resolve.image(x, ref))["Id"] for ref in refs]
        query.append(("cachefrom", dump_json(ids).decode("ascii")))
    return query + await _network(x)


async def _network(x: Exchange) -> list[tuple[str, str]]:
    mode = x.query.text("networkmode")
    if mode in ("", "default", "bridge"):
        return []
    if mode == "none":
        return [("networkmode", "none")]
    if mode == "host" or mode.startswith("container:"):
        raise Refusal(403, f"hostadmin refused this build: network mode {mode!r}", "admission")
    return [("networkmode", (await resolve.network(x, mode, predefined=False))["Id"])]


async def _check_base(x: Exchange, base: str) -> None:
    """An image that is there must be visible; one that is not there may be pulled by the engine."""
    if parse_reference(base) is None:
        raise malformed(f"invalid base image {base[:128]!r}")
    if await x.look("images", base, "json") is None:
        return
    try:
        found = await resolve.image(x, base)
    except Refusal:
        text = f"pull access denied for {base}, repository does not exist or may require 'docker login'"
        raise Refusal(404, text, "ownership") from None
    for line in (found.get("Config") or {}).get("OnBuild") or []:  # triggers act in this build
        word, _, rest = line.partition(" ")
        try:
            named = named_in(word.upper(), rest)
        except TarRefused as refused:
            raise malformed(f"hostadmin refused this build: {base}: {refused}", status=refused.status) from None
        for image in named:
            await _check_base(x, image)
