"""Random small histories of transfers, and what a naive reader makes of them, without a line of the product."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from builders import receipt_event, share_event
from hypothesis import strategies as st

from ledger.encoding import encode_base64
from ledger.event import EntryRef, Event, Receipt, Share, Violation, parse_event
from ledger.lineage import Lineage
from ledger.provenance import Statement, Trace

LOGS = ("a/log", "b/log", "c/log", "d/log")
RECORDS = tuple(digit * 32 for digit in "1234")
RECORD = RECORDS[0]  # the one that is asked for
ROOTS = {encode_base64(bytes([number]) * 32): RECORDS[number : number + 2] for number in range(3)}


def statement(log: str, index: int, event: Event | Violation, *, time: int = 0, **changes: Any) -> Statement:
    """An entry that is verified and confirmed, unless ``changes`` say otherwise; its hash follows from its place."""
    ref = EntryRef(hash=encode_base64(sha256(f"{log}#{index}".encode()).digest()), index=index, log=log)
    return Statement(**{
        "ref": ref, "time": time, "event": event, "confirmed": True, "verified": True, "words": str(ref), **changes
    })  # fmt: skip


@dataclass
class World:
    """Logs without signatures: what has been written, and a history over what is still there."""

    written: list[Statement] = field(default_factory=list)
    missing: set[EntryRef] = field(default_factory=set)

    @property
    def visible(self) -> list[Statement]:
        return [one for one in self.written if one.ref not in self.missing]

    def size(self, log: str) -> int:
        return sum(one.ref.log == log for one in self.written)

    def write(self, log: str, event: Event | Violation, *, time: int = 0, **changes: Any) -> EntryRef:
        """Write an entry; its time is never before that of the entry above it."""
        last = max((one.time for one in self.written if one.ref.log == log), default=0)
        self.written.append(statement(log, self.size(log), event, time=max(time, last), **changes))
        return self.written[-1].ref

    def share(
        self, log: str, consumer: str, *records: str, parents: Iterable[EntryRef] = (), time: int = 0, **members: Any
    ) -> EntryRef:
        """Write a share; what is not a member of the event belongs to the statement."""
        event = share_event(consumer, (log, self.size(log)), records=list(records) or None, **members)
        if references := [parent.model_dump() for parent in parents]:
            event["parents"] = references
        return self.write(log, parse_event(event), time=time)

    def receipt(self, log: str, share: EntryRef, *, time: int = 0, **members: Any) -> EntryRef:
        return self.write(log, parse_event(receipt_event(share, (log, self.size(log)), **members)), time=time)

    # ledger.lineage.History

    def naming(self, record: str) -> list[Statement]:
        return [one for one in self.visible if isinstance(one.event, Share) and record in contents(one.event)]

    def at(self, ref: EntryRef) -> Statement | None:
        return next((one for one in self.visible if one.ref == ref), None)

    def children(self, ref: EntryRef) -> list[Statement]:
        return [one for one in self.visible if isinstance(one.event, Share) and ref in (one.event.parents or ())]

    def receipts(self, ref: EntryRef) -> list[Statement]:
        return [one for one in self.visible if isinstance(one.event, Receipt) and one.event.share == ref]


def contents(share: Share) -> set[str]:
    """The records that a share is about, its manifest read."""
    return set(ROOTS[share.manifest.root]) if share.manifest is not None else set(share.records or ())


def names(share: Share) -> set[str]:
    """The references that stand in a share."""
    return {share.manifest.root} if share.manifest is not None else set(share.records or ())


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Shares and receipts of four logs, of which some do not fit together and some have been lost."""
    world = World()
    for _ in range(draw(st.integers(1, 10))):
        log = draw(st.sampled_from(LOGS))
        time = draw(st.integers(0, 3))
        shares = [one.ref for one in world.written if isinstance(one.event, Share)]
        if shares and draw(st.integers(0, 2)) == 0:
            share = draw(st.sampled_from(shares))
            outcome = draw(st.sampled_from(["accepted", "accepted", "rejected"]))
            log = draw(st.sampled_from([consumer_of(world, share), log]))
            world.receipt(log, share, outcome=outcome, time=time, payload_digest=draw(digests))
        elif draw(st.integers(0, 9)) == 0:
            world.write(log, Violation("unknown_event_type", "of the future"), time=time)
        else:
            _write_share(draw, world, log, time)
    world.missing = set(draw(st.lists(st.sampled_from([one.ref for one in world.written]), max_size=2)))
    return world


digests = st.sampled_from([None, *(f"sha-256:{encode_base64(bytes([number]) * 32)}" for number in range(2))])


def _write_share(draw: st.DrawFn, world: World, log: str, time: int) -> None:
    places = [one.ref for one in world.written]
    received = [one.ref for one in world.written if isinstance(one.event, Share) and one.event.consumer == log]
    parents = draw(st.lists(st.sampled_from(received or places), max_size=2)) if places else []
    if places and draw(st.integers(0, 4)) == 0:
        parents.append(draw(st.sampled_from(places)))
    if parents and draw(st.integers(0, 9)) == 0:
        parents[0] = EntryRef(hash=parents[0].hash, index=parents[0].index + 7, log=parents[0].log)
    parents = list({parent.hash: parent for parent in parents}.values())
    members: dict[str, Any] = {"payload_digest": draw(digests)}
    records: list[str] = []
    if draw(st.integers(0, 3)) == 0:
        members["manifest"] = {"count": 2, "root": draw(st.sampled_from(list(ROOTS)))}
    else:
        records = draw(st.lists(st.sampled_from(RECORDS), max_size=2, unique=True))
    consumer = draw(st.sampled_from([other for other in LOGS if other != log]))
    world.share(log, consumer, *records, parents=parents, time=time, **members)


def consumer_of(world: World, ref: EntryRef) -> str:
    found = world.at(ref)
    assert found is not None
    assert isinstance(found.event, Share)
    return found.event.consumer


@dataclass
class Reading:
    """What a naive reader finds of a record."""

    shares: dict[EntryRef, Share]
    named: set[EntryRef]
    context: set[EntryRef]
    receipts: dict[EntryRef, Receipt]


def read(world: World, record: str = RECORD) -> Reading:
    """The lineage of a record: add what is linked until nothing is added any more."""
    entries = {one.ref: one.event for one in world.visible}
    shares = {ref: event for ref, event in entries.items() if isinstance(event, Share)}
    named = {ref for ref, event in shares.items() if record in contents(event)}

    def leads(here: EntryRef, there: EntryRef) -> bool:
        return there in named or here not in named or not names(shares[here]) & names(shares[there])

    back, forward = set(named), set(named)
    for _ in shares:
        back |= {up for low in back for up in shares[low].parents or () if up in shares and leads(low, up)}
        forward |= {low for low in shares for up in shares[low].parents or () if up in forward and leads(up, low)}
    found = {ref: event for ref, event in shares.items() if ref in back | forward}
    context = {up for event in found.values() for up in event.parents or () if up in shares and up not in found}
    answers = {ref: event for ref, event in entries.items() if isinstance(event, Receipt) and event.share in found}
    return Reading(found, named, context, answers)


def same_lineage(found: Lineage, expected: Reading) -> bool:
    """Whether the product has collected what the naive reader has."""
    taken = {one.ref for one in found.statements.values()}
    return (
        taken == {*expected.shares, *expected.receipts}
        and {one.ref for one in found.context.values()} == expected.context
        and found.named_by == {ref.hash for ref in expected.named}
        and not found.truncated
    )


Ordered = list[EntryRef]


def order(reading: Reading, times: Mapping[EntryRef, int]) -> Ordered:
    """The causal order: again and again the first of those before which nothing stands any more."""
    waiting = set(reading.shares)
    done: Ordered = []
    while waiting:
        free = [
            ref
            for ref in waiting
            if not {parent.hash for parent in reading.shares[ref].parents or ()} & {other.hash for other in waiting}
            and not any(other.log == ref.log and other.index < ref.index for other in waiting)
            and not any(
                receipt.log == ref.log and receipt.index < ref.index and event.share in waiting
                for receipt, event in reading.receipts.items()
            )
        ]
        first = min(free, key=lambda ref: (times[ref], reading.shares[ref].occurred_at, ref.log, ref.index))
        done.append(first)
        waiting.remove(first)
    return done


def answers(reading: Reading, share: EntryRef) -> tuple[list[EntryRef], list[EntryRef]]:
    """The receipts of a share: those of its consumer in their order, and those of others."""
    all_of = sorted((ref for ref, event in reading.receipts.items() if event.share == share), key=lambda ref: ref.index)
    own = [ref for ref in all_of if ref.log == reading.shares[share].consumer]
    return own, [ref for ref in all_of if ref not in own]


def outcome(reading: Reading, share: EntryRef) -> str:
    own, _ = answers(reading, share)
    return reading.receipts[own[0]].outcome if own else "awaiting"


def gaps(reading: Reading, ordered: Sequence[EntryRef]) -> list[tuple[str, EntryRef]]:
    """Every gap with the entry that shows it."""
    found: list[tuple[str, EntryRef]] = []
    holders: dict[str, str] = {ordered[0].log: "origin"} if ordered else {}
    for here in ordered:
        share = reading.shares[here]
        own, foreign = answers(reading, here)
        found += [("foreign_receipt", ref) for ref in foreign]
        found += [("second_receipt", ref) for ref in own[1:]]
        digest = reading.receipts[own[0]].payload_digest if own else None
        if not own:
            found.append(("no_receipt", here))
        elif outcome(reading, here) == "accepted" and None not in (digest, share.payload_digest):
            found += [("digest_differs", here)] * (digest != share.payload_digest)
        found += _parent_gaps(reading, here, {ref.hash for ref in reading.context})
        sources = [up for up in share.parents or () if up.hash not in {ref.hash for ref in reading.context}]
        if here in reading.named and not sources and holders.get(here.log) != "origin":
            found.append(("parent_not_named" if here.log in holders else "source_unknown", here))
        state = {"accepted": "received", "awaiting": "unacknowledged", "rejected": None}[outcome(reading, here)]
        if state and holders.get(share.consumer) in {None, "unacknowledged"}:
            holders[share.consumer] = state
    return found


def _parent_gaps(reading: Reading, here: EntryRef, context: set[str]) -> list[tuple[str, EntryRef]]:
    found = []
    for up in reading.shares[here].parents or ():
        if up.hash in context:
            continue
        if up not in reading.shares:
            found.append(("unknown_parent", here))
        elif reading.shares[up].consumer != here.log:
            found.append(("parent_of_another", here))
        elif outcome(reading, up) == "rejected":
            found.append(("parent_rejected", here))
    return found


def holders(reading: Reading, ordered: Sequence[EntryRef]) -> dict[str, str]:
    """Who has the record, or may have it."""
    found: dict[str, set[str]] = defaultdict(set)
    for here in ordered:
        found[reading.shares[here].consumer].add(outcome(reading, here))
    states = {
        log: "received" if "accepted" in seen else "unacknowledged"
        for log, seen in found.items()
        if seen != {"rejected"}
    }
    return {**states, ordered[0].log: "origin"} if ordered else {}


def same_trace(found: Trace, reading: Reading, times: Mapping[EntryRef, int]) -> bool:
    """Whether the product has folded what the naive reader has."""
    ordered = order(reading, times)
    told = [(gap.kind, gap.entry) for gap in found.gaps]
    return (
        [hop.share.ref for hop in found.hops] == ordered
        and [hop.outcome for hop in found.hops] == [outcome(reading, ref) for ref in ordered]
        and [hop.direct for hop in found.hops] == [ref in reading.named for ref in ordered]
        and sorted(told, key=str) == sorted(gaps(reading, ordered), key=str)
        and {holder.log: holder.state for holder in found.holders} == holders(reading, ordered)
    )
