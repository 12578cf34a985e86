"""The logs: their own resources as C2SP clients read them, ranges of entries, and the list of what is held here."""

import asyncio
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import JSONResponse, Response

from ledger.encoding import encode_base64, format_time, text_to_lines
from ledger.errors import TileError
from ledger.quorum import Judged
from ledger.tile import BundlePath, Tile, encode_bundle, parse_tile_path
from node import logs
from node.api.auth import is_open, is_peer, log_reader, node_of, peer, reader
from node.api.bodies import check_parameters, number_parameter, read_body
from node.api.docs import gives, takes_text
from node.errors import BusyError, NotFoundError
from node.history import entry_json, read_entries
from node.layout import origin_hash
from node.logs import LogState
from node.peers import CHECKPOINT_BYTES_MAX, ENTRIES_MAX
from node.service import Node
from node.witness import ENTRIES_SECONDS_MAX

router = APIRouter(tags=["logs"])

ANSWER_BYTES_MAX = 4 * 1024 * 1024  # of entries in one answer; a reader asks for the rest
ENTRIES_DEFAULT = 100
BINARY = "application/octet-stream"
LogHash = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="hex SHA-256 of the log's origin")]
FOREVER = "max-age=31536000, immutable"  # a tile never changes (c2sp.org/tlog-tiles)


@router.get("/v1/logs", summary="The logs that are held here")
def get_logs(request: Request) -> Response:
    """Return every log of the network with its size, and how far it is confirmed, as this node has it."""
    reader(request)
    check_parameters(request)
    node = node_of(request)
    return JSONResponse(
        {
            "schema": "suyuan.logs/1",
            "network_version": node.network.version,
            "logs": [_summary(node, state) for state in node.states.values()],
            "equivocations": node.equivocations.ids(),
        }
    )


@router.get("/v1/memory", summary="What this node remembers of every log", tags=["peers"])
def get_memory(request: Request) -> Response:
    """Return the size of every log here and the best checkpoint that is known of it, for a member that starts again."""
    reader(request)
    check_parameters(request)
    node = node_of(request)
    version = node.bound_version  # first: under an older one nothing is cosigned any more that is not told now
    told = [_remembered(node, state) for state in node.states.values()]
    body = {"schema": "suyuan.memory/1", "network_version": version, "since": node.recovery.since}
    return JSONResponse({**body, "logs": told})


@router.get(
    "/v1/logs/{log_hash}/entries",
    summary="Entries of a log",
    responses={200: {"content": {"application/json": {}, "application/octet-stream": {}}}},
)
def get_entries(
    request: Request,
    log_hash: LogHash,
    start: Annotated[int, Query(ge=0, description="first index")] = 0,
    limit: Annotated[int, Query(ge=1, le=ENTRIES_MAX, description="how many")] = ENTRIES_DEFAULT,
) -> Response:
    """Return entries from ``start`` on.

    For Accept: application/octet-stream they come as an entry bundle, with their number in Entry-Count.
    """
    del start, limit
    log_reader(request)
    check_parameters(request, "start", "limit")
    first = number_parameter(request, "start", 0)
    count = max(number_parameter(request, "limit", ENTRIES_DEFAULT, maximum=ENTRIES_MAX), 1)
    node, state = _find(request, log_hash)
    if first > state.size:
        raise NotFoundError(f"{state.origin} has {state.size} entries here", field="start", limit=state.size)
    raws = read_entries(node.store, state, first, count, ANSWER_BYTES_MAX)
    if BINARY in request.headers.get("accept", ""):
        return Response(encode_bundle(raws), headers={"Entry-Count": str(len(raws))}, media_type=BINARY)
    history = node.history()
    entries = [entry_json(*history.entry(state.origin, first + offset)) for offset in range(len(raws))]
    return JSONResponse({"schema": "suyuan.entries/1", "log": state.origin, "size": state.size, "entries": entries})


@router.get(
    "/logs/{log_hash}/checkpoint",
    summary="Checkpoint of a log",
    response_class=Response,
    responses=gives("text/plain", "A signed note (c2sp.org/tlog-checkpoint)"),
)
def get_checkpoint(request: Request, log_hash: LogHash) -> Response:
    """Return the newest confirmed checkpoint with its cosignatures, or else the newest that the log has signed.

    The own log's comes with the cosignatures of foreign witnesses too, where there are any.
    """
    log_reader(request)
    check_parameters(request)
    node, state = _find(request, log_hash)
    judged = state.confirmed or state.checkpoint
    if judged is None:
        raise NotFoundError(f"{state.origin} has no checkpoint here yet", field="log")
    dressed = state.origin == node.origin and not is_peer(request)  # members count members, and need no others' lines
    note = node.outside.dress(judged) if dressed else judged.note
    return Response(note.encode(), headers={"Cache-Control": "no-cache"}, media_type="text/plain; charset=utf-8")


@router.get(
    "/v1/logs/{log_hash}/head",
    summary="Newest signed checkpoint of a log",
    tags=["peers"],
    response_class=Response,
    responses=gives("text/plain", "A signed note, with the log's own signature alone"),
)
def get_head(request: Request, log_hash: LogHash) -> Response:
    """Return the largest checkpoint that the log has signed, as far as this node knows, confirmed or not."""
    log_reader(request)
    check_parameters(request)
    _, state = _find(request, log_hash)
    known = state.signed
    if known is None:
        raise NotFoundError(f"{state.origin} has no checkpoint here yet", field="log")
    return Response(known.bare.encode(), headers={"Cache-Control": "no-cache"}, media_type="text/plain; charset=utf-8")


@router.get("/v1/logs/{log_hash}/checkpoints", summary="Growth of a log")
def get_checkpoints(request: Request, log_hash: LogHash) -> Response:
    """Return the confirmed checkpoints that this node keeps of a log's past, the newest last.

    Of the last hour one for each minute, of two days one for each hour, of a month one for each day, and of all the
    time one for each thirty days; each with the signatures that confirm it, so that nobody need believe this node.
    """
    log_reader(request)
    check_parameters(request)
    node, state = _find(request, log_hash)
    kept = {judged.size: judged for judged in (*node.past(state), state.confirmed) if judged is not None}
    told = [_told(kept[size]) for size in sorted(kept)]
    numbers = {version.text_hash: version.version for version in node.network.versions}
    versions = [{"version": numbers.get(text_hash), "from": index} for index, text_hash in state.acting]
    return JSONResponse(
        {"schema": "suyuan.checkpoints/1", "log": state.origin, "versions": versions, "checkpoints": told}
    )


@router.post(
    "/logs/{log_hash}/checkpoint",
    status_code=204,
    summary="Give a confirmed checkpoint",
    tags=["peers"],
    response_class=Response,
    openapi_extra=takes_text(),
)
async def post_checkpoint(request: Request, log_hash: LogHash) -> Response:
    """Take a checkpoint that a quorum has cosigned, from the peer that has gathered the cosignatures."""
    body = await read_body(request, CHECKPOINT_BYTES_MAX)
    sender = peer(request, body)
    check_parameters(request)
    node, state = _find(request, log_hash)
    try:
        async with asyncio.timeout(ENTRIES_SECONDS_MAX):
            await node.mirror.take_confirmed(body, origin=state.origin, hint=sender.name)
    except TimeoutError:
        raise BusyError(f"the entries of {state.origin} are still being fetched") from None
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.get(
    "/logs/{log_hash}/tile/{path:path}",
    summary="Tile of a log",
    response_class=Response,
    responses=gives(BINARY, "Hashes of 32 bytes, or entries, each after its length (c2sp.org/tlog-tiles)"),
)
def get_tile(request: Request, log_hash: LogHash, path: str) -> Response:
    """Return a hash tile or an entry bundle (c2sp.org/tlog-tiles)."""
    log_reader(request)
    check_parameters(request)
    node, state = _find(request, log_hash)
    try:
        tile = parse_tile_path(f"tile/{path}")
    except TileError as error:
        raise NotFoundError(f"no such tile: {error.message}", field="path") from None
    if tile.size_min > state.size:
        raise NotFoundError(f"{state.origin} has {state.size} entries here", field="path", limit=state.size)
    data = _tile_bytes(node, state, tile)
    kept_by = "public" if is_open(node) else "private"  # a shared cache does not know who is a member
    return Response(data, headers={"Cache-Control": f"{kept_by}, {FOREVER}"}, media_type=BINARY)


def _tile_bytes(node: Node, state: LogState, tile: Tile | BundlePath) -> bytes:
    if isinstance(tile, Tile):
        return logs.read_tile(node.store, state.log, tile)
    return encode_bundle(read_entries(node.store, state, tile.start, tile.width, tile.width * 65_536))


def _find(request: Request, log_hash: str) -> tuple[Node, LogState]:
    node = node_of(request)
    origin = node.by_hash.get(log_hash)
    if origin is None:
        raise NotFoundError(
            "no log of the network has this hash",
            field="log_hash",
            hint="suyuan logs lists them, over HTTP GET /v1/logs",
        )
    return node, node.states[origin]


def _remembered(node: Node, state: LogState) -> dict[str, object]:
    told: dict[str, object] = {"log": state.origin, "size": state.size}
    known = [one for one in (state.signed, node.recovery.promised(state.origin)) if one is not None]
    if known:
        told["checkpoint"] = text_to_lines(max(known, key=lambda judged: judged.size).bare.encode())
    return told


def _told(judged: Judged) -> dict[str, object]:
    return {
        "size": judged.size,
        "root": encode_base64(judged.checkpoint.root),
        "vouched": _time(judged.vouched),
        "cosigned_by": [origin for origin, _ in judged.cosigners],
        "needed": judged.needed,
        "note": text_to_lines(judged.note.encode()),
    }


def _time(seconds: int | None) -> str | None:
    return format_time(1000 * seconds) if seconds is not None else None


def _summary(node: Node, state: LogState) -> dict[str, object]:
    confirmed = state.confirmed
    return {
        "log": state.origin,
        "hash": origin_hash(state.origin),
        "own": state.origin == node.origin,
        "size": state.size,
        "root": encode_base64(state.edge.root()),
        "time": format_time(state.chain.time) if state.size else None,
        "signed_size": state.signed.size if state.signed is not None else 0,
        "confirmed_size": state.confirmed_size,
        "vouched": _time(confirmed.vouched) if confirmed else None,
        "cosigned_by": [origin for origin, _ in confirmed.cosigners] if confirmed else [],
        "needed": confirmed.needed if confirmed is not None else node.network.quorum,
        "alarm": node.alarms.get(state.origin),
    }
