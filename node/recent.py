"""What was recorded a moment ago: so whether an id is known can be looked up before its round, off the writer's way.

A look is taken in any thread, in one snapshot of the store: which of some ids are absent, in the log that ends with the
head that the same snapshot has. A head stands for all that is before it, so this stays true for ever of that log. By
the time of the round, the log has grown; whether the ids have come since is answered from memory:

    looked:  … e5 e6│                 head h6, "id x is absent"
    round:   … e5 e6│e7 e8 e9│        h6 is a head that is remembered, and x is not an id of e7, e8, e9: it is new

A head that is not remembered, because it is too long ago, or because the log was cut back and has another history now,
makes the look worth nothing: then the store is asked in the round.
"""

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ledger.entry import ChainHead
from ledger.store import Store
from node import layout
from node.logs import encode_chain

IDS_MAX = 32_768  # that are remembered: as many rounds may pass between a look and its round as 32 large batches make


@dataclass(frozen=True, slots=True)
class Look:
    """Ids that a log does not have."""

    head: bytes  # the end of that log, as the store has it; empty before its first entry
    absent: frozenset[str]


def look(store: Store, log: bytes, keys: Iterable[tuple[str, bytes]]) -> Look:
    """Look for ids of events in a log, each given with the prefix of its key; in any thread.

    Raises:
        StoreError: as reading does.
    """
    ids, prefixes = zip(*keys, strict=True)
    with store.snapshot() as moment:
        head, *found = moment.get_many([layout.chain_key(log), *(prefix + log for prefix in prefixes)])
    return Look(head or b"", frozenset(name for name, value in zip(ids, found, strict=True) if value is None))


class Recent:
    """The ids of the newest entries of a log, and the heads between them; for the writer's thread alone."""

    def __init__(self) -> None:
        self._head = b""  # as it is stored
        self._heads: set[bytes] = set()
        self._ids: set[str] = set()
        self._rounds: deque[tuple[bytes, Collection[str]]] = deque()  # the head before each, its ids

    def follow(self, head: ChainHead) -> None:
        """Begin a round behind ``head``: if that is not where the last one ended, what was remembered says nothing."""
        if encode_chain(head) != self._head:
            self._head = encode_chain(head)
            self._heads, self._ids, self._rounds = {self._head}, set(), deque()

    def extend(self, ids: Collection[str], head: ChainHead) -> None:
        """Remember the ids of a round, and the head behind it."""
        self._rounds.append((self._head, ids))
        self._ids.update(ids)
        self._head = encode_chain(head)
        self._heads.add(self._head)
        while len(self._ids) > IDS_MAX:
            head_before, forgotten = self._rounds.popleft()
            self._heads.discard(head_before)
            self._ids.difference_update(forgotten)

    def still_absent(self, look: Look | None) -> frozenset[str]:
        """Return the ids of a look that the log has not got since either."""
        return look.absent - self._ids if look is not None and look.head in self._heads else frozenset()
