"""Quotas: how much of the host somebody may hold, how much they do, and what would free some. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hostadmin.policy.ports import ports_of
from hostadmin.policy.profiles import Profile

EXAMPLES: Final = 3


@dataclass(frozen=True, slots=True)
class Quota:
    """One countable thing.

    Args:
        name: also the profile's key.
        unit: ``""`` or ``bytes``.
        frees: what frees some, as a sentence part.

    """

    name: str
    unit: str
    frees: str


QUOTAS: Final = (
    Quota("containers", "", "remove one with `docker rm`"),
    Quota("running", "", "stop one with `docker stop`"),
    Quota("networks", "", "remove one with `docker network rm`"),
    Quota("volumes", "", "remove one with `docker volume rm`, or a container together with its unnamed ones with `docker rm -v`"),
    Quota("published_ports", "", "remove a container that publishes ports with `docker rm`"),
    Quota("image_bytes", "bytes", "remove one with `docker rmi`"),
)
KERNEL: Final = ("memory_total_bytes", "pids_total")
"""What the kernel keeps, of all containers of one person together."""
FREES_KERNEL: Final = "stop a container with `docker stop`"
BY_NAME: Final[Mapping[str, Quota]] = {quota.name: quota for quota in QUOTAS}


@dataclass(frozen=True, slots=True)
class Limits:
    """What the kernel keeps of all containers of one person together; 0 = no limit."""

    memory_bytes: int
    cpus: float
    pids: int


def limits_of(profile: Profile) -> Limits:
    """Return what a profile says of all containers of one person together."""
    return Limits(profile.memory_total_bytes, profile.cpus_total, profile.pids_total)


def find_exceeded(name: str, used: int, more: int, profile: Profile, examples: Callable[[], Sequence[str]] = list) -> str | None:
    """Return why ``more`` of something is too much, ``None`` if it is not.

    Args:
        name: the quota.
        used: how much there is already.
        more: how much is asked for.
        profile: whose numbers hold.
        examples: returns the caller's own things that could go first.

    """
    quota, limit = BY_NAME[name], int(getattr(profile, name))
    if not limit or not more or used + more <= limit:
        return None
    asked = f", {more} more asked for" if more > 1 and not quota.unit else ""
    first = list(examples())[:EXAMPLES]
    hint = f"; for example {', '.join(first)}" if first else ""
    unit = f" {quota.unit}" if quota.unit else ""
    return f"{name}: {used} of {limit}{unit} used{asked}; {quota.frees}{hint}"


def holds(inspected: dict[str, Any]) -> dict[str, Any]:
    """Return what the ledger keeps of a container's inspect, so that use is counted without asking the engine."""
    host = inspected.get("HostConfig") or {}
    return {
        "published": sum(len(given or [{}]) for given in (host.get("PortBindings") or {}).values()),
        "named_ports": ports_of(host)[:1000],
    }


def new_unnamed_volumes(body: dict[str, Any], image: dict[str, Any]) -> int:
    """Return how many unnamed volumes a ContainerCreate body and its image bring into being, at most."""
    host = body["HostConfig"]
    mounts = host.get("Mounts", [])
    binds = [bind.split(":") for bind in host.get("Binds", [])]
    covered = {bind[1] if len(bind) > 1 else bind[0] for bind in binds} | {m.get("Target") for m in mounts} | set(host.get("Tmpfs", {}))
    declared = {*body.get("Volumes", {}), *((image.get("Config") or {}).get("Volumes") or {})}
    unnamed = sum(m.get("Type") == "volume" and not m.get("Source") for m in mounts) + sum(len(bind) == 1 for bind in binds)
    return int(unnamed) + len(declared - covered)


def show_use(used: Mapping[str, int], profile: Profile) -> list[dict[str, Any]]:
    """Return use against limits, one row a quota, for people and JSON; a limit of 0 is none."""
    rows = [*QUOTAS, *(Quota(name, "bytes" if "bytes" in name else "", FREES_KERNEL) for name in KERNEL)]
    return [
        {"name": row.name, "used": used.get(row.name, 0), "limit": int(getattr(profile, row.name)), "unit": row.unit, "frees": row.frees}
        for row in rows
    ]
