"""Announcing the department's next keys in its log."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from ledger.event import KeyRotate
from node.api.auth import client, node_of
from node.api.bodies import check_parameters, read_json
from node.api.events import REFERENCES, Answer, answer
from node.submission import prepare

router = APIRouter(tags=["system"])

KEY_BODY_BYTES_MAX = 16 * 1024  # a key of 400 characters, in the most generous spelling of its JSON
_BODY = {"application/json": {"schema": {"$ref": REFERENCES.format(model=KeyRotate.__name__)}}}


@router.post(
    "/v1/keys",
    status_code=201,
    response_model=Answer,
    summary="Announce another key",
    openapi_extra={"requestBody": {"required": True, "content": _BODY}},
)
async def post_key(request: Request) -> Response:
    """Record that the department will use another key, which the node has; the governors name it in the document.

    It takes a token with the role admin. The same id with the same content answers again. A log key begins at `from`:
    the log takes no entries from there on until the network document names the key.
    """
    client(request, "admin")
    check_parameters(request)
    node = node_of(request)
    value = await read_json(request, KEY_BODY_BYTES_MAX)
    prepared = prepare(value, origin=node.origin, types=frozenset({KeyRotate.TYPE}))
    recorded, state = await node.announce_key(prepared)
    return answer(recorded.to_text(state))
