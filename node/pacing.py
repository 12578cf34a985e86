"""Pacing: how long to wait before something that has failed is tried again.

Longer each time, up to a limit. After a long partition that is long; so the wait is cut short as soon as somebody who
was silent is heard again, and the next ones begin small. Whoever makes himself heard again and again gains little by
it: a moment is waited each time.
"""

import asyncio
from contextlib import suppress
from typing import Generic, TypeVar

HEARD_SECONDS_MIN = 0.25  # no wait is cut shorter than that

T = TypeVar("T")


class Heard:
    """Tells whoever waits for somebody that he is heard again; in the event loop's thread."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def tell(self) -> None:
        """Cut short the waits of now."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait(self, seconds: float, *, at_least: float | None = None) -> bool:
        """Wait so many seconds, or ``at_least`` so many and until :meth:`tell`; tell whether it was cut short."""
        changed = self._changed
        least = min(seconds, HEARD_SECONDS_MIN if at_least is None else at_least)
        await asyncio.sleep(least)
        if seconds > least:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds - least):
                    await changed.wait()
        return seconds > least and changed.is_set()


class Pace:
    """The waits between the tries of one thing, longer each time."""

    def __init__(self, seconds_min: float, seconds_max: float, heard: Heard) -> None:
        """Wait between ``seconds_min`` and ``seconds_max``, less where ``heard`` tells."""
        self._min = seconds_min
        self._max = seconds_max
        self._heard = heard
        self.delay = seconds_min  # seconds of the next wait

    def reset(self) -> None:
        """Begin anew: it has succeeded."""
        self.delay = self._min

    async def pause(self) -> None:
        """Wait."""
        cut = await self._heard.wait(self.delay)
        self.delay = self._min if cut else min(2 * self.delay, self._max)


class Pushed(Generic[T]):
    """How far a log is with one who is to cosign it; ``T`` is what he is asked to cosign."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.known = 0  # the size that he has cosigned last, as far as is known; he corrects us
        self.done: T | None = None  # needs no further push
        self.stale = 0  # corrections in a row

    def cosigned(self, pushed: T, size: int) -> None:
        """Note that he has cosigned it."""
        self.known, self.done, self.stale = size, pushed, 0
        self.pace.reset()
