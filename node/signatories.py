"""Signing on all cores while a department records much: processes beside this one (node/worker.py, node/signing.py).

A signature leaves the interpreter lock for 25 µs and then waits for it, often for longer than it took. So when many
events come, a few processes are started that sign, and are ended when they have been idle for a while. A node that
records little never starts one, nor does one whose events come one by one. A key in a device signs there all the same.
With them comes one process that recognises batches (node/briefs.py).

What such a process gives is used only if each entry begins with the text that it was to sign. When one dies or does not
answer, the texts are signed here: the same texts at the same places, so that nothing else is ever said of an index.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import cast

import structlog

from ledger.note import Signer, SigningKey
from node.briefs import Briefs, brief_batch
from node.signing import Request, Signed, sign
from node.worker import Worker, WorkerLostError

log = structlog.get_logger(__name__)

ANSWER_SECONDS_MAX = 10.0  # for a round, which takes a tenth of a second; meanwhile nothing is recorded
IDLE_SECONDS = 20.0  # with so few events that no process would be started; then they end
EVENTS_MIN = 5_000  # within IDLE_SECONDS: then processes are started
ROUND_MIN = 64  # events; fewer are signed here: sending them takes longer than is won
IN_LINE = 3  # parts that one process has: one that it signs, those that it signs next or has signed
LOST_MAX = 3  # processes; after that the node signs itself until it is started again, for something is wrong here


class Signatories:
    """The processes that sign: as many as are needed at the moment, mostly none."""

    def __init__(self, processes: int, *, pool: Executor | None) -> None:
        """``processes``: how many at most; ``pool``: threads for what is signed in this process."""
        self._processes = processes
        self._pool = pool
        self._workers: list[Worker] = []
        self._reader: Worker | None = None  # recognises batches
        self._reading = threading.Lock()
        self._asked: Counter[Worker] = Counter()  # parts that each has, and was not heard of yet
        self._lost = 0
        self._signed = 0  # events since the last look, in parts that a process would be asked for
        self._starter: ThreadPoolExecutor | None = None
        self._starting = False
        self._watch: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """The processes that are up."""
        return [worker.pid for worker in self._workers]

    @property
    def at_once(self) -> int:
        """How many parts of a round can be signed at one time."""
        return max(len(self._workers), 1)

    @property
    def in_line(self) -> int:
        """How many parts of a round can be given to those who sign."""
        return max(IN_LINE * len(self._workers), 1)

    def begin(self, signer: SigningKey, texts: Sequence[bytes]) -> Callable[[], Signed]:
        """Have chained texts signed, and return what waits for the entries; the writer's thread only.

        What waits must be called once, in the order of the parts, or a process is not asked again.

        Raises, when waiting:
            LedgerError: the device or process that has the key does not sign now.
        """
        self._signed += len(texts) if len(texts) >= ROUND_MIN else 0
        free = min(self._workers, key=self._asked.__getitem__, default=None)
        if free is None or self._asked[free] >= IN_LINE or not isinstance(signer, Signer) or len(texts) < ROUND_MIN:
            return lambda: sign(signer, texts, pool=self._pool)
        self._asked[free] += 1
        free.tell(Request(signer, texts))
        return lambda: self._heard(free, texts) or sign(signer, texts, pool=self._pool)

    def brief(self, body: bytes) -> Briefs | None:
        """Return a batch in brief as :func:`node.briefs.brief_batch` does, beside this process if much is recorded.

        Called in any thread; batches take turns.
        """
        with self._reading:
            reader = self._reader
            try:
                if reader is not None:
                    return cast("Briefs | None", reader.ask(body))
            except WorkerLostError as error:
                if reader is self._reader:  # or it was ended because there was so little to do
                    self._reader = None
                    self._tell(error)
        return brief_batch(body)

    def notice(self) -> None:
        """Start processes if much is being recorded; called in the event loop, after commits."""
        if self._closed or self._processes == 0:
            return
        if self._watch is None:
            self._watch = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._look)
        if self._signed >= EVENTS_MIN and not self._workers and not self._starting and self._lost < LOST_MAX:
            self._starting = True
            self._starter = self._starter or ThreadPoolExecutor(1, thread_name_prefix="suyuan-signing")
            self._starter.submit(self._start)

    def close(self) -> None:
        """End all processes."""
        self._closed = True
        if self._watch is not None:
            self._watch.cancel()
        if self._starter is not None:
            self._starter.shutdown(cancel_futures=True)
        self._end()

    def _heard(self, worker: Worker, texts: Sequence[bytes]) -> Signed | None:
        """Return what a process gave for ``texts``; None where it is lost, or gave something else."""
        self._asked[worker] -= 1
        if not self._asked[worker]:
            del self._asked[worker]
        try:
            signed = worker.hear()
        except WorkerLostError as error:
            self._drop(worker, error)
            return None
        if (
            isinstance(signed, Signed)
            and len(signed.raws) == len(signed.leaves) == len(texts)
            and all(map(bytes.startswith, signed.raws, texts))
        ):
            return signed
        worker.end()
        self._drop(worker, WorkerLostError(f"the process {worker.pid} has signed something else"))
        return None

    def _drop(self, worker: Worker, error: WorkerLostError) -> None:
        if worker in self._workers:  # or it was ended because there was so little to do
            self._workers = [one for one in self._workers if one is not worker]
            self._tell(error)

    def _start(self) -> None:
        workers: list[Worker] = []
        try:
            while len(workers) < self._processes:
                workers.append(Worker("signing", seconds_max=ANSWER_SECONDS_MAX))
            reader = self._reader or Worker("briefs", seconds_max=ANSWER_SECONDS_MAX)
            self._reader, self._workers = reader, workers
            log.info("signing processes are up", pids=[*self.pids, reader.pid])
        except WorkerLostError as error:
            for worker in workers:
                worker.end()
            self._tell(error)
        finally:
            self._starting = False

    def _look(self) -> None:
        """End the processes if little was recorded since the last look; called in the event loop."""
        self._watch = None
        few, self._signed = self._signed < EVENTS_MIN, 0
        if few and not self._starting:
            self._end()
        else:
            self.notice()

    def _end(self) -> None:
        ending, self._workers = self._workers, []
        for worker in ending:
            worker.end()
        if self._reader is not None:
            reader, self._reader = self._reader, None
            reader.end()

    def _tell(self, error: WorkerLostError) -> None:
        self._lost += 1
        log.error("signing goes on without a process", error=str(error), code=error.code, hint=error.hint)
