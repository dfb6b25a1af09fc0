"""Memory, CPU, processes, limits, restart policy: what a profile makes of the members that create and update share.

Above the profile's number is a violation; nothing said means the profile's number. ``ContainerUpdate`` is judged by
what will hold then: the stored values with those that it changes (``engine-api.md`` 3.5).
"""

from typing import Any, Final

from hostadmin.policy.profiles import Profile
from hostadmin.policy.restarts import RestartPolicy, default_restart, find_restart_violation

SHM_LIMIT: Final = 1 << 30
BILLION: Final = 1_000_000_000
CPU_PERIOD: Final = 100_000  # microseconds; the kernel's own
ULIMITS: Final[dict[str, int]] = {  # name → highest value, 0 = any; -1 (unlimited) counts as above every number
    "nofile": 1_048_576,
    "nproc": 0,
    "core": 0,
    "stack": 0,
    "fsize": 0,
    "cpu": 0,
    "data": 0,
    "memlock": 0,
    "as": 0,
}
MEMORY_MEMBERS: Final = ("Memory", "MemorySwap", "MemoryReservation")
CPU_MEMBERS: Final = ("NanoCpus", "CpuQuota", "CpuPeriod")
BUILD_RESOURCES: Final = {
    "memory": "Memory",
    "memswap": "MemorySwap",
    "cpuperiod": "CpuPeriod",
    "cpuquota": "CpuQuota",
    "shmsize": "ShmSize",
}
WEIGHT_LOWEST: Final = 10  # BlkioWeight


def lowest(*limits: float) -> float:
    """Return the smallest of several limits, of which 0 means none."""
    return min((limit for limit in limits if limit), default=0)


def admit_resources(host: dict[str, Any], profile: Profile) -> list[str]:
    """Set the profile's defaults in a new container's HostConfig and return what it violates."""
    found = _restart(host, profile)
    if profile.memory_bytes and not host.get("Memory"):
        host["Memory"] = profile.memory_bytes
    if profile.cpus and not host.get("NanoCpus") and not host.get("CpuQuota"):
        host["NanoCpus"] = int(profile.cpus * BILLION)
    found += _pids(host, profile)
    return found + _memory(host, profile) + _cpus(host, profile) + _others(host)


def admit_update(body: dict[str, Any], stored: dict[str, Any], profile: Profile) -> list[str]:
    """Return what a ContainerUpdate body violates, given the container's stored HostConfig.

    Zero means unchanged, save for ``PidsLimit``, where it means no limit: the profile's number is set then.
    """
    found = []
    if not body.get("RestartPolicy", {}).get("Name"):
        body.pop("RestartPolicy", None)
    else:
        found += _restart(body, profile)
    if "PidsLimit" in body:
        found += _pids(body, profile)
    effective = {**{k: v for k, v in stored.items() if v}, **{k: v for k, v in body.items() if v}}
    if any(body.get(member) for member in MEMORY_MEMBERS):
        found += _memory(effective, profile)
    if any(body.get(member) for member in CPU_MEMBERS):
        found += _cpus(effective, profile)
    return found + _others(body)


def admit_build(asked: dict[str, int], profile: Profile) -> list[str]:
    """Set the profile's defaults in the resource parameters of a build and return what they violate.

    Args:
        asked: parameter of ``ImageBuild`` → number, 0 where nothing is said; changed.
        profile: whose numbers hold.

    """
    if profile.memory_bytes and not asked["memory"]:
        asked["memory"] = profile.memory_bytes
    if profile.cpus and not asked["cpuquota"]:
        asked["cpuquota"] = int(profile.cpus * (asked["cpuperiod"] or CPU_PERIOD))
    host = {member: asked[name] for name, member in BUILD_RESOURCES.items()}
    most = int(lowest(SHM_LIMIT, profile.memory_bytes))
    shm = [f"ShmSize {host['ShmSize']}: at most {most} bytes"] if host["ShmSize"] > most else []
    return _memory(host, profile) + _cpus(host, profile) + shm


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


def _pids(host: dict[str, Any], profile: Profile) -> list[str]:
    asked = host.get("PidsLimit", 0)
    host["PidsLimit"] = asked if asked > 0 else profile.pids
    if profile.pids and host["PidsLimit"] > profile.pids:
        return [f"PidsLimit {asked}: profile {profile.name!r} allows at most {profile.pids}"]
    return []


def _memory(host: dict[str, Any], profile: Profile) -> list[str]:
    found = []
    most = int(lowest(profile.memory_bytes, profile.memory_total_bytes))
    for member in ("Memory", "MemoryReservation"):
        if most and host.get(member, 0) > most:
            found.append(f"{member} {host[member]}: profile {profile.name!r} allows at most {most} bytes")
    swap = host.get("MemorySwap", 0)
    if profile.memory_bytes and (swap == -1 or swap > 2 * most):
        found.append(f"MemorySwap {swap}: profile {profile.name!r} allows at most twice its memory, {2 * most} bytes")
    return found


def _cpus(host: dict[str, Any], profile: Profile) -> list[str]:
    most = lowest(profile.cpus, profile.cpus_total)
    quota = host.get("CpuQuota", 0)
    asked = host.get("NanoCpus", 0) / BILLION or max(quota, 0) / (host.get("CpuPeriod", 0) or CPU_PERIOD)
    if most and asked > most:
        return [f"{asked:g} CPUs: profile {profile.name!r} allows at most {most:g} (--cpus {most:g})"]
    if profile.cpus and quota < 0:
        return [f"CpuQuota {quota}: profile {profile.name!r} allows at most {most:g} CPUs (--cpus {most:g})"]
    return []


def _others(host: dict[str, Any]) -> list[str]:
    found = []
    if 0 < host.get("BlkioWeight", 0) < WEIGHT_LOWEST:
        found.append(f"BlkioWeight {host['BlkioWeight']}: from {WEIGHT_LOWEST} to 1000")
    return found + review_ulimits(host.get("Ulimits", []))


def review_ulimits(ulimits: list[dict[str, Any]]) -> list[str]:
    """Return what is wrong with limits of processes, of a container or of a build."""
    found = []
    for ulimit in ulimits:
        name = ulimit.get("Name")
        if name not in ULIMITS:
            found.append(f"ulimit {name!r}: allowed are {', '.join(sorted(ULIMITS))}")
        elif ULIMITS[name] and any(not 0 <= ulimit.get(end, 0) <= ULIMITS[name] for end in ("Soft", "Hard")):
            found.append(f"ulimit {name!r}: at most {ULIMITS[name]}")
    return found
