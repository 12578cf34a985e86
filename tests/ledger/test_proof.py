"""Proof files: one spelling, verified offline, every mutation rejected."""

import base64

import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import merkle
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.cosignature import add_signatures, cosign
from ledger.errors import (
    CheckpointError,
    InclusionError,
    LedgerError,
    MalformedError,
    NoteError,
    ProofFormatError,
    TooLongError,
    TooManyError,
    UnsignedError,
)
from ledger.merkle import LeafIndex, TreeSize
from ledger.note import COSIGNATURE, ED25519, Note, Signer, open_note
from ledger.proof import MAGIC, Proof, parse_proof, verify_proof

ORIGIN = "police.ordos.example/log"
LOG = Signer(ORIGIN, ED25519, bytes(range(32)))
WITNESS = Signer("tax.ordos.example/witness", COSIGNATURE, bytes(range(32, 64)))
LEAVES = oracle.leaves_of(13)
CHECKPOINT = Checkpoint(ORIGIN, TreeSize(13), oracle.root(LEAVES))
NOTE = sign_checkpoint(LOG, CHECKPOINT)


def proof_of(index: int, extra: bytes | None = None) -> Proof:
    return Proof(LeafIndex(index), tuple(oracle.path(index, LEAVES)), NOTE, extra)


def verified(data: bytes, leaf: bytes) -> bool:
    try:
        verify_proof(parse_proof(data), leaf=leaf, origin=ORIGIN, log_keys=[LOG.verifier])
    except LedgerError:
        return False
    return True


def test_a_proof_file_has_the_lines_of_the_specification() -> None:
    hashes = "".join(f"{base64.b64encode(value).decode()}\n" for value in oracle.path(12, LEAVES))
    assert hashes.count("\n") == 2
    assert proof_of(12, b"why").encode() == (
        f"c2sp.org/tlog-proof@v1\nextra d2h5\nindex 12\n{hashes}\n{NOTE.encode().decode()}".encode()
    )


def test_the_example_in_the_docstring_verifies() -> None:
    leaves = [merkle.leaf_hash(data) for data in (b"", b"\x00")]  # as the vectors of transparency-dev
    root = merkle.root_of(leaves)
    assert base64.b64encode(root) == b"+sVCA+fMaWzw38tCySodnbr3CtnmIfS9jZhmLwDjwSU="
    text = (
        f"{MAGIC}\nindex 0\nlqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c=\n\n"
        + sign_checkpoint(LOG, Checkpoint(ORIGIN, TreeSize(2), root)).encode().decode()
    )
    assert verified(text.encode(), leaves[0])


def test_every_entry_of_a_tree_has_a_proof_that_verifies_for_it_alone() -> None:
    for index, leaf in enumerate(LEAVES):
        data = proof_of(index).encode()
        assert parse_proof(data) == proof_of(index)
        assert parse_proof(data).encode() == data
        for other in LEAVES:
            assert verified(data, other) == (other == leaf)
        with pytest.raises(InclusionError):
            verify_proof(proof_of(index), leaf=bytes(32), origin=ORIGIN, log_keys=[LOG.verifier])


def test_every_mutation_of_a_proof_file_is_rejected() -> None:
    for index in (0, 12):
        data = proof_of(index).encode()
        assert verified(data, LEAVES[index])
        for at in range(len(data)):
            for bit in range(8):
                assert not verified(data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :], LEAVES[index])
            assert not verified(data[:at], LEAVES[index])
            assert not verified(data[:at] + data[at : at + 1] + data[at:], LEAVES[index])


def test_a_proof_names_its_log() -> None:
    with pytest.raises(UnsignedError):
        verify_proof(proof_of(0), leaf=LEAVES[0], origin="tax.ordos.example/log", log_keys=[LOG.verifier])
    with pytest.raises(UnsignedError):
        verify_proof(proof_of(0), leaf=LEAVES[0], origin=ORIGIN, log_keys=[WITNESS.verifier])


def test_the_quorum_is_judged_from_the_checkpoint_that_is_returned() -> None:
    note = add_signatures(NOTE, [cosign(WITNESS, CHECKPOINT, time=1234)])
    proof = Proof(LeafIndex(0), tuple(oracle.path(0, LEAVES)), note)
    signed = verify_proof(parse_proof(proof.encode()), leaf=LEAVES[0], origin=ORIGIN, log_keys=[LOG.verifier])
    assert signed.checkpoint == proof.checkpoint == CHECKPOINT
    assert [one.key for one in signed.signatures] == [LOG.verifier]
    assert [one.time for one in open_note(signed.note, [WITNESS.verifier])] == [1234]


HASH = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
HASHES_63, HASHES_64 = f"{HASH}\n" * 63, f"{HASH}\n" * 64
TAIL = NOTE.encode().decode()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", ProofFormatError),
        ("\n\n", ProofFormatError),
        (f"{MAGIC}\n", ProofFormatError),
        (f"{MAGIC}\nindex 0\n", ProofFormatError),
        (f"{MAGIC}\nindex 0\n\n", NoteError),
        (f"{MAGIC}\nindex 0\n\nhello\n", NoteError),
        (f"{MAGIC}\nindex 0\n\n{TAIL}\n", NoteError),
        (f"{MAGIC}\nindex 0\n\n{TAIL}{HASH}\n", NoteError),
        (f"{MAGIC}\nindex 0\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\n\n{TAIL}", ProofFormatError),
        (f"c2sp.org/tlog-proof@v2\nindex 0\n\n{TAIL}", ProofFormatError),
        (f"{MAGIC} \nindex 0\n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\r\nindex 0\n\n{TAIL}", ProofFormatError),
        (f"\n{MAGIC}\nindex 0\n\n{TAIL}", ProofFormatError),
        (f"index 0\n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nindex\n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nindex \n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nindex 00\n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nindex -1\n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nindex  0\n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nindex 0 \n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nindex {2**63}\n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nindex ٠\n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nIndex 0\n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nindex 0\nindex 0\n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nindex 0\nextra QQ==\n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nextra QQ==\n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nextra QQ==\nextra QQ==\nindex 0\n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nextra \nindex 0\n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nextra\nindex 0\n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nextra QR==\nindex 0\n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nextra QQ\nindex 0\n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nindex 0\n{HASH[:-1]}\n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nindex 0\n {HASH}\n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nindex 0\n{HASH} \n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nindex 0\n{HASH[:-2]}J=\n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nindex 0\nQQ==\n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nindex 0\n{'A' * 44}\n\n{TAIL}", ProofFormatError),
        (f"{MAGIC}\nindex 0\n\n{HASH}\n\n{TAIL}", CheckpointError),
        (f"{MAGIC}\nindex 0\n\n\n{TAIL}", CheckpointError),
        (f"{MAGIC}\nindex 0\n\nhello\n\n— a Uw2QOkn8\n", CheckpointError),
    ],
)
def test_what_is_not_a_proof_file_is_rejected(text: str, error: type[MalformedError]) -> None:
    with pytest.raises(error):
        parse_proof(text.encode())


def test_a_proof_has_at_most_63_hashes() -> None:
    assert len(parse_proof(f"{MAGIC}\nindex 0\n{HASHES_63}\n{TAIL}".encode()).hashes) == 63
    with pytest.raises(TooManyError) as caught:
        parse_proof(f"{MAGIC}\nindex 0\n{HASHES_64}\n{TAIL}".encode())
    assert caught.value.limit == 63


def test_a_proof_file_is_read_up_to_its_size_limit() -> None:
    data = proof_of(0).encode()
    assert parse_proof(data, size_max=len(data)) == proof_of(0)
    with pytest.raises(TooLongError):
        parse_proof(data, size_max=len(data) - 1)


def test_extra_data_is_kept_and_believed_by_nobody() -> None:
    proof = proof_of(3, b"\x00\xffanything")
    assert parse_proof(proof.encode()) == proof
    assert verified(proof.encode(), LEAVES[3])
    assert verified(proof_of(3, b"something else").encode(), LEAVES[3])


def test_a_proof_holds_a_checkpoint_and_no_other_note() -> None:
    with pytest.raises(CheckpointError):
        Proof(LeafIndex(0), (), Note("hello\n", (LOG.sign("hello\n"),)))


@given(
    st.integers(0, 2**63 - 1),
    st.lists(st.binary(min_size=32, max_size=32), max_size=63).map(tuple),
    st.none() | st.binary(min_size=1, max_size=50),
)
def test_every_proof_is_read_as_it_was_written(index: int, hashes: tuple[bytes, ...], extra: bytes | None) -> None:
    proof = Proof(LeafIndex(index), hashes, NOTE, extra)
    assert parse_proof(proof.encode()) == proof


@given(st.binary(max_size=200) | st.text("index 0\nextraQ=" + MAGIC, max_size=60).map(str.encode))
def test_hostile_proof_files_raise_nothing_but_ledger_errors(data: bytes) -> None:
    for candidate in (data, MAGIC.encode() + b"\n" + data + b"\n\n" + NOTE.encode(), proof_of(0).encode() + data):
        try:
            proof = parse_proof(candidate)
        except LedgerError:
            continue
        assert proof.encode() == candidate
