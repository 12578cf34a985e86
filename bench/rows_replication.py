"""Replication: a new node takes over a log, over HTTP, from another process on the same two cores."""

import shutil
import statistics
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from bench import hypercore
from bench.context import Bench, NotHereError, memory_mb, remove, require, wait_until
from bench.flipped import flipped_entries
from bench.ledgers import fill
from bench.nodes import NodeProcess, network_of
from bench.report import Row, Target, ratio_row, shown
from bench.rows_http import one_by_one
from ledger.encoding import parse_time
from ledger.merkle import leaf_hash, root_of
from ledger.store import open_store
from node import logs
from node.config import Home
from node.foundation import load_network
from node.history import read_entries

if TYPE_CHECKING:
    from cli.demo.network import DemoNetwork

ENTRIES = 60_000  # of one run, at scale 1: of fewer, the start of processes takes most of the time
BACKLOG = 200_000  # of the one long run
HYPERCORE_BATCH = 1000  # as many as our nodes fetch, and sync, at a time
ENTRIES_OF_A_WRITE_MAX = 14_000  # of 860 bytes: a round of the writer takes 24 MB of what jobs say they will put
CATCH_UP_SECONDS_MAX = 600.0
POLL_SECONDS = (0.02, 2.0)  # at least and at most; each question costs the node a millisecond or two


@dataclass(frozen=True, slots=True)
class Caught:
    """How a node has caught up."""

    rate: float  # entries per second
    idle_mb: float
    peak_mb: float


def replication(bench: Bench) -> list[Row]:
    """Measure fetching, verifying, indexing and storing against bare verification, in turns with hypercore."""
    what = "replication: fetch, verify, index, store"
    entries = bench.count(ENTRIES, least=2000)
    against_bare = Row("replication", what, "bare libsodium verification, two cores", Target("at least", 0.6))
    against_core = Row("replication-hypercore", what, "hypercore 11 over TCP", Target("at least", 3))
    appended = Row(
        "append-hypercore", "append in batches of 1,000, for comparison", "hypercore 11, a batch signed as a whole"
    )
    with _Source(bench, entries) as source:
        ours: list[tuple[float, float]] = []
        theirs: list[float] = []
        appends: list[float] = []
        missing, core, lines = "", None, None
        try:
            core = hypercore.Hypercore()
            lines = hypercore.write_lines(bench, entries)
            bench.beside["hypercore"] = core.version()
        except NotHereError as error:
            missing = str(error)
        for _ in range(bench.rounds):
            bare = bench.bare.verify_on_two(bench.seconds(1.0))
            ours.append((source.catch_up().rate, bare))
            if core is not None and lines is not None:
                folder = bench.folder("hypercore")
                appends.append(core.append(folder / "one", lines, HYPERCORE_BATCH))
                with core.serving(folder / "one") as served:
                    theirs.append(core.fetch(folder / "two", served, HYPERCORE_BATCH))
                remove(folder)
    bench.asserted(flipped_entries(bench))
    bench.asserted("replication: the entries on the disk of each copy hash to the root that the quorum has cosigned")
    rows = [ratio_row(against_bare, ours, unit="entries/s")]
    if missing:
        against_core.note = appended.note = missing
        return [*rows, against_core, appended]
    rows.append(
        ratio_row(
            against_core,
            [(rate, core_rate) for (rate, _), core_rate in zip(ours, theirs, strict=True)],
            unit="entries/s",
        )
    )
    appended.figure = statistics.median(appends)
    appended.unit, appended.measured = "events/s", f"{shown(appended.figure)} events/s"
    appended.runs = [{"measured": rate} for rate in appends]
    return [*rows, appended]


def backlog(bench: Bench) -> list[Row]:
    """Measure how a backlog is caught up, and in how much memory."""
    large, small = bench.count(BACKLOG, least=10_000), bench.count(BACKLOG // 10, least=1000)
    with _Source(bench, small) as source:
        little = [source.catch_up() for _ in range(bench.rounds)]
    ratios: list[tuple[float, float]] = []
    much: list[Caught] = []
    with _Source(bench, large) as source:
        before = bench.bare.verify_on_two(bench.seconds(1.0))
        for _ in range(bench.rounds):
            much.append(source.catch_up())
            after = bench.bare.verify_on_two(bench.seconds(1.0))
            ratios.append((much[-1].rate, (before + after) / 2))
            before = after
    bench.asserted(flipped_entries(bench))
    bench.asserted("backlog: the entries on the disk of each copy hash to the root that the quorum has cosigned")
    row = Row(
        "backlog", f"a backlog of {large:,} entries is caught up", "bare libsodium verification, two cores",
        Target("at least", 0.6),
    )  # fmt: skip
    memory = Row(
        "backlog-memory", f"the most memory of that node while it catches up {large:,} entries",
        f"the same with {small:,}", Target("at most", 1.5),
    )  # fmt: skip
    ratio_row(memory, [(one.peak_mb, other.peak_mb) for one, other in zip(much, little, strict=True)], unit="MB")
    memory.measured += f", {shown(statistics.median(one.peak_mb - one.idle_mb for one in much))} MB more than idle"
    return [ratio_row(row, ratios, unit="entries/s"), memory]


class _Source:
    """A node that has a log, confirmed, and the home of another one that has nothing yet."""

    def __init__(self, bench: Bench, entries: int) -> None:
        self._bench = bench
        self._entries = entries
        self._network: DemoNetwork = network_of(bench.folder("replication"), 2)
        self._source = self._network.departments["police"]
        self._copy = self._network.departments["tax"]
        bench.say(f"making a log of {entries:,} entries")
        fill(self._network, "police", entries)
        self._empty = bench.folder("empty") / "home"
        shutil.copytree(self._copy.home.folder, self._empty)
        self._node = NodeProcess(self._source.home, self._source.token)

    def __enter__(self) -> Self:
        self._node.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._node.stop()
        remove(self._network.folder)

    def catch_up(self) -> Caught:
        """Start the other node with an empty store, and time it from its first question to its last entry."""
        home = self._copy.home
        remove(home.folder)
        shutil.copytree(self._empty, home.folder)
        node, synced = NodeProcess(home, self._copy.token), self._bench.syncs()
        try:
            node.start(ready=False)
            up, idle = time.time(), memory_mb(node.pid)
            began = wait_until(lambda: self._began(node, up), "the node has begun to fetch") or up
            size = 0
            while (passed := time.time() - began) < CATCH_UP_SECONDS_MAX and size < self._entries:
                time.sleep(_until_asked(passed, size, self._entries - size))
                size = self._seen(node)
            require(size == self._entries, f"the node has caught up in ten minutes (it has {size})")
            peak = memory_mb(node.pid, "VmHWM")
            synced(self._entries // ENTRIES_OF_A_WRITE_MAX, "copies of a log, one for each 24 MB")
            wait_until(lambda: node.health()["recovery"]["done"] and node.log()["size"] > 0, "the copy writes")
            one_by_one(self._bench, node, self._source.origin, "copies of a log, each node that was measured")
        finally:
            node.stop()
        _check_copy(home, self._source.origin, self._entries)
        return Caught(self._entries / passed, idle, peak)

    def _began(self, node: NodeProcess, up: float) -> float | None:
        """Return when the node began to fetch the log, in POSIX seconds, as it tells it; ``up``, if it is done."""
        told = node.client.get("/v1/peers").raise_for_status().json()["catching_up"]
        since = (parse_time(one["since"]) / 1000 for one in told if one["log"] == self._source.origin)
        return next(since, up if self._seen(node) >= self._entries else None)

    def _seen(self, node: NodeProcess) -> int:
        with suppress(OSError):
            return int(node.log(self._source.origin)["size"])
        return 0


def _until_asked(passed: float, done: int, missing: int) -> float:
    """Return how many seconds to wait before the node is asked again: half of those that it will still take."""
    least, most = POLL_SECONDS
    return min(max(missing * passed / done / 2, least), most) if done > 0 else least


def _check_copy(home: Home, origin: str, entries: int) -> None:
    """Read the copy from the disk: it hashes to the root that a quorum has cosigned, so it is the same history."""
    network, _ = load_network(home)
    store = open_store(home.data)
    try:
        state = logs.load_log(store, origin, network)
        confirmed = state.confirmed
        require(confirmed is not None and confirmed.size == entries, "the copy has the confirmed checkpoint")
        assert confirmed is not None
        leaves: list[bytes] = []
        while len(leaves) < entries:
            leaves += map(leaf_hash, read_entries(store, state, len(leaves), 1000, 1 << 24))
        require(root_of(leaves) == confirmed.checkpoint.root, "the entries on the disk hash to the confirmed root")
    finally:
        store.close()
