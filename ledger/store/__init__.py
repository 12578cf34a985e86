"""Where a node keeps its bytes: one store in one folder, behind one protocol, with a choice of engine.

    <folder>/
      STORE       two lines: the format of this folder, the engine that owns it
      LOCK        the process that has it open
      leveldb/    or pairs.sqlite, the engine's own files
      SEAL        of LevelDB: what a clean close left, to be found unchanged

``create_store`` makes one, ``open_store`` opens one that is there; neither ever does the other's work. The engines are
imported only when a folder asks for them, so a machine without plyvel opens a SQLite store like any other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.errors import StoreCorruptError, StoreError, StoreExistsError, StoreFailedError, StoreMissingError
from ledger.store.headfile import read_head, sync_directory, write_head
from ledger.store.lock import LOCK_NAME, FolderLock
from ledger.store.protocol import (
    BATCH_BYTES_MAX,
    KEY_BYTES_MAX,
    KEY_END,
    VALUE_BYTES_MAX,
    Batch,
    Pair,
    Reader,
    Scan,
    Snapshot,
    Store,
    prefix_end,
)

if TYPE_CHECKING:
    from ledger.store.leveldb import LevelDbStore
    from ledger.store.sqlite import SqliteStore

__all__ = [
    "BATCH_BYTES_MAX",
    "KEY_BYTES_MAX",
    "KEY_END",
    "KINDS",
    "VALUE_BYTES_MAX",
    "Batch",
    "Pair",
    "Reader",
    "Scan",
    "Snapshot",
    "Store",
    "create_store",
    "default_kind",
    "open_store",
    "prefix_end",
    "read_head",
    "sync_directory",
    "write_head",
]

KINDS = ("leveldb", "sqlite")

_MARK_NAME = "STORE"
_FORMAT = "suyuan/store/v1"


def default_kind() -> str:
    """Return the engine for a new store: LevelDB where plyvel can be imported, else SQLite."""
    try:
        _engine("leveldb")
    except StoreError:
        return "sqlite"
    return "leveldb"


def open_store(path: Path, *, kind: str | None = None) -> Store:
    """Open the store in the folder ``path``, with the engine that made it; ``kind`` insists on one.

    Raises:
        StoreMissingError: there is no store; opening never makes one.
        StoreLockedError: a process has it open, this one or another.
        StoreCorruptError: its files are damaged or incomplete.
        StoreFailedError: the disk refused.
        StoreError: it is of another format or kind, or its engine is not installed.
    """
    found = _read_mark(path)
    if kind is not None and kind != found:
        raise StoreError(f"{path} is a {found} store, not {kind}", hint="open it as what it is")
    engine = _engine(found)
    with _locked(path) as lock:
        return engine(path, lock)


def create_store(path: Path, *, kind: str | None = None) -> Store:
    """Make an empty store in the folder ``path``, itself made if need be, and open it.

    Raises:
        StoreExistsError: the folder is not empty; making never replaces.
        StoreMissingError: the folder above it does not exist.
        StoreLockedError: another process is at it.
        StoreFailedError: the disk refused.
        StoreError: there is no such kind, or its engine is not installed.
    """
    kind = kind or default_kind()
    engine = _engine(kind)
    _make_folder(path)
    with _locked(path) as lock:
        if any(item.name != LOCK_NAME for item in path.iterdir()):
            raise StoreExistsError(f"{path} is not empty")
        engine.lay(path)
        write_head(path / _MARK_NAME, f"{_FORMAT}\n{kind}\n".encode())  # last: without it there is no store
        return engine(path, lock)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(exist_ok=True)
        sync_directory(path.parent)
    except FileExistsError as error:
        raise StoreExistsError(f"{path} is not a folder") from error
    except FileNotFoundError as error:
        raise StoreMissingError(f"{path.parent} does not exist", hint="create the folder above it first") from error
    except OSError as error:
        raise StoreFailedError(f"{path} could not be made: {error}") from error


@contextmanager
def _locked(path: Path) -> Iterator[FolderLock]:
    """Take the lock for a store that is about to open; it is given back if that fails."""
    lock = FolderLock(path)
    try:
        yield lock
    except BaseException:
        lock.release()
        raise


def _read_mark(path: Path) -> str:
    """Return the kind of the store in ``path``."""
    text = read_head(path / _MARK_NAME)
    if text is None:
        raise StoreMissingError(f"there is no store in {path}")
    match text.decode("ascii", "replace").splitlines():
        case [form, kind] if form == _FORMAT and kind in KINDS:
            return kind
        case [form, kind] if form.startswith("suyuan/store/"):
            raise StoreError(f"{path} is a {kind} store of format {form}", hint="open it with the version that made it")
    raise StoreCorruptError(f"{path / _MARK_NAME} does not name a store")


def _engine(kind: str) -> "type[LevelDbStore | SqliteStore]":
    try:
        if kind == "leveldb":
            from ledger.store.leveldb import LevelDbStore  # noqa: PLC0415 - plyvel may be missing

            return LevelDbStore
        if kind == "sqlite":
            from ledger.store.sqlite import SqliteStore  # noqa: PLC0415 - some Pythons are built without

            return SqliteStore
    except ImportError as error:
        raise StoreError(f"no {kind} here: {error}", hint="install plyvel, or use a store of kind sqlite") from error
    raise StoreError(f"there is no kind of store named {kind!r}", hint=f"choose one of {', '.join(KINDS)}")
