"""Offline verification of files, told in words and as JSON (suyuan.verification/1). Needs the ledger alone.

Four kinds of files are known: a proof of one entry (c2sp.org/tlog-proof) and a network document by how they begin; the
evidence of a record's history, and the proof that a log has told two stories, by the schema in their JSON. Each is
judged against the pinned fingerprint, which is the only thing that is believed.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cli import exits, output, trace_view
from cli.boundary import told
from cli.language import Words, _, names_of
from ledger.encoding import cut, encode_base64, format_time
from ledger.equivocation import Story, judge_equivocation
from ledger.equivocation import Verdict as Equivocation
from ledger.errors import LedgerError, MalformedError, VerificationError
from ledger.evidence import PROOF_START, Evidence, Proven, newest_network, verify_evidence, verify_proof_file
from ledger.merkle import TreeHead
from ledger.network import FORMAT, Network
from ledger.policy import Policy, shown, verify_proof_by_policy
from ledger.versions import verify_chain

if TYPE_CHECKING:
    from rich.console import RenderableType

SCHEMA = "suyuan.verification/1"
_NETWORK_START = FORMAT.encode() + b"\n"
_EQUIVOCATION = re.compile(rb'"schema"\s*:\s*"suyuan\.equivocation/')  # within a string its quotes would be escaped
_HISTORY = (b'"network"', b'"proofs"', b'"suyuan.evidence/')  # one of them is there though the file is cut off


class UnknownKindError(MalformedError):
    """A file of none of the kinds that can be verified."""

    code = "unknown_kind"
    hint = (
        "proofs, evidence files and network documents can be verified; suyuan proof and suyuan trace --save make them"
    )


class NoNetworkError(VerificationError):
    """A proof, and no network document to judge it by."""

    code = "no_network"
    hint = "give the network document with --network; evidence files carry it themselves"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of one file."""

    file: str
    kind: str  # proof, evidence, equivocation, network or unknown
    words: Words  # what was verified; of a file that failed, what it was taken for
    error: LedgerError | None = None
    facts: dict[str, Any] = field(default_factory=dict)  # for JSON
    proven: Proven | None = None
    evidence: Evidence | None = None
    equivocation: Equivocation | None = None
    voided: bool = False  # a proof of two stories that a newer network document has made void
    network: Network | None = None

    @property
    def verified(self) -> bool:
        """Whether everything in the file holds."""
        return self.error is None


def verify_file(
    name: str, data: bytes, *, fingerprint: str, network: Network | None = None, entry: bytes | None = None
) -> Verdict:
    """Return the verdict on a file; ``network`` is verified, ``entry`` is that of a proof without its entry."""
    if data.startswith(PROOF_START):
        return verify_proof(name, data, network, entry)
    if data.startswith(b"{") and _EQUIVOCATION.search(data) is not None:
        return verify_equivocation(name, data, fingerprint, network)
    if data.startswith(b"{") and any(part in data for part in _HISTORY):
        return verify_history(name, data, fingerprint, network)
    if data.startswith(_NETWORK_START):
        return verify_network(name, data, fingerprint)
    error = UnknownKindError("neither a proof, nor evidence, nor a network document", field="line 1")
    return Verdict(file=name, kind="unknown", words=Words("a file of no kind that is known here"), error=error)


def verify_proof(name: str, data: bytes, network: Network | None, entry: bytes | None) -> Verdict:
    """Return the verdict on the proof of one entry."""

    def check() -> Verdict:
        if network is None:
            raise NoNetworkError("a proof is judged by a network document, and none is given", field="network")
        proven = verify_proof_file(data, network, entry=entry)
        return Verdict(
            file=name, kind="proof", words=proof_words(proven), facts={"entries": [proven_json(proven)]}, proven=proven
        )

    return _judged(name, "proof", Words("the proof of one entry"), check)


def verify_by_policy(name: str, data: bytes, policy: Policy, entry: bytes | None) -> Verdict:
    """Return the verdict on a proof under a trust policy; no other file can be judged by one."""

    def check() -> Verdict:
        if not data.startswith(PROOF_START):
            raise UnknownKindError("a policy judges proofs, and this is none", field="line 1")
        proof, accepted = verify_proof_by_policy(data, policy, entry=entry)
        checkpoint = accepted.checkpoint
        words = Words(
            "{entry}: in its log under the checkpoint of size {size}, "
            "which {count} witnesses of the policy have cosigned",
            one="{entry}: in its log under the checkpoint of size {size}, "
            "which {count} witness of the policy has cosigned",
            entry=f"{cut(checkpoint.origin)}#{proof.index}", size=checkpoint.size, count=len(accepted.witnesses),
        )  # fmt: skip
        facts = {
            "proof": {
                "log": checkpoint.origin,
                "index": proof.index,
                "size": checkpoint.size,
                "root": encode_base64(checkpoint.root),
                "witnesses": [shown(witness)[1:-1] for witness, _time in accepted.witnesses],
            }
        }
        return Verdict(file=name, kind="proof", words=words, facts=facts)

    return _judged(name, "proof", Words("the proof of one entry"), check)


def verify_history(name: str, data: bytes, fingerprint: str, network: Network | None) -> Verdict:
    """Return the verdict on the evidence of a record's history."""

    def check() -> Verdict:
        document = newest_network(data, fingerprint, network)
        evidence = verify_evidence(data, fingerprint=fingerprint, network=document)
        words = Words(
            "{entries} entries of the history of record {record}: each signed by its department, in its log, "
            "and under a checkpoint that a quorum of members has cosigned",
            entries=len(evidence.proven), record=evidence.trace.record,
        )  # fmt: skip
        facts = {"entries": [proven_json(one) for one in evidence.proven], "trace": evidence.trace.to_json()}
        return Verdict(file=name, kind="evidence", words=words, facts=facts, evidence=evidence, network=document)

    return _judged(name, "evidence", Words("the evidence of a record's history"), check)


def verify_equivocation(name: str, data: bytes, fingerprint: str, network: Network | None) -> Verdict:
    """Return the verdict on the proof that a log has told two stories."""

    def check() -> Verdict:
        found = judge_equivocation(data, fingerprint=fingerprint, network=network)
        return Verdict(
            file=name,
            kind="equivocation",
            words=Words("{log} has told two stories", log=found.log),
            facts={"equivocation": equivocation_json(found)},
            equivocation=found,
        )

    verdict = _judged(name, "equivocation", Words("the proof that a log has told two stories"), check)
    return replace(verdict, voided=not verdict.verified and network is not None and _was_proven(data, fingerprint))


def verify_network(name: str, data: bytes, fingerprint: str) -> Verdict:
    """Return the verdict on a network document, all its versions."""

    def check() -> Verdict:
        newest = verify_chain(data, fingerprint)
        words = Words(
            "network {name}, version {version}: every version signed by enough governors, back to the fingerprint",
            name=newest.name, version=newest.version,
        )  # fmt: skip
        facts = {"network": {"name": newest.name, "version": newest.version, "members": len(newest.members)}}
        return Verdict(file=name, kind="network", words=words, facts=facts, network=newest)

    return _judged(name, "network", Words("a network document"), check)


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """Return 6 when a log is proven to have told two stories, else 1 when anything is not verified, else 0."""
    if any(verdict.equivocation is not None for verdict in verdicts):
        return exits.INTEGRITY
    return exits.OK if all(verdict.verified for verdict in verdicts) else exits.FINDINGS


def to_json(verdicts: Sequence[Verdict], fingerprint: str | None) -> dict[str, Any]:
    """Return all verdicts for a program."""
    return {
        "schema": SCHEMA,
        "fingerprint": fingerprint,
        "verified": all(verdict.verified for verdict in verdicts),
        "files": [
            {
                "file": verdict.file,
                "kind": verdict.kind,
                "verified": verdict.verified,
                "words": verdict.words.english if verdict.verified else None,
                **verdict.facts,
                "error": error_json(verdict.error) if verdict.error is not None else None,
            }
            for verdict in verdicts
        ],
    }


def parts(verdict: Verdict) -> "list[RenderableType]":
    """Return what is drawn for one verdict."""
    if verdict.error is not None:
        return _failure_parts(verdict, verdict.error)
    if verdict.equivocation is not None:
        return _equivocation_parts(verdict, verdict.equivocation)
    drawn: list[RenderableType] = [
        output.words((_("VERIFIED"), output.GOOD), "  ", (verdict.file, output.STRONG)),
        output.pairs([("", str(verdict.words))], indent=2),
    ]
    if verdict.proven is not None:
        drawn.append(output.pairs(_proof_rows(verdict.proven), indent=2))
    if verdict.evidence is not None and verdict.network is not None:
        names = names_of(verdict.network)
        drawn += trace_view.parts(verdict.evidence.trace, names)
    return drawn


def proof_words(proven: Proven) -> Words:
    """Return what a proof has shown."""
    return Words(
        "{entry}: signed by its department, in its log under the checkpoint of size {size}, "
        "which {count} members have cosigned ({needed} needed)",
        one="{entry}: signed by its department, in its log under the checkpoint of size {size}, "
        "which {count} member has cosigned ({needed} needed)",
        entry=str(proven.entry.ref), size=proven.judged.size,
        count=len(proven.judged.cosigners), needed=proven.judged.needed,
    )  # fmt: skip


def proven_json(proven: Proven) -> dict[str, Any]:
    """Return a proven entry for a program."""
    checkpoint = proven.judged.checkpoint
    return {
        "entry": proven.entry.ref.model_dump(),
        "time": format_time(proven.entry.time),
        "event": proven.entry.event,
        "checkpoint": {
            "log": checkpoint.origin,
            "size": checkpoint.size,
            "root": encode_base64(checkpoint.root),
            "cosigned_by": [origin for origin, _time in proven.judged.cosigners],
            "needed": proven.judged.needed,
        },
    }


def equivocation_json(found: Equivocation) -> dict[str, Any]:
    """Return a proven equivocation for a program."""
    return {
        "log": found.log,
        "kind": found.kind,
        "first": _story_json(found.first),
        "second": _story_json(found.second),
        "same_below": found.size,
        "part_before": found.until,
        "words": found.words,
        "settled": _ruling_json(found.ruling) if found.ruling is not None else None,
    }


def error_json(error: LedgerError) -> dict[str, Any]:
    """Return an error for a program."""
    return {"code": error.code, "field": error.field, "message": error.message, "hint": error.hint or None}


def _judged(name: str, kind: str, taken_for: Words, check: Callable[[], Verdict]) -> Verdict:
    try:
        return check()
    except LedgerError as error:
        return Verdict(file=name, kind=kind, words=taken_for, error=error)


def _story_json(story: Story) -> dict[str, Any]:
    return {"what": story.what, "at": story.at, "hash": encode_base64(story.hash)}


def _was_proven(data: bytes, fingerprint: str) -> bool:
    """Tell whether a file proves two stories under the network document that came with it."""
    try:
        judge_equivocation(data, fingerprint=fingerprint)
    except LedgerError:
        return False
    return True


def _ruling_json(ruling: TreeHead) -> dict[str, Any]:
    return {"size": ruling.size, "root": encode_base64(ruling.root)}


def _equivocation_parts(verdict: Verdict, found: Equivocation) -> "list[RenderableType]":
    rows = [
        (_("File"), verdict.file),
        (_("One story"), _told_in(found, found.first)),
        (_("Another story"), _told_in(found, found.second)),
        (_("They part"), _parting(found)),
        *_ending(found),
    ]
    return [
        output.words((_("PROVEN: {log} has told two stories", log=found.log), output.BAD)),
        output.pairs(rows, indent=2),
    ]


def _ending(found: Equivocation) -> list[tuple[str, str]]:
    """Say what the governors have ruled, or what is to be done as long as they have not."""
    if found.ruling is None:
        words = _("whatever this log says may be told otherwise to others: show this file to all members")
        return [(_("Next"), words)]
    size, root = found.ruling.size, encode_base64(found.ruling.root)
    ruled = _(
        "the governors have ruled that the history of size {size} with root {root} counts, and the log goes on from "
        "there with another key",
        size=size, root=root,
    )  # fmt: skip
    return [(_("Settled"), ruled)]


def _told_in(found: Equivocation, story: Story) -> str:
    """Say what the log has signed."""
    digest = encode_base64(story.hash)
    if story.what == "checkpoint":
        return _("its checkpoint of size {size} with root {root}", size=story.at, root=digest)
    if story.what == "entries":
        return _("its entries up to size {size}, which hash to the root {root}", size=story.at, root=digest)
    return _("its entry {entry} with hash {hash}", entry=f"{found.log}#{story.at}", hash=digest)


def _parting(found: Equivocation) -> str:
    """Say from which entry on the log contradicts itself, as far as that is shown."""
    if found.until == 0:
        return _("before the first entry: the empty log has one root only")
    if found.until - found.size > 1:
        return _(
            "at entry {last} or before; which entry is the first that differs is not shown here", last=found.until - 1
        )
    if found.size == 0:
        return _("from entry 0 on")
    return _("from entry {index} on; all entries before it are the same", index=found.size)


def _failure_parts(verdict: Verdict, error: LedgerError) -> "list[RenderableType]":
    rows = [(_("Taken for"), str(verdict.words)), (_("Wrong"), told(error))]
    if error.field:
        rows.append((_("Where"), error.field))
    if verdict.voided:
        rows.append((_("Settled"), _("it was proven, and the governors have made void since what it rests on")))
    elif error.hint:
        rows.append((_("Next"), _(error.hint)))
    return [
        output.words((_("NOT VERIFIED"), output.BAD), "  ", (verdict.file, output.STRONG)),
        output.pairs(rows, indent=2),
    ]


def _proof_rows(proven: Proven) -> list[tuple[str, str]]:
    return [
        (_("Time"), _("{time} UTC", time=output.moment(format_time(proven.entry.time)))),
        (_("Event"), str(proven.entry.event.get("type", ""))),
        (_("Cosigned by"), ", ".join(origin for origin, _time in proven.judged.cosigners)),
    ]
