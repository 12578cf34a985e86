"""Who may do what: clients by their token's role, peers by the signature of their transport key (RFC 9421)."""

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from node_helpers import RECORD, Party, event_id, parties, share, tokens_json

from node.clock import ManualClock
from node.layout import origin_hash
from node.tokens import new_token

if TYPE_CHECKING:
    from conftest import Office

A, B, C, D = parties(4)
LOG = origin_hash(B.origin)

READING = [
    "/v1/logs",
    f"/v1/logs/{LOG}/entries",
    f"/logs/{LOG}/checkpoint",
    f"/logs/{LOG}/tile/0/000.p/1",
    f"/v1/events/{event_id(0)}",
    f"/v1/records/{RECORD}/trace",
    f"/v1/records/{RECORD}/evidence",
    f"/v1/proof?log={B.origin}&index=0",
    f"/v1/entry?log={B.origin}&index=0",
    "/v1/peers",
]
OPEN = ["/v1/health", "/v1/network", "/openapi.json", "/docs"]


def check(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("www-authenticate" in answer.headers) is (status == 401)


@pytest.mark.parametrize("path", READING)
async def test_reading_takes_a_token_or_a_signature(office: "Office", path: str) -> None:
    await office.confirm()
    check(await office.nobody.get(path), 401, "unauthorized")
    for role in ("read", "submit", "admin"):
        async with office.with_role(role) as client:
            assert (await client.get(path)).status_code in (200, 404)
    async with office.as_peer(C) as client:
        assert (await client.get(path)).status_code in (200, 404)


@pytest.mark.parametrize("path", OPEN)
async def test_what_tells_no_secret_is_open(office: "Office", path: str) -> None:
    assert (await office.nobody.get(path)).status_code == 200


async def test_submitting_takes_the_role(office: "Office") -> None:
    requests: list[dict[str, Any]] = [
        {"url": "/v1/events", "json": share(1, B)},
        {"url": "/v1/events/batch", "json": {"events": [share(2, B)]}},
        {"url": "/v1/manifests", "content": f"suyuan/manifest/v1\n1\n{RECORD}\n".encode()},
    ]
    async with office.with_role("read") as reader, office.with_role("submit") as submitter:
        for request in requests:
            check(await office.nobody.post(**request), 401, "unauthorized")
            check(await reader.post(**request), 403, "forbidden")
        assert office.node.state.size == 1
        for request in requests:
            assert (await submitter.post(**request)).status_code == 201


async def test_a_peer_does_not_submit(office: "Office") -> None:
    async with office.as_peer(B) as client:
        check(await client.post("/v1/events", json=share(1, B)), 401, "unauthorized")
    assert office.node.state.size == 1


async def test_only_a_peer_gives_a_confirmed_checkpoint(office: "Office") -> None:
    note = office.b.checkpoint(cosigners=3).encode()
    check(await office.client.post(f"/logs/{LOG}/checkpoint", content=note), 401, "peer_signature_missing")
    assert office.node.states[B.origin].confirmed is None


async def test_a_stranger_and_a_replay_are_refused(office: "Office") -> None:
    async with office.as_peer(Party("stranger")) as client:
        check(await client.get("/v1/logs"), 401, "peer_unknown")
    async with office.as_peer(B) as client:
        request = client.build_request("GET", "/v1/logs")
        first = await client.send(request)
        assert first.status_code == 200
        headers = {name: first.request.headers[name] for name in ("signature", "signature-input", "content-digest")}
    check(await office.nobody.get("/v1/logs", headers=headers), 401, "peer_signature_replayed")


async def test_a_body_that_was_changed_on_the_way_is_refused(office: "Office") -> None:
    async with office.as_peer(B) as client:
        answer = await client.post(f"/logs/{LOG}/checkpoint", content=b"one")
        names = ("signature", "signature-input", "content-digest")
        headers = {name: answer.request.headers[name] for name in names}
    answer = await office.nobody.post(f"/logs/{LOG}/checkpoint", content=b"two", headers=headers)
    check(answer, 401, "peer_digest_mismatch")


async def test_an_old_signature_is_refused(office: "Office") -> None:
    async with office.as_peer(B, clock=ManualClock(office.town.clock.now_ms() - 120_000)) as client:
        check(await client.get("/v1/logs"), 401, "peer_signature_expired")


async def test_a_false_signature_is_not_helped_by_a_good_token(office: "Office") -> None:
    answer = await office.client.get("/v1/logs", headers={"Signature-Input": "x", "Signature": "y"})
    assert answer.status_code == 401


async def test_a_token_that_is_revoked_is_refused_within_a_quarter_of_a_second(office: "Office") -> None:
    assert (await office.client.get("/v1/logs")).status_code == 200
    home = office.town.home(A)
    home.tokens.write_text(tokens_json({"other": (new_token(bytes(32)), "admin")}))
    assert (await office.client.get("/v1/logs")).status_code == 200
    office.town.clock.advance(250)
    check(await office.client.get("/v1/logs"), 401, "unknown_token")


async def test_without_the_file_of_tokens_nobody_is_let_in(office: "Office") -> None:
    office.town.home(A).tokens.rename(office.town.home(A).folder / "away")
    answer = await office.client.get("/v1/logs")
    assert (answer.status_code, answer.json()["code"]) == (503, "token_file")


async def test_the_witness_takes_neither_token_nor_signature(office: "Office") -> None:
    answer = await office.nobody.post("/witness/add-checkpoint", content=office.b.request(0))
    assert answer.status_code == 200
