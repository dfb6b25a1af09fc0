"""The configuration: one TOML file, every key also as ``HOSTADMIN_<SECTION>__<KEY>``.

The dataclasses below are the table of all keys, their types and defaults; ``config/hostadmin.toml``
says the same for people and is tested against it. An unknown key is an error.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from hostadmin.core.errors import Invalid

DEFAULT_FILE: Final = Path("/etc/hostadmin/hostadmin.toml")


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """``[engine]``: the real engine. ``close_socket``: only root may reach it while hostadmin runs."""

    socket: str = "/run/docker.sock"
    close_socket: bool = True


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """``[guard]``: what people reach; members of ``group`` may use it, each only so much of it (``guard.limits``).

    ``cgroup_parent``: below it everybody has a control group of their own; empty: the kernel keeps no sums.
    ``mode``: refuse what policy forbids, or only record it.
    """

    socket: str = "/run/hostadmin/docker.sock"
    group: str = "docker"
    cgroup_parent: str = "hostadmin"
    connections_per_user: int = 1024
    connections: int = 16384
    requests_per_user: int = 64
    mode: Literal["enforce", "observe"] = "enforce"

    @property
    def observing(self) -> bool:
        """Whether nothing is refused that policy forbids, only recorded."""
        return self.mode == "observe"


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """``[api]``: the Unix socket of the API. ``listen``: a TCP address; not served yet, the start says so."""

    socket: str = "/run/hostadmin/api.sock"
    listen: str = ""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """``[store]``: the database."""

    url: str = "sqlite:////var/lib/hostadmin/hostadmin.db"


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """``[policy]``: the file of profiles, and the profile of whoever has none."""

    profiles: str = "/etc/hostadmin/profiles.toml"
    default: str = "student"


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """``[audit]``: where the trail's own files lie."""

    directory: str = "/var/lib/hostadmin/audit"


@dataclass(frozen=True, slots=True)
class UsersSettings:
    """``[users]``: where homes are made, the login shell, and the numbers that are given out, once and for all.

    ``port_block`` host ports out of ``port_min`` to ``port_max``, and a subnet of ``subnet_prefix`` bits out of
    ``subnets``, are each account's alone. ``subordinate_ids``: whether accounts get their range of them in subuid(5).
    ``drift``: what becomes of a membership that was changed by hand. ``secrets``: where passwords wait until they are
    printed, in memory (else in ``/dev/shm``, else in the process). Homes of removed accounts are kept as ``archives`` for
    ``archive_days``; ``notice_days`` before their last day people are told at login, by ``login_script`` (empty: not at all) out of
    ``notices``; it also sets ``DOCKER_HOST`` in login shells where the guard's socket is not the usual one. What `cohort reset`
    takes away can come back for ``reset_hours``; 0: it is gone for good at once.
    """

    home_root: str = "/home"
    shell: str = "/bin/bash"
    uid_min: int = 1000
    uid_max: int = 59999
    port_min: int = 20000
    port_max: int = 32767
    port_block: int = 20
    subnets: str = "10.200.0.0/13"
    subnet_prefix: int = 24
    subordinate_ids: bool = False
    subid_min: int = 1879048192
    subid_max: int = 2147352575
    subid_count: int = 65536
    drift: Literal["adopt", "restore", "report"] = "adopt"
    secrets: str = "/run/hostadmin/secrets"
    archives: str = "/var/lib/hostadmin/homes"
    archive_days: int = 30
    notice_days: int = 7
    notices: str = "/run/hostadmin/notices"
    login_script: str = "/etc/profile.d/hostadmin.sh"
    reset_hours: int = 24


@dataclass(frozen=True, slots=True)
class UpkeepSettings:
    """``[upkeep]``: periods in seconds; ``cleanup`` is a cron line in UTC, empty for never."""

    resync_seconds: int = 180
    restarts_seconds: int = 20
    cleanup: str = "15 3 * * *"


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration; ``source`` names the file it came from, if any."""

    engine: EngineSettings = field(default_factory=EngineSettings)
    guard: GuardSettings = field(default_factory=GuardSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    policy: PolicySettings = field(default_factory=PolicySettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    users: UsersSettings = field(default_factory=UsersSettings)
    upkeep: UpkeepSettings = field(default_factory=UpkeepSettings)
    source: str | None = None


SECTIONS: Final = {f.name: f.default_factory for f in fields(Settings) if f.name != "source"}
ENV_PREFIX: Final = "HOSTADMIN_"
ENV_OTHER: Final = frozenset({"HOSTADMIN_CONFIG", "HOSTADMIN_API_SOCKET"})


def load(path: str | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the configuration.

    Args:
        path: ``--config FILE``; else ``HOSTADMIN_CONFIG``; else ``/etc/hostadmin/hostadmin.toml`` if it exists.
        environ: the environment, for the overriding variables.

    Raises:
        Invalid: a file that cannot be read, an unknown key, or a value of the wrong type; all at once.

    """
    chosen = path or environ.get("HOSTADMIN_CONFIG")
    file = Path(chosen) if chosen else DEFAULT_FILE
    tree = _read(file) if chosen or file.exists() else {}
    problems: list[str] = []
    for name, text in environ.items():
        if name.startswith(ENV_PREFIX) and "__" in name:
            section, _, key = name.removeprefix(ENV_PREFIX).lower().partition("__")
            tree.setdefault(section, {})[key] = _Text(text)
    sections = {}
    for name, values in tree.items():
        if name not in SECTIONS or not isinstance(values, dict):
            problems.append(f"unknown section [{name}]; known: {', '.join(SECTIONS)}")
            continue
        sections[name] = _section(name, values, problems)
    if problems:
        raise Invalid(f"Refused configuration {file}: {'; '.join(problems)}.", key="configuration")
    return Settings(**sections, source=str(file) if chosen or file.exists() else None)


class _Text(str):
    """A value out of the environment: text that may stand for a number or a boolean."""

    __slots__ = ()


def _read(file: Path) -> dict[str, dict[str, Any]]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Invalid(f"Cannot read the configuration {file}: {error}.", key="configuration") from error


def _section(name: str, values: dict[str, Any], problems: list[str]) -> Any:
    factory: Any = SECTIONS[name]
    types = get_type_hints(factory)
    good = {}
    for key, value in values.items():
        if key not in types:
            problems.append(f"unknown key {name}.{key}; known: {', '.join(types)}")
            continue
        converted = _convert(value, types[key])
        if converted is None:
            problems.append(f"{name}.{key} must be {_described(types[key])}")
        else:
            good[key] = converted
    return factory(**good)


def _described(kind: Any) -> str:
    return " or ".join(f'"{word}"' for word in get_args(kind)) if get_origin(kind) is Literal else kind.__name__


def _convert(value: Any, kind: Any) -> Any:
    """Return the value as ``kind``, or ``None`` if it is something else."""
    if get_origin(kind) is Literal:
        return str(value) if value in get_args(kind) else None
    if isinstance(value, _Text):
        if kind is bool:
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}.get(value.lower())
        if kind is int:
            return int(value) if value.lstrip("-").isdigit() else None
        return str(value)
    return value if type(value) is kind else None
