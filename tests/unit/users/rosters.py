"""What the tests of rosters share: a host's answers, and parsing that says what was wrong."""

from datetime import date

import pytest

from hostadmin.users.roster import Roster, RosterRefused, parse

TODAY = date(2026, 11, 26)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI"
HASH = "$6$salt$" + "Ab1" * 28 + "zz"
GROUPS = {"lab", "dialout", "class-2026"}


def why_not(group: str) -> str | None:
    return None if group in GROUPS else "it is not among the groups that may be given"


def read(data: bytes | str, filename: str = "class.csv", **more: object) -> Roster:
    raw = data.encode() if isinstance(data, str) else data
    words = {"today": TODAY, "taken_logins": frozenset(), "known_profiles": {"student", "tutor"}, "is_group": why_not}
    return parse(raw, filename, **(words | more))


def problems(data: bytes | str, filename: str = "class.csv", **more: object) -> list[dict]:
    with pytest.raises(RosterRefused) as caught:
        read(data, filename, **more)
    assert caught.value.key == "roster"
    assert caught.value.status == 400
    found = caught.value.fields["problems"]
    for problem in found:
        assert set(problem) == {"row", "line", "column", "value", "reason"}
        assert problem["value"] is None or len(problem["value"]) <= 64
        assert all(text is None or text.isprintable() for text in (problem["column"], problem["value"], problem["reason"]))
    assert caught.value.message.isprintable()
    return found


def problem(data: bytes | str, filename: str = "class.csv", **more: object) -> dict:
    """Return the one problem of a file."""
    (only,) = problems(data, filename, **more)
    return only
