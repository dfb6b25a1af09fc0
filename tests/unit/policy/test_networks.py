"""Subnets of container networks: none that would take addresses away from the host."""

from ipaddress import IPv4Network

import pytest

from hostadmin.host.routes import host_subnets
from hostadmin.policy.admission import admit_network

TABLE = """Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
ens3\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0
ens3\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""


def body(subnet):
    return {"Name": "n", "IPAM": {"Config": [{"Subnet": subnet}]}}


def test_what_the_host_reaches(tmp_path):
    table = tmp_path / "route"
    table.write_text(TABLE)
    assert host_subnets(table) == [IPv4Network("10.0.0.0/24")]


@pytest.mark.parametrize("subnet", ["192.168.1.0/24", "10.1.0.0/16", "172.20.0.0/16", "10.0.1.0/24"])
def test_private_subnets_are_fine(subnet):
    assert not admit_network(body(subnet), [IPv4Network("10.0.0.0/24")])


@pytest.mark.parametrize(
    "subnet",
    [
        "10.0.0.0/24",
        "10.0.0.128/25",
        "10.0.0.0/16",
        "10.0.0.0/8",
        "8.8.8.0/24",
        "0.0.0.0/0",
        "fd00::/64",
        "169.254.0.0/16",
        "127.0.0.0/16",
        "x",
    ],
)
def test_others_are_refused(subnet):
    assert admit_network(body(subnet), [IPv4Network("10.0.0.0/24")])
