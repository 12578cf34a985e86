"""The sequencer: an event's place in the log, the same answer for the same id, all or nothing, and every rule."""

import json
import pickle
import threading
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from node_helpers import (
    NOW_MS,
    PATIENCE_SECONDS,
    Desk,
    PaperLog,
    entry_of,
    event_id,
    opening,
    paper,
    parties,
    receipt,
    reference,
    seed,
    share,
)

from ledger.encoding import canonical_json, encode_base64
from ledger.entry import ENTRY_BYTES_MAX
from ledger.errors import BadValueError, EventError, LedgerError, StoreCorruptError, TooLongError
from ledger.event import read_event
from ledger.event.reading import read_plain
from ledger.manifest import make_manifest
from ledger.note import ED25519, Signer
from ledger.plain import PlainReceipt, PlainShare
from ledger.store.memory import MemoryDisk
from node import indexing, layout
from node.errors import (
    AlreadyAnsweredError,
    ConflictError,
    DigestMismatchError,
    NotYoursError,
    ReadOnlyError,
    RefusedError,
    UnknownConsumerError,
    UnknownManifestError,
    UnknownParentError,
    UnknownShareError,
)
from node.submission import Recorded, Submission, event_bytes_max, prepare, prepare_text
from node.writer import Transaction

A, B, C, GONE = parties(4)
LAW = paper([A, B, C, entry_of(GONE, status="ended")])
NETWORK = LAW.network
DIGEST = "sha-256:" + encode_base64(seed("digest"))
OTHER_DIGEST = "sha-256:" + encode_base64(seed("other digest"))


@pytest.fixture
def disk() -> MemoryDisk:
    return MemoryDisk()


@pytest.fixture
def desk(disk: MemoryDisk) -> Iterator[Desk]:
    """The desk of A, which has B's and C's logs as well."""
    with Desk(A, NETWORK, disk=disk) as desk:
        yield desk


@pytest.fixture
def b_log() -> PaperLog:
    return PaperLog(B, NETWORK)


def held_together(desk: Desk, *submissions: list[dict[str, Any]]) -> list[list[Recorded] | LedgerError]:
    """Have several submissions done in one round; return what became of each."""
    return held(desk, *(Submission(tuple(map(desk.prepare, values))) for values in submissions))


def held(desk: Desk, *submissions: Submission) -> list[Any]:
    begun, end = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        begun.set()
        assert end.wait(PATIENCE_SECONDS)

    desk.writer.submit(hold)
    assert begun.wait(PATIENCE_SECONDS)
    futures = [desk.writer.submit_to(desk.sequencer, one) for one in submissions]
    rounds = desk.writer.rounds
    end.set()
    outcomes: list[Any] = []
    for future in futures:
        error = future.exception(PATIENCE_SECONDS)
        assert error is None or isinstance(error, LedgerError)
        outcomes.append(error or future.result())
    assert desk.writer.rounds == rounds + 2
    return outcomes


# Order, time, places.


def test_events_stand_in_the_order_of_their_submission(desk: Desk) -> None:
    first = desk.record(share(3, B), share(1, B))
    second = desk.record(share(2, B))
    assert [one.ref.index for one in (*first, *second)] == [0, 1, 2]
    entries = desk.entries()
    assert [entry.event["id"] for entry in entries] == [event_id(3), event_id(1), event_id(2)]
    assert [one.ref for one in (*first, *second)] == [entry.ref for entry in entries]


def test_what_was_submitted_is_recorded_as_it_was(desk: Desk) -> None:
    value = share(1, B, purpose="核对住址", labels={"window": "3"}, rows=0)
    desk.record(value)
    assert desk.entries()[0].event == value


def test_the_times_of_entries_never_decrease_when_the_clock_goes_back(desk: Desk) -> None:
    times = [desk.record(share(1, B))[0].time]
    desk.clock.advance(-3_600_000)
    times.append(desk.record(share(2, B))[0].time)
    desk.clock.advance(3_600_001)
    times.append(desk.record(share(3, B))[0].time)
    assert times == [NOW_MS, NOW_MS, NOW_MS + 1]
    assert [entry.time for entry in desk.entries()] == times


def test_the_times_of_entries_do_not_decrease_across_a_restart_with_a_wrong_clock(disk: MemoryDisk) -> None:
    with Desk(A, NETWORK, disk=disk) as desk:
        desk.record(share(1, B))
    with Desk(A, NETWORK, disk=disk) as desk:
        desk.clock.advance(-1_000_000)
        assert desk.record(share(2, B))[0].time == NOW_MS
        assert len(desk.entries()) == 2


def test_the_answer_says_where_and_when(desk: Desk) -> None:
    [recorded] = desk.record(share(1, B))
    assert json.loads(recorded.to_text("recorded")) == {
        "event_id": event_id(1),
        "entry": {"hash": recorded.ref.hash, "index": 0, "log": A.origin},
        "time": "2026-11-21T08:15:30.123Z",
        "state": "recorded",
    }


# The same id.


def test_the_same_id_with_the_same_content_gives_the_same_answer(desk: Desk) -> None:
    first = desk.record(share(1, B))
    desk.clock.advance(5_000)
    desk.record(share(2, B))
    assert desk.record(share(1, B)) == first
    assert desk.state.size == 2


def test_the_order_of_members_is_no_other_content(desk: Desk) -> None:
    value = share(1, B)
    first = desk.record(value)
    assert desk.record(dict(reversed(value.items()))) == first


def test_the_same_id_gives_the_same_answer_after_a_restart(disk: MemoryDisk) -> None:
    with Desk(A, NETWORK, disk=disk) as desk:
        first = desk.record(share(1, B))
    with Desk(A, NETWORK, disk=disk) as desk:
        desk.clock.advance(99_000)
        assert desk.record(share(1, B)) == first
        assert desk.state.size == 1


def test_the_same_event_twice_in_one_batch_is_recorded_once(desk: Desk) -> None:
    one, two, three = desk.record(share(1, B), share(2, B), share(1, B))
    assert one == three != two
    assert desk.state.size == 2


def test_the_same_event_twice_in_one_round_is_recorded_once(desk: Desk) -> None:
    first, second = held_together(desk, [share(1, B)], [share(1, B)])
    assert first == second
    assert desk.state.size == 1


def test_a_batch_may_mix_old_and_new_events(desk: Desk) -> None:
    [old] = desk.record(share(1, B))
    new, again = desk.record(share(2, B), share(1, B))
    assert again == old
    assert new.ref.index == 1


def test_the_same_id_with_other_content_is_a_conflict(desk: Desk) -> None:
    desk.record(share(1, B))
    with pytest.raises(ConflictError) as conflict:
        desk.record(share(1, B, purpose="another one"))
    assert conflict.value.field == "id"
    assert desk.state.size == 1


def test_the_same_id_with_other_content_is_a_conflict_within_one_batch(desk: Desk) -> None:
    with pytest.raises(ConflictError) as conflict:
        desk.record(share(1, B), share(1, B, purpose="another one"))
    assert conflict.value.field == "events[1].id"
    assert desk.state.size == 0


def test_the_same_id_with_other_content_is_a_conflict_within_one_round(desk: Desk) -> None:
    first, second = held_together(desk, [share(1, B)], [share(1, B, purpose="another one")])
    assert isinstance(first, list)
    assert isinstance(second, ConflictError)


def test_an_id_that_another_department_uses_is_free_here(desk: Desk, b_log: PaperLog) -> None:
    b_log.append(share(1, A))
    desk.take(b_log)
    assert desk.record(share(1, C))[0].ref.log == A.origin


# All or nothing.


def test_one_refused_event_refuses_its_batch_and_no_other(desk: Desk) -> None:
    good, bad, better = held_together(
        desk, [share(1, B)], [share(2, B), share(3, "nobody.test/log"), share(4, B)], [share(5, B)]
    )
    assert isinstance(good, list)
    assert isinstance(bad, UnknownConsumerError)
    assert bad.field == "events[1].consumer"
    assert isinstance(better, list)
    assert [entry.event["id"] for entry in desk.entries()] == [event_id(1), event_id(5)]


def test_what_a_refused_batch_has_taken_is_free_again(desk: Desk, b_log: PaperLog) -> None:
    [sent] = b_log.append(share(10, A))
    desk.take(b_log)
    refused, taken = held_together(
        desk,
        [share(1, B), receipt(2, sent), share(3, "nobody.test/log")],
        [share(1, B, purpose="another one"), receipt(4, sent)],
    )
    assert isinstance(refused, UnknownConsumerError)
    assert isinstance(taken, list)
    assert [entry.event["id"] for entry in desk.entries()] == [event_id(1), event_id(4)]


# The rules for shares.


def apart(desk: Desk, *values: dict[str, Any]) -> Submission:
    return Submission(tuple(map(desk.prepare, values)), apart=True)


def told(outcome: Recorded | LedgerError) -> object:
    return outcome if isinstance(outcome, Recorded) else (type(outcome), str(outcome), outcome.field, outcome.limit)


@pytest.mark.parametrize("number", range(20))
def test_events_that_are_apart_fare_as_if_each_had_come_alone(b_log: PaperLog, number: int) -> None:
    random = Random(number)
    first, second = b_log.append(share(100, A), share(101, A))
    pool = [
        *(share(one, B) for one in range(4)),
        share(4, C),
        share(0, B, purpose="another purpose"),
        share(5, GONE),
        share(6, A),
        share(7, B, parents=[first.ref.model_dump()]),
        share(8, B, parents=[second.ref.model_dump() | {"index": 999}]),
        receipt(9, first),
        receipt(10, first),
        receipt(11, second),
        share(12, B, records=None, manifest={"count": 1, "root": encode_base64(seed("root"))}),
    ]
    bursts = [[random.choice(pool) for _ in range(random.choice((1, 2, 8)))] for _ in range(4)]
    plain = [[random.choice(pool[:5]) for _ in range(3)] for _ in range(2)]
    with Desk(A, NETWORK) as together, Desk(A, NETWORK) as alone:
        for desk in (together, alone):
            desk.take(b_log)
            desk.record(share(1, B))
        for pair in zip([*plain, *bursts], [*bursts, *plain], strict=True):
            found = held(together, *(apart(together, *values) for values in pair))
            expected = held_together(alone, *([value] for values in pair for value in values))
            assert [told(one) for outcomes in found for one in outcomes] == [
                told(one if isinstance(one, LedgerError) else one[0]) for one in expected
            ]
        assert [entry.raw for entry in together.entries()] == [entry.raw for entry in alone.entries()]


def test_events_that_are_apart_are_looked_for_together(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.record(share(1, B))
    monkeypatch.setattr(desk.store, "get", lambda _: pytest.fail("the store was asked for one event"))
    [outcomes] = held(desk, apart(desk, share(2, B), share(3, C), share(4, B)))
    assert [one.index for one in outcomes] == [1, 2, 3]


def test_a_store_that_cannot_be_read_refuses_what_is_apart_one_by_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:

    def broken(*_: object) -> Any:
        raise StoreCorruptError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(desk.store, "snapshot", broken)
        patch.setattr(desk.store, "get", broken)
        [outcomes] = held(desk, apart(desk, share(2, B), share(3, C)))
    assert [type(one) for one in outcomes] == [StoreCorruptError] * 2
    assert len(desk.record(share(2, B), share(3, C))) == 2


@pytest.mark.parametrize(
    ("consumer", "words"),
    [
        ("nobody.test/log", "nobody.test/log is no active member"),
        (GONE.origin, "is no active member"),
        (A.origin, "does not share with itself"),
    ],
    ids=["a stranger", "a member that has left", "itself"],
)
def test_a_share_goes_to_another_active_member(desk: Desk, consumer: str, words: str) -> None:
    with pytest.raises(UnknownConsumerError, match=words) as refused:
        desk.record(share(1, consumer))
    assert refused.value.field == "consumer"
    assert desk.state.size == 0


def test_a_share_names_the_share_by_which_the_data_came(desk: Desk, b_log: PaperLog) -> None:
    [sent] = b_log.append(share(10, A))
    desk.take(b_log)
    [recorded] = desk.record(share(1, C, parents=[sent.ref.model_dump()]))
    assert desk.entries()[recorded.ref.index].event["parents"] == [sent.ref.model_dump()]


def parent_cases() -> list[Any]:
    return [
        pytest.param(lambda sent, _other: sent | {"index": 99}, id="an index that the log does not have"),
        pytest.param(lambda sent, _other: sent | {"log": C.origin}, id="a log of which nothing is here"),
        pytest.param(lambda sent, _other: sent | {"log": "nobody.test/log"}, id="a log that nobody has"),
        pytest.param(lambda sent, _other: sent | {"hash": encode_base64(bytes(32))}, id="another hash"),
        pytest.param(lambda sent, _other: sent | {"index": sent["index"] - 1}, id="another index"),
        pytest.param(lambda _sent, other: other, id="the parent of another consumer"),
    ]


@pytest.mark.parametrize("mutate", parent_cases())
def test_a_share_with_a_parent_that_did_not_come_here_is_refused(desk: Desk, b_log: PaperLog, mutate: Any) -> None:
    sent, other = b_log.append(share(10, A), share(11, C))
    desk.take(b_log)
    parents = [sent.ref.model_dump(), mutate(sent.ref.model_dump(), other.ref.model_dump())]
    if parents[0]["hash"] == parents[1]["hash"]:
        parents = parents[1:]
    with pytest.raises(UnknownParentError) as refused:
        desk.record(share(1, C, parents=parents))
    assert refused.value.field == f"parents[{len(parents) - 1}]"
    assert desk.state.size == 0


def test_a_receipt_is_no_parent(desk: Desk, b_log: PaperLog) -> None:
    [sent] = desk.record(share(1, B))
    [answer] = b_log.append(receipt(10, sent))
    desk.take(b_log)
    with pytest.raises(UnknownParentError):
        desk.record(share(2, C, parents=[answer.ref.model_dump()]))


def test_an_own_share_is_no_parent(desk: Desk) -> None:
    [sent] = desk.record(share(1, B))
    with pytest.raises(UnknownParentError):
        desk.record(share(2, C, parents=[sent.ref.model_dump()]))


def keep(desk: Desk, *records: str) -> Any:
    manifest = make_manifest(records)
    desk.writer.submit(lambda t: t.batch.put(layout.manifest_key(manifest.root), manifest.encode())).result()
    return manifest.ref.model_dump()


def test_a_share_may_name_a_manifest_that_is_kept_here(desk: Desk) -> None:
    ref = keep(desk, *(reference(str(number)) for number in range(3)))
    desk.record(share(1, B, records=None, manifest=ref))
    assert desk.entries()[0].event["manifest"] == ref


def test_a_manifest_that_is_not_kept_here_is_refused(desk: Desk) -> None:
    ref = make_manifest([reference("1")]).ref.model_dump()
    with pytest.raises(UnknownManifestError) as refused:
        desk.record(share(1, B, records=None, manifest=ref))
    assert refused.value.field == "manifest.root"


def test_a_manifest_with_another_count_is_refused(desk: Desk) -> None:
    ref = keep(desk, reference("1"), reference("2"))
    with pytest.raises(UnknownManifestError, match="has 2 records") as refused:
        desk.record(share(1, B, records=None, manifest=ref | {"count": 3}))
    assert refused.value.field == "manifest.count"


# The rules for receipts.


def test_a_receipt_answers_a_share_to_this_department(desk: Desk, b_log: PaperLog) -> None:
    [sent] = b_log.append(share(10, A, payload_digest=DIGEST))
    desk.take(b_log)
    [recorded] = desk.record(receipt(1, sent, payload_digest=DIGEST))
    assert recorded.ref.index == 0


def test_a_rejection_may_state_what_came_instead(desk: Desk, b_log: PaperLog) -> None:
    [sent] = b_log.append(share(10, A, payload_digest=DIGEST))
    desk.take(b_log)
    desk.record(receipt(1, sent, outcome="rejected", reason="other data", payload_digest=OTHER_DIGEST))
    assert desk.state.size == 1


def test_an_acceptance_of_other_data_is_refused(desk: Desk, b_log: PaperLog) -> None:
    [sent] = b_log.append(share(10, A, payload_digest=DIGEST))
    desk.take(b_log)
    with pytest.raises(DigestMismatchError) as refused:
        desk.record(receipt(1, sent, payload_digest=OTHER_DIGEST))
    assert refused.value.field == "payload_digest"


def test_an_acceptance_with_a_digest_of_a_share_that_states_none_is_refused(desk: Desk, b_log: PaperLog) -> None:
    [sent] = b_log.append(share(10, A))
    desk.take(b_log)
    with pytest.raises(DigestMismatchError):
        desk.record(receipt(1, sent, payload_digest=DIGEST))


@pytest.mark.parametrize("mutate", parent_cases()[:-1])
def test_a_receipt_for_a_share_that_is_not_here_is_refused(desk: Desk, b_log: PaperLog, mutate: Any) -> None:
    sent, other = b_log.append(share(10, A), share(11, C))
    desk.take(b_log)
    with pytest.raises(UnknownShareError) as refused:
        desk.record(receipt(1, mutate(sent.ref.model_dump(), other.ref.model_dump())))
    assert refused.value.field == "share"
    assert desk.state.size == 0


def test_a_receipt_for_the_opening_of_a_log_is_refused(desk: Desk, b_log: PaperLog) -> None:
    [entry, *_] = desk.take(b_log)
    with pytest.raises(UnknownShareError):
        desk.record(receipt(1, entry))


def test_a_receipt_for_a_share_that_went_to_somebody_else_is_refused(desk: Desk, b_log: PaperLog) -> None:
    [other] = b_log.append(share(11, C))
    desk.take(b_log)
    with pytest.raises(NotYoursError) as refused:
        desk.record(receipt(1, other))
    assert refused.value.field == "share"


def test_a_second_receipt_for_a_share_is_refused(desk: Desk, b_log: PaperLog) -> None:
    [sent] = b_log.append(share(10, A))
    desk.take(b_log)
    first = desk.record(receipt(1, sent))
    with pytest.raises(AlreadyAnsweredError):
        desk.record(receipt(2, sent, outcome="rejected", reason="second thoughts"))
    assert desk.record(receipt(1, sent)) == first


def test_a_second_receipt_is_refused_after_a_restart(disk: MemoryDisk, b_log: PaperLog) -> None:
    [sent] = b_log.append(share(10, A))
    with Desk(A, NETWORK, disk=disk) as desk:
        desk.take(b_log)
        desk.record(receipt(1, sent))
    with Desk(A, NETWORK, disk=disk) as desk, pytest.raises(AlreadyAnsweredError):
        desk.record(receipt(2, sent))


def test_a_second_receipt_in_one_batch_is_refused(desk: Desk, b_log: PaperLog) -> None:
    [sent] = b_log.append(share(10, A))
    desk.take(b_log)
    with pytest.raises(AlreadyAnsweredError) as refused:
        desk.record(receipt(1, sent), receipt(2, sent))
    assert refused.value.field == "events[1].share"
    desk.record(receipt(2, sent))


def test_a_second_receipt_in_one_round_is_refused(desk: Desk, b_log: PaperLog) -> None:
    [sent] = b_log.append(share(10, A))
    desk.take(b_log)
    first, second = held_together(desk, [receipt(1, sent)], [receipt(2, sent)])
    assert isinstance(first, list)
    assert isinstance(second, AlreadyAnsweredError)


def test_a_receipt_of_somebody_else_does_not_answer_for_us(desk: Desk, b_log: PaperLog) -> None:
    [sent] = b_log.append(share(10, A))
    c_log = PaperLog(C, NETWORK)
    c_log.append(receipt(20, sent))
    desk.take(b_log)
    desk.take(c_log)
    desk.record(receipt(1, sent))


def test_a_share_that_this_very_round_mirrors_is_not_known_yet(desk: Desk, b_log: PaperLog) -> None:
    """It is not on the disk before the round is written: the receipt comes again, and nothing is called damaged."""
    [sent] = b_log.append(share(10, A))
    begun, end = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        begun.set()
        assert end.wait(PATIENCE_SECONDS)

    desk.writer.submit(hold)
    assert begun.wait(PATIENCE_SECONDS)
    taking = threading.Thread(target=desk.take, args=(b_log,))
    taking.start()
    while desk.writer.waiting < 1:
        pass
    future = desk.post(receipt(1, sent))
    end.set()
    with pytest.raises(UnknownShareError):
        future.result(PATIENCE_SECONDS)
    taking.join(PATIENCE_SECONDS)
    desk.record(receipt(1, sent))


# What is not an event of a submitter, and what is too large.


def test_only_the_node_itself_opens_its_log(desk: Desk) -> None:
    with pytest.raises(BadValueError, match="written by the node itself") as refused:
        desk.prepare(opening(1, NETWORK))
    assert refused.value.field == "type"


@pytest.mark.parametrize("value", [None, [], "share", 1, {}, {"type": 1}, {"type": "nothing"}])
def test_what_is_no_event_is_refused(value: object) -> None:
    with pytest.raises(EventError):
        prepare(value, origin=A.origin)


def largest_share() -> dict[str, Any]:
    """An event of exactly as many bytes as an entry of A has room for."""
    value = share(1, B, records=[reference(str(number)) for number in range(900)], parents=None)
    names = [f"{number:03d}" for number in range(200)]
    value["fields"] = names
    room = event_bytes_max(A.origin) - len(canonical_json(value).encode())
    for number, name in enumerate(names):
        more = min(room, 200 - len(name))
        names[number] = name + "x" * more
        room -= more
    assert room == 0
    return value


def test_the_largest_event_fits_into_an_entry_at_any_index(desk: Desk) -> None:
    value = largest_share()
    desk.record(value)
    [entry] = desk.entries()
    assert len(entry.raw) == ENTRY_BYTES_MAX - 18  # the index has one digit here, and nineteen where it is largest


def test_one_byte_more_is_refused_before_it_is_submitted(desk: Desk) -> None:
    value = largest_share()
    value["purpose"] += "."
    with pytest.raises(TooLongError) as refused:
        desk.prepare(value)
    assert (refused.value.field, refused.value.limit) == ("event", event_bytes_max(A.origin))


def test_an_event_is_the_same_in_the_canonical_spelling_and_in_any_other() -> None:
    value = share(1, B, records=[reference("a")], purpose="住房补贴")
    plain, spelled = (
        prepare_text(text.encode(), origin=A.origin) for text in (canonical_json(value), json.dumps(value, indent=1))
    )
    assert isinstance(plain.event, PlainShare)
    assert spelled == prepare(value, origin=A.origin)
    assert (plain.event.id, plain.text) == (spelled.event.id, spelled.text)


def test_what_is_wrong_with_an_event_is_said_alike_in_the_canonical_spelling() -> None:
    large = largest_share()
    large["purpose"] += "."
    for value in (large, share(1, B, purpose=" x"), share(1, B, records=[reference("a")] * 2), opening(1, NETWORK)):
        with pytest.raises(LedgerError) as exact:
            prepare(value, origin=A.origin)
        with pytest.raises(LedgerError) as plain:
            prepare_text(canonical_json(value).encode(), origin=A.origin)
        assert str(plain.value) == str(exact.value)
        assert (type(plain.value), plain.value.field) == (type(exact.value), exact.value.field)


def test_a_recognised_event_leaves_in_the_store_what_its_model_leaves() -> None:
    manifest = make_manifest([reference("a")]).ref.model_dump()
    parent = {"hash": encode_base64(bytes(32)), "index": 1, "log": B.origin}
    values = [
        share(1, B, records=[reference("a"), reference("b")], parents=[parent]),
        share(2, B, records=None, manifest=manifest),
        share(3, A, records=None, manifest=manifest),
        receipt(4, parent),
        share(5, B, purpose=" x"),
        opening(6, NETWORK),
    ]
    texts = [canonical_json(value).encode() for value in values]
    read = [read_plain(text) for text in texts]
    assert [isinstance(event, PlainShare | PlainReceipt) for event in read] == [True] * 4 + [False] * 2
    found = [
        indexing.index(layout.log_id(A.origin), 0, events, consumer=B.origin)
        for events in ([event for event in read if event is not None], [read_event(value) for value in values])
    ]
    assert found[0] == found[1]
    assert found[0].wanted
    for one in (found[0], indexing.index(layout.log_id(A.origin), 0, [])):
        assert pickle.loads(pickle.dumps(one)) == one
    assert len(found[0].pairs) == 13


# Keys.


def test_nothing_is_signed_with_a_key_that_the_network_document_has_ended(disk: MemoryDisk) -> None:
    following = Signer(A.origin, ED25519, seed("the next key"))
    keys = [
        {"key": A.keys.log.verifier.vkey, "from": 0, "until": 2},
        {"key": following.verifier.vkey, "from": 2},
    ]
    network = paper([entry_of(A, log_keys=keys), B]).network
    with Desk(A, network, disk=disk) as desk:
        old = desk.record(share(1, B))
        fits, refused = held_together(desk, [share(2, B)], [share(3, B)])
        assert isinstance(fits, list)
        assert isinstance(refused, ReadOnlyError)
        assert desk.record(share(1, B)) == old
        assert desk.state.size == 2


def test_nothing_is_signed_where_no_key_is_valid() -> None:
    network = paper([entry_of(A, log_keys=[{"key": A.keys.log.verifier.vkey, "from": 0, "until": 1}]), B]).network
    with Desk(A, network) as desk:
        desk.record(share(1, B))
        with pytest.raises(ReadOnlyError):
            desk.record(share(2, B))


# Damage.


def test_a_damaged_entry_is_said_to_be_damaged_and_takes_nobody_with_it(desk: Desk, disk: MemoryDisk) -> None:
    desk.record(share(1, B))
    disk.flip(layout.entry_key(layout.log_id(A.origin), 0))
    bad, good = held_together(desk, [share(1, B)], [share(2, B)])
    assert isinstance(bad, StoreCorruptError)
    assert isinstance(good, list)


def test_a_missing_entry_is_said_to_be_missing(desk: Desk) -> None:
    desk.record(share(1, B))
    key = layout.entry_key(layout.log_id(A.origin), 0)
    desk.writer.submit(lambda transaction: transaction.batch.delete(key)).result(PATIENCE_SECONDS)
    with pytest.raises(StoreCorruptError, match="is missing"):
        desk.record(share(1, B))


def test_an_entry_that_became_something_else_is_said_to_be_damaged(desk: Desk) -> None:
    desk.record(share(1, B))
    key = layout.entry_key(layout.log_id(A.origin), 0)
    desk.writer.submit(lambda transaction: transaction.batch.put(key, b"?")).result(PATIENCE_SECONDS)
    with pytest.raises(StoreCorruptError, match="is not what was written"):
        desk.record(share(1, B))


def test_every_refusal_has_a_hint_and_a_code_of_its_own() -> None:
    kinds = RefusedError.__subclasses__()
    assert all(kind.hint for kind in kinds)
    assert len({kind.code for kind in kinds}) == len(kinds)


def test_an_empty_round_is_no_entry(desk: Desk) -> None:
    assert desk.writer.submit_to(desk.sequencer, Submission(())).result(PATIENCE_SECONDS) == []
    assert desk.state.size == 0
