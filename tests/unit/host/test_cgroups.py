"""Control groups: names, the files of both versions, and that a group is limited before anything lies in it."""

import re

import pytest

from hostadmin.core.errors import Failed
from hostadmin.host import cgroups
from hostadmin.host.peers import _CONTAINER_ID

ID = "ab" * 32


def test_names_of_both_drivers():
    assert cgroups.path_name("/hostadmin/", 1007) == "/hostadmin/u1007"
    assert cgroups.slice_name("hostadmin", 1007) == "hostadmin-u1007.slice"
    assert cgroups.slice_path("hostadmin-u1007.slice") == "/hostadmin.slice/hostadmin-u1007.slice"
    assert cgroups.slice_name("a/b", 5) == "a-b-u5.slice"
    assert cgroups.slice_path("a-b-u5.slice") == "/a.slice/a-b.slice/a-b-u5.slice"


@pytest.mark.parametrize(
    "path",
    [f"/hostadmin/u1007/{ID}", f"/hostadmin.slice/hostadmin-u1007.slice/docker-{ID}.scope", f"/hostadmin/u1007/{ID}/inner"],
)
def test_a_container_is_found_below_its_owners_group(path):
    assert _CONTAINER_ID.search(path)[1] == ID


@pytest.mark.parametrize("path", ["/hostadmin/u1007", "/hostadmin.slice/hostadmin-u1007.slice", f"/hostadmin/u1007/{ID[:-1]}"])
def test_the_group_itself_is_no_container(path):
    assert _CONTAINER_ID.search(path) is None


def test_the_name_of_a_group_holds_nothing_that_somebody_chose():
    assert re.fullmatch(r"/hostadmin/u[0-9]+", cgroups.path_name("hostadmin", 1007))


def test_limits_as_files_and_properties():
    one = {(c, f): v for c, f, v in cgroups.files_of(64 << 20, 1.5, 100, v2=False)}
    assert one["memory", "memory.limit_in_bytes"] == str(64 << 20)
    assert one["memory", "memory.memsw.limit_in_bytes"] == str(128 << 20)
    assert one["cpu", "cpu.cfs_quota_us"] == "150000"
    assert one["pids", "pids.max"] == "100"
    two = {f: v for _, f, v in cgroups.files_of(64 << 20, 1.5, 100, v2=True)}
    assert two == {"memory.max": str(64 << 20), "memory.swap.max": str(64 << 20), "cpu.max": "150000 100000", "pids.max": "100"}
    assert {v for _, _, v in cgroups.files_of(0, 0, 0, v2=False)} == {"-1", "100000", "max"}
    assert [v for _, _, v in cgroups.files_of(0, 0, 0, v2=True)] == ["max", "max", "max 100000", "max"]
    assert cgroups.properties_of(1024, 1.5, 7) == ["MemoryMax=1024", "MemorySwapMax=1024", "CPUQuota=150%", "TasksMax=7"]
    assert cgroups.properties_of(0, 0, 0) == ["MemoryMax=infinity", "MemorySwapMax=infinity", "CPUQuota=", "TasksMax=infinity"]


def test_version_one_makes_a_folder_per_controller(tmp_path):
    for controller in cgroups.CONTROLLERS:
        (tmp_path / controller).mkdir()
    cgroups.limit_path("/hostadmin/u7", 64 << 20, 0.5, 9, tree=tmp_path)
    assert (tmp_path / "memory/hostadmin/u7/memory.limit_in_bytes").read_text() == str(64 << 20)
    assert (tmp_path / "cpu/hostadmin/u7/cpu.cfs_quota_us").read_text() == "50000"
    assert not (tmp_path / "memory/hostadmin/u7/memory.memsw.limit_in_bytes").exists(), "a kernel without it is no failure"
    assert cgroups.is_there("/hostadmin/u7", tree=tmp_path)
    assert not cgroups.is_there("/hostadmin/u8", tree=tmp_path)


def test_version_two_hands_the_controllers_down(tmp_path):
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids io")
    (tmp_path / "cgroup.subtree_control").write_text("memory pids")
    (tmp_path / "hostadmin").mkdir()
    (tmp_path / "hostadmin/cgroup.subtree_control").write_text("")
    cgroups.limit_path("/hostadmin/u7", 64 << 20, 0.5, 9, tree=tmp_path)
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu"
    assert (tmp_path / "hostadmin/cgroup.subtree_control").read_text() == "+memory +cpu +pids"
    assert (tmp_path / "hostadmin/u7/memory.max").read_text() == str(64 << 20)
    (tmp_path / "hostadmin/u7/memory.current").write_text("123\n")
    assert cgroups.read_use("/hostadmin/u7", tree=tmp_path) == cgroups.GroupUse(123, None)


def test_what_the_kernel_does_not_take_is_told(tmp_path):
    (tmp_path / "memory").write_text("no folder")
    with pytest.raises(Failed, match="control group /hostadmin/u7"):
        cgroups.limit_path("/hostadmin/u7", 1, 1.0, 1, tree=tmp_path)
