"""Volumes in containers: whose they are, who makes them, and what must never be mounted.

A volume's name is its identity (rule R5): creation, use and removal hold the name's lock.
"""

import contextlib
import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any, Final

from hostadmin.core.clock import now, timestamp
from hostadmin.core.names import FULL_ID
from hostadmin.core.values import Attribution, Kind
from hostadmin.guard.exchange import Exchange
from hostadmin.guard.refusal import Refusal, malformed
from hostadmin.guard.rules import quotas, resolve
from hostadmin.policy import ports
from hostadmin.policy.mounting import split_bind
from hostadmin.store import objects
from hostadmin.store.database import Tx

VOLUME_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}")
JUST: Final = timedelta(minutes=1)  # longer than a request takes from its look at the engine to its claim
ALLOWED_TYPES: Final = ("volume", "tmpfs", "image")


def volume_names(host: dict[str, Any]) -> list[str]:
    """Return the names of all volumes that a checked HostConfig mounts, sorted, without unnamed ones.

    Raises:
        Refusal: 400, a name that no volume can have.

    """
    names = {split_bind(bind)[0] for bind in host.get("Binds", [])}
    names |= {m.get("Source", "") for m in host.get("Mounts", []) if m.get("Type") == "volume"}
    names.discard("")
    for name in names:
        check_volume_name(name)
    return sorted(names)


def check_volume_name(name: str) -> str:
    """Return a volume's name if it is one."""
    if not VOLUME_NAME.fullmatch(name):
        raise malformed(
            f'create {name[:64]}: "{name[:64]}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" '
            "are allowed. If you intended to pass a host directory, use absolute path"
        )
    return name


def find_forbidden(x: Exchange, found: dict[str, Any]) -> list[str]:
    """Return a violation per mount of an inspected container that reaches the host."""
    host = found.get("HostConfig") or {}
    problems = [
        f"it mounts {m.get('Source', '?')!r} of the host"
        for m in found.get("Mounts") or []
        if m.get("Type") not in ALLOWED_TYPES or m.get("Driver", "local") not in ("local", "")
    ]
    if host.get("Privileged"):
        problems.append("it is privileged")
    for member in ("NetworkMode", "PidMode", "IpcMode", "UTSMode", "UsernsMode"):
        if host.get(member) == "host":
            problems.append(f"{member} is the host's")
    for member in ("Devices", "DeviceRequests", "DeviceCgroupRules", "VolumeDriver"):
        if host.get(member) not in (None, [], "", "local"):
            problems.append(f"it has {member} of the host")
    if any("unconfined" in option or "disable" in option for option in host.get("SecurityOpt") or []):
        problems.append("it is not confined")
    allowed = x.caller.profile.capabilities if x.caller.profile else frozenset()
    if any(c.upper().removeprefix("CAP_") not in allowed for c in host.get("CapAdd") or []):
        problems.append("it has capabilities that the profile does not allow")
    return problems


def check_enterable(x: Exchange, found: dict[str, Any], what: str) -> None:
    """Refuse to let a process into a container that reaches the host, however it came to be the caller's.

    Raises:
        Refusal: 403, with all that is wrong with it.

    """
    problems = find_forbidden(x, found)
    if problems:
        name = found.get("Name", "").removeprefix("/")
        raise Refusal(403, f"hostadmin refused to {what} {name}: {'; '.join(problems)}; ask an administrator", "admission")


async def check_startable(x: Exchange, found: dict[str, Any]) -> None:
    """Judge an own container again before it is started: what it stores, and whose that is now (rule R8).

    Raises:
        Refusal: 403, with all that is wrong with it.

    """
    check_enterable(x, found, "start")
    host, profile = found.get("HostConfig") or {}, quotas.profile_of(x)
    problems = ports.admit_ports(host, profile, await quotas.room_of(x)) if host.get("PortBindings") else []
    problems += _find_not_own(x, found)
    for mount in found.get("Mounts") or []:
        if mount.get("Type") == "image":
            await resolve.image(x, mount.get("Source", ""))
    if problems:
        name = found.get("Name", "").removeprefix("/")
        raise Refusal(403, f"hostadmin refused to start {name} (profile {profile.name}): {'; '.join(problems)}", "admission")


def _find_not_own(x: Exchange, found: dict[str, Any]) -> list[str]:
    """Return a violation per container, network and volume that a container would join and that is not its owner's."""
    owner, host = x.caller.owner, found.get("HostConfig") or {}
    containers, networks = x.guard.ledger.owners(Kind.CONTAINER), x.guard.ledger.owners(Kind.NETWORK)
    volumes = x.guard.ledger.owners(Kind.VOLUME)
    problems = []
    for member in ("NetworkMode", "PidMode", "IpcMode"):
        kind, _, ref = (host.get(member) or "").partition(":")
        if kind == "container" and containers.get(ref) != owner:
            problems.append(f"{member} joins a container that is not yours or has gone")
    for name, endpoint in ((found.get("NetworkSettings") or {}).get("Networks") or {}).items():
        if name not in resolve.PREDEFINED and networks.get((endpoint or {}).get("NetworkID", ""), owner) != owner:
            problems.append(f"network {name} is not yours")
    problems += [
        f"volume {m['Name']} is not yours" for m in found.get("Mounts") or [] if m.get("Name") and volumes.get(m["Name"], owner) != owner
    ]
    return problems


def find_unasked(x: Exchange, found: dict[str, Any], body: dict[str, Any]) -> list[str]:
    """Return a violation per mount of a new container that is neither asked for nor a new unnamed volume."""
    asked = set(volume_names(body["HostConfig"]))
    owners = x.guard.ledger.owners(Kind.VOLUME)
    problems = []
    for mount in found.get("Mounts") or []:
        name = mount.get("Name")
        if not name or name in asked:
            continue
        if owners.get(name, x.caller.owner) != x.caller.owner:
            problems.append("a volume of somebody else")
        elif name not in owners and not FULL_ID.fullmatch(name):
            problems.append(f"the volume {name[:64]!r} that nobody asked for")
    return problems


def taken(name: str) -> Refusal:
    """Return the refusal of a volume's name that is not the caller's."""
    return Refusal(403, f"hostadmin refused volume {name!r}: the name is taken on this host; choose another one", "ownership")


@contextlib.asynccontextmanager
async def locked(x: Exchange, names: list[str]) -> AsyncIterator[None]:
    """Hold the locks of several names, always in the same order."""
    async with contextlib.AsyncExitStack() as stack:
        for name in sorted(set(names)):
            if not name.endswith(":"):
                await stack.enter_async_context(x.guard.lock(name))
        yield


async def claim_new_volumes(x: Exchange, names: list[str]) -> list[str]:
    """Return those of the names that are free; the others must be the caller's.

    Raises:
        Refusal: 403, a volume of that name is not the caller's.

    """
    fresh = []
    owners = x.guard.ledger.owners(Kind.VOLUME)
    for name in names:
        found = await x.look("volumes", name)
        if found is None:
            fresh.append(name)
        elif owners.get(name) != x.caller.owner:
            raise taken(name)
        elif found.get("Options") or found.get("Driver") != "local":
            raise Refusal(403, f"hostadmin refused volume {name!r}: it is a mount of the host's; an administrator must use it", "admission")
    return fresh


def claim_work(names: list[str], owner: str) -> Callable[[Tx], None]:
    """Return the work that gives names of volumes about to be made to their owner.

    It refuses a name that somebody else has just been given: the service brings volumes back while the guard looks.
    """

    def work(tx: Tx) -> None:
        for name in names:
            known = objects.find(tx, Kind.VOLUME, name)
            if known is not None and known.owner_id != owner and known.first_seen > timestamp(now() - JUST):
                raise taken(name)
            objects.mark_gone(tx, Kind.VOLUME, [name])  # an earlier volume of that name that went unnoticed
            objects.put(tx, Kind.VOLUME, name, name=name, owner_id=owner, attribution=Attribution.GUARD)

    return work


def withdraw_work(names: list[str]) -> Callable[[Tx], None]:
    """Return the work that takes such claims back; a resync finds what was made all the same."""
    return lambda tx: objects.mark_gone(tx, Kind.VOLUME, names)
