"""Safe return: what a node says after a start never contradicts what it said before, whatever became of its disk."""

import asyncio
import copy
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from node_helpers import (
    NOW_MS,
    PATIENCE_SECONDS,
    PaperLog,
    Party,
    Town,
    bundle,
    entry_of,
    heads,
    paper,
    parties,
    seed,
    share,
    until,
    verify_log,
)
from structlog.testing import capture_logs

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.cosignature import cosign, parse_cosignatures
from ledger.encoding import text_to_lines
from ledger.entry import parse_entry
from ledger.merkle import TreeSize
from ledger.note import Note
from ledger.quorum import judge_checkpoint
from ledger.store.memory import Fault, MemoryDisk
from node import recovery
from node.answers import Mode, answers_needed
from node.errors import BusyError, ReadOnlyError
from node.layout import origin_hash
from node.service import Node
from node.submission import prepare

A, B, C, D = FOUR = parties(4)
LAW = paper(FOUR)  # one of four may fail: two others must remember
MODES: tuple[Mode, ...] = ("2f", "2f+1", "all")
HUGE = 2**50


@pytest.fixture(autouse=True)
def in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "RETRY_SECONDS_MIN", 0.01)
    monkeypatch.setattr(recovery, "RETRY_SECONDS_MAX", 0.05)
    monkeypatch.setattr(recovery, "GRACE_SECONDS", 0.05)


async def record(node: Node, *values: dict[str, Any]) -> list[str]:
    events = tuple(prepare(value, origin=node.origin) for value in values)
    return [state for _, state in await node.submit(events, wait_confirmed=True)]


async def mirrored(town: Town, party: Party, size: int) -> None:
    """Wait until every running node has ``size`` confirmed entries of a log, and has cosigned them."""
    for node in town.nodes.values():
        await until(lambda node=node: node.states[party.origin].confirmed_size == size, f"{node.origin} has them")  # type: ignore[misc]
        await until(lambda node=node: node.states[party.origin].cosigned_head.size == size)  # type: ignore[misc]


async def with_shares(town: Town, count: int) -> bytes:
    """All run, and A has recorded so many shares, which everybody has; return A's head file."""
    await town.start()
    node = town.nodes[A.name]
    for number in range(1, count + 1):
        await record(node, share(number, B))
    await mirrored(town, A, count + 1)
    return town.home(A).head.read_bytes()


async def past_and_present(town: Town) -> tuple[bytes, Any, Node]:
    """A has two entries, of which there is a copy, and then four, which everybody has; its old head, the copy, A."""
    head = await with_shares(town, 1)
    await town.stop(A)
    old = copy_of(town.disks[A.name])
    node = await back(town)
    await record(node, share(2, B), share(3, B))
    await mirrored(town, A, 4)
    return head, old, node


async def back(town: Town) -> Node:
    """Start A, and wait until it writes."""
    [node] = await town.start(A, wait=False)
    await until(lambda: node.recovery.ready and node.state.size, "A writes")
    return node


def copy_of(disk: MemoryDisk) -> Any:
    return copy.deepcopy(disk.cells)


def put_back(town: Town, cells: Any) -> None:
    assert town.disks[A.name].owner is None
    town.disks[A.name].cells = cells


def texts(node: Node, origin: str) -> list[bytes]:
    """The entries of a log as a node has them, verified."""
    return [entry.raw for entry in verify_log(node.store, node.states[origin], node.network)]


# How many must answer.


def test_as_many_must_answer_as_it_takes_for_one_honest_one_that_remembers() -> None:
    """By counting, for the worst case: whoever has cosigned is a liar first, and whoever has not answers first."""
    for count in range(1, 14):
        for faults in range((count - 1) // 3 + 1):
            network = paper(parties(count), quorum={"faults": faults}).network
            others, without = count - 1, count - network.quorum
            for mode, liars in (("2f", faults - 1), ("2f+1", faults)):
                needed = answers_needed(network, mode)  # type: ignore[arg-type]
                assert 0 <= needed <= others
                remembering = others - without - max(liars, 0)  # honest others that have cosigned what is confirmed
                if mode == "2f" and faults == 0:
                    assert needed == 0
                elif remembering > 0:
                    assert needed > without + liars
                    assert needed == without + liars + 1  # and not one more than that
                else:
                    assert needed == others
            assert answers_needed(network, "all") == others


@pytest.mark.parametrize("faults", [1, 2, 3, 4])
def test_with_3f_and_1_members_these_are_2f_others_or_2f_and_1(faults: int) -> None:
    network = paper(parties(3 * faults + 1)).network
    assert [answers_needed(network, mode) for mode in MODES] == [2 * faults, 2 * faults + 1, 3 * faults]


@pytest.mark.parametrize(
    ("count", "needed"),
    [(1, [0, 0, 0]), (2, [0, 1, 1]), (3, [0, 2, 2]), (5, [2, 3, 4]), (6, [3, 4, 5]), (9, [5, 6, 8]), (12, [7, 8, 11])],
)
def test_with_other_numbers_of_members_these_are_as_many_as_the_quorum_leaves_out(
    count: int, needed: list[int]
) -> None:
    network = paper(parties(count)).network
    assert [answers_needed(network, mode) for mode in MODES] == needed


def test_a_suspended_member_is_not_waited_for() -> None:
    network = paper([A, B, C, entry_of(D, status="suspended")]).network
    assert answers_needed(network, "all") == 2


# The own log.


async def test_an_old_copy_of_the_store_comes_back_from_the_peers_before_anything_is_written(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        await with_shares(town, 1)
        await town.stop(A)
        old = copy_of(town.disks[A.name])
        node = await back(town)
        await record(node, *(share(number, B) for number in range(2, 7)))
        await mirrored(town, A, 7)
        before = texts(node, A.origin)
        await town.stop(A)
        put_back(town, old)
        with capture_logs():
            node = await back(town)
            assert texts(node, A.origin) == before
            assert await record(node, share(7, B)) == ["confirmed"]
        assert texts(node, A.origin)[:7] == before
        assert node.state.size == 8
        await mirrored(town, A, 8)
        assert texts(town.nodes[B.name], A.origin) == texts(node, A.origin)
        assert not node.alarms


async def test_what_is_submitted_again_after_the_return_is_answered_as_before(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        await town.start()
        await mirrored(town, A, 1)
        await town.stop(A)
        old = copy_of(town.disks[A.name])
        node = await back(town)
        await record(node, share(1, B))
        await mirrored(town, A, 2)
        await town.stop(A)
        put_back(town, old)
        with capture_logs():
            node = await back(town)
            assert await record(node, share(1, B)) == ["confirmed"]
        assert node.state.size == 2


async def test_when_the_head_file_is_as_old_as_the_store_the_peers_know(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        head, old, node = await past_and_present(town)
        before = texts(node, A.origin)
        await town.stop(A)
        put_back(town, old)
        town.home(A).head.write_bytes(head)
        with capture_logs():
            node = await back(town)
            assert texts(node, A.origin) == before
            await record(node, share(4, B))
        assert texts(node, A.origin)[:4] == before
        assert not node.alarms


async def test_one_peer_that_remembers_is_enough_among_those_that_answer(tmp_path: Path) -> None:
    """C has slept since the first entry, and D is down: A hears of its past from B alone."""
    async with Town(tmp_path, FOUR, law=LAW) as town:
        await with_shares(town, 1)
        await town.stop(A)
        await town.stop(C)
        old_a, old_c = copy_of(town.disks[A.name]), copy_of(town.disks[C.name])
        node = await back(town)
        await record(node, share(2, B))
        before = texts(node, A.origin)
        await town.stop(A)
        await town.stop(D)
        put_back(town, old_a)
        town.home(A).head.unlink()
        town.disks[C.name].cells = old_c
        with capture_logs():
            town.open(C)  # answers what it remembers, and learns nothing new
            node = await back(town)
        assert texts(node, A.origin) == before


class Hush:
    """Peers that do not tell what they remember of A's log, and nothing else either before they are let."""

    def __init__(self, town: Town, *which: Party) -> None:
        self.speaks = False
        for party in which:
            town.wire.answer(party, partial(self.answer, town.wire.routes[f"{party.name}.test"]))

    async def answer(self, node: httpx.AsyncBaseTransport, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/memory":
            return httpx.Response(200, json=heads())
        return await node.handle_async_request(request) if self.speaks else httpx.Response(503)


async def back_in_the_past(town: Town) -> tuple[Node, Hush, list[bytes], bytes]:
    """A runs on an old copy, and nobody has told it: it, the others, its entries, and its newest checkpoint there."""
    _, old, node = await past_and_present(town)
    before = texts(node, A.origin)
    confirmed = node.state.confirmed
    assert confirmed is not None
    await town.stop(A)
    put_back(town, old)
    town.home(A).head.unlink()
    others = Hush(town, B, C, D)
    node = await back(town)
    assert node.state.size == 2
    return node, others, before, confirmed.note.encode()


async def test_what_turns_up_later_is_taken_back_while_nothing_was_recorded(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        with capture_logs() as logs:
            node, others, before, _ = await back_in_the_past(town)
            others.speaks = True
            await until(lambda: node.recovery.ready and node.state.size == 4, "the second return")
        assert [(line["here"], line["there"]) for line in logs if line["event"] == UNTOLD] == [(2, 4)]
        assert not node.alarms
        await record(node, share(4, B))
        assert texts(node, A.origin)[:4] == before
        await mirrored(town, A, 5)


@pytest.mark.parametrize("confirmed", [False, True])
async def test_what_turns_up_later_is_promised_whoever_tells_it(tmp_path: Path, *, confirmed: bool) -> None:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        with capture_logs():
            node, others, before, note = await back_in_the_past(town)
            for _ in range(2):  # the second time it is returning
                if confirmed:
                    with pytest.raises(BusyError, match="is being restored"):
                        await node.mirror.take_confirmed(note, origin=A.origin)
                else:
                    assert not await node.mirror.take_signed(note, origin=A.origin)
                assert not node.recovery.ready
            with pytest.raises(ReadOnlyError):
                await node.submit((prepare(share(9, B), origin=A.origin),), wait_confirmed=False)
            assert not node.alarms
            others.speaks = True
            await until(lambda: node.recovery.ready)
        assert texts(node, A.origin) == before


@pytest.mark.parametrize("recorded", [False, True])
async def test_what_turns_up_later_still_or_after_something_was_recorded_is_an_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, recorded: bool
) -> None:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        with capture_logs() as logs:
            node, others, _, _ = await back_in_the_past(town)
            if recorded:
                await node.submit((prepare(share(9, B), origin=A.origin),), wait_confirmed=False)
            else:
                monkeypatch.setattr(recovery, "AGAIN_SECONDS_MAX", -1.0)
            others.speaks = True
            await until(lambda: A.origin in node.alarms)
            assert node.state.size == (3 if recorded else 2)
            with pytest.raises(ReadOnlyError):
                await node.submit((prepare(share(10, B), origin=A.origin),), wait_confirmed=False)
        assert UNTOLD not in [line["event"] for line in logs]


async def test_what_was_being_recorded_when_it_turned_up_is_an_alarm(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        with capture_logs():
            node, others, _, note = await back_in_the_past(town)
            recording = asyncio.ensure_future(
                node.submit((prepare(share(9, B), origin=A.origin),), wait_confirmed=False)
            )
            await asyncio.sleep(0)  # it waits for the writer by now
            assert node.recovery.return_again(judge_checkpoint(note, node.network)) or node.state.size == 3
            await recording
            others.speaks = True
            await until(lambda: A.origin in node.alarms)
            assert node.state.size == 3
            with pytest.raises(ReadOnlyError):
                await node.submit((prepare(share(10, B), origin=A.origin),), wait_confirmed=False)


UNTOLD = "this node has signed more of its log than anybody told it"


async def test_a_node_with_its_keys_alone_rebuilds_its_log_and_all_mirrors(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        await with_shares(town, 3)
        for number, party in enumerate((B, C, D)):
            await record(town.nodes[party.name], share(50 + number, A))
            await mirrored(town, party, 2)
        before = {party.origin: texts(town.nodes[A.name], party.origin) for party in FOUR}
        await town.stop(A)
        town.disks[A.name] = MemoryDisk()
        town.home(A).head.unlink()
        with capture_logs():
            node = await back(town)
            await until(lambda: {origin: node.states[origin].size for origin in before} == {
                origin: len(raws) for origin, raws in before.items()
            })  # fmt: skip
        assert {origin: texts(node, origin) for origin in before} == before
        assert await record(node, share(4, B)) == ["confirmed"]
        assert [parse_entry(raw).event["type"] for raw in texts(node, A.origin)] == ["log.open"] + ["share"] * 4
        assert not node.alarms


# Before enough have answered.


async def test_nothing_is_written_or_cosigned_before_enough_have_answered(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        await with_shares(town, 1)
        for party in (B, C, D, A):
            await town.stop(party)
        log = PaperLog(B, LAW.network)

        async def forgetful(request: httpx.Request) -> httpx.Response:
            return await log.answer(request) if "entries" in request.url.path else httpx.Response(404)

        town.wire.answer(B, forgetful)  # serves its log, and remembers nothing
        town.wire.cut.add("d3.test")
        with capture_logs():
            await town.start(C, wait=False)  # one that answers; two are needed
            [node] = await town.start(A, wait=False)
            await until(lambda: node.recovery.progress.answered.keys() == {C.origin})
            head, size, writes = node.home.head.read_bytes(), node.state.size, node.state
            async with town.client(A) as client:
                answer = await client.post("/v1/events", json=share(2, B))
                assert (answer.status_code, answer.json()["code"]) == (503, "read_only")
                assert "it needs the answers of 2 members, and has 1" in answer.json()["detail"]
                assert int(answer.headers["retry-after"]) > 0
                answer = await client.get("/v1/health")
                assert (answer.status_code, answer.json()["status"]) == (503, "recovering")
                wanted = {"done": False, "answered": 1, "needed": 2, "problem": None}
                assert answer.json()["recovery"] == wanted
                assert (await client.get(f"/v1/logs/{origin_hash(A.origin)}/entries")).status_code == 200
            async with town.client(A, token=None) as peer:
                answer = await peer.post("/witness/add-checkpoint", content=log.request(0))
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
                assert "what it has cosigned before" in answer.text
            assert (node.home.head.read_bytes(), node.state.size) == (head, size)
            assert node.state == writes
            town.wire.cut.clear()
            await town.start(D, wait=False)
            await until(lambda: node.recovery.ready)


async def test_who_is_to_return_once_more_while_he_returns_asks_everybody_again(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        await with_shares(town, 1)
        for party in (A, C, D):
            await town.stop(party)
        [node] = await town.start(A, wait=False)
        await until(lambda: node.recovery.progress.answered, "B's answer, which is not enough")
        node.recovery.renew()
        assert not node.recovery.progress.answered
        await town.start(C, wait=False)
        await until(lambda: node.recovery.ready, "A writes")
        assert node.recovery.progress.answered.keys() == {B.origin, C.origin}


async def test_nothing_is_written_between_a_return_and_the_one_more_that_is_asked_for_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        await with_shares(town, 1)
        await town.stop(A)
        asked: list[int] = []
        right = recovery.Recovery._is_behind

        def once_more(self: recovery.Recovery) -> bool:
            if not asked:
                self.renew()
            asked.append(1)
            return right(self)

        monkeypatch.setattr(recovery.Recovery, "_is_behind", once_more)
        with capture_logs() as logs:
            await back(town)
        steps = [one["event"] for one in logs if one["event"] in ("enough peers remember", "the node may write")]
        assert steps == ["enough peers remember", "enough peers remember", "the node may write"]


async def test_a_new_network_opens_its_logs_when_enough_nodes_run(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        with capture_logs():
            first, second = await town.start(A, B, wait=False)
            await until(lambda: first.recovery.progress.answered and second.recovery.progress.answered)
            assert first.state.size == second.state.size == 0
            await town.start(C)
            await until(lambda: first.state.confirmed_size == second.state.confirmed_size == 1)


async def test_all_others_are_waited_for_when_set_so(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR, law=LAW, recovery_answers="all") as town:
        with capture_logs():
            node, *_ = await town.start(A, B, C, wait=False)
            await until(lambda: len(node.recovery.progress.answered) == 2)
            assert not node.recovery.remembers
            await town.start(D, wait=False)
            await until(lambda: node.recovery.ready)


# What a peer says and cannot prove.


class Teller:
    """A peer that answers from paper: what it says that it remembers, and the entries that it gives."""

    def __init__(self, town: Town, party: Party) -> None:
        self.sizes: dict[str, int] = {}
        self.checkpoints: dict[str, Note] = {}
        self.entries: dict[str, list[bytes]] = {}
        self.asked = 0
        town.wire.answer(party, self.answer)

    def holds(self, log: PaperLog) -> "Teller":
        self.sizes[log.origin] = log.size
        self.checkpoints[log.origin] = log.checkpoint()
        self.entries[log.origin] = log.raws
        return self

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/memory":
            return httpx.Response(200, json=heads(*map(self._told, self.sizes)))
        for origin, raws in self.entries.items():
            if request.url.path == f"/v1/logs/{origin_hash(origin)}/entries":
                self.asked += 1
                start, limit = (int(request.url.params[name]) for name in ("start", "limit"))
                return bundle(raws[start : start + limit])
        return httpx.Response(404)

    def _told(self, origin: str) -> dict[str, Any]:
        note = self.checkpoints.get(origin)
        told: dict[str, Any] = {"log": origin, "size": self.sizes[origin]}
        return told if note is None else {**told, "checkpoint": text_to_lines(note.encode())}


def own_log(shares: int) -> PaperLog:
    log = PaperLog(A, LAW.network)
    log.grow(shares, B)
    return log


async def test_an_invented_checkpoint_counts_for_nothing(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        promise = Checkpoint(A.origin, TreeSize(HUGE), seed("a root"))
        unsigned = Note(promise.text, (cosign(B.keys.cosigner, promise, time=NOW_MS // 1000),))
        others_key = sign_checkpoint(B.keys.log, Checkpoint(B.origin, TreeSize(HUGE), seed("a root")))
        forged = Note(promise.text, others_key.signatures)
        for party, note in ((B, unsigned), (C, forged)):
            teller = Teller(town, party)
            teller.sizes[A.origin], teller.checkpoints[A.origin] = 0, note
        liar = Teller(town, D)
        liar.sizes, liar.checkpoints = {A.origin: 0}, {A.origin: others_key}  # good, but of another log
        with capture_logs():
            node = await back(town)
        assert node.recovery.ready
        assert node.state.size == 1
        assert node.recovery._promised(A.origin) == []


async def test_a_claim_that_nobody_makes_good_is_void(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        log = own_log(4)
        liar = Teller(town, B).holds(log)
        liar.sizes[A.origin] = HUGE
        Teller(town, C).holds(log)
        with capture_logs() as logged:
            node = await back(town)
            assert texts(node, A.origin) == log.raws
        assert "nobody gives entries that a peer claims to hold" in {one["event"] for one in logged}
        assert liar.asked <= 3 + recovery.CLAIM_TRIES_MAX
        assert not node.alarms


async def test_entries_are_fetched_even_when_no_checkpoint_speaks_for_them(tmp_path: Path) -> None:
    """They are signed with this node's own key: it has said them, whoever was shown a checkpoint."""
    async with Town(tmp_path, FOUR, law=LAW) as town:
        log = own_log(6)
        Teller(town, B).holds(log).checkpoints.clear()
        short = Teller(town, C).holds(log)
        short.checkpoints[A.origin], short.sizes[A.origin] = log.checkpoint(3), 3
        with capture_logs():
            node = await back(town)
        assert texts(node, A.origin)[:7] == log.raws


async def test_invented_entries_are_not_taken(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        log = own_log(2)
        forged = own_log(9)
        forged.raws = [raw if index < 3 else raw.replace(b"household", b"househole") for index, raw in
                       enumerate(forged.raws)]  # fmt: skip
        Teller(town, B).holds(forged).checkpoints.clear()
        Teller(town, C).holds(log)
        with capture_logs():
            node = await back(town)
        assert texts(node, A.origin)[:3] == log.raws
        assert node.state.size == 3


async def test_a_signed_checkpoint_that_nobody_backs_keeps_the_node_from_writing(tmp_path: Path) -> None:
    """It has signed that size once: whatever it signed below would be a second history. It cosigns the others."""
    async with Town(tmp_path, FOUR, law=LAW) as town:
        log, b_log = own_log(4), PaperLog(B, LAW.network)
        Teller(town, B).holds(b_log)
        teller = Teller(town, C).holds(log)
        teller.entries[A.origin] = log.raws[:3]
        with capture_logs() as logged:
            [node] = await town.start(A, wait=False)
            await until(lambda: node.recovery.progress.problem)
            with pytest.raises(ReadOnlyError, match=f"nobody has the entries of {A.origin} up to 5") as refused:
                await record(node, share(1, B))
            assert "A lost store" in refused.value.hint
            await until(lambda: len([one for one in logged if one["event"] == recovery.NOT_RESTORED]) >= 2)
            async with town.client(A, token=None) as peer:
                answer = await peer.post("/witness/add-checkpoint", content=b_log.request(1))
            assert answer.status_code == 200
            assert node.state.checkpoint is None
            teller.entries[A.origin] = log.raws  # somebody has found them
            await until(lambda: node.recovery.ready)
        told = [one.get("times", 1) for one in logged if one["event"] == recovery.NOT_RESTORED]
        assert told == [1 << number for number in range(len(told))]
        assert [one["what"] for one in logged if one["event"] == "a failure is over"].count(recovery.NOT_RESTORED) == 1
        assert texts(node, A.origin) == log.raws


async def test_two_histories_of_the_own_log_are_an_alarm(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        one, other = own_log(2), PaperLog(A, LAW.network)
        other.append(share(77, C), share(78, C))
        Teller(town, B).holds(one)
        Teller(town, C).holds(other)
        with capture_logs():
            [node] = await town.start(A, wait=False)
            await until(lambda: A.origin in node.alarms)
            with pytest.raises(ReadOnlyError, match="in doubt"):
                await record(node, share(1, B))
            await until(lambda: node.recovery.progress.problem)
        assert not node.recovery.ready


async def test_answers_that_are_no_memory_do_not_count(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        answers = iter(
            [
                httpx.Response(503),
                httpx.Response(200, content=b"{"),
                httpx.Response(200, json={"network_version": 1, "logs": 1}),
                httpx.Response(200, json=heads({"log": A.origin})),
                httpx.Response(200, json=heads({"log": A.origin, "size": -1})),
                httpx.Response(200, json=heads({"log": A.origin, "size": 1, "checkpoint": [1]})),
                httpx.Response(200, json=heads({"log": A.origin, "size": 0, "checkpoint": ["no", "note"]})),
            ]
        )
        served = 0

        async def babble(request: httpx.Request) -> httpx.Response:
            nonlocal served
            if request.url.path != "/v1/memory":
                return httpx.Response(404)
            served += 1
            return next(answers)

        town.wire.answer(B, babble)
        Teller(town, C)
        with capture_logs():
            node = await back(town)
        assert served == 7  # the last one is a memory, although what it remembers is worth nothing
        assert node.recovery.progress.answered.keys() == {B.origin, C.origin}


# Cosigning.


async def ask(town: Town, body: bytes) -> httpx.Response:
    async with town.client(A, token=None) as client:
        return await client.post("/witness/add-checkpoint", content=body)


async def test_a_lost_cosigning_memory_comes_back_from_whoever_remembers(tmp_path: Path) -> None:
    """B shows A, which has lost its disk, less than what A has cosigned before, and then something else."""
    async with Town(tmp_path, FOUR, law=LAW) as town:
        log = PaperLog(B, LAW.network)
        log.grow(5, A)
        owner = Teller(town, B)
        owner.entries[B.origin] = log.raws
        Teller(town, C).holds(log)  # has been given the checkpoint of size 6 with A's cosignature
        with capture_logs():
            node = await back(town)
            await until(lambda: node.states[B.origin].cosigned_head.size == 6)
            older = await ask(town, log.request(0, 4))
            assert (older.status_code, older.content) == (409, b"6\n")
            conflict = await ask(town, log.request(6, root=seed("another root")))
            assert conflict.status_code == 422
        assert node.states[B.origin].cosigned_head.root == log.root()


async def test_a_log_that_goes_on_honestly_is_cosigned_after_the_return(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        log = PaperLog(B, LAW.network)
        log.grow(5, A)
        Teller(town, B).holds(log)
        Teller(town, C)
        with capture_logs():
            node = await back(town)
            log.grow(2, A)
            await until(lambda: node.states[B.origin].cosigned_head.size == 6)
            answer = await ask(town, log.request(6))
        assert answer.status_code == 200
        [signature] = parse_cosignatures(answer.content)
        A.keys.cosigner.verifier.verify(log.checkpoint().text, signature)


async def test_a_head_that_contradicts_any_remembered_one_is_not_cosigned(tmp_path: Path) -> None:
    """C remembers a longer history than D, of another branch: A may have cosigned either."""
    async with Town(tmp_path, FOUR, law=LAW) as town:
        one, other = PaperLog(B, LAW.network), PaperLog(B, LAW.network)
        one.grow(6, A)
        other.append(share(77, C), share(78, C))
        Teller(town, C).holds(one)
        Teller(town, D).holds(other)
        with capture_logs():
            node = await back(town)
            await until(lambda: B.origin in node.alarms)
            for log in (one, other):
                assert (await ask(town, log.request(0))).status_code == 422
        assert node.states[B.origin].cosigned_head.size == 0
        assert node.recovery.ready  # it is not its own log


async def test_while_the_past_of_a_log_cannot_be_had_that_log_alone_is_not_cosigned(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        log, other = PaperLog(B, LAW.network), PaperLog(C, LAW.network)
        log.grow(5, A)
        Teller(town, B)
        teller = Teller(town, C).holds(log)
        teller.entries = {other.origin: other.raws}
        with capture_logs():
            node = await back(town)
            answer = await ask(town, log.request(0, 4))
            assert answer.status_code == 503
            assert "is not here yet" in answer.text
            assert (await ask(town, other.request(0))).status_code == 200
            teller.entries[log.origin] = log.raws
            assert (await ask(town, log.request(6))).status_code == 200
        assert node.states[B.origin].cosigned_head.size == 6


# A crash in the middle.


async def test_a_crash_at_any_write_of_the_return_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.backlog.ENTRIES_MAX", 2)  # so that the log comes in several pieces
    log = own_log(6)
    async with Town(tmp_path, FOUR, law=LAW) as town:
        Teller(town, B).holds(log)
        Teller(town, C).holds(log)
        sizes = []
        for number in range(1, 20):
            disk = town.disks[A.name] = MemoryDisk()
            town.home(A).head.unlink(missing_ok=True)
            crash = _Crash(disk, number)
            with capture_logs():
                [node] = await town.start(A, wait=False)
                await until(lambda crash=crash, node=node: crash.down or node.recovery.ready)  # type: ignore[misc]
                sizes.append(node.state.size)
                await town.stop(A)
                disk.on_write = None
                node = await back(town)
            assert texts(node, A.origin) == log.raws
            assert node.state.cosigned_head.size == 7
            await town.stop(A)
            if not crash.down:
                break
        assert list(dict.fromkeys(sizes)) == [0, 2, 4, 6, 7]  # four pieces, the checkpoint, and that the return is over


class _Crash:
    """The power goes at one write: it and all later ones fail, and only what was written before is there."""

    def __init__(self, disk: MemoryDisk, number: int) -> None:
        self._left = number
        self.down = False
        disk.on_write = self._on_write

    def _on_write(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self.down = True
            raise OSError("the power is gone")


async def test_a_full_disk_is_waited_for(tmp_path: Path) -> None:
    log = own_log(6)
    async with Town(tmp_path, FOUR, law=LAW) as town:
        Teller(town, B).holds(log)
        Teller(town, C).holds(log)
        disk = town.disks[A.name] = MemoryDisk()
        for number in (1, 2, 4):
            disk.fail_write(number, Fault.NO_SPACE)
        with capture_logs():
            node = await back(town)
        assert texts(node, A.origin) == log.raws


async def test_the_return_ends_with_the_node(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        town.wire.routes["d1.test"] = httpx.MockTransport(lambda _: httpx.Response(503))
        town.wire.held["d1.test"] = asyncio.Event()
        with capture_logs():
            [node] = await town.start(A, wait=False)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await town.stop(A)
        assert not node.recovery.ready
        assert node.store.closed
