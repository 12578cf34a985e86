"""Equivocations: proven by who meets them, judged by who hears of them, and an honest log is never accused."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node_helpers import (
    PATIENCE_SECONDS,
    Desk,
    PaperLog,
    Party,
    Town,
    bundle,
    heads,
    open_log,
    paper,
    parties,
    seed,
    share,
    until,
    verify_log,
)
from structlog.testing import capture_logs

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.encoding import canonical_json
from ledger.equivocation import entries_proof, heads_proof, judge_equivocation
from ledger.errors import LedgerError, StoreCorruptError
from ledger.merkle import EMPTY_ROOT, TreeSize
from ledger.note import Note
from ledger.quorum import judge_checkpoint
from ledger.store.memory import Fault
from node import equivocations, gossip, hearsay, layout, logs
from node.equivocations import Equivocations, Kept
from node.errors import FrozenError, IntegrityAlarm, NotFoundError, ReadOnlyError
from node.layout import origin_hash
from node.peers import PeerStatus
from node.service import Node

A, B, C, D = FOUR = parties(4)
LAW = paper(FOUR, quorum={"faults": 0})
FORK = 5  # from here on B's two stories differ


def twins(owner: Party = B, size: int = 10, fork: int = FORK) -> tuple[PaperLog, PaperLog]:
    """Two logs of one owner that agree up to an entry and no further."""
    one, other = (PaperLog(owner, LAW.network, FOUR) for _ in range(2))
    for number in range(1, size):
        one.append(share(number, A if owner != A else B))
        other.append(share(number if number < fork else 1000 + number, A if owner != A else B))
    return one, other


def verdict_of(node: Node, log: str = B.origin) -> Kept:
    """The one proof that a node keeps; it holds for anybody who knows the fingerprint alone."""
    [kept] = node.equivocations.listed()
    verdict = judge_equivocation(node.equivocations.read(kept.id), fingerprint=LAW.fingerprint)
    assert verdict == kept.verdict
    assert (kept.standing, verdict.log, node.alarms[log]) == (True, log, verdict.words)
    return kept


class Stand:
    """A's node; B's two stories are on paper, and nobody tells them unless the test says so."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.one, self.other = twins()

    @property
    def node(self) -> Node:
        return self.town.nodes[A.name]

    def tell(self, log: PaperLog, *by: Party) -> None:
        for party in by or (B,):
            self.town.wire.answer(party, log.answer)

    async def hold(self, size: int, log: PaperLog | None = None) -> None:
        """Have A mirror so many entries of a story."""
        self.tell(log or self.one)
        await self.node.mirror.catch_up(B.origin, size)

    async def cosign(self, log: PaperLog, old: int, size: int, *, root: bytes | None = None) -> httpx.Response:
        async with self.town.client(A, token=None) as client:
            return await client.post("/witness/add-checkpoint", content=log.request(old, size, root=root))

    async def take(self, note: Note) -> bool:
        return await self.node.mirror.take_confirmed(note.encode(), origin=B.origin)


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        with capture_logs():
            await town.open(A).recovery.once()
            yield Stand(town)


# Each kind, made by the node that meets it.


async def test_two_heads_of_one_size_are_proven(stand: Stand) -> None:
    stand.tell(stand.one)
    assert (await stand.cosign(stand.one, 0, 7)).status_code == 200
    answer = await stand.cosign(stand.other, 7, 7)
    assert answer.status_code == 422
    assert "two roots for size 7" in answer.text
    assert verdict_of(stand.node).verdict.kind == "heads"


async def test_a_head_that_does_not_follow_is_proven_by_the_proof_that_came_with_it(stand: Stand) -> None:
    stand.tell(stand.one)
    assert (await stand.cosign(stand.one, 0, 7)).status_code == 200
    stand.town.wire.cut.add("d1.test")
    answer = await stand.cosign(stand.other, 7, 10)
    assert answer.status_code == 422
    verdict = verdict_of(stand.node).verdict
    assert (verdict.kind, verdict.until, verdict.second.at) == ("heads", 7, 10)


async def test_a_wrong_proof_of_an_honest_log_accuses_nobody(stand: Stand) -> None:
    stand.tell(stand.one)
    assert (await stand.cosign(stand.one, 0, 7)).status_code == 200
    right = stand.one.request(7, 10).split(b"\n")
    for at in range(1, len(stand.one.proof(7, 10)) + 1):
        body = b"\n".join([*right[:at], right[at % 2 + 1], *right[at + 1 :]])
        if body != b"\n".join(right):
            async with stand.town.client(A, token=None) as client:
                assert (await client.post("/witness/add-checkpoint", content=body)).status_code == 422
    assert not stand.node.equivocations.listed()
    assert not stand.node.alarms


async def test_a_smaller_head_of_another_story_is_proven_from_the_own_tree(stand: Stand) -> None:
    stand.tell(stand.one)
    assert await stand.take(stand.one.checkpoint(cosigners=3))
    with pytest.raises(FrozenError):
        await stand.take(stand.other.checkpoint(8, cosigners=3))
    verdict = verdict_of(stand.node).verdict
    assert (verdict.kind, verdict.first.at, verdict.second.at) == ("heads", 8, 10)


async def test_a_head_to_which_the_entries_do_not_hash_is_proven_from_an_earlier_one(stand: Stand) -> None:
    stand.tell(stand.one)
    assert (await stand.cosign(stand.one, 0, 3)).status_code == 200
    answer = await stand.cosign(stand.one, 3, 9, root=seed("a lie"))
    assert answer.status_code == 422  # the consistency proof does not lead there
    await stand.hold(9)
    assert (await stand.cosign(stand.one, 3, 9, root=seed("a lie"))).status_code == 422
    verdict = verdict_of(stand.node).verdict
    assert (verdict.kind, verdict.second.at) == ("content", 9)
    file = json.loads(stand.node.equivocations.read(stand.node.equivocations.ids()[0]))
    assert len(file["entries"]) == 6


async def test_a_head_of_the_empty_log_with_a_root_is_proven_beside_any_other(stand: Stand) -> None:
    stand.tell(stand.one)
    assert (await stand.cosign(stand.one, 0, 3)).status_code == 200
    empty = sign_checkpoint(B.keys.log, Checkpoint(B.origin, TreeSize(0), seed("a root")))
    assert stand.node.equivocations.accuse(judge_checkpoint(empty, LAW.network))
    assert verdict_of(stand.node).verdict.until == 0


@pytest.mark.parametrize("held", [FORK, FORK + 1, 9])
async def test_entries_of_another_story_are_proven_when_they_are_fetched(stand: Stand, held: int) -> None:
    await stand.hold(held)
    stand.tell(stand.other)
    if held == FORK:  # the stories have not parted yet: the other one is as good
        await stand.node.mirror.catch_up(B.origin, 10)
        assert not stand.node.alarms
        return
    with pytest.raises(FrozenError):
        await stand.node.mirror.catch_up(B.origin, 10)
    assert verdict_of(stand.node).verdict.kind == "entries"
    assert stand.node.states[B.origin].size == held


async def test_an_entry_that_is_stored_otherwise_is_proven(stand: Stand) -> None:
    await stand.hold(9)

    async def other_range(_: httpx.Request) -> httpx.Response:
        return bundle(stand.other.raws[6:7])

    stand.town.wire.answer(B, other_range)
    with pytest.raises(FrozenError):
        await stand.node.mirror.catch_up(B.origin, 10)
    verdict = verdict_of(stand.node).verdict
    assert (verdict.kind, verdict.first.at, verdict.second.at) == ("entries", 6, 6)


async def test_two_remembered_heads_of_one_size_are_proven_without_any_entry(stand: Stand) -> None:
    for log in (stand.one, stand.other):
        stand.node.recovery._promise(judge_checkpoint(log.checkpoint(8), LAW.network))
    with pytest.raises(FrozenError):
        await stand.node.recovery.take_over(B.origin)
    assert verdict_of(stand.node).verdict.until == 8


# What a peer holds otherwise.


async def compare(stand: Stand, party: Party = C) -> None:
    await stand.node.gossip.compare(stand.node.peers[party.origin])


@pytest.mark.parametrize("size", [6, 9, 10])
async def test_a_peer_that_holds_another_story_of_no_more_entries_gives_it_away(stand: Stand, size: int) -> None:
    await stand.hold(10)
    del stand.other.raws[size:]
    stand.other.members = ()  # nothing of it is confirmed
    stand.tell(stand.other, C)
    await compare(stand)
    verdict = verdict_of(stand.node).verdict
    assert (verdict.kind, verdict.first.at) == ("entries", size - 1)


async def test_a_peer_that_shows_no_entries_gives_it_away_by_the_signed_head(stand: Stand) -> None:
    await stand.hold(10)

    async def only_heads(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404) if "entries" in request.url.path else await stand.other.answer(request)

    stand.town.wire.answer(C, only_heads)
    await compare(stand)
    assert verdict_of(stand.node).verdict.kind == "content"


async def test_a_claim_of_another_root_without_a_signature_accuses_nobody(stand: Stand) -> None:
    await stand.hold(10)

    async def boast(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/logs":
            return httpx.Response(200, json=heads({**stand.one.told(), "root": stand.other.told()["root"]}))
        return await stand.one.answer(request)

    stand.town.wire.answer(C, boast)
    for _ in range(3):
        await compare(stand)
    assert not stand.node.alarms
    assert not stand.node.equivocations.listed()


# Frozen.


async def convict(stand: Stand, size: int = 7) -> None:
    """A holds a confirmed head of one story of that size, and the proof that there is another."""
    stand.tell(stand.one)
    assert await stand.take(stand.one.checkpoint(size, cosigners=3))
    with pytest.raises(FrozenError):
        await stand.take(stand.other.checkpoint(size, cosigners=3))
    verdict_of(stand.node)


async def test_a_frozen_log_takes_nothing_new_and_stays_readable(stand: Stand) -> None:
    await convict(stand)
    with pytest.raises(FrozenError, match="nothing new is taken"):
        await stand.node.mirror.catch_up(B.origin, 8)
    with pytest.raises(FrozenError):
        await stand.node.mirror.take_signed(stand.one.checkpoint(8).encode(), origin=B.origin)
    answer = await stand.cosign(stand.one, 0, 7)
    assert answer.status_code == 422
    assert "two roots for size 7" in answer.text
    state = stand.node.states[B.origin]
    assert (state.size, state.confirmed_size, state.cosigned_head.size) == (7, 7, 0)
    assert len(verify_log(stand.node.store, state, LAW.network)) == 7
    async with stand.town.client(A) as client:
        path = f"/v1/logs/{origin_hash(B.origin)}/entries?start=0&limit=7"
        assert len((await client.get(path)).json()["entries"]) == 7
        assert (await client.get("/v1/health")).json()["status"] == "alarm"


async def test_what_a_quorum_had_confirmed_of_a_frozen_log_is_taken_all_the_same(stand: Stand) -> None:
    """So that those who hear of it late come to the same end as the others, whatever the liar shows them."""
    await convict(stand)
    assert await stand.take(stand.one.checkpoint(9, cosigners=3))
    assert stand.node.states[B.origin].confirmed_size == 9
    with pytest.raises(FrozenError):
        await stand.node.mirror.catch_up(B.origin, 10)
    with pytest.raises(IntegrityAlarm):  # more than f members have lied as well
        await stand.take(stand.other.checkpoint(10, cosigners=3))
    state = stand.node.states[B.origin]
    assert (state.confirmed_size, state.cosigned_head.size) == (9, 0)


async def test_a_proof_that_comes_while_entries_are_fetched_stops_that(stand: Stand) -> None:
    await stand.hold(7)
    held = stand.town.wire.held["d1.test"] = asyncio.Event()
    fetching = asyncio.create_task(stand.node.mirror.catch_up(B.origin, 10))
    await asyncio.sleep(0)
    judged = [judge_checkpoint(log.checkpoint(6), LAW.network) for log in (stand.one, stand.other)]
    assert stand.node.equivocations.accuse_pair(*judged)
    held.set()
    with pytest.raises(FrozenError):
        await fetching
    assert stand.node.states[B.origin].size == 7


async def test_a_frozen_log_is_still_frozen_after_a_restart(stand: Stand) -> None:
    await convict(stand)
    kept = stand.node.equivocations.listed()
    await until(lambda: not stand.node.equivocations._unsaved)
    await stand.town.stop(A)
    stand.town.open(A)
    assert stand.node.equivocations.listed() == kept
    verdict_of(stand.node)
    with pytest.raises(FrozenError):
        await stand.node.mirror.catch_up(B.origin, 8)


async def test_a_proof_outlives_a_failed_write(stand: Stand) -> None:
    disk = stand.town.disks[A.name]
    await stand.hold(7)
    disk.fail_write(disk.writes + 1, Fault.NO_SPACE)
    judged = [judge_checkpoint(log.checkpoint(6), LAW.network) for log in (stand.one, stand.other)]
    kept = stand.node.equivocations.accuse_pair(*judged)
    assert kept is not None
    await until(lambda: not stand.node.equivocations._saving)
    assert stand.node.store.get(layout.equivocation_key(layout.log_id(B.origin), kept.id)) is None
    verdict_of(stand.node)
    stand.node.equivocations.save()  # as gossip does in every round
    await until(lambda: stand.node.store.get(layout.equivocation_key(layout.log_id(B.origin), kept.id)))


async def test_a_proof_that_comes_while_all_are_judged_again_stands(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stand.hold(7)
    found = stand.node.equivocations
    judged = [judge_checkpoint(log.checkpoint(6), LAW.network) for log in (stand.one, stand.other)]

    class Meanwhile:
        """A store in which a proof is written just behind a scan."""

        get = stand.node.store.get

        def scan(self, *keys: bytes) -> list[Any]:
            pairs = list(stand.node.store.scan(*keys))
            assert found.accuse_pair(*judged) is not None
            stand.node.writer.submit(lambda _: None).result(PATIENCE_SECONDS)
            assert not found._unsaved
            return pairs

    with monkeypatch.context() as patch:
        patch.setattr(found, "_store", Meanwhile())
        found.load()
    verdict_of(stand.node)
    with pytest.raises(FrozenError):
        found.require_trusted(B.origin)


async def test_a_kept_proof_that_is_damaged_does_not_pass_unseen(stand: Stand) -> None:
    await convict(stand)
    [kept] = stand.node.equivocations.listed()
    key = layout.equivocation_key(layout.log_id(B.origin), kept.id)
    await until(lambda: stand.node.store.get(key))
    await stand.town.stop(A)
    stand.town.disks[A.name].flip(key)
    with pytest.raises(StoreCorruptError):
        stand.town.open(A)


# Bounded.


async def test_of_many_stories_so_many_are_kept_and_of_one_story_one(stand: Stand) -> None:
    kept = set()
    true = judge_checkpoint(stand.one.checkpoint(6), LAW.network)
    for number in range(40):
        lie = judge_checkpoint(stand.one.checkpoint(6, root=seed(str(number // 2))), LAW.network)
        pair = (true, lie) if number % 2 else (lie, true)
        found = stand.node.equivocations.accuse_pair(*pair)
        assert found is not None
        kept.add(found.id)
    assert len(kept) == len(stand.node.equivocations.listed()) == equivocations.STANDING_MAX
    assert stand.node.equivocations.counts() == {B.origin: equivocations.STANDING_MAX}


def forged() -> list[bytes]:
    """Files that prove nothing."""
    one, other = twins()
    twice = entries_proof(LAW.document, B.origin, one.raws[6], one.raws[6])
    unsigned = entries_proof(LAW.document, B.origin, one.raws[6], other.raws[6].replace(b"check of", b"sale  of"))
    elsewhere = entries_proof(paper([A, B]).document, B.origin, one.raws[6], other.raws[6])
    return [b"", b"{}", b"{}\n", b"\xff", b"[" * 100_000, twice, unsigned, elsewhere, twice[:-1], unsigned + b"\n"]


class Rumour:
    """A peer that lists files and serves them."""

    def __init__(self, town: Town, party: Party, files: Sequence[bytes]) -> None:
        self.files = {hashlib.sha256(data).hexdigest(): data for data in files}
        self.listed = list(self.files)
        self.asked: list[str] = []
        self.failing = False
        town.wire.answer(party, self.answer)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/logs":
            return httpx.Response(200, json={**heads(), "equivocations": self.listed})
        name = request.url.path.rpartition("/")[2]
        self.asked.append(name)
        if self.failing:
            return httpx.Response(503)
        return httpx.Response(200, content=self.files[name]) if name in self.files else httpx.Response(404)


async def test_files_that_prove_nothing_are_refused_and_fetched_once(stand: Stand) -> None:
    rumour = Rumour(stand.town, C, forged())
    for _ in range(6):
        await compare(stand)
    assert sorted(rumour.asked) == sorted(rumour.files)
    assert not stand.node.alarms
    assert not stand.node.equivocations.listed()
    refused = stand.node.metrics.registry.get_sample_value("suyuan_proofs_refused_total", {"peer": C.origin})
    assert refused == len(rumour.files)


async def test_no_more_than_so_many_files_are_fetched_in_a_round_and_of_a_peer_that_lies(stand: Stand) -> None:
    rumour = Rumour(stand.town, C, [])
    rumour.listed = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(200)]
    await compare(stand)
    assert len(rumour.asked) == hearsay.PROOFS_AT_ONCE
    for _ in range(20):
        await compare(stand)
    assert len(rumour.asked) == hearsay.GARBAGE_MAX
    honest = Rumour(stand.town, D, [heads_proof(LAW.document, stand.one.checkpoint(6), stand.other.checkpoint(6))])
    await compare(stand, D)
    assert stand.node.equivocations.ids() == honest.listed


async def test_another_file_than_the_one_listed_is_refused(stand: Stand) -> None:
    rumour = Rumour(stand.town, C, [heads_proof(LAW.document, stand.one.checkpoint(6), stand.other.checkpoint(6))])
    rumour.listed = ["0" * 64]
    rumour.files = dict(zip(rumour.listed, rumour.files.values(), strict=True))
    await compare(stand)
    assert not stand.node.equivocations.listed()


async def test_a_peer_that_is_busy_is_asked_again(stand: Stand) -> None:
    rumour = Rumour(stand.town, C, [heads_proof(LAW.document, stand.one.checkpoint(6), stand.other.checkpoint(6))])
    rumour.failing = True
    await compare(stand)
    assert not stand.node.equivocations.listed()
    rumour.failing = False
    await compare(stand)
    assert stand.node.equivocations.ids() == rumour.listed


async def test_what_is_like_a_kept_proof_is_fetched_once(stand: Stand) -> None:
    pair = stand.one.checkpoint(6), stand.other.checkpoint(6)
    rumour = Rumour(stand.town, C, [heads_proof(LAW.document, *pair), heads_proof(LAW.document, *pair[::-1])])
    for _ in range(3):
        await compare(stand)
    assert len(rumour.asked) == 2
    assert len(stand.node.equivocations.listed()) == 1


@pytest.mark.parametrize("listed", ["x", [1], ["0" * 63], ["G" * 64], ["0" * 64] * 1001, {"0" * 64: 1}])
async def test_a_list_of_another_form_is_refused(stand: Stand, listed: Any) -> None:
    rumour = Rumour(stand.town, C, [])
    rumour.listed = listed
    with pytest.raises(LedgerError, match="another form"):
        await compare(stand)


async def test_a_proof_that_is_not_there_is_not_read(stand: Stand) -> None:
    with pytest.raises(NotFoundError):
        stand.node.equivocations.read("0" * 64)


# Spreading.


class Teller:
    """The owner, as it tells one node the entries of a story."""

    def __init__(self, log: PaperLog) -> None:
        self.origin = log.origin
        self.status, self.slow_ms = PeerStatus(), 1000
        self._log = log

    async def entries(self, _: str, start: int, limit: int, **__: object) -> list[bytes]:
        return self._log.raws[start : start + limit]


async def test_a_proof_reaches_every_node_and_each_has_judged_it(tmp_path: Path) -> None:
    """B tells A one story and C another; D has heard neither. They compare notes."""
    one, other = twins()
    async with Town(tmp_path, FOUR, law=LAW) as town:
        with capture_logs():
            nodes = await town.start(A, C, D)
            for party, log in ((A, one), (C, other)):
                told = PaperLog(B, LAW.network)
                told.raws = log.raws[:9]
                teller: Any = Teller(told)
                await town.nodes[party.name].mirror.fetcher.fetch_ruled(teller, B.origin, 9, patient=True)
            town.clock.advance(gossip.COMPARE_MS)  # roots are compared every now and then only
            for node in nodes:
                await until(lambda node=node: B.origin in node.alarms, node.origin)  # type: ignore[misc]
                assert node.equivocations.ids()
            async with town.client(D) as client:
                listed = (await client.get("/v1/equivocations")).json()["equivocations"]
                data = (await client.get(f"/v1/equivocations/{listed[0]['id']}")).content
            assert judge_equivocation(data, fingerprint=LAW.fingerprint).log == B.origin
            await town.stop(D)
            [again] = await town.start(D)
            assert B.origin in again.alarms


# The own log.


async def test_a_node_whose_own_log_is_convicted_only_reads(stand: Stand) -> None:
    one, other = twins(A)
    open_log(stand.node)
    Rumour(stand.town, C, [heads_proof(LAW.document, one.checkpoint(6), other.checkpoint(6))])
    await compare(stand)
    verdict_of(stand.node, A.origin)
    with pytest.raises(ReadOnlyError, match="has signed two roots for size 6"):
        await stand.node.submit((), wait_confirmed=False)
    async with stand.town.client(A) as client:
        answer = await client.get("/v1/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "alarm")


# An honest log.


class Court:
    """Proofs over a store in memory that has some entries of one log."""

    def __init__(self, desk: Desk, log: PaperLog) -> None:
        self.log = log
        self.alarms: list[str] = []
        self.kept = Equivocations(
            store=desk.store,
            writer=desk.writer,
            network=lambda: LAW.network,
            document=lambda: LAW.document,
            fingerprint=LAW.fingerprint,
            alarm=lambda alarm: self.alarms.append(alarm.message),
            lift=self.alarms.append,
        )


@cache
def honest() -> PaperLog:
    log = PaperLog(B, LAW.network, FOUR)
    log.grow(20, A)
    return log


HASHES = st.sampled_from([EMPTY_ROOT, seed("a hash"), *(honest().root(size) for size in range(1, 20))])
SIZES = st.integers(0, 20)


@st.composite
def accusations(draw: st.DrawFn) -> tuple[str, list[Any]]:
    """Anything that can be held against an honest log: what it has signed, in any order, and anybody's hashes."""
    log = honest()
    kind = draw(st.sampled_from(["accuse", "pair", "growth", "entries", "heads", "file"]))
    if kind == "entries":
        return kind, draw(st.lists(st.sampled_from([*log.raws, b"garbage", log.raws[3][:-9]]), max_size=6))
    sizes = draw(st.lists(SIZES, min_size=2, max_size=2))
    proof = draw(st.lists(HASHES, max_size=5) | st.just(log.proof(*sorted(sizes))))
    return kind, [*sizes, proof, draw(HASHES), draw(st.binary(max_size=80))]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 20), st.lists(SIZES, max_size=3), st.lists(accusations(), min_size=1, max_size=8))
def test_an_honest_log_is_never_accused(held: int, signed: list[int], tried: list[tuple[str, list[Any]]]) -> None:
    log = honest()
    part = PaperLog(B, LAW.network, FOUR)
    part.raws = log.raws[:held]
    with Desk(A, LAW.network) as desk:
        if held:
            desk.take(part)
        for size in signed:
            if size <= held:
                remember(desk, log, size)
        court = Court(desk, log)
        for kind, given_ in tried:
            try_to_accuse(court, kind, given_)
        assert not court.alarms
        assert not court.kept.listed()


def remember(desk: Desk, log: PaperLog, size: int) -> None:
    judged = judge_checkpoint(log.checkpoint(size), LAW.network)

    def put(transaction: Any) -> None:
        state = transaction.state(B.origin)
        transaction.put_state(logs.with_cosigned(state, judged, transaction.batch))

    desk.writer.submit(put).result(PATIENCE_SECONDS)


def try_to_accuse(court: Court, kind: str, given_: list[Any]) -> None:
    if kind == "entries":
        assert court.kept.accuse_entries(B.origin, given_) is None
        return
    old, new, proof, other, noise = given_
    first, second = (judge_checkpoint(court.log.checkpoint(size), LAW.network) for size in (old, new))
    match kind:
        case "accuse":
            assert court.kept.accuse(second) is None
        case "pair":
            assert court.kept.accuse_pair(first, second) is None
        case "growth":
            assert court.kept.accuse_growth(first, second, proof) is None
        case "heads":
            with pytest.raises(LedgerError):
                court.kept.take(heads_proof(LAW.document, first.note, second.note, other=other, proof=proof))
        case _:
            with pytest.raises(LedgerError):
                court.kept.take(noise)


def test_a_proof_of_a_foreign_network_or_of_nobody_is_not_kept() -> None:
    one, other = twins()
    with Desk(A, LAW.network) as desk:
        court = Court(desk, one)
        stranger = PaperLog(Party("x"), LAW.network)
        for data in (
            heads_proof(paper([A, B]).document, one.checkpoint(6), other.checkpoint(6)),
            heads_proof(LAW.document, stranger.checkpoint(), stranger.checkpoint(root=seed("a lie"))),
            (canonical_json({"kind": "heads"}) + "\n").encode(),
        ):
            with pytest.raises(LedgerError):
                court.kept.take(data)
        assert not court.alarms
