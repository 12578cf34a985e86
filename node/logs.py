"""Logs: what this node knows of each log, its own and its peers', and the writes by which that grows.

A :class:`LogState` is a value: whoever holds one sees a consistent log, whatever is written meanwhile. Everything that
a batch of entries changes (entries, tiles, chain head, indexes) goes into one :class:`Batch`, so that a crash leaves
all of it or nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ledger.checkpoint import parse_checkpoint_text
from ledger.entry import ChainHead, Entry, open_chain, parse_entry, verify_signature
from ledger.errors import InvalidSignatureError, KeyEndedError, LedgerError, StoreCorruptError, UnsignedError
from ledger.event import KeyRotate, read_event
from ledger.event.reading import Read
from ledger.merkle import EMPTY_ROOT, TreeHead, TreeSize, root_hash
from ledger.network import Member, Network
from ledger.note import Note, Signature, VerifierKey, parse_note
from ledger.quorum import Judged, judge_checkpoint
from ledger.store import Batch, Reader, Store
from ledger.store.protocol import prefix_end
from ledger.tile import Edge, MiddleRows, Tile, TileReader
from ledger.versions import VERSIONS_MAX
from node import indexing, layout
from node.indexing import Growth, Index

FRESH_SECONDS = 60  # the same checkpoint is news again at most once in so long, by the clocks of its quorum

# Which confirmed checkpoints of the past are kept: the first one of each minute, hour, day and month of thirty days, by
# the time at which its quorum vouched for it. A slot is taken again by a later one whose number has the same remainder,
# so that of the last hour every minute is there, of two days every hour, of a month every day, and of all the time
# every month: some 140 rows, and twelve for each year. A quiet log, which fills few slots, remembers more.
PAST_SLOTS = ((60, 60), (3600, 48), (86_400, 31), (30 * 86_400, 1 << 40))  # (seconds of a slot, how many there are)

_CHAIN_BYTES = 8 + 32 + 8


@dataclass(frozen=True, slots=True)
class Rotation:
    """A log's promise to sign with another key: none of its entries from ``start`` on is signed with the one of now."""

    start: int  # leaf index
    key: str  # vkey of the next one
    signed_by: bytes  # key ID of the one of now

    def is_awaited(self, member: Member) -> bool:
        """Tell whether the network document still gives the log the key of now where another one is promised."""
        try:
            return member.log_key_at(self.start).key_id == self.signed_by
        except UnsignedError:
            return False


@dataclass(frozen=True, slots=True)
class LogState:
    """One log as this node has it."""

    origin: str
    log: bytes  # 8 bytes, see layout.log_id
    chain: ChainHead
    edge: Edge
    checkpoint: Judged | None = None  # newest signed and verified, at most as large as the log is here
    confirmed: Judged | None = None  # newest with a quorum
    cosigned: Judged | None = None  # newest that this node has cosigned
    acting: tuple[tuple[int, bytes], ...] = ()  # from which entry on under which text of the network document (hash)
    kept_at: int | None = None  # POSIX seconds of the last confirmed checkpoint since the start, for node/logs.py alone
    rotation: Rotation | None = None  # newest announcement of another log key
    readmitted: TreeHead | None = None  # the governors' ruling about its history, once what is here agrees with it

    @property
    def size(self) -> int:
        """How many entries are stored here."""
        return self.chain.size

    @property
    def confirmed_size(self) -> int:
        """How many entries are confirmed, as far as this node knows."""
        return self.confirmed.size if self.confirmed is not None else 0

    def version_at(self, size: int, network: Network) -> int | None:
        """Return the version of the network document under which the log acts at a size.

        None where it is a version that ``network`` does not know, 0 for the empty log.
        """
        numbers = {version.text_hash: version.version for version in network.versions}
        found = [numbers.get(text_hash) for index, text_hash in self.acting if index < size]
        return None if None in found else max((one for one in found if one is not None), default=0)

    def awaited(self, member: Member) -> Rotation | None:
        """Return the log's promise of another key that the network document does not name yet."""
        return self.rotation if self.rotation is not None and self.rotation.is_awaited(member) else None

    def awaits_key(self, member: Member) -> bool:
        """Tell whether no entry can be signed before the network document names the next log key."""
        awaited = self.awaited(member)
        return awaited is not None and self.size >= awaited.start

    @property
    def signed(self) -> Judged | None:
        """The largest checkpoint of this log that is known here, with a quorum or without; None before the first."""
        known = [judged for judged in (self.cosigned, self.confirmed, self.checkpoint) if judged is not None]
        return max(known, key=lambda judged: judged.size, default=None)

    @property
    def cosigned_head(self) -> TreeHead:
        """Size and root that this node has cosigned last; the empty tree before the first time.

        What it has cosigned of a history that the governors have ruled about counts no more; their ruling does.
        """
        head = self.cosigned.checkpoint.head if self.cosigned is not None else TreeHead(TreeSize(0), EMPTY_ROOT)
        return self.readmitted if self.readmitted is not None and head.size <= self.readmitted.size else head


def load_log(store: Store, origin: str, network: Network) -> LogState:
    """Return a log as the store has it; an empty one where it has nothing of it.

    Raises:
        StoreCorruptError: the parts do not fit together.
    """
    log = layout.log_id(origin)
    data = store.get(layout.chain_key(log))
    if data is None:
        return LogState(origin, log, open_chain(origin, network.text.encode()), Edge.empty())
    try:
        chain = _decode_chain(origin, data)
        state = LogState(
            origin,
            log,
            chain,
            Edge.load(TreeSize(chain.size), lambda tile: read_tile(store, log, tile)),
            checkpoint=_load_checkpoint(store, layout.checkpoint_key(log), network),
            confirmed=_load_checkpoint(store, layout.confirmed_key(log), network),
            cosigned=_load_checkpoint(store, layout.cosigned_key(log), network),
            acting=_load_acting(store, log),
            rotation=load_rotation(store, log, chain.size),
        )
        ruling = network.member(origin).readmitted
        return replace(state, readmitted=ruling) if is_settled(store, state, network) else state
    except StoreCorruptError:
        raise
    except LedgerError as error:
        raise StoreCorruptError(f"the state of {origin} does not fit together: {error}", field=origin) from None


def append(
    state: LogState,
    entries: Sequence[Entry],
    chain: ChainHead,
    batch: Batch,
    *,
    events: Sequence[Read] | None = None,
) -> LogState:
    """Put verified entries behind a log into ``batch``, with their tiles and indexes, and return the log with them.

    ``chain`` is the chain's head behind them, as :func:`ledger.entry.verify_entries` returned it; ``events``
    are theirs, where they have been read already.
    """
    if events is None:
        events = [read_event(entry.event) for entry in entries]
    growth = Growth([entry.leaf for entry in entries], chain, _index_of(state.log, entries, events))
    return grow(state, [entry.raw for entry in entries], growth, batch)


def grow(state: LogState, raws: Sequence[bytes], growth: Growth, batch: Batch) -> LogState:
    """Do what :func:`append` does with entries for which everything is worked out already."""
    assert len(raws) == len(growth.leaves)
    assert growth.chain.size == state.size + len(raws)
    head = b"E" + state.log
    batch.put_all(
        [(head + number.to_bytes(layout.INDEX_BYTES, "big"), raw) for number, raw in enumerate(raws, state.size)]
    )
    batch.put_all(growth.index.pairs)
    edge, tiles = state.edge.extended(growth.leaves)
    batch.put_all([(layout.tile_key(state.log, tile.level, tile.index), data) for tile, data in tiles])
    batch.put(layout.chain_key(state.log), encode_chain(growth.chain))
    acting, rotated = _distinct((*state.acting, *growth.index.acting)), growth.index.rotated
    rotation = state.rotation if rotated is None else rotation_of(parse_entry(raws[rotated - state.size]))
    return replace(state, chain=growth.chain, edge=edge, acting=acting, rotation=rotation)


def called_for(log: bytes, entry: Entry) -> dict[bytes, bytes]:
    """Return the index keys and values that an entry calls for."""
    return dict(_index_of(log, [entry], [read_event(entry.event)]).pairs)


def _index_of(log: bytes, entries: Sequence[Entry], events: Sequence[Read]) -> Index:
    if not entries:
        return Index([], (), wanted=False, rotated=None)
    return indexing.index(log, entries[0].index, events, opening=entries[0].previous)


def rotation_of(entry: Entry) -> Rotation | None:
    """Return what an entry says about the log's next key, if it says anything."""
    event = read_event(entry.event) if entry.event.get("type") == KeyRotate.TYPE else None
    if not isinstance(event, KeyRotate) or event.start is None:
        return None
    return Rotation(event.start, event.key, entry.key_id)


def find_ended(store: Store, state: LogState, member: Member) -> tuple[int, VerifierKey] | None:
    """Return the first entry of a stored log that is signed by a key which had ended there, and that key.

    Entries are verified when they are stored; so one that is not what the network document says now is so because a
    later version has ended its key, and then the one at which the key ended is the first.

    Raises:
        StoreCorruptError, MalformedError: the entry cannot be read.
    """
    ends = {end: key for start, until, key in member.log_keys for end in (until,) if end is not None}
    ends |= {start: key for (_, _, key), (start, _, _) in pairwise(member.log_keys)}
    for end, key in sorted(ends.items(), key=lambda item: item[0]):
        raw = store.get(layout.entry_key(state.log, end)) if end < state.size else None
        if raw is not None and parse_entry(raw).key_id == key.key_id:
            return end, key
    return None


def ended_words(origin: str, index: int, key: VerifierKey) -> str:
    """Return what there is to say of a stored entry that is signed by a key which had ended there."""
    return f"the entries of {origin} from {index} on are signed by key {key.key_id.hex()}, which had ended there"


def with_checkpoint(state: LogState, judged: Judged, batch: Batch) -> LogState:
    """Put a newly signed checkpoint into ``batch``."""
    batch.put(layout.checkpoint_key(state.log), judged.bare.encode())
    return replace(state, checkpoint=judged)


def with_confirmed(state: LogState, judged: Judged, batch: Batch) -> LogState:
    """Put a confirmed checkpoint into ``batch``, unless the log has a better one already."""
    if not is_news(state, judged):
        return state
    batch.put(layout.confirmed_key(state.log), judged.note.encode())
    if judged.size > state.confirmed_size:
        state = _with_past(state, judged, batch)
    return replace(state, confirmed=judged)


def is_news(state: LogState, judged: Judged) -> bool:
    """Tell whether a confirmed checkpoint says more than the one that is known.

    That is a larger size; for the same size a quorum under a newer version of the network document, or one that has
    vouched for it a good while later, or more cosigners. This is one total order, so that nobody can make a node store
    old notes in turn for ever; and only a quorum can make a checkpoint fresher.
    """
    known = state.confirmed
    return known is None or _worth(judged) > _worth(known)


def past(store: Store, state: LogState) -> list[bytes]:
    """Return the confirmed checkpoints that are kept of a log's past, without order; some may be there twice."""
    prefix = layout.past_prefix(state.log)
    return [value for _, value in store.scan(prefix, prefix_end(prefix))]


def _worth(judged: Judged) -> tuple[int, bool, int, int, int]:
    fresh = (judged.vouched or 0) // FRESH_SECONDS
    return judged.size, judged.confirmed, judged.version, fresh, len(judged.cosigners)


def _with_past(state: LogState, judged: Judged, batch: Batch) -> LogState:
    """Put a confirmed checkpoint into the slots of the past that it is the first one of."""
    time = judged.vouched
    assert time is not None  # it has its quorum
    for level, (seconds, slots) in enumerate(PAST_SLOTS):
        slot = time // seconds
        if state.kept_at is None or state.kept_at // seconds != slot:
            batch.put(layout.past_key(state.log, level, slot % slots), judged.note.encode())
    return replace(state, kept_at=time)


def with_cosigned(state: LogState, judged: Judged, batch: Batch) -> LogState:
    """Put the checkpoint that this node is about to cosign into ``batch``: it must be durable before the answer."""
    batch.put(layout.cosigned_key(state.log), judged.bare.encode())
    return replace(state, cosigned=judged)


def read_entry(store: Reader, log: bytes, index: int) -> Entry:
    """Return a stored entry.

    Raises:
        StoreCorruptError: it is not there, or not what was written.
    """
    raw = store.get(layout.entry_key(log, index))
    if raw is None:
        raise StoreCorruptError(f"entry {index} is missing", field=f"index {index}")
    try:
        return parse_entry(raw)
    except LedgerError as error:
        raise StoreCorruptError(f"entry {index} is not what was written: {error}", field=f"index {index}") from None


def read_tile(store: Reader, log: bytes, tile: Tile) -> bytes:
    """Return the bytes of a hash tile; a narrower one than is stored is its beginning.

    Raises:
        StoreCorruptError: the store has no such tile.
    """
    data = store.get(layout.tile_key(log, tile.level, tile.index))
    if data is None or len(data) < tile.width * 32:
        raise StoreCorruptError(f"the hash tile {tile.path} is missing or short", field=tile.path)
    return data[: tile.width * 32]


def read_edge(store: Store, state: LogState, size: int) -> Edge:
    """Return the right edge that a log's tree had at an earlier size, from the stored tiles.

    Raises:
        StoreCorruptError: a tile is missing.
    """
    return Edge.load(TreeSize(size), lambda tile: read_tile(store, state.log, tile))


def hash_reader(
    store: Reader, state: LogState, size: int | None = None, *, rows: MiddleRows | None = None
) -> TileReader:
    """Return a reader of the log's tree hashes, at its present size or an earlier one."""
    return TileReader(
        lambda tiles: [read_tile(store, state.log, tile) for tile in tiles],
        TreeSize(state.size if size is None else size),
        rows,
    )


def encode_chain(chain: ChainHead) -> bytes:
    """Return a chain's head as it is stored."""
    return chain.size.to_bytes(8, "big") + chain.previous + chain.time.to_bytes(8, "big")


def _decode_chain(origin: str, data: bytes) -> ChainHead:
    if len(data) != _CHAIN_BYTES:
        raise StoreCorruptError(f"the chain head of {origin} has {len(data)} bytes", field=origin)
    return ChainHead(origin, int.from_bytes(data[:8], "big"), data[8:40], int.from_bytes(data[40:], "big"))


def is_void(data: bytes, network: Network) -> bool:
    """Tell whether a stored checkpoint says more than the governors' ruling, and is not signed by the key after it.

    Raises:
        LedgerError: it is no checkpoint of a member's log.
    """
    checkpoint = parse_checkpoint_text(parse_note(data).text)
    ruling = network.member(checkpoint.origin).readmitted
    if ruling is None or checkpoint.size <= ruling.size:
        return False
    try:
        judge_checkpoint(data, network)
    except UnsignedError:
        return True
    return False


def agrees(store: Store, state: LogState, ruling: TreeHead) -> bool:
    """Tell whether a log has the history that the governors have ruled, whatever may stand behind it."""
    return state.size >= ruling.size and root_hash(hash_reader(store, state, ruling.size), ruling.size) == ruling.root


def is_settled(store: Store, state: LogState, network: Network) -> bool:
    """Tell whether a log has the history that the governors have ruled, and nothing that their ruling has voided."""
    member = network.member(state.origin)
    if member.readmitted is None:
        return True
    if not agrees(store, state, member.readmitted):
        return False
    raw = (
        store.get(layout.entry_key(state.log, member.readmitted.size)) if state.size > member.readmitted.size else None
    )
    try:
        if raw is not None:
            verify_signature(parse_entry(raw), member.log_key_at(member.readmitted.size))
    except LedgerError:
        return False
    return True


def _distinct(acting: Iterable[tuple[int, bytes]]) -> tuple[tuple[int, bytes], ...]:
    """Keep of each version the first entry that names it, and no more than a document can have."""
    first: dict[bytes, int] = {}
    for index, text_hash in acting:
        if len(first) <= VERSIONS_MAX:
            first.setdefault(text_hash, index)
    return tuple((index, text_hash) for text_hash, index in first.items())


def _load_acting(store: Store, log: bytes) -> tuple[tuple[int, bytes], ...]:
    prefix = layout.version_prefix(log)
    found = store.scan(prefix, prefix_end(prefix))
    return _distinct((int.from_bytes(key[len(prefix) :], "big"), text_hash) for key, text_hash in found)


def load_rotation(store: Store, log: bytes, size: int) -> Rotation | None:
    """Return the newest announcement of another log key among the first ``size`` entries of a log."""
    prefix = layout.rotation_prefix()
    start, end = (prefix + layout.Place(log, number).encode() for number in (0, size))
    for key, _ in store.scan(start, end, reverse=True, limit=1):
        raw = store.get(layout.entry_key(log, layout.place_of(key).number))
        return rotation_of(parse_entry(raw)) if raw is not None else None
    return None


def _load_checkpoint(store: Store, key: bytes, network: Network) -> Judged | None:
    data = store.get(key)
    if data is None or is_void(data, network):
        return None
    try:
        return judge_checkpoint(data, network)
    except KeyEndedError:  # the log is in doubt from that key's end on: see find_ended
        return None
    except InvalidSignatureError:  # a line in the name of a key that nobody had yet when it was stored
        return judge_checkpoint(_sound(parse_note(data), network), network)


def _sound(note: Note, network: Network) -> Note:
    """Return a note without the lines that are false by what ``network`` knows; whoever gave it may have added them."""
    owner = network.member(parse_checkpoint_text(note.text).origin)
    keys = {(key.name, key.key_id): key for _, _, key in owner.log_keys} | network.cosigners_ever

    def holds(line: Signature) -> bool:
        try:
            keys[line.name, line.key_id].verify(note.text, line)
        except (KeyError, LedgerError):
            return False
        return True

    return Note(note.text, tuple(filter(holds, note.signatures)))
