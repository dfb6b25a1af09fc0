"""Ping, version, info: answers cut to the caller and to the guard's version window."""

from typing import Final

from hostadmin.core.values import Kind
from hostadmin.guard.exchange import Exchange
from hostadmin.guard.query import build_filters
from hostadmin.guard.rules import resolve
from hostadmin.guard.target import dotted

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
        "OomKillDisable",
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
    x.guard.learn_versions(value)
    for part in (value, *(c.get("Details") or {} for c in value.get("Components") or [])):
        if "ApiVersion" in part:
            part["ApiVersion"] = dotted(x.guard.offered_version)
        if "MinAPIVersion" in part:
            part["MinAPIVersion"] = dotted(x.guard.lowest_version)
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
