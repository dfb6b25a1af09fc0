"""Leaving, taking it back, and the release of accounts that were there before."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hostadmin.core.errors import Conflict, Failed, NotFound
from hostadmin.core.values import UserState
from hostadmin.host import homes
from hostadmin.store import users
from tests.integration.accounts import ADMIN, PASSWORD, Bench, listed, su
from tests.integration.homearchives import archives_of, in_archive, kept

__all__ = ["kept"]  # fixtures
pytestmark = [pytest.mark.host, pytest.mark.usefixtures("pristine_accounts")]


# -- leave, unlock, release ----------------------------------------------------------------------


def test_leave_and_take_it_back(kept: Bench) -> None:
    """Locked out, nothing removed; unlocked as it was; twice is once; an expiry does not weaken it."""
    kept.users.add(ADMIN, "ashu", docker=True, password=PASSWORD)
    assert kept.users.leave(ADMIN, "ashu").state == "leaving"
    assert not su("ashu", PASSWORD)
    records = len(kept.records())
    assert kept.users.leave(ADMIN, "ashu").state == "leaving"
    assert len(kept.records()) == records
    assert os.path.isdir("/home/ashu")
    assert not kept.users.show("ashu").drift
    assert kept.users.unlock(ADMIN, "ashu").state == "active"
    assert su("ashu", PASSWORD)
    kept.users.leave(ADMIN, "ashu")
    kept.users.expire(ADMIN, "ashu")
    assert kept.users.show("ashu").state == "leaving"
    kept.users.remove(ADMIN, "ashu")
    with pytest.raises(NotFound):
        kept.users.show("ashu")


def test_taking_a_leave_back_does_not_open_what_was_locked(kept: Bench) -> None:
    """An administrator's lock wins, whether it came before or while the account was leaving; so does a first day that is to come."""
    today = kept.users._context.today()
    for login in ("before", "meanwhile", "waits", "expired"):
        kept.users.add(ADMIN, login, password=PASSWORD)
    kept.users.lock(ADMIN, "before")
    kept.users.lock(ADMIN, "waits")
    row = kept.row("waits")
    assert row is not None
    kept.database.write(lambda tx: users.change(tx, row.id, starts=today + timedelta(days=5)))
    kept.users.expire(ADMIN, "expired")
    for login in ("before", "meanwhile", "waits", "expired"):
        kept.users.leave(ADMIN, login)
    kept.users.lock(ADMIN, "meanwhile")
    records = len(kept.records())
    kept.users.lock(ADMIN, "meanwhile")
    assert len(kept.records()) == records
    got = {login: kept.users.unlock(ADMIN, login) for login in ("before", "meanwhile", "waits", "expired")}
    assert {login: view.state for login, view in got.items()} == {
        "before": "locked",
        "meanwhile": "locked",
        "waits": "locked",
        "expired": "expired",
    }
    assert got["waits"].starts == (today + timedelta(days=5)).isoformat()
    assert all(not view.drift and kept.accounts.is_locked(login) for login, view in got.items())
    assert kept.users.unlock(ADMIN, "before").state == "active"
    assert su("before", PASSWORD)


def test_an_unlock_forgets_the_archive_of_a_removal_that_was_given_up(kept: Bench) -> None:
    """What the person does afterwards must be in the next one."""
    uid = kept.users.add(ADMIN, "ashu").uid

    def cut(argv: list[str]) -> None:
        if argv[0] == "userdel":
            raise Failed("planted")

    kept.tools.before = cut
    with pytest.raises(Failed, match="planted"):
        kept.users.remove(ADMIN, "ashu")
    kept.tools.before = lambda _argv: None
    assert kept.users.unlock(ADMIN, "ashu").state == "active"
    Path("/home/ashu/later").write_text("x")
    os.chown("/home/ashu/later", uid, uid)
    found = kept.users.remove(ADMIN, "ashu")
    assert found.archive is not None
    assert "./ashu/later" in in_archive(found.archive.path)
    assert len(os.listdir(kept.places.keeping.archives)) == 2


def test_an_adopted_account_is_released_not_removed(kept: Bench) -> None:
    """Its objects, our groups, keys and access go; account, home, password and its own keys stay; then it is nobody of ours."""
    subprocess.run(["groupadd", "class7"], check=False)
    uid = kept.users.add(ADMIN, "ashu", docker=True, password=PASSWORD).uid
    row = kept.row("ashu")
    assert row is not None
    ours, theirs = "ssh-ed25519 AAAAours trainer", "ssh-ed25519 AAAAtheirs me@home"
    folder = Path("/home/ashu/.ssh")
    folder.mkdir(mode=0o700)
    (folder / "authorized_keys").write_text(f"{theirs}\n{ours}\n")
    for path in (folder, folder / "authorized_keys"):
        os.chown(path, uid, uid)
    subprocess.run(["usermod", "-aG", "class7,audio", "ashu"], check=True)
    kept.database.write(lambda tx: users.change(tx, row.id, adopted=True, groups=("class7",), keys=(ours,)))
    with pytest.raises(Conflict, match="user release ashu"):
        kept.users.remove(ADMIN, "ashu")
    kept.owned[row.id] = ["container busy: device busy"]
    with pytest.raises(Failed, match="device busy"):
        kept.users.release(ADMIN, "ashu")
    assert kept.users.show("ashu").state == "leaving"
    kept.owned.clear()
    view = kept.users.release(ADMIN, "ashu")
    assert (view.state, view.managed, view.docker, list(view.groups)) == ("active", False, False, [])
    assert su("ashu", PASSWORD)
    assert listed("/etc/group", "docker") == listed("/etc/group", "class7") == []
    assert listed("/etc/group", "audio") == ["ashu"]
    assert (folder / "authorized_keys").read_text() == f"{theirs}\n"
    assert homes.find_problem("/home/ashu", uid) is None
    changed = kept.row("ashu")
    assert changed is not None
    assert (changed.state, changed.docker, changed.keys, changed.adopted) == (UserState.ACTIVE, None, (), False)
    assert archives_of(kept) == []
    kept.users.add(ADMIN, "rohit")
    with pytest.raises(Conflict, match="user remove rohit"):
        kept.users.release(ADMIN, "rohit")


def test_a_release_does_not_hang_on_what_somebody_makes_of_their_keys(kept: Bench) -> None:
    """``.ssh`` is a symlink to /etc, then a file: nothing is written there, and the account is released all the same."""
    for trick in ("symlink", "file", "folder in the way"):
        login = f"user{len(trick)}"
        uid = kept.users.add(ADMIN, login).uid
        row = kept.row(login)
        assert row is not None
        kept.database.write(lambda tx, i=row.id: users.change(tx, i, adopted=True, keys=("ssh-ed25519 AAAAours trainer",)))
        folder = Path(f"/home/{login}/.ssh")
        if trick == "symlink":
            folder.symlink_to("/etc")
        elif trick == "file":
            folder.write_text("")
        else:
            (folder / "authorized_keys").mkdir(parents=True)
            os.chown(folder, uid, uid)
        kept.users.release(ADMIN, login)
        assert "keys_left" in kept.records("outcome")[-1]["detail"]
        assert Path("/etc").stat().st_uid == 0
        assert not Path("/etc/authorized_keys").exists()


def test_nobody_escapes_by_files_that_come_and_go(kept: Bench) -> None:
    """du cannot tell the size of a home in which somebody works: the removal ends that first, and asks again."""
    uid = kept.users.add(ADMIN, "ashu").uid
    loop = "while :; do mkdir -p a/b/c/d; rm -rf a; done"
    busy = [
        subprocess.Popen(["sh", "-c", f"mkdir w{n}; cd w{n}; {loop}"], user=uid, cwd="/home/ashu", stderr=subprocess.DEVNULL)
        for n in range(4)
    ]
    kept.users.remove(ADMIN, "ashu")
    assert all(process.wait(60) != 0 for process in busy)
    assert not os.path.lexists("/home/ashu")


def test_a_locked_adopted_account_is_open_again_when_it_is_released(kept: Bench) -> None:
    """What hostadmin closed, it opens."""
    kept.users.add(ADMIN, "ashu", password=PASSWORD)
    row = kept.row("ashu")
    assert row is not None
    kept.database.write(lambda tx: users.change(tx, row.id, adopted=True))
    kept.users.lock(ADMIN, "ashu")
    kept.users.release(ADMIN, "ashu")
    assert su("ashu", PASSWORD)


@pytest.fixture
def fuse() -> Iterator[None]:
    """/dev/fuse as udev makes it: for everybody."""
    found = os.stat("/dev/fuse")
    os.mknod("/mnt/fuse", 0o666 | stat.S_IFCHR, found.st_rdev)
    os.chmod("/mnt/fuse", 0o666)
    subprocess.run(["mount", "--bind", "/mnt/fuse", "/dev/fuse"], check=True)
    yield
    subprocess.run(["umount", "--lazy", "/home/ashu/near", "/home/ashu/-a b"], check=False, capture_output=True)
    subprocess.run(["umount", "/dev/fuse"], check=True)
    os.unlink("/mnt/fuse")


@pytest.mark.usefixtures("fuse")
@pytest.mark.parametrize("alive", [True, False])
def test_what_a_person_has_mounted_keeps_no_home(kept: Bench, alive: bool) -> None:
    """FUSE mounts of one's own, served or dead, in folders with odd names: they do not stop the removal, and are in no archive."""
    kept.users.add(ADMIN, "ashu")
    script = """cd; mkdir far near ./'-a b'; echo theirs > far/file
    for on in near ./'-a b'; do bindfs --no-allow-other far "$on"; done
    """
    script += "kill -STOP $(pgrep -x bindfs)" if alive else "kill -9 $(pgrep -x bindfs)"
    subprocess.run(["su", "ashu", "-c", script], check=True, timeout=20, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert [point in Path("/proc/mounts").read_text() for point in (" /home/ashu/near ", " /home/ashu/-a\\040b ")] == [True, True]
    assert homes.size("/home/ashu") > 0, "what is shown of its size does not end at a mount that even root may not look at"
    found = kept.users.remove(ADMIN, "ashu")
    assert found.archive is not None
    inside = in_archive(found.archive.path)
    assert "./ashu/far/file" in inside
    assert "./ashu/near/file" not in inside
    assert not os.path.lexists("/home/ashu")


@pytest.mark.usefixtures("fuse")
def test_such_mounts_go_where_the_service_is_shut_in_too(kept: Bench) -> None:
    """As the shipped unit runs it: a mount namespace of its own, no setuid programs. The host's mount goes with its folder."""
    uid = kept.users.add(ADMIN, "ashu").uid
    script = "cd; mkdir -p far in/near; bindfs --no-allow-other far in/near; kill -9 $(pgrep -x bindfs)"
    subprocess.run(["su", "ashu", "-c", script], check=True, timeout=20, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert " /home/ashu/in/near " in Path("/proc/mounts").read_text()
    remove = f"from hostadmin.host import homes; homes.detach_own('/home/ashu', {uid}); homes.check_no_mounts('/home/ashu')"
    remove += f"; assert homes.remove('/home/ashu', {uid})"
    shut_in = ["unshare", "--mount", "--propagation", "slave", "setpriv", "--no-new-privs"]
    subprocess.run([*shut_in, sys.executable, "-c", remove], check=True, timeout=60)
    assert not os.path.lexists("/home/ashu")
    assert " /home/ashu/in/near" not in Path("/proc/mounts").read_text()
