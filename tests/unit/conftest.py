"""A real, migrated database per test: SQLite is never faked."""

import pytest

from hostadmin.store.database import Database
from hostadmin.store.migrate import upgrade


@pytest.fixture
def database(tmp_path):
    """An empty database of the newest schema."""
    made = Database(f"sqlite:///{tmp_path}/h.db")
    upgrade(made)
    yield made
    made.close()
