"""What the database keeps of a container, a network and a volume that a reset takes away, and the body that makes each anew.

Pure functions. Environment, command, entry point, labels and health check of a container may hold secrets: they are
never kept here; the container's snapshot has them and the engine takes them from there again. The host configuration
is kept as a whole, but for what is listed in ``HOST_NEVER`` and friends: a limit that a newer engine knows must not
get lost on the way.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hostadmin.core.labels import OWNER_LABEL, REQUEST_LABEL, without_reserved
from hostadmin.core.names import FULL_ID

Data = dict[str, Any]
CONFIG: Final = (
    "Hostname",
    "Domainname",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "Tty",
    "OpenStdin",
    "StdinOnce",
    "NetworkDisabled",
    "StopSignal",
    "StopTimeout",
)
HOST_NEVER: Final = ("Annotations", "ContainerIDFile", "Links")  # free text; a path of the client's; names of who knows whom by then
LOG_OPTIONS: Final = ("max-size", "max-file", "max-buffer-size", "compress", "mode", "tag", "labels", "labels-regex", "env", "env-regex")
VOLUME_OPTIONS: Final = ("NoCopy", "Subpath")  # labels and driver options made the volume, which has them
ENDPOINT: Final = ("IPAMConfig", "Aliases", "DriverOpts", "GwPriority")
NETWORK: Final = ("Driver", "Internal", "Attachable", "EnableIPv4", "EnableIPv6", "Options", "IPAM")
PREDEFINED: Final = ("bridge", "host", "none")
JOINING: Final = ("NetworkMode", "PidMode", "IpcMode")
SHORT_ID: Final = 12


# -- containers ----------------------------------------------------------------------------------


def keep_container(found: Data) -> Data:
    """Return what is kept of an inspected container."""
    state, host = found["State"], found["HostConfig"]
    networks = (found.get("NetworkSettings") or {}).get("Networks") or {}
    return {
        "config": {name: found["Config"][name] for name in CONFIG if found["Config"].get(name) is not None},
        "host": _keep_host(host, found.get("Mounts") or []),
        "endpoints": [_keep_endpoint(name, endpoint or {}, found["Id"]) for name, endpoint in networks.items()],
        "state": "paused" if state.get("Paused") else "running" if state.get("Running") or state.get("Restarting") else "stopped",
        "started": state.get("StartedAt") or "",
        "restart": host["RestartPolicy"]["Name"] or "no",
    }


def _keep_host(host: Data, mounts: Sequence[Data]) -> Data:
    kept = {name: value for name, value in host.items() if name not in HOST_NEVER}
    log = host.get("LogConfig") or {}
    kept["LogConfig"] = {**log, "Config": {k: v for k, v in (log.get("Config") or {}).items() if k in LOG_OPTIONS}}
    kept["Binds"] = _keep_binds(host, mounts)
    if host.get("Mounts"):
        kept["Mounts"] = [_keep_mount(m) for m in host["Mounts"] if m.get("Type") != "volume" or m.get("Source")]
    return kept


def _keep_binds(host: Data, mounts: Sequence[Data]) -> list[str]:
    """Return the binds, and one for each unnamed volume, by the name that it was given: it is the same volume that comes back."""
    named = [bind for bind in host.get("Binds") or [] if ":" in bind]
    covered = {bind.split(":")[1] for bind in named} | {m["Target"] for m in host.get("Mounts") or [] if m.get("Source")}
    unnamed = [m for m in mounts if m.get("Type") == "volume" and m.get("Name") and m["Destination"] not in covered]
    return named + [f"{m['Name']}:{m['Destination']}:nocopy{'' if m.get('RW', True) else ',ro'}" for m in unnamed]


def _keep_mount(mount: Data) -> Data:
    if not mount.get("VolumeOptions"):
        return mount
    return {**mount, "VolumeOptions": {k: v for k, v in mount["VolumeOptions"].items() if k in VOLUME_OPTIONS}}


def _keep_endpoint(name: str, endpoint: Data, container: str) -> Data:
    """Return an endpoint's network, and its settings without what the engine made up by itself."""
    config = {key: endpoint[key] for key in ENDPOINT if endpoint.get(key)}
    aliases = [a for a in config.pop("Aliases", []) if a != container[:SHORT_ID]]
    if aliases:
        config["Aliases"] = aliases
    network = name if name in PREDEFINED else endpoint.get("NetworkID") or name
    return {"network": network, "name": name, "config": config}


def needed_containers(kept: Data) -> frozenset[str]:
    """Return the ids of the containers that a kept one joins or takes its volumes from."""
    host = kept["host"]
    joined = {host.get(member, "").partition(":")[2] for member in JOINING if (host.get(member) or "").startswith("container:")}
    return frozenset(joined | {entry.partition(":")[0] for entry in host.get("VolumesFrom") or []})


def container_body(kept: Data, image: str, labels: Mapping[str, str], ids: Mapping[str, str]) -> Data:
    """Return the body that makes a kept container anew, on its first network; the others are connected afterwards.

    Args:
        kept: what ``keep_container`` has returned.
        image: its snapshot's id; what is not in the body comes from there.
        labels: hostadmin's own.
        ids: id before the reset → id now, of containers and networks.

    """
    host = dict(kept["host"])
    for member in JOINING:
        host[member] = _renewed(host.get(member) or "", ids)
    if host.get("VolumesFrom"):
        host["VolumesFrom"] = [_renewed_first(entry, ids) for entry in host["VolumesFrom"]]
    config = dict(kept["config"])
    if host["NetworkMode"].startswith("container:"):  # the engine wants the other one's names
        for name in ("Hostname", "Domainname"):
            config.pop(name, None)
    body = {**config, "Image": image, "Labels": dict(labels), "HostConfig": host}
    mode = kept["host"].get("NetworkMode") or ""
    for endpoint in kept["endpoints"]:
        if mode in (endpoint["network"], endpoint["name"]) and endpoint["network"] not in PREDEFINED:
            host["NetworkMode"] = ids.get(endpoint["network"]) or endpoint["network"]  # an id: a name may be another network's by now
            body["NetworkingConfig"] = {"EndpointsConfig": {host["NetworkMode"]: endpoint["config"]}}
    return body


def _renewed(mode: str, ids: Mapping[str, str]) -> str:
    kind, colon, ref = mode.partition(":")
    if colon and kind == "container":
        return f"container:{ids.get(ref) or ref}"
    return ids.get(mode) or mode if FULL_ID.fullmatch(mode) else mode


def _renewed_first(entry: str, ids: Mapping[str, str]) -> str:
    ref, colon, mode = entry.partition(":")
    return f"{ids.get(ref) or ref}{colon}{mode}"


def in_order(containers: Sequence[tuple[str, Data]]) -> list[str]:
    """Return the ids of kept containers so that each comes after those that it joins, else as they were started.

    Who started first gets the first free address again.
    """
    waiting = dict(sorted(containers, key=lambda pair: (pair[1].get("started", ""), pair[0])))
    ordered: list[str] = []
    while waiting:
        ready = [ref for ref, kept in waiting.items() if not (needed_containers(kept) - {ref}) & waiting.keys()]
        for ref in ready or list(waiting):  # a circle: the engine will say what is wrong with it
            del waiting[ref]
            ordered.append(ref)
    return ordered


def needed_volumes(kept: Data) -> frozenset[str]:
    """Return the names of the volumes that a kept container mounts."""
    host = kept["host"]
    bound = {bind.split(":")[0] for bind in host["Binds"]}
    mounted = {m["Source"] for m in host.get("Mounts") or [] if m.get("Type") == "volume"}
    return frozenset(name for name in bound | mounted if not name.startswith("/"))


# -- networks and volumes ------------------------------------------------------------------------


def keep_network(found: Data) -> Data:
    """Return what is kept of an inspected network: the subnets that the engine chose for it too."""
    kept = {name: found[name] for name in NETWORK if found.get(name) is not None}
    return {**kept, "Labels": without_reserved(found.get("Labels"))}


def network_body(kept: Data, name: str, labels: Mapping[str, str]) -> Data:
    """Return the body that makes a kept network anew."""
    return {**kept, "Name": name, "CheckDuplicate": True, "Labels": {**kept["Labels"], **labels}}


def keep_volume(found: Data) -> Data:
    """Return what is kept of an inspected volume; its content is kept in a file."""
    return {"Labels": without_reserved(found.get("Labels"))}


def why_not_recoverable(found: Data) -> str:
    """Return why an inspected volume cannot be brought back, empty if it can."""
    if found.get("Driver") != "local":
        return f"its driver {found.get('Driver')!r} keeps its data somewhere else"
    if found.get("Options"):
        return "it is a mount of something else (driver options)"
    return ""


def own_labels(owner: str, req: str) -> dict[str, str]:
    """Return the labels of an object that a request makes for an account."""
    return {OWNER_LABEL: owner, REQUEST_LABEL: req}
