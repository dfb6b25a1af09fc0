"""Whole classes: plan a roster, carry the plan out step by step, take it back (`hostadmin roster`).

A plan is stored with what it relies on. Carrying it out refuses if that has changed; every step is journalled before
it is done. A run that was cut off is finished by planning the same file again; the new plan remembers the old one, so
that ``undo`` takes back both.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import date, timedelta
from functools import partial
from itertools import groupby
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Target
from hostadmin.core.clock import timestamp
from hostadmin.core.errors import Conflict, Failed, HostadminError, NotFound
from hostadmin.core.values import Actor, UserState
from hostadmin.host.accounts import TOOLS_AT_ONCE
from hostadmin.host.vault import Secrets
from hostadmin.store import cohorts, facts, plans, users
from hostadmin.store.cohorts import Cohort
from hostadmin.store.database import Tx
from hostadmin.store.plans import Head, Plan, Step
from hostadmin.store.users import User
from hostadmin.users.actual import differences, read_actual
from hostadmin.users.applying import HASHES, OLD_HASHES, Applying
from hostadmin.users.context import RULE, Context
from hostadmin.users.lanes import HALTS, STOPPING, carry_out
from hostadmin.users.planning import ACTIONS, COHORT, CREATE, Draft, Ground, plan_roster
from hostadmin.users.roster import Member, Roster, RosterRefused, parse
from hostadmin.users.rosterproblems import Problem
from hostadmin.users.service import Users
from hostadmin.users.sheets import Sheets

KIND: Final = "roster"
UNDO: Final = ("begun", "done", "failed", "undoing")
FATAL: Final = ("duplicate",)  # what pwck and grpck say of lines that make every other tool fail (``accounts.md`` 5)
GROUP_MIN: Final = 1000
UNUSED_DAYS: Final = 30
"""A plan that nobody has carried out is kept this long."""
GROUND_FACT: Final = "roster.ground."  # + plan: its cohort and the accounts that it leaves as they are, until it is carried out


class Rosters:
    """Plans and carries out rosters.

    Args:
        context: ledger, host, journal.
        service: single accounts.
        vault: for what must not reach the database.
        sheets: passwords that wait to be printed.

    """

    def __init__(self, context: Context, service: Users, vault: Secrets, sheets: Sheets) -> None:
        self._context = context
        self._vault = vault
        self._applying = Applying(context, service, vault, sheets)

    # -- looking ----------------------------------------------------------------------------

    def list(self) -> Sequence[dict[str, Any]]:
        """Return the newest plans without their steps."""
        with self._context.database.read() as tx:
            return [head_view(head) for head in plans.heads(tx, KIND)]

    def show(self, plan_id: str) -> dict[str, Any]:
        """Return a plan with its steps and how far each has got.

        Raises:
            NotFound: there is none.

        """
        return view(self._get(plan_id))

    # -- planning ---------------------------------------------------------------------------

    def plan(
        self,
        data: bytes,
        filename: str,
        *,
        cohort: str | None = None,
        profile: str | None = None,
        starts: date | None = None,
        ends: date | None = None,
        adopt: bool = False,
    ) -> dict[str, Any]:
        """Read a roster, compare it with the host, store and return the plan.

        Args:
            data: the file.
            filename: its name.
            cohort: the cohort's name, else what the file says, else the file's own name.
            profile: the cohort's profile.
            starts: the first day.
            ends: the last day.
            adopt: whether accounts that are on the host already may be taken over.

        Raises:
            RosterRefused: with every problem of the file, or every reason why it does not fit this host; nothing is stored.

        """
        today = self._context.today()
        files = self._context.accounts.read()
        with self._context.database.read() as tx:
            taken = {*files.accounts, *files.groups, *(u.login for u in users.all_users(tx, removed=True))}
        roster = parse(
            data,
            filename,
            cohort=cohort,
            profile=profile,
            starts=starts,
            ends=ends,
            today=today,
            taken_logins=taken,
            known_profiles=set(self._context.profiles.by_name),
            is_group=self._why_not_group,
            members=self._members,
        )
        ground = self._ground(roster, today, adopt=adopt)
        draft = plan_roster(roster, ground)
        damage = self._context.accounts.find_damage()
        draft.problems += [Problem(None, None, None, None, f"{line}; correct that first") for line in damage if _is_fatal(line)]
        if draft.problems:
            raise RosterRefused(filename, draft.problems)
        draft.warnings += [line for line in damage if not _is_fatal(line)]
        return self._store(roster, filename, data, draft, ground)

    def _ground(self, roster: Roster, today: date, *, adopt: bool) -> Ground:
        with self._context.database.read() as tx:
            everybody = users.all_users(tx, removed=True)
            names = {c.id: c.name for c in cohorts.all_cohorts(tx)}
            cohort = cohorts.find_name(tx, roster.cohort.name)
        members = [u for u in everybody if cohort is not None and u.cohort_id == cohort.id and u.state is not UserState.REMOVED]
        tombstones = {u.login: u for u in sorted(everybody, key=lambda u: u.removed_at or "") if u.removed_at}
        logins = {row.login for row in roster.rows} | {user.login for user in members}
        return Ground(
            actual=read_actual(self._context, logins),
            cohort=cohort,
            cohorts=names,
            members=members,
            returning={login: user for login, user in tombstones.items() if user.managed},
            default_profile=self._context.profiles.default,
            group=self._context.places.group,
            uid_min=self._context.places.ranges.uid_min,
            today=today,
            shell=self._context.places.shell,
            numbers=self._context.accounts.used_numbers() | {n for u in everybody if u.removed_at is None for n in (u.uid, u.gid)},
            adopt=adopt,
        )

    def _members(self, cohort: str) -> Sequence[Member]:
        """Return who is in a cohort, so that a row without a login finds the one that it had before."""
        with self._context.database.read() as tx:
            found = cohorts.find_name(tx, cohort)
            return [Member(u.login, u.name, u.mail) for u in users.of_cohort(tx, found.id)] if found is not None else []

    def _why_not_group(self, name: str) -> str | None:
        """Return why a roster may not give a group: only plain ones that are there."""
        group = self._context.accounts.group(name)
        if name == self._context.places.group:
            return "access to docker has a column of its own: docker yes or no"
        if group is None:
            return f"there is no such group on this host; make it with `groupadd {name[:32]}`"
        if group.gid < GROUP_MIN:
            return f"it is a group of the system (gid {group.gid}), which may give rights over the host; no roster gives it"
        if name in self._context.accounts.read().accounts:
            return "it is somebody's own group"
        return None

    def _store(self, roster: Roster, filename: str, data: bytes, draft: Draft, ground: Ground) -> dict[str, Any]:
        with self._context.database.read() as tx:
            earlier = plans.heads(tx, KIND, cohort=roster.cohort.name, limit=None)
        cut_off = next((p for p in earlier if p.begun and "undone_at" not in p.detail), None)
        detail = {
            "cohort": roster.cohort.name,
            "file": filename,
            "digest": hashlib.sha256(data).hexdigest(),
            "rows": len(roster.rows),
            "unchanged": len({r.login for r in roster.rows} - {s.ref for s in draft.steps if s.action != COHORT}),
            "warnings": draft.warnings,
            "continues": cut_off.id if cut_off is not None and cut_off.applied_at is None else None,
        }
        touched = {step.ref for step in draft.steps if step.action != COHORT}
        others = {login: actual.standing() for login, actual in ground.actual.items() if login not in touched}

        old = timestamp(self._context.clock() - timedelta(days=UNUSED_DAYS))

        def rows(tx: Tx) -> tuple[Plan, Sequence[str]]:
            dropped = plans.drop_unused(tx, KIND, old)
            for plan_id in dropped:
                facts.put(tx, f"{GROUND_FACT}{plan_id}", None)
            stored = plans.store(tx, KIND, draft.steps, detail)
            if stored.steps:
                facts.put(tx, f"{GROUND_FACT}{stored.id}", {"cohort": _cohort_facts(ground.cohort, ground.members), "others": others})
            return stored, dropped

        plan, dropped = self._context.database.write(rows)
        for plan_id in dropped:
            self._vault.drop(HASHES, plan_id)
        hashes = {row.login: row.hashed for row in roster.rows if row.hashed}
        if hashes and draft.steps:
            self._vault.put(HASHES, plan.id, hashes)
        return view(plan)

    # -- carrying out -----------------------------------------------------------------------

    def apply(self, actor: Actor, plan_id: str) -> dict[str, Any]:
        """Carry out a stored plan; return it with how far each step has got.

        Raises:
            NotFound: there is none.
            Conflict: it has been carried out, or the host has changed since; with the differences.
            Failed: some steps failed; the others are done. Planning the file again and applying that goes on.

        """
        with self._context.classes:
            plan = self._get(plan_id)
            if plan.applied_at is not None or "undone_at" in plan.detail:
                raise Conflict(f"The plan {plan_id} has been carried out or taken back already; plan again.", key="plan-applied")
            self._refuse_stale(plan)
            self._run(actor, plan, Action.ROSTER_APPLY, self._forwards(actor, plan))
            self._context.database.write(partial(_set_applied, plan_id=plan.id))
            self._forget(plan.detail["cohort"], HASHES)  # those of its other plans too: they do not fit the host any more
            return self.show(plan.id)

    def forget(self, cohort: str) -> None:
        """Forget the password hashes that were kept for the plans of a cohort: it has ended."""
        self._forget(cohort, HASHES, OLD_HASHES)

    def _forget(self, cohort: str, *kinds: str) -> None:
        with self._context.database.read() as tx:
            known = plans.heads(tx, KIND, cohort=cohort, limit=None)
        for plan in known:
            for kind in kinds:
                self._vault.drop(kind, plan.id)

    def _forwards(self, actor: Actor, plan: Plan) -> Iterator[tuple[str, HostadminError | None]]:
        """Carry out what is left of a plan, in order; yield login and what went wrong.

        Nothing more is begun once somebody else holds the account files, or the service ends.
        """
        left = [step for step in plan.steps if step.status != "done"]
        for action, group in groupby(left, key=lambda step: step.action):  # one kind after the other
            steps = list(group)
            if action == CREATE:
                found = dict(self._applying.create(actor, plan, steps))
                yield from ((step.ref, found.get(step.ref)) for step in steps)
            else:
                ended = list(self._in_lanes(self._applying.forward, actor, plan, steps))
                yield from ended
                found = {login: error for login, error in ended if error is not None}
            if any(error.key in HALTS for error in found.values()):
                return

    def _in_lanes(
        self, act: Callable[[Actor, Plan, Step], HostadminError | None], actor: Actor, plan: Plan, steps: Sequence[Step]
    ) -> Iterator[tuple[str, HostadminError | None]]:
        """Carry out steps of different logins side by side, as many as the account tools allow."""
        found = carry_out(partial(act, actor, plan), steps, TOOLS_AT_ONCE, self._context.stopping)
        yield from zip((step.ref for step in steps), found, strict=True)

    def undo(self, actor: Actor, plan_id: str) -> dict[str, Any]:
        """Take back all that a plan, and the cut-off ones that it continues, have done.

        Accounts that were made are removed with what they own, their homes archived; attributes get their old values.

        Raises:
            NotFound: there is none.
            Conflict: it has done nothing, or a later plan of that cohort stands on it.
            Failed: some steps could not be taken back; running it again goes on.

        """
        with self._context.classes:
            chain = self._chain(self._get(plan_id))
            self._refuse_undo(chain)
            for plan in chain:
                self._run(actor, plan, Action.ROSTER_UNDO, self._backwards(actor, plan))
                self._context.database.write(partial(plans.set_undone, plan_id=plan.id))
                self._vault.drop(OLD_HASHES, plan.id)
                self._vault.drop(HASHES, plan.id)
            return self.show(plan_id)

    def _backwards(self, actor: Actor, plan: Plan) -> Iterator[tuple[str, HostadminError | None]]:
        """Take back what a plan has done, the last first; the cohort goes only once nobody of it is left."""
        left = [step for step in reversed(plan.steps) if step.status in UNDO and not _never_made(step)]
        failed = False
        for action, group in groupby(left, key=lambda step: step.action):
            if action == COHORT and failed:
                return
            for login, error in self._in_lanes(self._applying.backward, actor, plan, list(group)):
                failed = failed or error is not None
                yield login, error

    def _run(self, actor: Actor, plan: Plan, action: Action, steps: Iterator[tuple[str, HostadminError | None]]) -> None:
        """Record, do, record; every step also has records of its own.

        Raises:
            Failed: with the first things that went wrong.

        """
        detail = {"plan": plan.id, "steps": len(plan.steps)}
        intent = self._context.journal.intent(Entry(actor, action, Target("cohort", None, plan.detail["cohort"]), RULE, detail))
        try:
            errors = {login: error for login, error in steps if error is not None}
        except Exception as error:  # whatever it was, the intent gets its outcome
            with suppress(HostadminError, TimeoutError):
                message = getattr(error, "message", type(error).__name__)
                self._context.journal.outcome(intent, "error", detail={**detail, "message": message})
            raise
        told = {**detail, "failed": len(errors)}
        self._context.journal.outcome(intent, "error" if errors else "ok", detail=told)
        if errors:
            first = "; ".join(f"{login}: {error.message}" for login, error in list(errors.items())[:3])
            waiting = (
                {step.ref for step in self._get(plan.id).steps if step.status == "planned"} if action is Action.ROSTER_APPLY else set()
            )
            waiting |= {login for login, error in errors.items() if error.key == STOPPING}
            counts = {"failed": len(errors.keys() - waiting), "not begun": len(waiting)}
            said = [f"{count} step{'s' if count > 1 else ''} {what}" for what, count in counts.items() if count]
            raise Failed(
                f"{', '.join(said)}, the others are done: {first} What is left is in "
                f"`hostadmin roster plan` of the same file; `hostadmin roster apply` of it goes on, with --undo it is all taken back.",
                key="roster-incomplete",
                plan=view(self._get(plan.id)),
            )

    # -- refusing ---------------------------------------------------------------------------

    def _get(self, plan_id: str) -> Plan:
        with self._context.database.read() as tx:
            plan = plans.get(tx, plan_id)
        if plan is None or plan.kind != KIND:
            raise NotFound(
                f"There is no plan {plan_id[:64]!r} of a roster; make one with `hostadmin roster plan FILE`.", key="plan-not-found"
            )
        return plan

    def find_begun(self, cohort: str) -> str | None:
        """Return the id of the newest plan of a cohort of which anything was carried out and not taken back."""
        with self._context.database.read() as tx:
            mine = plans.heads(tx, KIND, cohort=cohort, limit=None)
        return next((p.id for p in mine if p.begun and "undone_at" not in p.detail), None)

    def _refuse_stale(self, plan: Plan) -> None:
        """Refuse a plan whose ground has changed: its cohort, who it changes, and who it leaves as they are.

        Steps of it that have been begun are no change.
        """
        with self._context.database.read() as tx:
            ground = facts.get(tx, f"{GROUND_FACT}{plan.id}", {})  # none of a plan from before there were any
            cohort = cohorts.find_name(tx, plan.detail["cohort"])
            members = users.of_cohort(tx, cohort.id) if cohort is not None else ()
        relied = {step.ref: step.facts["before"] for step in plan.steps if "before" in step.facts and step.status == "planned"}
        relied = ground.get("others", {}) | relied
        actual = read_actual(self._context, relied)
        found = []
        if "cohort" in ground and not plan.head.begun:
            found += differences(f"cohort {plan.detail['cohort']}", ground["cohort"], _cohort_facts(cohort, members))
        found += [text for login, before in relied.items() for text in differences(login, before, actual[login].facts())]
        if found:
            raise Conflict(
                f"The host has changed since the plan {plan.id} was made: {'; '.join(found[:5])}"
                f"{f'; and {len(found) - 5} more' if len(found) > 5 else ''}. Nothing was done; plan again.",
                key="plan-stale",
                differences=found,
            )

    def _chain(self, plan: Plan) -> Sequence[Plan]:
        """Return a plan and those that it continues, the newest first."""
        chain = [plan]
        while (earlier := chain[-1].detail.get("continues")) is not None:
            chain.append(self._get(earlier))
        return chain

    def _refuse_undo(self, chain: Sequence[Plan]) -> None:
        plan = chain[0]
        if "undone_at" in plan.detail or not any(p.head.begun for p in chain):
            raise Conflict(f"The plan {plan.id} has done nothing that could be taken back.", key="plan-not-applied")
        newest = self.find_begun(plan.detail["cohort"])
        if newest is not None and newest > plan.id:
            raise Conflict(
                f"The plan {newest} of the same cohort came later and stands on this one: take that back first.", key="plan-later"
            )


def _never_made(step: Step) -> bool:
    """Tell whether a step has made no account: one that was made is ``done`` in the ledger's own transaction, all else is taken back."""
    return step.action == CREATE and step.status in ("begun", "failed")


def view(plan: Plan) -> dict[str, Any]:
    """Return a plan for people and JSON; no secret is in it."""
    return {**head_view(plan.head), "steps": [_step_view(step) for step in plan.steps]}


def head_view(head: Head) -> dict[str, Any]:
    """Return a plan without its steps."""
    counts: Counter[str] = Counter()
    for (action, _), count in head.counts.items():
        counts[action] += count
    return {
        "id": head.id,
        **{key: head.detail.get(key) for key in ("cohort", "file", "rows", "unchanged", "warnings", "continues")},
        "created_at": head.created_at,
        "applied_at": head.applied_at,
        "begun": head.begun,
        "undone_at": head.detail.get("undone_at"),
        "counts": {action: counts[action] for action in ACTIONS if action in counts},
    }


def _step_view(step: Step) -> dict[str, Any]:
    shown = {key: step.facts.get(key) for key in ("name", "row", "changes", "notes")}
    return {"action": step.action, "login": step.ref, **shown, "status": step.status, "message": step.message}


def _cohort_facts(cohort: Cohort | None, members: Sequence[User]) -> dict[str, Any]:
    """Return what a plan relies on of its cohort, as plain JSON."""
    days = {name: str(day) if (day := getattr(cohort, name, None)) else None for name in ("starts", "ends")}
    return {"profile": cohort.profile if cohort else None, **days, "users": sorted(user.login for user in members)}


def _set_applied(tx: Tx, plan_id: str) -> None:
    plans.set_applied(tx, plan_id)
    facts.put(tx, f"{GROUND_FACT}{plan_id}", None)


def _is_fatal(line: str) -> bool:
    return any(word in line for word in FATAL)
