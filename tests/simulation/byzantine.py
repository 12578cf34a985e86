"""Members that may do anything with their own keys, and know each other.

What a liar is made of (``Manners``):

body    ``node``    the real software, whose answers are tampered with
        ``twins``   two real nodes with the same keys, each seen by some of the others: the restored copy of a machine
                    whose original still runs
        ``forger``  no node at all: branches of one log made by hand, entries that differ, checkpoints to which no
                    entries hash, pushed to whoever may believe them, with all cosignatures that can be had
        ``silent``  nothing
tricks  ``yes``       cosigns any checkpoint of anybody
        ``withhold``  does not give entries: an error, nothing, too few, or others
        ``freeze``    answers what it answered long ago
        ``lies``      wrong sizes and made-up checkpoints in /v1/logs and /v1/memory
        ``garbage``   any status, any bytes
        ``replay``    sends again what it was sent, to the same member and to others
        ``usurp``     claims a newer network document, which it has signed itself

A forger may be patient: it tells all one short story until somebody has lost his disk, and him another at once.
"""

import asyncio
import copy
import json
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import httpx
from node_helpers import NOW_MS, PaperLog, Party, adopts, bundle, event_id, heads, seed, share

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.cosignature import add_signatures, cosign, parse_cosignatures
from ledger.encoding import encode_base64, parse_canonical_json, text_to_lines
from ledger.entry import ChainHead, parse_entry
from ledger.errors import LedgerError
from ledger.merkle import TreeHead, TreeSize
from ledger.network import Network, network_text
from ledger.note import ED25519, Note, Signature, Signer
from ledger.witness_request import AddCheckpoint, parse_add_checkpoint
from node.keys import NodeKeys
from node.layout import origin_hash
from node.transport import PeerAuth

if TYPE_CHECKING:
    from world import Site, World

BODIES = ("node", "twins", "forger", "silent")
TRICKS = ("yes", "withhold", "freeze", "lies", "garbage", "replay", "usurp")
USURPER = Signer("test/usurper", ED25519, seed("usurper"))
KEPT_MAX = 40  # messages that a replayer keeps
STORY = 3  # entries that a patient forger has everybody cosign
Key = tuple[str, str]


def keys_of(party: Party) -> list[NodeKeys]:
    """All keys that a member has from the beginning: those of now, and what it can replace them with."""
    return [party.keys, *(party.other_keys("log", "cosigner", "transport", name=name) for name in ("next", "third"))]


@dataclass(frozen=True)
class Rekeyed(Party):
    """A member with the log key that it goes on with."""

    number: int

    @property
    def keys(self) -> NodeKeys:
        return keys_of(Party(self.name))[self.number]


@dataclass(frozen=True)
class Manners:
    """How a liar lies."""

    body: str
    tricks: frozenset[str]
    often: float  # how many of the answers are tampered with
    mends: bool  # whether it is honest after the faults have ended, or silent
    secret: bool  # whether a forger keeps to itself what it has had confirmed
    patient: bool = False  # whether a forger has one branch only until somebody has lost his disk

    def _afterwards(self) -> list[str]:
        return ["mends" if self.mends else "silent then", *["secret"] * self.secret, *["patient"] * self.patient]

    def __str__(self) -> str:
        return f"{self.body}, {sorted(self.tricks)}, {self.often:.2f}, {', '.join(self._afterwards())}"


def draw_manners(random: Random, theme: str = "") -> Manners:
    if theme == "patient":
        return Manners("forger", frozenset(), 0.0, mends=False, secret=True, patient=True)
    body = random.choice(["node", "node", "twins", "twins", "forger", "forger", "forger", "silent"])
    body = theme if theme in BODIES else body
    tricks = {trick for trick in TRICKS if random.random() < 0.35}
    if body == "twins" or random.random() < 0.3:
        tricks.add("yes")
    often = random.choice([0.05, 0.3, 0.8])
    return Manners(body, frozenset(tricks), often, random.random() < 0.5, random.random() < 0.3)


class Liar:
    """One byzantine member."""

    def __init__(self, world: "World", party: Party, manners: Manners) -> None:
        self.world = world
        self.party = party
        self.manners = manners
        self.random = Random(f"liar {world.plan.seed} {party.name}")
        self.retired = False
        self.nodes: list[Site] = []
        self.shown: dict[str, int] = {}  # which twin, or which branch, a member gets to see
        self.prey: set[str] = set()  # have lost their disks, and are shown one thing only from then on, at once
        self.forger = Forger(self) if manners.body == "forger" else None
        self._said: dict[Key, httpx.Response] = {}
        self._heard: list[httpx.Request] = []
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def others(self) -> list[Party]:
        return [party for party in self.world.parties.values() if party is not self.party]

    async def start(self) -> None:
        from world import Site  # noqa: PLC0415 - the world is made of liars, too

        if self.manners.body in ("node", "twins"):
            self.nodes.append(Site(self.world, self.party, watched=False))
            await self.nodes[0].start()
            self._do(self._post(self.nodes[0]))
        if self.manners.body == "twins":
            self._do(self._split())
        if self.forger is not None:
            self.forger.start()
        if "replay" in self.manners.tricks:
            self._do(self._replay())

    async def retire(self) -> None:
        """Fall silent, or become honest as far as that is possible."""
        if self.retired:
            return
        self.retired = True
        await self._cancel()
        for twin in self.nodes[1:] if self.manners.mends else self.nodes:
            await twin.crash()
        self.shown = {}
        if not self.manners.mends or self.manners.body == "silent":
            self.world.wires.servers.pop(self.party.name, None)

    async def stop(self) -> None:
        await self._cancel()
        for site in self.nodes:
            await site.crash()

    def hear_of_loss(self, name: str) -> None:
        """A member has lost its disk: show it something else than before."""
        if self.forger is not None and self.manners.patient and self.forger.branches == 1 and not self.retired:
            self.forger.betray()
        branches = self.forger.branches if self.forger is not None else len(self.nodes)
        if branches > 1:
            self.shown[name] = (self.shown.get(name, 0) + self.random.randrange(1, branches)) % branches
            self.prey.add(name)

    def hear_of_law(self) -> None:
        """There is a newer network document."""
        if self.forger is not None and not self.retired:
            self.forger.hear_of_law()

    def hear_of_member(self, party: Party) -> None:
        """Somebody has joined, and it may be this liar himself."""
        if self.forger is not None and not self.retired and party is not self.party:
            self.forger.push_to(party)

    async def _cancel(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _do(self, work: Any) -> None:
        self._tasks.append(asyncio.create_task(work))

    def do(self, work: Any) -> None:
        self._do(work)

    # Answering.

    async def serve(self, source: str, request: httpx.Request) -> httpx.Response:
        """Answer as it pleases."""
        path = request.url.path
        if self.retired:
            return await self._body(source, request)
        self._heard = [*self._heard[-KEPT_MAX:], request]
        if path == "/witness/add-checkpoint" and "yes" in self.manners.tricks:
            return self._cosign(request.content)
        if self.random.random() < self.manners.often:
            for trick in ("garbage", "freeze", "withhold"):
                if trick in self.manners.tricks and self.random.random() < 0.5:
                    answer = await getattr(self, f"_{trick}")(source, request)
                    if answer is not None:
                        return answer  # type: ignore[no-any-return]
        response = await self._body(source, request)
        if "usurp" in self.manners.tricks:
            response = self._usurp(path, response)
        if "lies" in self.manners.tricks and path in ("/v1/logs", "/v1/memory") and response.status_code == 200:
            response = self._lie(path, response)
        self._said.setdefault((source, path), response)
        return response

    async def _body(self, source: str, request: httpx.Request) -> httpx.Response:
        if self.forger is not None:
            return self.forger.answer(source, request)
        if self.nodes:
            return await self.nodes[self.shown.get(source, 0)].serve(source, request)
        await asyncio.sleep(60)
        raise httpx.ReadTimeout("silent", request=request)

    def _cosign(self, body: bytes) -> httpx.Response:
        try:
            checkpoint = parse_add_checkpoint(body).checkpoint
        except LedgerError:
            return httpx.Response(400)
        line = cosign(self.party.keys.cosigner, checkpoint, time=NOW_MS // 1000).line
        return httpx.Response(200, content=line.encode(), headers={"Content-Type": "text/plain; charset=utf-8"})

    async def _garbage(self, source: str, request: httpx.Request) -> httpx.Response:
        del source, request
        status = self.random.choice([200, 200, 200, 204, 301, 404, 409, 422, 500, 503])
        size = self.random.choice([0, 1, 64, 4096, 70_000])
        content = self.random.choice([self.random.randbytes(size), b"[" * size, b'{"logs":' + b"9" * size + b"}\n"])
        return httpx.Response(status, content=content, headers={"Entry-Count": str(self.random.randrange(4))})

    async def _freeze(self, source: str, request: httpx.Request) -> httpx.Response | None:
        return self._said.get((source, request.url.path)) if request.method == "GET" else None

    async def _withhold(self, source: str, request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.endswith("/entries"):
            return None
        kind = self.random.choice(["busy", "nothing", "never", "few", "others"])
        if kind == "busy":
            return httpx.Response(503)
        if kind == "nothing":
            return httpx.Response(404)
        if kind == "never":
            await asyncio.sleep(60)
        response = await self._body(source, request)
        if kind == "few" or not response.content:
            return httpx.Response(200, content=response.content[:-7], headers=response.headers)
        at = self.random.randrange(len(response.content))
        flipped = response.content[:at] + bytes([response.content[at] ^ 1]) + response.content[at + 1 :]
        return httpx.Response(200, content=flipped, headers={"Entry-Count": response.headers.get("Entry-Count", "1")})

    def _usurp(self, path: str, response: httpx.Response) -> httpx.Response:
        """Claim a version of the network document that the governors have not signed."""
        law = self.world.law
        if path == "/v1/network":
            text = network_text("test", law.network.version + 1, law.network.text_hash, self._coup(law.network))
            signed = Note(text, (USURPER.sign(text),)).encode()
            return httpx.Response(200, content=law.document + b"\n" + signed)
        if path in ("/v1/logs", "/v1/memory") and response.status_code == 200:
            return httpx.Response(200, json=json.loads(response.content) | {"network_version": law.network.version + 1})
        return response

    def _coup(self, network: Network) -> dict[str, Any]:
        body = parse_canonical_json(network.text.split("\n")[4])
        assert isinstance(body, dict)
        return body | {"governors": {"keys": [USURPER.verifier.vkey], "threshold": 1}}

    def _lie(self, path: str, response: httpx.Response) -> httpx.Response:
        told = json.loads(response.content)
        for one in told["logs"]:
            kind = self.random.choice(["truth", "truth", "less", "more", "huge", "made up"])
            if kind == "less":
                one["size"] //= 2
                one.pop("checkpoint", None)
            elif kind in ("more", "huge"):
                one["size"] += 5 if kind == "more" else 2**50
                if "confirmed_size" in one:
                    one["confirmed_size"] = one["size"]
            elif kind == "made up" and path == "/v1/memory":
                head = Checkpoint(one["log"], TreeSize(one["size"] + 3), self.random.randbytes(32))
                note = sign_checkpoint(self.party.keys.log, Checkpoint(self.party.origin, head.size, head.root))
                if one["log"] != self.party.origin:  # signed, but not by that log
                    note = Note(head.text, note.signatures)
                one["checkpoint"] = text_to_lines(note.encode())
        return httpx.Response(200, json=told)

    # Acting.

    async def _post(self, site: "Site") -> None:
        while True:
            await asyncio.sleep(self.random.expovariate(1.0))
            number = self.world.number() + 2 * 10**6
            await site.ask("POST", "/v1/events", share(number, self.random.choice(self.others)))

    async def _split(self) -> None:
        """Make a second machine out of the first, at the start or later, and show them to different members."""
        from world import Site  # noqa: PLC0415

        await asyncio.sleep(self.random.choice([0.0, 2.0, 6.0]))
        twin = Site(self.world, self.party, watched=False, folder=f"{self.party.name}-twin")
        twin.answers_needed = 0  # it does not ask what it has said before
        self.nodes[0].snapshot()
        twin.old = self.nodes[0].old
        if twin.old is not None:
            twin.disk.cells = dict(twin.old.cells)
        for number, site in enumerate((self.nodes[0], twin)):
            site.reach = lambda name, number=number: self.shown.get(name, 0) == number or name in self.world.liars  # type: ignore[misc]
        self._share_out(2)
        self.nodes.append(twin)
        await twin.start()
        self._do(self._post(twin))
        while True:
            await asyncio.sleep(self.random.expovariate(1 / 5.0))
            self._share_out(2)

    def _share_out(self, count: int) -> None:
        fresh = {party.name: self.random.randrange(count) for party in self.others}
        self.shown = fresh | {name: self.shown[name] for name in self.shown if name in self.prey}

    def share_out(self, count: int) -> None:
        self._share_out(count)

    async def _replay(self) -> None:
        while True:
            await asyncio.sleep(self.random.expovariate(1.0))
            if not self._heard:
                continue
            old = self.random.choice(self._heard)
            target = self.random.choice(self.others)
            url = old.url if self.random.random() < 0.5 else old.url.copy_with(host=f"{target.name}.test")
            headers = [(name, value) for name, value in old.headers.raw if name.lower() != b"host"]
            headers.append((b"Host", f"{target.name}.test".encode()))
            again = httpx.Request(old.method, url, headers=headers, content=old.content)
            try:
                await self.world.wires.to(self.party.name, target.name).handle_async_request(again)
            except httpx.TransportError:
                continue


class Forger:
    """A log made by hand that grows into several branches, and does all it can to have more than one confirmed."""

    def __init__(self, liar: Liar) -> None:
        self._liar = liar
        self._party = liar.party
        self._random = liar.random
        self._branches = [PaperLog(liar.party, liar.world.law.network)]
        self._known: dict[str, int] = {}  # what a member has cosigned last, as it says
        self._signatures: dict[tuple[int, int], dict[str, Signature]] = {}  # by branch and size, then member
        self._best: dict[int, Note] = {}  # of each branch: the checkpoint with the most cosignatures
        self._clients: dict[str, httpx.AsyncClient] = {}
        self._ruling: TreeHead | None = None  # the governors' word that it knows of

    @property
    def branches(self) -> int:
        return len(self._branches)

    def start(self) -> None:
        self._liar.do(self._grow())
        for party in self._liar.others:
            self.push_to(party)

    def push_to(self, party: Party) -> None:
        if party.name not in self._liar.world.plan.liars:
            self._liar.do(self._push_to(party))

    def hear_of_law(self) -> None:
        """Go on with a key that the governors have given it, or with those that have ended, or both."""
        law = self._liar.world.law.network
        member = law.members.get(self._party.origin)
        if member is None or (ruling := member.readmitted) in (None, self._ruling) or self._random.random() < 0.3:
            return
        self._ruling = ruling
        assert ruling is not None
        ruled = [one for one in self._branches if one.size >= ruling.size and one.root(ruling.size) == ruling.root]
        for old in ruled[:1]:
            branch = cut(old, ruling.size)
            branch.party = Rekeyed(self._party.name, len(member.log_keys) - 1)
            self._branches.append(branch)
            self._liar.share_out(len(self._branches))

    def _client(self, target: str) -> httpx.AsyncClient:
        if target not in self._clients:
            auth = PeerAuth(
                lambda: self._party.keys.transport,
                origin=self._party.origin,
                clock=lambda: NOW_MS + int(asyncio.get_running_loop().time() * 1000),
                nonce=lambda: self._random.randbytes(16).hex(),
            )
            self._clients[target] = httpx.AsyncClient(
                transport=self._liar.world.wires.to(self._party.name, target),
                base_url=f"http://{target}.test",
                auth=auth,
                trust_env=False,
            )
        return self._clients[target]

    def _branch_for(self, name: str) -> tuple[int, PaperLog]:
        number = self._liar.shown.get(name, 0)
        return number, self._branches[number]

    async def _grow(self) -> None:
        while True:
            await asyncio.sleep(self._random.expovariate(1 / 0.7))
            if len(self._branches) < 3 and self._random.random() < 0.15 and not self._liar.manners.patient:
                self._fork()
            if self._random.random() < 0.2 and not self._liar.manners.patient:
                self._liar.share_out(len(self._branches))
            for branch in self._branches:
                if self._random.random() < 0.3:
                    self._adopt(branch)
                if self._random.random() < 0.7 and not self._bides(branch):
                    self._record(branch)

    def _bides(self, branch: PaperLog) -> bool:
        return self._liar.manners.patient and len(self._branches) == 1 and branch.size >= STORY

    def _record(self, branch: PaperLog) -> None:
        number = self._liar.world.number() + 3 * 10**6
        branch.append(share(number, self._random.choice(self._liar.others)))

    def _adopt(self, branch: PaperLog) -> None:
        """Have a branch act under the newest version; the others go on under an older one."""
        law = self._liar.world.law.network
        if branch.network.version < law.version:
            branch.network = law
            branch.append(adopts(law) | {"id": event_id(self._liar.world.number() + 5 * 10**6)})

    def _fork(self) -> None:
        old = self._random.choice(self._branches)
        branch = cut(old, self._random.randrange(1, old.size + 1))
        self._branches.append(branch)
        self._liar.share_out(len(self._branches))

    def betray(self) -> None:
        """Begin a branch without what everybody has seen last, which nobody is shown yet."""
        old = self._branches[0]
        branch = cut(old, max(old.size - 1, 1))
        self._branches.append(branch)
        while branch.size <= old.size:
            self._record(branch)

    async def _push_to(self, party: Party) -> None:
        while True:
            pause = 0.02 if party.name in self._liar.prey else self._liar.world.plan.count / 10
            await asyncio.sleep(self._random.expovariate(1 / pause))
            number, branch = self._branch_for(party.name)
            size = branch.size if self._random.random() < 0.9 else self._random.randrange(branch.size + 1)
            old = min(self._known.get(party.name, 0), size)
            lies = old < size and self._random.random() < 0.1
            if lies:  # the promised tree goes on from the old one, but not with the entries that are given
                branch = cut(branch, size)
                branch.raws[-1] += b"\n"
            try:
                body = AddCheckpoint(TreeSize(old), tuple(branch.proof(old, size)), branch.checkpoint(size)).encode()
                answer = await self._client(party.name).post("/witness/add-checkpoint", content=body)
                if answer.status_code == 409:
                    self._known[party.name] = int(answer.text)
                elif answer.status_code == 200:
                    self._known[party.name] = size
                    if not lies:
                        await self._collect(number, branch, size, party.name, parse_cosignatures(answer.content)[0])
            except (httpx.HTTPError, LedgerError, ValueError):
                continue

    async def _collect(self, number: int, branch: PaperLog, size: int, name: str, signature: Signature) -> None:
        """Put together what can be had for a head, and give it to those who see the branch, or to everybody."""
        got = self._signatures.setdefault((number, size), {})
        got[name] = signature
        promise = Checkpoint(self._party.origin, TreeSize(size), branch.root(size))
        for liar in self._liar.world.liars.values():
            got[liar.party.name] = cosign(liar.party.keys.cosigner, promise, time=NOW_MS // 1000)
        needed = self._liar.world.law.network.quorum
        note = add_signatures(sign_checkpoint(branch.party.keys.log, promise), got.values())
        if len(got) < needed - 1 or self._liar.manners.secret:
            return
        self._best[number] = note
        everybody = self._random.random() < 0.5
        if self._random.random() > 4 / self._liar.world.plan.count:
            return
        for party in self._liar.others:
            if everybody or self._liar.shown.get(party.name, 0) == number:
                self._liar.do(self._give(party, note))

    async def _give(self, party: Party, note: Note) -> None:
        path = f"/logs/{origin_hash(self._party.origin)}/checkpoint"
        try:
            await self._client(party.name).post(path, content=note.encode())
        except httpx.HTTPError:
            return

    def answer(self, source: str, request: httpx.Request) -> httpx.Response:
        """Answer as the node of the branch that the source is to see."""
        number, branch = self._branch_for(source)
        own = origin_hash(self._party.origin)
        path = request.url.path
        if path == f"/v1/logs/{own}/entries":
            asked = parse_qs(request.url.query.decode())
            start, limit = int(asked["start"][0]), int(asked["limit"][0])
            raws = branch.raws[start : start + limit]
            return bundle(raws) if raws else httpx.Response(404)
        if path == f"/logs/{own}/checkpoint" and request.method == "GET":
            return httpx.Response(200, content=self._best.get(number, branch.checkpoint()).encode())
        if path == "/v1/logs":
            listed = {"log": branch.origin, "size": branch.size, "confirmed_size": branch.size}
            return httpx.Response(
                200, json=heads(listed | {"root": encode_base64(branch.root())}, version=branch.network.version)
            )
        if path == "/v1/memory":
            told = {
                "log": branch.origin,
                "size": branch.size,
                "checkpoint": text_to_lines(branch.checkpoint().encode()),
            }
            return httpx.Response(200, json=heads(told, version=branch.network.version) | {"since": 1})
        if path == "/v1/network":
            return httpx.Response(200, content=self._liar.world.law.document)
        if path == "/witness/add-checkpoint":
            return self._liar._cosign(request.content)
        return httpx.Response(404)


def cut(log: PaperLog, size: int) -> PaperLog:
    """The first entries of a log, to go on from in another way."""
    branch = copy.copy(log)
    branch.raws = log.raws[:size]
    last = parse_entry(branch.raws[-1])
    branch.head = ChainHead(log.origin, size, sha256(last.text).digest(), last.time)
    return branch
