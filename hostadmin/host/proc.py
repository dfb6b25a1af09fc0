"""What the kernel says of a process: namespaces, cgroup, and the interfaces of its network namespace."""

import ctypes
import os
import threading
from pathlib import Path
from typing import Any, Final

from hostadmin.host import rtnetlink

NAMESPACES: Final = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
CLONE_NEWNET: Final = 0x40000000
COUNTERS: Final = ("bytes", "packets", "errors", "dropped")  # /proc/net/dev, the first four of either half
SENT: Final = 8


def namespaces(pid: int) -> dict[str, dict[str, Any]]:
    """Return name → ``{"id": inode, "shared_with_host": bool}`` of a process's seven namespaces.

    The host's are those of process 1; where that may not be looked at, our own.

    Raises:
        OSError: the process has gone.

    """
    found = {}
    for name in NAMESPACES:
        theirs = os.readlink(f"/proc/{pid}/ns/{name}")
        found[name] = {"id": int(theirs.split("[")[1].rstrip("]")), "shared_with_host": theirs == _host_namespace(name)}
    return found


def _host_namespace(name: str) -> str:
    try:
        return os.readlink(f"/proc/1/ns/{name}")
    except OSError:
        return os.readlink(f"/proc/self/ns/{name}")


def cgroup(pid: int) -> str:
    """Return the cgroup path of a process: the unified one, else that of its first hierarchy.

    Raises:
        OSError: the process has gone.

    """
    lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    unified = next((path for number, _, path in lines if number == "0"), "/")
    return unified if unified != "/" else next((path for _, _, path in lines if path != "/"), "/")


def interfaces(pid: int) -> list[dict[str, Any]]:
    """Return the interfaces of a process's network namespace: addresses, MAC, counters. Starts no program.

    Raises:
        OSError: the process has gone.

    """
    counters = _counters(pid)
    with _socket_in(pid) as sock:
        return [
            {"name": link.name, "up": link.up, "mac": link.mac, "addresses": link.addresses, **counters.get(link.name, {})}
            for link in rtnetlink.links(sock)
        ]


def _socket_in(pid: int) -> Any:
    """Return a netlink socket of a process's network namespace, made by a thread that enters it and ends."""
    result: list[Any] = []

    def enter() -> None:
        try:
            _enter_network(pid)
            result.append(rtnetlink.open_socket())
        except OSError as error:
            result.append(error)

    thread = threading.Thread(target=enter, name="netns")  # the namespace is the thread's; it ends with it
    thread.start()
    thread.join()
    if isinstance(result[0], OSError):
        raise result[0]
    return result[0]


def _enter_network(pid: int) -> None:
    """Move the calling thread into a process's network namespace: setns(2); ``os.setns`` is new in 3.12."""
    fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(fd)


def _counters(pid: int) -> dict[str, dict[str, int]]:
    """Return interface → counters out of ``/proc/PID/net/dev``, which shows the process's own namespace."""
    found = {}
    for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]:
        name, _, rest = line.partition(":")
        numbers = [int(n) for n in rest.split()]
        received = {f"rx_{c}": numbers[i] for i, c in enumerate(COUNTERS)}
        found[name.strip()] = received | {f"tx_{c}": numbers[SENT + i] for i, c in enumerate(COUNTERS)}
    return found
