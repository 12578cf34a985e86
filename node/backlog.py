"""Reading a backlog: the next pieces of a log are fetched and checked while the ones before are written.

One source is read from one place on, in order. How much may be here and not written yet is bounded in bytes, for all
logs together; beside that, each log may have the one piece that comes next. Nothing is read ahead of a log that is
nearly caught up.
"""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ledger.network import Member
from node import sources
from node.checking import Checked, Piece
from node.clock import Clock
from node.peers import ENTRIES_BYTES_MAX, ENTRIES_MAX, Peer
from node.verifying import Verifiers

AHEAD_BYTES_MAX = 32 << 20  # fetched and not written yet: four of the largest answers, or some forty ordinary ones
PIECE_MIN = 512  # entries, for each question costs both sides 3 ms
BACKLOG_MIN = 2 * ENTRIES_MAX  # entries; for fewer, nothing is read ahead


class Room:
    """How much of all backlogs is here, or may come with an answer that is waited for, and is not written yet."""

    def __init__(self, bytes_max: int = AHEAD_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._changed = asyncio.Event()
        self.taken = 0  # bytes
        self.most = 0  # that were ever taken

    def has(self, size: int) -> bool:
        """Tell whether ``size`` bytes more fit in."""
        return self.taken + size <= self._bytes_max

    def take(self, size: int) -> None:
        """Count ``size`` bytes in, whether they fit or not."""
        self.taken += size
        self.most = max(self.most, self.taken)

    def give(self, size: int) -> None:
        """Count ``size`` bytes out."""
        self.taken -= size
        self._changed.set()
        self._changed = asyncio.Event()

    async def less(self) -> None:
        """Wait until something was counted out."""
        await self._changed.wait()


@dataclass(frozen=True, slots=True)
class Arrived:
    """A piece, and what it comes to where that is being worked out."""

    piece: Piece
    size_bytes: int
    checking: "asyncio.Task[Checked | None] | None" = None
    lags: bool = False  # it has fewer entries than were asked for, or came late

    async def checked(self) -> Checked | None:
        """Return what it comes to if it follows, or None: then it is to be judged."""
        return None if self.checking is None else await self.checking


class Reading:
    """Reads one log from one peer; what it has fetched ahead ends with the ``async with``."""

    def __init__(
        self,
        peer: Peer,
        member: Member,
        size: int,
        *,
        consumer: str,
        verifiers: Verifiers,
        room: Room,
        clock: Clock,
    ) -> None:
        """Read the log of ``member`` up to ``size`` entries; ``consumer`` is for the index, see node/checking.py."""
        self._peer = peer
        self._member = member
        self._size = size
        self._consumer = consumer
        self._verifiers = verifiers
        self._room = room
        self._clock = clock
        self._holds = 0  # pieces that were counted into the room
        self._current: Arrived | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._arrived: asyncio.Queue[Arrived | Exception | None] = asyncio.Queue(2 * verifiers.at_once + 1)

    async def __aenter__(self) -> Self:
        """Return the reading itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let go of everything that was fetched ahead."""
        self._let_go()
        await self._drop()

    async def next(self, start: int) -> Arrived:
        """Return the piece that begins at ``start``, where the one before has ended; that one is let go.

        Raises:
            PeerError: the source has none there, or did not answer.
        """
        self._let_go()
        if self._fetching is None and self._size - start >= BACKLOG_MIN:
            self._verifiers.expect(self._size - start)
            self._fetching = asyncio.create_task(self._fetch_ahead(start), name=f"read ahead {self._member.origin}")
        found = None if self._fetching is None else await self._arrived.get()
        if isinstance(found, Exception):
            raise found
        if found is not None and found.piece.start != start:  # somebody else has written to the log
            self._current = found
            await self._drop()
            return await self.next(start)
        if found is None:
            await self._drop()
            found = await self._fetch(start)
        self._current = found
        return found

    async def _fetch_ahead(self, start: int) -> None:
        try:
            while start < self._size:
                while self._holds and not self._room.has(ENTRIES_BYTES_MAX):
                    await self._room.less()
                arrived = await self._fetch(start, ahead=True)
                start += len(arrived.piece.raws)
                await self._put(arrived)
                if arrived.lags:  # whoever reads may turn to another source
                    break
        except Exception as error:  # noqa: BLE001 - whoever waits for the next piece is told, whatever it was
            await self._arrived.put(error)
        else:
            await self._arrived.put(None)

    async def _put(self, arrived: Arrived) -> None:
        try:
            await self._arrived.put(arrived)
        except asyncio.CancelledError:
            self._release(arrived)
            raise

    async def _fetch(self, start: int, *, ahead: bool = False) -> Arrived:
        origin, limit = self._member.origin, self._limit(self._size - start)
        asked_ms = self._clock.now_ms()
        self._holds += 1
        self._room.take(ENTRIES_BYTES_MAX)
        try:
            raws = await self._peer.entries(
                origin, start, limit, promised=sources.is_promised(self._peer, origin, start)
            )
        except BaseException:
            self._holds -= 1
            raise
        finally:
            self._room.give(ENTRIES_BYTES_MAX)
        lags = sources.note_piece(self._peer, origin, start, limit, raws, (asked_ms, self._clock.now_ms()))
        piece = Piece(self._member.keys, start, raws, self._consumer)
        self._room.take(piece.size_bytes)
        checking = self._verifiers.begin(piece, self._size - start) if ahead else None
        return Arrived(piece, piece.size_bytes, checking, lags)

    def _limit(self, missing: int) -> int:
        """Return how many entries to ask for: towards the end fewer, so that processes that check end at one time."""
        each = -(-missing // (2 * self._verifiers.at_once)) if self._verifiers.pids else missing
        return min(missing, ENTRIES_MAX, max(each, PIECE_MIN))

    def _let_go(self) -> None:
        if self._current is not None:
            self._release(self._current)
            self._current = None

    def _release(self, arrived: Arrived) -> None:
        self._holds -= 1
        self._room.give(arrived.size_bytes)
        if arrived.checking is not None:
            arrived.checking.cancel()

    async def _drop(self) -> None:
        """End the fetching, and let go of what it has brought."""
        fetching, self._fetching = self._fetching, None
        if fetching is not None:
            fetching.cancel()
            await asyncio.gather(fetching, return_exceptions=True)
        while not self._arrived.empty():
            found = self._arrived.get_nowait()
            if isinstance(found, Arrived):
                self._release(found)
