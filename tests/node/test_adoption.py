"""Newer network documents while nodes run: members come, go and move, and nothing that was confirmed is in doubt."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from node_helpers import (
    GOVERNOR,
    NOW_MS,
    PATIENCE_SECONDS,
    PaperLog,
    Party,
    Town,
    adopts,
    entry_of,
    heads,
    members,
    paper,
    parties,
    seed,
    share,
    until,
    verify_log,
)
from structlog.testing import capture_logs

from ledger.errors import FingerprintError, LedgerError, QuorumError, StoreFailedError
from ledger.network import Network, network_text
from ledger.note import ED25519, Note, Signer
from ledger.quorum import Judged, judge_checkpoint
from ledger.versions import verify_chain
from node import adoption, publisher, recovery
from node.adoption import NetworkForkError
from node.answers import Answer, enough
from node.backlog import Arrived
from node.errors import BusyError, ReadOnlyError
from node.faults import PeerError
from node.fetching import Fetcher
from node.service import Node
from node.submission import Submission, prepare
from node.witness import Witness

A, B, C, D, E, F, G = SEVEN = parties(7)
FOUR = SEVEN[:4]


async def record(node: Node, *values: dict[str, Any], wait: bool = False) -> None:
    await node.submit(tuple(prepare(value, origin=node.origin) for value in values), wait_confirmed=wait)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of a test's length."""
    monkeypatch.setattr(publisher, "BUSY_SECONDS", 0.01)
    monkeypatch.setattr(publisher, "RETRY_SECONDS_MIN", 0.02)
    monkeypatch.setattr(publisher, "RETRY_SECONDS_MAX", 0.05)
    monkeypatch.setattr(recovery, "RETRY_SECONDS_MIN", 0.02)
    monkeypatch.setattr(recovery, "RETRY_SECONDS_MAX", 0.05)
    monkeypatch.setattr(recovery, "GRACE_SECONDS", 0.1)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with Town(tmp_path, SEVEN, law=paper(FOUR)) as town:
        with capture_logs():
            yield town


async def acts_under(node: Node, version: int, logs: int) -> None:
    """Wait until a node acts under a version, and so do all logs that it has, their checkpoints confirmed."""
    await until(lambda: node.network.version == version, f"{node.origin} has the version")

    def done() -> bool:
        states = [state for state in node.states.values() if state.size and node.network.member(state.origin).active]
        return len(states) == logs and all(
            state.version_at(state.size, node.network) == version
            and state.confirmed is not None
            and state.confirmed.version == version
            and state.confirmed.size == state.size
            for state in states
        )

    await until(done, f"{node.origin} sees all logs under the version")


async def test_a_document_that_one_node_is_given_reaches_all_and_every_log_says_so(town: Town) -> None:
    nodes = await town.start(*FOUR)
    await record(nodes[0], share(1, B), wait=True)
    law = town.law.next(members(A, B, C, D), rules="cn-2026")
    assert await nodes[1].adopt(law.document) == 1
    for node in nodes:
        await acts_under(node, 2, 4)
        assert node.network_document == law.document
        assert node.home.network.read_bytes() == law.document
    last = verify_log(nodes[2].store, nodes[2].states[A.origin], nodes[2].network)[-1]
    assert (last.event["type"], last.event["version"]) == ("network.adopt", 2)
    await record(nodes[0], share(2, B), wait=True)
    assert nodes[0].state.confirmed is not None
    assert nodes[0].state.confirmed.version == 2


@pytest.mark.slow
async def test_members_join_across_a_quorum_boundary_while_events_are_recorded(town: Town) -> None:
    """From 3 of 4 to 5 of 7."""
    nodes = await town.start(*FOUR)
    recorded = 0

    async def traffic() -> None:
        nonlocal recorded
        for number in range(1, 25):
            await record(nodes[0], share(number, B))
            recorded += 1
            await asyncio.sleep(0.01)

    busy = asyncio.create_task(traffic())
    old = town.law
    town.law = town.law.next(members(*SEVEN))
    await nodes[0].adopt(town.law.document)
    new = await town.start(E, F, G, wait=False)
    await asyncio.wait_for(busy, 2 * PATIENCE_SECONDS)
    for node in (*nodes, *new):
        await acts_under(node, 2, 7)
        assert node.network.quorum == 5
        assert node.states[A.origin].size == recorded + 2
        confirmed = node.states[A.origin].confirmed
        assert confirmed is not None
        assert len(confirmed.cosigners) >= 5
    await record(new[2], share(900, A), wait=True)
    early = [judge_checkpoint(node.states[A.origin].confirmed.note, old.network) for node in nodes]  # type: ignore[union-attr]
    assert all(one.version == 1 for one in early)  # who has only the old document counts the old members


async def test_nobody_who_joins_votes_before_enough_old_members_have_told_what_they_remember(town: Town) -> None:
    nodes = await town.start(*FOUR)
    await record(nodes[0], share(1, B), wait=True)
    for party in (B, C):
        await town.stop(party)
    town.law = town.law.next(members(*FOUR, E))
    await nodes[0].adopt(town.law.document)
    await until(lambda: nodes[3].network.version == 2)
    [newcomer] = await town.start(E, wait=False)
    await until(lambda: newcomer.recovery.progress.answered.keys() == {A.origin, D.origin})
    assert not newcomer.recovery.remembers
    with pytest.raises(BusyError, match="finding out"):
        await newcomer.witness.add_checkpoint(PaperLog(A, town.law.network).request(0))
    await town.start(B, wait=False)
    await until(lambda: newcomer.recovery.ready)


async def test_a_peer_under_an_older_version_does_not_count_as_one_that_remembers(town: Town) -> None:
    await town.start(B, C, D)
    town.law = town.law.next(members(*FOUR), rules="cn-2026")
    with capture_logs() as logs:
        [node] = await town.start(A, wait=False)
        await until(lambda: node.recovery.ready)
    assert any(entry["event"] == "a peer acts under an older network document" for entry in logs)
    assert sum(town.nodes[party.name].network.version == 2 for party in (B, C, D)) >= node.recovery.progress.needed


@pytest.mark.parametrize(
    ("before", "now", "own", "answered", "result"),
    [
        (4, 4, A, {B, C}, True),
        (4, 4, A, {B}, False),
        (4, 5, E, {A, B}, False),  # two of the old four: one of them may lie, the other may never have heard of it
        (4, 5, E, {A, B, C}, True),
        (4, 7, E, {F, G, A, B}, False),
        (4, 7, E, {F, A, B, C}, True),
        (4, 5, A, {B, E}, False),
        (4, 5, A, {B, C}, True),
        (1, 2, B, {A}, True),
        (1, 2, B, set(), False),
        (1, 2, A, set(), True),
        (5, 2, A, {B}, True),  # the others of before are gone
    ],
)
def test_so_many_of_the_members_before_must_have_answered(
    before: int, now: int, own: Party, answered: set[Party], result: bool
) -> None:
    gone = [entry_of(one, status="ended") for one in SEVEN[now:before]]
    law = paper(SEVEN[:before]).next(members(*SEVEN[:now], *gone))
    old = {one.origin for one in SEVEN[:before]}
    answers = {one.origin: Answer(2, 1 if one.origin in old else 0) for one in answered}  # who has joined is not bound
    assert enough(law.network, own.origin, "2f", answers) == result
    late = {origin: Answer(1, one.since) for origin, one in answers.items()}  # under the old version still
    assert enough(law.network, own.origin, "2f", late) == enough(law.network, own.origin, "2f", {})


async def test_a_log_is_cosigned_only_under_the_version_under_which_it_acts(town: Town) -> None:
    node = town.open(A)
    node.recovery._remembers.set()  # as if the others had told
    log = PaperLog(B, town.law.network)
    town.wire.answer(B, log.answer)
    await node.witness.add_checkpoint(log.request(0))
    law = town.law.next(members(*FOUR), rules="cn-2026")
    await node.adopt(law.document)
    log.grow(1, A)
    with pytest.raises(BusyError, match="acts under version 1 of the network document, this node under 2"):
        await node.witness.add_checkpoint(log.request(1))
    log.append(adopts(law.network))
    await node.witness.add_checkpoint(log.request(1))
    assert node.states[B.origin].cosigned_head.size == 3


async def test_a_log_that_is_ahead_brings_its_version_along(town: Town) -> None:
    node = town.open(A)
    node.recovery._remembers.set()  # as if the others had told
    law = town.law.next(members(*FOUR), rules="cn-2026")
    log = PaperLog(B, town.law.network)
    log.append(adopts(law.network))

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/health":
            return httpx.Response(200, json={"network": {"version": 2}})
        if request.url.path == "/v1/network":
            return httpx.Response(200, content=law.document)
        return await log.answer(request)

    town.wire.answer(B, answer)
    await node.witness.add_checkpoint(log.request(0))
    assert (node.network.version, node.states[B.origin].cosigned_head.size) == (2, 2)


async def test_a_version_that_nobody_has_is_not_cosigned(town: Town) -> None:
    node = town.open(A)
    node.recovery._remembers.set()  # as if the others had told
    log = PaperLog(B, town.law.network)
    log.append(adopts(town.law.next(members(*FOUR), rules="cn-2026").network))
    town.wire.answer(B, log.answer)
    with pytest.raises(BusyError, match="version of the network document above 1"):
        await node.witness.add_checkpoint(log.request(0))


async def test_the_quorum_of_before_is_not_enough_where_the_log_acts_under_the_new_version(town: Town) -> None:
    node = town.open(A)
    law = town.law.next(members(*SEVEN))
    await node.adopt(law.document)
    log = PaperLog(B, town.law.network, SEVEN)
    log.append(adopts(law.network))
    town.wire.answer(B, log.answer)
    early = log.checkpoint(1, cosigners=3)
    assert await node.mirror.take_confirmed(early.encode(), origin=B.origin)
    with pytest.raises(QuorumError):
        await node.mirror.take_confirmed(log.checkpoint(2, cosigners=4).encode(), origin=B.origin)
    assert node.states[B.origin].confirmed_size == 1
    assert await node.mirror.take_confirmed(log.checkpoint(2, cosigners=5).encode(), origin=B.origin)
    assert node.states[B.origin].confirmed_size == 2


async def test_a_suspended_member_writes_nothing_and_hears_when_it_is_back(town: Town) -> None:
    nodes = await town.start(*FOUR)
    law = town.law.next(members(A, B, C, entry_of(D, status="suspended")))
    await nodes[0].adopt(law.document)
    for node in nodes:
        await until(lambda node=node: node.network.version == 2)  # type: ignore[misc]
    await acts_under(nodes[0], 2, 3)
    with pytest.raises(ReadOnlyError, match="suspended in version 2"):
        await record(nodes[3], share(1, A))
    assert D.origin not in nodes[0].peers
    async with town.client(D, token=None) as client:
        answer = await client.get("/v1/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "suspended")
    await record(nodes[0], share(2, B), wait=True)
    law = law.next(members(*FOUR))
    await nodes[0].adopt(law.document)
    for node in nodes:
        await acts_under(node, 3, 4)
    await record(nodes[3], share(3, A), wait=True)


async def test_a_member_that_has_moved_is_found_at_its_new_address(town: Town) -> None:
    nodes = await town.start(*FOUR)
    before = nodes[0].peers[D.origin]
    town.wire.routes["moved.test"] = town.wire.routes.pop("d3.test")
    law = town.law.next(members(A, B, C, entry_of(D, url="http://moved.test")))
    await nodes[0].adopt(law.document)
    await nodes[3].adopt(law.document)  # whoever moves is told as well: nobody finds it
    for node in nodes:
        await acts_under(node, 2, 4)
    assert nodes[0].peers[D.origin] is not before
    assert nodes[0].peers[D.origin].member.url == "http://moved.test"
    await record(nodes[3], share(1, A), wait=True)


async def test_governors_hand_over(town: Town) -> None:
    node = town.open(A)
    heir = Signer("test/heir", ED25519, seed("heir"))
    body = {
        "access": {"read": "members"},
        "governors": {"keys": [heir.verifier.vkey], "threshold": 1},
        "members": members(*FOUR),
        "rules": "cn-2025",
    }
    text = network_text("test", 2, town.law.network.text_hash, body)

    def signed(*governors: Signer) -> bytes:
        return town.law.document + b"\n" + Note(text, tuple(one.sign(text) for one in governors)).encode()

    for too_few in ((GOVERNOR,), (heir,)):
        with pytest.raises(LedgerError):
            await node.adopt(signed(*too_few))
    assert node.network.version == 1
    await node.adopt(signed(GOVERNOR, heir))
    assert node.network.version == 2


async def test_two_documents_of_one_version_are_an_alarm_and_the_first_stays(town: Town) -> None:
    node = town.open(A)
    first = town.law.next(members(*FOUR), rules="cn-2026")
    await node.adopt(first.document)
    with capture_logs(), pytest.raises(NetworkForkError) as caught:
        await node.adopt(town.law.next(members(*FOUR), rules="cn-2027").document)
    assert caught.value.field == "version 2"
    assert node.network.body.rules == "cn-2026"
    assert "two documents are signed as version 2" in node.alarms["network test"]


async def test_an_old_document_changes_nothing_and_a_foreign_one_is_refused(town: Town) -> None:
    node = town.open(A)
    law = town.law.next(members(*FOUR), rules="cn-2026")
    await node.adopt(law.document)
    assert await node.adopt(town.law.document) == 2
    assert await node.adopt(law.document) == 2
    with pytest.raises(FingerprintError):
        await node.adopt(paper(SEVEN).document)
    assert node.network.version == 2
    assert verify_chain(node.network_document, town.law.fingerprint).version == 2


async def test_a_bad_document_whose_asker_waits_no_more_is_no_fault_of_the_software(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = town.open(A)
    begun, released = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def verify(*_: object) -> Network:
        loop.call_soon_threadsafe(begun.set)
        released.wait(PATIENCE_SECONDS)
        raise FingerprintError("another network")

    monkeypatch.setattr(adoption, "verify_chain", verify)
    faults: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: faults.append(context))
    asker = asyncio.create_task(node.adopt(b"document"))
    await begun.wait()
    asker.cancel()
    await asyncio.gather(asker, return_exceptions=True)
    assert asker.cancelled()
    del asker
    released.set()
    await until(lambda: not node.adoption._running, "the end of it")
    gc.collect()
    await asyncio.sleep(0)
    assert faults == []
    assert node.network.version == 1


async def test_a_document_that_cannot_be_written_is_not_in_force(town: Town) -> None:
    node = town.open(A)
    node.home.network.with_name("network.note.new").mkdir(parents=True)
    with pytest.raises(StoreFailedError, match="cannot be written"):
        await node.adopt(town.law.next(members(*FOUR), rules="cn-2026").document)
    assert node.network.version == 1


async def test_a_claim_to_a_newer_version_is_looked_at_once(town: Town) -> None:
    node = town.open(A)
    asked = 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        if request.url.path == "/v1/network":
            asked += 1
            return httpx.Response(200, content=b"nothing of the kind")
        return httpx.Response(200, json=heads(version=7))

    town.wire.answer(B, answer)
    with capture_logs():
        for _ in range(3):
            await node.gossip.compare(node.peers[B.origin])
    assert asked == 1
    assert node.network.version == 1


async def test_after_a_restart_the_log_says_what_it_had_no_time_to_say(town: Town) -> None:
    await town.start(*FOUR)
    await town.stop(A)
    town.law = town.law.next(members(*FOUR), rules="cn-2026")
    [node] = await town.start(A, wait=False)
    await acts_under(node, 2, 4)


async def test_under_an_old_copy_of_the_document_a_log_says_nothing_again(town: Town) -> None:
    nodes = await town.start(*FOUR)
    old, town.law = town.law, town.law.next(members(*FOUR), rules="cn-2026")
    await nodes[0].adopt(town.law.document)
    for node in nodes:
        await acts_under(node, 2, 4)
    await town.stop(A)
    new, town.law = town.law, old
    node = town.open(A)
    size = node.state.size
    await node.adoption._record()
    assert (node.network.version, node.state.size) == (1, size)
    await node.adopt(new.document)
    await node.adoption._record()
    assert node.state.size == size


async def test_under_an_old_copy_of_the_document_a_log_takes_nothing_for_confirmed_by_an_old_quorum(town: Town) -> None:
    """Four members of seven are none; under the first version three were enough."""
    nodes = await town.start(*FOUR)
    old, town.law = town.law, town.law.next(members(*SEVEN))
    for node in nodes:
        await node.adopt(town.law.document)
        await until(lambda node=node: node.state.version_at(node.state.size, node.network) == 2)  # type: ignore[misc]
    await town.stop(A)
    new, town.law = town.law, old
    node = town.open(A)
    assert node.state.version_at(node.state.size, node.network) is None
    await asyncio.wrap_future(
        node.writer.submit_to(node.sequencer, Submission((prepare(share(1, B), origin=A.origin),)))
    )
    assert await asyncio.wrap_future(node.writer.submit(node.checkpoints.sign)) is None
    await node.adopt(new.document)
    judged = await asyncio.wrap_future(node.writer.submit(node.checkpoints.sign))
    assert judged is not None
    assert (judged.size, judged.needed) == (node.state.size, 5)


async def test_a_document_that_comes_during_the_return_is_not_written_into_an_old_copy_of_the_log(town: Town) -> None:
    await town.start(*FOUR)
    for party in FOUR:
        await town.stop(party)
    [node] = await town.start(A, wait=False)
    size = node.state.size
    law = town.law.next(members(*FOUR), rules="cn-2026")
    await node.adopt(law.document)
    await until(lambda: not node.adoption._due.is_set())
    await asyncio.wrap_future(node.writer.submit(lambda _: None))  # whatever was submitted before is written
    assert node.state.size == size
    await town.start(B, C, D, wait=False)
    await acts_under(node, 2, 4)


async def test_a_document_that_comes_while_a_log_is_judged_counts_for_its_cosignature(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = town.open(A)
    node.recovery._remembers.set()  # as if the others had told
    log = PaperLog(B, town.law.network)
    town.wire.answer(B, log.answer)
    law = town.law.next(members(*FOUR, E))
    right = Witness._act_alike

    async def act_alike(self: Witness, judged: Judged) -> None:
        await right(self, judged)
        await node.adopt(law.document)

    monkeypatch.setattr(Witness, "_act_alike", act_alike)
    with pytest.raises(BusyError, match="acts under version 1 of the network document, this node under 2"):
        await node.witness.add_checkpoint(log.request(0))
    assert node.states[B.origin].cosigned is None


async def test_a_version_is_told_when_all_that_was_cosigned_before_it_is_on_the_disk(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = town.open(A)
    right = node._add_logs
    told = []

    async def memory() -> int:
        async with town.client(A) as client:
            return int((await client.get("/v1/memory")).json()["network_version"])

    async def add_logs(network: Network) -> None:
        told.append((node.network.version, await memory()))
        await right(network)

    monkeypatch.setattr(node, "_add_logs", add_logs)
    await node.adopt(town.law.next(members(*FOUR, E)).document)
    assert told == [(1, 1), (2, 1)]
    assert await memory() == 2


async def test_entries_that_a_document_voids_while_they_are_judged_are_not_stored(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = town.open(A)
    log = PaperLog(B, town.law.network)
    log.grow(3, A)
    town.wire.answer(B, log.answer)
    keys = [{"key": B.keys.log.verifier.vkey, "from": 0, "until": 2}]
    keys.append({"key": B.other_keys("log").log.verifier.vkey, "from": 2})
    law = town.law.next(members(A, entry_of(B, log_keys=keys), C, D))
    right = Fetcher._judge

    async def judge(self: Fetcher, head: Any, piece: Any, *, trusted: bool) -> Any:
        checked = await right(self, head, piece, trusted=trusted)
        await node.adopt(law.document)
        return checked

    async def unchecked(_: Any) -> None:
        return None

    monkeypatch.setattr(Arrived, "checked", unchecked)
    monkeypatch.setattr(Fetcher, "_judge", judge)
    with pytest.raises(BusyError, match=r"the keys of d1\.test/log have changed"):
        await node.mirror.catch_up(B.origin, 4)
    assert node.states[B.origin].size == 0
    with pytest.raises(PeerError, match="key"):
        await node.mirror.catch_up(B.origin, 4)


async def test_keys_that_a_document_does_not_name_stop_the_node_from_writing(town: Town) -> None:
    node = town.open(A)
    stranger = Party("stranger")
    law = town.law.next(members(entry_of(A, cosigner=stranger.keys.cosigner.verifier.vkey), B, C, D))
    with capture_logs():
        await node.adopt(law.document)
    assert "another cosigner key" in node.alarms[A.origin]
    with pytest.raises(ReadOnlyError):
        await record(node, share(1, B))


async def test_the_operator_gives_a_document_through_the_api(town: Town) -> None:
    await town.start(A)
    law = town.law.next(members(*FOUR), rules="cn-2026")
    async with town.client(A) as client:
        answer = await client.post("/v1/network", content=law.document)
        assert (answer.status_code, answer.json()) == (200, {"schema": "suyuan.adopted/1", "version": 2, "was": 1})
        again = await client.post("/v1/network", content=law.document)
        assert again.json() == {"schema": "suyuan.adopted/1", "version": 2, "was": 2}
        assert (await client.get("/v1/network")).content == law.document
        bad = await client.post("/v1/network", content=b"nothing")
        assert (bad.status_code, bad.json()["code"]) == (422, "bad_network")
        fork = await client.post("/v1/network", content=town.law.next(members(*FOUR), rules="other").document)
        assert (fork.status_code, fork.json()["code"]) == (409, "network_fork")
    async with town.client(A, token=None) as client:
        assert (await client.post("/v1/network", content=law.document)).status_code == 401
    assert town.clock.now_ms() == NOW_MS
