"""Readmission: a log goes on after it has told two stories, with the history that the governors have ruled.

The newest network document says of a member ``readmitted {size, root}``, and a new log key begins at that size
(protocol section 7.7). Until what is here agrees, nothing of the log is taken or cosigned; then it is like any other:

1. A log that has the ruled history: what stands behind it, signed by the old key, is dropped.
2. A log that has another one, or not enough to tell, goes back to what is confirmed here, never below. A crash during
   either: the rest is dropped after the next start.
3. The entries up to the ruled size are fetched, from one peer after the other until the root is the ruled one: both
   histories are signed, so a peer may well give the other one.
4. The ruled head is what this node has cosigned last.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import structlog

from ledger.errors import LedgerError
from ledger.network import Network
from ledger.store import Store
from node import layout, logs
from node.errors import IntegrityAlarm
from node.logs import LogState
from node.mirror import Mirror
from node.peers import PeerError
from node.truncation import truncate
from node.writer import Transaction, Writer

log = structlog.get_logger(__name__)

RETRY_SECONDS_MIN = 0.2
RETRY_SECONDS_MAX = 15.0


class Readmission:
    """Brings the logs to the histories that the governors have ruled."""

    def __init__(
        self,
        *,
        store: Store,
        writer: Writer,
        mirror: Mirror,
        network: Callable[[], Network],
        alarm: Callable[[IntegrityAlarm], None],
        settled: Callable[[str], None],
    ) -> None:
        """Raise ``alarm`` where a ruling contradicts what is confirmed here; ``settled`` is told which log goes on."""
        self._store = store
        self._writer = writer
        self._mirror = mirror
        self._network = network
        self._alarm = alarm
        self._settled = settled
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
        delay = RETRY_SECONDS_MIN
        while True:
            await self._due.wait()
            self._due.clear()
            failed = 0
            for origin in self.unsettled():
                failed += not await self._try(origin)
            if failed:
                await asyncio.sleep(delay)
                self._due.set()
            delay = min(2 * delay, RETRY_SECONDS_MAX) if failed else RETRY_SECONDS_MIN

    async def _try(self, origin: str) -> bool:
        try:
            await self.settle(origin)
        except IntegrityAlarm as alarm:
            self._alarm(alarm)
            return True  # no retry helps
        except LedgerError as error:
            log.warning("a log does not have the ruled history yet", log=origin, error=str(error), code=error.code)
            return False
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
        problems: list[str] = []
        sources = self._mirror.sources(self._mirror.wanted(origin, ruling.size))
        waiting = deque((peer, False) for peer in sources)
        while waiting and not logs.agrees(self._store, self._state(origin), ruling):
            peer, patient = waiting.popleft()
            try:
                if not await self._mirror.fetch_ruled(peer, origin, ruling.size, patient=patient):
                    waiting.append((peer, True))
            except PeerError as error:
                problems.append(f"{peer.origin}: {error}")
            await self._drop(origin)
        if not logs.agrees(self._store, self._state(origin), ruling):
            raise PeerError(f"nobody gives the ruled history of {origin}: {'; '.join(problems)[:500]}")
        await asyncio.wrap_future(self._writer.submit(partial(self._accept, origin=origin)))
        log.warning("a log goes on as the governors have ruled", log=origin, size=ruling.size)
        self._settled(origin)

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
        if confirmed is not None and logs.is_void(confirmed, network):
            raise IntegrityAlarm(
                f"the ruling about {state.origin} at size {ruling.size} contradicts what is confirmed here",
                field=state.origin,
            )
        return int(ruling.size) if logs.agrees(self._store, state, ruling) else state.confirmed_size

    def _accept(self, transaction: Transaction, *, origin: str) -> None:
        state = transaction.state(origin)
        transaction.put_state(replace(state, readmitted=self._network().member(origin).readmitted))
        transaction.batch.delete(layout.contradiction_key(state.log))
