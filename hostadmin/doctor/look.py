"""Reads what a forecast is made from, off the host and its engine."""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Final

from hostadmin.core.errors import HostadminError
from hostadmin.doctor.capacity import judge
from hostadmin.doctor.checks import as_it_runs
from hostadmin.doctor.facts import CONFIG_FILE, EngineFacts, Facts, Group
from hostadmin.doctor.finding import Forecast
from hostadmin.doctor.pools import pools_of
from hostadmin.doctor.remedies import DAEMON_FILE
from hostadmin.doctor.table import SYSCTLS
from hostadmin.engine.client import Engine
from hostadmin.host import kernel
from hostadmin.host.routes import host_subnets
from hostadmin.opening import load_profiles
from hostadmin.settings import Settings
from hostadmin.store import health

ENGINE_ROOT: Final = "/var/lib/docker"


def forecast(settings: Settings, people: int) -> list[Forecast]:
    """Say what this host would run out of with so many people under the default profile.

    Raises:
        Invalid: the profiles cannot be read.

    """
    settings = as_it_runs(settings)
    profile = load_profiles(settings.policy).get(None)
    group = Group(
        people,
        profile,
        settings.users,
        settings.guard.connections,
        profiles_file=settings.policy.profiles,
        config_file=settings.source or CONFIG_FILE,
        profiles_shipped=not Path(settings.policy.profiles).exists(),
    )
    return judge(look(settings), group)


def look(settings: Settings) -> Facts:
    """Return what the host has now; what cannot be looked at is left out."""
    engine, root = _engine(settings.engine.socket)
    database = health.path_of(settings.store.url)
    read = {name: kernel.sysctl(name) for name in SYSCTLS}
    reserved = [settings.users.subnets] if settings.users.subnets else []
    return Facts(
        sysctls={name: value for name, value in read.items() if value is not None},
        tasks=kernel.tasks(),
        memory_bytes=kernel.memory_bytes(),
        cpus=os.cpu_count(),
        disk=kernel.disk(root),
        routes=tuple(host_subnets()),
        avoided=(*_networks(reserved), *(IPv4Network(address) for address in kernel.resolvers())),
        ports=frozenset(kernel.bound_ports()),
        numbers=frozenset(kernel.numbers_taken()),
        given=health.given(settings.store.url),
        descriptors=kernel.descriptors_of(kernel.lock_holder(f"{database}.guard.lock") or "self"),
        engine=engine,
    )


def _engine(socket: str) -> tuple[EngineFacts | None, str]:
    """Return what the engine says, and where its data lies; without an answer nothing, and where it mostly does."""
    engine = Engine(socket)
    try:
        info, networks = engine.info(), engine.list_networks()
    except HostadminError:
        return None, ENGINE_ROOT
    return engine_facts(info, networks, logs_bounded=_logs_bounded(Path(DAEMON_FILE))), info.get("DockerRootDir") or ENGINE_ROOT


def engine_facts(info: dict[str, Any], networks: list[dict[str, Any]], *, logs_bounded: bool) -> EngineFacts:
    """Return an engine's answers (``GET /info``, ``GET /networks``) as facts."""
    configs = {n["Name"]: (n.get("IPAM") or {}).get("Config") or [] for n in networks}
    return EngineFacts(
        pools=pools_of(info),
        subnets=tuple(_networks(c.get("Subnet", "") for config in configs.values() for c in config)),
        bridge=_bridge(configs.get("bridge", [])),
        log_driver=info.get("LoggingDriver", ""),
        logs_bounded=logs_bounded,
        live_restore=bool(info.get("LiveRestoreEnabled")),
        swarm=(info.get("Swarm") or {}).get("LocalNodeState") == "active",
        cgroup_driver=info.get("CgroupDriver", ""),
        cgroup_version=info.get("CgroupVersion", "1"),
    )


def _bridge(configs: list[dict[str, str]]) -> str | None:
    """Return the default bridge's own address with its prefix, as ``bip`` takes it."""
    for config in configs:
        if ":" not in config.get("Subnet", ":"):
            subnet = IPv4Network(config["Subnet"], strict=False)
            return f"{config.get('Gateway') or subnet[1]}/{subnet.prefixlen}"
    return None


def _networks(texts: Iterable[str]) -> list[IPv4Network]:
    """Return the IPv4 networks of a list of subnets."""
    return [IPv4Network(text, strict=False) for text in texts if text and ":" not in text]


def _logs_bounded(file: Path) -> bool:
    """Tell whether the engine's file bounds the log of a container for which nothing else is said."""
    with suppress(OSError, ValueError, AttributeError):
        return "max-size" in (json.loads(file.read_text()).get("log-opts") or {})
    return False
