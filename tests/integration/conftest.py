"""The safety catch: tests marked ``host`` make users and start an engine, so they run in the disposable host only."""

import os
from pathlib import Path

import pytest

from tests.integration.accounts import bench, pristine_accounts

__all__ = ["bench", "pristine_accounts"]  # fixtures


def why_not_here() -> str:
    """Return why this is no disposable host; empty if it is one."""
    if "DHOST_CGROUP" not in os.environ:
        return "DHOST_CGROUP is not set"
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    if not any(fields[4] == "/etc" and fields[fields.index("-") + 1] == "overlay" for fields in mounts):
        return "/etc is no overlay"
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked ``host`` anywhere else."""
    reason = why_not_here()
    if reason:
        for item in items:
            if item.get_closest_marker("host"):
                item.add_marker(pytest.mark.skip(reason=f"not in tests/disposable/dhost: {reason}"))
