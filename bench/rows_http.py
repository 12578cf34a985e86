"""Append over HTTP: batches, and single events beside PostgreSQL."""

import itertools
import statistics
from contextlib import ExitStack
from pathlib import Path

from bench import load, postgres
from bench.context import Bench, NotHereError, require, wait_until
from bench.generator import Load
from bench.nodes import NodeProcess, network_of, nodes_running, one_node
from bench.postgres import CONNECTIONS
from bench.report import Row, Target, ratio_row, shown

BATCH = 500
BATCHES = 80  # of one run, at scale 1
BATCH_CONNECTIONS = 4
SINGLES = 8_000  # of one run, at scale 1
WARM_UP = 300
_numbers = itertools.count(10**8, 10**4)  # of first events
ONE_BY_ONE = 100
POSTGRES_SECONDS = 3.0


def batches(bench: Bench) -> list[Row]:
    """Measure batches of 500 over four connections, against bare signing on one core."""
    row = Row(
        "http-batch", "append over HTTP, batches of 500, synced, all indexes", "bare libsodium signing, one core",
        Target("at least", 0.45),
    )  # fmt: skip
    count = bench.count(BATCHES, least=8)
    pairs = []
    with one_node(bench.folder("http-batch")) as (node, consumer):
        first = 0
        for number in range(bench.rounds + 1):
            bare = bench.bare.sign_on_one(bench.seconds(1.0))
            requests = Load(
                port=node.port, token=node.token, consumer=consumer, connections=BATCH_CONNECTIONS, requests=count,
                batch=BATCH, first=first,
            )  # fmt: skip
            first += count * BATCH
            rate = _sent(bench, node, requests, count)
            if number:  # the first run warms: signing processes come when much is recorded
                pairs.append((rate, bare))
        one_by_one(bench, node, consumer, "http-batch, the node that was measured")
    bench.asserted("http-batch: the log has exactly the events that were answered")
    return [ratio_row(row, pairs, unit="events/s")]


def singles(bench: Bench) -> list[Row]:
    """Measure single events over 32 connections, in turns with PostgreSQL in three forms."""
    turns = _Turns(bench)
    with ExitStack() as stack:
        node, consumer = stack.enter_context(one_node(bench.folder("http-single")))
        pair = _two_nodes(bench, stack)
        missing = turns.open(stack)
        for number in range(bench.rounds):
            turns.alone.append(_singles(bench, node, consumer, number))
            turns.copied.append(_singles(bench, pair[0], pair[1], number))
            turns.postgres_turn()
        one_by_one(bench, node, consumer, "http-single, the node that was measured")
    bench.asserted("http-single: the log has exactly the events that were answered")
    return turns.rows(missing)


def _two_nodes(bench: Bench, stack: ExitStack) -> tuple[NodeProcess, str]:
    network = network_of(bench.folder("http-pair"), 2)
    first, second = network.departments["police"], network.departments["tax"]
    node, _ = stack.enter_context(nodes_running([first, second]))
    return node, second.origin


class _Turns:
    """What was measured, turn by turn."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._servers: dict[str, postgres.Postgres] = {}
        self.alone: list[dict[str, float]] = []
        self.copied: list[dict[str, float]] = []
        self.postgres: dict[str, list[postgres.Figures]] = {}

    def open(self, stack: ExitStack) -> str:
        """Start the servers; return why there are none, if so."""
        try:
            for name, options in {"plain": {}, "chained": {"chained": True}, "standby": {"standby": True}}.items():
                self._servers[name] = stack.enter_context(postgres.server(self._bench, **options))
                self._servers[name].insert(self._bench.seconds(1.0))  # warm
                self.postgres[name] = []
            self._bench.beside["PostgreSQL"] = postgres.version()
        except NotHereError as missing:
            return str(missing)
        return ""

    def postgres_turn(self) -> None:
        """Measure each server once."""
        for name, one in self._servers.items():
            self.postgres[name].append(one.insert(self._bench.seconds(POSTGRES_SECONDS)))

    def rows(self, missing: str) -> list[Row]:
        """Return the rows."""
        what = "append over HTTP, single events, 32 connections, each synced before its answer"
        copied = "the same, while a peer on the same two cores fetches, verifies, stores and cosigns everything"
        standby, chained = "PostgreSQL 15, synchronous standby", "PostgreSQL 15, hash-chain trigger, no standby"
        at_least_one = Target("at least", 1.0)
        rows = [
            self._rate(Row("http-single", what, standby, at_least_one), self.alone, "standby", missing),
            self._rate(Row("http-single-copied", copied, standby, at_least_one), self.copied, "standby", missing),
            self._rate(Row("http-single-chain", what, chained, Target("at least", 4)), self.alone, "chained", missing),
            self._p99(Row("http-single-p99", f"{what}: p99", standby, Target("at most", 1.0)), "standby", missing),
            self._rate(
                Row("http-single-plain", what, "PostgreSQL 15, plain table, no standby"), self.alone, "plain", missing
            ),
        ]
        if missing:
            for row in rows:
                ours = self.copied if row.id == "http-single-copied" else self.alone
                figure, unit = ("p99_ms", "ms") if row.id == "http-single-p99" else ("rate", "events/s")
                row.measured = f"{shown(statistics.median(one[figure] for one in ours))} {unit}"
        return rows

    def _rate(self, row: Row, ours: list[dict[str, float]], name: str, missing: str) -> Row:
        if missing:
            row.note = missing
            return row
        both = list(zip(ours, self.postgres[name], strict=True))
        ratio_row(row, [(one["rate"], other.per_second) for one, other in both], unit="events/s")
        for run, (one, other) in zip(row.runs, both, strict=True):
            run |= {"p50_ms": one["p50_ms"], "p99_ms": one["p99_ms"]}
            run |= {"yardstick_p50_ms": other.p50_ms, "yardstick_p99_ms": other.p99_ms}
        return row

    def _p99(self, row: Row, name: str, missing: str) -> Row:
        if missing:
            row.note = missing
            return row
        pairs = [(one["p99_ms"], other.p99_ms) for one, other in zip(self.alone, self.postgres[name], strict=True)]
        return ratio_row(row, pairs, unit="ms")


def _singles(bench: Bench, node: NodeProcess, consumer: str, number: int) -> dict[str, float]:
    """Send one run of single events and return rate and latencies."""
    count = bench.count(SINGLES, least=500)
    first = number * (count + WARM_UP)
    common = {"port": node.port, "token": node.token, "consumer": consumer, "connections": CONNECTIONS}
    warm = Load(**common, requests=WARM_UP, first=first)  # type: ignore[arg-type]
    warm.run()
    requests = Load(**common, requests=count, first=first + WARM_UP)  # type: ignore[arg-type]
    before, synced = node.log()["size"], bench.syncs()
    report = requests.run()
    synced(count // CONNECTIONS, "http-single, one for 32 connections")
    require(report["answered"] == count, f"all {count} events were answered with 201: {report}")
    require(node.log()["size"] - before == count, "the log has exactly the events that were answered")
    return {"rate": count / report["seconds"], "p50_ms": report["p50_ms"], "p99_ms": report["p99_ms"]}


def _sent(bench: Bench, node: NodeProcess, requests: Load, batches: int) -> float:
    """Send batches; return events per second."""
    before, synced, events = node.log()["size"], bench.syncs(), batches * BATCH
    report = requests.run()
    synced(batches // BATCH_CONNECTIONS, "http-batch, one for four connections")
    require(report["events"] == events, f"all {events} events were answered with 201: {report}")
    require(node.log()["size"] - before == events, "the log has exactly the events that were answered")
    return events / float(report["seconds"])


def one_by_one(bench: Bench, node: NodeProcess, consumer: str, what: str) -> None:
    """Record some events one after the other: each answer takes a synced write of its own, whatever else syncs.

    They are new ones at each call: a node whose peers have given back what it recorded before would write nothing.
    """
    synced = bench.syncs()
    requests = Load(
        port=node.port, token=node.token, consumer=consumer, connections=1, requests=ONE_BY_ONE, first=next(_numbers)
    )
    report = requests.run()
    require(report["answered"] == ONE_BY_ONE, f"all {ONE_BY_ONE} events were answered with 201: {report}")
    synced(ONE_BY_ONE, f"{what}: events one after the other")


def killed(bench: Bench) -> str:
    """Kill a node under load, start it again, and look for every event that was answered; return what was checked."""
    folder = bench.folder("killed")
    with one_node(folder) as (node, consumer):
        answered = Path(folder / "answered")
        requests = Load(
            port=node.port, token=node.token, consumer=consumer, connections=CONNECTIONS,
            requests=bench.count(SINGLES, least=2000), answered_file=answered,
        )  # fmt: skip
        requests.begin()
        wait_until(lambda: node.log()["size"] > 500, "the node has taken some events")
        node.kill()
        report = requests.report()
        require(report["broken"] > 0, "the node was killed under load")
        numbers = [int(number) for number in answered.read_text("ascii").split()]
        node.start()
        lost = [number for number in numbers if not node.has_event(load.id_of_share(number))]
        require(not lost, f"a killed node loses nothing (lost: {len(lost)} of {len(numbers)})")
    return f"a node killed under load has all {len(numbers)} events that it had answered"
