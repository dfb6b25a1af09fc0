"""The composition root: the only place that wires adapters to services, in reading order."""

import contextlib
import os
import threading
from dataclasses import dataclass, fields
from typing import Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Journal, Target
from hostadmin.core.errors import HostadminError
from hostadmin.core.values import system_actor
from hostadmin.engine.client import Engine
from hostadmin.host import engine_socket
from hostadmin.host.engine_socket import CLOSED, SocketState
from hostadmin.host.vault import open_vault
from hostadmin.objects.holdings import Holdings
from hostadmin.objects.resets import Resets
from hostadmin.objects.service import Objects
from hostadmin.objects.watcher import Watcher
from hostadmin.opening import load_profiles, open_database
from hostadmin.policy.profiles import Profiles
from hostadmin.settings import Settings, UsersSettings
from hostadmin.store import facts
from hostadmin.store.database import Database
from hostadmin.upkeep.cleanup import Cleanup
from hostadmin.upkeep.restarts import Restarts
from hostadmin.upkeep.schedule import Scheduler
from hostadmin.users.changing import Changing
from hostadmin.users.classroom import Classroom
from hostadmin.users.cohorts import Cohorts
from hostadmin.users.context import Keeping
from hostadmin.users.numbers import Ranges
from hostadmin.users.renewal import Renewal
from hostadmin.users.rosters import Rosters
from hostadmin.users.service import Places, Users
from hostadmin.users.sheets import Sheets

ENGINE_SOCKET_FACT: Final = "engine.socket.before"
WATCH_SECONDS: Final = 0.1
USUAL: Final = ("/run/docker.sock", "/var/run/docker.sock")  # where docker looks when nothing is said


@dataclass(frozen=True, slots=True)
class App:
    """The service's object graph."""

    settings: Settings
    database: Database
    journal: Journal
    profiles: Profiles
    engine: Engine
    objects: Objects
    holdings: Holdings
    resets: Resets
    users: Users
    renewal: Renewal
    rosters: Rosters
    cohorts: Cohorts
    restarts: Restarts
    cleanup: Cleanup
    watcher: Watcher
    scheduler: Scheduler
    closer: "SocketCloser"

    def record(self, action: Action) -> None:
        """Record that the service starts or stops; a database that cannot be written now is no reason to stay down."""
        with contextlib.suppress(HostadminError, TimeoutError):
            self.journal.event(Entry(system_actor("system"), action), decision="allow", status="ok")


def build(settings: Settings) -> App:
    """Wire the service together; nothing runs yet."""
    database = open_database(settings)
    journal = Journal(database, "service")
    profiles = load_profiles(settings.policy)
    engine = Engine(settings.engine.socket)
    objects = Objects(database, journal, engine)
    holdings = Holdings(database, engine, profiles, settings.guard.cgroup_parent)
    people, door = settings.users, settings.guard.socket
    guard = "" if door in USUAL else door
    places = Places(people.home_root, people.shell, settings.guard.group, _ranges(people), _keeping(people), guard)
    users = Users(database, journal, profiles, places, objects.remove_all_of, containers=objects)
    resets = Resets(database, journal, engine, directory=database.path.parent / "resets", hours=settings.users.reset_hours)
    vault = open_vault(settings.users.secrets)
    sheets = Sheets(vault)
    renewal = Renewal(users.context, Changing(users.context, users))
    rosters = Rosters(users.context, users, vault, sheets)
    classroom = Classroom(database, engine, holdings)
    to_type = f"export DOCKER_HOST=unix://{guard}" if guard else ""
    cohorts = Cohorts(users.context, users, sheets, renewal, classroom, resets, socket=door, guard=to_type, forget=rosters.forget)
    restarts = Restarts(database, journal, engine, profiles)
    cleanup = Cleanup(database, journal, engine, profiles)
    watcher = Watcher(database, engine)
    scheduler = Scheduler(
        database,
        journal,
        watcher,
        restarts,
        cleanup,
        users,
        resets,
        cohorts,
        resync_seconds=settings.upkeep.resync_seconds,
        restarts_seconds=settings.upkeep.restarts_seconds,
        cleanup_cron=settings.upkeep.cleanup,
    )
    closer = SocketCloser(settings, database, journal)
    return App(
        settings=settings,
        database=database,
        journal=journal,
        profiles=profiles,
        engine=engine,
        objects=objects,
        holdings=holdings,
        resets=resets,
        users=users,
        renewal=renewal,
        rosters=rosters,
        cohorts=cohorts,
        restarts=restarts,
        cleanup=cleanup,
        watcher=watcher,
        scheduler=scheduler,
        closer=closer,
    )


def _ranges(users: UsersSettings) -> Ranges:
    return Ranges(**{f.name: getattr(users, f.name) for f in fields(Ranges)})


def _keeping(users: UsersSettings) -> Keeping:
    return Keeping(**{f.name: getattr(users, f.name) for f in fields(Keeping)})


class SocketCloser:
    """Keeps the engine's own socket closed to everybody but root for as long as the service runs."""

    def __init__(self, settings: Settings, database: Database, journal: Journal) -> None:
        self.path = settings.engine.socket
        self.wanted = settings.engine.close_socket and not _same(self.path, settings.guard.socket)
        self.database = database
        self.journal = journal
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="engine-socket", daemon=True)

    def start(self) -> None:
        """Close it now, and again whenever it is made anew; another one that an earlier run has closed is put back."""
        with self.database.read() as tx:
            before = facts.get(tx, ENGINE_SOCKET_FACT)
        if before and not (self.wanted and before.get("path") == self.path):
            self.put_back()
        if self.wanted:
            self._ensure_closed()
            self._thread.start()

    def stop(self) -> None:
        """Stop to look after it; it stays closed until ``put_back``."""
        self._stop.set()

    def put_back(self) -> None:
        """Give the socket back as it was found, on an orderly stop of everything."""
        with self.database.read() as tx:
            before = facts.get(tx, ENGINE_SOCKET_FACT)
        if not before:
            return
        path = before.get("path", self.path)
        entry = Entry(system_actor("system"), Action.ENGINE_SOCKET_OPEN, Target("socket", None, path), "close_socket", before)
        intent = self.journal.intent(entry)
        with contextlib.suppress(OSError):
            engine_socket.put(path, SocketState(before["uid"], before["gid"], before["mode"]))
        self.journal.outcome(intent, "ok", also=lambda tx: facts.put(tx, ENGINE_SOCKET_FACT, None))

    def _watch(self) -> None:
        while not self._stop.wait(WATCH_SECONDS):
            with contextlib.suppress(HostadminError, OSError):
                self._ensure_closed()

    def _ensure_closed(self) -> None:
        found = engine_socket.look(self.path)
        if found is None or found.root_only:
            return
        before = {"path": self.path, **found.as_dict()}
        entry = Entry(system_actor("system"), Action.ENGINE_SOCKET_CLOSE, Target("socket", None, self.path), "close_socket", before)
        intent = self.journal.intent(entry, also=lambda tx: facts.put(tx, ENGINE_SOCKET_FACT, before))
        engine_socket.put(self.path, CLOSED)
        self.journal.outcome(intent, "ok")


def _same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
