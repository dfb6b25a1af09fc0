"""`hostadmin doctor --class` against a real engine: what it prints is what the engine then has room for."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from typing import Any

import pytest

from tests.integration.stage import Engine, Hostadmin, clear, sweep

pytestmark = [pytest.mark.host, pytest.mark.timeout(180)]
Pools = tuple[str, ...]


@contextmanager
def running(pools: Pools) -> Iterator[tuple[Engine, Hostadmin]]:
    """Have an engine with these pools (none: its own), and the command line beside it; the service is not needed."""
    sweep()
    engine = Engine(pools=pools)
    engine.start()
    try:
        yield engine, Hostadmin()
    finally:
        clear(engine.eye)
        engine.stop()


def forecasts(hostadmin: Hostadmin, people: int, code: int) -> dict[str, Any]:
    done = hostadmin.run("doctor", "--class", str(people), "--json")
    assert (done.returncode, done.stderr) == (code, "")
    return {f["subject"]: f for f in json.loads(done.stdout)}


def printed(forecast: dict[str, Any]) -> Pools:
    """Return the pools of the lines for daemon.json, as dockerd takes them for flags."""
    assert forecast["file"] == "/etc/docker/daemon.json"
    made = json.loads("{" + ",".join(forecast["lines"]) + "}")
    assert made["bip"] == "172.17.0.1/16", "where the default bridge is already"
    return tuple(f"base={p['base']},size={p['size']}" for p in made["default-address-pools"])


def make_networks(engine: Engine, count: int) -> list[str]:
    """Make networks until one is refused; return the subnets."""
    found = []
    for number in range(count):
        status, answer = engine.eye.call("POST", "/networks/create", {"Name": f"n{number}"})
        if status != 201:
            assert "pool" in answer["message"], answer
            break
        found.append(engine.eye.get(f"/networks/{answer['Id']}")["IPAM"]["Config"][0]["Subnet"])
    return found


def test_thirty_people_on_an_engine_as_installed_and_with_the_printed_pools() -> None:
    """An engine of its own fails, and runs out just there; one with exactly the printed pools is ok, and does not."""
    with running(()) as (engine, hostadmin):
        before = forecasts(hostadmin, 30, 1)["address pools"]
        assert (before["level"], before["need"], before["most"], before["have"]) == ("fail", 90, 300, 30)
        text = hostadmin.run("doctor", "--class", "30")
        assert text.returncode == 1
        assert re.search(r"^fail  address pools +need 90 \(up to 300 by the profile\), have 30 networks$", text.stdout, re.MULTILINE)
        assert all(f"          {line}\n" in text.stdout for line in before["lines"])
        assert len(make_networks(engine, 40)) == before["have"], "what was said to be left is what is left"
        assert forecasts(hostadmin, 1, 1)["address pools"]["have"] == 0
    pools = printed(before)
    with running(pools) as (engine, hostadmin):
        after = forecasts(hostadmin, 30, _code(hostadmin, 30))["address pools"]
        assert (after["level"], after["lines"]) == ("ok", [])
        subnets = make_networks(engine, 45)
        assert len(subnets) == 45, "more than an engine as installed has room for"
        assert not any(ip_network(s).overlaps(ip_network("10.200.0.0/13")) for s in subnets)
        assert forecasts(hostadmin, 30, _code(hostadmin, 30))["address pools"]["have"] == after["have"] - 45


def _code(hostadmin: Hostadmin, people: int) -> int:
    """Return how it ends on this machine, which may have too little of something else."""
    done = hostadmin.run("doctor", "--class", str(people))
    assert done.returncode == int("\nfail" in f"\n{done.stdout}"), done.stdout
    return done.returncode


def test_the_printed_pools_go_round_what_the_host_reaches() -> None:
    """The best pool's addresses are the host's own: the next best is printed, the engine takes it, and the host keeps its network."""
    subprocess.run(["ip", "link", "add", "office0", "type", "veth", "peer", "name", "office1"], check=True)
    try:
        subprocess.run(["ip", "addr", "add", "10.254.7.1/16", "dev", "office0"], check=True)
        subprocess.run(["ip", "link", "set", "office0", "up"], check=True)
        with running(()) as (_, hostadmin):
            pools = printed(forecasts(hostadmin, 30, 1)["address pools"])
        assert "base=10.254.0.0/15,size=24" not in pools
        with running(pools) as (engine, hostadmin):
            assert forecasts(hostadmin, 30, _code(hostadmin, 30))["address pools"]["level"] == "ok"
            assert not any(ip_network(s).overlaps(ip_network("10.254.0.0/16")) for s in make_networks(engine, 5))
    finally:
        subprocess.run(["ip", "link", "del", "office0"], check=True)


def test_a_guard_that_runs_tells_its_own_limit() -> None:
    """Its limit of open files, not the doctor's; and what the doctor reads of the engine is what the engine is."""
    with running(()) as (engine, hostadmin):
        hostadmin.start()
        try:
            pid = hostadmin.part("guard")
            subprocess.run(["prlimit", "--pid", str(pid), "--nofile=5000:5000"], check=True)
            found = forecasts(hostadmin, 30, 1)
            assert (found["guard's files"]["have"], found["guard's files"]["level"]) == (5000, "warn")
            info = engine.eye.get("/info")
            assert f"{info['CgroupDriver']}, version {info['CgroupVersion']}" in found["control groups"]["advice"]
            assert found["live restore"]["lines"] == ['"live-restore": true']
        finally:
            hostadmin.stop()
