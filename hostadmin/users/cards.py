"""Credential cards: one HTML page per eight people, to be printed, cut and handed out. Pure: text in, text out.

The document stands on its own: no script, no font, picture or style from elsewhere, and a policy that lets a browser load
none. It prints on A4 and Letter alike, black on white.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from html import escape
from typing import Final

COLUMNS: Final = 2
ROWS: Final = 4
LONG_LOGIN: Final = 20  # characters that fit on one line in large type

STYLE: Final = """
@page { margin: 10mm }
* { box-sizing: border-box; margin: 0 }
html { color: #000; background: #fff; font: 9pt/1.25 system-ui, "Helvetica Neue", Arial, sans-serif }
section { break-after: page; width: 190mm; margin: 0 auto }
section:last-child { break-after: auto }
header { display: flex; justify-content: space-between; height: 6mm; font-size: 8pt }
.row { display: flex; break-inside: avoid }
.card { width: 95mm; min-height: 62mm; padding: 3mm 4mm; border: .25mm dashed #000; break-inside: avoid;
  margin: 0 -.25mm -.25mm 0; display: flex; flex-direction: column; overflow-wrap: anywhere }
.who { display: flex; justify-content: space-between; gap: 3mm; font-weight: bold; font-size: 10pt }
.who span { font-weight: normal; font-size: 8pt }
.main { flex: 1; display: flex; flex-direction: column; justify-content: space-evenly }
dt { font-size: 8pt }
dd, code { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, "Courier New", monospace }
.big { font-size: 17pt; line-height: 1.15; font-weight: bold }
.big.long { font-size: 11pt }
.words { font: bold 10pt system-ui, "Helvetica Neue", Arial, sans-serif }
.small { font-size: 7.5pt }
.pair, .pair div { display: flex; gap: 2mm; align-items: baseline }
.pair { justify-content: space-between; flex-wrap: wrap; margin: .5mm 0 1mm; white-space: nowrap; font-size: 8pt }
.days { font-weight: bold; font-size: 8.5pt }
"""

STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY: Final = f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; form-action 'none'"

DOCUMENT: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width">
<title>Cards: {cohort}</title>
<style>{style}</style>
</head>
<body>
{pages}
</body>
</html>
"""

PASSWORD_LABEL: Final = "Password (you choose a new one at first login)"  # noqa: S105  # what is printed above one
OWN_PASSWORD: Final = "Your own: the one that you have handed in"  # noqa: S105
KEY_ONLY: Final = "None: you log in with your SSH key"


@dataclass(frozen=True, slots=True)
class Card:
    """What one person needs at their place.

    Args:
        login: login name.
        password: the generated one; ``None``: the roster brought a hash, so that only the person knows it.
        name: the person's name, may be empty.
        host: name or address that they log in to.
        guard: what to type before ``docker`` works, such as ``export DOCKER_HOST=unix:///run/hostadmin/docker.sock``;
            empty where nothing is needed, as with the guard on ``/run/docker.sock``.
        ports: first and last host port of their block, if they have one.
        subnet: the block of addresses for their own networks, if they have one.
        starts: first day.
        ends: last day.
        key_only: they have SSH keys and no password.
        socket: of the guard, where nothing needs to be typed before ``docker`` works.

    """

    login: str
    password: str | None = field(repr=False)
    name: str
    host: str
    guard: str = ""
    ports: tuple[int, int] | None = None
    subnet: str | None = None
    starts: date | None = None
    ends: date | None = None
    key_only: bool = False
    socket: str = ""


def render(cohort_name: str, cards: Sequence[Card], *, printed_at: datetime) -> str:
    """Return the HTML document with everybody's card, in the order given. It holds passwords in clear.

    Args:
        cohort_name: printed on every page and card.
        cards: none makes a page that says so.
        printed_at: aware; printed on every page, so that an older sheet is known by it.

    """
    pages = _parts(cards, COLUMNS * ROWS) or [()]
    when = printed_at.strftime("%Y-%m-%d %H:%M %Z")
    made = [_page(cohort_name, page, f"page {number} of {len(pages)}, printed {when}") for number, page in enumerate(pages, 1)]
    return DOCUMENT.format(policy=POLICY, cohort=escape(cohort_name), style=STYLE, pages="\n".join(made))


def _page(cohort: str, cards: Sequence[Card], note: str) -> str:
    rows = [f'<div class="row">{"".join(_card(cohort, card) for card in row)}</div>' for row in _parts(cards, COLUMNS)]
    body = "\n".join(rows) or "<p>Nobody of this class has a card.</p>"
    head = (
        f"<header><span>Cards: <bdi>{escape(cohort)}</bdi> (hand out, then destroy what is left)</span><span>{escape(note)}</span></header>"
    )
    return f"<section>\n{head}\n{body}\n</section>"


def _parts(cards: Sequence[Card], size: int) -> list[Sequence[Card]]:
    return [cards[start : start + size] for start in range(0, len(cards), size)]


def _card(cohort: str, card: Card) -> str:
    entries = "".join(f'<div><dt>{label}</dt><dd class="{kind}">{value}</dd></div>' for label, kind, value in _entries(card))
    who = f'<div class="who"><bdi>{escape(card.name or card.login)}</bdi><span><bdi>{escape(cohort)}</bdi></span></div>'
    return f'<article class="card">{who}<dl class="main">{entries}</dl>{_blocks(card)}{_days(card)}</article>'


def _entries(card: Card) -> Iterator[tuple[str, str, str]]:
    """Yield label, class and value, the values escaped."""
    yield "Login", "big long" if len(card.login) > LONG_LOGIN else "big", escape(card.login)
    yield _password(card)
    yield "Log in", "", f"ssh {escape(card.login)}@{escape(card.host)}"
    if card.guard:
        yield "Before you use docker, type", "small", escape(card.guard)
    elif card.socket:
        yield "Docker is there, nothing to type before", "small", escape(f"unix://{card.socket}")


def _password(card: Card) -> tuple[str, str, str]:
    if card.key_only:
        return "Password", "words", KEY_ONLY
    if card.password is None:
        return "Password", "words", OWN_PASSWORD
    return PASSWORD_LABEL, "big", escape(card.password)


def _blocks(card: Card) -> str:
    """Return the line of what is theirs by number: ports and subnet."""
    found = []
    if card.ports is not None:
        found.append(f"<div><dt>Your ports</dt><dd>{card.ports[0]}-{card.ports[1]}</dd></div>")
    if card.subnet is not None:
        found.append(f"<div><dt>Your subnet</dt><dd>{escape(card.subnet)}</dd></div>")
    return f'<dl class="pair">{"".join(found)}</dl>' if found else ""


def _days(card: Card) -> str:
    words = [f"from {_day(card.starts)}"] if card.starts else []
    words += [f"to {_day(card.ends)} (last day)"] if card.ends else []
    text = " ".join(words)
    return f'<p class="days">{text[:1].upper()}{text[1:]}</p>' if text else ""


def _day(day: date) -> str:
    """Return a day that nobody reads in the wrong order of day and month."""
    return f"{day:%a} {day.day} {day:%b %Y}"
