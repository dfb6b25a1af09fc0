"""Cleanup: a plan of ids first, then exactly that plan (``accounts.md`` 14.2).

One job: ``stopped-containers`` removes containers of users that have been stopped for longer than the
owner's profile says. Containers without an owner are never touched.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Journal, Target
from hostadmin.core.clock import now, parse_timestamp
from hostadmin.core.errors import Conflict, HostadminError, NotFound
from hostadmin.core.values import Actor, Kind
from hostadmin.engine.client import Engine
from hostadmin.policy.profiles import Profiles
from hostadmin.store import objects, plans, users
from hostadmin.store.database import Database, Tx

JOB: Final = "stopped-containers"
JOBS: Final = {JOB: "containers stopped longer than the profile's stopped_hours"}
STOPPED: Final = ("exited", "dead", "created")
NEVER: Final = "0001-01-01"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An owned container as inspected: the facts that decide."""

    ref: str
    name: str
    owner_id: str
    owner: str
    image: str
    state: str
    since: datetime
    size: int
    allowed_hours: int


def select_stopped(candidates: list[Candidate], moment: datetime) -> list[Candidate]:
    """Return those that have been stopped for longer than allowed at ``moment`` (pure)."""
    return [c for c in candidates if c.state in STOPPED and c.allowed_hours > 0 and moment - c.since > timedelta(hours=c.allowed_hours)]


def stopped_since(container: dict[str, Any]) -> datetime:
    """Return since when an inspected container has not been running: its end, else its creation."""
    finished = container["State"].get("FinishedAt") or NEVER
    text = container["Created"] if finished.startswith(NEVER) else finished
    return parse_timestamp(text)


class Cleanup:
    """Plans and runs the cleanup jobs."""

    def __init__(
        self, database: Database, journal: Journal, engine: Engine, profiles: Profiles, clock: Callable[[], datetime] = now
    ) -> None:
        self.database = database
        self.journal = journal
        self.engine = engine
        self.profiles = profiles
        self.clock = clock

    def plan(self, job: str = JOB) -> dict[str, Any]:
        """Store and return a plan: what would go, why, how much space.

        Raises:
            NotFound: there is no such job.
            Unavailable: the engine does not answer.

        """
        self._check(job)
        moment = self.clock()
        steps = [plans.Step("container.remove", c.ref, _facts(c, moment)) for c in select_stopped(self._candidates(), moment)]
        return view(self.database.write(lambda tx: plans.store(tx, f"cleanup.{job}", steps)))

    def run(self, actor: Actor, job: str = JOB, *, plan_id: str | None = None) -> dict[str, Any]:
        """Carry out a stored plan (or a new one): exactly its ids, each looked at again first.

        Running a plan that was cut off finishes it; a finished one is refused.

        Raises:
            NotFound: there is no such plan or job.
            Conflict: the plan has been carried out already.

        """
        self._check(job)
        chosen = plan_id or self.plan(job)["id"]
        with self.database.read() as tx:
            plan = plans.get(tx, chosen)
        if plan is None or plan.kind != f"cleanup.{job}":
            raise NotFound(
                f"There is no plan {chosen!r} of job {job!r}; make one with `hostadmin cleanup plan {job}`.", key="plan-not-found"
            )
        if plan.applied_at is not None:
            raise Conflict(f"The plan {chosen} has been carried out at {plan.applied_at}; make a new one.", key="plan-applied")
        entry = Entry(actor, Action.CLEANUP_RUN, Target("plan", plan.id, job), "cleanup", {"steps": len(plan.steps)})
        intent = self.journal.intent(entry)
        for step in plan.steps:
            if step.status in ("planned", "begun"):
                self._step(actor, plan.id, step)
        with self.database.read() as tx:
            done = plans.get(tx, plan.id)
        assert done is not None  # noqa: S101  # it was just there
        self.journal.outcome(intent, "ok", also=lambda tx: plans.set_applied(tx, plan.id), detail=_counts(done))
        return view(done)

    def _check(self, job: str) -> None:
        if job not in JOBS:
            raise NotFound(f"There is no cleanup job {job!r}; known: {', '.join(JOBS)}.", key="job-not-found")

    def _candidates(self) -> list[Candidate]:
        with self.database.read() as tx:
            owned = [o for o in objects.list_objects(tx, Kind.CONTAINER) if o.owner_id]
            accounts = {u.id: u for u in users.all_users(tx, removed=True)}
        found = []
        for item in owned:
            try:
                container = self.engine.inspect_container(item.ref, size=item.detail.get("state") != "running")
            except NotFound:
                continue
            user = accounts[item.owner_id or ""]
            hours = self.profiles.get_or_default(user.profile).stopped_hours
            found.append(
                Candidate(
                    item.ref,
                    container["Name"].removeprefix("/"),
                    user.id,
                    user.login,
                    container["Config"]["Image"],
                    container["State"]["Status"],
                    stopped_since(container),
                    container.get("SizeRw") or 0,
                    hours,
                )
            )
        return found

    def _step(self, actor: Actor, plan_id: str, step: plans.Step) -> None:
        """Remove one container, if the facts that the plan relies on still hold."""
        target = Target("container", step.ref, step.facts["name"], step.facts["owner_id"])

        def begin(tx: Tx) -> None:
            plans.set_step(tx, plan_id, step.ref, "begun")

        intent = self.journal.intent(
            Entry(actor, Action.CLEANUP_STEP, target, "cleanup", {"plan": plan_id, "why": step.facts["why"]}), also=begin
        )
        status, message = self._remove(step)

        def end(tx: Tx) -> None:
            plans.set_step(tx, plan_id, step.ref, status, message)
            if status == "done":
                objects.mark_gone(tx, Kind.CONTAINER, [step.ref])

        outcome = {"done": "ok", "skipped": "not-done", "failed": "error"}[status]
        self.journal.outcome(intent, outcome, also=end, detail={"message": message} if message else {})

    def _remove(self, step: plans.Step) -> tuple[str, str]:
        try:
            container = self.engine.inspect_container(step.ref)
            if container["State"]["Status"] not in STOPPED:
                return "skipped", f"it is {container['State']['Status']} now"
            if stopped_since(container).isoformat() != step.facts["since"]:
                return "skipped", "it has been started since the plan was made"
            self.engine.remove_container(step.ref)
        except NotFound:
            return ("done", "") if step.status == "begun" else ("skipped", "it is gone already")
        except HostadminError as error:
            return "failed", error.message
        return "done", ""


def _facts(candidate: Candidate, moment: datetime) -> dict[str, Any]:
    hours = int((moment - candidate.since).total_seconds() // 3600)
    values = asdict(candidate)
    values["since"] = candidate.since.isoformat()
    why = f"stopped for {hours} h, profile allows {candidate.allowed_hours} h"
    return {**values, "why": why}


def _counts(plan: plans.Plan) -> dict[str, int]:
    counts: dict[str, int] = {}
    for step in plan.steps:
        counts[step.status] = counts.get(step.status, 0) + 1
    return counts


def view(plan: plans.Plan) -> dict[str, Any]:
    """Return a plan for people and JSON: what, why, how much space."""
    items = [
        {
            "container": s.facts["name"],
            "id": s.ref,
            "owner": s.facts["owner"],
            "image": s.facts["image"],
            "why": s.facts["why"],
            "size": s.facts["size"],
            "status": s.status,
            "message": s.message,
        }
        for s in plan.steps
    ]
    return {
        "id": plan.id,
        "job": plan.kind.removeprefix("cleanup."),
        "created_at": plan.created_at,
        "applied_at": plan.applied_at,
        "items": items,
        "size": sum(i["size"] for i in items),
        "counts": _counts(plan),
    }
