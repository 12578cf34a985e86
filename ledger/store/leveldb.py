"""The LevelDB engine, by way of plyvel: for nodes that carry load.

Sharp edges, each of them measured, and what is done about it here:

- A missing ``CURRENT`` file makes LevelDB begin anew, which removes everything, unless ``create_if_missing`` is false.
- A flipped bit is returned as if it were data unless ``verify_checksums`` is set, on every single read.
- plyvel's ``Iterator`` asks for the end before it asks for the status: a scan that runs into damage in its last block
  simply ends early. In reverse it also leaves out a pair at the very start of the range. ``RawIterator`` does neither.
- After one failed write, later writes may be acknowledged and lost at the next open: the gate refuses them.
- Closing a database under a read of another thread reads freed memory: the gate again.
- The newest writes are only in a log, whose reader takes some damage for the end of the log: a clean ``close`` puts
  them into tables, where every block has a checksum. It also makes the next open fast.
- LevelDB's own cache of blocks would hide a rotten disk from ``check``, for a gain of one in eight microseconds.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, Self

import plyvel  # type: ignore[import-untyped]

from ledger.errors import StoreCorruptError, StoreError, StoreFailedError, StoreLockedError
from ledger.store.gate import Gate, State
from ledger.store.lock import FolderLock
from ledger.store.protocol import KEY_END, Batch, Pair, Progress, Scan
from ledger.store.view import ViewedStore

FOLDER_NAME = "leveldb"

_OPTIONS: dict[str, Any] = {
    "paranoid_checks": True,
    "write_buffer_size": 64 << 20,  # with the default of 4 MiB, a steady load stalls for 400 ms at a time
    "max_file_size": 8 << 20,  # fifty million entries are then 4,000 files, with the default of 2 MiB 17,000
    "block_size": 4096,  # five entries: a larger block is read and verified in full for one of them
    "bloom_filter_bits": 10,  # one needless read in a hundred for a key that is absent
    "lru_cache_size": 0,
}


class _Snapshot(Protocol):
    """plyvel's snapshot, and the part of its database that is the same: the boundary where types are ours to state."""

    def get(self, key: bytes, *, verify_checksums: bool) -> bytes | None: ...
    def raw_iterator(self, *, verify_checksums: bool) -> "_Iterator": ...
    def close(self) -> None: ...


class _Writes(Protocol):
    def put(self, key: bytes, value: bytes) -> None: ...
    def delete(self, key: bytes) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *details: object) -> None: ...


class _Database(_Snapshot, Protocol):
    def write_batch(self, *, transaction: bool, sync: bool) -> _Writes: ...
    def snapshot(self) -> _Snapshot: ...
    def compact_range(self, *, start: bytes, stop: bytes) -> None: ...


class _Iterator(Protocol):
    def seek(self, target: bytes) -> None: ...
    def seek_to_last(self) -> None: ...
    def valid(self) -> bool: ...
    def item(self) -> Pair: ...
    def next(self) -> None: ...
    def prev(self) -> None: ...
    def close(self) -> None: ...


class LevelDbStore(ViewedStore):
    """A store in the folder ``leveldb`` below its own: see ``ledger.store.protocol`` for what it promises."""

    def __init__(self, folder: Path, lock: FolderLock) -> None:
        self._folder = folder / FOLDER_NAME
        self._lock = lock
        super().__init__(Gate(str(folder)))
        self._database = _open(self._folder)

    @staticmethod
    def lay(folder: Path) -> None:
        """Make an empty database in ``folder``, where there is none."""
        with _opening(folder):
            plyvel.DB(str(folder / FOLDER_NAME), create_if_missing=True, error_if_exists=True, **_OPTIONS).close()

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, or ``None``."""
        with self._gate:
            return _get(self._database, key)

    def write(self, batch: Batch) -> None:
        """Apply ``batch``, all of it or nothing; it is durable when this returns."""
        with self._gate.writing():
            try:
                with self._database.write_batch(transaction=True, sync=True) as writes:
                    for key, value in batch:
                        if value is None:
                            writes.delete(key)
                        else:
                            writes.put(key, value)
            except plyvel.CorruptionError as error:
                raise StoreCorruptError(_words(error)) from error
            except plyvel.Error as error:
                raise StoreFailedError(_words(error)) from error

    def reopen(self) -> None:
        """Close the database and open it again."""
        with self._gate.reopening():
            self._database.close()
            self._database = _open(self._folder)

    def close(self) -> None:
        """Put the newest writes into tables, and close; in a forked child, leave everything to the parent."""
        if self._gate.inherited:
            return
        with self._gate.closing() as state:
            if state is State.CLOSED:
                return
            if state is State.OPEN:
                _flush(self._database)
            self._database.close()
            self._lock.release()

    def approximate_bytes(self) -> int:
        """Return the bytes of all files."""
        with self._gate, os.scandir(self._folder) as files:
            return sum(_size(file) for file in files)

    def check(self, progress: Progress | None = None) -> None:
        """Read every pair, having put the newest ones into tables: every block is read and its checksum verified."""
        with self._gate:
            if self._gate.state is State.OPEN:
                _flush(self._database)
        self._read_all(progress)

    def _moment(self) -> "_LevelDbMoment":
        return _LevelDbMoment(self._gate, self._database.snapshot())


class _LevelDbMoment:
    def __init__(self, gate: Gate, native: _Snapshot) -> None:
        self._gate = gate
        self._native = native

    def get(self, key: bytes) -> bytes | None:
        return _get(self._native, key)

    def pairs(self, start: bytes, end: bytes, *, reverse: bool) -> Scan:
        native = self._native.raw_iterator(verify_checksums=True)
        try:
            yield from _backward(native, start, end) if reverse else _forward(native, start, end)
        except plyvel.Error as error:
            raise _read_error(error) from error
        finally:
            native.close()

    def close(self) -> None:
        with self._gate.lock:  # plyvel releases it without the interpreter lock: not while the database is deleted
            self._native.close()


def _forward(native: _Iterator, start: bytes, end: bytes) -> Iterator[Pair]:
    native.seek(start)
    while native.valid():
        pair = native.item()
        if pair[0] >= end:
            return
        yield pair
        native.next()


def _backward(native: _Iterator, start: bytes, end: bytes) -> Iterator[Pair]:
    native.seek(end)
    if native.valid():
        native.prev()
    else:
        native.seek_to_last()
    while native.valid():
        pair = native.item()
        if pair[0] < start:
            return
        yield pair
        native.prev()


def _get(native: _Snapshot, key: bytes) -> bytes | None:
    try:
        return native.get(key, verify_checksums=True)
    except plyvel.Error as error:
        raise _read_error(error) from error


def _flush(database: _Database) -> None:
    """Write what is only in the log into a table: LevelDB does it first when it compacts, here a range without keys."""
    database.compact_range(start=KEY_END, stop=KEY_END + b"\xff")


def _open(folder: Path) -> _Database:
    if not (folder / "CURRENT").is_file():
        raise StoreCorruptError(f"{folder / 'CURRENT'} is gone: nothing says which of the database's files count")
    with _opening(folder):
        database: _Database = plyvel.DB(str(folder), create_if_missing=False, **_OPTIONS)
    return database


@contextmanager
def _opening(folder: Path) -> Iterator[None]:
    try:
        yield
    except plyvel.CorruptionError as error:
        raise StoreCorruptError(_words(error)) from error
    except plyvel.Error as error:
        if f"IO error: lock {folder}" in _words(error):  # somebody who does not know of our own lock
            raise StoreLockedError(_words(error)) from error
        raise StoreFailedError(_words(error)) from error


def _read_error(error: Exception) -> StoreError:
    return (StoreCorruptError if isinstance(error, plyvel.CorruptionError) else StoreError)(_words(error))


def _words(error: Exception) -> str:
    return error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else str(error)


def _size(file: os.DirEntry[str]) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # a table that was just merged into another
        return 0
