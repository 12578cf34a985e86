"""Failures that repeat: told the first time, then the 2nd, 4th, 8th, … time with a count, and once when they are over.

A peer that is down for a week fails thousands of times; what an operator needs to know of it fits into twenty lines.

    repeats = Repeats(log)
    repeats.failed("info", "a push failed", {"peer": "tax.ordos.example/log"}, error, again_in_s=4.0)
    repeats.over("a push failed", {"peer": "tax.ordos.example/log"})
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, Literal

import structlog

from ledger.errors import LedgerError

Level = Literal["info", "warning", "error"]
Key = tuple[str, tuple[tuple[str, str], ...]]


class Repeats:
    """Counts failures of one module by event and by what they are about, and logs some of them."""

    def __init__(self, log: structlog.stdlib.BoundLogger) -> None:
        """Write to ``log``."""
        self._log = log
        self._counts: defaultdict[Key, Counter[str]] = defaultdict(Counter)  # by the error's code

    def failed(
        self, level: Level, event: str, about: Mapping[str, str], error: LedgerError | None = None, **more: Any
    ) -> None:
        """Note a failure; one with another code than before is told at once, for it is another one.

        ``about`` says of whom or what; ``more`` is what only this time is so.
        """
        code = error.code if error is not None else ""
        counts = self._counts[_key(event, about)]
        counts[code] += 1
        times = counts[code]
        if times & (times - 1):  # no power of two
            return
        said = {"error": str(error), "code": code} if error is not None else {}
        repeated = {"times": times} if times > 1 else {}
        getattr(self._log, level)(event, **about, **said, **more, **repeated)

    def over(self, event: str, about: Mapping[str, str]) -> None:
        """Note that it went well; that is told where it had failed before."""
        counts = self._counts.pop(_key(event, about), None)
        if counts:
            self._log.info("a failure is over", what=event, times=counts.total(), **about)


def _key(event: str, about: Mapping[str, str]) -> Key:
    return event, tuple(sorted(about.items()))
