"""uvicorn on a socket that we bind, with the kernel's word on who is at the other end."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from hostadmin.api.application import create_app
from hostadmin.host.peers import identify

if TYPE_CHECKING:
    from hostadmin.app import App

SOCKET_MODE = 0o666  # the kernel says who calls, the permissions table decides


class PeerProtocol(H11Protocol):
    """Puts the peer of a connection into the state of each of its requests."""

    def connection_made(self, transport: Any) -> None:
        """Look at the peer while its process is certainly there."""
        self.app_state = {**self.app_state, "peer": identify(transport.get_extra_info("socket"))}
        super().connection_made(transport)


class Server(uvicorn.Server):
    """Leaves the signals to us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: the process owns its signals."""
        yield


def listen(path: str) -> socket.socket:
    """Bind the API's socket; an old one is replaced."""
    Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o755)
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
        limit_concurrency=512,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=16384,
        log_config=None,
    )
    server = Server(config)

    def stop(*_: object) -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    asyncio.run(server.serve(sockets=[listen(path)]))
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
