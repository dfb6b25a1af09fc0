"""Which registries the engine may speak to for somebody: a list in the profile, by exact name (``engine-api.md`` 5.6)."""

import re
from ipaddress import ip_address
from typing import Final

from hostadmin.core.images import DEFAULT_DOMAIN

DOCKER_HUB: Final = frozenset({"", "docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})
HUB_ADDRESS: Final = "https://index.docker.io/v1/"
ENTRY: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?(?::[0-9]{1,5})?")
TERM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:-]{0,254}")


def registry_of(address: str) -> str:
    """Return the registry that an address names, as profiles list it (``https://index.docker.io/v1/``: ``docker.io``)."""
    host = re.sub(r"^https?://", "", address).partition("/")[0].lower()
    return DEFAULT_DOMAIN if host in DOCKER_HUB else host


def registry_of_term(term: str) -> str | None:
    """Return the registry that the engine would ask for a search term; ``None`` for what is none (moby ``splitReposSearchTerm``)."""
    if not TERM.fullmatch(term):
        return None
    first, slash, _ = term.partition("/")
    named = slash and ("." in first or ":" in first or first == "localhost")
    return registry_of(first) if named else DEFAULT_DOMAIN


def find_registry_violation(registry: str, allowed: frozenset[str], profile: str) -> str | None:
    """Return why a registry must not be spoken to; ``None`` if the profile of that name allows it."""
    if registry in allowed:
        return None
    shown = ", ".join(sorted(allowed)) or "no registry"
    return f"registry {registry!r}: profile {profile!r} allows {shown}"


def find_entry_violation(entry: object) -> str | None:
    """Return what is wrong with one entry of a profile's list.

    An address of the host itself or of its networks is meant only where it is written with its port.
    """
    if not isinstance(entry, str) or not ENTRY.fullmatch(entry):
        return f"registries: {entry!r} is no host name, with a port if it has one"
    host, port = entry.partition(":")[::2]
    try:
        inner = not ip_address(host).is_global
    except ValueError:
        inner = host == "localhost"
    return f"registries: {entry!r} is an address of this host or its networks: write it with its port" if inner and not port else None
