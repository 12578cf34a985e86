"""Reading a backlog: in order, in bounded memory, from whoever has it, and nothing of it twice."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from node_helpers import PaperLog, Town, bundle, paper, parties, share, until, verify_log
from structlog.testing import capture_logs

from node import backlog, verifying
from node.backlog import Room
from node.errors import FrozenError
from node.faults import PeerError
from node.layout import origin_hash
from node.peers import ENTRIES_BYTES_MAX
from node.service import Node
from node.verifying import Verifiers

A, B, C = THREE = parties(3)
LAW = paper(THREE)
PIECE = 20  # entries of an answer here, so that small logs are backlogs


class Archive:
    """A's node, and B's log on paper, fifteen pieces long, which B and C serve; and what they were asked for."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.log = PaperLog(B, LAW.network, THREE)
        self.log.grow(15 * PIECE - 1, A)
        self.raws = {"d1.test": list(self.log.raws), "d2.test": list(self.log.raws)}
        self.asked: list[tuple[str, int]] = []
        for party in (B, C):
            town.wire.answer(party, self.answer)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        asked = parse_qs(request.url.query.decode())
        start, limit = int(asked["start"][0]), int(asked["limit"][0])
        self.asked.append((host, start))
        return bundle(self.raws[host][start : start + limit])

    @property
    def node(self) -> Node:
        return self.town.nodes[A.name]

    @property
    def size(self) -> int:
        return self.node.states[B.origin].size

    async def catch_up(self) -> None:
        await self.node.mirror.catch_up(B.origin, self.log.size)

    def verify(self) -> None:
        stored = verify_log(self.node.store, self.node.states[B.origin], LAW.network)
        assert [entry.raw for entry in stored] == self.log.raws[: self.size]


def is_up(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "ENTRIES_MAX", PIECE)
    monkeypatch.setattr(backlog, "BACKLOG_MIN", 2 * PIECE)


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    async with Town(tmp_path, THREE, law=LAW, verify_processes=1) as town:
        with capture_logs():
            town.open(A)
            yield Archive(town)


async def test_a_backlog_is_read_in_order_and_once(archive: Archive) -> None:
    await archive.catch_up()
    archive.verify()
    assert archive.asked == [("d1.test", start) for start in range(0, 15 * PIECE, PIECE)]
    assert archive.size == 15 * PIECE
    room = archive.node.mirror.fetcher._room
    assert (room.taken, archive.node.verifiers.pids) == (0, [])


async def test_towards_the_end_processes_share_what_is_left(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "PIECE_MIN", PIECE // 4)
    monkeypatch.setattr(Verifiers, "pids", [os.getpid()])
    await archive.catch_up()
    archive.verify()
    ends = [14 * PIECE, 14 * PIECE + PIECE // 2, 15 * PIECE - PIECE // 4]
    assert [start for _, start in archive.asked] == [*range(0, 14 * PIECE, PIECE), *ends]


async def test_it_leaves_the_same_bytes_as_piece_by_piece(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    await archive.catch_up()
    ahead = dict(archive.node.store.scan(b"", b"\xff" * 300))
    await archive.town.stop(A)
    archive.town.disks.clear()
    monkeypatch.setattr(backlog, "BACKLOG_MIN", 10**9)
    archive.town.open(A)
    await archive.catch_up()
    assert dict(archive.node.store.scan(b"", b"\xff" * 300)) == ahead


@pytest.mark.parametrize("wrong", [0, 7 * PIECE, 7 * PIECE + 5, 15 * PIECE - 1])
async def test_a_bad_piece_stops_at_the_last_good_one_and_the_next_source_goes_on_from_there(
    archive: Archive, wrong: int
) -> None:
    raws = archive.raws["d1.test"]
    raws[wrong] = raws[wrong].replace(b'"check of', b'"sale of ').replace(b'"software":"test"', b'"software":"best"')
    with capture_logs() as logs:
        await archive.catch_up()
    archive.verify()
    first = wrong - wrong % PIECE
    assert [start for host, start in archive.asked if host == "d2.test"] == list(range(first, 15 * PIECE, PIECE))
    [failed] = [line for line in logs if line["event"] == "a source failed"]
    assert failed["code"] == "invalid_signature"
    assert failed["error"].startswith(f"entry {wrong}.line 8")
    assert archive.node.mirror.fetcher._room.taken == 0


async def test_a_piece_that_holds_and_does_not_follow_convicts_the_log_and_is_not_stored(archive: Archive) -> None:
    fork = PaperLog(B, LAW.network)
    fork.append(*(share(number, A, case="another story") for number in range(1, 15 * PIECE)))
    archive.raws["d1.test"][5 * PIECE :] = fork.raws[5 * PIECE :]
    with pytest.raises(FrozenError, match=f"an entry {5 * PIECE} that follows another entry {5 * PIECE - 1}"):
        await archive.catch_up()
    archive.verify()
    assert archive.size == 5 * PIECE
    assert archive.node.mirror.fetcher._room.taken == 0


async def test_when_a_source_breaks_off_what_has_come_is_kept(archive: Archive) -> None:
    archive.raws["d1.test"] = archive.raws["d1.test"][: 6 * PIECE]
    await archive.catch_up()
    archive.verify()
    assert [start for host, start in archive.asked if host == "d2.test"] == list(range(6 * PIECE, 15 * PIECE, PIECE))


async def test_what_waits_to_be_written_is_bounded_in_bytes(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    most = 4 * sum(map(len, archive.log.raws[:PIECE]))
    monkeypatch.setattr(backlog, "ENTRIES_BYTES_MAX", most // 4 + 100)
    room = archive.node.mirror.fetcher._room = Room(most)
    await archive.catch_up()
    archive.verify()
    assert most // 2 < room.most <= most
    assert room.taken == 0


async def test_without_any_room_a_log_still_gets_the_piece_that_comes_next(archive: Archive) -> None:
    room = archive.node.mirror.fetcher._room = Room(0)
    await archive.catch_up()
    archive.verify()
    assert room.most <= ENTRIES_BYTES_MAX + sum(map(len, archive.log.raws[:PIECE]))


async def test_fetching_goes_on_while_a_piece_is_written_but_not_for_ever(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = asyncio.Event()
    take = archive.node.mirror.fetcher._take

    async def slowly(*arguments: Any, **options: Any) -> None:
        await held.wait()
        await take(*arguments, **options)

    monkeypatch.setattr(archive.node.mirror.fetcher, "_take", slowly)
    task = asyncio.create_task(archive.catch_up())
    await until(lambda: len(archive.asked) >= 5)
    await asyncio.sleep(0.02)
    ahead = len(archive.asked)
    assert ahead == 5  # the piece in hand, three that wait for it (twice the processes, and one), and one in the hand
    assert archive.size == 0
    held.set()
    await task
    archive.verify()


async def test_a_log_that_somebody_else_has_written_meanwhile_is_read_on_from_its_end(archive: Archive) -> None:
    await archive.node.mirror.catch_up(B.origin, PIECE)
    stored = archive.size
    peer = archive.node.peers[B.origin]
    member = LAW.network.member(B.origin)
    room = Room()
    async with backlog.Reading(
        peer,
        member,
        15 * PIECE,
        consumer=A.origin,
        verifiers=archive.node.verifiers,
        room=room,
        clock=archive.node.clock,
    ) as reading:
        assert (await reading.next(stored)).piece.start == stored
        assert (await reading.next(5 * PIECE + 3)).piece.start == 5 * PIECE + 3
        assert (await reading.next(6 * PIECE + 3)).piece.raws == archive.log.raws[6 * PIECE + 3 : 7 * PIECE + 3]
        assert room.taken > 0
    assert room.taken == 0


# With processes.


@pytest.fixture
async def processes(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> Archive:
    monkeypatch.setattr(verifying, "PROCESSES_MIN", 2 * PIECE)
    await archive.node.mirror.catch_up(B.origin, 3 * PIECE)
    await until(lambda: archive.node.verifiers.pids, "a process")
    return archive


async def test_processes_are_not_left_when_the_node_stops(processes: Archive) -> None:
    [pid] = processes.node.verifiers.pids
    await processes.catch_up()
    processes.verify()
    assert processes.node.verifiers.pids == [pid]
    await processes.town.stop(A)
    assert not is_up(pid)


async def test_a_node_stops_in_the_middle_of_a_backlog(processes: Archive) -> None:
    [pid] = processes.node.verifiers.pids
    os.kill(pid, signal.SIGSTOP)  # it holds a piece, and others wait for it
    task = asyncio.create_task(processes.catch_up())
    await until(lambda: len(processes.asked) == 3 + 5)  # as many as there is room for
    room, node = processes.node.mirror.fetcher._room, processes.node
    await processes.town.stop(A)
    assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)
    assert not is_up(pid)
    assert (room.taken, node.verifiers._tasks) == (0, set())
    processes.town.open(A)
    await processes.catch_up()
    processes.verify()


async def test_a_process_that_is_killed_in_the_middle_costs_nothing_but_time(processes: Archive) -> None:
    [pid] = processes.node.verifiers.pids
    os.kill(pid, signal.SIGSTOP)
    task = asyncio.create_task(processes.catch_up())
    await until(lambda: len(processes.asked) == 3 + 5)  # as many as there is room for
    os.kill(pid, signal.SIGKILL)
    await task
    processes.verify()
    assert not [host for host, _ in processes.asked if host != "d1.test"]
    assert origin_hash(B.origin) in processes.node.by_hash


async def test_a_lie_is_found_by_processes_as_by_threads(processes: Archive) -> None:
    wrong = 8 * PIECE + 1
    for raws in processes.raws.values():
        raws[wrong] = raws[wrong].replace(b'"check of', b'"sale of ')
    with pytest.raises(PeerError, match=f"entry {wrong}.line 8"):
        await processes.catch_up()
    processes.verify()
    assert processes.size == 8 * PIECE
