"""kill -9 of a node while conflicting histories race for its cosignature: no size has two roots, and none is forgotten.

A cosignature is only said when what it says is on the disk. So whatever was received before a kill, the node that comes
back knows: it answers with a size that is not below it, and goes on in the same history.
"""

import random
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from foreign_logs import ForeignLog
from node_helpers import PATIENCE_SECONDS, paper, parties
from processes import serving, witness_home

from ledger.checkpoint import parse_checkpoint_text
from ledger.cosignature import parse_cosignatures, verify_cosignature
from ledger.note import Signer

if TYPE_CHECKING:
    from ledger.merkle import TreeHead

[A] = parties(1)
LAW = paper([A])
KILLS = 3
LOGS = 3
FORKED = 3  # the size up to which both histories are the same


class Histories:
    """Two histories of one log, all their tree heads known beforehand, and all that was cosigned of them."""

    def __init__(self, number: int) -> None:
        self.left = ForeignLog(f"foreign-{number}.example/log").grow(FORKED)
        self.right = self.left.fork(FORKED, 0)
        self.received: list[TreeHead] = []

    def grow(self, count: int) -> None:
        self.left.grow(count, "left")
        self.right.grow(count, "right")

    def check(self) -> None:
        """Everything that was ever cosigned belongs to one history."""
        roots: dict[int, set[bytes]] = {}
        for head in self.received:
            roots.setdefault(head.size, set()).add(head.root)
        assert all(len(one) == 1 for one in roots.values())
        sides = [all(head.root == log.root(head.size) for head in self.received) for log in (self.left, self.right)]
        assert any(sides)

    @property
    def largest(self) -> int:
        return max((head.size for head in self.received), default=0)


class Racer(threading.Thread):
    """Asks for one cosignature after the other, for one history of each log, until nobody answers."""

    def __init__(self, url: str, logs: list[Histories], side: str, witness: Signer, seed: int) -> None:
        super().__init__(daemon=True)
        self._client = httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_SECONDS)
        self._logs = logs
        self._side = side
        self._witness = witness.verifier
        self._random = random.Random(seed)
        self.statuses: set[int] = set()

    def run(self) -> None:
        with self._client:
            known = [0] * len(self._logs)
            while True:
                number = self._random.randrange(len(self._logs))
                try:
                    known[number] = self._ask(self._logs[number], known[number])
                except httpx.TransportError:
                    return

    def _ask(self, histories: Histories, old: int) -> int:
        log: ForeignLog = getattr(histories, self._side)
        size = min(old + self._random.randrange(1, 4), log.size - 1)  # the last one is never asked for
        answer = self._client.post("/witness/add-checkpoint", content=log.request(min(old, size), size))
        self.statuses.add(answer.status_code)
        if answer.status_code == 409:
            return int(answer.text)
        if answer.status_code != 200:
            assert answer.status_code in (422, 503), answer.text
            return old
        checkpoint = parse_checkpoint_text(log.checkpoint(size).text)
        [signature] = parse_cosignatures(answer.content)
        verify_cosignature(self._witness, checkpoint.text, signature)
        histories.received.append(checkpoint.head)
        return size


@pytest.mark.slow
def test_no_kill_makes_a_witness_forget_what_it_has_said(tmp_path: Path) -> None:
    logs = [Histories(number) for number in range(LOGS)]
    home, witness = witness_home(tmp_path, A, LAW, [one.left for one in logs])
    moments = random.Random("moments")
    statuses: set[int] = set()
    url = f"http://127.0.0.1:{home.settings.port}"
    for kill in range(KILLS):
        for one in logs:
            one.grow(150)
        with serving(home, A.token) as (process, client):
            _wait_until_it_cosigns(client, logs)
            for one in logs:
                assert _size(client, one) >= one.largest
            racers = [Racer(url, logs, side, witness, 10 * kill + n) for n, side in enumerate(("left", "right") * 3)]
            for racer in racers:
                racer.start()
            time.sleep(0.1 + moments.random() / 3)
            process.send_signal(signal.SIGKILL)
            for racer in racers:
                racer.join(PATIENCE_SECONDS)
                assert not racer.is_alive()
                statuses |= racer.statuses
        for one in logs:
            one.check()
    with serving(home, A.token) as (_, client):
        _wait_until_it_cosigns(client, logs)
        for one in logs:
            assert _size(client, one) >= one.largest
            assert one.largest > 0
            one.check()
    assert {200, 409, 422} <= statuses


def _size(client: httpx.Client, histories: Histories) -> int:
    """The size that was cosigned last, as a 409 tells it to whoever is certainly wrong."""
    log = histories.left
    answer = client.post("/witness/add-checkpoint", content=log.request(log.size))
    assert answer.status_code == 409, answer.text
    return int(answer.text)


def _wait_until_it_cosigns(client: httpx.Client, logs: list[Histories]) -> None:
    deadline = time.monotonic() + 2 * PATIENCE_SECONDS  # noqa: TID251 - a real process takes real time
    log = logs[0].left
    while client.post("/witness/add-checkpoint", content=log.request(log.size)).status_code == 503:
        assert time.monotonic() < deadline  # noqa: TID251
        time.sleep(0.02)
