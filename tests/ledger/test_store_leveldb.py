"""LevelDB's sharp edges, each of them blunted."""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from stores import batch, child, full_disk

from ledger.errors import StoreCorruptError, StoreError, StoreFailedError, StoreLockedError
from ledger.store import KEY_END, Batch, Store, create_store, open_store, prefix_end

plyvel = pytest.importorskip("plyvel")
from ledger.store.leveldb import LevelDbStore  # noqa: E402 - only where plyvel is
from ledger.store.view import bytes_of  # noqa: E402

FLIPS = 150


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with closing(create_store(folder, kind="leveldb")) as store:
        yield store


def fill(folder: Path) -> dict[bytes, bytes]:
    """Make a store with a few dozen blocks, all in one table."""
    chance = random.Random(1)
    pairs = {b"entry/%03d" % number: chance.randbytes(300) for number in range(60)}
    pairs |= {b"index/" + chance.randbytes(20): b"" for _ in range(60)} | {b"large": chance.randbytes(20_000)}
    with closing(create_store(folder, kind="leveldb")) as store:
        store.write(batch(pairs))
        store.check()
    return pairs


def files(folder: Path, pattern: str) -> list[Path]:
    return sorted((folder / "leveldb").glob(pattern))


def flip(file: Path, at: int) -> None:
    damaged = bytearray(file.read_bytes())
    damaged[at] ^= 1 << at % 8
    file.write_bytes(damaged)


def test_a_flipped_bit_in_a_table_is_an_error_and_never_other_bytes(folder: Path, tmp_path: Path) -> None:
    pairs = fill(folder)
    (table,) = files(folder, "*.ldb")
    noticed = 0
    stride = table.stat().st_size // FLIPS
    for at in range(0, table.stat().st_size, stride):
        copy = shutil.copytree(folder, tmp_path / f"flip{at}")
        flip(copy / table.relative_to(folder), at)
        with closing(open_store(copy)) as store:
            noticed += reads_right_or_not_at_all(store, pairs)
        shutil.rmtree(copy)
    assert noticed > FLIPS * 0.9  # the rest is padding, or a filter that is then not used


def test_a_table_whose_footer_leads_beyond_its_end_is_damaged(folder: Path) -> None:
    pairs = fill(folder)
    (table,) = files(folder, "*.ldb")
    damaged = bytearray(table.read_bytes())
    damaged[-48:-28] = b"\xff\xff\xff\x7f" * 5  # where the index stands, and how long it is
    table.write_bytes(damaged)
    with closing(open_store(folder)) as store, pytest.raises(StoreCorruptError, match="outside of its file"):
        store.get(next(iter(pairs)))


def reads_right_or_not_at_all(store: Store, pairs: dict[bytes, bytes]) -> bool:
    """Read everything in every way; return whether damage was found by each way that had to find it."""
    found = False
    for key, value in pairs.items():
        try:
            assert store.get(key) == value
        except StoreCorruptError:
            found = True
    for reverse in (False, True):
        if found:
            with pytest.raises(StoreCorruptError):
                list(store.scan(b"", KEY_END, reverse=reverse))
        else:
            assert list(store.scan(b"", KEY_END, reverse=reverse)) == sorted(pairs.items(), reverse=reverse)
    for start, end in (b"", KEY_END), (b"entry/", b"entry0"), (b"index/", b"index0"):
        expected = sorted(pair for pair in pairs.items() if start <= pair[0] < end)
        with suppress(StoreCorruptError):
            assert store.page(start, end, 200) == expected
        with suppress(StoreCorruptError):
            assert list(store.scan(start, end)) == expected
    if found:
        with pytest.raises(StoreCorruptError, match=r"block|sstable"):
            store.check()
    else:
        store.check()
    return found


def test_damage_in_the_last_block_does_not_pass_for_the_end(folder: Path) -> None:
    fill(folder)
    (table,) = files(folder, "*.ldb")
    with closing(open_store(folder)) as store:
        key = b"large"  # the greatest key, in the last block
        start = table.read_bytes().index(store.get(key) or b"?")
        flip(table, start + 100)
        assert len(list(store.scan(b"", KEY_END, limit=40))) == 40
        for pairs in (store.scan(b"", KEY_END), store.scan(key, KEY_END), store.scan(b"", KEY_END, reverse=True)):
            with pytest.raises(StoreCorruptError, match="checksum"):
                list(pairs)
        with pytest.raises(StoreCorruptError, match=r"behind key 656e7472792f\w+, pair \d+$"):
            store.check()


@pytest.mark.parametrize("behind", [0, 30], ids=["at the end of the store", "with more behind it"])
@pytest.mark.parametrize("damaged", [{0}, {30}, {59}, {0, 30, 59}, set(range(50, 60)), set(range(60))])
def test_damage_anywhere_in_a_range_is_an_error_however_it_is_read(
    folder: Path, damaged: set[int], behind: int
) -> None:
    chance = random.Random(2)
    pairs = {b"entry/%03d" % number: chance.randbytes(5000) for number in range(60)}  # each fills a block
    more = {b"later/%03d" % number: chance.randbytes(5000) for number in range(behind)}
    with closing(create_store(folder, kind="leveldb")) as store:
        store.write(batch(pairs | more | {b"before": chance.randbytes(5000)}))
        store.check()
    (table,) = files(folder, "*.ldb")
    content = table.read_bytes()
    for number in damaged:
        flip(table, content.index(pairs[b"entry/%03d" % number]) + 100)
    with closing(open_store(folder)) as store:
        start, end = b"entry/", prefix_end(b"entry/")
        looks: list[Callable[[], object]] = [
            lambda: list(store.scan(start, end)),
            lambda: list(store.scan(start, KEY_END)),
            lambda: list(store.scan(start, end, reverse=True)),
            lambda: store.page(start, end, 100),
            lambda: store.page(start, KEY_END, 300),
            lambda: store.page(b"entry/%03d" % max(damaged), end, 1),
            lambda: store.page(b"entry/%03d" % max(damaged), end, 300),
            lambda: store.page(b"entry/%03d" % min(damaged), end, 300),
        ]
        for look in looks:
            with pytest.raises(StoreCorruptError, match="checksum"):
                look()
        if sound := sorted(set(range(60)) - damaged):
            first = sound[0]
            count = next(count for count in range(1, 61) if first + count not in sound)
            expected = sorted(pairs.items())[first : first + count]
            assert store.page(b"entry/%03d" % first, end, count) == expected
            assert list(store.scan(b"entry/%03d" % first, end, limit=count)) == expected


@pytest.mark.parametrize(
    ("pairs", "iterators"), [(0, ["raw"]), (10, ["raw"]), (23, ["raw"]), (24, ["raw", "fast", "raw"])]
)
def test_a_scan_of_few_pairs_takes_one_iterator(
    store: Store, monkeypatch: pytest.MonkeyPatch, pairs: int, iterators: list[str]
) -> None:
    made: list[str] = []
    assert isinstance(store, LevelDbStore)
    store.write(batch({b"%03d" % number: b"" for number in range(pairs)}))
    moment: Any = type(store._moment())
    cursor = moment.cursor

    class Counting:
        def __init__(self, native: Any) -> None:
            self._native = native

        def raw_iterator(self, **options: bool) -> Any:
            made.append("raw")
            return self._native.raw_iterator(**options)

        def iterator(self, **options: Any) -> Any:
            made.append("fast")
            return self._native.iterator(**options)

    monkeypatch.setattr(
        moment, "cursor", lambda self, *keys, **way: cursor(moment(Counting(self._native), self._ended), *keys, **way)
    )
    assert len(list(store.scan(b"", KEY_END))) == pairs
    assert made == iterators


@pytest.mark.parametrize("pattern", ["CURRENT", "MANIFEST-*", "*.ldb"])
def test_a_missing_file_is_an_error_and_wipes_nothing(folder: Path, tmp_path: Path, pattern: str) -> None:
    pairs = fill(folder)
    (folder / "SEAL").unlink()  # as after a crash
    (file,) = files(folder, pattern)
    aside = file.rename(tmp_path / "aside")
    for _ in range(2):
        with pytest.raises(StoreCorruptError):
            open_store(folder)
    aside.rename(file)
    with closing(open_store(folder)) as store:
        assert dict(store.scan(b"", KEY_END)) == pairs


WRITE_AND_DIE = """
import os, sys
from pathlib import Path
from ledger.store import Batch, open_store
store = open_store(Path(sys.argv[1]))
for number in range(20):
    batch = Batch()
    for part in range(3):
        batch.put(b"%02d/%d" % (number, part), b"%d." % number * 200)
    store.write(batch)
os.kill(os.getpid(), 9)
"""


def test_damage_to_the_log_of_a_killed_process_is_an_error_or_an_earlier_moment(folder: Path, tmp_path: Path) -> None:
    create_store(folder, kind="leveldb").close()
    with child(WRITE_AND_DIE, folder) as process:
        process.wait()
    expected = [(b"%02d/%d" % (number, part), b"%d." % number * 200) for number in range(20) for part in range(3)]
    (log,) = files(folder, "*.log")
    for at in range(0, log.stat().st_size, log.stat().st_size // 25):
        copy = shutil.copytree(folder, tmp_path / f"flip{at}")
        flip(copy / log.relative_to(folder), at)
        try:
            store = open_store(copy)
        except StoreCorruptError:
            continue
        with closing(store):
            found = list(store.scan(b"", KEY_END))
        assert found == expected[: len(found)]
        assert len(found) % 3 == 0


@pytest.mark.parametrize("pattern", ["*.log", "MANIFEST-*", "CURRENT"])
def test_what_a_clean_close_left_is_found_unchanged_in_every_byte(folder: Path, pattern: str) -> None:
    with closing(create_store(folder, kind="leveldb")) as store:
        store.write(batch({b"a": b"1" * 50}))
    (file,) = files(folder, pattern)
    for at in range(file.stat().st_size):
        flip(file, at)
        with pytest.raises(StoreCorruptError, match=f"changed since the store was closed: {file.name}"):
            open_store(folder)
        flip(file, at)
    aside = file.rename(folder / "aside")
    with pytest.raises(StoreCorruptError, match=file.name):
        open_store(folder)
    aside.rename(file)
    with closing(open_store(folder)) as store:
        assert store.get(b"a") == b"1" * 50


def test_the_seal_is_broken_by_opening_and_made_anew_by_closing(folder: Path) -> None:
    seal = folder / "SEAL"
    with closing(create_store(folder, kind="leveldb")) as store:
        assert not seal.exists()
        store.write(batch({b"a": b"1"}))
    first = seal.read_bytes()
    with closing(open_store(folder)) as store:
        assert not seal.exists()
        store.reopen()
        assert not seal.exists()
    assert seal.read_bytes() != first


def test_a_seal_that_cannot_be_compared_keeps_the_store_shut(folder: Path, tmp_path: Path) -> None:
    create_store(folder, kind="leveldb").close()
    (log,) = files(folder, "*.log")
    aside = log.rename(tmp_path / "aside")
    log.mkdir()
    with pytest.raises(StoreFailedError, match="SEAL"):
        open_store(folder)
    log.rmdir()
    aside.rename(log)
    open_store(folder).close()


def test_a_store_closes_without_a_seal_when_there_is_no_room_for_one(folder: Path) -> None:
    store = create_store(folder, kind="leveldb")
    store.write(batch({b"a": b"1"}))
    with full_disk():
        store.close()
    assert not (folder / "SEAL").exists()
    with closing(open_store(folder)) as store:
        assert store.get(b"a") == b"1"


def test_check_reads_what_is_only_in_the_log(store: Store, folder: Path) -> None:
    store.write(batch({b"a": b"1" * 1000}))
    assert files(folder, "*.ldb") == []
    store.check()
    assert len(files(folder, "*.ldb")) == 1


def test_a_table_that_goes_while_the_store_is_open_does_not_go_unnoticed(folder: Path, tmp_path: Path) -> None:
    fill(folder)
    with closing(open_store(folder)) as store:
        (table,) = files(folder, "*.ldb")
        aside = table.rename(tmp_path / "aside")
        for use in (store.check, lambda: list(store.scan(b"", KEY_END))):
            with pytest.raises(StoreError, match="No such file"):
                use()
        aside.rename(table)
        store.check()


def test_a_table_that_cannot_be_opened_is_an_error_but_not_called_damage(folder: Path, tmp_path: Path) -> None:
    fill(folder)
    with closing(open_store(folder)) as store:
        (table,) = files(folder, "*.ldb")
        aside = table.rename(tmp_path / "aside")
        table.symlink_to(table)
        for use in (lambda: store.get(b"large"), lambda: list(store.scan(b"", KEY_END))):
            with pytest.raises(StoreError, match="IO error") as raised:
                use()
            assert raised.type is StoreError
        table.unlink()
        aside.rename(table)
        store.check()


def test_a_write_that_fails_over_damage_says_so(folder: Path) -> None:
    pairs = fill(folder)
    store = open_store(folder)
    assert isinstance(store, LevelDbStore)
    with closing(store):
        store.write(batch(dict.fromkeys(pairs, b"newer")))
        (table,) = files(folder, "*.ldb")
        flip(table, table.read_bytes().index(pairs[b"large"]) + 100)
        store._database.compact_range(start=b"", stop=KEY_END)
        with pytest.raises(StoreCorruptError, match="checksum"):
            store.write(batch({b"a": b"1"}))
        with pytest.raises(StoreFailedError, match="reopened"):
            store.write(batch({b"a": b"1"}))
        assert store.get(b"entry/001") == b"newer"


def test_a_disk_too_full_to_reopen_loses_nothing(store: Store) -> None:
    pairs = {b"%03d" % number: os.urandom(700) for number in range(100)}
    store.write(batch(pairs))
    with full_disk():
        with pytest.raises(StoreFailedError, match="File too large"):
            store.write(batch({b"more": b"1"}))
        for _ in range(2):
            with pytest.raises(StoreFailedError, match="File too large"):
                store.reopen()
            with pytest.raises(StoreFailedError, match="could not be reopened"):
                store.get(b"001")
    store.reopen()
    assert dict(store.scan(b"", KEY_END)) in (pairs, pairs | {b"more": b"1"})
    store.write(batch({b"more": b"2"}))


def test_a_disk_too_full_to_make_a_store_leaves_none(folder: Path) -> None:
    with full_disk(30), pytest.raises(StoreFailedError):
        create_store(folder, kind="leveldb")
    with pytest.raises(StoreError):
        open_store(folder)


def test_somebody_who_opened_the_database_without_our_lock_is_noticed(folder: Path) -> None:
    fill(folder)
    (folder / "SEAL").unlink()
    with closing(plyvel.DB(str(folder / "leveldb"))), pytest.raises(StoreLockedError, match="lock"):
        open_store(folder)
    open_store(folder).close()


def test_the_size_of_a_table_that_was_just_merged_away_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "000005.ldb").write_bytes(b"x" * 100)
    assert bytes_of([tmp_path / "000003.ldb", tmp_path / "000005.ldb"]) == 100


def test_the_size_of_a_store_whose_folder_is_gone_is_an_error(folder: Path, tmp_path: Path) -> None:
    with closing(create_store(folder, kind="leveldb")) as store:
        aside = folder.rename(tmp_path / "aside")
        with pytest.raises(StoreError, match="size"):
            store.approximate_bytes()
        aside.rename(folder)


def test_a_store_that_could_not_be_reopened_is_not_sealed(folder: Path, tmp_path: Path) -> None:
    store = create_store(folder, kind="leveldb")
    store.write(batch({b"a": b"1"}))
    aside = (folder / "leveldb" / "CURRENT").rename(tmp_path / "aside")
    with pytest.raises(StoreCorruptError):
        store.reopen()
    store.close()
    aside.rename(folder / "leveldb" / "CURRENT")
    with closing(open_store(folder)) as store:
        assert store.get(b"a") == b"1"


def test_an_exception_while_a_batch_is_handed_over_writes_none_of_it(store: Store) -> None:
    class Broken(Batch):
        def __iter__(self) -> Iterator[tuple[bytes, bytes | None]]:
            yield b"a", b"1"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.write(Broken())
    store.reopen()
    assert store.get(b"a") is None
