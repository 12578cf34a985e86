"""Roots and proofs against the recursive oracle, foreign vectors and every small mutation."""

import base64
import functools
from collections.abc import Sequence
from typing import Any

import oracle
import pytest
import shared_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import merkle
from ledger.errors import ConsistencyError, InclusionError, OutOfRangeError
from ledger.merkle import LeafIndex, Node, TreeHead, TreeSize

SIZE = 40  # every tree up to this size, every pair of sizes, every index
LEAVES = oracle.leaves_of(SIZE)
ROOTS = [oracle.root(LEAVES[:size]) for size in range(SIZE + 1)]


def head(size: int) -> TreeHead:
    return TreeHead(TreeSize(size), ROOTS[size])


@functools.cache
def inclusion_proof(index: int, size: int) -> tuple[bytes, ...]:
    return tuple(oracle.path(index, LEAVES[:size]))


@functools.cache
def consistency_proof(old: int, new: int) -> tuple[bytes, ...]:
    return tuple(oracle.consistency(old, LEAVES[:new]))


def included(leaf: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    try:
        merkle.verify_inclusion(leaf=leaf, index=LeafIndex(index), size=TreeSize(size), root=root, proof=proof)
    except InclusionError:
        return False
    return True


def consistent(old: TreeHead, new: TreeHead, proof: Sequence[bytes]) -> bool:
    try:
        merkle.verify_consistency(old=old, new=new, proof=proof)
    except ConsistencyError:
        return False
    return True


def broken(proof: Sequence[bytes]) -> list[tuple[bytes, ...]]:
    """The proof with one bit changed, and longer, shorter and reordered ones."""
    proofs = []
    for at, value in enumerate(proof):
        for bit in range(256):
            flipped = (int.from_bytes(value, "big") ^ 1 << bit).to_bytes(32, "big")
            proofs.append((*proof[:at], flipped, *proof[at + 1 :]))
        proofs.append((*proof[:at], *proof[at + 1 :]))
        proofs.append((*proof[:at], value[:-1], *proof[at + 1 :]))
        proofs.append((*proof[:at], value + b"\x00", *proof[at + 1 :]))
    proofs += [(*proof, bytes(32)), (bytes(32), *proof), (*proof, b""), (*proof, *proof, bytes(32))]
    if tuple(reversed(proof)) != tuple(proof):
        proofs.append(tuple(reversed(proof)))
    return proofs


def test_the_hashes_are_those_of_rfc_6962() -> None:
    assert merkle.EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle.leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert merkle.leaf_hash(b"L123456").hex() == "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    node = merkle.node_hash(b"N123", b"N456")
    assert node.hex() == "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"


def test_a_root_is_that_of_the_oracle_for_every_small_size() -> None:
    for size in range(SIZE + 1):
        reader = oracle.MemoryReader(LEAVES[:size])
        assert merkle.root_hash(reader, TreeSize(size)) == ROOTS[size] == merkle.root_of(LEAVES[:size])
        assert len(reader.reads) == 1


def test_every_inclusion_proof_is_that_of_the_oracle_and_verifies() -> None:
    for size in range(1, SIZE + 1):
        for index in range(size):
            reader = oracle.MemoryReader(LEAVES[:size])
            proof = merkle.prove_inclusion(reader, index=LeafIndex(index), size=TreeSize(size))
            assert tuple(proof) == inclusion_proof(index, size)
            assert len(reader.reads) == 1
            assert included(LEAVES[index], index, size, ROOTS[size], proof)


def test_every_consistency_proof_is_that_of_the_oracle_and_verifies() -> None:
    for new in range(1, SIZE + 1):
        for old in range(1, new + 1):
            reader = oracle.MemoryReader(LEAVES[:new])
            proof = merkle.prove_consistency(reader, old_size=TreeSize(old), new_size=TreeSize(new))
            assert tuple(proof) == consistency_proof(old, new)
            assert len(reader.reads) == 1
            assert consistent(head(old), head(new), proof)


def test_an_inclusion_proof_verifies_for_no_other_index() -> None:
    for size in range(1, 18):
        for index in range(size):
            proof = inclusion_proof(index, size)
            for other in range(-1, size + 2):
                assert included(LEAVES[index], other, size, ROOTS[size], proof) == (other == index)


def test_an_inclusion_proof_for_another_tree_is_rejected() -> None:
    for size in range(1, 18):
        for other in range(1, 18):
            for index in range(min(size, other)):
                root = ROOTS[other]
                assert included(LEAVES[index], index, other, root, inclusion_proof(index, size)) == (other == size)


def test_every_mutation_of_an_inclusion_proof_is_rejected() -> None:
    for size in (1, 2, 3, 7, 8, 13):
        for index in {0, size // 2, size - 1}:
            for proof in broken(inclusion_proof(index, size)):
                assert not included(LEAVES[index], index, size, ROOTS[size], proof)


@pytest.mark.parametrize("leaf", [b"", bytes(31), bytes(33), b"the entry itself"])
def test_what_is_not_a_leaf_hash_is_rejected(leaf: bytes) -> None:
    assert not included(leaf, 0, 1, leaf, ())


def test_an_inner_hash_passes_for_no_leaf_of_the_same_tree() -> None:
    inner = merkle.node_hash(LEAVES[0], LEAVES[1])
    sibling = merkle.node_hash(LEAVES[2], LEAVES[3])
    for index in range(4):
        assert not included(inner, index, 4, ROOTS[4], [sibling])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 1), (0, 2**63), (2**64 - 1, 1), (2**63, 2**64)])
def test_an_index_outside_of_the_tree_is_rejected(index: int, size: int) -> None:
    assert not included(LEAVES[0], index, size, LEAVES[0], ())


def test_the_deepest_tree_needs_63_hashes_and_no_more() -> None:
    size, proof = TreeSize(2**63 - 1), (bytes(32),) * merkle.PROOF_HASHES_MAX
    root = merkle.root_from_inclusion(leaf=LEAVES[0], index=LeafIndex(0), size=size, proof=proof)
    assert included(LEAVES[0], 0, size, root, proof)
    assert not included(LEAVES[0], 0, size, root, (*proof, bytes(32)))


def test_a_consistency_proof_between_other_trees_is_rejected() -> None:
    for new in range(1, 18):
        for old in range(1, new):
            proof = consistency_proof(old, new)
            for other in range(18):
                assert consistent(head(other), head(new), proof) == (other == old)
                assert consistent(head(old), head(other), proof) == (other == new)


def test_the_signature_and_not_the_proof_binds_a_root_to_its_size() -> None:
    mislabelled = TreeHead(TreeSize(4), ROOTS[3])  # seen from leaf 0, trees of 3 and 4 leaves have the same shape
    assert consistent(head(1), mislabelled, consistency_proof(1, 3))
    assert included(LEAVES[0], 0, 4, ROOTS[3], inclusion_proof(0, 3))
    assert not consistent(head(3), mislabelled, consistency_proof(3, 4))


def test_every_mutation_of_a_consistency_proof_is_rejected() -> None:
    for old, new in [(1, 1), (1, 2), (2, 3), (3, 7), (4, 7), (6, 7), (4, 8), (7, 8), (6, 13)]:
        for proof in broken(consistency_proof(old, new)):
            assert not consistent(head(old), head(new), proof)


def test_a_fork_is_rejected_whatever_its_proof() -> None:
    forked = [*LEAVES[:3], merkle.leaf_hash(b"another"), *LEAVES[4:8]]
    fork = TreeHead(TreeSize(8), oracle.root(forked))
    assert consistent(head(3), fork, oracle.consistency(3, forked))
    for old in range(4, 8):
        assert not consistent(head(old), fork, oracle.consistency(old, forked))
        assert not consistent(head(old), fork, consistency_proof(old, 8))


def test_a_consistency_proof_shows_the_root_before_unless_that_is_left_out() -> None:
    for new in range(2, 18):
        for old in range(1, new):
            shown = merkle.root_before(size=TreeSize(old), new=head(new), proof=consistency_proof(old, new))
            assert shown == (None if old & (old - 1) == 0 else ROOTS[old])


def test_a_proof_of_another_tree_shows_no_root_before() -> None:
    proof = consistency_proof(6, 13)
    for size, new, hashes in [
        (6, TreeHead(TreeSize(13), ROOTS[12]), proof),
        (6, head(13), proof[:-1]),
        (6, head(13), (*proof, bytes(32))),
        (6, head(13), (proof[0][:31], *proof[1:])),
        (6, head(13), ()),
        (13, head(13), proof),
        (0, head(13), proof),
    ]:
        with pytest.raises(ConsistencyError):
            merkle.root_before(size=TreeSize(size), new=new, proof=hashes)
    for bent in broken(proof):
        try:
            shown = merkle.root_before(size=TreeSize(6), new=head(13), proof=bent)
        except ConsistencyError:
            continue
        raise AssertionError(f"shows {shown!r}")


def test_a_proof_for_a_shrunken_tree_is_rejected() -> None:
    for new in range(1, 9):
        for old in range(new + 1, 10):
            assert not consistent(head(old), head(new), consistency_proof(new, old))
            assert not consistent(head(old), head(new), ())


def test_equal_sizes_need_equal_roots_and_an_empty_proof() -> None:
    assert consistent(head(5), head(5), ())
    assert not consistent(head(5), head(5), (ROOTS[5],))
    assert not consistent(head(5), TreeHead(TreeSize(5), ROOTS[6]), ())


def test_a_proof_from_size_zero_is_rejected_even_when_it_is_empty() -> None:
    assert merkle.prove_consistency(oracle.MemoryReader([]), old_size=TreeSize(0), new_size=TreeSize(0)) == []
    assert merkle.prove_consistency(oracle.MemoryReader(LEAVES), old_size=TreeSize(0), new_size=TreeSize(7)) == []
    assert not consistent(head(0), head(0), ())
    assert not consistent(head(0), head(7), ())
    assert not consistent(head(0), head(1), (ROOTS[1],))


def test_a_size_of_2_to_the_63_is_rejected() -> None:
    assert not consistent(head(1), TreeHead(TreeSize(2**63), ROOTS[1]), (bytes(32),) * 63)
    assert not consistent(TreeHead(TreeSize(2**63), ROOTS[1]), TreeHead(TreeSize(2**63), ROOTS[1]), ())


def test_nothing_is_proven_about_what_the_tree_does_not_have() -> None:
    reader = oracle.MemoryReader(LEAVES)
    for index, size in [(0, 0), (5, 5), (-1, 5)]:
        with pytest.raises(OutOfRangeError):
            merkle.prove_inclusion(reader, index=LeafIndex(index), size=TreeSize(size))
    for old, new in [(6, 5), (-1, 5)]:
        with pytest.raises(OutOfRangeError):
            merkle.prove_consistency(reader, old_size=TreeSize(old), new_size=TreeSize(new))
    assert reader.reads == []


def test_the_complete_subtrees_of_a_tree_have_the_heights_of_its_one_bits() -> None:
    for size in range(300):
        nodes = merkle.subtrees(0, size)
        assert sum(1 << node.level for node in nodes) == size
        assert [node.level for node in nodes] == [bit for bit in reversed(range(9)) if size >> bit & 1]
    assert merkle.subtrees(4, 7) == [Node(1, 2), Node(0, 6)]


@settings(deadline=None)
@given(st.integers(1, 700), st.data())
def test_proofs_of_any_tree_verify(size: int, data: st.DataObject) -> None:
    leaves = [bytes([number % 256, number // 256]) * 16 for number in range(size)]
    reader = oracle.MemoryReader(leaves)
    tree = TreeSize(size)
    root = merkle.root_hash(reader, tree)
    assert root == merkle.root_of(leaves) == oracle.root(leaves)
    index = LeafIndex(data.draw(st.integers(0, size - 1)))
    merkle.verify_inclusion(
        leaf=leaves[index],
        index=index,
        size=tree,
        root=root,
        proof=merkle.prove_inclusion(reader, index=index, size=tree),
    )
    old = TreeSize(data.draw(st.integers(1, size)))
    merkle.verify_consistency(
        old=TreeHead(old, merkle.root_of(leaves[:old])),
        new=TreeHead(tree, root),
        proof=merkle.prove_consistency(reader, old_size=old, new_size=tree),
    )


@given(
    st.integers(-1, 2**64),
    st.integers(-1, 2**64),
    st.lists(st.binary(max_size=34), max_size=70),
    st.binary(max_size=34),
)
def test_hostile_proofs_raise_nothing_but_verification_errors(
    first: int, second: int, proof: list[bytes], root: bytes
) -> None:
    included(root, first, second, root, proof)
    consistent(TreeHead(TreeSize(first), root), TreeHead(TreeSize(second), root), proof)


def _decoded(vector: dict[str, Any], name: str) -> bytes:
    return base64.b64decode(vector[name] or "")


def _proof(vector: dict[str, Any]) -> list[bytes]:
    return [base64.b64decode(line) for line in vector["proof"] or []]


def test_inclusion_vectors_of_transparency_dev() -> None:
    vectors = shared_vectors.load("merkle_inclusion.json")["vectors"]
    for vector in vectors:
        leaf, root = _decoded(vector, "leafHash"), _decoded(vector, "root")
        accepted = included(leaf, vector["leafIdx"], vector["treeSize"], root, _proof(vector))
        assert accepted != vector["wantErr"], vector["_file"]


def test_consistency_vectors_of_transparency_dev() -> None:
    vectors = shared_vectors.load("merkle_consistency.json")["vectors"]
    for vector in vectors:
        old = TreeHead(TreeSize(vector["size1"]), _decoded(vector, "root1"))
        new = TreeHead(TreeSize(vector["size2"]), _decoded(vector, "root2"))
        assert consistent(old, new, _proof(vector)) != vector["wantErr"], vector["_file"]
