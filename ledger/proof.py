"""Proof files: that an entry is in a log, verifiable offline (c2sp.org/tlog-proof).

    "c2sp.org/tlog-proof@v1" LF
    ["extra " base64 LF]            opaque and not authenticated by anything here
    "index " decimal LF
    *(base64(hash) LF)              the inclusion proof, from the leaf's sibling up
    LF
    checkpoint                      a signed note, verbatim, with the cosignatures it has

    c2sp.org/tlog-proof@v1
    index 1
    lqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c=

    police.ordos.example/log
    2
    +sVCA+fMaWzw38tCySodnbr3CtnmIfS9jZhmLwDjwSU=

    — police.ordos.example/log …

A proof says nothing about how many have seen the checkpoint: the quorum is judged from the returned signatures.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ledger.checkpoint import Checkpoint, SignedCheckpoint, open_checkpoint, parse_checkpoint_text
from ledger.encoding import encode_base64, parse_base64, parse_decimal, parse_hash
from ledger.errors import MalformedError, ProofFormatError, TooLongError, TooManyError
from ledger.merkle import PROOF_HASHES_MAX, LeafIndex, verify_inclusion
from ledger.note import NOTE_BYTES_MAX, Note, VerifierKey, parse_note

MAGIC = "c2sp.org/tlog-proof@v1"
PROOF_BYTES_MAX = 2 * NOTE_BYTES_MAX  # a checkpoint and as much of extra data


@dataclass(frozen=True, slots=True)
class Proof:
    """An inclusion proof with the checkpoint it leads to; nothing of it is verified yet.

    Raises:
        CheckpointError: the note's text is not a checkpoint.
    """

    index: LeafIndex
    hashes: tuple[bytes, ...]  # 32 bytes each, at most 63
    checkpoint_note: Note
    extra: bytes | None = None  # not empty; not authenticated
    checkpoint: Checkpoint = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Parse the checkpoint."""
        object.__setattr__(self, "checkpoint", parse_checkpoint_text(self.checkpoint_note.text))
        assert self.extra != b"", "no extra data is None"

    def encode(self) -> bytes:
        """Return the bytes of the proof file."""
        extra = f"extra {encode_base64(self.extra)}\n" if self.extra else ""
        head = f"{MAGIC}\n{extra}index {self.index}\n{encode_hash_lines(self.hashes)}\n"
        return head.encode() + self.checkpoint_note.encode()


def parse_proof(data: bytes, *, size_max: int = PROOF_BYTES_MAX) -> Proof:
    """Return the proof of a file of at most ``size_max`` bytes; verify it before anything in it is believed.

    Raises:
        ProofFormatError, NoteError, CheckpointError: another format, or another spelling of it.
        TooLongError, TooManyError: more than ``size_max`` bytes, 63 hashes or 100 signatures.
    """
    lines, note = split_head(data, size_max=size_max)
    if lines[0] != MAGIC:
        raise ProofFormatError(f"a proof begins with {MAGIC}", field="line 1")
    extra = None
    if lines[1:] and lines[1].startswith("extra "):
        extra = _parse_extra(lines.pop(1))
    if not lines[1:] or not lines[1].startswith("index "):
        raise ProofFormatError('a line "index …" is expected', field="line 2")
    try:
        index = LeafIndex(parse_decimal(lines[1].removeprefix("index "), field="index"))
    except MalformedError as error:
        raise ProofFormatError(error.message, field=error.field) from None
    return Proof(index, parse_hash_lines(lines[2:]), parse_note(note), extra)


def verify_proof(proof: Proof, *, leaf: bytes, origin: str, log_keys: Sequence[VerifierKey]) -> SignedCheckpoint:
    """Check that the leaf hash ``leaf`` is in the log ``origin``, whose keys are ``log_keys``, as the proof claims.

    Return the checkpoint with the signatures by ``log_keys``; who cosigned it is for :func:`ledger.note.open_note`.

    Raises:
        UnsignedError: a checkpoint of another log, or signed by none of its keys.
        InvalidSignatureError: a signature in the name of one of the keys is wrong.
        InclusionError: the leaf is not at that index of that tree.
    """
    signed = open_checkpoint(proof.checkpoint_note, log_keys, origin=origin)
    head = signed.checkpoint.head
    verify_inclusion(leaf=leaf, index=proof.index, size=head.size, root=head.root, proof=proof.hashes)
    return signed


def split_head(data: bytes, *, size_max: int) -> tuple[list[str], bytes]:
    """Return the lines (one at least) above the first empty line, and what is below it.

    Raises:
        ProofFormatError: no empty line, or lines that are not ASCII.
        TooLongError: more than ``size_max`` bytes.
    """
    if len(data) > size_max:
        raise TooLongError(f"{len(data)} bytes where at most {size_max} are allowed", limit=size_max)
    head, blank, note = data.partition(b"\n\n")
    if not blank or not head.isascii():
        raise ProofFormatError("lines in ASCII, an empty line and a checkpoint are expected")
    return head.decode("ascii").split("\n"), note


def encode_hash_lines(hashes: Iterable[bytes]) -> str:
    """Return one line of base64 per hash."""
    return "".join(f"{encode_base64(value)}\n" for value in hashes)


def parse_hash_lines(lines: Sequence[str]) -> tuple[bytes, ...]:
    """Return the hashes, 32 bytes each, of lines of base64.

    Raises:
        ProofFormatError: a line that is not canonical base64 of 32 bytes.
        TooManyError: more than 63 lines.
    """
    if len(lines) > PROOF_HASHES_MAX:
        raise TooManyError(f"{len(lines)} hashes where a proof has at most {PROOF_HASHES_MAX}", limit=PROOF_HASHES_MAX)
    try:
        return tuple([parse_hash(line, field=f"hashes[{number}]") for number, line in enumerate(lines)])
    except MalformedError as error:
        raise ProofFormatError(error.message, field=error.field) from None


def _parse_extra(line: str) -> bytes:
    try:
        extra = parse_base64(line.removeprefix("extra "), field="extra")
    except MalformedError as error:
        raise ProofFormatError(error.message, field=error.field) from None
    if not extra:
        raise ProofFormatError("without extra data there is no such line", field="extra")
    return extra
