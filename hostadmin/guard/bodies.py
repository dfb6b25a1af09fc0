"""Every JSON body that the guard reads, as closed schemas (``engine-api.md`` section 3).

``neutral`` members are what clients send as "not set"; any other value of them is refused with the
reason given here. Members with a rule that depends on the profile are judged in ``policy.admission``.
The tables of members are compared with the Engine API's own definitions by a test.
"""

from typing import Any, Final

from hostadmin.guard.schema import (
    At,
    Schema,
    Type,
    boolean,
    choice,
    dropped,
    empty,
    integer,
    items,
    mapping,
    neutral,
    nullable,
    record,
    refused,
    since,
    text,
    words,
)

HOST: Final = "it reaches the host or other people's containers"
PLATFORM: Final = "it belongs to another platform"
UNSIGNED: Final = integer(0)
SHORT: Final = text(256)
LABELS: Final = mapping(text(65536), limit=500)
PORTS: Final = r"[0-9]{1,5}(-[0-9]{1,5})?(/(tcp|udp|sctp))?"
PORT: Final = r"[0-9]{1,5}(/(tcp|udp|sctp))?"
TARGET: Final = text(4096, r"/[^\0]*")
ADDRESS: Final = text(64, r"[0-9a-fA-F:.]*")

HEALTHCHECK: Final = {
    "Test": items(text(131072)),
    "Interval": UNSIGNED,
    "Timeout": UNSIGNED,
    "StartPeriod": UNSIGNED,
    "StartInterval": since((1, 44), UNSIGNED),
    "Retries": UNSIGNED,
}
CONFIG: Final = {
    "Hostname": text(64),
    "Domainname": text(64),
    "User": SHORT,
    "AttachStdin": boolean,
    "AttachStdout": boolean,
    "AttachStderr": boolean,
    "ExposedPorts": mapping(empty, PORTS),
    "Tty": boolean,
    "OpenStdin": boolean,
    "StdinOnce": boolean,
    "Env": items(text(131072)),
    "Cmd": words,
    "Healthcheck": record(HEALTHCHECK),
    "ArgsEscaped": boolean,
    "Image": text(512),
    "Volumes": mapping(empty, r"/[^\0]{1,4095}"),
    "WorkingDir": text(4096),
    "Entrypoint": words,
    "NetworkDisabled": boolean,
    "MacAddress": neutral("addresses are given by the engine"),
    "OnBuild": dropped,
    "Labels": LABELS,
    "StopSignal": text(32),
    "StopTimeout": integer(-1, 3600),
    "Shell": words,
}
ENDPOINT_IPAM: Final = {"IPv4Address": ADDRESS, "IPv6Address": ADDRESS, "LinkLocalIPs": items(ADDRESS, 16)}
ENDPOINT: Final = {
    "IPAMConfig": record(ENDPOINT_IPAM),
    "Links": neutral("links reach other containers by the legacy way; use a network"),
    "Aliases": items(text(253, r"[A-Za-z0-9_][A-Za-z0-9_.-]*"), 100),
    "GwPriority": since((1, 48), integer(-(2**31), 2**31 - 1)),
    "MacAddress": neutral("addresses are given by the engine"),
    "DriverOpts": neutral("driver options set interface names and sysctls"),
    **dict.fromkeys(
        (
            "NetworkID",
            "EndpointID",
            "Gateway",
            "IPAddress",
            "IPPrefixLen",
            "IPv6Gateway",
            "GlobalIPv6Address",
            "GlobalIPv6PrefixLen",
            "DNSNames",
        ),
        dropped,
    ),
}
BIND_OPTIONS: Final = {
    "Propagation": choice("", "private", "rprivate"),
    "NonRecursive": boolean,
    "CreateMountpoint": since((1, 42), boolean),
    "ReadOnlyNonRecursive": since((1, 44), boolean),
    "ReadOnlyForceRecursive": since((1, 44), boolean),
}
VOLUME_OPTIONS: Final = {
    "NoCopy": boolean,
    "Labels": LABELS,
    "Subpath": since((1, 45), text(4096)),
    "DriverConfig": neutral("volume drivers mount things of the host"),
}
TMPFS_OPTIONS: Final = {
    "SizeBytes": UNSIGNED,
    "Mode": integer(0, 0o7777),
    "Options": since((1, 46), items(items(text(64), 2), 16)),
}
IMAGE_OPTIONS: Final = {"Subpath": text(4096)}
MOUNT: Final = {
    "Type": text(16),
    "Source": text(4096),
    "Target": TARGET,
    "ReadOnly": boolean,
    "Consistency": choice("", "default", "consistent", "cached", "delegated"),
    "BindOptions": record(BIND_OPTIONS),
    "VolumeOptions": record(VOLUME_OPTIONS),
    "TmpfsOptions": record(TMPFS_OPTIONS),
    "ImageOptions": since((1, 48), record(IMAGE_OPTIONS)),
    "ClusterOptions": neutral("there is no cluster"),
}
RESTART_POLICY: Final = {"Name": text(32), "MaximumRetryCount": UNSIGNED}
ULIMIT: Final = {"Name": text(32), "Soft": integer(-1), "Hard": integer(-1)}
LOG_CONFIG: Final = {"Type": text(64), "Config": mapping(text(4096))}
PORT_BINDING: Final = {"HostIp": ADDRESS, "HostPort": text(11, r"[0-9]*(-[0-9]+)?")}

RESOURCES: Final = {
    "CpuShares": UNSIGNED,
    "Memory": UNSIGNED,
    "NanoCpus": UNSIGNED,
    "CgroupParent": neutral("hostadmin sets it"),
    "BlkioWeight": integer(0, 1000),
    "BlkioWeightDevice": neutral("device paths are the host's"),
    "BlkioDeviceReadBps": neutral("device paths are the host's"),
    "BlkioDeviceWriteBps": neutral("device paths are the host's"),
    "BlkioDeviceReadIOps": neutral("device paths are the host's"),
    "BlkioDeviceWriteIOps": neutral("device paths are the host's"),
    "CpuPeriod": UNSIGNED,
    "CpuQuota": integer(-1),
    "CpuRealtimePeriod": neutral(HOST),
    "CpuRealtimeRuntime": neutral(HOST),
    "CpusetCpus": text(256, r"[0-9,-]*"),
    "CpusetMems": text(256, r"[0-9,-]*"),
    "Devices": neutral("devices are the host's"),
    "DeviceCgroupRules": neutral("devices are the host's"),
    "DeviceRequests": neutral("devices are the host's"),
    "KernelMemory": neutral("it is obsolete"),
    "KernelMemoryTCP": neutral("it is obsolete"),
    "MemoryReservation": UNSIGNED,
    "MemorySwap": integer(-1),
    "MemorySwappiness": integer(-1, 100),
    "OomKillDisable": neutral("it makes the host kill something else"),
    "PidsLimit": integer(),
    "Ulimits": items(record(ULIMIT), 20),
    "CpuCount": neutral(PLATFORM),
    "CpuPercent": neutral(PLATFORM),
    "IOMaximumIOps": neutral(PLATFORM),
    "IOMaximumBandwidth": neutral(PLATFORM),
    "Init": boolean,
}
HOST_CONFIG: Final = {
    "Binds": items(text(8192)),
    "ContainerIDFile": dropped,
    "LogConfig": record(LOG_CONFIG),
    "NetworkMode": SHORT,
    "PortBindings": mapping(nullable(items(record(PORT_BINDING), 100)), PORT),
    "RestartPolicy": record(RESTART_POLICY),
    "AutoRemove": boolean,
    "VolumeDriver": choice("", "local"),
    "VolumesFrom": items(text(512)),
    "ConsoleSize": items(integer(0, 65535), size=2),
    "Annotations": since((1, 43), neutral("they instruct the host's runtimes")),
    "CapAdd": items(text(64)),
    "CapDrop": items(text(64)),
    "CgroupnsMode": choice("", "private"),
    "Dns": items(ADDRESS),
    "DnsOptions": items(SHORT),
    "DnsSearch": items(SHORT),
    "ExtraHosts": items(text(512)),
    "GroupAdd": neutral("groups of the host are not given to containers"),
    "IpcMode": SHORT,
    "Cgroup": neutral(HOST),
    "Links": items(text(512)),  # judged by admission
    "OomScoreAdj": integer(0, 1000),
    "PidMode": SHORT,
    "Privileged": neutral("a privileged container is root on the host"),
    "PublishAllPorts": boolean,
    "ReadonlyRootfs": boolean,
    "SecurityOpt": items(text(65536)),
    "StorageOpt": neutral("disk sizes are the host's"),
    "Tmpfs": mapping(SHORT, r"/[^\0]{1,4095}"),
    "UTSMode": neutral(HOST),
    "UsernsMode": neutral(HOST),
    "ShmSize": UNSIGNED,
    "Sysctls": mapping(SHORT),
    "Runtime": choice("", "runc", "io.containerd.runc.v2"),
    "Isolation": choice("", "default"),
    **RESOURCES,
    "Mounts": items(record(MOUNT), 100),
    "MaskedPaths": refused("it uncovers files of the host's kernel"),
    "ReadonlyPaths": refused("it uncovers files of the host's kernel"),
}
NETWORKING: Final = {"EndpointsConfig": mapping(record(ENDPOINT), r"[^\0/]{1,256}", 16)}


def networking(value: Any, at: At) -> Any:
    """``NetworkingConfig``; docker-py's ``run(network=NAME)`` adds ``{NAME: null}``, which the engine ignores."""
    if isinstance(value, dict):
        value = {name: given for name, given in value.items() if given is not None}
        endpoints = value.get("EndpointsConfig")
        if isinstance(endpoints, dict):
            value["EndpointsConfig"] = {name: {} if given is None else given for name, given in endpoints.items()}
    return record(NETWORKING)(value, at)


CREATE: Final[dict[str, Type]] = {**CONFIG, "HostConfig": record(HOST_CONFIG), "NetworkingConfig": networking}
UPDATE: Final = {**RESOURCES, "RestartPolicy": record(RESTART_POLICY)}
EXEC: Final = {
    "User": SHORT,
    "Privileged": neutral("a privileged process is root on the host"),
    "Tty": boolean,
    "ConsoleSize": since((1, 42), items(integer(0, 65535), size=2), ignored=True),
    "AttachStdin": boolean,
    "AttachStderr": boolean,
    "AttachStdout": boolean,
    "DetachKeys": SHORT,
    "detachKeys": neutral("write DetachKeys"),  # aiodocker sends it, empty
    "Env": items(text(131072)),
    "WorkingDir": text(4096),
    "Cmd": items(text(131072)),
    "Detach": dropped,
    "Container": dropped,
}
EXEC_STARTED: Final = {
    "Detach": boolean,
    "Tty": boolean,
    "ConsoleSize": since((1, 42), items(integer(0, 65535), size=2), ignored=True),
}

IPAM_CONFIG: Final = {
    "Subnet": text(64, r"[0-9a-fA-F:./]*"),
    "IPRange": text(64, r"[0-9a-fA-F:./]*"),
    "Gateway": ADDRESS,
    "AuxiliaryAddresses": mapping(ADDRESS, limit=64),
    "AuxAddress": mapping(ADDRESS, limit=64),
}
IPAM: Final = {
    "Driver": choice("", "default"),
    "Options": neutral("address management has no options"),
    "Config": items(record(IPAM_CONFIG), 4),
}
NETWORK_OPTIONS: Final = (
    r"com\.docker\.network\.bridge\.enable_icc|com\.docker\.network\.bridge\.enable_ip_masquerade"
    r"|com\.docker\.network\.driver\.mtu"
)
NETWORK: Final = {
    "Name": SHORT,
    "CheckDuplicate": boolean,
    "Driver": choice("", "bridge", "default"),
    "Scope": neutral("networks are local"),
    "EnableIPv4": since((1, 47), boolean),
    "EnableIPv6": neutral("IPv6 networks are not given out"),
    "IPAM": record(IPAM),
    "Internal": boolean,
    "Attachable": boolean,
    "Ingress": neutral("there is no cluster"),
    "ConfigOnly": neutral("there is no cluster"),
    "ConfigFrom": neutral("there is no cluster"),
    "Options": mapping(SHORT, NETWORK_OPTIONS),
    "Labels": LABELS,
}
CONNECT: Final = {"Container": SHORT, "EndpointConfig": record(ENDPOINT)}
DISCONNECT: Final = {"Container": SHORT, "Force": boolean}
VOLUME: Final = {
    "Name": SHORT,
    "Driver": choice("", "local"),
    "DriverOpts": neutral("options of the local driver are mounts of the host"),
    "Labels": LABELS,
    "ClusterVolumeSpec": since((1, 42), neutral("there is no cluster")),
}

CONTAINER_CREATE: Final = Schema(record(CREATE, keep_null=frozenset({"Entrypoint"})))
CONTAINER_UPDATE: Final = Schema(record(UPDATE))
EXEC_CREATE: Final = Schema(record(EXEC))
EXEC_START: Final = Schema(record(EXEC_STARTED))
COMMIT: Final = Schema(record({**CONFIG, "Image": dropped}))
NETWORK_CREATE: Final = Schema(record(NETWORK))
NETWORK_CONNECT: Final = Schema(record(CONNECT))
NETWORK_DISCONNECT: Final = Schema(record(DISCONNECT))
VOLUME_CREATE: Final = Schema(record(VOLUME))
