"""What SQLite does not do by itself: checksums, and answers that damage cannot shorten."""

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from stores import batch, child

from ledger.errors import StoreCorruptError, StoreError, StoreFailedError, StoreLockedError, TooManyError
from ledger.store import KEY_END, Store, create_store, open_store
from ledger.store.sqlite import READERS_MAX, SqliteStore

FLIPS = 150
PAGE_BYTES = 8192


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with closing(create_store(folder, kind="sqlite")) as store:
        yield store


def fill(folder: Path) -> dict[bytes, bytes]:
    """Make a store of a dozen pages: two levels, overflow pages, long and short rows."""
    chance = random.Random(1)
    pairs = {b"entry/%03d" % number: chance.randbytes(300) for number in range(60)}
    pairs |= {b"index/" + chance.randbytes(20): b"" for _ in range(200)} | {b"large": chance.randbytes(20_000)}
    with closing(create_store(folder, kind="sqlite")) as store:
        store.write(batch(pairs))
    return pairs


def change(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / "pairs.sqlite", isolation_level=None)) as connection:
        assert connection.execute(statement, values).rowcount == 1


def overwrite(folder: Path, at: int, data: bytes) -> None:
    with (folder / "pairs.sqlite").open("r+b") as file:
        file.seek(at)
        file.write(data)


def test_a_flipped_bit_in_the_file_is_an_error_and_never_other_bytes(folder: Path, tmp_path: Path) -> None:
    pairs = fill(folder)
    good = (folder / "pairs.sqlite").read_bytes()
    noticed = 0
    for at in range(0, len(good), len(good) // FLIPS):
        copy = shutil.copytree(folder, tmp_path / f"flip{at}")
        overwrite(copy, at, bytes([good[at] ^ 1 << at % 8]))
        try:
            store = open_store(copy)
        except StoreCorruptError:
            continue
        with closing(store):
            noticed += reads_right_or_not_at_all(store, pairs)
        shutil.rmtree(copy)
    assert noticed > FLIPS * 0.5  # the rest is free space, and the names of things


def reads_right_or_not_at_all(store: Store, pairs: dict[bytes, bytes]) -> bool:
    """Read everything in every way; what a read could miss for damage to the pages' links, check must find."""
    found = missed = False
    for key, value in pairs.items():
        try:
            answer = store.get(key)
        except StoreCorruptError:
            found = True
        else:
            assert answer in {value, None}
            missed |= answer is None
    for reverse in (False, True):
        try:
            missed |= list(store.scan(b"", KEY_END, reverse=reverse)) != sorted(pairs.items(), reverse=reverse)
        except StoreCorruptError:
            found = True
    if found or missed:
        with pytest.raises(StoreCorruptError):
            store.check()
    return found


@pytest.mark.parametrize("where", ["smaller", "greater", "far smaller", "far greater"])
def test_a_row_whose_key_was_damaged_is_not_reported_as_absent(folder: Path, where: str) -> None:
    pairs = {b"entry/%03d" % number: b"%d" % number for number in range(100)}
    with closing(create_store(folder, kind="sqlite")) as store:
        store.write(batch(pairs))
    wrong = {
        "smaller": b"entry.050",
        "greater": b"entry/0p0",
        "far smaller": b"\0ntry/050",
        "far greater": b"\xffntry/050",
    }[where]
    file = folder / "pairs.sqlite"
    file.write_bytes(file.read_bytes().replace(b"entry/050", wrong))
    with closing(open_store(folder)) as store:
        for use in (
            lambda: store.get(b"entry/050"),
            lambda: store.get_many([b"entry/050"]),
            lambda: list(store.scan(b"entry/", b"entry0")),
            lambda: list(store.scan(b"entry/", b"entry0", reverse=True)),
            lambda: list(store.scan(b"entry/050", b"entry/0509")),
            lambda: list(store.scan(b"entry/050", b"entry/0509", reverse=True)),
            store.check,
        ):
            with pytest.raises(StoreCorruptError):
                use()
        assert store.get(b"entry/001") == b"1"
        assert list(store.scan(b"entry/000", b"entry/002")) == [(b"entry/000", b"0"), (b"entry/001", b"1")]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE pairs SET v = x'00' WHERE k = ?",
        "UPDATE pairs SET c = x'0000000000000000' WHERE k = ?",
        "UPDATE pairs SET c = 7 WHERE k = ?",
        "UPDATE pairs SET v = 7 WHERE k = ?",
        "UPDATE pairs SET v = CAST(v AS TEXT) WHERE k = ?",
        "UPDATE pairs SET v = CAST(x'ff' AS TEXT) WHERE k = ?",
        "UPDATE pairs SET k = CAST(k AS TEXT) WHERE k = ?",
        "UPDATE pairs SET k = 7 WHERE k = ?",
        "UPDATE pairs SET k = x'61' WHERE k = ?",
        "UPDATE pairs SET k = (SELECT max(k) FROM pairs) || x'00' WHERE k = ?",
    ],
)
def test_a_changed_row_is_an_error(folder: Path, statement: str) -> None:
    with closing(create_store(folder, kind="sqlite")) as store:
        store.write(batch({b"a1": b"first", b"b2": b"value", b"c3": b"last"}))
    change(folder, statement, b"b2")
    with closing(open_store(folder)) as store, pytest.raises(StoreCorruptError):
        store.check()


def test_rows_that_changed_places_are_out_of_order(folder: Path) -> None:
    with closing(create_store(folder, kind="sqlite")) as store:
        store.write(batch({b"key/%d" % number: b"%d" % number for number in range(6)}))
    file = folder / "pairs.sqlite"
    page = bytearray(file.read_bytes()[PAGE_BYTES : 2 * PAGE_BYTES])
    page[8 + 2 * 2 : 8 + 2 * 4] = page[8 + 2 * 3 : 8 + 2 * 4] + page[8 + 2 * 2 : 8 + 2 * 3]  # cell pointers 2 and 3
    overwrite(folder, PAGE_BYTES, bytes(page))
    with closing(open_store(folder)) as store:
        for reverse in (False, True):
            with pytest.raises(StoreCorruptError, match="out of order"):
                list(store.scan(b"key/", b"key0", reverse=reverse))
        with pytest.raises(StoreCorruptError):
            store.check()


def test_a_row_that_its_page_forgot_is_found_missing_by_check(folder: Path) -> None:
    with closing(create_store(folder, kind="sqlite")) as store:
        store.write(batch({b"key/%d" % number: b"%d" % number for number in range(6)}))
    overwrite(folder, PAGE_BYTES + 3, b"\0\x05")  # the number of cells of the one leaf
    with closing(open_store(folder)) as store:
        assert store.get(b"key/4") == b"4"
        with pytest.raises(StoreCorruptError, match=r"pairs\.sqlite"):
            store.check()


def test_a_file_that_is_no_database_is_corrupt(folder: Path) -> None:
    create_store(folder, kind="sqlite").close()
    for content in (b"", b"not a database" * 1000, b"SQLite format 3\0" + b"\xff" * 9000):
        (folder / "pairs.sqlite").write_bytes(content)
        with pytest.raises(StoreCorruptError):
            open_store(folder)


def test_a_file_cut_short_is_corrupt(folder: Path) -> None:
    fill(folder)
    file = folder / "pairs.sqlite"
    file.write_bytes(file.read_bytes()[: 5 * PAGE_BYTES])
    with pytest.raises(StoreCorruptError), closing(open_store(folder)) as store:
        store.check()


@pytest.mark.parametrize("damaged", [b"CREATE TABLE p\xffirs", b"CREATE T\xc1BLE pairs", b"CREATE TABLE qairs"])
def test_a_damaged_schema_is_corrupt(folder: Path, damaged: bytes) -> None:
    create_store(folder, kind="sqlite").close()
    file = folder / "pairs.sqlite"
    file.write_bytes(file.read_bytes().replace(b"CREATE TABLE pairs", damaged))
    with pytest.raises(StoreCorruptError):
        open_store(folder)


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
    create_store(folder, kind="sqlite").close()
    with child(WRITE_AND_DIE, folder) as process:
        process.wait()
    expected = [(b"%02d/%d" % (number, part), b"%d." % number * 200) for number in range(20) for part in range(3)]
    good = (folder / "pairs.sqlite-wal").read_bytes()
    for at in range(0, len(good), len(good) // 25):
        copy = shutil.copytree(folder, tmp_path / f"flip{at}")
        (copy / "pairs.sqlite-wal").write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with closing(open_store(copy)) as store:
            found = list(store.scan(b"", KEY_END))
        assert found == expected[: len(found)]
        assert len(found) % 3 == 0


def test_a_read_beyond_the_pool_is_refused_and_room_comes_back(store: Store) -> None:
    store.write(batch({b"a": b"1"}))
    with ExitStack() as stack:
        for _ in range(READERS_MAX):
            stack.enter_context(store.snapshot())
        for use in (lambda: store.get(b"a"), store.snapshot, lambda: store.scan(b"", KEY_END)):
            with pytest.raises(TooManyError):
                use()
        store.write(batch({b"a": b"2"}))
    assert store.get(b"a") == b"2"


def test_a_connection_that_comes_back_after_the_pool_was_closed_is_closed_too(store: Store) -> None:
    assert isinstance(store, SqliteStore)
    late = store._pool.take()
    store.close()
    store._pool.give(late)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        late.execute("SELECT 1")


def test_a_file_that_goes_while_the_store_is_open_is_an_error(store: Store, folder: Path) -> None:
    store.write(batch({b"a": b"1"}))
    (folder / "pairs.sqlite").unlink()
    for _ in range(2 * READERS_MAX):  # a connection that could not be made leaves its place free
        with pytest.raises(StoreError, match="unable to open"):
            store.get(b"a")


def test_a_snapshot_of_a_damaged_file_is_refused_and_leaks_nothing(folder: Path) -> None:
    fill(folder)
    with closing(open_store(folder)) as store:
        overwrite(folder, PAGE_BYTES, b"\xff" * PAGE_BYTES)  # the root of the tree
        for _ in range(2 * READERS_MAX):
            with pytest.raises(StoreCorruptError):
                store.snapshot()


def test_a_write_that_fails_over_damage_says_so(folder: Path) -> None:
    pairs = fill(folder)
    for page in range(4, (folder / "pairs.sqlite").stat().st_size // PAGE_BYTES):
        overwrite(folder, page * PAGE_BYTES, b"\xff" * PAGE_BYTES)
    with closing(open_store(folder)) as store:
        with pytest.raises(StoreCorruptError):
            store.write(batch(dict.fromkeys(pairs, b"newer")))
        with pytest.raises(StoreFailedError, match="reopened"):
            store.write(batch({b"a": b"1"}))


def test_somebody_who_writes_without_our_lock_is_noticed(store: Store, folder: Path) -> None:
    with closing(sqlite3.connect(folder / "pairs.sqlite", isolation_level=None)) as intruder:
        intruder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreLockedError, match="locked"):
            store.write(batch({b"a": b"1"}))
    store.reopen()
    store.write(batch({b"a": b"1"}))


def test_check_reads_the_file_and_no_cache(store: Store, folder: Path) -> None:
    value = bytes(range(256)) * 2
    store.write(batch({b"a": value}))
    store.reopen()  # which merges the log into the file
    assert store.get(b"a") == value
    overwrite(folder, (folder / "pairs.sqlite").read_bytes().index(value) + 7, b"\0")
    with pytest.raises(StoreCorruptError, match="61 is damaged"):
        store.check()


def test_the_log_is_merged_into_the_file_at_a_clean_close(folder: Path) -> None:
    fill(folder)
    assert [file.name for file in sorted(folder.iterdir())] == ["LOCK", "STORE", "pairs.sqlite"]
