"""Fetching the entries of a log: from one source after the other, every one verified, stored piece by piece.

Who is asked, and who gives way, says node/sources.py. Of a large backlog the next pieces are fetched and checked
meanwhile (node/backlog.py), on all cores (node/verifying.py). What was stored before a break is not fetched again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from ledger.entry import ChainHead, parse_entry
from ledger.errors import KeyEndedError, LedgerError, StoreError, UnsignedError
from ledger.network import Member, Network
from ledger.note import verify_detached
from node import layout, logs
from node.backlog import Arrived, Reading, Room
from node.checking import Checked, Piece
from node.clock import Clock
from node.equivocations import Equivocations
from node.errors import BusyError, FrozenError, ReadOnlyError
from node.faults import PeerError, PeerFalseError, not_verified
from node.logs import LogState
from node.metrics import Metrics
from node.peers import Peer
from node.repeats import Repeats
from node.sources import Want, note_failure, order, reasons
from node.verifying import Verifiers
from node.writer import Transaction, Writer

log = structlog.get_logger(__name__)

SOURCE_FAILED = "a source failed"
KEY_ENDED = "signed with a key that had ended"


@dataclass(slots=True)
class CatchUp:
    """A log that is being fetched: how far it is."""

    origin: str
    began: int  # entries that were here at the start
    since_ms: int
    want: int
    have: int
    source: str | None = None  # the peer that gave the last entries

    @property
    def missing(self) -> int:
        """How many entries are still to come."""
        return max(self.want - self.have, 0)

    def rate(self, now_ms: int) -> float:
        """Return entries a second since the start."""
        return 1000 * (self.have - self.began) / max(now_ms - self.since_ms, 1)


class Usable(Protocol):
    """Checks that a log may grow here, see :meth:`node.mirror.Mirror.require_usable`."""

    def __call__(self, state: LogState, *, bound: bool = False) -> None:
        """Raise an error where it may not."""


class Fetcher:
    """Fetches, verifies and stores."""

    def __init__(  # noqa: PLR0913 - one line per part of the node that it works with
        self,
        *,
        own: str,
        writer: Writer,
        network: Callable[[], Network],
        peers: Mapping[str, Peer],
        equivocations: Equivocations,
        verifiers: Verifiers,
        clock: Clock,
        metrics: Metrics,
        require_usable: Usable,
        wanted: Callable[[str], None],
    ) -> None:
        """Fetch from ``peers``; ``wanted`` is told which logs have shares to us with manifests."""
        self._repeats = Repeats(log)
        self._own = own
        self._writer = writer
        self._network = network
        self._peers = peers
        self._equivocations = equivocations
        self._verifiers = verifiers
        self._room = Room()
        self._clock = clock
        self._metrics = metrics
        self._require_usable = require_usable
        self._wanted = wanted
        self.running: dict[str, CatchUp] = {}  # by log

    def state(self, origin: str) -> LogState:
        """Return a log as of the last commit."""
        return self._writer.states[origin]

    def wanted(self, origin: str, size: int) -> Want:
        """Return what there is to fetch of a log up to a size that somebody has signed."""
        return Want(origin=origin, here=self.state(origin).size, size=size)

    def sources(self, want: Want) -> list[Peer]:
        """Return whom to ask, in order."""
        return order(self._peers, want, self._clock.now_ms())

    async def fetch(self, want: Want, *, bound: bool) -> None:
        """Fetch until all wanted entries are there, from one source after the other; one that lags has its turn again.

        Raises:
            PeerError: no source gives them.
        """
        origin = want.origin
        problems: dict[Peer, LedgerError] = {}
        waiting = deque(self.sources(want))
        while waiting:
            peer = waiting.popleft()
            try:
                if await self._fetch_from(peer, want, patient=not waiting, bound=bound):
                    self._repeats.over(SOURCE_FAILED, {"log": origin, "source": peer.origin})
                    self._repeats.over(KEY_ENDED, {"log": origin})
                    return
            except (BusyError, ReadOnlyError, StoreError, FrozenError):  # what no other source can help
                raise
            except LedgerError as error:
                if not isinstance(error, PeerError):
                    peer.blame(not_verified(f"entries of {origin}", error))
                note_failure(peer, error, now_ms=self._clock.now_ms())
                self._metrics.fetch_failures.labels(origin).inc()
                self.count_ended(error, origin)
                self._repeats.failed("info", SOURCE_FAILED, {"log": origin, "source": peer.origin}, error)
                problems[peer] = error
            else:
                waiting.append(peer)
        raise PeerError(f"nobody has the entries of {origin} up to {want.size}: {reasons(problems)}")

    def count_ended(self, error: LedgerError, origin: str) -> None:
        """Count what was refused because a key of the log had ended; somebody may use a key that was stolen."""
        if isinstance(error, KeyEndedError):
            self._metrics.ended_keys.labels(origin).inc()
            self._repeats.failed("warning", KEY_ENDED, {"log": origin}, error)

    async def fetch_ruled(self, peer: Peer, origin: str, size: int, *, patient: bool) -> bool:
        """Fetch a log up to the size of the governors' ruling from one peer, whatever stands against the log.

        Tell whether all of it is here; without patience a source that lags is left behind.

        Raises:
            PeerFalseError: the peer gives what does not continue the history that is here.
            PeerError: it gives nothing.
            StoreError, BusyError, ReadOnlyError: it cannot be stored.
        """
        try:
            return await self._fetch_from(peer, self.wanted(origin, size), patient=patient, ruled=True)
        except (BusyError, ReadOnlyError, StoreError, PeerError):
            raise
        except LedgerError as error:
            raise PeerFalseError(f"gives another history: {error}") from None

    async def _fetch_from(
        self, peer: Peer, want: Want, *, patient: bool, ruled: bool = False, bound: bool = False
    ) -> bool:
        """Fetch from one source; tell whether all is here, which it is not where it lags and nobody is patient."""
        origin = want.origin
        async with Reading(
            peer,
            self._network().member(origin),
            want.size,
            consumer=self._own,
            verifiers=self._verifiers,
            room=self._room,
            clock=self._clock,
        ) as reading:
            while (state := self.state(origin)).size < want.size:
                arrived = await reading.next(state.size)
                await self._take(state, arrived, ruled=ruled, bound=bound)
                if (running := self.running.get(origin)) is not None:
                    running.have, running.source = self.state(origin).size, peer.origin
                if arrived.lags and not patient:
                    break
        return self.state(origin).size >= want.size

    async def _take(self, state: LogState, arrived: Arrived, *, ruled: bool, bound: bool) -> None:
        """Store a piece if it continues the log.

        Raises:
            LedgerError: it does not; nothing of it is stored.
        """
        checked, piece = await arrived.checked(), arrived.piece
        head = state.chain if state.size else self._opening(state.chain, piece.raws[0])
        member = self._network().member(state.origin)
        if checked is None or not checked.follows(head) or member.keys != piece.keys:
            checked = await self._judge(head, replace(piece, keys=member.keys), trusted=not ruled and not bound)
        growth = checked.growth

        def store(transaction: Transaction) -> bool:
            current = transaction.state(state.origin)
            if not ruled:
                self._require_usable(current, bound=bound)
            if self._network().member(state.origin).log_keys != member.log_keys:
                raise BusyError(f"the keys of {state.origin} have changed while its entries came", field="origin")
            if current.chain != state.chain:  # somebody else has stored them meanwhile, or has dropped others
                return False
            transaction.put_state(logs.grow(current, piece.raws, growth, transaction.batch))
            if state.origin == self._own and not ruled:  # the store is an old copy, and will not show it any more
                transaction.batch.delete(layout.memory_key())
            return growth.index.wanted

        if await asyncio.wrap_future(self._writer.submit(store, size=2 * arrived.size_bytes)):
            self._wanted(state.origin)
        self._metrics.mirrored.labels(state.origin).inc(len(piece.raws))

    async def _judge(self, head: ChainHead, piece: Piece, *, trusted: bool) -> Checked:
        try:
            return await self._verifiers.judge(head, piece)
        except LedgerError as error:  # another story of the log, told under its own signature, or just noise
            await asyncio.to_thread(self._equivocations.accuse_entries, head.origin, piece.raws)
            if trusted:
                self._equivocations.require_trusted(head.origin)
            if isinstance(error, UnsignedError):
                await asyncio.to_thread(refuse_ended, piece.raws, self._network().member(head.origin))
            raise

    def _opening(self, head: ChainHead, raw: bytes) -> ChainHead:
        """Return what entry 0 follows: the version of the network document under which the log was opened."""
        named = parse_entry(raw).previous
        return replace(head, previous=named) if named in self._network().openings else head


def refuse_ended(raws: Sequence[bytes], member: Member) -> None:
    """Say so where an entry is signed by a key of its log that had ended.

    Raises:
        KeyEndedError: one is, and which.
        MalformedError, TooLongError: bytes that are no entry.
    """
    for entry in map(parse_entry, raws):
        for key in member.ended_keys(entry.index):
            if entry.key_id == key.key_id and verify_detached(key.public_key, entry.text, entry.signature):
                raise KeyEndedError(
                    f"{entry.origin}#{entry.index} is signed by key {key.key_id.hex()}, which had ended", field="line 8"
                )
