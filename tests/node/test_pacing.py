"""Pacing: ever longer waits, which end when somebody who was silent is heard again; in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import httpx
import pytest
from loop import run
from node_helpers import PaperLog, Town, paper, parties, share, until
from structlog.testing import capture_logs

from node import gossip, pacing, publisher, readmission
from node.faults import PeerError
from node.pacing import HEARD_SECONDS_MIN, Heard, Pace, Pushed
from node.peers import Peer
from node.service import Node
from node.submission import prepare

T = TypeVar("T")
A, B, C, D = FOUR = parties(4)
LAW = paper(FOUR)
FOR_EVER = 10_000.0  # seconds that no test has


def in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    return run(main, Random(0))


async def lasts(wait: Coroutine[Any, Any, object]) -> float:
    began = asyncio.get_running_loop().time()
    await wait
    return round(asyncio.get_running_loop().time() - began, 6)


def test_each_wait_is_twice_as_long_as_the_one_before_up_to_a_limit_and_a_success_begins_anew() -> None:
    async def main() -> list[float]:
        pace = Pace(1.0, 5.0, Heard())
        waits = [await lasts(pace.pause()) for _ in range(5)]
        pace.reset()
        return [*waits, await lasts(pace.pause())]

    assert in_virtual_time(main()) == [1.0, 2.0, 4.0, 5.0, 5.0, 1.0]


def test_who_is_heard_again_is_not_waited_for_and_the_next_waits_are_short() -> None:
    async def main() -> list[float]:
        heard = Heard()
        pace = Pace(1.0, 300.0, heard)
        pace.delay = 300.0
        asyncio.get_running_loop().call_later(7.0, heard.tell)
        return [await lasts(pace.pause()) for _ in range(3)]

    assert in_virtual_time(main()) == [7.0, 1.0, 2.0]


def test_who_is_heard_all_the_time_cuts_no_wait_shorter_than_a_moment() -> None:
    async def main() -> list[float]:
        heard = Heard()
        pace = Pace(300.0, 300.0, heard)

        async def shout() -> None:
            while True:
                heard.tell()
                await asyncio.sleep(0.001)

        shouting = asyncio.create_task(shout())
        waits = [await lasts(pace.pause()) for _ in range(3)]
        shouting.cancel()
        return [*waits, await lasts(heard.wait(0.1)), await lasts(heard.wait(9.0, at_least=3.0))]

    assert in_virtual_time(main()) == [HEARD_SECONDS_MIN] * 3 + [0.1, 9.0]


def test_what_was_told_before_the_wait_began_does_not_cut_it_short() -> None:
    async def main() -> tuple[bool, float]:
        heard = Heard()
        heard.tell()
        return await heard.wait(5.0), await lasts(heard.wait(5.0))

    assert in_virtual_time(main()) == (False, 5.0)


def test_a_cosignature_ends_what_was_to_be_pushed() -> None:
    pushed: Pushed[str] = Pushed(Pace(1.0, 300.0, Heard()))
    pushed.stale, pushed.pace.delay = 3, 300.0
    pushed.cosigned("a checkpoint", 7)
    assert (pushed.known, pushed.done, pushed.stale, pushed.pace.delay) == (7, "a checkpoint", 0, 1.0)


# A node after a partition: every wait would last for ever.


@pytest.fixture
async def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    monkeypatch.setattr(pacing, "HEARD_SECONDS_MIN", 0.01)
    for module in (publisher, readmission):
        monkeypatch.setattr(module, "RETRY_SECONDS_MIN", FOR_EVER)
        monkeypatch.setattr(module, "RETRY_SECONDS_MAX", FOR_EVER)
    monkeypatch.setattr(gossip, "FAILED_PEER_ROUNDS_MAX", 10**9)
    async with Town(tmp_path, FOUR, law=LAW) as town:
        with capture_logs():
            yield town


def silent(peer: Peer) -> Peer:
    """A peer that has not answered for so long that gossip asks it no more."""
    peer.status.failures = 10**9
    return peer


@pytest.mark.parametrize("status", [200, 404, 503])
async def test_any_answer_of_a_silent_peer_ends_the_waits_for_it(town: Town, status: int) -> None:
    async def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status)

    town.wire.answer(B, answer)
    peer = town.open(A).peers[B.origin]
    for cut in (set(), {"d1.test"}):
        town.wire.cut = cut
        with suppress(PeerError):
            await peer.logs()
    waiting = asyncio.create_task(peer.heard.wait(FOR_EVER))
    await asyncio.sleep(0)
    with suppress(PeerError):
        await peer.logs()
    assert not waiting.done()
    town.wire.cut.clear()
    with suppress(PeerError):
        await peer.logs()
    assert await waiting


async def test_a_peer_that_asks_something_is_asked_and_pushed_to_again(town: Town) -> None:
    """A could not reach B for long; then B asks A what it holds, and signs that it is B who asks."""
    a, b, *_ = await town.start()
    silent(a.peers[B.origin])
    town.wire.cut.add("d1.test")
    event = prepare(share(1, B), origin=A.origin)
    await a.submit((event,), wait_confirmed=True)
    await until(lambda: a.peers[B.origin].status.failures > 10**9)
    assert b.states[A.origin].cosigned_head.size < a.state.size
    town.wire.cut.clear()
    await until(lambda: b.states[A.origin].cosigned_head.size == a.state.size)
    await until(lambda: a.peers[B.origin].status.failures == 0)


async def test_heads_are_compared_again_with_a_peer_that_is_heard_again(town: Town) -> None:
    def asked() -> int:
        return town.wire.seen.count(("GET", "d1.test", "/v1/logs"))

    town.wire.cut.add("d1.test")
    town.wire.answer(B, PaperLog(B, LAW.network).answer)
    node = town.open(A)
    peer = silent(node.peers[B.origin])
    following = asyncio.create_task(node.gossip.run())
    await until(lambda: peer.status.failures > 10**9)
    before = asked()
    town.wire.cut.clear()
    peer.hear()
    await until(lambda: asked() > before)
    following.cancel()


async def test_what_is_not_signed_by_a_peer_is_no_sign_of_life(town: Town) -> None:
    node = town.open(A)
    node.peers[B.origin].status.reachable = False
    waiting = asyncio.create_task(node.peers[B.origin].heard.wait(FOR_EVER))
    await asyncio.sleep(0)
    async with town.client(A) as client:
        assert (await client.get("/v1/logs", headers={"Signature-Input": f'suyuan=();keyid="{B.origin}"'})).is_error
    node.hear(C.origin)
    node.hear("nobody.test/log")
    await asyncio.sleep(0.05)
    assert not waiting.done()
    waiting.cancel()


async def test_a_return_of_one_is_a_reason_to_look_again_for_what_was_ruled(town: Town) -> None:
    node = town.open(A)
    waiting = asyncio.create_task(node.readmission.heard.wait(FOR_EVER))
    await asyncio.sleep(0)
    peer = node.peers[C.origin]
    with suppress(PeerError):
        await peer.logs()
    town.wire.answer(C, PaperLog(C, LAW.network).answer)
    await peer.logs()
    assert await waiting
    assert node.manifests._news[C.origin].is_set()


def returns(node: Node, *others: str) -> None:
    """C answers again, where others did all the time."""
    for name, peer in node.peers.items():
        peer.status.reachable = name in others
    node._returned(C.origin)


async def test_foreign_witnesses_are_asked_again_when_the_node_itself_was_cut_off(town: Town) -> None:
    node = town.open(A)
    waiting = asyncio.create_task(node.outside.heard.wait(FOR_EVER))
    await asyncio.sleep(0)
    returns(node, B.origin)
    await asyncio.sleep(0.05)
    assert not waiting.done()
    returns(node)
    assert await waiting
