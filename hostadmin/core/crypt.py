"""Which strings are password hashes: the forms of crypt(5) in Debian's libxcrypt that are strong enough to be given out.

Debian's ``chpasswd -e`` stores whatever it is given (``accounts.md`` 9.1), so the form is checked here, before.
"""

import re
from typing import Final

from hostadmin.core.errors import Invalid

ROUNDS: Final = range(1000, 1_000_000_000)
"""Outside of it libxcrypt hashes with the nearest bound: such a hash would open for nobody."""

_ROUNDS: Final = r"(?:rounds=(?P<rounds>[1-9][0-9]{0,8})\$)?"
STRONG: Final = {
    "sha512": re.compile(rf"\$6\${_ROUNDS}[./A-Za-z0-9]{{1,16}}\$[./A-Za-z0-9]{{86}}"),
    "sha256": re.compile(rf"\$5\${_ROUNDS}[./A-Za-z0-9]{{1,16}}\$[./A-Za-z0-9]{{43}}"),
    "yescrypt": re.compile(r"\$y\$[./A-Za-z0-9]{3,32}\$[./A-Za-z0-9]{1,86}\$[./A-Za-z0-9]{43}"),
    "gost-yescrypt": re.compile(r"\$gy\$[./A-Za-z0-9]{3,32}\$[./A-Za-z0-9]{1,86}\$[./A-Za-z0-9]{43}"),
    "bcrypt": re.compile(r"\$2[aby]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}"),
    "scrypt": re.compile(r"\$7\$[./A-Za-z0-9]{12,97}\$[./A-Za-z0-9]{43}"),  # N: 1, r: 5, p: 5 characters, then the salt
}
"""Method and form, as crypt(5) gives them; matched against the whole string."""

WEAK: Final = re.compile(
    r"\$1\$[^$:\n]{0,8}\$[./A-Za-z0-9]{22}"  # MD5
    r"|\$md5[^:\n]+|\$sha1\$[^:\n]+|\$3\$[^:\n]+"  # of Solaris, NetBSD, Windows
    r"|\$2x\$[0-9]{2}\$[./A-Za-z0-9]{53}"  # bcrypt with a bug
    r"|_?[./A-Za-z0-9]{13}|_[./A-Za-z0-9]{19}"  # DES; thirteen letters may also be a password
)


def check_hash(text: str) -> str:
    """Return ``text`` if it is a crypt(5) hash that the host understands and that is strong enough.

    Raises:
        Invalid: why not; no part of the text is ever repeated, since it may be a password.

    """
    for form in STRONG.values():
        if found := form.fullmatch(text):
            rounds = found.groupdict().get("rounds")
            if rounds is not None and int(rounds) not in ROUNDS:
                raise Invalid(
                    f"Refused password hash: its rounds must lie between {ROUNDS[0]} and {ROUNDS[-1]}, or no login could match it.",
                    key="password-hash",
                )
            return text
    if WEAK.fullmatch(text):
        raise Invalid(
            "Refused password hash: its form (MD5, DES or another old one) is too weak. Make a new one with `mkpasswd` (yescrypt) "
            "or `openssl passwd -6`, or give none: hostadmin makes a password.",
            key="password-hash",
        )
    raise Invalid(
        f"Refused password hash: it is no crypt(5) hash ({', '.join(STRONG)}; nothing before or after it). "
        "Make one with `mkpasswd` or `openssl passwd -6`, or give none: hostadmin makes a password.",
        key="password-hash",
    )


def is_hash(text: str) -> bool:
    """Tell whether ``check_hash`` takes it."""
    try:
        check_hash(text)
    except Invalid:
        return False
    return True
