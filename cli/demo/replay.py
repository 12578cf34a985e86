"""Playing transfers through the network: a share by the provider, a receipt by the consumer, row by row of each record.

The rows of one record follow each other, as the data did: a share is posted when the receipt before it is recorded, a
receipt when the consumer's own node has mirrored the share. Different records go on side by side, so each department
has a queue, and posts what is in it as one batch. Every event keeps its id when it is posted again, so that a node
which is killed and comes back neither loses nor doubles anything.
"""

import asyncio
import uuid
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from cli.demo.cluster import Cluster
from cli.demo.network import DemoNetwork
from cli.sources.transfers import Transfer, by_record
from ledger.record import record_ref
from node.errors import NodeError
from node.keys import read_record_key

BATCH_EVENTS = 400
POLL_SECONDS = 0.15
RETRY_SECONDS = 0.5
SILENCE_SECONDS_MAX = 180.0  # without any progress the demonstration gives up and says so

Entry = dict[str, Any]  # an entry reference as the API answers it


class ReplayError(NodeError):
    """A transfer could not be played."""

    code = "replay_failed"


@dataclass(slots=True)
class Progress:
    """How far it is."""

    rows: int
    shares: int = 0
    receipts: int = 0
    confirmed: int = 0  # rows whose share and receipt are confirmed on every node


@dataclass(slots=True)
class _Case:
    """One record on its way."""

    reference: str
    rows: deque[Transfer]
    received: dict[str, Entry] = field(default_factory=dict)  # the last share by which a department has received it


@dataclass(slots=True)
class _Event:
    """An event in a department's queue, and what is done with its entry."""

    value: dict[str, Any]
    then: Callable[[Entry], None]


class Replay:
    """Plays the transfers of a file through a running network."""

    def __init__(
        self,
        network: DemoNetwork,
        cluster: Cluster,
        transfers: list[Transfer],
        *,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._network = network
        self._cluster = cluster
        self._on_progress = on_progress
        self.progress = Progress(rows=len(transfers))
        keys = {name: read_record_key(one.home.keys) for name, one in network.departments.items()}
        self._cases = {
            record: _Case(record_ref(keys[rows[0].provider], record), deque(rows))
            for record, rows in by_record(transfers).items()
        }
        self._queues: dict[str, deque[_Event]] = {name: deque() for name in network.departments}
        self._wake = {name: asyncio.Event() for name in network.departments}
        self._arriving: dict[str, dict[str, list[tuple[int, Callable[[], None]]]]] = {
            name: defaultdict(list) for name in network.departments
        }
        self._pairs: list[tuple[Entry, Entry]] = []  # share and receipt of every finished row
        self._finished = asyncio.Event()
        self._left = len(transfers)

    @property
    def records(self) -> dict[str, str]:
        """The reference of each record of the file."""
        return {record: case.reference for record, case in self._cases.items()}

    async def run(self) -> None:
        """Play everything, and return when every row is confirmed on every node.

        Raises:
            ReplayError: a node refuses an event, or nothing goes on any more.
        """
        for case in self._cases.values():
            self._next(case)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._post_all(name)) for name in self._network.departments]
            tasks += [group.create_task(self._follow(name)) for name in self._network.departments]
            tasks.append(group.create_task(self._watch()))
            await self._finished.wait()
            await self._until_confirmed()
            for task in tasks:
                task.cancel()

    # One record.

    def _next(self, case: _Case) -> None:
        if not case.rows:
            return
        row = case.rows.popleft()
        consumer = self._network.departments[row.consumer]
        value = {
            "type": "share",
            "id": str(uuid.uuid4()),
            "consumer": consumer.origin,
            "records": [case.reference],
            **row.members,
        }
        if row.provider in case.received:
            value["parents"] = [case.received[row.provider]]

        def shared(share: Entry) -> None:
            self.progress.shares += 1
            self._arriving[row.consumer][share["log"]].append((share["index"], lambda: self._receive(case, row, share)))

        self._post(row.provider, _Event(value, shared))

    def _receive(self, case: _Case, row: Transfer, share: Entry) -> None:
        value = {
            "type": "receipt", "id": str(uuid.uuid4()), "share": share, "outcome": "accepted",
            "occurred_at": row.members["occurred_at"],
        }  # fmt: skip

        def received(receipt: Entry) -> None:
            self.progress.receipts += 1
            case.received[row.consumer] = share
            self._pairs.append((share, receipt))
            self._left -= 1
            if self._left == 0:
                self._finished.set()
            self._next(case)

        self._post(row.consumer, _Event(value, received))

    # One department.

    def _post(self, name: str, event: _Event) -> None:
        self._queues[name].append(event)
        self._wake[name].set()

    async def _post_all(self, name: str) -> None:
        queue = self._queues[name]
        while True:
            await self._wake[name].wait()
            self._wake[name].clear()
            while queue:
                batch = [queue.popleft() for _ in range(min(len(queue), BATCH_EVENTS))]
                entries = await self._submit(name, [event.value for event in batch])
                for event, entry in zip(batch, entries, strict=True):
                    event.then(entry)
                self._on_progress(self.progress)

    async def _submit(self, name: str, events: list[dict[str, Any]]) -> list[Entry]:
        while True:
            try:
                answer = await self._cluster.clients[name].post("/v1/events/batch", json={"events": events})
            except httpx.TransportError:
                await asyncio.sleep(RETRY_SECONDS)  # the node is down: the same ids are posted again when it is back
                continue
            if answer.status_code == httpx.codes.CREATED:
                return [one["entry"] for one in answer.json()["events"]]
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                raise ReplayError(f"{name} refuses an event: {answer.text[:500]}")
            await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self, name: str) -> None:
        """Let receipts go when the department's own node has mirrored the share."""
        arriving = self._arriving[name]
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if not any(arriving.values()):
                continue
            sizes = await self._sizes(name, "size")
            for log, waiting in arriving.items():
                size = sizes.get(log, 0)
                ready = [then for index, then in waiting if index < size]
                if ready:
                    waiting[:] = [one for one in waiting if one[0] >= size]
                    for then in ready:
                        then()

    # All of it.

    async def _until_confirmed(self) -> None:
        while self.progress.confirmed < self.progress.rows:
            known = await asyncio.gather(*(self._sizes(name, "confirmed_size") for name in self._network.departments))
            everywhere = {
                one.origin: min(sizes.get(one.origin, 0) for sizes in known)
                for one in self._network.departments.values()
            }
            self.progress.confirmed = sum(
                share["index"] < everywhere[share["log"]] and receipt["index"] < everywhere[receipt["log"]]
                for share, receipt in self._pairs
            )
            self._on_progress(self.progress)
            await asyncio.sleep(POLL_SECONDS)

    async def _sizes(self, name: str, which: str) -> dict[str, int]:
        try:
            answer = await self._cluster.clients[name].get("/v1/logs")
        except httpx.TransportError:
            return {}
        if answer.status_code != httpx.codes.OK:
            return {}
        return {one["log"]: one[which] for one in answer.json()["logs"]}

    async def _watch(self) -> None:
        """Give up when nothing has gone on for long, and say what is missing."""
        loop = asyncio.get_running_loop()
        seen, since = None, loop.time()
        while True:
            await asyncio.sleep(1)
            now = (self.progress.shares, self.progress.receipts, self.progress.confirmed)
            if now != seen:
                seen, since = now, loop.time()
            elif loop.time() - since > SILENCE_SECONDS_MAX:
                raise ReplayError(
                    f"nothing has happened for {SILENCE_SECONDS_MAX:.0f} s: {now[0]} shares, {now[1]} receipts, "
                    f"{now[2]} of {self.progress.rows} rows confirmed on every node"
                )
