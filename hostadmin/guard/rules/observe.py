"""Observe mode (``[guard] mode = "observe"``): what would be refused is recorded, and forwarded all the same.

It is forwarded as for an administrator: built anew by ``rules.admin``, its JSON written from what was parsed. What is made
that way is the caller's in the ledger. Answers that enforcement would cut are the engine's own here, so that nobody loses
sight of anything. What stays refused: whoever has no access, what cannot be read in one way only, a change that
cannot be recorded, an engine that cannot be reached.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from hostadmin.core.images import familiar
from hostadmin.core.labels import OWNER_LABEL, REQUEST_LABEL, RESERVED_PREFIX
from hostadmin.guard.exchange import JSON_LIMIT, Exchange
from hostadmin.guard.keptbody import KeptBody, WholeBody
from hostadmin.guard.refusal import RULE_ACCESS, RULE_ENGINE, RULE_OWNERSHIP, Refusal
from hostadmin.guard.routes import REFUSING, Rule
from hostadmin.guard.rules import admin, made, resolve
from hostadmin.guard.strictjson import dump_json, parse_json
from hostadmin.guard.target import parse_target

Handler = Callable[[Exchange], Awaitable[None]]
WOULD_REFUSE: Final = "would-refuse"
KEPT: Final = frozenset({RULE_ACCESS, RULE_ENGINE, "audit", "failed", "limits"})
"""Rules that refuse in observe mode too."""
PRUNES: Final = frozenset({Rule.CONTAINER_PRUNE, Rule.IMAGE_PRUNE, Rule.NETWORK_PRUNE, Rule.VOLUME_PRUNE, Rule.BUILD_PRUNE})
UNCUT: Final = frozenset(
    {
        Rule.CONTAINER_LIST,
        Rule.IMAGE_LIST,
        Rule.NETWORK_LIST,
        Rule.VOLUME_LIST,
        Rule.INFO,
        Rule.EVENTS,
        Rule.DISK_USAGE,
        Rule.EMPTY_LIST,
    }
)
"""Reads whose answers enforcement cuts to the caller, and never refuses."""
REFERRED: Final[Mapping[Rule, Callable[[Exchange, str], Awaitable[Any]]]] = {
    Rule.NETWORK_INSPECT: resolve.network,
    Rule.IMAGE_READ: resolve.image,
}
"""Reads of one object whose answers enforcement cuts: whether it would refuse them."""
OPAQUE: Final = frozenset({Rule.BUILD, Rule.IMAGE_LOAD, Rule.IMAGE_CREATE, Rule.CONTAINER_UPLOAD})
OPAQUE_OPERATIONS: Final = frozenset({"PluginCreate", "Session", "Grpc"})
"""Rows whose bodies are tars or streams; all others have JSON."""
LABELLED: Final = frozenset({Rule.CONTAINER_CREATE, Rule.NETWORK_CREATE, Rule.VOLUME_CREATE})
PRUNED: Final = "hostadmin would have pruned only what is the caller's own"


async def apply(x: Exchange, handle: Handler) -> None:
    """Judge a request by its row's rule; forward it whatever the judgement is."""
    with KeptBody(x.body) as kept:
        x.body = kept
        refusal = x.doubt or await _judge(x, handle)
        if refusal is None and x.answered:
            return
        if refusal is not None and not _may_pass(x, refusal, kept):
            raise refusal
        await _forward(x, refusal, kept)


async def _judge(x: Exchange, handle: Handler) -> Refusal | None:
    """Return why enforcement would refuse; ``None`` if it would not: then the request is answered, or is a read to be left uncut."""
    rule = x.route.rule
    if rule in UNCUT:
        return None
    if rule in PRUNES:
        return Refusal(403, PRUNED, RULE_OWNERSHIP)
    try:
        if rule in REFERRED:
            await REFERRED[rule](x, x.params[0])
        else:
            await handle(x)
    except Refusal as refusal:
        return refusal
    return None


def _may_pass(x: Exchange, refusal: Refusal, kept: KeptBody) -> bool:
    """Tell a judgement from what nobody could forward, and from the engine's own words (which leave no record)."""
    if x.answered or kept.broken or refusal.rule in KEPT:
        return False
    return refusal.recorded or x.route.rule in REFUSING or x.route.rule in REFERRED


async def _forward(x: Exchange, refusal: Refusal | None, kept: KeptBody) -> None:
    x.upstream.close()  # the engine may have seen the beginning of a body
    kept.rewind()
    entry = None
    making = await made.foresee(x)
    if refusal is not None and refusal.recorded:
        detail: dict[str, Any] = {"operation": x.route.operation, "status": refusal.status, "message": refusal.message[:2000]}
        detail["tags"] = [familiar(tag) for tag in making.tags]
        entry = replace(x.entry(x.guard.target_of(x), rule=refusal.rule, detail=detail), decision=WOULD_REFUSE)
        if x.route.action is None or not admin.is_change(x):
            await x.guard.record_refusal(entry)
            entry = None
    if x.route.rule not in OPAQUE and x.route.operation not in OPAQUE_OPERATIONS:
        await _write_anew(x, refusal, kept, entry.req if entry else "")
    await admin.forward(x, parse_target(x.head.target)[2], entry, making)


async def _write_anew(x: Exchange, refusal: Refusal | None, kept: KeptBody, request: str) -> None:
    """Replace a JSON body by one written from what it says, with our labels where something is made.

    Raises:
        Refusal: the one of enforcement, if the body cannot be read in one way only.

    """
    try:
        data = await kept.read_all(JSON_LIMIT)
        if not data.strip():
            x.body = WholeBody(b"")
            return
        value = parse_json(data)
    except Refusal as unreadable:
        raise refusal or unreadable from None
    if x.route.rule in LABELLED and isinstance(value, dict):
        _label(x, value, request)
    x.body = WholeBody(dump_json(value))


def _label(x: Exchange, value: dict[str, Any], request: str) -> None:
    """Set our labels; nobody else sets those, in observe mode neither."""
    given: dict[str, Any] = {}
    for name in [n for n in value if n.casefold() == "labels"]:  # Go reads any case
        labels = value.pop(name)
        given |= labels if isinstance(labels, dict) else {}
    others = {k: v for k, v in given.items() if not k.casefold().startswith(RESERVED_PREFIX)}
    value["Labels"] = {**others, OWNER_LABEL: x.caller.owner, REQUEST_LABEL: request}
