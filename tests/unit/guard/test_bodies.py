"""Bodies: closed schemas that take every neutral value real clients send, and nothing of the host's."""

import copy

import pytest

from hostadmin.guard import bodies
from hostadmin.guard.refusal import Refusal
from hostadmin.policy.admission import admit_container
from hostadmin.policy.ports import Room, admit_ports
from tests.unit.guard.samples import CLI_CREATE, PROFILE


def admitted(**host):
    body = copy.deepcopy(CLI_CREATE)
    body["HostConfig"].update(host)
    checked = bodies.CONTAINER_CREATE(body, "")
    return checked, admit_container(checked, PROFILE) + admit_ports(checked["HostConfig"], PROFILE, Room(PROFILE.ports))


def test_what_the_cli_sends_for_nothing_special_is_accepted():
    body, violations = admitted()
    assert not violations
    assert body["HostConfig"]["RestartPolicy"] == {"Name": "no", "MaximumRetryCount": 0}
    assert body["HostConfig"]["CgroupnsMode"] == "private"
    assert body["HostConfig"]["PidsLimit"] == PROFILE.pids
    for dropped in ("Privileged", "CgroupParent", "Devices", "UsernsMode", "UTSMode", "MaskedPaths"):
        assert dropped not in body["HostConfig"]


FORBIDDEN = {
    "privileged": {"Privileged": True},
    "cgroup parent": {"CgroupParent": "/x"},
    "devices": {"Devices": [{"PathOnHost": "/dev/sda"}]},
    "device rules": {"DeviceCgroupRules": ["a *:* rwm"]},
    "gpus": {"DeviceRequests": [{"Count": -1}]},
    "userns": {"UsernsMode": "host"},
    "uts": {"UTSMode": "host"},
    "annotations": {"Annotations": {"a": "b"}},
    "masked paths emptied": {"MaskedPaths": []},
    "readonly paths emptied": {"ReadonlyPaths": []},
    "groups": {"GroupAdd": ["docker"]},
    "oom kill": {"OomKillDisable": True},
    "storage": {"StorageOpt": {"size": "1G"}},
    "cgroupns host": {"CgroupnsMode": "host"},
    "runtime": {"Runtime": "io.containerd.kata.v2"},
    "volume driver": {"VolumeDriver": "nfs"},
    "blkio": {"BlkioDeviceReadBps": [{"Path": "/dev/sda", "Rate": 1}]},
    "unknown member": {"Wonderful": True},
    "other spelling": {"privileged": True},
    "kelvin sign": {"Networ\u212aMode": "host"},
    "number for boolean": {"AutoRemove": 1},
    "boolean for number": {"Memory": True},
}


@pytest.mark.parametrize("host", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_members_that_reach_the_host_are_refused_by_the_schema(host):
    with pytest.raises(Refusal):
        admitted(**host)


VIOLATING = {
    "links": {"Links": ["a:b"]},
    "links into a container": {"Links": ["a:b"], "NetworkMode": "container:x"},
    "host network": {"NetworkMode": "host"},
    "host pid": {"PidMode": "host"},
    "host ipc": {"IpcMode": "host"},
    "bind": {"Binds": ["/:/host"]},
    "relative bind": {"Binds": ["./x:/host"]},
    "home bind": {"Binds": ["~/x:/host"]},
    "bind propagation": {"Binds": ["v:/d:rshared"]},
    "relabel": {"Binds": ["v:/d:Z"]},
    "bind mount": {"Mounts": [{"Type": "bind", "Source": "/etc", "Target": "/e"}]},
    "volume mount of a path": {"Mounts": [{"Type": "volume", "Source": "/etc", "Target": "/e"}]},
    "named pipe": {"Mounts": [{"Type": "npipe", "Source": "x", "Target": "/e"}]},
    "all capabilities": {"CapAdd": ["ALL"]},
    "admin capability": {"CapAdd": ["cap_sys_admin"]},
    "seccomp": {"SecurityOpt": ["seccomp=unconfined"]},
    "apparmor": {"SecurityOpt": ["apparmor:unconfined"]},
    "label": {"SecurityOpt": ["no-new-privileges", "label=disable"]},
    "systempaths": {"SecurityOpt": ["systempaths=unconfined"]},
    "log driver": {"LogConfig": {"Type": "syslog", "Config": {}}},
    "log option": {"LogConfig": {"Type": "json-file", "Config": {"env": "A"}}},
    "low port": {"PortBindings": {"80/tcp": [{"HostPort": "22"}]}},
    "sysctl": {"Sysctls": {"kernel.core_pattern": "|/x"}},
    "tmpfs option": {"Tmpfs": {"/t": "suid"}},
    "shm": {"ShmSize": 1 << 40},
    "ulimit": {"Ulimits": [{"Name": "rtprio", "Soft": 1, "Hard": 1}]},
    "pids": {"PidsLimit": 1 << 20},
}


@pytest.mark.parametrize("host", VIOLATING.values(), ids=VIOLATING.keys())
def test_members_with_a_rule_are_violations(host):
    assert admitted(**host)[1]


ALLOWED = {
    "named volume": {"Binds": ["data:/data:ro"]},
    "volume mount": {"Mounts": [{"Type": "volume", "Source": "data", "Target": "/d"}]},
    "tmpfs": {"Tmpfs": {"/t": "size=1m,noexec"}},
    "port": {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}},
    "ephemeral port": {"PortBindings": {"80/tcp": None}},
    "restart": {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}},
    "no new privileges": {"SecurityOpt": ["no-new-privileges"]},
    "private ipc": {"IpcMode": "private"},
    "own capability": {"CapAdd": ["NET_RAW"], "CapDrop": ["ALL"]},
}


@pytest.mark.parametrize("host", ALLOWED.values(), ids=ALLOWED.keys())
def test_their_legitimate_twins_pass(host):
    assert not admitted(**host)[1]


def test_links_on_a_network_of_ones_own_do_nothing_and_are_not_forwarded():
    body = copy.deepcopy(CLI_CREATE)
    body["HostConfig"] |= {"Links": ["shop_web_1:web"], "NetworkMode": "shop_default"}
    checked = bodies.CONTAINER_CREATE(body, "")
    assert not admit_container(checked, PROFILE)
    assert "Links" not in checked["HostConfig"]


def test_all_violations_are_told_at_once():
    _, violations = admitted(NetworkMode="host", Binds=["/:/h"], CapAdd=["SYS_ADMIN"])
    assert len(violations) == 3


@pytest.mark.parametrize("name", ["io.hostadmin.owner", "IO.Hostadmin.x", "io.hostadmin."])
def test_reserved_labels_are_refused_in_any_spelling(name):
    body = copy.deepcopy(CLI_CREATE)
    body["Labels"] = {name: "x"}
    assert admit_container(bodies.CONTAINER_CREATE(body, ""), PROFILE)


def test_forwarded_bodies_hold_only_what_was_given():
    assert bodies.NETWORK_CREATE(
        {"Name": "a", "CheckDuplicate": True, "Driver": "bridge", "ConfigFrom": {"Network": ""}, "Options": {}}, ""
    ) == {
        "Name": "a",
        "CheckDuplicate": True,
        "Driver": "bridge",
        "Options": {},
    }
    with pytest.raises(Refusal):
        bodies.NETWORK_CREATE({"Name": "a", "Options": {"com.docker.network.bridge.name": "eth0"}}, "")
    with pytest.raises(Refusal):
        bodies.VOLUME_CREATE({"Name": "a", "DriverOpts": {"type": "none", "o": "bind", "device": "/"}}, "")
    with pytest.raises(Refusal):
        bodies.EXEC_CREATE({"Cmd": ["sh"], "Privileged": True}, "")


def test_entrypoint_null_is_kept():
    assert bodies.CONTAINER_CREATE({"Image": "a", "Entrypoint": None}, "") == {"Image": "a", "Entrypoint": None}
