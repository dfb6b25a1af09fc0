"""Prune takes what the engine's own would take (``daemon/prune.go``, ``image_prune.go``, ``volume/service``), no more."""

from datetime import UTC, datetime

import pytest

from hostadmin.policy.prune import (
    ANONYMOUS_LABEL,
    Selection,
    networks_needed,
    read_selection,
    select_containers,
    select_images,
    select_networks,
    select_volumes,
)

NOW = datetime(2026, 8, 1, 12, 0, 0, tzinfo=UTC)
OLD, NEW = (1, 41), (1, 42)


def read(kind, version=OLD, **filters):
    return read_selection(kind, {k.replace("_not", "!"): v for k, v in filters.items()}, version, NOW)


@pytest.mark.parametrize(
    ("kind", "filters"),
    [
        ("container", {"dangling": ["true"]}),
        ("network", {"name": ["x"]}),
        ("volume", {"until": ["1h"]}),
        ("volume", {"dangling": ["true"]}),
        ("image", {"all": ["true"]}),
        ("container", {"until": ["1h", "2h"]}),
        ("container", {"until": ["soon"]}),
        ("image", {"dangling": ["perhaps"]}),
        ("image", {"dangling": ["true", "false"]}),
        ("volume", {"all": ["perhaps"]}),
        ("volume", {"all": ["true", "1"]}),
    ],
)
def test_what_the_engine_refuses_is_refused(kind, filters):
    with pytest.raises(ValueError, match="filter|until|parse"):
        read_selection(kind, filters, NEW, NOW)


def container(name, *, running=False, created="2026-08-01T11:00:00.123456789Z", **labels):
    return {"Id": name, "State": {"Running": running}, "Created": created, "Config": {"Labels": labels or None}}


def names(found, key="Id"):
    return [f[key] for f in found]


def test_running_paused_and_restarting_containers_stay():
    assert names(select_containers([container("a"), container("b", running=True)], Selection())) == ["a"]


@pytest.mark.parametrize(("until", "gone"), [("30m", ["a"]), ("2h", []), ("2026-08-01T11:00:00.2Z", ["a"]), ("2026-08-01T11:00:00Z", [])])
def test_until_looks_at_the_time_of_creation(until, gone):
    assert names(select_containers([container("a")], read("container", until=[until]))) == gone


@pytest.mark.parametrize(
    ("filters", "gone"),
    [
        ({}, ["plain", "a1", "ab"]),
        ({"label": ["a"]}, ["a1", "ab"]),
        ({"label": ["a=1"]}, ["a1", "ab"]),
        ({"label": ["a=2"]}, []),
        ({"label": ["a="]}, []),
        ({"label": ["a", "b"]}, ["ab"]),
        ({"label_not": ["a"]}, ["plain"]),
        ({"label_not": ["a", "b"]}, ["plain", "a1"]),  # only what has both is spared (moby/moby#40286)
        ({"label_not": ["a=2"]}, ["plain", "a1", "ab"]),
        ({"label": ["a"], "label_not": ["b"]}, ["a1"]),
    ],
)
def test_labels_are_anded_and_so_are_those_that_spare(filters, gone):
    found = [container("plain"), container("a1", a="1"), container("ab", a="1", b="2")]
    assert names(select_containers(found, read("container", **filters))) == gone


def network(name, **more):
    return {"Id": f"id-{name}", "Name": name, "Created": "2026-08-01T11:00:00Z", "Containers": {}, "Labels": {}, **more}


def test_networks_in_use_predefined_and_wanted_by_stopped_containers_stay():
    found = [network(n) for n in ("bridge", "host", "none", "free", "stopped", "mode")]
    found += [network("busy", Containers={"c": {}}), network("service", Services={"s": {}}), network("template", ConfigOnly=True)]
    stopped = {"HostConfig": {"NetworkMode": "id-mode"}, "NetworkSettings": {"Networks": {"stopped": {"NetworkID": ""}}}}
    assert names(select_networks(found, Selection(), networks_needed([stopped])), "Name") == ["free"]
    assert names(select_networks(found, read("network", until=["2h"]), frozenset()), "Name") == []


def volume(name, **more):
    return {"Name": name, "Driver": "local", "CreatedAt": "2026-08-01T11:00:00Z", "Options": None, "Labels": None, **more}


def test_from_1_42_only_unnamed_volumes_go_unless_all():
    found = [volume("named"), volume("unnamed", Labels={ANONYMOUS_LABEL: ""})]
    assert names(select_volumes(found, read("volume")), "Name") == ["named", "unnamed"]
    assert names(select_volumes(found, read("volume", NEW)), "Name") == ["unnamed"]
    assert names(select_volumes(found, read("volume", NEW, all=["0"])), "Name") == ["unnamed"]
    assert names(select_volumes(found, read("volume", NEW, all=["true"])), "Name") == ["named", "unnamed"]


def test_mounts_of_something_else_are_not_volumes_to_prune():
    found = [volume("nfs", Options={"type": "nfs"}), volume("plugin", Driver="other"), volume("plain")]
    assert names(select_volumes(found, Selection()), "Name") == ["plain"]


def image(name, *tags, created="2026-08-01T11:00:00Z", **labels):
    return {"Id": name, "RepoTags": list(tags), "Created": created, "Config": {"Labels": labels}}


def test_images_without_a_tag_go_and_with_dangling_false_all_unused_ones():
    found = [image("tagged", "a:1"), image("dangling"), image("used"), image("used-tagged", "b:1")]
    used = frozenset({"used", "used-tagged"})
    assert names(select_images(found, read("image"), used)) == ["dangling"]
    assert names(select_images(found, read("image", dangling=["false"]), used)) == ["tagged", "dangling"]


def test_an_image_without_a_build_time_is_not_older_than_anything():
    assert names(select_images([image("a", created="")], read("image", until=["1h"]), frozenset())) == []
    assert names(select_images([image("a", x="1")], read("image", label=["x=1"], until=["1m"]), frozenset())) == ["a"]
