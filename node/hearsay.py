"""Hearsay: proofs that peers list are fetched, and judged here before they count (protocol section 7.4).

What proves nothing is fetched once, and of a peer that gives too much of it nothing more, until there is a newer
network document: under that one it may be judged otherwise.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable

import structlog

from ledger.errors import LedgerError
from ledger.network import Network
from node.equivocations import Equivocations
from node.faults import PeerBusyError, PeerError, PeerFalseError, PeerUnreachableError
from node.metrics import Metrics
from node.peers import Peer
from node.told import IDS_MAX

log = structlog.get_logger(__name__)

PROOFS_AT_ONCE = 4  # fetched from a peer in one round
GARBAGE_MAX = 32  # files of a peer that prove nothing; after that it is not asked for any under this document


class Hearsay:
    """Fetches the proofs that peers hold; what proves nothing is remembered, and so is who has given it."""

    def __init__(self, equivocations: Equivocations, network: Callable[[], Network], metrics: Metrics) -> None:
        self._equivocations = equivocations
        self._network = network
        self._metrics = metrics
        self._version = 0  # of the network document under which the rest was learnt
        self._heard: set[str] = set()  # judged, and not kept: there are others like it
        self._garbage: defaultdict[str, set[str]] = defaultdict(set)  # ids by peer

    async def hear(self, peer: Peer, names: tuple[str, ...]) -> None:
        """Fetch and judge some of the proofs that a peer lists and this node has not seen."""
        if self._version != self._network().version:  # it may judge otherwise
            self._version = self._network().version
            self._heard.clear()
            self._garbage.clear()
        garbage = self._garbage[peer.origin]
        news = (one for one in names if one not in garbage | self._heard and not self._equivocations.knows(one))
        for name, _ in zip(news, range(PROOFS_AT_ONCE), strict=False):
            if len(garbage) >= GARBAGE_MAX:
                return
            try:
                data = await peer.equivocation(name)
                kept = await asyncio.to_thread(self._equivocations.take, data)
            except (PeerUnreachableError, PeerBusyError):
                return  # it will be asked again
            except LedgerError as error:
                garbage.add(name)
                if not isinstance(error, PeerError):  # those are counted where they arise
                    peer.blame(PeerFalseError(f"its proof {name[:16]}: {error}"))
                self._metrics.proofs_refused.labels(peer.origin).inc()
                log.warning("a peer's proof proves nothing", peer=peer.origin, proof=name, error=str(error))
                continue
            if kept.id != name or not kept.standing:
                self._remember(name)

    def _remember(self, name: str) -> None:
        if len(self._heard) >= 10 * IDS_MAX:  # only a log's owner can sign so many
            self._heard.clear()
        self._heard.add(name)
