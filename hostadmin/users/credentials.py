"""Passwords: checked and hashed here, handed to the host as hashes only."""

from typing import Final

from passlib.hash import sha512_crypt

from hostadmin.core.errors import Invalid

ROUNDS: Final = 100_000
SHORTEST: Final = 8
LONGEST: Final = 512


def hash_password(password: str) -> str:
    """Return a password's sha512-crypt hash, as ``chpasswd -e`` takes it.

    Raises:
        Invalid: too short, too long, or with control characters; the text is never repeated.

    """
    if not SHORTEST <= len(password) <= LONGEST or any(ord(c) < ord(" ") for c in password):
        raise Invalid(f"Refused password: it must have {SHORTEST} to {LONGEST} characters and no control characters.", key="password")
    hashed: str = sha512_crypt.using(rounds=ROUNDS).hash(password)
    return hashed
