"""Password hashes: forms of crypt(5), judged by the host's own libcrypt where it is there."""

import ctypes
import ctypes.util

import pytest
from hypothesis import given, strategies as st

from hostadmin.core.crypt import STRONG, check_hash, is_hash
from hostadmin.core.errors import Invalid

A86, A43, A53, A22 = "a" * 86, "a" * 43, "a" * 53, "a" * 22
GOOD = {
    "sha512": f"$6$s${A86}",
    "sha512 with the longest salt": f"$6$./09AZaz./09AZaz${A86}",
    "sha512 with fewest rounds": f"$6$rounds=1000$salt${A86}",
    "sha512 with most rounds": f"$6$rounds=999999999$salt${A86}",
    "sha256": f"$5$salt${A43}",
    "sha256 with rounds": f"$5$rounds=5000$salt${A43}",
    "yescrypt": "$y$j9T$IWkHOlRdW/GQpK2q/ULcG1$YyWmBHsIHt2h8NfEaNrQlXVhY74PfH3xJR8kCVGmRj1",
    "gost-yescrypt": "$gy$j9T$XFjWZtu.tmOSoUTPUgJLa1$2As2PA8AmB3JOskdg./A40l/K5WgUVdI.PsFdDb2jz3",
    "bcrypt 2b": f"$2b$05${A53}",
    "bcrypt 2a, lowest cost": f"$2a$04${A53}",
    "bcrypt 2y, highest cost": f"$2y$31${A53}",
    "scrypt": "$7$CU..../.....DtCvI5XhpZXIbBoqbVQB.$RdCIbMlGC/ZOx9ttjG5YvV7yzDQS0wBzoq.b1/HTcL9",
}
WEAK = {
    "MD5": f"$1$tUnMRCTp${A22}",
    "MD5 without salt": f"$1$${A22}",
    "DES": "rl.3StKT.4T8M",
    "extended DES": "_J9..rasmBYk8r9AiWNc",
    "NT": "$3$$8846f7eaee8fb117ad06bdd830b7586c",
    "SunMD5": "$md5,rounds=904$8W$xxxx",
    "SHA1": f"$sha1$40000$jtNX3nZ2${'a' * 28}",
    "bcrypt with a bug": f"$2x$05${A53}",
}
NONE = {
    "nothing": "",
    "x": "x",
    "locked": "!",
    "no login": "*",
    "plain text": "correct horse battery",
    "a locked hash": f"!$6$salt${A86}",
    "two fields": f"$6$salt${A86}:",
    "a line more": f"$6$salt${A86}\n",
    "an account more": f"$6$salt${A86}\nroot:$6$salt${A86}",
    "a space before": f" $6$salt${A86}",
    "a space behind": f"$6$salt${A86} ",
    "one too few": f"$6$salt${'a' * 85}",
    "one too many": f"$6$salt${'a' * 87}",
    "another alphabet": f"$6$salt${'a' * 85}+",
    "no salt": f"$6$${A86}",
    "a long salt": f"$6${'s' * 17}${A86}",
    "rounds with a nought in front": f"$6$rounds=05000$salt${A86}",
    "rounds of nothing": f"$6$rounds=$salt${A86}",
    "rounds of ten digits": f"$6$rounds=1000000000$salt${A86}",
    "Arabic digits in rounds": f"$6$rounds=1٠٠٠٠$salt${A86}",
    "sha256 with the digest of sha512": f"$5$salt${A86}",
    "sha512 with the digest of sha256": f"$6$salt${A43}",
    "yescrypt without parameters": f"$y$$salt${A43}",
    "yescrypt without salt": f"$y$j9T$${A43}",
    "yescrypt, one too few": f"$y$j9T$salt${'a' * 42}",
    "bcrypt, cost too low": f"$2b$03${A53}",
    "bcrypt, cost too high": f"$2b$32${A53}",
    "bcrypt, one too few": f"$2b$05${'a' * 52}",
    "bcrypt, one too many": f"$2b$05${'a' * 54}",
    "bcrypt of no kind": f"$2$05${A53}",
    "scrypt without salt": f"$7$CU..../....${A43}",
    "scrypt, one too few": f"$7$CU..../....salt${'a' * 42}",
    "argon2": "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA",
    "LDAP": "{SSHA}DkMTwBl+a/3DQTxCYEApdUtNXGgdUac3",
    "a surrogate": "\ud800",
    "NUL": f"$6$salt${A86}\0",
}


@pytest.mark.parametrize("name", GOOD)
def test_hashes_that_are_taken(name):
    assert check_hash(GOOD[name]) == GOOD[name]
    assert is_hash(GOOD[name])


@pytest.mark.parametrize("name", WEAK)
def test_hashes_that_are_too_weak(name):
    with pytest.raises(Invalid, match="too weak") as caught:
        check_hash(WEAK[name])
    assert WEAK[name] not in caught.value.message
    assert caught.value.key == "password-hash"


@pytest.mark.parametrize("name", NONE)
def test_strings_that_are_no_hash(name):
    with pytest.raises(Invalid, match="no crypt") as caught:
        check_hash(NONE[name])
    assert caught.value.key == "password-hash"
    assert not is_hash(NONE[name])


@pytest.mark.parametrize("rounds", ["1", "10", "999"])
def test_rounds_that_no_login_could_match(rounds):
    with pytest.raises(Invalid, match="between 1000 and 999999999") as caught:
        check_hash(f"$5$rounds={rounds}$salt${A43}")
    assert "salt" not in caught.value.message


@given(st.text(min_size=4, max_size=120))
def test_no_message_repeats_any_part_of_what_was_given(text):
    secret = f"§{text}§"
    with pytest.raises(Invalid) as caught:
        check_hash(secret)
    assert secret not in caught.value.message
    assert "§" not in caught.value.message


def test_the_message_is_the_same_whatever_was_given():
    messages = set()
    for text in NONE.values():
        with pytest.raises(Invalid) as caught:
            check_hash(text)
        messages.add(caught.value.message)
    assert len(messages) == 1


@pytest.fixture(scope="module")
def libcrypt():
    name = ctypes.util.find_library("crypt")
    if name is None or not hasattr(library := ctypes.CDLL(name), "crypt_gensalt"):
        pytest.skip("this host has no libxcrypt to compare with")
    for function in (library.crypt, library.crypt_gensalt):
        function.restype = ctypes.c_char_p
    library.crypt_gensalt.argtypes = [ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_int]
    return library


METHODS = {
    "$6$": "sha512",
    "$5$": "sha256",
    "$y$": "yescrypt",
    "$gy$": "gost-yescrypt",
    "$2b$": "bcrypt",
    "$2y$": "bcrypt",
    "$2a$": "bcrypt",
    "$7$": "scrypt",
}


@pytest.mark.parametrize("prefix", METHODS)
def test_what_the_host_makes_is_taken(libcrypt, prefix):
    for cost in (0, 6) if prefix == "$7$" else (0, 5):
        salt = libcrypt.crypt_gensalt(prefix.encode(), cost, None, 0)
        if salt is None:
            pytest.skip(f"this host's libcrypt does not know {prefix}")
        made = libcrypt.crypt(b"correct horse", salt).decode()
        assert STRONG[METHODS[prefix]].fullmatch(made), "by its own row of the table"
        assert check_hash(made) == made
        for broken in (made[:-1], made + "a", made + "\n", made.replace("$", "$$", 1), made[1:]):
            assert not is_hash(broken)


def test_the_tables_cover_each_other():
    assert set(METHODS.values()) == set(STRONG)


@pytest.mark.parametrize("prefix", ["$1$", "$3$", "$md5", "$sha1", "$2x$", "_", ""])
def test_what_the_host_could_make_but_should_not_is_refused(libcrypt, prefix):
    salt = libcrypt.crypt_gensalt(prefix.encode(), 0, None, 0) or {"$2x$": b"$2x$05$" + b"a" * 22, "": b"ab"}.get(prefix)
    made = libcrypt.crypt(b"correct horse", salt) if salt else None
    if made is None or made.startswith(b"*"):
        pytest.skip(f"this host's libcrypt does not know {prefix!r}")
    with pytest.raises(Invalid, match="too weak"):
        check_hash(made.decode())


@pytest.mark.parametrize(
    "name", ["sha512", "sha256", "sha512 with fewest rounds", "yescrypt", "gost-yescrypt", "bcrypt 2b", "bcrypt 2a, lowest cost", "scrypt"]
)
def test_what_is_taken_the_host_can_compute(libcrypt, name):
    known = GOOD[name]
    again = libcrypt.crypt(b"x", known.encode()).decode()
    assert len(again) == len(known)
    assert again.split("$")[1] == known.split("$")[1]


def test_rounds_below_a_thousand_are_another_hash_for_the_host(libcrypt):
    again = libcrypt.crypt(b"x", f"$6$rounds=10$salt${A86}".encode())
    assert again is None or not again.startswith(b"$6$rounds=10$"), "so that nobody could ever log in with it"
