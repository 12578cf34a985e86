"""The node: one department's log, its copies of all others, and the services around them.

Start, in order; each step refuses to go on when something does not fit:

1. Settings, network document (verified back to its fingerprint), keys (they must be those that the document names).
2. The store, opened by this process alone; every member's log as it stands there.
3. The head file against the store: one that holds another history than what was signed is not used.
4. The writer, gossip and the API: the node answers, and copies what others write.
5. The return: the peers tell what this node has said before, and give back what it lacks (node/recovery.py).
6. A new log gets its ``log.open``; from then on the node writes, publishes, and fetches manifests.
"""

import asyncio
import os
import ssl
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
import structlog

from ledger.encoding import JsonObject, canonical_json, encode_base64
from ledger.entry import SignatureMemory
from ledger.errors import LedgerError, StoreCorruptError, StoreFailedError
from ledger.event import KeyRotate, LogOpen
from ledger.manifest import Manifest
from ledger.merkle import leaf_hash
from ledger.network import Member, Network
from ledger.quorum import Judged, judge_checkpoint
from ledger.store import Store, open_store
from ledger.tile import MiddleRows
from ledger.versions import parse_fingerprint
from ledger.witness_request import parse_add_checkpoint
from node import layout, logs
from node.adoption import Adoption, Charter
from node.alarms import BY_RULING, Alarms
from node.answers import MEMBERSHIP_HINT, RESTORING_HINT
from node.checkpoints import Checkpoints
from node.clock import Clock, SystemClock
from node.confirmations import Confirmations
from node.equivocations import Equivocations
from node.errors import BusyError, ConfigError, IntegrityAlarm, ReadOnlyError, RotationError, SignerError
from node.foreign import Foreign, check_foreign
from node.foundation import Foundation, check_head, load_policy
from node.gate import PeerGate
from node.gossip import Gossip
from node.hearsay import Hearsay
from node.history import History
from node.logs import LogState
from node.manifests import Manifests
from node.metrics import Metrics
from node.mirror import Mirror
from node.outside import Outside, Outsider, OutsiderClient, outsiders_of
from node.peers import Peer, Peers
from node.publisher import Publisher
from node.readmission import Readmission
from node.recovery import Recovery
from node.release import NAME, release
from node.sequencer import LOOK_MIN, Sequencer
from node.signatories import Signatories
from node.submission import Outcomes, Prepared, Recorded, Submission
from node.tokens import TokenGate
from node.transport import PeerAuth, authority_of
from node.verifying import Verifiers
from node.wary import tls_context
from node.witness import BODY_BYTES_MAX, Cosigned, Witness
from node.writer import Transaction, Writer

log = structlog.get_logger(__name__)

NONCE_BYTES = 16
ROWS_MAX = 8192  # tiles of which a part is remembered, some 11 MB: two million entries
SIGNATURES_KEPT_MAX = 16_384  # signatures of entries that are verified once, some 4 MB: 800 histories of ten hops
TOKENS_LOOK_MS = 250  # how long a token that was revoked may still be good
OPENING_SECONDS_MIN = 0.25
OPENING_SECONDS_MAX = 15.0


def software() -> str:
    """Return name and version of this software."""
    return f"{NAME} {release()}"


class Node:
    """One department's node, running in an event loop."""

    def __init__(
        self,
        foundation: Foundation,
        *,
        clock: Clock | None = None,
        store: Store | None = None,
        transport_to: Callable[[Member | Outsider], httpx.AsyncBaseTransport] | None = None,
        writer: type[Writer] = Writer,
        pool: Executor | None = None,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Build a node on ``foundation``; it is not running before :meth:`start`.

        ``store`` is used in the place of the one in the home, ``transport_to`` in the place of the network. ``writer``,
        ``pool`` and ``random`` stand in for the node's threads and chance, so that a simulation can repeat a run.

        Raises:
            ConfigError: the certificates of the peers' authority cannot be read.
            StoreError: the store cannot be opened, or is damaged.
            IntegrityAlarm: the store is not what this node has signed.
        """
        self.home = foundation.home
        self.settings = foundation.home.settings
        self.origin = self.settings.origin
        self._charter = Charter(foundation.network, foundation.network_document)
        self.fingerprint = parse_fingerprint(self.settings.fingerprint or "")
        self.ring = foundation.ring
        self._load_ring = foundation.load_ring or (lambda: foundation.ring)
        self.keys = self.ring.select(self.network.member(self.origin))
        self.clock: Clock = clock or SystemClock()
        self.metrics = Metrics()
        self.alarms = Alarms(self.origin, self.metrics)  # one about this node's own log makes it read-only
        self._writer_class = writer
        self._random = random
        cores = os.cpu_count() or 1
        self.pool = pool or ThreadPoolExecutor(cores, thread_name_prefix="suyuan-crypto")
        processes = self.settings.verify_processes
        self.verifiers = Verifiers(cores if processes is None else processes, pool=self.pool)
        processes = self.settings.sign_processes
        self.signatories = Signatories(cores if processes is None else processes, pool=self.pool)
        self.started_ms = self.clock.now_ms()
        self.store: Store = open_store(self.home.data) if store is None else store
        try:
            self._build()
            self._connect_peers(transport_to)
            self._build_listening()
            self._build_speaking()
            self._connect_outside(foundation, transport_to)
        except BaseException:
            self.store.close()
            raise

    def _build(self) -> None:
        states = self._load_states(self.store)
        own = states[self.origin]
        self._signed = check_head(self.home, self.store, own, self.network)
        if self._signed is not None and self._signed.size > own.size:
            log.error("the store is older than what was signed; only reading", here=own.size, signed=self._signed.size)
        self._find_ended_keys(states)
        self.writer = self._writer_class(self.store, states, reload=self._load_states, on_commit=self._on_commit)
        self.equivocations = Equivocations(
            store=self.store,
            writer=self.writer,
            network=lambda: self.network,
            document=lambda: self.network_document,
            fingerprint=self.fingerprint,
            alarm=self.alarms.take,
            lift=lambda origin: self.alarms.lift(origin, "equivocation"),
        )
        self.equivocations.load()
        for state in states.values():
            self._recall_contradiction(state)
        self.sequencer = Sequencer(
            origin=self.origin,
            keys=lambda: self.keys,
            network=lambda: self.network,
            clock=self.clock,
            signatories=self.signatories,
        )
        self.tokens = TokenGate(self.home.tokens, self.clock.now_ms, look_ms=TOKENS_LOOK_MS)
        self.gate = PeerGate(self._authority, self._transport_key, self.clock.now_ms)
        self.by_hash = _by_hash(self.network)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.confirmations = Confirmations(states[self.origin].confirmed_size)
        self._rows = MiddleRows(ROWS_MAX)
        self._signatures = SignatureMemory(SIGNATURES_KEPT_MAX)
        self.bound_version = self.network.version  # what was cosigned under earlier ones is on the disk
        self._noticed = 0  # size of the own log that the publisher was told of last
        self._counted = states[self.origin].size

    async def start(self) -> None:
        """Start following the peers; writing and publishing begin when they have told what they remember."""
        self._loop = asyncio.get_running_loop()
        self.writer.start()
        self._tasks = [
            asyncio.create_task(self.recovery.run(), name="recovery"),
            asyncio.create_task(self._open_and_publish(), name="publisher"),
            asyncio.create_task(self.adoption.run(), name="adoption"),
            asyncio.create_task(self.gossip.run(), name="gossip"),
            asyncio.create_task(self.readmission.run(), name="readmission"),
            asyncio.create_task(self.manifests.run(), name="manifests"),
            asyncio.create_task(self.outside.run(), name="foreign witnesses"),
        ]
        for task in self._tasks:
            task.add_done_callback(self._task_ended)
        log.info("the node is up", log=self.origin, size=self.state.size, url=self.network.member(self.origin).url)

    async def _open_and_publish(self) -> None:
        """Wait for the return, open the log if it is new, then publish."""
        await self.recovery.wait_ready()
        await self.foreign.open(behind=self.recovery.restored > 0)
        delay = OPENING_SECONDS_MIN
        while self.state.size == 0:
            try:
                await self._open_log()
            except LedgerError as error:
                log.warning("the log could not be opened", error=str(error), code=error.code, again_in_s=delay)
                await asyncio.sleep(delay)
                delay = min(2 * delay, OPENING_SECONDS_MAX)
        self.adoption.notice()
        await self.publisher.run()

    async def stop(self) -> None:
        """Stop everything; what was answered is on the disk."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.adoption.close()
        await self.mirror.close()
        await self.verifiers.close()
        await asyncio.to_thread(self.writer.stop)
        await asyncio.to_thread(self.signatories.close)
        for peer in self.peers.values():
            await peer.close()
        await self.outside.close()
        self.pool.shutdown(cancel_futures=True)
        self.store.close()

    @property
    def network(self) -> Network:
        """The newest version of the network document, under which this node acts."""
        return self._charter.network

    @property
    def network_document(self) -> bytes:
        """All versions of the network document."""
        return self._charter.document

    @property
    def states(self) -> Mapping[str, LogState]:
        """All logs as of the last commit."""
        return self.writer.states

    @property
    def state(self) -> LogState:
        """This node's own log as of the last commit."""
        return self.writer.states[self.origin]

    def past(self, state: LogState) -> list[Judged]:
        """Return the confirmed checkpoints that are kept of a log's past, in any order, some perhaps twice."""
        return [judge_checkpoint(data, self.network) for data in logs.past(self.store, state)]

    def history(self) -> History:
        """Return a reader of the logs as they are now."""
        return History(self.store, self.states, self.network, rows=self._rows, signatures=self._signatures)

    async def submit(self, events: tuple[Prepared, ...], *, wait_confirmed: bool) -> list[tuple[Recorded, str]]:
        """Record events, all or none; return where each stands, and its state.

        Raises:
            RefusedError: the rules do not allow one of them.
            BusyError, ReadOnlyError, StoreError: nothing was written, or the governors' ruling has voided it meanwhile.
        """
        if wait_confirmed:
            self.confirmations.require_room()
        recorded = await (self._record(events) if len(events) < LOOK_MIN else self._record_many(events))
        if wait_confirmed:
            last = max(recorded, key=lambda one: one.index)
            await self.confirmations.wait(last.index)
            self._require_standing(last)
        confirmed = self.state.confirmed_size
        return [(one, "confirmed" if one.index < confirmed else "recorded") for one in recorded]

    def record_apart(self, events: tuple[Prepared, ...]) -> "asyncio.Future[Outcomes]":
        """Begin to record events, each for itself; what is returned says of each where it stands, or why not.

        Raises:
            BusyError, ReadOnlyError: nothing will be written.
        """
        promise: asyncio.Future[Outcomes] = self._promise(Submission(events, apart=True))
        return promise

    async def _record(self, events: tuple[Prepared, ...]) -> list[Recorded]:
        recorded: list[Recorded] = await self._promise(Submission(events))
        return recorded

    async def _record_many(self, events: tuple[Prepared, ...]) -> list[Recorded]:
        """Do what :meth:`_record` does, where it pays to look for known ids before the round."""
        self._check_writable()
        looked = await asyncio.to_thread(self.sequencer.submission, self.store, events)
        recorded: list[Recorded] = await self._promise(looked)
        return recorded

    def _promise(self, submission: Submission) -> "asyncio.Future[Any]":
        self._check_writable()
        size = sum(len(event.text) for event in submission.events)
        return self.writer.promise(self.sequencer, submission, size=2 * size)

    def state_of(self, recorded: Recorded) -> str:
        """Tell how far a recorded event is: ``confirmed``, or ``recorded``."""
        return "confirmed" if recorded.index < self.state.confirmed_size else "recorded"

    async def add_checkpoint(self, body: bytes) -> Cosigned:
        """Answer an add-checkpoint request, for a member's log or a foreign one.

        Raises:
            MalformedError, LimitError: 400. The others are those of the two witnesses.
        """
        request = parse_add_checkpoint(body, size_max=BODY_BYTES_MAX)
        origin = request.checkpoint.origin
        if origin not in self.network.members and self.foreign.knows(origin):
            return await self.foreign.answer(request)
        return await self.witness.answer(request)

    async def keep_manifest(self, manifest: Manifest, *, client: str | None = None) -> None:
        """Store a manifest, so that shares can name it and its records can be traced here.

        Raises:
            ManifestsWaitingError: the ``client`` has posted too many that no share names.
            BusyError, ReadOnlyError, StoreError: nothing was written.
        """
        self._check_writable()
        await self.manifests.keep(manifest, client=client)

    async def adopt(self, document: bytes) -> int:
        """Act under a newer network document; return the version that was in force before.

        Raises:
            NetworkForkError: it contradicts a version that this node has acted under.
            VerificationError, MalformedError, LimitError: it does not lead back to the fingerprint.
            StoreFailedError: it cannot be written.
        """
        try:
            return await self.adoption.adopt(document)
        except OSError as error:
            raise StoreFailedError(f"the network document cannot be written: {error.strerror}") from None

    async def announce_key(self, event: Prepared) -> tuple[Recorded, str]:
        """Record in this log that the department will use another key; return where the entry stands, and its state.

        The key must be here, so that nobody promises to go on with a key that he has not got.

        Raises:
            RotationError: it is not here, or the log cannot promise that.
            ConfigError, SignerError: the keys cannot be read.
            BusyError, ReadOnlyError, StoreError: nothing was written.
        """
        assert isinstance(event.event, KeyRotate)
        await self._look_for_keys()
        if event.event.key not in self.ring.publics[event.event.role]:
            raise RotationError(
                f"this node does not have that {event.event.role} key", field="key",
                hint="the place that the settings name must have it; a changed setting takes effect at the next start",
            )  # fmt: skip
        [answer] = await self.submit((event,), wait_confirmed=False)
        return answer

    async def _look_for_keys(self) -> None:
        """Look again which keys there are; the ones in use stay those that the network document names."""
        ring = await asyncio.to_thread(self._load_ring)
        self.keys = ring.select(self.network.member(self.origin))
        self.ring = ring

    async def _take_keys(self, network: Network) -> None:
        """Use the keys that ``network`` names, from now on: whatever signs asks ``self.keys`` each time.

        Where one of them is not here, an alarm says so and the log is read only; the keys stay those of before.
        """
        try:
            ring = await asyncio.to_thread(self._load_ring)
            self.keys = ring.select(network.member(self.origin))
            self.ring = ring
            self.alarms.lift(self.origin, "keys")
        except (ConfigError, SignerError) as error:
            self.alarms.take(IntegrityAlarm(str(error), field=self.origin, cause="keys"))

    def _find_ended_keys(self, states: Mapping[str, LogState]) -> None:
        """Raise the alarm for every log that has entries here which are void: signed by a key that had ended."""
        for state in states.values():
            member = self.network.member(state.origin)
            if state.readmitted != member.readmitted:
                continue  # what is void is about to be dropped, as the governors have ruled
            found = logs.find_ended(self.store, state, member)
            if found is not None:
                words = logs.ended_words(state.origin, *found)
                self.alarms.take(IntegrityAlarm(words, field=state.origin, cause="ended_key"))

    # Building.

    def _recall_contradiction(self, state: LogState) -> None:
        """Raise the alarm again about a log that contradicts what is stored here; what can be proven by now, prove."""
        data = self.store.get(layout.contradiction_key(state.log))
        if data is None:
            return
        try:
            judged = judge_checkpoint(data, self.network)
        except LedgerError as error:  # a newer network document has voided it
            log.info("a contradiction counts no more", log=state.origin, error=str(error))
            return
        if self.equivocations.accuse(judged) is None:
            told = f"{state.origin} has signed a checkpoint against its own history; it is kept"
            self.alarms.take(IntegrityAlarm(told, field=state.origin, cause="contradiction"))

    def _connect_peers(self, transport_to: Callable[[Member], httpx.AsyncBaseTransport] | None) -> None:
        auth = PeerAuth(
            lambda: self.keys.transport,
            origin=self.origin,
            clock=self.clock.now_ms,
            nonce=lambda: self._random(NONCE_BYTES).hex(),
        )
        authority = self.home.path(self.settings.peer_ca) if self.settings.peer_ca else None
        verify = tls_context(authority) if transport_to is None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        timeout = self.settings.peer_timeout_ms

        def make(member: Member) -> Peer:
            return Peer(
                member,
                auth=auth,
                clock=self.clock,
                timeout_ms=timeout,
                verify=verify,
                transport=transport_to(member) if transport_to is not None else None,
                on_fault=lambda peer, kind: self.metrics.peer_faults.labels(peer, kind).inc(),
                on_return=self._returned,
            )

        self.peers = Peers(self.origin, make, fault=self._fault)
        self.peers.update(self.network)

    def _build_listening(self) -> None:
        """Build what takes from the peers: manifests, copies of their logs, what is lost here, what was ruled."""
        self.manifests = Manifests(
            own=self.origin,
            store=self.store,
            writer=self.writer,
            peers=self.peers,
            origins=frozenset(self.network.members),
            metrics=self.metrics,
            interval_ms=self.settings.pull_interval_ms,
        )
        self.mirror = Mirror(
            own=self.origin,
            store=self.store,
            writer=self.writer,
            network=lambda: self.network,
            peers=self.peers,
            verifiers=self.verifiers,
            clock=self.clock,
            metrics=self.metrics,
            equivocations=self.equivocations,
            alarm=self.alarms.take,
            wanted=self.manifests.notice,
        )
        self.recovery = Recovery(
            own=self.origin,
            store=self.store,
            mirror=self.mirror,
            writer=self.writer,
            peers=self.peers,
            network=lambda: self.network,
            equivocations=self.equivocations,
            mode=self.settings.recovery_answers,
            signed=self._signed,
        )
        self.readmission = Readmission(
            store=self.store,
            writer=self.writer,
            fetcher=self.mirror.fetcher,
            network=lambda: self.network,
            clock=self.clock,
            alarm=self.alarms.take,
            lift=lambda origin: self.alarms.lift(origin, "ruling"),
            settled=self._readmitted,
        )

    def _build_speaking(self) -> None:
        """Build what speaks for this node: its checkpoints, versions of the network, cosignatures, gossip."""
        self.checkpoints = Checkpoints(
            self.origin, keys=lambda: self.keys, network=lambda: self.network, head_file=self.home.head
        )
        self.publisher = Publisher(
            own=self.origin,
            keys=lambda: self.keys,
            store=self.store,
            writer=self.writer,
            checkpoints=self.checkpoints,
            network=lambda: self.network,
            peers=self.peers,
            clock=self.clock,
            metrics=self.metrics,
            interval_ms=self.settings.checkpoint_interval_ms,
            timeout_ms=self.settings.confirm_timeout_ms,
            refresh_ms=self.settings.refresh_interval_ms,
            alarms=self.alarms,
            alarm=self.alarms.take,
            return_again=self.recovery.return_again,
        )
        self.adoption = Adoption(
            self._charter,
            own=self.origin,
            fingerprint=self.fingerprint,
            path=self.home.network,
            writer=self.writer,
            sequencer=self.sequencer,
            enter=self._enter,
            alarm=self.alarms.take,
            alarms=self.alarms,
            random=self._random,
            wait_ready=self.recovery.wait_ready,
        )
        self.witness = Witness(
            own=self.origin,
            writer=self.writer,
            network=lambda: self.network,
            signer=lambda: self.keys.cosigner,
            mirror=self.mirror,
            recovery=self.recovery,
            equivocations=self.equivocations,
            adoption=self.adoption,
            peers=self.peers,
            clock=self.clock,
            metrics=self.metrics,
            alarms=self.alarms,
        )
        self.gossip = Gossip(
            mirror=self.mirror,
            adoption=self.adoption,
            peers=self.peers,
            states=lambda: self.states,
            clock=self.clock,
            equivocations=self.equivocations,
            hearsay=Hearsay(self.equivocations, lambda: self.network, self.metrics),
            interval_ms=self.settings.pull_interval_ms,
        )

    async def _enter(self, charter: Charter) -> None:
        """Act under another network document; its members' logs first, for nobody may find one missing."""
        await self._add_logs(charter.network)
        await self._take_keys(charter.network)
        was_active = self.network.member(self.origin).active
        self._charter = charter
        self.by_hash = _by_hash(charter.network)
        self.manifests.follow(frozenset(charter.network.members))
        retired = self.peers.update(charter.network)
        await self._add_logs(charter.network)  # a write that failed meanwhile has read the states again
        self.bound_version = charter.network.version
        self.publisher.network_changed()
        try:
            await asyncio.to_thread(self.equivocations.load)  # other keys, other rulings
        except StoreCorruptError as error:
            self.alarms.take(IntegrityAlarm(str(error), field="equivocations"))
        self.readmission.notice()
        self._find_ended_keys(self.states)
        if not was_active and charter.network.member(self.origin).active:
            self.recovery.renew()
        for peer in retired:
            await peer.close()

    def _readmitted(self, origin: str) -> None:
        """Go on with a log that has the history that the governors have ruled."""
        self.recovery.forget(origin)
        self.alarms.lift(origin, *BY_RULING)
        self.adoption.notice()
        self.publisher.notice()

    async def _add_logs(self, network: Network) -> None:
        def add(transaction: Transaction) -> None:
            for origin in network.members:
                known = transaction.states.get(origin)
                if known is None or known.size == 0:
                    transaction.put_state(logs.load_log(transaction.store, origin, network))

        await asyncio.wrap_future(self.writer.submit(add))

    def _connect_outside(
        self, foundation: Foundation, transport_to: Callable[[Outsider], httpx.AsyncBaseTransport] | None
    ) -> None:
        check_foreign(self.settings.witnessed, self.network)
        self.foreign = Foreign(
            own=self.origin, logs=self.settings.witnessed, signer=foundation.witness_key, store=self.store,
            writer=self.writer, clock=self.clock, metrics=self.metrics, alarms=self.alarms,
        )  # fmt: skip
        policy = load_policy(self.home)
        outsiders = outsiders_of(policy, self.network, self.origin) if policy is not None else []
        verify = tls_context(None) if outsiders and transport_to is None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        clients = [
            OutsiderClient(
                one, timeout_ms=self.settings.peer_timeout_ms, verify=verify,
                transport=transport_to(one) if transport_to is not None else None,
            )
            for one in outsiders
        ]  # fmt: skip
        self.outside = Outside(
            own=self.origin, policy=policy, clients=clients, store=self.store, states=lambda: self.states,
            writer=self.writer, network=lambda: self.network, clock=self.clock, metrics=self.metrics,
        )  # fmt: skip

    def _load_states(self, store: Store) -> dict[str, LogState]:
        return {origin: logs.load_log(store, origin, self.network) for origin in self.network.members}

    async def _open_log(self) -> None:
        value: JsonObject = {
            "id": str(uuid.UUID(bytes=self._random(16), version=4)),
            "network": self.network.name,
            "network_version": self.network.version,
            "software": software(),
            "type": LogOpen.TYPE,
        }
        opening = Prepared(LogOpen.model_validate(value), canonical_json(value).encode())
        await asyncio.wrap_future(self.writer.submit_to(self.sequencer, Submission((opening,))))

    def _authority(self) -> str:
        return authority_of(self.network.member(self.origin).url)

    def _transport_key(self, origin: str) -> Any:
        member = self.network.members.get(origin)
        return member.transport if member is not None and member.active else None

    # Running.

    def hear(self, origin: str) -> None:
        """Take it as a sign of life that a peer has asked something; from any thread."""
        peer = self.peers.get(origin)
        if peer is not None and peer.status.reachable is False and self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(peer.hear)

    def _returned(self, origin: str) -> None:
        """Try again at once what has failed for want of a peer that answers again."""
        self.readmission.heard.tell()
        self.manifests.notice(origin)
        if not any(peer.status.reachable for peer in self.peers.values()):  # it was this node that was cut off
            self.outside.heard.tell()

    def _check_writable(self) -> None:
        if self.origin in self.alarms:
            raise ReadOnlyError(f"this node's own log is in doubt: {self.alarms[self.origin]}")
        if not self.recovery.ready:
            raise self._returning()
        if self.state.size == 0:
            raise ReadOnlyError("this node's log is being opened", hint="try again in a moment")
        if not (member := self.network.member(self.origin)).active:
            raise ReadOnlyError(
                f"{self.origin} is {member.entry.status} in version {self.network.version} of the network document",
                hint=MEMBERSHIP_HINT,
            )

    def _returning(self) -> ReadOnlyError:
        progress = self.recovery.progress
        if progress.problem is not None:
            return ReadOnlyError(f"this node's own log is not restored yet: {progress.problem}", hint=RESTORING_HINT)
        return ReadOnlyError(
            f"this node is finding out what it has signed before: it needs the answers of {progress.needed} members, "
            f"and has {len(progress.answered)}",
            hint="it writes again by itself when enough of the others have answered; try again later",
        )

    def _task_ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("a service of the node has ended", service=task.get_name(), error=repr(error))
            self._fault(task.get_name(), error)

    def _fault(self, name: str, error: BaseException) -> None:
        self.alarms.take(IntegrityAlarm(repr(error), field=f"service {name}", cause="service"))

    def _on_commit(self, states: Mapping[str, LogState]) -> None:
        """Called by the writer's thread after each commit."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._committed, states)

    def _committed(self, states: Mapping[str, LogState]) -> None:
        own = states[self.origin]
        self.metrics.events.inc(max(own.size - self._counted, 0))
        self._counted = own.size
        if own.size != self._noticed:
            self._noticed = own.size
            self.publisher.notice()
            self.signatories.notice()
            if own.rotation is not None and own.awaits_key(self.network.member(self.origin)):
                log.warning(
                    "nothing is recorded until the log's next key is in force",
                    start=own.rotation.start,
                    key=own.rotation.key,
                )
        self.outside.notice()
        self.confirmations.reach(own.confirmed_size)

    def _require_standing(self, recorded: Recorded) -> None:
        """Check that an entry, and so all before it, was not dropped with what the governors have ruled about."""
        raw = self.store.get(layout.entry_key(self.state.log, recorded.index))
        if raw is None or encode_base64(leaf_hash(raw)) != recorded.hash:
            raise BusyError("the governors have ruled about this log, and the event is not in it any more", field="id")


def _by_hash(network: Network) -> dict[str, str]:
    return {layout.origin_hash(origin): origin for origin in network.members}
