"""Manifests: what a share with many records names reaches its consumer, and nobody else."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from node_helpers import RECORD, PaperLog, Party, Town, paper, parties, reference, share, until
from structlog.testing import capture_logs

from ledger.errors import ManifestError
from ledger.evidence import verify_evidence
from ledger.manifest import Manifest, make_manifest
from ledger.store.protocol import prefix_end
from ledger.versions import parse_fingerprint
from node import layout, manifests
from node.errors import ManifestsWaitingError, NotFoundError
from node.service import Node
from node.submission import Recorded, prepare
from node.transport import PeerAuth

A, B, C = THREE = parties(3)
LAW = paper(THREE)
MANY = make_manifest([RECORD, *(reference(str(number)) for number in range(1499))])


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with Town(tmp_path, THREE, law=LAW) as town:
        with capture_logs():
            yield town


async def give(node: Node, manifest: Manifest, consumer: Party, number: int = 1, **members: Any) -> Recorded:
    """Record a share with a manifest, as the provider's clients do."""
    await node.keep_manifest(manifest, client="test")
    value = share(number, consumer, records=None, manifest=manifest.ref.model_dump(), **members)
    [(recorded, _)] = await node.submit((prepare(value, origin=node.origin),), wait_confirmed=True)
    return recorded


def is_kept(node: Node, manifest: Manifest) -> bool:
    return node.store.get(layout.manifest_key(manifest.root)) == manifest.encode()


def wanted(node: Node) -> int:
    return sum(1 for _ in node.store.scan(b"N", prefix_end(b"N")))


def missing(node: Node, provider: Party) -> float | None:
    return node.metrics.registry.get_sample_value("suyuan_manifests_missing", {"log": provider.origin})


def failures(node: Node, provider: Party) -> float:
    labels = {"log": provider.origin}
    return node.metrics.registry.get_sample_value("suyuan_manifest_failures_total", labels) or 0


def as_peer(town: Town, party: Party, to: Party) -> httpx.AsyncClient:
    """A client that signs as a department's node does."""
    numbers = iter(range(10**6))
    auth = PeerAuth(
        lambda: party.keys.transport,
        origin=party.origin,
        clock=town.clock.now_ms,
        nonce=lambda: f"test{next(numbers):018d}",
    )
    route = town.wire.routes[f"{to.name}.test"]
    return httpx.AsyncClient(transport=route, base_url=to.url, auth=auth, trust_env=False)


async def test_both_parties_trace_what_only_a_manifest_names_and_a_third_does_not(town: Town) -> None:
    a, b, c = await town.start()
    sent = await give(a, MANY, B)
    await until(lambda: is_kept(b, MANY), "the consumer has the manifest")
    for node in (a, b):
        await until(lambda: node.states[A.origin].confirmed_size > sent.ref.index, "it is confirmed")  # noqa: B023
        trace = node.history().trace(MANY.records[777])
        assert [hop.share.ref for hop in trace.hops] == [sent.ref]
        data = node.history().evidence(MANY.records[777], node.network_document)
        evidence = verify_evidence(data, fingerprint=parse_fingerprint(LAW.fingerprint))
        assert [hop.share.ref for hop in evidence.trace.hops] == [sent.ref]
    await until(lambda: c.states[A.origin].size > sent.ref.index, "the third has mirrored the share")
    with pytest.raises(NotFoundError):
        c.history().trace(MANY.records[777])
    assert (wanted(c), is_kept(c, MANY)) == (0, False)
    await until(lambda: wanted(b) == 0 and missing(b, A) == 0, "nothing is noted any more")


async def test_a_provider_that_is_down_is_asked_until_it_is_up(town: Town) -> None:
    """The consumer gets the entries from the third, and the manifest only when the provider is back."""
    a, c = await town.start(A, C)
    await give(a, MANY, B)
    await until(lambda: c.states[A.origin].confirmed_size == a.state.size, "the third has the log")
    town.wire.cut.add("d0.test")
    [b] = await town.start(B)
    await until(lambda: failures(b, A) > 1, "it was asked in vain, and again")
    assert (wanted(b), missing(b, A), is_kept(b, MANY)) == (1, 1, False)
    town.wire.cut.clear()
    await until(lambda: is_kept(b, MANY), "the manifest came when the provider did")


async def test_what_is_missing_is_asked_for_again_after_a_restart(town: Town) -> None:
    a, c = await town.start(A, C)
    await give(a, MANY, B)
    await until(lambda: c.states[A.origin].confirmed_size == a.state.size, "the third has the log")
    await town.stop(A)
    [b] = await town.start(B)
    await until(lambda: wanted(b) == 1, "the share is noted")
    await town.stop(B)
    [b] = await town.start(B)
    await until(lambda: missing(b, A) == 1, "it is noted still")
    await town.start(A)
    await until(lambda: is_kept(b, MANY) and wanted(b) == 0, "the manifest came")


# A provider that does what it likes.


class Provider:
    """A log on paper whose owner answers what the test says where a manifest is asked for."""

    def __init__(self, town: Town) -> None:
        self.log = PaperLog(A, LAW.network, THREE)
        self.given: dict[str, bytes] = {}
        self.asked = 0
        town.wire.answer(A, self.answer)

    def give(self, number: int, manifest: dict[str, Any], consumer: Party = B) -> None:
        self.log.append(share(number, consumer, records=None, manifest=manifest))

    async def answer(self, request: httpx.Request) -> httpx.Response:
        root = request.url.path.removeprefix("/v1/manifests/")
        if root == request.url.path:
            return await self.log.answer(request)
        self.asked += 1
        assert "signature-input" in request.headers
        if root not in self.given:
            return httpx.Response(404, text="nothing here")
        return httpx.Response(200, content=self.given[root])


@pytest.fixture
def provider(town: Town) -> Provider:
    return Provider(town)


@pytest.mark.parametrize(
    "served",
    [
        make_manifest([RECORD, reference("another")]).encode(),
        MANY.encode()[:-34] + b"\n",
        b"",
        b"0" * (manifests.COUNTED_MAX * 400),
    ],
    ids=["another", "shortened", "nothing", "too-long"],
)
async def test_another_manifest_than_the_shares_is_not_kept(town: Town, provider: Provider, served: bytes) -> None:
    provider.give(10, MANY.ref.model_dump())
    provider.given[MANY.root.hex()] = served
    [b] = await town.start(B)
    await b.mirror.catch_up(A.origin, provider.log.size)
    await until(lambda: failures(b, A) > 1, "it was asked in vain, and again")
    assert not any(True for _ in b.store.scan(b"M", prefix_end(b"M")))
    assert wanted(b) == 1
    provider.given[MANY.root.hex()] = MANY.encode()
    await until(lambda: is_kept(b, MANY) and wanted(b) == 0, "the right one is taken at last")


async def test_a_share_that_lies_about_the_count_gets_no_manifest(town: Town, provider: Provider) -> None:
    provider.give(10, MANY.ref.model_dump() | {"count": 7})
    provider.given[MANY.root.hex()] = MANY.encode()
    [b] = await town.start(B)
    await b.mirror.catch_up(A.origin, provider.log.size)
    await until(lambda: failures(b, A) > 1, "it was asked in vain, and again")
    assert (is_kept(b, MANY), wanted(b)) == (False, 1)


async def test_what_a_provider_does_not_have_holds_up_nothing_else(town: Town, provider: Provider) -> None:
    for number in range(20):
        provider.give(10 + number, make_manifest([reference(f"lost {number}")]).ref.model_dump())
    provider.give(40, MANY.ref.model_dump())
    provider.give(41, make_manifest([reference("another's")]).ref.model_dump(), C)
    provider.given[MANY.root.hex()] = MANY.encode()
    [b] = await town.start(B)
    await b.mirror.catch_up(A.origin, provider.log.size)
    await until(lambda: is_kept(b, MANY), "the one that can be had was fetched")
    await until(lambda: wanted(b) == 20, "the others are noted, those of somebody else are not")


async def test_the_order_goes_round_however_many_cannot_be_had(
    town: Town, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifests, "FAILURES_MAX", 2)
    for number in range(5):
        provider.give(10 + number, make_manifest([reference(f"lost {number}")]).ref.model_dump())
    provider.give(40, MANY.ref.model_dump())
    provider.given[MANY.root.hex()] = MANY.encode()
    [b] = await town.start(B)
    await b.mirror.catch_up(A.origin, provider.log.size)
    await until(lambda: is_kept(b, MANY), "its turn has come")


async def test_a_manifest_that_was_posted_is_not_asked_for_any_more(town: Town, provider: Provider) -> None:
    provider.give(10, MANY.ref.model_dump())
    [b] = await town.start(B)
    await b.mirror.catch_up(A.origin, provider.log.size)
    await until(lambda: failures(b, A) > 0, "the provider does not give it")
    await b.keep_manifest(MANY, client="test")
    await until(lambda: wanted(b) == 0, "it is here, whoever brought it")
    assert b.history().trace(RECORD).hops


async def test_a_node_stops_while_it_waits_for_a_manifest(town: Town, provider: Provider) -> None:
    provider.give(10, MANY.ref.model_dump())
    [b] = await town.start(B)
    await b.mirror.catch_up(A.origin, provider.log.size)
    town.wire.held["d0.test"] = asyncio.Event()
    await until(lambda: wanted(b) == 1, "the share is noted")
    async with asyncio.timeout(5):
        await town.stop(B)


# Who is shown a manifest.


async def test_a_manifest_is_shown_to_the_parties_alone(town: Town) -> None:
    a, b, _ = await town.start()
    await give(a, MANY, B)
    await until(lambda: is_kept(b, MANY), "the consumer has the manifest")
    path = f"/v1/manifests/{MANY.root.hex()}"
    async with town.client(A) as own, as_peer(town, B, A) as consumer, as_peer(town, C, A) as third:
        for client in (own, consumer):
            answer = await client.get(path)
            assert (answer.status_code, answer.content) == (200, MANY.encode())
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
            assert answer.headers["cache-control"] == "private, no-store"
        refused, unknown = await third.get(path), await third.get(f"/v1/manifests/{'0' * 64}")
        assert refused.status_code == 404
        assert refused.json() == unknown.json()
        assert (await consumer.get("/v1/manifests/xyz")).status_code == 422
    async with town.client(A, token=None) as nobody, as_peer(town, Party("stranger"), A) as stranger:
        assert (await nobody.get(path)).status_code == (await stranger.get(path)).status_code == 401
    async with as_peer(town, A, B) as provider, as_peer(town, C, B) as third:
        assert (await provider.get(path)).status_code == 404  # no share in the consumer's own log names it
        assert (await third.get(path)).status_code == 404


# What a client posts and never names.


async def test_a_client_keeps_a_bounded_number_of_manifests_that_no_share_names(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifests, "UNNAMED_MAX", 3)
    a, _, _ = await town.start()
    posted = [make_manifest([reference(f"posted {number}")]) for number in range(5)]
    for manifest in posted[:3]:
        await a.keep_manifest(manifest, client="test")
    with pytest.raises(ManifestsWaitingError) as refused:
        await a.keep_manifest(posted[3], client="test")
    assert refused.value.limit == 3
    async with town.client(A) as client:
        answer = await client.post("/v1/manifests", content=posted[3].encode())
        assert (answer.status_code, answer.json()["code"]) == (429, "manifests_waiting")
        assert "retry-after" in answer.headers
    assert [is_kept(a, manifest) for manifest in posted] == [True, True, True, False, False]
    await a.keep_manifest(posted[0], client="test")  # it is here already
    await a.keep_manifest(posted[3], client="another")
    await give(a, posted[1], B)  # now a share names it, which makes room for one
    await a.keep_manifest(posted[4], client="test")
    with pytest.raises(ManifestsWaitingError):
        await a.keep_manifest(make_manifest([reference("posted 6")]), client="test")


async def test_many_posts_at_once_are_counted_one_by_one(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "UNNAMED_MAX", 3)
    a, _, _ = await town.start()
    posts = (a.keep_manifest(make_manifest([reference(f"{n}")]), client="test") for n in range(20))
    outcomes = await asyncio.gather(*posts, return_exceptions=True)
    assert sum(outcome is None for outcome in outcomes) == 3
    assert sum(isinstance(outcome, ManifestsWaitingError) for outcome in outcomes) == 17


def test_only_root_and_count_of_the_share_will_do() -> None:
    check: Callable[..., Manifest] = manifests._parse
    assert check(MANY.encode(), MANY.ref) == MANY
    with pytest.raises(ManifestError):
        check(make_manifest([RECORD]).encode(), MANY.ref)
