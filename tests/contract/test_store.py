"""The promise in ledger.store.protocol, held by every engine."""

import gc
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from threading import Barrier, Event, Thread

import pytest
from stores import ALL, ON_DISK, Engine, batch, child, engine_on, output_of

from ledger.errors import (
    OutOfRangeError,
    StoreClosedError,
    StoreCorruptError,
    StoreError,
    StoreExistsError,
    StoreFailedError,
    StoreLockedError,
    StoreMissingError,
    TooLongError,
)
from ledger.store import (
    BATCH_BYTES_MAX,
    KEY_BYTES_MAX,
    KEY_END,
    VALUE_BYTES_MAX,
    Batch,
    Reader,
    Store,
    create_store,
    open_store,
    prefix_end,
)
from ledger.store.protocol import key_after


@pytest.fixture(params=ALL)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    return engine_on(tmp_path / "store", request.param)


@pytest.fixture(params=ON_DISK)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(engine: Engine) -> Iterator[Store]:
    with closing(engine.create()) as store:
        yield store


def everything(reader: Reader) -> dict[bytes, bytes]:
    return dict(reader.scan(b"", KEY_END))


# Durable


def test_what_was_written_is_read_and_outlives_closing_and_reopening(engine: Engine) -> None:
    puts = {b"a": b"1", b"empty": b"", b"b\0\xff": b"\0" * 700, b"\xff" * KEY_BYTES_MAX: b"last"}
    with closing(engine.create()) as store:
        store.write(batch(puts))
        assert everything(store) == puts
        store.reopen()
        assert everything(store) == puts
    with closing(engine.open()) as store:
        assert everything(store) == puts
        assert store.get(b"empty") == b""


def test_a_large_value_comes_back_whole(engine: Engine) -> None:
    value = bytes(range(256)) * 4096 * 17
    with closing(engine.create()) as store:
        store.write(batch({b"bundle": value}))
        assert store.get(b"bundle") == value
        store.reopen()
        assert store.get(b"bundle") == value


WRITE_FOR_EVER = """
import os, sys
from pathlib import Path
from ledger.store import Batch, open_store
store = open_store(Path(sys.argv[1]))
number = int(store.get(b"head") or b"0")
while True:
    number += 1
    batch = Batch()
    for part in range(20):
        batch.put(b"entry/%08d/%02d" % (number, part), b"%d." % number * 100)
    batch.put(b"head", b"%d" % number)
    store.write(batch)
    os.write(1, b"%d\\n" % number)
"""


def test_what_a_killed_process_had_acknowledged_is_there_and_nothing_is_there_in_part(
    kind: str, tmp_path: Path
) -> None:
    folder = tmp_path / "store"
    create_store(folder, kind=kind).close()
    for round_ in range(2):
        with child(WRITE_FOR_EVER, folder) as process:
            assert process.stdout is not None
            acknowledged = [int(process.stdout.readline()) for _ in range(40 + round_)]
            process.send_signal(signal.SIGKILL)
            acknowledged += [int(line) for line in process.stdout.read().split(b"\n")[:-1]]
        with closing(open_store(folder)) as store:
            head = int(store.get(b"head") or b"0")
            assert head in {acknowledged[-1], acknowledged[-1] + 1}
            assert dict(store.scan(b"entry/", prefix_end(b"entry/"))) == {
                b"entry/%08d/%02d" % (number, part): b"%d." % number * 100
                for number in range(1, head + 1)
                for part in range(20)
            }
            store.check()


# Atomic, and in order


def test_within_a_batch_the_last_change_of_a_key_counts(store: Store) -> None:
    changes = Batch()
    changes.put(b"a", b"1")
    changes.delete(b"a")
    changes.put(b"b", b"1")
    changes.put(b"b", b"2")
    changes.delete(b"c")
    changes.put(b"c", b"3")
    store.write(changes)
    assert everything(store) == {b"b": b"2", b"c": b"3"}
    store.write(batch({b"c": b"4", b"d": b"5"}, deletes=[b"b", b"never there"]))
    assert everything(store) == {b"c": b"4", b"d": b"5"}


def test_an_empty_batch_changes_nothing(store: Store) -> None:
    store.write(batch({b"a": b"1"}))
    store.write(Batch())
    assert everything(store) == {b"a": b"1"}


def test_many_keys_come_back_in_the_order_in_which_they_were_asked_for(store: Store) -> None:
    store.write(batch({b"a": b"1", b"b": b"2"}))
    assert store.get_many([b"b", b"x", b"a", b"b"]) == [b"2", None, b"1", b"2"]
    assert store.get_many(iter([b"a"])) == [b"1"]
    assert store.get_many([]) == []


def test_a_key_that_could_not_be_written_is_absent(store: Store) -> None:
    store.write(batch({b"a": b"1"}))
    assert store.get_many([b"", b"a\0", b"x" * (KEY_BYTES_MAX + 1)]) == [None, None, None]


KEYS = [b"\0", b"\0\0", b"a", b"a\0", b"a\xff", b"ab", b"b", b"\xfe", b"\xff", b"\xff\xff", b"\xff" * KEY_BYTES_MAX]


def test_every_range_is_half_open_and_ordered_in_both_directions(store: Store) -> None:
    present = {key: key[::-1] for key in KEYS[::2]}
    store.write(batch(present | dict.fromkeys(KEYS, b"")))
    store.write(batch(present, deletes=KEYS[1::2]))
    bounds = [b"", *KEYS, KEY_END]
    with store.snapshot() as view:
        for start, end, reverse, limit in product(bounds, bounds, [False, True], [None, 0, 1, 2]):
            expected = sorted((pair for pair in present.items() if start <= pair[0] < end), reverse=reverse)[:limit]
            assert list(view.scan(start, end, reverse=reverse, limit=limit)) == expected, (start, end, reverse, limit)


def test_the_end_of_a_prefix_is_the_end_of_its_keys(store: Store) -> None:
    store.write(batch(dict.fromkeys(KEYS, b"")))
    for prefix in [b"", b"\0", b"a", b"ab", b"a\xff", b"\xff", b"\xff\xff", b"c"]:
        assert [key for key, _ in store.scan(prefix, prefix_end(prefix))] == [
            key for key in sorted(KEYS) if key.startswith(prefix)
        ]


def test_behind_a_key_come_all_that_are_greater(store: Store) -> None:
    store.write(batch(dict.fromkeys(KEYS, b"")))
    for key in KEYS:
        assert store.page(key_after(key), KEY_END, len(KEYS)) == [(one, b"") for one in sorted(KEYS) if one > key]


@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_of_many_pages_is_complete(store: Store, *, reverse: bool) -> None:
    small = {b"small/%04d" % number: b"%d" % number for number in range(1200)}
    large = {b"large/%d" % number: bytes([number]) * 600_000 for number in range(5)}
    store.write(batch(small))
    store.write(batch(large))
    for prefix, pairs in (b"small/", small), (b"large/", large):
        expected = sorted(pairs.items(), reverse=reverse)
        assert list(store.scan(prefix, prefix_end(prefix), reverse=reverse)) == expected
        assert list(store.scan(prefix, prefix_end(prefix), reverse=reverse, limit=700)) == expected[:700]


def test_a_page_is_the_beginning_of_a_scan(store: Store) -> None:
    small = {b"small/%04d" % number: b"%d" % number for number in range(300)}
    store.write(batch(small | {b"large/%d" % number: bytes([number]) * 600_000 for number in range(70)}))
    store.write(batch(small, deletes=[b"small/0100"]))
    with store.snapshot() as view:
        for reader, start, end, pairs in product(
            [store, view],
            [b"", b"small/", b"small/0097"],
            [b"small/0100", b"small/0107", KEY_END],
            [1, 8, 9, 72, 73, 400],
        ):
            page = reader.page(start, end, pairs)
            assert page == list(reader.scan(start, end, limit=len(page)))
            rest = list(reader.scan(start, end, limit=pairs))[len(page) :]
            assert not rest or sum(len(value) for _, value in page) >= 1 << 20
        assert view.page(b"t", KEY_END, 10) == view.page(b"small/", b"small/", 10) == []
    with pytest.raises(StoreClosedError):
        view.page(b"", KEY_END, 1)


# Consistent


def test_a_scan_shows_the_moment_of_the_call(store: Store) -> None:
    store.write(batch({b"%03d" % number: b"old" for number in range(100)}))
    pairs = store.scan(b"", KEY_END)
    backwards = store.scan(b"", KEY_END, reverse=True)
    store.write(
        batch({b"%03d" % number: b"new" for number in range(50, 150)}, deletes=[b"%03d" % n for n in range(50)])
    )
    expected = [(b"%03d" % number, b"old") for number in range(100)]
    assert list(pairs) == expected
    assert list(backwards) == expected[::-1]
    assert [key for key, _ in store.scan(b"", KEY_END)] == [b"%03d" % number for number in range(50, 150)]


def test_a_snapshot_shows_its_moment_whatever_is_written_deleted_or_added(store: Store) -> None:
    before = {b"changed": b"1", b"deleted": b"2", b"kept": b"3"}
    store.write(batch(before))
    with store.snapshot() as old:
        store.write(batch({b"changed": b"9", b"added": b"8"}, deletes=[b"deleted"]))
        with store.snapshot() as new:
            store.write(batch({b"kept": b"7", b"deleted": b"6"}))
            assert everything(old) == before
            assert old.get_many([b"changed", b"added", b"deleted"]) == [b"1", None, b"2"]
            assert everything(new) == {b"added": b"8", b"changed": b"9", b"kept": b"3"}
        assert old.get(b"kept") == b"3"
        assert list(old.scan(b"", KEY_END, reverse=True)) == sorted(before.items(), reverse=True)
    assert everything(store) == {b"added": b"8", b"changed": b"9", b"deleted": b"6", b"kept": b"7"}


def test_readers_on_other_threads_see_whole_batches_while_they_are_written(store: Store) -> None:
    keys = [b"key/%02d" % number for number in range(30)]
    store.write(batch(dict.fromkeys(keys, b"0")))
    done = Event()
    torn: list[object] = []

    def read(look: Callable[[], set[bytes | None]]) -> None:
        last = 0
        while not done.is_set():
            numbers = {int(value or b"-1") for value in look()}
            if len(numbers) != 1 or min(numbers) < last:
                torn.append((last, numbers))
            last = max(numbers)

    def in_a_snapshot() -> set[bytes | None]:
        with store.snapshot() as view:
            return {view.get(keys[0]), *view.get_many(keys[:3]), *dict(view.scan(b"key/", b"key0")).values()}

    looks: list[Callable[[], set[bytes | None]]] = [
        lambda: set(store.get_many(keys)),
        lambda: {value for _, value in store.scan(b"key/", b"key0", reverse=True)},
        in_a_snapshot,
    ]
    readers = [Thread(target=read, args=(look,)) for look in looks]
    for reader in readers:
        reader.start()
    for number in range(1, 80):
        store.write(batch(dict.fromkeys(keys, b"%d" % number)))
    done.set()
    for reader in readers:
        reader.join()
    assert torn == []


def test_threads_may_share_a_snapshot(store: Store) -> None:
    expected = {b"%03d" % number: b"%d" % number for number in range(300)}
    store.write(batch(expected))
    right: list[bool] = []
    with store.snapshot() as view:

        def read() -> None:
            right.extend(everything(view) == expected and view.get(b"007") == b"7" for _ in range(5))

        readers = [Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        store.write(batch(deletes=expected))
        for reader in readers:
            reader.join()
    assert right == [True] * 15


def test_two_threads_that_write_take_turns(store: Store) -> None:
    def write(name: bytes) -> None:
        for number in range(30):
            store.write(batch({name + b"%02d" % number: name, b"last": name}))

    writers = [Thread(target=write, args=(name,)) for name in (b"a", b"b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(everything(store)) == 61


# Over


def test_an_abandoned_scan_lets_go(store: Store) -> None:
    store.write(batch({b"%03d" % number: b"" for number in range(50)}))
    for _ in range(100):  # more than an engine has room for at one time
        next(store.scan(b"", KEY_END))
        store.scan(b"", KEY_END)
    early = store.scan(b"", KEY_END)
    assert next(early) == (b"000", b"")
    early.close()
    assert list(early) == []


def test_a_scan_that_only_the_garbage_collector_finds_lets_go(store: Store) -> None:
    store.write(batch({b"a": b""}))
    for _ in range(100):
        knot: list[object] = [store.scan(b"", KEY_END)]
        knot.append(knot)
        del knot
        gc.collect(0)
    assert store.get(b"a") == b""


def test_a_snapshot_that_was_closed_refuses_and_so_do_its_scans(store: Store) -> None:
    store.write(batch({b"%03d" % number: b"" for number in range(50)}))
    with store.snapshot() as view:
        pairs = view.scan(b"", KEY_END)
        next(pairs)
        begun_and_dropped = view.scan(b"", KEY_END)
        del begun_and_dropped
    view.close()
    for use in (
        lambda: view.get(b"a"),
        lambda: view.get_many([b"a"]),
        lambda: view.scan(b"", KEY_END),
        lambda: list(pairs),
    ):
        with pytest.raises(StoreClosedError):
            use()
    assert len(everything(store)) == 50


@pytest.mark.parametrize("end", ["close", "reopen"])
def test_the_end_of_a_store_is_the_end_of_its_scans_and_snapshots(store: Store, end: str) -> None:
    store.write(batch({b"%03d" % number: b"" for number in range(50)}))
    pairs = store.scan(b"", KEY_END)
    next(pairs)
    view = store.snapshot()
    of_view = view.scan(b"", KEY_END)
    getattr(store, end)()
    for use in (lambda: list(pairs), lambda: view.get(b"001"), lambda: list(of_view)):
        with pytest.raises(StoreClosedError):
            use()
    view.close()


def test_a_closed_store_refuses_everything_but_being_closed(store: Store) -> None:
    assert not store.closed
    store.close()
    store.close()
    assert store.closed
    for use in (
        lambda: store.get(b"a"),
        lambda: store.get_many([b"a"]),
        lambda: store.scan(b"", KEY_END),
        lambda: store.page(b"", KEY_END, 1),
        lambda: store.write(batch({b"a": b"1"})),
        store.snapshot,
        store.reopen,
        store.approximate_bytes,
        store.check,
    ):
        with pytest.raises(StoreClosedError):
            use()


def test_closing_under_readers_ends_them_with_an_error_and_not_with_a_crash(store: Store) -> None:
    store.write(batch({b"%04d" % number: b"v" * 100 for number in range(2000)}))
    begun = Barrier(4)
    ends: list[type[BaseException]] = []

    def read(look: Callable[[], object]) -> None:
        look()
        begun.wait()
        try:
            while True:
                look()
        except StoreError as error:
            ends.append(type(error))

    def in_a_snapshot() -> None:
        with store.snapshot() as view:
            view.get(b"0001")

    readers = [
        Thread(target=read, args=(look,))
        for look in (lambda: store.get(b"0500"), lambda: everything(store), in_a_snapshot)
    ]
    for reader in readers:
        reader.start()
    begun.wait()
    store.close()
    for reader in readers:
        reader.join()
    assert ends == [StoreClosedError] * 3


def test_single_reads_go_on_over_a_reopening(store: Store) -> None:
    store.write(batch({b"a": b"1"}))
    done = Event()
    values: set[bytes | None] = set()

    def read() -> None:
        while not done.is_set():
            values.add(store.get(b"a"))

    reader = Thread(target=read)
    reader.start()
    for _ in range(3):
        store.reopen()
    done.set()
    reader.join()
    assert values <= {b"1"}


# Honest


def test_after_a_failed_write_nothing_is_written_until_the_store_was_reopened(engine: Engine) -> None:
    with closing(engine.create()) as store:
        store.write(batch({b"a": b"1", b"b": b"1"}))
        with engine.full_disk(), pytest.raises(StoreFailedError):
            store.write(batch({b"a": b"2", b"b": b"2"}))
        for _ in range(2):
            with pytest.raises(StoreFailedError, match="reopened"):
                store.write(batch({b"c": b"3"}))
        assert everything(store) == {b"a": b"1", b"b": b"1"}  # there is space again, and reads never ceased
        store.check()
        store.reopen()
        assert everything(store) in ({b"a": b"1", b"b": b"1"}, {b"a": b"2", b"b": b"2"})
        store.write(batch({b"c": b"3"}))
    with closing(engine.open()) as store:
        assert store.get(b"c") == b"3"
        assert store.get(b"a") == store.get(b"b")


def test_a_store_may_be_closed_after_a_failed_write(engine: Engine) -> None:
    with closing(engine.create()) as store:
        store.write(batch({b"a": b"1"}))
        with engine.full_disk(), pytest.raises(StoreFailedError):
            store.write(batch({b"a": b"2"}))
    with closing(engine.open()) as store:
        assert store.get(b"a") in {b"1", b"2"}
        store.write(batch({b"a": b"3"}))


def test_a_store_that_could_not_be_reopened_does_nothing_until_it_is(kind: str, tmp_path: Path) -> None:
    needed = tmp_path / "store" / ("leveldb/CURRENT" if kind == "leveldb" else "pairs.sqlite")
    with closing(create_store(tmp_path / "store", kind=kind)) as store:
        store.write(batch({b"a": b"1"}))
        view = store.snapshot()
        aside = needed.rename(tmp_path / "aside")
        for _ in range(2):
            with pytest.raises(StoreCorruptError, match=needed.name):
                store.reopen()
        for use in (lambda: store.get(b"a"), lambda: store.write(batch({b"a": b"2"})), store.snapshot):
            with pytest.raises(StoreFailedError, match="could not be reopened"):
                use()
        assert not store.closed
        aside.rename(needed)
        store.reopen()
        with pytest.raises(StoreClosedError):
            view.get(b"a")
        assert store.get(b"a") == b"1"
        store.write(batch({b"a": b"2"}))


# Explicit and alone


def test_opening_never_makes_a_store_and_making_never_replaces_one(engine: Engine) -> None:
    with pytest.raises(StoreMissingError):
        engine.open()
    with closing(engine.create()) as store:
        store.write(batch({b"a": b"1"}))
    with pytest.raises(StoreExistsError):
        engine.create()
    with closing(engine.open()) as store:
        assert store.get(b"a") == b"1"


def test_a_store_is_open_once_in_a_process(engine: Engine) -> None:
    with closing(engine.create()) as store:
        with pytest.raises(StoreLockedError, match="this process"):
            engine.open()
        store.reopen()
        with pytest.raises(StoreLockedError, match="this process"):
            engine.open()
    engine.open().close()


HOLD = """
import os, sys
from pathlib import Path
from ledger.store import open_store
store = open_store(Path(sys.argv[1]))
os.write(1, b"open\\n")
sys.stdin.read(1)
"""


def test_a_store_is_open_in_one_process_which_the_error_names(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    create_store(folder, kind=kind).close()
    with child(HOLD, folder) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        with pytest.raises(StoreLockedError, match=f"process {process.pid}"):
            open_store(folder)
        with pytest.raises(StoreLockedError, match=f"process {process.pid}"):
            create_store(folder, kind=kind)
    open_store(folder).close()  # the lock went with the process


FORK = """
import os, sys
from pathlib import Path
from ledger.errors import StoreClosedError, StoreLockedError
from ledger.store import Batch, open_store

def attempt(use):
    try:
        use()
    except Exception as error:
        os.write(1, type(error).__name__.encode() + b"\\n")

store = open_store(Path(sys.argv[1]))
batch = Batch()
batch.put(b"a", b"1")
store.write(batch)
view = store.snapshot()
if os.fork() == 0:
    for use in (
        lambda: store.get(b"a"),
        lambda: store.write(batch),
        lambda: view.get(b"a"),
        lambda: open_store(Path(sys.argv[1])),
    ):
        attempt(use)
    store.close()
    os._exit(0)
os.wait()
assert store.get(b"a") == b"1"
store.write(batch)
store.close()
"""


def test_a_forked_child_can_use_nothing_of_its_parents_store(kind: str, tmp_path: Path) -> None:
    create_store(tmp_path / "store", kind=kind).close()
    assert output_of(FORK, tmp_path / "store") == ["StoreClosedError"] * 3 + ["StoreLockedError"]


# Limits, and the rest


def test_keys_values_and_batches_have_limits() -> None:
    changes = batch({b"k" * KEY_BYTES_MAX: b""})
    with pytest.raises(TooLongError, match="key"):
        changes.put(b"k" * (KEY_BYTES_MAX + 1), b"")
    with pytest.raises(TooLongError, match="key"):
        changes.delete(b"k" * (KEY_BYTES_MAX + 1))
    with pytest.raises(OutOfRangeError, match="key"):
        changes.put(b"", b"")
    with pytest.raises(TooLongError, match="value"):
        changes.put(b"k", bytes(VALUE_BYTES_MAX + 1))
    assert list(changes) == [(b"k" * KEY_BYTES_MAX, b"")]
    changes.put(b"k", bytes(VALUE_BYTES_MAX))
    room = BATCH_BYTES_MAX - changes.size_bytes
    with pytest.raises(TooLongError, match="batch"):
        changes.put(b"l", bytes(room))
    changes.put(b"l", bytes(room - 1))
    assert changes.size_bytes == BATCH_BYTES_MAX
    assert len(changes) == 3


def test_many_puts_at_once_are_the_same_as_one_after_the_other_or_none_at_all() -> None:
    changes = batch({b"a": b"1"})
    changes.put_all([(b"b", b"22"), (b"b", b"")])
    assert list(changes) == [(b"a", b"1"), (b"b", b"22"), (b"b", b"")]
    assert changes.size_bytes == 6
    changes.put_all([])
    large = bytes(VALUE_BYTES_MAX)
    for pair, error in (
        ((b"", b""), OutOfRangeError),
        ((b"k" * (KEY_BYTES_MAX + 1), b""), TooLongError),
        ((b"k", large + b"x"), TooLongError),
    ):
        with pytest.raises(error):
            changes.put_all([(b"c", b"3"), pair])
    with pytest.raises(TooLongError):
        changes.put_all([(b"c", large), (b"d", large)])
    assert (len(changes), changes.size_bytes) == (3, 6)


def test_a_batch_takes_in_another_or_refuses_it_whole() -> None:
    changes = batch({b"a": b"1"})
    other = batch({b"b": b"22"}, deletes=[b"c"])
    changes.extend(other)
    assert list(changes) == [(b"a", b"1"), (b"b", b"22"), (b"c", None)]
    assert changes.size_bytes == 6
    assert list(other) == [(b"b", b"22"), (b"c", None)]
    large = batch({b"x": bytes(VALUE_BYTES_MAX), b"y": bytes(VALUE_BYTES_MAX - 6)})
    with pytest.raises(TooLongError):
        large.extend(changes)
    assert len(large) == 2


def test_the_size_of_a_store_grows_with_it(store: Store) -> None:
    empty = store.approximate_bytes()
    store.write(batch({b"%d" % number: bytes(range(256)) * 8 for number in range(64)}))
    assert store.approximate_bytes() >= empty + 64 * 256  # whatever an engine compresses


def test_check_reads_everything_and_reports_how_far_it_is(store: Store) -> None:
    store.check()
    for part in range(3):
        store.write(batch({b"%d/%04d" % (part, number): b"" for number in range(7000)}))
    reports: list[int] = []
    store.check(reports.append)
    assert reports == [10_000, 20_000, 21_000]
    store.write(batch({b"z": b""}))
