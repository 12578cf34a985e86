"""Checkpoints of this node's own log, made in the writer's thread: what is signed is what is on the disk.

The entries since the last checkpoint are read again and hashed again: where they are many, most of them a moment before
in another thread, for nothing is recorded meanwhile here. Then the head file is written, then the checkpoint; after a
crash between the two the entries are there, and the head file is right.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.errors import LedgerError, StoreCorruptError
from ledger.merkle import TreeSize, leaf_hash
from ledger.network import Network
from ledger.note import SigningKey
from ledger.quorum import Judged, judge_checkpoint
from ledger.store import Store
from ledger.store.headfile import write_head
from ledger.store.protocol import key_after, prefix_end
from ledger.tile import Edge
from node import layout, logs
from node.errors import IntegrityAlarm, ReadOnlyError
from node.keys import MISSING_HINT, NodeKeys
from node.logs import LogState
from node.writer import Transaction

MANY = 64  # entries since the last checkpoint: half a millisecond of reading and hashing
PAGE = 256  # entries that are read at a time


class _Read(NamedTuple):
    """What was found on the disk: the tree up to a checkpoint and some entries behind it."""

    checkpoint_size: int
    edge: Edge


class Checkpoints:
    """Makes the checkpoints of one log."""

    def __init__(
        self, own: str, *, keys: Callable[[], NodeKeys], network: Callable[[], Network], head_file: Path
    ) -> None:
        self._own = own
        self._keys = keys
        self._network = network
        self._head_file = head_file
        self._ahead: _Read | None = None

    def are_many(self, state: LogState) -> bool:
        """Tell whether so much was recorded since the last checkpoint that it pays to :meth:`look_ahead`."""
        return state.size - _checkpoint_size(state) >= MANY

    def look_ahead(self, store: Store, state: LogState) -> None:
        """Read and hash what is to be signed next, in any thread; :meth:`sign` reads what has come since.

        What cannot be read, or is not what was recorded, is read again by :meth:`sign`, which says so.
        """
        size = _checkpoint_size(state)
        with suppress(LedgerError):
            leaves = self._leaves(store, state, size, state.size - size)
            self._ahead = _Read(size, logs.read_edge(store, state, size).extended(leaves)[0])

    def sign(self, transaction: Transaction) -> Judged | None:
        """Return the checkpoint of the log as it stands, signed and stored; None where none is wanted.

        Raises:
            IntegrityAlarm: what is stored is not what was recorded.
            ReadOnlyError: the log's key is not here.
        """
        state = transaction.committed(self._own)
        known = state.confirmed  # under a newer network document its quorum may have become too small
        if state.size == 0 or not self.can_be_confirmed(state):
            return None
        if known is not None and known.size == state.size and known.confirmed:
            return None
        if state.checkpoint is not None and state.checkpoint.size == state.size:
            return state.checkpoint
        self._rehash(transaction.store, state)
        checkpoint = Checkpoint(self._own, TreeSize(state.size), state.edge.root())
        note = sign_checkpoint(self._signer(checkpoint.size), checkpoint)
        judged = judge_checkpoint(note, self._network())
        write_head(self._head_file, note.encode())
        state = logs.with_checkpoint(transaction.state(self._own), judged, transaction.batch)
        transaction.put_state(logs.with_cosigned(state, judged, transaction.batch))
        return judged

    def can_be_confirmed(self, state: LogState) -> bool:
        """Tell whether anybody cosigns the log, and whose cosignatures it takes.

        That is not known while the log acts under a version of the network document that an old copy of this folder has
        lost: the peers tell it.
        """
        network = self._network()
        return network.member(self._own).active and state.version_at(state.size, network) is not None

    def _signer(self, size: int) -> SigningKey:
        """Return the key that signs a checkpoint of ``size`` entries: that of the last entry."""
        key = self._network().member(self._own).checkpoint_key(size)
        signer = self._keys().log_signer(key)
        if signer is None:
            raise ReadOnlyError(f"the log key {key.vkey} is not here", field="keys/log.key", hint=MISSING_HINT)
        return signer

    def _rehash(self, store: Store, state: LogState) -> None:
        """Compare the stored entries since the last checkpoint with the tree (one bit flip once retired a public log).

        Raises:
            IntegrityAlarm: they differ, or cannot be read any more.
        """
        start = _checkpoint_size(state)
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead.checkpoint_size == start and ahead.edge.size <= state.size:
            with suppress(StoreCorruptError):  # of a log that was cut back and has grown anew, something else was read
                if self._root_again(store, state, ahead.edge) == state.edge.root():
                    return
        try:
            root = self._root_again(store, state, logs.read_edge(store, state, start))
        except StoreCorruptError as error:
            raise IntegrityAlarm(f"the entries from {start} on are damaged: {error}", field=self._own) from None
        if root != state.edge.root():
            raise IntegrityAlarm(
                f"the entries {start} to {state.size - 1} on the disk are not those that were recorded", field=self._own
            )

    def _root_again(self, store: Store, state: LogState, edge: Edge) -> bytes:
        """Return the root of the tree that continues ``edge`` with what is stored; nothing may stand behind."""
        expected = state.size - edge.size
        leaves = self._leaves(store, state, edge.size, expected + 1)
        if len(leaves) != expected:
            raise StoreCorruptError(f"{len(leaves)} entries where {expected} were recorded", field=self._own)
        return edge.extended(leaves)[0].root()

    def _leaves(self, store: Store, state: LogState, start: int, most: int) -> list[bytes]:
        """Return the leaf hashes of the entries that are stored from ``start`` on, at most so many."""
        leaves: list[bytes] = []
        key, end = layout.entry_key(state.log, start), prefix_end(b"E" + state.log)
        while len(leaves) < most and (page := store.page(key, end, min(PAGE, most - len(leaves)))):
            leaves += [leaf_hash(raw) for _, raw in page]
            key = key_after(page[-1][0])
        return leaves


def _checkpoint_size(state: LogState) -> int:
    return state.checkpoint.size if state.checkpoint is not None else 0
