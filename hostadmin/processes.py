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

from hostadmin.core.errors import Failed, HostadminError, Invalid
from hostadmin.host.sockets import answers
from hostadmin.settings import Settings

LOG = logging.getLogger("hostadmin")
EXIT_BUSY: Final = 75
PR_SET_PDEATHSIG: Final = 1
LIBC: Final = ctypes.CDLL(None)
QUICK_DEATH_SECONDS: Final = 1.0
BACKOFF_SECONDS: Final = (0.1, 0.5, 1, 2, 5)
STOP_SECONDS: Final = 10
ROLES: Final = ("guard", "service")
OBSERVING: Final = "OBSERVE MODE: the guard refuses nothing that its policy forbids, it only records it; this host is NOT protected"


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
        Failed: the caller may not write there.
        Invalid: the guard would take the engine's own socket away.

    """
    check_sockets(settings)
    database = Path(settings.store.url.removeprefix("sqlite:///"))
    try:
        database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(f"{database}.{role}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Failed(f"Cannot start on {database} ({error.strerror}): run `hostadmin {role}` as root.", key="database-folder") from error
    for _ in range(20):  # a killed predecessor's children may need a moment
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.1)
        else:
            return fd
    raise AlreadyRunning(f"A hostadmin {role} runs already on {database}; nothing was started.")


def check_sockets(settings: Settings) -> None:
    """Check that no two of the sockets are one file: whoever binds second removes the first one's.

    Raises:
        Invalid: with the two keys.

    """
    sockets = {"engine.socket": settings.engine.socket, "guard.socket": settings.guard.socket, "api.socket": settings.api.socket}
    seen: dict[str, str] = {}
    for key, path in sockets.items():
        other = seen.setdefault(os.path.realpath(path), key)
        if other != key:
            raise Invalid(f"Refused configuration: {key} and {other} are the same socket {path}; nothing was started.", key="configuration")


def run_guard(settings: Settings) -> None:
    """Run the guard alone until SIGTERM."""
    from hostadmin.guard.limits import Limits  # noqa: PLC0415  # the client path stays light
    from hostadmin.guard.server import serve as serve_guard  # noqa: PLC0415
    from hostadmin.opening import load_profiles, open_database  # noqa: PLC0415

    configure_logging()
    take_role(settings, "guard")
    database = open_database(settings)
    serve_guard(
        database,
        load_profiles(settings.policy),
        socket_path=settings.guard.socket,
        engine_socket=settings.engine.socket,
        group=settings.guard.group,
        limits=Limits(settings.guard.connections_per_user, settings.guard.connections, settings.guard.requests_per_user),
        cgroup_parent=settings.guard.cgroup_parent,
        observing=settings.guard.observing,
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
    recovered = app.users.recover() + app.resets.recover() + app.journal.close_left_open()
    if recovered:
        LOG.warning("service: closed %d records that an earlier run left open", recovered)
    app.users.install_login_script()
    app.watcher.start()
    app.scheduler.start()
    if settings.guard.observing:
        LOG.warning("service: %s", OBSERVING)
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
    """One supervised process; ``None`` where it could not be started."""

    role: str
    process: "subprocess.Popen[bytes] | None"
    started: float
    quick_deaths: int = 0
    restart_at: float = field(default=0.0)

    def code(self) -> int | str | None:
        """Return how it ended, ``None`` while it runs."""
        return self.process.poll() if self.process else "none: it could not be started"


def serve(settings: Settings, config: str | None) -> int:
    """Run guard and service, each restarted when it dies; return an exit code.

    Args:
        settings: the configuration.
        config: the file it came from, handed on to the children.

    """
    from hostadmin.app import SocketCloser  # noqa: PLC0415
    from hostadmin.audit.journal import Journal  # noqa: PLC0415
    from hostadmin.opening import load_profiles, open_database  # noqa: PLC0415

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
    supervisor = os.getpid()

    def die_with_parent() -> None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != supervisor:  # it died before the line above
            os._exit(EXIT_BUSY)

    try:
        process = subprocess.Popen(argv, preexec_fn=die_with_parent, start_new_session=True)  # noqa: PLW1509  # nothing but a system call
    except OSError as error:  # no memory, no process ids: it will pass
        LOG.warning("%s cannot be started now: %s", role, error)
        process = None
    return Child(role, process, time.monotonic())


def _supervise(children: list[Child], stopping: list[int], config: str | None, settings: Settings) -> None:
    """Restart what dies, with growing pauses if it dies at once, until told to stop."""
    ready = False
    while not stopping:
        time.sleep(0.1)
        if not ready and answers(settings.guard.socket) and answers(settings.api.socket):
            ready = True
            print("ready", flush=True)  # noqa: T201
        for index, child in enumerate(children):
            code = child.code()
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
    running = [child.process for child in children if child.process]
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in running:
        try:
            process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _announce(settings: Settings) -> None:
    """Say in a few lines what is where, and what to type next."""
    engine = "answers" if answers(settings.engine.socket) else "does not answer yet: hostadmin carries on as soon as it does"
    lines = [
        "hostadmin",
        f"  guard     {settings.guard.socket}   (what people reach; access: group {settings.guard.group!r})",
        f"  engine    {settings.engine.socket}   ({engine})",
        f"  API       {settings.api.socket}",
        f"  database  {settings.store.url.removeprefix('sqlite:///')}",
        "  next      hostadmin user add LOGIN --docker;  hostadmin doctor",
    ]
    if settings.guard.observing:
        lines.insert(1, f"  {OBSERVING}")
    if settings.api.listen:
        lines.append(f"  note      [api] listen = {settings.api.listen!r} is not served yet: the API is on its Unix socket only")
    print("\n".join(lines), flush=True)  # noqa: T201
