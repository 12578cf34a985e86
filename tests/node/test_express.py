"""The express lane: the same answers as by way of the application, however a request comes."""

import asyncio
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from node_helpers import PATIENCE_SECONDS, event_id, make_home, paper, parties, share
from serving import running, wait_for
from structlog.testing import capture_logs

from ledger.encoding import canonical_json
from node.api import events
from node.express import BODY_BYTES_MAX, HEAD_LONGEST, HEADS_KEPT_MAX, ExpressHttp, read_head
from node.foundation import load_foundation
from node.serve import Server
from node.service import Node
from node.tokens import UnknownTokenError

A, B = parties(2)
LAW = paper([A, B], quorum={"faults": 0})
LANE = "POST /v1/events HTTP/1.1"
Taken = list[bytes]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = make_home(tmp_path_factory.mktemp("express"), A, LAW, checkpoint_interval_ms=60_000, port=0)
    node = Node(load_foundation(home))
    with running(node) as server:
        wait_for(lambda: node.recovery.ready and node.state.size)
        yield server


@pytest.fixture
def lane(monkeypatch: pytest.MonkeyPatch) -> Taken:
    """The bodies that have taken the lane."""
    taken: Taken = []
    prepare = events.prepare_single

    def noted(node: Node, authorization: str | None, kind: str | None, body: bytes) -> Any:
        taken.append(body)
        return prepare(node, authorization, kind, body)

    monkeypatch.setattr(events, "prepare_single", noted)
    return taken


def body_of(number: int, **changes: Any) -> bytes:
    return canonical_json(share(number, B, **changes)).encode()


def request(body: bytes, *fields: str, line: str = LANE, token: str = A.token) -> bytes:
    head = [line, "Host: x", f"Authorization: Bearer {token}", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join((*head, "", "")).encode() + body


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(server.servers[0].sockets[0].getsockname(), timeout=PATIENCE_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


def answers(connection: socket.socket, count: int) -> list[bytes]:
    """That many answers, whole, without their dates; nothing may come behind them."""
    data = b""
    found: list[bytes] = []
    while len(found) < count:
        part = connection.recv(65_536)
        if not part:
            break
        data += part
        while (end := data.find(b"\r\n\r\n")) >= 0:
            length = re.search(rb"content-length: (\d+)", data[:end])
            assert length is not None
            whole = end + 4 + int(length[1])
            if len(data) < whole:
                break
            found.append(re.sub(rb"date: [^\r]*\r\n", b"", data[:whole]))
            data = data[whole:]
    assert data == b""
    return found


def asked(server: Server, *parts: bytes, count: int = 1) -> list[bytes]:
    """Send a request in some parts, each arriving for itself, and return the answers."""
    with connected(server) as connection:
        for number, part in enumerate(parts):
            if number:
                wait_for(lambda: has_begun(server, connection))
            connection.sendall(part)
        return answers(connection, count)


def protocol_of(server: Server, connection: socket.socket) -> ExpressHttp | None:
    here = [one for one in set(server.server_state.connections) if isinstance(one, ExpressHttp)]
    return next((one for one in here if one.client == connection.getsockname()), None)


def has_begun(server: Server, connection: socket.socket) -> bool:
    """Tell whether the application has a request of this connection."""
    protocol = protocol_of(server, connection)
    return protocol is not None and protocol.cycle is not None


def by_both_ways(server: Server, lane: Taken, whole: bytes) -> tuple[bytes, bytes]:
    """The answers by the lane, and by the application, to which the same request goes when it comes in two parts."""
    head, _, body = whole.partition(b"\r\n\r\n")
    before = len(lane)
    [quick] = asked(server, whole)
    assert len(lane) == before + 1
    assert body
    [slow] = asked(server, head + b"\r\n\r\n" + body[:1], body[1:])
    assert len(lane) == before + 1
    return quick, slow


def json_of(answer: bytes) -> Any:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


SENT: dict[str, tuple[int, Callable[[], bytes]]] = {
    "canonical": (201, lambda: request(body_of(1))),
    "other spelling": (201, lambda: request(json.dumps(share(2, B)).encode(), "Content-Type: application/json")),
    "wait": (201, lambda: request(body_of(3), line="POST /v1/events?wait=recorded HTTP/1.1")),
    "more fields": (201, lambda: request(body_of(4), "Connection: keep-alive", "X-Other: 1", "X-More: 2")),
    "charset": (201, lambda: request(body_of(5), "Content-Type: application/json; charset=utf-8")),
    "unknown token": (401, lambda: request(body_of(6), token="unknown")),
    "other type": (415, lambda: request(body_of(6), "Content-Type: text/plain")),
    "no JSON": (400, lambda: request(b"{]")),
    "no text": (400, lambda: request(b"\xff" * 7)),
    "unknown member": (422, lambda: request(body_of(6, colour="red"))),
    "to itself": (409, lambda: request(canonical_json(share(6, A)).encode())),
    "other content": (409, lambda: request(body_of(1, purpose="another purpose"))),
    "deep": (422, lambda: request(b'{"a":' * 50 + b"1" + b"}" * 50)),
}


@pytest.mark.parametrize("kind", SENT)
def test_both_ways_give_the_same_answer(server: Server, lane: Taken, kind: str) -> None:
    if kind == "other content":
        asked(server, SENT["canonical"][1]())
        lane.clear()
    status, make = SENT[kind]
    quick, slow = by_both_ways(server, lane, make())
    assert quick.startswith(b"HTTP/1.1 %d " % status)
    assert quick == slow


def test_nobody_without_a_token_records(server: Server, lane: Taken) -> None:
    body = body_of(7)
    whole = f"{LANE}\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    quick, slow = by_both_ways(server, lane, whole)
    assert quick.startswith(b"HTTP/1.1 401")
    assert quick == slow


def chunked(body: bytes) -> bytes:
    head = [LANE, "Host: x", f"Authorization: Bearer {A.token}", "Transfer-Encoding: chunked", "", f"{len(body):x}", ""]
    return "\r\n".join(head).encode() + body + b"\r\n0\r\n\r\n"


UNUSUAL: dict[str, Callable[[bytes], bytes]] = {
    "chunked": chunked,
    "ampersand": lambda body: request(body, line="POST /v1/events?wait=recorded& HTTP/1.1"),
    "encoded": lambda body: request(body, line="POST /v1/event%73 HTTP/1.1"),
    "old": lambda body: request(body, "Connection: keep-alive", line="POST /v1/events HTTP/1.0"),
    "twice": lambda body: request(body, f"Authorization: Bearer {A.token}"),
    "upgrade": lambda body: request(body, "Upgrade: h2c", "Connection: keep-alive"),
}


@pytest.mark.parametrize("kind", UNUSUAL)
def test_whatever_is_unusual_goes_through_the_application(server: Server, lane: Taken, kind: str) -> None:
    number = 20 + list(UNUSUAL).index(kind)
    [answer] = asked(server, UNUSUAL[kind](body_of(number)))
    assert answer.startswith(b"HTTP/1.1 201"), answer
    assert json_of(answer)["event_id"] == event_id(number)
    assert lane == []


def test_what_is_long_goes_through_the_application(server: Server, lane: Taken) -> None:
    [answer] = asked(server, request(b" " * (BODY_BYTES_MAX + 1)))
    assert answer.startswith(b"HTTP/1.1 400")
    assert lane == []
    [answer] = asked(server, request(b" " * 30_000 + body_of(30)))
    assert answer.startswith(b"HTTP/1.1 201")


def test_an_endless_length_is_refused(server: Server, lane: Taken) -> None:
    head = f"{LANE}\r\nHost: x\r\nAuthorization: Bearer {A.token}\r\nContent-Length: {10**15}\r\n\r\n".encode()
    [answer] = asked(server, head + b"{")
    assert answer.startswith(b"HTTP/1.1 413")
    assert lane == []


def test_a_body_may_come_byte_by_byte(server: Server, lane: Taken) -> None:
    whole = request(body_of(31))
    with connected(server) as connection:
        for byte in whole:
            connection.sendall(bytes([byte]))
        [answer] = answers(connection, 1)
    assert answer.startswith(b"HTTP/1.1 201")
    assert len(lane) <= 1  # the kernel may have put all of them together


def test_what_is_pipelined_is_answered_in_order(server: Server, lane: Taken) -> None:
    health = b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n"
    parts = [request(body_of(40)), request(body_of(41)), health, request(body_of(42)), request(b"{"), health]
    found = asked(server, b"".join(parts), count=len(parts))
    assert [answer[9:12] for answer in found] == [b"201", b"201", b"404", b"201", b"400", b"404"]
    assert [json_of(found[at])["event_id"] for at in (0, 1, 3)] == [event_id(40), event_id(41), event_id(42)]
    assert lane == []


def test_refusals_that_are_pipelined_are_answered_in_order(server: Server, lane: Taken) -> None:
    found = asked(server, request(b"{") * 3, count=3)
    assert [answer[9:12] for answer in found] == [b"400"] * 3
    assert lane == []


def test_what_follows_an_event_under_way_waits_for_its_answer(server: Server, lane: Taken) -> None:
    released = threading.Event()
    server._node.writer.submit(lambda _: released.wait(PATIENCE_SECONDS))  # nothing else is written meanwhile
    try:
        with connected(server) as connection:
            connection.sendall(request(body_of(43)))
            wait_for(lambda: len(lane) == 1)
            connection.sendall(request(body_of(44)) + request(body_of(45))[:-1])
            protocol = protocol_of(server, connection)
            assert protocol is not None
            wait_for(lambda: protocol.pipeline)
            released.set()
            found = answers(connection, 2)
            connection.sendall(request(body_of(45))[-1:])
            found += answers(connection, 1)
            connection.sendall(request(body_of(46)))
            found += answers(connection, 1)
    finally:
        released.set()
    assert [json_of(answer)["event_id"] for answer in found] == [event_id(number) for number in range(43, 47)]
    assert lane == [body_of(43), body_of(46)]


def test_what_arrives_at_a_time_is_recorded_together_and_each_for_itself(
    server: Server, lane: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    together: list[int] = []
    record = Node.record_apart

    def noted(node: Node, prepared: Any) -> Any:
        together.append(len(prepared))
        return record(node, prepared)

    monkeypatch.setattr(Node, "record_apart", noted)
    events_ = [body_of(70), body_of(71), canonical_json(share(72, A)).encode(), b"{]", body_of(70), body_of(73)]
    blocked, released = threading.Event(), threading.Event()

    def block() -> None:
        blocked.set()
        released.wait(PATIENCE_SECONDS)

    with ExitStack() as stack:
        connections = [stack.enter_context(connected(server)) for _ in events_]
        wait_for(lambda: all(protocol_of(server, connection) for connection in connections))
        loop = next(iter(server.server_state.connections)).loop
        loop.call_soon_threadsafe(block)
        assert blocked.wait(PATIENCE_SECONDS)
        for connection, body in zip(connections, events_, strict=True):
            connection.sendall(request(body))
        released.set()
        found = [answers(connection, 1)[0] for connection in connections]
    assert [answer[9:12] for answer in found] == [b"201", b"201", b"409", b"400", b"201", b"201"]
    assert found[0] == found[4]
    assert together == [5]


def test_what_only_looks_like_a_request_for_the_lane_is_refused(server: Server, lane: Taken) -> None:
    for whole in (b"\r\n\r\n" + request(body_of(47)), request(body_of(47)).replace(b"Host: x", b"Host x")):
        with connected(server) as connection:
            connection.sendall(whole)
            [answer] = answers(connection, 1)
            assert answer[9:12] in (b"201", b"400")
    assert lane == []


def test_only_heads_of_single_events_are_remembered(server: Server, lane: Taken) -> None:
    before = read_head.cache_info().currsize
    asked(server, b"GET /v1/health HTTP/1.1\r\nHost: x\r\nX-Never-Seen: 1\r\n\r\n")
    asked(server, request(body_of(90), "X-Never-Seen: 2", line="POST /v1/events/batch HTTP/1.1"))
    assert read_head.cache_info().currsize == before
    asked(server, request(body_of(90), "X-Never-Seen: 2"))
    assert read_head.cache_info().currsize in (before + 1, HEADS_KEPT_MAX)
    assert len(lane) == 1


def test_an_answer_that_cannot_be_given_takes_no_other_with_it(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = ExpressHttp._answer
    failed: list[object] = []

    def fail_once(self: ExpressHttp, *details: Any) -> None:
        if not failed:
            failed.append(self)
            self.transport.abort()
            raise ZeroDivisionError
        answer(self, *details)

    monkeypatch.setattr(ExpressHttp, "_answer", fail_once)
    held, released = threading.Event(), threading.Event()

    def hold(_: Any) -> None:
        held.set()
        released.wait(PATIENCE_SECONDS)

    server._node.writer.submit(hold)
    assert held.wait(PATIENCE_SECONDS)
    with capture_logs() as logs, connected(server) as first, connected(server) as second:
        for number, connection in enumerate((first, second), 91):
            connection.sendall(request(body_of(number)))
        released.set()
        found: list[list[bytes]] = []
        for connection in (first, second):
            with suppress(ConnectionError):
                found.append(answers(connection, 1))
    assert max(map(len, found)) == 1
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["a request met a fault of the software"]


def test_a_head_that_is_longer_than_those_of_clients_goes_through_the_application(server: Server, lane: Taken) -> None:
    [answer] = asked(server, request(body_of(48), f"X-Long: {'x' * HEAD_LONGEST}"))
    assert answer.startswith(b"HTTP/1.1 201")
    assert lane == []


def test_a_token_that_was_revoked_is_refused_though_its_head_is_remembered(
    server: Server, lane: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    [answer] = asked(server, request(body_of(49)))
    assert answer.startswith(b"HTTP/1.1 201")

    def unknown(*_: Any) -> Any:
        raise UnknownTokenError("unknown")

    monkeypatch.setattr(server._node.tokens, "identify", unknown)
    [answer] = asked(server, request(body_of(49)))
    assert answer.startswith(b"HTTP/1.1 401")
    assert len(lane) == 2


def test_one_connection_is_used_for_one_event_after_the_other(server: Server, lane: Taken) -> None:
    with connected(server) as connection:
        for number in range(50, 60):
            connection.sendall(request(body_of(number)))
            [answer] = answers(connection, 1)
            assert json_of(answer)["event_id"] == event_id(number)
        connection.sendall(request(body_of(60), "Connection: close"))
        [answer] = answers(connection, 1)
        assert b"connection: close\r\n" in answer
        assert connection.recv(1) == b""
    assert len(lane) == 11


def test_a_fault_of_the_software_is_told_and_logged(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(events, "prepare_single", fail)
    with capture_logs() as logs:
        [answer] = asked(server, request(body_of(61)))
    assert answer.startswith(b"HTTP/1.1 500")
    assert json_of(answer)["code"] == "bug"
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["a request met a fault of the software"]


def test_who_goes_before_the_answer_harms_nobody(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting: list[asyncio.Future[Any]] = []

    def held(*_: Any) -> asyncio.Future[Any]:
        waiting.append(asyncio.get_running_loop().create_future())
        return waiting[-1]

    with monkeypatch.context() as patch:
        patch.setattr(Node, "record_apart", held)
        with connected(server) as connection:
            connection.sendall(request(body_of(62)))
            wait_for(lambda: waiting)
            protocol = protocol_of(server, connection)
            assert protocol is not None
        wait_for(lambda: protocol not in server.server_state.connections)
        protocol.loop.call_soon_threadsafe(waiting[0].set_exception, ZeroDivisionError())
    wait_for(lambda: protocol.cycle.response_complete)
    with suppress(ConnectionError):
        [answer] = asked(server, request(body_of(63)))
    assert answer.startswith(b"HTTP/1.1 201")


def test_an_event_under_way_is_answered_when_the_node_is_told_to_stop(tmp_path: Path) -> None:
    node = Node(load_foundation(make_home(tmp_path, A, LAW, checkpoint_interval_ms=60_000, port=0)))
    with running(node) as server:
        wait_for(lambda: node.recovery.ready and node.state.size)
        with connected(server) as connection:
            released = threading.Event()
            node.writer.submit(lambda _: released.wait(PATIENCE_SECONDS))  # nothing else is written meanwhile
            try:
                connection.sendall(request(body_of(1))[:-1])
                wait_for(lambda: has_begun(server, connection))
            finally:
                released.set()
            connection.sendall(request(body_of(1))[-1:])
            server.should_exit = True
            [answer] = answers(connection, 1)
    assert answer.startswith((b"HTTP/1.1 201", b"HTTP/1.1 408"))
