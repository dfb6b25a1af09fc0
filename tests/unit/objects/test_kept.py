"""What is kept of an inspected container, network and volume: all that makes it again, and nothing that may be a secret."""

import json

from hostadmin.objects import kept

NETWORK, OTHER, SELF, FRIEND = "a" * 64, "b" * 64, "c" * 64, "d" * 64
SECRETS = (
    "planted-env",
    "planted-cmd",
    "planted-entry",
    "planted-label",
    "planted-health",
    "planted-log",
    "planted-note",
    "planted-driver",
)
INSPECTED = {
    "Id": SELF,
    "Name": "/web",
    "Args": ["planted-cmd"],
    "Path": "planted-entry",
    "State": {
        "Running": True,
        "Paused": False,
        "Restarting": False,
        "StartedAt": "2026-01-02T03:04:05.6Z",
        "Health": {"Log": ["planted-health"]},
    },
    "Config": {
        "Hostname": "host1",
        "Domainname": "",
        "Tty": True,
        "OpenStdin": True,
        "StdinOnce": False,
        "Env": ["TOKEN=planted-env"],
        "Cmd": ["planted-cmd"],
        "Entrypoint": ["planted-entry"],
        "Labels": {"a": "planted-label", "io.hostadmin.owner": "o"},
        "Healthcheck": {"Test": ["CMD", "planted-health"]},
        "StopSignal": "SIGINT",
        "StopTimeout": 3,
        "Image": "alpine",
    },
    "HostConfig": {
        "Binds": ["data:/data:rw", "/anon2"],
        "NetworkMode": NETWORK,
        "Memory": 123,
        "NewLimit": {"of": 2040},
        "Annotations": {"x": "planted-note"},
        "Links": ["/db:/web/db"],
        "RestartPolicy": {"Name": "always", "MaximumRetryCount": 0},
        "LogConfig": {"Type": "splunk", "Config": {"max-size": "1m", "splunk-token": "planted-log"}},
        "VolumesFrom": [f"{FRIEND}:ro"],
        "PidMode": f"container:{FRIEND}",
        "Mounts": [
            {"Type": "volume", "Source": "more", "Target": "/more", "VolumeOptions": {"NoCopy": True, "Labels": {"l": "planted-label"}}},
            {"Type": "volume", "Target": "/anon3", "VolumeOptions": {"DriverConfig": {"Options": {"o": "planted-driver"}}}},
        ],
    },
    "Mounts": [
        {"Type": "volume", "Name": "data", "Destination": "/data", "RW": True},
        {"Type": "volume", "Name": "1" * 64, "Destination": "/anon", "RW": True},
        {"Type": "volume", "Name": "2" * 64, "Destination": "/anon2", "RW": True},
        {"Type": "volume", "Name": "3" * 64, "Destination": "/anon3", "RW": False},
        {"Type": "volume", "Name": "more", "Destination": "/more", "RW": True},
    ],
    "NetworkSettings": {
        "Networks": {
            "net1": {"NetworkID": NETWORK, "Aliases": ["front", SELF[:12]], "IPAddress": "172.18.0.2", "IPAMConfig": None},
            "net2": {"NetworkID": OTHER, "Aliases": None, "IPAMConfig": {"IPv4Address": "172.19.0.9"}, "MacAddress": "02:42:00:00:00:00"},
        }
    },
}


def test_nothing_that_may_be_a_secret_is_kept():
    text = json.dumps(kept.keep_container(INSPECTED))
    assert [s for s in SECRETS if s in text] == []
    assert "planted" not in text


def test_what_makes_it_again_is_kept():
    found = kept.keep_container(INSPECTED)
    assert found["config"] == {
        "Hostname": "host1",
        "Domainname": "",
        "Tty": True,
        "OpenStdin": True,
        "StdinOnce": False,
        "StopSignal": "SIGINT",
        "StopTimeout": 3,
    }
    host = found["host"]
    assert (host["Memory"], host["NewLimit"], host["RestartPolicy"]["Name"]) == (123, {"of": 2040}, "always"), "limits never get lost"
    assert "Links" not in host, "a name may be somebody else's by then"
    assert host["LogConfig"] == {"Type": "splunk", "Config": {"max-size": "1m"}}
    assert host["Binds"] == ["data:/data:rw", f"{'1' * 64}:/anon:nocopy", f"{'2' * 64}:/anon2:nocopy", f"{'3' * 64}:/anon3:nocopy,ro"]
    assert host["Mounts"] == [{"Type": "volume", "Source": "more", "Target": "/more", "VolumeOptions": {"NoCopy": True}}]
    assert found["endpoints"] == [
        {"network": NETWORK, "name": "net1", "config": {"Aliases": ["front"]}},
        {"network": OTHER, "name": "net2", "config": {"IPAMConfig": {"IPv4Address": "172.19.0.9"}}},
    ]
    assert (found["state"], found["restart"]) == ("running", "always")
    assert kept.needed_containers(found) == {FRIEND}
    assert kept.needed_volumes(found) == {"data", "more", "1" * 64, "2" * 64, "3" * 64}


def test_the_body_takes_the_rest_from_the_snapshot_and_all_ids_are_todays():
    body = kept.container_body(
        kept.keep_container(INSPECTED), "sha256:x", {"io.hostadmin.owner": "o"}, {NETWORK: "9" * 64, FRIEND: "8" * 64}
    )
    assert set(body) == {"Hostname", "Domainname", "Tty", "OpenStdin", "StdinOnce", "StopSignal", "StopTimeout"} | {
        *("Image", "Labels", "HostConfig", "NetworkingConfig")
    }
    assert body["Image"] == "sha256:x"
    assert body["Labels"] == {"io.hostadmin.owner": "o"}
    assert body["HostConfig"]["NetworkMode"] == "9" * 64
    assert body["HostConfig"]["PidMode"] == f"container:{'8' * 64}"
    assert body["HostConfig"]["VolumesFrom"] == [f"{'8' * 64}:ro"]
    assert body["NetworkingConfig"] == {"EndpointsConfig": {"9" * 64: {"Aliases": ["front"]}}}


def test_who_joins_anothers_network_has_no_name_of_its_own():
    host = {**INSPECTED["HostConfig"], "NetworkMode": f"container:{FRIEND}"}
    found = kept.keep_container({**INSPECTED, "HostConfig": host, "NetworkSettings": {"Networks": {}}})
    body = kept.container_body(found, "sha256:x", {}, {FRIEND: "8" * 64})
    assert body["HostConfig"]["NetworkMode"] == f"container:{'8' * 64}"
    assert "Hostname" not in body
    assert "NetworkingConfig" not in body


def test_states():
    def state(**values):
        return kept.keep_container({**INSPECTED, "State": values})["state"]

    assert state(Running=True, Paused=True) == "paused"
    assert state(Running=True, Restarting=True) == "running"
    assert state(Running=False) == "stopped"


def test_each_comes_after_those_that_it_joins_else_as_they_were_started():
    def one(started, *joins):
        return {"started": started, "host": {"VolumesFrom": list(joins)}}

    assert kept.in_order([("c", one("3")), ("a", one("1", "c", "gone")), ("b", one("2")), ("d", one("0", "a"))]) == ["b", "c", "a", "d"]
    assert sorted(kept.in_order([("a", one("1", "b")), ("b", one("2", "a"))])) == ["a", "b"], "a circle ends"


def test_a_network_keeps_its_subnet_and_its_own_labels():
    inspected = {
        "Id": NETWORK,
        "Name": "net1",
        "Driver": "bridge",
        "Internal": True,
        "Attachable": False,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Config": [{"Subnet": "172.18.5.0/24", "Gateway": "172.18.5.1"}]},
        "Options": {"com.docker.network.bridge.enable_icc": "false"},
        "Labels": {"mine": "1", "io.hostadmin.owner": "o", "io.hostadmin.req": "r"},
        "Containers": {SELF: {}},
        "Scope": "local",
    }
    body = kept.network_body(kept.keep_network(inspected), "net1", {"io.hostadmin.req": "new"})
    assert body == {
        "Name": "net1",
        "CheckDuplicate": True,
        "Driver": "bridge",
        "Internal": True,
        "Attachable": False,
        "EnableIPv6": False,
        "IPAM": inspected["IPAM"],
        "Options": inspected["Options"],
        "Labels": {"mine": "1", "io.hostadmin.req": "new"},
    }


def test_volumes_of_other_drivers_and_with_options_are_not_recoverable():
    assert kept.why_not_recoverable({"Driver": "local", "Options": None}) == ""
    assert "driver options" in kept.why_not_recoverable({"Driver": "local", "Options": {"type": "nfs"}})
    assert "'nfs'" in kept.why_not_recoverable({"Driver": "nfs"})
