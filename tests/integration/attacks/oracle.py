"""What must be true whatever an attacker sent: a picture of the engine and of the host, and the laws over it.

The picture is taken past the guard, through the engine's own socket and the host's own files.
"""

import hashlib
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from tests.integration.stage import ENGINE_SOCKET, Eye

CANARY: Final = b"c4n4ry"
DATA: Final = Path("/mnt/docker/data")
CLOSED: Final = ("/run/engine.sock", "/run/docker/containerd/containerd.sock")
ENGINE_PROCESSES: Final = re.compile(
    r"dockerd|containerd.*|docker-proxy|runc.*|docker-init|exe|docker-untar|docker-applyLay.*|unpigz|iptables.*|ip6tables.*|modprobe|xtables.*|hostadmin|python.*|pytest|docker|ps|unshare|sh|bash|sleep"
)
SYSCTLS: Final = ("kernel/core_pattern", "kernel/modprobe", "kernel/shm_rmid_forced", "kernel/msgmax", "net/ipv4/ip_forward")
CONTAINER_ID: Final = re.compile(r"[0-9a-f]{64}")
DANGEROUS: Final[dict[str, tuple[Any, ...]]] = {
    # member: what it may be
    "Privileged": (False,),
    "PidMode": ("",),
    "UTSMode": ("",),
    "UsernsMode": ("",),
    "Cgroup": ("",),
    "CgroupnsMode": ("private",),
    "Devices": (None, []),
    "DeviceRequests": (None, []),
    "DeviceCgroupRules": (None, []),
    "GroupAdd": (None, []),
    "Links": (None, []),
    "VolumeDriver": ("", "local"),
    "BlkioDeviceReadBps": (None, []),
    "BlkioDeviceWriteBps": (None, []),
    "BlkioWeightDevice": (None, []),
    "CpuRealtimeRuntime": (0,),
    "OomKillDisable": (None, False),
    "Isolation": ("", "default"),
    "Annotations": (None, {}),
    "StorageOpt": (None, {}),
}
CAPABILITIES: Final = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "NET_BIND_SERVICE",
        "NET_RAW",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
MASKED: Final = ("/proc/kcore", "/proc/keys", "/sys/firmware")


def take_picture(eye: Eye) -> dict[str, Any]:
    """Return everything that an attack might change: objects by kind and id, and the host."""
    return {
        "containers": {c: _container(eye, c) for c in eye.containers()},
        "networks": {n["Id"]: _network(n) for n in eye.get("/networks")},
        "volumes": {v["Name"]: _volume(v) for v in eye.get("/volumes")["Volumes"] or []},
        "images": {i["Id"]: (sorted(i["RepoTags"] or []), i["Labels"]) for i in eye.get("/images/json?all=1")},
        "tags": {t: i["Id"] for i in eye.get("/images/json") for t in i["RepoTags"] or [] if t != "<none>:<none>"},
        "host": look_at_host(),
    }


def _container(eye: Eye, ref: str) -> dict[str, Any]:
    status, found = eye.call("GET", f"/containers/{ref}/json")
    if status != 200:
        return {}
    state, networks = found["State"], found["NetworkSettings"]["Networks"]
    kept = {k: found[k] for k in ("Name", "Config", "HostConfig", "Mounts", "Image", "Driver", "Path", "Args", "AppArmorProfile")}
    changed = eye.call("GET", f"/containers/{ref}/changes")[1]
    kept["Mounts"] = sorted(kept["Mounts"], key=lambda m: m["Destination"])
    return kept | {
        "state": {k: state[k] for k in ("Status", "Pid", "StartedAt", "FinishedAt", "Paused", "ExitCode")},
        "restarts": found["RestartCount"],
        "execs": sorted(found["ExecIDs"] or []),
        "networks": {n: (e["NetworkID"], e["IPAddress"], e["MacAddress"], e["Aliases"]) for n, e in networks.items()},
        "changes": sorted((c["Path"], c["Kind"]) for c in changed) if isinstance(changed, list) else None,
    }


def _network(found: dict[str, Any]) -> dict[str, Any]:
    return {k: found[k] for k in ("Name", "Driver", "Labels", "Options", "IPAM", "Internal", "EnableIPv6")}


def _volume(found: dict[str, Any]) -> dict[str, Any]:
    kept = {k: found.get(k) for k in ("Name", "Driver", "Labels", "Options", "Mountpoint", "CreatedAt")}
    return kept | {"content": dict(_tree(Path(found["Mountpoint"])))}


def _tree(top: Path) -> Iterator[tuple[str, Any]]:
    """Yield path and fingerprint of everything below a folder."""
    for folder, names, files in os.walk(top):
        for name in (*names, *files):
            path = os.path.join(folder, name)
            with suppress(FileNotFoundError):
                info = os.lstat(path)
                digest = ""
                if stat.S_ISREG(info.st_mode) and info.st_size < 1 << 20:
                    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
                yield path, (info.st_mode, info.st_uid, info.st_gid, info.st_size, digest)


def look_at_host() -> dict[str, Any]:
    """Return what an attack on the host would leave: files, mounts, processes, links, doors."""
    return {
        "etc": dict(_etc()),
        "mounts": sorted(m for m in _mounts() if not m.startswith(("/mnt/docker/", "/run/docker/"))),
        "processes": sorted(set(_foreign_processes())),
        "sysctls": {s: Path(f"/proc/sys/{s}").read_text() for s in SYSCTLS if Path(f"/proc/sys/{s}").exists()},
        "doors": {p: oct(os.stat(p).st_mode) + f" {os.stat(p).st_uid}" for p in (*CLOSED, str(DATA)) if os.path.exists(p)},
        "planted": sorted(str(p) for folder in ("/", "/root", "/tmp", "/home") for p in Path(folder).glob("*planted*")),
        "links": sorted(n for n in os.listdir("/sys/class/net") if not n.startswith(("br-", "veth")))
        if os.path.isdir("/sys/class/net")
        else [],
        "addresses": _addresses(),
    }


def _etc() -> Iterator[tuple[str, Any]]:
    for folder, _, files in os.walk("/etc"):
        for name in files:
            with suppress(FileNotFoundError):
                info = os.lstat(os.path.join(folder, name))
                yield os.path.join(folder, name), (info.st_mode, info.st_uid, info.st_size, info.st_mtime_ns)


def _mounts() -> list[str]:
    return [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]


def _foreign_processes() -> Iterator[str]:
    """Yield the names of root's processes outside containers that belong neither to the engine nor to the tests."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            if CONTAINER_ID.search((entry / "cgroup").read_text()) or os.stat(entry).st_uid != 0:
                continue
            name = (entry / "comm").read_text().strip()
            if not ENGINE_PROCESSES.fullmatch(name):
                yield name


def _addresses() -> list[str]:
    """Return the host's own addresses outside the engine's bridges for networks of people."""
    done = subprocess.run(["ip", "-o", "addr"], capture_output=True, text=True, check=False)
    lines = [line.split() for line in done.stdout.splitlines()]
    return sorted(f"{w[1]} {w[3]}" for w in lines if not w[1].startswith(("br-", "veth")))


def find_violations(eye: Eye, picture: dict[str, Any], exempt: set[str]) -> list[str]:
    """Return what must never be of any container, network or volume that a person has made.

    Args:
        eye: the engine.
        picture: from ``take_picture``.
        exempt: ids of what root made past the guard.

    """
    found = []
    for ref, container in picture["containers"].items():
        if ref not in exempt and container:
            found += [f"{container['Name']}: {text}" for text in find_forbidden(container, picture, exempt)]
    for ref, network in picture["networks"].items():
        if ref not in exempt and network["Name"] not in ("host", "none", "bridge"):
            found += _forbidden_network(network)
    for name, volume in picture["volumes"].items():
        if name not in exempt and (
            volume["Options"] or volume["Driver"] != "local" or not volume["Mountpoint"].startswith(f"{DATA}/volumes/")
        ):
            found.append(f"volume {name} reaches the host: {volume['Options']}")
    return found


def find_forbidden(container: dict[str, Any], picture: dict[str, Any], exempt: set[str]) -> list[str]:
    """Return what reaches the host, or what is somebody else's, in one container of a person."""
    host = container["HostConfig"]
    found = [
        f"{k} = {host[k]!r}"
        for k, allowed in DANGEROUS.items()
        if k in host and host[k] not in allowed and not str(host[k]).startswith("container:")
    ]
    for key in ("NetworkMode", "IpcMode", "PidMode"):
        mode = str(host.get(key, ""))
        if mode == "host" or (mode.startswith("container:") and mode.removeprefix("container:") in exempt):
            found.append(f"{key} = {mode}")
    found += [f"capability {c}" for c in host.get("CapAdd") or [] if c.upper().removeprefix("CAP_") not in CAPABILITIES]
    found += [f"security option {o}" for o in host.get("SecurityOpt") or [] if not o.startswith("no-new-privileges")]
    found += [f"unmasked: {p}" for p in MASKED if p not in (host.get("MaskedPaths") or [])]
    found += [
        f"mounts {m}" for m in container["Mounts"] if m["Type"] not in ("volume", "tmpfs") or m.get("Driver", "local") not in ("", "local")
    ]
    found += [f"mounts the host's volume {m['Name']}" for m in container["Mounts"] if m.get("Name") in exempt]
    if (host.get("LogConfig") or {}).get("Type", "") not in ("json-file", "local"):
        found.append(f"log driver {host.get('LogConfig')}")
    if host.get("OomScoreAdj", 0) < 0:
        found.append("never killed for memory")
    if (
        host.get("CgroupParent", "")
        and not host["CgroupParent"].startswith((os.environ["DHOST_CGROUP"], "/dhost", "hostadmin"))
        and "hostadmin" not in host["CgroupParent"]
    ):
        found.append(f"cgroup parent {host['CgroupParent']}")
    if (host.get("PidsLimit") or 0) <= 0:
        found.append("as many processes as it likes")
    for key in host.get("Sysctls") or {}:
        if not key.startswith("net."):
            found.append(f"sysctl {key}")
    return found


def _forbidden_network(network: dict[str, Any]) -> list[str]:
    found = []
    if network["Driver"] != "bridge":
        found.append(f"network {network['Name']} has driver {network['Driver']}")
    allowed = ("com.docker.network.bridge.enable_icc", "com.docker.network.bridge.enable_ip_masquerade", "com.docker.network.driver.mtu")
    found += [
        f"network {network['Name']} has option {o}"
        for o in network["Options"] or {}
        if o not in allowed and not o.startswith("com.docker.network.enable_ipv")
    ]
    for config in network["IPAM"]["Config"] or []:
        if not re.match(r"10\.|172\.(1[6-9]|2\d|3[01])\.|192\.168\.", config.get("Subnet", "10.")) or not _inside(config):
            found.append(f"network {network['Name']} takes {config}")
    return found


def _inside(config: dict[str, Any]) -> bool:
    return not config.get("Gateway") or ip_address(config["Gateway"].split("/")[0]) in ip_network(config["Subnet"], strict=False)


def compare(before: dict[str, Any], after: dict[str, Any], *, only: set[str] | None = None) -> list[str]:
    """Return every difference between two pictures; with ``only`` just of those objects, and of the host.

    Args:
        before: a picture.
        after: a later one.
        only: ids (volumes: names; tags) that must be unchanged; everything if ``None``.

    """
    found = []
    for kind in ("containers", "networks", "volumes", "images", "tags", "host"):
        old, new = before[kind], after[kind]
        for key in old.keys() | new.keys():
            if only is not None and kind != "host" and key not in only:
                continue
            if old.get(key) != new.get(key):
                found.append(f"{kind} {key}: {_difference(old.get(key), new.get(key))}")
    return found


def _difference(old: Any, new: Any) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        return "; ".join(
            f"{k}: {str(old.get(k))[:300]} -> {str(new.get(k))[:300]}" for k in old.keys() | new.keys() if old.get(k) != new.get(k)
        )
    return f"{str(old)[:300]} -> {str(new)[:300]}"


def image_exists(eye: Eye, ref: str) -> bool:
    """Tell whether the engine knows an image by that reference."""
    return bool(eye.call("GET", f"/images/{quote(ref)}/json")[0] == 200)


__all__ = ["CANARY", "ENGINE_SOCKET", "compare", "find_forbidden", "find_violations", "image_exists", "look_at_host", "take_picture"]
