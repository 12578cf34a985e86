"""Signing beside the node: the same entries as in it, whatever happens to the processes, and none of them left."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from node_helpers import NOW_MS, Town, paper, parties, share, until
from structlog.testing import capture_logs

from ledger.encoding import canonical_json
from ledger.entry import chain, open_chain, verify_entries
from ledger.note import SigningKey
from node import signatories
from node.history import read_entries
from node.sequencer import prepare
from node.signatories import EVENTS_MIN, LOST_MAX, ROUND_MIN, Signatories
from node.signing import Signed, sign

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
    crew.notice()
    assert not crew._starting
    pids = await started(crew)
    assert len(set(pids)) == crew.at_once == 2
    for count in (ROUND_MIN, ROUND_MIN + 1, len(TEXTS)):
        assert crew.begin(KEY, TEXTS[:count])() == sign(KEY, TEXTS[:count])
    waits = [crew.begin(KEY, TEXTS[: ROUND_MIN + number]) for number in range(4)]  # two more than there are processes
    for number in (3, 1, 0, 2):
        assert waits[number]() == sign(KEY, TEXTS[: ROUND_MIN + number])
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
    monkeypatch.setattr(signatories, "IDLE_SECONDS", 0.05)
    before = await started(crew)
    await until(lambda: not crew.pids, "the end of idle processes")
    assert not any(map(is_up, before))
    assert not set(await started(crew)) & set(before)


@pytest.mark.slow
async def test_a_node_whose_processes_come_and_are_killed_has_one_unbroken_log(tmp_path: Path) -> None:
    async with Town(tmp_path, [A], law=paper([A, B], quorum={"faults": 0}), sign_processes=2) as town:
        [node] = await town.start(A)
        killed = 0
        for turn in range(14):
            values = [share(1 + 1000 * turn + number, B) for number in range(1000)]
            events = tuple(prepare(value, origin=A.origin) for value in values)
            if turn > 8 and node.signatories.pids:
                os.kill(node.signatories.pids[0], signal.SIGKILL)
                killed += 1
            answers = await node.submit(events, wait_confirmed=False)
            assert [one.event_id for one, _ in answers] == [event.event.id for event in events]
            if turn == 7:
                await until(lambda: node.signatories.pids, "the processes")
        assert killed >= 2
        state, head = node.state, open_chain(A.origin, node.network.text.encode())
        while head.size < state.size:
            raws = read_entries(node.store, state, head.size, 1000, 1 << 26)
            _, head = verify_entries(head, raws, key_at=node.network.member(A.origin).log_key_at)
        assert head == state.chain
