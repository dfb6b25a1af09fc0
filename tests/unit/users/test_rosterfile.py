"""The forms of a roster: endings, delimiters, quotes, bytes, limits; and that any bytes are rows or problems."""

import csv
import io
import time
from datetime import date

import pytest
from hypothesis import given, settings, strategies as st

from hostadmin.users.roster import RosterRefused
from hostadmin.users.rosterfile import ALIASES
from tests.unit.users.rosters import HASH, KEY, OTHER_KEY, problem, problems, read

TEXT = 'login,name,groups\nashu,"Kumar, Ashu",\nnatraj,Nátraj,lab\n'
ROWS = [("ashu", "Kumar, Ashu", ()), ("natraj", "Nátraj", ("lab",))]
TOML = """# spring
[cohort]
name = "kurs"
profile = "student"
starts = 2026-12-01
ends = "2026-12-24"

[[users]]
login = "ashu"
name = "Kumar, Ashu"
docker = false

[[users]]
Full-Name = "Nátraj"
groups = ["lab", "dialout"]
"SSH Keys" = ["KEY", "OTHER"]
expires = 2026-12-20
""".replace("OTHER", OTHER_KEY).replace('"KEY"', f'"{KEY}"')


def plain(roster):
    return [(r.login, r.name, r.groups) for r in roster.rows]


FORMS = {
    "commas": (TEXT, "c.csv"),
    "semicolons": ("login;name;groups\nashu;Kumar, Ashu;\nnatraj;Nátraj;lab\n", "c.csv"),
    "a spreadsheet's first line": ("sep=;\nlogin;name;groups\nashu;Kumar, Ashu;\nnatraj;Nátraj;lab\n", "c.csv"),
    "tabs": (TEXT.replace('"Kumar, Ashu"', "Kumar; Ashu").replace(",", "\t").replace(";", ","), "c.tsv"),
    "tabs in a .csv": (TEXT.replace('"Kumar, Ashu"', "Kumar; Ashu").replace(",", "\t").replace(";", ","), "c.csv"),
    "tabs in a .txt": (TEXT.replace('"Kumar, Ashu"', "Kumar; Ashu").replace(",", "\t").replace(";", ","), "c.txt"),
    "no ending": (TEXT, "class"),
    "an unknown ending": (TEXT, "c.dat"),
    "an ending in capitals": (TEXT, "C.CSV"),
    "CRLF": (TEXT.replace("\n", "\r\n"), "c.csv"),
    "CR": (TEXT.replace("\n", "\r"), "c.csv"),
    "no last end of line": (TEXT.rstrip(), "c.csv"),
    "a byte order mark": ("\ufeff" + TEXT, "c.csv"),
    "a byte order mark and quotes": ("\ufeff" + TEXT.replace("login,name", '"login","name"'), "c.csv"),
    "all quoted": ('"login","name","groups"\n"ashu","Kumar, Ashu",""\n"natraj","Nátraj","lab"\n', "c.csv"),
    "spaces around": ('login , name, groups \n ashu , "Kumar, Ashu",\nnatraj,  Nátraj  , lab\n', "c.csv"),
    "another order": ('groups,login,name\n,ashu,"Kumar, Ashu"\nlab,natraj,Nátraj\n', "c.csv"),
    "other letters": (TEXT.replace("login,name,groups", "USERNAME,Full Name,Group"), "c.csv"),
    "comments and blank lines": ("# class\n\n  \n" + TEXT.replace("natraj,", '# more, of "them\n\n  # and\nnatraj,') + "\n\n#end", "c.csv"),
    "empty rows of a spreadsheet": (TEXT + ",,\n,,\n", "c.csv"),
    "an empty column": ('login,name,groups,\nashu,"Kumar, Ashu",,\nnatraj,Nátraj,lab,\n', "c.csv"),
    "doubled quotes": (TEXT, "c.csv"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_one_roster(name):
    data, filename = FORMS[name]
    assert plain(read(data, filename)) == ROWS


def test_quotes_inside_of_quotes():
    assert read('login,name\na,"Max ""the Axe"" Müller"\n').rows[0].name == 'Max "the Axe" Müller'


@pytest.mark.parametrize("filename", ["x.toml", "x", "x.txt", "-.TOML"])
def test_toml(filename):
    roster = read(TOML, filename)
    assert roster.cohort.name == "kurs"
    assert (roster.cohort.profile, roster.cohort.starts, roster.cohort.ends) == ("student", date(2026, 12, 1), date(2026, 12, 24))
    ashu, natraj = roster.rows
    assert (ashu.row, ashu.line, ashu.login, ashu.suggested, ashu.docker, ashu.profile) == (1, 8, "ashu", False, False, "student")
    assert (natraj.row, natraj.line, natraj.login, natraj.suggested, natraj.docker) == (2, 13, "natraj", True, True)
    assert natraj.groups == ("lab", "dialout")
    assert natraj.keys == (KEY, OTHER_KEY)
    assert (ashu.expires, natraj.expires) == (date(2026, 12, 24), date(2026, 12, 20))
    assert read(TOML.replace("\n", "\r\n"), filename).rows == read(TOML.replace("\n", "\r"), filename).rows == roster.rows


def test_toml_gives_way_to_what_is_asked_for():
    roster = read(TOML, "x.toml", profile="tutor", ends=date(2027, 1, 1))
    assert (roster.cohort.profile, roster.cohort.ends, roster.cohort.starts) == ("tutor", date(2027, 1, 1), date(2026, 12, 1))


def test_inline_tables_have_no_line():
    assert [(r.row, r.line) for r in read('users = [{login = "a"}, {login = "b"}]', "x.toml").rows] == [(1, None), (2, None)]
    twice = problem('users = [{login = "a"}, {login = "a"}]', "x.toml")
    assert (twice["row"], twice["line"], twice["reason"]) == (2, None, "row 1 and row 2 have the same login")


USER = '[[users]]\nlogin = "a"\n'
BAD_TOML = {
    "no TOML": ("[[users]\n", {"line": 1}, "this is not TOML"),
    "cut": ("[[users]]\nlogin =", {}, "this is not TOML"),
    "a key twice": (f'{USER}login = "b"\n', {"line": 3}, "this is not TOML"),
    "unknown table": (f"{USER}[extra]\n", {"column": "extra", "row": None}, "[cohort] and [[users]]"),
    "unknown key": (f"{USER}shell = '/bin/sh'\n", {"column": "shell", "row": 1, "line": 1}, "unknown key"),
    "unknown key of the cohort": (f"{USER}[cohort]\ncolour = 'red'\n", {"column": "colour"}, "unknown key in [cohort]"),
    "the same key in other letters": (f'{USER}user = "b"\n', {"column": "login", "row": 1}, "two keys of that meaning"),
    "a password": (f"{USER}password = 'hunter2hunter2'\n", {"column": "password", "value": None}, "passwords do not belong into a file"),
    "passwords": (f"{USER}password = 'hunter2hunter2'\n[[users]]\nlogin='b'\npassword='x'\n", {"column": "password"}, "passwords do not belong"),
    "a number": ("[[users]]\nlogin = 1\nname='x'\n", {"column": "login", "row": 1}, "it is a number; wanted: a text"),
    "a number and no name": ("[[users]]\nlogin = 1\n", {"column": "login", "row": 1}, "it is a number; wanted: a text"),
    "a date with a time": (f"{USER}expires = 2027-01-01T00:00:00\n", {"column": "expires"}, "it is a date with a time; wanted: a date or a text"),
    "a date as a name": (f"{USER}name = 2027-01-01\n", {"column": "name"}, "it is a date; wanted: a text"),
    "a date in the past": (f"{USER}expires = 2020-01-01\n", {"column": "expires", "value": "2020-01-01"}, "in the past"),
    "groups of numbers": (f"{USER}groups = [1]\n", {"column": "groups"}, "it is an array; wanted: a text or an array of texts"),
    "a truth as a name": (f"{USER}name = true\n", {"column": "name"}, "it is true or false; wanted: a text"),
    "a number for docker": (f"{USER}docker = 1\n", {"column": "docker"}, "it is a number; wanted: true, false or a text"),
    "a table for a name": (f"{USER}name = {{}}\n", {"column": "name"}, "it is a table; wanted: a text"),
    "users are a table": ("[users]\nlogin = 'a'\n", {"column": "users"}, "must be tables"),
    "users are numbers": ("users = [1]\n", {"column": "users"}, "must be tables"),
    "the cohort is a text": (f"cohort = 'x'\n{USER}", {"column": "cohort"}, "must be a table"),
    "the cohort's name is a number": (f"{USER}[cohort]\nname = 1\n", {"column": "cohort name"}, "it is a number, not a text"),
    "the cohort's profile": (f"{USER}[cohort]\nprofile = 'boss'\n", {"column": "cohort profile", "value": "boss"}, "no such profile"),
    "the cohort's end": (f"{USER}[cohort]\nends = '2026-13-45'\n", {"column": "cohort ends"}, "no month 13"),
    "nobody": ("[cohort]\nname='x'\n", {}, "not a single user"),
    "brackets": ("a=" + "[" * 5000, {}, "nested too deeply"),
    "digits": ("a=" + "1" * 5000, {}, "a number is too long"),
    "dots": ("a." * 500 + "b=1", {"line": 1}, "100 dots"),
    "a long line": (f"{USER}name='{'x' * 70_000}'", {"line": 3}, "65536 characters"),
    "a hash as a key": (f"a = {{'{HASH}' = 1, '{HASH}' = 2}}\n", {}, "this is not TOML"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_TOML)
def test_toml_that_is_refused(name):
    data, wanted, reason = BAD_TOML[name]
    found = problem(data, "x.toml")
    assert {k: found[k] for k in wanted} == wanted
    assert reason in found["reason"]
    assert HASH not in str(found)
    assert "hunter2" not in str(found)


@pytest.mark.parametrize("column", ALIASES)
def test_every_alias_in_any_letters(column):
    for alias in ALIASES[column]:
        for header in (alias, alias.upper(), alias.title().replace(" ", "_"), f" {alias.replace(' ', '-')} "):
            other = "name" if column == "login" else "login"
            try:
                read(f"{other},{header}\nashu,\n")
            except RosterRefused as refused:
                assert column == "password"
                assert "passwords do not belong" in refused.message


def test_the_aliases_that_are_promised():
    promised = """
        login user username, name full_name real_name, mail email e-mail email_address, profile, groups group group(s),
        ssh_key ssh_keys key keys ssh_key(s) sshkey public_key ssh_public_key authorized_keys,
        starts start from first_day start_date, expires expiry end ends until last_day end_date, docker, password_hash hash, cohort"""
    known = {alias for aliases in ALIASES.values() for alias in aliases}
    assert {p.replace("_", " ").replace("-", " ") for p in promised.replace(",", " ").split()} <= known


HEADERS = {
    "unknown": ("login,shell\na,/bin/sh\n", {"line": 1, "column": "shell"}, "unknown column; known ones: login, name"),
    "doubled": ("login,mail,E-Mail\na,,\n", {"line": 1, "column": "mail"}, "there are 2 columns of that meaning"),
    "neither login nor name": ("mail,docker\na@b.c,yes\n", {"line": 1, "column": None}, "neither a column 'login' nor a column 'name'"),
    "a password": ("login,Password\na,hunter2hunter2\nb,hunter3hunter3\n", {"line": 1, "column": "password", "value": None}, "hostadmin makes a password"),
    "none": ("ashu,hunter2hunter2\nnatraj,x\n", {"line": 1, "column": None, "value": None}, "there is no header"),
    "an empty file": ("", {"line": None}, "the file is empty"),
    "nothing but ends of lines": ("\n\n", {"line": None}, "there is no header"),
    "nothing but comments": ("# a\n\n# b\n", {"line": None}, "there is no header"),
    "nobody": ("login,name\n# a\n\n,\n", {"line": None}, "not a single user"),
    "a wrong quote in it": ('"login"x,name\na,b\n', {"line": 1}, "its quotes are wrong"),
    "a value without a column": ("login,\nashu,red\n", {"line": 2, "row": 1, "column": None, "value": None}, "a value in column 2, which has no name"),
    "very wide": ("login" + ",name" * 64 + "\n", {}, "65 columns; at most 64"),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_are_refused(name):
    data, wanted, reason = HEADERS[name]
    found = problem(data)
    assert {k: found[k] for k in wanted} == wanted
    assert reason in found["reason"]
    assert "hunter" not in str(found)


QUOTES = {
    "too many": ("login,name\na,b,c\nok,x\n", 2, 1, "wrong number of fields: 3 here, 2 in the header"),
    "too few": ("login,name\n# x\n\nok,x\nb\n", 5, 2, "wrong number of fields: 1 here, 2 in the header"),
    "never closed": ('login,name\nok,x\nb,"y\nc,z\n', 3, 2, "a quote is opened here and never closed"),
    "closed too early": ('login,name\nok,x\nb,"y"z\nc,z\n', 3, 2, "its quotes are wrong"),
    "behind a field of many lines": (f'login,keys\na,"{KEY}\n{OTHER_KEY}"\nb\n', 4, 2, "wrong number of fields: 1 here, 2 in the header"),
}


@pytest.mark.parametrize("name", QUOTES)
def test_rows_of_a_wrong_form(name):
    data, line, row, reason = QUOTES[name]
    found = problem(data)
    assert (found["line"], found["row"]) == (line, row)
    assert reason in found["reason"]


BYTES = {
    "Latin-1": ("login,name\nashu,Müller\n".encode("latin-1"), 2, "byte 7", "0xfc", "not UTF-8"),
    "Windows": ("login,name\r\nashu,a–b\r\n".encode("cp1252"), 2, "byte 7", "0x96", "not UTF-8"),
    "behind a letter of two bytes": (b"login,name\rashu,\xc3\xbc\xff\r", 2, "byte 8", "0xff", "not UTF-8"),
    "behind a byte order mark": (b"\xef\xbb\xbflogin,name\nashu,\xe9\n", 2, "byte 6", "0xe9", "not UTF-8"),
    "a surrogate": (b"login,name\nashu,\xed\xa0\x80\n", 2, "byte 6", "0xed", "not UTF-8"),
    "an overlong slash": (b"login,name\na\xc0\xafb,x\n", 2, "byte 2", "0xc0", "not UTF-8"),
    "NUL": (b"login,name\nashu,a\0b\n", 2, "byte 7", "0x00", "NUL"),
    "NUL in a login": (b"login,name\na\0b,x\n", 2, "byte 2", "0x00", "NUL"),
    "cut in a letter": (b"login,name\nashu,\xc3", 2, "byte 6", "0xc3", "not UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize("name", BYTES)
def test_bytes_that_cannot_be(name):
    data, line, column, value, reason = BYTES[name]
    found = problem(data)
    assert (found["line"], found["column"], found["value"]) == (line, column, value)
    assert reason in found["reason"]


@pytest.mark.parametrize("key", ["login", "name", "mail", "expires", "ssh_keys", "password_hash", "groups"])
def test_a_nul_that_is_written_as_an_escape(key):
    """It is no byte of the file, so that nothing has noted it before."""
    other = "" if key == "login" else 'user = "a"'
    found = problem(f'[[users]]\n{other}\n{key} = "x\\u0000y"\n', "x.toml")
    assert (found["row"], found["column"]) == (1, key.replace("_", " "))
    assert "a NUL character" in found["reason"]
    assert "a NUL character" in problem('[cohort]\nname = "x\\u0000y"\n' + USER, "x.toml")["reason"]


def test_a_wrong_byte_in_toml():
    found = problem(b'[[users]]\nlogin = "a"\nname = "M\xfcller"\n', "x.toml")
    assert (found["line"], found["column"], found["value"]) == (3, "byte 10", "0xfc")


def test_wrong_bytes_line_by_line_and_then_counted():
    found = problems(b"login\n" + b"\xff\n" * 150)
    assert sum(p["value"] == "0xff" for p in found) == 100
    assert [p["reason"] for p in found if p["line"] is None] == ["there are 50 more lines with wrong bytes"]


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_wide_characters(coding):
    assert "UTF-16 or UTF-32; save it as UTF-8" in problem("login,name\nashu,Müller\n".encode(coding))["reason"]


def test_ten_megabytes_cost_nothing():
    data = b"login\n" + b"a" * 10_000_000
    start = time.process_time()
    found = problem(data)
    assert time.process_time() - start < 0.5
    assert found["reason"] == "it has 10000006 bytes; at most 1048576 (1 MiB) and 2000 rows are taken: split it"


def test_two_thousand_rows_and_not_one_more():
    rows = "login,name\n" + "".join(f"u{n},a\n" for n in range(2000))
    assert len(read(rows).rows) == 2000
    assert problem(rows + "a/b,more\n")["reason"] == "it has more than 2000 rows; split it"
    toml = "".join(f"[[users]]\nlogin='u{n}'\n" for n in range(2000))
    assert len(read(toml, "x.toml").rows) == 2000
    assert problem(toml + USER, "x.toml")["reason"] == "it has 2001 tables; at most 2000 users are taken: split it"
    inline = "users = [" + ",\n".join(f"{{login='u{n}'}}" for n in range(2001)) + "]"
    assert problem(inline, "x.toml")["reason"] == "it has 2001 users; at most 2000 are taken: split it"


COSTLY = {
    "a quote over everything": 'login\n"' + "a\n" * 400_000,
    "a wrong quote a line": "login\n" + '"a"b\n' * 200_000,
    "very wide": "login" + "," * 1_000_000,
    "nothing": "login\n" + "\n" * 1_000_000,
    "comments": "login\n" + "#\n" * 500_000,
    "wrong cells": "login,name,mail,starts,docker,groups\n" + '/,":",x,y,z,/\n' * 2000,
    "long cells": "login,mail\n" + f"a,{'a' * 9990}\n" * 100,
    "one long cell": "login,mail\na," + "a" * 130_000,
    "a long header": "login," + "a" * 130_000,
    "long logins": "login\n" + f"{'a' * 9990}\n" * 100,
    "long keys": "login,keys\n" + f"a,{'a' * 9990}\n" * 100,
    "long hashes": "login,hash\n" + f"a,$6${'a' * 9990}\n" * 100,
    "long names": "name\n" + f"{'ä' * 4000}\n" * 100,
    "many groups": "login,groups\n" + f"a,{'g ' * 4990}\n" * 100,
    "many keys": "login,keys\n" + f"a,{'g|' * 4990}\n" * 100,
    "a delimiter a field": "login\n" + ";" * 1_000_000,
}


@pytest.mark.parametrize("name", COSTLY)
def test_nothing_of_a_megabyte_takes_long(name):
    start = time.process_time()
    with pytest.raises(RosterRefused):
        read(COSTLY[name])
    assert time.process_time() - start < 3


COSTLY_TOML = {
    "tables": "[[users]]\n" * 90_000,
    "keys": "".join(f"a{n} = 1\n" for n in range(90_000)),
    "dots": "".join(f"{'a.' * 90}b{n} = 1\n" for n in range(5000)),
    "quoted dots": ('"a".' * 15_000 + "b = 1\n") * 15,
    "words": "aaaaaa " * 9000,
    "arrays": "a = [" + "[],\n" * 200_000 + "]",
    "a text": "a = '''" + "x\n" * 500_000,
    "a long key": "a = {" + "a" * 60_000 + " = 1, " + "a" * 4_000 + " = 1}\n",
    "long texts": f"[[users]]\nlogin='{'a' * 60_000}'\n" * 16,
    "long keys of users": f"[[users]]\n{'a' * 60_000}='x'\n" * 16,
    "blanks": (" " * 60_000 + "\n") * 16,
}


@pytest.mark.parametrize("name", COSTLY_TOML)
def test_nothing_of_a_megabyte_of_toml_takes_long(name):
    start = time.process_time()
    with pytest.raises(RosterRefused):
        read(COSTLY_TOML[name], "x.toml")
    assert time.process_time() - start < 5


WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=0, max_size=20)
NAME = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"], exclude_characters=':\u00a0"#'), max_size=40).filter(
    lambda t: t.isprintable() and t == t.strip(" ")
)
PERSON = st.fixed_dictionaries(
    {
        "login": WORD.map(lambda w: f"u{w}"),
        "name": NAME | NAME.map(lambda t: f'{t}"x'),
        "mail": st.sampled_from(["", "a@b.c", "Ünï@example.org", '"a;b"@c,d']),
        "groups": st.sampled_from(["", "lab", "lab,dialout", "lab; dialout"]),
        "ssh keys": st.sampled_from(["", KEY, f"{KEY}\n{OTHER_KEY}", f"{KEY} | {OTHER_KEY} a;b"]),
        "expires": st.sampled_from(["", "2026-12-24", "2028-02-29"]),
        "docker": st.sampled_from(["", "yes", "no"]),
        "password hash": st.sampled_from(["", HASH]),
    }
)


@given(
    people=st.lists(PERSON, min_size=1, max_size=6, unique_by=lambda p: p["login"]),
    order=st.permutations(["login", "name", "mail", "groups", "ssh keys", "expires", "docker", "password hash"]),
    delimiter=st.sampled_from(",;\t"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    mark=st.booleans(),
)
def test_what_a_program_writes_is_what_is_read(people, order, delimiter, quoting, ending, mark):
    if ending == "\r":
        quoting = csv.QUOTE_ALL  # csv.writer does not quote another end of line than its own
    file = io.StringIO()
    writer = csv.DictWriter(file, order, delimiter=delimiter, quoting=quoting, lineterminator=ending)
    writer.writeheader()
    writer.writerows(people)
    roster = read(("\ufeff" if mark else "") + file.getvalue(), "c.csv")
    for person, row in zip(people, roster.rows, strict=True):
        assert (row.login, row.name, row.mail) == (person["login"], person["name"], person["mail"])
        assert row.suggested is False
        assert row.groups == tuple(person["groups"].replace(",", " ").replace(";", " ").split())
        assert row.keys == tuple(k.strip() for k in person["ssh keys"].replace("|", "\n").split("\n") if k)
        assert (row.expires.isoformat() if row.expires else "") == person["expires"]
        assert row.docker is (person["docker"] != "no")
        assert (row.hashed or "") == person["password hash"]


ENDINGS = st.sampled_from(["c.csv", "c.tsv", "c.txt", "c.toml", "c", "\ud800.csv", ""])
PIECES = st.lists(
    st.sampled_from([b"login", b"name", b",", b";", b"\t", b"\n", b"\r", b'"', b"#", b"[[users]]\n", b"[cohort]\n", b"=", b"'", b"a", b"/", b"\0", b"\xff",
                     b"\xd0\xb0", b"2026-13-45", b"ssh keys", KEY.encode(), HASH.encode(), b"expires", b"{", b"}", b"[", b"]", b"sep=", b" "])
).map(b"".join)  # fmt: skip


@given(st.binary(max_size=300) | PIECES | PIECES.map(lambda b: b"login,name,ssh keys,password hash\n" + b), ENDINGS)
@settings(max_examples=400)
def test_any_bytes_are_rows_or_problems(data, filename):
    try:
        roster = read(data, filename)
    except RosterRefused as refused:
        assert refused.fields["problems"]
        assert refused.message.isprintable()
        for told in refused.fields["problems"]:
            assert all(v is None or isinstance(v, int) or v.isprintable() for v in told.values())
            assert HASH[8:] not in str(told)
    else:
        assert roster.rows
