"""Follow the engine's events and keep the ledger in step (``engine-api.md`` 6.9).

One thread only reads and queues (the engine drops events for slow readers); another one applies. The
stream's end, an engine restart or a gap leads to a full resync; nothing is believed from an event but
*which* object changed: the engine is asked what it is now.
"""

import logging
import queue
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from hostadmin.core.clock import timestamp
from hostadmin.core.errors import HostadminError, NotFound
from hostadmin.core.values import Kind
from hostadmin.engine.client import Engine, EventStream
from hostadmin.objects.resync import Found, network_found, put_found, resync
from hostadmin.store import facts, objects
from hostadmin.store.database import Database, Tx

LOG = logging.getLogger("hostadmin.objects")
RETRY_SECONDS: Final = (0.2, 0.5, 1, 2, 5)
SETTLE_SECONDS: Final = 0.15
LAST_EVENT: Final = "engine.last_event"
ENDINGS: Final = {("container", "destroy"), ("network", "destroy"), ("volume", "destroy")}
CHANGES: Final = {
    "container": frozenset({"start", "die", "stop", "kill", "pause", "unpause", "restart", "oom", "rename", "update", "create"}),
    "network": frozenset({"create"}),
    "volume": frozenset({"create"}),
}
IMAGE_ACTIONS: Final = frozenset({"tag", "untag", "delete", "load", "import", "pull", "commit"})


class Watcher:
    """Keeps the ledger in step with the engine for as long as it runs."""

    def __init__(self, database: Database, engine: Engine) -> None:
        self.database = database
        self.engine = engine
        self.state = "stopped"
        self.resynced_at: float | None = None
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._stop = threading.Event()
        self._stream: EventStream | None = None
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start to follow; returns at once."""
        for target, name in ((self._follow, "engine-events"), (self._apply_all, "engine-ledger")):
            thread = threading.Thread(target=target, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Stop; returns when nothing is written any more."""
        self._stop.set()
        if self._stream is not None:
            self._stream.close()
        self._queue.put(None)
        self._threads[1].join(5)
        self.state = "stopped"

    def resync(self) -> int:
        """Compare everything now; return how many objects appeared or went."""
        changes = resync(self.database, self.engine)
        self.resynced_at = time.time()
        return changes

    def _follow(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                self._follow_once()
                failures = 0
            except HostadminError as error:
                if self.state != "waiting":
                    LOG.warning("objects: %s", error.message)
                self.state = "waiting"
                failures += 1
            self._stop.wait(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])

    def _follow_once(self) -> None:
        """Subscribe first, then list, then read what comes."""
        with self.database.read() as tx:
            last = facts.get(tx, LAST_EVENT)
        self._stream = self.engine.events(int(last) - 1 if last else int(time.time()))
        self.resync()
        if self.state == "waiting":
            LOG.info("objects: the engine is back, the ledger has been compared in full")
        self.state = "following"
        for event in self._stream:
            self._queue.put(event)
            if self._stop.is_set():
                return
        self.state = "waiting"

    def _apply_all(self) -> None:
        """Take what comes in a short while together: a ``docker run`` is seven events about one container."""
        while True:
            events = self._take_batch()
            for event in reduce_batch(events):
                try:
                    self._apply(event)
                except HostadminError as error:
                    LOG.info("objects: %s; the next resync will put it right", error.message)
                except Exception:
                    LOG.exception("objects: an event could not be applied")
            if None in events:
                return

    def _take_batch(self) -> list[dict[str, Any] | None]:
        batch = [self._queue.get()]
        self._stop.wait(SETTLE_SECONDS)
        while not self._queue.empty():
            batch.append(self._queue.get_nowait())
        return batch

    def _apply(self, event: dict[str, Any]) -> None:
        kind, action, ref = _subject(event)
        moment = event.get("time", 0)
        asked = timestamp()
        if (kind, action) in ENDINGS:
            self._end(Kind(kind), ref, moment, _time_of(event))
        elif kind == "container":
            self._put_container(ref, asked)
        elif kind == "network":
            item = network_found(self.engine.inspect_network(ref))
            self.database.write(lambda tx: put_found(tx, Kind.NETWORK, item, asked))
        elif kind == "volume":
            volume = self.engine.inspect_volume(ref)
            item = Found(ref, ref, {"driver": volume["Driver"], "created": volume.get("CreatedAt")})
            self.database.write(lambda tx: put_found(tx, Kind.VOLUME, item, asked))
        else:
            self.resync()

    def _end(self, kind: Kind, ref: str, moment: int, ended: str) -> None:
        def work(tx: Tx) -> None:
            objects.mark_gone(tx, kind, [ref], seen_by=ended if kind is Kind.VOLUME else None)  # other ids never return
            facts.put(tx, LAST_EVENT, moment)

        self.database.write(work)

    def _put_container(self, ref: str, asked: str) -> None:
        try:
            found = self.engine.inspect_container(ref)
        except NotFound:
            return  # gone again; its destroy event follows
        ports = sorted({f"{b['HostPort']}->{p}" for p, bs in (found["NetworkSettings"].get("Ports") or {}).items() for b in bs or []})
        state = found["State"]
        detail = {
            "image": found["Config"]["Image"],
            "state": state["Status"],
            "ports": ports,
            "restart": found["HostConfig"]["RestartPolicy"]["Name"] or "no",
            "restarts": found.get("RestartCount", 0),
        }
        item = Found(found["Id"], found["Name"].removeprefix("/"), detail, labels=found["Config"].get("Labels") or {})
        self.database.write(lambda tx: put_found(tx, Kind.CONTAINER, item, asked))


def _subject(event: dict[str, Any]) -> tuple[str, str, str]:
    """Return what kind of object an event is about, what happened to it, and its id (volumes: name)."""
    actor = event.get("Actor") or {}
    return event.get("Type", ""), event.get("Action", "").partition(":")[0], actor.get("ID", "")


def reduce_batch(events: Sequence[dict[str, Any] | None]) -> list[dict[str, Any]]:
    """Return the events of a batch that change the ledger, in order, each object's once.

    An end outdates all that came before it; of what came after it only the last counts: the engine is asked anyway.
    One image event stands for all: tags are compared as a whole, after everything else.
    """
    kept: dict[tuple[str, str, bool], dict[str, Any]] = {}
    images: dict[str, Any] | None = None
    for event in events:
        if event is None:
            continue
        kind, action, ref = _subject(event)
        if kind == "image":
            images = event if action in IMAGE_ACTIONS else images
        elif (kind, action) in ENDINGS:
            for ending in (True, False):
                kept.pop((kind, ref, ending), None)
            kept[kind, ref, True] = event
        elif action in CHANGES.get(kind, ()):
            kept.pop((kind, ref, False), None)
            kept[kind, ref, False] = event
    return [*kept.values(), *([images] if images else [])]


def _time_of(event: dict[str, Any]) -> str:
    """Return when an event happened, as the ledger writes times."""
    nanoseconds = event.get("timeNano") or (event.get("time", 0) + 1) * 10**9
    return timestamp(datetime.fromtimestamp(nanoseconds / 10**9, UTC))
