"""The express lane: single events, which come most often, are recorded without the web framework.

A request takes the lane if it is ``POST /v1/events`` in the way that clients write it, short, and here as a whole. Then
it goes straight to recording, with all others that have arrived in the same turn of the event loop, and the answer
straight to the socket: no task, no router, no stream of body and response, which together take several times as long
as recording the event does. A client writes the same head again and again, but for the length of the body: each is
parsed once. Every other request goes through the application, and gets the same answers.
"""

from collections.abc import Iterable
from functools import lru_cache, partial
from typing import NamedTuple

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from ledger.errors import LedgerError
from node.api import events, problems
from node.bounded import BoundedHttp
from node.service import Node
from node.submission import Recorded
from node.turns import Turns

log = structlog.get_logger(__name__)

BODY_BYTES_MAX = 60_000  # below uvicorn's mark for stopping to read; longer events go through the application
HEAD_LONGEST = 4_096  # of a request that takes the lane: clients send a few hundred bytes
HEADS_KEPT_MAX = 1_024  # that were parsed, 8 MB at most
_LINES = (b"POST /v1/events HTTP/1.1\r\n", b"POST /v1/events?wait=recorded HTTP/1.1\r\n")
_READ = frozenset((b"authorization", b"content-length", b"content-type"))
_UNUSUAL = frozenset((b"transfer-encoding", b"expect", b"upgrade"))
_END = b"\r\n\r\n"


class Head(NamedTuple):
    """What is read of the head of a request that takes the lane."""

    authorization: str | None
    content_type: str | None
    length: int  # of the body, in bytes
    keep_alive: bool


class _Parsed:
    """What the parser of HTTP finds in a head."""

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.is_whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.is_whole = True


@lru_cache(HEADS_KEPT_MAX)
def read_head(head: bytes) -> Head | None:
    """Return what is read of a head, from its line to the empty one; None if the request is for the application."""
    parsed = _Parsed()
    parser = httptools.HttpRequestParser(parsed)
    try:
        parser.feed_data(head)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    if not parsed.is_whole:
        return None
    fields: dict[bytes, bytes] = {}
    for name, value in parsed.fields:
        if name in _UNUSUAL or name in fields:
            return None
        if name in _READ:
            fields[name] = value
    length = fields.get(b"content-length", b"")
    if not (length.isdigit() and len(length) < 6 and int(length) <= BODY_BYTES_MAX):  # noqa: PLR2004
        return None
    return Head(
        _text(fields.get(b"authorization")), _text(fields.get(b"content-type")), int(length), parser.should_keep_alive()
    )


def _text(value: bytes | None) -> str | None:
    return value.decode("latin-1") if value is not None else None


class _Cycle(RequestResponseCycle):
    """Stands for an answer that is under way: uvicorn queues behind it what is pipelined on its connection."""

    def __init__(self, *, keep_alive: bool) -> None:
        self.message_event = self  # type: ignore[assignment]  # nobody waits for parts of the request
        self.keep_alive = keep_alive
        self.more_body = False
        self.disconnected = False
        self.response_complete = False

    def set(self) -> None:
        """Do nothing: it is told of the end of the connection."""


class ExpressHttp(BoundedHttp):
    """The protocol of a node's web server."""

    node: Node
    turns: Turns

    def data_received(self, data: bytes) -> None:
        """Take what has arrived: by the lane, if it is one request, as a whole, and nothing is under way."""
        if not data.startswith(_LINES) or not self._is_free():
            super().data_received(data)
            return
        end = data.find(_END, 0, HEAD_LONGEST) + len(_END)
        head = read_head(data[:end]) if end >= len(_END) else None
        if head is None or len(data) != end + head.length:
            super().data_received(data)
        else:
            self.take_whole()
            self._record(head, data[end:])

    def _is_free(self) -> bool:
        free = self.is_between_requests and (self.cycle is None or self.cycle.response_complete)
        crowded = self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency
        return free and not crowded and not self.flow.write_paused

    def _record(self, head: Head, body: bytes) -> None:
        self.cycle = cycle = _Cycle(keep_alive=head.keep_alive)
        answer = partial(self._recorded, cycle)
        try:
            prepared = events.prepare_single(self.node, head.authorization, head.content_type, body)
        except Exception as error:  # noqa: BLE001 - it is the answer
            answer(error)
        else:
            self.turns.take(prepared, answer)

    def _recorded(self, cycle: _Cycle, outcome: Recorded | BaseException) -> None:
        if isinstance(outcome, Recorded):
            text = outcome.to_text(self.node.state_of(outcome)).encode()
            self._answer(cycle, 201, _head_of(len(text)), text)
            return
        if isinstance(outcome, LedgerError):
            response = problems.refuse(self.node, outcome)
        else:
            log.error("a request met a fault of the software", method="POST", path="/v1/events", exc_info=outcome)
            response = problems.refuse_for_bug(self.node)
        self._answer(cycle, response.status_code, _fields(response.raw_headers), bytes(response.body))

    def _answer(self, cycle: _Cycle, status: int, fields: bytes, body: bytes) -> None:
        cycle.response_complete = True
        if self.transport.is_closing():
            return
        end = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        common = _fields(self.server_state.default_headers)
        self.transport.write(b"".join((STATUS_LINE[status], common, fields, end, body)))
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()


@lru_cache(64)
def _head_of(length: int) -> bytes:
    """Return the fields of an answer of that length that tells where an event stands."""
    return _fields(events.answer("0" * length).raw_headers)


def _fields(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % field for field in fields])


def express_of(node: Node) -> type[ExpressHttp]:
    """Return the protocol for the web server of ``node``."""

    class Http(ExpressHttp):
        pass

    Http.node, Http.turns = node, Turns(node)
    return Http
