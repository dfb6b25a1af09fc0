"""A process of the service that works on a reset and may be killed at any step.

With a file of labels it kills itself with -9 at the first step whose label is not in there, having written it down: run
again and again it is killed at each step once. It is a fork of the test, since a start of the service takes a second; beside
other threads of the test a program of its own, for a fork would inherit locks that they hold (of SQLite, of logging).
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import Any, Final

from hostadmin.app import App, build
from hostadmin.core.clock import now, parse_timestamp
from hostadmin.core.errors import HostadminError
from hostadmin.core.values import Actor
from hostadmin.host import volumedata
from hostadmin.settings import load
from hostadmin.store import users

ROOT: Final = Path(__file__).resolve().parents[2]
ADMIN: Final = Actor(type="unix", via="test", login="root", uid=0, admin=True)
CHANGES: Final = (
    *("stop_container", "start_container", "pause_container", "unpause_container", "create_container", "commit_container"),
    *("remove_container", "create_network", "connect_network", "disconnect_network", "remove_network", "create_volume"),
    *("remove_volume", "remove_image"),
)

RANDOM: Final = re.compile("sha256:[0-9a-f]{64}|(?<=[-.])[0-9a-f]{8}(?![0-9a-f-])")  # other ones in every run


class Killer:
    """Ends this process at a step that has not been one of its ends."""

    def __init__(self, seen: Path) -> None:
        self.seen = seen
        self.known = set(seen.read_text().splitlines()) if seen.exists() else set()
        self.lock = threading.Lock()

    def step(self, label: str) -> None:
        """Die here, if never before."""
        with self.lock:
            if label in self.known:
                return
            with self.seen.open("a") as file:
                file.write(f"{label}\n")
                file.flush()
                os.fsync(file.fileno())
            os.kill(os.getpid(), signal.SIGKILL)
            threading.Event().wait()

    def around(self, where: Any, name: str, label: str) -> None:
        """Die before and after each call of a function."""
        real = getattr(where, name)

        def call(*argv: Any, **more: Any) -> Any:
            what = f"{label} {[RANDOM.sub('~', str(a))[:140] for a in argv]}"
            self.step(f"before {what}")
            found = real(*argv, **more)
            self.step(f"after {what}")
            return found

        setattr(where, name, call)

    def watch(self, app: App) -> None:
        """Make every step of a reset one at which this process may die."""
        for name in CHANGES:
            self.around(app.engine, name, name)
        self.around(volumedata, "pack", "pack")
        self.around(volumedata, "unpack", "unpack")
        self.around(Path, "rename", "rename")
        for name in ("submit_intent", "submit_outcome", "submit_recovery"):
            real = getattr(app.journal, name)

            def call(*argv: Any, real: Any = real, name: str = name, **more: Any) -> Any:
                label = f"{name} {_told(argv[0])}"
                self.step(f"before {label}")
                future = real(*argv, **more)
                future.result(10)
                self.step(f"after {label}")
                return future

            setattr(app.journal, name, call)


def _told(record: Any) -> str:
    """Return what an intent, an entry or a record is about."""
    if isinstance(record, dict):
        return f"{record['action']} {record['object_name']}"
    entry = getattr(record, "entry", record)
    return f"{entry.action} {entry.target.name}"


def act(app: App, verb: str, argument: str) -> Any:
    """Do what the command line says."""
    if verb == "plan":
        with app.database.read() as tx:
            chosen = [u for u in users.all_users(tx) if u.login in argument.split(",")]
        return app.resets.plan(chosen, ADMIN)
    if verb == "apply":
        return app.resets.apply(ADMIN, argument)
    if verb == "force":
        return app.resets.apply(ADMIN, argument, force=True)
    if verb == "show":
        return app.resets.show(argument)
    if verb == "undo":
        return app.resets.undo(ADMIN, argument)
    if verb == "settle":
        return app.resets.settle(ADMIN)
    if verb == "purge":
        return app.resets.purge(parse_timestamp(argument) if argument != "now" else now())
    return app.resets.list()


def work(config: Path, verb: str, argument: str, seen: Path | None = None) -> Any:
    """Let a process of the service work on resets; return what it says, ``None`` if it was killed."""
    with tempfile.NamedTemporaryFile() as answer:
        ended = (_fork if threading.active_count() == 1 else _start)(Path(answer.name), config, verb, argument, seen)
        if ended:
            assert ended == -signal.SIGKILL
            return None
        found = json.loads(Path(answer.name).read_text())
    assert not isinstance(found, dict) or "broken" not in found, found["broken"]
    return found


def _fork(*order: Any) -> int:
    """Do it in a fork; return its exit code, negative for a signal."""
    pid = os.fork()
    if pid == 0:
        _answer(*order)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _start(answer: Path, config: Path, verb: str, argument: str, seen: Path | None) -> int:
    """Do it in a program of its own; return its exit code, negative for a signal."""
    argv = [str(answer), str(config), verb, argument, *([str(seen)] if seen else [])]
    return subprocess.run([sys.executable, "-m", "tests.integration.resetting", *argv], cwd=ROOT, check=False).returncode


def _answer(answer: Path, config: Path, verb: str, argument: str, seen: Path | None) -> None:
    """Do it, and write down what comes of it."""
    try:
        found = _work(config, verb, argument, seen)
    except BaseException:
        found = {"broken": traceback.format_exc()}
    answer.write_text(json.dumps(found))


def _work(config: Path, verb: str, argument: str, seen: Path | None) -> Any:
    app = build(load(str(config), {}))
    if seen is not None:
        Killer(seen).watch(app)
    try:
        if seen is not None:  # what a start does
            app.resets.recover()
            app.journal.close_left_open()
        return act(app, verb, argument)
    except HostadminError as error:
        return {"error": error.message, "key": error.key}
    finally:
        app.database.close()


if __name__ == "__main__":
    place, settings, *order = sys.argv[1:]
    _answer(Path(place), Path(settings), order[0], order[1], Path(order[2]) if order[2:] else None)
