"""One caller's connection: head after head, each judged from the beginning (rule T13)."""

import asyncio
import contextlib
import logging
from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Target
from hostadmin.core.errors import HostadminError
from hostadmin.guard.callers import Caller
from hostadmin.guard.channel import Channel, Gone
from hostadmin.guard.exchange import Exchange
from hostadmin.guard.framing import RequestHead, parse_request_head
from hostadmin.guard.query import Parameter, Parameters
from hostadmin.guard.refusal import RULE_REQUEST, Refusal
from hostadmin.guard.routes import REFUSING, Route, match
from hostadmin.guard.rules import apply
from hostadmin.guard.strictjson import dump_json
from hostadmin.guard.target import Query, dotted, parse_target
from hostadmin.guard.upstream import LOOK_SECONDS, Upstream, lost_engine
from hostadmin.host.peers import Peer, Place, credentials, identify

LOG = logging.getLogger("hostadmin.guard")
IDLE_SECONDS: Final = 600
HEAD_SECONDS: Final = 10
LINGER_SECONDS: Final = 2
TURNING_AWAY_MOST: Final = 256


@lru_cache(maxsize=4096)
def _find_row(method: str, path: str) -> tuple[Route, tuple[str, ...], tuple[int, int] | None]:
    """Return the row of a path without parameters, what it captures, and its version; paths come again and again."""
    segments, version, _ = parse_target(path)
    return *match(method, segments), version


class Connection(Channel):
    """A caller's end: accepts, identifies, serves requests one after the other."""

    def __init__(self, guard: Any) -> None:
        super().__init__()
        self.guard = guard
        self.peer: Peer | None = None
        self.upstream = Upstream(guard.engine_socket, guard.learn_version)
        self.deadline: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._caller: Caller | None = None
        self.crowd: Hashable | None = None  # with whom it is counted; None: the administrator, or not counted

    def connection_made(self, transport: Any) -> None:  # noqa: D102  # asyncio.Protocol
        super().connection_made(transport)
        try:
            self._enter(transport.get_extra_info("socket"))
        except Refusal as refusal:
            self.write(_answer_of(refusal, self.guard.offered_version, keep=False))
            self._task = self.loop.create_task(self._turn_away())
            return
        self.guard.connections.add(self)
        self._task = self.loop.create_task(self._run())

    def _enter(self, sock: Any) -> None:
        """Count the connection and look who it is; in this order, so that a crowd is cheap to turn away.

        Raises:
            Refusal: there are too many.

        """
        uid = credentials(sock)[1]
        if uid:
            self.guard.enter(uid)
            self.crowd = uid
        self.peer = identify(sock)
        if not uid and self.peer.place is not Place.HOST:
            crowd = self.peer.container or self.peer.place
            self.guard.enter(crowd)
            self.crowd = crowd

    def data_received(self, data: bytes) -> None:  # noqa: D102
        if self.deadline is not None and not self.waiting:
            self.deadline = self.loop.time() + HEAD_SECONDS  # a head that has begun must end soon
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102
        super().connection_lost(exc)
        self.guard.release(self)

    async def _run(self) -> None:
        spliced = False
        try:
            while await self._serve_one():
                pass
            spliced = self.outlet is not None
            if not spliced:
                self.upstream.close()
                await self._linger()
        except Gone:
            self.abort()
        except Exception:
            LOG.exception("guard: a connection failed")
            self.abort()
        finally:
            self.deadline = None
            if not spliced:
                self.upstream.close()
                self.close()

    async def _turn_away(self) -> None:
        """Let a few of a crowd read why they are turned away; the rest just end, so that they hold nothing."""
        if self.guard.turning_away < TURNING_AWAY_MOST:
            self.guard.turning_away += 1
            try:
                await self._linger()
            finally:
                self.guard.turning_away -= 1
        self.close()

    async def _linger(self) -> None:
        """End our side and read on a little: who is still sending could not read the answer otherwise (RFC 9112 9.6)."""
        self.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while await self.read():
                    pass

    async def _serve_one(self) -> bool:
        """Serve one request; return whether the connection may carry another."""
        self.deadline = self.loop.time() + (HEAD_SECONDS if self.waiting else IDLE_SECONDS)
        head = None
        try:
            raw = await self.read_head()
            self.deadline = None
            if raw is None:
                return False
            head = parse_request_head(raw)
            exchange = await self._exchange(head)
        except Refusal as refusal:
            return await self._refuse_head(refusal, head)
        self.guard.exchanges.add(exchange)
        try:
            await exchange.take_turn()
            await apply(exchange)
            if exchange.spliced is not None:
                return False
        except Refusal as refusal:
            await self._refuse(refusal, exchange)
        except (Gone, HostadminError) as error:
            if exchange.answered or self.lost:
                raise Gone(str(error)) from error
            await self._refuse(lost_engine() if isinstance(error, Gone) else _from_error(error), exchange)
        except Exception:
            LOG.exception("guard: %s failed", exchange.route.operation)
            if exchange.answered or self.lost:
                raise
            await self._refuse(Refusal(500, "hostadmin: the guard failed; tell an administrator to look at its log", "failed"), exchange)
        finally:
            await exchange.conclude_open()
            exchange.give_turn_back()
            self.guard.exchanges.discard(exchange)
        return exchange.keep and exchange.body.done

    async def _exchange(self, head: RequestHead) -> Exchange:
        """Decide who calls and which row it is."""
        assert self.peer is not None  # noqa: S101  # set when the connection was made
        caller = self._caller = await self.guard.callers.admit(self.peer, self._find_container, self._caller)
        pairs: Query = []
        if "?" in head.target:
            segments, version, pairs = parse_target(head.target)
            route, params = match(head.method, segments)
        else:
            route, params, version = _find_row(head.method, head.target)
        version = await self.guard.settle_version(version, self.upstream)
        route.check_version(version)
        known = None if caller.admin or route.rule in REFUSING else route.parameters
        query, doubt = self._read_query(pairs, known, version)
        exchange = Exchange(self.guard, self, self.upstream, head, route, params, version, query, caller)
        exchange.doubt = doubt
        return exchange

    def _read_query(
        self, pairs: Query, known: Mapping[str, Parameter] | None, version: tuple[int, int]
    ) -> tuple[Parameters, Refusal | None]:
        """Return the checked parameters; in observe mode unchecked ones, with what they would have been refused for."""
        try:
            return Parameters(pairs, known, version), None
        except Refusal as refusal:
            if not self.guard.observing:
                raise
            return Parameters(pairs, None, version), refusal

    async def _find_container(self, container: str) -> dict[str, Any] | None:
        """Ask the engine for a container by its full id."""
        async with self.upstream.within(LOOK_SECONDS):
            response = await self.upstream.request("GET", f"/containers/{container}/json")
            value = await response.json()
        return value if response.status == 200 and isinstance(value, dict) else None

    async def _refuse(self, refusal: Refusal, exchange: Exchange) -> None:
        """Record a refusal and answer it in the Engine's own error form."""
        if refusal.recorded:
            await self._record(refusal, exchange)
        if exchange.answered:
            raise Gone(refusal.message)
        exchange.keep = exchange.keep and exchange.body.done and not refusal.close
        silent = exchange.head.method == "HEAD"
        self.write(_answer_of(refusal, self.guard.offered_version, keep=exchange.keep, silent=silent))

    async def _refuse_head(self, refusal: Refusal, head: RequestHead | None) -> bool:
        """Refuse what did not become an exchange; return whether the connection may carry another request."""
        if refusal.recorded:
            await self._record(refusal, None)
        known = head is not None and head.keep_alive and head.length == 0 and refusal.rule == RULE_REQUEST
        keep = known and not refusal.close
        self.write(_answer_of(refusal, self.guard.offered_version, keep=keep, silent=head is not None and head.method == "HEAD"))
        return keep

    async def _record(self, refusal: Refusal, exchange: Exchange | None) -> None:
        detail = {"status": refusal.status, "message": refusal.message[:2000]}
        if exchange is not None:
            entry = exchange.entry(exchange.guard.target_of(exchange), rule=refusal.rule, detail=detail)
        else:
            assert self.peer is not None  # noqa: S101
            actor = self.guard.callers.actor(self.peer, None, admin=False)
            action = Action.ACCESS_CHECK if refusal.rule == "access" else Action.REQUEST_REFUSE
            entry = Entry(actor, action, Target(), refusal.rule, detail)
        await self.guard.record_refusal(entry)


def _answer_of(refusal: Refusal, version: tuple[int, int], *, keep: bool, silent: bool = False) -> bytes:
    """Return a refusal in the Engine's own error form; ``silent``: without its body (HEAD)."""
    body = dump_json({"message": refusal.message}) + b"\n"
    head = (
        f"HTTP/1.1 {refusal.status} Refused\r\nApi-Version: {dotted(version)}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" + ("" if keep else "Connection: close\r\n") + "\r\n"
    )
    return head.encode("ascii") + (b"" if silent else body)


def _from_error(error: Exception) -> Refusal:
    status = getattr(error, "status", 500)
    return Refusal(status, f"hostadmin: {error}", "failed", recorded=False)
