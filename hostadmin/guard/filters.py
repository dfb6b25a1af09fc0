"""The keys of ``filters``, endpoint by endpoint, each with the kind of its values (``engine-api.md`` 2.11).

Kinds are written as for parameters (``guard.query``). Most values are text that the engine compares, or a word of a
list that it refuses outside of in its own words; references in values are resolved by the rules (1.6 R2).
"""

from collections.abc import Mapping
from typing import Final


def _texts(*keys: str) -> dict[str, str]:
    return dict.fromkeys(keys, "s")


_NETWORKS: Final = _texts("driver", "id", "name", "label", "scope", "type", "dangling")
_PRUNE: Final = {"until": "moment", **_texts("label", "label!")}

FILTERS: Final[Mapping[str, Mapping[str, str]]] = {
    "ContainerList": _texts(
        *("ancestor", "before", "since", "network", "volume"),
        *("exited", "expose", "publish", "health", "id", "name", "label", "status", "is-task", "isolation"),
    ),
    "ImageList": {"until": "moment", **_texts("dangling", "label", "label!", "before", "since", "reference")},
    "NetworkList": _NETWORKS,
    "NetworkListSlash": _NETWORKS,
    "VolumeList": _texts("dangling", "driver", "label", "name"),
    "PluginList": _texts("capability", "enabled"),
    "SystemEvents": _texts(
        *("type", "event", "scope", "label", "container", "image", "volume", "network"),
        *("plugin", "daemon", "node", "service", "secret", "config"),
    ),
    "ImageSearch": _texts("is-official", "is-automated", "stars"),
    "ContainerPrune": _PRUNE,
    "NetworkPrune": _PRUNE,
    "ImagePrune": {"dangling": "s", **_PRUNE},
    "VolumePrune": {"all": "s@42", **_texts("label", "label!")},
    "BuildPrune": {
        "until": "moment",
        **_texts("id", "parent", "type", "description", "inuse", "shared", "private", "label", "label!", "unused-for"),
    },
}
