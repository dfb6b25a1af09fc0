"""One rule for everything that mounts: Binds, Mounts, Volumes, Tmpfs, shared memory (rule 7 of ``engine-api.md`` 1.2)."""

from collections.abc import Iterable
from typing import Any, Final

from hostadmin.policy.profiles import Profile
from hostadmin.policy.resources import SHM_LIMIT, lowest

TMPFS_OPTIONS: Final = frozenset({"size", "mode", "uid", "gid", "nr_inodes"})
TMPFS_FLAGS: Final = frozenset({"ro", "rw", "noexec", "exec", "nosuid", "nodev"})
BIND_OPTIONS: Final = frozenset({"", "ro", "rw", "nocopy", "consistent", "cached", "delegated", "default", "private", "rprivate"})
TYPES: Final = ("volume", "tmpfs", "image")
UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
HOST_PATH: Final = (
    "host path {path!r}: directories of the host cannot be mounted; use a named volume (-v NAME:{target}) or copy with `docker cp`"
)


def admit_mounts(body: dict[str, Any], profile: Profile) -> list[str]:
    """Bound the sizes of a new container's mounts in memory and return what its mounts violate."""
    host = body["HostConfig"]
    most = int(lowest(SHM_LIMIT, profile.memory_bytes))
    found = [f"mount target {t!r}: an absolute path without .." for t in _targets(body) if not t.startswith("/") or ".." in t.split("/")]
    for bind in host.get("Binds", []):
        source, target, options = split_bind(bind)
        if bind.startswith(":"):
            found.append(f"bind {bind!r}: it has no source")
        found += _host_path(source, target)
        found += [f"mount option {o!r} of {target!r}: allowed are ro, rw and nocopy" for o in options.split(",") if o not in BIND_OPTIONS]
    for mount in host.get("Mounts", []):
        found += _mount(mount, most)
    for target, options in host.get("Tmpfs", {}).items():
        found += _tmpfs_options(target, options.split(","), most)
        host["Tmpfs"][target] = _bounded(options, most)
    if host.get("ShmSize", 0) > most:
        found.append(f"ShmSize {host['ShmSize']}: at most {most} bytes")
    return found


def split_bind(bind: str) -> tuple[str, str, str]:
    """Split ``SRC:DST[:OPTIONS]``; a lone ``DST`` has an empty source (an unnamed volume)."""
    parts = bind.split(":", 2)
    if len(parts) == 1:
        return "", parts[0], ""
    return parts[0], parts[1], parts[2] if len(parts) > 2 else ""


def _targets(body: dict[str, Any]) -> list[str]:
    host = body["HostConfig"]
    named = [split_bind(bind)[1] for bind in host.get("Binds", [])] + [m.get("Target", "") for m in host.get("Mounts", [])]
    return [*named, *body.get("Volumes", {}), *host.get("Tmpfs", {})]


def _host_path(source: str, target: str) -> list[str]:
    return [HOST_PATH.format(path=source, target=target)] if source.startswith(("/", ".", "~", "\\")) else []


def _mount(mount: dict[str, Any], most: int) -> list[str]:
    kind, source, target = mount.get("Type", ""), mount.get("Source", ""), mount.get("Target", "")
    if kind == "bind":
        return [HOST_PATH.format(path=source, target=target)]
    if kind not in TYPES:
        return [f"mount type {kind!r}: allowed are volume and tmpfs, from API 1.48 on also image"]
    found = _host_path(source, target) if kind == "volume" else []
    if kind == "tmpfs":
        options = mount.setdefault("TmpfsOptions", {})
        found += _tmpfs_options(target, ["=".join(words) for words in options.get("Options", [])], most)
        if options.get("SizeBytes", 0) > most:
            found.append(f"tmpfs size of {target!r}: at most {most} bytes")
        options["SizeBytes"] = options.get("SizeBytes") or most
    subpath = next((mount[o]["Subpath"] for o in ("VolumeOptions", "ImageOptions") if mount.get(o, {}).get("Subpath")), "")
    if subpath.startswith("/") or ".." in subpath.split("/"):
        found.append(f"Subpath {subpath!r} of {target!r}: a path inside the volume")
    return found


def _tmpfs_options(target: str, options: Iterable[str], most: int) -> list[str]:
    found = []
    for option in options:
        name, equals, value = option.partition("=")
        if name not in TMPFS_OPTIONS if equals else name not in TMPFS_FLAGS and name:
            found.append(f"tmpfs option {option!r} of {target!r}: allowed are {', '.join(sorted(TMPFS_OPTIONS | TMPFS_FLAGS))}")
        elif name == "size" and not 0 < _size(value) <= most:
            found.append(f"tmpfs size {value!r} of {target!r}: a number of bytes, at most {most}")
    return found


def _size(text: str) -> int:
    """Return the bytes of a tmpfs size as the kernel reads it (tmpfs(5)); 0 if it is none, or a part of all memory."""
    number, unit = (text[:-1], text[-1].lower()) if text and text[-1].isalpha() else (text, "")
    return int(number) * UNITS[unit] if number.isdecimal() and unit in UNITS and len(number) < 16 else 0


def _bounded(options: str, most: int) -> str:
    """Return tmpfs options with a size: without one the kernel gives half of the host's memory."""
    if any(option.startswith("size=") for option in options.split(",")):
        return options
    return ",".join(part for part in (options, f"size={most}") if part)
