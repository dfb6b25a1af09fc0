"""The request target: segments, version, query; parsed once, strictly, and written anew.

Rules: ``engine-api.md`` 1.3 T3 to T7 and 1.5. Segments are split before decoding; an escape is legal only
where a route captures a parameter; a parameter is decoded once and must then match its grammar.
"""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from hostadmin.guard.refusal import malformed

Version = tuple[int, int]
VERSION_LOWEST: Final[Version] = (1, 41)
VERSION_HIGHEST: Final[Version] = (1, 55)  # newest released; moby's api/docs/CHANGELOG.md is still adding to 1.56
_VERSION_LIKE: Final = re.compile(r"v[0-9.]+")  # what the engine's router takes for one
_VERSION: Final = re.compile(r"v(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,3})")
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
QUERY_LIMIT: Final = 200

Query = list[tuple[str, str]]


def parse_target(target: str) -> tuple[list[str], Version | None, Query]:
    """Split a target into raw segments (without the version), the version, and the decoded query.

    A last empty segment is kept: the engine has routes that end with a slash.

    Raises:
        Refusal: if it has more than one reading.

    """
    path, mark, query = target.partition("?")
    if not path.startswith("/") or "#" in target or "\\" in target:
        raise malformed("malformed request target")
    segments = path[1:].split("/")
    version = None
    if _VERSION_LIKE.fullmatch(segments[0]):
        version = _parse_version(segments.pop(0))
    if any(s in (".", "..") for s in segments) or "" in segments[:-1] or segments in ([], [""]):
        raise malformed("malformed path: empty and dot segments are not cleaned", status=404)
    return segments, version, parse_query(query) if mark else []


def _parse_version(text: str) -> Version:
    found = _VERSION.fullmatch(text)
    if found is None:
        raise malformed(f"malformed API version {text[1:64]!r}")
    return int(found[1]), int(found[2])


def check_version(asked: Version, *, lowest: Version, highest: Version) -> None:
    """Refuse a version outside a window, in the engine's own words (moby ``middleware/version.go``).

    Raises:
        Refusal: 400, too old or too new.

    """
    if asked < lowest:
        raise malformed(
            f"client version {dotted(asked)} is too old. Minimum supported API version is "
            f"{dotted(lowest)}, please upgrade your client to a newer version"
        )
    if asked > highest:
        raise malformed(f"client version {dotted(asked)} is too new. Maximum supported API version is {dotted(highest)}")


def dotted(version: Version) -> str:
    """Write an API version as ``1.41``."""
    return f"{version[0]}.{version[1]}"


def read_dotted(text: str | None) -> Version | None:
    """Read ``1.41``; ``None`` if it is not one."""
    found = _VERSION.fullmatch(f"v{text}")
    return (int(found[1]), int(found[2])) if found else None


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


def build_path(version: Version, segments: Iterable[str]) -> str:
    """Write a canonical path for the engine; slashes inside a segment (image names) stay."""
    return f"/v{dotted(version)}/" + "/".join(quote(s, safe="/:@") for s in segments)


def build_query(pairs: Iterable[tuple[str, str]]) -> str:
    """Write a query string, with its ``?``, or nothing."""
    text = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in pairs)
    return f"?{text}" if text else ""
