"""The publisher: what it signs, how the quorum is reached, and peers that are dead, slow or lying."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from node_helpers import (
    NOW_MS,
    PATIENCE_SECONDS,
    Desk,
    PaperLog,
    Town,
    entry_of,
    opening,
    paper,
    parties,
    share,
    until,
)
from structlog.testing import capture_logs

from ledger.cosignature import cosign
from ledger.encoding import canonical_json
from ledger.event import LogOpen
from ledger.quorum import Judged
from ledger.store.memory import Cell, MemoryDisk
from ledger.witness_request import parse_add_checkpoint
from node import layout, peers, publisher
from node.checkpoints import MANY, Checkpoints
from node.errors import BusyError, IntegrityAlarm, ReadOnlyError
from node.logs import LogState
from node.metrics import Metrics
from node.peers import Peers
from node.publisher import Publisher, Round
from node.service import Node
from node.submission import Prepared, Submission, prepare
from node.writer import Transaction

A, B, C, D = FOUR = parties(4)
OWN = layout.log_id(A.origin)


async def record(node: Node, *values: dict[str, Any], wait: bool = False) -> None:
    await node.submit(tuple(prepare(value, origin=node.origin) for value in values), wait_confirmed=wait)


async def confirmed(node: Node) -> Judged:
    await until(lambda: node.state.confirmed_size == node.state.size > 0, "the log is confirmed")
    judged = node.state.confirmed
    assert judged is not None
    return judged


def cosigners(judged: Judged | None) -> set[str]:
    return {origin for origin, _ in judged.cosigners} if judged is not None else set()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of a test's length."""
    monkeypatch.setattr(publisher, "BUSY_SECONDS", 0.01)
    monkeypatch.setattr(publisher, "RETRY_SECONDS_MIN", 0.02)
    monkeypatch.setattr(publisher, "RETRY_SECONDS_MAX", 0.05)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with Town(tmp_path, FOUR) as town:
        yield town


# Signing.


class Bench:
    """A publisher at a desk: it signs when it is told to, and talks to nobody."""

    def __init__(self, folder: Path, desk: Desk) -> None:
        self.desk = desk
        self.alarms: dict[str, str] = {}
        self.head = folder / "head"
        self.checkpoints = Checkpoints(
            desk.party.origin,
            keys=lambda: desk.party.keys,
            network=lambda: desk.network,
            head_file=self.head,
        )
        self.publisher = Publisher(
            own=desk.party.origin,
            keys=lambda: desk.party.keys,
            store=desk.store,
            writer=desk.writer,
            checkpoints=self.checkpoints,
            network=lambda: desk.network,
            peers=Peers(desk.party.origin, lambda _: pytest.fail("it talks to nobody")),
            clock=desk.clock,
            metrics=Metrics(),
            interval_ms=10,
            timeout_ms=10,
            refresh_ms=0,
            alarms=self.alarms,
            alarm=lambda alarm: self.alarms.update({alarm.field or "": alarm.message}),
            return_again=lambda _: False,
        )

    def sign(self) -> Judged | None:
        return self.desk.writer.submit(self.checkpoints.sign).result(PATIENCE_SECONDS)


@pytest.fixture
def disk() -> MemoryDisk:
    return MemoryDisk()


def test_a_checkpoint_is_signed_once_for_a_size(tmp_path: Path, disk: MemoryDisk) -> None:
    with Desk(A, paper(FOUR).network, disk=disk) as desk:
        bench = Bench(tmp_path, desk)
        assert bench.sign() is None
        desk.record(share(1, B), share(2, B))
        judged = bench.sign()
        assert judged is not None
        assert judged.size == 2
        assert judged.checkpoint.root == desk.state.edge.root()
        assert bench.head.read_bytes() == judged.note.encode()
        assert desk.store.get(layout.checkpoint_key(OWN)) == judged.note.encode()
        assert bench.sign() is judged
    with Desk(A, paper(FOUR).network, disk=disk) as desk:
        again = Bench(tmp_path, desk).sign()
        assert again is not None
        assert again.note == judged.note


async def test_what_was_confirmed_under_an_older_network_document_is_not_gathered_again(tmp_path: Path) -> None:
    few, disk = paper(FOUR), MemoryDisk()
    with Desk(A, few.network, disk=disk) as desk:
        bench = Bench(tmp_path, desk)
        desk.record(share(1, B))
        judged = bench.sign()
        assert judged is not None
        current = Round(judged, desk.network, NOW_MS)
        for party in FOUR[:3]:
            signature = cosign(party.keys.cosigner, judged.checkpoint, time=NOW_MS // 1000)
            current.cosignatures[party.origin] = signature
        await bench.publisher._confirm(current)
        assert bench.sign() is None
    many = few.next([entry_of(party) for party in parties(9)])
    with Desk(A, many.network, disk=disk) as desk:
        assert desk.state.confirmed is not None
        assert (desk.state.confirmed.version, desk.state.confirmed.confirmed) == (1, True)
        bench = Bench(tmp_path, desk)
        assert bench.sign() is None
        desk.record(share(2, B))
        assert bench.sign() is not None


def damages(index: int = 1) -> list[Any]:
    def replaced(disk: MemoryDisk, key: bytes, change: Callable[[bytes], bytes]) -> None:
        assert disk.cells is not None
        disk.cells[key] = Cell(key, change(disk.cells[key].value))  # with a good checksum: nobody else would notice

    def added(disk: MemoryDisk, key: bytes) -> None:
        assert disk.cells is not None
        disk.cells[key] = Cell(key, b"more")

    entry, tile = layout.entry_key(OWN, index), layout.tile_key(OWN, 0, 0)
    return [
        pytest.param(lambda disk: disk.flip(entry), id="a flipped bit in an entry"),
        pytest.param(
            lambda disk: replaced(disk, entry, lambda raw: raw.replace(b"check of", b"sale of.")),
            id="another entry in its place",
        ),
        pytest.param(lambda disk: disk.cells.pop(entry), id="a missing entry"),
        pytest.param(lambda disk: added(disk, layout.entry_key(OWN, 9)), id="an entry behind the last"),
        pytest.param(lambda disk: replaced(disk, tile, lambda _: b""), id="a missing tile"),
    ]


@pytest.mark.parametrize("looked", [False, True], ids=["at once", "ahead"])
@pytest.mark.parametrize("damage", damages())
def test_damage_since_the_last_checkpoint_is_an_alarm_and_nothing_is_signed(
    tmp_path: Path, disk: MemoryDisk, damage: Callable[[MemoryDisk], object], *, looked: bool
) -> None:
    with Desk(A, paper(FOUR).network, disk=disk) as desk:
        bench = Bench(tmp_path, desk)
        desk.record(share(1, B))
        first = bench.sign()
        assert first is not None
        desk.record(share(2, B), share(3, B))
        damage(disk)
        desk.store.reopen()
        if looked:
            bench.checkpoints.look_ahead(desk.store, desk.state)
        with pytest.raises(IntegrityAlarm) as alarm:
            bench.sign()
        assert alarm.value.field == A.origin
        assert bench.head.read_bytes() == first.note.encode()
        assert desk.state.checkpoint == first


@pytest.mark.parametrize("damage", damages(2)[:-1])
def test_damage_behind_what_was_read_ahead_is_an_alarm(
    tmp_path: Path, disk: MemoryDisk, damage: Callable[[MemoryDisk], object]
) -> None:
    with Desk(A, paper(FOUR).network, disk=disk) as desk:
        bench = Bench(tmp_path, desk)
        desk.record(share(1, B), share(2, B))
        bench.checkpoints.look_ahead(desk.store, desk.state)
        desk.record(share(3, B))
        damage(disk)
        desk.store.reopen()
        with pytest.raises(IntegrityAlarm):
            bench.sign()


def read_from(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """From which entry on the log is read."""
    starts: list[int] = []
    page = desk.store.page

    def noted(start: bytes, end: bytes, limit: int) -> Any:
        starts.append(int.from_bytes(start.removeprefix(layout.entry_key(OWN, 0)[:-8]), "big"))
        return page(start, end, limit)

    monkeypatch.setattr(desk.store, "page", noted)
    return starts


def test_what_was_read_ahead_is_not_read_again(
    tmp_path: Path, disk: MemoryDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Desk(A, paper(FOUR).network, disk=disk) as desk:
        bench = Bench(tmp_path, desk)
        desk.record(*(share(number, B) for number in range(5)))
        assert bench.sign() is not None
        desk.record(*(share(number, B) for number in range(5, 300)))
        bench.checkpoints.look_ahead(desk.store, desk.state)
        desk.record(share(300, B), share(301, B))
        starts = read_from(desk, monkeypatch)
        judged = bench.sign()
        assert judged is not None
        assert judged.checkpoint.root == desk.state.edge.root()
        assert min(starts) == 300
        desk.record(share(302, B))
        starts.clear()
        assert bench.sign() is not None
        assert min(starts) == 302


def test_what_was_read_ahead_of_another_history_counts_for_nothing(tmp_path: Path) -> None:
    network = paper(FOUR).network
    with Desk(A, network) as desk, Desk(A, network) as other:
        bench, another = Bench(tmp_path, desk), Bench(tmp_path, other)
        desk.record(share(1, B), share(2, B), share(3, B))
        for values in ((share(4, B),), (share(5, B), share(6, B)), (share(7, B), share(8, B))):
            other.record(*values)
            another.checkpoints.look_ahead(other.store, other.state)
            bench.checkpoints._ahead = another.checkpoints._ahead
            desk.record(share(other.state.size + 10, B))
            judged = bench.sign()
            assert judged is not None
            assert judged.checkpoint.root == desk.state.edge.root()


async def test_much_is_read_ahead_beside_the_writer_and_little_is_not(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    [node, *_] = await town.start()
    looked: list[tuple[int, bool]] = []
    look = node.checkpoints.look_ahead

    def noted(store: Any, state: LogState) -> None:
        looked.append((state.size, threading.current_thread().name.startswith("suyuan-writer")))
        look(store, state)

    monkeypatch.setattr(node.checkpoints, "look_ahead", noted)
    await record(node, share(1, B))
    await confirmed(node)
    assert looked == []
    await record(node, *(share(number, B) for number in range(2, 2 + MANY)))
    await confirmed(node)
    assert looked == [(node.state.size, False)]


async def test_a_damaged_entry_makes_the_node_read_only(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR) as town:
        disk = town.disks[A.name] = MemoryDisk()
        value = opening(1, town.law.network)
        with Desk(A, town.law.network, disk=disk) as desk:
            prepared = Prepared(LogOpen.model_validate(value), canonical_json(value).encode())
            desk.writer.submit_to(desk.sequencer, Submission((prepared,))).result(PATIENCE_SECONDS)
        disk.flip(layout.entry_key(OWN, 0))
        with capture_logs():
            [node] = await town.start(A)
            await until(lambda: A.origin in node.alarms)
            with pytest.raises(ReadOnlyError):
                await record(node, share(1, B))
        assert "damaged" in node.alarms[A.origin]
        assert not node.home.head.exists()
        assert node.state.checkpoint is None


async def test_a_log_in_doubt_gets_no_checkpoint(town: Town) -> None:
    nodes = await town.start()
    before = await confirmed(nodes[0])
    with capture_logs():
        nodes[0].alarms.take(IntegrityAlarm("this is a test", field=A.origin))
    value = share(1, B)
    prepared = Prepared(prepare(value, origin=A.origin).event, canonical_json(value).encode())
    nodes[0].writer.submit_to(nodes[0].sequencer, Submission((prepared,))).result(PATIENCE_SECONDS)
    await until(lambda: nodes[0]._noticed == 2)
    await until(lambda: not nodes[0].publisher._news.is_set())
    assert nodes[0].state.size == 2
    assert nodes[0].state.checkpoint is not None
    assert nodes[0].state.checkpoint.size == before.size


# The quorum.


async def test_a_quiet_log_is_cosigned_by_everybody(town: Town) -> None:
    nodes = await town.start()
    everybody = {party.origin for party in FOUR}
    await until(lambda: all(cosigners(node.state.confirmed) == everybody for node in nodes))
    counted = nodes[0].metrics.registry.get_sample_value
    await until(lambda: counted("suyuan_checkpoints_confirmed_total") == 1)


async def test_the_quorum_is_reached_without_a_dead_peer(town: Town) -> None:
    node, *_ = await town.start(A, B, C)
    await record(node, share(1, D), wait=True)
    assert cosigners(await confirmed(node)) == {A.origin, B.origin, C.origin}


async def test_a_peer_that_was_dead_is_pushed_the_newest_checkpoint(town: Town) -> None:
    node, *_ = await town.start(A, B, C)
    await record(node, share(1, D), wait=True)
    [late] = await town.start(D)
    await until(lambda: late.states[A.origin].cosigned_head.size == 2)


async def test_two_of_four_confirm_nothing(town: Town) -> None:
    node, other = await town.start(A, B)
    await until(lambda: other.states[A.origin].cosigned_head.size == 1)
    await record(node, share(1, B))
    with capture_logs() as logged:
        await until(lambda: [one for one in logged if one["event"] == "a checkpoint waits for its quorum"])
    assert node.state.confirmed is None


async def test_a_slow_peer_delays_nobody(town: Town) -> None:
    nodes = await town.start()
    await confirmed(nodes[0])
    town.wire.held["d3.test"] = asyncio.Event()
    before = len(town.wire.seen)
    for number in range(1, 6):
        await record(nodes[0], share(number, B), wait=True)
    assert cosigners(nodes[0].state.confirmed) == {A.origin, B.origin, C.origin}
    pushed = [path for _, host, path in town.wire.seen[before:] if host == "d3.test" and path.startswith("/witness")]
    assert len(pushed) <= 1 + len(FOUR)  # one at a time, by each node
    town.wire.held.pop("d3.test").set()
    await until(lambda: nodes[3].states[A.origin].cosigned_head.size == 6)


async def test_a_checkpoint_without_quorum_is_superseded_when_there_is_news(town: Town) -> None:
    with capture_logs():
        [node] = await town.start(A)
        await until(lambda: node.state.checkpoint is not None and node.state.checkpoint.size == 1)
        await record(node, share(1, B))
        await until(lambda: node.state.checkpoint is not None and node.state.checkpoint.size == 2)
        assert node.state.confirmed is None
        await town.start(B, C)
    assert (await confirmed(node)).size == 2


async def test_a_checkpoint_that_was_begun_under_the_new_document_is_not_given_up_for_it(town: Town) -> None:
    node, _ = await town.start(A, B)
    with capture_logs():
        await until(lambda: node.publisher._round is not None)
        node.publisher.network_changed()  # comes a moment after the document is in force
        await town.start(C)
        await confirmed(node)
    assert not node.alarms


async def test_cosignatures_are_kept_while_there_is_news_of_other_logs_only(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR, confirm_timeout_ms=100) as town:
        with capture_logs() as logged:
            node, other = await town.start(A, B)
            await until(lambda: node.publisher._round is not None and len(node.publisher._round.cosignatures) == 2)
            town.wire.cut.add("d1.test")  # what B has said, it will not say again
            await town.stop(B)
            for times in range(1, 3):
                node.writer.submit(lambda _: None).result(PATIENCE_SECONDS)
                await until(partial(_waits, logged, times))
            await town.start(C)
            assert cosigners(await confirmed(node)) == {A.origin, B.origin, C.origin}
        assert other.origin == B.origin


def _waits(logged: list[Any], times: int) -> bool:
    said = [
        one["size"] for one in logged if one["event"] == "a checkpoint waits for its quorum" and one["cosigned"] == 2
    ]
    return len(said) >= times


# An idle log.


MINUTE_MS = 60_000


@pytest.fixture
async def idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    """Four nodes whose logs are confirmed by everybody; an idle one is refreshed after ten minutes."""
    monkeypatch.setattr(publisher, "REFRESH_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(publisher, "GRACE_SECONDS", 0.2)
    everybody = {party.origin for party in FOUR}
    # The clock stands still, so that a refresh which a busy machine keeps from its quorum is not tried again.
    async with Town(tmp_path, FOUR, refresh_interval_ms=10 * MINUTE_MS, confirm_timeout_ms=2_000) as town:
        nodes = await town.start()
        for node in nodes:
            await until(lambda node=node: all(cosigners(one.confirmed) == everybody for one in node.states.values()))  # type: ignore[misc]
        yield town


def vouched(node: Node, origin: str = A.origin) -> int | None:
    known = node.states[origin].confirmed
    return known.vouched if known is not None else None


async def test_an_idle_log_gets_fresh_cosignatures_and_every_peer_sees_them(idle: Town) -> None:
    node, *others = idle.nodes.values()
    before = node.state.confirmed
    assert before is not None
    idle.clock.advance(10 * MINUTE_MS)
    now = idle.clock.now_ms() // 1000
    await until(lambda: all(vouched(one) == now for one in (node, *others)))
    after = await confirmed(node)
    assert after.checkpoint == before.checkpoint
    assert {time for _, time in after.cosigners} == {now}
    assert node.metrics.registry.get_sample_value("suyuan_checkpoints_refreshed_total") == 1
    assert node.metrics.registry.get_sample_value("suyuan_checkpoints_confirmed_total") == 1


async def test_a_log_is_refreshed_at_the_configured_rate_only(idle: Town) -> None:
    node, *others = idle.nodes.values()
    idle.clock.advance(9 * MINUTE_MS)
    before = len(idle.wire.seen)
    await asyncio.sleep(0.1)
    assert not [path for _, _, path in idle.wire.seen[before:] if path == "/witness/add-checkpoint"]
    idle.clock.advance(1 * MINUTE_MS)
    await until(lambda: all(vouched(one) == idle.clock.now_ms() // 1000 for one in (node, *others)))
    before = len(idle.wire.seen)
    await asyncio.sleep(0.1)
    pushes = [host for _, host, path in idle.wire.seen[before:] if path == "/witness/add-checkpoint"]
    assert len(pushes) <= len(FOUR) * (len(FOUR) - 1)  # the last of the other logs, each once


async def test_who_does_not_answer_a_refresh_keeps_the_older_cosignature(idle: Town) -> None:
    node, *_ = idle.nodes.values()
    then = vouched(node)
    await idle.stop(D)
    idle.clock.advance(10 * MINUTE_MS)
    now = idle.clock.now_ms() // 1000
    with capture_logs():
        await until(lambda: vouched(node) == now)
    times = dict((await confirmed(node)).cosigners)
    assert times == {A.origin: now, B.origin: now, C.origin: now, D.origin: then}


async def test_without_a_quorum_a_refresh_is_tried_again_and_news_does_not_wait_for_it(idle: Town) -> None:
    node, *_ = idle.nodes.values()
    idle.wire.cut |= {"d1.test", "d2.test", "d3.test"}
    then = vouched(node)
    with capture_logs() as logged:
        idle.clock.advance(10 * MINUTE_MS)
        for times in (1, 2):
            await until(lambda times=times: len([1 for one in logged if "fresh" in one["event"]]) >= times * len(FOUR))  # type: ignore[misc]
            assert vouched(node) == then
            idle.clock.advance(2 * MINUTE_MS)
        idle.wire.cut.clear()
        await record(node, share(1, B), wait=True)
    assert node.state.confirmed_size == 2


async def test_the_log_of_a_member_that_has_left_is_not_refreshed(idle: Town) -> None:
    node, *_ = idle.nodes.values()
    members = [entry_of(A, status="suspended"), *map(entry_of, FOUR[1:])]
    node.checkpoints._network = lambda: idle.law.next(members).network
    before = vouched(node)
    idle.clock.advance(10 * MINUTE_MS)
    assert node.publisher._stale() is None
    assert vouched(node) == before


async def test_a_refresh_can_be_switched_off(idle: Town) -> None:
    node, *_ = idle.nodes.values()
    node.publisher._refresh_ms = 0
    idle.clock.advance(100 * MINUTE_MS)
    await asyncio.sleep(0.05)
    assert vouched(node) == NOW_MS // 1000


async def test_a_node_that_starts_again_learns_from_its_peers_how_far_they_are(town: Town) -> None:
    node, *_ = await town.start()
    await record(node, share(1, B), wait=True)
    await town.stop(A)
    [node] = await town.start(A)
    await record(node, share(2, B), wait=True)
    assert (await confirmed(node)).size == 3


async def test_a_member_that_does_not_vote_is_not_pushed_to(tmp_path: Path) -> None:
    law = paper([A, B, C, entry_of(D, status="suspended")])
    async with Town(tmp_path, FOUR, law=law) as town:
        nodes = await town.start(A, B, C)
        await confirmed(nodes[0])
    assert not [path for _, host, path in town.wire.seen if host == "d3.test"]


async def test_the_cosignature_of_a_node_without_a_vote_does_not_count(tmp_path: Path) -> None:
    """A suspended member signs no checkpoint, and its publisher goes on."""
    async with Town(tmp_path, FOUR, law=paper([entry_of(A, status="suspended"), B, C, D])) as town:
        with capture_logs():
            node, *_ = await town.start()
            await until(lambda: node.state.size == 1)
            assert node.writer.submit(node.checkpoints.sign).result(PATIENCE_SECONDS) is None
        assert not node.alarms


async def test_a_peer_that_lost_its_vote_while_we_run_is_passed_over(town: Town) -> None:
    nodes = await town.start()
    await confirmed(nodes[0])
    law = town.law.next([*map(entry_of, (A, B, C)), entry_of(D, status="suspended")])
    await nodes[0].adopt(law.document)
    await until(lambda: nodes[0].state.confirmed_size == 2)  # the entry that says so, under the new version
    seen = len(town.wire.seen)
    await record(nodes[0], share(1, B), wait=True)
    assert (await confirmed(nodes[0])).size == 3
    assert not [path for _, host, path in town.wire.seen[seen:] if host == "d3.test" and path.startswith("/witness")]


async def test_more_cosignatures_than_a_note_can_carry_are_left_out(tmp_path: Path) -> None:
    many = parties(110)
    with Desk(A, paper(many).network) as desk:
        bench = Bench(tmp_path, desk)
        desk.record(share(1, B))
        judged = bench.sign()
        assert judged is not None
        current = Round(judged, desk.network, NOW_MS)
        for party in many:
            current.cosignatures[party.origin] = cosign(party.keys.cosigner, judged.checkpoint, time=NOW_MS // 1000)
        await bench.publisher._confirm(current)
        assert desk.state.confirmed is not None
        assert len(desk.state.confirmed.note.signatures) == 100
        assert desk.state.confirmed.confirmed


async def test_a_better_confirmation_is_not_replaced_by_a_worse_one(tmp_path: Path) -> None:
    with Desk(A, paper(FOUR).network) as desk:
        bench = Bench(tmp_path, desk)
        desk.record(share(1, B))
        judged = bench.sign()
        assert judged is not None
        for count in (4, 3):
            current = Round(judged, desk.network, NOW_MS)
            for party in FOUR[:count]:
                signature = cosign(party.keys.cosigner, judged.checkpoint, time=NOW_MS // 1000)
                current.cosignatures[party.origin] = signature
            await bench.publisher._confirm(current)
        assert len(cosigners(desk.state.confirmed)) == 4


async def test_the_publisher_goes_on_after_trouble_with_the_store(town: Town) -> None:
    nodes = await town.start()
    await confirmed(nodes[0])
    disk = town.disks[A.name]
    left = 5

    def refuse() -> None:
        nonlocal left
        if left and not posting:
            left -= 1
            raise OSError("input/output error")

    posting = True
    with capture_logs() as logged:
        disk.on_write = refuse
        await record(nodes[0], share(1, B))
        posting = False
        assert (await confirmed(nodes[0])).size == 2
    assert left == 0
    assert not nodes[0].alarms
    assert [one for one in logged if one["event"] == "no checkpoint could be made"]


async def test_a_full_queue_is_no_reason_to_wait_long(tmp_path: Path) -> None:
    with Desk(A, paper([A], quorum={"faults": 0}).network) as desk:
        bench = Bench(tmp_path, desk)
        desk.writer.submit_to(desk.sequencer, Submission((_opened(desk),))).result(PATIENCE_SECONDS)
        submit, refusals = desk.writer.submit, [BusyError("full")] * 5

        def busy(job: Any, *, size: int = 0) -> Any:
            if refusals:
                raise refusals.pop()
            return submit(job, size=size)

        desk.writer.submit = busy  # type: ignore[method-assign]
        with capture_logs() as logged:
            task = asyncio.create_task(bench.publisher.run())
            await until(lambda: desk.state.confirmed_size == 1)
            await until(lambda: any(one["event"] == "a failure is over" for one in logged))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        told = [one for one in logged if one["event"] == publisher.NO_CHECKPOINT]
        assert [(one["log_level"], one.get("times", 1)) for one in told] == [("info", 1), ("info", 2), ("info", 4)]
        assert [one["times"] for one in logged if one.get("what") == publisher.NO_CHECKPOINT] == [5]


def _opened(desk: Desk) -> Prepared:
    value = opening(1, desk.network)
    return Prepared(LogOpen.model_validate(value), canonical_json(value).encode())


async def test_a_publisher_that_is_cancelled_leaves_no_task_behind(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "GRACE_SECONDS", 30.0)
    town.wire.cut.add("d3.test")
    node, *_ = await town.start(A, B, C)  # confirmed, and waiting for D's cosignature
    await confirmed(node)
    await asyncio.sleep(0)
    for party in (A, B, C):
        await town.stop(party)
    await until(lambda: {task.get_name() for task in asyncio.all_tasks()} <= {_own_name()})


async def test_a_peer_that_is_down_is_logged_at_doubling_intervals_and_once_when_it_is_back(town: Town) -> None:
    with capture_logs() as logged:

        def pushes(event: str) -> list[Any]:
            return [one for one in logged if event in (one["event"], one.get("what")) and one.get("peer") == D.origin]

        town.wire.cut.add("d3.test")
        node, *_ = await town.start(A, B, C)
        failing = node.peers[D.origin].status
        await until(lambda: failing.failures >= 20)
        failed = [one.get("times", 1) for one in pushes(publisher.PUSH_FAILED) if one["event"] == publisher.PUSH_FAILED]
        by_code = len({one["code"] for one in pushes(publisher.PUSH_FAILED)})
        assert {times & (times - 1) for times in failed} == {0}
        assert len(failed) <= 3 * by_code * 5  # of each of the three nodes: 1, 2, 4, 8, 16
        town.wire.cut.clear()
        await town.start(D)
        await until(lambda: "a failure is over" in {one["event"] for one in pushes(publisher.PUSH_FAILED)})


def _own_name() -> str:
    task = asyncio.current_task()
    assert task is not None
    return task.get_name()


# Peers that lie.


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield bytes(65_536)


def liars() -> list[Any]:
    def always(response: Callable[[], httpx.Response]) -> Any:
        async def answer(request: httpx.Request) -> httpx.Response:
            if request.url.path != "/witness/add-checkpoint":
                return httpx.Response(503)
            return response()

        return answer

    async def other_text(request: httpx.Request) -> httpx.Response:
        if request.url.path != "/witness/add-checkpoint":
            return httpx.Response(503)
        text = parse_add_checkpoint(await request.aread()).checkpoint.text
        return httpx.Response(200, text=D.keys.cosigner.cosign(f"other.{text}", 1).line)

    async def other_key(request: httpx.Request) -> httpx.Response:
        if request.url.path != "/witness/add-checkpoint":
            return httpx.Response(503)
        text = parse_add_checkpoint(await request.aread()).checkpoint.text
        return httpx.Response(200, text=B.keys.cosigner.cosign(text, 1).line)

    return [
        pytest.param(always(lambda: httpx.Response(200, content=b"\xff\x00garbage")), id="garbage"),
        pytest.param(always(lambda: httpx.Response(200, content=b"")), id="nothing"),
        pytest.param(always(lambda: httpx.Response(200, content=endless())), id="an endless body"),
        pytest.param(other_text, id="a cosignature of another text"),
        pytest.param(other_key, id="a cosignature by somebody else"),
        pytest.param(always(lambda: httpx.Response(409, content=b"")), id="409 without a size"),
        pytest.param(always(lambda: httpx.Response(409, content=b"01\n")), id="409 with no number"),
        pytest.param(always(lambda: httpx.Response(409, content=b"0\n")), id="409 for ever"),
        pytest.param(always(lambda: httpx.Response(302, headers={"Location": "http://d1.test/"})), id="a redirection"),
        pytest.param(always(lambda: httpx.Response(500, content=b"\x1b[31m" * 1000)), id="an error"),
        pytest.param(always(lambda: httpx.Response(503)), id="busy for ever"),
    ]


@pytest.mark.parametrize("liar", liars())
async def test_a_peer_that_lies_is_not_counted_and_stops_nobody(tmp_path: Path, liar: Any) -> None:
    async with Town(tmp_path, FOUR) as town:
        town.wire.answer(D, liar)
        with capture_logs() as logged:
            nodes = await town.start(A, B, C)
            await record(nodes[0], share(1, B), wait=True)
            asked = len(town.wire.seen)
            await until(lambda: _asked(town, asked))
            await record(nodes[0], share(2, B), wait=True)
        assert cosigners(nodes[0].state.confirmed) == {A.origin, B.origin, C.origin}
        assert not nodes[0].alarms
        assert "\x1b" not in "".join(str(value) for one in logged for value in one.values())


def _asked(town: Town, since: int) -> bool:
    return ("POST", "d3.test", "/witness/add-checkpoint") in town.wire.seen[since:]


async def test_a_peer_that_claims_to_have_cosigned_more_than_there_is_stops_nobody(tmp_path: Path) -> None:
    """A number in an answer is no evidence: one liar would else make every other department read-only."""

    async def ahead(request: httpx.Request) -> httpx.Response:
        return httpx.Response(409 if request.url.path == "/witness/add-checkpoint" else 503, content=b"99\n")

    async with Town(tmp_path, FOUR) as town:
        town.wire.answer(D, ahead)
        node, *_ = await town.start(A, B, C)
        await until(lambda: ("GET", "d3.test", f"/logs/{layout.origin_hash(A.origin)}/checkpoint") in town.wire.seen)
        await record(node, share(1, B), wait=True)
        assert not node.alarms


@pytest.mark.parametrize("returns", [False, True])
async def test_a_peer_that_holds_a_larger_checkpoint_of_ours_makes_the_node_return_or_read_only(
    tmp_path: Path, *, returns: bool
) -> None:
    promised: list[int] = []

    def return_again(judged: Judged) -> bool:
        promised.append(judged.size)
        return returns

    async with Town(tmp_path, FOUR) as town:
        past = PaperLog(A, town.law.network)
        past.grow(9, B)

        async def ahead(request: httpx.Request) -> httpx.Response:
            if request.url.path == "/witness/add-checkpoint":
                return httpx.Response(409, content=b"10\n")
            if request.url.path == f"/logs/{layout.origin_hash(A.origin)}/checkpoint":
                return httpx.Response(200, content=past.checkpoint().encode())
            return httpx.Response(503)

        town.wire.answer(D, ahead)
        with capture_logs():
            node, *_ = await town.start(A, wait=False)
            node.publisher._return_again = return_again
            await town.start(B, C)
            if returns:
                await until(lambda: len(promised) > 1)  # it goes on with that peer
                assert promised[:2] == [10, 10]
                assert not node.alarms
                return
            await until(lambda: A.origin in node.alarms)
            with pytest.raises(ReadOnlyError):
                await record(node, share(1, B))
        assert promised == [10]
        assert "d3.test/log holds a checkpoint of 10 entries that this node has signed" in node.alarms[A.origin]


async def test_a_peer_that_has_cosigned_a_newer_checkpoint_of_ours_is_not_pushed_an_older_one(tmp_path: Path) -> None:
    """Its cosignature was lost on the way: it corrects us, and the checkpoint in the making is superseded for it."""
    sizes: list[int] = []
    grown = asyncio.Event()

    async def newer(request: httpx.Request) -> httpx.Response:
        if request.url.path != "/witness/add-checkpoint":
            return httpx.Response(503)
        sizes.append(parse_add_checkpoint(await request.aread()).checkpoint.size)
        await grown.wait()
        return httpx.Response(409, content=b"2\n")

    async with Town(tmp_path, FOUR, confirm_timeout_ms=60_000) as town:
        town.wire.answer(D, newer)
        [node] = await town.start(A)
        await until(lambda: 1 in sizes)
        await record(node, share(1, B))  # size 2, while the checkpoint of size 1 waits for its quorum
        grown.set()
        told = len(sizes)
        await town.start(B, C)
        assert (await confirmed(node)).size == 2
        assert set(sizes[told:]) <= {1, 2}
        assert not node.alarms


async def test_an_answer_that_drips_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "ANSWER_TIMEOUTS_MAX", 1)

    async def drip() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.01)
            yield b"."

    async def dripping(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=drip())

    async with Town(tmp_path, FOUR, peer_timeout_ms=100) as town:
        town.wire.answer(D, dripping)
        with capture_logs():
            node, *_ = await town.start(A, B, C)
            await until(lambda: node.peers[D.origin].status.failures)
        assert node.peers[D.origin].status.last_error == "no whole answer in time (TimeoutError)"


def test_the_writer_is_never_waited_for_in_its_own_thread(tmp_path: Path) -> None:
    """Signing looks at what is committed, not at what the round is about to write."""
    with Desk(A, paper(FOUR).network) as desk:
        bench = Bench(tmp_path, desk)
        desk.record(share(1, B))
        seen: list[int] = []

        def both(transaction: Transaction) -> None:
            desk.sequencer.run(transaction, [Submission((desk.prepare(share(2, B)),))])
            judged = bench.checkpoints.sign(transaction)
            assert judged is not None
            seen.extend((judged.size, transaction.state(A.origin).size))

        desk.writer.submit(both).result(PATIENCE_SECONDS)
        assert seen == [1, 2]
        assert desk.state.checkpoint is not None
        assert (desk.state.checkpoint.size, desk.state.size) == (1, 2)
