"""What is measured, row by row. The doors take turns in every round, so that a drift of the machine hits all alike."""

import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.guard.doors import Door
from benchmarks.guard.load import Idle, as_user, latency, new_connections, throughput
from tests.integration.people import Student

LOGIN = "bench"
OTHERS = 200
ROUNDS = 3
STREAMS = 500


class Row:
    """One measurement: a figure per door; ``more`` says whether more is better."""

    def __init__(self, name: str, unit: str, *, more: bool) -> None:
        self.name, self.unit, self.more = name, unit, more
        self.figures: dict[str, float] = {}

    def ratio(self, other: str) -> str:
        """Return how good the guard is beside ``other``: 1 = the same, above = better."""
        guard, there = self.figures.get("guard"), self.figures.get(other)
        if not guard or not there:
            return "-"
        return f"{guard / there if self.more else there / guard:.2f}"


def in_turns(doors: list[Door], work: Callable[[Door], float], rounds: int = ROUNDS) -> dict[str, float]:
    """Return each door's median of ``work``, done in turns."""
    found: dict[str, list[float]] = {door.name: [] for door in doors}
    for _ in range(rounds):
        for door in doors:
            found[door.name].append(work(door))
    return {name: statistics.median(values) for name, values in found.items()}


def requests(doors: list[Door], seconds: float, own: str) -> list[Row]:
    """Small requests over kept and over new connections, and the CPU that a door uses for one."""
    rows = []
    targets = {
        "`_ping`": "/_ping",
        "inspect of an own container": f"/v1.41/containers/{own}/json",
        f"list with {OTHERS} containers of others": "/v1.41/containers/json?all=1",
    }
    for name, target in targets.items():
        many = Row(f"{name}, 8 connections", "requests/s", more=True)
        used = Row(f"{name}, CPU of the door", "µs/request", more=False)
        median = Row(f"{name}, 1 connection, median", "ms", more=False)
        tail = Row(f"{name}, 1 connection, 99 %", "ms", more=False)
        cpu: dict[str, list[float]] = {door.name: [] for door in doors}

        def busy(door: Door, target: str = target, cpu: dict[str, list[float]] = cpu) -> float:
            before = door.cpu()
            rate = as_user(LOGIN, throughput, door.socket, target, seconds, 8).per_second
            cpu[door.name].append((door.cpu() - before) / (rate * seconds) * 1e6)
            return float(rate)

        many.figures = in_turns(doors, busy)
        used.figures = {name: statistics.median(values) for name, values in cpu.items()}
        ones: dict[str, list[tuple[float, float]]] = {door.name: [] for door in doors}

        def single(door: Door, target: str = target, ones: dict[str, list[tuple[float, float]]] = ones) -> float:
            one = as_user(LOGIN, latency, door.socket, target, seconds)
            ones[door.name].append((one.median_ms, one.p99_ms))
            return float(one.median_ms)

        median.figures = in_turns(doors, single)
        tail.figures = {name: statistics.median(p99 for _, p99 in values) for name, values in ones.items()}
        rows += [many, median, tail, used]
    fresh = Row("new connection with one `_ping`", "connections/s", more=True)
    fresh.figures = in_turns(doors, lambda d: float(as_user(LOGIN, new_connections, d.socket, "/_ping", seconds).per_second))
    return [*rows, fresh]


def commands(doors: list[Door], rounds: int, own: str) -> list[Row]:
    """What a person waits for at the CLI."""
    rows = []
    for argv in (["ps"], ["run", "--rm", "alpine", "true"], ["exec", own, "true"]):

        def once(door: Door, argv: list[str] = argv) -> float:
            student = Student(LOGIN, socket=door.socket)
            begin = time.perf_counter()
            student.ok(*argv)
            return (time.perf_counter() - begin) * 1e3

        row = Row(f"`docker {' '.join('own' if word == own else word for word in argv)}`, median", "ms", more=False)
        row.figures = in_turns(doors, once, rounds)
        rows.append(row)
    return rows


def streams(doors: list[Door], megabytes: int, own: str) -> list[Row]:
    """Bulk through the CLI: save, load, cp, and the output of an exec; best of the rounds, and the door's CPU."""
    home = Path(f"/home/{LOGIN}")
    shell = "docker -H unix://{socket} "
    work = {
        "docker save": shell + f"save {LOGIN}/big:v1 >/dev/null",
        "docker load": shell + f"load -q -i {home}/big.tar",
        "docker cp out": shell + f"cp {own}:/big - >/dev/null",
        "docker cp in": shell + f"cp - {own}:/tmp <{home}/cp.tar",
        "attached stream (exec)": shell + f"exec {own} dd if=/dev/zero bs=1M count={megabytes * 4} 2>/dev/null >/dev/null",
    }
    rows = []
    for name, command in work.items():
        amount = megabytes * 4 if "stream" in name else megabytes
        speed = Row(f"{name}, {amount} MB", "MB/s", more=True)
        used = Row(f"{name}, CPU of the door", "s/GB", more=False)
        cpu: dict[str, list[float]] = {door.name: [] for door in doors}

        def once(door: Door, command: str = command, amount: int = amount, cpu: dict[str, list[float]] = cpu) -> float:
            before = door.cpu()
            took = as_user(LOGIN, timed, command.format(socket=door.socket), str(home))
            cpu[door.name].append((door.cpu() - before) / amount * 1024)
            return float(amount / took)

        speed.figures = in_turns(doors, once)
        used.figures = {name: statistics.median(values) for name, values in cpu.items()}
        rows += [speed, used]
    return rows


def memory(doors: list[Door], own: str) -> list[Row]:
    """Resident memory of a door, and what each of 500 idle ``logs -f`` adds to it."""
    per_stream = Row(f"memory for each of {STREAMS} idle `logs -f`", "KB", more=False)
    whole = Row(f"memory with {STREAMS} idle `logs -f`", "MB", more=False)
    for door in doors:
        if not door.pids:
            continue
        before = door.resident()
        with Idle(LOGIN, door.socket, f"/v1.41/containers/{own}/logs?follow=1&stdout=1", STREAMS):
            after = door.resident()
        per_stream.figures[door.name] = (after - before) / STREAMS
        whole.figures[door.name] = after / 1024
    return [per_stream, whole]


def timed(command: str, home: str) -> float:
    """Run a shell command, which must succeed; return its seconds."""
    begin = time.perf_counter()
    environ = {"HOME": home, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["/bin/sh", "-c", command], env=environ, cwd=home, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr}")
    return time.perf_counter() - begin
