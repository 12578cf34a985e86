"""The web server around the node: over a real socket, with bounds on what a request may be."""

import asyncio
import logging
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
import uvicorn
from fastapi import FastAPI
from node_helpers import PATIENCE_SECONDS, Paper, Town, event_id, make_home, paper, parties, share
from structlog.testing import capture_logs

from node import serve
from node.errors import ConfigError
from node.peers import tls_context
from node.serve import HEAD_BYTES_MAX, configure_logging, server_config
from node.service import Node, load_foundation

A, B = parties(2)


def lone_law() -> Paper:
    return paper([A], quorum={"faults": 0})


@contextmanager
def serving(node: Node) -> Iterator[str]:
    """A node on a port of its own; its address."""
    server = uvicorn.Server(server_config(node))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    with capture_logs():
        thread.start()
        try:
            wait_for(lambda: server.started)
            host, port = server.servers[0].sockets[0].getsockname()
            yield f"{host}:{port}"
        finally:
            server.should_exit = True
            thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


def wait_for(condition: Any) -> None:
    pause = threading.Event()
    for _ in range(int(PATIENCE_SECONDS * 200)):
        if condition():
            return
        pause.wait(0.005)
    raise AssertionError("it never came about")


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


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes the certificate")
def test_with_a_certificate_a_node_speaks_tls_and_peers_check_it(tmp_path: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / "key.pem",
         "-out", tmp_path / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    home = make_home(
        tmp_path / "a",
        A,
        lone_law(),
        port=0,
        tls_certificate="../cert.pem",
        tls_key="../key.pem",
        peer_ca="../cert.pem",
    )
    with serving(Node(load_foundation(home))) as address:
        url = f"https://{address}/v1/health"
        assert httpx.get(url, verify=tls_context(tmp_path / "cert.pem"), trust_env=False).status_code == 200
        with pytest.raises(httpx.ConnectError, match="certificate"):
            httpx.get(url, verify=tls_context(None), trust_env=False)


# Running.


def test_running_a_node_serves_it_until_it_is_told_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Server:
        started = True

        def __init__(self, config: uvicorn.Config) -> None:
            self.config = config

        def run(self) -> None:
            assert isinstance(self.config.app, FastAPI)
            nodes.append(self.config.app.state.node)

    nodes: list[Node] = []
    home = make_home(tmp_path, A, lone_law(), log_format="json", log_level="error")
    monkeypatch.setattr(uvicorn, "Server", Server)
    try:
        assert serve.run(home) == 0
        Server.started = False
        assert serve.run(home) == 2
    finally:
        structlog.reset_defaults()
        logging.basicConfig(force=True)
    assert [node.store.closed for node in nodes] == [True, True]


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


@pytest.mark.parametrize("form", ["console", "json"])
def test_logs_go_to_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    home = make_home(tmp_path, A, lone_law(), log_format=form)
    try:
        configure_logging(home.settings)
        structlog.get_logger("test").info("an event", number=1)
        structlog.get_logger("test").debug("a detail")
    finally:
        structlog.reset_defaults()
        logging.basicConfig(force=True)
    said = capsys.readouterr()
    assert said.out == ""
    assert "an event" in said.err
    assert "a detail" not in said.err
    assert said.err.startswith("{") is (form == "json")


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
