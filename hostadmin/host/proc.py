"""What the kernel says of a process: namespaces, cgroup, and the interfaces of its network namespace."""

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import threading
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Final

NAMESPACES: Final = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
CLONE_NEWNET: Final = 0x40000000
SIOCGIFADDR: Final = 0x8915
SIOCGIFNETMASK: Final = 0x891B
SIOCGIFHWADDR: Final = 0x8927
SIOCGIFFLAGS: Final = 0x8913
IFF_UP: Final = 1
COUNTERS: Final = ("bytes", "packets", "errors", "dropped")


def namespaces(pid: int) -> dict[str, dict[str, Any]]:
    """Return name → ``{"id": inode, "shared_with_host": bool}`` of a process's seven namespaces.

    Raises:
        OSError: the process has gone.

    """
    found = {}
    for name in NAMESPACES:
        theirs = os.readlink(f"/proc/{pid}/ns/{name}")
        found[name] = {"id": int(theirs.split("[")[1].rstrip("]")), "shared_with_host": theirs == os.readlink(f"/proc/self/ns/{name}")}
    return found


def cgroup(pid: int) -> str:
    """Return the cgroup path of a process: the unified one, else that of its first hierarchy."""
    lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    unified = next((path for number, _, path in lines if number == "0"), "/")
    return unified if unified != "/" else next((path for _, _, path in lines if path != "/"), "/")


def interfaces(pid: int) -> list[dict[str, Any]]:
    """Return the interfaces of a process's network namespace: addresses, MAC, counters.

    Raises:
        OSError: the process has gone.

    """
    result: list[Any] = []

    def enter() -> None:
        try:
            result.append(_read_interfaces(pid))
        except OSError as error:
            result.append(error)

    thread = threading.Thread(target=enter, name="netns")  # the namespace is the thread's; it ends with it
    thread.start()
    thread.join()
    if isinstance(result[0], OSError):
        raise result[0]
    found: list[dict[str, Any]] = result[0]
    return found


def _read_interfaces(pid: int) -> list[dict[str, Any]]:
    fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(fd, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(fd)
    counters = _counters()
    six = _addresses6()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        found = []
        for _, name in socket.if_nameindex():
            addresses = [a for a in (_address4(sock, name),) if a] + six.get(name, [])
            flags = struct.unpack("H", _ioctl(sock, SIOCGIFFLAGS, name)[16:18])[0]
            mac = ":".join(f"{b:02x}" for b in _ioctl(sock, SIOCGIFHWADDR, name)[18:24])
            found.append({"name": name, "up": bool(flags & IFF_UP), "mac": mac, "addresses": addresses, **counters.get(name, {})})
    return found


def _ioctl(sock: socket.socket, request: int, name: str) -> bytes:
    return fcntl.ioctl(sock.fileno(), request, struct.pack("256s", name.encode()[:15]))


def _address4(sock: socket.socket, name: str) -> str | None:
    with contextlib.suppress(OSError):
        address = socket.inet_ntoa(_ioctl(sock, SIOCGIFADDR, name)[20:24])
        mask = socket.inet_ntoa(_ioctl(sock, SIOCGIFNETMASK, name)[20:24])
        return f"{address}/{IPv4Network(f'0.0.0.0/{mask}').prefixlen}"
    return None


def _addresses6() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/thread-self/net/if_inet6").read_text().splitlines():
            raw, _, prefix, _, _, name = line.split()
            found.setdefault(name, []).append(f"{socket.inet_ntop(socket.AF_INET6, bytes.fromhex(raw))}/{int(prefix, 16)}")
    return found


def _counters() -> dict[str, dict[str, int]]:
    found = {}
    for line in Path("/proc/thread-self/net/dev").read_text().splitlines()[2:]:
        name, _, rest = line.partition(":")
        numbers = [int(n) for n in rest.split()]
        received = {f"rx_{c}": numbers[i] for i, c in enumerate(COUNTERS)}
        found[name.strip()] = received | {f"tx_{c}": numbers[8 + i] for i, c in enumerate(COUNTERS)}
    return found
