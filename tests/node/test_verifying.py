"""Verifying beside the node: the same answers as in it, whatever happens to the processes, and none of them left."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node_helpers import PATIENCE_SECONDS, PaperLog, event_id, paper, parties, receipt, reference, share, until
from processes import unmeasured
from structlog.testing import capture_logs

from ledger.entry import open_chain
from ledger.errors import LedgerError
from node import line, verifying
from node.checking import Checked, Piece, check, judge
from node.verifying import LOST_MAX, PROCESSES_MIN, Verifiers
from node.worker import Worker, WorkerLostError

A, B = parties(2)
LAW = paper([A, B])
HASH = "A" * 43 + "="
START = open_chain(B.origin, LAW.network.text.encode())


def piece_of(raws: list[bytes], start: int = 0) -> Piece:
    return Piece(LAW.network.member(B.origin).keys, start, raws, A.origin)


def history(kinds: str) -> list[bytes]:
    """A log with one entry of each kind: s share, m with a manifest, r receipt, q an adoption, x no known event."""
    log = PaperLog(B, LAW.network)
    manifest = {"count": 1, "root": HASH}
    for number, kind in enumerate(kinds, 1):
        log.time_ms += number % 2
        values: dict[str, dict[str, Any]] = {
            "s": share(number, A, records=[reference(str(number)), reference("x")]),
            "m": share(number, A, records=None, manifest=manifest),
            "r": receipt(number, {"hash": HASH, "index": number, "log": A.origin}),
            "q": {
                "type": "network.adopt",
                "id": event_id(number),
                "network": "n",
                "version": 2,
                "hash": HASH,
            },
            "x": {"type": "unheard", "of": [number]},
        }
        log.append(values[kind])
    return log.raws


def told(piece: Piece) -> Checked | None:
    """What verifying the piece as a whole in this thread comes to, as the node has always done it."""
    try:
        return judge(START, piece)
    except LedgerError:
        return None


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker("checking", seconds_max=PATIENCE_SECONDS)
    yield worker
    worker.end()


@settings(deadline=None, max_examples=60)
@given(
    st.text("smrqx", max_size=4),
    st.none() | st.tuples(st.integers(0, 4), st.integers(0, 900), st.binary(max_size=2), st.integers(0, 2)),
)
def test_a_process_gives_what_the_thread_gives(worker: Worker, kinds: str, change: Any) -> None:
    raws = history(kinds)
    if change is not None:
        number, at, put, left_out = change
        number %= len(raws)
        raws[number] = raws[number][:at] + put + raws[number][at + left_out :]
    piece = piece_of(raws)
    checked = worker.ask(piece)
    assert checked == check(piece)
    expected = told(piece)
    if checked is not None and checked.follows(START):  # the first entry may be that of another history
        assert checked.growth == expected.growth if expected is not None else False
    else:
        assert expected is None


def test_a_piece_is_checked_before_its_place_is_known_and_fits_only_there() -> None:
    raws = history("smr")
    checked = check(piece_of(raws[2:], 2))
    assert checked is not None
    whole = judge(START, piece_of(raws))
    head = judge(START, piece_of(raws[:2])).growth.chain
    assert checked.follows(head)
    assert checked.growth.chain == whole.growth.chain
    assert checked.growth.leaves == whole.growth.leaves[2:]
    assert not checked.follows(START)
    assert not checked.follows(type(head)(head.origin, head.size, bytes(32), head.time))
    assert not checked.follows(type(head)(A.origin, head.size, head.previous, head.time))
    assert not checked.follows(type(head)(head.origin, head.size, head.previous, checked.begins.time + 1))
    assert check(piece_of([b"no entry"])) is None


# Processes that come and go.


@pytest.fixture
async def verifiers() -> AsyncIterator[Verifiers]:
    verifiers = Verifiers(1, pool=None)
    yield verifiers
    await verifiers.close()
    assert not verifiers.pids


def is_up(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def started(verifiers: Verifiers, piece: Piece) -> int:
    """Check a piece of a large backlog, and wait for the process which that starts."""
    assert await verifiers.begin(piece, PROCESSES_MIN) == check(piece)
    await until(lambda: verifiers.pids, "the process")
    return verifiers.pids[0]


async def test_a_small_backlog_starts_no_process(verifiers: Verifiers) -> None:
    piece = piece_of(history("ss"))
    assert await verifiers.begin(piece, PROCESSES_MIN - 1) == check(piece)
    assert not verifiers._tasks
    assert not verifiers.pids


async def test_without_processes_threads_do_it() -> None:
    verifiers = Verifiers(0, pool=None)
    piece = piece_of(history("ss"))
    assert await verifiers.begin(piece, 10**6) == check(piece)
    assert not verifiers.pids
    await verifiers.close()


async def test_a_process_is_ended_with_the_node_and_with_its_line(verifiers: Verifiers) -> None:
    pid = await started(verifiers, piece_of(history("s")))
    [worker] = verifiers._workers
    worker._stream.close()
    worker._line.close()
    await asyncio.to_thread(worker._process.wait, PATIENCE_SECONDS)  # by itself: so it does when the node is killed
    assert worker._process.returncode == 0
    assert not is_up(pid)
    await verifiers.close()
    assert await verifiers.begin(piece_of(history("s")), 10**6) is None


@pytest.mark.parametrize("ended_by", ["a kill", "silence"])
async def test_when_a_process_is_lost_threads_go_on_and_it_is_told(
    verifiers: Verifiers, monkeypatch: pytest.MonkeyPatch, ended_by: str
) -> None:
    monkeypatch.setattr(verifying, "ANSWER_SECONDS_MAX", 0.5 if ended_by == "silence" else PATIENCE_SECONDS)
    with capture_logs() as logs:
        pid = 0
        for _ in range(5):  # a short wait may be too short for a start
            verifiers._lost = 0
            try:
                pid = await started(verifiers, piece_of(history("s")))
                break
            except AssertionError:
                monkeypatch.setattr(verifying, "ANSWER_SECONDS_MAX", 2 * verifying.ANSWER_SECONDS_MAX)
        os.kill(pid, signal.SIGSTOP)
        pieces = [piece_of(history("sm")), piece_of(history("sr"))]
        tasks = [verifiers.begin(piece, 1) for piece in pieces]
        await asyncio.sleep(0.01)
        if ended_by == "a kill":
            os.kill(pid, signal.SIGKILL)
        assert [await task for task in tasks] == [check(piece) for piece in pieces]
    assert not is_up(pid)
    assert not verifiers.pids
    [lost] = [one for one in logs if one["event"] == "verifying goes on without a process" and str(pid) in one["error"]]
    assert (lost["log_level"], lost["code"]) == ("error", "worker_lost")


async def test_after_some_losses_no_more_processes_are_started(
    verifiers: Verifiers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    piece = piece_of(history("s"))
    with capture_logs() as logs:
        for _ in range(LOST_MAX + 2):
            assert await verifiers.begin(piece, 10**6) == check(piece)
            await until(lambda: not verifiers._starting)
    assert [one["event"] for one in logs] == ["verifying goes on without a process"] * LOST_MAX


def test_a_process_of_another_version_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "BUILD", "another")
    with pytest.raises(WorkerLostError, match="changed under the node"):
        Worker("checking", seconds_max=PATIENCE_SECONDS)


def test_each_file_of_the_software_counts(tmp_path: Path) -> None:
    for name in ("ledger/a.py", "node/b.py", "node/api/c.py", "cli/d.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("x = 1\n")
        os.utime(tmp_path / name, (1, 1))
    told = line.files_of(tmp_path)
    assert line.files_of(tmp_path) == told
    (tmp_path / "cli/d.py").write_text("x = 2\n")  # no process beside a node has anything of the command
    assert line.files_of(tmp_path) == told
    os.utime(tmp_path / "ledger/a.py", (1, 2))
    assert line.files_of(tmp_path) != told
    os.utime(tmp_path / "ledger/a.py", (1, 1))
    (tmp_path / "node/api/c.py").rename(tmp_path / "node/api/e.py")
    assert line.files_of(tmp_path) != told


@pytest.mark.parametrize("module", ["briefs", "checking", "signing"])
def test_a_process_starts_without_models_and_without_the_rest_of_the_node(module: str) -> None:
    program = f"import sys; from node.{module} import serve; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=unmeasured())
    loaded = set(ran.stdout.split())
    assert {f"node.{module}", "node.line", "ledger.entry"} <= loaded
    assert not loaded & {"pydantic", "pydantic_core", "httpx", "fastapi", "plyvel", "ledger.network", "node.logs"}


async def test_idle_processes_are_ended_and_started_again(
    verifiers: Verifiers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "IDLE_SECONDS", 0.05)
    piece = piece_of(history("s"))
    first = await started(verifiers, piece)
    await until(lambda: not verifiers.pids, "the end of an idle process")
    assert not is_up(first)
    assert await started(verifiers, piece) != first


async def test_who_gives_up_waiting_for_a_check_does_not_spoil_the_next_one(verifiers: Verifiers) -> None:
    pid = await started(verifiers, piece_of(history("s")))
    os.kill(pid, signal.SIGSTOP)
    given_up = [verifiers.begin(piece_of(history("m")), 1) for _ in range(2)]  # one is being checked, one waits for it
    await asyncio.sleep(0.01)
    for task in given_up:
        task.cancel()
    await asyncio.gather(*given_up, return_exceptions=True)
    os.kill(pid, signal.SIGCONT)
    piece = piece_of(history("rs"))
    assert await verifiers.begin(piece, 1) == check(piece)
    assert verifiers.pids == [pid]
