"""Archives of homes: complete or not there, checked by sha256sum, for root only; nothing is followed out of a home."""

import os
import stat
import subprocess
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from hostadmin.core.errors import Conflict, Failed
from hostadmin.host import archives, programs
from hostadmin.host.archives import Archives

ME = os.getuid()
MOMENT = datetime(2026, 11, 26, 10, 5, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "homes" / "ashu"
    home.mkdir(parents=True)
    (home / "work").write_text("mine")
    return home


@pytest.fixture
def files(tmp_path: Path) -> Archives:
    return Archives(str(tmp_path / "kept"))


def test_an_archive(home: Path, files: Archives) -> None:
    (home / "link").symlink_to("/etc/passwd")
    (home / "with\nnewline").write_text("x")
    (home / "--checkpoint-action=exec=false").write_text("x")
    os.mkfifo(home / "fifo")
    stored = files.store(str(home), "ashu", ME, MOMENT)
    assert os.path.basename(stored.path) == f"ashu-{ME}-20261126T100500Z.tar.gz"
    assert stored.bytes == os.path.getsize(stored.path)
    assert files.is_there(stored)
    assert {stat.S_IMODE(os.stat(p).st_mode) for p in (stored.path, f"{stored.path}.sha256")} == {0o600}
    assert stat.S_IMODE(os.stat(files.folder).st_mode) == 0o700
    checked = subprocess.run(["sha256sum", "-c", f"{stored.path}.sha256"], cwd=files.folder, capture_output=True, text=True, check=False)
    assert checked.stdout == f"{os.path.basename(stored.path)}: OK\n"
    assert stored.sha256 in Path(f"{stored.path}.sha256").read_text()
    with tarfile.open(stored.path) as tar:
        kinds = {m.name: m.type for m in tar.getmembers()}
    assert kinds["./ashu/link"] == tarfile.SYMTYPE, "the link, not what it points to"
    assert kinds["./ashu/fifo"] == tarfile.FIFOTYPE
    assert {"./ashu/work", "./ashu/with\nnewline", "./ashu/--checkpoint-action=exec=false"} <= set(kinds)
    assert len(os.listdir(files.folder)) == 2, "no part is left"


def test_two_in_one_second(home: Path, files: Archives) -> None:
    first = files.store(str(home), "ashu", ME, MOMENT)
    (home / "work").write_text("another")
    second = files.store(str(home), "ashu", ME, MOMENT)
    assert second.path != first.path
    assert len(os.listdir(files.folder)) == 4
    assert subprocess.run(["sha256sum", "-c", f"{first.path}.sha256"], cwd=files.folder, capture_output=True, check=False).returncode == 0


def test_a_huge_hole_costs_nothing(home: Path, files: Archives) -> None:
    with (home / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    files.require_space(str(home))
    assert files.store(str(home), "ashu", ME, MOMENT).bytes < 1 << 20


def test_space_is_looked_at_first(home: Path, files: Archives, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _path: SimpleNamespace(free=1 << 20))
    with pytest.raises(Conflict, match=r"--no-archive") as caught:
        files.require_space(str(home))
    assert caught.value.fields["missing_bytes"] >= archives.SPARE_BYTES - (1 << 20)


def test_a_home_that_is_replaced_meanwhile(home: Path, tmp_path: Path) -> None:
    def run(argv: list[str], **more: object) -> programs.Completed:
        if argv[0] == "tar":
            home.rename(home.with_name("moved"))
            home.symlink_to("/etc")
        return programs.run(argv, **more)  # type: ignore[arg-type]

    files = Archives(str(tmp_path / "kept"), run)
    with pytest.raises(Conflict, match="replaced"):
        files.store(str(home), "ashu", ME, MOMENT)
    assert os.listdir(files.folder) == []
    with pytest.raises(Conflict, match="not a directory of uid"):
        files.store(str(home), "ashu", ME, MOMENT)
    with pytest.raises(Conflict, match="not a directory of uid"):
        files.store(str(home.with_name("moved")), "ashu", ME + 1, MOMENT)
    with pytest.raises(Conflict, match="gone"):
        files.store(str(home.with_name("none")), "ashu", ME, MOMENT)


@pytest.mark.parametrize(("code", "kept"), [(1, True), (2, False)])
def test_what_tar_says(home: Path, tmp_path: Path, code: int, kept: bool) -> None:
    """Code 1: files changed while they were read, the archive is whole; everything else is a failure."""

    def run(argv: list[str], **more: object) -> programs.Completed:
        done = programs.run(argv, **more)  # type: ignore[arg-type]
        if argv[0] == "tar":
            raise programs.ProgramFailed("tar failed", code=code, stderr="tar: ./ashu/log: file changed as we read it")
        return done

    files = Archives(str(tmp_path / "kept"), run)
    if kept:
        assert "changed" in files.store(str(home), "ashu", ME, MOMENT).note
    else:
        with pytest.raises(Failed):
            files.store(str(home), "ashu", ME, MOMENT)
        assert os.listdir(files.folder) == []


def test_tidy(tmp_path: Path, files: Archives) -> None:
    folder = Path(files.folder)
    folder.mkdir()
    stem = "ashu-1000-20261126T100500Z.tar.gz"
    others = ["ashu-1000-1001-20261126T100500Z.tar.gz", "ashu-10001-20261126T100500Z.tar.gz", "bashu-1000-20261126T100500Z.tar.gz"]
    kept = "ashu-1000-20250101T000000Z.tar.gz"
    for name in (stem, f"{stem}.sha256", f"{stem}.part", f"{stem}.part.sha256", kept, f"{kept}.sha256", *others):
        (folder / name).write_text("")
    files.tidy("ashu", 1000, {str(folder / kept)})
    assert sorted(os.listdir(folder)) == sorted([kept, f"{kept}.sha256", *others])
    files.remove(str(folder / kept))
    files.remove(str(folder / kept))
    assert sorted(os.listdir(folder)) == sorted(others)
