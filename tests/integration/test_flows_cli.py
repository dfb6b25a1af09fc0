"""Ordinary work with the docker CLI, old and new: through the guard exactly what the bare engine shows."""

from collections.abc import Iterator

import pytest

from tests.integration.flows.docker_cli import FLOWS
from tests.integration.flows.room import Room, flows, make_room
from tests.integration.flows.steps import Flow

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    """An engine behind the guard and a bare one."""
    with make_room() as made:
        yield made


PAIRS = flows(FLOWS)


@pytest.mark.parametrize(("cli", "flow"), PAIRS, ids=[f"{cli}-{flow.name}" for cli, flow in PAIRS])
def test_work_is_the_same(room: Room, cli: str, flow: Flow) -> None:
    """Exit codes, stdout, stderr and their order, step by step."""
    found = room.compare(flow, cli)
    assert not found, "\n\n".join(found)
