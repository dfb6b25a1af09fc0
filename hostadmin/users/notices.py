"""What people are told at login: before their last day a line, in `hostadmin me` too; and their shell, where Docker is."""

import logging
import os
import re
import shlex
import socket
from collections.abc import Sequence
from datetime import date
from typing import Final

from hostadmin.core.values import UserState
from hostadmin.host import notices
from hostadmin.store.users import User
from hostadmin.users.context import Context

LOG: Final = logging.getLogger("hostadmin.users")
PLACES: Final = re.compile(r"(?m)^( *)(hostadmin_(?:guard|notices))=.*$")  # the lines of the shipped script that name places


def login_script(shipped: str, *, guard: str, folder: str) -> str:
    """Return the login script of this host.

    Args:
        shipped: the script as it is shipped.
        guard: the guard's socket; empty if docker finds it by itself.
        folder: where the notices are.

    """
    places = {"hostadmin_guard": guard, "hostadmin_notices": folder}
    return PLACES.sub(lambda found: f"{found[1]}{found[2]}={shlex.quote(places[found[2]])}", shipped)


def notice_for(expires: date | None, today: date, *, days: int, host: str) -> str | None:
    """Return the sentence for somebody with that last day of access; ``None``: it is too early, or it is over.

    Args:
        expires: the last day of access.
        today: in UTC.
        days: how long before.
        host: the host's name.

    """
    if expires is None or not 0 <= (left := (expires - today).days) <= days:
        return None
    when = {0: "today", 1: "tomorrow"}.get(left, f"in {left} days")
    return f"Your access to {host} ends on {expires} ({when}): save what you need; then containers, volumes and home go."


class Notices:
    """Writes and removes the lines that people get at login.

    Args:
        context: the settings.
        shipped: the login script as it is shipped.

    """

    def __init__(self, context: Context, shipped: str) -> None:
        self._context = context
        self._keeping = context.places.keeping
        self._guard = context.places.guard
        self._shipped = shipped
        self._written: object = None

    def text(self, user: User | None) -> str | None:
        """Return what is to be said to an account now."""
        if user is None or user.state is not UserState.ACTIVE:
            return None
        return notice_for(user.expires, self._context.today(), days=self._keeping.notice_days, host=socket.gethostname())

    def refresh(self, everybody: Sequence[User]) -> None:
        """Bring the files to what is due; they belong to whom they are for, and only they read them."""
        if not self._keeping.notices:
            return
        due = {user.login: (user.uid, text) for user in everybody if (text := self.text(user))}
        if due != self._written or not os.path.isdir(self._keeping.notices):
            notices.write(self._keeping.notices, due)
            self._written = due

    def install(self) -> None:
        """Put the login script in its place if it is missing or another one; a host without that folder has none."""
        path = self._keeping.login_script
        if not path:
            return
        try:
            if notices.ensure_script(path, login_script(self._shipped, guard=self._guard, folder=self._keeping.notices)):
                LOG.info("users: %s tells people at login where Docker is and when their access ends", path)
        except OSError as error:
            LOG.warning(
                "users: nobody is told at login where Docker is or when access ends: %s cannot be written: %s", path, error.strerror
            )
