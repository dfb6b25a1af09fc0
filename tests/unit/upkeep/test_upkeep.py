"""Cleanup selects by facts; schedules that would not do what they say are refused."""

from datetime import UTC, datetime, timedelta

import pytest

from hostadmin.core.errors import Invalid
from hostadmin.upkeep.cleanup import Candidate, select_stopped, stopped_since
from hostadmin.upkeep.restarts import select_forbidden
from hostadmin.upkeep.schedule import parse_trigger
from tests.unit.policy.test_policy import STRICT

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def candidate(state="exited", hours=30, allowed=24):
    return Candidate("a" * 64, "c1", "acc", "ashu", "alpine", state, NOW - timedelta(hours=hours), 10, allowed)


@pytest.mark.parametrize(
    ("given", "goes"),
    [
        (candidate(), True),
        (candidate(hours=23), False),
        (candidate(hours=24), False),
        (candidate(allowed=0), False),
        (candidate(state="running"), False),
        (candidate(state="paused"), False),
        (candidate(state="restarting"), False),
        (candidate(state="created"), True),
        (candidate(state="dead"), True),
    ],
)
def test_what_has_been_stopped_for_too_long(given, goes):
    assert (select_stopped([given], NOW) == [given]) is goes


def test_since_when_a_container_has_been_stopped():
    made = "2026-11-01T00:00:00.1Z"
    assert stopped_since({"Created": made, "State": {"FinishedAt": "0001-01-01T00:00:00Z"}}).day == 1
    assert stopped_since({"Created": made, "State": {"FinishedAt": "2026-11-05T00:00:00.123456789Z"}}).day == 5


def test_a_policy_that_the_owner_may_not_have_is_found():
    container = {"Id": "a", "Name": "/c1", "HostConfig": {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}}}
    found = select_forbidden(container, "acc", STRICT)
    assert (str(found.found), str(found.wanted)) == ("always", "no")
    container["HostConfig"]["RestartPolicy"] = {"Name": "", "MaximumRetryCount": 0}
    assert select_forbidden(container, "acc", STRICT) is None


@pytest.mark.parametrize("text", ["15 3 * * *", "0 22 * * mon-fri", "every 20 s"])
def test_schedules(text):
    assert parse_trigger(text).get_next_fire_time(None, NOW) is not None


@pytest.mark.parametrize("text", ["0 3 * * 1", "0 0 31 2 *", "0 3 1 * mon", "@daily", "x", "99 * * * *"])
def test_schedules_that_would_not_do_what_they_say(text):
    with pytest.raises(Invalid):
        parse_trigger(text)
