"""The one writer: group commit, jobs that fail alone, writes that fail, limits, and how it ends."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any

import pytest
from node_helpers import PATIENCE_SECONDS, Desk, paper, parties, share
from structlog.testing import capture_logs

from ledger.errors import StoreClosedError, StoreCorruptError, StoreFailedError, TooLongError
from ledger.store.memory import Fault, MemoryDisk, MemoryStore
from node import layout, writer
from node.errors import BusyError, ReadOnlyError
from node.logs import LogState
from node.writer import QUEUE_BYTES_MAX, QUEUE_MAX, ROUND_BYTES_MAX, ROUND_JOBS_MAX, Transaction, Writer

A, B = parties(2)
NETWORK = paper([A, B]).network


def put(key: bytes, value: bytes = b"value") -> Any:
    def job(transaction: Transaction) -> bytes:
        transaction.batch.put(key, value)
        return key

    return job


class Hold:
    """A job that keeps the writer busy until it is let go."""

    def __init__(self, writer: Writer) -> None:
        self._begun = threading.Event()
        self._end = threading.Event()
        self.future = writer.submit(self._job)
        assert self._begun.wait(PATIENCE_SECONDS)

    def _job(self, _: Transaction) -> None:
        self._begun.set()
        assert self._end.wait(PATIENCE_SECONDS)

    def let_go(self) -> None:
        self._end.set()
        self.future.result(PATIENCE_SECONDS)


@pytest.fixture
def disk() -> MemoryDisk:
    return MemoryDisk()


@pytest.fixture
def desk(disk: MemoryDisk) -> Iterator[Desk]:
    with Desk(A, NETWORK, disk=disk) as desk:
        yield desk


def result(future: Future[Any]) -> Any:
    return future.result(PATIENCE_SECONDS)


def test_what_waits_is_written_in_one_round(desk: Desk, disk: MemoryDisk) -> None:
    hold = Hold(desk.writer)
    futures = [desk.writer.submit(put(b"%d" % number)) for number in range(50)]
    assert desk.writer.waiting == 50
    before = disk.writes
    hold.let_go()
    assert [result(future) for future in futures] == [b"%d" % number for number in range(50)]
    assert disk.writes == before + 1
    assert desk.store.get(b"49") == b"value"
    assert desk.writer.waiting == 0


def test_an_answer_comes_after_the_write(desk: Desk, disk: MemoryDisk) -> None:
    answered: list[bool] = []
    hold = Hold(desk.writer)
    future = desk.writer.submit(put(b"key"))
    disk.on_write = lambda: answered.append(future.done())
    hold.let_go()
    result(future)
    assert answered == [False]


def test_a_job_that_fails_takes_back_its_own_part_only(desk: Desk) -> None:
    def broken(transaction: Transaction) -> None:
        transaction.batch.put(b"broken", b"")
        raise RuntimeError("a fault of the software")

    hold = Hold(desk.writer)
    good, bad, better = (desk.writer.submit(job) for job in (put(b"good"), broken, put(b"better")))
    hold.let_go()
    assert (result(good), result(better)) == (b"good", b"better")
    with pytest.raises(RuntimeError, match="fault of the software"):
        result(bad)
    assert desk.store.get(b"broken") is None
    assert desk.store.get(b"better") == b"value"


def test_a_job_that_finds_no_room_in_the_batch_fails_alone(desk: Desk) -> None:
    def huge(transaction: Transaction) -> None:
        for number in range(3):
            transaction.batch.put(b"huge%d" % number, bytes(30 << 20))

    def large(transaction: Transaction) -> None:
        transaction.batch.put(b"large", bytes(30 << 20))

    hold = Hold(desk.writer)
    futures = [desk.writer.submit(job) for job in (large, huge, put(b"key"))]
    hold.let_go()
    result(futures[0])
    with pytest.raises(TooLongError):
        result(futures[1])
    assert result(futures[2]) == b"key"
    assert desk.store.get(b"huge0") is None


def test_jobs_that_together_find_no_room_do_not_stop_the_writer(desk: Desk) -> None:
    def large(transaction: Transaction) -> None:
        transaction.batch.put(b"large", bytes(30 << 20))

    hold = Hold(desk.writer)
    futures = [desk.writer.submit(large) for _ in range(3)]
    hold.let_go()
    result(futures[0])
    result(futures[1])
    with pytest.raises(TooLongError):
        result(futures[2])
    assert result(desk.writer.submit(put(b"key"))) == b"key"


def test_a_group_does_its_items_together_where_the_first_one_stood(desk: Desk) -> None:
    class Together:
        def run(self, transaction: Transaction, items: list[str]) -> list[Any]:
            order.append(items)
            transaction.batch.put(b"together", "".join(items).encode())
            return [item.upper() for item in items]

    order: list[Any] = []
    group = Together()
    hold = Hold(desk.writer)
    futures = [
        desk.writer.submit(lambda _: order.append("before")),
        desk.writer.submit_to(group, "a"),
        desk.writer.submit(lambda _: order.append("after")),
        desk.writer.submit_to(group, "b"),
    ]
    hold.let_go()
    assert [result(future) for future in futures] == [None, "A", None, "B"]
    assert order == ["before", ["a", "b"], "after"]


class Eager:
    """A group that writes what it is given, item by item in rounds of their own, and notes what it does when."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def may_begin(self, item: str) -> bool:
        return item != "never"

    def begin(self, transaction: Transaction, items: list[str]) -> Callable[[], list[str]] | None:
        self.told.append(f"begin {items[0]}")
        if items == ["broken"]:
            raise ValueError("broken")
        return None if items == ["not now"] else lambda: self.run(transaction, items)

    def run(self, transaction: Transaction, items: list[str]) -> list[str]:
        self.told.append(f"do {items[0]}")
        transaction.batch.put(items[0].encode(), b"")
        return items


@pytest.fixture
def eager(desk: Desk, disk: MemoryDisk, monkeypatch: pytest.MonkeyPatch) -> Eager:
    """A group whose items wait, so that each is begun while what was before it is written."""
    group = Eager()
    monkeypatch.setattr(writer, "ROUND_JOBS_MAX", 1)
    disk.on_write = lambda: group.told.append("write")
    return group


def outcomes(desk: Desk, group: Eager, *items: str) -> list[object]:
    """Have items wait for a job that writes nothing, and return what becomes of each."""
    hold = Hold(desk.writer)
    futures = [desk.writer.submit_to(group, item) for item in items]
    hold.let_go()
    return [future.exception(PATIENCE_SECONDS) or result(future) for future in futures]


def test_a_round_is_begun_while_the_one_before_it_is_written(desk: Desk, eager: Eager) -> None:
    assert outcomes(desk, eager, "a", "b") == ["a", "b"]
    assert eager.told == ["begin a", "do a", "begin b", "write", "do b", "write"]


def test_what_cannot_be_begun_is_done_after_the_write(desk: Desk, eager: Eager) -> None:
    assert outcomes(desk, eager, "not now", "never", "b") == ["not now", "never", "b"]
    assert eager.told == [
        "begin not now", "do not now", "write", "do never", "begin b", "write", "do b", "write",
    ]  # fmt: skip


def test_an_answer_comes_only_when_its_own_round_is_written(desk: Desk, disk: MemoryDisk, eager: Eager) -> None:
    hold = Hold(desk.writer)
    futures = [desk.writer.submit_to(eager, item) for item in ("a", "b")]
    done: list[list[bool]] = []
    disk.on_write = lambda: done.append([future.done() for future in futures])
    hold.let_go()
    assert [result(future) for future in futures] == ["a", "b"]
    assert done == [[False, False], [True, False]]


@pytest.mark.parametrize("fault", list(Fault))
def test_what_was_begun_on_top_of_a_write_that_fails_is_not_written(
    desk: Desk, disk: MemoryDisk, eager: Eager, fault: Fault
) -> None:
    disk.fail_write(disk.writes + 1, fault)
    with capture_logs():
        first, second, third = outcomes(desk, eager, "a", "b", "c")
    assert isinstance(first, StoreFailedError)
    assert second is first
    assert third == "c"
    assert [desk.store.get(key) is not None for key in (b"a", b"b", b"c")] == [fault is Fault.AFTER, False, True]
    assert eager.told.count("do b") == 1  # it is gone on with, since it may have asked others


def test_an_error_in_beginning_is_the_answer_of_what_was_begun_alone(desk: Desk, eager: Eager) -> None:
    first, second, third = outcomes(desk, eager, "a", "broken", "c")
    assert (first, str(second), third) == ("a", "broken", "c")


def test_a_writer_that_stops_writes_what_was_begun(desk: Desk, eager: Eager) -> None:
    hold = Hold(desk.writer)
    futures = [desk.writer.submit_to(eager, item) for item in ("a", "b", "c")]
    stopping = threading.Thread(target=desk.writer.stop)
    stopping.start()
    hold.let_go()
    stopping.join(PATIENCE_SECONDS)
    assert [future.result(0) for future in futures] == ["a", "b", "c"]


def test_one_item_of_a_group_may_fail_alone(desk: Desk) -> None:
    class Picky:
        def run(self, _: Transaction, items: list[str]) -> list[Any]:
            return [ValueError(item) if item == "bad" else item for item in items]

    group = Picky()
    hold = Hold(desk.writer)
    good, bad = desk.writer.submit_to(group, "good"), desk.writer.submit_to(group, "bad")
    hold.let_go()
    assert result(good) == "good"
    with pytest.raises(ValueError, match="bad"):
        result(bad)


def test_a_group_that_forgets_an_item_leaves_nobody_waiting(desk: Desk) -> None:
    class Forgetful:
        def run(self, transaction: Transaction, _: list[str]) -> list[Any]:
            transaction.batch.put(b"forgotten", b"")
            return ["only one"]

    group = Forgetful()
    hold = Hold(desk.writer)
    futures = [desk.writer.submit_to(group, "a"), desk.writer.submit_to(group, "b")]
    hold.let_go()
    for future in futures:
        with pytest.raises(ValueError, match="zip"):
            result(future)
    assert desk.store.get(b"forgotten") is None


def test_a_job_sees_what_earlier_jobs_of_its_round_have_done_and_what_is_on_the_disk(desk: Desk) -> None:
    seen: list[tuple[int, int, int]] = []

    def look(transaction: Transaction) -> None:
        seen.append(
            (
                transaction.state(A.origin).size,
                transaction.committed(A.origin).size,
                transaction.committed_states[A.origin].size,
            )
        )

    hold = Hold(desk.writer)
    posted = desk.post(share(1, B))
    desk.writer.submit(look)
    hold.let_go()
    result(posted)
    result(desk.writer.submit(look))
    assert seen == [(1, 0, 0), (1, 1, 1)]


@pytest.mark.parametrize("fault", list(Fault))
def test_after_a_failed_write_nobody_is_told_recorded_and_the_disk_decides(
    desk: Desk, disk: MemoryDisk, fault: Fault
) -> None:
    desk.record(share(1, B))
    hold = Hold(desk.writer)
    futures = [desk.post(share(2, B)), desk.writer.submit(put(b"key")), desk.post(share(1, B))]
    disk.fail_write(disk.writes + 1, fault)
    hold.let_go()
    with capture_logs():
        for future in futures:
            with pytest.raises(StoreFailedError, match=fault.value):
                result(future)
    reached = fault is Fault.AFTER
    assert desk.state.size == (2 if reached else 1)
    assert desk.store.get(b"key") == (b"value" if reached else None)
    [again] = desk.record(share(2, B))
    assert again.ref.index == 1
    assert len(desk.entries()) == 2


def test_listeners_are_told_what_the_disk_has_after_a_failed_write(disk: MemoryDisk) -> None:
    told: list[int] = []
    desk = Desk(A, NETWORK, disk=disk)
    desk.writer = Writer(
        desk.store,
        desk.load(desk.store),
        reload=desk.load,
        on_commit=lambda states: told.append(states[A.origin].size),
    )
    with desk:
        disk.fail_write(1, Fault.AFTER)
        with pytest.raises(StoreFailedError):
            desk.record(share(1, B))
    assert told == [1]


def test_a_listener_that_fails_leaves_nobody_waiting(disk: MemoryDisk) -> None:
    def listener(_: Mapping[str, LogState]) -> None:
        raise RuntimeError("the loop is closed")

    desk = Desk(A, NETWORK, disk=disk)
    desk.writer = Writer(desk.store, desk.load(desk.store), reload=desk.load, on_commit=listener)
    with capture_logs() as logged, desk:
        assert desk.record(share(1, B))[0].ref.index == 0
        assert desk.record(share(2, B))[0].ref.index == 1
    assert logged[0]["event"] == "nobody could be told of a commit"


def test_when_the_store_cannot_be_opened_again_all_who_wait_are_told(disk: MemoryDisk) -> None:
    desk = Desk(A, NETWORK, disk=disk)
    started = threading.Event()
    go_on = threading.Event()

    def crash() -> None:
        started.set()
        assert go_on.wait(PATIENCE_SECONDS)
        desk.store.crash()  # type: ignore[attr-defined]  # a store in memory

    disk.on_write = crash
    with capture_logs() as logged, desk:
        first = desk.post(share(1, B))
        assert started.wait(PATIENCE_SECONDS)
        waiting = [desk.post(share(2, B)), desk.writer.submit(put(b"key"))]
        given_up = desk.post(share(3, B))
        assert given_up.cancel()
        go_on.set()
        for future in (first, *waiting):
            with pytest.raises(StoreClosedError):
                result(future)
        with pytest.raises(ReadOnlyError, match="nothing is written any more"):
            desk.post(share(4, B))
        assert isinstance(desk.writer.failure, StoreClosedError)
        assert desk.writer.waiting == 0
    assert [one["log_level"] for one in logged] == ["error", "critical"]


def test_states_that_cannot_be_read_again_end_the_writing(desk: Desk, disk: MemoryDisk) -> None:
    desk.record(share(1, B))
    disk.flip(layout.chain_key(layout.log_id(A.origin)))
    disk.fail_write(disk.writes + 1, Fault.BEFORE)
    with capture_logs():
        with pytest.raises(StoreFailedError):
            desk.record(share(2, B))
        with pytest.raises(ReadOnlyError):
            desk.record(share(3, B))
    assert isinstance(desk.writer.failure, StoreCorruptError)


def test_a_write_that_fails_in_a_way_nobody_has_thought_of_fails_the_round_and_not_the_thread(disk: MemoryDisk) -> None:
    class Odd(MemoryStore):
        odd = True

        def write(self, batch: Any) -> None:
            if self.odd:
                self.odd = False
                raise MemoryError("no memory")
            super().write(batch)

    disk.create().close()
    store = Odd(disk)
    disk.owner = store
    with capture_logs(), Desk(A, NETWORK, disk=disk, store=store) as desk:
        with pytest.raises(StoreFailedError, match="no memory"):
            desk.record(share(1, B))
        assert desk.record(share(1, B))[0].ref.index == 0


def test_a_reload_that_fails_in_a_way_nobody_has_thought_of_ends_the_writing(disk: MemoryDisk) -> None:
    def reload(_: object) -> dict[str, LogState]:
        raise KeyError("states")

    desk = Desk(A, NETWORK, disk=disk)
    desk.writer = Writer(desk.store, desk.load(desk.store), reload=reload)
    disk.fail_write(1, Fault.BEFORE)
    with capture_logs(), desk:
        with pytest.raises(StoreFailedError, match="I/O error"):
            desk.record(share(1, B))
        with pytest.raises(ReadOnlyError, match="KeyError"):
            desk.record(share(1, B))


def test_too_many_jobs_are_refused_at_once(desk: Desk) -> None:
    hold = Hold(desk.writer)
    futures = [desk.writer.submit(put(b"%d" % number)) for number in range(QUEUE_MAX)]
    with pytest.raises(BusyError) as refused:
        desk.writer.submit(put(b"one too many"))
    assert refused.value.limit == QUEUE_MAX
    before = desk.writer.rounds
    hold.let_go()
    for future in futures:
        result(future)
    assert desk.writer.rounds - before == 1 + -(-QUEUE_MAX // ROUND_JOBS_MAX)


def test_too_many_bytes_are_refused_at_once_but_one_job_always_fits(desk: Desk) -> None:
    hold = Hold(desk.writer)
    huge = desk.writer.submit(put(b"huge"), size=QUEUE_BYTES_MAX + 1)
    with pytest.raises(BusyError) as refused:
        desk.writer.submit(put(b"one more"), size=1)
    assert refused.value.limit == QUEUE_BYTES_MAX
    hold.let_go()
    assert result(huge) == b"huge"
    assert result(desk.writer.submit(put(b"one more"), size=1)) == b"one more"


def test_a_round_takes_only_as_many_bytes_as_fit_into_a_batch(desk: Desk, disk: MemoryDisk) -> None:
    hold = Hold(desk.writer)
    half = ROUND_BYTES_MAX // 2
    sizes = [half, half, 1, ROUND_BYTES_MAX + 1, 1]
    futures = [desk.writer.submit(put(b"%d" % number), size=size) for number, size in enumerate(sizes)]
    before = disk.writes
    hold.let_go()
    for future in futures:
        result(future)
    assert disk.writes - before == 4  # two halves; one byte; the one that is too large alone; one byte


def test_a_job_that_was_cancelled_while_it_waited_is_not_done(desk: Desk) -> None:
    hold = Hold(desk.writer)
    future = desk.writer.submit(put(b"cancelled"))
    assert future.cancel()
    hold.let_go()
    result(desk.writer.submit(put(b"key")))
    assert desk.store.get(b"cancelled") is None


def test_a_round_without_anything_to_write_writes_nothing(desk: Desk, disk: MemoryDisk) -> None:
    assert result(desk.writer.submit(lambda _: 42)) == 42
    assert disk.writes == 0


def test_stopping_finishes_what_waits_and_refuses_what_comes_later(disk: MemoryDisk) -> None:
    desk = Desk(A, NETWORK, disk=disk)
    desk.writer.start()
    hold = Hold(desk.writer)
    futures = [desk.post(share(number, B)) for number in range(1, 20)]
    stopping = threading.Thread(target=desk.writer.stop)
    stopping.start()
    hold.let_go()
    stopping.join(PATIENCE_SECONDS)
    assert [result(future)[0].ref.index for future in futures] == list(range(19))
    with pytest.raises(ReadOnlyError, match="the node is stopping"):
        desk.post(share(99, B))


def test_a_writer_that_never_started_can_be_stopped() -> None:
    Desk(A, NETWORK).writer.stop()


def test_everything_written_is_there_when_the_store_is_opened_again(disk: MemoryDisk) -> None:
    with Desk(A, NETWORK, disk=disk) as desk:
        desk.record(*(share(number, B) for number in range(1, 300)))
        before = desk.state
    with Desk(A, NETWORK, disk=disk) as desk:
        assert desk.state == before
        assert len(desk.entries()) == 299
