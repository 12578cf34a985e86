"""The publisher: signs checkpoints of this node's own log and gathers the quorum for them (protocol section 7).

1. Re-read the entries since the last checkpoint and hash them again: what is signed is what is on the disk.
2. Write the head file, then the checkpoint. A crash between the two: the entries are there, the head file is right.
3. Push to every peer at once. A slow peer delays nobody; it is pushed the newest checkpoint whenever it is done with an older one.
4. With the quorum, store the checkpoint with its cosignatures, tell the callers that wait, and give it to the peers.

One checkpoint at a time is in the making: a new one is signed when the last one is confirmed, or when it has waited too long and
there is news, so that cosignatures do not scatter over ever newer sizes.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.cosignature import add_signatures, cosign
from ledger.errors import LedgerError, StoreCorruptError
from ledger.merkle import TreeSize, leaf_hash, prove_consistency
from ledger.network import Member, Network
from ledger.note import Note, Signature
from ledger.quorum import Judged, judge_checkpoint
from ledger.store import Store
from ledger.store.headfile import write_head
from ledger.store.protocol import prefix_end
from ledger.witness_request import AddCheckpoint
from node import layout, logs
from node.clock import Clock
from node.errors import IntegrityAlarm
from node.keys import NodeKeys
from node.logs import LogState
from node.metrics import Metrics
from node.peers import Peer, PeerBusyError, PeerError, StaleSizeError
from node.writer import Transaction, Writer

log = structlog.get_logger(__name__)

RETRY_SECONDS_MIN = 0.25
RETRY_SECONDS_MAX = 15.0
BUSY_SECONDS = 0.5
STALE_MAX = 3  # corrections of our idea of a peer's size in a row; one that never settles is only asked slowly
GRACE_SECONDS = 2.0  # how long a confirmed checkpoint waits for the cosignatures that the quorum did not need


@dataclass(slots=True)
class Round:
    """One checkpoint on its way to the quorum."""

    judged: Judged
    started_ms: int
    cosignatures: dict[str, Signature] = field(default_factory=dict)  # by member's origin, this node's own included
    quorum: asyncio.Event = field(default_factory=asyncio.Event)
    complete: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def size(self) -> int:
        """The checkpoint's size."""
        return self.judged.size


class Publisher:
    """Makes this node's checkpoints and has them cosigned."""

    def __init__(
        self,
        *,
        own: str,
        keys: NodeKeys,
        store: Store,
        writer: Writer,
        network: Callable[[], Network],
        peers: Mapping[str, Peer],
        clock: Clock,
        metrics: Metrics,
        head_file: Path,
        interval_ms: int,
        timeout_ms: int,
        alarm: Callable[[IntegrityAlarm], None],
    ) -> None:
        self._own = own
        self._keys = keys
        self._store = store
        self._writer = writer
        self._network = network
        self._peers = peers
        self._clock = clock
        self._metrics = metrics
        self._head_file = head_file
        self._interval = interval_ms / 1000
        self._timeout = timeout_ms / 1000
        self._alarm = alarm
        self._news = asyncio.Event()
        self._round: Round | None = None
        self._confirmed: bytes | None = None
        self._pushed = asyncio.Condition()

    def notice(self) -> None:
        """Tell the publisher that the log may have grown; from the event loop's thread."""
        self._news.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        async with asyncio.TaskGroup() as group:
            for peer in self._peers.values():
                group.create_task(self._push_to(peer), name=f"push to {peer.origin}")
                group.create_task(self._tell(peer), name=f"tell {peer.origin}")
            group.create_task(self._publish(), name="publish")

    async def _publish(self) -> None:
        loop = asyncio.get_running_loop()
        self._news.set()  # whatever a crash left without its quorum
        while True:
            await self._news.wait()
            self._news.clear()
            started = loop.time()
            try:
                judged = await asyncio.wrap_future(self._writer.submit(self._sign))
            except IntegrityAlarm as alarm:
                self._alarm(alarm)
                return
            except LedgerError as error:
                log.error("no checkpoint could be signed", error=str(error), code=error.code)
                await asyncio.sleep(RETRY_SECONDS_MAX)
                self._news.set()
                continue
            if judged is None:
                continue
            await self._gather(judged)
            await asyncio.sleep(max(0.0, self._interval - (loop.time() - started)))

    async def _gather(self, judged: Judged) -> None:
        """Have one checkpoint cosigned, until the quorum is reached or there is something newer to say."""
        current = Round(judged, self._clock.now_ms())
        self._add(current, self._own, cosign(self._keys.cosigner, judged.checkpoint, time=self._clock.now_ms() // 1000))
        async with self._pushed:
            self._round = current
            self._pushed.notify_all()
        while not current.quorum.is_set():
            try:
                async with asyncio.timeout(self._timeout):
                    await current.quorum.wait()
            except TimeoutError:
                log.warning(
                    "a checkpoint waits for its quorum",
                    size=current.size,
                    cosigned=len(current.cosignatures),
                    needed=self._network().quorum,
                )
                if self._news.is_set():
                    return
        await self._confirm(current)
        self._metrics.confirm_seconds.observe((self._clock.now_ms() - current.started_ms) / 1000)
        self._metrics.confirmations.inc()
        if not self._news.is_set() and not current.complete.is_set():
            await self._wait_for_the_rest(current)

    async def _wait_for_the_rest(self, current: Round) -> None:
        """Keep a quiet log's checkpoint open for the cosignatures that the quorum did not need."""
        waits = [asyncio.create_task(current.complete.wait()), asyncio.create_task(self._news.wait())]
        await asyncio.wait(waits, timeout=GRACE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for task in waits:
            task.cancel()
        if current.complete.is_set():
            await self._confirm(current)

    async def _confirm(self, current: Round) -> None:
        """Store a checkpoint with its cosignatures and give it to the peers."""
        note = add_signatures(current.judged.note, list(current.cosignatures.values()))
        judged = await asyncio.to_thread(judge_checkpoint, note, self._network())
        assert judged.confirmed  # every cosignature was verified when it came

        def store(transaction: Transaction) -> None:
            state = transaction.state(self._own)
            transaction.put_state(logs.with_confirmed(state, judged, transaction.batch))

        await asyncio.wrap_future(self._writer.submit(store))
        async with self._pushed:
            self._confirmed = note.encode()
            self._pushed.notify_all()

    def _add(self, current: Round, origin: str, signature: Signature) -> None:
        current.cosignatures[origin] = signature
        network = self._network()
        if len(current.cosignatures) >= network.quorum:
            current.quorum.set()
        if len(current.cosignatures) >= len(network.voters):
            current.complete.set()

    # Signing: in the writer's thread.

    def _sign(self, transaction: Transaction) -> Judged | None:
        state = transaction.committed(self._own)
        if state.size == 0 or (state.confirmed is not None and state.confirmed.size == state.size):
            return None
        if state.checkpoint is not None and state.checkpoint.size == state.size:
            return state.checkpoint
        self._rehash(transaction, state)
        checkpoint = Checkpoint(self._own, TreeSize(state.size), state.edge.root())
        note = sign_checkpoint(self._keys.log, checkpoint)
        judged = judge_checkpoint(note, self._network())
        write_head(self._head_file, note.encode())
        state = logs.with_checkpoint(transaction.state(self._own), judged, transaction.batch)
        transaction.put_state(logs.with_cosigned(state, judged, transaction.batch))
        return judged

    def _rehash(self, transaction: Transaction, state: LogState) -> None:
        """Compare the stored entries since the last checkpoint with the stored tree (one bit flip once retired a public log).

        Raises:
            IntegrityAlarm: they differ.
        """
        start = state.checkpoint.size if state.checkpoint is not None else 0
        stored = transaction.store.scan(layout.entry_key(state.log, start), prefix_end(b"E" + state.log))
        leaves = [leaf_hash(raw) for _, raw in stored]
        before = logs.read_edge(transaction.store, state, start)
        if len(leaves) < state.size - start:
            raise StoreCorruptError(f"{state.size - start - len(leaves)} entries are missing", field=self._own)
        again, _ = before.extended(leaves[: state.size - start])
        if again.root() != state.edge.root():
            raise IntegrityAlarm(
                f"the entries {start} to {state.size - 1} on the disk are not those that were recorded", field=self._own
            )

    # Pushing: one task per peer.

    async def _push_to(self, peer: Peer) -> None:
        known = 0  # what the peer has cosigned last, as far as is known; it corrects us
        delay = RETRY_SECONDS_MIN
        done: Judged | None = None
        stale = 0
        while True:
            async with self._pushed:
                await self._pushed.wait_for(lambda: self._round is not None and self._round.judged is not done)
            current = self._round
            assert current is not None
            if not self._is_voter(peer.member):
                done = current.judged
                continue
            try:
                known = await self._push(peer, current, known)
                done, delay, stale = current.judged, RETRY_SECONDS_MIN, 0
            except StaleSizeError as error:
                stale += 1
                if stale > STALE_MAX:
                    await asyncio.sleep(delay)
                    delay = min(2 * delay, RETRY_SECONDS_MAX)
                if error.size > current.size and error.size > self._writer.states[self._own].size:
                    self._alarm(
                        IntegrityAlarm(
                            f"{peer.origin} has cosigned {error.size} entries of this node's log, "
                            f"which has {self._writer.states[self._own].size}",
                            field=self._own,
                        )
                    )
                    return
                if error.size > current.size:
                    done = current.judged  # superseded: the peer has cosigned a newer one of ours
                known = error.size
            except PeerBusyError:
                await asyncio.sleep(BUSY_SECONDS)
            except (PeerError, LedgerError) as error:
                log.info(
                    "a push failed", peer=peer.origin, error=str(error), code=error.code, again_in_s=round(delay, 2)
                )
                await asyncio.sleep(delay)
                delay = min(2 * delay, RETRY_SECONDS_MAX)

    async def _tell(self, peer: Peer) -> None:
        """Give a peer the newest confirmed checkpoint, each time that there is a newer one; what it misses it will ask for."""
        told: bytes | None = None
        while True:
            async with self._pushed:
                await self._pushed.wait_for(lambda: self._confirmed is not told)
            told = self._confirmed
            if told is None or peer.status.reachable is False:
                continue
            try:
                await peer.send_checkpoint(self._own, told)
            except PeerError as error:
                log.debug("a confirmed checkpoint was not taken", peer=peer.origin, error=str(error))

    async def _push(self, peer: Peer, current: Round, known: int) -> int:
        proof = await asyncio.to_thread(self._prove, known, current.size)
        body = AddCheckpoint(TreeSize(known), tuple(proof), _bare(current.judged)).encode()
        signatures = await peer.add_checkpoint(body)
        verifier = peer.member.cosigner
        for signature in signatures:
            if (signature.name, signature.key_id) == (verifier.name, verifier.key_id):
                verifier.verify(current.judged.checkpoint.text, signature)
                self._add(current, peer.origin, signature)
                return current.size
        raise PeerError(f"{peer.origin} answered without a cosignature of its own")

    def _prove(self, old: int, new: int) -> list[bytes]:
        if old in (0, new):
            return []
        reader = logs.hash_reader(self._store, self._writer.states[self._own], new)
        return prove_consistency(reader, old_size=TreeSize(old), new_size=TreeSize(new))

    def _is_voter(self, member: Member) -> bool:
        return (member.cosigner.name, member.cosigner.key_id) in self._network().voters


def _bare(judged: Judged) -> Note:
    """The checkpoint with the log's own signature alone: what a witness needs."""
    own = [signature for signature in judged.note.signatures if signature.name == judged.checkpoint.origin]
    return Note(judged.note.text, tuple(own))
