"""Host ports: blocks, ranges, and what is chosen where nobody names one."""

from dataclasses import replace

import pytest

from hostadmin.policy.ports import Room, admit_ports, allot_block, bindings_of, choose_ports, expose, fits, ports_of
from tests.unit.guard.samples import PROFILE

BLOCKS = replace(PROFILE, ports=(20000, 20011), port_block=4)


def host(*ports):
    return {"PortBindings": {f"{80 + n}/tcp": [{"HostIp": "", "HostPort": p}] for n, p in enumerate(ports)}}


@pytest.mark.parametrize(
    ("taken", "block"),
    [
        ([], (20000, 20003)),
        ([(20000, 20003)], (20004, 20007)),
        ([(20004, 20007)], (20000, 20003)),
        ([(20002, 20004)], (20005, 20008)),
        ([(20000, 20003), (20004, 20007), (20008, 20011)], None),
        ([(1, 30000)], None),
    ],
)
def test_blocks_never_overlap_and_end(taken, block):
    assert allot_block(BLOCKS, taken) == block


def test_a_block_of_other_numbers_is_none_any_more():
    assert fits((20004, 20007), BLOCKS)
    assert not fits((20004, 20008), BLOCKS)
    assert not fits((20008, 20011), replace(BLOCKS, ports=(20000, 20010)))


@pytest.mark.parametrize(
    ("port", "good"),
    [("20000", True), ("20003", True), ("20000-20003", True), ("", True), ("0", True), ("20004", False), ("20002-20005", False),
     ("80", False), ("65536", False), ("20003-20001", False)],
)  # fmt: skip
def test_explicit_ports_lie_in_ones_own_block(port, good):
    assert admit_ports(host(port), BLOCKS, Room((20000, 20003))) is not good


def test_nobody_publishes_in_somebody_elses_block():
    room = Room(PROFILE.ports, ((20000, 20003),))
    assert admit_ports(host("20001"), PROFILE, room)
    assert admit_ports(host("19990-20000"), PROFILE, room)
    assert not admit_ports(host("20004", "8080"), PROFILE, room)


def test_an_address_is_one():
    given = {"PortBindings": {"80/tcp": [{"HostIp": "1.2.3.4.5", "HostPort": "8080"}]}}
    assert admit_ports(given, PROFILE, Room(PROFILE.ports))
    given["PortBindings"]["80/tcp"][0]["HostIp"] = "::1"
    assert not admit_ports(given, PROFILE, Room(PROFILE.ports))


def test_ports_that_nobody_names_are_chosen_from_the_room():
    given = {"PortBindings": {"80/tcp": None, "81/tcp": [], "82/tcp": [{"HostPort": "0"}], "83/tcp": [{"HostPort": "20001"}]}}
    assert choose_ports(given, Room((20000, 20007), ((20004, 20005),)), used=[20000])
    assert ports_of(given) == [20002, 20003, 20006, 20001]
    assert not choose_ports({"PortBindings": {"80/tcp": None}}, Room((20000, 20003)), used=range(20000, 20004))


def test_the_engine_chooses_where_any_port_will_do():
    given = {"PortBindings": {"80/tcp": None}}
    assert choose_ports(given, Room((1024, 65535)), used=[])
    assert given == {"PortBindings": {"80/tcp": None}}


def test_publish_all_becomes_explicit_with_what_the_image_exposes():
    body = {"ExposedPorts": {"80/tcp": {}}, "HostConfig": {"PublishAllPorts": True, "PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}}
    expose(body, {"Config": {"ExposedPorts": {"90-92/udp": {}, "80": {}}}})
    assert "PublishAllPorts" not in body["HostConfig"]
    assert list(body["HostConfig"]["PortBindings"]) == ["80/tcp", "90/udp", "91/udp", "92/udp"]
    assert len(bindings_of(body["HostConfig"])) == 4
    expose(body, {"Config": {"ExposedPorts": {"1-65535/tcp": {}}}})
    assert len(body["HostConfig"]["PortBindings"]) == 4, "without it nothing is published"
    body["HostConfig"]["PublishAllPorts"] = True
    expose(body, {"Config": {"ExposedPorts": {"1-65535/tcp": {}}}})
    assert len(body["HostConfig"]["PortBindings"]) < 1010
