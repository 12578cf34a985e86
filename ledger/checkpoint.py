"""Checkpoints: a log's signed promise of its size and root (c2sp.org/tlog-checkpoint).

    text = origin LF size LF base64(root) LF *(extension LF)         no line is empty

    go.sum database tree
    30055305
    mXfgRcJ0bG0j3CPdKwgGWtUzBUbX67saZGRmFuJGGsM=

    — sum.golang.org Az3grpgEild5qw7+5dtV13Kf1C2Xurm8q4fhdxvcsDHnqNTaxL2AFjBY+2TyGKevucFcAAlWFJJYle3EJlDCrQ+y3A8=

is signed by ``sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8``. A log never signs two checkpoints
of which neither tree begins with the other. Our own logs write no extension lines; those of foreign logs are kept, as
they are signed, and say nothing to us. A log's key is usually named as its origin, but need not be, as here: which keys
may sign for which origin is the caller's knowledge.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from ledger.encoding import DECIMAL_MAX, HASH_SIZE, encode_base64, parse_decimal, parse_hash
from ledger.errors import CheckpointError, ConsistencyError, MalformedError, UnsignedError
from ledger.merkle import EMPTY_ROOT, TreeHead, TreeSize
from ledger.note import Note, SigningKey, VerifiedSignature, VerifierKey, open_note, parse_note

_LINES_MIN = 3  # origin, size, root
_NOT_IN_LINE = re.compile(r"[\x00-\x1f\ud800-\udfff]")  # what no line of a note can hold


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The text of a checkpoint as a value.

    Raises:
        CheckpointError: a part that the text could not hold.
    """

    origin: str  # not empty, one line
    size: TreeSize  # entries, 0 <= size < 2**63
    root: bytes  # 32 bytes
    extensions: tuple[str, ...] = ()  # not empty, one line each; none in our own logs

    def __post_init__(self) -> None:
        """Check that the text of these parts has these parts."""
        for name, line in (("origin", self.origin), *(("extensions", line) for line in self.extensions)):
            if not line or _NOT_IN_LINE.search(line):
                raise CheckpointError("empty, or with a control character", field=name)
        if not 0 <= self.size <= DECIMAL_MAX:
            raise CheckpointError("a size lies between 0 and 2^63", field="size", limit=DECIMAL_MAX)
        if len(self.root) != HASH_SIZE:
            raise CheckpointError(f"a root has {HASH_SIZE} bytes", field="root", limit=HASH_SIZE)

    @classmethod
    def of(cls, origin: str, head: TreeHead) -> Self:
        """Return the checkpoint of a log's tree head."""
        return cls(origin, head.size, head.root)

    @property
    def head(self) -> TreeHead:
        """The size and root that it promises."""
        return TreeHead(self.size, self.root)

    @property
    def text(self) -> str:
        """The text that is signed."""
        lines = (self.origin, str(self.size), encode_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint that at least one known key has signed, the note it came in, and its verified signatures."""

    checkpoint: Checkpoint
    note: Note
    signatures: tuple[VerifiedSignature, ...]


def parse_checkpoint_text(text: str) -> Checkpoint:
    """Return the checkpoint of a note's text.

    Raises:
        CheckpointError: fewer than three lines, an empty line, or a size or root in another spelling.
    """
    lines = text.split("\n")
    if lines.pop() or len(lines) < _LINES_MIN:
        raise CheckpointError("origin, size and root are expected, each on its line", field="checkpoint")
    origin, size, root, *extensions = lines
    try:
        parsed_size = TreeSize(parse_decimal(size, field="size"))
        parsed_root = parse_hash(root, field="root")
    except MalformedError as error:
        raise CheckpointError(error.message, field=error.field) from None
    return Checkpoint(origin, parsed_size, parsed_root, tuple(extensions))


def sign_checkpoint(signer: SigningKey, checkpoint: Checkpoint) -> Note:
    """Return the checkpoint as a note with the log's signature.

    Raises:
        KeyFormatError: the key is a cosigner's.
    """
    return Note(checkpoint.text, (signer.sign(checkpoint.text),))


def open_checkpoint(
    data: bytes | Note, verifiers: Sequence[VerifierKey], *, origin: str | None = None
) -> SignedCheckpoint:
    """Return the checkpoint with the signatures that ``verifiers`` made on it.

    With ``origin``, the verifiers are the keys of that log and sign for no other. Without it, the caller has chosen the
    keys by the checkpoint's own origin.

    Raises:
        NoteError, CheckpointError, TooLongError, TooManyError: not a signed checkpoint.
        UnsignedError: signed by none of the keys, or a checkpoint of another log.
        InvalidSignatureError: a signature in the name of one of the keys is wrong.
    """
    note = parse_note(data) if isinstance(data, bytes) else data
    checkpoint = parse_checkpoint_text(note.text)
    if origin is not None and checkpoint.origin != origin:
        raise UnsignedError(f"a checkpoint of another log than {origin}", field="origin")
    return SignedCheckpoint(checkpoint, note, open_note(note, verifiers))


def check_empty_root(checkpoint: Checkpoint) -> None:
    """Check what a witness asks of a tree without entries: its root is SHA-256("") (protocol section 6).

    Raises:
        ConsistencyError: the size is 0 and the root another one.
    """
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise ConsistencyError("the tree is empty, and its root is not the empty root", field="root")
