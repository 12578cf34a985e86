"""Telling the callers of the writer what became of their jobs: a thread at once, an event loop once for all of them."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from concurrent.futures import Future


class Promise:
    """Whom to tell in an event loop; a future of a thread would wake it each time."""

    __slots__ = ("future", "loop")

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()

    def set_running_or_notify_cancel(self) -> bool:
        """Tell whether somebody still waits, as a future of a thread does."""
        return not self.future.cancelled()


Told: TypeAlias = "Future[Any] | Promise"


def tell(done: Iterable[tuple[Told, Any]]) -> None:
    """Hand out results and errors; those of one event loop in one call."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for told, result in done:
        if isinstance(told, Promise):
            loops.setdefault(told.loop, []).append((told.future, result))
        else:
            _settle(told, result)
    for loop, those in loops.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_keep, those)


def _keep(promises: Iterable[tuple["asyncio.Future[Any]", Any]]) -> None:
    for future, result in promises:
        if not future.done():  # whoever waited may have given up
            _settle(future, result)


def _settle(future: "Future[Any] | asyncio.Future[Any]", result: Any) -> None:
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(result)
