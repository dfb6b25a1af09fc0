"""``python -m tests.fuzz.pure``: the generator against the guard's code with a scripted engine; no root, no Docker.

Every request that is drawn is judged here; what the guard would send to the engine is checked against
``tests.fuzz.promise``. ``tests.fuzz.run`` sends the same requests, by the same numbers, through sockets to a real engine.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.generator import Generator, fill
from tests.fuzz.promise import broken_promises
from tests.fuzz.scripted import REFS, Pipeline


class Tally:
    """What came of a run of requests through the pipeline."""

    def __init__(self) -> None:
        self.sent = self.refused = self.passed = self.changes = 0
        self.operations: Counter[str] = Counter()
        self.wrong: list[tuple[int, bytes, list[str]]] = []


async def play(seed: str, start: int, stop: int, place: Path, *, seconds: float = 0) -> Tally:
    """Judge requests ``start`` to ``stop``, at most for so long."""
    generator, pipeline, tally = Generator(seed), Pipeline(place), Tally()
    end = time.monotonic() + seconds
    for index in range(start, stop):
        if seconds and index % 100 == 0 and time.monotonic() > end:
            break
        draft, rng = generator.draft(index)
        data = draft.render(lambda kind, rng=rng, index=index: fill(rng, kind, REFS, index))
        verdict = await pipeline.judge(data)
        wrong = broken_promises(verdict, REFS, pipeline.owner)
        tally.sent += 1
        tally.refused += bool(verdict.refusals)
        tally.passed += not verdict.refusals and bool(verdict.answer)
        tally.changes += bool(verdict.changes)
        if verdict.changes:
            tally.operations[draft.operation] += 1
        if wrong:
            tally.wrong.append((index, data, wrong))
    pipeline.close()
    return tally


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--seed", default="1")
    asked = parser.parse_args()
    began, done = time.monotonic(), 0
    total = Tally()
    for start in range(asked.start, asked.start + asked.count, 50_000):
        stop = min(start + 50_000, asked.start + asked.count)
        with tempfile.TemporaryDirectory() as place:
            tally = asyncio.run(play(asked.seed, start, stop, Path(place)))
        for name in ("sent", "refused", "passed", "changes"):
            setattr(total, name, getattr(total, name) + getattr(tally, name))
        total.operations += tally.operations
        total.wrong += tally.wrong
        for index, data, wrong in tally.wrong[:10]:
            print(f"request {index}: {wrong}\n  {data!r}"[:3000], flush=True)
        done = stop
        print(f"... up to {done} after {time.monotonic() - began:.0f} s, {len(total.wrong)} broken promises", flush=True)
    print(
        f"{total.sent} requests of seed {asked.seed!r} ({asked.start} to {done}) in {time.monotonic() - began:.0f} s: {total.refused} refused, "
        f"{total.passed} answered, {total.changes} with a change for the engine; {len(total.wrong)} broken promises"
    )
    print(", ".join(f"{name} {n}" for name, n in total.operations.most_common()))
    sys.exit(1 if total.wrong else 0)


if __name__ == "__main__":
    main()
