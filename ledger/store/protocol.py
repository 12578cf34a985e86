"""What every store promises: ordered keys, atomic and durable batches, readers that nobody holds up.

A store maps keys to values, both of them bytes, ordered by key as ``bytes`` compare. There is one writer and there are
any number of readers::

    batch = Batch()
    batch.put(b"entry/" + (42).to_bytes(8, "big"), entry)
    batch.put(b"head", head)
    store.write(batch)                                   # both or neither, and on the disk when it returns

    with store.snapshot() as view:                       # one moment, whatever is written meanwhile
        head = view.get(b"head")
        for key, entry in view.scan(b"entry/", prefix_end(b"entry/"), reverse=True, limit=10):
            ...

The promise, to which ``tests/contract/test_store.py`` holds every engine:

durable     When ``write`` has returned, the batch outlives ``kill -9`` and a power cut.
atomic      A crash before that leaves all of the batch or nothing of it. Within a batch, a key's last change counts.
honest      After any exception out of ``write`` it is open whether the batch will be there, and every further write is
            refused with ``StoreFailedError`` until ``reopen`` has settled it. Reads go on where the engine still can.
checked     A read gives the bytes that were written or raises ``StoreCorruptError``; every read verifies checksums.
consistent  ``scan``, ``get_many`` and ``snapshot`` each see one moment, between two writes.
alone       One process has the store open, and has it open once: else ``StoreLockedError``, naming the process.
explicit    Opening never makes a store (``StoreMissingError``), making one never replaces one (``StoreExistsError``).
over        A store, snapshot or scan used after it ended raises ``StoreClosedError``; so does one inherited by a fork.

What no engine can promise by itself: both keep their newest writes in a journal that ends where it stops making sense,
so damage to its *last* records can pass for a crash that happened earlier. Who must notice that keeps a head file
beside the store (``ledger.store.headfile``) and compares.

Reads may come from any thread, and no read waits for a write. One thread writes; should two do it all the same, they
take turns. ``close`` and ``reopen`` wait for reads that are under way, and end every snapshot and scan.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import starmap
from types import TracebackType
from typing import Protocol, Self, TypeAlias

from ledger.errors import OutOfRangeError, TooLongError

Pair: TypeAlias = tuple[bytes, bytes]  # key, value
Scan: TypeAlias = Generator[Pair, None, None]  # iterate it; close() ends it early, and so does letting go of it
Progress: TypeAlias = Callable[[int], None]  # takes the number of pairs that were verified so far

KEY_BYTES_MAX = 256  # room for a 32-byte hash, an origin and a few numbers; longer keys make every index longer
VALUE_BYTES_MAX = 32 << 20  # twice the largest thing anybody keeps, an entry bundle: 256 entries of 65,537 bytes
BATCH_BYTES_MAX = 64 << 20  # one LevelDB write buffer: more stalls the writer, and memory holds a batch three times
KEY_END = b"\xff" * (KEY_BYTES_MAX + 1)  # greater than every key: scan(b"", KEY_END) is everything


def prefix_end(prefix: bytes) -> bytes:
    """Return the end of the range whose start is ``prefix`` and which holds the keys that begin with it.

    ``ab`` gives ``ac``, ``a`` and a byte 255 give ``b``; where there are no such bytes, ``KEY_END``.
    """
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else KEY_END


def key_after(key: bytes) -> bytes:
    """Return the very next key there can be: where a range that goes on behind ``key`` starts."""
    return key + b"\0"


class Batch:
    """Puts and deletes in order, to be written as one.

    Raises:
        OutOfRangeError: an empty key.
        TooLongError: a key, a value or the whole batch over its limit; the batch is as it was before.
    """

    __slots__ = ("_changes", "_size_bytes")

    def __init__(self) -> None:
        self._changes: list[tuple[bytes, bytes | None]] = []
        self._size_bytes = 0

    def put(self, key: bytes, value: bytes) -> None:
        """Set ``key`` (1 to ``KEY_BYTES_MAX`` bytes) to ``value`` (up to ``VALUE_BYTES_MAX`` bytes, may be empty)."""
        if len(value) > VALUE_BYTES_MAX:
            raise TooLongError(f"a value of {len(value)} bytes", field="value", limit=VALUE_BYTES_MAX)
        self._add(key, value, len(key) + len(value))

    def put_all(self, pairs: Sequence[Pair]) -> None:
        """Set every key of ``pairs`` to its value, as :meth:`put` does, or none of them; it costs less for many."""
        keys = [key for key, _ in pairs]
        lengths = [len(value) for _, value in pairs]
        if not all(keys) or max(map(len, keys), default=0) > KEY_BYTES_MAX or max(lengths, default=0) > VALUE_BYTES_MAX:
            list(starmap(Batch().put, pairs))  # one of them is refused, with its own words
        self._grow(sum(map(len, keys)) + sum(lengths))
        self._changes.extend(pairs)

    def delete(self, key: bytes) -> None:
        """Remove ``key``; it need not be there."""
        self._add(key, None, len(key))

    def extend(self, other: "Batch") -> None:
        """Append the changes of ``other``, which stays as it is."""
        self._grow(other.size_bytes)
        self._changes.extend(other)

    @property
    def size_bytes(self) -> int:
        """Bytes of all keys and values, at most ``BATCH_BYTES_MAX``."""
        return self._size_bytes

    def __len__(self) -> int:
        """Return the number of changes."""
        return len(self._changes)

    def __iter__(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Yield the changes in order: key and value, or key and ``None`` for a delete."""
        return iter(self._changes)

    def _add(self, key: bytes, value: bytes | None, size: int) -> None:
        if not key:
            raise OutOfRangeError("a key has at least one byte", field="key")
        if len(key) > KEY_BYTES_MAX:
            raise TooLongError(f"a key of {len(key)} bytes", field="key", limit=KEY_BYTES_MAX)
        self._grow(size)
        self._changes.append((key, value))

    def _grow(self, size: int) -> None:
        if self._size_bytes + size > BATCH_BYTES_MAX:
            raise TooLongError(f"a batch of {self._size_bytes + size} bytes", field="batch", limit=BATCH_BYTES_MAX)
        self._size_bytes += size


class Reader(Protocol):
    """What a store and a snapshot of it have in common.

    Raises:
        StoreCorruptError: the bytes that are asked for, or their neighbours, are damaged.
        StoreClosedError: the store or the snapshot has ended.
        StoreFailedError: the last ``reopen`` failed, so there is nothing to read from.
        StoreError: the disk did not answer.
        TooManyError: more snapshots, scans and reads at one time than the engine has room for (SQLite: 64).
    """

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, or ``None``."""
        ...

    def get_many(self, keys: Iterable[bytes]) -> list[bytes | None]:
        """Return the values of ``keys`` in their order, ``None`` for each that is absent, all of one moment."""
        ...

    def scan(self, start: bytes, end: bytes, *, reverse: bool = False, limit: int | None = None) -> Scan:
        """Yield the pairs of ``[start, end)`` in key order, or in reverse, ``limit`` of them at most.

        They are those of the moment of the call. Nothing is read ahead beyond a page, and nothing is held on to longer
        than the iterator is. A scan of a snapshot ends with the snapshot.
        """
        ...

    def page(self, start: bytes, end: bytes, pairs: int) -> list[Pair]:
        """Return the first pairs of ``[start, end)``, read at once: as :meth:`scan`, for values of up to 64 KB.

        There are ``pairs`` of them at most; fewer only where no more are left, or where they come to a mebibyte.
        """
        ...


class Snapshot(Reader, Protocol):
    """One moment of a store: use it in a ``with`` and briefly, for it keeps old bytes from being tidied away.

    Several threads may share one; their reads take turns.
    """

    def close(self) -> None:
        """Let go of the moment; more than once does no harm."""
        ...

    def __enter__(self) -> Self:
        """Return the snapshot itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        ...


class Store(Reader, Protocol):
    """An ordered, durable map of bytes: see the promise at the head of this module."""

    def write(self, batch: Batch) -> None:
        """Apply ``batch``, all of it or nothing; it is durable when this returns.

        Raises:
            StoreFailedError: it failed, or a write before it did; what is stored is open until ``reopen``.
            StoreCorruptError: it failed over damaged bytes; the same holds.
            StoreClosedError: the store is closed.
        """
        ...

    def snapshot(self) -> Snapshot:
        """Return a view of this moment."""
        ...

    def reopen(self) -> None:
        """Close the engine and open it again, as after a restart; snapshots and scans end.

        When it raises, the store neither reads nor writes, and ``reopen`` may be tried again.

        Raises:
            StoreError: whatever opening raises.
        """
        ...

    def close(self) -> None:
        """Wait for reads under way, end snapshots and scans, close; more than once does no harm."""
        ...

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        ...

    def approximate_bytes(self) -> int:
        """Return about how many bytes of disk the store takes."""
        ...

    def check(self, progress: Progress | None = None) -> None:
        """Read every stored byte and verify its checksums, from any thread and while others write.

        Raises:
            StoreCorruptError: names what is damaged.
        """
        ...
