"""A build context on its way in: its Dockerfile is read for the images that it names.

Only the words that name images or addresses are read (FROM, COPY --from, ADD, ONBUILD); everything else is the
builder's business. What the builder could read in another way than this reader is refused.
"""

import re
from collections.abc import Iterator
from typing import Final

from hostadmin.core.labels import RESERVED_PREFIX
from hostadmin.guard.rules.tarstream import TarRefused, TarStream, clean

DOCKERFILE_LIMIT: Final = 1 << 20
DEFAULT_DOCKERFILE: Final = "Dockerfile"  # the builder takes "dockerfile" where that is missing
WORDS: Final = frozenset(
    """FROM ARG RUN CMD LABEL MAINTAINER EXPOSE ENV ADD COPY ENTRYPOINT VOLUME USER WORKDIR ONBUILD STOPSIGNAL
    HEALTHCHECK SHELL""".split()  # noqa: SIM905  # reads as the list in the builder's manual
)
TRAILING: Final = " \t\r"  # no other space may stand after the backslash that continues a line
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f\x85\u2028\u2029]|\r(?!\n|\Z)")
_ESCAPE: Final = re.compile(r"#\s*escape\s*=\s*([^\\].*|)", re.IGNORECASE)
_VARIABLE: Final = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:[-+])([^{}$]*))?\})")
_QUOTED: Final = re.compile(r"\"[^\"'\\]*\"|'[^\"'\\]*'|[^\"'\\]*")
_DRESSING: Final = re.compile(r"""[\\"'${}]""")
_HERE_DOCUMENT: Final = re.compile(r"(?:^|\s)\d*<<-?[^\s<]")
_PREDEFINED: Final = frozenset({"http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"})  # arguments without an ARG
_ADDRESS: Final = re.compile(r"(?:[a-z][a-z0-9+.-]*://|git@|github\.com/)", re.IGNORECASE)


class BuildContext(TarStream):
    """One context on its way to the builder; its Dockerfile is held back until the images in it are judged.

    Args:
        dockerfile: path of the Dockerfile inside the context.

    """

    def __init__(self, dockerfile: str) -> None:
        self._name = clean(dockerfile)
        self._names_it = (self._name, self._name.lower()) if self._name == DEFAULT_DOCKERFILE else (self._name,)
        super().__init__(frozenset(self._names_it), DOCKERFILE_LIMIT)

    def images(self, arguments: dict[str, str | None]) -> list[str]:
        """Return the images that the Dockerfile names, stages and ``scratch`` left out; after ``finish``.

        Raises:
            TarRefused: no Dockerfile, or an image name that cannot be known.

        """
        found = next((self.found[name] for name in self._names_it if name in self.found), None)
        if found is None:
            raise TarRefused(f"Cannot locate specified Dockerfile: {self._name}")
        try:
            return find_images(found.decode("utf-8").removeprefix("\ufeff"), arguments)
        except UnicodeDecodeError as error:
            raise TarRefused(f"{self._name} is not UTF-8") from error


def find_images(dockerfile: str, arguments: dict[str, str | None]) -> list[str]:
    """Return the images that a Dockerfile names (``FROM``, ``COPY --from``), each once.

    Args:
        dockerfile: its text.
        arguments: the build's ``--build-arg`` values.

    Raises:
        TarRefused: a name that cannot be known for sure, or a remote ``ADD``.

    """
    images: dict[str, None] = {}
    stages: set[str] = set()  # those that are complete: a stage does not know its own name yet
    current = ""
    count = 0
    known: dict[str, str | None] = {}
    for word, rest in _instructions(dockerfile):
        if word == "ARG" and not count:
            _take_arguments(rest, arguments, known)
        elif word == "FROM":
            stages |= {current} - {""}
            base, current = _from(rest, known)
            if base != "scratch" and base.lower() not in stages:
                images[base] = None
            count += 1
        else:
            for source in named_in(word, rest):
                if source.lower() not in stages and source not in map(str, range(count)):
                    images[source] = None
    return list(images)


def named_in(word: str, rest: str) -> list[str]:
    """Return the images that one instruction other than FROM names.

    Raises:
        TarRefused: an unknown word, a remote ADD, or a ``--from`` that cannot be known.

    """
    if word not in WORDS:
        raise TarRefused(f"unknown instruction: {word[:32]}")
    if word == "ONBUILD":
        return named_in(*_split(rest))
    if word == "LABEL" and RESERVED_PREFIX in _DRESSING.sub("", rest).casefold():
        raise TarRefused(f"labels under {RESERVED_PREFIX!r} are hostadmin's own", 403)
    if word in ("ADD", "COPY", "RUN") and _HERE_DOCUMENT.search(rest):
        raise TarRefused("here-documents are BuildKit's: write a file and COPY it")
    if word not in ("ADD", "COPY"):
        return []
    flags = list(_leading_flags(rest))
    if any(not flag.isascii() or c in flag for flag in flags for c in "\\'\"$"):
        raise TarRefused(f"{word}: quotes, escapes, variables and letters beyond ASCII in flags are not allowed")
    if word == "ADD" and (_ADDRESS.search(rest) or "$" in rest or "\\" in rest):
        raise TarRefused("ADD of an address (or with variables or escapes) is not allowed: the engine would fetch it; use COPY", 403)
    return [flag.removeprefix("--from=") for flag in flags if flag.startswith("--from=")]


def _leading_flags(rest: str) -> Iterator[str]:
    for part in rest.split():
        if not part.startswith("--"):
            return
        yield part


def _instructions(dockerfile: str) -> Iterator[tuple[str, str]]:
    """Yield instruction words and their arguments, comments and continued lines resolved."""
    if _CONTROL.search(dockerfile):
        raise TarRefused("the Dockerfile holds control characters")
    pending = ""
    for line in dockerfile.split("\n"):
        text = line.lstrip().rstrip(TRAILING)
        if _ESCAPE.fullmatch(text):
            raise TarRefused("the Dockerfile changes the escape character: only '\\' is supported")
        if text.startswith("#") or (not text and pending):
            continue
        if text.endswith("\\\\"):
            raise TarRefused("the Dockerfile has a line that ends with two backslashes: builders read it differently")
        if text.endswith("\\"):
            pending += line.rstrip(TRAILING)[:-1]
            continue
        full, pending = (pending + line).strip(), ""
        if full:
            yield _split(full)
    if pending.strip():
        yield _split(pending.strip())


def _split(text: str) -> tuple[str, str]:
    word, *rest = text.strip().split(None, 1)
    return word.upper(), rest[0] if rest else ""


def _take_arguments(rest: str, given: dict[str, str | None], known: dict[str, str | None]) -> None:
    """Note the values of arguments; ``None``: engines disagree about it, it must not decide anything."""
    for part in rest.split():
        name, equals, default = part.partition("=")
        if name in given:
            known[name] = given[name]
        elif equals:
            if not _QUOTED.fullmatch(default):
                raise TarRefused(f"the default of ARG {name[:32]} cannot be read")
            known[name] = _expand(default.strip("\"'"), known) if default.strip("\"'") else ""
        elif name in known:
            known[name] = None


def _from(rest: str, known: dict[str, str | None]) -> tuple[str, str]:
    """Return the base image and the stage's name of a FROM line."""
    words = rest.split()
    while words and words[0].startswith("--"):
        if not words[0].isascii():
            raise TarRefused("FROM: letters beyond ASCII in flags are not allowed")
        words.pop(0)
    if not words or len(words) not in (1, 3) or (len(words) == 3 and words[1].upper() != "AS"):
        raise TarRefused(f"FROM {rest[:64]!r} cannot be read")
    if any(c in words[0] for c in "\\'\""):
        raise TarRefused("FROM with quotes or escapes is not allowed")
    return _expand(words[0], known), words[2].lower() if len(words) > 1 else ""


def _expand(text: str, known: dict[str, str | None]) -> str:
    def value(found: "re.Match[str]") -> str:
        name = found[1] or found[2]
        if name.lower() in _PREDEFINED or known.get(name, "") is None:
            raise TarRefused(f"the value of {name!r} in FROM cannot be known")
        if found[3] == ":-":
            return known.get(name) or found[4]
        if found[3] == ":+":
            return found[4] if known.get(name) else ""
        if name not in known:
            raise TarRefused(f"the variable {name!r} in FROM is not set")
        return known[name] or ""

    expanded = _VARIABLE.sub(value, text)
    if "$" in expanded or not expanded:
        raise TarRefused(f"the image {text[:64]!r} in FROM cannot be known")
    return expanded
