"""An event loop without a clock, without threads and without chance: the same tasks run in the same order each time.

Time stands still while anything is ready to run; when nothing is, it jumps to the next timer. What the product hands
to threads runs in the loop itself, a moment after it was asked for, so that other tasks come in between as they would.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from random import Random
from typing import Any, TypeVar

import anyio.to_thread
import pytest

from node.writer import Writer

T = TypeVar("T")
THREAD_SECONDS_MAX = 0.004  # what a thread takes for its work, at most


class NothingToDoError(AssertionError):
    """Every task waits, and there is no timer that could wake one."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Virtual time in seconds from 0 on; ``random`` decides how long the work of a thread takes."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random
        self._now = 0.0
        self._selector = self  # BaseEventLoop asks it how long nothing happens
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise NothingToDoError(f"at {self._now:.3f} s")
        if timeout > 0:
            self._now = max(self._now + timeout, self._scheduled[0].when())  # type: ignore[attr-defined]
        return []

    def run_in_executor(self, executor: Executor | None, func: Callable[..., T], *args: Any) -> "asyncio.Future[T]":  # type: ignore[override]
        future: asyncio.Future[T] = self.create_future()

        def work() -> None:
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001 - it is for whoever waits
                if not future.cancelled():
                    future.set_exception(error)
            else:
                if not future.cancelled():
                    future.set_result(result)

        self.call_later(self._random.random() * THREAD_SECONDS_MAX, work)
        return future

    def _process_events(self, event_list: list[Any]) -> None:
        assert not event_list

    def _write_to_self(self) -> None:
        """Nobody sleeps in a selector that would have to be woken."""


class InlineExecutor(Executor):
    """Does what it is given at once."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":
        future: Future[T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class InlineWriter(Writer):
    """The writer without its thread: what waits is written in a turn of the loop, a moment later."""

    _due = False

    def start(self) -> None:
        self._turn()

    def stop(self) -> None:
        self._closing = True
        while self._waiting:
            self._round(self._take())

    def _enqueue(self, group: Any, item: Any, future: Any, size: int) -> None:
        super()._enqueue(group, item, future, size)
        if not self._due:
            self._due = True
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            loop.call_later(loop._random.random() * THREAD_SECONDS_MAX, self._turn)

    def _turn(self) -> None:
        self._due = False
        while self._waiting:
            self._round(self._take())


async def _in_the_loop(func: Callable[..., T], *args: Any, **_: Any) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, func, *args)


def run(main: Coroutine[Any, Any, T], random: Random) -> T:
    """Run ``main`` in virtual time."""
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner(loop_factory=lambda: VirtualLoop(random)) as runner:
        patch.setattr(anyio.to_thread, "run_sync", _in_the_loop)  # where FastAPI runs what is no coroutine
        patch.setattr(os, "fsync", lambda _: None)  # of the head files: no machine loses its power but in the story
        return runner.run(main)
