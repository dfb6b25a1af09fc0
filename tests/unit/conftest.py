"""A real, migrated database per test: SQLite is never faked."""

import pytest
from hypothesis import settings

from hostadmin.store.database import Database
from hostadmin.store.migrate import upgrade

settings.register_profile("hostadmin", deadline=None)  # the machine may be busy
settings.load_profile("hostadmin")


@pytest.fixture
def database(tmp_path):
    """An empty database of the newest schema."""
    made = Database(f"sqlite:///{tmp_path}/h.db")
    upgrade(made)
    yield made
    made.close()
