"""Single users: what `hostadmin user` and `hostadmin access` do.

Every action: validate all, record the intent with its steps, act step by step, record the outcome together
with the ledger's row. What is already as asked is not done again. What fails half-way is undone, or told.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Journal
from hostadmin.core.clock import now
from hostadmin.core.errors import Failed
from hostadmin.core.names import check_login
from hostadmin.core.values import Actor, Kind, UserState
from hostadmin.host import homes, sessions
from hostadmin.host.accounts import Accounts
from hostadmin.policy.profiles import Profiles
from hostadmin.store import images, objects, users
from hostadmin.store.database import Database
from hostadmin.users.access import Access
from hostadmin.users.adding import Adding, Wanted
from hostadmin.users.context import RULE, Context, Places, not_found, target_of
from hostadmin.users.credentials import check_password, hash_password, matches
from hostadmin.users.names import check_expires, check_name
from hostadmin.users.recovery import Recovery
from hostadmin.users.steps import apply_ledger, fingerprint, is_same, take_away
from hostadmin.users.view import UserView, view_of, view_of_stranger

__all__ = ["UNSET", "Places", "UserView", "Users"]
UNSET: Final = object()


class Users:
    """The accounts that hostadmin manages.

    Args:
        database: the ledger.
        journal: the audit of this process.
        profiles: the profiles in force.
        places: homes, shell, uids, group.
        remove_objects: removes everything an account owns, returns what stayed: ``(actor, account id)``.
        accounts: the host's accounts; those of ``/etc`` if not given.

    """

    def __init__(
        self,
        database: Database,
        journal: Journal,
        profiles: Profiles,
        places: Places,
        remove_objects: Callable[[Actor, str], Collection[str]],
        accounts: Accounts | None = None,
    ) -> None:
        context = Context(database, journal, profiles, places, accounts or Accounts())
        self._context = context
        self._adding = Adding(context)
        self._access = Access(context)
        self._remove_objects = remove_objects

    # -- looking ----------------------------------------------------------------------------

    def list(self) -> Sequence[UserView]:
        """Return all accounts by login: those of the ledger, and members of the group that it does not know yet."""
        with self._context.database.read() as tx:
            known = users.all_users(tx)
            held = {u.id: len(images.held_by(tx, u.id)) for u in known}
            owned = {kind: Counter(objects.owners(tx, kind).values()) for kind in (Kind.CONTAINER, Kind.NETWORK, Kind.VOLUME)}
        host, shadows, members = (
            self._context.accounts.all(),
            self._context.accounts.shadows(),
            self._context.accounts.members(self._context.places.group),
        )
        today = now().date()
        views = [
            view_of(
                u,
                host.get(u.login),
                shadows.get(u.login),
                docker=u.login in members,
                counts={Kind.IMAGE: held[u.id], **{kind: count[u.id] for kind, count in owned.items()}},
                today=today,
            )
            for u in known
        ]
        strangers = members & set(host) - {u.login for u in known}
        views += [view_of_stranger(host[login], self._context.profiles.default) for login in strangers]
        return sorted(views, key=lambda view: view.login)

    def show(self, login: str) -> UserView:
        """Return one account.

        Raises:
            NotFound: neither the ledger nor the group has one of that name.

        """
        with self._context.database.read() as tx:
            user = users.find_login(tx, login)
        account = self._context.accounts.find(login)
        docker = login in self._context.accounts.members(self._context.places.group)
        if user is not None:
            return view_of(
                user, account, self._context.accounts.shadow(login), docker=docker, counts=self._counts(user), today=now().date()
            )
        if account is None or not docker:
            raise not_found(login)
        return view_of_stranger(account, self._context.profiles.default)

    def _counts(self, user: users.User) -> Mapping[Kind, int]:
        with self._context.database.read() as tx:
            counts = {kind: objects.count(tx, kind, user.id) for kind in (Kind.CONTAINER, Kind.NETWORK, Kind.VOLUME)}
            return counts | {Kind.IMAGE: len(images.held_by(tx, user.id))}

    # -- making -----------------------------------------------------------------------------

    def add(
        self,
        actor: Actor,
        login: str,
        *,
        name: str = "",
        profile: str | None = None,
        docker: bool = False,
        expires: date | None = None,
        password: str | None = None,
    ) -> UserView:
        """Make an account; one that is there already as asked is left alone.

        Args:
            actor: who asks.
            login: the login name.
            name: the person's name.
            profile: a profile's name; default: the configured one.
            docker: whether to give access at once.
            expires: the last day of access.
            password: set now; without one nobody can log in with a password.

        Raises:
            Invalid, Conflict, NotFound: with the rule; nothing was done.
            Failed: the host could not do it; what was begun has been undone, or the message says what is left.

        """
        wanted = Wanted(check_login(login), check_name(name), profile, expires, password, docker=docker)
        self._context.profiles.get(profile)
        if password is not None:
            check_password(password)
        with self._context.of(login):
            self._adding.ensure(actor, wanted)
            if docker:
                self._access.grant(actor, login)
            return self.show(login)

    # -- changing ---------------------------------------------------------------------------

    def set(self, actor: Actor, login: str, *, name: str | None = None, profile: str | None = None, expires: Any = UNSET) -> UserView:
        """Change name, profile or last day (``None``: no end) of an account.

        Raises:
            Invalid, NotFound, Conflict: with the rule; nothing was done.
            Failed: the host could not do it; what was begun has been undone.

        """
        with self._context.of(login):
            user = self._context.get(login)
            changes: dict[str, Any] = {}
            if name is not None and check_name(name) != user.name:
                changes["name"] = name
            if profile is not None and self._context.profiles.get(profile).name != user.profile:
                changes["profile"] = profile
            if expires is not UNSET and expires != user.expires:
                changes["expires"] = check_expires(expires, now().date())
            if not changes:
                return self.show(login)
            on_host = user.managed and changes.keys() & {"name", "expires"}
            if on_host:
                self._context.require_same(user)

            def act() -> None:
                if on_host and "name" in changes:
                    self._context.accounts.set_comment(login, changes["name"])
                if on_host and "expires" in changes and user.state is UserState.ACTIVE:
                    self._context.accounts.set_expiry(login, changes["expires"])

            detail = {key: None if value is None else str(value) for key, value in changes.items()}
            entry = Entry(actor, Action.USER_SET, target_of(user), RULE, detail)
            undo = (lambda: apply_ledger(self._context.accounts, user)) if on_host else None
            self._context.do(entry, act, lambda tx: users.change(tx, user.id, **changes), undo=undo)
            return self.show(login)

    def expire(self, actor: Actor, login: str) -> UserView:
        """End an account's access now: yesterday was its last day; one that is over already keeps its last day.

        Raises:
            NotFound: there is none of that name.
            Conflict: the host's account is gone or another one.

        """
        with self._context.of(login):
            user = self._context.get(login)
            yesterday = now().date() - timedelta(days=1)
            last = min(user.expires or yesterday, yesterday)
            if user.managed:
                self._context.require_same(user)
            on_host = user.managed and user.state is UserState.ACTIVE
            if last == user.expires and not (on_host and not self._context.accounts.expires(login, last)):
                return self.show(login)

            def act() -> None:
                if on_host:
                    self._context.accounts.set_expiry(login, last)

            entry = Entry(actor, Action.USER_SET, target_of(user), RULE, {"expires": str(last)})
            undo = (lambda: apply_ledger(self._context.accounts, user)) if user.managed else None
            self._context.do(entry, act, lambda tx: users.change(tx, user.id, expires=last), undo=undo)
            return self.show(login)

    def lock(self, actor: Actor, login: str) -> UserView:
        """Lock an account: no password, no other login, no guard; its processes end, its containers stay.

        Raises:
            NotFound: there is none of that name.
            Failed: the guard refuses already, but the host's account could not be locked; run it again.

        """
        with self._context.of(login):
            user = self._context.get(login)
            on_host = user.managed and is_same(self._context.accounts, user)
            if user.state is UserState.LOCKED and not (
                on_host and (not self._context.accounts.is_locked(login) or sessions.running(user.uid))
            ):
                return self.show(login)

            def act() -> None:
                if on_host:
                    self._context.accounts.lock(login)
                    if stayed := sessions.end(user.uid):
                        raise Failed(f"{login} is locked, but {stayed} processes could not be ended; run it again.", key="processes-stay")

            entry = Entry(actor, Action.USER_LOCK, target_of(user), RULE, {"steps": ["guard", "account", "processes"]})
            # The ledger first: the guard refuses from here on, whatever the tools do.
            self._context.do(entry, act, claim=lambda tx: users.change(tx, user.id, state=UserState.LOCKED))
            return self.show(login)

    def unlock(self, actor: Actor, login: str) -> UserView:
        """Undo a lock: password, expiry and guard as they were.

        Raises:
            NotFound: there is none of that name.
            Conflict: the host's account is gone or another one.
            Failed: the host could not do it; the account stays locked.

        """
        with self._context.of(login):
            user = self._context.get(login)
            if user.managed:
                self._context.require_same(user)
            if user.state is UserState.ACTIVE and (not user.managed or self._context.accounts.is_unlocked(login, user.expires)):
                return self.show(login)

            def act() -> None:
                if user.managed:
                    self._context.accounts.unlock(login, user.expires)

            def undo() -> None:
                if user.managed and user.state is UserState.LOCKED:
                    self._context.accounts.lock(login)

            entry = Entry(actor, Action.USER_UNLOCK, target_of(user), RULE, {"steps": ["account", "guard"]})
            self._context.do(entry, act, lambda tx: users.change(tx, user.id, state=UserState.ACTIVE), undo=undo)
            return self.show(login)

    def passwd(self, actor: Actor, login: str, password: str) -> None:
        """Set an account's password; of a locked account, the one that opens it once it is unlocked.

        Raises:
            Invalid: the password is not acceptable.
            Forbidden: the account is not managed by hostadmin.
            Conflict: the host's account is gone or another one.

        """
        check_password(password)
        with self._context.of(login):
            user = self._context.get_managed(login)
            self._context.require_same(user)
            locked = user.state is UserState.LOCKED
            found = self._context.accounts.shadow(login)
            if found is not None and found.locked == locked and matches(password, found.hashed):
                return
            hashed = hash_password(password)
            entry = Entry(actor, Action.USER_PASSWD, target_of(user), RULE, {"fingerprint": fingerprint(hashed)})
            self._context.do(entry, lambda: self._context.accounts.set_hash(login, hashed, locked=locked))

    def remove(self, actor: Actor, login: str, *, keep_home: bool = False) -> None:
        """Remove an account with everything it owns; its numbers are never given to anybody else.

        Raises:
            NotFound: there is none of that name.
            Forbidden: it is not managed by hostadmin.
            Conflict: something is mounted in its home.
            Failed: it is locked, but something of it could not be removed; running it again goes on from there.

        """
        with self._context.of(login):
            user = self._context.get_managed(login)
            if not keep_home and user.home:
                homes.check_no_mounts(user.home)
            detail: dict[str, Any] = {
                "keep_home": keep_home,
                "uid": user.uid,
                "steps": ["guard", "lock", "processes", "objects", "account", "home"],
            }

            def act() -> None:
                if is_same(self._context.accounts, user):
                    self._context.accounts.lock(login)
                    sessions.end(user.uid)
                    if not keep_home and user.home:
                        homes.check_no_mounts(user.home)  # again: until here the person could have made one
                stayed = self._remove_objects(actor, user.id)
                if stayed:
                    raise Failed(f"{login} was locked, but not removed: {'; '.join(stayed)}. Run it again.", key="user-remove")
                detail.update(take_away(self._context.accounts, user, keep_home=keep_home))
                homes.remove_spools(login)

            entry = Entry(actor, Action.USER_REMOVE, target_of(user), RULE, dict(detail))
            self._context.do(
                entry,
                act,
                lambda tx: users.change(tx, user.id, state=UserState.REMOVED),
                claim=lambda tx: users.change(tx, user.id, state=UserState.LOCKED),
                told=detail,
            )

    # -- access -----------------------------------------------------------------------------

    def grant(self, actor: Actor, login: str) -> UserView:
        """Give an account access to the guard: membership of the group; works in open shells too.

        Raises:
            NotFound: the host has no such account.
            Forbidden: it is the system's.

        """
        self._access.grant(actor, login)
        return self.show(login)

    def revoke(self, actor: Actor, login: str) -> None:
        """Take an account's access away: at once, open shells and streams included.

        Raises:
            NotFound: the host has no such account.
            Conflict: the group is its primary group.

        """
        self._access.revoke(actor, login)

    def access_list(self) -> Sequence[dict[str, Any]]:
        """Return who is in the group with access, managed or not."""
        return self._access.list()

    def observe_member(self, login: str, uid: int, gid: int) -> users.User:
        """Return the account of a group member whom hostadmin does not manage yet, making its row if need be.

        A login that has come back with another uid is a new account; the old row becomes a tombstone.
        """
        return self._access.observe_member(login, uid, gid)

    # -- after a kill ------------------------------------------------------------------------

    def recover(self) -> int:
        """Finish or undo what an earlier run left open; return how many actions there were."""
        return Recovery(self._context.database, self._context.journal, self._context.accounts, self._context.places.group).run()
