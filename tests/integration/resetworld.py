"""Two students with everything that a reset takes away, and what must be the same when it has come back."""

import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tests.integration import resetting
from tests.integration.people import Student, process_of
from tests.integration.stage import STATE, Engine, Hostadmin

SECRET: Final = "Planted-5ecret-in-env-77"
COMMAND_SECRET: Final = "Planted-in-command-78"
LABEL_SECRET: Final = "Planted-in-label-79"
HEALTH_SECRET: Final = "Planted-in-health-80"
SECRETS: Final = (SECRET, COMMAND_SECRET, LABEL_SECRET, HEALTH_SECRET)
SUBNET: Final = "172.19.77"
COMPOSE: Final = """\
version: "3.8"
services:
  db:
    image: alpine
    command: sleep 100000
    stop_grace_period: 1s
    volumes: ["data:/var/lib/db"]
  web:
    image: alpine
    command: sleep 100000
    stop_grace_period: 1s
    depends_on: [db]
    networks: {default: {aliases: [front]}, inner: {}}
volumes: {data: {}}
networks: {inner: {labels: {a: b}}}
"""
ALLOWED: Final = {
    "Id": "it is a new container",
    "Created": "it is a new container",
    "Image": "its snapshot",
    "Config.Image": "its snapshot",
    "Config.Labels.io.hostadmin.req": "another request has made it",
    "State.StartedAt": "it was started again",
    "State.FinishedAt": "its past is not kept",
    "State.Pid": "it was started again",
    "State.Status": "what has ended is created and not started again",
    "State.ExitCode": "its past is not kept",
    "State.Health": "its past is not kept",
    "ResolvConfPath": "a path of its id",
    "HostnamePath": "a path of its id",
    "HostsPath": "a path of its id",
    "LogPath": "a path of its id",
    "GraphDriver": "its own layer",
    "Storage": "its own layer",
    "ImageManifestDescriptor": "its snapshot",
    "HostConfig.NetworkMode": "the network's new id",
    "HostConfig.Binds": "an unnamed volume is mounted by its name",
    "Mounts": "an unnamed volume is mounted by its name",
    "NetworkSettings.SandboxID": "it was started again",
    "NetworkSettings.SandboxKey": "it was started again",
    "NetworkSettings.EndpointID": "it was started again",
    "NetworkSettings.IPAddress": "given by the engine",
    "NetworkSettings.MacAddress": "given by the engine",
    "NetworkSettings.Networks.*.NetworkID": "the network's new id",
    "NetworkSettings.Networks.*.EndpointID": "it was started again",
    "NetworkSettings.Networks.*.Aliases": "the short id among them",
    "NetworkSettings.Networks.*.DNSNames": "the short id among them",
    "NetworkSettings.Networks.*.MacAddress": "given by the engine",
    "NetworkSettings.Networks.*.IPAddress": "given by the engine, unless it was chosen",
    "NetworkSettings.Networks.*.IPAMConfig": "none at all or an empty one",
}


RECORDED: Final = {"apply": "reset.run", "undo": "reset.undo"}


def work(hostadmin: Hostadmin, verb: str, argument: str) -> Any:
    """Let a process of the service work on resets."""
    return resetting.work(hostadmin.config, verb, argument)


def work_killed(hostadmin: Hostadmin, verb: str, argument: str, seen: Path) -> int:
    """Let it be killed at every step once; return how often it died.

    The service would go on with it by itself between two kills: it stands still.
    """
    with hostadmin.standing_still():
        for deaths in range(400):
            if resetting.work(hostadmin.config, verb, argument, seen) is not None:
                return deaths
    raise AssertionError(f"it does not come to an end: {seen.read_text()[-3000:]}")


def cut_off_at_every_step(hostadmin: Hostadmin, verb: str, plan: str, seen: Path) -> int:
    """Begin it once; then let what a start does be killed at every step, until it has finished it by itself; return how often it died.

    Begun again is only what was killed before anything of it was recorded. The service would do it between two kills: it stands still.
    """
    with hostadmin.standing_still():
        for deaths in range(400):
            begun = hostadmin.rows("select 1 from audit_records where action = ? and object_id = ?", RECORDED[verb], plan)
            if resetting.work(hostadmin.config, "settle" if begun else verb, plan, seen) is not None:
                return deaths
    raise AssertionError(f"it does not come to an end: {seen.read_text()[-3000:]}")


def compose(student: Student, folder: Path, *argv: str) -> str:
    """Run the compose that is installed, which must succeed; return what it printed."""
    newer = os.environ.get("HOSTADMIN_TEST_ENGINE_ROOT", "")
    program = f"{newer}/usr/libexec/docker/cli-plugins/docker-compose" if newer else "/usr/bin/docker-compose"
    copy = Path("/mnt/compose")
    if not copy.exists():
        shutil.copy(program, copy)
    call = process_of(student.login, [str(copy), *argv], environ={"DOCKER_HOST": f"unix://{student.socket}"})
    done = subprocess.run(**call | {"cwd": folder}, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, (argv, done.stdout, done.stderr)
    return done.stdout.strip()


def troubles(found: dict[str, Any]) -> list[Any]:
    """Return what a reset's view says of items that something was wrong with."""
    return [(i["kind"], i["name"], i["status"], i["message"]) for i in found["items"] if i["message"]] or [found]


def make_things(ashu: Student) -> None:
    """Give a student one of everything."""
    ashu.ok("network", "create", "ashunet1")
    ashu.ok("network", "create", "--subnet", f"{SUBNET}.0/24", "--label", "kept=yes", "ashunet2")
    ashu.ok("volume", "create", "--label", "of=mine", "ashudata")
    health = ["--health-cmd", f"test -n {HEALTH_SECRET}", "--health-interval", "300s"]
    ashu.ok(
        *("run", "-itd", "--name", "ashuweb", "--network", "ashunet1", "--network-alias", "front", "--restart", "always", "-p", "80"),
        *("-v", "ashudata:/data", "-e", f"TOKEN={SECRET}", "--hostname", "webhost", "--label", f"tier={LABEL_SECRET}", "--memory", "64m"),
        *("--stop-signal", "SIGKILL", "-w", "/tmp", *health, "alpine", "sh", "-c", f": {COMMAND_SECRET}; echo begun >/begun; exec sh"),
    )
    ashu.ok("network", "connect", "--ip", f"{SUBNET}.9", "--alias", "back", "ashunet2", "ashuweb")
    ashu.ok("run", "-itd", "--name", "ashudb", "--network", "ashunet2", "--ip", f"{SUBNET}.20", "-v", "/anon", "alpine")
    ashu.ok("run", "-itd", "--rm", "--name", "ashurm", "-v", "/anon", "-v", "ashudata:/data:ro", "alpine")
    ashu.ok("run", "-itd", "--name", "ashujoin", "--network", "container:ashudb", "alpine")
    ended = ashu.docker(
        "run", "--name", "ashuended", "--network", "ashunet1", "alpine", "sh", "-c", "echo was here >/file; rm /etc/group; exit 3"
    )
    assert ended.returncode == 3, ended.stderr
    ashu.ok("create", "--name", "ashucreated", "--network", "ashunet1", "alpine", "sleep", "9")
    ashu.ok("run", "-itd", "--name", "ashupaused", "alpine")
    ashu.ok(
        "exec",
        "ashuweb",
        "sh",
        "-c",
        "echo inside >/inside; echo deep >/data/a; mkdir -p /data/d/e; chown 1234:4321 /data/d; echo x >/data/d/e/f",
    )
    ashu.ok(
        "exec",
        "ashuweb",
        "sh",
        "-c",
        "chown 77 /data/d/e/f; chmod 4711 /data/d/e/f; ln -s ../a /data/d/l; ln /data/a /data/hard; mkfifo /data/p",
    )
    ashu.ok("exec", "ashudb", "sh", "-c", "echo anonymous >/anon/file")
    ashu.ok("exec", "ashurm", "sh", "-c", "echo fleeting >/anon/file; echo layer >/layer")
    ashu.ok("pause", "ashupaused")


def mark_volume(engine: Engine, name: str) -> None:
    """Put a hole of 1 GB, an extended attribute and an ACL into a volume."""
    place = Path(engine.eye.get(f"/volumes/{name}")["Mountpoint"])
    with (place / "sparse").open("wb") as file:
        file.seek(500 << 20)
        file.write(b"middle")
        file.truncate(1 << 30)
    os.setxattr(place / "a", b"trusted.note", b"kept\0too")
    with suppress(OSError):
        os.setxattr(place / "a", b"user.note", b"kept")
    acl = struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", *e) for e in ((1, 6, 2**32 - 1), (2, 7, 1001), (4, 4, 2**32 - 1), (16, 7, 2**32 - 1), (32, 0, 2**32 - 1))
    )
    with suppress(OSError):
        os.setxattr(place / "d", b"system.posix_acl_access", acl)
    os.utime(place / "a", (1_000_000_000, 1_000_000_001))


def volume_content(engine: Engine, name: str) -> list[Any]:
    """Return all of a volume that can be told from outside."""
    place = Path(engine.eye.get(f"/volumes/{name}")["Mountpoint"])
    found = []
    for path in sorted([place, *place.rglob("*")]):
        at = path.lstat()
        attributes = {n: os.getxattr(path, n, follow_symlinks=False) for n in os.listxattr(path, follow_symlinks=False)}
        data = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() and at.st_size < 1 << 20 else None
        blocks = at.st_blocks if at.st_size >= 1 << 20 else None
        size = at.st_size if path.is_file() else None
        found.append(
            (str(path.relative_to(place)), at.st_mode, at.st_uid, at.st_gid, size, int(at.st_mtime), at.st_nlink, blocks, attributes, data)
        )
    return found


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every leaf of a JSON value under its dotted path; lists are leaves."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from flat(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the members of two inspects that differ without being allowed to."""
    old, new = dict(flat(before)), dict(flat(after))
    return {
        path: (old.get(path), new.get(path))
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path) and not _allowed(path)
    }


def _allowed(path: str) -> bool:
    parts = path.split(".")
    if parts[:2] == ["NetworkSettings", "Networks"] and len(parts) > 3:
        parts[2] = "*"
    return any(".".join(parts).startswith(known) for known in ALLOWED)


def planted(hostadmin: Hostadmin) -> list[str]:
    """Return where on disk one of the secrets lies, among what hostadmin has written."""
    hostadmin.rows("select 1")
    files = [*STATE.glob("db/hostadmin.db*"), hostadmin.log, *STATE.glob("audit/**/*")]
    return [f"{secret} in {f}" for f in files if f.is_file() for secret in SECRETS if secret.encode() in f.read_bytes()]
