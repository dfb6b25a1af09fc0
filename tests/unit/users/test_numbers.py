"""The ledger of numbers: nobody gets what anybody has or had."""

from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from hostadmin.core.errors import Failed, Invalid
from hostadmin.policy import profiles
from hostadmin.store.migrate import data_dir
from hostadmin.users.numbers import Allotment, Given, Ranges

STUDENT = profiles.load(data_dir("config") / "profiles.toml", "student").get(None)


def test_one_after_the_other() -> None:
    allotment = Allotment(
        Ranges(), numbers={1000, 1002}, positions={0}, ports={(20000, 20019)}, subnets=["10.200.0.0/24"], subids={(1879048192, 1879113727)}
    )
    assert allotment.give(STUDENT) == Given(1001, 1001, 1, 1879113728, 65536, (20020, 20039), "10.200.1.0/24")
    assert allotment.give(STUDENT) == Given(1003, 1003, 2, 1879179264, 65536, (20040, 20059), "10.200.2.0/24")


def test_300_people_have_nothing_in_common() -> None:
    allotment = Allotment(Ranges(), numbers=())
    given = [allotment.give(STUDENT) for _ in range(300)]
    assert len({g.uid for g in given}) == len({g.position for g in given}) == len({g.subnet for g in given}) == 300
    ports = [p for g in given if g.ports for p in range(g.ports[0], g.ports[1] + 1)]
    assert len(ports) == len(set(ports)) == 6000
    starts = sorted(g.subid_first for g in given)
    assert all(b - a >= 65536 for a, b in zip(starts, starts[1:], strict=False))


def test_blocks_of_a_profile_come_from_its_ports() -> None:
    profile = replace(STUDENT, ports=(30000, 30024), port_block=10)
    allotment = Allotment(Ranges(), numbers=())
    assert [allotment.give(profile).ports for _ in range(3)] == [(30000, 30009), (30010, 30019), None]


def test_when_there_are_none_left() -> None:
    """Uids are needed; ports, subnets and subordinate ids are done without."""
    ranges = Ranges(uid_min=1000, uid_max=1001, port_min=20000, port_max=20019, subnets="10.200.0.0/24", subid_max=1879048192 + 65535)
    allotment = Allotment(ranges, numbers=())
    assert allotment.give(STUDENT).subnet == "10.200.0.0/24"
    second = allotment.give(STUDENT)
    assert (second.ports, second.subnet, second.subid_count) == (None, None, 0)
    with pytest.raises(Failed, match="widen"):
        allotment.give(STUDENT)


def test_nothing_of_it_is_wanted() -> None:
    given = Allotment(Ranges(port_block=0, subnets="", subid_count=0), numbers=()).give(STUDENT)
    assert (given.ports, given.subnet, given.subid_count) == (None, None, 0)


@pytest.mark.parametrize(("prefix", "expected"), [(25, "10.200.1.0/25"), (23, "10.200.2.0/23")])
def test_settings_that_have_changed_give_nothing_twice(prefix: int, expected: str) -> None:
    allotment = Allotment(Ranges(subnet_prefix=prefix), numbers=(), subnets=["10.200.0.0/24"])
    found = allotment.give(STUDENT).subnet
    assert found == expected
    assert not IPv4Network(found).overlaps(IPv4Network("10.200.0.0/24"))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"subnets": "10.200.0.1/13"}, "'10.200.0.1/13' is none"),
        ({"subnets": "all"}, "'all' is none"),
        ({"subnet_prefix": 12}, "subnet_prefix must be between 13"),
        ({"subnet_prefix": 31}, "and 30"),
        ({"uid_min": 2000, "uid_max": 1999}, "uid_min and uid_max"),
        ({"port_max": 70000}, "port_min and port_max"),
        ({"port_block": -1}, "port_block"),
        ({"subid_count": -1}, "subid_count"),
        ({"subid_min": 5, "subid_max": 4}, "subid_min and subid_max"),
    ],
)
def test_ranges_that_nothing_can_be_given_from(settings: dict[str, int | str], reason: str) -> None:
    """Refused at the start, not while a class waits."""
    with pytest.raises(Invalid, match=reason):
        Ranges(**settings)  # type: ignore[arg-type]


def test_nothing_is_given_where_nothing_is_wanted() -> None:
    given = Allotment(Ranges(subnets="", port_block=0, subid_count=0), numbers=()).give(STUDENT)
    assert (given.subnet, given.ports, given.subid_count) == (None, None, 0)
