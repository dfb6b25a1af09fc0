"""The doors that are measured: the bare engine, the guard, HAProxy, and any other proxy that is named."""

import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.stage import ENGINE_SOCKET, GUARD_SOCKET, Eye, Hostadmin, until

HAPROXY = f"""\
global
  nbthread {os.cpu_count() or 1}
  maxconn 4000
defaults
  mode http
  timeout client 10m
  timeout server 10m
  timeout connect 5s
  timeout tunnel 10m
frontend people
  bind unix@{{socket}} mode 666
  http-request deny unless {{{{ path,url_dec -m reg -i ^(/v[\\d\\.]+)?/(_ping|version|info|events|containers|images|networks|volumes|exec|build|commit) }}}}
  default_backend engine
backend engine
  server engine unix@{ENGINE_SOCKET}
"""


@dataclass(frozen=True)
class Door:
    """One way to the engine: its name, its socket, and the processes that stand in it (none for the engine itself)."""

    name: str
    socket: str
    pids: tuple[int, ...] = field(default=())

    def cpu(self) -> float:
        """Return the CPU seconds that its processes have used."""
        return sum(_cpu(pid) for pid in self.pids)

    def resident(self) -> int:
        """Return the resident memory of its processes in KB."""
        return sum(_resident(pid) for pid in self.pids)


def _cpu(pid: int) -> float:
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def _resident(pid: int) -> int:
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1])


@contextmanager
def doors(hostadmin: Hostadmin, others: list[str]) -> Iterator[list[Door]]:
    """Open all doors; ``others`` are ``NAME=COMMAND`` with ``{engine}`` and ``{socket}`` in the command."""
    config = Path("/run/haproxy.cfg")
    with ExitStack() as stack:
        found = [Door("engine", ENGINE_SOCKET), Door("guard", GUARD_SOCKET, (hostadmin.part("guard"),))]
        config.write_text(HAPROXY.format(socket="/run/haproxy.sock"))
        found.append(stack.enter_context(_proxy("haproxy", ["haproxy", "-db", "-f", str(config)])))
        for other in others:
            name, _, command = other.partition("=")
            argv = [word.format(engine=ENGINE_SOCKET, socket=f"/run/{name}.sock") for word in shlex.split(command)]
            found.append(stack.enter_context(_proxy(name, argv)))
        yield found


@contextmanager
def _proxy(name: str, argv: list[str]) -> Iterator[Door]:
    socket = f"/run/{name}.sock"
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(f"{name} answers", Eye(socket).up, 10)
        os.chmod(socket, 0o666)
        yield Door(name, socket, (process.pid,))
    finally:
        process.terminate()
        process.wait(10)
