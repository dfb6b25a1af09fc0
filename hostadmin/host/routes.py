"""What the host's own routing table reaches: subnets that no container network may take over."""

import socket
import struct
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

ROUTES: Final = Path("/proc/net/route")
BRIDGES: Final = ("docker", "br-", "veth")


def host_subnets(table: Path = ROUTES) -> list[IPv4Network]:
    """Return the IPv4 subnets that the host reaches through interfaces other than the engine's bridges."""
    found = []
    for line in table.read_text().splitlines()[1:]:
        interface, destination, *_, mask, _, _, _ = line.split()[:11]
        address, bits = (socket.inet_ntoa(struct.pack("<I", int(text, 16))) for text in (destination, mask))
        if not interface.startswith(BRIDGES) and address != "0.0.0.0":  # noqa: S104  # the default route
            found.append(IPv4Network(f"{address}/{bits}"))
    return found
