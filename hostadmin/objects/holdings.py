"""How much of the host somebody holds, against what their profile allows: for `me quota` and `policy show`."""

from typing import Any

from hostadmin.core.errors import HostadminError
from hostadmin.core.values import Kind
from hostadmin.engine.client import Engine
from hostadmin.host import cgroups
from hostadmin.policy.profiles import Profiles
from hostadmin.policy.quotas import KERNEL, show_use
from hostadmin.store import numbers, objects, quotas
from hostadmin.store.database import Database
from hostadmin.store.users import User

ACTIVE = ("running", "paused", "restarting")


class Holdings:
    """Counts what accounts hold.

    Args:
        database: the ledger.
        engine: asked for the sizes of images that are not known yet.
        profiles: the profiles in force.
        cgroup_parent: the setting ``guard.cgroup_parent``.

    """

    def __init__(self, database: Database, engine: Engine, profiles: Profiles, cgroup_parent: str) -> None:
        self.database = database
        self.engine = engine
        self.profiles = profiles
        self.cgroup_parent = cgroup_parent

    def show(self, user: User | None) -> dict[str, Any]:
        """Return use against limits, one row a quota, and what is the account's own; ``None``: nothing is held yet.

        ``ports``: where host ports may lie (``None``: in a block that is still to be given); ``own_ports`` and
        ``own_subnet``: what is reserved for this account alone.
        """
        profile = self.profiles.get_or_default(user.profile if user else self.profiles.default)
        with self.database.read() as tx:
            block = quotas.find_port_block(tx, user.id) if user else None
            given = numbers.find(tx, user.id) if user else None
        own = list(block) if block else None
        return {
            "profile": profile.name,
            "quotas": self.quotas(user),
            "ports": own if profile.port_block else list(profile.ports),
            "own_ports": own,
            "own_subnet": given.subnet if given else None,
        }

    def quotas(self, user: User | None) -> list[dict[str, Any]]:
        """Return use against limits, one row a quota; ``None``: nothing is held yet."""
        profile = self.profiles.get_or_default(user.profile if user else self.profiles.default)
        return show_use(self._used(user) if user else {}, profile)

    def _used(self, user: User) -> dict[str, int]:
        with self.database.read() as tx:
            containers = objects.list_objects(tx, Kind.CONTAINER, owner_id=user.id)
            counts = {f"{kind}s": objects.count(tx, kind, user.id) for kind in (Kind.NETWORK, Kind.VOLUME)}
            images = quotas.image_bytes(tx, user.id)
        return {
            **counts,
            "containers": len(containers),
            "running": sum(c.detail.get("state") in ACTIVE for c in containers),
            "published_ports": sum(int(c.detail.get("published", 0)) for c in containers),
            "image_bytes": self._image_bytes(images),
            **self._kernel(user),
        }

    def _image_bytes(self, known: dict[str, int | None]) -> int:
        try:
            measured = {image: self._measure(image) for image, own in known.items() if own is None}
        except HostadminError:
            measured = {}
        if measured:
            self.database.write(lambda tx: quotas.put_image_sizes(tx, measured))
        return sum(own if own is not None else measured.get(image, 0) for image, own in known.items())

    def _measure(self, image: str) -> int:
        found = self.engine.inspect_image(image)
        parent = self.engine.inspect_image(found["Parent"]) if found.get("Parent") else {}
        return max(int(found.get("Size", 0)) - int(parent.get("Size", 0)), 0)

    def _kernel(self, user: User) -> dict[str, int]:
        """Return what the kernel counts in the account's control group now."""
        for name in cgroups.names(self.cgroup_parent, user.uid) if self.cgroup_parent.strip("/") else ():
            if cgroups.is_there(name):
                use = cgroups.read_use(name)
                return dict(zip(KERNEL, (use.memory_bytes or 0, use.pids or 0), strict=True))
        return {}
