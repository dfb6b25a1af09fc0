"""`/audit`, `/policies`, and the health of the service."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import AfterValidator

from hostadmin.api.auth import Caller, Services
from hostadmin.api.routes.users import page
from hostadmin.core.clock import parse_timestamp, timestamp
from hostadmin.core.errors import HostadminError, NotFound
from hostadmin.store import audit, users

router = APIRouter()
bare = APIRouter()
LIMIT = 1000
SEQ_MAX = 2**63 - 1  # SQLite's largest integer


def _moment(text: str) -> str:
    """Return a time as the records write it, so that the two compare as text."""
    try:
        return timestamp(parse_timestamp(text))
    except (ValueError, OverflowError):
        raise ValueError("must be a time as 2026-11-24, 2026-11-24T09:00 or 2026-11-24T09:00:00Z") from None


Seq = Annotated[int, Query(ge=0, le=SEQ_MAX)]
Moment = Annotated[str, AfterValidator(_moment)]


@router.get("/audit", operation_id="audit.list")
def list_audit(
    _actor: Caller,
    app: Services,
    actor: str | None = None,
    action: str | None = None,
    object: str | None = None,  # noqa: A002  # the name in every face
    since: Moment | None = None,
    decision: str | None = None,
    after: Seq | None = None,
    before: Seq | None = None,
    limit: int = 100,
) -> dict[str, Any]:
    """List records: the newest, or those after a ``seq`` (to follow), or before one (to page back)."""
    with app.database.read() as tx:
        found = audit.list_records(
            tx,
            actor=actor,
            action=action,
            object_=object,
            since=since,
            decision=decision,
            after_seq=after,
            before_seq=before,
            limit=min(max(limit, 1), LIMIT),
        )
    return {"items": found, "next": found[0]["seq"] if found and after is None else None}


@router.get("/audit/{seq}", operation_id="audit.show")
def show_audit(seq: Annotated[int, Path(ge=1, le=SEQ_MAX)], _actor: Caller, app: Services) -> dict[str, Any]:
    """Show one record."""
    with app.database.read() as tx:
        found = audit.get(tx, seq)
    if found is None:
        raise NotFound(f"There is no audit record {seq}.", key="record-not-found")
    return dict(found)


@router.get("/policies", operation_id="policy.list")
def list_policies(_actor: Caller, app: Services) -> dict[str, Any]:
    """List the profiles in force."""
    return page([{**p.as_dict(), "default": p.name == app.profiles.default} for p in app.profiles.by_name.values()])


@router.get("/policies/of/{login}", operation_id="policy.show")
def show_policy(login: str, _actor: Caller, app: Services) -> dict[str, Any]:
    """Show the profile that holds for an account, and how much of the host they hold."""
    with app.database.read() as tx:
        user = users.find_login(tx, login)
    if user is None:
        raise NotFound(f"There is no account {login!r} in the ledger; see `hostadmin user list`.", key="user-not-found")
    return {"login": login, **app.profiles.get_or_default(user.profile).as_dict(), "use": app.holdings.show(user)}


@bare.get("/healthz", operation_id="health.live")
def healthz() -> dict[str, str]:
    """Say that the service runs."""
    return {"status": "ok"}


@bare.get("/readyz", operation_id="health.ready")
def readyz(response: Response, app: Services) -> dict[str, Any]:
    """Say whether database and engine answer (503 if not)."""
    try:
        with app.database.read() as tx:
            audit.get(tx, 0)
        store = "ok"
    except HostadminError as error:
        store = error.key
    engine = "ok" if app.engine.ping() else "unavailable"
    response.status_code = 200 if (store, engine) == ("ok", "ok") else 503
    settings = app.settings
    uses = {
        "engine": settings.engine.socket,
        "guard": settings.guard.socket,
        "store": settings.store.url,
        "mode": settings.guard.mode,
    }
    return {"store": store, "engine": engine, "objects": app.watcher.state, "uses": uses}
