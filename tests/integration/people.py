"""Students as real uids: the docker CLI, raw requests, and docker-py, each in a process of that uid."""

import importlib.util
import json
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.integration.stage import GUARD_SOCKET

NEW_CLI: Final = "/usr/local/bin/docker"
OLD_CLI: Final = "/usr/bin/docker"
SYSTEM_PYTHON: Final = "/usr/bin/python3"
SDK: Final = ("docker", "requests", "urllib3", "idna", "certifi", "charset_normalizer")
_SPEAK: Final = """
import socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(60); s.connect(sys.argv[1])
s.sendall(sys.stdin.buffer.read())
while True:
    data = s.recv(65536)
    if not data: break
    sys.stdout.buffer.write(data)
"""


def command_lines() -> list[str]:
    """Return the docker CLIs that there are on this host, each once."""
    found = [p for p in (OLD_CLI, NEW_CLI) if Path(p).exists()]
    return [p for n, p in enumerate(found) if not any(Path(p).samefile(q) for q in found[:n])]


def process_of(login: str, argv: list[str], *, environ: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """Return the arguments of ``subprocess.run``/``Popen`` that make ``argv`` a process of ``login``."""
    account = pwd.getpwnam(login)
    base = {"HOME": account.pw_dir, "USER": login, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    return {
        "args": argv,
        "user": account.pw_uid,
        "group": account.pw_gid,
        "extra_groups": os.getgrouplist(login, account.pw_gid),
        "cwd": account.pw_dir,
        "env": base | (environ or {}),
        **more,
    }


_VANISH: Final = """
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendall(sys.stdin.buffer.read())
s.close()
"""


class Student:
    """One student at the door ``socket``.

    Args:
        login: the account.
        cli: which docker CLI.

    """

    def __init__(self, login: str, *, cli: str = "", socket: str = GUARD_SOCKET) -> None:
        self.login = login
        self.cli = cli or command_lines()[0]
        self.socket = socket

    def docker(self, *argv: str, stdin: str = "", timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run the docker CLI, whatever it answers."""
        call = process_of(self.login, [self.cli, *argv], environ={"DOCKER_HOST": f"unix://{self.socket}"})
        return subprocess.run(**call, input=stdin, capture_output=True, text=True, check=False, timeout=timeout)

    def ok(self, *argv: str, stdin: str = "") -> str:
        """Run the docker CLI, which must succeed; return what it printed."""
        done = self.docker(*argv, stdin=stdin)
        assert done.returncode == 0, (self.login, argv, done.stdout, done.stderr)
        return done.stdout.strip()

    def start(self, *argv: str) -> subprocess.Popen[bytes]:
        """Start the docker CLI with pipes and let it run."""
        call = process_of(self.login, [self.cli, *argv], environ={"DOCKER_HOST": f"unix://{self.socket}"})
        return subprocess.Popen(**call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def raw(self, method: str, target: str, body: Any = None, *, headers: str = "") -> bytes:
        """Send one request byte for byte and return the whole answer."""
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "Content-Type: application/json\r\n" if data else ""
        head = f"{method} {target} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n{kind}{headers}"
        return self.send(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)

    def send(self, request: bytes) -> bytes:
        """Send these bytes and return all that comes back."""
        call = process_of(self.login, [SYSTEM_PYTHON, "-I", "-c", _SPEAK, self.socket])
        return subprocess.run(**call, input=request, capture_output=True, check=False, timeout=60).stdout

    def vanish(self, request: bytes) -> None:
        """Send these bytes and go away."""
        call = process_of(self.login, [SYSTEM_PYTHON, "-I", "-c", _VANISH, self.socket])
        subprocess.run(**call, input=request, capture_output=True, check=False, timeout=60)

    def follow(self, target: str) -> subprocess.Popen[bytes]:
        """Start to read an endless answer."""
        call = process_of(self.login, [SYSTEM_PYTHON, "-I", "-c", _SPEAK, self.socket])
        process = subprocess.Popen(**call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdin is not None
        process.stdin.write(f"GET {target} HTTP/1.1\r\nHost: docker\r\n\r\n".encode())
        process.stdin.close()
        return process

    def python(self, script: Path, *argv: str, sdk: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a script that uses docker-py; the script is handed over, so that nobody need read the checkout."""
        environ = {"DOCKER_HOST": f"unix://{self.socket}"} | ({"PYTHONPATH": str(sdk)} if sdk else {})
        call = process_of(self.login, [SYSTEM_PYTHON, "-", *argv], environ=environ)
        return subprocess.run(**call, input=script.read_text(), capture_output=True, text=True, check=False, timeout=120)


def copy_sdk(to: Path) -> Path:
    """Copy docker-py of this environment to where everybody can read it; return the folder."""
    for name in SDK:
        spec = importlib.util.find_spec(name)
        assert spec is not None, name
        for place in spec.submodule_search_locations or []:
            shutil.copytree(place, to / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    for entry in (to, *to.rglob("*")):
        entry.chmod(0o755 if entry.is_dir() else 0o644)
    return to
