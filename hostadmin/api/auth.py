"""Who calls the API: identity from the socket; whether they may: the table of ``permissions``."""

from typing import Annotated, Any, Final

from fastapi import Depends, Request

from hostadmin.api.permissions import PERMISSIONS, Permission
from hostadmin.core.errors import Forbidden
from hostadmin.core.values import Actor
from hostadmin.host import accounts
from hostadmin.host.peers import Peer

VIA: Final = "api-unix"


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


def permitted(request: Request) -> Actor:
    """Return the caller if the endpoint is for them; an endpoint that is not in the table is for nobody.

    Raises:
        Forbidden: with what to do instead.

    """
    actor = actor_of(request)
    wanted = PERMISSIONS.get(request.scope["route"].operation_id)
    if wanted is not Permission.SELF and not (wanted is Permission.ADMIN and actor.admin):
        raise Forbidden(
            "This is for the administrator: run it as root (sudo) on the host. Your own things: `hostadmin me`.", key="not-admin"
        )
    if actor.login is None and not actor.admin:
        raise Forbidden("Who is calling cannot be told: call from a login on the host.", key="unknown-caller")
    return actor


Services = Annotated[Any, Depends(services)]
Caller = Annotated[Actor, Depends(permitted)]
