"""The engine's own socket, closed to everybody but root while hostadmin runs, and put back afterwards."""

import os
import stat
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SocketState:
    """Owner, group and mode of a socket file."""

    uid: int
    gid: int
    mode: int

    def as_dict(self) -> dict[str, Any]:
        """Return the state for the database."""
        return {"uid": self.uid, "gid": self.gid, "mode": self.mode}

    @property
    def root_only(self) -> bool:
        """Whether nobody but root can connect (an engine that makes its socket begins like that)."""
        return self.uid == 0 and not self.mode & 0o077


CLOSED = SocketState(0, 0, 0o600)


def look(path: str) -> SocketState | None:
    """Return the state of a socket file, ``None`` if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return SocketState(found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) if stat.S_ISSOCK(found.st_mode) else None


def put(path: str, state: SocketState) -> None:
    """Set owner, group and mode; closing takes the mode first, opening last."""
    if state.mode == CLOSED.mode:
        os.chmod(path, state.mode)
        os.chown(path, state.uid, state.gid)
    else:
        os.chown(path, state.uid, state.gid)
        os.chmod(path, state.mode)
