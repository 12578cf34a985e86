"""The publisher: has checkpoints of this node's own log signed and gathers the quorum for them (protocol section 7).

1. Have a checkpoint signed (node/checkpoints.py).
2. Push to every peer at once. A slow peer delays nobody; it is pushed the newest checkpoint whenever it is done with an
   older one.
3. With the quorum, store the checkpoint with its cosignatures, tell the callers that wait, and give it to the peers.
4. When the log has been idle for the refresh interval, have its newest checkpoint cosigned again: a cosignature says
   when it was given, so that whoever reads the log sees that it is not frozen.

One checkpoint at a time is in the making: a new one is signed when the last one is confirmed, or when it has waited too
long and there is news, so that cosignatures do not scatter over ever newer sizes. A log in doubt gets no checkpoint.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from ledger.cosignature import add_signatures, cosign
from ledger.errors import LedgerError
from ledger.merkle import TreeSize, prove_consistency
from ledger.network import Member, Network
from ledger.note import SIGNATURES_MAX, Signature
from ledger.quorum import Judged, judge_checkpoint
from ledger.store import Store
from ledger.witness_request import AddCheckpoint
from node import logs
from node.checkpoints import Checkpoints
from node.clock import Clock
from node.errors import BusyError, IntegrityAlarm
from node.faults import PeerBusyError, PeerError, PeerFalseError, PeerMalformedError, StaleSizeError
from node.keys import NodeKeys
from node.metrics import Metrics
from node.pacing import Pace, Pushed
from node.peers import Peer, Peers
from node.repeats import Level, Repeats
from node.writer import Transaction, Writer

log = structlog.get_logger(__name__)

NO_CHECKPOINT = "no checkpoint could be made"

PUSH_FAILED = "a push failed"
WAITS = "a checkpoint waits for its quorum"

RETRY_SECONDS_MIN = 0.25
RETRY_SECONDS_MAX = 15.0
BUSY_SECONDS = 0.5  # and longer each time that a peer asks to come again
BUSY_SECONDS_MAX = 8.0  # a peer says so at once, or after the four seconds that it waits for the entries
STALE_MAX = 3  # corrections of our idea of a peer's size in a row; one that never settles is only asked slowly
REFRESH_LOOK_SECONDS = 30.0  # how often an idle publisher looks at the clock
REFRESH_RETRY_SECONDS = 60.0  # when the quorum did not answer
GRACE_SECONDS = 2.0  # how long a confirmed checkpoint waits for the cosignatures that the quorum did not need


@dataclass(slots=True)
class Round:
    """One checkpoint on its way to the quorum."""

    judged: Judged
    network: Network  # under which its cosignatures are counted
    started_ms: int
    earlier: dict[str, Signature] = field(default_factory=dict)  # of the same checkpoint, from the time before
    cosignatures: dict[str, Signature] = field(default_factory=dict)  # by member's origin, this node's own included
    over: asyncio.Event = field(default_factory=asyncio.Event)  # the quorum is reached, or cannot be any more
    complete: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def size(self) -> int:
        """The checkpoint's size."""
        return self.judged.size


class Publisher:
    """Makes this node's checkpoints and has them cosigned."""

    def __init__(  # noqa: PLR0913 - one line per part of the node that it works with
        self,
        *,
        own: str,
        keys: Callable[[], NodeKeys],
        store: Store,
        writer: Writer,
        checkpoints: Checkpoints,
        network: Callable[[], Network],
        peers: Peers,
        clock: Clock,
        metrics: Metrics,
        interval_ms: int,
        timeout_ms: int,
        refresh_ms: int,
        alarms: Mapping[str, str],
        alarm: Callable[[IntegrityAlarm], None],
        return_again: Callable[[Judged], bool],
    ) -> None:
        """Publish from ``store``; ``alarms`` are those that are raised, by log, and ``alarm`` raises one.

        ``return_again`` is told of a checkpoint above our size that our own log has signed (node/recovery.py).
        """
        self._repeats = Repeats(log)
        self._own = own
        self._keys = keys
        self._store = store
        self._writer = writer
        self._checkpoints = checkpoints
        self._network = network
        self._peers = peers
        self._clock = clock
        self._metrics = metrics
        self._interval = interval_ms / 1000
        self._timeout = timeout_ms / 1000
        self._refresh_ms = refresh_ms
        self._alarms = alarms
        self._alarm = alarm
        self._return_again = return_again
        self._news = asyncio.Event()
        self._round: Round | None = None
        self._confirmed: bytes | None = None  # the newest checkpoint with a quorum, since the start
        self._refresh_again_ms = 0  # not before that
        self._told: dict[str, bytes] = {}  # the one that each peer was given last
        self._pushed = asyncio.Condition()

    def notice(self) -> None:
        """Tell the publisher that the log may have grown; from the event loop's thread."""
        self._news.set()

    def network_changed(self) -> None:
        """Give up the checkpoint in the making: other members count, and the log is about to say so.

        It may have been begun under the new network already, between its coming into force and this call.
        """
        self._news.set()
        if self._round is not None and self._round.network is not self._network():
            self._round.over.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._peers.each(self._push_to, "push to"), name="push")
            group.create_task(self._peers.each(self._tell, "tell"), name="tell")
            group.create_task(self._publish(), name="publish")

    async def _publish(self) -> None:
        loop = asyncio.get_running_loop()
        self._news.set()  # whatever a crash left without its quorum
        delay = RETRY_SECONDS_MIN
        while True:
            await self._wait_for_work()
            self._news.clear()
            if self._own in self._alarms:  # until the governors have settled it, if they can
                continue
            started = loop.time()
            try:
                judged = await self._signed()
                if judged is not None:
                    await self._gather(judged)
                    await asyncio.sleep(max(0.0, self._interval - (loop.time() - started)))
                elif (stale := self._stale()) is not None:
                    await self._refresh(stale)
                delay = RETRY_SECONDS_MIN
                self._repeats.over(NO_CHECKPOINT, {})
            except IntegrityAlarm as alarm:
                self._alarm(alarm)
                return
            except LedgerError as error:
                level: Level = "info" if isinstance(error, BusyError) else "error"
                self._repeats.failed(level, NO_CHECKPOINT, {}, error, again_in_s=delay)
                await asyncio.sleep(delay)
                delay = min(2 * delay, RETRY_SECONDS_MAX)
                self._news.set()

    async def _signed(self) -> Judged | None:
        """Have the log signed as it stands; None where no checkpoint is wanted."""
        state = self._writer.states[self._own]
        if self._checkpoints.are_many(state):
            await asyncio.to_thread(self._checkpoints.look_ahead, self._store, state)
        return await asyncio.wrap_future(self._writer.submit(self._checkpoints.sign))

    async def _wait_for_work(self) -> None:
        """Return when there is news, or when the idle log's checkpoint wants fresh cosignatures."""
        while not self._news.is_set() and self._stale() is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_LOOK_SECONDS if self._refresh_ms else None):
                    await self._news.wait()

    def _stale(self) -> Judged | None:
        """Return the newest checkpoint, if it is confirmed and its quorum has vouched for it too long ago."""
        if self._own in self._alarms:
            return None
        state = self._writer.states[self._own]
        known = state.confirmed
        if not self._refresh_ms or known is None or known.vouched is None or known.size != state.size:
            return None
        if not self._checkpoints.can_be_confirmed(state):
            return None
        now = self._clock.now_ms()
        if now < self._refresh_again_ms or now - 1000 * known.vouched < self._refresh_ms:
            return None
        return known

    async def _refresh(self, known: Judged) -> None:
        """Have a confirmed checkpoint cosigned again, once; whoever does not answer now keeps the older cosignature."""
        self._refresh_again_ms = self._clock.now_ms() + int(1000 * REFRESH_RETRY_SECONDS)
        network = self._network()
        judged = await asyncio.to_thread(judge_checkpoint, known.bare, network)
        current = Round(judged, network, self._clock.now_ms())
        for signature in known.note.signatures:
            if (member := network.voters.get((signature.name, signature.key_id))) is not None:
                current.earlier[member.origin] = signature
        await self._begin(current)
        try:
            async with asyncio.timeout(self._timeout):
                await current.over.wait()
        except TimeoutError:
            log.info("no quorum for fresh cosignatures", size=current.size, cosigned=len(current.cosignatures))
            return
        if len(current.cosignatures) < network.quorum:  # the network has changed meanwhile
            return
        await self._linger(current)
        await self._confirm(current)
        self._metrics.refreshed.inc()

    async def _begin(self, current: Round) -> None:
        """Cosign a checkpoint, and have it pushed to every peer."""
        if self._is_voter(current.network.member(self._own)):
            time = self._clock.now_ms() // 1000
            signer, checkpoint = self._keys().cosigner, current.judged.checkpoint
            self._add(current, self._own, await asyncio.to_thread(cosign, signer, checkpoint, time=time))
        async with self._pushed:
            self._round = current
            self._pushed.notify_all()

    async def _gather(self, judged: Judged) -> None:
        """Have one checkpoint cosigned, until the quorum is reached or there is something newer to say."""
        current = self._round
        network = self._network()
        if current is None or current.judged is not judged or current.network is not network:
            current = Round(judged, network, self._clock.now_ms())
            await self._begin(current)
        while not current.over.is_set():
            try:
                async with asyncio.timeout(self._timeout):
                    await current.over.wait()
            except TimeoutError:
                cosigned = len(current.cosignatures)
                self._repeats.failed("warning", WAITS, {}, size=current.size, cosigned=cosigned, needed=network.quorum)
                if self._news.is_set():
                    return
        if current.network is not self._network():
            return
        stored = await self._confirm(current)
        self._repeats.over(WAITS, {})
        self._metrics.confirm_seconds.observe((self._clock.now_ms() - current.started_ms) / 1000)
        self._metrics.confirmations.inc()
        if not self._news.is_set():
            await self._wait_for_the_rest(current, stored)

    async def _wait_for_the_rest(self, current: Round, stored: int) -> None:
        """Keep a quiet log's checkpoint open for the cosignatures that the quorum, of ``stored`` ones, did not need."""
        await self._linger(current)
        if len(current.cosignatures) > stored:
            await self._confirm(current)

    async def _linger(self, current: Round) -> None:
        """Wait a moment for everybody, but not while there is news."""
        waits = [asyncio.create_task(current.complete.wait()), asyncio.create_task(self._news.wait())]
        try:
            await asyncio.wait(waits, timeout=GRACE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()

    async def _confirm(self, current: Round) -> int:
        """Store a checkpoint with its cosignatures and give it to the peers; return how many of them it has."""
        room = SIGNATURES_MAX - len(current.judged.note.signatures)
        signatures = current.cosignatures | {
            origin: signature
            for origin, signature in current.earlier.items()
            if origin not in current.cosignatures
        }  # fmt: skip
        note = add_signatures(current.judged.note, list(signatures.values())[:room])
        known = self._writer.states[self._own].confirmed
        least = current.network.version
        judged = await asyncio.to_thread(judge_checkpoint, note, current.network, at_least=least, before=known)
        assert judged.confirmed  # every cosignature was verified when it came

        def store(transaction: Transaction) -> None:
            state = transaction.state(self._own)
            transaction.put_state(logs.with_confirmed(state, judged, transaction.batch))

        await asyncio.wrap_future(self._writer.submit(store))
        async with self._pushed:
            self._confirmed = note.encode()
            self._pushed.notify_all()
        return len(judged.cosigners)

    def _add(self, current: Round, origin: str, signature: Signature) -> None:
        current.cosignatures[origin] = signature
        network = current.network
        if len(current.cosignatures) >= network.quorum:
            current.over.set()
        if len(current.cosignatures) >= len(network.voters):
            current.complete.set()

    # Pushing: one task per peer.

    async def _push_to(self, peer: Peer) -> None:
        pushed: Pushed[Round] = Pushed(Pace(RETRY_SECONDS_MIN, RETRY_SECONDS_MAX, peer.heard))
        busy = Pace(BUSY_SECONDS, BUSY_SECONDS_MAX, peer.heard)
        while True:
            async with self._pushed:
                await self._pushed.wait_for(lambda: self._round is not None and self._round is not pushed.done)
            current = self._round
            assert current is not None
            if not self._is_voter(peer.member):
                pushed.done = current
                continue
            try:
                pushed.cosigned(current, await self._push(peer, current, pushed.known))
                busy.reset()
                self._repeats.over(PUSH_FAILED, {"peer": peer.origin})
            except StaleSizeError as error:
                if error.size <= self._writer.states[self._own].size:
                    await self._corrected(pushed, current, error.size)
                elif (ahead := await self._proven_ahead(peer)) is not None:
                    if not self._return_again(ahead):
                        self._raise_ahead(peer, ahead)
                        return
                    await pushed.pace.pause()
                else:  # anybody can write a number into an answer
                    peer.blame(PeerFalseError(f"it claims {error.size} entries of this node's log, and proves none"))
                    self._repeats.failed(
                        "warning",
                        "a peer claims more of this log than there is",
                        {"peer": peer.origin},
                        size=error.size,
                    )
                    await pushed.pace.pause()
            except PeerBusyError:
                await busy.pause()
            except LedgerError as error:
                if not isinstance(error, PeerError):
                    peer.blame(PeerFalseError(f"its cosignature: {error}"))
                self._repeats.failed("info", PUSH_FAILED, {"peer": peer.origin}, error, again_in_s=pushed.pace.delay)
                await pushed.pace.pause()

    @staticmethod
    async def _corrected(pushed: Pushed[Round], current: Round, size: int) -> None:
        """Take over what the peer says that it has cosigned last."""
        pushed.stale += 1
        if pushed.stale > STALE_MAX:
            await pushed.pace.pause()
        if size > current.size:
            pushed.done = current  # superseded: the peer has cosigned a newer one of ours
        pushed.known = size

    async def _proven_ahead(self, peer: Peer) -> Judged | None:
        """Return the checkpoint above our size that a peer holds and our own key has signed, if there is one."""
        try:
            data = await peer.checkpoint(self._own)
            judged = await asyncio.to_thread(judge_checkpoint, data, self._network())
        except LedgerError as error:
            log.info("a claim of a larger size is not proven", peer=peer.origin, error=str(error))
            return None
        is_ahead = judged.checkpoint.origin == self._own and judged.size > self._writer.states[self._own].size
        return judged if is_ahead else None

    def _raise_ahead(self, peer: Peer, ahead: Judged) -> None:
        own = self._writer.states[self._own].size
        self._alarm(
            IntegrityAlarm(
                f"{peer.origin} holds a checkpoint of {ahead.size} entries that this node has signed, which has {own}",
                field=self._own,
                cause="ahead",
            )
        )

    async def _tell(self, peer: Peer) -> None:
        """Give a peer each newest confirmed checkpoint; what it misses it will ask for."""
        while True:
            async with self._pushed:
                await self._pushed.wait_for(lambda: self._confirmed is not self._told.get(peer.origin))
            told = self._confirmed
            assert told is not None
            self._told[peer.origin] = told
            if peer.status.reachable is False:
                continue
            try:
                await peer.send_checkpoint(self._own, told)
            except LedgerError as error:
                log.debug("a confirmed checkpoint was not taken", peer=peer.origin, error=str(error))

    async def _push(self, peer: Peer, current: Round, known: int) -> int:
        known = min(known, self._writer.states[self._own].size)  # a ruling may have made the log shorter
        proof = await asyncio.to_thread(self._prove, known, current.size)
        body = AddCheckpoint(TreeSize(known), tuple(proof), current.judged.bare).encode()
        signatures = await peer.add_checkpoint(body)
        verifier = peer.member.cosigner
        for signature in signatures:
            if (signature.name, signature.key_id) == (verifier.name, verifier.key_id):
                verifier.verify(current.judged.checkpoint.text, signature)
                if self._is_voter(peer.member, current.network):
                    self._add(current, peer.origin, signature)
                return current.size
        missing = PeerMalformedError(f"{peer.origin} answered without a cosignature of its own")
        peer.blame(missing)
        raise missing

    def _prove(self, old: int, new: int) -> list[bytes]:
        if old in (0, new):
            return []
        reader = logs.hash_reader(self._store, self._writer.states[self._own], new)
        return prove_consistency(reader, old_size=TreeSize(old), new_size=TreeSize(new))

    def _is_voter(self, member: Member, network: Network | None = None) -> bool:
        voters = (self._network() if network is None else network).voters
        return (member.cosigner.name, member.cosigner.key_id) in voters
