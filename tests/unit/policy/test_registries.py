"""Which registries may be spoken to: exact names, the same address in all its spellings, nothing inside by accident."""

import pytest

from hostadmin.policy.registries import find_entry_violation, find_registry_violation, registry_of, registry_of_term


@pytest.mark.parametrize(
    ("address", "registry"),
    [
        ("", "docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("http://Registry.Example:5000/v2/", "registry.example:5000"),
        ("docker.io.evil.example", "docker.io.evil.example"),
        ("docker.io:444", "docker.io:444"),
    ],
)
def test_the_registry_of_an_address(address, registry):
    assert registry_of(address) == registry


@pytest.mark.parametrize(
    ("term", "registry"),
    [
        ("nginx", "docker.io"),
        ("library/nginx", "docker.io"),
        ("evil.example/nginx", "evil.example"),
        ("localhost/nginx", "localhost"),
        ("10.0.0.1:80/x", "10.0.0.1:80"),
        ("https://evil.example/x", "https:"),
        ("a b", None),
        ("", None),
        ("//evil.example/x", None),
    ],
)
def test_the_registry_of_a_search_term(term, registry):
    assert registry_of_term(term) == registry


def test_only_what_is_listed():
    allowed = frozenset({"docker.io", "127.0.0.1:5000"})
    assert find_registry_violation("docker.io", allowed, "p") is None
    assert find_registry_violation("127.0.0.1:5000", allowed, "p") is None
    for other in ("127.0.0.1", "127.0.0.1:5001", "evil.docker.io", "169.254.169.254"):
        assert "allows 127.0.0.1:5000, docker.io" in str(find_registry_violation(other, allowed, "p"))
    assert "no registry" in str(find_registry_violation("docker.io", frozenset(), "p"))


@pytest.mark.parametrize("entry", ["docker.io", "registry.example:5000", "127.0.0.1:5000", "localhost:5000", "10.1.2.3:443", "8.8.8.8"])
def test_entries_of_a_profile(entry):
    assert find_entry_violation(entry) is None


@pytest.mark.parametrize(
    "entry", ["", "https://docker.io", "docker.io/library", "*", "127.0.0.1", "localhost", "10.1.2.3", "169.254.169.254", 5]
)
def test_entries_that_are_refused(entry):
    assert find_entry_violation(entry)
