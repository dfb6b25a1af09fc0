"""Plays inputs: through the guard and past it, and tells where the two do not mean the same."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from tests.differential.design import REFUSED_BY_ENGINE, differences
from tests.differential.direct import Answer, send
from tests.differential.targets import Request
from tests.differential.through import Through
from tests.differential.world import World
from tests.fuzz.scripted import Verdict

ERROR: Final = 400
REDIRECT: Final = 301
NUMBERS: Final = ("/stats", "/top")
"""Answers whose numbers are other ones each time: only their shape is compared."""


class Play:
    """Counts and reports of all inputs so far."""

    def __init__(self, world: World, through: Through) -> None:
        self.world, self.through = world, through
        self.counts: Counter[str] = Counter()
        self.reports: list[str] = []
        self._baseline: dict[str, Any] = {}

    def run(self, requests: Iterable[Request]) -> None:
        """Play all of them."""
        for request in requests:
            self.counts["generated"] += 1
            self._one(request)

    def _one(self, request: Request) -> None:
        wire = self.world.fill(request)
        before = self._before(request.changes)
        verdict, guard = self.through.send(wire)
        if verdict.failure:
            self._report(wire, verdict, [f"the guard failed: {verdict.failure}"])
        if verdict.refusals or verdict.failure or not guard.status:
            self.counts["refused"] += 1
            self._restore(request.changes, before)
            return
        self.counts["let through"] += 1
        made = self._after(request.changes, before)
        wire = self.world.fill(request)  # what was made anew has another id
        bare = send(self.world.path, wire)
        other = self._after(request.changes, before)
        self.counts["compared"] += 1
        self._report(wire, verdict, self._judge(request, (guard, made), (bare, other)))

    def _before(self, changes: str) -> Any:
        if changes and changes not in self._baseline:
            self._baseline[changes] = self.world.picture(changes)
        return self._baseline.get(changes)

    def _after(self, changes: str, before: Any) -> Any:
        """Return the picture, and put everything back if it is another one."""
        if not changes:
            return None
        found = self.world.picture(changes)
        if found != before:
            self.world.reset(changes)
        return found

    def _restore(self, changes: str, before: Any) -> None:
        """A refused request has changed nothing."""
        if changes and self.world.picture(changes) != before:
            self.reports.append("a refused request has changed something")
            self.world.reset(changes)

    def _judge(self, request: Request, guard: tuple[Answer, Any], bare: tuple[Answer, Any]) -> list[str]:
        if bare[0].status >= REDIRECT or not bare[0].status:
            return self._judge_refused(guard[0], bare[0])
        if guard[0].status != bare[0].status:
            return [f"answers: through the guard {guard[0]}, from the bare engine {bare[0]}"]
        found = list(differences(guard[1], bare[1]))
        if not request.changes:
            found += differences(_comparable(request, guard[0]), _comparable(request, bare[0]))
        return found

    def _judge_refused(self, guard: Answer, bare: Answer) -> list[str]:
        """What the engine refuses, it must refuse from the guard too."""
        if guard.status == bare.status or guard.status >= ERROR:
            self.counts["refused by the engine"] += 1
            return []
        if any(word in f"{bare.status} {bare.body}" for word in REFUSED_BY_ENGINE):
            self.counts["taken by design"] += 1
            return []
        return [f"the engine refuses it: {bare.status} {bare.body}; the guard answered {guard.status} {guard.body}"]

    def _report(self, wire: bytes, verdict: Verdict, found: list[str]) -> None:
        if found:
            asked = "\n".join(f"    {f.method} {f.target} {f.body!r}" for f in verdict.forwarded)
            self.reports.append(f"{wire!r}\n  asked of the engine:\n{asked}\n  " + "\n  ".join(found))


def _comparable(request: Request, answer: Answer) -> Any:
    """Return an answer without what is another one each time."""
    body = answer.body
    if request.target.partition("?")[0].endswith(NUMBERS):
        return answer.status, _shape(body)
    if request.target.startswith("/events") and answer.status < ERROR:
        body = _own_events(body)
    if isinstance(body, list) and all(isinstance(item, dict) for item in body):
        body = sorted(
            ({k: _sorted(v) for k, v in item.items() if k != "Status"} for item in body), key=lambda i: str(i.get("Id") or i.get("ID"))
        )
    return {"status": answer.status, "fields": dict(answer.fields), "body": _sorted(body)}


def _own_events(body: Any) -> list[Any]:
    """Return the events of containers and volumes; the host's own are not the student's."""
    lines = json.dumps(body).encode() if isinstance(body, dict) else body or b""
    events = [json.loads(line) for line in lines.splitlines()]
    return [{**e, "Id": e["timeNano"]} for e in events if e["Type"] in ("container", "volume")]


def _sorted(value: Any) -> Any:
    """Go writes its maps sorted, but not lists that come out of one."""
    if isinstance(value, dict):
        return {k: _sorted(v) for k, v in value.items()}
    if isinstance(value, list):
        return sorted((_sorted(v) for v in value), key=repr)
    return value


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _shape(v) for k, v in value.items()}
    return [_shape(value[0])] if isinstance(value, list) and value else type(value).__name__
