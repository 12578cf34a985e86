"""Readmission: a log goes on after it has told two stories, with the history that the governors have ruled.

The newest network document says of a member ``readmitted {size, root}``, and a new log key begins at that size
(protocol section 7.7). Until what is here agrees, nothing of the log is taken or cosigned; then it is like any other:

1. A log that has the ruled history: what stands behind it, signed by the old key, is dropped.
2. A log that has another one, or not enough to tell, goes back to what is confirmed here, never below. A crash during
   either: the rest is dropped after the next start.
3. The entries up to the ruled size are fetched, from one peer after the other until the root is the ruled one: both
   histories are signed, so a peer may well give the other one.
4. The ruled head is what this node has cosigned last.

A ruling may contradict what is confirmed here: it cuts below that, names another root for that size, or a peer gives
entries that hash to the ruled root, and before that not to what is confirmed. That is an alarm, and nothing is tried
before there is another ruling. It is an alarm, too, when those who answer give other histories again and again; but
they are asked on, for somebody may come who has the ruled one.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import structlog

from ledger.checkpoint import parse_checkpoint_text
from ledger.errors import LedgerError
from ledger.merkle import TreeHead, leaf_hash
from ledger.network import Network
from ledger.note import parse_note
from ledger.store import Store
from ledger.tile import Edge
from node import layout, logs
from node.clock import Clock
from node.errors import IntegrityAlarm
from node.faults import PeerError, PeerFalseError
from node.fetching import Fetcher
from node.logs import LogState
from node.pacing import Heard, Pace
from node.peers import ENTRIES_MAX, Peer
from node.repeats import Repeats
from node.sources import note_piece, reasons
from node.truncation import truncate
from node.writer import Transaction, Writer

log = structlog.get_logger(__name__)

NOT_RULED = "a log does not have the ruled history yet"
NOT_COMPARED = "a ruled history cannot be compared"

RETRY_SECONDS_MIN = 0.2
RETRY_SECONDS_MAX = 15.0
ROUNDS_MAX = 5  # in which only other histories were given, before somebody is told
LAGS_MAX = 10  # small or late answers of a source that may show a contradiction; it is asked again later


class Readmission:
    """Brings the logs to the histories that the governors have ruled."""

    def __init__(
        self,
        *,
        store: Store,
        writer: Writer,
        fetcher: Fetcher,
        network: Callable[[], Network],
        clock: Clock,
        alarm: Callable[[IntegrityAlarm], None],
        lift: Callable[[str], None],
        settled: Callable[[str], None],
    ) -> None:
        """Raise ``alarm`` where a ruling cannot be followed, and ``lift`` it; ``settled`` is told which log goes on."""
        self._repeats = Repeats(log)
        self._store = store
        self._writer = writer
        self._fetcher = fetcher
        self._network = network
        self._clock = clock
        self._alarm = alarm
        self._lift = lift
        self._settled = settled
        self._refuted: dict[str, TreeHead] = {}  # rulings that contradict what is confirmed here, by log
        self._rounds: Counter[tuple[str, TreeHead]] = Counter()  # in which only other histories were given
        self.heard = Heard()  # told when a peer that was silent answers again
        self._due = asyncio.Event()
        self._due.set()

    def notice(self) -> None:
        """Look again: there is a newer network document."""
        self._due.set()

    def unsettled(self) -> list[str]:
        """Return the logs whose history here is not yet the one that the governors have ruled."""
        members = self._network().members
        states = self._writer.states
        return [name for name in states if name in members and states[name].readmitted != members[name].readmitted]

    async def run(self) -> None:
        """Settle all logs, again after every newer document, until cancelled."""
        pace = Pace(RETRY_SECONDS_MIN, RETRY_SECONDS_MAX, self.heard)
        while True:
            await self._due.wait()
            self._due.clear()
            failed = 0
            for origin in self.unsettled():
                failed += not await self._try(origin)
            if failed:
                await pace.pause()
                self._due.set()
            else:
                pace.reset()

    async def _try(self, origin: str) -> bool:
        """Settle a log; tell whether it is, or no retry helps."""
        ruling = self._network().member(origin).readmitted
        if ruling is None or self._refuted.get(origin) == ruling:
            return True
        if self._refuted.pop(origin, None) is not None:  # the governors have ruled again
            self._lift(origin)
        try:
            await self.settle(origin)
        except IntegrityAlarm as alarm:
            self._refuted[origin] = ruling
            self._lift(origin)
            self._alarm(alarm)
        except LedgerError as error:
            self._repeats.failed("warning", NOT_RULED, {"log": origin}, error)
            return False
        self._repeats.over(NOT_RULED, {"log": origin})
        return True

    async def settle(self, origin: str) -> None:
        """Bring a log to the history that the governors have ruled.

        Raises:
            IntegrityAlarm: the ruling contradicts what is confirmed here.
            PeerError: nobody gives the ruled history now.
            StoreError, BusyError, ReadOnlyError: it cannot be stored.
        """
        ruling = self._network().member(origin).readmitted
        if ruling is None:
            return
        await self._drop(origin)
        problems = await self._fetch(origin, ruling)
        if not self._agrees(origin, ruling):
            await self._hold_against(origin, ruling, [peer for peer, error in problems.items() if _gives(error)])
            raise PeerError(f"nobody gives the ruled history of {origin}: {reasons(problems)}")
        await asyncio.wrap_future(self._writer.submit(partial(self._accept, origin=origin)))
        log.warning("a log goes on as the governors have ruled", log=origin, size=ruling.size)
        self._settled(origin)

    async def _fetch(self, origin: str, ruling: TreeHead) -> dict[Peer, PeerError]:
        """Fetch what is ruled from whoever has it; return who was asked in vain, and why.

        Raises:
            IntegrityAlarm: the ruling contradicts what is confirmed here.
            StoreError, BusyError, ReadOnlyError: it cannot be stored.
        """
        problems: dict[Peer, PeerError] = {}
        waiting = deque((peer, False) for peer in self._fetcher.sources(self._fetcher.wanted(origin, ruling.size)))
        while waiting and not self._agrees(origin, ruling):
            peer, patient = waiting.popleft()
            try:
                if not await self._fetcher.fetch_ruled(peer, origin, ruling.size, patient=patient):
                    waiting.append((peer, True))
                elif not self._agrees(origin, ruling):
                    problems[peer] = PeerFalseError("gives a history with another root")
            except PeerError as error:
                problems[peer] = error
            await self._drop(origin)
        return problems

    def _agrees(self, origin: str, ruling: TreeHead) -> bool:
        return logs.agrees(self._store, self._state(origin), ruling)

    async def _hold_against(self, origin: str, ruling: TreeHead, others: list[Peer]) -> None:
        """Look whether what ``others`` give, which does not fit here, is what was ruled.

        Raises:
            IntegrityAlarm: it is; so the ruling contradicts what is confirmed here.
        """
        if not others:
            return
        self._rounds[origin, ruling] += 1
        rounds = self._rounds[origin, ruling]
        known = self._state(origin).confirmed
        for peer in others if known is not None and not rounds & (rounds - 1) else []:  # ever more rarely: it is long
            assert known is not None
            if await self._root_in(peer, origin, ruling, known.size) not in (None, known.checkpoint.root):
                raise _contradiction(origin, ruling, known.size)
        if rounds >= ROUNDS_MAX:
            words = (
                f"those who answer give other histories of {origin} than the governors have ruled up to size "
                f"{ruling.size}: look for a member that has that one; if there is none, the governors must rule again"
            )
            self._alarm(IntegrityAlarm(words, field=origin, cause="ruling"))

    async def _root_in(self, peer: Peer, origin: str, ruling: TreeHead, size: int) -> bytes | None:
        """Return the root at ``size`` of the ruled history, if a peer gives all of that; nothing of it is stored."""
        edge, root, lags = Edge.empty(), None, 0
        about = {"log": origin, "source": peer.origin}
        while edge.size < ruling.size and lags < LAGS_MAX:
            start = int(edge.size)
            limit = min((size if start < size else ruling.size) - start, ENTRIES_MAX)
            asked_ms = self._clock.now_ms()
            try:
                raws = await peer.entries(origin, start, limit)
            except PeerError as error:
                self._repeats.failed("info", NOT_COMPARED, about, error)
                return None
            lags += note_piece(peer, origin, start, limit, raws, (asked_ms, self._clock.now_ms()))
            edge, _ = await asyncio.to_thread(edge.extended, [leaf_hash(raw) for raw in raws])
            root = edge.root() if edge.size == size else root
        self._repeats.over(NOT_COMPARED, about)
        return root if edge.size == ruling.size and edge.root() == ruling.root else None

    def _state(self, origin: str) -> LogState:
        return self._writer.states[origin]

    async def _drop(self, origin: str) -> None:
        while not await asyncio.wrap_future(self._writer.submit(partial(self._step, origin=origin))):
            pass

    def _step(self, transaction: Transaction, *, origin: str) -> bool:
        """Drop some entries that are void; tell whether that was all. In the writer's thread."""
        state = transaction.state(origin)
        if state is not transaction.committed(origin):
            return False  # another job of this round has put something that the store does not show yet
        target = self._target(state)
        if target < state.size:
            state = truncate(transaction.store, state, target, transaction.batch)
            transaction.put_state(state)
        return state.size <= target

    def _target(self, state: LogState) -> int:
        """Return how much of a log stays."""
        network = self._network()
        ruling = network.member(state.origin).readmitted
        if ruling is None or logs.is_settled(self._store, state, network):
            return state.size
        confirmed = self._store.get(layout.confirmed_key(state.log))
        if confirmed is not None:
            head = parse_checkpoint_text(parse_note(confirmed).text).head
            if logs.is_void(confirmed, network) or (head.size == ruling.size and head.root != ruling.root):
                raise _contradiction(state.origin, ruling, head.size)
        return int(ruling.size) if logs.agrees(self._store, state, ruling) else state.confirmed_size

    def _accept(self, transaction: Transaction, *, origin: str) -> None:
        state = transaction.state(origin)
        transaction.put_state(replace(state, readmitted=self._network().member(origin).readmitted))
        transaction.batch.delete(layout.contradiction_key(state.log))


def _gives(error: PeerError) -> bool:
    """Tell whether a peer has given something, and another history than the ruled one as far as it fits here."""
    return isinstance(error, PeerFalseError)


def _contradiction(origin: str, ruling: TreeHead, confirmed: int) -> IntegrityAlarm:
    return IntegrityAlarm(
        f"the ruling about {origin} at size {ruling.size} contradicts what is confirmed here, {confirmed} entries; "
        "these stay, and nothing new is taken: the governors must rule again, on a history that has them",
        field=origin,
        cause="ruling",
    )
