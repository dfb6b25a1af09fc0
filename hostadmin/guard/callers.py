"""From a peer to a caller: whose account stands behind a connection, and may it come in now.

The place is decided before the uid (``engine-api.md`` 5.5); access is looked at on every request (law 6)
from the account files and the ledger, never from the groups a process was started with.
"""

import grp
import os
import pwd
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from hostadmin.core.clock import now
from hostadmin.core.values import Actor, Kind, UserState
from hostadmin.guard.ledger import Ledger
from hostadmin.guard.refusal import RULE_ACCESS, Refusal
from hostadmin.host.peers import Peer, Place, read_cgroups
from hostadmin.policy.profiles import Profile, Profiles
from hostadmin.store.users import User

VIA: Final = "docker-socket"
CACHE_SECONDS: Final = 0.5
PASSWD: Final = "/etc/passwd"  # noqa: S105  # a file
GROUP: Final = "/etc/group"
FindContainer = Callable[[str], Awaitable[dict[str, Any] | None]]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request is from. ``user`` and ``profile`` are ``None`` for an administrator."""

    actor: Actor
    user: User | None
    profile: Profile | None

    @property
    def admin(self) -> bool:
        """Whether this is root on the host itself."""
        return self.user is None

    @property
    def owner(self) -> str:
        """The account id that owns what this caller makes."""
        return self.user.id if self.user else ""


class Callers:
    """Decides who comes in.

    Args:
        ledger: the guard's view of the accounts.
        profiles: returns the profiles in force.
        group: the group whose members have access.
        observe: records a member that hostadmin does not manage yet: ``(login, uid, gid) -> User``.

    """

    def __init__(
        self,
        ledger: Ledger,
        profiles: Callable[[], Profiles],
        group: str,
        observe: Callable[[str, int, int], User],
    ) -> None:
        self._ledger = ledger
        self._profiles = profiles
        self._group = group
        self._observe = observe
        self._stamp: Any = None
        self._cache: dict[int, tuple[User | Refusal, float]] = {}

    def actor(self, peer: Peer, user: User | None, *, admin: bool) -> Actor:
        """Return the actor of a peer for the audit."""
        return Actor(
            type="unix",
            via=VIA,
            account=user.id if user else None,
            login=user.login if user else _login(peer.uid) if peer.place is not Place.CONTAINER else None,
            uid=peer.uid,
            gid=peer.gid,
            loginuid=peer.loginuid,
            pid=peer.pid,
            exe=peer.exe,
            comm=peer.comm,
            container=peer.container,
            admin=admin,
        )

    async def admit(self, peer: Peer, find_container: FindContainer, before: Caller | None = None) -> Caller:
        """Return the caller behind a peer.

        Args:
            peer: who connected.
            find_container: asks the engine for a container by its full id.
            before: the caller of the connection's request before this one, returned if nothing has changed.

        Raises:
            Refusal: 403, with what to ask for.

        """
        if peer.place is Place.CONTAINER:
            user = await self._container_owner(peer, find_container)
        elif peer.place is Place.HOST and peer.uid == 0:
            return before or Caller(self.actor(peer, None, admin=True), None, None)
        elif peer.place is Place.UNKNOWN or peer.uid == 0:
            raise _denied("who is calling cannot be told for sure (the process has gone, or lives in a namespace of its own)")
        else:
            user = self._member(peer.uid)
        profile = self._profiles().get_or_default(user.profile)
        if before is not None and before.user is user and before.profile is profile:
            return before
        return Caller(self.actor(peer, user, admin=False), user, profile)

    def still_admitted(self, caller: Caller) -> bool:
        """Tell whether a caller with an open stream still has access (law 6)."""
        if caller.user is None:
            return True
        try:
            return self._member(caller.user.uid).id == caller.user.id
        except Refusal:
            return False

    async def _container_owner(self, peer: Peer, find_container: FindContainer) -> User:
        """Root in a container is not root: it is the container's owner, once the engine has confirmed it."""
        container = peer.container or ""
        owner_id = self._ledger.owners(Kind.CONTAINER).get(container)
        found = await find_container(container) if owner_id else None
        init = (found or {}).get("State", {}).get("Pid", 0)
        if owner_id is None or not init or not _below(peer, init):
            raise _denied("a process in a container that nobody owns has no access")
        user = self._ledger.user(owner_id)
        if user is None:
            raise _denied("a process in a container that nobody owns has no access")
        return self._member(user.uid)

    def _member(self, uid: int) -> User:
        """Return the account of a uid that has access now; remembered until anything changes."""
        stamp = (_stamps(), self._ledger.database.versions()["users"])
        if stamp != self._stamp:
            self._stamp = stamp
            self._cache.clear()
        known = self._cache.get(uid)
        if known is None or known[1] < time.monotonic():  # a day may have begun, a name service changed its mind
            try:
                found: User | Refusal = self._look_up(uid)
            except Refusal as refusal:
                found = refusal
            known = (found, time.monotonic() + CACHE_SECONDS)
            self._cache[uid] = known
        if isinstance(known[0], Refusal):
            raise Refusal(known[0].status, known[0].message, known[0].rule)
        return known[0]

    def _look_up(self, uid: int) -> User:
        try:
            account = pwd.getpwuid(uid)
        except KeyError:
            raise _denied(f"uid {uid} has no account on this host") from None
        login = account.pw_name
        if not self._in_group(login, account.pw_gid):
            raise _denied(
                f"{login} is not in group {self._group!r}; ask an administrator for "
                f"`hostadmin access grant {login}` (it works at once, in open shells too)"
            )
        user = self._ledger.user_by_login(login)
        if user is None or user.uid != uid:
            user = self._observe(login, uid, account.pw_gid)
        if why := find_reason(user, now().date()):
            raise _denied(why)
        return user

    def _in_group(self, login: str, gid: int) -> bool:
        try:
            group = grp.getgrnam(self._group)
        except KeyError:
            return False
        return gid == group.gr_gid or login in group.gr_mem


def find_reason(user: User, today: date) -> str | None:
    """Return why an account of the ledger has no access on a day (UTC); ``None``: it has."""
    login = user.login
    if user.state is UserState.LOCKED and user.starts is not None:
        return f"the account {login} opens on {user.starts}, its first day"
    if user.state is UserState.LOCKED:
        return f"the account {login} is locked; ask an administrator for `hostadmin user unlock {login}`"
    if user.state is UserState.LEAVING:
        return f"the account {login} is leaving this host; ask an administrator if that is wrong"
    if user.state is UserState.EXPIRED or (user.expires is not None and today > user.expires):
        return f"the account {login} expired after {user.expires}; ask an administrator for `hostadmin user set {login} --expires DATE`"
    return None if user.state is UserState.ACTIVE else f"the account {login} is not there any more"


def _denied(reason: str) -> Refusal:
    return Refusal(403, f"hostadmin: no access to Docker on this host: {reason}", RULE_ACCESS)


def _stamps() -> tuple[int, ...]:
    """Return what changes when the account files do."""
    passwd, group = os.stat(PASSWD), os.stat(GROUP)
    return passwd.st_mtime_ns, passwd.st_ino, passwd.st_size, group.st_mtime_ns, group.st_ino, group.st_size


def _login(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def _below(peer: Peer, init: int) -> bool:
    """Tell whether a peer's cgroups lie at or below those of a container's init process."""
    try:
        roots = read_cgroups(init)
    except OSError:
        return False
    return bool(peer.cgroups) and all(any(path == root or path.startswith(f"{root}/") for root in roots) for path in peer.cgroups)
