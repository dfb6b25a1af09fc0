"""Is everything as it should be? Each finding says what to do. Looks, never mends."""

import contextlib
import fcntl
import grp
import http.client
import json
import os
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from hostadmin.core.clock import now
from hostadmin.core.errors import HostadminError
from hostadmin.doctor.finding import Finding
from hostadmin.doctor.pools import pools_of
from hostadmin.engine.client import Engine
from hostadmin.host import engine_socket
from hostadmin.settings import Settings
from hostadmin.store import health
from hostadmin.upkeep.clockwatch import SETTLE_SECONDS

API_LOWEST: Final = (1, 41)
DISK_WARN: Final = 0.10
DISK_FAIL_BYTES: Final = 64 << 20
POOLS_WARN: Final = 0.8


def examine(settings: Settings) -> list[Finding]:
    """Look at everything; works with the processes down too.

    A service that runs says itself which sockets and database it uses: `make run` chooses them.
    """
    settings = as_it_runs(settings)
    checks = (_engine, _engine_socket, _pools, _guard, _mode, _service, _processes, _group, _users, _clock, _database, _disk, _cgroups)
    found = []
    for check in checks:
        try:
            found.append(check(settings))
        except PermissionError:
            found.append(Finding("warn", check.__name__.strip("_"), "cannot be looked at: run doctor as root"))
    return found


def as_it_runs(settings: Settings) -> Settings:
    """Return the settings with what the running service really uses."""
    told = _ask(settings.api.socket, "/readyz")[1].get("uses") or {}
    return replace(
        settings,
        engine=replace(settings.engine, socket=told.get("engine", settings.engine.socket)),
        guard=replace(settings.guard, socket=told.get("guard", settings.guard.socket), mode=told.get("mode", settings.guard.mode)),
        store=replace(settings.store, url=told.get("store", settings.store.url)),
    )


def _engine(settings: Settings) -> Finding:
    _may_connect(settings.engine.socket)
    try:
        version = Engine(settings.engine.socket).version()
    except HostadminError:
        return Finding("fail", "engine", f"nobody answers on {settings.engine.socket}: start the engine, or correct [engine] socket")
    api = tuple(int(n) for n in version["ApiVersion"].split("."))
    if api < API_LOWEST:
        return Finding("fail", "engine", f"API {version['ApiVersion']} is older than 1.41: install Docker 20.10 or newer")
    return Finding("ok", "engine", f"Docker {version['Version']}, API {version['ApiVersion']}")


def _may_connect(path: str) -> None:
    """Check that the caller may connect to a socket.

    Raises:
        PermissionError: it is somebody else's.

    """
    if Path(path).exists() and not os.access(path, os.W_OK):
        raise PermissionError(path)


def _engine_socket(settings: Settings) -> Finding:
    state = engine_socket.look(settings.engine.socket)
    if state is None:
        return Finding("warn", "engine socket", f"{settings.engine.socket} is not there")
    if state.uid == 0 and not state.mode & 0o077:
        return Finding("ok", "engine socket", "only root can reach it")
    level = "warn" if not settings.engine.close_socket else "fail"
    return Finding(
        level, "engine socket", f"{settings.engine.socket} has mode {state.mode:04o}: people can go past the guard; run `hostadmin serve`"
    )


def _pools(settings: Settings) -> Finding:
    """How many networks the engine's address pools still have room for; each bridge takes one range."""
    _may_connect(settings.engine.socket)
    engine = Engine(settings.engine.socket)
    try:
        pools = pools_of(engine.info())
        used = sum(n["Driver"] == "bridge" for n in engine.list_networks())
    except HostadminError:
        return Finding("warn", "address pools", "cannot be told: the engine does not answer")
    room = sum(pool.slices for pool in pools)
    text = f"{used} bridge networks, room for about {room}"
    if used >= room * POOLS_WARN:
        return Finding("warn", "address pools", f"{text}: remove unused networks, or give the engine more default-address-pools")
    return Finding("ok", "address pools", text)


def _ask(path: str, target: str) -> tuple[int | None, dict[str, Any]]:
    """Return status and JSON of a GET on a Unix socket; ``None`` if nobody answers."""
    connection = http.client.HTTPConnection("localhost", timeout=5)
    with contextlib.suppress(OSError, http.client.HTTPException):
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(5)
        connection.sock.connect(path)
        connection.request("GET", target)
        answer = connection.getresponse()
        data = answer.read()
        with contextlib.suppress(ValueError):
            value = json.loads(data)
            return answer.status, value if isinstance(value, dict) else {}
        return answer.status, {}
    return None, {}


def _guard(settings: Settings) -> Finding:
    status, _ = _ask(settings.guard.socket, "/_ping")
    if status is None:
        return Finding("fail", "guard", f"nobody answers on {settings.guard.socket}: run `hostadmin serve`")
    if status == 503:
        return Finding("warn", "guard", "answers, but the engine does not")
    return Finding("ok", "guard", f"answers on {settings.guard.socket}")


def _mode(settings: Settings) -> Finding:
    if settings.guard.observing:
        text = (
            "observe: nothing is refused, only recorded (`hostadmin audit list --decision would-refuse`); "
            'set [guard] mode = "enforce" and start hostadmin again to protect this host'
        )
        return Finding("warn", "guard mode", text)
    return Finding("ok", "guard mode", "enforce")


def _service(settings: Settings) -> Finding:
    status, _ = _ask(settings.api.socket, "/readyz")
    if status is None:
        return Finding("fail", "service", f"nobody answers on {settings.api.socket}: run `hostadmin serve`")
    return Finding(
        "ok" if status == 200 else "warn", "service", "ready" if status == 200 else "runs, but is not ready: see engine and database"
    )


def _processes(settings: Settings) -> Finding:
    database = health.path_of(settings.store.url)
    missing = []
    for role in ("guard", "service"):
        with contextlib.suppress(FileNotFoundError):
            fd = os.open(f"{database}.{role}.lock", os.O_RDONLY)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            finally:
                os.close(fd)
        missing.append(role)
    if missing:
        return Finding("fail", "processes", f"not running: {', '.join(missing)}; run `hostadmin serve`")
    return Finding("ok", "processes", "guard and service run")


def _group(settings: Settings) -> Finding:
    try:
        entry = grp.getgrnam(settings.guard.group)
    except KeyError:
        return Finding("warn", "group", f"group {settings.guard.group!r} is missing; `hostadmin access grant` makes it")
    return Finding("ok", "group", f"{settings.guard.group}: {len(entry.gr_mem)} members")


def _users(settings: Settings) -> Finding:
    """Whether the host's accounts are as the ledger says; the service knows."""
    status, answer = _ask(settings.api.socket, "/api/v1/users")
    if status == 403:
        raise PermissionError(settings.api.socket)
    if status != 200:
        return Finding("warn", "users", "cannot be told: the service does not answer")
    drifted = [u["login"] for u in answer["items"] if u["drift"]]
    if drifted:
        return Finding("warn", "users", f"differ from the host: {', '.join(drifted)}; `hostadmin user show LOGIN` says how")
    return Finding("ok", "users", f"{len(answer['items'])} accounts, as the host has them")


def _clock(settings: Settings) -> Finding:
    """Whether the service believes the host's clock."""
    status, answer = _ask(settings.api.socket, "/api/v1/jobs")
    if status != 200:
        return Finding("warn", "clock", "cannot be told: the service does not answer")
    now_is = f"{now():%Y-%m-%d %H:%M} UTC"
    held = [job["name"] for job in answer["items"] if job["held"]]
    if held:
        wait = f"{', '.join(held)} wait until it has run for {SETTLE_SECONDS / 60:.0f} minutes"
        text = f"it was set, or the host was off: {wait}; correct it if this is not {now_is}"
        return Finding("warn", "clock", text)
    return Finding("ok", "clock", now_is)


def _database(settings: Settings) -> Finding:
    path = health.path_of(settings.store.url)
    if not Path(path).exists():
        return Finding("fail", "database", f"{path} is not there: run `hostadmin serve`")
    damage = health.find_damage(settings.store.url)
    if damage is not None:
        return Finding("fail", "database", f"{path} is damaged ({damage}): stop hostadmin and restore a backup")
    if not os.access(path, os.W_OK) or not os.access(Path(path).parent, os.W_OK):
        return Finding("fail", "database", f"{path} cannot be written: changes will be refused; is its file system mounted read-only?")
    return Finding("ok", "database", f"{path}, {health.version()}")


def _disk(settings: Settings) -> Finding:
    folder = Path(health.path_of(settings.store.url)).parent
    if not folder.exists():
        return Finding("warn", "disk", f"{folder} is not there yet")
    usage = shutil.disk_usage(folder)
    text = f"{usage.free >> 20} MiB free for the database"
    if usage.free < DISK_FAIL_BYTES:
        return Finding("fail", "disk", f"{text}: changes will be refused; free some space")
    return Finding("warn" if usage.free < usage.total * DISK_WARN else "ok", "disk", text)


def _cgroups(_settings: Settings) -> Finding:
    version = 2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1
    return Finding("ok", "cgroups", f"version {version}")
