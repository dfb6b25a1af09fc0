"""What a prune takes away: the engine's own selection (``engine-api.md`` 7.4), over one person's objects.

Pure: what there is comes in as the engine describes it, what is to go comes out. Only one thing differs from the
engine: a network that a stopped container names is kept, because without it that container never starts again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from hostadmin.core.clock import parse_timestamp
from hostadmin.core.gotime import parse_time

ANONYMOUS_LABEL: Final = "com.docker.volume.anonymous"
UNNAMED_ONLY_SINCE: Final = (1, 42)
PREDEFINED: Final = ("bridge", "host", "none")
KEYS: Final = {
    "container": frozenset({"until", "label", "label!"}),
    "network": frozenset({"until", "label", "label!"}),
    "volume": frozenset({"label", "label!", "all"}),
    "image": frozenset({"until", "label", "label!", "dangling"}),
}
TRUE: Final = ("1", "t", "T", "TRUE", "true", "True")
FALSE: Final = ("0", "f", "F", "FALSE", "false", "False")

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Selection:
    """The filters of one prune, read.

    ``labels`` must all be there; ``spared``: what has all of *these* stays; ``until``: only what was made before;
    ``dangling``: only images without a tag; ``unnamed``: only volumes that got their name from the engine.
    """

    labels: tuple[str, ...] = ()
    spared: tuple[str, ...] = ()
    until: datetime | None = None
    dangling: bool = True
    unnamed: bool = False


def read_selection(kind: str, filters: Mapping[str, list[str]], version: tuple[int, int], now: datetime) -> Selection:
    """Read the filters of a prune of a kind of object.

    Raises:
        ValueError: a key or value that the engine refuses, in its words.

    """
    for key in filters:
        if key not in KEYS[kind]:
            raise ValueError(f"Invalid filter '{key[:64]}'")
    return Selection(
        labels=tuple(filters.get("label", ())),
        spared=tuple(filters.get("label!", ())),
        until=_until(filters, now),
        dangling=_dangling(filters),
        unnamed=kind == "volume" and version >= UNNAMED_ONLY_SINCE and not _all(filters),
    )


def _until(filters: Mapping[str, list[str]], now: datetime) -> datetime | None:
    values = sorted(set(filters.get("until", ())))
    if len(values) > 1:
        raise ValueError("more than one until filter specified")
    return parse_time(values[0], now) if values else None


def _dangling(filters: Mapping[str, list[str]]) -> bool:
    values = set(filters.get("dangling", ()))
    if not values:
        return True
    yes, no = bool(values & {"1", "true"}), bool(values & {"0", "false"})
    if yes == no:
        raise ValueError(f"Invalid filter 'dangling=[{' '.join(sorted(values))[:64]}]'")
    return yes


def _all(filters: Mapping[str, list[str]]) -> bool:
    values = sorted(set(filters.get("all", ())))
    if len(values) > 1:
        raise ValueError(f"invalid filter 'all=[{' '.join(values)[:64]}]': only one value is expected")
    if values and values[0] not in (*TRUE, *FALSE):
        raise ValueError(f"invalid filter 'all': {values[0][:64]!r} is neither true nor false")
    return bool(values) and values[0] in TRUE


def has_labels(wanted: Iterable[str], labels: Mapping[str, str] | None) -> bool:
    """Tell whether ``labels`` has every wanted ``key`` or ``key=value``; nothing wanted is always there."""
    for text in wanted:
        key, equals, value = text.partition("=")
        if key not in (labels or {}) or (equals and (labels or {})[key] != value):
            return False
    return True


def _selected(selection: Selection, labels: Mapping[str, str] | None, created: str | None) -> bool:
    if not has_labels(selection.labels, labels):
        return False
    if selection.spared and has_labels(selection.spared, labels):
        return False
    return selection.until is None or (bool(created) and parse_timestamp(str(created)) <= selection.until)


def select_containers(found: Iterable[Item], selection: Selection) -> list[Item]:
    """Return those inspected containers that do not run (paused and restarting ones do) and are selected."""
    return [c for c in found if not c["State"]["Running"] and _selected(selection, (c.get("Config") or {}).get("Labels"), c.get("Created"))]


def select_networks(found: Iterable[Item], selection: Selection, needed: frozenset[str]) -> list[Item]:
    """Return those inspected networks that nothing is attached to and are selected.

    ``needed``: ids and names of networks that containers name, the stopped ones' too; those stay.
    """
    return [
        n
        for n in found
        if n["Name"] not in PREDEFINED
        and not (n.get("Containers") or n.get("Services") or n.get("ConfigOnly"))
        and not {n["Id"], n["Name"]} & needed
        and _selected(selection, n.get("Labels"), n.get("Created"))
    ]


def select_volumes(unused: Iterable[Item], selection: Selection) -> list[Item]:
    """Return those volumes, of ones that no container mounts, that are plain local ones and are selected."""
    return [
        v
        for v in unused
        if v.get("Driver") == "local"
        and not v.get("Options")
        and (not selection.unnamed or ANONYMOUS_LABEL in (v.get("Labels") or {}))
        and _selected(selection, v.get("Labels"), v.get("CreatedAt"))
    ]


def select_images(found: Iterable[Item], selection: Selection, used: frozenset[str]) -> list[Item]:
    """Return those inspected images that are selected: without a tag, or (``dangling=false``) all that nothing uses.

    ``used``: ids of the images of all containers, running or not. ``RepoTags`` holds all tags, whosesoever.
    """
    return [
        i
        for i in found
        if i["Id"] not in used
        and not (selection.dangling and i.get("RepoTags"))
        and _selected(selection, (i.get("Config") or {}).get("Labels"), i.get("Created"))
    ]


def networks_needed(containers: Iterable[Item]) -> frozenset[str]:
    """Return the ids and names of the networks that listed containers are on, or will want when they start."""
    needed: set[str] = set()
    for item in containers:
        needed.add((item.get("HostConfig") or {}).get("NetworkMode", ""))
        for name, endpoint in ((item.get("NetworkSettings") or {}).get("Networks") or {}).items():
            needed |= {name, (endpoint or {}).get("NetworkID", "")}
    return frozenset(needed - {""})
