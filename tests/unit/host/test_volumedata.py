"""The content of a volume in a tar: whole, root's alone, checked, in place in one step."""

import os
import stat

import pytest

from hostadmin.core.errors import Failed
from hostadmin.host import volumedata
from hostadmin.host.programs import ProgramFailed


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "volumes" / "v" / "_data"
    (made / "d").mkdir(parents=True)
    (made / "d" / "f").write_text("text")
    (made / "l").symlink_to("/etc/passwd")
    os.chmod(made / "d", 0o2750)
    with (made / "hole").open("wb") as file:
        file.truncate(1 << 30)
    return made


def test_what_is_packed_is_unpacked(tmp_path, folder):
    packed = volumedata.pack(str(folder), tmp_path / "resets" / "plan" / "v.tar")
    assert [p.name for p in (tmp_path / "resets" / "plan").iterdir()] == ["v.tar"]
    assert [stat.S_IMODE(os.stat(p).st_mode) for p in (tmp_path / "resets", tmp_path / "resets" / "plan", packed.file)] == [
        0o700,
        0o700,
        0o600,
    ]
    assert packed.bytes == os.stat(packed.file).st_size < 1 << 20, "a hole takes no room"
    (folder / "newer").touch()
    volumedata.unpack(packed, str(folder))
    assert sorted(p.name for p in folder.iterdir()) == ["d", "hole", "l"]
    assert (folder / "d" / "f").read_text() == "text"
    assert stat.S_IMODE(os.stat(folder / "d").st_mode) == 0o2750
    assert os.readlink(folder / "l") == "/etc/passwd"
    assert os.stat(folder / "hole").st_blocks == 0
    assert [p.name for p in folder.parent.iterdir()] == ["_data"]


def test_a_damaged_tar_changes_nothing(tmp_path, folder):
    packed = volumedata.pack(str(folder), tmp_path / "resets" / "plan" / "v.tar")
    with open(packed.file, "r+b") as file:
        file.seek(600)
        file.write(b"x")
    with pytest.raises(Failed, match="damaged"):
        volumedata.unpack(packed, str(folder))
    assert (folder / "d" / "f").exists()


def test_what_an_earlier_attempt_has_left_is_swept_away(tmp_path, folder):
    packed = volumedata.pack(str(folder), tmp_path / "resets" / "plan" / "v.tar")
    (folder.with_name("_data.hostadmin-new") / "half").mkdir(parents=True)
    folder.rename(folder.with_name("_data.hostadmin-old"))
    volumedata.unpack(packed, str(folder))
    assert [p.name for p in folder.parent.iterdir()] == ["_data"]
    assert (folder / "d" / "f").read_text() == "text"


def test_nothing_is_left_of_a_tar_that_fails(tmp_path, folder):
    def fail(argv, **_):
        assert "--one-file-system" in argv
        raise ProgramFailed("tar failed with code 2: no space", code=2, stderr="")

    with pytest.raises(ProgramFailed):
        volumedata.pack(str(folder), tmp_path / "resets" / "plan" / "v.tar", run=fail)
    assert list((tmp_path / "resets" / "plan").iterdir()) == []
    with pytest.raises(Failed, match="could not be kept"):
        volumedata.pack(str(folder), tmp_path / "no" / "such" / "folder" / "v.tar")


def test_forgetting_takes_the_empty_folder_along(tmp_path, folder):
    plan = tmp_path / "resets" / "plan"
    one, two, other = (volumedata.pack(str(folder / "d"), plan / name).file for name in ("a.1.tar", "a.2.tar", "ab.1.tar"))
    volumedata.forget(plan, "a.", keep=two)
    assert [os.path.exists(f) for f in (one, two, other)] == [False, True, True]
    volumedata.forget(plan, "a.")
    assert [os.path.exists(f) for f in (two, other)] == [False, True]
    volumedata.forget(plan, "ab.")
    volumedata.forget(plan, "ab.")
    assert not plan.exists()
