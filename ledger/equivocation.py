"""Equivocation: proof that a log has told two stories, for anybody who holds the network document (protocol section 7).

A proof file is canonical JSON and a newline; a text in it is the list of its lines. It has one of three kinds:

``heads``    two signed checkpoints that cannot both be true: one size with two roots, or a consistency proof which
shows that the
             tree of the larger one has another root at the smaller one's size.
``entries``  two different signed entries with one index, or a signed entry that does not follow the signed entry before
it. ``content``  a signed checkpoint, the complete subtrees below it, the signed entries behind it, and a later signed
checkpoint to whose
             root all that does not hash.

    {"first":["police.ordos.example/log",…],"kind":"heads","log":"police.ordos.example/log","network":[…],"proof":[…],
     "schema":"suyuan.equivocation/1","second":[…]}

No honest log can be accused: every part that speaks against it carries its own signature, and for an honest log one
tree has grown from the one to the other.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from ledger.checkpoint import Checkpoint
from ledger.encoding import (
    JsonObject,
    canonical_json,
    decode_utf8,
    encode_base64,
    lines_to_text,
    parse_canonical_json,
    parse_hash,
    text_to_lines,
)
from ledger.entry import parse_entry, verify_signature
from ledger.errors import ConsistencyError, MalformedError, TooLongError, VerificationError
from ledger.event.base import Frozen, Hash, Maybe, Origin, parse_model
from ledger.merkle import EMPTY_ROOT, PROOF_HASHES_MAX, TreeHead, join_subtrees, leaf_hash, subtrees, verify_consistency
from ledger.network import Network, verify_chain
from ledger.note import Note, open_note, parse_note
from ledger.quorum import judge_checkpoint
from ledger.tile import Edge

SCHEMA = "suyuan.equivocation/1"
PROOF_FILE_BYTES_MAX = 64 * 1024 * 1024  # a document of a large network, and a thousand entries
ENTRIES_MAX = 2000  # between the two checkpoints of a ``content`` proof

Lines = list[str]


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
    kind: Literal["heads", "entries", "content"]
    log: Origin
    network: Lines
    first: Maybe[Lines] = None
    second: Lines
    other: Maybe[Hash] = None
    proof: Maybe[Annotated[list[Hash], Field(max_length=PROOF_HASHES_MAX)]] = None
    entries: Maybe[Annotated[list[Lines], Field(min_length=1, max_length=ENTRIES_MAX)]] = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A proven equivocation."""

    log: str
    kind: Literal["heads", "entries", "content"]
    size: int  # from here on the log contradicts itself: entries below it are the same in both stories
    words: str


def heads_proof(
    network: bytes, first: Note, second: Note, *, other: bytes | None = None, proof: Sequence[bytes] = ()
) -> bytes:
    """Return the file that shows two checkpoints to contradict each other; ``first`` is not the larger one.

    ``other`` is the root that the tree of ``second`` had at the size of ``first``, and ``proof`` the consistency proof
    from there to ``second``; neither is needed for equal sizes.
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
    the two.
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

    The network document that came with the file must lead back to ``fingerprint``; ``network``, where it is given, is
    the newer one by which keys are judged.

    Raises:
        NotProvenError: both parts can be true at once.
        VerificationError: a part is not signed by the log.
        MalformedError, LimitError, EventError: bytes that are no proof.
    """
    file = parse_proof_file(data)
    enclosed = verify_chain(lines_to_text(file.network), fingerprint)
    judge = {"heads": _judge_heads, "entries": _judge_entries, "content": _judge_content}[file.kind]
    _check_members(file)
    return judge(file, network or enclosed)


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
    return parse_model(ProofFile, parse_canonical_json(text[:-1], field="equivocation"), whole="equivocation")


def _encode(kind: str, network: bytes, origin: str, body: JsonObject) -> bytes:
    body |= {"schema": SCHEMA, "kind": kind, "log": origin, "network": text_to_lines(network)}
    return (canonical_json(body) + "\n").encode()


def _check_members(file: ProofFile) -> None:
    """Refuse members that the kind does not have: every byte of a proof must matter."""
    allowed = {"heads": {"first", "other", "proof"}, "entries": {"first"}, "content": {"first", "proof", "entries"}}[
        file.kind
    ]
    required = {"heads": {"first"}, "entries": {"first"}, "content": {"entries"}}[file.kind]
    present = {name for name in ("first", "other", "proof", "entries") if getattr(file, name) is not None}
    if wrong := sorted((present - allowed) | (required - present)):
        raise EquivocationError(f"a proof of kind {file.kind} is not made like this", field=wrong[0])


def _judge_heads(file: ProofFile, network: Network) -> Verdict:
    assert file.first is not None
    first, second = (_checkpoint(file, name, network) for name in ("first", "second"))
    if first.size > second.size:
        raise EquivocationError("the larger checkpoint stands second", field="first")
    if not 0 < first.size < second.size and (file.other, file.proof) != (None, None):
        raise EquivocationError("nothing has to be shown between these checkpoints", field="other")
    if first.size == second.size:
        if first.root == second.root:
            raise NotProvenError("the two checkpoints are the same", field="second")
        return _verdict(file, 0, f"{file.log} has signed two roots for size {first.size}")
    _check_other_root(file, first, second)
    return _verdict(
        file,
        0,
        f"{file.log} has signed a root for size {first.size} that its checkpoint of size {second.size} contradicts",
    )


def _check_other_root(file: ProofFile, first: Checkpoint, second: Checkpoint) -> None:
    """Check that the tree of the larger checkpoint had another root at the smaller one's size.

    The consistency proof ties that other root to the larger tree; the shape of the proof follows from both sizes.
    """
    if first.size == 0:
        if first.root == EMPTY_ROOT:
            raise NotProvenError("every tree extends the empty one", field="first")
        return
    if file.other is None:
        raise EquivocationError("the root that the larger tree had at that size is missing", field="other")
    other = parse_hash(file.other)
    if other == first.root:
        raise NotProvenError("the second checkpoint extends the first", field="other")
    try:
        proof = [parse_hash(text) for text in file.proof or ()]
        verify_consistency(old=TreeHead(first.size, other), new=second.head, proof=proof)
    except ConsistencyError as error:
        raise NotProvenError(
            f"the proof does not belong to the second checkpoint: {error.message}", field="proof"
        ) from None


def _judge_entries(file: ProofFile, network: Network) -> Verdict:
    assert file.first is not None
    raws = [lines_to_text(file.first), lines_to_text(file.second)]
    first, second = (parse_entry(raw) for raw in raws)
    if raws[0] == raws[1]:
        raise NotProvenError("the two entries are the same", field="second")
    for name, entry in (("first", first), ("second", second)):
        if entry.origin != file.log:
            raise VerificationError("an entry of another log", field=name)
        verify_signature(entry, network.member(file.log).log_key_at(entry.index))
    if first.index == second.index:
        return _verdict(file, first.index, f"{file.log} has signed two entries with index {first.index}")
    if second.index == first.index + 1 and second.previous != hashlib.sha256(first.text).digest():
        return _verdict(
            file, first.index, f"{file.log} has signed an entry {second.index} that follows another entry {first.index}"
        )
    raise NotProvenError("the two entries can stand in one log", field="second")


def _judge_content(file: ProofFile, network: Network) -> Verdict:
    assert file.entries is not None
    second = _checkpoint(file, "second", network)
    edge = Edge.empty() if file.first is None else _edge(file, _checkpoint(file, "first", network))
    member = network.member(file.log)
    raws = [lines_to_text(lines) for lines in file.entries]
    for number, raw in enumerate(raws):
        entry = parse_entry(raw)
        if (entry.origin, entry.index) != (file.log, edge.size + number):
            raise VerificationError("not the entry that follows", field=f"entries[{number}]")
        verify_signature(entry, member.log_key_at(entry.index))
    if edge.size + len(raws) != second.size:
        raise VerificationError("the entries do not reach the second checkpoint", field="entries")
    grown, _ = edge.extended([leaf_hash(raw) for raw in raws])
    if grown.root() == second.root:
        raise NotProvenError("the entries hash to the second checkpoint", field="second")
    return _verdict(
        file, edge.size, f"{file.log} has signed a root for size {second.size} to which its own entries do not hash"
    )


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
    note = parse_note(lines_to_text(getattr(file, name)))
    judged = judge_checkpoint(note, network)
    if judged.checkpoint.origin != file.log:
        raise VerificationError("a checkpoint of another log", field=name)
    key = judged.owner.checkpoint_key(judged.size)
    if len(open_note(note, (key,))) != len(note.signatures):
        raise EquivocationError("only the log's own signature belongs here", field=name)
    return judged.checkpoint


def _verdict(file: ProofFile, size: int, words: str) -> Verdict:
    return Verdict(file.log, file.kind, size, words)
