"""Profiles: numbers and lists in a file, rules in code. Unknown keys are refused, all problems at once."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from hostadmin.core.errors import Invalid, NotFound
from hostadmin.core.names import RESTART_POLICIES
from hostadmin.policy.registries import find_entry_violation


@dataclass(frozen=True, slots=True)
class Profile:
    """What somebody may ask of the engine.

    ``memory_bytes``, ``cpus``, ``restart_max_retries`` and ``stopped_hours``: 0 = no limit (never).
    ``pids``: processes per container, applied where a request says nothing.
    """

    name: str
    description: str
    restart_policies: tuple[str, ...]
    restart_default: str
    restart_max_retries: int
    capabilities: frozenset[str]
    registries: frozenset[str]
    ports: tuple[int, int]
    memory_bytes: int
    cpus: float
    pids: int
    stopped_hours: int

    def as_dict(self) -> dict[str, Any]:
        """Return the profile for JSON."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        return values | {"capabilities": sorted(self.capabilities), "registries": sorted(self.registries)}


@dataclass(frozen=True, slots=True)
class Profiles:
    """All profiles of a file and the name of the default one."""

    by_name: dict[str, Profile]
    default: str

    def get(self, name: str | None) -> Profile:
        """Return the profile of that name (``None``: the default).

        Raises:
            NotFound: with the names that there are.

        """
        found = self.by_name.get(name or self.default)
        if found is None:
            known = ", ".join(sorted(self.by_name))
            raise NotFound(f"There is no profile {name!r}; known profiles: {known}.", key="profile-not-found")
        return found

    def get_or_default(self, name: str) -> Profile:
        """Return the profile of that name, or the default one if it has been taken out of the file."""
        return self.by_name.get(name) or self.by_name[self.default]


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
    return Profiles({name: p for name, p in profiles.items() if p is not None}, default)


def _profile(name: str, body: Any, problems: list[str]) -> Profile | None:
    if not isinstance(body, dict):
        problems.append(f"unknown key {name!r} outside a profile")
        return None
    known = {f.name for f in fields(Profile)} - {"name"}
    wrong = [f"[{name}] unknown key {key!r}" for key in body if key not in known]
    wrong += [f"[{name}] lacks {key!r}" for key in sorted(known - set(body))]
    if not wrong:
        wrong = [f"[{name}] {text}" for text in _violations(body)]
    problems.extend(wrong)
    if wrong:
        return None
    return Profile(
        name=name,
        description=body["description"],
        restart_policies=tuple(body["restart_policies"]),
        restart_default=body["restart_default"],
        restart_max_retries=body["restart_max_retries"],
        capabilities=frozenset(body["capabilities"]),
        registries=frozenset(body["registries"]),
        ports=(body["ports"][0], body["ports"][1]),
        memory_bytes=body["memory_bytes"],
        cpus=float(body["cpus"]),
        pids=body["pids"],
        stopped_hours=body["stopped_hours"],
    )


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
    for key in ("restart_max_retries", "memory_bytes", "pids", "stopped_hours"):
        if type(body[key]) is not int or body[key] < 0:
            found.append(f"{key} must be a number, 0 or more")
    if type(body["cpus"]) not in (int, float) or body["cpus"] < 0:
        found.append("cpus must be a number, 0 or more")
    if not isinstance(body["description"], str):
        found.append("description must be text")
    return found


def _is_port_range(ports: Any) -> bool:
    pair = 2
    return (
        isinstance(ports, list) and len(ports) == pair and all(type(p) is int for p in ports) and 1 <= ports[0] <= ports[1] <= 65535  # TCP
    )
