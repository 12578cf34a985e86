"""Errors as RFC 9457 problem documents: one shape everywhere, one table from errors to statuses.

    {"type":"urn:suyuan:problem:unknown_member","title":"unknown member","status":422,
     "detail":"colour: there is no member of this name","code":"unknown_member","field":"colour","limit":null,
     "hint":"remove the member or correct its name; …"}

``code`` is what programs rely on, ``field`` names the member, parameter or header at fault, ``limit`` the bound that
was passed.
"""

from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from ledger import errors as ledger_errors
from node import errors, tokens
from node.adoption import NetworkForkError
from node.api.bodies import BodyBrokenOffError, BodyTooLargeError, WrongMediaTypeError
from node.errors import NodeError
from node.faults import PeerError
from node.service import Node
from node.transport import PeerAuthError
from node.witness import RejectedError

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 1

SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "What was wrong (RFC 9457), and what to do next.",
    "required": ["type", "title", "status", "detail", "code", "field", "limit", "hint"],
    "properties": {
        "type": {"type": "string", "description": "urn:suyuan:problem: and the code"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "stable: programs may rely on it"},
        "field": {"type": ["string", "null"], "description": "the member, parameter or header at fault"},
        "limit": {"type": ["integer", "null"], "description": "the bound that was passed"},
        "hint": {"type": "string"},
    },
}
DESCRIBED: dict[str, Any] = {
    "description": "A problem",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}

# The first class that fits decides.
STATUSES: tuple[tuple[type[ledger_errors.LedgerError], HTTPStatus], ...] = (
    (BodyTooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (BodyBrokenOffError, HTTPStatus.REQUEST_TIMEOUT),
    (WrongMediaTypeError, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (tokens.ForbiddenError, HTTPStatus.FORBIDDEN),
    (tokens.TokenFileError, HTTPStatus.SERVICE_UNAVAILABLE),
    (tokens.TokenError, HTTPStatus.UNAUTHORIZED),
    (PeerAuthError, HTTPStatus.UNAUTHORIZED),
    (NetworkForkError, HTTPStatus.CONFLICT),
    (RejectedError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (errors.NotFoundError, HTTPStatus.NOT_FOUND),
    (errors.RefusedError, HTTPStatus.CONFLICT),
    (errors.NotConfirmedError, HTTPStatus.CONFLICT),
    (errors.ManifestsWaitingError, HTTPStatus.TOO_MANY_REQUESTS),
    (errors.BusyError, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.ReadOnlyError, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.SignerError, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.IntegrityAlarm, HTTPStatus.CONFLICT),
    (PeerError, HTTPStatus.SERVICE_UNAVAILABLE),
    (ledger_errors.JsonError, HTTPStatus.BAD_REQUEST),
    (ledger_errors.MalformedError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ledger_errors.LimitError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ledger_errors.EventError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ledger_errors.VerificationError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ledger_errors.StoreFailedError, HTTPStatus.SERVICE_UNAVAILABLE),
    (ledger_errors.StoreError, HTTPStatus.INTERNAL_SERVER_ERROR),
    (NodeError, HTTPStatus.INTERNAL_SERVER_ERROR),
)
_RETRY = {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS}


def status_of(error: ledger_errors.LedgerError) -> HTTPStatus:
    """Return the status that answers an error."""
    return next((status for kind, status in STATUSES if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)


def problem(error: ledger_errors.LedgerError) -> Response:
    """Return the answer that tells of an error."""
    return _document(status_of(error), error.code, str(error), field=error.field, limit=error.limit, hint=error.hint)


def http_problem(error: HTTPException) -> Response:
    """Return the answer to what the router refuses: no such path, no such method."""
    status = HTTPStatus(error.status_code)
    hints = {
        HTTPStatus.NOT_FOUND: "/docs lists all paths",
        HTTPStatus.METHOD_NOT_ALLOWED: "/docs lists the methods of every path",
    }
    code = status.phrase.lower().replace(" ", "_").replace("-", "_")
    answer = _document(status, code, str(error.detail), field=None, limit=None, hint=hints.get(status, ""))
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer


def bug() -> Response:
    """Return the answer to an error that nobody has thought of; the log has the rest."""
    return _document(
        HTTPStatus.INTERNAL_SERVER_ERROR, "bug", "an unexpected error in the node", field=None, limit=None,
        hint="this is a fault of the software: please report it with the node's log",
    )  # fmt: skip


def refuse(node: Node, error: ledger_errors.LedgerError) -> Response:
    """Count a request that ``node`` refuses, and return its answer."""
    return _counted(node, problem(error), error.code)


def refuse_by_router(node: Node, error: HTTPException) -> Response:
    """Count a request for which there is no path or method, and return its answer."""
    return _counted(node, http_problem(error), str(error.status_code))


def refuse_for_bug(node: Node) -> Response:
    """Count a request that has met a fault of the software, and return its answer."""
    return _counted(node, bug(), "bug")


def _counted(node: Node, response: Response, code: str) -> Response:
    node.metrics.refused.labels(code).inc()
    return response


def _document(
    status: HTTPStatus, code: str, detail: str, *, field: str | None, limit: int | None, hint: str
) -> Response:
    body = {
        "type": f"urn:suyuan:problem:{code}",
        "title": code.replace("_", " "),
        "status": int(status),
        "detail": detail,
        "code": code,
        "field": field,
        "limit": limit,
        "hint": hint,
    }
    headers = {"Retry-After": str(RETRY_SECONDS)} if status in _RETRY else {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body, int(status), headers, media_type=MEDIA_TYPE)
