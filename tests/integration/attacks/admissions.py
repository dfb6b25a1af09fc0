"""Creation of containers, and the other bodies: every member that reaches the host or somebody else.

A row is what an attacker asks for and what its owner may have instead. ``$C $N $V $I`` are the victim's in the
attack and the attacker's own in the twin; ``$F`` is the full id of the container, ``$M`` that of the network.
"""

from typing import Any, Final

Body = dict[str, Any]
BIND: Final = {"Type": "bind", "Source": "/etc", "Target": "/host"}
VOLUME: Final = {"Type": "volume", "Source": "ashudata", "Target": "/data"}

HOST: Final[dict[str, tuple[Body, Body]]] = {
    # privilege
    "privileged": ({"Privileged": True}, {"Privileged": False}),
    "every-capability": ({"CapAdd": ["ALL"]}, {"CapDrop": ["ALL"]}),
    "capability": ({"CapAdd": ["SYS_ADMIN"]}, {"CapAdd": ["NET_BIND_SERVICE"]}),
    "capability-lower": ({"CapAdd": ["cap_sys_ptrace"]}, {"CapAdd": ["cap_chown"]}),
    "capability-with-blank": ({"CapAdd": ["SYS_ADMIN "]}, {"CapAdd": ["CHOWN"]}),
    "capability-net-admin": ({"CapAdd": ["NET_ADMIN"]}, {"CapDrop": ["NET_RAW"]}),
    "capability-raw-devices": ({"CapAdd": ["SYS_RAWIO"]}, {"CapDrop": ["MKNOD"]}),
    "capability-device-nodes": ({"CapAdd": ["MKNOD"]}, {"CapAdd": ["CHOWN"], "CapDrop": ["cap_mknod"]}),
    "seccomp-off": ({"SecurityOpt": ["seccomp=unconfined"]}, {"SecurityOpt": ["no-new-privileges"]}),
    "seccomp-off-by-colon": ({"SecurityOpt": ["seccomp:unconfined"]}, {"SecurityOpt": ["no-new-privileges:true"]}),
    "seccomp-inline": ({"SecurityOpt": ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']}, {"SecurityOpt": []}),
    "seccomp-last-wins": ({"SecurityOpt": ["no-new-privileges", "seccomp=unconfined"]}, {"SecurityOpt": ["no-new-privileges=true"]}),
    "apparmor-off": ({"SecurityOpt": ["apparmor=unconfined"]}, {"ReadonlyRootfs": True}),
    "label-disable": ({"SecurityOpt": ["label=disable"]}, {"SecurityOpt": None}),
    "label-type": ({"SecurityOpt": ["label=type:spc_t"]}, {}),
    "disable-alone": ({"SecurityOpt": ["disable"]}, {}),
    "system-paths": ({"SecurityOpt": ["systempaths=unconfined"]}, {}),
    "no-new-privileges-off": ({"SecurityOpt": ["no-new-privileges=false", "seccomp=unconfined"]}, {}),
    "unmasked": ({"MaskedPaths": []}, {"MaskedPaths": None}),
    "unmasked-one": ({"MaskedPaths": ["/proc/kcore"]}, {}),
    "writable-proc": ({"ReadonlyPaths": []}, {"ReadonlyPaths": None}),
    "user-namespace-of-the-host": ({"UsernsMode": "host"}, {"UsernsMode": ""}),
    "groups-of-the-host": ({"GroupAdd": ["0", "docker"]}, {"GroupAdd": []}),
    "runtime": ({"Runtime": "io.containerd.runtime.v1.linux"}, {"Runtime": "runc"}),
    "runtime-with-a-path": ({"Runtime": "../../tmp/planted"}, {"Runtime": ""}),
    "annotations": ({"Annotations": {"run.oci.systemd.force_cgroup_v1": "/"}}, {}),
    # devices
    "device": ({"Devices": [{"PathOnHost": "/dev/kmsg", "PathInContainer": "/dev/x", "CgroupPermissions": "rwm"}]}, {"Devices": []}),
    "device-folder": ({"Devices": [{"PathOnHost": "/dev", "PathInContainer": "/dev2", "CgroupPermissions": "rwm"}]}, {"Devices": None}),
    "device-rule": ({"DeviceCgroupRules": ["a *:* rwm"]}, {"DeviceCgroupRules": None}),
    "device-request": ({"DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]}, {"DeviceRequests": []}),
    "device-request-cdi": ({"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["vendor.com/class=x"]}]}, {"DeviceRequests": None}),
    "block-device-limit": ({"BlkioDeviceReadBps": [{"Path": "/dev/sda", "Rate": 1}]}, {"BlkioDeviceReadBps": []}),
    "block-device-weight": ({"BlkioWeightDevice": [{"Path": "/etc/shadow", "Weight": 10}]}, {"BlkioWeightDevice": None}),
    # namespaces
    "network-of-the-host": ({"NetworkMode": "host"}, {"NetworkMode": "none"}),
    "network-of-the-host-by-id": ({"NetworkMode": "$H"}, {"NetworkMode": "bridge"}),
    "network-of-the-host-with-more": ({"NetworkMode": "host:x"}, {"NetworkMode": "default"}),
    "network-of-another": ({"NetworkMode": "$N"}, {"NetworkMode": "$N"}),
    "network-of-another-by-id": ({"NetworkMode": "$M"}, {"NetworkMode": "$M"}),
    "network-of-another-by-prefix": ({"NetworkMode": "$m"}, {"NetworkMode": "$m"}),
    "network-of-the-host's-container": ({"NetworkMode": "container:hostc"}, {"NetworkMode": "container:$C"}),
    "network-of-another's-container": ({"NetworkMode": "container:$C"}, {"NetworkMode": "container:$F"}),
    "network-of-another's-container-by-id": ({"NetworkMode": "container:$F"}, {"NetworkMode": "container:$F"}),
    "network-of-a-missing-container": ({"NetworkMode": "container:devnotyet"}, {"NetworkMode": "container:$C"}),
    "network-of-nothing": ({"NetworkMode": "container:"}, {"NetworkMode": ""}),
    "pids-of-the-host": ({"PidMode": "host"}, {"PidMode": ""}),
    "pids-of-another": ({"PidMode": "container:$C"}, {"PidMode": "container:$C"}),
    "pids-of-a-missing": ({"PidMode": "container:devnotyet"}, {"Init": True}),
    "pids-in-capitals": ({"PidMode": "HOST"}, {}),
    "ipc-of-the-host": ({"IpcMode": "host"}, {"IpcMode": "private"}),
    "ipc-of-another": ({"IpcMode": "container:$C"}, {"IpcMode": "container:$C"}),
    "ipc-of-a-missing": ({"IpcMode": "container:devnotyet"}, {"IpcMode": "none"}),
    "uts-of-the-host": ({"UTSMode": "host"}, {"UTSMode": ""}),
    "cgroups-of-the-host": ({"CgroupnsMode": "host"}, {"CgroupnsMode": "private"}),
    "cgroup-of-another": ({"Cgroup": "container:$C"}, {"Cgroup": ""}),
    "isolation": ({"Isolation": "process"}, {"Isolation": "default"}),
    # files of the host
    "bind": ({"Binds": ["/etc:/host"]}, {"Binds": ["$V:/data"]}),
    "bind-read-only": ({"Binds": ["/etc:/host:ro"]}, {"Binds": ["$V:/data:ro"]}),
    "bind-of-everything": ({"Binds": ["/:/host"]}, {"Binds": ["/only/inside"]}),
    "bind-with-slashes": ({"Binds": ["//etc:/host"]}, {"Binds": ["ashufresh:/data"]}),
    "bind-with-dots": ({"Binds": ["/tmp/../etc:/host"]}, {"Binds": []}),
    "bind-relative": ({"Binds": ["../../../etc:/host"]}, {"Binds": None}),
    "bind-of-here": ({"Binds": [".:/host"]}, {}),
    "bind-of-home": ({"Binds": ["~/:/host"]}, {}),
    "bind-behind-a-blank": ({"Binds": [" /etc:/host"]}, {}),
    "bind-name-with-slash": ({"Binds": ["x/../../../../etc:/host"]}, {}),
    "bind-of-the-engine-socket": ({"Binds": ["/run/engine.sock:/s"]}, {}),
    "bind-propagation": ({"Binds": ["$V:/data:rshared"]}, {"Binds": ["$V:/data:cached"]}),
    "bind-relabel": ({"Binds": ["ashudata:/data:Z"]}, {"Binds": ["$V:/data:rw"]}),
    "bind-unknown-option": ({"Binds": ["ashudata:/data:ro,exec"]}, {"Binds": ["$V:/data:nocopy"]}),
    "bind-of-another's-volume": ({"Binds": ["$V:/data"]}, {"Binds": ["$V:/data"]}),
    "bind-of-another's-unnamed-volume": ({"Binds": ["$A:/data"]}, {"Binds": ["$A:/data"]}),
    "bind-of-the-host's-volume": ({"Binds": ["hostdata:/data"]}, {"Binds": ["$V:/data"]}),
    "mount-bind": ({"Mounts": [BIND]}, {"Mounts": [VOLUME]}),
    "mount-bind-upper": ({"Mounts": [{**BIND, "Type": "BIND"}]}, {"Mounts": []}),
    "mount-bind-recursive": ({"Mounts": [{**BIND, "BindOptions": {"Propagation": "rshared", "NonRecursive": True}}]}, {}),
    "mount-bind-made": ({"Mounts": [{**BIND, "Source": "/etc/planted", "BindOptions": {"CreateMountpoint": True}}]}, {}),
    "mount-without-type": ({"Mounts": [{"Source": "/etc", "Target": "/host"}]}, {}),
    "mount-volume-of-a-path": ({"Mounts": [{"Type": "volume", "Source": "/etc", "Target": "/host"}]}, {}),
    "mount-volume-with-dots": ({"Mounts": [{"Type": "volume", "Source": "..", "Target": "/host"}]}, {}),
    "mount-of-another's-volume": ({"Mounts": [{**VOLUME, "Source": "$V"}]}, {"Mounts": [{**VOLUME, "Source": "$V"}]}),
    "mount-of-another's-part": (
        {"Mounts": [{**VOLUME, "Source": "$V", "VolumeOptions": {"Subpath": "file"}}]},
        {"Mounts": [{**VOLUME, "Source": "$V", "VolumeOptions": {"NoCopy": True}}]},
    ),
    "mount-driver-options": (
        {
            "Mounts": [
                {
                    "Type": "volume",
                    "Target": "/host",
                    "VolumeOptions": {"DriverConfig": {"Name": "local", "Options": {"type": "none", "o": "bind", "device": "/etc"}}},
                }
            ]
        },
        {"Mounts": [{"Type": "volume", "Target": "/data", "VolumeOptions": {}}]},
    ),
    "mount-driver-on-an-own-volume": (
        {"Mounts": [{**VOLUME, "VolumeOptions": {"DriverConfig": {"Name": "local", "Options": {"device": "/etc", "o": "bind"}}}}]},
        {"Mounts": [{**VOLUME, "ReadOnly": True}]},
    ),
    "mount-reserved-label": (
        {"Mounts": [{"Type": "volume", "Source": "ashufresh", "Target": "/d", "VolumeOptions": {"Labels": {"io.hostadmin.owner": "x"}}}]},
        {"Mounts": [{"Type": "volume", "Source": "ashufresh", "Target": "/d", "VolumeOptions": {"Labels": {"a": "b"}}}]},
    ),
    "mount-pipe": ({"Mounts": [{"Type": "npipe", "Source": "/etc", "Target": "/host"}]}, {}),
    "mount-cluster": ({"Mounts": [{"Type": "cluster", "Source": "x", "Target": "/host"}]}, {}),
    "mount-image": ({"Mounts": [{"Type": "image", "Source": "$I", "Target": "/host"}]}, {}),
    "mount-tmpfs-of-a-path": (
        {"Mounts": [{"Type": "tmpfs", "Source": "/etc", "Target": "/t"}]},
        {"Mounts": [{"Type": "tmpfs", "Target": "/t"}]},
    ),
    "mount-tmpfs-options": (
        {"Mounts": [{"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"Options": [["dev"], ["suid"]]}}]},
        {"Mounts": [{"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 1048576, "Mode": 511}}]},
    ),
    "mount-over-the-host": ({"Mounts": [{**VOLUME, "Target": "../../../etc"}]}, {}),
    "tmpfs-options": ({"Tmpfs": {"/t": "rw,exec,suid,dev"}}, {"Tmpfs": {"/t": "rw,exec,size=1m"}}),
    "tmpfs-context": ({"Tmpfs": {"/t": "context=x"}}, {"Tmpfs": {"/t": ""}}),
    "volumes-from-another": ({"VolumesFrom": ["$C"]}, {"VolumesFrom": ["$C"]}),
    "volumes-from-another-by-id": ({"VolumesFrom": ["$F:ro"]}, {"VolumesFrom": ["$F:ro"]}),
    "volumes-from-the-host": ({"VolumesFrom": ["hostc"]}, {"VolumesFrom": []}),
    "volumes-from-with-mode": ({"VolumesFrom": ["ashuc:z"]}, {"VolumesFrom": ["$C:rw"]}),
    "volume-driver": ({"VolumeDriver": "plugin"}, {"VolumeDriver": "local"}),
    "id-file": ({"ContainerIDFile": "/etc/planted", "Privileged": True}, {"ContainerIDFile": "/home/ashu/id"}),
    "storage-options": ({"StorageOpt": {"size": "1P"}}, {"StorageOpt": {}}),
    "log-driver": (
        {"LogConfig": {"Type": "syslog", "Config": {"syslog-address": "unixgram:///dev/log"}}},
        {"LogConfig": {"Type": "json-file"}},
    ),
    "log-driver-reads-files": (
        {"LogConfig": {"Type": "splunk", "Config": {"splunk-capath": "/etc/shadow"}}},
        {"LogConfig": {"Type": "local", "Config": {"max-size": "1m"}}},
    ),
    "log-driver-connects": (
        {"LogConfig": {"Type": "gelf", "Config": {"gelf-address": "tcp://127.0.0.1:1"}}},
        {"LogConfig": {"Type": "", "Config": {}}},
    ),
    "log-option": ({"LogConfig": {"Type": "json-file", "Config": {"env": "TOKEN", "tag": "x"}}}, {}),
    # network
    "links": ({"Links": ["$C:x"]}, {"Links": []}),
    "links-by-id": ({"Links": ["$F:x"]}, {"Links": None}),
    "port-of-the-host": ({"PortBindings": {"80/tcp": [{"HostPort": "22"}]}}, {"PortBindings": {"80/tcp": [{"HostPort": "20480"}]}}),
    "port-range-below": ({"PortBindings": {"80/tcp": [{"HostPort": "1000-30000"}]}}, {"PortBindings": {}}),
    "port-with-zeros": ({"PortBindings": {"80/tcp": [{"HostPort": "00080"}]}}, {}),
    "port-beyond": ({"PortBindings": {"80/tcp": [{"HostPort": "65558"}]}}, {}),
    # resources
    "cgroup-parent": ({"CgroupParent": "/planted"}, {"CgroupParent": ""}),
    "cgroup-parent-outside": ({"CgroupParent": "../../../planted"}, {}),
    "cgroup-parent-slice": ({"CgroupParent": "system.slice"}, {}),
    "endless-processes": ({"PidsLimit": 10_000_000}, {"PidsLimit": 100}),
    "never-killed": ({"OomScoreAdj": -1000}, {"OomScoreAdj": 500}),
    "kills-others": ({"OomKillDisable": True}, {"OomKillDisable": False}),
    "real-time": ({"CpuRealtimeRuntime": 950000, "CpuRealtimePeriod": 1000000}, {"CpuShares": 512}),
    "ulimit": ({"Ulimits": [{"Name": "rtprio", "Soft": 99, "Hard": 99}]}, {"Ulimits": [{"Name": "nofile", "Soft": 64, "Hard": 64}]}),
    "sysctl-of-the-host": ({"Sysctls": {"kernel.shm_rmid_forced": "1"}}, {"Sysctls": {"net.core.somaxconn": "128"}}),
    "sysctl-core-pattern": ({"Sysctls": {"kernel.core_pattern": "|/tmp/planted"}}, {}),
    "sysctl-of-forwarding": ({"Sysctls": {"net.ipv4.ip_forward": "1"}}, {}),
    "sysctl-spelt-as-a-path": ({"Sysctls": {"net/core/../../kernel/core_pattern": "x"}}, {}),
    "kernel-memory": ({"KernelMemory": 1}, {"KernelMemory": 0}),
    "other-platform": ({"CpuCount": 1, "IOMaximumIOps": 5}, {"CpuCount": 0}),
    "shared-memory": ({"ShmSize": 1 << 40}, {"ShmSize": 1 << 20}),
    "restart-nonsense": ({"RestartPolicy": {"Name": "sometimes"}}, {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}}),
}
CONFIG: Final[dict[str, tuple[Body, Body]]] = {
    "image-of-another": ({"Image": "$I"}, {"Image": "$I"}),
    "image-of-another-by-id": ({"Image": "$D"}, {"Image": "$D"}),
    "image-of-another-by-prefix": ({"Image": "$S"}, {"Image": "$S"}),
    "image-of-another-with-digest": ({"Image": "devimg@$D"}, {"Image": "alpine:latest"}),
    "image-none": ({"Image": ""}, {"Image": "alpine"}),
    "reserved-label": ({"Labels": {"io.hostadmin.owner": "$O"}}, {"Labels": {"io.example": "x"}}),
    "reserved-label-in-capitals": ({"Labels": {"IO.HostAdmin.Owner": "$O"}}, {"Labels": {"a": "b"}}),
    "reserved-label-kelvin": ({"Labels": {"io.hostadmin.request\u212a": "x"}}, {"Labels": {}}),
    "volume-at-the-root": ({"Volumes": {"/etc/../..": {}}, "HostConfig": {"Privileged": True}}, {"Volumes": {"/v": {}}}),
    "volume-with-a-source": ({"Volumes": {"/etc:/host": {}}, "HostConfig": {"Binds": ["/etc:/host"]}}, {"Volumes": None}),
    "hardware-address": ({"MacAddress": "02:42:ac:11:00:02"}, {"MacAddress": ""}),
    "unknown": ({"Sandbox": False}, {"Domainname": "x"}),
    "endpoint-of-another": (
        {"NetworkingConfig": {"EndpointsConfig": {"$N": {}}}},
        {"HostConfig": {"NetworkMode": "$N"}, "NetworkingConfig": {"EndpointsConfig": {"$N": {}}}},
    ),
    "endpoint-of-the-host": (
        {"NetworkingConfig": {"EndpointsConfig": {"host": {}}}},
        {"NetworkingConfig": {"EndpointsConfig": {"default": {}}}},
    ),
    "endpoint-of-another-beside-an-own": (
        {"HostConfig": {"NetworkMode": "ashunet"}, "NetworkingConfig": {"EndpointsConfig": {"ashunet": {}, "$N": {}}}},
        {"HostConfig": {"NetworkMode": "$N"}, "NetworkingConfig": {"EndpointsConfig": {"$N": {"Aliases": ["web"]}}}},
    ),
    "endpoint-links": (
        {"HostConfig": {"NetworkMode": "ashunet"}, "NetworkingConfig": {"EndpointsConfig": {"ashunet": {"Links": ["$C:x"]}}}},
        {"HostConfig": {"NetworkMode": "$N"}, "NetworkingConfig": {"EndpointsConfig": {"$N": {"Links": []}}}},
    ),
    "endpoint-hardware-address": (
        {
            "HostConfig": {"NetworkMode": "ashunet"},
            "NetworkingConfig": {"EndpointsConfig": {"ashunet": {"MacAddress": "02:42:00:00:00:01"}}},
        },
        {"HostConfig": {"NetworkMode": "$N"}, "NetworkingConfig": {"EndpointsConfig": {"$N": {"MacAddress": ""}}}},
    ),
    "endpoint-driver-options": (
        {
            "HostConfig": {"NetworkMode": "ashunet"},
            "NetworkingConfig": {"EndpointsConfig": {"ashunet": {"DriverOpts": {"com.docker.network.endpoint.sysctls": "net.ipv4.x=1"}}}},
        },
        {"HostConfig": {"NetworkMode": "$N"}, "NetworkingConfig": {"EndpointsConfig": {"$N": {"DriverOpts": None}}}},
    ),
}
