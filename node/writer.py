"""The one writer: a thread that owns the store, and turns whatever is waiting into one synced batch (group commit).

Every change is a job: a function that looks at the current logs and puts what it wants written into a transaction.
The thread takes all jobs that wait, runs them one after the other, commits what they put in **one** atomic, synced
write, and only then answers them. A job that raises takes back its own part and nobody else's.

While a round is written, the next one may have begun (see Ahead), on top of what the first one leaves. It is written
after it or not at all.

A crash before the write loses all of the round, and nobody has been told otherwise; a crash after it loses nothing.
When a write fails, nobody is told that it was done: the store is opened again, and what it holds then is believed.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import structlog

from ledger.errors import StoreError, StoreFailedError
from ledger.store import Batch, Store
from node.errors import BusyError, ReadOnlyError
from node.logs import LogState
from node.promises import Promise, Told, tell

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")
log = structlog.get_logger(__name__)

QUEUE_MAX = 10_000  # jobs; what overflows is told so at once (503), never kept
QUEUE_BYTES_MAX = 192 << 20  # of what the waiting jobs bring: eight rounds, or some twenty of the largest batches
ROUND_BYTES_MAX = 24 << 20  # of what the jobs of a round bring, so that the largest still fit into a batch of the store
ROUND_JOBS_MAX = 4_096  # jobs in one write: a round stays below about 100 ms of signing
STOP_SECONDS_MAX = 30.0


_Waiting: TypeAlias = tuple[Any, Any, Told, int]  # group or None, job or item, whom to tell, about how many bytes
_Groups: TypeAlias = list[tuple[Any, list[tuple[Any, Told]]]]  # group or None, its items and whom to tell


class Transaction:
    """What one round will write, and the logs as they will be after it."""

    def __init__(
        self, store: Store, states: Mapping[str, LogState], committed: Mapping[str, LogState] | None = None
    ) -> None:
        self.store = store
        self.batch = Batch()
        self._states = dict(states)
        self._committed = states if committed is None else committed

    def state(self, origin: str) -> LogState:
        """Return a log as this round leaves it."""
        return self._states[origin]

    def committed(self, origin: str) -> LogState:
        """Return a log as it is on the disk: what the store shows to whoever reads it now."""
        return self._committed[origin]

    def put_state(self, state: LogState) -> None:
        """Make ``state`` the log as this round leaves it; what it stands on must be in the batch."""
        self._states[state.origin] = state

    def child(self) -> "Transaction":
        """Return a transaction for one job, which is merged only when the job succeeds."""
        return Transaction(self.store, self._states, self._committed)

    def merge(self, child: "Transaction") -> None:
        """Take over what a job has put.

        Raises:
            TooLongError: the round has no room for it; nothing of it was taken.
        """
        self.batch.extend(child.batch)
        self._states = child.states

    @property
    def states(self) -> dict[str, LogState]:
        """All logs as this round leaves them."""
        return self._states

    @property
    def committed_states(self) -> Mapping[str, LogState]:
        """All logs as they are on the disk."""
        return self._committed


Job = Callable[[Transaction], T]


class Group(Protocol):
    """A kind of job whose instances are done together, for instance to chain and sign them as one batch."""

    def run(self, transaction: Transaction, items: list[Any]) -> list[Any]:
        """Do all items; return for each its result, or the exception that it alone gets."""


@runtime_checkable
class Ahead(Group, Protocol):
    """A group that can begin some items while the store does not have the round before them yet."""

    def may_begin(self, item: Any) -> bool:
        """Tell whether that is worth trying."""
        ...

    def begin(self, transaction: Transaction, items: list[Any]) -> Callable[[], list[Any]] | None:
        """Begin what :meth:`run` does, without a look into the store; None, with nothing begun, if that cannot be.

        What is returned goes on with it. It is called once, also if the round before could not be written; what it
        gives is not used then.
        """
        ...


class Writer:
    """The thread that writes, and the states that everybody may read."""

    def __init__(
        self,
        store: Store,
        states: Mapping[str, LogState],
        *,
        reload: Callable[[Store], dict[str, LogState]],
        on_commit: Callable[[Mapping[str, LogState]], None] = lambda _states: None,
    ) -> None:
        self._store = store
        self._states: Mapping[str, LogState] = dict(states)
        self._reload = reload
        self._on_commit = on_commit
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._wake = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self.failure: StoreError | None = None  # why nothing is written any more, if so
        self.rounds = 0

    @property
    def states(self) -> Mapping[str, LogState]:
        """The logs as of the last commit; replaced as a whole, never changed."""
        return self._states

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._waiting)

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="suyuan-writer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish what waits, then end the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS_MAX)
            if self._thread.is_alive():
                log.error("the writer did not end", waiting=self.waiting)

    def submit(self, job: Job[T], *, size: int = 0) -> "Future[T]":
        """Have ``job`` done; its result comes when what it put is durable. ``size``: about how many bytes it will put.

        Raises:
            BusyError: too many jobs wait.
            ReadOnlyError: the writer is stopping, or the store could not be opened again.
        """
        future: Future[T] = Future()
        self._enqueue(None, job, future, size)
        return future

    def submit_to(self, group: Group, item: Any, *, size: int = 0) -> "Future[Any]":
        """Have ``group`` do ``item`` together with the others that wait for it.

        Raises:
            BusyError, ReadOnlyError: as :meth:`submit`.
        """
        future: Future[Any] = Future()
        self._enqueue(group, item, future, size)
        return future

    def promise(self, group: Group, item: Any, *, size: int = 0) -> "asyncio.Future[Any]":
        """Do what :meth:`submit_to` does, for a coroutine: the results of a round come to its event loop together.

        Raises:
            BusyError, ReadOnlyError: as :meth:`submit`.
        """
        promise = Promise()
        self._enqueue(group, item, promise, size)
        return promise.future

    def _enqueue(self, group: Group | None, item: Any, future: Told, size: int) -> None:
        with self._wake:
            if self._closing or self.failure is not None:
                raise ReadOnlyError(f"nothing is written any more: {self.failure or 'the node is stopping'}")
            if len(self._waiting) >= QUEUE_MAX:
                raise BusyError(f"{QUEUE_MAX} writes are waiting", limit=QUEUE_MAX)
            if self._waiting and self._waiting_bytes + size > QUEUE_BYTES_MAX:
                raise BusyError(f"writes of {self._waiting_bytes} bytes are waiting", limit=QUEUE_BYTES_MAX)
            self._waiting.append((group, item, future, size))
            self._waiting_bytes += size
            self._wake.notify()

    def _run(self) -> None:
        worked_out: _Round | None = None  # and not written yet
        while True:
            with self._wake:
                while not (self._waiting or self._closing or worked_out):
                    self._wake.wait()
                if not (self._waiting or worked_out):
                    return
                taken = self._take(_may_begin) if worked_out else self._take()
            if worked_out is None:
                worked_out = self._work_out(_grouped(taken))
            else:
                worked_out = self._commit_and_begin(worked_out, taken)

    def _take(self, wanted: Callable[[Any, Any], bool] = lambda _group, _item: True) -> list[tuple[Any, Any, Told]]:
        """Take jobs off the queue, as many as make one write, up to one that is not ``wanted``."""
        taken: list[tuple[Any, Any, Told]] = []
        room = ROUND_BYTES_MAX
        while self._waiting and len(taken) < ROUND_JOBS_MAX and (room >= self._waiting[0][3] or not taken):
            group, item, future, size = self._waiting[0]
            if not wanted(group, item):
                break
            self._waiting.popleft()
            self._waiting_bytes -= size
            taken.append((group, item, future))
            room -= size
        return taken

    def _round(self, taken: list[tuple[Any, Any, Told]]) -> None:
        self._commit(self._work_out(_grouped(taken)))

    def _work_out(self, groups: "_Groups") -> "_Round":
        round_ = _Round(Transaction(self._store, self._states))
        for group, items in groups:
            round_.do(group, items)
        return round_

    def _commit_and_begin(self, before: "_Round", taken: list[tuple[Any, Any, Told]]) -> "_Round | None":
        """Write a round and begin the next one meanwhile, so that it is being signed; return that one, worked out."""
        groups = _grouped(taken)
        states = before.transaction.states
        begun = _Round(Transaction(self._store, states, self._states))
        go_on = begun.begin(*groups[0]) if len(groups) == 1 else None
        failure = self._commit(before)
        if go_on is None:
            return self._work_out(groups) if groups else None
        go_on()
        if failure is None:
            return begun
        return _Round(Transaction(self._store, self._states), [(told, failure) for told, _ in begun.done])

    def _commit(self, round_: "_Round") -> StoreError | None:
        """Write a round and tell its callers; return why it could not be written, if so."""
        done, failed = round_.done, None
        try:
            if len(round_.transaction.batch):
                self._store.write(round_.transaction.batch)
        except Exception as error:  # noqa: BLE001 - whatever it was, nobody may be left waiting
            failed = error if isinstance(error, StoreError) else StoreFailedError(f"the write failed: {error!r}")
            self._recover(failed)
            done = [(told, failed) for told, _ in done]
        else:
            self._states = round_.transaction.states
            self.rounds += 1
        self._announce()
        tell(done)
        return failed

    def _announce(self) -> None:
        try:
            self._on_commit(self._states)
        except Exception:
            log.exception("nobody could be told of a commit")

    def _recover(self, error: StoreError) -> None:
        """Close and open the store after a failed write, and believe only what is on the disk then."""
        log.error("a write failed", error=str(error), code=error.code)
        try:
            self._store.reopen()
            self._states = self._reload(self._store)
        except Exception as again:  # noqa: BLE001 - a state that cannot be read is as bad as a disk that cannot
            log.critical("the store cannot be opened again; this node writes nothing any more", error=repr(again))
            failure = again if isinstance(again, StoreError) else StoreFailedError(f"cannot be read again: {again!r}")
            with self._wake:
                self.failure = failure
                waiting, self._waiting, self._waiting_bytes = self._waiting, deque(), 0
            tell([(future, failure) for _, _, future, _ in waiting if future.set_running_or_notify_cancel()])


def _grouped(taken: Iterable[tuple[Any, Any, Told]]) -> _Groups:
    """Put the items of each group together, at the place of its first one; single jobs keep theirs."""
    order: _Groups = []
    groups: dict[int, list[tuple[Any, Told]]] = {}
    for group, item, future in taken:
        if not future.set_running_or_notify_cancel():
            continue
        if group is not None and id(group) in groups:
            groups[id(group)].append((item, future))
            continue
        items = [(item, future)]
        order.append((group, items))
        if group is not None:
            groups[id(group)] = items
    return order


def _may_begin(group: Any, item: Any) -> bool:
    return isinstance(group, Ahead) and group.may_begin(item)


class _Round:
    """Jobs that are done, and what is to be written before their callers hear of it."""

    def __init__(self, transaction: Transaction, done: list[tuple[Told, Any]] | None = None) -> None:
        self.transaction = transaction
        self.done = done or []

    def do(self, group: Group | None, items: list[tuple[Any, Told]]) -> None:
        """Do the items of a group, or a single job."""
        child = self.transaction.child()
        self._finish(child, items, lambda: [items[0][0](child)] if group is None else group.run(child, _values(items)))

    def begin(self, group: Ahead, items: list[tuple[Any, Told]]) -> Callable[[], None] | None:
        """Begin the items of a group; what is returned does the rest. None, if they cannot be begun."""
        child = self.transaction.child()
        try:
            finish = group.begin(child, _values(items))
        except Exception as error:  # noqa: BLE001 - as below
            self.done += [(told, error) for _, told in items]
            return lambda: None
        return None if finish is None else lambda: self._finish(child, items, finish)

    def _finish(self, child: Transaction, items: list[tuple[Any, Told]], finish: Callable[[], list[Any]]) -> None:
        try:
            answers = list(zip((told for _, told in items), finish(), strict=True))
            self.transaction.merge(child)
        except Exception as error:  # noqa: BLE001 - whatever a job raises is its caller's answer; the round goes on
            answers = [(told, error) for _, told in items]
        self.done += answers


def _values(items: Iterable[tuple[Any, Told]]) -> list[Any]:
    return [item for item, _ in items]
