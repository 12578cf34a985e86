"""Foreign witnesses of the own log: they are asked, believed only as far as they prove it, and delay nobody."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Self

import httpx
import pytest
from node_helpers import PATIENCE_SECONDS, Party, Town, paper, parties, seed, share, until
from structlog.testing import capture_logs

from ledger.checkpoint import parse_checkpoint_text
from ledger.encoding import lines_to_text
from ledger.errors import QuorumError
from ledger.evidence import verify_proof_file
from ledger.merkle import EMPTY_ROOT, TreeHead, TreeSize, verify_consistency
from ledger.note import COSIGNATURE, ED25519, Signer
from ledger.policy import Policy, PolicyGroup, PolicyLog, PolicyWitness, judge_by_policy, verify_proof_by_policy
from ledger.quorum import judge_checkpoint
from ledger.witness_request import parse_add_checkpoint
from node import layout, outside
from node.errors import ConfigError
from node.foreign import NEW_KEY, begin_memory
from node.outside import outsiders_of
from node.service import Node

A, B = parties(2)
LAW = paper([A, B])
W1, W2, W3 = (Signer(f"w{n}.example/witness", COSIGNATURE, seed(f"w{n}")) for n in (1, 2, 3))
SIZE = {"Content-Type": "text/x.tlog.size"}


def policy_of(*signers: Signer, quorum: str = "any", logs: bool = True, path: str = "") -> Policy:
    witnesses = tuple(
        PolicyWitness(one.name.partition(".")[0], one.verifier, f"https://{one.name.partition('/')[0]}{path}")
        for one in signers
    )
    names = tuple(one.name for one in witnesses)
    threshold = {"any": 1, "all": len(names)}[quorum]
    known = (PolicyLog(A.keys.log.verifier),) if logs else ()
    return Policy(known, witnesses, (PolicyGroup("g", threshold, names),), "g")


class PaperWitness:
    """A stock witness, as little of one as there can be; it can be told to misbehave."""

    def __init__(self, signer: Signer, path: str = "") -> None:
        self.signer = signer
        self.path = path
        self.head = TreeHead(TreeSize(0), EMPTY_ROOT)
        self.asked: list[int] = []  # sizes
        self.misbehave: Callable[[httpx.Request], httpx.Response | None] | None = None

    async def answer(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == f"{self.path}/add-checkpoint"
        assert "authorization" not in request.headers
        asked = parse_add_checkpoint(await request.aread())
        self.asked.append(asked.checkpoint.size)
        if self.misbehave is not None and (answer := self.misbehave(request)) is not None:
            return answer
        assert len(asked.note.signatures) == 1
        if asked.old_size != self.head.size:
            return httpx.Response(409, headers=SIZE, content=f"{self.head.size}\n")
        if self.head.size:
            verify_consistency(old=self.head, new=asked.checkpoint.head, proof=asked.proof)
        self.head = asked.checkpoint.head
        stranger = Signer("stranger", COSIGNATURE, seed("stranger")).cosign(asked.checkpoint.text, 1)
        lines = stranger.line + self.signer.cosign(asked.checkpoint.text, 1_795_251_600).line
        return httpx.Response(200, content=lines)


class Stand:
    """Two departments; foreign witnesses cosign the log of one of them."""

    def __init__(self, folder: Path, policy: Policy, *witnesses: PaperWitness) -> None:
        self.town = Town(folder, [A, B], law=LAW, witness_policy="witness.policy")
        self.policy = policy
        for party, data in ((A, policy.encode()), (B, b"quorum none\n")):
            self.town.home(party).path(Path("witness.policy")).write_bytes(data)
        for one in witnesses:
            host = one.signer.name.partition("/")[0]
            self.town.wire.routes[host] = httpx.MockTransport(one.answer)

    async def __aenter__(self) -> Self:
        with capture_logs():
            await self.town.start(A, B)
        return self

    async def __aexit__(self, *_: object) -> None:
        with capture_logs():
            await self.town.__aexit__(None, None, None)

    @property
    def node(self) -> Node:
        return self.town.nodes[A.name]

    def witnessed(self, size: int) -> bool:
        known = self.node.outside.witnessed
        return known is not None and known.size >= size

    async def post(self, number: int) -> None:
        async with self.town.client(A) as client:
            answer = await client.post("/v1/events", json=share(number, B), params={"wait": "confirmed"})
        assert answer.json()["state"] == "confirmed", answer.text

    async def get(self, path: str, **query: str) -> httpx.Response:
        async with self.town.client(A) as client:
            return await client.get(path, params=query)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr(outside, "RETRY_SECONDS_MIN", 0.01)
    monkeypatch.setattr(outside, "RETRY_SECONDS_MAX", 0.05)
    monkeypatch.setattr(outside, "GATHER_SECONDS_MAX", 0.1)


async def test_the_served_checkpoint_satisfies_the_policy(tmp_path: Path) -> None:
    policy = policy_of(W1, W2, quorum="all", path="/prefix/x")
    async with Stand(tmp_path, policy, PaperWitness(W1, "/prefix/x"), PaperWitness(W2, "/prefix/x")) as stand:
        await until(lambda: stand.witnessed(1))
        served = (await stand.get(f"/logs/{layout.origin_hash(A.origin)}/checkpoint")).content
        accepted = judge_by_policy(served, policy)
        assert accepted.witnesses == (("w1", 1_795_251_600), ("w2", 1_795_251_600))
        assert judge_checkpoint(served, LAW.network).confirmed
        body = (await stand.get("/v1/witness")).json()
        assert body["witnessed_size"] == 1
        assert [(one["name"], one["reachable"], one["size"]) for one in body["witnesses"]] == [
            ("w1", True, 1), ("w2", True, 1),
        ]  # fmt: skip
        assert judge_by_policy(lines_to_text(body["checkpoint"]), policy).checkpoint == accepted.checkpoint
        health = (await stand.get("/v1/health")).json()["witness"]
        assert health == {"logs": 0, "memory": None, "known": 2, "reachable": 2, "witnessed_size": 1}
        assert len((await stand.get("/v1/peers")).json()["witnesses"]) == 2
        metrics = (await stand.get("/metrics")).text
        assert 'suyuan_witness_up{witness="w1"} 1.0' in metrics
        assert "suyuan_log_witnessed 1.0" in metrics


async def test_a_proof_for_strangers_has_the_foreign_cosignatures(tmp_path: Path) -> None:
    async with Stand(tmp_path, policy_of(W1), PaperWitness(W1)) as stand:
        await until(lambda: stand.witnessed(1))
        answer = await stand.get("/v1/proof", log=A.origin, index="0", cosigners="all")
        proof, accepted = verify_proof_by_policy(answer.content, stand.policy)
        assert (proof.index, accepted.witnesses) == (0, (("w1", 1_795_251_600),))
        members = await stand.get("/v1/proof", log=A.origin, index="0")
        with pytest.raises(QuorumError):
            verify_proof_by_policy(members.content, stand.policy)
        assert (await stand.get("/v1/proof", log=A.origin, index="0", cosigners="some")).status_code == 422
        assert (await stand.get("/v1/proof", log="other.test/log", index="0", cosigners="all")).status_code == 404


async def test_mirrors_and_proofs_for_members_never_have_foreign_lines(tmp_path: Path) -> None:
    async with Stand(tmp_path, policy_of(W1), PaperWitness(W1)) as stand:
        await until(lambda: stand.witnessed(1))
        strange = stand.node.outside.dress(stand.node.state.confirmed).encode()  # type: ignore[arg-type]
        mirror = stand.town.nodes[B.name]
        await stand.town.stop(B)
        stand.town.disks[B.name].cells = None
        [mirror] = await stand.town.start(B)
        await until(lambda: mirror.states[A.origin].size == 1)
        await mirror.mirror.take_confirmed(strange, origin=A.origin)
        confirmed = mirror.states[A.origin].confirmed
        assert confirmed is not None
        assert W1.name not in {one.name for one in confirmed.note.signatures}
        for node in (stand.node, mirror):
            assert verify_proof_file(node.history().proof(A.origin, 0).encode(), LAW.network)
        peer = mirror.peers[A.origin]
        assert W1.name.encode() not in await peer.checkpoint(A.origin)


async def test_a_policy_without_logs_is_for_this_one(tmp_path: Path) -> None:
    async with Stand(tmp_path, policy_of(W1, logs=False), PaperWitness(W1)) as stand:
        await until(lambda: stand.witnessed(1))


async def test_a_log_that_grows_is_witnessed_again_and_again(tmp_path: Path) -> None:
    witness = PaperWitness(W1)
    async with Stand(tmp_path, policy_of(W1), witness) as stand:
        for number in (1, 2, 3):
            await stand.post(number)
            await until(lambda: stand.witnessed(stand.node.state.size))
        assert witness.head.size == stand.node.state.size


async def test_what_a_witness_remembers_corrects_this_node(tmp_path: Path) -> None:
    witness = PaperWitness(W1)
    async with Stand(tmp_path, policy_of(W1), witness) as stand:
        await until(lambda: stand.witnessed(1))
        await stand.town.stop(A)
        await stand.town.start(A)
        assert stand.witnessed(1)  # from the store
        await until(lambda: stand.node.outside.clients[0].status.size == 1)
        await stand.post(1)
        await until(lambda: stand.witnessed(2))


async def test_a_witness_that_is_down_delays_neither_the_quorum_nor_the_others(tmp_path: Path) -> None:
    policy = policy_of(W1, W2, quorum="any")
    up = PaperWitness(W1)
    async with Stand(tmp_path, policy, up) as stand:
        await until(lambda: stand.witnessed(1))
        await stand.post(1)
        await until(lambda: stand.witnessed(2))
        dead = stand.node.outside.clients[1].status
        await until(lambda: dead.failures > 1)
        assert (dead.reachable, dead.size) == (False, None)
        assert not stand.node.alarms


async def test_while_the_policy_is_not_satisfied_newer_checkpoints_are_gathered_for(tmp_path: Path) -> None:
    policy = policy_of(W1, W2, quorum="all")
    one, late = PaperWitness(W1), PaperWitness(W2)
    late.misbehave = lambda _: httpx.Response(503)
    async with Stand(tmp_path, policy, one, late) as stand:
        await until(lambda: one.head.size == 1)
        await stand.post(1)
        await until(lambda: one.head.size == 2)
        answer = await stand.get("/v1/proof", log=A.origin, index="0", cosigners="all")
        assert (answer.status_code, answer.json()["code"]) == (409, "not_confirmed")
        late.misbehave = None
        await until(lambda: stand.witnessed(2))


async def test_witnesses_of_different_speed_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "GATHER_SECONDS_MAX", PATIENCE_SECONDS)
    policy = policy_of(W1, W2, quorum="all")
    slow = PaperWitness(W2)
    async with Stand(tmp_path, policy, PaperWitness(W1), slow) as stand:
        held = stand.town.wire.held["w2.example"] = asyncio.Event()
        await until(lambda: stand.node.outside.clients[0].status.size == 1)
        await stand.post(1)
        assert not stand.witnessed(2)
        stand.town.wire.held.clear()
        held.set()
        await until(lambda: stand.witnessed(2))


LIES: dict[str, Callable[[httpx.Request], httpx.Response]] = {
    "too long": lambda _: httpx.Response(200, content=b"x" * (outside.ANSWER_BYTES_MAX + 1)),
    "nothing": lambda _: httpx.Response(200, content=b""),
    "somebody else": lambda _: httpx.Response(200, content=W2.cosign("x\n", 1).line),
    "another text": lambda _: httpx.Response(200, content=W1.cosign("x\n", 1).line),
    "a redirect": lambda _: httpx.Response(307, headers={"Location": "https://w2.example/"}),
    "not its log": lambda _: httpx.Response(404),
    "another root": lambda _: httpx.Response(409, content=b"no\n"),
    "no number": lambda _: httpx.Response(409, headers=SIZE, content=b"01\n"),
    "no line": lambda _: httpx.Response(409, headers=SIZE, content=b"1"),
    "a larger log": lambda _: httpx.Response(409, headers=SIZE, content=b"99\n"),
    "never content": lambda _: httpx.Response(409, headers=SIZE, content=b"0\n"),
    "busy": lambda _: httpx.Response(429),
    "raises": lambda _: (_ for _ in ()).throw(ValueError("\x1b[31m")),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
async def test_a_witness_that_lies_is_told_apart_and_asked_again(
    tmp_path: Path, lie: Callable[[httpx.Request], httpx.Response]
) -> None:
    witness = PaperWitness(W1)
    witness.misbehave = lie
    async with Stand(tmp_path, policy_of(W1), witness) as stand:
        status = stand.node.outside.clients[0].status
        await until(lambda: status.failures > 1)
        assert (status.reachable, stand.node.outside.witnessed) == (False, None)
        assert (status.last_error or "").isprintable()
        assert stand.node.state.confirmed_size == 1
        witness.misbehave = None
        await until(lambda: stand.witnessed(1))
        assert (status.reachable, status.last_error, status.failures) == (True, None, 0)


async def test_a_checkpoint_has_a_hundred_signatures_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Stand(tmp_path, policy_of(W1, W2, quorum="all"), PaperWitness(W1), PaperWitness(W2)) as stand:
        await until(lambda: stand.witnessed(1))
        confirmed = stand.node.state.confirmed
        assert confirmed is not None
        for limit in (3, 4, 5):  # the log's own and the members' are three
            monkeypatch.setattr(outside, "SIGNATURES_MAX", limit)
            assert len(stand.node.outside.dress(confirmed).signatures) == limit


async def test_a_policy_that_was_changed_is_not_satisfied_by_what_was_stored(tmp_path: Path) -> None:
    async with Stand(tmp_path, policy_of(W1), PaperWitness(W1)) as stand:
        await until(lambda: stand.witnessed(1))
        await stand.town.stop(A)
        path = stand.town.home(A).path(Path("witness.policy"))
        path.write_bytes(policy_of(W3).encode())
        await stand.town.start(A)
        assert stand.node.outside.witnessed is None
        assert [client.outsider.key for client in stand.node.outside.clients] == [W3.verifier]


async def test_one_of_our_own_nodes_is_a_stock_witness_for_another_network(tmp_path: Path) -> None:
    stranger = Party("stranger")
    setting = {"origin": A.origin, "vkeys": [A.keys.log.verifier.vkey]}
    policy = Policy((), (PolicyWitness("us", W3.verifier, f"{stranger.url}/witness"),), (), "us")
    async with (
        Stand(tmp_path / "a", policy) as stand,
        Town(tmp_path / "b", [stranger], law=paper([stranger]), wire=stand.town.wire, witnessed=[setting]) as other,
    ):
        other.witness_keys[stranger.name] = W3
        with capture_logs():
            [node] = await other.start(stranger)
            begin_memory(node.store, W3, since="2026-11-21T08:00:00.000Z", why=NEW_KEY)
            for number in (1, 2):
                await stand.post(number)
                await until(lambda: stand.witnessed(stand.node.state.size))
        note = node.foreign.last(A.origin)
        assert note is not None
        assert parse_checkpoint_text(note.text).size == stand.node.state.size


# Which witnesses are asked.


def test_only_witnesses_with_a_url_that_are_no_members_are_asked() -> None:
    member = PolicyWitness("m", A.keys.cosigner.verifier, "https://m.example")
    mute = PolicyWitness("n", W2.verifier)
    asked = PolicyWitness("o", W1.verifier, "http://o.example:8080/w/")
    found = outsiders_of(Policy((), (member, mute, asked), (), "o"), LAW.network, A.origin)
    assert [(one.name, one.url) for one in found] == [("o", "http://o.example:8080/w")]


@pytest.mark.parametrize("url", ["ftp://x", "x", "https://", "https://x/?q", "https://x" + "x" * 500, "https://[/"])
def test_a_url_that_cannot_be_asked_is_refused(url: str) -> None:
    policy = Policy((), (PolicyWitness("o", W1.verifier, url),), (), "o")
    with pytest.raises(ConfigError, match="URL that cannot be asked"):
        outsiders_of(policy, LAW.network, A.origin)


def test_a_policy_for_other_logs_is_refused() -> None:
    other = PolicyLog(Signer("other.example/log", ED25519, seed("other")).verifier)
    with pytest.raises(ConfigError, match="is none of them"):
        outsiders_of(Policy((other,), (), (), "none"), LAW.network, A.origin)


@pytest.mark.parametrize("data", [b"quorum", None])
async def test_a_policy_that_cannot_be_read_keeps_the_node_from_starting(tmp_path: Path, data: bytes | None) -> None:
    town = Town(tmp_path, [A], law=LAW, witness_policy="witness.policy")
    if data is not None:
        town.home(A).path(Path("witness.policy")).write_bytes(data)
    with pytest.raises(ConfigError) as refused:
        town.build(A)
    assert str(refused.value.field).endswith("witness.policy")
