"""`/containers/{ref}/...`: what an administrator does with a container."""

from fastapi import APIRouter

from hostadmin.api.auth import Caller, Services
from hostadmin.api.routes.users import Closed

router = APIRouter()


class RestartPolicyBody(Closed):
    """The body of ``PUT /containers/{ref}/restart-policy``."""

    policy: str


@router.post("/containers/{ref}/start", operation_id="container.start", status_code=204)
def start(ref: str, actor: Caller, app: Services) -> None:
    """Start a container."""
    app.objects.start(actor, ref)


@router.post("/containers/{ref}/stop", operation_id="container.stop", status_code=204)
def stop(ref: str, actor: Caller, app: Services) -> None:
    """Stop a container."""
    app.objects.stop(actor, ref)


@router.post("/containers/{ref}/restart", operation_id="container.restart", status_code=204)
def restart(ref: str, actor: Caller, app: Services) -> None:
    """Restart a container."""
    app.objects.restart(actor, ref)


@router.put("/containers/{ref}/restart-policy", operation_id="container.restart-policy", status_code=204)
def set_restart_policy(ref: str, body: RestartPolicyBody, actor: Caller, app: Services) -> None:
    """Set a container's restart policy."""
    app.objects.set_restart_policy(actor, ref, body.policy)
