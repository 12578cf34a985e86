"""The node's web application: wiring and lifespan, nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger.errors import BadValueError, LedgerError, MissingMemberError, OutOfRangeError
from node.api import docs, equivocations, events, keys, logs, problems, records, system, witness
from node.api.auth import node_of
from node.api.bodies import LARGE_AT_ONCE_MAX
from node.api.hot import HotRoutes
from node.service import Node

log = structlog.get_logger(__name__)

DESCRIPTION = "The ledger that makes every transfer of data between departments traceable and provable."


def create_app(node: Node) -> ASGIApp:
    """Return the application of ``node``; starting and stopping it starts and stops the node."""
    return HotRoutes(_routed(node), NoBugEscapes)


def _routed(node: Node) -> FastAPI:

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            await node.start()
            yield
        finally:
            await node.stop()

    app = FastAPI(
        title="Suyuan node", description=DESCRIPTION, version="1", lifespan=lifespan, docs_url=None, redoc_url=None,
        openapi_url="/openapi.json", redirect_slashes=False,
    )  # fmt: skip
    app.state.node = node
    app.state.room_for_large = asyncio.Semaphore(LARGE_AT_ONCE_MAX)
    for module in (events, records, logs, equivocations, witness, keys, system, docs):
        app.include_router(module.router)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    app.exception_handler(LedgerError)(_ledger_error)
    app.exception_handler(RequestValidationError)(_validation_error)
    app.exception_handler(HTTPException)(_http_error)
    app.add_middleware(NoBugEscapes)
    return app


async def _ledger_error(request: Request, error: LedgerError) -> Response:
    return problems.refuse(node_of(request), error)


async def _validation_error(request: Request, error: RequestValidationError) -> Response:
    """A path or query parameter that its schema refuses."""
    first = error.errors()[0]
    field, limits = str(first["loc"][-1]), first.get("ctx", {})
    if first["type"] == "missing":
        return await _ledger_error(request, MissingMemberError("this parameter is required", field=field))
    for name in ("ge", "le"):
        if name in limits:
            return await _ledger_error(request, OutOfRangeError(str(first["msg"]), field=field, limit=limits[name]))
    return await _ledger_error(request, BadValueError(str(first["msg"]), field=field))


async def _http_error(request: Request, error: HTTPException) -> Response:
    return problems.refuse_by_router(node_of(request), error)


class NoBugEscapes:
    """The outermost layer: what nobody has thought of is logged, and answered like any other problem."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            log.exception("a request met a fault of the software", method=scope["method"], path=scope["path"])
            if begun:
                raise
            request = Request(scope)
            await problems.refuse_for_bug(node_of(request))(scope, receive, send)


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own errors, which no answer here has
            schemas.pop(name, None)
        for name, schema in {**events.event_schemas(), "Problem": problems.SCHEMA}.items():
            schemas.setdefault(name, schema)
        for item in document["paths"].values():
            for operation in item.values():
                operation["responses"].pop("422", None)
                operation["responses"].setdefault("default", problems.DESCRIBED)
        app.openapi_schema = document
    return app.openapi_schema
