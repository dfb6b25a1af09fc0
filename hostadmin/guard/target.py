"""The request target: segments, version, query; parsed once, strictly, and written anew.

Rules: ``engine-api.md`` 1.3 T3 to T7 and 1.5. Segments are split before decoding; an escape is legal only
where a route captures a parameter; a parameter is decoded once and must then match its grammar.
"""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from hostadmin.guard.refusal import malformed

VERSION_LOWEST: Final = (1, 41)
VERSION_HIGHEST: Final = (1, 51)
VERSIONS: Final = {f"v1.{minor}": (1, minor) for minor in range(VERSION_LOWEST[1], VERSION_HIGHEST[1] + 1)}
_VERSION_LIKE: Final = re.compile(r"v(\d{1,3})\.(\d{1,4})")
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
QUERY_LIMIT: Final = 200

Query = list[tuple[str, str]]


def parse_target(target: str) -> tuple[list[str], tuple[int, int] | None, Query]:
    """Split a target into raw segments (without the version), the version, and the decoded query.

    Raises:
        Refusal: if it has more than one reading, or a version outside the window.

    """
    path, mark, query = target.partition("?")
    if not path.startswith("/") or "#" in target or "\\" in target:
        raise malformed("malformed request target")
    segments = path[1:].split("/")
    version = None
    if _VERSION_LIKE.fullmatch(segments[0]):
        version = _version(segments.pop(0))
    if any(s in ("", ".", "..") for s in segments):
        raise malformed("malformed path: empty and dot segments are not cleaned", status=404)
    return segments, version, parse_query(query) if mark else []


def _version(text: str) -> tuple[int, int]:
    known = VERSIONS.get(text)
    if known:
        return known
    number = text[1:]
    found = _VERSION_LIKE.fullmatch(text)
    if found and (int(found[1]), int(found[2])) < VERSION_LOWEST:
        raise malformed(
            f"client version {number} is too old. Minimum supported API version is "
            f"{dotted(VERSION_LOWEST)}, please upgrade your client to a newer version"
        )
    raise malformed(f"client version {number} is too new. Maximum supported API version is {dotted(VERSION_HIGHEST)}")


def dotted(version: tuple[int, int]) -> str:
    """Write an API version as ``1.41``."""
    return f"{version[0]}.{version[1]}"


def decode(text: str, *, plus: bool = False) -> str:
    """Undo percent-encoding once.

    Raises:
        Refusal: for a bad escape, a NUL or control character, or bytes that are not UTF-8.

    """
    if "%" not in text and not (plus and "+" in text):
        return text
    raw = text.encode("ascii")
    if plus:
        raw = raw.replace(b"+", b" ")
    if raw.count(b"%") != len(_ESCAPE.findall(raw)):
        raise malformed("malformed escape in the request target")
    raw = _ESCAPE.sub(lambda m: bytes([int(m[1], 16)]), raw)
    try:
        decoded = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise malformed("the request target is not UTF-8") from None
    if "\0" in decoded:
        raise malformed("NUL in the request target")
    return decoded


def parse_query(text: str) -> Query:
    """Read a query string: pairs split on ``&`` only, order and repetitions kept, empty values kept."""
    pairs: Query = []
    for pair in text.split("&"):
        if not pair:
            continue
        if ";" in pair:
            raise malformed("malformed query: ';'")
        key, _, value = pair.partition("=")
        pairs.append((decode(key, plus=True), decode(value, plus=True)))
    if len(pairs) > QUERY_LIMIT:
        raise malformed("too many query parameters")
    return pairs


def build_path(version: tuple[int, int], segments: Iterable[str]) -> str:
    """Write a canonical path for the engine; slashes inside a segment (image names) stay."""
    return f"/v{dotted(version)}/" + "/".join(quote(s, safe="/:@") for s in segments)


def build_query(pairs: Iterable[tuple[str, str]]) -> str:
    """Write a query string, with its ``?``, or nothing."""
    text = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in pairs)
    return f"?{text}" if text else ""
