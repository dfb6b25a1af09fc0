"""``make bench``: a class by ``hostadmin`` beside the shell loops of the class day; writes ``results.md``.

Runs as root inside ``tests/disposable/dhost``. Both make the same accounts, on the same host, in turns: hostadmin as the
whole service that people run, with plan, journal, ledger and verification, its command line included.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.integration.classes import Trainer, as_csv, classroom, host_state, judge_same, students, write

RESULTS = Path(__file__).parent / "results.md"
GOAL = 3.0
MAKE = """\
while read -r login password; do
  useradd -m "$login"
  echo "$login:$password" | chpasswd
  usermod -a -G docker "$login"
done <"$1"
"""
REMOVE = """\
while read -r login password; do
  userdel -r "$login" 2>/dev/null
done <"$1"
"""


@dataclass
class Row:
    """One measurement: seconds of the loop and of hostadmin, a figure per round; no loop: there is nothing to compare with."""

    name: str
    loop: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)

    def line(self) -> str:
        """Return its line of the table."""
        ours = statistics.median(self.ours)
        if not self.loop:
            return f"| {self.name} | - | {ours:.2f} | - |"
        loop = statistics.median(self.loop)
        return f"| {self.name} | {loop:.2f} | {ours:.2f} | {loop / ours:.2f} |"


def timed(act: Callable[[], object]) -> float:
    """Return how many seconds something takes."""
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def shell(script: str, *argv: str) -> None:
    """Run a shell script, which must succeed."""
    subprocess.run(["bash", "-c", script, "loop", *argv], check=True, capture_output=True)


def measure(trainer: Trainer, count: int, rounds: int) -> list[Row]:
    """Make and remove a class, in turns."""
    rows = students(count)
    roster = str(write("bench.csv", as_csv(rows)))
    names = str(write("bench.txt", "".join(f"{row['login']} Passw0rd-{n:05}\n" for n, row in enumerate(rows))))
    make, again, end = Row(f"make {count} accounts"), Row("apply the same roster again"), Row(f"remove {count} accounts")
    kept, before = Row(f"remove {count} accounts, homes archived"), host_state()
    for number in range(rounds):
        make.loop.append(timed(lambda: shell(MAKE, names)))
        end.loop.append(timed(lambda: shell(REMOVE, names)))
        make.ours.append(timed(lambda: trainer.ok("roster", "apply", roster, "--yes")))
        again.ours.append(timed(lambda: trainer.ok("roster", "apply", roster, "--yes")))
        archive = number % 2 == 1
        ending = kept if archive else end
        extra = () if archive else ("--no-archive",)
        ending.ours.append(timed(lambda extra=extra: trainer.ok("cohort", "end", "bench", "--yes", *extra)))  # type: ignore[misc]
        judge_same(before)
    kept.loop = end.loop
    return [make, again, end, kept]


def report(rows: list[Row], rounds: int) -> str:
    """Return the page of results."""
    cpu = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "?")
    version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "passwd"], capture_output=True, text=True, check=False).stdout
    head = [
        "# Classes: one run",
        "",
        (
            f"{datetime.now(UTC):%Y-%m-%d}; {os.cpu_count()} cores ({cpu}), Linux {platform.release()}; passwd {version or '?'}, "
            f"Python {platform.python_version()}; load average before: {os.getloadavg()[2]:.1f}."
        ),
        f"Medians of {rounds} rounds in which both take turns on one disposable host, its files in memory. The loop is the class",
        "day's: `useradd -m`, a password through `chpasswd`, `usermod -a -G docker` for each; and `userdel -r` for each. hostadmin is",
        "`roster apply --yes` and `cohort end --yes` with the whole service: plan, journal, ledger, forced change, a password of its own",
        "for each, verification of all files, and the command line's own start. Ratio: above 1 = hostadmin is faster.",
        "",
        "| what | loop, s | hostadmin, s | loop : hostadmin |",
        "|---|---:|---:|---:|",
    ]
    return "\n".join([*head, *(row.line() for row in rows), "", "`sudo make bench` writes this page anew.", ""])


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=4, choices=range(2, 100), metavar="N", help="at least 2")
    options = parser.parse_args()
    if "DHOST_CGROUP" not in os.environ:
        print("run it with `sudo make bench`: it needs the disposable host", file=sys.stderr)
        return 2
    with classroom() as trainer:
        rows = measure(trainer, options.users, options.rounds)
        page = report(rows, options.rounds)
    print(page)
    RESULTS.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
