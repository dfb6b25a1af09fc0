"""Image references: ``[registry[:port]/]path[:tag][@algo:hex]`` (distribution/reference).

The *normalised* form is the identity of a tag: ``alpine`` = ``docker.io/library/alpine:latest``. The
*familiar* form is what the engine prints.
"""

import re
from dataclasses import dataclass
from typing import Final

DEFAULT_DOMAIN: Final = "docker.io"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]+)?"
REFERENCE: Final = re.compile(
    rf"(?:(?P<domain>{_DOMAIN})/)?(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
IMAGE_ID: Final = re.compile(r"(?:sha256:)?[0-9a-f]{1,64}")
FULL_IMAGE_ID: Final = re.compile(r"sha256:[0-9a-f]{64}")
LENGTH_LIMIT: Final = 255
KEPT: Final = f"{DEFAULT_DOMAIN}/hostadmin-kept/"
"""Repositories of the guard's own tags, which keep an image for those who hold it after its last tag has gone."""
RESETS: Final = f"{DEFAULT_DOMAIN}/hostadmin-reset/"
"""Repositories of the snapshots of containers that a reset has taken away."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed reference with its defaults filled in; ``tag`` is empty where none was written."""

    domain: str
    path: str
    tag: str
    digest: str

    @property
    def repository(self) -> str:
        """``docker.io/library/alpine``."""
        return f"{self.domain}/{self.path}"

    @property
    def tagged(self) -> str:
        """The normalised tag, ``latest`` where none was written."""
        return f"{self.repository}:{self.tag or 'latest'}"

    @property
    def digested(self) -> str:
        """``docker.io/library/alpine@sha256:...``; only where there is a digest."""
        return f"{self.repository}@{self.digest}"


def parse_reference(text: str) -> Reference | None:
    """Read a reference; ``None`` if it is not one. ``sha256:...`` is an image's id, never a repository ``sha256``."""
    if text.startswith("sha256:") or len(text) > LENGTH_LIMIT + 129 + 72:
        return None
    domain, slash, rest = text.partition("/")
    if not slash or not ("." in domain or ":" in domain or domain == "localhost" or domain != domain.lower()):
        domain, rest = DEFAULT_DOMAIN, text
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    found = REFERENCE.fullmatch(f"{domain}/{rest}")
    if found is None or found["domain"] != domain or len(found["path"]) > LENGTH_LIMIT:
        return None
    path = found["path"]
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = f"library/{path}"
    return Reference(domain, path, found["tag"] or "", found["digest"] or "")


def normalise(text: str) -> str:
    """Return the identity of a tag (``alpine`` → ``docker.io/library/alpine:latest``).

    Raises:
        ValueError: ``text`` is not an image reference.

    """
    reference = parse_reference(text)
    if reference is None:
        raise ValueError(f"{text[:128]!r} is not an image reference")
    return reference.tagged


def familiar(normalised: str) -> str:
    """Return a normalised tag as the engine prints it (``alpine:latest``)."""
    return normalised.removeprefix(f"{DEFAULT_DOMAIN}/").removeprefix("library/")


def is_hostadmins(tag: str) -> bool:
    """Tell whether a normalised tag is hostadmin's own: nobody sees, uses or sets it, whatever the ledger knows of it."""
    return tag.startswith((KEPT, RESETS))


def looks_like_id(text: str) -> bool:
    """Tell whether a name could be read as an (abbreviated) image id."""
    return IMAGE_ID.fullmatch(text) is not None
