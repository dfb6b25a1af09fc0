"""Volumes: own ones only; a name is an identity, so it is locked from the look to the record."""

from http import HTTPStatus
from typing import Any

import orjson

from hostadmin.audit.journal import Target
from hostadmin.core.ids import new_id
from hostadmin.core.labels import OWNER_LABEL, REQUEST_LABEL, without_reserved
from hostadmin.core.values import Kind
from hostadmin.guard import bodies
from hostadmin.guard.exchange import Exchange, error_message
from hostadmin.guard.query import build_filters
from hostadmin.guard.refusal import Refusal
from hostadmin.guard.rules import containers, mounts, quotas, resolve
from hostadmin.guard.upstream import Response
from hostadmin.policy import admission
from hostadmin.policy.prune import ANONYMOUS_LABEL, UNNAMED_ONLY_SINCE
from hostadmin.store import objects
from hostadmin.store.database import Tx


def show(found: dict[str, Any]) -> dict[str, Any]:
    """Return a volume with the labels that its owner gave it."""
    return {**found, "Labels": without_reserved(found.get("Labels")) or None}


async def list_own(x: Exchange) -> None:
    """List the caller's volumes."""
    await x.read_nothing()
    filters = x.query.filters()
    mine = x.guard.ledger.owned(Kind.VOLUME, x.caller.owner)
    response = await x.ask("GET", "volumes", query=build_filters(filters))
    if response.status != 200:
        await x.send_response(response)
        return
    value = await response.json()
    shown = [show(v) for v in value.get("Volumes") or [] if v["Name"] in mine]
    x.send_json(200, {"Volumes": shown, "Warnings": None})


async def inspect(x: Exchange) -> None:
    """Inspect an own volume."""
    await x.read_nothing()
    x.send_json(200, show(await resolve.volume(x, x.params[0])))


async def create(x: Exchange) -> None:
    """Create a volume; one of the caller's own of that name is answered as the engine does."""
    violations: list[str] = []
    body = await x.read_json(bodies.VOLUME_CREATE, refusals=violations)
    violations += admission.find_reserved_labels(body.get("Labels"))
    if violations:
        raise containers.refusal_of(x, "create this volume", violations)
    request = new_id()
    name = mounts.check_volume_name(body.get("Name") or new_id().replace("-", "") * 2)
    labels = {**body.get("Labels", {}), OWNER_LABEL: x.caller.owner, REQUEST_LABEL: request}
    if not body.get("Name") and x.guard.offered_version >= UNNAMED_ONLY_SINCE:
        labels[ANONYMOUS_LABEL] = ""  # as engines do that tell named volumes from unnamed ones when they prune
    async with x.guard.lock(f"volume:{name}"):
        fresh = await mounts.claim_new_volumes(x, [name])
        if not fresh:
            x.send_json(201, show(await resolve.volume(x, name)))
            return
        await quotas.forget_gone(x, {"volumes": 1})
        with quotas.reserved(x, {"volumes": 1}):
            response, data = await _create(x, name, labels, request)
    if response.status != 201:
        x.send_json(response.status, {"message": x.clean(error_message(data))})
        return
    x.send_json(201, show(orjson.loads(data)))


async def _create(x: Exchange, name: str, labels: dict[str, str], request: str) -> tuple[Response, bytes]:
    owner = x.caller.owner
    intent = await x.intend(x.entry(Target("volume", name, name, owner), req=request), also=mounts.claim_work([name], owner))
    status = "unknown"
    try:
        response = await x.ask("POST", "volumes", "create", body={"Name": name, "Driver": "local", "Labels": labels})
        data = await response.read()
        status = "ok" if response.status == 201 else "error"
    finally:
        await x.conclude(intent, status, also=mounts.withdraw_work([name]) if status == "error" else None)
    return response, data


async def remove(x: Exchange) -> None:
    """Remove an own volume; under ``force`` one that is not there is gone already, as the engine says."""
    await x.read_nothing()
    name = x.params[0]
    async with x.guard.lock(f"volume:{name}"):
        try:
            await resolve.volume(x, name)
        except Refusal as missing:
            if missing.status != HTTPStatus.NOT_FOUND or not x.query.flag("force"):
                raise
            x.send(204)
            return

        def done(tx: Tx) -> None:
            objects.mark_gone(tx, Kind.VOLUME, [name])

        about = Target("volume", name, name, x.caller.owner)
        await x.change(about, "DELETE", "volumes", name, query=x.query.pairs("force"), done=done)
