"""How the node is, what it counts, and the network it acts under."""

import ipaddress
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from ledger.encoding import format_time
from node.api.auth import client, node_of, reader
from node.api.bodies import check_parameters, read_body
from node.api.docs import gives, takes_text
from node.peers import CHAIN_BYTES_MAX
from node.service import Node, software

router = APIRouter(tags=["system"])


@router.get(
    "/v1/health",
    summary="How the node is",
    responses={503: {"description": "It does not work as it should", "content": {"application/json": {}}}},
)
def get_health(request: Request) -> Response:
    """Return whether the node works as it should: 200, or 503 when an alarm is raised or nothing can be written."""
    check_parameters(request)
    body = health(node_of(request))
    return JSONResponse(body, 200 if body["status"] == "ok" else 503)


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses=gives("text/plain", "Prometheus's text format"),
)
def get_metrics(request: Request) -> Response:
    """Return all metrics; from another machine it takes a token."""
    address = request.client.host if request.client is not None else ""
    if not _is_loopback(address):
        client(request, "read")
    node = node_of(request)
    for state in node.states.values():
        node.metrics.log_size.labels(state.origin).set(state.size)
        node.metrics.log_confirmed.labels(state.origin).set(state.confirmed_size)
    for origin, peer in node.peers.items():
        node.metrics.peer_up.labels(origin).set(1 if peer.status.reachable else 0)
    node.metrics.queue.set(node.writer.waiting)
    return Response(node.metrics.render(), media_type=CONTENT_TYPE_LATEST)


@router.get(
    "/v1/network",
    summary="The network document",
    response_class=Response,
    responses=gives("text/plain", "Signed notes, one for each version"),
)
def get_network(request: Request) -> Response:
    """Return the network document under which this node acts; compare it with the fingerprint that you were given."""
    check_parameters(request)
    return Response(node_of(request).network_document, media_type="text/plain; charset=utf-8")


@router.post("/v1/network", summary="Give a newer network document", openapi_extra=takes_text())
async def post_network(request: Request) -> Response:
    """Act under a newer version of the network document; the peers hear of it from this node."""
    client(request, "admin")
    check_parameters(request)
    node = node_of(request)
    before = await node.adopt(await read_body(request, CHAIN_BYTES_MAX))
    return JSONResponse({"schema": "suyuan.adopted/1", "version": node.network.version, "was": before})


@router.get("/v1/peers", summary="The peers")
def get_peers(request: Request) -> Response:
    """Return what this node sees of every peer: whether it answers, and how far it holds each log."""
    reader(request)
    check_parameters(request)
    node = node_of(request)
    return JSONResponse(
        {"schema": "suyuan.peers/1", "own": node.origin, "peers": [_peer(node, name) for name in node.peers]}
    )


def health(node: Node) -> dict[str, Any]:
    """Return what ``/v1/health`` answers."""
    failure = node.writer.failure
    return {
        "schema": "suyuan.health/1",
        "status": _status(node),
        "log": node.origin,
        "software": software(),
        "network": {
            "name": node.network.name,
            "version": node.network.version,
            "fingerprint": node.fingerprint,
        },
        "size": node.state.size,
        "confirmed_size": node.state.confirmed_size,
        "peers": {
            "known": len(node.peers),
            "reachable": sum(bool(peer.status.reachable) for peer in node.peers.values()),
        },
        "recovery": {
            "done": _writes(node),
            "answered": len(node.recovery.progress.answered),
            "needed": node.recovery.progress.needed,
            "problem": node.recovery.progress.problem,
        },
        "started": format_time(node.started_ms),
        "time": format_time(node.clock.now_ms()),
        "alarms": [{"log": name, "alarm": message} for name, message in list(node.alarms.items())],
        "failure": str(failure) if failure else None,
    }


def _status(node: Node) -> str:
    if node.alarms:
        return "alarm"
    if node.writer.failure:
        return "failed"
    return "ok" if _writes(node) else "recovering"


def _writes(node: Node) -> bool:
    """Tell whether the return is over, and the log has its first entry."""
    return node.recovery.ready and node.state.size > 0


def _peer(node: Node, origin: str) -> dict[str, Any]:
    peer = node.peers[origin]
    status = peer.status
    return {
        "log": origin,
        "url": peer.member.url,
        "reachable": status.reachable,
        "last_seen": format_time(status.last_seen_ms) if status.last_seen_ms is not None else None,
        "last_error": status.last_error,
        "logs": [
            {
                "log": name,
                "size": size,
                "confirmed_size": status.confirmed.get(name, 0),
                "behind": max(node.states[name].size - size, 0),
            }
            for name, size in sorted(status.sizes.items())
        ],
    }


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
