"""How the node is, what it counts, and the network it acts under."""

import ipaddress
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from ledger.encoding import format_time
from ledger.errors import StoreError
from ledger.network import Member
from node.api.auth import client, node_of, reader
from node.api.bodies import check_parameters, read_body
from node.api.docs import gives, takes_text
from node.api.witness import witness_json
from node.fetching import CatchUp
from node.keys import missing_keys
from node.peers import CHAIN_BYTES_MAX, Peer
from node.service import Node, software
from node.told import Seen

router = APIRouter(tags=["system"])

STALE_INTERVALS = 3  # of this node's own refresh interval: the other members' are of the same order


@router.get(
    "/v1/health",
    summary="How the node is",
    responses={503: {"description": "It does not work as it should", "content": {"application/json": {}}}},
)
def get_health(request: Request) -> Response:
    """Return whether the node works as it should: 200, or 503 when it does not.

    An alarm about another member's log is told, and is no fault of this node: its status is alarm, with 200.
    """
    check_parameters(request)
    node = node_of(request)
    return JSONResponse(health(node), 200 if _is_well(node) else 503)


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
        vouched = state.confirmed.vouched if state.confirmed is not None else None
        node.metrics.vouched.labels(state.origin).set(vouched or 0)
        running = node.mirror.running.get(state.origin)
        node.metrics.catch_up_missing.labels(state.origin).set(running.missing if running is not None else 0)
    counts = node.equivocations.counts()
    for origin in node.network.members:
        node.metrics.equivocations.labels(origin).set(counts[origin])
    for origin, peer in node.peers.items():
        node.metrics.peer_up.labels(origin).set(1 if peer.status.reachable else 0)
        node.metrics.peer_lag.labels(origin).set(lag_of(node, peer))
        differing = sum(seen.agrees is False for seen in list(peer.status.heads.values()))
        node.metrics.peer_differs.labels(origin).set(differing)
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
        {
            "schema": "suyuan.peers/2",
            "own": node.origin,
            "network_version": node.network.version,
            "time": format_time(node.clock.now_ms()),
            "logs": [
                {"log": origin, "size": state.size, "confirmed_size": state.confirmed_size}
                for origin, state in node.states.items()
            ],
            "catching_up": [_catching_up(node, one) for one in list(node.mirror.running.values())],
            "peers": [_peer(node, peer) for peer in list(node.peers.values())],
            "witnesses": [witness_json(client) for client in node.outside.clients],
        }
    )


def health(node: Node) -> dict[str, Any]:
    """Return what ``/v1/health`` answers."""
    failure, awaited = node.writer.failure, node.state.awaited(_own_member(node))
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
        "freshness": _freshness(node),
        "peers": {
            "known": len(node.peers),
            "reachable": sum(bool(peer.status.reachable) for peer in node.peers.values()),
        },
        "witness": {
            "logs": len(node.foreign.origins),
            "memory": _memory(node),
            "known": len(node.outside.clients),
            "reachable": sum(bool(client.status.reachable) for client in node.outside.clients),
            "witnessed_size": node.outside.witnessed.size if node.outside.witnessed is not None else None,
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
        "missing_keys": [
            {"role": role, "key": key} for role, key in missing_keys(node.ring.publics, _own_member(node)).items()
        ],
        "next_log_key": {"key": awaited.key, "from": awaited.start} if awaited is not None else None,
    }


def _is_well(node: Node) -> bool:
    """Tell whether this node does its work, whatever it has found out about others."""
    others = node.network.members.keys() - {node.origin}
    sound = node.alarms.keys() <= others and node.writer.failure is None
    return sound and _own_member(node).active and not _lacks_keys(node) and not _awaits_key(node) and _writes(node)


def _own_member(node: Node) -> Member:
    return node.network.member(node.origin)


def _lacks_keys(node: Node) -> bool:
    """Tell whether the network document names a key of this node that is not here: what it signs is not signed."""
    return bool(missing_keys(node.ring.publics, _own_member(node)))


def _awaits_key(node: Node) -> bool:
    return node.state.awaits_key(_own_member(node))


def _freshness(node: Node) -> dict[str, Any]:
    """Return when a quorum last vouched for this node's log, and which active members' logs it has not for long."""
    limit = STALE_INTERVALS * node.settings.refresh_interval_ms
    since = {
        origin: 1000 * state.confirmed.vouched
        for origin, state in list(node.states.items())
        if state.confirmed is not None and state.confirmed.vouched is not None and node.network.member(origin).active
    }
    now = node.clock.now_ms()
    stale = [
        {"log": origin, "vouched": format_time(time)} for origin, time in since.items() if limit and now - time > limit
    ]
    own = since.get(node.origin)
    return {"vouched": format_time(own) if own is not None else None, "stale": stale}


def _memory(node: Node) -> str | None:
    """Tell whether the witness knows all that it has cosigned of foreign logs; nothing where it cosigns none."""
    if node.foreign.signer is None:
        return None
    try:
        return "whole" if node.foreign.memory() is not None else "lost"
    except StoreError:
        return "unreadable"


def _status(node: Node) -> str:
    if node.alarms:
        return "alarm"
    if node.writer.failure:
        return "failed"
    if not _own_member(node).active:
        return _own_member(node).entry.status  # suspended or ended: nothing is recorded
    if _lacks_keys(node):
        return "keys_missing"
    if _awaits_key(node):
        return "key_awaited"
    return "ok" if _writes(node) else "recovering"


def _writes(node: Node) -> bool:
    """Tell whether the return is over, and the log has its first entry."""
    return node.recovery.ready and node.state.size > 0


def _catching_up(node: Node, running: CatchUp) -> dict[str, Any]:
    return {
        "log": running.origin,
        "have": running.have,
        "want": running.want,
        "rate": round(running.rate(node.clock.now_ms()), 1),
        "from": running.source,
        "since": format_time(running.since_ms),
    }


def _peer(node: Node, peer: Peer) -> dict[str, Any]:
    status = peer.status
    heads = sorted((name, seen) for name, seen in list(status.heads.items()) if name in node.states)
    return {
        "log": peer.origin,
        "url": peer.member.url,
        "reachable": status.reachable,
        "last_seen": format_time(status.last_seen_ms) if status.last_seen_ms is not None else None,
        "last_error": status.last_error,
        "network_version": status.version,
        "lag": lag_of(node, peer),
        "faults": [
            {"kind": kind, "count": fault.count, "last": format_time(fault.last_ms), "words": fault.words}
            for kind, fault in sorted(status.faults.items())
        ],
        "logs": [
            {
                "log": name,
                "size": seen.head.size,
                "confirmed_size": seen.head.confirmed,
                "seen": format_time(seen.at_ms),
                "lag": node.states[name].size - seen.head.size,
                "agreement": _agreement(node, name, seen),
            }
            for name, seen in heads
        ],
    }


def lag_of(node: Node, peer: Peer) -> int:
    """Return how many entries of all logs this node has and a peer, by what it has told last, has not."""
    seen = [(node.states.get(name), seen.head) for name, seen in list(peer.status.heads.items())]
    return sum(max(state.size - head.size, 0) for state, head in seen if state is not None)


def _agreement(node: Node, origin: str, seen: Seen) -> str:
    """Return how a head fits to the log as it is here now; what was compared before is not compared again."""
    size = node.states[origin].size
    if seen.agrees is None:
        try:
            return node.mirror.agreement(origin, seen.head)
        except StoreError:  # our own tiles; the disk is looked at elsewhere
            return "unknown"
    if not seen.agrees:
        return "differs"
    return "same" if seen.head.size == size else "behind"


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
