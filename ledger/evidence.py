"""Evidence: files that convince somebody who trusts no node, years later (protocol section 5).

Two kinds, both judged against a network document whose fingerprint is pinned:

- a proof file (c2sp.org/tlog-proof) of one entry, the entry itself in its ``extra`` line;
- an evidence file of a record's whole history, canonical JSON and a newline:

      {"manifests":[…],"network":["suyuan/network/v1",…],"proofs":[["c2sp.org/tlog-proof@v1",…],…],
       "record":"9f2c…","schema":"suyuan.evidence/1"}

  where a text is the list of its lines.

Every byte counts: a signature by nobody whom the network document names, white space in the JSON, or an entry that does
not belong to the history fails just as a false signature does. What a file leaves out it cannot show; a left out source
is a gap.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from ledger.encoding import (
    INTEGER_MAX,
    JsonObject,
    canonical_json,
    cut,
    decode_utf8,
    encode_base64,
    lines_to_text,
    parse_canonical_json,
    parse_hash,
    text_to_lines,
)
from ledger.entry import Entry, parse_entry, verify_signature
from ledger.errors import (
    ConsistencyError,
    EvidenceError,
    InclusionError,
    LedgerError,
    TooLongError,
    UnsignedError,
    VerificationError,
)
from ledger.event import EntryRef, Receipt, Share, read_event
from ledger.event.base import Frozen, Hash, Maybe, RecordRef, parse_model
from ledger.event.transfer import ManifestRef
from ledger.lineage import History, Lineage, collect
from ledger.manifest import verify_membership
from ledger.merkle import PROOF_HASHES_MAX, verify_inclusion
from ledger.network import Network
from ledger.proof import Proof, parse_proof
from ledger.provenance import Statement, Trace, fold
from ledger.quorum import Judged, judge_checkpoint, require_quorum
from ledger.versions import verify_chain

SCHEMA = "suyuan.evidence/1"
EVIDENCE_BYTES_MAX = 256 * 1024 * 1024  # 4,000 proofs of 64 KB
PROOF_START = b"c2sp.org/tlog-proof@v1\n"


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
    truncated: Maybe[Literal[True]] = None  # there is more than the file holds

    @property
    def network_document(self) -> bytes:
        """The network document that came with the file; it counts only against a pinned fingerprint."""
        return lines_to_text(self.network)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A verified evidence file: the history, and what it rests on."""

    trace: Trace
    proven: tuple[Proven, ...]


def verified_words(ref: EntryRef, judged: Judged) -> str:
    """Say in words what has been verified of an entry."""
    who = "1 member has" if len(judged.cosigners) == 1 else f"{len(judged.cosigners)} members have"
    return (
        f"signed by {ref.log}, included in its checkpoint of size {judged.size}, "
        f"which {who} cosigned ({judged.needed} needed)"
    )


def verify_proof_file(data: bytes, network: Network, *, entry: bytes | None = None) -> Proven:
    """Return the entry that a proof file proves; ``entry`` gives its bytes where the file does not carry them.

    Raises:
        VerificationError: a signature, the inclusion or the quorum does not hold.
        MalformedError, LimitError: bytes that are no proof or no entry.
    """
    return _Verifier(network).proof(parse_proof(data), entry)


def encode_evidence(
    record: str,
    proofs: Sequence[bytes],
    memberships: Sequence[dict[str, Any]],
    network: bytes,
    *,
    truncated: bool = False,
) -> bytes:
    """Return the evidence file made of its parts; :func:`verify_evidence` judges what they are worth.

    ``truncated`` says in the file that there is more of the history than it holds.
    """
    body: JsonObject = {
        "manifests": list(memberships),
        "network": text_to_lines(network),
        "proofs": [text_to_lines(proof) for proof in proofs],
        "record": record,
        "schema": SCHEMA,
    }
    if truncated:
        body["truncated"] = True
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
    return parse_model(EvidenceFile, parse_canonical_json(text[:-1], field="evidence"), whole="evidence")


def verify_evidence(data: bytes, *, fingerprint: str, network: Network | None = None) -> Evidence:
    """Return the history that an evidence file proves, every entry of it verified.

    The network document that came with the file must lead back to ``fingerprint``; ``network``, where it is given, is
    the newer one that the entries are judged by.

    Raises:
        VerificationError: something does not hold; the field names the proof.
        MalformedError, LimitError, EventError: bytes that are no evidence.
    """
    file = parse_evidence(data)
    enclosed = verify_chain(file.network_document, fingerprint)
    verifier = _Verifier(network if network is not None else enclosed)
    proven = []
    for number, lines in enumerate(file.proofs):
        try:
            proven.append(verifier.proof(parse_proof(lines_to_text(lines)), None))
        except LedgerError as error:
            raise error.at(f"proofs[{number}]") from None
    return Evidence(_trace(file, proven), tuple(proven))


def newest_network(data: bytes, fingerprint: str, given: Network | None) -> Network:
    """Return the network document by which evidence is judged: the given one, or that in the file if it is newer.

    An older one could still name a member whose keys are not its own any more, or not name a new one yet.

    Raises:
        VerificationError, MalformedError: what came with the evidence does not lead back to the fingerprint.
    """
    enclosed = verify_chain(parse_evidence(data).network_document, fingerprint)
    return given if given is not None and given.version >= enclosed.version else enclosed


class _Verifier:
    """Verifies proofs of one network; a checkpoint that many proofs share is judged once."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._judged: dict[bytes, Judged] = {}

    def proof(self, proof: Proof, raw: bytes | None) -> Proven:
        raw = raw if raw is not None else proof.extra
        if raw is None:
            raise VerificationError(
                "the proof does not carry its entry", field="extra", hint="give the entry's file too"
            )
        if proof.extra is not None and raw != proof.extra:
            raise VerificationError("the proof carries another entry", field="extra")
        entry = parse_entry(raw)
        judged = self._checkpoint(proof)
        if (entry.origin, entry.index) != (judged.checkpoint.origin, proof.index):
            claimed = f"{judged.checkpoint.origin}#{proof.index}"
            raise VerificationError(f"the entry is {entry.ref}, the proof speaks of {claimed}", field="index")
        verify_signature(entry, judged.owner.log_key_at(entry.index))
        head = judged.checkpoint.head
        try:
            verify_inclusion(leaf=entry.leaf, index=proof.index, size=head.size, root=head.root, proof=proof.hashes)
        except InclusionError as error:
            error.field = error.field or "proof"
            raise
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
    expected = {(log_key.name, log_key.key_id), *network.cosigners_ever}
    for number, signature in enumerate(judged.note.signatures, 1):
        if (signature.name, signature.key_id) not in expected:
            raise UnsignedError(
                f"signature line {number} is by {cut(signature.name)!r} with key {signature.key_id.hex()}, "
                "whom the network document does not name, or who has signed above",
                field="checkpoint",
            )
        expected.remove((signature.name, signature.key_id))


class _Statements(History):
    """The entries of an evidence file as a history."""

    def __init__(self, file: EvidenceFile, proven: Iterable[Proven]) -> None:
        self._manifests = {(one.root, one.count): number for number, one in enumerate(file.manifests)}
        self._memberships = file.manifests
        self._by_ref: dict[EntryRef, Statement] = {}
        self._children: dict[EntryRef, list[Statement]] = defaultdict(list)
        self._receipts: dict[EntryRef, list[Statement]] = defaultdict(list)
        for one in proven:
            self._add(one)

    def _add(self, one: Proven) -> None:
        ref = one.entry.ref
        statement = Statement(
            ref=ref,
            time=one.entry.time,
            event=read_event(one.entry.event),
            confirmed=True,
            verified=True,
            words=one.words,
        )
        self._by_ref[ref] = statement
        if isinstance(statement.event, Share):
            for parent in statement.event.parents or ():
                self._children[parent].append(statement)
        elif isinstance(statement.event, Receipt):
            self._receipts[statement.event.share].append(statement)

    def __iter__(self) -> Iterator[Statement]:
        return iter(self._by_ref.values())

    def naming(self, record: str) -> list[Statement]:
        """Return the shares that name the record, or of whose manifest the file shows that the record is in it."""
        return [
            statement
            for statement in self
            if isinstance(statement.event, Share)
            and (record in (statement.event.records or ()) or self._is_member(record, statement.event.manifest))
        ]

    def _is_member(self, record: str, ref: ManifestRef | None) -> bool:
        number = self._manifests.get((ref.root, ref.count)) if ref is not None else None
        if ref is None or number is None:
            return False
        membership = self._memberships[number]
        proof = [parse_hash(text) for text in membership.proof]
        try:
            verify_membership(record, ref=ref, index=membership.index, proof=proof)
        except InclusionError as error:
            raise error.at(f"manifests[{number}]") from None
        return True

    def at(self, ref: EntryRef) -> Statement | None:
        """Return the entry at that place, if the file has it."""
        return self._by_ref.get(ref)

    def children(self, ref: EntryRef) -> list[Statement]:
        """Return the shares of the file that name this share as a parent."""
        return self._children.get(ref, [])

    def receipts(self, ref: EntryRef) -> list[Statement]:
        """Return the receipts of the file that answer this share."""
        return self._receipts.get(ref, [])


def _trace(file: EvidenceFile, proven: Sequence[Proven]) -> Trace:
    _refuse_contradictions(proven)
    statements = _Statements(file, proven)
    lineage = collect(file.record, statements)
    if not lineage.named_by:
        raise VerificationError("no entry of the file tells of its record", field="record")
    for number, statement in enumerate(statements):
        if statement.ref.hash not in lineage.statements and statement.ref.hash not in lineage.context:
            raise VerificationError(
                f"{statement.ref} does not belong to the record's history", field=f"proofs[{number}]"
            )
    _refuse_unused_manifests(file, lineage)
    return fold(
        file.record,
        lineage.statements.values(),
        named_by=frozenset(lineage.named_by),
        known=frozenset(lineage.context),
        checkpoints=checkpoint_summaries(one.judged for one in proven),
        truncated=lineage.truncated or file.truncated is not None,
    )


def _refuse_contradictions(proven: Sequence[Proven]) -> None:
    """Refuse what no honest quorum can have cosigned: two entries of one index, two roots of one size."""
    roots: dict[tuple[str, int], bytes] = {}
    leaves: dict[tuple[str, int], bytes] = {}
    for number, one in enumerate(proven):
        entry, judged = one.entry, one.judged
        if roots.setdefault((entry.origin, judged.size), judged.checkpoint.root) != judged.checkpoint.root:
            raise ConsistencyError(
                f"{entry.origin} has two roots for size {judged.size}, both cosigned by a quorum",
                field=f"proofs[{number}]",
            )
        if leaves.setdefault((entry.origin, entry.index), entry.leaf) != entry.leaf:
            raise ConsistencyError(f"two entries {entry.ref}, both cosigned by a quorum", field=f"proofs[{number}]")
    if len(leaves) < len(proven):
        raise EvidenceError("an entry is there twice", field="proofs")


def _refuse_unused_manifests(file: EvidenceFile, lineage: Lineage) -> None:
    shares = (one.event for one in lineage.statements.values() if isinstance(one.event, Share))
    used = {(share.manifest.root, share.manifest.count) for share in shares if share.manifest is not None}
    for number, membership in enumerate(file.manifests):
        if (membership.root, membership.count) not in used:  # or it is there a second time
            raise VerificationError("the manifest belongs to no share of the file", field=f"manifests[{number}]")
        used.remove((membership.root, membership.count))


def checkpoint_summaries(judged: Iterable[Judged]) -> list[dict[str, Any]]:
    """Return the checkpoints that a history rests on, as its JSON has them: one per log and size."""
    by_place = {(one.checkpoint.origin, one.size): one for one in sorted(judged, key=lambda one: len(one.cosigners))}
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
