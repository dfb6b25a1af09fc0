"""The users service on a real host: its bench, and what the account files, `su` and /proc say afterwards."""

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hostadmin.audit.journal import Journal
from hostadmin.core.clock import now
from hostadmin.core.values import Actor
from hostadmin.host import programs, sessions
from hostadmin.host.accounts import Accounts
from hostadmin.host.archives import Archives
from hostadmin.policy import profiles
from hostadmin.store import audit, users
from hostadmin.store.database import Database
from hostadmin.store.migrate import data_dir, upgrade
from hostadmin.users.context import Keeping
from hostadmin.users.halting import Containers
from hostadmin.users.service import Places, Users
from tests.integration.stage import until

FILES = [Path("/etc") / n for n in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")]
ROOT = Path(__file__).resolve().parents[2]
ADMIN = Actor(type="unix", via="test", login="root", uid=0, admin=True)
PASSWORD = "Oracle098#planted"
PLACES = Places(home_root="/home", shell="/bin/bash", group="docker")


class Tools:
    """Starts the real tools, and remembers what was started."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.before: Callable[[list[str]], None] = lambda _argv: None
        self.after: Callable[[list[str]], None] = lambda _argv: None

    def __call__(self, argv: list[str], *, stdin: str = "", timeout: float = 60) -> programs.Completed:
        """Run one."""
        self.calls.append(list(argv))
        self.before(argv)
        done = programs.run(argv, stdin=stdin, timeout=timeout)
        self.after(argv)
        return done


class Bench:
    """The service on a database of its own, with a clock of its own.

    Args:
        place: for the database and the archives.
        keeping: what is kept of accounts.
        containers: stands for the objects service, in stopping and starting.

    """

    def __init__(self, place: Path, keeping: Keeping | None = None, containers: Containers | None = None) -> None:
        self.days = 0  # by which the clock is ahead
        self.places = replace(PLACES, keeping=keeping or Keeping())
        self.containers = containers
        self.profiles = data_dir("config") / "profiles.toml"
        self.url = f"sqlite:///{place / 'ledger.db'}"
        self.tools = Tools()
        self.accounts = Accounts(run=self.tools)
        self.owned: dict[str, list[str]] = {}
        self.removed_of: list[str] = []
        self.open()

    def open(self) -> None:
        """Open the database as a new run of the service does."""
        self.database = Database(self.url)
        upgrade(self.database)
        self.journal = Journal(self.database, "service")
        known = profiles.load(self.profiles, "student")
        folder = self.places.keeping.archives
        self.users = Users(
            self.database,
            self.journal,
            known,
            self.places,
            self.remove_objects,
            self.accounts,
            containers=self.containers,
            archives=Archives(folder, self.tools) if folder else None,
            clock=lambda: now() + timedelta(days=self.days),
        )

    def remove_objects(self, _actor: Actor, user_id: str) -> list[str]:
        """Stand for the objects service."""
        self.removed_of.append(user_id)
        return self.owned.get(user_id, [])

    def row(self, login: str) -> users.User | None:
        """Return the living row of a login."""
        with self.database.read() as tx:
            return users.find_login(tx, login)

    def records(self, stage: str | None = None) -> list[dict[str, Any]]:
        """Return the audit."""
        with self.database.read() as tx:
            return [r for r in audit.list_records(tx, limit=1000) if stage in (None, r["stage"])]

    def open_records(self) -> list[dict[str, Any]]:
        """Return intents without an outcome, of any run."""
        with self.database.read() as tx:
            return audit.open_intents(tx, "service", not_boot="")


@pytest.fixture
def pristine_accounts() -> Iterator[None]:
    """Every test finds the account files and the homes as the first one did."""
    before = {f: f.read_bytes() for f in FILES if f.exists()}
    present = set(os.listdir("/home"))
    yield
    known = {line.split(":")[0] for line in before[Path("/etc/passwd")].decode().splitlines()}
    for account in Accounts().all().values():
        if account.login not in known and account.uid >= 1000:
            sessions.end(account.uid)
    for file in FILES:
        if file in before:
            file.write_bytes(before[file])
        else:
            file.unlink(missing_ok=True)
    for left in set(os.listdir("/home")) - present:
        subprocess.run(["rm", "-rf", f"/home/{left}"], check=True)


@pytest.fixture
def bench(tmp_path: Path, pristine_accounts: None) -> Iterator[Bench]:
    """The service."""
    bench = Bench(tmp_path)
    yield bench
    bench.database.close()


def su(login: str, password: str) -> bool:
    """Log in with `su` as somebody who is not root, with the password typed at a terminal; tell whether it worked."""
    pid, fd = pty.fork()
    if pid == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        os.execv("/bin/su", ["su", "-", login, "-c", "echo as-$(id -un)"])
    seen, typed, end = b"", False, time.monotonic() + 20
    while time.monotonic() < end:
        if not select.select([fd], [], [], 0.2)[0]:
            continue
        try:
            data = os.read(fd, 1024)
        except OSError:
            break
        if not data:
            break
        seen += data
        if not typed and b"assword:" in seen:
            os.write(fd, f"{password}\n".encode())
            typed = True
    os.close(fd)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL) if time.monotonic() >= end else None
    os.waitpid(pid, 0)
    return f"as-{login}".encode() in seen


def shadow_line(login: str) -> list[str]:
    """Return the fields of shadow of a login."""
    return next(line.split(":") for line in Path("/etc/shadow").read_text().splitlines() if line.startswith(f"{login}:"))


def listed(file: str, group: str) -> list[str]:
    """Return the members that a file lists for a group."""
    line = next(x for x in Path(file).read_text().splitlines() if x.startswith(f"{group}:"))
    return [m for m in line.split(":")[3].split(",") if m]


def commands_of(uid: int) -> list[str]:
    """Return the command lines of a uid's living processes, wherever they live, as `ps` sees them."""
    done = subprocess.run(["ps", "-U", str(uid), "-o", "stat=,args="], capture_output=True, text=True, check=False)
    return [line.split(None, 1)[1] for line in done.stdout.splitlines() if not line.startswith("Z")]


def ignoring_term(uid: int) -> subprocess.Popen[bytes]:
    """Start a shell of a uid; return when it ignores SIGTERM."""
    shell = subprocess.Popen(["sh", "-c", "trap '' TERM; while :; do sleep 0.2; done"], user=uid)
    mask = lambda: int(Path(f"/proc/{shell.pid}/status").read_text().split("SigIgn:")[1].split()[0], 16)  # noqa: E731
    until("the shell ignores TERM", lambda: mask() >> (signal.SIGTERM - 1) & 1)
    return shell


def mentions(login: str) -> list[str]:
    """Return the account files in which a login is still named."""
    return [f.name for f in FILES if f.exists() and re.search(rf"(^|[:,]){login}([:,]|$)", f.read_text(), re.MULTILINE)]


def is_clean() -> bool:
    """Tell whether pwck and grpck find nothing; grpck names a member that gshadow lacks with code 0, so its words count."""
    users_, groups = (
        subprocess.run([tool, *quiet, "-r"], check=False, capture_output=True, text=True)
        for tool, quiet in (("pwck", ["-q"]), ("grpck", []))
    )
    return (users_.returncode, groups.returncode, groups.stdout) == (0, 0, "")


def snapshot() -> tuple[list[bytes], list[str]]:
    """Return the account files and the homes."""
    return [f.read_bytes() for f in FILES if f.exists()], sorted(os.listdir("/home"))
