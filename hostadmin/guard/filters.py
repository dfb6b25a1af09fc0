"""The keys of ``filters``, endpoint by endpoint, each with the kind of its values (``engine-api.md`` 2.11).

Kinds are written as for parameters (``guard.query``). References in values are resolved by the rules (``engine-api.md`` 1.6 R2).
"""

from collections.abc import Mapping
from typing import Final

_PRUNE: Final = {"until": "moment", "label": "s", "label!": "s"}
_NETWORKS: Final = {
    "driver": "s",
    "id": "pattern",
    "name": "pattern",
    "label": "s",
    "scope": "scope",
    "type": "builtin",
    "dangling": "flag",
}
_CACHE_TEXTS: Final = ("id", "parent", "type", "description", "inuse", "shared", "private", "label", "label!", "unused-for")
_EVENT_TEXTS: Final = ("type", "event", "container", "image", "volume", "network", "plugin", "daemon", "node", "service", "secret")

FILTERS: Final[Mapping[str, Mapping[str, str]]] = {
    "ContainerList": {
        "ancestor": "image",
        "before": "ref",
        "since": "ref",
        "exited": "exit",
        "expose": "port",
        "publish": "port",
        "health": "health",
        "id": "pattern",
        "name": "pattern",
        "label": "s",
        "network": "name",
        "volume": "mount",
        "status": "status",
        "is-task": "flag",
        "isolation": "s",
    },
    "ImageList": {
        "dangling": "flag",
        "label": "s",
        "label!": "s",
        "before": "image",
        "since": "image",
        "reference": "pattern",
        "until": "moment",
    },
    "NetworkList": _NETWORKS,
    "NetworkListSlash": _NETWORKS,
    "VolumeList": {"dangling": "flag", "driver": "s", "label": "s", "name": "pattern"},
    "PluginList": {"capability": "s", "enabled": "flag"},
    "SystemEvents": {**dict.fromkeys(_EVENT_TEXTS, "s"), "config": "s", "scope": "scope", "label": "s"},
    "ImageSearch": {"is-official": "flag", "is-automated": "flag", "stars": "u"},
    "ContainerPrune": _PRUNE,
    "NetworkPrune": _PRUNE,
    "ImagePrune": {**_PRUNE, "dangling": "flag"},
    "VolumePrune": {"label": "s", "label!": "s", "all": "bool@42"},
    "BuildPrune": {**dict.fromkeys(_CACHE_TEXTS, "s"), "until": "moment"},
}
