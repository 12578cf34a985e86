"""The mirror: this node's copies of its peers' logs.

Whatever asks for more of a log (a witness request, a confirmed checkpoint, the comparison of heads) names the size that
it wants; one task per log then fetches what is missing (node/fetching.py). Here is what stands behind a size: the
checkpoints of other logs, confirmed or signed, which are held against the entries.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Literal

import structlog

from ledger.errors import (
    ConsistencyError,
    StoreError,
    VerificationError,
)
from ledger.merkle import TreeSize, root_hash
from ledger.network import Network
from ledger.quorum import Judged, judge_checkpoint, require_quorum, without_strangers
from ledger.store import Store
from node import layout, logs
from node.clock import Clock
from node.equivocations import Equivocations
from node.errors import AlarmCause, BusyError, FrozenError, IntegrityAlarm, ReadOnlyError
from node.fetching import CatchUp, Fetcher
from node.logs import LogState
from node.metrics import Metrics
from node.peers import Peer
from node.sources import Want
from node.told import Head
from node.verifying import Verifiers
from node.writer import Transaction, Writer

log = structlog.get_logger(__name__)

BOUND = " (confirmed)"  # ends the name of a task that fetches what a quorum has confirmed

Agreement = Literal["same", "behind", "ahead", "differs"]


class UnknownVersionError(BusyError):
    """A log acts under a version of the network document that this node does not have yet."""

    code = "unknown_version"
    hint = "this node fetches the document from its peers; try again in a moment"


class Mirror:
    """Fetches, verifies and stores the entries of other logs."""

    def __init__(  # noqa: PLR0913 - one line per part of the node that it works with
        self,
        *,
        own: str,
        store: Store,
        writer: Writer,
        network: Callable[[], Network],
        peers: Mapping[str, Peer],
        equivocations: Equivocations,
        verifiers: Verifiers,
        clock: Clock,
        metrics: Metrics,
        alarm: Callable[[IntegrityAlarm], None],
        wanted: Callable[[str], None],
    ) -> None:
        """Mirror into ``store`` what ``peers`` have; ``wanted`` is told which logs have shares to us with manifests."""
        self._own = own
        self._store = store
        self._writer = writer
        self._network = network
        self._equivocations = equivocations
        self._clock = clock
        self._alarm = alarm
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.fetcher = Fetcher(
            own=own,
            writer=writer,
            network=network,
            peers=peers,
            equivocations=equivocations,
            verifiers=verifiers,
            clock=clock,
            metrics=metrics,
            require_usable=self.require_usable,
            wanted=wanted,
        )
        self.running = self.fetcher.running
        self.own_log_restored = False  # until then peers may well hold more of it than this node (see node/recovery.py)
        self.return_again: Callable[[Judged], bool] = lambda _judged: False  # see node/recovery.py

    def state(self, origin: str) -> LogState:
        """Return a log as of the last commit."""
        return self._writer.states[origin]

    async def catch_up(
        self, origin: str, size: int, *, hint: str | None = None, bound: bool = False, claimed: bool = False
    ) -> None:
        """Return when this node has ``size`` entries of a log; ``hint`` names a peer that has them.

        ``bound``: a quorum stands behind them, so that they are history whatever the log has said besides.
        ``claimed``: nothing but a peer's word says that there are so many.

        Raises:
            FrozenError: the log has told two stories, and the governors have not readmitted it.
            PeerError: nobody has answered with the entries.
            LedgerError: what came is not the log's continuation.
        """
        while self.state(origin).size < size:
            self.require_usable(self.state(origin), bound=bound)
            task = self._tasks.get(origin)
            if task is None:
                here = self.state(origin).size
                self.running[origin] = CatchUp(origin, here, self._clock.now_ms(), want=size, have=here)
                want = Want(origin=origin, here=here, size=size, hint=hint, claimed=claimed)
                task = asyncio.create_task(
                    self.fetcher.fetch(want, bound=bound), name=f"fetch {origin}{BOUND if bound else ''}"
                )
                task.add_done_callback(lambda ended: self._ended(origin, ended))
                self._tasks[origin] = task
            self.running[origin].want = max(self.running[origin].want, size)
            await asyncio.wait([task])  # perhaps somebody else's, for another size: it may or may not be enough
            error = task.exception()
            if bound and isinstance(error, FrozenError) and not task.get_name().endswith(BOUND):
                continue  # it was not for what a quorum has confirmed
            if error is not None and self.state(origin).size < size:
                raise error  # whatever size it was for: nobody has given the entry that comes next

    def is_usable(self, state: LogState) -> bool:
        """Tell whether a log may grow here, and its heads be cosigned."""
        settled = state.readmitted == self._network().member(state.origin).readmitted
        return settled and self._equivocations.accused(state.origin) is None

    def require_usable(self, state: LogState, *, bound: bool = False) -> None:
        """Check that a log may grow here, and its heads be cosigned; by what a quorum has confirmed it always may.

        Raises:
            FrozenError: it is convicted of having told two stories.
            BusyError: the governors have ruled which one counts, and what is here does not agree yet.
        """
        if not bound:
            self._equivocations.require_trusted(state.origin)
        if state.readmitted != self._network().member(state.origin).readmitted:
            raise BusyError(
                f"{state.origin} is being brought to the history that the governors have ruled", field="origin"
            )

    def _ended(self, origin: str, task: "asyncio.Task[None]") -> None:
        """Forget a task; its error is for those who wait, if anybody still does."""
        del self._tasks[origin], self.running[origin]
        if not task.cancelled():
            task.exception()

    async def take_confirmed(self, data: bytes, *, origin: str, hint: str | None = None) -> bool:
        """Take a checkpoint with a quorum, and the entries below it; tell whether it was news.

        Raises:
            VerificationError: it has no quorum, or is signed wrongly.
            IntegrityAlarm: it is another history than the one that is stored here.
            PeerError: the entries below it could not be had.
        """
        known = self.state(origin).confirmed  # mostly it comes twice: with its quorum, and with all cosignatures
        judged = require_quorum(await asyncio.to_thread(judge_checkpoint, data, self._network(), before=known))
        if judged.checkpoint.origin != origin:
            raise VerificationError(
                f"a checkpoint of {judged.checkpoint.origin[:80]} in the place of {origin}", field="checkpoint"
            )
        known = self.state(origin).confirmed
        same = known is not None and known.checkpoint == judged.checkpoint
        if judged.size <= self.state(origin).size and not same:
            await asyncio.to_thread(self.check_root, judged)  # also one that is no news may contradict what is here
        if not logs.is_news(self.state(origin), judged):
            return False
        self.require_usable(self.state(origin), bound=True)
        ahead = origin == self._own and judged.size > self.state(origin).size
        if origin == self._own and (not self.own_log_restored or (ahead and self.return_again(judged))):
            raise BusyError("this node's own log is being restored", field="origin")
        if ahead:
            self.raise_alarm(
                f"peers hold {judged.size} entries of this node's own log, it has {self.state(origin).size}",
                origin,
                "ahead",
            )
        await self.catch_up(origin, judged.size, hint=hint, bound=True)
        await asyncio.to_thread(self.check_root, judged)
        judged = without_strangers(self._under_its_version(judged), self._network())
        await asyncio.wrap_future(self._writer.submit(lambda transaction: self._store_confirmed(transaction, judged)))
        return True

    def _under_its_version(self, judged: Judged) -> Judged:
        """Return a confirmed checkpoint counted under the version under which the log acts at its size, or a later one.

        Raises:
            UnknownVersionError: the log acts under a version that is not here yet.
            QuorumError: it has the quorum of an earlier version only.
        """
        network = self._network()
        acting = self.acting_version(judged, network)
        if judged.version >= acting:
            return judged
        return require_quorum(judge_checkpoint(judged.note, network, at_least=acting))

    def acting_version(self, judged: Judged, network: Network) -> int:
        """Return the version of the network document under which a log acts at a checkpoint, whose entries are here.

        Raises:
            UnknownVersionError: ``network`` does not know it yet.
        """
        version = self.state(judged.checkpoint.origin).version_at(judged.size, network)
        if version is None:
            raise UnknownVersionError(
                f"{judged.checkpoint.origin} acts under a version of the network document above {network.version}",
                field="checkpoint",
            )
        return version

    async def take_signed(self, data: bytes, *, origin: str, hint: str | None = None) -> bool:
        """Take a checkpoint that its log has signed, and the entries below it; tell whether it was news.

        It may be confirmed or not: so entries spread that few members hold, should their owner be gone before there is
        a quorum. It says no more than that the log has promised them: nothing is cosigned or confirmed by it, and a
        size that the log has not signed, or whose entries nobody gives, costs one question.

        Raises:
            VerificationError: the log has not signed it.
            IntegrityAlarm: it is another history than the one that is stored here.
            PeerError: the entries below it could not be had.
        """
        judged = await asyncio.to_thread(judge_checkpoint, data, self._network())
        if judged.checkpoint.origin != origin:
            raise VerificationError(
                f"a checkpoint of {judged.checkpoint.origin[:80]} in the place of {origin}", field="checkpoint"
            )
        state = self.state(origin)
        if judged.size <= state.size:
            await asyncio.to_thread(self.check_root, judged)
        if judged.size <= (state.signed.size if state.signed is not None else 0):
            return False
        self.require_usable(state)
        if origin == self._own:
            if self.own_log_restored and judged.size > state.size and not self.return_again(judged):
                self.raise_alarm(
                    f"this node has signed {judged.size} entries of its own log, and has {state.size}", origin, "ahead"
                )
            return False
        await self.catch_up(origin, judged.size, hint=hint)
        await asyncio.to_thread(self.check_root, judged)

        def store(transaction: Transaction) -> None:
            current = transaction.state(origin)
            self.require_usable(current)
            if current.checkpoint is None or current.checkpoint.size < judged.size:
                transaction.put_state(logs.with_checkpoint(current, judged, transaction.batch))

        await asyncio.wrap_future(self._writer.submit(store))
        return True

    def agreement(self, origin: str, head: Head) -> Agreement:
        """Tell how a head fits to the log here, by its root at the smaller of both sizes; reads O(log n) tiles.

        A root above our size cannot be compared before the entries are here.
        """
        size = self.state(origin).size
        if head.size > size:
            return "ahead"
        if self.root_at(origin, head.size) != head.root:
            return "differs"
        return "same" if head.size == size else "behind"

    def root_at(self, origin: str, size: int) -> bytes:
        """Return the root of the first ``size`` entries of a log, of which there are as many here; any thread."""
        state = self.state(origin)
        if size == state.size:
            return state.edge.root()
        return root_hash(logs.hash_reader(self._store, state, size), TreeSize(size))

    def check_root(self, judged: Judged) -> None:
        """Check that the entries stored here hash to a checkpoint's root.

        Raises:
            IntegrityAlarm: they do not: the log has shown two histories, or this store is damaged.
        """
        state = self.state(judged.checkpoint.origin)
        if self.root_at(state.origin, judged.size) != judged.checkpoint.root:
            self.contradict(
                judged, f"{state.origin} has signed a root for size {judged.size} to which its entries do not hash"
            )

    def contradict(self, judged: Judged, message: str) -> None:
        """Prove that a signed checkpoint contradicts what is stored here, or else keep it and raise an alarm.

        Raises:
            IntegrityAlarm: it does.
            ConsistencyError: it does, and the governors have ruled since that it is void.
            KeyEndedError: it does, and the key that has signed it has ended since: it says nothing any more.
            BusyError: what is stored here is not yet what they have ruled.
        """
        origin = judged.checkpoint.origin
        self.require_usable(self.state(origin))
        ruling = self.state(origin).readmitted
        if ruling is not None and judged.size <= ruling.size:
            raise ConsistencyError(f"the governors have ruled that {origin} has another history", field="checkpoint")
        judge_checkpoint(judged.note, self._network())  # it may have been judged under an earlier version
        kept = self._equivocations.accuse(judged)
        if kept is not None:
            raise FrozenError(kept.verdict.words, field=origin)
        with suppress(BusyError, ReadOnlyError, StoreError):  # the next one that comes is as good
            if self._store.get(layout.contradiction_key(self.state(origin).log)) is None:
                self._writer.submit(lambda transaction: _keep(transaction, judged))
        self.raise_alarm(message, origin, "contradiction")

    def raise_alarm(self, message: str, origin: str, cause: AlarmCause) -> None:
        """Tell the operator that two histories do not fit; from any thread.

        Raises:
            IntegrityAlarm: always.
        """
        alarm = IntegrityAlarm(message, field=origin, cause=cause)
        self._alarm(alarm)
        raise alarm

    async def close(self) -> None:
        """Stop fetching."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _store_confirmed(self, transaction: Transaction, judged: Judged) -> None:
        state = transaction.state(judged.checkpoint.origin)
        self.require_usable(state, bound=True)
        transaction.put_state(logs.with_confirmed(state, judged, transaction.batch))


def _keep(transaction: Transaction, against: Judged) -> None:
    log = transaction.state(against.checkpoint.origin).log
    transaction.batch.put(layout.contradiction_key(log), against.note.encode())
