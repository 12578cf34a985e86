"""Small files that a power cut leaves whole: the head file beside a store, and the mark inside one.

The head file remembers the newest head that was signed, independently of the database: a database that is older than
its head file was restored from a copy, or lost its last writes, and must not sign. The steps, and what a crash right
after each of them means::

    1. write the new text to <name>.new        the old file counts; the next write begins anew
    2. sync <name>.new                          the same
    3. rename it to <name>                      one of the two counts, each of them whole
    4. sync the folder                          the new file counts
"""

import os
import sys
from pathlib import Path

from ledger.errors import StoreCorruptError, StoreError, StoreFailedError

if sys.platform == "darwin":  # pragma: no cover - only the drive's own cache makes a difference
    from fcntl import F_FULLFSYNC, fcntl

HEAD_BYTES_MAX = 1 << 20  # a checkpoint with the most signatures that a note may carry is a fiftieth of it


def write_head(path: Path, text: bytes) -> None:
    """Replace the file ``path`` by ``text`` (1 to ``HEAD_BYTES_MAX`` bytes); it is durable when this returns.

    Raises:
        StoreFailedError: the disk refused; the old file is as it was, or else the new one is there in full.
    """
    assert 0 < len(text) <= HEAD_BYTES_MAX
    fresh = path.with_name(path.name + ".new")
    try:
        with fresh.open("wb", buffering=0) as file:
            remaining = memoryview(text)
            while remaining:
                remaining = remaining[file.write(remaining) :]
            _sync(file.fileno())
        fresh.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise StoreFailedError(f"{path} could not be written: {error}") from error


def read_head(path: Path) -> bytes | None:
    """Return what ``write_head`` wrote last, or ``None`` if it never did.

    Raises:
        StoreCorruptError: the file is empty or too large, so it is not what ``write_head`` left.
        StoreError: it could not be read.
    """
    try:
        with path.open("rb") as file:
            text = file.read(HEAD_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} could not be read: {error}") from error
    if not 0 < len(text) <= HEAD_BYTES_MAX:
        raise StoreCorruptError(f"{path} is {'empty' if not text else 'too large'}")
    return text


def sync_directory(path: Path) -> None:
    """Make the names in the folder ``path`` durable: files made, renamed and removed there.

    Raises:
        OSError: the disk refused.
    """
    if sys.platform == "win32":  # pragma: no cover - there a folder cannot be opened, and names are journalled
        return
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _sync(folder)
    finally:
        os.close(folder)


def _sync(descriptor: int) -> None:
    if sys.platform == "darwin":  # pragma: no cover - fsync(2) there stops at the drive's cache
        fcntl(descriptor, F_FULLFSYNC)
    else:
        os.fsync(descriptor)
