"""Address pools: what still fits, and pools that are enough and in nobody's way."""

from ipaddress import IPv4Network

import pytest
from hypothesis import given, strategies as st

from hostadmin.core.errors import Failed
from hostadmin.doctor.pools import DEFAULT, PRIVATE, Pool, choose, pools_of, room

OURS = IPv4Network("10.200.0.0/13")


def nets(*texts: str) -> tuple[IPv4Network, ...]:
    return tuple(IPv4Network(text) for text in texts)


def test_an_engine_of_its_own_has_thirty_one() -> None:
    """As measured: ``docker0`` and thirty more (accounts.md 15)."""
    assert room(DEFAULT, ()) == 31
    assert room(DEFAULT, nets("172.17.0.0/16")) == 30


@pytest.mark.parametrize(
    ("taken", "left"),
    [
        (("192.168.1.0/24",), 30),  # the host's own network takes a whole slice
        (("192.168.1.0/24", "192.168.2.0/24"), 30),  # of one slice
        (("192.168.0.0/16",), 15),
        (("172.16.0.0/12",), 16),
        (("10.0.0.0/8",), 31),
        (("172.17.0.0/16", "172.17.5.0/24", "172.18.0.0/16"), 29),
    ],
)
def test_what_overlaps_is_no_room(taken: tuple[str, ...], left: int) -> None:
    assert room(DEFAULT, nets(*taken)) == left


def test_a_pool_that_is_one_network() -> None:
    assert room([Pool(IPv4Network("10.0.0.0/24"), 24)], ()) == 1
    assert room([Pool(IPv4Network("10.0.0.0/24"), 24)], nets("10.0.0.128/25")) == 0


def test_what_the_engine_says() -> None:
    told = {"DefaultAddressPools": [{"Base": "10.254.0.0/15", "Size": 24}, {"Base": "fd00::/48", "Size": 64}]}
    assert pools_of(told) == (Pool(IPv4Network("10.254.0.0/15"), 24),)
    assert pools_of({}) == pools_of({"DefaultAddressPools": None}) == DEFAULT


@pytest.mark.parametrize(
    ("count", "taken", "pools"),
    [
        (1, (), [("10.255.0.0/16", 24)]),
        (301, (), [("10.254.0.0/15", 24)]),
        (512, (), [("10.254.0.0/15", 24)]),
        (513, (), [("10.252.0.0/14", 24)]),
        (301, ("10.255.255.1/32",), [("10.252.0.0/15", 24)]),
        (301, ("10.0.0.0/8",), [("172.30.0.0/15", 24)]),
        (200, ("10.0.0.0/8", "172.16.0.0/12"), [("192.168.0.0/16", 24)]),
        (301, ("10.0.0.0/8", "172.16.0.0/12"), [("192.168.0.0/16", 25)]),
        (100, ("10.0.0.0/8", "172.16.0.0/12", "192.168.1.0/24"), [("192.168.128.0/17", 24)]),
    ],
)
def test_chosen(count: int, taken: tuple[str, ...], pools: list[tuple[str, int]]) -> None:
    assert [(str(p.base), p.size) for p in choose(count, nets(*taken))] == pools


def test_more_than_there_are() -> None:
    with pytest.raises(Failed, match="not enough private addresses left for 10 networks"):
        choose(10, PRIVATE)


@given(
    count=st.integers(1, 50_001),
    taken=st.lists(
        st.builds(
            lambda base, prefix: IPv4Network((base, prefix), strict=False),
            st.integers(int(PRIVATE[0][0]), int(PRIVATE[0][-1])) | st.integers(int(PRIVATE[1][0]), int(PRIVATE[2][-1])),
            st.integers(9, 32),
        ),
        max_size=8,
    ),
)
def test_chosen_pools_are_enough_and_overlap_nothing(count: int, taken: list[IPv4Network]) -> None:
    taken = [OURS, *taken]
    try:
        pools = choose(count, taken)
    except Failed:
        return
    assert room(pools, taken) >= count
    bases = [pool.base for pool in pools]
    assert len(set(bases)) == len(bases)
    for number, base in enumerate(bases):
        assert any(base.subnet_of(private) for private in PRIVATE)
        assert not any(base.overlaps(other) for other in (*bases[:number], *taken))
