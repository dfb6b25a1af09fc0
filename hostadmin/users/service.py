"""Single users: what `hostadmin user` and `hostadmin access` do.

Every action: validate all, record the intent with its steps, act step by step, record the outcome together
with the ledger's row. What is already as asked is not done again. What fails half-way is undone, or told.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Journal
from hostadmin.core.clock import now
from hostadmin.core.names import check_login
from hostadmin.core.values import Actor, UserState
from hostadmin.host.accounts import Accounts
from hostadmin.host.archives import Archives
from hostadmin.policy.profiles import Profiles
from hostadmin.store import users
from hostadmin.store.database import Database
from hostadmin.store.migrate import data_dir
from hostadmin.users.access import Access
from hostadmin.users.adding import Adding, Wanted
from hostadmin.users.context import RULE, Context, Places, target_of
from hostadmin.users.credentials import check_password, hash_password, matches
from hostadmin.users.dates import Dates
from hostadmin.users.drift import Drift
from hostadmin.users.halting import Containers, Halting, NoContainers
from hostadmin.users.looking import Looking
from hostadmin.users.names import check_expires, check_name
from hostadmin.users.notices import Notices
from hostadmin.users.recovery import Recovery
from hostadmin.users.removing import Removed, Removing
from hostadmin.users.states import States
from hostadmin.users.steps import apply_ledger, fingerprint
from hostadmin.users.view import UserView

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
        containers: stops and starts containers of whoever is locked; none if not given.
        archives: the archives of homes; by ``places`` if not given.
        clock: returns the time, aware, in UTC.

    """

    def __init__(
        self,
        database: Database,
        journal: Journal,
        profiles: Profiles,
        places: Places,
        remove_objects: Callable[[Actor, str], Collection[str]],
        accounts: Accounts | None = None,
        *,
        containers: Containers | None = None,
        archives: Archives | None = None,
        clock: Callable[[], datetime] = now,
    ) -> None:
        context = Context(database, journal, profiles, places, accounts or Accounts(), clock)
        if archives is None and places.keeping.archives:
            archives = Archives(places.keeping.archives)
        halting = Halting(context, containers or NoContainers())
        self._context = context
        self._adding = Adding(context)
        self._access = Access(context)
        self._looking = Looking(context)
        self._states = States(context, halting)
        self._dates = Dates(context, self._states, halting)
        self._removing = Removing(context, halting, remove_objects, archives)
        self._drift = Drift(context)
        self._notices = Notices(context, (data_dir("systemd") / "profile.d" / "hostadmin.sh").read_text("utf-8"))

    @property
    def context(self) -> Context:
        """What the services of whole classes share with this one."""
        return self._context

    # -- looking ----------------------------------------------------------------------------

    def list(self) -> Sequence[UserView]:
        """Return all accounts by login: those of the ledger, and members of the group that it does not know yet."""
        return self._looking.list()

    def show(self, login: str) -> UserView:
        """Return one account.

        Raises:
            NotFound: neither the ledger nor the group has one of that name.

        """
        return self._looking.show(login)

    def notice(self, user: users.User | None) -> str | None:
        """Return what an account is to be told now of the end of its access."""
        return self._notices.text(user)

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
                changes["expires"] = check_expires(expires, self._context.today())
            if not changes:
                return self.show(login)
            on_host = user.managed and changes.keys() & {"name", "expires"}
            if on_host:
                self._context.require_same(user)
            if "expires" in changes and user.state is UserState.EXPIRED:  # a last day that is not over gives access back
                self._states.open(actor, user, Action.USER_SET, changes)
                return self.show(login)

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

    def expire(self, actor: Actor, login: str, last: date | None = None) -> UserView:
        """End an account's access now: yesterday was its last day (or ``last``); one that is over already keeps its last day.

        Raises:
            NotFound: there is none of that name.
            Conflict: the host's account is gone or another one.
            Failed: as ``lock``.

        """
        self._states.expire(actor, login, last)
        return self.show(login)

    def lock(self, actor: Actor, login: str) -> UserView:
        """Lock an account: no password, no keys, no guard; its processes end, its containers go on or stop by its profile.

        Raises:
            NotFound: there is none of that name.
            Failed: the guard refuses already, but the host's account could not be locked; run it again.

        """
        self._states.lock(actor, login)
        return self.show(login)

    def unlock(self, actor: Actor, login: str) -> UserView:
        """Give access back as it was: password, expiry, guard, stopped containers; see ``States.unlock``.

        Raises:
            NotFound: there is none of that name.
            Conflict: the host's account is gone or another one.
            Failed: the host could not do it; the account stays locked.

        """
        self._states.unlock(actor, login)
        return self.show(login)

    def wait(self, actor: Actor, login: str, starts: date) -> UserView:
        """Close an account until a first day that is still to come; see ``States.wait``."""
        self._states.wait(actor, login, starts)
        return self.show(login)

    def leave(self, actor: Actor, login: str) -> UserView:
        """End an account's access for good without removing anything yet; ``unlock`` takes it back, ``remove`` goes on.

        Raises:
            NotFound, Failed: as ``lock``.

        """
        self._states.leave(actor, login)
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
            locked = user.state is not UserState.ACTIVE
            found = self._context.accounts.shadow(login)
            if found is not None and found.locked == locked and matches(password, found.hashed):
                return
            hashed = hash_password(password)
            entry = Entry(actor, Action.USER_PASSWD, target_of(user), RULE, {"fingerprint": fingerprint(hashed)})
            self._context.do(entry, lambda: self._context.accounts.set_hash(login, hashed, locked=locked))

    def remove(self, actor: Actor, login: str, *, keep_home: bool = False, archive: bool = True) -> Removed:
        """Remove an account with everything it owns; its numbers are never given to anybody else; see ``Removing.remove``.

        Raises:
            NotFound: there is none of that name.
            Forbidden: it is not managed by hostadmin.
            Conflict: something is mounted in its home, the archive does not fit, or the account was there before hostadmin.
            Failed: it is leaving, but something of it could not be removed; running it again goes on from there.

        """
        return self._removing.remove(actor, login, keep_home=keep_home, archive=archive)

    def release(self, actor: Actor, login: str, *, keep_objects: bool = False) -> UserView:
        """Give an account that was there before hostadmin back: what it owns goes (or stays, too), account and home stay.

        Raises:
            NotFound, Forbidden, Conflict, Failed: see ``Removing.release``.

        """
        self._removing.release(actor, login, keep_objects=keep_objects)
        return self.show(login)

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

    # -- by the clock ------------------------------------------------------------------------

    def enforce_dates(self, actor: Actor) -> dict[str, Any]:
        """Open and end accounts by their dates, and say so beforehand; return the logins of what was done."""
        found = self._dates.enforce_dates(actor)
        with self._context.database.read() as tx:
            everybody = users.all_users(tx)
        self._notices.refresh(everybody)
        return found

    def end_stragglers(self, _actor: Actor) -> dict[str, Any]:
        """End what runs under accounts without access; return the logins."""
        return self._dates.end_stragglers()

    def settle_drift(self, actor: Actor) -> dict[str, Any]:
        """Compare memberships with the ledger and do as the policy says; return what was done."""
        return self._drift.settle(actor)

    def expire_archives(self, actor: Actor) -> dict[str, Any]:
        """Delete the archives of homes whose time is over; return their paths."""
        return self._removing.expire_archives(actor)

    # -- at the start ------------------------------------------------------------------------

    def install_login_script(self) -> None:
        """Put what tells people at login of the end of their access in its place."""
        self._notices.install()

    def recover(self) -> int:
        """Finish or undo what an earlier run left open; return how many actions there were."""
        return Recovery(self._context, self._removing).run()
