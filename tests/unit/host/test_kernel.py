"""Numbers of the host: from what the kernel's files say, and none where it says nothing."""

import fcntl
import os
import socket
from ipaddress import IPv4Address

import pytest

from hostadmin.host import kernel

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue\n"
TCP = f"""{HEAD}   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000
   1: 0100007F:1F91 0100007F:D431 01 00000000:00000000
"""
TCP6 = f"{HEAD}   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000\n"
UDP = f"""{HEAD}   0: 00000000:0035 00000000:0000 07 00000000:00000000
   1: 0100007F:A000 0100007F:0035 01 00000000:00000000
"""
LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units
Max processes             96365                96365                processes
Max open files            1024                 524288               files
"""


@pytest.fixture
def proc(tmp_path):
    for path, text in {
        "sys/kernel/pid_max": "4194304\n",
        "sys/fs/file-nr": "1056\t0\t9223372036854775807\n",
        "sys/net/ipv4/neigh/default/gc_thresh3": "1024\n",
        "meminfo": "MemTotal:       16384256 kB\nMemFree: 1 kB\n",
        "loadavg": "0.00 0.01 0.05 1/432 98765\n",
        "net/tcp": TCP,
        "net/tcp6": TCP6,
        "net/udp": UDP,
        "17/limits": LIMITS,
    }.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def test_what_the_files_say(proc):
    assert kernel.sysctl("kernel.pid_max", proc) == 4194304
    assert kernel.sysctl("fs.file-nr", proc) == 1056
    assert kernel.sysctl("net.ipv4.neigh.default.gc_thresh3", proc) == 1024
    assert kernel.memory_bytes(proc) == 16384256 * 1024
    assert kernel.tasks(proc) == 432
    assert kernel.bound_ports(proc) == {8080, 22, 53}
    assert kernel.descriptors_of(17, proc) == 524288


def test_nothing_where_nothing_is_said(tmp_path):
    assert kernel.sysctl("kernel.pid_max", tmp_path) is None
    assert kernel.memory_bytes(tmp_path) is None
    assert kernel.tasks(tmp_path) is None
    assert kernel.bound_ports(tmp_path) == set()
    assert kernel.descriptors_of(17, tmp_path) is None
    assert kernel.lock_holder(str(tmp_path / "none")) is None
    assert kernel.disk(str(tmp_path / "none")) is None
    assert kernel.resolvers(tmp_path / "none") == []


@pytest.mark.parametrize("text", ["", "\n", "x", "MemTotal:\n", "1 2 3\n", "\0"])
def test_other_text_is_nothing(tmp_path, text):
    for name in ("meminfo", "loadavg", "sys/kernel/pid_max", "17/limits"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = kernel.memory_bytes(tmp_path), kernel.tasks(tmp_path), kernel.descriptors_of(17, tmp_path)
    assert found == (None, None, None)


def test_name_servers(tmp_path):
    file = tmp_path / "resolv.conf"
    file.write_text("# nameserver 9.9.9.9\nnameserver 10.0.0.53\nnameserver fd00::1\nnameserver\nsearch x\nnameserver 192.168.1.1 # x\n")
    assert kernel.resolvers(file) == [IPv4Address("10.0.0.53"), IPv4Address("192.168.1.1")]


def test_this_host():
    listening = socket.create_server(("127.0.0.1", 0))
    assert listening.getsockname()[1] in kernel.bound_ports()
    listening.close()
    assert kernel.memory_bytes() > 1 << 26
    assert kernel.tasks() > 0
    assert kernel.descriptors_of("self") > 0
    assert 0 in kernel.numbers_taken()
    assert kernel.disk("/").free_bytes >= 0


def test_who_holds_a_lock(tmp_path):
    path = tmp_path / "x.lock"
    with path.open("w") as file:
        assert kernel.lock_holder(str(path)) is None
        fcntl.flock(file, fcntl.LOCK_EX)
        assert kernel.lock_holder(str(path)) == os.getpid()
    assert kernel.lock_holder(str(path)) is None
