"""Provenance: fold shares and receipts into a record's transfer history.

The history is a graph: a share leads from its provider to its consumer, its parents are the shares that the data came
from, a receipt answers it. The fold orders the shares causally, says who holds the record and on what ground, and names
every gap: what the entries do not say, or say against each other. It never guesses and never repairs, and the order in
which it is given the entries does not matter.

Causal order: a share stands behind its parents and behind the earlier entries of its own log. Between shares that
nothing orders, the ledger's time decides, then the stated one. (A cycle would need a hash that contains itself, or a
quorum that has cosigned a log whose chain is broken.)
"""

import heapq
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from ledger.encoding import format_time
from ledger.errors import ChainError
from ledger.event import EntryRef, Event, Receipt, Share, Violation

SCHEMA = "suyuan.trace/1"

# What a hop repeats of its share, where it is there.
_TOLD = {"resource", "resource_version", "legal_basis", "grant", "method", "mode"}
_TOLD |= {"case", "system", "operator", "fields", "rows", "labels"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One entry as a witness in the fold: what it says, and how far it has been verified."""

    ref: EntryRef
    time: int  # milliseconds, the entry's own
    event: Event | Violation
    confirmed: bool  # covered by a checkpoint with a quorum
    verified: bool
    words: str  # what was verified, or what is wrong

    @property
    def place(self) -> tuple[str, int]:
        """Log and index."""
        return self.ref.log, self.ref.index


class Gap(NamedTuple):
    """Something that the history does not say, or says against itself."""

    kind: str
    detail: str
    entry: EntryRef | None

    def to_json(self) -> dict[str, Any]:
        """Return the gap as the trace's JSON has it."""
        return {"kind": self.kind, "detail": self.detail, "entry": self.entry and self.entry.model_dump()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One transfer: the share, and the consumer's answer to it."""

    share: Statement
    event: Share
    receipt: Statement | None
    answer: Receipt | None
    direct: bool  # the share names the record itself; else it is linked to one that does by its parents

    @property
    def outcome(self) -> Literal["accepted", "rejected", "awaiting"]:
        """What the consumer has answered."""
        return "awaiting" if self.answer is None else self.answer.outcome

    @property
    def verified(self) -> bool:
        """Whether both sides, as far as they have spoken, have been verified."""
        return self.share.verified and (self.receipt is None or self.receipt.verified)

    @property
    def confirmed(self) -> bool:
        """Whether a quorum has cosigned both sides, as far as they have spoken."""
        return self.share.confirmed and (self.receipt is None or self.receipt.confirmed)

    def to_json(self) -> dict[str, Any]:
        """Return the hop as the trace's JSON has it."""
        event = self.event
        told = event.model_dump(exclude_none=True, include=_TOLD)
        return {
            "from": self.share.ref.log,
            "to": event.consumer,
            "time": format_time(self.share.time),
            "occurred_at": event.occurred_at,
            "purpose": event.purpose,
            **told,
            "share": self.share.ref.model_dump(),
            "receipt": self._receipt_json(),
            "parents": [parent.model_dump() for parent in event.parents or ()],
            "relation": "record" if self.direct else "derived",
            "outcome": self.outcome,
            "state": "confirmed" if self.confirmed else "recorded",
            "verified": self.verified,
            "verification": self.share.words,
        }

    def _receipt_json(self) -> dict[str, Any] | None:
        if self.receipt is None or self.answer is None:
            return None
        said = {
            **self.receipt.ref.model_dump(),
            "time": format_time(self.receipt.time),
            "occurred_at": self.answer.occurred_at,
            "outcome": self.answer.outcome,
            "verified": self.receipt.verified,
            "verification": self.receipt.words,
        }
        return said if self.answer.reason is None else {**said, "reason": self.answer.reason}


@dataclass(slots=True, kw_only=True)
class Holder:
    """A department that has the record, or may have it."""

    log: str
    state: Literal["origin", "received", "unacknowledged"]
    since: int  # milliseconds
    share: EntryRef | None

    def to_json(self) -> dict[str, Any]:
        """Return the holder as the trace's JSON has it."""
        return {
            "log": self.log,
            "state": self.state,
            "since": format_time(self.since),
            "share": self.share and self.share.model_dump(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A record's transfer history."""

    record: str
    hops: tuple[Hop, ...]
    holders: tuple[Holder, ...]
    gaps: tuple[Gap, ...]
    checkpoints: tuple[dict[str, Any], ...] = field(default=())
    truncated: bool = False

    @property
    def verified(self) -> bool:
        """Whether every hop has been verified; of the gaps it says nothing."""
        return all(hop.verified for hop in self.hops)

    def to_json(self) -> dict[str, Any]:
        """Return the whole history in the schema ``suyuan.trace/1``."""
        return {
            "schema": SCHEMA,
            "record": self.record,
            "hops": [hop.to_json() for hop in self.hops],
            "holders": [holder.to_json() for holder in self.holders],
            "gaps": [gap.to_json() for gap in self.gaps],
            "checkpoints": list(self.checkpoints),
            "truncated": self.truncated,
        }


def fold(
    record: str,
    statements: Iterable[Statement],
    *,
    named_by: frozenset[str],
    known: frozenset[str] = frozenset(),
    gaps: Sequence[Gap] = (),
    checkpoints: Sequence[dict[str, Any]] = (),
    truncated: bool = False,
) -> Trace:
    """Return the history that ``statements``, shares and receipts in any order, tell of ``record``.

    ``named_by`` has the leaf hashes (base64) of the shares that name the record, by themselves or through their
    manifest; the others are there because their parents link them. ``known`` has those of parents that exist but are no
    part of this history. ``gaps`` are those that the collector has met already.

    Raises:
        ChainError: the shares are each other's source.
    """
    found = list(gaps)
    shares: list[tuple[Statement, Share]] = []
    answers: dict[EntryRef, list[tuple[Statement, Receipt]]] = defaultdict(list)
    for statement in sorted(statements, key=lambda statement: (*statement.place, statement.ref.hash)):
        if isinstance(statement.event, Share):
            shares.append((statement, statement.event))
        elif isinstance(statement.event, Receipt):
            answers[statement.event.share].append((statement, statement.event))
        else:
            found.append(Gap("unreadable", _why(statement), statement.ref))
    order = _causal_order(shares, answers)
    hops = [_hop(statement, event, answers.pop(statement.ref, ()), named_by, found) for statement, event in order]
    found.extend(
        Gap("unknown_share", f"{statement.ref} answers {event.share}, which is not here", statement.ref)
        for unclaimed in answers.values()
        for statement, event in unclaimed
    )
    holders = _walk(hops, known, found)
    return Trace(
        record=record,
        hops=tuple(hops),
        holders=tuple(holders.values()),
        gaps=tuple(found),
        checkpoints=tuple(checkpoints),
        truncated=truncated,
    )


def _why(statement: Statement) -> str:
    if isinstance(statement.event, Violation):
        return f"{statement.ref} breaks the schema of its type: {statement.event.message}"
    return f"{statement.ref} is neither a share nor a receipt"


def _causal_order(
    shares: list[tuple[Statement, Share]], answers: Mapping[EntryRef, Sequence[tuple[Statement, Receipt]]]
) -> list[tuple[Statement, Share]]:
    """Return the shares, given by log and index, in an order that everything which orders them agrees with."""
    by_hash = {statement.ref.hash: number for number, (statement, _) in enumerate(shares)}
    before: list[set[int]] = [set() for _ in shares]
    for number, (_, event) in enumerate(shares):
        before[number] |= {by_hash[parent.hash] for parent in event.parents or () if parent.hash in by_hash}
    for number, ((earlier, _), (later, _)) in enumerate(pairwise(shares), 1):
        if earlier.ref.log == later.ref.log:
            before[number].add(number - 1)
    places = [statement.place for statement, _ in shares]
    for number, (statement, _) in enumerate(shares):
        for receipt, _ in answers.get(statement.ref, ()):
            following = bisect_right(places, receipt.place)  # the next share of the log that has answered
            if following < len(shares) and places[following][0] == receipt.ref.log:
                before[following].add(number)
    return [shares[number] for number in _sorted_topologically(before, shares)]


def _sorted_topologically(before: list[set[int]], shares: list[tuple[Statement, Share]]) -> list[int]:
    after: dict[int, list[int]] = defaultdict(list)
    for number, earlier in enumerate(before):
        for predecessor in earlier:
            after[predecessor].append(number)
    waiting = [len(earlier) for earlier in before]

    def rank(number: int) -> tuple[int, str, int]:
        statement, event = shares[number]
        return statement.time, event.occurred_at, number

    ready = [rank(number) for number, count in enumerate(waiting) if count == 0]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        number = heapq.heappop(ready)[-1]
        order.append(number)
        for follower in after[number]:
            waiting[follower] -= 1
            if waiting[follower] == 0:
                heapq.heappush(ready, rank(follower))
    if len(order) < len(shares):
        caught = next(statement.ref for number, (statement, _) in enumerate(shares) if waiting[number])
        raise ChainError(f"{caught} comes from shares that come from it", field="parents")
    return order


def _hop(
    share: Statement,
    event: Share,
    answers: Sequence[tuple[Statement, Receipt]],
    named_by: frozenset[str],
    gaps: list[Gap],
) -> Hop:
    own = [answer for answer in answers if answer[0].ref.log == event.consumer]
    gaps.extend(
        Gap("foreign_receipt", f"{statement.ref} answers {share.ref}, which was not for its log", statement.ref)
        for statement, _ in answers
        if statement.ref.log != event.consumer
    )
    gaps.extend(
        Gap("second_receipt", f"{statement.ref} answers {share.ref} once more", statement.ref)
        for statement, _ in own[1:]
    )
    receipt, answer = own[0] if own else (None, None)
    if answer is None:
        gaps.append(Gap("no_receipt", f"{event.consumer} has not answered {share.ref}", share.ref))
    elif answer.outcome == "accepted" and _differ(event.payload_digest, answer.payload_digest):
        gaps.append(
            Gap("digest_differs", f"{event.consumer} has received another digest than {share.ref} states", share.ref)
        )
    return Hop(share=share, event=event, receipt=receipt, answer=answer, direct=share.ref.hash in named_by)


def _differ(stated: str | None, received: str | None) -> bool:
    return stated is not None and received is not None and stated != received


def _walk(hops: list[Hop], known: frozenset[str], gaps: list[Gap]) -> dict[str, Holder]:
    """Follow the record from hop to hop: who has it, and whether every provider had it from somewhere."""
    holders: dict[str, Holder] = {}
    by_hash = {hop.share.ref.hash: hop for hop in hops}
    for hop in hops:
        provider = hop.share.ref.log
        if not holders:
            holders[provider] = Holder(log=provider, state="origin", since=hop.share.time, share=None)
        _check_parents(hop, by_hash, known, gaps)
        if hop.direct and all(parent.hash in known for parent in hop.event.parents or ()):
            _check_source(hop, holders.get(provider), gaps)
        _hand_over(hop, holders)
    return holders


def _check_parents(hop: Hop, by_hash: dict[str, Hop], known: frozenset[str], gaps: list[Gap]) -> None:
    here = hop.share.ref
    for parent in hop.event.parents or ():
        if parent.hash in known:
            continue
        source = by_hash.get(parent.hash)
        if source is None or source.share.ref != parent:
            gaps.append(
                Gap("unknown_parent", f"{here} names {parent} as its source, which is no share that is here", here)
            )
        elif source.event.consumer != here.log:
            gaps.append(Gap("parent_of_another", f"{here} names {parent}, which went to {source.event.consumer}", here))
        elif source.outcome == "rejected":
            gaps.append(Gap("parent_rejected", f"{here} passes on {parent}, which was rejected", here))


def _check_source(hop: Hop, holder: Holder | None, gaps: list[Gap]) -> None:
    here = hop.share.ref
    if holder is None:
        gaps.append(Gap("source_unknown", f"nothing says where {here.log} had the record of {here} from", here))
    elif holder.state != "origin":
        gaps.append(Gap("parent_not_named", f"{here} passes on a received record without naming its source", here))


def _hand_over(hop: Hop, holders: dict[str, Holder]) -> None:
    consumer = hop.event.consumer
    holder = holders.get(consumer)
    if hop.answer is not None and hop.answer.outcome == "accepted" and hop.receipt is not None:
        if holder is None or holder.state == "unacknowledged":
            holders[consumer] = Holder(log=consumer, state="received", since=hop.receipt.time, share=hop.share.ref)
    elif hop.answer is None and holder is None:
        holders[consumer] = Holder(log=consumer, state="unacknowledged", since=hop.share.time, share=hop.share.ref)
