"""What the tests of the node share: departments with fixed keys, their network, and nodes that talk in one process.

Nothing here depends on chance or on the clock: keys come from the department's name, ids from a counter, time from a
:class:`~node.clock.ManualClock`. Requests between nodes go over a :class:`Wire`, where a node can be cut off, slowed
down, or replaced by somebody who lies.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import starmap
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs

import httpx

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.cosignature import add_signatures, cosign
from ledger.encoding import canonical_json, encode_base64, format_time, parse_time
from ledger.entry import ChainHead, Entry, chain, open_chain, parse_entry, sign_texts, verify_entries
from ledger.event import LogOpen
from ledger.merkle import Node as TreeNode
from ledger.merkle import TreeSize, leaf_hash, prove_consistency, root_of
from ledger.network import Network, network_text, parse_network
from ledger.note import COSIGNATURE, ED25519, Note, Signer
from ledger.store import Store
from ledger.store.memory import MemoryDisk
from ledger.tile import encode_bundle
from ledger.versions import verify_next
from ledger.witness_request import AddCheckpoint
from node import logs
from node.app import create_app
from node.briefs import brief_batch
from node.clock import ManualClock
from node.config import Home, make_settings
from node.foundation import Foundation
from node.history import read_entries
from node.keys import KeyRing, NodeKeys, key_name
from node.layout import origin_hash
from node.logs import LogState
from node.sequencer import Sequencer
from node.service import Node
from node.setup import Profile, create_home, join_network, member_entry, member_json
from node.signatories import Signatories
from node.submission import Prepared, Recorded, Submission, prepare_text
from node.tokens import Role, TokenFile, new_token
from node.writer import Transaction, Writer

if TYPE_CHECKING:
    from concurrent.futures import Future

NOW_MS = parse_time("2026-11-21T08:15:30.123Z")
PATIENCE_SECONDS = 15.0  # for what takes milliseconds, on a machine that is busy
RECORD = hashlib.sha256(b"a record").hexdigest()[:32]
FAST = {"checkpoint_interval_ms": 10, "pull_interval_ms": 50, "peer_timeout_ms": 2_000, "confirm_timeout_ms": 300}


def seed(*names: str) -> bytes:
    """32 bytes that look random and are always the same."""
    return hashlib.sha256(" ".join(("seed", *names)).encode()).digest()


def reference(*names: str) -> str:
    """A record reference that is always the same."""
    return seed(*names).hex()[:32]


def event_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


@dataclass(frozen=True)
class Party:
    """A department with its keys."""

    name: str

    @property
    def origin(self) -> str:
        return f"{self.name}.test/log"

    @property
    def url(self) -> str:
        return f"http://{self.name}.test"

    @property
    def keys(self) -> NodeKeys:
        return _keys(self.origin)

    @property
    def token(self) -> str:
        return new_token(seed(self.name, "token"))

    def profile(self) -> Profile:
        return Profile(
            origin=self.origin,
            name_zh=self.name,
            name_en=self.name,
            level="city",
            region="150600",
            roles=("department",),
            url=self.url,
        )

    def other_keys(self, *roles: str, name: str = "next") -> NodeKeys:
        """The department's keys with the next ones in the place of those of some roles."""
        return replace(self.keys, **{role: getattr(_keys(self.origin, name), role) for role in roles})


@cache
def _keys(origin: str, *names: str) -> NodeKeys:
    return NodeKeys(
        log=Signer(key_name(origin, "log"), ED25519, seed(origin, "log", *names)),
        cosigner=Signer(key_name(origin, "cosigner"), COSIGNATURE, seed(origin, "cosigner", *names)),
        transport=Signer(key_name(origin, "transport"), ED25519, seed(origin, "transport", *names)),
        sealing=seed(origin, "sealing", *names),
        record=seed(origin, "record"),
    )


def parties(count: int) -> list[Party]:
    return [Party(f"d{number}") for number in range(count)]


GOVERNOR = Signer("test/governor", ED25519, seed("governor"))


@dataclass(frozen=True)
class Paper:
    """A signed network document: all its versions, the fingerprint, and the newest version as a value."""

    document: bytes
    fingerprint: str
    network: Network

    def next(self, members: Sequence[dict[str, Any]], **body: Any) -> "Paper":
        """The document with one more version."""
        number, previous = self.network.version + 1, self.network.text_hash
        note = _signed(number, previous, members, body)
        return Paper(self.document + b"\n" + note, self.fingerprint, verify_next(self.network, parse_network(note)))


def paper(members: Sequence[Party | dict[str, Any]], **body: Any) -> Paper:
    entries = [one if isinstance(one, dict) else entry_of(one) for one in members]
    note = _signed(1, hashlib.sha256(b"").digest(), entries, body)
    network = parse_network(note)
    return Paper(note, network.text_hash.hex(), network)


def entry_of(party: Party, **changes: Any) -> dict[str, Any]:
    return member_json(member_entry(party.keys, party.profile())) | changes


def _signed(version: int, previous: bytes, members: Sequence[dict[str, Any]], body: dict[str, Any]) -> bytes:
    whole = {
        "access": {"read": "members"},
        "governors": {"keys": [GOVERNOR.verifier.vkey], "threshold": 1},
        "members": list(members),
        "rules": "cn-2025",
        **body,
    }
    text = network_text("test", version, previous, whole)
    return Note(text, (GOVERNOR.sign(text),)).encode()


# Events.


def share(number: int, consumer: Party | str, **members: Any) -> dict[str, Any]:
    value = {
        "type": "share",
        "id": event_id(number),
        "consumer": consumer.origin if isinstance(consumer, Party) else consumer,
        "resource": "household-register",
        "purpose": "check of an application",
        "method": "api",
        "occurred_at": "2026-11-21T08:15:00.000Z",
        "records": [RECORD],
        **members,
    }
    return {name: member for name, member in value.items() if member is not None}


def receipt(number: int, answered: "Recorded | Entry | dict[str, Any]", **members: Any) -> dict[str, Any]:
    value = {
        "type": "receipt",
        "id": event_id(number),
        "share": answered if isinstance(answered, dict) else answered.ref.model_dump(),
        "outcome": "accepted",
        "occurred_at": "2026-11-21T08:16:00.000Z",
        **members,
    }
    return {name: member for name, member in value.items() if member is not None}


def opening(number: int, network: Network) -> dict[str, Any]:
    return {
        "type": LogOpen.TYPE,
        "id": event_id(number),
        "network": network.name,
        "network_version": network.version,
        "software": "test",
    }


def members(*which: Party | dict[str, Any]) -> list[dict[str, Any]]:
    """Entries of a network document; a department stands for its usual one."""
    return [one if isinstance(one, dict) else entry_of(one) for one in which]


def adopts(network: Network) -> dict[str, Any]:
    """The event by which a log says that it acts under a version."""
    return {
        "type": "network.adopt",
        "id": event_id(500 + network.version),
        "network": network.name,
        "version": network.version,
        "hash": encode_base64(network.text_hash),
    }


# A log on paper: what an owner would sign, without a node; it can also be made to lie.


class _Leaves:
    """A hash reader over all leaves."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._leaves = leaves

    def read_hashes(self, nodes: Sequence[TreeNode]) -> list[bytes]:
        return [root_of(self._leaves[n.index << n.level : (n.index + 1) << n.level]) for n in nodes]


class PaperLog:
    """Entries, checkpoints, proofs and answers of one log, all of them made by hand."""

    def __init__(self, party: Party, network: Network, members: Sequence[Party] = ()) -> None:
        self.party = party
        self.network = network
        self.members = members
        self.raws: list[bytes] = []
        self.head = open_chain(party.origin, network.text.encode())
        self.time_ms = NOW_MS
        self.append(opening(int.from_bytes(seed(party.name)[:5], "big"), network))

    @property
    def origin(self) -> str:
        return self.party.origin

    @property
    def size(self) -> int:
        return len(self.raws)

    def append(self, *values: dict[str, Any]) -> list[Entry]:
        texts, self.head = chain(self.head, [canonical_json(value).encode() for value in values], time=self.time_ms)
        raws = sign_texts(self.party.keys.log, texts)
        self.raws += raws
        return [parse_entry(raw) for raw in raws]

    def grow(self, count: int, consumer: Party) -> None:
        """Append shares with ids and records of their own."""
        self.append(*(share(10_000 + self.size + n, consumer, records=[reference(str(n))]) for n in range(count)))

    def root(self, size: int | None = None) -> bytes:
        return root_of([leaf_hash(raw) for raw in self.raws[: self.size if size is None else size]])

    def checkpoint(self, size: int | None = None, *, root: bytes | None = None, cosigners: int = 0) -> Note:
        size = self.size if size is None else size
        promise = Checkpoint(self.origin, TreeSize(size), self.root(size) if root is None else root)
        note = sign_checkpoint(self.party.keys.log, promise)
        signed = [cosign(member.keys.cosigner, promise, time=NOW_MS // 1000) for member in self.members[:cosigners]]
        return add_signatures(note, signed) if signed else note

    def proof(self, old: int, new: int) -> list[bytes]:
        reader = _Leaves([leaf_hash(raw) for raw in self.raws[:new]])
        return prove_consistency(reader, old_size=TreeSize(old), new_size=TreeSize(new)) if 0 < old < new else []

    def request(self, old: int, size: int | None = None, *, root: bytes | None = None) -> bytes:
        """The body of an add-checkpoint request."""
        size = self.size if size is None else size
        return AddCheckpoint(TreeSize(old), tuple(self.proof(old, size)), self.checkpoint(size, root=root)).encode()

    def told(self) -> dict[str, Any]:
        """What a peer that holds all of it tells of it."""
        return {"log": self.origin, "size": self.size, "confirmed_size": self.size, "root": encode_base64(self.root())}

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer like the owner's node, as far as mirrors and gossip ask."""
        if request.url.path == f"/v1/logs/{origin_hash(self.origin)}/entries":
            asked = parse_qs(request.url.query.decode())
            start, limit = int(asked["start"][0]), int(asked["limit"][0])
            return bundle(self.raws[start : start + limit])
        if request.url.path == "/v1/logs":
            return httpx.Response(200, json=heads(self.told()))
        if request.method == "GET" and request.url.path == f"/logs/{origin_hash(self.origin)}/checkpoint":
            return httpx.Response(200, content=self.checkpoint(cosigners=len(self.members)).encode())
        if request.url.path == f"/v1/logs/{origin_hash(self.origin)}/head":
            return httpx.Response(200, content=self.checkpoint().encode())
        return httpx.Response(404, text="nothing here")


def heads(*told: dict[str, Any], version: int = 1) -> dict[str, Any]:
    """What a peer answers that acts under a version of the network document and holds these logs."""
    return {"network_version": version, "logs": list(told)}


def bundle(raws: Sequence[bytes]) -> httpx.Response:
    return httpx.Response(200, content=encode_bundle(raws), headers={"Entry-Count": str(len(raws))})


# One department's writer and sequencer, without HTTP.


class Desk:
    """A writer with its sequencer over a store in memory."""

    def __init__(
        self,
        party: Party,
        network: Network,
        *,
        disk: MemoryDisk | None = None,
        store: Store | None = None,
        clock: ManualClock | None = None,
    ) -> None:
        self.party = party
        self.network = network
        self.clock = clock or ManualClock(NOW_MS)
        self.disk = disk or MemoryDisk()
        self.store: Store = store or (self.disk.create() if self.disk.cells is None else self.disk.open())
        self.writer = Writer(self.store, self.load(self.store), reload=self.load)
        self.sequencer = Sequencer(
            origin=party.origin,
            keys=lambda: party.keys,
            network=lambda: self.network,
            clock=self.clock,
            signatories=Signatories(0, pool=None),
        )

    def load(self, store: Store) -> dict[str, LogState]:
        return {origin: logs.load_log(store, origin, self.network) for origin in self.network.members}

    def __enter__(self) -> Self:
        self.writer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.stop()
        self.store.close()

    @property
    def state(self) -> LogState:
        return self.writer.states[self.party.origin]

    def prepare(self, value: dict[str, Any]) -> Prepared:
        return prepare_text(canonical_json(value).encode(), origin=self.party.origin)

    def looked(self, *values: dict[str, Any]) -> Submission:
        """What becomes of a canonical batch of many: in brief, and with a look for its ids that is taken now."""
        body = canonical_json({"events": list(values)}).encode()
        briefs = brief_batch(body)
        assert briefs is not None
        return self.sequencer.submission(self.store, tuple(starmap(Prepared, briefs.cut(body))))

    def post(self, *values: dict[str, Any]) -> "Future[Any]":
        """Submit events as one submission; the future gives list[Recorded]."""
        return self.writer.submit_to(self.sequencer, Submission(tuple(map(self.prepare, values))))

    def record(self, *values: dict[str, Any]) -> list[Recorded]:
        recorded: list[Recorded] = self.post(*values).result(PATIENCE_SECONDS)
        return recorded

    def take(self, log: PaperLog) -> list[Entry]:
        """Mirror a log; return its entries."""

        def store(transaction: Transaction) -> list[Entry]:
            state = transaction.state(log.origin)
            raws = log.raws[state.size :]
            key_at = self.network.member(log.origin).log_key_at
            entries, head = verify_entries(state.chain, raws, key_at=key_at)
            transaction.put_state(logs.append(state, entries, head, transaction.batch))
            return entries

        return self.writer.submit(store).result(PATIENCE_SECONDS)

    def entries(self) -> list[Entry]:
        return verify_log(self.store, self.state, self.network)


def verify_log(store: Store, state: LogState, network: Network) -> list[Entry]:
    """Read a whole log from the disk and verify it end to end: chain, signatures, tree."""
    raws: list[bytes] = []
    while len(raws) < state.size:
        raws += read_entries(store, state, len(raws), 1000, 1 << 30)
    named = parse_entry(raws[0]).previous if raws else network.text_hash
    [opened] = {one.text for one in network.versions if one.text_hash == named}
    head: ChainHead = open_chain(state.origin, opened.encode())
    entries, head = verify_entries(head, raws, key_at=network.member(state.origin).log_key_at)
    assert head == state.chain
    assert root_of([entry.leaf for entry in entries]) == state.edge.root()
    return entries


# Nodes in one process.

Answer = Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]


@dataclass
class Wire:
    """Carries requests from node to node."""

    routes: dict[str, httpx.AsyncBaseTransport] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)  # hosts that do not answer
    held: dict[str, asyncio.Event] = field(default_factory=dict)  # hosts that answer only when the event is set
    seen: list[tuple[str, str, str]] = field(default_factory=list)  # method, host, path

    def to(self, host: str) -> "_Line":
        return _Line(self, host)

    def answer(self, party: Party, answer: Answer) -> None:
        """Have somebody else answer in the place of a department's node."""
        self.routes[f"{party.name}.test"] = httpx.MockTransport(answer)


class _Line(httpx.AsyncBaseTransport):
    def __init__(self, wire: Wire, host: str) -> None:
        self._wire = wire
        self._host = host

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._wire.seen.append((request.method, self._host, request.url.path))
        if (held := self._wire.held.get(self._host)) is not None:
            await held.wait()
        route = self._wire.routes.get(self._host)
        if route is None or self._host in self._wire.cut:
            raise httpx.ConnectError("nobody answers", request=request)
        response = await route.handle_async_request(request)
        if not response.is_stream_consumed:
            return response
        return httpx.Response(response.status_code, headers=response.headers, stream=httpx.ByteStream(response.content))


class Town:
    """Departments with their nodes, all of them in this process; only those that are started run."""

    def __init__(
        self,
        folder: Path,
        members: Sequence[Party],
        *,
        law: Paper | None = None,
        wire: Wire | None = None,
        **settings: Any,
    ) -> None:
        self.folder = folder
        self.members = list(members)
        # Nobody's memory is needed, so that a node can stand alone; the quorum of up to four members is the same.
        self.law = law or paper(members, quorum={"faults": 0})
        self.wire = wire or Wire()
        self.clock = ManualClock(NOW_MS)
        self.settings = {**FAST, **settings}
        self.disks: dict[str, MemoryDisk] = {}
        self.nodes: dict[str, Node] = {}
        self.rings: dict[str, KeyRing] = {}  # of those who have more keys than their first ones
        self.witness_keys: dict[str, Signer] = {}  # of departments that witness foreign logs

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self.nodes):
            await self.stop(Party(name))

    def home(self, party: Party) -> Home:
        """A department's folder; its keys and the network document are not in it, for they are known."""
        folder = self.folder / party.name
        values = {"origin": party.origin, "fingerprint": self.law.fingerprint, **self.settings}
        home = Home(folder, make_settings(values, "test"))
        if not home.tokens.exists():
            folder.mkdir(parents=True, exist_ok=True)
            home.tokens.touch(mode=0o600)
            home.tokens.write_text(tokens_json({"test": (party.token, "admin")}))
        return home

    def ring(self, party: Party) -> KeyRing:
        """The keys that a department has now; its node looks again when it must."""
        return self.rings.get(party.name) or KeyRing.of(party.keys)

    def build(self, party: Party) -> Node:
        """A node that does not run yet, on the disk that it had before."""
        disk = self.disks.setdefault(party.name, MemoryDisk())
        return Node(
            Foundation(
                self.home(party),
                self.law.network,
                self.law.document,
                self.ring(party),
                lambda: self.ring(party),
                self.witness_keys.get(party.name),
            ),
            clock=self.clock,
            store=disk.create() if disk.cells is None else disk.open(),
            transport_to=lambda member: self.wire.to(httpx.URL(member.url).host),
        )

    async def start(self, *which: Party, wait: bool = True) -> list[Node]:
        """Start nodes, all of them if none is named; wait until those write that have enough others to ask."""
        started = []
        for party in which or self.members:
            node = self._seat(party)
            await node.start()
            started.append(node)
        for node in started:
            if wait and node.recovery.progress.needed < len(self.nodes):
                await until(lambda node=node: node.recovery.ready and node.state.size, "the return")  # type: ignore[misc]
        return started

    def open(self, party: Party) -> Node:
        """Start a node that does what it is asked, but neither opens its log nor publishes nor gossips.

        It does not ask what it has said before either: it writes and cosigns when its ``recovery`` has run.
        """
        node = self._seat(party)
        node._loop = asyncio.get_running_loop()
        node.writer.start()
        return node

    def _seat(self, party: Party) -> Node:
        node = self.nodes[party.name] = self.build(party)
        self.wire.routes[f"{party.name}.test"] = httpx.ASGITransport(create_app(node))
        return node

    async def stop(self, party: Party) -> None:
        node = self.nodes.pop(party.name)
        self.wire.routes.pop(f"{party.name}.test", None)
        await node.stop()

    def client(self, party: Party, *, token: str | None = "") -> httpx.AsyncClient:
        """A client of a department's own node; with its token unless another or none is given."""
        headers = {"Authorization": f"Bearer {token or party.token}"} if token is not None else {}
        return httpx.AsyncClient(
            transport=self.wire.routes[f"{party.name}.test"], base_url=party.url, headers=headers, trust_env=False
        )


def tokens_json(tokens: dict[str, tuple[str, Role]]) -> str:
    """The file of tokens, written without waiting for the disk."""
    entries = [
        {
            "created": format_time(NOW_MS),
            "name": name,
            "roles": [role],
            "sha256": hashlib.sha256(token.encode()).hexdigest(),
        }
        for name, (token, role) in tokens.items()
    ]
    return json.dumps({"schema": "suyuan.tokens/1", "tokens": entries})


def make_home(folder: Path, party: Party, law: Paper, **settings: Any) -> Home:
    """A department's folder as ``suyuan init`` makes it, with a store of its own."""
    material = iter([seed(party.origin, role) for role in ("log", "cosigner", "transport", "sealing", "record")])
    home = create_home(folder, {"origin": party.origin, **settings}, random=lambda _: next(material))
    home = join_network(home, law.document, law.fingerprint)
    TokenFile(home.tokens).add("test", ("admin",), party.token, format_time(NOW_MS))
    return home


def open_log(node: Node) -> None:
    """Write the first entry of a node that is not started."""
    value = opening(10**9, node.network)
    prepared = Prepared(LogOpen.model_validate(value), canonical_json(value).encode())
    node.writer.submit_to(node.sequencer, Submission((prepared,))).result()


async def until(condition: Callable[[], object], what: str = "") -> None:
    """Return as soon as a condition holds."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():  # noqa: ASYNC110 - conditions of many kinds, most of them without an event
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"it never came about: {what or condition}") from None


def leaf64(raw: bytes) -> str:
    return encode_base64(leaf_hash(raw))
