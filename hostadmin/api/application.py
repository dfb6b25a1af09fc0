"""The FastAPI application: routers, problems (RFC 9457), and the check of every request's permission."""

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hostadmin import __version__
from hostadmin.api.routes import classes, containers, me, objects, system, upkeep, users
from hostadmin.core.errors import HostadminError

if TYPE_CHECKING:
    from hostadmin.app import App

PREFIX = "/api/v1"
PROBLEM = "application/problem+json"
BODY_MAX = 1 << 20  # audit.md 7.4


def create_app(app: "App") -> FastAPI:
    """Return the application over a service's object graph."""
    api = _Api(
        title="hostadmin",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
        redirect_slashes=False,
        max_body_size=BODY_MAX,
    )
    api.state.services = app
    api.include_router(system.bare)
    for router in (users.router, classes.router, objects.router, containers.router, upkeep.router, system.router, me.router):
        api.include_router(router, prefix=PREFIX)
    api.add_exception_handler(HostadminError, _known)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(Exception, _unknown)
    return api


class _Api(FastAPI):
    """FastAPI, around which a body that is too large, and a service that ends, are told as problems too."""

    def build_middleware_stack(self) -> ASGIApp:
        """Return what a request goes through, the first thing first."""
        return Stopped(_TooLarge(super().build_middleware_stack()))


class Stopped:
    """Tells whoever still waits when the service ends what becomes of it: uvicorn takes their task away and says 500."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; answer it if nothing has been answered when its task is cancelled."""
        begun = False

        async def watch(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except asyncio.CancelledError:
            if begun:
                raise
            text = "hostadmin is being stopped while this is being done; what was begun is finished or taken back at its next start."
            await problem(HTTPStatus.SERVICE_UNAVAILABLE, "stopping", f"{text} Ask again then.")(scope, receive, send)


class _TooLarge:
    """Makes a problem of the plain words with which the framework refuses a body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = False

        async def answer(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                refused = True
                text = f"The request's body is too large: at most {BODY_MAX} bytes are read."
                await problem(message["status"], "body-too-large", text)(scope, receive, send)
            elif not refused:
                await send(message)

        await self._app(scope, receive, answer)


def problem(status: int, key: str, detail: str, **members: Any) -> JSONResponse:
    """Return an RFC 9457 problem."""
    body = {"type": f"urn:hostadmin:{key}", "title": key.replace("-", " "), "status": status, "detail": detail, **members}
    return JSONResponse(body, status, media_type=PROBLEM)


def _known(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HostadminError)  # noqa: S101  # registered for this class
    return problem(error.status, error.key, error.message, **error.fields)


def _invalid(_request: Request, error: Exception) -> JSONResponse:
    """Name the places, never the values: a body may hold a password."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    errors = [{"pointer": "/".join(str(p) for p in e["loc"]), "detail": e["msg"].removeprefix("Value error, ")} for e in error.errors()]
    text = "; ".join(f"{e['pointer']}: {e['detail']}" for e in errors)
    return problem(422, "validation", f"The request is not acceptable: {text}.", errors=errors)


def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    key = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    return problem(error.status_code, key, f"{error.detail}: the API's endpoints are in {PREFIX}/openapi.json.")


def _unknown(_request: Request, _error: Exception) -> JSONResponse:
    """Say nothing of the cause: it is in the service's log."""
    return problem(500, "failed", "The service failed at this; its log says why. What was begun is in `hostadmin audit list`.")
