"""Removal of an account with all that it has and leaves, in an order that can be cut off anywhere and run again.

Guard closed → locked → processes → containers, networks, volumes, images → processes once more → crontab, at jobs, mail
→ files in shared places, System V IPC → home archived → account → home deleted → removed. The archive is complete and
known to the ledger before anything of account or home goes: a home that is half deleted is never archived over it.
"""

import os
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Target
from hostadmin.core.clock import timestamp
from hostadmin.core.errors import Conflict, Failed, HostadminError
from hostadmin.core.values import Actor, UserState, system_actor
from hostadmin.host import homes, keyfiles, remains, sessions
from hostadmin.host.accountfiles import HostAccount
from hostadmin.host.accounts import Accounts, last_day
from hostadmin.host.archives import Archives, Stored
from hostadmin.store import archives, facts, users
from hostadmin.store.database import Tx
from hostadmin.store.users import User
from hostadmin.users.context import RULE, Context, target_of
from hostadmin.users.halting import Halting
from hostadmin.users.states import LEAVING_FACT, claim_leaving, forget
from hostadmin.users.steps import fingerprint, is_same, prints_of, shut, take_away

ADOPTED_FACT: Final = "adopted."  # + account id → what it was when it was adopted: ``as_found``
STEPS: Final = ("guard", "lock", "processes", "objects", "processes", "spools", "files", "archive", "account", "home")
RemoveObjects = Callable[[Actor, str], Collection[str]]


@dataclass(frozen=True, slots=True)
class Removed:
    """What came of a removal: the archive of the home, until when it is kept, and what was left on purpose."""

    archive: Stored | None
    keep_until: str | None
    left: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        found = asdict(self.archive) | {"keep_until": self.keep_until} if self.archive else None
        return {"archive": found, "left": self.left}


class Removing:
    """Removes accounts, and releases those that were there before hostadmin managed them.

    Args:
        context: ledger, host, journal.
        halting: forgets which containers were to be started again.
        remove_objects: removes everything an account owns, returns what stayed.
        files: the archives; ``None``: homes go without one.

    """

    def __init__(self, context: Context, halting: Halting, remove_objects: RemoveObjects, files: Archives | None) -> None:
        self._context = context
        self._accounts = context.accounts
        self._halting = halting
        self._remove_objects = remove_objects
        self._files = files

    # -- removal -----------------------------------------------------------------------------------

    def remove(self, actor: Actor, login: str, *, keep_home: bool = False, archive: bool = True) -> Removed:
        """Remove an account with everything it owns; its numbers are never given to anybody else.

        Args:
            actor: who asks.
            login: whose.
            keep_home: leave the home where it is.
            archive: keep the home in an archive for a while.

        Raises:
            NotFound: there is none of that name.
            Forbidden: it is not managed by hostadmin.
            Conflict: something is mounted in its home, the archive does not fit, or the account was there before hostadmin.
            Failed: it is leaving, but something of it could not be removed; running it again goes on from there.

        """
        with self._context.of(login):
            user = self._context.get_managed(login)
            if user.adopted:
                raise Conflict(
                    f"{login} was on this host before hostadmin managed it: its account and home are not removed. "
                    f"`hostadmin user release {login}` removes its containers and gives the account back.",
                    key="user-adopted",
                )
            self._check_home(user, keep_home=keep_home, archive=archive)
            detail: dict[str, Any] = {"keep_home": keep_home, "archive": archive, "uid": user.uid, "steps": list(STEPS)}
            stored: list[Stored] = []

            def act() -> None:
                self._end(actor, user, keep_home=keep_home)
                stored.extend(self.finish(user, detail))

            self._context.do(
                Entry(actor, Action.USER_REMOVE, target_of(user), RULE, dict(detail)),
                act,
                lambda tx: self.rows(tx, user, stored),
                claim=lambda tx: claim_leaving(tx, user),
                told=detail,
            )
            left: dict[str, Any] = {key: detail[key] for key in ("home_left", "account_left", "files_left") if key in detail}
            return Removed(stored[0] if stored else None, self._keep_until() if stored else None, left)

    def _check_home(self, user: User, *, keep_home: bool, archive: bool) -> None:
        if keep_home or not user.home:
            return
        homes.check_no_mounts(user.home, but_of=user.uid)
        if archive and self._files is not None and homes.find_problem(user.home, user.uid) is None and self._kept(user) is None:
            with suppress(Failed):  # files come and go under du while the person still runs something: it is asked again then
                self._files.require_space(user.home)

    def _end(self, actor: Actor, user: User, *, keep_home: bool) -> None:
        """End all that lives of an account: processes and objects."""
        whose = self._context.whose(user)
        if is_same(self._accounts, user):
            shut(self._accounts, user, whose)
            if not keep_home and user.home:
                homes.detach_own(user.home, user.uid)
                homes.check_no_mounts(user.home)  # again: until here the person could have made one
        stayed = self._remove_objects(actor, user.id)
        if stayed:
            raise Failed(f"{user.login} is locked, but not removed: {'; '.join(stayed)}. Run it again.", key="user-remove")
        self._halting.forget(user.id)

    def finish(self, user: User, detail: dict[str, Any]) -> Sequence[Stored]:
        """Do what is left once nothing of an account lives any more; the recovery does it too.

        Args:
            user: whose.
            detail: ``keep_home`` and ``archive``, as asked; gets what was left and what was archived.

        Returns:
            The archive of the home, if there is one.

        Raises:
            HostadminError: it could not be done; running it again goes on from there.

        """
        keep_home = detail["keep_home"]
        self._sweep(user, detail)
        stored = self._archive(user) if detail.get("archive", True) and not keep_home else []
        if stored:
            detail["archived"] = asdict(stored[0])
        detail |= take_away(self._accounts, user, self._context.whose(user), keep_home=keep_home)
        return stored

    def _sweep(self, user: User, detail: dict[str, Any]) -> None:
        """Remove what a uid leaves outside its home, unless somebody else has that uid or that login now."""
        account = self._accounts.find(user.login)
        holders = {a.login for a in self._accounts.all().values() if a.uid == user.uid}
        if (account is not None and account.uid != user.uid) or holders - {user.login}:
            return
        sessions.end(*self._context.whose(user))
        if user.home and not detail["keep_home"]:
            homes.detach_own(user.home, user.uid)
        remains.remove_spools(user.login, user.uid)
        subordinate = next((one for one in self._context.whose(user) if isinstance(one, range)), range(0))
        if left := remains.remove_files(user.uid, subordinate):
            detail["files_left"] = left
        remains.remove_ipc(user.uid)

    def _archive(self, user: User) -> Sequence[Stored]:
        """Archive a home unless that is done already; what nobody knows of earlier tries is removed."""
        if self._files is None or not user.home:
            return []
        stored = self._kept(user)
        with self._context.database.read() as tx:
            known = {found.path for found in archives.of_user(tx, user.id)}
        self._files.tidy(user.login, user.uid, known | ({stored.path} if stored else set()))
        if stored is None and homes.find_problem(user.home, user.uid) is None:
            self._files.require_space(user.home)
            stored = self._files.store(user.home, user.login, user.uid, self._context.clock())
            value = asdict(stored)
            self._context.database.write(lambda tx: facts.put(tx, f"{LEAVING_FACT}{user.id}", value))
        return [stored] if stored else []

    def _kept(self, user: User) -> Stored | None:
        """Return the complete archive that an earlier try has made."""
        with self._context.database.read() as tx:
            found = facts.get(tx, f"{LEAVING_FACT}{user.id}")
        stored = Stored(**found) if found else None
        return stored if stored and self._files is not None and self._files.is_there(stored) else None

    def _keep_until(self) -> str:
        return timestamp(self._context.clock() + timedelta(days=self._context.places.keeping.archive_days))

    def rows(self, tx: Tx, user: User, stored: Sequence[Stored]) -> None:
        """Write the rows of an account that is gone."""
        users.change(tx, user.id, state=UserState.REMOVED)
        forget(tx, user.id)
        for one in stored:
            archives.add(tx, user_id=user.id, path=one.path, sha256=one.sha256, size=one.bytes, keep_until=self._keep_until())

    # -- release -----------------------------------------------------------------------------------

    def release(self, actor: Actor, login: str, *, keep_objects: bool = False) -> None:
        """Give an account that was there before back: its objects go, its groups, keys and access of ours too; the rest stays.

        Args:
            actor: who asks.
            login: whose.
            keep_objects: leave what it owns: where an adoption is taken back, it may have had all of it before.

        Raises:
            NotFound: there is none of that name.
            Forbidden: it is not managed by hostadmin.
            Conflict: hostadmin has made it, or the host's account is gone or another one.
            Failed: something of it could not be removed; running it again goes on from there.

        """
        with self._context.of(login):
            user = self._context.get_managed(login)
            if not user.adopted:
                raise Conflict(f"{login} was made by hostadmin: `hostadmin user remove {login}` removes it.", key="user-not-adopted")

            def act() -> None:
                stayed = [] if keep_objects else self._remove_objects(actor, user.id)
                if stayed:
                    raise Failed(f"{login} has no access any more, but is not released: {'; '.join(stayed)}. Run it again.", key="release")
                self._halting.forget(user.id)
                if is_same(self._accounts, user):
                    told.update(self._give_back(user))

            values = {"managed": False, "adopted": False, "state": UserState.ACTIVE, "docker": None, "groups": (), "keys": ()}
            dates = {"starts": None, "expires": None, "cohort_id": None}

            def rows(tx: Tx) -> None:
                users.change(tx, user.id, **values, **dates)
                forget(tx, user.id)
                facts.put(tx, f"{ADOPTED_FACT}{user.id}", None)

            steps = ["guard", *([] if keep_objects else ["objects"]), "groups", "keys", "account"]
            detail: dict[str, Any] = {"uid": user.uid, "steps": steps}
            told = dict(detail)
            entry = Entry(actor, Action.USER_RELEASE, target_of(user), RULE, detail)
            self._context.do(entry, act, rows, claim=lambda tx: claim_leaving(tx, user), told=told)

    def _give_back(self, user: User) -> dict[str, Any]:
        """Give an account back as it was when it was adopted; return what of ours could not be taken from it, and why."""
        with self._context.database.read() as tx:
            before = facts.get(tx, f"{ADOPTED_FACT}{user.id}", {})
        left: dict[str, Any] = {}
        for group in (self._context.places.group, *user.groups):
            if group not in before.get("groups", ()):
                self._accounts.remove_from_group(user.login, group)
        account = self._accounts.find(user.login)
        if user.keys and account is not None and os.path.isdir(account.home):
            ours = [line for line in user.keys if fingerprint(keyfiles.key_of(line)) not in before.get("keys", ())]
            try:
                keyfiles.write(account.home, user.uid, account.gid, remove=ours)
            except Failed as error:  # the person has made something else of the file: nobody is kept for that
                left["keys_left"] = error.message
        day = last_day(before.get("expiry_day"))
        if before.get("locked"):  # by somebody else, before us: nobody has opened it by giving it to us
            self._accounts.lock_password(user.login, day)
        elif self._accounts.is_locked(user.login) or (user.expires is not None and self._accounts.expires(user.login, user.expires)):
            self._accounts.unlock(user.login, day)
        if "comment" in before:
            self._accounts.restore_comment(user.login, before["comment"])
        return left

    # -- archives ------------------------------------------------------------------------------------

    def expire_archives(self, actor: Actor | None = None) -> dict[str, Any]:
        """Delete the archives whose time is over; return the paths that are gone."""
        actor = actor or system_actor("scheduler")
        with self._context.database.read() as tx:
            due = archives.due(tx, timestamp(self._context.clock()))
        gone = []
        for found in due:
            with self._context.database.read() as tx:
                user = users.find(tx, found.user_id)
            target = Target("archive", found.id, found.path, found.user_id)
            detail = {"login": user.login if user else None, "kept_until": found.keep_until, "sha256": found.sha256}
            entry = Entry(actor, Action.ARCHIVE_REMOVE, target, "archive_days", detail)
            try:
                self._context.do(entry, _Removal(self._files, found.path), _Marking(found.id))
            except HostadminError:  # recorded; the next run tries again
                continue
            gone.append(found.path)
        return {"removed": gone} if gone else {}


def as_found(accounts: Accounts, account: HostAccount) -> dict[str, Any]:
    """Return what is kept of an account that is adopted, so that ``release`` can give it back as it was; plain JSON."""
    shadow = accounts.shadow(account.login)
    return {
        "comment": account.comment,
        "expiry_day": shadow.expires_day if shadow else None,
        "groups": sorted(accounts.listed_in(account.login)),
        "keys": prints_of(keyfiles.read(account.home, account.uid)),
        "locked": shadow is not None and shadow.locked and shadow.has_password,
    }


@dataclass(frozen=True, slots=True)
class _Removal:
    """Removes the file of an archive."""

    files: Archives | None
    path: str

    def __call__(self) -> None:
        (self.files or Archives(os.path.dirname(self.path))).remove(self.path)


@dataclass(frozen=True, slots=True)
class _Marking:
    """Records that an archive is gone."""

    archive_id: str

    def __call__(self, tx: Tx) -> None:
        archives.mark_deleted(tx, self.archive_id)
