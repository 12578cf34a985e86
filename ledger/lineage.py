"""Lineage: which entries tell of a record.

The shares that name the record are the beginning. Their parents lead back to what it came from, their children forward
to what became of it; what else became of its sources, or what else went into its products, is another record's history.

A share may be linked to one that names the record without naming it itself. Where the two have a reference in common,
the link is about that other record, and ends here. Where they have none, the data went on under another name (a merged
or processed product, a department with references of its own), and from there on every link is followed, since nobody
can tell which of the new references stands for the record.

Parents that are known, but no part of this history, are its context. Those that are not known, or are no shares, are
gaps (see :mod:`ledger.provenance`).
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ledger.event import EntryRef, Share
from ledger.provenance import Statement

SHARES_MAX = 2000  # of one record's history; what is cut off is said, never silently dropped
STATEMENTS_MAX = 2 * SHARES_MAX  # with the receipts: one each, as a rule


class History(Protocol):
    """Where statements come from: a node's indexes, or the entries of an evidence file."""

    def naming(self, record: str) -> Sequence[Statement]:
        """Return the shares that name the record, by themselves or through a manifest."""
        ...

    def at(self, ref: EntryRef) -> Statement | None:
        """Return the entry at that place, if it is there and has that hash."""
        ...

    def children(self, ref: EntryRef) -> Sequence[Statement]:
        """Return the shares that name this share as a parent."""
        ...

    def receipts(self, ref: EntryRef) -> Sequence[Statement]:
        """Return the receipts that answer this share."""
        ...


@dataclass(slots=True)
class Lineage:
    """The entries that tell of a record."""

    record: str
    statements: dict[str, Statement] = field(default_factory=dict)  # shares and receipts by leaf hash
    named_by: set[str] = field(default_factory=set)  # leaf hashes of the shares that name the record
    context: dict[str, Statement] = field(default_factory=dict)  # parents that belong to other histories
    truncated: bool = False


def collect(record: str, history: History) -> Lineage:
    """Return the entries that tell of ``record``; empty where no share names it."""
    lineage = Lineage(record)
    named = history.naming(record)
    lineage.named_by.update(statement.ref.hash for statement in named)
    _follow(lineage, named, lambda share: _parents(share, history))
    _follow(lineage, named, lambda share: history.children(share.ref))
    for statement in list(lineage.statements.values()):
        _add_context(lineage, statement, history)
        for receipt in history.receipts(statement.ref):
            _take(lineage, receipt, STATEMENTS_MAX)
    return lineage


def _follow(lineage: Lineage, start: Iterable[Statement], linked: Callable[[Statement], Iterable[Statement]]) -> None:
    """Take the shares from ``start`` on, as far as the links of one direction are about the record."""
    queue = deque(start)
    seen: set[str] = set()
    while queue:
        share = queue.popleft()
        if share.ref.hash in seen or not _take(lineage, share, SHARES_MAX):
            continue
        seen.add(share.ref.hash)
        queue.extend(there for there in linked(share) if _goes_on(lineage, share, there))


def _goes_on(lineage: Lineage, here: Statement, there: Statement) -> bool:
    """Tell whether the link between two shares, of which ``here`` belongs to the history, is about the record.

    A share that names the record need not be reached by any link: it belongs to the history from the beginning.
    """
    if not isinstance(there.event, Share):
        return False
    return here.ref.hash not in lineage.named_by or not _names(_share(here)) & _names(there.event)


def _names(event: Share) -> set[str]:
    """Return the references that a share names; a manifest stands for itself, its records are not known here."""
    return {event.manifest.root} if event.manifest is not None else set(event.records or ())


def _parents(statement: Statement, history: History) -> list[Statement]:
    found = (history.at(ref) for ref in _share(statement).parents or ())
    return [parent for parent in found if parent is not None]


def _add_context(lineage: Lineage, statement: Statement, history: History) -> None:
    for parent in _parents(statement, history):
        if isinstance(parent.event, Share) and parent.ref.hash not in lineage.statements:
            lineage.context[parent.ref.hash] = parent


def _take(lineage: Lineage, statement: Statement, limit: int) -> bool:
    """Add a statement, or say that there is no room for it."""
    if statement.ref.hash not in lineage.statements and len(lineage.statements) >= limit:
        lineage.truncated = True
        return False
    lineage.statements[statement.ref.hash] = statement
    return True


def _share(statement: Statement) -> Share:
    assert isinstance(statement.event, Share), "a history's links lead from share to share"
    return statement.event
