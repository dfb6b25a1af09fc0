"""Every JSON body that the guard reads, as closed schemas (``engine-api.md`` section 3).

``neutral`` members are what clients send as "not set"; any other value of them is refused with the
reason given here. Members with a rule that depends on the profile are judged in ``policy.admission``.
"""

from typing import Any, Final

from hostadmin.guard.schema import (
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
    text,
    words,
)

HOST: Final = "it reaches the host or other people's containers"
PLATFORM: Final = "it belongs to another platform"
UNSIGNED: Final = integer(0)
SHORT: Final = text(256)
LABELS: Final = mapping(text(65536), limit=500)
PORT: Final = r"[0-9]{1,5}(-[0-9]{1,5})?(/(tcp|udp|sctp))?"
TARGET: Final = text(4096, r"/[^\0]*")
ADDRESS: Final = text(64, r"[0-9a-fA-F:.]*")

HEALTHCHECK: Final = record(
    {
        "Test": items(text()),
        "Interval": UNSIGNED,
        "Timeout": UNSIGNED,
        "StartPeriod": UNSIGNED,
        "StartInterval": UNSIGNED,
        "Retries": UNSIGNED,
    }
)
CONFIG: Final = {
    "Hostname": text(64),
    "Domainname": text(64),
    "User": SHORT,
    "AttachStdin": boolean,
    "AttachStdout": boolean,
    "AttachStderr": boolean,
    "ExposedPorts": mapping(empty, PORT),
    "Tty": boolean,
    "OpenStdin": boolean,
    "StdinOnce": boolean,
    "Env": items(text(131072)),
    "Cmd": words,
    "Healthcheck": HEALTHCHECK,
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
ENDPOINT: Final = record(
    {
        "IPAMConfig": record({"IPv4Address": ADDRESS, "IPv6Address": ADDRESS, "LinkLocalIPs": items(ADDRESS)}),
        "Links": neutral("links reach other containers by the legacy way; use a network"),
        "Aliases": items(text(253, r"[A-Za-z0-9_][A-Za-z0-9_.-]*")),
        "GwPriority": integer(-(2**31), 2**31 - 1),
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
)
MOUNT: Final = record(
    {
        "Type": text(16),
        "Source": text(4096),
        "Target": TARGET,
        "ReadOnly": boolean,
        "Consistency": choice("", "default", "consistent", "cached", "delegated"),
        "BindOptions": dropped,
        "VolumeOptions": record(
            {
                "NoCopy": boolean,
                "Labels": LABELS,
                "Subpath": text(4096, r"[^\0]*"),
                "DriverConfig": neutral("volume drivers mount things of the host"),
            }
        ),
        "TmpfsOptions": record(
            {
                "SizeBytes": UNSIGNED,
                "Mode": integer(0, 0o7777),
                "Options": neutral("mount options are not free"),
            }
        ),
        "ImageOptions": neutral("images are not mounted"),
        "ClusterOptions": neutral("there is no cluster"),
    }
)
RESTART_POLICY: Final = record({"Name": text(32), "MaximumRetryCount": UNSIGNED})
ULIMIT: Final = record({"Name": text(32), "Soft": integer(-1), "Hard": integer(-1)})

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
    "Ulimits": items(ULIMIT, 20),
    "CpuCount": neutral(PLATFORM),
    "CpuPercent": neutral(PLATFORM),
    "IOMaximumIOps": neutral(PLATFORM),
    "IOMaximumBandwidth": neutral(PLATFORM),
}
HOST_CONFIG: Final = record(
    {
        "Binds": items(text(8192)),
        "ContainerIDFile": dropped,
        "LogConfig": record({"Type": text(64), "Config": mapping(text(4096))}),
        "NetworkMode": SHORT,
        "PortBindings": mapping(nullable(items(record({"HostIp": ADDRESS, "HostPort": text(11, r"[0-9]*(-[0-9]+)?")}), 100)), PORT),
        "RestartPolicy": RESTART_POLICY,
        "AutoRemove": boolean,
        "VolumeDriver": choice("", "local"),
        "VolumesFrom": items(text(512)),
        "ConsoleSize": items(integer(0, 65535), 2),
        "Annotations": neutral("they instruct the host's runtimes"),
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
        "Links": neutral("links reach other containers by the legacy way; use a network"),
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
        "Mounts": items(MOUNT, 100),
        "MaskedPaths": refused("it uncovers files of the host's kernel"),
        "ReadonlyPaths": refused("it uncovers files of the host's kernel"),
        "Init": boolean,
    }
)
_NETWORKING: Final = record({"EndpointsConfig": mapping(nullable(ENDPOINT), r"[^\0/]{1,256}", 16)})


def networking(value: Any, path: str) -> Any:
    """``NetworkingConfig``; docker-py's ``run(network=NAME)`` adds ``{NAME: null}``, which the engine ignores."""
    if isinstance(value, dict):
        value = {name: given for name, given in value.items() if given is not None}
    return _NETWORKING(value, path)


CONTAINER_CREATE: Final = record(
    {
        **CONFIG,
        "HostConfig": HOST_CONFIG,
        "NetworkingConfig": networking,
    },
    keep_null=frozenset({"Entrypoint"}),
)
CONTAINER_UPDATE: Final = record({**RESOURCES, "RestartPolicy": RESTART_POLICY})
EXEC_CREATE: Final = record(
    {
        "User": SHORT,
        "Privileged": neutral("a privileged process is root on the host"),
        "Tty": boolean,
        "ConsoleSize": items(integer(0, 65535), 2),
        "AttachStdin": boolean,
        "AttachStderr": boolean,
        "AttachStdout": boolean,
        "DetachKeys": SHORT,
        "Env": items(text(131072)),
        "WorkingDir": text(4096),
        "Cmd": items(text(131072)),
        "Detach": dropped,
        "Container": dropped,
    }
)
EXEC_START: Final = record({"Detach": boolean, "Tty": boolean, "ConsoleSize": items(integer(0, 65535), 2)})
COMMIT: Final = record({**CONFIG, "Image": dropped})

IPAM_CONFIG: Final = record(
    {
        "Subnet": text(64, r"[0-9a-fA-F:./]*"),
        "IPRange": text(64, r"[0-9a-fA-F:./]*"),
        "Gateway": ADDRESS,
        "AuxiliaryAddresses": mapping(ADDRESS),
        "AuxAddress": mapping(ADDRESS),
    }
)
NETWORK_OPTIONS: Final = (
    r"com\.docker\.network\.bridge\.enable_icc|com\.docker\.network\.bridge\.enable_ip_masquerade"
    r"|com\.docker\.network\.driver\.mtu"
)
NETWORK_CREATE: Final = record(
    {
        "Name": SHORT,
        "CheckDuplicate": dropped,
        "Driver": choice("", "bridge", "default"),
        "Scope": neutral("networks are local"),
        "EnableIPv4": boolean,
        "EnableIPv6": neutral("IPv6 networks are not given out"),
        "IPAM": record(
            {
                "Driver": choice("", "default"),
                "Options": neutral("address management has no options"),
                "Config": items(IPAM_CONFIG, 4),
            }
        ),
        "Internal": boolean,
        "Attachable": boolean,
        "Ingress": neutral("there is no cluster"),
        "ConfigOnly": neutral("there is no cluster"),
        "ConfigFrom": neutral("there is no cluster"),
        "Options": mapping(SHORT, NETWORK_OPTIONS),
        "Labels": LABELS,
    }
)
NETWORK_CONNECT: Final = record({"Container": SHORT, "EndpointConfig": ENDPOINT})
NETWORK_DISCONNECT: Final = record({"Container": SHORT, "Force": boolean})
VOLUME_CREATE: Final = record(
    {
        "Name": SHORT,
        "Driver": choice("", "local"),
        "DriverOpts": neutral("options of the local driver are mounts of the host"),
        "Labels": LABELS,
        "ClusterVolumeSpec": neutral("there is no cluster"),
    }
)
