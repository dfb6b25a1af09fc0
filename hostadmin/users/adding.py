"""Making an account: `hostadmin user add`. What is there already as asked is left alone."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from hostadmin.core.errors import Conflict, Failed
from hostadmin.core.values import Actor
from hostadmin.host import homes
from hostadmin.host.accountfiles import Snapshot
from hostadmin.store import users
from hostadmin.users.context import Context
from hostadmin.users.credentials import hash_password, matches
from hostadmin.users.making import Making, Wish
from hostadmin.users.names import check_expires
from hostadmin.users.steps import is_same
from hostadmin.users.supply import Supply


@dataclass(frozen=True, slots=True)
class Wanted:
    """A validated ``user add``."""

    login: str
    name: str
    profile: str | None
    expires: date | None
    password: str | None = field(repr=False)
    docker: bool = field(kw_only=True)


class Adding:
    """Makes accounts.

    Args:
        context: ledger, host, journal.

    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._accounts = context.accounts
        self._places = context.places
        self._making = Making(context)

    def ensure(self, actor: Actor, wanted: Wanted) -> None:
        """Make an account, or see that the one that is there is as wanted; membership is not looked at then.

        Raises:
            Invalid, Conflict: with the rule; nothing was done.
            Failed: the host could not do it; what was begun has been undone, or the message says what is left.

        """
        known = self._context.find(wanted.login)
        if known is not None and (known.managed or is_same(self._accounts, known)):
            self._check_known(known, wanted)
            return
        check_expires(wanted.expires, self._context.today())
        with self._context.numbers:
            self._add_new(actor, wanted, stale=known)

    def _check_known(self, known: users.User, wanted: Wanted) -> None:
        """A second ``user add``: nothing to do; what differs is refused, not changed."""
        login = known.login
        if not known.managed:
            raise Conflict(
                f"{login} exists on this host and is not managed by hostadmin: it has or had access through group "
                f"{self._places.group!r}; use `hostadmin access` and `hostadmin user set`, or another login name.",
                key="user-unmanaged",
            )
        self._context.require_same(known)
        shadow = self._accounts.shadow(login)
        differs = [
            *(["name"] if wanted.name and wanted.name != known.name else []),
            *(["profile"] if wanted.profile is not None and wanted.profile != known.profile else []),
            *(["last day"] if wanted.expires is not None and wanted.expires != known.expires else []),
        ]
        if wanted.password is not None and not (shadow and matches(wanted.password, shadow.hashed)):
            differs.append("password")
        if differs:
            raise Conflict(
                f"{login} is there already with another {', '.join(differs)}: nothing was changed. Change it with "
                f"`hostadmin user {'passwd' if differs == ['password'] else 'set'} {login}`.",
                key="user-differs",
            )

    def _add_new(self, actor: Actor, wanted: Wanted, *, stale: users.User | None) -> None:
        """Make an account that is not there. ``stale``: a row of that login whose account on the host has gone."""
        login = wanted.login
        check_free(self._accounts.read(), login)
        self._check_shell()
        profile = self._context.profiles.get(wanted.profile)
        numbers = Supply(self._context)
        given, returning = numbers.give(login, profile)
        home = str(Path(self._places.home_root) / login)
        homes.check(home, given.uid)
        wish = Wish(
            login=login,
            name=wanted.name,
            profile=profile.name,
            given=given,
            home=home,
            docker=wanted.docker,
            expires=wanted.expires,
            hashed=hash_password(wanted.password) if wanted.password is not None else None,
            returning=returning,
            stale=stale,
        )
        errors = self._making.make(actor, [wish])
        if login in errors:
            raise errors[login]

    def _check_shell(self) -> None:
        if not self._accounts.has_shell(self._places.shell):
            raise Failed(f"The login shell {self._places.shell} is not in /etc/shells: correct [users] shell.", key="shell")


def check_free(files: Snapshot, login: str) -> None:
    """Refuse a login that anything on the host knows already.

    Raises:
        Conflict: with what knows it.

    """
    if problem := find_taken(files, login):
        raise Conflict(problem[1], key=problem[0])


def find_taken(files: Snapshot, login: str) -> tuple[str, str] | None:
    """Return key and sentence of why a login cannot be made: an account, a group, or a group's list has that name."""
    if login in files.accounts:
        return "login-taken", f"The login name {login!r} is taken by an account that hostadmin does not manage."
    if login in files.groups:
        return "login-taken", f"The login name {login!r} is taken by a group of that name."
    listed = sorted(files.listed_in(login))
    if listed:
        why = f"Nobody is called {login!r}, but group {listed[0]!r} has that name as a member: a new account would inherit it."
        return "login-listed", f"{why} Take it out with `gpasswd --delete {login} {listed[0]}`."
    return None
