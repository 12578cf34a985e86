"""Peers: one HTTP client per member, and what is known of it.

Every answer of a peer is hostile until proven otherwise: its length and the time that it takes are bounded while it
arrives, it comes uncompressed, it sets no cookie, and what it says is verified by whoever asked.
"""

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any, TypeVar

import httpx

from ledger.cosignature import parse_cosignatures
from ledger.encoding import JsonValue, lines_to_text, parse_decimal, parse_hash, parse_json
from ledger.errors import LedgerError
from ledger.manifest import MANIFEST_BYTES_MAX
from ledger.network import DOCUMENT_BYTES_MAX, Member, Network
from ledger.note import Signature
from ledger.tile import parse_bundle
from node.clock import Clock
from node.errors import ConfigError, NodeError
from node.layout import origin_hash

ENTRIES_BYTES_MAX = 8 * 1024 * 1024  # of one answer; the other side sends at most half of it
ENTRIES_MAX = 1000
CHECKPOINT_BYTES_MAX = 64 * 1024  # 100 signature lines of 200 bytes, with room
LOGS_BYTES_MAX = 4 * 1024 * 1024  # 5,000 logs of some 400 bytes
CHAIN_BYTES_MAX = 4 * DOCUMENT_BYTES_MAX  # all versions of a network document: those of a large network are few
HEALTH_BYTES_MAX = 256 * 1024
CONNECTIONS_MAX = 4  # to one peer
ANSWER_TIMEOUTS_MAX = 6  # a whole answer, in waits for a part of it: else one byte now and then would hold us for ever
PROBLEM_CHARACTERS_MAX = 200  # of a peer's own words, in messages and logs

T = TypeVar("T")


class PeerError(NodeError):
    """A peer did not answer, or not as it should."""

    code = "peer_failed"
    hint = "suyuan peers shows which peers answer"


class PeerUnreachableError(PeerError):
    """No answer: refused, timed out, broken off."""

    code = "peer_unreachable"


class PeerBusyError(PeerError):
    """The peer asks to come again later (503)."""

    code = "peer_busy"


class PeerRefusedError(PeerError):
    """The peer answered with an error of its own."""

    code = "peer_refused"


class StaleSizeError(PeerError):
    """The peer has cosigned another size than we thought (409)."""

    code = "peer_has_other_size"

    def __init__(self, size: int) -> None:
        super().__init__(f"the peer has cosigned size {size}")
        self.size = size


@dataclass(slots=True)
class PeerStatus:
    """What this node has seen of a peer."""

    reachable: bool | None = None  # None: not tried yet
    last_seen_ms: int | None = None
    last_error: str | None = None
    failures: int = 0  # in a row
    sizes: dict[str, int] = field(default_factory=dict)  # of each log, as the peer tells it
    confirmed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Head:
    """How far a peer holds one log, as it tells it."""

    size: int
    confirmed: int
    root: bytes  # of the tree of all entries that it holds; nobody has signed it


@dataclass(frozen=True, slots=True)
class Heads:
    """What a peer tells of itself: nothing of it is verified."""

    version: int  # of the network document under which it acts
    logs: dict[str, Head]


@dataclass(frozen=True, slots=True)
class Memory:
    """What a peer remembers of every log, as it tells it: nothing of it is verified."""

    version: int  # of the network document under which it acts
    sizes: dict[str, int]  # entries that it holds
    checkpoints: dict[str, bytes]  # the best checkpoint that it knows of a log, signed by that log


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
    ) -> None:
        self._answer_seconds_max = ANSWER_TIMEOUTS_MAX * timeout_ms / 1000
        self._clock = clock
        self._auth = auth
        self.member = member
        self.origin = member.origin
        self.status = PeerStatus()
        self._client = httpx.AsyncClient(
            base_url=member.url,
            timeout=httpx.Timeout(timeout_ms / 1000),
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
            headers={"Accept-Encoding": "identity", "User-Agent": "suyuan"},
            verify=verify,
            transport=transport,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

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

    async def send_checkpoint(self, origin: str, note: bytes) -> None:
        """Give a peer a confirmed checkpoint.

        Raises:
            PeerError: it did not take it.
        """
        status, answer, _ = await self._call(
            "POST", f"/logs/{origin_hash(origin)}/checkpoint", CHECKPOINT_BYTES_MAX, note
        )
        _expect(status, answer)

    async def checkpoint(self, origin: str) -> bytes:
        """Return the newest checkpoint that the peer serves of a log, not verified yet.

        Raises:
            PeerError: it has none, or did not answer.
        """
        status, answer, _ = await self._call("GET", f"/logs/{origin_hash(origin)}/checkpoint", CHECKPOINT_BYTES_MAX)
        _expect(status, answer)
        return answer

    async def entries(self, origin: str, start: int, limit: int) -> list[bytes]:
        """Return up to ``limit`` entries of a log from index ``start`` on, at least one, not verified yet.

        Raises:
            PeerError: it has none there, or did not answer.
        """
        path = f"/v1/logs/{origin_hash(origin)}/entries?start={start}&limit={min(limit, ENTRIES_MAX)}"
        status, answer, headers = await self._call(
            "GET", path, ENTRIES_BYTES_MAX, headers={"Accept": "application/octet-stream"}
        )
        _expect(status, answer)
        count = _checked(lambda: parse_decimal(headers.get("entry-count", ""), field="Entry-Count"))
        if not 0 < count <= limit:
            raise PeerRefusedError(f"{count} entries where 1 to {limit} were asked for")
        return _checked(lambda: parse_bundle(answer, count=count))

    async def logs(self) -> Heads:
        """Return how far the peer holds every log, as it tells it.

        Raises:
            PeerError: it did not answer, or with something else.
        """
        status, answer, _ = await self._call("GET", "/v1/logs", LOGS_BYTES_MAX)
        _expect(status, answer)
        return await asyncio.to_thread(_heads, answer)

    async def memory(self) -> Memory:
        """Return what the peer remembers of every log, so that this node does not contradict itself after a loss.

        Raises:
            PeerError: it did not answer, or with something else.
        """
        status, answer, _ = await self._call("GET", "/v1/memory", LOGS_BYTES_MAX)
        _expect(status, answer)
        return await asyncio.to_thread(_memory, answer)

    async def network(self) -> bytes:
        """Return the network document under which the peer acts, with all its versions; not verified yet.

        Raises:
            PeerError: it did not answer.
        """
        status, answer, _ = await self._call("GET", "/v1/network", CHAIN_BYTES_MAX, signed=False)
        _expect(status, answer)
        return answer

    async def network_version(self) -> int:
        """Return the version of the network document under which the peer acts, also where it does not know us.

        Raises:
            PeerError: it did not answer, or with something else.
        """
        _, answer, _ = await self._call("GET", "/v1/health", HEALTH_BYTES_MAX, signed=False)
        match _checked(lambda: parse_json(answer)):
            case {"network": {"version": int(version)}}:
                return version
        raise PeerRefusedError("the answer about its health has another form")

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
        except Exception as error:  # noqa: BLE001 - whatever a peer makes the client raise is that peer's failure
            why = _words(str(error)) or type(error).__name__
            self._failed(why)
            raise PeerUnreachableError(f"{self.origin} did not answer: {why}") from None
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

    def __init__(self, own: str, make: Callable[[Member], Peer]) -> None:
        """``make`` gives the client of a member."""
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
                        running[peer] = group.create_task(work(peer), name=f"{name} {peer.origin}")
                await changed.wait()


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
    answer = bytearray()
    async for part in response.aiter_raw():
        answer += part
        if len(answer) > bytes_max:
            raise PeerRefusedError("the answer is too long", limit=bytes_max)
    return bytes(answer)


def _words(text: str) -> str:
    """Return what a peer may have worded in a form that fits into a message, and that a terminal only shows."""
    return repr(text[:PROBLEM_CHARACTERS_MAX])[1:-1]


def _expect(status: int, answer: bytes) -> None:
    if status == httpx.codes.SERVICE_UNAVAILABLE:
        raise PeerBusyError("the peer asks to come again later")
    if not httpx.codes.is_success(status):
        raise PeerRefusedError(f"status {status}: {_words(answer[:1000].decode('utf-8', 'replace'))}")


def _size(answer: bytes) -> int:
    text = answer.decode("ascii", "replace")
    if not text.endswith("\n"):
        raise PeerRefusedError(f"status 409 without a size: {_words(text)}")
    return _checked(lambda: parse_decimal(text[:-1], field="size"))


def _heads(answer: bytes) -> Heads:
    version, listed = _listed(answer)
    return Heads(version, dict(map(_head, listed)))


def _memory(answer: bytes) -> Memory:
    version, listed = _listed(answer)
    told = [_remembered(one) for one in listed]
    return Memory(
        version,
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
    raise PeerRefusedError("the list of logs has another form")


def _listed(answer: bytes) -> tuple[int, list[JsonValue]]:
    match _checked(lambda: parse_json(answer)):
        case {"network_version": int(version), "logs": list(listed)}:
            return version, listed
    raise PeerRefusedError("the list of logs has another form")


def _head(one: JsonValue) -> tuple[str, Head]:
    match one:
        case {"log": str(log), "size": int(size), "confirmed_size": int(confirmed), "root": str(root)}:
            if min(size, confirmed) >= 0:
                return log, Head(size, confirmed, _checked(lambda: parse_hash(root, field="root")))
    raise PeerRefusedError("the list of logs has another form")


def _checked(parse: Callable[[], T]) -> T:
    try:
        return parse()
    except LedgerError as error:
        raise PeerRefusedError(f"the answer is malformed: {error}") from None
