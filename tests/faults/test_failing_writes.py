"""The disk fails the N-th write, for every N: nothing that was answered is lost, nothing is there twice."""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from node_helpers import (
    PATIENCE_SECONDS,
    RECORD,
    Desk,
    PaperLog,
    Town,
    entry_of,
    event_id,
    paper,
    parties,
    receipt,
    reference,
    share,
    until,
    verify_log,
)
from structlog.testing import capture_logs

from ledger.errors import StoreClosedError, StoreError
from ledger.manifest import make_manifest
from ledger.quorum import judge_checkpoint
from ledger.store.memory import Fault, MemoryDisk
from node import layout, publisher
from node.errors import NodeError

if TYPE_CHECKING:
    from node.service import Node
    from node.submission import Recorded

A, B = parties(2)
LAW = paper([A, B])


class Clerk:
    """Does the same work every time, and repeats what failed; remembers what it was answered."""

    def __init__(self, disk: MemoryDisk) -> None:
        self.disk = disk
        self.desk = Desk(A, LAW.network, disk=disk)
        self.desk.writer.start()
        self.b_log = PaperLog(B, LAW.network)
        [self.sent, self.also_sent] = self.b_log.append(share(100, A), share(101, A))
        self.manifest = make_manifest([RECORD, reference("another")])
        self.answered: dict[str, Recorded] = {}
        self.failures = 0

    def work(self) -> None:
        """Post, mirror, keep a manifest, answer shares: some ten writes."""
        ref = self.manifest.ref.model_dump()
        steps: list[Callable[[], Any]] = [
            lambda: self.post(share(1, B)),
            lambda: self.desk.take(self.b_log),
            lambda: self.post(share(2, B), share(3, B, records=[reference("3")])),
            lambda: self.post(receipt(4, self.sent)),
            self.keep,
            lambda: self.post(share(5, B, records=None, manifest=ref), receipt(6, self.also_sent)),
            lambda: self.post(share(7, B, parents=[self.sent.ref.model_dump()])),
            lambda: self.post(share(1, B), share(8, B)),
        ]
        for step in steps:
            self.until_done(step)

    def until_done(self, step: Callable[[], Any]) -> None:
        for _ in range(5):
            try:
                step()
            except (StoreError, NodeError):
                self.failures += 1
                if self.desk.store.closed:
                    self.open_again()
                continue
            return
        raise AssertionError("it never succeeded")

    def open_again(self) -> None:
        """What the next process does after a crash."""
        self.desk.writer.stop()
        self.desk = Desk(A, LAW.network, disk=self.disk)
        self.desk.writer.start()

    def post(self, *values: dict[str, Any]) -> None:
        for recorded in self.desk.record(*values):
            known = self.answered.setdefault(recorded.event_id, recorded)
            assert known == recorded

    def keep(self) -> None:
        def store(transaction: Any) -> None:
            transaction.batch.put(layout.manifest_key(self.manifest.root), self.manifest.encode())

        self.desk.writer.submit(store).result(PATIENCE_SECONDS)

    def check(self) -> None:
        """Everything answered is there exactly once, and both logs verify end to end."""
        entries = verify_log(self.desk.store, self.desk.state, LAW.network)
        ids = [entry.event["id"] for entry in entries]
        assert sorted(ids) == [event_id(number) for number in range(1, 9)]
        assert {entry.event["id"]: entry.ref for entry in entries} == {
            name: recorded.ref for name, recorded in self.answered.items()
        }
        mirrored = verify_log(self.desk.store, self.desk.writer.states[B.origin], LAW.network)
        assert [entry.raw for entry in mirrored] == self.b_log.raws
        self.desk.store.check()


def run(disk: MemoryDisk) -> Clerk:
    clerk = Clerk(disk)
    try:
        clerk.work()
        clerk.check()
        clerk.desk.writer.stop()
        clerk.desk.store.close()
        clerk.open_again()
        clerk.check()
    finally:
        clerk.desk.writer.stop()
        clerk.desk.store.close()
    return clerk


def writes_of_a_good_run() -> int:
    disk = MemoryDisk()
    assert run(disk).failures == 0
    return disk.writes


WRITES = writes_of_a_good_run()


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("number", range(1, WRITES + 1))
def test_the_failure_of_any_one_write_is_survived(number: int, fault: Fault) -> None:
    disk = MemoryDisk()
    disk.fail_write(number, fault)
    with capture_logs():
        assert run(disk).failures == 1


@pytest.mark.parametrize("first", range(1, WRITES + 1))
def test_the_failure_of_any_two_writes_is_survived(first: int) -> None:
    for second, faults in itertools.product(range(first + 1, WRITES + 2), itertools.product(Fault, repeat=2)):
        if (first + second) % 3:  # a third of them, evenly spread, is enough
            continue
        disk = MemoryDisk()
        disk.fail_write(first, faults[0])
        disk.fail_write(second, faults[1])
        with capture_logs():
            run(disk)


@pytest.mark.parametrize("number", range(1, WRITES + 1))
def test_a_crash_during_any_write_is_survived(number: int) -> None:
    disk = MemoryDisk()

    def crash() -> None:
        if disk.writes == number and disk.owner is not None:
            disk.owner._gate.state = type(disk.owner._gate.state).CLOSED
            disk.owner = None
            disk.on_write = None

    disk.on_write = crash
    with capture_logs():
        assert run(disk).failures >= 1


# A whole node, with its publisher.


async def start(town: Town) -> "Node":
    for _ in range(5):
        try:
            [node] = await town.start(A)
        except StoreError:
            await town.stop(A)
            continue
        return node
    raise AssertionError("it never started")


async def keep(node: "Node", number: int) -> None:
    """Keep a manifest, asking once more if need be."""
    manifest = make_manifest([reference(str(number))])
    with suppress(StoreError):
        await node.keep_manifest(manifest)
        return
    await node.keep_manifest(manifest)


@pytest.mark.parametrize("number", range(1, 8))
@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER])
async def test_a_node_survives_the_failure_of_any_of_its_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, fault: Fault
) -> None:
    """Opening the log, signing a checkpoint, confirming it, keeping a manifest: whichever write it is."""
    monkeypatch.setattr(publisher, "RETRY_SECONDS_MIN", 0.01)
    law = paper([A, entry_of(B, status="suspended")])
    disk = MemoryDisk()
    disk.fail_write(number, fault)
    async with Town(tmp_path, [A, B], law=law) as town:
        town.disks[A.name] = disk
        with capture_logs():
            node = await start(town)
            await keep(node, 0)
            await until(lambda: node.state.confirmed_size == node.state.size == 1)
            for index in range(1, 9):
                await keep(node, index)
        assert disk.writes > number
        assert not node.alarms
        assert node.writer.failure is None
        assert len(verify_log(node.store, node.state, law.network)) == 1
        head = judge_checkpoint(node.home.head.read_bytes(), law.network)
        assert node.state.checkpoint is not None
        assert head.checkpoint == node.state.checkpoint.checkpoint
        await town.stop(A)
        [node] = await town.start(A)
        assert node.state.confirmed_size == 1


async def test_a_disk_that_stays_full_stops_nothing_but_the_writing(tmp_path: Path) -> None:
    law = paper([A, entry_of(B, status="suspended")])
    async with Town(tmp_path, [A, B], law=law) as town:
        [node] = await town.start(A)
        await until(lambda: node.state.confirmed_size == 1)
        disk = town.disks[A.name]
        for ahead in range(1, 30):
            disk.fail_write(disk.writes + ahead, Fault.NO_SPACE)
        with capture_logs():
            for index in range(5):
                with pytest.raises(StoreError, match="no space"):
                    await node.keep_manifest(make_manifest([reference(str(index))]))
            async with town.client(A) as client:
                assert (await client.get("/v1/logs")).status_code == 200
                assert (await client.get("/v1/health")).status_code == 200
            await asyncio.sleep(0)
        assert not node.alarms


def test_a_store_that_was_closed_under_the_writer_ends_the_writing() -> None:
    desk = Desk(A, LAW.network)
    with capture_logs(), desk:
        desk.store.close()
        with pytest.raises(StoreClosedError):
            desk.record(share(1, B))
