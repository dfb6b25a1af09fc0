"""Linux accounts by the shadow tools: one tool at a time, read back afterwards (``accounts.md`` 1-11).

An exit code is a hint: every method reads the files, acts only on a difference, and reads them again.
"""

import pwd
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from hostadmin.core import crypt
from hostadmin.core.errors import Conflict, Failed
from hostadmin.host import accountlocks, homes, programs
from hostadmin.host.accountfiles import ETC, AccountFiles, HostAccount, Snapshot
from hostadmin.host.programs import ProgramFailed

EPOCH: Final = date(1970, 1, 1)
EXPIRED_DAY: Final = 1  # shadow(5) calls 0 ambiguous
LOCK_CODES: Final = (1, 10)
LOCKED: Final = "accounts-locked"
NO_ROOM: Final = ("No space left on device", "Disk quota exceeded", "Read-only file system")
LOCK_WAIT_SECONDS: Final = 20.0
PAUSE_SECONDS: Final = (0.05, 1.0)
CHECK_PAUSES: Final = (0.1, 0.3, 1.0)
CHECKS: Final = {"pwck": ("passwd", "shadow"), "grpck": ("group", "gshadow")}
NO_SUBORDINATE_IDS: Final = ("-K", "SUB_UID_COUNT=0", "-K", "SUB_GID_COUNT=0")
# The tools wait for each other (lckpwdf(3)) and read after they have the lock; gpasswd, which does not, is never used.
# Two at once overlap in their start and in making homes; more than two only wait.
TOOLS_AT_ONCE: Final = 2
EACH: Final = ("xargs", "--max-args=1", f"--max-procs={TOOLS_AT_ONCE}")
_TOOLS: Final = threading.BoundedSemaphore(TOOLS_AT_ONCE)


class FilesLocked(ProgramFailed):
    """Somebody else has held the account files for too long; says who."""

    key = LOCKED

    def __init__(self, tool: str, error: ProgramFailed, etc: Path) -> None:
        message = f"{tool} has waited {LOCK_WAIT_SECONDS:g} s for the account files, which {lock_holder(etc)}: end that, then run it again."
        super().__init__(message, code=error.code, stderr=error.stderr)


def lock_holder(etc: Path) -> str:
    """Return who holds a lock on the account files, as far as the lock files tell (``accounts.md`` 7)."""
    for name in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid"):
        lock = etc / f"{name}.lock"
        with suppress(OSError):
            pid = lock.read_text("ascii", errors="replace").strip("\0\n ")
            if not pid.isdigit():
                return f"are locked by {lock} without a process: remove that file if nothing edits the accounts"
            with suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode("utf-8", "replace")
                return f"process {pid} ({command[:100]}) holds by {lock}"
            return f"process {pid} holds by {lock}"
    pid = next((str(pid) for pid in accountlocks.holders(etc)), "")
    return f"{f'process {pid}' if pid else 'somebody'} holds by {etc}/{accountlocks.LOCK}"


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What ``create`` makes. ``expires``: the last day; ``groups``: further ones; ``subids``: first and count, or none."""

    login: str
    uid: int
    gid: int
    name: str
    home: str
    shell: str
    expires: date | None
    groups: tuple[str, ...] = ()
    subids: tuple[int, int] | None = None


def find_uid(uid: int) -> HostAccount | None:
    """Return the host's account with that uid, from whatever source the host has."""
    try:
        entry = pwd.getpwuid(uid)
    except (KeyError, OverflowError):
        return None
    return HostAccount(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_gecos, entry.pw_dir, entry.pw_shell)


def last_day(expiry: int | None) -> date | None:
    """Return the last day of access for a day number of shadow; ``None``: there is no end."""
    return None if expiry is None else EPOCH + timedelta(days=expiry - 1)


def expiry_day(last_day: date | None) -> int | None:
    """Return the day number for shadow so that ``last_day`` is the last day of access: the one after it."""
    return None if last_day is None else (last_day - EPOCH).days + 1


def _expiry_argument(last_day: date | None) -> str:
    return "" if last_day is None else (last_day + timedelta(days=1)).isoformat()


class Accounts(AccountFiles):
    """The accounts of a host.

    Args:
        etc: where the account files lie; the tools always change those of ``/etc``.
        run: starts a program (``programs.run``).

    """

    def __init__(self, etc: Path = ETC, run: Callable[..., object] = programs.run) -> None:
        super().__init__(etc)
        self._run = run

    def create(self, new: NewAccount) -> None:
        """Make an account with its private group, its groups and its home (0700, with the skeleton); no password yet.

        One tool does it all, so that nothing of it is seen without the rest. What came of it is for ``verify`` to say.

        Raises:
            ProgramFailed: it could not be made; what there is of it stays for ``discard``.

        """
        argv = ["useradd", "--uid", str(new.uid), "--comment", comment_of(new.name), "--home-dir", new.home, "--shell", new.shell]
        if new.uid == new.gid and self.group(new.login) is None:
            argv += ["--user-group"]  # its number is the uid's where that is free; else `verify` sees it
        else:
            if self.group(new.login) is None:
                self._tool(["groupadd", "--gid", str(new.gid), "--", new.login])
            argv += ["--no-user-group", "--gid", str(new.gid)]
        argv += ["--groups", ",".join(new.groups)] if new.groups else []
        argv += ["--expiredate", _expiry_argument(new.expires)]  # said even when empty: /etc/default/useradd may have one
        argv += ["-K", "HOME_MODE=0700", *_subordinate_arguments(new.subids)]
        argv += ["--no-create-home" if homes.exists(new.home) else "--create-home", "--", new.login]
        self._tool(argv)
        homes.make_private(new.home, new.uid)

    def verify(self, new: NewAccount, files: Snapshot) -> list[str]:
        """Return what is not as it should be of a new account in any of the files, or in its home; empty if all is well.

        Args:
            new: what was asked for.
            files: the files, read after it was made.

        """
        login, account, shadow = new.login, files.accounts.get(new.login), files.shadows.get(new.login)
        expected = {"passwd": 1, "shadow": 1, "group": 1, "subuid": int(new.subids is not None), "subgid": int(new.subids is not None)}
        if files.shadow_members is not None:
            expected["gshadow"] = 1
        wrong = [f"{name} has {files.counts[name][login]} lines" for name, count in expected.items() if files.counts[name][login] != count]
        if account is not None and (account.uid, account.gid, account.home) != (new.uid, new.gid, new.home):
            wrong.append(f"passwd says uid {account.uid}, gid {account.gid}, home {account.home}")
        own = files.groups.get(login)
        if own is not None and own.gid != new.gid:
            wrong.append(f"its group has gid {own.gid}")
        if shadow is not None and shadow.expires_day != expiry_day(new.expires):
            wrong.append("shadow has another expiry")
        if files.listed_everywhere(login) != set(new.groups):
            wrong.append(f"it is in the groups {', '.join(sorted(files.listed_everywhere(login))) or 'none'}")
        wrong += [f"{n} has another range" for n, found in files.subordinate.items() if found.get(login, ()) != _as_ranges(new.subids)]
        if not homes.is_private(new.home, new.uid, new.gid):
            wrong.append(f"{new.home} is not a directory of its own with mode 0700")
        return wrong

    def discard(self, login: str, *, uid: int, gid: int) -> None:
        """Take back an account's entries, not its home, from whatever state a killed tool has left them in.

        Raises:
            Conflict: the login is an account with another uid now: not touched.
            Failed: something of it is left; with what.

        """
        account = self.find_local(login)
        if account is not None and account.uid != uid:
            raise Conflict(f"{login} has uid {account.uid} now, not {uid}: its account is not touched.", key="user-drift")
        if not self.traces(login, gid):
            return
        if account is None:  # `userdel` needs the entry: put it back first (accounts.md 6)
            group = ["--gid", login] if self.group(login) is not None else ["--user-group"]
            self._tool(["useradd", "--no-create-home", "--uid", str(uid), *group, *NO_SUBORDINATE_IDS, "--", login])
        self._tool(["userdel", "--", login])
        own = self.group(login)
        if own is not None and own.gid == gid:
            self._tool(["groupdel", "--", login])
        left = self.traces(login, gid)
        _expect(not left, f"{login} is still in {', '.join(sorted(left))} after userdel.")

    def set_hash(self, login: str, hashed: str, *, locked: bool = False) -> None:
        """Set an account's password hash; ``locked``: so that it does not open it yet. See ``set_hashes``."""
        self.set_hashes({login: hashed}, locked=locked)

    def set_hashes(self, hashes: Mapping[str, str], *, locked: bool = False) -> None:
        """Set password hashes, all or none, through standard input; ``locked``: so that they do not open anything yet.

        Raises:
            Failed: one is not a crypt hash (``core.crypt``); Debian's chpasswd would store any string (``accounts.md`` 9.1).

        """
        if not all(crypt.is_hash(hashed) for hashed in hashes.values()):
            raise Failed("The password's hash has an unexpected form; nothing was set.", key="password-hash")
        wanted = {login: f"!{hashed}" if locked else hashed for login, hashed in hashes.items()}
        self._tool(["chpasswd", "--encrypted"], stdin="".join(f"{login}:{hashed}\n" for login, hashed in wanted.items()))
        found = self.shadows()
        wrong = sorted(login for login, hashed in wanted.items() if login not in found or found[login].hashed != hashed)
        _expect(not wrong, f"The password of {', '.join(wrong)} is not in shadow after chpasswd.")

    def find_damage(self) -> list[str]:
        """Return what pwck(8) and grpck(8) find wrong with the account files; empty if they are sound.

        They read without a lock: what another tool is just writing is looked at again.
        """
        found: list[str] = []
        for pause in (*CHECK_PAUSES, None):
            found = [line for tool in ("pwck", "grpck") for line in self._findings(tool)]
            if not found or pause is None:
                break
            time.sleep(pause)
        return found

    def _findings(self, tool: str) -> list[str]:
        files = [str(self.etc / name) for name in CHECKS[tool] if self.has(name)]
        done = programs.run([tool, "--quiet", "--read-only", *files], codes=(0, 2))
        said = f"{done.stdout}\n{done.stderr}".splitlines()  # grpck may find something and still answer 0
        return [f"{tool}: {line}" for line in said if line.strip() and not line.endswith(("No", "no changes"))]

    def force_changes(self, logins: Sequence[str]) -> None:
        """Make the next login of each ask for a new password. Only as the last step: setting a password cancels it.

        Raises:
            ProgramFailed, Failed: it could not be done for all of them.

        """
        if len(logins) > 1:  # one program that starts the others: half the cost of starting each from here
            with suppress(ProgramFailed):
                self._tool([*EACH, "chage", "--lastday", "0", "--"], stdin="".join(f"{login}\n" for login in logins))
        found = self.shadows()
        for login in logins:
            if login not in found or found[login].changed_day != 0:
                self._tool(["chage", "--lastday", "0", "--", login])
                shadow = self.shadow(login)
                _expect(shadow is not None and shadow.changed_day == 0, f"{login} is not asked for a new password after chage.")

    def restore_change_day(self, login: str, day: int) -> None:
        """Set the day on which an account's password was changed last (days since 1970-01-01; 0: it must be changed)."""
        shadow = self.shadow(login)
        if shadow is None or shadow.changed_day != day:
            self._tool(["chage", "--lastday", str(day), "--", login])
            shadow = self.shadow(login)
            _expect(shadow is not None and shadow.changed_day == day, f"The day of the last password change of {login} has not changed.")

    def set_comment(self, login: str, name: str) -> None:
        """Set an account's comment to a person's name."""
        self.restore_comment(login, comment_of(name))

    def restore_comment(self, login: str, comment: str) -> None:
        """Set an account's comment, sub-fields and all."""
        if (found := self.find_local(login)) is not None and found.comment == comment:
            return
        self._tool(["usermod", "--comment", comment, "--", login])
        found = self.find_local(login)
        _expect(found is not None and found.comment == comment, f"The comment of {login} has not changed.")

    def expires(self, login: str, last_day: date | None) -> bool:
        """Tell whether shadow has that last day of access."""
        found = self.shadow(login)
        return found is not None and found.expires_day == expiry_day(last_day)

    def set_expiry(self, login: str, last_day: date | None) -> None:
        """Set the last day on which an account may log in."""
        if not self.expires(login, last_day):
            self._tool(["usermod", "--expiredate", _expiry_argument(last_day), "--", login])
            _expect(self.expires(login, last_day), f"The expiry of {login} has not changed.")

    def is_locked(self, login: str) -> bool:
        """Tell whether neither a password nor any other way of logging in is left."""
        found = self.shadow(login)
        return found is not None and found.locked and found.expires_day == EXPIRED_DAY

    def lock(self, login: str) -> None:
        """Lock the password and expire the account, so that no other way of logging in is left."""
        if not self.is_locked(login):
            self._tool(["usermod", "--lock", "--expiredate", str(EXPIRED_DAY), "--", login])
            _expect(self.is_locked(login), f"{login} is not locked after usermod.")

    def is_unlocked(self, login: str, last_day: date | None) -> bool:
        """Tell whether the password (if there is one) opens the account until ``last_day``."""
        found = self.shadow(login)
        return found is not None and not (found.locked and found.has_password) and self.expires(login, last_day)

    def unlock(self, login: str, last_day: date | None) -> None:
        """Undo ``lock``: the hash as it was, the expiry as given. Without a hash only the expiry changes."""
        if self.is_unlocked(login, last_day):
            return
        found = self.shadow(login)
        opening = ["--unlock"] if found is not None and found.locked and found.has_password else []
        self._tool(["usermod", *opening, "--expiredate", _expiry_argument(last_day), "--", login])
        _expect(self.is_unlocked(login, last_day), f"{login} is not unlocked after usermod.")

    def lock_password(self, login: str, last_day: date | None) -> None:
        """Lock the password alone, and set the expiry as given: keys and other ways of logging in stay as they are."""
        self._tool(["usermod", "--lock", "--expiredate", _expiry_argument(last_day), "--", login])
        found = self.shadow(login)
        _expect(found is not None and found.locked and self.expires(login, last_day), f"{login} is not locked after usermod.")

    def ensure_group(self, group: str) -> None:
        """Make a (system) group if it is missing."""
        if self.group(group) is None:
            self._tool(["groupadd", "--system", "--", group])

    def add_to_group(self, login: str, group: str) -> None:
        """Add an account to a group, which is made (as a system group) if it is missing."""
        self.ensure_group(group)
        if not self.listed_everywhere(login, group):
            self._tool(["usermod", "--append", "--groups", group, "--", login])
            _expect(self.listed_everywhere(login, group), f"{login} is not in group {group!r} after usermod.")

    def remove_from_group(self, login: str, group: str) -> None:
        """Take an account out of a group's list."""
        if group in self.listed_in(login):
            self._tool(["usermod", "--remove", "--groups", group, "--", login])
            _expect(group not in self.listed_in(login), f"{login} is still in group {group!r} after usermod.")

    def _tool(self, argv: list[str], *, stdin: str = "") -> None:
        """Run one shadow tool; wait for other writers of the account files."""
        deadline = time.monotonic() + LOCK_WAIT_SECONDS
        pause, longest = PAUSE_SECONDS
        while True:
            accountlocks.free(self.etc)
            try:
                with _TOOLS:
                    self._run(argv, stdin=stdin)
            except ProgramFailed as error:
                if not _is_locked_out(error):
                    raise
                if time.monotonic() > deadline:
                    raise FilesLocked(argv[0], error, self.etc) from error
            else:
                return
            time.sleep(pause)
            pause = min(pause * 2, longest)


def _is_locked_out(error: ProgramFailed) -> bool:
    """Tell whether a tool failed because somebody else holds the files; it says so of a full disk too, where its lock does not fit."""
    return error.code in LOCK_CODES and "lock" in error.stderr and not any(word in error.stderr for word in NO_ROOM)


def _subordinate_arguments(subids: tuple[int, int] | None) -> tuple[str, ...]:
    """Return what makes useradd give exactly that range, or none."""
    if subids is None:
        return NO_SUBORDINATE_IDS
    first, count = subids
    ends = {
        f"SUB_{kind}_{what}": n for kind in ("UID", "GID") for what, n in (("MIN", first), ("MAX", first + count - 1), ("COUNT", count))
    }
    return tuple(word for name, number in ends.items() for word in ("-K", f"{name}={number}"))


def _as_ranges(subids: tuple[int, int] | None) -> tuple[tuple[int, int], ...]:
    return () if subids is None else (subids,)


def comment_of(name: str) -> str:
    """Return a person's name as the comment of passwd takes it: commas would split sub-fields."""
    return name.replace(",", " ")


def _expect(condition: bool, otherwise: str) -> None:  # noqa: FBT001  # reads like assert
    if not condition:
        raise Failed(f"{otherwise} See `hostadmin doctor`.", key="account-verification")
