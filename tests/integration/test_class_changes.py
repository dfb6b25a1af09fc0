"""What applying, taking back and ending a class leaves alone: what people and administrators have done by hand."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from passlib.hash import sha512_crypt

from hostadmin.core.errors import Conflict, Failed, NotFound
from hostadmin.core.values import UserState, system_actor
from hostadmin.engine.client import Engine
from hostadmin.host.vault import MemoryVault
from hostadmin.objects.holdings import Holdings
from hostadmin.objects.resets import Resets
from hostadmin.policy import profiles
from hostadmin.store import cohorts, facts, plans, resets, users
from hostadmin.store.plans import Step
from hostadmin.users.applying import HASHES
from hostadmin.users.changing import Changing
from hostadmin.users.classroom import Classroom
from hostadmin.users.cohorts import Cohorts
from hostadmin.users.renewal import Renewal, draw
from hostadmin.users.rosters import Rosters
from hostadmin.users.sheets import Sheets
from tests.integration.accounts import ADMIN, Bench, shadow_line

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("pristine_accounts")]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI"
FILE = "linux.csv"


class Room:
    """A bench with the services of whole classes; no engine answers."""

    def __init__(self, bench: Bench, place: Path) -> None:
        self.bench = bench
        self.context = bench.users.context
        self.vault = MemoryVault()
        self.sheets = Sheets(self.vault)
        known = profiles.load(bench.profiles, "student")
        engine = Engine(str(place / "no.sock"))
        self.resets = Resets(bench.database, bench.journal, engine, directory=place / "resets", hours=1)
        self.rosters = Rosters(self.context, bench.users, self.vault, self.sheets)
        self.changing = Changing(self.context, bench.users)
        self.renewal = Renewal(self.context, self.changing)
        self.classroom = Classroom(bench.database, engine, Holdings(bench.database, engine, known, ""))
        self.cohorts = Cohorts(
            self.context,
            bench.users,
            self.sheets,
            self.renewal,
            self.classroom,
            self.resets,
            socket="/run/docker.sock",
            guard="",
            forget=self.rosters.forget,
        )

    def plan(self, text: str, **more: Any) -> dict[str, Any]:
        """Plan a roster."""
        return self.rosters.plan(text.encode(), FILE, **more)

    def apply(self, text: str, **more: Any) -> dict[str, Any]:
        """Plan a roster and carry the plan out."""
        return self.rosters.apply(ADMIN, self.plan(text, **more)["id"])

    def row(self, login: str) -> users.User:
        """Return the living row of a login."""
        found = self.bench.row(login)
        assert found is not None
        return found


@pytest.fixture
def room(bench: Bench, tmp_path: Path) -> Iterator[Room]:
    for group in ("docker", "team", "lab"):
        subprocess.run(["groupadd", "--force", *(["--system"] if group == "docker" else []), group], check=True)
    yield Room(bench, tmp_path)


def groups_of(login: str) -> set[str]:
    return set(subprocess.run(["id", "-nG", login], capture_output=True, text=True, check=True).stdout.split()) - {login}


def keys_of(login: str) -> list[str]:
    file = Path(f"/home/{login}/.ssh/authorized_keys")
    return file.read_text().splitlines() if file.exists() else []


def set_keys(room: Room, login: str, *lines: str) -> None:
    """Write a person's own keys."""
    user = room.row(login)
    folder = Path(f"/home/{login}/.ssh")
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "authorized_keys").write_text("".join(f"{line}\n" for line in lines))
    subprocess.run(["chown", "-R", f"{user.uid}:{user.gid}", str(folder)], check=True)


# -- taking back ----------------------------------------------------------------------------------


def test_what_was_given_by_hand_is_there_after_an_undo(room: Room) -> None:
    """Groups and keys that somebody had before a roster gave them, too."""
    room.apply("login\nashu\n")
    subprocess.run(["usermod", "-aG", "team", "ashu"], check=True)
    set_keys(room, "ashu", f'command="echo ssh-rsa" {KEY} mine')
    done = room.apply(f"login,groups,ssh key\nashu,team lab,{KEY}\n")
    assert groups_of("ashu") == {"docker", "team", "lab"}
    assert keys_of("ashu") == [f'command="echo ssh-rsa" {KEY} mine']
    room.rosters.undo(ADMIN, done["id"])
    assert groups_of("ashu") == {"docker", "team"}
    assert keys_of("ashu") == [f'command="echo ssh-rsa" {KEY} mine']
    assert (room.row("ashu").groups, room.row("ashu").keys) == ((), ())


def test_an_undo_takes_back_what_no_ledger_knows_yet(room: Room) -> None:
    """Killed between the tools and the outcome of a change: memberships and keys are there, the ledger knows nothing of them."""
    room.apply("login\nashu\n")
    plan = room.plan(f"login,groups,ssh key\nashu,lab,{KEY}\n")
    room.bench.database.write(lambda tx: plans.set_step(tx, plan["id"], "ashu", "begun"))
    subprocess.run(["usermod", "-aG", "lab", "ashu"], check=True)
    set_keys(room, "ashu", KEY, OTHER_KEY)
    room.rosters.undo(ADMIN, plan["id"])
    assert groups_of("ashu") == {"docker"}
    assert keys_of("ashu") == [OTHER_KEY]


def test_a_last_day_that_was_over_is_over_again(room: Room) -> None:
    room.apply("login,expires\nashu,2099-01-01\n")
    room.bench.users.expire(ADMIN, "ashu")
    before = room.row("ashu").expires
    done = room.apply("login,expires\nashu,2099-02-02\n")
    assert room.row("ashu").state is UserState.ACTIVE
    room.rosters.undo(ADMIN, done["id"])
    assert (room.row("ashu").state, room.row("ashu").expires) == (UserState.EXPIRED, before)
    assert shadow_line("ashu")[7] == "1"


def test_an_undo_removes_nobody_whom_the_plan_has_not_made(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """A login whose account could not be made, and that an administrator has given to somebody since."""
    create = room.bench.accounts.create

    def fail(new: Any) -> None:
        if new.login == "late":
            raise Failed("no")
        create(new)

    monkeypatch.setattr(room.bench.accounts, "create", fail)
    plan = room.plan("login\nashu\nlate\n")
    with pytest.raises(Failed):
        room.rosters.apply(ADMIN, plan["id"])
    monkeypatch.undo()
    room.bench.users.add(ADMIN, "late")
    room.rosters.undo(ADMIN, plan["id"])
    assert room.bench.row("ashu") is None
    assert room.row("late").state is UserState.ACTIVE


def test_an_adoption_that_is_taken_back_leaves_what_there_was(room: Room) -> None:
    """Containers that somebody had before hostadmin managed the account are none of the plan's making."""
    subprocess.run(["useradd", "-m", "-c", "By Hand", "-G", "docker", "byhand"], check=True)
    account = room.bench.accounts.find_local("byhand")
    assert account is not None
    room.bench.users.observe_member("byhand", account.uid, account.gid)
    done = room.apply("login,name,groups\nbyhand,On The Roster,lab\n", adopt=True)
    assert groups_of("byhand") == {"docker", "lab"}
    room.rosters.undo(ADMIN, done["id"])
    assert room.bench.removed_of == []
    assert room.bench.accounts.find_local("byhand") == account
    assert groups_of("byhand") == {"docker"}
    assert room.row("byhand").managed is False
    assert room.cohorts.list() == []


def test_the_cohort_stays_while_somebody_of_it_is_left(room: Room) -> None:
    """An undo that could not remove everybody is run again; only then the cohort goes."""
    done = room.apply("login\nashu\ndev\n")
    dev = room.row("dev").id
    room.bench.owned[dev] = ["container c1: it does not go"]
    with pytest.raises(Failed):
        room.rosters.undo(ADMIN, done["id"])
    assert [c["name"] for c in room.cohorts.list()] == ["linux"]
    assert room.row("dev").state is UserState.LEAVING
    room.bench.owned.clear()
    taken = room.rosters.undo(ADMIN, done["id"])
    assert {s["status"] for s in taken["steps"]} == {"undone"}
    assert room.cohorts.list() == []
    assert room.bench.row("dev") is None


def test_every_old_password_comes_back(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several at the same time: none of those that are kept gets lost."""
    get = room.vault.get

    def slowly(kind: str, key: str) -> Any:
        found = get(kind, key)
        time.sleep(0.05)
        return found

    monkeypatch.setattr(room.vault, "get", slowly)
    logins = [f"ashu{n}" for n in range(8)]
    _, old = draw(logins)
    _, new = draw(logins)
    text = "login,password hash\n"
    room.apply(text + "".join(f"{login},{old[login]}\n" for login in logins))
    done = room.apply(text + "".join(f"{login},{new[login]}\n" for login in logins))
    assert {login: shadow_line(login)[1] for login in logins} == new
    room.rosters.undo(ADMIN, done["id"])
    assert {login: shadow_line(login)[1] for login in logins} == old


def test_an_error_of_any_kind_has_an_outcome(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that fails with an error nobody thought of: told like the others, and nothing stays open."""
    room.apply("login,mail\nashu,a@b.example\ndev,\n")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(room.rosters._applying._changing, "change", fail)
    with pytest.raises(Failed, match="1 step failed.*Input/output error"):
        room.apply("login,mail\nashu,c@d.example\ndev,\n")
    assert room.bench.open_records() == []


def test_files_that_cannot_be_read_back_leave_no_account(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.apply("login\nashu\n")
    plan = room.plan("login\nashu\ndev\n")
    read, count = room.bench.accounts.read, iter(range(100))

    def fail() -> Any:
        if next(count) == 1:  # the first one is the look at what the plan relies on
            raise OSError(5, "Input/output error")
        return read()

    monkeypatch.setattr(room.bench.accounts, "read", fail)
    with pytest.raises(Failed, match="1 step failed"):
        room.rosters.apply(ADMIN, plan["id"])
    assert room.bench.accounts.find_local("dev") is None
    assert room.bench.open_records() == []


# -- a roster that is applied again -----------------------------------------------------------------


def test_a_password_that_was_renewed_is_not_the_rosters_any_more(room: Room) -> None:
    """Somebody forgot it, got a new one, and has chosen an own one: the same roster changes nothing."""
    _, hashes = draw(["ashu"])
    text = f"login,password hash\nashu,{hashes['ashu']}\n"
    room.apply(text)
    room.renewal.renew(ADMIN, "ashu")
    assert room.plan(text)["steps"] == []


def test_access_that_was_taken_is_not_given_back(room: Room) -> None:
    room.apply("login\nashu\n")
    room.bench.users.revoke(ADMIN, "ashu")
    assert room.plan("login\nashu\n")["steps"] == []
    assert [c["attribute"] for c in room.plan("login,docker\nashu,yes\n")["steps"][0]["changes"]] == ["docker"]


def test_a_plan_tells_of_homes_and_shells_that_were_changed(room: Room) -> None:
    room.apply("login\nashu\n")
    subprocess.run(["usermod", "--shell", "/bin/sh", "--home", "/home/elsewhere", "ashu"], check=True)
    plan = room.plan("login\nashu\n")
    assert plan["steps"] == []
    assert plan["warnings"][:2] == [
        "ashu: its home is /home/elsewhere, the ledger says /home/ashu; left as it is",
        "ashu: its shell is /bin/sh, it was made with /bin/bash; left as it is",
    ]


# -- passwords and cards ----------------------------------------------------------------------------


def test_a_forced_change_survives_a_kill(room: Room) -> None:
    """Killed between the new password and the forced change: the next start asks for it."""
    room.apply("login\nashu\n")
    _, hashes = draw(["ashu"])

    class Killed(BaseException):
        """Nobody catches it."""

    def kill(argv: list[str]) -> None:
        if argv[0] == "chage":
            raise Killed

    room.bench.tools.before = kill
    with pytest.raises(Killed):
        room.renewal.put(ADMIN, "ashu", hashes["ashu"])
    room.bench.tools.before = lambda _argv: None
    assert shadow_line("ashu")[1:3][0] == hashes["ashu"]
    assert shadow_line("ashu")[2] != "0"
    room.bench.journal.boot = "another"
    room.bench.users.recover()
    assert shadow_line("ashu")[2] == "0"
    assert room.bench.open_records() == []


def test_cards_are_renewed_for_those_who_wait_for_their_first_day(room: Room) -> None:
    """A class is made a week before, and the host was started anew since."""
    room.apply("login,starts\nashu,2099-01-01\n")
    room.vault.drop("cards", next(c.id for c in _all(room)))
    page = room.cohorts.cards(ADMIN, "linux", renew=True)
    assert (page["cards"], page["passwords"]) == (1, 1)
    assert shadow_line("ashu")[1].startswith("!$6$")
    assert shadow_line("ashu")[2] == "0"


def test_the_name_service_is_asked_once_for_a_class(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(type(room.classroom), "host", property(lambda _self: asked.append(1) or "host"))
    room.apply("login\nashu\ndev\nmia\n")
    assert room.cohorts.cards(ADMIN, "linux")["passwords"] == 3
    assert asked == [1]


def test_only_those_with_access_read_where_the_guard_is(room: Room) -> None:
    """What needs not be typed is named all the same; who has no access is told nothing of docker."""
    room.apply("login,docker\nashu,yes\nnatraj,no\n")
    page = room.cohorts.cards(ADMIN, "linux")["html"]
    assert page.count("unix:///run/docker.sock") == 1
    assert page.index("ssh ashu@") < page.index("unix:///run/docker.sock") < page.index("ssh natraj@")


def test_cards_that_cannot_be_made_have_an_outcome(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.apply("login\nashu\n")
    monkeypatch.setattr(room.vault, "take", lambda *_: 1 / 0)
    with pytest.raises(Failed):
        room.cohorts.cards(ADMIN, "linux")
    assert room.bench.open_records() == []


# -- the end ------------------------------------------------------------------------------------------


def _all(room: Room) -> Any:
    with room.bench.database.read() as tx:
        return cohorts.all_cohorts(tx)


def test_an_end_leaves_who_is_not_in_the_cohort_any_more(room: Room) -> None:
    room.apply("login\nashu\ndev\n")
    plan = room.cohorts.plan_end("linux")
    room.bench.users.remove(ADMIN, "ashu")
    room.bench.users.add(ADMIN, "ashu")
    room.cohorts.end(ADMIN, "linux", plan_id=plan["id"])
    assert room.bench.row("dev") is None
    assert room.row("ashu").state is UserState.ACTIVE


def test_one_class_that_cannot_end_holds_up_no_other(room: Room) -> None:
    for name in ("a-class", "b-class"):
        room.apply(f"login\n{name}\n", cohort=name, ends=room.context.today())
        room.cohorts.end_at_last_day(ADMIN, name, wanted=True)
    room.bench.owned[room.row("a-class").id] = ["container c1: it does not go"]
    room.bench.days = 1
    clock = system_actor("scheduler")
    assert room.cohorts.end_due(clock) == {"failed": ["a-class"], "ended": ["b-class"]}
    assert room.cohorts.end_due(clock) == {}, "it is not tried again at once"
    assert [c["name"] for c in room.cohorts.list()] == ["a-class"]


def test_a_reset_of_another_class_is_refused(room: Room) -> None:
    for name in ("a-class", "b-class"):
        room.apply(f"login\n{name}\n", cohort=name)
    facts = {"kind": "volume", "ref": "v", "name": "v", "owner": "b-class", "about": "", "size": 1, "note": ""}

    def store(tx: Any) -> str:
        whose = cohorts.find_name(tx, "b-class")
        assert whose is not None
        plan = plans.store(tx, "cohort.reset", [Step("volume.remove", "volume:v", facts)], {"cohort_id": whose.id})
        resets.add(tx, plan.id, 1)
        return plan.id

    plan_id = room.bench.database.write(store)
    for act in (room.cohorts.reset, room.cohorts.undo_reset):
        with pytest.raises(Conflict, match="is not one of a-class"):
            act(ADMIN, "a-class", plan_id=plan_id)


# -- plans that nobody carries out ----------------------------------------------------------


def test_a_plan_that_nobody_carries_out_is_forgotten_with_its_hashes(room: Room) -> None:
    """After a month, when the next one is made; what was carried out stays, and can be taken back."""
    done = room.apply("login\nashu\n")
    unused = room.plan(f"login,password hash\nashu,\ndev,{sha512_crypt.using(rounds=5000).hash('x')}\n")
    assert room.vault.get(HASHES, unused["id"])
    room.bench.days = 29
    assert room.rosters.show(room.plan("login\nashu\ndev\n")["id"])
    assert room.rosters.show(unused["id"])["steps"] == unused["steps"]
    room.bench.days = 31
    room.plan("login\nashu\ndev\n")
    with pytest.raises(NotFound):
        room.rosters.show(unused["id"])
    assert room.vault.get(HASHES, unused["id"]) is None
    with room.bench.database.read() as tx:
        assert not any(key.endswith(unused["id"]) for key in facts.all_under(tx, ""))
    room.rosters.undo(ADMIN, done["id"])
    assert room.bench.row("ashu") is None
