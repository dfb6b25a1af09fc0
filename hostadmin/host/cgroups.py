"""The kernel's limits for all containers of one person together: a control group that theirs lie in.

cgroup v1 (a tree per controller) and v2 (one tree); the engine's drivers ``cgroupfs`` (paths, files written here) and
``systemd`` (slices, properties set through ``systemctl``). Sources: the kernel's cgroup-v1 and cgroup-v2 documents,
systemd.resource-control(5).
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hostadmin.core.errors import Failed
from hostadmin.host import programs

TREE: Final = Path("/sys/fs/cgroup")
CONTROLLERS: Final = ("memory", "cpu", "pids")
PERIOD: Final = 100_000  # microseconds
Files = list[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class GroupUse:
    """What the processes of a group use now; ``None`` where the kernel does not say."""

    memory_bytes: int | None
    pids: int | None


def unified(tree: Path = TREE) -> bool:
    """Tell whether this host has cgroup v2 alone."""
    return (tree / "cgroup.controllers").exists()


def path_name(parent: str, uid: int) -> str:
    """Return the group of a uid for the engine's driver ``cgroupfs``: ``/hostadmin/u1007``."""
    return f"/{parent.strip('/')}/u{uid}"


def slice_name(parent: str, uid: int) -> str:
    """Return the slice of a uid for the driver ``systemd``: ``hostadmin-u1007.slice``, which lies in ``hostadmin.slice``."""
    return f"{parent.strip('/').removesuffix('.slice').replace('/', '-')}-u{uid}.slice"


def slice_path(name: str) -> str:
    """Return where systemd puts a slice: each dash is a level (systemd.slice(5))."""
    words = name.removesuffix(".slice").split("-")
    return "/" + "/".join(f"{'-'.join(words[: i + 1])}.slice" for i in range(len(words)))


def files_of(memory_bytes: int, cpus: float, pids: int, *, v2: bool) -> Files:
    """Return controller, file and text of every limit, in the order in which they must be written; 0 = no limit."""
    quota = str(int(cpus * PERIOD)) if cpus else ""
    if v2:
        return [
            ("memory", "memory.max", str(memory_bytes or "max")),
            ("memory", "memory.swap.max", str(memory_bytes or "max")),
            ("cpu", "cpu.max", f"{quota or 'max'} {PERIOD}"),
            ("pids", "pids.max", str(pids or "max")),
        ]
    return [
        ("memory", "memory.memsw.limit_in_bytes", "-1"),  # never below the limit that follows
        ("memory", "memory.limit_in_bytes", str(memory_bytes or -1)),
        ("memory", "memory.memsw.limit_in_bytes", str(2 * memory_bytes or -1)),
        ("cpu", "cpu.cfs_period_us", str(PERIOD)),
        ("cpu", "cpu.cfs_quota_us", quota or "-1"),
        ("pids", "pids.max", str(pids or "max")),
    ]


def properties_of(memory_bytes: int, cpus: float, pids: int) -> list[str]:
    """Return the limits as properties of a slice."""
    return [
        f"MemoryMax={memory_bytes or 'infinity'}",
        f"MemorySwapMax={memory_bytes or 'infinity'}",
        f"CPUQuota={f'{int(cpus * 100)}%' if cpus else ''}",
        f"TasksMax={pids or 'infinity'}",
    ]


def limit_path(name: str, memory_bytes: int, cpus: float, pids: int, *, tree: Path = TREE) -> None:
    """Make a group and set its limits (idempotent).

    Raises:
        Failed: the kernel does not take them; nothing lies in the group without the others.

    """
    v2 = unified(tree)
    try:
        if v2:
            _make_unified(tree, name)
        for controller, file, value in files_of(memory_bytes, cpus, pids, v2=v2):
            folder = tree / name.strip("/") if v2 else tree / controller / name.strip("/")
            folder.mkdir(parents=True, exist_ok=True)
            if "sw" in file and not (folder / file).exists():
                continue  # a kernel that does not count swap
            (folder / file).write_text(value)
    except OSError as error:
        raise Failed(
            f"The limits of the control group {name} cannot be set ({error.strerror}: {error.filename}).", key="control-group"
        ) from error


def _make_unified(tree: Path, name: str) -> None:
    """Make a group of cgroup v2 and hand the controllers down to it from the top."""
    folder = tree
    for part in name.strip("/").split("/"):
        given = set((folder / "cgroup.subtree_control").read_text().split())
        missing = [f"+{c}" for c in CONTROLLERS if c not in given]
        if missing:
            (folder / "cgroup.subtree_control").write_text(" ".join(missing))
        folder /= part
        folder.mkdir(exist_ok=True)


def limit_slice(name: str, memory_bytes: int, cpus: float, pids: int) -> None:
    """Set the limits of a slice until the next boot; systemd makes it when a container is put into it.

    Raises:
        ProgramFailed: systemd does not take them.

    """
    programs.run(["systemctl", "set-property", "--runtime", name, *properties_of(memory_bytes, cpus, pids)], timeout=20)


def is_there(name: str, *, tree: Path = TREE) -> bool:
    """Tell whether a group exists (in the tree of the memory controller)."""
    return _folder(name, "memory", tree).is_dir()


def read_use(name: str, *, tree: Path = TREE) -> GroupUse:
    """Return what a group uses now."""
    memory = "memory.current" if unified(tree) else "memory.usage_in_bytes"
    return GroupUse(_number(_folder(name, "memory", tree) / memory), _number(_folder(name, "pids", tree) / "pids.current"))


def _folder(name: str, controller: str, tree: Path) -> Path:
    return tree / name.strip("/") if unified(tree) else tree / controller / name.strip("/")


def _number(file: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(file.read_text())
    return None


def names(parent: str, uid: int) -> Sequence[str]:
    """Return the paths of a uid's group under either driver, the likelier first."""
    return path_name(parent, uid), slice_path(slice_name(parent, uid))
