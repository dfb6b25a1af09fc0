"""Passwords: checked and hashed here, handed to the host as hashes only."""

from typing import Final

from passlib.hash import sha512_crypt

from hostadmin.core.errors import Invalid

ROUNDS: Final = 100_000
SHORTEST: Final = 8
LONGEST: Final = 512


def hash_password(password: str, *, rounds: int = ROUNDS) -> str:
    """Return a password's sha512-crypt hash, as ``chpasswd -e`` takes it.

    Args:
        password: somebody's choice, or one of ``users.passwords``.
        rounds: what a guess costs; the default is for passwords that somebody chose, ``passwords.RANDOM_ROUNDS`` for random ones.

    Raises:
        Invalid: too short, too long, with control characters, or no text; the text is never repeated.

    """
    check_password(password)
    hashed: str = sha512_crypt.using(rounds=rounds).hash(password)
    return hashed


def check_password(password: str) -> None:
    """Refuse a password that a login could not take.

    Raises:
        Invalid: with the rule.

    """
    too_odd = any(ord(c) < ord(" ") or 0xD800 <= ord(c) < 0xE000 or ord(c) == 0x7F for c in password)
    if not SHORTEST <= len(password) <= LONGEST or too_odd:
        raise Invalid(f"Refused password: it must have {SHORTEST} to {LONGEST} characters and no control characters.", key="password")


def matches(password: str, hashed: str) -> bool:
    """Tell whether a password is the one behind a hash of ours, locked (``!``) or not; other kinds of hash never match."""
    hashed = hashed.lstrip("!")
    return bool(sha512_crypt.identify(hashed)) and bool(sha512_crypt.verify(password, hashed))
