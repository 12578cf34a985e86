"""Checkpoints: one spelling, every mutation rejected, foreign ones opened."""

import pytest
import shared_vectors
from hypothesis import given
from hypothesis import strategies as st

from ledger import checkpoint as cp
from ledger.checkpoint import Checkpoint
from ledger.errors import (
    CheckpointError,
    ConsistencyError,
    InvalidSignatureError,
    KeyFormatError,
    LedgerError,
    UnsignedError,
)
from ledger.merkle import EMPTY_ROOT, TreeHead, TreeSize
from ledger.note import COSIGNATURE, ED25519, Note, Signer, parse_note, parse_vkey

ORIGIN = "police.ordos.example/log"
ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
TEXT = f"{ORIGIN}\n20852163\n{ROOT}\n"
LOG = Signer(ORIGIN, ED25519, bytes(range(32)))
WITNESS = Signer("tax.ordos.example/witness", COSIGNATURE, bytes(range(32, 64)))

SUM_VKEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
SUM_NOTE = (
    "go.sum database tree\n30055305\nmXfgRcJ0bG0j3CPdKwgGWtUzBUbX67saZGRmFuJGGsM=\n\n"
    "— sum.golang.org Az3grpgEild5qw7+5dtV13Kf1C2Xurm8q4fhdxvcsDHnqNTaxL2AFjBY+2TyGKevucFcAAlWFJJYle3EJlDCrQ+y3A8=\n"
).encode()

LINES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[chr(number) for number in range(32)]), min_size=1
)


def test_a_checkpoint_is_read_and_written() -> None:
    checkpoint = cp.parse_checkpoint_text(TEXT)
    assert (checkpoint.origin, checkpoint.size, checkpoint.extensions) == (ORIGIN, 20852163, ())
    assert checkpoint.text == TEXT
    assert checkpoint.head == TreeHead(checkpoint.size, checkpoint.root)
    assert Checkpoint.of(ORIGIN, checkpoint.head) == checkpoint


def test_extension_lines_of_foreign_logs_are_kept() -> None:
    text = TEXT + "one\n two and — more \n"
    checkpoint = cp.parse_checkpoint_text(text)
    assert checkpoint.extensions == ("one", " two and — more ")
    assert checkpoint.text == text


@given(LINES, st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32), st.lists(LINES, max_size=3).map(tuple))
def test_every_checkpoint_is_read_as_it_was_written(
    origin: str, size: int, root: bytes, extensions: tuple[str, ...]
) -> None:
    checkpoint = Checkpoint(origin, TreeSize(size), root, extensions)
    assert cp.parse_checkpoint_text(checkpoint.text) == checkpoint


@given(st.text("a0\n9" + ROOT, max_size=80))
def test_what_is_read_as_a_checkpoint_is_written_the_same(text: str) -> None:
    for candidate in (text, f"a\n{text}", f"a\n1\n{ROOT}\n{text}", f"{text}\n{ROOT}\n"):
        try:
            checkpoint = cp.parse_checkpoint_text(candidate)
        except CheckpointError:
            continue
        assert checkpoint.text == candidate


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "\n\n\n",
        TEXT[:-1],
        TEXT + "\n",
        TEXT + "extension",
        TEXT + "\nextension\n",
        "\n" + TEXT,
        f"{ORIGIN}\n7\n",
        f"\n7\n{ROOT}\n",
        f"{ORIGIN}\n\n{ROOT}\n",
        f"{ORIGIN}\n07\n{ROOT}\n",
        f"{ORIGIN}\n+7\n{ROOT}\n",
        f"{ORIGIN}\n-7\n{ROOT}\n",
        f"{ORIGIN}\n 7\n{ROOT}\n",
        f"{ORIGIN}\n7 \n{ROOT}\n",
        f"{ORIGIN}\n1_0\n{ROOT}\n",
        f"{ORIGIN}\n٧\n{ROOT}\n",
        f"{ORIGIN}\n0x7\n{ROOT}\n",
        f"{ORIGIN}\n{2**63}\n{ROOT}\n",
        f"{ORIGIN}\n{'9' * 5000}\n{ROOT}\n",
        f"{ORIGIN}\n7\n{ROOT[:-1]}\n",
        f"{ORIGIN}\n7\n{ROOT} \n",
        f"{ORIGIN}\n7\n{ROOT[:-2]}J=\n",
        f"{ORIGIN}\n7\n{ROOT.replace('/', '_')}\n",
        f"{ORIGIN}\n7\n{'A' * 40}AA==\n",
        f"{ORIGIN}\n7\n{'A' * 44}\n",
        f"{ORIGIN}\r\n7\r\n{ROOT}\r\n",
        f"a\tb\n7\n{ROOT}\n",
        f"a\x00b\n7\n{ROOT}\n",
        f"a\ud800b\n7\n{ROOT}\n",
        f"{ORIGIN}\n7\n{ROOT}\na\tb\n",
    ],
)
def test_what_is_not_a_checkpoint_is_rejected(text: str) -> None:
    with pytest.raises(CheckpointError):
        cp.parse_checkpoint_text(text)


def test_an_error_says_which_line() -> None:
    for text, field in [
        (f"\n7\n{ROOT}\n", "origin"),
        (f"a\n07\n{ROOT}\n", "size"),
        ("a\n7\nAA==\n", "root"),
        (f"a\n7\n{ROOT}\n\n", "extensions"),
    ]:
        with pytest.raises(CheckpointError) as caught:
            cp.parse_checkpoint_text(text)
        assert caught.value.field == field


@pytest.mark.parametrize(
    ("origin", "size", "root", "extensions"),
    [
        ("", 1, EMPTY_ROOT, ()),
        ("a\nb", 1, EMPTY_ROOT, ()),
        ("a", -1, EMPTY_ROOT, ()),
        ("a", 2**63, EMPTY_ROOT, ()),
        ("a", 1, EMPTY_ROOT[:31], ()),
        ("a", 1, EMPTY_ROOT + b"\x00", ()),
        ("a", 1, EMPTY_ROOT, ("",)),
        ("a", 1, EMPTY_ROOT, ("b", "c\nd")),
    ],
)
def test_a_checkpoint_holds_nothing_that_its_text_could_not(
    origin: str, size: int, root: bytes, extensions: tuple[str, ...]
) -> None:
    with pytest.raises(CheckpointError):
        Checkpoint(origin, TreeSize(size), root, extensions)


def test_a_signed_checkpoint_opens_with_its_logs_key_and_no_other() -> None:
    checkpoint = cp.parse_checkpoint_text(TEXT)
    note = cp.sign_checkpoint(LOG, checkpoint)
    signed = cp.open_checkpoint(note.encode(), [WITNESS.verifier, LOG.verifier], origin=ORIGIN)
    assert (signed.checkpoint, signed.note) == (checkpoint, note)
    assert [one.key for one in signed.signatures] == [LOG.verifier]
    assert cp.open_checkpoint(note, [LOG.verifier]) == signed
    with pytest.raises(UnsignedError):
        cp.open_checkpoint(note, [WITNESS.verifier])


def test_a_log_cannot_sign_for_another_origin() -> None:
    note = cp.sign_checkpoint(LOG, Checkpoint("tax.ordos.example/log", TreeSize(1), EMPTY_ROOT))
    with pytest.raises(UnsignedError):
        cp.open_checkpoint(note, [LOG.verifier], origin=ORIGIN)


def test_a_cosigners_key_signs_no_checkpoint_as_its_log() -> None:
    with pytest.raises(KeyFormatError):
        cp.sign_checkpoint(WITNESS, cp.parse_checkpoint_text(TEXT))


def test_every_mutation_of_a_signed_checkpoint_is_rejected() -> None:
    data = cp.sign_checkpoint(LOG, cp.parse_checkpoint_text(TEXT)).encode()
    for at in range(len(data)):
        for bit in range(8):
            mutant = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
            with pytest.raises(LedgerError):
                cp.open_checkpoint(mutant, [LOG.verifier])
        for mutant in (data[:at], data[:at] + data[at : at + 1] + data[at:]):
            with pytest.raises(LedgerError):
                cp.open_checkpoint(mutant, [LOG.verifier])


def test_another_text_under_the_same_signature_is_invalid() -> None:
    note = cp.sign_checkpoint(LOG, cp.parse_checkpoint_text(TEXT))
    for text in (TEXT.replace("20852163", "20852164"), TEXT + "extension\n", TEXT.replace("police", "tax")):
        with pytest.raises(InvalidSignatureError):
            cp.open_checkpoint(Note(text, note.signatures), [LOG.verifier])


def test_a_signed_text_that_is_no_checkpoint_is_rejected() -> None:
    with pytest.raises(CheckpointError):
        cp.open_checkpoint(Note("hello\n", (LOG.sign("hello\n"),)), [LOG.verifier])


def test_an_empty_tree_has_the_empty_root() -> None:
    cp.check_empty_root(Checkpoint(ORIGIN, TreeSize(0), EMPTY_ROOT))
    cp.check_empty_root(cp.parse_checkpoint_text(TEXT))
    with pytest.raises(ConsistencyError):
        cp.check_empty_root(Checkpoint(ORIGIN, TreeSize(0), bytes(32)))


def test_the_checkpoint_of_the_go_checksum_database_opens() -> None:
    signed = cp.open_checkpoint(SUM_NOTE, [parse_vkey(SUM_VKEY)], origin="go.sum database tree")
    assert signed.checkpoint.size == 30055305
    assert signed.note.encode() == SUM_NOTE


def test_checkpoints_of_other_implementations_open() -> None:
    seen = 0
    for vector in shared_vectors.load("signed_notes.json")["vectors"]:
        if "vkey" not in vector or "\n\n" not in vector["note"] or vector["note"].count("\n") < 5:
            continue
        signed = cp.open_checkpoint(vector["note"].encode(), [parse_vkey(vector["vkey"])])
        assert signed.checkpoint.text == parse_note(vector["note"].encode()).text
        seen += 1
    assert seen >= 3
