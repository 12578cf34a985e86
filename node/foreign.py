"""Witnessing foreign logs: any C2SP log that the settings name, under a key of its own (protocol section 6.3).

A member's cosignature states that every entry is stored here. Of a foreign log no entry is fetched, so this one states
consistency only, as c2sp.org/tlog-cosignature has it; hence the separate key.

1. The origin is one of the settings, and one of its keys has signed the checkpoint.
2. The old size is the one that this witness has cosigned last, and the proof shows that the new tree extends that one.
3. Compare and store, in one durable step: the signed checkpoint takes the place of the one that was cosigned before.
   A crash before it: nothing was said. After it: the log asks again with the new size and gets its cosignature.
4. Sign and answer.

What a witness has cosigned it knows from its store alone: nobody gives that back. So the store also says for which key
its memory is whole. A rebuilt store does not say it, and one that turns out to be an old copy says it no longer, from
the write on that brings back the first entries of the own log (node/fetching.py), for after it nothing else tells. Then
nothing is cosigned until the operator has decided that it shall be (``suyuan witness resume``).
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from ledger.checkpoint import Checkpoint, check_empty_root, open_checkpoint, parse_checkpoint_text
from ledger.encoding import JsonObject, canonical_json, parse_canonical_json, text_to_lines
from ledger.errors import (
    ConsistencyError,
    InvalidSignatureError,
    LedgerError,
    OutOfRangeError,
    StoreCorruptError,
    UnsignedError,
)
from ledger.merkle import EMPTY_ROOT, TreeHead, TreeSize, verify_consistency
from ledger.network import Network
from ledger.note import Note, Signer, parse_note, parse_vkey
from ledger.store import Batch, Store
from ledger.witness_request import AddCheckpoint
from node import layout
from node.clock import Clock
from node.config import Settings, WitnessedLog
from node.errors import BusyError, ConfigError, IntegrityAlarm, ReadOnlyError
from node.keys import key_name
from node.metrics import Metrics
from node.witness import Cosigned, ForbiddenError, RejectedError, WrongSizeError
from node.writer import Transaction, Writer

log = structlog.get_logger(__name__)

NEW_KEY = "the key is new"


class MemoryLostError(ReadOnlyError):
    """The store cannot say whether it knows everything that this witness has cosigned."""

    code = "memory_lost"
    hint = "suyuan witness resume, after reading docs/operations.md: a second history could be cosigned"


@dataclass(frozen=True, slots=True)
class Memory:
    """What the store says of itself: it holds all that this key has cosigned, since a moment, for a reason."""

    vkey: str
    since: str
    why: str

    def put(self, batch: Batch) -> None:
        """Put this into ``batch``."""
        value: JsonObject = {"key": self.vkey, "since": self.since, "why": self.why}
        batch.put(layout.memory_key(), canonical_json(value).encode())


def read_memory(store: Store) -> Memory | None:
    """Return what the store says of its memory of foreign logs, if anything.

    Raises:
        StoreCorruptError: it is damaged.
    """
    data = store.get(layout.memory_key())
    if data is None:
        return None
    match parse_canonical_json(data.decode()):
        case {"key": str(key), "since": str(since), "why": str(why)}:
            return Memory(key, since, why)
    raise StoreCorruptError("the memory of foreign logs is damaged", field="witness")


def witness_name(settings: Settings) -> str:
    """Return the name under which foreign logs are witnessed."""
    return settings.witness_name or key_name(settings.origin, "witness")


def begin_memory(
    store: Store, signer: Signer, *, since: str, why: str, heads: Mapping[str, Note] | None = None
) -> None:
    """Write, durably, that from now on the store holds all that ``signer`` cosigns, and what is known of before.

    Raises:
        StoreError: it cannot be written.
    """
    batch = Batch()
    for origin, note in (heads or {}).items():
        batch.put(layout.foreign_key(origin), note.encode())
    Memory(signer.verifier.vkey, since, why).put(batch)
    store.write(batch)


def remembered_heads(
    store: Store, signer: Signer, logs: Sequence[WitnessedLog], documents: Sequence[bytes]
) -> dict[str, Note]:
    """Return, by log, the largest of some checkpoints that ``signer`` has cosigned, if it is news to the store.

    Raises:
        UnsignedError, InvalidSignatureError: one is not signed by a log that is witnessed here, or not cosigned.
        IntegrityAlarm: two of one size have different roots, the stored one included.
        MalformedError, LimitError: no checkpoint.
    """
    keys = {one.origin: tuple(map(parse_vkey, one.vkeys)) for one in logs}
    found: dict[str, Note] = {}
    for data in documents:
        note = parse_note(data)
        checkpoint = parse_checkpoint_text(note.text)
        log_keys = keys.get(checkpoint.origin, ())
        signed = open_checkpoint(note, (*log_keys, signer.verifier))
        by_log = tuple(one.signature for one in signed.signatures if one.key in log_keys)
        if not by_log or len(by_log) == len(signed.signatures):
            raise UnsignedError(
                f"a checkpoint of {checkpoint.origin[:80]!r} is signed by its log and cosigned by {signer.name}",
                field="checkpoint",
            )
        known = found.get(checkpoint.origin)
        before = known.encode() if known is not None else store.get(layout.foreign_key(checkpoint.origin))
        head = head_of(before)
        if head.size == checkpoint.size and head.root != checkpoint.root:
            raise IntegrityAlarm(f"two roots for size {head.size} of {checkpoint.origin[:80]!r} were cosigned")
        if head.size < checkpoint.size:
            found[checkpoint.origin] = Note(note.text, by_log)
    return found


def check_foreign(logs: Sequence[WitnessedLog], network: Network) -> None:
    """Check that no log is both a member's and a foreign one.

    Raises:
        ConfigError: one is.
    """
    for one in logs:
        if one.origin in network.members:
            raise ConfigError(
                f"{one.origin} is a member of network {network.name}, whose logs are witnessed anyway",
                field="witnessed", hint="remove it from the settings",
            )  # fmt: skip


class Foreign:
    """Cosigns the checkpoints of foreign logs."""

    def __init__(
        self,
        *,
        own: str,
        logs: Sequence[WitnessedLog],
        signer: Signer | None,
        store: Store,
        writer: Writer,
        clock: Clock,
        metrics: Metrics,
        alarms: Mapping[str, str],
    ) -> None:
        """Cosign ``logs`` with ``signer``, which is there if they are; ``own`` is this node's log."""
        assert signer is not None or not logs
        self._own = own
        self._keys = {one.origin: tuple(map(parse_vkey, one.vkeys)) for one in logs}
        self.signer = signer
        self._store = store
        self._writer = writer
        self._clock = clock
        self._metrics = metrics
        self._alarms = alarms
        self._open = False  # until this node knows whether its store is an old copy
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def origins(self) -> list[str]:
        """The logs that are witnessed."""
        return list(self._keys)

    def knows(self, origin: str) -> bool:
        """Tell whether a log is witnessed here."""
        return origin in self._keys

    async def open(self, *, behind: bool) -> None:
        """Begin to cosign; not if the store turned out to be ``behind`` what this node has signed in its own log.

        Its memory is struck out already then; this tells it.
        """
        try:
            await self._doubt(behind=behind)
        except LedgerError as error:
            log.critical(
                "whether the memory of foreign logs is whole cannot be told; none is cosigned", error=str(error)
            )
        else:
            self._open = True

    async def _doubt(self, *, behind: bool) -> None:
        """Strike out the memory of an old copy; remind of a decision to go on without a whole one."""
        if behind and self._keys:
            log.error("the store is an old copy: foreign logs are cosigned no more until somebody decides it")
            await asyncio.wrap_future(
                self._writer.submit(lambda transaction: transaction.batch.delete(layout.memory_key()))
            )
        elif (memory := self._memory()) is not None and memory.why != NEW_KEY:
            log.warning("foreign logs are cosigned on without a whole memory", decided=memory.since, why=memory.why)

    def memory(self) -> Memory | None:
        """Return what the store says of its memory for this key; nothing if it was lost.

        Raises:
            StoreError: it cannot be read.
        """
        return self._memory()

    def last(self, origin: str) -> Note | None:
        """Return the signed checkpoint of a log that was cosigned last.

        Raises:
            StoreError: it cannot be read.
        """
        data = self._store.get(layout.foreign_key(origin))
        return parse_note(data) if data is not None else None

    def contradiction(self, origin: str) -> bytes | None:
        """Return two checkpoints of one size that the log has signed, as JSON, if it ever has shown them.

        Raises:
            StoreError: it cannot be read.
        """
        return self._store.get(layout.foreign_contradiction_key(origin))

    async def answer(self, request: AddCheckpoint) -> Cosigned:
        """Answer an add-checkpoint request for a log that is witnessed here.

        Raises:
            ForbiddenError: 403. OutOfRangeError: 400. WrongSizeError: 409. RejectedError: 422.
            BusyError, ReadOnlyError, StoreError: 503.
        """
        origin = request.checkpoint.origin
        note = await asyncio.to_thread(self._verified, request)
        if request.old_size > request.checkpoint.size:
            raise OutOfRangeError("the old size is above the checkpoint's", field="old", limit=request.checkpoint.size)
        signer = self._ready_signer()
        async with self._locks[origin]:
            before = await asyncio.to_thread(self._store.get, layout.foreign_key(origin))
            await self._check_step(before, request, note)
            if before != note.encode():  # else it is on the disk, and only the timestamp will be new
                await asyncio.wrap_future(
                    self._writer.submit(lambda transaction: _compare_and_store(transaction, origin, before, note))
                )
        self._metrics.cosigned.labels(origin).inc()
        time = self._clock.now_ms() // 1000
        return Cosigned(signer.cosign(request.checkpoint.text, time).line, request.checkpoint.size)

    def _verified(self, request: AddCheckpoint) -> Note:
        """Return the checkpoint with the log's own signatures alone: whatever else it came with is anybody's."""
        try:
            signed = open_checkpoint(request.note, self._keys[request.checkpoint.origin])
        except (UnsignedError, InvalidSignatureError) as error:
            raise ForbiddenError(f"no valid signature by the log: {error}", field=error.field) from None
        return Note(signed.note.text, tuple(one.signature for one in signed.signatures))

    def _ready_signer(self) -> Signer:
        if not self._open:
            raise BusyError("this node is finding out whether its store is an old copy", field="origin")
        if self._own in self._alarms:
            raise ReadOnlyError(f"this node's own log is in doubt: {self._alarms[self._own]}")
        if self._memory() is None:
            raise MemoryLostError("this witness does not know everything that it has cosigned")
        assert self.signer is not None
        return self.signer

    def _memory(self) -> Memory | None:
        memory = read_memory(self._store)
        if memory is None or self.signer is None or memory.vkey != self.signer.verifier.vkey:
            return None
        return memory

    async def _check_step(self, before: bytes | None, request: AddCheckpoint, note: Note) -> None:
        """Check the new head against the one cosigned last."""
        head = head_of(before)
        if request.old_size != head.size:
            raise WrongSizeError(head.size)
        if before is not None and head.size == request.checkpoint.size and head.root != request.checkpoint.root:
            await self._keep_contradiction(request.checkpoint.origin, before, note)
        try:
            _check_proof(head, request)
        except ConsistencyError as error:
            raise RejectedError(f"{request.checkpoint.origin}: {error.message}", field=error.field) from None

    async def _keep_contradiction(self, origin: str, first: bytes, second: Note) -> None:
        """Keep the first pair of checkpoints by which a log convicts itself; it is cosigned on its first history."""
        key = layout.foreign_contradiction_key(origin)
        if self._store.get(key) is not None:
            return
        log.error("a foreign log has signed two roots for one size; both are kept", log=origin)
        value: JsonObject = {"first": text_to_lines(first), "second": text_to_lines(second.encode())}
        data = canonical_json(value).encode()
        await asyncio.wrap_future(self._writer.submit(lambda transaction: transaction.batch.put(key, data)))


def head_of(data: bytes | None) -> TreeHead:
    """Return the tree head of a stored checkpoint; the empty tree's, where there is none.

    Raises:
        StoreCorruptError: it is damaged.
    """
    return TreeHead(TreeSize(0), EMPTY_ROOT) if data is None else stored_checkpoint(data).head


def stored_checkpoint(data: bytes) -> Checkpoint:
    """Return a checkpoint from the store.

    Raises:
        StoreCorruptError: it is damaged.
    """
    try:
        return parse_checkpoint_text(parse_note(data).text)
    except LedgerError as error:
        raise StoreCorruptError(f"a stored checkpoint is damaged: {error}", field="witness") from None


def _check_proof(before: TreeHead, request: AddCheckpoint) -> None:
    check_empty_root(request.checkpoint)
    if before.size > 0:
        verify_consistency(old=before, new=request.checkpoint.head, proof=request.proof)
    elif request.proof:
        raise ConsistencyError("from size 0 on the proof is empty", field="proof")


def _compare_and_store(transaction: Transaction, origin: str, before: bytes | None, note: Note) -> None:
    key = layout.foreign_key(origin)
    present = transaction.store.get(key)
    if present != before:
        raise WrongSizeError(head_of(present).size)
    transaction.batch.put(key, note.encode())
