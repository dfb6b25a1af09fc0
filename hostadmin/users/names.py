"""What a new account may be called, and until when it may live. Pure functions."""

from datetime import date
from typing import Final

from hostadmin.core.errors import Invalid

NAME_LIMIT: Final = 200
LAST_DAY: Final = date(9999, 12, 30)  # shadow gets the day after it


def check_name(name: str) -> str:
    """Return a person's name if it can be a passwd comment.

    Raises:
        Invalid: with the rule.

    """
    if len(name) > NAME_LIMIT or ":" in name or not name.isprintable():
        raise Invalid(
            f"Refused name: at most {NAME_LIMIT} characters, printable ones, without ':' (the passwd file's separator).", key="user-name"
        )
    return name


def check_expires(expires: date | None, today: date) -> date | None:
    """Return a last day of access if it is not over already.

    Raises:
        Invalid: with the rule.

    """
    if expires is None or today <= expires <= LAST_DAY:
        return expires
    why = "is in the past; to end access now, use `hostadmin user lock`" if expires < today else "is beyond what shadow can hold"
    raise Invalid(f"Refused last day {expires}: it {why}.", key="expires")
