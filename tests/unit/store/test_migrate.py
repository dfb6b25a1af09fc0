"""The schema: from nothing, quickly, once, by two at a time, and back again; as the tables say."""

import io
import subprocess
import sys
import time

from alembic import command
from alembic.config import Config
from sqlalchemy import inspect

from hostadmin.store.database import Database
from hostadmin.store.migrate import data_dir, newest_revision, stored_revision, upgrade
from hostadmin.store.tables import METADATA

UPGRADE = """
import sys
from hostadmin.store.database import Database
from hostadmin.store.migrate import upgrade
database = Database(sys.argv[1])
done = upgrade(database)
database.close()
print(done, "alembic" in sys.modules)
"""


def started(url):
    return subprocess.Popen([sys.executable, "-c", UPGRADE, url], stdout=subprocess.PIPE, text=True)


def tables(database):
    with database.read() as tx:
        return set(inspect(tx).get_table_names())


def test_from_nothing_quickly_and_all_tables(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/h.db")
    begun = time.thread_time()  # the budget is 0.5 s on an idle machine; this one may be busy
    assert upgrade(database)
    assert time.thread_time() - begun < 3
    assert tables(database) == set(METADATA.tables) | {"alembic_version"}
    database.close()


def test_again_is_nothing_and_does_not_even_import_alembic(tmp_path):
    url = f"sqlite:///{tmp_path}/h.db"
    assert started(url).communicate()[0].split() == ["True", "True"]
    assert started(url).communicate()[0].split() == ["False", "False"]


def test_two_at_once_are_safe(tmp_path):
    url = f"sqlite:///{tmp_path}/h.db"
    both = [started(url) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert any(text.startswith("True") for text in said)
    database = Database(url)
    with database.read() as tx:
        assert stored_revision(tx) == newest_revision()
    database.close()


def test_down_and_up_again(database):
    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", str(data_dir("migrations")))
    with database.exclusive() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert tables(database) == {"alembic_version"}
    assert upgrade(database)
    assert tables(database) == set(METADATA.tables) | {"alembic_version"}


def test_a_migration_that_fails_leaves_nothing(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/h.db")
    database.write(lambda tx: tx.exec_driver_sql("create table facts (other integer)"))
    try:
        upgrade(database)
    except Exception as error:
        assert "facts" in str(error)
    else:
        raise AssertionError("it went past a table that is in its way")
    assert tables(database) == {"facts"}
    database.close()
