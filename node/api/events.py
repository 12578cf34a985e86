"""Recording events and asking for them."""

from itertools import starmap
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, TypeAdapter
from starlette.responses import JSONResponse, Response

from ledger.encoding import JsonObject, parse_json
from ledger.errors import (
    BadValueError,
    LedgerError,
    MissingMemberError,
    TooManyError,
    UnknownMemberError,
    WrongTypeError,
)
from ledger.event import KeyRotate, Receipt, Share
from ledger.event.base import EntryRef
from ledger.manifest import MANIFEST_BYTES_MAX, parse_manifest
from node.api.auth import client, is_peer, node_of, peer, reader
from node.api.bodies import (
    BATCH_BODY_BYTES_MAX,
    EVENT_BODY_BYTES_MAX,
    check_json_kind,
    check_json_type,
    check_parameters,
    read_body,
    read_large,
)
from node.api.docs import gives, takes_text
from node.history import entry_json
from node.manifests import read_manifest
from node.service import Node
from node.submission import EVENTS_MAX, Prepared, event_bytes_max, prepare, prepare_text
from node.tokens import require

router = APIRouter(tags=["events"])

EVENT_ID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
ROOT = r"^[0-9a-f]{64}$"
REFERENCES = "#/components/schemas/{model}"


class Answer(BaseModel):
    """Where an event stands."""

    event_id: str
    entry: EntryRef
    time: str
    state: Literal["recorded", "confirmed"]


class BatchAnswer(BaseModel):
    """Where the events of a batch stand, in their order."""

    events: list[Answer]


class ManifestAnswer(BaseModel):
    """What a share that has the manifest carries."""

    root: str
    count: int


def event_schemas() -> dict[str, Any]:
    """Return the schemas of the events that may be given to a node, for the OpenAPI document."""
    schema = TypeAdapter(Share | Receipt | KeyRotate).json_schema(ref_template=REFERENCES)
    definitions: dict[str, Any] = schema["$defs"]
    return definitions


_EVENT = {"oneOf": [{"$ref": REFERENCES.format(model=model.__name__)} for model in (Share, Receipt)]}
_BATCH = {
    "type": "object",
    "required": ["events"],
    "additionalProperties": False,
    "properties": {"events": {"type": "array", "minItems": 1, "maxItems": EVENTS_MAX, "items": _EVENT}},
}
Wait = Annotated[
    Literal["recorded", "confirmed"], Query(description="answer when recorded, or only when confirmed by the quorum")
]


def _takes(schema: JsonObject) -> JsonObject:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


@router.post(
    "/v1/events", status_code=201, response_model=Answer, openapi_extra=_takes(_EVENT), summary="Record one event"
)
async def post_event(request: Request, wait: Wait = "recorded") -> Response:
    """Record one event; the same id with the same content answers again, with other content it is a conflict."""
    node, confirmed = _admit(request, wait)
    check_json_type(request)
    event = prepare_text(await read_body(request, EVENT_BODY_BYTES_MAX), origin=node.origin)
    [(recorded, state)] = await node.submit((event,), wait_confirmed=confirmed)
    return answer(recorded.to_text(state))


@router.post(
    "/v1/events/batch",
    status_code=201,
    response_model=BatchAnswer,
    openapi_extra=_takes(_BATCH),
    summary="Record several events",
)
async def post_events(request: Request, wait: Wait = "recorded") -> Response:
    """Record up to 1,000 events, all or none of them."""
    node, confirmed = _admit(request, wait)
    check_json_type(request)
    events = await read_large(request, BATCH_BODY_BYTES_MAX, lambda body: prepare_batch(node, body))
    answers = await node.submit(events, wait_confirmed=confirmed)
    return answer(f'{{"events":[{",".join([recorded.to_text(state) for recorded, state in answers])}]}}')


@router.get("/v1/events/{event_id}", summary="Where an event stands")
def get_event(
    request: Request,
    event_id: Annotated[str, Path(pattern=EVENT_ID)],
    log: Annotated[str | None, Query(description="only in this log; else this department's own comes first")] = None,
) -> Response:
    """Return the entry of an event: what was signed, and how far it is confirmed and verified."""
    reader(request)
    check_parameters(request, "log")
    node = node_of(request)
    entry, statement = node.history().find_event(event_id, node.origin, log=log)
    return JSONResponse({"event_id": event_id, **entry_json(entry, statement)})


@router.post(
    "/v1/manifests", status_code=201, response_model=ManifestAnswer, summary="Keep a manifest",
    openapi_extra=takes_text(),
)  # fmt: skip
async def post_manifest(request: Request) -> Response:
    """Keep the record references of a share that has more than 1,000 of them; both parties keep the same manifest."""
    sender = client(request, "submit")
    check_parameters(request)
    manifest = await read_large(request, MANIFEST_BYTES_MAX, parse_manifest)
    await node_of(request).keep_manifest(manifest, client=sender.name)
    return JSONResponse(manifest.ref.model_dump(), 201)


@router.get(
    "/v1/manifests/{root}",
    summary="A manifest that is kept here",
    response_class=Response,
    responses=gives("text/plain", "The record references of a share"),
)
def get_manifest(
    request: Request, root: Annotated[str, Path(pattern=ROOT, description="hex of the root that the share carries")]
) -> Response:
    """Return a manifest: to this department's clients, and to the consumer of a share by this department with it."""
    consumer = peer(request).name if is_peer(request) else None
    if consumer is None:
        client(request, "read")
    check_parameters(request)
    node = node_of(request)
    data = read_manifest(node.store, node.state, bytes.fromhex(root), consumer=consumer)
    return Response(data, headers={"Cache-Control": "private, no-store"}, media_type="text/plain; charset=utf-8")


def _admit(request: Request, wait: str) -> tuple[Node, bool]:
    client(request, "submit")
    check_parameters(request, "wait")
    return node_of(request), wait == "confirmed"


def prepare_single(node: Node, authorization: str | None, content_type: str | None, body: bytes) -> Prepared:
    """Return the event of a request ready to be recorded.

    Raises:
        LedgerError: as for the same request by way of the router.
    """
    require(node.tokens.identify(authorization), "submit")
    check_json_kind(content_type)
    return prepare_text(body, origin=node.origin)


def answer(text: str) -> Response:
    """Return the answer to a submission."""
    return Response(text, 201, media_type="application/json")


def prepare_batch(node: Node, body: bytes) -> tuple[Prepared, ...]:
    """Return the events of a batch ready to be recorded; in any thread.

    Raises:
        LedgerError: what is wrong with it, or with which of them.
    """
    briefs, room = node.signatories.brief(body), event_bytes_max(node.origin)
    if briefs is not None and len(briefs.lengths) <= EVENTS_MAX and max(briefs.lengths) <= room:
        return tuple(starmap(Prepared, briefs.cut(body)))
    value = parse_json(body)
    if not isinstance(value, dict):
        raise WrongTypeError('a batch is an object {"events": […]}', field="body")
    if unknown := sorted(value.keys() - {"events"}):
        raise UnknownMemberError("there is no member of this name", field=unknown[0])
    if "events" not in value:
        raise MissingMemberError("this member is required", field="events")
    events = value["events"]
    if not isinstance(events, list):
        raise WrongTypeError("expected a list", field="events")
    if not events:
        raise BadValueError("a batch has at least one event", field="events")
    if len(events) > EVENTS_MAX:
        raise TooManyError(f"at most {EVENTS_MAX} events, {len(events)} given", field="events", limit=EVENTS_MAX)
    return tuple(_prepare(event, f"events[{number}]", node.origin) for number, event in enumerate(events))


def _prepare(value: object, place: str, origin: str) -> Prepared:
    try:
        return prepare(value, origin=origin)
    except LedgerError as error:
        raise error.at(place) from None
