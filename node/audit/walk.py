"""Walking one log from its first entry to its last: entries, tree, checkpoints."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from hashlib import sha256

from ledger.entry import ChainHead, Entry, follow, parse_entry, verify_entries, verify_signature
from ledger.errors import LedgerError, StoreCorruptError, UnsignedError
from ledger.merkle import TreeSize, leaf_hash
from ledger.network import Network
from ledger.quorum import Judged, judge_checkpoint
from ledger.store import Store
from ledger.store.protocol import prefix_end
from ledger.tile import WIDTH, Edge, Tile, hash_tiles
from node import layout, logs
from node.audit.findings import Findings
from node.fetching import refuse_ended

CHUNK = 4 * WIDTH  # entries that are verified at once
_HASH = 32


class LogWalk:
    """One log as it stands in the store; :meth:`entries` walks it once."""

    def __init__(
        self, store: Store, networks: Sequence[Network], origin: str, findings: Findings, pool: Executor | None
    ) -> None:
        self._store = store
        self._networks = networks
        self._findings = findings
        self._pool = pool
        self._member = networks[-1].member(origin)
        self.origin = origin
        self.log = layout.log_id(origin)
        self._promises: list[tuple[str, Judged]] = []  # checkpoints, and where each of them is kept
        self.confirmed_size = 0
        self._signed = self._take_checkpoint(layout.checkpoint_key(self.log), f"{origin} newest checkpoint")
        cosigned = self._take_checkpoint(layout.cosigned_key(self.log), f"{origin} cosigned checkpoint")
        self._take_checkpoint(layout.confirmed_key(self.log), f"{origin} confirmed checkpoint", confirmed=True)
        self._take_past()
        if cosigned and not self._signed:  # the two are written together
            findings.add(
                "checkpoint_missing", f"{origin} newest checkpoint", "one was cosigned, and the newest is gone"
            )
        self._stored_chain = self._read_chain()
        self.size = self._stored_chain.size if self._stored_chain is not None else self._count_entries()
        if self._stored_chain is None and self.size:
            findings.add("chain_missing", origin, f"{self.size} entries, and no chain head that ends them")
        self.damaged: set[int] = (
            set()
        )  # entries that do not hold, so that nobody can say which index keys they call for
        self._edge: Edge | None = Edge.empty()  # None once the tree cannot be computed any more
        self._chain: ChainHead | None = None  # None before the first entry, and behind one that does not hold
        self._roots: dict[int, bytes] = {}  # by size, where a checkpoint promises one
        self._partial: dict[tuple[int, int], bytes] = {}  # tiles that may still grow, by level and index

    def take_head(self, head: bytes | None, signed: Judged | None) -> None:
        """Take the head file: one more promise about this log."""
        if head is None and self._signed:
            told = "it is gone: nobody can say whether this store is the newest"
            self._findings.add("head_missing", "head file", told)
        if head is not None and not self._signed:
            told = "the head file has one, and the store has none"
            self._findings.add("checkpoint_missing", f"{self.origin} newest checkpoint", told)
        if signed is not None:
            self._add_promise("head file", signed)

    def entries(self) -> Iterator[list[Entry]]:
        """Yield the entries that hold, piece by piece; then compare what the log promises with what it is."""
        stops = sorted({judged.size for _, judged in self._promises if judged.size < self.size} | {self.size})
        start = 0
        for stop in stops:
            while start < stop:
                end = min(stop, start - start % CHUNK + CHUNK)
                yield self._take(start, end)
                start = end
            if self._edge is not None:
                self._roots[stop] = self._edge.root()
        with self._findings.readable(self.origin):
            self._finish()

    def place(self, index: int) -> str:
        """Return how an entry is named."""
        return f"{self.origin}#{index}"

    # Before the walk: what the log promises.

    def _take_checkpoint(self, key: bytes, place: str, *, confirmed: bool = False) -> bool:
        """Take a stored checkpoint as a promise; tell whether there is one, be it good or bad."""
        data = None
        with self._findings.readable(place):
            data = self._store.get(key)
        judged = judge(data, self._networks, place, self._findings) if data is not None else None
        if judged is None:
            return data is not None
        if confirmed and not judged.confirmed:
            told = f"{len(judged.cosigners)} members have cosigned, {judged.needed} are needed"
            self._findings.add("no_quorum", place, told)
        elif confirmed:
            self.confirmed_size = judged.size
        self._add_promise(place, judged)
        return True

    def _take_past(self) -> None:
        """Take the confirmed checkpoints that are kept of the past as promises, each once."""
        prefix = layout.past_prefix(self.log)
        kept: dict[bytes, None] = {}
        with self._findings.readable(f"{self.origin} past checkpoints"):
            kept = {value: None for _, value in self._store.scan(prefix, prefix_end(prefix))}
        for number, data in enumerate(kept):
            place = f"{self.origin} past checkpoint {number}"
            judged = judge(data, self._networks, place, self._findings)
            if judged is not None and not judged.confirmed:
                told = f"{len(judged.cosigners)} members have cosigned, {judged.needed} are needed"
                self._findings.add("no_quorum", place, told)
            elif judged is not None:
                self._add_promise(place, judged)

    def _add_promise(self, place: str, judged: Judged) -> None:
        if judged.checkpoint.origin == self.origin:
            self._promises.append((place, judged))
        else:
            self._findings.add("bad_checkpoint", place, f"it is of {judged.checkpoint.origin}")

    def _read_chain(self) -> ChainHead | None:
        with self._findings.readable(f"{self.origin} chain head"):
            data = self._store.get(layout.chain_key(self.log))
            if data is not None:
                return logs._decode_chain(self.origin, data)  # noqa: SLF001 - the one that knows the form
        return None

    def _count_entries(self) -> int:
        prefix = b"E" + self.log
        with self._findings.readable(self.origin):
            for key, _ in self._store.scan(prefix, prefix_end(prefix), reverse=True, limit=1):
                return int.from_bytes(key[-layout.INDEX_BYTES :], "big") + 1
        return 0

    # The walk.

    def _take(self, start: int, end: int) -> list[Entry]:
        raws = self._read(start, end)
        entries = self._verified(start, raws)
        leaves: list[bytes] = []
        for index, raw, entry in zip(range(start, end), raws, entries, strict=True):
            leaf = entry.leaf if entry is not None else self._stored_leaf(index) or (leaf_hash(raw) if raw else None)
            if leaf is None and self._edge is not None:
                told = "neither the entry nor its hash can be read, so the tree cannot be computed from here on"
                self._findings.add("tree_unknown", self.place(index), told)
                self._edge = None
            leaves.append(leaf or b"")
        if self._edge is not None:
            self._extend(leaves)
        return [entry for entry in entries if entry is not None]

    def _extend(self, leaves: Sequence[bytes]) -> None:
        assert self._edge is not None
        self._edge, tiles = self._edge.extended(leaves)
        for tile, data in tiles:
            if tile.width < WIDTH:
                self._partial[tile.level, tile.index] = data
            else:
                self._partial.pop((tile.level, tile.index), None)
                self._compare_tile(tile, data)

    def _read(self, start: int, end: int) -> list[bytes | None]:
        """Return the stored entries of ``[start, end)``, None in the place of one that is missing or damaged."""
        keys = [layout.entry_key(self.log, index) for index in range(start, end)]
        try:
            raws = self._store.get_many(keys)
        except StoreCorruptError:
            raws = [self._get(key) for key in keys]
        for index, raw in zip(range(start, end), raws, strict=True):
            if raw is None:
                self._findings.add("entry_missing", self.place(index), "the entry is missing or cannot be read")
        return raws

    def _get(self, key: bytes) -> bytes | None:
        try:
            return self._store.get(key)
        except StoreCorruptError:
            return None

    def _verified(self, start: int, raws: Sequence[bytes | None]) -> list[Entry | None]:
        """Return the entries that hold, None in the place of one that does not."""
        if start == 0 and raws[0] is not None:
            self._chain = self._opening(raws[0])
        there = [raw for raw in raws if raw is not None]
        if self._chain is not None and len(there) == len(raws):
            try:
                entries, self._chain = verify_entries(
                    self._chain, there, key_at=self._member.log_key_at, pool=self._pool
                )
            except LedgerError:
                pass  # which of them, and what is wrong with it, is found one by one
            else:
                return list(entries)
        return [self._verify_one(start + offset, raw) for offset, raw in enumerate(raws)]

    def _opening(self, raw: bytes) -> ChainHead | None:
        """Return the chain before entry 0: bound to the network document under which the log was opened."""
        try:
            entry = parse_entry(raw)
        except LedgerError:
            return None  # told by _verify_one
        if entry.previous not in {network.text_hash for network in self._networks}:
            told = "the log was not opened under any version of this network document"
            self._findings.add("broken_chain", self.place(0), told)
        return ChainHead(self.origin, 0, entry.previous, 0)

    def _verify_one(self, index: int, raw: bytes | None) -> Entry | None:
        entry = self._signed_entry(index, raw) if raw is not None else None
        before, self._chain = self._chain, None
        if entry is None:
            self.damaged.add(index)
            return None
        self._chain = ChainHead(self.origin, index + 1, sha256(entry.text).digest(), entry.time)
        try:
            follow(before or ChainHead(self.origin, index, entry.previous, 0), entry)
        except LedgerError as error:
            self._findings.add(error.code, self.place(index), str(error))
        return entry

    def _signed_entry(self, index: int, raw: bytes) -> Entry | None:
        try:
            entry = parse_entry(raw)
            self._check_signer(entry, index)
        except LedgerError as error:
            self._findings.add(error.code, self.place(index), str(error))
            return None
        return entry

    def _check_signer(self, entry: Entry, index: int) -> None:
        try:
            verify_signature(entry, self._member.log_key_at(index))
        except UnsignedError:
            refuse_ended([entry.raw], self._member)
            raise

    def _stored_leaf(self, index: int) -> bytes | None:
        number, offset = divmod(index, WIDTH)
        tile = self._get(layout.tile_key(self.log, 0, number)) or b""
        leaf = tile[offset * _HASH : (offset + 1) * _HASH]
        return leaf if len(leaf) == _HASH else None

    def _compare_tile(self, tile: Tile, data: bytes) -> None:
        stored = self._get(layout.tile_key(self.log, tile.level, tile.index))
        if stored is None:
            self._findings.add(
                "tile_missing", f"{self.origin} {tile.path}", "the hash tile is missing or cannot be read"
            )
        elif stored != data:
            self._findings.add("tile_differs", f"{self.origin} {tile.path}", "the hash tile is not that of the entries")

    # Behind the walk: what the log promised, and what is too much.

    def _finish(self) -> None:
        for (level, index), data in sorted(self._partial.items()):
            self._compare_tile(Tile(level=level, index=index, width=len(data) // _HASH), data)
        if self._stored_chain is not None and self._chain is not None and self._stored_chain != self._chain:
            self._findings.add("chain_differs", self.origin, "the chain head is not that of the last entry")
        for place, judged in self._promises:
            self._check_promise(place, judged)
        beyond = self._count(layout.entry_key(self.log, self.size), prefix_end(b"E" + self.log))
        if beyond:
            told = f"{beyond} entries stand behind the end of the log"
            self._findings.add("entries_beyond", self.place(self.size), told)
        tiles = self._count(b"T" + self.log, prefix_end(b"T" + self.log))
        expected = sum(1 for _ in hash_tiles(TreeSize(self.size)))
        if tiles > expected:
            self._findings.add("tiles_beyond", self.origin, f"{tiles} hash tiles where the tree has {expected}")

    def _check_promise(self, place: str, judged: Judged) -> None:
        if judged.size > self.size:
            told = f"it promises {judged.size} entries, and {self.size} are here"
            self._findings.add("store_older", place, told)
        elif judged.size in self._roots and self._roots[judged.size] != judged.checkpoint.root:
            told = f"the entries do not hash to the root that it promises for size {judged.size}"
            self._findings.add("wrong_root", place, told)

    def _count(self, start: bytes, end: bytes) -> int:
        return sum(1 for _ in self._store.scan(start, end))


def judge(data: bytes, networks: Sequence[Network], place: str, findings: Findings) -> Judged | None:
    """Return a checkpoint as the newest network document judges it that confirms it, else as the newest does."""
    first: Judged | None = None
    problem: LedgerError | None = None
    for network in reversed(networks):
        try:
            judged = judge_checkpoint(data, network)
        except LedgerError as error:
            problem = problem or error
            continue
        if judged.confirmed:
            return judged
        first = first or judged
    if first is None and problem is not None:
        findings.add(problem.code, place, str(problem))
    return first
