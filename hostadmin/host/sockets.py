"""Unix sockets, looked at from the caller's side."""

import socket
from contextlib import suppress
from typing import Final

CONNECT_SECONDS: Final = 1.0


def answers(path: str) -> bool:
    """Tell whether a process listens on a Unix socket; a file that a killed one has left is none.

    Raises:
        PermissionError: the socket is not for the caller.

    """
    with socket.socket(socket.AF_UNIX) as sock, suppress(FileNotFoundError, NotADirectoryError, ConnectionError):
        sock.settimeout(CONNECT_SECONDS)
        with suppress(BlockingIOError, TimeoutError):  # its queue is full: somebody is there
            sock.connect(path)
        return True
    return False
