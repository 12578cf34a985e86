"""Foreign witnesses: others that cosign this node's own log, as a trust policy names them (c2sp.org/tlog-policy).

The members' quorum waits for none of them. What the members have confirmed is gathered cosignatures for:

1. Take the newest confirmed checkpoint, and ask every witness at once (c2sp.org/tlog-witness): no slow one delays it.
2. Each verified cosignature goes behind the checkpoint when it is served, as far as it has room.
3. When the policy is satisfied, store the checkpoint with all of them: proofs for strangers rest on it.
   A crash before that: the witnesses are asked again, and give fresh cosignatures.

One checkpoint at a time: a newer one is taken when the policy is satisfied, or after ``GATHER_SECONDS_MAX``; so the
cosignatures of witnesses of different speed meet on one checkpoint.
"""

import asyncio
import re
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import httpx
import structlog

from ledger.cosignature import add_signatures, parse_cosignatures
from ledger.errors import LedgerError
from ledger.merkle import TreeSize, prove_consistency
from ledger.network import URL_CHARACTERS_MAX, Network
from ledger.note import SIGNATURES_MAX, Note, Signature, VerifierKey
from ledger.policy import Policy, PolicyLog, judge_by_policy, shown
from ledger.quorum import Judged, judge_checkpoint
from ledger.store import Store
from ledger.witness_request import AddCheckpoint
from node import layout, logs
from node.clock import Clock
from node.errors import ConfigError, NotConfirmedError, NotFoundError
from node.faults import PeerBusyError, PeerError, PeerRefusedError, PeerUnreachableError, StaleSizeError
from node.logs import LogState
from node.metrics import Metrics
from node.pacing import Heard, Pace, Pushed
from node.repeats import Repeats
from node.told import read_size, refusal, worded
from node.wary import ANSWER_TIMEOUTS_MAX, read_answer, wary_client, words_of
from node.writer import Transaction, Writer

log = structlog.get_logger(__name__)

NOT_COSIGNED = "a witness did not cosign"

ANSWER_BYTES_MAX = 64 * 1024  # 100 signature lines of 200 bytes, with room
INTERVAL_SECONDS = 1.0  # between two checkpoints that are sent to a witness: most of them are others' services
GATHER_SECONDS_MAX = 30.0  # after that a checkpoint that does not satisfy the policy gives way to a newer one
RETRY_SECONDS_MIN = 1.0
RETRY_SECONDS_MAX = 300.0
STALE_MAX = 3  # corrections of our idea of a witness's size in a row that are followed at once
_URL = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")


@dataclass(frozen=True, slots=True)
class Outsider:
    """A foreign witness that can be asked."""

    name: str  # what the policy calls it
    key: VerifierKey
    url: str  # submission prefix, without a slash at the end

    @property
    def label(self) -> str:
        """The name in a form that logs, metrics and terminals only show."""
        return shown(self.name)[1:-1]


@dataclass(slots=True)
class OutsiderStatus:
    """What this node has seen of a foreign witness."""

    reachable: bool | None = None  # None: not asked yet
    last_seen_ms: int | None = None
    last_error: str | None = None
    failures: int = 0  # in a row
    size: int | None = None  # of the own log, as it has cosigned it last


def outsiders_of(policy: Policy, network: Network, own: str) -> list[Outsider]:
    """Return the witnesses of a policy that are to be asked: those that have a URL and are no member's cosigner.

    Raises:
        ConfigError: a URL that cannot be asked, or a policy for other logs than this node's.
    """
    if policy.logs and not policy.log_keys(own):
        raise ConfigError(f"the policy names logs, and {own} is none of them", field="witness_policy")
    members = {member.cosigner.public_key for member in network.members.values()}
    found = []
    for one in policy.witnesses:
        if one.url is None or one.key.public_key in members:
            continue
        if len(one.url) > URL_CHARACTERS_MAX or _URL.fullmatch(one.url) is None or not _is_url(one.url):
            raise ConfigError(f"the witness {shown(one.name)} has a URL that cannot be asked", field="witness_policy")
        found.append(Outsider(one.name, one.key, one.url.rstrip("/")))
    return found


class OutsiderClient:
    """A foreign witness, as a client sees it; hostile until proven otherwise, as a peer is."""

    def __init__(
        self,
        outsider: Outsider,
        *,
        timeout_ms: int,
        verify: ssl.SSLContext,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.outsider = outsider
        self.status = OutsiderStatus()
        self._answer_seconds_max = ANSWER_TIMEOUTS_MAX * timeout_ms / 1000
        self._client = wary_client(timeout_ms, 1, verify, transport)

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def add_checkpoint(self, body: bytes) -> tuple[Signature, ...]:
        """Submit a checkpoint; return the cosignatures in the answer, not verified yet.

        Raises:
            StaleSizeError: the old size is not what the witness has cosigned last.
            PeerError: any other failure.
        """
        url = f"{self.outsider.url}/add-checkpoint"
        try:
            async with (
                asyncio.timeout(self._answer_seconds_max),
                self._client.stream("POST", url, content=body) as response,
            ):
                answer = await read_answer(response, ANSWER_BYTES_MAX)
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a witness makes the client raise is its failure
            why = words_of(str(error)) or type(error).__name__
            raise PeerUnreachableError(f"{self.outsider.label} did not answer: {why}") from None
        return _cosignatures(response, answer)


@dataclass(slots=True, eq=False)
class Gathering:
    """One confirmed checkpoint on its way to the witnesses."""

    judged: Judged
    signatures: dict[VerifierKey, Signature] = field(default_factory=dict)  # verified
    satisfied: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def size(self) -> int:
        """The checkpoint's size."""
        return self.judged.size


class Outside:
    """Has the own log cosigned by foreign witnesses."""

    def __init__(  # noqa: PLR0913 - one line per part of the node that it works with
        self,
        *,
        own: str,
        policy: Policy | None,
        clients: Sequence[OutsiderClient],
        store: Store,
        states: Callable[[], Mapping[str, LogState]],
        writer: Writer,
        network: Callable[[], Network],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """Ask ``clients``, those of the witnesses of ``policy`` that can be asked; without a policy, nobody."""
        self._repeats = Repeats(log)
        self._own = own
        self.policy = policy
        self.clients = tuple(clients)
        self._store = store
        self._states = states
        self._writer = writer
        self._network = network
        self._clock = clock
        self._metrics = metrics
        self._news = asyncio.Event()
        self._changed = asyncio.Condition()
        self._current: Gathering | None = None
        self.heard = Heard()  # told when this node was cut off from everybody, and is no more
        self.witnessed: Judged | None = None  # the newest checkpoint that satisfies the policy

    def notice(self) -> None:
        """Tell that the own log may have a new confirmed checkpoint; from the event loop's thread."""
        self._news.set()

    def dress(self, judged: Judged) -> Note:
        """Return a checkpoint of the own log with the foreign cosignatures that are known for it, as it has room."""
        current = self._current
        if current is None or current.judged.checkpoint != judged.checkpoint:
            return judged.note
        return _with_signatures(judged.note, current.signatures.values())

    def require_witnessed(self, origin: str) -> Judged:
        """Return the newest checkpoint that satisfies the policy.

        Raises:
            NotFoundError: no foreign witnesses are asked to cosign this log here.
            NotConfirmedError: they have not cosigned yet.
        """
        if self.policy is None or origin != self._own:
            raise NotFoundError(f"no foreign witnesses are asked to cosign {origin} by this node", field="cosigners")
        if self.witnessed is None:
            raise NotConfirmedError("no checkpoint satisfies the witness policy yet", field="cosigners")
        return self.witnessed

    def _load(self) -> None:
        """Take up what was stored before a restart, if the present policy is satisfied by it."""
        try:
            data = self._store.get(layout.witnessed_key(layout.log_id(self._own)))
            if data is None:
                return
            judged = judge_checkpoint(data, self._network())
            self._judge_by_policy(judged, judged.note)
        except LedgerError as error:
            log.info("the stored checkpoint does not satisfy the witness policy", error=str(error))
            return
        self._keep(judged)

    async def run(self) -> None:
        """Ask until cancelled; at once over without witnesses."""
        if self.policy is None:
            return
        self._load()
        self._news.set()
        async with asyncio.TaskGroup() as group:
            for client in self.clients:
                group.create_task(self._ask_always(client), name=f"witness {client.outsider.label}")
            group.create_task(self._gather(), name="gather cosignatures")

    async def close(self) -> None:
        """Close the connections."""
        for client in self.clients:
            await client.close()

    async def _gather(self) -> None:
        """Take one confirmed checkpoint after the other."""
        while True:
            await self._news.wait()
            self._news.clear()
            current, confirmed = self._current, self._states()[self._own].confirmed
            if confirmed is None or (current is not None and confirmed.size <= current.size):
                continue
            if current is not None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(GATHER_SECONDS_MAX):
                        await current.satisfied.wait()
            newest = self._states()[self._own].confirmed
            assert newest is not None
            await self._begin(newest)
            await asyncio.sleep(INTERVAL_SECONDS)

    async def _begin(self, judged: Judged) -> None:
        gathering = Gathering(judged)
        known = self.witnessed
        if known is not None and known.checkpoint == judged.checkpoint:
            gathering.signatures |= self._foreign(known.note)
        async with self._changed:
            self._current = gathering
            self._changed.notify_all()
        await self._judge(gathering)  # the members alone may satisfy it

    def _foreign(self, note: Note) -> dict[VerifierKey, Signature]:
        """Return the cosignatures of the witnesses that are asked; a stored note has been verified."""
        by_key = {(one.name, one.key_id): one for one in note.signatures}
        keys = [client.outsider.key for client in self.clients]
        return {key: by_key[place] for key in keys if (place := (key.name, key.key_id)) in by_key}

    async def _ask_always(self, client: OutsiderClient) -> None:
        asked: Pushed[Gathering] = Pushed(Pace(RETRY_SECONDS_MIN, RETRY_SECONDS_MAX, self.heard))
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._current is not None and self._current is not asked.done)
            current = self._current
            assert current is not None
            try:
                signature = await self._ask(client, current, asked.known)
            except StaleSizeError as error:
                await self._corrected(client, asked, current, error.size)
            except LedgerError as error:
                self._failed(client, str(error))
                about = {"witness": client.outsider.label}
                self._repeats.failed("info", NOT_COSIGNED, about, error, again_in_s=asked.pace.delay)
                await asked.pace.pause()
            else:
                self._repeats.over(NOT_COSIGNED, {"witness": client.outsider.label})
                asked.cosigned(current, current.size)
                self._cosigned(client, current, signature)
                await self._judge(current)

    async def _ask(self, client: OutsiderClient, current: Gathering, known: int) -> Signature:
        proof = await asyncio.to_thread(self._prove, known, current.size)
        body = AddCheckpoint(TreeSize(known), tuple(proof), current.judged.bare).encode()
        verifier = client.outsider.key
        for signature in await client.add_checkpoint(body):
            if (signature.name, signature.key_id) == (verifier.name, verifier.key_id):
                verifier.verify(current.judged.checkpoint.text, signature)
                return signature
        raise PeerError(f"{client.outsider.label} answered without a cosignature of its own")

    def _prove(self, old: int, new: int) -> list[bytes]:
        if old in (0, new):
            return []
        reader = logs.hash_reader(self._store, self._states()[self._own], new)
        return prove_consistency(reader, old_size=TreeSize(old), new_size=TreeSize(new))

    async def _corrected(self, client: OutsiderClient, asked: Pushed[Gathering], current: Gathering, size: int) -> None:
        """Take over what the witness says that it has cosigned last, unless that cannot be."""
        asked.stale += 1
        if size <= current.size and asked.stale <= STALE_MAX:
            asked.known = size
            return
        why = f"it says that it has cosigned size {size}, where {asked.known} of {current.size} were told"
        self._failed(client, why)
        self._repeats.failed(
            "warning", "a witness has another idea of this log", {"witness": client.outsider.label}, problem=why
        )
        asked.known, asked.stale = min(size, current.size), 0
        await asked.pace.pause()

    def _cosigned(self, client: OutsiderClient, current: Gathering, signature: Signature) -> None:
        current.signatures[client.outsider.key] = signature
        status = client.status
        status.reachable, status.failures, status.last_error = True, 0, None
        status.last_seen_ms, status.size = self._clock.now_ms(), current.size
        name = client.outsider.label
        self._metrics.witness_up.labels(name).set(1)
        self._metrics.witness_size.labels(name).set(current.size)

    def _failed(self, client: OutsiderClient, why: str) -> None:
        status = client.status
        status.reachable, status.last_error = False, why
        status.failures += 1
        self._metrics.witness_up.labels(client.outsider.label).set(0)

    async def _judge(self, current: Gathering) -> None:
        """Keep a checkpoint that satisfies the policy."""
        judged = self._best(current.judged)
        note = _with_signatures(_with_signatures(judged.bare, current.signatures.values()), judged.note.signatures)
        try:
            await asyncio.to_thread(self._judge_by_policy, judged, note)
        except LedgerError as error:
            log.debug("the witness policy is not satisfied yet", size=current.size, error=str(error))
            return
        current.satisfied.set()
        if self.witnessed is not None and self.witnessed.size > judged.size:
            return  # a slow witness, for an older checkpoint
        key = layout.witnessed_key(layout.log_id(self._own))

        def store(transaction: Transaction) -> None:
            transaction.batch.put(key, note.encode())

        try:
            await asyncio.wrap_future(self._writer.submit(store))
        except LedgerError as error:
            log.warning("a witnessed checkpoint was not stored", error=str(error), code=error.code)
        self._keep(replace(judged, note=note))

    def _best(self, judged: Judged) -> Judged:
        """Return the same checkpoint with the members' cosignatures that came later, if any did."""
        confirmed = self._states()[self._own].confirmed
        return confirmed if confirmed is not None and confirmed.checkpoint == judged.checkpoint else judged

    def _keep(self, judged: Judged) -> None:
        self.witnessed = judged
        self._metrics.witnessed_size.set(judged.size)

    def _judge_by_policy(self, judged: Judged, note: Note) -> None:
        """Check that a checkpoint of the own log counts under the policy; one without logs is for whatever log.

        Raises:
            VerificationError: it does not.
        """
        policy = self.policy
        assert policy is not None
        if not policy.logs:
            policy = replace(policy, logs=(PolicyLog(judged.owner.checkpoint_key(judged.size)),))
        judge_by_policy(note, policy)


def _with_signatures(note: Note, signatures: Iterable[Signature]) -> Note:
    """Return a note with as many further signatures as it has room for."""
    signed = {(one.name, one.key_id) for one in note.signatures}
    fresh = [one for one in signatures if (one.name, one.key_id) not in signed]
    return add_signatures(note, fresh[: SIGNATURES_MAX - len(note.signatures)])


def _cosignatures(response: httpx.Response, answer: bytes) -> tuple[Signature, ...]:
    status = response.status_code
    if status == httpx.codes.CONFLICT:
        media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media == "text/x.tlog.size":
            raise StaleSizeError(read_size(answer))
        raise PeerRefusedError(f"status 409, for it has another root: {worded(answer)}")
    if status in (httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.TOO_MANY_REQUESTS):
        raise PeerBusyError("the witness asks to come again later")
    if status != httpx.codes.OK:
        raise PeerRefusedError(refusal(status, answer))
    try:
        return parse_cosignatures(answer)
    except LedgerError as error:
        raise PeerRefusedError(f"the answer is malformed: {error}") from None


def _is_url(text: str) -> bool:
    try:
        return bool(urlsplit(text).hostname and httpx.URL(text).host)
    except (ValueError, httpx.InvalidURL):
        return False
