"""The vault: one gets it, nobody else reads it, and it refuses a place that is not safe."""

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hostadmin.core.errors import Failed, Invalid
from hostadmin.host import vault as module
from hostadmin.host.vault import MemoryVault, Vault, file_system_of, open_vault

SECRET = {"password": "budo-kife-ropi-tuve-47", "name": "Kovács"}
OTHER = 12345


@pytest.fixture
def vault(tmp_path):
    return Vault(tmp_path / "run" / "secrets", volatile_only=False)


def as_uid(vault, uid):
    """Make everything in it belong to ``uid``: as root really, else by a process that says it is somebody else."""
    for path in (vault.directory, *vault.directory.iterdir()):
        os.chown(path, uid, uid)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to somebody else")


def test_kept_given_taken_dropped(vault):
    assert vault.get("card", "ashu") is None
    assert vault.take("card", "ashu") is None
    vault.drop("card", "ashu")
    assert not vault.directory.exists(), "looking makes nothing"
    vault.put("card", "ashu", SECRET)
    assert vault.get("card", "ashu") == vault.get("card", "ashu") == SECRET
    vault.put("card", "ashu", {"new": [1, None]})
    assert vault.take("card", "ashu") == {"new": [1, None]}
    assert vault.take("card", "ashu") is None
    vault.put("card", "ashu", SECRET)
    vault.drop("card", "ashu")
    assert vault.get("card", "ashu") is None
    assert list(vault.directory.iterdir()) == []


def test_another_process_of_ours_finds_it(vault):
    vault.put("card", "ashu", SECRET)
    assert Vault(str(vault.directory), volatile_only=False).get("card", "ashu") == SECRET


def test_only_the_owner_reads(vault):
    old = os.umask(0)
    try:
        vault.put("card", "ashu", SECRET)
    finally:
        os.umask(old)
    assert stat.S_IMODE(vault.directory.stat().st_mode) == 0o700
    assert [stat.S_IMODE(p.lstat().st_mode) for p in vault.directory.iterdir()] == [0o600]


def test_kinds_and_keys_do_not_run_into_one_another(vault):
    pairs = [("a", "b.c"), ("a.b", "c"), ("a", "b-c"), ("a-b", "c"), ("..", "."), (".", ".."), ("a", "b"), ("a", "B")]
    for number, pair in enumerate(pairs):
        vault.put(*pair, {"n": number})
    assert [vault.get(*pair) for pair in pairs] == [{"n": n} for n in range(len(pairs))]
    assert len(list(vault.directory.iterdir())) == len(pairs)


@pytest.mark.parametrize("word", ["", "a/b", "../x", "a\0b", "a\n", "a=b", "a~", "ä", "a b", "a" * 101])
@pytest.mark.parametrize("method", ["put", "get", "take", "drop"])
def test_names_of_another_form(vault, word, method):
    value = (SECRET,) if method == "put" else ()
    for pair in ((word, "key"), ("kind", word)):
        with pytest.raises(Invalid) as caught:
            getattr(vault, method)(*pair, *value)
        assert "budo" not in str(caught.value)
    assert not vault.directory.exists()


def test_of_many_takers_one_gets_it(vault):
    for number in range(20):
        vault.put("card", "ashu", {"n": number})
        gate = threading.Barrier(8)

        def take(_, gate=gate):
            gate.wait()
            return vault.take("card", "ashu")

        with ThreadPoolExecutor(8) as pool:
            got = [found for found in pool.map(take, range(8)) if found is not None]
        assert got == [{"n": number}]


def test_readers_beside_writers_never_see_half(vault):
    values = [{"n": n, "fill": "x" * 50_000} for n in range(4)]
    vault.put("card", "ashu", values[0])

    def work(number):
        for _ in range(25):
            vault.put("card", "ashu", values[number])
            assert vault.get("card", "ashu") in values

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(list(vault.directory.iterdir())) == 1


def test_what_a_killed_writer_left_is_no_hindrance(vault):
    vault.put("card", "ashu", SECRET)
    (vault.directory / "card=ashu~").write_text('{"half":')
    assert vault.get("card", "ashu") == SECRET
    vault.put("card", "ashu", {"n": 1})
    assert vault.get("card", "ashu") == {"n": 1}
    assert len(list(vault.directory.iterdir())) == 1


def test_a_writer_that_fails_leaves_the_old_one_and_no_rest(vault, monkeypatch):
    vault.put("card", "ashu", SECRET)

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "rename", full)
    with pytest.raises(Failed, match="No space left") as caught:
        vault.put("card", "ashu", {"password": "other-secret"})
    assert "other-secret" not in str(caught.value)
    assert [p.name for p in vault.directory.iterdir()] == ["card=ashu"]
    assert vault.get("card", "ashu") == SECRET


def test_too_large(vault):
    with pytest.raises(Failed, match="too large"):
        vault.put("card", "ashu", {"x": "y" * (1 << 20)})
    assert not vault.directory.exists()


# -- a place that is not safe ---------------------------------------------------------------------------------


def refused(vault, match):
    for call in (
        lambda: vault.put("card", "new", SECRET),
        lambda: vault.get("card", "ashu"),
        lambda: vault.take("card", "ashu"),
        lambda: vault.drop("card", "ashu"),
    ):
        with pytest.raises(Failed, match=match) as caught:
            call()
        assert str(vault.directory) in str(caught.value)
        assert "budo" not in str(caught.value)


def test_a_link_to_a_directory(vault, tmp_path):
    Vault(tmp_path / "elsewhere", volatile_only=False).put("card", "ashu", SECRET)
    vault.directory.parent.mkdir()
    vault.directory.symlink_to(tmp_path / "elsewhere")
    refused(vault, "no directory or a link")
    assert [p.name for p in (tmp_path / "elsewhere").iterdir()] == ["card=ashu"]


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo, lambda p: p.symlink_to("/nowhere")])
def test_no_directory(vault, make):
    vault.directory.parent.mkdir()
    make(vault.directory)
    refused(vault, "no directory or a link")


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701, 0o710, 0o702])
def test_open_to_others(vault, mode):
    vault.put("card", "ashu", SECRET)
    vault.directory.chmod(mode)
    refused(vault, f"its mode {mode:04o} lets others in")
    vault.directory.chmod(0o700)
    assert vault.get("card", "ashu") == SECRET


@needs_root
def test_somebody_elses(vault):
    vault.put("card", "ashu", SECRET)
    as_uid(vault, OTHER)
    refused(vault, f"belongs to uid {OTHER}")


def test_a_file_system_that_keeps(vault, monkeypatch):
    vault.put("card", "ashu", SECRET)
    strict = Vault(vault.directory)
    monkeypatch.setattr(module, "file_system_of", lambda _: "ext4")
    refused(strict, "it is on ext4, which keeps what it has")
    monkeypatch.setattr(module, "file_system_of", lambda _: None)
    refused(strict, "an unknown file system")
    for kind in ("tmpfs", "ramfs"):
        monkeypatch.setattr(module, "file_system_of", lambda _, kind=kind: kind)
        assert strict.get("card", "ashu") == SECRET


MOUNTS = """\
21 1 0:20 / / rw - overlay overlay rw,lowerdir=/a
22 21 0:21 / /run rw,nosuid shared:5 master:1 - tmpfs tmpfs rw
221 21 8:1 / /mnt/a\\040-\\040tmpfs rw - ext4 /dev/sda1 rw
"""


@pytest.mark.parametrize(("mount", "kind"), [("22", "tmpfs"), ("21", "overlay"), ("221", "ext4"), ("2", None), ("", None)])
def test_what_a_file_is_on(tmp_path, mount, kind):
    (tmp_path / "fdinfo").mkdir()
    (tmp_path / "fdinfo" / "7").write_text(f"pos:\t0\nflags:\t02\nmnt_id:\t{mount}\nino:\t9\n")
    (tmp_path / "mountinfo").write_text(MOUNTS)
    assert file_system_of(7, tmp_path) == kind


def test_what_this_host_says():
    for path, kind in (("/proc", "proc"), ("/dev/shm", "tmpfs")):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            assert file_system_of(descriptor) == kind, path
        finally:
            os.close(descriptor)


# -- a file that is not ours ----------------------------------------------------------------------------------


def plant_link(path):
    target = path.parent.parent / "target"
    target.write_text('{"password": "foreign"}')
    target.chmod(0o600)
    path.symlink_to(target)


def plant_hard_link(path):
    target = path.parent.parent / "target"
    target.write_text('{"password": "foreign"}')
    target.chmod(0o600)
    path.hardlink_to(target)


def plant_open(path):
    path.write_text('{"password": "foreign"}')
    path.chmod(0o644)


def plant_text(text):
    def plant(path):
        path.write_text(text)
        path.chmod(0o600)

    return plant


PLANTS = {
    "link": plant_link,
    "hard link": plant_hard_link,
    "open": plant_open,
    "fifo": os.mkfifo,
    "directory": os.mkdir,
    **{f"text {text!r}": plant_text(text) for text in ("", '{"password": "foreign', "[]", '"foreign"', "x")},
}


@pytest.mark.parametrize("plant", PLANTS.values(), ids=PLANTS)
def test_a_file_that_is_not_ours_is_not_read(vault, plant):
    vault.put("card", "first", SECRET)
    path = vault.directory / "card=ashu"
    plant(path)
    for method in (vault.get, vault.take):
        with pytest.raises(Failed, match="not what hostadmin has put there") as caught:
            method("card", "ashu")
        error = caught.value
        while error is not None:
            assert "foreign" not in repr((error, vars(error)))
            error = error.__context__
    assert os.path.lexists(path)
    assert vault.get("card", "first") == SECRET


@needs_root
def test_a_file_of_somebody_else_is_not_read(vault):
    vault.put("card", "ashu", SECRET)
    os.chown(vault.directory / "card=ashu", OTHER, OTHER)
    with pytest.raises(Failed, match="not what hostadmin"):
        vault.get("card", "ashu")


def test_a_link_in_the_way_is_replaced_not_followed(vault, tmp_path):
    vault.put("card", "first", SECRET)
    target = tmp_path / "target"
    target.write_text("mine")
    for name in ("card=ashu", "card=ashu~"):
        (vault.directory / name).symlink_to(target)
    vault.put("card", "ashu", SECRET)
    assert target.read_text() == "mine"
    assert vault.get("card", "ashu") == SECRET


def test_a_host_chooses_memory(tmp_path):
    """The configured place if it lies in memory, else shared memory, else the process: never a disk."""
    memory = Path("/dev/shm")
    if file_system_of(os.open(memory, os.O_RDONLY)) not in ("tmpfs", "ramfs"):
        pytest.skip("/dev/shm is no tmpfs here")
    assert open_vault(str(memory / "a" / "b"), "/nowhere").directory == memory / "a" / "b"
    if file_system_of(os.open("/", os.O_RDONLY)) in ("tmpfs", "ramfs"):
        pytest.skip("/ lies in memory here")
    own = memory / f"hostadmin-test-{os.getpid()}"
    try:
        assert open_vault("/nowhere/a", str(own)).directory == own
        assert isinstance(open_vault("/nowhere/a", "/nowhere/b"), MemoryVault)
        own.chmod(0o755)  # somebody else was first
        assert isinstance(open_vault("/nowhere/a", str(own)), MemoryVault)
    finally:
        own.rmdir()


def test_the_process_keeps_as_a_file_does():
    vault = MemoryVault()
    vault.put("cards", "a", {"x": 1})
    assert vault.get("cards", "a") == {"x": 1}
    vault.get("cards", "a")["x"] = 2
    assert vault.take("cards", "a") == {"x": 1}
    assert vault.take("cards", "a") is None
    vault.drop("cards", "a")
    with pytest.raises(Invalid):
        vault.put("cards", "a/b", {})
