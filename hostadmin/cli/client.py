"""Calls to the API over its Unix socket, with the standard library only."""

import http.client
import json
import socket
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

from hostadmin.core.errors import HostadminError, Invalid, Unavailable

TIMEOUT_SECONDS = 120
LONG_SECONDS = 7200  # for what may have to archive a large home
MEMBERS = frozenset({"type", "title", "status", "detail", "key", "message"})  # RFC 9457's, and our constructor's own


class ApiError(HostadminError):
    """A problem that the API answered."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Client:
    """The API behind one socket."""

    def __init__(self, path: str) -> None:
        self.path = path

    def call(self, method: str, *segments: str, body: Any = None, patience: float = TIMEOUT_SECONDS, **query: Any) -> Any:
        """Make one call and return its JSON.

        Args:
            method: HTTP's.
            segments: of the path.
            body: sent as JSON.
            patience: seconds that the answer may take.
            query: parameters; those that are ``None`` are left out.

        Raises:
            ApiError: the API's own problem.
            Invalid: an empty segment.
            Unavailable: nobody answers on the socket.

        """
        data = json.dumps(body).encode() if body is not None else None
        return self._send(method, segments, data, "application/json", patience, query)

    def upload(self, method: str, *segments: str, data: bytes, patience: float = TIMEOUT_SECONDS, **query: Any) -> Any:
        """Make one call with a file as its body, and return its JSON; arguments and errors as ``call``."""
        return self._send(method, segments, data, "application/octet-stream", patience, query)

    def _send(self, method: str, segments: Sequence[str], data: bytes | None, kind: str, patience: float, query: dict[str, Any]) -> Any:
        if not all(segments):
            raise Invalid("Refused an empty name: say which one.", key="empty-name")
        target = "/api/v1/" + "/".join(quote(s, safe=":", errors="surrogateescape") for s in segments)
        known = {k: v for k, v in query.items() if v is not None}
        if known:
            target += "?" + urlencode(known, errors="surrogateescape")
        connection = _Connection(self.path, patience)
        try:
            connection.request(method, target, data, {"Content-Type": kind} if data is not None else {})
            answer = connection.getresponse()
            raw = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"The service does not answer on {self.path}: start it with `hostadmin serve` (or `sudo make run`).",
                key="service-unavailable",
            ) from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise _problem(answer.status, raw)
        return json.loads(raw) if raw else None


def _problem(status: int, raw: bytes) -> ApiError:
    """Return the API's problem as an error; also what is none, from whoever answers on that socket."""
    try:
        found = json.loads(raw)
        detail, key = str(found["detail"]), str(found["type"]).rpartition(":")[2]
        return ApiError(detail, key=key, **{name: value for name, value in found.items() if name not in MEMBERS})
    except (ValueError, TypeError, KeyError):
        return ApiError(f"The service answers {status}: {raw[:200].decode('utf-8', 'replace')}", key="failed")
