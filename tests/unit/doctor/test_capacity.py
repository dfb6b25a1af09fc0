"""What a class would run out of: every row short and not, and the printed lines bring what they promise."""

import json
import math
import re
import tomllib
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from hostadmin.doctor.capacity import judge
from hostadmin.doctor.facts import EngineFacts, Facts, Group
from hostadmin.doctor.finding import Forecast
from hostadmin.doctor.look import engine_facts
from hostadmin.doctor.pools import DEFAULT, pools_of
from hostadmin.doctor.table import ROWS, SYSCTLS
from hostadmin.host.kernel import Disk
from hostadmin.policy.profiles import load
from hostadmin.settings import UsersSettings
from hostadmin.store.health import Given

FILE = Path(__file__).resolve().parents[3] / "config" / "profiles.toml"
STUDENT = load(FILE, "student").get(None)
THIRTY = Group(30, STUDENT, UsersSettings(), 16384)
BRIDGE = IPv4Network("172.17.0.0/16")
OURS = IPv4Network("10.200.0.0/13")
ENGINE = EngineFacts(DEFAULT, (BRIDGE,), "172.17.0.1/16", "json-file", False, False, False, "systemd", "2")
DEFAULTS = Facts(  # Debian 12 on 4 cores and 16 GB, as installed
    sysctls={
        "kernel.pid_max": 4194304,
        "kernel.threads-max": 127000,
        "kernel.pty.max": 4096,
        "kernel.pty.nr": 4,
        "fs.inotify.max_user_instances": 128,
        "fs.inotify.max_user_watches": 122000,
        "fs.file-max": 2**63 - 1,
        "fs.file-nr": 2000,
        "net.ipv4.neigh.default.gc_thresh3": 1024,
        "net.netfilter.nf_conntrack_max": 262144,
        "net.netfilter.nf_conntrack_count": 100,
    },
    tasks=300,
    memory_bytes=16 << 30,
    cpus=4,
    disk=Disk("/var/lib/docker", 100_000_000_000, 6_000_000),
    routes=(IPv4Network("192.168.1.0/24"),),
    avoided=(OURS,),
    ports=frozenset({22, 8750}),
    numbers=frozenset({0, 1, 1000}),
    given=Given(),
    descriptors=524288,
    engine=ENGINE,
)


def found(facts: Facts = DEFAULTS, group: Group = THIRTY) -> dict[str, Forecast]:
    return {f.subject: f for f in judge(facts, group)}


def sysctls(facts: Facts, lines: tuple[str, ...]) -> Facts:
    """Return the facts after sysctl.d has these lines."""
    pairs = [re.fullmatch(r"([a-z0-9_.-]+) = (\d+)", line).groups() for line in lines]
    return replace(facts, sysctls={**facts.sysctls, **{name: int(value) for name, value in pairs}})


def engine(facts: Facts, lines: tuple[str, ...]) -> Facts:
    """Return the facts after daemon.json has these members: as the engine would tell of them."""
    read = json.loads("{" + ", ".join(lines) + "}")
    info = {"DefaultAddressPools": [{"Base": p["base"], "Size": p["size"]} for p in read["default-address-pools"]]}
    return replace(facts, engine=replace(facts.engine, pools=pools_of(info)))


def profile(group: Group, lines: tuple[str, ...]) -> Group:
    """Return the class after its profile has this line."""
    (name, values), *_ = tomllib.loads("\n".join(lines)).items()
    assert name == group.profile.name
    return replace(group, profile=replace(group.profile, **{k: tuple(v) if k == "ports" else v for k, v in values.items()}))


def settings(group: Group, lines: tuple[str, ...]) -> Group:
    """Return the class after the configuration has this line."""
    (section, values), *_ = tomllib.loads("\n".join(lines)).items()
    if section == "guard":
        return replace(group, **values)
    return replace(group, users=replace(group.users, **values))


def test_thirty_people_on_a_host_as_installed() -> None:
    forecasts = found()
    assert {s: f.level for s, f in forecasts.items() if f.level != "ok"} == {
        "address pools": "fail",
        "memory": "warn",
        "disk": "warn",
        "inotify instances": "warn",
        "neighbours": "warn",
        "log rotation": "warn",
        "live restore": "warn",
    }
    pools = forecasts["address pools"]
    assert (pools.need, pools.most, pools.have) == (90, 300, 29), "31, less docker0, less the one that the host's network is in"
    assert pools.remedy.file == "/etc/docker/daemon.json"
    assert pools.remedy.lines == ('"default-address-pools": [{"base": "10.254.0.0/15", "size": 24}]', '"bip": "172.17.0.1/16"')


@pytest.mark.parametrize("people", [1, 9, 10, 30, 300, 3000, 5000])
def test_the_printed_pools_are_enough(people: int) -> None:
    group = replace(THIRTY, people=people)
    pools = found(group=group)["address pools"]
    assert pools.level == ("warn" if people < 10 else "fail") if 10 * people > 29 else "ok"
    if pools.level == "ok":
        assert pools.remedy.lines == ()
        return
    after = engine(DEFAULTS, pools.remedy.lines)
    assert found(after, group)["address pools"].level == "ok"
    assert not any(p.base.overlaps(n) for p in after.engine.pools for n in (BRIDGE, OURS, *DEFAULTS.routes))


def test_pools_with_networks_that_are_there_already() -> None:
    there = tuple(IPv4Network(f"10.254.{n}.0/24") for n in range(250))
    facts = replace(DEFAULTS, engine=replace(ENGINE, subnets=(BRIDGE, *there)))
    pools = found(facts)["address pools"]
    assert '"10.252.0.0/14"' not in pools.remedy.lines[0]
    assert found(engine(facts, pools.remedy.lines))["address pools"].level == "ok"


def test_no_private_address_left() -> None:
    facts = replace(DEFAULTS, routes=(IPv4Network("10.0.0.0/8"), IPv4Network("172.16.0.0/12"), IPv4Network("192.168.0.0/16")))
    pools = found(facts)["address pools"]
    assert (pools.level, pools.remedy.lines) == ("fail", ())
    assert "not enough private addresses" in pools.remedy.advice


def test_an_engine_without_a_default_bridge() -> None:
    facts = replace(DEFAULTS, engine=replace(ENGINE, bridge=None, subnets=()))
    assert len(found(facts)["address pools"].remedy.lines) == 1
    assert found(facts)["default bridge"].have is None


# -- kernel parameters ------------------------------------------------------------------------------------------

KERNEL = {
    "process ids": ("kernel.pid_max", 32768),
    "threads": ("kernel.threads-max", 40000),
    "inotify instances": ("fs.inotify.max_user_instances", 128),
    "inotify watches": ("fs.inotify.max_user_watches", 8192),
    "open files": ("fs.file-max", 60000),
    "neighbours": ("net.ipv4.neigh.default.gc_thresh3", 256),
    "conntrack": ("net.netfilter.nf_conntrack_max", 15000),
    "terminals": ("kernel.pty.max", 60),
}


@pytest.mark.parametrize("subject", KERNEL)
def test_the_printed_parameter_is_enough(subject: str) -> None:
    name, value = KERNEL[subject]
    facts = sysctls(DEFAULTS, (f"{name} = {value}",))
    short = found(facts)[subject]
    assert short.level in ("warn", "fail")
    assert short.remedy.file == "/etc/sysctl.d/90-hostadmin.conf"
    after = sysctls(facts, short.remedy.lines)
    assert after.sysctls[name] > value
    assert found(after)[subject].level == "ok"
    assert found(after)[subject].remedy.lines == ()


def test_process_ids_in_numbers() -> None:
    short = found(sysctls(DEFAULTS, ("kernel.pid_max = 32768",)))["process ids"]
    assert (short.level, short.need, short.most, short.have) == ("warn", 30 * 64, 30 * 2048, 32768 - 300)
    assert short.remedy.lines == ("kernel.pid_max = 65536",)
    assert found(sysctls(DEFAULTS, ("kernel.pid_max = 2219",)))["process ids"].level == "fail"
    assert found(sysctls(DEFAULTS, ("kernel.pid_max = 2220",)))["process ids"].level == "warn"


def test_more_than_the_kernel_takes_lowers_the_profile() -> None:
    group = replace(THIRTY, people=3000)
    short = found(group=group)["process ids"]
    assert (short.level, short.remedy.file) == ("warn", "/etc/hostadmin/profiles.toml")
    assert short.remedy.lines == ("[student]", f"pids_total = {(4194304 - 300) // 3000}")
    assert found(group=profile(group, short.remedy.lines))["process ids"].level == "ok"


def test_neighbours_keep_their_proportions() -> None:
    assert found()["neighbours"].remedy.lines == (
        "net.ipv4.neigh.default.gc_thresh1 = 1024",
        "net.ipv4.neigh.default.gc_thresh2 = 2048",
        "net.ipv4.neigh.default.gc_thresh3 = 4096",
    )


def test_every_parameter_that_the_table_asks_for_is_read() -> None:
    """What is not read would be unknown on every host."""
    assert set(DEFAULTS.sysctls) == set(SYSCTLS)
    assert [f.subject for f in judge(DEFAULTS, THIRTY) if f.have is None and f.need is not None] == []


# -- the profile and the configuration --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "facts"),
    [("memory", replace(DEFAULTS, memory_bytes=8 << 30)), ("disk", replace(DEFAULTS, disk=Disk("/", 70_000_000_000, None)))],
)
def test_a_share_for_everybody(subject: str, facts: Facts) -> None:
    short = found(facts)[subject]
    assert (short.level, short.remedy.file, short.remedy.lines[0]) == ("warn", "/etc/hostadmin/profiles.toml", "[student]")
    assert found(facts, profile(THIRTY, short.remedy.lines))[subject].level == "ok"


@pytest.mark.parametrize(
    ("subject", "least", "facts"),
    [
        ("memory", 30 * 256 << 20, lambda n: replace(DEFAULTS, memory_bytes=n)),
        ("disk", 60_000_000_000, lambda n: replace(DEFAULTS, disk=Disk("/", n, None))),
        ("inodes", 600_000, lambda n: replace(DEFAULTS, disk=Disk("/", 10**12, n))),
    ],
)
def test_only_less_than_the_modest_need_fails(subject: str, least: int, facts) -> None:
    assert found(facts(least))[subject].level != "fail"
    short = found(facts(least - 1))[subject]
    assert (short.level, short.remedy.lines) == ("fail", ())
    assert "Room for 29 people" in short.remedy.advice


def test_a_file_system_without_fixed_inodes() -> None:
    forecast = found(replace(DEFAULTS, disk=Disk("/", 10**12, None)))["inodes"]
    assert (forecast.level, forecast.have) == ("ok", math.inf)
    assert forecast.as_dict()["have"] is None
    json.dumps(forecast.as_dict(), allow_nan=False)


@pytest.mark.parametrize("key", ["networks", "memory_total_bytes", "pids_total", "image_bytes", "published_ports"])
def test_a_profile_without_a_limit_is_told_of(key: str) -> None:
    subject = {"networks": "address pools", "memory_total_bytes": "memory", "image_bytes": "disk", "published_ports": "host ports"}
    enough = engine(DEFAULTS, found()["address pools"].remedy.lines)
    forecasts = found(enough, replace(THIRTY, profile=replace(STUDENT, **{key: 0})))
    short = forecasts[subject.get(key, "process ids")]
    assert (short.level, short.most, short.as_dict()["most"]) == ("warn", math.inf, None)
    assert any(key in line or "ports = [1024" in line for line in short.remedy.lines)


def test_profiles_that_are_not_there_yet_are_copied_first() -> None:
    advice = found(group=replace(THIRTY, profiles_shipped=True))["memory"].remedy.advice
    assert "Copy config/profiles.toml there first" in advice
    assert "Copy" not in found()["memory"].remedy.advice


def test_host_ports_of_a_narrow_range() -> None:
    group = replace(THIRTY, profile=replace(STUDENT, ports=(20000, 20099)))
    short = found(replace(DEFAULTS, ports=frozenset({20000, 20099, 30000})), group)["host ports"]
    assert (short.level, short.need, short.have) == ("fail", 150, 98)
    assert short.remedy.lines == ("[student]", "ports = [1024, 65535]")
    assert found(group=profile(group, short.remedy.lines))["host ports"].level == "ok"


@pytest.mark.parametrize(("people", "block", "line"), [(3000, 50, "port_block = 21"), (3000, 0, "published_ports = 21")])
def test_host_ports_for_very_many(people: int, block: int, line: str) -> None:
    group = replace(THIRTY, people=people, profile=replace(STUDENT, port_block=block))
    short = found(group=group)["host ports"]
    assert short.remedy.lines == ("[student]", line)
    less = profile(group, short.remedy.lines)
    assert found(group=less)["host ports"].level == ("warn" if block else "ok"), "fifty published ports are still allowed"


SETTINGS = {
    "port blocks": (1000, Given(port_blocks=((20000, 20019), (31000, 31999), (50000, 50099)))),
    "subnet blocks": (3000, Given()),
    "uids": (30, Given(uids=frozenset(range(1000, 1980)))),
    "subordinate ids": (4000, Given(places=10)),
}


@pytest.mark.parametrize("subject", SETTINGS)
def test_the_printed_setting_is_enough(subject: str) -> None:
    people, given = SETTINGS[subject]
    users = UsersSettings(uid_max=2000 if subject == "uids" else 59999, subordinate_ids=True)
    if subject == "subordinate ids":
        users = replace(users, subid_max=users.subid_max - 100 * 65536)
    group, facts = replace(THIRTY, people=people, users=users), replace(DEFAULTS, given=given)
    short = found(facts, group)[subject]
    assert short.level == ("fail" if subject == "uids" else "warn"), "a class can do without the rest"
    assert (short.remedy.file, short.remedy.lines[0]) == ("/etc/hostadmin/hostadmin.toml", "[users]")
    assert found(facts, settings(group, short.remedy.lines))[subject].level == "ok"


def test_subnets_that_were_given_are_not_cut_anew() -> None:
    """A subnet follows from the place in the ledger: with another prefix the next one would lie in somebody's."""
    short = found(replace(DEFAULTS, given=Given(places=1)), replace(THIRTY, people=2048))["subnet blocks"]
    assert (short.level, short.have, short.remedy.lines) == ("warn", 2047, ())
    assert "stays" in short.remedy.advice


def test_blocks_of_the_profile_are_not_counted_twice() -> None:
    assert found(group=replace(THIRTY, people=5000, profile=replace(STUDENT, port_block=4)))["port blocks"].need == 0


def test_numbers_given_once_count_with_those_of_the_host() -> None:
    users = UsersSettings(uid_min=1000, uid_max=1039)
    facts = replace(DEFAULTS, numbers=frozenset({0, 1000, 1001}), given=Given(uids=frozenset({1001, 1002, 5000})))
    forecast = found(facts, replace(THIRTY, users=users))["uids"]
    assert (forecast.level, forecast.need, forecast.have) == ("ok", 30, 37)


@pytest.mark.parametrize("subject", ["port blocks", "subnet blocks", "subordinate ids"])
def test_what_nobody_gets_is_not_short(subject: str) -> None:
    nothing = UsersSettings(port_block=0, subnets="", subordinate_ids=False)
    forecast = found(group=replace(THIRTY, people=5000, users=nothing))[subject]
    assert (forecast.level, forecast.need) == ("ok", 0)


def test_the_guards_own_room() -> None:
    facts = replace(DEFAULTS, descriptors=20000)
    short = found(facts)["guard's files"]
    assert (short.level, short.need, short.most, short.have) == ("warn", 856, 33024, 20000)
    assert short.remedy.lines == ("[Service]", "LimitNOFILE=33024")
    assert found(replace(DEFAULTS, descriptors=33024))["guard's files"].level == "ok"
    few = found(group=replace(THIRTY, connections=299))["connections"]
    assert (few.level, few.remedy.lines) == ("fail", ("[guard]", "connections = 512"))
    assert found(group=settings(replace(THIRTY, connections=299), few.remedy.lines))["connections"].level == "ok"


def test_cpus_and_the_default_bridge_only_slow_down() -> None:
    forecasts = found(group=replace(THIRTY, people=300))
    assert (forecasts["cpus"].level, forecasts["default bridge"].level) == ("warn", "warn")
    assert "40 people would get a tenth" in forecasts["cpus"].remedy.advice
    assert forecasts["default bridge"].have == 1023


# -- the engine and what is unknown -------------------------------------------------------------------------------


def test_how_the_engine_is_set() -> None:
    forecasts = found()
    assert forecasts["log rotation"].remedy.lines == ('"log-opts": {"max-size": "10m", "max-file": "3"}',)
    assert forecasts["live restore"].remedy.lines == ('"live-restore": true',)
    assert "systemd, version 2" in forecasts["control groups"].remedy.advice
    for change in ({"logs_bounded": True}, {"log_driver": "journald"}, {"log_driver": "local"}):
        assert found(replace(DEFAULTS, engine=replace(ENGINE, **change)))["log rotation"].level == "ok"
    for change in ({"live_restore": True}, {"swarm": True}):
        forecast = found(replace(DEFAULTS, engine=replace(ENGINE, **change)))["live restore"]
        assert (forecast.level, forecast.remedy.lines) == ("ok", ())


def test_all_lines_for_the_engine_make_one_file() -> None:
    lines = [line for f in judge(DEFAULTS, THIRTY) if f.remedy.file == "/etc/docker/daemon.json" for line in f.remedy.lines]
    assert set(json.loads("{" + ",\n".join(lines) + "}")) == {"default-address-pools", "bip", "log-opts", "live-restore"}


def test_an_engine_that_is_down_fails() -> None:
    forecasts = found(replace(DEFAULTS, engine=None))
    assert forecasts["engine"].level == "fail"
    assert forecasts["address pools"].level == "warn"
    assert "Cannot be told" in forecasts["address pools"].remedy.advice


def test_nothing_known_is_no_crash_and_no_ok() -> None:
    levels = {f.subject: f.level for f in judge(Facts(), THIRTY)}
    assert levels.pop("engine") == "fail"
    assert {s for s, level in levels.items() if level == "ok"} == {"host ports", "connections"}
    assert set(levels) == {row.subject for row in ROWS}


@pytest.mark.parametrize("people", [1, 2, 7, 100, 1000, 5000])
@pytest.mark.parametrize("facts", [DEFAULTS, Facts(sysctls=dict.fromkeys(SYSCTLS, 1), tasks=5, memory_bytes=1, cpus=1, disk=Disk("/", 0, 0), given=Given(), descriptors=1, engine=ENGINE)], ids=["installed", "tiny"])  # fmt: skip
def test_every_shortage_says_what_to_do(people: int, facts: Facts) -> None:
    for forecast in judge(facts, replace(THIRTY, people=people)):
        if forecast.level != "ok":
            assert forecast.remedy.advice or forecast.remedy.lines, forecast
        assert bool(forecast.remedy.lines) == bool(forecast.remedy.file)
        json.dumps(forecast.as_dict(), allow_nan=False)


def test_what_the_engine_answers() -> None:
    info = {
        "DefaultAddressPools": None,
        "LoggingDriver": "json-file",
        "LiveRestoreEnabled": True,
        "Swarm": {"LocalNodeState": "inactive"},
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": "1",
    }
    networks = [
        {"Name": "none", "IPAM": {"Config": None}},
        {"Name": "bridge", "IPAM": {"Config": [{"Subnet": "fd00::/64"}, {"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}]}},
        {"Name": "x", "IPAM": {"Config": [{"Subnet": "172.18.0.0/16"}]}},
    ]
    made = engine_facts(info, networks, logs_bounded=True)
    subnets = (BRIDGE, IPv4Network("172.18.0.0/16"))
    assert made == EngineFacts(DEFAULT, subnets, "172.17.0.1/16", "json-file", True, True, False, "cgroupfs", "1")
    without = [{"Name": "bridge", "IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}]}}]
    assert engine_facts(info, without, logs_bounded=True).bridge == "172.17.0.1/16"
    assert engine_facts({}, [], logs_bounded=False).bridge is None
