"""Networks: own ones, and the engine's predefined ones without other people's endpoints."""

import json
import re
from typing import Any, Final

from hostadmin.audit.journal import Target
from hostadmin.core.ids import new_id
from hostadmin.core.labels import OWNER_LABEL, REQUEST_LABEL, without_reserved
from hostadmin.core.values import Attribution, Kind
from hostadmin.guard import bodies
from hostadmin.guard.exchange import Exchange, error_message, passed_fields
from hostadmin.guard.query import build_filters
from hostadmin.guard.refusal import Refusal, malformed
from hostadmin.guard.rules import containers, creation, mounts, quotas, resolve
from hostadmin.host.routes import host_subnets
from hostadmin.policy import admission
from hostadmin.store import objects
from hostadmin.store.database import Tx

ID_LIKE: Final = re.compile(r"[0-9a-f]{12,64}")  # a name comes before an abbreviated id: it would hide somebody's network
MEMBERS: Final = frozenset(
    (
        *("Name", "Id", "Created", "Scope", "Driver", "EnableIPv4", "EnableIPv6", "IPAM", "Internal", "Attachable", "Ingress"),
        *("ConfigFrom", "ConfigOnly", "Containers", "Options", "Labels"),
    )
)
DEFAULT_OPTIONS: Final = ("com.docker.network.bridge.default_bridge", "com.docker.network.bridge.name")


def _cut(x: Exchange, found: dict[str, Any]) -> dict[str, Any]:
    """Return a network of listed members, without endpoints of others and what counts them."""
    mine = x.guard.ledger.owned(Kind.CONTAINER, x.caller.owner)
    shown = {name: value for name, value in found.items() if name in MEMBERS}
    if shown.get("Containers"):
        shown["Containers"] = {k: v for k, v in shown["Containers"].items() if k in mine}
    shown["Labels"] = without_reserved(shown.get("Labels"))
    return shown


async def list_visible(x: Exchange) -> None:
    """List the caller's networks and the engine's own."""
    await x.read_nothing()
    filters = x.query.filters()
    mine = x.guard.ledger.owned(Kind.NETWORK, x.caller.owner)
    response = await x.ask("GET", "networks", query=build_filters(filters))
    if response.status != 200:
        await x.send_response(response)
        return
    items = await response.json()
    x.send_json(200, [_cut(x, n) for n in items if n["Id"] in mine or n["Name"] in resolve.PREDEFINED])


async def inspect(x: Exchange) -> None:
    """Inspect an own or a predefined network; ``verbose`` tells more of swarm's only."""
    await x.read_nothing()
    found = await resolve.network(x, x.params[0])
    if x.query.text("scope") not in ("", found.get("Scope")):
        raise resolve.no_network(x.params[0])
    x.send_json(200, _cut(x, found))


async def create(x: Exchange) -> None:
    """Create a bridge network; duplicate names are refused by the engine."""
    violations: list[str] = []
    body = await x.read_json(bodies.NETWORK_CREATE, refusals=violations)
    name = body.get("Name", "")
    if not mounts.VOLUME_NAME.fullmatch(name) or ID_LIKE.fullmatch(name):
        raise malformed(f"invalid network name {name[:64]!r}")
    blocks = dict(x.guard.ledger.subnets())
    own = blocks.pop(x.caller.owner, None)
    violations += admission.admit_network(body, host_subnets(), own=own, others=list(blocks.values()))
    if violations:
        raise containers.refusal_of(x, "create this network", violations)
    request = new_id()
    body["CheckDuplicate"] = True
    body["Driver"] = "bridge"
    body["Labels"] = {**body.get("Labels", {}), OWNER_LABEL: x.caller.owner, REQUEST_LABEL: request}
    async with x.guard.lock(f"network:{name}"):
        if any(n["Name"] == name for n in await x.look("networks", query=build_filters({"name": [name]}))):
            raise Refusal(409, f"network with name {name} already exists", "name")
        with quotas.reserved(x, {"networks": 1}):
            await _create(x, body, name, request)


async def _create(x: Exchange, body: dict[str, Any], name: str, request: str) -> None:
    about = Target("network", None, name, x.caller.owner)
    subnets = [c.get("Subnet") for c in (body.get("IPAM") or {}).get("Config", [])]
    intent = await x.intend(x.entry(about, detail={"subnets": subnets}, req=request))
    status, made, data = "unknown", "", b""
    try:
        response = await x.ask("POST", "networks", "create", body=body)
        data = await response.read()
        status = "ok" if response.status == 201 else "error"
        made = json.loads(data)["Id"] if status == "ok" else ""
    finally:

        def rows(tx: Tx) -> None:
            objects.put(tx, Kind.NETWORK, made, name=name, owner_id=x.caller.owner, attribution=Attribution.GUARD)

        about = Target("network", made or None, name, x.caller.owner)
        await x.conclude(intent, status, target=about, also=rows if status == "ok" else None)
    if status != "ok":
        x.send_json(response.status, {"message": x.clean(error_message(data))})
        return
    x.send(201, data, passed_fields(response))


async def connect(x: Exchange) -> None:
    """Connect or disconnect: path and body each name an object of the caller's (rule R2)."""
    joining = x.route.operation == "NetworkConnect"
    body = await x.read_json(bodies.NETWORK_CONNECT if joining else bodies.NETWORK_DISCONNECT)
    found = await resolve.network(x, x.params[0])
    if found["Name"] == "host":
        raise Refusal(403, "hostadmin refused: nobody joins the host's network", "admission")
    if problems := creation.find_wrong_addresses(body.get("EndpointConfig", {}), found):
        raise containers.refusal_of(x, "connect this container", problems)
    body["Container"], _ = await resolve.container(x, body.get("Container", ""))
    about = Target("network", found["Id"], found["Name"], x.caller.owner)
    verb = "connect" if joining else "disconnect"
    await x.change(about, "POST", "networks", found["Id"], verb, body=body, detail={"container": body["Container"]})


async def remove(x: Exchange) -> None:
    """Remove an own network."""
    await x.read_nothing()
    found = await resolve.network(x, x.params[0])
    if found["Name"] in resolve.PREDEFINED:
        raise Refusal(403, f"{found['Name']} is a pre-defined network and cannot be removed", "admission")
    ref = found["Id"]

    def done(tx: Tx) -> None:
        objects.mark_gone(tx, Kind.NETWORK, [ref])

    await x.change(Target("network", ref, found["Name"], x.caller.owner), "DELETE", "networks", ref, done=done)
