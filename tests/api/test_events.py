"""Recording events and asking for them: what the documented answers hold."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from node_helpers import NOW_MS, RECORD, event_id, leaf64, parties, receipt, reference, share, until

from ledger.encoding import JsonObject, canonical_json, format_time
from ledger.entry import parse_entry
from ledger.manifest import MANIFEST_BYTES_MAX, make_manifest
from ledger.store.memory import Fault
from node import confirmations, layout, writer
from node.api import bodies
from node.errors import IntegrityAlarm

if TYPE_CHECKING:
    from conftest import Office

A, B, C, D = parties(4)
JSON = {"Content-Type": "application/json"}


def raw_of(office: "Office", index: int) -> bytes:
    raw = office.node.store.get(layout.entry_key(office.node.state.log, index))
    assert raw is not None
    return raw


def check(answer: httpx.Response, status: int, code: str, **members: Any) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert {name: problem[name] for name in members} == members
    return problem


# One event.


async def test_an_event_is_answered_with_its_place(office: "Office") -> None:
    answer = await office.client.post("/v1/events", json=share(1, B))
    assert answer.status_code == 201
    assert answer.json() == {
        "event_id": event_id(1),
        "entry": {"hash": leaf64(raw_of(office, 1)), "index": 1, "log": A.origin},
        "time": format_time(NOW_MS),
        "state": "recorded",
    }
    assert parse_entry(raw_of(office, 1)).event == share(1, B)


async def test_the_same_event_again_is_the_same_answer(office: "Office") -> None:
    first = await office.client.post("/v1/events", json=share(1, B))
    office.town.clock.advance(10_000)
    again = await office.client.post("/v1/events", json=share(1, B))
    assert (again.status_code, again.json()) == (201, first.json())
    assert office.node.state.size == 2


async def test_the_same_id_with_other_content_is_a_conflict(office: "Office") -> None:
    await office.client.post("/v1/events", json=share(1, B))
    answer = await office.client.post("/v1/events", json=share(1, C))
    check(answer, 409, "event_id_conflict", field="id")
    assert office.node.state.size == 2


async def test_a_confirmed_event_is_answered_confirmed(office: "Office") -> None:
    await office.client.post("/v1/events", json=share(1, B))
    await office.confirm()
    for wait in ("", "?wait=recorded", "?wait=confirmed"):
        answer = await office.client.post(f"/v1/events{wait}", json=share(1, B))
        assert answer.json()["state"] == "confirmed"


async def test_waiting_for_the_confirmation_ends_when_it_comes(office: "Office") -> None:
    waiting = asyncio.create_task(office.client.post("/v1/events?wait=confirmed", json=share(1, B)))
    await until(lambda: office.node.state.size == 2)
    await office.confirm()
    answer = await waiting
    assert (answer.status_code, answer.json()["state"]) == (201, "confirmed")


async def test_waiting_for_the_confirmation_ends_with_recorded(
    office: "Office", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirmations, "CONFIRM_SECONDS_MAX", 0.02)
    answer = await office.client.post("/v1/events?wait=confirmed", json=share(1, B))
    assert (answer.status_code, answer.json()["state"]) == (201, "recorded")


async def test_too_many_who_wait_are_sent_away_before_anything_is_written(
    office: "Office", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirmations, "WAITERS_MAX", 0)
    answer = await office.client.post("/v1/events?wait=confirmed", json=share(1, B))
    check(answer, 503, "busy", limit=0)
    assert answer.headers["retry-after"] == "1"
    assert office.node.state.size == 1


async def test_json_may_be_sent_without_or_with_parameters_of_its_type(office: "Office") -> None:
    for number, kind in enumerate(("application/json", "Application/JSON; charset=utf-8", None), 1):
        request = office.client.build_request("POST", "/v1/events", json=share(number, B))
        if kind is None:
            del request.headers["content-type"]
        else:
            request.headers["content-type"] = kind
        assert (await office.client.send(request)).status_code == 201


# Several events.


async def test_a_batch_is_answered_event_by_event(office: "Office") -> None:
    [sent] = office.b.append(share(10, A))
    await office.take()
    events = [share(1, B), receipt(2, sent), share(1, B)]
    answer = await office.client.post("/v1/events/batch", json={"events": events})
    assert answer.status_code == 201
    placed = answer.json()["events"]
    assert [one["event_id"] for one in placed] == [event_id(1), event_id(2), event_id(1)]
    assert [one["entry"]["index"] for one in placed] == [1, 2, 1]
    assert {one["state"] for one in placed} == {"recorded"}


async def test_a_batch_of_a_thousand_events_is_taken(office: "Office") -> None:
    events = [share(number, B, records=[reference(str(number))]) for number in range(1, 1001)]
    answer = await office.client.post("/v1/events/batch", json={"events": events})
    assert answer.status_code == 201
    assert office.node.state.size == 1001


async def test_a_batch_in_canonical_spelling_is_answered_as_any_other(office: "Office") -> None:
    [sent] = office.b.append(share(10, A))
    await office.take()
    for events in ([share(1, B), receipt(2, sent)], [share(1, B), share(3, B, purpose='a "quoted" word')]):
        batch: JsonObject = {"events": events}
        answers = [
            await office.client.post("/v1/events/batch", content=text, headers=JSON)
            for text in (canonical_json(batch), json.dumps(batch))
        ]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert answers[0].json() == answers[1].json()


async def test_what_is_wrong_with_a_batch_is_said_alike_in_canonical_spelling(office: "Office") -> None:
    records, fields = [reference(str(number)) for number in range(1000)], [f"{number:0200}" for number in range(200)]
    for events, code, field in (
        ([share(number, B) for number in range(1001)], "too_many", "events"),
        ([share(1, B), share(2, B, records=records, fields=fields)], "too_long", "events[1].event"),
        ([share(1, B), share(2, B, purpose="")], "bad_value", "events[1].purpose"),
    ):
        batch: JsonObject = {"events": events}
        answer = await office.client.post("/v1/events/batch", content=canonical_json(batch), headers=JSON)
        check(answer, 422, code, field=field)
    assert office.node.state.size == 1


async def test_a_large_batch_that_comes_again_gets_its_answer_again_or_is_refused_as_a_whole(office: "Office") -> None:
    events = [share(number, B) for number in range(1, 101)]

    async def post(*changed: dict[str, Any]) -> httpx.Response:
        batch: JsonObject = {"events": [*events[: 100 - len(changed)], *changed]}
        return await office.client.post("/v1/events/batch", content=canonical_json(batch), headers=JSON)

    first, *same = await asyncio.gather(post(), post(), post())
    assert [one["entry"]["index"] for one in first.json()["events"]] == list(range(1, 101))
    assert all(answer.json() == first.json() for answer in same)
    check(await post(share(99, B, purpose="another"), events[99]), 409, "event_id_conflict", field="events[98].id")
    check(await post(share(1000, "nobody.test/log")), 409, "unknown_consumer", field="events[99].consumer")
    again = (await post(events[7], share(1001, B))).json()["events"]
    assert [one["entry"]["index"] for one in again[-3:]] == [98, 8, 101]
    assert office.node.state.size == 102


async def test_a_refused_batch_writes_nothing(office: "Office") -> None:
    events = [share(1, B), share(2, "nobody.test/log")]
    answer = await office.client.post("/v1/events/batch", json={"events": events})
    check(answer, 409, "unknown_consumer", field="events[1].consumer")
    assert office.node.state.size == 1


async def test_large_bodies_take_their_turns(office: "Office", monkeypatch: pytest.MonkeyPatch) -> None:
    """A few in memory at one time; the others wait with what is not read yet."""
    inside, most = 0, 0
    read = bodies.read_body

    async def counting(request: Any, bytes_max: int) -> bytes:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0)
        body = await read(request, bytes_max)
        inside -= 1
        return body

    monkeypatch.setattr(bodies, "read_body", counting)
    bodies_ = [{"events": [share(number, B)]} for number in range(1, 13)]
    answers = await asyncio.gather(*(office.client.post("/v1/events/batch", json=body) for body in bodies_))
    assert {answer.status_code for answer in answers} == {201}
    assert most == bodies.LARGE_AT_ONCE_MAX


# Reading events.


async def test_an_event_is_found_by_its_id(office: "Office") -> None:
    await office.client.post("/v1/events", json=share(1, B))
    answer = await office.client.get(f"/v1/events/{event_id(1)}")
    assert answer.status_code == 200
    assert answer.json() == {
        "event_id": event_id(1),
        "entry": {"hash": leaf64(raw_of(office, 1)), "index": 1, "log": A.origin},
        "event": share(1, B),
        "note": raw_of(office, 1).decode(),
        "state": "recorded",
        "verified": True,
        "verification": f"signed by {A.origin}; not confirmed yet by a quorum of the members",
    }
    await office.confirm()
    confirmed = (await office.client.get(f"/v1/events/{event_id(1)}")).json()
    assert confirmed["state"] == "confirmed"
    assert "which 3 members have cosigned" in confirmed["verification"]


async def test_an_event_is_found_in_the_log_that_is_asked_for(office: "Office") -> None:
    office.b.append(share(1, A))
    await office.take()
    await office.client.post("/v1/events", json=share(1, B))
    for log in (A.origin, B.origin):
        answer = await office.client.get(f"/v1/events/{event_id(1)}", params={"log": log})
        assert answer.json()["entry"]["log"] == log
    check(await office.client.get(f"/v1/events/{event_id(1)}?log=x"), 404, "not_found", field="event_id")
    check(await office.client.get(f"/v1/events/{event_id(1)}?logs=x"), 422, "unknown_member", field="query")


async def test_an_unknown_event_is_404(office: "Office") -> None:
    check(await office.client.get(f"/v1/events/{event_id(99)}"), 404, "not_found", field="event_id")


@pytest.mark.parametrize("name", ["7", event_id(1).upper().replace("0", "A"), f"{event_id(1)}0", "%00"])
async def test_what_is_no_event_id_is_422(office: "Office", name: str) -> None:
    check(await office.client.get(f"/v1/events/{name}"), 422, "bad_value", field="event_id")


async def test_a_damaged_entry_is_said_to_be_damaged(office: "Office") -> None:
    await office.client.post("/v1/events", json=share(1, B))
    office.town.disks[A.name].flip(layout.entry_key(office.node.state.log, 1))
    check(await office.client.get(f"/v1/events/{event_id(1)}"), 500, "store_corrupt")


# Manifests.


async def test_a_manifest_is_kept_and_can_be_named(office: "Office") -> None:
    manifest = make_manifest([RECORD, reference("another record")])
    answer = await office.client.post("/v1/manifests", content=manifest.encode())
    assert answer.status_code == 201
    assert answer.json() == manifest.ref.model_dump()
    shared = share(1, B, records=None, manifest=answer.json())
    assert (await office.client.post("/v1/events", json=shared)).status_code == 201
    assert (await office.client.post("/v1/manifests", content=manifest.encode())).status_code == 201


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"", "bad_manifest", "line 1"),
        (b"suyuan/manifest/v1\n1\nabc\n", "bad_manifest", "records[0]"),
        (b"suyuan/manifest/v1\n2\n" + RECORD.encode() + b"\n", "bad_manifest", "line 2"),
        (b"suyuan/manifest/v1\nx\n" + RECORD.encode() + b"\n", "bad_decimal", "line 2"),
        (b"suyuan/manifest/v1\n2\n" + (RECORD.encode() + b"\n") * 2, "bad_manifest", "line 4"),
        (b"\xff", "bad_manifest", "manifest"),
    ],
)
async def test_what_is_no_manifest_is_refused(office: "Office", body: bytes, code: str, field: str) -> None:
    check(await office.client.post("/v1/manifests", content=body), 422, code, field=field)


async def test_a_manifest_that_is_too_long_is_413(office: "Office") -> None:
    answer = await office.client.post("/v1/manifests", content=b"0" * (MANIFEST_BYTES_MAX + 1))
    check(answer, 413, "body_too_large", field="body", limit=MANIFEST_BYTES_MAX)


# Trouble inside.


async def test_a_full_disk_is_503_and_the_same_event_is_taken_later(office: "Office") -> None:
    disk = office.town.disks[A.name]
    disk.fail_write(disk.writes + 1, Fault.NO_SPACE)
    answer = await office.client.post("/v1/events", json=share(1, B))
    check(answer, 503, "store_failed")
    assert answer.headers["retry-after"] == "1"
    assert (await office.client.post("/v1/events", json=share(1, B))).json()["entry"]["index"] == 1


async def test_a_full_queue_is_503(office: "Office", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "QUEUE_MAX", 0)
    answer = await office.client.post("/v1/events", json=share(1, B))
    check(answer, 503, "busy", limit=0)
    assert answer.headers["retry-after"] == "1"


async def test_a_log_in_doubt_is_read_only(office: "Office") -> None:
    office.node.alarms.take(IntegrityAlarm("this is a test", field=A.origin))
    check(await office.client.post("/v1/events", json=share(1, B)), 503, "read_only")
    check(await office.client.post("/v1/manifests", content=make_manifest([RECORD]).encode()), 503, "read_only")
    assert (await office.client.get("/v1/logs")).status_code == 200


async def test_a_fault_of_the_software_is_a_problem_like_any_other(
    office: "Office", monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(office.node, "submit", broken)
    answer = await office.client.post("/v1/events", json=share(1, B))
    problem = check(answer, 500, "bug")
    assert "division" not in answer.text
    assert "report" in problem["hint"]
    assert office.node.metrics.registry.get_sample_value("suyuan_requests_refused_total", {"code": "bug"}) == 1


async def test_a_body_that_does_not_come_is_408(office: "Office", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS_MAX", 0.02)

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(30)
        yield b"}"

    request = office.client.build_request("POST", "/v1/events", content=slow())
    answer = await office.client.send(request)
    check(answer, 408, "body_broken_off", field="body")
