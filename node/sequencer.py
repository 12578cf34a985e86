"""The sequencer: gives every event of this department its place in the log.

1. Take what waits (see node/writer.py). A crash: nobody was answered.
2. Check each submission against the ids and shares that are known; refuse it as a whole or take it as a whole.
3. Chain the new events, sign them on all cores, compute leaf hashes and tiles. A crash: nothing is on the disk.
4. Write entries, tiles, indexes and the chain's head in one synced batch. A crash before it is as if nothing had come;
   after it the events are recorded, and their submitters, asking again with the same ids, get the same answer.
5. Answer. A crash: as after 4.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby

from ledger.encoding import canonical_json, encode_base64, format_time, parse_hash, parse_json
from ledger.entry import ENTRY_BYTES_MAX, ChainHead, Entry, chain, parse_entry, signature_line_bytes
from ledger.errors import BadValueError, LedgerError, StoreCorruptError, TooLongError, UnsignedError
from ledger.event import SUBMITTED_TYPES, EntryRef, Event, KeyRotate, Share, parse_event, read_event
from ledger.event.reading import RECEIPTS, SHARES
from ledger.event.transfer import Receipt
from ledger.network import Network
from ledger.note import SigningKey
from ledger.plain import PlainEvent, PlainReceipt, PlainRef, PlainShare, recognise
from ledger.store import Reader, Store
from ledger.store.protocol import Batch, prefix_end
from node import indexing, layout, logs
from node.clock import Clock
from node.errors import (
    AlreadyAnsweredError,
    ConflictError,
    DigestMismatchError,
    NotYoursError,
    ReadOnlyError,
    RotationError,
    UnknownConsumerError,
    UnknownManifestError,
    UnknownParentError,
    UnknownShareError,
)
from node.indexing import Growth
from node.keys import MISSING_HINT, ROTATE_HINT, NodeKeys, named_keys
from node.logs import LogState, Rotation
from node.signatories import ROUND_MIN, Signatories
from node.signing import Signed
from node.writer import Transaction

PART_MAX = 250  # events that are signed at one time by one process
EVENTS_MAX = 1000  # of one submission: about 60 MB of the largest entries


@dataclass(frozen=True, slots=True)
class Submission:
    """Events that are recorded together or not at all."""

    events: tuple["Prepared", ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """An event that has passed its schema, ready to be chained."""

    event: Event | PlainEvent
    text: bytes  # canonical JSON


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where an event stands."""

    event_id: str
    hash: str  # of its entry's leaf, in base64
    index: int
    log: str
    time: int  # milliseconds

    @property
    def ref(self) -> EntryRef:
        """The reference to its entry."""
        return EntryRef(hash=self.hash, index=self.index, log=self.log)

    def to_text(self, state: str) -> str:
        """Return the answer to a submission as JSON; nothing in it needs escaping."""
        return (
            f'{{"event_id":"{self.event_id}","entry":{{"hash":"{self.hash}","index":{self.index},"log":"{self.log}"}},'
            f'"time":"{_stamp(self.time)}","state":"{state}"}}'
        )


def prepare(value: object, *, origin: str, types: frozenset[str] = SUBMITTED_TYPES) -> Prepared:
    """Return an event of one of the ``types`` ready to be chained: by default of those that others submit.

    Raises:
        EventError, LimitError, MalformedError: the first thing that breaks its schema.
        BadValueError: a type that only the node itself writes.
        TooLongError: the entry would be larger than 65,535 bytes.
    """
    event = parse_event(value)
    assert isinstance(value, dict)
    if event.type not in types:
        raise BadValueError(f"events of type {event.type} are written by the node itself", field="type")
    text = canonical_json(value).encode()
    room = event_bytes_max(origin)
    if len(text) > room:
        raise TooLongError(f"the event has {len(text)} bytes as canonical JSON", field="event", limit=room)
    return Prepared(event, text)


def prepare_text(text: bytes, *, origin: str) -> Prepared:
    """Return a submitted event ready to be chained, given in any spelling of JSON; the canonical one is quickest.

    Raises:
        LedgerError: as :func:`ledger.encoding.parse_json` and :func:`prepare`.
    """
    event = recognise(text)
    if event is None or len(text) > event_bytes_max(origin):
        return prepare(parse_json(text), origin=origin)
    return Prepared(event, text)


def event_bytes_max(origin: str) -> int:
    """Return how long an event of a log can be, whatever its index: the rest of an entry is fixed in length."""
    frame = len("suyuan/entry/v1\n\n\n\n\n\n\n") + len(origin) + 19 + 44 + 24
    return ENTRY_BYTES_MAX - frame - signature_line_bytes(origin)


class Sequencer:
    """Appends this department's events to its log."""

    def __init__(
        self,
        *,
        origin: str,
        keys: Callable[[], NodeKeys],
        network: Callable[[], Network],
        clock: Clock,
        signatories: Signatories,
    ) -> None:
        self._origin = origin
        self._keys = keys
        self._network = network
        self._clock = clock
        self._signatories = signatories

    def run(self, transaction: Transaction, items: list[Submission]) -> list[list[Recorded] | LedgerError]:
        """Append the events of all submissions; each gets its entries, or the error that refuses it as a whole."""
        state = transaction.state(self._origin)
        round_ = _Round(
            store=transaction.store,
            own=state,
            keys=self._keys(),
            network=self._network(),
            states=transaction.committed_states,
        )
        outcomes = [round_.admit(item) for item in items]
        time = max(self._clock.now_ms(), state.chain.time)
        leaves = self._append(transaction, round_, time) if round_.fresh else []

        def answer(place: _Place) -> Recorded:
            if isinstance(place, Recorded):
                return place
            event_id, leaf = round_.fresh[place].event.id, leaves[place]
            return Recorded(event_id, encode_base64(leaf), state.size + place, self._origin, time)

        return [
            outcome if isinstance(outcome, LedgerError) else [answer(place) for place in outcome]
            for outcome in outcomes
        ]

    def _append(self, transaction: Transaction, round_: "_Round", time: int) -> list[bytes]:
        """Put the round's events behind the log; return the leaf hash of each.

        It goes part by part: while some are being signed, the one before is indexed and the next one is chained.
        """
        state, head = round_.own, round_.own.chain
        leaves: list[bytes] = []
        under_way: deque[_Part] = deque()
        try:
            for signer, events in self._parts(round_):
                if len(under_way) >= self._signatories.at_once:
                    state = under_way.popleft().grow(state, transaction.batch, leaves)
                texts, head = chain(head, [prepared.text for prepared in events], time=time)
                under_way.append(_Part(events, head, self._signatories.begin(signer, texts)))
            while under_way:
                state = under_way.popleft().grow(state, transaction.batch, leaves)
        finally:
            for part in under_way:  # left by an error: else the next round would hear what was asked for here
                with suppress(LedgerError):
                    part.signed()
        transaction.put_state(state)
        return leaves

    def _parts(self, round_: "_Round") -> Iterator[tuple[SigningKey, list[Prepared]]]:
        """Cut a round: each part has one key, and there are parts for all who sign at one time."""
        size = min(max(-(-len(round_.fresh) // self._signatories.at_once), ROUND_MIN), PART_MAX)
        start = 0
        for signer, group in groupby(round_.signers):  # one key, or two where the round crosses the end of one
            end = start + len(list(group))
            for first in range(start, end, size):
                yield signer, round_.fresh[first : min(first + size, end)]
            start = end


@dataclass(frozen=True, slots=True)
class _Part:
    """Events of a round that are being signed."""

    events: list[Prepared]
    head: ChainHead  # behind them
    signed: Callable[[], Signed]  # waits for their entries

    def grow(self, state: LogState, batch: Batch, leaves: list[bytes]) -> LogState:
        """Put the part's entries behind the log into ``batch``, and their leaf hashes behind ``leaves``."""
        events = ((prepared.event, prepared.text) for prepared in self.events)
        try:
            index = indexing.index(state.log, state.size, events, opening=state.chain.previous)
        finally:
            signed = self.signed()
        leaves += signed.leaves
        return logs.grow(state, signed.raws, Growth(signed.leaves, self.head, index), batch)


_Place = Recorded | int  # recorded before, or its number in this round


@dataclass(slots=True)
class _Round:
    """The events that one round takes, and what has been promised within it."""

    store: Store
    own: LogState
    keys: NodeKeys
    network: Network
    states: Mapping[str, LogState]  # as they are on the disk: what other jobs of the round have put cannot be read yet
    fresh: list[Prepared] = field(default_factory=list)
    signers: list[SigningKey] = field(default_factory=list)  # of each of them
    chosen: tuple[int, SigningKey] | None = None  # up to which index which key signs
    announced: Rotation | None = None
    ids: dict[str, int] = field(default_factory=dict)
    answered: set[bytes] = field(default_factory=set)  # leaf hashes of shares

    @property
    def origin(self) -> str:
        return self.own.origin

    @property
    def log(self) -> bytes:
        return self.own.log

    def admit(self, item: Submission) -> list[_Place] | LedgerError:
        """Take a submission's events, or give back all that was taken of it."""
        mark, announced = len(self.fresh), self.announced
        answered = set(self.answered) if any(isinstance(one.event, RECEIPTS) for one in item.events) else self.answered
        places: list[_Place] = []
        for number, prepared in enumerate(item.events):
            try:
                places.append(self._admit_one(prepared))
            except LedgerError as error:
                for taken in self.fresh[mark:]:
                    del self.ids[taken.event.id]
                del self.fresh[mark:], self.signers[mark:]
                self.answered, self.announced, self.chosen = answered, announced, None
                return error.at(f"events[{number}]") if len(item.events) > 1 else error
        return places

    def _admit_one(self, prepared: Prepared) -> _Place:
        known = self._known(prepared)
        if known is not None:
            return known
        index = self.own.size + len(self.fresh)
        signer = self._signer(index)
        self._check(prepared.event, index, signer)
        self.ids[prepared.event.id] = len(self.fresh)
        self.fresh.append(prepared)
        self.signers.append(signer)
        return len(self.fresh) - 1

    def _known(self, prepared: Prepared) -> _Place | None:
        """Return where the event stands already; the same id with other content is a conflict."""
        event_id = prepared.event.id
        number = self.ids.get(event_id)
        if number is not None:
            if self.fresh[number].text != prepared.text:
                raise ConflictError(f"the id {event_id} is used for another event just now", field="id")
            return number
        value = self.store.get(layout.event_key(event_id, self.log))
        if value is None:
            return None
        if value[layout.INDEX_BYTES :] != indexing.event_digest(prepared.text):
            raise ConflictError(f"the id {event_id} is recorded with other content", field="id")
        entry = read_entry(self.store, self.log, int.from_bytes(value[: layout.INDEX_BYTES], "big"))
        return Recorded(event_id, encode_base64(entry.leaf), entry.index, self.origin, entry.time)

    def _signer(self, index: int) -> SigningKey:
        """Return the key that signs the log at ``index``, as :meth:`_choose` does; mostly that of the entry before."""
        until, signer = self.chosen or (0, None)
        if signer is not None and index < until:
            return signer
        signer = self._choose(index)
        bounds = [bound for start, end, _ in self.network.member(self.origin).log_keys for bound in (start, end)]
        bounds += [promise.start for promise in (self.announced, self.own.rotation) if promise is not None]
        self.chosen = (
            min((bound for bound in bounds if bound is not None and bound > index), default=sys.maxsize),
            signer,
        )
        return signer

    def _choose(self, index: int) -> SigningKey:
        """Return the key that signs the log at ``index``: what another one signed could never be verified.

        Raises:
            ReadOnlyError: the network document gives none that is here, or the one that this log has promised to leave.
        """
        if self.own.readmitted != self.network.member(self.origin).readmitted:
            raise ReadOnlyError(
                "this node's log does not have the history yet that the governors have ruled",
                hint="it is fetched from the other members; try again later",
            )
        try:
            key = self.network.member(self.origin).log_key_at(index)
        except UnsignedError:
            raise ReadOnlyError(
                f"the network document gives the log no key from entry {index} on",
                field="keys/log.key",
                hint=ROTATE_HINT,
            ) from None
        signer = self.keys.log_signer(key)
        if signer is None:
            raise ReadOnlyError(
                f"the network document gives the log a key from entry {index} on that is not here: {key.vkey}",
                field="keys/log.key",
                hint=MISSING_HINT,
            )
        promise = self.announced or self.own.rotation
        if promise is not None and index >= promise.start and key.key_id == promise.signed_by:
            raise ReadOnlyError(
                f"this log has announced another key from entry {promise.start} on, and the network document does not "
                "name it yet",
                field="keys/log.key",
                hint=ROTATE_HINT,
            )
        return signer

    def _check(self, event: Event | PlainEvent, index: int, signer: SigningKey) -> None:
        if isinstance(event, SHARES):
            self._check_share(event)
        elif isinstance(event, RECEIPTS):
            self._check_receipt(event)
        elif isinstance(event, KeyRotate):
            self._check_rotation(event, index, signer)

    def _check_rotation(self, event: KeyRotate, index: int, signer: SigningKey) -> None:
        """Check the announcement of another key; of a log key, that the promise can be kept, and takes back none."""
        member = self.network.member(self.origin)
        if event.key in (*named_keys(member).values(), *(key.vkey for _, _, key in member.log_keys)):
            raise RotationError("the network document names that key already", field="key")
        start = event.start
        if start is None:
            return
        if any(key == signer.verifier and until is not None for _, until, key in member.log_keys) or (
            member.log_keys[-1][2] != signer.verifier
        ):
            raise RotationError(
                "the network document gives the key in force its end already: announce again after the switch",
                field="from",
            )
        if start <= index:
            raise RotationError(f"the next key cannot begin at {start}: this is entry {index}", field="from")
        before = self.announced or self.own.rotation
        promised = before.start if before is not None and before.signed_by == signer.verifier.key_id else None
        if promised is not None and start > promised:
            raise RotationError(f"this log has promised another key from entry {promised} on", field="from")
        self.announced, self.chosen = Rotation(start, event.key, signer.verifier.key_id), None

    def _check_share(self, share: Share | PlainShare) -> None:
        member = self.network.members.get(share.consumer)
        if member is None or not member.active:
            raise UnknownConsumerError(f"{share.consumer} is no active member of the network", field="consumer")
        if share.consumer == self.origin:
            raise UnknownConsumerError("a department does not share with itself", field="consumer")
        if share.manifest is not None:
            self._check_manifest(share)
        parents: Sequence[EntryRef | PlainRef] = share.parents or ()
        for number, parent in enumerate(parents):
            source = self._event_at(parent)
            if not isinstance(source, Share) or source.consumer != self.origin:
                raise UnknownParentError(
                    f"{parent} is no share to this department that is known here", field=f"parents[{number}]"
                )

    def _check_manifest(self, share: Share | PlainShare) -> None:
        assert share.manifest is not None
        data = self.store.get(layout.manifest_key(share.manifest.root_bytes))
        if data is None:
            raise UnknownManifestError("this node does not keep that manifest", field="manifest.root")
        count = data.split(b"\n", 2)[1]
        if count != str(share.manifest.count).encode():
            raise UnknownManifestError(f"the manifest has {count.decode()} records", field="manifest.count")

    def _check_receipt(self, receipt: Receipt | PlainReceipt) -> None:
        share = self._event_at(receipt.share)
        if not isinstance(share, Share):
            raise UnknownShareError(f"{receipt.share} is no share that is known here", field="share")
        if share.consumer != self.origin:
            raise NotYoursError(f"{receipt.share} went to {share.consumer}", field="share")
        if receipt.outcome == "accepted" and receipt.payload_digest not in (None, share.payload_digest):
            raise DigestMismatchError("the share states another digest of its payload", field="payload_digest")
        leaf = parse_hash(receipt.share.hash)
        if leaf in self.answered or self._answers(leaf):
            raise AlreadyAnsweredError(f"{receipt.share} is answered already", field="share")
        self.answered.add(leaf)

    def _answers(self, leaf: bytes) -> bool:
        prefix = layout.answer_prefix(leaf) + self.log
        return any(True for _ in self.store.scan(prefix, prefix_end(prefix), limit=1))

    def _event_at(self, ref: EntryRef | PlainRef) -> object:
        """Return the event at a reference, or None where this node does not have exactly that entry."""
        state = self.states.get(ref.log)
        if state is None or ref.index >= state.size:
            return None
        entry = read_entry(self.store, state.log, ref.index)
        return read_event(entry.event) if encode_base64(entry.leaf) == ref.hash else None


_stamp = lru_cache(64)(format_time)  # the events of a round have one time


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
