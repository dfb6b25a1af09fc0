"""Who may call which endpoint: one row each, compared with the routes themselves by a test."""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final


class Permission(Enum):
    """What an endpoint asks for.

    ``ADMIN`` is root on the host itself, in no container. ``SELF`` is everybody with a login here, who then
    sees only what is theirs. ``ANYBODY`` is not asked at all: health tells nothing about anybody.
    """

    ADMIN = "admin"
    SELF = "self"
    ANYBODY = "anybody"


_ROWS: Final[Mapping[Permission, str]] = {
    Permission.ANYBODY: "health.live health.ready",
    Permission.SELF: "me.whoami me.quota me.objects",
    Permission.ADMIN: """
        user.list user.add user.show user.set user.expire user.lock user.unlock user.passwd user.passwd.reset user.leave user.remove user.release
        access.list access.grant access.revoke
        roster.plan roster.list roster.show roster.apply roster.undo
        cohort.list cohort.show cohort.cards cohort.reset.plan cohort.reset cohort.reset.undo
        cohort.end.plan cohort.end cohort.end.date
        container.list container.show container.remove container.owner
        container.start container.stop container.restart container.restart-policy
        network.list network.show network.remove network.owner
        volume.list volume.show volume.remove volume.owner
        image.list image.show image.remove image.owner
        policy.list policy.show
        restart.list restart.release
        cleanup.plan cleanup.run
        job.list job.run job.history
        audit.list audit.show
    """,
}
PERMISSIONS: Final[Mapping[str, Permission]] = MappingProxyType(
    {operation: permission for permission, operations in _ROWS.items() for operation in operations.split()}
)
