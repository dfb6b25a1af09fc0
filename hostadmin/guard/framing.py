"""HTTP/1 heads and framing, strictly: pure functions over bytes, both ways.

Law of this file: nothing is repaired. A head that two parsers could read differently is refused
(``engine-api.md`` 1.3 T1, T2, T8; RFC 9112). httptools and h11 are the oracles in the tests.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Final

from hostadmin.guard.refusal import Refusal, malformed

HEAD_LIMIT: Final = 32 * 1024
FIELDS_LIMIT: Final = 100
CHUNK_LINE_LIMIT: Final = 10
MEMORABLE_HEAD: Final = 512

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE: Final = re.compile(rb"([A-Z]{3,8}) ([\x21-\x7e]+) HTTP/(\d\.\d)\r\n")
_FIELDS: Final = re.compile(rb"(?:" + _TOKEN + rb":[^\r\n\x00-\x08\x0b-\x1f\x7f]*\r\n)*\r\n")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?\r\n")
_LENGTH: Final = re.compile(r"[0-9]{1,15}")
_CHUNK_SIZE: Final = re.compile(rb"[0-9a-fA-F]{1,8}")
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
WEBSOCKET_FIELDS: Final = ("sec-websocket-key", "sec-websocket-version")
SINGLE: Final = frozenset({"host", "content-length", "transfer-encoding", "content-type", "upgrade", "expect", *WEBSOCKET_FIELDS})

Fields = tuple[tuple[str, str], ...]
Pieces = list[bytes | memoryview]


class _Expect(Enum):
    """What comes next in a chunked body."""

    SIZE = auto()
    DATA = auto()
    END = auto()
    LAST = auto()


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
        for key, value in self.fields:
            if key == name:
                return value
        return None


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
        for key, value in self.fields:
            if key == name:
                return value
        return None


def parse_request_head(raw: bytes) -> RequestHead:
    """Read one request head, up to and with its empty line.

    Clients send the same few heads again and again: a short one without parameters or credentials is remembered.

    Raises:
        Refusal: with 400, 431 or 505; the connection must then be closed.

    """
    if len(raw) <= MEMORABLE_HEAD and b"?" not in raw and b"registry" not in raw.lower():
        return _remember_request_head(raw)
    return _parse_request_head(raw)


def _parse_request_head(raw: bytes) -> RequestHead:
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
        values[name] = f"{values[name]},{value}" if name == "connection" and name in values else value
    if version == "1.1" and "host" not in values:
        raise malformed("header Host is missing", close=True)
    if values.get("content-type", "").lower().startswith("application/grpc"):
        raise malformed("gRPC is not spoken here", status=505, close=True)
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


_remember_request_head: Final = lru_cache(maxsize=1024)(_parse_request_head)


def _parse_fields(raw: bytes, start: int) -> Fields:
    """Return the fields, names in lower case; checked as a whole, then taken apart."""
    if _FIELDS.fullmatch(raw, start) is None:
        raise malformed("malformed header", close=True)
    lines = raw[start:-4].decode("latin-1").split("\r\n") if len(raw) - start > 2 else []  # the empty line
    if len(lines) > FIELDS_LIMIT:
        raise malformed(f"more than {FIELDS_LIMIT} headers", status=431, close=True)
    fields = []
    for line in lines:
        name, _, value = line.partition(":")
        fields.append((name.lower(), value.strip(" \t")))
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
    if not _LENGTH.fullmatch(length):
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
    try:
        fields = _parse_fields(raw, line.end())
    except Refusal as refusal:
        raise ValueError(refusal.message) from refusal
    values = dict(fields)
    status = int(line[1])
    if status < 100:
        raise ValueError("not an HTTP status")
    keep_alive = "close" not in values.get("connection", "").lower() and raw.startswith(b"HTTP/1.1")
    if method == "HEAD" or status in (204, 304) or status < 200:  # RFC 9112 6.3
        return ResponseHead(status, fields, 0, chunked=False, keep_alive=keep_alive)
    if sum(name in ("content-length", "transfer-encoding") for name, _ in fields) > 1:
        raise ValueError("an answer with two lengths")
    coding, length = values.get("transfer-encoding"), values.get("content-length")
    if coding is not None:
        if coding.lower() != "chunked":
            raise ValueError("an answer in an unknown coding")
        return ResponseHead(status, fields, None, chunked=True, keep_alive=keep_alive)
    if length is None:
        return ResponseHead(status, fields, None, chunked=False, keep_alive=False)
    if not _LENGTH.fullmatch(length):
        raise ValueError("an answer with an unacceptable length")
    return ResponseHead(status, fields, int(length), chunked=False, keep_alive=keep_alive)


class ChunkDecoder:
    """Takes chunked framing off blocks of bytes: sizes in hex, CRLF, no extensions, no trailers."""

    __slots__ = ("_left", "_line", "_state", "done")

    def __init__(self) -> None:
        self._left = 0
        self._line = b""  # the beginning of a line that a block has cut off
        self._state = _Expect.SIZE
        self.done = False

    def decode(self, block: bytes) -> tuple[Pieces, bytes]:
        """Return the payload in a block, without a copy, and what lies behind the end of the body.

        Raises:
            ValueError: if the framing is not strictly chunked.

        """
        if self._line:
            block, self._line = self._line + block, b""
        pieces: Pieces = []
        view = memoryview(block)
        position, size = 0, len(block)
        while position < size and not self.done:
            if self._state is _Expect.DATA:
                end = min(position + self._left, size)
                pieces.append(view[position:end])
                self._left -= end - position
                position = end
                if not self._left:
                    self._state = _Expect.END
                continue
            end = block.find(b"\r\n", position, position + CHUNK_LINE_LIMIT + 2)
            if end < 0:
                self._keep(block[position:])
                return pieces, b""
            self._next(block[position:end])
            position = end + 2
        return pieces, block[position:] if self.done else b""

    def _keep(self, line: bytes) -> None:
        """Keep the beginning of a line for the next block."""
        if len(line) > CHUNK_LINE_LIMIT:
            raise ValueError("malformed chunk")
        self._line = line

    def _next(self, line: bytes) -> None:
        """Move on after a line: the end of a chunk, its size, or the empty line after the last."""
        if self._state is _Expect.SIZE:
            if not _CHUNK_SIZE.fullmatch(line):
                raise ValueError("malformed chunk size")
            self._left = int(line, 16)
            self._state = _Expect.DATA if self._left else _Expect.LAST
        elif line:
            raise ValueError("malformed chunk end or trailer")
        elif self._state is _Expect.LAST:
            self.done = True
        else:
            self._state = _Expect.SIZE
