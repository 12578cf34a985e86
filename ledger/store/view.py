"""Views: snapshots and scans, on top of whatever an engine has for holding on to one moment.

An engine contributes a ``Moment``; this module adds what must be the same for all of them: the passing of
the gate, the taking of turns, the ending.

A scan reads a page of pairs inside the gate and hands them out outside of it: the caller may take its time between two
pairs, or never come back, and meanwhile the store can be closed. Pages begin small, since most scans want a few pairs,
and grow.

An abandoned scan is ended by the garbage collector, at any line of any thread. So nothing on that way takes a lock that
somebody else could hold for long, or hold while waiting: what a moment leaves behind is put aside, and tidied up later.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Protocol, Self

from ledger.errors import StoreClosedError, StoreError
from ledger.store.gate import Gate, State
from ledger.store.protocol import KEY_END, Pair, Progress, Scan

PAGE_PAIRS_FIRST = 8  # what a page of history needs, without reading much that nobody wants
FEW_PAIRS = 16  # up to so many at a time an engine need not make ready for many
PAGE_PAIRS_MAX = 256  # beyond this the gate costs nothing any more, while the page costs memory
PAGE_BYTES_MAX = 1 << 20  # a page ends early when its values are large
STEP_PAIRS = 8  # between two looks at how large a page has become: manifests have up to 8 MB
SMALL_STEP_PAIRS = 64  # the same where values have 64 KB at most
PROGRESS_PAIRS = 10_000  # how often check() reports: some ten times a second

_STARTED: Pair = (b"", b"")


class Cursor(Protocol):
    """A scan's place in a moment: moved and closed inside of the gate only."""

    def page(self, pairs: int, step: int = STEP_PAIRS) -> list[Pair]:
        """Return the next pairs, ``pairs`` of them at most; fewer only at the end, or where they are large.

        After every ``step`` of them it is looked whether they come to ``PAGE_BYTES_MAX``.
        """
        ...

    def close(self) -> None:
        """Let go."""
        ...


class Moment(Protocol):
    """What an engine holds on to, to read as if nothing were written any more; one call at a time."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, or ``None``."""
        ...

    def cursor(self, start: bytes, end: bytes, *, reverse: bool) -> Cursor:
        """Return where a scan of ``[start, end)`` begins."""
        ...

    def close(self) -> None:
        """Let go; called once, after all cursors were closed, on any thread, and never to wait for the gate."""
        ...


class Steps:
    """The cursor of an engine that gives one pair after the other."""

    def __init__(self, pairs: Scan) -> None:
        self._pairs = pairs

    def page(self, pairs: int, step: int = STEP_PAIRS) -> list[Pair]:
        """Return the next pairs."""
        return next_pairs(self._pairs, pairs, step)

    def close(self) -> None:
        """End the engine's scan."""
        self._pairs.close()


class View:
    """A snapshot: see ``ledger.store.protocol.Snapshot``."""

    def __init__(self, gate: Gate, moment: Moment) -> None:
        self._gate = gate
        self._moment: Moment | None = moment
        self._cursors: set[Cursor] = set()
        self._ended: deque[Cursor] = deque()  # cursors whose scans have ended, to be closed in turn
        self._turn = RLock()  # nobody ends the moment under a read of another thread
        gate.admit(self)

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, or ``None``."""
        with self._gate, self._turn:
            return self._live().get(key)

    def get_many(self, keys: Iterable[bytes]) -> list[bytes | None]:
        """Return the values of ``keys`` in their order, ``None`` for each that is absent."""
        keys = tuple(keys)  # before the gate: a generator may take its time
        with self._gate, self._turn:
            get = self._live().get
            return [get(key) for key in keys]

    def page(self, start: bytes, end: bytes, pairs: int) -> list[Pair]:
        """Return the first pairs of ``[start, end)``."""
        with self._gate, self._turn:
            cursor = self._live().cursor(start, end, reverse=False)
            try:
                return cursor.page(pairs, SMALL_STEP_PAIRS)
            finally:
                cursor.close()

    def scan(self, start: bytes, end: bytes, *, reverse: bool = False, limit: int | None = None) -> Scan:
        """Yield the pairs of ``[start, end)``; the scan ends with the snapshot at the latest."""
        return self._scan(start, end, reverse=reverse, limit=limit, last=False)

    def scan_and_close(self, start: bytes, end: bytes, *, reverse: bool, limit: int | None) -> Scan:
        """Yield the pairs of ``[start, end)``, and end the view with the scan."""
        return self._scan(start, end, reverse=reverse, limit=limit, last=True)

    def close(self) -> None:
        """Let go of the moment."""
        with self._turn:
            moment, self._moment = self._moment, None
            while self._cursors:
                self._cursors.pop().close()
        if moment is not None:
            self._gate.dismiss(self)
            moment.close()

    def __enter__(self) -> Self:
        """Return the snapshot itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _live(self) -> Moment:
        if self._moment is None:
            raise StoreClosedError("the snapshot or scan has ended, or its store was closed or reopened")
        while self._ended:
            cursor = self._ended.pop()
            self._cursors.discard(cursor)
            cursor.close()
        return self._moment

    def _scan(self, start: bytes, end: bytes, *, reverse: bool, limit: int | None, last: bool) -> Scan:
        assert limit is None or limit >= 0
        with self._gate, self._turn:
            cursor = self._live().cursor(start, end, reverse=reverse)
            self._cursors.add(cursor)
        pairs = self._pages(cursor, limit, last=last)
        next(pairs)  # a generator that never started would not close its cursor either
        return pairs

    def _pages(self, cursor: Cursor, limit: int | None, *, last: bool) -> Scan:
        try:
            yield _STARTED
            wanted = PAGE_PAIRS_FIRST
            while limit is None or limit > 0:
                with self._gate, self._turn:
                    self._live()
                    page = cursor.page(wanted if limit is None else min(wanted, limit))
                if not page:
                    return
                yield from page
                limit = None if limit is None else limit - len(page)
                wanted = min(2 * wanted, PAGE_PAIRS_MAX)
        finally:
            if last:
                self.close()
            else:
                self._ended.append(cursor)


def next_pairs(source: Iterator[Pair], pairs: int, step: int) -> list[Pair]:
    """Return the next pairs of ``source``: ``pairs`` of them at most, or about ``PAGE_BYTES_MAX``."""
    page: list[Pair] = []
    room = PAGE_BYTES_MAX
    while pairs > 0 and room > 0:
        part = list(islice(source, min(pairs, step)))
        page += part
        if len(part) < step:
            break
        pairs -= step
        room -= sum([len(value) for _, value in part])
    return page


class ViewedStore(ABC):
    """The part of a store that follows from its moments."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    @abstractmethod
    def _moment(self) -> Moment:
        """Hold on to this moment; called inside the gate."""

    def get_many(self, keys: Iterable[bytes]) -> list[bytes | None]:
        """Return the values of ``keys`` in their order, ``None`` for each that is absent, all of one moment."""
        with self.snapshot() as view:
            return view.get_many(keys)

    def page(self, start: bytes, end: bytes, pairs: int) -> list[Pair]:
        """Return the first pairs of ``[start, end)``, all of one moment."""
        with self.snapshot() as view:
            return view.page(start, end, pairs)

    def scan(self, start: bytes, end: bytes, *, reverse: bool = False, limit: int | None = None) -> Scan:
        """Yield the pairs of ``[start, end)``, of the moment of the call."""
        return self.snapshot().scan_and_close(start, end, reverse=reverse, limit=limit)

    def snapshot(self) -> View:
        """Return a view of this moment."""
        with self._gate:
            return View(self._gate, self._moment())

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._gate.state is State.CLOSED


def read_all(view: View, progress: Progress | None) -> None:
    """Verify every pair of ``view``, and end it; what is damaged lies behind the last key that could be read."""
    pairs, last = 0, b""
    try:
        for key, _ in view.scan_and_close(b"", KEY_END, reverse=False, limit=None):
            pairs, last = pairs + 1, key
            if progress and pairs % PROGRESS_PAIRS == 0:
                progress(pairs)
    except StoreError as error:
        where = f"behind key {last.hex()}, pair {pairs}" if pairs else "at the first pair"
        raise type(error)(f"{error.message}, {where}") from error
    if progress:
        progress(pairs)


def bytes_of(files: Iterable[Path]) -> int:
    """Return the bytes of ``files`` together; one that is gone, as a table that was just merged into another, has none.

    Raises:
        StoreError: the disk did not answer.
    """
    total = 0
    try:
        for file in files:
            with suppress(FileNotFoundError):
                total += file.stat().st_size
    except OSError as error:
        raise StoreError(f"the size of the store is unknown: {error}") from error
    return total
