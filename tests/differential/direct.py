"""The bare engine, asked byte for byte, past the guard; and one reader for the answers of both."""

import io
import json
import socket
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any, Final

SECONDS: Final = 10
KEPT_FIELDS: Final = ("content-type", "x-docker-container-path-stat")


@dataclass(frozen=True)
class Answer:
    """One answer: its status, the headers that mean something, its body as JSON where it is."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: Any


class _Bytes:
    """Bytes where ``http.client`` expects a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: Any) -> io.BytesIO:
        """Return them as a file."""
        return io.BytesIO(self._data)


def read_answer(data: bytes, method: str) -> Answer:
    """Read an answer that has come as a whole.

    Raises:
        HTTPException: it is none.

    """
    return _read(_Bytes(data), method)


def send(path: str, request: bytes) -> Answer:
    """Send one request to the socket at ``path``, exactly these bytes, and return the answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        connection.connect(path)
        connection.sendall(request)
        return _read(connection, request.partition(b" ")[0].decode("latin-1"))


def _read(source: Any, method: str) -> Answer:
    response = HTTPResponse(source, method=method)
    try:
        response.begin()
        raw = response.read()
    except (HTTPException, TimeoutError) as error:
        return Answer(0, (), f"no answer: {error!r}")
    fields = tuple(sorted((k.lower(), v) for k, v in response.getheaders() if k.lower() in KEPT_FIELDS))
    return Answer(response.status, fields, _parsed(raw))


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw
