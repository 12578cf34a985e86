"""Cosignatures of checkpoints, and the lines that a witness answers with."""

import pytest

from ledger import cosignature
from ledger.checkpoint import open_checkpoint, parse_checkpoint_text, sign_checkpoint
from ledger.errors import InvalidSignatureError, KeyFormatError, NoteError, TooManyError, UnsignedError
from ledger.note import COSIGNATURE, ED25519, Note, Signature, Signer

LOG = Signer("police.ordos.example/log", ED25519, bytes(range(32)))
WITNESSES = [Signer(f"member{number}.example/witness", COSIGNATURE, bytes([number]) * 32) for number in range(4)]
CHECKPOINT = parse_checkpoint_text("police.ordos.example/log\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n")


def test_a_cosignature_of_sigsum_is_reproduced() -> None:
    witness = Signer("example.org/witness", COSIGNATURE, b"\x11" + bytes(31))
    checkpoint = parse_checkpoint_text("example.org/log\n10\nHA5HAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
    signature = cosignature.cosign(witness, checkpoint, time=1234)
    assert signature.line == (
        "— example.org/witness ys8uUAAAAAAAAATSftMzceM8zssdZ9jin9SjwIxzx9iADMf63VqirX2h"
        "afol9RsqNqbofIz0LVRqHXI2kpEBSki5RTXFtxz1vo9+Cg==\n"
    )
    assert cosignature.verify_cosignature(witness.verifier, checkpoint.text, signature) == 1234


def test_every_mutation_of_a_cosignature_is_rejected() -> None:
    witness = WITNESSES[0]
    signature = cosignature.cosign(witness, CHECKPOINT, time=1_679_315_147)
    for at in range(len(signature.blob)):
        for bit in range(8):
            blob = signature.blob[:at] + bytes([signature.blob[at] ^ 1 << bit]) + signature.blob[at + 1 :]
            with pytest.raises(InvalidSignatureError):
                cosignature.verify_cosignature(
                    witness.verifier, CHECKPOINT.text, Signature(name=witness.name, key_id=signature.key_id, blob=blob)
                )
    for at in range(len(CHECKPOINT.text)):
        text = CHECKPOINT.text[:at] + chr(ord(CHECKPOINT.text[at]) ^ 1) + CHECKPOINT.text[at + 1 :]
        with pytest.raises(InvalidSignatureError):
            cosignature.verify_cosignature(witness.verifier, text, signature)


def test_a_cosignature_is_its_witnesss_alone() -> None:
    signature = cosignature.cosign(WITNESSES[0], CHECKPOINT, time=1)
    with pytest.raises(UnsignedError):
        cosignature.verify_cosignature(WITNESSES[1].verifier, CHECKPOINT.text, signature)


def test_the_logs_own_signature_is_no_cosignature() -> None:
    with pytest.raises(KeyFormatError):
        cosignature.cosign(LOG, CHECKPOINT, time=1)
    with pytest.raises(KeyFormatError):
        cosignature.verify_cosignature(LOG.verifier, CHECKPOINT.text, LOG.sign(CHECKPOINT.text))
    stripped = cosignature.cosign(WITNESSES[0], CHECKPOINT, time=1).blob[8:]
    as_log = Signer(WITNESSES[0].name, ED25519, WITNESSES[0].seed)
    with pytest.raises(InvalidSignatureError):
        as_log.verifier.verify(
            CHECKPOINT.text, Signature(name=as_log.name, key_id=as_log.verifier.key_id, blob=stripped)
        )


def test_an_answer_of_signature_lines_is_read_and_joined_to_the_checkpoint() -> None:
    note = sign_checkpoint(LOG, CHECKPOINT)
    for time, witness in enumerate(WITNESSES):
        body = cosignature.cosign(witness, CHECKPOINT, time=time).line.encode()
        note = cosignature.add_signatures(note, cosignature.parse_cosignatures(body))
    keys = [LOG.verifier, *(witness.verifier for witness in WITNESSES)]
    signed = open_checkpoint(note.encode(), keys)
    assert [(one.key, one.time) for one in signed.signatures] == list(zip(keys, [None, 0, 1, 2, 3], strict=True))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n",
        b"\xff\n",
        b"503\n",
        WITNESSES[0].cosign("a\n", 1).line.encode()[:-1],
        WITNESSES[0].cosign("a\n", 1).line.encode() + b"\n",
        b"\n" + WITNESSES[0].cosign("a\n", 1).line.encode(),
        WITNESSES[0].cosign("a\n", 1).line.encode() + b"text\n",
        WITNESSES[0].cosign("a\n", 1).line.encode().replace(b"\n", b"\r\n"),
    ],
)
def test_an_answer_of_anything_else_is_rejected(body: bytes) -> None:
    with pytest.raises(NoteError):
        cosignature.parse_cosignatures(body)


def test_an_answer_has_at_most_a_hundred_lines() -> None:
    line = WITNESSES[0].cosign("a\n", 1).line.encode()
    assert len(cosignature.parse_cosignatures(line * 100)) == 100
    with pytest.raises(TooManyError):
        cosignature.parse_cosignatures(line * 101)


def test_a_key_that_signed_already_is_not_added_again() -> None:
    first, again = (cosignature.cosign(WITNESSES[0], CHECKPOINT, time=time) for time in (1, 2))
    other = cosignature.cosign(WITNESSES[1], CHECKPOINT, time=3)
    note = Note(CHECKPOINT.text, (first,))
    assert cosignature.add_signatures(note, [again, other, other]) == Note(CHECKPOINT.text, (first, other))
    assert cosignature.add_signatures(note, []) == note


def test_a_note_takes_at_most_a_hundred_signatures() -> None:
    signatures = [Signature(name=f"key{number}", key_id=b"abcd", blob=b"x") for number in range(100)]
    note = sign_checkpoint(LOG, CHECKPOINT)
    assert len(cosignature.add_signatures(note, signatures[:99]).signatures) == 100
    with pytest.raises(TooManyError):
        cosignature.add_signatures(note, signatures)
