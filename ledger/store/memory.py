"""A store in memory, for tests: stricter than the real ones, and it fails on demand.

    disk = MemoryDisk()
    store = disk.create()
    disk.fail_write(3, Fault.AFTER)        # the third write reports an error although its batch reached the disk
    ...
    store = store.crash()                  # what no write acknowledged may be gone; what one acknowledged is there
    disk.flip(b"head")                     # the next read of it raises StoreCorruptError

``MemoryDisk`` is what outlives the process: the pairs, the lock, and the mishaps to come. A store of it keeps every
key's versions, numbered by write, so a snapshot is a number; versions that no snapshot can see any more go at the next
write of their key. Nothing depends on time or chance.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable
from enum import Enum
from threading import RLock
from zlib import crc32

from ledger.errors import (
    StoreClosedError,
    StoreCorruptError,
    StoreExistsError,
    StoreFailedError,
    StoreLockedError,
    StoreMissingError,
)
from ledger.store.gate import Gate, State
from ledger.store.protocol import Batch, Progress, Scan, key_after
from ledger.store.view import Steps, ViewedStore, read_all

_RUN_KEYS = 512  # keys per sorted run: inserting moves at most this many
_STEP_KEYS = 32  # keys that a scan looks up at a time


class Fault(Enum):
    """How a write goes wrong."""

    BEFORE = "I/O error"  # nothing was applied
    AFTER = "I/O error while syncing"  # the batch is there at the next open, and not visible before
    NO_SPACE = "no space left on device"  # nothing was applied


class MemoryDisk:
    """The disk under a ``MemoryStore``: survives it, and is told what shall go wrong.

    ``on_write`` is called in every write after the batch was taken in and before it reaches the disk: to wait there, to
    read meanwhile, or to ``crash`` the store. It must not close or reopen the store.
    """

    def __init__(self) -> None:
        self.on_write: Callable[[], None] | None = None
        self.writes = 0  # begun so far, over all stores of this disk
        self.cells: dict[bytes, Cell] | None = None  # the durable pairs; None before create()
        self.owner: MemoryStore | None = None
        self._faults: dict[int, Fault] = {}

    def create(self) -> "MemoryStore":
        """Make an empty store and open it.

        Raises:
            StoreExistsError: there is one.
        """
        if self.cells is not None:
            raise StoreExistsError("the disk is not empty")
        self.cells = {}
        return self.open()

    def open(self) -> "MemoryStore":
        """Open the store that is there.

        Raises:
            StoreMissingError: there is none.
            StoreLockedError: it is open already.
        """
        if self.cells is None:
            raise StoreMissingError("there is no store on the disk")
        if self.owner is not None:
            raise StoreLockedError("the disk is in use by this process")
        self.owner = MemoryStore(self)
        return self.owner

    def fail_write(self, number: int, fault: Fault) -> None:
        """Let the write of that number fail, the first one on this disk being 1; ``writes + 1`` is the next."""
        assert number > self.writes
        self._faults[number] = fault

    def flip(self, key: bytes, bit: int = 0) -> None:
        """Turn over one bit of the stored value of ``key``, or of its checksum if the value is empty."""
        assert self.cells is not None
        self.cells[key].flip(bit)

    def next_fault(self) -> Fault | None:
        """Count a write that begins, and return what is to happen to it."""
        self.writes += 1
        return self._faults.pop(self.writes, None)


class MemoryStore(ViewedStore):
    """A store on a ``MemoryDisk``: see ``ledger.store.protocol`` for what it promises."""

    def __init__(self, disk: MemoryDisk) -> None:
        super().__init__(Gate("the store in memory"))
        self._disk = disk
        self._index = _Index(disk.cells or {})

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, or ``None``."""
        with self._gate:
            return self._index.get(key, self._index.moment)

    def write(self, batch: Batch) -> None:
        """Apply ``batch``, all of it or nothing."""
        with self._gate.writing():
            fault = self._disk.next_fault()
            fresh = {key: None if value is None else Cell(key, value) for key, value in batch}
            if self._disk.on_write:
                self._disk.on_write()
            if self._disk.owner is not self:
                raise StoreClosedError("the store crashed during a write")
            if fault in (Fault.BEFORE, Fault.NO_SPACE):
                raise StoreFailedError(fault.value)
            self._sync(fresh)
            if fault is not None:
                raise StoreFailedError(fault.value)
            self._index.apply(fresh)

    def reopen(self) -> None:
        """Close and open again: only what is on the disk counts."""
        with self._gate.reopening():
            self._index = _Index(self._disk.cells or {})

    def close(self) -> None:
        """Close, and let go of the disk."""
        with self._gate.closing() as state:
            if state is not State.CLOSED:
                self._disk.owner = None

    def crash(self) -> "MemoryStore":
        """Die at once, as by ``kill -9``, even in the middle of a write; return what the next process opens."""
        assert self._disk.owner is self
        self._gate.state = State.CLOSED
        self._disk.owner = None
        return self._disk.open()

    def approximate_bytes(self) -> int:
        """Return the bytes of all keys and values."""
        with self._gate:
            return sum(len(cell.key) + len(cell.value) for cell in (self._disk.cells or {}).copy().values())

    def check(self, progress: Progress | None = None) -> None:
        """Read every pair and verify its checksum."""
        read_all(self.snapshot(), progress)

    def _sync(self, fresh: "dict[bytes, Cell | None]") -> None:
        cells = self._disk.cells
        assert cells is not None
        for key, cell in fresh.items():
            if cell is None:
                cells.pop(key, None)
            else:
                cells[key] = cell

    def _moment(self) -> "_MemoryMoment":
        return _MemoryMoment(self._index)


class _MemoryMoment:
    def __init__(self, index: "_Index") -> None:
        self._index = index
        self._number = index.hold()

    def get(self, key: bytes) -> bytes | None:
        return self._index.get(key, self._number)

    def cursor(self, start: bytes, end: bytes, *, reverse: bool) -> Steps:
        return Steps(self._index.pairs(start, end, self._number, reverse=reverse))

    def close(self) -> None:
        self._index.release(self._number)


class Cell:
    """A stored value, with a checksum over it and its key."""

    __slots__ = ("_checksum", "key", "value")

    def __init__(self, key: bytes, value: bytes) -> None:
        self.key = key
        self.value = value
        self._checksum = self._compute()

    def read(self) -> bytes:
        """Return the value.

        Raises:
            StoreCorruptError: it is not what was written.
        """
        if self._checksum != self._compute():
            raise StoreCorruptError(f"the value of key {self.key.hex()} is damaged")
        return self.value

    def flip(self, bit: int) -> None:
        """Turn over one bit of the value, or of the checksum if the value is empty."""
        if self.value:
            number = int.from_bytes(self.value, "little") ^ (1 << bit)
            self.value = number.to_bytes(len(self.value), "little")
        else:
            self._checksum ^= 1 << bit

    def _compute(self) -> int:
        return crc32(self.value, crc32(self.key))


class _Index:
    """Keys in order, and the versions of each: the number of the write, and the cell, or ``None`` for a delete."""

    def __init__(self, cells: dict[bytes, Cell]) -> None:
        self.moment = 0  # number of the last write that is visible
        self._lock = RLock()  # reentrant: an abandoned scan may be collected, and release its moment, while it is held
        self._versions: dict[bytes, list[tuple[int, Cell | None]]] = {key: [(0, cell)] for key, cell in cells.items()}
        self._keys = _SortedKeys(cells)
        self._held: list[int] = []  # moments of live snapshots

    def hold(self) -> int:
        """Keep the present moment readable, and return its number."""
        with self._lock:
            self._held.append(self.moment)
            return self.moment

    def release(self, number: int) -> None:
        """Give a moment back that ``hold`` returned."""
        with self._lock:
            self._held.remove(number)

    def get(self, key: bytes, moment: int) -> bytes | None:
        """Return the value that ``key`` had at ``moment``."""
        with self._lock:
            cell = self._visible(key, moment)
        return None if cell is None else cell.read()

    def pairs(self, start: bytes, end: bytes, moment: int, *, reverse: bool) -> Scan:
        """Yield the pairs of ``[start, end)`` as they were at ``moment``."""
        while True:
            with self._lock:
                keys = self._keys.backward(start, end) if reverse else self._keys.forward(start, end)
                cells = [cell for key in keys if (cell := self._visible(key, moment)) is not None]
            if not keys:
                return
            for cell in cells:
                yield cell.key, cell.read()
            if reverse:
                end = keys[-1]
            else:
                start = key_after(keys[-1])

    def apply(self, fresh: dict[bytes, Cell | None]) -> None:
        """Make a batch visible, all of it at once."""
        with self._lock:
            number = self.moment + 1
            floor = min(self._held, default=number)
            for key, cell in fresh.items():
                self._add(key, cell, number, floor)
            self.moment = number

    def _add(self, key: bytes, cell: Cell | None, number: int, floor: int) -> None:
        versions = self._versions.get(key)
        if versions is None:
            versions = self._versions[key] = []
            self._keys.add(key)
        versions.append((number, cell))
        while len(versions) > 1 and versions[1][0] <= floor:  # nobody can see the first one any more
            del versions[0]
        if versions[0][1] is None and len(versions) == 1:
            del self._versions[key]
            self._keys.remove(key)

    def _visible(self, key: bytes, moment: int) -> Cell | None:
        for number, cell in reversed(self._versions.get(key, ())):
            if number <= moment:
                return cell
        return None


class _SortedKeys:
    """Keys in order, in runs of 1 to ``_RUN_KEYS``: adding one costs the same however many there are."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        everything = sorted(keys)
        self._runs = [everything[at : at + _RUN_KEYS] for at in range(0, len(everything), _RUN_KEYS)]

    def add(self, key: bytes) -> None:
        """Add ``key``, which is not there."""
        if not self._runs:
            self._runs.append([key])
            return
        at = self._run_of(key)
        run = self._runs[at]
        insort(run, key)
        if len(run) > _RUN_KEYS:
            self._runs[at : at + 1] = [run[: _RUN_KEYS // 2], run[_RUN_KEYS // 2 :]]

    def remove(self, key: bytes) -> None:
        """Remove ``key``, which is there."""
        at = self._run_of(key)
        run = self._runs[at]
        del run[bisect_left(run, key)]
        if not run:
            del self._runs[at]

    def forward(self, start: bytes, end: bytes) -> list[bytes]:
        """Return the first few keys of ``[start, end)``, none only if there are none."""
        for run in self._runs[self._run_of(start) :][:2]:  # start may lie behind the last key of its run
            keys = run[bisect_left(run, start) : bisect_left(run, end)]
            if keys:
                return keys[:_STEP_KEYS]
        return []

    def backward(self, start: bytes, end: bytes) -> list[bytes]:
        """Return the last few keys of ``[start, end)``, the last one first, none only if there are none."""
        at = bisect_left(self._runs, end, key=_first) - 1
        if at < 0:
            return []
        run = self._runs[at]
        return run[bisect_left(run, start) : bisect_left(run, end)][: -_STEP_KEYS - 1 : -1]

    def _run_of(self, key: bytes) -> int:
        return max(0, bisect_right(self._runs, key, key=_first) - 1)


def _first(run: list[bytes]) -> bytes:
    return run[0]
