"""From a roster and the accounts as they are to the steps between them. Pure: nothing is looked up, nothing is done."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from hostadmin.core.values import UserState
from hostadmin.host.accounts import comment_of
from hostadmin.host.keyfiles import key_of
from hostadmin.store.cohorts import Cohort
from hostadmin.store.plans import Step
from hostadmin.store.users import User
from hostadmin.users.actual import Actual
from hostadmin.users.numbers import may_return
from hostadmin.users.roster import Roster, Row
from hostadmin.users.rosterproblems import Problem
from hostadmin.users.steps import fingerprint

COHORT: Final = "cohort"
CREATE: Final = "create"
ADOPT: Final = "adopt"
CHANGE: Final = "change"
UNLOCK: Final = "unlock"
LEAVE: Final = "leave"
ACTIONS: Final = (COHORT, CREATE, ADOPT, UNLOCK, CHANGE, LEAVE)
"""In the order in which they are carried out; of one kind, in the roster's order."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a plan stands on.

    ``cohort``: the living cohort of that name; ``members``: its accounts; ``returning``: login → the removed account that
    would come back; ``numbers``: every uid and gid that somebody has; ``group``: the one with access; ``shell``: of accounts
    that are made; ``adopt``: whether accounts that are there may be taken over.
    """

    actual: Mapping[str, Actual]
    cohort: Cohort | None
    cohorts: Mapping[str, str]
    members: Sequence[User]
    returning: Mapping[str, User]
    default_profile: str
    group: str
    uid_min: int
    today: date
    shell: str
    numbers: AbstractSet[int] = frozenset()
    adopt: bool = False


@dataclass(slots=True)
class Draft:
    """Steps, and what stands in the way of them: with a problem nothing is done. ``warnings``: what no step puts right."""

    steps: list[Step] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def plan_roster(roster: Roster, ground: Ground) -> Draft:
    """Return the steps that make the accounts what a roster says."""
    draft = Draft()
    draft.steps += _cohort_steps(roster, ground)
    for row in roster.rows:
        actual = ground.actual[row.login]
        decide = _case(actual)
        decide(roster, row, actual, ground, draft)
    there = {row.login for row in roster.rows}
    for user in ground.members:
        if user.login not in there and user.state is not UserState.LEAVING:
            draft.steps.append(_leave(user, ground.actual[user.login]))
    draft.steps.sort(key=lambda step: ACTIONS.index(step.action))  # stable: the roster's order within
    return draft


def profile_of(row: Row, roster: Roster, ground: Ground) -> str:
    """Return the profile that a new account of a row gets."""
    return row.profile or roster.cohort.profile or (ground.cohort.profile if ground.cohort else ground.default_profile)


# -- the cohort -------------------------------------------------------------------------------


def _cohort_steps(roster: Roster, ground: Ground) -> Iterator[Step]:
    wish, now = roster.cohort, ground.cohort
    new = {
        "profile": wish.profile or (now.profile if now else ground.default_profile),
        "starts": _text(wish.starts),
        "ends": _text(wish.ends),
    }
    if now is None:
        yield Step(
            COHORT, wish.name, {"changes": [_change("cohort", None, wish.name), *(_change(k, None, v) for k, v in new.items() if v)]}
        )
        return
    old = {"profile": now.profile, "starts": _text(now.starts), "ends": _text(now.ends)}
    changes = [_change(k, old[k], v) for k, v in new.items() if v is not None and v != old[k]]
    if changes:
        yield Step(COHORT, wish.name, {"changes": changes})


# -- one login --------------------------------------------------------------------------------

Decide = Callable[[Roster, Row, Actual, Ground, Draft], None]


def _case(actual: Actual) -> Decide:
    """Return what is to be decided of a login, by what ledger and host know of it."""
    managed = actual.user is not None and actual.user.managed
    if actual.account is None:
        return _gone if managed else _create
    if managed:
        same = actual.user is not None and actual.user.uid == actual.account.uid
        return _known if same else _other_uid
    return _stranger


def _gone(_roster: Roster, row: Row, _actual: Actual, _ground: Ground, draft: Draft) -> None:
    _refuse(
        draft, row, f"its account has gone from the host; `hostadmin user remove {row.login}` takes it out of the ledger, then plan again"
    )


def _other_uid(_roster: Roster, row: Row, actual: Actual, _ground: Ground, draft: Draft) -> None:
    has, had = actual.account.uid if actual.account else "", actual.user.uid if actual.user else ""
    _refuse(draft, row, f"the host's account of that name has uid {has}, the one in the ledger uid {had}: somebody else holds the login")


def _create(roster: Roster, row: Row, actual: Actual, ground: Ground, draft: Draft) -> None:
    known = ground.returning.get(row.login)
    returning = known if known is not None and may_return(known.uid, known.gid, ground.numbers) else None
    if actual.named_group:
        _refuse(draft, row, "a group has that name")
    elif actual.groups:
        listed = min(actual.groups)
        _refuse(draft, row, f"group {listed!r} lists that name although nobody has it: `gpasswd --delete {row.login} {listed}`")
    elif actual.subordinate:
        ranges = ", ".join(f"{start}:{count}" for start, count in dict.fromkeys(actual.subordinate))
        _refuse(draft, row, f"subuid or subgid gives ranges to that name although nobody has it ({ranges}): take those lines out")
    elif actual.home != "absent" and not (returning and actual.home.startswith(f"directory of uid {returning.uid},")):
        _refuse(draft, row, f"where its home would be there is something already ({actual.home}): move it away")
    else:
        notes = _notes_of_return(known, returns=returning is not None) if known else []
        wanted = _wish(roster, row, ground)
        shown = {"name": row.name, "mail": row.mail, "profile": wanted["profile"], "docker": row.docker, "groups": list(row.groups)}
        shown |= {"keys": [_shown_key(k) for k in row.keys], "starts": wanted["starts"], "expires": wanted["expires"]}
        shown["password"] = "as in the roster" if row.hashed else "a new one, to be changed at the first login"  # words
        changes = [_change(name, None, value) for name, value in shown.items() if value not in ("", [], None)]
        draft.steps.append(_step(CREATE, row, actual, changes, wanted, notes))


def _notes_of_return(user: User, *, returns: bool) -> list[str]:
    """Return what somebody finds who was here before."""
    if returns:
        return [f"returns: uid {user.uid} and the other numbers as before"]
    return [f"was here before, but uid or gid {user.uid} is somebody else's by now: gets new numbers"]


def _stranger(roster: Roster, row: Row, actual: Actual, ground: Ground, draft: Draft) -> None:
    """An account that is there and that hostadmin does not manage: adopted only when asked."""
    account = actual.account
    assert account is not None  # noqa: S101  # `_case`
    if not ground.adopt:
        _refuse(
            draft, row, f"the host has an account of that name (uid {account.uid}) that hostadmin does not manage; --adopt takes it over"
        )
    elif account.uid < ground.uid_min:
        _refuse(draft, row, f"it is an account of the system (uid {account.uid}): it is never adopted")
    elif not actual.home.startswith(f"directory of uid {account.uid},"):
        _refuse(draft, row, f"its home {account.home} is not a directory of its own ({actual.home}): it is not adopted")
    elif actual.shadow is None:
        _refuse(draft, row, "it has no line in shadow: `pwconv` adds one")
    elif row.hashed:
        _refuse(draft, row, "an account that is adopted keeps its password: leave the password hash out of its row")
    else:
        notes = [f"takes over uid {account.uid}, home {account.home}; given back, not removed, when the cohort ends"]
        changes = [_change("managed", "no", "yes"), *_attributes(roster, row, actual, ground)]
        draft.steps.append(_step(ADOPT, row, actual, changes, _wish(roster, row, ground), notes))


def _known(roster: Roster, row: Row, actual: Actual, ground: Ground, draft: Draft) -> None:
    user = actual.user
    assert user is not None  # noqa: S101  # `_case`
    other = ground.cohorts.get(user.cohort_id or "")
    if other is not None and other != roster.cohort.name:
        _refuse(draft, row, f"it belongs to the cohort {other!r}: take it off that roster, or end that cohort first")
        return
    wanted = _wish(roster, row, ground)
    if user.state is UserState.LEAVING:
        draft.steps.append(_step(UNLOCK, row, actual, [_change("state", str(user.state), "as before it was leaving")], wanted))
    changes = list(_attributes(roster, row, actual, ground))
    drifted = list(_drift(user, actual, ground))
    draft.warnings += [f"{row.login}: {text}" for text in drifted]
    if changes:
        draft.steps.append(_step(CHANGE, row, actual, changes, wanted, drifted))


def _drift(user: User, actual: Actual, ground: Ground) -> Iterator[str]:
    """Yield what somebody has changed by hand of an account that no roster says anything of."""
    account = actual.account
    assert account is not None  # noqa: S101  # `_case`
    if account.home != user.home:
        yield f"its home is {account.home}, the ledger says {user.home}; left as it is"
    elif not actual.home.startswith(f"directory of uid {account.uid},"):
        yield f"its home {account.home} is not a directory of its own ({actual.home}); left as it is"
    if account.gid != user.gid:
        yield f"its group is {account.gid}, the ledger says {user.gid}; left as it is"
    if account.shell != ground.shell and not user.adopted:
        yield f"its shell is {account.shell}, it was made with {ground.shell}; left as it is"


def _attributes(roster: Roster, row: Row, actual: Actual, ground: Ground) -> Iterator[dict[str, Any]]:
    """Yield what of an account that is there differs from its row; what the roster does not say stays as it is."""
    # what the ledger still knows of an account that was given back is not what it will be adopted with
    user, account = actual.user if actual.user is not None and actual.user.managed else None, actual.account
    assert account is not None  # noqa: S101  # `_case`
    said: dict[str, tuple[Any, Any, bool]] = {
        "name": (user.name if user else account.comment, row.name, bool(row.name)),
        "mail": (user.mail if user else "", row.mail, bool(row.mail)),
        "profile": (user.profile if user else None, row.profile or roster.cohort.profile, bool(row.profile or roster.cohort.profile)),
        "starts": (_text(user.starts) if user else None, _text(row.starts), _is_start_said(row, user, ground.today)),
        "expires": (_text(user.expires) if user else None, _text(row.expires), row.expires is not None),
        "cohort": (ground.cohorts.get(user.cohort_id or "") if user else None, roster.cohort.name, True),
        "docker": (ground.group in actual.groups, row.docker, "docker" in roster.columns or not _is_revoked(user)),
    }
    for name, (old, new, is_said) in said.items():
        if is_said and old != new:
            yield _change(name, old, new)
    if row.name and (user is None or user.name == row.name) and account.comment != comment_of(row.name):
        yield _change("comment", account.comment, comment_of(row.name))
    yield from _groups(roster, row, actual)
    yield from _keys(roster, row, actual)
    if row.hashed and (user is None or user.password_print != fingerprint(row.hashed)):
        yield _change("password", "another one", "as in the roster")


def _is_start_said(row: Row, user: User | None, today: date) -> bool:
    """Tell whether a row's first day matters: one that has come does only to somebody who waits, none to whom an administrator locked."""
    waits = user is not None and user.state is UserState.LOCKED and user.starts is not None
    if row.starts is None or (user is not None and user.state is UserState.LOCKED and not waits):
        return False
    return row.starts > today or waits


def _is_revoked(user: User | None) -> bool:
    """Tell whether access was taken from somebody of a class on purpose: a roster without that column does not give it back."""
    return user is not None and user.managed and user.cohort_id is not None and user.docker is False


def _groups(roster: Roster, row: Row, actual: Actual) -> Iterator[dict[str, Any]]:
    """Further groups: those of the roster are joined, those that an earlier roster gave are left, others never touched."""
    ours = set(actual.user.groups) if actual.user else set()
    if "groups" not in roster.columns:
        return
    missing, surplus = set(row.groups) - actual.groups, (ours - set(row.groups)) & actual.groups
    if missing or surplus or ours != set(row.groups):
        yield _change("groups", sorted(ours & actual.groups), sorted(row.groups))


def _keys(roster: Roster, row: Row, actual: Actual) -> Iterator[dict[str, Any]]:
    ours = {key_of(line) for line in actual.user.keys} if actual.user else set()
    wanted = {key_of(line) for line in row.keys}
    if "ssh keys" not in roster.columns:
        return
    if wanted - actual.keys or (ours - wanted) & actual.keys or ours != wanted:
        yield _change("keys", sorted(_shown_key(k) for k in ours), sorted(_shown_key(k) for k in wanted))


def _leave(user: User, actual: Actual) -> Step:
    """Somebody who is not on the roster any more: no access from now on, nothing removed before the cohort ends."""
    owns = ", ".join(f"{count} {kind}" for kind, count in sorted(actual.owns.items())) or "no objects"
    notes = [f"owns {owns}, {actual.processes} processes; nothing is removed before the cohort ends or `hostadmin user remove`"]
    changes = [_change("state", str(user.state), str(UserState.LEAVING))]
    before = actual.standing()  # nobody holds up their own end
    return Step(LEAVE, user.login, {"name": user.name, "changes": changes, "before": before, "notes": notes})


# -- small ------------------------------------------------------------------------------------


def _step(
    action: str, row: Row, actual: Actual, changes: Sequence[dict[str, Any]], wish: dict[str, Any], notes: Sequence[str] = ()
) -> Step:
    facts = {"name": row.name, "row": row.row, "changes": list(changes), "before": actual.facts(), "wish": wish, "notes": list(notes)}
    facts["old keys"] = list(actual.user.keys) if actual.user else []
    facts["old print"] = actual.user.password_print if actual.user else None
    facts["old groups"] = list(actual.user.groups) if actual.user else []
    return Step(action, row.login, facts)


def _wish(roster: Roster, row: Row, ground: Ground) -> dict[str, Any]:
    """Return what a row wants, as plain JSON; the hash is not in it, only whether there is one."""
    return {
        "name": row.name,
        "mail": row.mail,
        "profile": profile_of(row, roster, ground),
        "groups": list(row.groups),
        "keys": list(row.keys),
        "starts": _text(row.starts),
        "expires": _text(row.expires),
        "docker": row.docker,
        "hash": bool(row.hashed),
    }


def _change(attribute: str, old: Any, new: Any) -> dict[str, Any]:
    return {"attribute": attribute, "old": old, "new": new}


def _refuse(draft: Draft, row: Row, reason: str) -> None:
    draft.problems.append(Problem(row.row, row.line, "login", row.login, reason))


def _text(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _shown_key(line: str) -> str:
    """Return a public key shortened for a line of a plan: its type and its last characters."""
    kind, _, blob = key_of(line).partition(" ")
    return f"{kind} …{blob[-12:]}"
