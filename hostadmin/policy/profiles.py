"""Profiles: numbers and lists in a file, rules in code. Unknown keys are refused, all problems at once."""

import logging
import time
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from hostadmin.core.errors import Invalid, NotFound
from hostadmin.core.names import RESTART_POLICIES
from hostadmin.policy.registries import find_entry_violation

NUMBERS: Final = (
    "restart_max_retries",
    "containers",
    "running",
    "networks",
    "volumes",
    "port_block",
    "published_ports",
    "memory_bytes",
    "pids",
    "memory_total_bytes",
    "pids_total",
    "image_bytes",
    "upload_bytes",
    "log_bytes",
    "stopped_hours",
)
FRACTIONS: Final = ("cpus", "cpus_total")
FLAGS: Final = ("host_gateway", "gpus")
KEEP: Final = "keep"
STOP: Final = "stop"
UNSAID: Final[dict[str, Any]] = {  # for files that were written before a key was there: what the shipped student has
    "registries": ["docker.io"],
    "host_gateway": True,
    "gpus": False,
    "containers": 50,
    "running": 25,
    "networks": 10,
    "volumes": 50,
    "port_block": 0,
    "published_ports": 50,
    "memory_total_bytes": 4 << 30,
    "cpus_total": 2.0,
    "pids_total": 2048,
    "image_bytes": 20_000_000_000,
    "upload_bytes": 4_000_000_000,
    "log_bytes": 50_000_000,
    "locked_containers": KEEP,
}
LOG: Final = logging.getLogger("hostadmin")
LOOK_SECONDS: Final = 1.0
LOG_SMALLEST: Final = 100_000  # bytes; below that a log loses what it is for
MEMORY_SMALLEST: Final = 16 << 20  # bytes; an engine starts no container below 6 MB


@dataclass(frozen=True, slots=True)
class Profile:
    """What somebody may ask of the engine, and how much of the host they may hold.

    Of every number 0 means no limit (``stopped_hours``: never; ``port_block``: no block). ``config/profiles.toml``
    says of each key what it does.
    """

    name: str
    description: str
    restart_policies: tuple[str, ...]
    restart_default: str
    restart_max_retries: int
    capabilities: frozenset[str]
    registries: frozenset[str]
    host_gateway: bool
    gpus: bool
    containers: int
    running: int
    networks: int
    volumes: int
    ports: tuple[int, int]
    port_block: int
    published_ports: int
    memory_bytes: int
    cpus: float
    pids: int
    memory_total_bytes: int
    cpus_total: float
    pids_total: int
    image_bytes: int
    upload_bytes: int
    log_bytes: int
    stopped_hours: int
    locked_containers: str

    def as_dict(self) -> dict[str, Any]:
        """Return the profile for JSON."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        return values | {"capabilities": sorted(self.capabilities), "registries": sorted(self.registries)}


class Profiles:
    """All profiles of a file and the name of the default one.

    The file is looked at again at most once a second; an unacceptable one leaves the old profiles in force.

    Args:
        by_name: the profiles.
        default: which one holds for whoever has none.
        file: where they were read; ``None``: they never change.

    """

    def __init__(self, by_name: dict[str, Profile], default: str, file: Path | None = None) -> None:
        self.default = default
        self._by_name = by_name
        self._file = file
        self._stamp = _stamp(file)
        self._looked = time.monotonic()

    @property
    def by_name(self) -> dict[str, Profile]:
        """The profiles in force."""
        if self._file is not None and time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            self._follow(self._file)
        return self._by_name

    def _follow(self, file: Path) -> None:
        stamp = _stamp(file)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._by_name = load(file, self.default)._by_name
        except Invalid as error:
            LOG.warning("profiles: %s The old ones stay in force.", error.message)
        else:
            LOG.info("profiles: %s was read anew", file)

    def get(self, name: str | None) -> Profile:
        """Return the profile of that name (``None``: the default).

        Raises:
            NotFound: with the names that there are.

        """
        profiles = self.by_name
        found = profiles.get(name or self.default)
        if found is None:
            known = ", ".join(sorted(profiles))
            raise NotFound(f"There is no profile {name!r}; known profiles: {known}.", key="profile-not-found")
        return found

    def get_or_default(self, name: str) -> Profile:
        """Return the profile of that name, or the default one if it has been taken out of the file."""
        profiles = self.by_name
        return profiles.get(name) or profiles[self.default]


def load(file: Path, default: str) -> Profiles:
    """Read a file of profiles.

    Raises:
        Invalid: with every problem of the file.

    """
    try:
        tree = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Invalid(f"Cannot read the profiles {file}: {error}.", key="profiles") from error
    problems: list[str] = []
    profiles = {name: _profile(name, body, problems) for name, body in tree.items()}
    if default not in profiles:
        problems.append(f"the default profile {default!r} is missing")
    if problems:
        raise Invalid(f"Refused profiles {file}: {'; '.join(problems)}.", key="profiles")
    return Profiles({name: p for name, p in profiles.items() if p is not None}, default, file)


def _stamp(file: Path | None) -> tuple[int, ...] | None:
    """Return what changes when a file does; ``None`` without one."""
    try:
        found = file.stat() if file else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ino, found.st_size) if found else None


def _profile(name: str, body: Any, problems: list[str]) -> Profile | None:
    if not isinstance(body, dict):
        problems.append(f"unknown key {name!r} outside a profile")
        return None
    body = {**UNSAID, **body}
    known = {f.name for f in fields(Profile)} - {"name"}
    wrong = [f"[{name}] unknown key {key!r}" for key in body if key not in known]
    wrong += [f"[{name}] lacks {key!r}" for key in sorted(known - set(body))]
    if not wrong:
        wrong = [f"[{name}] {text}" for text in _violations(body)]
    problems.extend(wrong)
    if wrong:
        return None
    lists = {
        "restart_policies": tuple(body["restart_policies"]),
        "capabilities": frozenset(body["capabilities"]),
        "registries": frozenset(body["registries"]),
        "ports": (body["ports"][0], body["ports"][1]),
    }
    return Profile(name=name, **{**body, **lists, **{key: float(body[key]) for key in FRACTIONS}})


def _violations(body: dict[str, Any]) -> list[str]:
    """Return what is wrong with the values of one profile whose keys are complete."""
    found = []
    policies = body["restart_policies"]
    if not isinstance(policies, list) or not policies or any(p not in RESTART_POLICIES for p in policies):
        found.append(f"restart_policies must be a list of {', '.join(RESTART_POLICIES)}")
    elif body["restart_default"] not in policies:
        found.append("restart_default must be one of restart_policies")
    capabilities = body["capabilities"]
    if not isinstance(capabilities, list) or any(not isinstance(c, str) or not c.isupper() for c in capabilities):
        found.append("capabilities must be a list of names such as NET_RAW")
    registries = body["registries"]
    if not isinstance(registries, list):
        found.append("registries must be a list of host names such as docker.io")
    else:
        found += [text for entry in registries if (text := find_entry_violation(entry))]
    ports = body["ports"]
    if not _is_port_range(ports):
        found.append("ports must be [lowest, highest] within 1..65535")
    elif type(body["port_block"]) is int and body["port_block"] > ports[1] - ports[0] + 1:
        found.append("port_block must fit into ports")
    found += [f"{key} must be a whole number, 0 or more" for key in NUMBERS if type(body[key]) is not int or body[key] < 0]
    found += [f"{key} must be a number, 0 or more" for key in FRACTIONS if type(body[key]) not in (int, float) or body[key] < 0]
    found += [f"{key} must be true or false" for key in FLAGS if type(body[key]) is not bool]
    if body["locked_containers"] not in (KEEP, STOP):
        found.append(f'locked_containers must be "{KEEP}" or "{STOP}"')
    if not isinstance(body["description"], str):
        found.append("description must be text")
    if type(body["log_bytes"]) is int and 0 < body["log_bytes"] < LOG_SMALLEST:
        found.append(f"log_bytes must be 0 or at least {LOG_SMALLEST}")
    if type(body["memory_total_bytes"]) is int and 0 < body["memory_total_bytes"] < MEMORY_SMALLEST:
        found.append(f"memory_total_bytes must be 0 or at least {MEMORY_SMALLEST}")
    return found


def _is_port_range(ports: Any) -> bool:
    pair = 2
    return (
        isinstance(ports, list) and len(ports) == pair and all(type(p) is int for p in ports) and 1 <= ports[0] <= ports[1] <= 65535  # TCP
    )
