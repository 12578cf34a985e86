"""Safe return: a node asks what it has said before it says anything new (protocol section 7).

A database can be an old copy, or lose its last writes, and look sound. Whoever signs on it forks his own log, or
cosigns a head that contradicts one he cosigned before. So after every start a node reads, and serves what it has, but
writes and cosigns nothing until enough of its peers have told what they remember:

1. Ask every peer for the sizes that it holds of every log, and for the checkpoint of each that it knows best.
2. Fetch what the peers hold of this node's own log and it does not: the entries are its own, signed by its own key.
3. Take over, for every other log, the highest checkpoint that any of them has cosigned or seen confirmed: below it this
node may have
   cosigned already.
4. When enough have answered (``answers_needed``) and 2 is done, write and cosign again. A log of which 3 is not done is
not cosigned yet.

A crash at any point begins anew: nothing was signed meanwhile.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

import structlog

from ledger.errors import LedgerError
from ledger.network import Network
from ledger.quorum import Judged, judge_checkpoint
from node import logs
from node.mirror import Mirror
from node.peers import Memory, Peer
from node.writer import Transaction, Writer

log = structlog.get_logger(__name__)

Mode = Literal["2f", "2f+1", "all"]
RETRY_SECONDS_MIN = 0.2
RETRY_SECONDS_MAX = 5.0
GRACE_SECONDS = 1.0  # for answers beyond those that are needed


def answers_needed(network: Network, mode: Mode) -> int:
    """Return how many other members must have answered before a node writes again.

    ``2f`` others when the node's own amnesia counts among the f faults, ``2f+1`` when it does not, or all of them: at
    least one honest member that remembers is then among them.
    """
    others = max(len(network.voters) - 1, 0)
    wanted = {"2f": 2 * network.faults, "2f+1": 2 * network.faults + 1, "all": others}[mode]
    return min(wanted, others)


@dataclass(slots=True)
class Progress:
    """How far the return is."""

    needed: int
    answered: set[str] = field(default_factory=set)  # origins
    problem: str | None = None


class Recovery:
    """Brings a node back to where its peers remember it."""

    def __init__(
        self,
        *,
        own: str,
        mirror: Mirror,
        writer: Writer,
        peers: Mapping[str, Peer],
        network: Callable[[], Network],
        mode: Mode,
        signed: Judged | None,
    ) -> None:
        """Come back to at least ``signed``, the newest checkpoint that the head file remembers."""
        self._own = own
        self._mirror = mirror
        self._writer = writer
        self._peers = peers
        self._network = network
        self.progress = Progress(answers_needed(network(), mode))
        self._floors: dict[str, Judged] = {} if signed is None else {own: signed}  # the best checkpoint of each log
        self._own_size = 0  # the most entries of our own log that a peer holds
        self._tried: set[str] = set()
        self._heard = asyncio.Event()  # somebody has answered, or failed to
        self._ready = False

    @property
    def ready(self) -> bool:
        """Whether this node may write and cosign."""
        return self._ready

    def floor(self, origin: str) -> Judged | None:
        """Return the checkpoint of a log below which this node may have cosigned already, until it has been taken
        over.
        """
        return self._floors.get(origin)

    async def run(self) -> None:
        """Return when this node may write; go on asking those that have not answered until then."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._ask(peer), name=f"ask {peer.origin}") for peer in self._peers.values()]
            await self._settle()
            for task in tasks:
                task.cancel()

    async def _ask(self, peer: Peer) -> None:
        delay = RETRY_SECONDS_MIN
        while True:
            try:
                memory = await peer.memory()
                await asyncio.to_thread(self._learn, memory)
            except LedgerError as error:
                log.debug("a peer does not tell what it remembers", peer=peer.origin, error=str(error))
            else:
                self.progress.answered.add(peer.origin)
            self._tried.add(peer.origin)
            self._heard.set()
            if peer.origin in self.progress.answered:
                return
            await asyncio.sleep(delay)
            delay = min(2 * delay, RETRY_SECONDS_MAX)

    def _learn(self, memory: Memory) -> None:
        """Take over what one peer remembers; a checkpoint that is not signed by its log is worth nothing."""
        self._own_size = max(self._own_size, memory.sizes.get(self._own, 0))
        for origin, data in memory.checkpoints:
            try:
                judged = judge_checkpoint(data, self._network())
            except LedgerError as error:
                log.info("a remembered checkpoint does not verify", log=origin, error=str(error))
                continue
            known = self._floors.get(judged.checkpoint.origin)
            if known is None or judged.size > known.size:
                self._floors[judged.checkpoint.origin] = judged

    async def _settle(self) -> None:
        """Wait for enough answers, then restore the own log; afterwards take over the other logs' checkpoints."""
        await self._wait_for_answers()
        delay = RETRY_SECONDS_MIN
        while True:
            try:
                await self._restore_own()
            except LedgerError as error:
                self.progress.problem = str(error)
                log.warning("the own log is not restored yet", error=str(error), code=error.code)
                await asyncio.sleep(delay)
                delay = min(2 * delay, RETRY_SECONDS_MAX)
            else:
                break
        await self._take_over_all()
        self.progress.problem = None
        self._mirror.own_log_restored = True
        self._ready = True
        log.info("the node may write", answered=len(self.progress.answered), needed=self.progress.needed)

    async def _wait_for_answers(self) -> None:
        """Wait for as many answers as it takes, and a moment for those that it does not take: they may know more."""
        loop = asyncio.get_running_loop()
        grace = loop.time() + GRACE_SECONDS
        while True:
            enough = len(self.progress.answered) >= self.progress.needed
            if enough and (len(self._tried) == len(self._peers) or loop.time() >= grace):
                return
            self._heard.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY_SECONDS_MIN):
                    await self._heard.wait()

    async def _restore_own(self) -> None:
        """Fetch the entries of the own log that only peers have.

        Raises:
            PeerError: nobody gives them now.
            LedgerError: they do not continue what is here.
        """
        floor = self._floors.get(self._own)
        size = max(self._own_size, floor.size if floor is not None else 0)
        before = self._mirror.state(self._own).size
        if size > before:
            log.warning("this node's store is behind its own past; fetching it from the peers", here=before, there=size)
            await self._mirror.catch_up(self._own, size)
        if floor is not None:
            await asyncio.to_thread(self._mirror.check_root, floor)
            await self._store(self._own, floor)
            del self._floors[self._own]

    async def _take_over_all(self) -> None:
        for origin in list(self._floors):
            try:
                async with asyncio.timeout(RETRY_SECONDS_MAX):
                    await self.take_over(origin)
            except (LedgerError, TimeoutError) as error:
                log.info("a log is not cosigned until its past is here", log=origin, error=str(error))

    async def take_over(self, origin: str) -> None:
        """Fetch the entries below a remembered checkpoint, and remember it too; nothing to do where there is none.

        Raises:
            PeerError: nobody gives the entries now.
            IntegrityAlarm: the entries here are another history.
        """
        floor = self._floors.get(origin)
        if floor is None:
            return
        if floor.size > self._mirror.state(origin).cosigned_head.size:
            await self._mirror.catch_up(origin, floor.size)
            await asyncio.to_thread(self._mirror.check_root, floor)
            await self._store(origin, floor)
        self._floors.pop(origin, None)

    async def _store(self, origin: str, floor: Judged) -> None:
        def remember(transaction: Transaction) -> None:
            state = transaction.state(origin)
            if floor.size > state.cosigned_head.size:
                state = logs.with_cosigned(state, floor, transaction.batch)
                if state.checkpoint is None or state.checkpoint.size < floor.size:
                    state = logs.with_checkpoint(state, floor, transaction.batch)
                transaction.put_state(state)

        await asyncio.wrap_future(self._writer.submit(remember))
