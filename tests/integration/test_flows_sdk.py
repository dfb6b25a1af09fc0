"""Ordinary work with docker-py, aiodocker and testcontainers: through the guard exactly what the bare engine shows."""

import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.flows.room import Room, make_room, newer_engine
from tests.integration.flows.steps import Flow, Step

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
SCRIPTS = Path(__file__).parent / "flows" / "scripts"
PLACE = Path("/mnt/sdk")
WITH = f"TESTCONTAINERS_RYUK_DISABLED=true PYTHONDONTWRITEBYTECODE=1 PYTHONHOME={PLACE}/python PYTHONPATH={PLACE}/packages LD_LIBRARY_PATH={PLACE}/python/lib"
PYTHON = f"{WITH} {PLACE}/python/bin/{Path(sys.executable).resolve().name}"
SHOWN = {"packages": sysconfig.get_path("purelib"), "python": sys.base_prefix}  # they may be in somebody's home
SDKS = ("docker_py", "aiodocker", "testcontainers")


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    """An engine behind the guard and a bare one; the interpreter and the locked SDKs where everybody can read them."""
    for name, place in SHOWN.items():
        (PLACE / name).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", place, PLACE / name], check=True)
    for script in SCRIPTS.iterdir():
        (PLACE / script.name).write_text(script.read_text())
    with make_room() as made:
        yield made
    for name in SHOWN:
        subprocess.run(["umount", PLACE / name], check=True)


@pytest.mark.parametrize("sdk", SDKS)
def test_a_script_is_the_same(room: Room, sdk: str) -> None:
    """What the script prints, and that it ends well."""
    flow = Flow(sdk, (Step(f"{PYTHON} {PLACE}/with_{sdk}.py"),))
    found = room.compare(flow, "28.5" if newer_engine() else "20.10")
    assert not found, "\n\n".join(found)
