"""Dropping the end of a log leaves exactly what a store that never had it would hold, whenever the power goes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from node_helpers import PATIENCE_SECONDS, Desk, PaperLog, entry_of, event_id, paper, parties, receipt, reference, share

from ledger.encoding import encode_base64
from ledger.errors import StoreCorruptError
from ledger.event import read_event
from ledger.store import Batch
from ledger.store.memory import Fault, MemoryDisk
from node import indexing, layout, truncation
from node.logs import LogState
from node.truncation import truncate
from node.writer import Transaction

A, B = parties(2)
LAW = paper([A, B])
SECOND = LAW.next([entry_of(A), entry_of(B)])


def events(count: int) -> Iterator[dict[str, Any]]:
    """Events of all kinds, odd ones and repeated ids among them."""
    root = encode_base64(bytes(range(32)))
    for number in range(count):
        match number % 8:
            case 0:
                yield share(number, A, records=[reference(str(number)), reference("all")])
            case 1:
                yield share(number, A, records=None, manifest={"root": root, "count": 2})
            case 2:
                yield {"type": "share", "id": "no id", "surprise": True}
            case 3 if number % 16 == 3:
                yield {"type": "x.future", "id": event_id(number)}
            case 3:
                key = B.other_keys("log").log.verifier.vkey
                yield {"type": "key.rotate", "id": event_id(number), "role": "log", "key": key, "from": 1000 + number}
            case 4:
                yield share(number % 5, A)  # a log that uses an id again
            case 5:
                yield receipt(number, {"hash": root, "index": number, "log": A.origin})
            case 6:
                yield share(number, A, parents=[{"hash": root, "index": 1, "log": A.origin}])
            case _:
                yield {
                    "type": "network.adopt", "id": event_id(number), "network": "test", "version": 2,
                    "hash": encode_base64(SECOND.network.text_hash),
                }  # fmt: skip


def made(count: int) -> PaperLog:
    log = PaperLog(B, LAW.network)
    log.append(*events(count - 1))
    return log


@contextmanager
def desk_with(log: PaperLog, size: int) -> Iterator[Desk]:
    """A store that has the first entries of a log, and notes which shares have manifests for us."""
    part = PaperLog(B, LAW.network)
    part.raws = log.raws[:size]
    with Desk(A, LAW.network) as desk:
        taken = desk.take(part) if size else []

        def want(transaction: Transaction) -> None:
            events = [read_event(entry.event) for entry in taken]
            transaction.batch.put_all(indexing.index(layout.log_id(B.origin), 0, events, consumer=A.origin).pairs)

        desk.writer.submit(want).result(PATIENCE_SECONDS)
        yield desk


def contents(disk: MemoryDisk) -> dict[bytes, bytes]:
    assert disk.cells is not None
    return {key: cell.value for key, cell in disk.cells.items()}


def drop(desk: Desk, size: int) -> int:
    """Truncate B's log; return in how many writes."""

    def step(transaction: Transaction) -> LogState:
        state = truncate(transaction.store, transaction.state(B.origin), size, transaction.batch)
        transaction.put_state(state)
        return state

    steps = 0
    while desk.writer.states[B.origin].size > size:
        desk.writer.submit(step).result(PATIENCE_SECONDS)
        steps += 1
    return steps


SIZES = [(530, 0), (530, 1), (530, 255), (530, 256), (530, 257), (530, 511), (530, 512), (530, 529), (9, 4), (256, 255)]


@pytest.fixture(scope="module")
def whole() -> PaperLog:
    return made(530)


@pytest.mark.parametrize(("long", "short"), SIZES)
def test_what_is_left_is_what_a_store_without_the_end_has(whole: PaperLog, long: int, short: int) -> None:
    with desk_with(whole, long) as desk, desk_with(whole, short) as never:
        drop(desk, short)
        assert contents(desk.disk) == contents(never.disk)
        state, wanted = desk.writer.states[B.origin], never.writer.states[B.origin]
        assert (state.chain.size, state.edge, state.acting) == (wanted.chain.size, wanted.edge, wanted.acting)
        assert state.rotation == wanted.rotation
        assert desk.load(desk.store)[B.origin] == never.load(never.store)[B.origin]


def test_it_goes_in_steps_of_bounded_size(whole: PaperLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(truncation, "STEP_MAX", 7)
    with desk_with(whole, 60) as desk, desk_with(whole, 31) as never:
        assert drop(desk, 31) == 5
        assert contents(desk.disk) == contents(never.disk)


def test_what_is_left_grows_again_by_another_end(whole: PaperLog) -> None:
    other = made(20)
    other.append(share(999, A))
    with desk_with(whole, 300) as desk, desk_with(other, 21) as never:
        drop(desk, 20)
        desk.take(other)
        assert contents(desk.disk) == contents(never.disk)


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("number", range(1, 6))
def test_a_failed_write_leaves_a_whole_log_that_is_dropped_later(
    whole: PaperLog, monkeypatch: pytest.MonkeyPatch, number: int, fault: Fault
) -> None:
    monkeypatch.setattr(truncation, "STEP_MAX", 7)
    with desk_with(whole, 60) as desk, desk_with(whole, 31) as never:
        desk.disk.fail_write(desk.disk.writes + number, fault)
        with pytest.raises(Exception, match=r".+"):
            drop(desk, 31)
        state = desk.writer.states[B.origin]
        assert 31 <= state.size <= 60
        assert state.edge.root() == whole.root(state.size)
        drop(desk, 31)
        assert contents(desk.disk) == contents(never.disk)


def test_what_is_damaged_is_not_dropped_blindly(whole: PaperLog) -> None:
    with desk_with(whole, 20) as desk:
        for change in (None, b"not an entry"):
            batch = Batch()
            key = layout.entry_key(layout.log_id(B.origin), 15)
            batch.delete(key) if change is None else batch.put(key, change)
            desk.store.write(batch)
            with pytest.raises(StoreCorruptError):
                drop(desk, 10)
        assert desk.writer.states[B.origin].size == 20
