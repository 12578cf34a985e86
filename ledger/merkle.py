r"""The Merkle tree of a log: hashes, roots and proofs (RFC 6962 section 2.1, RFC 9162 section 2.1).

    MTH({})    = SHA-256()                                      the empty root
    MTH({d})   = SHA-256(0x00 || d)                             a leaf hash
    MTH(D[n])  = SHA-256(0x01 || MTH(D[0:k]) || MTH(D[k:n]))    k = the largest power of two below n

A tree of seven leaves. ``Node(level=1, index=2)`` is the hash over leaves 4 and 5; such a complete subtree over
``2**level`` leaves never changes again. An incomplete one, here x and the root, changes as the tree grows.

    level 3                 root
                       /             \
    level 2        (2,0)               x
                  /     \            /   \
    level 1    (1,0)   (1,1)     (1,2)    \
               /  \    /  \      /  \      \
    leaves     0   1   2   3     4   5      6

The inclusion proof of leaf 4 is leaf 5, leaf 6, (2,0): from the leaf's sibling up to the root's child. Whoever makes a
proof works in two passes: ask which complete subtrees are needed, read their hashes all at once, fold them.

In this package ``leaf`` always means a *leaf hash* of 32 bytes, as :func:`leaf_hash` makes it from an entry's bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple, NewType, Protocol

from ledger.encoding import DECIMAL_MAX, HASH_SIZE
from ledger.errors import ConsistencyError, InclusionError, OutOfRangeError

LeafIndex = NewType("LeafIndex", int)  # position of an entry in its log, 0 <= index < 2**63 - 1
TreeSize = NewType("TreeSize", int)  # number of entries, 0 <= size < 2**63

EMPTY_ROOT = sha256().digest()
PROOF_HASHES_MAX = 63  # a path in a tree below 2**63 leaves (c2sp.org/tlog-witness)


class Node(NamedTuple):
    """The root of a complete subtree: ``2**level`` leaves from leaf ``index << level`` on."""

    level: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls


@dataclass(frozen=True, slots=True)
class TreeHead:
    """A tree's size in leaves and its root hash."""

    size: TreeSize
    root: bytes


class HashReader(Protocol):
    """Where the hashes of complete subtrees come from: a store, tiles, memory."""

    def read_hashes(self, nodes: Sequence[Node]) -> list[bytes]:
        """Return the hash (32 bytes) of each node, in the order of ``nodes``; raise when one cannot be had."""
        ...


def leaf_hash(data: bytes) -> bytes:
    """Return the leaf hash of an entry's bytes."""
    return sha256(b"\x00" + data).digest()  # SHA-256(0x00 || entry), RFC 6962 section 2.1


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash over two subtrees of which every leaf of ``left`` comes before those of ``right``."""
    return sha256(b"\x01" + left + right).digest()  # SHA-256(0x01 || left || right), RFC 6962 section 2.1


def parents(hashes: Sequence[bytes]) -> list[bytes]:
    """Return the hashes one level up: one per pair; a last hash without a partner is left out."""
    pairs = zip(hashes[::2], hashes[1::2], strict=False)
    return [sha256(b"\x01" + left + right).digest() for left, right in pairs]  # node_hash, inlined: the hottest loop


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes (or over any row of equally high subtrees) in linear time."""
    row = list(leaves)
    while len(row) > 1:  # a hash without a partner rises unchanged: the same tree as with RFC 6962's split
        row = parents(row) + (row[-1:] if len(row) % 2 else [])
    return row[0] if row else EMPTY_ROOT


def subtrees(start: int, end: int) -> list[Node]:
    """Return the complete subtrees, left to right, whose hashes make up ``MTH(D[start:end])``.

    ``start`` is a multiple of a power of two that is at least ``end - start``, as in every range that RFC 6962 forms.
    """
    nodes = []
    while start < end:
        level = (end - start).bit_length() - 1
        nodes.append(Node(level, start >> level))
        start += 1 << level
    return nodes


def join_subtrees(hashes: Sequence[bytes]) -> bytes:
    """Return the hash over complete subtrees of falling height, left to right; of none, the empty root."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def root_hash(reader: HashReader, size: TreeSize) -> bytes:
    """Return the root of the first ``size`` leaves."""
    return _read_ranges(reader, [(0, size)])[0]


def prove_inclusion(reader: HashReader, *, index: LeafIndex, size: TreeSize) -> list[bytes]:
    """Return the proof that leaf ``index`` is in the tree of ``size`` leaves: PATH(m, D[n]), RFC 6962 section 2.1.1.

    Raises:
        OutOfRangeError: the tree has no leaf of that index.
    """
    if not 0 <= index < size:
        raise OutOfRangeError(f"a tree of {size} entries has no entry {index}", field="index", limit=size)
    ranges = []
    start, end = 0, int(size)
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return _read_ranges(reader, ranges[::-1])


def prove_consistency(reader: HashReader, *, old_size: TreeSize, new_size: TreeSize) -> list[bytes]:
    """Return the proof that the tree of ``new_size`` leaves extends its first ``old_size`` leaves.

    PROOF(m, D[n]), RFC 6962 section 2.1.2. From size 0, and between equal sizes, the proof is empty.

    Raises:
        OutOfRangeError: the old size is above the new one.
    """
    if not 0 <= old_size <= new_size:
        raise OutOfRangeError(f"size {old_size} is not before size {new_size}", field="old_size", limit=new_size)
    ranges: list[tuple[int, int]] = []
    if old_size == 0:
        return []
    start, end = 0, int(new_size)
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start > 0:  # else it is the old tree itself, whose root the verifier has
        ranges.append((start, end))
    return _read_ranges(reader, ranges[::-1])


def root_from_inclusion(*, leaf: bytes, index: LeafIndex, size: TreeSize, proof: Sequence[bytes]) -> bytes:
    """Return the root that a tree of ``size`` leaves must have if ``proof`` is right (RFC 9162 section 2.1.3.2).

    Raises:
        InclusionError: the tree has no such index, or the proof is not as long as it must be.
    """
    if not 0 <= index < size <= DECIMAL_MAX:
        raise InclusionError(f"a tree of {size} entries has no entry {index}", field="index", limit=size)
    siblings_on_left = _path(index, size - 1)
    _check_path((leaf, *proof), len(siblings_on_left) + 1, InclusionError)
    root = leaf
    for sibling, on_left in zip(proof, siblings_on_left, strict=True):
        root = node_hash(sibling, root) if on_left else node_hash(root, sibling)
    return root


def verify_inclusion(*, leaf: bytes, index: LeafIndex, size: TreeSize, root: bytes, proof: Sequence[bytes]) -> None:
    """Check that ``leaf`` (a leaf hash) is entry ``index`` of the tree with that size and root.

    Raises:
        InclusionError: it is not, or the proof does not show it.
    """
    if root_from_inclusion(leaf=leaf, index=index, size=size, proof=proof) != root:
        raise InclusionError(f"the proof does not lead from entry {index} to the root")


def verify_consistency(*, old: TreeHead, new: TreeHead, proof: Sequence[bytes]) -> None:
    """Check that the tree ``new`` begins with the whole tree ``old`` (RFC 9162 section 2.1.4.2).

    Equal sizes need equal roots and an empty proof. A tree of size 0 is consistent with every tree, so a proof from it
    shows nothing: it is refused here, and a witness that holds nothing yet does not ask (c2sp.org/tlog-witness).

    Raises:
        ConsistencyError: the new tree does not extend the old one, or the proof does not show it.
    """
    if not 0 < old.size <= new.size <= DECIMAL_MAX:
        raise ConsistencyError(f"no proof can lead from size {old.size} to size {new.size}")
    if old.size == new.size:
        _check_path(proof, 0, ConsistencyError)
        if old.root != new.root:
            raise ConsistencyError(f"two trees of size {old.size} have different roots")
        return
    starts, sides = _consistency_path(old.size, new.size)
    hashes = proof if starts else (old.root, *proof)  # as node 0 it is the old tree itself, whose root is known
    _check_path(hashes, len(sides) + 1, ConsistencyError)
    old_root, new_root = _climb(hashes, sides)
    if old_root != old.root:
        raise ConsistencyError("the proof does not lead to the old root")
    if new_root != new.root:
        raise ConsistencyError("the proof does not lead to the new root")


def root_before(*, size: TreeSize, new: TreeHead, proof: Sequence[bytes]) -> bytes | None:
    """Return the root that the tree ``new`` had at ``size``, as a consistency proof from there shows it.

    None where it does not show it: a proof from a power of two leaves that root out, since whoever verifies has it.

    Raises:
        ConsistencyError: the proof does not belong to the tree ``new``.
    """
    if not 0 < size < new.size <= DECIMAL_MAX:
        raise ConsistencyError(f"no proof can lead from size {size} to size {new.size}")
    starts, sides = _consistency_path(size, new.size)
    if not starts:
        return None
    _check_path(proof, len(sides) + 1, ConsistencyError)
    old_root, new_root = _climb(proof, sides)
    if new_root != new.root:
        raise ConsistencyError("the proof does not lead to the new root")
    return old_root


def _consistency_path(old: int, new: int) -> tuple[bool, list[bool]]:
    """Return whether a proof from ``old`` to ``new`` leaves begins with a hash of its own, and its siblings' sides."""
    node, last = old - 1, new - 1
    while node & 1:  # up to the largest complete subtree that ends the old tree
        node >>= 1
        last >>= 1
    return node != 0, _path(node, last)


def _climb(hashes: Sequence[bytes], sides: Sequence[bool]) -> tuple[bytes, bytes]:
    """Return the old and the new root to which the hashes of a consistency proof lead."""
    old_root = new_root = hashes[0]
    for sibling, on_left in zip(hashes[1:], sides, strict=True):
        if on_left:
            old_root, new_root = node_hash(sibling, old_root), node_hash(sibling, new_root)
        else:
            new_root = node_hash(new_root, sibling)
    return old_root, new_root


def _split(size: int) -> int:
    """Return the largest power of two below ``size`` (at least 2)."""
    return 1 << (size - 1).bit_length() - 1


def _path(node: int, last: int) -> list[bool]:
    """Return for each sibling on the way up from ``node`` whether it stands left; ``last`` ends the node's row."""
    sides = []
    while last:
        if node & 1:
            sides.append(True)
        elif node < last:
            sides.append(False)
        node >>= 1  # node == last, and even: it has no sibling and rises as it is
        last >>= 1
    return sides


def _check_path(hashes: Sequence[bytes], count: int, error: type[InclusionError | ConsistencyError]) -> None:
    if len(hashes) != count:
        raise error(f"the proof is too {'long' if len(hashes) > count else 'short'}", field="proof")
    if any(len(value) != HASH_SIZE for value in hashes):  # else 31 + 33 bytes could pass for 32 + 32
        raise error(f"a hash does not have {HASH_SIZE} bytes", field="proof", limit=HASH_SIZE)


def _read_ranges(reader: HashReader, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    """Return ``MTH(D[start:end])`` of each range, with one read for all of them."""
    groups = [subtrees(start, end) for start, end in ranges]
    nodes = [node for group in groups for node in group]
    hashes = reader.read_hashes(nodes)
    assert len(hashes) == len(nodes), "a HashReader answers every node"
    found = iter(hashes)
    return [join_subtrees([next(found) for _ in group]) for group in groups]
