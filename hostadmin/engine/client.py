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
LONG_SECONDS: Final = 3600  # what copies or measures data takes as long as there is data
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

    def list_containers(self, filters: dict[str, Any] | None = None) -> list[Item]:
        """Return all containers, stopped ones too; with ``filters`` (of ``GET /containers/json``) those that match."""
        return self._call(lambda c: c.containers(all=True, filters=filters))

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

    def stop_container(self, ref: str, *, seconds: int = 10) -> None:
        """Stop a container, which has ``seconds`` to end by itself; nothing if it does not run."""
        self._call(lambda c: c.stop(ref, timeout=seconds))

    def pause_container(self, ref: str) -> None:
        """Freeze a running container."""
        self._call(lambda c: c.pause(ref))

    def unpause_container(self, ref: str) -> None:
        """Let a frozen container go on."""
        self._call(lambda c: c.unpause(ref))

    def create_container(self, name: str, body: Item) -> str:
        """Create a container from a body of ``POST /containers/create`` and return its id."""
        return str(self._call(lambda c: c.create_container_from_config(body, name))["Id"])

    def commit_container(self, ref: str, repository: str, tag: str, *, pause: bool) -> str:
        """Make an image of a container and return its id; ``pause``: frozen meanwhile, if it runs."""
        params = {"container": ref, "repo": repository, "tag": tag, "pause": pause}
        return str(
            self._call(lambda c: c._result(c._post_json(c._url("/commit"), {}, params=params, timeout=LONG_SECONDS), json=True))["Id"]
        )

    def restart_container(self, ref: str) -> None:
        """Restart a container."""
        self._call(lambda c: c.restart(ref, timeout=10))

    def remove_container(self, ref: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove a container."""
        params = {"v": volumes, "force": force}
        self._call(lambda c: c._raise_for_status(c._delete(c._url("/containers/{0}", ref), params=params, timeout=LONG_SECONDS)))

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

    def create_network(self, body: Item) -> str:
        """Create a network from a body of ``POST /networks/create`` and return its id."""
        return str(self._call(lambda c: c._result(c._post_json(c._url("/networks/create"), body), json=True))["Id"])

    def connect_network(self, network: str, container: str, endpoint: Item) -> None:
        """Connect a container to a network as ``endpoint`` says (``EndpointSettings``)."""
        body = {"Container": container, "EndpointConfig": endpoint}
        self._call(lambda c: c._raise_for_status(c._post_json(c._url("/networks/{0}/connect", network), body)))

    def disconnect_network(self, network: str, container: str) -> None:
        """Take a container out of a network."""
        self._call(lambda c: c.disconnect_container_from_network(container, network, force=True))

    def remove_network(self, ref: str) -> None:
        """Remove a network."""
        self._call(lambda c: c.remove_network(ref))

    def list_volumes(self) -> list[Item]:
        """Return all volumes."""
        return self._call(lambda c: c.volumes()["Volumes"] or [])

    def inspect_volume(self, name: str) -> Item:
        """Return a volume's inspect."""
        return self._call(lambda c: c.inspect_volume(name))

    def create_volume(self, name: str, labels: dict[str, str]) -> Item:
        """Create a plain local volume, or find the one of that name; return its inspect."""
        return self._call(lambda c: c.create_volume(name=name, driver="local", labels=labels))

    def remove_volume(self, name: str) -> None:
        """Remove a volume."""
        self._call(lambda c: c.remove_volume(name))

    def list_images(self, reference: str | None = None) -> list[Item]:
        """Return all images, untagged intermediate ones left out; with ``reference`` (a pattern) those with such a tag."""
        filters = {"reference": reference} if reference else None
        return self._call(lambda c: c.images(filters=filters))

    def inspect_image(self, ref: str) -> Item:
        """Return an image's inspect."""
        return self._call(lambda c: c.inspect_image(ref))

    def remove_image(self, ref: str, *, parents: bool = True) -> None:
        """Remove a tag, or an image by its id; never by force. ``parents``: the untagged ones below it too."""
        self._call(lambda c: c.remove_image(ref, noprune=not parents))

    def disk_usage(self) -> Item:
        """Return ``GET /system/df``; it measures every container and volume."""
        return self._call(lambda c: c._result(c._get(c._url("/system/df"), timeout=LONG_SECONDS), json=True))


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
