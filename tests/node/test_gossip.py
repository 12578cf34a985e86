"""Comparing heads: whoever was down catches up, from whoever has it, and no log holds up another."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from node_helpers import NOW_MS, PaperLog, Town, heads, paper, parties, reference, seed, share, until, verify_log
from structlog.testing import capture_logs

from ledger.checkpoint import Checkpoint
from ledger.cosignature import add_signatures, cosign
from ledger.encoding import encode_base64, format_time
from ledger.errors import VerificationError
from ledger.merkle import TreeSize
from ledger.note import Note
from node import gossip, layout
from node.faults import PeerRefusedError, PeerUnreachableError
from node.layout import origin_hash
from node.pacing import Heard
from node.peers import ENTRIES_MAX, PeerStatus
from node.service import Node
from node.submission import prepare
from node.told import Head

A, B, C, D = FOUR = parties(4)
LAW = paper(FOUR)


async def record(node: Node, *values: dict[str, Any]) -> None:
    await node.submit(tuple(prepare(value, origin=node.origin) for value in values), wait_confirmed=True)


def has_all(node: Node, like: Node) -> bool:
    return all(
        state.confirmed_size == like.states[origin].confirmed_size == state.size > 0
        for origin, state in node.states.items()
    )


def confirmed_at(status: PeerStatus, origin: str) -> int | None:
    """How far a log is confirmed at a peer, as it has told."""
    return status.heads[origin].head.confirmed if origin in status.heads else None


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
            for origin in (A.origin, D.origin):
                await until(lambda others=others, origin=origin: all(confirmed_at(one, origin) == 2 for one in others))  # type: ignore[misc]


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
    assert (status.reachable, status.sizes) == (True, talk.confirmed())
    assert {origin: seen.head.confirmed for origin, seen in status.heads.items()} == talk.confirmed()


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
        [HEAD | {"signed_size": -1}],
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
    pauses: list[tuple[float, float | None]] = []

    async def noting(_: Heard, seconds: float, *, at_least: float | None = None) -> bool:
        pauses.append((seconds, at_least))
        await asyncio.sleep(0)
        return False

    monkeypatch.setattr(Heard, "wait", noting)
    async with Town(tmp_path, [A, B], pull_interval_ms=1000) as town:
        node = town.open(A)
        with capture_logs():
            task = asyncio.create_task(node.gossip.run())
            await until(lambda: len(pauses) >= 20)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert pauses[:3] == [(2.0, 1.0), (3.0, 1.0), (4.0, 1.0)]
    assert set(pauses[15:]) == {(15.0, 1.0)}


# What is signed and not confirmed.


async def test_entries_that_one_member_holds_reach_the_others_though_the_owner_is_gone_for_good(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR) as town:
        with capture_logs():
            [owner] = await town.start(A)
            [witness] = await town.start(B)
            await until(lambda: witness.states[A.origin].size == 1)
            prepared = [share(number, B, records=[reference(str(number))]) for number in range(1, 9)]
            await owner.submit(tuple(prepare(value, origin=A.origin) for value in prepared), wait_confirmed=False)
            await until(lambda: witness.states[A.origin].cosigned_head.size == 9)
            assert owner.state.confirmed is None  # two of four are no quorum
            await town.stop(A)
            late = await town.start(C, D)
            await until(lambda: all(node.states[A.origin].size == 9 for node in late))
        for node in late:
            state = node.states[A.origin]
            await until(lambda node=node: node.states[A.origin].signed is not None)  # type: ignore[misc]
            assert state.confirmed is None
            assert len(verify_log(node.store, state, town.law.network)) == 9


async def test_a_signed_head_is_kept_and_told_on(talk: Talk) -> None:
    b_log = talk.logs[B.origin]
    b_log.members = []
    b_log.grow(3, A)
    talk.listed = [b_log.told() | {"confirmed_size": 0, "signed_size": 4}]
    await talk.compare()
    state = talk.node.states[B.origin]
    assert (state.size, state.confirmed_size, state.cosigned) == (4, 0, None)
    assert state.checkpoint is not None
    assert state.checkpoint.checkpoint.root == b_log.root()
    client = talk.town.client(A)
    async with client:
        [told] = [one for one in (await client.get("/v1/logs")).json()["logs"] if one["log"] == B.origin]
        assert (told["signed_size"], told["confirmed_size"]) == (4, 0)
        head = await client.get(f"/v1/logs/{origin_hash(B.origin)}/head")
        assert head.content == b_log.checkpoint().encode()


async def test_a_signed_head_is_asked_for_once(talk: Talk) -> None:
    talk.listed = [talk.logs[B.origin].told() | {"confirmed_size": 0, "signed_size": 1}]
    await talk.compare()
    seen = len(talk.town.wire.seen)
    await talk.compare()
    assert [path for _, _, path in talk.town.wire.seen[seen:]] == ["/v1/logs"]


async def test_a_signed_head_that_nobody_has_signed_is_worth_one_question(talk: Talk) -> None:
    b_log = talk.logs[B.origin]
    talk.listed = [b_log.told() | {"size": 9, "confirmed_size": 0, "signed_size": 9}]
    b_log.checkpoint = lambda *_, **__: Note(b_log.party.origin + "\n9\n" + "A" * 43 + "=\n", ())  # type: ignore[method-assign]
    await talk.compare()
    assert talk.node.states[B.origin].size == 0
    assert "false" in talk.node.peers[C.origin].status.faults


async def test_a_signed_head_of_another_history_is_an_alarm(talk: Talk) -> None:
    b_log = talk.logs[B.origin]
    b_log.grow(2, A)
    await talk.node.mirror.catch_up(B.origin, 3, hint=C.origin)
    other = PaperLog(B, LAW.network)
    other.grow(2, C)
    talk.logs[B.origin] = other
    talk.listed = [other.told() | {"confirmed_size": 0}]
    await talk.compare()
    assert B.origin in talk.node.alarms
    assert talk.node.peers[C.origin].status.heads[B.origin].agrees is False


async def test_more_of_our_own_log_than_we_have_signed_for_is_an_alarm_when_something_was_recorded(talk: Talk) -> None:
    own = PaperLog(A, LAW.network)
    own.grow(3, B)
    talk.logs[A.origin] = own
    talk.node.mirror.own_log_restored = True
    talk.node.mirror.return_again = lambda _: False
    talk.listed = [own.told() | {"confirmed_size": 0, "signed_size": 4}]
    await talk.compare()
    assert A.origin in talk.node.alarms
    assert talk.node.state.size == 0


async def test_before_the_return_nothing_is_said_about_our_own_log(talk: Talk) -> None:
    own = PaperLog(A, LAW.network)
    own.grow(3, B)
    talk.logs[A.origin] = own
    talk.listed = [own.told() | {"confirmed_size": 0, "signed_size": 4}]
    await talk.compare()
    assert not talk.node.alarms


# Histories, and how far a catch-up is.


async def test_heads_agree_by_their_root_at_the_smaller_size(talk: Talk) -> None:
    b_log, mirror = talk.logs[B.origin], talk.node.mirror
    b_log.grow(600, A)
    await mirror.catch_up(B.origin, 300, hint=C.origin)
    for size, expected in ((0, "behind"), (1, "behind"), (256, "behind"), (299, "behind"), (300, "same")):
        assert mirror.agreement(B.origin, Head(size, 0, b_log.root(size))) == expected
        assert mirror.agreement(B.origin, Head(size, 0, seed("another"))) == "differs"
    assert mirror.agreement(B.origin, Head(301, 0, b_log.root(301))) == "ahead"


async def test_while_a_log_grows_its_roots_at_a_peer_are_compared_now_and_then(talk: Talk) -> None:
    b_log = talk.logs[B.origin]
    status = talk.node.peers[C.origin].status
    b_log.grow(9, A)
    await talk.node.mirror.catch_up(B.origin, 10, hint=C.origin)
    compared = []
    for size in (1, 2, 2, 3):
        talk.listed = [{**b_log.told(), "size": size, "confirmed_size": 0, "root": encode_base64(b_log.root(size))}]
        await talk.compare()
        compared.append(status.heads[B.origin].agrees)
        if size == 2 and len(compared) == 3:
            talk.town.clock.advance(gossip.COMPARE_MS)
    assert compared == [True, None, None, True]


async def test_a_catch_up_shows_how_far_it_is(talk: Talk) -> None:
    b_log = talk.logs[B.origin]
    b_log.grow(2 * ENTRIES_MAX + 500, A)
    want = 2 * ENTRIES_MAX + 501
    first, more = asyncio.Event(), asyncio.Event()
    answer = b_log.answer

    async def slow(request: httpx.Request) -> httpx.Response:
        if f"start={ENTRIES_MAX}&" in str(request.url):
            first.set()
            await more.wait()
        return await answer(request)

    b_log.answer = slow  # type: ignore[method-assign]
    task = asyncio.create_task(talk.node.mirror.catch_up(B.origin, want, hint=C.origin))
    await first.wait()
    running = talk.node.mirror.running[B.origin]
    await until(lambda: running.have == ENTRIES_MAX)  # the next piece was asked for before this one was stored
    talk.town.clock.advance(2000)
    missing = want - ENTRIES_MAX
    assert (running.have, running.want, running.missing, running.source) == (ENTRIES_MAX, want, missing, C.origin)
    assert running.rate(talk.town.clock.now_ms()) == ENTRIES_MAX / 2
    async with talk.town.client(A) as client:
        [told] = (await client.get("/v1/peers")).json()["catching_up"]
        assert told == {
            "log": B.origin,
            "have": ENTRIES_MAX,
            "want": want,
            "rate": ENTRIES_MAX / 2,
            "from": C.origin,
            "since": format_time(NOW_MS),
        }
        assert f'suyuan_catch_up_missing{{log="{B.origin}"}} {missing:.1f}' in (await client.get("/metrics")).text
    more.set()
    await task
    assert talk.node.mirror.running == {}


async def test_what_the_peers_lack_is_measured(talk: Talk) -> None:
    b_log = talk.logs[B.origin]
    b_log.grow(9, A)
    await talk.node.mirror.catch_up(B.origin, 10, hint=C.origin)
    talk.listed = [{**b_log.told(), "size": 4, "confirmed_size": 0, "root": encode_base64(seed("another"))}]
    await talk.compare()
    async with talk.town.client(A) as client:
        text = (await client.get("/metrics")).text
        assert f'suyuan_peer_lag{{peer="{C.origin}"}} 6.0' in text
        assert f'suyuan_peer_differs{{peer="{C.origin}"}} 1.0' in text
        [told] = [one for one in (await client.get("/v1/peers")).json()["peers"] if one["log"] == C.origin]
    assert (told["lag"], told["logs"][0]["lag"], told["logs"][0]["agreement"]) == (6, 6, "differs")


async def test_fresher_cosignatures_are_taken_where_the_owner_is_not_heard(talk: Talk) -> None:
    await talk.compare()
    b_log = talk.logs[B.origin]
    later = NOW_MS // 1000 + 3600
    fresh = add_signatures(
        b_log.checkpoint(),
        [cosign(party.keys.cosigner, Checkpoint(B.origin, TreeSize(1), b_log.root()), time=later) for party in FOUR],
    )
    b_log.checkpoint = lambda *_, **__: fresh  # type: ignore[method-assign]
    talk.listed = [b_log.told() | {"vouched": format_time(later * 1000)}]
    await talk.compare()
    known = talk.node.states[B.origin].confirmed
    assert known is not None
    assert known.vouched == later


async def test_a_tree_that_cannot_be_read_stops_no_comparison(talk: Talk) -> None:
    b_log = talk.logs[B.origin]
    b_log.grow(300, A)
    await talk.node.mirror.catch_up(B.origin, 301, hint=C.origin)
    talk.town.disks[A.name].flip(layout.tile_key(layout.log_id(B.origin), 0, 0))
    talk.node.store.reopen()
    talk.listed = [{**b_log.told(), "size": 7, "confirmed_size": 0, "root": encode_base64(b_log.root(7))}]
    talk.listed.append(talk.logs[C.origin].told())
    await talk.compare()
    seen = talk.node.peers[C.origin].status.heads
    assert (seen[B.origin].agrees, talk.confirmed()[C.origin]) == (None, 1)
    async with talk.town.client(A) as client:
        [told] = [one for one in (await client.get("/v1/peers")).json()["peers"] if one["log"] == C.origin]
    assert {one["log"]: one["agreement"] for one in told["logs"]} == {B.origin: "unknown", C.origin: "same"}


async def test_what_was_ahead_is_compared_when_its_entries_are_here(talk: Talk) -> None:
    b_log = talk.logs[B.origin]
    b_log.grow(5, A)
    talk.listed = [b_log.told() | {"confirmed_size": 0}]
    await talk.compare()
    assert talk.node.peers[C.origin].status.heads[B.origin].agrees is None
    async with talk.town.client(A) as client:
        for expected in ("ahead", "same"):
            [told] = [one for one in (await client.get("/v1/peers")).json()["peers"] if one["log"] == C.origin]
            assert told["logs"][0]["agreement"] == expected
            await talk.node.mirror.catch_up(B.origin, 6, hint=C.origin)
    await talk.compare()
    assert talk.node.peers[C.origin].status.heads[B.origin].agrees is True


async def test_under_another_network_document_a_wrong_answer_is_not_counted_as_a_lie(talk: Talk) -> None:
    b_log = talk.logs[B.origin]
    b_log.members = FOUR[:1]  # no quorum here; perhaps one there

    async def earlier(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/logs":
            return httpx.Response(200, json=heads(b_log.told(), version=0))
        return await b_log.answer(request)

    talk.town.wire.answer(C, earlier)
    await talk.compare()
    assert talk.node.peers[C.origin].status.faults == {}
    talk.town.wire.answer(C, b_log.answer)
    await talk.compare()
    assert talk.node.peers[C.origin].status.faults.keys() == {"false"}


async def test_the_signed_head_of_another_log_is_not_taken_for_it(talk: Talk) -> None:
    note = talk.logs[C.origin].checkpoint().encode()
    with pytest.raises(VerificationError, match="in the place of"):
        await talk.node.mirror.take_signed(note, origin=B.origin)
