"""History: a record's trace, proofs and evidence, read from this node's store and verified again as they are read.

Indexes only say where to look. What is found there is parsed, its signature checked, and its inclusion in the
confirmed checkpoint proven from the stored tiles; an entry that fails is shown as damaged, never as verified.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from ledger.encoding import HASH_SIZE, encode_base64, parse_hash
from ledger.entry import Entry, SignatureMemory, verify_signature
from ledger.errors import LedgerError, StoreCorruptError
from ledger.event import EntryRef, Receipt, Share, Violation, read_event
from ledger.evidence import checkpoint_summaries, encode_evidence, verified_words
from ledger.lineage import Lineage, collect
from ledger.manifest import parse_manifest
from ledger.merkle import LeafIndex, TreeSize, prove_inclusion
from ledger.network import Network
from ledger.proof import Proof
from ledger.provenance import Gap, Statement, Trace, fold
from ledger.quorum import Judged
from ledger.store import Reader, Store
from ledger.store.protocol import Pair, key_after, prefix_end
from ledger.store.view import FEW_PAIRS
from ledger.tile import KnownTree, MiddleRows
from node import layout, logs
from node.errors import NotConfirmedError, NotFoundError
from node.logs import LogState, read_entry

ROWS_MAX = 256  # tiles of which a part is remembered for one question, some 300 KB
NAMED_MAX = 500  # entries of one log that are read for one look into an index; the trace says when there are more


class History:
    """Answers questions from one consistent view of the logs."""

    def __init__(
        self,
        store: Store,
        states: Mapping[str, LogState],
        network: Network,
        *,
        rows: MiddleRows | None = None,
        signatures: SignatureMemory | None = None,
    ) -> None:
        """``rows`` and ``signatures`` remember from one question to the next what was hashed and verified."""
        self._signatures = signatures
        self._rows = rows if rows is not None else MiddleRows(ROWS_MAX)
        self._store = store
        self._reader: Reader = store  # or a snapshot of it, while one question takes many reads
        self._states = states
        self._by_log = {state.log: state for state in states.values()}
        self._network = network
        self._known: dict[layout.Place, Statement] = {}
        self._damaged: dict[layout.Place, Gap] = {}
        self._trees: dict[str, KnownTree] = {}  # by origin
        self._cut = False  # an index had more than was read

    def trace(self, record: str) -> Trace:
        """Return a record's history.

        Raises:
            NotFoundError: no share that is known here names the record.
        """
        with self._one_moment():
            lineage = self._collect(record)
        return fold(
            record,
            lineage.statements.values(),
            named_by=frozenset(lineage.named_by),
            known=frozenset(lineage.context),
            gaps=tuple(self._damaged.values()),
            checkpoints=checkpoint_summaries(self._checkpoints(lineage)),
            truncated=lineage.truncated or self._cut,
        )

    def evidence(self, record: str, network_document: bytes) -> bytes:
        """Return the evidence file of a record's history.

        Raises:
            NotFoundError: no share names the record.
            NotConfirmedError: a part of the history is not confirmed yet.
            StoreCorruptError: a part of it is damaged here; evidence without it could accuse the wrong one.
        """
        with self._one_moment():
            lineage = self._collect(record)
            for gap in self._damaged.values():
                raise StoreCorruptError(gap.detail, field="record", hint="another member's node may have it whole")
            wanted = {**lineage.statements, **lineage.context}
            order = sorted(wanted.values(), key=lambda statement: statement.place)
            proofs = [self.proof(statement.ref.log, statement.ref.index).encode() for statement in order]
            memberships = self._memberships(record, lineage)
        return encode_evidence(record, proofs, memberships, network_document, truncated=lineage.truncated or self._cut)

    def proof(self, origin: str, index: int, *, under: Judged | None = None) -> Proof:
        """Return the proof of one confirmed entry, the entry itself in its extra line.

        It leads to the confirmed checkpoint, or to ``under``, a checkpoint of the same history.

        Raises:
            NotFoundError: there is no such entry here.
            NotConfirmedError: it is not confirmed yet.
        """
        state = self._state(origin)
        if not 0 <= index < state.size:
            raise NotFoundError(f"{origin} has {state.size} entries here, none with index {index}", field="index")
        judged = under if under is not None else state.confirmed
        if judged is None or index >= judged.size:
            raise NotConfirmedError(f"{origin}#{index} is not confirmed yet", field="index")
        raw = self._reader.get(layout.entry_key(state.log, index))
        if raw is None:
            raise StoreCorruptError(f"entry {index} of {origin} is missing", field=f"{origin}#{index}")
        return Proof(LeafIndex(index), tuple(self._inclusion(state, index, judged)), judged.note, raw)

    def entry(self, origin: str, index: int) -> tuple[Entry, Statement]:
        """Return an entry and what was verified of it.

        Raises:
            NotFoundError: there is no such entry here.
            StoreCorruptError: it is damaged.
        """
        state = self._state(origin)
        if not 0 <= index < state.size:
            raise NotFoundError(f"{origin} has {state.size} entries here, none with index {index}", field="index")
        return read_entry(self._reader, state.log, index), self._statement(layout.Place(state.log, index))

    def find_event(self, event_id: str, own: str, *, log: str | None = None) -> tuple[Entry, Statement]:
        """Return the entry of an event, in ``log`` if that is given; else this node's own log comes first.

        Raises:
            NotFoundError: no log that is known here has it.
        """
        prefix = layout.event_prefix(event_id)
        places = []
        for key, value in self._reader.scan(prefix, prefix_end(prefix)):
            state = self._by_log.get(key[len(prefix) :])
            if state is not None and log in (None, state.origin):
                places.append((state.origin != own, state.origin, int.from_bytes(value, "big")))
        if not places:
            raise NotFoundError(f"no event {event_id} is known here", field="event_id")
        _, origin, index = min(places)
        return self.entry(origin, index)

    # The protocol of ledger.lineage.History.

    def naming(self, record: str) -> list[Statement]:
        """Return the shares that name a record, by themselves or through a manifest that is kept here."""
        places = list(self._places(layout.record_prefix(record)))
        for key in self._keys(layout.membership_prefix(record)):
            places += self._places_with_manifest(key[-HASH_SIZE:])
        found = [self._statement(place) for place in _in_turn(dict.fromkeys(places))]
        return [statement for statement in found if _names(statement, record)]

    def at(self, ref: EntryRef) -> Statement | None:
        """Return the entry at a reference, if it is here and has that hash."""
        state = self._states.get(ref.log)
        if state is None or ref.index >= state.size:
            return None
        statement = self._statement(layout.Place(state.log, ref.index))
        return statement if statement.ref.hash == ref.hash else None

    def children(self, ref: EntryRef) -> list[Statement]:
        """Return the shares that name a share as their parent."""
        found = [self._statement(place) for place in self._places(layout.child_prefix(parse_hash(ref.hash)))]
        return [one for one in found if isinstance(one.event, Share) and ref in (one.event.parents or ())]

    def receipts(self, ref: EntryRef) -> list[Statement]:
        """Return the receipts that answer a share."""
        found = [self._statement(place) for place in self._places(layout.answer_prefix(parse_hash(ref.hash)))]
        return [one for one in found if isinstance(one.event, Receipt) and one.event.share == ref]

    @contextmanager
    def _one_moment(self) -> Iterator[None]:
        """Read from one snapshot, which a scan need not take for itself."""
        with self._store.snapshot() as snapshot:
            self._reader = snapshot
            try:
                yield
            finally:
                self._reader = self._store

    def _collect(self, record: str) -> Lineage:
        lineage = collect(record, self)
        if not lineage.named_by and not self._damaged:
            raise NotFoundError("no share that is known here names this record", field="record")
        return lineage

    def _places(self, prefix: bytes) -> Iterator[layout.Place]:
        for key in self._keys(prefix):
            place = layout.place_of(key)
            state = self._by_log.get(place.log)
            if state is not None and place.number < state.size:
                yield place

    def _places_with_manifest(self, root: bytes) -> Iterator[layout.Place]:
        """Yield where the shares stand that have the manifest kept here; one that states another count has another."""
        data = self._reader.get(layout.manifest_key(root))
        count = int(data.split(b"\n", 2)[1]) if data is not None else None
        for place in self._places(layout.manifest_share_prefix(root)):
            event = self._statement(place).event
            if not isinstance(event, Share) or (event.manifest is not None and event.manifest.count == count):
                yield place

    def _keys(self, prefix: bytes) -> Iterator[bytes]:
        """Yield the index keys below a prefix, at most so many of one log: nobody can crowd out the others."""
        start, end = prefix, prefix_end(prefix)
        while start < end:
            part, found = b"", 0
            for key in self._index_keys(start, end):
                owner = key[: len(prefix) + layout.LOG_BYTES]
                part, found = owner, found + 1 if owner == part else 1
                if found > NAMED_MAX:
                    self._cut = True
                    break
                yield key
            else:
                return
            start = prefix_end(part)

    def _index_keys(self, start: bytes, end: bytes) -> Iterator[bytes]:
        """Yield the keys of ``[start, end)``, whose values are empty: a few at first, since most look-ups find one."""
        wanted = FEW_PAIRS
        while True:
            page = self._reader.page(start, end, wanted)
            yield from (key for key, _ in page)
            if len(page) < wanted:
                return
            start = key_after(page[-1][0])
            wanted = NAMED_MAX

    def _statement(self, place: layout.Place) -> Statement:
        """Return the entry at a place; one that is damaged is reported as a gap, wherever it was met."""
        if place not in self._known:
            statement = self._known[place] = self._read(self._by_log[place.log], place.number)
            if not statement.verified:
                self._damaged[place] = Gap("damaged", f"{statement.ref}: {statement.words}", statement.ref)
        return self._known[place]

    def _read(self, state: LogState, index: int) -> Statement:
        """Read one entry and verify it: signature, and inclusion under the confirmed checkpoint."""
        confirmed = state.confirmed if state.confirmed is not None and index < state.confirmed.size else None
        try:
            entry = read_entry(self._reader, state.log, index)
            if (entry.origin, entry.index) != (state.origin, index):
                raise StoreCorruptError("another entry stands in its place", field=f"index {index}")
            verify = self._signatures.verify if self._signatures is not None else verify_signature
            verify(entry, self._network.member(state.origin).log_key_at(index))
            if confirmed is not None:
                self._check_included(state, entry, confirmed)
        except LedgerError as error:
            lost = EntryRef(hash=encode_base64(bytes(32)), index=index, log=state.origin)
            problem = Violation(error.code, str(error))
            return Statement(
                ref=lost, time=0, event=problem, confirmed=False, verified=False, words=f"damaged: {error}"
            )
        words = (
            verified_words(entry.ref, confirmed)
            if confirmed is not None
            else f"signed by {state.origin}; not confirmed yet by a quorum of the members"
        )
        return Statement(
            ref=entry.ref,
            time=entry.time,
            event=read_event(entry.event),
            confirmed=confirmed is not None,
            verified=True,
            words=words,
        )

    def _check_included(self, state: LogState, entry: Entry, confirmed: Judged) -> None:
        tree = self._trees.get(state.origin)
        if tree is None:
            tree = self._trees[state.origin] = KnownTree(
                lambda tiles: [logs.read_tile(self._reader, state.log, tile) for tile in tiles],
                confirmed.checkpoint.head,
                self._rows,
            )
        tree.check(LeafIndex(entry.index), entry.leaf)

    def _inclusion(self, state: LogState, index: int, confirmed: Judged) -> list[bytes]:
        reader = logs.hash_reader(self._reader, state, confirmed.size, rows=self._rows)
        return prove_inclusion(reader, index=LeafIndex(index), size=TreeSize(confirmed.size))

    def _checkpoints(self, lineage: Lineage) -> list[Judged]:
        origins = {statement.ref.log for statement in lineage.statements.values() if statement.confirmed}
        return [state.confirmed for origin in sorted(origins) if (state := self._states[origin]).confirmed is not None]

    def _memberships(self, record: str, lineage: Lineage) -> list[dict[str, Any]]:
        roots = {
            statement.event.manifest.root_bytes
            for statement in lineage.statements.values()
            if isinstance(statement.event, Share)
            and statement.event.manifest is not None
            and statement.ref.hash in lineage.named_by
        }
        return [membership(self._reader, record, root) for root in sorted(roots)]

    def _state(self, origin: str) -> LogState:
        state = self._states.get(origin)
        if state is None:
            raise NotFoundError(f"no log {origin[:80]!r} is known here", field="log")
        return state


def _in_turn(places: Iterable[layout.Place]) -> list[layout.Place]:
    """Return places so that every log has its turn: where something must be cut off, no log loses all."""
    turns: Counter[bytes] = Counter()
    ranked = []
    for place in places:
        ranked.append((turns[place.log], place))
        turns[place.log] += 1
    return [place for _, place in sorted(ranked)]


def _names(statement: Statement, record: str) -> bool:
    """Compare with the entry itself what an index has found; a manifest's own index has the whole reference."""
    event = statement.event
    return isinstance(event, Share) and (event.manifest is not None or record in (event.records or ()))


def membership(store: Reader, record: str, root: bytes) -> dict[str, Any]:
    """Return the proof that a record is in a manifest that is kept here.

    Raises:
        NotFoundError: the manifest is not kept here.
        InclusionError: it does not have the record.
    """
    data = store.get(layout.manifest_key(root))
    if data is None:
        raise NotFoundError("this manifest is not kept here", field="root")
    manifest = parse_manifest(data)
    index, proof = manifest.prove(record)
    return {
        "root": encode_base64(root),
        "count": len(manifest.records),
        "index": index,
        "proof": [encode_base64(one) for one in proof],
    }


def read_entries(store: Reader, state: LogState, start: int, limit: int, bytes_max: int) -> list[bytes]:
    """Return up to ``limit`` stored entries of a log from ``start`` on, at most ``bytes_max`` bytes, but at least one.

    Raises:
        StoreCorruptError: one is missing.
    """
    end = min(start + limit, state.size)
    found: list[bytes] = []
    room = bytes_max
    while room >= 0 and (first := start + len(found)) < end:
        part = store.page(layout.entry_key(state.log, first), layout.entry_key(state.log, end), end - first)
        _check_complete(part, state, first)
        raws = [raw for _, raw in part]
        found += raws
        room -= sum(map(len, raws))
    while room < 0 and len(found) > 1:
        room += len(found.pop())
    return found


def _check_complete(part: Sequence[Pair], state: LogState, first: int) -> None:
    """Check that a page is the entries from ``first`` on: as keys ascend, one look at the last one says so.

    Raises:
        StoreCorruptError: one is missing.
    """
    if part and part[-1][0] == layout.entry_key(state.log, first + len(part) - 1):
        return
    keys = [key for key, _ in part]
    missing = next(index for index in count(first) if layout.entry_key(state.log, index) not in keys)
    raise StoreCorruptError(f"entry {missing} of {state.origin} is missing", field=state.origin)


def entry_json(entry: Entry, statement: Statement) -> dict[str, Any]:
    """Return an entry as the API answers it."""
    return {
        "entry": entry.ref.model_dump(),
        "event": entry.event,
        "note": entry.raw.decode(),
        "state": "confirmed" if statement.confirmed else "recorded",
        "verified": statement.verified,
        "verification": statement.words,
    }
