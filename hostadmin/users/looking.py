"""What `hostadmin user list` and `user show` say: the ledger's accounts beside the host's."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from hostadmin.core.values import Kind
from hostadmin.host import homes
from hostadmin.host.accountfiles import HostAccount, Shadow
from hostadmin.store import archives, cohorts, images, objects, users
from hostadmin.store.database import Tx
from hostadmin.users.context import Context, not_found
from hostadmin.users.drift import Members, find_differences, read_members
from hostadmin.users.view import Known, UserView, view_of, view_of_stranger

OWNED = (Kind.CONTAINER, Kind.NETWORK, Kind.VOLUME)


class Looking:
    """Looks at accounts.

    Args:
        context: ledger and host.

    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._accounts = context.accounts
        self._group = context.places.group

    def list(self) -> Sequence[UserView]:
        """Return all accounts by login: those of the ledger, and members of the group that it does not know yet."""
        with self._context.database.read() as tx:
            known = users.all_users(tx)
            held = {u.id: len(images.held_by(tx, u.id)) for u in known}
            owned = {kind: Counter(objects.owners(tx, kind).values()) for kind in OWNED}
            kept, names = _archives_of_all(tx), _cohort_names(tx)
        host, shadows, members = self._accounts.all(), self._accounts.shadows(), self._accounts.members(self._group)
        listed = read_members(self._accounts)
        today = self._context.today()
        views = []
        for user in known:
            account = host.get(user.login)
            facts = Known(
                account,
                shadows.get(user.login),
                docker=user.login in members,
                counts={Kind.IMAGE: held[user.id], **{kind: count[user.id] for kind, count in owned.items()}},
                cohort=names.get(user.cohort_id or ""),
                archives=kept.get(user.id, ()),
                more=self._more_drift(user, account, listed),
            )
            views.append(view_of(user, facts, today=today))
        strangers = members & set(host) - {u.login for u in known}
        views += [view_of_stranger(host[login], self._context.profiles.default) for login in strangers]
        return sorted(views, key=lambda view: view.login)

    def show(self, login: str) -> UserView:
        """Return one account.

        Raises:
            NotFound: neither the ledger nor the group has one of that name.

        """
        user = self._context.find(login)
        account = self._accounts.find(login)
        docker = login in self._accounts.members(self._group)
        if user is not None:
            return self._view(user, account, self._accounts.shadow(login), docker=docker)
        if account is None or not docker:
            raise not_found(login)
        return view_of_stranger(account, self._context.profiles.default)

    def _view(self, user: users.User, account: HostAccount | None, shadow: Shadow | None, *, docker: bool) -> UserView:
        with self._context.database.read() as tx:
            counts = {kind: objects.count(tx, kind, user.id) for kind in OWNED} | {Kind.IMAGE: len(images.held_by(tx, user.id))}
            cohort = cohorts.find(tx, user.cohort_id) if user.cohort_id else None
            kept = [found.path for found in archives.of_user(tx, user.id)]
        more = self._more_drift(user, account, read_members(self._accounts))
        known = Known(account, shadow, docker, counts, cohort.name if cohort else None, kept, more)
        return view_of(user, known, today=self._context.today())

    def _more_drift(self, user: users.User, account: HostAccount | None, members: Members) -> Sequence[str]:
        """Return what differs of memberships and home."""
        if not user.managed or account is None or account.uid != user.uid:
            return []
        group = self._accounts.group(self._group) if user.docker else None
        primary = group is not None and account.gid == group.gid
        found = [one.sentence for one in find_differences(user, members, self._group, primary=primary)]
        problem = homes.find_problem(user.home, user.uid) if user.home else None
        return [*found, *([problem] if problem else [])]


def _archives_of_all(tx: Tx) -> Mapping[str, Sequence[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for archive in archives.of_all(tx):
        found[archive.user_id].append(archive.path)
    return found


def _cohort_names(tx: Tx) -> Mapping[str, str]:
    return {cohort.id: cohort.name for cohort in cohorts.all_cohorts(tx, ended=True)}
