"""Rosters: rows and their cohort, cell by cell, and every problem at once."""

import time
from datetime import date

import pytest

from hostadmin.core.crypt import is_hash
from hostadmin.users.roster import CohortWish, Row, RosterRefused
from tests.unit.users.rosters import HASH, KEY, OTHER_KEY, TODAY, problem, problems, read

FULL = f"""login,name,mail,profile,groups,ssh keys,starts,expires,docker,password hash
ashu,Ashu Kumar,ashu@example.org,tutor,"lab, dialout",{KEY} laptop,2026-12-01,2026-12-24,no,{HASH}
"""


def test_a_row_with_everything():
    roster = read(FULL, "spring.csv")
    assert roster.cohort == CohortWish("spring", None, None, None)
    assert roster.rows == (
        Row(
            row=1, line=2, login="ashu", suggested=False, name="Ashu Kumar", mail="ashu@example.org", profile="tutor",
            groups=("lab", "dialout"), keys=(f"{KEY} laptop",), starts=date(2026, 12, 1), expires=date(2026, 12, 24),
            docker=False, hashed=HASH,
        ),
    )  # fmt: skip
    assert HASH not in repr(roster)


def test_a_row_with_nothing_but_a_login():
    (row,) = read("login\nashu\n").rows
    assert row == Row(1, 2, "ashu", False, "", "", None, (), (), None, None, True, None)


def test_what_a_row_leaves_out_is_the_cohorts():
    start, end = date(2026, 12, 1), date(2026, 12, 24)
    roster = read(
        "login,profile,starts,expires\na,,,\nb,tutor,2026-12-02,2026-12-03\n", cohort="kurs", profile="student", starts=start, ends=end
    )
    assert roster.cohort == CohortWish("kurs", "student", start, end)
    first, second = roster.rows
    assert (first.profile, first.starts, first.expires) == ("student", start, end)
    assert (second.profile, second.starts, second.expires) == ("tutor", date(2026, 12, 2), date(2026, 12, 3))


LOGINS = {
    "a/b": "byte 2 is 0x2f '/': only a-z, 0-9, '_' and '-'",
    "123": "byte 1 is 0x31 '1': it must begin with a-z",
    "-a": "byte 1 is 0x2d '-': it must begin with a-z",
    ".": "byte 1 is 0x2e '.': only a-z, 0-9, '_' and '-'",
    "a$(id)": "byte 2 is 0x24 '$': only a-z, 0-9, '_' and '-'",
    "Ashu": "byte 1 is 0x41 'A': only a-z, 0-9, '_' and '-'",
    "a b": "byte 2 is 0x20 ' ': only a-z, 0-9, '_' and '-'",
    "a:b": "byte 2 is 0x3a ':': only a-z, 0-9, '_' and '-'",
    "a\tb": "byte 2 is 0x09 (a control character): only a-z, 0-9, '_' and '-'",
    "a\x7f": "byte 2 is 0x7f (a control character): only a-z, 0-9, '_' and '-'",
    "аshu": "byte 1 is U+0430 CYRILLIC SMALL LETTER A: only a-z, 0-9, '_' and '-'",
    "ümit-ο": "byte 1 is U+00FC LATIN SMALL LETTER U WITH DIAERESIS: only a-z, 0-9, '_' and '-'",
    "aο": "byte 2 is U+03BF GREEK SMALL LETTER OMICRON: only a-z, 0-9, '_' and '-'",
    "a１": "byte 2 is U+FF11 FULLWIDTH DIGIT ONE: only a-z, 0-9, '_' and '-'",
    "a\u200bb": "byte 2 is U+200B ZERO WIDTH SPACE: only a-z, 0-9, '_' and '-'",
    "a\ue000": "byte 2 is U+E000 without a name: only a-z, 0-9, '_' and '-'",
    "a" * 32: "it has 32 bytes: at most 31",
    "root": "it belongs to the system. Choose another one",
    "docker": "it belongs to the system. Choose another one",
}


@pytest.mark.parametrize("login", LOGINS)
def test_logins_are_refused_with_the_byte(login):
    found = problem(f'name,login\nfirst,ok\nAshu,"{login}"\n')
    assert (found["row"], found["line"], found["column"]) == (2, 3, "login")
    assert found["reason"] == LOGINS[login]


DAYS = {
    "2026-13-45": "there is no month 13",
    "2026-00-10": "there is no month 00",
    "2027-02-30": "there is no day 30 in February 2027: it has 28",
    "2027-02-29": "there is no day 29 in February 2027: it has 28",
    "2027-01-00": "there is no day 00 in January 2027: it has 31",
    "0000-01-01": "there is no year 0",
    "tomorrow": "it is no date; wanted: YYYY-MM-DD, as in 2026-02-05",
    "never": "it is no date; wanted: YYYY-MM-DD, as in 2026-02-05",
    "31.12.2026": "it is no date; wanted: YYYY-MM-DD, as in 2026-02-05",
    "12/31/2026": "it is no date; wanted: YYYY-MM-DD, as in 2026-02-05",
    "26-1-1": "a year has four digits, a month and a day have two; wanted: YYYY-MM-DD, as in 2026-02-05",
    "2026-1-31": "a year has four digits, a month and a day have two; wanted: YYYY-MM-DD, as in 2026-02-05",
    "20260101": "its hyphens are missing; wanted: YYYY-MM-DD, as in 2026-02-05",
    "2027-01-01T00:00": "it is no date; wanted: YYYY-MM-DD, as in 2026-02-05",
    "-2027-01-01": "it is no date; wanted: YYYY-MM-DD, as in 2026-02-05",
    "２０２７-01-01": "it is no date; wanted: YYYY-MM-DD, as in 2026-02-05",
    "2025-12-31": "it is in the past; to end access now, use `hostadmin user lock`",
    "9999-12-31": "it is beyond what shadow can hold",
}


@pytest.mark.parametrize("day", DAYS)
def test_days_are_strict(day):
    found = problem(f"login,expires\nashu,{day}\n")
    assert found == {"row": 1, "line": 2, "column": "expires", "value": day, "reason": DAYS[day]}


@pytest.mark.parametrize("day", [TODAY.isoformat(), "2028-02-29", "9999-12-30"])
def test_days_that_are_fine(day):
    assert read(f"login,expires\nashu,{day}\n").rows[0].expires == date.fromisoformat(day)


def test_a_start_may_be_over():
    assert read("login,starts\nashu,2020-01-01\n").rows[0].starts == date(2020, 1, 1)


ORDERS = {
    "both of the row": ("starts,expires\n2026-12-24,2026-12-23", "expires", "it is before the first day, 2026-12-24"),
    "the row's end, the cohort's start": ("expires\n2026-11-30", "expires", "it is before the first day, 2026-12-01"),
    "the row's start, the cohort's end": ("starts\n2027-01-01", "starts", "it is after the cohort's last day, 2026-12-31"),
}  # fmt: skip


@pytest.mark.parametrize("name", ORDERS)
def test_an_end_is_not_before_its_start(name):
    text, column, reason = ORDERS[name]
    header, cells = text.split("\n")
    found = problem(f"login,{header}\nashu,{cells}\n", starts=date(2026, 12, 1), ends=date(2026, 12, 31))
    assert (found["column"], found["reason"], found["row"]) == (column, reason, 1)


def test_one_day_is_long_enough():
    assert read("login,starts,expires\nashu,2026-12-01,2026-12-01\n").rows[0].expires == date(2026, 12, 1)


def test_the_cohorts_days_are_judged_once():
    found = problem("login\na\nb\n", ends=date(2020, 1, 1))
    assert (found["row"], found["column"], found["value"]) == (None, "cohort ends", "2020-01-01")
    found = problem("login\na\nb\n", starts=date(2027, 1, 2), ends=date(2027, 1, 1))
    assert found["reason"] == "it is before the first day, 2027-01-02"


CELLS = {
    "an escape in a name": ("name", "a\x1b[31m", "byte 2 is 0x1b (a control character): only characters that can be seen, on one line"),
    "a line break in a name": ("name", '"Ashu\nKumar"', "byte 5 is 0x0a (a control character): only characters that can be seen, on one line"),
    "a name that turns the line around": ("name", "Ä\u202eb", "byte 3 is U+202E RIGHT-TO-LEFT OVERRIDE: only characters that can be seen, on one line"),
    "an isolate": ("name", "a\u2066b", "byte 2 is U+2066 LEFT-TO-RIGHT ISOLATE: only characters that can be seen, on one line"),
    "a hidden space": ("name", "a\u00a0b", "byte 2 is U+00A0 NO-BREAK SPACE: only characters that can be seen, on one line"),
    "the separator of passwd": ("name", "a:b", "at most 200 characters, printable ones, without ':' (the passwd file's separator)"),
    "a long name": ("name", "x" * 201, "at most 200 characters, printable ones, without ':' (the passwd file's separator)"),
    "a mail without @": ("mail", "ashu.example.org", "it is no mail address: one '@' with something on both sides, and no spaces"),
    "a mail with two": ("mail", "a@b@c", "it is no mail address: one '@' with something on both sides, and no spaces"),
    "a mail with a space": ("mail", "a b@c", "it is no mail address: one '@' with something on both sides, and no spaces"),
    "a mail of nobody": ("mail", "@c", "it is no mail address: one '@' with something on both sides, and no spaces"),
    "a mail of nowhere": ("mail", "a@", "it is no mail address: one '@' with something on both sides, and no spaces"),
    "a mail of two lines": ("mail", '"a@b.c\nBcc: x@y.z"', "byte 6 is 0x0a (a control character): only characters that can be seen, on one line"),
    "a long mail": ("mail", "a@" + "b" * 253, "it has 255 characters: at most 254"),
    "no such profile": ("profile", "boss", "there is no such profile; known ones: student, tutor"),
    "a profile in other letters": ("profile", "Student", "there is no such profile; known ones: student, tutor"),
    "no such group": ("groups", "lab sudo", "group 2: it is not among the groups that may be given"),
    "two wrong groups": ("groups", '"sudo,a/b"', "group 1: it is not among the groups that may be given; group 2: byte 2 is 0x2f '/': only a-z, 0-9, '_' and '-'"),
    "a group that is an option": ("groups", "-g", "group 1: byte 1 is 0x2d '-': it must begin with a-z or '_'"),
    "a long group": ("groups", "g" * 33, "group 1: it has 33 bytes: at most 32"),
    "a group on two lines": ("groups", '"lab\ndialout"', "byte 4 is 0x0a (a control character): only characters that can be seen, on one line"),
    "perhaps": ("docker", "maybe", "it is none of yes, true, 1, y, no, false, 0, n; empty means yes"),
}  # fmt: skip


@pytest.mark.parametrize("name", CELLS)
def test_cells_that_are_refused(name):
    column, cell, reason = CELLS[name]
    found = problem(f"login,{column}\nashu,{cell}\n")
    assert (found["row"], found["line"], found["column"], found["reason"]) == (1, 2, column, reason)


@pytest.mark.parametrize("cell", ["yes", "YES", "true", "1", "y", ""])
def test_docker_yes(cell):
    assert read(f"login,docker\nashu,{cell}\n").rows[0].docker is True


@pytest.mark.parametrize("cell", ["no", "No", "false", "0", "n"])
def test_docker_no(cell):
    assert read(f"login,docker\nashu,{cell}\n").rows[0].docker is False


@pytest.mark.parametrize("cell", ["lab dialout", '"lab,dialout"', '"lab; dialout"', "lab  dialout lab"])
def test_groups_with_any_separator_each_once(cell):
    assert read(f"login,groups\nashu,{cell}\n").rows[0].groups == ("lab", "dialout")


def test_a_group_is_asked_for_once():
    asked = []
    read("login,groups\n" + "".join(f"u{n},lab\n" for n in range(50)), is_group=lambda g: asked.append(g))
    assert asked == ["lab"]


@pytest.mark.parametrize("between", ["\n", "\r\n", "|", " | ", "\n\n", "|\n", ";", ",", " ; ", ", "])
def test_keys_with_either_separator(between):
    data = f'login,keys\nashu,"{KEY} at home; desk 3{between}{OTHER_KEY}{between}{KEY} again"\n'
    assert read(data).rows[0].keys == (f"{KEY} at home; desk 3", OTHER_KEY)


def test_a_second_key_is_never_taken_for_a_comment():
    found = problem(f'login,keys\nashu,"{KEY} at home {OTHER_KEY}"\n')
    assert found["reason"] == "key 1: another key stands behind it on the same line"


@pytest.mark.parametrize("cell", ["\x1f", "\x0b", f"{KEY}\x0c", f"{KEY}|\x1f", f"\x1c{KEY}", f"{KEY} a\x07"])
def test_control_characters_between_keys_are_not_overlooked(cell):
    assert problem(f'login,keys\nashu,"{cell}"\n')["column"] == "ssh keys"


def test_there_is_an_end_of_keys_and_groups():
    many = "|".join([KEY] * 20)
    assert read(f"login,keys\nashu,{many}\n").rows[0].keys == (KEY,)
    assert problem(f"login,keys\nashu,{many}|{KEY}\n")["reason"] == "there are 21 keys: at most 20"
    groups = [f"g{n}" for n in range(33)]
    assert len(read(f"login,groups\nashu,{' '.join(groups[:32])}\n", is_group=lambda g: None).rows[0].groups) == 32
    assert problem(f"login,groups\nashu,{' '.join(groups)}\n", is_group=lambda g: None)["reason"] == "there are 33 groups: at most 32"


def test_each_wrong_key_is_told_and_none_shown():
    found = problem(f'login,keys\nashu,"{KEY}|ssh-dss AAAA|command=""x"" {KEY}"\n')
    assert found["value"] == "(not shown)"
    assert found["reason"].startswith("key 2: keys of that type are obsolete")
    assert "key 3: there are options in front of the key" in found["reason"]


NO_HASHES = ["plaintext", "x", "!", "*", f"!{HASH}", HASH[:-1], f"{HASH}x", "$1$abcdefgh$" + "a" * 22, "rl.3StKT.4T8M", "correct horse"]


@pytest.mark.parametrize("text", NO_HASHES)
def test_what_is_no_hash_is_never_shown(text):
    found = problem(f"login,password hash\nashu,{text}\n")
    assert found["column"] == "password hash"
    assert found["value"] == "(not shown)"
    assert text not in found["reason"] or text in {"x", "!", "*"}


@pytest.mark.parametrize("column", ["login", "name", "mail", "profile", "groups", "starts", "expires", "docker", "cohort"])
def test_a_hash_in_a_wrong_column_is_not_shown_either(column):
    assert is_hash(HASH)
    header = "name,login" if column == "login" else f"login,{column}"
    shifted = f"{header}\nAshu,{HASH}:\n" if column == "login" else f"{header}\nashu,{HASH}:\n"
    found = problems(shifted)
    assert found
    assert HASH[8:40] not in str(found)
    assert HASH not in str(found)


PEM = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\nQyNTUxOQAAACDsecretsecret\n-----END OPENSSH PRIVATE KEY-----"


@pytest.mark.parametrize(
    "text",
    [
        f'login,ssh key\nashu,"{PEM}"\n',
        f"login,ssh key\nashu,{PEM}\n",
        f"login\n{PEM}\n",
        f'login,name\nashu,"{PEM}"\n',
        f"{PEM}\n",
        f'login,mail\nashu,"{PEM}"\n',
    ],
    ids=["quoted", "not quoted", "as logins", "as a name", "alone", "as mail"],
)
def test_a_private_key_is_refused_and_never_shown(text):
    with pytest.raises(RosterRefused) as caught:
        read(text)
    for piece in ("b3Blbn", "QyNTUx", "secret"):
        assert piece not in caught.value.message
        assert piece not in str(caught.value.fields)


def test_a_private_key_is_told_as_what_it_is():
    found = problem(f'login,ssh key\nashu,"{PEM}"\n')
    assert "PRIVATE key" in found["reason"]
    assert (found["row"], found["line"], found["value"]) == (1, 2, "(not shown)")


def test_logins_are_suggested_and_numbered():
    roster = read("name,login\nAshu Kumar,\nAnil Kumar,\nMax,akumar3\nAmit Kumar,\n", taken_logins={"akumar"})
    assert [(r.login, r.suggested) for r in roster.rows] == [("akumar2", True), ("akumar4", True), ("akumar3", False), ("akumar5", True)]


def test_a_login_given_further_down_is_not_suggested_above():
    roster = read("name,login\nAshu Kumar,\nSomebody,akumar\n")
    assert [r.login for r in roster.rows] == ["akumar2", "akumar"]


def test_a_given_login_may_be_taken():
    assert read("login\nashu\n", taken_logins={"ashu"}).rows[0].login == "ashu"


def test_no_login_can_be_made():
    found = problem("name,mail\n日本太郎,a@b.c\n")
    assert (found["column"], found["value"], found["row"]) == ("name", "日本太郎", 1)
    assert "no login can be made" in found["reason"]


def test_neither_login_nor_name():
    found = problem("login,name,mail\n,,a@b.c\n")
    assert (found["row"], found["column"], found["reason"]) == (1, "login", "there is neither a login nor a name")


def test_the_same_login_names_both_rows():
    found = problem("login\nashu\nnatraj\n# a remark\nashu\n")
    assert found == {"row": 3, "line": 5, "column": "login", "value": "ashu", "reason": "row 1 (line 2) and row 3 have the same login"}


COHORTS = {
    "given": (b"login\na\n", "x.csv", {"cohort": "kurs-1"}, "kurs-1"),
    "a column": (b"login,cohort\na,spring\nb,spring\n", "x.csv", {}, "spring"),
    "a column and the same given": (b"login,cohort\na,spring\n", "x.csv", {"cohort": "spring"}, "spring"),
    "TOML": (b'[cohort]\nname = "kurs"\n[[users]]\nlogin = "a"\n', "x.toml", {}, "kurs"),
    "given before TOML": (b'[cohort]\nname = "kurs"\n[[users]]\nlogin = "a"\n', "x.toml", {"cohort": "other"}, "other"),
    "the file's name": (b"login\na\n", "linux_101.2026.csv", {}, "linux_101.2026"),
    "the file's name in a folder": (b"login\na\n", "/tmp/x/Klasse Ü (2026).csv", {}, "klasse-ue-2026"),
    "a long file's name": (b"login\na\n", "x" * 80 + ".csv", {}, "x" * 63),
}


@pytest.mark.parametrize("name", COHORTS)
def test_where_a_cohort_has_its_name_from(name):
    data, filename, given, wanted = COHORTS[name]
    assert read(data, filename, **given).cohort.name == wanted


BAD_COHORTS = {
    "two": (b"login,cohort\na,x\nb,y\n", {}, {"row": 2, "column": "cohort", "value": "y"}, "row 1 has another one"),
    "one is missing": (b"login,cohort\na,x\nb,\n", {}, {"row": 2, "column": "cohort", "value": ""}, "row 1 has another one"),
    "the first is missing": (b"login,cohort\na,\nb,x\n", {}, {"row": 1, "column": "cohort", "value": ""}, "row 2 has another one"),
    "another was asked for": (b"login,cohort\na,x\n", {"cohort": "y"}, {"row": 1, "column": "cohort", "value": "x"}, "not the one that was asked for"),
    "a wrong letter": (b"login,cohort\na,a/b\n", {}, {"row": 1, "column": "cohort name", "value": "a/b"}, "byte 2 is 0x2f '/'"),
    "a wrong beginning": (b"login\na\n", {"cohort": ".x"}, {"row": None, "column": "cohort name", "value": ".x"}, "must begin with a-z or 0-9"),
    "too long": (b"login\na\n", {"cohort": "x" * 64}, {"row": None, "column": "cohort name"}, "64 bytes"),
    "empty": (b"login\na\n", {"cohort": ""}, {"row": None, "column": "cohort name"}, "0 bytes"),
    "no profile": (b"login\na\nb\n", {"profile": "boss"}, {"row": None, "column": "cohort profile", "value": "boss"}, "no such profile"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_COHORTS)
def test_cohorts_that_are_refused(name):
    data, given, wanted, reason = BAD_COHORTS[name]
    found = problem(data, "x.csv", **given)
    assert {k: found[k] for k in wanted} == wanted
    assert reason in found["reason"]


def test_a_file_without_a_name():
    assert "--cohort" in problem("login\na\n", "-")["reason"]
    assert read("login\na\n", "-", cohort="kurs").cohort.name == "kurs"


def test_all_problems_at_once_in_the_order_of_the_file():
    data = b"login,mail,docker,colour\na/b,x,perhaps,red\nok,a@b.c,yes\n\xfcx,a@b.c,,\nok,,,\nok,,,\n"
    found = problems(data)
    assert [(p["line"], p["column"]) for p in found] == [
        (1, "colour"), (2, "login"), (2, "mail"), (2, "docker"), (3, None), (4, "byte 1"), (6, "login"),
    ]  # fmt: skip


def test_the_message_tells_the_first_ones_and_the_count():
    with pytest.raises(RosterRefused) as caught:
        read("login\na/b\n" + "1\n" * 9)
    message = caught.value.message
    assert message.startswith("Refused roster class.csv: 10 problems. line 2 (row 1), login 'a/b': byte 2 is 0x2f '/'")
    assert message.count("login '") == 3
    assert message.endswith("; and 7 more.")
    with pytest.raises(RosterRefused, match=r"^Refused roster class.csv: 1 problem. line 2"):
        read("login\na/b\n")


def test_values_are_cut_and_made_printable():
    found = problem(f"login,mail\nashu,{'x' * 200}\n")
    assert found["value"] == "x" * 63 + "…"
    assert problem("login,mail\nashu,a\x07b\n")["value"] == "a\\x07b"
    assert problem("login,mail\nashu," + "\x07" * 100 + "\n")["value"].isprintable()


def test_a_field_may_have_ten_thousand_characters():
    long = f"{KEY} {'x' * (10_000 - len(KEY) - 1)}"
    assert read(f"login,key\na,{long}\n").rows[0].keys == (long,)
    assert problem(f"login,key\na,{long}x\n")["reason"] == "it has 10001 characters: at most 10000"


def test_two_thousand_rows_take_no_more_than_moments():
    line = ",Ashu Kümár,ashu@example.org,student,lab dialout," + f"{KEY}|{OTHER_KEY},2026-12-01,2026-12-24,yes,{HASH}\n"
    data = (FULL.splitlines()[0] + "\n" + line * 2000)[: 1024 * 1024].encode()
    rows = data.count(b"\n") - 1
    data = data[: data.rindex(b"\n") + 1]
    start = time.process_time()
    assert len(read(data).rows) == rows
    assert time.process_time() - start < 5
    start = time.process_time()
    assert len(read("name,mail\n" + "Ashu Kumar,a@b.c\n" * 2000).rows) == 2000
    assert time.process_time() - start < 5
