"""One engine behind the guard, one bare beside it, and the clients that are known."""

import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.integration.classimages import make_images
from tests.integration.flows.play import Door, differences
from tests.integration.flows.steps import Flow
from tests.integration.stage import GUARD_SOCKET, ROOT, Engine, Eye, Hostadmin, clear, make_stage, until

LOGIN: Final = "ashu"
PROGRAMS: Final = Path("/mnt/programs")
BARE_SOCKET: Final = "/run/bare.sock"
ENGINES: Final = ROOT / ".engines"
CLIS: Final = {
    "20.10": Path("/usr/bin/docker"),
    "26.1": ENGINES / "trixie/usr/bin/docker",
    "28.5": ENGINES / "forky/usr/bin/docker",
}
PLUGINS: Final = {
    "26.1": ENGINES / "trixie/usr/libexec/docker/cli-plugins",
    "28.5": ENGINES / "forky/usr/libexec/docker/cli-plugins",
}


def newer_engine() -> str:
    """Return the folder of the unpacked engine that is tested; empty: the installed one."""
    return os.environ.get("HOSTADMIN_TEST_ENGINE_ROOT", "")


def flows(every: Iterable[Flow]) -> list[tuple[str, Flow]]:
    """Return what to play with which CLI: the new one in full, the old one and newer engines the core."""
    core = [flow for flow in every if flow.core]
    return [("28.5", f) for f in core] if newer_engine() else [("28.5", f) for f in every] + [("20.10", f) for f in core]


class Room:
    """Where flows are played by the same person at the same time: behind the guard, and on a bare engine beside it."""

    def __init__(self, engine: Engine, bare: Engine, hostadmin: Hostadmin) -> None:
        self.engine = engine
        self.bare = bare
        self.hostadmin = hostadmin

    def compare(self, flow: Flow, cli: str) -> list[str]:
        """Play a flow at both doors, on engines that hold nothing but the day's images; return what differed."""
        programs, config = self._programs(cli)
        doors = [Door(LOGIN, BARE_SOCKET, "bare", programs, config), Door(LOGIN, GUARD_SOCKET, "guarded", programs, config)]
        with ThreadPoolExecutor(2) as pool:
            bare, guarded = pool.map(lambda door: door.play(flow), doors)
            list(pool.map(empty, (self.engine.eye, self.bare.eye)))
        gone = "select kind, name from objects where kind != 'image' and gone_at is null and name not in ('bridge', 'host', 'none')"
        until("the ledger knows that all is gone", lambda: not self.hostadmin.rows(gone))
        return differences(bare, guarded)

    def _programs(self, cli: str) -> tuple[Path, Path]:
        """Return the folders of one CLI and of its plug-ins, which everybody may read."""
        programs, plugins = PROGRAMS / cli, PROGRAMS / f"{cli}.config" / "cli-plugins"
        if not programs.exists():
            plugins.mkdir(parents=True)
            programs.mkdir()
            shutil.copy(CLIS[cli], programs / "docker")
            if cli in PLUGINS:
                shutil.copy(PLUGINS[cli] / "docker-compose", plugins / "docker-compose")
        return programs, plugins.parent


def empty(eye: Eye) -> None:
    """Leave nothing but the day's images on an engine."""
    clear(eye)
    eye.call("POST", "/images/prune?filters=%7B%22dangling%22%3A%5B%22true%22%5D%7D")


@contextmanager
def make_room() -> Iterator[Room]:
    """Put up the stage and a bare engine of the same kind beside it, and the student who works."""
    with make_stage() as (engine, hostadmin):
        done = hostadmin.run("user", "add", LOGIN, "--docker")
        assert done.returncode == 0, done.stderr
        bare = Engine(BARE_SOCKET, name="bare", apart=True)
        bare.start()
        try:
            make_images(bare.path)
            Path(BARE_SOCKET).chmod(0o666)
            yield Room(engine, bare, hostadmin)
        finally:
            clear(bare.eye)
            bare.stop()
