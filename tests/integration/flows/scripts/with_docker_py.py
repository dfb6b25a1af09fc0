"""Ordinary work with docker-py; prints what it sees."""

import io
import tarfile

import docker
from docker.errors import APIError, ContainerError, ImageNotFound, NotFound

client = docker.from_env()
print(client.ping(), client.version()["Os"])
print(client.containers.run("alpine", "echo hello", remove=True))
try:
    client.containers.run("alpine", "sh -c 'echo no >&2; exit 3'", remove=True)
except ContainerError as error:
    print(error)
net = client.networks.create("pynet", driver="bridge", labels={"a": "b"}, check_duplicate=True)
volume = client.volumes.create("pyvol", labels={"a": "b"})
c = client.containers.run(
    "alpine",
    "sh",
    name="py1",
    tty=True,
    stdin_open=True,
    detach=True,
    network="pynet",
    environment={"A": "1"},
    labels={"tier": "one"},
    volumes={"pyvol": {"bind": "/d", "mode": "rw"}},
    ports={"80/tcp": ("127.0.0.1", 18095)},
    mem_limit="64m",
    restart_policy={"Name": "on-failure", "MaximumRetryCount": 2},
    healthcheck={"test": ["NONE"]},
)
print(c.status, c.name, c.attrs["Config"]["Env"], c.attrs["HostConfig"]["Memory"], c.attrs["HostConfig"]["NetworkMode"])
print([x.name for x in client.containers.list()], client.containers.list(filters={"label": "tier=two"}))
print(c.exec_run(["sh", "-c", "echo out; echo err >&2; exit 4"], demux=True))
print(c.exec_run("id", user="nobody", workdir="/tmp", environment={"B": "2"}))
print(list(c.exec_run("sh -c 'echo 1; echo 2'", stream=True).output) != [])
sock = client.api.exec_start(client.api.exec_create(c.id, "cat", stdin=True)["Id"], socket=True)
raw = getattr(sock, "_sock", sock)
raw.sendall(b"through the socket\n")
raw.shutdown(1)
print(b"".join(iter(lambda: raw.recv(4096), b"")))
data = io.BytesIO()
with tarfile.open(fileobj=data, mode="w") as tar:
    info = tarfile.TarInfo("note")
    info.size = 5
    tar.addfile(info, io.BytesIO(b"note\n"))
print(c.put_archive("/root", data.getvalue()))
stream, facts = c.get_archive("/root/note")
print(facts["name"], facts["size"], len(b"".join(stream)))
print(sorted((d["Path"], d["Kind"]) for d in c.diff()))
c.rename("py2")
c.update(mem_limit="128m", memswap_limit="256m")
c.reload()
print(c.name, c.attrs["HostConfig"]["Memory"], sorted(c.attrs["NetworkSettings"]["Networks"]))
c.pause()
c.reload()
print(c.status)
c.unpause()
print(sorted(c.stats(stream=False))[:5], c.top()["Titles"])
net.disconnect(c)
net.connect(c, aliases=["second"])
net.reload()
print([x.name for x in net.containers], net.attrs["Labels"].get("a"))
done = client.containers.run("alpine", "sh -c 'for i in 1 2 3; do echo line $i; sleep 0.1; done; exit 5'", name="py3", detach=True)
print(b"".join(done.logs(stream=True, follow=True)), done.wait())
print(done.logs(tail=1), done.logs(stderr=False, since=1)[:4])
image, log = client.images.build(fileobj=io.BytesIO(b"FROM alpine\nRUN echo built >/f\nCMD cat /f\n"), tag="pyown:v1", rm=True)
print([line.get("stream", "").split(" ")[0] for line in log][:3], image.tags)
print(client.containers.run("pyown:v1", remove=True), image.tag("pyown", "v2"), image.history()[0]["Tags"])
saved = b"".join(image.save(named=True))
client.images.remove("pyown:v1")
print([i.tags for i in client.images.load(saved)] != [], sorted(t for i in client.images.list("pyown") for t in i.tags))
committed = c.commit("pyown", "v3", message="m", author="a")
print(client.containers.run("pyown:v3", "cat /root/note", remove=True), committed.attrs["Comment"])
low = client.api.containers(all=True, filters={"name": "py"}, size=True)
print(sorted(x["Names"][0] for x in low), sorted(low[0]))
for there in (client.containers.get, client.networks.get, client.volumes.get, client.images.get):
    try:
        there("nosuch")
    except NotFound as error:
        print(type(error).__name__, error.status_code, error.explanation)
for wrong in (lambda: client.containers.run("alpine", "nosuchcommand"), lambda: client.containers.create("alpine", name="py2")):
    try:
        wrong()
    except (APIError, ImageNotFound) as error:
        print(type(error).__name__, error.status_code)
for x in client.containers.list(all=True):
    x.stop(timeout=0)
    x.remove(force=True, v=True)
net.remove()
volume.remove()
for tag in ("v1", "v2", "v3"):
    client.images.remove(f"pyown:{tag}")
print(client.containers.list(all=True), [n.name for n in client.networks.list("pynet")], client.volumes.list(), client.images.list("pyown"))
