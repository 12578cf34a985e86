"""The store in memory: its mishaps, and its own machinery against a naive oracle."""

import random
from contextlib import closing
from threading import Event, Thread

import pytest
from stores import batch

from ledger.errors import (
    StoreClosedError,
    StoreCorruptError,
    StoreFailedError,
)
from ledger.store import KEY_END
from ledger.store.memory import Fault, MemoryDisk, MemoryStore


@pytest.mark.parametrize(
    ("fault", "after", "words"),
    [
        (Fault.BEFORE, b"1", "I/O error"),
        (Fault.NO_SPACE, b"1", "no space left"),
        (Fault.AFTER, b"2", "while syncing"),
    ],
)
def test_the_numbered_write_fails_and_reopening_shows_how(fault: Fault, after: bytes, words: str) -> None:
    disk = MemoryDisk()
    disk.fail_write(3, fault)
    store = disk.create()
    store.write(batch({b"a": b"0"}))
    store.write(batch({b"a": b"1", b"b": b"1"}))
    with pytest.raises(StoreFailedError, match=words):
        store.write(batch({b"a": b"2"}, deletes=[b"b", b"c"]))
    assert disk.writes == 3
    assert store.get_many([b"a", b"b"]) == [b"1", b"1"]
    with pytest.raises(StoreFailedError, match="reopened"):
        store.write(batch({b"a": b"3"}))
    store.reopen()
    assert store.get_many([b"a", b"b"]) == ([b"2", None] if after == b"2" else [b"1", b"1"])
    store.write(batch({b"a": b"3"}))


def test_a_crash_keeps_what_was_acknowledged() -> None:
    store = MemoryDisk().create()
    store.write(batch({b"a": b"1"}))
    view = store.snapshot()
    pairs = store.scan(b"", KEY_END)
    after = store.crash()
    assert after.get(b"a") == b"1"
    for use in (lambda: store.get(b"a"), lambda: view.get(b"a"), lambda: list(pairs)):
        with pytest.raises(StoreClosedError):
            use()
    store.close()
    after.write(batch({b"a": b"2"}))
    assert after.crash().get(b"a") == b"2"


def test_a_crash_in_the_middle_of_a_write_leaves_nothing_of_it() -> None:
    disk = MemoryDisk()
    store = disk.create()
    store.write(batch({b"a": b"1"}))
    after: list[MemoryStore] = []

    def crash() -> None:
        disk.on_write = None
        after.append(store.crash())

    disk.on_write = crash
    with pytest.raises(StoreClosedError, match="crashed"):
        store.write(batch({b"a": b"2"}))
    assert store.closed
    assert after[0].get(b"a") == b"1"


def test_a_crash_after_a_failed_sync_may_keep_the_batch() -> None:
    disk = MemoryDisk()
    store = disk.create()
    disk.fail_write(1, Fault.AFTER)
    with pytest.raises(StoreFailedError):
        store.write(batch({b"a": b"1"}))
    assert store.get(b"a") is None
    assert store.crash().get(b"a") == b"1"


def test_a_write_can_be_held_up_while_others_read() -> None:
    disk = MemoryDisk()
    store = disk.create()
    store.write(batch({b"a": b"1"}))
    begun, go_on = Event(), Event()

    def wait() -> None:
        begun.set()
        assert go_on.wait(10)

    disk.on_write = wait
    writer = Thread(target=store.write, args=(batch({b"a": b"2"}),))
    writer.start()
    assert begun.wait(10)
    assert store.get(b"a") == b"1"
    assert list(store.scan(b"", KEY_END)) == [(b"a", b"1")]
    go_on.set()
    writer.join()
    assert store.get(b"a") == b"2"


@pytest.mark.parametrize("value", [b"", b"\0", b"value"])
@pytest.mark.parametrize("bit", [0, 5, 7])
def test_a_flipped_bit_is_an_error_for_every_read(value: bytes, bit: int) -> None:
    disk = MemoryDisk()
    store = disk.create()
    store.write(batch({b"a": value, b"b": b"1"}))
    disk.flip(b"a", bit)
    for use in (
        lambda: store.get(b"a"),
        lambda: store.get_many([b"b", b"a"]),
        lambda: list(store.scan(b"", KEY_END)),
        store.check,
        lambda: store.crash().get(b"a"),
    ):
        with pytest.raises(StoreCorruptError, match="61"):
            use()
    disk.flip(b"a", bit)
    assert disk.owner is not None
    assert disk.owner.get_many([b"b", b"a"]) == [b"1", value]


def test_two_thousand_changes_agree_with_a_dictionary_now_and_in_snapshots() -> None:
    chance = random.Random(7)
    model: dict[bytes, bytes] = {}
    with closing(MemoryDisk().create()) as store:
        held = [(store.snapshot(), model)]
        for step in range(400):
            keys = [b"%04d" % chance.randrange(2000) for _ in range(8)]
            puts = dict.fromkeys(keys[: chance.choice([0, 4, 8])], b"%d" % step)
            deletes = [b"%04d" % chance.randrange(2000) for _ in range(chance.choice([0, 3]))]
            store.write(batch(puts, deletes))
            model = model | puts
            for key in deletes:
                model.pop(key, None)
            if step % 40 == 0:
                view = store.snapshot()
                assert dict(view.scan(b"", KEY_END)) == model
                held.append((view, model))
            if step % 100 == 99:
                view, then = held.pop(chance.randrange(len(held)))
                assert list(view.scan(b"", KEY_END, reverse=True)) == sorted(then.items(), reverse=True)
                view.close()
        for view, then in held:
            assert list(view.scan(b"0500", b"1500")) == sorted(p for p in then.items() if b"0500" <= p[0] < b"1500")
            assert view.get_many(list(then)) == list(then.values())
            view.close()
        assert list(store.scan(b"", KEY_END)) == sorted(model.items())
        store.reopen()
        assert list(store.scan(b"", KEY_END)) == sorted(model.items())


def test_versions_that_nobody_can_see_are_forgotten() -> None:
    store = MemoryDisk().create()
    with store.snapshot():
        for number in range(5):
            store.write(batch({b"a": b"%d" % number, b"b": b""}))
        store.write(batch(deletes=[b"b"]))
    store.write(batch({b"a": b"last"}, deletes=[b"b"]))
    assert {key: len(versions) for key, versions in store._index._versions.items()} == {b"a": 1}
    store.write(batch(deletes=[b"a"]))
    assert store._index._versions == {}
    assert list(store.scan(b"", KEY_END)) == []


@pytest.mark.timeout(20)
def test_fifty_thousand_keys_in_any_order_are_no_trouble() -> None:
    keys = [b"%06d" % number for number in range(50_000)]
    random.Random(3).shuffle(keys)
    store = MemoryDisk().create()
    for start in range(0, len(keys), 1000):
        store.write(batch(dict.fromkeys(keys[start : start + 1000], b"")))
    assert [key for key, _ in store.scan(b"", KEY_END)] == sorted(keys)
    for start in range(0, 30_000, 1000):
        store.write(batch(deletes=keys[start : start + 1000]))
    assert len(list(store.scan(b"", KEY_END, reverse=True))) == 20_000
