"""Linux accounts by the shadow tools: one tool at a time, read back afterwards (``accounts.md`` 1-11).

An exit code is a hint: every ``ensure``-like method reads the files and acts only on a difference.
"""

import contextlib
import grp
import os
import pwd
import re
import shutil
import signal
import stat
import threading
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from hostadmin.core.errors import Conflict, Failed
from hostadmin.host.programs import ProgramFailed, run

EPOCH: Final = date(1970, 1, 1)
LOCK_CODES: Final = (1, 10)
LOCK_WAIT_SECONDS: Final = 20
HASH: Final = re.compile(r"\$(6|y)\$[./A-Za-z0-9$=,]{20,200}")
SHADOW: Final = Path("/etc/shadow")
_TOOLS: Final = threading.Lock()


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
    """What shadow says of one account: locked hash, and the day on which it expires."""

    hash_prefix: str
    locked: bool
    expires_day: int | None


def find(login: str) -> HostAccount | None:
    """Return the account with that login name."""
    try:
        return _account(pwd.getpwnam(login))
    except KeyError:
        return None


def find_uid(uid: int) -> HostAccount | None:
    """Return the account with that uid."""
    try:
        return _account(pwd.getpwuid(uid))
    except KeyError:
        return None


def _account(entry: pwd.struct_passwd) -> HostAccount:
    return HostAccount(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_gecos, entry.pw_dir, entry.pw_shell)


def group_exists(name: str) -> bool:
    """Tell whether there is a group of that name."""
    with contextlib.suppress(KeyError):
        grp.getgrnam(name)
        return True
    return False


def used_numbers() -> set[int]:
    """Return every uid and gid on the host."""
    return {n for p in pwd.getpwall() for n in (p.pw_uid, p.pw_gid)} | {g.gr_gid for g in grp.getgrall()}


def members(group: str) -> set[str]:
    """Return the logins with access through a group: its list, and those whose primary group it is."""
    try:
        entry = grp.getgrnam(group)
    except KeyError:
        return set()
    return set(entry.gr_mem) | {p.pw_name for p in pwd.getpwall() if p.pw_gid == entry.gr_gid}


def shadow(login: str) -> Shadow | None:
    """Return what shadow says of an account; never its hash."""
    for line in SHADOW.read_text().splitlines():
        fields = line.split(":")
        if fields[0] == login:
            locked = fields[1].startswith("!") or fields[1] in ("*", "x")
            day = int(fields[7]) if len(fields) > 7 and fields[7] else None
            return Shadow(fields[1].lstrip("!")[:3], locked, day)
    return None


def _tool(argv: list[str], *, stdin: str = "") -> None:
    """Run one shadow tool; wait for other writers of the account files."""
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    pause = 0.05
    while True:
        try:
            with _TOOLS:
                run(argv, stdin=stdin)
        except ProgramFailed as error:
            if error.code not in LOCK_CODES or "lock" not in error.stderr or time.monotonic() > deadline:
                raise
            time.sleep(pause)
            pause = min(pause * 2, 1)
        else:
            return


def expiry_day(last_day: date | None) -> str:
    """Return what ``--expiredate`` takes so that ``last_day`` is the last day of access."""
    return (last_day + timedelta(days=1)).isoformat() if last_day else ""


def check_home(home: str, uid: int) -> None:
    """Refuse a home path that exists and is not a directory of exactly this uid.

    Raises:
        Conflict: with whose it is.

    """
    try:
        found = os.lstat(home)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid:
        raise Conflict(f"{home} exists already and belongs to uid {found.st_uid}: move it away first.", key="home-exists")


def create(login: str, *, uid: int, gid: int, name: str, home: str, shell: str, expires: date | None) -> None:
    """Make an account with its private group and home (0700, with the skeleton); no password yet.

    Raises:
        ProgramFailed, Failed: it could not be made; nothing of it is left.

    """
    made_group = not group_exists(login)
    try:
        if made_group:
            _tool(["groupadd", "--gid", str(gid), "--", login])
        argv = ["useradd", "--uid", str(uid), "--gid", str(gid), "--comment", name, "--home-dir", home, "--shell", shell]
        argv += ["--no-user-group", "-K", "HOME_MODE=0700", "-K", "SUB_UID_COUNT=0", "-K", "SUB_GID_COUNT=0"]
        argv += ["--expiredate", expiry_day(expires)] if expires else []
        argv += ["--no-create-home" if Path(home).exists() else "--create-home", "--", login]
        _tool(argv)
        verify(login, uid=uid, gid=gid, home=home)
    except Failed:
        with contextlib.suppress(Failed):
            discard(login, remove_group=made_group)
        raise


def verify(login: str, *, uid: int, gid: int, home: str) -> None:
    """Read an account back from every file.

    Raises:
        Failed: something is not as it should be.

    """
    account = find(login)
    if account is None or (account.uid, account.gid, account.home) != (uid, gid, home) or shadow(login) is None:
        raise Failed(
            f"The account {login} is not in the account files as it should be; see `hostadmin doctor`.", key="account-verification"
        )
    found = os.lstat(home)
    if found.st_uid != uid or stat.S_IMODE(found.st_mode) != 0o700:
        os.chmod(home, 0o700)
        if found.st_uid != uid:
            raise Failed(f"{home} does not belong to {login} after useradd.", key="account-verification")


def discard(login: str, *, remove_group: bool = True) -> None:
    """Take back an account: its entries, not its home."""
    if find(login) is not None:
        _tool(["userdel", "--", login])
    if remove_group and group_exists(login):
        _tool(["groupdel", "--", login])


def set_hash(login: str, hashed: str) -> None:
    """Set an account's password hash, through standard input.

    Raises:
        Failed: not a hash that crypt knows.

    """
    if not HASH.fullmatch(hashed):
        raise Failed("The password's hash has an unexpected form; nothing was set.", key="password-hash")
    _tool(["chpasswd", "--encrypted"], stdin=f"{login}:{hashed}\n")


def set_comment(login: str, name: str) -> None:
    """Set an account's comment."""
    _tool(["usermod", "--comment", name, "--", login])


def set_expiry(login: str, last_day: date | None) -> None:
    """Set the last day on which an account may log in."""
    _tool(["usermod", "--expiredate", expiry_day(last_day), "--", login])


def lock(login: str) -> None:
    """Lock the password and expire the account, so that no other way of logging in is left."""
    _tool(["usermod", "--lock", "--expiredate", "1", "--", login])


def unlock(login: str, last_day: date | None) -> None:
    """Undo ``lock``: the hash as it was, the expiry as given."""
    found = shadow(login)
    if found is not None and found.locked and found.hash_prefix:
        _tool(["usermod", "--unlock", "--", login])
    set_expiry(login, last_day)


def ensure_group(group: str) -> None:
    """Make a system group if it is missing."""
    if not group_exists(group):
        _tool(["groupadd", "--system", "--", group])


def add_to_group(login: str, group: str) -> None:
    """Add an account to a group."""
    _tool(["usermod", "--append", "--groups", group, "--", login])


def remove_from_group(login: str, group: str) -> None:
    """Take an account out of a group.

    Raises:
        Conflict: it is the account's primary group.

    """
    account = find(login)
    if account is not None and group_exists(group) and account.gid == grp.getgrnam(group).gr_gid:
        raise Conflict(f"{group!r} is the primary group of {login}: give the account another one with usermod --gid.", key="primary-group")
    _tool(["usermod", "--remove", "--groups", group, "--", login])


def end_processes(uid: int, *, wait_seconds: float = 2) -> int:
    """End all processes of a uid on the host: TERM, then KILL; return how many there were."""
    pids = _pids(uid)
    for number, patience in ((signal.SIGTERM, wait_seconds), (signal.SIGKILL, wait_seconds)):
        for pid in _pids(uid):
            with contextlib.suppress(OSError):
                os.kill(pid, number)
        deadline = time.monotonic() + patience
        while _pids(uid) and time.monotonic() < deadline:
            time.sleep(0.05)
        if not _pids(uid):
            break
    return len(pids)


def _pids(uid: int) -> list[int]:
    """Return the processes of a uid that live in our own pid namespace (not those in containers)."""
    found = []
    own = os.readlink("/proc/self/ns/pid")
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if entry.stat().st_uid == uid and os.readlink(entry / "ns/pid") == own:
                found.append(int(entry.name))
    return found


def remove_home(home: str, uid: int) -> None:
    """Remove a home directory of exactly this uid, never through symlinks.

    Raises:
        Failed: it belongs to somebody else.

    """
    try:
        found = os.lstat(home)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid:
        raise Failed(f"{home} does not belong to uid {uid}; it was left as it is.", key="home-foreign")
    shutil.rmtree(home)
