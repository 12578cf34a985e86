"""Looks that are taken before their round: the same answers as by asking the store in it, whatever comes between."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node_helpers import PATIENCE_SECONDS, Desk, event_id, paper, parties, receipt, share, verify_log
from structlog.testing import capture_logs

from ledger.encoding import canonical_json
from ledger.entry import chain, parse_entry, sign_texts
from ledger.errors import LedgerError, StoreClosedError
from ledger.store.memory import Fault
from node import layout, logs, recent, truncation, writer
from node.errors import ConflictError
from node.recent import Recent
from node.submission import Recorded, Submission
from node.writer import Transaction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

A, B, C = parties(3)
LAW = paper([A, B])
NETWORK = LAW.network


class Given(NamedTuple):
    """An event of few, so that the same ones come again and again."""

    number: int
    purpose: str
    consumer: str

    @property
    def value(self) -> dict[str, Any]:
        return share(self.number, self.consumer, purpose=self.purpose)


class Batch(NamedTuple):
    """Events that are submitted together."""

    events: list[Given]
    age: int  # before how many bursts of batches the look for their ids is taken


class Change(NamedTuple):
    """Somebody else cuts the log back, by so many entries, and puts events behind it."""

    cut: int
    events: list[Given]


def mostly(usual: str, rare: str) -> st.SearchStrategy[str]:
    return st.sampled_from([usual] * 15 + [rare])


def numbers_near(few: int) -> st.SearchStrategy[list[Batch]]:
    """Batches with the same few ids, beside others in which other ids are used up."""
    events = st.builds(Given, st.integers(few, few + 4), mostly("one", "another"), mostly(B.origin, C.origin))
    batches = st.builds(Batch, st.lists(events, min_size=1, max_size=3), st.integers(0, 3))
    return st.lists(batches, min_size=1, max_size=4)


BURSTS = st.sampled_from([1, 4, 8, 12, 16]).flatmap(numbers_near)
OTHERS = st.builds(Given, st.integers(1, 20), st.just("one"), st.just(B.origin))
CHANGES = st.builds(Change, st.integers(0, 4), st.lists(OTHERS, max_size=3, unique_by=lambda event: event.number))
STEPS = st.lists(BURSTS | CHANGES, min_size=2, max_size=8)


def change(desk: Desk, step: Change) -> None:
    """Do what a readmission or recovery does, which put entries behind this log without its sequencer."""

    def cut(transaction: Transaction) -> None:
        state = transaction.state(A.origin)
        if (size := max(state.size - step.cut, 0)) < state.size:
            transaction.put_state(truncation.truncate(transaction.store, state, size, transaction.batch))

    def append(transaction: Transaction) -> None:
        state = transaction.state(A.origin)
        keys = [(one, layout.event_key(event_id(one.number), state.log)) for one in step.events]
        texts = [canonical_json(one.value).encode() for one, key in keys if transaction.store.get(key) is None]
        chained, head = chain(state.chain, texts, time=state.chain.time)
        entries = [parse_entry(raw) for raw in sign_texts(A.keys.log, chained)]
        transaction.put_state(logs.append(state, entries, head, transaction.batch))

    desk.writer.submit(cut).result(PATIENCE_SECONDS)
    desk.writer.submit(append).result(PATIENCE_SECONDS)


def told(future: "Future[Any]") -> object:
    """What a caller hears, so that it can be compared."""
    try:
        recorded: object = future.result(PATIENCE_SECONDS)
    except LedgerError as error:
        return type(error), error.message, error.field
    return recorded


def burst(desk: Desk, submissions: list[Submission]) -> list[object]:
    """Submit while the writer is busy: what can be begun early, is."""
    futures = []

    def hold(transaction: Transaction) -> None:
        transaction.batch.put(b"\xfehold", b"")
        futures.extend([desk.writer.submit_to(desk.sequencer, one) for one in submissions])

    told(desk.writer.submit(hold))
    return [told(future) for future in futures]


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(steps=STEPS, jobs_max=st.sampled_from([1, 2, 100]), ids_max=st.sampled_from([2, 5, 1000]))
def test_answers_and_log_are_those_of_asking_the_store_in_the_round(
    steps: list[list[Batch] | Change], jobs_max: int, ids_max: int
) -> None:
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(writer, "ROUND_JOBS_MAX", jobs_max)
        patch.setattr(recent, "IDS_MAX", ids_max)
        ahead, exact = stack.enter_context(Desk(A, NETWORK)), stack.enter_context(Desk(A, NETWORK))
        assert ahead.record(share(0, B)) == exact.record(share(0, B))
        looked: dict[tuple[int, int], Submission] = {}
        for now, step in enumerate(steps):
            for at, later in enumerate(steps[now:], now):
                for number, batch in enumerate(later if isinstance(later, list) else ()):
                    if max(at - batch.age, 0) == now:
                        looked[at, number] = ahead.looked(*(event.value for event in batch.events))
            if isinstance(step, Change):
                change(ahead, step)
                change(exact, step)
                continue
            plain = [Submission(tuple(exact.prepare(event.value) for event in batch.events)) for batch in step]
            early = burst(ahead, [looked[now, number] for number in range(len(step))])
            assert early == burst(exact, plain)
        assert ahead.state.chain == exact.state.chain
        entries = verify_log(ahead.store, ahead.state, NETWORK)
        ids = [entry.event["id"] for entry in entries]
        assert len(set(ids)) == len(ids)


@settings(deadline=None, max_examples=60)
@given(
    batches=numbers_near(1),
    fails=st.lists(st.tuples(st.integers(2, 6), st.sampled_from(list(Fault))), min_size=1, max_size=3),
)
def test_a_write_that_fails_takes_what_was_begun_on_top_of_it_along(
    batches: list[Batch], fails: list[tuple[int, Fault]]
) -> None:
    with pytest.MonkeyPatch.context() as patch, Desk(A, NETWORK) as desk, capture_logs():
        patch.setattr(writer, "ROUND_JOBS_MAX", 1)
        desk.record(share(0, B))
        for number, fault in fails:
            desk.disk.fail_write(number, fault)
        submissions = [desk.looked(*(event.value for event in batch.events)) for batch in batches]
        answers = burst(desk, submissions)
        answers += burst(desk, submissions)  # whoever got an error asks again, with what was looked up before
        recorded: list[Recorded] = [one for answer in answers if isinstance(answer, list) for one in answer]
        entries = {entry.event["id"]: entry for entry in verify_log(desk.store, desk.state, NETWORK)}
        assert len(entries) == desk.state.size
        assert all(entries[one.event_id].ref == one.ref for one in recorded)


# By hand, what the properties find by chance.


@pytest.fixture
def desk() -> "Iterator[Desk]":
    with Desk(A, NETWORK) as desk:
        desk.record(share(0, B))
        yield desk


def test_an_id_that_was_recorded_between_look_and_round_gets_its_first_place(desk: Desk) -> None:
    late, other = desk.looked(share(1, B), share(2, B)), desk.looked(share(1, B, purpose="another"))
    [first] = desk.record(share(1, B))
    [answer, refused] = burst(desk, [late, other])
    assert isinstance(answer, list)
    assert answer[0] == first
    assert [one.index for one in answer] == [1, 2]
    assert isinstance(refused, tuple)
    assert refused[0] is ConflictError


def test_a_look_is_worth_nothing_after_the_log_was_cut_back(desk: Desk) -> None:
    [first] = desk.record(share(1, B))
    look = desk.looked(share(2, B))
    change(desk, Change(1, []))
    desk.record(share(2, B))
    assert desk.state.size == first.index + 1
    [answer] = burst(desk, [look])
    assert answer == desk.record(share(2, B))
    assert desk.state.size == 2


def test_a_look_that_is_too_old_is_not_believed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "IDS_MAX", 3)
    looks = [desk.looked(share(1, B)) for _ in range(2)]
    [first] = desk.record(share(1, B))
    for number in range(2, 6):
        desk.record(share(number, B))
    assert not desk.sequencer._recent.still_absent(looks[0].look)
    assert burst(desk, looks) == [[first], [first]]


def test_where_the_store_cannot_be_read_it_is_asked_in_the_round(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot() -> None:
        raise StoreClosedError("it is being opened again")

    with monkeypatch.context() as patch:
        patch.setattr(desk.store, "snapshot", snapshot)
        asked = desk.looked(share(1, B))
    assert asked.look is None
    [first] = desk.record(share(1, B))
    assert burst(desk, [asked]) == [[first]]


def test_what_is_remembered_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "IDS_MAX", 10)
    for number in range(1, 40, 3):
        desk.record(*(share(number + one, B) for one in range(3)))
    memory = desk.sequencer._recent
    assert len(memory._ids) == 9
    assert len(memory._rounds) == 3
    assert len(memory._heads) == 4


def test_nothing_is_absent_for_a_memory_without_a_log(desk: Desk) -> None:
    assert not Recent().still_absent(desk.looked(share(1, B)).look)
    assert not Recent().still_absent(None)


def test_a_batch_with_one_that_is_not_simple_is_taken_or_refused_as_a_whole(desk: Desk) -> None:
    [own] = desk.record(share(1, B))
    mixed = desk.looked(share(2, B), share(3, B, parents=[own.ref.model_dump()]))
    answer = receipt(5, own.ref.model_dump())
    [refused, also, taken] = burst(desk, [mixed, desk.looked(share(4, B), answer), desk.looked(share(2, B))])
    assert isinstance(refused, tuple)
    assert isinstance(also, tuple)
    assert (refused[2], also[2]) == ("events[1].parents[0]", "events[1].share")
    assert isinstance(taken, list)
    assert taken[0].event_id == event_id(2)
