"""Verifying a backlog on all cores: processes beside this one, which share no interpreter lock with it.

Threads alone do not get there: half of what an entry costs is Python, and only one thread at a time runs that. So when
a log is far behind, a few processes (node/worker.py) are started that check pieces (node/checking.py); they are ended
when there has been nothing to do for a while, and with the node. A node that keeps up never starts one.

What a process says counts only where it says yes; whatever it refuses is judged again here, and so is everything when a
process dies, does not answer, or cannot be started.
"""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, cast

import structlog

from ledger.entry import ChainHead
from node import checking
from node.checking import Checked, Piece
from node.worker import Worker, WorkerLostError

log = structlog.get_logger(__name__)

ANSWER_SECONDS_MAX = 60.0  # for one piece, which takes a tenth of a second; then the process is given up
IDLE_SECONDS = 20.0  # after which the processes end: another log may be far behind as well
PROCESSES_MIN = 10_000  # entries of a backlog; for fewer, which take threads a second, no process is started
LOST_MAX = 3  # processes; after that it is threads until the node is started again, for something is wrong here


class Verifiers:
    """The processes, as many as are needed at the moment, and the threads that do without them."""

    def __init__(self, processes: int, *, pool: Executor | None) -> None:
        """``processes``: how many at most; ``pool``: threads for what is verified in this process."""
        self._processes = processes
        self._pool = pool
        self._lines = ThreadPoolExecutor(max(processes, 1), thread_name_prefix="suyuan-verifying")
        self._workers: set[Worker] = set()
        self._free: list[Worker] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._starting = 0
        self._lost = 0
        self._changed = asyncio.Event()
        self._idle: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """The processes that are up."""
        return [worker.pid for worker in self._workers]

    @property
    def at_once(self) -> int:
        """How many pieces can be checked at one time."""
        return max(self._processes, 1)

    def expect(self, entries: int) -> None:
        """Have processes ready for a backlog of so many entries, if it is large."""
        if entries >= PROCESSES_MIN and not self._closed and self._lost < LOST_MAX:
            self._start_missing()

    def begin(self, piece: Piece, entries: int) -> "asyncio.Task[Checked | None]":
        """Begin to check the next piece of a backlog of so many ``entries``.

        The task gives what the piece comes to if it follows, or None if it does not hold: then judge it.
        """
        self.expect(entries)
        return self._run(self._check(piece))

    async def _check(self, piece: Piece) -> Checked | None:
        while self._workers:
            if self._free:
                return cast("Checked | None", await asyncio.shield(self._run(self._ask(self._free.pop(), piece))))
            await self._changed.wait()
        return await self._check_here(piece)

    async def judge(self, head: ChainHead, piece: Piece) -> Checked:
        """Verify a piece against the end of the log, in this process.

        Raises:
            LedgerError: as :func:`ledger.entry.verify_entries`.
        """
        return await asyncio.to_thread(checking.judge, head, piece, pool=self._pool)

    async def close(self) -> None:
        """End all processes, and wait for the threads."""
        self._closed = True
        self._end_all()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._end_all()  # one that was just starting
        await asyncio.to_thread(self._lines.shutdown)

    async def _check_here(self, piece: Piece) -> Checked | None:
        if self._closed:
            return None
        return await asyncio.to_thread(checking.check, piece, pool=self._pool)

    def _start_missing(self) -> None:
        while len(self._workers) + self._starting < self._processes:
            self._starting += 1
            self._run(self._start())

    async def _start(self) -> None:
        try:
            worker = await self._in_thread(lambda: Worker("checking", seconds_max=ANSWER_SECONDS_MAX))
        except WorkerLostError as error:
            self._tell(error)
        else:
            self._workers.add(worker)
            self._free.append(worker)
            log.info("a verifying process is up", pid=worker.pid)
        finally:
            self._starting -= 1
            self._notice()

    async def _ask(self, worker: Worker, piece: Piece) -> Checked | None:
        try:
            checked: Checked | None = await self._in_thread(worker.ask, piece)
        except WorkerLostError as error:
            self._workers.discard(worker)
            if not self._closed:
                self._tell(error)
            self._notice()
            return await self._check_here(piece)
        self._free.append(worker)
        self._notice()
        return checked

    def _tell(self, error: WorkerLostError) -> None:
        self._lost += 1
        log.error("verifying goes on without a process", error=str(error), code=error.code, hint=error.hint)

    def _notice(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._end_idle)

    def _end_idle(self) -> None:
        self._idle = None
        if len(self._free) == len(self._workers):
            self._end_all()

    def _end_all(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        ending, self._workers, self._free = self._workers, set(), []
        for worker in ending:
            worker.end()

    def _run(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _in_thread(self, work: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._lines, work, *arguments)
