"""The logs' own resources as C2SP clients read them, ranges of entries, and the list of what is held here."""

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from node_helpers import NOW_MS, Paper, PaperLog, leaf64, paper, parties, seed

from ledger.checkpoint import Checkpoint
from ledger.cosignature import add_signatures, cosign
from ledger.encoding import encode_base64, format_time, lines_to_text, text_to_lines
from ledger.merkle import LeafIndex, TreeSize, leaf_hash
from ledger.quorum import judge_checkpoint
from ledger.tile import edge_tiles, entry_bundles, hash_tiles, parse_bundle
from node import layout
from node.api import logs as api_logs
from node.errors import IntegrityAlarm
from node.layout import origin_hash
from node.peers import CHECKPOINT_BYTES_MAX

if TYPE_CHECKING:
    from conftest import Office

A, B, C, D = FOUR = parties(4)
OWN, THEIRS = (f"/logs/{origin_hash(party.origin)}" for party in (A, B))
SIZE = TreeSize(600)
OCTETS = {"Accept": "application/octet-stream"}


def check(answer: httpx.Response, status: int, code: str, **members: Any) -> None:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert {name: problem[name] for name in members} == members


@pytest.fixture
async def full(office: "Office") -> "Office":
    """B's log has 600 entries, all of them confirmed."""
    office.b.grow(599, A)
    await office.confirm()
    return office


# The list.


async def test_every_log_of_the_network_is_listed(office: "Office") -> None:
    await office.confirm()
    answer = await office.client.get("/v1/logs")
    assert answer.status_code == 200
    body = answer.json()
    assert body["schema"] == "suyuan.logs/1"
    listed = {one["log"]: one for one in body["logs"]}
    assert list(listed) == [party.origin for party in FOUR]
    assert listed[B.origin] == {
        "log": B.origin,
        "hash": origin_hash(B.origin),
        "own": False,
        "size": 1,
        "root": encode_base64(office.b.root()),
        "time": format_time(NOW_MS),
        "signed_size": 1,
        "confirmed_size": 1,
        "vouched": format_time(1000 * (NOW_MS // 1000)),
        "cosigned_by": [party.origin for party in FOUR[:3]],
        "needed": 3,
        "alarm": None,
    }
    assert (listed[D.origin]["size"], listed[D.origin]["time"], listed[D.origin]["cosigned_by"]) == (0, None, [])
    assert listed[A.origin]["own"] is True


async def test_an_alarm_is_listed_with_its_log(office: "Office") -> None:
    office.node.alarms.take(IntegrityAlarm("this is a test", field=B.origin))
    listed = {one["log"]: one["alarm"] for one in (await office.client.get("/v1/logs")).json()["logs"]}
    assert (listed[B.origin], listed[A.origin]) == ("this is a test", None)


# Entries.


async def test_entries_come_as_json(full: "Office") -> None:
    answer = await full.client.get(f"/v1{THEIRS}/entries?start=254&limit=3")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["schema"], body["log"], body["size"]) == ("suyuan.entries/1", B.origin, 600)
    assert [one["note"].encode() for one in body["entries"]] == full.b.raws[254:257]
    assert [one["entry"]["hash"] for one in body["entries"]] == [leaf64(raw) for raw in full.b.raws[254:257]]
    assert all(one["verified"] and one["state"] == "confirmed" for one in body["entries"])


async def test_entries_come_as_a_bundle(full: "Office") -> None:
    answer = await full.client.get(f"/v1{THEIRS}/entries?start=590&limit=1000", headers=OCTETS)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    count = int(answer.headers["entry-count"])
    assert parse_bundle(answer.content, count=count) == full.b.raws[590:]


async def test_without_a_limit_a_hundred_entries_come(full: "Office") -> None:
    answer = await full.client.get(f"/v1{THEIRS}/entries", headers=OCTETS)
    assert parse_bundle(answer.content, count=100) == full.b.raws[:100]


async def test_one_answer_is_bounded_in_bytes(full: "Office", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_logs, "ANSWER_BYTES_MAX", 5_000)
    answer = await full.client.get(f"/v1{THEIRS}/entries?limit=1000", headers=OCTETS)
    count = int(answer.headers["entry-count"])
    assert 1 < count < 20
    assert len(answer.content) <= 5_000 + 2 * count
    assert parse_bundle(answer.content, count=count) == full.b.raws[:count]


async def test_at_the_end_there_are_no_entries_yet(full: "Office") -> None:
    assert (await full.client.get(f"/v1{THEIRS}/entries?start=600")).json()["entries"] == []
    answer = await full.client.get(f"/v1{THEIRS}/entries?start=600", headers=OCTETS)
    assert (answer.status_code, answer.headers["entry-count"], answer.content) == (200, "0", b"")


async def test_beyond_the_end_is_404(full: "Office") -> None:
    check(await full.client.get(f"/v1{THEIRS}/entries?start=601"), 404, "not_found", field="start", limit=600)


@pytest.mark.parametrize(
    ("query", "code", "field", "limit"),
    [
        ("start=-1", "out_of_range", "start", 0),
        ("start=x", "bad_value", "start", None),
        ("start=", "bad_value", "start", None),
        ("start=01", "bad_decimal", "start", None),
        ("start=%2B1", "bad_decimal", "start", None),
        ("start=1.0", "bad_decimal", "start", None),
        ("start=9223372036854775808", "bad_decimal", "start", None),
        ("limit=0", "out_of_range", "limit", 1),
        ("limit=2049", "out_of_range", "limit", 2048),
        ("limit=1_0", "bad_decimal", "limit", None),
        ("start=1&start=2", "bad_value", "start", None),
        ("begin=1", "unknown_member", "query", None),
    ],
)
async def test_a_bad_range_is_named(office: "Office", query: str, code: str, field: str, limit: int | None) -> None:
    check(await office.client.get(f"/v1{OWN}/entries?{query}"), 422, code, field=field, limit=limit)


async def test_a_damaged_entry_is_not_served(full: "Office") -> None:
    full.town.disks[A.name].flip(layout.entry_key(layout.log_id(B.origin), 5))
    for headers in ({}, OCTETS):
        answer = await full.client.get(f"/v1{THEIRS}/entries?start=4&limit=3", headers=headers)
        check(answer, 500, "store_corrupt")
        assert full.b.raws[4] not in answer.content


# Unknown logs.


@pytest.mark.parametrize("path", ["checkpoint", "tile/0/000.p/1", "tile/entries/000.p/1"])
async def test_a_log_that_the_network_does_not_have_is_404(office: "Office", path: str) -> None:
    unknown = origin_hash("nobody.test/log")
    check(await office.client.get(f"/logs/{unknown}/{path}"), 404, "not_found", field="log_hash")
    check(await office.client.get(f"/v1/logs/{unknown}/entries"), 404, "not_found", field="log_hash")


@pytest.mark.parametrize("name", ["x", "A" * 64, origin_hash(A.origin)[:-1]])
async def test_what_is_no_hash_is_422(office: "Office", name: str) -> None:
    check(await office.client.get(f"/logs/{name}/checkpoint"), 422, "bad_value", field="log_hash")


# Checkpoints.


async def test_the_checkpoint_is_the_newest_confirmed_one(office: "Office") -> None:
    await office.confirm()
    office.b.grow(3, A)
    await office.take()
    answer = await office.client.get(f"{THEIRS}/checkpoint")
    assert answer.status_code == 200
    assert answer.content == office.b.checkpoint(1, cosigners=3).encode()
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"


async def test_before_the_first_confirmation_it_is_the_newest_signed_one(office: "Office") -> None:
    assert (await office.nobody.post("/witness/add-checkpoint", content=office.b.request(0))).status_code == 200
    answer = await office.client.get(f"{THEIRS}/checkpoint")
    assert answer.content == office.b.checkpoint().encode()


async def test_a_log_without_a_checkpoint_is_404(office: "Office") -> None:
    check(await office.client.get(f"/logs/{origin_hash(D.origin)}/checkpoint"), 404, "not_found", field="log")


async def test_a_confirmed_checkpoint_of_a_peer_is_taken(office: "Office") -> None:
    office.b.grow(5, A)
    async with office.as_peer(B) as client:
        answer = await client.post(f"{THEIRS}/checkpoint", content=office.b.checkpoint(cosigners=3).encode())
    assert (answer.status_code, answer.content) == (204, b"")
    assert office.node.states[B.origin].confirmed_size == 6


@pytest.mark.parametrize(
    ("make", "status", "code"),
    [
        (lambda log: log.checkpoint().encode(), 422, "no_quorum"),
        (lambda _log: b"no note", 422, "bad_note"),
        (lambda _log: b"", 422, "bad_note"),
        (lambda log: PaperLog(C, log.network, FOUR).checkpoint(cosigners=3).encode(), 422, "not_verified"),
        (lambda log: log.checkpoint(root=seed("a lie"), cosigners=3).encode(), 409, "log_frozen"),
        (lambda _log: b"0" * (CHECKPOINT_BYTES_MAX + 1), 413, "body_too_large"),
    ],
    ids=["no quorum", "no note", "nothing", "of another log", "of another history", "too long"],
)
async def test_what_is_no_confirmed_checkpoint_is_refused(office: "Office", make: Any, status: int, code: str) -> None:
    async with office.as_peer(B) as client:
        check(await client.post(f"{THEIRS}/checkpoint", content=make(office.b)), status, code)
    assert office.node.states[B.origin].confirmed is None


async def test_a_confirmed_checkpoint_whose_entries_nobody_has_is_503(office: "Office") -> None:
    office.town.wire.cut.add("d1.test")
    async with office.as_peer(B) as client:
        answer = await client.post(f"{THEIRS}/checkpoint", content=office.b.checkpoint(cosigners=3).encode())
    check(answer, 503, "peer_failed")
    assert answer.headers["retry-after"] == "1"


async def test_a_confirmed_checkpoint_whose_entries_take_long_is_503(
    office: "Office", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_logs, "ENTRIES_SECONDS_MAX", 0.02)
    held = office.town.wire.held["d1.test"] = asyncio.Event()
    async with office.as_peer(B) as client:
        answer = await client.post(f"{THEIRS}/checkpoint", content=office.b.checkpoint(cosigners=3).encode())
        check(answer, 503, "busy")
        held.set()
        monkeypatch.undo()
        answer = await client.post(f"{THEIRS}/checkpoint", content=office.b.checkpoint(cosigners=3).encode())
    assert answer.status_code == 204


# Tiles and bundles.


async def test_every_tile_of_a_log_is_served(full: "Office") -> None:
    leaves = [leaf_hash(raw) for raw in full.b.raws]
    for tile in hash_tiles(SIZE):
        answer = await full.client.get(f"{THEIRS}/{tile.path}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert len(answer.content) == 32 * tile.width
        if tile.level == 0:
            start = tile.index * 256
            assert answer.content == b"".join(leaves[start : start + tile.width])
    for path in entry_bundles(LeafIndex(0), SIZE):
        answer = await full.client.get(f"{THEIRS}/{path.path}")
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert parse_bundle(answer.content, count=path.width) == full.b.raws[path.start : path.start + path.width]


async def test_a_narrower_tile_than_there_is_is_served_too(full: "Office") -> None:
    wide = (await full.client.get(f"{THEIRS}/tile/0/000")).content
    narrow = await full.client.get(f"{THEIRS}/tile/0/000.p/7")
    assert narrow.content == wide[: 7 * 32]
    answer = await full.client.get(f"{THEIRS}/tile/entries/000.p/7")
    assert parse_bundle(answer.content, count=7) == full.b.raws[:7]


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/002.p/89",  # one more than there is
        "tile/0/002",
        "tile/0/003.p/1",
        "tile/1/000.p/3",
        "tile/2/000.p/1",
        "tile/entries/002.p/89",
        "tile/entries/002",
        "tile/63/x999/x999/x999/x999/x999/x999/999",
        "tile/64/000",
        "tile/0/0",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/00/000",
        "tile/-1/000",
        "tile/entries",
        "tile/0/x000/000",
        "tile/0/000/%2E%2E/001",
        "tile/0/٠٠٠",
    ],
)
async def test_a_tile_that_the_tree_does_not_have_is_404(full: "Office", path: str) -> None:
    answer = await full.client.get(f"{THEIRS}/{path}")
    check(answer, 404, "not_found")


async def test_a_damaged_tile_is_not_served(full: "Office") -> None:
    [tile, *_] = edge_tiles(SIZE)
    full.town.disks[A.name].flip(layout.tile_key(layout.log_id(B.origin), tile.level, tile.index))
    check(await full.client.get(f"{THEIRS}/{tile.path}"), 500, "store_corrupt")


async def test_unknown_parameters_are_refused_here_too(full: "Office") -> None:
    for path in ("checkpoint", "tile/0/000"):
        check(await full.client.get(f"{THEIRS}/{path}?x=1"), 422, "unknown_member", field="query")


class TestOpenAccess:
    """Where the network document opens the logs, stock clients read them without a key."""

    @pytest.fixture
    def law(self) -> Paper:
        return paper(FOUR, access={"read": "open"}, quorum={"faults": 0})

    async def test_anyone_reads_the_logs(self, office: "Office") -> None:
        await office.confirm()
        assert (await office.nobody.get(f"{THEIRS}/checkpoint")).status_code == 200
        tile = await office.nobody.get(f"{THEIRS}/tile/0/000.p/1")
        assert (tile.status_code, tile.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
        assert (await office.nobody.get(f"{THEIRS}/tile/entries/000.p/1")).status_code == 200
        assert (await office.nobody.get(f"/v1{THEIRS}/entries")).status_code == 200

    async def test_the_rest_still_takes_a_token(self, office: "Office") -> None:
        for path in ("/v1/logs", "/v1/peers"):
            check(await office.nobody.get(path), 401, "unauthorized")


# The growth of a log, and its newest signed head.


async def test_the_growth_of_a_log_is_told_with_the_signatures_that_confirm_it(office: "Office") -> None:
    await office.confirm()
    note = office.b.checkpoint(cosigners=3)
    for minute in (1, 2):
        office.b.grow(3, A)
        note = add_signatures(
            office.b.checkpoint(),
            [
                cosign(
                    party.keys.cosigner,
                    Checkpoint(B.origin, TreeSize(office.b.size), office.b.root()),
                    time=NOW_MS // 1000 + 60 * minute,
                )
                for party in FOUR[:3]
            ],
        )
        await office.node.mirror.take_confirmed(note.encode(), origin=B.origin)
    answer = await office.client.get(f"/v1{THEIRS}/checkpoints")
    body = answer.json()
    assert (body["schema"], body["log"]) == ("suyuan.checkpoints/1", B.origin)
    assert body["versions"] == [{"version": 1, "from": 0}]
    assert [one["size"] for one in body["checkpoints"]] == [1, 4, 7]
    last = body["checkpoints"][-1]
    assert last == {
        "size": 7,
        "root": encode_base64(office.b.root()),
        "vouched": format_time(1000 * (NOW_MS // 1000 + 120)),
        "cosigned_by": [party.origin for party in FOUR[:3]],
        "needed": 3,
        "note": text_to_lines(note.encode()),
    }
    for one in body["checkpoints"]:
        judged = judge_checkpoint(lines_to_text(one["note"]), office.node.network)
        assert (judged.size, judged.confirmed) == (one["size"], True)


async def test_a_log_that_was_never_confirmed_has_no_growth_yet(office: "Office") -> None:
    assert (await office.client.get(f"/v1{OWN}/checkpoints")).json()["checkpoints"] == []


async def test_a_damaged_past_is_not_told(office: "Office") -> None:
    await office.confirm()
    disk = office.town.disks[A.name]
    [key, *_] = [key for key, _ in office.node.store.scan(b"B", b"C")]
    disk.flip(key)
    check(await office.client.get(f"/v1{THEIRS}/checkpoints"), 500, "store_corrupt")


async def test_the_head_is_the_largest_signed_checkpoint_alone(office: "Office") -> None:
    check(await office.client.get(f"/v1{THEIRS}/head"), 404, "not_found")
    await office.confirm()
    assert (await office.client.get(f"/v1{THEIRS}/head")).content == office.b.checkpoint().encode()
    office.b.grow(2, A)
    await office.node.mirror.take_signed(office.b.checkpoint(cosigners=2).encode(), origin=B.origin)
    assert (await office.client.get(f"/v1{THEIRS}/head")).content == office.b.checkpoint().encode()
    assert (await office.client.get(f"{THEIRS}/checkpoint")).content == office.b.checkpoint(1, cosigners=3).encode()
