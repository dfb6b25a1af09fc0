"""A bench that keeps the homes of removed accounts, and a look into its archives."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostadmin.store import archives
from hostadmin.store.archives import Archive
from hostadmin.users.context import Keeping
from tests.integration.accounts import Bench


@pytest.fixture
def kept(tmp_path: Path, pristine_accounts: None) -> Iterator[Bench]:
    """The service, with archives."""
    bench = Bench(tmp_path, Keeping(archives=str(tmp_path / "homes"), archive_days=30))
    yield bench
    bench.database.close()


def archives_of(bench: Bench) -> list[Archive]:
    """Return the rows of archives that are still kept."""
    with bench.database.read() as tx:
        return list(archives.of_all(tx))


def in_archive(path: str) -> dict[str, tarfile.TarInfo]:
    """Return the members of an archive by name."""
    with tarfile.open(path) as tar:
        return {member.name: member for member in tar.getmembers()}
