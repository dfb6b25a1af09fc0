"""The control group of each person: made with its limits before anything is put into it, kept in step afterwards."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from hostadmin.core.errors import HostadminError
from hostadmin.guard.refusal import Refusal
from hostadmin.host import cgroups
from hostadmin.policy.quotas import Limits

if TYPE_CHECKING:
    from hostadmin.guard.exchange import Exchange
    from hostadmin.store.users import User

LOG = logging.getLogger("hostadmin.guard")
DRIVER_SECONDS: Final = 60.0
RETRY_SECONDS: Final = 30.0


class Parents:
    """Knows which limits hold for whom.

    Args:
        parent: the setting ``guard.cgroup_parent``; empty: nobody has a group.
        limits: returns what holds for an account now.

    """

    def __init__(self, parent: str, limits: "Callable[[User], Limits]") -> None:
        self._parent = parent.strip("/")
        self._limits = limits
        self._driver = ""
        self._asked = 0.0
        self._applied: dict[int, Limits] = {}
        self._failed: dict[int, float] = {}

    async def ensure(self, x: "Exchange") -> str:
        """Return the group of the caller, as the engine's ``CgroupParent``, made and limited by now.

        Raises:
            Refusal: 503, it cannot be limited.

        """
        user = x.caller.user
        driver = await self._driver_of(x)
        if not self._parent or user is None or driver not in ("cgroupfs", "systemd"):
            return ""
        name = cgroups.path_name(self._parent, user.uid) if driver == "cgroupfs" else cgroups.slice_name(self._parent, user.uid)
        try:
            await self._limit(user.uid, self._limits(user), name, driver)
        except HostadminError as error:
            text = f"hostadmin: your containers cannot be limited on this host now, so none is started: {error.message}"
            raise Refusal(503, text, "quota") from error
        return name

    async def follow(self, users: "list[User]") -> None:
        """Set the limits of those accounts anew that have a group and other limits than it has."""
        for user in users:
            limits = self._limits(user)
            if self._applied.get(user.uid) == limits or self._failed.get(user.uid, 0.0) > time.monotonic():
                continue
            for driver, name, path in (
                ("cgroupfs", cgroups.path_name(self._parent, user.uid), cgroups.path_name(self._parent, user.uid)),
                ("systemd", cgroups.slice_name(self._parent, user.uid), cgroups.slice_path(cgroups.slice_name(self._parent, user.uid))),
            ):
                if self._parent and cgroups.is_there(path):
                    try:
                        await self._limit(user.uid, limits, name, driver)
                    except HostadminError as error:
                        self._failed[user.uid] = time.monotonic() + RETRY_SECONDS
                        LOG.warning("guard: %s; tried again in %.0f s", error.message, RETRY_SECONDS)

    async def _limit(self, uid: int, limits: Limits, name: str, driver: str) -> None:
        path = name if driver == "cgroupfs" else cgroups.slice_path(name)
        if self._applied.get(uid) == limits and (driver == "systemd" or cgroups.is_there(path)):
            return
        act = cgroups.limit_path if driver == "cgroupfs" else cgroups.limit_slice
        await asyncio.to_thread(act, name, limits.memory_bytes, limits.cpus, limits.pids)
        self._applied[uid] = limits
        self._failed.pop(uid, None)

    async def _driver_of(self, x: "Exchange") -> str:
        """Return the engine's cgroup driver; asked again after a while, because an engine may come back with another one."""
        if not self._parent:
            return ""
        if not self._driver or time.monotonic() - self._asked > DRIVER_SECONDS:
            self._driver = str((await x.look("info") or {}).get("CgroupDriver", ""))
            self._asked = time.monotonic()
        return self._driver
