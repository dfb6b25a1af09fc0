"""Single users on a real host: add, set, lock, unlock, passwd, expire; nothing secret in any argument."""

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from hostadmin.core.clock import now
from hostadmin.core.errors import Conflict, Forbidden, HostadminError, Invalid, Refused
from hostadmin.core.values import UserState
from hostadmin.host import programs, sessions
from hostadmin.store import users
from tests.integration.accounts import ADMIN, FILES, PASSWORD, Bench, su, shadow_line, listed, commands_of, ignoring_term, is_clean
from tests.integration.stage import until

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("pristine_accounts")]


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
    stubborn = ignoring_term(uid)
    view = bench.users.lock(ADMIN, "ashu")
    assert view.state == "locked"
    assert not view.drift
    assert stubborn.wait(60) == -signal.SIGKILL
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
    until("both run, or one cannot", lambda: hidden.poll() is not None or {"sleep 60", "sleep 61"} <= set(commands_of(uid)))
    if hidden.poll() is not None:
        pytest.skip("this kernel gives no user namespaces to people without root")
    assert len(commands_of(uid)) == 3, "unshare, the sleep in it, and the one in the container"
    bench.users.lock(ADMIN, "ashu")
    assert hidden.wait(60) != 0
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
