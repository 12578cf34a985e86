"""History: traces, proofs and evidence over a real store; what is damaged is said to be so, and never verified."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from node_helpers import (
    NOW_MS,
    RECORD,
    PaperLog,
    Town,
    event_id,
    opening,
    paper,
    parties,
    receipt,
    reference,
    seed,
    share,
)
from structlog.testing import capture_logs

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.cosignature import add_signatures, cosign
from ledger.encoding import canonical_json
from ledger.entry import Entry, chain, parse_entry, sign_texts
from ledger.errors import InclusionError, StoreCorruptError
from ledger.event import LogOpen
from ledger.evidence import verify_evidence, verify_proof_file
from ledger.manifest import Manifest, make_manifest, parse_manifest
from ledger.merkle import TreeSize
from ledger.provenance import Trace
from ledger.store.memory import Cell, MemoryDisk
from node import history, layout
from node.errors import NotConfirmedError, NotFoundError
from node.history import History, membership, read_entries
from node.submission import Prepared, Recorded, Submission, prepare

A, B, C, D = FOUR = parties(4)
LAW = paper(FOUR, quorum={"faults": 0})  # the same quorum as with one fault, and nobody's memory is needed


class Archive:
    """A's node with its own log, and B's and C's logs on paper, mirrored and confirmed when told so."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.node = town.open(A)
        self.b = PaperLog(B, LAW.network, FOUR)
        self.c = PaperLog(C, LAW.network, FOUR)
        for party, log in ((B, self.b), (C, self.c)):
            town.wire.answer(party, log.answer)

    @property
    def disk(self) -> MemoryDisk:
        return self.town.disks[A.name]

    @property
    def history(self) -> History:
        return self.node.history()

    async def open(self) -> None:
        await self.node.recovery.once()
        value = opening(1, LAW.network)
        prepared = Prepared(LogOpen.model_validate(value), canonical_json(value).encode())
        self.node.writer.submit_to(self.node.sequencer, Submission((prepared,))).result()

    async def record(self, value: dict[str, Any]) -> Recorded:
        [(recorded, _)] = await self.node.submit((prepare(value, origin=A.origin),), wait_confirmed=False)
        return recorded

    async def take(self, log: PaperLog) -> None:
        """Mirror a log, not confirmed."""
        await self.node.mirror.catch_up(log.origin, log.size)

    async def confirm(self, *logs: PaperLog) -> None:
        """Take confirmed checkpoints of the logs, and make one of the own log."""
        for log in logs:
            await self.node.mirror.take_confirmed(log.checkpoint(cosigners=3).encode(), origin=log.origin)
        state = self.node.state
        promise = Checkpoint(A.origin, TreeSize(state.size), state.edge.root())
        signed = [cosign(party.keys.cosigner, promise, time=NOW_MS // 1000) for party in FOUR[:3]]
        note = add_signatures(sign_checkpoint(A.keys.log, promise), signed)
        await self.node.mirror.take_confirmed(note.encode(), origin=A.origin)

    async def keep(self, *records: str) -> Manifest:
        manifest = make_manifest(records)
        await self.node.keep_manifest(manifest)
        return manifest

    def replace(self, origin: str, index: int, raw: bytes) -> None:
        """Put other bytes in the place of a stored entry."""
        self.put(layout.entry_key(layout.log_id(origin), index), raw)

    def put(self, key: bytes, raw: bytes) -> None:
        """Put other bytes in the place of stored ones, with a good checksum: the store does not notice."""
        assert self.disk.cells is not None
        self.disk.cells[key] = Cell(key, raw)
        self.node.store.reopen()

    def flip(self, key: bytes) -> None:
        self.disk.flip(key)


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        with capture_logs():
            archive = Archive(town)
            await archive.open()
            yield archive


class Handed:
    """B gives a record to A, A passes it on to C, and both answer."""

    def __init__(self, first: Entry, first_receipt: Recorded, second: Recorded, second_receipt: Entry) -> None:
        self.first = first
        self.first_receipt = first_receipt
        self.second = second
        self.second_receipt = second_receipt


async def hand_over(archive: Archive) -> Handed:
    [first] = archive.b.append(share(10, A))
    await archive.take(archive.b)
    first_receipt = await archive.record(receipt(11, first))
    second = await archive.record(share(12, C, parents=[first.ref.model_dump()]))
    [second_receipt] = archive.c.append(receipt(13, second))
    await archive.take(archive.c)
    return Handed(first, first_receipt, second, second_receipt)


def gaps(trace: Trace) -> list[str]:
    return sorted(gap.kind for gap in trace.gaps)


# Traces.


async def test_a_record_is_traced_through_all_hands(archive: Archive) -> None:
    handed = await hand_over(archive)
    await archive.confirm(archive.b, archive.c)
    trace = archive.history.trace(RECORD)
    assert [(hop.share.ref.log, hop.event.consumer, hop.outcome) for hop in trace.hops] == [
        (B.origin, A.origin, "accepted"),
        (A.origin, C.origin, "accepted"),
    ]
    assert [hop.share.ref for hop in trace.hops] == [handed.first.ref, handed.second.ref]
    assert trace.hops[0].receipt is not None
    assert trace.hops[0].receipt.ref == handed.first_receipt.ref
    assert all(hop.verified and hop.confirmed for hop in trace.hops)
    assert {holder.log: holder.state for holder in trace.holders} == {
        B.origin: "origin",
        A.origin: "received",
        C.origin: "received",
    }
    assert trace.gaps == ()
    assert [one["log"] for one in trace.checkpoints] == [A.origin, B.origin, C.origin]
    assert "which 3 members have cosigned (3 needed)" in trace.hops[0].share.words


async def test_what_is_not_confirmed_is_said_to_be_only_recorded(archive: Archive) -> None:
    await hand_over(archive)
    await archive.confirm(archive.b)
    trace = archive.history.trace(RECORD)
    assert [hop.confirmed for hop in trace.hops] == [True, False]
    assert all(hop.verified for hop in trace.hops)
    answer = trace.hops[1].receipt
    assert answer is not None
    assert answer.words == f"signed by {C.origin}; not confirmed yet by a quorum of the members"


async def test_a_record_that_nobody_names_is_not_found(archive: Archive) -> None:
    await hand_over(archive)
    with pytest.raises(NotFoundError) as missing:
        archive.history.trace(reference("another record"))
    assert missing.value.field == "record"


async def test_a_trace_says_when_an_index_had_more(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "NAMED_MAX", 3)
    for number in range(2, 5):
        await archive.record(share(number, B))
    assert not archive.history.trace(RECORD).truncated
    await archive.record(share(5, B))
    trace = archive.history.trace(RECORD)
    assert trace.truncated
    assert len(trace.hops) == 3


async def test_one_log_cannot_crowd_out_the_others(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "NAMED_MAX", 3)
    for number in range(2, 10):
        await archive.record(share(number, B))
    archive.c.append(share(20, A))
    await archive.take(archive.c)
    await archive.confirm(archive.c)
    trace = archive.history.trace(RECORD)
    assert trace.truncated
    assert [hop.share.ref.log for hop in trace.hops].count(A.origin) == 3
    assert [hop.share.ref.log for hop in trace.hops].count(C.origin) == 1
    evidence = verify_evidence(archive.history.evidence(RECORD, LAW.document), fingerprint=LAW.fingerprint)
    assert evidence.trace.truncated


async def test_entries_of_a_log_that_the_network_does_not_have_any_more_are_passed_over(archive: Archive) -> None:
    handed = await hand_over(archive)
    states = {origin: state for origin, state in archive.node.states.items() if origin != C.origin}
    trace = History(archive.node.store, states, LAW.network).trace(RECORD)
    assert trace.hops[1].share.ref == handed.second.ref
    assert trace.hops[1].outcome == "awaiting"


# Damage.


async def test_a_flipped_share_is_reported_as_damaged_and_never_verified(archive: Archive) -> None:
    handed = await hand_over(archive)
    await archive.confirm(archive.b, archive.c)
    archive.flip(layout.entry_key(layout.log_id(B.origin), handed.first.index))
    trace = archive.history.trace(RECORD)
    assert [hop.share.ref for hop in trace.hops] == [handed.second.ref]
    assert "damaged" in gaps(trace)
    [damaged] = [gap for gap in trace.gaps if gap.kind == "damaged"]
    assert damaged.entry is not None
    assert (damaged.entry.log, damaged.entry.index) == (B.origin, handed.first.index)
    assert "unknown_parent" in gaps(trace)


async def test_a_flipped_receipt_is_reported_as_damaged_and_the_share_as_unanswered(archive: Archive) -> None:
    handed = await hand_over(archive)
    archive.flip(layout.entry_key(layout.log_id(C.origin), handed.second_receipt.index))
    trace = archive.history.trace(RECORD)
    assert [hop.outcome for hop in trace.hops] == ["accepted", "awaiting"]
    assert gaps(trace) == ["damaged", "no_receipt"]


async def test_a_flipped_onward_share_is_reported_as_damaged(archive: Archive) -> None:
    handed = await hand_over(archive)
    archive.flip(layout.entry_key(layout.log_id(A.origin), handed.second.ref.index))
    trace = archive.history.trace(RECORD)
    assert len(trace.hops) == 1
    assert "damaged" in gaps(trace)


async def test_when_all_that_names_a_record_is_damaged_the_trace_says_so(archive: Archive) -> None:
    recorded = await archive.record(share(2, B))
    archive.flip(layout.entry_key(layout.log_id(A.origin), recorded.ref.index))
    trace = archive.history.trace(RECORD)
    assert trace.hops == ()
    assert gaps(trace) == ["damaged"]


def substitutions() -> list[Any]:
    def other_words(entry: Entry, _: Archive) -> bytes:
        return entry.raw.replace(b"check of an application", b"sale of an application!!")

    def other_place(_: Entry, archive: Archive) -> bytes:
        return archive.b.raws[0]

    def other_log(entry: Entry, _: Archive) -> bytes:
        return PaperLog(C, LAW.network).raws[0] * (entry.index > 0)

    def resigned(entry: Entry, archive: Archive) -> bytes:
        """B itself signs another event for the same place, on the same predecessor."""
        head = type(archive.b.head)(B.origin, entry.index, entry.previous, entry.time)
        texts, _ = chain(head, [canonical_json(share(10, A, purpose="another purpose")).encode()], time=entry.time)
        return sign_texts(B.keys.log, texts)[0]

    return [
        pytest.param(other_words, id="other words"),
        pytest.param(other_place, id="an entry of another place"),
        pytest.param(other_log, id="an entry of another log"),
        pytest.param(resigned, id="another entry that the owner has signed"),
        pytest.param(lambda _entry, _archive: b"nothing", id="no entry"),
    ]


@pytest.mark.parametrize("substitute", substitutions())
async def test_an_entry_that_took_anothers_place_is_never_verified(
    archive: Archive, substitute: Callable[[Entry, Archive], bytes]
) -> None:
    handed = await hand_over(archive)
    await archive.confirm(archive.b, archive.c)
    archive.replace(B.origin, handed.first.index, substitute(handed.first, archive))
    trace = archive.history.trace(RECORD)
    assert [hop.share.ref for hop in trace.hops] == [handed.second.ref]
    assert "damaged" in gaps(trace)


async def test_a_damaged_tile_verifies_nothing(archive: Archive) -> None:
    await hand_over(archive)
    await archive.confirm(archive.b, archive.c)
    archive.flip(layout.tile_key(layout.log_id(B.origin), 0, 0))
    trace = archive.history.trace(RECORD)
    assert B.origin not in {hop.share.ref.log for hop in trace.hops}
    assert "damaged" in gaps(trace)


@pytest.mark.parametrize("substitute", substitutions())
async def test_what_took_the_place_of_an_entry_that_was_verified_before_is_verified_anew(
    archive: Archive, substitute: Callable[[Entry, Archive], bytes]
) -> None:
    handed = await hand_over(archive)
    await archive.confirm(archive.b, archive.c)
    assert archive.history.trace(RECORD).verified
    archive.replace(B.origin, handed.first.index, substitute(handed.first, archive))
    trace = archive.history.trace(RECORD)
    assert [hop.share.ref for hop in trace.hops] == [handed.second.ref]
    assert "damaged" in gaps(trace)


async def test_a_hash_that_changed_in_a_tile_is_found_at_the_next_question(archive: Archive) -> None:
    await hand_over(archive)
    await archive.confirm(archive.b, archive.c)
    assert archive.history.trace(RECORD).verified
    key = layout.tile_key(layout.log_id(B.origin), 0, 0)
    data = archive.node.store.get(key)
    assert data is not None
    archive.put(key, data[:-1] + bytes((data[-1] ^ 1,)))
    trace = archive.history.trace(RECORD)
    assert B.origin not in {hop.share.ref.log for hop in trace.hops}
    assert "damaged" in gaps(trace)


async def test_an_event_that_breaks_its_schema_is_history_but_no_part_of_a_trace(archive: Archive) -> None:
    archive.b.append({"type": "share", "id": event_id(50), "records": [RECORD]}, share(10, A))
    await archive.take(archive.b)
    assert len(archive.history.trace(RECORD).hops) == 1
    entry, statement = archive.history.entry(B.origin, 1)
    assert entry.event["id"] == event_id(50)
    assert statement.verified


# Manifests.


async def test_a_record_in_a_manifest_that_is_kept_here_is_traced(archive: Archive) -> None:
    manifest = await archive.keep(RECORD, reference("another record"))
    [sent] = archive.b.append(share(10, A, records=None, manifest=manifest.ref.model_dump()))
    await archive.take(archive.b)
    await archive.record(receipt(11, sent))
    await archive.confirm(archive.b)
    trace = archive.history.trace(RECORD)
    assert [hop.share.ref for hop in trace.hops] == [sent.ref]
    assert trace.hops[0].outcome == "accepted"


async def test_a_share_that_states_another_count_than_the_manifest_has_does_not_spoil_the_history(
    archive: Archive,
) -> None:
    manifest = await archive.keep(RECORD, reference("another record"))
    named = manifest.ref.model_dump()
    [sent] = archive.b.append(share(10, A, records=None, manifest=named))
    archive.b.append(share(12, A, records=None, manifest={**named, "count": 3}))
    await archive.take(archive.b)
    await archive.record(receipt(11, sent))
    await archive.confirm(archive.b)
    assert [hop.share.ref for hop in archive.history.trace(RECORD).hops] == [sent.ref]
    data = archive.history.evidence(RECORD, LAW.document)
    assert len(verify_evidence(data, fingerprint=LAW.fingerprint).trace.hops) == 1


async def test_a_manifest_may_come_before_or_after_the_share(archive: Archive) -> None:
    manifest = make_manifest([RECORD])
    archive.b.append(share(10, A, records=None, manifest=manifest.ref.model_dump()))
    await archive.take(archive.b)
    with pytest.raises(NotFoundError):
        archive.history.trace(RECORD)
    await archive.node.keep_manifest(manifest)
    assert len(archive.history.trace(RECORD).hops) == 1


async def test_a_manifest_without_a_share_is_no_history(archive: Archive) -> None:
    await archive.keep(RECORD)
    with pytest.raises(NotFoundError):
        archive.history.trace(RECORD)


async def test_membership_is_proven_from_the_manifest_that_is_kept(archive: Archive) -> None:
    manifest = await archive.keep(RECORD, reference("1"), reference("2"))
    proven = membership(archive.node.store, RECORD, manifest.root)
    assert proven["count"] == 3
    with pytest.raises(InclusionError):
        membership(archive.node.store, reference("3"), manifest.root)
    with pytest.raises(NotFoundError):
        membership(archive.node.store, RECORD, seed("another manifest"))
    kept = archive.node.store.get(layout.manifest_key(manifest.root))
    assert kept is not None
    assert parse_manifest(kept) == manifest


# Evidence and proofs.


async def test_evidence_verifies_offline_and_tells_the_same_history(archive: Archive) -> None:
    await hand_over(archive)
    await archive.confirm(archive.b, archive.c)
    data = archive.history.evidence(RECORD, LAW.document)
    evidence = verify_evidence(data, fingerprint=LAW.fingerprint)
    assert evidence.trace.to_json() == archive.history.trace(RECORD).to_json()
    assert len(evidence.proven) == 4


async def test_evidence_with_a_manifest_verifies_offline(archive: Archive) -> None:
    manifest = await archive.keep(RECORD, reference("another record"))
    [sent] = archive.b.append(share(10, A, records=None, manifest=manifest.ref.model_dump()))
    await archive.take(archive.b)
    await archive.record(receipt(11, sent))
    await archive.confirm(archive.b)
    data = archive.history.evidence(RECORD, LAW.document)
    evidence = verify_evidence(data, fingerprint=LAW.fingerprint)
    assert evidence.trace.to_json() == archive.history.trace(RECORD).to_json()


async def test_evidence_of_a_history_that_is_not_confirmed_is_refused(archive: Archive) -> None:
    await hand_over(archive)
    await archive.confirm(archive.b)
    with pytest.raises(NotConfirmedError) as refused:
        archive.history.evidence(RECORD, LAW.document)
    assert refused.value.field == "index"


async def test_evidence_of_an_unknown_record_is_not_found(archive: Archive) -> None:
    with pytest.raises(NotFoundError):
        archive.history.evidence(RECORD, LAW.document)


async def test_evidence_is_refused_while_a_part_of_the_history_is_damaged_here(archive: Archive) -> None:
    """Without the damaged receipt, it would say that C never answered."""
    handed = await hand_over(archive)
    await archive.confirm(archive.b, archive.c)
    archive.flip(layout.entry_key(layout.log_id(C.origin), handed.second_receipt.index))
    with pytest.raises(StoreCorruptError, match="damaged"):
        archive.history.evidence(RECORD, LAW.document)


async def test_every_confirmed_entry_has_a_proof_that_verifies(archive: Archive) -> None:
    archive.b.grow(600, A)
    await archive.confirm(archive.b)
    for index in (0, 1, 255, 256, 257, 599, 600):
        proof = archive.history.proof(B.origin, index)
        proven = verify_proof_file(proof.encode(), LAW.network)
        assert proven.entry == parse_entry(archive.b.raws[index])


async def test_an_entry_above_the_confirmed_size_has_no_proof_yet(archive: Archive) -> None:
    await archive.confirm(archive.b)
    archive.b.grow(3, A)
    await archive.take(archive.b)
    verify_proof_file(archive.history.proof(B.origin, 0).encode(), LAW.network)
    for index in (1, 3):
        with pytest.raises(NotConfirmedError):
            archive.history.proof(B.origin, index)


@pytest.mark.parametrize(("origin", "index"), [(B.origin, 99), (B.origin, -1), ("nobody.test/log", 0), (D.origin, 0)])
async def test_an_entry_that_is_not_here_is_not_found(archive: Archive, origin: str, index: int) -> None:
    await archive.confirm(archive.b)
    for ask in (archive.history.proof, archive.history.entry):
        with pytest.raises(NotFoundError):
            ask(origin, index)


async def test_the_proof_of_a_missing_entry_says_that_it_is_missing(archive: Archive) -> None:
    await archive.confirm(archive.b)
    assert archive.disk.cells is not None
    del archive.disk.cells[layout.entry_key(layout.log_id(B.origin), 0)]
    archive.node.store.reopen()
    with pytest.raises(StoreCorruptError, match="is missing"):
        archive.history.proof(B.origin, 0)
    with pytest.raises(StoreCorruptError, match="is missing"):
        archive.history.entry(B.origin, 0)


# Events.


async def test_an_event_is_found_by_its_id_in_any_log(archive: Archive) -> None:
    handed = await hand_over(archive)
    for number, ref in ((10, handed.first.ref), (12, handed.second.ref), (13, handed.second_receipt.ref)):
        entry, statement = archive.history.find_event(event_id(number), A.origin)
        assert entry.ref == statement.ref == ref
        assert statement.verified


async def test_of_two_events_with_one_id_the_own_one_is_found(archive: Archive) -> None:
    archive.b.append(share(10, A))
    await archive.take(archive.b)
    recorded = await archive.record(share(10, C))
    assert archive.history.find_event(event_id(10), A.origin)[0].ref == recorded.ref
    assert archive.history.find_event(event_id(10), A.origin, log=A.origin)[0].ref == recorded.ref
    assert archive.history.find_event(event_id(10), A.origin, log=B.origin)[0].ref.log == B.origin
    for log in (C.origin, "nobody.test/log"):
        with pytest.raises(NotFoundError):
            archive.history.find_event(event_id(10), A.origin, log=log)


async def test_an_unknown_event_is_not_found(archive: Archive) -> None:
    with pytest.raises(NotFoundError) as missing:
        archive.history.find_event(event_id(99), A.origin)
    assert missing.value.field == "event_id"


# Ranges.


async def test_ranges_of_entries_are_cut_to_what_is_there_and_to_what_may_be_sent(archive: Archive) -> None:
    archive.b.grow(20, A)
    await archive.take(archive.b)
    store, state = archive.node.store, archive.node.states[B.origin]

    def read(start: int, limit: int, bytes_max: int = 1 << 20) -> list[bytes]:
        return read_entries(store, state, start, limit, bytes_max)

    assert read(0, 5) == archive.b.raws[:5]
    assert read(18, 100) == archive.b.raws[18:]
    assert read(21, 5) == []
    assert read(3, 10, 1) == archive.b.raws[3:4]
    assert read(3, 10, 2 * len(archive.b.raws[3]) + 10) == archive.b.raws[3:5]


@pytest.mark.parametrize("index", [0, 5, 20])
async def test_a_range_with_a_missing_entry_is_refused(archive: Archive, index: int) -> None:
    archive.b.grow(20, A)
    await archive.take(archive.b)
    assert archive.disk.cells is not None
    del archive.disk.cells[layout.entry_key(layout.log_id(B.origin), index)]
    archive.node.store.reopen()
    with pytest.raises(StoreCorruptError, match=f"entry {index} of"):
        read_entries(archive.node.store, archive.node.states[B.origin], 0, 100, 1 << 20)
