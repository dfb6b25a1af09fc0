"""Argument lists of the shadow tools, and what is read back; the tools themselves: tests/integration/test_users.py."""

from datetime import date
from pathlib import Path

import pytest

from hostadmin.core.errors import Conflict, Failed
from hostadmin.host import accounts as module
from hostadmin.host.accounts import Accounts, comment_of, expiry_day
from hostadmin.host.programs import ProgramFailed

DIGEST = "a" * 86
HASH = f"$6$rounds=100000$abcdefgh${DIGEST}"


class Host:
    """Account files in a folder, and a tool that notes its arguments and then does as told."""

    def __init__(self, place: Path) -> None:
        self.etc = place
        self.calls: list[tuple[list[str], str]] = []
        self.then: list[object] = []
        self.write(passwd="root:x:0:0:root:/root:/bin/bash\n", shadow="root:*:1::::::\n", group="root:x:0:\n", gshadow="root:*::\n")
        self.accounts = Accounts(place, self.run)

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self.etc / name).write_text(text)

    def run(self, argv: list[str], *, stdin: str = "") -> None:
        self.calls.append((argv, stdin))
        act = self.then.pop(0) if self.then else None
        if isinstance(act, Exception):
            raise act
        if isinstance(act, dict):
            self.write(**act)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    host = Host(tmp_path)
    host.write(
        passwd="root:x:0:0:root:/root:/bin/bash\nashu:x:1000:1000:Ashu:/home/ashu:/bin/bash\n",
        shadow=f"root:*:1::::::\nashu:{HASH}:20000:0:99999:7:::\n",
        group="root:x:0:\nashu:x:1000:\ndocker:x:990:dev\n",
        gshadow="root:*::\nashu:!::\ndocker:!::dev\n",
    )
    return host


def shadow(hashed: str, day: str = "") -> dict[str, str]:
    return {"shadow": f"root:*:1::::::\nashu:{hashed}:20000:0:99999:7::{day}:\n"}


def test_lock(host: Host) -> None:
    host.then = [shadow(f"!{HASH}", "1")]
    host.accounts.lock("ashu")
    host.accounts.lock("ashu")
    assert host.calls == [(["usermod", "--lock", "--expiredate", "1", "--", "ashu"], "")]


def test_unlock(host: Host) -> None:
    host.write(**shadow(f"!{HASH}", "1"))
    host.then = [shadow(HASH, str(expiry_day(date(2099, 5, 1))))]
    host.accounts.unlock("ashu", date(2099, 5, 1))
    host.accounts.unlock("ashu", date(2099, 5, 1))
    assert host.calls == [(["usermod", "--unlock", "--expiredate", "2099-05-02", "--", "ashu"], "")]


def test_unlock_without_a_hash_does_not_ask_for_what_usermod_refuses(host: Host) -> None:
    host.write(**shadow("!", "1"))
    host.then = [shadow("!")]
    host.accounts.unlock("ashu", None)
    assert host.calls == [(["usermod", "--expiredate", "", "--", "ashu"], "")]


@pytest.mark.parametrize("locked", [False, True], ids=["open", "locked"])
def test_the_hash_goes_through_standard_input(host: Host, locked: bool) -> None:
    other = HASH.replace("abc", "xyz")
    stored = f"!{other}" if locked else other
    host.then = [shadow(stored)]
    host.accounts.set_hash("ashu", other, locked=locked)
    assert host.calls == [(["chpasswd", "--encrypted"], f"ashu:{stored}\n")]


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "x",
        "plaintext",
        "!",
        "*",
        f"$6$rounds=100000$abc${'a' * 85}",
        f"{HASH}\nroot:{HASH}",
        f"{HASH}:",
        "$1$abcdefgh$aaaa",
        f"!{HASH}",
    ],
)
def test_no_other_string_becomes_a_hash(host: Host, wrong: str) -> None:
    with pytest.raises(Failed):
        host.accounts.set_hash("ashu", wrong)
    assert host.calls == []


def test_membership(host: Host) -> None:
    host.then = [{"group": "ashu:x:1000:\ndocker:x:990:dev,ashu\n", "gshadow": "ashu:!::\ndocker:!::dev,ashu\n"}]
    host.accounts.add_to_group("ashu", "docker")
    host.accounts.add_to_group("ashu", "docker")
    host.then = [{"group": "ashu:x:1000:\ndocker:x:990:dev\n", "gshadow": "ashu:!::\ndocker:!::dev\n"}]
    host.accounts.remove_from_group("ashu", "docker")
    host.accounts.remove_from_group("ashu", "docker")
    assert [argv for argv, _ in host.calls] == [
        ["usermod", "--append", "--groups", "docker", "--", "ashu"],
        ["usermod", "--remove", "--groups", "docker", "--", "ashu"],
    ]


def test_membership_in_one_of_the_two_files_is_repaired(host: Host) -> None:
    host.write(group="ashu:x:1000:\ndocker:x:990:dev,ashu\n")
    host.then = [{"gshadow": "docker:!::dev,ashu\n"}]
    host.accounts.add_to_group("ashu", "docker")
    assert len(host.calls) == 1


def test_a_code_of_0_is_no_proof(host: Host) -> None:
    for act in (
        lambda: host.accounts.lock("ashu"),
        lambda: host.accounts.set_hash("ashu", HASH.replace("abc", "xyz")),
        lambda: host.accounts.add_to_group("ashu", "docker"),
        lambda: host.accounts.set_comment("ashu", "Other"),
        lambda: host.accounts.set_expiry("ashu", date(2099, 1, 1)),
        lambda: host.accounts.discard("ashu", uid=1000, gid=1000),
    ):
        with pytest.raises(Failed):
            act()


def test_an_account_with_another_uid_is_never_discarded(host: Host) -> None:
    with pytest.raises(Conflict):
        host.accounts.discard("ashu", uid=1001, gid=1001)
    assert host.calls == []


def test_another_writer_is_waited_for(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", (0.0, 0.0))
    busy = ProgramFailed("busy", code=1, stderr="usermod: cannot lock /etc/passwd; try again later.")
    host.then = [busy, ProgramFailed("busy", code=10, stderr="cannot lock /etc/group"), shadow(f"!{HASH}", "1")]
    host.accounts.lock("ashu")
    assert len(host.calls) == 3


@pytest.mark.parametrize(("code", "stderr"), [(1, "disk on fire"), (6, "cannot lock"), (12, "")])
def test_what_is_no_lock_is_not_tried_again(host: Host, code: int, stderr: str) -> None:
    host.then = [ProgramFailed("no", code=code, stderr=stderr)]
    with pytest.raises(ProgramFailed):
        host.accounts.lock("ashu")
    assert len(host.calls) == 1


def test_a_lock_is_not_waited_for_without_end(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_WAIT_SECONDS", 0.0)
    host.then = [ProgramFailed("no", code=1, stderr="cannot lock")] * 50
    with pytest.raises(ProgramFailed):
        host.accounts.lock("ashu")
    assert len(host.calls) <= 3


def test_the_last_day_is_a_day_of_access() -> None:
    assert expiry_day(None) is None
    assert expiry_day(date(1970, 1, 1)) == 1
    assert expiry_day(date(2026, 11, 24)) == (date(2026, 11, 25) - date(1970, 1, 1)).days


def test_commas_do_not_split_the_comment() -> None:
    assert comment_of("K, Ashu") == "K  Ashu"


def test_reading(host: Host) -> None:
    found = host.accounts
    assert found.members("docker") == {"dev"}
    assert found.members("ashu") == {"ashu"}, "the primary group counts"
    assert found.members("nosuch") == set()
    assert found.listed_in("dev") == {"docker"}
    assert found.used_numbers() == {0, 1000, 990}
    assert found.traces("ashu", 1000) == {"passwd", "shadow", "group", "gshadow"}
    assert found.traces("dev", 1001) == {"group"}
    assert found.traces("eve", 1002) == set()
    account = found.find("ashu")
    assert account is not None
    assert (account.uid, account.home) == (1000, "/home/ashu")
    line = found.shadow("ashu")
    assert line is not None
    assert HASH not in repr(line), "a hash is never printed"


def test_broken_lines_do_no_harm(host: Host) -> None:
    host.write(
        passwd="\n+\nashu:x:what:1:a:b:c\nashu:x:1\ndev:x:1001:1001:Dev:/home/dev:/bin/sh\n",
        shadow="ashu\n:\ndev:!\n",
        group="docker\ndocker:x:abc:\n",
        gshadow="docker:!\n",
    )
    assert host.accounts.find("ashu") is None
    assert set(host.accounts.all()) == {"dev"}
    line = host.accounts.shadow("dev")
    assert line is not None
    assert (line.locked, line.has_password, line.expires_day) == (True, False, None)
    assert host.accounts.groups() == {}
