"""Who calls the API, and may they: identity from the socket, permission from one table.

``ADMIN`` is root on the host itself; ``SELF`` is anybody who has an account in the ledger, or is a member of
the group, and then sees only what is theirs.
"""

from enum import Enum
from typing import Annotated, Any, Final

from fastapi import Depends, Request

from hostadmin.core.errors import Forbidden
from hostadmin.core.values import Actor
from hostadmin.host import accounts
from hostadmin.host.peers import Peer

VIA: Final = "api-unix"


class Permission(Enum):
    """What an endpoint asks for."""

    ADMIN = "admin"
    SELF = "self"
    ANYBODY = "anybody"


def services(request: Request) -> Any:
    """Return the service's object graph."""
    return request.app.state.services


def actor_of(request: Request) -> Actor:
    """Return who calls: root of the host is admin, nobody in a container ever is."""
    peer: Peer = request.state.peer
    account = accounts.find_uid(peer.uid) if peer.from_host else None
    return Actor(
        type="unix",
        via=VIA,
        login=account.login if account else None,
        uid=peer.uid,
        gid=peer.gid,
        loginuid=peer.loginuid,
        pid=peer.pid,
        exe=peer.exe,
        comm=peer.comm,
        container=peer.container,
        admin=peer.from_host and peer.uid == 0,
    )


def admin(request: Request) -> Actor:
    """Return the caller if they are root on the host.

    Raises:
        Forbidden: with what to do instead.

    """
    actor = actor_of(request)
    if not actor.admin:
        raise Forbidden(
            "This is for the administrator: run it as root (sudo) on the host. Your own things: `hostadmin me`.", key="not-admin"
        )
    return actor


def myself(request: Request) -> Actor:
    """Return the caller if they are somebody on this host.

    Raises:
        Forbidden: nobody knows that caller.

    """
    actor = actor_of(request)
    if actor.login is None:
        raise Forbidden("Who is calling cannot be told: call from a login on the host.", key="unknown-caller")
    return actor


Services = Annotated[Any, Depends(services)]
Admin = Annotated[Actor, Depends(admin)]
Myself = Annotated[Actor, Depends(myself)]
