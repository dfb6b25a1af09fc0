"""`/rosters` and `/cohorts`."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query

from hostadmin.api.auth import Caller, Services
from hostadmin.api.routes.users import Closed, Day, page
from hostadmin.users.rosterfile import BYTES

router = APIRouter()
ROSTER_BYTES = BYTES
File = Annotated[bytes, Body(media_type="application/octet-stream", description="The roster: CSV, TSV or TOML.")]


class PlanId(Closed):
    """A body that names the plan to carry out, or none for a new one."""

    plan: str | None = None


class End(PlanId):
    """The body of ``POST /cohorts/{name}/end``; ``archive``: whether homes are kept."""

    archive: bool = True


class AtLastDay(Closed):
    """The body of ``PUT /cohorts/{name}/end``: whether the service ends the cohort once its last day is over."""

    at_last_day: bool


class Cards(Closed):
    """The body of ``POST /cohorts/{name}/cards``; ``renew``: make new passwords for all who have not chosen their own."""

    renew: bool = False


class Reset(PlanId):
    """The body of ``POST /cohorts/{name}/reset``; ``force``: take away what cannot be recovered, too."""

    force: bool = False


@router.post("/rosters", operation_id="roster.plan", status_code=201)
def plan_roster(
    _actor: Caller,
    app: Services,
    filename: Annotated[str, Query(min_length=1, max_length=255)],
    *,
    file: File = b"",  # an empty file has its own answer
    cohort: str | None = None,
    profile: str | None = None,
    starts: Day | None = None,
    ends: Day | None = None,
    adopt: bool = False,
) -> dict[str, Any]:
    """Read a roster, compare it with the host, store and show the plan."""
    return dict(app.rosters.plan(file, filename, cohort=cohort, profile=profile, starts=starts, ends=ends, adopt=adopt))


@router.get("/rosters", operation_id="roster.list")
def list_rosters(_actor: Caller, app: Services) -> dict[str, Any]:
    """List the newest plans."""
    return page(app.rosters.list())


@router.get("/rosters/{plan}", operation_id="roster.show")
def show_roster(plan: str, _actor: Caller, app: Services) -> dict[str, Any]:
    """Show a plan and how far it has got."""
    return dict(app.rosters.show(plan))


@router.post("/rosters/{plan}/apply", operation_id="roster.apply")
def apply_roster(plan: str, actor: Caller, app: Services) -> dict[str, Any]:
    """Carry out a plan."""
    return dict(app.rosters.apply(actor, plan))


@router.post("/rosters/{plan}/undo", operation_id="roster.undo")
def undo_roster(plan: str, actor: Caller, app: Services) -> dict[str, Any]:
    """Take back what a plan has done."""
    return dict(app.rosters.undo(actor, plan))


@router.get("/cohorts", operation_id="cohort.list")
def list_cohorts(_actor: Caller, app: Services, *, ended: bool = False) -> dict[str, Any]:
    """List the cohorts."""
    return page(app.cohorts.list(ended=ended))


@router.get("/cohorts/{name}", operation_id="cohort.show")
def show_cohort(name: str, _actor: Caller, app: Services) -> dict[str, Any]:
    """Show a cohort with a row per student."""
    return dict(app.cohorts.show(name))


@router.post("/cohorts/{name}/cards", operation_id="cohort.cards")
def fetch_cards(name: str, body: Cards, actor: Caller, app: Services) -> dict[str, Any]:
    """Hand out the cards, once."""
    return dict(app.cohorts.cards(actor, name, renew=body.renew))


@router.post("/cohorts/{name}/reset/plan", operation_id="cohort.reset.plan", status_code=201)
def plan_reset(name: str, actor: Caller, app: Services) -> dict[str, Any]:
    """Store and show what a reset would take away."""
    return dict(app.cohorts.plan_reset(actor, name))


@router.post("/cohorts/{name}/reset", operation_id="cohort.reset")
def reset(name: str, body: Reset, actor: Caller, app: Services) -> dict[str, Any]:
    """Take away all containers, networks and volumes of a cohort."""
    return dict(app.cohorts.reset(actor, name, plan_id=body.plan, force=body.force))


@router.post("/cohorts/{name}/reset/undo", operation_id="cohort.reset.undo")
def undo_reset(name: str, body: PlanId, actor: Caller, app: Services) -> dict[str, Any]:
    """Bring back what a reset has taken away."""
    return dict(app.cohorts.undo_reset(actor, name, plan_id=body.plan))


@router.post("/cohorts/{name}/end/plan", operation_id="cohort.end.plan", status_code=201)
def plan_end(name: str, _actor: Caller, app: Services) -> dict[str, Any]:
    """Store and show what ending a cohort would do."""
    return dict(app.cohorts.plan_end(name))


@router.post("/cohorts/{name}/end", operation_id="cohort.end")
def end_cohort(name: str, body: End, actor: Caller, app: Services) -> dict[str, Any]:
    """End a cohort at once."""
    return dict(app.cohorts.end(actor, name, plan_id=body.plan, archive=body.archive))


@router.put("/cohorts/{name}/end", operation_id="cohort.end.date")
def end_at_last_day(name: str, body: AtLastDay, actor: Caller, app: Services) -> dict[str, Any]:
    """Say whether the service ends a cohort once its last day is over."""
    return dict(app.cohorts.end_at_last_day(actor, name, wanted=body.at_last_day))
