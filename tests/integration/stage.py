"""What stands on the disposable host: a private engine, hostadmin in front of it, and an eye that judges.

The eye looks at the engine through its root-only socket, past hostadmin.
"""

import http.client
import json
import os
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from tests.integration.classimages import IMAGES, make_images

ENGINE_SOCKET: Final = "/run/engine.sock"
GUARD_SOCKET: Final = "/run/docker.sock"
POOL: Final = "base=172.18.0.0/15,size=24"  # the engine's own pools are 31 networks, in the log's 192.168 too
STATE: Final = Path("/mnt/hostadmin")
ROOT: Final = Path(__file__).resolve().parents[2]
CONFIG: Final = """\
[engine]
socket = "{engine}"
close_socket = {close}
[guard]
socket = "{guard}"
cgroup_parent = "{cgroup}/hostadmin"
[store]
url = "sqlite:///{state}/db/hostadmin.db"
[policy]
profiles = "{profiles}"
[audit]
directory = "{state}/audit"
[upkeep]
restarts_seconds = 2
"""


def until(what: str, found: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Ask until the answer is true and return it.

    Raises:
        AssertionError: it was not within ``seconds``.

    """
    end = time.monotonic() + seconds
    while True:
        answer = found()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:.0f} s: {what}; last answer: {answer!r}")
        time.sleep(0.05)


class Eye:
    """The Engine API through one socket, as the process that runs this (root: everything is seen)."""

    def __init__(self, path: str = ENGINE_SOCKET) -> None:
        self.path = path

    def call(self, method: str, target: str, body: Any = None) -> tuple[int, Any]:
        """Make one call; return status and the parsed answer (bytes if it is not JSON)."""
        connection = _UnixConnection(self.path)
        try:
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, target, data, {"Content-Type": "application/json"} if data else {})
            answer = connection.getresponse()
            raw = answer.read()
            return answer.status, _parsed(raw)
        finally:
            connection.close()

    def get(self, target: str) -> Any:
        """Return the answer of a GET that must succeed."""
        status, found = self.call("GET", target)
        assert status == 200, (target, status, found)  # noqa: PLR2004
        return found

    def up(self) -> bool:
        """Tell whether it answers a ping."""
        with suppress(OSError, http.client.HTTPException):
            return self.call("GET", "/_ping")[0] == 200  # noqa: PLR2004
        return False

    def containers(self) -> dict[str, str]:
        """Return all containers, name by full id."""
        return {c["Id"]: c["Names"][0].lstrip("/") for c in self.get("/containers/json?all=1")}

    def container(self, ref: str) -> dict[str, Any]:
        """Return one container's inspect answer."""
        found: dict[str, Any] = self.get(f"/containers/{quote(ref)}/json")
        return found

    def networks(self) -> dict[str, str]:
        """Return all networks but the engine's own, name by full id."""
        return {n["Id"]: n["Name"] for n in self.get("/networks") if n["Name"] not in ("bridge", "host", "none")}

    def volumes(self) -> set[str]:
        """Return the names of all volumes."""
        return {v["Name"] for v in self.get("/volumes")["Volumes"] or []}

    def tags(self) -> set[str]:
        """Return all tags."""
        return {t for i in self.get("/images/json") for t in i["RepoTags"] or [] if t != "<none>:<none>"}


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self._path)


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw


def engine_environ() -> dict[str, str]:
    """Return the environment of ``dockerd``: an unpacked newer one goes before the installed, save for ``runc``."""
    newer = os.environ.get("HOSTADMIN_TEST_ENGINE_ROOT", "")
    if not newer:
        return dict(os.environ)
    tools = Path("/mnt/tools")
    tools.mkdir(exist_ok=True)
    runc = shutil.which("runc", path="/usr/sbin:/usr/bin")
    if runc and not (tools / "runc").exists():
        (tools / "runc").symlink_to(runc)
    return os.environ | {"PATH": f"{tools}:{newer}/usr/sbin:{newer}/usr/bin:{os.environ['PATH']}"}


class Engine:
    """A private ``dockerd``; its state stays between ``stop`` and ``start``.

    Args:
        path: its socket.
        name: its folders' name.
        apart: whether it is a second one, in a network namespace of its own.
        pools: its address pools, as its flag takes them; none: those that an engine has by itself.

    """

    def __init__(self, path: str = ENGINE_SOCKET, *, name: str = "docker", apart: bool = False, pools: tuple[str, ...] = (POOL,)) -> None:
        self.path = path
        self.name = name
        self.prefix = ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"] if apart else []
        self.pools = pools
        self.eye = Eye(path)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        """Start it and wait until it answers."""
        home = Path("/mnt") / self.name
        home.mkdir(exist_ok=True)
        argv = [*self.prefix, "dockerd", "--data-root", str(home / "data"), "--exec-root", f"/run/{self.name}"]
        argv += ["--pidfile", f"/run/{self.name}.pid", "--host", f"unix://{self.path}", "--log-level", "warn"]
        argv += ["--cgroup-parent", os.environ["DHOST_CGROUP"]]
        argv += ["--bip", "172.17.0.1/16", *(word for pool in self.pools for word in ("--default-address-pool", pool))]
        with (home / "log").open("ab") as log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True, env=engine_environ())
        if wait:
            until("the engine answers", self.eye.up)

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)


class Hostadmin:
    """``hostadmin serve`` as a child, with its own configuration and state."""

    def __init__(
        self, engine: str = ENGINE_SOCKET, guard: str = GUARD_SOCKET, *, close: bool = True, registries: tuple[str, ...] = ()
    ) -> None:
        self.guard = Eye(guard)
        self.database = STATE / "db" / "hostadmin.db"
        self.config = STATE / "hostadmin.toml"
        self.command = str(ROOT / ".venv" / "bin" / "hostadmin")
        self.log = STATE / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self.database.parent.mkdir(parents=True, exist_ok=True)
        Path("/run/hostadmin").mkdir(exist_ok=True)
        text = CONFIG.format(
            engine=engine,
            guard=guard,
            state=STATE,
            profiles=_profiles(registries),
            close=str(close).lower(),
            cgroup=os.environ["DHOST_CGROUP"],
        )
        self.config.write_text(text)

    def start(self) -> None:
        """Start ``serve`` and wait until guard and service answer."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.command, "--config", str(self.config), "serve"], stdout=log, stderr=log, start_new_session=True
            )
        self.wait()

    def wait(self) -> None:
        """Wait until guard and service answer."""
        try:
            until("guard and service answer", lambda: self.guard.up() and self.run("user", "list").returncode == 0)
        except AssertionError as error:
            raise AssertionError(f"{error}; its log ends:\n{self.log.read_text()[-3000:]}") from None

    def stop(self) -> None:
        """End it in order."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
            self.process = None

    def run(self, *argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a ``hostadmin`` command as root."""
        return subprocess.run(
            [self.command, "--config", str(self.config), *argv], input=stdin, capture_output=True, text=True, check=False, timeout=60
        )

    def ask(self, *argv: str) -> Any:
        """Run a reading command with ``--json`` and return what it says."""
        done = self.run(*argv, "--json")
        assert done.returncode == 0, (argv, done.stdout, done.stderr)
        return json.loads(done.stdout)

    def part(self, name: str) -> int:
        """Return the pid of the ``guard`` or the ``service`` below ``serve``; 0 while there is none."""
        assert self.process is not None
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with suppress(OSError, ValueError):
                words = (entry / "cmdline").read_text().split("\0")
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid and name in words:
                    return int(entry.name)
        return 0

    def kill(self, name: str) -> int:
        """Kill ``guard`` or ``service`` with -9; return the pid it had."""
        pid = until(f"there is a {name}", lambda: self.part(name))
        os.kill(pid, signal.SIGKILL)
        return int(pid)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """The service does nothing meanwhile, and holds no lock of the database either."""
        pid = until("there is a service", lambda: self.part("service"))
        os.kill(pid, signal.SIGSTOP)
        try:
            while not self._is_free():
                os.kill(pid, signal.SIGCONT)
                time.sleep(0.05)
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def _is_free(self) -> bool:
        with closing(sqlite3.connect(self.database, timeout=0.2, isolation_level=None)) as database, suppress(sqlite3.OperationalError):
            database.execute("begin immediate")
            database.execute("rollback")
            return True
        return False

    def rows(self, query: str, *values: Any) -> list[Any]:
        """Return rows of the database, read beside hostadmin."""
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10) as database:
            return database.execute(query, values).fetchall()


def _profiles(registries: tuple[str, ...]) -> Path:
    """Return the shipped profiles, or a copy that lists further registries."""
    shipped = ROOT / "config" / "profiles.toml"
    if not registries:
        return shipped
    copy = STATE / "profiles.toml"
    copy.write_text(shipped.read_text().replace('["docker.io"]', json.dumps(["docker.io", *registries])))
    return copy


def require_disposable_host() -> None:
    """Check that nothing that is done here is done to a real host.

    Raises:
        RuntimeError: this is not the inside of ``tests/disposable/dhost``.

    """
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    if "DHOST_CGROUP" not in os.environ or not any(" /etc " in m and " - overlay " in m for m in mounts):
        raise RuntimeError("this makes accounts and starts an engine: run it inside tests/disposable/dhost")


def sweep() -> None:
    """Take away the accounts and the state that an earlier stage has left on the disposable host."""
    require_disposable_host()
    for account in pwd.getpwall():
        if 1000 <= account.pw_uid < 60000:
            subprocess.run(["userdel", "-r", "-f", account.pw_name], capture_output=True, check=False)
    for entry in STATE.iterdir() if STATE.exists() else ():
        if entry.is_mount() or entry.name == "db":
            for inner in entry.iterdir():
                shutil.rmtree(inner) if inner.is_dir() else inner.unlink()
        elif entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


@contextmanager
def make_stage(*, close: bool = True, registries: tuple[str, ...] = ()) -> Iterator[tuple[Engine, Hostadmin]]:
    """Put up an engine with the class day's images and hostadmin in front of it; take both down at the end.

    ``registries``: what the profiles list besides the default.
    """
    sweep()
    engine = Engine()
    engine.start()
    try:
        make_images(engine.path)
        hostadmin = Hostadmin(close=close, registries=registries)
        hostadmin.start()
        try:
            yield engine, hostadmin
        finally:
            hostadmin.stop()
    finally:
        clear(engine.eye)
        engine.stop()


def clear(eye: Eye) -> None:
    """Take everything but the day's images from the engine, so that the next stage begins like the first."""
    for container in eye.containers():
        eye.call("DELETE", f"/containers/{container}?force=1&v=1")
    for network in eye.networks():
        eye.call("DELETE", f"/networks/{network}")
    for volume in eye.volumes():
        eye.call("DELETE", f"/volumes/{quote(volume)}?force=1")
    for tag in eye.tags() - {f"{name}:latest" for name in IMAGES}:
        eye.call("DELETE", f"/images/{quote(tag)}?force=1")
