"""Homes: whose, private, removed without following anything."""

import os
from pathlib import Path

import pytest

from hostadmin.core.errors import Conflict
from hostadmin.host import homes

ME = os.getuid()


def test_only_nothing_or_ones_own_directory(tmp_path: Path) -> None:
    homes.check(str(tmp_path / "none"), 4242)
    homes.check(str(tmp_path), ME)
    with pytest.raises(Conflict, match=f"uid {ME}"):
        homes.check(str(tmp_path), ME + 1)
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "dangling").symlink_to("/nowhere")
    for name in ("file", "link", "dangling"):
        with pytest.raises(Conflict, match="exists already"):
            homes.check(str(tmp_path / name), ME)
        assert homes.exists(str(tmp_path / name))


def test_private(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    assert not homes.is_private(str(home), ME, os.getgid())
    homes.make_private(str(home), ME + 1)
    assert not homes.is_private(str(home), ME, os.getgid()), "somebody else's is not touched"
    homes.make_private(str(home), ME)
    assert homes.is_private(str(home), ME, home.stat().st_gid)
    (tmp_path / "link").symlink_to(home)
    assert not homes.is_private(str(tmp_path / "link"), ME, home.stat().st_gid)
    homes.make_private(str(tmp_path / "none"), ME)


def test_removal_follows_no_link(tmp_path: Path) -> None:
    outside, home = tmp_path / "outside", tmp_path / "home"
    outside.mkdir()
    (outside / "precious").write_text("x")
    home.mkdir()
    (home / "link").symlink_to(outside)
    (home / "deep" / "er").mkdir(parents=True)
    (home / "deep" / "er" / "file").write_text("x")
    assert homes.remove(str(home), ME)
    assert not home.exists()
    assert (outside / "precious").exists()
    assert homes.remove(str(home), ME), "twice is once"


def test_removal_of_what_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").write_text("x")
    assert not homes.remove(str(tmp_path / "link"), ME)
    assert not homes.remove(str(tmp_path / "file"), ME)
    assert (tmp_path / "real").exists()


def test_mounts_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mountinfo"
    monkeypatch.setattr(homes, "MOUNTS", table)
    table.write_text("1 0 0:1 / / rw - x x rw\n2 1 0:2 / /home rw - x x rw\n3 1 0:3 / /home/ashulater rw - x x rw\n")
    homes.check_no_mounts("/home/ashu")
    with table.open("a") as file:
        file.write("4 1 0:4 / /home/ashu/my\\040data rw - x x rw\n")
    with pytest.raises(Conflict, match="/home/ashu/my data"):
        homes.check_no_mounts("/home/ashu")


def test_ones_own_fuse_mounts_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mountinfo"
    monkeypatch.setattr(homes, "MOUNTS", table)
    own = "4 1 0:4 / /home/ashu/remote rw,nosuid shared:7 - fuse.sshfs host:/ rw,user_id=1000,group_id=1000\n"
    table.write_text(own)
    homes.check_no_mounts("/home/ashu", but_of=1000)
    for but_of in (None, 1001):
        with pytest.raises(Conflict, match="/home/ashu/remote"):
            homes.check_no_mounts("/home/ashu", but_of=but_of)
    table.write_text(own.replace("fuse.sshfs", "ext4"))
    with pytest.raises(Conflict, match="/home/ashu/remote"):
        homes.check_no_mounts("/home/ashu", but_of=1000)


def test_a_mount_below_a_root_that_is_a_symlink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "srv").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "srv")
    table = tmp_path / "mountinfo"
    table.write_text(f"4 1 0:4 / {tmp_path}/srv/ashu/data rw - x x rw\n")
    monkeypatch.setattr(homes, "MOUNTS", table)
    with pytest.raises(Conflict, match="data"):
        homes.check_no_mounts(str(tmp_path / "home" / "ashu"))


def test_owners(tmp_path: Path) -> None:
    assert homes.owners(str(tmp_path)) == set()
    (tmp_path / "dangling").symlink_to("/nowhere")
    assert homes.owners(str(tmp_path)) == {ME}
    assert homes.owners(str(tmp_path / "none")) == set()
