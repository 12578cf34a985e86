"""The network document in force, and how a newer version takes its place while the node runs (protocol section 8).

1. A document comes, from the operator or from a peer that acts under a newer version. It must begin with every version
   that this node has acted under, and each step must be signed by the thresholds of both versions' governors.
2. It is written to the disk, whole. A crash before it: the node starts under the old version, and hears of it again.
   After it: the node starts under the new one.
3. The node acts under it: members, peers, quorum, keys, the logs of new members.
4. The node's own log says so, in an entry ``network.adopt``. A crash before it: it is written at the next start.

From 4 on the log's checkpoints need the new version's quorum; and from 3 on this node cosigns a log only where that log
acts under the same version. So whoever joins can hear of all that was cosigned under an older one before he votes.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from ledger.encoding import JsonObject, canonical_json, encode_base64
from ledger.errors import LedgerError, NetworkError
from ledger.event import NetworkAdopt
from ledger.network import Network
from ledger.versions import verify_chain
from node.errors import IntegrityAlarm
from node.faults import PeerError, PeerRefusedError
from node.peers import Peer
from node.sequencer import Sequencer
from node.setup import replace_file
from node.submission import Prepared, Submission
from node.writer import Writer

log = structlog.get_logger(__name__)

RETRY_SECONDS_MIN = 0.2
RETRY_SECONDS_MAX = 10.0


class NetworkForkError(NetworkError):
    """The governors have signed two different versions of one number."""

    code = "network_fork"
    hint = "two histories of the network itself: ask the governors, by another way than the network, which one counts"


@dataclass(frozen=True, slots=True)
class Charter:
    """A network document: its newest version, verified, and the bytes of all versions."""

    network: Network
    document: bytes


class Adoption:
    """Keeps the network document in force."""

    def __init__(  # noqa: PLR0913 - one line per part of the node that it works with
        self,
        charter: Charter,
        *,
        own: str,
        fingerprint: str,
        path: Path,
        writer: Writer,
        sequencer: Sequencer,
        enter: Callable[[Charter], Awaitable[None]],
        alarm: Callable[[IntegrityAlarm], None],
        alarms: Mapping[str, str],
        random: Callable[[int], bytes],
        wait_ready: Callable[[], Awaitable[None]],
    ) -> None:
        """Begin with ``charter``, whose file is ``path``; ``enter`` makes the node act under a newer one.

        ``wait_ready`` returns when the node may write to its own log.
        """
        self.charter = charter
        self._own = own
        self._fingerprint = fingerprint
        self._path = path
        self._writer = writer
        self._sequencer = sequencer
        self._enter = enter
        self._alarm = alarm
        self._alarms = alarms
        self._random = random
        self._wait_ready = wait_ready
        self._lock = asyncio.Lock()
        self._due = asyncio.Event()
        self._running: set[asyncio.Task[int]] = set()
        self._void: dict[str, int] = {}  # the version that a peer has claimed without having it

    @property
    def network(self) -> Network:
        """The version in force."""
        return self.charter.network

    async def adopt(self, document: bytes) -> int:
        """Act under the newest version of ``document``; return the version that was in force before.

        Nothing changes where the document has nothing newer. Once begun it goes on to its end, also when whoever asked
        for it waits no more: it may well be that the very document ends him.

        Raises:
            NetworkForkError: it contradicts a version that this node has acted under.
            VerificationError, MalformedError, LimitError: it does not lead back to the fingerprint.
            OSError: it cannot be written.
        """
        task = asyncio.create_task(self._adopt(document), name="adopt")
        self._running.add(task)
        task.add_done_callback(self._over)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Break off what is under way: it begins anew at the next start."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _over(self, task: "asyncio.Task[int]") -> None:
        """Forget it; whoever still waits hears what was wrong with the document, and nobody else needs to."""
        self._running.discard(task)
        if not task.cancelled():
            task.exception()

    async def _adopt(self, document: bytes) -> int:
        async with self._lock:
            before = self.network.version
            network = await asyncio.to_thread(verify_chain, document, self._fingerprint)
            self._check_continues(network)
            if network.version > before:
                await asyncio.to_thread(replace_file, self._path, document)
                self.charter = Charter(network, document)
                await self._enter_at_last(self.charter)
                log.info("a newer network document is in force", version=network.version, before=before)
                self._due.set()
            return before

    async def _enter_at_last(self, charter: Charter) -> None:
        """Act under what is written already: half of a change is worse than a late one."""
        delay = RETRY_SECONDS_MIN
        while True:
            try:
                await self._enter(charter)
            except LedgerError as error:  # a write that failed
                log.warning("a newer network document is not in force yet", error=str(error), again_in_s=delay)
                await asyncio.sleep(delay)
                delay = min(2 * delay, RETRY_SECONDS_MAX)
            else:
                return

    def _check_continues(self, network: Network) -> None:
        for mine, given in zip(self.network.versions, network.versions, strict=False):
            if mine.text_hash != given.text_hash:
                problem = f"two documents are signed as version {mine.version} of network {mine.name}"
                self._alarm(IntegrityAlarm(problem, field=f"network {mine.name}", cause="fork"))
                raise NetworkForkError(problem, field=f"version {mine.version}")

    async def hear(self, peer: Peer, version: int) -> None:
        """Fetch a peer's document where it acts under a newer version; what it does not have is not asked for again.

        Raises:
            PeerError: it did not answer.
        """
        if version <= self.network.version or self._void.get(peer.origin) == version:
            return
        try:
            await self.adopt(await peer.network())
        except PeerError:
            raise
        except OSError as error:
            log.warning("a network document cannot be written", error=str(error))
            return
        except LedgerError as error:
            log.warning("a peer's network document is not taken", peer=peer.origin, error=str(error))
        if version > self.network.version:
            self._void[peer.origin] = version

    async def ask(self, peer: Peer) -> None:
        """Hear of a newer version from a peer that does not know us, or whose log acts under one.

        Raises:
            PeerError: it did not answer.
        """
        try:
            await self.hear(peer, await peer.network_version())
        except PeerRefusedError as error:
            log.debug("a peer does not tell its version", peer=peer.origin, error=str(error))

    # Saying so in the own log.

    def notice(self) -> None:
        """See whether the own log must say something: at the start, when it can be written."""
        self._due.set()

    async def run(self) -> None:
        """Write ``network.adopt`` whenever the own log does not act under the version in force, until cancelled."""
        delay = RETRY_SECONDS_MIN
        while True:
            await self._due.wait()
            self._due.clear()
            await self._wait_ready()  # the own log may be an old copy: an entry more would fork it
            try:
                await self._record()
                delay = RETRY_SECONDS_MIN
            except LedgerError as error:
                log.warning("the own log does not name the version yet", error=str(error), again_in_s=delay)
                await asyncio.sleep(delay)
                delay = min(2 * delay, RETRY_SECONDS_MAX)
                self._due.set()

    async def _record(self) -> None:
        state = self._writer.states[self._own]
        network = self.network
        says = state.version_at(state.size, network)
        if state.size == 0 or says == network.version or self._own in self._alarms:
            return
        if says is None:
            return  # the log acts under a newer one, which an old copy of this disk has lost: the peers will tell it
        if not network.member(self._own).active:
            return  # nobody would cosign it
        value: JsonObject = {
            "hash": encode_base64(network.text_hash),
            "id": str(uuid.UUID(bytes=self._random(16), version=4)),
            "network": network.name,
            "type": NetworkAdopt.TYPE,
            "version": network.version,
        }
        event = Prepared(NetworkAdopt.model_validate(value), canonical_json(value).encode())
        await asyncio.wrap_future(self._writer.submit_to(self._sequencer, Submission((event,))))
