"""What the kernel says of a process; ours, and those that have gone."""

import os
import socket
import struct
import subprocess

import pytest

from hostadmin.host import proc, rtnetlink, sessions

GONE = 2**22 + 1  # beyond the largest pid


def test_namespaces_of_our_own() -> None:
    found = proc.namespaces(os.getpid())
    assert list(found) == ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"]
    assert found["uts"]["id"] == os.stat("/proc/self/ns/uts").st_ino
    assert isinstance(found["net"]["shared_with_host"], bool)


def test_interfaces_of_our_own() -> None:
    try:
        found = proc.interfaces(os.getpid())
    except PermissionError:
        pytest.skip("setns(2) into a network namespace needs root")
    assert {i["name"] for i in found} == {name for _, name in socket.if_nameindex()}
    loopback = next(i for i in found if i["name"] == "lo")
    assert set(loopback) == {"name", "up", "mac", "addresses"} | {f"{d}_{c}" for d in ("rx", "tx") for c in proc.COUNTERS}
    assert loopback["mac"] == "00:00:00:00:00:00"
    if loopback["up"]:
        assert "127.0.0.1/8" in loopback["addresses"]


def test_links_of_our_own() -> None:
    with rtnetlink.open_socket() as sock:
        assert {link.name for link in rtnetlink.links(sock)} == {name for _, name in socket.if_nameindex()}


def test_a_refusal_of_the_kernel_is_an_error() -> None:
    class Refuses:
        def send(self, _data: bytes) -> None: ...

        def recv(self, _size: int) -> bytes:
            return struct.pack("=IHHIIi", 20, rtnetlink.NLMSG_ERROR, 0, 0, 0, -13)

    with pytest.raises(PermissionError):
        rtnetlink.links(Refuses())  # type: ignore[arg-type]


def test_a_process_that_has_gone() -> None:
    for look in (proc.namespaces, proc.cgroup, proc.interfaces):
        with pytest.raises(OSError, match="No such file"):
            look(GONE)


def test_no_descriptor_is_left() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        try:
            proc.interfaces(os.getpid())
        except PermissionError:
            pytest.skip("setns(2) into a network namespace needs root")
    assert len(os.listdir("/proc/self/fd")) == before


def test_running() -> None:
    child = subprocess.Popen(["sleep", "30"])
    try:
        assert {os.getpid(), child.pid} <= set(sessions.running(os.getuid()))
        assert os.getuid() in sessions.all_uids()
    finally:
        child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert child.pid not in sessions.running(os.getuid()), "a zombie is not running"
    child.wait()


def test_nobody_to_end() -> None:
    assert sessions.end(4_000_000_000) == 0
