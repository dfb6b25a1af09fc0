"""Progress streams of the engine, listened to for what they made; text that a container could print counts for nothing."""

import json
from collections.abc import Callable
from typing import Any, Final

from hostadmin.core.images import FULL_IMAGE_ID
from hostadmin.guard.exchange import Exchange

STEP: Final = " ---> "
LOADED: Final = "Loaded image ID: "
SHORT_ID_LENGTH: Final = 12


class Progress:
    """Listens to a progress stream.

    Args:
        find: returns the image ids that one message of the stream tells of.

    """

    def __init__(self, find: Callable[[dict[str, Any]], list[str]] | None = None) -> None:
        self.ids: list[str] = []
        self.failed = False
        self.error = ""
        self._find = find
        self._rest = b""
        self._body: Any = None

    def listen(self, response: Any) -> None:
        """Read an answer's body through this object from now on."""
        self._body = response.body
        response.body = self

    @property
    def done(self) -> bool:
        """Whether the body has ended."""
        return bool(self._body.done)

    async def read(self) -> bytes:
        """Return some bytes of the body, looked at."""
        data: bytes = await self._body.read()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._look(line)
        if not data:
            self._look(self._rest)
        return data

    async def read_all(self, limit: int) -> bytes:
        """Return the whole body."""
        data: bytes = await self._body.read_all(limit)
        return data

    def _look(self, line: bytes) -> None:
        try:
            value = json.loads(line)
        except ValueError:
            return
        if isinstance(value, dict):
            if "error" in value or "errorDetail" in value:
                self.failed = True
                self.error = str(value.get("error", ""))[:2000]
            if self._find is not None:
                self.ids += self._find(value)

    async def known(self, x: Exchange) -> list[str]:
        """Return the full ids of those images that the engine has; none of a stream that failed."""
        found = []
        for ref in dict.fromkeys(self.ids) if not self.failed else ():
            image = await x.look("images", ref, "json")
            if image is not None:
                found.append(image["Id"])
        return found


def imported(message: dict[str, Any]) -> list[str]:
    """Return the id in the last message of an import, ``{"status": ID}``."""
    return _id(message.get("status"))


def loaded(message: dict[str, Any]) -> list[str]:
    """Return the id of an image that was loaded without a tag."""
    text = str(message.get("stream", ""))
    return [found for line in text.splitlines() if line.startswith(LOADED) for found in _id(line.removeprefix(LOADED).strip())]


def built(message: dict[str, Any]) -> list[str]:
    """Return the id of a build's result, ``{"aux": {"ID": ID}}``."""
    aux = message.get("aux")
    return _id(aux.get("ID")) if isinstance(aux, dict) else []


def built_quietly(message: dict[str, Any]) -> list[str]:
    """Return the id that a quiet build prints: nothing else is in its stream unless it fails."""
    return _id(str(message.get("stream", "")).strip())


def step(message: dict[str, Any]) -> str:
    """Return the abbreviated id of an intermediate image, `` ---> ID``; a container can print it too."""
    text = str(message.get("stream", ""))
    found = text.removeprefix(STEP).strip()
    return found if text.startswith(STEP) and len(found) == SHORT_ID_LENGTH and FULL_IMAGE_ID.fullmatch(f"sha256:{found:0<64}") else ""


def _id(text: Any) -> list[str]:
    return [text] if isinstance(text, str) and FULL_IMAGE_ID.fullmatch(text) else []
