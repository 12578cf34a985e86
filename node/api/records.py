"""A record's history, and proofs to take away."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import JSONResponse, Response

from node.api.auth import node_of, reader
from node.api.bodies import check_parameters, number_parameter, text_parameter
from node.api.docs import gives
from node.history import entry_json

router = APIRouter(tags=["records"])

RECORD = r"^[0-9a-f]{32}$"
Record = Annotated[str, Path(pattern=RECORD, description="record reference: 32 hexadecimal digits")]


@router.get("/v1/records/{record}/trace", summary="A record's transfer history")
def get_trace(request: Request, record: Record) -> Response:
    """Return who passed the record to whom, verified entry by entry (schema suyuan.trace/1)."""
    reader(request)
    check_parameters(request)
    return JSONResponse(node_of(request).history().trace(record).to_json())


@router.get("/v1/records/{record}/evidence", summary="A record's history as an evidence file")
def get_evidence(request: Request, record: Record) -> Response:
    """Return everything that is needed to verify the history offline (schema suyuan.evidence/1)."""
    reader(request)
    check_parameters(request)
    node = node_of(request)
    body = node.history().evidence(record, node.network_document)
    return Response(body, media_type="application/json")


@router.get(
    "/v1/proof",
    summary="Proof of one entry",
    response_class=Response,
    responses=gives("text/plain", "A proof (c2sp.org/tlog-proof)"),
)
def get_proof(
    request: Request,
    log: Annotated[str, Query(description="origin of the log")] = "",
    index: Annotated[str, Query(description="index of the entry")] = "",
    cosigners: Annotated[
        Literal["members", "all"], Query(description="all: with the foreign witnesses of this node's own log")
    ] = "members",
) -> Response:
    """Return the c2sp.org/tlog-proof of one confirmed entry, the entry itself in its extra line.

    With ``cosigners=all`` it leads to the newest checkpoint that satisfies this node's witness policy, and has the
    cosignatures of the foreign witnesses.
    """
    del log, index  # they are documented by the signature, and read strictly below
    reader(request)
    check_parameters(request, "log", "index", "cosigners")
    node, origin = node_of(request), text_parameter(request, "log")
    under = node.outside.require_witnessed(origin) if cosigners == "all" else None
    proof = node.history().proof(origin, number_parameter(request, "index"), under=under)
    return Response(proof.encode(), media_type="text/plain; charset=utf-8")


@router.get("/v1/entry", summary="One entry")
def get_entry(
    request: Request,
    log: Annotated[str, Query(description="origin of the log")] = "",
    index: Annotated[str, Query(description="index of the entry")] = "",
) -> Response:
    """Return one entry: what was signed, and how far it is confirmed and verified."""
    del log, index
    reader(request)
    check_parameters(request, "log", "index")
    found = node_of(request).history().entry(text_parameter(request, "log"), number_parameter(request, "index"))
    return JSONResponse(entry_json(*found))
