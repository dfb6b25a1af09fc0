"""``make bench``: one run of guard, bare engine, HAProxy and any other proxy side by side; writes ``results.md``.

Runs as root inside ``tests/disposable/dhost``; the clients are processes of an ordinary uid that is in the
docker group, with policy, identity and audit on. The same client for all doors, so read the ratios.
"""

import argparse
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.guard import measures
from benchmarks.guard.doors import Door, doors
from benchmarks.guard.load import as_user, fetch
from benchmarks.guard.measures import LOGIN, OTHERS, Row, timed
from tests.integration.people import Student
from tests.integration.stage import ENGINE_SOCKET, GUARD_SOCKET, Engine, Hostadmin, make_stage, until

RESULTS = Path(__file__).parent / "results.md"


def prepare(engine: Engine, hostadmin: Hostadmin, megabytes: int) -> str:
    """Make the user, an own running container, 200 created ones of others, and something big; return the id."""
    assert hostadmin.run("user", "add", LOGIN, "--docker").returncode == 0
    student = Student(LOGIN)
    own = student.ok("run", "-d", "--name", "benchown", "alpine", "sleep", "100000")
    for number in range(OTHERS):
        status, _ = engine.eye.call("POST", f"/containers/create?name=crowd{number}", {"Image": "alpine", "Cmd": ["true"]})
        assert status == 201
    student.ok("exec", own, "sh", "-c", f"dd if=/dev/urandom of=/big bs=1M count={megabytes} 2>/dev/null")
    student.ok("commit", own, f"{LOGIN}/big:v1")
    home = f"/home/{LOGIN}"
    as_user(LOGIN, timed, f"docker -H unix://{GUARD_SOCKET} save -o big.tar {LOGIN}/big:v1", home)
    as_user(LOGIN, timed, f"docker -H unix://{GUARD_SOCKET} cp {own}:/big - >cp.tar", home)
    until("the ledger has come to rest", lambda: len(hostadmin.ask("container", "list")) > OTHERS, 30)
    return own


def report(rows: list[Row], found: list[Door], engine: Engine) -> str:
    """Return the page of results."""
    version = engine.eye.get("/version")
    cpu = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "?")
    proxy = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=False).stdout.split(" 20")[0]
    names = [door.name for door in found]
    others = [name for name in names if name != "guard"]
    head = [
        "# The guard: one run",
        "",
        (
            f"{datetime.now(UTC):%Y-%m-%d}; {os.cpu_count()} cores ({cpu}), Linux {platform.release()}; Docker Engine {version['Version']}, "
            f"{proxy}, Python {platform.python_version()}; load average before: {os.getloadavg()[2]:.1f}."
        ),
        "The client runs as an ordinary uid in the docker group on the same cores; its own cost is in every figure, and it is",
        "the same for all doors, so the ratios say more than the figures. Ratio: 1 = the same, above 1 = the guard is better.",
        "Medians of rounds in which the doors take turns. The guard has identity, policy and audit on; HAProxy looks at the",
        "path only. CPU and memory are those of the door's own processes.",
        "",
        f"| what | unit | {' | '.join(names)} | {' | '.join(f'guard : {name}' for name in others)} |",
        f"|---|---|{'---:|' * (len(names) + len(others))}",
    ]
    lines = [
        f"| {r.name} | {r.unit} | {' | '.join(_figure(r, n) for n in names)} | {' | '.join(r.ratio(n) for n in others)} |" for r in rows
    ]
    return "\n".join([*head, *lines, "", "`sudo make bench` writes this page anew.", ""])


def _figure(row: Row, name: str) -> str:
    value = row.figures.get(name)
    if not value:
        return "-"
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.5, help="per request measurement and round")
    parser.add_argument("--rounds", type=int, default=20, help="per command")
    parser.add_argument("--megabytes", type=int, default=128, help="per bulk measurement")
    parser.add_argument(
        "--proxy", action="append", default=[], metavar="NAME=COMMAND", help="another proxy; {engine} and {socket} stand for the sockets"
    )
    options = parser.parse_args()
    if "DHOST_CGROUP" not in os.environ:
        print("run it with `sudo make bench`: it needs the disposable host", file=sys.stderr)
        return 2
    with make_stage(close=False) as (engine, hostadmin):
        own = prepare(engine, hostadmin, options.megabytes)
        with doors(hostadmin, options.proxy) as found:
            status, _ = as_user(LOGIN, fetch, ENGINE_SOCKET, "/_ping")
            assert status == 200
            rows = measures.requests(found, options.seconds, own)
            rows += measures.commands(found, options.rounds, own)
            rows += measures.streams(found, options.megabytes, own)
            rows += measures.memory(found, own)
            page = report(rows, found, engine)
    print(page)
    RESULTS.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
