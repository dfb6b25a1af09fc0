"""Single users on a real host: the shadow tools, `su`, kill -9 at every step, and nothing secret in any argument."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from hostadmin.audit.journal import Journal
from hostadmin.core.clock import now
from hostadmin.core.errors import Conflict, Failed, Forbidden, HostadminError, Invalid, NotFound, Refused
from hostadmin.core.values import Actor, UserState
from hostadmin.host import homes, programs, sessions
from hostadmin.host.accounts import Accounts
from hostadmin.policy import profiles
from hostadmin.store import audit, users
from hostadmin.store.database import Database
from hostadmin.store.migrate import data_dir, upgrade
from hostadmin.users.service import Places, Users

pytestmark = pytest.mark.host

FILES = [Path("/etc") / n for n in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")]
ROOT = Path(__file__).resolve().parents[2]
ADMIN = Actor(type="unix", via="test", login="root", uid=0, admin=True)
PASSWORD = "Oracle098#planted"
PLACES = Places(home_root="/home", shell="/bin/bash", uid_min=1000, uid_max=59999, group="docker")


class Tools:
    """Starts the real tools, and remembers what was started."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.before: Callable[[list[str]], None] = lambda _argv: None
        self.after: Callable[[list[str]], None] = lambda _argv: None

    def __call__(self, argv: list[str], *, stdin: str = "") -> programs.Completed:
        """Run one."""
        self.calls.append(list(argv))
        self.before(argv)
        done = programs.run(argv, stdin=stdin)
        self.after(argv)
        return done


class Bench:
    """The service on a database of its own."""

    def __init__(self, place: Path) -> None:
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
        known = profiles.load(data_dir("config") / "profiles.toml", "student")
        self.users = Users(self.database, self.journal, known, PLACES, self.remove_objects, self.accounts)

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


@pytest.fixture(autouse=True)
def host() -> Iterator[None]:
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
def bench(tmp_path: Path) -> Iterator[Bench]:
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


# -- add ------------------------------------------------------------------------------------


def test_add_makes_a_real_account(bench: Bench) -> None:
    """Home 0700 with the skeleton, private group of the same number, password that opens it, access."""
    view = bench.users.add(ADMIN, "ashu", name="Ashu K, trainee", docker=True, expires=date(2099, 5, 1), password=PASSWORD)
    assert (view.login, view.name, view.profile, view.state, view.managed, view.docker, view.home) == (
        "ashu",
        "Ashu K, trainee",
        "student",
        "active",
        True,
        True,
        "/home/ashu",
    )
    assert view.expires == "2099-05-01"
    assert not view.drift
    account = bench.accounts.find("ashu")
    assert account is not None
    assert account.uid == account.gid == view.uid >= 1000
    found = os.stat("/home/ashu")
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (view.uid, view.uid, 0o700)
    assert {f.name for f in Path("/etc/skel").iterdir()} <= set(os.listdir("/home/ashu"))
    assert shadow_line("ashu")[1].startswith("$6$rounds=100000$")
    assert int(shadow_line("ashu")[7]) == (date(2099, 5, 2) - date(1970, 1, 1)).days
    assert listed("/etc/group", "docker") == listed("/etc/gshadow", "docker") == ["ashu"]
    assert not any("ashu" in f.read_text() for f in FILES[4:] if f.exists()), "no subordinate ids"
    assert su("ashu", PASSWORD)
    assert not su("ashu", "Oracle098#wrong")
    assert is_clean()
    assert [r["stage"] for r in bench.records()] == ["intent", "outcome"]
    assert bench.records()[1]["status"] == "ok"


def test_add_without_a_password_is_locked(bench: Bench) -> None:
    """Nobody logs in with a password that nobody has set."""
    bench.users.add(ADMIN, "ashu")
    assert shadow_line("ashu")[1] == "!"
    assert subprocess.run(["passwd", "-S", "ashu"], capture_output=True, text=True, check=True).stdout.split()[1] == "L"
    assert not bench.users.show("ashu").drift
    assert not su("ashu", "")


@pytest.mark.parametrize(
    "login",
    [
        "-x",
        "root",
        "a:b",
        "a" * 33,
        "a" * 32,
        "a/b",
        "123",
        ".",
        "..",
        "a$(id)",
        "a`id`",
        "",
        "A",
        "alice$",
        "a b",
        "a\nb",
        "ünï",
        "*",
        "docker",
    ],
)
def test_names_that_the_system_must_not_have(bench: Bench, login: str) -> None:
    """Refused before anything runs, and nothing is recorded as begun."""
    before = [f.read_bytes() for f in FILES if f.exists()]
    with pytest.raises(Refused):
        bench.users.add(ADMIN, login)
    assert bench.tools.calls == []
    assert [f.read_bytes() for f in FILES if f.exists()] == before
    assert bench.records() == []


def test_a_second_identical_add_changes_nothing(bench: Bench) -> None:
    """No tool runs, nothing is recorded, the view is the same; another wish is refused, not half done."""
    wish: dict[str, Any] = {"name": "Ashu", "docker": True, "expires": date(2099, 5, 1), "password": PASSWORD}
    first = bench.users.add(ADMIN, "ashu", **wish)
    calls, records = len(bench.tools.calls), len(bench.records())
    assert bench.users.add(ADMIN, "ashu", **wish) == first
    assert bench.users.add(ADMIN, "ashu") == first
    for more in ({"password": "another-password"}, {"name": "Dev"}, {"profile": "trainer"}, {"expires": date(2099, 5, 2)}):
        with pytest.raises(Conflict, match="nothing was changed"):
            bench.users.add(ADMIN, "ashu", **more)
    assert (len(bench.tools.calls), len(bench.records())) == (calls, records)


def test_add_gives_access_later(bench: Bench) -> None:
    """`user add X`, then `user add X --docker`, as the class day types it."""
    assert not bench.users.add(ADMIN, "ashu").docker
    assert bench.users.add(ADMIN, "ashu", docker=True).docker


def test_accounts_and_groups_that_are_there_are_not_taken_over(bench: Bench) -> None:
    """An account, a group, and a name that a group lists although nobody has it."""
    subprocess.run(["useradd", "-m", "byhand"], check=True)
    subprocess.run(["groupadd", "team"], check=True)
    group = Path("/etc/group")
    group.write_text(re.sub(r"^sudo:(.*):$", r"sudo:\1:ghost", group.read_text(), flags=re.MULTILINE))
    for login, why in (("byhand", "does not manage"), ("team", "a group of that name"), ("ghost", "would inherit")):
        with pytest.raises(Conflict, match=why):
            bench.users.add(ADMIN, login)
    assert bench.tools.calls == []


def test_a_member_that_hostadmin_does_not_manage(bench: Bench) -> None:
    """Shown as unmanaged, with or without a row; `user add` says what to do instead; never removed."""
    subprocess.run(["groupadd", "--system", "docker"], check=False, capture_output=True)
    subprocess.run(["useradd", "-m", "-G", "docker", "byhand"], check=True)
    account = bench.accounts.find("byhand")
    assert account is not None
    view = next(v for v in bench.users.list() if v.login == "byhand")
    assert (view.managed, view.docker, view.uid) == (False, True, account.uid)
    row = bench.users.observe_member("byhand", account.uid, account.gid)
    assert bench.users.observe_member("byhand", account.uid, account.gid) == row
    assert not bench.users.show("byhand").managed
    with pytest.raises(Conflict, match="not managed by hostadmin"):
        bench.users.add(ADMIN, "byhand")
    with pytest.raises(Forbidden):
        bench.users.remove(ADMIN, "byhand")
    with pytest.raises(Forbidden):
        bench.users.passwd(ADMIN, "byhand", PASSWORD)
    assert bench.tools.calls == []
    # re-created with another uid: a new account, the old row is a tombstone
    new = bench.users.observe_member("byhand", account.uid + 7, account.gid)
    assert (new.id != row.id, new.uid, new.managed) == (True, account.uid + 7, False)
    with bench.database.read() as tx:
        old = users.find(tx, row.id)
    assert old is not None
    assert old.state is UserState.REMOVED


def test_an_unmanaged_row_whose_account_has_gone_is_no_obstacle(bench: Bench) -> None:
    """The login is free again, for a new account with its own id."""
    old = bench.users.observe_member("ashu", 4321, 4321)
    assert bench.users.add(ADMIN, "ashu").managed
    new = bench.row("ashu")
    assert new is not None
    assert (new.id != old.id, new.uid != 4321) == (True, True)


def make_file(path: Path) -> None:
    """Put a file of root there."""
    path.write_text("x")


@pytest.mark.parametrize(
    "make",
    [
        make_file,
        Path.mkdir,
        lambda p: p.symlink_to("/tmp"),
        lambda p: p.symlink_to("/nowhere"),
        lambda p: (p.mkdir(), os.chown(p, 4242, 4242)),
    ],
    ids=["file", "directory of root", "symlink", "dangling symlink", "directory of another uid"],
)
def test_a_home_path_that_is_somebody_elses(bench: Bench, make: Callable[[Path], object]) -> None:
    """useradd would say 0 and leave an account that cannot write to its home: refused before anything runs."""
    make(Path("/home/ashu"))
    with pytest.raises(Conflict, match="exists already"):
        bench.users.add(ADMIN, "ashu")
    assert bench.tools.calls == []


def test_numbers_are_never_given_twice(bench: Bench) -> None:
    """Not those of the host, of tombstones, of files in the homes, or of processes; the lowest of the rest."""
    first = bench.users.add(ADMIN, "one").uid
    subprocess.run(["groupadd", "--gid", str(first + 1), "team"], check=True)
    foreign = Path("/home/leftover")
    foreign.mkdir()
    os.chown(foreign, first + 2, first + 2)
    sleeper = subprocess.Popen(["sleep", "30"], user=first + 3)
    try:
        bench.users.remove(ADMIN, "one")
        assert bench.users.add(ADMIN, "two").uid == first + 4
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_returning_user_is_the_same_account(bench: Bench) -> None:
    """Same account id, uid, gid and, if it was kept, the same home; if the numbers are taken, a new account."""
    first = bench.users.add(ADMIN, "ashu", password=PASSWORD)
    row = bench.row("ashu")
    Path("/home/ashu/mine").write_text("work")
    bench.users.remove(ADMIN, "ashu", keep_home=True)
    again = bench.users.add(ADMIN, "ashu", name="Ashu again")
    back = bench.row("ashu")
    assert row is not None
    assert back is not None
    assert (back.id, again.uid, again.gid, back.removed_at) == (row.id, first.uid, first.gid, None)
    assert Path("/home/ashu/mine").read_text() == "work"
    bench.users.remove(ADMIN, "ashu")
    subprocess.run(["useradd", "--uid", str(first.uid), "thief"], check=True)
    other = bench.users.add(ADMIN, "ashu")
    new = bench.row("ashu")
    assert new is not None
    assert other.uid != first.uid
    assert new.id != row.id


def test_expire_ends_access_now(bench: Bench) -> None:
    """The login is refused at once; again changes nothing; a day that is over already stays; `set` opens it again."""
    bench.users.add(ADMIN, "ashu", password=PASSWORD)
    yesterday = now().date() - timedelta(days=1)
    first = bench.users.expire(ADMIN, "ashu")
    assert (first.state, first.expires, list(first.drift)) == ("expired", yesterday.isoformat(), [])
    assert not su("ashu", PASSWORD)
    calls, records = len(bench.tools.calls), len(bench.records())
    assert bench.users.expire(ADMIN, "ashu") == first
    assert (len(bench.tools.calls), len(bench.records())) == (calls, records)
    subprocess.run(["usermod", "--expiredate", "", "ashu"], check=True)
    assert bench.users.expire(ADMIN, "ashu") == first
    row = bench.row("ashu")
    assert row is not None
    long_ago = yesterday - timedelta(days=30)
    bench.database.write(lambda tx: users.change(tx, row.id, expires=long_ago))
    assert bench.users.expire(ADMIN, "ashu").expires == long_ago.isoformat()
    assert not bench.users.show("ashu").drift
    assert bench.users.set(ADMIN, "ashu", expires=None).state == "active"
    assert su("ashu", PASSWORD)


def test_dates(bench: Bench) -> None:
    """A past day and one beyond the files are refused; today is a last day."""
    today = now().date()
    for day in (today - timedelta(days=1), date(9999, 12, 31)):
        with pytest.raises(Invalid):
            bench.users.add(ADMIN, "ashu", expires=day)
    assert bench.tools.calls == []
    bench.users.add(ADMIN, "ashu", expires=today, password=PASSWORD)
    assert su("ashu", PASSWORD), "access on the last day itself"


@pytest.mark.parametrize("password", ["", "short", "a" * 513, "line\nbreak", "nul\0nul00", "\ud800surrogate"])
def test_passwords_that_are_refused(bench: Bench, password: str) -> None:
    """Told without repeating them."""
    with pytest.raises(Invalid) as caught:
        bench.users.add(ADMIN, "ashu", password=password)
    assert not password or password not in str(caught.value)
    assert bench.tools.calls == []


def test_many_at_once(bench: Bench) -> None:
    """Threads that add different and same users end with one account each, all in the group."""
    logins = [f"user{n}" for n in range(8)]
    problems: list[Exception] = []

    def add(login: str) -> None:
        try:
            bench.users.add(ADMIN, login, docker=True)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=add, args=(login,)) for login in (*logins, *logins)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    views = bench.users.list()
    assert [v.login for v in views] == logins
    assert len({v.uid for v in views}) == len(logins)
    assert sorted(listed("/etc/group", "docker")) == sorted(listed("/etc/gshadow", "docker")) == logins
    assert is_clean()


# -- set, lock, unlock, passwd ------------------------------------------------------------------


def test_set(bench: Bench) -> None:
    """Name and last day reach the host; the same again runs nothing."""
    bench.users.add(ADMIN, "ashu")
    view = bench.users.set(ADMIN, "ashu", name="Ashu: K".replace(":", ""), profile="trainer", expires=date(2099, 1, 1))
    assert (view.name, view.profile, view.expires, list(view.drift)) == ("Ashu K", "trainer", "2099-01-01", [])
    calls = len(bench.tools.calls)
    assert bench.users.set(ADMIN, "ashu", name="Ashu K", profile="trainer", expires=date(2099, 1, 1)) == view
    assert len(bench.tools.calls) == calls
    assert bench.users.set(ADMIN, "ashu", expires=None).expires is None
    assert shadow_line("ashu")[7] == ""
    for wrong in ({"name": "a:b"}, {"name": "a\nb"}, {"expires": date(2001, 1, 1)}, {"profile": "nosuch"}):
        with pytest.raises(Refused):
            bench.users.set(ADMIN, "ashu", **wrong)


def test_lock_and_unlock(bench: Bench) -> None:
    """Locked: no login, no processes, no guard. Unlocked: hash and expiry as they were. Both twice."""
    bench.users.add(ADMIN, "ashu", expires=date(2099, 5, 1), password=PASSWORD)
    before = shadow_line("ashu")
    uid = bench.users.show("ashu").uid
    stubborn = subprocess.Popen(["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"], user=uid)
    view = bench.users.lock(ADMIN, "ashu")
    assert view.state == "locked"
    assert not view.drift
    assert stubborn.wait(5) == -signal.SIGKILL
    assert sessions.running(uid) == []
    assert shadow_line("ashu")[1] == f"!{before[1]}"
    assert shadow_line("ashu")[7] == "1"
    assert not su("ashu", PASSWORD)
    calls, records = len(bench.tools.calls), len(bench.records())
    assert bench.users.lock(ADMIN, "ashu") == view
    assert (len(bench.tools.calls), len(bench.records())) == (calls, records)
    assert bench.users.unlock(ADMIN, "ashu").state == "active"
    assert shadow_line("ashu") == before
    assert su("ashu", PASSWORD)
    calls = len(bench.tools.calls)
    bench.users.unlock(ADMIN, "ashu")
    assert len(bench.tools.calls) == calls


def test_a_process_in_an_own_namespace_does_not_outlive_the_lock(bench: Bench) -> None:
    """`unshare` without root is no place to hide; a container of root's, in our user namespace, is left alone."""
    uid = bench.users.add(ADMIN, "ashu").uid
    hidden = subprocess.Popen(["unshare", "--user", "--pid", "--fork", "sleep", "60"], user=uid, stderr=subprocess.DEVNULL)
    contained = subprocess.Popen(["unshare", "--pid", "--fork", "setpriv", f"--reuid={uid}", "--clear-groups", "sleep", "61"])
    time.sleep(0.5)
    if hidden.poll() is not None:
        pytest.skip("this kernel gives no user namespaces to people without root")
    assert len(commands_of(uid)) == 3, "unshare, the sleep in it, and the one in the container"
    bench.users.lock(ADMIN, "ashu")
    assert hidden.wait(5) != 0
    assert commands_of(uid) == ["sleep 61"], "what runs in a container stays"
    assert contained.poll() is None
    subprocess.run(["pkill", "-9", "-P", str(contained.pid)], check=False)
    contained.kill()
    contained.wait()


def test_lock_without_a_password(bench: Bench) -> None:
    """usermod refuses to unlock an account without a hash, with code 0: only the expiry goes then."""
    bench.users.add(ADMIN, "ashu")
    bench.users.lock(ADMIN, "ashu")
    assert not bench.users.unlock(ADMIN, "ashu").drift
    assert shadow_line("ashu")[1] == "!"


def test_passwd(bench: Bench) -> None:
    """The new one works, the old one does not; of a locked account it works only after the unlock."""
    bench.users.add(ADMIN, "ashu", password=PASSWORD)
    bench.users.passwd(ADMIN, "ashu", "a new password: ümläut")
    assert su("ashu", "a new password: ümläut")
    assert not su("ashu", PASSWORD)
    calls = len(bench.tools.calls)
    bench.users.passwd(ADMIN, "ashu", "a new password: ümläut")
    assert len(bench.tools.calls) == calls
    bench.users.lock(ADMIN, "ashu")
    bench.users.passwd(ADMIN, "ashu", PASSWORD)
    assert shadow_line("ashu")[1].startswith("!$6$")
    assert not su("ashu", PASSWORD)
    bench.users.unlock(ADMIN, "ashu")
    assert su("ashu", PASSWORD)


def test_no_secret_is_in_an_argument_an_error_or_the_database(bench: Bench, tmp_path: Path) -> None:
    """What was planted is looked for in every argv, in the tools' own, in all that is stored, and in error texts."""
    watched: list[str] = []
    bench.tools.before = lambda _argv: watched.extend(_command_lines())
    bench.users.add(ADMIN, "ashu", docker=True, password=PASSWORD)
    bench.users.passwd(ADMIN, "ashu", f"{PASSWORD}2")
    hashed = shadow_line("ashu")[1]
    bench.accounts.set_hash = _fails  # type: ignore[method-assign]
    with pytest.raises(HostadminError) as caught:
        bench.users.passwd(ADMIN, "ashu", f"{PASSWORD}3")
    bench.database.close()
    stored = b"".join(f.read_bytes() for f in tmp_path.iterdir())
    for secret in (PASSWORD, hashed, hashed.split("$")[-1]):
        assert not any(secret in word for call in bench.tools.calls for word in call)
        assert not any(secret in line for line in watched)
        assert secret.encode() not in stored
        assert secret not in str(caught.value)
    bench.open()


def _fails(login: str, _hashed: str, *, locked: bool = False) -> None:
    raise programs.ProgramFailed(f"chpasswd failed with code 1: {login} {locked}", code=1, stderr="")


def _command_lines() -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                found.append((entry / "cmdline").read_text(errors="replace") + (entry / "environ").read_text(errors="replace"))
    return found


# -- access ---------------------------------------------------------------------------------


def test_grant_and_revoke(bench: Bench) -> None:
    """Seen in group and gshadow; both twice; other groups stay; accounts of the system get none."""
    bench.users.add(ADMIN, "ashu")
    subprocess.run(["usermod", "-aG", "audio", "ashu"], check=True)
    assert bench.users.grant(ADMIN, "ashu").docker
    assert listed("/etc/group", "docker") == listed("/etc/gshadow", "docker") == ["ashu"]
    assert [a["login"] for a in bench.users.access_list()] == ["ashu"]
    calls = len(bench.tools.calls)
    bench.users.grant(ADMIN, "ashu")
    assert len(bench.tools.calls) == calls
    bench.users.revoke(ADMIN, "ashu")
    assert listed("/etc/group", "docker") == listed("/etc/gshadow", "docker") == []
    assert listed("/etc/group", "audio") == ["ashu"]
    calls = len(bench.tools.calls)
    bench.users.revoke(ADMIN, "ashu")
    assert len(bench.tools.calls) == calls
    for login, error in (("root", Forbidden), ("nobody", Forbidden), ("daemon", Forbidden), ("nosuch", NotFound), ("-x", NotFound)):
        with pytest.raises(error):
            bench.users.grant(ADMIN, login)
    with pytest.raises(NotFound):
        bench.users.revoke(ADMIN, "nosuch")


def test_a_group_that_is_missing_is_made(bench: Bench) -> None:
    """As a system group."""
    subprocess.run(["groupdel", "docker"], check=False, capture_output=True)
    bench.users.add(ADMIN, "ashu", docker=True)
    group = bench.accounts.group("docker")
    assert group is not None
    assert group.gid < 1000


def test_the_group_as_primary_group(bench: Bench) -> None:
    """Access too; a revocation says what to do."""
    subprocess.run(["groupadd", "--system", "docker"], check=False, capture_output=True)
    subprocess.run(["useradd", "--gid", "docker", "byhand"], check=True)
    assert [a["login"] for a in bench.users.access_list()] == ["byhand"]
    assert bench.users.grant(ADMIN, "byhand").docker
    with pytest.raises(Conflict, match="primary group"):
        bench.users.revoke(ADMIN, "byhand")
    assert bench.tools.calls == []


# -- remove ---------------------------------------------------------------------------------


def test_remove(bench: Bench) -> None:
    """Objects, processes, account, home, crontab: all gone; the number stays used; twice is told."""
    uid = bench.users.add(ADMIN, "ashu", docker=True, password=PASSWORD).uid
    row = bench.row("ashu")
    precious = Path("/mnt/precious")
    precious.mkdir(exist_ok=True)
    (precious / "kept").write_text("x")
    Path("/home/ashu/link").symlink_to(precious)
    sleeper = subprocess.Popen(["sleep", "60"], user=uid)
    cron = Path("/var/spool/cron/crontabs")
    if cron.is_dir():
        (cron / "ashu").write_text("* * * * * true\n")
    bench.users.remove(ADMIN, "ashu")
    assert sleeper.wait(5) != 0
    assert row is not None
    assert bench.removed_of == [row.id]
    assert mentions("ashu") == []
    assert not os.path.lexists("/home/ashu")
    assert (precious / "kept").exists()
    assert not (cron / "ashu").exists()
    assert is_clean()
    with pytest.raises(NotFound):
        bench.users.show("ashu")
    with pytest.raises(NotFound):
        bench.users.remove(ADMIN, "ashu")


def test_what_stays_stops_the_removal(bench: Bench) -> None:
    """The account is locked then, and running it again goes on."""
    bench.users.add(ADMIN, "ashu", password=PASSWORD)
    row = bench.row("ashu")
    assert row is not None
    bench.owned[row.id] = ["container busy: device busy"]
    with pytest.raises(Failed, match="device busy"):
        bench.users.remove(ADMIN, "ashu")
    assert bench.users.show("ashu").state == "locked"
    assert not su("ashu", PASSWORD)
    assert Path("/home/ashu").exists()
    bench.owned.clear()
    bench.users.remove(ADMIN, "ashu")
    assert bench.row("ashu") is None


def test_a_mount_in_the_home_stops_the_removal(bench: Bench) -> None:
    """It would be deleted with the home."""
    bench.users.add(ADMIN, "ashu")
    Path("/home/ashu/data").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", "/home/ashu/data"], check=True)
    try:
        Path("/home/ashu/data/precious").write_text("x")
        with pytest.raises(Conflict, match="mounted"):
            bench.users.remove(ADMIN, "ashu")
        assert bench.users.show("ashu").state == "active"
        assert Path("/home/ashu/data/precious").exists()
    finally:
        subprocess.run(["umount", "/home/ashu/data"], check=True)
    bench.users.remove(ADMIN, "ashu")


def test_a_mount_that_is_made_during_the_removal_stops_it(bench: Bench) -> None:
    """Until its processes are ended, somebody may still mount something."""
    bench.users.add(ADMIN, "ashu")
    Path("/home/ashu/data").mkdir()

    def mount(argv: list[str]) -> None:
        if "--lock" in argv:
            subprocess.run(["mount", "-t", "tmpfs", "none", "/home/ashu/data"], check=True)
            Path("/home/ashu/data/precious").write_text("x")

    bench.tools.before = mount
    try:
        with pytest.raises(Conflict, match="mounted"):
            bench.users.remove(ADMIN, "ashu")
        assert bench.users.show("ashu").state == "locked"
        assert bench.removed_of == []
        assert Path("/home/ashu/data/precious").exists()
    finally:
        subprocess.run(["umount", "/home/ashu/data"], check=True)
    bench.tools.before = lambda _argv: None
    bench.users.remove(ADMIN, "ashu")
    assert mentions("ashu") == []


def test_the_host_is_another_one_than_the_ledger_says(bench: Bench) -> None:
    """An account that was re-made by hand with another uid is never touched; the ledger's row can be removed."""
    bench.users.add(ADMIN, "ashu")
    subprocess.run(["userdel", "ashu"], check=True)
    assert list(bench.users.show("ashu").drift) == ["the account is gone from the host"]
    with pytest.raises(Conflict):
        bench.users.passwd(ADMIN, "ashu", PASSWORD)
    subprocess.run(["useradd", "--uid", "5555", "ashu"], check=True)
    assert "uid 5555" in bench.users.show("ashu").drift[0]
    calls = len(bench.tools.calls)
    bench.users.lock(ADMIN, "ashu")
    bench.users.remove(ADMIN, "ashu")
    assert len(bench.tools.calls) == calls
    account = bench.accounts.find("ashu")
    assert account is not None
    assert account.uid == 5555


def test_drift_by_hand(bench: Bench) -> None:
    """Locked, unlocked, expired, emptied: told, and put right by lock and unlock."""
    bench.users.add(ADMIN, "ashu", password=PASSWORD)
    for argv, word in (
        (["usermod", "--lock", "ashu"], "locked by hand"),
        (["usermod", "--expiredate", "1", "ashu"], "expired by hand"),
        (["usermod", "--expiredate", "2050-01-01", "ashu"], "not the ledger's"),
    ):
        subprocess.run(argv, check=True)
        assert word in " ".join(bench.users.show("ashu").drift)
        assert not bench.users.unlock(ADMIN, "ashu").drift
    bench.users.lock(ADMIN, "ashu")
    subprocess.run(["usermod", "--unlock", "--expiredate", "", "ashu"], check=True)
    assert "unlocked by hand" in " ".join(bench.users.show("ashu").drift)
    assert not bench.users.lock(ADMIN, "ashu").drift
    subprocess.run(["passwd", "--delete", "ashu"], check=True, capture_output=True)
    assert "without a password" in " ".join(bench.users.show("ashu").drift)


# -- failures and kills ---------------------------------------------------------------------


def snapshot() -> tuple[list[bytes], list[str]]:
    """Return the account files and the homes."""
    return [f.read_bytes() for f in FILES if f.exists()], sorted(os.listdir("/home"))


@pytest.mark.parametrize("tool", ["useradd", "chpasswd", "usermod"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_failure_half_way_is_undone(bench: Bench, tool: str, when: str) -> None:
    """Whatever fails, nothing of the account is left, and the record says so."""
    before = snapshot()

    def fail(argv: list[str]) -> None:
        if argv[0] == tool:
            setattr(bench.tools, when, lambda _argv: None)
            raise programs.ProgramFailed(f"{tool} failed with code 1: planted", code=1, stderr="planted")

    subprocess.run(["groupadd", "--system", "docker"], check=False, capture_output=True)
    before = snapshot()
    setattr(bench.tools, when, fail)
    with pytest.raises(HostadminError, match="planted"):
        bench.users.add(ADMIN, "ashu", docker=True, password=PASSWORD)
    assert snapshot() == before
    assert bench.row("ashu") is None
    outcome = bench.records("outcome")[-1]
    assert (outcome["status"], outcome["detail"]["undone"]) == ("error", True)
    assert bench.open_records() == []
    assert bench.users.add(ADMIN, "ashu", docker=True, password=PASSWORD).docker


def test_what_cannot_be_recorded_does_not_stay(bench: Bench) -> None:
    """The outcome cannot be written: the account is taken back at once."""
    before = snapshot()

    def refuse(*_args: Any, **_more: Any) -> None:
        raise Failed("The disk is full.")

    bench.journal.outcome = refuse  # type: ignore[method-assign]
    with pytest.raises(Failed, match="disk is full"):
        bench.users.add(ADMIN, "ashu", password=PASSWORD)
    assert snapshot() == before


def test_a_foreign_lock_is_waited_for(bench: Bench) -> None:
    """Somebody holds passwd.lock for a moment: the tool is tried again."""
    lock = Path("/etc/passwd.lock")
    lock.write_text(str(os.getpid()))
    threading.Timer(0.7, lock.unlink).start()
    bench.users.add(ADMIN, "ashu")
    assert sum(c[0] == "useradd" for c in bench.tools.calls) > 1


SCRIPT = """
import os, signal, sys
from pathlib import Path
from tests.integration.test_users import ADMIN, PASSWORD, Bench
place, action, number, when = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
bench = Bench(place)
left = [number]
def maybe(_argv):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
setattr(bench.tools, when, maybe)
from datetime import date
{
    "add": lambda: bench.users.add(ADMIN, "ashu", docker=True, password=PASSWORD),
    "set": lambda: bench.users.set(ADMIN, "ashu", name="Other", expires=date(2099, 1, 1)),
    "lock": lambda: bench.users.lock(ADMIN, "ashu"),
    "unlock": lambda: bench.users.unlock(ADMIN, "ashu"),
    "passwd": lambda: bench.users.passwd(ADMIN, "ashu", "another password"),
    "grant": lambda: bench.users.grant(ADMIN, "ashu"),
    "revoke": lambda: bench.users.revoke(ADMIN, "ashu"),
    "remove": lambda: bench.users.remove(ADMIN, "ashu"),
}[action]()
bench.database.close()
"""

PREPARE: dict[str, Callable[[Users], object]] = {
    "add": lambda _u: None,
    "set": lambda u: u.add(ADMIN, "ashu", password=PASSWORD),
    "lock": lambda u: u.add(ADMIN, "ashu", password=PASSWORD),
    "unlock": lambda u: (u.add(ADMIN, "ashu", password=PASSWORD), u.lock(ADMIN, "ashu")),
    "passwd": lambda u: u.add(ADMIN, "ashu", password=PASSWORD),
    "grant": lambda u: u.add(ADMIN, "ashu", password=PASSWORD),
    "revoke": lambda u: u.add(ADMIN, "ashu", docker=True, password=PASSWORD),
    "remove": lambda u: u.add(ADMIN, "ashu", docker=True, password=PASSWORD),
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("action", list(PREPARE))
def test_kill_between_the_steps(tmp_path: Path, action: str, when: str) -> None:
    """kill -9 of the service before and after every tool of every action; the next start finishes or undoes it."""
    pristine = snapshot()
    for number in range(10):
        place = tmp_path / str(number)
        place.mkdir()
        bench = Bench(place)
        PREPARE[action](bench.users)
        bench.database.close()
        before = snapshot()
        done = subprocess.run([sys.executable, "-c", SCRIPT, str(place), action, str(number), when], check=False, cwd=ROOT, timeout=60)
        bench.open()
        judge_recovery(bench, action, killed=done.returncode == -signal.SIGKILL, before=before)
        restore(pristine)
        bench.database.close()
        if done.returncode == 0:
            assert number, "at least one kill"
            return
        assert done.returncode == -signal.SIGKILL, done
    raise AssertionError("more tools than expected")


def restore(state: tuple[list[bytes], list[str]]) -> None:
    """Put files and homes back between two rounds."""
    for file, content in zip([f for f in FILES if f.exists()], state[0], strict=True):
        file.write_bytes(content)
    for left in set(os.listdir("/home")) - set(state[1]):
        subprocess.run(["rm", "-rf", f"/home/{left}"], check=True)


def judge_recovery(bench: Bench, action: str, *, killed: bool, before: tuple[list[bytes], list[str]]) -> None:
    """Whatever was cut off: recovered once, closed, consistent, and the action can be done again."""
    assert bench.users.recover() == int(killed)
    assert bench.users.recover() == 0
    assert bench.open_records() == []
    assert is_clean()
    if killed:
        verdict = bench.records("recovered")[-1]
        assert verdict["status"] in ("done", "not-done"), verdict
        if action == "add":
            assert verdict["status"] == "not-done"
            assert without_docker(snapshot()) == without_docker(before)
        elif verdict["status"] == "not-done" and action not in ("passwd", "unlock", "remove"):
            assert not bench.users.show("ashu").drift
    if action == "add":
        assert bench.users.add(ADMIN, "ashu", docker=True, password=PASSWORD).docker
    elif action == "remove":
        if bench.row("ashu") is not None:
            assert bench.users.show("ashu").state == "locked"
            bench.users.remove(ADMIN, "ashu")
        assert mentions("ashu") == []
        assert not os.path.lexists("/home/ashu")
    else:
        assert not bench.users.show("ashu").drift
        if action == "lock":
            assert bench.users.show("ashu").state == "locked"


def without_docker(state: tuple[list[bytes], list[str]]) -> tuple[list[list[bytes]], list[str]]:
    """Return a snapshot without the lines of group docker: an empty group may stay behind."""
    return [[line for line in content.splitlines() if not line.startswith(b"docker:")] for content in state[0]], state[1]


@pytest.mark.parametrize("number", range(1, 7))
@pytest.mark.parametrize("tool", ["useradd", "userdel", "usermod"])
def test_a_tool_killed_in_the_middle(bench: Bench, tool: str, number: int) -> None:
    """The state after a kill at each rename (``accounts.md`` 6): put together from before and after, file by file."""
    existing = [f for f in FILES if f.exists()]
    if tool != "useradd":
        bench.users.add(ADMIN, "ashu", docker=tool == "userdel", password=PASSWORD)
    before, calls = snapshot(), 0

    def cut(argv: list[str]) -> None:
        nonlocal calls
        if argv[0] != tool or calls:
            return
        calls += 1
        for file, old in list(zip(existing, before[0], strict=True))[number:]:
            file.write_bytes(old)
        if tool == "useradd" and number < len(existing):
            subprocess.run(["rm", "-rf", "/home/ashu"], check=True)
        raise KeyboardInterrupt  # nothing below may catch this: the process is gone

    bench.tools.after = cut
    act: dict[str, Callable[[], object]] = {
        "useradd": lambda: bench.users.add(ADMIN, "ashu", docker=True, password=PASSWORD),
        "userdel": lambda: bench.users.remove(ADMIN, "ashu"),
        "usermod": lambda: bench.users.grant(ADMIN, "ashu"),
    }
    with pytest.raises(KeyboardInterrupt):
        act[tool]()
    bench.tools.after = lambda _argv: None
    bench.journal.boot = "the next start"
    assert bench.users.recover() == 1
    verdict = bench.records("recovered")[-1]["status"]
    assert verdict in ("done", "not-done")
    assert is_clean()
    if tool == "useradd":
        assert without_docker(snapshot()) == without_docker(before)
        bench.users.add(ADMIN, "ashu", docker=True)
    elif tool == "userdel":
        if bench.row("ashu") is not None:
            bench.users.remove(ADMIN, "ashu")
        assert mentions("ashu") == []
        assert not os.path.lexists("/home/ashu")
    else:
        assert bench.users.show("ashu").docker == (verdict == "done")
        assert bench.users.grant(ADMIN, "ashu").docker


def test_a_home_that_was_there_survives_the_recovery(bench: Bench) -> None:
    """The kept home of a returning user is not taken away with the half-made account."""
    bench.users.add(ADMIN, "ashu")
    Path("/home/ashu/mine").write_text("work")
    bench.users.remove(ADMIN, "ashu", keep_home=True)

    def cut(argv: list[str]) -> None:
        if argv[0] == "useradd":
            raise KeyboardInterrupt

    bench.tools.after = cut
    with pytest.raises(KeyboardInterrupt):
        bench.users.add(ADMIN, "ashu")
    bench.tools.after = lambda _argv: None
    bench.journal.boot = "the next start"
    assert bench.users.recover() == 1
    assert bench.accounts.find("ashu") is None
    assert Path("/home/ashu/mine").read_text() == "work"


def lose_the_outcome(bench: Bench, act: Callable[[], object]) -> None:
    """Do something whose outcome cannot be written (the disk is full): its intent stays open."""
    working = bench.journal.outcome

    def refuse(*_args: Any, **_more: Any) -> None:
        raise Failed("The disk is full.")

    bench.journal.outcome = refuse  # type: ignore[method-assign]
    with pytest.raises(Failed, match="disk is full"):
        act()
    bench.journal.outcome = working  # type: ignore[method-assign]


def test_the_recovery_leaves_what_was_settled_since(bench: Bench) -> None:
    """A removal and a revocation without an outcome must not hit who came back, or got access again, before the next start."""
    bench.users.add(ADMIN, "ashu", docker=True, password=PASSWORD)
    row = bench.row("ashu")
    lose_the_outcome(bench, lambda: bench.users.revoke(ADMIN, "ashu"))
    assert bench.users.grant(ADMIN, "ashu").docker
    lose_the_outcome(bench, lambda: bench.users.remove(ADMIN, "ashu"))
    assert bench.users.show("ashu").state == "locked"
    bench.users.remove(ADMIN, "ashu")
    bench.users.add(ADMIN, "ashu", docker=True, password=PASSWORD)
    back = bench.row("ashu")
    assert row is not None
    assert back is not None
    assert back.id == row.id
    bench.journal.boot = "the next start"
    assert bench.users.recover() == 2
    assert [r["status"] for r in bench.records("recovered")] == ["unknown", "unknown"]
    view = bench.users.show("ashu")
    assert (view.state, view.docker, list(view.drift)) == ("active", True, [])
    assert su("ashu", PASSWORD)


def test_a_revocation_without_an_outcome_is_finished(bench: Bench) -> None:
    """Nobody gave access again: the next start takes it away, even if somebody put it back by hand."""
    bench.users.add(ADMIN, "ashu", docker=True)
    lose_the_outcome(bench, lambda: bench.users.revoke(ADMIN, "ashu"))
    subprocess.run(["usermod", "-aG", "docker", "ashu"], check=True)
    bench.journal.boot = "the next start"
    assert bench.users.recover() == 1
    assert bench.records("recovered")[-1]["status"] == "done"
    assert not bench.users.show("ashu").docker


def test_ctrl_c_does_not_reach_a_tool() -> None:
    """A tool runs in a session of its own."""
    assert programs.run(["sh", "-c", "ps -o sid= -p $$"]).stdout.strip() != str(os.getsid(0))


def test_the_lock_of_the_tools_is_not_ours(bench: Bench) -> None:
    """While somebody holds .pwd.lock for a while (vipw), the tool waits by itself."""
    with open("/etc/.pwd.lock", "w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        threading.Timer(1.0, lambda: fcntl.lockf(file, fcntl.LOCK_UN)).start()
        started = time.monotonic()
        bench.users.add(ADMIN, "ashu")
        assert time.monotonic() - started > 0.5


def test_homes_are_removed_only_from_their_owner() -> None:
    """Somebody else's directory, a symlink and a file are left; what is not there is no problem."""
    place = Path("/home/somewhere")
    assert homes.remove(str(place), 4242)
    place.mkdir()
    os.chown(place, 4343, 4343)
    assert not homes.remove(str(place), 4242)
    link = Path("/home/link")
    link.symlink_to(place)
    assert not homes.remove(str(link), 4343)
    assert place.is_dir()
    assert homes.remove(str(place), 4343)
