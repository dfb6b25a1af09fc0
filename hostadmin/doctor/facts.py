"""What a forecast is made from: the class that is to come, and the numbers of the host and its engine. Plain data."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Final

from hostadmin.doctor.pools import Pool
from hostadmin.host.kernel import Disk
from hostadmin.policy.profiles import Profile
from hostadmin.settings import UsersSettings
from hostadmin.store.health import Given

PROFILE_FILE: Final = "/etc/hostadmin/profiles.toml"
CONFIG_FILE: Final = "/etc/hostadmin/hostadmin.toml"


@dataclass(frozen=True, slots=True)
class Group:
    """A class: how many people, under which profile and settings; and the files where these are set.

    ``profiles_shipped``: the file of profiles is not there, so that those of the distribution hold.
    """

    people: int
    profile: Profile
    users: UsersSettings
    connections: int
    profiles_file: str = PROFILE_FILE
    config_file: str = CONFIG_FILE
    profiles_shipped: bool = False

    def all_of(self, limit: float) -> float:
        """Return what everybody together may take of something with a limit each (0: none)."""
        return self.people * limit if limit else math.inf


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What the engine says: ``subnets`` are those of its networks, ``bridge`` the default bridge's address with its prefix."""

    pools: tuple[Pool, ...]
    subnets: tuple[IPv4Network, ...]
    bridge: str | None
    log_driver: str
    logs_bounded: bool
    live_restore: bool
    swarm: bool
    cgroup_driver: str
    cgroup_version: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the host has; ``None`` where it cannot be told.

    Args:
        sysctls: kernel parameters by name, those that count what is in use too.
        tasks: processes and threads that there are.
        memory_bytes: of the host.
        cpus: of the host.
        disk: where the engine keeps images, containers and volumes.
        routes: subnets that the host reaches past the engine's networks.
        avoided: what new pools must not overlap besides: name servers, and the subnets that hostadmin gives out.
        ports: host ports that are taken.
        numbers: uids and gids of the host's accounts and groups.
        given: what hostadmin has given out.
        descriptors: the guard's limit of open files.
        engine: ``None`` while it does not answer.

    """

    sysctls: Mapping[str, int] = field(default_factory=dict)
    tasks: int | None = None
    memory_bytes: int | None = None
    cpus: int | None = None
    disk: Disk | None = None
    routes: tuple[IPv4Network, ...] = ()
    avoided: tuple[IPv4Network, ...] = ()
    ports: frozenset[int] = frozenset()
    numbers: frozenset[int] = frozenset()
    given: Given | None = None
    descriptors: int | None = None
    engine: EngineFacts | None = None


@dataclass(frozen=True, slots=True)
class Shortage:
    """A class, a host, and what they come to for one thing: the input of a remedy (``finding.Forecast`` says of what)."""

    group: Group
    facts: Facts
    need: float
    most: float | None
    have: float

    @property
    def wanted(self) -> float:
        """What would be enough: the most that the profile allows; where it sets no limit, twice a class day."""
        return 2 * self.need if self.most is None or math.isinf(self.most) else max(self.most, self.need)
