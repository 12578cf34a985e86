"""Reading from ledgers of growing size: traces, proofs, the cold command, memory, disk; and how each of them grows.

Each size is measured on a ledger of its own (bench/ledgers.py): four logs, one store, opened as a node opens it.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from bench import load
from bench.context import Bench, memory_mb, remove, require
from bench.ledgers import HOPS, Ledger, copy, ledger_of, make_entries, network_in, opened
from bench.nodes import NodeProcess, log_signer
from bench.report import Row, Target, percentile, ratio_row, shown
from bench.rows_append import BATCH, NodeHere, append, bodies
from cli.demo.network import free_ports
from ledger.entry import SignatureMemory, verify_entries
from ledger.event import Share
from ledger.network import Network
from ledger.store import Store
from ledger.tile import MiddleRows
from node import logs
from node.history import History, read_entries
from node.logs import LogState
from node.serve import garbage_at_leisure
from node.service import ROWS_MAX, SIGNATURES_KEPT_MAX
from node.writer import Transaction

SIZES = (10_000, 100_000, 1_000_000)
LARGEST = 10_000_000  # from BENCH_SCALE=10 on
TRACES = 300
PROOFS = 1000
COLD = 2  # in each round
APPENDED = 4  # batches of 1,000 in each round

# Growth per tenfold size that needs no words: none, and the logarithm's (log 10^5 is 1.25 times log 10^4), with room
# for a machine's noise.
FLAT = 1.15
LOGARITHMIC = 1.5

EXPLAINED = {
    "open_ms": "LevelDB replays its journal, up to 64 MB of the newest writes, and looks for each of its tables",
    "node_start_ms": "as open_ms",
    "trace_p99_ms": "the first reads of a block come from the disk, and a larger ledger has more of them",
    "proof_p50_ms": "log n hashes; and a larger ledger has more tiles, each hashed when it is met first",
    "proof_p99_ms": "the first reads of a block come from the disk, and a larger ledger has more of them",
    "memory_mb": "tables of LevelDB that were read are mapped, 990 at most; own_memory_mb is without their pages",
    "page_of_100_p50_ms": "where there are few entries, pages come again and are in the processor's caches",
    "find_event_p50_ms": "as many more tables are looked into as lie above one another, up to seven",
    "memory_at_start_mb": "as memory_mb",
    "own_memory_mb": "what the node remembers fills up: tiles and signatures, both bounded",
    "page_of_100_p99_ms": "the first reads of a block come from the disk, and a larger ledger has more of them",
    "find_event_p99_ms": "the first reads of a block come from the disk, and a larger ledger has more of them",
    "cpu_of_all_nodes_per_confirmation_ms": "every node does its part: what each of them does is the line below",
    "cpu_per_node_per_confirmation_ms": "4(n-1)/n requests, nearly all of them signed, and n cosignatures to verify",
    "requests_per_node_per_confirmation": "4(n-1)/n: cosignature, entry, checkpoint with its quorum and in full",
    "confirmed_after_when_all_share_one_core_ms": "all nodes' work in turns, not on machines of their own",
    "network_verify_ms": "the document has an entry for every member, with five keys to check",
    "checkpoint_judge_ms": "every cosignature is verified: ⌊(n+f)/2⌋+1 of them make the quorum, up to n are there",
    "checkpoint_bytes": "one line for each cosignature",
    "network_bytes": "one entry for each member",
    "proof_parse_ms": "one line for each cosignature",
}


@dataclass(slots=True)
class At:
    """What was measured at one size."""

    size: int
    runs: dict[str, list[float]] = field(default_factory=dict)  # by name; one for what cannot differ from run to run
    disk_bytes: float = 0.0  # for an entry
    entry_bytes: float = 0.0

    def take(self, name: str, *values: float) -> None:
        """Note one run of something, or several."""
        self.runs.setdefault(name, []).extend(values)

    def figure(self, name: str) -> float:
        """Return the median of the runs."""
        return statistics.median(self.runs[name])


_measured: dict[str, list[At]] = {}  # of this run of the bench: several rows are made of it


def measured(bench: Bench) -> list[At]:
    """Return what was measured at each size, in this run of the bench."""
    if "" not in _measured:
        ledgers = [ledger_of(bench, size) for size in sizes(bench)]
        found = [At(ledger.size) for ledger in ledgers]
        _in_the_node(bench, ledgers, found)
        _as_processes(bench, ledgers, found)
        for ledger, at in zip(ledgers, found, strict=True):
            _by_themselves(bench, ledger, at)
        _measured[""] = found
    return _measured[""]


def sizes(bench: Bench) -> list[int]:
    """Return the sizes of this run."""
    if bench.scale < 1:
        return [max(1000 << step, round(size * bench.scale)) for step, size in enumerate(SIZES)]
    return [*SIZES, LARGEST] if bench.scale >= 10 else list(SIZES)


def reading(bench: Bench) -> list[Row]:
    """Make the rows of traces, proofs, memory and disk, and a line for each operation's growth."""
    found = measured(bench)
    standard = next((one for one in found if one.size == SIZES[-1]), found[-1])
    small = found[1]  # 100,000 at the standard size
    size = f"{standard.size:,} entries"
    rows = [
        _row("trace-p50", f"trace of a record with {HOPS} hops at {size}, verified: p50", standard, "trace_p50_ms", 5),
        _row("trace-p99", f"trace of a record with {HOPS} hops at {size}, verified: p99", standard, "trace_p99_ms", 20),
        _grown("trace-growth", "the same trace", found[-2], found[-1], "trace_p50_ms", 1.3),
        _row("proof", f"inclusion proof at {size}", standard, "proof_p50_ms", 1),
        _row("cold-trace", f"suyuan trace from a cold start, at {size}", standard, "cli_trace_ms", 400),
        _grown("memory", "memory that a node holds, after start and traces", small, found[-1], "own_memory_mb", 1.5),
        _grown("memory-resident", "the same with mapped files", small, found[-1], "memory_mb", 1.5),
        Row(
            "disk", f"disk per event, all indexes, at {size}", "size of the entry", Target("at most", 1.6),
            standard.disk_bytes / standard.entry_bytes, "×", f"{shown(standard.disk_bytes)} B",
            f"{shown(standard.entry_bytes)} B",
        ),
    ]  # fmt: skip
    return rows + growth_rows(found)


def growth_rows(found: Sequence[At], of: str = "entries") -> list[Row]:
    """Return a line for each operation: its figures by size, and what it grows by when the size grows tenfold."""
    rows = []
    sizes_shown = " → ".join(f"{one.size:,}" for one in found)
    for name in found[-1].runs:
        values = [one.figure(name) for one in found]
        row = Row(f"growth-{name}", name, f"{sizes_shown} {of}", unit="× per ten times", grows_by=of)
        row.measured = " → ".join(map(shown, values))
        row.figure = growth([one.size for one in found], values)
        row.runs = [{"size": one.size, "figure": one.figure(name), "runs": one.runs[name]} for one in found]
        row.note = shape_of(name, steepest([one.size for one in found], values))
        rows.append(row)
    return rows


def growth(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Return by what a value is multiplied for each tenfold size, by a straight line through the logarithms."""
    from math import log10  # noqa: PLC0415 - only here

    xs, ys = [log10(size) for size in sizes], [log10(max(value, 1e-9)) for value in values]
    middle = statistics.fmean(xs)
    spread = sum((x - middle) ** 2 for x in xs)
    if spread == 0:
        return 1.0
    slope = sum((x - middle) * y for x, y in zip(xs, ys, strict=True)) / spread
    return float(10**slope)


def steepest(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Return by what a value is multiplied for each tenfold size where that is most: between two sizes, or over all."""
    steps = (growth(sizes[at : at + 2], values[at : at + 2]) for at in range(len(sizes) - 1))
    return max((growth(sizes, values), *steps))


def shape_of(name: str, grown: float) -> str:
    """Return how a figure grows where it grows most, and why where that needs words."""
    if grown <= FLAT:
        return "flat"
    if grown <= LOGARITHMIC:
        return "logarithmic"
    return f"grows: {EXPLAINED.get(name, 'NOT EXPLAINED YET')}"


def _row(name: str, what: str, at: At, figure: str, limit: float) -> Row:
    row = Row(name, what, target=Target("at most", limit, "ms"), unit="ms", figure=at.figure(figure))
    row.measured = f"{shown(at.figure(figure))} ms"
    row.runs = [{"measured": value} for value in at.runs[figure]]
    return row


def _grown(name: str, what: str, before: At, after: At, figure: str, limit: float) -> Row:
    """Judge by how much a figure is greater at one size than at another; all sizes took turns."""
    row = Row(name, f"{what}, at {after.size:,} entries", f"the same at {before.size:,}", Target("at most", limit))
    pairs = list(zip(after.runs[figure], before.runs[figure], strict=True))
    return ratio_row(row, pairs, unit="MB" if figure.endswith("mb") else "ms")


def _in_the_node(bench: Bench, ledgers: Sequence[Ledger], found: Sequence[At]) -> None:
    """Time what the node does for a reader, on open stores: all sizes in turns, round by round."""
    with ExitStack() as stack:
        readers = []
        for ledger, at in zip(ledgers, found, strict=True):
            require(ledger.records, "the ledger has records that have gone all their way")
            start = time.perf_counter()
            readers.append(_Reader(bench, ledger, *stack.enter_context(opened(ledger))))
            at.take("open_ms", 1000 * (time.perf_counter() - start))
        stack.enter_context(garbage_at_leisure())  # as in a node; else its pauses would grow with the bench
        for number in range(bench.rounds):
            bench.say(f"reading at {', '.join(f'{one.size:,}' for one in ledgers)} entries, round {number + 1}")
            for reader in readers:
                reader.round()
        for reader, at in zip(readers, found, strict=True):
            reader.tell(at)
    bench.asserted(f"every trace has its {HOPS} hops, verified, and no gap; every proof and page is whole")


class _Reader:
    """Asks one open ledger what a node is asked, each round with nothing in its own memory."""

    def __init__(
        self, bench: Bench, ledger: Ledger, store: Store, network: Network, states: dict[str, LogState]
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._network = network
        self._states = states
        self._origins = sorted(states)
        self._rows, self._signatures = _nothing_remembered()
        self._ids = [read_id(store, states, self._place(number)) for number in range(100)]
        traces = min(TRACES, bench.count(TRACES, least=40))
        self._jobs: tuple[tuple[str, Callable[[int], None], int], ...] = (
            ("trace", self._trace, traces),
            ("proof", self._proof, PROOFS),
            ("page_of_100", self._page, 200),
            ("find_event", self._find, 400),
        )
        self._taken: dict[str, list[list[float]]] = {name: [] for name, _, _ in self._jobs}

    def round(self) -> None:
        """Ask everything once."""
        self._rows, self._signatures = _nothing_remembered()
        for name, work, times in self._jobs:
            self._taken[name].append(_timed(work, times))

    def tell(self, at: At) -> None:
        """Note what each round took."""
        for name, rounds in self._taken.items():
            for share in (0.5, 0.99):
                at.take(f"{name}_p{round(100 * share)}_ms", *(percentile(one, share) for one in rounds))

    def _history(self) -> History:
        return History(self._store, self._states, self._network, rows=self._rows, signatures=self._signatures)

    def _trace(self, number: int) -> None:
        records = self._ledger.records
        if number % len(records) == 0:  # a small ledger has fewer records: none is traced from memory
            self._rows, self._signatures = _nothing_remembered()
        found = self._history().trace(records[number % len(records)])
        hops = [one for one in found.hops if isinstance(one.share.event, Share) and one.share.verified]
        require(len(hops) == HOPS and not found.gaps, f"the trace has {HOPS} verified hops and no gap")

    def _proof(self, number: int) -> None:
        require(self._history().proof(*self._place(number)).extra is not None, "there is a proof")

    def _page(self, number: int) -> None:
        origin, index = self._place(number)
        state = self._states[origin]
        first = min(index, max(0, state.size - 100))
        require(len(read_entries(self._store, state, first, 100, 1 << 24)) == 100, "a page has 100 entries")

    def _find(self, number: int) -> None:
        self._history().find_event(self._ids[number % len(self._ids)], self._origins[0])

    def _place(self, number: int) -> tuple[str, int]:
        origin = self._origins[number % len(self._origins)]
        chance = int.from_bytes(load.reference(f"place {number}").encode()[:8], "big")
        return origin, chance % self._states[origin].size


def _by_themselves(bench: Bench, ledger: Ledger, at: At) -> None:
    """Measure what takes a process, or changes the store, at one size."""
    bench.say(f"writing at {ledger.size:,} entries")
    _writing(bench, ledger, at)
    with opened(ledger) as (store, _, _):
        at.disk_bytes = store.approximate_bytes() / ledger.size
    at.entry_bytes = ledger.entry_bytes / ledger.size
    at.take("disk_per_byte_of_entries", at.disk_bytes / at.entry_bytes)


def _nothing_remembered() -> tuple[MiddleRows, SignatureMemory]:
    """Return what a node that has just started remembers of tiles and signatures."""
    return MiddleRows(ROWS_MAX), SignatureMemory(SIGNATURES_KEPT_MAX)


def read_id(store: Any, states: Any, place: tuple[str, int]) -> str:
    """Return the id of the event at a place."""
    from node.logs import read_entry  # noqa: PLC0415 - only here

    origin, index = place
    return str(read_entry(store, states[origin].log, index).event["id"])


def _timed(work: Callable[[int], None], times: int) -> list[float]:
    """Return how many milliseconds each call took."""
    taken = []
    for number in range(times):
        start = time.perf_counter()
        work(number)
        taken.append(1000 * (time.perf_counter() - start))
    return taken


def _as_processes(bench: Bench, ledgers: Sequence[Ledger], found: Sequence[At]) -> None:
    """Measure what takes a process: all sizes in turns, round by round."""
    for number in range(bench.rounds):
        bench.say(f"nodes at {', '.join(f'{one.size:,}' for one in ledgers)} entries, round {number + 1}")
        for ledger, at in zip(ledgers, found, strict=True):
            _own_process(bench, ledger, at, number)


def _own_process(bench: Bench, ledger: Ledger, at: At, number: int) -> None:
    """Run a node on a fresh copy of the ledger: its start, its memory, and the command that asks it."""
    here = copy(ledger, bench.folder("reading") / "ledger")
    [port] = free_ports(1)
    node = NodeProcess(here.home, here.token, port=port)
    try:
        start = time.perf_counter()
        node.start(ready=False)
        at.take("node_start_ms", 1000 * (time.perf_counter() - start))
        at.take("memory_at_start_mb", memory_mb(node.pid))
        for trace in range(min(TRACES, bench.count(TRACES, least=40))):
            record = here.records[trace % len(here.records)]
            answer = node.client.get(f"/v1/records/{record}/trace").raise_for_status().json()
            require(answer["record"] == record, "the node answers with the trace")
        at.take("own_memory_mb", memory_mb(node.pid, "RssAnon"))
        at.take("memory_mb", memory_mb(node.pid))
        at.take("cli_trace_ms", *(_cold(here, port, COLD * number + one) for one in range(COLD)))
    finally:
        node.stop()
        remove(here.folder)


def _cold(ledger: Ledger, port: int, number: int) -> float:
    record = ledger.records[number % len(ledger.records)]
    command = [sys.executable, "-P", "-m", "cli.main", "trace", record, "--json", "--config", str(ledger.home.config)]
    environment = {**os.environ, "SUYUAN_PORT": str(port), "SUYUAN_TOKEN": ledger.token}
    start = time.perf_counter()
    said = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    passed = 1000 * (time.perf_counter() - start)
    require(said.returncode == 0, f"suyuan trace ends with 0: {said.stderr[-500:]}")
    return passed


def _writing(bench: Bench, ledger: Ledger, at: At) -> None:
    """Append to a copy of the ledger, and take a peer's entries into it."""
    here = copy(ledger, bench.folder("writing") / "ledger")
    try:
        asyncio.run(_write(bench, here, at))
    finally:
        remove(here.folder)


async def _write(bench: Bench, ledger: Ledger, at: At) -> None:
    network = network_in(ledger)
    count = bench.count(APPENDED, least=2)
    consumer = network.departments["tax"].origin
    async with NodeHere(network) as node:
        for turn in range(bench.rounds):
            first = ledger.events + turn * count * BATCH
            values = bodies(consumer, count, first)
            start = time.perf_counter()
            await append(node, values)
            at.take("append_us", (time.perf_counter() - start) / (count * BATCH) * 1e6)
        for turn in range(bench.rounds):
            first = 2 * ledger.events + 10**9 + turn * count * BATCH
            at.take("mirror_us", await asyncio.to_thread(_mirror, node, network.departments["tax"], first, count))


def _mirror(node: Any, department: Any, first: int, count: int) -> float:
    """Verify and store entries of a peer's log, as the mirror does once it has them; microseconds for each."""
    skey = log_signer(department.home).skey
    state = node.states[department.origin]
    raws_of = []
    ahead = state
    for number in range(count):
        block = make_entries(
            skey, ahead, [], range(first + number * BATCH, first + (number + 1) * BATCH), [node.origin]
        )
        raws_of.append([value for key, value in block.pairs if key[:1] == b"E"])
        ahead = block.state
    key_at = node.network.member(department.origin).log_key_at
    start = time.perf_counter()
    for raws in raws_of:
        entries, chain = verify_entries(node.states[department.origin].chain, raws, key_at=key_at, pool=node.pool)

        def store(transaction: Transaction, entries: Any = entries, chain: Any = chain) -> None:
            current = transaction.state(department.origin)
            transaction.put_state(logs.append(current, entries, chain, transaction.batch))

        node.writer.submit(store).result()
    passed = time.perf_counter() - start
    require(node.states[department.origin].size == state.size + count * BATCH, "the peer's entries are stored")
    return passed / (count * BATCH) * 1e6
