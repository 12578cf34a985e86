"""Recording plans: order, waiting, repetition, refusals and busy nodes, against a node stricter than the real one."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from node_helpers import Party

from cli.sources import recording
from cli.sources.ids import receipt_id
from cli.sources.plans import LISTED_MAX, Need, Outcome, Planned
from cli.sources.recording import Recorder
from ledger.encoding import JsonObject, canonical_json, encode_base64
from ledger.errors import LedgerError
from ledger.event import EntryRef
from ledger.merkle import leaf_hash
from node.client import BadAnswerError, NodeProblem, Recorded, UnreachableError
from node.submission import prepare

POLICE, TAX, COURT = (Party(name) for name in ("police", "tax", "court"))
AT, AT_MS = "2026-11-21T08:15:30.123Z", 1_795_248_930_123
RECORD = "9f" * 16


class RefusalError(Exception):
    pass


class World:
    """Logs of departments, and nodes that hold them; a node sees another's entries when it has mirrored them."""

    def __init__(self, *parties: Party) -> None:
        self.logs: dict[str, list[JsonObject]] = {party.origin: [] for party in (POLICE, TAX, COURT)}
        self.nodes = {party.origin: PaperNode(self, party.origin) for party in parties}
        self.slept: list[float] = []
        self.on_sleep: Callable[[], None] = self.mirror

    def mirror(self) -> None:
        for node in self.nodes.values():
            node.sizes = {origin: len(log) for origin, log in self.logs.items()}

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        assert len(self.slept) < 5000, "it waits for ever"
        self.on_sleep()

    def recorder(self, **options: Any) -> Recorder:
        return Recorder(self.nodes, sleep=self.sleep, **options)

    def put(self, party: Party, event: JsonObject) -> EntryRef:
        """Record an event of a department by other means."""
        self.logs[party.origin].append(event)
        self.mirror()
        return ref_of(party.origin, len(self.logs[party.origin]) - 1, event)


class PaperNode:
    def __init__(self, world: World, origin: str) -> None:
        self.world = world
        self.origin = origin
        self.sizes: dict[str, int] = {}
        self.posts: list[int] = []  # events in each request
        self.troubles: list[Exception] = []  # raised by the next requests, one each
        self.asked: Counter[str] = Counter()
        self.verified = True

    def logs(self) -> JsonObject:
        self._trouble("logs")
        sizes = {**dict.fromkeys(self.world.logs, 0), **self.sizes, self.origin: len(self._own)}
        return {"logs": [{"log": origin, "size": size} for origin, size in sizes.items()]}

    def event(self, event_id: str, log: str | None = None) -> JsonObject:
        self._trouble("event")
        for origin in (self.origin, *self.world.logs) if log is None else (log,):
            entries = self.world.logs[origin]
            seen = entries if origin == self.origin else entries[: self.sizes.get(origin, 0)]
            for index, event in enumerate(seen):
                if event["id"] == event_id:
                    entry = ref_of(origin, index, event).model_dump()
                    return {"entry": entry, "event": event, "verified": self.verified, "verification": "words"}
        raise NodeProblem(404, {"code": "not_found", "detail": "no such event"})

    def post_events(self, events: Sequence[JsonObject]) -> list[Recorded]:
        self._trouble("post")
        self.posts.append(len(events))
        fresh: list[JsonObject] = []
        found = []
        for number, event in enumerate(events):
            try:
                found.append(self._admit(event, fresh))
            except (RefusalError, LedgerError) as error:
                field = f"events[{number}].consumer"
                raise NodeProblem(
                    409, {"code": "unknown_consumer", "detail": f"{field}: {error}", "field": field}
                ) from None
        self._own.extend(fresh)
        return found

    @property
    def _own(self) -> list[JsonObject]:
        return self.world.logs[self.origin]

    def _admit(self, event: JsonObject, fresh: list[JsonObject]) -> Recorded:
        prepare(event, origin=self.origin)
        for index, known in enumerate([*self._own, *fresh]):
            if known["id"] == event["id"]:
                if canonical_json(known) != canonical_json(event):
                    raise RefusalError("the id is recorded with other content")
                return Recorded(str(event["id"]), ref_of(self.origin, index, event), AT, "recorded")
        if event.get("consumer") == "nobody.test/log":
            raise RefusalError("is no member")
        for ref in [event["share"]] if event["type"] == "receipt" else event.get("parents", []):
            log = self.world.logs[ref["log"]][: self.sizes.get(ref["log"], 0)]
            if ref["index"] >= len(log) or ref_of(ref["log"], ref["index"], log[ref["index"]]).hash != ref["hash"]:
                raise RefusalError("is no share that is known here")
            if log[ref["index"]]["consumer"] != self.origin:
                raise RefusalError("went to somebody else")
        fresh.append(event)
        return Recorded(str(event["id"]), ref_of(self.origin, len(self._own) + len(fresh) - 1, event), AT, "recorded")

    def _trouble(self, what: str) -> None:
        self.asked[what] += 1
        if self.troubles:
            raise self.troubles.pop(0)


def ref_of(origin: str, index: int, event: JsonObject) -> EntryRef:
    return EntryRef(hash=encode_base64(leaf_hash(canonical_json(event).encode())), index=index, log=origin)


def number_id(number: int) -> str:
    return f"00000000-0000-5000-8000-{number:012x}"


def share(
    number: int, provider: Party, consumer: Party | str, *, source: Planned | None = None, **more: Any
) -> Planned:
    event = {
        "type": "share", "id": number_id(number),
        "consumer": consumer if isinstance(consumer, str) else consumer.origin,
        "resource": "r", "purpose": "p", "method": "api", "occurred_at": AT, **more,
    }  # fmt: skip
    if source is None:
        event.setdefault("records", [RECORD])
    need = None if source is None else Need(share_id=source.id, provider=source.department, time_ms=AT_MS)
    return Planned(place=f"line {number}", department=provider.origin, kind="share", event=event, need=need)


def receipt(of: Planned, *, optional: bool = False, **more: Any) -> Planned:
    need = Need(share_id=of.id, provider=of.department, time_ms=AT_MS, **more)
    event = {"type": "receipt", "id": receipt_id(of.id), "outcome": "accepted", "occurred_at": AT}
    return Planned(
        place=of.place, department=str(of.event["consumer"]), kind="receipt", event=event, need=need, optional=optional
    )


def counts(outcome: Outcome) -> tuple[int, int, int, int, int, int]:
    made, there = outcome.made, outcome.there
    return (
        made["share"],
        made["receipt"],
        there["share"],
        there["receipt"],
        outcome.waiting.count,
        outcome.refused.count,
    )


def chain(count: int) -> list[Planned]:
    """A record that goes to and fro, each share with its receipt."""
    plans: list[Planned] = []
    source = None
    for number in range(count):
        provider, consumer = (POLICE, TAX) if number % 2 == 0 else (TAX, POLICE)
        one = share(number, provider, consumer, source=source)
        plans += [one, receipt(one)]
        source = one
    return plans


def test_both_sides_of_a_chain_are_recorded_in_one_run_however_slowly_the_nodes_mirror() -> None:
    world = World(POLICE, TAX)
    beats = iter(range(10_000))
    world.on_sleep = lambda: world.mirror() if next(beats) % 3 == 2 else None
    assert counts(world.recorder().run(chain(7))) == (7, 7, 0, 0, 0, 0)
    shares = [event for log in world.logs.values() for event in log if event["type"] == "share"]
    assert all(event["records"] == [RECORD] for event in shares)
    assert sum("parents" in event for event in shares) == 6


def test_a_second_run_changes_nothing() -> None:
    world = World(POLICE, TAX)
    world.recorder().run(chain(5))
    before = {origin: list(log) for origin, log in world.logs.items()}
    assert counts(world.recorder().run(chain(5))) == (0, 0, 5, 5, 0, 0)
    assert world.logs == before


@pytest.mark.parametrize("stop", range(1, 12))
def test_an_interrupted_run_is_completed_by_the_next_one(stop: int) -> None:
    """Whatever request is the last one."""
    world = World(POLICE, TAX)
    calls = 0

    def interrupt(what: str) -> None:
        nonlocal calls
        calls += 1
        if calls == stop:
            raise KeyboardInterrupt

    for node in world.nodes.values():
        node._trouble = interrupt  # type: ignore[method-assign] # a fault is injected where it happens
    with pytest.raises(KeyboardInterrupt):
        world.recorder().run(chain(4))
    calls = 1000
    outcome = world.recorder().run(chain(4))
    assert (outcome.waiting.count, outcome.refused.count) == (0, 0)
    assert outcome.made["share"] + outcome.there["share"] == 4
    assert sum(len(log) for log in world.logs.values()) == 8


def test_one_department_alone_records_what_it_can_and_the_rest_waits() -> None:
    world = World(POLICE)
    first, _, back, back_answer, again, *_ = chain(5)
    outcome = world.recorder().run([first, back_answer, again])
    assert counts(outcome) == (1, 0, 0, 0, 2, 0)
    assert [finding.place for finding in outcome.waiting.listed] == ["line 1", "line 2"]
    assert "has not arrived here" in outcome.waiting.listed[0].reason
    world.put(TAX, back.completed(ref_of(POLICE.origin, 0, world.logs[POLICE.origin][0]), [RECORD]))
    assert counts(world.recorder().run([first, back_answer, again])) == (1, 1, 1, 0, 0, 0)


def test_other_departments_are_waited_for_as_long_as_asked_and_no_longer() -> None:
    world = World(TAX)
    one = share(1, POLICE, TAX)
    assert counts(world.recorder().run([receipt(one)])) == (0, 0, 0, 0, 1, 0)
    assert world.slept == []
    world.recorder(wait_seconds=3.0).run([receipt(one)])
    assert 2.0 <= sum(world.slept) <= 3.5


def test_a_share_that_arrives_while_waiting_is_answered() -> None:
    world = World(TAX)
    one = share(1, POLICE, TAX)

    def arrive() -> None:
        if len(world.slept) == 3:
            world.put(POLICE, one.event)

    world.on_sleep = arrive
    assert counts(world.recorder(wait_seconds=60).run([receipt(one)])) == (0, 1, 0, 0, 0, 0)


def test_a_share_is_looked_for_again_only_when_its_log_has_grown() -> None:
    world = World(TAX)
    world.recorder(wait_seconds=5.0).run([receipt(share(number, POLICE, TAX)) for number in range(10)])
    assert world.nodes[TAX.origin].asked["event"] == 10


def test_a_node_that_never_mirrors_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MIRROR_SECONDS_MAX", 2.0)
    world = World(POLICE, TAX)
    world.on_sleep = lambda: None
    outcome = world.recorder().run(chain(1))
    assert counts(outcome) == (1, 0, 0, 0, 1, 0)
    assert "has not mirrored" in outcome.waiting.listed[0].reason


def test_an_optional_event_is_dropped_where_its_share_is_not_here() -> None:
    world = World(TAX)
    one = share(1, POLICE, TAX)
    outcome = world.recorder().run([receipt(one, optional=True)])
    assert counts(outcome) == (0, 0, 0, 0, 0, 0)
    assert outcome.dropped == {receipt_id(one.id)}
    world.put(POLICE, one.event)
    assert counts(world.recorder().run([receipt(one, optional=True)])) == (0, 1, 0, 0, 0, 0)


# Refusals.


@pytest.mark.parametrize("bad", [{0}, {3}, {9}, {2, 3, 4}, set(range(10)), set(range(0, 10, 2))], ids=str)
def test_a_refused_event_takes_no_other_with_it(bad: set[int]) -> None:
    world = World(POLICE)
    plans = [share(number, POLICE, "nobody.test/log" if number in bad else TAX) for number in range(10)]
    outcome = world.recorder().run(plans)
    assert counts(outcome) == (10 - len(bad), 0, 0, 0, 0, len(bad))
    assert {finding.place for finding in outcome.refused.listed} == {f"line {number}" for number in bad}
    assert all(
        (finding.code, finding.reason) == ("unknown_consumer", "consumer: is no member")
        for finding in outcome.refused.listed
    )


def test_many_refusals_do_not_make_many_large_requests() -> None:
    world = World(POLICE)
    world.recorder().run([share(number, POLICE, "nobody.test/log") for number in range(800)])
    assert sum(world.nodes[POLICE.origin].posts) < 5 * 800


def test_an_event_that_breaks_its_schema_is_refused_before_anything_is_sent() -> None:
    world = World(POLICE, TAX)
    bad = share(1, POLICE, TAX, purpose="x" * 501)
    outcome = world.recorder().run([bad, receipt(bad)])
    assert counts(outcome) == (0, 0, 0, 0, 0, 2)
    assert [finding.code for finding in outcome.refused.listed] == ["too_long", "source_refused"]
    assert world.nodes[POLICE.origin].posts == []


def test_what_rests_on_a_refused_share_is_refused_with_it() -> None:
    world = World(POLICE, TAX)
    bad = share(1, POLICE, "nobody.test/log")
    onward = share(2, TAX, POLICE, source=bad)
    last = receipt(onward)
    outcome = world.recorder().run([bad, onward, last])
    assert counts(outcome) == (0, 0, 0, 0, 0, 3)
    assert [finding.reason for finding in outcome.refused.listed][1:] == [
        "the share of line 1 was refused", "the share of line 2 was refused",
    ]  # fmt: skip


def test_what_rests_on_a_share_that_could_not_be_planned_is_refused() -> None:
    one = share(1, POLICE, TAX)
    outcome = World(TAX).recorder(lost={one.id: "line 1"}).run([receipt(one)])
    assert outcome.refused.listed[0].code == "source_refused"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"consumer": COURT.origin}, "no share by"),
        ({"occurred_at": "2026-11-21T08:15:30.124Z"}, "another time"),
        ({"occurred_at": "never"}, "no share by"),
        ({"type": "receipt"}, "no share by"),
    ],
    ids=["consumer", "time", "malformed", "type"],
)
def test_an_event_of_the_right_id_that_is_another_share_is_not_answered(change: dict[str, Any], reason: str) -> None:
    world = World(TAX)
    one = share(1, POLICE, TAX)
    world.put(POLICE, {**one.event, **change})
    outcome = world.recorder().run([receipt(one)])
    assert counts(outcome) == (0, 0, 0, 0, 0, 1)
    assert outcome.refused.listed[0].code == "not_that_share"
    assert reason in outcome.refused.listed[0].reason


def test_a_share_in_the_log_of_somebody_else_is_not_answered() -> None:
    world = World(TAX)
    one = share(1, POLICE, TAX)
    world.put(COURT, one.event)
    outcome = world.recorder().run([receipt(one)])  # its id can be foreseen: whoever takes it gains nothing
    assert (outcome.waiting.count, outcome.refused.count) == (1, 0)


def test_a_share_that_the_node_could_not_verify_is_not_answered() -> None:
    world = World(TAX)
    one = share(1, POLICE, TAX)
    world.put(POLICE, one.event)
    world.nodes[TAX.origin].verified = False
    assert "not verified" in world.recorder().run([receipt(one)]).refused.listed[0].reason


@pytest.mark.parametrize("difference", [0, 599_999, 600_000, 600_001])
def test_the_time_of_a_share_may_differ_by_the_tolerance(difference: int) -> None:
    world = World(TAX)
    one = share(1, POLICE, TAX)
    world.put(POLICE, one.event)
    answer = receipt(one, tolerance_ms=600_000 - difference)
    moved = Planned(
        place="x", department=TAX.origin, kind="receipt", event=answer.event,
        need=Need(share_id=one.id, provider=POLICE.origin, time_ms=AT_MS + difference, tolerance_ms=600_000),
    )  # fmt: skip
    assert world.recorder().run([moved]).refused.count == (1 if difference > 600_000 else 0)


def test_shares_of_one_moment_that_outnumber_the_rows_are_not_guessed_at() -> None:
    world = World(TAX)
    one, more = share(1, POLICE, TAX), share(2, POLICE, TAX)
    world.put(POLICE, one.event)
    answer = receipt(one, unlike=more.id)
    assert counts(world.recorder().run([answer])) == (0, 1, 0, 0, 0, 0)
    world = World(TAX)
    world.put(POLICE, one.event)
    world.put(POLICE, more.event)
    assert world.recorder().run([answer]).refused.listed[0].code == "ambiguous_share"


@pytest.mark.parametrize("records", [[], [RECORD, "8e" * 16]], ids=["none", "two"])
def test_a_share_of_other_than_one_record_is_not_passed_on_as_the_row_s(records: list[str]) -> None:
    world = World(TAX)
    one = share(1, POLICE, TAX)
    event = {**one.event, "records": records}
    world.put(POLICE, event if records else {name: value for name, value in event.items() if name != "records"})
    assert world.recorder().run([share(2, TAX, COURT, source=one)]).refused.listed[0].code == "not_that_share"
    named = share(3, TAX, COURT, source=one, records=[RECORD])
    assert counts(world.recorder().run([named])) == (1, 0, 0, 0, 0, 0)


def test_of_many_findings_some_are_listed_and_all_are_counted() -> None:
    outcome = Outcome()
    for number in range(LISTED_MAX + 5):
        outcome.refuse(f"line {number}", LedgerError("x"))
    assert (outcome.refused.count, len(outcome.refused.listed)) == (LISTED_MAX + 5, LISTED_MAX)


# Nodes in trouble.


BUSY = NodeProblem(503, {"code": "busy", "detail": "busy"})


@pytest.mark.parametrize(
    "trouble", [BUSY, NodeProblem(429, {"code": "busy"}), UnreachableError("gone")], ids=["503", "429", "gone"]
)
def test_a_node_that_is_busy_or_away_for_a_while_is_asked_again(trouble: Exception) -> None:
    world = World(POLICE, TAX)
    recorder = world.recorder()

    def once() -> None:
        world.mirror()
        if len(world.slept) == 1:
            world.nodes[TAX.origin].troubles = [trouble] * 4

    world.on_sleep = once
    assert counts(recorder.run(chain(2))) == (2, 2, 0, 0, 0, 0)


def test_a_node_that_does_not_answer_at_the_start_is_not_waited_for() -> None:
    world = World(POLICE)
    world.nodes[POLICE.origin].troubles = [UnreachableError("gone")]
    with pytest.raises(UnreachableError):
        world.recorder().run(chain(1)[:1])
    assert world.slept == []


def test_a_node_that_stays_away_ends_the_run_and_what_was_done_is_known() -> None:
    world = World(POLICE, TAX)
    recorder = world.recorder()

    def away() -> None:
        world.mirror()
        world.nodes[TAX.origin].troubles = [UnreachableError("gone")] * 100

    world.on_sleep = away
    with pytest.raises(UnreachableError):
        recorder.run(chain(2))
    assert counts(recorder.outcome) == (1, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "problem",
    [
        NodeProblem(401, {"code": "unknown_token"}),
        NodeProblem(403, {"code": "forbidden"}),
        NodeProblem(413, {"code": "body_too_large"}),
        NodeProblem(409, {"code": "integrity_alarm"}),
        NodeProblem(422, {"code": "bad_json", "field": "events[7777]"}),
        NodeProblem(422, {"code": "too_many", "field": "events"}),
        BadAnswerError("not JSON"),
    ],
    ids=["401", "403", "413", "alarm", "beyond", "whole", "answer"],
)
def test_what_concerns_the_request_and_not_an_event_ends_the_run(problem: Exception) -> None:
    world = World(POLICE)
    node = world.nodes[POLICE.origin]

    def refuse(events: Sequence[JsonObject]) -> list[Recorded]:
        raise problem

    node.post_events = refuse  # type: ignore[method-assign] # a fault is injected where it happens
    with pytest.raises(type(problem)):
        world.recorder().run([share(1, POLICE, TAX), share(2, POLICE, TAX)])


@pytest.mark.parametrize(
    "answer", [{}, {"logs": 3}, {"logs": [{"log": "x"}]}, {"logs": [{"log": "x", "size": "y"}]}], ids=str
)
def test_an_answer_that_tells_no_sizes_is_a_bad_answer(answer: JsonObject) -> None:
    world = World(POLICE)
    world.nodes[POLICE.origin].logs = lambda: answer  # type: ignore[method-assign] # as above
    with pytest.raises(BadAnswerError):
        world.recorder().run([])


def test_large_events_go_in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "BATCH_CHARACTERS_MAX", 1000)
    world = World(POLICE)
    assert counts(world.recorder().run([share(number, POLICE, TAX, purpose="x" * 450) for number in range(9)]))[0] == 9
    assert max(world.nodes[POLICE.origin].posts) < 4


def test_a_batch_has_no_more_events_than_a_node_takes() -> None:
    world = World(POLICE)
    world.recorder().run([share(number, POLICE, TAX) for number in range(900)])
    assert world.nodes[POLICE.origin].posts == [400, 400, 100]


def test_progress_counts_what_is_settled() -> None:
    told: list[tuple[int, int | None]] = []
    world = World(POLICE, TAX)
    plans = [*chain(3), share(99, POLICE, "nobody.test/log")]
    world.recorder(advance=lambda done, total=None: told.append((done, total))).run(plans)
    assert told == [(number, 7) for number in range(1, 8)]


# Rehearsal, and questions.


def test_a_rehearsal_asks_nobody_and_refuses_what_can_be_known() -> None:
    bad = share(1, POLICE, TAX, purpose=" padded")
    good = share(2, POLICE, TAX)
    plans = [bad, receipt(bad), good, receipt(good), receipt(share(3, COURT, TAX), optional=True)]
    outcome = Recorder({}, sleep=lambda _: None).rehearse(plans)
    assert counts(outcome) == (1, 1, 0, 0, 0, 2)
    assert len(outcome.dropped) == 1


def test_whether_an_event_is_there_is_asked_for_a_certain_log() -> None:
    world = World(TAX)
    one = share(1, POLICE, TAX)
    recorder = world.recorder()
    assert not recorder.has(TAX.origin, one.id, POLICE.origin)
    world.put(POLICE, one.event)
    assert recorder.has(TAX.origin, one.id, POLICE.origin)
    assert not recorder.has(TAX.origin, one.id, COURT.origin)
    world.nodes[TAX.origin].troubles = [NodeProblem(403, {"code": "forbidden"})]
    with pytest.raises(NodeProblem):
        recorder.has(TAX.origin, one.id, POLICE.origin)
