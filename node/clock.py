"""The clock: the only place that reads it. Everything else takes the time as an argument or a :class:`Clock`."""

import time
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from."""

    def now_ms(self) -> int:
        """Return milliseconds since 1970 (UTC)."""


class SystemClock:
    """The machine's own clock."""

    def now_ms(self) -> int:
        """Return milliseconds since 1970 (UTC)."""
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that stands still until it is told to move: for tests and simulations."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Return milliseconds since 1970 (UTC)."""
        return self._now_ms

    def advance(self, milliseconds: int) -> None:
        """Move the clock; a negative number sets it back, as clocks do."""
        self._now_ms += milliseconds
