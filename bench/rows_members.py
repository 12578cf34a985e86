"""What grows with the number of members: networks of 4, 10, 25 and 50.

Fifty nodes do not fit onto two cores as processes. So all nodes of a network live in this one, each the real
``node.service.Node`` with a real store on the disk, and talk over a wire in memory to each other's real web
applications. Time is then the sum of everybody's work, and so that is what is reported: processor time for one event
until it is confirmed, of all nodes, and divided by their number. Documents that get longer are timed by themselves.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any

import httpx

from bench import load
from bench.context import Bench, remove, require
from bench.nodes import network_of
from bench.report import Row, percentile
from bench.rows_reading import At, growth_rows
from cli.demo.network import DemoNetwork
from ledger.network import Member, verify_chain
from ledger.proof import parse_proof
from ledger.quorum import judge_checkpoint
from node.app import create_app
from node.foundation import load_foundation
from node.outside import Outsider
from node.service import Node
from node.submission import prepare

MEMBERS = (4, 10, 25, 50)
EVENTS = 3  # one after the other, each until it is confirmed


def members(bench: Bench) -> list[Row]:
    """Measure networks of growing size."""
    counts = MEMBERS if bench.scale >= 0.5 else MEMBERS[:2]
    found = []
    for count in counts:
        bench.say(f"{count} members")
        folder = bench.folder("members")
        made = network_of(folder, count, checkpoint_interval_ms=50, pull_interval_ms=60_000)
        found.append(asyncio.run(_measure(made, count)))
        remove(folder)
    return growth_rows(found, of="members")


async def _measure(made: DemoNetwork, count: int) -> At:
    at = At(count)
    routes: dict[str, httpx.AsyncBaseTransport] = {}

    def to(member: Member | Outsider) -> httpx.AsyncBaseTransport:
        assert isinstance(member, Member)  # no policy names witnesses here
        return _Wire(routes, member.origin)

    nodes: dict[str, Node] = {}
    async with AsyncExitStack() as stack:
        for one in made.departments.values():
            node = nodes[one.origin] = Node(load_foundation(one.home), transport_to=to)
            app = create_app(node)
            routes[one.origin] = httpx.ASGITransport(app=app)
            stack.push_async_callback(node.stop)
        for node in nodes.values():
            await node.start()
        async with asyncio.timeout(300):
            for node in nodes.values():
                while node.state.size == 0 or node.state.confirmed_size < node.state.size:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        await asyncio.sleep(3)  # late cosignatures and the telling of what is confirmed
        await _confirm(nodes, at.figures)
        _documents(made, next(iter(nodes.values())), at.figures)
    return at


async def _confirm(nodes: dict[str, Node], figures: dict[str, float]) -> None:
    """Have one event after the other confirmed while nothing else happens."""
    origins = list(nodes)
    own, consumer = nodes[origins[0]], origins[1]
    cpu, waited = [], []
    for number in range(EVENTS):
        prepared = prepare(load.share(number, consumer), origin=own.origin)
        busy, start = time.process_time(), time.perf_counter()
        [(_, state)] = await own.submit((prepared,), wait_confirmed=True)
        waited.append(1000 * (time.perf_counter() - start))
        require(state == "confirmed", "an event that was waited for is confirmed")
        await asyncio.sleep(2.5)  # what the quorum did not need, until everybody knows
        cpu.append(1000 * (time.process_time() - busy))
    figures["cpu_of_all_nodes_per_confirmation_ms"] = percentile(cpu, 0.5)
    figures["cpu_per_node_per_confirmation_ms"] = percentile(cpu, 0.5) / len(nodes)
    figures["confirmed_after_when_all_share_one_core_ms"] = percentile(waited, 0.5)


def _documents(made: DemoNetwork, node: Node, figures: dict[str, float]) -> None:
    """Time what is done with documents that get longer with the number of members."""
    document = made.document.read_bytes()
    confirmed = node.state.confirmed
    assert confirmed is not None
    note = confirmed.note.encode()
    proof = node.history().proof(node.origin, 1).encode()

    def judge() -> None:
        require(judge_checkpoint(note, node.network).confirmed, "the checkpoint has its quorum")

    figures["network_verify_ms"] = _median_ms(lambda: verify_chain(document, made.fingerprint), 10)
    figures["checkpoint_judge_ms"] = _median_ms(judge, 30)
    figures["checkpoint_bytes"] = len(note)
    figures["network_bytes"] = len(document)
    figures["proof_parse_ms"] = _median_ms(lambda: parse_proof(proof), 100)


def _median_ms(work: Any, times: int) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - start))
    return percentile(taken, 0.5)


class _Wire(httpx.AsyncBaseTransport):
    """Carries requests to a node of this process."""

    def __init__(self, routes: dict[str, httpx.AsyncBaseTransport], origin: str) -> None:
        self._routes = routes
        self._origin = origin

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Deliver one request."""
        return await self._routes[self._origin].handle_async_request(request)
