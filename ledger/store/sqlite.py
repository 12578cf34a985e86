"""The SQLite engine, from the standard library: for machines without plyvel, and for small nodes.

One table in one file, in write-ahead-log mode, synced at every commit::

    CREATE TABLE pairs (k BLOB PRIMARY KEY, c BLOB NOT NULL, v BLOB NOT NULL) WITHOUT ROWID

SQLite keeps no checksums, so ``c`` is one: 8 bytes of BLAKE2b over the key's length, the key and the value. It is
verified whenever a row is read. A bit that flips in a *key* would still make its row invisible where it belongs: so
every answer is bracketed. What is reported as absent, and what begins and ends a scan, lies between two rows that were
both verified; a row under a wrong key can only be one of the two. What remains is damage to the pages' own links, which
``check`` finds.

Connections that read are kept in a bounded pool, one for each view; in a transaction, a connection is one moment.
"""

import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

from ledger.errors import (
    StoreCorruptError,
    StoreError,
    StoreFailedError,
    StoreLockedError,
    TooManyError,
)
from ledger.store.gate import Gate, State
from ledger.store.lock import FolderLock
from ledger.store.protocol import Batch, Pair, Progress, Scan
from ledger.store.view import Steps, View, ViewedStore, bytes_of, read_all

FILE_NAME = "pairs.sqlite"
READERS_MAX = 64  # reads, snapshots and scans at one time: more than a server has threads, each with a file and a cache

_PAGE_BYTES = 8192  # eleven entries; 4 KiB and 16 KiB were both slower to write and to read
_LOG_PAGES = 4096  # 32 MiB of log before it is merged into the file: halves the merging at full load
_BUSY_S = 1.0  # nobody but this process should hold SQLite's locks, and it holds them for moments
_CHECKSUM_BYTES = 8

_TABLE = "CREATE TABLE pairs (k BLOB PRIMARY KEY, c BLOB NOT NULL, v BLOB NOT NULL) WITHOUT ROWID"
_FROM = "SELECT k, c, v FROM pairs WHERE k >= ? ORDER BY k"
_BEFORE = "SELECT k, c, v FROM pairs WHERE k < ? ORDER BY k DESC"

# Any of these in answer to our own, constant statements means that the file is not what it was.
_DAMAGED = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_SCHEMA,
}


class SqliteStore(ViewedStore):
    """A store in the file ``pairs.sqlite`` in its folder: see ``ledger.store.protocol`` for what it promises."""

    def __init__(self, folder: Path, lock: FolderLock) -> None:
        self._file = folder / FILE_NAME
        self._lock = lock
        super().__init__(Gate(str(folder)))
        self._writer, self._pool = self._start()

    @staticmethod
    def lay(folder: Path) -> None:
        """Make an empty database in ``folder``, where there is none."""
        with _translated(StoreFailedError), closing(_connect(folder / FILE_NAME, mode="rwc")) as connection:
            connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(_TABLE)

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, or ``None``."""
        with self._gate, _translated(), self._pool.lend() as connection:
            return _get(connection, key)

    def write(self, batch: Batch) -> None:
        """Apply ``batch``, all of it or nothing; it is durable when this returns."""
        last = dict(batch)  # the last change of a key is the one that counts
        puts = sorted((key, _checksum(key, value), value) for key, value in last.items() if value is not None)
        deletes = [(key,) for key, value in last.items() if value is None]
        with self._gate.writing(), _translated(StoreFailedError):
            self._writer.execute("BEGIN IMMEDIATE")
            self._writer.executemany("REPLACE INTO pairs VALUES (?, ?, ?)", puts)
            self._writer.executemany("DELETE FROM pairs WHERE k = ?", deletes)
            self._writer.execute("COMMIT")  # synced: PRAGMA synchronous = FULL

    def reopen(self) -> None:
        """Close the database and open it again."""
        with self._gate.reopening():
            self._stop()
            self._writer, self._pool = self._start()

    def close(self) -> None:
        """Merge the log into the file, and close; in a forked child, leave everything to the parent."""
        if self._gate.inherited:
            return
        with self._gate.closing() as state:
            if state is State.CLOSED:
                return
            self._stop()
            self._lock.release()

    def approximate_bytes(self) -> int:
        """Return the bytes of the file and its log."""
        with self._gate:
            return bytes_of([self._file, self._file.with_name(FILE_NAME + "-wal")])

    def check(self, progress: Progress | None = None) -> None:
        """Have SQLite verify its pages, then read and verify every row, from the file and not from a cache."""
        with closing(_Pool(lambda: _reader(self._file))) as fresh:
            with self._gate, _translated(), fresh.lend() as connection:
                (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict != "ok":
                raise StoreCorruptError(f"{self._file}: {verdict}")
            with self._gate:
                view = View(self._gate, _SqliteMoment(fresh))
            read_all(view, progress)

    def _moment(self) -> "_SqliteMoment":
        return _SqliteMoment(self._pool)

    def _start(self) -> tuple[sqlite3.Connection, "_Pool"]:
        if not self._file.is_file():
            raise StoreCorruptError(f"{self._file} is gone")
        with _translated(StoreFailedError):
            connection = _connect(self._file)
            try:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA fullfsync = ON")  # macOS: past the drive's own cache
                connection.execute("PRAGMA checkpoint_fullfsync = ON")
                connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
                connection.execute(
                    f"PRAGMA journal_size_limit = {_LOG_PAGES * _PAGE_BYTES}"
                )  # cut after a long snapshot
                connection.execute("SELECT k, c, v FROM pairs LIMIT 1").fetchall()
            except BaseException:
                connection.close()
                raise
        return connection, _Pool(lambda: _reader(self._file))

    def _stop(self) -> None:
        self._pool.close()
        with suppress(sqlite3.Error):  # what could not be merged stays in the log, for the next open
            self._writer.close()


class _SqliteMoment:
    """A connection in a transaction."""

    def __init__(self, pool: "_Pool") -> None:
        self._pool = pool
        self._connection = pool.take()
        try:
            with _translated():
                self._connection.execute("BEGIN")
                self._connection.execute("SELECT k FROM pairs LIMIT 1").fetchall()  # only now the moment is fixed
        except BaseException:
            self.close()
            raise

    def get(self, key: bytes) -> bytes | None:
        with _translated():
            return _get(self._connection, key)

    def cursor(self, start: bytes, end: bytes, *, reverse: bool) -> Steps:
        return Steps(self._pairs(start, end, reverse=reverse))

    def _pairs(self, start: bytes, end: bytes, *, reverse: bool) -> Scan:
        with _translated():
            yield from _pairs(self._connection, start, end, reverse=reverse)

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._connection.rollback()
        self._pool.give(self._connection)


class _Pool:
    """Connections that read, the one used last first; a place without one is ``None`` and waits at the other end."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._places: deque[sqlite3.Connection | None] = deque([None] * READERS_MAX)
        self._closed = False

    def take(self) -> sqlite3.Connection:
        """Return a connection that nobody else has.

        Raises:
            TooManyError: ``READERS_MAX`` are in use.
        """
        try:
            connection = self._places.pop()
        except IndexError:
            raise TooManyError("too many reads, snapshots and scans at once", limit=READERS_MAX) from None
        try:
            return connection or self._connect()
        except BaseException:
            self._places.appendleft(None)
            raise

    def give(self, connection: sqlite3.Connection) -> None:
        """Take ``connection`` back; not a lock in here, for the garbage collector may be the one that gives it."""
        if self._closed:
            connection.close()
        else:
            self._places.append(connection)

    @contextmanager
    def lend(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection for one read."""
        connection = self.take()
        try:
            yield connection
        finally:
            self.give(connection)

    def close(self) -> None:
        """Close all connections; the moments have ended before."""
        self._closed = True
        for connection in self._places:
            if connection is not None:
                connection.close()


def _get(connection: sqlite3.Connection, key: bytes) -> bytes | None:
    pair = _nearest(connection, _FROM, key)
    if pair is not None and pair[0] == key:
        return pair[1]
    _nearest(connection, _BEFORE, key)
    return None


def _nearest(connection: sqlite3.Connection, select: str, key: bytes) -> Pair | None:
    """Return the first verified pair that ``select`` finds from ``key`` on."""
    rows = connection.execute(f"{select} LIMIT 1", (key,)).fetchall()
    return _verified(rows[0]) if rows else None


def _pairs(connection: sqlite3.Connection, start: bytes, end: bytes, *, reverse: bool) -> Iterator[Pair]:
    """Yield ``[start, end)``; the far end is cut here and not by SQLite, so that the row beyond it is verified too."""
    select, opposite, origin = (_BEFORE, _FROM, end) if reverse else (_FROM, _BEFORE, start)
    last = _nearest(connection, opposite, origin)
    with closing(connection.execute(select, (origin,))) as rows:
        for row in rows:
            pair = _verified(row)
            if last is not None and (last[0] <= pair[0] if reverse else last[0] >= pair[0]):
                raise StoreCorruptError(f"the row of key {pair[0].hex()} is out of order")
            if pair[0] < start if reverse else pair[0] >= end:
                return
            yield pair
            last = pair


def _verified(row: tuple[object, object, object]) -> Pair:
    key, checksum, value = row
    if not isinstance(key, bytes) or not isinstance(value, bytes) or checksum != _checksum(key, value):
        name = key.hex() if isinstance(key, bytes) else repr(key)
        raise StoreCorruptError(f"the row of key {name} is damaged")
    return key, value


def _checksum(key: bytes, value: bytes) -> bytes:
    digest = blake2b(len(key).to_bytes(2, "big") + key, digest_size=_CHECKSUM_BYTES)
    digest.update(value)
    return digest.digest()


def _connect(file: Path, *, mode: str = "rw") -> sqlite3.Connection:
    """Open ``file``, which must exist unless ``mode`` is ``"rwc"``; the gate sees to it that threads take turns."""
    uri = f"{file.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)


def _reader(file: Path) -> sqlite3.Connection:
    with _translated():
        connection = _connect(file)
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA cell_size_check = ON")
        return connection


@contextmanager
def _translated(otherwise: type[StoreError] = StoreError) -> Iterator[None]:
    """Raise what SQLite raises as one of ours: damage, somebody else's lock, or ``otherwise``."""
    try:
        yield
    except UnicodeDecodeError as error:  # a name in the schema, or in the message that would have told of it
        raise StoreCorruptError(f"SQLite: {error}") from error
    except sqlite3.Error as error:
        # Python's own objections have no code: a value that became text, and text that cannot be decoded
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        words = f"SQLite: {error}"
        if code & 0xFF in _DAMAGED or code == sqlite3.SQLITE_IOERR_SHORT_READ:
            raise StoreCorruptError(words) from error
        if code & 0xFF == sqlite3.SQLITE_BUSY:  # somebody who does not know of our own lock
            raise StoreLockedError(words) from error
        raise otherwise(words) from error
