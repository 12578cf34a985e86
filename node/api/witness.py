"""The witness's interface (c2sp.org/tlog-witness): plain text, and the statuses of protocol section 6.

What it has cosigned, and who cosigns this node's own log, is told as JSON.
"""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from ledger.checkpoint import parse_checkpoint_text
from ledger.encoding import encode_base64, format_time, parse_json, text_to_lines
from ledger.errors import LedgerError, StoreError
from ledger.policy import shown
from node.api.auth import node_of, reader
from node.api.bodies import BodyTooLargeError, check_parameters, read_body
from node.api.docs import gives, takes_text
from node.errors import BusyError, NotFoundError, ReadOnlyError, SignerError
from node.foreign import Foreign
from node.outside import Outside, OutsiderClient
from node.witness import BODY_BYTES_MAX, ForbiddenError, RejectedError, WrongSizeError

router = APIRouter(tags=["peers"])

RETRY_SECONDS = 1
_STATUSES: tuple[tuple[type[LedgerError], HTTPStatus], ...] = (
    (BodyTooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (ForbiddenError, HTTPStatus.FORBIDDEN),
    (WrongSizeError, HTTPStatus.CONFLICT),
    (RejectedError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (BusyError, HTTPStatus.SERVICE_UNAVAILABLE),
    (ReadOnlyError, HTTPStatus.SERVICE_UNAVAILABLE),
    (SignerError, HTTPStatus.SERVICE_UNAVAILABLE),
    (StoreError, HTTPStatus.SERVICE_UNAVAILABLE),
)


@router.post(
    "/witness/add-checkpoint",
    summary="Cosign a checkpoint",
    response_class=Response,
    responses={
        **gives("text/plain", "The cosignature line"),
        **gives("text/x.tlog.size", "The size that was cosigned last", 409),
        **gives("text/plain", "What was wrong", "default"),
    },
    openapi_extra=takes_text(),
)
async def add_checkpoint(request: Request) -> Response:
    """Verify a checkpoint and cosign it (c2sp.org/tlog-witness).

    Of a member's log every entry is verified and stored first; of a foreign one that the settings name, only the
    consistency with what was cosigned before is verified, and the cosignature is by another key.
    """
    node = node_of(request)
    try:
        body = await read_body(request, BODY_BYTES_MAX)
        cosigned = await node.add_checkpoint(body)
    except LedgerError as error:
        return _refusal(request, error)
    return Response(cosigned.line, media_type="text/plain; charset=utf-8")


@router.get("/v1/witness", summary="Foreign logs and foreign witnesses")
def get_witness(request: Request) -> Response:
    """Return which foreign logs this node witnesses and how far, and which foreign witnesses cosign its own log."""
    reader(request)
    check_parameters(request)
    node = node_of(request)
    return JSONResponse(
        {
            "schema": "suyuan.witness/1",
            "log": node.origin,
            "key": node.foreign.signer.verifier.vkey if node.foreign.signer is not None else None,
            "memory": memory_json(node.foreign),
            "logs": [_foreign_json(node.foreign, origin) for origin in node.foreign.origins],
            **witnesses_json(node.outside),
        }
    )


def memory_json(foreign: Foreign) -> dict[str, Any] | None:
    """Return whether the witness knows all that it has cosigned; nothing where it cosigns no foreign log."""
    if foreign.signer is None:
        return None
    memory = foreign.memory()
    return {
        "whole": memory is not None,
        "since": memory.since if memory is not None else None,
        "why": memory.why if memory is not None else None,
    }


def witnesses_json(outside: Outside) -> dict[str, Any]:
    """Return which foreign witnesses are asked, and the newest checkpoint that satisfies their policy."""
    witnessed = outside.witnessed
    return {
        "policy": {"quorum": shown(outside.policy.quorum)[1:-1]} if outside.policy is not None else None,
        "witnesses": [witness_json(client) for client in outside.clients],
        "witnessed_size": witnessed.size if witnessed is not None else None,
        "checkpoint": text_to_lines(witnessed.note.encode()) if witnessed is not None else None,
    }


def witness_json(client: OutsiderClient) -> dict[str, Any]:
    """Return what this node sees of one foreign witness."""
    status = client.status
    return {
        "name": client.outsider.label,
        "key": client.outsider.key.vkey,
        "url": client.outsider.url,
        "reachable": status.reachable,
        "last_seen": format_time(status.last_seen_ms) if status.last_seen_ms is not None else None,
        "last_error": status.last_error,
        "size": status.size,
    }


def _foreign_json(foreign: Foreign, origin: str) -> dict[str, Any]:
    note = foreign.last(origin)
    head = parse_checkpoint_text(note.text).head if note is not None else None
    contradiction = foreign.contradiction(origin)
    return {
        "log": origin,
        "size": head.size if head is not None else None,
        "root": encode_base64(head.root) if head is not None else None,
        "checkpoint": text_to_lines(note.encode()) if note is not None else None,
        "contradiction": parse_json(contradiction) if contradiction is not None else None,
    }


def _refusal(request: Request, error: LedgerError) -> Response:
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), HTTPStatus.BAD_REQUEST)
    node_of(request).metrics.cosign_refused.labels(str(int(status))).inc()
    if isinstance(error, WrongSizeError):
        # As a header, for Starlette would give a media type of text a charset: clients compare the whole value.
        return Response(f"{error.size}\n", int(status), {"Content-Type": "text/x.tlog.size"})
    headers = {"Retry-After": str(RETRY_SECONDS)} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return Response(f"{error}\n", int(status), headers, media_type="text/plain; charset=utf-8")
