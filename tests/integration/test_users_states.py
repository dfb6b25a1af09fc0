"""States on a real host: what a last and a first day bring, who wins over whom, and whoever tries to survive a lock."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hostadmin.core.errors import Conflict, Failed, HostadminError, NotFound
from hostadmin.core.values import UserState
from hostadmin.host import programs
from hostadmin.store import users
from hostadmin.users.context import Keeping
from tests.integration.accounts import ADMIN, PASSWORD, ROOT, Bench, ignoring_term, is_clean, shadow_line, su
from tests.integration.dated import CLOCK, DAY, dated, states, wait_for_opening, yard

__all__ = ["dated", "yard"]  # fixtures
pytestmark = [pytest.mark.host, pytest.mark.usefixtures("pristine_accounts")]


# -- the last day ---------------------------------------------------------------------------------


def test_the_last_day_ends(dated: Bench) -> None:
    """On the day itself nothing happens; after it everything ends at once, on record, once; later days give it back as it was."""
    today = dated.users._context.today()
    uid = dated.users.add(ADMIN, "ashu", docker=True, expires=today, password=PASSWORD).uid
    before = shadow_line("ashu")
    sleeper = subprocess.Popen(["sleep", "60"], user=uid)
    assert dated.users.enforce_dates(CLOCK) == {}
    assert sleeper.poll() is None
    assert su("ashu", PASSWORD)
    dated.days = 1
    assert dated.users.show("ashu").state == "expired", "shown before the job comes"
    assert dated.users.enforce_dates(CLOCK) == {"expired": ["ashu"]}
    assert sleeper.wait(60) != 0
    assert not su("ashu", PASSWORD)
    assert (shadow_line("ashu")[1], shadow_line("ashu")[7]) == (f"!{before[1]}", "1"), "keys too: see states.py"
    view = dated.users.show("ashu")
    assert (view.state, view.expires, list(view.drift)) == ("expired", today.isoformat(), [])
    last = dated.records()[-1]
    assert (last["action"], last["status"], last["actor"]["type"], last["rule"]) == ("user.expire", "ok", "scheduler", "last-day")
    records = len(dated.records())
    assert dated.users.enforce_dates(CLOCK) == {}
    assert len(dated.records()) == records
    dated.days = 0
    assert dated.users.set(ADMIN, "ashu", expires=today + 9 * DAY).state == "active"
    after = shadow_line("ashu")
    assert after[1] == before[1]
    assert int(after[7]) == int(before[7]) + 9
    assert su("ashu", PASSWORD)


def test_set_gives_back_only_what_has_expired(dated: Bench) -> None:
    """A later last day does not undo an administrator's lock, nor a removal that was begun."""
    for act, state in ((dated.users.lock, "locked"), (dated.users.leave, "leaving")):
        dated.users.add(ADMIN, "ashu", password=PASSWORD)
        act(ADMIN, "ashu")
        assert dated.users.set(ADMIN, "ashu", expires=dated.users._context.today() + 5 * DAY).state == state
        assert not dated.users.show("ashu").drift
        assert dated.users.unlock(ADMIN, "ashu").state == "active"
        assert not dated.users.show("ashu").drift
        dated.users.remove(ADMIN, "ashu")


def test_expire_and_unlock(dated: Bench) -> None:
    """`user expire` ends at once; `user unlock` gives the former last day back; an over one becomes today."""
    today = dated.users._context.today()
    for login, last, back in (("ashu", None, None), ("rohit", today + 5 * DAY, today + 5 * DAY)):
        uid = dated.users.add(ADMIN, login, expires=last, password=PASSWORD).uid
        sleeper = subprocess.Popen(["sleep", "60"], user=uid)
        assert dated.users.expire(ADMIN, login).expires == (today - DAY).isoformat()
        assert sleeper.wait(60) != 0
        assert dated.accounts.is_locked(login)
        view = dated.users.unlock(ADMIN, login)
        assert (view.state, view.expires) == ("active", back.isoformat() if back else None)
        assert su(login, PASSWORD)
    dated.users.add(ADMIN, "dev", expires=today)
    dated.days = 3
    dated.users.enforce_dates(CLOCK)
    view = dated.users.unlock(ADMIN, "dev")
    assert (view.state, view.expires) == ("active", (today + 3 * DAY).isoformat())
    assert dated.users.enforce_dates(CLOCK) == {}


def test_a_lock_survives_the_last_day(dated: Bench) -> None:
    """Locked, then over: unlocking leads to expired, closed on the host; unlocking once more opens it for today."""
    today = dated.users._context.today()
    dated.users.add(ADMIN, "ashu", expires=today, password=PASSWORD)
    dated.users.lock(ADMIN, "ashu")
    dated.days = 1
    assert dated.users.enforce_dates(CLOCK) == {}
    assert dated.users.show("ashu").state == "locked"
    assert dated.users.unlock(ADMIN, "ashu").state == "expired"
    assert dated.accounts.is_locked("ashu")
    assert dated.users.lock(ADMIN, "ashu").state == "locked"
    dated.users.unlock(ADMIN, "ashu")
    assert dated.users.unlock(ADMIN, "ashu").state == "active"


def test_an_unmanaged_member_expires_in_the_ledger_only(dated: Bench) -> None:
    """hostadmin did not make the account: it does not end its processes."""
    subprocess.run(["groupadd", "--system", "docker"], check=False, capture_output=True)
    subprocess.run(["useradd", "--groups", "docker", "byhand"], check=True)
    account = dated.accounts.find("byhand")
    assert account is not None
    dated.users.observe_member("byhand", account.uid, account.gid)
    today = dated.users._context.today()
    dated.users.set(ADMIN, "byhand", expires=today)
    sleeper = subprocess.Popen(["sleep", "60"], user=account.uid)
    calls = len(dated.tools.calls)
    dated.days = 1
    assert dated.users.enforce_dates(CLOCK) == {"expired": ["byhand"]}
    assert sleeper.poll() is None
    assert len(dated.tools.calls) == calls
    assert dated.users.set(ADMIN, "byhand", expires=None).state == "active"
    sleeper.kill()
    sleeper.wait()


def test_three_hundred_last_days_in_a_minute(dated: Bench) -> None:
    """All of a large class at once, some of them with processes that do not want to end."""
    today = dated.users._context.today()
    first = dated.users.add(ADMIN, "user0", expires=today)
    subprocess.run(["sh", "-c", "cp -p /etc/passwd /etc/shadow /etc/group /etc/gshadow /mnt/"], check=True)
    with (
        open("/etc/passwd", "a") as passwd,
        open("/etc/shadow", "a") as shadow,
        open("/etc/group", "a") as group,
        open("/etc/gshadow", "a") as gshadow,
    ):
        for number in range(1, 300):
            uid = 20000 + number
            passwd.write(f"user{number}:x:{uid}:{uid}::/home/user{number}:/bin/bash\n")
            shadow.write(f"user{number}:$6$salt$hash:20000:0:99999:7:::\n")
            group.write(f"user{number}:x:{uid}:\n")
            gshadow.write(f"user{number}:!::\n")
    for number in range(1, 300):
        values: dict[str, Any] = {"uid": 20000 + number, "gid": 20000 + number, "home": f"/home/user{number}", "profile": "student"}
        dated.database.write(lambda tx, n=number, v=values: users.add(tx, login=f"user{n}", expires=today, **v))
    stubborn = [ignoring_term(20000 + n) for n in range(1, 30)]
    dated.days = 1
    begun = time.monotonic()
    found = dated.users.enforce_dates(CLOCK)
    spent = time.monotonic() - begun
    print(f"300 last days: {spent:.1f} s")
    assert len(found["expired"]) == 300
    assert spent < 30
    assert all(p.wait(60) == -signal.SIGKILL for p in stubborn)
    assert set(states(dated).values()) == {"expired"}
    assert all(line.split(":")[7] == "1" for line in Path("/etc/shadow").read_text().splitlines() if line.startswith("user"))
    assert first.uid


def test_account_files_that_stay_locked_do_not_hold_the_others(dated: Bench) -> None:
    """The guard is closed for all; the host's accounts are closed once the tools can write again, and it is told until then."""
    today = dated.users._context.today()
    for login in ("ashu", "rohit"):
        dated.users.add(ADMIN, login, expires=today, password=PASSWORD)

    tried: list[str] = []

    def locked(argv: list[str]) -> None:
        if argv[0] == "usermod":
            tried.append(argv[-1])
            raise programs.ProgramFailed("usermod failed with code 4: cannot lock", code=4, stderr="usermod: cannot lock /etc/passwd")

    dated.tools.before = locked
    dated.days = 1
    assert dated.users.enforce_dates(CLOCK) == {"failed": ["ashu", "rohit"]}
    assert tried == ["ashu"], "nobody waits for the files three hundred times"
    assert set(states(dated).values()) == {"expired"}
    assert "unlocked by hand" in " ".join(dated.users.show("ashu").drift)
    dated.tools.before = lambda _argv: None
    assert dated.users.enforce_dates(CLOCK) == {}, "not tried again at once"
    dated.users._dates._paused = dict.fromkeys(dated.users._dates._paused, 0.0)
    assert dated.users.enforce_dates(CLOCK) == {"expired": ["ashu", "rohit"]}
    assert dated.accounts.is_locked("ashu")
    assert not dated.users.show("rohit").drift


def test_intents_that_could_not_all_be_recorded(dated: Bench) -> None:
    """The disk is full after the first one: the next run ends both."""
    today = dated.users._context.today()
    for login in ("ashu", "rohit"):
        dated.users.add(ADMIN, login, expires=today, password=PASSWORD)
    working, asked = dated.journal.submit_intent, []

    def full(entry: Any, **more: Any) -> Any:
        asked.append(entry.target.name)
        if len(asked) == 2:
            raise Failed("The disk is full.")
        found = working(entry, **more)
        found.result(10)
        return found

    dated.journal.submit_intent = full  # type: ignore[method-assign]
    dated.days = 1
    with pytest.raises(Failed, match="disk is full"):
        dated.users.enforce_dates(CLOCK)
    dated.journal.submit_intent = working  # type: ignore[method-assign]
    assert states(dated) == {"ashu": "expired", "rohit": "active"}
    assert dated.users.enforce_dates(CLOCK) == {"expired": ["ashu", "rohit"]}
    assert all(dated.accounts.is_locked(login) for login in ("ashu", "rohit"))


# -- the first day ---------------------------------------------------------------------------------


def test_the_first_day_opens(dated: Bench) -> None:
    """Not before; then with the password that was set; once."""
    today = dated.users._context.today()
    dated.users.add(ADMIN, "ashu", password=PASSWORD)
    wait_for_opening(dated, "ashu", today + 2 * DAY)
    dated.days = 1
    assert dated.users.enforce_dates(CLOCK) == {}
    assert not su("ashu", PASSWORD)
    assert (dated.users.show("ashu").state, dated.users.show("ashu").starts) == ("locked", (today + 2 * DAY).isoformat())
    dated.days = 2
    assert dated.users.enforce_dates(CLOCK) == {"opened": ["ashu"]}
    assert dated.users.show("ashu").state == "active"
    assert su("ashu", PASSWORD)
    assert dated.users.enforce_dates(CLOCK) == {}


def test_an_administrators_lock_wins_over_the_first_day(dated: Bench) -> None:
    """Whether it comes before that day or after; an unlock before it opens at once."""
    today = dated.users._context.today()
    for login in ("before", "after", "opened", "over"):
        dated.users.add(ADMIN, login, password=PASSWORD)
        wait_for_opening(dated, login, today + 2 * DAY)
    dated.users.lock(ADMIN, "before")
    assert dated.users.show("before").starts is None
    assert dated.users.unlock(ADMIN, "opened").state == "active"
    assert dated.users.show("opened").starts is None
    dated.users.expire(ADMIN, "over")
    dated.days = 2
    assert dated.users.enforce_dates(CLOCK) == {"opened": ["after"]}
    dated.users.lock(ADMIN, "after")
    dated.days = 3
    assert dated.users.enforce_dates(CLOCK) == {}
    assert states(dated) == {"before": "locked", "after": "locked", "opened": "active", "over": "expired"}


def test_both_days_over_while_nothing_ran(dated: Bench) -> None:
    """It is expired, and was never open."""
    today = dated.users._context.today()
    dated.users.add(ADMIN, "ashu", expires=today + DAY, password=PASSWORD)
    wait_for_opening(dated, "ashu", today + DAY)
    dated.days = 5
    assert dated.users.enforce_dates(CLOCK) == {"expired": ["ashu"]}
    assert dated.users.show("ashu").state == "expired"
    assert dated.accounts.is_locked("ashu")


# -- announced ------------------------------------------------------------------------------------


def test_the_last_day_is_announced(dated: Bench) -> None:
    """A file that only that person reads, in the words for that day; gone when it is not due."""
    today = dated.users._context.today()
    folder = Path(dated.places.keeping.notices)
    uid = dated.users.add(ADMIN, "ashu", expires=today + 5 * DAY).uid
    dated.users.add(ADMIN, "rohit")
    folder.mkdir(mode=0o700)
    (folder / "stale").write_text("x")
    dated.users.enforce_dates(CLOCK)
    assert os.listdir(folder) == []
    assert folder.stat().st_mode & 0o7777 == 0o755
    for days, when in ((2, "in 3 days"), (4, "tomorrow"), (5, "today")):
        dated.days = days
        dated.users.enforce_dates(CLOCK)
        assert os.listdir(folder) == ["ashu"]
        found = (folder / "ashu").stat()
        assert (found.st_uid, found.st_mode & 0o7777) == (uid, 0o400)
        said = (folder / "ashu").read_text()
        assert f"ends on {today + 5 * DAY} ({when}): save what you need" in said
        assert said.endswith("\n")
        assert dated.users.notice(dated.row("ashu")) == said.strip()
    dated.users.lock(ADMIN, "ashu")
    dated.users.enforce_dates(CLOCK)
    assert os.listdir(folder) == []
    dated.users.unlock(ADMIN, "ashu")
    dated.users.enforce_dates(CLOCK)
    assert os.listdir(folder) == ["ashu"]
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    dated.users.enforce_dates(CLOCK)
    assert os.listdir(folder) == ["ashu"], "somebody has emptied /run"
    dated.days = 6
    dated.users.enforce_dates(CLOCK)
    assert os.listdir(folder) == []


def test_a_login_shell_says_it(tmp_path: Path) -> None:
    """As `su -` starts it: one line; root and commands get none; the script is put back if somebody changes it."""
    script = Path("/etc/profile.d/hostadmin.sh")
    folder = Path("/run/notices of 'hostadmin'")
    bench = Bench(tmp_path, Keeping(notices=str(folder), login_script=str(script)))
    bench.users.add(ADMIN, "ashu", expires=bench.users._context.today())
    bench.users.enforce_dates(CLOCK)
    script.write_text("exit 1\n")
    bench.users.install_login_script()
    found = script.stat()
    assert (found.st_uid, found.st_mode & 0o7777) == (0, 0o644)
    inode = found.st_ino
    bench.users.install_login_script()
    assert script.stat().st_ino == inode, "one that is right is left alone"

    def say(*words: str) -> str:
        return subprocess.run([*words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=20).stdout

    assert "ends on" in say("su", "-", "ashu", "-c", "exec bash -il -c true")
    assert say("su", "-", "ashu", "-c", "true") == ""
    assert say("env", "LOGNAME=ashu", "bash", "--norc", "-il", "-c", "true") == "", "not for root"
    bench.database.close()
    folder.joinpath("ashu").unlink()


# -- cut off ---------------------------------------------------------------------------------------

SCRIPT = """
import os, signal, sys
from datetime import timedelta
from pathlib import Path
from hostadmin.core.values import system_actor
from hostadmin.host import sessions
from tests.integration.accounts import ADMIN, Bench
place, action, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
bench = Bench(place)
left = [number]
def cut(*_):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
bench.tools.before = bench.tools.after = cut
real_end, real_intent, real_outcome = sessions.end, bench.journal.submit_intent, bench.journal.submit_outcome
def end(*args, **more):
    cut()
    return real_end(*args, **more)
def intent(*args, **more):
    found = real_intent(*args, **more)
    found.result(10)
    cut()
    return found
def outcome(*args, **more):
    cut()
    return real_outcome(*args, **more)
sessions.end, bench.journal.submit_intent, bench.journal.submit_outcome = end, intent, outcome
clock = system_actor("scheduler")
bench.days = 1 if action in ("last", "first") else 0
{
    "last": lambda: bench.users.enforce_dates(clock),
    "first": lambda: bench.users.enforce_dates(clock),
    "expire": lambda: bench.users.expire(ADMIN, "ashu"),
    "leave": lambda: bench.users.leave(ADMIN, "ashu"),
    "back": lambda: bench.users.set(ADMIN, "ashu", expires=None),
}[action]()
bench.database.close()
"""
PREPARE: dict[str, Callable[[Bench], object]] = {
    "last": lambda b: [b.users.add(ADMIN, login, expires=b.users._context.today(), password=PASSWORD) for login in ("ashu", "rohit")],
    "first": lambda b: (b.users.add(ADMIN, "ashu", password=PASSWORD), wait_for_opening(b, "ashu", b.users._context.today() + DAY)),
    "expire": lambda b: b.users.add(ADMIN, "ashu", password=PASSWORD),
    "leave": lambda b: b.users.add(ADMIN, "ashu", password=PASSWORD),
    "back": lambda b: (b.users.add(ADMIN, "ashu", password=PASSWORD), b.users.expire(ADMIN, "ashu")),
}
AFTER = {"last": "expired", "first": "active", "expire": "expired", "leave": "leaving", "back": "active"}
AGAIN: dict[str, Callable[[Bench], object]] = {
    "last": lambda b: b.users.enforce_dates(CLOCK),
    "first": lambda b: b.users.enforce_dates(CLOCK),
    "expire": lambda b: b.users.expire(ADMIN, "ashu"),
    "leave": lambda b: b.users.leave(ADMIN, "ashu"),
    "back": lambda b: b.users.set(ADMIN, "ashu", expires=None),
}


@pytest.mark.parametrize("action", list(PREPARE))
def test_kill_between_the_steps(tmp_path: Path, action: str) -> None:
    """kill -9 at every step of every change of state: after the next start and one more run it is as if nothing had happened."""
    files = [Path("/etc") / name for name in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")]
    pristine = [(f, f.read_bytes()) for f in files if f.exists()]
    for number in range(20):
        place = tmp_path / str(number)
        place.mkdir()
        bench = Bench(place)
        PREPARE[action](bench)
        bench.database.close()
        done = subprocess.run([sys.executable, "-c", SCRIPT, str(place), action, str(number)], check=False, cwd=ROOT, timeout=60)
        assert done.returncode in (0, -signal.SIGKILL)
        bench.days = 1 if action in ("last", "first") else 0
        bench.open()
        bench.users.recover()
        assert bench.open_records() == []
        closed = bench.users.show("ashu").state != "active"
        assert bench.accounts.is_locked("ashu") == (closed and states(bench)["ashu"] != "active")
        AGAIN[action](bench)
        assert set(states(bench).values()) == {AFTER[action]}
        assert all(not view.drift for view in bench.users.list())
        assert is_clean()
        for file, content in pristine:
            file.write_bytes(content)
        subprocess.run(["rm", "-rf", "/home/ashu", "/home/rohit"], check=True)
        bench.database.close()
        if done.returncode == 0:
            assert number > 2
            return
    raise AssertionError("more steps than expected")


def test_errors_say_what_to_do(dated: Bench) -> None:
    """An account that is another one on the host is not touched."""
    dated.users.add(ADMIN, "ashu")
    subprocess.run(["userdel", "ashu"], check=True)
    with pytest.raises(Conflict, match="user show ashu"):
        dated.users.expire(ADMIN, "ashu")
    with pytest.raises(NotFound):
        dated.users.leave(ADMIN, "nosuch")
    with pytest.raises(HostadminError):
        dated.users.unlock(ADMIN, "nosuch")
    assert dated.users.leave(ADMIN, "ashu").state == str(UserState.LEAVING)
