"""authorized_keys: which lines are the same key, and what stays of a person's own lines."""

import os
from pathlib import Path

import pytest

from hostadmin.host import keyfiles

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI"


@pytest.mark.parametrize(
    "line",
    [
        KEY,
        f"{KEY} ashu@laptop with spaces",
        f"  {KEY}\t",
        f'no-pty,from="10.0.0.1" {KEY} c',
        f'command="ssh-keygen -l" {KEY}',
        f'command="echo {OTHER} x" {KEY}',
        f'command="say \\"{OTHER}\\"",no-pty\t{KEY}',
    ],
)
def test_a_key_is_known_by_type_and_blob(line: str) -> None:
    assert keyfiles.key_of(line) == KEY


@pytest.mark.parametrize("line", ["", "# " + KEY, "#" + KEY, "no key at all", "ssh-ed25519", 'command="never closed ' + KEY, "@" + KEY])
def test_what_is_no_key_is_itself(line: str) -> None:
    assert keyfiles.key_of(line) == line


def test_a_key_that_was_commented_out_is_written(tmp_path: Path) -> None:
    """And all that the person has there stays, to the byte."""
    folder = tmp_path / ".ssh"
    folder.mkdir(mode=0o700)
    file = folder / "authorized_keys"
    own = f"# {KEY}\r\n\n{OTHER} a form\x0cfeed, \u2028 and \x85 more".encode()
    file.write_bytes(own)
    keyfiles.write(str(tmp_path), os.getuid(), os.getgid(), add=[KEY])
    assert file.read_bytes() == own + f"\n{KEY}\n".encode()
    keyfiles.write(str(tmp_path), os.getuid(), os.getgid(), remove=[KEY])
    assert file.read_bytes() == own + b"\n"
