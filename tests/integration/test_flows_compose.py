"""Ordinary work with docker-compose 1.29 and docker compose v2: through the guard exactly what the bare engine shows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.flows import compose
from tests.integration.flows.room import Room, make_room, newer_engine
from tests.integration.flows.steps import Flow

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
OLD_COMPOSE = Path("/usr/bin/docker-compose")


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    """An engine behind the guard and a bare one."""
    with make_room() as made:
        yield made


def projects() -> list[tuple[str, Flow]]:
    """Return the flows, each with the CLI beside which its compose works."""
    return [("28.5", compose.NEW)] if newer_engine() else [("20.10", compose.OLD), ("28.5", compose.NEW)]


@pytest.mark.parametrize(("cli", "flow"), projects(), ids=[flow.name for _, flow in projects()])
def test_a_project_is_the_same(room: Room, cli: str, flow: Flow) -> None:
    """A project's life, from the first ``up`` to ``down``."""
    if flow is compose.OLD and not is_old():
        pytest.skip("docker-compose 1.29 is not installed: newer Debian suites have v2 only")
    found = room.compare(flow, cli)
    assert not found, "\n\n".join(found)


def is_old() -> bool:
    """Tell whether the installed docker-compose is the one in Python."""
    return OLD_COMPOSE.exists() and OLD_COMPOSE.read_bytes()[:2] == b"#!"
