"""Checkpoints of this node's own log, made in the writer's thread: what is signed is what is on the disk.

The entries since the last checkpoint are read again and hashed again. Then the head file is written, then the
checkpoint; after a crash between the two the entries are there, and the head file is right.
"""

from collections.abc import Callable
from pathlib import Path

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.errors import StoreCorruptError
from ledger.merkle import TreeSize, leaf_hash
from ledger.network import Network
from ledger.note import SigningKey
from ledger.quorum import Judged, judge_checkpoint
from ledger.store.headfile import write_head
from ledger.store.protocol import key_after, prefix_end
from node import layout, logs
from node.errors import IntegrityAlarm, ReadOnlyError
from node.keys import MISSING_HINT, NodeKeys
from node.logs import LogState
from node.writer import Transaction


class Checkpoints:
    """Makes the checkpoints of one log."""

    def __init__(
        self, own: str, *, keys: Callable[[], NodeKeys], network: Callable[[], Network], head_file: Path
    ) -> None:
        self._own = own
        self._keys = keys
        self._network = network
        self._head_file = head_file

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
        self._rehash(transaction, state)
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

    def _rehash(self, transaction: Transaction, state: LogState) -> None:
        """Compare the stored entries since the last checkpoint with the tree (one bit flip once retired a public log).

        Raises:
            IntegrityAlarm: they differ, or cannot be read any more.
        """
        start = state.checkpoint.size if state.checkpoint is not None else 0
        try:
            root = self._root_again(transaction, state, start)
        except StoreCorruptError as error:
            raise IntegrityAlarm(f"the entries from {start} on are damaged: {error}", field=self._own) from None
        if root != state.edge.root():
            raise IntegrityAlarm(
                f"the entries {start} to {state.size - 1} on the disk are not those that were recorded", field=self._own
            )

    def _root_again(self, transaction: Transaction, state: LogState, start: int) -> bytes:
        expected = state.size - start
        leaves: list[bytes] = []
        key, end = layout.entry_key(state.log, start), prefix_end(b"E" + state.log)
        while page := transaction.store.page(key, end, max(expected - len(leaves), 0) + 1):  # nothing may stand behind
            leaves += [leaf_hash(raw) for _, raw in page]
            key = key_after(page[-1][0])
        if len(leaves) != expected:
            raise StoreCorruptError(f"{len(leaves)} entries where {expected} were recorded", field=self._own)
        again, _ = logs.read_edge(transaction.store, state, start).extended(leaves)
        return again.root()
