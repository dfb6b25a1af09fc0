"""How accounts are now: account files, home, keys, processes, the ledger and what they own; read for a whole class at once."""

import os
import stat
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hostadmin.core.values import Kind
from hostadmin.host import keyfiles, sessions
from hostadmin.host.accountfiles import HostAccount, Shadow, Snapshot
from hostadmin.store import cohorts, objects, users
from hostadmin.users.context import Context
from hostadmin.users.steps import fingerprint

OBJECTS: Final = (Kind.CONTAINER, Kind.NETWORK, Kind.VOLUME)


OWN: Final = frozenset({"comment", "shell", "password", "change day", "home", "keys"})
"""Facts that people can change by themselves (chfn, chsh, passwd, chmod, their own files), as often as they like."""


@dataclass(frozen=True, slots=True)
class Actual:
    """One login as it is now.

    ``account`` and ``shadow``: its lines, ``None`` where there is none; ``groups``: whose lists name it; ``home``: what is
    at the path where its home is or would be; ``keys``: the keys in authorized_keys, without options and comments;
    ``user``: its living row in the ledger; ``cohort``: the name of its cohort; ``shadow_groups``: whose lists in gshadow name it;
    ``named_group``: whether a group has that name; ``processes``: how many run; ``owns``: how many objects of each kind.
    """

    login: str
    account: HostAccount | None
    shadow: Shadow | None
    groups: frozenset[str]
    home: str
    keys: frozenset[str]
    subordinate: tuple[tuple[int, int], ...]
    user: users.User | None
    cohort: str | None = None
    shadow_groups: frozenset[str] = frozenset()
    named_group: bool = False
    processes: int = 0
    owns: Mapping[str, int] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """Return what a plan relies on, as plain JSON: of the password only a fingerprint. Processes and objects come and go."""
        account, shadow, user = self.account, self.shadow, self.user
        return {
            "uid": account.uid if account else None,
            "gid": account.gid if account else None,
            "comment": account.comment if account else None,
            "home path": account.home if account else None,
            "shell": account.shell if account else None,
            "password": (fingerprint(shadow.hashed) if shadow.has_password else "none") if shadow else None,
            "locked": shadow.locked if shadow else None,
            "expiry day": shadow.expires_day if shadow else None,
            "change day": shadow.changed_day if shadow else None,
            "ageing": list(shadow.ageing) if shadow else None,
            "groups": sorted(self.groups),
            "groups in gshadow": sorted(self.shadow_groups),
            "group of that name": self.named_group,
            "home": self.home,
            "keys": sorted(fingerprint(key) for key in self.keys),
            "subordinate ids": [list(entry) for entry in self.subordinate],
            "state": str(user.state) if user else None,
            "cohort": self.cohort,
            **{name: getattr(user, name) if user else None for name in ("name", "mail", "profile")},
            **{name: str(day) if (day := getattr(user, name, None)) else None for name in ("starts", "expires")},
        }

    def standing(self) -> dict[str, Any]:
        """Return the facts that only administrators can change."""
        return {name: fact for name, fact in self.facts().items() if name not in OWN}


def differences(login: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return where an account differs from what a plan relied on, one sentence each."""
    return [
        f"{login}: {name} was {_shown(before[name])}, is {_shown(now[name])}"
        for name in now
        if name in before and now[name] != before[name]
    ]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(v) for v in value) or "none"
    return "not there" if value is None else str(value)


def read_actual(context: Context, logins: Iterable[str]) -> Mapping[str, Actual]:
    """Return login → how it is now."""
    files = context.accounts.read()
    with context.database.read() as tx:
        known = {u.login: u for u in users.all_users(tx)}
        names = {c.id: c.name for c in cohorts.all_cohorts(tx)}
        owned = {kind: Counter(objects.owners(tx, kind).values()) for kind in OBJECTS}
    processes = sessions.counts()
    return {login: _actual(context, files, known.get(login), login, processes, owned, names) for login in logins}


def _actual(
    context: Context,
    files: Snapshot,
    user: users.User | None,
    login: str,
    processes: Mapping[int, int],
    owned: Mapping[Kind, Mapping[str, int]],
    names: Mapping[str, str],
) -> Actual:
    account = files.accounts.get(login)
    home = account.home if account else f"{context.places.home_root}/{login}"
    return Actual(
        login=login,
        account=account,
        shadow=files.shadows.get(login),
        groups=frozenset(files.listed_in(login)),
        home=describe_home(home),
        keys=frozenset(keyfiles.key_of(line) for line in keyfiles.read(home, account.uid)) if account else frozenset(),
        subordinate=tuple(entry for ranges in files.subordinate.values() for entry in ranges.get(login, ())),
        user=user,
        cohort=names.get(user.cohort_id or "") if user else None,
        shadow_groups=frozenset(files.listing[1].get(login, ())),
        named_group=login in files.groups,
        processes=processes.get(account.uid, 0) if account else 0,
        owns={f"{kind}s": count for kind, counts in owned.items() if user and (count := counts.get(user.id, 0))},
    )


def describe_home(path: str) -> str:
    """Return what is at the path of a home, in a few words."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return "absent"
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"
    if stat.S_ISDIR(found.st_mode):
        return f"directory of uid {found.st_uid}, gid {found.st_gid}, mode {stat.S_IMODE(found.st_mode):04o}"
    return "symbolic link" if stat.S_ISLNK(found.st_mode) else "not a directory"
