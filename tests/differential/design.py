"""Where the guard means something else than its caller wrote, by design: an explicit table; all else is a difference.

A row takes what the guard's way and the bare engine's way made of one member and tells whether the guard may do that.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from hostadmin.core.labels import OWNER_LABEL, REQUEST_LABEL

Judge = Callable[[Any, Any], bool]
PIDS: Final = 1024
LOG_BYTES: Final = "25000000"


def _without_ours(guard: Any, bare: Any) -> bool:
    return {k: v for k, v in (guard or {}).items() if k not in (OWNER_LABEL, REQUEST_LABEL)} == (bare or {})


def _log(guard: Any, bare: Any) -> bool:
    """The same driver and what was asked, with sizes in bytes, and bounds where nothing was."""
    asked = {k: v for k, v in (bare["Config"] or {}).items() if k not in ("max-size", "max-file")}
    return bool(guard["Type"] == bare["Type"] and {**guard["Config"], **asked} == guard["Config"])


def _tmpfs(guard: Any, bare: Any) -> bool:
    if not guard or not bare or guard.keys() != bare.keys():
        return False
    return all(given == bare[at] or given.startswith(f"{bare[at]},size=" if bare[at] else "size=") for at, given in guard.items())


def _mounts(guard: Any, bare: Any) -> bool:
    def without_size(mounts: Any) -> Any:
        return [
            {**m, "TmpfsOptions": {**m.get("TmpfsOptions", {}), "SizeBytes": 0}} if m["Type"] == "tmpfs" else _unlabelled(m)
            for m in mounts or []
        ]

    return bool(without_size(guard) == without_size(bare))


def _unlabelled(mount: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in mount.items() if k != "VolumeOptions"} if not any(mount.get("VolumeOptions", {}).values()) else mount


def _upper(guard: Any, bare: Any) -> bool:
    return [name.upper() for name in guard or []] == [name.upper() for name in bare or []]


def _dropped(guard: Any, bare: Any) -> bool:
    named = {name.upper().removeprefix("CAP_") for name in bare or []}
    return _upper(guard, [*(bare or []), *(() if named & {"ALL", "MKNOD"} else ("MKNOD",))])


def _no_new_privileges(guard: Any, bare: Any) -> bool:
    """Written anew; of several entries with one key the engine takes the last."""
    last = [o.replace("=", ":").partition(":")[2] or "true" for o in bare or []][-1:] == ["true"]
    return (guard or []) == (["no-new-privileges"] if last else [])


def _restart(guard: Any, bare: Any) -> bool:
    """A count without a policy is none (``engine-api.md`` 7.1)."""
    return bool(guard == {"Name": bare["Name"] or "no", "MaximumRetryCount": bare["MaximumRetryCount"] if bare["Name"] else 0})


def _nothing_said(default: Any) -> Judge:
    return lambda guard, bare: guard == default and not bare


def _none_or_empty(guard: Any, bare: Any) -> bool:
    return not guard and not bare


def _bare_names(guard: Any, bare: Any) -> bool:
    return [name.removeprefix("/") for name in guard or []] == [name.removeprefix("/") for name in bare or []]


BY_DESIGN: Final[Mapping[str, tuple[Judge, str]]] = {
    "Config.Labels": (_without_ours, "the guard writes the owner down"),
    "Labels": (_without_ours, "the guard writes the owner down"),
    "HostConfig.CgroupParent": (_nothing_said("/fuzz/u4001"), "every student has a control group"),
    "HostConfig.LogConfig": (_log, "every log is bounded"),
    "HostConfig.Runtime": (lambda guard, bare: guard == "runc" and bare == "<absent>", "the engine's default, told where a HostConfig is"),
    "HostConfig.CgroupnsMode": (lambda guard, _: guard == "private", "the host's control groups are not shown"),
    "HostConfig.PidsLimit": (
        lambda guard, bare: guard == PIDS and (bare is None or bare <= 0),
        "every container has a number of processes",
    ),
    "HostConfig.RestartPolicy": (_restart, "the profile's default where nothing is said"),
    "HostConfig.CapAdd": (_upper, "capabilities are written in one case"),
    "HostConfig.CapDrop": (_dropped, "the profile withholds MKNOD; capabilities are written in one case"),
    "HostConfig.SecurityOpt": (_no_new_privileges, "the list is written anew"),
    "HostConfig.Tmpfs": (_tmpfs, "every tmpfs has a size"),
    "HostConfig.Mounts": (_mounts, "every tmpfs has a size"),
    "Options": (_none_or_empty, "an empty map is not set"),
    "DriverOpts": (_none_or_empty, "an empty map is not set"),
    "RepoDigests": (_none_or_empty, "the list is written anew; no client tells none from empty"),
    "HostConfig.VolumesFrom": (_bare_names, "a container's name has a slash or none"),
    "HostConfig.ContainerIDFile": (lambda guard, _: not guard, "a file of the client, not of the engine"),
    "HostConfig.GroupAdd": (_none_or_empty, "an empty list is not set"),
    "HostConfig.Devices": (_none_or_empty, "an empty list is not set"),
    "Config.OnBuild": (lambda guard, _: not guard, "it does nothing in a container"),
}
"""Member → what the guard may make of it, and why."""

REFUSED_BY_ENGINE: Final[Mapping[str, str]] = {
    "no EndpointSettings": "docker-py names its network with null; the guard takes it for nothing said, as newer engines do",
    "file with no instructions": "the guard adds its own to the changes of a commit, so that empty ones are none",
    "301": "the engine's router sends /NAME to NAME; the guard takes it as the API says: names have that slash",
    "Content-Type": "T9: a body is read as JSON or refused, whatever it is called; the engine is told that it is JSON",
}
"""Word in the engine's refusal of the original → why the guard may carry it out."""


def differences(guard: Any, bare: Any, at: str = "") -> Iterator[str]:
    """Yield every member in which two pictures differ and may not."""
    if guard == bare:
        return
    row = next((judge for member, (judge, _) in BY_DESIGN.items() if at.endswith((f".{member}", f"]{member}"))), None)
    if row is not None:
        if not row(guard, bare):
            yield f"{at}: through the guard {guard!r}, from the bare engine {bare!r}"
        return
    if isinstance(guard, dict) and isinstance(bare, dict):
        for key in sorted({*guard, *bare}):
            yield from differences(guard.get(key, "<absent>"), bare.get(key, "<absent>"), f"{at}.{key}")
    elif isinstance(guard, list) and isinstance(bare, list) and len(guard) == len(bare):
        for number, (one, other) in enumerate(zip(guard, bare, strict=True)):
            yield from differences(one, other, f"{at}[{number}]")
    else:
        yield f"{at}: through the guard {guard!r}, from the bare engine {bare!r}"
