"""Peers: one HTTP client per member, and what is known of it.

Every answer of a peer is hostile until proven otherwise: its length and the time that it takes are bounded while it
arrives, it comes uncompressed, it sets no cookie, and what it says is verified by whoever asked.
"""

import asyncio
import functools
import ssl
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx
import structlog

from ledger.cosignature import parse_cosignatures
from ledger.encoding import parse_decimal, parse_json
from ledger.errors import LedgerError
from ledger.manifest import MANIFEST_BYTES_MAX
from ledger.network import DOCUMENT_BYTES_MAX, Member, Network
from ledger.note import Signature
from ledger.tile import parse_bundle
from node.clock import Clock
from node.faults import (
    Fault,
    PeerBusyError,
    PeerError,
    PeerMalformedError,
    PeerSlowError,
    PeerUnreachableError,
    PeerWithholdsError,
    StaleSizeError,
)
from node.layout import origin_hash
from node.pacing import Heard
from node.told import Heads, Memory, Seen, checked, expect, read_heads, read_memory, read_size, refusal
from node.wary import ANSWER_TIMEOUTS_MAX, read_answer, wary_client, words_of

ENTRIES_BYTES_MAX = 8 * 1024 * 1024  # of one answer; the other side sends at most half of it
ENTRIES_MAX = 2048  # each question costs both sides 3 ms, and a round of the writer takes as long as so many entries
CHECKPOINT_BYTES_MAX = 64 * 1024  # 100 signature lines of 200 bytes, with room
LOGS_BYTES_MAX = 4 * 1024 * 1024  # 5,000 logs of some 400 bytes
CHAIN_BYTES_MAX = 4 * DOCUMENT_BYTES_MAX  # all versions of a network document: those of a large network are few
HEALTH_BYTES_MAX = 256 * 1024
PROOF_BYTES_MAX = 24 * 1024 * 1024  # of a proof of equivocation, as large as one write of the store can be
CONNECTIONS_MAX = 4  # to one peer
SLOW_PARTS = 4  # an answer that takes so large a part of the longest wait is a slow one
FAULT_CHARACTERS_MAX = 500  # of the message that is kept of a fault

# Refused whatever is asked: our clock is wrong, or the peer does not know our key yet. That withholds nothing.
_UNKNOWN_TO_IT = frozenset((httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN))

T = TypeVar("T")
log = structlog.get_logger(__name__)

AFTER_FAULT_SECONDS = 5.0
P = ParamSpec("P")


@dataclass(slots=True)
class PeerStatus:
    """What this node has seen of a peer."""

    reachable: bool | None = None  # None: not tried yet
    last_seen_ms: int | None = None
    last_error: str | None = None
    version: int | None = None  # of the network document under which it acts, as it has told last
    failures: int = 0  # in a row
    sizes: dict[str, int] = field(default_factory=dict)  # of each log, as the peer has claimed it
    heads: dict[str, Seen] = field(default_factory=dict)  # of each log, as it was told last
    faults: dict[str, Fault] = field(default_factory=dict)  # by kind, since the start
    lagged_ms: int | None = None  # when it last gave fewer entries than it should, or late (see node/sources.py)


_Asking = Callable[Concatenate["Peer", P], Coroutine[Any, Any, T]]


def _counted(ask: _Asking[P, T]) -> _Asking[P, T]:
    """Have a question note against the peer what it answers wrongly."""

    @functools.wraps(ask)
    async def asked(peer: "Peer", /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await ask(peer, *args, **kwargs)
        except StaleSizeError:
            raise
        except PeerError as error:
            peer.blame(error)
            raise

    return asked


class Peer:
    """One member's node, as a client sees it."""

    def __init__(
        self,
        member: Member,
        *,
        auth: httpx.Auth,
        clock: Clock,
        timeout_ms: int,
        verify: ssl.SSLContext,
        transport: httpx.AsyncBaseTransport | None = None,
        on_fault: Callable[[str, str], None] = lambda _origin, _kind: None,
        on_return: Callable[[str], None] = lambda _origin: None,
    ) -> None:
        """Ask ``member``; ``on_fault`` is told the member and the kind of each fault, ``on_return`` who answers again.

        The latter is told before the status says so.
        """
        self._on_fault = on_fault
        self._on_return = on_return
        self.heard = Heard()  # cuts short the waits before this peer is asked again
        self._answer_seconds_max = ANSWER_TIMEOUTS_MAX * timeout_ms / 1000
        self.slow_ms = timeout_ms // SLOW_PARTS
        self._clock = clock
        self._auth = auth
        self.member = member
        self.origin = member.origin
        self.status = PeerStatus()
        self._client = wary_client(timeout_ms, CONNECTIONS_MAX, verify, transport, base_url=member.url)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def hear(self) -> None:
        """Take it as a sign of life that the peer has asked something: if it did not answer, it is asked soon."""
        if self.status.reachable is False:
            self.heard.tell()

    def blame(self, error: PeerError) -> None:
        """Count what the peer did wrong; its own questions do so by themselves."""
        kind = error.code.removeprefix("peer_")
        known = self.status.faults.get(kind)
        count = known.count + 1 if known is not None else 1
        self.status.faults[kind] = Fault(count, self._clock.now_ms(), str(error)[:FAULT_CHARACTERS_MAX])
        self._on_fault(self.origin, kind)

    @_counted
    async def add_checkpoint(self, body: bytes) -> tuple[Signature, ...]:
        """Submit a checkpoint of ours; return the cosignatures in the answer, not verified yet.

        Raises:
            StaleSizeError: the old size is not what the peer has cosigned last.
            PeerError: any other failure.
        """
        status, answer, _ = await self._call(
            "POST", "/witness/add-checkpoint", CHECKPOINT_BYTES_MAX, body, signed=False
        )
        if status == httpx.codes.CONFLICT:
            raise StaleSizeError(read_size(answer))
        expect(status, answer)
        return checked(lambda: parse_cosignatures(answer))

    @_counted
    async def send_checkpoint(self, origin: str, note: bytes) -> None:
        """Give a peer a confirmed checkpoint.

        Raises:
            PeerError: it did not take it.
        """
        status, answer, _ = await self._call(
            "POST", f"/logs/{origin_hash(origin)}/checkpoint", CHECKPOINT_BYTES_MAX, note
        )
        expect(status, answer)

    @_counted
    async def checkpoint(self, origin: str) -> bytes:
        """Return the newest checkpoint that the peer serves of a log, not verified yet.

        Raises:
            PeerError: it has none, or did not answer.
        """
        status, answer, _ = await self._call("GET", f"/logs/{origin_hash(origin)}/checkpoint", CHECKPOINT_BYTES_MAX)
        expect(status, answer)
        return answer

    @_counted
    async def head(self, origin: str) -> bytes:
        """Return the largest checkpoint that a log has signed, as far as the peer knows; not verified yet.

        Raises:
            PeerError: it has none, or did not answer.
        """
        status, answer, _ = await self._call("GET", f"/v1/logs/{origin_hash(origin)}/head", CHECKPOINT_BYTES_MAX)
        expect(status, answer)
        return answer

    @_counted
    async def entries(self, origin: str, start: int, limit: int, *, promised: bool = False) -> list[bytes]:
        """Return up to ``limit`` entries of a log from index ``start`` on, at least one, not verified yet.

        Raises:
            PeerWithholdsError: it gives none, though by what it says or has signed (``promised``) it has them.
            PeerError: it has none there, or did not answer.
        """
        path = f"/v1/logs/{origin_hash(origin)}/entries?start={start}&limit={min(limit, ENTRIES_MAX)}"
        status, answer, headers = await self._call(
            "GET", path, ENTRIES_BYTES_MAX, headers={"Accept": "application/octet-stream"}
        )
        if promised and httpx.codes.is_client_error(status) and status not in _UNKNOWN_TO_IT:
            why = refusal(status, answer)
            raise PeerWithholdsError(f"no entries of {origin} from {start} on, which it has: {why}")
        expect(status, answer)
        count = checked(lambda: parse_decimal(headers.get("entry-count", ""), field="Entry-Count"))
        if promised and count == 0:
            raise PeerWithholdsError(f"no entries of {origin} from {start} on, which it has")
        if count == 0:
            raise PeerBusyError(f"it has no entries of {origin} from {start} on yet")
        if count > limit:
            raise PeerMalformedError(f"{count} entries where 1 to {limit} were asked for")
        return checked(lambda: parse_bundle(answer, count=count))

    @_counted
    async def logs(self) -> Heads:
        """Return how far the peer holds every log, as it tells it.

        Raises:
            PeerError: it did not answer, or with something else.
        """
        status, answer, _ = await self._call("GET", "/v1/logs", LOGS_BYTES_MAX)
        expect(status, answer)
        heads = await asyncio.to_thread(read_heads, answer)
        self.status.version = heads.version
        return heads

    @_counted
    async def equivocation(self, name: str) -> bytes:
        """Return the proof of that id, whose SHA-256 it is; not judged yet.

        Raises:
            PeerError: the peer does not have it, gave other bytes, or did not answer.
        """
        status, answer, _ = await self._call("GET", f"/v1/equivocations/{name}", PROOF_BYTES_MAX)
        expect(status, answer)
        if sha256(answer).hexdigest() != name:
            raise PeerMalformedError("the proof has another hash than it is listed under")
        return answer

    @_counted
    async def memory(self) -> Memory:
        """Return what the peer remembers of every log, so that this node does not contradict itself after a loss.

        Raises:
            PeerError: it did not answer, or with something else.
        """
        status, answer, _ = await self._call("GET", "/v1/memory", LOGS_BYTES_MAX)
        expect(status, answer)
        memory = await asyncio.to_thread(read_memory, answer)
        self.status.version = memory.version
        return memory

    @_counted
    async def network(self) -> bytes:
        """Return the network document under which the peer acts, with all its versions; not verified yet.

        Raises:
            PeerError: it did not answer.
        """
        status, answer, _ = await self._call("GET", "/v1/network", CHAIN_BYTES_MAX, signed=False)
        expect(status, answer)
        return answer

    @_counted
    async def network_version(self) -> int:
        """Return the version of the network document under which the peer acts, also where it does not know us.

        Raises:
            PeerError: it did not answer, or with something else.
        """
        _, answer, _ = await self._call("GET", "/v1/health", HEALTH_BYTES_MAX, signed=False)
        match checked(lambda: parse_json(answer)):
            case {"network": {"version": int(version)}}:
                self.status.version = version
                return version
        raise PeerMalformedError("the answer about its health has another form")

    @_counted
    async def manifest(self, root: bytes) -> bytes:
        """Return the manifest with a root, as the provider of a share serves it to the consumer; not verified yet.

        Raises:
            PeerError: it does not keep it, does not show it to us, or did not answer.
        """
        status, answer, _ = await self._call("GET", f"/v1/manifests/{root.hex()}", MANIFEST_BYTES_MAX)
        expect(status, answer)
        return answer

    async def _call(
        self,
        method: str,
        path: str,
        bytes_max: int,
        body: bytes | None = None,
        *,
        headers: dict[str, str] | None = None,
        signed: bool = True,
    ) -> tuple[int, bytes, httpx.Headers]:
        auth = self._auth if signed else None  # a checkpoint is authenticated by its own signature
        try:
            async with (
                asyncio.timeout(self._answer_seconds_max),
                self._client.stream(method, path, content=body, headers=headers, auth=auth) as response,
            ):
                answer = await read_answer(response, bytes_max)
        except LedgerError as error:
            self._failed(str(error))
            raise
        except (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout) as error:
            self._failed(why := f"no whole answer in time ({type(error).__name__})")
            raise PeerSlowError(f"{self.origin} is too slow: {why}") from None
        except Exception as error:  # noqa: BLE001 - whatever a peer makes the client raise is that peer's failure
            why = words_of(str(error)) or type(error).__name__
            self._failed(why)
            raise PeerUnreachableError(f"{self.origin} did not answer: {why}") from None
        if self.status.reachable is False:
            self._on_return(self.origin)
            self.heard.tell()
        self.status.reachable = True
        self.status.failures = 0
        self.status.last_error = None
        self.status.last_seen_ms = self._clock.now_ms()
        return response.status_code, answer, response.headers

    def _failed(self, why: str) -> None:
        self.status.reachable = False
        self.status.failures += 1
        self.status.last_error = why


class Peers(Mapping[str, Peer]):
    """The peers by origin, as the network document in force names them; they come and go while the node runs."""

    def __init__(
        self, own: str, make: Callable[[Member], Peer], *, fault: Callable[[str, Exception], None] = lambda *_: None
    ) -> None:
        """``make`` gives the client of a member; ``fault`` is told of what work has met that nobody has thought of."""
        self._fault = fault
        self._own = own
        self._make = make
        self._peers: dict[str, Peer] = {}
        self._changed = asyncio.Event()

    def __getitem__(self, origin: str) -> Peer:
        return self._peers[origin]

    def __iter__(self) -> Iterator[str]:
        return iter(self._peers)

    def __len__(self) -> int:
        return len(self._peers)

    def update(self, network: Network) -> list[Peer]:
        """Have exactly the other active members as peers; return those that are none any more, to be closed.

        A member that has moved gets a new client; one with other keys keeps its client, and what is known of it.
        """
        before, self._peers = self._peers, {}
        for origin, member in network.members.items():
            if origin != self._own and member.active:
                known = before.get(origin)
                if known is not None and known.member.url == member.url:
                    known.member = member
                    self._peers[origin] = before.pop(origin)
                else:
                    self._peers[origin] = self._make(member)
        self._changed.set()
        self._changed = asyncio.Event()
        return list(before.values())

    async def each(self, work: Callable[[Peer], Coroutine[Any, Any, None]], name: str) -> None:
        """Run ``work`` for every peer until cancelled: for those that come from then on, for those that go no more."""
        running: dict[Peer, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                changed = self._changed
                for peer in running.keys() - set(self._peers.values()):
                    running.pop(peer).cancel()
                for peer in self._peers.values():
                    if peer not in running:
                        running[peer] = group.create_task(self._guarded(work, peer, name), name=f"{name} {peer.origin}")
                await changed.wait()

    async def _guarded(self, work: Callable[[Peer], Coroutine[Any, Any, None]], peer: Peer, name: str) -> None:
        """Do the work for one peer; what nobody has thought of must not end it for all the others."""
        while True:
            try:
                await work(peer)
            except Exception as error:
                log.exception("a fault of the software", work=name, peer=peer.origin)
                self._fault(f"{name} {peer.origin}", error)
                await asyncio.sleep(AFTER_FAULT_SECONDS)
            else:
                return
