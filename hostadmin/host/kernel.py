"""What the host has of everything: numbers out of /proc and the account files. ``None``: the kernel does not say.

Sources: proc(5), the kernel's Documentation/admin-guide/sysctl.
"""

import grp
import os
import pwd
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
LISTENS: Final = "0A"  # TCP_LISTEN, net/tcp_states.h
UNBOUND: Final = "07"  # an udp socket that is bound and talks to nobody in particular
TABLES: Final = (("tcp", LISTENS), ("tcp6", LISTENS), ("udp", UNBOUND), ("udp6", UNBOUND))


def sysctl(name: str, proc: Path = PROC) -> int | None:
    """Return a kernel parameter such as ``kernel.pid_max``: the first number of its file."""
    with suppress(OSError, ValueError, IndexError):
        return int((proc / "sys" / name.replace(".", "/")).read_text().split()[0])
    return None


def memory_bytes(proc: Path = PROC) -> int | None:
    """Return how much memory the host has (``MemTotal``)."""
    with suppress(OSError, ValueError, IndexError):
        lines = (proc / "meminfo").read_text().splitlines()
        return next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemTotal:")), None)
    return None


def tasks(proc: Path = PROC) -> int | None:
    """Return how many processes and threads there are: the fourth field of ``loadavg``."""
    with suppress(OSError, ValueError, IndexError):
        return int((proc / "loadavg").read_text().split()[3].partition("/")[2])
    return None


def bound_ports(proc: Path = PROC) -> set[int]:
    """Return the TCP ports that are listened on and the bound UDP ports of our network namespace."""
    found = set()
    for table, state in TABLES:
        with suppress(OSError):
            for line in (proc / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == state:
                    found.add(int(fields[1].rpartition(":")[2], 16))
    return found


def descriptors_of(pid: int | str, proc: Path = PROC) -> int | None:
    """Return the hard limit of open files of a process (``limits``)."""
    with suppress(OSError, ValueError, IndexError):
        lines = (proc / str(pid) / "limits").read_text().splitlines()
        return next((int(line.split()[4]) for line in lines if line.startswith("Max open files")), None)
    return None


def resolvers(file: Path = Path("/etc/resolv.conf")) -> list[IPv4Address]:
    """Return the name servers that this host asks (resolv.conf(5)), IPv4 only."""
    found = []
    with suppress(OSError):
        for line in file.read_text(errors="replace").splitlines():
            words = line.split()
            with suppress(AddressValueError, IndexError):
                if words[0] == "nameserver":
                    found.append(IPv4Address(words[1]))
    return found


def numbers_taken() -> set[int]:
    """Return every uid and gid that an account or a group of this host has."""
    return {entry.pw_uid for entry in pwd.getpwall()} | {entry.gr_gid for entry in grp.getgrall()}


@dataclass(frozen=True, slots=True)
class Disk:
    """What is free on a file system: bytes, and inodes (``None``: it has no fixed number of them)."""

    path: str
    free_bytes: int
    free_inodes: int | None


def disk(path: str) -> Disk | None:
    """Return what is free where ``path`` lies, to anybody but root."""
    with suppress(OSError):
        found = os.statvfs(path)
        return Disk(path, found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)
    return None


def lock_holder(path: str, proc: Path = PROC) -> int | None:
    """Return the pid of the process that holds a flock(2) on a file (``locks``), ``None`` if nobody does whom we see."""
    with suppress(OSError, ValueError, IndexError):
        inode = str(Path(path).stat().st_ino)
        for line in (proc / "locks").read_text().splitlines():
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == inode:
                return int(fields[4]) or None
    return None
