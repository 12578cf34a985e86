"""Requests over the standard library: connections that are kept, dropped or broken, proxies, and addresses."""

import base64
import fcntl
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPException, IncompleteRead
from typing import Any
from urllib.parse import urlsplit

import pytest

from node.client import BadAnswerError, BadUrlError, Client, UnreachableError
from node.exchange import HttpExchange, Request, proxy_for, split_url

GET = Request("GET", "/v1/health", {"Accept-Encoding": "identity"})
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
PATIENCE_SECONDS = 10.0
SELECT_MAX = 1024  # descriptors that select.select takes


class Listener:
    """Answers each request of each connection with the next of its script; the end of a script ends the connection."""

    def __init__(self, *scripts: list[bytes]) -> None:
        self.heard: list[tuple[int, bytes]] = []  # number of the connection, head and body of a request
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(PATIENCE_SECONDS)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, args=(scripts,))
        self._thread.start()

    def _serve(self, scripts: tuple[list[bytes], ...]) -> None:
        with closing(self._listening):
            for number, script in enumerate(scripts):
                connection, _ = self._listening.accept()
                with closing(connection):
                    connection.settimeout(PATIENCE_SECONDS)
                    for answer in script:
                        self.heard.append((number, _request(connection)))
                        connection.sendall(answer)

    def join(self) -> None:
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive()


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65_536)
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while len(body) < sum(lengths):
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


@contextmanager
def listening(*scripts: list[bytes]) -> Iterator[Listener]:
    listener = Listener(*scripts)
    yield listener
    listener.join()


def over(url: str, *, direct: bool = True) -> HttpExchange:
    return HttpExchange(url, timeout=PATIENCE_SECONDS, connect_timeout=2, context=None, direct=direct)


def ask(exchange: HttpExchange, request: Request = GET) -> tuple[int, str, bytes]:
    response = exchange.send(request)
    return response.status, response.media, b"".join(response.pieces)


def test_one_connection_carries_all_requests() -> None:
    with listening([WHOLE] * 3) as listener, closing(over(listener.url)) as exchange:
        for _ in range(3):
            assert ask(exchange) == (200, "text/plain", b"ok")
    assert [number for number, _ in listener.heard] == [0, 0, 0]
    assert listener.heard[0][1].startswith(b"GET /v1/health HTTP/1.1\r\n")


def test_an_idle_connection_that_the_node_has_ended_is_made_anew() -> None:
    with listening([WHOLE], [WHOLE]) as listener, closing(over(listener.url)) as exchange:
        ask(exchange)
        while len(exchange._connection.sock.recv(1, socket.MSG_PEEK)):  # until its end has arrived here
            pass
        assert ask(exchange)[0] == 200
    assert [number for number, _ in listener.heard] == [0, 1]


def test_what_was_sent_is_never_sent_twice() -> None:
    with listening([b""]) as listener, closing(over(listener.url)) as exchange, pytest.raises(HTTPException):
        ask(exchange, Request("POST", "/v1/events", {}, b"{}"))
    assert len(listener.heard) == 1
    assert listener.heard[0][1].endswith(b"\r\n\r\n{}")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\nhalf",
    ],
    ids=["length", "chunks", "within a chunk"],
)
def test_half_an_answer_is_none(answer: bytes) -> None:
    with listening([answer]) as listener, closing(over(listener.url)) as exchange, pytest.raises(IncompleteRead):
        ask(exchange)
    with listening([answer]) as listener, Client(listener.url) as client, pytest.raises(UnreachableError):
        client.network()


def test_an_answer_in_chunks_is_one() -> None:
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    with listening([chunks, WHOLE]) as listener, closing(over(listener.url)) as exchange:
        assert ask(exchange)[2] == b"abc"
        assert ask(exchange)[2] == b"ok"
    assert [number for number, _ in listener.heard] == [0, 0]


def test_after_an_answer_that_is_too_long_the_next_request_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.client.NETWORK_BYTES_MAX", 10)
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
    with listening([long], [WHOLE]) as listener, Client(listener.url) as client:
        with pytest.raises(BadAnswerError, match="too long"):
            client.network()
        assert client.network() == b"ok"
    assert [number for number, _ in listener.heard] == [0, 1]


def test_a_silent_node_is_given_up() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Client(url, timeout=0.1) as client, pytest.raises(UnreachableError, match="timed out"):
            client.network()


@pytest.mark.parametrize("noise", [b"garbage\r\n\r\n", b"HTTP/1.1 xyz\r\n\r\n", b"\xff" * 100 + b"\r\n\r\n"])
def test_what_is_no_http_is_no_answer(noise: bytes) -> None:
    with listening([noise]) as listener, Client(listener.url) as client, pytest.raises(UnreachableError):
        client.network()


def test_a_path_of_the_address_is_kept() -> None:
    with listening([WHOLE]) as listener, Client(f"{listener.url}/node/") as client:
        client.proof("a b/log", 1)
    assert listener.heard[0][1].startswith(b"GET /node/v1/proof?log=a%20b%2Flog&index=1 HTTP/1.1\r\n")


def test_a_proxy_is_asked_for_the_whole_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening([WHOLE]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//who:se%40cret@"))
        monkeypatch.delenv("no_proxy", raising=False)
        with closing(over("http://node.example:8300/base", direct=False)) as exchange:
            assert ask(exchange)[2] == b"ok"
    ((_, request),) = proxy.heard
    assert request.startswith(b"GET http://node.example:8300/base/v1/health HTTP/1.1\r\nHost: node.example:8300\r\n")
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"who:se@cret") in request


def test_through_a_proxy_tls_goes_to_the_node_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening([b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"]) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        with Client("https://node.example", token="sy_secret") as client, pytest.raises(UnreachableError, match="403"):
            client.network()
    ((_, request),) = proxy.heard
    assert request.startswith(b"CONNECT node.example:443 HTTP/1.")
    assert b"secret" not in request


def test_the_environment_says_for_whom_there_is_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert proxy_for(urlsplit("http://node.example")) is None
    monkeypatch.setenv("all_proxy", "proxy.example:3128")
    monkeypatch.setenv("no_proxy", "near.example")
    found = proxy_for(urlsplit("https://node.example:8300"))
    assert found is not None
    assert (found.hostname, found.port) == ("proxy.example", 3128)
    assert proxy_for(urlsplit("http://a.near.example:8300")) is None


def test_a_proxy_of_another_kind_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1080")
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(BadUrlError, match="socks5"):
        Client("http://node.example")


@pytest.mark.parametrize(
    "url", ["", "ftp://x", "127.0.0.1:8300", "http://", "http://[::", "http://x:99999", "http://u:p@x"]
)
def test_an_address_that_is_none_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        split_url(url)
    with pytest.raises(BadUrlError):
        Client(url)


@pytest.mark.parametrize("token", ["sécret", "secret\r\nX: y", "secret\nsecret"])
def test_a_token_that_cannot_be_sent_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(BadUrlError) as refused:
        Client("http://127.0.0.1:1", token)
    assert "cret" not in str(refused.value)


def test_a_program_with_many_open_files_keeps_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    create_connection = socket.create_connection

    def numbered_high(*arguments: Any) -> socket.socket:
        with create_connection(*arguments) as made:
            return socket.socket(fileno=fcntl.fcntl(made.fileno(), fcntl.F_DUPFD_CLOEXEC, SELECT_MAX))

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    try:
        with listening([WHOLE, WHOLE]) as listener:
            monkeypatch.setattr(socket, "create_connection", numbered_high)
            with closing(over(listener.url)) as exchange:
                assert ask(exchange) == ask(exchange) == (200, "text/plain", b"ok")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert [number for number, _ in listener.heard] == [0, 0]
