"""`/restarts`, `/cleanup`, `/jobs`."""

from typing import Any

from fastapi import APIRouter

from hostadmin.api.auth import Caller, Services
from hostadmin.api.routes.users import Closed, page

router = APIRouter()


class Run(Closed):
    """The body of ``POST /cleanup/{job}/run``: the plan to carry out, or none for a new one."""

    plan: str | None = None


@router.get("/restarts", operation_id="restart.list")
def list_restarts(_actor: Caller, app: Services) -> dict[str, Any]:
    """List corrected and crash-looping containers."""
    return page(app.restarts.list())


@router.post("/restarts/{ref}/release", operation_id="restart.release")
def release(ref: str, actor: Caller, app: Services) -> dict[str, Any]:
    """Release the findings about a container."""
    return {"released": app.restarts.release(actor, ref)}


@router.post("/cleanup/{job}/plan", operation_id="cleanup.plan", status_code=201)
def plan(job: str, _actor: Caller, app: Services) -> dict[str, Any]:
    """Store and show a plan."""
    return dict(app.cleanup.plan(job))


@router.post("/cleanup/{job}/run", operation_id="cleanup.run")
def run(job: str, body: Run, actor: Caller, app: Services) -> dict[str, Any]:
    """Carry out a plan."""
    return dict(app.cleanup.run(actor, job, plan_id=body.plan))


@router.get("/jobs", operation_id="job.list")
def list_jobs(_actor: Caller, app: Services) -> dict[str, Any]:
    """List the scheduled jobs."""
    return page(app.scheduler.list())


@router.post("/jobs/{name}/run", operation_id="job.run")
def run_job(name: str, actor: Caller, app: Services) -> dict[str, Any]:
    """Run a job now."""
    return dict(app.scheduler.run(actor, name))


@router.get("/jobs/history", operation_id="job.history")
def history(_actor: Caller, app: Services, name: str | None = None, limit: int = 50) -> dict[str, Any]:
    """List runs, newest first."""
    return page(app.scheduler.history(name, min(max(limit, 1), 500)))
