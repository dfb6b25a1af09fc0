"""What a look at the database from outside says of the numbers that were given out."""

from hostadmin.core.values import UserState
from hostadmin.store import health, numbers, quotas, users
from hostadmin.store.numbers import Numbers


def test_what_was_given_out_counts_removed_accounts_too(database):
    def work(tx):
        for position, (login, uid, gid, subnet) in enumerate([("ashu", 2000, 2000, "10.200.0.0/24"), ("berta", 2001, 2005, None)]):
            user = users.add(tx, login=login, uid=uid, gid=gid, home=f"/home/{login}", profile="student")
            numbers.put(tx, Numbers(user.id, position, 1879048192, 65536 * position, subnet))
            quotas.put_port_block(tx, user.id, (20000 + 20 * position, 20019 + 20 * position))
            if login == "ashu":
                users.change(tx, user.id, state=UserState.REMOVED)

    database.write(work)
    found = health.given(database.url)
    assert found.uids == {2000, 2001, 2005}
    assert sorted(found.port_blocks) == [(20000, 20019), (20020, 20039)]
    assert found.places == 2


def test_no_database_yet(tmp_path):
    assert health.given(f"sqlite:///{tmp_path}/none.db") == health.Given()
    assert not (tmp_path / "none.db").exists()


def test_one_that_cannot_be_read(tmp_path):
    for name, data in (("empty.db", b""), ("text.db", b"this is no database at all" * 100)):
        (tmp_path / name).write_bytes(data)
        assert health.given(f"sqlite:///{tmp_path}/{name}") is None
