"""HTTP/1 heads and framing, strictly: pure functions over bytes, both ways.

Law of this file: nothing is repaired. A head that two parsers could read differently is refused
(``engine-api.md`` 1.3 T1, T2, T8; RFC 9112). httptools and h11 are the oracles in the tests.
"""

import re
from dataclasses import dataclass
from typing import Final

from hostadmin.guard.refusal import malformed

HEAD_LIMIT: Final = 32 * 1024
FIELDS_LIMIT: Final = 100
CHUNK_LINE_LIMIT: Final = 10

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE: Final = re.compile(rb"([A-Z]{3,8}) ([\x21-\x7e]+) HTTP/(\d\.\d)\r\n")
_FIELD: Final = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([^\r\n\x00-\x08\x0b-\x1f\x7f]*)\r\n")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?\r\n")
_CHUNK_SIZE: Final = re.compile(rb"[0-9a-fA-F]{1,8}")
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
SINGLE: Final = frozenset({"host", "content-length", "transfer-encoding", "content-type", "upgrade", "expect"})

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class RequestHead:
    """One request head. ``length`` is ``None`` for a chunked body."""

    method: str
    target: str
    minor: int
    fields: Fields
    length: int | None
    keep_alive: bool
    upgrade: str | None
    expect_continue: bool

    def get(self, name: str) -> str | None:
        """Return the first field of that lower-case name."""
        return next((value for key, value in self.fields if key == name), None)


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """One answer's head. ``length`` is ``None`` if it is chunked or ends with the connection."""

    status: int
    fields: Fields
    length: int | None
    chunked: bool
    keep_alive: bool

    def get(self, name: str) -> str | None:
        """Return the first field of that lower-case name."""
        return next((value for key, value in self.fields if key == name), None)


def parse_request_head(raw: bytes) -> RequestHead:
    """Read one request head, up to and with its empty line.

    Raises:
        Refusal: with 400, 431 or 505; the connection must then be closed.

    """
    line = _REQUEST_LINE.match(raw)
    if line is None:
        raise malformed("malformed request line", close=True)
    method, target, version = (part.decode("ascii") for part in line.groups())
    if version not in ("1.1", "1.0"):
        raise malformed(f"HTTP/{version} is not spoken here; use HTTP/1.1", status=505, close=True)
    if method not in METHODS:
        raise malformed("method not allowed", status=405, close=True)
    fields = _parse_fields(raw, line.end())
    values: dict[str, str] = {}
    for name, value in fields:
        if name in SINGLE and name in values:
            raise malformed(f"header {name} given twice", close=True)
        values[name] = value
    if version == "1.1" and "host" not in values:
        raise malformed("header Host is missing", close=True)
    if "content-encoding" in values:
        raise malformed("Content-Encoding is not accepted on requests", status=415, close=True)
    expect = values.get("expect", "").lower()
    if expect not in ("", "100-continue"):
        raise malformed("unknown Expect", status=417, close=True)
    connection = {token.strip().lower() for token in values.get("connection", "").split(",")}
    return RequestHead(
        method=method,
        target=target,
        minor=int(version[-1]),
        fields=fields,
        length=_body_length(values, version),
        keep_alive=version == "1.1" and "close" not in connection,
        upgrade=values.get("upgrade", "").lower() or None if "upgrade" in connection else None,
        expect_continue=expect == "100-continue",
    )


def _parse_fields(raw: bytes, start: int) -> Fields:
    fields = []
    end = len(raw) - 2
    while start < end:
        found = _FIELD.match(raw, start)
        if found is None:
            raise malformed("malformed header", close=True)
        fields.append((found[1].decode("ascii").lower(), found[2].decode("latin-1").rstrip(" \t")))
        start = found.end()
        if len(fields) > FIELDS_LIMIT:
            raise malformed(f"more than {FIELDS_LIMIT} headers", status=431, close=True)
    if raw[start:] != b"\r\n":
        raise malformed("malformed header", close=True)
    return tuple(fields)


def _body_length(values: dict[str, str], version: str) -> int | None:
    """Decide the framing: exactly one of Content-Length and ``chunked``."""
    coding, length = values.get("transfer-encoding"), values.get("content-length")
    if coding is not None:
        if length is not None or version == "1.0" or coding.lower() != "chunked":
            raise malformed("unacceptable Transfer-Encoding", close=True)
        return None
    if length is None:
        return 0
    if not re.fullmatch(r"[0-9]{1,15}", length):
        raise malformed("unacceptable Content-Length", close=True)
    return int(length)


def parse_response_head(raw: bytes, *, method: str) -> ResponseHead:
    """Read one head of the engine's answer to a request with ``method``.

    Raises:
        ValueError: if it is not one.

    """
    line = _STATUS_LINE.match(raw)
    if line is None:
        raise ValueError("not an HTTP answer")
    fields = _parse_fields(raw, line.end())
    values = dict(fields)
    status = int(line[1])
    keep_alive = "close" not in values.get("connection", "").lower() and raw.startswith(b"HTTP/1.1")
    if method == "HEAD" or status in (204, 304) or status < 200:  # RFC 9112 6.3
        return ResponseHead(status, fields, 0, chunked=False, keep_alive=keep_alive)
    if values.get("transfer-encoding", "").lower() == "chunked":
        return ResponseHead(status, fields, None, chunked=True, keep_alive=keep_alive)
    length = values.get("content-length")
    if length is None:
        return ResponseHead(status, fields, None, chunked=False, keep_alive=False)
    return ResponseHead(status, fields, int(length), chunked=False, keep_alive=keep_alive)


class ChunkDecoder:
    """Takes chunked framing off a buffer: sizes in hex, CRLF, no extensions, no trailers."""

    __slots__ = ("_left", "_state", "done")

    def __init__(self) -> None:
        self._left = 0
        self._state = "size"
        self.done = False

    def decode(self, buffer: bytearray) -> bytes:
        """Take whatever can be decoded off the front of ``buffer`` and return it.

        Raises:
            ValueError: if the framing is not strictly chunked.

        """
        parts = []
        position = 0
        while not self.done:
            if self._state == "data":
                piece = bytes(memoryview(buffer)[position : position + self._left])
                parts.append(piece)
                position += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
                self._state = "end"
            line = self._line(buffer, position)
            if line is None:
                break
            position += len(line) + 2
            self._next(line)
        del buffer[:position]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    @staticmethod
    def _line(buffer: bytearray, position: int) -> bytes | None:
        """Return the line at ``position`` without its CRLF, ``None`` if it is not there yet."""
        end = buffer.find(b"\r\n", position, position + CHUNK_LINE_LIMIT + 2)
        if end < 0:
            if len(buffer) - position > CHUNK_LINE_LIMIT:
                raise ValueError("malformed chunk")
            return None
        return bytes(buffer[position:end])

    def _next(self, line: bytes) -> None:
        """Move on after a line: the end of a chunk, its size, or the empty line after the last."""
        if self._state == "size":
            if not _CHUNK_SIZE.fullmatch(line):
                raise ValueError("malformed chunk size")
            self._left = int(line, 16)
            self._state = "data" if self._left else "last"
        elif line:
            raise ValueError("malformed chunk end or trailer")
        elif self._state == "last":
            self.done = True
        else:
            self._state = "size"
