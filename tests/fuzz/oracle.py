"""What must hold on the engine and the host whatever was sent: pure judgements of what was looked at.

It is written from the profile's promise, not from the guard's code: each function takes the engine's inspect and
returns what is wrong with it.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final

CAPABILITIES: Final = 0xA00425FB  # the engine's default fourteen without MKNOD: all that the student's profile allows
CAPABILITY_NAMES: Final = frozenset(
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
NETWORK_OPTIONS: Final = frozenset(
    ["com.docker.network.bridge.enable_icc", "com.docker.network.bridge.enable_ip_masquerade", "com.docker.network.driver.mtu"]
)
MUST_BE_EMPTY: Final = (
    "Privileged", "Devices", "DeviceCgroupRules", "DeviceRequests", "BlkioWeightDevice", "BlkioDeviceReadBps", "BlkioDeviceWriteBps",
    "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps", "GroupAdd", "Links", "StorageOpt", "UTSMode", "UsernsMode", "Cgroup", "Annotations",
    "OomKillDisable", "CpuRealtimePeriod", "CpuRealtimeRuntime", "KernelMemory",
)  # fmt: skip
SYSCTLS: Final = frozenset({"net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.core.somaxconn"})
FULL_ID: Final = re.compile(r"[0-9a-f]{64}")


@dataclass
class Owned:
    """Whose things are whose, from the ledger, and what of the engine's the attacker may share."""

    attacker: str
    containers: dict[str, str | None] = field(default_factory=dict)
    networks: dict[str, str | None] = field(default_factory=dict)
    volumes: dict[str, str | None] = field(default_factory=dict)
    network_names: dict[str, str] = field(default_factory=dict)
    private_images: set[str] = field(default_factory=set)
    cgroup_parents: str = r""


def judge_container(found: dict[str, Any], owned: Owned) -> list[str]:
    """Return what a container of the attacker's has that no student may have."""
    host, config = found["HostConfig"], found["Config"]
    wrong = [f"{name} is {host[name]!r}" for name in MUST_BE_EMPTY if host.get(name) not in (None, "", [], {}, 0, False)]
    for name in ("MaskedPaths", "ReadonlyPaths"):
        if not host.get(name):
            wrong.append(f"{name} is {host.get(name)!r}")
    if host.get("CgroupnsMode") != "private":
        wrong.append(f"CgroupnsMode is {host.get('CgroupnsMode')!r}")
    wrong += [f"capability {c}" for c in host.get("CapAdd") or [] if c.upper().removeprefix("CAP_") not in CAPABILITY_NAMES]
    wrong += [
        f"security option {o}"
        for o in host.get("SecurityOpt") or []
        if o not in ("no-new-privileges", "no-new-privileges:true", "no-new-privileges=true")
    ]
    wrong += [f"sysctl {s}" for s in host.get("Sysctls") or {} if s not in SYSCTLS]
    if host.get("Runtime") not in ("runc", "io.containerd.runc.v2", ""):
        wrong.append(f"runtime {host.get('Runtime')}")
    if host.get("VolumeDriver") not in ("", "local", None):
        wrong.append(f"volume driver {host['VolumeDriver']}")
    if (host.get("OomScoreAdj") or 0) < 0:
        wrong.append("OomScoreAdj below 0")
    if not 0 < (host.get("PidsLimit") or 0) <= 1024:
        wrong.append(f"PidsLimit {host.get('PidsLimit')}")
    if not re.fullmatch(owned.cgroup_parents, host.get("CgroupParent") or ""):
        wrong.append(f"cgroup parent {host['CgroupParent']!r}")
    wrong += (
        _judge_log(host) + _judge_ports(host) + _judge_namespaces(host, owned) + _judge_mounts(found, owned) + _judge_networks(found, owned)
    )
    if found["Image"] in owned.private_images:
        wrong.append("an image that the attacker may not see")
    if (config.get("Labels") or {}).get("io.hostadmin.owner") != owned.attacker:
        wrong.append("the owner label is not the attacker's")
    if owned.containers.get(found["Id"]) != owned.attacker:
        wrong.append(f"the ledger gives it to {owned.containers.get(found['Id'])!r}")
    return [f"container {found['Name']} {found['Id'][:12]}: {text}" for text in wrong]


def _judge_log(host: dict[str, Any]) -> list[str]:
    log = host.get("LogConfig") or {}
    bad = ["without max-size"] if not (log.get("Config") or {}).get("max-size") else []
    bad += [o for o in log.get("Config") or {} if o not in ("max-size", "max-file", "compress")]
    return ([f"log driver {log.get('Type')!r}"] if log.get("Type") not in ("json-file", "local") else []) + [f"log option {o}" for o in bad]


def _judge_ports(host: dict[str, Any]) -> list[str]:
    numbers = [
        n
        for bindings in (host.get("PortBindings") or {}).values()
        for b in bindings or []
        for n in (b.get("HostPort") or "").split("-")
        if n
    ]
    return [f"host port {n}" for n in numbers if int(n) and not 1024 <= int(n) <= 65535]


def _judge_namespaces(host: dict[str, Any], owned: Owned) -> list[str]:
    wrong = []
    for name, plain in (
        ("NetworkMode", ("default", "bridge", "none")),
        ("PidMode", ("",)),
        ("IpcMode", ("", "none", "private", "shareable")),
    ):
        mode = host.get(name) or ""
        if mode in plain:
            continue
        kind, _, ref = mode.partition(":")
        if kind == "container" and FULL_ID.fullmatch(ref) and owned.containers.get(ref) == owned.attacker:
            continue
        if name == "NetworkMode" and owned.networks.get(mode) == owned.attacker:
            continue
        gone = ref not in owned.containers if kind == "container" else name == "NetworkMode" and mode not in owned.networks
        if FULL_ID.fullmatch(ref or mode) and gone:
            continue  # the attacker's own that is gone; a foreign one stays, and stays in the ledger
        wrong.append(f"{name} {mode!r}")
    return wrong


def _judge_mounts(found: dict[str, Any], owned: Owned) -> list[str]:
    wrong = []
    for mount in found.get("Mounts") or []:
        if mount["Type"] not in ("volume", "tmpfs"):
            wrong.append(f"mount {mount['Type']} of {mount.get('Source')!r}")
        elif mount["Type"] == "volume" and (mount.get("Driver") != "local" or owned.volumes.get(mount["Name"]) != owned.attacker):
            wrong.append(f"volume {mount['Name']!r} of {owned.volumes.get(mount['Name'])!r}, driver {mount.get('Driver')!r}")
    return wrong + [f"bind {b!r}" for b in found["HostConfig"].get("Binds") or [] if b.startswith(("/", ".", "~")) and ":" in b]


def _judge_networks(found: dict[str, Any], owned: Owned) -> list[str]:
    wrong = []
    for name, endpoint in ((found.get("NetworkSettings") or {}).get("Networks") or {}).items():
        ref = (endpoint or {}).get("NetworkID")
        foreign = {n for r, n in owned.network_names.items() if owned.networks.get(r) != owned.attacker}
        if (
            name not in ("bridge", "none", "default")
            and (name in foreign or name in owned.networks or ref in owned.networks)
            and owned.networks.get(ref or name) != owned.attacker
        ):
            wrong.append(f"network {name!r}")
    return wrong


def judge_process(status: str, links: dict[str, str], host_links: dict[str, str]) -> list[str]:
    """Return what the kernel says of a container's first process that must not be."""
    values = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    wrong = [f"{name} {values[name]}" for name in ("CapEff", "CapBnd", "CapPrm") if int(values[name], 16) & ~CAPABILITIES]
    if values.get("Seccomp", "2").strip() != "2":
        wrong.append(f"seccomp mode {values['Seccomp']}")
    return wrong + [f"{name} namespace of the host" for name in links if links[name] == host_links[name]]


def judge_network(found: dict[str, Any], owned: Owned) -> list[str]:
    """Return what a network that is not of before must not be."""
    wrong = [f"option {o}" for o in found.get("Options") or {} if o not in NETWORK_OPTIONS]
    if (
        found["Driver"] != "bridge"
        or found.get("Ingress")
        or found.get("ConfigOnly")
        or found.get("EnableIPv6")
        or found["Scope"] != "local"
    ):
        wrong.append(f"kind {found['Driver']!r}")
    if owned.networks.get(found["Id"]) != owned.attacker:
        wrong.append(f"the ledger gives it to {owned.networks.get(found['Id'])!r}")
    wrong += [
        f"holds {c[:12]} of {owned.containers.get(c)!r}"
        for c in found.get("Containers") or {}
        if owned.containers.get(c) != owned.attacker and not c.startswith("ep-")
    ]
    for config in (found.get("IPAM") or {}).get("Config") or []:
        if not config["Subnet"].startswith(("10.", "172.", "192.168.")) or int(config["Subnet"].rpartition("/")[2]) < 16:
            wrong.append(f"subnet {config['Subnet']}")
    return [f"network {found['Name']}: {text}" for text in wrong]


def judge_volume(found: dict[str, Any], owned: Owned) -> list[str]:
    """Return what a volume that is not of before must not be."""
    wrong = [f"driver {found['Driver']}"] if found["Driver"] != "local" else []
    wrong += [f"options {found['Options']}"] if found.get("Options") else []
    if owned.volumes.get(found["Name"]) != owned.attacker:
        wrong.append(f"the ledger gives it to {owned.volumes.get(found['Name'])!r}")
    return [f"volume {found['Name']}: {text}" for text in wrong]


def differences(before: Any, now: Any, path: str = "") -> list[str]:
    """Return where two snapshots differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        return [d for key in sorted({*before, *now}, key=str) for d in differences(before.get(key), now.get(key), f"{path}.{key}")]
    return [] if before == now else [f"{path.lstrip('.')}: {str(before)[:200]} became {str(now)[:200]}"]
