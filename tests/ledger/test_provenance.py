"""Provenance: the causal order, who holds what, and every gap, whatever the order in which the entries come."""

import json
import random
from dataclasses import replace
from typing import Any

import builders
import histories
import pytest
from builders import STAMP, TIME
from histories import RECORD, RECORDS, World, read, same_trace, statement, worlds
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.encoding import check_json, encode_base64
from ledger.errors import ChainError
from ledger.event import EntryRef, LogOpen, Violation, parse_event
from ledger.lineage import collect
from ledger.provenance import Gap, Statement, Trace, fold

A, B, C, D = histories.LOGS
OTHER = RECORDS[1]
DIGESTS = [f"sha-256:{encode_base64(bytes([number]) * 32)}" for number in range(2)]


def trace(world: World, *, seed: int | None = None) -> Trace:
    """The trace of a record, the statements in another order for every seed."""
    found = collect(RECORD, world)
    statements = list(found.statements.values())
    if seed is not None:
        random.Random(seed).shuffle(statements)
    return fold(RECORD, statements, named_by=frozenset(found.named_by), known=frozenset(found.context))


def kinds(found: Trace) -> list[str]:
    return [gap.kind for gap in found.gaps]


def hops(found: Trace) -> list[tuple[str, str, str]]:
    return [(str(hop.share.ref), hop.event.consumer, hop.outcome) for hop in found.hops]


def holders(found: Trace) -> dict[str, str]:
    return {holder.log: holder.state for holder in found.holders}


def chain_of_three() -> World:
    """A to B to C to D, each of them accepted."""
    world = World()
    last: list[EntryRef] = []
    for at, (provider, consumer) in enumerate(((A, B), (B, C), (C, D))):
        last = [world.share(provider, consumer, RECORD, parents=last, time=at * 10)]
        world.receipt(consumer, last[0], time=at * 10 + 5)
    return world


def test_a_whole_chain_has_no_gap_and_everybody_in_it_holds_the_record() -> None:
    found = trace(chain_of_three())
    assert hops(found) == [("a/log#0", B, "accepted"), ("b/log#1", C, "accepted"), ("c/log#1", D, "accepted")]
    assert kinds(found) == []
    assert holders(found) == {A: "origin", B: "received", C: "received", D: "received"}
    assert [holder.since for holder in found.holders] == [0, 5, 15, 25]
    assert [str(holder.share) for holder in found.holders] == ["None", "a/log#0", "b/log#1", "c/log#1"]
    assert found.verified


def test_a_share_stands_behind_its_parents_whatever_the_clocks_say() -> None:
    world = World()
    first = world.share(A, B, RECORD, time=1000)
    world.share(B, C, RECORD, parents=[first], time=1)
    assert [place for place, _, _ in hops(trace(world))] == ["a/log#0", "b/log#0"]


def test_a_share_stands_behind_the_earlier_ones_of_its_own_log() -> None:
    world = World()
    late = world.share(A, B, RECORD, time=1000)
    world.share(C, D, RECORD, parents=[late], time=1)
    world.share(C, D, RECORD, time=2)
    assert [place for place, _, _ in hops(trace(world))] == ["a/log#0", "c/log#0", "c/log#1"]


def test_a_share_stands_behind_the_shares_that_its_log_has_answered_before() -> None:
    world = World()
    first = world.share(A, B, RECORD, time=1000)  # a clock that is ahead
    world.receipt(B, first, time=1)
    world.share(B, C, RECORD, time=2)  # without naming its source
    told = trace(world)
    assert [place for place, _, _ in hops(told)] == ["a/log#0", "b/log#1"]
    assert [(one.log, one.state) for one in told.holders][:2] == [("a/log", "origin"), ("b/log", "received")]


def test_what_nothing_orders_is_ordered_by_the_ledgers_time_then_the_stated_one_then_the_log() -> None:
    world = World()
    world.share(D, A, RECORD, time=1)
    world.share(C, A, RECORD, time=2, occurred_at="2026-11-21T08:15:30.124Z")
    world.share(B, A, RECORD, time=2, occurred_at="2026-11-21T08:15:30.123Z")
    world.share(A, B, RECORD, time=2, occurred_at="2026-11-21T08:15:30.124Z")
    assert [place for place, _, _ in hops(trace(world))] == ["d/log#0", "b/log#0", "a/log#0", "c/log#0"]


def test_shares_that_come_from_each_other_are_refused() -> None:
    first = statement(A, 0, parse_event(builders.share_event(B, records=[RECORD])))
    later = statement(A, 1, first.event)
    loop = parse_event(builders.share_event(B, records=[RECORD], parents=[later.ref.model_dump()]))
    for statements in ([replace(first, event=loop), later], [later, replace(first, event=loop)]):
        with pytest.raises(ChainError) as caught:
            fold(RECORD, statements, named_by=frozenset())
        assert caught.value.field == "parents"
        assert "a/log#0" in str(caught.value)


def test_a_share_that_nobody_answered_leaves_the_consumer_unacknowledged() -> None:
    world = World()
    world.share(A, B, RECORD, time=3)
    found = trace(world)
    assert kinds(found) == ["no_receipt"]
    assert holders(found) == {A: "origin", B: "unacknowledged"}
    assert found.gaps[0].detail == "b/log has not answered a/log#0"


def test_a_rejected_share_gives_the_consumer_nothing() -> None:
    world = World()
    world.receipt(B, world.share(A, B, RECORD), outcome="rejected")
    found = trace(world)
    assert (kinds(found), holders(found)) == ([], {A: "origin"})
    assert hops(found) == [("a/log#0", B, "rejected")]


def test_a_later_answer_turns_a_doubtful_holder_into_a_sure_one_and_the_first_receipt_counts() -> None:
    world = World()
    world.share(A, B, RECORD, time=1)
    world.receipt(B, world.share(A, B, RECORD, time=2), time=7)
    world.receipt(B, world.share(A, B, RECORD, time=3), time=9)
    found = trace(world)
    assert holders(found) == {A: "origin", B: "received"}
    assert [(holder.since, str(holder.share)) for holder in found.holders] == [(1, "None"), (7, "a/log#1")]


def test_a_second_receipt_is_a_gap_and_does_not_count() -> None:
    world = World()
    share = world.share(A, B, RECORD)
    world.receipt(B, share, outcome="rejected")
    world.receipt(B, share)
    found = trace(world)
    assert kinds(found) == ["second_receipt"]
    assert hops(found) == [("a/log#0", B, "rejected")]
    assert str(found.gaps[0].entry) == "b/log#1"


def test_a_receipt_by_somebody_else_is_a_gap_and_no_answer() -> None:
    world = World()
    world.receipt(C, world.share(A, B, RECORD))
    found = trace(world)
    assert kinds(found) == ["foreign_receipt", "no_receipt"]
    assert holders(found) == {A: "origin", B: "unacknowledged"}


def test_a_receipt_of_a_share_that_is_not_here_is_a_gap() -> None:
    world = World()
    share = world.share(A, B, RECORD)
    world.receipt(B, EntryRef(hash=share.hash, index=9, log=share.log))
    found = fold(RECORD, world.written, named_by=frozenset([share.hash]))
    assert kinds(found) == ["no_receipt", "unknown_share"]


@pytest.mark.parametrize(
    ("stated", "received", "outcome", "gap"),
    [
        (0, 1, "accepted", True),
        (0, 0, "accepted", False),
        (0, None, "accepted", False),
        (None, 0, "accepted", False),
        (None, None, "accepted", False),
        (0, 1, "rejected", False),
    ],
)
def test_other_data_than_was_sent_is_a_gap(
    stated: int | None, received: int | None, outcome: str, *, gap: bool
) -> None:
    world = World()
    share = world.share(A, B, RECORD, payload_digest=None if stated is None else DIGESTS[stated])
    digest = None if received is None else DIGESTS[received]
    world.receipt(B, share, outcome=outcome, payload_digest=digest)
    assert kinds(trace(world)) == ["digest_differs"] * gap


def test_a_source_that_is_missing_is_a_gap() -> None:
    world = chain_of_three()
    world.missing = {world.written[0].ref, world.written[1].ref}
    found = trace(world)
    assert kinds(found) == ["unknown_parent"]
    assert "names a/log#0 as its source, which is no share that is here" in found.gaps[0].detail
    assert holders(found) == {B: "origin", C: "received", D: "received"}


def test_a_source_that_stands_at_another_place_than_its_reference_says_is_not_here() -> None:
    world = World()
    first = world.share(A, B, RECORD)
    world.receipt(B, first)
    world.receipt(C, world.share(B, C, RECORD, parents=[EntryRef(hash=first.hash, index=5, log=A)]))
    assert kinds(trace(world)) == ["unknown_parent"]


def test_a_source_that_went_to_somebody_else_is_a_gap() -> None:
    world = World()
    first = world.share(A, B, RECORD)
    world.receipt(B, first)
    world.receipt(D, world.share(C, D, RECORD, parents=[first]))
    assert kinds(trace(world)) == ["parent_of_another"]


def test_passing_on_what_was_rejected_is_a_gap() -> None:
    world = World()
    first = world.share(A, B, RECORD)
    world.receipt(B, first, outcome="rejected")
    world.receipt(C, world.share(B, C, RECORD, parents=[first]))
    assert kinds(trace(world)) == ["parent_rejected"]


def test_passing_on_what_was_received_without_naming_the_source_is_a_gap() -> None:
    world = World()
    world.receipt(B, world.share(A, B, RECORD))
    world.receipt(C, world.share(B, C, RECORD, time=5))
    assert kinds(trace(world)) == ["parent_not_named"]


def test_sharing_what_came_from_nowhere_is_a_gap() -> None:
    world = World()
    world.receipt(B, world.share(A, B, RECORD))
    world.receipt(D, world.share(C, D, RECORD, time=5))
    assert kinds(trace(world)) == ["source_unknown"]


def test_a_source_of_other_records_says_nothing_about_this_one() -> None:
    world = World()
    world.receipt(B, world.share(A, B, RECORD))
    other = world.share(A, C, OTHER)
    world.receipt(D, world.share(C, D, RECORD, OTHER, parents=[other], time=5))
    assert kinds(trace(world)) == ["source_unknown"]


def test_the_origin_may_share_its_own_record_along_with_a_received_one() -> None:
    world = World()
    other = world.share(B, A, OTHER)
    world.receipt(B, world.share(A, B, RECORD, OTHER, parents=[other]))
    assert kinds(trace(world)) == []


def test_the_origin_may_get_its_own_record_back_and_share_it_again() -> None:
    world = World()
    first = world.share(A, B, RECORD)
    world.receipt(B, first)
    back = world.share(B, A, RECORD, parents=[first])
    world.receipt(A, back)
    world.receipt(C, world.share(A, C, RECORD, time=9))
    found = trace(world)
    assert kinds(found) == []
    assert holders(found)[A] == "origin"


def test_an_entry_that_cannot_be_read_is_a_gap() -> None:
    opened = parse_event(builders.open_event())
    statements = [
        statement(B, 0, Violation("bad_value", "the text is empty")),
        statement(A, 0, opened),
    ]
    found = fold(RECORD, statements, named_by=frozenset())
    assert [(gap.kind, str(gap.entry)) for gap in found.gaps] == [("unreadable", "a/log#0"), ("unreadable", "b/log#0")]
    assert found.gaps[0].detail == "a/log#0 is neither a share nor a receipt"
    assert found.gaps[1].detail == "b/log#0 breaks the schema of its type: the text is empty"
    assert isinstance(opened, LogOpen)


def test_gaps_that_the_collector_has_met_come_first() -> None:
    met = Gap("damaged", "an entry is damaged", None)
    found = fold(RECORD, chain_of_three().written[:1], named_by=frozenset(), gaps=[met])
    assert kinds(found) == ["damaged", "no_receipt"]
    assert found.to_json()["gaps"][0] == {"kind": "damaged", "detail": "an entry is damaged", "entry": None}


def test_an_empty_history_has_nothing_and_says_so() -> None:
    found = fold(RECORD, [], named_by=frozenset(), truncated=True, checkpoints=[{"log": A}])
    assert found.to_json() == {
        "schema": "suyuan.trace/1",
        "record": RECORD,
        "hops": [],
        "holders": [],
        "gaps": [],
        "checkpoints": [{"log": A}],
        "truncated": True,
    }


@pytest.mark.parametrize("part", ["verified", "confirmed"])
def test_a_hop_is_as_good_as_its_weaker_side(part: str) -> None:
    world = World()
    world.receipt(B, world.share(A, B, RECORD))
    share, receipt = world.written
    weak: dict[str, Any] = {part: False}
    for statements, expected in (
        ([share, receipt], True),
        ([replace(share, **weak), receipt], False),
        ([share, replace(receipt, **weak)], False),
        ([share], True),
        ([replace(share, **weak)], False),
    ):
        found = fold(RECORD, statements, named_by=frozenset())
        assert getattr(found.hops[0], part) == expected
        if part == "verified":
            assert found.verified == expected
        else:
            assert found.to_json()["hops"][0]["state"] == ("confirmed" if expected else "recorded")


def test_the_json_of_a_trace_has_all_that_the_entries_say() -> None:
    world = World()
    said: dict[str, Any] = {
        "resource_version": 3,
        "legal_basis": "政务数据共享条例第九条",
        "grant": "2026-17",
        "mode": "copy",
        "fields": ["name", "address"],
        "rows": 1,
        "case": "c-1",
        "system": "s-1",
        "operator": "o-1",
        "labels": {"a": "b"},
    }
    first = world.share(A, B, RECORD, time=TIME, **said)
    world.receipt(B, first, time=TIME + 1000, outcome="rejected", reason="the file is empty")
    world.share(B, C, OTHER, parents=[first], time=TIME + 2000)
    found = trace(world).to_json()
    check_json(json.loads(json.dumps(found)))
    assert found["hops"][0] == {
        "from": A,
        "to": B,
        "time": STAMP,
        "occurred_at": STAMP,
        "purpose": "housing benefit",
        "resource": "household-register",
        "method": "api",
        **said,
        "share": first.model_dump(),
        "receipt": {
            **world.written[1].ref.model_dump(),
            "time": "2026-11-21T08:15:31.123Z",
            "occurred_at": STAMP,
            "outcome": "rejected",
            "verified": True,
            "verification": "b/log#0",
            "reason": "the file is empty",
        },
        "parents": [],
        "relation": "record",
        "outcome": "rejected",
        "state": "confirmed",
        "verified": True,
        "verification": "a/log#0",
    }
    assert found["hops"][1]["relation"] == "derived"
    assert found["hops"][1]["parents"] == [first.model_dump()]
    assert found["hops"][1]["receipt"] is None
    assert found["holders"] == [
        {"log": A, "state": "origin", "since": STAMP, "share": None},
        {
            "log": C,
            "state": "unacknowledged",
            "since": "2026-11-21T08:15:32.123Z",
            "share": world.written[2].ref.model_dump(),
        },
    ]
    assert [gap["kind"] for gap in found["gaps"]] == ["no_receipt", "parent_rejected"]
    assert found["gaps"][1]["entry"] == world.written[2].ref.model_dump()


def test_a_grant_that_is_an_entry_is_told_as_its_reference() -> None:
    world = World()
    grant = builders.ref_of("grant")
    world.share(A, B, RECORD, grant=grant.model_dump())
    assert trace(world).to_json()["hops"][0]["grant"] == grant.model_dump()


@settings(deadline=None)
@given(worlds(), st.integers())
def test_the_trace_is_the_naive_readers_whatever_the_order_of_the_entries(world: World, seed: int) -> None:
    times = {one.ref: one.time for one in world.written}
    found = trace(world)
    assert same_trace(found, read(world), times)
    assert trace(world, seed=seed) == found


@settings(deadline=None)
@given(worlds())
def test_no_share_stands_before_what_it_comes_from(world: World) -> None:
    seen: set[str] = set()
    newest: dict[str, int] = {}
    found = trace(world)
    inside = {hop.share.ref.hash for hop in found.hops}
    for hop in found.hops:
        assert {parent.hash for parent in hop.event.parents or ()} & inside <= seen
        assert newest.get(hop.share.ref.log, -1) < hop.share.ref.index
        seen.add(hop.share.ref.hash)
        newest[hop.share.ref.log] = hop.share.ref.index


def test_two_entries_at_one_place_are_told_in_an_order_that_does_not_depend_on_their_coming() -> None:
    first = statement(A, 0, parse_event(builders.share_event(B, records=[RECORD])))
    twin: Statement = replace(first, ref=builders.ref_of("twin", log=A, index=0))
    found = {
        tuple(hop.share.ref.hash for hop in fold(RECORD, order, named_by=frozenset()).hops)
        for order in ([first, twin], [twin, first])
    }
    assert len(found) == 1
