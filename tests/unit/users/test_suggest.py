"""Logins from names: letters of Europe, Cyrillic, Greek, order of names, numbers, reserved ones."""

import time

import pytest
from hypothesis import given, strategies as st

from hostadmin.core.names import RESERVED_LOGINS, check_login
from hostadmin.users.suggest import login_stem, number_login
from hostadmin.users.transliteration import CYRILLIC, GREEK, LATIN, to_ascii


def suggest_login(name, taken):
    """The two halves as a roster puts them together."""
    stem = login_stem(name)
    return number_login(stem, taken) if stem else None


NAMES = {
    "Ashu Kumar": "akumar",
    "Kumar, Ashu": "akumar",
    "ASHU KUMAR": "akumar",
    "  Ashu \t Kumar  ": "akumar",
    "Natraj": "natraj",
    "Anna Maria Kovács": "akovacs",
    "Kovács, Anna Maria": "akovacs",
    "Jürgen Groß": "jgross",
    "Ju\u0308rgen Gro\u00df": "jgross",
    "GROẞ, Jörg": "jgross",
    "Ärne Öztürk": "aoeztuerk",
    "Søren Kierkegård": "skierkegaard",
    "Łukasz Żółć": "lzolc",
    "Đorđe Đukić": "ddukic",
    "Þór Guðmundsson": "tgudmundsson",
    "Æthelred Œuvre": "aoeuvre",
    "María Núñez": "mnunez",
    "François Garçon": "fgarcon",
    "Işıl Şahin": "isahin",
    "İbrahim Yıldız": "iyildiz",
    "Jiří Dvořák": "jdvorak",
    "Zdeněk Šťastný": "zstastny",
    "Małgorzata Wiśniewska": "mwisniewska",
    "Győző Kőműves": "gkomuves",
    "Nguyễn Thị Hồng Đào": "ndao",
    "Ștefan Țăran": "staran",
    "Ģirts Kļaviņš": "gklavins",
    "Юлия Щербакова": "yshcherbakova",
    "Сергей Йовович": "syovovich",
    "Ольга Соловьёва": "osolovyova",
    "Їжак Ґалаґан": "ygalagan",
    "Ђорђе Љубичић": "dljubichic",
    "Γιώργος Παπαδόπουλος": "gpapadopoulos",
    "Ελένη Ψυχούλη": "epsychouli",
    "Seán O'Brien": "sobrien",
    "Seán O’Brien": "sobrien",
    "Anna-Lena Müller-Lüdenscheid": "amuellerluedenscheid",
    "Ludwig van Beethoven": "lbeethoven",
    "van Beethoven, Ludwig": "lbeethoven",
    "Prof. Dr. Anna Kovács": "akovacs",
    "Martin King, Jr.": "mking",
    "Martin King Jr.": "mking",
    "Frau": "frau",
    "4lice Wonder": "lwonder",
    "２Ｐａｃ Shakur": "pshakur",
    "R2 D2": "rd2",
    "A B": "ab",
    "Kumar,": "kumar",
    ", Ashu": "ashu",
    "Hubert Blaine Wolfeschlegelsteinhausenbergerdorff": "hwolfeschlegelsteinhausenberger",
    "Nikolaus Müller, Nik": "nmueller",
    "日本 Taro": "taro",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_logins_that_one_can_guess(name):
    login = suggest_login(name, frozenset())
    assert login == NAMES[name]
    assert check_login(login) == login


@pytest.mark.parametrize("name", ["", " ", "日本太郎", "123", "---", ",", "' '", "🙂", "\u0301", "\ud800", "\u202e"])
def test_nothing_is_left(name):
    assert suggest_login(name, frozenset()) is None
    assert login_stem(name) == ""


def test_taken_ones_get_numbers():
    taken = set()
    for wanted in ("akumar", "akumar2", "akumar3"):
        login = suggest_login("Ashu Kumar", taken)
        assert login == wanted
        taken.add(login)
    assert suggest_login("Anil Kumar", {"akumar", "akumar3"}) == "akumar2"


@pytest.mark.parametrize("login", ["root", "docker", "admin", "nobody", "me"])
def test_reserved_ones_get_numbers(login):
    assert login in RESERVED_LOGINS
    assert suggest_login(login.title(), frozenset()) == f"{login}2"


def test_a_number_fits_into_the_length():
    long = "x" * 40
    assert suggest_login(long, frozenset()) == "x" * 31
    taken = {"x" * 31} | {f"{'x' * 30}{n}" for n in range(2, 10)}
    assert suggest_login(long, taken) == f"{'x' * 29}10"


def test_a_beginning_number_is_a_short_cut_only():
    assert number_login("a", {"a", "a2"}, first=3) == number_login("a", {"a", "a2"}) == "a3"


@given(st.text(max_size=80), st.sets(st.sampled_from(["akumar", "a", "a2", "x"])))
def test_whatever_comes_out_is_free_and_allowed(name, taken):
    login = suggest_login(name, taken)
    if login is not None:
        assert check_login(login) == login
        assert login not in taken


@given(st.text(max_size=80))
def test_letters_are_ours(text):
    assert set(to_ascii(text)) <= set("abcdefghijklmnopqrstuvwxyz0123456789")
    parts = to_ascii(text, "-")
    assert "--" not in parts
    assert parts == parts.strip("-")


def test_every_letter_of_the_tables_has_its_spelling_in_both_cases():
    for letter, plain in (LATIN | CYRILLIC | GREEK).items():
        assert to_ascii(letter) == plain
        assert letter == letter.lower()
        if len(letter.upper()) == 1 and letter.upper().lower() == letter:
            assert to_ascii(letter.upper()) == plain


def test_two_thousand_of_one_name_take_no_time():
    taken, start = set(), time.process_time()
    for _ in range(2000):
        taken.add(suggest_login("Ashu Kumar", taken))
    assert len(taken) == 2000
    assert time.process_time() - start < 10
