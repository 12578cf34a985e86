"""Whom the mirror asks: nobody holds up a catch-up by what he claims, by giving little, or by taking his time."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from node_helpers import PaperLog, Party, Town, bundle, heads, paper, parties, until, verify_log
from structlog.testing import capture_logs

from ledger.encoding import text_to_lines
from node import backlog, recovery, sources
from node.faults import PeerBusyError, PeerSlowError
from node.layout import origin_hash
from node.peers import ENTRIES_MAX, Peer
from node.service import Node
from node.sources import Want

A, B, C, D, E = FIVE = parties(5)
LAW = paper(FIVE)
SIZE = 30  # entries of the log that is fetched
HUGE = 10**12
TIMEOUT_MS = 1000


class Source:
    """A peer that has a log on paper: how many entries it gives at a time, how long it takes, what it claims."""

    def __init__(
        self,
        town: Town,
        party: Party,
        log: PaperLog,
        *,
        each: int = ENTRIES_MAX,
        takes_ms: int = 0,
        claims: int | None = None,
    ) -> None:
        self.town, self.log = town, log
        self.each, self.takes_ms = each, takes_ms
        self.claims = log.size if claims is None else claims
        self.starts: list[int] = []
        town.wire.answer(party, self.answer)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/memory":
            note = text_to_lines(self.log.checkpoint().encode())
            told = {"log": self.log.origin, "size": self.claims, "checkpoint": note}
            return httpx.Response(200, json=heads(told))
        if request.url.path != f"/v1/logs/{origin_hash(self.log.origin)}/entries":
            return httpx.Response(404)
        start, limit = (int(request.url.params[name]) for name in ("start", "limit"))
        self.starts.append(start)
        self.town.clock.advance(self.takes_ms)
        return bundle(self.log.raws[start : start + min(limit, self.each)])


class Library:
    """A's node; B's log, whose owner is away; and those who have it."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.log = PaperLog(B, LAW.network)
        self.log.grow(SIZE - 1, A)

    @property
    def node(self) -> Node:
        return self.town.nodes[A.name]

    def source(self, party: Party, *, told: bool = True, **how: Any) -> Source:
        """Have a member answer; ``told``: it has told what it holds."""
        source = Source(self.town, party, self.log, **how)
        if told:
            self.peer(party).status.sizes[B.origin] = source.claims
        return source

    def peer(self, party: Party) -> Peer:
        return self.node.peers[party.origin]

    async def catch_up(self) -> int:
        """Fetch all of the log; return how long it took, in milliseconds."""
        began = self.town.clock.now_ms()
        await self.node.mirror.catch_up(B.origin, self.log.size)
        stored = verify_log(self.node.store, self.node.states[B.origin], LAW.network)
        assert [entry.raw for entry in stored] == self.log.raws
        return self.town.clock.now_ms() - began

    def faults(self, party: Party) -> dict[str, int]:
        return {kind: fault.count for kind, fault in self.peer(party).status.faults.items()}


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    async with Town(tmp_path, FIVE, law=LAW, peer_timeout_ms=TIMEOUT_MS) as town:
        with capture_logs():
            town.open(A)
            yield Library(town)


def names(peers: list[Peer]) -> list[str]:
    return [peer.origin for peer in peers]


# What they claim.


def test_a_claim_counts_no_further_than_what_is_wanted(library: Library) -> None:
    peers = library.node.peers
    for party, claim in ((C, SIZE), (D, HUGE), (E, SIZE - 1)):
        library.peer(party).status.sizes[B.origin] = claim
    want = Want(origin=B.origin, here=0, size=SIZE)
    assert names(sources.order(peers, want, 0)) == [B.origin, C.origin, D.origin, E.origin]


def test_each_reason_is_told_once_with_all_who_gave_it(library: Library) -> None:
    b, c, d = (library.node.peers[party.origin] for party in (B, C, D))
    told = sources.reasons({b: PeerBusyError("not yet"), c: PeerSlowError("too late"), d: PeerBusyError("not yet")})
    assert told == f"{B.origin}, {D.origin}: not yet; {C.origin}: too late"
    assert sources.reasons({}) == "there is no other member to ask"


def test_where_only_claims_speak_for_a_size_the_larger_one_is_worth_nothing(library: Library) -> None:
    peers = library.node.peers
    for party, claim in ((C, SIZE), (D, HUGE), (E, SIZE - 1)):
        library.peer(party).status.sizes[A.origin] = claim
    want = Want(origin=A.origin, here=SIZE - 1, size=HUGE, claimed=True)
    assert names(sources.order(peers, want, 0)) == [C.origin, D.origin, B.origin, E.origin]


def test_who_lags_is_behind_the_others_for_a_while_and_who_is_silent_behind_him(library: Library) -> None:
    peers = library.node.peers
    library.peer(B).status.lagged_ms = 1000
    library.peer(C).status.failures = 1
    want = Want(origin=B.origin, here=0, size=SIZE)
    late = 1000 + sources.LAG_MS
    assert names(sources.order(peers, want, late - 1)) == [D.origin, E.origin, B.origin, C.origin]
    assert names(sources.order(peers, want, late)) == [B.origin, D.origin, E.origin, C.origin]


# What they give.


@pytest.mark.parametrize("claims", [HUGE, 1, 0])
async def test_who_gives_one_entry_at_a_time_holds_up_no_catch_up(library: Library, claims: int) -> None:
    drip = library.source(C, each=1, claims=claims)
    honest = library.source(D)
    await library.catch_up()
    assert len(drip.starts) <= 1
    assert len(honest.starts) == 1


async def test_it_is_his_fault_and_he_is_asked_last_for_a_while(library: Library) -> None:
    drip = library.source(C, each=1, claims=HUGE)
    honest = library.source(D)
    await library.catch_up()
    assert library.faults(C) == {"withholds": 1}
    assert "1 of 30 entries" in library.peer(C).status.faults["withholds"].words
    library.log.grow(5, A)
    library.peer(D).status.sizes[B.origin] = library.log.size
    await library.catch_up()
    assert (drip.starts, honest.starts) == ([0], [1, SIZE])
    assert library.faults(D) == {}


async def test_the_owner_who_does_so_is_no_better(library: Library) -> None:
    owner = library.source(B, told=False, each=1)
    honest = library.source(C)
    await library.catch_up()
    assert (owner.starts, honest.starts) == ([0], [1])
    assert library.faults(B) == {"withholds": 1}


async def test_several_who_do_so_are_asked_once_each(library: Library) -> None:
    drips = [library.source(party, each=1, claims=HUGE) for party in (B, C, D)]
    honest = library.source(E)
    await library.catch_up()
    assert [len(drip.starts) for drip in drips] == [1, 1, 1]
    assert honest.starts == [3]


async def test_who_alone_has_them_is_asked_until_they_are_here(library: Library) -> None:
    drip = library.source(C, each=1)
    await library.catch_up()
    assert drip.starts == list(range(SIZE))


async def test_who_gives_all_that_he_has_does_no_wrong(library: Library) -> None:
    short = library.source(C)
    short.log = PaperLog(B, LAW.network)
    short.log.raws = library.log.raws[:10]
    library.peer(C).status.sizes[B.origin] = 10
    full = library.source(D, claims=10)
    await library.catch_up()
    assert (short.starts, full.starts) == ([0], [10])
    assert library.faults(C) == library.faults(D) == {}
    assert library.peer(C).status.lagged_ms is None


async def test_who_fails_is_asked_last_for_a_while(library: Library) -> None:
    liar = library.source(C)
    liar.log = PaperLog(B, paper([A, B]).network)  # another network's
    honest = library.source(D)
    await library.catch_up()
    library.log.grow(5, A)
    await library.catch_up()
    assert (liar.starts, honest.starts) == ([0], [0, SIZE])


async def test_of_a_backlog_nothing_is_read_ahead_from_who_lags(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "ENTRIES_MAX", 5)
    monkeypatch.setattr(backlog, "BACKLOG_MIN", 10)
    drip = library.source(C, each=1, claims=HUGE)
    honest = library.source(D)
    await library.catch_up()
    assert (drip.starts, honest.starts) == ([0], list(range(1, SIZE, 5)))
    assert library.node.mirror.fetcher._room.taken == 0


# How long they take.


@pytest.mark.parametrize("each", [1, ENTRIES_MAX])
async def test_who_answers_at_the_last_moment_holds_up_a_catch_up_once(library: Library, each: int) -> None:
    library.log.grow(ENTRIES_MAX + 500, A)
    loris = library.source(C, each=each, takes_ms=TIMEOUT_MS - 1)
    honest = library.source(D)
    assert await library.catch_up() < TIMEOUT_MS
    assert (loris.starts, honest.starts[0]) == ([0], each)
    library.log.grow(5, A)
    assert await library.catch_up() == 0
    assert loris.starts == [0]
    assert library.faults(C).keys() == ({"withholds"} if each == 1 else set())


async def test_several_who_do_so_hold_it_up_once_each(library: Library) -> None:
    for party in (B, C, D):
        library.source(party, each=1, takes_ms=TIMEOUT_MS - 1, claims=HUGE)
    library.source(E)
    assert await library.catch_up() < 3 * TIMEOUT_MS


# The node's own log.


async def test_nobody_holds_up_a_return_by_a_claim_and_one_entry_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "RETRY_SECONDS_MIN", 0.01)
    monkeypatch.setattr(recovery, "RETRY_SECONDS_MAX", 0.05)
    monkeypatch.setattr(recovery, "GRACE_SECONDS", 0.05)
    async with Town(tmp_path, FIVE, law=LAW, peer_timeout_ms=TIMEOUT_MS) as town:
        log = PaperLog(A, LAW.network)
        log.grow(SIZE - 1, B)
        drips = [Source(town, party, log, each=1, takes_ms=TIMEOUT_MS - 1, claims=HUGE) for party in (B, C)]
        honest = [Source(town, party, log) for party in (D, E)]
        began = town.clock.now_ms()
        with capture_logs():
            [node] = await town.start(A, wait=False)
            await until(lambda: node.recovery.ready, "A writes")
        asked = Counter(len(drip.starts) for drip in drips)
        assert max(asked) <= 1 + 1 + recovery.CLAIM_TRIES_MAX
        assert town.clock.now_ms() - began <= 2 * (2 + recovery.CLAIM_TRIES_MAX) * TIMEOUT_MS
        assert SIZE - len(drips) in [len(log.raws) - start for one in honest for start in one.starts]
        assert all(node.peers[party.origin].status.faults["withholds"].count for party in (B, C))
        stored = verify_log(node.store, node.state, LAW.network)
        assert [entry.raw for entry in stored][:SIZE] == log.raws
