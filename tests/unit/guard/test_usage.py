"""The shape of ``system df`` by version (``daemon/server/router/system``): lists, sums, or both."""

from types import SimpleNamespace

import pytest

from hostadmin.guard.query import Parameters, read_parameters
from hostadmin.guard.refusal import Refusal
from hostadmin.guard.rules.usage import chosen_types, shape

FOUND = {
    "Containers": [{"State": "running", "SizeRw": 5}, {"State": "exited", "SizeRw": 7}, {"State": "created"}],
    "Images": [{"Size": 100, "SharedSize": 60, "Containers": 1}, {"Size": 70, "SharedSize": 60, "Containers": 0}],
    "Volumes": [
        {"UsageData": {"Size": 9, "RefCount": 1}},
        {"UsageData": {"Size": 4, "RefCount": 0}},
        {"UsageData": {"Size": -1, "RefCount": -1}},
    ],
    "BuildCache": [],
}
LISTS = {"LayersSize": 170, **FOUND}


def exchange(version, *pairs):
    return SimpleNamespace(
        version=version, query=Parameters(pairs, read_parameters("SystemDataUsage", {"type": "s*", "verbose": "b"}), version)
    )


def test_lists_up_to_1_51_and_the_builders_size_at_the_beginning():
    assert shape(exchange((1, 41)), FOUND, 170) == {**LISTS, "BuilderSize": 0}
    assert shape(exchange((1, 51)), FOUND, 170) == LISTS
    assert shape(exchange((1, 44)), {"Volumes": FOUND["Volumes"]}, 0) == {"Volumes": FOUND["Volumes"]}


def test_sums_from_1_52_with_the_lists_unless_verbose():
    sums = {
        "ContainerUsage": {"ActiveCount": 1, "Reclaimable": 7, "TotalCount": 3, "TotalSize": 12},
        "ImageUsage": {"ActiveCount": 1, "Reclaimable": 10, "TotalCount": 2, "TotalSize": 170},
        "VolumeUsage": {"ActiveCount": 2, "Reclaimable": 4, "TotalCount": 3, "TotalSize": 13},
        "BuildCacheUsage": {},
    }
    assert shape(exchange((1, 52)), FOUND, 170) == {**LISTS, **sums}
    verbose = shape(exchange((1, 52), ("verbose", "1")), FOUND, 170)
    assert set(verbose) == set(sums)
    assert verbose["VolumeUsage"] == {**sums["VolumeUsage"], "Items": FOUND["Volumes"]}


def test_types_are_chosen_from_1_42():
    everything = {"container", "image", "volume", "build-cache"}
    assert chosen_types(exchange((1, 41), ("type", "volume"))) == everything
    assert chosen_types(exchange((1, 42), ("type", "volume"), ("type", "image"))) == {"volume", "image"}
    assert chosen_types(exchange((1, 42))) == everything
    with pytest.raises(Refusal, match="unknown object type: plugin"):
        chosen_types(exchange((1, 42), ("type", "plugin")))
