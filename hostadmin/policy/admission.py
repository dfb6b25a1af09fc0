"""Admission: what a profile makes of a request. Mutate first, then validate; pure functions.

Bodies are already schema-checked (``guard.bodies``); these rules depend on the profile, or tie several
members to one capability. Every function returns *all* violations as sentences.
"""

import re
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, ip_address, ip_network
from typing import Any, Final

from hostadmin.core.labels import RESERVED_PREFIX
from hostadmin.policy.logs import admit_log
from hostadmin.policy.mounting import admit_mounts
from hostadmin.policy.profiles import Profile
from hostadmin.policy.resources import admit_resources

SYSCTLS: Final = frozenset({"net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.core.somaxconn"})
NO_NEW_PRIVILEGES: Final = "no-new-privileges"
STOP_TIMEOUT: Final = 300  # seconds; the engine waits for its containers when it ends
SECOND: Final = 1_000_000_000  # nanoseconds: a health check is a process that the engine starts
RETRIES: Final = 1000
UNLINKED: Final = ("", "default", "bridge", "host", "none")
HOST_GATEWAY: Final = "host-gateway"
_CAPABILITY: Final = re.compile(r"(CAP_)?[A-Z_]{3,32}|ALL")
_HOST: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?")
_SEARCH: Final = re.compile(r"\.|[A-Za-z0-9_.-]{1,253}")
_RESOLVER_OPTION: Final = re.compile(r"[a-z0-9-]{1,32}(:[0-9]{1,5})?")
_CPUS: Final = re.compile(r"([0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*)?")
_GPU_STEERING: Final = re.compile(
    r"(NVIDIA|AMD|HABANA|ASCEND)_VISIBLE_DEVICES"
    r"|NVIDIA_(DRIVER_CAPABILITIES|REQUIRE_\w+|DISABLE_REQUIRE|MIG_\w+|IMEX_CHANNELS|GDS|MOFED|NVSWITCH|GDRCOPY)|ASCEND_RUNTIME_OPTIONS"
)
PRIVATE: Final = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
WIDEST_PREFIX: Final = 16

ENGINE_CAPABILITIES: Final = frozenset(  # what a container has where nothing is said: moby ``daemon/pkg/oci/caps``
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "NET_RAW",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)


def find_reserved_labels(labels: dict[str, str] | None) -> list[str]:
    """Return a violation per label under the reserved prefix, in any spelling."""
    return [
        f"label {name!r}: names under {RESERVED_PREFIX!r} are hostadmin's own"
        for name in labels or {}
        if name.casefold().startswith(RESERVED_PREFIX)
    ]


def admit_container(body: dict[str, Any], profile: Profile) -> list[str]:
    """Set the profile's defaults in a ContainerCreate body and return what it violates.

    Ports are not judged here: ``policy.ports``.
    """
    host = body.setdefault("HostConfig", {})
    host["CgroupnsMode"] = "private"
    violations = find_reserved_labels(body.get("Labels"))
    for mount in host.get("Mounts", []):
        violations += find_reserved_labels(mount.get("VolumeOptions", {}).get("Labels"))
    violations += admit_resources(host, profile) + admit_log(host, profile) + admit_mounts(body, profile)
    violations += find_slow_or_busy(body) + _environment(body, profile)
    for review in HOST_REVIEWS:
        violations += review(host, profile)
    return violations


def _links(host: dict[str, Any], _profile: Profile) -> list[str]:
    """Take links away: on a network of one's own the engine does nothing with them (docker-compose 1.29 sends them)."""
    links, mode = host.pop("Links", []), host.get("NetworkMode", "")
    if not links or not (mode in UNLINKED or mode.startswith("container:")):
        return []
    return ["HostConfig.Links: links reach other containers by the legacy way; use a network"]


def find_slow_or_busy(config: dict[str, Any]) -> list[str]:
    """Return what a Config asks of the engine itself beyond measure: also out of an image (``engine-api.md`` 3.4)."""
    found = []
    if not 0 <= (config.get("StopTimeout") or 0) <= STOP_TIMEOUT:
        found.append(f"StopTimeout {config['StopTimeout']}: from 0 to {STOP_TIMEOUT} seconds")
    health = config.get("Healthcheck") or {}
    for member in ("Interval", "Timeout", "StartInterval"):
        if 0 < (health.get(member) or 0) < SECOND:
            found.append(f"Healthcheck.{member}: at least one second")
    if (health.get("Retries") or 0) > RETRIES:
        found.append(f"Healthcheck.Retries: at most {RETRIES}")
    return found


def _environment(body: dict[str, Any], profile: Profile) -> list[str]:
    """Variables that a runtime on the host obeys are no free text (rule 11)."""
    if profile.gpus:
        return []
    names = {variable.partition("=")[0] for variable in body.get("Env", []) if variable.partition("=")[2] not in ("", "none", "void")}
    return [
        f"environment variable {name}: profile {profile.name!r} gives no GPUs" for name in sorted(names) if _GPU_STEERING.fullmatch(name)
    ]


def silence_gpus(body: dict[str, Any], image: dict[str, Any], profile: Profile) -> None:
    """Take away what the image's own variables would ask of a GPU runtime; the request's win over the image's."""
    said = {variable.partition("=")[0] for variable in body.get("Env", [])}
    for variable in (image.get("Config") or {}).get("Env") or []:
        name = variable.partition("=")[0]
        if not profile.gpus and name.endswith("_VISIBLE_DEVICES") and _GPU_STEERING.fullmatch(name) and name not in said:
            body.setdefault("Env", []).append(f"{name}=void")


def _capabilities(host: dict[str, Any], profile: Profile) -> list[str]:
    found = []
    for member in ("CapAdd", "CapDrop"):
        if member in host:
            host[member] = [name.upper() for name in host[member]]
            found += [f"{member} {name[:64]!r}: no capability" for name in host[member] if not _CAPABILITY.fullmatch(name)]
    for name in host.get("CapAdd", []):
        if name.removeprefix("CAP_") not in profile.capabilities:
            allowed = ", ".join(sorted(profile.capabilities)) or "none"
            found.append(f"capability {name[:64]!r}: profile {profile.name!r} allows {allowed}")
    dropped = {name.removeprefix("CAP_") for name in host.get("CapDrop", [])}
    withheld = ENGINE_CAPABILITIES - profile.capabilities - dropped
    if withheld and "ALL" not in dropped:
        host["CapDrop"] = [*host.get("CapDrop", []), *sorted(withheld)]
    return found


def _security(host: dict[str, Any], profile: Profile) -> list[str]:
    """Build the list anew: of several entries with one key the engine takes the last."""
    found, chosen = [], None
    for option in host.get("SecurityOpt", []):
        key, _, value = option.replace("=", ":", 1).partition(":")
        if option == NO_NEW_PRIVILEGES or (key == NO_NEW_PRIVILEGES and value in ("true", "false")):
            chosen = value != "false"
        else:
            found.append(f"security option {key[:64]!r}: profile {profile.name!r} allows {NO_NEW_PRIVILEGES}")
    if host.get("SecurityOpt"):
        host["SecurityOpt"] = [NO_NEW_PRIVILEGES] if chosen else []
    return found


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


def review_names(host: dict[str, Any], profile: Profile) -> list[str]:
    """Text that the engine writes into a container's hosts and resolv.conf."""
    found = [f"Dns {text!r}: no IP address" for text in host.get("Dns", []) if not _is_address(text)]
    found += [f"DnsSearch {text[:64]!r}: no domain" for text in host.get("DnsSearch", []) if not _SEARCH.fullmatch(text)]
    found += [f"DnsOptions {text[:64]!r}: no option" for text in host.get("DnsOptions", []) if not _RESOLVER_OPTION.fullmatch(text)]
    for entry in host.get("ExtraHosts", []):
        name, address = re.match(r"([^:=]*)[:=]?(.*)", entry, re.DOTALL).groups()  # type: ignore[union-attr]  # matches everything
        if address == HOST_GATEWAY and not profile.host_gateway:
            found.append(f"ExtraHosts {entry[:64]!r}: profile {profile.name!r} does not give the host's own address")
        elif not _HOST.fullmatch(name) or not (address == HOST_GATEWAY or _is_address(address.removeprefix("[").removesuffix("]"))):
            found.append(f"ExtraHosts {entry[:64]!r}: must be NAME:ADDRESS")
    return found


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


def review_cpusets(host: dict[str, Any], _profile: Profile) -> list[str]:
    """Return the CPU and memory sets of a HostConfig that are none (cpuset(7), list format)."""
    return [f"{m} {host[m][:64]!r}: numbers and ranges" for m in ("CpusetCpus", "CpusetMems") if not _CPUS.fullmatch(host.get(m, ""))]


def _sysctls(host: dict[str, Any], _profile: Profile) -> list[str]:
    return [f"sysctl {s!r}: allowed are {', '.join(sorted(SYSCTLS))}" for s in host.get("Sysctls", {}) if s not in SYSCTLS]


HOST_REVIEWS: Final[tuple[Callable[[dict[str, Any], Profile], list[str]], ...]] = (
    _capabilities,
    _security,
    _namespaces,
    review_names,
    review_cpusets,
    _sysctls,
    _links,
)


def admit_network(
    body: dict[str, Any], host_subnets: list[IPv4Network], *, own: str | None = None, others: Sequence[str] = ()
) -> list[str]:
    """Return what a NetworkCreate body violates.

    A bridge takes its subnet's addresses away from the host: a subnet must be private, at most a /16, and none
    that the host itself reaches; and it must leave other people's blocks of addresses alone.

    Args:
        body: the request's.
        host_subnets: what the host reaches.
        own: the caller's own block (CIDR), if there is one.
        others: other people's blocks.

    """
    found = find_reserved_labels(body.get("Labels"))
    reserved = [IPv4Network(other) for other in others]
    for config in (body.get("IPAM") or {}).get("Config", []):
        given = [config[key] for key in ("Subnet", "IPRange") if config.get(key)]
        found += [text for subnet in given if (text := _subnet_violation(subnet, host_subnets, own, reserved))]
    return found


def _subnet_violation(text: str, host_subnets: list[IPv4Network], own: str | None, reserved: list[IPv4Network]) -> str | None:
    try:
        subnet = ip_network(text, strict=False)
    except ValueError:
        return f"subnet {text!r}: not an address range"
    if not isinstance(subnet, IPv4Network) or not any(subnet.subnet_of(p) for p in PRIVATE) or subnet.prefixlen < WIDEST_PREFIX:
        return f"subnet {text}: it must lie in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16 and be at most a /{WIDEST_PREFIX}"
    if any(subnet.overlaps(other) for other in host_subnets):
        return f"subnet {text}: the host itself reaches addresses in it; choose another one"
    if any(subnet.overlaps(other) for other in reserved):
        return f"subnet {text}: it is reserved for somebody else{f'; yours is {own}' if own else ''}"
    return None
