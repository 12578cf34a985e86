"""Comparing heads: what push has missed, pull repairs (protocol section 7).

At an interval, each peer is asked which logs it holds and how far they are confirmed; where it knows more than this
node, the confirmed checkpoint is fetched and, through the mirror, the entries below it, from whoever has them. So a
node that was down catches up, and an owner that is down for good does not stop its log from spreading. Neither a log
that cannot be had nor one that is in doubt holds up the others.
"""

import asyncio
from collections.abc import Callable, Mapping

import structlog

from ledger.errors import LedgerError
from node.adoption import Adoption
from node.logs import LogState
from node.mirror import Mirror, UnknownVersionError
from node.peers import Peer, PeerError, PeerRefusedError, Peers

log = structlog.get_logger(__name__)

FAILED_PEER_ROUNDS_MAX = 15  # a peer that keeps failing is asked that much more rarely at most
LOGS_AT_ONCE = 4  # of one peer: as many as it gets connections


class Gossip:
    """Asks every peer for its heads, again and again."""

    def __init__(
        self,
        *,
        mirror: Mirror,
        adoption: Adoption,
        peers: Peers,
        states: Callable[[], Mapping[str, LogState]],
        interval_ms: int,
    ) -> None:
        self._mirror = mirror
        self._adoption = adoption
        self._peers = peers
        self._states = states
        self._interval = interval_ms / 1000

    async def run(self) -> None:
        """Compare heads until cancelled."""
        await self._peers.each(self._follow, "gossip with")

    async def _follow(self, peer: Peer) -> None:
        number = list(self._peers).index(peer.origin)
        await asyncio.sleep(
            self._interval * number / len(self._peers) / 10
        )  # soon after the start, but not all at once
        while True:
            try:
                await self.compare(peer)
            except PeerError as error:
                log.debug("comparing heads failed", peer=peer.origin, error=str(error))
                await self._hear_of_changes(peer, error)
            rounds = min(1 + peer.status.failures, FAILED_PEER_ROUNDS_MAX)
            await asyncio.sleep(self._interval * rounds)

    async def compare(self, peer: Peer) -> None:
        """Ask one peer for its heads, and fetch what it knows better; trouble with one log is logged.

        Raises:
            PeerError: it did not answer.
        """
        heads = await peer.logs()
        await self._adoption.hear(peer, heads.version)
        states = self._states()
        news = []
        for origin, head in heads.logs.items():
            if origin in states:
                peer.status.sizes[origin] = head.size
                peer.status.confirmed[origin] = head.confirmed
                if head.confirmed > states[origin].confirmed_size:
                    news.append(origin)
        room = asyncio.Semaphore(LOGS_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for origin in news:
                group.create_task(self._take(peer, origin, room), name=f"take {origin}")

    async def _hear_of_changes(self, peer: Peer, error: PeerError) -> None:
        """Ask a peer that refuses us for its network document: perhaps we are a member again, or have other keys."""
        if isinstance(error, PeerRefusedError):
            try:
                await self._adoption.ask(peer)
            except PeerError as again:
                log.debug("a peer does not tell its version", peer=peer.origin, error=str(again))

    async def _take(self, peer: Peer, origin: str, room: asyncio.Semaphore) -> None:
        async with room:
            try:
                data = await peer.checkpoint(origin)
                await self._mirror.take_confirmed(data, origin=origin, hint=peer.origin)
            except UnknownVersionError:
                log.info("a log acts under a version that is not here yet", peer=peer.origin, log=origin)
            except PeerError as error:
                log.debug("a log could not be had", peer=peer.origin, log=origin, error=str(error))
            except LedgerError as error:
                log.warning("a log is not taken", peer=peer.origin, log=origin, error=str(error), code=error.code)
