"""A relay in front of a Docker Engine that writes down what clients really send.

It copies bytes and understands nothing; the requests are cut out of what was sent afterwards.
"""

import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from hostadmin.guard.framing import parse_request_head
from tests.fuzz.chunks import Chunks


class Relay:
    """Copies between a new socket and the engine's, and keeps what each client sent."""

    def __init__(self, path: str, engine: str) -> None:
        self.engine = engine
        self.sent: list[bytearray] = []
        Path(path).unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            engine = socket.socket(socket.AF_UNIX)
            engine.connect(self.engine)
            kept = bytearray()
            self.sent.append(kept)
            threading.Thread(target=_copy, args=(client, engine, kept), daemon=True).start()
            threading.Thread(target=_copy, args=(engine, client, None), daemon=True).start()

    def take(self) -> list[dict[str, Any]]:
        """Return the requests sent since the last time, connection by connection, and forget them."""
        kept, self.sent = self.sent, []
        return [request for data in kept for request in cut_requests(bytes(data))]


def _copy(source: socket.socket, target: socket.socket, kept: bytearray | None) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if kept is not None:
                kept += data
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def cut_requests(data: bytes) -> list[dict[str, Any]]:
    """Cut what one client sent into requests; what comes after an upgrade is no request."""
    found = []
    while (end := data.find(b"\r\n\r\n")) >= 0:
        head = parse_request_head(data[: end + 4])
        data = data[end + 4 :]
        if head.length is None:
            chunks = Chunks()
            body, data = chunks.decode(data), chunks.rest
        else:
            body, data = data[: head.length], data[head.length :]
        fields = [[name, value] for name, value in head.fields if name not in ("content-length", "transfer-encoding")]
        found.append({"method": head.method, "target": head.target, "fields": fields, "chunked": head.length is None, "body": body})
        if head.upgrade:
            break
    return found
