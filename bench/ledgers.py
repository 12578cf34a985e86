"""Ledgers of any size, made once and kept: four logs of one network in the store of one of its nodes.

Made with the code that nodes use: entries are chained and signed as the sequencer does, parsed strictly, indexed and
stored by ``node.logs.append`` in synced batches, checkpoints signed and cosigned by all four. Two processes sign while
this one stores. A ledger of the next size begins as a copy of the one before.

Through the load run journeys: records that pass from department to department in ten hops, each with its receipt and
with the hop before it as its parent, so that there is something to trace wherever one looks.

They lie in ``build/bench/ledgers``, under a name that changes with every file that decides what they look like.
"""

import hashlib
import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import load
from bench.context import CACHE, ROOT, Bench, remove, require
from bench.nodes import SETTINGS, log_signer
from cli.demo.network import DemoNetwork, Plan, make_network
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.cosignature import add_signatures, cosign
from ledger.encoding import canonical_json, encode_base64, parse_time
from ledger.entry import ChainHead, chain, parse_entry, sign_texts
from ledger.event import LogOpen
from ledger.merkle import TreeSize
from ledger.network import Network
from ledger.note import parse_skey
from ledger.quorum import judge_checkpoint
from ledger.store import Batch, Store, open_store, prefix_end
from ledger.store.headfile import write_head
from ledger.versions import verify_chain
from node import layout, logs
from node.config import Home, load_home
from node.logs import LogState
from node.setup import ring_of

DEPARTMENTS = ("police", "tax", "health", "court")
HOPS = 10
BLOCK = 500  # entries of one log between two synced writes, and between two hops of a journey
BLOCKS_MIN = 30  # so that small ledgers have journeys as well
BEGINNING = parse_time("2026-01-01T00:00:00.000Z")
# What decides how a ledger is.
SHAPE = ("ledger", "node/logs.py", "node/indexing.py", "node/layout.py", "bench/load.py", "bench/ledgers.py")


@dataclass(slots=True)
class Journey:
    """A record on its way."""

    record: str
    hop: int = 0  # hops that are recorded
    share: dict[str, Any] | None = None  # reference of the last hop's share
    first: int = 0  # department where it began


@dataclass(slots=True)
class Ledger:
    """A ledger on the disk, closed."""

    folder: Path
    size: int = 0  # entries of all logs
    entry_bytes: int = 0  # of all entries
    records: list[str] = field(default_factory=list)  # whose journey is complete
    journeys: list[Journey] = field(default_factory=list)  # under way
    events: int = 0  # made so far

    @property
    def home(self) -> Home:
        """The folder of the node that has the store."""
        return load_home(self.folder / "nodes" / DEPARTMENTS[0])

    @property
    def token(self) -> str:
        """The token of the node's administrator."""
        return (self.home.folder / "demo.token").read_text("ascii").strip()

    def homes(self) -> dict[str, Home]:
        """Return the folders of all departments, by origin."""
        homes = [load_home(self.folder / "nodes" / name) for name in DEPARTMENTS]
        return {home.settings.origin: home for home in homes}

    def network(self) -> Network:
        """Return the network."""
        return verify_chain(self.home.network.read_bytes(), self.home.settings.fingerprint or "")

    def save(self) -> None:
        """Write what is known of it beside it; last, so that a broken ledger has none."""
        content = {
            "size": self.size, "entry_bytes": self.entry_bytes, "records": self.records, "events": self.events,
            "journeys": [[one.record, one.hop, one.share, one.first] for one in self.journeys],
        }  # fmt: skip
        (self.folder / "ledger.json").write_text(json.dumps(content), "ascii")

    @classmethod
    def read(cls, folder: Path) -> "Ledger":
        """Return the ledger in a folder."""
        content = json.loads((folder / "ledger.json").read_text("ascii"))
        content["journeys"] = [Journey(*one) for one in content["journeys"]]
        return cls(folder, **content)


def ledger_of(bench: Bench, size: int) -> Ledger:
    """Return a ledger of ``size`` entries, made now or before."""
    kind = CACHE / "ledgers" / _shape()
    folder = kind / str(size)
    if (folder / "ledger.json").exists():
        return Ledger.read(folder)
    for other in kind.parent.iterdir() if kind.parent.exists() else ():
        if other != kind:
            remove(other)
    remove(folder)
    kind.mkdir(parents=True, exist_ok=True)
    smaller = [int(one.name) for one in kind.iterdir() if one.name.isdecimal() and (one / "ledger.json").exists()]
    below = max((one for one in smaller if one < size), default=0)
    bench.say(f"making a ledger of {size:,} entries" + (f", from that of {below:,}" if below else ""))
    if below:
        ledger = copy(Ledger.read(kind / str(below)), folder)
        (folder / "ledger.json").unlink()
    else:
        folder.mkdir()
        make_network(folder, [Plan(id=name, name_zh=name, name_en=name) for name in DEPARTMENTS], settings=SETTINGS)
        ledger = Ledger(folder)
    _grow(ledger, size)
    ledger.save()
    return ledger


def copy(ledger: Ledger, folder: Path) -> Ledger:
    """Copy a ledger; LevelDB never changes a table that it has written, so these are linked."""

    def link(source: str, target: str) -> str:
        if source.endswith(".ldb"):
            with suppress(OSError):  # another file system
                os.link(source, target)
                return target
        return shutil.copy2(source, target)

    shutil.copytree(ledger.folder, folder, copy_function=link)
    return Ledger.read(folder)


@contextmanager
def opened(ledger: Ledger) -> Iterator[tuple[Store, Network, dict[str, LogState]]]:
    """Open a ledger's store, and load its logs."""
    network = ledger.network()
    store = open_store(ledger.home.data)
    try:
        yield store, network, {origin: logs.load_log(store, origin, network) for origin in network.members}
    finally:
        store.close()


def _shape() -> str:
    digest = hashlib.sha256()
    for name in SHAPE:
        path = ROOT / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _grow(ledger: Ledger, size: int) -> None:
    homes = ledger.homes()
    keys = {origin: ring_of(home).newest for origin, home in homes.items()}
    signers = {origin: log_signer(home).skey for origin, home in homes.items()}
    context = multiprocessing.get_context("spawn")
    with (
        opened(ledger) as (store, network, states),
        ProcessPoolExecutor(2, mp_context=context) as pool,
        ThreadPoolExecutor(1) as writes,
    ):
        block = max(1, min(BLOCK, size // (BLOCKS_MIN * len(homes))))
        made = _Maker(ledger, list(homes), network)
        before: Future[None] | None = None
        while (total := sum(state.size for state in states.values())) < size:
            room = -(-(size - total) // len(homes))
            asked = {}
            for origin, state in states.items():
                count = min(block, room, size - total)
                total += count
                events, numbers = made.next(origin, state.chain, count)
                consumers = [other for other in homes if other != origin]
                asked[origin] = pool.submit(make_entries, signers[origin], state, events, numbers, consumers)
            batch = Batch()
            blocks = {origin: one.result() for origin, one in asked.items()}
            for origin, one in blocks.items():
                ledger.entry_bytes += one.entry_bytes
                states[origin] = one.state
                for key, value in one.pairs:
                    batch.put(key, value)
            made.recorded({origin: one.journeys for origin, one in blocks.items()})
            written = writes.submit(store.write, batch)
            if before is not None:
                before.result()
            before = written
        if before is not None:
            before.result()
        _confirm(store, states, keys, network, homes)
        for state in states.values():
            prefix = layout.finding_prefix(state.log)
            require(not list(store.scan(prefix, prefix_end(prefix), limit=1)), "every event of the load is a good one")
    ledger.size = sum(state.size for state in states.values())


class _Maker:
    """Says which events come next in each log: those of journeys first, then any others."""

    def __init__(self, ledger: Ledger, origins: Sequence[str], network: Network) -> None:
        self._ledger = ledger
        self._origins = origins
        self._network = network
        self._begun = len(ledger.records) + len(ledger.journeys)
        # Whose share is being made, in which log, at which index, and which of the given events it is.
        self._asked: list[tuple[Journey, str, int, int]] = []

    def next(self, origin: str, head: ChainHead, count: int) -> tuple[list[dict[str, Any]], range]:
        """Return events to write as they are, and the numbers of shares to fill up with."""
        events: list[dict[str, Any]] = [opening(origin, self._network)] if head.size == 0 else []
        if origin == self._origins[self._begun % len(self._origins)] and len(self._ledger.journeys) <= HOPS:
            name = f"journey {self._begun}"
            self._ledger.journeys.append(Journey(load.reference(name), first=self._begun % len(self._origins)))
            self._begun += 1
        for journey in self._ledger.journeys:
            if self._origins[(journey.first + journey.hop) % len(self._origins)] != origin or journey.hop > HOPS:
                continue
            if any(one is journey for one, *_ in self._asked) or len(events) + 2 > count:
                continue
            number = self._number()
            if journey.share is not None:
                events.append(load.receipt(number, journey.share))
            if journey.hop == HOPS:
                journey.hop += 1
                continue
            consumer = self._origins[(journey.first + journey.hop + 1) % len(self._origins)]
            parents = [journey.share] if journey.share is not None else []
            self._asked.append((journey, origin, head.size + len(events), len(events)))
            events.append(load.share(self._number(), consumer, record=journey.record, parents=parents))
        first = self._ledger.events
        self._ledger.events += count - len(events)
        return events, range(first, self._ledger.events)

    def recorded(self, leaves: dict[str, list[bytes]]) -> None:
        """Take note of where the journeys' shares stand: the leaf hashes of the events that were given, by log."""
        for journey, origin, index, offset in self._asked:
            journey.share = {"hash": encode_base64(leaves[origin][offset]), "index": index, "log": origin}
            journey.hop += 1
        self._asked.clear()
        done = [one for one in self._ledger.journeys if one.hop > HOPS]
        self._ledger.records += [one.record for one in done]
        self._ledger.journeys = [one for one in self._ledger.journeys if one.hop <= HOPS]

    def _number(self) -> int:
        self._ledger.events += 1
        return self._ledger.events - 1


@dataclass(frozen=True, slots=True)
class Block:
    """Entries of one log, ready to be written."""

    state: LogState  # of the log with them
    pairs: list[tuple[bytes, bytes]]
    journeys: list[bytes]  # leaf hashes of the events that were given
    entry_bytes: int


def make_entries(
    skey: str, state: LogState, events: Sequence[dict[str, Any]], numbers: range, consumers: Sequence[str]
) -> Block:
    """Make the entries of these events, and of the shares of these numbers, behind a log; in a process of its own."""
    shares = (load.share(number, consumers[number % len(consumers)]) for number in numbers)
    time = BEGINNING + 1000 * (state.size // BLOCK)
    texts, head = chain(state.chain, [canonical_json(one).encode() for one in (*events, *shares)], time=time)
    entries = [parse_entry(raw) for raw in sign_texts(parse_skey(skey), texts)]
    batch = Batch()
    after = logs.append(state, entries, head, batch)
    pairs = [(key, value) for key, value in batch if value is not None]
    return Block(after, pairs, [one.leaf for one in entries[: len(events)]], sum(len(one.raw) for one in entries))


def _confirm(
    store: Store, states: dict[str, LogState], keys: dict[str, Any], network: Network, homes: dict[str, Home]
) -> None:
    batch = Batch()
    for origin, state in states.items():
        checkpoint = Checkpoint(origin, TreeSize(state.size), state.edge.root())
        note = sign_checkpoint(keys[origin].log, checkpoint)
        signed = judge_checkpoint(note, network)
        everybody = [cosign(one.cosigner, checkpoint, time=state.chain.time // 1000) for one in keys.values()]
        confirmed = judge_checkpoint(add_signatures(note, everybody), network)
        state = logs.with_cosigned(logs.with_checkpoint(state, signed, batch), signed, batch)  # noqa: PLW2901
        logs.with_confirmed(state, confirmed, batch)
        if origin == next(iter(homes)):
            write_head(homes[origin].head, note.encode())
    store.write(batch)


def fill(network: DemoNetwork, name: str, count: int) -> None:
    """Put ``count`` entries into the empty log of one department's node, with a checkpoint that all have cosigned."""
    own = network.departments[name]
    homes = {own.origin: own.home} | {one.origin: one.home for one in network.departments.values()}
    keys = {origin: ring_of(home).newest for origin, home in homes.items()}
    document = verify_chain(own.home.network.read_bytes(), network.fingerprint)
    consumers = [origin for origin in homes if origin != own.origin]
    store = open_store(own.home.data)
    try:
        state = logs.load_log(store, own.origin, document)
        while state.size < count:
            events = [opening(own.origin, document)] if state.size == 0 else []
            block = min(2 * BLOCK, count - state.size)
            made = make_entries(
                log_signer(own.home).skey, state, events, range(state.size, state.size + block - len(events)), consumers
            )
            batch = Batch()
            for key, value in made.pairs:
                batch.put(key, value)
            store.write(batch)
            state = made.state
        _confirm(store, {own.origin: state}, keys, document, homes)
    finally:
        store.close()


def opening(origin: str, network: Network) -> dict[str, Any]:
    """Return the event of entry 0."""
    seed = hashlib.sha512(f"open {origin}".encode()).digest()
    return {
        "id": load.uuid_of(seed), "network": network.name, "network_version": network.version, "software": "bench",
        "type": LogOpen.TYPE,
    }  # fmt: skip


def network_in(ledger: Ledger) -> DemoNetwork:
    """Return the departments of a ledger as :func:`bench.nodes.network_of` returns those of a new network."""
    from cli.demo.network import Department  # noqa: PLC0415 - only here
    from ledger.network import Names  # noqa: PLC0415

    departments = {}
    for origin, home in ledger.homes().items():
        name = home.folder.name
        token_file = home.folder / "demo.token"
        departments[name] = Department(
            name, Names(zh=name, en=name), origin, home, f"http://127.0.0.1:{home.settings.port}",
            token_file.read_text("ascii").strip(), token_file,
        )  # fmt: skip
    fingerprint = ledger.home.settings.fingerprint or ""
    return DemoNetwork(ledger.folder, ledger.folder / "network.note", fingerprint, departments)
