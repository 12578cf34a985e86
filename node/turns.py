"""Single events that arrive in one turn of the event loop are recorded together: each for itself, in one submission."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeAlias

import structlog

from node.service import Node
from node.submission import Outcomes, Prepared, Recorded

log = structlog.get_logger(__name__)

Answer: TypeAlias = Callable[[Recorded | BaseException], None]


class Turns:
    """What has arrived since the event loop last came round."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._prepared: list[Prepared] = []
        self._answers: list[Answer] = []

    def take(self, prepared: Prepared, answer: Answer) -> None:
        """Have an event recorded with the others of this turn; ``answer`` is told where it stands, or why not."""
        if not self._prepared:
            asyncio.get_running_loop().call_soon(self._submit)
        self._prepared.append(prepared)
        self._answers.append(answer)

    def _submit(self) -> None:
        prepared, self._prepared = self._prepared, []
        answers, self._answers = self._answers, []

        def heard(recording: "asyncio.Future[Outcomes]") -> None:
            error = asyncio.CancelledError() if recording.cancelled() else recording.exception()
            outcomes: Iterable[Recorded | BaseException]
            outcomes = recording.result() if error is None else [error] * len(answers)
            for answer, outcome in zip(answers, outcomes, strict=True):
                _tell(answer, outcome)

        try:
            recording = self._node.record_apart(tuple(prepared))
        except Exception as error:  # noqa: BLE001 - nobody may be left waiting
            for answer in answers:
                _tell(answer, error)
        else:
            recording.add_done_callback(heard)


def _tell(answer: Answer, outcome: Recorded | BaseException) -> None:
    """Answer one request; what goes wrong with that is no matter of the others."""
    try:
        answer(outcome)
    except Exception:
        log.exception("a request met a fault of the software", method="POST", path="/v1/events")
