"""What a log sends to a witness: the body of ``POST add-checkpoint`` (c2sp.org/tlog-witness).

    "old " decimal LF               the size that the witness is thought to have cosigned last
    0*63(base64(hash) LF)           the consistency proof from there to the checkpoint
    LF
    checkpoint                      a signed note

    old 20852014
    PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
    jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
    5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
    /6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

    example.com/behind-the-sofa
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE…

The answer to a good one is read by :func:`ledger.cosignature.parse_cosignatures`.
"""

from dataclasses import dataclass, field

from ledger.checkpoint import Checkpoint, parse_checkpoint_text
from ledger.encoding import parse_decimal
from ledger.errors import MalformedError, ProofFormatError
from ledger.merkle import TreeSize
from ledger.note import NOTE_BYTES_MAX, Note, parse_note
from ledger.proof import encode_hash_lines, parse_hash_lines, split_head

REQUEST_BYTES_MAX = NOTE_BYTES_MAX + 4096  # a checkpoint, and 64 lines of at most 45 bytes


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request to cosign: nothing of it is verified yet, not even that the old size is not above the new one.

    Raises:
        CheckpointError: the note's text is not a checkpoint.
    """

    old_size: TreeSize
    proof: tuple[bytes, ...]  # 32 bytes each, at most 63
    note: Note
    checkpoint: Checkpoint = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Parse the checkpoint."""
        object.__setattr__(self, "checkpoint", parse_checkpoint_text(self.note.text))

    def encode(self) -> bytes:
        """Return the body of the request."""
        return f"old {self.old_size}\n{encode_hash_lines(self.proof)}\n".encode() + self.note.encode()


def parse_add_checkpoint(data: bytes, *, size_max: int = REQUEST_BYTES_MAX) -> AddCheckpoint:
    """Return the request in a body of at most ``size_max`` bytes.

    Raises:
        ProofFormatError, NoteError, CheckpointError: another format, or another spelling of it.
        TooLongError, TooManyError: more than ``size_max`` bytes, 63 hashes or 100 signatures.
    """
    lines, note = split_head(data, size_max=size_max)
    if not lines[0].startswith("old "):
        raise ProofFormatError('a line "old …" is expected', field="line 1")
    try:
        old_size = TreeSize(parse_decimal(lines[0].removeprefix("old "), field="old"))
    except MalformedError as error:
        raise ProofFormatError(error.message, field=error.field) from None
    return AddCheckpoint(old_size, parse_hash_lines(lines[1:]), parse_note(note))
