"""Raw bytes from a real uid, fast: one forked child per account that opens a connection for each order."""

import json
import os
import pickle
import pwd
import select
import signal
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.integration.stage import GUARD_SOCKET

SECONDS: Final = 20.0
WAITING: Final = b"the guard has answered the first piece"


@dataclass(frozen=True)
class Order:
    """What one connection of the child does.

    ``pieces`` are sent one after the other; after each but the last the child waits until the guard has answered
    something (a grant, ``100 Continue``). ``half_close`` ends the sending side afterwards, so that the guard ends the
    connection as soon as it has answered everything; ``until`` ends the reading at once when these bytes have come.
    """

    pieces: tuple[bytes, ...]
    half_close: bool = True
    until: bytes = b""
    seconds: float = SECONDS
    waits: bool = False
    socket: str = GUARD_SOCKET


class Sender:
    """One account that sends bytes; ``received`` is every byte that it has ever got."""

    def __init__(self, login: str, *, before: Callable[[], None] | None = None) -> None:
        self.login = login
        self.received: list[bytes] = []
        mine, its = socket.socketpair()
        self._pid = os.fork()
        if self._pid == 0:
            mine.close()
            _become(login, its, before)
        its.close()
        self._line = mine

    def carry_out(self, order: Order) -> bytes:
        """Open a connection, send, and return all that came back."""
        _put(self._line, order)
        answer: bytes = _take(self._line)
        self.received.append(answer)
        return answer

    def send(self, *pieces: bytes, between: Callable[[], None] | None = None, **more: Any) -> bytes:
        """Send raw bytes (see ``Order``); ``between`` is done before the second piece goes out."""
        if between is None:
            return self.carry_out(Order(pieces, **more))
        _put(self._line, Order(pieces, waits=True, **more))
        assert _take(self._line) == WAITING
        between()
        _put(self._line, b"go on")
        answer: bytes = _take(self._line)
        self.received.append(answer)
        return answer

    def ask(self, method: str, target: str, body: Any = None, fields: tuple[str, ...] = (), **more: Any) -> "Answer":
        """Send one well-formed request and return its answer."""
        return Answer.read(self.send(request(method, target, body, fields), **more))

    def close(self) -> None:
        """End the child (a later sender's child holds the line's other end too, so it is told by a signal)."""
        self._line.close()
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


@dataclass(frozen=True)
class Answer:
    """One answer, taken apart."""

    status: int
    head: str
    body: bytes

    @classmethod
    def read(cls, raw: bytes) -> "Answer":
        """Read the first answer of what came back; status 0 if there is none."""
        head, _, body = raw.partition(b"\r\n\r\n")
        text = head.decode("latin-1")
        if not text.startswith("HTTP/1.1 "):
            return cls(0, text, body)
        if "transfer-encoding: chunked" in text.lower():
            body = _unchunk(body)
        return cls(int(text[9:12]), text, body)

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """The text of an error."""
        try:
            return str(self.json["message"])
        except (ValueError, KeyError, TypeError):
            return self.body.decode("utf-8", "replace")


def request(method: str, target: str, body: Any = None, fields: tuple[str, ...] = ()) -> bytes:
    """Write one request; a body that is not bytes is sent as JSON."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    kinds = [f for f in fields if f.lower().startswith("content-type")] or (["Content-Type: application/json"] if data else [])
    lines = [f"{method} {target} HTTP/1.1", "Host: docker", "Connection: close", *kinds]
    lines += [f for f in fields if f not in kinds]
    lines.append(f"Content-Length: {len(data)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + data


def _unchunk(body: bytes) -> bytes:
    out = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        try:
            count = int(size, 16)
        except ValueError:
            return out + body
        if not count:
            return out
        out, body = out + body[:count], body[count + 2 :]
    return out


def _become(login: str, line: socket.socket, before: Callable[[], None] | None) -> None:
    """The child: take the identity off, then carry out orders until the line ends."""
    try:
        if before is not None:
            before()
        account = pwd.getpwnam(login)
        os.setgroups(os.getgrouplist(login, account.pw_gid))
        os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
        os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
        os.chdir("/")
        while (order := _take(line)) is not None:
            _put(line, _carry_out(order, line))
    except (OSError, EOFError):
        pass
    finally:
        os._exit(0)


def _carry_out(order: Order, line: socket.socket) -> bytes:
    got = b""
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(order.seconds)
            sock.connect(order.socket)
            for number, piece in enumerate(order.pieces):
                if number:
                    got += sock.recv(65536)
                    if order.waits:
                        _put(line, WAITING)
                        _take(line)
                _send(sock, piece)
            if order.half_close:
                sock.shutdown(socket.SHUT_WR)
            end = time.monotonic() + order.seconds
            while not (order.until and order.until in got):
                sock.settimeout(max(0.01, end - time.monotonic()))
                data = sock.recv(1 << 20)
                if not data:
                    break
                got += data
    except OSError as error:
        got += b"" if isinstance(error, (ConnectionError, BrokenPipeError)) else f"\n<{error}>".encode()
    return got


def _send(sock: socket.socket, data: bytes) -> None:
    """Send everything, unless the guard answers first (it does not read what it has refused)."""
    view = memoryview(data)
    while view:
        readable, writable, _ = select.select([sock], [sock], [], 20)
        if readable and not writable:
            return
        if not writable:
            return
        view = view[sock.send(view[:65536]) :]


def _put(line: socket.socket, value: Any) -> None:
    data = pickle.dumps(value)
    line.sendall(struct.pack("!I", len(data)) + data)


def _take(line: socket.socket) -> Any:
    size = _exactly(line, 4)
    return None if size is None else pickle.loads(_exactly(line, struct.unpack("!I", size)[0]) or b"N.")


def _exactly(line: socket.socket, count: int) -> bytes | None:
    data = b""
    while len(data) < count:
        piece = line.recv(count - len(data))
        if not piece:
            return None
        data += piece
    return data
