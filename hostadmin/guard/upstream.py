"""Our side of the engine's socket: canonical requests out, parsed answers in.

One connection serves one request at a time (rule T14). Heads are written here and nowhere else, from
checked values; no byte of a caller's head ever comes near.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import orjson

from hostadmin.guard.channel import Channel, Gone
from hostadmin.guard.flows import CRLF, LAST_CHUNK, Body, Readable
from hostadmin.guard.framing import ResponseHead, parse_response_head
from hostadmin.guard.refusal import RULE_ENGINE, Refusal

CONNECT_SECONDS: Final = 5
ANSWER_LIMIT: Final = 64 * 1024 * 1024
UNREACHABLE: Final = (
    "hostadmin: the Docker Engine does not answer now; nothing was done. Try again shortly, "
    "or ask an administrator to run `hostadmin doctor`"
)
LOST: Final = "hostadmin: the Docker Engine was lost in the middle of this: look whether it was done, then try again"
HANGS: Final = "hostadmin: the Docker Engine has not answered in time: try again later, or ask an administrator to run `hostadmin doctor`"
TOO_LARGE: Final = "hostadmin: the Docker Engine's answer is too large"
LOOK_SECONDS: Final = 30
INTERIM_LIMIT: Final = 8
SWITCHING: Final = 101


def unreachable() -> Refusal:
    """Return the 503 for an engine that cannot be reached; nothing was done."""
    return Refusal(503, UNREACHABLE, RULE_ENGINE, recorded=False)


def lost_engine() -> Refusal:
    """Return the 503 for an engine that was lost while it worked on a request: nobody knows what it did."""
    return Refusal(503, LOST, RULE_ENGINE, recorded=False)


def hanging() -> Refusal:
    """Return the 504 for an engine that has not answered a question of our own in time."""
    return Refusal(504, HANGS, RULE_ENGINE, recorded=False)


@dataclass(slots=True)
class Response:
    """One answer of the engine: its head, and its body still to be read."""

    head: ResponseHead
    body: Readable

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.head.status

    async def read(self) -> bytes:
        """Return the whole body, at most 64 MiB.

        Raises:
            Refusal: 502, it is larger.
            Gone: it was cut off, or its framing is malformed.

        """
        try:
            return await self.body.read_all(ANSWER_LIMIT)
        except ValueError as error:
            raise Gone(str(error)) from error
        except Refusal as error:
            raise Refusal(502, TOO_LARGE, RULE_ENGINE, recorded=False) from error

    async def json(self) -> Any:
        """Return the whole body as JSON (``None`` if it is empty).

        Raises:
            Refusal, Gone: as ``read``; ``Gone`` also if it is not JSON.

        """
        data = await self.read()
        try:
            return orjson.loads(data) if data.strip() else None
        except ValueError as error:
            raise Gone("the engine's answer is not JSON") from error

    async def message(self) -> str:
        """Return the engine's error text, whatever shape it has."""
        data = await self.read()
        with suppress(ValueError):
            value = orjson.loads(data)
            if isinstance(value, dict) and isinstance(value.get("message"), str):
                return str(value["message"])
        return data.decode("utf-8", "replace").strip()


class Upstream:
    """One connection to the engine, opened when first needed.

    Args:
        path: the engine's socket.
        learn_version: told the engine's newest API version by the first answer of every new connection: behind the same
            socket may be another engine by now.

    """

    def __init__(self, path: str, learn_version: Callable[[str | None], None] | None = None) -> None:
        self.path = path
        self._learn_version = learn_version
        self.channel: Channel | None = None
        self._busy: Response | None = None

    def beside(self) -> "Upstream":
        """Return another connection to the same engine, for questions while this one is busy."""
        return Upstream(self.path)

    async def request(
        self,
        method: str,
        target: str,
        *,
        body: bytes | None = None,
        raw: bytes = b"",
        stream: AsyncIterator[bytes] | None = None,
        fields: Iterable[tuple[str, str]] = (),
    ) -> Response:
        """Send one request and return its answer's head.

        Args:
            method: HTTP method.
            target: canonical path and query.
            body: a whole JSON body.
            raw: a whole body whose length and type are among ``fields``.
            stream: an opaque body, sent chunked while the answer may already come back.
            fields: further headers, already checked.

        Raises:
            Refusal: 503, the engine cannot be reached.
            Gone: it was reached and then lost: whether the request was done is not known.

        """
        fields = tuple(fields)
        head = _request_head(method, target, body=body, chunked=stream is not None, fields=fields)
        fresh = await self._ready()
        channel = self.channel
        assert channel is not None  # noqa: S101  # _ready opened it
        channel.write(head + (body or raw))
        sender = asyncio.ensure_future(_send(channel, stream)) if stream is not None else None
        try:
            answer = await self._answer(channel, method, upgrading=any(name == "Upgrade" for name, _ in fields))
        except Gone:
            if sender is not None:
                sender.cancel()
            self.close()
            if fresh or stream is not None or method not in ("GET", "HEAD"):
                raise
            return await self.request(method, target, fields=fields)  # an idle connection had ended
        if sender is not None:
            answer.body = _Sending(answer.body, sender)
        self._busy = answer
        if fresh and self._learn_version is not None:
            self._learn_version(answer.head.get("api-version"))
        return answer

    @asynccontextmanager
    async def within(self, seconds: float | None) -> AsyncIterator[None]:
        """Bound questions of our own in time (``None``: not at all); what the caller waits for is never bounded.

        Raises:
            Refusal: 504, the engine has not answered; the connection is closed, so that its answer is nobody's.

        """
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            self.close()
            raise hanging() from None

    async def _ready(self) -> bool:
        """Make sure of an idle connection; return whether it is a new one."""
        if self._busy is not None and not (self._busy.body.done and self._busy.head.keep_alive):
            self.close()
        self._busy = None
        if self.channel is not None and (self.channel.eof or self.channel.lost or self.channel.waiting):  # late bytes: nobody's
            self.close()
        if self.channel is not None:
            return False
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, self.channel = await loop.create_unix_connection(Channel, self.path)
        except (OSError, TimeoutError) as error:
            raise unreachable() from error
        return True

    @staticmethod
    async def _answer(channel: Channel, method: str, *, upgrading: bool) -> Response:
        for _ in range(INTERIM_LIMIT):
            try:
                raw = await channel.read_head()
                if raw is None:
                    raise Gone("the engine closed the connection")
                head = parse_response_head(raw, method=method)
            except (ValueError, Refusal) as error:
                raise Gone(str(error)) from error
            if head.status == SWITCHING and not upgrading:
                raise Gone("the engine changes to a protocol that nobody asked for")
            if head.status >= 200 or head.status == SWITCHING:  # skip 100 Continue
                until_eof = head.length is None and not head.chunked
                return Response(head, Body(channel, head.length, chunked=head.chunked, until_eof=until_eof))
        raise Gone("the engine answers with interim answers only")

    def take(self) -> Channel:
        """Hand over the connection for a splice; this object then has none."""
        channel, self.channel, self._busy = self.channel, None, None
        assert channel is not None  # noqa: S101  # only after an answer
        return channel

    def close(self) -> None:
        """End the connection at once."""
        if self.channel is not None:
            self.channel.abort()
        self.channel = None
        self._busy = None


class _Sending:
    """An answer's body while the request's body may still be on its way: ends both together."""

    def __init__(self, body: Readable, sender: "asyncio.Future[None]") -> None:
        self._body = body
        self._sender = sender

    @property
    def done(self) -> bool:
        return self._body.done and self._sender.done()

    async def read(self) -> bytes:
        data = await self._body.read()
        if self._body.done and not self._sender.done():
            self._sender.cancel()
        if self._sender.done() and not self._sender.cancelled() and self._sender.exception():
            raise Gone("the request's body was cut off") from self._sender.exception()
        return data

    async def read_all(self, limit: int) -> bytes:
        parts, size = [], 0
        while not self._body.done:
            parts.append(await self.read())
            size += len(parts[-1])
            if size > limit:
                raise Gone("too large an answer")
        self._sender.cancel()
        return b"".join(parts)


async def _send(channel: Channel, stream: AsyncIterator[bytes]) -> None:
    try:
        async for data in stream:
            head = b"%x\r\n" % len(data)
            channel.write_parts([head, data, CRLF], len(head) + len(data) + len(CRLF))
            await channel.drain()
        channel.write(LAST_CHUNK)
    except asyncio.CancelledError:
        raise
    except Exception:
        channel.abort()  # the engine must see a cut, not an end
        raise


def _request_head(method: str, target: str, *, body: bytes | None, chunked: bool, fields: Iterable[tuple[str, str]]) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: docker", "User-Agent: hostadmin"]
    lines += [f"{name}: {value}" for name, value in fields]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    elif chunked:
        lines.append("Transfer-Encoding: chunked")
    elif method in ("POST", "PUT") and not any(name == "Content-Length" for name, _ in fields):
        lines.append("Content-Length: 0")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
