"""New random passwords for accounts that are there: made here, shown once, to be changed at the next login."""

from collections.abc import Mapping, Sequence

from hostadmin.core.values import Actor
from hostadmin.host import libcrypt
from hostadmin.users.changing import Changing
from hostadmin.users.context import Context
from hostadmin.users.passwords import RANDOM_ROUNDS, generate


class Renewal:
    """Gives new passwords.

    Args:
        context: ledger, host, journal.
        changing: sets the hashes.

    """

    def __init__(self, context: Context, changing: Changing) -> None:
        self._context = context
        self._changing = changing

    def renew(self, actor: Actor, login: str) -> str:
        """Give an account a new password that the next login must change, and return it: it is kept nowhere.

        Raises:
            NotFound, Forbidden, Conflict: there is none of that name, or it is not ours.
            Failed: the host could not do it.

        """
        passwords, hashes = draw([login])
        self.put(actor, login, hashes[login])
        return passwords[login]

    def put(self, actor: Actor, login: str, hashed: str) -> None:
        """Set a password that was drawn before; the next login must change it."""
        with self._context.of(login):
            self._changing.set_hash(actor, login, hashed, force=True)


def draw(logins: Sequence[str]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return new passwords and their hashes, each by login."""
    passwords = {login: generate() for login in logins}
    return passwords, dict(zip(passwords, libcrypt.hash_many(list(passwords.values()), RANDOM_ROUNDS), strict=True))
