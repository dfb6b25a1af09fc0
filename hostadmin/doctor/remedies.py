"""What to put where when a host has too little of something: from a shortage to the literal lines. Pure."""

import json
import math
from collections.abc import Callable
from typing import Final

from hostadmin.core.errors import Failed
from hostadmin.doctor.facts import Group, Shortage
from hostadmin.doctor.finding import Remedy
from hostadmin.doctor.pools import choose
from hostadmin.guard.limits import DESCRIPTORS_OF_OUR_OWN, DESCRIPTORS_PER_CONNECTION
from hostadmin.settings import UsersSettings
from hostadmin.store.health import Given

DAEMON_FILE: Final = "/etc/docker/daemon.json"
SYSCTL_FILE: Final = "/etc/sysctl.d/90-hostadmin.conf"
UNIT_FILE: Final = "/etc/systemd/system/hostadmin.service.d/limits.conf"
PORTS: Final = (1024, 65535)
SPARE: Final = 0.9  # of what there is can be given to people; the rest is the host's
MEGABYTE: Final = 1_000_000
SIGNED: Final = 2**31 - 1  # the most of a kernel parameter that is an int
SUBNET_SMALLEST: Final = 28
UID_HIGHEST: Final = 59999  # systemd keeps 60001 and up for itself (docs/UIDS-GIDS.md)
RESTART: Final = "Then `systemctl restart docker`: running containers end with it unless live-restore is on."
APPLY: Final = "Then `sysctl --system`."
LOGS: Final = Remedy(
    f"Logs of containers that did not pass the guard grow without end. {RESTART}",
    DAEMON_FILE,
    ('"log-opts": {"max-size": "10m", "max-file": "3"}',),
)
LIVE: Final = Remedy(f"Else a restart of the engine ends every container. {RESTART}", DAEMON_FILE, ('"live-restore": true',))
SUBNETS_KEPT: Final = "The last ones get none: a subnet follows from one's place in the ledger, so what has been given out stays so."
Mend = Callable[[Shortage], Remedy]


def people_that_fit(short: Shortage) -> int:
    """Return how many people a class day would have room for."""
    return int(short.have / short.need * short.group.people) if short.need else short.group.people


def pools(short: Shortage) -> Remedy:
    """More address pools, which overlap nothing; the default bridge keeps its addresses, or it would take a slice of them."""
    engine, facts = short.facts.engine, short.facts
    if engine is None:
        return Remedy()
    if short.have >= short.need and math.isinf(short.most or 0):
        return in_profile("networks", lambda s: math.floor(s.have / s.group.people))(short)
    count = math.ceil(short.wanted) + len(engine.subnets) + 1
    try:
        chosen = choose(count, (*engine.subnets, *facts.routes, *facts.avoided))
    except Failed as error:
        return Remedy(f"{error.message} Use a smaller class, or fewer networks in the profile.")
    listed = [{"base": str(pool.base), "size": pool.size} for pool in chosen]
    lines = [f'"default-address-pools": {json.dumps(listed)}']
    if engine.bridge:
        lines.append(f'"bip": {json.dumps(engine.bridge)}')
    return Remedy(f"{RESTART} Not where these are flags of dockerd: change them there.", DAEMON_FILE, tuple(lines))


def in_profile(key: str, value: Callable[[Shortage], float], *, lowest: int = 1) -> Mend:
    """Return the remedy that lowers a limit of the profile, so that everybody's together is what there is."""

    def mend(short: Shortage) -> Remedy:
        number = int(value(short))
        if short.have < short.need or number < lowest:
            return Remedy(f"Room for {people_that_fit(short)} people as it is: add some, or teach fewer people on this host.")
        return _profile_line(short.group, key, number, "Then nobody can take what others need.")

    return mend


def share(short: Shortage) -> float:
    """Return everybody's share of what there is, in whole megabytes."""
    return math.floor(short.have * SPARE / short.group.people / MEGABYTE) * MEGABYTE


def _profile_line(group: Group, key: str, value: object, text: str = "It holds within a second.") -> Remedy:
    if group.profiles_shipped:
        text = f"{text} Copy config/profiles.toml there first: the file must be complete."
    return Remedy(text, group.profiles_file, (f"[{group.profile.name}]", f"{key} = {value}"))


def kernel(name: str, *, cap: int = SIGNED, key: str = "") -> Mend:
    """Return the remedy that raises a kernel parameter, to a power of two as is usual.

    Args:
        name: the parameter.
        cap: the most that the kernel takes.
        key: the number of the profile that must be lowered where that is still too little.

    """

    def mend(short: Shortage) -> Remedy:
        limit = short.facts.sysctls[name]
        value = min(2 ** math.ceil(math.log2(limit - short.have + short.wanted)), cap)
        if value > limit:
            return Remedy(APPLY, SYSCTL_FILE, (f"{name} = {value}",))
        if not key:
            return Remedy(f"{name} is the most that the kernel takes: teach fewer people on this host.")
        return in_profile(key, lambda s: s.have / s.group.people)(short)

    return mend


def neighbours(short: Shortage) -> Remedy:
    """The table of neighbours: its three marks keep their proportions (arp(7))."""
    value = int(2 ** math.ceil(math.log2(2 * short.wanted)))
    marks = {1: value // 4, 2: value // 2, 3: value}
    return Remedy(APPLY, SYSCTL_FILE, tuple(f"net.ipv4.neigh.default.gc_thresh{n} = {mark}" for n, mark in marks.items()))


def ports(short: Shortage) -> Remedy:
    """Host ports: the whole range, else smaller blocks or fewer of them for everybody."""
    group = short.group
    if group.profile.ports[0] > PORTS[0] or group.profile.ports[1] < PORTS[1]:
        return _profile_line(group, "ports", list(PORTS))
    key = "port_block" if group.profile.port_block else "published_ports"
    return _profile_line(group, key, max(int(short.have // group.people), 1))


def in_settings(section: str, key: str, value: Callable[[Shortage], int | None], otherwise: str) -> Mend:
    """Return the remedy that is a line of the configuration; ``otherwise`` where no value would do."""

    def mend(short: Shortage) -> Remedy:
        number = value(short)
        if number is None:
            return Remedy(otherwise)
        return Remedy("Then start hostadmin again.", short.group.config_file, (f"[{section}]", f"{key} = {number}"))

    return mend


def smaller_blocks(short: Shortage) -> int | None:
    """Return how large a block of host ports can be, so that everybody gets one."""
    left = block_ports_left(short.group.users, short.facts.given or Given())
    return left // short.group.people or None


def block_ports_left(users: UsersSettings, given: Given) -> int:
    """Return how many host ports of the range for blocks are in nobody's block."""
    taken = (min(last, users.port_max) - max(first, users.port_min) + 1 for first, last in given.port_blocks)
    return users.port_max - users.port_min + 1 - sum(max(count, 0) for count in taken)


def smaller_subnets(short: Shortage) -> int | None:
    """Return the prefix of a subnet that gives everybody one, while nobody has one yet: they are counted from the first on."""
    if short.facts.given and short.facts.given.places:
        return None
    prefix = short.group.users.subnet_prefix
    smaller = range(prefix + 1, SUBNET_SMALLEST + 1)
    return next((p for p in smaller if short.have * 2 ** (p - prefix) >= short.need), None)


def more_uids(short: Shortage) -> int | None:
    """Return the highest uid that would leave enough of them."""
    highest = short.group.users.uid_max + int(short.need - short.have)
    return highest if highest <= UID_HIGHEST else None


def more_subordinate(short: Shortage) -> int | None:
    """Return the highest subordinate id that would leave enough ranges."""
    users = short.group.users
    highest = users.subid_max + int(short.need - short.have) * users.subid_count
    return highest if highest <= SIGNED else None


def descriptors(short: Shortage) -> Remedy:
    """Open files of the guard, by its unit; or as many connections as fit."""
    wanted = int(short.most or short.need)
    text = f"Then `systemctl daemon-reload` and start hostadmin again; where a shell starts it: `ulimit -n {wanted}` before."
    return Remedy(text, UNIT_FILE, ("[Service]", f"LimitNOFILE={wanted}"))


def connections(short: Shortage) -> int:
    """Return how many connections would be enough."""
    return int(2 ** math.ceil(math.log2(short.need)))


def descriptors_for(count: float) -> float:
    """Return how many open files a guard with so many connections has."""
    return count * DESCRIPTORS_PER_CONNECTION + DESCRIPTORS_OF_OUR_OWN


def advice(text: str) -> Mend:
    """Return the remedy that no file settles."""
    return lambda short: Remedy(text.format(fit=people_that_fit(short)))
