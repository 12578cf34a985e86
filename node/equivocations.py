"""Equivocations: proofs that a log has told two stories, made, judged, kept and handed on (protocol section 7.4).

Wherever this node meets something that the log's key has signed and that contradicts what is stored here, it tries to
make a proof file of it (:mod:`ledger.equivocation`) from what it holds:

``heads``    two checkpoints: of one size, or with the proof that the larger tree had another root at the smaller size.
``entries``  an entry of an index that is stored here with other bytes, or one that follows another entry.
``content``  a checkpoint, an earlier one, and the signed entries between the two, which do not hash to it.

A proof counts only when :func:`ledger.equivocation.judge_equivocation` says so, whoever made it: nobody freezes a log
by sending bytes. It **stands** as long as it is valid under the newest network document and the governors have not
ruled about a history as long as the one that it disputes. While one stands, the log is frozen: what is stored stays
readable, and nothing new is taken, cosigned or confirmed.

A proof counts at once and is written as soon as the store can; a crash in between loses what can be made or fetched
again. Of each log so many standing proofs are kept, and of two about the same two things only the first.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Any

import structlog

from ledger.entry import Entry, parse_entry, verify_signature
from ledger.equivocation import (
    ENTRIES_MAX,
    Verdict,
    content_proof,
    entries_proof,
    heads_proof,
    judge_equivocation,
)
from ledger.errors import LedgerError, StoreCorruptError, TooLongError
from ledger.merkle import TreeSize, prove_consistency, root_before, root_hash
from ledger.network import Network
from ledger.quorum import Judged
from ledger.store import Store
from ledger.store.protocol import prefix_end
from node import layout, logs
from node.errors import BusyError, FrozenError, IntegrityAlarm, NotFoundError, ReadOnlyError
from node.logs import LogState
from node.peers import PROOF_BYTES_MAX
from node.writer import Transaction, Writer

if TYPE_CHECKING:
    from concurrent.futures import Future

log = structlog.get_logger(__name__)

STANDING_MAX = 16  # proofs of one log; one is enough to convict it
LISTED_MAX = 1000  # ids that peers are told


@dataclass(frozen=True, slots=True)
class Kept:
    """A proof that is kept here."""

    id: str  # hex SHA-256 of the file
    verdict: Verdict
    size: int  # bytes of the file
    standing: bool

    def to_json(self) -> dict[str, Any]:
        """Return what is told of it, without the file."""
        return {
            "id": self.id,
            "log": self.verdict.log,
            "kind": self.verdict.kind,
            "words": self.verdict.words,
            "size": self.verdict.size,
            "until": self.verdict.until,
            "bytes": self.size,
            "standing": self.standing,
        }


def judge(data: bytes, fingerprint: str, network: Network) -> Kept:
    """Return a proof as it counts under ``network``; one that a newer document has voided, as its own one judges it.

    Raises:
        LedgerError: it is no proof.
    """
    try:
        verdict = judge_equivocation(data, fingerprint=fingerprint, network=network)
        standing = verdict.ruling is None
    except LedgerError:
        verdict, standing = judge_equivocation(data, fingerprint=fingerprint), False
    return Kept(hashlib.sha256(data).hexdigest(), verdict, len(data), standing)


class Equivocations:
    """The proofs that this node holds; all methods may be called from any thread."""

    def __init__(
        self,
        *,
        store: Store,
        writer: Writer,
        network: Callable[[], Network],
        document: Callable[[], bytes],
        fingerprint: str,
        alarm: Callable[[IntegrityAlarm], None],
        lift: Callable[[str], None],
    ) -> None:
        """Keep proofs in ``store``; ``alarm`` tells of a log that is convicted, ``lift`` of one that no longer is."""
        self._store = store
        self._writer = writer
        self._network = network
        self._document = document
        self._fingerprint = fingerprint
        self._alarm = alarm
        self._lift = lift
        self._lock = RLock()
        self._kept: dict[str, Kept] = {}  # by id
        self._accused: dict[str, str] = {}  # words of the first standing proof, by log
        self._unsaved: dict[str, bytes] = {}  # files that are not durable yet, by id
        self._saving: set[str] = set()

    def load(self) -> None:
        """Judge all that is stored, under the network document of now; logs may become frozen by it, or free again.

        Raises:
            StoreCorruptError: the store cannot be read any more.
        """
        kept = {}
        with self._lock:
            durable = self._kept.keys() - self._unsaved.keys()
        for key, data in self._store.scan(b"Y", prefix_end(b"Y")):
            try:
                one = judge(data, self._fingerprint, self._network())
            except LedgerError as error:  # what was signed is void by now, and the file's own document knows less
                log.warning("a kept proof shows nothing any more", proof=key.hex(), error=str(error))
                continue
            kept[one.id] = one
        with self._lock:
            for name in self._kept.keys() - durable:  # what has come or was written meanwhile
                with suppress(LedgerError):
                    kept[name] = judge(self.read(name), self._fingerprint, self._network())
            before = set(self._accused)
            self._kept = kept
            self._count()
            free = before - set(self._accused)
        for origin, words in self._accused.items():
            self._alarm(IntegrityAlarm(words, field=origin, cause="equivocation"))
        for origin in free:
            self._lift(origin)

    # What is kept.

    def accused(self, origin: str) -> str | None:
        """Return what a log is convicted of; None as long as it is trusted."""
        return self._accused.get(origin)

    def require_trusted(self, origin: str) -> None:
        """Check that nothing stands against a log.

        Raises:
            FrozenError: it is convicted of having told two stories.
        """
        words = self._accused.get(origin)
        if words is not None:
            raise FrozenError(f"nothing new is taken of this log: {words}", field=origin)

    def listed(self) -> list[Kept]:
        """Return all proofs, those that stand first."""
        return sorted(self._kept.values(), key=lambda one: (not one.standing, one.verdict.log, one.id))

    def ids(self) -> list[str]:
        """Return the ids of the proofs that stand, as many as are told to peers."""
        return [one.id for one in self.listed() if one.standing][:LISTED_MAX]

    def counts(self) -> Counter[str]:
        """Return how many proofs stand against each log."""
        return Counter(one.verdict.log for one in self._kept.values() if one.standing)

    def knows(self, name: str) -> bool:
        """Tell whether the proof of that id is kept."""
        return name in self._kept

    def read(self, name: str) -> bytes:
        """Return the file of a proof.

        Raises:
            NotFoundError: it is not kept here.
            StoreCorruptError: it cannot be read any more.
        """
        kept = self._kept.get(name)
        if kept is None:
            raise NotFoundError("no such proof is kept here", field="id", hint="GET /v1/equivocations lists them")
        data = self._unsaved.get(name) or self._store.get(
            layout.equivocation_key(layout.log_id(kept.verdict.log), name)
        )
        if data is None:
            raise StoreCorruptError("a kept proof is missing", field=name)
        return data

    # Making proofs.

    def accuse(self, judged: Judged) -> Kept | None:
        """Hold a checkpoint that its log has signed against the entries here; None where that convicts nobody."""
        state = self._writer.states[judged.checkpoint.origin]
        return self._try(lambda: self._against_tree(state, judged))

    def accuse_pair(self, one: Judged, other: Judged) -> Kept | None:
        """Hold two checkpoints of one size against each other."""
        if one.size != other.size or one.checkpoint.root == other.checkpoint.root:
            return None
        return self._try(lambda: heads_proof(self._document(), one.bare, other.bare))

    def accuse_growth(self, before: Judged, after: Judged, proof: Sequence[bytes]) -> Kept | None:
        """Hold a checkpoint, with the consistency proof that came with it, against the smaller one from before."""

        def make() -> bytes | None:
            other = root_before(size=before.checkpoint.size, new=after.checkpoint.head, proof=proof)
            if other is None or other == before.checkpoint.root:
                return None
            return heads_proof(self._document(), before.bare, after.bare, other=other, proof=proof)

        return self._try(make)

    def accuse_entries(self, origin: str, raws: Sequence[bytes]) -> Kept | None:
        """Hold entries that somebody has given against those that are stored here, and against each other."""
        state = self._writer.states[origin]
        return self._try(lambda: self._against_entries(state, raws))

    def take(self, data: bytes) -> Kept:
        """Keep a proof that stands, whoever has made it; return it, or the one that is kept in its place.

        Raises:
            LedgerError: it is none.
        """
        if len(data) > PROOF_BYTES_MAX:
            raise TooLongError(f"a proof of {len(data)} bytes", field="equivocation", limit=PROOF_BYTES_MAX)
        kept = judge(data, self._fingerprint, self._network())
        return self._keep(kept, data) if kept.standing else kept

    def save(self) -> None:
        """Write what is not durable yet; what fails now is tried at the next call."""
        with self._lock:
            waiting = [(name, data) for name, data in self._unsaved.items() if name not in self._saving]
            for name, data in waiting:
                try:
                    future = self._writer.submit(self._job(name, data), size=len(data))
                except (BusyError, ReadOnlyError):
                    return
                self._saving.add(name)
                future.add_done_callback(lambda done, name=name: self._saved(name, done))  # type: ignore[misc]

    def _job(self, name: str, data: bytes) -> Callable[[Transaction], None]:
        number = layout.log_id(self._kept[name].verdict.log)

        def put(transaction: Transaction) -> None:
            transaction.batch.put(layout.equivocation_key(number, name), data)
            transaction.batch.delete(layout.contradiction_key(number))  # the proof says more

        return put

    def _saved(self, name: str, done: "Future[None]") -> None:
        with self._lock:
            self._saving.discard(name)
            if not done.cancelled() and done.exception() is None:
                self._unsaved.pop(name, None)

    def _try(self, make: Callable[[], bytes | None]) -> Kept | None:
        """Make a proof, and believe it when it is judged; a log is not accused of what cannot be shown."""
        try:
            data = make()
            kept = self.take(data) if data is not None else None
        except LedgerError as error:
            log.info("a contradiction cannot be proven", error=str(error), code=error.code)
            return None
        return kept if kept is not None and kept.standing else None

    def _keep(self, kept: Kept, data: bytes) -> Kept:
        origin = kept.verdict.log
        with self._lock:
            others = [one for one in self._kept.values() if one.standing and one.verdict.log == origin]
            same = next((one for one in others if _stories(one) == _stories(kept)), None)
            if same is not None or len(others) >= STANDING_MAX:
                return same or others[0]
            self._kept = {**self._kept, kept.id: kept}
            self._unsaved[kept.id] = data
            self._count()
        log.critical("a log has told two stories", log=origin, proof=kept.id, words=kept.verdict.words)
        self._alarm(IntegrityAlarm(kept.verdict.words, field=origin, cause="equivocation"))
        self.save()
        return kept

    def _count(self) -> None:
        accused: dict[str, str] = {}
        for one in self._kept.values():
            if one.standing:
                accused.setdefault(one.verdict.log, one.verdict.words)
        self._accused = accused

    def _against_tree(self, state: LogState, judged: Judged) -> bytes | None:
        size, document = judged.checkpoint.size, self._document()
        if size > state.size:
            return None
        root = root_hash(logs.hash_reader(self._store, state, size), size)
        if root == judged.checkpoint.root:
            return None
        known = sorted(
            (one for one in (state.checkpoint, state.confirmed, state.cosigned) if one is not None),
            key=lambda one: one.size,
        )
        larger = next((one for one in known if one.size >= size), None)
        if larger is None:
            return self._against_content(state, known[-1] if known else None, judged)
        if size in (0, larger.size):
            return heads_proof(document, judged.bare, larger.bare)
        reader = logs.hash_reader(self._store, state, larger.size)
        proof = prove_consistency(reader, old_size=size, new_size=TreeSize(larger.size))
        return heads_proof(document, judged.bare, larger.bare, other=root, proof=proof)

    def _against_content(self, state: LogState, before: Judged | None, judged: Judged) -> bytes | None:
        start = before.size if before is not None else 0
        if not 0 < judged.size - start <= ENTRIES_MAX:
            return None
        keys = layout.entry_key(state.log, start), layout.entry_key(state.log, judged.size)
        raws = [raw for _, raw in self._store.scan(*keys)]
        first = before.bare if before is not None and start else None
        peaks = logs.read_edge(self._store, state, start).peaks
        return content_proof(self._document(), state.origin, first, peaks, raws, judged.bare)

    def _against_entries(self, state: LogState, raws: Sequence[bytes]) -> bytes | None:
        before: Entry | None = None
        for raw in raws:
            entry = self._signed(state.origin, raw)
            if entry is None:
                continue
            stored = (self._stored(state, index) for index in (entry.index, entry.index - 1))
            for other in (before, *stored):
                if other is not None and _contradict(other, entry):
                    return entries_proof(self._document(), state.origin, other.raw, entry.raw)
            before = entry
        return None

    def _signed(self, origin: str, raw: bytes) -> Entry | None:
        """Return an entry that the log has signed, and no other."""
        try:
            entry = parse_entry(raw)
            verify_signature(entry, self._network().member(origin).log_key_at(entry.index))
        except LedgerError:
            return None
        return entry

    def _stored(self, state: LogState, index: int) -> Entry | None:
        raw = self._store.get(layout.entry_key(state.log, index)) if 0 <= index < state.size else None
        return parse_entry(raw) if raw is not None else None


def _contradict(first: Entry, second: Entry) -> bool:
    if first.index == second.index:
        return first.raw != second.raw
    return second.index == first.index + 1 and second.previous != hashlib.sha256(first.text).digest()


def _stories(kept: Kept) -> frozenset[Any]:
    return frozenset((kept.verdict.first, kept.verdict.second))
