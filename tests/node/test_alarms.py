"""Alarms: each stays until its own cause is settled."""

from typing import Any

from node_helpers import parties
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from node.alarms import BY_RULING, Alarms
from node.errors import FrozenError, IntegrityAlarm
from node.metrics import Metrics

A, B = parties(2)


def raised(*alarms: IntegrityAlarm) -> Alarms:
    found = Alarms(A.origin, Metrics())
    for alarm in alarms:
        found.take(alarm)
    return found


def test_a_log_may_be_in_doubt_for_several_causes_and_each_is_lifted_alone() -> None:
    with capture_logs() as logged:
        alarms = raised(
            IntegrityAlarm("two stories", field=B.origin, cause="equivocation"),
            IntegrityAlarm("a bad disk", field=B.origin),
        )
        assert alarms == {B.origin: "two stories; a bad disk"}
        alarms.lift(B.origin, "equivocation", *BY_RULING)
        assert alarms == {B.origin: "a bad disk"}
        alarms.lift(B.origin, "damage")
        assert (dict(alarms), len(alarms)) == ({}, 0)
    lifted: list[dict[str, Any]] = [dict(one) for one in logged if one["event"] == "an integrity alarm is lifted"]
    assert [one["causes"] for one in lifted] == [["equivocation"], ["damage"]]


def test_what_is_told_again_is_counted_and_logged_once() -> None:
    metrics = Metrics()
    alarms = Alarms(A.origin, metrics)
    with capture_logs() as logged:
        for words in ("first", "second"):
            alarms.take(IntegrityAlarm(words))
    assert alarms == {A.origin: "first"}
    assert len(logged) == 1
    assert b"suyuan_alarms_total 1.0" in generate_latest(metrics.registry)


def test_lifting_what_nobody_has_raised_does_and_says_nothing() -> None:
    alarms = raised(IntegrityAlarm("a bad disk", field=B.origin))
    with capture_logs() as logged:
        alarms.lift(B.origin, "equivocation")
        alarms.lift(A.origin, "damage")
    assert alarms == {B.origin: "a bad disk"}
    assert not logged


def test_a_frozen_log_is_in_doubt_for_its_two_stories() -> None:
    assert [FrozenError("x").cause, IntegrityAlarm("x").cause] == ["equivocation", "damage"]
