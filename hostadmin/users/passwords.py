"""Passwords that are made here: read off a card, typed once, replaced by the person's own at the first login.

The alphabet is what a printed card and any Latin keyboard leave no doubt about: lower case only; no ``l`` beside ``1``, no
digit that is a letter's twin (``0``, ``1``), no ``c`` that is heard as ``k``; and no letter that lies elsewhere on QWERTZ
(``y``, ``z``) or AZERTY (``a``, ``q``, ``w``, ``z``, ``m``), since a console may have another layout than the keys say. ``-``
needs no Shift on any of them. It does move between layouts, and French keyboards want Shift for digits: both stay,
for groups are read without a slip and many rules for passwords ask for a digit.
"""

import math
import random
import secrets
from typing import Final

CONSONANTS: Final = "bdfghjknprstv"
VOWELS: Final = "eiou"
DIGITS: Final = "23456789"
GROUPS: Final = 4
SYLLABLES: Final = 2  # in a group
DIGITS_AT_THE_END: Final = 2
BITS: Final = GROUPS * SYLLABLES * math.log2(len(CONSONANTS) * len(VOWELS)) + DIGITS_AT_THE_END * math.log2(len(DIGITS))
"""Entropy of one password: every letter and digit is drawn evenly and on its own (``accounts.md`` 9.1 wants 50 or more)."""

RANDOM_ROUNDS: Final = 5000
"""Rounds of sha512-crypt for these passwords: their entropy is their protection, and a class of 300 is hashed at once."""

SYSTEM: Final = secrets.SystemRandom()


def generate(rng: random.Random = SYSTEM) -> str:
    """Return a new password such as ``budo-kife-ropi-tuve-47``: ASCII, 22 characters, ``BITS`` bits.

    Args:
        rng: where chance comes from; another than the system's is for tests.

    """
    groups = ["".join(rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(SYLLABLES)) for _ in range(GROUPS)]
    return "-".join([*groups, "".join(rng.choice(DIGITS) for _ in range(DIGITS_AT_THE_END))])
