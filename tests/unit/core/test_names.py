"""Login names, image references, times."""

from datetime import UTC, datetime

import pytest

from hostadmin.core.clock import parse_timestamp, timestamp
from hostadmin.core.errors import Invalid
from hostadmin.core.images import familiar, looks_like_id, normalise, parse_reference
from hostadmin.core.names import check_login


@pytest.mark.parametrize("login", ["a", "ashu", "natraj", "a-b_c9", "a" * 31])
def test_names_that_are_fine(login):
    assert check_login(login) == login


@pytest.mark.parametrize(
    "login", ["", "-x", "root", "docker", "a:b", "a" * 32, "a" * 33, "A", "1a", "123", ".", "..", "a/b", "a b", "a\n", "a$(id)", "ünï", "аshu", "a.b", "hostadmin"]
)  # fmt: skip
def test_names_that_the_system_must_not_have(login):
    with pytest.raises(Invalid):
        check_login(login)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("alpine", "docker.io/library/alpine:latest"),
        ("alpine:v1", "docker.io/library/alpine:v1"),
        ("a/b", "docker.io/a/b:latest"),
        ("localhost/a", "localhost/a:latest"),
        ("reg:5000/a:1", "reg:5000/a:1"),
        ("docker.io/library/alpine", "docker.io/library/alpine:latest"),
        ("index.docker.io/library/alpine", "docker.io/library/alpine:latest"),
    ],
)
def test_tags_have_one_identity(text, normal):
    assert normalise(text) == normal
    assert normalise(familiar(normal)) == normal


@pytest.mark.parametrize("text", ["", "A", "a:", "a//b", "a:b:c", "../a", "a b", "-a", "a@sha256:x", "a" * 300])
def test_other_text_is_no_reference(text):
    assert parse_reference(text) is None
    with pytest.raises(ValueError):
        normalise(text)


def test_ids():
    assert looks_like_id("sha256:" + "a" * 64)
    assert looks_like_id("dad5512a6de3")
    assert not looks_like_id("alpine")


def test_times_of_the_engine_are_read():
    assert parse_timestamp("2026-11-24T12:00:01.123456789Z") == datetime(2026, 11, 24, 12, 0, 1, 123456, UTC)
    assert parse_timestamp("2026-11-24T14:00:01.5+02:00") == datetime(2026, 11, 24, 12, 0, 1, 500000, UTC)
    assert parse_timestamp("2026-11-24T12:00:01Z") == datetime(2026, 11, 24, 12, 0, 1, 0, UTC)
    moment = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)
    assert parse_timestamp(timestamp(moment)) == moment
