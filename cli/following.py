"""Following a record without believing the node that is asked.

The node's evidence is verified here, entry by entry, against the pinned fingerprint, and the history is folded here.
Where a part of the history is not confirmed yet there is no evidence file: then each entry is verified as far as it
can be (a confirmed one by its proof, a fresh one by its signature), and what rests on the node's word alone is named.

What a node leaves out it cannot show; another member's node can be asked the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.output import Advance
from cli.session import Trust
from ledger.entry import Entry, parse_entry, verify_signature
from ledger.errors import LedgerError, MalformedError, VerificationError
from ledger.event import EntryRef, Share, Violation, read_event
from ledger.evidence import checkpoint_summaries, newest_network, verified_words, verify_evidence, verify_proof_file
from ledger.network import Network
from ledger.provenance import Gap, Statement, Trace, fold
from ledger.quorum import Judged
from node.client import BadAnswerError, Client, NodeProblem, parse_ref

if TYPE_CHECKING:
    from ledger.encoding import JsonObject

HOPS_MAX = 4000  # of one history; a node shows half of it
_TOLD_GAPS = frozenset({"damaged", "unreadable"})  # gaps that only the node's store knows of


@dataclass(frozen=True, slots=True)
class Followed:
    """A record's history, verified here."""

    trace: Trace
    evidence: bytes | None  # None where a part is not confirmed yet
    on_word: tuple[EntryRef, ...] = ()  # entries that no quorum has confirmed: that they stay rests on the node's word


@dataclass(frozen=True, slots=True)
class Checked:
    """One entry, verified here as far as it can be."""

    entry: Entry
    statement: Statement
    judged: Judged | None  # the checkpoint that confirms it


def follow(client: Client, record: str, trust: Trust, advance: Advance) -> Followed:
    """Return the history of a record.

    Raises:
        VerificationError, MalformedError: what the node gave does not hold.
        ClientError: it did not answer, or knows nothing of the record.
    """
    try:
        data = client.evidence(record)
    except NodeProblem as problem:
        if problem.code != "not_confirmed":
            raise
        return _follow_piecewise(client, record, trust.network, advance)
    network = newest_network(data, trust.fingerprint, trust.network)
    evidence = verify_evidence(data, fingerprint=trust.fingerprint, network=network)
    if evidence.trace.record != record:
        raise VerificationError("the node has answered with the history of another record", field="record")
    return Followed(evidence.trace, data)


def check_entry(client: Client, ref: EntryRef, network: Network) -> Checked:
    """Verify one entry that the node names: by its proof, or while it is not confirmed yet by its signature.

    Raises:
        VerificationError, MalformedError: it does not hold.
        ClientError: the node does not have it.
    """
    try:
        proof = client.proof(ref.log, ref.index)
    except NodeProblem as problem:
        if problem.code != "not_confirmed":
            raise
        entry = _signed_entry(client.entry(ref.log, ref.index), network)
        return _checked(ref, entry, None)
    proven = verify_proof_file(proof, network)
    return _checked(ref, proven.entry, proven.judged)


def _checked(ref: EntryRef, entry: Entry, judged: Judged | None) -> Checked:
    if entry.ref != ref:
        raise VerificationError(
            f"the node has given {entry.ref} with another content in the place of {ref}", field="entry"
        )
    words = (
        verified_words(ref, judged)
        if judged is not None
        else f"signed by {ref.log}; not confirmed yet by a quorum of the members"
    )
    statement = Statement(
        ref=ref,
        time=entry.time,
        event=read_event(entry.event),
        confirmed=judged is not None,
        verified=True,
        words=words,
    )
    return Checked(entry, statement, judged)


def _signed_entry(answer: "JsonObject", network: Network) -> Entry:
    note = answer.get("note")
    if not isinstance(note, str):
        raise BadAnswerError("the answer has no note", field="note")
    entry = parse_entry(note.encode())
    verify_signature(entry, network.member(entry.origin).log_key_at(entry.index))
    return entry


def _follow_piecewise(client: Client, record: str, network: Network, advance: Advance) -> Followed:
    told = client.trace(record)
    refs, named_by = _told_refs(told)
    statements: list[Statement] = []
    judged: list[Judged] = []
    for number, ref in enumerate(refs):
        statement, checkpoint = _try(client, ref, network)
        statements.append(statement)
        judged += [checkpoint] if checkpoint is not None else []
        advance(number + 1, len(refs))
    _check_about(record, statements, named_by)
    trace = fold(
        record,
        statements,
        named_by=frozenset(named_by),
        known=_known_parents(client, statements, network),
        gaps=_told_gaps(told),
        checkpoints=checkpoint_summaries(judged),
        truncated=bool(told.get("truncated")),
    )
    return Followed(trace, None, tuple(one.ref for one in statements if not one.confirmed))


def _try(client: Client, ref: EntryRef, network: Network) -> tuple[Statement, Judged | None]:
    try:
        checked = check_entry(client, ref, network)
    except (VerificationError, MalformedError) as error:
        problem = Violation(error.code, str(error))
        return Statement(
            ref=ref, time=0, event=problem, confirmed=False, verified=False, words=f"damaged: {error}"
        ), None
    return checked.statement, checked.judged


def _told_refs(told: "JsonObject") -> tuple[list[EntryRef], set[str]]:
    """Return the entries that the node's history names, and the hashes of the shares that it says name the record."""
    hops = told.get("hops")
    if not isinstance(hops, list) or len(hops) > HOPS_MAX or not all(isinstance(hop, dict) for hop in hops):
        raise BadAnswerError("the history has another form", field="hops", limit=HOPS_MAX)
    refs: list[EntryRef] = []
    named_by: set[str] = set()
    for hop in hops:
        share = parse_ref(hop.get("share"))
        refs.append(share)
        if hop.get("relation") == "record":
            named_by.add(share.hash)
        receipt = hop.get("receipt")
        if isinstance(receipt, dict):
            refs.append(parse_ref({name: receipt.get(name) for name in ("hash", "index", "log")}))
    return list(dict.fromkeys(refs)), named_by


def _check_about(record: str, statements: Sequence[Statement], named_by: set[str]) -> None:
    """Check that signed shares name the record where the node says so; a manifest is taken at the node's word."""
    for one in statements:
        named = isinstance(one.event, Share) and (one.event.manifest is not None or record in (one.event.records or ()))
        if one.ref.hash in named_by and one.verified and not named:
            raise VerificationError(f"{one.ref} does not name the record", field="record")


def _known_parents(client: Client, statements: Sequence[Statement], network: Network) -> frozenset[str]:
    """Return the leaf hashes of parents that exist and tell of other records only."""
    here = {one.ref.hash for one in statements}
    wanted = {
        parent.hash: parent for one in statements if isinstance(one.event, Share) for parent in one.event.parents or ()
    }
    known = set()
    for leaf, parent in wanted.items():
        if leaf in here:
            continue
        try:
            check_entry(client, parent, network)
        except LedgerError:
            continue  # the fold names it as a gap
        known.add(leaf)
    return frozenset(known)


def _told_gaps(told: "JsonObject") -> list[Gap]:
    """Return the damage that the node reports of its own store: nobody else could see it."""
    gaps = told.get("gaps")
    return [
        Gap(str(gap["kind"]), str(gap.get("detail", ""))[:500], _ref_or_none(gap.get("entry")))
        for gap in (gaps if isinstance(gaps, list) else ())
        if isinstance(gap, dict) and gap.get("kind") in _TOLD_GAPS
    ]


def _ref_or_none(value: Any) -> EntryRef | None:
    try:
        return parse_ref(value)
    except BadAnswerError:
        return None
