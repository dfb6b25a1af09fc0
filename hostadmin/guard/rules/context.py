"""A build context on its way in: spooled, and its Dockerfile read for the images that it names.

Only the words that name images or addresses are read (FROM, COPY --from, ADD, ONBUILD); everything
else is the builder's business. What cannot be read with certainty is refused.
"""

import re
import tarfile
import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import IO, Final, Self

CHUNK: Final = 256 * 1024
DOCKERFILE_LIMIT: Final = 1 << 20
ENTRIES_LIMIT: Final = 200_000
_ESCAPE: Final = re.compile(r"#\s*escape\s*=\s*(.)\s*", re.IGNORECASE)
_DIRECTIVE: Final = re.compile(r"#\s*[A-Za-z][A-Za-z0-9]*\s*=\s*.+")
_VARIABLE: Final = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:[-+])([^{}$]*))?\})")
_FLAG: Final = re.compile(r"--([a-z]+)=(\S+)")
URL: Final = re.compile(r"(?:[a-z]+://|git@|github\.com/)", re.IGNORECASE)


class ContextRefused(ValueError):  # becomes a refusal
    """The context cannot be judged, or asks for what is not allowed (``status`` 400 or 403)."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class BuildContext:
    """Spools one context and tells which images its Dockerfile names.

    Args:
        dockerfile: path of the Dockerfile inside the context.
        target: the stage to stop at (it changes nothing about what is named).

    """

    def __init__(self, dockerfile: str, target: str = "") -> None:
        self._name = dockerfile.removeprefix("./")
        self._target = target
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="hostadmin-build-")  # noqa: SIM115  # closed by __exit__
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        """Append bytes of the tar."""
        self._file.write(data)
        self.size += len(data)

    def finish(self, arguments: dict[str, str | None]) -> list[str]:
        """Return the images that the Dockerfile names, stages and ``scratch`` left out.

        Raises:
            ContextRefused: no tar, no or two Dockerfiles, an image name that cannot be known.

        """
        return find_images(self._dockerfile(), arguments)

    def _dockerfile(self) -> str:
        self._file.seek(0)
        found: list[bytes] = []
        try:
            with tarfile.open(fileobj=self._file, mode="r|*") as archive:
                for count, member in enumerate(archive):
                    if count > ENTRIES_LIMIT:
                        raise ContextRefused("the context has too many entries")
                    if _clean(member.name) != self._name:
                        continue
                    content = archive.extractfile(member) if member.isreg() else None
                    if content is None or member.size > DOCKERFILE_LIMIT:
                        raise ContextRefused(f"{self._name} must be a plain file")
                    found.append(content.read())
        except (tarfile.TarError, EOFError, OSError) as error:
            raise ContextRefused("the context is not a tar") from error
        if len(found) != 1:
            raise ContextRefused(f"the context must hold {self._name} exactly once")
        try:
            return found[0].decode("utf-8").removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            raise ContextRefused(f"{self._name} is not UTF-8") from error

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the spooled bytes for the engine."""
        self._file.seek(0)
        while data := self._file.read(CHUNK):
            yield data


def _clean(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def find_images(dockerfile: str, arguments: dict[str, str | None]) -> list[str]:
    """Return the images that a Dockerfile names (``FROM``, ``COPY --from``), each once.

    Raises:
        ContextRefused: a name with a variable that is not known, or a remote ``ADD``.

    """
    images: dict[str, None] = {}
    stages: set[str] = {"scratch"}
    count = 0
    known: dict[str, str] = {}
    for word, rest in _instructions(dockerfile):
        if word == "ARG" and not count:
            _take_arguments(rest, arguments, known)
        elif word == "FROM":
            base, name = _from(rest, known)
            if base.lower() not in stages:
                images[base] = None
            stages |= {name, str(count)} - {""}
            count += 1
        else:
            for source in named_in(word, rest):
                if source.lower() not in stages:
                    images[source] = None
    return list(images)


def named_in(word: str, rest: str) -> list[str]:
    """Return the images that one instruction other than FROM names.

    Raises:
        ContextRefused: a remote ADD, or a ``--from`` that cannot be known.

    """
    if word == "ONBUILD":
        inner, _, more = rest.strip().partition(" ")
        return named_in(inner.upper(), more)
    if word == "ADD" and any(URL.match(part.strip("\"',[]")) for part in rest.split()):
        raise ContextRefused("ADD of an address is not allowed: the engine would fetch it; COPY a file", 403)
    if word in ("ADD", "COPY") and "--from" in rest:
        flags = dict(_FLAG.findall(rest))
        if "from" not in flags or "$" in flags["from"] or rest.count("--from") > 1:
            raise ContextRefused("COPY --from must name a stage or an image")
        return [flags["from"]]
    if word == "ADD" and "$" in rest:
        raise ContextRefused("ADD with a variable is not allowed: use COPY", 403)
    return []


def _instructions(dockerfile: str) -> Iterator[tuple[str, str]]:
    """Yield instruction words and their arguments, comments and continued lines resolved."""
    lines = dockerfile.splitlines()
    escape = "\\"
    for line in lines:  # parser directives stand before everything else
        if found := _ESCAPE.fullmatch(line.strip()):
            escape = found[1]
        if not _DIRECTIVE.fullmatch(line.strip()):
            break
    if escape not in ("\\", "`"):
        raise ContextRefused("invalid escape directive")
    pending = ""
    for line in lines:
        text = line.strip()
        if text.startswith("#") or (not text and pending):
            continue
        stripped = line.rstrip()
        if stripped.endswith(escape):
            pending += stripped[:-1]
            continue
        full, pending = (pending + line).strip(), ""
        if full:
            yield _split(full)
    if pending.strip():
        yield _split(pending.strip())


def _split(text: str) -> tuple[str, str]:
    word, _, rest = text.replace("\t", " ").partition(" ")
    return word.upper(), rest.strip()


def _take_arguments(rest: str, given: dict[str, str | None], known: dict[str, str]) -> None:
    for part in rest.split():
        name, equals, default = part.partition("=")
        value = given.get(name)
        if value is not None:
            known[name] = value
        elif equals:
            known[name] = _expand(default.strip("\"'"), known)


def _from(rest: str, known: dict[str, str]) -> tuple[str, str]:
    """Return the base image and the stage's name of a FROM line."""
    words = [w for w in rest.split() if not w.startswith("--")]
    if not words or len(words) not in (1, 3) or (len(words) == 3 and words[1].upper() != "AS"):
        raise ContextRefused(f"FROM {rest[:64]!r} cannot be read")
    base = _expand(words[0].strip("\"'"), known)
    return base, words[2].lower() if len(words) > 1 else ""


def _expand(text: str, known: dict[str, str]) -> str:
    def value(found: "re.Match[str]") -> str:
        name = found[1] or found[2]
        if found[3] == ":-":
            return known.get(name) or found[4]
        if found[3] == ":+":
            return found[4] if known.get(name) else ""
        if name not in known:
            raise ContextRefused(f"the variable {name!r} in FROM is not set")
        return known[name]

    expanded = _VARIABLE.sub(value, text)
    if "$" in expanded or not expanded:
        raise ContextRefused(f"the image {text[:64]!r} in FROM cannot be known")
    return expanded
