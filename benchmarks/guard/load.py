"""A small load generator for HTTP over a Unix socket: raw sockets, no pipelining, in processes of another uid.

The same client for everything that is measured, so that ratios say something; its own cost is in all figures.
"""

import multiprocessing
import os
import pwd
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests per second, and latency in milliseconds."""

    per_second: float
    median_ms: float = 0.0
    p99_ms: float = 0.0


def as_user(login: str, work: Callable[..., Any], *args: Any) -> Any:
    """Run ``work(*args)`` in a forked process with the uid, gid and groups of ``login``; return its result.

    Raises:
        RuntimeError: it failed.

    """
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(login, there, work, args))
    process.start()
    there.close()
    try:
        good, result = here.recv()
    except EOFError:
        good, result = False, "the client process ended"
    process.join()
    if not good:
        raise RuntimeError(result)
    return result


def _child(login: str, pipe: Any, work: Callable[..., Any], args: tuple[Any, ...]) -> None:
    account = pwd.getpwnam(login)
    os.initgroups(login, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    try:
        pipe.send((True, work(*args)))
    except Exception as error:  # noqa: BLE001  # told to the parent
        pipe.send((False, f"{type(error).__name__}: {error}"))


def latency(path: str, target: str, seconds: float) -> Rate:
    """One connection, one request after the other."""
    request = _get(target)
    times = []
    with _connect(path) as sock:
        reader = Answers(sock)
        end = time.perf_counter() + seconds
        begin = time.perf_counter()
        while begin < end:
            sock.sendall(request)
            reader.read()
            now = time.perf_counter()
            times.append(now - begin)
            begin = now
    times.sort()
    return Rate(len(times) / seconds, times[len(times) // 2] * 1e3, times[int(len(times) * 0.99)] * 1e3)


def throughput(path: str, target: str, seconds: float, connections: int) -> Rate:
    """Many connections at once, one request under way on each."""
    request = _get(target)
    poll = select.epoll()
    readers = {}
    for _ in range(connections):
        sock = _connect(path)
        readers[sock.fileno()] = Answers(sock)
        poll.register(sock.fileno(), select.EPOLLIN)
        sock.sendall(request)
    done = 0
    begin = time.perf_counter()
    while (passed := time.perf_counter() - begin) < seconds:
        for number, _ in poll.poll(1):
            if readers[number].feed():
                done += 1
                readers[number].sock.sendall(request)
    for reader in readers.values():
        reader.sock.close()
    return Rate(done / passed)


def new_connections(path: str, target: str, seconds: float) -> Rate:
    """A connection, one request, close; again."""
    request = _get(target)
    done = 0
    begin = time.perf_counter()
    while (passed := time.perf_counter() - begin) < seconds:
        with _connect(path) as sock:
            sock.sendall(request)
            Answers(sock).read()
        done += 1
    return Rate(done / passed)


def fetch(path: str, target: str) -> tuple[int, bytes]:
    """One request; return status and whole answer."""
    with _connect(path) as sock:
        sock.sendall(_get(target))
        reader = Answers(sock)
        answer = reader.read()
        return int(answer.split(b" ", 2)[1]), answer


class Answers:
    """Finds where answers end: by length, by the last chunk, or at once where there is no body.

    Raises:
        RuntimeError: the other end has closed, or answered with an error.

    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = b""

    def read(self) -> bytes:
        """Wait for one whole answer and return it."""
        while True:
            answer = self.feed()
            if answer:
                return answer

    def feed(self) -> bytes:
        """Take what has come; return the answer if it is whole now, else nothing."""
        data = self.sock.recv(CHUNK)
        if not data:
            raise RuntimeError(f"closed after {self._buffer[:200]!r}")
        self._buffer = self._buffer + data if self._buffer else data
        if not self._whole():
            return b""
        answer, self._buffer = self._buffer, b""
        return answer

    def _whole(self) -> bool:
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return False
        if not head.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(f"not a success: {self._buffer[:300]!r}")
        at = head.lower().find(b"\r\ncontent-length:")
        if at >= 0:
            return len(body) >= int(head[at + 17 :].split(b"\r\n", 1)[0])
        return body.endswith(b"0\r\n\r\n") if b"chunked" in head.lower() else True


def _get(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: docker\r\nUser-Agent: bench\r\n\r\n".encode()


def _connect(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)  # blocking: with a timeout a full queue is an error at once
    sock.settimeout(30)
    return sock


class Idle:
    """Keeps so many endless answers open, as a context.

    Args:
        login: whose process keeps them.
        path: the socket.
        target: what is asked for; its answer's head must have come before the body begins.
        count: how many.

    """

    def __init__(self, login: str, path: str, target: str, count: int) -> None:
        self._context = multiprocessing.get_context("fork")
        self._ready, there = self._context.Pipe(duplex=False)
        self._stop = self._context.Event()
        self._process = self._context.Process(target=_keep_open, args=(login, path, target, count, there, self._stop), daemon=True)

    def __enter__(self) -> None:
        self._process.start()
        good = self._ready.recv()
        time.sleep(1)
        if good is not True:
            self._stop.set()
            raise RuntimeError(good)

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._process.join()
        time.sleep(1)


def _keep_open(login: str, path: str, target: str, count: int, pipe: Any, stop: Any) -> None:
    account = pwd.getpwnam(login)
    os.initgroups(login, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    try:
        socks = [_connect(path) for _ in range(count)]
        for sock in socks:
            sock.sendall(_get(target))
        for sock in socks:
            if not sock.recv(CHUNK).startswith(b"HTTP/1.1 200"):
                raise RuntimeError("not a success")
        pipe.send(True)
    except Exception as error:  # noqa: BLE001  # told to the parent
        pipe.send(str(error))
    stop.wait()
