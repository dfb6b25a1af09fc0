"""uvicorn on a socket that we bind, with the kernel's word on who is at the other end."""

import asyncio
import contextlib
import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from hostadmin.api.application import create_app
from hostadmin.core.errors import Conflict
from hostadmin.host.peers import Peer, identify
from hostadmin.host.sockets import answers

if TYPE_CHECKING:
    from hostadmin.app import App

SOCKET_MODE: Final = 0o666  # the kernel says who calls, the permissions table decides
CONNECTIONS_PER_UID: Final = 64
HOST_ROOT: Final = (0, True)  # is not limited: the administrator always gets in
SILENCE_SECONDS: Final = 10.0  # uvicorn itself waits for a request's head and body for ever (audit.md 7.3)


class PeerProtocol(H11Protocol):
    """Puts the peer of a connection into the state of each of its requests; ends crowds and the silent."""

    crowds: ClassVar[Counter[tuple[int, bool]]] = Counter()
    peer: Peer
    _seen: Any = None

    def connection_made(self, transport: Any) -> None:
        """Look at the peer while its process is certainly there."""
        self.peer = identify(transport.get_extra_info("socket"))
        self.app_state = {**self.app_state, "peer": self.peer}
        super().connection_made(transport)
        self.crowds[self._crowd] += 1
        if self._crowd != HOST_ROOT and self.crowds[self._crowd] > CONNECTIONS_PER_UID:
            transport.abort()
        else:
            self.loop.call_later(SILENCE_SECONDS, self._end_silence)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.crowds[self._crowd] -= 1
        super().connection_lost(exc)

    @property
    def _crowd(self) -> tuple[int, bool]:
        return self.peer.uid, self.peer.from_host

    def _end_silence(self) -> None:
        """Close the connection if its caller owes us a head or the rest of a body since the last look."""
        if self.transport.is_closing():
            return
        owing = self.cycle is None or self.cycle.response_complete or self.cycle.more_body
        if owing and self._seen is self.cycle:
            self.transport.abort()
            return
        self._seen = self.cycle
        self.loop.call_later(SILENCE_SECONDS, self._end_silence)


class Server(uvicorn.Server):
    """Leaves the signals to us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: the process owns its signals."""
        yield


def listen(path: str) -> socket.socket:
    """Bind the API's socket; one that nobody answers on any more is replaced.

    Raises:
        Conflict: somebody answers there.

    """
    Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    if answers(path):
        raise Conflict(f"Somebody else answers on {path}: end that, or set [api] socket to another path.", key="socket-taken")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(path)
    os.chmod(path, SOCKET_MODE)
    sock.listen(128)
    return sock


def serve(app: "App", path: str) -> None:
    """Serve the API until SIGTERM or SIGINT.

    Args:
        app: the service's object graph.
        path: the Unix socket.

    """
    config = uvicorn.Config(
        create_app(app),
        http=PeerProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=None,  # bounded per uid above: one person's crowd must not refuse the others
        headers=[("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")],
        timeout_keep_alive=5,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=16384,
        log_config=None,
    )
    server = Server(config)

    def stop(*_: object) -> None:
        app.users.context.stopping.set()
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    asyncio.run(server.serve(sockets=[listen(path)]))
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
