"""The guard's own code in process, as in ``tests.fuzz.scripted``, in front of a real engine; what it asks is written down."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from hostadmin.core.values import Attribution, Kind
from hostadmin.guard.flows import Readable
from hostadmin.guard.upstream import ANSWER_LIMIT, Response, Upstream
from hostadmin.store import images, objects
from tests.differential.direct import Answer, read_answer
from tests.fuzz.scripted import Forwarded, Pipeline, Verdict


class _Whole:
    """A body that has come as a whole."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.done = not data

    async def read(self) -> bytes:
        """Return all of it; then the end."""
        data, self._data, self.done = self._data, b"", True
        return data

    async def read_all(self, limit: int) -> bytes:
        """Return all of it."""
        assert len(self._data) <= limit
        return await self.read()


class Recording(Upstream):
    """The guard's own way to the engine, which keeps what was asked and hands answers on as a whole."""

    def __init__(self, path: str, asked: list[Forwarded] | None = None) -> None:
        super().__init__(path)
        self.asked: list[Forwarded] = [] if asked is None else asked

    def beside(self) -> "Recording":
        """Return another connection that writes into the same book."""
        return Recording(self.path, self.asked)

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
        """Write it down, ask, and return the whole answer."""
        fields = tuple(fields)
        self.asked.append(Forwarded(method, target, body or raw, fields))
        response = await super().request(method, target, body=body, raw=raw, stream=stream, fields=fields)
        data = await response.body.read_all(ANSWER_LIMIT)
        whole: Readable = _Whole(data)
        return Response(response.head, whole)


class Through(Pipeline):
    """The guard for one student, ``mallory``, in front of the engine at ``engine``."""

    def __init__(self, place: Path, engine: str, versions: dict[str, Any]) -> None:
        super().__init__(place)
        self.engine = engine
        self.guard.learn_versions(versions)
        self._loop = asyncio.new_event_loop()

    def close(self) -> None:
        """Close the ledger and the loop."""
        super().close()
        self._loop.close()

    def own(self, kind: Kind, ref: str, name: str) -> None:
        """Give the student an object of the engine."""
        self.database.write(lambda tx: objects.put(tx, kind, ref, name=name, owner_id=self.owner, attribution=Attribution.GUARD))

    def disown(self, kind: Kind, ref: str) -> None:
        """Record that an object is gone."""
        self.database.write(lambda tx: objects.mark_gone(tx, kind, [ref]))

    def own_tag(self, tag: str, image: str) -> None:
        """Give the student a tag (normalised) and the image that it names."""

        def work(tx: Any) -> None:
            images.put_tag(tx, tag, image, self.owner)
            images.hold(tx, image, self.owner, "tag")

        self.database.write(work)

    def send(self, request: bytes) -> tuple[Verdict, Answer]:
        """Return what became of one request and what its caller was answered."""
        verdict = self._loop.run_until_complete(self._play(request))
        return verdict, read_answer(verdict.answer, request.partition(b" ")[0].decode("latin-1"))

    async def _play(self, request: bytes) -> Verdict:
        verdict = Verdict()
        raw, end, data = request.partition(b"\r\n\r\n")
        upstream = Recording(self.engine)
        await self._one(raw + end, data, upstream, verdict)  # type: ignore[arg-type]
        upstream.close()
        return verdict
