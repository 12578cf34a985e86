"""A failure that repeats is logged at doubling intervals, and once more when it is over."""

from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from node.faults import PeerError, PeerSlowError
from node.repeats import Repeats

A, B = {"peer": "a.example/log"}, {"peer": "b.example/log"}
EVENT = "a push failed"


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with capture_logs() as logged:
        yield logged


@pytest.fixture
def repeats(logged: list[Any]) -> Repeats:
    assert logged == []
    return Repeats(structlog.get_logger("node.test"))


def test_the_first_failure_is_logged_and_then_the_powers_of_two(repeats: Repeats, logged: list[Any]) -> None:
    for number in range(1, 101):
        repeats.failed("info", EVENT, A, PeerError("no"), again_in_s=number)
    assert logged[0] == {
        "event": EVENT, "log_level": "info", "peer": "a.example/log", "error": "no", "code": "peer_failed",
        "again_in_s": 1,
    }  # fmt: skip
    assert [one["times"] for one in logged[1:]] == [2, 4, 8, 16, 32, 64]
    assert [one["again_in_s"] for one in logged[1:]] == [2, 4, 8, 16, 32, 64]


def test_another_peer_and_another_code_are_failures_of_their_own(repeats: Repeats, logged: list[Any]) -> None:
    for _ in range(3):
        repeats.failed("warning", EVENT, A, PeerError("no"))
        repeats.failed("warning", EVENT, B, PeerError("no"))
        repeats.failed("warning", EVENT, A, PeerSlowError("slow"))
    assert len(logged) == 6
    assert {(one["peer"], one["code"], one.get("times", 1)) for one in logged} == {
        (peer, code, times)
        for peer, code in (
            ("a.example/log", "peer_failed"), ("b.example/log", "peer_failed"), ("a.example/log", "peer_slow"),
        )
        for times in (1, 2)
    }  # fmt: skip


def test_its_end_is_logged_once_with_how_often_it_had_failed(repeats: Repeats, logged: list[Any]) -> None:
    repeats.over(EVENT, A)
    assert logged == []
    repeats.failed("info", EVENT, A, PeerError("no"))
    repeats.failed("info", EVENT, A, PeerSlowError("slow"))
    repeats.failed("info", EVENT, B)
    for _ in range(2):
        repeats.over(EVENT, A)
    assert [one for one in logged if one["event"] == "a failure is over"] == [
        {"event": "a failure is over", "log_level": "info", "what": EVENT, "times": 2, "peer": "a.example/log"}
    ]
    repeats.failed("info", EVENT, A, PeerError("no"))
    assert "times" not in logged[-1]
    assert logged[-1]["event"] == EVENT
