"""Comparing heads: whoever was down catches up, from whoever has it, and no log holds up another."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from node_helpers import PaperLog, Town, heads, paper, parties, reference, seed, share, until, verify_log
from structlog.testing import capture_logs

from node.layout import origin_hash
from node.peers import PeerRefusedError, PeerUnreachableError
from node.sequencer import prepare
from node.service import Node

A, B, C, D = FOUR = parties(4)
LAW = paper(FOUR)


async def record(node: Node, *values: dict[str, Any]) -> None:
    await node.submit(tuple(prepare(value, origin=node.origin) for value in values), wait_confirmed=True)


def has_all(node: Node, like: Node) -> bool:
    return all(
        state.confirmed_size == like.states[origin].confirmed_size == state.size > 0
        for origin, state in node.states.items()
    )


# A network of nodes.


async def test_a_node_that_was_down_catches_up_by_itself(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR) as town:
        first, *_ = await town.start()
        await town.stop(D)
        await record(first, *(share(number, B, records=[reference(str(number))]) for number in range(1, 30)))
        [late] = await town.start(D)
        await until(lambda: has_all(late, first))
        assert len(verify_log(late.store, late.states[A.origin], town.law.network)) == 30


async def test_a_node_catches_up_on_a_log_whose_owner_is_down(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR) as town:
        first, *_ = await town.start()
        await town.stop(D)
        await record(first, share(1, B))
        await until(lambda: town.nodes["d1"].states[A.origin].confirmed_size == 2)
        await town.stop(A)
        [late] = await town.start(D)
        await until(lambda: late.states[A.origin].confirmed_size == 2)
        assert late.states[A.origin].size == 2


async def test_heads_are_compared_in_both_directions(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR) as town:
        nodes = await town.start()
        await record(nodes[0], share(1, B))
        await record(nodes[3], share(2, B))
        for node in nodes:
            others = [peer.status for origin, peer in node.peers.items() if origin != node.origin]
            await until(lambda others=others: all(one.confirmed.get(A.origin) == 2 for one in others))  # type: ignore[misc]
            await until(lambda others=others: all(one.confirmed.get(D.origin) == 2 for one in others))  # type: ignore[misc]


# One comparison.


class Talk:
    """A's node, asked by hand to compare heads with C, which answers from paper for B and for itself."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.node = town.open(A)
        self.logs = {party.origin: PaperLog(party, LAW.network, FOUR) for party in (B, C)}
        self.listed: Any = [log.told() for log in self.logs.values()]
        town.wire.answer(C, self.answer)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/logs":
            return httpx.Response(200, json=heads(*self.listed))
        for log in self.logs.values():
            if origin_hash(log.origin) in request.url.path:
                return await log.answer(request)
        return httpx.Response(404)

    async def compare(self) -> None:
        await self.node.gossip.compare(self.node.peers[C.origin])

    def confirmed(self) -> dict[str, int]:
        return {origin: self.node.states[origin].confirmed_size for origin in self.logs}


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        with capture_logs():
            yield Talk(town)


async def test_what_a_peer_knows_better_is_taken(talk: Talk) -> None:
    await talk.compare()
    assert talk.confirmed() == {B.origin: 1, C.origin: 1}
    status = talk.node.peers[C.origin].status
    assert (status.reachable, status.sizes, status.confirmed) == (True, talk.confirmed(), talk.confirmed())


async def test_what_is_known_is_not_asked_for_again(talk: Talk) -> None:
    await talk.compare()
    seen = len(talk.town.wire.seen)
    await talk.compare()
    assert [path for _, _, path in talk.town.wire.seen[seen:]] == ["/v1/logs"]


async def test_a_log_in_doubt_does_not_hold_up_the_others(talk: Talk) -> None:
    b_log = talk.logs[B.origin]
    b_log.grow(3, A)
    await talk.node.mirror.catch_up(B.origin, 1, hint=C.origin)
    b_log.raws[0] = PaperLog(B, LAW.network).raws[0]
    b_log.checkpoint = lambda *_, **__: PaperLog.checkpoint(b_log, 1, root=seed("a lie"), cosigners=4)  # type: ignore[method-assign]
    talk.listed = [log.told() | {"confirmed_size": 4} for log in talk.logs.values()]
    await talk.compare()
    assert talk.confirmed() == {B.origin: 0, C.origin: 1}
    assert B.origin in talk.node.alarms


async def test_a_log_that_cannot_be_had_does_not_hold_up_the_others(talk: Talk) -> None:
    async def nothing(_: httpx.Request) -> httpx.Response:
        return httpx.Response(404)

    talk.logs[B.origin].answer = nothing  # type: ignore[method-assign, assignment]
    await talk.compare()
    assert talk.confirmed() == {B.origin: 0, C.origin: 1}


async def test_a_claim_without_a_proof_is_worth_nothing(talk: Talk) -> None:
    talk.listed = [talk.logs[B.origin].told() | {"size": 2**53 - 1, "confirmed_size": 2**53 - 1}]
    talk.logs[B.origin].members = []  # nobody has cosigned
    await talk.compare()
    assert talk.confirmed() == {B.origin: 0, C.origin: 0}
    assert talk.node.states[B.origin].size == 0


async def test_logs_that_are_not_the_networks_are_passed_over(talk: Talk) -> None:
    talk.listed = [talk.logs[B.origin].told() | {"log": "nobody.test/log"}, talk.logs[C.origin].told()]
    await talk.compare()
    assert "nobody.test/log" not in talk.node.peers[C.origin].status.sizes
    assert talk.confirmed()[C.origin] == 1


HEAD = PaperLog(B, LAW.network).told()


@pytest.mark.parametrize(
    "listed",
    [
        None,
        {},
        "logs",
        [None],
        [[]],
        ["log"],
        [{}],
        [{"log": B.origin, "size": 1}],
        [HEAD | {"size": "1"}],
        [HEAD | {"confirmed_size": -1}],
        [HEAD | {"size": -1}],
        [HEAD | {"log": 1}],
        [HEAD | {"root": None}],
        [HEAD, HEAD | {"root": 1}],
    ],
)
async def test_a_list_of_another_form_is_refused_as_a_whole(talk: Talk, listed: object) -> None:
    async def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"network_version": 1, "logs": listed})

    talk.town.wire.answer(C, answer)
    with pytest.raises(PeerRefusedError, match="another form"):
        await talk.compare()
    assert talk.node.peers[C.origin].status.sizes == {}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"[1]",
        b"null",
        b"{",
        b"\xff",
        b'{"logs":[]}',
        b'{"logs":[],"network_version":1.5}',
        b'{"network_version":1,"logs":1.5}',
        b'{"network_version":1,"logs":[' * 50_000,
        b'{"network_version":1,"logs":' + b"9" * 5000 + b"}",
        b'{"network_version":1,"logs":[{"log":"a/log","size":1,"confirmed_size":1}]}',
        b'{"network_version":1,"logs":[{"log":"a/log","size":1,"confirmed_size":1,"root":"AAAA"}]}',
    ],
)
async def test_an_answer_that_is_no_list_is_refused(talk: Talk, body: bytes) -> None:
    async def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body)

    talk.town.wire.answer(C, answer)
    with pytest.raises(PeerRefusedError):
        await talk.compare()


async def test_a_peer_that_does_not_answer_is_unreachable(talk: Talk) -> None:
    talk.town.wire.cut.add("d2.test")
    for _ in range(2):
        with pytest.raises(PeerUnreachableError, match="nobody answers"):
            await talk.compare()
    status = talk.node.peers[C.origin].status
    assert (status.reachable, status.failures, status.last_error) == (False, 2, "nobody answers")
    talk.town.wire.cut.clear()
    await talk.compare()
    assert (status.reachable, status.failures, status.last_error) == (True, 0, None)
    assert status.last_seen_ms == talk.town.clock.now_ms()


async def test_a_cookie_of_a_peer_is_not_kept(talk: Talk) -> None:
    sent: list[str | None] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers.get("cookie"))
        return httpx.Response(200, json=heads(), headers={"Set-Cookie": "a=b; Path=/"})

    talk.town.wire.answer(C, answer)
    for _ in range(2):
        await talk.compare()
    assert sent == [None, None]


async def test_a_peer_that_keeps_failing_is_asked_more_rarely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noting(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    async with Town(tmp_path, [A, B], pull_interval_ms=1000) as town:
        node = town.open(A)
        monkeypatch.setattr("node.gossip.asyncio.sleep", noting)
        with capture_logs():
            task = asyncio.create_task(node.gossip.run())
            while len(pauses) < 20:
                await sleep(0)
        task.cancel()
        monkeypatch.undo()
        await asyncio.gather(task, return_exceptions=True)
    assert pauses[:4] == [0.0, 2.0, 3.0, 4.0]
    assert set(pauses[15:]) == {15.0}
