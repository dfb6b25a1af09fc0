"""Cards: what a person reads, and that the document is nothing but text."""

import base64
import hashlib
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser

import pytest

from hostadmin.users.cards import Card, render

NOW = datetime(2026, 11, 26, 10, 5, tzinfo=UTC)
CARD = Card(
    "ashu",
    "budo-kife-ropi-tuve-47",
    "Ashu K",
    "host.example.org",
    "export DOCKER_HOST=unix:///run/hostadmin/docker.sock",
    (20000, 20099),
    "10.200.0.0/24",
    date(2026, 11, 30),
    date(2026, 12, 4),
)
HOSTILE = "\"'><script>alert(1)</script><img src=http://x/ onerror=x>&amp;</style>"


class Page(HTMLParser):
    """All tags with their attributes, and the text outside the style."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.style = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, "closed out of order"

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.style += data
        elif data.strip():
            self.texts.append(data.strip())

    @property
    def count(self) -> Counter[str]:
        return Counter(tag for tag, _ in self.tags)


def shown(*cards: Card, cohort: str = "week 49") -> Page:
    return Page(render(cohort, cards, printed_at=NOW))


def test_a_card_in_full() -> None:
    page = shown(CARD)
    assert page.texts[page.texts.index("page 1 of 1, printed 2026-11-26 10:05 UTC") + 1 :] == [
        *("Ashu K", "week 49", "Login", "ashu"),
        *("Password (you choose a new one at first login)", "budo-kife-ropi-tuve-47"),
        *("Log in", "ssh ashu@host.example.org"),
        *("Before you use docker, type", "export DOCKER_HOST=unix:///run/hostadmin/docker.sock"),
        *("Your ports", "20000-20099", "Your subnet", "10.200.0.0/24"),
        "From Mon 30 Nov 2026 to Fri 4 Dec 2026 (last day)",
    ]
    assert page.open == []


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        ({"guard": ""}, "Before you use docker, type"),
        ({"ports": None}, "Your ports"),
        ({"subnet": None}, "Your subnet"),
        ({"starts": None, "ends": None}, "(last day)"),
    ],
)
def test_what_there_is_none_of_is_left_out(change: dict, gone: str) -> None:
    assert any(gone in text for text in shown(CARD).texts)
    assert not any(gone in text for text in shown(replace(CARD, **change)).texts)


@pytest.mark.parametrize(
    ("starts", "ends", "line"),
    [
        (date(2026, 11, 30), None, "From Mon 30 Nov 2026"),
        (None, date(2026, 12, 4), "To Fri 4 Dec 2026 (last day)"),
    ],
)
def test_one_day_alone(starts: date | None, ends: date | None, line: str) -> None:
    assert shown(replace(CARD, starts=starts, ends=ends)).texts[-1] == line


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"password": None}, "Your own: the one that you have handed in"),
        ({"password": None, "key_only": True}, "None: you log in with your SSH key"),
        ({"key_only": True}, "None: you log in with your SSH key"),
    ],
)
def test_whoever_has_no_password_of_ours_is_told(change: dict, line: str) -> None:
    texts = shown(replace(CARD, **change)).texts
    assert texts[texts.index("Password") + 1] == line
    assert not any("first login" in text for text in texts)
    assert "budo-kife-ropi-tuve-47" not in texts


def test_where_nothing_is_to_be_typed_the_guard_is_named() -> None:
    texts = shown(replace(CARD, guard="", socket="/run/docker.sock")).texts
    assert texts[texts.index("Docker is there, nothing to type before") + 1] == "unix:///run/docker.sock"
    assert "unix:///run/docker.sock" not in shown(replace(CARD, socket="/run/docker.sock")).texts  # what is to be typed says it


def test_a_person_without_a_name_is_called_by_the_login() -> None:
    assert shown(replace(CARD, name="")).texts.count("ashu") == 2


def test_the_password_is_in_no_repr() -> None:
    assert "budo" not in repr(CARD)
    assert "budo" not in repr([CARD])


def test_every_value_is_text() -> None:
    """Markup in any value shows as itself: the same tags as a tame card has, in the same order."""
    hostile = Card(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, (1, 2), HOSTILE, CARD.starts, CARD.ends)
    page = shown(hostile, cohort=HOSTILE)
    assert page.count == shown(CARD).count
    assert page.open == []
    assert page.texts.count(HOSTILE) == 7, "head, name, cohort, login, password, guard, subnet"
    assert {f"ssh {HOSTILE}@{HOSTILE}", f"Cards: {HOSTILE}"} <= set(page.texts)
    assert {key for _, attributes in page.tags for key in attributes} == {"lang", "charset", "http-equiv", "content", "name", "class"}


def test_nothing_is_loaded_from_anywhere() -> None:
    page = shown(CARD)
    assert not set(page.count) & {"script", "link", "img", "iframe", "object", "base", "form", "a", "svg"}
    assert not re.search(r"url\(|@import|https?:", render("c", [CARD], printed_at=NOW))
    policy = next(a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert [t for t, _ in page.tags].index("meta") < [t for t, _ in page.tags].index("style")


@pytest.mark.parametrize(("people", "pages"), [(0, 1), (1, 1), (8, 1), (9, 2), (30, 4), (300, 38)])
def test_eight_on_a_page_each_once_in_order(people: int, pages: int) -> None:
    cards = [replace(CARD, login=f"student{n:03}", password=f"budo-kife-ropi-tuve-{n}") for n in range(people)]
    page = shown(*cards)
    assert (page.count["section"], page.count["article"]) == (pages, people)
    assert page.count["div"] >= people // 2, "two in a row"
    assert [t for t in page.texts if t.startswith("student")] == [c.login for c in cards]
    assert [t for t in page.texts if t.startswith("budo")] == [c.password for c in cards]
    assert sum(f"of {pages}, printed" in t for t in page.texts) == pages
    assert ("Nobody of this class has a card." in page.texts) is (people == 0)


def test_printed_on_any_paper_without_a_card_in_two() -> None:
    style = shown(CARD).style
    assert "size:" not in re.search(r"@page {([^}]*)}", style)[1], "the paper is what the printer has"
    assert re.search(r"\.card {[^}]*break-inside: avoid", style)
    width, height = (int(n) for n in re.search(r"\.card { width: (\d+)mm; min-height: (\d+)mm", style).groups())
    assert 2 * width <= 210 - 20, "A4 is the narrower"
    assert 4 * height + 6 <= 279 - 20, "Letter is the shorter"


def test_a_long_login_gets_smaller_type() -> None:
    kind = {
        login: next(a["class"] for t, a in shown(replace(CARD, login=login)).tags if t == "dd") for login in ("a" * 20, "a" * 21, "a" * 31)
    }
    assert kind == {"a" * 20: "big", "a" * 21: "big long", "a" * 31: "big long"}
