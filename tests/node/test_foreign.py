"""Foreign logs: what their witness says, what it never says, and what it does when its memory is gone."""

import asyncio
import copy
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from foreign_logs import ForeignLog
from node_helpers import NOW_MS, PaperLog, Town, paper, parties, seed, share, until
from structlog.testing import capture_logs

from ledger.cosignature import parse_cosignatures, verify_cosignature
from ledger.encoding import lines_to_text
from ledger.errors import CheckpointError, StoreCorruptError, UnsignedError
from ledger.merkle import EMPTY_ROOT, TreeSize
from ledger.note import COSIGNATURE, ED25519, Note, Signer
from ledger.store import Batch
from ledger.store.memory import Fault, MemoryDisk
from ledger.witness_request import AddCheckpoint
from node import foreign, layout
from node.config import WitnessedLog
from node.errors import ConfigError, IntegrityAlarm
from node.foreign import NEW_KEY, begin_memory, check_foreign, read_memory, remembered_heads
from node.service import Node
from node.witness import WrongSizeError
from node.writer import Transaction

A, B = parties(2)
LAW = paper([A, B], quorum={"faults": 0})
WITNESS = Signer("d0.test/witness", COSIGNATURE, seed("witness"))
SUMDB = ForeignLog("go.sum database tree", key_name="sum.golang.org", extensions=("timestamp 1679315147",))
OTHER = ForeignLog("奥尔多斯.example/树", extensions=())
LOGS = [SUMDB.setting, OTHER.setting]


def fresh(log: ForeignLog = SUMDB, size: int = 5) -> ForeignLog:
    return replace(log, leaves=[]).grow(size)


class Stand:
    """A node that witnesses two foreign logs."""

    def __init__(self, town: Town, node: Node) -> None:
        self.town = town
        self.node = node
        self.client = town.client(A, token=None)

    async def ask(self, body: bytes) -> httpx.Response:
        return await self.client.post("/witness/add-checkpoint", content=body)

    async def again(self) -> "Stand":
        """The same after a restart."""
        await self.client.aclose()
        if A.name in self.town.nodes:
            await self.town.stop(A)
        node = self.town.open(A)
        await node.recovery.once()
        await node.foreign.open(behind=False)
        return Stand(self.town, node)


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    async with Town(tmp_path, [A, B], law=LAW, witnessed=LOGS) as town:
        town.witness_keys[A.name] = WITNESS
        town.wire.cut.add("d1.test")
        with capture_logs():
            node = town.open(A)
            begin_memory(node.store, WITNESS, since="2026-11-21T08:00:00.000Z", why=NEW_KEY)
            await node.recovery.once()
            await node.foreign.open(behind=False)
            stand = Stand(town, node)
            async with stand.client:
                yield stand


def check(answer: httpx.Response, log: ForeignLog, size: int, *, time: int = NOW_MS // 1000) -> None:
    assert answer.status_code == 200, answer.text
    [signature] = parse_cosignatures(answer.content)
    assert verify_cosignature(WITNESS.verifier, log.checkpoint(size).text, signature) == time


async def test_a_foreign_log_is_cosigned_step_by_step_by_the_witness_key_alone(stand: Stand) -> None:
    for log in (fresh(SUMDB, 0), fresh(OTHER, 0)):
        size = 0
        for more in (0, 1, 2, 5, 250):
            log.grow(more)
            check(await stand.ask(log.request(size)), log, log.size)
            size = log.size
        assert stand.node.foreign.last(log.origin) == log.checkpoint()
    assert set(stand.node.states) == set(LAW.network.members)  # nothing was fetched, nothing is mirrored


async def test_the_same_size_again_gives_a_fresh_timestamp_and_may_have_other_extension_lines(stand: Stand) -> None:
    log = fresh()
    check(await stand.ask(log.request(0)), log, 5)
    stand.town.clock.advance(7_000)
    later = replace(log, extensions=("timestamp 1679315154",))
    check(await stand.ask(later.request(5)), later, 5, time=NOW_MS // 1000 + 7)
    assert stand.node.foreign.last(log.origin) == later.checkpoint()


async def test_only_the_logs_own_signatures_are_kept(stand: Stand) -> None:
    log = fresh()
    note = log.checkpoint()
    strangers = [Signer(f"stranger-{n}", ED25519, seed(str(n))).sign(note.text) for n in range(99)]
    body = AddCheckpoint(TreeSize(0), (), Note(note.text, (*strangers, *note.signatures))).encode()
    check(await stand.ask(body), log, 5)
    assert stand.node.foreign.last(log.origin) == note


async def test_each_refusal_has_its_status(stand: Stand) -> None:
    log = fresh(size=9)
    check(await stand.ask(log.request(0, 5)), log, 5)
    unsigned = Note(log.checkpoint().text, (Signer(SUMDB.key_name, ED25519, seed("x")).sign(log.checkpoint().text),))
    wrong = AddCheckpoint(TreeSize(5), tuple(log.proof(4, 9)), log.checkpoint())
    rows: list[tuple[bytes, int]] = [
        (fresh(ForeignLog("unknown.example/log")).request(0), 404),
        (AddCheckpoint(TreeSize(5), (), unsigned).encode(), 403),
        (AddCheckpoint(TreeSize(6), (), log.checkpoint(5)).encode(), 400),
        (log.request(0), 409),
        (log.request(8), 409),
        (log.fork(2, 7).request(5), 422),
        (wrong.encode(), 422),
        (log.request(5, 5, root=seed("another")), 422),
    ]
    for body, status in rows:
        answer = await stand.ask(body)
        assert answer.status_code == status, answer.text
        if status == 409:
            assert (answer.content, answer.headers["content-type"]) == (b"5\n", "text/x.tlog.size")
    check(await stand.ask(log.request(5)), log, 9)


async def test_a_proof_from_size_0_and_an_empty_tree_with_a_root_are_422(stand: Stand) -> None:
    log = fresh()
    proof = AddCheckpoint(TreeSize(0), (seed(),), log.checkpoint()).encode()
    root = AddCheckpoint(TreeSize(0), (), log.checkpoint(0, root=seed())).encode()
    assert [(await stand.ask(body)).status_code for body in (proof, root)] == [422, 422]
    empty = AddCheckpoint(TreeSize(0), (), log.checkpoint(0, root=EMPTY_ROOT)).encode()
    assert (await stand.ask(empty)).status_code == 200
    check(await stand.ask(log.request(0)), log, 5)


async def test_a_log_that_contradicts_itself_convicts_itself_and_raises_no_alarm_here(stand: Stand) -> None:
    log = fresh()
    check(await stand.ask(log.request(0)), log, 5)
    for lie in ("one", "two"):
        assert (await stand.ask(log.request(5, root=seed(lie)))).status_code == 422
    kept = json.loads(stand.node.foreign.contradiction(log.origin) or b"")
    assert lines_to_text(kept["first"]) == log.checkpoint().encode()
    assert lines_to_text(kept["second"]) == log.checkpoint(root=seed("one")).encode()
    assert not stand.node.alarms
    check(await stand.ask(log.grow(1).request(5)), log, 6)


async def test_racing_requests_never_cosign_two_histories(stand: Stand) -> None:
    log = fresh()
    branches = [log.fork(3, 5, "left"), log.fork(3, 5, "right")]
    bodies = [branches[n % 2].request(0, size) for n, size in enumerate([4, 5, 6, 7, 8, 4, 5, 6] * 8)]
    answers = await asyncio.gather(*map(stand.ask, bodies))
    good = [body for body, answer in zip(bodies, answers, strict=True) if answer.status_code == 200]
    assert len(good) == 1
    assert {answer.status_code for answer in answers} == {200, 409}


async def test_the_compare_in_the_write_itself_decides(stand: Stand) -> None:
    log = fresh()

    def job(transaction: Transaction) -> None:
        foreign._compare_and_store(transaction, log.origin, None, log.checkpoint())

    await asyncio.wrap_future(stand.node.writer.submit(job))
    with pytest.raises(WrongSizeError) as refused:
        await asyncio.wrap_future(stand.node.writer.submit(job))
    assert refused.value.size == 5


async def test_a_request_that_is_given_up_leaves_no_room_for_a_second_history(stand: Stand) -> None:
    log = fresh()
    fork = log.fork(3, 2)
    given_up = asyncio.create_task(stand.ask(log.request(0)))
    await asyncio.sleep(0)
    given_up.cancel()
    answers = await asyncio.gather(*(stand.ask(one.request(0)) for one in (fork, log, fork)))
    good = [one for one, answer in zip((fork, log, fork), answers, strict=True) if answer.status_code == 200]
    kept = stand.node.foreign.last(log.origin)
    assert len(good) <= 1
    assert kept is not None
    assert all(one.checkpoint() == kept for one in good)


# Crashes.


@pytest.mark.parametrize("member", [True, False])
async def test_a_crash_between_store_and_answer_forgets_nothing(stand: Stand, *, member: bool) -> None:
    log: Any = PaperLog(B, LAW.network) if member else fresh(size=1)
    if member:
        stand.town.wire.cut.clear()
        stand.town.wire.answer(B, log.answer)
        log.append(share(1, A))
        await stand.node.mirror.catch_up(B.origin, 2)
    else:
        log.grow(1)
    disk: MemoryDisk = stand.town.disks[A.name]
    disk.fail_write(disk.writes + 1, Fault.AFTER)  # it is on the disk, and the writer does not know it
    assert (await stand.ask(log.request(0))).status_code == 503
    stand = await stand.again()
    async with stand.client:
        answer = await stand.ask(log.request(0))
        assert (answer.status_code, answer.content) == (409, b"2\n")
        assert (await stand.ask(log.request(2))).status_code == 200


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.NO_SPACE])
async def test_a_crash_before_the_store_has_said_nothing(stand: Stand, fault: Fault) -> None:
    log = fresh()
    disk = stand.town.disks[A.name]
    disk.fail_write(disk.writes + 1, fault)
    assert (await stand.ask(log.request(0))).status_code == 503
    stand = await stand.again()
    async with stand.client:
        fork = log.fork(2, 3)
        check(await stand.ask(fork.request(0)), fork, 5)


async def test_a_damaged_store_is_503(stand: Stand) -> None:
    log = fresh()
    check(await stand.ask(log.request(0)), log, 5)
    stand.town.disks[A.name].flip(layout.foreign_key(log.origin))
    assert (await stand.ask(log.request(5))).status_code == 503


# Memory.


async def test_without_its_memory_a_witness_cosigns_nothing(tmp_path: Path) -> None:
    log = fresh()
    async with Town(tmp_path, [A, B], law=LAW, witnessed=LOGS) as town:
        town.witness_keys[A.name] = WITNESS
        town.wire.cut.add("d1.test")
        node = town.open(A)
        async with town.client(A, token=None) as client:
            early = await client.post("/witness/add-checkpoint", content=log.request(0))
            await node.recovery.once()
            await node.foreign.open(behind=False)
            late = await client.post("/witness/add-checkpoint", content=log.request(0))
        assert (early.status_code, late.status_code) == (503, 503)
        assert "old copy" in early.text
        assert "does not know everything" in late.text
        assert node.foreign.memory() is None


async def test_another_keys_memory_is_not_this_ones(stand: Stand) -> None:
    stand.town.witness_keys[A.name] = Signer(WITNESS.name, COSIGNATURE, seed("a new one"))
    stand = await stand.again()
    async with stand.client:
        assert (await stand.ask(fresh().request(0))).status_code == 503


async def test_a_store_that_was_an_old_copy_is_not_trusted_until_somebody_decides(stand: Stand) -> None:
    log = fresh(size=9)
    check(await stand.ask(log.request(0, 5)), log, 5)
    with capture_logs() as said:
        await stand.node.foreign.open(behind=True)
    assert "old copy" in said[0]["event"]
    assert (await stand.ask(log.request(5))).status_code == 503
    stand = await stand.again()
    async with stand.client:
        assert (await stand.ask(log.request(5))).status_code == 503
        store = stand.node.store
        begin_memory(store, WITNESS, since="2026-11-22T08:00:00.000Z", why="decided")
        with capture_logs() as said:
            await stand.node.foreign.open(behind=False)
        assert [one["why"] for one in said] == ["decided"]
        check(await stand.ask(log.request(5)), log, 9)


async def test_a_node_notices_that_its_store_was_an_old_copy(tmp_path: Path) -> None:
    async with Town(tmp_path, [A, B], law=LAW, witnessed=LOGS, recovery_answers="all") as town:
        town.witness_keys = {A.name: WITNESS, B.name: WITNESS}
        node, _ = await town.start(A, B)
        old = copy.deepcopy(town.disks[A.name].cells)
        async with town.client(A) as client:
            await client.post("/v1/events", json=share(1, B), params={"wait": "confirmed"})
        size = node.state.size
        await town.stop(A)
        town.disks[A.name].cells = old
        (town.folder / A.name / "head").unlink(missing_ok=True)
        store = town.disks[A.name].open()
        begin_memory(store, WITNESS, since="2026-11-21T08:00:00.000Z", why=NEW_KEY)
        store.close()
        [node] = await town.start(A)
        assert node.state.size >= size
        await until(lambda: node.foreign.memory() is None, "the doubt")
        async with town.client(A, token=None) as client:
            answer = await client.post("/witness/add-checkpoint", content=fresh().request(0))
        assert answer.status_code == 503


async def test_a_crash_during_the_return_does_not_make_the_memory_of_an_old_copy_whole(tmp_path: Path) -> None:
    """The entries of its own log are back after the second start, so nothing is lacking by which the first one knew."""
    async with Town(tmp_path, [A, B], law=LAW, witnessed=LOGS, recovery_answers="all") as town:
        town.witness_keys = {A.name: WITNESS, B.name: WITNESS}
        await town.start(A, B)
        old = copy.deepcopy(town.disks[A.name].cells)
        async with town.client(A) as client:
            await client.post("/v1/events", json=share(1, B), params={"wait": "confirmed"})
        await town.stop(A)
        town.disks[A.name].cells = old
        (town.folder / A.name / "head").unlink(missing_ok=True)
        store = town.disks[A.name].open()
        begin_memory(store, WITNESS, since="2026-11-21T08:00:00.000Z", why=NEW_KEY)
        store.close()
        node = town.open(A)
        with capture_logs():
            await node.recovery.once()
        assert node.recovery.restored
        await town.stop(A)
        [node] = await town.start(A)
        await until(lambda: node.foreign._open, "the end of the return")
        assert node.foreign.memory() is None


async def test_a_memory_that_cannot_be_judged_keeps_the_witness_shut(stand: Stand) -> None:
    disk = stand.town.disks[A.name]
    disk.fail_write(disk.writes + 1, Fault.BEFORE)
    stand.node.foreign._open = False
    with capture_logs() as said:
        await stand.node.foreign.open(behind=True)
    assert any("cannot be told" in one["event"] for one in said)
    assert (await stand.ask(fresh().request(0))).status_code == 503


async def test_the_same_checkpoint_again_is_not_written_again(stand: Stand) -> None:
    log = fresh()
    check(await stand.ask(log.request(0)), log, 5)
    writes = stand.town.disks[A.name].writes
    for _ in range(3):
        check(await stand.ask(log.request(5)), log, 5)
    assert stand.town.disks[A.name].writes == writes


async def test_a_node_in_doubt_about_its_own_log_cosigns_nothing(stand: Stand) -> None:
    stand.node.alarms.take(IntegrityAlarm("a test", field=A.origin))
    assert (await stand.ask(fresh().request(0))).status_code == 503


def test_a_memory_that_is_damaged_is_no_memory() -> None:
    store = MemoryDisk().create()
    batch = Batch()
    batch.put(layout.memory_key(), b"{}")
    store.write(batch)
    with pytest.raises(StoreCorruptError):
        read_memory(store)


def test_heads_come_back_from_checkpoints_that_this_witness_has_cosigned() -> None:
    store = MemoryDisk().create()
    log = fresh(size=9)

    def kept(size: int, **changes: Any) -> bytes:
        note = log.checkpoint(size, **changes)
        return Note(note.text, (*note.signatures, WITNESS.cosign(note.text, 1))).encode()

    witnessed = [WitnessedLog.model_validate(one) for one in LOGS]
    heads = remembered_heads(store, WITNESS, witnessed, [kept(5), kept(7), kept(6)])
    assert heads == {log.origin: log.checkpoint(7)}
    begin_memory(store, WITNESS, since="2026-11-22T08:00:00.000Z", why="from the log", heads=heads)
    assert store.get(layout.foreign_key(log.origin)) == log.checkpoint(7).encode()
    assert remembered_heads(store, WITNESS, witnessed, [kept(3)]) == {}
    with pytest.raises(IntegrityAlarm, match="two roots"):
        remembered_heads(store, WITNESS, witnessed, [kept(7, root=seed())])
    with pytest.raises(UnsignedError):
        remembered_heads(store, WITNESS, witnessed, [log.checkpoint(8).encode()])
    only = Note(log.checkpoint(8).text, (WITNESS.cosign(log.checkpoint(8).text, 1),)).encode()
    with pytest.raises(UnsignedError):
        remembered_heads(store, WITNESS, witnessed, [only])
    with pytest.raises(CheckpointError):
        remembered_heads(store, WITNESS, witnessed, [Note("no\n", (WITNESS.cosign("no\n", 1),)).encode()])


def test_a_members_log_is_no_foreign_log() -> None:
    setting = WitnessedLog.model_validate({"origin": B.origin, "vkeys": [B.keys.log.verifier.vkey]})
    with pytest.raises(ConfigError, match="is a member of network test"):
        check_foreign([setting], LAW.network)
