"""Single users: what `hostadmin user` and `hostadmin access` do.

Every action: validate all, record the intent, act step by step, record the outcome together with the
ledger's row. What is already as asked is not done again. What fails half-way is undone.
"""

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Journal, Target
from hostadmin.core.clock import now
from hostadmin.core.errors import Conflict, Failed, Forbidden, HostadminError, Invalid, NotFound
from hostadmin.core.names import check_login
from hostadmin.core.values import Actor, Kind, UserState
from hostadmin.host import accounts
from hostadmin.policy.profiles import Profiles
from hostadmin.store import audit, objects, users
from hostadmin.store.database import Database, Tx
from hostadmin.users.credentials import hash_password

UNSET: Final = object()
NAME_LIMIT: Final = 200


@dataclass(frozen=True, slots=True)
class UserView:
    """An account as people see it."""

    login: str
    uid: int
    gid: int
    name: str
    profile: str
    state: str
    managed: bool
    docker: bool
    expires: str | None
    home: str
    containers: int
    networks: int
    volumes: int
    drift: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return the view for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Places:
    """Where homes are made, the login shell, the range of uids given out, and the group with access."""

    home_root: str
    shell: str
    uid_min: int
    uid_max: int
    group: str


class Users:
    """The accounts that hostadmin manages.

    Args:
        database: the ledger.
        journal: the audit of this process.
        profiles: the profiles in force.
        places: homes, shell, uids, group.
        remove_objects: removes everything an account owns, returns what stayed: ``(actor, account id)``.

    """

    def __init__(
        self,
        database: Database,
        journal: Journal,
        profiles: Profiles,
        places: Places,
        remove_objects: Callable[[Actor, str], Collection[str]],
    ) -> None:
        self.database = database
        self.journal = journal
        self.profiles = profiles
        self.places = places
        self._remove_objects = remove_objects
        self._lock = threading.RLock()

    # -- looking ----------------------------------------------------------------------------

    def list(self) -> Sequence[UserView]:
        """Return all accounts: managed ones, and members of the group that we do not manage."""
        with self.database.read() as tx:
            known = users.all_users(tx)
        in_group = accounts.members(self.places.group)
        return [self._view(user, in_group) for user in known]

    def show(self, login: str) -> UserView:
        """Return one account.

        Raises:
            NotFound: the ledger has none of that name.

        """
        return self._view(self._get(login), accounts.members(self.places.group))

    def access_list(self) -> Sequence[dict[str, Any]]:
        """Return who is in the group with access, managed or not."""
        with self.database.read() as tx:
            known = {u.login: u for u in users.all_users(tx)}
        found = []
        for login in sorted(accounts.members(self.places.group)):
            user = known.get(login)
            found.append(
                {
                    "login": login,
                    "managed": bool(user and user.managed),
                    "state": str(user.state) if user else "active",
                    "profile": user.profile if user else self.profiles.default,
                }
            )
        return found

    # -- accounts ---------------------------------------------------------------------------

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
            Failed: the host could not do it; what was begun has been undone.

        """
        check_login(login)
        _check_name(name)
        _check_expires(expires)
        chosen = self.profiles.get(profile).name
        hashed = hash_password(password) if password is not None else None
        with self._lock:
            with self.database.read() as tx:
                known = users.find_login(tx, login)
                returning = users.find_tombstone(tx, login) if known is None else None
            if known is not None:
                return self._add_known(actor, known, docker=docker)
            uid, gid = self._numbers(login, returning)
            home = str(Path(self.places.home_root) / login)
            accounts.check_home(home, uid)
            steps = ["account", *(["password"] if hashed else []), *(["group"] if docker else [])]
            detail = {"uid": uid, "gid": gid, "profile": chosen, "home": home, "expires": str(expires) if expires else None, "steps": steps}
            intent = self.journal.intent(Entry(actor, Action.USER_ADD, Target("user", None, login), "admin", detail))
            try:
                accounts.create(login, uid=uid, gid=gid, name=name, home=home, shell=self.places.shell, expires=expires)
                if hashed:
                    accounts.set_hash(login, hashed)
                if docker:
                    self._join(login)
            except HostadminError as error:
                accounts.discard(login)
                self.journal.outcome(intent, "error", detail={**detail, "message": error.message, "undone": True})
                raise

            def rows(tx: Tx) -> None:
                if returning is not None:
                    users.change(
                        tx,
                        returning.id,
                        state=UserState.ACTIVE,
                        name=name,
                        profile=chosen,
                        managed=True,
                        expires=expires,
                        home=home,
                        uid=uid,
                        gid=gid,
                    )
                    tx_clear_removed(tx, returning.id)
                else:
                    users.add(tx, login=login, uid=uid, gid=gid, home=home, profile=chosen, name=name, expires=expires)

            self.journal.outcome(intent, "ok", also=rows)
            return self.show(login)

    def _add_known(self, actor: Actor, known: users.User, *, docker: bool) -> UserView:
        """A second ``user add``: nothing to do but access that is missing."""
        if not known.managed:
            raise Conflict(
                f"{known.login} exists on this host and is not managed by hostadmin: it has access through group "
                f"{self.places.group!r}; use `hostadmin access` and `hostadmin user set`, or another login name.",
                key="user-unmanaged",
            )
        if accounts.find(known.login) is None:
            raise Conflict(
                f"The ledger has {known.login}, but the host's account is gone: remove it first with `hostadmin user remove {known.login}`.",
                key="user-drift",
            )
        if docker and known.login not in accounts.members(self.places.group):
            self.grant(actor, known.login)
        return self.show(known.login)

    def _numbers(self, login: str, returning: users.User | None) -> tuple[int, int]:
        """Choose uid and gid: the old ones of a returning account, else numbers that nobody ever had."""
        if accounts.find(login) is not None:
            raise Conflict(f"The login name {login!r} is taken by an account that hostadmin does not manage.", key="login-taken")
        if accounts.group_exists(login):
            raise Conflict(f"The login name {login!r} is taken by a group of that name.", key="login-taken")
        on_host = accounts.used_numbers()
        if returning is not None:
            if {returning.uid, returning.gid} & on_host:
                raise Conflict(
                    f"{login} was here before with uid {returning.uid}, which somebody else has now; free it or choose another login name.",
                    key="uid-taken",
                )
            return returning.uid, returning.gid
        with self.database.read() as tx:
            used = users.used_uids(tx) | on_host
        for number in range(
            max([self.places.uid_min - 1, *(n for n in used if self.places.uid_min <= n <= self.places.uid_max)]) + 1,
            self.places.uid_max + 1,
        ):
            if number not in used:
                return number, number
        for number in range(self.places.uid_min, self.places.uid_max + 1):
            if number not in used:
                return number, number
        raise Failed("All uids of the configured range have been given out: widen [users] uid_max.", key="uids-exhausted")

    def set(self, actor: Actor, login: str, *, name: str | None = None, profile: str | None = None, expires: Any = UNSET) -> UserView:
        """Change name, profile or last day (``None``: no end) of an account.

        Raises:
            Invalid, NotFound: with the rule; nothing was done.

        """
        user = self._get(login)
        changes: dict[str, Any] = {}
        if name is not None and _check_name(name) != user.name:
            changes["name"] = name
        if profile is not None and self.profiles.get(profile).name != user.profile:
            changes["profile"] = profile
        if expires is not UNSET and expires != user.expires:
            _check_expires(expires)
            changes["expires"] = expires
        if not changes:
            return self.show(login)

        def act() -> None:
            if user.managed and "name" in changes:
                accounts.set_comment(login, changes["name"])
            if user.managed and "expires" in changes and user.state is UserState.ACTIVE:
                accounts.set_expiry(login, changes["expires"])

        detail = {k: str(v) if v is not None else None for k, v in changes.items()}
        self._act(actor, Action.USER_SET, user, act, lambda tx: users.change(tx, user.id, **changes), **detail)
        return self.show(login)

    def lock(self, actor: Actor, login: str) -> UserView:
        """Lock an account: no password, no other login, no guard; its processes end, its containers stay."""
        user = self._get(login)
        if user.state is UserState.LOCKED:
            return self.show(login)
        # The ledger first: the guard refuses from here on, whatever the tools do.
        intent = self.journal.intent(
            Entry(actor, Action.USER_LOCK, _target(user), "admin"), also=lambda tx: users.change(tx, user.id, state=UserState.LOCKED)
        )
        try:
            if user.managed:
                accounts.lock(login)
                accounts.end_processes(user.uid)
        except HostadminError as error:
            self.journal.outcome(intent, "error", detail={"message": error.message})
            raise
        self.journal.outcome(intent, "ok")
        return self.show(login)

    def unlock(self, actor: Actor, login: str) -> UserView:
        """Undo a lock: password, expiry and guard as they were."""
        user = self._get(login)
        if user.state is UserState.ACTIVE:
            return self.show(login)

        def act() -> None:
            if user.managed:
                accounts.unlock(login, user.expires)

        self._act(actor, Action.USER_UNLOCK, user, act, lambda tx: users.change(tx, user.id, state=UserState.ACTIVE))
        return self.show(login)

    def passwd(self, actor: Actor, login: str, password: str) -> None:
        """Set an account's password.

        Raises:
            Invalid: the password is not acceptable.
            Forbidden: the account is not managed by hostadmin.

        """
        user = self._managed(login)
        hashed = hash_password(password)
        self._act(actor, Action.USER_PASSWD, user, lambda: accounts.set_hash(login, hashed), None)

    def remove(self, actor: Actor, login: str, *, keep_home: bool = False) -> None:
        """Remove an account with everything it owns; its numbers are never given again.

        Raises:
            NotFound: there is none of that name.
            Failed: something of it could not be removed; running it again goes on from there.

        """
        user = self._managed(login)
        detail = {"keep_home": keep_home, "uid": user.uid}
        intent = self.journal.intent(
            Entry(actor, Action.USER_REMOVE, _target(user), "admin", detail),
            also=lambda tx: users.change(tx, user.id, state=UserState.LOCKED),
        )
        try:
            stayed = self._remove_objects(actor, user.id)
            if stayed:
                raise Failed(f"{login} was locked, but not removed: {'; '.join(stayed)}. Run it again.", key="user-remove")
            self._take_away(user, keep_home=keep_home)
        except HostadminError as error:
            self.journal.outcome(intent, "error", detail={**detail, "message": error.message})
            raise
        self.journal.outcome(intent, "ok", also=lambda tx: users.change(tx, user.id, state=UserState.REMOVED))

    def _take_away(self, user: users.User, *, keep_home: bool) -> None:
        with self._lock:
            account = accounts.find(user.login)
            if account is not None and account.uid == user.uid:
                accounts.end_processes(user.uid)
                accounts.discard(user.login)
            if not keep_home and user.home:
                accounts.remove_home(user.home, user.uid)

    # -- access -----------------------------------------------------------------------------

    def grant(self, actor: Actor, login: str) -> UserView:
        """Give an account access to the guard: membership of the group; works in open shells too.

        Raises:
            NotFound: the host has no such account.
            Forbidden: it is the system's.

        """
        account = self._host_account(login)
        with self.database.read() as tx:
            user = users.find_login(tx, login)
        if user is None or user.uid != account.uid:
            user = self.database.write(
                lambda tx: users.observe(tx, login=login, uid=account.uid, gid=account.gid, profile=self.profiles.default)
            )
        if login not in accounts.members(self.places.group):
            self._act(actor, Action.ACCESS_GRANT, user, lambda: self._join(login), None)
        return self.show(login)

    def revoke(self, actor: Actor, login: str) -> None:
        """Take an account's access away: at once, open shells and streams included."""
        account = self._host_account(login)
        if login not in accounts.members(self.places.group):
            return
        with self.database.read() as tx:
            user = users.find_login(tx, login)
        target = _target(user) if user else Target("user", None, login)
        intent = self.journal.intent(Entry(actor, Action.ACCESS_REVOKE, target, "admin", {"uid": account.uid}))
        self._conclude(intent, lambda: accounts.remove_from_group(login, self.places.group), None)

    def _join(self, login: str) -> None:
        with self._lock:
            accounts.ensure_group(self.places.group)
            accounts.add_to_group(login, self.places.group)
        if login not in accounts.members(self.places.group):
            raise Failed(
                f"{login} is not in group {self.places.group!r} after usermod; see `hostadmin doctor`.", key="account-verification"
            )

    def _host_account(self, login: str) -> accounts.HostAccount:
        account = accounts.find(login)
        if account is None:
            raise NotFound(f"There is no account {login!r} on this host; make it with `hostadmin user add {login}`.", key="user-not-found")
        if account.uid < self.places.uid_min:
            raise Forbidden(f"{login} is an account of the system (uid {account.uid}): it gets no access to Docker.", key="user-system")
        return account

    # -- after a kill ------------------------------------------------------------------------

    def recover(self) -> int:
        """Close what an earlier run left open: a half-made account is taken back; return how many."""
        with self.database.read() as tx:
            left = [
                r for r in audit.open_intents(tx, "service", not_boot=self.journal.boot) if r["action"].startswith(("user.", "access."))
            ]
        for record in left:
            status = self._recovered(record)
            self.journal.submit_recovery(record, status).result(10)
        return len(left)

    def _recovered(self, record: dict[str, Any]) -> str:
        login, action = record["object_name"] or "", Action(record["action"])
        account, shadow = accounts.find(login), accounts.shadow(login)
        in_group = login in accounts.members(self.places.group)
        if action is Action.USER_ADD:
            with self.database.read() as tx:
                known = users.find_login(tx, login)
            half_made = known is None and (account is None or account.uid == record["detail"]["uid"])
            if half_made:
                accounts.discard(login)
                accounts.remove_home(record["detail"]["home"], record["detail"]["uid"])
            return "not-done"
        verdicts = {
            Action.ACCESS_GRANT: in_group,
            Action.ACCESS_REVOKE: not in_group,
            Action.USER_LOCK: shadow is not None and shadow.locked,
            Action.USER_UNLOCK: False,
            Action.USER_REMOVE: account is None,
        }
        if action is Action.USER_REMOVE and account is None:
            with self.database.read() as tx:
                gone = users.find_login(tx, login)
            if gone is not None:
                self.database.write(lambda tx: users.change(tx, gone.id, state=UserState.REMOVED))
        found = verdicts.get(action)
        return "unknown" if found is None else "done" if found else "not-done"

    # -- small things ------------------------------------------------------------------------

    def _get(self, login: str) -> users.User:
        with self.database.read() as tx:
            user = users.find_login(tx, login)
        if user is None:
            raise NotFound(f"There is no account {login[:64]!r} in the ledger; see `hostadmin user list`.", key="user-not-found")
        return user

    def _managed(self, login: str) -> users.User:
        user = self._get(login)
        if not user.managed:
            raise Forbidden(f"{login} is not managed by hostadmin: its account is not touched.", key="user-unmanaged")
        return user

    def _act(
        self, actor: Actor, action: Action, user: users.User, act: Callable[[], None], rows: Callable[[Tx], object] | None, **detail: Any
    ) -> None:
        """Record, act, record."""
        intent = self.journal.intent(Entry(actor, action, _target(user), "admin", detail))
        self._conclude(intent, act, rows)

    def _conclude(self, intent: Any, act: Callable[[], None], rows: Callable[[Tx], object] | None) -> None:
        try:
            with self._lock:
                act()
        except HostadminError as error:
            self.journal.outcome(intent, "error", detail={"message": error.message})
            raise
        self.journal.outcome(intent, "ok", also=rows)

    def _view(self, user: users.User, in_group: Collection[str]) -> UserView:
        with self.database.read() as tx:
            containers, networks, volumes = (objects.count(tx, kind, user.id) for kind in (Kind.CONTAINER, Kind.NETWORK, Kind.VOLUME))
        expired = user.expires is not None and now().date() > user.expires
        state = "expired" if expired and user.state is UserState.ACTIVE else str(user.state)
        return UserView(
            login=user.login,
            uid=user.uid,
            gid=user.gid,
            name=user.name,
            profile=user.profile,
            state=state,
            managed=user.managed,
            docker=user.login in in_group,
            expires=user.expires.isoformat() if user.expires else None,
            home=user.home,
            containers=containers,
            networks=networks,
            volumes=volumes,
            drift=drift(user),
        )


def drift(user: users.User) -> list[str]:
    """Return where the host's account differs from the ledger."""
    account = accounts.find(user.login)
    if account is None:
        return ["the account is gone from the host"]
    found = []
    if account.uid != user.uid:
        found.append(f"the host's account has uid {account.uid}, the ledger {user.uid}")
    if user.managed and account.home != user.home:
        found.append(f"the home is {account.home}, the ledger says {user.home}")
    return found


def tx_clear_removed(tx: Tx, user_id: str) -> None:
    """Bring a tombstone back to life."""
    users.change(tx, user_id, removed_at=None)


def _target(user: users.User) -> Target:
    return Target("user", user.id, user.login, user.id)


def _check_name(name: str) -> str:
    if len(name) > NAME_LIMIT or any(c in ":,\n\r\0" or ord(c) < ord(" ") for c in name):
        raise Invalid("Refused name: at most 200 characters, without ':', ',' and control characters.", key="user-name")
    return name


def _check_expires(expires: date | None) -> None:
    if expires is not None and expires < now().date():
        raise Invalid(f"Refused last day {expires}: it is in the past.", key="expires")
