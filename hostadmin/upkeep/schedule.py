"""The schedule, as one table, on APScheduler's clock (traps: ``accounts.md`` section 16).

The scheduler's store is memory: what must survive a restart lies in ``job_runs``. Ticks that found
nothing to do leave no row. APScheduler goes by the wall clock: when that is set back, all jobs are made anew, or none would run until
the old time has come again.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Journal, Target
from hostadmin.core.clock import now, parse_timestamp
from hostadmin.core.errors import HostadminError, Invalid, NotFound
from hostadmin.core.values import Actor, system_actor
from hostadmin.objects.resets import Resets
from hostadmin.objects.watcher import Watcher
from hostadmin.store import jobs
from hostadmin.store.database import Database
from hostadmin.upkeep.cleanup import Cleanup
from hostadmin.upkeep.clockwatch import ClockWatch, Ticker
from hostadmin.upkeep.restarts import Restarts

LOG = logging.getLogger("hostadmin.upkeep")
CRON_FIELDS: Final = 5
EXPIRY_SECONDS: Final = 30  # a last day is over for everybody within a minute
STRAGGLERS_SECONDS: Final = 3
DRIFT_SECONDS: Final = 20
ARCHIVES_SECONDS: Final = 3600
RESETS_SECONDS: Final = 60
CUT_OFF_SECONDS: Final = 10  # the engine may not answer yet when the service starts
COHORTS_SECONDS: Final = 60
CLOCK_SECONDS: Final = 5.0


class Cohorts(Protocol):
    """What the cohorts service does by the clock."""

    def end_due(self, actor: Actor) -> dict[str, Any]:
        """End classes whose last day is over."""


@dataclass(frozen=True, slots=True)
class Job:
    """One row: a name, when it runs, what it does. The work returns what it did, empty for nothing.

    ``for_good``: nothing brings back what it takes away because of the time that it is; it waits while the clock is doubted.
    """

    name: str
    trigger: str
    work: Callable[[Actor], dict[str, Any]]
    description: str
    for_good: bool = False


class Accounts(Protocol):
    """What the users service does by the clock; each returns what it did, empty for nothing."""

    def enforce_dates(self, actor: Actor) -> dict[str, Any]:
        """Open and end accounts by their dates."""

    def end_stragglers(self, actor: Actor) -> dict[str, Any]:
        """End what runs under accounts without access."""

    def settle_drift(self, actor: Actor) -> dict[str, Any]:
        """Compare memberships with the ledger."""

    def expire_archives(self, actor: Actor) -> dict[str, Any]:
        """Delete archived homes whose time is over."""


class Scheduler:
    """Runs the jobs on time and by hand, and keeps their history."""

    def __init__(
        self,
        database: Database,
        journal: Journal,
        watcher: Watcher,
        restarts: Restarts,
        cleanup: Cleanup,
        accounts: Accounts,
        resets: Resets,
        cohorts: Cohorts,
        *,
        resync_seconds: int,
        restarts_seconds: int,
        cleanup_cron: str,
    ) -> None:
        self.database = database
        self.journal = journal
        self.jobs: Final = {
            job.name: job
            for job in (
                Job("resync", f"every {resync_seconds} s", lambda _: _changes(watcher.resync()), "compare the ledger with the engine"),
                Job("restarts", f"every {restarts_seconds} s", lambda _: _corrected(restarts), "restart policies and crash loops"),
                Job("expiry", f"every {EXPIRY_SECONDS} s", accounts.enforce_dates, "open and end accounts by their first and last day"),
                Job("stragglers", f"every {STRAGGLERS_SECONDS} s", accounts.end_stragglers, "logins that were under way at a lock"),
                Job("drift", f"every {DRIFT_SECONDS} s", accounts.settle_drift, "group memberships that were changed by hand"),
                Job("archives", f"every {ARCHIVES_SECONDS} s", accounts.expire_archives, "delete archived homes kept long enough", True),
                Job("cleanup", cleanup_cron, lambda actor: _cleaned(cleanup, actor), "remove containers stopped for too long", True),
                Job(
                    "cohorts",
                    f"every {COHORTS_SECONDS} s",
                    cohorts.end_due,
                    "end the classes that are to be ended after their last day",
                    True,
                ),
                Job(
                    "resets",
                    f"every {RESETS_SECONDS} s",
                    lambda _: _purged(resets),
                    "forget what resets kept, when its grace time is over",
                    True,
                ),
                Job(
                    "cut-off", f"every {CUT_OFF_SECONDS} s", lambda actor: _finished(resets, actor), "finish resets that a kill has cut off"
                ),
            )
            if job.trigger
        }
        self._scheduler = BackgroundScheduler(timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1})
        self.clock = ClockWatch(database, self._renew)
        self._ticker = Ticker(CLOCK_SECONDS, self._look_at_clock)
        self._held: set[str] = set()  # jobs that wait until the clock is believed
        self._holding = threading.Lock()

    def start(self) -> None:
        """Start the clock; a cleanup missed while nothing ran is caught up."""
        self.database.write(jobs.interrupt_running)
        self.clock.look()  # before anything is done by it
        self._add_jobs()
        with self.database.read() as tx:
            last = jobs.last_ok(tx, "cleanup")
        if last is not None and "cleanup" in self.jobs and now() - parse_timestamp(last) > timedelta(days=1, hours=1):
            self._scheduler.add_job(self._tick, args=[self.jobs["cleanup"]], id="cleanup-catch-up")
        self._scheduler.start()
        self._ticker.start()

    def stop(self) -> None:
        """Stop the clock; a running job is waited for."""
        self._ticker.stop()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def list(self) -> Sequence[dict[str, Any]]:
        """Return all jobs with their next and last runs; ``held``: one that waits until the clock is believed."""
        found = []
        for job in self.jobs.values():
            planned = self._scheduler.get_job(job.name) if self._scheduler.running else None
            with self.database.read() as tx:
                runs = jobs.history(tx, job.name, 1)
            found.append(
                {
                    "name": job.name,
                    "trigger": job.trigger,
                    "description": job.description,
                    "next_run": planned.next_run_time.isoformat() if planned and planned.next_run_time else None,
                    "last_run": runs[0] if runs else None,
                    "held": job.name in self._held,
                }
            )
        return found

    def run(self, actor: Actor, name: str) -> "dict[str, Any]":
        """Run a job now and return its row.

        Raises:
            NotFound: there is no such job.

        """
        job = self.jobs.get(name)
        if job is None:
            raise NotFound(f"There is no job {name!r}; known: {', '.join(self.jobs)}.", key="job-not-found")
        intent = self.journal.intent(Entry(actor, Action.JOB_RUN, Target("job", None, name), "admin"))
        try:
            self._run(job, actor, "manual", always=True)
        except HostadminError as error:
            self.journal.outcome(intent, "error", detail={"message": error.message})
            raise
        self.journal.outcome(intent, "ok")
        return dict(self.history(name, 1)[0])

    def history(self, name: str | None = None, limit: int = 50) -> Sequence[dict[str, Any]]:
        """Return runs, newest first."""
        with self.database.read() as tx:
            return jobs.history(tx, name, limit)

    def _add_jobs(self) -> None:
        for job in self.jobs.values():
            trigger = parse_trigger(job.trigger)
            self._scheduler.add_job(self._tick, trigger, args=[job], id=job.name, name=job.name, replace_existing=True)

    def _renew(self) -> None:
        """Make the jobs anew: the times at which they were to run were reckoned with another clock, and are far away."""
        LOG.warning("upkeep: the clock was set back: all jobs begin anew")
        self._add_jobs()

    def _look_at_clock(self) -> None:
        """Notice a leap of the clock; do what was held up by one once the clock is believed."""
        if self.clock.look():
            return
        with self._holding:
            held, self._held = self._held, set()
        for name in held:
            self._scheduler.add_job(self._tick, args=[self.jobs[name]], id=f"{name}-held", replace_existing=True)

    def _is_held(self, job: Job) -> bool:
        """Tell whether a job has to wait until the clock is believed; it is done then."""
        if not job.for_good or not self.clock.look():
            return False
        with self._holding:
            self._held.add(job.name)
        return True

    def _tick(self, job: Job) -> None:
        try:
            if self._is_held(job):
                return
            self._run(job, system_actor("scheduler"), "schedule", always=job.name == "cleanup")
        except HostadminError as error:
            LOG.warning("upkeep: job %s: %s", job.name, error.message)
        except Exception:
            LOG.exception("upkeep: job %s failed", job.name)

    def _run(self, job: Job, actor: Actor, trigger: str, *, always: bool) -> None:
        """Do a job; its row is written before and after, for periodic ones only if something happened."""
        run = self.database.write(lambda tx: jobs.begin(tx, job.name, trigger)) if always else None
        try:
            detail = job.work(actor)
        except HostadminError as error:
            if run:
                message = error.message
                self.database.write(lambda tx: jobs.end(tx, run, "error", {"message": message}))
            raise
        if run:
            self.database.write(lambda tx: jobs.end(tx, run, "ok", detail))
        elif detail:
            self.database.write(lambda tx: jobs.end(tx, jobs.begin(tx, job.name, trigger), "ok", detail))


def parse_trigger(text: str) -> "IntervalTrigger | CronTrigger":
    """Read ``every N s`` or a cron line in UTC; weekdays by name only.

    Raises:
        Invalid: not a schedule, a numeric weekday, or one that never fires.

    """
    words = text.split()
    if words[:1] == ["every"]:
        seconds = int(words[1])
        return IntervalTrigger(seconds=seconds, start_date=datetime.fromtimestamp(time.time() + min(seconds, 5), UTC), timezone=UTC)
    if len(words) != CRON_FIELDS or any(c.isdigit() for c in words[4]):
        raise Invalid(f"{text!r} is no schedule: five cron fields, weekdays by name (mon-fri).", key="schedule")
    try:
        trigger = CronTrigger.from_crontab(text, timezone=UTC)
    except ValueError as error:
        raise Invalid(f"{text!r} is no schedule: {error}.", key="schedule") from error
    if words[2] != "*" and words[4] != "*":
        raise Invalid(f"{text!r} restricts both day and weekday: use one of them.", key="schedule")
    if trigger.get_next_fire_time(None, now()) is None:
        raise Invalid(f"{text!r} never fires.", key="schedule")
    return trigger


def _changes(count: int) -> dict[str, Any]:
    return {"changes": count} if count else {}


def _corrected(restarts: Restarts) -> dict[str, Any]:
    found = restarts.reconcile(time.monotonic())
    return {"corrected": [f.name for f in found]} if found else {}


def _cleaned(cleanup: Cleanup, actor: Actor) -> dict[str, Any]:
    plan = cleanup.run(actor)
    return {"plan": plan["id"], "counts": plan["counts"]}


def _purged(resets: Resets) -> dict[str, Any]:
    count = resets.purge(now())
    return {"purged": count} if count else {}


def _finished(resets: Resets, actor: Actor) -> dict[str, Any]:
    plans = resets.settle(actor)
    return {"finished": plans} if plans else {}
