"""Images that come in from the caller: load, import, commit; under tags of the caller's own, claimed before they are set."""

import json
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Intent
from hostadmin.core.images import familiar, parse_reference
from hostadmin.core.labels import OWNER_LABEL, REQUEST_LABEL, RESERVED_PREFIX
from hostadmin.guard import bodies
from hostadmin.guard.exchange import Exchange, error_message, passed_fields
from hostadmin.guard.refusal import Refusal, malformed
from hostadmin.guard.rules import containers, resolve, tags
from hostadmin.guard.rules.images import target
from hostadmin.guard.rules.imagetar import Contents, image_stream, read_contents
from hostadmin.guard.rules.progress import Progress, imported, loaded
from hostadmin.guard.rules.tarstream import TarStream
from hostadmin.guard.rules.uploads import Upload
from hostadmin.guard.target import Query
from hostadmin.guard.upstream import Response
from hostadmin.policy import admission
from hostadmin.store.database import Tx

CHANGES: Final = frozenset(["CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"])
NO_LABELS: Final = f'LABEL {OWNER_LABEL}="" {REQUEST_LABEL}=""'
Rows = Callable[[Tx], None]


class Arrival:
    """One image on its way in: recorded and claimed before, settled after, whatever happens in between.

    Args:
        x: the exchange.
        how: build, load, pull or import.
        progress: listens to the engine's answer.

    """

    def __init__(self, x: Exchange, how: str, progress: Progress) -> None:
        self.x = x
        self.how = how
        self.progress = progress
        self.wanted: list[str] = []
        self.extra: Callable[[], Awaitable[list[str]]] | None = None  # further images that a success gives to the caller
        self.rows: Callable[[], Awaitable[Rows]] | None = None  # further rows of a success
        self.may_be_done: Callable[[], bool] = lambda: True
        self._intent: Intent | None = None
        self._under_way = ExitStack()

    async def begin(self, x: Exchange, entry: Entry, wanted: list[str]) -> None:
        """Make the intent and the claims durable (on ``x``'s connection, which may be another than the answer's)."""
        self.wanted = wanted
        self._under_way.enter_context(x.guard.tags.being_set(wanted))
        self._intent = await x.intend(entry, also=tags.claim(x, wanted))

    async def send(self, upload: Upload, *segments: str, query: Query) -> None:
        """Send an upload and carry its answer; if the engine never gets its end, nothing can have been done."""
        self.may_be_done = lambda: upload.released
        await self.carry(lambda: upload.ask(*segments, query=query))

    async def carry(self, ask: Callable[[], Awaitable[Response]]) -> None:
        """Ask the engine, pass its progress on, and conclude before its last byte."""
        with self._under_way:
            try:
                response = await ask()
                self.progress.listen(response)
                if response.status >= 400:
                    self.progress.failed = True
                    message = self.x.clean(await response.message())
                    await self._conclude()
                    self.x.send_json(response.status, {"message": message})
                    return
                await self.x.relay(response, before_end=self._conclude)
            except BaseException:
                await self._cut()
                raise

    async def carry_quietly(self, ask: Callable[[], Awaitable[Response]]) -> None:
        """Ask the engine and wait for its end; nothing is passed on.

        Raises:
            Refusal: it failed, in the engine's words.

        """
        with self._under_way:
            try:
                response = await ask()
                self.progress.listen(response)
                message = await response.message() if response.status >= 400 else ""
                while not self.progress.done:
                    await self.progress.read()
                self.progress.failed |= bool(message)
                await self._conclude()
            except BaseException:
                await self._cut()
                raise
        if self.progress.failed:
            raise Refusal(404, self.x.clean(message or self.progress.error), "engine", recorded=False)

    async def _conclude(self) -> None:
        intent, self._intent = self._intent, None
        if intent is None:
            return
        found = await self.progress.known(self.x)
        more: Rows | None = None
        if not self.progress.failed:
            found += await self.extra() if self.extra else []
            more = await self.rows() if self.rows else None
        settled = await tags.settle(self.x, self.wanted, self.how, found)
        status = "error" if self.progress.failed else "ok"
        await self.x.conclude(intent, status, also=_both(settled, more), detail={"images": found[:20]})

    async def _cut(self) -> None:
        """After a stream that was cut off or refused, what is there is settled on a connection of its own."""
        intent, self._intent = self._intent, None
        if intent is None:
            return
        self.x.upstream.close()
        maybe = self.may_be_done()
        try:
            work: Rows | None = await tags.settle(self.x, self.wanted, self.how, drop=not maybe)
        except Exception:  # the engine is away: the resync will settle them
            work = None
        await self.x.conclude(intent, "unknown" if maybe else "not-done", also=work)


def _both(first: Rows, second: Rows | None) -> Rows:
    def work(tx: Tx) -> None:
        first(tx)
        if second is not None:
            second(tx)

    return work


async def load(x: Exchange) -> None:
    """Load a saved tar: while it streams to the engine its tags are read; what sets them is held back until it is judged."""
    arrival = Arrival(x, "load", Progress(loaded))
    stream = image_stream()

    async def judge(other: Exchange) -> None:
        contents = read_contents(stream)
        wanted = [await tags.check_tag(other, name) for name, image in contents.names.items() if not await _is_so(other, name, image)]
        detail = {"images": contents.ids[:20], "tags": [familiar(t) for t in wanted]}
        entry = x.entry(target(x, None, ", ".join(familiar(t) for t in wanted) or None), detail=detail)
        if not x.query.text("platform"):  # with it the engine passes over images without a word
            arrival.extra = lambda: _there(x, contents)
        await arrival.begin(other, entry, wanted)

    upload = Upload(x, "this image file", stream, judge)
    await arrival.send(upload, "images", "load", query=x.query.pairs("quiet", "platform"))


async def _is_so(x: Exchange, name: str, image: str) -> bool:
    """Tell whether a visible tag names exactly this image already: loading it again moves nothing."""
    reference = parse_reference(name)
    found = await x.look("images", name, "json") if image and reference else None
    return found is not None and reference is not None and found["Id"] == image and resolve.may_name(x, reference.tagged, image)


async def _there(x: Exchange, contents: Contents) -> list[str]:
    """Return those images of a file that the engine has now: who brought the whole file holds them."""
    return [image for image in contents.ids if await x.look("images", image, "json") is not None]


async def import_(x: Exchange) -> None:
    """Make an image of a tar in the request's body (never from an address)."""
    if x.query.text("fromSrc") != "-":
        raise malformed("import from an address is refused: the engine would fetch it; use a file", status=403)
    changes = changes_of(x)
    wanted = await _wanted(x)
    query = [("fromSrc", "-"), *_tag_query(wanted), *x.query.pairs("message", "platform"), *(("changes", line) for line in changes)]
    arrival = Arrival(x, "import", Progress(imported))
    shown = [familiar(t) for t in wanted]
    entry = x.entry(target(x, None, ", ".join(shown) or None), action=Action.IMAGE_IMPORT, detail={"tags": shown})
    await arrival.begin(x, entry, wanted)
    upload = Upload(x, "this import", TarStream(frozenset(), 0))
    await arrival.send(upload, "images", "create", query=query)


async def _wanted(x: Exchange) -> list[str]:
    """Return the checked tag that ``repo`` and ``tag`` name, if they name one."""
    repo, tag = x.query.text("repo"), x.query.text("tag")
    return [await tags.check_tag(x, f"{repo}:{tag}" if tag else repo)] if repo else []


def _tag_query(wanted: list[str]) -> list[tuple[str, str]]:
    if not wanted:
        return []
    repository, _, tag = wanted[0].rpartition(":")
    return [("repo", repository), ("tag", tag)]


def changes_of(x: Exchange) -> list[str]:
    """Return the checked ``changes``: each one line, one instruction from a list, no reserved labels (3.7)."""
    lines = [line for change in x.query.texts("changes") for line in change.split("\n") if line.strip()]
    for line in lines:
        word = line.split(None, 1)[0].upper()
        if word not in CHANGES or "\r" in line or "\\" in line:
            raise malformed(f"change {line[:64]!r} is not allowed: one line each of {', '.join(sorted(CHANGES))}", status=403)
        bare = line.replace('"', "").replace("'", "").casefold()
        if word == "LABEL" and (RESERVED_PREFIX in bare or "$" in line):
            raise malformed(f"labels under {RESERVED_PREFIX!r} are hostadmin's own, and labels hold no variables here", status=403)
    return lines


async def commit(x: Exchange) -> None:
    """Make an image of an own container, under a tag of the caller's own, without hostadmin's labels."""
    violations: list[str] = []
    body: dict[str, Any] = await x.read_json(bodies.COMMIT, optional=True, refusals=violations)
    violations += admission.find_reserved_labels(body.get("Labels"))
    if violations:
        raise containers.refusal_of(x, "commit this container", violations)
    changes = changes_of(x)
    full, _ = await resolve.container(x, x.query.text("container"))
    wanted = await _wanted(x)
    query = [("container", full), *_tag_query(wanted), *x.query.pairs("comment", "author", "pause")]
    query += [("changes", line) for line in [*changes, NO_LABELS]]
    with x.guard.tags.being_set(wanted):
        entry = x.entry(containers.target(x, full, x.query.text("container")), detail={"tags": [familiar(t) for t in wanted]})
        intent = await x.intend(entry, also=tags.claim(x, wanted))
        try:
            response = await x.ask("POST", "commit", query=query, body=body)
            data = await response.read()
        except BaseException:
            await x.conclude(intent, "unknown")
            raise
        ok = response.status == 201
        made = [json.loads(data)["Id"]] if ok else []
        await x.conclude(intent, "ok" if ok else "error", also=await tags.settle(x, wanted, "commit", made))
    if not ok:
        x.send_json(response.status, {"message": x.clean(error_message(data))})
        return
    x.send(201, data, passed_fields(response))
