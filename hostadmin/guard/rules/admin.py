"""Root on the host: everything passes, rebuilt, and every change is recorded with the login uid."""

from typing import Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Intent
from hostadmin.guard.exchange import Exchange
from hostadmin.guard.headers import forwarded
from hostadmin.guard.routes import Rule
from hostadmin.guard.rules import websockets
from hostadmin.guard.rules.made import Making
from hostadmin.guard.rules.streams import finish_stream
from hostadmin.guard.target import Query, build_path, build_query
from hostadmin.guard.upstream import Response

SESSION: Final = (
    "x-docker-expose-session-grpc-method",
    "x-docker-expose-session-uuid",
    "x-docker-expose-session-name",
    "x-docker-expose-session-sharedkey",
)
READS: Final = ("GET", "HEAD")


def is_change(x: Exchange) -> bool:
    """Tell what is recorded as a change: all but reads; attaching by WebSocket is a GET that writes."""
    return x.head.method not in READS or x.route.rule is Rule.CONTAINER_WEBSOCKET


async def pass_on(x: Exchange) -> None:
    """Forward a request of an administrator; record changes."""
    entry = None
    if is_change(x):
        known = x.route.action if x.route.action is not Action.OPERATION_REFUSE else None
        detail = {"operation": x.route.operation}
        entry = x.entry(x.guard.target_of(x), action=known or Action.ADMIN_OPERATION, rule="admin", detail=detail)
    await forward(x, [(name, value) for name, values in x.query.values.items() for value in values], entry)


async def forward(x: Exchange, query: Query, entry: Entry | None, making: Making | None = None) -> None:
    """Forward a request built anew; stream both ways.

    Args:
        x: the exchange.
        query: the parameters, as text.
        entry: how it is recorded; ``None``: it is not.
        making: what it makes; the ledger gets it with the outcome.

    """
    making = making or Making()
    path = x.route.template
    for value in x.params:
        start, end = path.index("{"), path.index("}")
        path = f"{path[:start]}\0{value}\0{path[end + 1 :]}".replace("\0", "")
    target = build_path(x.version, path[1:].split("/")) + build_query(query)
    fields = [(name.title(), value) for name, value in x.head.fields if name in SESSION and x.route.operation == "Session"]
    fields += forwarded(x.head, x.route.operation)
    kind = (x.head.get("content-type") or "").lower()
    if kind:
        fields.append(("Content-Type", "application/json" if "json" in kind else "application/x-tar"))
    fields += x.upgrade_fields()
    key = websockets.read_key(x) if x.route.rule is Rule.CONTAINER_WEBSOCKET else ""
    intent = await x.intend(entry, also=making.claim) if entry is not None else None
    if intent is not None and key:
        await websockets.join(x, target, key, intent)
        return
    if x.upgrading:
        body = await x.body.read_all(1 << 20)
        fields += [("Content-Length", str(len(body)))]
        response = await x.upstream.request(x.head.method, target, raw=body, fields=fields)
    elif x.body.done:
        response = await x.upstream.request(x.head.method, target, fields=fields)
    else:
        response = await x.upstream.request(x.head.method, target, stream=x.read_stream(), fields=fields)
    hijackable = response.status == 101 or (
        x.route.upgrade == "tcp" and response.status == 200 and response.head.length is None and not response.head.chunked
    )
    if hijackable:
        channel = await x.hijack(response)
        await finish_stream(x, intent, channel)
        return
    await _answer(x, response, intent, making)


async def _answer(x: Exchange, response: Response, intent: Intent | None, making: Making) -> None:
    """Pass on the engine's answer; the outcome is recorded before its last byte."""

    async def conclude(data: bytes = b"") -> None:
        if intent is not None:
            ok = response.status < 400
            about, rows = await making.settle(data) if ok and making.settle else (None, None)
            await x.conclude(intent, "ok" if ok else "error", target=about, also=rows, detail={"http": response.status})

    if response.status >= 400 or response.status in (204, 304):
        await conclude()
        await x.send_response(response)
    elif making.settle and response.head.length is not None:
        data = await response.read()
        await conclude(data)
        await x.send_response(response, data)
    else:
        await x.relay(response, before_end=conclude)
