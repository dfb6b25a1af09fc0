"""Containers of a reset: killed, committed, removed; created from there again, connected and started as they were."""

import contextlib
import secrets
from collections.abc import Mapping
from typing import Final

from hostadmin.core.errors import Conflict, HostadminError, NotFound
from hostadmin.core.images import RESETS, familiar
from hostadmin.core.names import FULL_ID
from hostadmin.core.values import Kind
from hostadmin.engine.client import Engine
from hostadmin.objects import kept
from hostadmin.objects.keepers import Data, Ids, is_made_for, there
from hostadmin.store import images, objects
from hostadmin.store.database import Database
from hostadmin.store.resets import Item

PARENTS_LIMIT: Final = 200


def _repository(plan_id: str) -> str:
    return f"{familiar(RESETS)}{plan_id}"


class Containers:
    """A container's data is committed to an image that nobody but hostadmin sees (``core.images.RESETS``).

    Its logs, its past (exit code, times) and what it had mounted in memory are not kept. Its unnamed volumes are objects
    of their own, and stay until their turn comes.
    """

    def __init__(self, engine: Engine, database: Database) -> None:
        self.engine = engine
        self.database = database

    def look(self, ref: str) -> Data | None:
        """Inspect a container by its full id."""
        return there(self.engine.inspect_container, ref)

    def mark(self, found: Data) -> str:
        """Its name: an id is never another container's."""
        return str(found["Name"]).removeprefix("/")

    def keep(self, found: Data) -> Data:
        """Keep its configuration, with the ids of its networks: one that has never run has names only."""
        data = kept.keep_container(found)
        for endpoint in data["endpoints"]:
            network = there(self.engine.inspect_network, endpoint["network"])
            if network is not None and endpoint["network"] not in kept.PREDEFINED:
                endpoint["network"] = network["Id"]
        return data

    def save(self, plan_id: str, found: Data) -> Data:
        """Kill it and commit it; one that would remove itself when it ends is only frozen, and killed by its removal."""
        ref, state = found["Id"], found["State"]
        tag = f"{ref}-{secrets.token_hex(4)}"
        if not found["HostConfig"].get("AutoRemove"):
            self.engine.stop_container(ref, seconds=0)
        elif state.get("Running") and not state.get("Paused"):
            self.engine.pause_container(ref)
        try:
            image = self.engine.commit_container(ref, _repository(plan_id), tag, pause=False)
        except HostadminError:
            if state.get("Running"):
                self._wake(ref, found)
            raise
        return {"image": image, "tag": tag}

    def tidy(self, plan_id: str, ref: str, saved: Data) -> None:
        """Remove the snapshots of a container, and the untagged images below them that nobody else has."""
        mine = f"{_repository(plan_id)}:{ref}-"
        for image in self.engine.list_images(f"{mine}*"):
            for tag in image.get("RepoTags") or []:
                if tag.startswith(mine) and tag != f"{_repository(plan_id)}:{saved.get('tag')}":
                    self._discard(tag)

    def _wake(self, ref: str, found: Data) -> None:
        with contextlib.suppress(HostadminError):
            if found["HostConfig"].get("AutoRemove"):
                self.engine.unpause_container(ref)
            else:
                self.engine.start_container(ref)

    def remove(self, found: Data) -> None:
        """Remove it by force, never with its unnamed volumes."""
        with contextlib.suppress(NotFound):
            self.engine.remove_container(found["Id"], force=True)

    def revive(self, item: Item) -> None:
        """Let it run again if it ran."""
        self._run(item.ref, item.kept["state"])

    def find_made(self, item: Item) -> Data | None:
        """Find a container of that name."""
        found = there(self.engine.inspect_container, item.name)
        if found is None or found["Name"] != f"/{item.name}":
            return None
        if not is_made_for(item, found["Config"].get("Labels")):
            raise Conflict(f"the name is taken by container {found['Id'][:12]}", key="name-taken")
        return found

    def restore(self, item: Item, labels: Mapping[str, str], ids: Ids, made: Data | None) -> str:
        """Create it from its snapshot, connect it, let it run if it ran."""
        image = item.saved["image"]
        if made is None:
            self._require(item, ids, image)
            ref = self.engine.create_container(item.name, kept.container_body(item.kept, image, labels, ids))
        else:
            ref = str(made["Id"])
        self._connect(ref, item.kept, ids)
        self._run(ref, item.kept["state"])
        return ref

    def _require(self, item: Item, ids: Ids, image: str) -> None:
        """Check that the snapshot is there, and what the container needs: its own, whatever bears the name now.

        Raises:
            Conflict: with what is not.

        """
        if there(self.engine.inspect_image, image) is None:
            raise Conflict("its snapshot has been removed from the engine", key="snapshot-gone")
        for endpoint in item.kept["endpoints"]:
            if not self._is_own_network(item, ids.get(endpoint["network"], endpoint["network"])):
                raise Conflict(f"its network {endpoint['name']!r} is not back", key="network-gone")
        for name in kept.needed_volumes(item.kept):
            if not ids.get(name, name) or there(self.engine.inspect_volume, name) is None or not self._owns(item, Kind.VOLUME, name):
                raise Conflict(f"its volume {name!r} is not back", key="volume-gone")
        for ref in kept.needed_containers(item.kept):
            if not ids.get(ref, ref) or there(self.engine.inspect_container, ids.get(ref, ref)) is None:
                raise Conflict(f"container {ref[:12]}, which it joins, is not back", key="container-gone")

    def _is_own_network(self, item: Item, ref: str) -> bool:
        """Tell whether a network is there and is what the container was in: by its id, or the owner's of that name."""
        found = there(self.engine.inspect_network, ref) if ref else None
        known = FULL_ID.fullmatch(ref) or ref in kept.PREDEFINED
        return found is not None and (bool(known) or self._owns(item, Kind.NETWORK, found["Id"]))

    def _owns(self, item: Item, kind: Kind, ref: str) -> bool:
        with self.database.read() as tx:
            return objects.owner_of(tx, kind, ref) == item.owner_id

    def _connect(self, ref: str, data: Data, ids: Ids) -> None:
        """Put the container into exactly the networks that it was in."""
        wanted = {self._network(ids.get(e["network"], e["network"])): e["config"] for e in data["endpoints"]}
        networks = self.engine.inspect_container(ref)["NetworkSettings"].get("Networks") or {}
        actual = {self._network((endpoint or {}).get("NetworkID") or name) for name, endpoint in networks.items()}
        for network in wanted.keys() - actual:
            self.engine.connect_network(network, ref, wanted[network])
        for network in actual - wanted.keys():
            self.engine.disconnect_network(network, ref)

    def _network(self, ref: str) -> str:
        return str(self.engine.inspect_network(ref)["Id"])

    def _run(self, ref: str, state: str) -> None:
        if state == "stopped":
            return
        now = self.engine.inspect_container(ref)["State"]
        if not now.get("Running"):
            self.engine.start_container(ref)
        if state == "paused" and not now.get("Paused"):
            self.engine.pause_container(ref)
        if state == "running" and now.get("Paused"):
            self.engine.unpause_container(ref)

    def _discard(self, image: str) -> None:
        found = there(self.engine.inspect_image, image)
        if found is not None:
            self.engine.remove_image(image, parents=False)
            self._discard_parents(found.get("Parent", ""))

    def _discard_parents(self, parent: str) -> None:
        """Remove the images below a removed one that have no name, no other child and no holder, as the engine would."""
        for _ in range(PARENTS_LIMIT):
            found = there(self.engine.inspect_image, parent) if parent else None
            if found is None or found.get("RepoTags") or self._is_held(parent):
                return
            try:
                self.engine.remove_image(parent, parents=False)
            except HostadminError:  # another child or a container needs it
                return
            parent = found.get("Parent", "")

    def _is_held(self, image: str) -> bool:
        with self.database.read() as tx:
            return bool(images.holders(tx, image))
