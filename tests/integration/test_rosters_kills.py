"""A class cut off by kill -9 at every step: before and after every program, before and after every write of the ledger.

Each step is killed once, in a process of its own that has the whole service of rosters and cohorts. After a restart, one
more run comes to the state of a run that nothing has cut off; and, from the same kill, ``--undo`` to the state before.
``HOSTADMIN_TEST_KILLS=20`` plays it with twenty users instead of a few.
"""

import ctypes
import fcntl
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

import hostadmin.users.applying
from hostadmin.host import programs
from hostadmin.host.vault import Vault
from hostadmin.store import audit, plans
from hostadmin.store.database import Database
from hostadmin.users.changing import Changing
from hostadmin.users.cohorts import Cohorts
from hostadmin.users.context import Keeping
from hostadmin.users.renewal import Renewal
from hostadmin.users.rosters import Rosters
from hostadmin.users.sheets import Sheets
from hostadmin.users.steps import fingerprint
from tests.integration.accounts import ADMIN, FILES, Bench, is_clean
from tests.integration.classes import GROUPS, as_csv, host_state, judge_same, make_hash, make_key, students, unordered
from tests.integration.stage import until

COUNT: Final = int(os.environ.get("HOSTADMIN_TEST_KILLS", "3"))
SOME: Final = 1 if COUNT > 3 else 4  # of the places where the others have shown the same
CHUNK: Final = max(2, COUNT * 2 // 5)
pytestmark = [pytest.mark.host, pytest.mark.timeout(7200 if COUNT > 3 else 600), pytest.mark.usefixtures("pristine_accounts")]
PLACE: Final = Path("/run/kills")
KEPT: Final = Path("/run/kills-kept")
COHORT: Final = "killed"
TODAY: Final = datetime.now(tz=UTC).date()


class Holdings:
    """Stands for what a class holds at the engine: nothing."""

    host = "docker-host"

    def holdings(self, members: Sequence[Any]) -> Sequence[dict[str, Any]]:
        """Return a row per member."""
        return [{"login": user.login, "containers": [], "networks": [], "volumes": [], "images": 0, "removed": False} for user in members]


class NoResets:
    """Stands for resets: there was none."""

    def end_grace(self, _tx: Any, _cohort_id: str) -> None:
        """Do nothing."""

    def purge(self, _moment: datetime) -> int:
        """Do nothing."""
        return 0


class Service(Bench):
    """The service of rosters and cohorts on a ledger of its own, as the next start finds it."""

    def __init__(self) -> None:
        super().__init__(PLACE, Keeping(archives=str(PLACE / "homes")))

    def open(self) -> None:
        """Open everything as a new run of the service does."""
        super().open()
        context, vault = self.users.context, Vault(PLACE / "secrets")
        sheets = Sheets(vault)
        self.rosters = Rosters(context, self.users, vault, sheets)
        renewal = Renewal(context, Changing(context, self.users))
        self.cohorts = Cohorts(
            context, self.users, sheets, renewal, Holdings(), NoResets(), socket="", guard="", forget=self.rosters.forget
        )  # type: ignore[arg-type]
        self.sheets = sheets

    def restart(self) -> None:
        """Do what a start does with what an earlier run has left."""
        self.users.recover()
        self.journal.close_left_open()

    def apply(self, roster: bytes) -> None:
        """Plan and apply."""
        plan = self.rosters.plan(roster, f"{COHORT}.csv")
        if plan["steps"]:
            self.rosters.apply(ADMIN, plan["id"])

    def undo(self) -> None:
        """Take back the newest plan of which anything was done."""
        begun = self.rosters.find_begun(COHORT)
        if begun is not None:
            self.rosters.undo(ADMIN, begun)

    def end(self) -> None:
        """End the class, if it has not ended."""
        if self.cohorts.list():
            self.cohorts.end(ADMIN, COHORT)


# -- where it is killed -----------------------------------------------------------------------------------


class Places:
    """Names every place at which a run can be cut off, and cuts it off at one of them.

    Args:
        service: whose run.
        at: the place; ``None``: go through and note all of them.

    """

    def __init__(self, service: Service, at: str | None) -> None:
        self.at = at
        self.seen: list[str] = []
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._local = threading.local()
        service.tools.before = lambda argv: self.pass_by(f"before {_tool(argv)}")
        service.tools.after = lambda argv: self.pass_by(f"after {_tool(argv)}")
        self._hook_writes(service.database)

    def pass_by(self, name: str) -> None:
        """Note a place, and kill this process if it is the one."""
        with self._lock:
            self._counts[name] += 1
            place = f"{name} ({self._counts[name]})"
            self.seen.append(place)
            if place == self.at:
                os.kill(os.getpid(), signal.SIGKILL)

    def _hook_writes(self, database: Database) -> None:
        submit, append, set_step, store = database.submit, audit.append, plans.set_step, plans.store

        def named(work: Callable[[Any], Any]) -> Any:
            words: list[str] = []

            def inside(tx: Any) -> Any:
                self._local.words = words
                result = work(tx)
                self.pass_by(f"before the commit of {' and '.join(words) or 'a row'}")
                return result

            future = submit(inside)
            future.add_done_callback(lambda _: self.pass_by(f"after the commit of {' and '.join(words) or 'a row'}"))
            return future

        def appended(tx: Any, values: dict[str, Any]) -> int:
            self._local.words.append(f"{values['stage']} {values['action']} {values['object_name']}")
            return append(tx, values)

        def stepped(tx: Any, plan_id: str, ref: str, status: str, message: str = "", *, action: str | None = None) -> None:
            self._local.words.append(f"step {ref} {status}")
            set_step(tx, plan_id, ref, status, message, action=action)

        def stored(*given: Any) -> Any:
            self._local.words.append("a plan")
            return store(*given)

        database.submit = named  # type: ignore[method-assign]
        audit.append, plans.set_step, plans.store = appended, stepped, stored  # type: ignore[assignment]


def _tool(argv: Sequence[str]) -> str:
    """Return the name of a start of a program that is the same in every run."""
    if argv[0] in ("tar", "du"):
        return f"{argv[0]} {Path(argv[-1]).name}"
    return f"{argv[0]} {argv[-1]}" if argv[0].startswith(("user", "group")) else argv[0]


@pytest.fixture(scope="module", autouse=True)
def adopting() -> Iterator[None]:
    """Whoever loses a parent is a child of ours from then on (prctl(2))."""
    prctl, subreaper = ctypes.CDLL(None, use_errno=True).prctl, 36
    assert prctl(subreaper, 1, 0, 0, 0) == 0
    yield
    assert prctl(subreaper, 0, 0, 0, 0) == 0


def run_apart(act: Callable[[Service], object], at: str | None) -> list[str]:
    """Run something of the service in a process of its own, killed at a place; return the places that it came by."""
    report = Path("/run/kills-report")
    pid = os.fork()
    if pid == 0:
        try:
            hostadmin.users.applying.CHUNK = CHUNK  # type: ignore[misc]
            service = Service()
            places = Places(service, at)
            act(service)
            report.write_text("\n".join(places.seen))
            os._exit(0)
        except BaseException:
            traceback.print_exc(file=sys.stderr)
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == (0 if at is None else -signal.SIGKILL), (status, at)
    await_left_over()
    return report.read_text().splitlines() if at is None else []


def await_left_over() -> None:
    """See that nothing of a killed run goes on: a copy of the host is taken now, which must not change meanwhile.

    What it was just starting has no environment yet that tells whose it is; it has come to us, as a child. See also the last test.
    """
    while children := Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split():
        programs.await_orphans()
        for child in children:
            os.waitpid(int(child), os.WNOHANG)
        time.sleep(0.002)


# -- what there is ------------------------------------------------------------------------------------------


class Kept:
    """A copy of host and ledger, to which the host can be brought back.

    Args:
        name: tells it from others.

    """

    def __init__(self, name: str) -> None:
        self.folder = KEPT / name
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "etc").mkdir(parents=True)
        for file in FILES:
            if file.exists():
                shutil.copy2(file, self.folder / "etc")
        subprocess.run(["cp", "-a", "/home", str(PLACE), str(self.folder)], check=True)

    def bring_back(self) -> None:
        """Make the host what it was."""
        for file in FILES:
            kept = self.folder / "etc" / file.name
            if kept.exists():
                file.write_bytes(kept.read_bytes())
        for lock in Path("/etc").glob("*.lock"):
            lock.unlink(missing_ok=True)
        shutil.rmtree(PLACE, ignore_errors=True)
        for entry in os.scandir("/home"):
            shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)
        subprocess.run(["cp", "-a", f"{self.folder}/home/.", "/home"], check=True)
        subprocess.run(["cp", "-a", f"{self.folder}/{PLACE.name}", str(PLACE)], check=True)


def without_salts(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a host's state in which order and made-up hashes do not count."""
    found = unordered(state)
    for name in FILES:
        if (content := found.get(name.name)) is not None:
            lines = [line.split(":") for line in content.decode().splitlines()]
            if name.name == "shadow":
                lines = [[f[0], re.sub(r"(rounds=5000\$).*", r"\1", f[1]), *f[2:]] for f in lines]
            found[name.name] = "\n".join(sorted(":".join(line) for line in lines)).encode()
    return found


def ledger() -> dict[str, Any]:
    """Return what the ledger says of accounts, numbers, cohorts and archives, by login; without ids and times."""
    columns = "login, uid, gid, u.name, mail, u.profile, u.state, u.starts, expires, docker, groups, keys, password_print, adopted, managed"
    with sqlite3.connect(PLACE / "ledger.db") as database:
        rows = database.execute(
            f"select {columns}, c.name, c.state, position, subid_first, subnet, first, last, "  # noqa: S608  # ours
            "(select count(*) from home_archives a where a.user_id = u.id) from users u left join cohorts c on c.id = u.cohort_id "
            "left join numbers n on n.user_id = u.id left join port_blocks p on p.user_id = u.id order by login, u.created_at"
        ).fetchall()
        cohorts = database.execute("select name, profile, starts, ends, state from cohorts order by created_at").fetchall()
        intents = database.execute("select * from audit_open").fetchall()
        unanswered = database.execute(
            "select action, object_name from audit_records i where stage = 'intent' "
            "and not exists (select 1 from audit_records o where o.of_seq = i.seq)"
        ).fetchall()
    return {"users": rows, "cohorts": cohorts, "open": intents, "unanswered": unanswered}


def judge_bijection(service: Service) -> None:
    """No account without its row, no row without its account."""
    with sqlite3.connect(PLACE / "ledger.db") as database:
        known = dict(database.execute("select login, uid from users where removed_at is null and managed").fetchall())
    on_host = {a.login: a.uid for a in service.accounts.all().values() if a.login.startswith("stud")}
    assert on_host == known
    assert {h for h in os.listdir("/home") if h.startswith("stud")} == set(known)


@pytest.fixture(scope="module")
def roster() -> bytes:
    """A class with all that a row can have."""
    rows, hashed = students(COUNT), make_hash("Planted#hash1")
    for number, row in enumerate(rows):
        row["expires"] = (TODAY + timedelta(days=30 + number)).isoformat()
        row["docker"] = "no" if number % 3 == 2 else "yes"
        if number % 4 == 1:
            row["password hash"] = hashed
        if number % 2 == 0:
            row |= {"ssh key": make_key(row["login"]), "groups": "pythonists"}
        if number % 4 == 2:
            row["starts"] = (TODAY + timedelta(days=3)).isoformat()
    return as_csv(rows).encode()


@pytest.fixture
def empty(pristine_accounts: None) -> Iterator[Kept]:
    """A host with an empty ledger."""
    subprocess.run(["groupadd", "--force", "--system", "docker"], check=True)
    for group, gid in GROUPS.items():
        subprocess.run(["groupadd", "--force", "--gid", str(gid), group], check=True)
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    hostadmin.users.applying.CHUNK = CHUNK  # type: ignore[misc]
    close(Service())
    yield Kept("empty")
    shutil.rmtree(PLACE)
    shutil.rmtree(KEPT)


def close(service: Service) -> None:
    """Close a service's ledger."""
    service.database.close()


def restarted(kept: Kept, act: Callable[[Service], object]) -> Service:
    """Bring a cut-off host back, start the service anew, do something; the ledger is closed again."""
    kept.bring_back()
    service = Service()
    service.restart()
    judge_bijection(service)
    act(service)
    judge_bijection(service)
    close(service)
    assert is_clean()
    found = ledger()
    assert (found["open"], found["unanswered"]) == ([], [])
    return service


# -- the scenarios -----------------------------------------------------------------------------------------


def test_an_apply_killed_at_every_step(empty: Kept, roster: bytes) -> None:
    """Run again: as if nothing had happened, with a password on every card. Taken back: byte for byte as before."""
    before = host_state()
    places = run_apart(lambda s: s.apply(roster), None)
    whole, rows = without_salts(host_state()), ledger()
    assert len(rows["users"]) == COUNT
    for place in places:
        empty.bring_back()
        run_apart(lambda s: s.apply(roster), place)
        cut = Kept("cut")
        try:
            service = restarted(cut, lambda s: s.apply(roster))
            judge_same(whole, without_salts(host_state()))
            assert ledger() == rows
            judge_cards(service, roster)
            restarted(cut, Service.undo)
            judge_same(before)
        except AssertionError as error:
            raise AssertionError(f"killed {place}: {error}") from error


def judge_cards(service: Service, roster: bytes) -> None:
    """Everybody without a hash of their own has a password that waits and is in force."""
    shadows = service.accounts.shadows()
    kept = Vault(PLACE / "secrets").get("cards", next(iter(_cohorts()))) or {}
    made = {line.split(",")[0] for line in roster.decode().splitlines()[1:] if "$6$" not in line}
    assert {login for login, entry in kept.items() if entry["print"] == fingerprint(shadows[login].hashed)} == made


def _cohorts() -> list[str]:
    with sqlite3.connect(PLACE / "ledger.db") as database:
        return [row[0] for row in database.execute("select id from cohorts where state != 'ended'")]


def test_a_change_killed_at_every_step(empty: Kept, roster: bytes) -> None:
    """Run again: changed. Taken back: as before the change."""
    changed = roster.decode().replace("pythonists", "linuxers").replace("Student 1 ", "Renamed 1 ").replace(",no,", ",yes,")
    changed = "\n".join([*changed.splitlines()[:-1], changed.splitlines()[1].replace("001", "901")]) + "\n"  # one leaves, one joins
    run_apart(lambda s: s.apply(roster), None)
    applied, before, first = Kept("applied"), without_salts(host_state()), _newest()
    places = run_apart(lambda s: s.apply(changed.encode()), None)
    whole, rows = without_salts(host_state()), ledger()
    assert whole != before
    for place in places[::SOME]:
        applied.bring_back()
        run_apart(lambda s: s.apply(changed.encode()), place)
        cut = Kept("cut")
        try:
            restarted(cut, lambda s: s.apply(changed.encode()))
            judge_same(whole, without_salts(host_state()))
            assert ledger() == rows
            restarted(cut, lambda s: s.undo() if s.rosters.find_begun(COHORT) != first else None)
            judge_same(before, without_salts(host_state()))
        except AssertionError as error:
            raise AssertionError(f"killed {place}: {error}") from error


def _newest() -> str:
    with sqlite3.connect(PLACE / "ledger.db") as database:
        return str(database.execute("select id from plans where kind = 'roster' order by id desc").fetchone()[0])


@pytest.mark.parametrize("act", [Service.end, Service.undo], ids=["end", "undo"])
def test_an_end_killed_at_every_step(empty: Kept, roster: bytes, act: Callable[[Service], None]) -> None:
    """Run again: byte for byte as before the class; every home is in one archive, complete; the tombstones are there."""
    before = host_state()
    run_apart(lambda s: s.apply(roster), None)
    for home in Path("/home").glob("stud*"):
        (home / "work").write_text(f"work of {home.name}")
    applied = Kept("applied")
    places = run_apart(act, None)
    judge_same(before)
    rows = ledger()
    for place in places[:: SOME if act is Service.undo else 1]:
        applied.bring_back()
        run_apart(act, place)
        cut = Kept("cut")
        try:
            restarted(cut, act)
            judge_same(before)
            assert ledger() == rows
            judge_archives()
        except AssertionError as error:
            raise AssertionError(f"killed {place}: {error}") from error


def judge_archives() -> None:
    """One archive a student, known to the ledger, with the right checksum and the student's work; nothing else lies there."""
    with sqlite3.connect(PLACE / "ledger.db") as database:
        known = database.execute("select u.login, path from home_archives a join users u on u.id = a.user_id").fetchall()
    assert sorted(login for login, _ in known) == [f"stud{n:03}" for n in range(1, COUNT + 1)]
    lying = {f.name for f in (PLACE / "homes").iterdir()}
    assert lying == {name for _, path in known for name in (Path(path).name, f"{Path(path).name}.sha256")}
    sums = [f"{Path(path).name}.sha256" for _, path in known]
    subprocess.run(["sha256sum", "--check", "--quiet", *sums], cwd=PLACE / "homes", check=True)
    for login, path in known:
        done = subprocess.run(["tar", "-xzOf", path, f"./{login}/work"], capture_output=True, text=True, check=True)
        assert done.stdout == f"work of {login}"


def test_a_tool_that_goes_on_after_the_service_is_waited_for(empty: Kept, roster: bytes) -> None:
    """The service is killed while useradd waits for somebody's lock: the next start judges only when that has ended."""
    before = host_state()
    with open("/etc/.pwd.lock", "w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        pid = os.fork()
        if pid == 0:
            Service().apply(roster)
            os._exit(0)
        until("a useradd waits", lambda: "useradd" in _commands())
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert "useradd" in _commands(), "it goes on"
        threading.Timer(1.5, fcntl.lockf, (lock, fcntl.LOCK_UN)).start()
        started = time.monotonic()
        service = Service()
        service.restart()
        assert time.monotonic() - started > 1
    assert "useradd" not in _commands()
    judge_same(before)
    judge_bijection(service)
    service.apply(roster)
    judge_bijection(service)
    close(service)


def _commands() -> list[str]:
    lines = subprocess.run(["ps", "-eo", "stat=,comm="], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.split()[1] for line in lines if not line.startswith("Z")]
