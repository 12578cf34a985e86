"""What a round of the sequencer takes: each submission as a whole or not at all, by the rules that need the store."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ledger.encoding import encode_base64, parse_hash
from ledger.errors import LedgerError, UnsignedError
from ledger.event import EntryRef, Event, KeyRotate, Share, read_event
from ledger.event.reading import RECEIPTS, SHARES
from ledger.event.transfer import Receipt
from ledger.network import Network
from ledger.note import SigningKey
from ledger.plain import PlainEvent, PlainReceipt, PlainRef, PlainShare
from ledger.store import Store
from ledger.store.protocol import prefix_end
from node import layout, logs
from node.briefs import Brief
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
from node.keys import MISSING_HINT, ROTATE_HINT, NodeKeys, named_keys
from node.logs import LogState, Rotation
from node.recent import Recent
from node.submission import Prepared, Recorded, Submission

Place = Recorded | int  # recorded before, or its number in this round
Places: TypeAlias = list[Place] | list[Place | LedgerError] | LedgerError  # of a submission, or why it was refused


@dataclass(slots=True)
class Admission:
    """The events that one round takes, and what has been promised within it."""

    store: Store
    own: LogState
    recent: Recent
    keys: NodeKeys
    network: Network
    states: Mapping[str, LogState]  # as they are on the disk: what other jobs of the round have put cannot be read yet
    fresh: list[Prepared] = field(default_factory=list)
    signers: list[SigningKey] = field(default_factory=list)  # of each of them
    chosen: tuple[int, SigningKey] | None = None  # up to which index which key signs
    announced: Rotation | None = None
    ids: dict[str, int] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()  # of the submission's ids: not in the log, by a look that was taken before
    answered: set[bytes] = field(default_factory=set)  # leaf hashes of shares

    @property
    def origin(self) -> str:
        """The log."""
        return self.own.origin

    @property
    def log(self) -> bytes:
        """Its place in keys."""
        return self.own.log

    def admit(self, item: Submission) -> Places:
        """Take a submission's events, or give back all that was taken of it; each for itself if they are apart."""
        if (unseen := self.admit_unseen(item)) is not None:
            return unseen
        if item.apart:
            return [one if isinstance(one, LedgerError) else one[0] for one in map(self._admit, zip(item.events))]
        return self._admit(item.events)

    def _admit(self, events: Sequence[Prepared]) -> list[Place] | LedgerError:
        """Take events one by one, or give back all that was taken of them."""
        mark, announced = len(self.fresh), self.announced
        answered = set(self.answered) if any(isinstance(one.event, RECEIPTS) for one in events) else self.answered
        places: list[Place] = []
        for number, prepared in enumerate(events):
            try:
                places.append(self._admit_one(prepared))
            except LedgerError as error:
                for taken in self.fresh[mark:]:
                    del self.ids[taken.event.id]
                del self.fresh[mark:], self.signers[mark:]
                self.answered, self.announced, self.chosen = answered, announced, None
                return error.at(f"events[{number}]") if len(events) > 1 else error
        return places

    def admit_unseen(self, item: Submission) -> list[Place] | None:
        """Take a submission's events without asking the store; None, with nothing taken, if it has to be asked."""
        self.absent = self.recent.still_absent(item.look)
        return self._admit_all(item.events) if self._are_new_and_plain(item.events) else None

    def _are_new_and_plain(self, events: Sequence[Prepared]) -> bool:
        """Tell whether nothing can speak against any event: then the events need not be looked at one by one."""
        if not events or len(self.absent) != len(events):  # one is not new, or two have the same id
            return False
        consumers = {_consumer(prepared.event) for prepared in events}
        if "" in consumers or not self.absent.isdisjoint(self.ids):
            return False
        first = self.own.size + len(self.fresh)
        try:
            for consumer in consumers:
                self._check_consumer(consumer)
            self._signer(first)
        except LedgerError:  # which of them it is, and in which words, is found one by one
            return False
        return self.chosen is not None and first + len(events) <= self.chosen[0]

    def _admit_all(self, events: Sequence[Prepared]) -> list[Place]:
        assert self.chosen is not None
        places = range(len(self.fresh), len(self.fresh) + len(events))
        self.ids.update(zip((prepared.event.id for prepared in events), places, strict=True))
        self.fresh += events
        self.signers += [self.chosen[1]] * len(events)
        return list(places)

    def _admit_one(self, prepared: Prepared) -> Place:
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

    def _known(self, prepared: Prepared) -> Place | None:
        """Return where the event stands already; the same id with other content is a conflict."""
        event_id = prepared.event.id
        number = self.ids.get(event_id)
        if number is not None:
            if self.fresh[number].text != prepared.text:
                raise ConflictError(f"the id {event_id} is used for another event just now", field="id")
            return number
        if event_id in self.absent:
            return None
        value = self.store.get(layout.event_key(event_id, self.log))
        if value is None:
            return None
        entry = logs.read_entry(self.store, self.log, int.from_bytes(value, "big"))
        if entry.event_text != prepared.text:
            raise ConflictError(f"the id {event_id} is recorded with other content", field="id")
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

    def _check(self, event: Event | PlainEvent | Brief, index: int, signer: SigningKey) -> None:
        if isinstance(event, Brief):
            self._check_consumer(event.consumer)
        elif isinstance(event, SHARES):
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
        if promised is not None and start != promised:  # the document may be on its way that names one from there on
            raise RotationError(f"this log has promised another key from entry {promised} on", field="from")
        self.announced, self.chosen = Rotation(start, event.key, signer.verifier.key_id), None

    def _check_share(self, share: Share | PlainShare) -> None:
        self._check_consumer(share.consumer)
        if share.manifest is not None:
            self._check_manifest(share)
        parents: Sequence[EntryRef | PlainRef] = share.parents or ()
        for number, parent in enumerate(parents):
            source = self._event_at(parent)
            if not isinstance(source, Share) or source.consumer != self.origin:
                raise UnknownParentError(
                    f"{parent} is no share to this department that is known here", field=f"parents[{number}]"
                )

    def _check_consumer(self, consumer: str) -> None:
        member = self.network.members.get(consumer)
        if member is None or not member.active:
            raise UnknownConsumerError(f"{consumer} is no active member of the network", field="consumer")
        if consumer == self.origin:
            raise UnknownConsumerError("a department does not share with itself", field="consumer")

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
        entry = logs.read_entry(self.store, state.log, ref.index)
        return read_event(entry.event) if encode_base64(entry.leaf) == ref.hash else None


def _consumer(event: Event | PlainEvent | Brief) -> str:
    """Return to whom a share goes that nothing in the store can speak against; empty for any other event."""
    if isinstance(event, Brief):
        return event.consumer
    if isinstance(event, PlainShare) and event.parents is None and event.manifest is None:
        return event.consumer
    return ""
