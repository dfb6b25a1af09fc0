"""Who may use the guard: membership of the group (`hostadmin access`)."""

from collections.abc import Sequence
from typing import Any

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Target
from hostadmin.core.errors import Conflict, Forbidden, NotFound
from hostadmin.core.names import RESERVED_LOGINS
from hostadmin.core.values import Actor, UserState
from hostadmin.host.accountfiles import HostAccount
from hostadmin.store import users
from hostadmin.store.database import Tx
from hostadmin.users.context import RULE, Context, target_of


class Access:
    """Gives access and takes it away.

    Args:
        context: ledger, host, journal.

    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._accounts = context.accounts
        self._group = context.places.group

    def list(self) -> Sequence[dict[str, Any]]:
        """Return who is in the group with access, managed or not."""
        with self._context.database.read() as tx:
            known = {u.login: u for u in users.all_users(tx)}
        found = []
        for login in sorted(self._accounts.members(self._group)):
            user = known.get(login)
            found.append(
                {
                    "login": login,
                    "managed": bool(user and user.managed),
                    "state": str(user.state) if user else str(UserState.ACTIVE),
                    "profile": user.profile if user else self._context.profiles.default,
                }
            )
        return found

    def grant(self, actor: Actor, login: str) -> None:
        """Give an account access to the guard: membership of the group; works in open shells too.

        Raises:
            NotFound: the host has no such account.
            Forbidden: it is the system's.

        """
        with self._context.of(login):
            account = self._host_account(login)
            with self._context.database.read() as tx:
                known = users.find_login(tx, login)
            user = known if known is not None and known.uid == account.uid else None
            if user is not None and self._is_member(account) and not (user.managed and user.docker is not True):
                return
            target = target_of(user) if user else Target("user", None, login)
            detail = {"uid": account.uid, "group": self._group, "profile": self._context.profiles.default}

            member = self._is_member(account)

            def act() -> None:
                if not member:
                    self._accounts.add_to_group(login, self._group)

            def undo() -> None:
                if not member:
                    self._accounts.remove_from_group(login, self._group)

            entry = Entry(actor, Action.ACCESS_GRANT, target, RULE, detail)
            self._context.do(entry, act, lambda tx: want(tx, self._observe(tx, login, account.uid, account.gid), docker=True), undo=undo)

    def revoke(self, actor: Actor, login: str) -> None:
        """Take an account's access away: at once, open shells and streams included.

        Raises:
            NotFound: the host has no such account.
            Conflict: the group is its primary group.

        """
        with self._context.of(login):
            with self._context.database.read() as tx:
                user = users.find_login(tx, login)
            wanted = user is not None and user.managed and user.docker is True
            if login not in self._accounts.members(self._group) and self._group not in self._accounts.listed_in(login) and not wanted:
                self._host_account(login)
                return
            account = self._accounts.find(login)
            group = self._accounts.group(self._group)
            if account is None:
                raise Conflict(
                    f"Group {self._group!r} has the member {login!r}, but there is no such account: take it out with "
                    f"`gpasswd --delete {login} {self._group}`.",
                    key="user-drift",
                )
            if group is not None and account.gid == group.gid:
                raise Conflict(
                    f"{group.name!r} is the primary group of {login}: give the account another one with `usermod --gid`.",
                    key="primary-group",
                )
            entry = Entry(actor, Action.ACCESS_REVOKE, target_of(user) if user else Target("user", None, login), RULE, {"uid": account.uid})
            rows = (lambda tx: want(tx, user, docker=False)) if user is not None else None
            self._context.do(entry, lambda: self._accounts.remove_from_group(login, self._group), rows)

    def observe_member(self, login: str, uid: int, gid: int) -> users.User:
        """Return the account of a group member whom hostadmin does not manage yet, making its row if need be.

        A login that has come back with another uid is a new account; the old row becomes a tombstone.
        """
        with self._context.database.read() as tx:
            known = users.find_login(tx, login)
        if known is not None and known.uid == uid:
            return known
        return self._context.database.write(lambda tx: self._observe(tx, login, uid, gid))

    def _observe(self, tx: Tx, login: str, uid: int, gid: int) -> users.User:
        return users.observe(tx, login=login, uid=uid, gid=gid, profile=self._context.profiles.default)

    def _is_member(self, account: HostAccount) -> bool:
        """Tell whether an account has access, by the group's list (in both files) or as its primary group."""
        group = self._accounts.group(self._group)
        return group is not None and (account.gid == group.gid or self._accounts.listed_everywhere(account.login, group.name))

    def _host_account(self, login: str) -> HostAccount:
        account = self._accounts.find(login)
        if account is None:
            raise NotFound(f"There is no account {login[:64]!r} on this host; make one with `hostadmin user add`.", key="user-not-found")
        if account.uid < self._context.places.ranges.uid_min or login in RESERVED_LOGINS:
            raise Forbidden(f"{login} is an account of the system (uid {account.uid}): it gets no access to Docker.", key="user-system")
        return account


def want(tx: Tx, user: users.User, *, docker: bool) -> None:
    """Set whether the group with access is to have an account, if hostadmin manages it."""
    if user.managed and user.docker is not docker:
        users.change(tx, user.id, docker=docker)
