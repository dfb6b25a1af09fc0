"""`/me`: what is one's own, for everybody who has a login here."""

from typing import Any

from fastapi import APIRouter

from hostadmin.api.auth import Caller, Services
from hostadmin.api.routes.users import page
from hostadmin.core.errors import NotFound
from hostadmin.core.values import Kind
from hostadmin.store import users

router = APIRouter()


@router.get("/me", operation_id="me.whoami")
def whoami(actor: Caller, app: Services) -> dict[str, Any]:
    """Say who one is here, and what one may do."""
    with app.database.read() as tx:
        user = users.find_login(tx, actor.login or "")
    group = {a["login"] for a in app.users.access_list()}
    profile = app.profiles.get_or_default(user.profile if user else app.profiles.default)
    return {
        "login": actor.login,
        "uid": actor.uid,
        "admin": actor.admin,
        "docker": actor.admin or actor.login in group,
        "state": str(user.state) if user else "unmanaged",
        "starts": user.starts.isoformat() if user and user.starts else None,
        "expires": user.expires.isoformat() if user and user.expires else None,
        "notice": app.users.notice(user),
        "profile": profile.as_dict(),
        "quotas": app.holdings.show(user)["quotas"],
    }


@router.get("/me/quota", operation_id="me.quota")
def quota(actor: Caller, app: Services) -> dict[str, Any]:
    """Say how much of the host one holds, against what the profile allows."""
    with app.database.read() as tx:
        user = users.find_login(tx, actor.login or "")
    return dict(app.holdings.show(user))


@router.get("/me/{kind}", operation_id="me.objects")
def mine(kind: str, actor: Caller, app: Services) -> dict[str, Any]:
    """List one's own containers, networks, volumes or images."""
    known = {f"{k}s": k for k in Kind}
    if kind not in known:
        raise NotFound(f"There is no {kind!r} here; known: {', '.join(known)}.", key="kind-not-found")
    with app.database.read() as tx:
        user = users.find_login(tx, actor.login or "")
    return page(app.objects.list(known[kind], owner=user.login) if user else [])
