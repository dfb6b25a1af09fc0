"""`/containers`, `/networks`, `/volumes`, `/images`: what is the same for all kinds."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter

from hostadmin.api.auth import Caller, Services
from hostadmin.api.routes.users import Closed, page
from hostadmin.core.values import Kind

router = APIRouter()


class Owner(Closed):
    """The body of ``PUT .../owner``; null means nobody."""

    login: str | None


def _add(kind: Kind) -> None:
    """Add the endpoints of one kind."""
    path = f"/{kind}s"

    def list_objects(_actor: Caller, app: Services, owner: str | None = None) -> dict[str, Any]:
        return page(app.objects.list(kind, owner=owner))

    def show(ref: str, _actor: Caller, app: Services) -> dict[str, Any]:
        return dict(app.objects.show(kind, ref))

    def remove(ref: str, actor: Caller, app: Services) -> None:
        app.objects.remove(actor, kind, ref)

    def set_owner(ref: str, body: Owner, actor: Caller, app: Services) -> dict[str, Any]:
        return dict(app.objects.set_owner(actor, kind, ref, body.login))

    rows: tuple[tuple[str, str, str, Callable[..., Any], int], ...] = (
        ("GET", path, "list", list_objects, 200),
        ("PUT", path + "/{ref:path}/owner", "owner", set_owner, 200),
        ("GET", path + "/{ref:path}", "show", show, 200),
        ("DELETE", path + "/{ref:path}", "remove", remove, 204),
    )
    for method, template, verb, function, status in rows:
        router.add_api_route(template, function, methods=[method], operation_id=f"{kind}.{verb}", status_code=status)


for _kind in Kind:
    _add(_kind)
