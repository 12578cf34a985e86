"""Comparing heads: what push has missed, pull repairs (protocol section 7).

At an interval, each peer is asked which logs it holds, how many entries with which root, how far they are confirmed and
signed. Where it knows more than this node, the checkpoint is fetched and, through the mirror, the entries below it,
from whoever has them:

- a larger confirmed size, or the same one for which a quorum has vouched later;
- a larger size that the log has signed, though no quorum has yet: what only one member holds must reach the others,
  for its owner may be gone for good;
- of a log whose root at the smaller of both sizes is not ours, the newest checkpoint: it shows who has two histories.

So a node that was down catches up, and an owner that is down for good does not stop its log from spreading. Neither a
log that cannot be had nor one that is in doubt holds up the others. What a peer shows that is older than what it has
proven already is counted against it.

A root is only a claim: of a log that a peer says it holds otherwise, it is asked for what the owner has signed, the
last entry that both hold and the newest checkpoint. Two signatures are a proof (node/equivocations.py), and the proofs
that a peer holds itself are fetched and judged (node/hearsay.py).
"""

import asyncio
from collections.abc import Callable, Mapping

import structlog

from ledger.errors import LedgerError, StoreError
from node.adoption import Adoption
from node.clock import Clock
from node.equivocations import Equivocations
from node.errors import BusyError, IntegrityAlarm, ReadOnlyError
from node.faults import PeerError, PeerRefusedError, PeerStaleError, not_verified
from node.hearsay import Hearsay
from node.logs import FRESH_SECONDS, LogState
from node.mirror import Mirror, UnknownVersionError
from node.peers import Peer, Peers
from node.repeats import Repeats
from node.told import Head, Seen

log = structlog.get_logger(__name__)

NOT_TAKEN = "a log is not taken"
VERSION_UNKNOWN = "a log acts under a version that is not here yet"
ANOTHER_HISTORY = "a peer shows another history"

FAILED_PEER_ROUNDS_MAX = 15  # a peer that keeps failing is asked that much more rarely at most
LOGS_AT_ONCE = 4  # of one peer: as many as it gets connections
SUSPECTS_MAX = 8  # logs of which a peer claims another root, looked at in one round
COMPARE_MS = 10_000  # how often, while a log grows, its root at one peer is compared with ours


class Gossip:
    """Asks every peer for its heads, again and again."""

    def __init__(
        self,
        *,
        mirror: Mirror,
        adoption: Adoption,
        peers: Peers,
        states: Callable[[], Mapping[str, LogState]],
        clock: Clock,
        equivocations: Equivocations,
        hearsay: Hearsay,
        interval_ms: int,
    ) -> None:
        self._repeats = Repeats(log)
        self._mirror = mirror
        self._adoption = adoption
        self._clock = clock
        self._equivocations = equivocations
        self._hearsay = hearsay
        self._peers = peers
        self._states = states
        self._interval = interval_ms / 1000

    async def run(self) -> None:
        """Compare heads until cancelled."""
        await self._peers.each(self._follow, "gossip with")

    async def _follow(self, peer: Peer) -> None:
        others = list(self._peers)
        number = others.index(peer.origin) if peer.origin in others else 0
        await asyncio.sleep(self._interval * number / (len(others) + 1) / 10)  # soon after the start, not all at once
        while True:
            try:
                await self.compare(peer)
            except PeerError as error:
                log.debug("comparing heads failed", peer=peer.origin, error=str(error))
                await self._hear_of_changes(peer, error)
            rounds = min(1 + peer.status.failures, FAILED_PEER_ROUNDS_MAX)
            await peer.heard.wait(self._interval * rounds, at_least=self._interval)

    async def compare(self, peer: Peer) -> None:
        """Ask one peer for its heads, and fetch what it knows better; trouble with one log is logged.

        Raises:
            PeerError: it did not answer.
        """
        self._equivocations.save()  # what the store could not take before
        proven = self._states().get(peer.origin)  # before it is asked: it cannot have less, unless it shows the past
        heads = await peer.logs()
        await self._adoption.hear(peer, heads.version)
        states = self._states()
        told = {origin: head for origin, head in heads.logs.items() if origin in states}
        await asyncio.to_thread(self._see, peer, told)
        own = told.get(peer.origin)
        if proven is not None and own is not None and own.size < proven.size and not self._is_cut(proven):
            peer.blame(PeerStaleError(f"it shows {own.size} entries of its own log, and has signed {proven.size}"))
        await self._hearsay.hear(peer, heads.equivocations)
        same_law = heads.version == self._adoption.charter.network.version
        room = asyncio.Semaphore(LOGS_AT_ONCE)
        suspects = 0
        async with asyncio.TaskGroup() as group:
            for origin, head in told.items():
                if self._wants(peer, origin, head):
                    suspects += peer.status.heads[origin].agrees is False
                    if suspects > SUSPECTS_MAX and peer.status.heads[origin].agrees is False:
                        continue
                    taking = self._take(peer, origin, head, room, same_law=same_law)
                    group.create_task(taking, name=f"take {origin}")

    def _is_cut(self, state: LogState) -> bool:
        """Tell whether a log has gone back as the governors have ruled, and what is here has not yet."""
        return state.readmitted != self._adoption.charter.network.member(state.origin).readmitted

    async def _hear_of_changes(self, peer: Peer, error: PeerError) -> None:
        """Ask a peer that refuses us for its network document: perhaps we are a member again, or have other keys."""
        if isinstance(error, PeerRefusedError):
            try:
                await self._adoption.ask(peer)
            except PeerError as again:
                log.debug("a peer does not tell its version", peer=peer.origin, error=str(again))

    def _see(self, peer: Peer, told: Mapping[str, Head]) -> None:
        """Note what a peer has told of each log, and compare its history with ours; reads tiles.

        While a log grows, its roots at one peer are compared every now and then only: each takes O(log n) reads, and
        there are as many as members squared.
        """
        now = self._clock.now_ms()
        for origin, head in told.items():
            before = peer.status.heads.get(origin)
            known = before is not None and before.head == head and before.agrees is not None
            recent = before is not None and before.compared_ms and now - before.compared_ms < COMPARE_MS
            agrees, compared = None, before.compared_ms if before is not None else 0
            if known and before is not None:
                agrees = before.agrees
            elif not recent and head.size <= self._mirror.state(origin).size:
                agrees, compared = self._agrees(origin, head), now
            peer.status.heads[origin] = Seen(head, now, agrees, compared)
            peer.status.sizes[origin] = head.size
            about = {"peer": peer.origin, "log": origin}
            if agrees is False and not known:
                self._repeats.failed("warning", ANOTHER_HISTORY, about, size=head.size)
            elif agrees:
                self._repeats.over(ANOTHER_HISTORY, about)

    def _agrees(self, origin: str, head: Head) -> bool | None:
        try:
            return self._mirror.agreement(origin, head) != "differs"
        except StoreError as error:  # our own tiles; the disk is looked at elsewhere
            log.warning("a log's tree cannot be read", log=origin, error=str(error), code=error.code)
            return None

    def _wants(self, peer: Peer, origin: str, head: Head) -> bool:
        state = self._states()[origin]
        if _is_better(head, state):  # by a quorum, also of a log that is frozen
            return True
        return self._mirror.is_usable(state) and (
            head.signed > (state.signed.size if state.signed is not None else 0)
            or peer.status.heads[origin].agrees is False
        )

    async def _take(self, peer: Peer, origin: str, head: Head, room: asyncio.Semaphore, *, same_law: bool) -> None:
        """Take what a peer knows better of one log; trouble with it is logged, and stops nothing else.

        It is counted against a peer that acts under the same network document: under another one, what it gives may
        well be right.
        """
        about = {"peer": peer.origin, "log": origin}
        async with room:
            try:
                if peer.status.heads[origin].agrees is False and self._mirror.is_usable(self._states()[origin]):
                    await self._compare_entries(peer, origin, head)
                if _is_better(head, self._states()[origin]):
                    await self._mirror.take_confirmed(await peer.checkpoint(origin), origin=origin, hint=peer.origin)
                    if same_law and _is_better(head, self._states()[origin]):
                        peer.blame(PeerStaleError(f"it tells a newer confirmed checkpoint of {origin} than it shows"))
                if self._mirror.is_usable(self._states()[origin]) and self._wants(peer, origin, head):
                    await self._mirror.take_signed(await peer.head(origin), origin=origin, hint=peer.origin)
            except UnknownVersionError:
                self._repeats.failed("info", VERSION_UNKNOWN, about)
            except PeerError as error:
                log.debug("a log could not be had", peer=peer.origin, log=origin, error=str(error))
            except (BusyError, ReadOnlyError, StoreError, IntegrityAlarm) as error:  # no fault of this peer
                self._repeats.failed("info" if isinstance(error, BusyError) else "warning", NOT_TAKEN, about, error)
            except LedgerError as error:
                self._mirror.fetcher.count_ended(error, origin)
                if same_law:
                    peer.blame(not_verified(f"its checkpoint of {origin}", error))
                self._repeats.failed("warning", NOT_TAKEN, about, error)
            else:
                self._repeats.over(NOT_TAKEN, about)
                self._repeats.over(VERSION_UNKNOWN, about)

    async def _compare_entries(self, peer: Peer, origin: str, head: Head) -> None:
        """Compare the last entry of what both hold: where two histories have parted, all entries after it differ."""
        try:
            raws = await peer.entries(origin, max(head.size - 1, 0), 1)
        except PeerError as error:
            about = {"peer": peer.origin, "log": origin}
            self._repeats.failed("info", "a peer does not show what it holds", about, error)
            return
        await asyncio.to_thread(self._equivocations.accuse_entries, origin, raws)
        self._equivocations.require_trusted(origin)


def _is_better(head: Head, state: LogState) -> bool:
    """Tell whether a peer claims a confirmed checkpoint that would be news, as far as it tells."""
    known = state.confirmed
    vouched = (known.vouched or 0) if known is not None else 0
    return head.confirmed > state.confirmed_size or (
        head.confirmed == state.confirmed_size > 0 and head.vouched // FRESH_SECONDS > vouched // FRESH_SECONDS
    )
