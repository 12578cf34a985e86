"""The web server around the node: over a real socket, with bounds on what a request may be."""

import gc
import logging
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from node_helpers import PATIENCE_SECONDS, Paper, Town, entry_of, event_id, make_home, paper, parties, share
from serving import running, wait_for

from cli.commands import doctor
from cli.demo.network import free_ports
from cli.diagnosis import admit
from cli.session import Session, Target
from node import bounded, serve
from node.api import bodies
from node.bounded import CONNECTIONS_PER_ADDRESS_MAX, HEAD_BYTES_MAX, BoundedHttp
from node.client import Client, UnreachableError
from node.clock import SystemClock
from node.errors import ConfigError
from node.express import ExpressHttp
from node.foundation import load_foundation
from node.serve import CONNECTIONS_MAX, Server, configure_logging
from node.service import Node
from node.wary import tls_context

A, B = parties(2)


def lone_law() -> Paper:
    return paper([A], quorum={"faults": 0})


@contextmanager
def serving(node: Node) -> Iterator[str]:
    """A node on a port of its own; its address."""
    with running(node) as server:
        host, port = server.servers[0].sockets[0].getsockname()
        yield f"{host}:{port}"


def raw(address: str, request: bytes) -> bytes:
    """Send bytes, and return what comes back until the other side closes."""
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as connection:
        answer = b""
        with suppress(ConnectionError):
            connection.sendall(request)
        with suppress(ConnectionError):
            while part := connection.recv(65_536):
                answer += part
    return answer


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = make_home(tmp_path_factory.mktemp("served"), A, lone_law(), checkpoint_interval_ms=10, port=0)
    with serving(Node(load_foundation(home))) as address:
        yield address


def test_a_node_answers_over_a_real_socket(address: str) -> None:
    answer = httpx.get(f"http://{address}/v1/health", trust_env=False)
    assert answer.status_code == 200
    assert answer.json()["log"] == A.origin
    assert "server" not in answer.headers


def test_a_head_without_end_is_cut_off(address: str) -> None:
    answer = raw(address, b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * (4 * HEAD_BYTES_MAX + 600_000))
    assert answer.startswith(b"HTTP/1.1 400") or answer == b""


def test_many_short_headers_without_end_are_cut_off(address: str) -> None:
    answer = raw(address, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Short: a\r\n" * 100_000)
    assert answer.startswith(b"HTTP/1.1 400") or answer == b""


def test_many_requests_on_one_connection_are_not_one_long_head(address: str) -> None:
    with httpx.Client(base_url=f"http://{address}", trust_env=False) as client:
        for number in range(60):
            headers = {"Authorization": f"Bearer {A.token}", "X-Padding": "p" * 3000}
            answer = client.get(f"/v1/events/{event_id(number)}", headers=headers)
            assert answer.status_code == 404


def test_a_body_does_not_count_as_a_head(address: str) -> None:
    body = b"{" + b" " * (2 * HEAD_BYTES_MAX) + b"}"
    headers = {"Authorization": f"Bearer {A.token}"}
    for _ in range(3):
        answer = httpx.post(f"http://{address}/v1/events", content=body, headers=headers, trust_env=False)
        assert answer.status_code == 422


def test_bytes_that_are_no_http_are_refused(address: str) -> None:
    assert raw(address, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").startswith(b"HTTP/1.1 400")


def test_a_body_that_breaks_off_is_no_fault_of_the_software(address: str) -> None:
    head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {A.token}\r\nContent-Length: 100\r\n\r\n"
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(head.encode() + b"{")
    url = f"http://{address}/metrics"

    def counted() -> bool:
        return 'suyuan_requests_refused_total{code="body_broken_off"} 1.0' in httpx.get(url, trust_env=False).text

    wait_for(counted)
    assert 'code="bug"' not in httpx.get(url, trust_env=False).text


# What anybody who reaches the port can make a node hold.

POST = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + A.token.encode() + b"\r\n"
CHUNKED = b"POST /v1/health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def dial(address: str, source: str = "127.0.0.1") -> socket.socket:
    host, _, port = address.partition(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS, source_address=(source, 0))


def rest(connection: socket.socket) -> bytes:
    """What comes until the other side closes; a timeout is a failure."""
    answer = b""
    with suppress(ConnectionError):
        while part := connection.recv(65_536):
            answer += part
    return answer


def health(address: str, source: str = "127.0.0.1") -> int:
    with httpx.Client(transport=httpx.HTTPTransport(local_address=source)) as client:
        return client.get(f"http://{address}/v1/health").status_code


def has_second_address() -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.2", 0))
        except OSError:
            return False
    return True


@pytest.mark.skipif(not has_second_address(), reason="needs a second loopback address, as Linux has")
def test_one_address_cannot_take_all_connections(address: str) -> None:
    assert CONNECTIONS_PER_ADDRESS_MAX * 2 < CONNECTIONS_MAX
    with ExitStack() as opened:
        connections = [opened.enter_context(dial(address, "127.0.0.2")) for _ in range(CONNECTIONS_PER_ADDRESS_MAX)]
        for connection in connections[::2]:
            connection.sendall(b"GET /v1/health HT")
        for _ in range(40):
            with dial(address, "127.0.0.2") as refused:
                assert rest(refused) == b""
        assert health(address) == 200
        connections[0].sendall(b"TP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")  # one that is there is served
        assert rest(connections[0]).startswith(b"HTTP/1.1 200")

    def is_served_again() -> bool:
        with suppress(httpx.TransportError):
            return health(address, "127.0.0.2") == 200
        return False

    wait_for(is_served_again)


@pytest.mark.parametrize(
    ("begun", "answered"),
    [
        (b"", 0),
        (b"\r\n", 0),
        (b"GET /v1/health HT", 0),
        (b"GET /v1/health HTTP/1.1\r\nHost: x\r\n", 0),
        (b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/health HT", 1),
        (b"GET /v1/health HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nbody", 1),
        (CHUNKED + b"0\r\nTrailer: a\r\n", 1),
        (CHUNKED + b"0\r\n\r\nPOST ", 1),
    ],
    ids=["silent", "line", "half-line", "half-head", "half-second", "half-body", "trailers", "second"],
)
def test_a_request_that_does_not_end_is_not_waited_for(
    address: str, monkeypatch: pytest.MonkeyPatch, begun: bytes, answered: int
) -> None:
    monkeypatch.setattr(bounded, "REQUEST_SECONDS_MAX", 0.3)
    with dial(address) as connection:
        connection.sendall(begun)
        assert rest(connection).count(b"HTTP/1.1 ") == answered


@pytest.mark.parametrize("drop", [b"X: a\r\n", b"\r\n"], ids=["fields", "lines"])
def test_a_client_that_sends_a_little_now_and_then_gains_no_time(
    address: str, monkeypatch: pytest.MonkeyPatch, drop: bytes
) -> None:
    """Once after an answer, where the first byte stops uvicorn's own timer."""
    monkeypatch.setattr(bounded, "REQUEST_SECONDS_MAX", 0.3)
    with dial(address) as connection:
        connection.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        if drop.startswith(b"X"):
            connection.sendall(b"GET /v1/health HTTP/1.1\r\n")

        def is_gone() -> bool:
            try:
                connection.sendall(drop)
            except ConnectionError:
                return True
            return False

        wait_for(is_gone)


def test_a_request_that_is_being_answered_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its body is late by several deadlines, and the next request has begun: the handler's own deadline counts."""
    monkeypatch.setattr(bounded, "REQUEST_SECONDS_MAX", 0.05)
    home = make_home(tmp_path, A, lone_law(), checkpoint_interval_ms=10, port=0)
    with serving(Node(load_foundation(home))) as address, dial(address) as connection:
        connection.sendall(POST + b"Content-Length: 2\r\n\r\n{")
        threading.Event().wait(0.4)
        connection.sendall(b"}GET /v1")
        assert rest(connection).startswith(b"HTTP/1.1 422")


def test_a_body_that_does_not_come_is_answered_and_then_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "REQUEST_SECONDS_MAX", 0.2)
    monkeypatch.setattr(bodies, "BODY_SECONDS_MAX", 0.4)
    home = make_home(tmp_path, A, lone_law(), checkpoint_interval_ms=10, port=0)
    with serving(Node(load_foundation(home))) as address, dial(address) as connection:
        connection.sendall(POST + b"Content-Length: 100\r\n\r\n{")
        answer = rest(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"body_broken_off" in answer


@contextmanager
def unread(tmp_path: Path) -> Iterator[tuple[socket.socket, BoundedHttp]]:
    """A connection with 8 MB of answers, more than the sockets' own buffers take, of which none is read yet."""
    home = make_home(tmp_path, A, lone_law(), checkpoint_interval_ms=10, port=0)
    with running(Node(load_foundation(home))) as server, socket.socket() as connection:
        connection.settimeout(PATIENCE_SECONDS)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.connect(server.servers[0].sockets[0].getsockname())
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 399)
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        wait_for(lambda: server.server_state.connections)
        (protocol,) = server.server_state.connections
        assert isinstance(protocol, BoundedHttp)
        yield connection, protocol


def test_an_answer_that_nobody_reads_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "STALL_SECONDS_MAX", 0.3)
    with unread(tmp_path) as (connection, protocol):
        wait_for(lambda: protocol not in protocol.connections)
        assert rest(connection).count(b"HTTP/1.1 200") < 400


def test_an_answer_that_is_read_slowly_is_given_whole(tmp_path: Path) -> None:
    """The clock is this test: it looks whenever a part was taken that can be seen."""
    answers = b""
    with unread(tmp_path) as (connection, protocol):
        for _ in range(2):
            wait_for(lambda: protocol.flow.write_paused)
            protocol.loop.call_soon_threadsafe(protocol._look_at_reader)
            wait_for(lambda: protocol._unsent_bytes < sys.maxsize)
            while protocol._unsent_bytes < sys.maxsize:
                answers += connection.recv(65_536)
        answers += rest(connection)
    assert answers.count(b"HTTP/1.1 200") == 400
    assert answers.endswith(b"}")


@pytest.mark.parametrize(
    ("before", "part"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"A:\r\n"),
        (CHUNKED + b"0\r\n", b"A:\r\n"),
        (CHUNKED + b"0\r\n", b"X-Short: a\r\n"),
        (CHUNKED + b"0\r\nX-Long: ", b"aaaaaaaa"),
        (CHUNKED + b"1;extension=", b"aaaaaaaa"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", b"X-Short: a\r\n"),
    ],
    ids=["fields", "empty-trailers", "trailers", "one-trailer", "extension", "trailers-that-a-handler-waits-for"],
)
def test_trailers_without_end_are_cut_off(address: str, before: bytes, part: bytes) -> None:
    """Long before all of it is taken: what fits into the sockets' own buffers does not count."""
    enough = 40 * 1024 * 1024
    sent = 0
    with dial(address) as connection:
        connection.sendall(before)
        with suppress(ConnectionError):
            while sent < enough:
                sent += connection.send(part * 8192)
    assert sent < enough
    assert health(address) == 200


def test_empty_fields_count_within_one_reading(address: str) -> None:
    """In 60 KB there are 15,000 of them, and each costs memory of its own."""
    answer = raw(address, b"GET /v1/health HTTP/1.1\r\nHost: x\r\n" + b"A:\r\n" * 15_000 + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 400") or answer == b""


def test_trailers_are_no_fields_of_the_head(address: str) -> None:
    """Also those that come before the handler looks: a token that comes too late is none."""
    request = b"GET /v1/peers HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    token = b"Authorization: Bearer " + A.token.encode() + b"\r\n"
    assert raw(address, request + token + b"\r\n").startswith(b"HTTP/1.1 401")
    assert raw(address, request.replace(b"Host", token + b"Host") + b"X: y\r\n\r\n").startswith(b"HTTP/1.1 200")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes the certificate")
def test_with_a_certificate_a_node_speaks_tls_and_peers_check_it(tmp_path: Path) -> None:
    with over_tls(tmp_path, "IP:127.0.0.1") as address:
        url = f"https://{address}/v1/health"
        assert httpx.get(url, verify=tls_context(tmp_path / "cert.pem"), trust_env=False).status_code == 200
        with pytest.raises(httpx.ConnectError, match="certificate"):
            httpx.get(url, verify=tls_context(None), trust_env=False)
        with Client(f"https://{address}", verify=tls_context(tmp_path / "cert.pem")) as client:
            assert client.health()["schema"] == "suyuan.health/1"
        with Client(f"https://{address}") as client, pytest.raises(UnreachableError, match="certificate"):
            client.health()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes the certificate")
def test_a_certificate_for_the_departments_host_name_is_enough_on_the_spot(tmp_path: Path) -> None:
    with over_tls(tmp_path, "DNS:a.example") as address:
        trusted = tls_context(tmp_path / "cert.pem")

        def ask(other_name: str | None, context: ssl.SSLContext | None = trusted) -> int:
            with Client(f"https://{address}", verify=context, other_name=lambda: other_name) as client:
                return sum(client.health()["schema"] == "suyuan.health/1" for _ in range(2))

        assert ask("a.example") == 2
        with pytest.raises(UnreachableError, match=r"not valid for 'b\.example'"):
            ask("b.example")
        with pytest.raises(UnreachableError, match=r"not valid for '127\.0\.0\.1'"):
            ask(None)
        with pytest.raises(UnreachableError, match="self-signed"):  # the name alone does not do
            ask("a.example", None)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes the certificate")
def test_a_command_asks_the_node_of_a_folder_by_its_departments_host_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    law = paper([entry_of(A, url="https://a.example:8300")], quorum={"faults": 0})
    with over_tls(tmp_path, "DNS:a.example", law) as address:
        monkeypatch.setenv("SUYUAN_PORT", address.rpartition(":")[2])
        with Session(Target(config=tmp_path / "a", token=A.token)) as session:
            assert session.client.peers()["own"] == A.origin
        with (
            Session(Target(config=tmp_path / "a", url=f"https://{address}", ca=tmp_path / "cert.pem")) as session,
            pytest.raises(UnreachableError, match=r"not valid for '127\.0\.0\.1'"),
        ):
            session.client.health()
        checks = [one for one in doctor._ask(admit(tmp_path / "a", SystemClock())) if one.name == "node"]
        assert [one.status for one in checks] == ["ok"]


@contextmanager
def over_tls(tmp_path: Path, name: str, law: Any = None) -> Iterator[str]:
    """A node whose certificate is for one name."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=a", "-addext", f"subjectAltName={name}", "-keyout", tmp_path / "key.pem",
         "-out", tmp_path / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    home = make_home(
        tmp_path / "a",
        A,
        law or lone_law(),
        port=0,
        tls_certificate="../cert.pem",
        tls_key="../key.pem",
        peer_ca="../cert.pem",
    )
    with serving(Node(load_foundation(home))) as address:
        yield address


# Running.


@pytest.fixture
def _own_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a test set up logging as a node's process does; no logger of this process keeps that for ever."""
    configure = structlog.configure

    def uncached(**settings: Any) -> None:
        configure(**{**settings, "cache_logger_on_first_use": False})

    monkeypatch.setattr(structlog, "configure", uncached)
    yield
    structlog.reset_defaults()
    logging.basicConfig(force=True)


@pytest.mark.usefixtures("_own_logging")
def test_running_a_node_serves_it_until_it_is_told_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = [True, False]
    nodes: list[Node] = []
    frozen: list[int] = []
    thresholds: list[tuple[int, ...]] = []
    before = gc.get_threshold()

    def run(server: Server) -> None:
        assert issubclass(server.config.http_protocol_class, ExpressHttp)
        nodes.append(server.config.http_protocol_class.node)
        frozen.append(gc.get_freeze_count())
        thresholds.append(gc.get_threshold())
        server.started = outcomes.pop(0)

    home = make_home(tmp_path, A, lone_law(), log_format="json", log_level="error")
    monkeypatch.setattr(Server, "run", run)
    assert serve.run(home) == 0
    assert serve.run(home) == 2
    assert [node.store.closed for node in nodes] == [True, True]
    assert min(frozen) > 10_000  # objects that no later search for cycles looks at
    assert [one[0] for one in thresholds] == [serve.GARBAGE_OBJECTS_MIN] * 2
    assert (gc.get_freeze_count(), gc.get_threshold()) == (0, before)


@pytest.mark.parametrize("seen", [True, False], ids=["before the start", "by the web server alone"])
def test_an_address_that_another_process_has_is_a_mistake_in_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, seen: bool
) -> None:
    monkeypatch.setattr(serve, "configure_logging", lambda _: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        home = make_home(tmp_path, A, lone_law(), port=taken.getsockname()[1])
        if seen:
            with pytest.raises(ConfigError, match="another process listens there"):
                serve.run(home)
        else:
            monkeypatch.setattr(serve, "_check_address", lambda _: None)
            assert serve.run(home) == 2
    Node(load_foundation(home)).store.close()  # the store was given back


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["missing", "damaged"])
def test_a_certificate_that_cannot_be_used_is_a_mistake_in_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    home = make_home(tmp_path, A, lone_law(), tls_certificate="cert.pem", tls_key="key.pem", host="127.0.0.1")
    if content is not None:
        (tmp_path / "cert.pem").write_text(content)
        (tmp_path / "key.pem").write_text(content)
    monkeypatch.setattr(serve, "configure_logging", lambda _: None)
    with pytest.raises(ConfigError) as refused:
        serve.run(home)
    assert refused.value.field == "tls_certificate"
    Node(load_foundation(home)).store.close()  # the store was given back


@pytest.mark.usefixtures("_own_logging")
@pytest.mark.parametrize("form", ["console", "json"])
def test_logs_go_to_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    home = make_home(tmp_path, A, lone_law(), log_format=form)
    configure_logging(home.settings)
    structlog.get_logger("test").info("an event", number=1)
    structlog.get_logger("test").debug("a detail")
    said = capsys.readouterr()
    assert said.out == ""
    assert "an event" in said.err
    assert "a detail" not in said.err
    assert said.err.startswith("{") is (form == "json")


# Stopping.


def test_who_waits_for_a_confirmation_is_answered_when_the_node_stops(tmp_path: Path) -> None:
    """Its peer is down: without an answer to all who wait, the server would wait too, then say 500 to them."""
    home = make_home(tmp_path, A, paper([A, entry_of(B, url=f"http://127.0.0.1:{free_ports(1)[0]}")]), port=0)
    answers: list[httpx.Response] = []
    node = Node(load_foundation(home))
    with running(node) as server:
        host, port = server.servers[0].sockets[0].getsockname()

        def post() -> None:
            headers = {"Authorization": f"Bearer {A.token}"}
            url = f"http://{host}:{port}/v1/events?wait=confirmed"
            answers.append(httpx.post(url, json=share(1, B), headers=headers, trust_env=False, timeout=60))

        wait_for(lambda: node.state.size == 1)
        waiting = threading.Thread(target=post)
        waiting.start()
        wait_for(lambda: node.state.size == 2)
    waiting.join(PATIENCE_SECONDS)
    [answer] = answers
    assert (answer.status_code, answer.json()["state"]) == (201, "recorded")


# A larger network.


async def test_twelve_members_confirm_each_others_logs(tmp_path: Path) -> None:
    """On one loop; each waits for eight cosignatures, its own included."""
    many = parties(12)
    patient: dict[str, Any] = {"pull_interval_ms": 500, "peer_timeout_ms": 10_000, "confirm_timeout_ms": 5_000}
    async with Town(tmp_path, many, law=paper(many), **patient) as town:
        nodes = await town.start()
        async with town.client(many[0]) as client:
            answer = await client.post("/v1/events?wait=confirmed", json=share(1, many[1]))
        assert answer.json()["state"] == "confirmed"
        assert nodes[0].network.quorum == 8
