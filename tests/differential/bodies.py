"""Requests that say something in a JSON body: every member with its edge values, seeded mixtures, and ways to write them."""

import json
import random
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.differential.targets import Request

Members = Mapping[str, tuple[Any, ...]]
NOTHING: Final = (None, "", 0, False, [], {})
TEXTS: Final = ("", "a", "ä", "\U0001f600", 'q"\\/', "a\nb", "\u2028<>&", "\x7f", "a b")
NUMBERS: Final = (0, 1, -1, 1000, 2**31, 2**63 - 1, -(2**63), 1.0, 1e3, "1")
BOOLEANS: Final = (True, False, None, 0, "true")
HOUR: Final = 3_600_000_000_000
CONFIG: Final[Members] = {
    "Hostname": ("", "h", "H.x", None, "ä"),
    "Domainname": ("", "d.example", None),
    "User": ("", "nobody", "1000:1000", "0", None, 0),
    **dict.fromkeys(("AttachStdin", "AttachStdout", "Tty", "OpenStdin", "StdinOnce", "NetworkDisabled", "ArgsEscaped"), BOOLEANS),
    "ExposedPorts": ({}, None, {"80/tcp": {}}, {"80": {}}, {"80/udp": {}, "81/tcp": None}, {"8000-8002/tcp": {}}, {"080/tcp": {}}, {"99999/tcp": {}}, {"80/TCP": {}}),
    "Env": (None, [], ["A=b"], ["A=b", "A=c"], ["A"], ["A="], ["=b"], [""], ["Ä=ö"], ["A=b=c", "PATH=/x"], ["A=\U0001f600"], "A=b", [None]),
    "Cmd": (None, [], "true", ["true"], "a b", "", [""], ["sh", "-c", "echo \u00e4"], [None], ["x", 1], {}),
    "Entrypoint": (None, [], "", [""], "/bin/sh", ["/bin/sh", "-c"], ["a b"]),
    "Healthcheck": (None, {}, {"Test": []}, {"Test": ["NONE"]}, {"Test": ["CMD", "true"], "Interval": HOUR, "Retries": 3}, {"Test": ["CMD-SHELL", "x"], "Timeout": 1}, {"Interval": 0, "Retries": 0}, {"Interval": -1}, {"Test": ["CMD-SHELL", "true"], "StartPeriod": 1_000_000}, {"Test": ["CMD"], "Retries": 2**31}, {"Test": "x"}),
    "Volumes": (None, {}, {"/data": {}}, {"/data": None}, {"/a b": {}, "/ä": {}}, {"/data/": {}}, {"/data/../x": {}}, {"data": {}}, {"//data": {}}),
    "WorkingDir": ("", "/", "/a/../b", "rel", None, "/ä", "/a/"),
    "OnBuild": (None, [], ["RUN x"]),
    "Labels": (None, {}, {"a": "b"}, {"": "x"}, {"a": ""}, {"ä": "\U0001f600"}, {"a.b/c": '{"x":1}'}, {"a": None}, {"a": 1}, {"A": "1", "a": "2"}, {f"l{n}": "x" * 50 for n in range(40)}),
    "StopSignal": ("", "SIGTERM", "term", "15", "SIGRTMIN+3", "RTMIN+3", "SIGKILL", "0", "99", "bogus", None),
    "StopTimeout": (None, 0, 1, -1, 300, 3600),
    "Shell": (None, [], ["/bin/sh"], "sh", ""),
    "MacAddress": ("", None),
    "Image": ("alpine", "alpine:latest", "docker.io/library/alpine", "mallory/tool:1.0", "{IMGID}", "{IMGHEX12}", "library/alpine", "Alpine", "", None, "alpine@{IMGID}", "index.docker.io/library/alpine"),
}  # fmt: skip
BINDINGS: Final = (
    *(None, {}, {"80/tcp": None}, {"80/tcp": []}, {"80/tcp": [{}]}, {"80/tcp": [{"HostPort": "8080"}]}, {"80/tcp": [{"HostPort": ""}]}),
    *({"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}, {"80": [{"HostPort": "8080"}]}, {"80/udp": [{"HostPort": "08080"}]}),
    *({"80/tcp": [{"HostPort": "8000-8010"}]}, {"80/tcp": [{"HostPort": "0"}]}, {"80/tcp": [{"HostIp": "::1", "HostPort": "8080"}]}),
    *(
        {"80/tcp": [{"HostIp": "0.0.0.0"}, {"HostPort": "9000"}]},
        {"80/TCP": [{}]},
        {"80/tcp": [{"HostPort": 8080}]},
        {"80/tcp": {}},
        {"0/tcp": [{}]},
    ),  # noqa: S104
    *({"080/tcp": [{"HostPort": "8080"}]}, {"80/tcp": [{"hostport": "8080"}]}, {"80/tcp": [{"HostPort": "8080-"}]}, {"80/tcp": [None]}),
)
MOUNTS: Final = (
    *(None, [], [{"Type": "volume", "Target": "/m"}], [{"Type": "volume", "Source": "{VOL}", "Target": "/m"}]),
    *([{"Type": "volume", "Source": "newvol", "Target": "/m", "ReadOnly": True}], [{"Type": "volume", "Source": "", "Target": "/m/"}]),
    *([{"Type": "volume", "Source": "newvol", "Target": "/m", "VolumeOptions": {"NoCopy": True, "Labels": {"a": "b"}}}],),
    *([{"Type": "volume", "Source": "{VOL}", "Target": "/a/../m"}], [{"Type": "tmpfs", "Target": "/m", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o1777}}]),
    *([{"Type": "tmpfs", "Target": "/m", "TmpfsOptions": {"Mode": 0, "SizeBytes": 1}}], [{"Type": "tmpfs", "Target": "/m"}], [{"Type": "tmpfs", "Source": "x", "Target": "/m"}]),
    *([{"Type": "Volume", "Target": "/m"}], [{"Target": "/m"}], [{"Type": "volume", "Target": ""}], [{"Type": "volume", "Target": "/"}], [None]),
    *([{"Type": "volume", "Source": "{VOL}", "Target": "/m"}, {"Type": "volume", "Source": "{VOL}", "Target": "/m"}], [{"Type": "volume", "Source": "{VOL}", "Target": "/m", "Consistency": "cached"}]),
    *([{"Type": "volume", "Source": "{VOL}", "Target": "/m", "BindOptions": {}}], [{"Type": "volume", "Target": "/m", "VolumeOptions": None, "TmpfsOptions": None}]),
    *([{"Type": "volume", "Source": "{VOL}", "Target": "/m", "TmpfsOptions": {"SizeBytes": 1}}],),
)  # fmt: skip
HOST: Final[Members] = {
    "Binds": (None, [], ["{VOL}:/b"], ["{VOL}:/b:ro"], ["{VOL}:/b:rw,nocopy"], ["newvol:/b"], ["{VOL}:/b/"], ["{VOL}:/b:RO"], ["/b"], ["{VOL}:/b:"], ["{VOL}:/b:ro,ro"], ["{VOL}:/b:ro,rw"], ["{VOL}:b"], ["{VOL}:/"], ["{VOL}:/a:/b"], ["{VOL}:/b", "newvol:/b"], ["{VOL}:/b:Z"], ["{VOL}:/x:cached"], [""], [":/b"], ["{VOL}:/b:private"], ["{VOL}:/a/../b"], ["{VOL}://b"]),
    "LogConfig": (None, {}, {"Type": ""}, {"Type": "json-file"}, {"Type": "local"}, {"Type": "json-file", "Config": {"max-size": "1m"}}, {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "3", "compress": "true"}}, {"Type": "json-file", "Config": {"max-size": "1024K"}}, {"Type": "none"}, {"Type": "json-file", "Config": {"max-size": "1mb", "max-file": "02"}}, {"Type": "local", "Config": {"compress": "false"}}, {"Type": "json-file", "Config": {"max-file": "1"}}, {"Type": "json-file", "Config": {"max-file": "2"}}),
    "NetworkMode": ("", "default", "bridge", "none", "{NET}", "{NETID}", "{NETID12}", "Bridge", None, "nonet", "container:{BOX}", "container:{BOXID12}", "NONE"),
    "PortBindings": BINDINGS,
    "RestartPolicy": (None, {}, {"Name": ""}, {"Name": "no"}, {"Name": "always"}, {"Name": "unless-stopped"}, {"Name": "on-failure"}, {"Name": "on-failure", "MaximumRetryCount": 3}, {"Name": "Always"}, {"Name": "no", "MaximumRetryCount": 3}, {"Name": "always", "MaximumRetryCount": 3}, {"Name": "", "MaximumRetryCount": 3}, {"Name": "bogus"}, {"MaximumRetryCount": 1}),
    "AutoRemove": (True, False, None),
    "VolumesFrom": (None, [], ["{STILL}"], ["{STILL}:ro"], ["{STILLID12}:rw"], ["{STILL}:RO"], ["/{STILL}"], ["nobody"], ["{STILL}:ro,rw"], ["{STILL}:"]),
    "ConsoleSize": (None, [], [0, 0], [24, 80], [1]),
    "CapAdd": (None, [], ["NET_RAW"], ["CAP_NET_RAW"], ["net_raw"], ["cap_chown", "CHOWN"], ["SYS_CHROOT"], ["bogus"], [""]),
    "CapDrop": (None, [], ["ALL"], ["all"], ["NET_RAW", "CAP_CHOWN"], ["mknod"], ["bogus"], ["CAP_ALL"]),
    "Dns": (None, [], ["8.8.8.8"], ["::1"], ["8.8.8.8", "8.8.8.8"], ["x"], [""]),
    "DnsOptions": (None, [], ["ndots:2"], ["rotate"], [""]),
    "DnsSearch": (None, [], ["."], ["example.org"], [""]),
    "ExtraHosts": (None, [], ["a:1.2.3.4"], ["a:::1"], ["a=1.2.3.4"], ["a:[::1]"], ["a:host-gateway"], ["a:1.2.3.4", "a:5.6.7.8"], ["a"], ["A:1.2.3.4"], ["a: 1.2.3.4"]),
    "IpcMode": ("", "private", "shareable", "none", "container:{BOX}", None, "Private"),
    "PidMode": ("", "container:{BOX}", "container:/{BOX}", None),
    "OomScoreAdj": (0, 1, 1000, None),
    "PublishAllPorts": (False, None, True),
    "ReadonlyRootfs": BOOLEANS,
    "SecurityOpt": (None, [], ["no-new-privileges"], ["no-new-privileges:true"], ["no-new-privileges=true"], ["no-new-privileges:false"], ["no-new-privileges", "no-new-privileges:false"], ["no-new-privileges:1"], ["no-new-privileges:"], ["NO-NEW-PRIVILEGES"], ["no-new-privileges:True"]),
    "Tmpfs": (None, {}, {"/t": ""}, {"/t": "size=1m"}, {"/t": "rw,noexec,size=65536k,mode=1777"}, {"/t": "size=1m,size=2m"}, {"/t/": "ro"}, {"/t": "mode=0"}, {"/t": "size=50%"}, {"/t": ",ro"}),
    "ShmSize": (0, 1 << 20, None, 1, 64 << 20),
    "Sysctls": (None, {}, {"net.core.somaxconn": "128"}, {"net.ipv4.ip_unprivileged_port_start": "0"}),
    "Runtime": ("", "runc", None, "bogus"),
    "Isolation": ("", "default", None, "Default"),
    "VolumeDriver": ("", "local", None, "Local"),
    "CgroupnsMode": ("", "private", None),
    "CgroupParent": ("", None),
    "Privileged": (False, None),
    "UTSMode": ("", None),
    "Init": BOOLEANS,
    "CpuShares": (0, 1, 2, 512, 262144, 262145, -1, None),
    "Memory": (0, 6 << 20, 6291455, 64 << 20, 1, -1, None, 1 << 40),
    "MemoryReservation": (0, 6 << 20, 1, None),
    "MemorySwappiness": (None, -1, 0, 60, 100, 101),
    "OomKillDisable": (None, False),
    "NanoCpus": (0, 1, 500_000_000, 10_000_000, None, 1 << 40),
    "CpuPeriod": (0, 1000, 999, 100_000, 1_000_000, None),
    "CpuQuota": (0, 1000, 999, -1, 50_000, None),
    "CpusetCpus": ("", "0", "0-1", "0,1", "9", None, "0-", "x"),
    "CpusetMems": ("", "0", None),
    "BlkioWeight": (0, 10, 500, 1000, 1001, 9, None),
    "PidsLimit": (None, 0, -1, 1, 100, 1024, 2**40, -2),
    "Ulimits": (None, [], [{"Name": "nofile", "Soft": 100, "Hard": 200}], [{"Name": "nofile", "Soft": 200, "Hard": 100}], [{"Name": "core", "Soft": -1, "Hard": -1}], [{"Name": "nofile"}], [{"Name": "NOFILE", "Hard": 1}], [{"Name": "nproc", "Hard": 5}, {"Name": "nproc", "Hard": 7}], [{"Name": "", "Hard": 1}]),
    "Mounts": MOUNTS,
    "Links": (None, []),
    "MaskedPaths": (None,),
    "GroupAdd": (None, []),
    "Devices": (None, []),
    "ContainerIDFile": ("", "/x"),
}  # fmt: skip
ENDPOINT: Final = (
    *(None, {}, {"Aliases": ["a", "b"]}, {"Aliases": ["a", "a"]}, {"Aliases": []}, {"Aliases": None}, {"Aliases": [""]}, {"Aliases": ["a b"]}, {"Aliases": ["Ä"]}),
    *({"IPAMConfig": {"IPv4Address": "10.77.0.9"}}, {"IPAMConfig": {}}, {"IPAMConfig": {"IPv4Address": ""}}, {"IPAMConfig": {"IPv4Address": "10.77.0.009"}}),
    *({"IPAMConfig": {"IPv4Address": "10.78.0.9"}}, {"IPAMConfig": {"IPv6Address": "::1"}}, {"IPAMConfig": {"LinkLocalIPs": ["10.77.0.5"]}}, {"Links": None, "MacAddress": ""}),
    *({"IPAddress": "10.77.0.3", "EndpointID": "x"}, {"IPAMConfig": {"IPv4Address": "10.77.0.9"}, "Aliases": ["w"], "DriverOpts": {}}, {"IPAMConfig": None}),
)  # fmt: skip
NETWORK: Final[Members] = {
    "Driver": ("bridge", None, "Bridge"),  # this engine looks for a plugin "default"; newer ones and the guard take it for bridge
    "CheckDuplicate": (False, None, "true"),
    "Internal": (True, None, "true"),
    "Attachable": (True, 0),
    "EnableIPv6": (False,),
    "Scope": ("",),
    "IPAM": (None, {}, {"Driver": "default"}, {"Driver": "", "Config": []}, {"Config": None}, {"Config": [{}]}, {"Config": [{"Subnet": "10.80.0.0/24"}]}, {"Config": [{"Subnet": "10.80.0.0/24", "Gateway": "10.80.0.254", "IPRange": "10.80.0.128/25"}]}, {"Config": [{"Subnet": "10.80.0.7/24"}]}, {"Config": [{"Subnet": "10.80.0.0/24", "AuxiliaryAddresses": {"h": "10.80.0.5"}}]}, {"Config": [{"Subnet": "10.80.0.0/24", "AuxAddress": {"h": "10.80.0.5"}}]}, {"Config": [{"Subnet": "10.80.0.0"}]}, {"Config": [{"Subnet": "10.080.0.0/24"}]}, {"Config": [{"Subnet": "10.80.0.0/24", "Gateway": "10.81.0.1"}]}, {"Config": [{"Subnet": "10.80.0.0/24"}, {"Subnet": "10.81.0.0/24"}]}, {"Config": [{"Gateway": "10.80.0.1"}]}, {"Driver": "default", "Config": [{"Subnet": "10.80.0.0/24", "Gateway": ""}], "Options": {}}),
    "Options": (None, {}, {"com.docker.network.bridge.enable_icc": "false"}, {"com.docker.network.driver.mtu": "1400"}, {"com.docker.network.driver.mtu": "x"}, {"com.docker.network.bridge.enable_icc": "0"}, {"com.docker.network.bridge.enable_icc": "bogus"}, {"com.docker.network.driver.mtu": ""}),
    "Labels": CONFIG["Labels"][4:5],
    "Name": ("n", "N.x_-", "ä", "", "a b", "bridge", None, "{NET}"),
}  # fmt: skip
VOLUME: Final[Members] = {
    "Name": ("v", "V.x_-", "", None, "{VOL}", "a", "ä", "v/v", "2v", "-v", "v" * 200),
    "Driver": ("", "local", None, "Local"),
    "DriverOpts": (None, {}),
    "Labels": CONFIG["Labels"],
}
EXEC: Final[Members] = {
    "Cmd": (["true"], [], None, "true", [""], ["sh", "-c", "\u00e4"]),
    **dict.fromkeys(("AttachStdin", "AttachStdout", "AttachStderr", "Tty"), BOOLEANS),
    "Detach": (True, False),
    "DetachKeys": ("", "ctrl-a", "ctrl-p,ctrl-q", "a", "bogus-key", None),
    "Env": (None, [], ["A=b"], ["A"], ["A=b", "A=c"], ["=x"], [""]),
    "User": ("", "nobody", "0", "1000:1000", None, "bogus"),
    "WorkingDir": ("", "/", "/a b", "rel", None),
    "Privileged": (False, None),
    "Container": ("", "other"),
}
UPDATE: Final[Members] = {
    name: HOST[name]
    for name in (
        "Memory",
        "MemoryReservation",
        "NanoCpus",
        "CpuPeriod",
        "CpuQuota",
        "CpuShares",
        "CpusetCpus",
        "BlkioWeight",
        "PidsLimit",
        "RestartPolicy",
    )
}


def dump(value: Any) -> bytes:
    """Write JSON plainly."""
    return json.dumps(value, ensure_ascii=False).encode()


def request(target: str, changes: str, body: bytes, *fields: str, kind: str = "application/json") -> Request:
    """Return a POST with a JSON body."""
    return Request("POST", target, changes, body, (f"Content-Type: {kind}", *fields))


def _singles(members: Members, base: dict[str, Any], *inside: str) -> Iterator[dict[str, Any]]:
    for name, values in members.items():
        for value in values:
            yield _with(base, {name: value}, *inside)


def _with(base: dict[str, Any], more: dict[str, Any], *inside: str) -> dict[str, Any]:
    if not inside:
        return {**base, **more}
    return {**base, inside[0]: _with(base.get(inside[0], {}), more, *inside[1:])}


def _mixed(members: Members, draw: random.Random) -> dict[str, Any]:
    chosen = draw.sample(sorted(members), min(len(members), draw.randint(2, 5)))
    return {name: draw.choice(members[name]) for name in chosen}


def containers(seed: int, mixtures: int) -> list[Request]:
    """Return creations of containers: every member alone, and mixtures of both halves."""
    draw = random.Random(seed)  # noqa: S311  # repeatable
    base = {"Image": "alpine"}
    found = [*_singles(CONFIG, base), *_singles(HOST, base, "HostConfig")]
    for endpoint in ENDPOINT:
        networking = {"EndpointsConfig": {"{NET}": endpoint}}
        found += [{**base, "HostConfig": {"NetworkMode": "{NET}"}, "NetworkingConfig": networking}]
    found += [{**base, "NetworkingConfig": {"EndpointsConfig": {name: {}}}} for name in ("{NETID12}", "bridge", "default", "none")]
    found += [{**base, name: value} for name in ("HostConfig", "NetworkingConfig") for value in NOTHING]
    found += [{**base, "NetworkingConfig": {"EndpointsConfig": value}} for value in NOTHING]
    for _ in range(mixtures):
        found.append({**base, **_mixed(CONFIG, draw), "Image": "alpine", "HostConfig": _mixed(HOST, draw)})
    made = [request("/v1.41/containers/create", "container", dump(body)) for body in found]
    names = (
        "name=other",
        "name=%2Fother",
        "name=",
        "name=o",
        "name=o%74her",
        "name=a&name=b",
        "name=o+r",
        "platform=",
        "platform=linux",
        "platform=linux%2Famd64",
        "Name=x",
    )
    return made + [request(f"/containers/create?{query}", "container", dump(base)) for query in names]


def others(seed: int) -> list[Request]:
    """Return creations of networks, volumes and processes, updates, connections."""
    draw = random.Random(seed)  # noqa: S311  # repeatable
    update, execs = "/containers/{IDLE}/update", "/containers/{BOX}/exec"
    kinds = (
        ("/networks/create", "network", NETWORK, {"Name": "nn"}, 4),
        ("/volumes/create", "volume", VOLUME, {"Name": "vv"}, 40),
        (execs, "exec", EXEC, {"Cmd": ["true"]}, 60),
        (update, "idle", UPDATE, {}, 40),
    )
    found = []
    for target, changes, members, base, mixtures in kinds:
        bodies = [*_singles(members, base), *({**base, **_mixed(members, draw)} for _ in range(mixtures))]
        found += [request(target, changes, dump(body)) for body in bodies]
    found += [request("/networks/{NET}/connect", "idle", dump({"Container": "{IDLE}", "EndpointConfig": e})) for e in ENDPOINT]
    for ref in ("/{IDLE}", "{IDLEID12}", "", None, "nobody"):
        found.append(request("/networks/{NETID12}/connect", "idle", dump({"Container": ref})))
    found += [request("/networks/bridge/disconnect", "idle", dump({"Container": "{IDLE}", "Force": force})) for force in BOOLEANS]
    return found
