"""What is checked before a process starts, and a child that cannot be started."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from hostadmin import processes
from hostadmin.core.errors import Failed, Invalid
from hostadmin.settings import ApiSettings, EngineSettings, GuardSettings, Settings, StoreSettings


def settings(folder, **more):
    given = Settings(
        engine=EngineSettings(f"{folder}/engine.sock"),
        guard=GuardSettings(f"{folder}/guard.sock"),
        api=ApiSettings(f"{folder}/api.sock"),
        store=StoreSettings(f"sqlite:///{folder}/db/h.db"),
    )
    return replace(given, **more)


def test_a_role_is_taken_once_per_database(tmp_path):
    first = processes.take_role(settings(tmp_path), "guard")
    with pytest.raises(processes.AlreadyRunning):
        processes.take_role(settings(tmp_path), "guard")
    os.close(processes.take_role(settings(tmp_path), "service"))
    os.close(first)
    os.close(processes.take_role(settings(tmp_path), "guard"))
    assert (tmp_path / "db").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_written_is_told_with_what_to_do(tmp_path):
    (tmp_path / "db").write_text("in the way")
    with pytest.raises(Failed) as failed:
        processes.take_role(settings(tmp_path), "serve")
    assert "as root" in failed.value.message


@pytest.mark.parametrize("spelling", ["{0}/engine.sock", "{0}/link.sock", "{0}/./engine.sock", "{0}/db/../engine.sock"])
def test_the_guard_never_listens_on_the_engines_socket(tmp_path, spelling):
    (tmp_path / "link.sock").symlink_to(tmp_path / "engine.sock")
    with pytest.raises(Invalid) as refused:
        processes.take_role(settings(tmp_path, guard=GuardSettings(spelling.format(tmp_path))), "guard")
    assert refused.value.key == "configuration"
    assert not (tmp_path / "db").exists(), "nothing was touched"


def test_a_child_that_cannot_be_started_now_is_tried_again(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    child = processes._start("guard", None)
    assert child.process is None
    assert "could not be started" in child.code()
    processes._stop([child])


@pytest.mark.parametrize("role", processes.ROLES)
def test_a_child_is_started_under_its_own_command_line(monkeypatch, tmp_path, role):
    command = tmp_path / "hostadmin"
    command.write_text('#!/bin/sh\necho "$@"\n')
    command.chmod(0o755)
    (tmp_path / "python").symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    seen = []
    monkeypatch.setattr(subprocess, "Popen", lambda argv, **_: seen.append(argv))
    processes._start(role, "/x.toml")
    assert seen == [[str(command), role, "--config", "/x.toml"]]
