"""The account files as they are now: passwd, shadow, group, gshadow. Only reads; asks afresh every time."""

import os
import pwd
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ETC: Final = Path("/etc")
FILES: Final = ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")
SHADOW_CHANGED: Final = 2  # shadow(5): the 3rd field, days since 1970-01-01; 0 = to be changed at the next login
SHADOW_EXPIRES: Final = 7  # the 8th field, days since 1970-01-01
AGEING: Final = ("min", "max", "warn", "inactive")  # the 4th to the 7th field, days


@dataclass(frozen=True, slots=True)
class HostAccount:
    """One line of passwd."""

    login: str
    uid: int
    gid: int
    comment: str
    home: str
    shell: str


@dataclass(frozen=True, slots=True)
class Shadow:
    """One line of shadow. The hash stays out of every ``repr``; it is only compared, never shown.

    ``ageing``: what is said of the password's age, in words (``max 99999``); what is empty is left out.
    """

    hashed: str = field(repr=False)
    expires_day: int | None
    changed_day: int | None = None
    ageing: tuple[str, ...] = ()

    @property
    def locked(self) -> bool:
        """Whether no password opens the account (``!`` and ``*`` in front, or no hash at all but ``x``)."""
        return self.hashed.startswith(("!", "*")) or self.hashed == "x"

    @property
    def has_password(self) -> bool:
        """Whether there is a hash, locked or not."""
        return "$" in self.hashed

    @property
    def open(self) -> bool:
        """Whether anybody may log in without a password: shadow(5), an empty field."""
        return not self.hashed


@dataclass(frozen=True, slots=True)
class Group:
    """One line of group."""

    name: str
    gid: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All account files at one moment.

    ``counts``: file → login → how many lines; ``subordinate``: file → login → ranges; ``listing``: login → the groups that
    list it, in group and in gshadow.
    """

    accounts: Mapping[str, HostAccount]
    shadows: Mapping[str, Shadow]
    groups: Mapping[str, Group]
    shadow_members: Mapping[str, tuple[str, ...]] | None
    subordinate: Mapping[str, Mapping[str, tuple[tuple[int, int], ...]]]
    counts: Mapping[str, Mapping[str, int]]
    listing: tuple[Mapping[str, AbstractSet[str]], Mapping[str, AbstractSet[str]]]

    def listed_in(self, login: str) -> set[str]:
        """Return the groups whose member list names a login, in group or in gshadow."""
        return {*self.listing[0].get(login, ()), *self.listing[1].get(login, ())}

    def listed_everywhere(self, login: str) -> set[str]:
        """Return the groups that list a login in group *and* in gshadow (where that has the group)."""
        shadowed, shadow_listing = self.shadow_members or {}, self.listing[1].get(login, ())
        return {name for name in self.listing[0].get(login, ()) if name not in shadowed or name in shadow_listing}


class AccountFiles:
    """Reads the account files below ``etc``; for ``/etc`` itself, accounts of other sources (NSS) count too."""

    def __init__(self, etc: Path = ETC) -> None:
        self.etc = etc
        self._nss = etc == ETC

    def find(self, login: str) -> HostAccount | None:
        """Return the account with that login name, from whatever source the host has."""
        local = self.find_local(login)
        if local is not None or not self._nss:
            return local
        try:
            return _from_nss(pwd.getpwnam(login))
        except (KeyError, ValueError):
            return None

    def find_local(self, login: str) -> HostAccount | None:
        """Return the account with that login name out of the passwd file, which the shadow tools change."""
        return next(_accounts(self._lines_of("passwd", login)), None)

    def all(self) -> dict[str, HostAccount]:
        """Return login → account; of a name that is there twice, the first line counts, as for getpwnam(3)."""
        found: dict[str, HostAccount] = {a.login: a for a in reversed(list(_accounts(self._lines("passwd"))))}
        if self._nss:
            found = {p.pw_name: _from_nss(p) for p in pwd.getpwall()} | found
        return found

    def shadow(self, login: str) -> Shadow | None:
        """Return what shadow says of an account."""
        return _shadows(self._lines_of("shadow", login)).get(login)

    def shadows(self) -> dict[str, Shadow]:
        """Return login → line of shadow."""
        return _shadows(self._lines("shadow"))

    def group(self, name: str) -> Group | None:
        """Return the group of that name."""
        return _groups(self._lines_of("group", name)).get(name)

    def groups(self) -> dict[str, Group]:
        """Return name → group."""
        return _groups(self._lines("group"))

    def shadow_members(self) -> dict[str, tuple[str, ...]] | None:
        """Return group → members by gshadow; ``None`` on a host without one."""
        return self._shadow_members() if self.has("gshadow") else None

    def members(self, group: str) -> set[str]:
        """Return the logins with access through a group: its list, and those whose primary group it is."""
        entry = self.group(group)
        if entry is None:
            return set()
        return set(entry.members) | {a.login for a in self.all().values() if a.gid == entry.gid}

    def listed_in(self, login: str) -> set[str]:
        """Return the groups whose member list, in group or in gshadow, names a login."""
        found = {g.name for g in self.groups().values() if login in g.members}
        return found | {name for name, members in self._shadow_members().items() if login in members}

    def listed_everywhere(self, login: str, group: str) -> bool:
        """Tell whether a login is in a group's list in group *and* in gshadow (where that has the group)."""
        entry = self.group(group)
        return entry is not None and login in entry.members and login in self._shadow_members().get(group, {login})

    def traces(self, login: str, gid: int) -> set[str]:
        """Return the files that know a login: what a killed useradd or userdel has left (``accounts.md`` 6)."""
        found = {name for name in ("passwd", "shadow", "gshadow") if self._lines_of(name, login)}
        own = self.group(login)
        if (own is not None and own.gid == gid) or self.listed_in(login):
            found.add("group")
        return found

    def lines(self, name: str, login: str) -> int:
        """Return how many lines a file has for a login."""
        return len(self._lines_of(name, login))

    def mark(self) -> tuple[int, int]:
        """Return what changes whenever passwd is written: the tools put a new file in place of the old one."""
        found = os.stat(self.etc / "passwd")
        return found.st_ino, found.st_mtime_ns

    def read(self) -> "Snapshot":
        """Return what all files say now, each read once: for looking at many accounts."""
        lines = {name: self._lines(name) for name in FILES}
        groups, shadowed = self.groups(), self.shadow_members()
        return Snapshot(
            accounts=self.all(),
            shadows=self.shadows(),
            groups=groups,
            shadow_members=shadowed,
            subordinate={name: _ranges(lines[name]) for name in ("subuid", "subgid")},
            counts={name: Counter(fields[0] for fields in lines[name]) for name in FILES},
            listing=(_listing({name: group.members for name, group in groups.items()}), _listing(shadowed or {})),
        )

    def used_numbers(self) -> set[int]:
        """Return every uid and gid on the host."""
        numbers = {n for a in self.all().values() for n in (a.uid, a.gid)}
        return numbers | {g.gid for g in self.groups().values()}

    def has_shell(self, shell: str) -> bool:
        """Tell whether a login shell is one that the host offers: listed in ``shells``."""
        try:
            return shell in (self.etc / "shells").read_text("utf-8").split()
        except FileNotFoundError:
            return False

    def has(self, name: str) -> bool:
        """Tell whether a file is there at all (gshadow is optional)."""
        return (self.etc / name).exists()

    def _shadow_members(self) -> dict[str, tuple[str, ...]]:
        return {fields[0]: _names(fields[3]) for fields in self._lines("gshadow") if len(fields) > 3}

    def _lines(self, name: str) -> list[list[str]]:
        return [line.split(":") for line in self._text(name).split("\n") if line]

    def _lines_of(self, name: str, key: str) -> list[list[str]]:
        """Return the lines of a file that begin with a name; the others are not looked at."""
        text, start, found = f"\n{self._text(name)}", f"\n{key}:", []
        at = text.find(start)
        while at >= 0:
            found.append(text[at + 1 :].split("\n", 1)[0].split(":"))
            at = text.find(start, at + 1)
        return found

    def _text(self, name: str) -> str:
        try:
            return (self.etc / name).read_text("utf-8", errors="replace")
        except FileNotFoundError:
            return ""


def _accounts(lines: Iterable[list[str]]) -> Iterator[HostAccount]:
    for fields in lines:
        if len(fields) == 7 and fields[2].isdigit() and fields[3].isdigit():
            yield HostAccount(fields[0], int(fields[2]), int(fields[3]), *fields[4:])


def _shadows(lines: Iterable[list[str]]) -> dict[str, Shadow]:
    found: dict[str, Shadow] = {}
    for fields in lines:
        if len(fields) > 1:
            ageing = tuple(f"{word} {days}" for word, days in zip(AGEING, fields[SHADOW_CHANGED + 1 :], strict=False) if days)
            found.setdefault(fields[0], Shadow(fields[1], _day(fields, SHADOW_EXPIRES), _day(fields, SHADOW_CHANGED), ageing))
    return found


def _groups(lines: Iterable[list[str]]) -> dict[str, Group]:
    found: dict[str, Group] = {}
    for fields in lines:
        if len(fields) > 3 and fields[2].isdigit():
            found.setdefault(fields[0], Group(fields[0], int(fields[2]), _names(fields[3])))
    return found


def _day(fields: list[str], position: int) -> int | None:
    text = fields[position] if len(fields) > position else ""
    return int(text) if text.isdigit() else None


def _listing(members: Mapping[str, Iterable[str]]) -> Mapping[str, AbstractSet[str]]:
    """Return login → groups of group → logins."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for group, logins in members.items():
        for login in logins:
            found[login].add(group)
    return dict(found)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _ranges(lines: list[list[str]]) -> dict[str, tuple[tuple[int, int], ...]]:
    """Return login → ``(first, count)`` of a subuid(5) file."""
    found: dict[str, tuple[tuple[int, int], ...]] = {}
    for fields in lines:
        if len(fields) == 3 and fields[1].isdigit() and fields[2].isdigit():
            found[fields[0]] = (*found.get(fields[0], ()), (int(fields[1]), int(fields[2])))
    return found


def _from_nss(entry: pwd.struct_passwd) -> HostAccount:
    return HostAccount(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_gecos, entry.pw_dir, entry.pw_shell)
