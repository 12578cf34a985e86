"""The gate of an open store: readers in any number, one writer, and nobody inside while the doors are changed.

An engine's handle must not be closed while another thread is inside a call on it: plyvel lets go of the interpreter
lock during a read, and would return to freed memory. So every call passes the gate, which costs a fraction of a
microsecond and never waits for a write. The gate also knows whether writing is still allowed::

    OPEN ──a write raises──▶ FAILED ──reopen──▶ OPEN
                               └──reopen raises──▶ DOWN ──reopen──▶ OPEN        any ──close──▶ CLOSED

The lock is reentrant because the garbage collector may run somebody's ``finally`` at any line, also in here.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from types import TracebackType
from typing import NoReturn, Protocol

from ledger.errors import StoreClosedError, StoreFailedError


class State(Enum):
    """What an open store may still do."""

    OPEN = "reads and writes"
    FAILED = "reads only, for a write failed"
    DOWN = "neither, for reopening failed"
    CLOSED = "nothing any more"


class Guest(Protocol):
    """A snapshot or a scan under way: what must end before the engine does."""

    def close(self) -> None:
        """End it, without waiting for the gate."""
        ...


class Gate:
    """Counts calls in and out; ``with gate:`` is one read."""

    __slots__ = ("_guests", "_idle", "_inside", "_lock", "_name", "_pid", "_shutting", "_writer", "state")

    def __init__(self, name: str) -> None:
        self._lock = threading.RLock()  # held for moments only, save while the engine is closed or opened
        self.state = State.OPEN
        self._name = name
        self._pid = os.getpid()
        self._idle = threading.Condition(self._lock)
        self._inside = 0
        self._shutting = False
        self._guests: set[Guest] = set()
        self._writer = threading.Lock()

    @property
    def inherited(self) -> bool:
        """Whether this is a forked child, where the engine's threads and locks do not exist."""
        return os.getpid() != self._pid

    def __enter__(self) -> None:
        """Begin a read.

        Raises:
            StoreClosedError: the store is closed, or was opened by the process that this one was forked from.
            StoreFailedError: reopening it failed.
        """
        if self.inherited:
            raise StoreClosedError(f"{self._name} was opened by process {self._pid}: open after a fork, not before")
        with self._lock:
            while self._shutting:
                self._idle.wait()
            if self.state is State.CLOSED or self.state is State.DOWN:
                self._refuse()
            self._inside += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End a read."""
        with self._lock:
            self._inside -= 1
            if self._shutting and not self._inside:
                self._idle.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold for one write; any exception in it is the last write until the store was reopened.

        Raises:
            StoreFailedError: an earlier write failed.
        """
        with self._writer, self:
            if self.state is not State.OPEN:
                self._refuse()
            try:
                yield
            except BaseException:
                if self.state is State.OPEN:  # a store in memory can crash during a write
                    self.state = State.FAILED
                raise

    @contextmanager
    def reopening(self) -> Iterator[None]:
        """Hold while the engine is closed and opened again: alone, without guests; OPEN after it, or DOWN if it raises.

        Raises:
            StoreClosedError: the store is closed.
        """
        with self._alone():
            if self.state is State.CLOSED:
                self._refuse()
            self.state = State.DOWN
            yield
            self.state = State.OPEN

    @contextmanager
    def closing(self) -> Iterator[State]:
        """Hold while the engine is closed; give the state from before, so that a second close does nothing."""
        with self._alone():
            before, self.state = self.state, State.CLOSED
            yield before

    def admit(self, guest: Guest) -> None:
        """Remember ``guest``, to end it when the engine closes."""
        self._guests.add(guest)

    def dismiss(self, guest: Guest) -> None:
        """Forget ``guest``, which has ended."""
        self._guests.discard(guest)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock:
            while self._shutting:
                self._idle.wait()
            self._shutting = True
            try:
                while self._inside:
                    self._idle.wait()
                for guest in tuple(self._guests):
                    guest.close()
                yield
            finally:
                self._shutting = False
                self._idle.notify_all()

    def _refuse(self) -> NoReturn:
        if self.state is State.CLOSED:
            raise StoreClosedError(f"{self._name} is closed")
        if self.state is State.DOWN:
            raise StoreFailedError(f"{self._name} could not be reopened")
        raise StoreFailedError(f"a write to {self._name} failed: nothing more is written before it has been reopened")
