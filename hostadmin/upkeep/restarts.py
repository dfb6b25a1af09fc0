"""Restart policies of owned containers, brought back to what the owner's profile allows.

A policy set past the guard, or allowed once and not any more, is corrected and recorded. Crash loops
are counted per window and shown; ending one is the administrator's decision.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Journal, Target
from hostadmin.core.errors import HostadminError, NotFound
from hostadmin.core.values import Actor, Kind, system_actor
from hostadmin.engine.client import Engine
from hostadmin.policy.profiles import Profile, Profiles
from hostadmin.policy.restarts import RestartPolicy, correct_restart, find_restart_violation
from hostadmin.store import objects, restarts, users
from hostadmin.store.database import Database, Tx

LOOP_RESTARTS: Final = 5
LOOP_WINDOW_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class Finding:
    """A container whose policy its owner may not have, and what it must become."""

    container_id: str
    name: str
    owner_id: str
    found: RestartPolicy
    wanted: RestartPolicy
    reason: str


def select_forbidden(container: dict[str, Any], owner_id: str, profile: Profile) -> Finding | None:
    """Return the finding about an inspected container of an owner, ``None`` if its policy is allowed."""
    given = container["HostConfig"].get("RestartPolicy") or {}
    policy = RestartPolicy(given.get("Name") or "no", given.get("MaximumRetryCount") or 0)
    violation = find_restart_violation(policy, profile)
    if violation is None:
        return None
    name = container["Name"].removeprefix("/")
    return Finding(container["Id"], name, owner_id, policy, correct_restart(policy, profile), violation)


class Restarts:
    """The reconciler of restart policies."""

    def __init__(self, database: Database, journal: Journal, engine: Engine, profiles: Profiles) -> None:
        self.database = database
        self.journal = journal
        self.engine = engine
        self.profiles = profiles
        self._counts: dict[str, list[tuple[float, int]]] = {}

    def reconcile(self, now_seconds: float) -> list[Finding]:
        """Correct every owned container whose policy is not allowed; return what was corrected.

        Raises:
            Unavailable: the engine or the database does not answer.

        """
        with self.database.read() as tx:
            owned = objects.owners(tx, Kind.CONTAINER)
            accounts = {u.id: u for u in users.all_users(tx, removed=True)}
        corrected = []
        for ref, owner_id in owned.items():
            try:
                container = self.engine.inspect_container(ref)
            except NotFound:
                continue
            finding = select_forbidden(container, owner_id, self.profiles.get_or_default(accounts[owner_id].profile))
            if finding is not None and self._correct(finding, container):
                corrected.append(finding)
            self._count(container, owner_id, now_seconds)
        self._counts = {ref: seen for ref, seen in self._counts.items() if ref in owned}
        return corrected

    def list(self) -> Sequence[dict[str, Any]]:
        """Return the findings that nobody has released."""
        with self.database.read() as tx:
            return restarts.list_open(tx)

    def release(self, actor: Actor, ref: str) -> int:
        """Release all findings about a container (name or id): listed no more, its policy left alone.

        Raises:
            NotFound: there is no open finding about it.

        """
        matches = [f for f in self.list() if ref == f["name"] or f["container_id"].startswith(ref)]
        if not matches:
            raise NotFound(f"There is no open finding about {ref!r}; see `hostadmin restart list`.", key="finding-not-found")
        container = matches[0]["container_id"]
        target = Target("container", container, matches[0]["name"], matches[0]["owner_id"])
        intent = self.journal.intent(Entry(actor, Action.RESTART_RELEASE, target, "admin"))
        self.journal.outcome(intent, "ok", also=lambda tx: restarts.release(tx, container))
        return len(matches)

    def _correct(self, finding: Finding, container: dict[str, Any]) -> bool:
        """Correct one container, unless an administrator has released exactly this policy of it."""
        with self.database.read() as tx:
            last = restarts.latest(tx, finding.container_id)
        if last is not None and last["released_at"] is not None and last["found"] == str(finding.found):
            return False
        if container["HostConfig"].get("AutoRemove"):
            return False  # the engine refuses to update it, and it goes with its first exit
        target = Target("container", finding.container_id, finding.name, finding.owner_id)
        detail = {"found": str(finding.found), "wanted": str(finding.wanted), "reason": finding.reason}
        intent = self.journal.intent(Entry(system_actor("reconciler"), Action.RESTART_CORRECT, target, "restart-policy", detail))
        try:
            self.engine.update_restart(finding.container_id, finding.wanted.name, finding.wanted.retries)
        except HostadminError as error:
            self.journal.outcome(intent, "error", detail={**detail, "message": error.message})
            return False
        self.journal.outcome(intent, "ok", also=lambda tx: _record(tx, finding, "corrected"), detail=detail)
        return True

    def _count(self, container: dict[str, Any], owner_id: str, now_seconds: float) -> None:
        """Notice more than five restarts within ten minutes; recorded once until released."""
        ref, restarted = container["Id"], int(container.get("RestartCount") or 0)
        seen = [(t, n) for t, n in self._counts.get(ref, []) if now_seconds - t < LOOP_WINDOW_SECONDS]
        seen.append((now_seconds, restarted))
        self._counts[ref] = seen
        rises = sum(max(b - a, 0) for (_, a), (_, b) in itertools.pairwise(seen))
        if rises <= LOOP_RESTARTS:
            return
        with self.database.read() as tx:
            known = any(f["container_id"] == ref and f["finding"] == "crash-looping" for f in restarts.list_open(tx))
        if not known:
            policy = RestartPolicy(container["HostConfig"]["RestartPolicy"]["Name"] or "no")
            reason = (
                f"restarted {rises} times within {LOOP_WINDOW_SECONDS // 60} minutes, last exit code {container['State'].get('ExitCode')}"
            )
            finding = Finding(ref, container["Name"].removeprefix("/"), owner_id, policy, policy, reason)
            self.database.write(lambda tx: _record(tx, finding, "crash-looping"))


def _record(tx: Tx, finding: Finding, kind: str) -> None:
    restarts.add(
        tx,
        container_id=finding.container_id,
        name=finding.name,
        owner_id=finding.owner_id,
        finding=kind,
        found=str(finding.found),
        applied=str(finding.wanted),
        reason=finding.reason,
    )
