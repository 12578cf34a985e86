"""Equivocation: proof that a log has told two stories, for anybody who holds the network document (protocol section 7).

A proof file is canonical JSON and a newline; a text in it is the list of its lines. There are three kinds:

``heads``    two signed checkpoints that cannot both be true: they have one size and two roots, or ``first`` is the
             smaller one, and ``proof`` shows that the tree of ``second`` had the root ``other`` at that size.
``entries``  two different signed entries of one index, or a signed entry that does not follow the one before it.
``content``  a signed checkpoint to which the log's own signed ``entries`` do not hash, from the empty log on, or from
             the checkpoint ``first`` on, whose complete subtrees are ``proof``.

    {"first":["police.ordos.example/log",…],"kind":"heads","log":"police.ordos.example/log","network":[…],
     "other":"mXfg…","proof":["Io/A…"],"schema":"suyuan.equivocation/1","second":["police.ordos.example/log",…]}

No honest log can be accused: every part that speaks against it carries its own signature, and for an honest log one
tree has grown from the one to the other. Whoever has stolen a log's key can accuse it, as far as that key is valid.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

from ledger.checkpoint import Checkpoint
from ledger.encoding import (
    JsonObject,
    canonical_json,
    check_json,
    decode_utf8,
    encode_base64,
    lines_to_text,
    parse_canonical_json,
    parse_hash,
    text_to_lines,
)
from ledger.entry import Entry, parse_entry, verify_signature
from ledger.errors import ConsistencyError, LedgerError, MalformedError, TooLongError, VerificationError
from ledger.event.base import Frozen, Hash, Maybe, Origin, parse_model
from ledger.merkle import EMPTY_ROOT, PROOF_HASHES_MAX, TreeHead, join_subtrees, subtrees, verify_consistency
from ledger.network import Network
from ledger.note import Note, parse_note
from ledger.quorum import judge_checkpoint
from ledger.tile import Edge
from ledger.versions import verify_chain

SCHEMA = "suyuan.equivocation/1"
PROOF_FILE_BYTES_MAX = 64 * 1024 * 1024  # a document of a large network, and a thousand entries
ENTRIES_MAX = 2000  # between the two checkpoints of a ``content`` proof

Lines = list[str]
Kind = Literal["heads", "entries", "content"]

# Which of the members that may be left out each kind has; every byte of a proof must matter.
_FORMS: dict[Kind, tuple[frozenset[str], ...]] = {
    "heads": (frozenset({"first", "other", "proof"}), frozenset({"first"})),
    "entries": (frozenset({"first"}),),
    "content": (frozenset({"entries", "first", "proof"}), frozenset({"entries"})),
}


class EquivocationError(MalformedError):
    """Not a proof of equivocation of version 1."""

    code = "bad_equivocation"


class NotProvenError(VerificationError):
    """The file does not show that the log has told two stories."""

    code = "not_proven"
    hint = "both parts can be true at once: nobody is accused by this file"


class ProofFile(Frozen):
    """The members of a proof file."""

    schema_: Annotated[Literal["suyuan.equivocation/1"], Field(alias="schema")]
    kind: Kind
    log: Origin
    network: Lines
    first: Maybe[Lines] = None
    second: Lines
    other: Maybe[Hash] = None
    proof: Maybe[Annotated[list[Hash], Field(max_length=PROOF_HASHES_MAX)]] = None
    entries: Maybe[Annotated[list[Lines], Field(min_length=1, max_length=ENTRIES_MAX)]] = None


@dataclass(frozen=True, slots=True)
class Story:
    """One of the two things that the log has said under its signature."""

    what: Literal["checkpoint", "entry", "entries"]
    at: int  # the size of a checkpoint, the index of an entry; of entries, the size that they reach
    hash: bytes  # the root of a checkpoint, the leaf hash of an entry; of entries, the root that they hash to


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A proven equivocation. The stories part at an entry of ``[size, until)``; which one may not be shown."""

    log: str
    kind: Kind
    size: int  # entries below it are the same in both stories
    until: int  # both stories speak of the entries below it; 0: they differ about the empty log
    first: Story
    second: Story
    words: str
    ruling: TreeHead | None = None  # of the governors, about a history so long: the log may go on, the proof is settled


def heads_proof(
    network: bytes, first: Note, second: Note, *, other: bytes | None = None, proof: Sequence[bytes] = ()
) -> bytes:
    """Return the file that shows two checkpoints to contradict each other; ``first`` is not the larger one.

    Both are bare (:attr:`ledger.quorum.Judged.bare`).

    ``other`` is the root that the tree of ``second`` had at the size of ``first``, and ``proof``
    the consistency proof from there to ``second``; neither belongs to equal sizes, or to an empty ``first``.

    Raises:
        JsonError: a checkpoint with an extension line that JSON cannot hold as it is.
    """
    body: JsonObject = {"first": text_to_lines(first.encode()), "second": text_to_lines(second.encode())}
    if other is not None:
        body |= {"other": encode_base64(other), "proof": [encode_base64(one) for one in proof]}
    return _encode("heads", network, first.text.partition("\n")[0], body)


def entries_proof(network: bytes, origin: str, first: bytes, second: bytes) -> bytes:
    """Return the file that shows two signed entries of one index, or one that does not follow the one before it."""
    return _encode("entries", network, origin, {"first": text_to_lines(first), "second": text_to_lines(second)})


def content_proof(
    network: bytes, origin: str, first: Note | None, peaks: Sequence[bytes], entries: Sequence[bytes], second: Note
) -> bytes:
    """Return the file that shows a checkpoint to which the log's own entries do not hash.

    ``first`` is an earlier checkpoint (None: the empty log), ``peaks`` its complete subtrees, ``entries`` those between
    the two. Both checkpoints are bare.

    Raises:
        JsonError: as :func:`heads_proof`.
    """
    body: JsonObject = {
        "second": text_to_lines(second.encode()),
        "entries": [text_to_lines(entry) for entry in entries],
    }
    if first is not None:
        body |= {"first": text_to_lines(first.encode()), "proof": [encode_base64(peak) for peak in peaks]}
    return _encode("content", network, origin, body)


def judge_equivocation(data: bytes, *, fingerprint: str, network: Network | None = None) -> Verdict:
    """Return what a proof file proves.

    The network document that came with the file must lead back to ``fingerprint``. Keys are judged by the newer one of
    it and ``network``, which the caller has verified: an older one may not know yet where a key has ended.

    Raises:
        NotProvenError: both parts can be true at once.
        VerificationError: a part is not signed by the log.
        MalformedError, LimitError, EventError: bytes that are no proof.
    """
    file = parse_proof_file(data)
    enclosed = verify_chain(lines_to_text(file.network), fingerprint)
    newest = network if network is not None and network.version >= enclosed.version else enclosed
    verdict = {"heads": _judge_heads, "entries": _judge_entries, "content": _judge_content}[file.kind](file, newest)
    ruling = newest.member(verdict.log).readmitted
    return replace(verdict, ruling=ruling) if ruling is not None and verdict.until <= ruling.size else verdict


def parse_proof_file(data: bytes) -> ProofFile:
    """Return the parts of a proof file, not judged yet.

    Raises:
        EquivocationError, TooLongError, EventError, JsonError: what is wrong, and where.
    """
    if len(data) > PROOF_FILE_BYTES_MAX:
        raise TooLongError(f"a proof of {len(data)} bytes", field="equivocation", limit=PROOF_FILE_BYTES_MAX)
    text = decode_utf8(data, field="equivocation")
    if not text.endswith("\n"):
        raise EquivocationError("a proof file ends in a newline", field="equivocation")
    file = parse_model(ProofFile, parse_canonical_json(text[:-1], field="equivocation"), whole="equivocation")
    present = {name for name in ("entries", "first", "other", "proof") if getattr(file, name) is not None}
    if wrong := min((form ^ present for form in _FORMS[file.kind]), key=len):
        raise EquivocationError(f"a proof of kind {file.kind} is not made like this", field=min(wrong))
    return file


def _encode(kind: Kind, network: bytes, origin: str, body: JsonObject) -> bytes:
    body |= {"schema": SCHEMA, "kind": kind, "log": origin, "network": text_to_lines(network)}
    check_json(body)
    return (canonical_json(body) + "\n").encode()


def _judge_heads(file: ProofFile, network: Network) -> Verdict:
    first, second = (_checkpoint(file, name, network) for name in ("first", "second"))
    if first.size > second.size:
        raise EquivocationError("the larger checkpoint stands second", field="first")
    if (0 < first.size < second.size) != (file.other is not None):
        raise EquivocationError(
            "the larger tree's root at the smaller size, where it is not 0, is shown", field="other"
        )
    if first.size == second.size:
        if first.root == second.root:
            raise NotProvenError("the two checkpoints are the same", field="second")
        words = f"has signed two roots for size {first.size}"
    else:
        _check_other_root(file, first, second)
        words = f"has signed a root for size {first.size} that its checkpoint of size {second.size} contradicts"
    stories = (Story("checkpoint", first.size, first.root), Story("checkpoint", second.size, second.root))
    return _verdict(file, (0, first.size), stories, words)


def _check_other_root(file: ProofFile, first: Checkpoint, second: Checkpoint) -> None:
    """Check that the tree of the larger checkpoint had another root at the smaller one's size.

    The consistency proof ties that other root to the larger tree; the shape of the proof follows from both sizes.
    """
    other = EMPTY_ROOT if file.other is None else parse_hash(file.other)
    if other == first.root:
        raise NotProvenError("the second checkpoint extends the first", field="second")
    if first.size == 0:  # every tree extends the empty one, which has one root
        return
    try:
        proof = [parse_hash(text) for text in file.proof or ()]
        verify_consistency(old=TreeHead(first.size, other), new=second.head, proof=proof)
    except ConsistencyError as error:
        raise NotProvenError(
            f"the proof does not belong to the second checkpoint: {error.message}", field="proof"
        ) from None


def _judge_entries(file: ProofFile, network: Network) -> Verdict:
    assert file.first is not None
    first, second = (
        _entry(file, lines, name, network) for name, lines in (("first", file.first), ("second", file.second))
    )
    stories = (Story("entry", first.index, first.leaf), Story("entry", second.index, second.leaf))
    if first.raw == second.raw:
        raise NotProvenError("the two entries are the same", field="second")
    if first.index == second.index:
        words = f"has signed two entries with index {first.index}"
        if first.index and first.previous != second.previous:  # then they have parted before
            return _verdict(file, (0, first.index), stories, words)
        return _verdict(file, (first.index, first.index + 1), stories, words)
    if second.index == first.index + 1 and second.previous != hashlib.sha256(first.text).digest():
        words = f"has signed an entry {second.index} that follows another entry {first.index}"
        return _verdict(file, (0, second.index), stories, words)
    raise NotProvenError("the two entries can stand in one log", field="second")


def _judge_content(file: ProofFile, network: Network) -> Verdict:
    assert file.entries is not None
    second = _checkpoint(file, "second", network)
    edge = Edge.empty() if file.first is None else _edge(file, _checkpoint(file, "first", network))
    if edge.size + len(file.entries) != second.size:
        raise VerificationError("the entries do not reach the second checkpoint", field="entries")
    leaves = []
    for number, lines in enumerate(file.entries):
        entry = _entry(file, lines, f"entries[{number}]", network)
        if entry.index != edge.size + number:
            raise VerificationError("not the entry that follows", field=f"entries[{number}]")
        leaves.append(entry.leaf)
    root = edge.extended(leaves)[0].root()
    if root == second.root:
        raise NotProvenError("the entries hash to the second checkpoint", field="second")
    words = f"has signed a root for size {second.size} to which its own entries do not hash"
    stories = (Story("entries", second.size, root), Story("checkpoint", second.size, second.root))
    return _verdict(file, (0, second.size), stories, words)


def _edge(file: ProofFile, first: Checkpoint) -> Edge:
    """Return the edge whose complete subtrees the file gives, after comparing them with the first checkpoint's root.

    Only the root of what grows from it counts, so the hashes within the edge's tiles need not be known.
    """
    peaks = tuple(parse_hash(text) for text in file.proof or ())
    if len(peaks) != len(subtrees(0, first.size)) or join_subtrees(peaks) != first.root:
        raise VerificationError("the subtrees do not hash to the first checkpoint", field="proof")
    width = [(first.size >> 8 * level) % 256 for level in range(-(-int(first.size).bit_length() // 8))]
    return Edge(size=first.size, partials=tuple(bytes(32 * one) for one in width), peaks=peaks)


def _checkpoint(file: ProofFile, name: Literal["first", "second"], network: Network) -> Checkpoint:
    try:
        note = parse_note(lines_to_text(getattr(file, name)))
        judged = judge_checkpoint(note, network)
    except LedgerError as error:
        raise error.at(name) from None
    if judged.checkpoint.origin != file.log:
        raise VerificationError("a checkpoint of another log", field=name)
    if judged.bare != note:
        raise EquivocationError("only the log's own signature belongs here", field=name)
    return judged.checkpoint


def _entry(file: ProofFile, lines: Lines, name: str, network: Network) -> Entry:
    try:
        entry = parse_entry(lines_to_text(lines))
        if entry.origin != file.log:
            raise VerificationError("an entry of another log", field="line 2")
        verify_signature(entry, network.member(file.log).log_key_at(entry.index))
    except LedgerError as error:
        raise error.at(name) from None
    return entry


def _verdict(file: ProofFile, part: tuple[int, int], stories: tuple[Story, Story], words: str) -> Verdict:
    (size, until), (first, second) = part, stories
    return Verdict(
        log=file.log, kind=file.kind, size=size, until=until, first=first, second=second, words=f"{file.log} {words}"
    )
