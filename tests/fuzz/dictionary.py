"""What an attacker would put where: host-reaching values of every member, parameter and header, and edge values."""

from typing import Any, Final

from tests.fuzz.draft import Literal, Pairs


def _o(**members: Any) -> Pairs:
    return Pairs([k, v] for k, v in members.items())


DEVICE: Final = _o(PathOnHost="/dev/mem", PathInContainer="/dev/mem", CgroupPermissions="rwm")
BIND: Final = _o(Type="bind", Source="/", Target="/host")
RATE: Final = [_o(Path="/dev/vda", Rate=1)]
HOST_MEMBERS: Final[dict[str, list[Any]]] = {
    "Privileged": [True],
    "CapAdd": [["ALL"], ["SYS_ADMIN"], ["CAP_SYS_PTRACE"], ["sys_module"], ["CAP_CAP_SYS_ADMIN"], ["CHOWN", "all"]],
    "SecurityOpt": [["seccomp=unconfined"], ["apparmor=unconfined"], ["label=disable"], ["systempaths=unconfined"], ["seccomp:unconfined"],
                    ["no-new-privileges:false"], ["no-new-privileges", "no-new-privileges=false"], ["seccomp={}"], ["disable"]],
    "MaskedPaths": [[], ["/none"]],
    "ReadonlyPaths": [[], ["/none"]],
    "UsernsMode": ["host"],
    "Sysctls": [_o(**{"kernel.msgmax": "1"}), _o(**{"net.ipv4.ip_forward": "1"}), _o(**{"kernel.core_pattern": "|/x"})],
    "Runtime": ["io.containerd.runsc.v1", "/bin/sh", "runc\0", "sysbox"],
    "Annotations": [_o(k="v")],
    "GroupAdd": [["0"], ["docker"]],
    "Devices": [[DEVICE], [_o(PathOnHost="/dev")]],
    "DeviceCgroupRules": [["a *:* rwm"], ["c 1:3 rwm"]],
    "DeviceRequests": [[_o(Driver="", Count=-1, DeviceIDs=None, Capabilities=[["gpu"]], Options=_o())], [_o(Driver="cdi", DeviceIDs=["a/b=c"])]],
    "BlkioWeightDevice": [[_o(Path="/dev/vda", Weight=100)]],
    "BlkioDeviceReadBps": [RATE], "BlkioDeviceWriteBps": [RATE], "BlkioDeviceReadIOps": [RATE], "BlkioDeviceWriteIOps": [RATE],
    "NetworkMode": ["host", "Host", "container:@BOX@", "container:@BOXID@", "@NET@", "@NETID@", "ns:/proc/1/ns/net", "bridge", "none", "container:"],
    "PidMode": ["host", "container:@BOX@", "container:@BOXID@", "HOST"],
    "IpcMode": ["host", "container:@BOX@", "shareable", "container:@BOXID@", "Host"],
    "UTSMode": ["host"], "Cgroup": ["host", "container:@BOX@"], "CgroupnsMode": ["host"], "Isolation": ["hyperv", "process"],
    "Binds": [["/:/host"], ["/etc:/e:ro"], ["@VOL@:/v"], ["/var/run/docker.sock:/s"], ["../..:/h"], ["@VOL@:/v:z"], ["@VOL@:/v:rshared"],
              ["@NEWVOL@:/n", "/:/h"], ["/proc/1/root:/r"], ["~:/h"], ["c:/x:/y"], [":/v"], ["@VOL@:/v:ro,z,bind-propagation=shared"]],
    "Mounts": [[BIND], [_o(Type="volume", Source="@VOL@", Target="/v")], [_o(Type="volume", Source="/etc", Target="/v")],
               [_o(Type="volume", Source="@NEWVOL@", Target="/v", VolumeOptions=_o(DriverConfig=_o(Name="local", Options=_o(type="none", o="bind", device="/"))))],
               [_o(Type="tmpfs", Target="/t", TmpfsOptions=_o(SizeBytes=1, Mode=511))], [_o(Type="image", Source="@IMG@", Target="/i")],
               [_o(Type="npipe", Source="x", Target="/y")], [_o(Type="Bind", Source="/", Target="/h")], [_o(type="bind", source="/", target="/h")],
               [_o(Type="bind", Source="/", Target="/h", BindOptions=_o(Propagation="rshared"))], [_o(Type="volume", Source="@VOL@", Target="/v", VolumeOptions=_o(Subpath="../.."))]],
    "VolumesFrom": [["@BOX@"], ["@BOXID@:rw"], ["@BOX@:ro,z"]],
    "VolumeDriver": ["nfs", "/x", "local"],
    "Tmpfs": [_o(**{"/t": "exec,size=999g"}), _o(**{"/t": "bind"}), _o(**{"/proc": "rw"}), _o(**{"/t": "context=x"})],
    "ContainerIDFile": ["/etc/cron.d/x"],
    "StorageOpt": [_o(size="1")],
    "LogConfig": [_o(Type="syslog", Config=_o(**{"syslog-address": "unixgram:///run/x"})), _o(Type="json-file", Config=_o(**{"max-size": "-1"})),
                  _o(Type="none", Config=_o()), _o(Type="fluentd"), _o(Type="gelf"), _o(Type="json-file", Config=_o(env="A")), _o(Type="local", Config=_o(mode="non-blocking"))],
    "PortBindings": [_o(**{"80/tcp": [_o(HostIp="0.0.0.0", HostPort="22")]}), _o(**{"80/tcp": [_o(HostPort="1000-2000")]}), _o(**{"80/tcp": None}), _o(**{"80/tcp": []}),
                     _o(**{"80": [_o(HostPort="0022")]}), _o(**{"80/udp": [_o(HostPort="65536")]})],
    "PublishAllPorts": [True], "Links": [["@BOX@:l"]], "ExtraHosts": [["h:host-gateway"], ["h:1.2.3.4"]], "Dns": [["1.2.3.4"], ["x;y"]],
    "CgroupParent": ["/", "/other", "../..", "system.slice", "/docker"],
    "Memory": [1, 2**62, -1, 6291456], "MemorySwap": [-1, 2**62], "MemoryReservation": [2**62], "MemorySwappiness": [100, -1, 101], "NanoCpus": [2**62, -1, 1],
    "CpuQuota": [-1, 10**9], "CpuPeriod": [1, 10**9], "CpuShares": [2**62, 1], "CpusetCpus": ["0-999", "0", ","], "CpusetMems": ["0", "9"],
    "CpuRealtimePeriod": [1], "CpuRealtimeRuntime": [1], "PidsLimit": [0, -1, 2**62, 1, None], "ShmSize": [2**62, 1, 0],
    "Ulimits": [[_o(Name="nofile", Soft=2**31, Hard=2**31)], [_o(Name="rtprio", Soft=9, Hard=9)], [_o(Name="memlock", Soft=-1, Hard=-1)]],
    "OomKillDisable": [True], "OomScoreAdj": [-1000, -1, 1000], "BlkioWeight": [1000, 10], "KernelMemory": [1 << 23], "KernelMemoryTCP": [1],
    "CpuCount": [1], "CpuPercent": [1], "IOMaximumIOps": [1], "IOMaximumBandwidth": [1],
    "RestartPolicy": [_o(Name="always", MaximumRetryCount=0), _o(Name="on-failure", MaximumRetryCount=99), _o(Name="ALWAYS"), _o(Name="always", MaximumRetryCount=3)],
    "AutoRemove": [True], "ReadonlyRootfs": [True], "Init": [True], "ConsoleSize": [[1, 2], [2**40, 0]], "CapDrop": [["ALL"]], "DnsSearch": [["."]], "DnsOptions": [["x"]],
}  # fmt: skip
CONFIG_MEMBERS: Final[dict[str, list[Any]]] = {
    "Image": ["@IMG@", "@IMGID@", "@IMG@@sha256:0", "sha256:", "scratch", "@IMGID@:latest", "127.0.0.1:9/x"],
    "User": ["0", "root", "0:0", "65534", "nobody:docker"],
    "Labels": [_o(**{"io.hostadmin.owner": "x"}), _o(**{"IO.HostAdmin.owner": "x"}), _o(**{"com.docker.compose.project": "p"}), _o(**{"io.hostadm\u0131n.x": "y"})],
    "Volumes": [_o(**{"/v": _o()}), _o(**{"/:/host": _o()}), _o(**{"@VOL@:/v": _o()})],
    "Env": [["A=b"], ["LD_PRELOAD=/x"], ["="], ["A"], ["NVIDIA_VISIBLE_DEVICES=all"]],
    "Healthcheck": [_o(Test=["CMD", "true"], Interval=1), _o(Test=["NONE"]), _o(Test=["CMD-SHELL", "true"], Interval=10**9)],
    "Hostname": ["h", "x" * 65, "a\nb"], "MacAddress": ["02:42:ac:11:00:02"], "Cmd": ["true", ["true"], [], None, "sleep 1"], "Entrypoint": [[], None, "", ["sh", "-c"], [""]],
    "OnBuild": [["RUN x"]], "StopSignal": ["KILL", "99", "SIGRTMIN+3"], "StopTimeout": [-1, 0, 3600, 10**9], "Shell": [["sh"]], "WorkingDir": ["/../..", "/w", "w"],
    "ExposedPorts": [_o(**{"80/tcp": _o()}), _o(**{"80/tcp": _o(a=1)}), _o(**{"1-65535/tcp": _o()})], "Tty": [True], "NetworkDisabled": [True],
    "NetworkingConfig": [_o(EndpointsConfig=_o(**{"@NET@": _o()})), _o(EndpointsConfig=_o(host=_o())), _o(EndpointsConfig=_o(**{"@NETID@": _o(Links=["@BOX@:x"])})),
                         _o(EndpointsConfig=_o(**{"@NET@": _o(IPAMConfig=_o(IPv4Address="172.18.0.2"), DriverOpts=_o(a="b"))})), _o(EndpointsConfig=_o(**{"@NET@": None, "bridge": _o()}))],
    "Cpuset": ["0"],
}  # fmt: skip
OTHER_MEMBERS: Final[dict[str, list[Any]]] = {
    "Container": ["@BOX@", "@BOXID@"], "Force": [True], "EndpointConfig": [_o(NetworkID="@NETID@"), _o(Links=["@BOX@:l"]), _o(IPAMConfig=_o(IPv4Address="1.2.3.4")), _o(MacAddress="02:42:00:00:00:01")],
    "Name": ["@NEWNET@", "@NET@", "@VOL@", "@NEWVOL@", "bridge", "host", "none", "default", "../x", ""], "Driver": ["macvlan", "host", "overlay", "null", "ipvlan", "nfs", "bridge", "local"],
    "DriverOpts": [_o(type="none", o="bind", device="/"), _o(size="1g"), _o(type="tmpfs", device="tmpfs")], "Options": [_o(**{"com.docker.network.bridge.name": "docker0"}), _o(parent="eth0"), _o(**{"com.docker.network.bridge.host_binding_ipv4": "1.2.3.4"})],
    "IPAM": [_o(Driver="default", Config=[_o(Subnet="10.0.0.0/8")]), _o(Config=[_o(Subnet="172.17.0.0/16")]), _o(Config=[_o(Subnet="127.0.0.0/8")]), _o(Config=[_o(Subnet="172.19.200.0/24", Gateway="1.1.1.1")]), _o(Driver="null"),
             _o(Config=[_o(Subnet="172.19.3.0/24", IPRange="0.0.0.0/0")])],
    "ConfigFrom": [_o(Network="@NET@")], "ConfigOnly": [True], "Ingress": [True], "Scope": ["swarm", "host"], "EnableIPv6": [True], "Internal": [True], "Attachable": [True], "CheckDuplicate": [False],
    "ClusterVolumeSpec": [_o(Group="x")], "AttachStdin": [True], "Detach": [True, False], "DetachKeys": ["ctrl-p"],
}  # fmt: skip
MEMBERS: Final = {**HOST_MEMBERS, **CONFIG_MEMBERS, **OTHER_MEMBERS}
EDGES: Final[list[Any]] = [
    None, True, False, 0, 1, -1, 2**31, 2**63 - 1, -(2**63), 2**63, 2**64, 2**400, "", "0", "host", " ", "x" * 300, "\0", "é", "a\nb", [], [None], [[]], Pairs(), _o(a=1),
    Literal("1e3"), Literal("1.0"), Literal("NaN"), Literal("-0"), Literal('"\\ud800"'), Literal('"\\u0000"'), Literal("01"), Literal("{}{}"), Literal("[1,]"), Literal("tru"),
    Literal("[" * 200 + "]" * 200), Literal('"\\u0068ost"'), Literal('"\\/etc"'),
]  # fmt: skip
FOLDED: Final = {"s": "\u017f", "k": "\u212a", "S": "\u017f", "K": "\u212a", "i": "\u0130", "I": "\u0131"}
PARAMETERS: Final[dict[str, list[str]]] = {
    "name": ["@NEWBOX@", "@BOX@", "@BOXID@", "/@NEWBOX@", "../x", "a"], "platform": ["linux/amd64", "linux/s390x", "{}"], "all": ["1", "0", "true", "none", " ", "no"], "size": ["1"], "limit": ["0", "1", "-1"],
    "filters": ['{"id":["@BOXID@"]}', '{"name":{"@BOX@":true}}', '{"name":["."]}', '{"label":["io.hostadmin.owner"]}', '{"label":{"x":true}}', '{"network":["@NET@"]}', '{"volume":["@VOL@"]}', '{"ancestor":["@IMG@"]}', '{"before":["@BOX@"]}',
                '{"since":["@BOXID@"]}', '{"status":["running"]}', '{"dangling":["false"]}', '{"until":["1h"]}', '{"type":["container"]}', '{"container":["@BOX@"]}', '{"all":["1"]}', '{"label!":["a"]}', '{"reference":["*"]}', "{}", "null",
                '{"name":["(a+)+$"]}', '{"Id":["x"]}', '{"id":["."]}', '{"driver":["bridge"]}', '{"image":["@IMG@"]}'],
    "force": ["1", "0"], "v": ["1", "true"], "link": ["1", "0"], "t": ["0", "1", "@NEWIMG@:x", "@IMG@:x", "alpine"], "signal": ["KILL", "SIGHUP", "0", "HUP"], "path": ["/", "/etc/passwd", "/proc/1/root", "../..", "/tmp", ""],
    "noOverwriteDirNonDir": ["1"], "copyUIDGID": ["1"], "ps_args": ["-ef", "-o pid", "--help; id", "axww"], "follow": ["1"], "stdout": ["1"], "stderr": ["1"], "since": ["0", "1h", "-1", "@BOX@", "2006-01-02"], "until": ["1", "9999999999"], "tail": ["all", "1", "-1", "x"],
    "stream": ["0", "1", "false"], "one-shot": ["1"], "stdin": ["1"], "logs": ["1"], "detachKeys": ["ctrl-a", "%"], "condition": ["removed", "next-exit", "x"], "h": ["1", "-1", "99999999999"], "w": ["80"], "checkpoint": ["x"], "checkpoint-dir": ["/etc"],
    "fromImage": ["@IMG@", "alpine", "127.0.0.1:9/x"], "fromSrc": ["-", "http://127.0.0.1/", "file:///etc/passwd"], "repo": ["@NEWIMG@", "@IMG@", "alpine", "127.0.0.1:9/x"], "tag": ["x", "latest", "1", "@IMGID@", ""],
    "changes": ["CMD true", "LABEL io.hostadmin.owner=x", "ONBUILD RUN x", "USER 0\nLABEL a=b", "VOLUME /v", "FROM @IMG@"], "container": ["@BOX@", "@BOXID@"], "pause": ["0"], "names": ["@IMG@", "@IMGID@", "alpine", "alpine:latest"], "quiet": ["1"],
    "noprune": ["1"], "digests": ["1"], "manifests": ["1"], "dockerfile": ["Dockerfile", "../Dockerfile", "/etc/passwd", "x"], "remote": ["http://127.0.0.1/", "client-session", ""], "networkmode": ["host", "none", "container:@BOX@", "@NET@", "default"],
    "cgroupparent": ["/x", ""], "securityopt": ['["seccomp=unconfined"]', "null"], "buildargs": ['{"A":"b"}', '{"A":null}', "[]"], "labels": ['{"io.hostadmin.owner":"x"}', '{"a":"b"}'], "cachefrom": ['["@IMG@"]', '["@IMGID@"]'], "extrahosts": ["a:1.2.3.4"],
    "version": ["1", "2"], "session": ["x"], "outputs": ['[{"Type":"local"}]'], "target": ["x"], "squash": ["1"], "isolation": ["hyperv"], "ulimits": ['[{"Name":"nofile","Soft":1,"Hard":1}]', "null"], "memory": ["67108864"], "shmsize": ["1"], "rm": ["0"], "forcerm": ["0"],
    "verbose": ["1"], "scope": ["swarm", "local"], "type": ["container", "volume"], "keep-storage": ["0"], "id": ["x"],
}  # fmt: skip
FIELDS: Final = [
    "X-Registry-Auth: e30=", "X-Registry-Auth: x", "X-Registry-Config: e30=", "Content-Type: text/plain", "Content-Type: application/json; charset=utf-16", "Content-Type: application/x-www-form-urlencoded", "Content-Type: multipart/form-data; boundary=x",
    "Content-Encoding: gzip", "Expect: 100-continue", "Connection: close", "Connection: Upgrade", "Upgrade: tcp", "Upgrade: h2c", "Upgrade: websocket", "HTTP2-Settings: AAMAAABkAAQAAP__", "Transfer-Encoding: chunked", "Transfer-Encoding: identity", "Transfer-Encoding : chunked",
    "Transfer-Encoding:\tchunked", "Content-Length: 0", "Content-Length: 5", "Content-Length: +1", "Content-Length: 99999999", "X-Forwarded-For: root", "X-HTTP-Method-Override: DELETE", "X-Meta-Authorization: x", "Host: other", "Host:", "Cookie: a=b", "Trailer: X-A", "TE: trailers",
    "X-Docker-Expose-Session-Uuid: x", "Accept: application/json-seq", "Accept-Encoding: gzip", "Authorization: Basic eDp4", "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Range: bytes=0-1", "Connection: Upgrade, HTTP2-Settings", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
]  # fmt: skip
VERSIONS: Final = [
    "",
    "/v1.41",
    "/v1.40",
    "/v1.24",
    "/v1.12",
    "/v1.44",
    "/v1.51",
    "/v1.52",
    "/v1.99",
    "/v2",
    "/v1.041",
    "/V1.41",
    "/v1",
    "/v1.41/v1.41",
    "/v01.41",
    "/v1.41.0",
]
METHODS: Final = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "get", "TRACE", "CONNECT", "PRI"]
EXTRA: Final = (  # what no client here sends: routes outside the documentation, other doors of the same operations
    ("GET", "/v1.41/containers/@BOX@/attach/ws?stream=1&stdin=1&stdout=1", "Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
    ("POST", "/session", "Connection: Upgrade\nUpgrade: h2c\nX-Docker-Expose-Session-Uuid: x"),
    ("POST", "/grpc", "Connection: Upgrade\nUpgrade: h2c"),
    ("POST", "/v1.41/containers/@BOX@/checkpoints", ""),
    ("GET", "/v1.41/containers/@BOX@/checkpoints?dir=/etc", ""),
    ("PUT", "/v1.42/volumes/@VOL@?version=1", ""),
    ("GET", "/debug/pprof/heap", ""),
    ("GET", "/debug/vars", ""),
    ("POST", "/v1.41/build/cancel?id=x", ""),
    ("GET", "/v1.41/distribution/@IMG@/json", ""),
    ("GET", "/v1.41/networks/", ""),
    ("POST", "/v1.41/exec/@EXEC@/resize?h=1&w=1", ""),
    ("GET", "/v1.41/exec/@EXEC@/json", ""),
    ("GET", "/v1.41/images/get?names=@IMG@&names=@IMGID@", ""),
    ("POST", "/v1.41/images/@IMG@/push?tag=1", "X-Registry-Auth: e30="),
    ("GET", "/v1.41/events?until=1", ""),
    ("OPTIONS", "/v1.41/containers/create", ""),
    ("GET", "/v1.41/swarm/unlockkey", ""),
    ("GET", "/v1.41/services", ""),
    ("GET", "/v1.41/containers/json?all=1&since=@BOX@&before=@BOXID@", ""),
)  # fmt: skip
