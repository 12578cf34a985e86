"""A foreign log on paper: leaves of no meaning, checkpoints as any C2SP log signs them, and its forks."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from node_helpers import seed

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.merkle import Node as TreeNode
from ledger.merkle import TreeSize, leaf_hash, prove_consistency, root_of
from ledger.note import ED25519, Note, Signer
from ledger.witness_request import AddCheckpoint


class _Leaves:
    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._leaves = leaves

    def read_hashes(self, nodes: Sequence[TreeNode]) -> list[bytes]:
        return [root_of(self._leaves[n.index << n.level : (n.index + 1) << n.level]) for n in nodes]


@dataclass
class ForeignLog:
    """One history of a log outside of the network."""

    origin: str
    key_name: str = ""  # the origin, where nothing else is said
    leaves: list[bytes] = field(default_factory=list)
    extensions: tuple[str, ...] = ()

    @property
    def signer(self) -> Signer:
        return Signer(self.key_name or self.origin, ED25519, seed(self.origin, "foreign"))

    @property
    def setting(self) -> dict[str, Any]:
        """The log as the settings name it."""
        return {"origin": self.origin, "vkeys": [self.signer.verifier.vkey]}

    @property
    def size(self) -> int:
        return len(self.leaves)

    def grow(self, count: int, branch: str = "") -> Self:
        self.leaves += [leaf_hash(seed(self.origin, branch, str(self.size + n))) for n in range(count)]
        return self

    def fork(self, size: int, count: int, branch: str = "fork") -> "ForeignLog":
        """The same log with another history from ``size`` on."""
        return replace(self, leaves=self.leaves[:size]).grow(count, branch)

    def root(self, size: int | None = None) -> bytes:
        return root_of(self.leaves[: self.size if size is None else size])

    def checkpoint(self, size: int | None = None, *, root: bytes | None = None) -> Note:
        size = self.size if size is None else size
        promised = self.root(size) if root is None else root
        return sign_checkpoint(self.signer, Checkpoint(self.origin, TreeSize(size), promised, self.extensions))

    def proof(self, old: int, new: int) -> list[bytes]:
        reader = _Leaves(self.leaves[:new])
        return prove_consistency(reader, old_size=TreeSize(old), new_size=TreeSize(new)) if 0 < old < new else []

    def request(self, old: int, size: int | None = None, *, root: bytes | None = None) -> bytes:
        """The body of an add-checkpoint request."""
        size = self.size if size is None else size
        return AddCheckpoint(TreeSize(old), tuple(self.proof(old, size)), self.checkpoint(size, root=root)).encode()
