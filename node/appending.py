"""A round on its way behind the log, part by part, so that those who sign need not wait for the one who writes.

part 1   chain │ ···sign··· │ grow
part 2         │ chain │ ···sign··· │ grow
part 3                 │ chain │····│ ···sign··· │ grow        with two processes that sign
part 4                         │ chain │····│ ···sign··· │ grow
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby

from ledger.entry import ChainHead, chain
from ledger.errors import LedgerError
from ledger.note import SigningKey
from ledger.store.protocol import Batch
from node import briefs, indexing, logs
from node.admission import Admission
from node.briefs import Brief
from node.indexing import Growth, Index
from node.logs import LogState
from node.signatories import ROUND_MIN, Signatories
from node.signing import Signed
from node.submission import Prepared

PART_MAX = 250  # events that are signed at one time by one process


@dataclass(frozen=True, slots=True)
class _Part:
    """Events of a round that are being signed."""

    events: list[Prepared]
    head: ChainHead  # behind them
    signed: Callable[[], Signed]  # waits for their entries


@dataclass(frozen=True, slots=True)
class _Next:
    """Events of a round that are chained, and not being signed yet."""

    signer: SigningKey
    events: list[Prepared]
    texts: list[bytes]
    head: ChainHead


class Appending:
    """What a round takes, as it is put behind the log."""

    def __init__(self, round_: Admission, signatories: Signatories, *, time: int) -> None:
        """Give to those who sign as many parts as they take; :meth:`finish` must follow."""
        self.time = time
        self.leaves: list[bytes] = []  # of the entries
        self._state = round_.own
        self._signatories = signatories
        self._parts = self._chained(round_)
        self._next = next(self._parts, None)
        self._under_way: deque[_Part] = deque()
        try:
            while len(self._under_way) < signatories.in_line and self._next is not None:
                self._sign()
        except BaseException:
            self._hear_out()
            raise

    def finish(self, batch: Batch) -> LogState:
        """Put the entries behind the log into ``batch``; return the log with them.

        Raises:
            LedgerError: the device or process that has the key does not sign now.
        """
        try:
            while self._under_way:
                part = self._under_way[0]
                index = _index(self._state, part.events)
                self._under_way.popleft()
                signed = part.signed()
                if self._next is not None:
                    self._sign()
                self.leaves += signed.leaves
                growth = Growth(signed.leaves, part.head, index)
                self._state = logs.grow(self._state, signed.raws, growth, batch)
        finally:
            self._hear_out()
        return self._state

    def _sign(self) -> None:
        part = self._next
        assert part is not None
        self._under_way.append(_Part(part.events, part.head, self._signatories.begin(part.signer, part.texts)))
        self._next = next(self._parts, None)

    def _hear_out(self) -> None:
        """Wait for what an error has left: else the next round would hear what was asked for here."""
        while self._under_way:
            with suppress(LedgerError):
                self._under_way.popleft().signed()

    def _chained(self, round_: Admission) -> Iterator[_Next]:
        head = round_.own.chain
        for signer, events in _parts(round_, self._signatories.at_once):
            texts, head = chain(head, [prepared.text for prepared in events], time=self.time)
            yield _Next(signer, events, texts, head)


def _parts(round_: Admission, at_once: int) -> Iterator[tuple[SigningKey, list[Prepared]]]:
    """Cut a round: each part has one key, and there are parts for all who sign at one time."""
    size = min(max(-(-len(round_.fresh) // at_once), ROUND_MIN), PART_MAX)
    start = 0
    for signer, group in groupby(round_.signers):  # one key, or two where the round crosses the end of one
        end = start + len(list(group))
        for first in range(start, end, size):
            yield signer, round_.fresh[first : min(first + size, end)]
        start = end


def _index(state: LogState, events: list[Prepared]) -> Index:
    """Return what a part leaves in the store; what is here in brief has brought its keys."""
    indexes, start = list[Index](), state.size
    for _, group in groupby(events, lambda prepared: isinstance(prepared.event, Brief)):
        part = list(group)
        brief = [prepared.event for prepared in part if isinstance(prepared.event, Brief)]
        whole = (one.event for one in part if not isinstance(one.event, Brief))
        indexes.append(
            briefs.index(state.log, start, brief)
            if brief
            else indexing.index(state.log, start, whole, opening=state.chain.previous)
        )
        start += len(part)
    return indexing.joined(indexes)
