"""From where new accounts get their numbers: what host and ledger have given out is looked up once."""

from hostadmin.host import homes, sessions
from hostadmin.policy.profiles import Profile
from hostadmin.store import numbers, quotas, users
from hostadmin.users.context import Context
from hostadmin.users.numbers import Allotment, Given, may_return


class Supply:
    """Gives numbers to new accounts, and their own ones back to those who return.

    Whoever uses it holds ``Context.numbers`` from here until the accounts are made.

    Args:
        context: ledger and host.

    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._on_host = context.accounts.used_numbers()
        with context.database.read() as tx:
            everybody = users.all_users(tx, removed=True)
            self._known = numbers.of_all(tx)
            blocks = quotas.port_blocks_of_all(tx, removed=True)
        self._blocks = blocks
        living = [u for u in everybody if u.removed_at is None]
        self._tombstones = {u.login: u for u in sorted(everybody, key=lambda u: u.removed_at or "") if u.removed_at is not None}
        self._by_login = {u.login: u for u in living}
        self._living = {n for u in living for n in (u.uid, u.gid)}
        ever = {n for u in everybody for n in (u.uid, u.gid)}
        used = self._on_host | ever | homes.owners(context.places.home_root) | sessions.all_uids()
        given = self._known.values()
        self._allotment = Allotment(
            context.places.ranges,
            numbers=used,
            positions={n.position for n in given},
            ports=blocks.values(),
            subnets=[n.subnet for n in given if n.subnet],
            subids=[(n.subid_first, n.subid_first + n.subid_count - 1) for n in given if n.subid_count],
        )

    def give(self, login: str, profile: Profile) -> tuple[Given, users.User | None]:
        """Return the numbers for a login, and the removed account that returns with them, if it is one.

        Raises:
            Failed: there are none left.

        """
        returning = self._tombstones.get(login)
        if returning is None or not returning.managed or not may_return(returning.uid, returning.gid, self._on_host | self._living):
            return self._allotment.give(profile), None
        own = self._known.get(returning.id)
        if own is None:
            return self._allotment.complete(returning.uid, returning.gid, profile), returning
        block = self._blocks.get(returning.id)
        return Given(returning.uid, returning.gid, own.position, own.subid_first, own.subid_count, block, own.subnet), returning

    def living(self, login: str) -> users.User | None:
        """Return the living account of a login in the ledger."""
        return self._by_login.get(login)

    def is_new(self, user_id: str) -> bool:
        """Tell whether an account has no numbers yet."""
        return user_id not in self._known

    def complete(self, user: users.User, profile: Profile) -> Given:
        """Return numbers for an account that has uid and gid already."""
        return self._allotment.complete(user.uid, user.gid, profile)
