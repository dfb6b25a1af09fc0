"""The configuration: the file for people says what the code says; unknown keys are errors."""

import tomllib
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from hostadmin.core.errors import Invalid
from hostadmin.settings import Settings, UsersSettings, load
from hostadmin.users.numbers import Ranges

FILE = Path(__file__).parents[2] / "config" / "hostadmin.toml"


def test_the_shipped_file_holds_every_key_with_its_default():
    defaults = {k: v for k, v in asdict(Settings()).items() if k != "source"}
    assert tomllib.loads(FILE.read_text()) == defaults


def test_environment_overrides(tmp_path):
    found = load(str(FILE), {"HOSTADMIN_ENGINE__SOCKET": "/x", "HOSTADMIN_ENGINE__CLOSE_SOCKET": "no", "HOSTADMIN_USERS__UID_MIN": "2000"})
    assert (found.engine.socket, found.engine.close_socket, found.users.uid_min) == ("/x", False, 2000)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[engine]\nsokcet = 'x'", "unknown key engine.sokcet"),
        ("[motor]\nsocket = 'x'", "unknown section [motor]"),
        ("[upkeep]\nresync_seconds = 'soon'", "upkeep.resync_seconds must be int"),
        ("[engine]\nclose_socket = 1", "engine.close_socket must be bool"),
        ("[guard]\nmode = 'watch'", 'guard.mode must be "enforce" or "observe"'),
        ("[guard]\nmode = true", 'guard.mode must be "enforce" or "observe"'),
        ("not toml", "Cannot read"),
    ],
)
def test_wrong_files_are_refused_with_the_place(tmp_path, text, says):
    file = tmp_path / "h.toml"
    file.write_text(text)
    with pytest.raises(Invalid) as refused:
        load(str(file), {})
    assert says in refused.value.message


def test_all_problems_are_told_at_once(tmp_path):
    file = tmp_path / "h.toml"
    file.write_text("[engine]\na = 1\nb = 2\n")
    with pytest.raises(Invalid) as refused:
        load(str(file), {"HOSTADMIN_GUARD__C": "3"})
    assert all(f"engine.{k}" in refused.value.message for k in "ab")
    assert "guard.c" in refused.value.message


def test_a_file_that_is_asked_for_must_be_there(tmp_path):
    with pytest.raises(Invalid):
        load(str(tmp_path / "none.toml"), {})


def test_the_ranges_of_numbers_say_the_same_where_they_are_used():
    """Nothing below reads the settings; what stands there for a lone service must not drift from them."""
    ours = {f.name: getattr(Ranges(), f.name) for f in fields(Ranges)}
    assert ours == {name: getattr(UsersSettings(), name) for name in ours}
