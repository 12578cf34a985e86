"""What the events of entries leave in the store, worked out before they are written: pure, in whichever process.

Shares and receipts that are recognised (ledger/plain.py) are indexed without the models of events; these are loaded for
the first event that is anything else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

from ledger.encoding import parse_hash
from ledger.entry import ChainHead
from ledger.plain import PlainReceipt, PlainShare
from node import layout

if TYPE_CHECKING:
    from ledger.event import Receipt, Share
    from ledger.event.reading import Read
    from ledger.store.protocol import Pair


@dataclass(frozen=True, slots=True)
class Index:
    """What events leave in the store."""

    pairs: "list[Pair]"
    acting: tuple[tuple[int, bytes], ...]  # see node.logs.LogState
    wanted: bool  # whether one of them is a share to the consumer that names a manifest
    rotated: int | None  # the last entry that names the log's next key

    def __reduce__(self) -> tuple[object, ...]:
        """Be pickled column by column, which takes half of the time: whole pairs come from processes."""
        return _of_columns, (tuple(zip(*self.pairs, strict=True)), (self.acting, self.wanted, self.rotated))


@dataclass(frozen=True, slots=True)
class Growth:
    """Verified entries, as :func:`node.logs.grow` puts them behind a log."""

    leaves: list[bytes]
    chain: ChainHead  # behind the last of them
    index: Index


def index(
    log: bytes,
    start: int,
    events: Iterable["Read"],
    *,
    opening: bytes = b"",
    consumer: str | None = None,
) -> Index:
    """Return what events leave in the store: those of verified entries from ``start`` on.

    ``opening`` is the hash line of entry 0, if it is among them. Shares to ``consumer`` that name a manifest are noted,
    so that it is fetched.
    """
    found = _Found(log, consumer)
    for number, event in enumerate(events, start):
        if isinstance(event, PlainShare):
            found.share(event, found.event(event.id, number))
        elif isinstance(event, PlainReceipt):
            found.receipt(event, found.event(event.id, number))
        else:
            found.other(event, number)
    if start == 0 and opening:
        found.acting.insert(0, (0, opening))
    found.pairs += [(layout.version_key(log, number), text_hash) for number, text_hash in found.acting]
    return Index(found.pairs, tuple(found.acting), found.wanted, found.rotated)


def _of_columns(columns: tuple[Sequence[bytes], ...], rest: tuple[Any, ...]) -> Index:
    return Index(list(zip(*columns, strict=True)), *rest)


def joined(indexes: Sequence[Index]) -> Index:
    """Return what several stretches of a log leave in the store, one behind the other."""
    if len(indexes) == 1:
        return indexes[0]
    return Index(
        [pair for one in indexes for pair in one.pairs],
        tuple(version for one in indexes for version in one.acting),
        wanted=any(one.wanted for one in indexes),
        rotated=max((one.rotated for one in indexes if one.rotated is not None), default=None),
    )


class _Found:
    """What was found so far."""

    __slots__ = ("_consumer", "_log", "acting", "pairs", "rotated", "wanted")

    def __init__(self, log: bytes, consumer: str | None) -> None:
        self._log = log
        self._consumer = consumer
        self.pairs: list[Pair] = []
        self.acting: list[tuple[int, bytes]] = []
        self.wanted = False
        self.rotated: int | None = None

    def event(self, event_id: str, number: int) -> bytes:
        """Index an event by its id; return its place, as other keys end with it."""
        index_bytes = number.to_bytes(layout.INDEX_BYTES, "big")
        self.pairs.append((layout.event_key(event_id, self._log), index_bytes))
        return self._log + index_bytes

    def share(self, share: Union[PlainShare, "Share"], place: bytes) -> None:
        """Index a share by its records and parents, and by its manifest."""
        for record in share.records or ():
            self.pairs.append((layout.record_prefix(record) + place, b""))
        for parent in share.parents or ():
            self.pairs.append((layout.child_prefix(parse_hash(parent.hash)) + place, b""))
        if share.manifest is not None:
            self.pairs.append((layout.manifest_share_prefix(share.manifest.root_bytes) + place, b""))
            if share.consumer == self._consumer:
                self.pairs.append((layout.wanted_key(place), b""))
                self.wanted = True

    def receipt(self, receipt: Union[PlainReceipt, "Receipt"], place: bytes) -> None:
        """Index a receipt by the share that it answers."""
        self.pairs.append((layout.answer_prefix(parse_hash(receipt.share.hash)) + place, b""))

    def other(self, event: "Read", number: int) -> None:
        """Index an event of any type, or what is wrong with it."""
        from ledger.event import KeyRotate, NetworkAdopt, Receipt, Share, Violation  # noqa: PLC0415 - see above

        if isinstance(event, Violation):
            self.pairs.append((layout.finding_key(self._log, number), event.code.encode()))
            return
        place = self.event(event.id, number)
        if isinstance(event, Share):
            self.share(event, place)
        elif isinstance(event, Receipt):
            self.receipt(event, place)
        elif isinstance(event, NetworkAdopt) and number:
            self.acting.append((number, parse_hash(event.hash)))
        elif isinstance(event, KeyRotate) and event.start is not None:
            self.pairs.append((layout.rotation_prefix() + place, b""))
            self.rotated = number
