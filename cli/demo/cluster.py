"""The node processes of a demonstration: started, watched, started again when one is killed, stopped."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx

from cli.demo.network import DemoNetwork, Department
from node.errors import NodeError

START_SECONDS_MAX = 90.0  # ten nodes on two busy cores take about 15
STOP_SECONDS_MAX = 15.0
WATCH_SECONDS = 0.25
RESTART_SECONDS = 10.0  # time for whoever killed a node to start it again by hand
COMMAND = (sys.executable, "-P", "-m", "cli.main", "run", "--config")
LOG_TAIL_BYTES = 2000


class NodeStartError(NodeError):
    """A node of the demonstration did not come up."""

    code = "node_start_failed"
    hint = "its own log, node.log in its folder, says more"


class Cluster:
    """One process per department, for as long as the block lasts."""

    def __init__(
        self, network: DemoNetwork, *, say: Callable[[str], None], restart_seconds: float = RESTART_SECONDS
    ) -> None:
        self._network = network
        self._say = say
        self._restart_seconds = restart_seconds
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._logs: list[Any] = []
        self._watcher: asyncio.Task[None] | None = None
        self.clients: dict[str, httpx.AsyncClient] = {}

    async def __aenter__(self) -> Self:
        for department in self._network.departments.values():
            self._start(department)
            self.clients[department.id] = httpx.AsyncClient(
                base_url=department.url,
                headers={"Authorization": f"Bearer {department.token}"},
                timeout=60,
                trust_env=False,
                limits=httpx.Limits(max_connections=8, max_keepalive_connections=8),
            )
        self._watcher = asyncio.create_task(self._watch())
        try:
            await asyncio.gather(*(self._wait_up(one) for one in self._network.departments.values()))
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace
        await self._close()

    def pid(self, name: str) -> int:
        """Return the process that was last started for a department."""
        return self._processes[name].pid

    async def is_up(self, name: str) -> bool:
        """Tell whether a department's node answers, whoever has started it."""
        try:
            answer = await self.clients[name].get("/v1/health", timeout=5)
        except httpx.HTTPError:
            return False
        return answer.status_code in (httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE)

    async def _is_ready(self, name: str) -> bool:
        """Tell whether a department's node has heard from enough others what it has said before, and so may write."""
        try:
            answer = await self.clients[name].get("/v1/health", timeout=5)
            return bool(answer.json()["recovery"]["done"])
        except (httpx.HTTPError, ValueError, KeyError):
            return False

    def _start(self, department: Department) -> None:
        log = (department.home.folder / "node.log").open("ab")
        self._logs.append(log)
        self._processes[department.id] = subprocess.Popen(  # noqa: S603 - our own command
            [*COMMAND, str(department.home.config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # an interrupt from the keyboard is for us; we stop the nodes in good order
            env={name: value for name, value in os.environ.items() if not name.startswith("SUYUAN_")},
        )

    async def _wait_up(self, department: Department) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + START_SECONDS_MAX
        while not await self._is_ready(department.id):
            ended = self._processes[department.id].poll()
            if ended is not None and ended >= 0:  # below that it was killed, and somebody starts it again
                raise NodeStartError(f"the node of {department.id} ended with {ended}: {_tail(department)}")
            if loop.time() > end:
                raise NodeStartError(
                    f"the node of {department.id} does not answer at {department.url}: {_tail(department)}"
                )
            await asyncio.sleep(0.1)

    async def _watch(self) -> None:
        """Start a node again that was killed, unless somebody else does so first."""
        loop = asyncio.get_running_loop()
        down: dict[str, float] = {}
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            for name, process in self._processes.items():
                if process.poll() is None:
                    down.pop(name, None)
                elif name not in down:
                    down[name] = loop.time()
                    self._say(f"the node of {name} has stopped ({process.returncode}); the others go on without it")
                elif loop.time() - down[name] > self._restart_seconds and not await self.is_up(name):
                    self._say(f"starting the node of {name} again")
                    self._start(self._network.departments[name])
                    down.pop(name)

    async def _close(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        for client in self.clients.values():
            await client.aclose()
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        await asyncio.gather(*(asyncio.to_thread(_end, process) for process in self._processes.values()))
        for log in self._logs:
            log.close()


def _end(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(department: Department) -> str:
    data = (department.home.folder / "node.log").read_bytes()[-LOG_TAIL_BYTES:]
    return data.decode("utf-8", "replace").strip()[-500:]
