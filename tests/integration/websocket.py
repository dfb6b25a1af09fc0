"""A small WebSocket client (RFC 6455) for attaching, run as a student: handshake, masked frames, nothing else."""

import base64
import hashlib
import os
import socket
import struct
import subprocess
import sys

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BINARY, CLOSE = 2, 8


class WebSocket:
    """One connection after its handshake.

    Args:
        path: the Unix socket.
        target: what to ask for.

    Raises:
        ConnectionError: with the answer, if the server does not change to WebSocket.

    """

    def __init__(self, path: str, target: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(path)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {target} HTTP/1.1", "Host: docker", "Origin: http://docker", "Connection: Upgrade", "Upgrade: websocket"]
        lines += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Extensions: permessage-deflate", "", ""]
        self.sock.sendall("\r\n".join(lines).encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self.buffer += self._more()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        expected = base64.b64encode(hashlib.sha1((key + GUID).encode(), usedforsecurity=False).digest())
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise ConnectionError(head.decode() + self.buffer.decode())
        assert b"Sec-WebSocket-Accept: " + expected in head, head
        assert b"Extensions" not in head, head

    def _more(self) -> bytes:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError
        return data

    def send(self, data: bytes, opcode: int = BINARY) -> None:
        """Send one masked frame of less than 126 bytes."""
        mask = os.urandom(4)
        body = bytes(b ^ mask[i % 4] for i, b in enumerate(data))
        self.sock.sendall(bytes([0x80 | opcode, 0x80 | len(data)]) + mask + body)

    def receive(self) -> tuple[int, bytes]:
        """Return opcode and payload of the next frame."""
        head = self._take(2)
        length = head[1] & 0x7F
        if length == 126:
            length = struct.unpack(">H", self._take(2))[0]
        return head[0] & 0xF, self._take(length)

    def _take(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self.buffer += self._more()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def until(self, wanted: bytes) -> bytes:
        """Collect payloads until ``wanted`` is in them."""
        found = b""
        while wanted not in found:
            found += self.receive()[1]
        return found


def main() -> None:
    """Talk as the process of this program: the socket, the target, then lines of what to send and what to wait for."""
    try:
        client = WebSocket(sys.argv[1], sys.argv[2])
    except ConnectionError as error:
        print(error)
        return
    print("open", flush=True)
    try:
        for line in sys.stdin:
            send, _, wanted = line.rstrip("\n").partition("|")
            if send:
                client.send(send.encode() + b"\n")
            print(client.until(wanted.encode()).decode(errors="replace").strip(), flush=True)
        client.send(struct.pack(">H", 1000), CLOSE)
    except (EOFError, ConnectionError):
        print("ended", flush=True)


if __name__ == "__main__":
    main()


def attach(process: dict[str, object], lines: list[str]) -> str:
    """Run this program with ``subprocess`` arguments made by ``people.process_of``; return what it printed."""
    done = subprocess.run(**process, input="".join(f"{line}\n" for line in lines), capture_output=True, text=True, check=False, timeout=60)  # type: ignore[call-overload]
    return str(done.stdout)
