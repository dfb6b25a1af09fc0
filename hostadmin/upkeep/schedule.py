"""The schedule, as one table, on APScheduler's clock (traps: ``accounts.md`` section 16).

The scheduler's store is memory: what must survive a restart lies in ``job_runs``. Ticks that found
nothing to do leave no row.
"""

import logging
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
from hostadmin.upkeep.restarts import Restarts

LOG = logging.getLogger("hostadmin.upkeep")
CRON_FIELDS: Final = 5
EXPIRY_SECONDS: Final = 30  # a last day is over for everybody within a minute
DRIFT_SECONDS: Final = 20
ARCHIVES_SECONDS: Final = 3600
RESETS_SECONDS: Final = 60
COHORTS_SECONDS: Final = 60


class Cohorts(Protocol):
    """What the cohorts service does by the clock."""

    def end_due(self, actor: Actor) -> dict[str, Any]:
        """End classes whose last day is over."""


@dataclass(frozen=True, slots=True)
class Job:
    """One row: a name, when it runs, what it does. The work returns what it did, empty for nothing."""

    name: str
    trigger: str
    work: Callable[[Actor], dict[str, Any]]
    description: str


class Accounts(Protocol):
    """What the users service does by the clock; each returns what it did, empty for nothing."""

    def enforce_dates(self, actor: Actor) -> dict[str, Any]:
        """Open and end accounts by their dates."""

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
                Job("drift", f"every {DRIFT_SECONDS} s", accounts.settle_drift, "group memberships that were changed by hand"),
                Job("archives", f"every {ARCHIVES_SECONDS} s", accounts.expire_archives, "delete archived homes kept long enough"),
                Job("cleanup", cleanup_cron, lambda actor: _cleaned(cleanup, actor), "remove containers stopped for too long"),
                Job("cohorts", f"every {COHORTS_SECONDS} s", cohorts.end_due, "end the classes that are to be ended after their last day"),
                Job(
                    "resets", f"every {RESETS_SECONDS} s", lambda _: _purged(resets), "forget what resets kept, when its grace time is over"
                ),
                Job(
                    "cut-off", f"every {RESETS_SECONDS} s", lambda actor: _finished(resets, actor), "finish resets that a kill has cut off"
                ),
            )
            if job.trigger
        }
        self._scheduler = BackgroundScheduler(timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1})

    def start(self) -> None:
        """Start the clock; a cleanup missed while nothing ran is caught up."""
        self.database.write(jobs.interrupt_running)
        for job in self.jobs.values():
            self._scheduler.add_job(self._tick, parse_trigger(job.trigger), args=[job], id=job.name, name=job.name)
        with self.database.read() as tx:
            last = jobs.last_ok(tx, "cleanup")
        if last is not None and "cleanup" in self.jobs and now() - parse_timestamp(last) > timedelta(days=1, hours=1):
            self._scheduler.add_job(self._tick, args=[self.jobs["cleanup"]], id="cleanup-catch-up")
        self._scheduler.start()

    def stop(self) -> None:
        """Stop the clock; a running job is waited for."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def list(self) -> Sequence[dict[str, Any]]:
        """Return all jobs with their next and last runs."""
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

    def _tick(self, job: Job) -> None:
        try:
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
    found = restarts.reconcile(time.time())
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
