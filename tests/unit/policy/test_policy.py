"""Profiles and restart policies."""

from dataclasses import replace
from pathlib import Path

import pytest

from hostadmin.core.errors import Invalid, NotFound
from hostadmin.policy.profiles import UNSAID, load
from hostadmin.policy.restarts import RestartPolicy, correct_restart, default_restart, find_restart_violation, parse_restart_policy

FILE = Path(__file__).parents[3] / "config" / "profiles.toml"
STUDENT = load(FILE, "student").get(None)
STRICT = replace(STUDENT, restart_policies=("no", "on-failure"), restart_default="no", restart_max_retries=3)


def test_the_shipped_profiles_are_acceptable():
    profiles = load(FILE, "student")
    assert profiles.get("trainer").name == "trainer"
    with pytest.raises(NotFound):
        profiles.get("king")
    assert profiles.get_or_default("king").name == "student"


def test_a_file_of_an_earlier_version_has_the_students_numbers(tmp_path):
    lines = [line for line in FILE.read_text().splitlines() if line.partition(" =")[0] not in UNSAID]
    file = tmp_path / "old.toml"
    file.write_text("\n".join(lines))
    assert load(file, "student").get(None) == STUDENT
    old, shipped = load(file, "student").get("trainer"), load(FILE, "student").get("trainer")
    assert (old.containers, old.pids) == (STUDENT.containers, shipped.pids)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("stopped_hours = 24 ", "stoped_hours = 24 "), "unknown key 'stoped_hours'"),
        (('restart_default = "no" ', 'restart_default = "sometimes" '), "restart_default"),
        (("ports = [1024, 65535]", "ports = [9, 1]"), "ports"),
        (("pids = 1024 ", "pids = -1 "), "pids"),
        (("[student]", "[learner]"), "default profile"),
        (("cpus = 0.0", 'cpus = "many"'), "cpus"),
    ],
)
def test_wrong_profiles_are_refused_with_the_place(tmp_path, change, says):
    text = FILE.read_text()
    assert change[0] in text
    file = tmp_path / "p.toml"
    file.write_text(text.replace(*change))
    with pytest.raises(Invalid) as refused:
        load(file, "student")
    assert says in refused.value.message


@pytest.mark.parametrize(
    ("text", "policy"),
    [("no", RestartPolicy("no")), ("always", RestartPolicy("always")), ("on-failure:3", RestartPolicy("on-failure", 3)),
     ("on-failure", RestartPolicy("on-failure")), ("always:3", None), ("on-failure:-1", None), ("", None), ("never", None)],
)  # fmt: skip
def test_policies_as_the_cli_writes_them(text, policy):
    assert parse_restart_policy(text) == policy
    if policy:
        assert str(policy) == text


@pytest.mark.parametrize(
    ("found", "becomes"),
    [
        ("no", "no"),
        ("always", "no"),
        ("unless-stopped", "no"),
        ("on-failure:2", "on-failure:2"),
        ("on-failure:9", "on-failure:3"),
        ("on-failure", "on-failure:3"),
    ],
)
def test_what_a_profile_makes_of_a_policy(found, becomes):
    policy = parse_restart_policy(found)
    corrected = correct_restart(policy, STRICT)
    assert str(corrected) == becomes
    assert find_restart_violation(corrected, STRICT) is None
    assert (find_restart_violation(policy, STRICT) is None) == (found == becomes)


def test_the_default_is_applied_where_nothing_is_said():
    assert default_restart(None, STUDENT) == default_restart(RestartPolicy(""), STUDENT) == RestartPolicy("no")
    assert default_restart(RestartPolicy("always"), STUDENT) == RestartPolicy("always")


def test_a_changed_file_holds_and_an_unacceptable_one_leaves_the_old_profiles(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("hostadmin.policy.profiles.LOOK_SECONDS", -1.0)
    file = tmp_path / "p.toml"
    file.write_text(FILE.read_text())
    profiles = load(file, "student")
    assert profiles.get(None).containers == 50
    file.write_text(FILE.read_text().replace("containers = 50 ", "containers = 7 "))
    assert profiles.get(None).containers == 7
    file.write_text("[student]\ncontainers = 9\n")
    assert profiles.get_or_default("gone").containers == 7
    assert "stay in force" in caplog.text
    file.unlink()
    assert profiles.get(None).containers == 7
    file.write_text(FILE.read_text())
    assert profiles.get(None).containers == 50
