"""Integrity alarms: what is raised, about which log and why, until its cause is settled.

A log may be in doubt for several causes at once. Whatever settles one of them lifts that one alone: a ruling of the
governors mends no disk. Of one log and cause the first alarm is kept, for those that follow tell the same again.
"""

from collections.abc import Iterator, Mapping
from threading import Lock

import structlog

from node.errors import AlarmCause, IntegrityAlarm
from node.metrics import Metrics

log = structlog.get_logger(__name__)

BY_RULING: tuple[AlarmCause, ...] = ("ahead", "contradiction", "ended_key", "ruling")  # what following a ruling settles


class Alarms(Mapping[str, str]):
    """What is raised, by log, or by the part of this node that it is about; all methods from any thread."""

    def __init__(self, own: str, metrics: Metrics) -> None:
        """An alarm without a place is about ``own``."""
        self._own = own
        self._metrics = metrics
        self._lock = Lock()
        self._raised: Mapping[str, Mapping[AlarmCause, str]] = {}  # replaced, never changed

    def __getitem__(self, name: str) -> str:
        return "; ".join(self._raised[name].values())

    def __iter__(self) -> Iterator[str]:
        return iter(self._raised)

    def __len__(self) -> int:
        return len(self._raised)

    def take(self, alarm: IntegrityAlarm) -> None:
        """Keep an alarm where doctor, health and metrics show it."""
        name = alarm.field or self._own
        with self._lock:
            known = self._raised.get(name, {})
            if alarm.cause in known:
                return
            self._raised = {**self._raised, name: {**known, alarm.cause: alarm.message}}
        self._metrics.alarms.inc()
        log.critical("integrity alarm", log=name, cause=alarm.cause, alarm=alarm.message)

    def lift(self, name: str, *causes: AlarmCause) -> None:
        """Take back what was raised about a log for these causes: nothing of it stands any more."""
        with self._lock:
            known = self._raised.get(name, {})
            left = {cause: words for cause, words in known.items() if cause not in causes}
            if len(left) == len(known):
                return
            others = {other: raised for other, raised in self._raised.items() if other != name}
            self._raised = {**others, name: left} if left else others
        log.warning("an integrity alarm is lifted", log=name, causes=sorted(known.keys() - left.keys()))
