"""Builds with the classic builder: parameters judged, tags claimed, base images checked."""

from contextlib import ExitStack
from typing import Any, Final

from hostadmin.core.images import familiar, looks_like_id, parse_reference
from hostadmin.guard import bodies, headers
from hostadmin.guard.exchange import Exchange
from hostadmin.guard.refusal import Refusal, malformed
from hostadmin.guard.routes import BUILDKIT
from hostadmin.guard.rules import containers, quotas, registries, resolve, tags
from hostadmin.guard.rules.context import BuildContext, named_in
from hostadmin.guard.rules.images import tags_of, target
from hostadmin.guard.rules.incoming import Arrival
from hostadmin.guard.rules.progress import Progress, built, built_quietly, step
from hostadmin.guard.rules.tarstream import TarRefused, refused
from hostadmin.guard.rules.uploads import Upload
from hostadmin.guard.schema import Schema, items, mapping, nullable, record, text
from hostadmin.guard.strictjson import dump_json, parse_json
from hostadmin.policy import admission
from hostadmin.policy.registries import registry_of
from hostadmin.policy.resources import BUILD_RESOURCES, admit_build, review_ulimits

NEUTRAL_ONLY: Final = ("remote", "squash", "isolation", "securityopt", "outputs", "session", "cgroupparent")
PASSED: Final = (
    "dockerfile",
    "target",
    "q",
    "platform",
    "cpushares",
    "cpusetcpus",
    "cpusetmems",
    "extrahosts",
)
DENIED: Final = "pull access denied for {}, repository does not exist or may require 'docker login'"
STEPS_LIMIT: Final = 500
CACHE_LIMIT: Final = 200
ULIMITS: Final = Schema(items(record(bodies.ULIMIT), 20))
TEXTS: Final = Schema(mapping(nullable(text(65536))))


async def build(x: Exchange) -> None:
    """Build an image; the result and its tags are the caller's.

    The context goes to the engine while it comes; its Dockerfile follows after every image that it names has
    been judged, and those images keep their names until the build has ended.
    """
    _check(x)
    arguments = _json_map(x, "buildargs")
    configs = headers.registry_configs(x.head)
    wanted = [await tags.check_tag(x, name) for name in dict.fromkeys(x.query.texts("t"))]
    query = await _query(x, wanted)
    steps = Steps(quiet=x.query.flag("q"))
    arrival = Arrival(x, "build", steps)
    arrival.extra = lambda: steps.made(x)
    shown = [familiar(t) for t in wanted]
    entry = x.entry(target(x, None, ", ".join(shown) or None), detail={"args": sorted(arguments), "tags": shown})
    await arrival.begin(x, entry, wanted)
    context = BuildContext(x.query.text("dockerfile") or "Dockerfile")
    with ExitStack() as used:

        async def judge(other: Exchange) -> None:
            for base in context.images(arguments):
                used.enter_context(x.guard.tags.being_used(_names(base), x.caller.owner))
                steps.allowed.add(await _check_base(other, base, configs))

        upload = Upload(x, "this build", context, judge)
        await arrival.send(upload, "build", query=query)


def _names(base: str) -> list[str]:
    reference = parse_reference(base)
    return [reference.tagged] if reference is not None else []


class Steps(Progress):
    """Listens to a build: its result, and the intermediate images that it leaves, also when it fails.

    A container of the build can print what looks like a step. An intermediate image counts only if it stands on an
    image of this build, has no tag and is nobody's.
    """

    def __init__(self, *, quiet: bool) -> None:
        super().__init__(self._find_ids)
        self._result = built_quietly if quiet else built
        self.allowed: set[str] = set()  # ids of the images that this build may stand on
        self._steps: list[str] = []

    def _find_ids(self, message: dict[str, Any]) -> list[str]:
        found = step(message)
        if found:
            self._steps = [*self._steps[-STEPS_LIMIT:], found]
        return self._result(message)

    async def known(self, x: Exchange) -> list[str]:
        """Return the ids of the result, and of the intermediate images of this build."""
        found = await super().known(x)
        held = x.guard.ledger.held(x.caller.owner)
        for ref in dict.fromkeys(self._steps):
            image = await x.look("images", ref, "json")
            if image is None or image["Id"] in held or tags_of(image) or x.guard.ledger.holders(image["Id"]):
                continue
            if image.get("Parent") in self.allowed | held | set(found):
                found.append(image["Id"])
        return found

    async def made(self, x: Exchange) -> list[str]:
        """Return the untagged steps below the result."""
        found: list[str] = []
        for image in self.ids[-1:]:
            for item in await x.look("images", image, "history") or []:
                if str(item.get("Id", "")).startswith("sha256:") and not item.get("Tags"):
                    found.append(item["Id"])
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


def _ulimits(x: Exchange) -> list[dict[str, Any]]:
    given = x.query.text("ulimits")
    found: list[dict[str, Any]] = ULIMITS(parse_json(given, "ulimits") or [], "ulimits") if given else []
    return found


async def _query(x: Exchange, wanted: list[str]) -> list[tuple[str, str]]:
    """Return the parameters for the engine: checked ones, and those that hostadmin sets."""
    labels = _json_map(x, "labels")
    violations = admission.find_reserved_labels({k: v or "" for k, v in labels.items()})
    ulimits = _ulimits(x)
    violations += review_ulimits(ulimits)
    asked = {name: x.query.number(name) for name in BUILD_RESOURCES}
    texts = {"ExtraHosts": x.query.texts("extrahosts"), "CpusetCpus": x.query.text("cpusetcpus"), "CpusetMems": x.query.text("cpusetmems")}
    profile = quotas.profile_of(x)
    violations += admit_build(asked, profile) + admission.review_names(texts, profile) + admission.review_cpusets(texts, profile)
    if violations:
        raise containers.refusal_of(x, "build this image", violations)
    query = [("t", name) for name in wanted]
    query += x.query.pairs(*PASSED)
    query += [("rm", "1"), ("forcerm", "1"), ("version", "1")]
    query += [(name, str(asked[name])) for name in BUILD_RESOURCES if asked[name]]
    if parent := await quotas.cgroup_parent(x):
        query.append(("cgroupparent", parent))
    for name, value in (("buildargs", _json_map(x, "buildargs")), ("labels", labels), ("ulimits", ulimits)):
        if value:
            query.append((name, dump_json(value).decode("ascii")))
    return query + await _cache(x) + await _network(x)


async def _cache(x: Exchange) -> list[tuple[str, str]]:
    """Let the builder's cache find the caller's own images only.

    The engine has one cache for everybody, and a step with the same words is the same step to it, whatever it had
    produced: what somebody's build has generated would be handed to whoever guesses the words. With ``cachefrom``
    it takes only what lies below the images named there (moby ``image/cache``: ``ImageCache.GetCache``).
    """
    given = x.query.text("cachefrom")
    refs = parse_json(given, "cachefrom") if given else None
    if refs is not None and (not isinstance(refs, list) or not all(isinstance(r, str) for r in refs)):
        raise malformed("cachefrom must be a list of images")
    ids = [(await resolve.image(x, ref))["Id"] for ref in refs or []]
    ids = ids or x.guard.ledger.newest_held(x.caller.owner, CACHE_LIMIT)
    if x.query.flag("nocache") or not ids:
        return [("nocache", "1")]
    return [("cachefrom", dump_json(ids).decode("ascii"))]


async def _network(x: Exchange) -> list[tuple[str, str]]:
    mode = x.query.text("networkmode")
    if mode in ("", "default", "bridge"):
        return []
    if mode == "none":
        return [("networkmode", "none")]
    if mode == "host" or mode.startswith("container:"):
        raise Refusal(403, f"hostadmin refused this build: network mode {mode!r}", "admission")
    return [("networkmode", (await resolve.network(x, mode, predefined=False))["Id"])]


async def _check_base(x: Exchange, base: str, configs: dict[str, headers.AuthConfig]) -> str:
    """Return the id of an image that a build names: a visible one; one that is not there is pulled for the caller first.

    Raises:
        Refusal: not visible, or not to be had.

    """
    reference = parse_reference(base)
    if reference is None and not looks_like_id(base):
        raise malformed(f"invalid base image {base[:128]!r}")
    always = x.query.flag("pull")
    found = None if always and reference is not None else await _find_base(x, base)
    if found is None:
        if reference is None:
            raise Refusal(404, DENIED.format(base), "ownership")
        await registries.fetch(x, reference, _auth_for(reference.domain, configs))
        found = await _find_base(x, base)
    if found is None:
        raise Refusal(404, DENIED.format(base), "ownership")
    await _check_triggers(x, base, found, configs)
    return str(found["Id"])


async def _find_base(x: Exchange, base: str) -> dict[str, Any] | None:
    try:
        return await resolve.image(x, base)
    except Refusal as missing:
        if missing.status != 404:
            raise
        return None


def _auth_for(domain: str, configs: dict[str, headers.AuthConfig]) -> headers.AuthConfig:
    """Return the credentials that the caller has sent for a registry."""
    return next((auth for address, auth in configs.items() if registry_of(address) == domain), {})


async def _check_triggers(x: Exchange, base: str, found: dict[str, Any], configs: dict[str, headers.AuthConfig]) -> None:
    """Judge what the triggers of a base image (``ONBUILD``) name: they act in this build."""
    for line in (found.get("Config") or {}).get("OnBuild") or []:
        word, _, rest = line.partition(" ")
        try:
            named = named_in(word.upper(), rest)
        except TarRefused as error:
            raise refused(f"this build: {base}", error) from None
        for image in named:
            await _check_base(x, image, configs)
