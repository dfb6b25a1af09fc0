"""What a uid leaves on a host: found by owner, removed without following anything."""

import ctypes
import os
import subprocess
from pathlib import Path

import pytest

from hostadmin.host import remains

ME = os.getuid()


def test_spools(tmp_path: Path) -> None:
    crontabs, jobs = tmp_path / "crontabs", tmp_path / "atjobs"
    for folder in (crontabs, jobs):
        folder.mkdir()
    (crontabs / "ashu").write_text("* * * * * true\n")
    (crontabs / "ashu2").write_text("* * * * * true\n")
    (jobs / "a0001").write_text("#!/bin/sh\n")
    (jobs / "folder").mkdir()
    for _ in range(2):
        remains.remove_spools("ashu", ME, by_login=(str(crontabs), str(tmp_path / "none")), by_uid=(str(jobs), str(tmp_path / "none")))
    assert os.listdir(crontabs) == ["ashu2"]
    assert os.listdir(jobs) == ["folder"]
    (jobs / "a0002").write_text("")
    remains.remove_spools("ashu", ME + 1, by_login=(), by_uid=(str(jobs),))
    assert (jobs / "a0002").exists(), "somebody else's"


def test_files_in_shared_places(tmp_path: Path) -> None:
    outside, place = tmp_path / "outside", tmp_path / "shared"
    outside.mkdir()
    place.mkdir()
    (outside / "precious").write_text("x")
    (place / "with\nnewline").write_text("x")
    (place / "-delete").write_text("x")
    (place / "link").symlink_to(outside)
    os.mkfifo(place / "fifo")
    deep = place / "deep" / "er"
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    assert remains.remove_files(ME + 1, places=[str(place)]) == ""
    assert len(os.listdir(place)) == 5
    assert remains.remove_files(ME, places=[str(place), str(tmp_path / "none")]) == ""
    assert not place.exists() or os.listdir(place) == []
    assert (outside / "precious").exists()


def test_the_runtime_folder(tmp_path: Path) -> None:
    mine, others = tmp_path / str(ME), tmp_path / str(ME + 1)
    for folder in (mine, others):
        (folder / "systemd").mkdir(parents=True)
        (folder / "bus").write_text("")
    assert remains.remove_files(ME, places=[str(tmp_path / "none")], runtime=str(tmp_path)) == ""
    assert not mine.exists()
    assert others.exists()
    assert "/run/lock" in remains.SHARED, "of mode 1777 on Debian"


def test_subordinate_uids(tmp_path: Path) -> None:
    place = tmp_path / "shared"
    place.mkdir()
    (place / "file").write_text("x")
    assert remains.remove_files(4_000_000, range(ME + 1, ME + 5), places=[str(place)]) == ""
    assert (place / "file").exists()
    remains.remove_files(4_000_000, range(ME, ME + 1), places=[str(place)])
    assert not (place / "file").exists()


def test_without_any_place_the_working_directory_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").write_text("x")
    monkeypatch.chdir(tmp_path)
    assert remains.remove_files(ME, places=[str(tmp_path / "none")]) == ""
    assert (tmp_path / "mine").exists()


def test_system_v_ipc() -> None:
    libc = ctypes.CDLL(None)
    made = {
        "shm": libc.shmget(0, 4096, 0o1600),
        "msg": libc.msgget(0, 0o1600),
        "sem": libc.semget(0, 1, 0o1600),
    }
    assert all(number >= 0 for number in made.values())
    try:
        assert remains.remove_ipc(ME + 1) == 0
        for table, number in made.items():
            assert number in [n for n, owners in remains._ipc(table) if ME in owners]
    finally:
        removed = [remains.CONTROL[table](number) for table, number in made.items()]
    assert removed == [0, 0, 0]
    for table, number in made.items():
        assert number not in [n for n, _ in remains._ipc(table)]


def test_ipcs_knows_nothing_more() -> None:
    """The tables are read as ipcs(1) reads them."""
    if subprocess.run(["which", "ipcs"], capture_output=True, check=False).returncode:
        pytest.skip("no ipcs here")
    libc = ctypes.CDLL(None)
    number = libc.shmget(0, 4096, 0o1600)
    try:
        told = subprocess.run(["ipcs", "-m"], capture_output=True, text=True, check=True).stdout
        assert str(number) in told
        assert dict(remains._ipc("shm"))[number] == {ME}
    finally:
        remains.CONTROL["shm"](number)
