"""A thin adapter over docker-py's ``APIClient``: plain data out, our own errors, reconnects by itself.

The engine may be away at any time: then every method raises ``Unavailable`` and the next call tries anew.
"""

import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import docker
import requests
from docker.errors import APIError, DockerException

from hostadmin.core.errors import Conflict, Failed, HostadminError, Invalid, NotFound, Unavailable

T = TypeVar("T")
TIMEOUT_SECONDS: Final = 60
ERRORS: Final = {400: Invalid, 404: NotFound, 409: Conflict}
Item = dict[str, Any]


class Engine:
    """Our own calls to the engine behind ``socket`` (a path)."""

    def __init__(self, socket: str) -> None:
        self.socket = socket
        self._client: Any = None
        self._lock = threading.Lock()

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = docker.APIClient(base_url=f"unix://{self.socket}", version="auto", timeout=TIMEOUT_SECONDS)
            return self._client

    def _call(self, work: Callable[[Any], T]) -> T:
        try:
            return work(self._connected())
        except (APIError, DockerException, requests.RequestException, OSError) as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> HostadminError:
        if isinstance(error, APIError) and error.response is not None:
            kind = ERRORS.get(error.response.status_code, Failed)
            return kind(f"The engine says: {error.explanation or error.response.reason}", key=f"engine-{kind.key}")
        with self._lock:
            self._client = None
        return Unavailable("The Docker Engine does not answer now; nothing was done. Try again shortly.", key="engine-unavailable")

    # -- the engine itself ------------------------------------------------------------------

    def ping(self) -> bool:
        """Tell whether the engine answers."""
        try:
            return bool(self._call(lambda c: c.ping()))
        except HostadminError:
            return False

    def version(self) -> Item:
        """Return ``GET /version``."""
        return self._call(lambda c: c.version())

    def info(self) -> Item:
        """Return ``GET /info``."""
        return self._call(lambda c: c.info())

    def events(self, since: int | None) -> "EventStream":
        """Open the stream of events, from ``since`` (Unix seconds) on."""
        return EventStream(self._call(lambda c: c.events(decode=True, since=since)), self._translated)

    # -- containers -------------------------------------------------------------------------

    def list_containers(self) -> list[Item]:
        """Return all containers, stopped ones too."""
        return self._call(lambda c: c.containers(all=True))

    def inspect_container(self, ref: str, *, size: bool = False) -> Item:
        """Return a container's inspect, with ``SizeRw`` if ``size``."""
        if not size:
            return self._call(lambda c: c.inspect_container(ref))
        return self._call(
            lambda c: c._result(c._get(c._url("/containers/{0}/json", ref), params={"size": "1"}), json=True)
        )  # docker-py has no such parameter

    def start_container(self, ref: str) -> None:
        """Start a container."""
        self._call(lambda c: c.start(ref))

    def stop_container(self, ref: str) -> None:
        """Stop a container (10 s to end by itself)."""
        self._call(lambda c: c.stop(ref, timeout=10))

    def restart_container(self, ref: str) -> None:
        """Restart a container."""
        self._call(lambda c: c.restart(ref, timeout=10))

    def remove_container(self, ref: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove a container."""
        self._call(lambda c: c.remove_container(ref, force=force, v=volumes))

    def update_restart(self, ref: str, name: str, retries: int) -> None:
        """Set a container's restart policy."""
        policy = {"Name": name, "MaximumRetryCount": retries}
        self._call(lambda c: c.update_container(ref, restart_policy=policy))

    # -- networks, volumes, images ----------------------------------------------------------

    def list_networks(self) -> list[Item]:
        """Return all networks."""
        return self._call(lambda c: c.networks())

    def inspect_network(self, ref: str) -> Item:
        """Return a network's inspect."""
        return self._call(lambda c: c.inspect_network(ref))

    def remove_network(self, ref: str) -> None:
        """Remove a network."""
        self._call(lambda c: c.remove_network(ref))

    def list_volumes(self) -> list[Item]:
        """Return all volumes."""
        return self._call(lambda c: c.volumes()["Volumes"] or [])

    def inspect_volume(self, name: str) -> Item:
        """Return a volume's inspect."""
        return self._call(lambda c: c.inspect_volume(name))

    def remove_volume(self, name: str) -> None:
        """Remove a volume."""
        self._call(lambda c: c.remove_volume(name))

    def list_images(self) -> list[Item]:
        """Return all images, untagged intermediate ones left out."""
        return self._call(lambda c: c.images())

    def inspect_image(self, ref: str) -> Item:
        """Return an image's inspect."""
        return self._call(lambda c: c.inspect_image(ref))

    def remove_image(self, ref: str) -> None:
        """Remove a tag, or an image by its id; never by force."""
        self._call(lambda c: c.remove_image(ref))


class EventStream:
    """The engine's events, one by one; ends silently when the engine does."""

    def __init__(self, stream: Any, translate: Callable[[Exception], HostadminError]) -> None:
        self._stream = stream
        self._translate = translate

    def __iter__(self) -> Iterator[Item]:
        """Yield events until the stream ends.

        Raises:
            Unavailable: the connection broke.

        """
        try:
            yield from self._stream
        except (DockerException, requests.RequestException, OSError, ValueError, AttributeError) as error:
            raise self._translate(error) from error

    def close(self) -> None:
        """End the stream from another thread."""
        try:
            self._stream.close()
        except (DockerException, requests.RequestException, OSError, ValueError, AttributeError):
            return
