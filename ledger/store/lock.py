"""The lock beside a store: one process has the folder open, and has it open once.

The file ``LOCK`` holds the number of the process that has (or had) the store open, for people and for the error
message. What counts is the operating system's lock on it, which ends with the process, however that ends. A POSIX lock
belongs to the process and not to the open file: it neither stops a second open in the same process, nor survives the
closing of *any* descriptor of the file. So a table of this process's own locks is asked first. The file is never
removed: another process could be about to lock it.
"""

import os
import sys
import threading
from pathlib import Path
from typing import NoReturn

from ledger.errors import StoreError, StoreLockedError

LOCK_NAME = "LOCK"
_PID_WIDTH = 20  # fixed, so that a shorter number leaves nothing of a longer one and a full disk has room for it

_held: dict[str, int] = {}  # real path of a lock file: process that took it (a forked child inherits the table only)
_held_lock = threading.Lock()

if sys.platform == "win32":  # pragma: no cover - the same in the words of the other system
    import msvcrt

    _BEYOND = 1 << 30  # Windows forbids reading what is locked: lock a byte that is not there, and leave the number

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _BEYOND, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class FolderLock:
    """The lock on a store's folder, from making this object until ``release``.

    Raises:
        StoreLockedError: this or another process holds it.
        StoreError: the lock file could not be opened.
    """

    def __init__(self, folder: Path) -> None:
        path = folder.resolve() / LOCK_NAME
        self._key = str(path)
        with _held_lock:
            if _held.get(self._key) == os.getpid():
                _refuse(folder, f"this process ({os.getpid()})")
            self._descriptor = _take(folder, path)
            _held[self._key] = os.getpid()

    def release(self) -> None:
        """Give the lock up; to be called once."""
        with _held_lock:
            del _held[self._key]
            os.close(self._descriptor)


def _take(folder: Path, path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(f"{path} could not be opened: {error}") from error
    try:
        _lock(descriptor)
        os.write(descriptor, f"{os.getpid():<{_PID_WIDTH}}\n".encode())
    except OSError as error:
        holder = os.read(descriptor, _PID_WIDTH)
        os.close(descriptor)
        if not isinstance(error, (BlockingIOError, PermissionError)):  # what a lock held elsewhere raises
            raise StoreError(f"{path} could not be locked: {error}") from error
        _refuse(folder, f"process {holder.decode('ascii', 'replace').strip() or 'unknown'}")
    return descriptor


def _refuse(folder: Path, holder: str) -> NoReturn:
    raise StoreLockedError(f"{folder} is open in {holder}")
