"""What people are told before their last day: a line at login, and in `hostadmin me`."""

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
PLACE: Final = re.compile(r"(?m)^( *)hostadmin_notices=.*$")  # the line of the shipped script that names the folder


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
        shipped: the login script as it is shipped; its line ``hostadmin_notices=`` gets the configured folder.

    """

    def __init__(self, context: Context, shipped: str) -> None:
        self._context = context
        self._keeping = context.places.keeping
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
        if not path or not self._keeping.notices:
            return
        script = PLACE.sub(lambda found: f"{found[1]}hostadmin_notices={shlex.quote(self._keeping.notices)}", self._shipped)
        try:
            if notices.ensure_script(path, script):
                LOG.info("users: %s tells people at login when their access ends", path)
        except OSError as error:
            LOG.warning("users: nobody is told at login when access ends: %s cannot be written: %s", path, error.strerror)
