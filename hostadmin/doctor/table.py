"""What a class of so many people takes of a host: one table of everything that there can be too little of.

``NEED`` is what one person takes on a class day as it is really typed (three networks of their own, a handful of small
containers, a compose project with a database); the most is what the profile lets everybody take. Less than the
need fails, less than the most is a warning.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from hostadmin.doctor import pools, remedies
from hostadmin.doctor.facts import Facts, Group

NEED: Final = {  # of one person on a class day
    "networks": 3,
    "ports": 5,
    "tasks": 64,
    "memory_bytes": 256 << 20,
    "cpus": 0.1,
    "disk_bytes": 2_000_000_000,
    "inodes": 20_000,
    "watchers": 4,
    "watches": 1000,
    "files": 2000,
    "connections": 10,
    "neighbours": 10,  # five containers that talk to their gateway and it to them
    "flows": 500,
    "terminals": 2,
    "bridged": 4,  # containers on the default bridge
}
BRIDGE_PORTS: Final = 1023  # linux net/bridge/br_private.h: BR_MAX_PORTS, less the one that is not given
PID_MOST: Final = 4_194_304  # linux include/linux/threads.h: PID_MAX_LIMIT
THREADS_MOST: Final = 0x3FFF_FFFF  # FUTEX_TID_MASK


@dataclass(frozen=True, slots=True)
class Row:
    """One thing: what a class needs and may take, what there is, and what to do.

    Args:
        subject: the thing.
        unit: of the numbers.
        need: of a class day.
        most: that the profile allows; ``None``: it says nothing of it.
        have: what is left; ``None``: it cannot be told.
        mend: what to do.
        soft: whether the class works without it, if less well.

    """

    subject: str
    unit: str
    need: Callable[[Group], float]
    most: Callable[[Group], float | None] | None
    have: Callable[[Facts, Group], float | None]
    mend: remedies.Mend
    soft: bool = False


def _each(what: str) -> Callable[[Group], float]:
    return lambda group: group.people * NEED[what]


def _running(group: Group) -> float | None:
    """Return how many containers the profile lets everybody run; ``None`` where it sets no limit."""
    return group.people * group.profile.running or None


def _neighbours(group: Group) -> float | None:
    running = _running(group)
    return running and 2 * running


def _kernel(name: str, used: str = "") -> Callable[[Facts, Group], float | None]:
    """Return how much of a kernel parameter is left, ``used`` being the parameter that counts what is in use."""

    def have(facts: Facts, _: Group) -> float | None:
        limit = facts.sysctls.get(name)
        return None if limit is None else limit - (facts.sysctls.get(used) or 0)

    return have


def _tasks_left(name: str) -> Callable[[Facts, Group], float | None]:
    def have(facts: Facts, _: Group) -> float | None:
        limit = facts.sysctls.get(name)
        return None if limit is None or facts.tasks is None else limit - facts.tasks

    return have


def _networks_left(facts: Facts, _: Group) -> float | None:
    if facts.engine is None:
        return None
    return pools.room(facts.engine.pools, (*facts.engine.subnets, *facts.routes))


def _ports_left(facts: Facts, group: Group) -> float:
    low, high = group.profile.ports
    return high - low + 1 - sum(low <= port <= high for port in facts.ports)


def _blocks_left(facts: Facts, group: Group) -> float | None:
    users = group.users
    if facts.given is None or not users.port_block:
        return None if facts.given is None else 0
    return remedies.block_ports_left(users, facts.given) // users.port_block


def _subnets_left(facts: Facts, group: Group) -> float | None:
    users = group.users
    if facts.given is None:
        return None
    return 2 ** (users.subnet_prefix - ip_network(users.subnets).prefixlen) - facts.given.places if users.subnets else 0


def _uids_left(facts: Facts, group: Group) -> float | None:
    users = group.users
    if facts.given is None:
        return None
    taken = facts.numbers | facts.given.uids
    return users.uid_max - users.uid_min + 1 - sum(users.uid_min <= n <= users.uid_max for n in taken)


def _subordinate_left(facts: Facts, group: Group) -> float | None:
    users = group.users
    if facts.given is None:
        return None
    return (users.subid_max - users.subid_min + 1) // users.subid_count - facts.given.places


def _disk_left(facts: Facts, _: Group) -> float | None:
    return facts.disk.free_bytes if facts.disk else None


def _inodes_left(facts: Facts, _: Group) -> float | None:
    if facts.disk is None:
        return None
    return math.inf if facts.disk.free_inodes is None else facts.disk.free_inodes


def _bridge_room(facts: Facts, _: Group) -> float | None:
    if facts.engine is None or facts.engine.bridge is None:
        return None
    return min(BRIDGE_PORTS, ip_network(facts.engine.bridge, strict=False).num_addresses - 3)


ROWS: Final = (
    Row("address pools", "networks", _each("networks"), lambda g: g.all_of(g.profile.networks), _networks_left, remedies.pools),
    Row(
        "default bridge",
        "containers",
        _each("bridged"),
        None,
        _bridge_room,
        remedies.advice("Let everybody run their containers in a network of their own: one bridge takes no more."),
        soft=True,
    ),
    Row(
        "host ports",
        "ports",
        lambda g: g.people * (g.profile.port_block or NEED["ports"]),
        lambda g: g.all_of(g.profile.published_ports),
        _ports_left,
        remedies.ports,
    ),
    Row(
        "port blocks",
        "blocks",
        lambda g: g.people if g.users.port_block and not g.profile.port_block else 0,  # else they come from the profile's ports
        None,
        _blocks_left,
        remedies.in_settings("users", "port_block", remedies.smaller_blocks, "Give [users] port_min and port_max a wider range."),
        soft=True,
    ),
    Row(
        "subnet blocks",
        "subnets",
        lambda g: g.people if g.users.subnets else 0,
        None,
        _subnets_left,
        remedies.in_settings("users", "subnet_prefix", remedies.smaller_subnets, remedies.SUBNETS_KEPT),
        soft=True,
    ),
    Row(
        "uids",
        "uids",
        lambda g: g.people,
        None,
        _uids_left,
        remedies.in_settings("users", "uid_max", remedies.more_uids, "Lower [users] uid_min: above uid_max systemd's numbers begin."),
    ),
    Row(
        "subordinate ids",
        "ranges",
        lambda g: g.people if g.users.subordinate_ids else 0,
        None,
        _subordinate_left,
        remedies.in_settings("users", "subid_max", remedies.more_subordinate, "Give [users] subid_min and subid_max a wider range."),
        soft=True,
    ),
    Row(
        "memory",
        "bytes",
        _each("memory_bytes"),
        lambda g: g.all_of(g.profile.memory_total_bytes),
        lambda f, _: f.memory_bytes,
        remedies.in_profile("memory_total_bytes", remedies.share, lowest=16 << 20),
    ),
    Row(
        "cpus",
        "cpus",
        _each("cpus"),
        None,
        lambda f, _: f.cpus,
        remedies.advice("It will be slow: {fit} people would get a tenth of a CPU each."),
        soft=True,
    ),
    Row(
        "disk",
        "bytes",
        _each("disk_bytes"),
        lambda g: g.all_of(g.profile.image_bytes),
        _disk_left,
        remedies.in_profile("image_bytes", remedies.share),
    ),
    Row(
        "inodes",
        "inodes",
        _each("inodes"),
        None,
        _inodes_left,
        remedies.advice("Room for {fit} people: give the engine a larger disk, or one made with more inodes (mke2fs -N)."),
    ),
    Row(
        "process ids",
        "tasks",
        _each("tasks"),
        lambda g: g.all_of(g.profile.pids_total),
        _tasks_left("kernel.pid_max"),
        remedies.kernel("kernel.pid_max", cap=PID_MOST, key="pids_total"),
    ),
    Row(
        "threads",
        "tasks",
        _each("tasks"),
        lambda g: g.all_of(g.profile.pids_total),
        _tasks_left("kernel.threads-max"),
        remedies.kernel("kernel.threads-max", cap=THREADS_MOST, key="pids_total"),
    ),
    Row(  # root in all containers is one uid to the kernel, so that they share its limit
        "inotify instances",
        "",
        _each("watchers"),
        _running,
        _kernel("fs.inotify.max_user_instances"),
        remedies.kernel("fs.inotify.max_user_instances"),
    ),
    Row(
        "inotify watches",
        "",
        _each("watches"),
        None,
        _kernel("fs.inotify.max_user_watches"),
        remedies.kernel("fs.inotify.max_user_watches"),
    ),
    Row(
        "open files",
        "files",
        _each("files"),
        None,
        _kernel("fs.file-max", "fs.file-nr"),
        remedies.kernel("fs.file-max", cap=2**63 - 1),
    ),
    Row(
        "guard's files",
        "files",
        lambda g: remedies.descriptors_for(g.people * NEED["connections"]),
        lambda g: remedies.descriptors_for(g.connections),
        lambda f, _: f.descriptors,
        remedies.descriptors,
    ),
    Row(
        "connections",
        "",
        _each("connections"),
        None,
        lambda _, g: g.connections,
        remedies.in_settings("guard", "connections", remedies.connections, ""),
    ),
    Row(
        "neighbours",
        "",
        _each("neighbours"),
        _neighbours,
        _kernel("net.ipv4.neigh.default.gc_thresh3"),
        remedies.neighbours,
    ),
    Row(
        "conntrack",
        "flows",
        _each("flows"),
        None,
        _kernel("net.netfilter.nf_conntrack_max", "net.netfilter.nf_conntrack_count"),
        remedies.kernel("net.netfilter.nf_conntrack_max"),
    ),
    Row(
        "terminals",
        "",
        _each("terminals"),
        _running,
        _kernel("kernel.pty.max", "kernel.pty.nr"),
        remedies.kernel("kernel.pty.max"),
    ),
)
SYSCTLS: Final = (
    "kernel.pid_max",
    "kernel.threads-max",
    "fs.inotify.max_user_instances",
    "fs.inotify.max_user_watches",
    "fs.file-max",
    "fs.file-nr",
    "net.ipv4.neigh.default.gc_thresh3",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_count",
    "kernel.pty.max",
    "kernel.pty.nr",
)
