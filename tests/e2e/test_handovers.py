"""Real handovers through real node processes: what every node tells is what the file says, whatever is killed
meanwhile.
"""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import naive
import pytest
from shared_vectors import shared_file
from traces import check_trace, told

from cli.demo.cluster import Cluster
from cli.demo.network import DemoNetwork, Plan, make_network
from cli.demo.replay import Progress, Replay
from cli.sources.transfers import Transfer, departments_of, read_transfers

ROWS = 120
FULL = os.environ.get("SUYUAN_FULL") == "1"


@pytest.fixture
def handovers() -> Path:
    return shared_file("permit-handovers.csv")


def build(folder: Path, transfers: list[Transfer]) -> DemoNetwork:
    plans = [Plan(id=name, name_zh=name, name_en=name) for name in departments_of(transfers)]
    return make_network(folder, plans, settings={"checkpoint_interval_ms": 200, "pull_interval_ms": 1000})


async def trace_everywhere(cluster: Cluster, references: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return the trace of each record, after checking that every node gives the same one."""

    async def of_node(name: str) -> dict[str, dict[str, Any]]:
        found = {}
        for record, reference in references.items():
            answer = await cluster.clients[name].get(f"/v1/records/{reference}/trace")
            assert answer.status_code == httpx.codes.OK, answer.text
            found[record] = answer.json()
        return found

    first, *others = await asyncio.gather(*(of_node(name) for name in cluster.clients))
    for other in others:
        for record, trace in other.items():
            assert told(trace) == told(first[record])
    return first


def check_against_file(traces: dict[str, dict[str, Any]], path: Path, rows_max: int | None) -> None:
    expected = naive.histories(path, rows_max)
    assert traces.keys() == expected.keys()
    for record, hops in expected.items():
        check_trace(traces[record], hops, lambda name: f"{name}.demo.example/log")


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_every_node_tells_of_every_record_what_the_file_says(handovers: Path, tmp_path: Path) -> None:
    rows_max = None if FULL else ROWS
    transfers = read_transfers(handovers)[:rows_max]
    network = build(tmp_path, transfers)
    async with Cluster(network, say=print) as cluster:
        replay = Replay(network, cluster, transfers, on_progress=lambda _: None)
        await replay.run()
        assert (replay.progress.shares, replay.progress.receipts, replay.progress.confirmed) == (len(transfers),) * 3
        check_against_file(await trace_everywhere(cluster, replay.records), handovers, rows_max)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_nodes_that_are_killed_lose_and_double_nothing(handovers: Path, tmp_path: Path) -> None:
    rows_max = None if FULL else ROWS
    transfers = read_transfers(handovers)[:rows_max]
    network = build(tmp_path, transfers)
    killed: list[str] = []
    async with Cluster(network, say=print, restart_seconds=0.5) as cluster:
        victims = list(network.departments)[:3]

        def on_progress(progress: Progress) -> None:
            due = len(killed) < len(victims) and progress.receipts > len(transfers) * (1 + len(killed)) // 5
            if due:
                name = victims[len(killed)]
                killed.append(name)
                os.kill(cluster.pid(name), signal.SIGKILL)

        replay = Replay(network, cluster, transfers, on_progress=on_progress)
        await replay.run()
        assert killed == victims
        check_against_file(await trace_everywhere(cluster, replay.records), handovers, rows_max)
        sizes = await asyncio.gather(*(log_sizes(client) for client in cluster.clients.values()))
        assert all(one == sizes[0] for one in sizes)
        assert sum(sizes[0].values()) == 2 * len(transfers) + len(network.departments)  # and one log.open each


async def log_sizes(client: httpx.AsyncClient) -> dict[str, int]:
    answer = await client.get("/v1/logs")
    return {one["log"]: one["size"] for one in answer.json()["logs"]}
