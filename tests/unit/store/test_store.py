"""The database: one writer, durable before it answers, one failing piece of work is its own."""

import sqlite3
import stat
import threading

import pytest

from hostadmin.core.errors import Failed
from hostadmin.core.values import Attribution, Kind, UserState
from hostadmin.store import facts, images, objects, users
from hostadmin.store.database import Database
from hostadmin.store.migrate import newest_revision, stored_revision, upgrade


def test_migration_is_complete_and_idempotent(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/h.db")
    assert upgrade(database)
    assert not upgrade(database)
    database.close()
    assert stat.S_IMODE((tmp_path / "h.db").stat().st_mode) == 0o600


def test_a_newer_schema_is_refused(database):
    with sqlite3.connect(database.path) as raw:
        raw.execute("update alembic_version set version_num = '9999'")
    with pytest.raises(Failed):
        upgrade(database)
    with database.read() as tx:
        assert stored_revision(tx) == "9999" > newest_revision(), "nothing was done"


def test_pragmas_hold_on_every_connection(database):
    with database.read() as tx:
        assert tx.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert tx.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert tx.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    assert database.write(lambda tx: tx.exec_driver_sql("PRAGMA synchronous").scalar()) == 2


def test_one_failing_piece_of_work_does_not_harm_its_group(database):
    gate = threading.Event()
    first = database.submit(lambda tx: gate.wait(5))
    good = [database.submit(lambda tx, n=n: facts.put(tx, f"k{n}", n)) for n in range(5)]
    bad = database.submit(lambda tx: (facts.put(tx, "bad", 1), 1 / 0))
    gate.set()
    first.result(5)
    for future in good:
        future.result(5)
    with pytest.raises(ZeroDivisionError):
        bad.result(5)
    with database.read() as tx:
        assert [facts.get(tx, f"k{n}") for n in range(5)] == list(range(5))
        assert facts.get(tx, "bad") is None


def test_a_lone_failure_rolls_back_and_reaches_its_waiter(database):
    with pytest.raises(ZeroDivisionError):
        database.write(lambda tx: (facts.put(tx, "x", 1), 1 / 0))
    with database.read() as tx:
        assert facts.get(tx, "x") is None


def test_versions_change_with_every_change_of_their_part_by_anybody(database):
    def add(tx):
        objects.put(tx, Kind.VOLUME, "v", name="v", owner_id=None, attribution=Attribution.UNKNOWN)

    before = dict(database.versions())
    assert set(before) == {"users", "objects", "images"}
    database.write(lambda tx: facts.put(tx, "a", 1))
    assert database.versions() == before, "what is no part of the ledger changes none"
    database.write(add)
    middle = dict(database.versions())
    assert middle == {**before, "objects": middle["objects"]} != before
    other = Database(database.url)
    other.write(lambda tx: objects.mark_gone(tx, Kind.VOLUME, ["v"]))
    other.close()
    assert database.versions()["objects"] > middle["objects"]


def test_looks_see_every_commit_at_once(database):
    def look():
        return database.look(lambda tx: objects.owned(tx, Kind.VOLUME, user.id))

    user = database.write(lambda tx: users.observe(tx, login="ashu", uid=2000, gid=2000, profile="student"))
    assert look() == frozenset()
    other = Database(database.url)
    other.write(lambda tx: objects.put(tx, Kind.VOLUME, "v", name="v", owner_id=user.id, attribution=Attribution.GUARD))
    assert look() == {"v"}
    other.write(lambda tx: objects.mark_gone(tx, Kind.VOLUME, ["v"]))
    other.close()
    assert look() == frozenset()


def test_two_writers_of_two_processes_lose_nothing(database):
    other = Database(database.url)
    futures = [d.submit(lambda tx, n=n: facts.put(tx, f"k{n}", n)) for n in range(200) for d in ((database, other)[n % 2],)]
    for future in futures:
        future.result(10)
    with database.read() as tx:
        assert all(facts.get(tx, f"k{n}") == n for n in range(200))
    other.close()


def make_user(database, login="ashu", uid=2000):
    return database.write(lambda tx: users.add(tx, login=login, uid=uid, gid=uid, home=f"/home/{login}", profile="student"))


def test_ownership_is_by_account_and_survives_listing(database):
    ashu = make_user(database)
    put = lambda owner, name="c1": database.write(  # noqa: E731
        lambda tx: objects.put(
            tx, Kind.CONTAINER, "a" * 64, name=name, owner_id=owner, attribution=Attribution.GUARD if owner else Attribution.UNKNOWN
        )
    )
    put(None)
    with database.read() as tx:
        assert objects.owner_of(tx, Kind.CONTAINER, "a" * 64) is None
    put(ashu.id)
    put(None, "renamed")
    with database.read() as tx:
        found = objects.find(tx, Kind.CONTAINER, "a" * 64)
    assert (found.owner, found.attribution, found.name) == ("ashu", Attribution.GUARD, "renamed")


def test_a_volume_that_comes_back_under_its_name_has_no_old_owner(database):
    ashu = make_user(database)
    database.write(lambda tx: objects.put(tx, Kind.VOLUME, "v", name="v", owner_id=ashu.id, attribution=Attribution.GUARD))
    database.write(lambda tx: objects.mark_gone(tx, Kind.VOLUME, ["v"]))
    database.write(lambda tx: objects.put(tx, Kind.VOLUME, "v", name="v", owner_id=None, attribution=Attribution.UNKNOWN))
    with database.read() as tx:
        assert objects.owner_of(tx, Kind.VOLUME, "v") is None
        assert objects.owners(tx, Kind.VOLUME) == {}


def test_a_login_that_comes_back_with_another_uid_is_a_new_account(database):
    old = make_user(database)
    new = database.write(lambda tx: users.observe(tx, login="ashu", uid=2001, gid=2001, profile="student"))
    again = database.write(lambda tx: users.observe(tx, login="ashu", uid=2001, gid=2001, profile="student"))
    assert new.id != old.id
    assert again.id == new.id
    with database.read() as tx:
        assert users.find(tx, old.id).state is UserState.REMOVED
        assert {u.uid for u in users.all_users(tx, removed=True)} == {2000, 2001}


def test_the_owner_of_a_known_tag_stays(database):
    ashu = make_user(database)
    database.write(lambda tx: images.put_tag(tx, "docker.io/library/x:1", "", ashu.id))
    database.write(lambda tx: images.put_tag(tx, "docker.io/library/x:1", "sha256:a", None))
    with database.read() as tx:
        assert images.tag_owners(tx) == {"docker.io/library/x:1": ashu.id}
        assert images.known_tags(tx) == {"docker.io/library/x:1": "sha256:a"}
