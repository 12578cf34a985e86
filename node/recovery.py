"""Safe return: a node asks what it has said before it says anything new (protocol section 7).

A database can be an old copy, or lose its last writes, and look sound. Whoever signs on it forks his own log, or
cosigns a head that contradicts one he cosigned before. So after every start a node reads, and serves what it has, but
writes and cosigns nothing until enough of its peers have told what they remember:

1. Ask every peer for the sizes that it holds of every log, and for the checkpoint of each that it knows best.
2. When enough have answered (:func:`enough`), fetch what the peers hold of this node's own log and it does not: the
   entries are its own, signed by its own key. Then write again.
3. Take over, for every other log, the checkpoints that any of them has cosigned or seen confirmed: below the highest
   this node may have cosigned already, and its entries must hash to all of them. A log of which this is not done is
   not cosigned yet; the others are.

What counts in 2 is what a peer can prove. A checkpoint that this node's log has signed is a promise: until its entries
are here, nothing is written. A size without one is a claim: whoever makes it is asked for the entries, which nobody
else can sign, and if none come, the claim is void.

A crash at any point begins anew: nothing was signed meanwhile, and the entries that came are not fetched again.

What nobody had told may turn up later: entries that were on their way to a peer when it answered, or that a peer has
that was not asked. For a while, as long as this node has recorded nothing since, it returns once more, with what has
turned up as a promise (:meth:`Recovery.return_again`). Afterwards its log may have two histories, or somebody else has
its key: somebody must look.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from ledger.errors import KeyEndedError, LedgerError, StoreError
from ledger.network import Network
from ledger.note import parse_note
from ledger.quorum import Judged, judge_checkpoint
from ledger.store import Store
from node import layout, logs
from node.answers import Answer, Mode, answers_needed, enough
from node.equivocations import Equivocations
from node.errors import BusyError, FrozenError, IntegrityAlarm, ReadOnlyError
from node.faults import PeerError
from node.mirror import Mirror
from node.pacing import Pace
from node.peers import Peer, Peers
from node.repeats import Repeats
from node.told import Memory
from node.writer import Transaction, Writer

log = structlog.get_logger(__name__)

NOT_RESTORED = "the own log is not restored yet"

RETRY_SECONDS_MIN = 0.2
RETRY_SECONDS_MAX = 5.0
GRACE_SECONDS = 1.0  # for answers beyond those that are needed
CLAIM_TRIES_MAX = 3  # in a row without a single entry; a peer that was only busy has given one by then
LOGS_AT_ONCE = 4  # taken over at a time
AGAIN_SECONDS_MAX = 120.0  # after a return; what turns up later may be a thief's, and is an alarm


@dataclass(slots=True)
class Progress:
    """How far the return is."""

    needed: int
    answered: dict[str, Answer] = field(default_factory=dict)  # by origin
    problem: str | None = None


class Recovery:
    """Brings a node back to where its peers remember it."""

    def __init__(  # noqa: PLR0913 - one line per part of the node that it works with
        self,
        *,
        own: str,
        store: Store,
        mirror: Mirror,
        writer: Writer,
        peers: Peers,
        network: Callable[[], Network],
        equivocations: Equivocations,
        mode: Mode,
        signed: Judged | None,
    ) -> None:
        """Come back to at least ``signed``, the newest checkpoint that the head file remembers."""
        self._repeats = Repeats(log)
        self._own = own
        self._disk = store
        self._mirror = mirror
        mirror.return_again = self.return_again
        self._size_before = mirror.state(own).size
        self._size_ready = 0  # of the own log, when this node was last ready
        self._ready_at = 0.0  # by the loop's clock
        self.restored = 0  # entries of the own log that the store lacked, when this node may write: it was an old copy
        self._writer = writer
        self._peers = peers
        self._network = network
        self._mode = mode
        self._equivocations = equivocations
        self.progress = Progress(answers_needed(network(), mode))
        self._promises: dict[str, dict[str, Judged]] = {}  # by log and text: signed by the log, not taken over yet
        self._seen: set[str] = set()  # their texts, and those of the ones that have been taken over
        self._claimed = 0  # the most entries of our own log that a peer says it holds
        self._tried: set[str] = set()
        self._heard = asyncio.Event()  # somebody has answered, or failed to
        self._remembers = asyncio.Event()
        self._ready = asyncio.Event()
        self._again = asyncio.Event()
        if signed is not None:
            self._promise(signed)

    @property
    def remembers(self) -> bool:
        """Whether enough peers have answered: this node may cosign what ``take_over`` has been done for."""
        return self._remembers.is_set()

    @property
    def ready(self) -> bool:
        """Whether this node may write."""
        return self._ready.is_set()

    async def wait_ready(self) -> None:
        """Return when this node may write."""
        await self._ready.wait()

    @property
    def since(self) -> int:
        """The version under which this node has last finished a return, so that its word counts; 0: never yet."""
        first = self._network().versions[0]
        founder = any(member.origin == self._own for member in first.voters.values())
        said = 1 if founder and self._mirror.state(self._own).size else 0  # a lost disk has an empty log at first
        return max(int.from_bytes(self._disk.get(layout.BOUND_KEY) or b"", "big"), said)

    def promised(self, origin: str) -> Judged | None:
        """Return the largest checkpoint of a log that is not taken over yet: others who ask must hear of it too."""
        return max(self._promised(origin), key=lambda judged: judged.size, default=None)

    def renew(self) -> None:
        """Return once more: this node was no member for a while, and others have confirmed things meanwhile."""
        self._remembers.clear()
        self._ready.clear()
        self.progress.answered.clear()
        self._tried.clear()
        self._again.set()

    def return_again(self, judged: Judged) -> bool:
        """Return once more, for a checkpoint above our size that our own log has signed; false if it is too late.

        It is some time after this node was ready, and when anything has been recorded since: then the entries below the
        checkpoint may contradict it. What is being recorded just now shows when these are fetched.
        """
        here = self._mirror.state(self._own).size
        if self.ready:
            since = asyncio.get_running_loop().time() - self._ready_at
            if here != self._size_ready or since > AGAIN_SECONDS_MAX:
                return False
            log.warning("this node has signed more of its log than anybody told it", here=here, there=judged.size)
            self._mirror.own_log_restored = False
            self.renew()
        self._promise(judged)
        return True

    async def run(self) -> None:
        """Return, and again whenever :meth:`renew` asks for it, until cancelled."""
        while True:
            self._again.clear()
            await self.once()
            await self._again.wait()

    async def once(self) -> None:
        """Return when this node may write, and has tried to take over the other logs.

        Peers that have not answered are asked again until it may write. It may never: when its own log has two
        histories (an alarm tells it), or when nobody gives the entries that it has signed.
        """
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(self._peers.each(self._ask, "ask"), name="ask")
            await self._wait_for_answers()
            version = self._network().version
            self._remembers.set()
            log.info("enough peers remember", answered=len(self.progress.answered), needed=self.progress.needed)
            others = group.create_task(self._take_over_others(version), name="take over")
            await self._return()
            asking.cancel()
            await others

    # Asking.

    async def _ask(self, peer: Peer) -> None:
        pace = Pace(RETRY_SECONDS_MIN, RETRY_SECONDS_MAX, peer.heard)
        last: Memory | None = None
        while True:
            try:
                memory = await peer.memory()
                promises = await asyncio.to_thread(self._judge, memory)
            except LedgerError as error:
                log.debug("a peer does not tell what it remembers", peer=peer.origin, error=str(error))
            else:
                self._learn(peer, memory, promises)
                self.progress.answered[peer.origin] = Answer(memory.version, memory.since)
                self.progress.needed = answers_needed(self._network(), self._mode)
                if memory.version < self._network().version:
                    log.info("a peer acts under an older network document", peer=peer.origin, version=memory.version)
                pace.reset()
                last = memory
            finally:
                self._tried.add(peer.origin)
                self._heard.set()
            await pace.pause()
            while last is not None and self._says_enough(peer, last):  # noqa: ASYNC110 - until that changes, if ever
                await asyncio.sleep(RETRY_SECONDS_MIN)

    def _says_enough(self, peer: Peer, memory: Memory) -> bool:
        """Tell whether nothing more can be had from a peer than this answer, which counts unless we begin once more."""
        network = self._network()
        bound = memory.since > 0 or network.before is None
        return peer.origin in self.progress.answered and memory.version >= network.version and bound

    def _judge(self, memory: Memory) -> list[Judged]:
        """Return the checkpoints of a memory that are signed by their logs; any other is worth nothing."""
        network = self._network()
        promises = []
        for origin, data in memory.checkpoints.items():
            try:
                note = parse_note(data)
                if note.text in self._seen:
                    continue
                judged = judge_checkpoint(note, network)
            except LedgerError as error:
                log.info("a remembered checkpoint does not verify", log=origin[:80], error=str(error))
                continue
            ruling = judged.owner.readmitted  # what was said below it counts no more, and it is fetched anyway
            if judged.checkpoint.origin == origin and (ruling is None or judged.size > ruling.size):
                promises.append(judged)
        return promises

    def _learn(self, peer: Peer, memory: Memory, promises: list[Judged]) -> None:
        for judged in promises:
            self._promise(judged)
        for origin in self._network().members:
            if (size := memory.sizes.get(origin)) is not None:
                peer.status.sizes.setdefault(origin, size)  # so that it is asked for them, too
        if peer.origin not in self.progress.answered:  # what was void the first time is void the second time
            self._claimed = max(self._claimed, memory.sizes.get(self._own, 0))

    def _promise(self, judged: Judged) -> None:
        text = judged.note.text
        if text not in self._seen:
            self._seen.add(text)
            self._promises.setdefault(judged.checkpoint.origin, {})[text] = judged

    def forget(self, origin: str) -> None:
        """Forget what was promised of a log: the governors have ruled which of it counts."""
        self._promises.pop(origin, None)

    def _promised(self, origin: str) -> list[Judged]:
        return list(self._promises.get(origin, {}).values())

    async def _wait_for_answers(self) -> None:
        """Wait for as many answers as it takes, and a moment for those that it does not take: they may know more."""
        loop = asyncio.get_running_loop()
        grace = loop.time() + GRACE_SECONDS
        while True:
            if enough(self._network(), self._own, self._mode, self.progress.answered) and (
                len(self._tried) == len(self._peers) or loop.time() >= grace
            ):
                return
            self._heard.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY_SECONDS_MIN):
                    await self._heard.wait()

    # The own log.

    async def _return(self) -> None:
        """Restore the own log, then write again."""
        delay = RETRY_SECONDS_MIN
        while self._is_behind():
            try:
                await self._fetch_own()
                await self.take_over(self._own)
            except FrozenError as frozen:  # until the governors have ruled
                self.progress.problem = frozen.message
                await asyncio.sleep(RETRY_SECONDS_MAX)
            except IntegrityAlarm as alarm:  # two histories of our own: somebody must look
                self.progress.problem = alarm.message
                return
            except LedgerError as error:
                self.progress.problem = str(error)
                self._repeats.failed("warning", NOT_RESTORED, {"log": self._own}, error)
                await asyncio.sleep(delay)
                delay = min(2 * delay, RETRY_SECONDS_MAX)
        self.progress.problem = None
        if self._again.is_set():
            return  # once more first
        self._mirror.own_log_restored = True
        self._size_ready, self._ready_at = self._mirror.state(self._own).size, asyncio.get_running_loop().time()
        self.restored = self._size_ready - self._size_before
        self._ready.set()
        self._repeats.over(NOT_RESTORED, {"log": self._own})
        log.info("the node may write", log=self._own, size=self._mirror.state(self._own).size)

    def _is_behind(self) -> bool:
        return bool(self._promised(self._own)) or self._claimed > self._mirror.state(self._own).size

    async def _fetch_own(self) -> None:
        """Fetch the entries of the own log that only peers have; a claim that nobody makes good is void then.

        Raises:
            PeerError: nobody gives what this node has promised, now.
            StoreError, BusyError, ReadOnlyError: they cannot be stored.
        """
        tries = 0
        while (before := self._mirror.state(self._own).size) < (claimed := self._claimed):
            log.warning("this node's store may be behind its own past", here=before, there=claimed)
            try:
                await self._mirror.catch_up(self._own, claimed, claimed=True)
            except PeerError as error:
                tries = 0 if self._mirror.state(self._own).size > before else tries + 1
                if tries < CLAIM_TRIES_MAX:
                    await asyncio.sleep(RETRY_SECONDS_MIN * tries)
                    continue
                log.warning("nobody gives entries that a peer claims to hold", here=before, there=claimed)
                log.info("why nobody does", error=str(error))
                self._claimed = before
        size = max((judged.size for judged in self._promised(self._own)), default=0)
        await self._mirror.catch_up(self._own, size)

    # The other logs.

    async def _take_over_others(self, version: int) -> None:
        """Take over what is remembered of the other logs; from then on this node's word counts for who asks it."""
        room = asyncio.Semaphore(LOGS_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for origin in list(self._promises):
                if origin != self._own:
                    group.create_task(self._try_to_take_over(origin, room), name=f"take over {origin}")
        with suppress(BusyError, ReadOnlyError, StoreError):  # it is said again after the next start
            if version > max(self.since, 1):
                bound = version.to_bytes(8, "big")
                await asyncio.wrap_future(
                    self._writer.submit(lambda transaction: transaction.batch.put(layout.BOUND_KEY, bound))
                )

    async def _try_to_take_over(self, origin: str, room: asyncio.Semaphore) -> None:
        async with room:
            try:
                await self.take_over(origin)
            except LedgerError as error:
                log.info("a log is not cosigned until its past is here", log=origin, error=str(error))

    async def take_over(self, origin: str) -> None:
        """Fetch the entries below the remembered checkpoints of a log, and remember the highest; else nothing to do.

        Raises:
            PeerError: nobody gives the entries now.
            IntegrityAlarm: the entries here are another history than one of the checkpoints, or the log is frozen.
        """
        while promised := await asyncio.to_thread(self._still_promised, origin):
            await asyncio.to_thread(self._compare, promised)
            self._equivocations.require_trusted(origin)
            best = max(promised, key=lambda judged: judged.size)
            await self._mirror.catch_up(origin, best.size)
            for judged in promised:
                await asyncio.to_thread(self._mirror.check_root, judged)
            await self._store(origin, best)
            for judged in promised:
                self._promises.get(origin, {}).pop(judged.note.text, None)

    def _still_promised(self, origin: str) -> list[Judged]:
        """Return what is promised of a log, without what was signed by a key that has ended since."""
        for judged in self._promised(origin):
            try:
                judge_checkpoint(judged.note, self._network())
            except KeyEndedError as error:
                log.info("a remembered checkpoint does not verify", log=origin, error=str(error))
                self._promises.get(origin, {}).pop(judged.note.text, None)
        return self._promised(origin)

    def _compare(self, promised: list[Judged]) -> None:
        """Hold promises of one size against each other: two that differ convict the log, whoever has the entries."""
        by_size: dict[int, Judged] = {}
        for judged in promised:
            self._equivocations.accuse_pair(by_size.setdefault(judged.size, judged), judged)

    async def _store(self, origin: str, best: Judged) -> None:
        def remember(transaction: Transaction) -> None:
            state = transaction.state(origin)
            if best.size > state.cosigned_head.size:
                state = logs.with_cosigned(state, best, transaction.batch)
                if state.checkpoint is None or state.checkpoint.size < best.size:
                    state = logs.with_checkpoint(state, best, transaction.batch)
                transaction.put_state(state)

        if best.size > self._mirror.state(origin).cosigned_head.size:
            await asyncio.wrap_future(self._writer.submit(remember))
