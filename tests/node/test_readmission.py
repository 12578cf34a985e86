"""Readmission: the governors rule which story counts, and every node brings the log there and goes on with it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from node_helpers import (
    Paper,
    PaperLog,
    Party,
    Town,
    bundle,
    entry_of,
    event_id,
    paper,
    parties,
    seed,
    share,
    until,
    verify_log,
)
from structlog.testing import capture_logs

from cli.vitals import check_health
from ledger.encoding import encode_base64
from ledger.equivocation import heads_proof
from ledger.errors import ConsistencyError
from ledger.note import ED25519, Signer
from ledger.quorum import judge_checkpoint
from ledger.store.memory import MemoryDisk
from node import layout, publisher, readmission, recovery, truncation
from node.alarms import BY_RULING
from node.errors import AlarmCause, BusyError, FrozenError, IntegrityAlarm, ReadOnlyError
from node.faults import PeerError
from node.keys import KeyRing, NodeKeys, key_name
from node.service import Node
from node.submission import prepare
from node.writer import Transaction

A, B, C, D = FOUR = parties(4)
LAW = paper(FOUR, quorum={"faults": 0})
FORK = 5  # from here on B's two stories differ
RULED = 8  # the governors take the first story up to here


@dataclass(frozen=True)
class Rekeyed(Party):
    """A department with a new log key."""

    @property
    def keys(self) -> NodeKeys:
        return replace(super().keys, log=Signer(key_name(self.origin, "log"), ED25519, seed(self.origin, "log 2")))


NEW_B = Rekeyed(B.name)


def stories(size: int = 12) -> tuple[PaperLog, PaperLog]:
    one, other = (PaperLog(B, LAW.network, FOUR) for _ in range(2))
    for number in range(1, size):
        one.append(share(number, A))
        other.append(share(number if number < FORK else 1000 + number, A))
    return one, other


ONE, OTHER = stories()


def ruling(size: int = RULED, root: bytes | None = None) -> Paper:
    """The next version: B goes on from that size, with a new key."""
    spans = [
        {"key": B.keys.log.verifier.vkey, "from": 0, "until": size},
        {"key": NEW_B.keys.log.verifier.vkey, "from": size},
    ]
    ruled = {"size": size, "root": encode_base64(ONE.root(size) if root is None else root)}
    entries = [entry_of(party) for party in FOUR]
    entries[1] |= {"log_keys": spans, "readmitted": ruled}
    return LAW.next(entries, quorum={"faults": 0})


SECOND = ruling()


def goes_on(count: int = 3) -> PaperLog:
    """B's log after the ruling, signed with the new key."""
    log = PaperLog(NEW_B, LAW.network, FOUR)
    part = PaperLog(B, LAW.network)
    for number in range(1, RULED):
        part.append(share(number, A))
    assert part.raws == ONE.raws[:RULED]
    log.raws, log.head = list(part.raws), part.head
    log.append(
        {
            "type": "network.adopt", "id": event_id(5000), "network": "test", "version": 2,
            "hash": encode_base64(SECOND.network.text_hash),
        },
        *(share(6000 + number, A) for number in range(count)),
    )  # fmt: skip
    return log


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "RETRY_SECONDS_MIN", 0.02)
    monkeypatch.setattr(publisher, "RETRY_SECONDS_MAX", 0.05)
    monkeypatch.setattr(recovery, "RETRY_SECONDS_MIN", 0.02)
    monkeypatch.setattr(recovery, "RETRY_SECONDS_MAX", 0.05)
    monkeypatch.setattr(readmission, "RETRY_SECONDS_MIN", 0.01)
    monkeypatch.setattr(readmission, "RETRY_SECONDS_MAX", 0.02)
    monkeypatch.setattr(truncation, "STEP_MAX", 2)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        with capture_logs():
            yield town


def only(log: PaperLog, size: int | None = None) -> Any:
    """Answer with the entries of a log and nothing else."""

    async def answer(request: httpx.Request) -> httpx.Response:
        return await log.answer(request) if "entries" in request.url.path else httpx.Response(404)

    log = log if size is None else cut(log, size)
    return answer


def cut(log: PaperLog, size: int) -> PaperLog:
    part = PaperLog(B, LAW.network, FOUR)
    part.raws = log.raws[:size]
    return part


async def hold(town: Town, party: Party, log: PaperLog, size: int, *, confirmed: int = 4) -> Node:
    """Have a node hold so much of a story, of which the common beginning is confirmed."""
    node = town.nodes[party.name]
    town.wire.answer(B, only(log))
    if node.states[B.origin].size < size:  # another node may have told it already
        await node.mirror.catch_up(B.origin, size)
    await node.mirror.take_confirmed(log.checkpoint(confirmed, cosigners=3).encode(), origin=B.origin)
    town.wire.routes.pop("d1.test")
    assert node.states[B.origin].confirmed_size == confirmed
    return node


def convict(node: Node) -> None:
    node.equivocations.take(heads_proof(LAW.document, ONE.checkpoint(7), OTHER.checkpoint(7)))
    assert B.origin in node.alarms


async def cosign(town: Town, party: Party, log: PaperLog, old: int) -> httpx.Response:
    async with town.client(party, token=None) as client:
        return await client.post("/witness/add-checkpoint", content=log.request(old))


async def test_a_log_goes_on_everywhere_after_the_ruling(town: Town) -> None:
    """A has the ruled story and more of it, C another one, D not even all that was confirmed elsewhere."""
    for party, log, size in ((A, ONE, 12), (C, OTHER, 10), (D, ONE, 4)):
        town.open(party)
        await hold(town, party, log, size)
        await town.stop(party)
    nodes = await town.start(A, C, D)
    for node in nodes:
        convict(node)
    new = goes_on()
    assert (await cosign(town, A, new, RULED)).status_code in (403, 422)
    await nodes[2].adopt(SECOND.document)
    for node in nodes:
        await until(lambda node=node: node.states[B.origin].readmitted is not None, node.origin)  # type: ignore[misc]
        assert node.alarms == {}
        assert node.states[B.origin].size == RULED
        assert node.states[B.origin].edge.root() == ONE.root(RULED)
        assert node.equivocations.listed()
        assert not any(one.standing for one in node.equivocations.listed())
        assert node.equivocations.ids() == []
        assert node.states[B.origin].cosigned_head == SECOND.network.member(B.origin).readmitted
    town.wire.answer(B, only(new))
    for party, node in zip((A, C, D), nodes, strict=True):
        answer = await cosign(town, party, new, RULED)
        assert (answer.status_code, node.states[B.origin].size) == (200, new.size), answer.text
        assert len(verify_log(node.store, node.states[B.origin], SECOND.network)) == new.size
        assert node.states[B.origin].cosigned_head.size == new.size


async def test_a_ruling_lifts_the_alarms_that_it_settles_and_no_other(town: Town) -> None:
    town.open(A)
    node = await hold(town, A, OTHER, 12)
    convict(node)
    causes: list[AlarmCause] = [*BY_RULING, "damage"]
    for cause in causes:
        node.alarms.take(IntegrityAlarm(cause, field=B.origin, cause=cause))
    town.wire.answer(B, only(ONE))
    await node.adopt(SECOND.document)
    await node.readmission.settle(B.origin)
    assert node.alarms == {B.origin: "damage"}


async def test_a_node_that_was_down_settles_when_it_starts_under_the_ruling(town: Town) -> None:
    town.open(A)
    node = await hold(town, A, ONE, 12)
    await node.recovery.once()
    town.wire.answer(B, only(ONE))
    assert (await cosign(town, A, ONE, 0)).status_code == 200  # a head of size 12, void after the ruling
    convict(node)
    await until(lambda: not node.equivocations._unsaved)
    await town.stop(A)
    town.law = SECOND
    [node] = await town.start(A)
    await until(lambda: node.states[B.origin].readmitted is not None)
    state = node.states[B.origin]
    assert (state.size, state.checkpoint, state.cosigned) == (RULED, None, None)
    assert not node.alarms
    [kept] = node.equivocations.listed()
    assert not kept.standing
    log = layout.log_id(B.origin)
    assert node.store.get(layout.cosigned_key(log)) is None
    assert node.store.get(layout.entry_key(log, RULED)) is None


async def test_a_crash_during_the_dropping_is_made_good_at_the_next_start(town: Town) -> None:
    town.open(A)
    node = await hold(town, A, OTHER, 12)
    await town.stop(A)
    town.law = SECOND
    disk = town.disks[A.name]
    for _ in range(3):
        node = town.open(A)
        before = node.states[B.origin].size

        def power_gone() -> None:
            raise OSError("the power is gone")

        await asyncio.wrap_future(node.writer.submit(lambda t, node=node: node.readmission._step(t, origin=B.origin)))  # type: ignore[misc]
        assert node.states[B.origin].size == before - 2
        disk.on_write = power_gone
        with pytest.raises(Exception, match="power is gone"):
            await node.readmission.settle(B.origin)
        disk.on_write = None
        await town.stop(A)
    node = town.open(A)
    assert 4 < node.states[B.origin].size < 12
    town.wire.answer(B, only(ONE))
    await node.readmission.settle(B.origin)
    assert node.states[B.origin].edge.root() == ONE.root(RULED)


async def test_of_sources_that_give_the_other_story_nothing_stays(town: Town) -> None:
    town.law = SECOND
    node = town.open(A)
    town.wire.answer(B, only(OTHER))
    town.wire.answer(C, only(OTHER, 6))
    with pytest.raises(PeerError, match="nobody gives the ruled history"):
        await node.readmission.settle(B.origin)
    assert node.states[B.origin].size == 0
    assert node.states[B.origin].readmitted is None
    town.wire.answer(D, only(ONE))
    await node.readmission.settle(B.origin)
    assert node.states[B.origin].edge.root() == ONE.root(RULED)
    assert not node.alarms


@pytest.mark.parametrize(("others", "asked"), [(True, [0]), (False, [0, *range(RULED)])])
async def test_who_gives_one_entry_at_a_time_holds_up_a_ruling_only_where_nobody_else_has_it(
    town: Town, asked: list[int], *, others: bool
) -> None:
    starts: list[int] = []

    async def drip(request: httpx.Request) -> httpx.Response:
        starts.append(start := int(request.url.params["start"]))
        return bundle(ONE.raws[start : start + 1])

    town.law = SECOND
    node = town.open(A)
    town.wire.answer(B, drip)
    if others:
        town.wire.answer(C, only(ONE))
    await node.readmission.settle(B.origin)
    assert node.states[B.origin].edge.root() == ONE.root(RULED)
    assert starts == asked


async def test_until_it_is_settled_a_log_neither_grows_nor_is_cosigned(town: Town) -> None:
    town.law = SECOND
    node = town.open(A)
    await node.recovery.once()
    new = goes_on()
    town.wire.answer(B, only(new))
    with pytest.raises(BusyError, match="the governors have ruled"):
        await node.mirror.catch_up(B.origin, 3)
    assert (await cosign(town, A, new, RULED)).status_code == 503
    with pytest.raises(BusyError):
        await node.mirror.take_confirmed(new.checkpoint(cosigners=3).encode(), origin=B.origin)
    await node.readmission.settle(B.origin)
    assert (await cosign(town, A, new, RULED)).status_code == 200


async def test_a_ruling_against_what_is_confirmed_is_an_alarm_and_nothing_is_dropped(town: Town) -> None:
    town.open(A)
    await hold(town, A, ONE, 12, confirmed=10)
    await town.stop(A)
    town.law = SECOND
    [node] = await town.start(A)
    await until(lambda: B.origin in node.alarms)
    assert "contradicts what is confirmed here" in node.alarms[B.origin]
    with pytest.raises(IntegrityAlarm):
        await node.readmission.settle(B.origin)
    assert node.states[B.origin].size == 12


def asked_for_entries(town: Town) -> int:
    return sum(path.endswith("/entries") for _, _, path in town.wire.seen)


@pytest.mark.parametrize("confirmed", [RULED, RULED - 1, FORK + 1])
async def test_a_ruling_against_what_is_confirmed_below_it_is_an_alarm_and_is_not_tried_again(
    town: Town, confirmed: int
) -> None:
    """The governors have ruled the other story, though a quorum has confirmed this one where they differ."""
    town.open(A)
    await hold(town, A, ONE, 12, confirmed=confirmed)
    await town.stop(A)
    town.law = ruling(root=OTHER.root(RULED))
    town.wire.answer(B, only(OTHER))
    town.wire.answer(C, only(ONE))
    [node] = await town.start(A)
    await until(lambda: B.origin in node.alarms)
    assert "contradicts what is confirmed here" in node.alarms[B.origin]
    assert "the governors must rule again" in node.alarms[B.origin]
    size = node.states[B.origin].size
    assert size >= node.states[B.origin].confirmed_size > FORK
    asked = asked_for_entries(town)
    node.readmission.notice()  # another version of the document, which says the same of this log
    await until(lambda: not node.readmission._due.is_set())
    assert await node.readmission._try(B.origin)  # else it would be tried again
    assert asked_for_entries(town) == asked
    async with town.client(A) as client:
        health = (await client.get("/v1/health")).json()
        assert (await client.get("/metrics")).text.count("suyuan_alarms_total 1.0") == 1
    assert (health["status"], health["alarms"][0]["log"]) == ("alarm", B.origin)
    assert check_health(health, runs=True).status == "damage"


async def test_when_the_governors_rule_again_the_log_goes_on_and_the_alarm_is_lifted(town: Town) -> None:
    town.open(A)
    await hold(town, A, ONE, 12, confirmed=RULED)
    await town.stop(A)
    town.law = ruling(root=OTHER.root(RULED))
    [node] = await town.start(A)
    await until(lambda: B.origin in node.alarms)
    third = Signer(key_name(B.origin, "log"), ED25519, seed(B.origin, "log 3"))
    spans = [
        {"key": B.keys.log.verifier.vkey, "from": 0, "until": RULED},
        {"key": NEW_B.keys.log.verifier.vkey, "from": RULED, "until": RULED + 1},
        {"key": third.verifier.vkey, "from": RULED + 1},
    ]
    entries = [entry_of(party) for party in FOUR]
    entries[1] |= {"log_keys": spans, "readmitted": {"size": RULED + 1, "root": encode_base64(ONE.root(RULED + 1))}}
    town.wire.answer(B, only(ONE))
    await node.adopt(town.law.next(entries, quorum={"faults": 0}).document)
    await until(lambda: node.states[B.origin].readmitted is not None)
    await until(lambda: not node.alarms)  # lifted after the write


async def test_when_nobody_has_the_ruled_history_somebody_is_told_and_it_is_looked_for_on(town: Town) -> None:
    town.open(A)
    await hold(town, A, ONE, 4)
    await town.stop(A)
    town.law = SECOND
    town.wire.answer(B, only(OTHER))
    [node] = await town.start(A)
    await until(lambda: B.origin in node.alarms)
    assert "look for a member that has that one" in node.alarms[B.origin]
    assert node.readmission._rounds.total() >= readmission.ROUNDS_MAX
    town.wire.answer(C, only(ONE))
    await until(lambda: node.states[B.origin].readmitted is not None)
    await until(lambda: not node.alarms)  # lifted after the write


async def test_a_source_that_gives_little_is_not_asked_for_ever_whether_the_ruling_contradicts(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[int] = []

    async def drip(request: httpx.Request) -> httpx.Response:
        starts.append(start := int(request.url.params["start"]))
        return bundle(OTHER.raws[start : start + 1])

    town.law = ruling(root=OTHER.root(RULED))
    node = town.open(A)
    town.wire.answer(B, drip)
    ruled = node.network.member(B.origin).readmitted
    assert ruled is not None
    readmission_of, peer = node.readmission, node.peers[B.origin]
    assert await readmission_of._root_in(peer, B.origin, ruled, 6) == OTHER.root(6)
    starts.clear()
    monkeypatch.setattr(readmission, "LAGS_MAX", 3)
    assert await readmission_of._root_in(peer, B.origin, ruled, 6) is None
    assert starts == [0, 1, 2]
    town.wire.cut.add(httpx.URL(peer.member.url).host)
    with capture_logs() as logged:
        for _ in range(5):
            assert await readmission_of._root_in(peer, B.origin, ruled, 6) is None
    assert [one.get("times", 1) for one in logged if one["event"] == readmission.NOT_COMPARED] == [1, 2, 4]


async def test_what_the_ruling_has_voided_accuses_nobody_any_more(town: Town) -> None:
    town.law = SECOND
    node = town.open(A)
    town.wire.answer(B, only(ONE))
    await node.readmission.settle(B.origin)
    void = judge_checkpoint(OTHER.checkpoint(7, cosigners=3), SECOND.network)
    with pytest.raises(ConsistencyError, match="the governors have ruled"):
        await node.mirror.take_confirmed(void.note.encode(), origin=B.origin)
    kept = node.equivocations.take(heads_proof(LAW.document, ONE.checkpoint(7), OTHER.checkpoint(7)))
    assert not kept.standing
    assert not node.equivocations.listed()
    assert not node.alarms


async def test_a_log_that_lies_again_above_the_ruling_is_frozen_again(town: Town) -> None:
    town.law = SECOND
    node = town.open(A)
    await node.recovery.once()
    one, other = goes_on(), goes_on(1)
    other.append(share(9999, A), share(9998, A))
    town.wire.answer(B, only(one))
    await node.readmission.settle(B.origin)
    assert (await cosign(town, A, one, RULED)).status_code == 200
    assert (await cosign(town, A, other, one.size)).status_code == 422
    [kept] = node.equivocations.listed()
    assert kept.standing
    with pytest.raises(FrozenError):
        await node.mirror.catch_up(B.origin, one.size + 1)


async def test_the_owner_goes_on_with_its_new_key_from_the_ruled_size(town: Town) -> None:
    """B's own node has the other story; it fetches the ruled one from its peers before it writes again."""
    town.open(B)
    own = town.nodes[B.name]
    town.wire.answer(C, only(OTHER))
    await own.mirror.catch_up(B.origin, 10)
    await town.stop(B)
    town.law = SECOND
    town.open(A)
    town.wire.answer(B, only(ONE))
    await town.nodes[A.name].readmission.settle(B.origin)
    town.wire.routes.pop("d2.test")
    [own] = await town.start(NEW_B, wait=False)
    with pytest.raises(ReadOnlyError):
        await own.submit((prepare(share(1, A), origin=B.origin),), wait_confirmed=False)
    await until(lambda: own.recovery.ready and own.state.readmitted is not None)
    await until(lambda: own.state.size == RULED + 1, "network.adopt")
    await own.submit((prepare(share(77, A), origin=B.origin),), wait_confirmed=False)
    entries = verify_log(own.store, own.state, SECOND.network)
    assert [entry.raw for entry in entries[:RULED]] == ONE.raws[:RULED]
    assert entries[RULED].event["type"] == "network.adopt"
    assert not own.alarms


async def test_who_has_gone_back_as_was_ruled_does_not_show_its_past(town: Town) -> None:
    town.open(A)
    node = await hold(town, A, ONE, 12)
    await node.adopt(SECOND.document)
    new = goes_on(count=0)
    assert node.states[B.origin].size == 12 > new.size  # it has not dropped what is void yet
    town.wire.answer(B, new.answer)
    await node.gossip.compare(node.peers[B.origin])
    assert "stale" not in node.peers[B.origin].status.faults


async def test_what_a_ruling_drops_while_its_quorum_is_waited_for_is_not_answered_as_recorded(town: Town) -> None:
    await town.start(*FOUR)
    for party in (B, C, D):
        await town.stop(party)
    node, event = town.nodes[A.name], prepare(share(1, B), origin=A.origin)
    size = node.state.size
    answer = asyncio.create_task(node.submit((event,), wait_confirmed=True))
    await until(lambda: node.confirmations.waiting == 1)

    def drop(transaction: Transaction) -> None:
        state = transaction.state(A.origin)
        transaction.put_state(truncation.truncate(transaction.store, state, size, transaction.batch))

    await asyncio.wrap_future(node.writer.submit(drop))
    node.confirmations.release()
    with pytest.raises(BusyError, match="not in it any more"):
        await answer
    [(again, _)] = await node.submit((event,), wait_confirmed=False)
    assert again.index == size


@pytest.mark.slow
@pytest.mark.parametrize("restart", [False, True])
async def test_a_log_whose_last_entries_are_lost_for_good_goes_on_by_a_ruling(tmp_path: Path, *, restart: bool) -> None:
    """B has signed a checkpoint that nobody has the entries of: it writes no more, until the governors let it go on."""
    async with Town(tmp_path, FOUR, law=paper(FOUR)) as town:
        with capture_logs():
            await town.start()
            own = town.nodes[B.name]
            await own.submit((prepare(share(1, A), origin=B.origin),), wait_confirmed=True)
            confirmed = own.state.confirmed
            assert confirmed is not None
            town.wire.cut |= {"d0.test", "d2.test", "d3.test"}
            await own.submit((prepare(share(2, A), origin=B.origin),), wait_confirmed=False)
            await until(lambda: own.state.checkpoint is not None and own.state.checkpoint.size == confirmed.size + 1)
            await town.stop(B)
            town.wire.cut.clear()
            town.disks[B.name] = MemoryDisk()  # the disk is new; the head file lay elsewhere
            [own] = await town.start(B, wait=False)
            await until(lambda: own.recovery.progress.problem)
            with pytest.raises(ReadOnlyError):
                await own.submit((prepare(share(3, A), origin=B.origin),), wait_confirmed=False)
            ruled = {"size": confirmed.size, "root": encode_base64(confirmed.checkpoint.root)}
            spans = [
                {"key": B.keys.log.verifier.vkey, "from": 0, "until": confirmed.size},
                {"key": NEW_B.keys.log.verifier.vkey, "from": confirmed.size},
            ]
            entries = [entry_of(party) for party in FOUR]
            entries[1] |= {"log_keys": spans, "readmitted": ruled}
            town.law = town.law.next(entries)
            town.rings[B.name] = KeyRing.of(B.keys, NEW_B.keys)
            if restart:
                await town.stop(B)
                [own] = await town.start(B, wait=False)
            await town.nodes[A.name].adopt(town.law.document)
            await until(lambda: own.recovery.ready, "B writes again")
            await until(lambda: own.state.confirmed_size == own.state.size > confirmed.size, "under the new version")
            await own.submit((prepare(share(3, A), origin=B.origin),), wait_confirmed=True)
            assert own.state.confirmed_size == own.state.size
            assert not own.alarms
            for node in town.nodes.values():
                await until(lambda node=node: node.states[B.origin].confirmed_size == own.state.size)  # type: ignore[misc]
                assert not node.alarms
