"""Rosters that must be refused, hosts that they do not fit, plans whose ground has changed: all told, nothing done."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration.classes import (
    Trainer,
    as_csv,
    before,
    database_state,
    host_state,
    judge_same,
    make_key,
    stamps,
    students,
    trainer,
    write,
)

__all__ = ["before", "trainer"]  # fixtures
pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
GOOD: Final = "good001,Good Student,\n"
HASH: Final = "$6$abcdefgh$" + "a" * 86


def judge_refusal(trainer: Trainer, file: Path, expected: list[str], *argv: str) -> str:
    """A roster is refused with all of that on standard error; host and database are what they were."""
    host, written, database = host_state(), stamps(), database_state(trainer.hostadmin.database)
    told = trainer.refused("roster", "apply", str(file), "--yes", *argv)
    for text in expected:
        assert text in told, told
    assert "Traceback" not in told
    assert database_state(trainer.hostadmin.database) == database
    assert stamps() == written
    judge_same(host)
    return told


# -- bad cells -----------------------------------------------------------------------------------------

CELLS: Final[dict[str, tuple[str, str, str]]] = {
    # what it is: header of the third column, the cell, what is said of it
    "a month that there is not": ("expires", "2026-13-45", "expires 2026-13-45: there is no month 13"),
    "a day that there is not": ("expires", "2027-02-30", "expires 2027-02-30: there is no day 30 in February 2027"),
    "no date": ("expires", "tomorrow", "expires tomorrow: it is no date"),
    "an American date": ("starts", "05/06/2099", "starts 05/06/2099: it is no date"),
    "a day that is over": ("expires", "2020-01-01", "expires 2020-01-01"),
    "a day beyond shadow": ("expires", "9999-12-31", "expires 9999-12-31"),
    "a last day before the first": ("starts,expires", "2099-02-02,2099-02-01", "it is before the first day, 2099-02-02"),
    "no mail": ("mail", "nobody", "mail nobody: it is no mail address"),
    "an unknown profile": ("profile", "king", "profile king: there is no such profile"),
    "a group of the system": ("groups", "sudo", "groups sudo: group 1: it is a group of the system"),
    "a group that reads logs": ("groups", "pythonists adm", "group 2: it is a group of the system"),
    "root's group": ("groups", "root", "groups root: group 1: it is a group of the system"),
    "the group with access": ("groups", "docker", "access to docker has a column of its own"),
    "a group that there is not": ("groups", "nosuch", "there is no such group on this host"),
    "somebody's own group": ("groups", "holder", "it is somebody's own group"),
    "docker perhaps": ("docker", "maybe", "docker maybe: it is none of yes"),
    "half a key": ("ssh key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA", "ssh keys (not shown): key 1"),
    "a key of another type than it says": (
        "ssh key",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",
        "key 1",
    ),
    "a private key": ("ssh key", "-----BEGIN OPENSSH PRIVATE KEY-----", "ssh keys (not shown): it is a PRIVATE key"),
    "options before a key": (
        "ssh key",
        'command="id" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl',
        "key",
    ),
    "a word for a hash": ("password hash", "plaintext", "it is no crypt(5) hash"),
    "an old hash": ("password hash", "$1$abcdefgh$" + "a" * 22, "too weak"),
    "a hash with a colon": ("password hash", f"{HASH[:-1]}:", "it is no crypt(5) hash"),
    "a locked hash": ("password hash", f"!{HASH}", "it is no crypt(5) hash"),
    "a star": ("password hash", "*", "it is no crypt(5) hash"),
    "a password": ("password", "Secret#1", "passwords do not belong into a file"),
    "an unknown column": ("favourite colour", "red", "unknown column"),
}
NAMES: Final[dict[str, str]] = {
    "a/b": "byte 2 is 0x2f '/'",
    "123": "byte 1 is 0x31 '1': it must begin with a-z",
    ".": "byte 1 is 0x2e '.'",
    "..": "byte 1 is 0x2e '.'",
    "a$(id)": "byte 2 is 0x24 '$'",
    "a`id`": "byte 2 is 0x60 '`'",
    "-a": "byte 1 is 0x2d '-': it must begin with a-z",
    "+a": "byte 1 is 0x2b '+'",
    "~a": "byte 1 is 0x7e '~'",
    "a:b": "byte 2 is 0x3a ':'",
    "a b": "byte 2 is 0x20 ' '",
    "Alice": "byte 1 is 0x41 'A'",
    "alicе": "byte 5 is U+0435 CYRILLIC SMALL LETTER IE",
    "ａlice": "byte 1 is U+FF41 FULLWIDTH LATIN SMALL LETTER A",
    "ali\u200bce": "byte 4 is U+200B ZERO WIDTH SPACE",
    "\u202eecila": "byte 1 is U+202E RIGHT-TO-LEFT OVERRIDE",
    "a" * 32: "it has 32 bytes: at most 31",
    "alice$": "byte 6 is 0x24 '$'",
    "ünï": "byte 1 is U+00FC",
    "root": "it belongs to the system",
    "docker": "it belongs to the system",
    "a\tb": "byte 2 is 0x09",
}


def quoted(cell: str) -> str:
    """Return a cell as CSV takes it."""
    return f'"{cell.replace(chr(34), chr(34) * 2)}"' if any(c in cell for c in '",\n') else cell


@pytest.mark.parametrize("what", list(CELLS))
def test_a_bad_cell(trainer: Trainer, what: str) -> None:
    """One cell of the second row cannot be: told with row, line and column; no secret is repeated."""
    header, cell, said = CELLS[what]
    cells = cell.split(",") if header.count(",") else [cell]
    subprocess.run(["useradd", "-M", "-u", "2999", "holder"], check=True)
    try:
        content = (
            f"login,name,{header}\ngood001,Good Student,{',' * (len(cells) - 1)}\nbad001,Bad One,{','.join(quoted(c) for c in cells)}\n"
        )
        told = judge_refusal(trainer, write("bad.csv", content), [said])
        of_the_header = header in ("password", "favourite colour")
        assert told.startswith("  line 1, " if of_the_header else "  row 2, line 3, ")
        if header.startswith(("password", "ssh")):
            assert cell not in told
    finally:
        subprocess.run(["userdel", "holder"], check=True)


def test_bad_names_all_at_once(trainer: Trainer) -> None:
    """Every wrong login of one file is told, each with its byte."""
    content = "login,name\n" + "".join(f"{quoted(name)},X\n" for name in NAMES)
    told = judge_refusal(trainer, write("names.csv", content), []).splitlines()
    for row, (name, said) in enumerate(NAMES.items(), 1):
        line = next((t for t in told if t.startswith(f"  row {row}, line {row + 1}, login ")), "")
        assert said in line, (name, line, told)
    assert len([t for t in told if t.startswith("  row ")]) == len(NAMES)


FORMS: Final[dict[str, tuple[str, bytes, str]]] = {
    "a newline in a field": (
        "b.csv",
        b'login,name\na1,"Two\nLines"\n',
        "row 1, line 2, name Two\\nLines: byte 4 is 0x0a (a control character)",
    ),
    "a carriage return in a field": ("b.csv", b'login,name\na1,"Two\rLines"\n', "row 1, line 2, name"),
    "an escape sequence": ("b.csv", b"login,name\na1,\x1b[2JX\n", "row 1, line 2, name \\x1b[2JX: byte 1 is 0x1b"),
    "bytes that are no UTF-8": ("b.csv", b"login,name\na1,M\xfcller\n", "line 2, byte 5 0xfc"),
    "UTF-16": ("b.csv", "login,name\na1,X\n".encode("utf-16"), "the file is UTF-16"),
    "a NUL": ("b.csv", b"login,name\na1,X\0Y\n", "a NUL byte"),
    "a quote that is never closed": ("b.csv", b'login,name\na1,"X\na2,Y\n', "a quote is opened here and never closed"),
    "too many fields": ("b.csv", b"login,name\na1,X,Y\n", "wrong number of fields: 3 here, 2 in the header"),
    "no header": ("b.csv", b"a1,X\na2,Y\n", "the first line must name the columns"),
    "nobody": ("b.csv", b"login,name\n", "there is not a single user in it"),
    "empty": ("b.csv", b"", ""),
    "one login twice": ("b.csv", b"login,name\na1,X\na1,Y\n", "row 1 (line 2) and row 2 have the same login"),
    "broken TOML": ("b.toml", b"[cohort\n", "this is not TOML"),
    "TOML of another kind": ("b.toml", b"[[users]]\nlogin = 7\n", "it is a number; wanted: a text"),
    "a password in TOML": ("b.toml", b'[[users]]\nlogin = "a1"\npassword = "Sec#ret1"\n', "passwords do not belong into a file"),
    "a cohort that is none": ("b.toml", b'[cohort]\nname = "a/b"\n[[users]]\nlogin = "a1"\n', "cohort name a/b: byte 2 is 0x2f"),
    "two cohorts": ("b.csv", b"login,cohort\na1,x\na2,y\n", "all rows must have the same cohort"),
}


@pytest.mark.parametrize("what", list(FORMS))
def test_a_bad_form(trainer: Trainer, what: str) -> None:
    """The file as a whole cannot be read."""
    name, content, said = FORMS[what]
    told = judge_refusal(trainer, write(name, content), [said])
    assert "\x1b" not in told
    assert "Sec#ret1" not in told


def test_too_large_is_told_quickly(trainer: Trainer) -> None:
    """Ten megabytes are refused by their size, by the command and by the service; so are too many rows."""
    big = write("big.csv", b"login,name\n" + b"".join(b"u%07d,Somebody with a long name for the size\n" % n for n in range(210_000)))
    assert big.stat().st_size > 10_000_000
    started = time.monotonic()
    judge_refusal(trainer, big, ["Refused roster big.csv", str(big.stat().st_size), "1048576"])
    many = write("many.csv", "login\n" + "".join(f"u{n:05}\n" for n in range(2001)))
    judge_refusal(trainer, many, ["more than 2000 rows"])
    assert time.monotonic() - started < 30


def test_all_problems_at_once(trainer: Trainer) -> None:
    """What is wrong in several rows and columns is told in one go, in the file's order."""
    content = "login,name,expires,groups,ssh key\na/b,X,2026-13-45,sudo,nokey\ngood001,Y,,,\n123,,2027-02-30,nosuch,\n"
    told = judge_refusal(trainer, write("all.csv", content), ["Refused roster all.csv: 7 problems, listed above. Nothing was done."])
    places = [line.split(":")[0].rsplit(" ", 1)[0] for line in told.splitlines() if line.startswith("  row ")]
    first = [f"  row 1, line 2, {column}" for column in ("login", "expires", "groups", "ssh keys")]
    third = [f"  row 3, line 4, {column}" for column in ("login", "expires", "groups")]
    assert [place.removesuffix(" (not") for place in places] == first + third


# -- what does not fit this host ------------------------------------------------------------------------


@contextmanager
def undone(do: list[list[str]], undo: list[list[str]]) -> Iterator[None]:
    """Type commands as root, and others afterwards."""
    for argv in do:
        subprocess.run(argv, check=True, capture_output=True)
    try:
        yield
    finally:
        for argv in undo:
            subprocess.run(argv, check=True, capture_output=True)


HOSTS: Final[dict[str, tuple[list[list[str]], list[list[str]], str]]] = {
    "a home of somebody else": (
        [["mkdir", "/home/fits001"], ["chown", "4242:4242", "/home/fits001"]],
        [["rm", "-r", "/home/fits001"]],
        "where its home would be there is something already (directory of uid 4242, gid 4242, mode 0755): move it away",
    ),
    "a link for a home": ([["ln", "-s", "/etc", "/home/fits001"]], [["rm", "/home/fits001"]], "(symbolic link)"),
    "a dangling link for a home": ([["ln", "-s", "/nowhere", "/home/fits001"]], [["rm", "/home/fits001"]], "(symbolic link)"),
    "a file for a home": ([["touch", "/home/fits001"]], [["rm", "/home/fits001"]], "(not a directory)"),
    "root's directory": ([["mkdir", "/home/fits001"]], [["rmdir", "/home/fits001"]], "directory of uid 0"),
    "an account of that name": (
        [["useradd", "-M", "fits001"]],
        [["userdel", "fits001"]],
        "that hostadmin does not manage; --adopt takes it over",
    ),
    "a group of that name": ([["groupadd", "fits001"]], [["groupdel", "fits001"]], "a group has that name"),
    "a name that a group still lists": (
        [["sed", "-i", "s/^pythonists:x:1700:$/&fits001/", "/etc/group"]],
        [["sed", "-i", "s/^pythonists:x:1700:fits001$/pythonists:x:1700:/", "/etc/group"]],
        "group 'pythonists' lists that name although nobody has it",
    ),
}


@pytest.mark.parametrize("what", list(HOSTS))
def test_what_is_on_the_host_already(trainer: Trainer, what: str) -> None:
    """Nothing that was there before is touched; the other rows are not begun either."""
    do, undo, said = HOSTS[what]
    with undone(do, undo):
        told = judge_refusal(trainer, write("fits.csv", as_csv(students(2, prefix="fits"))), [said])
        assert told.startswith("  row 1, line 2, login fits001: ")


def test_a_login_with_another_uid_and_one_of_another_cohort(trainer: Trainer, before: dict[str, Any]) -> None:
    """Somebody has replaced an account by hand; somebody is on two rosters."""
    trainer.apply(write("mine.csv", as_csv(students(2, prefix="mine"))))
    judge_refusal(
        trainer,
        write("other.csv", as_csv([*students(1, prefix="new"), *students(1, prefix="mine", first=2)])),
        ["row 2, line 3, login mine002: it belongs to the cohort 'mine'"],
    )
    kept = {file: Path("/etc", file).read_bytes() for file in ("passwd", "group", "shadow", "gshadow")}
    subprocess.run(["userdel", "mine001"], check=True)
    file = write("mine.csv", as_csv(students(3, prefix="mine")))
    judge_refusal(trainer, file, ["login mine001: its account has gone from the host"])
    subprocess.run(["useradd", "-M", "-u", "4321", "mine001"], check=True)
    judge_refusal(trainer, file, ["login mine001", "has uid 4321", "somebody else holds the login"])
    subprocess.run(["userdel", "mine001"], check=True)
    for name, content in kept.items():
        Path("/etc", name).write_bytes(content)
    assert trainer.apply(file)["counts"] == {"create": 1}


# -- a plan whose ground has changed -----------------------------------------------------------------------

CHANGES: Final[dict[str, tuple[Callable[[], object], str]]] = {
    "shell": (lambda: typed("usermod", "-s", "/bin/sh", "late001"), "late001: shell was /bin/bash, is /bin/sh"),
    "comment": (lambda: typed("usermod", "-c", "By hand", "late001"), "late001: comment was Student 1 of Late, is By hand"),
    "group": (lambda: typed("usermod", "-aG", "linuxers", "late001"), "late001: groups was docker, is docker, linuxers"),
    "lock": (lambda: typed("usermod", "-L", "late001"), "late001: locked was False, is True"),
    "password": (lambda: typed("chpasswd", "-e", stdin=f"late001:{HASH}\n"), "late001: password was"),
    "expiry": (lambda: typed("chage", "-E", "2099-01-01", "late001"), "late001: expiry day was"),
    "home": (lambda: typed("chmod", "0755", "/home/late001"), "late001: home was directory of uid"),
    "keys": (lambda: key_by_hand("late001"), "late001: keys was"),
    "home's group": (lambda: typed("chgrp", "linuxers", "/home/late001"), "gid 1701, mode 0700"),
    "ageing": (lambda: typed("chage", "-M", "30", "late001"), "late001: ageing was min 0, max 99999, warn 7, is min 0, max 30, warn 7"),
    "who is left as they are": (lambda: typed("usermod", "-L", "late002"), "late002: locked was False, is True"),
    "access of one who is left as they are": (
        lambda: typed("gpasswd", "-d", "late002", "docker"),
        "late002: groups was docker, is none",
    ),
    "a new account": (lambda: typed("useradd", "-M", "late003"), "late003: uid was not there, is"),
    "a new group": (lambda: typed("groupadd", "late003"), "late003: group of that name was False, is True"),
    "a home in the way": (lambda: typed("mkdir", "/home/late003"), "late003: home was absent, is directory of uid 0"),
}


def typed(*argv: str, stdin: str = "") -> None:
    """Type a command as root."""
    subprocess.run(argv, input=stdin, text=True, check=True, capture_output=True)


def key_by_hand(login: str) -> None:
    """Put a key into an account by hand."""
    folder = Path("/home", login, ".ssh")
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "authorized_keys").write_text(make_key("by hand") + "\n")
    typed("chown", "-R", f"{login}:", str(folder))


@pytest.fixture(scope="module")
def late(trainer: Trainer) -> Iterator[Path]:
    """A class of two is there; a roster that changes one, leaves the other, and adds a third."""
    trainer.apply(write("late.csv", as_csv(students(2, prefix="late"))))
    one, two, three = students(3, prefix="late")
    rows = [one | {"mail": "new@example.org"}, two, three | {"mail": "new@example.org"}]
    yield write("late.csv", as_csv(rows))
    trainer.ok("cohort", "end", "late", "--yes", "--no-archive")


@pytest.mark.parametrize("what", list(CHANGES))
def test_a_stale_plan_is_refused_with_the_difference(trainer: Trainer, late: Path, what: str) -> None:
    """Planned, then changed by hand: applying that plan does nothing and says what is different."""
    change, said = CHANGES[what]
    state = host_state()
    plan = trainer.ask("roster", "plan", str(late))
    try:
        change()
        changed, written, records = host_state(), stamps(), trainer.last_record()
        told = trainer.refused("roster", "apply", "--plan", plan["id"], "--yes")
        assert said in told, told
        assert "Nothing was done; plan again" in told
        judge_same(changed)
        assert stamps() == written
        assert trainer.changes(records) == []
        assert {s["status"] for s in trainer.ask("roster", "show", plan["id"])["steps"]} == {"planned"}
        if what == "password":
            assert HASH not in told
    finally:
        restore(state)


def restore(state: dict[str, Any]) -> None:
    """Put the account files and the homes back."""
    for name, content in state.items():
        if name != "/home" and content is not None:
            Path("/etc", name).write_bytes(content)
    known = state["/home"]
    for path in sorted((str(p) for p in Path("/home").rglob("*")), reverse=True):
        if path not in known:
            subprocess.run(["rm", "-rf", path], check=True)
        else:
            os.chmod(path, int(known[path][0], 8) & 0o7777, follow_symlinks=True)


def test_an_older_plan_is_refused_once_its_class_is_another(trainer: Trainer, before: dict[str, Any]) -> None:
    """Two plans of a class that is not there yet, then two that say different days: the second one wins, and the first one is told why."""
    one, two = students(2, prefix="older")
    older = trainer.ask("roster", "plan", str(write("older.csv", as_csv([one]))))["id"]
    trainer.apply(write("older.csv", as_csv([two])))
    told = trainer.refused("roster", "apply", "--plan", older, "--yes")
    assert "cohort older: profile was not there, is student; cohort older: users was none, is older002" in told
    older = trainer.ask("roster", "plan", str(write("older.csv", as_csv([two]))), "--ends", "2099-01-31")["id"]
    trainer.apply(write("older.csv", as_csv([two])), "--profile", "trainer")
    assert "cohort older: profile was student, is trainer" in trainer.refused("roster", "apply", "--plan", older, "--yes")
    assert trainer.ask("cohort", "show", "older")["ends"] is None


def test_nobody_is_taken_out_of_a_class_by_a_plan_from_before_they_joined_it(trainer: Trainer, before: dict[str, Any]) -> None:
    """One account, on the rosters of two classes; both were planned while it was in none."""
    trainer.ok("user", "add", "shared")
    file = write("shared.csv", "login\nshared\n")
    plans = [trainer.ask("roster", "plan", str(file), "--cohort", name)["id"] for name in ("first", "second")]
    trainer.ok("roster", "apply", "--plan", plans[1], "--yes")
    assert "shared: cohort was not there, is second" in trainer.refused("roster", "apply", "--plan", plans[0], "--yes")
    assert trainer.ask("user", "show", "shared")["cohort"] == "second"
    assert "first" not in {c["name"] for c in trainer.ask("cohort", "list")}
