"""The guard's process: its socket, what all connections share, and the watch over revoked access."""

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import time
import weakref
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import uvloop

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Journal, Target
from hostadmin.core.errors import HostadminError
from hostadmin.core.values import system_actor
from hostadmin.guard.callers import Caller, Callers
from hostadmin.guard.channel import Gone
from hostadmin.guard.connection import Connection
from hostadmin.guard.exchange import Exchange
from hostadmin.guard.ledger import Ledger
from hostadmin.guard.limits import Crowd, Limits, Turns
from hostadmin.guard.making import Making
from hostadmin.guard.messages import clean_message
from hostadmin.guard.parents import Parents
from hostadmin.guard.pulse import Pulse
from hostadmin.guard.recovery import recover, settle_unknown
from hostadmin.guard.refusal import Refusal
from hostadmin.guard.tagstate import TagState
from hostadmin.guard.target import VERSION_HIGHEST, VERSION_LOWEST, Version, check_version, read_dotted
from hostadmin.guard.upstream import LOOK_SECONDS, Upstream, unreachable
from hostadmin.guard.volumesizes import VolumeSizes
from hostadmin.policy.profiles import Profiles
from hostadmin.policy.quotas import limits_of
from hostadmin.store import users
from hostadmin.store.database import Database, Tx

LOG = logging.getLogger("hostadmin.guard")
WATCH_SECONDS: Final = 0.25
FOLLOW_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 1.0
SETTLERS: Final = 4
TURNED_AWAY_SECONDS: Final = 60.0
BACKLOG: Final = 4096  # a full queue is an error at once to clients that do not block, whoever has filled it
SOCKET_MODE: Final = 0o666  # the kernel says who calls, the guard decides


class Guard:
    """What all connections of the guard share."""

    def __init__(
        self,
        database: Database,
        profiles: Profiles,
        *,
        engine_socket: str,
        group: str,
        limits: Limits,
        cgroup_parent: str,
        observing: bool = False,
    ) -> None:
        self.database = database
        self.engine_socket = engine_socket
        self.ledger = Ledger(database)
        self.journal = Journal(database, "guard")
        self.profiles = profiles
        self.callers = Callers(self.ledger, lambda: self.profiles, group, self._observe)
        self.engine_version: Version | None = None
        self.engine_lowest: Version | None = None
        self.observing = observing
        self.pulse = Pulse(engine_socket, self.learn_version, says_classic=not observing)
        self.connections: set[Connection] = set()
        self.exchanges: set[Exchange] = set()
        self.pending: Counter[tuple[str, str]] = Counter()  # (owner, quota) → what is being made now
        self.uploading: Counter[str] = Counter()  # owner → bytes of the uploads that are under way
        self.parents = Parents(cgroup_parent, lambda user: limits_of(self.profiles.get_or_default(user.profile)))
        self.unknown: asyncio.Queue[int] = asyncio.Queue()  # intents whose outcome is to be found out
        self.unwritten: list[Callable[[], Future[None]]] = []  # outcomes that found the disk full
        self.volume_sizes = VolumeSizes()
        self.tags = TagState()
        limits = limits.within(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        self.turns = Turns(limits.requests_per_user)
        self._crowd = Crowd(limits)
        self.turning_away = 0
        self._turned_away: dict[Hashable, float] = {}
        self.making = Making()
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    # -- connections ------------------------------------------------------------------------

    def enter(self, crowd: Hashable) -> None:
        """Count a new connection; a crowd that is turned away leaves one line a minute in the log.

        Raises:
            Refusal: there are too many.

        """
        try:
            self._crowd.enter(crowd)
        except Refusal:
            now = time.monotonic()
            if self._turned_away.get(crowd, 0.0) < now:
                self._turned_away[crowd] = now + TURNED_AWAY_SECONDS
                LOG.warning("guard: %s has too many connections open; the next ones are turned away", crowd)
            raise

    def release(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self.connections.discard(connection)
        if connection.crowd is not None:
            self._crowd.leave(connection.crowd)
            connection.crowd = None

    async def watch(self) -> None:
        """End silent connections, open streams of those who no longer have access, and of callers that have vanished."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            now = asyncio.get_running_loop().time()
            for connection in list(self.connections):
                if connection.deadline is not None and connection.deadline < now:
                    connection.abort()
            for exchange in list(self.exchanges):
                if not self.callers.still_admitted(exchange.caller) or (exchange.client.eof and exchange.client.hung_up()):
                    exchange.end()

    async def follow_limits(self) -> None:
        """Keep the kernel's limits in step with profiles and accounts; at the start of all that have a group."""
        while True:
            with contextlib.suppress(HostadminError):
                await self.parents.follow(self.ledger.living_users())
            await asyncio.sleep(FOLLOW_SECONDS)

    async def write_unwritten(self) -> None:
        """Write the outcomes that could not be written, as soon as that is possible again."""
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            while self.unwritten:
                try:
                    await asyncio.wrap_future(self.unwritten[0]())
                except HostadminError:
                    break
                self.unwritten.pop(0)

    def lock(self, name: str) -> asyncio.Lock:
        """Return the lock of a name (container, volume, tag): who creates under it comes first."""
        found = self._locks.get(name)
        if found is None:
            found = self._locks[name] = asyncio.Lock()
        return found

    # -- the engine's version -----------------------------------------------------------------

    @property
    def offered_version(self) -> Version:
        """The newest API version that both the engine and the guard speak."""
        return min(self.engine_version or VERSION_LOWEST, VERSION_HIGHEST)

    @property
    def lowest_version(self) -> Version:
        """The oldest API version that both the engine and the guard speak."""
        return max(self.engine_lowest or VERSION_LOWEST, VERSION_LOWEST)

    async def settle_version(self, asked: Version | None, upstream: Upstream) -> Version:
        """Return the version of a request: the one it names, else the newest; asks the engine when its own are not known.

        Raises:
            Refusal: 400 in the engine's words, it is outside the window that both speak; 503, the engine does not answer.

        """
        if self.engine_lowest is None:
            try:
                async with upstream.within(LOOK_SECONDS):
                    response = await upstream.request("GET", "/version")
                    self.learn_versions(await response.json() if response.status == HTTPStatus.OK else {})
            except Gone:
                raise unreachable() from None
        if self.engine_version is None:
            raise unreachable()
        check_version(asked or self.offered_version, lowest=self.lowest_version, highest=self.offered_version)
        return asked or self.offered_version

    def learn_version(self, text: str | None) -> None:
        """Remember the engine's newest version as it says it; another one than before is another engine."""
        newest = read_dotted(text)
        if newest is not None and newest != self.engine_version:
            self.engine_version, self.engine_lowest = newest, None

    def learn_versions(self, answer: dict[str, Any]) -> None:
        """Remember the engine's newest and oldest version from its answer to ``/version``."""
        self.learn_version(answer.get("ApiVersion"))
        self.engine_lowest = read_dotted(answer.get("MinAPIVersion")) or VERSION_LOWEST

    # -- the ledger and the record ------------------------------------------------------------

    def _observe(self, login: str, uid: int, gid: int) -> users.User:
        """Let a group member in whom hostadmin does not manage yet, under the default profile."""

        def work(tx: Tx) -> users.User:
            return users.observe(tx, login=login, uid=uid, gid=gid, profile=self.profiles.default)

        try:
            return self.database.write(work)
        except HostadminError as error:
            raise Refusal(error.status, f"hostadmin: {error.message}", "audit", recorded=False) from error

    def target_of(self, exchange: Exchange) -> Target:
        """Return what a refused request was about, as far as its path says."""
        kind = exchange.route.template.split("/")[1].removesuffix("s")
        return Target(kind=kind or None, name=exchange.params[0][:256] if exchange.params else exchange.query.text("name")[:256] or None)

    async def record_start(self) -> None:
        """Record that the guard starts, and in which mode; say so in the log if it protects nothing."""
        mode = "observe" if self.observing else "enforce"
        entry = Entry(system_actor("system"), Action.GUARD_START, rule=f"guard.mode={mode}", detail={"mode": mode})
        if self.observing:
            LOG.warning("guard: OBSERVE MODE: what policy forbids is forwarded and only recorded; this host is NOT protected")
        with contextlib.suppress(HostadminError, TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(self.journal.submit_event(entry, decision="allow", status="ok")), 5)

    async def record_refusal(self, entry: Entry) -> None:
        """Record a refusal before it is answered; if that fails, the answer is a refusal all the same."""
        decision = "deny" if entry.decision == "allow" else entry.decision
        with contextlib.suppress(HostadminError, TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(self.journal.submit_event(entry, decision=decision)), 5)

    def clean_message(self, message: str, caller: Caller) -> str:
        """Return an engine's error text without ids of objects that are not the caller's."""
        return message if caller.admin or self.observing else clean_message(message, self.ledger, caller.owner)


def listen(path: str) -> socket.socket:
    """Bind a Unix socket that everybody may connect to; an old one is replaced."""
    Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(path)
    os.chmod(path, SOCKET_MODE)
    sock.listen(BACKLOG)
    sock.setblocking(False)
    return sock


async def _serve(guard: Guard, path: str) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    recovering = [loop.create_task(recover(guard)), *(loop.create_task(settle_unknown(guard)) for _ in range(SETTLERS))]
    server = await loop.create_unix_server(lambda: Connection(guard), sock=listen(path), backlog=BACKLOG, start_serving=True)
    watching = loop.create_task(guard.watch())
    writing = loop.create_task(guard.write_unwritten())
    following = loop.create_task(guard.follow_limits())
    await guard.record_start()
    LOG.info("guard listens on %s", path)
    await stopped.wait()
    watching.cancel()
    writing.cancel()
    following.cancel()
    for task in recovering:
        task.cancel()
    server.close()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    for connection in list(guard.connections):
        connection.abort()
    await asyncio.sleep(0.05)


def serve(
    database: Database,
    profiles: Profiles,
    *,
    socket_path: str,
    engine_socket: str,
    group: str,
    limits: Limits,
    cgroup_parent: str,
    observing: bool = False,
) -> None:
    """Run the guard until SIGTERM or SIGINT.

    Args:
        database: the migrated database.
        profiles: the profiles in force.
        socket_path: what people reach.
        engine_socket: the real engine.
        group: the group whose members have access.
        limits: how much of the guard one person may take.
        cgroup_parent: where the control groups of people lie; empty: they have none.
        observing: forward what would be refused, and only record it.

    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    guard = Guard(
        database,
        profiles,
        engine_socket=engine_socket,
        group=group,
        limits=limits,
        cgroup_parent=cgroup_parent,
        observing=observing,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(guard, socket_path))


__all__: Final[list[Any]] = ["Guard", "serve"]
