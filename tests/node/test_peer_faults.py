"""What a peer does wrong: each kind by a peer that really does it, bounded, told apart, counted."""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest
from node_helpers import PATIENCE_SECONDS, PaperLog, Party, Town, bundle, heads, paper, parties, seed, until
from structlog.testing import capture_logs

from node import peers
from node.faults import PeerError
from node.layout import origin_hash
from node.told import refusal
from node.wary import tls_context

if TYPE_CHECKING:
    from node.service import Node

A, B, C, D = FOUR = parties(4)
LAW = paper(FOUR)
SQUEEZED = gzip.compress(b" " * 10_000_000)


class Court:
    """A's node, which asks, and C, who answers as the test has it; B's log is served well by B."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.node: Node = town.open(A)  # it has asked nobody yet
        self.b = PaperLog(B, LAW.network, FOUR)
        self.c = PaperLog(C, LAW.network, FOUR)
        self.b.grow(4, A)
        self.c.grow(4, A)
        town.wire.answer(B, self.b.answer)
        town.wire.answer(C, self.c.answer)

    def faults(self, party: Party = C) -> dict[str, int]:
        return {kind: fault.count for kind, fault in self.node.peers[party.origin].status.faults.items()}

    def counted(self, kind: str, party: Party = C) -> float | None:
        labels = {"peer": party.origin, "kind": kind}
        return self.node.metrics.registry.get_sample_value("suyuan_peer_faults_total", labels)

    async def compare(self, party: Party = C) -> None:
        with capture_logs(), contextlib.suppress(PeerError):
            await self.node.gossip.compare(self.node.peers[party.origin])


@pytest.fixture
async def court(tmp_path: Path) -> AsyncIterator[Court]:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        yield Court(town)


def answering(status: int, **answer: Any) -> Callable[[httpx.Request], Any]:
    async def answered(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, **answer)

    return answered


# What a list of heads may be, in the place of one.


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (503, {}, "busy"),
        (500, {"text": "\x1b[31mout of order"}, "refused"),
        (200, {"content": b"no"}, "malformed"),
        (200, {"json": {"network_version": 1, "logs": [{"log": 1}]}}, "malformed"),
        (200, {"content": SQUEEZED, "headers": {"Content-Encoding": "gzip"}}, "compressed"),
        (200, {"content": b"x", "headers": {"Content-Encoding": "br"}}, "compressed"),
        (200, {"content": b" " * (peers.LOGS_BYTES_MAX + 1)}, "too_long"),
    ],
    ids=["busy", "an error", "no JSON", "another form", "a bomb", "another coding", "too long"],
)
async def test_a_wrong_answer_is_counted_by_its_kind(court: Court, status: int, answer: Any, kind: str) -> None:
    court.town.wire.answer(C, answering(status, **answer))
    await court.compare()
    await court.compare()
    assert court.faults() == {kind: 2}
    assert court.counted(kind) == 2
    fault = court.node.peers[C.origin].status.faults[kind]
    assert fault.last_ms == court.town.clock.now_ms()
    assert fault.words
    assert fault.words.isprintable()


async def test_nobody_there_is_unreachable(court: Court) -> None:
    court.town.wire.cut.add("d2.test")
    await court.compare()
    assert court.faults() == {"unreachable": 1}


async def test_a_peer_that_does_well_has_no_faults(court: Court) -> None:
    await court.compare()
    assert court.node.states[C.origin].confirmed_size == 5
    assert court.faults() == {}


async def test_a_question_of_where_to_begin_is_no_fault(court: Court) -> None:
    court.town.wire.answer(C, answering(409, content=b"3\n", headers={"Content-Type": "text/x.tlog.size"}))
    with pytest.raises(PeerError):
        await court.node.peers[C.origin].add_checkpoint(b"")
    assert court.faults() == {}


# What does not verify.


async def test_a_checkpoint_with_a_false_signature_is_counted(court: Court) -> None:
    forged = court.c.checkpoint(cosigners=4).encode().replace(b"\n5\n", b"\n6\n")

    async def lying(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(("/checkpoint", "/head")):
            return httpx.Response(200, content=forged)
        return await court.c.answer(request)

    court.town.wire.answer(C, lying)
    await court.compare()
    assert court.faults() == {"false": 1}
    assert court.node.states[C.origin].size == 0


async def test_entries_that_do_not_continue_the_log_are_counted_against_who_gave_them(court: Court) -> None:
    async def lying(request: httpx.Request) -> httpx.Response:
        if origin_hash(B.origin) in request.url.path:
            return bundle([raw.replace(b"check of", b"sale of ") for raw in court.b.raws])
        return await court.c.answer(request)

    court.town.wire.answer(C, lying)
    court.town.wire.cut.add("d1.test")
    with pytest.raises(PeerError):
        await court.node.mirror.catch_up(B.origin, 5, hint=C.origin)
    assert court.faults() == {"false": 1}
    assert court.faults(B) == {"unreachable": 1}
    court.town.wire.cut.clear()
    await court.node.mirror.catch_up(B.origin, 5, hint=C.origin)  # from the owner: nothing of the lie was kept
    assert court.node.states[B.origin].size == 5


# Withholding.


def withholding(log: PaperLog, answer: httpx.Response) -> Callable[[httpx.Request], Any]:
    """Shows a head, and gives none of its entries."""

    async def answered(request: httpx.Request) -> httpx.Response:
        return answer if "entries" in request.url.path else await log.answer(request)

    return answered


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(404), httpx.Response(200, content=b"", headers={"Entry-Count": "0"})],
    ids=["it says that it has none", "it gives none"],
)
async def test_a_head_whose_entries_nobody_gives_is_withheld_by_its_owner(court: Court, answer: httpx.Response) -> None:
    court.town.wire.answer(C, withholding(court.c, answer))
    await court.compare()
    assert court.faults() == {"withholds": 1}
    assert court.node.states[C.origin].size == 0


@pytest.mark.parametrize("status", [401, 403])
async def test_an_owner_who_does_not_know_who_asks_withholds_nothing(court: Court, status: int) -> None:
    """Our clock may be the wrong one."""
    court.town.wire.answer(C, withholding(court.c, httpx.Response(status)))
    await court.compare()
    assert court.faults() == {"refused": 1}


async def test_who_claims_to_have_entries_of_another_and_gives_none_withholds_them(court: Court) -> None:
    async def answered(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/logs":
            return httpx.Response(200, json=heads(court.b.told() | {"signed_size": 5}))
        return httpx.Response(404) if "entries" in request.url.path else await court.b.answer(request)

    court.town.wire.answer(C, answered)
    court.town.wire.cut.add("d1.test")
    await court.compare()
    assert court.faults()["withholds"] >= 1


async def test_who_never_said_that_he_has_them_only_refuses(court: Court) -> None:
    court.town.wire.answer(C, answering(404))
    court.town.wire.cut.add("d1.test")
    with pytest.raises(PeerError):
        await court.node.mirror.catch_up(B.origin, 5, hint=C.origin)
    assert court.faults() == {"refused": 1}


async def test_a_head_that_is_withheld_delays_no_other_log(court: Court) -> None:
    async def answered(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/logs":
            return httpx.Response(200, json=heads(court.c.told(), court.b.told()))
        if origin_hash(C.origin) in request.url.path and "entries" in request.url.path:
            return httpx.Response(404)
        return await (court.b if origin_hash(B.origin) in request.url.path else court.c).answer(request)

    court.town.wire.answer(C, answered)
    await court.compare()
    assert (court.node.states[B.origin].confirmed_size, court.node.states[C.origin].confirmed_size) == (5, 0)


# Stale heads.


async def test_a_peer_that_shows_its_own_past_is_stale(court: Court) -> None:
    await court.compare()
    frozen = PaperLog(C, LAW.network, FOUR)
    frozen.raws = court.c.raws[:2]
    court.town.wire.answer(C, frozen.answer)
    await court.compare()
    assert court.faults() == {"stale": 1}
    assert "2 entries of its own log, and has signed 5" in court.node.peers[C.origin].status.faults["stale"].words


async def test_a_peer_that_tells_more_than_it_shows_is_stale(court: Court) -> None:
    await court.compare()
    court.town.wire.answer(C, _telling(court.c, {"size": 9, "confirmed_size": 9, "root": court.c.told()["root"]}))
    await court.compare()
    assert court.faults() == {"stale": 1}


async def test_a_peer_that_tells_of_a_fresher_quorum_than_it_shows_is_stale(court: Court) -> None:
    await court.compare()
    court.town.wire.answer(C, _telling(court.c, {"vouched": "2027-01-01T00:00:00.000Z"}))
    await court.compare()
    assert court.faults() == {"stale": 1}


def _telling(log: PaperLog, claim: dict[str, Any]) -> Callable[[httpx.Request], Any]:
    async def answered(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/logs":
            return httpx.Response(200, json=heads(log.told() | claim))
        return await log.answer(request)

    return answered


async def test_a_peer_that_lags_behind_with_the_logs_of_others_is_not_stale(court: Court) -> None:
    await court.compare(B)
    behind = PaperLog(B, LAW.network, FOUR)
    behind.raws = court.b.raws[:2]
    court.town.wire.answer(C, behind.answer)
    await court.compare()
    assert court.faults() == {}


# Over real sockets: what only a connection can do.


class Socket:
    """A server on loopback that speaks as badly as the test has it."""

    def __init__(self, speak: Callable[[asyncio.StreamWriter], Any]) -> None:
        self._speak = speak
        self.sent = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.append(task := asyncio.current_task())  # type: ignore[arg-type]
        assert task is not None
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            await self._speak(writer)
        writer.close()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def peer_at(court: Court, port: int, timeout_ms: int) -> peers.Peer:
    member = court.node.network.member(C.origin)
    moved = member.entry.model_copy(update={"url": f"http://127.0.0.1:{port}"})
    return peers.Peer(
        replace(member, entry=moved),
        auth=httpx.Auth(),
        clock=court.town.clock,
        timeout_ms=timeout_ms,
        verify=tls_context(None),
    )


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


async def endless_body(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        await writer.drain()


async def endless_head(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: " + b"x" * 1000 + b"\r\n")
        await writer.drain()


async def dripping_head(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


async def dripping_body(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"Content-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def silence(_: asyncio.StreamWriter) -> None:
    await asyncio.sleep(PATIENCE_SECONDS)


async def a_long_body_that_breaks_off(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"Content-Length: 1000000\r\n\r\n" + b" " * 100)
    await writer.drain()


async def bomb(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(SQUEEZED) + SQUEEZED)
    await writer.drain()


async def no_http(writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\x01\x02 hello\r\n\r\n")
    await writer.drain()


@pytest.mark.parametrize(
    ("speak", "kind"),
    [
        (endless_body, "too_long"),
        (endless_head, "unreachable"),
        (dripping_head, "slow"),
        (dripping_body, "slow"),
        (silence, "slow"),
        (a_long_body_that_breaks_off, "unreachable"),
        (bomb, "compressed"),
        (no_http, "unreachable"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
async def test_a_connection_that_misbehaves_is_bounded_and_told_apart(
    court: Court, monkeypatch: pytest.MonkeyPatch, speak: Callable[[asyncio.StreamWriter], Any], kind: str
) -> None:
    monkeypatch.setattr(peers, "ANSWER_TIMEOUTS_MAX", 2)
    async with Socket(speak) as socket:
        peer = peer_at(court, socket.port, 200 if kind == "slow" else 5_000)
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(PeerError):
            await peer.logs()
        assert loop.time() - began < PATIENCE_SECONDS / 3
        assert list(peer.status.faults) == [kind]
        assert peer.status.reachable is False
        await peer.close()


# Nobody waits for anybody.


async def test_a_slow_and_a_dead_peer_do_not_delay_what_the_others_tell(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR, law=LAW) as town:
        town.wire.held["d1.test"] = asyncio.Event()  # B answers nothing, and keeps the connection
        town.wire.cut.add("d3.test")
        log = PaperLog(C, LAW.network, FOUR)
        log.grow(2, A)
        town.wire.answer(B, log.answer)
        town.wire.answer(C, log.answer)
        with capture_logs():
            [node] = await town.start(A, wait=False)
            await until(lambda: node.states[C.origin].confirmed_size == 3)
            before = len(town.wire.seen)
            await until(lambda: sum(host == "d2.test" for _, host, _ in town.wire.seen[before:]) >= 3)
        assert node.peers[C.origin].status.faults.keys() <= {"refused"}  # it is no node: it knows no memory
        assert "unreachable" in node.peers[D.origin].status.faults
        town.wire.held.pop("d1.test").set()


# Histories.


async def test_another_root_at_the_smaller_size_is_another_history(court: Court) -> None:
    await court.compare()
    head = seed("another root")
    court.town.wire.answer(C, _telling(court.c, {"root": _base64(head), "size": 3}))
    await court.compare()
    seen = court.node.peers[C.origin].status.heads[C.origin]
    assert (seen.head.root, seen.agrees) == (head, False)
    assert not court.node.alarms  # a root that nobody has signed proves nothing


def _base64(data: bytes) -> str:
    from ledger.encoding import encode_base64  # noqa: PLC0415 - only here

    return encode_base64(data)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b'{"type":"urn:x","detail":"b is no member","code":"peer_unknown"}', "b is no member"),
        (b'{"detail":7}', '{"detail":7}'),
        (b'{"detail":"cut off', '{"detail":"cut off'),
        (b"[1]", "[1]"),
        (b"\xff", "\ufffd"),
        (b'{"detail":"' + b"x" * 5000 + b'"}', "x" * 200),
    ],
)
def test_of_a_refusal_in_the_form_of_a_problem_its_words_are_shown(answer: bytes, words: str) -> None:
    assert refusal(401, answer) == f"status 401: {words}"
