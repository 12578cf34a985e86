"""The LevelDB engine, by way of plyvel: for nodes that carry load.

Sharp edges, each of them measured, and what is done about it here:

- A missing ``CURRENT`` file makes LevelDB begin anew, which removes everything, unless ``create_if_missing`` is false.
- A flipped bit is returned as if it were data unless ``verify_checksums`` is set, on every single read.
- plyvel's ``Iterator`` asks for the end before it asks for the status: a scan that runs into damage in its last block
  simply ends early. In reverse it also leaves out a pair at the very start of the range. ``RawIterator`` does neither,
  but takes three calls for each pair: it reads backwards and a few pairs, and looks behind what the other one has read.
- After one failed write, later writes may be acknowledged and lost at the next open: the gate refuses them.
- Closing a database under a read of another thread reads freed memory: the gate again.
- The newest writes are only in a log, and the tables are only named in a manifest. Some damage to either passes for its
  end; what is then not named is deleted at the next open. So a clean ``close`` leaves a ``SEAL``, the digests of these
  files, and opening compares. It covers what happens at rest; a killed process leaves none.
- A table that is removed under an open database reads as "not found", and plyvel's ``get`` says ``None``. Opening
  notices a table that is missing, scans and ``check`` one that goes missing; ``get`` cannot, short of being a scan.
- LevelDB's own cache of blocks would hide a rotten disk from ``check``, for a gain of one in eight microseconds.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import file_digest
from pathlib import Path
from typing import Any, Protocol, Self

import plyvel  # type: ignore[import-untyped]

from ledger.errors import StoreCorruptError, StoreError, StoreFailedError, StoreLockedError
from ledger.store.gate import Gate, State
from ledger.store.headfile import read_head, sync_directory, write_head
from ledger.store.lock import FolderLock
from ledger.store.protocol import KEY_END, Batch, Pair, Progress, Scan, key_after
from ledger.store.view import FEW_PAIRS, STEP_PAIRS, Steps, ViewedStore, bytes_of, next_pairs, read_all

FOLDER_NAME = "leveldb"
SEAL_NAME = "SEAL"

_OPTIONS: dict[str, Any] = {
    "paranoid_checks": True,
    "write_buffer_size": 24
    << 20,  # with the default of 4 MiB a steady load stalls for 400 ms at a time, with 64 it takes 200 MB
    "max_file_size": 8 << 20,  # fifty million entries are then 4,000 files, with the default of 2 MiB 17,000
    "block_size": 4096,  # five entries: a larger block is read and verified in full for one of them
    "bloom_filter_bits": 10,  # one needless read in a hundred for a key that is absent
    "lru_cache_size": 0,
    "compression": None,  # it would take a fifth of the processor time of receiving, to save two fifths of the disk
}

_OUTSIDE = ": Invalid argument"  # what LevelDB says of a place beyond the end of a table: its footer is damaged


class _Snapshot(Protocol):
    """plyvel's snapshot, and the part of its database that is the same: the boundary where types are ours to state."""

    def get(self, key: bytes, *, verify_checksums: bool) -> bytes | None: ...
    def iterator(self, *, start: bytes, stop: bytes, verify_checksums: bool) -> "_FastIterator": ...
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


class _FastIterator(Protocol):
    def __iter__(self) -> Iterator[Pair]: ...
    def __next__(self) -> Pair: ...
    def close(self) -> None: ...


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
        super().__init__(Gate(str(folder)))
        self._folder = folder / FOLDER_NAME
        self._seal = folder / SEAL_NAME
        self._lock = lock
        self._ended: deque[_Snapshot] = deque()
        _break_seal(self._seal, self._folder)
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
            self._tidy()
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
        """Close, and seal what was left; in a forked child, leave everything to the parent."""
        if self._gate.inherited:
            return
        with self._gate.closing() as state:
            if state is State.CLOSED:
                return
            self._database.close()
            if state is State.OPEN:
                with suppress(OSError, StoreError):  # a full disk: then there is no seal, as after a crash
                    write_head(self._seal, _journals(self._folder))
            self._lock.release()

    def approximate_bytes(self) -> int:
        """Return the bytes of all files."""
        with self._gate:
            return bytes_of(self._folder.iterdir())

    def check(self, progress: Progress | None = None) -> None:
        """Read every pair, having put the newest ones into tables, so that every block's checksum is verified.

        The index of a table that is in use stays in memory: what happened to it on the disk shows at the next open.
        """
        with self._gate:
            if self._gate.state is State.OPEN:
                # LevelDB writes out its log before it compacts, even a range without keys
                self._database.compact_range(start=KEY_END, stop=KEY_END + b"\xff")
        read_all(self.snapshot(), progress)

    def _moment(self) -> "_LevelDbMoment":
        self._tidy()
        return _LevelDbMoment(self._database.snapshot(), self._ended)

    def _tidy(self) -> None:
        """Release snapshots that ended, here inside the gate: plyvel does it without the interpreter lock."""
        with suppress(IndexError):
            while True:
                self._ended.pop().close()


class _LevelDbMoment:
    def __init__(self, native: _Snapshot, ended: deque[_Snapshot]) -> None:
        self._native = native
        self._ended = ended

    def get(self, key: bytes) -> bytes | None:
        return _get(self._native, key)

    def cursor(self, start: bytes, end: bytes, *, reverse: bool) -> "_Onwards | Steps":
        return Steps(self._backwards(start, end)) if reverse else _Onwards(self._native, start, end)

    def close(self) -> None:
        self._ended.append(self._native)

    def _backwards(self, start: bytes, end: bytes) -> Scan:
        native = self._native.raw_iterator(verify_checksums=True)
        try:
            yield from _backward(native, start, end)
        except plyvel.Error as error:
            raise _read_error(error, start) from error
        finally:
            native.close()


class _Onwards:
    """A scan in the order of keys: a few pairs by a raw iterator, where most scans end, and more by a fast one.

    What a fast one gives was checked pair by pair, but where it ends may be damage. So a raw one goes on behind its
    last pair, which raises, or finds that nothing is left.
    """

    def __init__(self, native: _Snapshot, start: bytes, end: bytes) -> None:
        self._native = native
        self._next = start  # where the rest begins
        self._end = end
        self._source: _FastIterator | Scan = self._raw()
        self._more: bool | None = None  # whether there may be many pairs yet; None: not begun
        self._fast = False

    def page(self, pairs: int, step: int = STEP_PAIRS) -> list[Pair]:
        try:
            page = self._advance(pairs, step)
            if self._fast and len(page) < pairs:
                self._turn_to(self._raw(), fast=False)
                page += self._advance(1, step)
        except plyvel.Error as error:
            raise _read_error(error, self._next) from error
        return page

    def close(self) -> None:
        self._source.close()

    def _advance(self, pairs: int, step: int) -> list[Pair]:
        if pairs > FEW_PAIRS and self._more is not False and not self._fast:
            fast = self._native.iterator(start=self._next, stop=self._end, verify_checksums=True)
            self._turn_to(fast, fast=True)
        page = next_pairs(self._source, pairs, step)
        self._more = len(page) == pairs
        if page:
            self._next = key_after(page[-1][0])
        return page

    def _turn_to(self, source: "_FastIterator | Scan", *, fast: bool) -> None:
        self._source.close()
        self._source, self._fast, self._more = source, fast, False

    def _raw(self) -> Scan:
        native = self._native.raw_iterator(verify_checksums=True)
        try:
            yield from _forward(native, self._next, self._end)
        finally:
            native.close()


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
        raise _read_error(error, key) from error


def _journals(folder: Path) -> bytes:
    """Return a line for each file whose damage LevelDB may not notice: its digest, its name."""
    lines = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(("CURRENT", "MANIFEST-")) or path.suffix == ".log":
            with path.open("rb") as file:
                lines.append(f"{file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    return "".join(lines).encode()


def _break_seal(seal: Path, folder: Path) -> None:
    """Compare what a clean close left, then remove the seal, durably, before anything changes."""
    sealed = read_head(seal)
    if sealed is None:
        return
    try:
        if changed := set(sealed.splitlines()) ^ set(_journals(folder).splitlines()):
            names = sorted({line.split()[-1].decode(errors="replace") for line in changed})
            raise StoreCorruptError(
                f"changed since the store was closed: {', '.join(names)} in {folder}",
                hint=f"if it was changed on purpose, remove {seal}; "
                f"else set {seal.parent} aside: after suyuan init DIR --rebuild the node fills it anew",
            )
        seal.unlink()
        sync_directory(seal.parent)
    except OSError as error:
        raise StoreFailedError(f"{seal} could not be compared or removed: {error}") from error


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


def _read_error(error: Exception, key: bytes) -> StoreError:
    words = f"{_words(error)}, while reading from key {key.hex() or 'first'} on"
    if words.partition(", while")[0].endswith(_OUTSIDE):
        return StoreCorruptError(f"a block outside of its file: {words}")
    return StoreCorruptError(words) if isinstance(error, plyvel.CorruptionError) else StoreError(words)


def _words(error: Exception) -> str:
    return error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else str(error)
