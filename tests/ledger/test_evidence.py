"""Evidence: it convinces as it stands, and with one byte changed, taken away or put in it does not."""

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import builders
import pytest
from builders import Log, Net, evidence, logs_of, make_network, next_version, receipt_event, record, share_event
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import evidence as module
from ledger.checkpoint import Checkpoint
from ledger.encoding import JsonObject, canonical_json, encode_base64, lines_to_text, text_to_lines
from ledger.entry import ChainHead, Entry, chain, parse_entry, sign_texts
from ledger.errors import (
    BadValueError,
    Base64Error,
    ConsistencyError,
    EvidenceError,
    FingerprintError,
    InclusionError,
    InvalidSignatureError,
    JsonError,
    LedgerError,
    ManifestError,
    MissingMemberError,
    NetworkError,
    NotCanonicalError,
    NoteError,
    OutOfRangeError,
    ProofFormatError,
    QuorumError,
    TooLongError,
    UnknownLogError,
    UnknownMemberError,
    UnsignedError,
    Utf8Error,
    VerificationError,
    WrongTypeError,
)
from ledger.event import EntryRef
from ledger.evidence import (
    PROOF_START,
    checkpoint_summaries,
    encode_evidence,
    parse_evidence,
    verify_evidence,
    verify_proof_file,
)
from ledger.manifest import make_manifest
from ledger.merkle import LeafIndex, TreeSize
from ledger.network import parse_network
from ledger.proof import Proof, parse_proof
from ledger.quorum import judge_checkpoint

NET = make_network(4)
ABOUT, OTHER = record("liu"), record("wang")


@cache
def story() -> tuple[list[Log], dict[str, EntryRef]]:
    """Police to tax to health, with a source of another record; court has nothing to do with it."""
    logs = logs_of(NET)
    police, tax, health, court = logs
    source = court.share(tax, records=[OTHER])
    first = police.share(tax, records=[ABOUT, record("zhang")])
    answer = tax.receipt(first)
    second = tax.share(health, records=[ABOUT, OTHER], parents=[first, source])
    refusal = health.receipt(second, outcome="rejected")
    product = health.share(court, records=[record("product")], parents=[second])
    unrelated = police.share(court, records=[record("zhang")])
    return logs, {
        "source": source,
        "first": first,
        "answer": answer,
        "second": second,
        "refusal": refusal,
        "product": product,
        "unrelated": unrelated,
    }


def told(*names: str) -> list[EntryRef]:
    """Entries of the story, all that belong to the record when none is named."""
    _, entries = story()
    return [entries[name] for name in names or ("source", "first", "answer", "second", "refusal", "product")]


def file_of(*names: str, net: Net = NET, **parts: Any) -> bytes:
    logs, _ = story()
    return evidence(net, ABOUT, logs, only=told(*names), **parts)


def verify(data: bytes, net: Net = NET) -> Any:
    return verify_evidence(data, fingerprint=net.fingerprint)


def changed(data: bytes, change: Callable[[JsonObject], object]) -> bytes:
    """The file with a change in its JSON."""
    value = json.loads(data)
    change(value)
    return (canonical_json(value) + "\n").encode()


def failure(data: bytes) -> LedgerError:
    with pytest.raises(LedgerError) as caught:
        verify(data)
    return caught.value


@cache
def small() -> tuple[Net, Log, Log, EntryRef]:
    """The smallest network with a share of a manifest and its receipt."""
    net = make_network(2)
    police, tax = logs_of(net)
    share = police.share(tax, manifest=make_manifest([ABOUT, OTHER, record(3)]).ref.model_dump())
    tax.receipt(share)
    return net, police, tax, share


def membership(about: str = ABOUT, records: Sequence[str] = (ABOUT, OTHER, record(3))) -> JsonObject:
    manifest = make_manifest(records)
    index, proof = manifest.prove(about)
    return {
        "count": len(manifest.records),
        "index": index,
        "proof": [encode_base64(one) for one in proof],
        "root": encode_base64(manifest.root),
    }


def small_file(**parts: Any) -> bytes:
    net, police, tax, _ = small()
    return evidence(net, ABOUT, [police, tax], **{"memberships": [membership()], **parts})


def test_an_evidence_file_tells_the_whole_history_and_what_it_rests_on() -> None:
    found = verify(file_of())
    assert [str(hop.share.ref) for hop in found.trace.hops] == [str(ref) for ref in told("first", "second", "product")]
    assert [hop.outcome for hop in found.trace.hops] == ["accepted", "rejected", "awaiting"]
    assert [hop.direct for hop in found.trace.hops] == [True, True, False]
    assert [gap.kind for gap in found.trace.gaps] == ["no_receipt", "parent_rejected"]
    assert found.trace.verified
    assert all(hop.confirmed for hop in found.trace.hops)
    assert {one.entry.ref for one in found.proven} == set(told())
    assert found.trace.hops[0].share.words == (
        "signed by police.ordos.example/log, included in its checkpoint of size 3, "
        "which 4 members have cosigned (3 needed)"
    )
    assert [one["log"] for one in found.trace.checkpoints] == sorted(NET.origins)
    assert all(one["cosigned_by"] == sorted(NET.origins) for one in found.trace.checkpoints)


def test_the_order_of_the_proofs_does_not_change_the_history() -> None:
    expected = verify(file_of()).trace
    assert verify(changed(file_of(), lambda value: value["proofs"].reverse())).trace == expected


def test_an_evidence_file_is_canonical_json_of_lines() -> None:
    data = file_of()
    parsed = parse_evidence(data)
    assert data == (canonical_json(json.loads(data)) + "\n").encode()
    assert parsed.record == ABOUT
    assert parsed.network_document == NET.document
    assert [lines_to_text(lines) for lines in parsed.proofs][:1] == [story()[0][0].proof(1)]
    assert encode_evidence(ABOUT, [lines_to_text(one) for one in parsed.proofs], [], NET.document) == data


def test_no_byte_of_an_evidence_file_can_be_changed() -> None:
    net = small()[0]
    data = small_file()
    assert verify(data, net).trace.hops
    for at in range(len(data)):
        with pytest.raises(LedgerError) as caught:
            verify(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :], net)
        assert caught.value.field, at


@pytest.mark.parametrize("put", [b"", b" ", b"A", b"\n"])
def test_no_byte_of_an_evidence_file_can_be_left_out_or_put_in(put: bytes) -> None:
    net = small()[0]
    data = small_file()
    for at in range(0, len(data), 11):
        mutant = data[:at] + put + data[at + (not put) :]
        if mutant != data:
            with pytest.raises(LedgerError):
                verify(mutant, net)


def test_no_byte_of_a_proof_file_can_be_changed() -> None:
    net, police, _, share = small()
    data = police.proof(share.index)
    assert verify_proof_file(data, net.network).entry.ref == share
    for at in range(len(data)):
        for bit in (0, 5) if at % 2 else (1, 6):
            with pytest.raises(LedgerError) as caught:
                verify_proof_file(data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :], net.network)
            assert caught.value.field, at
        with pytest.raises(LedgerError):
            verify_proof_file(data[:at], net.network)


@pytest.mark.parametrize(
    ("left_out", "expected"),
    [
        ("first", "unknown_parent"),
        ("answer", "no_receipt"),
        ("source", "unknown_parent"),
        ("refusal", "no_receipt"),
        ("second", VerificationError),  # its receipt and the product would hang in the air
        ("product", None),  # what became of the record can be kept back, and nothing shows it
    ],
)
def test_a_proof_that_is_left_out_is_a_gap_or_an_error(left_out: str, expected: str | type[LedgerError] | None) -> None:
    names = [name for name in ("source", "first", "answer", "second", "refusal", "product") if name != left_out]
    if isinstance(expected, type):
        assert isinstance(failure(file_of(*names)), expected)
        return
    whole = [(gap.kind, gap.entry) for gap in verify(file_of()).trace.gaps]
    if left_out == "first":  # and then its receipt belongs to nothing
        assert isinstance(failure(file_of(*names)), VerificationError)
        names.remove("answer")
    gaps = [gap.kind for gap in verify(file_of(*names)).trace.gaps if (gap.kind, gap.entry) not in whole]
    assert gaps == ([] if expected is None else [expected])


def test_an_entry_that_does_not_belong_to_the_history_is_refused_by_name() -> None:
    error = failure(file_of("first", "answer", "second", "source", "refusal", "product", "unrelated"))
    assert isinstance(error, VerificationError)
    assert error.field == "proofs[1]"
    assert "police.ordos.example/log#2 does not belong" in str(error)
    logs, _ = story()
    opened = evidence(NET, ABOUT, logs, only=[*told(), logs[0].entries[0].ref])
    assert failure(opened).field == "proofs[0]"


def test_an_entry_is_there_once() -> None:
    error = failure(changed(file_of(), lambda value: value["proofs"].append(value["proofs"][0])))
    assert type(error) is EvidenceError


def test_a_file_about_another_record_is_refused() -> None:
    error = failure(changed(file_of(), lambda value: value.update(record=record("nobody"))))
    assert type(error) is VerificationError
    assert error.field == "record"


def swap_lines(value: JsonObject, here: int, there: int, lines: slice) -> None:
    one, other = value["proofs"][here], value["proofs"][there]
    one[lines], other[lines] = other[lines], one[lines]


@pytest.mark.parametrize("lines", [slice(1, 2), slice(2, 3), slice(1, 3), slice(3, None), slice(2, None)])
@pytest.mark.parametrize(("here", "there"), [(0, 2), (1, 2), (3, 4)])
def test_parts_of_two_proofs_cannot_be_exchanged(lines: slice, here: int, there: int) -> None:
    data = changed(file_of(), lambda value: swap_lines(value, here, there, lines))
    assert data != file_of()
    error = failure(data)
    assert str(error.field).startswith("proofs[")


def test_the_fingerprint_is_the_callers_and_not_the_files() -> None:
    other = make_network(3)
    for data, net in ((file_of(), other), (file_of(net=other), NET)):
        with pytest.raises(FingerprintError):
            verify(data, net)


def test_a_newer_network_document_may_judge_an_older_file() -> None:
    members = [one.entry(status="suspended" if number == 3 else "active") for number, one in enumerate(NET.departments)]
    body = builders.document_body(members, governors=NET.governors)
    newer = parse_network(next_version(NET, body))
    found = verify_evidence(file_of(), fingerprint=NET.fingerprint, network=newer)
    assert found.trace.verified
    assert found.trace.checkpoints[0]["cosigned_by"] == sorted(NET.origins[:3])  # the suspended one counts no more
    assert found.trace.checkpoints[0]["needed"] == 2
    assert len(found.trace.hops) == len(verify(file_of()).trace.hops)


def test_an_enclosed_document_of_several_versions_is_followed_to_the_newest() -> None:
    second = next_version(NET, {**json.loads(NET.network.text.split("\n")[4]), "rules": "cn-2026"})
    logs, _ = story()
    proofs = [log.proof(entry.index) for log in logs for entry in log.entries if entry.ref in told()]
    data = encode_evidence(ABOUT, proofs, [], NET.document + b"\n" + second)
    assert verify(data).trace == verify(file_of()).trace
    with pytest.raises(LedgerError):
        verify(encode_evidence(ABOUT, proofs, [], NET.document + b"\n" + second.replace(b"2026", b"2027")))


def one_proof(by: Sequence[builders.Department], *extra: str, log: Log | None = None) -> bytes:
    """The proof of the first share under cosignatures of some departments, with further lines behind them."""
    logs, _ = story()
    return (log or logs[0]).proof(1, by) + "".join(extra).encode()


def test_a_checkpoint_needs_its_quorum() -> None:
    assert verify_proof_file(one_proof(NET.departments[1:]), NET.network).entry.ref == told("first")[0]
    with pytest.raises(QuorumError):
        verify_proof_file(one_proof(NET.departments[:2]), NET.network)


def test_a_line_by_nobody_in_the_network_is_refused() -> None:
    logs, _ = story()
    stranger = builders.department(9)
    for line in (
        stranger.cosigner.cosign(logs[0].checkpoint().text, 7).line,
        stranger.log.sign(logs[0].checkpoint().text).line,
        NET.departments[1].log.sign(logs[0].checkpoint().text).line,
        NET.governors[0].sign(logs[0].checkpoint().text).line,
        NET.departments[0].log.sign(logs[0].checkpoint().text).line,  # a second time
        NET.departments[1].cosigner.cosign(logs[0].checkpoint().text, 7).line,
    ):
        with pytest.raises(UnsignedError) as caught:
            verify_proof_file(one_proof(NET.departments, line), NET.network)
        assert caught.value.field == "checkpoint"
        assert "signature line 6" in str(caught.value)


def test_a_suspended_member_may_have_cosigned_and_does_not_count() -> None:
    net = make_network(4, suspended=[3]).network
    proven = verify_proof_file(one_proof(NET.departments), net)
    assert NET.origins[3] not in dict(proven.judged.cosigners)
    with pytest.raises(QuorumError):
        verify_proof_file(one_proof(NET.departments[2:]), make_network(4, suspended=[1, 3]).network)


def test_a_proof_without_its_entry_needs_it_from_elsewhere() -> None:
    logs, _ = story()
    proof = parse_proof(logs[0].proof(1))
    bare = Proof(proof.index, proof.hashes, proof.checkpoint_note).encode()
    raw = logs[0].entries[1].raw
    assert verify_proof_file(bare, NET.network, entry=raw).entry == logs[0].entries[1]
    assert verify_proof_file(proof.encode(), NET.network, entry=raw).entry == logs[0].entries[1]
    with pytest.raises(VerificationError) as caught:
        verify_proof_file(bare, NET.network)
    assert (caught.value.field, caught.value.hint) == ("extra", "give the entry's file too")
    for data, given_entry in (
        (proof.encode(), logs[0].entries[2].raw),
        (proof_with(logs[0].entries[2], logs[0], 1), raw),
    ):
        with pytest.raises(VerificationError) as caught:
            verify_proof_file(data, NET.network, entry=given_entry)
        assert caught.value.message == "the proof carries another entry"
    with pytest.raises(LedgerError):
        verify_proof_file(bare, NET.network, entry=logs[0].entries[2].raw)
    with pytest.raises(LedgerError):
        verify_proof_file(bare, NET.network, entry=b"")


def proof_with(entry: Entry, log: Log, index: int) -> bytes:
    """A proof of a log for one of its places, with another entry in its extra line."""
    honest = parse_proof(log.proof(index))
    return Proof(LeafIndex(index), honest.hashes, honest.checkpoint_note, entry.raw).encode()


def test_an_entry_at_another_place_than_the_proof_speaks_of_is_refused() -> None:
    (police, tax, _, _), _ = story()
    for data in (proof_with(police.entries[2], police, 1), proof_with(tax.entries[1], police, 1)):
        with pytest.raises(VerificationError) as caught:
            verify_proof_file(data, NET.network)
        assert caught.value.field == "index"
        assert "police.ordos.example/log#1" in str(caught.value)


def test_an_entry_that_the_log_has_signed_and_not_included_is_not_proven() -> None:
    (police, tax, _, _), _ = story()
    fork = Log(NET, police.owner)
    fork.open()
    fork.share(tax, records=[OTHER])
    with pytest.raises(InclusionError) as caught:
        verify_proof_file(proof_with(fork.entries[1], police, 1), NET.network)
    assert caught.value.field == "proof"


def test_an_entry_that_the_log_has_not_signed_is_not_proven_even_under_a_quorum() -> None:
    police, _ = small()[1:3]
    forged = police.entries[1].raw.replace(b'"purpose":"housing benefit"', b'"purpose":"anything at all"')
    log = Log(police.net, police.owner, [police.entries[0], parse_entry(forged)])
    with pytest.raises(InvalidSignatureError):
        verify_proof_file(log.proof(1), police.net.network)


def test_a_proof_of_a_log_outside_of_the_network_is_refused() -> None:
    with pytest.raises(UnknownLogError):
        verify_proof_file(one_proof(NET.departments), make_network(0).network)


def test_an_index_that_no_reference_can_name_is_refused_even_under_a_quorum() -> None:
    police = story()[0][0]
    index = 2**53
    head = ChainHead(police.origin, index, bytes(32), builders.TIME)
    texts, _ = chain(head, [canonical_json(share_event()).encode()], time=builders.TIME)
    raw = sign_texts(police.owner.log, texts)[0]
    checkpoint = Checkpoint(police.origin, TreeSize(index + 1), bytes(32))
    note = builders.cosigned(police.owner, checkpoint, NET.departments)
    with pytest.raises(OutOfRangeError):
        verify_proof_file(Proof(LeafIndex(index), (bytes(32),), note, raw).encode(), NET.network)


def test_two_histories_under_a_quorum_are_a_contradiction_and_no_evidence() -> None:
    (police, tax, *_), entries = story()
    fork = Log(NET, police.owner, police.entries[:1])
    fork.append(share_event(tax.origin, "forked", records=[ABOUT]))
    assert fork.entries[1].ref != entries["first"]
    fork.share(tax, records=[ABOUT])
    for size, words in ((2, "two entries"), (3, "two roots for size 3")):
        proofs = [police.proof(1), fork.proof(1, size=size)]
        error = failure(encode_evidence(ABOUT, proofs, [], NET.document))
        assert type(error) is ConsistencyError
        assert error.field == "proofs[1]"
        assert words in str(error)


def test_proofs_under_checkpoints_of_different_sizes_go_together() -> None:
    (police, *_), _ = story()
    proofs = [police.proof(1, size=2), police.proof(2)]
    data = encode_evidence(record("zhang"), proofs, [], NET.document)
    assert [(one["log"], one["size"]) for one in verify(data).trace.checkpoints] == [
        (police.origin, 2),
        (police.origin, 3),
    ]


def test_a_manifest_shows_that_the_record_was_among_many() -> None:
    found = verify(small_file(), small()[0]).trace
    assert [(hop.outcome, hop.direct) for hop in found.hops] == [("accepted", True)]
    assert found.gaps == ()


@pytest.mark.parametrize(
    ("memberships", "error", "field"),
    [
        ([], VerificationError, "record"),
        ([membership(OTHER)], InclusionError, "manifests[0]"),
        ([{**membership(), "index": 7}], InclusionError, "manifests[0].index"),
        ([{**membership(), "proof": []}], InclusionError, "manifests[0].proof"),
        ([{**membership(), "count": 4}], VerificationError, "record"),
        ([membership(), membership()], VerificationError, "manifests[1]"),
        ([membership(), membership(records=[ABOUT])], VerificationError, "manifests[1]"),
        ([membership(records=[ABOUT])], VerificationError, "record"),
    ],
)
def test_a_membership_counts_for_its_own_record_and_share_alone(
    memberships: list[JsonObject], error: type[LedgerError], field: str
) -> None:
    with pytest.raises(LedgerError) as caught:
        verify(small_file(memberships=memberships), small()[0])
    assert (type(caught.value), caught.value.field) == (error, field)


def test_a_membership_that_no_share_needs_is_refused() -> None:
    error = failure(file_of(memberships=[membership()]))
    assert (type(error), error.field) == (VerificationError, "manifests[0]")


def test_an_entry_that_is_no_share_or_receipt_is_no_part_of_a_history() -> None:
    net = make_network(4)
    police, tax, *_ = logs_of(net)
    share = police.share(tax, records=[ABOUT])
    unknown = police.append({"id": builders.event_id(1), "type": "destroy"})
    with pytest.raises(VerificationError, match="does not belong"):
        verify(evidence(net, ABOUT, [police], only=[share, unknown]), net)
    onward = tax.share(police, records=[ABOUT], parents=[unknown])
    found = verify(evidence(net, ABOUT, [police, tax], only=[share, onward]), net)
    assert "unknown_parent" in [gap.kind for gap in found.trace.gaps]


def test_a_receipt_that_names_its_share_at_another_place_does_not_belong_to_it() -> None:
    net = make_network(4)
    police, tax, *_ = logs_of(net)
    share = police.share(tax, records=[ABOUT])
    answer = tax.append(receipt_event(EntryRef(hash=share.hash, index=share.index + 1, log=share.log)))
    with pytest.raises(VerificationError, match="does not belong"):
        verify(evidence(net, ABOUT, [police, tax], only=[share, answer]), net)


FORMS: dict[str, tuple[Callable[[JsonObject], object], type[LedgerError], str]] = {
    "another schema": (lambda value: value.update(schema="suyuan.evidence/2"), BadValueError, "schema"),
    "an unknown member": (lambda value: value.update(extra=1), UnknownMemberError, "extra"),
    "a member left out": (lambda value: value.pop("manifests"), MissingMemberError, "manifests"),
    "no proof": (lambda value: value.update(proofs=[]), BadValueError, "proofs"),
    "an empty proof": (lambda value: value.update(proofs=[[]]), ProofFormatError, "proofs[0]"),
    "a proof of another type": (lambda value: value.update(proofs=["x"]), WrongTypeError, "proofs[0]"),
    "a line too many": (lambda value: value["proofs"][2].insert(0, ""), ProofFormatError, "proofs[2].line 1"),
    "a line behind a proof": (lambda value: value["proofs"][1].append("x"), NoteError, "proofs[1].signatures[5]"),
    "a record in upper case": (lambda value: value.update(record=ABOUT.upper()), BadValueError, "record"),
    "no network": (lambda value: value.update(network=[]), NetworkError, "line 1"),
    "a network of null": (lambda value: value.update(network=None), WrongTypeError, "network"),
    "a line before the network": (lambda value: value["network"].insert(0, "x"), NetworkError, "line 1"),
    "a short root": (
        lambda value: value["manifests"].append({**membership(), "root": "AA=="}),
        Base64Error,
        "manifests[0].root",
    ),
    "a count of 0": (
        lambda value: value["manifests"].append({**membership(), "count": 0}),
        OutOfRangeError,
        "manifests[0].count",
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_file_of_another_form_is_refused_with_its_member(name: str) -> None:
    change, error, field = FORMS[name]
    found = failure(changed(file_of(), change))
    assert (type(found), found.field) == (error, field)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", EvidenceError),
        (b"{}", EvidenceError),
        (b"\n", JsonError),
        (b"[]\n", LedgerError),
        (b"null\n", LedgerError),
        (b'{"a": 1}\n', NotCanonicalError),
        (b"\xff\n", Utf8Error),
        (b"{}\r\n", NotCanonicalError),
        (b"{}\n\n", NotCanonicalError),
        (b"[" * 100_000 + b"\n", LedgerError),
    ],
)
def test_what_is_no_evidence_file_is_refused(data: bytes, error: type[LedgerError]) -> None:
    found = failure(data)
    assert isinstance(found, error)
    assert str(found.field).startswith("evidence")


def test_an_evidence_file_has_a_size_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    data = file_of()
    monkeypatch.setattr(module, "EVIDENCE_BYTES_MAX", len(data))
    assert parse_evidence(data)
    with pytest.raises(TooLongError) as caught:
        parse_evidence(data + b"\n")
    assert (caught.value.field, caught.value.limit) == ("evidence", len(data))


def test_a_proof_file_can_be_told_from_an_evidence_file_by_its_beginning() -> None:
    assert one_proof(NET.departments).startswith(PROOF_START)
    assert not file_of().startswith(PROOF_START)


def test_of_two_copies_of_a_checkpoint_the_one_with_more_cosigners_is_told() -> None:
    (police, tax, *_), _ = story()
    notes = [police.cosigned(NET.departments[:3]), police.cosigned(), tax.cosigned(), police.cosigned(size=1)]
    for order in (notes, notes[::-1]):
        told_of = checkpoint_summaries(judge_checkpoint(note, NET.network) for note in order)
        assert [(one["log"], one["size"], len(one["cosigned_by"])) for one in told_of] == [
            (police.origin, 1, 4),
            (police.origin, 3, 4),
            (tax.origin, 3, 4),
        ]
        assert told_of[0]["root"] == encode_base64(police.entries[0].leaf)
        assert told_of[0]["needed"] == 3


def test_a_manifest_proof_is_held_to_references() -> None:
    with pytest.raises(ManifestError):
        make_manifest(["x"])


@settings(deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode), st.integers(0, 9000), st.integers(0, 3000))
def test_hostile_files_raise_nothing_but_ledger_errors(data: bytes, start: int, length: int) -> None:
    net, police, _, share = small()
    file, proof = small_file(), police.proof(share.index)
    for good, judge in (
        (file, lambda data: verify(data, net)),
        (proof, lambda data: verify_proof_file(data, net.network)),
    ):
        for candidate in (data, good[:start] + data + good[start + length :]):
            if candidate == good:
                continue
            with pytest.raises(LedgerError):
                judge(candidate)


json_values = st.recursive(
    st.none() | st.integers(-1, 5) | st.text(max_size=5) | st.just(ABOUT) | st.just(membership()["root"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(membership())), inner),
    max_leaves=6,
)


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(["manifests", "network", "proofs", "record", "schema"]), json_values, min_size=1)
)
def test_hostile_members_raise_nothing_but_ledger_errors(members: JsonObject) -> None:
    data = changed(small_file(), lambda value: value.update(members))
    if data != small_file():
        with pytest.raises(LedgerError):
            verify(data, small()[0])


@settings(deadline=None)
@given(st.data())
def test_hostile_lines_of_a_proof_raise_nothing_but_ledger_errors(data: st.DataObject) -> None:
    net, police, _, share = small()
    lines = text_to_lines(police.proof(share.index))
    at = data.draw(st.integers(0, len(lines) - 1))
    line = data.draw(st.sampled_from(lines) | st.text(max_size=30) | st.integers(-1, 2**65).map("index {}".format))
    mutant = lines_to_text([*lines[:at], line, *lines[at + data.draw(st.integers(0, 2)) :]])
    if mutant != police.proof(share.index):
        with pytest.raises(LedgerError):
            verify_proof_file(mutant, net.network)
