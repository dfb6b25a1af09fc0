"""The steps of a roster's plan, forwards and backwards. Whoever calls them holds ``Context.classes``."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Target
from hostadmin.core.errors import Failed, HostadminError
from hostadmin.core.values import Actor, CohortState
from hostadmin.host.keyfiles import key_of
from hostadmin.host.programs import ProgramFailed
from hostadmin.host.vault import Secrets
from hostadmin.store import cohorts, facts, plans, users
from hostadmin.store.database import Tx
from hostadmin.store.plans import Plan, Step
from hostadmin.users.changing import Changing
from hostadmin.users.context import RULE, Context
from hostadmin.users.lanes import STOPPING, stopped
from hostadmin.users.making import Making, Orders, Wish, put_numbers
from hostadmin.users.planning import ADOPT, CHANGE, COHORT, CREATE, LEAVE, UNLOCK
from hostadmin.users.removing import ADOPTED_FACT, as_found
from hostadmin.users.renewal import draw
from hostadmin.users.service import Users
from hostadmin.users.sheets import Sheets
from hostadmin.users.steps import fingerprint
from hostadmin.users.supply import Supply

HASHES: Final = "roster-hashes"
OLD_HASHES: Final = "roster-old-hashes"
CHUNK: Final = 100  # accounts that are made at a time; so many are taken back after a kill
ROUNDS: Final = 5  # in which a number that somebody else has taken meanwhile is replaced
UID_TAKEN: Final = 4  # useradd(8)
VERIFICATION: Final = "account-verification"  # the gid was taken, so useradd chose another
NOT_BEGUN: Final = "not-begun"
Reported = Mapping[str, HostadminError]


class Applying:
    """Carries out steps.

    Args:
        context: ledger, host, journal.
        service: single accounts.
        vault: the hashes of a roster, and those that they replace.
        sheets: passwords that wait to be printed.

    """

    def __init__(self, context: Context, service: Users, vault: Secrets, sheets: Sheets) -> None:
        self._context = context
        self._service = service
        self._making = Making(context)
        self._changing = Changing(context, service)
        self._vault = vault
        self._sheets = sheets
        self._old_hashes = threading.Lock()  # they are read, added to and written by several lanes
        self._forwards: Final[Mapping[str, Callable[[Actor, Plan, Step], None]]] = {
            COHORT: self._cohort,
            ADOPT: self._adopt,
            CHANGE: self._change,
            UNLOCK: lambda actor, _plan, step: _ignore(self._service.unlock(actor, step.ref)),
            LEAVE: lambda actor, _plan, step: _ignore(self._service.leave(actor, step.ref)),
        }
        self._backwards: Final[Mapping[str, Callable[[Actor, Plan, Step], None]]] = {
            COHORT: self._cohort_back,
            CREATE: self._create_back,
            ADOPT: self._adopt_back,
            CHANGE: self._change_back,
            UNLOCK: lambda actor, _plan, step: _ignore(self._service.leave(actor, step.ref)),
            LEAVE: lambda actor, _plan, step: _ignore(self._service.unlock(actor, step.ref)),
        }

    # -- forwards ---------------------------------------------------------------------------

    def create(self, actor: Actor, plan: Plan, steps: Sequence[Step]) -> Reported:
        """Make the accounts of steps, in their order; return login → error of those that could not be made.

        Who lost the race for a number against another program is made again with a new one. Nothing more is begun once
        nothing of a whole chunk could be made, or the service ends.
        """
        errors: dict[str, HostadminError] = {}
        left: Sequence[Step] = steps
        with self._context.numbers:
            for _ in range(ROUNDS):
                errors = {login: error for login, error in errors.items() if not _lost_a_race(error)} | self._create(actor, plan, left)
                left = [step for step in left if _lost_a_race(errors.get(step.ref))]
                if not left:
                    break
        for step in steps:
            if step.ref in errors and errors[step.ref].key not in (NOT_BEGUN, STOPPING):
                self._mark(plan, step, "failed", errors[step.ref].message)
        return errors

    def forward(self, actor: Actor, plan: Plan, step: Step) -> HostadminError | None:
        """Carry out one step that makes no account; return why it could not be done."""
        return self._carry_out(self._forwards[step.action], actor, plan, step, ("begun", "failed", "done"))

    def backward(self, actor: Actor, plan: Plan, step: Step) -> HostadminError | None:
        """Take one step back; return why it could not be done: it stays ``undoing`` then."""
        with self._context.of(step.ref):
            act = self._backwards[step.action] if self._is_ours(plan, step) else _nothing
            return self._carry_out(act, actor, plan, step, ("undoing", "undoing", "undone"))

    def _is_ours(self, plan: Plan, step: Step) -> bool:
        """Tell whether a login that the plan has found is still the account that it was, and in the plan's cohort."""
        known = self._context.find(step.ref)
        if step.action == CHANGE:  # which may have brought it into this cohort
            return known is not None and known.uid == step.facts["before"]["uid"]
        return step.action not in (LEAVE, UNLOCK) or (known is not None and known.cohort_id == self._cohort_of(plan).id)

    def _carry_out(
        self, act: Callable[[Actor, Plan, Step], None], actor: Actor, plan: Plan, step: Step, words: tuple[str, str, str]
    ) -> HostadminError | None:
        """Do something; ``words``: the step's status meanwhile, if it could not be done, and afterwards."""
        begun, failed, end = words
        self._mark(plan, step, begun)
        try:
            act(actor, plan, step)
        except Exception as error:  # whatever it was: the others are not to be left without a word
            known = error if isinstance(error, HostadminError) else Failed(f"The host could not do it: {error}.", key="host")
            self._mark(plan, step, failed, known.message)
            return known
        self._mark(plan, step, end)
        return None

    def _mark(self, plan: Plan, step: Step, status: str, message: str = "") -> None:
        self._context.database.write(lambda tx: plans.set_step(tx, plan.id, step.ref, status, message, action=step.action))

    def _create(self, actor: Actor, plan: Plan, steps: Sequence[Step]) -> dict[str, HostadminError]:
        """Make accounts chunk by chunk; beside one the passwords of the next are hashed, which no tool waits for."""
        supply, cohort = Supply(self._context), self._cohort_of(plan)
        orders = Orders(partial(self._mark_created, plan, "begun"), partial(self._mark_created, plan, "done"), plan.id)
        errors: dict[str, HostadminError] = {}
        with ThreadPoolExecutor(1, "hashes") as beside:
            ahead = beside.submit(self._wishes, plan, steps[:CHUNK], cohort, supply)
            for start in range(0, len(steps), CHUNK):
                wishes, left = ahead.result(), steps[start + CHUNK :]
                if left:
                    ahead = beside.submit(self._wishes, plan, left[:CHUNK], cohort, supply)
                failed = self._making.make(actor, wishes, orders)
                errors |= failed
                if len(failed) == len(wishes):
                    errors |= {step.ref: Failed("Not begun: nothing could be made before it.", key=NOT_BEGUN) for step in left}
                    break
                if self._context.stopping.is_set():
                    errors |= {step.ref: stopped() for step in left}
                    break
        return errors

    @staticmethod
    def _mark_created(plan: Plan, status: str, tx: Tx, login: str) -> None:
        plans.set_step(tx, plan.id, login, status, action=CREATE)

    def _wishes(self, plan: Plan, steps: Sequence[Step], cohort: cohorts.Cohort, supply: Supply) -> Sequence[Wish]:
        """Return what is to be made; new passwords wait to be printed before anything of them is set.

        Raises:
            Failed: the hashes of the roster are gone, or the passwords cannot be kept.

        """
        given = self._hashes(plan, [step.ref for step in steps if step.facts["wish"]["hash"]])
        passwords, hashes = draw([step.ref for step in steps if step.ref not in given])
        self._sheets.add(cohort.id, passwords, hashes)
        return [self._wish(step, cohort, supply, given.get(step.ref), hashes.get(step.ref)) for step in steps]

    def _wish(self, step: Step, cohort: cohorts.Cohort, supply: Supply, given: str | None, generated: str | None) -> Wish:
        said = step.facts["wish"]
        profile = self._context.profiles.get(said["profile"])
        numbers, returning = supply.give(step.ref, profile)
        starts = _day(said["starts"])
        known = supply.living(step.ref)
        return Wish(
            login=step.ref,
            name=said["name"],
            mail=said["mail"],
            profile=profile.name,
            given=numbers,
            home=str(Path(self._context.places.home_root) / step.ref),
            docker=said["docker"],
            expires=_day(said["expires"]),
            starts=starts,
            groups=tuple(said["groups"]),
            keys=tuple(said["keys"]),
            hashed=given or generated,
            roster_hash=given is not None,
            force=generated is not None,
            closed=starts is not None and starts > self._context.today(),
            cohort_id=cohort.id,
            returning=returning,
            stale=known if known is not None and not known.managed else None,
        )

    def _hashes(self, plan: Plan, logins: Sequence[str]) -> Mapping[str, str]:
        kept = self._vault.get(HASHES, plan.id) or {}
        missing = [login for login in logins if login not in kept]
        if missing:
            raise Failed(
                f"The password hashes of the roster ({missing[0]} and others) are kept in memory only and are gone: plan the file again.",
                key="roster-hashes",
            )
        return {login: kept[login] for login in logins}

    def _cohort_of(self, plan: Plan) -> cohorts.Cohort:
        with self._context.database.read() as tx:
            found = cohorts.find_name(tx, plan.detail["cohort"])
        if found is None:
            raise Failed(f"The cohort {plan.detail['cohort']!r} is gone: plan again.", key="cohort-not-found")
        return found

    def _cohort(self, actor: Actor, plan: Plan, step: Step) -> None:
        """Make the cohort, or set its profile and days."""
        values = {c["attribute"]: c["new"] for c in step.facts["changes"]}
        self._set_cohort(actor, plan, step.ref, values, new="cohort" in values)

    def _cohort_back(self, actor: Actor, plan: Plan, step: Step) -> None:
        if any(change["attribute"] == "cohort" for change in step.facts["changes"]):
            with self._context.database.read() as tx:
                known = cohorts.find_name(tx, step.ref)
            if known is not None:
                self._sheets.drop(known.id)
        values = {c["attribute"]: c["old"] for c in step.facts["changes"]}
        self._set_cohort(actor, plan, step.ref, values, ended="cohort" in values)

    def _set_cohort(self, actor: Actor, plan: Plan, name: str, values: dict[str, Any], *, new: bool = False, ended: bool = False) -> None:
        with self._context.database.read() as tx:
            known = cohorts.find_name(tx, name)
        days = {key: _day(values[key]) for key in ("starts", "ends") if key in values}
        profile = values.get("profile")

        def rows(tx: Tx) -> None:
            if ended:
                if known is not None:
                    cohorts.change(tx, known.id, state=CohortState.ENDED)
            elif known is not None:
                cohorts.change(tx, known.id, **days, **({"profile": profile} if profile else {}))
            elif new:
                cohorts.add(tx, name=name, profile=str(profile), starts=days.get("starts"), ends=days.get("ends"))

        shown = {key: value for key, value in values.items() if key != "cohort"} | {"plan": plan.id, "ended": ended}
        intent = self._context.journal.intent(Entry(actor, Action.COHORT_CHANGE, Target("cohort", None, name), RULE, shown))
        self._context.journal.outcome(intent, "ok", also=rows)

    def _adopt(self, actor: Actor, plan: Plan, step: Step) -> None:
        """Take over an account that is there; from then on it is changed like the others."""
        account = self._context.accounts.find_local(step.ref)
        if account is None:
            raise Failed(f"{step.ref} is not in the passwd file: an account of another source cannot be adopted.", key="user-unmanaged")
        profile = self._context.profiles.get(step.facts["wish"]["profile"])
        cohort = self._cohort_of(plan)
        known = self._context.find(step.ref)
        if known is None or known.uid != account.uid or not known.managed:
            with self._context.numbers:
                supply = Supply(self._context)

                def rows(tx: Tx) -> None:
                    user = users.observe(tx, login=step.ref, uid=account.uid, gid=account.gid, profile=profile.name)
                    values = {"managed": True, "adopted": True, "home": account.home, "cohort_id": cohort.id, "profile": profile.name}
                    user = users.change(tx, user.id, name=account.comment.split(",")[0], **values)
                    facts.put(tx, f"{ADOPTED_FACT}{user.id}", before)
                    if supply.is_new(user.id):
                        put_numbers(tx, user.id, supply.complete(user, profile))

                before = as_found(self._context.accounts, account)
                detail = {"uid": account.uid, "home": account.home, "plan": plan.id}
                intent = self._context.journal.intent(Entry(actor, Action.USER_ADOPT, Target("user", None, step.ref), RULE, detail))
                self._context.journal.outcome(intent, "ok", also=rows)
        self._change(actor, plan, step)

    def _change(self, actor: Actor, plan: Plan, step: Step) -> None:
        for change in step.facts["changes"]:
            attribute = change["attribute"]
            if attribute == "password":
                self._set_hash(actor, plan, step.ref)
            elif attribute != "managed":
                self._changing.change(actor, step.ref, attribute, self._value(plan, step, attribute, change["new"]))

    def _value(self, plan: Plan, step: Step, attribute: str, shown: Any) -> Any:
        """Return the value behind what a plan shows."""
        if attribute == "cohort":
            return self._cohort_of(plan).id
        return step.facts["wish"]["keys"] if attribute == "keys" else shown

    def _set_hash(self, actor: Actor, plan: Plan, login: str) -> None:
        hashed = self._hashes(plan, [login])[login]
        before = self._context.accounts.shadow(login)
        if before is not None and before.has_password:
            with self._old_hashes:
                kept = self._vault.get(OLD_HASHES, plan.id) or {}
                self._vault.put(OLD_HASHES, plan.id, {login: [before.hashed.lstrip("!"), before.changed_day]} | kept)
        self._changing.set_hash(actor, login, hashed, given=fingerprint(hashed))

    # -- backwards --------------------------------------------------------------------------

    def _create_back(self, actor: Actor, plan: Plan, step: Step) -> None:
        """Remove an account that this plan has made, with all that it has come to own; its home is archived first.

        Whoever has come under that login otherwise is no member of the cohort, and not touched.
        """
        known = self._context.find(step.ref)
        if known is not None and known.managed and known.cohort_id == self._cohort_of(plan).id:
            self._service.remove(actor, step.ref)

    def _adopt_back(self, actor: Actor, _plan: Plan, step: Step) -> None:
        """Give an account back with all that it owns: it may have had that before."""
        known = self._context.find(step.ref)
        if known is not None and known.adopted:  # else it has been given back already
            self._service.release(actor, step.ref, keep_objects=True)

    def _change_back(self, actor: Actor, plan: Plan, step: Step) -> None:
        for change in reversed(step.facts["changes"]):
            attribute = change["attribute"]
            if attribute == "password":
                self._restore_hash(actor, plan, step)
            elif attribute == "groups":
                self._groups_back(actor, step)
            elif attribute == "keys":
                self._keys_back(actor, step)
            else:
                self._changing.change(actor, step.ref, attribute, self._old_value(attribute, change["old"]))

    def _old_value(self, attribute: str, shown: Any) -> Any:
        if attribute == "cohort":
            with self._context.database.read() as tx:
                found = cohorts.find_name(tx, shown) if shown else None
            return found.id if found else None
        return shown

    def _groups_back(self, actor: Actor, step: Step) -> None:
        """Bring memberships back to what was there before, whoever had given them; also after a step that was cut off."""
        had, ours = step.facts["before"]["groups"], step.facts["old groups"]
        given = {*step.facts["wish"]["groups"], *ours}
        self._changing.set_groups(actor, step.ref, ours, join=given & set(had), leave=given - set(had))

    def _keys_back(self, actor: Actor, step: Step) -> None:
        """Bring keys back to what was there before, whoever had put them there; also after a step that was cut off."""
        had, ours = step.facts["before"]["keys"], step.facts["old keys"]
        given = {fingerprint(key_of(line)): line for line in (*step.facts["wish"]["keys"], *ours)}
        back, away = [line for key, line in given.items() if key in had], [line for key, line in given.items() if key not in had]
        self._changing.set_keys(actor, step.ref, ours, add=back, remove=away)

    def _restore_hash(self, actor: Actor, plan: Plan, step: Step) -> None:
        login = step.ref
        before = (self._vault.get(OLD_HASHES, plan.id) or {}).get(login)
        if before is None:
            raise Failed(
                f"The password that {login} had before is kept in memory only and is gone: set one with `hostadmin user passwd {login}`.",
                key="roster-hashes",
            )
        hashed, day = before
        self._changing.set_hash(actor, login, hashed, given=step.facts["old print"], changed_day=day)


def _lost_a_race(error: HostadminError | None) -> bool:
    """Tell whether an account could not be made because another program took its numbers at that moment."""
    return (isinstance(error, ProgramFailed) and error.code == UID_TAKEN) or (error is not None and error.key == VERIFICATION)


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _nothing(_actor: Actor, _plan: Plan, _step: Step) -> None:
    """Leave alone what has gone, or is somebody else by now."""


def _ignore(_value: object) -> None:
    """Drop what an act returns."""
