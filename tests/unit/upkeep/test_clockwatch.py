"""A clock that leaps: what goes for good waits, what is due by the clock comes all the same."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from hostadmin.audit.journal import Journal
from hostadmin.core.values import system_actor
from hostadmin.store import facts
from hostadmin.upkeep.clockwatch import FACT, SETTLE_SECONDS, ClockWatch, Reading, Seen, Ticker, judge, leap, read_clocks
from hostadmin.upkeep.schedule import Scheduler

HOUR = 3600.0
YEAR = 365 * 24 * HOUR
T = 1_800_000_000.0


class Clocks:
    """The kernel's clocks, set by hand."""

    def __init__(self):
        self.boot, self.uptime, self.wall = "one", 1000.0, T

    def __call__(self):
        return Reading(self.boot, self.uptime, self.wall)

    def passes(self, seconds):
        self.uptime += seconds
        self.wall += seconds


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def back():
    return []


@pytest.fixture
def watch(database, clocks, back):
    return ClockWatch(database, lambda: back.append(1), clocks)


@pytest.mark.parametrize(
    ("last", "at", "by", "doubted"),
    [
        (None, Reading("one", 10, T), 0, False),
        (Seen("one", 10, T), Reading("one", 10 + 9 * HOUR, T + 9 * HOUR), 0, False),  # the service was down, the host was not
        (Seen("one", 10, T), Reading("one", 20, T + 10 + 600), 600, False),
        (Seen("one", 10, T), Reading("one", 20, T + 10 + YEAR), YEAR, True),
        (Seen("one", 10, T), Reading("one", 20, T + 10 - YEAR), -YEAR, True),
        (Seen("one", 10, T), Reading("two", 20, T + 300), 300, False),  # started anew
        (Seen("one", 10, T), Reading("two", 20, T + 16 * HOUR), 16 * HOUR, True),  # it was off for a night, or so it says
        (Seen("one", 10, T), Reading("two", 20, T - YEAR), -YEAR, True),
        (Seen("one", 10, T, 10 + HOUR), Reading("one", 20 + HOUR, T + 10 + HOUR), 0, False),
        (Seen("one", 10, T, 10 + HOUR), Reading("two", 20, T + 300), 300, True),  # a start anew does not end the doubt
    ],
)
def test_what_is_doubted(last, at, by, doubted):
    assert leap(last, at) == by
    assert (judge(last, at).doubted_until > at.uptime) is doubted


def test_a_leap_is_doubted_until_the_clock_has_run_for_a_while(watch, clocks, back):
    assert not watch.look()
    clocks.wall += YEAR
    assert watch.look()
    assert back == []
    clocks.passes(SETTLE_SECONDS / 2)
    clocks.wall -= YEAR
    assert watch.look()
    assert back == [1]
    clocks.passes(SETTLE_SECONDS - 1)
    assert watch.look()
    clocks.passes(2)
    assert not watch.look()
    assert back == [1]


def test_a_new_run_of_the_service_knows_what_the_last_one_saw(database, clocks, watch):
    watch.look()
    clocks.wall += YEAR
    assert ClockWatch(database, lambda: None, clocks).look()
    clocks.passes(SETTLE_SECONDS - 10)
    assert ClockWatch(database, lambda: None, clocks).look()
    clocks.passes(20)
    assert not ClockWatch(database, lambda: None, clocks).look()


def test_a_quiet_clock_is_written_down_seldom(database, clocks, watch):
    def kept():
        with database.read() as tx:
            return facts.get(tx, FACT)["wall"]

    watch.look()
    clocks.passes(5)
    watch.look()
    assert kept() == T
    clocks.passes(900)
    watch.look()
    assert kept() == T + 905


def test_the_kernels_clocks():
    one, two = read_clocks(), read_clocks()
    assert one.boot == two.boot
    assert 0 <= two.uptime - one.uptime < 10
    assert abs(leap(Seen(one.boot, one.uptime, one.wall), two)) < 1


def test_a_ticker_ends():
    done = threading.Event()
    ticker = Ticker(0.01, done.set)
    ticker.start()
    assert done.wait(5)
    ticker.stop()


class Service:
    """Stands for the services that the jobs call; says which did anything."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        def call(*_argv):
            self.calls.append(name)
            return {}

        return call


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def scheduler(database, service, clocks):
    s = service
    made = Scheduler(
        database, Journal(database, "service"), s, s, s, s, s, s, resync_seconds=180, restarts_seconds=20, cleanup_cron="15 3 * * *"
    )
    made.clock = ClockWatch(database, made._renew, clocks)
    yield made
    made.stop()


FOR_GOOD = {"archives": "expire_archives", "cohorts": "end_due", "resets": "purge"}


def test_what_goes_for_good_waits_and_is_done_then(scheduler, service, clocks):
    assert {job.name for job in scheduler.jobs.values() if job.for_good} == {*FOR_GOOD, "cleanup"}
    scheduler.clock.look()
    clocks.wall += YEAR
    for name in (*FOR_GOOD, "expiry", "drift"):
        scheduler._tick(scheduler.jobs[name])
    assert service.calls == ["enforce_dates", "settle_drift"]
    assert {job["name"] for job in scheduler.list() if job["held"]} == FOR_GOOD.keys()
    scheduler.run(system_actor("system"), "cohorts")
    assert service.calls[2:] == ["end_due"], "an administrator decides"
    clocks.passes(SETTLE_SECONDS + 1)
    del service.calls[:]
    scheduler._scheduler.start(paused=True)
    scheduler._look_at_clock()
    held = [job for job in scheduler._scheduler.get_jobs() if job.id.endswith("-held")]
    assert {job.id for job in held} == {f"{name}-held" for name in FOR_GOOD}
    for job in held:
        job.func(*job.args)
    assert sorted(service.calls) == sorted(FOR_GOOD.values())


def test_the_clock_is_looked_at_before_any_job_runs(scheduler, clocks):
    scheduler.start()
    clocks.wall += YEAR
    assert scheduler._is_held(scheduler.jobs["cohorts"])


def test_a_clock_that_was_set_back_stops_no_job(scheduler, clocks):
    """They were to run at times that are far away now."""
    scheduler._scheduler.start(paused=True)
    scheduler._add_jobs()
    far = datetime.now(UTC) + timedelta(days=365)
    for name in scheduler.jobs:
        scheduler._scheduler.modify_job(name, next_run_time=far)
    scheduler._look_at_clock()
    clocks.wall -= YEAR
    scheduler._look_at_clock()
    times = {job.id: job.next_run_time for job in scheduler._scheduler.get_jobs()}
    assert times.keys() == scheduler.jobs.keys()
    assert max(times.values()) < datetime.now(UTC) + timedelta(days=1)
    assert max(times[name] for name in times if name != "cleanup") < datetime.now(UTC) + timedelta(seconds=10)
