"""The processes: guard, service, and both supervised in the foreground (`hostadmin serve`)."""

import contextlib
import ctypes
import fcntl
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hostadmin.core.errors import Failed, HostadminError
from hostadmin.settings import Settings

LOG = logging.getLogger("hostadmin")
EXIT_BUSY: Final = 75
PR_SET_PDEATHSIG: Final = 1
QUICK_DEATH_SECONDS: Final = 1.0
BACKOFF_SECONDS: Final = (0.1, 0.5, 1, 2, 5)
STOP_SECONDS: Final = 10
ROLES: Final = ("guard", "service")


class AlreadyRunning(Failed):
    """Another process of the same role runs on the same database."""

    key = "already-running"


def configure_logging() -> None:
    """One line per message on standard error."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    for noisy in ("apscheduler", "alembic", "uvicorn"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def take_role(settings: Settings, role: str) -> int:
    """Take the lock of a role; the descriptor holds it until the process ends.

    Raises:
        AlreadyRunning: somebody has it.

    """
    database = Path(settings.store.url.removeprefix("sqlite:///"))
    database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fd = os.open(f"{database}.{role}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(20):  # a killed predecessor's children may need a moment
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.1)
        else:
            return fd
    raise AlreadyRunning(f"A hostadmin {role} runs already on {database}; nothing was started.")


def run_guard(settings: Settings) -> None:
    """Run the guard alone until SIGTERM."""
    from hostadmin.app import load_profiles, open_database  # noqa: PLC0415  # the client path stays light
    from hostadmin.guard.server import serve as serve_guard  # noqa: PLC0415

    configure_logging()
    take_role(settings, "guard")
    database = open_database(settings)
    serve_guard(
        database,
        load_profiles(settings.policy),
        socket_path=settings.guard.socket,
        engine_socket=settings.engine.socket,
        group=settings.guard.group,
    )
    database.close()


def run_service(settings: Settings) -> None:
    """Run API, object tracking and upkeep until SIGTERM."""
    from hostadmin.api.server import serve as serve_api  # noqa: PLC0415
    from hostadmin.app import build  # noqa: PLC0415
    from hostadmin.audit.actions import Action  # noqa: PLC0415

    configure_logging()
    take_role(settings, "service")
    app = build(settings)
    app.closer.start()
    recovered = app.users.recover() + app.journal.close_left_open()
    if recovered:
        LOG.warning("service: closed %d records that an earlier run left open", recovered)
    app.watcher.start()
    app.scheduler.start()
    app.record(Action.SERVICE_START)
    try:
        serve_api(app, settings.api.socket)
    finally:
        app.record(Action.SERVICE_STOP)
        app.scheduler.stop()
        app.watcher.stop()
        app.closer.stop()
        app.database.close()


@dataclass(slots=True)
class Child:
    """One supervised process."""

    role: str
    process: "subprocess.Popen[bytes]"
    started: float
    quick_deaths: int = 0
    restart_at: float = field(default=0.0)


def serve(settings: Settings, config: str | None) -> int:
    """Run guard and service, each restarted when it dies; return an exit code.

    Args:
        settings: the configuration.
        config: the file it came from, handed on to the children.

    """
    from hostadmin.app import SocketCloser, load_profiles, open_database  # noqa: PLC0415
    from hostadmin.audit.journal import Journal  # noqa: PLC0415

    configure_logging()
    take_role(settings, "serve")
    load_profiles(settings.policy)  # a wrong file is told before anything starts
    database = open_database(settings)
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda n, _: stopping.append(n))
    children = [_start(role, config) for role in ROLES]
    _announce(settings)
    _supervise(children, stopping, config, settings)
    _stop(children)
    with contextlib.suppress(HostadminError):
        SocketCloser(settings, database, Journal(database, "service")).put_back()
    database.close()
    print("hostadmin has stopped", flush=True)  # noqa: T201
    return 0


def _start(role: str, config: str | None) -> Child:
    argv = [sys.executable, "-m", "hostadmin", role, *(["--config", config] if config else [])]
    argv[0:3] = [str(Path(sys.executable).with_name("hostadmin"))] if Path(sys.executable).with_name("hostadmin").exists() else argv[0:3]
    process = subprocess.Popen(argv, preexec_fn=_die_with_parent, start_new_session=True)  # noqa: PLW1509  # before any thread
    return Child(role, process, time.monotonic())


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _supervise(children: list[Child], stopping: list[int], config: str | None, settings: Settings) -> None:
    """Restart what dies, with growing pauses if it dies at once, until told to stop."""
    ready = False
    while not stopping:
        time.sleep(0.1)
        if not ready and Path(settings.guard.socket).is_socket() and Path(settings.api.socket).is_socket():
            ready = True
            print("ready", flush=True)  # noqa: T201
        for index, child in enumerate(children):
            code = child.process.poll()
            if code is None:
                continue
            if not child.restart_at:
                quick = time.monotonic() - child.started < QUICK_DEATH_SECONDS
                child.quick_deaths = child.quick_deaths + 1 if quick else 0
                pause = BACKOFF_SECONDS[min(child.quick_deaths, len(BACKOFF_SECONDS) - 1)]
                child.restart_at = time.monotonic() + pause
                LOG.warning("%s ended with code %s; it is started again", child.role, code)
            elif time.monotonic() >= child.restart_at:
                again = _start(child.role, config)
                again.quick_deaths = child.quick_deaths
                children[index] = again


def _stop(children: list[Child]) -> None:
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            child.process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for child in children:
        try:
            child.process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()


def _announce(settings: Settings) -> None:
    """Say in a few lines what is where."""
    lines = [
        "hostadmin",
        f"  guard     {settings.guard.socket}   (what people reach; access: group {settings.guard.group!r})",
        f"  engine    {settings.engine.socket}",
        f"  API       {settings.api.socket}",
        f"  database  {settings.store.url.removeprefix('sqlite:///')}",
    ]
    if settings.api.listen:
        lines.append(f"  note      [api] listen = {settings.api.listen!r} is not served yet: the API is on its Unix socket only")
    print("\n".join(lines), flush=True)  # noqa: T201
