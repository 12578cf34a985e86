"""A record's history, and proofs to take away, as the interface gives them."""

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from node_helpers import RECORD, leaf64, parties, receipt, reference, share

from ledger.evidence import verify_evidence, verify_proof_file
from node import layout

if TYPE_CHECKING:
    from conftest import Office

A, B, C, D = parties(4)


def check(answer: httpx.Response, status: int, code: str, **members: Any) -> None:
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert {name: problem[name] for name in members} == members


@pytest.fixture
async def handed(office: "Office") -> "Office":
    """B gave the record to A, which has answered; all of it is confirmed."""
    [sent] = office.b.append(share(10, A))
    await office.take()
    assert (await office.client.post("/v1/events", json=receipt(1, sent))).status_code == 201
    await office.confirm()
    return office


async def test_a_trace_is_answered_in_its_schema(handed: "Office") -> None:
    answer = await handed.client.get(f"/v1/records/{RECORD}/trace")
    assert answer.status_code == 200
    trace = answer.json()
    assert (trace["schema"], trace["record"], trace["gaps"], trace["truncated"]) == (
        "suyuan.trace/1",
        RECORD,
        [],
        False,
    )
    [hop] = trace["hops"]
    assert (hop["from"], hop["to"], hop["outcome"], hop["state"]) == (B.origin, A.origin, "accepted", "confirmed")
    assert hop["verified"] is True
    assert hop["receipt"]["verified"] is True
    assert {one["log"]: one["state"] for one in trace["holders"]} == {B.origin: "origin", A.origin: "received"}


async def test_evidence_can_be_verified_by_itself(handed: "Office") -> None:
    answer = await handed.client.get(f"/v1/records/{RECORD}/evidence")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    evidence = verify_evidence(answer.content, fingerprint=handed.town.law.fingerprint)
    trace = (await handed.client.get(f"/v1/records/{RECORD}/trace")).json()
    assert evidence.trace.to_json() == trace


async def test_evidence_of_what_is_not_confirmed_is_409(handed: "Office") -> None:
    assert (await handed.client.post("/v1/events", json=share(2, C))).status_code == 201
    check(await handed.client.get(f"/v1/records/{RECORD}/evidence"), 409, "not_confirmed", field="index")


async def test_an_unknown_record_is_404(handed: "Office") -> None:
    for what in ("trace", "evidence"):
        check(await handed.client.get(f"/v1/records/{reference()}/{what}"), 404, "not_found", field="record")


@pytest.mark.parametrize("record", ["x", RECORD.upper(), RECORD[:-1], f"{RECORD}0"])
async def test_what_is_no_record_reference_is_422(handed: "Office", record: str) -> None:
    for what in ("trace", "evidence"):
        check(await handed.client.get(f"/v1/records/{record}/{what}"), 422, "bad_value", field="record")


async def test_damage_is_shown_in_the_trace_and_stops_evidence(handed: "Office") -> None:
    handed.town.disks[A.name].flip(layout.entry_key(handed.node.state.log, 1))
    trace = (await handed.client.get(f"/v1/records/{RECORD}/trace")).json()
    assert sorted(gap["kind"] for gap in trace["gaps"]) == ["damaged", "no_receipt"]
    assert trace["hops"][0]["receipt"] is None
    check(await handed.client.get(f"/v1/records/{RECORD}/evidence"), 500, "store_corrupt", field="record")


async def test_a_proof_can_be_verified_by_itself(handed: "Office") -> None:
    answer = await handed.client.get("/v1/proof", params={"log": B.origin, "index": "1"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    proven = verify_proof_file(answer.content, handed.town.law.network)
    assert proven.entry.raw == handed.b.raws[1]


async def test_a_proof_of_what_is_not_confirmed_is_409(handed: "Office") -> None:
    await handed.client.post("/v1/events", json=share(2, C))
    answer = await handed.client.get("/v1/proof", params={"log": A.origin, "index": "2"})
    check(answer, 409, "not_confirmed", field="index")


async def test_an_entry_is_answered_with_what_was_verified(handed: "Office") -> None:
    answer = await handed.client.get("/v1/entry", params={"log": B.origin, "index": "1"})
    body = answer.json()
    assert (body["state"], body["verified"]) == ("confirmed", True)
    assert body["note"].encode() == handed.b.raws[1]
    assert body["entry"] == {"hash": leaf64(handed.b.raws[1]), "index": 1, "log": B.origin}
    assert body["event"] == share(10, A)


@pytest.mark.parametrize("path", ["/v1/proof", "/v1/entry"])
@pytest.mark.parametrize(
    ("query", "status", "code", "field"),
    [
        (f"log={B.origin}&index=99", 404, "not_found", "index"),
        ("log=nobody.test/log&index=0", 404, "not_found", "log"),
        (f"log={B.origin}", 422, "missing_member", "index"),
        ("index=0", 422, "missing_member", "log"),
        (f"log={B.origin}&index=x", 422, "bad_decimal", "index"),
        (f"log={B.origin}&index=-1", 422, "bad_decimal", "index"),
        (f"log={B.origin}&index=00", 422, "bad_decimal", "index"),
        (f"log={B.origin}&index=0&index=1", 422, "bad_value", "index"),
        (f"log={B.origin}&index=0&x=1", 422, "unknown_member", "query"),
        ("log=%00&index=0", 404, "not_found", "log"),
    ],
)
async def test_a_place_that_cannot_be_is_named(
    handed: "Office", path: str, query: str, status: int, code: str, field: str
) -> None:
    check(await handed.client.get(f"{path}?{query}"), status, code, field=field)
