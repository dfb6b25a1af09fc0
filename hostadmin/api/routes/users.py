"""`/users` and `/access`."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr

from hostadmin.api.auth import Caller, Services
from hostadmin.users.rostercells import Wrong, day
from hostadmin.users.service import UNSET

router = APIRouter()


def _iso(value: Any) -> Any:
    """Take ``YYYY-MM-DD`` only, as a roster does: no numbers, no times (``accounts.md`` 2.4)."""
    if value is None:
        return value
    try:
        return day(value if isinstance(value, str) else "")
    except Wrong as wrong:
        raise ValueError(str(wrong)) from None


Day = Annotated[date, BeforeValidator(_iso)]


class Closed(BaseModel):
    """A body whose unknown members are errors."""

    model_config = ConfigDict(extra="forbid")


class NewUser(Closed):
    """The body of ``POST /users``."""

    login: str
    name: str = ""
    profile: str | None = None
    docker: bool = False
    expires: Day | None = None
    password: SecretStr | None = None


class UserChange(Closed):
    """The body of ``PATCH /users/{login}``; ``expires`` null means no end."""

    name: str | None = None
    profile: str | None = None
    expires: Day | None = None


class Password(Closed):
    """The body of ``PUT /users/{login}/password``."""

    password: SecretStr


def page(items: list[Any]) -> dict[str, Any]:
    """Return a whole list in the shape of a page."""
    return {"items": items, "next": None}


@router.get("/users", operation_id="user.list")
def list_users(_actor: Caller, app: Services) -> dict[str, Any]:
    """List all accounts."""
    return page([u.as_dict() for u in app.users.list()])


@router.post("/users", operation_id="user.add", status_code=201)
def add_user(body: NewUser, actor: Caller, app: Services) -> dict[str, Any]:
    """Make an account."""
    password = body.password.get_secret_value() if body.password else None
    view = app.users.add(
        actor, body.login, name=body.name, profile=body.profile, docker=body.docker, expires=body.expires, password=password
    )
    return dict(view.as_dict())


@router.get("/users/{login}", operation_id="user.show")
def show_user(login: str, _actor: Caller, app: Services) -> dict[str, Any]:
    """Show an account."""
    return dict(app.users.show(login).as_dict())


@router.patch("/users/{login}", operation_id="user.set")
def set_user(login: str, body: UserChange, actor: Caller, app: Services) -> dict[str, Any]:
    """Change an account."""
    expires = body.expires if "expires" in body.model_fields_set else UNSET
    return dict(app.users.set(actor, login, name=body.name, profile=body.profile, expires=expires).as_dict())


@router.post("/users/{login}/expire", operation_id="user.expire")
def expire_user(login: str, actor: Caller, app: Services) -> dict[str, Any]:
    """End an account's access now."""
    return dict(app.users.expire(actor, login).as_dict())


@router.post("/users/{login}/lock", operation_id="user.lock")
def lock_user(login: str, actor: Caller, app: Services) -> dict[str, Any]:
    """Lock an account."""
    return dict(app.users.lock(actor, login).as_dict())


@router.post("/users/{login}/unlock", operation_id="user.unlock")
def unlock_user(login: str, actor: Caller, app: Services) -> dict[str, Any]:
    """Unlock an account."""
    return dict(app.users.unlock(actor, login).as_dict())


@router.put("/users/{login}/password", operation_id="user.passwd", status_code=204)
def set_password(login: str, body: Password, actor: Caller, app: Services) -> None:
    """Set an account's password."""
    app.users.passwd(actor, login, body.password.get_secret_value())


@router.post("/users/{login}/password/reset", operation_id="user.passwd.reset")
def reset_password(login: str, actor: Caller, app: Services) -> dict[str, Any]:
    """Give an account a new random password, shown once; the next login must change it."""
    return {"password": app.renewal.renew(actor, login)}


@router.delete("/users/{login}", operation_id="user.remove")
def remove_user(login: str, actor: Caller, app: Services, *, keep_home: bool = False, archive: bool = True) -> dict[str, Any]:
    """Remove an account with everything it owns; say where its home is archived."""
    return dict(app.users.remove(actor, login, keep_home=keep_home, archive=archive).as_dict())


@router.post("/users/{login}/leave", operation_id="user.leave")
def leave_user(login: str, actor: Caller, app: Services) -> dict[str, Any]:
    """End an account's access for good; nothing is removed yet."""
    return dict(app.users.leave(actor, login).as_dict())


@router.post("/users/{login}/release", operation_id="user.release")
def release_user(login: str, actor: Caller, app: Services) -> dict[str, Any]:
    """Give an account that was there before hostadmin back."""
    return dict(app.users.release(actor, login).as_dict())


@router.get("/access", operation_id="access.list")
def list_access(_actor: Caller, app: Services) -> dict[str, Any]:
    """List who has access to the guard."""
    return page(app.users.access_list())


@router.put("/access/{login}", operation_id="access.grant")
def grant(login: str, actor: Caller, app: Services) -> dict[str, Any]:
    """Give access."""
    return dict(app.users.grant(actor, login).as_dict())


@router.delete("/access/{login}", operation_id="access.revoke", status_code=204)
def revoke(login: str, actor: Caller, app: Services) -> None:
    """Take access away, at once."""
    app.users.revoke(actor, login)
