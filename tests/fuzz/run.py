"""``python -m tests.fuzz.run``: send mutated real requests as a student and look at engine and host after each batch.

Runs as root inside ``tests/disposable/dhost``. A violation is reported with seed, numbers and bytes, cut down to the
fewest requests that do it. The same seed and numbers draw the same requests: a run goes on where another one ended.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

from tests.fuzz.generator import Generator, Refs
from tests.fuzz.scripted import REFS, Pipeline
from tests.fuzz.wire import Attacker, Outcome
from tests.fuzz.world import ATTACKER, World
from tests.integration.stage import GUARD_SOCKET, make_stage

BATCH: Final = 1000
SIEVE: Final = 20


class Fuzz:
    """A run over a range of requests on one stage."""

    def __init__(self, world: World, seed: str, *, workers: int = 16, batch: int = BATCH, sieve: bool = False) -> None:
        self.world, self.seed, self.batch = world, seed, batch
        self.generator = Generator(seed)
        self.attacker = Attacker(ATTACKER, GUARD_SOCKET, seed, workers)
        self.place = tempfile.TemporaryDirectory()
        self.pipeline = Pipeline(Path(self.place.name)) if sieve else None  # after the fork: it has threads
        self.total = Outcome()
        self.sent = self.skipped = 0
        self.reports: list[str] = []

    def run(self, start: int, stop: int, *, seconds: float = 0) -> int:
        """Send the requests from ``start`` to ``stop``, at most for so long; return the number to go on with."""
        end = time.monotonic() + seconds
        while start < stop and not (seconds and time.monotonic() > end):
            drawn = list(range(start, min(start + self.batch, stop)))
            indices = asyncio.run(self._sieved(drawn))
            self.skipped += len(drawn) - len(indices)
            refs = self.world.prepare()
            problems = self.send(indices, refs)
            if problems:
                self.reports.append(self.report(indices, refs, problems))
            start = drawn[-1] + 1
        return start

    async def _sieved(self, indices: list[int]) -> list[int]:
        """Return the requests that the guard's code alone does not refuse, and some that it does."""
        if self.pipeline is None:
            return indices
        kept = []
        for index in indices:
            verdict = await self.pipeline.judge(self.generator.request(index, REFS)[1])
            if not verdict.refusals or verdict.changes or index % SIEVE == 0:
                kept.append(index)
        return kept

    def end(self) -> None:
        """End the attacker's process and forget the ledger of the sieve."""
        self.attacker.end()
        if self.pipeline is not None:
            self.pipeline.close()
        self.place.cleanup()

    def send(self, indices: list[int], refs: Refs, *, workers: int | None = None) -> list[str]:
        """Send one batch and return all that is wrong afterwards."""
        outcome = self.attacker.run(indices, refs, self.world.canaries, workers=workers)
        self.sent += len(indices)
        self.total.statuses += outcome.statuses
        self.total.passed += outcome.passed
        self.total.unanswered += outcome.unanswered
        told = [f"request {i}: the answer tells {text}" for i, text in outcome.leaks] + [
            f"request {i}: {text}" for i, text in outcome.broken
        ]
        return told + self.world.violations()

    def report(self, indices: list[int], refs: Refs, problems: list[str]) -> str:
        """Return what is wrong with the fewest requests that make it so, byte for byte."""
        named = [i for i in indices if any(p.startswith(f"request {i}:") for p in problems)]
        fewest = named or self._fewest(indices)
        if not named:
            refs = self.world.prepare()
        generator = self.generator
        shown = [f"  {i} {generator.draft(i)[0].notes}: {generator.request(i, refs)[1]!r}" for i in fewest[:5]]
        return "\n".join([f"seed {self.seed!r}, requests {fewest[:20]}:", *(f"  {p}" for p in problems[:10]), *shown])

    def _fewest(self, indices: list[int]) -> list[int]:
        """Halve the requests as long as one half alone still does it, one after the other."""
        while len(indices) > 1:
            middle = len(indices) // 2
            for half in (indices[:middle], indices[middle:]):
                self.world.before = self.world.snapshot()
                if self.send(half, self.world.prepare(), workers=1):
                    indices = half
                    break
            else:
                break
        return indices


def summary(fuzz: Fuzz, seconds: float) -> str:
    """Return what was run, in a few lines."""
    classes = Counter({f"{s}": n for s, n in sorted(fuzz.total.statuses.items())})
    passed = ", ".join(f"{name} {n}" for name, n in fuzz.total.passed.most_common(40))
    return (
        f"{fuzz.sent} requests of seed {fuzz.seed!r} in {seconds:.0f} s ({fuzz.sent / max(seconds, 0.001):.0f}/s), "
        f"{fuzz.skipped} more refused by the guard's code alone, "
        f"{len(fuzz.reports)} violations, {fuzz.total.unanswered} without an answer\n"
        f"statuses: {dict(classes)}\nlet through: {passed}"
    )


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--seconds", type=float, default=0, help="end after so long; 0 = only when all are sent")
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--sieve", action="store_true", help="judge all, send few of those that the guard's code refuses without an engine")
    asked = parser.parse_args()
    began = time.monotonic()
    with make_stage() as (engine, hostadmin):
        fuzz = Fuzz(World(engine, hostadmin), asked.seed, workers=asked.workers, batch=asked.batch, sieve=asked.sieve)
        position, stop, shown = asked.start, asked.start + asked.count, 0
        while position < stop and not (asked.seconds and time.monotonic() - began > asked.seconds):
            position = fuzz.run(position, min(position + 10 * asked.batch, stop))
            for report in fuzz.reports[shown:]:
                print(report, flush=True)
            shown = len(fuzz.reports)
            print(f"... up to {position} after {time.monotonic() - began:.0f} s", flush=True)
        fuzz.end()
        print(summary(fuzz, time.monotonic() - began))
        print(f"go on with --seed {asked.seed} --start {position}")
    sys.exit(1 if fuzz.reports else 0)


if __name__ == "__main__":
    main()
