"""Every member that the Engine API's own definitions name (1.41 to 1.56) is decided in the schemas."""

from pathlib import Path

import pytest

from hostadmin.guard import bodies
from hostadmin.guard.refusal import Refusal
from hostadmin.guard.target import VERSION_LOWEST

TABLES = {
    "BindOptions": bodies.BIND_OPTIONS,
    "Commit": bodies.CONFIG,
    "Config": bodies.CONFIG,
    "ContainerCreate": bodies.CREATE,
    "ContainerUpdate": bodies.UPDATE,
    "EndpointIPAMConfig": bodies.ENDPOINT_IPAM,
    "EndpointSettings": bodies.ENDPOINT,
    "ExecCreate": bodies.EXEC,
    "ExecStart": bodies.EXEC_STARTED,
    "Healthcheck": bodies.HEALTHCHECK,
    "HostConfig": bodies.HOST_CONFIG,
    "IPAM": bodies.IPAM,
    "IPAMConfig": bodies.IPAM_CONFIG,
    "ImageOptions": bodies.IMAGE_OPTIONS,
    "LogConfig": bodies.LOG_CONFIG,
    "Mount": bodies.MOUNT,
    "NetworkConnect": bodies.CONNECT,
    "NetworkCreate": bodies.NETWORK,
    "NetworkDisconnect": bodies.DISCONNECT,
    "NetworkingConfig": bodies.NETWORKING,
    "PortBinding": bodies.PORT_BINDING,
    "Resources": bodies.RESOURCES,
    "RestartPolicy": bodies.RESTART_POLICY,
    "TmpfsOptions": bodies.TMPFS_OPTIONS,
    "Ulimit": bodies.ULIMIT,
    "VolumeCreate": bodies.VOLUME,
    "VolumeOptions": bodies.VOLUME_OPTIONS,
}
MEMBERS = [line.split() for line in (Path(__file__).parent / "engine_members.txt").read_text().splitlines() if line[0] != "#"]

# Real but undocumented: what the engine binds or real clients send besides (engine-api.md 3.1, 3.3, 3.11).
BESIDES = {
    ("Config", "Cmd"),
    ("EndpointSettings", "DNSNames"),
    ("ExecCreate", "Detach"),
    ("ExecCreate", "detachKeys"),  # aiodocker's spelling
    ("ExecCreate", "Container"),
    ("IPAMConfig", "AuxAddress"),
    ("Mount", "ClusterOptions"),
    ("HostConfig", "ContainerIDFile"),
    ("Resources", "KernelMemoryTCP"),
}


def test_every_member_of_every_definition_is_decided():
    assert {definition for definition, *_ in MEMBERS} == set(TABLES)
    missing = [(definition, member) for definition, member, *_ in MEMBERS if member not in TABLES[definition]]
    assert not missing


def test_no_member_is_taken_that_the_engine_does_not_know():
    documented = {(definition, member) for definition, member, *_ in MEMBERS}
    extra = {(d, m) for d, table in TABLES.items() for m in table if (d, m) not in documented}
    assert extra <= BESIDES, extra - BESIDES


def _probe(member):
    """Return a value of the member that is not neutral, whatever its type."""
    return {
        "StartInterval": 10**9, "GwPriority": 5, "CreateMountpoint": True, "ReadOnlyNonRecursive": True,
        "ReadOnlyForceRecursive": True, "Subpath": "a", "Options": [["noexec"]], "ImageOptions": {"Subpath": "a"},
        "EnableIPv4": True, "ClusterVolumeSpec": {"Group": "a"}, "Annotations": {"a": "b"}, "ConsoleSize": [10, 20],
    }[member]  # fmt: skip


NEWER = [
    (d, m, tuple(int(n) for n in first.split(".")))
    for d, m, first, _ in MEMBERS
    if tuple(int(n) for n in first.split(".")) > VERSION_LOWEST and m != "DNSNames"
]


@pytest.mark.parametrize(("definition", "member", "first"), NEWER, ids=[f"{d}.{m}" for d, m, _ in NEWER])
def test_a_member_newer_than_the_request_does_not_pass_unnoticed(definition, member, first):
    """In a version that has it, it is judged; in an older one it is dropped if it says nothing, else told."""
    if (definition, member) == ("ImageOptions", "Subpath"):
        return  # the whole of ImageOptions is as new
    schema = bodies.Schema(bodies.record(TABLES[definition]))
    older = (first[0], first[1] - 1)
    for nothing in (None, False, 0, "", [], {}):
        assert schema({member: nothing}, version=older) == {}, nothing
    if member == "ConsoleSize":
        assert schema({member: _probe(member)}, version=older) == {}, "it changes nothing but looks"
    else:
        with pytest.raises(Refusal) as refused:
            schema({member: _probe(member)}, version=older)
        assert f"needs API 1.{first[1]}" in refused.value.message
    refusals = []
    assert (member in schema({member: _probe(member)}, version=first, refusals=refusals)) != bool(refusals)


def test_everything_malformed_is_told_at_once_as_400():
    body = {"Wonderful": 1, "HostConfig": {"AutoRemove": 1, "Strange": True, "Memory": "x", "Privileged": True}, "Tty": "yes"}
    with pytest.raises(Refusal) as refused:
        bodies.CONTAINER_CREATE(body)
    assert refused.value.status == 400
    for part in ("HostConfig.Strange, Wonderful", "HostConfig.AutoRemove", "HostConfig.Memory", "HostConfig.Privileged", "Tty"):
        assert part in refused.value.message, part


def test_everything_not_allowed_is_told_at_once_as_403_or_handed_over():
    body = {"Image": "a", "HostConfig": {"Privileged": True, "Devices": [{"PathOnHost": "/dev/sda"}], "UsernsMode": "host", "Init": True}}
    with pytest.raises(Refusal) as refused:
        bodies.CONTAINER_CREATE(body)
    assert refused.value.status == 403
    refusals = []
    checked = bodies.CONTAINER_CREATE(body, refusals=refusals)
    assert len(refusals) == 3
    assert checked == {"Image": "a", "HostConfig": {"Init": True}}, "what is refused is not in what is judged further"
