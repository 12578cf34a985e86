"""The client of a node's interface: what it sends, what it believes, and what it calls the rest."""

import hashlib
import json
from collections.abc import Callable, Iterator
from http.client import BadStatusLine, IncompleteRead
from typing import Any

import httpx
import pytest

from ledger.manifest import make_manifest
from node import client as client_module
from node.client import BadAnswerError, BadUrlError, Client, NodeProblem, UnreachableError, is_loopback
from node.exchange import Request, Response

URL = "http://127.0.0.1:8300"
TOKEN = "sy_" + "A" * 43
REF = {"hash": "3rcv/9xB/+RvUfI/Q8G7LU0u7J2Z4M2f4gbFMiNDu3E=", "index": 1, "log": "police.ordos.example/log"}
RECORDED = {"event_id": "6db2860a-4f83-4bdc-893c-5147c0628dc6", "entry": REF, "time": "t", "state": "recorded"}
RECORD = "9f" * 16
LOG_HASH = hashlib.sha256(b"a/log").hexdigest()

Handler = Callable[[httpx.Request], httpx.Response]


class Answers:
    """An exchange over no wire: what is asked becomes httpx's request, what the handler returns the answer."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.closed = 0

    def send(self, request: Request) -> Response:
        answer = self.handler(
            httpx.Request(request.method, URL + request.target, headers=dict(request.headers), content=request.body)
        )
        return Response(answer.status_code, answer.headers.get("content-type", ""), answer.iter_raw())

    def close(self) -> None:
        self.closed += 1


def client(handler: Handler, **options: Any) -> Client:
    return Client(URL, TOKEN, exchange=Answers(handler), **options)


def answering(status: int, content: Any, kind: str = "application/json") -> Handler:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return lambda _request: httpx.Response(status, stream=httpx.ByteStream(body), headers={"Content-Type": kind})


def problem(status: int, **members: Any) -> Handler:
    document = {"type": "about:blank", "title": "t", "status": status, "detail": "d", "code": "c", **members}
    return answering(status, document, "application/problem+json")


CALLS: list[tuple[Callable[[Client], Any], str, str, Any]] = [
    (lambda c: c.post_event({"id": "é"}), "POST", "/v1/events?wait=recorded", RECORDED),
    (lambda c: c.post_event({}, wait="confirmed"), "POST", "/v1/events?wait=confirmed", RECORDED),
    (lambda c: c.post_events([{}]), "POST", "/v1/events/batch?wait=recorded", {"events": [RECORDED]}),
    (lambda c: c.event("id"), "GET", "/v1/events/id", {}),
    (lambda c: c.trace(RECORD), "GET", f"/v1/records/{RECORD}/trace", {"schema": "suyuan.trace/1"}),
    (lambda c: c.evidence(RECORD), "GET", f"/v1/records/{RECORD}/evidence", {}),
    (lambda c: c.proof("a/log", 3), "GET", "/v1/proof?log=a%2Flog&index=3", {}),
    (lambda c: c.entry("a/log", 3), "GET", "/v1/entry?log=a%2Flog&index=3", {}),
    (lambda c: c.logs(), "GET", "/v1/logs", {"schema": "suyuan.logs/1", "logs": []}),
    (
        lambda c: c.peers(),
        "GET",
        "/v1/peers",
        {
            "schema": "suyuan.peers/2",
            "own": "a/log",
            "network_version": 1,
            "time": "",
            "logs": [],
            "catching_up": [],
            "peers": [],
        },
    ),
    (
        lambda c: c.checkpoints("a/log"),
        "GET",
        f"/v1/logs/{LOG_HASH}/checkpoints",
        {"schema": "suyuan.checkpoints/1", "versions": [], "checkpoints": []},
    ),
    (lambda c: c.health(), "GET", "/v1/health", {"schema": "suyuan.health/1"}),
    (lambda c: c.network(), "GET", "/v1/network", {}),
    (lambda c: c.adopt(b"n"), "POST", "/v1/network", {"schema": "suyuan.adopted/1", "version": 2, "was": 1}),
    (lambda c: c.metrics(), "GET", "/metrics", {}),
    (
        lambda c: c.entries("a/log", start=5, limit=2),
        "GET",
        f"/v1/logs/{LOG_HASH}/entries?start=5&limit=2",
        {"schema": "suyuan.entries/1"},
    ),
]


@pytest.mark.parametrize(("call", "method", "target", "answer"), CALLS, ids=[f"{m} {t}" for _, m, t, _ in CALLS])
def test_each_method_asks_its_endpoint_with_the_token(
    call: Callable[[Client], Any], method: str, target: str, answer: Any
) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answering(200, answer)(request)

    with client(handler) as asking:
        call(asking)
    (request,) = seen
    assert request.method == method
    assert request.url.raw_path.decode() == target
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["accept-encoding"] == "identity"


def test_the_paths_of_logs_are_those_of_the_protocol() -> None:
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.path)
        return answering(200, b"x")(request)

    asking = client(handler)
    asking.checkpoint("a/log")
    asking.tile("a/log", "tile/0/000.p/5")
    assert seen == [f"/logs/{LOG_HASH}/checkpoint", f"/logs/{LOG_HASH}/tile/0/000.p/5"]


def test_a_problem_keeps_code_field_limit_hint_and_status() -> None:
    with pytest.raises(NodeProblem) as caught:
        client(problem(422, detail="colour: no", code="unknown_member", field="colour", limit=7, hint="h")).logs()
    error = caught.value
    told = (error.status, error.code, error.field, error.limit, error.hint, str(error))
    assert told == (422, "unknown_member", "colour", 7, "h", "colour: no")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"<html>proxy</html>", "text/html"),
        (b"{", "application/problem+json"),
        (b"[]", "application/problem+json"),
        (b"\xff\xfe", "application/octet-stream"),
        (b"{}", "application/problem+json"),
    ],
)
def test_any_other_refusal_is_a_problem_with_its_status(content: bytes, kind: str) -> None:
    with pytest.raises(NodeProblem) as caught:
        client(answering(502, content, kind)).logs()
    assert (caught.value.status, caught.value.code) == (502, "status_502")


def test_a_hostile_problem_is_cut_short() -> None:
    long = "x" * 1_000_000
    with pytest.raises(NodeProblem) as caught:
        client(problem(409, detail=long, code=long, hint=long, field=long)).logs()
    assert len(str(caught.value)) + len(caught.value.code) + len(caught.value.hint) < 10_000


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError("refused"),
        TimeoutError("late"),
        IncompleteRead(b"half"),
        BadStatusLine("x"),
        OSError(),
        OSError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"),
    ],
)
def test_no_answer_is_unreachable(error: Exception) -> None:
    def handler(_request: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(UnreachableError, match="did not answer") as caught:
        client(handler).logs()
    assert ("--ca" in caught.value.hint) == ("CERTIFICATE" in str(error))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"no", b"1", b'{"schema":"suyuan.logs/2"}', b"{}", b"[" * 100_000, b'{"schema":"suyuan.logs/1"}',
        b'{"schema":"suyuan.logs/1","logs":[{"log":"a/log"}]}',
    ],
    ids=[
        "nothing", "a list", "no JSON", "a number", "another version", "no schema", "too deep", "no logs", "half a log",
    ],
)  # fmt: skip
def test_an_answer_of_another_form_is_refused(content: bytes) -> None:
    with pytest.raises(BadAnswerError):
        client(answering(200, content)).logs()


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {**RECORDED, "entry": {}},
        {**RECORDED, "entry": {**REF, "index": -1}},
        {**RECORDED, "entry": {**REF, "hash": "AB=="}},
    ],
)
def test_an_answer_that_does_not_say_where_the_event_stands_is_refused(answer: Any) -> None:
    with pytest.raises(BadAnswerError):
        client(answering(201, answer)).post_event({})


def test_a_batch_without_its_list_is_refused() -> None:
    with pytest.raises(BadAnswerError):
        client(answering(201, {"events": 7})).post_events([{}])


def test_an_endless_answer_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "JSON_BYTES_MAX", 1000)
    taken = 0

    class Endless(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            nonlocal taken
            while True:
                taken += 1
                yield b"x" * 100

    with pytest.raises(BadAnswerError, match="too long"):
        client(lambda _request: httpx.Response(200, stream=Endless())).logs()
    assert taken < 20


def test_no_redirect_is_followed() -> None:
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.host)
        return httpx.Response(307, headers={"Location": "http://thief.example/"}, stream=httpx.ByteStream(b""))

    with pytest.raises(NodeProblem):
        client(handler).logs()
    assert seen == ["127.0.0.1"]


def test_health_of_a_node_with_an_alarm_is_an_answer_and_no_error() -> None:
    body = {"schema": "suyuan.health/1", "status": "alarm"}
    assert client(answering(503, body)).health()["status"] == "alarm"


def test_another_refusal_of_health_is_an_error() -> None:
    with pytest.raises(NodeProblem):
        client(problem(503)).health()


def test_a_manifest_that_the_node_has_changed_is_refused() -> None:
    with pytest.raises(BadAnswerError):
        client(answering(201, {"root": "other", "count": 1})).post_manifest(make_manifest([RECORD]))


@pytest.mark.parametrize("url", ["", "ftp://x", "127.0.0.1:8300", "http://", "http://[::", "http://x:99999"])
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises((BadUrlError, UnreachableError)):
        Client(url, timeout=0.5).logs()


def test_no_proxy_stands_between_the_command_and_its_own_machine() -> None:
    assert is_loopback("http://127.0.0.1:8300")
    assert is_loopback("https://localhost")
    assert is_loopback("http://[::1]:8300")
    assert not is_loopback("http://police.ordos.example")
    assert not is_loopback("http://[::")


def test_a_proxy_of_the_environment_is_not_asked_about_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:9")
    with pytest.raises(UnreachableError, match=r"refused|did not answer"):
        Client("http://127.0.0.1:9", timeout=2).logs()


@pytest.mark.parametrize("answer", [{}, {"version": 2}, {"version": "2", "was": 1}], ids=["nothing", "no was", "text"])
def test_an_answer_that_tells_no_version_is_no_adoption(answer: dict[str, Any]) -> None:
    with client(answering(200, {"schema": "suyuan.adopted/1", **answer})) as asking, pytest.raises(BadAnswerError):
        asking.adopt(b"n")
