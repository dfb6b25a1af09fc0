"""Claims on volumes about to be made: not on a name that somebody else has just been given."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from hostadmin.core.clock import now, timestamp
from hostadmin.core.values import Attribution, Kind
from hostadmin.guard.refusal import Refusal
from hostadmin.guard.rules.mounts import claim_work
from hostadmin.store import objects, users
from hostadmin.store.tables import objects as rows


@pytest.fixture
def people(database):
    def work(tx):
        return [users.add(tx, login=n, uid=u, gid=u, home="", profile="student").id for n, u in (("ashu", 1001), ("dev", 1002))]

    return database.write(work)


def owner(database):
    with database.read() as tx:
        return objects.owner_of(tx, Kind.VOLUME, "data")


def test_a_name_that_is_just_coming_back_to_somebody_else_is_taken(database, people):
    ashu, dev = people
    database.write(lambda tx: objects.put(tx, Kind.VOLUME, "data", name="data", owner_id=ashu, attribution=Attribution.GUARD))
    with pytest.raises(Refusal, match="the name is taken"):
        database.write(claim_work(["data"], dev))
    assert owner(database) == ashu
    database.write(claim_work(["data"], ashu))
    assert owner(database) == ashu


def test_a_volume_of_long_ago_whose_end_went_unnoticed_is_not(database, people):
    ashu, dev = people
    database.write(lambda tx: objects.put(tx, Kind.VOLUME, "data", name="data", owner_id=ashu, attribution=Attribution.GUARD))
    database.write(lambda tx: tx.execute(update(rows).values(first_seen=timestamp(now() - timedelta(minutes=2)))))
    database.write(claim_work(["data"], dev))
    assert owner(database) == dev
