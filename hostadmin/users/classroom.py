"""What a class holds of the host: a row per student for `hostadmin cohort show`, and what ending it would take away."""

import socket
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hostadmin.core.errors import HostadminError
from hostadmin.core.values import Kind, UserState
from hostadmin.engine.client import Engine
from hostadmin.host import homes
from hostadmin.objects.holdings import Holdings
from hostadmin.store import audit, images, objects
from hostadmin.store.database import Database
from hostadmin.store.users import User

COUNTED: Final = (Kind.CONTAINER, Kind.NETWORK, Kind.VOLUME)


class Classroom:
    """Looks at the students of a cohort together.

    Args:
        database: the ledger.
        engine: asked for restarts and for the sizes of containers and volumes.
        holdings: what each holds against their quotas.

    """

    def __init__(self, database: Database, engine: Engine, holdings: Holdings) -> None:
        self._database = database
        self._engine = engine
        self._holdings = holdings

    @property
    def host(self) -> str:
        """The name under which people reach this host."""
        return socket.getfqdn() if "." in socket.getfqdn() else socket.gethostname()

    def rows(self, members: Sequence[User]) -> Sequence[dict[str, Any]]:
        """Return a row per student: last seen, containers, restarts, disk in bytes, and the quota that is nearest to its limit.

        ``restarts`` and ``disk`` are ``None`` while the engine does not answer.
        """
        with self._database.read() as tx:
            seen = audit.last_seen(tx, [u.id for u in members])
            containers = {u.id: objects.list_objects(tx, Kind.CONTAINER, owner_id=u.id) for u in members}
            volumes = {u.id: [o.ref for o in objects.list_objects(tx, Kind.VOLUME, owner_id=u.id)] for u in members}
        sizes = self._sizes()
        rows = []
        for user in members:
            quotas = self._holdings.quotas(user)
            mine = containers[user.id]
            rows.append(
                {
                    "login": user.login,
                    "name": user.name,
                    "state": str(user.state),
                    "last_seen": seen.get(user.id),
                    "containers": len(mine),
                    "running": sum(o.detail.get("state") == "running" for o in mine),
                    "restarts": self._restarts([o.ref for o in mine if o.detail.get("state") in ("running", "restarting")]),
                    "disk": self._disk(user, [o.ref for o in mine], volumes[user.id], quotas, sizes),
                    "quota": fullest(quotas),
                }
            )
        return rows

    def holdings(self, members: Sequence[User]) -> Sequence[dict[str, Any]]:
        """Return login, and how many containers, networks, volumes and images each owns, by name."""
        found = []
        with self._database.read() as tx:
            for user in members:
                owned = {f"{k}s": [o.name or o.ref[:12] for o in objects.list_objects(tx, k, owner_id=user.id)] for k in COUNTED}
                found.append(
                    {"login": user.login, **owned, "images": len(images.held_by(tx, user.id)), "removed": user.state is UserState.REMOVED}
                )
        return found

    def _restarts(self, running: Sequence[str]) -> int | None:
        """Return how often the engine has restarted containers by itself."""
        try:
            return sum(int(self._engine.inspect_container(ref).get("RestartCount", 0)) for ref in running)
        except HostadminError:
            return None

    def _sizes(self) -> Mapping[str, int] | None:
        """Return container id or volume name → bytes, asked of the engine once for all."""
        try:
            usage = self._engine.disk_usage()
        except HostadminError:
            return None
        layers = {c["Id"]: int(c.get("SizeRw") or 0) for c in usage.get("Containers") or []}
        volumes = {v["Name"]: max(int((v.get("UsageData") or {}).get("Size") or 0), 0) for v in usage.get("Volumes") or []}
        return layers | volumes

    def _disk(
        self,
        user: User,
        containers: Sequence[str],
        volumes: Sequence[str],
        quotas: Sequence[Mapping[str, Any]],
        sizes: Mapping[str, int] | None,
    ) -> int | None:
        """Return the bytes of home, images, writable layers and volumes."""
        if sizes is None:
            return None
        held = next((row["used"] for row in quotas if row["name"] == "image_bytes"), 0)
        return homes.size(user.home) + held + sum(sizes.get(ref, 0) for ref in (*containers, *volumes))


def fullest(quotas: Sequence[Mapping[str, Any]]) -> str:
    """Return the quota that is nearest to its limit, as ``containers 12/50``; empty if nothing is used."""
    limited = [row for row in quotas if row["limit"] and row["used"]]
    if not limited:
        return ""
    row = max(limited, key=lambda row: row["used"] / row["limit"])
    percent = f" ({100 * row['used'] // row['limit']} %)" if row["unit"] else f" {row['used']}/{row['limit']}"
    return f"{row['name']}{percent}"
