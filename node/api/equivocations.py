"""The proofs that logs have told two stories, for peers, who judge them themselves, and for people."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import JSONResponse, Response

from node.api.auth import node_of, reader
from node.api.bodies import check_parameters

router = APIRouter(tags=["logs"])

ProofId = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="hex SHA-256 of the file")]


@router.get("/v1/equivocations", summary="Proofs that logs have told two stories")
def get_equivocations(request: Request) -> Response:
    """Return what is kept here; of a proof that the governors' ruling has voided, standing is false."""
    reader(request)
    check_parameters(request)
    listed = [one.to_json() for one in node_of(request).equivocations.listed()]
    return JSONResponse({"schema": "suyuan.equivocations/1", "equivocations": listed})


@router.get(
    "/v1/equivocations/{proof_id}",
    summary="One of them",
    responses={200: {"content": {"application/json": {}}}},
)
def get_equivocation(request: Request, proof_id: ProofId) -> Response:
    """Return the file, which convinces whoever has the network's fingerprint, without this node."""
    reader(request)
    check_parameters(request)
    data = node_of(request).equivocations.read(proof_id)
    return Response(
        data, headers={"Cache-Control": "private, max-age=31536000, immutable"}, media_type="application/json"
    )
