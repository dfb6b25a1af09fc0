"""What the engine says of a pinned id is told in the caller's own words."""

import pytest

from hostadmin.guard.messages import as_called

FULL = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("engine", "shown"),
    [
        (f"Cannot kill container: {FULL}: Container {FULL} is not running", f"Cannot kill container: web: Container {FULL} is not running"),
        (f"cannot stop container: {FULL}: no", "cannot stop container: web: no"),
        (f"Could not find the file /x in container {FULL}", "Could not find the file /x in container web"),
        (f'cannot remove container "{FULL}": container is running', 'cannot remove container "web": container is running'),
        (f"Cannot unpause container {FULL}: no", f"Cannot unpause container {FULL}: no"),
        (f"Container {FULL} is not running", f"Container {FULL} is not running"),
    ],
)
def test_as_called(engine: str, shown: str) -> None:
    """Where the engine repeats what it was asked for; its own ids stay."""
    assert as_called(engine, "web") == shown
