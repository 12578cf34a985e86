"""Lineage: which entries tell of a record.

Shares that name the record are the beginning. From there the parents lead back and the children forward, as long as they are
about this record: they name it too, or they share no reference with the share that links them, which means that the data went on
under another name (a merged or processed product, a department with references of its own). A linked share about other records
only is known, but no part of this history.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ledger.event import EntryRef, Share
from ledger.provenance import Gap, Statement

SHARES_MAX = 2000  # of one record's history; what is cut off is said, never silently dropped


class History(Protocol):
    """Where statements come from: a node's indexes, or the entries of an evidence file."""

    def naming(self, record: str) -> Sequence[Statement]:
        """Return the shares that name the record, by themselves or through a manifest."""

    def at(self, ref: EntryRef) -> Statement | None:
        """Return the entry at that place, if it is there and has that hash."""

    def children(self, ref: EntryRef) -> Sequence[Statement]:
        """Return the shares that name this share as a parent."""

    def receipts(self, ref: EntryRef) -> Sequence[Statement]:
        """Return the receipts that answer this share."""


@dataclass(slots=True)
class Lineage:
    """The entries that tell of a record."""

    record: str
    statements: dict[str, Statement] = field(default_factory=dict)  # shares and receipts by leaf hash
    named_by: set[str] = field(default_factory=set)  # leaf hashes of the shares that name the record
    context: dict[str, Statement] = field(default_factory=dict)  # parents that tell of other records
    gaps: list[Gap] = field(default_factory=list)
    truncated: bool = False


def collect(record: str, history: History) -> Lineage:
    """Return the entries that tell of ``record``; empty where no share names it."""
    lineage = Lineage(record)
    queue: deque[Statement] = deque()
    for statement in history.naming(record):
        lineage.named_by.add(statement.ref.hash)
        _take(lineage, statement, queue)
    while queue:
        statement = queue.popleft()
        for receipt in history.receipts(statement.ref):
            lineage.statements[receipt.ref.hash] = receipt
        _step_back(lineage, statement, history, queue)
        for child in history.children(statement.ref):
            if _goes_on(lineage, statement, child):
                _take(lineage, child, queue)
    for taken in lineage.statements:
        lineage.context.pop(taken, None)
    return lineage


def _step_back(lineage: Lineage, statement: Statement, history: History, queue: deque[Statement]) -> None:
    assert isinstance(statement.event, Share)
    for ref in statement.event.parents or ():
        parent = history.at(ref)
        if parent is None:
            continue  # the fold names it as a gap
        if _goes_on(lineage, statement, parent):
            _take(lineage, parent, queue)
        else:
            lineage.context[parent.ref.hash] = parent


def _goes_on(lineage: Lineage, here: Statement, there: Statement) -> bool:
    """Tell whether a linked share is about the same record."""
    if there.ref.hash in lineage.named_by:
        return True
    if not isinstance(there.event, Share) or not isinstance(here.event, Share):
        return False
    return not _names(here.event) & _names(there.event)


def _names(event: Share) -> set[str]:
    """The references that a share names; a manifest stands for itself, since both parties of a link have the same one."""
    return {event.manifest.root} if event.manifest is not None else set(event.records or ())


def _take(lineage: Lineage, statement: Statement, queue: deque[Statement]) -> None:
    if statement.ref.hash in lineage.statements:
        return
    if len(lineage.statements) >= 2 * SHARES_MAX:
        lineage.truncated = True
        return
    lineage.statements[statement.ref.hash] = statement
    if isinstance(statement.event, Share):
        queue.append(statement)
