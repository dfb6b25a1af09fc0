"""Chunked framing taken off, strictly and without the guard's own code: a judge of what the guard writes."""

import re
from typing import Final

_SIZE: Final = re.compile(rb"[0-9a-f]{1,8}")


class Chunks:
    """Takes in bytes and gives back the payload; ``done`` after the last chunk."""

    def __init__(self) -> None:
        self.rest = b""
        self.done = False

    def decode(self, data: bytes) -> bytes:
        """Return the payload that is complete.

        Raises:
            ValueError: it is not plain chunked framing.

        """
        self.rest += data
        out = []
        while not self.done:
            line, end, after = self.rest.partition(b"\r\n")
            if not end:
                break
            if not _SIZE.fullmatch(line.lower()):
                raise ValueError(f"not a chunk size: {line[:40]!r}")
            size = int(line, 16)
            if len(after) < size + 2:
                break
            if after[size : size + 2] != b"\r\n":
                raise ValueError("a chunk without an end")
            out.append(after[:size])
            self.rest = after[size + 2 :]
            self.done = size == 0
        return b"".join(out)
