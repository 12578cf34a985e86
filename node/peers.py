"""Peers: one HTTP client per member, and what is known of it.

Every answer of a peer is hostile until proven otherwise: its length and the time that it takes are bounded while it
arrives, it comes uncompressed, it sets no cookie, and what it says is verified by whoever asked.

What goes wrong is told apart, and counted for each peer; a kind is the error's code without its beginning:

    PeerError                     peer_failed
    ├── PeerUnreachableError      peer_unreachable: no connection, or one that broke off
    │   └── PeerSlowError         peer_slow: no answer in time, or one that drips
    ├── PeerBusyError             peer_busy: it asks to come again later
    ├── PeerRefusedError          peer_refused: an error of its own in the place of an answer
    │   ├── PeerTooLongError      peer_too_long: an answer without end
    │   ├── PeerCompressedError   peer_compressed: a short answer that may become a long one
    │   └── PeerMalformedError    peer_malformed: an answer of another form
    ├── PeerFalseError            peer_false: what it gave does not verify
    │   └── PeerKeyEndedError     peer_key_ended: it gave what a log's key has signed above its end
    ├── PeerWithholdsError        peer_withholds: it does not give the entries that it says it has
    ├── PeerStaleError            peer_stale: it shows an older head than is proven already
    └── StaleSizeError            peer_has_other_size: where to begin; no fault, and not counted
"""

import asyncio
import functools
import re
import ssl
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx
import structlog

from ledger.cosignature import parse_cosignatures
from ledger.encoding import JsonObject, JsonValue, lines_to_text, parse_decimal, parse_hash, parse_json, parse_time
from ledger.errors import KeyEndedError, LedgerError
from ledger.manifest import MANIFEST_BYTES_MAX
from ledger.network import DOCUMENT_BYTES_MAX, Member, Network
from ledger.note import Signature
from ledger.tile import parse_bundle
from node.clock import Clock
from node.errors import ConfigError, NodeError
from node.layout import origin_hash
from node.pacing import Heard

ENTRIES_BYTES_MAX = 8 * 1024 * 1024  # of one answer; the other side sends at most half of it
ENTRIES_MAX = 1000
CHECKPOINT_BYTES_MAX = 64 * 1024  # 100 signature lines of 200 bytes, with room
LOGS_BYTES_MAX = 4 * 1024 * 1024  # 5,000 logs of some 400 bytes
CHAIN_BYTES_MAX = 4 * DOCUMENT_BYTES_MAX  # all versions of a network document: those of a large network are few
HEALTH_BYTES_MAX = 256 * 1024
PROOF_BYTES_MAX = 24 * 1024 * 1024  # of a proof of equivocation, as large as one write of the store can be
IDS_MAX = 1000  # proofs that a peer may list
CONNECTIONS_MAX = 4  # to one peer
ANSWER_TIMEOUTS_MAX = 6  # a whole answer, in waits for a part of it: else one byte now and then would hold us for ever
SLOW_PARTS = 4  # an answer that takes so large a part of the longest wait is a slow one
PROBLEM_CHARACTERS_MAX = 200  # of a peer's own words, in messages and logs
FAULT_CHARACTERS_MAX = 500  # of the message that is kept of a fault

_ID = re.compile(r"[0-9a-f]{64}")
T = TypeVar("T")
log = structlog.get_logger(__name__)

AFTER_FAULT_SECONDS = 5.0
P = ParamSpec("P")


class PeerError(NodeError):
    """A peer did not answer, or not as it should."""

    code = "peer_failed"
    hint = "suyuan peers shows which peers answer"


class PeerUnreachableError(PeerError):
    """No answer: refused, timed out, broken off."""

    code = "peer_unreachable"


class PeerSlowError(PeerUnreachableError):
    """No answer in time: nothing came, or a little now and then."""

    code = "peer_slow"


class PeerBusyError(PeerError):
    """The peer asks to come again later (503)."""

    code = "peer_busy"


class PeerRefusedError(PeerError):
    """The peer answered, but not with what it was asked for."""

    code = "peer_refused"


class PeerTooLongError(PeerRefusedError):
    """An answer that is longer than any that the question has; it was not read to its end."""

    code = "peer_too_long"


class PeerCompressedError(PeerRefusedError):
    """An answer that is compressed although none may be; nothing of it was read."""

    code = "peer_compressed"


class PeerMalformedError(PeerRefusedError):
    """An answer of another form than the question has."""

    code = "peer_malformed"


class PeerFalseError(PeerError):
    """What the peer gave does not verify: a wrong signature, or not the continuation of what is here."""

    code = "peer_false"


class PeerKeyEndedError(PeerFalseError):
    """The peer gave what a log's key has signed where that key had ended: somebody uses a key that was given up."""

    code = "peer_key_ended"


class PeerWithholdsError(PeerError):
    """The peer does not give the entries that it says it has, or that it has signed for."""

    code = "peer_withholds"


class PeerStaleError(PeerError):
    """The peer shows an older head than it, or others, have proven already: it is frozen, or freezes us."""

    code = "peer_stale"


class StaleSizeError(PeerError):
    """The peer has cosigned another size than we thought (409)."""

    code = "peer_has_other_size"

    def __init__(self, size: int) -> None:
        super().__init__(f"the peer has cosigned size {size}")
        self.size = size


@dataclass(frozen=True, slots=True)
class Head:
    """How far a peer holds one log, as it tells it."""

    size: int
    confirmed: int
    root: bytes  # of the tree of all entries that it holds; nobody has signed it
    signed: int = 0  # size of the largest checkpoint that it knows, with a quorum or without
    vouched: int = 0  # POSIX seconds since which a quorum vouches for the confirmed one; 0 where it does not say


@dataclass(frozen=True, slots=True)
class Heads:
    """What a peer tells of itself: nothing of it is verified."""

    version: int  # of the network document under which it acts
    logs: dict[str, Head]
    equivocations: tuple[str, ...] = ()  # ids of the proofs that it holds against logs


@dataclass(frozen=True, slots=True)
class Seen:
    """A head as it was seen, and what was made of it."""

    head: Head
    at_ms: int
    agrees: bool | None  # whether its root is ours at its size; None: not compared, since it was ahead or just changed
    compared_ms: int = 0  # when a root of this log and peer was compared last


@dataclass(frozen=True, slots=True)
class Fault:
    """What a peer did wrong, of one kind: how often, and the last time."""

    count: int
    last_ms: int
    words: str


@dataclass(slots=True)
class PeerStatus:
    """What this node has seen of a peer."""

    reachable: bool | None = None  # None: not tried yet
    last_seen_ms: int | None = None
    last_error: str | None = None
    failures: int = 0  # in a row
    sizes: dict[str, int] = field(default_factory=dict)  # of each log, as the peer has claimed it
    heads: dict[str, Seen] = field(default_factory=dict)  # of each log, as it was told last
    faults: dict[str, Fault] = field(default_factory=dict)  # by kind, since the start
    lagged_ms: int | None = None  # when it last gave fewer entries than it should, or late (see node/sources.py)


@dataclass(frozen=True, slots=True)
class Memory:
    """What a peer remembers of every log, as it tells it: nothing of it is verified."""

    version: int  # of the network document under which it acts
    since: int  # under which version it has last finished a return of its own; 0: never yet
    sizes: dict[str, int]  # entries that it holds
    checkpoints: dict[str, bytes]  # the best checkpoint that it knows of a log, signed by that log


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
            raise StaleSizeError(_size(answer))
        _expect(status, answer)
        return _checked(lambda: parse_cosignatures(answer))

    @_counted
    async def send_checkpoint(self, origin: str, note: bytes) -> None:
        """Give a peer a confirmed checkpoint.

        Raises:
            PeerError: it did not take it.
        """
        status, answer, _ = await self._call(
            "POST", f"/logs/{origin_hash(origin)}/checkpoint", CHECKPOINT_BYTES_MAX, note
        )
        _expect(status, answer)

    @_counted
    async def checkpoint(self, origin: str) -> bytes:
        """Return the newest checkpoint that the peer serves of a log, not verified yet.

        Raises:
            PeerError: it has none, or did not answer.
        """
        status, answer, _ = await self._call("GET", f"/logs/{origin_hash(origin)}/checkpoint", CHECKPOINT_BYTES_MAX)
        _expect(status, answer)
        return answer

    @_counted
    async def head(self, origin: str) -> bytes:
        """Return the largest checkpoint that a log has signed, as far as the peer knows; not verified yet.

        Raises:
            PeerError: it has none, or did not answer.
        """
        status, answer, _ = await self._call("GET", f"/v1/logs/{origin_hash(origin)}/head", CHECKPOINT_BYTES_MAX)
        _expect(status, answer)
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
        if promised and httpx.codes.is_client_error(status):
            refusal = _refusal(status, answer)
            raise PeerWithholdsError(f"no entries of {origin} from {start} on, which it has: {refusal}")
        _expect(status, answer)
        count = _checked(lambda: parse_decimal(headers.get("entry-count", ""), field="Entry-Count"))
        if promised and count == 0:
            raise PeerWithholdsError(f"no entries of {origin} from {start} on, which it has")
        if count == 0:
            raise PeerBusyError(f"it has no entries of {origin} from {start} on yet")
        if count > limit:
            raise PeerMalformedError(f"{count} entries where 1 to {limit} were asked for")
        return _checked(lambda: parse_bundle(answer, count=count))

    @_counted
    async def logs(self) -> Heads:
        """Return how far the peer holds every log, as it tells it.

        Raises:
            PeerError: it did not answer, or with something else.
        """
        status, answer, _ = await self._call("GET", "/v1/logs", LOGS_BYTES_MAX)
        _expect(status, answer)
        return await asyncio.to_thread(_heads, answer)

    @_counted
    async def equivocation(self, name: str) -> bytes:
        """Return the proof of that id, whose SHA-256 it is; not judged yet.

        Raises:
            PeerError: the peer does not have it, gave other bytes, or did not answer.
        """
        status, answer, _ = await self._call("GET", f"/v1/equivocations/{name}", PROOF_BYTES_MAX)
        _expect(status, answer)
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
        _expect(status, answer)
        return await asyncio.to_thread(_memory, answer)

    @_counted
    async def network(self) -> bytes:
        """Return the network document under which the peer acts, with all its versions; not verified yet.

        Raises:
            PeerError: it did not answer.
        """
        status, answer, _ = await self._call("GET", "/v1/network", CHAIN_BYTES_MAX, signed=False)
        _expect(status, answer)
        return answer

    @_counted
    async def network_version(self) -> int:
        """Return the version of the network document under which the peer acts, also where it does not know us.

        Raises:
            PeerError: it did not answer, or with something else.
        """
        _, answer, _ = await self._call("GET", "/v1/health", HEALTH_BYTES_MAX, signed=False)
        match _checked(lambda: parse_json(answer)):
            case {"network": {"version": int(version)}}:
                return version
        raise PeerMalformedError("the answer about its health has another form")

    @_counted
    async def manifest(self, root: bytes) -> bytes:
        """Return the manifest with a root, as the provider of a share serves it to the consumer; not verified yet.

        Raises:
            PeerError: it does not keep it, does not show it to us, or did not answer.
        """
        status, answer, _ = await self._call("GET", f"/v1/manifests/{root.hex()}", MANIFEST_BYTES_MAX)
        _expect(status, answer)
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
                answer = await _read(response, bytes_max)
        except LedgerError as error:
            self._failed(str(error))
            raise
        except (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout) as error:
            self._failed(why := f"no whole answer in time ({type(error).__name__})")
            raise PeerSlowError(f"{self.origin} is too slow: {why}") from None
        except Exception as error:  # noqa: BLE001 - whatever a peer makes the client raise is that peer's failure
            why = _words(str(error)) or type(error).__name__
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


def not_verified(what: str, error: LedgerError) -> PeerFalseError:
    """Return what a peer has done wrong who gave something that does not verify."""
    kind = PeerKeyEndedError if isinstance(error, KeyEndedError) else PeerFalseError
    return kind(f"{what}: {error}")


def wary_client(
    timeout_ms: int,
    connections: int,
    verify: ssl.SSLContext,
    transport: httpx.AsyncBaseTransport | None,
    *,
    base_url: str = "",
) -> httpx.AsyncClient:
    """Return a client for servers that are hostile until proven otherwise: no compression, cookies, or redirects."""
    return httpx.AsyncClient(
        base_url=base_url,
        timeout=httpx.Timeout(timeout_ms / 1000),
        limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        headers={"Accept-Encoding": "identity", "User-Agent": "suyuan"},
        verify=verify,
        transport=transport,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        follow_redirects=False,
        trust_env=False,
    )


def tls_context(authority: Path | None) -> ssl.SSLContext:
    """Return how peers' certificates are checked: by the given authority, else by those that the system trusts.

    Raises:
        ConfigError: the authority's file cannot be used.
    """
    try:
        return ssl.create_default_context(cafile=None if authority is None else str(authority))
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"no certificates can be read: {error.strerror or error}", field=str(authority)) from None


async def _read(response: httpx.Response, bytes_max: int) -> bytes:
    if (coding := response.headers.get("content-encoding", "identity")) != "identity":
        raise PeerCompressedError(f"the answer is compressed: {_words(coding)}")
    answer = bytearray()
    async for part in response.aiter_raw():
        answer += part
        if len(answer) > bytes_max:
            raise PeerTooLongError("the answer is too long", limit=bytes_max)
    return bytes(answer)


def _words(text: str) -> str:
    """Return what a peer may have worded in a form that fits into a message, and that a terminal only shows."""
    return repr(text[:PROBLEM_CHARACTERS_MAX])[1:-1]


def _expect(status: int, answer: bytes) -> None:
    if status == httpx.codes.SERVICE_UNAVAILABLE:
        raise PeerBusyError("the peer asks to come again later")
    if not httpx.codes.is_success(status):
        raise PeerRefusedError(_refusal(status, answer))


def _refusal(status: int, answer: bytes) -> str:
    return f"status {status}: {_words(answer[:1000].decode('utf-8', 'replace'))}"


def _size(answer: bytes) -> int:
    text = answer.decode("ascii", "replace")
    if not text.endswith("\n"):
        raise PeerMalformedError(f"status 409 without a size: {_words(text)}")
    return _checked(lambda: parse_decimal(text[:-1], field="size"))


def _heads(answer: bytes) -> Heads:
    version, listed, rest = _listed(answer)
    return Heads(version, dict(map(_head, listed)), _ids(rest.get("equivocations", [])))


def _memory(answer: bytes) -> Memory:
    version, listed, rest = _listed(answer)
    told = [_remembered(one) for one in listed]
    since = rest.get("since", 0)
    if not isinstance(since, int) or since < 0:
        raise PeerMalformedError("the list of logs has another form")
    return Memory(
        version,
        since,
        {origin: size for origin, size, _ in told},
        {origin: checkpoint for origin, _, checkpoint in told if checkpoint is not None},
    )


def _remembered(one: JsonValue) -> tuple[str, int, bytes | None]:
    match one:
        case {"log": str(log), "size": int(size), "checkpoint": list(lines)} if size >= 0:
            if all(isinstance(line, str) for line in lines):
                return log, size, lines_to_text([line for line in lines if isinstance(line, str)])
        case {"log": str(log), "size": int(size)} if size >= 0:
            return log, size, None
    raise PeerMalformedError("the list of logs has another form")


def _listed(answer: bytes) -> tuple[int, list[JsonValue], JsonObject]:
    match _checked(lambda: parse_json(answer)):
        case {"network_version": int(version), "logs": list(listed), **rest}:
            return version, listed, {str(name): value for name, value in rest.items()}
    raise PeerMalformedError("the list of logs has another form")


def _ids(listed: JsonValue) -> tuple[str, ...]:
    names = listed if isinstance(listed, list) else [None]
    ids = tuple(one for one in names if isinstance(one, str) and _ID.fullmatch(one))
    if not len(names) == len(ids) <= IDS_MAX:
        raise PeerMalformedError("the list of proofs has another form")
    return ids


def _head(one: JsonValue) -> tuple[str, Head]:
    match one:
        case {"log": str(log), "size": int(size), "confirmed_size": int(confirmed), "root": str(root), **more}:
            signed, vouched = more.get("signed_size"), more.get("vouched")
            told = Head(
                size,
                confirmed,
                _checked(lambda: parse_hash(root, field="root")),
                signed if isinstance(signed, int) else 0,
                _checked(lambda: parse_time(vouched)) // 1000 if isinstance(vouched, str) else 0,
            )
            if min(size, confirmed, told.signed) >= 0:
                return log, told
    raise PeerMalformedError("the list of logs has another form")


def _checked(parse: Callable[[], T]) -> T:
    try:
        return parse()
    except LedgerError as error:
        raise PeerMalformedError(f"the answer is malformed: {error}") from None
