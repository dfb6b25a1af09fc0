"""Whole classes as a trainer types them: applied, changed, applied again, ended; every file as it was before."""

import stat
import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from passlib.hash import sha512_crypt

from tests.integration.accounts import commands_of, is_clean, listed, mentions, shadow_line, su
from tests.integration.classes import (
    Trainer,
    as_csv,
    as_toml,
    before,
    check_archives,
    host_state,
    judge_same,
    lines_of,
    make_hash,
    make_key,
    memberships,
    passwords_of,
    stamps,
    students,
    trainer,
    unordered,
    watched_tools,
    write,
)
from tests.integration.people import Student, process_of
from tests.integration.resetstage import images
from tests.integration.stage import STATE, until

__all__ = ["before", "trainer"]  # fixtures
pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
CLASS = 300
TODAY = datetime.now(tz=UTC).date()
SOON = (TODAY + timedelta(days=9)).isoformat()
LATER = (TODAY + timedelta(days=30)).isoformat()
SECRET = "Trainers#own42"


def expiry_of(day: str) -> str:
    """Return what shadow says so that ``day`` is the last one (``accounts.md`` 1, rule 9)."""
    return str((date.fromisoformat(day) - date(1970, 1, 1)).days + 1)


# -- a class of three hundred ---------------------------------------------------------------------


def roster_of_three_hundred(hashed: str, key: str) -> list[dict[str, str]]:
    """Return the class: every tenth with a hash of their own, every seventh with a key, every fifth in a group, and so on."""
    rows = students(CLASS)
    for number, row in enumerate(rows):
        row["docker"] = "no" if number % 20 == 19 else "yes"
        if number % 10 == 0:
            row["password hash"] = hashed
        if number % 7 == 0:
            row["ssh key"] = key
        if number % 5 == 0:
            row["groups"] = "pythonists"
        row["expires"] = SOON if number % 3 == 0 else LATER
    return rows


def change_half(rows: list[dict[str, str]], key: str) -> list[dict[str, str]]:
    """Return the roster with every second row changed, each in one of six ways."""
    changes = (
        {"name": "Renamed, Röw"},
        {"docker": "no"},
        {"groups": "linuxers"},
        {"ssh key": key},
        {"expires": (TODAY + timedelta(days=60)).isoformat()},
        {"mail": "new@example.org", "profile": "trainer"},
    )
    return [row | changes[number // 2 % len(changes)] if number % 2 == 0 else row for number, row in enumerate(rows)]


def judge_host(trainer: Trainer, rows: list[dict[str, str]], hashed: str) -> None:
    """Every row of a roster is on the host as it says, in every file, and the ledger agrees."""
    known = {user["login"]: user for user in trainer.ask("user", "list")}
    uids = set()
    for row in rows:
        login, lines = row["login"], lines_of(row["login"])
        assert {name: len(found) for name, found in lines.items()} == {name: 0 if name.startswith("sub") else 1 for name in lines}, login
        _, _, uid, gid, comment, home, shell = lines["passwd"][0].split(":")
        assert (uid, comment, home, shell) == (gid, row["name"].replace(",", " "), f"/home/{login}", "/bin/bash")
        assert lines["group"] == [f"{login}:x:{gid}:"]
        uids.add(uid)
        groups = {*([row["groups"]] if row.get("groups") else []), *(["docker"] if row["docker"] == "yes" else [])}
        assert memberships(login) == {"group": groups, "gshadow": groups}
        shadow = lines["shadow"][0].split(":")
        assert shadow[7] == expiry_of(row["expires"])
        assert (shadow[1] == hashed) == ("password hash" in row)
        assert (shadow[2] == "0") == ("password hash" not in row), "whose password was made here must choose another"
        found = Path(home).stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (int(uid), int(gid), 0o700)
        keys = Path(home, ".ssh/authorized_keys")
        assert (keys.read_text() if keys.exists() else "") == (f"{row['ssh key']}\n" if row.get("ssh key") else "")
        user = known[login]
        assert (user["state"], user["docker"], user["drift"], str(user["uid"])) == ("active", row["docker"] == "yes", [], uid)
    assert len(uids) == len(rows)
    assert is_clean()


def judge_reset(trainer: Trainer, cohort: str, logins: tuple[str, ...]) -> None:
    """What students of a class have at the engine goes, their names are free at once, and no account is touched by it."""
    assert trainer.engine is not None
    eye, accounts = trainer.engine.eye, host_state()
    for login in logins:
        student = Student(login)
        student.ok("network", "create", f"{login}br1")
        student.ok("run", "-itd", "--name", f"{login}c1", "--network", f"{login}br1", "-v", f"{login}v:/v", "alpine")
    said = trainer.ok("cohort", "reset", cohort, "--yes")
    assert f"{len(logins)} containers, {len(logins)} networks, {len(logins)} volumes of {len(logins)} users" in said
    assert (eye.containers(), eye.networks(), eye.volumes()) == ({}, {}, set())
    for login in logins:
        student = Student(login)
        assert [student.ok(*call) for call in (("ps", "-aq"), ("volume", "ls", "-q"))] == ["", ""]
        student.ok("run", "-d", "--name", f"{login}c1", "alpine", "sleep", "1000")
    judge_same(accounts)


def test_a_class_of_three_hundred(trainer: Trainer, before: dict[str, Any]) -> None:
    """Applied, changed, applied again without a step, carded, reset, ended: every file as it was before; archives and tombstones stay."""
    hashed, key, other = make_hash(SECRET), make_key("first"), make_key("second")
    rows = roster_of_three_hundred(hashed, key)
    file = write("python.csv", as_csv(rows))
    assert f"{CLASS} to create, 0 unchanged" in trainer.ok("roster", "plan", str(file))
    judge_same(before)
    done = trainer.apply(file)
    assert (done["counts"], {s["status"] for s in done["steps"]}) == ({"cohort": 1, "create": CLASS}, {"done"})
    judge_host(trainer, rows, hashed)
    assert all(stat.S_IMODE(f.stat().st_mode) == 0o600 for f in Path("/home").glob("stud*/.ssh/authorized_keys"))

    changed = change_half(rows, other)
    file = write("python.csv", as_csv(changed))
    done = trainer.apply(file)
    assert (done["counts"], done["unchanged"]) == ({"change": CLASS // 2}, CLASS // 2)
    judge_host(trainer, changed, hashed)

    written, records = stamps(), trainer.last_record()
    with watched_tools() as log:
        assert "300 users are as the roster says; nothing to do" in trainer.ok("roster", "apply", str(file), "--yes")
        assert trainer.ask("roster", "plan", str(file))["steps"] == []
    assert (log.read_text(), stamps(), trainer.changes(records)) == ("", written, [])

    passwords = trainer.cards("python")
    assert set(passwords) == {row["login"] for row in rows if "password hash" not in row}
    assert len(set(passwords.values())) == len(passwords)
    for login in ("stud002", "stud300"):
        assert sha512_crypt.verify(passwords[login], shadow_line(login)[1])
    assert su("stud001", SECRET), "the hash of the roster opens"
    assert "handed out already" in trainer.refused("cohort", "cards", "python", "-o", "again.html")
    assert not Path("/mnt/rosters/again.html").exists()

    assert trainer.engine is not None
    there = images(trainer.engine)
    judge_reset(trainer, "python", ("stud002", "stud004", "stud006"))
    Path("/home/stud001/work.txt").write_text("all of it")
    numbers = {row["login"]: trainer.ledger(row["login"]) for row in rows}
    assert f"{CLASS} users removed" in trainer.ok("cohort", "end", "python", "--yes")
    judge_same(before)
    assert images(trainer.engine) == there, "what the reset has kept is nobody's any more"
    assert list((STATE / "db" / "resets").iterdir()) == []
    view = trainer.ask("cohort", "show", "python")
    assert (view["state"], view["students"]) == ("ended", [])
    archives = check_archives(view)
    assert set(archives) == set(numbers)
    kept = subprocess.run(["tar", "-xzOf", archives["stud001"], "./stud001/work.txt"], capture_output=True, text=True, check=True)
    assert kept.stdout == "all of it"
    stones = {row["login"]: trainer.ledger(row["login"]) for row in rows}
    for name in ("uid", "gid", "position", "subnet", "first", "last", "subid_first"):
        assert [s[name] for s in stones.values()] == [n[name] for n in numbers.values()]
        assert len({s[name] for s in stones.values()}) == CLASS, name
    assert {(s["state"], s["removed_at"] is not None) for s in stones.values()} == {("removed", True)}
    assert mentions("stud001") == []


# -- who comes back, comes late, goes early ---------------------------------------------------------


def test_a_returning_student_gets_the_same_numbers_back(trainer: Trainer, before: dict[str, Any]) -> None:
    """After the end of a class nobody gets its numbers but those who had them, in another class too."""
    first = write("spring.csv", as_csv(students(3, prefix="back")))
    trainer.apply(first)
    names = ("id", "uid", "gid", "position", "subnet", "first", "last", "subid_first")
    had = {login: {n: trainer.ledger(login)[n] for n in names} for login in ("back001", "back002", "back003")}
    trainer.ok("cohort", "end", "spring", "--yes")
    judge_same(before)
    trainer.apply(write("summer.csv", as_csv(students(3, prefix="fresh"))))
    for number in range(1, 4):
        fresh = trainer.ledger(f"fresh{number:03}")
        for name in ("id", "uid", "position", "subnet", "first"):
            assert fresh[name] not in {old[name] for old in had.values()}, name
    plan = trainer.ask("roster", "plan", str(write("autumn.csv", as_csv(students(4, prefix="back")[::-1]))))
    assert {s["login"]: bool(s["notes"]) for s in plan["steps"] if s["action"] == "create"} == {
        "back004": False,
        "back003": True,
        "back002": True,
        "back001": True,
    }
    trainer.apply(Path("autumn.csv"))
    assert {login: {n: trainer.ledger(login)[n] for n in names} for login in had} == had
    assert trainer.ledger("back004")["uid"] not in {old["uid"] for old in had.values()}
    assert not Path("/home/back001/work.txt").exists()
    assert trainer.ask("cohort", "show", "autumn")["archives"] == [], "those of spring are of spring"
    trainer.ok("cohort", "end", "autumn", "--yes")
    kept = [row["login"] for row in trainer.ask("cohort", "show", "autumn")["archives"]]
    assert sorted(kept) == ["back001", "back002", "back003", "back004"]


def test_who_joins_late_and_who_leaves(trainer: Trainer, before: dict[str, Any]) -> None:
    """A leaver has no access at once and keeps everything; a joiner changes nobody else; the old roster brings the leaver back."""
    key, hashed = make_key("leaver"), make_hash(SECRET)
    rows = students(3, prefix="mate")
    rows[2] |= {"ssh key": key, "password hash": hashed}
    first = as_csv(rows)
    trainer.apply(write("mates.csv", first))
    leaver = Student("mate003")
    leaver.ok("run", "-d", "--name", "mate003work", "alpine", "sleep", "1000")
    Path("/home/mate003/work").write_text("mine")
    uid = trainer.ledger("mate003")["uid"]
    process = subprocess.Popen(**process_of("mate003", ["sleep", "1000"]))
    others = lines_of("mate001"), lines_of("mate002")

    second = as_csv([*rows[:2], *students(1, prefix="mate", first=4)], columns=("login", "name", "mail", "ssh key", "password hash"))
    plan = trainer.ask("roster", "plan", str(write("mates.csv", second)))
    assert [(s["action"], s["login"]) for s in plan["steps"]] == [("create", "mate004"), ("leave", "mate003")]
    assert "owns 1 containers, 1 processes" in plan["steps"][1]["notes"][0]
    trainer.apply(Path("mates.csv"))
    assert (lines_of("mate001"), lines_of("mate002")) == others
    assert process.wait(60) != 0
    assert not any("sleep" in command for command in commands_of(uid) if "1000" not in command)
    assert not su("mate003", SECRET)
    assert leaver.docker("ps").returncode == 1
    assert shadow_line("mate003")[1:3:6] == [f"!{hashed}"]
    assert shadow_line("mate003")[7] == "1"
    assert Path("/home/mate003/work").read_text() == "mine"
    assert Path("/home/mate003/.ssh/authorized_keys").read_text() == f"{key}\n"
    assert trainer.hostadmin.ask("container", "list", "--owner", "mate003")[0]["name"] == "mate003work"
    assert {s["login"]: s["state"] for s in trainer.ask("cohort", "show", "mates")["students"]}["mate003"] == "leaving"
    assert trainer.ask("roster", "apply", "mates.csv", "--yes")["steps"] == []

    trainer.apply(write("mates.csv", first))
    assert trainer.ledger("mate003")["state"] == "active"
    assert trainer.ledger("mate003")["uid"] == uid
    assert su("mate003", SECRET)
    until("docker is back", lambda: leaver.docker("ps").returncode == 0)
    assert "mate003work" in leaver.ok("ps", "-a", "--format", "{{.Names}}")
    assert trainer.ledger("mate004")["state"] == "leaving", "the joiner is not on the old roster"


def test_suggested_logins_stay_whose_they_are(trainer: Trainer, before: dict[str, Any]) -> None:
    """Logins made from names: the second run finds them again, whatever the order and whoever comes in between."""
    names = ["Ashu Kumar", "Jürgen Müller", "Ashu Kumar", "Łukasz Żółć", "Root"]
    mails = ["a@example.org", "", "b@example.org", "", ""]
    rows = [{"name": name, "mail": mail} for name, mail in zip(names, mails, strict=True)]
    done = trainer.apply(write("names.csv", as_csv(rows)))
    logins = {s["login"]: s["name"] for s in done["steps"] if s["action"] == "create"}
    assert list(logins.values()) == names
    assert {"akumar", "akumar2", "root2"} <= set(logins)
    assert all(login.isascii() and login.islower() for login in logins)
    assert trainer.apply(Path("names.csv"))["steps"] == []
    more = [{"name": "Asha Kumar", "mail": ""}, *rows[::-1]]
    done = trainer.apply(write("names.csv", as_csv(more)))
    assert [(s["action"], s["login"]) for s in done["steps"]] == [("create", "akumar3")]


# -- the forms of a roster ---------------------------------------------------------------------------


def forms(rows: list[dict[str, str]]) -> dict[str, tuple[str, bytes]]:
    """Return one class in every form that a file may have."""
    plain = as_csv(rows, columns=list(rows[0]))
    backwards = as_csv(rows, columns=list(rows[0])[::-1])
    quoted = "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in plain.splitlines())
    return {
        "semicolon": ("c.csv", as_csv(rows, delimiter=";", columns=list(rows[0])).encode()),
        "tabs": ("c.tsv", as_csv(rows, delimiter="\t", columns=list(rows[0])).encode()),
        "toml": ("c.toml", as_toml(rows, {"name": "c", "profile": "student"}).encode()),
        "toml with BOM and CRLF": ("c.toml", b"\xef\xbb\xbf" + as_toml(rows, {"name": "c"}).replace("\n", "\r\n").encode()),
        "BOM": ("c.csv", b"\xef\xbb\xbf" + plain.encode()),
        "CRLF": ("c.csv", plain.replace("\n", "\r\n").encode()),
        "BOM, CRLF, semicolon": ("c.csv", b"\xef\xbb\xbf" + as_csv(rows, delimiter=";").replace("\n", "\r\n").encode()),
        "columns in another order": ("c.csv", backwards.encode()),
        "all quoted": ("c.csv", quoted.encode()),
        "spaces, comments, blank lines": ("c.csv", ("# the class\n\n" + plain.replace(",", " , ") + "\n\n# end\n").encode()),
        "sep= of a spreadsheet": ("c.csv", ("sep=;\n" + as_csv(rows, delimiter=";")).encode()),
        "other words in the header": (
            "c.csv",
            plain.replace("login,name,mail", "User Name,FULL_NAME,E-Mail").replace("expires", "Last day").encode(),
        ),
    }


def test_every_form_says_the_same(trainer: Trainer, before: dict[str, Any]) -> None:
    """One class in CSV, and then in every other form: nothing to do."""
    rows = [
        row | {"groups": "pythonists linuxers", "ssh key": make_key("forms"), "expires": SOON, "docker": "yes"}
        for row in students(3, prefix="form")
    ]
    rows[1]["name"] = "Ünïcode Ñame"
    done = trainer.apply(write("c.csv", as_csv(rows, columns=list(rows[0]))))
    assert done["counts"] == {"cohort": 1, "create": 3}
    assert memberships("form001")["gshadow"] == {"docker", "pythonists", "linuxers"}
    for what, (name, content) in forms(rows).items():
        plan = trainer.ask("roster", "plan", str(write(name, content)))
        assert (what, plan["steps"], plan["unchanged"]) == (what, [], 3)


# -- accounts that were there before ------------------------------------------------------------------


def test_adopted_only_when_asked_and_given_back(trainer: Trainer, before: dict[str, Any]) -> None:
    """An account made by hand: refused, adopted with --adopt, given back at the end as it was, home and password included."""
    try:
        subprocess.run(["useradd", "-m", "-s", "/bin/sh", "-c", "Made by hand", "-G", "linuxers", "-e", "2099-05-06", "byhand"], check=True)
        subprocess.run(["chpasswd", "-e"], input=f"byhand:{make_hash(SECRET)}\n", text=True, check=True)
        Path("/home/byhand/own.txt").write_text("own")
        own_key = make_key("own")
        Path("/home/byhand/.ssh").mkdir(mode=0o700)
        Path("/home/byhand/.ssh/authorized_keys").write_text(f"{own_key}\n")
        subprocess.run(["chown", "-R", "byhand:", "/home/byhand"], check=True)
        made = host_state()
        key = make_key("given")
        rows = [{"login": "byhand", "name": "On the Roster", "groups": "pythonists", "ssh key": key, "expires": SOON}, *students(1)]
        file = write("adopting.csv", as_csv(rows))
        told = trainer.refused("roster", "apply", str(file), "--yes")
        assert "row 1, line 2, login byhand: the host has an account of that name" in told
        assert "--adopt" in told
        judge_same(made)

        done = trainer.apply(file, "--adopt")
        assert done["counts"] == {"cohort": 1, "create": 1, "adopt": 1}
        assert memberships("byhand")["gshadow"] == {"docker", "pythonists", "linuxers"}
        assert Path("/home/byhand/.ssh/authorized_keys").read_text() == f"{own_key}\n{key}\n"
        assert shadow_line("byhand")[7] == expiry_of(SOON)
        assert su("byhand", SECRET), "the password stays"
        Student("byhand").ok("run", "-d", "--name", "byhandc1", "alpine", "sleep", "1000")
        assert trainer.apply(file)["steps"] == [], "adopted once, it is like the others"
        assert "byhand" in trainer.refused("user", "remove", "byhand")

        plan = trainer.ok("cohort", "end", "adopting", "--yes")
        assert "release" in plan
        judge_same(made)
        assert su("byhand", SECRET)
        assert trainer.engine is not None
        assert "byhandc1" not in trainer.engine.eye.containers().values()
        assert trainer.ledger("byhand")["managed"] == 0
    finally:
        subprocess.run(["userdel", "-r", "byhand"], check=False, capture_output=True)


@pytest.mark.parametrize("opened", [False, True])
def test_a_lock_of_the_administrator_outlives_an_adoption(trainer: Trainer, before: dict[str, Any], opened: bool) -> None:
    """An account that somebody had locked is adopted locked, `user show` says so; given back it is locked, opened meanwhile or not."""
    try:
        subprocess.run(["useradd", "-m", "-s", "/bin/sh", "byhand"], check=True)
        subprocess.run(["chpasswd", "-e"], input=f"byhand:{make_hash(SECRET)}\n", text=True, check=True)
        subprocess.run(["usermod", "--lock", "byhand"], check=True)
        made = host_state()
        file = write("adopting.csv", as_csv([{"login": "byhand", "name": "On the Roster", "expires": SOON}]))
        trainer.apply(file, "--adopt")
        assert not su("byhand", SECRET)
        assert "locked by hand" in trainer.ok("user", "show", "byhand")
        assert trainer.apply(file)["steps"] == [], "nothing is left to do, the first time and when it is adopted once more"
        if opened:
            trainer.ok("user", "unlock", "byhand")
            assert su("byhand", SECRET)
        trainer.ok("cohort", "end", "adopting", "--yes")
        judge_same(made)
        assert not su("byhand", SECRET)
    finally:
        subprocess.run(["userdel", "-r", "byhand"], check=False, capture_output=True)


@pytest.mark.parametrize("login", ["daemon", "root", "nobody"])
def test_accounts_of_the_system_are_never_adopted(trainer: Trainer, before: dict[str, Any], login: str) -> None:
    """Not even when asked."""
    told = trainer.refused("roster", "apply", str(write("system.csv", f"login,name\n{login},X\n")), "--yes", "--adopt")
    assert "row 1, line 2, login" in told
    judge_same(before)


# -- taking back -----------------------------------------------------------------------------------------


def test_undo_of_a_whole_apply(trainer: Trainer, before: dict[str, Any]) -> None:
    """Everything that was made is taken away again, with what the people have made meanwhile; the homes are archived."""
    rows = students(4, prefix="undo")
    rows[0] |= {"ssh key": make_key("undo"), "groups": "pythonists", "password hash": make_hash(SECRET)}
    file = write("undone.csv", as_csv(rows))
    trainer.apply(file)
    Student("undo002").ok("run", "-d", "--name", "undo002c1", "alpine", "sleep", "1000")
    done = trainer.ok("roster", "apply", str(file), "--undo", "--yes")
    assert "taken back: 5 steps" in done
    judge_same(before)
    assert trainer.ask("cohort", "list") == []
    assert "has done anything that could be taken back" in trainer.refused("roster", "apply", str(file), "--undo", "--yes")
    assert trainer.apply(file)["counts"] == {"cohort": 1, "create": 4}, "and it can be done again"


def test_undo_of_a_change(trainer: Trainer, before: dict[str, Any]) -> None:
    """Every attribute gets its old value back: the files are, byte for byte, what they were before the change."""
    key, other = make_key("old"), make_key("new")
    rows = students(8, prefix="turn")
    for row in rows:
        row |= {"ssh key": key, "groups": "pythonists", "expires": SOON, "docker": "yes", "profile": "student"}
    rows[6]["password hash"] = make_hash(SECRET)
    trainer.apply(write("turned.csv", as_csv(rows)))
    own = Path("/home/turn004/.ssh/authorized_keys")
    own.write_text(f"{key}\n{make_key('by the student')}\n")
    applied = unordered(host_state())
    ledger = {row["login"]: trainer.ledger(row["login"]) for row in rows}
    changes: tuple[dict[str, str], ...] = (
        {"name": "Another Name", "mail": "other@example.org", "profile": "trainer"},
        {"docker": "no"},
        {"groups": "linuxers"},
        {"ssh key": other},
        {"expires": LATER},
        {"password hash": make_hash("other#Secret1")},
        {"password hash": make_hash("other#Secret2")},
    )
    changed = [row | change for row, change in zip(rows, changes, strict=False)]  # the eighth leaves
    done = trainer.apply(write("turned.csv", as_csv([*changed, *students(1, prefix="turn", first=9)])))
    assert done["counts"] == {"create": 1, "change": 7, "leave": 1}
    assert {s["status"] for s in done["steps"]} == {"done"}
    assert su("turn007", "other#Secret2")
    trainer.ok("roster", "apply", "turned.csv", "--undo", "--yes")
    judge_same(applied, unordered(host_state()))
    for login, row in ledger.items():
        assert {k: v for k, v in trainer.ledger(login).items() if k != "updated_at"} == {k: v for k, v in row.items() if k != "updated_at"}
    assert trainer.apply(write("turned.csv", as_csv(rows)))["steps"] == []
    assert su("turn007", SECRET)
    assert listed("/etc/group", "linuxers") == []
    trainer.ok("roster", "apply", "turned.csv", "--undo", "--yes")
    judge_same(before)


def test_cards_renewed_for_who_has_not_logged_in(trainer: Trainer, before: dict[str, Any]) -> None:
    """New passwords for all who wait, none for those who have chosen their own; the old ones open nothing any more."""
    trainer.apply(write("renewed.csv", as_csv(students(3, prefix="card"))))
    first = trainer.cards("renewed")
    subprocess.run(["chpasswd", "-e"], input=f"card002:{make_hash(SECRET)}\n", text=True, check=True)
    page = trainer.ok("cohort", "cards", "renewed", "--renew")
    second = passwords_of(page)
    assert set(second) == {"card001", "card003"}
    assert not set(first.values()) & set(second.values())
    assert sha512_crypt.verify(second["card001"], shadow_line("card001")[1])
    assert shadow_line("card001")[2] == "0"
    assert su("card002", SECRET)
    assert trainer.apply(Path("renewed.csv"))["steps"] == []
