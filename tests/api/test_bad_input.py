"""Bad input of every kind: its own clear error, in one shape, and nothing is written."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from node_helpers import RECORD, Town, parties, receipt, share

HERE, THERE = parties(2)
GOOD = share(1, THERE)
EVENT_BODY_BYTES_MAX = 256 * 1024


class Bad(NamedTuple):
    """A request, and what must be said to it."""

    body: bytes
    status: int
    code: str
    field: str | None = None
    limit: int | None = None


def changed(**members: Any) -> bytes:
    """The good share with other members; None takes one out."""
    value = {name: member for name, member in {**GOOD, **members}.items() if member is not None}
    return json.dumps(value, ensure_ascii=False).encode()


def text(old: str, new: str) -> bytes:
    """The good share with its JSON text changed."""
    before = json.dumps(GOOD)
    assert old in before
    return before.replace(old, new, 1).encode()


ENTRY = {"hash": "A" * 43 + "=", "index": 1, "log": THERE.origin}

CASES = {
    "unknown member": Bad(changed(colour="red"), 422, "unknown_member", "colour"),
    "missing member": Bad(changed(purpose=None), 422, "missing_member", "purpose"),
    "null member": Bad(text('"method": "api"', '"method": "api", "case": null'), 422, "wrong_type", "case"),
    "float": Bad(text('"method": "api"', '"method": "api", "rows": 1.5'), 400, "float_not_allowed", "rows"),
    "float without fraction": Bad(
        text('"method": "api"', '"method": "api", "rows": 1.0'), 400, "float_not_allowed", "rows"
    ),
    "exponent": Bad(text('"method": "api"', '"method": "api", "rows": 1e3'), 400, "float_not_allowed", "rows"),
    "not a number": Bad(text('"method": "api"', '"method": "api", "rows": NaN'), 400, "float_not_allowed"),
    "duplicate member": Bad(
        text('"method": "api"', '"method": "api", "method": "file"'), 400, "duplicate_member", "method"
    ),
    "number as text": Bad(changed(rows="7"), 422, "wrong_type", "rows"),
    "truth as number": Bad(changed(rows=True), 422, "wrong_type", "rows"),
    "text as list": Bad(changed(records=RECORD), 422, "wrong_type", "records"),
    "number as text member": Bad(changed(purpose=7), 422, "wrong_type", "purpose"),
    "list in place of the event": Bad(b"[]", 422, "wrong_type", "event"),
    "too long": Bad(changed(purpose="x" * 501), 422, "too_long", "purpose", 500),
    "too many records": Bad(changed(records=[f"{n:032x}" for n in range(1001)]), 422, "too_many", "records", 1000),
    "too many parents": Bad(
        changed(parents=[{**ENTRY, "index": n} for n in range(101)]), 422, "too_many", "parents", 100
    ),
    "too large a number": Bad(changed(rows=2**53), 422, "out_of_range", "rows"),
    "negative number": Bad(changed(rows=-1), 422, "out_of_range", "rows", 0),
    "no record reference": Bad(changed(records=["150600199001011234"]), 422, "bad_value", "records[0]"),
    "the same record twice": Bad(changed(records=[RECORD, RECORD]), 422, "bad_value", "records"),
    "bad time": Bad(changed(occurred_at="2026-11-21 08:15"), 422, "bad_time", "occurred_at"),
    "no such day": Bad(changed(occurred_at="2026-02-30T08:15:30.123Z"), 422, "bad_time", "occurred_at"),
    "bad hash": Bad(changed(parents=[{**ENTRY, "hash": "AB=="}]), 422, "bad_base64", "parents[0].hash"),
    "bad id": Bad(changed(id="7"), 422, "bad_value", "id"),
    "unknown type": Bad(changed(type="shares"), 422, "unknown_event_type", "type"),
    "a type that the node writes": Bad(
        json.dumps(
            {"type": "log.open", "id": GOOD["id"], "network": "n", "network_version": 1, "software": "s"}
        ).encode(),
        422,
        "bad_value",
        "type",
    ),
    "unknown method": Bad(changed(method="pigeon"), 422, "bad_value", "method"),
    "unknown consumer": Bad(changed(consumer="nobody.example/log"), 409, "unknown_consumer", "consumer"),
    "a share with oneself": Bad(changed(consumer=HERE.origin), 409, "unknown_consumer", "consumer"),
    "unknown parent": Bad(changed(parents=[ENTRY]), 409, "unknown_parent", "parents[0]"),
    "unknown manifest": Bad(
        changed(records=None, manifest={"count": 1, "root": "A" * 43 + "="}), 409, "unknown_manifest", "manifest.root"
    ),
    "a receipt for nothing": Bad(json.dumps(receipt(2, ENTRY)).encode(), 409, "unknown_share", "share"),
    "a rejection without a reason": Bad(
        json.dumps({**receipt(2, ENTRY), "outcome": "rejected"}).encode(), 422, "missing_member", "reason"
    ),
    "control character": Bad(text('"method": "api"', '"method": "api", "case": "a\\u0007b"'), 400, "bad_json", "case"),
    "not NFC": Bad(changed(case="e\u0301"), 400, "bad_json", "case"),
    "half a surrogate pair": Bad(
        text('"method": "api"', '"method": "api", "case": "\\ud800"'), 400, "bad_json", "case"
    ),
    "too deep": Bad(b'{"a":' * 40 + b"1" + b"}" * 40, 422, "too_deep", None, 16),
    "a nesting bomb": Bad(b"[" * 100_000, 422, "too_deep", None, 16),
    "invalid UTF-8": Bad(b'{"type":"share\xff"}', 400, "invalid_utf8"),
    "not JSON": Bad(b"share", 400, "bad_json"),
    "nothing": Bad(b"", 400, "bad_json"),
    "trailing bytes": Bad(json.dumps(GOOD).encode() + b"}", 400, "bad_json"),
    "a body of 2 MB": Bad(changed(purpose="x" * 2_000_000), 413, "body_too_large", "body", EVENT_BODY_BYTES_MAX),
}


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with Town(tmp_path, [HERE, THERE]) as town:
        await town.start(HERE)
        yield town


async def size_of(client: httpx.AsyncClient) -> int:
    logs = (await client.get("/v1/logs")).json()["logs"]
    return next(int(one["size"]) for one in logs if one["own"])


def check_problem(answer: httpx.Response, bad: Bad, name: str = "") -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (bad.status, "application/problem+json"), (
        name,
        answer.text,
    )
    problem = answer.json()
    assert problem.keys() == {"type", "title", "status", "detail", "code", "field", "limit", "hint"}
    assert problem["code"] == bad.code, problem
    assert problem["type"] == f"urn:suyuan:problem:{bad.code}"
    assert problem["status"] == bad.status
    assert problem["detail"]
    assert problem["hint"]
    if bad.field is not None:
        assert problem["field"] == bad.field, problem
    if bad.limit is not None:
        assert problem["limit"] == bad.limit, problem


async def test_every_bad_event_gets_its_own_error_and_nothing_is_written(town: Town) -> None:
    async with town.client(HERE) as client:
        before = await size_of(client)
        for name, bad in CASES.items():
            answer = await client.post("/v1/events", content=bad.body, headers={"Content-Type": "application/json"})
            check_problem(answer, bad, name)
        assert await size_of(client) == before


async def test_a_bad_event_refuses_its_whole_batch_and_is_named_by_its_place(town: Town) -> None:
    async with town.client(HERE) as client:
        before = await size_of(client)
        for name, bad in CASES.items():
            if (
                bad.status == 413
                or bad.code in {"invalid_utf8", "bad_json", "too_deep"}
                or name == "list in place of the event"
            ):
                continue
            body = b'{"events":[' + json.dumps(share(9, THERE)).encode() + b"," + bad.body + b"]}"
            answer = await client.post("/v1/events/batch", content=body, headers={"Content-Type": "application/json"})
            assert (answer.status_code, answer.json()["code"]) == (bad.status, bad.code), (name, answer.text)
            if bad.field is not None and bad.code != "duplicate_member":  # which is seen before there is a list
                assert answer.json()["field"].startswith("events[1]"), (name, answer.text)
        assert await size_of(client) == before


async def test_a_batch_of_another_shape_is_refused(town: Town) -> None:
    many = json.dumps({"events": [share(n, THERE) for n in range(1001)]}).encode()
    cases = {
        b"[]": (422, "wrong_type", "body"),
        b"{}": (422, "missing_member", "events"),
        b'{"events":[],"more":1}': (422, "unknown_member", "more"),
        b'{"events":{}}': (422, "wrong_type", "events"),
        b'{"events":[]}': (422, "bad_value", "events"),
        many: (422, "too_many", "events"),
        b"x" * (17 << 20): (413, "body_too_large", "body"),
    }
    async with town.client(HERE) as client:
        before = await size_of(client)
        for body, (status, code, field) in cases.items():
            answer = await client.post("/v1/events/batch", content=body, headers={"Content-Type": "application/json"})
            check_problem(answer, Bad(body, status, code, field))
        assert await size_of(client) == before


async def test_a_body_without_a_length_is_cut_off_at_the_limit(town: Town) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b" " * 65_536

    async with town.client(HERE) as client:
        answer = await client.post("/v1/events", content=endless(), headers={"Content-Type": "application/json"})
        check_problem(answer, Bad(b"", 413, "body_too_large", "body", EVENT_BODY_BYTES_MAX))


async def test_wrong_tokens_are_refused_each_in_its_own_way(town: Town) -> None:
    good = json.dumps(GOOD).encode()
    wrong = {
        "": (401, "unauthorized"),
        "Basic abc": (401, "bad_token"),
        "Bearer abc": (401, "bad_token"),
        "Bearer sy_" + "A" * 43: (401, "unknown_token"),
    }
    async with town.client(HERE) as owner, town.client(HERE, token=None) as client:
        before = await size_of(owner)
        for header, (status, code) in wrong.items():
            headers = {"Content-Type": "application/json"} | ({"Authorization": header} if header else {})
            answer = await client.post("/v1/events", content=good, headers=headers)
            check_problem(answer, Bad(good, status, code))
            assert answer.headers["www-authenticate"] == "Bearer"
        assert await size_of(owner) == before


async def test_other_media_types_paths_methods_and_parameters_are_refused_in_the_same_shape(town: Town) -> None:
    async with town.client(HERE) as client:
        answers = {
            "wrong_media_type": await client.post("/v1/events", content=b"a=1", headers={"Content-Type": "text/plain"}),
            "not_found": await client.get("/v1/nothing"),
            "method_not_allowed": await client.delete("/v1/events"),
            "unknown_member": await client.post("/v1/events?speed=high", json=GOOD),
            "bad_value": await client.post("/v1/events?wait=forever", json=GOOD),
        }
        statuses = {
            "wrong_media_type": 415,
            "not_found": 404,
            "method_not_allowed": 405,
            "unknown_member": 422,
            "bad_value": 422,
        }
        for code, answer in answers.items():
            check_problem(answer, Bad(b"", statuses[code], code))


async def test_the_good_event_is_recorded(town: Town) -> None:
    async with town.client(HERE) as client:
        before = await size_of(client)
        answer = await client.post("/v1/events", json=GOOD)
        assert answer.status_code == 201, answer.text
        assert answer.json().keys() == {"event_id", "entry", "time", "state"}
        assert await size_of(client) == before + 1


async def test_a_share_may_name_no_record_at_all(town: Town) -> None:
    async with town.client(HERE) as client:
        for value in (share(1, THERE, records=[]), {n: m for n, m in share(2, THERE).items() if n != "records"}):
            answer = await client.post("/v1/events", json=value)
            assert answer.status_code == 201, answer.text
