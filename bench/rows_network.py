"""Four nodes on this machine: how soon an event is confirmed, and how many are when all of them are busy."""

import json
import random
import time
from collections.abc import Sequence

from bench import load
from bench.context import Bench, require, wait_until
from bench.generator import Load
from bench.nodes import NodeProcess, network_of, nodes_running
from bench.report import Row, Target, percentile, ratio_row, shown
from bench.rows_http import one_by_one
from ledger.encoding import parse_time

NODES = 4
LIGHT_EVENTS = 40  # of one run, at scale 1
LIGHT_SECONDS = 0.12  # between two of them, on average: eight events a second
FULL_BATCHES = 16  # of one node in one run, at scale 1
FULL_BATCH = 500  # as in http-batch, and as many connections
FULL_CONNECTIONS = 4
DRAIN_SECONDS_MAX = 120.0


def network(bench: Bench) -> list[Row]:
    """Measure four nodes, under light load and under full load."""
    made = network_of(bench.folder("four"), NODES)
    light: list[list[float]] = []
    full: list[tuple[float, float]] = []
    numbers = 0
    with nodes_running(list(made.departments.values())) as nodes:
        warm = max(5, bench.count(20))
        _light(nodes, warm, numbers)
        numbers += warm
        for _ in range(bench.rounds):
            count = bench.count(LIGHT_EVENTS, least=10)
            light.append(_light(nodes, count, numbers))
            numbers += count
        for turn in range(bench.rounds):
            bare = bench.bare.verify_on_two(bench.seconds(1.0))
            count = bench.count(FULL_BATCHES, least=4)
            full.append((_full(bench, nodes, count, 10**7 + turn * 10**6), bare / (NODES - 1)))
        for node, other in zip(nodes, [*nodes[1:], nodes[0]], strict=True):
            one_by_one(bench, node, other.origin, "full-load, each node that was measured")
    bench.asserted("four nodes: at the end every node has every log, confirmed, with the same root")
    together = [one for run in light for one in run]
    p50 = Row(
        "confirm-p50",
        "recorded → confirmed, four nodes on this machine, light load: p50",
        target=Target("at most", 150, "ms"),
    )
    p99 = Row(
        "confirm-p99",
        "recorded → confirmed, four nodes on this machine, light load: p99",
        target=Target("at most", 500, "ms"),
    )
    for row, share in ((p50, 0.50), (p99, 0.99)):
        row.figure, row.unit = percentile(together, share), "ms"
        row.measured = f"{shown(row.figure)} ms of {len(together)}"
        row.runs = [{"measured": percentile(run, share), "all": run} for run in light]
    most = Row(
        "full-load", "four nodes under full load, confirmed events per second",
        "bare libsodium verification, two cores, ÷ 3", Target("at least", 0.5),
    )  # fmt: skip
    return [p50, p99, ratio_row(most, full, unit="events/s")]


def _light(nodes: Sequence[NodeProcess], count: int, first: int) -> list[float]:
    """Post single events now and then, to one node after the other; milliseconds from recorded to confirmed.

    Recorded is the time in the entry; confirmed is when the answer is here, to a caller who waits for that, so that its
    way counts as well.
    """
    chance = random.Random(first)
    taken = []
    for number in range(first, first + count):
        time.sleep(chance.expovariate(1 / LIGHT_SECONDS))
        node, other = nodes[number % len(nodes)], nodes[(number + 1) % len(nodes)]
        event = json.dumps(load.share(number, other.origin), ensure_ascii=False).encode()
        answer = node.client.post(
            "/v1/events?wait=confirmed", content=event, headers={"Content-Type": "application/json"}
        )
        here = time.time_ns() / 1e6
        told = answer.raise_for_status().json()
        require(told["state"] == "confirmed", "an event that was waited for is confirmed")
        taken.append(here - parse_time(told["time"]))
    return taken


def _full(bench: Bench, nodes: Sequence[NodeProcess], batches: int, first: int) -> float:
    """Have all nodes record as fast as they can; events per second until the last one is confirmed everywhere."""
    before = {node.origin: node.log()["size"] for node in nodes}
    loads = [
        Load(
            port=node.port, token=node.token, consumer=nodes[(place + 1) % len(nodes)].origin,
            connections=FULL_CONNECTIONS, requests=batches, batch=FULL_BATCH, first=first + place * 10**5,
        )
        for place, node in enumerate(nodes)
    ]  # fmt: skip
    start, synced = time.perf_counter(), bench.syncs()
    for one in loads:
        one.begin()
    events = batches * FULL_BATCH
    for one in loads:
        report = one.report()
        require(report["events"] == events, f"all {events} events were answered with 201: {report}")
    for node in nodes:
        wanted = before[node.origin] + events
        _wait_confirmed(node, node.origin, wanted)
    passed = time.perf_counter() - start
    synced(len(nodes) * batches // FULL_CONNECTIONS, "full-load, one for the four connections of each node")
    _agree(nodes, {origin: size + events for origin, size in before.items()})
    return len(nodes) * events / passed


def _agree(nodes: Sequence[NodeProcess], sizes: dict[str, int]) -> None:
    """Wait until every node has every log confirmed, and compare the roots."""
    for origin, size in sizes.items():
        for node in nodes:
            _wait_confirmed(node, origin, size)
        roots = {node.log(origin)["root"] for node in nodes}
        require(len(roots) == 1, f"all nodes have the same root of {origin}")


def _wait_confirmed(node: NodeProcess, origin: str, size: int) -> None:
    def confirmed() -> bool:
        return bool(node.log(origin)["confirmed_size"] >= size)

    wait_until(confirmed, f"{node.origin} has {origin} confirmed up to {size}", DRAIN_SECONDS_MAX)
