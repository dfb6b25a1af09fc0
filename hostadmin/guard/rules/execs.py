"""Attach and exec: streams into own containers."""

from typing import Any

from hostadmin.audit.journal import Target
from hostadmin.core.names import FULL_ID
from hostadmin.core.values import Kind
from hostadmin.guard import bodies
from hostadmin.guard.exchange import Exchange
from hostadmin.guard.refusal import RULE_OWNERSHIP, Refusal
from hostadmin.guard.rules import containers, mounts, resolve
from hostadmin.guard.rules.streams import finish_stream
from hostadmin.guard.strictjson import dump_json


async def attach(x: Exchange) -> None:
    """Attach to an own container."""
    await x.read_nothing()
    found = await resolve.inspect_container(x, x.params[0])
    mounts.check_enterable(x, found, "attach to")
    full = found["Id"]
    intent = await x.intend(x.entry(containers.target(x, full, x.params[0])))
    query = x.query.pairs("detachKeys", "logs", "stream", "stdin", "stdout", "stderr")
    target = x.target("containers", full, "attach", query=query)
    fields = (*x.upgrade_fields(), ("Content-Length", "0"))
    response = await x.upstream.request("POST", target, fields=fields)
    await finish_stream(x, intent, await x.hijack(response))


async def create(x: Exchange) -> None:
    """Prepare a process in an own container; its command is recorded, its environment only by name."""
    body = await x.read_json(bodies.EXEC_CREATE)
    inspected = await resolve.inspect_container(x, x.params[0])
    mounts.check_enterable(x, inspected, "start a process in")
    full = inspected["Id"]
    detail = {
        "cmd": [word[:256] for word in body.get("Cmd", [])][:32],
        "env": [e.partition("=")[0][:128] for e in body.get("Env", [])],
        "user": body.get("User"),
    }
    await x.change(containers.target(x, full, x.params[0]), "POST", "containers", full, "exec", body=body, detail=detail)


async def _own(x: Exchange, exec_id: str) -> dict[str, Any]:
    """Return the inspect of an exec in the caller's container."""
    found = await x.look("exec", exec_id, "json") if FULL_ID.fullmatch(exec_id) else None
    owner = x.guard.ledger.owners(Kind.CONTAINER).get(found["ContainerID"]) if found else None
    if found is None or owner != x.caller.owner:
        raise Refusal(404, f"No such exec instance: {exec_id}", RULE_OWNERSHIP, recorded=found is not None)
    return dict(found)


async def start(x: Exchange) -> None:
    """Start a prepared process and join its stream."""
    body = await x.read_json(bodies.EXEC_START, optional=True)
    found = await _own(x, x.params[0])
    about = Target("exec", found["ID"], None, x.caller.owner)
    intent = await x.intend(x.entry(about, detail={"container": found["ContainerID"]}))
    data = dump_json(body)
    fields = (
        *(() if body.get("Detach") else x.upgrade_fields()),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(data))),
    )
    response = await x.upstream.request("POST", x.target("exec", found["ID"], "start"), raw=data, fields=fields)
    if body.get("Detach"):
        text = await response.read()
        ok = response.status < 400
        await x.conclude(intent, "ok" if ok else "error")
        x.send(response.status, text, (("Content-Type", "application/json"),) if text else ())
        return
    await finish_stream(x, intent, await x.hijack(response))


async def read(x: Exchange) -> None:
    """Inspect or resize an exec in an own container."""
    await x.read_nothing()
    found = await _own(x, x.params[0])
    last = x.route.template.rsplit("/", 1)[1]
    response = await x.ask(x.head.method, "exec", found["ID"], last, query=x.query.pairs("h", "w"))
    await x.relay(response)
