"""Who is at the other end of a Unix socket: what the kernel says, and where that process lives.

Rules: ``engine-api.md`` 5.5. ``SO_PEERCRED`` is the identity at ``connect``; the *place* (our pid
namespace, a container, some other namespace) is looked at through ``/proc`` while a pidfd proves that
the process is still the one that connected. Evidence may only lower rights: what cannot be looked at
is refused.
"""

import os
import re
import select
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SO_PEERPIDFD: Final = 77  # Linux 6.5
UNSET_LOGINUID: Final = 4294967295
READ_MAX: Final = 8192
_CONTAINER_ID: Final = re.compile(r"(?:^|[/-])([0-9a-f]{64})(?:\.scope)?(?=/|$)")


class Place(StrEnum):
    """Where a peer's process lives."""

    HOST = "host"  # our own pid namespace, no container
    CONTAINER = "container"  # its cgroup names a container; whose, the engine must confirm
    NAMESPACE = "namespace"  # a foreign pid namespace inside a user namespace: its uid is translated
    UNKNOWN = "unknown"  # gone, or nothing that can be trusted


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end, as it was when it connected."""

    pid: int
    uid: int
    gid: int
    place: Place
    loginuid: int | None = None
    exe: str | None = None
    comm: str | None = None
    cgroups: frozenset[str] = frozenset()
    container: str | None = None

    @property
    def from_host(self) -> bool:
        """Whether the process lives on the host itself."""
        return self.place is Place.HOST


def credentials(sock: socket.socket) -> tuple[int, int, int]:
    """Return pid, uid and gid of the process that connected (``SO_PEERCRED``); where it lives is not looked at."""
    pid, uid, gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid, gid


def identify(sock: socket.socket) -> Peer:
    """Return the peer of a connected Unix socket; never raises for a peer that has gone."""
    pid, uid, gid = credentials(sock)
    unknown = Peer(pid, uid, gid, Place.UNKNOWN)
    pidfd = _open_pidfd(sock, pid)
    if pidfd is None:
        return unknown
    try:
        peer = _look(pid, uid, gid)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return unknown if poll.poll(0) else peer  # readable: it ended meanwhile, the pid may be another's
    except (OSError, ValueError):
        return unknown
    finally:
        os.close(pidfd)


def _open_pidfd(sock: socket.socket, pid: int) -> int | None:
    """Return a descriptor of exactly the process that connected; ``None`` if it cannot be had."""
    if pid <= 0:
        return None
    with suppress(OSError):
        return struct.unpack("i", sock.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD, 4))[0]  # type: ignore[no-any-return]
    with suppress(OSError):  # before Linux 6.5: the pid might have been reused since connect
        return os.pidfd_open(pid)
    return None


def _look(pid: int, uid: int, gid: int) -> Peer:
    """Read ``/proc/PID``.

    Raises:
        OSError, ValueError: something cannot be read.

    """
    cgroups = read_cgroups(pid)
    container = next((found[1] for c in cgroups if (found := _CONTAINER_ID.search(c))), None)
    return Peer(
        pid=pid,
        uid=uid,
        gid=gid,
        place=_place(pid, container),
        loginuid=_loginuid(pid),
        exe=_exe(pid),
        comm=_read(f"/proc/{pid}/comm").decode("utf-8", "replace").rstrip("\n"),
        cgroups=cgroups,
        container=container,
    )


def _read(path: str) -> bytes:
    """Return a small file of ``/proc``; this is done for every connection, so without more around it."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = b""
        while part := os.read(fd, READ_MAX):
            text += part
        return text
    finally:
        os.close(fd)


def read_cgroups(pid: int) -> frozenset[str]:
    """Return the cgroup paths of a process, one per hierarchy.

    Raises:
        OSError: it has gone.

    """
    lines = _read(f"/proc/{pid}/cgroup").decode("utf-8", "surrogateescape").split("\n")
    return frozenset(line.split(":", 2)[2] for line in lines if line)


def _place(pid: int, container: str | None) -> Place:
    if container is not None:
        return Place.CONTAINER
    if os.readlink(f"/proc/{pid}/ns/pid") == os.readlink("/proc/self/ns/pid"):
        return Place.HOST
    if os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user"):
        return Place.NAMESPACE
    return Place.UNKNOWN  # whoever made that pid namespace chose the uid


def _exe(pid: int) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return None


def _loginuid(pid: int) -> int | None:
    try:
        value = int(_read(f"/proc/{pid}/loginuid"))
    except (OSError, ValueError):
        return None
    return None if value == UNSET_LOGINUID else value
