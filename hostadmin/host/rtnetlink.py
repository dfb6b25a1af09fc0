"""Links and addresses of the network namespace that a socket was made in: rtnetlink(7), dumps only."""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

NETLINK_ROUTE: Final = 0
RTM_NEWLINK, RTM_GETLINK, RTM_NEWADDR, RTM_GETADDR = 16, 18, 20, 22
NLMSG_ERROR, NLMSG_DONE = 2, 3
REQUEST_DUMP: Final = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
IFLA_ADDRESS, IFLA_IFNAME = 1, 3
IFA_ADDRESS, IFA_LOCAL = 1, 2
IFF_UP: Final = 1
HEADER: Final = struct.Struct("=IHHII")  # nlmsghdr
LINK: Final = struct.Struct("=BxHiII")  # ifinfomsg
ADDRESS: Final = struct.Struct("=BBBBI")  # ifaddrmsg
BUFFER_BYTES: Final = 1 << 17


@dataclass(slots=True)
class Link:
    """One interface: ``addresses`` with their prefix, IPv4 first."""

    name: str
    up: bool
    mac: str
    addresses: list[str] = field(default_factory=list)


def links(sock: socket.socket) -> list[Link]:
    """Return the interfaces of the socket's namespace, by index.

    Raises:
        OSError: the kernel refused.

    """
    found: dict[int, Link] = {}
    for body in _dump(sock, RTM_GETLINK, RTM_NEWLINK):
        _, _, index, flags, _ = LINK.unpack_from(body)
        attributes = _attributes(body[LINK.size :])
        name = attributes.get(IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace")
        found[index] = Link(name, bool(flags & IFF_UP), attributes.get(IFLA_ADDRESS, b"").hex(":"))
    for body in _dump(sock, RTM_GETADDR, RTM_NEWADDR):
        family, prefix, _, _, index = ADDRESS.unpack_from(body)
        attributes = _attributes(body[ADDRESS.size :])
        raw = attributes.get(IFA_LOCAL) or attributes.get(IFA_ADDRESS)
        if raw and index in found and family in (socket.AF_INET, socket.AF_INET6):
            found[index].addresses.append(f"{socket.inet_ntop(family, raw)}/{prefix}")
    return [found[index] for index in sorted(found)]


def open_socket() -> socket.socket:
    """Return a socket that belongs to the network namespace of the calling thread."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE)
    sock.settimeout(5)
    return sock


def _dump(sock: socket.socket, request: int, wanted: int) -> Iterator[bytes]:
    """Ask for everything of one kind and yield the bodies."""
    body = struct.pack("=B15x", socket.AF_UNSPEC)
    sock.send(HEADER.pack(HEADER.size + len(body), request, REQUEST_DUMP, request, 0) + body)
    while True:
        data = sock.recv(BUFFER_BYTES)
        while len(data) >= HEADER.size:
            length, kind, _, _, _ = HEADER.unpack_from(data)
            if kind == NLMSG_DONE:
                return
            if kind == NLMSG_ERROR or length < HEADER.size:
                raise OSError(-struct.unpack_from("=i", data, HEADER.size)[0], "rtnetlink")
            if kind == wanted:
                yield data[HEADER.size : length]
            data = data[(length + 3) & ~3 :]


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found
