"""A class on the disposable host: rosters as a trainer writes them, and what host, ledger and audit say afterwards."""

import csv
import hashlib
import io
import json
import os
import re
import sqlite3
import stat
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from html import unescape
from pathlib import Path
from pprint import pformat
from typing import Any, Final

import pytest

from tests.integration.accounts import FILES, is_clean
from tests.integration.stage import STATE, Engine, Hostadmin, make_stage

ARCHIVES: Final = Path("/var/lib/hostadmin/homes")
ROSTERS: Final = Path("/mnt/rosters")
COLUMNS: Final = ("login", "name", "mail", "profile", "groups", "ssh key", "starts", "expires", "docker", "password hash")
QUIET_TABLES: Final = ("job_runs", "facts", "table_versions", "audit_open", "sqlite_sequence")
TOOLS: Final = ("useradd", "userdel", "usermod", "groupadd", "groupdel", "groupmod", "chpasswd", "chage", "gpasswd", "passwd", "newusers")
WRAPPED: Final = Path("/usr/local/sbin")  # where programs are looked for first
GROUPS: Final = {"pythonists": 1700, "linuxers": 1701}
Row = Mapping[str, str]


class Trainer:
    """Types ``hostadmin`` commands about classes.

    Args:
        hostadmin: the running ``hostadmin serve``.
        engine: behind it.

    """

    def __init__(self, hostadmin: Hostadmin, engine: Engine | None = None) -> None:
        self.hostadmin = hostadmin
        self.engine = engine
        ROSTERS.mkdir(exist_ok=True)

    def run(self, *argv: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a command, whatever comes of it."""
        call = [self.hostadmin.command, "--config", str(self.hostadmin.config), *argv]
        return subprocess.run(call, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=timeout, cwd=ROSTERS)

    def start(self, *argv: str) -> "subprocess.Popen[str]":
        """Start a command and let it run."""
        call = [self.hostadmin.command, "--config", str(self.hostadmin.config), *argv]
        return subprocess.Popen(
            call, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROSTERS, start_new_session=True
        )

    def ok(self, *argv: str) -> str:
        """Run a command, which must succeed without a word on standard error; return what it printed."""
        done = self.run(*argv)
        assert (done.returncode, done.stderr) == (0, ""), (argv, done.returncode, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout

    def refused(self, *argv: str) -> str:
        """Run a command, which must be refused (code 1); return what it said on standard error."""
        done = self.run(*argv)
        assert done.returncode == 1, (argv, done.returncode, done.stdout[-2000:], done.stderr[-2000:])
        assert "Traceback" not in done.stderr
        return done.stderr

    def ask(self, *argv: str) -> Any:
        """Return what a command says with ``--json``."""
        return json.loads(self.ok(*argv, "--json"))

    def apply(self, file: Path, *argv: str) -> Any:
        """Apply a roster without being asked; return the plan as it was carried out."""
        return self.ask("roster", "apply", str(file), "--yes", *argv)

    def cards(self, cohort: str, *argv: str) -> dict[str, str]:
        """Fetch the cards of a cohort; return login → password of those that have one."""
        file = ROSTERS / f"{cohort}.html"
        file.unlink(missing_ok=True)
        self.ok("cohort", "cards", cohort, "-o", str(file), *argv)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        return passwords_of(file.read_text())

    def changes(self, since: int = 0) -> list[tuple[Any, ...]]:
        """Return the audit records of accounts, access and cohorts that came after a number."""
        query = (
            "select seq, stage, action, object_name, status from audit_records where seq > ? and "
            "(action like 'user.%' or action like 'access.%' or action like 'cohort%' or action like 'roster%') order by seq"
        )
        return self.hostadmin.rows(query, since)

    def last_record(self) -> int:
        """Return the number of the newest audit record."""
        return int(self.hostadmin.rows("select coalesce(max(seq), 0) from audit_records")[0][0])

    def ledger(self, login: str) -> dict[str, Any]:
        """Return an account's newest row with its numbers."""
        with sqlite3.connect(f"file:{self.hostadmin.database}?mode=ro", uri=True, timeout=10) as database:
            database.row_factory = sqlite3.Row
            found = database.execute(
                "select u.*, n.position, n.subnet, n.subid_first, p.first, p.last from users u left join numbers n on n.user_id = u.id "
                "left join port_blocks p on p.user_id = u.id where u.login = ? order by u.created_at desc",
                (login,),
            ).fetchone()
        assert found is not None, login
        return dict(found)


@contextmanager
def classroom() -> Iterator[Trainer]:
    """Put up engine and ``hostadmin serve`` on a host that has the group docker and two groups for classes."""
    subprocess.run(["groupadd", "--force", "--system", "docker"], check=True)
    for group, gid in GROUPS.items():
        subprocess.run(["groupadd", "--force", "--gid", str(gid), group], check=True)
    subprocess.run(["rm", "-rf", str(ARCHIVES)], check=True)
    try:
        with make_stage() as (engine, hostadmin):
            yield Trainer(hostadmin, engine)
    finally:
        for group in GROUPS:
            subprocess.run(["groupdel", group], check=False, capture_output=True)


@pytest.fixture(scope="module")
def trainer() -> Iterator[Trainer]:
    """A trainer at a host with hostadmin."""
    with classroom() as found:
        yield found


@pytest.fixture
def before(trainer: Trainer) -> Iterator[dict[str, Any]]:
    """The host as it is; every test leaves it so, byte for byte, and no intent open."""
    state, there = host_state(), trainer.ask("cohort", "list")
    yield state
    for cohort in trainer.ask("cohort", "list"):
        if cohort["name"] not in {c["name"] for c in there}:
            trainer.run("cohort", "end", cohort["name"], "--yes", "--no-archive")
    judge_same(state)
    assert is_clean()
    assert trainer.hostadmin.rows("select * from audit_open") == []


# -- rosters ------------------------------------------------------------------------------------


def write(name: str, content: str | bytes) -> Path:
    """Write a roster file."""
    ROSTERS.mkdir(exist_ok=True)
    path = ROSTERS / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def as_csv(rows: Sequence[Row], *, delimiter: str = ",", columns: Iterable[str] = ()) -> str:
    """Return rows as a spreadsheet writes them; without ``columns`` those that any row has."""
    names = list(columns) or [c for c in COLUMNS if any(c in row for row in rows)]
    out = io.StringIO()
    table = csv.DictWriter(out, names, delimiter=delimiter, lineterminator="\n", restval="")
    table.writeheader()
    table.writerows(rows)
    return out.getvalue()


def as_toml(rows: Sequence[Row], cohort: Mapping[str, str]) -> str:
    """Return rows as TOML; ``docker`` and dates in its own types."""
    lines = ["[cohort]", *(f"{key} = {json.dumps(value)}" for key, value in cohort.items())]
    for row in rows:
        lines += ["", "[[users]]"]
        for key, value in row.items():
            bare = f'"{key}"' if " " in key else key
            if key == "docker":
                lines.append(f"{bare} = {'true' if value == 'yes' else 'false'}")
            else:
                lines.append(f"{bare} = {value if key in ('starts', 'expires') else json.dumps(value, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


def students(count: int, *, prefix: str = "stud", first: int = 1) -> list[dict[str, str]]:
    """Return plain rows: login, name and mail."""
    return [
        {"login": f"{prefix}{n:03}", "name": f"Student {n} of {prefix.title()}", "mail": f"{prefix}{n:03}@example.org"}
        for n in range(first, first + count)
    ]


def make_key(comment: str) -> str:
    """Return a public key that nobody has yet."""
    place = Path("/mnt") / f"key-{os.urandom(6).hex()}"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(place)], check=True)
    line = Path(f"{place}.pub").read_text().strip()
    for file in (place, Path(f"{place}.pub")):
        file.unlink()
    return line


def make_hash(password: str) -> str:
    """Return a crypt hash as a trainer makes it."""
    done = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=password, capture_output=True, text=True, check=True)
    return done.stdout.strip()


_CARD: Final = re.compile(r'<article class="card">.*?</article>', re.DOTALL)
_LOGIN: Final = re.compile(r"<dt>Login</dt><dd[^>]*>([^<]*)</dd>")
_PASSWORD: Final = re.compile(r"<dt>Password \(you choose[^<]*</dt><dd[^>]*>([^<]*)</dd>")


def passwords_of(page: str) -> dict[str, str]:
    """Return login → password as the cards show them."""
    found = {}
    for card in _CARD.findall(page):
        login, password = _LOGIN.search(card), _PASSWORD.search(card)
        assert login is not None, card
        if password is not None:
            found[unescape(login[1])] = unescape(password[1])
    return found


# -- what the host says ---------------------------------------------------------------------------


def files_state() -> dict[str, bytes | None]:
    """Return the account files, byte for byte; ``None``: there is none."""
    return {f.name: f.read_bytes() if f.exists() else None for f in FILES}


def tree(root: str | Path) -> dict[str, tuple[Any, ...]]:
    """Return everything below a folder: kind and mode, owner, group, and a digest of what a file says."""
    found: dict[str, tuple[Any, ...]] = {}
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = os.path.join(folder, name)
            with suppress(FileNotFoundError):
                seen = os.lstat(path)
                said = hashlib.sha256(Path(path).read_bytes()).hexdigest() if stat.S_ISREG(seen.st_mode) else ""
                found[path] = (oct(seen.st_mode), seen.st_uid, seen.st_gid, said)
    return found


def host_state() -> dict[str, Any]:
    """Return the account files byte for byte, and all homes with what is in them."""
    return {**files_state(), "/home": tree("/home")}


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return what differs between two states of a host, for a message that can be read."""
    found: dict[str, Any] = {}
    for name in one.keys() | other.keys():
        a, b = one.get(name), other.get(name)
        if a == b:
            continue
        if isinstance(a, dict) and isinstance(b, dict):
            found[name] = {key: (a.get(key), b.get(key)) for key in sorted(a.keys() | b.keys()) if a.get(key) != b.get(key)}
        else:
            mine, theirs = (set((value or b"").splitlines()) for value in (a, b))
            found[name] = {"gone": sorted(mine - theirs), "new": sorted(theirs - mine), "order": not mine ^ theirs}
    return found


def unordered(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state in which the order of a group's members, and of keys in a file, does not count."""
    found = dict(state)
    for name in ("group", "gshadow"):
        lines = (line.split(":") for line in state[name].decode().splitlines())
        found[name] = "\n".join(":".join([*fields[:3], ",".join(sorted(fields[3].split(",")))]) for fields in lines).encode()
    homes = {}
    for path, said in state["/home"].items():
        homes[path] = (*said[:3], sorted(Path(path).read_text().splitlines())) if path.endswith("/authorized_keys") else said
    return found | {"/home": homes}


def judge_same(before: Mapping[str, Any], now: Mapping[str, Any] | None = None) -> None:
    """The host is, byte for byte, what it was.

    Raises:
        AssertionError: with the lines and files that differ.

    """
    found = differing(before, host_state() if now is None else now)
    if found:
        raise AssertionError(f"the host has changed:\n{pformat(found, width=200)}")


def stamps() -> dict[str, tuple[int, int]]:
    """Return inode and time of the account files: another one means that a tool has written it."""
    return {f.name: (f.stat().st_ino, f.stat().st_mtime_ns) for f in FILES if f.exists()}


def database_state(database: Path) -> list[str]:
    """Return everything that the database says, but for what the clock writes."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10) as opened:
        return [line for line in opened.iterdump() if not re.match(rf'INSERT INTO "?({"|".join(QUIET_TABLES)})"?', line)]


def lines_of(login: str) -> dict[str, list[str]]:
    """Return the lines of a login in each account file."""
    return {f.name: [line for line in f.read_text().splitlines() if line.split(":")[0] == login] for f in FILES if f.exists()}


def memberships(login: str) -> dict[str, set[str]]:
    """Return the groups that list a login, in group and in gshadow."""
    return {
        name: {line.split(":")[0] for line in Path("/etc", name).read_text().splitlines() if login in line.split(":")[3].split(",")}
        for name in ("group", "gshadow")
    }


def check_archives(view: Mapping[str, Any]) -> dict[str, Path]:
    """Check the archives of an ended cohort with the tool that people have; return login → archive."""
    found = {row["login"]: Path(row["archive"]) for row in view["archives"]}
    assert stat.S_IMODE(ARCHIVES.stat().st_mode) == 0o700
    for row in view["archives"]:
        path = Path(row["archive"])
        assert path.parent == ARCHIVES
        assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_uid, path.stat().st_size) == (0o600, 0, row["bytes"])
        assert Path(f"{path}.sha256").read_text() == f"{row['sha256']}  {path.name}\n"
    sums = [f"{path.name}.sha256" for path in found.values()]
    done = subprocess.run(["sha256sum", "--check", "--quiet", "--strict", *sums], cwd=ARCHIVES, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return found


# -- tools ------------------------------------------------------------------------------------------


@contextmanager
def watched_tools(*tools: str) -> Iterator[Path]:
    """Note every start of a tool that changes accounts: its arguments, a line each, in the file that is given."""
    log = STATE / "tools.log"
    log.write_text("")
    with wrapped_tools({name: f'echo "{name} $*" >>{log}' for name in tools or TOOLS}):
        yield log


@contextmanager
def wrapped_tools(before: Mapping[str, str]) -> Iterator[None]:
    """Let a shell script run before each of some tools, in this host only."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "wrapped", str(WRAPPED)], check=True)
    try:
        for name, script in before.items():
            real = next(str(p) for folder in ("/usr/sbin", "/usr/bin", "/sbin", "/bin") if (p := Path(folder, name)).exists())
            (WRAPPED / name).write_text(f'#!/bin/sh\n{script}\nexec {real} "$@"\n')
            (WRAPPED / name).chmod(0o755)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(WRAPPED)], check=True)
