"""Evidence: files that convince somebody who trusts no node, years later (protocol section 5).

Two kinds, both judged against a network document whose fingerprint is pinned:

- a proof file (c2sp.org/tlog-proof) of one entry, the entry itself in its ``extra`` line;
- an evidence file of a record's whole history, canonical JSON and a newline:

      {"manifests":[…],"network":["suyuan/network/v1",…],"proofs":[["c2sp.org/tlog-proof@v1",…],…],
       "record":"9f2c…","schema":"suyuan.evidence/1"}

  where a text is the list of its lines.

Every byte counts: a signature by nobody whom the network document names, white space in the JSON, or an entry that does not belong
to the history fails just as a false signature does. What a file leaves out it cannot show; a left out source is a gap.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from ledger.encoding import (
    INTEGER_MAX,
    JsonObject,
    canonical_json,
    decode_utf8,
    encode_base64,
    parse_canonical_json,
    parse_hash,
)
from ledger.entry import Entry, parse_entry, verify_signature
from ledger.errors import LedgerError, MalformedError, TooLongError, UnsignedError, VerificationError
from ledger.event import EntryRef, Receipt, Share, read_event
from ledger.event.base import Frozen, Hash, RecordRef, parse_model
from ledger.event.transfer import ManifestRef
from ledger.lineage import collect
from ledger.manifest import verify_membership
from ledger.merkle import PROOF_HASHES_MAX, LeafIndex, TreeSize, verify_inclusion
from ledger.network import Network, verify_chain
from ledger.proof import Proof, parse_proof
from ledger.provenance import Statement, Trace, fold
from ledger.quorum import Judged, judge_checkpoint, require_quorum

SCHEMA = "suyuan.evidence/1"
EVIDENCE_BYTES_MAX = 256 * 1024 * 1024  # 4,000 proofs of 64 KB
PROOF_START = b"c2sp.org/tlog-proof@v1\n"


class EvidenceError(MalformedError):
    """Not an evidence file of version 1."""

    code = "bad_evidence"


@dataclass(frozen=True, slots=True)
class Proven:
    """An entry that was shown to be in its log, under a checkpoint with a quorum."""

    entry: Entry
    judged: Judged

    @property
    def words(self) -> str:
        """What was verified, for a person."""
        return verified_words(self.entry.ref, self.judged)


class Membership(Frozen):
    """Shows that the record is among those of a share with a manifest."""

    root: Hash
    count: Annotated[int, Field(ge=1, le=INTEGER_MAX)]
    index: Annotated[int, Field(ge=0, le=INTEGER_MAX)]
    proof: Annotated[list[Hash], Field(max_length=PROOF_HASHES_MAX)]


class EvidenceFile(Frozen):
    """The members of an evidence file."""

    manifests: list[Membership]
    network: list[str]
    proofs: Annotated[list[list[str]], Field(min_length=1)]
    record: RecordRef
    schema_: Annotated[Literal["suyuan.evidence/1"], Field(alias="schema")]

    @property
    def network_document(self) -> bytes:
        """The network document, all its versions, that came with the file; it counts only against a pinned fingerprint."""
        return _text(self.network).encode()


@dataclass(frozen=True, slots=True)
class Evidence:
    """A verified evidence file: the history, and what it rests on."""

    trace: Trace
    proven: tuple[Proven, ...]


def verified_words(ref: EntryRef, judged: Judged) -> str:
    """Say in words what has been verified of an entry."""
    return (
        f"signed by {ref.log}, included in its checkpoint of size {judged.size}, "
        f"which {len(judged.cosigners)} members have cosigned ({judged.needed} needed)"
    )


def verify_proof_file(data: bytes, network: Network, *, entry: bytes | None = None) -> Proven:
    """Return the entry that a proof file proves; ``entry`` gives its bytes where the file does not carry them.

    Raises:
        VerificationError: a signature, the inclusion or the quorum does not hold.
        MalformedError, LimitError: bytes that are no proof or no entry.
    """
    return _Verifier(network).proof(parse_proof(data), entry)


def encode_evidence(record: str, proofs: Sequence[bytes], memberships: Sequence[dict[str, Any]], network: bytes) -> bytes:
    """Return the evidence file made of its parts; :func:`verify_evidence` judges what they are worth."""
    body: JsonObject = {
        "manifests": list(memberships),
        "network": _lines(network),
        "proofs": [_lines(proof) for proof in proofs],
        "record": record,
        "schema": SCHEMA,
    }
    return (canonical_json(body) + "\n").encode()


def parse_evidence(data: bytes) -> EvidenceFile:
    """Return the parts of an evidence file, not verified yet.

    Raises:
        EvidenceError, TooLongError, EventError, JsonError: what is wrong, and where.
    """
    if len(data) > EVIDENCE_BYTES_MAX:
        raise TooLongError(f"an evidence file of {len(data)} bytes", field="evidence", limit=EVIDENCE_BYTES_MAX)
    text = decode_utf8(data, field="evidence")
    if not text.endswith("\n"):
        raise EvidenceError("an evidence file ends in a newline", field="evidence")
    return parse_model(EvidenceFile, parse_canonical_json(text[:-1], field="evidence"))


def verify_evidence(data: bytes, *, fingerprint: str, network: Network | None = None) -> Evidence:
    """Return the history that an evidence file proves, every entry of it verified.

    The network document that came with the file must lead back to ``fingerprint``; ``network``, where it is given, is the
    newer one that the entries are judged by.

    Raises:
        VerificationError: something does not hold; the field names the proof.
        MalformedError, LimitError, EventError: bytes that are no evidence.
    """
    file = parse_evidence(data)
    enclosed = verify_chain(file.network_document, fingerprint)
    verifier = _Verifier(network or enclosed)
    proven = []
    for number, lines in enumerate(file.proofs):
        try:
            proven.append(verifier.proof(parse_proof(_text(lines).encode()), None))
        except LedgerError as error:
            raise error.at(f"proofs[{number}]") from None
    trace = _trace(file, proven)
    if trace.gaps and any(gap.kind == "unreadable" for gap in trace.gaps):
        raise VerificationError(next(gap.detail for gap in trace.gaps if gap.kind == "unreadable"), field="proofs")
    return Evidence(trace, tuple(proven))


class _Verifier:
    """Verifies proofs of one network; a checkpoint that many proofs share is judged once."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._judged: dict[bytes, Judged] = {}

    def proof(self, proof: Proof, raw: bytes | None) -> Proven:
        raw = raw if raw is not None else proof.extra
        if raw is None:
            raise VerificationError("the proof does not carry the entry that it proves", field="extra", hint="give the entry's file too")
        if proof.extra is not None and raw != proof.extra:
            raise VerificationError("the proof carries another entry", field="extra")
        entry = parse_entry(raw)
        judged = self._checkpoint(proof)
        if (entry.origin, entry.index) != (judged.checkpoint.origin, proof.index):
            raise VerificationError(
                f"the entry is {entry.origin}#{entry.index}, the proof speaks of {judged.checkpoint.origin}#{proof.index}",
                field="index",
            )
        verify_signature(entry, judged.owner.log_key_at(entry.index))
        verify_inclusion(
            leaf=entry.leaf,
            index=LeafIndex(proof.index),
            size=TreeSize(judged.size),
            root=judged.checkpoint.root,
            proof=proof.hashes,
        )
        return Proven(entry, judged)

    def _checkpoint(self, proof: Proof) -> Judged:
        key = proof.checkpoint_note.encode()
        if key not in self._judged:
            judged = require_quorum(judge_checkpoint(proof.checkpoint_note, self._network))
            _refuse_strangers(judged, self._network)
            self._judged[key] = judged
        return self._judged[key]


def _refuse_strangers(judged: Judged, network: Network) -> None:
    """Refuse a signature line by nobody in the network: it may be a damaged line of somebody who is."""
    log_key = judged.owner.checkpoint_key(judged.size)
    known = {(log_key.name, log_key.key_id), *network.voters}
    for number, signature in enumerate(judged.note.signatures):
        if (signature.name, signature.key_id) not in known:
            raise UnsignedError(
                f"signature line {number + 1} is by {signature.name[:80]!r} with key {signature.key_id.hex()}, "
                "whom the network document does not name",
                field="checkpoint",
            )


class _Statements:
    """The entries of an evidence file as a history (see :class:`ledger.lineage.History`)."""

    def __init__(self, file: EvidenceFile, proven: Iterable[Proven]) -> None:
        self._record = file.record
        self._memberships = {(m.root, m.count): m for m in file.manifests}
        self._by_hash: dict[str, Statement] = {}
        self._children: dict[str, list[Statement]] = defaultdict(list)
        self._receipts: dict[str, list[Statement]] = defaultdict(list)
        for one in proven:
            self._add(one)

    def _add(self, one: Proven) -> None:
        ref = one.entry.ref
        statement = Statement(
            ref=ref, time=one.entry.time, event=read_event(one.entry.event), confirmed=True, verified=True, words=one.words
        )
        if ref.hash in self._by_hash:
            raise EvidenceError(f"{ref} is there twice", field="proofs")
        self._by_hash[ref.hash] = statement
        if isinstance(statement.event, Share):
            for parent in statement.event.parents or ():
                self._children[parent.hash].append(statement)
        elif isinstance(statement.event, Receipt):
            self._receipts[statement.event.share.hash].append(statement)

    @property
    def hashes(self) -> set[str]:
        return set(self._by_hash)

    def naming(self, record: str) -> list[Statement]:
        return [
            statement
            for statement in self._by_hash.values()
            if isinstance(statement.event, Share)
            and (record in (statement.event.records or ()) or self._is_member(statement.event.manifest))
        ]

    def _is_member(self, ref: ManifestRef | None) -> bool:
        membership = self._memberships.get((ref.root, ref.count)) if ref is not None else None
        if ref is None or membership is None:
            return False
        proof = [parse_hash(text) for text in membership.proof]
        verify_membership(self._record, ref=ref, index=membership.index, proof=proof)
        return True

    def at(self, ref: EntryRef) -> Statement | None:
        statement = self._by_hash.get(ref.hash)
        return statement if statement is not None and statement.ref == ref else None

    def children(self, ref: EntryRef) -> list[Statement]:
        return self._children.get(ref.hash, [])

    def receipts(self, ref: EntryRef) -> list[Statement]:
        return self._receipts.get(ref.hash, [])


def _trace(file: EvidenceFile, proven: Sequence[Proven]) -> Trace:
    statements = _Statements(file, proven)
    lineage = collect(file.record, statements)
    if not lineage.named_by:
        raise VerificationError("no entry of the file tells of its record", field="record")
    strangers = statements.hashes - lineage.statements.keys() - lineage.context.keys()
    if strangers:
        place = next(statements._by_hash[one].ref for one in strangers)  # noqa: SLF001 - this module's own class
        raise VerificationError(f"{place} does not belong to the record's history", field="proofs")
    roots = {(m.root, m.count) for m in file.manifests}
    used = {
        (s.event.manifest.root, s.event.manifest.count)
        for s in lineage.statements.values()
        if isinstance(s.event, Share) and s.event.manifest is not None
    }
    if roots - used or len(roots) != len(file.manifests):
        raise VerificationError("a manifest proof belongs to no share of the file", field="manifests")
    return fold(
        file.record,
        lineage.statements.values(),
        named_by=frozenset(lineage.named_by),
        known=frozenset(lineage.context),
        checkpoints=checkpoint_summaries(one.judged for one in proven),
        truncated=lineage.truncated,
    )


def checkpoint_summaries(judged: Iterable[Judged]) -> list[dict[str, Any]]:
    """Return the checkpoints that a history rests on, as its JSON has them: one per log and size."""
    by_place = {(one.checkpoint.origin, one.size): one for one in judged}
    return [
        {
            "log": origin,
            "size": size,
            "root": encode_base64(one.checkpoint.root),
            "cosigned_by": [member for member, _ in one.cosigners],
            "needed": one.needed,
        }
        for (origin, size), one in sorted(by_place.items())
    ]



def _lines(data: bytes) -> list[str]:
    """Canonical JSON has no newline within a string, so a text is the list of its lines."""
    assert data.endswith(b"\n")
    return data.decode()[:-1].split("\n")


def _text(lines: Sequence[str]) -> str:
    return "\n".join((*lines, ""))
