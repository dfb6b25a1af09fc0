"""Memory, CPUs, processes, logs, mounts in memory: defaults, bounds, and an update judged by what will hold."""

from dataclasses import replace

import pytest

from hostadmin.policy.admission import admit_container, silence_gpus
from hostadmin.policy.logs import admit_log, parse_size
from hostadmin.policy.quotas import find_exceeded, new_unnamed_volumes
from hostadmin.policy.resources import admit_build, admit_resources, admit_update
from tests.unit.guard.samples import PROFILE

GIB = 1 << 30
TIGHT = replace(PROFILE, memory_bytes=GIB, cpus=1.0, pids=100, memory_total_bytes=4 * GIB, cpus_total=2.0)
LOOSE = replace(PROFILE, memory_bytes=0, cpus=0.0, memory_total_bytes=4 * GIB, cpus_total=2.0)


def test_nothing_said_means_the_profiles_numbers():
    host = {}
    assert not admit_resources(host, TIGHT)
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (GIB, 10**9, 100)
    host = {"CpuQuota": 50000}
    assert not admit_resources(host, TIGHT)
    assert "NanoCpus" not in host, "the engine takes one of the two"


@pytest.mark.parametrize(
    ("host", "good"),
    [
        ({"Memory": GIB}, True), ({"Memory": GIB + 1}, False), ({"MemoryReservation": 2 * GIB}, False), ({"MemorySwap": -1}, False),
        ({"MemorySwap": 2 * GIB}, True), ({"MemorySwap": 2 * GIB + 1}, False), ({"NanoCpus": 10**9}, True), ({"NanoCpus": 10**9 + 1}, False),
        ({"CpuQuota": 100000}, True), ({"CpuQuota": 100001}, False), ({"CpuQuota": 50000, "CpuPeriod": 10000}, False),
        ({"CpuQuota": -1}, False), ({"PidsLimit": 100}, True), ({"PidsLimit": 101}, False), ({"PidsLimit": -1}, True),
        ({"Ulimits": [{"Name": "nofile", "Soft": 1024, "Hard": 1048576}]}, True), ({"Ulimits": [{"Name": "nofile", "Soft": -1, "Hard": -1}]}, False),
        ({"BlkioWeight": 5}, False), ({"BlkioWeight": 500}, True),
    ],
)  # fmt: skip
def test_bounds_of_a_new_container(host, good):
    assert (not admit_resources(dict(host), TIGHT)) is good


def test_one_container_cannot_ask_for_more_than_all_may_have():
    assert admit_resources({"Memory": 5 * GIB}, LOOSE)
    assert admit_resources({"NanoCpus": 3 * 10**9}, LOOSE)
    assert not admit_resources({"Memory": 4 * GIB, "NanoCpus": 2 * 10**9}, LOOSE)


STORED = {"Memory": GIB, "MemorySwap": 2 * GIB, "CpuQuota": 50000, "CpuPeriod": 100000, "NanoCpus": 0}


@pytest.mark.parametrize(
    ("body", "good"),
    [
        ({"RestartPolicy": {"Name": "always"}}, True),
        ({"Memory": 0, "CpuQuota": 0}, True),
        ({"CpuPeriod": 1000}, False),  # with the stored quota that is 50 CPUs
        ({"CpuPeriod": 60000}, True),
        ({"Memory": 2 * GIB}, False),
        ({"MemorySwap": -1}, False),
    ],
)
def test_an_update_is_judged_by_what_will_hold(body, good):
    assert (not admit_update(dict(body), STORED, TIGHT)) is good


def test_an_update_without_a_number_of_processes_leaves_it_and_zero_is_no_way_out():
    body = {"RestartPolicy": {"Name": ""}}
    assert not admit_update(body, STORED, TIGHT)
    assert body == {}
    for unlimited in (0, -1):
        body = {"PidsLimit": unlimited}
        assert not admit_update(body, STORED, TIGHT)
        assert body["PidsLimit"] == 100


def test_what_was_admitted_under_other_numbers_does_not_stop_another_change():
    assert not admit_update({"RestartPolicy": {"Name": "no"}}, STORED | {"Memory": 100 * GIB}, TIGHT)


def test_builds_have_the_same_bounds():
    asked = dict.fromkeys(("memory", "memswap", "cpuperiod", "cpuquota", "shmsize"), 0)
    assert not admit_build(asked, TIGHT)
    assert (asked["memory"], asked["cpuquota"]) == (GIB, 100000)
    assert len(admit_build(asked | {"memory": 2 * GIB, "shmsize": 2 * GIB}, TIGHT)) == 2


@pytest.mark.parametrize(
    ("text", "size"), [("10m", 10**7), ("1G", 10**9), ("5kb", 5000), ("7", 7), ("-1", None), ("1.5m", None), ("", None), ("9x", None)]
)
def test_sizes_of_logs(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("given", "config"),
    [
        ({}, {"max-size": "25000000", "max-file": "2"}),
        ({"max-size": "10m"}, {"max-size": "10000000", "max-file": "1"}),
        ({"max-file": "5"}, {"max-size": "10000000", "max-file": "5"}),
        ({"max-size": "10m", "max-file": "5", "compress": "false"}, {"max-size": "10000000", "max-file": "5", "compress": "false"}),
        ({"max-size": "10m", "max-file": "6"}, None), ({"max-size": "-1"}, None), ({"max-file": "0"}, None), ({"max-file": "-3"}, None),
        ({"compress": "maybe"}, None), ({"labels": "x"}, None),
    ],
)  # fmt: skip
def test_logs_are_always_bounded(given, config):
    host = {"LogConfig": {"Type": "", "Config": dict(given)}}
    found = admit_log(host, PROFILE)
    assert bool(found) is (config is None)
    if config:
        assert host["LogConfig"] == {"Type": "json-file", "Config": config}


BAD = [
    {"StopTimeout": 301}, {"StopTimeout": -1}, {"Healthcheck": {"Interval": 1_000_000}}, {"Healthcheck": {"StartInterval": 1}},
    {"Healthcheck": {"Retries": 10**6}}, {"Env": ["NVIDIA_VISIBLE_DEVICES=all"]}, {"HostConfig": {"Dns": ["nowhere"]}},
    {"HostConfig": {"DnsSearch": ["a b"]}}, {"HostConfig": {"DnsOptions": ["ndots:1\nnameserver 1.1.1.1"]}},
    {"HostConfig": {"ExtraHosts": ["a:b"]}}, {"HostConfig": {"ExtraHosts": ["x y:1.2.3.4"]}}, {"HostConfig": {"CpusetCpus": "1-"}},
    {"HostConfig": {"Tmpfs": {"/t": "size=50%"}}}, {"HostConfig": {"Tmpfs": {"/t": "size=2g"}}}, {"HostConfig": {"Tmpfs": {"/../t": ""}}},
    {"HostConfig": {"Mounts": [{"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"Options": [["suid"]]}}]}},
    {"HostConfig": {"Mounts": [{"Type": "volume", "Target": "/t", "VolumeOptions": {"Subpath": "../x"}}]}},
    {"HostConfig": {"SecurityOpt": ["no-new-privileges=maybe"]}}, {"HostConfig": {"SecurityOpt": ["no-new-privileges:"]}}, {"HostConfig": {"CapDrop": ["all the rest"]}},
]  # fmt: skip
GOOD = [
    {"StopTimeout": 60}, {"Healthcheck": {"Interval": 5 * 10**9}}, {"Env": ["NVIDIA_VISIBLE_DEVICES=void", "NVIDIA_API_KEY=x"]},
    {"HostConfig": {"Dns": ["1.1.1.1", "::1"]}}, {"HostConfig": {"DnsSearch": ["example.com", "."]}}, {"HostConfig": {"DnsOptions": ["ndots:2"]}},
    {"HostConfig": {"ExtraHosts": ["db:10.0.0.1", "six:[::1]", "me:host-gateway"]}}, {"HostConfig": {"CpusetCpus": "0-1,3"}},
    {"HostConfig": {"Tmpfs": {"/t": "size=64m,noexec"}}}, {"HostConfig": {"SecurityOpt": ["no-new-privileges:true"]}},
    {"HostConfig": {"Mounts": [{"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"Options": [["noexec"], ["size", "1m"]]}}]}},
    {"HostConfig": {"CapDrop": ["all"], "CapAdd": ["cap_net_raw"]}},
]  # fmt: skip


@pytest.mark.parametrize("body", BAD)
def test_refused(body):
    assert admit_container(body, PROFILE)


@pytest.mark.parametrize("body", GOOD)
def test_admitted(body):
    assert not admit_container(body, PROFILE)


def test_what_is_not_said_is_bounded_too():
    body = {
        "HostConfig": {"Tmpfs": {"/t": "noexec"}, "Mounts": [{"Type": "tmpfs", "Target": "/m"}], "SecurityOpt": ["no-new-privileges=false"]}
    }
    assert not admit_container(body, PROFILE)
    assert body["HostConfig"]["Tmpfs"] == {"/t": f"noexec,size={GIB}"}
    assert body["HostConfig"]["Mounts"][0]["TmpfsOptions"]["SizeBytes"] == GIB
    assert body["HostConfig"]["SecurityOpt"] == []


def test_gpus_and_the_hosts_address_by_profile():
    generous = replace(PROFILE, gpus=True, host_gateway=False)
    assert not admit_container({"Env": ["NVIDIA_VISIBLE_DEVICES=all"]}, generous)
    assert admit_container({"HostConfig": {"ExtraHosts": ["me:host-gateway"]}}, generous)
    image = {"Config": {"Env": ["NVIDIA_VISIBLE_DEVICES=all", "PATH=/bin"]}}
    body = {"Env": []}
    silence_gpus(body, image, PROFILE)
    assert body["Env"] == ["NVIDIA_VISIBLE_DEVICES=void"]
    silence_gpus(body, image, generous)
    assert body["Env"] == ["NVIDIA_VISIBLE_DEVICES=void"]


def test_a_quota_says_used_limit_and_what_frees_some():
    profile = replace(PROFILE, containers=3)
    assert find_exceeded("containers", 2, 1, profile) is None
    text = find_exceeded("containers", 3, 1, profile, lambda: ["a", "b", "c", "d"])
    assert text == "containers: 3 of 3 used; remove one with `docker rm`; for example a, b, c"
    assert find_exceeded("containers", 10**6, 1, replace(PROFILE, containers=0)) is None
    assert find_exceeded("containers", 9, 0, profile) is None, "who asks for nothing is not refused"


def test_unnamed_volumes_are_counted_once():
    image = {"Config": {"Volumes": {"/data": {}, "/logs": {}}}}
    body = {
        "Volumes": {"/data": {}, "/more": {}},
        "HostConfig": {
            "Binds": ["named:/logs", "/lone"],
            "Mounts": [{"Type": "volume", "Target": "/m"}, {"Type": "tmpfs", "Target": "/more"}],
        },
    }
    assert new_unnamed_volumes(body, image) == 3  # /data, /lone, /m
