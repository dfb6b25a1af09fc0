"""The host-side view of a container and a network: what a trainer used to look up by hand as root."""

from typing import Any

from hostadmin.host import proc


def container_view(found: dict[str, Any]) -> dict[str, Any]:
    """Return the host's side of an inspected container.

    Of a container that is not running, ``pid`` is ``None`` and there are no namespaces and interfaces.
    """
    state, host, network = found["State"], found["HostConfig"], found["NetworkSettings"]
    pid = state.get("Pid") or None
    policy = host.get("RestartPolicy") or {}
    return {
        "image": found["Config"]["Image"],
        "command": " ".join([found.get("Path", ""), *(found.get("Args") or [])]),
        "state": state["Status"],
        "exit_code": state.get("ExitCode"),
        "started_at": state.get("StartedAt"),
        "finished_at": state.get("FinishedAt"),
        "pid": pid,
        "namespaces": _safely(proc.namespaces, pid, {}),
        "cgroup": _safely(proc.cgroup, pid, None),
        "interfaces": _safely(proc.interfaces, pid, []),
        "networks": {
            name: {"address": e.get("IPAddress"), "gateway": e.get("Gateway"), "mac": e.get("MacAddress")}
            for name, e in (network.get("Networks") or {}).items()
        },
        "ports": {p: [f"{b['HostIp']}:{b['HostPort']}" for b in bs or []] for p, bs in (network.get("Ports") or {}).items()},
        "mounts": [
            {"type": m["Type"], "source": m.get("Name") or m.get("Source"), "target": m["Destination"], "writable": m["RW"]}
            for m in found.get("Mounts") or []
        ],
        "restart_policy": f"{policy.get('Name') or 'no'}" + (f":{policy['MaximumRetryCount']}" if policy.get("MaximumRetryCount") else ""),
        "restart_count": found.get("RestartCount", 0),
    }


def _safely(look: Any, pid: int | None, otherwise: Any) -> Any:
    """Look at a process that may end at any moment."""
    if pid is None:
        return otherwise
    try:
        return look(pid)
    except OSError:
        return otherwise


def network_view(found: dict[str, Any], owners: dict[str, str]) -> dict[str, Any]:
    """Return subnet, gateway and members of an inspected network; ``owners`` maps container id to login."""
    config = ((found.get("IPAM") or {}).get("Config") or [{}])[0]
    members = [
        {"container": e.get("Name"), "id": ref, "address": e.get("IPv4Address"), "mac": e.get("MacAddress"), "owner": owners.get(ref)}
        for ref, e in (found.get("Containers") or {}).items()
    ]
    return {
        "driver": found.get("Driver"),
        "subnet": config.get("Subnet"),
        "gateway": config.get("Gateway"),
        "internal": found.get("Internal", False),
        "bridge": (found.get("Options") or {}).get("com.docker.network.bridge.name") or f"br-{found['Id'][:12]}",
        "members": sorted(members, key=lambda m: str(m["container"])),
    }
