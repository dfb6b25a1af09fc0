"""Ping, version, info, events: answers cut to the caller and to the guard's version window."""

import json
from typing import Any, Final

from hostadmin.core.images import parse_reference
from hostadmin.core.labels import OWNER_LABEL
from hostadmin.core.values import Kind
from hostadmin.guard.channel import Gone
from hostadmin.guard.exchange import Exchange
from hostadmin.guard.query import build_filters, check_keys
from hostadmin.guard.rules import resolve
from hostadmin.guard.strictjson import dump_json
from hostadmin.guard.target import VERSION_LOWEST, dotted

INFO_MEMBERS: Final = frozenset(
    [
        "ID",
        "Driver",
        "DriverStatus",
        "SystemTime",
        "LoggingDriver",
        "CgroupDriver",
        "CgroupVersion",
        "KernelVersion",
        "OperatingSystem",
        "OSVersion",
        "OSType",
        "Architecture",
        "NCPU",
        "MemTotal",
        "Name",
        "ServerVersion",
        "DefaultRuntime",
        "SecurityOptions",
        "MemoryLimit",
        "SwapLimit",
        "KernelMemory",
        "KernelMemoryTCP",
        "CpuCfsPeriod",
        "CpuCfsQuota",
        "CPUShares",
        "CPUSet",
        "PidsLimit",
        "IPv4Forwarding",
        "BridgeNfIptables",
        "BridgeNfIp6tables",
        "Debug",
        "NFd",
        "OomKillDisable",
        "NGoroutines",
        "NEventsListener",
        "IndexServerAddress",
        "Isolation",
        "InitBinary",
        "ContainerdCommit",
        "RuncCommit",
        "InitCommit",
        "LiveRestoreEnabled",
        "ProductLicense",
        "Warnings",
        "ExperimentalBuild",
    ]
)
EVENT_KEYS: Final = frozenset(["type", "event", "container", "image", "volume", "network", "label", "scope", "daemon", "plugin"])


async def ping(x: Exchange) -> None:
    """Answer a ping as the engine does, inside the guard's version window; builds are classic."""
    await x.read_nothing()
    pulse = await x.guard.pulse.feel()
    if x.head.method == "HEAD":
        x.start_answer(pulse.status, pulse.fields, 0)
    else:
        x.send(pulse.status, pulse.data, pulse.fields)


async def version(x: Exchange) -> None:
    """Answer the engine's versions, inside the guard's version window."""
    await x.read_nothing()
    response = await x.upstream.request("GET", "/version")
    value = await response.json()
    x.guard.learn_version(value.get("ApiVersion"))
    for part in (value, *(c.get("Details") or {} for c in value.get("Components") or [])):
        if "ApiVersion" in part:
            part["ApiVersion"] = dotted(x.guard.offered_version)
        if "MinAPIVersion" in part:
            part["MinAPIVersion"] = dotted(VERSION_LOWEST)
    x.send_json(200, value)


async def info(x: Exchange) -> None:
    """Answer what the engine says of itself: listed members, and counts of the caller's own objects."""
    await x.read_nothing()
    value = await x.look("info")
    kept = {k: v for k, v in value.items() if k in INFO_MEMBERS}
    mine = x.guard.ledger.owned(Kind.CONTAINER, x.caller.owner)
    states = {"Containers": len(mine), "ContainersRunning": 0, "ContainersPaused": 0, "ContainersStopped": 0}
    query = [("all", "1"), *build_filters({"id": sorted(mine)})]
    for item in await x.look("containers", "json", query=query) if mine else []:
        if item["Id"] in mine:
            state = {"running": "Running", "restarting": "Running", "paused": "Paused"}.get(item["State"], "Stopped")
            states[f"Containers{state}"] += 1
    plugins = {"Volume": ["local"], "Network": ["bridge", "host", "null"], "Authorization": None, "Log": ["json-file", "local"]}
    images = sum(1 for i in await x.look("images", "json") if resolve.is_visible(x, i))
    swarm = {"NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": False, "Error": "", "RemoteManagers": None}
    fixed = {
        "DockerRootDir": "",
        "Plugins": plugins,
        "Swarm": swarm,
        "Labels": [],
        "Images": images,
        "Runtimes": {"runc": {"path": "runc"}},
    }
    x.send_json(200, {**kept, **states, **fixed})


async def events(x: Exchange) -> None:
    """Pass the engine's events on, each decided by the ledger from its type and actor."""
    await x.read_nothing()
    filters = x.query.filters()
    check_keys(filters, EVENT_KEYS)
    query = [*x.query.pairs("since", "until"), *build_filters(filters)]
    response = await x.ask("GET", "events", query=query)
    if response.status != 200:
        await x.send_response(response)
        return
    x.start_answer(200, (("Content-Type", "application/json"),), None)
    with x.ends_with_client():
        await _pass_events(x, response)
    if x.head.minor:
        x.client.write(b"0\r\n\r\n")


async def _pass_events(x: Exchange, response: Any) -> None:
    rest = b""
    while data := await response.body.read():
        *lines, rest = (rest + data).split(b"\n")
        out = b"".join(dump_json(e) + b"\n" for line in lines if line.strip() and (e := _visible_event(x, json.loads(line))))
        if out:
            x.client.write(b"%x\r\n%b\r\n" % (len(out), out) if x.head.minor else out)
            await x.client.drain()
    if rest.strip():
        raise Gone("an event was cut off")


def _visible_event(x: Exchange, event: dict[str, Any]) -> dict[str, Any] | None:
    """Return the event if it is the caller's, without what it tells of others."""
    actor = event.get("Actor") or {}
    ref, attributes = actor.get("ID", ""), actor.get("Attributes") or {}
    ledger, owner = x.guard.ledger, x.caller.owner
    match event.get("Type"):
        case "container":
            known = ledger.last_owner(Kind.CONTAINER, ref) or attributes.get(OWNER_LABEL)  # created just now
            return event if known == owner else None
        case "network" | "volume" as kind:
            if attributes.get("container") and ledger.last_owner(Kind.CONTAINER, attributes["container"]) != owner:
                return None
            mine = ledger.last_owner(Kind(kind), ref) == owner
            return event if mine or (kind == "network" and attributes.get("container")) else None
        case "image":
            named = ledger.tag_owners().get(_tag(attributes.get("name", ref)), owner)
            return event if named == owner and (ref in ledger.held(owner) or _tag(ref) in ledger.tag_owners()) else None
        case _:
            return None


def _tag(ref: str) -> str:
    reference = parse_reference(ref)
    return reference.tagged if reference else ref
