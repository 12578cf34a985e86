"""kill -9 at random moments: what was answered "recorded" is there exactly once, and the chain verifies end to end."""

import json
import random
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from node_helpers import PATIENCE_SECONDS, Desk, event_id, make_home, paper, parties, reference, seed, share
from processes import child, serving

from cli.demo.network import free_ports
from ledger.store import create_store, open_store

if TYPE_CHECKING:
    import subprocess

A, B = parties(2)
LAW = paper([A, B])
HERE = Path(__file__).parent
KILLS = 3


def test_the_same_batch_is_the_same_batch() -> None:
    assert [len(batch(first)) for first in (1, 2, 3)] == [len(batch(first)) for first in (1, 2, 3)]


def batch(first: int) -> list[dict[str, Any]]:
    """As in writing_child.py."""
    size = 1 + seed(str(first))[0] % 40
    return [share(first + n, B, records=[reference(str(first + n))]) for n in range(size)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["leveldb", "sqlite"])
def test_a_process_that_is_killed_while_it_writes_loses_nothing_that_it_answered(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "data"
    create_store(folder, kind=kind).close()
    moments = random.Random(kind)
    answered: dict[str, Any] = {}
    first = 1
    for _ in range(KILLS):
        wanted = moments.randrange(1, 12)
        with child(str(HERE / "writing_child.py"), str(folder), str(first)) as process:
            lines = _read(process, wanted, moments.random() / 50)
        for line in lines:
            said = json.loads(line)
            answered |= {one["event_id"]: one for one in said["entries"]}
            first = said["first"] + len(said["entries"])
        with Desk(A, LAW.network, store=open_store(folder)) as desk:
            _check(desk, answered)
            again = desk.record(*batch(first))  # perhaps recorded, perhaps not: nobody was told
            answered |= {one.event_id: json.loads(one.to_text("recorded")) for one in again}
            first += len(again)
            _check(desk, answered)
    assert len(answered) > KILLS


def _read(process: "subprocess.Popen[bytes]", lines: int, pause: float) -> list[bytes]:
    """Take what a process says, kill it a moment after so many lines, and return all that it has said."""
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(lines)]
    assert all(said), process.stderr.read() if process.stderr else ""
    time.sleep(pause)
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read().splitlines(keepends=True)
    return said + [line for line in rest if line.endswith(b"\n")]


def _check(desk: Desk, answered: dict[str, Any]) -> None:
    entries = desk.entries()
    ids = [entry.event["id"] for entry in entries]
    assert len(set(ids)) == len(ids)
    places = {entry.event["id"]: entry.ref.model_dump() for entry in entries}
    assert {name: one["entry"] for name, one in answered.items()} == {name: places[name] for name in answered}
    number = len(ids)
    assert sorted(ids) == [event_id(n) for n in range(1, number + 1)]
    some = sorted(answered)[:: max(len(answered) // 5, 1)]
    numbers = [int(name[-12:], 16) for name in some]
    values = [share(number, B, records=[reference(str(number))]) for number in numbers]
    for name, recorded in zip(some, desk.record(*values) if values else [], strict=True):
        assert json.loads(recorded.to_text("recorded")) == answered[name]


# The whole node, over HTTP.


@pytest.mark.slow
def test_a_node_that_is_killed_under_load_goes_on_where_it_was(tmp_path: Path) -> None:
    [port] = free_ports(1)
    home = make_home(tmp_path, A, LAW, port=port, checkpoint_interval_ms=20, log_level="error")
    answered: dict[int, Any] = {}
    first = 1
    for delay in (0.15, 0.3):
        with serving(home, A.token) as (process, client):
            _wait_writing(client)
            posting = _Posting(client, first)
            posting.start()
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            posting.join(PATIENCE_SECONDS)
            answered |= posting.answered
            first = posting.next
    with serving(home, A.token) as (_, client):
        _wait_writing(client)
        own = next(one for one in client.get("/v1/logs").json()["logs"] if one["own"])
        notes: list[Any] = []
        while len(notes) < own["size"]:
            answer = client.get(f"/v1/logs/{own['hash']}/entries", params={"start": len(notes), "limit": 1000})
            notes += answer.json()["entries"]
        assert all(one["verified"] for one in notes)
        places = [one["event"]["id"] for one in notes]
        assert len(set(places)) == len(places)
        for number, entries in answered.items():
            again = client.post("/v1/events/batch", json={"events": batch(number)}).json()["events"]
            assert [one["entry"] for one in again] == [one["entry"] for one in entries]
            assert [places[one["entry"]["index"]] for one in entries] == [one["event_id"] for one in entries]
        assert client.get("/v1/health").json()["status"] == "ok"
    assert answered
    with Desk(A, LAW.network, store=open_store(home.data)) as desk:
        assert len(desk.entries()) == own["size"]


def _wait_writing(client: httpx.Client) -> None:
    """Wait until the node has come back to where it was, and has opened its log."""
    deadline = time.monotonic() + 2 * PATIENCE_SECONDS  # noqa: TID251 - a real process takes real time
    while True:
        own = next(one for one in client.get("/v1/logs").json()["logs"] if one["own"])
        if own["size"] and client.get("/v1/health").json()["recovery"]["done"]:
            return
        assert time.monotonic() < deadline  # noqa: TID251
        time.sleep(0.02)


class _Posting(threading.Thread):
    """Posts batches until nobody answers."""

    def __init__(self, client: httpx.Client, first: int) -> None:
        super().__init__()
        self._client = client
        self.next = first
        self.answered: dict[int, Any] = {}

    def run(self) -> None:
        while True:
            values = batch(self.next)
            try:
                answer = self._client.post("/v1/events/batch", json={"events": values})
            except httpx.TransportError:
                return
            assert answer.status_code == 201, answer.text
            self.answered[self.next] = answer.json()["events"]
            self.next += len(values)
