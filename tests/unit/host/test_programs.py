"""The one door to other programs."""

import pytest

from hostadmin.host import programs
from hostadmin.host.programs import ProgramFailed

SECRET = "planted-secret"


def test_output_and_input() -> None:
    assert programs.run(["cat"], stdin=SECRET).stdout == SECRET


def test_the_input_is_empty_unless_given() -> None:
    assert programs.run(["cat"]).stdout == ""


def test_the_environment_is_rebuilt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED", SECRET)
    names = {line.split("=")[0] for line in programs.run(["env"]).stdout.splitlines()}
    assert names <= {"PATH", "LC_ALL", "HOME", "PWD", "SHLVL", "_"}


def test_an_argument_is_never_a_shell_word() -> None:
    assert programs.run(["echo", "$(id)", "a;b"]).stdout == "$(id) a;b\n"


def test_failure_has_code_and_stderr_but_no_input() -> None:
    with pytest.raises(ProgramFailed) as caught:
        programs.run(["sh", "-c", "echo why >&2; exit 7"], stdin=SECRET)
    assert (caught.value.code, caught.value.stderr) == (7, "why")
    assert SECRET not in str(caught.value)


def test_stderr_is_cut_and_need_not_be_text() -> None:
    with pytest.raises(ProgramFailed) as caught:
        programs.run(["sh", "-c", "printf '\\377'; head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1"])
    assert len(caught.value.stderr) == programs.STDERR_LIMIT


def test_a_missing_program_is_told() -> None:
    with pytest.raises(ProgramFailed, match="is missing"):
        programs.run(["no-such-program"])


def test_too_slow() -> None:
    with pytest.raises(ProgramFailed, match="did not end") as caught:
        programs.run(["sleep", "30"], stdin=SECRET, timeout=0.1)
    assert SECRET not in str(caught.value)
