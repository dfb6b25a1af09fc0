"""The class day through docker-py; runs as a student, reads nothing of the checkout. Prints what it did."""

import io
import sys
import tarfile
import time

import docker

me, number = sys.argv[1], int(sys.argv[2])
client = docker.from_env(timeout=30)
assert client.ping()
assert client.version()["ApiVersion"]
assert "alpine:latest" in {t for i in client.images.list() for t in i.tags}

c1 = client.containers.run("alpine", name=f"{me}py1", tty=True, stdin_open=True, detach=True)
assert {c.name for c in client.containers.list(all=True) if c.name.startswith(me)} >= {c1.name}
assert all(c.name.startswith(me) for c in client.containers.list(all=True)), "somebody else's container in the list"
c1.reload()
assert c1.status == "running"
assert c1.attrs["NetworkSettings"]["IPAddress"].startswith("172.17.")
code, output = c1.exec_run(["sh", "-c", "echo out; exit 3"])
assert (code, output.strip()) == (3, b"out"), (code, output)
code, (out, err) = c1.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True)
assert (out, err) == (b"out\n", b"err\n"), (code, out, err)
assert client.containers.run("alpine", "echo hello", remove=True) == b"hello\n"
try:
    client.containers.run("alpine", ["sh", "-c", "exit 5"], remove=True)
except docker.errors.ContainerError as error:
    assert error.exit_status == 5
else:
    raise AssertionError("an exit code was lost")

net = client.networks.create(f"{me}pybr", driver="bridge")
c2 = client.containers.run("alpine", name=f"{me}py2", network=net.name, tty=True, detach=True)
net.connect(c1, aliases=["first"])
assert c2.exec_run(["ping", "-c", "1", "first"])[0] == 0, "names resolve on a custom bridge"
net.reload()
assert {c.name for c in net.containers} == {c1.name, c2.name}
net.disconnect(c1)
assert net.id in {n.id for n in client.networks.list()}

data = io.BytesIO()
with tarfile.open(fileobj=data, mode="w") as tar:
    info = tarfile.TarInfo("note")
    info.size = 5
    tar.addfile(info, io.BytesIO(b"note\n"))
assert c1.put_archive("/root", data.getvalue())
stream, facts = c1.get_archive("/root/note")
assert facts["size"] == 5
with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
    assert tar.extractfile("note").read() == b"note\n"

volume = client.volumes.create(f"{me}pydata")
client.containers.run("alpine", "sh -c 'echo kept > /d/f'", volumes={volume.name: {"bind": "/d", "mode": "rw"}}, remove=True)
assert client.containers.run("alpine", "cat /d/f", volumes={volume.name: {"bind": "/d", "mode": "ro"}}, remove=True) == b"kept\n"

c3 = client.containers.run("alpine", "sh -c 'for i in 1 2 3; do echo line $i; sleep 0.1; done'", name=f"{me}py3", detach=True)
assert b"".join(c3.logs(stream=True, follow=True)) == b"line 1\nline 2\nline 3\n"
assert c3.wait()["StatusCode"] == 0
c3.rename(f"{me}py4")
assert "PID" in c1.top()["Titles"]
assert c1.stats(stream=False)["id"] == c1.id
c1.update(restart_policy={"Name": "always"})
c1.reload()
assert c1.attrs["HostConfig"]["RestartPolicy"]["Name"] == "always"

sock = c1.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
raw = getattr(sock, "_sock", sock)
raw.sendall(b"echo sum-$((40+2))\n")
seen, end = b"", time.monotonic() + 10
while b"sum-42" not in seen:
    assert time.monotonic() < end, seen
    seen += raw.recv(4096)
raw.close()

context = io.BytesIO(f"FROM alpine\nLABEL by={me}\nRUN echo built >/f\nCMD cat /f\n".encode())
image, _ = client.images.build(fileobj=context, tag=f"{me}py:v1", rm=True)
assert client.containers.run(f"{me}py:v1", remove=True) == b"built\n"
saved = b"".join(image.save(named=True))
client.images.remove(f"{me}py:v1")
assert f"{me}py:v1" not in {t for i in client.images.list() for t in i.tags}
assert [i.tags for i in client.images.load(saved)] == [[f"{me}py:v1"]]
assert image.tag(f"{me}py", "v2")
committed = c1.commit(f"{me}py", "v3")
assert client.containers.run(f"{me}py:v3", "cat /root/note", remove=True) == b"note\n"

now = int(time.time())
events = list(client.events(since=now - 30, until=now + 1, decode=True))
names = {e["Actor"]["Attributes"].get("name", "") for e in events if e["Type"] == "container"}
assert c1.name in names or c3.name in names or f"{me}py4" in names, names

for ref in sys.argv[3:]:  # somebody else's
    for there in (client.containers.get, client.networks.get, client.volumes.get):
        try:
            there(ref)
        except docker.errors.NotFound:
            continue
        raise AssertionError(f"{there} found {ref}")

for container in client.containers.list(all=True):
    if container.name.startswith(f"{me}py"):
        container.remove(force=True)
net.remove()
volume.remove()
for tag in ("v1", "v2", "v3"):
    client.images.remove(f"{me}py:{tag}")
print(f"docker-py {docker.__version__} day of {me} done")
