"""Generated passwords: their entropy, their alphabet, and what they cost to hash."""

import random
import re
from collections import Counter

import pytest

from hostadmin.core.crypt import is_hash
from hostadmin.core.errors import Invalid
from hostadmin.users import passwords
from hostadmin.users.credentials import check_password, hash_password, matches
from hostadmin.users.passwords import BITS, CONSONANTS, DIGITS, RANDOM_ROUNDS, VOWELS, generate


def test_at_least_fifty_bits_by_the_tables() -> None:
    assert BITS >= 50
    assert pytest.approx((13 * 4) ** 8 * 8**2) == 2**BITS, "eight syllables of 13 x 4, two digits of 8"
    for table in (CONSONANTS, VOWELS, DIGITS):
        assert len(set(table)) == len(table), "a letter twice would count for more bits than it has"
    assert not set(CONSONANTS) & set(VOWELS)


@pytest.mark.parametrize(("letters", "why"), [("lI1", "one another's twin"), ("O0", "the same"), ("yz", "QWERTZ"), ("aqwzm", "AZERTY")])
def test_letters_that_are_mistaken_are_left_out(letters: str, why: str) -> None:
    assert not set(letters) & set(CONSONANTS + VOWELS + DIGITS), why


def test_the_form_of_a_thousand() -> None:
    made = [generate() for _ in range(1000)]
    form = re.compile(rf"(?:(?:[{CONSONANTS}][{VOWELS}]){{2}}-){{4}}[{DIGITS}]{{2}}", re.ASCII)
    assert [p for p in made if not form.fullmatch(p)] == []
    assert len(set(made)) == 1000
    for password in made:
        check_password(password)


def test_every_place_takes_every_letter_evenly() -> None:
    made = [generate(random.Random(n)) for n in range(4000)]
    for place, sample in enumerate(made[0]):
        table = next((t for t in (CONSONANTS, VOWELS, DIGITS) if sample in t), "-")
        found = Counter(p[place] for p in made)
        assert set(found) == set(table)
        even = 4000 / len(table)
        assert all(0.7 * even < n < 1.3 * even for n in found.values()), (place, found)


def test_chance_is_the_systems_unless_said() -> None:
    assert isinstance(passwords.SYSTEM, random.SystemRandom)
    assert generate(random.Random(7)) == generate(random.Random(7))
    random.seed(7)
    first = generate()
    random.seed(7)
    assert generate() != first, "seeding what everybody shares changes nothing"


def test_random_ones_are_hashed_with_few_rounds() -> None:
    password = generate()
    hashed = hash_password(password, rounds=RANDOM_ROUNDS)
    assert hashed.startswith("$6$")
    assert "rounds=" not in hashed, "5000 is what crypt(5) means where none are said"
    assert is_hash(hashed)
    assert matches(password, hashed)
    assert not matches(password[:-1], hashed)


def test_few_rounds_let_no_bad_password_in() -> None:
    with pytest.raises(Invalid):
        hash_password("short", rounds=RANDOM_ROUNDS)
