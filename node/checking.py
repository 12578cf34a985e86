"""Checking pieces of a log: all that can be verified and worked out before a piece's place in the chain is known.

A piece is a run of entries of one log as a peer gave them. Whether it follows what is stored here shows only when all
before it is stored; everything else (format, canonical JSON, order, signatures, schemas, index keys, leaf hashes) does
not depend on that, takes nearly all of the time, and is pure. So it can be done ahead, and in a process beside.

Such a process (see node/verifying.py) runs :func:`serve`: it answers every piece with what :func:`check` gives, or with
None for one that does not hold.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.entry import ChainHead, Confirmed, confirm_entries, parse_entry, verify_entries
from ledger.errors import LedgerError
from ledger.logkeys import LogKeys
from ledger.plain import recognise
from node import line
from node.indexing import Growth, index
from node.layout import log_id

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ledger.event.reading import Read


@dataclass(frozen=True, slots=True)
class Piece:
    """Entries of one log from ``start`` on, at least one; nothing of it is verified."""

    keys: LogKeys  # of the log
    start: int
    raws: list[bytes]
    consumer: str  # whose shares with a manifest are noted

    @property
    def size_bytes(self) -> int:
        """How many bytes its entries have."""
        return sum(map(len, self.raws))


@dataclass(frozen=True, slots=True)
class Checked:
    """What a piece comes to, if the log ends as ``begins`` says."""

    begins: ChainHead
    growth: Growth

    def follows(self, head: ChainHead) -> bool:
        """Tell whether the piece continues a log that ends with ``head``."""
        first = self.begins
        same = (first.origin, first.size, first.previous) == (head.origin, head.size, head.previous)
        return same and first.time >= head.time


def check(piece: Piece, *, pool: "Executor | None" = None) -> Checked | None:
    """Check a piece as if the log ended as its first entry says; None if it does not hold: then judge it."""
    try:
        first = parse_entry(piece.raws[0])
        begins = ChainHead(piece.keys.origin, piece.start, first.previous, first.time)
        return _confirm(begins, piece) or judge(begins, piece, pool=pool)
    except LedgerError:
        return None


def judge(head: ChainHead, piece: Piece, *, pool: "Executor | None" = None) -> Checked:
    """Check a piece against the end of the log.

    Raises:
        LedgerError: as :func:`ledger.entry.verify_entries`, naming the entry.
    """
    entries, chain = verify_entries(head, piece.raws, key_at=piece.keys.at, pool=pool)
    from ledger.event import read_event  # noqa: PLC0415 - what holds is mostly recognised, without models

    events = (read_event(entry.event) for entry in entries)
    return _checked(head, piece, events, [entry.leaf for entry in entries], chain)


def _confirm(head: ChainHead, piece: Piece) -> Checked | None:
    confirmed: Confirmed[Read] | None = confirm_entries(
        head, piece.raws, key_at=piece.keys.within(piece.start, piece.start + len(piece.raws)), read=_read
    )
    if confirmed is None:
        return None
    return _checked(head, piece, confirmed.events, confirmed.leaves, confirmed.head)


def _read(text: bytes) -> "Read | None":
    event = recognise(text)
    if event is not None:
        return event
    from ledger.event.reading import read_other  # noqa: PLC0415 - a process loads models for what needs them

    return read_other(text)


def _checked(
    head: ChainHead,
    piece: Piece,
    events: Iterable["Read"],
    leaves: list[bytes],
    chain: ChainHead,
) -> Checked:
    opening = head.previous if piece.start == 0 else b""
    found = index(log_id(head.origin), piece.start, events, opening=opening, consumer=piece.consumer)
    return Checked(head, Growth(leaves, chain, found))


def serve(descriptor: int) -> None:
    """Check pieces that come over a line, until it is closed."""
    line.serve(descriptor, _answer)


def _answer(piece: object) -> Checked | None:
    assert isinstance(piece, Piece)
    return check(piece)
