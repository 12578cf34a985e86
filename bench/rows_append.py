"""Append in process: the whole path of an event but for HTTP."""

import asyncio
import time
from collections.abc import Sequence

import httpx

from bench import load
from bench.context import Bench, require
from bench.nodes import START_SECONDS_MAX, network_of, peer_transport
from bench.report import Row, Target, ratio_row
from cli.demo.network import DemoNetwork
from ledger.encoding import canonical_json
from ledger.entry import open_chain, verify_entries
from ledger.merkle import root_of
from ledger.network import Member
from node.api.events import prepare_batch
from node.foundation import load_foundation
from node.history import read_entries
from node.outside import Outsider
from node.serve import garbage_at_leisure
from node.service import Node
from node.signatories import EVENTS_MIN

BATCH = 1000
IN_FLIGHT = 3  # one is being validated, one chained and signed, one waits
EVENTS = 40_000  # of one run, at scale 1
WARM_BATCHES = 6  # after so much the node has what it works with under load


def in_process(bench: Bench) -> list[Row]:
    """Measure appending batches of 1,000 through Node.submit, against bare signing on one core."""
    batches = bench.count(EVENTS // BATCH, least=3)
    row = Row(
        "append", "append in process, batches of 1,000, synced, all indexes, full event validation",
        "bare libsodium signing, one core", Target("at least", 0.6),
    )  # fmt: skip
    pairs = []
    for number in range(bench.rounds):
        bare = bench.bare.sign_on_one(bench.seconds(1.0))
        with garbage_at_leisure():  # as a node's process
            rate = asyncio.run(_append(bench, batches, verify=number == 0))
        pairs.append((rate, bare))
    return [ratio_row(row, pairs, unit="events/s")]


async def _append(bench: Bench, batches: int, *, verify: bool) -> float:
    folder = bench.folder("append")
    network = network_of(folder, 2)
    consumer = network.departments["tax"].origin
    warm, values = bodies(consumer, WARM_BATCHES), bodies(consumer, batches, WARM_BATCHES * BATCH)
    async with NodeHere(network) as node:
        await append(node, warm)
        if len(warm) * BATCH >= EVENTS_MIN:
            async with asyncio.timeout(START_SECONDS_MAX):
                while not node.signatories.pids:  # noqa: ASYNC110 - it takes a moment, once
                    await asyncio.sleep(0.02)
        synced, rounds = bench.syncs(), node.writer.rounds
        start = time.perf_counter()
        await append(node, values)
        passed = time.perf_counter() - start
        synced(node.writer.rounds - rounds, "append, one for each write")
        require(node.state.size == 1 + (WARM_BATCHES + batches) * BATCH, "every event that was answered is in the log")
        if verify:
            verify_all(node)
            bench.asserted("append, the first run: every entry reads back, verifies and hashes to the tree's root")
    return batches * BATCH / passed


def bodies(consumer: str, batches: int, first: int = 0) -> list[list[bytes]]:
    """Return batches of events as a client writes them: canonical JSON."""
    numbers = range(first, first + batches * BATCH)
    events = [canonical_json(load.share(number, consumer)).encode() for number in numbers]
    return [events[start : start + BATCH] for start in range(0, len(events), BATCH)]


async def append(node: Node, batches: Sequence[Sequence[bytes]]) -> None:
    """Append batches as the API does: validated in a thread, a few of them at one time."""
    waiting = list(reversed(batches))

    async def work() -> None:
        while waiting:
            prepared = await asyncio.to_thread(prepare_batch, node, batch_body(waiting.pop()))
            await node.submit(prepared, wait_confirmed=False)

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(work())


def batch_body(events: Sequence[bytes]) -> bytes:
    """Return the body of a batch in canonical JSON."""
    return b'{"events":[%b]}' % b",".join(events)


class NodeHere:
    """A node in this process, whose peers are stand-ins."""

    def __init__(self, network: DemoNetwork, name: str = "police") -> None:
        homes = {one.origin: one.home for one in network.departments.values()}

        def to(member: Member | Outsider) -> httpx.AsyncBaseTransport:
            assert isinstance(member, Member)  # no policy names witnesses here
            return peer_transport(homes[member.origin])

        self.node = Node(load_foundation(network.departments[name].home), transport_to=to)

    async def __aenter__(self) -> Node:
        await self.node.start()
        async with asyncio.timeout(START_SECONDS_MAX):
            await self.node.recovery.wait_ready()
            while self.node.state.size == 0:  # noqa: ASYNC110 - it takes a moment, once
                await asyncio.sleep(0.005)
        return self.node

    async def __aexit__(self, *details: object) -> None:
        await self.node.stop()


def verify_all(node: Node) -> None:
    """Read a node's own log from its store and verify it from end to end: chain, signatures, tree."""
    state = node.state
    head = open_chain(state.origin, node.network.text.encode())
    leaves: list[bytes] = []
    while head.size < state.size:
        raws = read_entries(node.store, state, head.size, BATCH, 1 << 26)
        entries, head = verify_entries(head, raws, key_at=node.network.member(state.origin).log_key_at, pool=node.pool)
        leaves += [entry.leaf for entry in entries]
    require(head == state.chain, "the chain ends where the node says")
    require(root_of(leaves) == state.edge.root(), "the entries hash to the root of the tree")
