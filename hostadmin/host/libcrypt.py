"""crypt(3) of the host's libcrypt: many hashes at once, without holding up the other threads.

passlib's own sha512-crypt is Python and holds the interpreter for all of its rounds (``accounts.md`` 9.1); it stays the
one that judges, and stands in where the library is not there.
"""

import ctypes
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from passlib.hash import sha512_crypt

NAMES: Final = ("libcrypt.so.1", "libcrypt.so.2")
STATE_BYTES: Final = 32768  # crypt.h: struct crypt_data
LANES: Final = 2


def hash_many(passwords: Sequence[str], rounds: int) -> list[str]:
    """Return the sha512-crypt hashes of passwords, each with a salt of its own, in their order.

    Args:
        passwords: in clear.
        rounds: what a guess costs.

    """
    library = _load()
    with ThreadPoolExecutor(LANES, "hashes") as lanes:
        return list(lanes.map(partial(_hash, library, rounds), passwords))


def _hash(library: Any, rounds: int, password: str) -> str:
    made = sha512_crypt.using(rounds=rounds)
    if library is not None:
        setting = f"$6$rounds={rounds}${made(use_defaults=True).salt}$"  # crypt(5)
        found = library.crypt_r(password.encode(), setting.encode(), ctypes.create_string_buffer(STATE_BYTES))
        if found and sha512_crypt.identify(found.decode()):
            return str(found.decode())
    return str(made.hash(password))


def _load() -> Any:
    for name in NAMES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.crypt_r.restype = ctypes.c_char_p
        library.crypt_r.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p)
        return library
    return None
