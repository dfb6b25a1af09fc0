"""Requests that say everything in path and query: every spelling of every parameter, and seeded mixtures of them.

Written as on the wire. ``{BOX}`` and its kin are put in by the world that holds the objects.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True)
class Request:
    """One request as a caller writes it, and what it may change (``""``: nothing)."""

    method: str
    target: str
    changes: str = ""
    body: bytes = b""
    fields: tuple[str, ...] = field(default=())

    def wire(self) -> bytes:
        """Write it, with a length if a body is there and nothing else is said of it."""
        fields = ["Host: docker", *self.fields]
        if self.body and not any("ength:" in f or "ncoding:" in f for f in (name.lower() for name in self.fields)):
            fields.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([f"{self.method} {self.target} HTTP/1.1", *fields, "", ""]).encode("latin-1") + self.body


BOOLEANS: Final = (
    *("", "0", "1", "true", "True", "TRUE", "t", "T", "f", "F", "no", "No", "NO", "none", "None", "NONE", "false", "False", "FALSE"),
    *("yes", "on", "off", "2", "-1", "00", "0.0", "nil", "null", "%20true%20", "+false+", "%09no", "no%0A", "%C2%A0false", "%C2%850"),
    *("%E2%80%83none", "%E3%80%800", "%0Bfalse", "%1Cfalse", "%1F0", "%E2%80%8Bno", "n%6F", "%6Eone", "fal%73e", "n%c3%b6", "f%C4%B1lse"),
    *("%EF%BC%90", "no,", '"false"', "%22no%22"),
)
INTEGERS: Final = (
    *(
        "",
        "0",
        "1",
        "2",
        "-1",
        "+1",
        "%2B1",
        "007",
        "-0",
        "1e1",
        "0x1",
        "0b1",
        "0o1",
        "1_0",
        "%201",
        "1%20",
        "1.0",
        "2147483647",
        "2147483648",
    ),
    *("-2147483648", "-2147483649", "9223372036854775807", "9223372036854775808", "%D9%A1", "%EF%BC%91", "one", "1%00", "--1"),
)
TIMES: Final = (
    *("", "0", "0.0", "1", "00", "01", "-1", "%2B1", ".5", "1.", "1700000000", "1700000000.5", "1700000000.000000001", "1e9", "0x10"),
    *("{T0}", "{T1}", "{T2}", "{T1S}", "{T1S}.0", "{T1MS}", "{T1CS}", "{T1}0", "9999999999", "99999999999", "999999999999", "9223372036"),
    *("2020-01-01", "2020-01-01T00:00:00Z", "10m", "now", "1.1.1", "1,5", "%201", "1+"),
)
TAILS: Final = (
    "",
    "all",
    "0",
    "1",
    "2",
    "3",
    "-1",
    "-0",
    "01",
    "+1",
    "%2B1",
    "ALL",
    "All",
    "abc",
    "1e1",
    "%201",
    "999999999",
    "1.0",
    "all+",
    "0x1",
)
BOX_NAMES: Final = (
    *("{BOX}", "/{BOX}", "%2F{BOX}", "%2f{BOX}", "%2F%2F{BOX}", "{BOXID}", "{BOXID12}", "{BOXID5}", "{BOXIDUP}", "{BOX}%2Fjson", "{BOX}/"),
    *("{BOX%}", "{BOX%u}", "{BOX%%}", "{BOXUP}", "{BOX}%20", "%20{BOX}", "{BOX}+", "{BOX}%00", "{BOX}.", "{BOX};", "{BOX}:", "{BOX}@1"),
    *("./{BOX}", "x/../{BOX}", "{BOX}%2F..%2F{BOX}", "{BOX}%3F", "{BOX}%23", "{BOX}#", "nobody", "{STILL}", "{STILLID12}", "{STILLID}"),
)
IMAGE_NAMES: Final = (
    *("alpine", "alpine:latest", "alpine%3Alatest", "alpine%3alatest", "library/alpine", "library%2Falpine", "docker.io/alpine"),
    *("docker.io/library/alpine", "docker.io%2Flibrary%2Falpine:latest", "index.docker.io/library/alpine", "index.docker.io/alpine"),
    *("registry-1.docker.io/library/alpine", "Alpine", "alpine:", "alpine:Latest", "alpine@sha256", "{IMGID}", "{IMGHEX}", "{IMGHEX12}"),
    *("{IMGID17}", "sha256%3A{IMGHEX}", "alpine@{IMGID}", "alpine%40{IMGID}", "alpine:latest@{IMGID}", "mallory/tool", "mallory/tool:1.0"),
    *("mallory%2Ftool%3A1.0", "mallory/tool:2", "docker.io/mallory/tool:1.0", "mallory/tool:latest", "mallory//tool:1.0", "{TOOLID}"),
    *(
        "./alpine",
        "alpine/",
        "/alpine",
        "%2Falpine",
        "al%70ine",
        "{IMGHEXUP}",
        "alpine%20",
        "alpine+",
        "localhost/alpine",
        "alpine.",
        "tool",
    ),
)
NETWORK_NAMES: Final = (
    *(
        "{NET}",
        "{NETID}",
        "{NETID12}",
        "{NETID5}",
        "{NETUP}",
        "{NET%}",
        "/{NET}",
        "%2F{NET}",
        "{NET}%20",
        "bridge",
        "Bridge",
        "default",
        "none",
    ),
    *("host", "nonet", "{NETIDUP}"),
)
VOLUME_NAMES: Final = ("{VOL}", "{VOLUP}", "{VOL%}", "/{VOL}", "%2F{VOL}", "{VOL}%20", "{VOL}.", "novol", "x/../{VOL}", "{VOL}%2F_data")
LABELS: Final = ("k", "k=v", "k=", "k=V", "K=v", "e", "e=", "=", "x", "k=v=w", "two=a=b", "two=a", "ü=ß", " k", "k ")
VERSIONS: Final = (
    "",
    "/v1.41",
    "/v1.40",
    "/v1.041",
    "/v01.41",
    "/v1.41.0",
    "/v1",
    "/V1.41",
    "/v1.42",
    "/1.41",
    "/%761.41",
    "/v1%2E41",
    "//v1.41",
)


def _maps(key: str, *values: str) -> Iterator[str]:
    """Yield every form of a filter: list, map of true, map of false, both, text, number, twice, and empty ones."""
    for value in values:
        quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        yield f'{{"{key}":[{quoted}]}}'
        yield f'{{"{key}":{{{quoted}:true}}}}'
        yield f'{{"{key}":{{{quoted}:false}}}}'
    first, last = values[0], values[-1]
    yield f'{{"{key}":["{first}","{last}"]}}'
    yield f'{{"{key}":{{"{first}":true,"{last}":true}}}}'
    yield f'{{"{key}":{{"{first}":true,"{last}":false}}}}'
    yield f'{{"{key}":{{"{first}":false,"{first}":true}}}}'
    yield f'{{"{key}":{{"{first}":1}}}}'
    yield f'{{"{key}":{{"{first}":null}}}}'
    yield f'{{"{key}":"{first}"}}'
    for empty in ("[]", "{}", "null", "true", "[true]", "[1]", "[null]", '[""]', '{"":true}', "[[]]"):
        yield f'{{"{key}":{empty}}}'
    yield f'{{"{key}":["{first}"],"{key}":["{last}"]}}'
    yield f'{{"{key.upper()}":["{first}"]}}'
    yield f' {{ "{key}" : [ "{first}" ] }} '
    escaped = "".join("\\u" + f"{ord(c):04x}" for c in first)
    yield f'{{"{key}":["{escaped}"]}}'
    yield f'{{"{key}":["{first}"]}}{{}}'


def _encoded(text: str) -> str:
    """Percent-encode what may not stand in a query, but the placeholders."""
    kept = '{}":,[]=-_./!*()~'
    return "".join(c if c.isalnum() and c.isascii() or c in kept else "".join(f"%{b:02X}" for b in c.encode()) for c in text)


def filters(**keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return spellings of ``filters`` over these keys (``label_not`` is ``label!``)."""
    found = [text for key, values in keys.items() for text in _maps(key.replace("_not", "!"), *values)]
    return (*(_encoded(text) for text in found), "", "{}", "null", "[]", "%22%22", "{", "true", "0", "%20", "{}+", "%7B%7D")


@dataclass(frozen=True)
class Surface:
    """An operation: its path, what may stand for the name in it, and its parameters with their spellings."""

    method: str
    path: str
    query: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    names: tuple[str, ...] = ("",)
    always: str = ""
    changes: str = ""
    mixed: int = 6


LOGS: Final = {
    "stdout": BOOLEANS,
    "stderr": BOOLEANS,
    "timestamps": BOOLEANS,
    "details": ("1", "0"),
    "follow": ("0", "no"),
    "since": TIMES,
    "until": TIMES,
    "tail": TAILS,
}
_FILTERS: Final = filters(
    status=("running", "exited", "Running", "bogus"),
    name=("{BOX}", "^/{BOX}$", "box", "nobody", "[", "/"),
    id=("{BOXID}", "{BOXID12}", "{STILLID}", "nothing"),
    label=LABELS,
    exited=("0", "3", "-1", "+3", "03", "x", " 3"),
    ancestor=("alpine", "alpine:latest", "{IMGID}", "{IMGHEX12}", "nothing"),
    network=("bridge", "none", "{NET}", "nonet"),
    volume=("{VOL}", "/v", "/", "novol"),
    health=("none", "healthy", "x"),
    expose=("80", "80/tcp", "80/udp", "8000-8010", "x"),
    publish=("80", "8080/tcp"),
    before=("{STILL}",),
    since=("/{BOX}",),
)
CONTAINER_FILTERS: Final = _FILTERS + filters(**{"is-task": ("true", "false", "1", "True"), "isolation": ("default", "x")})
READS: Final = (
    Surface("GET", "/containers/json", {"all": BOOLEANS, "size": ("1", "0", "no"), "limit": INTEGERS, "filters": CONTAINER_FILTERS}, mixed=120),
    Surface("GET", "/containers/{name}/json", {"size": BOOLEANS}, BOX_NAMES),
    Surface("GET", "/containers/{STILL}/logs", LOGS, always="stdout=1", mixed=120),
    Surface("GET", "/containers/{name}/logs", {}, BOX_NAMES[:16], always="stdout=1"),
    Surface("GET", "/containers/{BOX}/top", {"ps_args": ("", "-ef", "aux", "-o+pid,comm", "-o%20pid,comm", "-eo%09pid", "-o pid", "-o=pid")}),
    Surface("GET", "/containers/{BOX}/stats", {}, always="stream=0&one-shot=1", mixed=0),
    Surface("GET", "/containers/{STILL}/changes", {}),
    Surface("POST", "/containers/{STILL}/wait", {"condition": ("", "not-running", "Not-running", "bogus", "not-running+", "not%2Drunning")}),
    Surface("HEAD", "/containers/{STILL}/archive", {"path": ("", "/", "/etc/passwd", "etc/passwd", "/etc%2Fpasswd", "/etc/../etc/group", "/etc/", "/no", "/a+b", "/a%20b", "/a%2Bb", "%2e", "/etc//passwd", "/etc\xe4")}),
    Surface("GET", "/images/json", {"all": BOOLEANS, "digests": ("1", "0", "no"), "filters": filters(label=LABELS[:6], label_not=("k", "k=v"), reference=("alpine", "alpine:*", "mallory/*", "*/*", "al[p]ine", "["), dangling=("true", "false", "1", "0", "t", "T", "True", "TRUE", "f", "no", "x", ""), before=("alpine", "mallory/tool:1.0"), since=("alpine",), until=("1", "2h", "{T1}"))}, mixed=40),
    Surface("GET", "/images/{name}/json", {}, IMAGE_NAMES),
    Surface("GET", "/images/{name}/history", {}, IMAGE_NAMES[:12]),
    Surface("GET", "/networks", {"filters": filters(name=("{NET}", "bridge", "br", "nonet"), id=("{NETID}", "{NETID12}"), driver=("bridge", "null", "x"), scope=("local", "global", "x"), type=("custom", "builtin", "x"), label=LABELS[:8], dangling=("true", "false", "1", "0", "True", "t", "no", "x"))}),
    Surface("GET", "/networks/{name}", {"verbose": ("", "1", "0", "true", "False", "yes", "T", "x"), "scope": ("", "local", "global", "swarm", "x")}, NETWORK_NAMES),
    Surface("GET", "/volumes", {"filters": filters(name=("{VOL}", "vol", "novol"), driver=("local", "x"), label=LABELS[:8], dangling=("true", "false", "1", "0", "True", "t", "no", "x"))}),
    Surface("GET", "/volumes/{name}", {}, VOLUME_NAMES),
    Surface("GET", "/events", {"filters": filters(container=("{BOX}", "{STILLID}", "nobody"), event=("create", "die", "x"), volume=("{VOL}", "x"))}, always="since=1&until={NOW}", mixed=0),
    Surface("GET", "/events", {"since": TIMES}, always="until={NOW}", mixed=0),
)  # fmt: skip
CHANGES: Final = (
    Surface("POST", "/containers/{name}/rename", {}, ("{IDLE}", "%2F{IDLE}", "{IDLEID12}"), always="name=other", changes="idle"),
    Surface("POST", "/containers/{IDLE}/rename", {"name": ("other", "/other", "%2Fother", "ot%68er", "o", "", "Other", "o+r", "o.r-_", "{STILL}", "other%20", "%6F%74")}, changes="idle"),
    Surface("POST", "/containers/{STILL}/kill", {"signal": ("", "0", "KILL")}, changes="box", mixed=0),
    Surface("POST", "/containers/{BOX}/kill", {"signal": ("USR1", "SIGUSR1", "usr1", "sigusr1", "10", "+10", "010", "-1", "0", "65", "RTMIN+1", "SIGRTMIN+3", "RTMIN%2B1", "99", "bogus", "SIGSIGUSR1", "Usr1", "1e1")}, changes="box", mixed=0),
    Surface("POST", "/containers/{STILL}/stop", {"t": INTEGERS}, changes="box", mixed=0),
    Surface("DELETE", "/containers/{name}", {"force": BOOLEANS[:40:5], "v": ("0", "1", "no")}, ("{BOX}",), changes="box", mixed=2),
    Surface("POST", "/containers/{BOX}/pause", {}, changes="box"),
    Surface("POST", "/images/alpine/tag", {"repo": ("mallory/a", "mallory%2Fa", "Mallory/a", "docker.io/mallory/a", "mallory/a:3", "index.docker.io/mallory/a", "mallory/a@{IMGID}", "a", "", "localhost:5000/a", "mallory/a+", "{IMGHEX}"), "tag": ("", "1", "T", "a.b-c_d", "1%3A2", "+1", ":1", "latest", "1%20")}, always="repo=mallory/b", changes="image", mixed=10),
    Surface("DELETE", "/volumes/{name}", {"force": BOOLEANS[:40:4]}, VOLUME_NAMES, changes="volume", mixed=0),
    Surface("DELETE", "/networks/{name}", {}, NETWORK_NAMES, changes="network"),
    Surface("POST", "/commit", {"comment": ("a+b", "a%2Bb", "%C3%A4", ""), "author": ("A%20%3Ca@b%3E",), "pause": ("0", "no", "1"), "tag": ("1", "x.y"), "changes": ("ENV A=b", "ENV+A=b%0AENV B=c", "CMD [%22a%22]", "LABEL a=%22b c%22", "bogus", "RUN x")}, always="container={STILL}&repo=mallory/c", changes="image", mixed=2),
)  # fmt: skip


def _joined(surface: Surface, name: str, pairs: list[str]) -> Request:
    given = {pair.partition("=")[0] for pair in pairs}
    always = [p for p in surface.always.split("&") if p and p.partition("=")[0] not in given]
    query = "&".join([*always, *pairs]).replace(" ", "%20")
    return Request(surface.method, f"{surface.path.replace('{name}', name)}{'?' + query if query else ''}", surface.changes)


def _draw(surface: Surface, draw: random.Random) -> Iterator[Request]:
    """Yield every name, every value alone, and mixtures: several parameters, repeated ones, recoded ones."""
    for name in surface.names:
        yield _joined(surface, name, [])
    first = surface.names[0]
    for key, values in surface.query.items():
        for value in values:
            yield _joined(surface, first, [f"{key}={value}"])
        if values:
            for pairs in (
                [key],
                [f"{key}={values[1 % len(values)]}", f"{key}={values[0]}"],
                [f"{key}=%zz"],
                [f"%{ord(key[0]):02X}{key[1:]}={values[-1]}"],
                [f"{key.upper()}={values[-1]}"],
            ):
                yield _joined(surface, first, pairs)
    usual = [key for key, values in surface.query.items() if values]
    for _ in range(surface.mixed if usual else 0):
        chosen = draw.sample(usual, draw.randint(1, min(3, len(usual))))
        pairs = [f"{key}={draw.choice(surface.query[key])}" for key in chosen]
        if draw.random() < 0.1:
            pairs.append(draw.choice(("&", "=", "x=1", f"{pairs[0]};y=1", "&&", "%26=1")))
        yield _joined(surface, draw.choice(surface.names), pairs)


def reads(seed: int) -> list[Request]:
    """Return requests that change nothing, in every version spelling among others."""
    draw = random.Random(seed)  # noqa: S311  # repeatable
    found = [request for surface in READS for request in _draw(surface, draw)]
    versions = [Request("GET", f"{v}/containers/{{BOX}}/json") for v in VERSIONS] + [Request("GET", f"{v}/volumes") for v in VERSIONS]
    return [*found, *versions]


def changes(seed: int) -> list[Request]:
    """Return requests that change something by their path and query alone."""
    draw = random.Random(seed)  # noqa: S311  # repeatable
    return [request for surface in CHANGES for request in _draw(surface, draw)]
