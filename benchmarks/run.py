"""``make bench``: one run of guard, bare engine and HAProxy side by side; prints and writes ``results.md``.

Runs as root inside ``tests/disposable/dhost``; the clients are processes of an ordinary uid that is in the
docker group, with policy, identity and audit on. The same client for all three, so read the ratios.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.load import as_user, fetch, latency, new_connections, throughput
from tests.integration.people import Student
from tests.integration.stage import ENGINE_SOCKET, GUARD_SOCKET, Engine, Eye, Hostadmin, make_stage, until

HERE = Path(__file__).parent
LOGIN = "bench"
OTHERS = 200
HAPROXY_SOCKET = "/run/haproxy.sock"
DOORS = {"engine": ENGINE_SOCKET, "guard": GUARD_SOCKET, "haproxy": HAPROXY_SOCKET}
HAPROXY = f"""\
global
  nbthread {os.cpu_count() or 1}
defaults
  mode http
  timeout client 10m
  timeout server 10m
  timeout connect 5s
  timeout tunnel 10m
frontend people
  bind unix@{HAPROXY_SOCKET} mode 666
  http-request deny unless {{ path,url_dec -m reg -i ^(/v[\\d\\.]+)?/(_ping|version|info|events|containers|images|networks|volumes|exec|build|commit) }}
  default_backend engine
backend engine
  server engine unix@{ENGINE_SOCKET}
"""


class Row:
    """One measurement: a figure per door; ``more`` says whether more is better."""

    def __init__(self, name: str, unit: str, *, more: bool) -> None:
        self.name, self.unit, self.more = name, unit, more
        self.figures: dict[str, float] = {}

    def ratio(self, other: str) -> str:
        """Return how good the guard is beside ``other``: 1 = the same, above = better."""
        guard, there = self.figures["guard"], self.figures[other]
        if not guard or not there:
            return "-"
        return f"{guard / there if self.more else there / guard:.2f}"

    def line(self) -> str:
        """Return the row of the table."""
        cells = [f"{self.figures[d]:,.2f}" if self.figures[d] < 100 else f"{self.figures[d]:,.0f}" for d in DOORS]
        return f"| {self.name} | {self.unit} | {' | '.join(cells)} | {self.ratio('engine')} | {self.ratio('haproxy')} |"


@contextmanager
def haproxy() -> Iterator[None]:
    """HAProxy as the usual socket proxy: paths by pattern, everything else passed on."""
    config = Path("/run/haproxy.cfg")
    config.write_text(HAPROXY)
    process = subprocess.Popen(["haproxy", "-db", "-f", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        until("HAProxy answers", Eye(HAPROXY_SOCKET).up, 10)
        yield
    finally:
        process.terminate()
        process.wait(10)


def requests(seconds: float, own: str) -> list[Row]:
    """Small requests over kept and over new connections."""
    rows = []
    targets = {
        "_ping": "/_ping",
        "inspect of an own container": f"/v1.41/containers/{own}/json",
        f"list with {OTHERS} containers of others": "/v1.41/containers/json?all=1",
    }
    for name, target in targets.items():
        many = Row(f"{name}, 8 connections", "requests/s", more=True)
        median = Row(f"{name}, 1 connection, median", "ms", more=False)
        tail = Row(f"{name}, 1 connection, 99 %", "ms", more=False)
        for door, path in DOORS.items():
            many.figures[door] = as_user(LOGIN, throughput, path, target, seconds, 8).per_second
            one = as_user(LOGIN, latency, path, target, seconds)
            median.figures[door], tail.figures[door] = one.median_ms, one.p99_ms
        rows += [many, median, tail]
    fresh = Row("new connection with one _ping", "connections/s", more=True)
    for door, path in DOORS.items():
        fresh.figures[door] = as_user(LOGIN, new_connections, path, "/_ping", seconds).per_second
    return [*rows, fresh]


def commands(rounds: int, own: str) -> list[Row]:
    """What a person waits for at the CLI; the doors take turns, so that drift hits all alike."""
    rows = []
    for name, argv in {
        "docker ps": ["ps"],
        "docker run --rm alpine true": ["run", "--rm", "alpine", "true"],
        "docker exec own true": ["exec", own, "true"],
    }.items():
        times: dict[str, list[float]] = {door: [] for door in DOORS}
        for _ in range(rounds):
            for door, path in DOORS.items():
                student = Student(LOGIN, socket=path)
                begin = time.perf_counter()
                student.ok(*argv)
                times[door].append((time.perf_counter() - begin) * 1e3)
        row = Row(f"`{name}`, median", "ms", more=False)
        row.figures = {door: statistics.median(found) for door, found in times.items()}
        rows.append(row)
    return rows


def streams(megabytes: int, own: str) -> list[Row]:
    """Bulk through the CLI: save, load, cp out, and the output of an exec."""
    home = Path(f"/home/{LOGIN}")
    shell = "docker -H unix://{path} "
    work = {
        "docker save": shell + "save big:v1 >/dev/null",
        "docker load": shell + f"load -q -i {home}/big.tar",
        "docker cp out": shell + f"cp {own}:/big - >/dev/null",
        "docker cp in": shell + f"cp - {own}:/tmp <{home}/cp.tar",
        "attached stream (exec)": shell + f"exec {own} dd if=/dev/zero bs=1M count={megabytes * 4} 2>/dev/null >/dev/null",
    }
    rows = []
    for name, command in work.items():
        amount = megabytes * 4 if "stream" in name else megabytes
        row = Row(f"{name}, {amount} MB", "MB/s", more=True)
        for door, path in DOORS.items():
            best = min(as_user(LOGIN, timed, command.format(path=path), str(home)) for _ in range(2))
            row.figures[door] = amount / best
        rows.append(row)
    return rows


def timed(command: str, home: str) -> float:
    """Run a shell command, which must succeed; return its seconds."""
    begin = time.perf_counter()
    environ = {"HOME": home, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["/bin/sh", "-c", command], env=environ, cwd=home, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr}")
    return time.perf_counter() - begin


def prepare(engine: Engine, hostadmin: Hostadmin, megabytes: int) -> str:
    """Make the user, an own running container, 200 created ones of others, and something big; return the id."""
    for login in (LOGIN, "crowd"):
        assert hostadmin.run("user", "add", login, "--docker").returncode == 0
    student = Student(LOGIN)
    own = student.ok("run", "-d", "--name", "benchown", "alpine", "sleep", "100000")
    crowd = Student("crowd")
    for number in range(OTHERS):
        crowd.ok("create", "--name", f"crowd{number}", "alpine", "true")
    student.ok("exec", own, "sh", "-c", f"dd if=/dev/urandom of=/big bs=1M count={megabytes}")
    engine.eye.call("POST", f"/commit?container={own}&repo=big&tag=v1")  # by root: the host's, so all may save it
    home = Path(f"/home/{LOGIN}")
    until("the image is known", lambda: "big" in student.ok("images", "--format", "{{.Repository}}"), 30)
    as_user(LOGIN, timed, f"docker -H unix://{GUARD_SOCKET} tag big:v1 {LOGIN}/big:v1", str(home))
    as_user(LOGIN, timed, f"docker -H unix://{GUARD_SOCKET} save -o big.tar {LOGIN}/big:v1", str(home))
    as_user(LOGIN, timed, f"docker -H unix://{GUARD_SOCKET} cp {own}:/big - >cp.tar", str(home))
    return own


def report(rows: list[Row], engine: Engine, guard_rss: int) -> str:
    """Return the page of results."""
    version = engine.eye.get("/version")
    cpu = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "?")
    proxy = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=False).stdout.split(" 20")[0]
    head = [
        "# Benchmarks: one run",
        "",
        (
            f"{datetime.now(UTC):%Y-%m-%d}; {os.cpu_count()} cores ({cpu}), Linux {platform.release()}; Docker Engine {version['Version']}, "
            f"{proxy}, Python {platform.python_version()}."
        ),
        "The client runs as an ordinary uid in the docker group on the same cores; its own cost is in every figure, and it is",
        "the same for all three doors, so the ratios say more than the figures. Ratio: 1 = the same, above 1 = the guard is better.",
        "The guard has identity, policy and audit on; HAProxy looks at the path only.",
        "",
        "| what | unit | engine | guard | HAProxy | guard : engine | guard : HAProxy |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    tail = ["", f"Memory of the guard after all of it: {guard_rss / 1024:.0f} MB.", "", "`sudo make bench` writes this page anew.", ""]
    return "\n".join([*head, *(r.line() for r in rows), *tail])


def resident(pid: int) -> int:
    """Return a process's resident memory in KB."""
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1])


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="per request measurement")
    parser.add_argument("--rounds", type=int, default=20, help="per command")
    parser.add_argument("--megabytes", type=int, default=128, help="per bulk measurement")
    options = parser.parse_args()
    if "DHOST_CGROUP" not in os.environ:
        print("run it with `sudo make bench`: it needs the disposable host", file=sys.stderr)
        return 2
    with make_stage(close=False) as (engine, hostadmin), haproxy():
        own = prepare(engine, hostadmin, options.megabytes)
        status, _ = as_user(LOGIN, fetch, ENGINE_SOCKET, "/_ping")
        assert status == 200
        rows = requests(options.seconds, own)
        rows += commands(options.rounds, own)
        rows += streams(options.megabytes, own)
        page = report(rows, engine, resident(hostadmin.part("guard")))
    print(page)
    (HERE / "results.md").write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
