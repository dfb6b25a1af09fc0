"""States, notices, memberships: the pure decisions."""

import socket
import subprocess
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from hostadmin.core.values import UserState
from hostadmin.guard.callers import find_reason
from hostadmin.store.migrate import data_dir
from hostadmin.users.drift import IN_BOTH, IN_NONE, Difference, Members, find_differences
from hostadmin.users.notices import PLACES, login_script, notice_for
from hostadmin.users.states import STRENGTH, is_due_to_end, is_due_to_open, is_waiting, stronger
from tests.unit.users.test_rules import USER

TODAY = date(2026, 11, 24)
PAST, FUTURE = TODAY - timedelta(days=1), TODAY + timedelta(days=1)
ACTIVE, LOCKED, EXPIRED, LEAVING = UserState.ACTIVE, UserState.LOCKED, UserState.EXPIRED, UserState.LEAVING


@pytest.mark.parametrize(
    ("state", "starts", "expires", "opens", "ends"),
    [
        (ACTIVE, None, None, False, False),
        (ACTIVE, None, TODAY, False, False),
        (ACTIVE, None, PAST, False, True),
        (ACTIVE, FUTURE, None, False, False),
        (LOCKED, None, None, False, False),
        (LOCKED, None, PAST, False, False),
        (LOCKED, TODAY, None, True, False),
        (LOCKED, PAST, TODAY, True, False),
        (LOCKED, FUTURE, None, False, False),
        (LOCKED, PAST, PAST, False, True),
        (EXPIRED, PAST, PAST, False, False),
        (LEAVING, PAST, None, False, False),
    ],
)
def test_what_a_day_brings(state: UserState, starts: date | None, expires: date | None, opens: bool, ends: bool) -> None:
    user = replace(USER, state=state, starts=starts, expires=expires)
    assert (is_due_to_open(user, TODAY), is_due_to_end(user, TODAY)) == (opens, ends)
    assert is_waiting(user) == (state is LOCKED and starts is not None)


def test_the_stronger_reason_holds() -> None:
    assert stronger(LOCKED, EXPIRED) is stronger(EXPIRED, LOCKED) is LOCKED
    assert stronger(LEAVING, LOCKED) is LEAVING
    assert stronger(ACTIVE, EXPIRED) is EXPIRED
    assert set(STRENGTH) == set(UserState) - {UserState.REMOVED}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, None),
        ({"expires": TODAY}, None),
        ({"expires": PAST}, f"expired after {PAST}"),
        ({"state": LOCKED}, "user unlock ashu"),
        ({"state": LOCKED, "starts": FUTURE}, f"opens on {FUTURE}"),
        ({"state": EXPIRED, "expires": PAST}, "--expires DATE"),
        ({"state": EXPIRED, "expires": FUTURE}, "expired"),
        ({"state": LEAVING}, "leaving"),
        ({"state": UserState.REMOVED}, "not there"),
    ],
)
def test_why_the_guard_refuses(change: dict[str, object], words: str | None) -> None:
    reason = find_reason(replace(USER, **change), TODAY)  # type: ignore[arg-type]
    assert (words is None and reason is None) or (words is not None and words in (reason or ""))


@pytest.mark.parametrize(
    ("days", "when"), [(-1, None), (0, "(today)"), (1, "(tomorrow)"), (2, "(in 2 days)"), (7, "(in 7 days)"), (8, None)]
)
def test_notices(days: int, when: str | None) -> None:
    said = notice_for(TODAY + timedelta(days=days), TODAY, days=7, host="docker-host")
    if when is None:
        assert said is None
    else:
        assert said == (
            f"Your access to docker-host ends on {TODAY + timedelta(days=days)} {when}: "
            "save what you need; then containers, volumes and home go."
        )
    assert notice_for(None, TODAY, days=7, host="h") is None


SCRIPT = data_dir("systemd") / "profile.d" / "hostadmin.sh"


def test_the_login_script_names_each_place_once() -> None:
    assert [found[1] for found in PLACES.findall(SCRIPT.read_text())] == ["hostadmin_guard", "hostadmin_notices"]


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("strict", ["", "set -eu;"])
@pytest.mark.parametrize(
    ("interactive", "login", "text", "said"),
    [
        ("-i", "ashu", "Your access ends.\n", "Your access ends.\n"),
        ("", "ashu", "Your access ends.\n", ""),
        ("-i", "rohit", "Your access ends.\n", ""),
        ("-i", "", "Your access ends.\n", ""),
        ("-i", "../ashu/none", "Your access ends.\n", ""),
        ("-i", "ashu", "", ""),
        ("-i", "ashu", "%s $(id) \\n `id`\nsecond\n", "%s $(id) \\n `id`\n"),
    ],
)
def test_the_login_script(tmp_path: Path, shell: str, strict: str, interactive: str, login: str, text: str, said: str) -> None:
    """One line, for people in interactive shells; silent in whatever goes wrong, and no variable of it stays."""
    (tmp_path / "ashu").write_text(text)
    script = tmp_path / "hostadmin.sh"
    script.write_text(login_script(SCRIPT.read_text(), guard="", folder=str(tmp_path)).replace("id -u", "echo 1000"))
    command = f'{strict} . {script}; echo "end ${{hostadmin_notices-none}} ${{hostadmin_notice-none}}"'
    argv = [shell, *(["--norc"] if shell == "bash" else []), *([interactive] if interactive else []), "-c", command]
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", "LOGNAME": login}, start_new_session=True
    )
    assert done.stdout == f"{said}end none none\n"
    assert [line for line in done.stderr.splitlines() if "job control" not in line and "ioctl" not in line and "tty" not in line] == []


def test_the_login_script_is_not_for_root(tmp_path: Path) -> None:
    script = login_script(SCRIPT.read_text(), guard="", folder=str(tmp_path)).replace("id -u", "echo 0")
    (tmp_path / "root").write_text("Your access ends.\n")
    done = subprocess.run(["sh", "-i", "-c", script], capture_output=True, text=True, check=False, env={"LOGNAME": "root", "PATH": "/bin"})
    assert done.stdout == ""


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize(
    ("there", "before", "found"),
    [(True, None, "unix://{}"), (False, None, "none"), (True, "tcp://elsewhere:2376", "tcp://elsewhere:2376"), (None, None, "none")],
)
def test_login_shells_are_told_where_docker_is(tmp_path: Path, shell: str, there: bool | None, before: str | None, found: str) -> None:
    """While the guard is there, and nothing else was said; programs that the shell starts know it too."""
    door = tmp_path / "the guard's own.sock"
    if there:
        socket.socket(socket.AF_UNIX).bind(str(door))
    script = login_script(SCRIPT.read_text(), guard="" if there is None else str(door), folder="/nowhere")
    environ = {"PATH": "/usr/bin:/bin"} | ({"DOCKER_HOST": before} if before else {})
    command = f"set -eu\n{script}\nsh -c 'echo ${{DOCKER_HOST-none}}'; echo ${{hostadmin_guard-none}}"
    done = subprocess.run([shell, "-c", command], capture_output=True, text=True, check=True, env=environ)
    assert done.stdout == f"{found.format(door)}\nnone\n"


MEMBERS = Members({"docker": frozenset({"both", "half"}), "class": frozenset({"both"})}, {"docker": frozenset({"both", "shadow"})})


@pytest.mark.parametrize(
    ("login", "docker", "groups", "found"),
    [
        ("both", True, (), []),
        ("both", None, (), []),
        ("both", False, (), [Difference("docker", False, IN_BOTH)]),
        ("none", False, (), []),
        ("none", True, (), [Difference("docker", True, IN_NONE)]),
        ("half", True, (), [Difference("docker", True, (True, False))]),
        ("half", False, (), [Difference("docker", False, (True, False))]),
        ("shadow", False, (), [Difference("docker", False, (False, True))]),
        ("both", True, ("class",), []),
        ("none", False, ("class", "nosuch"), [Difference("class", True, IN_NONE), Difference("nosuch", True, IN_NONE)]),
        ("both", True, (), []),
    ],
)
def test_memberships(login: str, docker: bool | None, groups: tuple[str, ...], found: list[Difference]) -> None:
    user = replace(USER, login=login, docker=docker, groups=groups)
    assert find_differences(user, MEMBERS, "docker") == found
    assert find_differences(replace(user, managed=False), MEMBERS, "docker") == []
    assert all(one.sentence for one in found)


def test_the_primary_group_is_membership_too() -> None:
    user = replace(USER, login="none", docker=True)
    assert find_differences(user, MEMBERS, "docker", primary=True) == []
    assert find_differences(user, Members({"docker": frozenset()}, None), "docker") == [Difference("docker", True, IN_NONE)]
