"""Networks and volumes of a reset: taken away, and made anew with subnet and content; the keeper of each kind."""

import contextlib
import hashlib
import secrets
from collections.abc import Mapping
from pathlib import Path

from hostadmin.core.errors import Conflict, Failed, NotFound
from hostadmin.core.values import Kind
from hostadmin.engine.client import Engine
from hostadmin.host import volumedata
from hostadmin.host.volumedata import Packed
from hostadmin.objects import kept
from hostadmin.objects.containersnapshots import Containers
from hostadmin.objects.keepers import Data, Ids, Keeper, is_made_for, there
from hostadmin.store.database import Database
from hostadmin.store.resets import Item


class Networks:
    """A network is its configuration; it keeps its subnet."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def look(self, ref: str) -> Data | None:
        """Inspect a network by its full id."""
        return there(self.engine.inspect_network, ref)

    def mark(self, found: Data) -> str:
        """Its name: an id is never another network's."""
        return str(found["Name"])

    def keep(self, found: Data) -> Data:
        """Keep its configuration."""
        return kept.keep_network(found)

    def save(self, plan_id: str, found: Data) -> Data:
        """Return nothing: it has no data."""
        del plan_id, found
        return {}

    def tidy(self, plan_id: str, ref: str, saved: Data) -> None:
        """Nothing lies anywhere."""

    def remove(self, found: Data) -> None:
        """Remove it; what was made in it after the plan keeps it."""
        with contextlib.suppress(NotFound):
            self.engine.remove_network(found["Id"])

    def revive(self, item: Item) -> None:
        """Leave it as it is."""

    def find_made(self, item: Item) -> Data | None:
        """Find a network of that name."""
        named = [n for n in self.engine.list_networks() if n["Name"] == item.name]
        made = next((n for n in named if is_made_for(item, n.get("Labels"))), None)
        if made is None and named:
            raise Conflict(f"the name is taken by network {named[0]['Id'][:12]}", key="name-taken")
        return made

    def restore(self, item: Item, labels: Mapping[str, str], ids: Ids, made: Data | None) -> str:
        """Create it with the subnets that it had."""
        del ids
        return str(made["Id"]) if made else self.engine.create_network(kept.network_body(item.kept, item.name, labels))


class Volumes:
    """A plain local volume's content is packed into a file below ``directory``."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        self.engine = engine
        self.directory = directory

    def look(self, ref: str) -> Data | None:
        """Inspect a volume by its name."""
        return there(self.engine.inspect_volume, ref)

    def mark(self, found: Data) -> str:
        """Its time of creation: a name can be another volume's later."""
        return str(found.get("CreatedAt"))

    def keep(self, found: Data) -> Data:
        """Keep its labels."""
        return kept.keep_volume(found)

    def save(self, plan_id: str, found: Data) -> Data:
        """Pack its content, if no container has it mounted."""
        self._require_unused(found["Name"])
        packed = volumedata.pack(found["Mountpoint"], self.directory / plan_id / f"{_key(found['Name'])}.{secrets.token_hex(4)}.tar")
        return {"file": packed.file, "sha256": packed.sha256, "bytes": packed.bytes}

    def tidy(self, plan_id: str, ref: str, saved: Data) -> None:
        """Remove its files, and with the last one the folder."""
        volumedata.forget(self.directory / plan_id, f"{_key(ref)}.", keep=saved.get("file", ""))

    def _require_unused(self, name: str) -> None:
        """Check that no container has a volume mounted: what it writes would be lost, or be in only half."""
        users = self.engine.list_containers({"volume": [name]})
        mounted = [c["Names"][0].removeprefix("/") for c in users if any(m.get("Name") == name for m in c.get("Mounts") or [])]
        if mounted:
            raise Conflict(f"container {mounted[0]!r} uses it, which is not part of this", key="volume-used")

    def remove(self, found: Data) -> None:
        """Remove it, never by force."""
        with contextlib.suppress(NotFound):
            self.engine.remove_volume(found["Name"])

    def revive(self, item: Item) -> None:
        """Leave it as it is."""

    def find_made(self, item: Item) -> Data | None:
        """Find a volume of that name."""
        found = there(self.engine.inspect_volume, item.name)
        if found is not None and not is_made_for(item, found.get("Labels")):
            raise Conflict("the name is taken by a newer volume", key="name-taken")
        return found

    def restore(self, item: Item, labels: Mapping[str, str], ids: Ids, made: Data | None) -> str:
        """Create it and put its content in place."""
        del ids
        if not item.saved:
            raise Failed("its content was not kept", key="volume-data")
        if made is None:
            made = self.engine.create_volume(item.name, {**item.kept["Labels"], **labels})
            if not is_made_for(item, made.get("Labels")):  # the engine has found one instead
                raise Conflict("the name was taken by a newer volume just now", key="name-taken")
        self._require_unused(item.name)
        volumedata.unpack(Packed(item.saved["file"], item.saved["sha256"], item.saved["bytes"]), made["Mountpoint"])
        return item.name


def _key(name: str) -> str:
    """Return what a volume's files begin with: a name may be as long as a file's already."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def make_keepers(engine: Engine, database: Database, directory: Path) -> dict[Kind, Keeper]:
    """Return the keeper of each kind; contents of volumes are kept below ``directory``."""
    return {Kind.CONTAINER: Containers(engine, database), Kind.VOLUME: Volumes(engine, directory), Kind.NETWORK: Networks(engine)}
