"""An account as people see it, and where the host differs from the ledger. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from hostadmin.core.values import Kind, UserState
from hostadmin.host.accountfiles import HostAccount, Shadow
from hostadmin.host.accounts import EXPIRED_DAY, expiry_day
from hostadmin.store.users import User


@dataclass(frozen=True, slots=True)
class UserView:
    """An account as people see it.

    ``state``: active, locked, expired or leaving. ``starts``: its first day; of a locked one, the day that opens it.
    ``groups``: those that hostadmin keeps it in besides the one with access. ``archives``: earlier homes that are kept.
    """

    login: str
    uid: int
    gid: int
    name: str
    profile: str
    state: str
    managed: bool
    docker: bool
    starts: str | None
    expires: str | None
    mail: str
    cohort: str | None
    groups: Sequence[str]
    home: str
    archives: Sequence[str]
    containers: int
    networks: int
    volumes: int
    images: int
    drift: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        """Return the view for JSON."""
        return asdict(self) | {key: list(getattr(self, key)) for key in ("drift", "groups", "archives")}


@dataclass(frozen=True, slots=True)
class Known:
    """What belongs to the view of an account besides its row.

    ``account`` and ``shadow``: what passwd and shadow say of that login; ``docker``: whether it is in the group with
    access; ``counts``: how many objects of each kind it owns; ``cohort``: that one's name; ``archives``: paths;
    ``more``: further drift, of memberships and home.
    """

    account: HostAccount | None
    shadow: Shadow | None
    docker: bool
    counts: Mapping[Kind, int]
    cohort: str | None = None
    archives: Sequence[str] = ()
    more: Sequence[str] = ()


def view_of(user: User, known: Known, *, today: date) -> UserView:
    """Return the view of an account of the ledger.

    Args:
        user: its row.
        known: what is known of it besides.
        today: in UTC.

    """
    account = known.account
    expired = user.state is UserState.ACTIVE and user.expires is not None and today > user.expires
    return UserView(
        login=user.login,
        uid=user.uid,
        gid=user.gid,
        name=user.name,
        profile=user.profile,
        state="expired" if expired else str(user.state),
        managed=user.managed,
        docker=known.docker,
        starts=user.starts.isoformat() if user.starts else None,
        expires=user.expires.isoformat() if user.expires else None,
        mail=user.mail,
        cohort=known.cohort,
        groups=user.groups,
        home=user.home or (account.home if account else ""),
        archives=known.archives,
        containers=known.counts.get(Kind.CONTAINER, 0),
        networks=known.counts.get(Kind.NETWORK, 0),
        volumes=known.counts.get(Kind.VOLUME, 0),
        images=known.counts.get(Kind.IMAGE, 0),
        drift=[*drift(user, account, known.shadow, today=today), *known.more],
    )


def view_of_stranger(account: HostAccount, profile: str) -> UserView:
    """Return the view of a member of the group who has not used the guard yet: in the host's files only."""
    return UserView(
        login=account.login,
        uid=account.uid,
        gid=account.gid,
        name=account.comment.split(",")[0],
        profile=profile,
        state=str(UserState.ACTIVE),
        managed=False,
        docker=True,
        starts=None,
        expires=None,
        mail="",
        cohort=None,
        groups=(),
        home=account.home,
        archives=(),
        containers=0,
        networks=0,
        volumes=0,
        images=0,
        drift=[],
    )


def drift(user: User, account: HostAccount | None, shadow: Shadow | None, *, today: date) -> list[str]:
    """Return where the host's account differs from the ledger; memberships are ``drift.py``'s."""
    if account is None:
        return ["the account is gone from the host"]
    if account.uid != user.uid:
        return [f"the host's account has uid {account.uid}, the ledger {user.uid}"]
    if not user.managed:
        return []
    found = []
    if account.gid != user.gid:
        found.append(f"the host's account has gid {account.gid}, the ledger {user.gid}")
    if account.home != user.home:
        found.append(f"the home is {account.home}, the ledger says {user.home}")
    if shadow is None:
        return [*found, "the account has no line in shadow"]
    if shadow.open:
        found.append("anybody can log in without a password")
    return found + (_drift_active(user, shadow, today) if user.state is UserState.ACTIVE else _drift_closed(user, shadow))


def _drift_closed(user: User, shadow: Shadow) -> list[str]:
    verb = {UserState.EXPIRED: "expire", UserState.LEAVING: "remove"}.get(user.state, "lock")
    return [] if shadow.locked and shadow.expires_day == EXPIRED_DAY else [f"unlocked by hand; `hostadmin user {verb}` locks it again"]


def _drift_active(user: User, shadow: Shadow, today: date) -> list[str]:
    found = ["locked by hand; `hostadmin user unlock` opens it"] if shadow.locked and shadow.has_password else []
    wanted, day = expiry_day(user.expires), shadow.expires_day
    if day == wanted:
        return found
    today_number = (expiry_day(today) or 0) - 1
    if day is not None and day <= today_number:
        return [*found, "expired by hand; `hostadmin user unlock` opens it"]
    return [*found, "the expiry on the host is not the ledger's; `hostadmin user unlock` sets it"]
