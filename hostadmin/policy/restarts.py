"""Restart policies: what a profile allows, its default, and what a forbidden one becomes.

Words and rules are the engine's (``engine-api.md`` 7.1): ``MaximumRetryCount`` counts only with
``on-failure``; an empty name means ``no``.
"""

from dataclasses import dataclass

from hostadmin.policy.profiles import Profile


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """``HostConfig.RestartPolicy``."""

    name: str
    retries: int = 0

    def __str__(self) -> str:
        """Write the policy as ``docker run --restart`` takes it."""
        return f"{self.name}:{self.retries}" if self.retries else self.name


def parse_restart_policy(text: str) -> RestartPolicy | None:
    """Read ``no``, ``always``, ``unless-stopped``, ``on-failure`` or ``on-failure:N``; else ``None``."""
    name, colon, count = text.partition(":")
    if not colon:
        return RestartPolicy(name) if name in ("no", "always", "unless-stopped", "on-failure") else None
    return RestartPolicy(name, int(count)) if name == "on-failure" and count.isdigit() else None


def default_restart(policy: RestartPolicy | None, profile: Profile) -> RestartPolicy:
    """Return the policy that a request asks for, or the profile's default where it says nothing."""
    return RestartPolicy(profile.restart_default) if policy is None or not policy.name else policy


def find_restart_violation(policy: RestartPolicy, profile: Profile) -> str | None:
    """Return the sentence that refuses ``policy`` under ``profile``, or ``None`` if it is allowed."""
    allowed = ", ".join(profile.restart_policies)
    if (policy.name or "no") not in profile.restart_policies:
        return f"restart policy {policy.name!r}: profile {profile.name!r} allows {allowed}"
    limit = profile.restart_max_retries
    if policy.name == "on-failure" and limit and not 0 < policy.retries <= limit:
        return f"restart policy {str(policy)!r}: profile {profile.name!r} allows at most on-failure:{limit}"
    return None


def correct_restart(policy: RestartPolicy, profile: Profile) -> RestartPolicy:
    """Return what a policy found on a container must become; itself if it is allowed."""
    if find_restart_violation(policy, profile) is None:
        return policy
    if policy.name == "on-failure" and policy.name in profile.restart_policies:
        return RestartPolicy(policy.name, profile.restart_max_retries)
    return RestartPolicy(profile.restart_default)
