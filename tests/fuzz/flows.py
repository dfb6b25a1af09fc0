"""What the recorded clients do: every operation a student can use, each flag of ``docker create`` at least once.

``rec...`` is there already, ``new...`` is made; the recorder turns these names into placeholders.
"""

import hashlib
import io
import json
import tarfile
from typing import Final

DOCKERFILE: Final = "FROM recimg:1\nARG who=world\nENV GREETING=hello\nCOPY file.txt /file.txt\nCMD cat /file.txt\n"
COMPOSE: Final = """\
version: "3"
services:
  web:
    image: recimg:1
    command: sleep 1000
    environment: {WHO: world}
    ports: ["8000"]
    volumes: ["data:/data", "/anonymous"]
    networks: [inner]
    restart: "no"
  db:
    image: recimg:1
    command: sleep 1000
    networks: [inner]
volumes: {data: {}}
networks: {inner: {}}
"""
SDK_FLOW: Final = """
import docker, io
d = docker.from_env(timeout=10)
d.version(), d.info(), d.df()
c = d.containers.create("recimg:1", "sleep 1000", name="newbox7", detach=True, mem_limit="64m", environment={"A": "b"},
    labels={"k": "v"}, volumes={"recvol": {"bind": "/v", "mode": "rw"}}, ports={"80/tcp": None}, network="recnet", tty=True)
c.start(); c.reload(); c.exec_run("true"); c.exec_run("cat", stdin=True, socket=True)
c.put_archive("/tmp", open("tiny.tar", "rb").read()); c.get_archive("/etc/passwd"); c.stats(stream=False); c.top(); c.diff()
c.rename("newbox8"); c.update(mem_limit="32m", memswap_limit="64m"); c.logs(tail=5); c.commit("newimg", "c"); c.resize(20, 80)
c.pause(); c.unpause(); c.kill("HUP"); c.restart(timeout=0); c.stop(timeout=0); c.wait(timeout=3); c.remove(v=True, force=True)
d.containers.run("recimg:1", "true", remove=True)
d.containers.list(all=True, filters={"label": "a=b"}); d.containers.prune({"until": "24h"})
n = d.networks.create("newnet", driver="bridge", ipam=docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet="172.19.5.0/24")]))
n.connect("recbox", aliases=["a"], ipv4_address="172.19.5.9"); n.disconnect("recbox", force=True); n.remove()
d.networks.list(names=["recnet"]); d.networks.prune()
v = d.volumes.create("newvol", driver="local", labels={"a": "b"}); v.reload(); v.remove(); d.volumes.list(); d.volumes.prune()
d.images.list(all=True, filters={"dangling": True}); i = d.images.get("recimg:1"); i.tag("newimg", "t"); i.history(); list(i.save())[:1]
d.images.build(fileobj=io.BytesIO(b"FROM recimg:1\\nLABEL a=b"), tag="newimg:b", rm=True, buildargs={"a": "b"}, labels={"x": "y"})
d.images.load(open("tiny.tar", "rb").read()); d.images.remove("newimg:b", noprune=True); d.images.prune({"dangling": True})
"""


def tiny_image() -> bytes:
    """Return the tar of a saved image of one small file, under the tag ``newimg:load``."""
    layer = _tar({"hello": b"hello\n"})
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/hello"], "Labels": {"a": "b"}},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    raw = json.dumps(config).encode()
    name = f"{hashlib.sha256(raw).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": ["newimg:load"], "Layers": ["layer.tar"]}]
    return _tar({"layer.tar": layer, name: raw, "manifest.json": json.dumps(manifest).encode()})


def _tar(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


TINY: Final = tiny_image
HARMLESS_FLAGS: Final = """
-a stdout|--add-host a.example:10.0.0.1|--annotation k=v|--blkio-weight 100|--cap-add CHOWN|--cap-drop NET_RAW|--cpu-period 100000
--cpu-quota 50000|--cpu-shares 512|--cpus 0.5|--cpuset-cpus 0|--cpuset-mems 0|--dns 10.0.0.2|--dns-option ndots:1|--dns-search example
--domainname d.example|--entrypoint /bin/sh|-e A=b|--expose 81/udp|--health-cmd true --health-interval 5s --health-retries 2|--no-healthcheck
-h name|--init|-i|-t|--ipc private|--ipc container:recbox|--isolation default|-l a=b|--log-driver local --log-opt max-size=1m|-m 64m
--memory-reservation 32m|-m 32m --memory-swap 64m|--memory-swappiness 10|--mount type=volume,source=recvol,target=/m,readonly,volume-nocopy
--mount type=volume,target=/m2,volume-label=a=b|--mount type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=0700|--mount type=bind,source=/etc,target=/e
--network recnet --network-alias al --ip 172.18.0.77|--network none|--network host|--network container:recbox|--oom-score-adj 5|--pid container:recbox
--pids-limit 50|--platform linux/amd64|-p 8080:80|-p 127.0.0.1:9090-9091:90-91/tcp|-P|--read-only|--restart on-failure:3|--rm|--runtime runc
--security-opt no-new-privileges|--security-opt seccomp=unconfined|--shm-size 8m|--stop-signal INT|--stop-timeout 2|--storage-opt size=1G
--sysctl net.core.somaxconn=64|--tmpfs /tmp:size=1m,noexec|--ulimit nofile=64:128|-u 1000:1000|-v recvol:/v:ro|-v newvol:/n|-v /anon|-v /etc:/host
--volume-driver local|--volumes-from recbox:ro|-w /tmp|--privileged|--device /dev/null|--device-cgroup-rule c~1:3~rwm|--device-read-bps /dev/vda:1mb
--device-write-iops /dev/vda:10|--gpus all|--group-add 0|--link recbox:l|--uts host|--userns host|--pid host|--ipc host|--cgroupns host
--cgroup-parent /other|--oom-kill-disable|--mac-address 02:42:ac:11:00:99|--kernel-memory 8m|--cpu-rt-runtime 1|--blkio-weight-device /dev/vda:100
"""
CREATES: Final = [
    ["create", *(word.replace("~", " ") for word in flags.split()), "recimg:1", "true"]
    for flags in HARMLESS_FLAGS.replace("\n", "|").split("|")
    if flags
]
CLI_FLOW: Final[list[list[str] | tuple[list[str], bytes]]] = [
    ["version"],
    ["info"],
    ["ps", "-a", "--size", "--filter", "name=rec", "--filter", "status=running", "--filter", "ancestor=recimg:1"],
    ["ps", "-n", "3", "--filter", "network=recnet", "--filter", "volume=recvol", "--filter", "label=a", "--filter", "before=recbox"],
    *CREATES,
    ["create", "--name", "newbox5", "recimg:1", "true"],
    ["run", "--rm", "--name", "newbox1", "recimg:1", "echo", "hello"],
    (["run", "-i", "--rm", "recimg:1", "cat"], b"text\n"),
    ["run", "-d", "--name", "newbox2", "-p", "8081:80", "recimg:1", "sleep", "1000"],
    ["exec", "recbox", "true"],
    (["exec", "-i", "-u", "root", "-w", "/tmp", "-e", "A=b", "recbox", "cat"], b"text\n"),
    ["exec", "-d", "recbox", "sleep", "1"],
    ["exec", "--privileged", "recbox", "true"],
    ["logs", "--tail", "5", "--since", "10m", "--timestamps", "--details", "recbox"],
    ["top", "recbox", "-o", "pid"],
    ["stats", "--no-stream", "recbox"],
    ["port", "recbox"],
    ["diff", "recbox"],
    ["inspect", "--size", "recbox"],
    ["inspect", "recnet", "recvol", "recimg:1"],
    ["cp", "recbox:/etc/passwd", "/tmp/passwd"],
    ["cp", "file.txt", "recbox:/tmp/"],
    ["export", "recbox2", "-o", "out.tar"],
    ["pause", "recbox2"],
    ["unpause", "recbox2"],
    ["rename", "newbox2", "newbox3"],
    ["update", "--memory", "64m", "--memory-swap", "128m", "--cpus", "0.5", "--restart", "no", "--pids-limit", "60", "newbox3"],
    ["restart", "-t", "0", "newbox3"],
    ["kill", "-s", "HUP", "newbox3"],
    ["stop", "-t", "0", "newbox3"],
    ["start", "newbox3"],
    ["kill", "newbox3"],
    ["wait", "newbox3"],
    ["start", "-a", "newbox5"],
    (["attach", "newbox5"], b"text\n"),
    ["run", "-d", "--name", "newbox6", "--restart", "always", "-it", "recimg:1", "sh"],
    ["commit", "-m", "note", "-a", "me", "-c", "ENV A=b", "-c", "CMD true", "newbox3", "newimg:c"],
    ["rm", "-f", "-v", "newbox3"],
    ["container", "prune", "-f", "--filter", "until=24h"],
    [
        "build",
        "-t",
        "newimg:b",
        "--build-arg",
        "who=me",
        "--label",
        "a=b",
        "--memory",
        "64m",
        "--no-cache",
        "--add-host",
        "h:10.0.0.9",
        "context",
    ],
    [
        "build",
        "-q",
        "-f",
        "context/Dockerfile",
        "--network",
        "none",
        "--target",
        "",
        "--cache-from",
        "recimg:1",
        "--ulimit",
        "nofile=9:9",
        "context",
    ],
    ["build", "--network", "host", "--security-opt", "seccomp=unconfined", "--cgroup-parent", "/x", "context"],
    ["images", "-a", "--digests", "--filter", "reference=rec*", "--filter", "dangling=false", "--filter", "before=recimg:1"],
    ["history", "recimg:1"],
    ["tag", "recimg:1", "newimg:t"],
    ["save", "newimg:t", "-o", "out.tar"],
    ["load", "-i", "tiny.tar"],
    ["import", "-c", "CMD true", "-m", "note", "tiny.tar", "newimg:i"],
    ["import", "http://127.0.0.1/x.tar", "newimg:u"],
    ["pull", "127.0.0.1:9/none:1"],
    ["push", "newimg:t"],
    ["search", "recimg"],
    ["rmi", "--no-prune", "newimg:t"],
    ["image", "prune", "-a", "-f", "--filter", "until=24h", "--filter", "label=a=b"],
    ["builder", "prune", "-f"],
    ["network", "ls", "--filter", "driver=bridge", "--filter", "name=rec", "--filter", "type=custom"],
    [
        "network",
        "create",
        "--subnet",
        "172.19.9.0/24",
        "--gateway",
        "172.19.9.1",
        "--ip-range",
        "172.19.9.128/25",
        "--label",
        "a=b",
        "newnet",
    ],
    [
        "network",
        "create",
        "--internal",
        "--attachable",
        "--ipv6",
        "--aux-address",
        "a=172.19.9.7",
        "-o",
        "com.docker.network.driver.mtu=1400",
        "newnet",
    ],
    ["network", "create", "-d", "macvlan", "-o", "parent=eth0", "newnet"],
    ["network", "connect", "--alias", "al", "--ip", "172.19.9.44", "newnet", "recbox2"],
    ["network", "disconnect", "-f", "newnet", "recbox2"],
    ["network", "inspect", "-v", "recnet"],
    ["network", "rm", "newnet"],
    ["network", "prune", "-f", "--filter", "until=1h"],
    ["volume", "create", "newvol", "--label", "a=b"],
    ["volume", "create", "-o", "type=none", "-o", "o=bind", "-o", "device=/etc", "newvol"],
    ["volume", "ls", "--filter", "dangling=true", "--filter", "name=rec", "--filter", "label=a"],
    ["volume", "rm", "-f", "newvol"],
    ["volume", "prune", "-f", "--filter", "label=a"],
    ["system", "df", "-v"],
    ["system", "prune", "-f", "--volumes", "--filter", "label=a"],
    ["events", "--since", "1h", "--until", "1s", "--filter", "type=container", "--filter", "container=recbox", "--filter", "event=start"],
    ["login", "-u", "me", "-p", "secret", "127.0.0.1:9"],
    ["plugin", "ls"],
    ["plugin", "install", "--grant-all-permissions", "127.0.0.1:9/p"],
    ["swarm", "init"],
    ["service", "create", "recimg:1"],
    ["node", "ls"],
    ["secret", "ls"],
    ["config", "ls"],
    ["checkpoint", "ls", "recbox"],
]
