"""Signing beside the node: the same entries as in it, whatever happens to the processes, and none of them left."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from node_helpers import NOW_MS, Town, event_id, paper, parties, share, until
from structlog.testing import capture_logs

from ledger.encoding import canonical_json
from ledger.entry import chain, open_chain, verify_entries
from ledger.note import SigningKey
from node import signatories
from node.api.events import prepare_batch
from node.briefs import brief_batch
from node.history import read_entries
from node.service import Node
from node.signatories import EVENTS_MIN, LOST_MAX, ROUND_MIN, Signatories
from node.signing import Signed, sign
from node.worker import Worker, WorkerLostError

A, B = parties(2)
LAW = paper([A, B])
KEY = A.keys.log


def texts_of(count: int) -> list[bytes]:
    events = [canonical_json({"number": number}).encode() for number in range(count)]
    return chain(open_chain(A.origin, LAW.network.text.encode()), events, time=NOW_MS)[0]


TEXTS = texts_of(2 * ROUND_MIN + 1)


@pytest.fixture
async def crew() -> AsyncIterator[Signatories]:
    crew = Signatories(2, pool=None)
    yield crew
    await asyncio.to_thread(crew.close)
    assert not crew.pids


def is_up(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def started(crew: Signatories) -> list[int]:
    """Sign as many texts as it takes to start processes, and wait for them."""
    for _ in range(-(-EVENTS_MIN // len(TEXTS))):
        crew.begin(KEY, TEXTS)
    crew.notice()
    await until(lambda: crew.pids, "the processes")
    return crew.pids


async def test_processes_come_when_much_is_signed_and_sign_as_the_node_does(crew: Signatories) -> None:
    crew._signed = EVENTS_MIN - 1 - len(TEXTS)
    assert crew.begin(KEY, TEXTS)() == sign(KEY, TEXTS)
    assert crew.begin(KEY, TEXTS[: ROUND_MIN - 1])() == sign(
        KEY, TEXTS[: ROUND_MIN - 1]
    )  # for which none would be asked
    crew.notice()
    assert not crew._starting
    pids = await started(crew)
    assert len(set(pids)) == crew.at_once == 2
    for count in (ROUND_MIN, ROUND_MIN + 1, len(TEXTS)):
        assert crew.begin(KEY, TEXTS[:count])() == sign(KEY, TEXTS[:count])
    waits = [crew.begin(KEY, TEXTS[: ROUND_MIN + number]) for number in range(crew.in_line + 1)]  # the last one: here
    for number, wait in enumerate(waits):
        assert wait() == sign(KEY, TEXTS[: ROUND_MIN + number])
    other = B.keys.log  # a key that has followed another one
    assert crew.begin(other, TEXTS)() == sign(other, TEXTS)
    assert crew.pids == pids


async def test_few_texts_and_keys_of_a_device_are_signed_here(
    crew: Signatories, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Device(SigningKey):
        name, algorithm, verifier = KEY.name, KEY.algorithm, KEY.verifier

        def sign_bytes(self, message: bytes) -> bytes:
            return KEY.sign_bytes(message)

    await started(crew)
    for worker in crew._workers:
        monkeypatch.setattr(worker, "tell", lambda _: pytest.fail("a process was asked"))
    assert crew.begin(KEY, TEXTS[: ROUND_MIN - 1])() == sign(KEY, TEXTS[: ROUND_MIN - 1])
    assert crew.begin(Device(), TEXTS)() == sign(KEY, TEXTS)
    assert crew.begin(KEY, [])() == Signed([], [])


async def test_without_processes_the_node_signs() -> None:
    crew = Signatories(0, pool=None)
    crew._signed = 2 * EVENTS_MIN
    assert crew.begin(KEY, TEXTS)() == sign(KEY, TEXTS)
    crew.notice()
    assert not crew._starting
    crew.close()


@pytest.mark.parametrize("ended_by", ["a kill", "silence"])
async def test_when_a_process_is_lost_its_texts_are_signed_here_and_it_is_told(
    crew: Signatories, ended_by: str
) -> None:
    first, second = await started(crew)
    os.kill(first, signal.SIGSTOP)
    with capture_logs() as logs:
        wait = crew.begin(KEY, TEXTS)
        if ended_by == "a kill":
            os.kill(first, signal.SIGKILL)
        else:
            crew._workers[0]._line.settimeout(0.05)
        assert wait() == sign(KEY, TEXTS)
    assert crew.pids == [second]
    assert not is_up(first)
    assert [(line["event"], line["code"]) for line in logs] == [("signing goes on without a process", "worker_lost")]
    assert crew.begin(KEY, TEXTS)() == sign(KEY, TEXTS)


async def test_with_a_process_all_its_parts_are_lost_signed_here_and_told_once(crew: Signatories) -> None:
    first, second = await started(crew)
    os.kill(first, signal.SIGSTOP)
    with capture_logs() as logs:
        waits = [crew.begin(KEY, TEXTS[: ROUND_MIN + number]) for number in range(crew.in_line)]
        os.kill(first, signal.SIGKILL)
        for number, wait in enumerate(waits):
            assert wait() == sign(KEY, TEXTS[: ROUND_MIN + number])
    assert crew.pids == [second]
    assert not crew._asked
    assert [line["code"] for line in logs] == ["worker_lost"]


async def test_parts_of_any_length_are_given_before_the_first_one_is_heard(crew: Signatories) -> None:
    long = chain(
        open_chain(A.origin, LAW.network.text.encode()), [canonical_json({"x": "y" * 60_000}).encode()] * ROUND_MIN,
        time=NOW_MS,
    )[0]  # fmt: skip
    pids = await started(crew)
    waits = [crew.begin(KEY, long) for _ in range(crew.in_line)]  # 4 MB each, both ways: more than any line holds
    expected = sign(KEY, long)
    assert all(wait() == expected for wait in waits)
    assert crew.pids == pids


@pytest.mark.parametrize("last", [b"", b"\x80\x05\x95"])
async def test_a_process_ends_with_its_line_also_within_a_value(crew: Signatories, last: bytes) -> None:
    await started(crew)
    worker = crew._workers[0]
    worker._line.sendall(last)
    worker._line.shutdown(socket.SHUT_WR)
    assert await asyncio.to_thread(worker._process.wait, 10) == 0


async def test_a_process_that_finds_no_answer_ends_at_once_and_keeps_nobody_waiting() -> None:
    worker = Worker("signing", seconds_max=60)
    with pytest.raises(WorkerLostError, match="EOFError"):
        await asyncio.to_thread(worker.ask, "no request")
    assert not is_up(worker.pid)


@pytest.mark.parametrize("wrong", [None, Signed([], []), Signed([b"other"] * 65, [bytes(32)] * 65)])
async def test_what_begins_with_another_text_is_not_used(
    crew: Signatories, monkeypatch: pytest.MonkeyPatch, wrong: Signed | None
) -> None:
    first, second = await started(crew)
    hear = crew._workers[0].hear

    def lie() -> object:
        hear()
        return wrong

    monkeypatch.setattr(crew._workers[0], "hear", lie)
    assert crew.begin(KEY, TEXTS)() == sign(KEY, TEXTS)
    assert crew.pids == [second]
    assert not is_up(first)


async def test_after_some_losses_no_more_processes_are_started(
    crew: Signatories, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    crew._signed = EVENTS_MIN
    with capture_logs() as logs:
        for _ in range(LOST_MAX + 2):
            crew.notice()
            await until(lambda: not crew._starting)
    assert [line["event"] for line in logs] == ["signing goes on without a process"] * LOST_MAX


async def test_processes_are_ended_when_little_is_signed_and_started_again(
    crew: Signatories, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await started(crew)
    assert crew._watch is not None
    crew._watch.cancel()
    with monkeypatch.context() as patch:
        patch.setattr(signatories, "IDLE_SECONDS", 0.05)
        crew._look()
        assert crew.pids == before  # much was signed since the last look
        await until(lambda: not crew.pids, "the end of idle processes")
    assert not any(map(is_up, before))
    assert not set(await started(crew)) & set(before)


BODY = canonical_json({"events": [share(number, B) for number in range(ROUND_MIN)]}).encode()


async def test_batches_are_recognised_beside_the_node_when_much_is_recorded(
    crew: Signatories, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert crew.brief(BODY) == brief_batch(BODY)
    await started(crew)
    with monkeypatch.context() as patch:
        patch.setattr(signatories, "brief_batch", lambda _: pytest.fail("it was done here"))
        assert crew.brief(BODY) == brief_batch(BODY)
        assert crew.brief(b"nothing that is recognised") is None
    crew._end()
    assert crew.brief(BODY) == brief_batch(BODY)


async def test_when_the_process_that_recognises_is_lost_it_is_done_here_and_told(crew: Signatories) -> None:
    pids = await started(crew)
    assert crew._reader is not None
    os.kill(crew._reader.pid, signal.SIGKILL)
    with capture_logs() as logs:
        assert crew.brief(BODY) == crew.brief(BODY) == brief_batch(BODY)
    assert [line["code"] for line in logs] == ["worker_lost"]
    assert crew.pids == pids
    assert crew.begin(KEY, TEXTS)() == sign(KEY, TEXTS)


async def test_a_process_that_is_ended_while_it_recognises_is_no_loss(crew: Signatories) -> None:
    await started(crew)
    reader = crew._reader
    assert reader is not None
    os.kill(reader.pid, signal.SIGSTOP)
    with capture_logs() as logs:
        asking = asyncio.create_task(asyncio.to_thread(crew.brief, BODY))
        await until(crew._reading.locked, "the question")
        crew._end()
        assert await asking == brief_batch(BODY)
    assert not logs
    assert not is_up(reader.pid)


async def record(node: Node, numbers: range) -> None:
    """Submit a batch as it comes over HTTP; several of them at one time are begun one while another is written."""
    body = canonical_json({"events": [share(number, B) for number in numbers]}).encode()
    answers = await node.submit(await asyncio.to_thread(prepare_batch, node, body), wait_confirmed=False)
    assert [one.event_id for one, _ in answers] == [event_id(number) for number in numbers]


@pytest.mark.slow
async def test_a_node_whose_processes_come_and_are_killed_has_one_unbroken_log(tmp_path: Path) -> None:
    async with Town(tmp_path, [A], law=paper([A, B], quorum={"faults": 0}), sign_processes=2) as town:
        [node] = await town.start(A)
        killed = 0
        for turn in range(14):
            if turn > 8 and node.signatories.pids:
                os.kill(node.signatories.pids[0], signal.SIGKILL)
                killed += 1
            first = 1 + 1500 * turn
            await asyncio.gather(*(record(node, range(first + start, first + start + 500)) for start in (0, 500, 1000)))
            if turn == 7:
                await until(lambda: node.signatories.pids, "the processes")
        assert killed >= 2
        state, head = node.state, open_chain(A.origin, node.network.text.encode())
        while head.size < state.size:
            raws = read_entries(node.store, state, head.size, 1000, 1 << 26)
            _, head = verify_entries(head, raws, key_at=node.network.member(A.origin).log_key_at)
        assert head == state.chain
