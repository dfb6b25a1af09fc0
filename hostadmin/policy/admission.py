"""Admission: what a profile makes of a request. Mutate first, then validate; pure functions.

Bodies are already schema-checked (``guard.bodies``); these rules depend on the profile, or tie several
members to one capability. Every function returns *all* violations as sentences.
"""

from collections.abc import Callable
from ipaddress import IPv4Network, ip_network
from typing import Any, Final

from hostadmin.core.labels import RESERVED_PREFIX
from hostadmin.policy.profiles import Profile
from hostadmin.policy.restarts import RestartPolicy, default_restart, find_restart_violation

LOG_DRIVERS: Final = ("", "json-file", "local")
LOG_OPTIONS: Final = frozenset({"max-size", "max-file", "compress"})
SYSCTLS: Final = frozenset({"net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.core.somaxconn"})
ULIMITS: Final = frozenset({"nofile", "nproc", "core", "stack", "fsize", "cpu", "data", "memlock", "as"})
TMPFS_OPTIONS: Final = frozenset({"size", "mode", "uid", "gid", "nr_inodes"})
TMPFS_FLAGS: Final = frozenset({"ro", "rw", "noexec", "exec", "nosuid", "nodev"})
BIND_OPTIONS: Final = frozenset({"", "ro", "rw", "nocopy", "consistent", "cached", "delegated", "default", "private", "rprivate"})
SHM_LIMIT: Final = 1 << 30
PRIVATE: Final = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
WIDEST_PREFIX: Final = 16
BILLION: Final = 1_000_000_000
HOST_PATH: Final = (
    "host path {path!r}: directories of the host cannot be mounted; use a named volume (-v NAME:{target}) or copy with `docker cp`"
)


def find_reserved_labels(labels: dict[str, str] | None) -> list[str]:
    """Return a violation per label under the reserved prefix, in any spelling."""
    return [
        f"label {name!r}: names under {RESERVED_PREFIX!r} are hostadmin's own"
        for name in labels or {}
        if name.casefold().startswith(RESERVED_PREFIX)
    ]


def admit_container(body: dict[str, Any], profile: Profile) -> list[str]:
    """Set the profile's defaults in a ContainerCreate body and return what it violates."""
    host = body.setdefault("HostConfig", {})
    host["CgroupnsMode"] = "private"
    violations = find_reserved_labels(body.get("Labels"))
    violations += admit_resources(host, profile, creating=True)
    for review in HOST_REVIEWS:
        violations += review(host, profile)
    return violations


def admit_resources(host: dict[str, Any], profile: Profile, *, creating: bool) -> list[str]:
    """Judge the members that create and update share; set defaults when ``creating``."""
    found = []
    if creating or "RestartPolicy" in host:
        found += _restart(host, profile)
    if creating or "PidsLimit" in host:
        asked = host.get("PidsLimit", 0)
        host["PidsLimit"] = asked if asked > 0 else profile.pids
        if profile.pids and host["PidsLimit"] > profile.pids:
            found.append(f"PidsLimit {asked}: profile {profile.name!r} allows at most {profile.pids}")
    found += _memory_and_cpu(host, profile, creating=creating)
    found += [
        f"ulimit {u.get('Name')!r}: allowed are {', '.join(sorted(ULIMITS))}"
        for u in host.get("Ulimits", [])
        if u.get("Name") not in ULIMITS
    ]
    return found


def _restart(host: dict[str, Any], profile: Profile) -> list[str]:
    given = host.get("RestartPolicy", {})
    name, retries = given.get("Name", ""), given.get("MaximumRetryCount", 0)
    policy = default_restart(RestartPolicy(name, retries), profile)
    host["RestartPolicy"] = {"Name": policy.name, "MaximumRetryCount": policy.retries}
    if host.get("AutoRemove"):
        if policy.name not in ("", "no") and name:
            return ["restart policy and --rm exclude each other"]
        host["RestartPolicy"] = {"Name": "no", "MaximumRetryCount": 0}
        return []
    violation = find_restart_violation(policy, profile)
    return [violation] if violation else []


def _memory_and_cpu(host: dict[str, Any], profile: Profile, *, creating: bool) -> list[str]:
    """Clamp by refusal: above the profile is a violation; nothing said means the profile's number."""
    found = []
    if profile.memory_bytes:
        asked = host.get("Memory", 0)
        if asked > profile.memory_bytes:
            found.append(f"memory {asked}: profile {profile.name!r} allows at most {profile.memory_bytes} bytes")
        if creating and not asked:
            host["Memory"] = profile.memory_bytes
        swap = host.get("MemorySwap", 0)
        if swap == -1 or swap > 2 * profile.memory_bytes:
            found.append(f"memory-swap {swap}: profile {profile.name!r} allows at most twice its memory")
    if profile.cpus:
        limit = int(profile.cpus * BILLION)
        if host.get("NanoCpus", 0) > limit or host.get("CpuQuota", 0) > 0:
            found.append(f"cpus: profile {profile.name!r} allows --cpus up to {profile.cpus:g}")
        if creating and not host.get("NanoCpus"):
            host["NanoCpus"] = limit
    return found


def _capabilities(host: dict[str, Any], profile: Profile) -> list[str]:
    found = []
    for name in host.get("CapAdd", []):
        if name.upper().removeprefix("CAP_") not in profile.capabilities:
            allowed = ", ".join(sorted(profile.capabilities)) or "none"
            found.append(f"capability {name!r}: profile {profile.name!r} allows {allowed}")
    return found


def _security(host: dict[str, Any], profile: Profile) -> list[str]:
    allowed = {"no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"}
    return [
        f"security option {option.partition('=')[0][:64]!r}: profile {profile.name!r} allows no-new-privileges"
        for option in host.get("SecurityOpt", [])
        if option not in allowed
    ]


def _namespaces(host: dict[str, Any], profile: Profile) -> list[str]:
    found = []
    if host.get("NetworkMode", "").partition(":")[0] == "host":
        found.append(f"network mode 'host': profile {profile.name!r} allows bridge, none and own networks")
    for member in ("PidMode", "IpcMode"):
        mode = host.get(member, "")
        own = ("", "private", "shareable", "none") if member == "IpcMode" else ("",)
        if mode not in own and not mode.startswith("container:"):
            found.append(f"{member} {mode!r}: namespaces of the host are not shared")
    return found


def _mounts(host: dict[str, Any], _profile: Profile) -> list[str]:
    """One rule for everything that mounts: host paths are refused, options come from a list."""
    found = []
    for bind in host.get("Binds", []):
        source, target, options = split_bind(bind)
        if source.startswith(("/", ".", "~")):
            found.append(HOST_PATH.format(path=source, target=target))
        found += [f"mount option {o!r} of {target!r}" for o in options.split(",") if o not in BIND_OPTIONS]
    for mount in host.get("Mounts", []):
        if mount.get("Type") == "bind":
            found.append(HOST_PATH.format(path=mount.get("Source", ""), target=mount.get("Target", "")))
        elif mount.get("Type") not in ("volume", "tmpfs"):
            found.append(f"mount type {mount.get('Type')!r}: allowed are volume and tmpfs")
        elif mount["Type"] == "volume" and mount.get("Source", "").startswith(("/", ".", "~")):
            found.append(HOST_PATH.format(path=mount["Source"], target=mount.get("Target", "")))
        found += find_reserved_labels(mount.get("VolumeOptions", {}).get("Labels"))
    for target, options in host.get("Tmpfs", {}).items():
        found += [f"tmpfs option {o!r} of {target!r}" for o in options.split(",") if not _tmpfs_option(o)]
    if host.get("ShmSize", 0) > SHM_LIMIT:
        found.append(f"shm-size: at most {SHM_LIMIT} bytes")
    return found


def split_bind(bind: str) -> tuple[str, str, str]:
    """Split ``SRC:DST[:OPTIONS]``; a lone ``DST`` has an empty source (an unnamed volume)."""
    parts = bind.split(":", 2)
    if len(parts) == 1:
        return "", parts[0], ""
    return parts[0], parts[1], parts[2] if len(parts) > 2 else ""


def _tmpfs_option(option: str) -> bool:
    name, equals, _ = option.partition("=")
    return name in TMPFS_OPTIONS if equals else name in TMPFS_FLAGS or not name


def _logging(host: dict[str, Any], _profile: Profile) -> list[str]:
    log = host.get("LogConfig", {})
    found = []
    if log.get("Type", "") not in LOG_DRIVERS:
        found.append(f"log driver {log['Type']!r}: allowed are json-file and local")
    found += [f"log option {o!r}" for o in log.get("Config", {}) if o not in LOG_OPTIONS]
    return found


def _ports(host: dict[str, Any], profile: Profile) -> list[str]:
    low, high = profile.ports
    found = []
    for bindings in host.get("PortBindings", {}).values():
        for binding in bindings or []:
            numbers = [int(n) for n in binding.get("HostPort", "").split("-") if n]
            if any(n and not low <= n <= high for n in numbers):
                found.append(f"host port {binding['HostPort']}: profile {profile.name!r} allows {low}-{high}")
    return found


def _sysctls(host: dict[str, Any], _profile: Profile) -> list[str]:
    return [f"sysctl {s!r}: allowed are {', '.join(sorted(SYSCTLS))}" for s in host.get("Sysctls", {}) if s not in SYSCTLS]


HOST_REVIEWS: Final[tuple[Callable[[dict[str, Any], Profile], list[str]], ...]] = (
    _capabilities,
    _security,
    _namespaces,
    _mounts,
    _logging,
    _ports,
    _sysctls,
)


def admit_network(body: dict[str, Any], host_subnets: list[IPv4Network]) -> list[str]:
    """Return what a NetworkCreate body violates.

    A bridge takes its subnet's addresses away from the host: a subnet must be private, at most a /16, and none
    that the host itself reaches.
    """
    found = find_reserved_labels(body.get("Labels"))
    for config in (body.get("IPAM") or {}).get("Config", []):
        found += [text for key in ("Subnet", "IPRange") if config.get(key) and (text := _subnet_violation(config[key], host_subnets))]
    return found


def _subnet_violation(text: str, host_subnets: list[IPv4Network]) -> str | None:
    try:
        subnet = ip_network(text, strict=False)
    except ValueError:
        return f"subnet {text!r}: not an address range"
    if not isinstance(subnet, IPv4Network) or not any(subnet.subnet_of(p) for p in PRIVATE) or subnet.prefixlen < WIDEST_PREFIX:
        return f"subnet {text}: it must lie in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16 and be at most a /{WIDEST_PREFIX}"
    if any(subnet.overlaps(other) for other in host_subnets):
        return f"subnet {text}: the host itself reaches addresses in it; choose another one"
    return None
