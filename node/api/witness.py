"""The witness's interface (c2sp.org/tlog-witness): plain text, and the statuses of protocol section 6."""

from http import HTTPStatus

from fastapi import APIRouter, Request
from starlette.responses import Response

from ledger.errors import LedgerError, StoreError
from node.api.auth import node_of
from node.api.bodies import BodyTooLargeError, read_body
from node.api.docs import gives, takes_text
from node.errors import BusyError, NotFoundError, ReadOnlyError, SignerError
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
    """Verify a checkpoint of a member's log, store its entries, and cosign it (c2sp.org/tlog-witness)."""
    node = node_of(request)
    try:
        body = await read_body(request, BODY_BYTES_MAX)
        cosigned = await node.witness.add_checkpoint(body)
    except LedgerError as error:
        return _refusal(request, error)
    return Response(cosigned.line, media_type="text/plain; charset=utf-8")


def _refusal(request: Request, error: LedgerError) -> Response:
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), HTTPStatus.BAD_REQUEST)
    node_of(request).metrics.cosign_refused.labels(str(int(status))).inc()
    if isinstance(error, WrongSizeError):
        # As a header, for Starlette would give a media type of text a charset: clients compare the whole value.
        return Response(f"{error.size}\n", int(status), {"Content-Type": "text/x.tlog.size"})
    headers = {"Retry-After": str(RETRY_SECONDS)} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return Response(f"{error}\n", int(status), headers, media_type="text/plain; charset=utf-8")
