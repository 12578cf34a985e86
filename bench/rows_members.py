"""What grows with the number of members: networks of 4, 10, 25 and 50.

Fifty nodes do not fit onto two cores as processes. So all nodes of a network live in this one, each the real
``node.service.Node`` with a real store on the disk, and talk over a wire in memory to each other's real web
applications. Time is then the sum of everybody's work, and so that is what is reported: processor time for one event
until it is confirmed, of all nodes, and divided by their number. Documents that get longer are timed by themselves.

How often the nodes ask each other for one event is counted as well: each of the n-1 peers is asked for its
cosignature, asks for the entry, and is given the confirmed checkpoint, once with its quorum and once more with all
cosignatures. That is 4(n-1) requests, 3 for each of 4 nodes and 3.9 for each of 50. If there are more, something else
was measured too; so nobody compares heads meanwhile, which is a question to each peer every now and then.
"""

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import httpx

from bench import load
from bench.context import Bench, remove, require
from bench.nodes import network_of
from bench.report import Row
from bench.rows_reading import At, growth_rows
from cli.demo.network import DemoNetwork
from ledger.network import Member
from ledger.proof import parse_proof
from ledger.quorum import judge_checkpoint
from ledger.versions import verify_chain
from node.app import create_app
from node.foundation import load_foundation
from node.outside import Outsider
from node.serve import garbage_at_leisure
from node.service import Node
from node.submission import prepare

MEMBERS = (4, 10, 25, 50)
EVENTS = 5  # one after the other, each until it is confirmed
# Heads are compared within a tenth of it after the start, and then not before the end.
PULL_MS = {4: 60_000, 10: 60_000, 25: 150_000, 50: 150_000}
QUIET = 0.05  # of one core, by all nodes together
SETTLE_SECONDS_MAX = 120.0


def members(bench: Bench) -> list[Row]:
    """Measure networks of growing size."""
    counts = MEMBERS if bench.scale >= 0.5 else MEMBERS[:2]
    found = []
    for count in counts:
        bench.say(f"{count} members")
        folder = bench.folder("members")
        made = network_of(folder, count, checkpoint_interval_ms=50, pull_interval_ms=PULL_MS[count])
        found.append(asyncio.run(_measure(made, count)))
        remove(folder)
    return growth_rows(found, of="members")


async def _measure(made: DemoNetwork, count: int) -> At:
    at = At(count)
    asked: Counter[str] = Counter()  # of all nodes
    routes: dict[str, httpx.AsyncBaseTransport] = {}

    def to(member: Member | Outsider) -> httpx.AsyncBaseTransport:
        assert isinstance(member, Member)  # no policy names witnesses here
        return _Wire(routes, member.origin, asked)

    nodes: dict[str, Node] = {}
    async with AsyncExitStack() as stack:
        for one in made.departments.values():
            node = nodes[one.origin] = Node(load_foundation(one.home), transport_to=to)
            app = create_app(node)
            routes[one.origin] = httpx.ASGITransport(app=app)
            stack.push_async_callback(node.stop)
        compared = asyncio.get_running_loop().time() + PULL_MS[count] / 1000 / 10
        for node in nodes.values():
            await node.start()
        async with asyncio.timeout(300):
            for node in nodes.values():
                while node.state.size == 0 or node.state.confirmed_size < node.state.size:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        await asyncio.sleep(max(0.0, compared - asyncio.get_running_loop().time()))
        await _quiet()
        with garbage_at_leisure():  # as a node's process: else all nodes' objects are searched for each one's garbage
            await _confirm(nodes, asked, at)
        _documents(made, next(iter(nodes.values())), at)
    return at


async def _quiet() -> None:
    """Wait until nobody does anything: after the start of many nodes on one core, much is asked for again and again."""
    async with asyncio.timeout(SETTLE_SECONDS_MAX):
        busy = 1.0
        while busy > QUIET:
            start = time.process_time()
            await asyncio.sleep(3)  # longer than late cosignatures, and the telling of them, are waited for
            busy = (time.process_time() - start) / 3


async def _confirm(nodes: dict[str, Node], asked: Counter[str], at: At) -> None:
    """Have one event after the other confirmed while nothing else happens."""
    origins = list(nodes)
    own, consumer = nodes[origins[0]], origins[1]
    for number in range(EVENTS):
        prepared = prepare(load.share(number, consumer), origin=own.origin)
        asked.clear()
        busy, start = time.process_time(), time.perf_counter()
        [(_, state)] = await own.submit((prepared,), wait_confirmed=True)
        waited = 1000 * (time.perf_counter() - start)
        require(state == "confirmed", "an event that was waited for is confirmed")
        await asyncio.sleep(2.5)  # what the quorum did not need, until everybody knows
        cpu = 1000 * (time.process_time() - busy)
        at.take("cpu_of_all_nodes_per_confirmation_ms", cpu)
        at.take("cpu_per_node_per_confirmation_ms", cpu / len(nodes))
        at.take("requests_per_node_per_confirmation", asked.total() / len(nodes))
        at.take("confirmed_after_when_all_share_one_core_ms", waited)


def _documents(made: DemoNetwork, node: Node, at: At) -> None:
    """Time what is done with documents that get longer with the number of members."""
    document = made.document.read_bytes()
    confirmed = node.state.confirmed
    assert confirmed is not None
    note = confirmed.note.encode()
    proof = node.history().proof(node.origin, 1).encode()

    def judge() -> None:
        require(judge_checkpoint(note, node.network).confirmed, "the checkpoint has its quorum")

    at.take("network_verify_ms", *_timed_ms(lambda: verify_chain(document, made.fingerprint), 10))
    at.take("checkpoint_judge_ms", *_timed_ms(judge, 30))
    at.take("checkpoint_bytes", len(note))
    at.take("network_bytes", len(document))
    at.take("proof_parse_ms", *_timed_ms(lambda: parse_proof(proof), 100))


def _timed_ms(work: Any, times: int) -> list[float]:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - start))
    return taken


class _Wire(httpx.AsyncBaseTransport):
    """Carries requests to a node of this process, and counts them."""

    def __init__(self, routes: dict[str, httpx.AsyncBaseTransport], origin: str, asked: Counter[str]) -> None:
        self._routes = routes
        self._origin = origin
        self._asked = asked

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Deliver one request."""
        self._asked[request.method] += 1
        return await self._routes[self._origin].handle_async_request(request)
