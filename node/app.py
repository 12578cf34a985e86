"""The node's web application: wiring and lifespan, nothing else."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ledger.errors import BadValueError, LedgerError
from node.api import docs, events, logs, problems, records, system, witness
from node.service import Node

log = structlog.get_logger(__name__)

DESCRIPTION = "The ledger that makes every transfer of data between departments traceable and provable."


def create_app(node: Node) -> FastAPI:
    """Return the application of ``node``; starting and stopping it starts and stops the node."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await node.start()
        try:
            yield
        finally:
            await node.stop()

    app = FastAPI(
        title="Suyuan node", description=DESCRIPTION, version="1", lifespan=lifespan, docs_url=None, redoc_url=None,
        openapi_url="/openapi.json", redirect_slashes=False,
    )  # fmt: skip
    app.state.node = node
    for module in (events, records, logs, witness, system, docs):
        app.include_router(module.router)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    app.exception_handler(LedgerError)(_ledger_error)
    app.exception_handler(RequestValidationError)(_validation_error)
    app.exception_handler(HTTPException)(_http_error)
    app.middleware("http")(_no_bug_escapes)
    return app


async def _ledger_error(request: Request, error: LedgerError) -> Response:
    return problems.count_problem(request, problems.problem(error), error.code)


async def _validation_error(request: Request, error: RequestValidationError) -> Response:
    """A path or query parameter that its pattern refuses."""
    first = error.errors()[0]
    field = str(first["loc"][-1])
    return await _ledger_error(request, BadValueError(str(first["msg"]), field=field))


async def _http_error(request: Request, error: HTTPException) -> Response:
    return problems.count_problem(request, problems.http_problem(error), str(error.status_code))


async def _no_bug_escapes(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    try:
        return await call_next(request)
    except Exception:
        log.exception("a request met a fault of the software", method=request.method, path=request.url.path)
        return problems.count_problem(request, problems.bug(), "bug")


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for name, schema in events.event_schemas().items():
            schemas.setdefault(name, schema)
        app.openapi_schema = document
    return app.openapi_schema
