"""A request before it is bytes: its parts apart, so that each can be mutated, and JSON that may say a key twice."""

import base64
import json
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote_plus

from tests.fuzz import tars

CORPUS: Final = Path(__file__).with_name("corpus.jsonl")
PLACEHOLDER: Final = re.compile(r"@(BOX|BOXID|EXEC|NET|NETID|VOL|IMG|IMGID|NEWBOX|NEWNET|NEWVOL|NEWIMG)@")


class Pairs(list[list[Any]]):
    """A JSON object as its members in order; a key may come twice."""

    def get(self, key: str) -> Any:
        """Return the first value of a key, or ``None``."""
        return next((value for name, value in self if name == key), None)


@dataclass(slots=True)
class Draft:
    """One request: ``query`` is decoded, ``json`` is the parsed body or ``None``, ``body`` the opaque one.

    ``escape`` writes a query's text; ``raw`` turns the finished bytes into others (framing, byte-level).
    """

    method: str
    path: str
    query: list[list[str]]
    fields: list[list[str]]
    json: Any = None
    body: bytes = b""
    chunked: bool = False
    minor: int = 1
    client: str = ""
    tar: list[tars.Member] | None = None
    escape: Callable[[str], str] = field(default=lambda text: quote(text, safe="@"))
    raw: list[Callable[[bytes], bytes]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def copy(self) -> "Draft":
        """Return a draft whose parts can be changed."""
        return replace(
            self,
            query=[list(p) for p in self.query],
            fields=[list(p) for p in self.fields],
            json=copied(self.json),
            raw=[],
            notes=[],
        )

    @property
    def operation(self) -> str:
        """Method and path without version and names: requests of one operation have it in common."""
        bare = re.sub(r"^/v[0-9.]+", "", self.path)
        return f"{self.method} " + re.sub(r"@NEW", "@", re.sub(r"ID@", "@", re.sub(r"(?<=@):\w+", "", bare)))

    def render(self, fill: Callable[[str], str]) -> bytes:
        """Return the bytes; ``fill`` gives the text of a placeholder's kind."""
        pairs = "&".join(f"{self.escape(_filled(k, fill))}={self.escape(_filled(v, fill))}" for k, v in self.query)
        target = _filled(self.path, fill) + (f"?{pairs}" if pairs else "")
        body = self._body(lambda text: _filled(text, fill))
        lines = [f"{self.method} {target} HTTP/1.{self.minor}", *(f"{k}: {v}" for k, v in self.fields)]
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
        elif body or self.method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body)}")
        data = ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogatepass") + body
        for change in self.raw:
            data = change(data)
        return data

    def _body(self, filled: Callable[[str], str]) -> bytes:
        if self.json is not None:
            return filled(dump(self.json)).encode("utf-8", "surrogatepass")
        return tars.write(self.tar, filled) if self.tar is not None else self.body


def copied(value: Any) -> Any:
    """Return a JSON value that shares nothing with the given one."""
    if isinstance(value, Pairs):
        return Pairs([name, copied(inner)] for name, inner in value)
    return [copied(inner) for inner in value] if isinstance(value, list) else value


def _filled(text: str, fill: Callable[[str], str]) -> str:
    return PLACEHOLDER.sub(lambda found: fill(found[1]), text) if "@" in text else text


class Literal(str):
    """JSON text that is written as it stands (``1e3``, a key with escapes, a lone surrogate)."""

    __slots__ = ()


def dump(value: Any) -> str:
    """Write JSON compactly; ``Pairs`` keep their repeated keys, ``Literal`` is not quoted."""
    if isinstance(value, Literal):
        return str(value)
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{dump(k)}:{dump(v)}" for k, v in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(dump(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def parse(text: str) -> Any:
    """Read JSON with objects as ``Pairs``."""
    return json.loads(text, object_pairs_hook=lambda pairs: Pairs([k, v] for k, v in pairs))


def load_corpus(path: Path = CORPUS) -> list[Draft]:
    """Return the recorded requests."""
    return [_draft(json.loads(line)) for line in path.read_text().splitlines()]


def _draft(line: dict[str, Any]) -> Draft:
    path, _, query = line["target"].partition("?")
    pairs = [[unquote_plus(part) for part in pair.partition("=")[::2]] for pair in query.split("&") if pair]
    path = re.sub(r"@NEW(BOX|NET|VOL)@", r"@\1@", re.sub(r"@NEWIMG@(:\w+)?", "@IMG@", path))  # by now it is there
    draft = Draft(line["method"], path, pairs, line["fields"], chunked=line["chunked"], client=line["client"])
    if "packed" in line:
        draft.body = zlib.decompress(base64.b64decode(line["packed"]))
    elif "text" in line:
        try:
            draft.json = parse(line["text"])
        except ValueError:
            draft.body = line["text"].encode()
    members = tars.read(draft.body) if draft.body and draft.method != "GET" else None
    if members:
        draft.tar = [(k, n, link, re.sub("newimg", "@NEWIMG@", re.sub("recimg:1", "@IMG@", c))) for k, n, link, c in members]
    return draft
