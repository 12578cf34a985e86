"""The witness: verify a checkpoint, store every entry below it, remember it, cosign it (protocol section 6).

1. The origin is a member's log, and the log has signed the checkpoint.
2. The old size is the one that this node has cosigned last, and the proof shows that the new tree extends that one.
3. Every entry below the size is here, verified, and hashes to the root.
4. The log acts under the version of the network document under which this node acts.
5. Compare and store, in one durable step: the signed checkpoint takes the place of the one that was cosigned before.
   A crash before it: nothing was said. After it: the log asks again with the new size and gets its cosignature.
6. Sign and answer.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ledger.checkpoint import check_empty_root
from ledger.errors import (
    ConsistencyError,
    InvalidSignatureError,
    LedgerError,
    OutOfRangeError,
    StoreError,
    UnsignedError,
)
from ledger.merkle import TreeHead, verify_consistency
from ledger.network import Network
from ledger.note import SigningKey
from ledger.quorum import Judged, judge_checkpoint
from ledger.witness_request import AddCheckpoint, parse_add_checkpoint
from node import logs
from node.adoption import Adoption
from node.clock import Clock
from node.equivocations import Equivocations
from node.errors import BusyError, IntegrityAlarm, NodeError, NotFoundError, ReadOnlyError
from node.faults import PeerError
from node.logs import LogState
from node.metrics import Metrics
from node.mirror import Mirror, UnknownVersionError
from node.peers import Peer
from node.recovery import Recovery
from node.writer import Transaction, Writer

BODY_BYTES_MAX = 128 * 1024  # 63 proof lines and a checkpoint with 100 signatures take a third of it
ENTRIES_SECONDS_MAX = 4.0  # after that the log is asked to come again, while fetching goes on


class ForbiddenError(NodeError):
    """No valid signature by a key of that origin."""

    code = "unsigned"


class WrongSizeError(NodeError):
    """The old size is not the one that was cosigned last."""

    code = "wrong_old_size"

    def __init__(self, size: int) -> None:
        super().__init__(f"the size cosigned last is {size}", field="old")
        self.size = size


class RejectedError(NodeError):
    """The checkpoint contradicts what was cosigned, or what is stored."""

    code = "inconsistent"


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A good answer: the cosignature line."""

    line: str
    size: int


class Witness:
    """Cosigns the checkpoints of the members' logs."""

    def __init__(  # noqa: PLR0913 - one line per part of the node that it works with
        self,
        *,
        own: str,
        signer: Callable[[], SigningKey],
        mirror: Mirror,
        writer: Writer,
        network: Callable[[], Network],
        clock: Clock,
        metrics: Metrics,
        recovery: Recovery,
        adoption: Adoption,
        peers: Mapping[str, Peer],
        equivocations: Equivocations,
        alarms: Mapping[str, str],
    ) -> None:
        """Cosign with the key that ``signer`` gives; ``alarms`` are those that are raised, by log."""
        self._own = own
        self._signer = signer
        self._mirror = mirror
        self._writer = writer
        self._network = network
        self._clock = clock
        self._metrics = metrics
        self._recovery = recovery
        self._adoption = adoption
        self._peers = peers
        self._equivocations = equivocations
        self._alarms = alarms
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def add_checkpoint(self, body: bytes) -> Cosigned:
        """Answer the body of an add-checkpoint request.

        Raises:
            MalformedError, LimitError: 400. Else as :meth:`answer`.
        """
        return await self.answer(parse_add_checkpoint(body, size_max=BODY_BYTES_MAX))

    async def answer(self, request: AddCheckpoint) -> Cosigned:
        """Answer an add-checkpoint request.

        Raises:
            LimitError: 400.
            ForbiddenError: 403. NotFoundError: 404. WrongSizeError: 409. RejectedError: 422. BusyError: 503.
        """
        origin = request.checkpoint.origin
        member = self._network().members.get(origin)
        if member is None or not member.active or origin == self._own:
            raise NotFoundError(f"no log {origin[:80]!r} is witnessed here", field="origin")
        if not self._recovery.remembers:  # before any signature is looked at: after a start, all ask again and again
            raise BusyError("this node is finding out what it has cosigned before", field="origin")
        judged = await self._judge(request)
        if request.old_size > judged.size:
            raise OutOfRangeError("the old size is above the checkpoint's", field="old", limit=judged.size)
        async with self._locks[origin]:
            self._check_trust(self._mirror.state(origin))
            await self._remember_the_past(origin)
            await self._check_step(request, judged)
            await self._have_entries(judged)
            await self._act_alike(judged)
            await self._remember(request, judged)
        time = self._clock.now_ms() // 1000
        self._metrics.cosigned.labels(origin).inc()
        signature = await asyncio.to_thread(self._signer().cosign, judged.checkpoint.text, time)
        return Cosigned(signature.line, judged.size)

    async def _remember_the_past(self, origin: str) -> None:
        """Take over what peers remember of a log before anything new is said of it."""
        try:
            async with asyncio.timeout(ENTRIES_SECONDS_MAX):
                await self._recovery.take_over(origin)
        except IntegrityAlarm as error:
            raise RejectedError(error.message) from None
        except (BusyError, ReadOnlyError, StoreError):
            raise
        except (LedgerError, TimeoutError) as error:
            raise BusyError(f"what was cosigned of {origin} before is not here yet: {error}") from None

    async def _judge(self, request: AddCheckpoint) -> Judged:
        try:
            return await asyncio.to_thread(judge_checkpoint, request.note, self._network())
        except (UnsignedError, InvalidSignatureError) as error:
            self._mirror.fetcher.count_ended(error, request.checkpoint.origin)
            raise ForbiddenError(f"no valid signature by the log: {error}", field=error.field) from None

    def _check_trust(self, state: LogState) -> None:
        if state.origin in self._alarms:
            raise RejectedError(f"{state.origin} is in doubt here: {self._alarms[state.origin]}", field="origin")
        self._mirror.require_usable(state)

    async def _check_step(self, request: AddCheckpoint, judged: Judged) -> None:
        """Check the new head against the one cosigned last."""
        origin = judged.checkpoint.origin
        self._check_trust(self._mirror.state(origin))
        before = self._mirror.state(origin).cosigned_head
        if request.old_size != before.size:
            raise WrongSizeError(before.size)
        try:
            check_empty_root(judged.checkpoint)
            if before.size == judged.size > 0 and before.root != judged.checkpoint.root:
                told = f"{origin} has signed two roots for size {judged.size}"
                await asyncio.to_thread(self._mirror.contradict, judged, told)
            _check_proof(before, request, judged)
        except IntegrityAlarm as error:
            raise RejectedError(f"{origin}: {error.message}", field="proof") from None
        except ConsistencyError as error:
            await asyncio.to_thread(self._look_closer, request, judged)
            raise RejectedError(f"{origin}: {error.message}", field="proof") from None

    def _look_closer(self, request: AddCheckpoint, judged: Judged) -> None:
        """Try to show that a head, which does not follow the one cosigned last, is another story of the log."""
        state = self._mirror.state(judged.checkpoint.origin)
        if self._equivocations.accuse(judged) is None and state.cosigned is not None:
            self._equivocations.accuse_growth(state.cosigned, judged, request.proof)

    async def _have_entries(self, judged: Judged) -> None:
        origin = judged.checkpoint.origin
        try:
            async with asyncio.timeout(ENTRIES_SECONDS_MAX):
                await self._mirror.catch_up(origin, judged.size)
            await asyncio.to_thread(self._mirror.check_root, judged)
        except (PeerError, TimeoutError) as error:
            raise BusyError(f"the entries of {origin} up to {judged.size} cannot be had yet: {error}") from None
        except IntegrityAlarm as error:
            raise RejectedError(error.message) from None
        except (BusyError, ReadOnlyError, StoreError):
            raise
        except LedgerError as error:
            raise BusyError(f"the entries of {origin} are not what they should be: {error}") from None

    async def _act_alike(self, judged: Judged) -> None:
        """See to it that the log acts under the same version of the network document as this node.

        What is cosigned under an older one would count with that one's smaller quorum, although those who have joined
        since may have been told already what there was to know.
        """
        try:
            self._require_alike(judged)
        except UnknownVersionError:
            await self._catch_up_with(judged.checkpoint.origin)
            self._require_alike(judged)

    def _require_alike(self, judged: Judged) -> None:
        """Check that a log acts under the same version as this node, whose entries are here.

        Raises:
            UnknownVersionError: the log acts under one that is not here.
            BusyError: it acts under another one.
        """
        network = self._network()
        if judged.size == 0:
            return  # every history extends the empty one
        version = self._mirror.acting_version(judged, network)
        if version != network.version:
            raise BusyError(
                f"{judged.checkpoint.origin} acts under version {version} of the network document, this node under "
                f"{network.version}",
                field="origin",
            )

    async def _catch_up_with(self, origin: str) -> None:
        """Fetch the newer network document from the log's owner."""
        try:
            async with asyncio.timeout(ENTRIES_SECONDS_MAX):
                await self._adoption.ask(self._peers[origin])
        except (KeyError, PeerError, TimeoutError) as error:
            raise BusyError(f"the network document of {origin} cannot be had yet: {error}", field="origin") from None

    async def _remember(self, request: AddCheckpoint, judged: Judged) -> None:
        def compare_and_store(transaction: Transaction) -> None:
            state = transaction.state(judged.checkpoint.origin)
            self._check_trust(state)  # a proof may have come while the entries were fetched
            self._require_alike(judged)  # or a newer network document
            if request.old_size != state.cosigned_head.size:
                raise WrongSizeError(state.cosigned_head.size)
            state = logs.with_cosigned(state, judged, transaction.batch)
            transaction.put_state(logs.with_checkpoint(state, judged, transaction.batch))

        await asyncio.wrap_future(self._writer.submit(compare_and_store))


def _check_proof(before: TreeHead, request: AddCheckpoint, judged: Judged) -> None:
    if before.size > 0:
        verify_consistency(old=before, new=judged.checkpoint.head, proof=request.proof)
    elif request.proof:
        raise ConsistencyError("from size 0 on the proof is empty", field="proof")
