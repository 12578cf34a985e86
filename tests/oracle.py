"""The Merkle tree straight from RFC 6962 section 2.1: recursive, slow and obviously right."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from ledger.merkle import Node


def leaves_of(size: int) -> list[bytes]:
    """Leaf hashes of the entries 0, 1, 2 …, each spelled in decimal."""
    return [mth([str(number).encode()]) for number in range(size)]


def mth(entries: Sequence[bytes]) -> bytes:
    """MTH over entries."""
    if not entries:
        return sha256(b"").digest()
    return root([sha256(b"\x00" + entry).digest() for entry in entries])


def root(leaves: Sequence[bytes]) -> bytes:
    """MTH over leaf hashes."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = _split(len(leaves))
    return sha256(b"\x01" + root(leaves[:k]) + root(leaves[k:])).digest()


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n]), section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = _split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), root(leaves[k:])]
    return [*path(m - k, leaves[k:]), root(leaves[:k])]


def consistency(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PROOF(m, D[n]), section 2.1.2, for 0 < m <= n."""
    return _subproof(m, leaves, whole=True)


def tile(leaves: Sequence[bytes], *, level: int, index: int, width: int) -> bytes:
    """The bytes of a hash tile, from the formula of c2sp.org/tlog-tiles."""
    span = 256**level
    starts = range(index * 256 * span, (index * 256 + width) * span, span)
    assert starts[-1] + span <= len(leaves), "the tree has no such tile"
    return b"".join(root(leaves[start : start + span]) for start in starts)


@dataclass
class MemoryReader:
    """A HashReader over leaf hashes that counts its reads and refuses what is not a complete subtree of the tree."""

    leaves: Sequence[bytes]
    reads: list[list[Node]] = field(default_factory=list)

    def read_hashes(self, nodes: Sequence[Node]) -> list[bytes]:
        self.reads.append(list(nodes))
        assert len(set(nodes)) == len(nodes), "asked for a node twice"
        return [self._hash(node) for node in nodes]

    def _hash(self, node: Node) -> bytes:
        start, end = node.index << node.level, (node.index + 1) << node.level
        assert 0 <= start < end <= len(self.leaves), "the tree has no such node"
        return root(self.leaves[start:end])


def _subproof(m: int, leaves: Sequence[bytes], *, whole: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if whole else [root(leaves)]
    k = _split(len(leaves))
    if m <= k:
        return [*_subproof(m, leaves[:k], whole=whole), root(leaves[k:])]
    return [*_subproof(m - k, leaves[k:], whole=False), root(leaves[:k])]


def _split(size: int) -> int:
    k = 1
    while 2 * k < size:
        k *= 2
    return k
