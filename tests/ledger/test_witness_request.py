"""The add-checkpoint request: one spelling, and nothing believed."""

import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.errors import (
    CheckpointError,
    LedgerError,
    MalformedError,
    NoteError,
    ProofFormatError,
    TooLongError,
    TooManyError,
)
from ledger.merkle import TreeHead, TreeSize, verify_consistency
from ledger.note import ED25519, Note, Signer, parse_note
from ledger.witness_request import AddCheckpoint, parse_add_checkpoint

LOG = Signer("police.ordos.example/log", ED25519, bytes(range(32)))
LEAVES = oracle.leaves_of(13)
CHECKPOINT = Checkpoint(LOG.name, TreeSize(13), oracle.root(LEAVES))
NOTE = sign_checkpoint(LOG, CHECKPOINT)
TAIL = NOTE.encode().decode()
HASH = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
HASHES_63, HASHES_64 = f"{HASH}\n" * 63, f"{HASH}\n" * 64

EXAMPLE = (  # c2sp.org/tlog-witness
    "old 20852014\n"
    "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n"
    "jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n"
    "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n"
    "/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n"
    "\n"
    "example.com/behind-the-sofa\n"
    "20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    "\n"
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— example.com/behind-the-sofa "
    "opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n"
).encode()


def test_the_example_of_the_specification_is_read_and_written() -> None:
    request = parse_add_checkpoint(EXAMPLE)
    assert (request.old_size, len(request.proof), len(request.note.signatures)) == (20852014, 4, 2)
    assert (request.checkpoint.origin, request.checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert request.encode() == EXAMPLE


def test_a_request_carries_what_a_witness_verifies() -> None:
    data = AddCheckpoint(TreeSize(6), tuple(oracle.consistency(6, LEAVES)), NOTE).encode()
    request = parse_add_checkpoint(data)
    old = TreeHead(request.old_size, oracle.root(LEAVES[:6]))
    verify_consistency(old=old, new=request.checkpoint.head, proof=request.proof)
    assert request.checkpoint == CHECKPOINT
    assert request.note == parse_note(NOTE.encode())


def test_a_first_request_has_no_proof() -> None:
    data = AddCheckpoint(TreeSize(0), (), NOTE).encode()
    assert data == b"old 0\n\n" + NOTE.encode()
    assert parse_add_checkpoint(data).proof == ()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", ProofFormatError),
        ("old 0\n", ProofFormatError),
        ("old 0\n\n", NoteError),
        ("old 0\n\nhello\n", NoteError),
        (f"old 0\n{TAIL}", ProofFormatError),
        (f"\n\n{TAIL}", ProofFormatError),
        (f"\nold 0\n\n{TAIL}", ProofFormatError),
        (TAIL, ProofFormatError),
        (f"old\n\n{TAIL}", ProofFormatError),
        (f"old \n\n{TAIL}", ProofFormatError),
        (f"old  0\n\n{TAIL}", ProofFormatError),
        (f"old 00\n\n{TAIL}", ProofFormatError),
        (f"old 01\n\n{TAIL}", ProofFormatError),
        (f"old -1\n\n{TAIL}", ProofFormatError),
        (f"old +1\n\n{TAIL}", ProofFormatError),
        (f"old 1_0\n\n{TAIL}", ProofFormatError),
        (f"old ٣\n\n{TAIL}", ProofFormatError),
        (f"old {2**63}\n\n{TAIL}", ProofFormatError),
        (f"Old 0\n\n{TAIL}", ProofFormatError),
        (f"old 0\r\n\r\n{TAIL}", ProofFormatError),
        (f"old 0 \n\n{TAIL}", ProofFormatError),
        (f"old 1\n{HASH[:-1]}\n\n{TAIL}", ProofFormatError),
        (f"old 1\n{HASH}\r\n\n{TAIL}", ProofFormatError),
        (f"old 1\nQQ==\n\n{TAIL}", ProofFormatError),
        (f"old 1\n{HASH}\n\n\n{TAIL}", CheckpointError),
        (f"old 0\n\n{TAIL}\n", NoteError),
        ("old 0\n\nhello\n\n— a Uw2QOkn8\n", CheckpointError),
    ],
)
def test_what_is_not_a_request_is_rejected(text: str, error: type[MalformedError]) -> None:
    with pytest.raises(error):
        parse_add_checkpoint(text.encode())


def test_a_request_has_at_most_63_proof_lines() -> None:
    assert len(parse_add_checkpoint(f"old 1\n{HASHES_63}\n{TAIL}".encode()).proof) == 63
    with pytest.raises(TooManyError):
        parse_add_checkpoint(f"old 1\n{HASHES_64}\n{TAIL}".encode())


def test_a_request_is_read_up_to_its_size_limit() -> None:
    assert parse_add_checkpoint(EXAMPLE, size_max=len(EXAMPLE)).encode() == EXAMPLE
    with pytest.raises(TooLongError):
        parse_add_checkpoint(EXAMPLE, size_max=len(EXAMPLE) - 1)


def test_a_request_holds_a_checkpoint_and_no_other_note() -> None:
    with pytest.raises(CheckpointError):
        AddCheckpoint(TreeSize(0), (), Note("hello\n", (LOG.sign("hello\n"),)))


def test_every_mutated_bit_of_a_request_is_rejected_or_read_as_another_one() -> None:
    data = AddCheckpoint(TreeSize(6), tuple(oracle.consistency(6, LEAVES)), NOTE).encode()
    original = parse_add_checkpoint(data)
    for at in range(len(data)):
        for bit in range(8):
            mutant = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
            try:
                request = parse_add_checkpoint(mutant)
            except LedgerError:
                continue
            assert request != original
            assert request.encode() == mutant


@given(
    st.integers(0, 2**63 - 1),
    st.lists(st.binary(min_size=32, max_size=32), max_size=63).map(tuple),
)
def test_every_request_is_read_as_it_was_written(old_size: int, proof: tuple[bytes, ...]) -> None:
    request = AddCheckpoint(TreeSize(old_size), proof, NOTE)
    assert parse_add_checkpoint(request.encode()) == request
