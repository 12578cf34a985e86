"""Those who wait until an entry of this department's log is confirmed."""

import asyncio
import heapq
from itertools import count

from node.errors import BusyError

WAITERS_MAX = 10_000  # requests that wait for a confirmation
WAITERS_SPARE = 1000  # that have given up and are swept out together
CONFIRM_SECONDS_MAX = 30.0  # after that a waiting caller is told "recorded"


class Confirmations:
    """Wakes each of them once the log is confirmed beyond its entry; all of it happens in the event loop."""

    def __init__(self, size: int) -> None:
        """``size``: of the log, as far as it is confirmed."""
        self._size = size
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []  # a heap by index; some wait no more
        self._numbers = count()
        self._released = False
        self.waiting = 0

    def require_room(self) -> None:
        """Let one more wait.

        Raises:
            BusyError: too many do.
        """
        if self.waiting >= WAITERS_MAX:
            raise BusyError(f"{WAITERS_MAX} requests are waiting for a confirmation", limit=WAITERS_MAX)

    async def wait(self, index: int) -> None:
        """Return when an entry is confirmed, or after the longest wait."""
        if index < self._size or self._released:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (index, next(self._numbers), future))
        self.waiting += 1
        try:
            async with asyncio.timeout(CONFIRM_SECONDS_MAX):
                await future
        except TimeoutError:
            return
        finally:
            self.waiting -= 1
            if len(self._waiters) > 2 * self.waiting + WAITERS_SPARE:
                self._waiters = [waiter for waiter in self._waiters if not waiter[2].done()]
                heapq.heapify(self._waiters)

    def reach(self, size: int) -> None:
        """Wake those whose entries are among the first ``size``, which are confirmed."""
        self._size = size
        while self._waiters and self._waiters[0][0] < size:
            _, _, future = heapq.heappop(self._waiters)
            if not future.done():
                future.set_result(None)

    def release(self) -> None:
        """Wake all, now and from now on: nobody listens any more.

        Without this node's entries its peers cannot cosign, so most of them would wait for nothing.
        """
        self._released = True
        for _, _, future in self._waiters:
            if not future.done():
                future.set_result(None)
