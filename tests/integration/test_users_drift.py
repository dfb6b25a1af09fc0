"""Memberships changed by hand on a real host: noticed, recorded once, adopted, put back or only told; never while we do it."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hostadmin.core.values import system_actor
from hostadmin.host import programs
from hostadmin.store import users
from hostadmin.users.context import Keeping
from tests.integration.accounts import ADMIN, Bench, is_clean, listed

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("pristine_accounts")]
CLOCK = system_actor("reconciler")


@pytest.fixture
def make(tmp_path: Path, pristine_accounts: None) -> Iterator[Callable[[str], Bench]]:
    """Returns the service with a policy: ashu in the group with access and in class7, rohit in neither."""
    made = []

    def bench_with(policy: str) -> Bench:
        bench = Bench(tmp_path, Keeping(drift=policy))
        made.append(bench)
        subprocess.run(["groupadd", "class7"], check=False, capture_output=True)
        bench.users.add(ADMIN, "ashu", docker=True)
        bench.users.add(ADMIN, "rohit")
        subprocess.run(["usermod", "-aG", "class7", "ashu"], check=True)
        row = bench.row("ashu")
        assert row is not None
        bench.database.write(lambda tx: users.change(tx, row.id, groups=("class7",)))
        assert bench.users.settle_drift(CLOCK) == {}
        return bench

    yield bench_with
    for bench in made:
        bench.database.close()


def by_hand(*argv: str) -> None:
    """Run a tool as an administrator does, past hostadmin."""
    subprocess.run(argv, check=True, capture_output=True)


def settled(bench: Bench) -> list[tuple[str, str]]:
    """Return action and login of what was recorded of drift."""
    found = [r for r in bench.records() if r["action"] in ("access.adopt", "access.restore", "access.drift")]
    return [(r["action"], r["object_name"]) for r in found if r["stage"] in ("outcome", "event")]


def wanted(bench: Bench, login: str) -> tuple[bool | None, tuple[str, ...]]:
    """Return what the ledger keeps."""
    row = bench.row(login)
    assert row is not None
    return row.docker, row.groups


CHANGES = {
    "put into docker": (["usermod", "-aG", "docker", "rohit"], "rohit", "put into group 'docker' by hand"),
    "taken out of docker": (["usermod", "-rG", "docker", "ashu"], "ashu", "taken out of group 'docker' by hand"),
    "taken out of docker by gpasswd": (["gpasswd", "-d", "ashu", "docker"], "ashu", "taken out of group 'docker' by hand"),
    "taken out of a class": (["usermod", "-rG", "class7", "ashu"], "ashu", "taken out of group 'class7' by hand"),
    "group replaced": (["usermod", "-G", "docker", "ashu"], "ashu", "taken out of group 'class7' by hand"),
    "gone from gshadow only": (
        ["sh", "-c", "sed -i 's/^\\(docker:.*:.*:\\).*/\\1/' /etc/gshadow"],
        "ashu",
        "half there: in group, but not in gshadow",
    ),
    "gone from group only": (
        ["sed", "-i", "s/^\\(docker:.*:.*:\\).*/\\1/", "/etc/group"],
        "ashu",
        "half there: in gshadow, but not in group",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("policy", ["adopt", "restore", "report"])
def test_what_becomes_of_a_change_by_hand(make: Callable[[str], Bench], policy: str, change: str) -> None:
    """Shown until it is settled; one record; the files agree afterwards, with the ledger too unless it is only told."""
    bench = make(policy)
    argv, login, sentence = CHANGES[change]
    before = wanted(bench, login)
    by_hand(*argv)
    assert sentence in " ".join(bench.users.show(login).drift)
    assert [v.login for v in bench.users.list() if v.drift] == [login]
    word = {"adopt": "adopted", "restore": "restored", "report": "reported"}[policy]
    found = bench.users.settle_drift(CLOCK)
    assert list(found) == [word]
    assert len(found[word]) == 1
    assert found[word][0].startswith(f"{login}: ")
    assert sentence in found[word][0]
    action = {"adopt": "access.adopt", "restore": "access.restore", "report": "access.drift"}[policy]
    assert settled(bench) == [(action, login)]
    for _ in range(3):
        assert bench.users.settle_drift(CLOCK) == {}
    assert settled(bench) == [(action, login)]
    if policy == "report":
        assert sentence in " ".join(bench.users.show(login).drift)
        assert wanted(bench, login) == before
        return
    assert bench.users.show(login).drift == []
    assert is_clean()
    docker, groups = wanted(bench, login)
    for group, there in (("docker", docker), ("class7", "class7" in groups)):
        assert (login in listed("/etc/group", group)) == (login in listed("/etc/gshadow", group)) == there
    assert ((docker, groups) == before) == (policy == "restore" or change == "gone from gshadow only")


def test_a_report_is_made_once_per_change(make: Callable[[str], Bench]) -> None:
    """Settled by a command, and changed again: another record; a new start of the service does not make one."""
    bench = make("report")
    by_hand("usermod", "-rG", "docker", "ashu")
    bench.users.settle_drift(CLOCK)
    bench.database.close()
    bench.open()
    assert bench.users.settle_drift(CLOCK) == {}
    bench.users.grant(ADMIN, "ashu")
    assert bench.users.settle_drift(CLOCK) == {}
    assert not bench.users.show("ashu").drift
    by_hand("usermod", "-rG", "docker", "ashu")
    assert "reported" in bench.users.settle_drift(CLOCK)
    bench.users.revoke(ADMIN, "ashu")
    assert not bench.users.show("ashu").drift
    assert wanted(bench, "ashu")[0] is False
    assert settled(bench) == [("access.drift", "ashu")] * 2


def test_our_own_changes_are_none(make: Callable[[str], Bench]) -> None:
    """Granting, revoking, adding, locking, removing: nothing to settle, in whatever state."""
    bench = make("restore")
    bench.users.grant(ADMIN, "rohit")
    bench.users.revoke(ADMIN, "ashu")
    bench.users.add(ADMIN, "dev", docker=True)
    for act in (bench.users.lock, bench.users.leave, bench.users.unlock, bench.users.expire):
        act(ADMIN, "dev")
        assert bench.users.settle_drift(CLOCK) == {}
        assert not bench.users.show("dev").drift
    bench.users.remove(ADMIN, "dev")
    assert bench.users.settle_drift(CLOCK) == {}
    assert settled(bench) == []


@pytest.mark.parametrize("state", ["lock", "expire", "leave"])
def test_without_access_the_same_policy_holds(make: Callable[[str], Bench], state: str) -> None:
    """A membership that was changed meanwhile does not come as a surprise later."""
    bench = make("restore")
    getattr(bench.users, state)(ADMIN, "rohit")
    by_hand("usermod", "-aG", "docker", "rohit")
    assert list(bench.users.settle_drift(CLOCK)) == ["restored"]
    assert listed("/etc/group", "docker") == ["ashu"]


def test_what_is_not_known_yet_is_taken_from_the_group(make: Callable[[str], Bench]) -> None:
    """Accounts from before the ledger kept it: once, without a record of drift; then it is kept."""
    bench = make("restore")
    for login in ("ashu", "rohit"):
        row = bench.row(login)
        assert row is not None
        bench.database.write(lambda tx, i=row.id: users.change(tx, i, docker=None))
    assert bench.users.settle_drift(CLOCK) == {}
    assert (wanted(bench, "ashu")[0], wanted(bench, "rohit")[0]) == (True, False)
    assert settled(bench) == []
    by_hand("usermod", "-aG", "docker", "rohit")
    assert list(bench.users.settle_drift(CLOCK)) == ["restored"]


def test_what_is_none_of_our_business(make: Callable[[str], Bench]) -> None:
    """Other groups, unmanaged accounts, people's own keys; the group with access as the primary one is access too."""
    bench = make("restore")
    by_hand("usermod", "-aG", "audio", "ashu")
    by_hand("useradd", "--groups", "docker", "byhand")
    by_hand("usermod", "-rG", "docker", "ashu")
    by_hand("usermod", "-g", "docker", "ashu")
    assert bench.users.settle_drift(CLOCK) == {}
    assert sorted(listed("/etc/group", "docker")) == ["byhand"]


def test_an_account_that_is_another_one(make: Callable[[str], Bench]) -> None:
    """Re-made by hand with another uid: nothing is given to it, nothing is adopted from it."""
    bench = make("restore")
    by_hand("userdel", "ashu")
    by_hand("useradd", "--uid", "5555", "ashu")
    assert bench.users.settle_drift(CLOCK) == {}
    assert listed("/etc/group", "docker") == []
    assert "uid 5555" in bench.users.show("ashu").drift[0]


def test_homes(make: Callable[[str], Bench]) -> None:
    """A home that is missing, foreign or no directory is told."""
    bench = make("adopt")
    os.rename("/home/ashu", "/home/away")
    assert list(bench.users.show("ashu").drift) == ["the home /home/ashu is missing"]
    os.symlink("/home/away", "/home/ashu")
    assert list(bench.users.show("ashu").drift) == ["the home /home/ashu is no directory"]
    os.unlink("/home/ashu")
    os.mkdir("/home/ashu")
    assert list(bench.users.show("ashu").drift) == ["the home /home/ashu belongs to uid 0"]
    os.rmdir("/home/ashu")
    os.rename("/home/away", "/home/ashu")
    assert list(bench.users.show("ashu").drift) == []


def test_what_fails_is_tried_again_later(make: Callable[[str], Bench]) -> None:
    """Not every time, and the others are settled all the same."""
    bench = make("restore")
    by_hand("usermod", "-rG", "docker", "ashu")
    by_hand("usermod", "-aG", "docker", "rohit")

    def fail(argv: list[str]) -> None:
        if argv[0] == "usermod" and argv[-1] == "ashu":
            raise programs.ProgramFailed("usermod failed with code 4: planted", code=4, stderr="planted")

    bench.tools.before = fail
    found = bench.users.settle_drift(CLOCK)
    assert [sentence.split(":")[0] for sentence in found["restored"]] == ["rohit"]
    assert bench.users.settle_drift(CLOCK) == {}, "once more, since the file has changed: by us"
    bench.tools.before = lambda _argv: None
    records = len(bench.records())
    assert bench.users.settle_drift(CLOCK) == {}, "then not for a while"
    assert len(bench.records()) == records
    bench.users._drift._retry_at = 0.5
    assert list(bench.users.settle_drift(CLOCK)) == ["restored"]
    assert not bench.users.show("ashu").drift


def test_a_look_without_a_change_is_cheap(make: Callable[[str], Bench]) -> None:
    """Two stat(2) and one query: every 20 s it may not cost a file read with hundreds of accounts."""
    bench = make("adopt")
    bench.users.settle_drift(CLOCK)
    begun = time.perf_counter()
    for _ in range(50):
        assert bench.users.settle_drift(CLOCK) == {}
    assert (time.perf_counter() - begun) / 50 < 0.005


def test_beside_commands_nothing_is_adopted_that_nobody_did_by_hand(make: Callable[[str], Bench]) -> None:
    """Grants, revocations and whole accounts while the comparison runs all the time: each is the command's, none is drift."""
    bench = make("adopt")
    done = threading.Event()
    problems: list[Exception] = []

    def watch() -> None:
        while not done.is_set():
            try:
                bench.users.settle_drift(CLOCK)
            except Exception as error:
                problems.append(error)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(6):
        bench.users.add(ADMIN, f"user{number}", docker=bool(number % 2))
        bench.users.revoke(ADMIN, "ashu")
        bench.users.grant(ADMIN, "ashu")
        bench.users.remove(ADMIN, f"user{number}")
    done.set()
    watcher.join()
    assert problems == []
    assert settled(bench) == []
    assert wanted(bench, "ashu")[0] is True


def test_a_restoration_that_was_cut_off_is_finished_by_the_next_look(make: Callable[[str], Bench]) -> None:
    """Its intent is closed at the start, and what differs is found again."""
    bench = make("restore")
    by_hand("usermod", "-rG", "docker", "ashu")

    def cut(argv: list[str]) -> None:
        if argv[0] == "usermod":
            raise KeyboardInterrupt

    bench.tools.before = cut
    with pytest.raises(KeyboardInterrupt):
        bench.users.settle_drift(CLOCK)
    bench.tools.before = lambda _argv: None
    bench.journal.boot = "the next start"
    assert bench.users.recover() == 1
    assert list(bench.users.settle_drift(CLOCK)) == ["restored"]
    assert "ashu" in listed("/etc/group", "docker")


def test_groups_of_other_policies(make: Callable[[str], Bench]) -> None:
    """The policy is the setting's, nothing else's."""
    bench = make("adopt")
    bench.places = replace(bench.places, keeping=Keeping(drift="report"))
    bench.database.close()
    bench.open()
    by_hand("usermod", "-rG", "docker", "ashu")
    assert list(bench.users.settle_drift(CLOCK)) == ["reported"]
