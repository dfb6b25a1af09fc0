"""The containers of whoever has no access: kept running or stopped, as the profile says, and started again afterwards."""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

from hostadmin.core.errors import HostadminError, NotFound, Unavailable
from hostadmin.core.values import Actor, UserState
from hostadmin.policy.profiles import STOP
from hostadmin.store import facts
from hostadmin.store.database import Tx
from hostadmin.store.users import User
from hostadmin.users.context import Context

LOG: Final = logging.getLogger("hostadmin.users")
STOPPED_FACT: Final = "stopped."  # + account id → full ids of the containers that its lock has stopped, until each runs again
PAUSED_FACT: Final = "paused."  # + account id → which of them were paused
AT_ONCE: Final = 16  # an engine gives each container up to 10 s to end
PAUSE_SECONDS: Final = 600.0  # before what has failed is tried again


class Containers(Protocol):
    """What the objects service does for this one."""

    def running_of(self, user_ids: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Return account id → full ids of its containers that run now, as the engine says."""

    def paused(self, refs: Collection[str]) -> Collection[str]:
        """Return which of these containers are paused."""

    def stop(self, actor: Actor, ref: str) -> None:
        """Stop a container."""

    def start(self, actor: Actor, ref: str) -> None:
        """Start a container."""

    def pause(self, actor: Actor, ref: str) -> None:
        """Pause a container."""


class NoContainers:
    """For hosts without an engine."""

    def running_of(self, _user_ids: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Return nothing."""
        return {}

    def paused(self, _refs: Collection[str]) -> Collection[str]:
        """Return nothing."""
        return ()

    def stop(self, actor: Actor, ref: str) -> None:
        """Do nothing."""

    def start(self, actor: Actor, ref: str) -> None:
        """Do nothing."""

    def pause(self, actor: Actor, ref: str) -> None:
        """Do nothing."""


class Halting:
    """Stops and starts.

    Args:
        context: the ledger, the profiles.
        containers: the objects service.

    """

    def __init__(self, context: Context, containers: Containers) -> None:
        self._context = context
        self._containers = containers
        self._paused: dict[str, float] = {}

    def halt(self, actor: Actor, closed: Sequence[User]) -> Sequence[str]:
        """Stop the running containers of accounts whose profile says so, remembered before; return what could not be stopped."""
        stopping = [u for u in closed if self._context.profiles.get_or_default(u.profile).locked_containers == STOP]
        if not stopping:
            return []
        try:
            running = self._containers.running_of([u.id for u in stopping])
            paused = self._containers.paused({ref for refs in running.values() for ref in refs}) if running else ()
        except HostadminError as error:
            return [error.message]
        due = {owner: [ref for ref in refs if self._paused.get(ref, 0) < time.monotonic()] for owner, refs in running.items()}
        self._remember(STOPPED_FACT, due)
        self._remember(PAUSED_FACT, {owner: [ref for ref in refs if ref in paused] for owner, refs in due.items()})
        return self._each(actor, [ref for refs in due.values() for ref in refs], self._stop)

    def resume(self, actor: Actor, user_id: str) -> None:
        """Start exactly those containers again that a lock of this account has stopped; those that are gone stay gone.

        Each is tried once: one that cannot start is on record. What a kill, or an engine that goes away, has left is `settle`'s.
        """
        with self._context.database.read() as tx:
            refs, paused = (facts.get(tx, f"{fact}{user_id}", []) for fact in (STOPPED_FACT, PAUSED_FACT))
        if not refs:
            return
        try:
            self._containers.running_of([user_id])  # does the engine answer? else `settle` comes back to it
        except HostadminError as error:
            LOG.warning("users: containers are started later: %s", error.message)
            return

        def start(by: Actor, ref: str) -> str | None:
            return self._start(by, ref, _Tried(user_id, ref), paused=ref in paused)

        self._each(actor, refs, start)

    def settle(self, actor: Actor, everybody: Sequence[User]) -> None:
        """Stop what runs all the same (it was being started), and start what waits for an engine that was away."""
        with self._context.database.read() as tx:
            waiting = facts.all_under(tx, STOPPED_FACT)
        self.halt(actor, [u for u in everybody if u.state is not UserState.ACTIVE])
        for user in everybody:
            if user.state is UserState.ACTIVE and user.id in waiting:
                self.resume(actor, user.id)

    def forget(self, user_id: str) -> None:
        """Forget what is to be started again."""
        self._context.database.write(_Forgetting(user_id))

    def _remember(self, fact: str, running: Mapping[str, Sequence[str]]) -> None:
        """Add to what is to be started again: a second look may find what the first one missed."""
        with self._context.database.read() as tx:
            known = facts.all_under(tx, fact)
        more = {owner: sorted({*known.get(owner, []), *refs}) for owner, refs in running.items() if set(refs) - set(known.get(owner, []))}
        if more:
            self._context.database.write(_Remembering(fact, more))

    def _each(self, actor: Actor, refs: Sequence[str], act: Callable[[Actor, str], str | None]) -> Sequence[str]:
        if not refs:
            return []
        with ThreadPoolExecutor(min(AT_ONCE, len(refs)), "containers") as pool:
            return [problem for problem in pool.map(lambda ref: act(actor, ref), refs) if problem]

    def _stop(self, actor: Actor, ref: str) -> str | None:
        try:
            self._containers.stop(actor, ref)
        except NotFound:
            return None
        except HostadminError as error:
            if not isinstance(error, Unavailable):
                self._paused[ref] = time.monotonic() + PAUSE_SECONDS
            return f"container {ref[:12]}: {error.message}"
        return None

    def _start(self, actor: Actor, ref: str, tried: "_Tried", *, paused: bool) -> str | None:
        problem = None
        try:
            self._containers.start(actor, ref)
            if paused:
                self._containers.pause(actor, ref)
        except NotFound:
            pass
        except HostadminError as error:
            LOG.warning("users: container %s is not started again: %s", ref[:12], error.message)
            problem = error.message
            if isinstance(error, Unavailable):
                return problem
        self._context.database.write(tried)
        return problem


@dataclass(frozen=True, slots=True)
class _Remembering:
    """Writes account id → containers that are to be started again."""

    fact: str
    more: Mapping[str, Sequence[str]]

    def __call__(self, tx: Tx) -> None:
        for owner, refs in self.more.items():
            facts.put(tx, f"{self.fact}{owner}", list(refs))


@dataclass(frozen=True, slots=True)
class _Tried:
    """Takes one container from what is to be started again."""

    owner: str
    ref: str

    def __call__(self, tx: Tx) -> None:
        for fact in (STOPPED_FACT, PAUSED_FACT):
            left = [ref for ref in facts.get(tx, f"{fact}{self.owner}", []) if ref != self.ref]
            facts.put(tx, f"{fact}{self.owner}", left or None)


@dataclass(frozen=True, slots=True)
class _Forgetting:
    """Forgets what is to be started again."""

    owner: str

    def __call__(self, tx: Tx) -> None:
        for fact in (STOPPED_FACT, PAUSED_FACT):
            facts.put(tx, f"{fact}{self.owner}", None)
