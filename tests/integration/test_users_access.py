"""Single users on a real host: access, removal, and what somebody changed by hand."""

import os
import subprocess
from pathlib import Path

import pytest

from hostadmin.core.errors import Conflict, Failed, Forbidden, NotFound
from hostadmin.host import homes
from tests.integration.accounts import ADMIN, PASSWORD, Bench, su, listed, mentions, is_clean

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("pristine_accounts")]


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
    assert sleeper.wait(60) != 0
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
    assert bench.users.show("ashu").state == "leaving"
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
        assert bench.users.show("ashu").state == "leaving"
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
