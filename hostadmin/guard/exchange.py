"""One request and its answer: what every rule works with.

Order of a change (law 5): ``intent`` durable → engine → ``outcome`` durable (with the ledger rows) →
last byte of the answer.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Final

import orjson

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Intent, Target
from hostadmin.core.errors import HostadminError
from hostadmin.core.ids import new_id
from hostadmin.guard.callers import Caller
from hostadmin.guard.channel import Channel, Gone
from hostadmin.guard.flows import LAST_CHUNK, Body, Flow, RequestBody, splice
from hostadmin.guard.framing import RequestHead
from hostadmin.guard.messages import as_called
from hostadmin.guard.query import Parameters
from hostadmin.guard.refusal import Refusal, malformed
from hostadmin.guard.routes import Route
from hostadmin.guard.schema import Schema
from hostadmin.guard.strictjson import dump_json, parse_json
from hostadmin.guard.target import VERSION_HIGHEST, Query, build_path, build_query, dotted
from hostadmin.guard.upstream import LOOK_SECONDS, Response, Upstream
from hostadmin.store.database import Tx

if TYPE_CHECKING:
    from hostadmin.guard.server import Guard

JSON_LIMIT: Final = 1 << 20
JSON_BODY_SECONDS: Final = 30
PASSED_FIELDS: Final = {
    "content-type": "Content-Type",
    "docker-experimental": "Docker-Experimental",
    "ostype": "Ostype",
    "server": "Server",
    "x-docker-container-path-stat": "X-Docker-Container-Path-Stat",
}
JSON_TYPE: Final = (("Content-Type", "application/json"),)
RAW_STREAM: Final = "application/vnd.docker.raw-stream"
FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
HEAD_READ_SECONDS: Final = 0.25
PHRASES: Final = {101: "UPGRADED", 200: "OK", 201: "Created", 204: "No Content", 304: "Not Modified"}


class Exchange:
    """One request of one caller, and the engine connection that serves it."""

    def __init__(
        self,
        guard: "Guard",
        client: Channel,
        upstream: Upstream,
        head: RequestHead,
        route: Route,
        params: tuple[str, ...],
        version: tuple[int, int],
        query: Parameters,
        caller: Caller,
    ) -> None:
        self.guard = guard
        self.client = client
        self.upstream = upstream
        self.head = head
        self.route = route
        self.params = params
        self.version = version
        self.query = query
        self.caller = caller
        self.body: RequestBody = Body(client, head.length, chunked=head.length is None)
        self.doubt: Refusal | None = None  # in observe mode: what the parameters would have been refused for
        self.answered = False
        self.spliced: Channel | None = None
        self.keep = head.keep_alive
        self._continue_due = head.expect_continue
        self._has_turn = False
        self._open: dict[int, Intent] = {}

    # -- its turn ---------------------------------------------------------------------------

    async def take_turn(self) -> None:
        """Wait until its caller has few enough requests under way; an administrator need not."""
        if not self.caller.admin:
            await self.guard.turns.take(self.caller.owner)
            self._has_turn = True

    def give_turn_back(self) -> None:
        """Be no longer under way: it has ended, or is a stream from here on."""
        if self._has_turn:
            self._has_turn = False
            self.guard.turns.give_back(self.caller.owner)

    def end(self) -> None:
        """End it at once, on both sides: its caller has no more access, or has gone."""
        self.upstream.close()
        self.client.abort()
        if self.spliced is not None:
            self.spliced.abort()

    # -- the request ------------------------------------------------------------------------

    def _invite(self) -> None:
        """Answer ``Expect: 100-continue`` once the body is really wanted."""
        if self._continue_due:
            self._continue_due = False
            self.client.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def read_json(self, schema: Schema, *, optional: bool = False, refusals: list[str] | None = None) -> Any:
        """Return the checked JSON body; ``{}`` for an empty one if it is ``optional``.

        ``refusals`` takes what the schema allows to nobody, to be told together with what the profile refuses.

        Raises:
            Refusal: the body is too large, too slow, not JSON, or outside the schema.

        """
        self._invite()
        try:
            async with asyncio.timeout(JSON_BODY_SECONDS):
                data = await self.body.read_all(JSON_LIMIT)
        except TimeoutError:
            raise malformed("the body took too long", status=408, close=True) from None
        except ValueError as error:
            raise malformed(str(error), close=True) from None
        value = parse_json(data) if data.strip() or not optional else None
        return {} if value is None and optional else schema(value, version=self.version, refusals=refusals)

    async def read_nothing(self) -> None:
        """Read and drop the body of an operation that has none (an engine ignores it too)."""
        try:
            data = await self.body.read_all(JSON_LIMIT)
        except ValueError as error:
            raise malformed(str(error), close=True) from None
        if data and self._sends_form:
            raise malformed("a form has no meaning here: parameters belong in the query")

    @property
    def _sends_form(self) -> bool:
        """Whether an engine would read parameters out of the body, and prefer them (Go's ``Request.ParseForm``)."""
        kind = (self.head.get("content-type") or "").partition(";")[0].strip().lower()
        return self.head.method in ("POST", "PUT") and kind in FORMS

    async def read_stream(self) -> AsyncIterator[bytes]:
        """Yield an opaque body, with back-pressure."""
        if self._sends_form:
            raise malformed("a form has no meaning here: parameters belong in the query", close=True)
        self._invite()
        try:
            while data := await self.body.read():
                yield data
        except ValueError as error:
            raise malformed(str(error), close=True) from None

    # -- the engine -------------------------------------------------------------------------

    def target(self, *segments: str, query: Query | None = None) -> str:
        """Return a canonical path and query for the engine in the request's version."""
        return build_path(self.version, segments) + build_query(query or [])

    async def ask(self, method: str, *segments: str, query: Query | None = None, body: Any = None, **more: Any) -> Response:
        """Send one request of our own making to the engine; ``body`` is JSON."""
        data = None if body is None else dump_json(body)
        return await self.upstream.request(method, self.target(*segments, query=query), body=data, **more)

    async def look(self, *segments: str, query: Query | None = None, seconds: float | None = LOOK_SECONDS) -> Any:
        """Return the JSON of a GET, or ``None`` at 404; the engine must answer within ``seconds``.

        Raises:
            Refusal: the engine's own error, for any other failure; 504, it has not answered in time.

        """
        async with self.upstream.within(seconds):
            response = await self.ask("GET", *segments, query=query)
            if response.status == 404:
                await response.read()
                return None
            if response.status >= 400:
                raise Refusal(response.status, self.clean(await response.message()), "engine", recorded=False)
            return await response.json()

    # -- the answer -------------------------------------------------------------------------

    def start_answer(self, status: int, fields: Iterable[tuple[str, str]], length: int | None) -> None:
        """Write the head of the answer; ``length`` ``None`` means chunked (or until close on HTTP/1.0)."""
        self.client.write(self._answer_head(status, fields, length))

    def _answer_head(self, status: int, fields: Iterable[tuple[str, str]], length: int | None) -> bytes:
        self.answered = True
        if length is None and self.head.minor == 0:
            self.keep = False
        lines = [f"HTTP/1.1 {status} {PHRASES.get(status, 'Status')}", f"Api-Version: {dotted(exchange_version(self))}"]
        lines += [f"{name}: {value}" for name, value in fields]
        if status in (204, 304):
            pass
        elif length is not None:
            lines.append(f"Content-Length: {length}")
        elif self.head.minor:
            lines.append("Transfer-Encoding: chunked")
        if not self.keep:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")

    def send(self, status: int, data: bytes = b"", fields: Iterable[tuple[str, str]] = ()) -> None:
        """Write a whole answer."""
        head = self._answer_head(status, fields, len(data))
        if data and self.head.method != "HEAD" and status not in (204, 304):
            head += data
        self.client.write(head)

    def send_json(self, status: int, value: Any) -> None:
        """Write a whole JSON answer."""
        self.send(status, orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE), JSON_TYPE)

    async def send_response(self, response: Response, data: bytes | None = None) -> None:
        """Pass on an answer of the engine as a whole, or with another body."""
        if response.status >= 400:
            self.send_json(response.status, {"message": self.clean(await response.message())})
            return
        body = await response.read() if data is None else data
        if self.head.method == "HEAD":
            self.start_answer(response.status, passed_fields(response), 0)
            return
        self.send(response.status, body, passed_fields(response))

    def clean(self, message: str) -> str:
        """Return an engine's error text without the names of others' objects (``engine-api.md`` 6.6)."""
        text = self.guard.clean_message(message, self.caller)
        return as_called(text, self.params[0]) if self.params and self.route.template.startswith("/containers/") else text

    async def relay(self, response: Response, *, before_end: Callable[[], Awaitable[None]] | None = None) -> None:
        """Pass on an answer of the engine while it comes, re-framed, with back-pressure.

        Args:
            response: the answer.
            before_end: done before the last byte (an outcome that must be durable).

        """
        if response.status >= 400 or response.head.status in (204, 304):
            await self.send_response(response)
            return
        self.start_answer(response.status, passed_fields(response), response.head.length)
        chunked = response.head.length is None and self.head.minor == 1
        with self.ends_with_client() if self.route.long else nullcontext():
            if isinstance(response.body, Body):
                await Flow(response.body, self.client, chunked=chunked).run()
            else:
                await self._pump(response, chunked=chunked)
        if before_end is not None:
            await before_end()
        if chunked:
            self.client.write(LAST_CHUNK)

    async def _pump(self, response: Response, *, chunked: bool) -> None:
        """Pass on a body that somebody looks at on its way."""
        try:
            while data := await response.body.read():
                self.client.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
                await self.client.drain()
        except ValueError as error:
            raise Gone(str(error)) from error

    @contextmanager
    def ends_with_client(self) -> Iterator[None]:
        """While a long answer comes, the caller's end closes the engine's connection at once (rule S7)."""
        self.give_turn_back()
        self.client.on_eof = self.upstream.close
        try:
            if self.client.eof:
                self.upstream.close()
            yield
        finally:
            self.client.on_eof = None

    async def hijack(self, response: Response, *, fields: Iterable[tuple[str, str]] = ()) -> Channel | None:
        """Join caller and engine if the engine has granted a stream, else pass its answer on (S1).

        Args:
            response: the engine's answer.
            fields: what else the head for the caller says if it is a ``101``.

        Returns:
            The engine's channel of a granted stream.

        """
        granted = response.status == 101 or (response.status == 200 and not response.head.chunked and response.head.length is None)
        if not granted:
            await self.send_response(response)
            return None
        self.answered = True
        self.keep = False
        said = [("Content-Type", response.head.get("content-type") or RAW_STREAM)] if self.route.upgrade in ("", "tcp") else []
        if self.upgrading and response.status == 101:
            line, said = "HTTP/1.1 101 UPGRADED", [*said, ("Connection", "Upgrade"), ("Upgrade", self.route.upgrade), *fields]
        else:
            line = "HTTP/1.1 200 OK"
        self.client.write("\r\n".join([line, *(f"{name}: {value}" for name, value in said), "", ""]).encode("ascii"))
        await self.client.wait_until_read(HEAD_READ_SECONDS)
        self.give_turn_back()
        channel = self.upstream.take()
        splice(self.client, channel)
        self.spliced = channel
        return channel

    @property
    def upgrading(self) -> bool:
        """Whether the caller asks for the protocol that this row may change to; on other rows asking means nothing (S2)."""
        return bool(self.route.upgrade) and self.head.upgrade == self.route.upgrade

    def upgrade_fields(self) -> tuple[tuple[str, str], ...]:
        """Return the upgrade headers for the engine, if the caller asked for what the row may change to."""
        return (("Connection", "Upgrade"), ("Upgrade", self.route.upgrade)) if self.upgrading else ()

    # -- the record -------------------------------------------------------------------------

    def entry(
        self,
        target: Target,
        *,
        action: Action | None = None,
        rule: str | None = None,
        detail: Mapping[str, Any] | None = None,
        req: str | None = None,
    ) -> Entry:
        """Return a record of this request; ``detail`` must hold no secret."""
        chosen = action or self.route.action or Action.READ_REFUSE
        known = {k: v for k, v in (detail or {}).items() if v not in (None, "", [], {})}
        default = self.caller.profile.name if self.caller.profile else "admin"
        return Entry(self.caller.actor, chosen, target, rule or f"{self.route.operation}@{default}", known, req or new_id())

    async def intend(self, entry: Entry, *, also: Callable[[Tx], object] | None = None) -> Intent:
        """Record an intent, and ledger rows that must be there before the engine acts; wait until durable.

        Raises:
            Refusal: 503 or 507, it could not be recorded and nothing was done.

        """
        try:
            intent = await asyncio.wait_for(asyncio.wrap_future(self.guard.journal.submit_intent(entry, also=also)), 5)
        except HostadminError as error:
            raise Refusal(error.status, f"hostadmin: {error.message}", "audit", recorded=False) from error
        except TimeoutError as error:
            raise Refusal(503, "hostadmin: this could not be recorded in time; nothing was done", "audit", recorded=False) from error
        if not self.guard.callers.still_admitted(self.caller):
            await self.conclude(intent, "not-done")
            raise Refusal(403, "hostadmin: access was revoked", "access")
        self.guard.making.begin(entry)
        self._open[intent.seq] = intent
        return intent

    async def conclude(
        self,
        intent: Intent,
        status: str,
        *,
        target: Target | None = None,
        also: Callable[[Tx], object] | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Record an outcome with its ledger rows; wait until durable.

        ``unknown`` (caller or engine were lost on the way) is not the last word: the engine is asked again (``recovery.py``).
        """
        self._open.pop(intent.seq, None)
        known = {k: v for k, v in (detail or {}).items() if v not in (None, "")}
        unknown = status == "unknown"
        write = functools.partial(
            self.guard.journal.submit_outcome, intent, status, target=target, detail=known, also=also, keep_open=unknown
        )
        try:
            await asyncio.shield(asyncio.wrap_future(write()))
            if unknown:
                self.guard.unknown.put_nowait(intent.seq)
        except HostadminError as error:
            self.guard.unwritten.append(write)
            self.keep = False
            text = f"hostadmin: this WAS carried out, but its outcome could not be recorded ({error.key}, request {intent.entry.req})"
            raise Refusal(error.status, text, "audit", recorded=False) from error
        finally:
            self.guard.making.end(intent.entry)

    async def conclude_open(self) -> None:
        """Record what was begun and has no outcome when the request ends: nobody knows what became of it."""
        for intent in list(self._open.values()):
            with suppress(Refusal):
                await self.conclude(intent, "unknown")

    async def change(
        self,
        target: Target,
        method: str,
        *segments: str,
        query: Query | None = None,
        body: Any = None,
        done: Callable[[Tx], object] | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Carry out one recorded change and pass on the engine's answer.

        Args:
            target: what it is about.
            method: HTTP method of the engine's operation; ``segments``, ``query`` and ``body`` belong to it.
            segments: its path.
            query: its checked query.
            body: its checked JSON body.
            done: ledger rows to write with a successful outcome.
            detail: what the record says of it.

        """
        intent = await self.intend(self.entry(target, detail=detail))
        try:
            response = await self.ask(method, *segments, query=query, body=body)
            data = await response.read()
        except Refusal as refusal:  # it was never reached
            await self.conclude(intent, "not-done" if refusal.status == 503 else "unknown")
            raise
        except BaseException:
            await self.conclude(intent, "unknown")
            raise
        ok = response.status < 400
        await self.conclude(intent, "ok" if ok else "error", also=done if ok else None, detail={"http": response.status})
        if not ok:
            self.send_json(response.status, {"message": self.clean(error_message(data))})
            return
        self.send(response.status, data, passed_fields(response))


def exchange_version(exchange: Exchange) -> tuple[int, int]:
    """Return the newest version that both the engine and the guard speak."""
    return min(exchange.guard.engine_version or VERSION_HIGHEST, VERSION_HIGHEST)


def passed_fields(response: Response) -> list[tuple[str, str]]:
    """Return the headers of an engine's answer that are passed on."""
    return [(PASSED_FIELDS[k], v) for k, v in response.head.fields if k in PASSED_FIELDS]


def error_message(data: bytes) -> str:
    """Return the text of an engine's error body."""
    try:
        return str(parse_json(data)["message"])
    except (Refusal, KeyError, TypeError):
        return data.decode("utf-8", "replace").strip()
