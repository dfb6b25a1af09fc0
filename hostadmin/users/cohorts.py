"""Cohorts: the users of one roster, looked at, given their cards, reset and ended together (`hostadmin cohort`)."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Target
from hostadmin.core.errors import Conflict, Failed, HostadminError, NotFound
from hostadmin.core.values import Actor, CohortState, UserState
from hostadmin.objects.resets import Resets
from hostadmin.store import archives, cohorts, numbers, plans, quotas, users
from hostadmin.store.cohorts import Cohort
from hostadmin.store.plans import Plan, Step
from hostadmin.users.cards import Card, render
from hostadmin.users.classroom import Classroom
from hostadmin.users.context import RULE, Context
from hostadmin.users.halting import PAUSE_SECONDS
from hostadmin.users.lanes import carry_out
from hostadmin.users.renewal import Renewal, draw
from hostadmin.users.service import Users
from hostadmin.users.sheets import Sheets
from hostadmin.users.states import is_waiting
from hostadmin.users.steps import fingerprint

LOG: Final = logging.getLogger("hostadmin.users")
KIND_END: Final = "cohort.end"
REMOVE: Final = "remove"
RELEASE: Final = "release"
LANES: Final = 4  # people whose things go at the same time: programs wait for each other, disks and engine for none


class Cohorts:
    """The cohorts.

    Args:
        context: ledger, host, journal.
        service: single accounts.
        sheets: passwords that wait to be printed.
        renewal: gives new passwords.
        classroom: what a class holds of the host.
        resets: takes away and brings back what a class has at the engine.
        socket: the guard's, for the cards.
        guard: what people type before docker works, for the cards; empty: nothing.
        forget: drops what is kept in memory for the plans of a cohort that has ended.

    """

    def __init__(
        self,
        context: Context,
        service: Users,
        sheets: Sheets,
        renewal: Renewal,
        classroom: Classroom,
        resets: Resets,
        *,
        socket: str,
        guard: str,
        forget: Callable[[str], object],
    ) -> None:
        self._context = context
        self._service = service
        self._sheets = sheets
        self._classroom = classroom
        self._resets = resets
        self._renewal = renewal
        self._socket = socket
        self._guard = guard
        self._forget = forget
        self._paused: dict[str, float] = {}  # cohort id → when ending it by the clock is tried again

    # -- looking ----------------------------------------------------------------------------

    def list(self, *, ended: bool = False) -> Sequence[dict[str, Any]]:
        """Return all cohorts with the number of their users, those that have ended only when asked."""
        with self._context.database.read() as tx:
            found = cohorts.all_cohorts(tx, ended=ended)
            sizes = {c.id: len(users.of_cohort(tx, c.id)) for c in found}
        return [self._view(c) | {"users": sizes[c.id]} for c in found]

    def show(self, name: str) -> dict[str, Any]:
        """Return a cohort with a row per student; of one that has ended what was kept of it.

        Raises:
            NotFound: there is none of that name.

        """
        cohort = self._find(name, ended=True)
        with self._context.database.read() as tx:
            members = users.of_cohort(tx, cohort.id, removed=True)
            kept = {u.id: archives.of_user(tx, u.id) for u in members}
        living = [u for u in members if u.state is not UserState.REMOVED]
        gone = [
            {
                "login": u.login,
                "removed_at": u.removed_at,
                "archive": a.path,
                "sha256": a.sha256,
                "bytes": a.bytes,
                "keep_until": a.keep_until,
            }
            for u in members
            for a in kept[u.id]
            if a.created_at >= cohort.created_at  # not of another class, in which the same person was before
        ]
        return self._view(cohort) | {"students": self._classroom.rows(living), "archives": gone}

    def _view(self, cohort: Cohort) -> dict[str, Any]:
        return {
            "name": cohort.name,
            "state": str(cohort.state),
            "profile": cohort.profile,
            "starts": cohort.starts.isoformat() if cohort.starts else None,
            "ends": cohort.ends.isoformat() if cohort.ends else None,
            "removes": cohort.removes,
            "cards": len(list(self._sheets.waiting(cohort.id))) if cohort.state is CohortState.ACTIVE else 0,
            "created_at": cohort.created_at,
            "ended_at": cohort.ended_at,
        }

    def _find(self, name: str, *, ended: bool = False) -> Cohort:
        with self._context.database.read() as tx:
            found = cohorts.find_name(tx, name, ended=ended)
        if found is None:
            raise NotFound(f"There is no cohort {name[:64]!r}; see `hostadmin cohort list`.", key="cohort-not-found")
        return found

    # -- cards ------------------------------------------------------------------------------

    def cards(self, actor: Actor, name: str, *, renew: bool = False) -> dict[str, Any]:
        """Hand out the cards of a cohort, once: afterwards nobody knows the passwords any more.

        Args:
            actor: who asks.
            name: the cohort.
            renew: make new passwords first, for all who have not chosen their own yet.

        Returns:
            The HTML page, how many cards there are, and how many of them have a password.

        Raises:
            NotFound: there is no such cohort.
            Conflict: no password waits; with what to do.

        """
        with self._context.classes:
            cohort = self._find(name)
            with self._context.database.read() as tx:
                members = users.of_cohort(tx, cohort.id)
            if renew:
                self._renew(actor, cohort, members)
            if not self._sheets.waiting(cohort.id):
                raise Conflict(
                    f"The cards of {name} have been handed out already, or the host was started anew since: passwords are not kept. "
                    f"`hostadmin cohort cards {name} --renew` makes new ones for all who have not chosen their own; for one person, "
                    "`hostadmin user passwd LOGIN --reset`.",
                    key="cards-fetched",
                )
            handed: dict[str, Any] = {}

            def hand_out() -> None:
                shadows = self._context.accounts.shadows()
                prints = {u.login: fingerprint(shadows[u.login].hashed) for u in members if u.login in shadows}
                passwords = self._sheets.take(cohort.id, prints)
                cards = self._cards(members, passwords)
                page = render(name, cards, printed_at=self._context.clock())
                handed.update({"html": page, "cards": len(cards), "passwords": sum(card.password is not None for card in cards)})
                told["passwords"] = handed["passwords"]

            told: dict[str, Any] = {"users": len(members)}
            entry = Entry(actor, Action.CARDS_FETCH, Target("cohort", cohort.id, name), RULE, {"users": len(members)})
            self._context.do(entry, hand_out, told=told)
            return handed

    def _cards(self, members: Sequence[users.User], passwords: Mapping[str, str]) -> Sequence[Card]:
        with self._context.database.read() as tx:
            blocks = quotas.port_blocks_of_all(tx)
            given = numbers.of_all(tx)
        host = self._classroom.host  # asked once: it may take the name service seconds
        return [
            Card(
                login=user.login,
                password=passwords.get(user.login),
                name=user.name,
                host=host,
                guard=self._guard if user.docker else "",
                socket=self._socket if user.docker else "",
                ports=blocks.get(user.id),
                subnet=given[user.id].subnet if user.id in given else None,
                starts=user.starts,
                ends=user.expires,
                key_only=user.login not in passwords and bool(user.keys),
            )
            for user in members
            if user.state not in (UserState.LEAVING, UserState.REMOVED)
        ]

    def _renew(self, actor: Actor, cohort: Cohort, members: Sequence[users.User]) -> None:
        """Make new passwords for those who have not logged in with theirs yet; others keep what they have chosen."""
        shadows = self._context.accounts.shadows()
        expected = [u.login for u in members if u.managed and (u.state is UserState.ACTIVE or is_waiting(u))]
        waiting = [login for login in expected if login in shadows and shadows[login].changed_day == 0]
        passwords, hashes = draw(waiting)
        self._sheets.add(cohort.id, passwords, hashes)
        for login in waiting:
            self._renewal.put(actor, login, hashes[login])

    # -- reset ------------------------------------------------------------------------------

    def plan_reset(self, actor: Actor, name: str) -> dict[str, Any]:
        """Store and return what a reset would take away: all containers, networks and volumes, by name.

        Raises:
            NotFound: there is no such cohort.

        """
        cohort = self._find(name)
        with self._context.database.read() as tx:
            members = users.of_cohort(tx, cohort.id)
        return dict(self._resets.plan(members, actor, cohort_id=cohort.id))

    def reset(self, actor: Actor, name: str, *, plan_id: str | None = None, force: bool = False) -> dict[str, Any]:
        """Take away what a plan of a reset says (a new plan, if none is given); recoverable for a while.

        Raises:
            NotFound: no such cohort or plan.
            Conflict, Failed: as the reset itself.

        """
        cohort = self._find(name)
        if plan_id is not None:
            self._check_reset(cohort, plan_id)
        return dict(self._resets.apply(actor, plan_id or self.plan_reset(actor, name)["id"], force=force))

    def undo_reset(self, actor: Actor, name: str, *, plan_id: str | None = None) -> dict[str, Any]:
        """Bring back what the last reset of a cohort (or the given one) has taken away.

        Raises:
            NotFound: no such cohort, or no reset of it that could be undone.
            Conflict: the given one is another cohort's.

        """
        cohort = self._find(name)
        if plan_id is not None:
            self._check_reset(cohort, plan_id)
        mine = (r for r in self._resets.list() if r["recoverable"] and r["cohort_id"] == cohort.id)
        last = plan_id or next((str(r["id"]) for r in mine), None)
        if last is None:
            raise NotFound(f"No reset of {name} can be undone: there was none, or its time is over.", key="reset-not-found")
        return dict(self._resets.undo(actor, last))

    def _check_reset(self, cohort: Cohort, plan_id: str) -> None:
        """Refuse a plan of another cohort: what one has confirmed by name must not happen to others."""
        if self._resets.cohort_of(plan_id) != cohort.id:
            raise Conflict(f"The plan {plan_id} is not one of {cohort.name}. Nothing was done.", key="plan-cohort")

    # -- the end ----------------------------------------------------------------------------

    def plan_end(self, name: str) -> dict[str, Any]:
        """Store and return what ending a cohort would do: each user with what they own.

        Raises:
            NotFound: there is no such cohort.

        """
        cohort = self._find(name)
        with self._context.database.read() as tx:
            members = users.of_cohort(tx, cohort.id)
        owns = {row["login"]: row for row in self._classroom.holdings(members)}
        steps = [
            Step(RELEASE if user.adopted else REMOVE, user.login, {"name": user.name, "home": user.home, "owns": owns[user.login]})
            for user in members
        ]
        plan = self._context.database.write(lambda tx: plans.store(tx, KIND_END, steps, {"cohort": name, "cohort_id": cohort.id}))
        return end_view(plan)

    def end(self, actor: Actor, name: str, *, plan_id: str | None = None, archive: bool = True) -> dict[str, Any]:
        """Remove all users of a cohort with what they own, as a plan says; homes are archived first.

        Args:
            actor: who asks.
            name: the cohort.
            plan_id: the plan that was shown; a new one if not given.
            archive: whether homes are kept.

        Raises:
            NotFound: no such cohort or plan.
            Conflict: somebody has joined or left the cohort since the plan was made.
            Failed: some could not be removed; the others are. Running it again goes on.

        """
        with self._context.classes:
            cohort = self._find(name)
            plan = self._end_plan(cohort, plan_id or self.plan_end(name)["id"])
            intent = self._context.journal.intent(
                Entry(actor, Action.COHORT_END, Target("cohort", cohort.id, name), RULE, {"plan": plan.id, "users": len(plan.steps)})
            )
            left = [step for step in plan.steps if step.status != "done"]
            try:
                found = carry_out(partial(self._end_one, actor, plan, archive=archive), left, LANES, self._context.stopping)
            except Exception as error:  # whatever it was, the intent gets its outcome
                with suppress(HostadminError, TimeoutError):
                    message = getattr(error, "message", type(error).__name__)
                    self._context.journal.outcome(intent, "error", detail={"plan": plan.id, "message": message})
                raise
            errors = {step.ref: error for step, error in zip(left, found, strict=True) if error is not None}
            if errors:
                self._context.journal.outcome(intent, "error", detail={"plan": plan.id, "failed": len(errors)})
                first = " ".join(f"{login}: {error.message}" for login, error in list(errors.items())[:3])
                others = ", the others are" if len(errors) < len(plan.steps) else ""
                raise Failed(
                    f"{len(errors)} of {len(plan.steps)} users of {name} were not removed{others}. {first} Run `cohort end` again.",
                    key="cohort-end",
                    plan=end_view(self._get_end(plan.id)),
                )

            def rows(tx: Any) -> None:
                cohorts.change(tx, cohort.id, state=CohortState.ENDED)
                plans.set_applied(tx, plan.id)
                self._resets.end_grace(tx, cohort.id)

            self._context.journal.outcome(intent, "ok", also=rows)
            with suppress(HostadminError):  # else the job does it
                self._resets.purge(self._context.clock())
            self._sheets.drop(cohort.id)
            self._forget(name)
            return end_view(self._get_end(plan.id))

    def end_at_last_day(self, actor: Actor, name: str, *, wanted: bool) -> dict[str, Any]:
        """Say whether a cohort is ended by itself once its last day is over.

        Raises:
            NotFound: there is no such cohort.
            Conflict: it has no last day.

        """
        cohort = self._find(name)
        if wanted and cohort.ends is None:
            raise Conflict(f"The cohort {name} has no last day: give it one in its roster, or end it at once.", key="cohort-no-end")
        entry = Entry(actor, Action.COHORT_CHANGE, Target("cohort", cohort.id, name), RULE, {"removes": wanted})
        self._context.journal.outcome(
            self._context.journal.intent(entry), "ok", also=lambda tx: cohorts.change(tx, cohort.id, removes=wanted)
        )
        return self._view(self._find(name))

    def end_due(self, actor: Actor) -> dict[str, Any]:
        """End the cohorts whose last day is over and that are to be ended by themselves; return what was done, for the scheduler.

        One that cannot be ended holds up no other; it is tried again after a while.
        """
        with self._context.database.read() as tx:
            due = [c for c in cohorts.all_cohorts(tx) if c.removes and c.ends is not None and self._context.today() > c.ends]
        told: dict[str, list[str]] = {}
        for cohort in due:
            if self._paused.get(cohort.id, 0.0) > time.monotonic():
                continue
            try:
                self.end(actor, cohort.name)
            except HostadminError as error:
                LOG.warning("users: cohort %s could not be ended: %s", cohort.name, error.message)
                self._paused[cohort.id] = time.monotonic() + PAUSE_SECONDS
                told.setdefault("failed", []).append(cohort.name)
            else:
                told.setdefault("ended", []).append(cohort.name)
        return told

    def _end_one(self, actor: Actor, plan: Plan, step: Step, *, archive: bool) -> HostadminError | None:
        self._mark(plan, step, "begun")
        try:
            user = self._context.find(step.ref)
            if user is None or user.cohort_id != plan.detail["cohort_id"]:
                pass  # it has gone already, or is another cohort's business by now
            elif step.action == RELEASE:
                self._service.release(actor, step.ref)
            else:
                self._service.remove(actor, step.ref, archive=archive)
        except HostadminError as error:
            self._mark(plan, step, "failed", error.message)
            return error
        self._mark(plan, step, "done")
        return None

    def _mark(self, plan: Plan, step: Step, status: str, message: str = "") -> None:
        self._context.database.write(lambda tx: plans.set_step(tx, plan.id, step.ref, status, message))

    def _get_end(self, plan_id: str) -> Plan:
        with self._context.database.read() as tx:
            plan = plans.get(tx, plan_id)
        if plan is None or plan.kind != KIND_END:
            raise NotFound(
                f"There is no plan {plan_id[:64]!r} to end a cohort; make one with `hostadmin cohort end NAME`.", key="plan-not-found"
            )
        return plan

    def _end_plan(self, cohort: Cohort, plan_id: str) -> Plan:
        plan = self._get_end(plan_id)
        if plan.detail["cohort_id"] != cohort.id or plan.applied_at is not None:
            raise Conflict(f"The plan {plan_id} is not one for {cohort.name} as it is now; make a new one.", key="plan-applied")
        with self._context.database.read() as tx:
            now_there = {u.login for u in users.of_cohort(tx, cohort.id)}
        changed = now_there - {s.ref for s in plan.steps}
        if changed:
            raise Conflict(
                f"{', '.join(sorted(changed))} joined {cohort.name} after the plan was made: nothing was done; plan again.",
                key="plan-stale",
            )
        return plan


def end_view(plan: Plan) -> dict[str, Any]:
    """Return a plan to end a cohort for people and JSON."""
    steps = [{"action": s.action, "login": s.ref, **s.facts, "status": s.status, "message": s.message} for s in plan.steps]
    return {"id": plan.id, "cohort": plan.detail["cohort"], "created_at": plan.created_at, "applied_at": plan.applied_at, "steps": steps}
