"""Real registries on the disposable host: an open one, and one that wants a password."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.error import HTTPError
from urllib.request import urlopen

from tests.integration.stage import until

OPEN: Final = "127.0.0.1:5000"
LOCKED: Final = "127.0.0.1:5001"
USER: Final = "reader"
PASSWORD: Final = "correct-horse-battery"  # noqa: S105  # of a registry that lives for one test
HASH: Final = "$2b$04$GpTwjFwm2NCQxI8VuIDY0uO0gXeHlnWRdiusVt1sThliYGllYlRJe"  # bcrypt, of PASSWORD
CONFIG: Final = """\
version: 0.1
log: {{level: error}}
storage:
  filesystem: {{rootdirectory: {root}}}
  delete: {{enabled: true}}
http: {{addr: "{address}"}}
"""
LOCK: Final = "auth: {{htpasswd: {{realm: registry, path: {path}}}}}\n"


@contextmanager
def registries(folder: Path = Path("/mnt/registries")) -> Iterator[None]:
    """Run both registries while the block runs."""
    folder.mkdir(exist_ok=True)
    passwords = folder / "htpasswd"
    passwords.write_text(f"{USER}:{HASH}\n")
    processes = []
    for address in (OPEN, LOCKED):
        config = folder / f"{address}.yml"
        lock = LOCK.format(path=passwords) if address == LOCKED else ""
        config.write_text(CONFIG.format(root=folder / address, address=address) + lock)
        with (folder / "log").open("ab") as log:
            processes.append(subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=log))
    try:
        until("both registries answer", lambda: all(_answers(address) for address in (OPEN, LOCKED)))
        yield
    finally:
        for process in processes:
            process.terminate()
            process.wait(60)


def _answers(address: str) -> bool:
    with suppress(OSError):
        try:
            urlopen(f"http://{address}/v2/", timeout=2).close()
        except HTTPError as error:
            return error.code == 401
        return True
    return False
